//! `ticrypt mv`.

use clap::Args;
use serde_json::json;
use ticrypt_client::vault::VaultPath;

use super::bar::{Bar, Counted};
use super::{complete, on_interrupt, open, path};
use crate::context::Context;

/// Nothing is encrypted anew but names and a few keys, so a move takes as long for a large tree as for a small one. Leaving a shared directory
/// ends what others saw through it: new keys are made at once.
#[derive(Debug, Args)]
pub struct Arguments {
    #[arg(value_name = "FROM", value_parser = path, add = complete::vault_path())]
    from: VaultPath,
    /// A directory, or a new name
    #[arg(value_name = "TO", value_parser = path, add = complete::vault_path())]
    to: VaultPath,
}

pub(super) async fn run(arguments: Arguments, context: &Context) -> anyhow::Result<()> {
    let vault = open(context).await?;
    let bar = Counted(Bar::count(&context.output, "new keys"));
    let done = vault.mv(&arguments.from, &arguments.to, &bar, &on_interrupt()).await;
    bar.0.done();
    let path = done?.text();
    context.output.result(&json!({ "path": path }), |_| Ok(()))
}
