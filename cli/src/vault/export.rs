//! `ticrypt export`.

use std::path::PathBuf;

use clap::Args;
use ticrypt_client::vault::VaultPath;
use ticrypt_client::vault::export::ExportOptions;

use super::bar::Bar;
use super::{complete, finished, on_interrupt, open, path, show};
use crate::context::Context;

/// What is written stays encrypted; the offline decryptor opens it with your key file and passphrase, without this program and without a server.
#[derive(Debug, Args)]
pub struct Arguments {
    /// A directory of this machine that does not exist yet
    #[arg(value_name = "DIR")]
    destination: PathBuf,
    /// `/`, or a share as /@shared/person/name
    #[arg(value_name = "PATH", default_value = "/", value_parser = path, add = complete::vault_path())]
    path: VaultPath,
    /// Every version, not the current ones alone
    #[arg(long)]
    history: bool,
}

pub(super) async fn run(arguments: Arguments, context: &Context) -> anyhow::Result<()> {
    let vault = open(context).await?;
    let bar = Bar::bytes(&context.output, "export");
    let options = ExportOptions { history: arguments.history };
    let done = vault.export(&arguments.path, &arguments.destination, options, &bar, &on_interrupt()).await;
    bar.done();
    let report = done?;
    show::report(&context.output, &report, "exported")?;
    finished(&report)
}
