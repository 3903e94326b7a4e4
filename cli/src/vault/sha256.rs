//! `ticrypt sha256`.

use clap::Args;
use futures::TryStreamExt;
use serde::Serialize;
use ticrypt_client::vault::VaultPath;
use ticrypt_client::vault::open::Wanted;
use ticrypt_client::{ClientError, Kind};
use ticrypt_types::name::Harmless;

use super::{complete, open, path};
use crate::context::Context;

/// As `sha256sum` writes it. The hash is the one the file's writer signed over the plaintext; with --verify the content is fetched and
/// hashed again.
#[derive(Debug, Args)]
pub struct Arguments {
    #[arg(required = true, value_name = "PATH", value_parser = path, add = complete::vault_path())]
    paths: Vec<VaultPath>,
    /// Read the contents and compare
    #[arg(long)]
    verify: bool,
}

#[derive(Serialize)]
struct Row {
    sha256: String,
    path: String,
}

pub(super) async fn run(arguments: Arguments, context: &Context) -> anyhow::Result<()> {
    let vault = open(context).await?;
    let mut rows = Vec::with_capacity(arguments.paths.len());
    for path in &arguments.paths {
        let found = vault.resolve(path).await?;
        if found.is_directory() {
            return Err(ClientError::new(Kind::Invalid, "not_a_file", format!("`{path}` is a directory")).into());
        }
        let current = vault.current_of(&found)?;
        if arguments.verify {
            let content = vault.open_one(Wanted { file: found.held, manifest: None, keep: false }).await?;
            // The engine compares at the end; nothing is kept.
            vault.pieces(&content).try_for_each(async |_| Ok(())).await?;
        }
        rows.push(Row { sha256: current.props.sha256.to_string(), path: path.text() });
    }
    context.output.result(&rows, |out| rows.iter().try_for_each(|row| writeln!(out, "{}  {}", row.sha256, Harmless(&row.path))))
}
