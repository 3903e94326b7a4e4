//! `ticrypt rekey`.

use clap::Args;
use ticrypt_client::vault::VaultPath;

use super::bar::{Bar, Counted};
use super::{complete, finished, on_interrupt, open, path};
use crate::context::Context;

/// After a share ended, a writer makes new keys on the way to what is written; this makes them for all the rest. It may be interrupted and given
/// again. Contents are not encrypted anew: who had the old keys may have copied them, and what is written afterwards is closed to them.
#[derive(Debug, Args)]
pub struct Arguments {
    #[arg(value_name = "PATH", default_value = "/", value_parser = path, add = complete::vault_path())]
    path: VaultPath,
}

pub(super) async fn run(arguments: Arguments, context: &Context) -> anyhow::Result<()> {
    let vault = open(context).await?;
    let bar = Counted(Bar::count(&context.output, "new keys"));
    let done = vault.rekey(&arguments.path, &bar, &on_interrupt()).await;
    bar.0.done();
    let report = done?;
    context.output.result(&report, |out| writeln!(out, "new keys for {} files and {} directories", report.files, report.directories))?;
    finished(&report)
}
