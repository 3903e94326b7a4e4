//! Directories and files.
//!
//! Three counters keep writers from overwriting each other, each for another kind of change:
//!
//! | counter | rises with | guards |
//! |---|---|---|
//! | `revision` | the node's entry, place, trash, keys | renaming, moving, trash, new keys |
//! | `head_counter` | a directory's set of entries | every change of entries, by the signed head that goes with it |
//! | `current_sequence` | a file's current manifest | publishing |
//!
//! A decision also rests on shares. The permit carries the closure counter of its facts, and a write whose counter is not the
//! newest is stale: nobody writes on a share that ended while they were deciding.

mod count;
mod create;
mod delete;
mod facts;
mod list;
mod place;
mod rekey;
mod tag;

use std::collections::BTreeMap;

use ticrypt_types::{NodeId, NodeKind, Timestamp, UserId};

use crate::column::{Digest, bytes, count, digest, digest_or_none, id, id_or_none, number, placeholders, time};
use crate::error::StoreError;
use crate::table::node::nodes;
use crate::writer::Tx;

pub use count::{Among, Counts};
pub use create::{CreateNodes, HomeNew, NodeNew};
pub(crate) use delete::DeletedRow;
pub use delete::DeletedVersion;
pub(crate) use facts::verbs;
pub use list::{Brief, Current, Entry, Which};
pub use place::{MoveNode, RenameNode, RestoreNode};
pub use rekey::{NewKeys, Rekey, RekeyNode};
pub use tag::TagNode;

/// A node as stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    pub id: NodeId,
    pub parent: Option<NodeId>,
    /// Who made the root of the tree it is in.
    pub owner: UserId,
    pub kind: NodeKind,
    pub epoch: u64,
    pub parent_epoch: u64,
    /// The entry record (docs/formats.md §5); empty for a root.
    pub entry: Vec<u8>,
    pub leaf: Digest,
    pub name_tag: Digest,
    pub trashed: Option<Timestamp>,
    pub trashed_by: Option<UserId>,
    pub created: Timestamp,
    pub closure_seq: u64,
    pub rolled_seq: u64,
    /// Of a directory: its newest signed head.
    pub head: Option<Vec<u8>>,
    pub head_hash: Option<Digest>,
    pub head_counter: u64,
    /// Of a file: the sequence of its current manifest, 0 before the first.
    pub current_sequence: u64,
    pub revision: u64,
    /// It has tags of its own, and with them keys that are not wrapped under its directory's.
    pub tagged: bool,
}

/// An entry record with what the caller took out of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EntryNew {
    pub parent: NodeId,
    pub parent_epoch: u64,
    pub node: NodeId,
    pub kind: NodeKind,
    pub epoch: u64,
    pub name_tag: Digest,
    pub leaf: Digest,
    pub bytes: Vec<u8>,
}

/// A directory head (docs/formats.md §7) with what the caller took out of it. It applies only on top of the one before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeadNew {
    pub directory: NodeId,
    pub counter: u64,
    pub epoch: u64,
    pub previous: Option<Digest>,
    pub hash: Digest,
    pub bytes: Vec<u8>,
}

impl TryFrom<nodes::Model> for Node {
    type Error = StoreError;
    fn try_from(row: nodes::Model) -> Result<Self, StoreError> {
        Ok(Self {
            id: id("nodes.id", &row.id)?,
            parent: id_or_none("nodes.parent_id", row.parent_id.as_ref())?,
            owner: id("nodes.owner_id", &row.owner_id)?,
            kind: kind(row.kind)?,
            epoch: count("nodes.epoch", row.epoch)?,
            parent_epoch: count("nodes.parent_epoch", row.parent_epoch)?,
            entry: row.entry,
            leaf: digest("nodes.leaf_hash", &row.leaf_hash)?,
            name_tag: digest("nodes.name_tag", &row.name_tag)?,
            trashed: row.trashed_ms.map(time),
            trashed_by: id_or_none("nodes.trashed_by", row.trashed_by.as_ref())?,
            created: time(row.created_ms),
            closure_seq: count("nodes.closure_seq", row.closure_seq)?,
            rolled_seq: count("nodes.rolled_seq", row.rolled_seq)?,
            head: row.head,
            head_hash: digest_or_none("nodes.head_hash", row.head_hash.as_ref())?,
            head_counter: count("nodes.head_counter", row.head_counter)?,
            current_sequence: count("nodes.current_sequence", row.current_sequence)?,
            revision: count("nodes.revision", row.revision)?,
            tagged: row.tagged,
        })
    }
}

