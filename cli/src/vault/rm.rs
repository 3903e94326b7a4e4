//! `ticrypt rm`.

use clap::Args;
use serde_json::json;
use ticrypt_client::vault::VaultPath;

use super::{complete, confirm, open, path};
use crate::context::Context;

/// Things go to the trash of the tree's owner, where `ticrypt trash restore` finds them. With --forever they are deleted with everything below
/// and all versions; only the owner can, and nobody can undo it.
#[derive(Debug, Args)]
pub struct Arguments {
    #[arg(required = true, value_name = "PATH", value_parser = path, add = complete::vault_path())]
    paths: Vec<VaultPath>,
    /// Delete for good; asks first
    #[arg(long)]
    forever: bool,
    /// Do not ask
    #[arg(short, long)]
    yes: bool,
}

pub(super) async fn run(arguments: Arguments, context: &Context) -> anyhow::Result<()> {
    let vault = open(context).await?;
    if !arguments.forever {
        let removed = vault.rm(&arguments.paths).await?;
        return context.output.result(&json!({ "trashed": removed.len() }), |_| Ok(()));
    }
    let mut count = 0;
    for path in &arguments.paths {
        count += vault.count_below(&vault.resolve(path).await?).await?;
    }
    confirm(context, arguments.yes, &format!("delete {count} files and directories for good, with all their versions?"))?;
    let removed = vault.rm(&arguments.paths).await?;
    let deleted = vault.delete(&removed).await?;
    context.output.result(&deleted, |out| writeln!(out, "deleted {} nodes, {} versions", deleted.nodes, deleted.versions))
}
