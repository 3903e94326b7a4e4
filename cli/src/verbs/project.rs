//! `ticrypt project`: making projects, and who is in them.

use clap::{Args, Subcommand};
use serde::Serialize;
use ticrypt_api::project::{MemberRefused, MemberView, ProjectAbout, ProjectView};
use ticrypt_client::project::{self, Projects, Terms};
use ticrypt_client::{ClientError, Session, certification};
use ticrypt_types::{Colour, MemberRole, ProjectId, Restrictions, Tag, Timestamp, Title, UserId, UserName};

use crate::context::Context;
use crate::verbs::each::{Done, Found, look_up, outcome, report, users};
use crate::verbs::join;
use crate::verbs::work::moment;

/// What a tag is coloured like if nobody says.
const COLOUR: &str = "#6b7280";

#[derive(Debug, Subcommand)]
pub enum Command {
    /// List the projects you see, as trees
    List,
    /// Show a project and how you stand in it
    Show { project: String },
    /// Make a project; you become its first member, a manager and its principal investigator
    Create(Create),
    /// Change name, tag, colour, description, level or principal investigator
    Change(Change),
    /// Delete a project that tags nothing and has none below it
    Delete { project: String },
    /// List the members you may see
    Members { project: String },
    /// Add people, or change the terms of members
    ///
    /// Whoever is in a project is in the one above it: with --above they are added there too, as users. They can work in it after their next
    /// login.
    Add(Add),
    /// Take people out; what is below is suspended for them, and what they have open is cut
    Remove {
        project: String,
        #[arg(required = true, value_name = "PERSON")]
        people: Vec<UserName>,
    },
    /// Ask to be taken into a project
    ///
    /// Its managers answer. Whether there is a project with that id is not told: one that does not exist never answers.
    Join(join::Join),
    /// List who asks to join the projects to which you may add people; or with --mine what you asked for
    Requests(join::List),
    /// Take in people who asked to join, on the terms you choose; or with --refuse say why not
    ///
    /// The same as `ticrypt project add` for who asked: they can work in it after their next login.
    Answer(join::Answer),
}

#[derive(Debug, Args)]
pub struct Create {
    /// What it is called
    name: Title,
    /// The project above it; without, it begins a tree of its own
    #[arg(long, value_name = "PROJECT")]
    below: Option<String>,
    #[command(flatten)]
    about: About,
}

#[derive(Debug, Args)]
pub struct Change {
    project: String,
    #[arg(long)]
    name: Option<Title>,
    #[command(flatten)]
    about: About,
    /// Ask for no certification any more; what the projects above ask for is asked all the same
    #[arg(long, conflicts_with = "level")]
    no_level: bool,
    /// The principal investigator, a member
    #[arg(long, value_name = "PERSON")]
    pi: Option<UserName>,
}

#[derive(Debug, Args)]
struct About {
    /// Shown beside what carries it, at most 24 characters [default: the name, cut]
    #[arg(long, value_name = "TEXT")]
    tag: Option<Tag>,
    /// Of the tag, like #1f77b4
    #[arg(long, value_name = "COLOUR")]
    colour: Option<Colour>,
    #[arg(long, value_name = "TEXT")]
    description: Option<String>,
    /// What its members are certified for
    #[arg(long, value_name = "LEVEL")]
    level: Option<String>,
}

#[derive(Debug, Args)]
pub struct Add {
    project: String,
    #[arg(required = true, value_name = "PERSON")]
    people: Vec<UserName>,
    /// Add them to these projects as well, on the same terms
    #[arg(long, num_args = 1.., value_name = "PROJECT")]
    also: Vec<String>,
    #[command(flatten)]
    terms: OnTerms,
    /// Change the terms of those who are members already, instead of leaving them as they are
    #[arg(long)]
    update: bool,
    /// Add them to the projects above as well, where they are no members
    #[arg(long)]
    above: bool,
}

/// The terms of a membership.
#[derive(Debug, Args)]
pub(super) struct OnTerms {
    /// They add and remove members, and may declassify
    #[arg(long)]
    manager: bool,
    /// What is withheld from them: `no-view`, `no-download`, `no-edit`, `no-transfer`
    #[arg(long, num_args = 1.., value_name = "RESTRICTION", value_parser = restriction)]
    restrict: Vec<Restrictions>,
    /// When the membership ends by itself, as `30d` or `2027-01-31`
    #[arg(long, value_name = "WHEN")]
    expires: Option<String>,
}

impl OnTerms {
    /// Who is a member already keeps theirs.
    pub(super) fn read(&self) -> Result<Terms, ClientError> {
        Ok(Terms {
            role: if self.manager { MemberRole::Manager } else { MemberRole::User },
            restrictions: self.restrict.iter().copied().fold(Restrictions::NONE, Restrictions::and),
            expires_ms: self.expires.as_deref().map(moment).transpose()?,
            update: false,
        })
    }
}

