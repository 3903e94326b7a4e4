//! `ticrypt profile`: sets of permissions with names, and giving them to people.

use std::collections::BTreeSet;

use clap::{Args, Subcommand};
use serde::Serialize;
use ticrypt_api::profile::{ProfileAbout, ProfileView};
use ticrypt_api::user::UserView;
use ticrypt_client::project::Projects;
use ticrypt_client::team::Teams;
use ticrypt_client::{ClientError, Session, profile, project, team};
use ticrypt_types::{Permission, Permissions, Title, UserName};

use crate::context::Context;
use crate::verbs::each::{outcomes, report};
use crate::verbs::users::{Found, held, views};

#[derive(Debug, Subcommand)]
pub enum Command {
    /// List all profiles
    List,
    /// Show what a profile gives, and to how many people it was applied last
    Show { profile: String },
    /// Make a profile; you put into it only what you have yourself
    Create(Create),
    /// Change a profile; whoever it was applied to keeps what they have until it is applied again
    Change(Change),
    /// Delete a profile; whoever it was applied to keeps what they have
    Delete { profile: String },
    /// Give people the permissions of a profile, all of them and no others
    ///
    /// What they had besides is taken away. You give and take only what you have yourself. Their rank stays as it is. To undo it, apply another profile.
    Apply(Apply),
}

#[derive(Debug, Args)]
pub struct Create {
    /// What it is called
    name: Title,
    #[arg(long, value_name = "TEXT")]
    description: Option<String>,
    /// Permissions it gives, e.g. `project.create`; `ticrypt users permissions` lists them all
    #[arg(long, num_args = 1.., value_name = "PERMISSION")]
    give: Vec<Permission>,
    /// The permissions of another profile as well
    #[arg(long, value_name = "PROFILE")]
    like: Option<String>,
    /// The permissions of a new account as well
    #[arg(long)]
    basic: bool,
}

#[derive(Debug, Args)]
pub struct Change {
    profile: String,
    #[arg(long)]
    name: Option<Title>,
    #[arg(long, value_name = "TEXT")]
    description: Option<String>,
    /// Permissions it gives from now on
    #[arg(long, num_args = 1.., value_name = "PERMISSION")]
    give: Vec<Permission>,
    /// Permissions it gives no more
    #[arg(long, num_args = 1.., value_name = "PERMISSION")]
    take: Vec<Permission>,
}

#[derive(Debug, Args)]
pub struct Apply {
    profile: String,
    #[arg(value_name = "PERSON")]
    people: Vec<UserName>,
    /// Everybody in this team
    #[arg(long, num_args = 1.., value_name = "TEAM")]
    team: Vec<String>,
    /// Everybody in this project
    #[arg(long, num_args = 1.., value_name = "PROJECT")]
    project: Vec<String>,
    /// Only show what it would give to whom, and take from whom
    #[arg(long)]
    preview: bool,
}

pub async fn run(command: Command, context: &Context) -> anyhow::Result<()> {
    let session = context.session().await?;
    match command {
        Command::List => list(&profile::list(&session).await?, context),
        Command::Show { profile } => show(&profile::find(&session, &profile).await?, context),
        Command::Create(create) => {
            let like = match &create.like {
                Some(like) => profile::find(&session, like).await?.about.permissions,
                None => Permissions::NONE,
            };
            let basic = if create.basic { Permissions::basic() } else { Permissions::NONE };
            let permissions = like.iter().chain(basic.iter()).chain(create.give).collect();
            let about = ProfileAbout { name: create.name, description: create.description.unwrap_or_default(), permissions };
            let made = profile::set(&session, None, about).await?;
            context.output.result(&made, |out| writeln!(out, "{made}"))
        }
        Command::Change(change) => {
            let before = profile::find(&session, &change.profile).await?;
            let ProfileAbout { name, description, permissions } = before.about.clone();
            let about = ProfileAbout {
                name: change.name.unwrap_or(name),
                description: change.description.unwrap_or(description),
                permissions: permissions.iter().chain(change.give).filter(|permission| !change.take.contains(permission)).collect(),
            };
            profile::set(&session, Some(&before), about).await?;
            match before.people {
                0 => context.output.hint("Changed."),
                people => context.output.hint(&format!("Changed. {people} keep what they have until it is applied again.")),
            }
            Ok(())
        }
        Command::Delete { profile } => Ok(profile::delete(&session, profile::find(&session, &profile).await?.profile).await?),
        Command::Apply(apply) => self::apply(apply, &session, context).await,
    }
}

