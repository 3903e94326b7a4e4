//! Reading nodes: one, a directory's entries, everything below.

use std::collections::BTreeMap;

use sea_orm::{FromQueryResult, Value};
use ticrypt_types::{NodeId, NodeKind, Timestamp, UserId};

use super::{Node, SEALED_TO_OWNER, kind, subtree_cte};
use crate::column::{Digest, bytes, count, digest, id, id_or_none, number, placeholders, time};
use crate::connect::Store;
use crate::error::StoreError;
use crate::table::node::nodes;
use crate::version::{CurrentRow, Manifest, Version};

/// A node with what makes up its current content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    pub node: Node,
    /// `None` for a directory, and for a file without content yet.
    pub current: Option<Current>,
}

/// A file's current manifest and the version it names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Current {
    pub manifest: Manifest,
    pub version: Version,
}

/// Which entries of a directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Which {
    /// What the signed head commits to.
    Live,
    /// What was put into the trash from here.
    Trashed,
    /// Both: what gets new entries when the directory gets new keys.
    All,
}

impl Which {
    const fn filter(self) -> &'static str {
        match self {
            Self::Live => " AND n.trashed_ms IS NULL",
            Self::Trashed => " AND n.trashed_ms IS NOT NULL",
            Self::All => "",
        }
    }
}

const CURRENT: &str = "SELECT m.file_id, m.sequence, m.hash, m.envelope, m.props_key, m.version_id, m.writer_id, m.conflict, m.at_ms, \
     v.state, v.content_wrap, v.size, v.chunk_count, v.created_by, v.created_ms \
     FROM nodes n JOIN manifests m ON m.file_id = n.id AND m.sequence = n.current_sequence AND NOT m.conflict \
     JOIN versions v ON v.id = m.version_id";

/// As much of a node as a listing shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Brief {
    pub id: NodeId,
    pub parent: Option<NodeId>,
    pub owner: UserId,
    pub kind: NodeKind,
    pub epoch: u64,
    pub entry: Vec<u8>,
    pub trashed: Option<Timestamp>,
    pub created: Timestamp,
    pub closure_seq: u64,
    pub rolled_seq: u64,
    pub head_counter: u64,
    pub current_sequence: u64,
    pub tagged: bool,
}

impl From<Node> for Brief {
    fn from(node: Node) -> Self {
        Self {
            id: node.id,
            parent: node.parent,
            owner: node.owner,
            kind: node.kind,
            epoch: node.epoch,
            entry: node.entry,
            trashed: node.trashed,
            created: node.created,
            closure_seq: node.closure_seq,
            rolled_seq: node.rolled_seq,
            head_counter: node.head_counter,
            current_sequence: node.current_sequence,
            tagged: node.tagged,
        }
    }
}

#[derive(FromQueryResult)]
struct BriefRow {
    id: Vec<u8>,
    parent_id: Option<Vec<u8>>,
    owner_id: Vec<u8>,
    kind: i64,
    epoch: i64,
    entry: Vec<u8>,
    created_ms: i64,
    closure_seq: i64,
    rolled_seq: i64,
    head_counter: i64,
    current_sequence: i64,
    tagged: bool,
}

impl TryFrom<BriefRow> for Brief {
    type Error = StoreError;
    fn try_from(row: BriefRow) -> Result<Self, StoreError> {
        Ok(Self {
            id: id("nodes.id", &row.id)?,
            parent: id_or_none("nodes.parent_id", row.parent_id.as_ref())?,
            owner: id("nodes.owner_id", &row.owner_id)?,
            kind: kind(row.kind)?,
            epoch: count("nodes.epoch", row.epoch)?,
            entry: row.entry,
            trashed: None,
            created: time(row.created_ms),
            closure_seq: count("nodes.closure_seq", row.closure_seq)?,
            rolled_seq: count("nodes.rolled_seq", row.rolled_seq)?,
            head_counter: count("nodes.head_counter", row.head_counter)?,
            current_sequence: count("nodes.current_sequence", row.current_sequence)?,
            tagged: row.tagged,
        })
    }
}

#[derive(FromQueryResult)]
struct LeafRow {
    id: Vec<u8>,
    leaf_hash: Vec<u8>,
}

