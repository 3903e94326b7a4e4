//! `ticrypt stat`.

use clap::Args;
use ticrypt_client::project::Projects;
use ticrypt_client::vault::{Vault, VaultPath};
use ticrypt_types::ProjectId;

use super::{complete, open, path, show};
use crate::context::Context;

#[derive(Debug, Args)]
pub struct Arguments {
    #[arg(value_name = "PATH", value_parser = path, add = complete::vault_path())]
    path: VaultPath,
}

pub(super) async fn run(arguments: Arguments, context: &Context) -> anyhow::Result<()> {
    let vault = open(context).await?;
    let one = vault.stat(&arguments.path).await?;
    let tags = if one.tags.is_empty() { none() } else { tags(&vault, &one.tags).await? };
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
            ("tags", tags),
            ("shares", one.shares.to_string()),
            ("keys", if one.keys_stale { "to be made anew: `ticrypt rekey`".to_owned() } else { "current".to_owned() }),
        ],
    )
}

fn none() -> String {
    "-".to_owned()
}

/// The names of the projects it is tagged with itself.
async fn tags(vault: &Vault, tags: &[ProjectId]) -> anyhow::Result<String> {
    let projects = Projects::load(vault.session()).await?;
    let name = |tag: &ProjectId| projects.get(*tag).map_or_else(|| tag.to_string(), |view| projects.path(view));
    Ok(tags.iter().map(name).collect::<Vec<_>>().join(", "))
}
