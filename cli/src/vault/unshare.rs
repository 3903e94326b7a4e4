//! `ticrypt unshare`.

use clap::Args;
use serde_json::json;
use ticrypt_client::vault::VaultPath;
use ticrypt_client::vault::share::NewKeys;
use ticrypt_types::UserName;

use super::bar::{Bar, Counted};
use super::{complete, finished, on_interrupt, open, path};
use crate::context::Context;

/// The server stops serving them at once, and new keys are made, so that what is written from now on is closed to them whatever the
/// server does. What they copied before stays theirs. If this is interrupted, `ticrypt rekey` goes on.
#[derive(Debug, Args)]
pub struct Arguments {
    #[arg(value_name = "PATH", value_parser = path, add = complete::vault_path())]
    path: VaultPath,
    /// Names of people
    #[arg(required_unless_present = "everyone", value_name = "PERSON")]
    people: Vec<UserName>,
    /// Everybody whose share you may end
    #[arg(long, conflicts_with = "people")]
    everyone: bool,
    /// New keys for this directory only; what is below gets its own when it is next written, or by `ticrypt rekey`
    #[arg(long)]
    later: bool,
}

pub(super) async fn run(arguments: Arguments, context: &Context) -> anyhow::Result<()> {
    let vault = open(context).await?;
    let new_keys = if arguments.later { NewKeys::NodeOnly } else { NewKeys::Whole };
    let bar = Counted(Bar::count(&context.output, "new keys"));
    let done = vault.unshare(&arguments.path, &arguments.people, new_keys, &bar, &on_interrupt()).await;
    bar.0.done();
    let (ended, report) = done?;
    let rolled = report.files + report.directories;
    context.output.result(&json!({ "ended": ended, "rekeyed": rolled }), |out| {
        let names: Vec<String> = ended.iter().map(ToString::to_string).collect();
        writeln!(out, "ended {} shares ({}), made new keys for {rolled} files and directories", ended.len(), names.join(", "))
    })?;
    finished(&report)
}