pub(crate) fn kind(code: i64) -> Result<NodeKind, StoreError> {
    u8::try_from(code).ok().and_then(NodeKind::from_code).ok_or(StoreError::Corrupt("nodes.kind"))
}

/// Of a root: its owner holds a seal of its keys. Without one the tree's keys were lost with an identity that was reset.
pub(crate) const SEALED_TO_OWNER: &str = "EXISTS (SELECT 1 FROM grants own WHERE own.node_id = nodes.id \
    AND own.recipient_id = nodes.owner_id AND own.ended_ms IS NULL)";

/// `ancestors(id)`: the nodes of `{start}` and everything above them, each once.
pub(crate) fn ancestors_cte(start: &str) -> String {
    format!(
        "WITH RECURSIVE up (id) AS (SELECT id FROM nodes WHERE id IN ({start}) UNION \
         SELECT n.parent_id FROM nodes n JOIN up ON n.id = up.id WHERE n.parent_id IS NOT NULL)"
    )
}

/// `down(id)`: the nodes of `{start}` and everything below them.
pub(crate) fn subtree_cte(start: &str) -> String {
    format!(
        "WITH RECURSIVE down (id) AS (SELECT id FROM nodes WHERE id IN ({start}) UNION \
         SELECT n.id FROM nodes n JOIN down ON n.parent_id = down.id)"
    )
}

impl Tx {
    pub async fn node(&self, node: NodeId) -> Result<Node, StoreError> {
        let row = self.row::<nodes::Model>("SELECT * FROM nodes WHERE id = $1", vec![bytes(node.as_bytes())]).await?;
        row.map(Node::try_from).ok_or(StoreError::NotFound("node"))?
    }

    pub(crate) async fn nodes(&self, ids: &[NodeId]) -> Result<BTreeMap<NodeId, Node>, StoreError> {
        let mut found = BTreeMap::new();
        for some in ids.chunks(1_000) {
            let sql = format!("SELECT * FROM nodes WHERE id IN ({})", placeholders(1, some.len()));
            let values = some.iter().map(|id| bytes(id.as_bytes())).collect();
            for row in self.rows::<nodes::Model>(&sql, values).await? {
                let node = Node::try_from(row)?;
                found.insert(node.id, node);
            }
        }
        Ok(found)
    }

    /// The node and everything above it; the node's own row is among them.
    pub(crate) async fn path(&self, node: NodeId) -> Result<Vec<Node>, StoreError> {
        let sql = format!("{} SELECT nodes.* FROM nodes JOIN up ON nodes.id = up.id", ancestors_cte("$1"));
        self.rows::<nodes::Model>(&sql, vec![bytes(node.as_bytes())]).await?.into_iter().map(Node::try_from).collect()
    }

    /// Puts a new head on top of the one it names; anything else that changed the directory makes it stale.
    pub(crate) async fn set_head(&self, head: &HeadNew) -> Result<(), StoreError> {
        let before = head.counter.checked_sub(1).ok_or(StoreError::Invalid("counters of heads begin at 1; sign a new head"))?;
        let sql = "UPDATE nodes SET head = $3, head_hash = $4, head_counter = $5 \
                   WHERE id = $1 AND kind = 0 AND head_counter = $2 AND epoch = $6 AND COALESCE(head_hash, $7) = $8";
        // An absent hash compares as the empty one.
        let previous = head.previous.map_or(Vec::new(), |hash| hash.to_vec());
        let values = vec![
            bytes(head.directory.as_bytes()),
            number(before)?.into(),
            bytes(&head.bytes),
            bytes(head.hash),
            number(head.counter)?.into(),
            number(head.epoch)?.into(),
            bytes([]),
            previous.into(),
        ];
        self.run_or_stale("directory", sql, values).await
    }

    /// One new head for every directory whose entries change, and for no other. Gives their epochs.
    pub(crate) async fn set_heads(
        &self,
        changed: impl IntoIterator<Item = NodeId>,
        heads: &[HeadNew],
    ) -> Result<BTreeMap<NodeId, u64>, StoreError> {
        let mut epochs = BTreeMap::new();
        for head in heads {
            if epochs.insert(head.directory, head.epoch).is_some() {
                return Err(StoreError::Invalid("two heads for one directory; sign one for all its changes"));
            }
            self.set_head(head).await?;
        }
        let changed: std::collections::BTreeSet<NodeId> = changed.into_iter().collect();
        if !changed.iter().eq(epochs.keys()) {
            return Err(StoreError::Invalid("a head is missing or too many; sign one for each directory that changes"));
        }
        Ok(epochs)
    }
}
