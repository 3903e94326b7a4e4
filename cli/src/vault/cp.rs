//! `ticrypt cp`.

use clap::Args;
use ticrypt_client::vault::VaultPath;

use super::bar::Bar;
use super::{complete, finished, on_interrupt, open, path, show};
use crate::context::Context;

/// The content passes through this machine's memory and is sealed anew, never written to its disk. A share without *download* is refused.
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
    let bar = Bar::bytes(&context.output, "cp");
    let done = vault.cp(&arguments.from, &arguments.to, &bar, &on_interrupt()).await;
    bar.done();
    let (_, report) = done?;
    show::report(&context.output, &report, "copied")?;
    finished(&report)
}
