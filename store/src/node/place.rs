//! Where a node is and what it is called: renaming, moving, the trash and back.
//!
//! Each changes the entries of one or two directories, so each comes with their new signed heads; the entries in the trash are
//! not among what a head commits to.

use std::collections::{BTreeMap, BTreeSet};

use sea_orm::FromQueryResult;
use ticrypt_policy::Permit;
use ticrypt_policy::permit::{NodeMove, NodeRename, NodeRestore, NodeTrash};
use ticrypt_types::{NodeId, NodeKind, Timestamp, limits};

use super::{EntryNew, HeadNew, Node};
use crate::column::{bytes, number, placeholders};
use crate::connect::Store;
use crate::error::StoreError;
use crate::writer::Tx;

/// A new entry in the same directory.
#[derive(Debug)]
pub struct RenameNode {
    pub permit: Permit<NodeRename>,
    pub entry: EntryNew,
}

/// A new entry in another directory.
#[derive(Debug)]
pub struct MoveNode {
    pub permit: Permit<NodeMove>,
    pub entry: EntryNew,
}

/// Out of the trash, under a new name if one is given.
#[derive(Debug)]
pub struct RestoreNode {
    pub permit: Permit<NodeRestore>,
    pub entry: Option<EntryNew>,
}

#[derive(FromQueryResult)]
struct NumberRow {
    n: i64,
}

impl Store {
    /// Renames, with one new head for each directory.
    pub async fn rename(&self, renames: Vec<RenameNode>, heads: Vec<HeadNew>) -> Result<(), StoreError> {
        self.write(move |tx| Box::pin(async move { tx.rename(renames, heads).await })).await
    }

    /// Moves, with new heads for the directories left and entered. Refuses cycles. Where somebody loses inherited access, the
    /// node is closed (security B10).
    pub async fn move_nodes(&self, moves: Vec<MoveNode>, heads: Vec<HeadNew>) -> Result<(), StoreError> {
        self.write(move |tx| Box::pin(async move { tx.move_nodes(moves, heads).await })).await
    }

    /// Into the trash; the names are free from then on.
    pub async fn trash(&self, permits: Vec<Permit<NodeTrash>>, heads: Vec<HeadNew>, at: Timestamp) -> Result<(), StoreError> {
        self.write(move |tx| Box::pin(async move { tx.trash(permits, heads, at).await })).await
    }

    /// Out of the trash; a name taken meanwhile is refused.
    pub async fn restore(&self, restores: Vec<RestoreNode>, heads: Vec<HeadNew>) -> Result<(), StoreError> {
        self.write(move |tx| Box::pin(async move { tx.restore(restores, heads).await })).await
    }
}

impl Tx {
    pub async fn rename(&self, renames: Vec<RenameNode>, heads: Vec<HeadNew>) -> Result<(), StoreError> {
        self.same_rights(renames.iter().map(|rename| rename.permit.rights())).await?;
        let nodes = self.decided(renames.iter().map(|rename| (rename.permit.on(), rename.permit.revision()))).await?;
        let epochs = self.set_heads(nodes.values().filter_map(|node| node.parent), &heads).await?;
        for RenameNode { permit, entry } in renames {
            let node = nodes.get(&permit.on()).ok_or(StoreError::NotFound("node"))?;
            fits(&entry, node, node.parent, &epochs)?;
            self.set_entry(&entry, node.trashed.is_none(), node.closure_seq).await?;
        }
        Ok(())
    }

    pub async fn move_nodes(&self, moves: Vec<MoveNode>, heads: Vec<HeadNew>) -> Result<(), StoreError> {
        self.same_rights(moves.iter().map(|step| step.permit.rights())).await?;
        let nodes = self.decided(moves.iter().map(|step| (step.permit.on().node, step.permit.revision()))).await?;
        let left = nodes.values().filter_map(|node| node.parent);
        let epochs = self.set_heads(left.chain(moves.iter().map(|step| step.permit.on().target)), &heads).await?;
        for MoveNode { permit, entry } in moves {
            let node = nodes.get(&permit.on().node).ok_or(StoreError::NotFound("node"))?;
            let target = permit.on().target;
            fits(&entry, node, Some(target), &epochs)?;
            let closure = self.check_move(node, target).await?;
            self.set_entry(&entry, true, closure).await?;
        }
        Ok(())
    }

