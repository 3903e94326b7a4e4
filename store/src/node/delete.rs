//! Deleting for good: the rows go in one transaction, and the caller is told whose chunks must follow.
//!
//! Chunks are deleted after the commit. A crash in between leaves chunks without rows, which the sweep finds; never rows
//! without chunks.

use sea_orm::FromQueryResult;
use ticrypt_policy::Permit;
use ticrypt_policy::permit::NodeDelete;
use ticrypt_types::{NodeId, VersionId};

use super::{SEALED_TO_OWNER, subtree_cte};
use crate::column::{bytes, count, id, placeholders};
use crate::connect::Store;
use crate::error::StoreError;
use crate::table::node::nodes;
use crate::writer::Tx;

/// A version whose rows are gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct DeletedVersion {
    pub file: NodeId,
    pub version: VersionId,
    pub chunk_count: u64,
}

#[derive(FromQueryResult)]
pub(crate) struct DeletedRow {
    id: Vec<u8>,
    file_id: Vec<u8>,
    chunk_count: i64,
}

impl TryFrom<DeletedRow> for DeletedVersion {
    type Error = StoreError;
    fn try_from(row: DeletedRow) -> Result<Self, StoreError> {
        Ok(Self {
            file: id("versions.file_id", &row.file_id)?,
            version: id("versions.id", &row.id)?,
            chunk_count: count("versions.chunk_count", row.chunk_count)?,
        })
    }
}

impl Store {
    /// Deletes nodes that are in the trash, or roots whose owner lost the keys, and all below them.
    pub async fn delete(&self, permits: Vec<Permit<NodeDelete>>) -> Result<Vec<DeletedVersion>, StoreError> {
        self.write(move |tx| Box::pin(async move { tx.delete(permits).await })).await
    }
}

impl Tx {
    pub async fn delete(&self, permits: Vec<Permit<NodeDelete>>) -> Result<Vec<DeletedVersion>, StoreError> {
        let nodes = self.decided(permits.iter().map(|permit| (permit.on(), permit.revision()))).await?;
        for node in nodes.values().filter(|node| node.trashed.is_none()) {
            if node.parent.is_some() || !self.is_lost(node.id).await? {
                return Err(StoreError::Stale("node"));
            }
        }
        self.delete_below(&nodes.into_keys().collect::<Vec<_>>()).await
    }

    /// These nodes and all below them, whose ids are never given again.
    pub(crate) async fn delete_below(&self, nodes: &[NodeId]) -> Result<Vec<DeletedVersion>, StoreError> {
        let mut deleted = Vec::new();
        for some in nodes.chunks(1_000) {
            let values = || some.iter().map(|id| bytes(id.as_bytes())).collect();
            let below = subtree_cte(&placeholders(1, some.len()));
            // Uploads for files that were never made lie in a directory of the subtree.
            let gone = "(file_id IN (SELECT id FROM down) OR directory_id IN (SELECT id FROM down))";
            let sql = format!("{below} SELECT id, file_id, chunk_count FROM versions WHERE {gone}");
            for row in self.rows::<DeletedRow>(&sql, values()).await? {
                deleted.push(DeletedVersion::try_from(row)?);
            }
            for statement in [
                "INSERT INTO retired SELECT id FROM down".to_owned(),
                format!("INSERT INTO retired SELECT id FROM versions WHERE {gone}"),
                "INSERT INTO retired SELECT id FROM grants WHERE node_id IN (SELECT id FROM down)".to_owned(),
                format!("DELETE FROM small_chunks WHERE version_id IN (SELECT id FROM versions WHERE {gone})"),
                format!("DELETE FROM chunks WHERE version_id IN (SELECT id FROM versions WHERE {gone})"),
                format!("DELETE FROM versions WHERE {gone}"),
                "DELETE FROM manifests WHERE file_id IN (SELECT id FROM down)".to_owned(),
                "DELETE FROM grants WHERE node_id IN (SELECT id FROM down)".to_owned(),
                "DELETE FROM node_tags WHERE node_id IN (SELECT id FROM down)".to_owned(),
                "DELETE FROM nodes WHERE id IN (SELECT id FROM down)".to_owned(),
            ] {
                self.run(&format!("{below} {statement}"), values()).await?;
            }
        }
        Ok(deleted)
    }

    async fn is_lost(&self, root: NodeId) -> Result<bool, StoreError> {
        let sql = format!("SELECT * FROM nodes WHERE id = $1 AND parent_id IS NULL AND NOT {SEALED_TO_OWNER}");
        Ok(self.row::<nodes::Model>(&sql, vec![bytes(root.as_bytes())]).await?.is_some())
    }
}