fn restriction(word: &str) -> Result<Restrictions, &'static str> {
    Restrictions::from_words([word]).ok_or("`no-view`, `no-download`, `no-edit` or `no-transfer`")
}

#[derive(Serialize)]
struct Listed<'a> {
    path: String,
    #[serde(flatten)]
    view: &'a ProjectView,
}

pub async fn run(command: Command, context: &Context) -> anyhow::Result<()> {
    let session = context.session().await?;
    match command {
        Command::List => list(&Projects::load(&session).await?, context),
        Command::Show { project } => show(&project, &session, context).await,
        Command::Create(create) => self::create(create, &session, context).await,
        Command::Change(change) => self::change(change, &session, context).await,
        Command::Delete { project } => {
            let projects = Projects::load(&session).await?;
            Ok(project::delete(&session, projects.find(&project)?.project).await?)
        }
        Command::Members { project } => {
            let projects = Projects::load(&session).await?;
            members(&project::members(&session, projects.find(&project)?.project).await?, context)
        }
        Command::Add(add) => self::add(add, &session, context).await,
        Command::Remove { project, people } => remove(&project, people, &session, context).await,
        Command::Join(join) => join::ask(join, &session, context).await,
        Command::Requests(list) => join::list(list, &session, context).await,
        Command::Answer(answer) => join::answer(answer, &session, context).await,
    }
}

/// What one may do in a project, in words.
fn standing(view: &ProjectView) -> String {
    let Some(own) = &view.own else { return "no member".to_owned() };
    let mut words = vec![own.role.to_string()];
    words.extend(own.restrictions.words().into_iter().map(str::to_owned));
    if let Some(missing) = &own.missing {
        words.push(missing.replace('_', " "));
    }
    words.join(", ")
}