#[derive(FromQueryResult)]
struct IdRow {
    id: Vec<u8>,
}

impl Store {
    pub async fn node(&self, node: NodeId) -> Result<Option<Node>, StoreError> {
        let rows = self.rows::<nodes::Model>("SELECT * FROM nodes WHERE id = $1", vec![bytes(node.as_bytes())]).await?;
        rows.into_iter().next().map(Node::try_from).transpose()
    }

    /// The root of a person's own tree, whose keys they hold.
    pub async fn home(&self, owner: UserId) -> Result<Option<Node>, StoreError> {
        Ok(self.roots(owner, SEALED_TO_OWNER).await?.into_iter().next())
    }

    /// Roots of trees whose keys their owner lost with an identity; oldest first.
    pub async fn lost_homes(&self, owner: UserId) -> Result<Vec<Node>, StoreError> {
        self.roots(owner, &format!("NOT {SEALED_TO_OWNER}")).await
    }

    async fn roots(&self, owner: UserId, which: &str) -> Result<Vec<Node>, StoreError> {
        let sql = format!("SELECT * FROM nodes WHERE owner_id = $1 AND parent_id IS NULL AND {which} ORDER BY created_ms, id");
        self.rows::<nodes::Model>(&sql, vec![bytes(owner.as_bytes())]).await?.into_iter().map(Node::try_from).collect()
    }

    /// Entries of a directory in the order of their ids, those after `after`. Two queries, whatever the directory's size.
    pub async fn list_entries(&self, directory: NodeId, which: Which, after: Option<NodeId>, limit: u64) -> Result<Vec<Entry>, StoreError> {
        let rows = self.rows_in(directory, which, after, limit).await?;
        let Some(last) = rows.last().map(|row| row.id.clone()) else { return Ok(Vec::new()) };
        let sql = format!("{CURRENT} WHERE n.parent_id = $1 AND n.id > $2 AND n.id <= $3{}", which.filter());
        let current = self.rows::<CurrentRow>(&sql, vec![bytes(directory.as_bytes()), after_value(after), last.into()]).await?;
        entries(rows, current)
    }

    /// Live entries of a directory without what is current in files, and only as much of each as a listing shows: thousands of rows cost by
    /// their columns.
    pub async fn list_briefs(&self, directory: NodeId, after: Option<NodeId>, limit: u64) -> Result<Vec<Brief>, StoreError> {
        let sql = "SELECT id, parent_id, owner_id, kind, epoch, entry, created_ms, closure_seq, rolled_seq, head_counter, current_sequence, \
             tagged \
             FROM nodes WHERE parent_id = $1 AND id > $2 AND trashed_ms IS NULL ORDER BY id LIMIT $3";
        let values = vec![bytes(directory.as_bytes()), after_value(after), number(limit)?.into()];
        self.rows::<BriefRow>(sql, values).await?.into_iter().map(Brief::try_from).collect()
    }

    async fn rows_in(&self, directory: NodeId, which: Which, after: Option<NodeId>, limit: u64) -> Result<Vec<nodes::Model>, StoreError> {
        let sql = format!("SELECT n.* FROM nodes n WHERE n.parent_id = $1 AND n.id > $2{} ORDER BY n.id LIMIT $3", which.filter());
        self.rows(&sql, vec![bytes(directory.as_bytes()), after_value(after), number(limit)?.into()]).await
    }

    /// Nodes by id, in the order of their ids; those that do not exist are left out.
    pub async fn entries(&self, ids: &[NodeId]) -> Result<Vec<Entry>, StoreError> {
        let mut found = Vec::with_capacity(ids.len());
        for some in ids.chunks(2_000) {
            let list = placeholders(1, some.len());
            let values = || some.iter().map(|id| bytes(id.as_bytes())).collect();
            let rows = self.rows::<nodes::Model>(&format!("SELECT * FROM nodes WHERE id IN ({list}) ORDER BY id"), values()).await?;
            let current = self.rows::<CurrentRow>(&format!("{CURRENT} WHERE n.id IN ({list})"), values()).await?;
            found.extend(entries(rows, current)?);
        }
        Ok(found)
    }

