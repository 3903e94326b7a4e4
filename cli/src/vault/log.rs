//! `ticrypt log`.

use clap::Args;
use ticrypt_client::vault::VaultPath;

use super::{complete, open, path, show};
use crate::context::Context;

/// Each row is checked to be in the audit log that this device mirrors. A row that the server never recorded cannot be missed here; but no
/// reply would have carried a receipt for it.
#[derive(Debug, Args)]
pub struct Arguments {
    #[arg(value_name = "PATH", value_parser = path, add = complete::vault_path())]
    path: VaultPath,
    /// Rows to show, newest first
    #[arg(short = 'n', long, default_value_t = 100)]
    limit: usize,
}

pub(super) async fn run(arguments: Arguments, context: &Context) -> anyhow::Result<()> {
    let rows = open(context).await?.history(&arguments.path, arguments.limit).await?;
    context.output.table(&rows, &["INDEX", "TIME", "WHO", "WHAT", "OUTCOME"], |row| {
        let who = row.actor_name.clone().or_else(|| row.actor.map(|actor| actor.to_string()));
        vec![
            row.index.to_string(),
            show::time(row.at_ms),
            who.unwrap_or_else(|| "-".to_owned()),
            row.operation.clone(),
            row.outcome.clone().unwrap_or_else(|| row.phase.to_owned()),
        ]
    })
}
