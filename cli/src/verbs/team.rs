//! `ticrypt team`: people who share quotas and see one another, and who looks after them.

use clap::{Args, Subcommand};
use serde::Serialize;
use ticrypt_api::team::{TeamAbout, TeamMemberView, TeamView};
use ticrypt_client::team::{self, Roll, Teams};
use ticrypt_client::{ClientError, Session, show};
use ticrypt_types::{Quotas, Title, UserId, UserName, UserState};

use crate::context::Context;
use crate::verbs::each::{Done, outcome, report};
use crate::verbs::work::moment;

const MIB: u64 = 1 << 20;

#[derive(Debug, Subcommand)]
pub enum Command {
    /// List the teams you see: your own, those assigned to you as a sub-admin, all of them as an administrator
    List,
    /// Show a team: its members, who looks after it, its quotas
    Show { team: String },
    /// Make a team
    ///
    /// As a user you are its first member and manage it, as a sub-admin it is assigned to you, as an administrator you stay outside. Its quotas are those of
    /// every new team; `ticrypt team quota` changes them.
    Create {
        /// What it is called
        name: Title,
        #[arg(long, value_name = "TEXT")]
        description: Option<String>,
    },
    /// Change name or description
    Change {
        team: String,
        #[arg(long)]
        name: Option<Title>,
        #[arg(long, value_name = "TEXT")]
        description: Option<String>,
    },
    /// Change what its members may use together; what is not named stays as it is
    Quota(Quota),
    /// Delete a team that nobody is in
    Delete { team: String },
    /// Add people
    ///
    /// Whoever is inactive for having left their last team is added by a sub-admin the team is assigned to, or by an administrator, and then activated with
    /// `ticrypt users activate`.
    Add(Named),
    /// Take people out; out of their last team they are inactive, with the permissions of a new account
    Remove(Named),
    /// Let members manage the team: its name, and who is in it
    Manager {
        #[command(flatten)]
        named: Named,
        /// They are plain members again
        #[arg(long)]
        end: bool,
    },
    /// Administrators: assign a team to sub-admins, who then look after it and the accounts of its members
    Assign {
        #[command(flatten)]
        named: Named,
        /// When the assignment ends by itself, as `30d` or `2027-01-31`
        #[arg(long, value_name = "WHEN")]
        until: Option<String>,
    },
    /// Administrators: end the assignment of a team to sub-admins
    Unassign(Named),
}

#[derive(Debug, Args)]
pub struct Named {
    team: String,
    #[arg(required = true, value_name = "PERSON")]
    people: Vec<UserName>,
}

#[derive(Debug, Args)]
#[group(id = "quotas", required = true, multiple = true, args = ["cores", "memory", "devices", "drives", "vault"])]
pub struct Quota {
    team: String,
    /// Processor cores, or `none` for no limit
    #[arg(long, value_name = "COUNT", value_parser = number)]
    cores: Option<Limit<u32>>,
    /// Memory, as `64G`, or `none`
    #[arg(long, value_name = "SIZE", value_parser = size)]
    memory: Option<Limit<u64>>,
    /// Devices such as graphics cards, or `none`
    #[arg(long, value_name = "COUNT", value_parser = number)]
    devices: Option<Limit<u32>>,
    /// What drives hold, as `1T`, or `none`
    #[arg(long, value_name = "SIZE", value_parser = size)]
    drives: Option<Limit<u64>>,
    /// What its members' trees in the vault hold, as `500G`, or `none`
    #[arg(long, value_name = "SIZE", value_parser = size)]
    vault: Option<Limit<u64>>,
}

/// A quota as people type it; nothing is no limit.
#[derive(Clone, Copy, Debug)]
struct Limit<T>(Option<T>);

impl<T> Limit<T> {
    fn or(given: Option<Self>, before: Option<T>) -> Option<T> {
        given.map_or(before, |limit| limit.0)
    }
}

