//! `ticrypt trash`.

use clap::{Args, Subcommand};
use serde_json::json;
use ticrypt_client::ClientError;
use ticrypt_client::vault::trash::{Deleted, Trashed};
use ticrypt_client::vault::{Vault, VaultPath};
use ticrypt_types::name::Harmless;

use super::{confirm, open, show};
use crate::context::Context;

#[derive(Debug, Subcommand)]
pub enum Command {
    /// List what is in the trash of your tree, or of a group's
    List(Tree),
    /// Bring things back to where they were; where the name is taken meanwhile, under a free one
    Restore(Items),
    /// Delete things in the trash for good
    Delete(Delete),
    /// Delete all that is in the trash for good
    Empty(Empty),
    /// Show or delete trees whose keys you lost before a reset: nobody opens them for you again
    ///
    /// Such a tree is kept, because people you shared with can still read their part of it and may give it back to you. Deleting it ends
    /// their shares.
    Lost(Lost),
}

#[derive(Debug, Args)]
pub struct Tree {
    /// The trash of this group instead of your own
    #[arg(long, value_name = "GROUP")]
    group: Option<String>,
}

#[derive(Debug, Args)]
pub struct Lost {
    /// Delete them for good
    #[arg(long)]
    delete: bool,
    /// Do not ask
    #[arg(short, long, requires = "delete")]
    yes: bool,
}

#[derive(Debug, Args)]
pub struct Items {
    /// Paths as `trash list` shows them, or the first digits of an id (at least 8)
    #[arg(required = true, value_name = "ITEM")]
    items: Vec<String>,
    #[command(flatten)]
    tree: Tree,
}

#[derive(Debug, Args)]
pub struct Delete {
    #[command(flatten)]
    items: Items,
    /// Do not ask
    #[arg(short, long)]
    yes: bool,
}

#[derive(Debug, Args)]
pub struct Empty {
    #[command(flatten)]
    tree: Tree,
    /// Do not ask
    #[arg(short, long)]
    yes: bool,
}

impl Tree {
    async fn list(&self, vault: &Vault) -> anyhow::Result<Vec<Trashed>> {
        let top = match &self.group {
            Some(group) => VaultPath::of_group(group).map_err(|error| ClientError::invalid(error.to_string()))?,
            None => VaultPath::home(),
        };
        Ok(vault.trash_list_of(&top).await?)
    }
}

pub(super) async fn run(command: Command, context: &Context) -> anyhow::Result<()> {
    let vault = open(context).await?;
    match command {
        Command::List(tree) => context.output.table(&tree.list(&vault).await?, &["TRASHED", "ID", "PATH"], |item| {
            vec![show::time(item.trashed_ms), item.node.to_string(), item.path.clone()]
        }),
        Command::Restore(items) => {
            let chosen = choose(&items.tree.list(&vault).await?, &items.items)?;
            let paths: Vec<String> = vault.trash_restore(&chosen).await?.iter().map(|path| path.text()).collect();
            context
                .output
                .result(&json!({ "restored": paths }), |out| paths.iter().try_for_each(|path| writeln!(out, "{}", Harmless(path))))
        }
        Command::Delete(delete) => {
            let chosen = choose(&delete.items.tree.list(&vault).await?, &delete.items.items)?;
            forever(context, &vault, &chosen, delete.yes).await
        }
        Command::Empty(empty) => forever(context, &vault, &empty.tree.list(&vault).await?, empty.yes).await,
        Command::Lost(lost) => self::lost(&lost, &vault, context).await,
    }
}

async fn lost(lost: &Lost, vault: &Vault, context: &Context) -> anyhow::Result<()> {
    let trees = vault.lost_trees().await?;
    if !lost.delete {
        return context.output.table(&trees, &["MADE", "ID", "NODES", "SHARES"], |tree| {
            vec![show::time(tree.created_ms), tree.node.to_string(), tree.nodes.to_string(), tree.shares.to_string()]
        });
    }
    if !trees.is_empty() {
        let (nodes, shares) = trees.iter().fold((0, 0), |(nodes, shares), tree| (nodes + tree.nodes, shares + tree.shares));
        let question = format!("delete {nodes} files and directories for good, which {shares} shares of others may still open?");
        confirm(context, lost.yes, &question)?;
    }
    let nodes: Vec<_> = trees.iter().map(|tree| tree.node).collect();
    deleted(context, vault.delete(&nodes).await?)
}

async fn forever(context: &Context, vault: &Vault, items: &[Trashed], yes: bool) -> anyhow::Result<()> {
    if !items.is_empty() {
        let question = format!("delete {} items for good, with everything below and all versions?", items.len());
        confirm(context, yes, &question)?;
    }
    let nodes: Vec<_> = items.iter().map(|item| item.node).collect();
    deleted(context, vault.delete(&nodes).await?)
}

fn deleted(context: &Context, deleted: Deleted) -> anyhow::Result<()> {
    context.output.result(&deleted, |out| writeln!(out, "deleted {} nodes, {} versions", deleted.nodes, deleted.versions))
}

fn choose(all: &[Trashed], items: &[String]) -> Result<Vec<Trashed>, ClientError> {
    let mut chosen: Vec<Trashed> = Vec::with_capacity(items.len());
    for item in items {
        let fits = |trashed: &&Trashed| {
            trashed.path == *item
                || trashed.path.trim_start_matches('/') == item
                || item.len() >= 8 && trashed.node.to_string().starts_with(item)
        };
        let found: Vec<&Trashed> = all.iter().filter(fits).collect();
        match found.as_slice() {
            [one] if chosen.iter().any(|other| other.node == one.node) => {}
            [one] => chosen.push((*one).clone()),
            [] => return Err(ClientError::not_found(format!("`{item}` is not in the trash; see `ticrypt trash list`"))),
            _ => return Err(ClientError::invalid(format!("`{item}` is in the trash {} times; name one by its id", found.len()))),
        }
    }
    Ok(chosen)
}
