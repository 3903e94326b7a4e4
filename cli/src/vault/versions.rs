//! `ticrypt versions`.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use serde_json::json;
use ticrypt_client::vault::VaultPath;

use super::bar::Bar;
use super::put::IfExistsArguments;
use super::{complete, finished, on_interrupt, open, path, show};
use crate::context::Context;

#[derive(Debug, Subcommand)]
pub enum Command {
    /// List the versions of a file, newest first
    List(Of),
    /// Get an old version to this machine
    Get(Get),
    /// Make an old version current again; nothing is copied or lost
    Restore(Restore),
}

#[derive(Debug, Args)]
pub struct Of {
    #[arg(value_name = "PATH", value_parser = path, add = complete::vault_path())]
    path: VaultPath,
}

#[derive(Debug, Args)]
pub struct Get {
    #[command(flatten)]
    of: Of,
    /// A version's number, or the first digits of its manifest (at least 8)
    version: String,
    /// A directory of this machine, or a new name
    #[arg(value_name = "TARGET", default_value = ".")]
    destination: PathBuf,
    #[command(flatten)]
    if_exists: IfExistsArguments,
}

#[derive(Debug, Args)]
pub struct Restore {
    #[command(flatten)]
    of: Of,
    /// A version's number, or the first digits of its manifest (at least 8)
    version: String,
}

pub(super) async fn run(command: Command, context: &Context) -> anyhow::Result<()> {
    let vault = open(context).await?;
    match command {
        Command::List(of) => {
            let (_, versions) = vault.versions(&of.path).await?;
            context.output.table(&versions, &["VERSION", "WRITTEN", "SIZE", "WRITER", "MANIFEST", ""], |version| {
                let manifest = version.manifest.to_string();
                vec![
                    version.sequence.to_string(),
                    show::time(version.written_ms),
                    version.size_bytes.to_string(),
                    version.writer.as_ref().map_or_else(|| "-".to_owned(), ToString::to_string),
                    manifest.get(..16).unwrap_or(&manifest).to_owned(),
                    match (version.is_current, version.conflict) {
                        (true, _) => "current".to_owned(),
                        (_, true) => "conflict".to_owned(),
                        _ => String::new(),
                    },
                ]
            })
        }
        Command::Get(get) => {
            let bar = Bar::bytes(&context.output, "get");
            let done = vault.get_version(&get.of.path, &get.version, &get.destination, get.if_exists.into(), &bar, &on_interrupt()).await;
            bar.done();
            let report = done?;
            show::report(&context.output, &report, "got")?;
            finished(&report)
        }
        Command::Restore(restore) => {
            let sequence = vault.restore_version(&restore.of.path, &restore.version).await?;
            context.output.result(&json!({ "version": sequence }), |out| writeln!(out, "version {sequence} is current"))
        }
    }
}