fn number(text: &str) -> Result<Limit<u32>, &'static str> {
    if text == "none" { Ok(Limit(None)) } else { text.parse().map(|number| Limit(Some(number))).map_err(|_| "a number, or `none`") }
}

fn size(text: &str) -> Result<Limit<u64>, &'static str> {
    if text == "none" {
        Ok(Limit(None))
    } else {
        show::parse_size(text).map(|size| Limit(Some(size))).ok_or("a size like `500G`, or `none`")
    }
}

impl Quota {
    /// These quotas where they are given, those before where not.
    fn over(&self, before: Quotas) -> Quotas {
        Quotas {
            cores: Limit::or(self.cores, before.cores),
            memory_mib: Limit::or(self.memory.map(|memory| Limit(memory.0.map(|bytes| bytes.div_ceil(MIB)))), before.memory_mib),
            devices: Limit::or(self.devices, before.devices),
            drive_bytes: Limit::or(self.drives, before.drive_bytes),
            vault_bytes: Limit::or(self.vault, before.vault_bytes),
        }
    }
}

#[derive(Serialize)]
struct Shown<'a> {
    #[serde(flatten)]
    view: &'a TeamView,
    people: &'a [TeamMemberView],
    vault_used_bytes: u64,
}

pub async fn run(command: Command, context: &Context) -> anyhow::Result<()> {
    let session = &context.session().await?;
    let teams = &Teams::load(session).await?;
    match command {
        Command::List => list(teams, context),
        Command::Show { team } => self::show(teams.find(&team)?, session, context).await,
        Command::Create { name, description } => {
            let made = team::create(session, TeamAbout { name, description: description.unwrap_or_default() }).await?;
            context.output.result(&made, |out| writeln!(out, "{made}"))
        }
        Command::Change { team, name, description } => {
            let view = teams.find(&team)?;
            let TeamAbout { name: old, description: said } = view.about.clone();
            let about = TeamAbout { name: name.unwrap_or(old), description: description.unwrap_or(said) };
            team::change(session, view, about).await?;
            context.output.hint("Changed.");
            Ok(())
        }
        Command::Quota(quota) => {
            let view = teams.find(&quota.team)?;
            team::set_quotas(session, view, quota.over(view.quotas)).await?;
            context.output.hint("Changed.");
            Ok(())
        }
        Command::Delete { team } => Ok(team::delete(session, teams.find(&team)?.team).await?),
        Command::Add(Named { team, people }) => {
            let team = teams.find(&team)?.team;
            each(people, "added", context, async |name| {
                let user = session.users.lookup(name).await?.user;
                team::add(session, team, user).await
            })
            .await
        }
        Command::Remove(named) => remove(named, teams, session, context).await,
        Command::Manager { named: Named { team, people }, end } => {
            let team = teams.find(&team)?.team;
            let members = team::members(session, team).await?.members;
            each(people, if end { "member" } else { "manager" }, context, async |name| {
                team::set_manager(session, team, member(&members, name)?, !end).await
            })
            .await
        }
        Command::Assign { named: Named { team, people }, until } => {
            let team = teams.find(&team)?.team;
            let until = until.as_deref().map(moment).transpose()?;
            each(people, "assigned", context, async |name| {
                let user = session.users.lookup(name).await?.user;
                team::assign(session, team, user, until).await
            })
            .await
        }
        Command::Unassign(Named { team, people }) => {
            let view = teams.find(&team)?;
            each(people, "unassigned", context, async |name| {
                let found = view.assigned.iter().find(|assignment| assignment.name == *name);
                let found = found.ok_or_else(|| ClientError::not_found("the team is not assigned to them; run `ticrypt team show`"))?;
                team::unassign(session, view.team, found.user).await
            })
            .await
        }
    }
}

/// How one stands in a team, in a word.
fn standing(view: &TeamView) -> &'static str {
    match view.manages {
        Some(true) => "manager",
        Some(false) => "member",
        None => "-",
    }
}

fn bytes(quota: Option<u64>) -> String {
    quota.map_or_else(|| "unlimited".to_owned(), show::size)
}

