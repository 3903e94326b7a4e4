//! `ticrypt work`: the projects one works in.

use clap::Args;
use serde::Serialize;
use ticrypt_client::project::{self, Projects};
use ticrypt_client::{ClientError, clock, when};
use ticrypt_types::{ProjectId, Timestamp};

use crate::context::Context;

/// Without arguments: shows the projects you work in.
///
/// You work in one project of a tree at a time, on all your devices at once. You read what carries its tag, or the tag of a project above it,
/// and what carries none; you write where the tags are the same. To write what carries no tag, work in none.
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub struct Arguments {
    /// Names, tags or paths like Federal/Florida; at most one of each tree
    #[arg(value_name = "PROJECT", conflicts_with = "none")]
    projects: Vec<String>,
    /// Work in no project
    #[arg(long)]
    none: bool,
}

#[derive(Serialize)]
struct Working {
    project: ProjectId,
    path: String,
    /// What is missing, so that it is dead weight: nothing is written until you work elsewhere.
    missing: Option<String>,
}

pub async fn run(arguments: Arguments, context: &Context) -> anyhow::Result<()> {
    let session = context.session().await?;
    let mut projects = Projects::load(&session).await?;
    if arguments.none || !arguments.projects.is_empty() {
        let wanted = arguments.projects.iter().map(|text| projects.find(text).map(|view| view.project));
        project::work_in(&session, wanted.collect::<Result<_, _>>()?).await?;
        projects = Projects::load(&session).await?;
    }
    let working: Vec<Working> = projects
        .working()
        .map(|view| Working {
            project: view.project,
            path: projects.path(view),
            missing: view.own.as_ref().and_then(|own| own.advice.clone()),
        })
        .collect();
    if working.is_empty() {
        context.output.hint("You work in no project: on what carries no tag.");
    }
    context.output.table(&working, &["PROJECT", ""], |one| vec![one.path.clone(), one.missing.clone().unwrap_or_default()])
}

/// A point in time as people type it.
pub(super) fn moment(text: &str) -> Result<Timestamp, ClientError> {
    when::parse(text, clock::now()).ok_or_else(|| ClientError::invalid(format!("`{text}` is not a time; try `30d` or `2027-01-31`")))
}