fn list(projects: &Projects, context: &Context) -> anyhow::Result<()> {
    let order = projects.in_order();
    let rows: Vec<(usize, Listed<'_>)> =
        order.into_iter().map(|(depth, view)| (depth, Listed { path: projects.path(view), view })).collect();
    if context.output.is_json() {
        let values: Vec<&Listed<'_>> = rows.iter().map(|(_, row)| row).collect();
        return context.output.table(&values, &[], |_| Vec::new());
    }
    if rows.is_empty() {
        context
            .output
            .hint("You are in no project. A project's manager adds you; with the permission, `ticrypt project create` makes one.");
    }
    let lines: Vec<Vec<String>> = rows
        .iter()
        .map(|(depth, row)| {
            let works = row.view.own.as_ref().is_some_and(|own| own.working);
            let mark = if works { "*" } else { " " };
            let about = &row.view.about;
            vec![format!("{mark} {}{}", "  ".repeat(*depth), about.name), about.tag.to_string(), standing(row.view)]
        })
        .collect();
    context.output.table(&lines, &["  NAME", "TAG", "YOU"], Clone::clone)
}

async fn show(text: &str, session: &Session, context: &Context) -> anyhow::Result<()> {
    let projects = Projects::load(session).await?;
    let view = projects.find(text)?;
    let mut fields = vec![
        ("path", projects.path(view)),
        ("id", view.project.to_string()),
        ("tag", format!("{} {}", view.about.tag, view.about.colour)),
        ("description", view.about.description.clone()),
        ("you", standing(view)),
    ];
    if let Some(level) = view.about.level {
        let levels = certification::levels(session).await?;
        let name = levels.iter().find(|one| one.level == level).map_or_else(|| level.to_string(), |one| one.about.name.to_string());
        fields.push(("level", name));
    }
    if let Some(advice) = view.own.as_ref().and_then(|own| own.advice.clone()) {
        fields.push(("advice", advice));
    }
    context.output.record(&Listed { path: projects.path(view), view }, &fields)
}

async fn create(create: Create, session: &Session, context: &Context) -> anyhow::Result<()> {
    let projects = Projects::load(session).await?;
    let parent = create.below.as_deref().map(|below| projects.find(below).map(|view| view.project)).transpose()?;
    let tag = match create.about.tag {
        Some(tag) => tag,
        None => project::tag_of(&create.name)?,
    };
    let colour = match create.about.colour {
        Some(colour) => colour,
        None => COLOUR.parse()?,
    };
    let level = level(create.about.level.as_deref(), session).await?;
    let about = ProjectAbout { name: create.name, tag, colour, description: create.about.description.unwrap_or_default(), level };
    let made = project::create(session, parent, about).await?;
    context.output.hint("Made. Log in again to work in it.");
    context.output.result(&made, |out| writeln!(out, "{made}"))
}

async fn level(text: Option<&str>, session: &Session) -> anyhow::Result<Option<ticrypt_types::LevelId>> {
    match text {
        Some(text) => Ok(Some(certification::level(session, text).await?.level)),
        None => Ok(None),
    }
}

async fn change(change: Change, session: &Session, context: &Context) -> anyhow::Result<()> {
    let projects = Projects::load(session).await?;
    let view = projects.find(&change.project)?;
    let given = level(change.about.level.as_deref(), session).await?;
    let before = view.about.clone();
    let about = ProjectAbout {
        name: change.name.unwrap_or(before.name),
        tag: change.about.tag.unwrap_or(before.tag),
        colour: change.about.colour.unwrap_or(before.colour),
        description: change.about.description.unwrap_or(before.description),
        level: if change.no_level { None } else { given.or(before.level) },
    };
    let pi = match &change.pi {
        Some(name) => Some(session.users.lookup(name).await?.user),
        None => None,
    };
    project::change(session, view, about, pi).await?;
    context.output.hint("Changed.");
    Ok(())
}

fn members(members: &[MemberView], context: &Context) -> anyhow::Result<()> {
    context.output.table(members, &["NAME", "ROLE", "RESTRICTIONS", "EXPIRES"], |member| {
        let mut role = if member.is_pi { format!("{}, principal investigator", member.role) } else { member.role.to_string() };
        if member.withdrawn {
            role = "out; a manager's next change takes them off the list".to_owned();
        }
        let expires = member.expires_ms.map_or_else(|| "never".to_owned(), |at: Timestamp| at.to_string());
        vec![member.name.to_string(), role, member.restrictions.words().join(" "), expires]
    })
}

async fn add(add: Add, session: &Session, context: &Context) -> anyhow::Result<()> {
    let projects = Projects::load(session).await?;
    let into = std::iter::once(&add.project).chain(&add.also).map(|text| Ok(projects.find(text)?.project));
    let into = into.collect::<Result<Vec<_>, ClientError>>()?;
    let terms = Terms { update: add.update, ..add.terms.read()? };
    let found = look_up(session, add.people).await;
    let people = users(&found);
    let bar = context.output.count_bar((into.len() * people.len()) as u64, "adding");
    let step = |done| bar.set_position(done as u64);
    let mut admitted = project::admit_to_each(session, &projects, &into, terms, add.above, &people, &step).await;
    bar.finish_and_clear();
    if let [(_, admitted)] = &mut admitted[..] {
        let refused = std::mem::replace(admitted, Ok(Vec::new()))?;
        return report(found.into_iter().map(|(name, user)| told(name, user, &refused, "added")).collect(), context);
    }
    report(admitted.into_iter().flat_map(|(project, admitted)| in_project(project, admitted, &found, &projects)).collect(), context)
}

/// What came of everybody in one of several projects.
fn in_project(project: ProjectId, admitted: Result<Vec<MemberRefused>, ClientError>, found: &[Found], projects: &Projects) -> Vec<Done> {
    let path = projects.get(project).map(|view| projects.path(view));
    let again = |error: &ClientError| ClientError::refused(error.code(), error.to_string());
    let of = |(name, user): &Found| {
        let user = user.as_ref().copied().map_err(again);
        let done = match &admitted {
            Ok(refused) => told(name.clone(), user, refused, "added"),
            Err(error) => outcome(name.clone(), user.and_then(|_| Err(again(error))), "added"),
        };
        Done { project: path.clone(), ..done }
    };
    found.iter().map(of).collect()
}

async fn remove(text: &str, people: Vec<UserName>, session: &Session, context: &Context) -> anyhow::Result<()> {
    let projects = Projects::load(session).await?;
    let view = projects.find(text)?;
    let members = project::members(session, view.project).await?;
    let found = |name: &UserName| match members.iter().find(|member| member.name == *name) {
        Some(member) => Ok(member.user),
        None => Err(ClientError::not_found("they are no member that you can see; run `ticrypt project members`")),
    };
    let found: Vec<(UserName, Result<UserId, ClientError>)> = people.into_iter().map(|name| (name.clone(), found(&name))).collect();
    let refused = project::take_out(session, view, &users(&found), &|_| ()).await?;
    report(found.into_iter().map(|(name, user)| told(name, user, &refused, "removed")).collect(), context)
}

/// What came of one of them.
pub(super) fn told(person: UserName, found: Result<UserId, ClientError>, refused: &[MemberRefused], word: &'static str) -> Done {
    let result = found.and_then(|user| match refused.iter().find(|one| one.user == user) {
        None => Ok(()),
        Some(one) => Err(ClientError::refused(&one.code, one.message.clone())),
    });
    outcome(person, result, word)
}