fn list(teams: &Teams, context: &Context) -> anyhow::Result<()> {
    if teams.all().is_empty() {
        context.output.hint("You see no team. An administrator makes teams and puts people into them.");
    }
    context.output.table(teams.all(), &["NAME", "MEMBERS", "VAULT", "YOU"], |view| {
        vec![view.about.name.to_string(), view.members.to_string(), bytes(view.quotas.vault_bytes), standing(view).to_owned()]
    })
}

async fn show(view: &TeamView, session: &Session, context: &Context) -> anyhow::Result<()> {
    let Roll { members: people, vault_used_bytes } = team::members(session, view.team).await?;
    let member = |one: &TeamMemberView| match (one.manager, one.state) {
        (true, UserState::Active) => format!("{} (manager)", one.name),
        (false, UserState::Active) => one.name.to_string(),
        (_, state) => format!("{} ({state})", one.name),
    };
    let assigned = view.assigned.iter().map(|one| match one.until_ms {
        Some(until) => format!("{} until {until}", one.name),
        None => one.name.to_string(),
    });
    let count = |quota: Option<u32>| quota.map_or_else(|| "unlimited".to_owned(), |count| count.to_string());
    let quotas = &view.quotas;
    let fields = [
        ("name", view.about.name.to_string()),
        ("id", view.team.to_string()),
        ("description", view.about.description.clone()),
        ("you", standing(view).to_owned()),
        ("members", people.iter().map(member).collect::<Vec<_>>().join(", ")),
        ("assigned to", assigned.collect::<Vec<_>>().join(", ")),
        ("cores", count(quotas.cores)),
        ("memory", bytes(quotas.memory_mib.map(|mebibytes| mebibytes.saturating_mul(MIB)))),
        ("devices", count(quotas.devices)),
        ("drives", bytes(quotas.drive_bytes)),
        ("vault", format!("{} of {}", show::size(vault_used_bytes), bytes(quotas.vault_bytes))),
    ];
    context.output.record(&Shown { view, people: &people, vault_used_bytes }, &fields)
}

/// Does the same for each person.
async fn each(
    people: Vec<UserName>,
    word: &'static str,
    context: &Context,
    act: impl AsyncFn(&UserName) -> Result<(), ClientError>,
) -> anyhow::Result<()> {
    let mut done = Vec::new();
    for name in people {
        let result = act(&name).await;
        done.push(outcome(name, result, word));
    }
    report(done, context)
}

async fn remove(named: Named, teams: &Teams, session: &Session, context: &Context) -> anyhow::Result<()> {
    let team = teams.find(&named.team)?.team;
    let members = team::members(session, team).await?.members;
    let mut done = Vec::new();
    for name in named.people {
        let result = match member(&members, &name) {
            Ok(user) => team::remove(session, team, user).await,
            Err(error) => Err(error),
        };
        done.push(match result {
            Ok(true) => Done {
                person: name,
                project: None,
                result: "removed",
                message: Some("it was their last team; they are inactive now".to_owned()),
            },
            result => outcome(name, result.map(drop), "removed"),
        });
    }
    report(done, context)
}

fn member(members: &[TeamMemberView], name: &UserName) -> Result<UserId, ClientError> {
    let found = members.iter().find(|member| member.name == *name);
    found.map(|member| member.user).ok_or_else(|| ClientError::not_found("they are not in the team; run `ticrypt team show`"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotas_that_are_not_named_stay() {
        let quota = Quota {
            team: "Heart".to_owned(),
            cores: None,
            memory: Some(Limit(Some(MIB + 1))),
            devices: Some(Limit(None)),
            drives: None,
            vault: size("2G").ok(),
        };
        let expected = Quotas { memory_mib: Some(2), devices: None, vault_bytes: Some(2 << 30), ..Quotas::NEW_TEAM };
        assert_eq!(quota.over(Quotas::NEW_TEAM), expected);
        assert!(number("4").is_ok() && number("none").is_ok() && number("many").is_err() && size("-1G").is_err());
    }
}
