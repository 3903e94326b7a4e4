//! `ticrypt shares`.

use std::collections::BTreeSet;

use clap::Args;
use ticrypt_client::vault::VaultPath;
use ticrypt_types::UserName;

use super::{complete, open, path, show};
use crate::context::Context;

/// Without options: what others share with you, what you share, and what others share of your tree. A share marked `dead` was made for keys
/// that its recipient lost and had reset: nobody opens it; compare their new fingerprint and share again.
#[derive(Debug, Args)]
pub struct Arguments {
    /// Who has a share of this very path
    #[arg(value_name = "PATH", value_parser = path, add = complete::vault_path())]
    path: Option<VaultPath>,
    /// What others share with you alone
    #[arg(long, conflicts_with = "path")]
    with_me: bool,
    /// What you share alone, and what others share of your tree
    #[arg(long, conflicts_with_all = ["path", "with_me"])]
    by_me: bool,
}

pub(super) async fn run(arguments: Arguments, context: &Context) -> anyhow::Result<()> {
    let vault = open(context).await?;
    let (mut standing, mut unbelieved) = (Vec::new(), Vec::new());
    match &arguments.path {
        Some(path) => standing = vault.shares_of(path).await?,
        None => {
            if !arguments.by_me {
                let (with_me, others) = vault.shares_with_me().await?;
                standing.extend(with_me);
                unbelieved = others;
            }
            if !arguments.with_me {
                standing.extend(vault.shares_by_me().await?);
            }
        }
    }
    context.output.table(&standing, &["FROM", "TO", "MAY", "ENDS", "PATH"], |one| {
        let may = if one.words.is_empty() { "list".to_owned() } else { one.words.join(", ") };
        vec![
            one.sealer.to_string(),
            one.recipient.to_string(),
            may,
            if one.dead { "dead".to_owned() } else { one.expires_ms.map_or_else(|| "-".to_owned(), show::time) },
            one.path.clone().unwrap_or_else(|| one.node.to_string()),
        ]
    })?;
    for unbelieved in unbelieved {
        context.output.warn(&unbelieved.why.to_string());
    }
    let lost: BTreeSet<&UserName> = standing.iter().filter(|one| one.dead).map(|one| &one.recipient).collect();
    for name in lost {
        context.output.hint(&format!(
            "{name} lost the keys that the dead shares were made for. Ask them for the new fingerprint and run `ticrypt users verify {name} \
             FINGERPRINT`, then share again; or end a dead share with `ticrypt unshare PATH {name}`."
        ));
    }
    Ok(())
}
