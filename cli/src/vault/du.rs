//! `ticrypt du`.

use clap::Args;
use ticrypt_client::vault::VaultPath;

use super::{complete, open, path, show};
use crate::context::Context;

/// Sizes of what is current, before encryption; older versions and the trash are not counted.
#[derive(Debug, Args)]
pub struct Arguments {
    #[arg(value_name = "PATH", default_value = "/", value_parser = path, add = complete::vault_path())]
    path: VaultPath,
    /// Directories down to this level; 0 is PATH alone
    #[arg(short = 'd', long, value_name = "LEVELS", default_value_t = 1)]
    depth: usize,
    /// Bytes instead of KiB, MiB
    #[arg(short, long)]
    bytes: bool,
}

pub(super) async fn run(arguments: Arguments, context: &Context) -> anyhow::Result<()> {
    let usages = open(context).await?.usage(&arguments.path, arguments.depth).await?;
    context.output.table(&usages, &["SIZE", "FILES", "DIRECTORIES", "PATH"], |usage| {
        let size = if arguments.bytes { usage.bytes.to_string() } else { show::size(usage.bytes) };
        vec![size, usage.files.to_string(), usage.directories.to_string(), usage.path.clone()]
    })
}
