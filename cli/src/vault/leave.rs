//! `ticrypt leave`.

use clap::Args;
use serde_json::json;
use ticrypt_client::vault::VaultPath;

use super::{complete, open, path};
use crate::context::Context;

/// You lose access at once; whoever shared it can share it again.
#[derive(Debug, Args)]
pub struct Arguments {
    /// A share, as /@shared/person/name
    #[arg(value_name = "PATH", value_parser = path, add = complete::vault_path())]
    path: VaultPath,
}

pub(super) async fn run(arguments: Arguments, context: &Context) -> anyhow::Result<()> {
    open(context).await?.leave(&arguments.path).await?;
    context.output.result(&json!({ "left": arguments.path.text() }), |_| Ok(()))
}
