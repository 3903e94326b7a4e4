//! `ticrypt access`: who reaches a thing, and why.

use std::sync::Arc;

use clap::Subcommand;
use ticrypt_api::access::{AccessExplainReply, PersonAccess, PersonLosses, SupposedLoss, Why};
use ticrypt_client::access::words::{Names, can_now, can_then, held_by, losing, reading};
use ticrypt_client::project::Projects;
use ticrypt_client::vault::{Vault, VaultPath};
use ticrypt_client::{access, certification};
use ticrypt_types::{UserId, UserName};

use crate::context::Context;
use crate::vault::{complete, path};
use crate::verbs::work::moment;

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Say whether somebody reaches a thing, by which key and which memberships, or which rule refuses and what would have to change
    Explain {
        #[arg(value_name = "PATH", value_parser = path, add = complete::vault_path())]
        path: VaultPath,
        /// [default: you]
        person: Option<UserName>,
    },
    /// List everybody who has a key to a thing, and what they can do with it
    Who {
        #[arg(value_name = "PATH", value_parser = path, add = complete::vault_path())]
        path: VaultPath,
    },
    /// List what somebody has a key to, of what you share and of the groups you own
    Reach { person: UserName },
    /// List what ends by the clock: your memberships, certifications and shares, and those of the people you look after
    Ending {
        /// As `30d` or `2027-01-31`
        #[arg(long, value_name = "WHEN", default_value = "30d")]
        within: String,
    },
    /// Say who would lose what, if people had lost a membership or a certification; nothing is changed by asking
    WhatIf {
        /// [default: everything in your tree and in those of the groups you own]
        #[arg(value_name = "PATH", value_parser = path, add = complete::vault_path())]
        path: Option<VaultPath>,
        /// Whose loss it is [default: of everybody who has a key]
        #[arg(long, value_name = "PERSON")]
        person: Option<UserName>,
        #[command(flatten)]
        lost: Lost,
    },
}

#[derive(Debug, clap::Args)]
#[group(required = true, multiple = false)]
pub struct Lost {
    /// A membership of this project
    #[arg(long, value_name = "PROJECT")]
    project: Option<String>,
    /// A certification for this requirement
    #[arg(long, value_name = "REQUIREMENT")]
    certification: Option<String>,
}

pub async fn run(command: Command, context: &Context) -> anyhow::Result<()> {
    let vault = Vault::new(Arc::new(context.session().await?));
    let projects = Projects::load(vault.session()).await?;
    let (path, person, lost) = match command {
        Command::Reach { person } => return reach(&person, &vault, &projects, context).await,
        Command::Ending { within } => return ending(&within, &vault, context).await,
        Command::Explain { path, person } => {
            let person = Some(person.unwrap_or_else(|| vault.session().me().name.clone()));
            (path, person, None)
        }
        Command::Who { path } => (path, None, None),
        Command::WhatIf { path, person, lost } => {
            let lost = lost.supposed(&vault, &projects).await?;
            let Some(path) = path else { return over_all(person.as_ref(), lost, &vault, &projects, context).await };
            (path, person, Some(lost))
        }
    };
    let about: Vec<UserId> = match &person {
        Some(name) => vec![access::subject(vault.session(), name).await?],
        None => Vec::new(),
    };
    let node = vault.locate(&path).await?;
    let reply = access::explain(vault.session(), node, about.clone(), lost).await?;
    if context.output.is_json() {
        return context.output.result(&reply, |_| Ok(()));
    }
    let names = Names::load(vault.session(), &projects, &reply.people.iter().collect::<Vec<_>>(), lost).await?;
    if let (Some(_), [person]) = (&person, &reply.people[..])
        && lost.is_none()
    {
        return explain(person, &names, context);
    }
    if let Some(lost) = lost {
        // Compared with how it is.
        let now = access::explain(vault.session(), node, about, None).await?;
        return what_if(&now, &reply, &names, lost, context);
    }
    who(&reply, &names, context)
}

async fn reach(name: &UserName, vault: &Vault, projects: &Projects, context: &Context) -> anyhow::Result<()> {
    let user = access::subject(vault.session(), name).await?;
    let reached = access::reach(vault, user, name).await?;
    if reached.is_empty() {
        context.output.hint(&format!("{name} has a key to nothing that you share, and is in no group that you own."));
    }
    let people: Vec<&PersonAccess> = reached.iter().map(|one| &one.access).collect();
    let names = Names::load(vault.session(), projects, &people, None).await?;
    context.output.table(&reached, &["PATH", "KEY", "NOW", "WHEN AT WORK ON ITS TAGS", ""], |one| {
        let access = &one.access;
        vec![one.path.clone(), held_by(access.held_by), can_now(access), can_then(access), names.missing(access).unwrap_or_default()]
    })
}

