//! Requests to join projects, as `ticrypt project join`, `requests` and `answer`.

use clap::Args;
use serde::Serialize;
use ticrypt_api::join::JoinView;
use ticrypt_client::project::join::{self, Requests};
use ticrypt_client::project::{self, Admission, Projects, Terms};
use ticrypt_client::{ClientError, Session};
use ticrypt_types::{UserId, UserName};

use crate::context::Context;
use crate::verbs::each::{Done, outcome, report, users};
use crate::verbs::project::{OnTerms, told};

#[derive(Debug, Args)]
pub struct Join {
    /// Its id, as `ticrypt project show` prints it for its members; or its path, if you see it
    project: String,
    /// Why, for its managers: at most 500 bytes of plain text, which the server reads as well
    #[arg(long, value_name = "TEXT", conflicts_with = "withdraw")]
    message: Option<String>,
    /// Ask no longer
    #[arg(long)]
    withdraw: bool,
}

#[derive(Debug, Args)]
pub struct List {
    /// [default: every project to which you may add people]
    #[arg(conflicts_with = "mine")]
    project: Option<String>,
    /// What you asked for yourself, and what came of it
    #[arg(long)]
    mine: bool,
}

#[derive(Debug, Args)]
pub struct Answer {
    project: String,
    #[arg(required = true, value_name = "PERSON")]
    people: Vec<UserName>,
    #[command(flatten)]
    terms: OnTerms,
    /// Add them to the projects above as well, where they are no members
    #[arg(long)]
    above: bool,
    /// Do not take them in
    #[arg(long, requires = "reason", conflicts_with_all = ["manager", "restrict", "expires", "above"])]
    refuse: bool,
    /// Why not, for who asked: at most 500 bytes of plain text, which the server reads as well
    #[arg(long, value_name = "TEXT", requires = "refuse")]
    reason: Option<String>,
}

#[derive(Serialize)]
struct Listed {
    /// Absent for a project that you do not see.
    path: Option<String>,
    #[serde(flatten)]
    request: JoinView,
}

impl Listed {
    fn project(&self) -> String {
        self.path.clone().unwrap_or_else(|| self.request.project.to_string())
    }
}

pub(super) async fn ask(asked: Join, session: &Session, context: &Context) -> anyhow::Result<()> {
    let project = join::named(&Projects::load(session).await?, &asked.project)?;
    if asked.withdraw {
        join::withdraw(session, project).await?;
        context.output.hint("Withdrawn.");
        return Ok(());
    }
    join::ask(session, project, asked.message.unwrap_or_default()).await?;
    context.output.hint("Asked, if there is such a project. You are told when somebody answers; `ticrypt project requests --mine` lists what you asked for.");
    Ok(())
}

pub(super) async fn list(list: List, session: &Session, context: &Context) -> anyhow::Result<()> {
    let projects = Projects::load(session).await?;
    let project = list.project.as_deref().map(|text| projects.find(text).map(|view| view.project)).transpose()?;
    let which = if list.mine { Requests::Own } else { Requests::Open(project) };
    let path = |request: &JoinView| projects.get(request.project).map(|view| projects.path(view));
    let requests = join::requests(session, which).await?;
    let listed: Vec<Listed> = requests.into_iter().map(|request| Listed { path: path(&request), request }).collect();
    if list.mine {
        return context.output.table(&listed, &["PROJECT", "ASKED", "STATE", "REASON"], |one| {
            let JoinView { asked_ms, state, reason, .. } = &one.request;
            vec![one.project(), asked_ms.to_string(), state.to_string(), reason.clone().unwrap_or_default()]
        });
    }
    if listed.is_empty() {
        context.output.hint("Nobody asks to join a project to which you may add people.");
    }
    context.output.table(&listed, &["PROJECT", "PERSON", "ASKED", "MESSAGE"], |one| {
        let JoinView { name, asked_ms, message, .. } = &one.request;
        vec![one.project(), name.to_string(), asked_ms.to_string(), message.clone()]
    })
}

pub(super) async fn answer(answer: Answer, session: &Session, context: &Context) -> anyhow::Result<()> {
    let projects = Projects::load(session).await?;
    let project = projects.find(&answer.project)?.project;
    let requests = join::requests(session, Requests::Open(Some(project))).await?;
    let request = |name: &UserName| {
        let found = requests.iter().find(|request| request.name == *name);
        found.ok_or_else(|| ClientError::not_found("they do not ask to join it; run `ticrypt project requests`"))
    };
    if answer.refuse {
        let reason = answer.reason.unwrap_or_default();
        let mut done: Vec<Done> = Vec::with_capacity(answer.people.len());
        for name in answer.people {
            let result = match request(&name) {
                Ok(request) => join::refuse(session, project, request.user, reason.clone()).await,
                Err(error) => Err(error),
            };
            done.push(outcome(name, result, "refused"));
        }
        return report(done, context);
    }
    let terms = answer.terms.read()?;
    // Whoever asks is no member, or one whose time has run out.
    let admission = Admission { project, terms: Terms { update: true, ..terms }, above: answer.above };
    let mut found: Vec<(UserName, Result<UserId, ClientError>)> = Vec::with_capacity(answer.people.len());
    for name in answer.people {
        let user = match request(&name) {
            Ok(request) => join::asker(session, request).await,
            Err(error) => Err(error),
        };
        found.push((name, user));
    }
    let refused = project::admit(session, &projects, &admission, &users(&found), &|_| ()).await?;
    report(found.into_iter().map(|(name, user)| told(name, user, &refused, "added")).collect(), context)
}
