//! `ticrypt mkdir`.

use clap::Args;
use ticrypt_client::vault::VaultPath;

use super::{complete, open, path};
use crate::context::Context;

#[derive(Debug, Args)]
pub struct Arguments {
    #[arg(required = true, value_name = "PATH", value_parser = path, add = complete::vault_path())]
    paths: Vec<VaultPath>,
    /// Those above too; no error if it is there
    #[arg(short, long)]
    parents: bool,
}

pub(super) async fn run(arguments: Arguments, context: &Context) -> anyhow::Result<()> {
    let vault = open(context).await?;
    let mut made = Vec::with_capacity(arguments.paths.len());
    for path in &arguments.paths {
        let found = vault.mkdir(path, arguments.parents).await?;
        made.push(vault.stat(&found.path).await?);
    }
    context.output.result(&made, |_| Ok(()))
}