async fn ending(within: &str, vault: &Vault, context: &Context) -> anyhow::Result<()> {
    let endings = access::ending(vault, moment(within)?).await?;
    if endings.is_empty() {
        context.output.hint("Nothing ends until then that you could see.");
    }
    context.output.table(&endings, &["ENDS", "PERSON", "WHAT", "OF"], |one| {
        vec![one.ends_ms.to_string(), one.person.to_string(), one.what.to_owned(), one.of.clone()]
    })
}

impl Lost {
    async fn supposed(&self, vault: &Vault, projects: &Projects) -> anyhow::Result<SupposedLoss> {
        Ok(match (&self.project, &self.certification) {
            (Some(project), _) => SupposedLoss::Membership(projects.find(project)?.project),
            (None, text) => {
                let text = text.as_deref().unwrap_or_default();
                SupposedLoss::Certification(certification::requirement(vault.session(), text).await?.requirement)
            }
        })
    }
}

fn explain(person: &PersonAccess, names: &Names<'_>, context: &Context) -> anyhow::Result<()> {
    let mut fields = vec![("reads it", reading(person)), ("key", held_by(person.held_by))];
    for tag in &person.tags {
        let why = match (&tag.why_not, tag.is_active) {
            (Some(why), _) => names.advice(why),
            (None, true) => "works in it".to_owned(),
            (None, false) => "may work in it, and does not now".to_owned(),
        };
        fields.push(("tag", format!("{}: {why}", names.project(tag.project))));
    }
    context.output.record(person, &fields)?;
    context.output.table(&person.verdicts, &["MAY", "NOW", "WHEN AT WORK ON ITS TAGS"], |verdict| {
        let said = |why: &Option<Why>| why.as_ref().map_or_else(|| "yes".to_owned(), |why| names.advice(why));
        vec![verdict.asked.clone(), said(&verdict.now), said(&verdict.then)]
    })
}

fn who(reply: &AccessExplainReply, names: &Names<'_>, context: &Context) -> anyhow::Result<()> {
    if reply.more {
        context.output.warn("more people than these have a key to it");
    }
    context.output.table(&reply.people, &["PERSON", "KEY", "NOW", "WHEN AT WORK ON ITS TAGS", ""], |person| {
        vec![person.name.to_string(), held_by(person.held_by), can_now(person), can_then(person), names.missing(person).unwrap_or_default()]
    })
}

/// The same over everything of one's own.
async fn over_all(
    person: Option<&UserName>,
    lost: SupposedLoss,
    vault: &Vault,
    projects: &Projects,
    context: &Context,
) -> anyhow::Result<()> {
    let about = match person {
        Some(name) => vec![access::subject(vault.session(), name).await?],
        None => Vec::new(),
    };
    let things = access::losses(vault, about, lost).await?;
    let rows: Vec<(&access::Lost, &PersonLosses)> =
        things.iter().flat_map(|thing| thing.people.iter().map(move |one| (thing, one))).collect();
    if context.output.is_json() {
        return context.output.result(&things, |_| Ok(()));
    }
    let people: Vec<&PersonAccess> = rows.iter().map(|(_, one)| &one.without).collect();
    let names = Names::load(vault.session(), projects, &people, Some(lost)).await?;
    if rows.is_empty() {
        context.output.hint(&format!("Nobody loses anything of yours by losing {}.", names.loss(lost)));
        return Ok(());
    }
    if things.iter().any(|thing| thing.more) {
        context.output.warn("of some things more people than these have a key");
    }
    let row = |(thing, one): &(&access::Lost, &PersonLosses)| {
        let missing = names.missing(&one.without).unwrap_or_default();
        [thing.path.clone(), one.now.name.to_string(), can_then(&one.now), can_then(&one.without), missing]
    };
    context.output.table(&rows.iter().map(row).collect::<Vec<_>>(), &["PATH", "PERSON", "COULD", "COULD THEN", ""], |row| row.to_vec())
}

/// Those of whom the loss takes anything.
fn what_if(
    now: &AccessExplainReply,
    then: &AccessExplainReply,
    names: &Names<'_>,
    lost: SupposedLoss,
    context: &Context,
) -> anyhow::Result<()> {
    let losing = losing(now, then);
    if losing.is_empty() {
        context.output.hint(&format!("Nobody loses anything here by losing {}.", names.loss(lost)));
        return Ok(());
    }
    let people: Vec<&PersonAccess> = losing.iter().map(|(_, person)| *person).collect();
    context.output.table(&people, &["PERSON", "COULD", "COULD THEN", ""], |person| {
        let before = losing.iter().find(|(before, _)| before.user == person.user);
        vec![
            person.name.to_string(),
            before.map(|(before, _)| can_then(before)).unwrap_or_default(),
            can_then(person),
            names.missing(person).unwrap_or_default(),
        ]
    })
}