    /// Whether the node can go there; gives its closure from then on.
    async fn check_move(&self, node: &Node, target: NodeId) -> Result<u64, StoreError> {
        let entered = self.path(target).await?;
        let here = entered.iter().find(|step| step.id == target).ok_or(StoreError::NotFound("directory"))?;
        if here.kind != NodeKind::Directory || here.trashed.is_some() || here.owner != node.owner {
            return Err(StoreError::Stale("directory"));
        }
        let above: BTreeSet<NodeId> = entered.iter().map(|step| step.id).collect();
        if above.contains(&node.id) {
            return Err(StoreError::Invalid("a directory cannot go into itself; choose another place"));
        }
        if node.kind == NodeKind::Directory && above.len() + self.height(node.id).await? > limits::DEPTH_MAX {
            return Err(StoreError::Invalid("directories would be nested too deeply; choose a place nearer to the root"));
        }
        let left = match node.parent {
            Some(parent) => self.path(parent).await?,
            None => return Err(StoreError::Invalid("the root of a tree stays; move something in it")),
        };
        let left: Vec<Node> = left.into_iter().filter(|step| !above.contains(&step.id)).collect();
        if self.shared_with_others(&left).await? {
            return self.next_closure_seq().await;
        }
        // Closures above the old place still hold for what has not had new keys since.
        Ok(left.iter().map(|step| step.closure_seq).fold(node.closure_seq, u64::max))
    }

    /// Whether somebody besides the owner holds a share on one of these.
    async fn shared_with_others(&self, nodes: &[Node]) -> Result<bool, StoreError> {
        if nodes.is_empty() {
            return Ok(false);
        }
        let sql = format!(
            "SELECT COUNT(*) AS n FROM grants WHERE ended_ms IS NULL AND recipient_id <> owner_id AND node_id IN ({})",
            placeholders(1, nodes.len())
        );
        let values = nodes.iter().map(|node| bytes(node.id.as_bytes())).collect();
        Ok(self.row::<NumberRow>(&sql, values).await?.is_some_and(|row| row.n > 0))
    }

    /// Levels of nodes from here down, this one included.
    async fn height(&self, node: NodeId) -> Result<usize, StoreError> {
        let sql = "WITH RECURSIVE down (id, level) AS (SELECT id, 1 FROM nodes WHERE id = $1 UNION ALL \
                   SELECT n.id, down.level + 1 FROM nodes n JOIN down ON n.parent_id = down.id) \
                   SELECT CAST(COALESCE(MAX(level), 0) AS BIGINT) AS n FROM down";
        let row = self.row::<NumberRow>(sql, vec![bytes(node.as_bytes())]).await?;
        Ok(row.and_then(|row| usize::try_from(row.n).ok()).unwrap_or(0))
    }

    pub async fn trash(&self, permits: Vec<Permit<NodeTrash>>, heads: Vec<HeadNew>, at: Timestamp) -> Result<(), StoreError> {
        self.same_rights(permits.iter().map(Permit::rights)).await?;
        let nodes = self.decided(permits.iter().map(|permit| (permit.on(), permit.revision()))).await?;
        self.set_heads(nodes.values().filter_map(|node| node.parent), &heads).await?;
        let Some(actor) = permits.first().map(Permit::actor) else { return Ok(()) };
        let ids: Vec<NodeId> = nodes.keys().copied().collect();
        for some in ids.chunks(1_000) {
            let sql = format!(
                "UPDATE nodes SET live_tag = NULL, trashed_ms = $1, trashed_by = $2, revision = revision + 1 \
                 WHERE trashed_ms IS NULL AND id IN ({})",
                placeholders(3, some.len())
            );
            let mut values = vec![at.to_i64().into(), bytes(actor.as_bytes())];
            values.extend(some.iter().map(|id| bytes(id.as_bytes())));
            if self.run(&sql, values).await? != some.len() as u64 {
                return Err(StoreError::Stale("node"));
            }
        }
        Ok(())
    }