    /// What a directory's signed head commits to: its live entries' leaves, in the order of their ids.
    pub async fn directory_leaves(&self, directory: NodeId) -> Result<Vec<(NodeId, Digest)>, StoreError> {
        let sql = "SELECT id, leaf_hash FROM nodes WHERE parent_id = $1 AND trashed_ms IS NULL ORDER BY id";
        let rows = self.rows::<LeafRow>(sql, vec![bytes(directory.as_bytes())]).await?;
        rows.into_iter().map(|row| Ok((id("nodes.id", &row.id)?, digest("nodes.leaf_hash", &row.leaf_hash)?))).collect()
    }

    /// What lies in the trash of somebody's trees, in the order of ids, those after `after`.
    pub async fn trash_of(&self, owner: UserId, after: Option<NodeId>, limit: u64) -> Result<Vec<NodeId>, StoreError> {
        let sql = "SELECT id FROM nodes WHERE owner_id = $1 AND trashed_ms IS NOT NULL AND id > $2 ORDER BY id LIMIT $3";
        let rows = self.rows::<IdRow>(sql, vec![bytes(owner.as_bytes()), after_value(after), number(limit)?.into()]).await?;
        rows.into_iter().map(|row| id("nodes.id", &row.id)).collect()
    }

    /// The node and everything below it, trash included; the node itself is first, the rest in no order.
    pub async fn subtree(&self, node: NodeId) -> Result<Vec<NodeId>, StoreError> {
        let sql = format!("{} SELECT id FROM down ORDER BY CASE WHEN id = $1 THEN 0 ELSE 1 END", subtree_cte("$1"));
        let rows = self.rows::<IdRow>(&sql, vec![bytes(node.as_bytes())]).await?;
        rows.into_iter().map(|row| id("nodes.id", &row.id)).collect()
    }

    /// Nodes below `node` (itself included) whose keys are older than a closure on their path: what is left to `ticrypt rekey`.
    pub async fn closed_below(&self, node: NodeId, limit: u64) -> Result<Vec<NodeId>, StoreError> {
        // The youngest closure above the node comes down with the walk.
        let sql = "WITH RECURSIVE \
             up (id) AS (SELECT parent_id FROM nodes WHERE id = $1 AND parent_id IS NOT NULL UNION \
                 SELECT n.parent_id FROM nodes n JOIN up ON n.id = up.id WHERE n.parent_id IS NOT NULL), \
             above (closure_seq) AS (SELECT COALESCE(MAX(n.closure_seq), 0) FROM nodes n JOIN up ON n.id = up.id), \
             down (id, closure_seq, rolled_seq) AS ( \
                 SELECT n.id, CASE WHEN n.closure_seq > a.closure_seq THEN n.closure_seq ELSE a.closure_seq END, n.rolled_seq \
                     FROM nodes n, above a WHERE n.id = $1 UNION ALL \
                 SELECT n.id, CASE WHEN n.closure_seq > d.closure_seq THEN n.closure_seq ELSE d.closure_seq END, n.rolled_seq \
                     FROM nodes n JOIN down d ON n.parent_id = d.id) \
             SELECT id FROM down WHERE closure_seq > rolled_seq LIMIT $2";
        let rows = self.rows::<IdRow>(sql, vec![bytes(node.as_bytes()), number(limit)?.into()]).await?;
        rows.into_iter().map(|row| id("nodes.id", &row.id)).collect()
    }
}

/// Every id is greater than no bytes.
pub(super) fn after_value(after: Option<NodeId>) -> Value {
    after.map_or(Vec::new(), |id| id.as_bytes().to_vec()).into()
}

fn entries(rows: Vec<nodes::Model>, current: Vec<CurrentRow>) -> Result<Vec<Entry>, StoreError> {
    let mut contents = BTreeMap::new();
    for row in current {
        contents.insert(row.file_id.clone(), row.split()?);
    }
    let entry = |row: nodes::Model| {
        let current = contents.remove(&row.id).map(|(manifest, version)| Current { manifest, version });
        Ok(Entry { node: Node::try_from(row)?, current })
    };
    rows.into_iter().map(entry).collect()
}