fn list(profiles: &[ProfileView], context: &Context) -> anyhow::Result<()> {
    if profiles.is_empty() {
        context.output.hint("There is no profile yet; make one with `ticrypt profile create`.");
    }
    context.output.table(profiles, &["NAME", "GIVES", "PEOPLE", "DESCRIPTION"], |view| {
        let about = &view.about;
        vec![about.name.to_string(), about.permissions.iter().count().to_string(), view.people.to_string(), about.description.clone()]
    })
}

fn show(view: &ProfileView, context: &Context) -> anyhow::Result<()> {
    let about = &view.about;
    let fields = [
        ("name", about.name.to_string()),
        ("id", view.profile.to_string()),
        ("description", about.description.clone()),
        ("people", view.people.to_string()),
        ("gives", words(about.permissions.iter())),
    ];
    context.output.record(view, &fields)
}

fn words(permissions: impl IntoIterator<Item = Permission>) -> String {
    permissions.into_iter().map(Permission::word).collect::<Vec<_>>().join(", ")
}

async fn apply(apply: Apply, session: &Session, context: &Context) -> anyhow::Result<()> {
    let profile = profile::find(session, &apply.profile).await?;
    let people = people(&apply, session).await?;
    let found = views(people, session).await?;
    if apply.preview {
        return preview(&profile, &found, context);
    }
    give(&profile, found, session, context).await
}

/// Those named, in the order in which they are, and then those of teams and projects; nobody twice.
async fn people(apply: &Apply, session: &Session) -> anyhow::Result<Vec<UserName>> {
    let mut people = apply.people.clone();
    // Nobody changes their own account, and whoever says "everybody in the team" does not mean that.
    let own = &session.me().name;
    if !apply.team.is_empty() {
        let teams = Teams::load(session).await?;
        for text in &apply.team {
            let members = team::members(session, teams.find(text)?.team).await?.members;
            people.extend(members.into_iter().map(|member| member.name).filter(|name| name != own));
        }
    }
    if !apply.project.is_empty() {
        let projects = Projects::load(session).await?;
        for text in &apply.project {
            let members = project::members(session, projects.find(text)?.project).await?;
            people.extend(members.into_iter().map(|member| member.name).filter(|name| name != own));
        }
    }
    let mut seen = BTreeSet::new();
    people.retain(|name| seen.insert(name.clone()));
    if people.is_empty() {
        return Err(ClientError::invalid("that is nobody; name people, a team with --team, or a project with --project").into());
    }
    Ok(people)
}

fn preview<'a>(profile: &ProfileView, found: &'a [Found], context: &Context) -> anyhow::Result<()> {
    #[derive(Serialize)]
    struct Row<'a> {
        person: &'a UserName,
        gives: String,
        takes: String,
    }
    let row = |(person, view): &'a Found| -> Result<Row<'a>, ClientError> {
        let view = view.as_ref().map_err(|error| ClientError::not_found(error.to_string()))?;
        let (gives, takes) = profile::would_change(profile, view);
        Ok(Row { person, gives: words(gives), takes: words(takes) })
    };
    let rows = found.iter().map(row).collect::<Result<Vec<_>, _>>()?;
    context.output.table(&rows, &["PERSON", "GIVES", "TAKES"], |row| vec![row.person.to_string(), row.gives.clone(), row.takes.clone()])
}

/// Whoever has it already is done.
pub(super) async fn give(profile: &ProfileView, found: Vec<Found>, session: &Session, context: &Context) -> anyhow::Result<()> {
    let needs = |view: &UserView| !profile::is_applied(profile, view);
    let whom: Vec<_> = found.iter().filter_map(|(_, view)| view.as_ref().ok()).filter(|view| needs(view)).map(|view| view.user).collect();
    let bar = context.output.count_bar(whom.len() as u64, "applying");
    let results = profile::apply(session, profile, &whom, &|done| bar.set_position(done)).await;
    bar.finish_and_clear();
    let (found, results) = held(found, results?, needs);
    report(outcomes(found, results, "done"), context)
}