    pub async fn restore(&self, restores: Vec<RestoreNode>, heads: Vec<HeadNew>) -> Result<(), StoreError> {
        self.same_rights(restores.iter().map(|restore| restore.permit.rights())).await?;
        let nodes = self.decided(restores.iter().map(|restore| (restore.permit.on(), restore.permit.revision()))).await?;
        let epochs = self.set_heads(nodes.values().filter_map(|node| node.parent), &heads).await?;
        for RestoreNode { permit, entry } in restores {
            let node = nodes.get(&permit.on()).ok_or(StoreError::NotFound("node"))?;
            let sql = "UPDATE nodes SET live_tag = name_tag, trashed_ms = NULL, trashed_by = NULL, revision = revision + 1 \
                       WHERE id = $1 AND trashed_ms IS NOT NULL";
            if let Some(entry) = entry {
                // The new name first: the old one may be taken by now.
                fits(&entry, node, node.parent, &epochs)?;
                self.set_entry(&entry, false, node.closure_seq).await?;
            }
            self.run_or_stale("node", sql, vec![bytes(node.id.as_bytes())]).await?;
        }
        Ok(())
    }

    /// Loads nodes and checks that each is as it was when the decision was made.
    pub(crate) async fn decided(&self, decisions: impl Iterator<Item = (NodeId, u64)>) -> Result<BTreeMap<NodeId, Node>, StoreError> {
        let mut revisions = BTreeMap::new();
        for (node, revision) in decisions {
            if revisions.insert(node, revision).is_some() {
                return Err(StoreError::Invalid("a node is named twice; name it once"));
            }
        }
        let ids: Vec<NodeId> = revisions.keys().copied().collect();
        let nodes = self.nodes(&ids).await?;
        for (node, revision) in revisions {
            if nodes.get(&node).ok_or(StoreError::NotFound("node"))?.revision != revision {
                return Err(StoreError::Stale("node"));
            }
        }
        Ok(nodes)
    }

    /// For decisions on several nodes: none may rest on shares that ended since.
    pub(crate) async fn same_rights(&self, decided: impl Iterator<Item = u64>) -> Result<u64, StoreError> {
        match decided.min() {
            Some(oldest) => self.check_rights(oldest).await,
            None => Err(StoreError::Invalid("nothing to do; name at least one node")),
        }
    }

    /// Puts a node where its new entry says.
    pub(crate) async fn set_entry(&self, entry: &EntryNew, live: bool, closure_seq: u64) -> Result<(), StoreError> {
        let sql = "UPDATE nodes SET parent_id = $2, parent_epoch = $3, entry = $4, leaf_hash = $5, name_tag = $6, live_tag = $7, \
                   closure_seq = $8, revision = revision + 1 WHERE id = $1";
        let values = vec![
            bytes(entry.node.as_bytes()),
            bytes(entry.parent.as_bytes()),
            number(entry.parent_epoch)?.into(),
            bytes(&entry.bytes),
            bytes(entry.leaf),
            bytes(entry.name_tag),
            live.then(|| entry.name_tag.to_vec()).into(),
            number(closure_seq)?.into(),
        ];
        self.run_or_stale("node", sql, values).await
    }
}

/// Whether an entry is this node's, in that directory, in the epochs of both.
fn fits(entry: &EntryNew, node: &Node, parent: Option<NodeId>, epochs: &BTreeMap<NodeId, u64>) -> Result<(), StoreError> {
    if entry.node != node.id || entry.kind != node.kind || Some(entry.parent) != parent {
        return Err(StoreError::Invalid("the entry is another node's or in another directory; make it again"));
    }
    if entry.epoch != node.epoch || Some(&entry.parent_epoch) != epochs.get(&entry.parent) {
        return Err(StoreError::Stale("node"));
    }
    Ok(())
}
