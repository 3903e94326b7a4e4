//! `ticrypt stat`.

use clap::Args;
use ticrypt_client::vault::VaultPath;

use super::{complete, open, path, show};
use crate::context::Context;

#[derive(Debug, Args)]
pub struct Arguments {
    #[arg(value_name = "PATH", value_parser = path, add = complete::vault_path())]
    path: VaultPath,
}

pub(super) async fn run(arguments: Arguments, context: &Context) -> anyhow::Result<()> {
    let one = open(context).await?.stat(&arguments.path).await?;
    let none = || "-".to_owned();
    context.output.record(
        &one,
        &[
            ("path", one.vault_path.text()),
            ("id", one.node.to_string()),
            ("kind", show::kind(&one).to_owned()),
            ("size", one.size_bytes.map_or_else(none, |bytes| format!("{bytes} bytes ({})", show::size(bytes)))),
            ("mode", format!("{:03o}", one.mode)),
            ("created", show::time(one.created_ms)),
            ("modified", show::time(one.modified_ms)),
            ("sha-256", one.sha256.map_or_else(none, |hash| hash.to_string())),
            ("version", one.sequence.map_or_else(none, |sequence| sequence.to_string())),
            ("conflicts", one.conflicts.to_string()),
            ("written by", one.writer.as_ref().map_or_else(none, ToString::to_string)),
            ("shares", one.shares.to_string()),
            ("keys", if one.keys_stale { "to be made anew: `ticrypt rekey`".to_owned() } else { "current".to_owned() }),
        ],
    )
}
