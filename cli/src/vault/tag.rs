//! `ticrypt tag`.

use clap::Args;
use serde::Serialize;
use ticrypt_client::project::Projects;
use ticrypt_client::vault::VaultPath;
use ticrypt_types::ProjectId;

use super::bar::{Bar, Counted};
use super::{complete, finished, on_interrupt, open, path};
use crate::context::Context;

/// With a path alone: shows its tags, and those it has from above.
///
/// Who opens a tagged thing works in its project (`ticrypt work`), and so does who tags it; taking a tag away is for the project's managers.
/// A tagged thing has keys of its own: those it is shared with itself keep it, and who has only the directory above it sees its name.
/// What is inside gets new keys as well; that may be interrupted and given again with `ticrypt rekey`.
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub struct Arguments {
    #[arg(value_name = "PATH", value_parser = path, add = complete::vault_path())]
    path: VaultPath,
    /// All the tags it is to have itself: names, tags or paths like Federal/Florida; at most one of each tree
    #[arg(value_name = "PROJECT", conflicts_with = "none")]
    projects: Vec<String>,
    /// Take its tags away
    #[arg(long)]
    none: bool,
}

#[derive(Serialize)]
struct Row {
    project: ProjectId,
    /// The names from the root of the tree down; absent for a project one does not see.
    path: Option<String>,
    /// Of the thing itself, not of a directory above it.
    own: bool,
}

pub(super) async fn run(arguments: Arguments, context: &Context) -> anyhow::Result<()> {
    let vault = open(context).await?;
    let projects = Projects::load(vault.session()).await?;
    if arguments.none || !arguments.projects.is_empty() {
        let wanted = arguments.projects.iter().map(|text| projects.find(text).map(|view| view.project));
        let wanted: Vec<ProjectId> = wanted.collect::<Result<_, _>>()?;
        let bar = Counted(Bar::count(&context.output, "new keys"));
        let done = vault.tag(&arguments.path, &wanted, &bar, &on_interrupt()).await;
        bar.0.done();
        finished(&done?)?;
    }
    let found = vault.resolve(&arguments.path).await?;
    let own = found.own_tags();
    let row =
        |project: ProjectId| Row { project, path: projects.get(project).map(|view| projects.path(view)), own: own.contains(&project) };
    let rows: Vec<Row> = found.tags().into_iter().map(row).collect();
    if rows.is_empty() {
        context.output.hint("It carries no tag.");
    }
    context.output.table(&rows, &["PROJECT", "FROM"], |one| {
        let name = one.path.clone().unwrap_or_else(|| one.project.to_string());
        vec![name, if one.own { "itself".to_owned() } else { "above".to_owned() }]
    })
}
