//! `ticrypt cat`.

use std::io::{IsTerminal, Write};

use clap::Args;
use futures::TryStreamExt;
use ticrypt_client::vault::VaultPath;
use ticrypt_client::vault::open::Wanted;
use ticrypt_client::{ClientError, Kind};
use ticrypt_types::Verbs;

use super::{complete, open, path};
use crate::context::Context;

/// Chunks are verified before they are printed; the SHA-256 of the whole is known only at the end, so a program that reads this should look at
/// the exit code before it uses what it got. A share without *download* is shown on a terminal only (kept by an honest client, not by keys).
#[derive(Debug, Args)]
pub struct Arguments {
    #[arg(required = true, value_name = "PATH", value_parser = path, add = complete::vault_path())]
    paths: Vec<VaultPath>,
}

pub(super) async fn run(arguments: Arguments, context: &Context) -> anyhow::Result<()> {
    let vault = open(context).await?;
    for path in &arguments.paths {
        let found = vault.resolve(path).await?;
        if found.is_directory() {
            return Err(ClientError::new(Kind::Invalid, "not_a_file", format!("`{path}` is a directory")).into());
        }
        if !found.held.root.verbs().contains(Verbs::DOWNLOAD) && !std::io::stdout().is_terminal() {
            return Err(
                ClientError::refused("no_download", format!("the share of `{path}` does not let you download; ask for download")).into()
            );
        }
        let content = vault.open_one(Wanted { file: found.held, manifest: None, keep: false }).await?;
        let mut pieces = std::pin::pin!(vault.pieces(&content));
        while let Some(piece) = pieces.try_next().await? {
            // Whoever reads our output may stop early; the caller of this knows how to tell that apart.
            let mut stdout = std::io::stdout().lock();
            stdout.write_all(piece.bytes()).and_then(|()| stdout.flush())?;
        }
    }
    Ok(())
}
