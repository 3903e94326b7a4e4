//! `ticrypt tree`.

use clap::Args;
use ticrypt_client::vault::VaultPath;
use ticrypt_client::vault::listing::{ListedKind, Query};
use ticrypt_types::name::Harmless;

use super::{complete, open, path};
use crate::context::Context;

#[derive(Debug, Args)]
pub struct Arguments {
    #[arg(value_name = "PATH", default_value = "/", value_parser = path, add = complete::vault_path())]
    path: VaultPath,
    /// Levels to show
    #[arg(short = 'L', long, value_name = "LEVELS")]
    depth: Option<usize>,
    /// Directories only
    #[arg(short, long)]
    directories: bool,
}

pub(super) async fn run(arguments: Arguments, context: &Context) -> anyhow::Result<()> {
    let vault = open(context).await?;
    let kind = arguments.directories.then_some(ListedKind::Directory);
    let found = vault.find(&arguments.path, &Query { kind, max_depth: arguments.depth, ..Query::default() }).await?;
    let top = arguments.path.names().len();
    context.output.result(&found, |out| {
        for one in &found {
            let depth = one.vault_path.names().len().saturating_sub(top);
            let ending = if one.kind == ListedKind::Directory && one.name != "/" { "/" } else { "" };
            writeln!(out, "{}{}{ending}", "  ".repeat(depth), Harmless(&one.name))?;
        }
        Ok(())
    })
}
