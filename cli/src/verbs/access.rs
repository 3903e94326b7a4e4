//! `ticrypt access`: who reaches a thing, and why.

use std::sync::Arc;

use clap::Subcommand;
use ticrypt_api::access::{AccessExplainReply, HeldBy, PersonAccess, SupposedLoss, Verdict, Why};
use ticrypt_client::project::Projects;
use ticrypt_client::vault::{Vault, VaultPath};
use ticrypt_client::{access, certification};
use ticrypt_types::{ProjectId, RequirementId, UserId, UserName};

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
    /// The same as if people had lost a membership or a certification: who would lose what
    WhatIf {
        #[arg(value_name = "PATH", value_parser = path, add = complete::vault_path())]
        path: VaultPath,
        /// [default: everybody who has a key]
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
        Command::WhatIf { path, person, lost } => (path, person, Some(lost.supposed(&vault, &projects).await?)),
    };
    let about: Vec<UserId> = match &person {
        Some(name) if *name == vault.session().me().name => vec![vault.session().user()],
        Some(name) => vec![vault.session().users.lookup(name).await?.user],
        None => Vec::new(),
    };
    let node = vault.locate(&path).await?;
    let reply = access::explain(vault.session(), node, about.clone(), lost).await?;
    if context.output.is_json() {
        return context.output.result(&reply, |_| Ok(()));
    }
    let names = Names { projects: &projects, requirements: requirements(&vault, reply.people.iter()).await? };
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
    let user = vault.session().users.lookup(name).await?.user;
    let reached = access::reach(vault, user, name).await?;
    if reached.is_empty() {
        context.output.hint(&format!("{name} has a key to nothing that you share, and is in no group that you own."));
    }
    let names = Names { projects, requirements: requirements(vault, reached.iter().map(|one| &one.access)).await? };
    context.output.table(&reached, &["PATH", "KEY", "NOW", "WHEN AT WORK ON ITS TAGS", ""], |one| {
        let missing = one.access.tags.iter().find_map(|tag| tag.why_not.as_ref().map(|why| names.advice(why)));
        vec![
            one.path.clone(),
            held_by(one.access.held_by),
            can(&one.access, |verdict| verdict.now.is_some()),
            can(&one.access, |verdict| verdict.then.is_some()),
            missing.unwrap_or_default(),
        ]
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

/// What people call the things that reasons name by their ids.
struct Names<'a> {
    projects: &'a Projects,
    requirements: Vec<(RequirementId, String)>,
}

impl Names<'_> {
    fn project(&self, project: ProjectId) -> String {
        self.projects.get(project).map_or_else(|| project.to_string(), |view| self.projects.path(view))
    }

    fn advice(&self, why: &Why) -> String {
        self.requirements.iter().fold(why.advice.clone(), |text, (id, name)| text.replace(&id.to_string(), name))
    }
}

/// Those that people may see by name, if a reason names any.
async fn requirements(vault: &Vault, people: impl Iterator<Item = &PersonAccess>) -> anyhow::Result<Vec<(RequirementId, String)>> {
    let mut reasons = people.flat_map(|person| &person.tags).filter_map(|tag| tag.why_not.as_ref());
    if !reasons.any(|why| why.code == "uncertified") {
        return Ok(Vec::new());
    }
    let all = certification::requirements(vault.session()).await?;
    Ok(all.into_iter().map(|one| (one.requirement, one.about.name.to_string())).collect())
}

fn held_by(held_by: HeldBy) -> String {
    match held_by {
        HeldBy::Owner => "as its owner".to_owned(),
        HeldBy::Share(verbs) => format!("by a share: {}", verbs.words().join(" ")),
        HeldBy::Member(permissions) if permissions.words().is_empty() => "as a member of its group: read-only".to_owned(),
        HeldBy::Member(permissions) => format!("as a member of its group: {}", permissions.words().join(" ")),
        HeldBy::NameOnly => "to its name only: what is shared is above a tag; share the tagged thing itself".to_owned(),
        HeldBy::Nothing => "none: it is neither theirs nor shared with them, and they are in no group that has it".to_owned(),
    }
}

fn verdict<'a>(person: &'a PersonAccess, asked: &str) -> Option<&'a Verdict> {
    person.verdicts.iter().find(|verdict| verdict.asked == asked)
}

/// What they can do, of those that may come to be or are.
fn can(person: &PersonAccess, why_not: impl Fn(&Verdict) -> bool) -> String {
    let words: Vec<&str> = person.verdicts.iter().filter(|verdict| !why_not(verdict)).map(|verdict| verdict.asked.as_str()).collect();
    if words.is_empty() { "nothing".to_owned() } else { words.join(" ") }
}

fn explain(person: &PersonAccess, names: &Names<'_>, context: &Context) -> anyhow::Result<()> {
    let read = verdict(person, "read");
    let said = match read {
        Some(Verdict { now: None, .. }) => format!("yes: {} reads it", person.name),
        Some(Verdict { then: None, .. }) => format!("not now: {} logs in again where that is new, and works on its tags", person.name),
        _ => format!("no: {} does not read it, whatever they do themselves", person.name),
    };
    let mut fields = vec![("reads it", said), ("key", held_by(person.held_by))];
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
        let missing = person.tags.iter().find_map(|tag| tag.why_not.as_ref().map(|why| names.advice(why)));
        vec![
            person.name.to_string(),
            held_by(person.held_by),
            can(person, |verdict| verdict.now.is_some()),
            can(person, |verdict| verdict.then.is_some()),
            missing.unwrap_or_default(),
        ]
    })
}

/// Those of whom the loss takes anything.
fn what_if(
    now: &AccessExplainReply,
    then: &AccessExplainReply,
    names: &Names<'_>,
    lost: SupposedLoss,
    context: &Context,
) -> anyhow::Result<()> {
    let loses = |person: &&PersonAccess| now.people.iter().any(|before| before.user == person.user && before.verdicts != person.verdicts);
    let losing: Vec<&PersonAccess> = then.people.iter().filter(loses).collect();
    if losing.is_empty() {
        let what = match lost {
            SupposedLoss::Membership(project) => format!("membership of {}", names.project(project)),
            SupposedLoss::Certification(_) => "that certification".to_owned(),
        };
        context.output.hint(&format!("Nobody loses anything here by losing {what}."));
        return Ok(());
    }
    context.output.table(&losing, &["PERSON", "COULD", "COULD THEN", ""], |person| {
        let before = now.people.iter().find(|before| before.user == person.user);
        let missing = person.tags.iter().find_map(|tag| tag.why_not.as_ref().map(|why| names.advice(why)));
        vec![
            person.name.to_string(),
            before.map(|before| can(before, |verdict| verdict.then.is_some())).unwrap_or_default(),
            can(person, |verdict| verdict.then.is_some()),
            missing.unwrap_or_default(),
        ]
    })
}
