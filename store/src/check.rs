//! What `check` and `sweep` walk over: every content that must have chunks, every one that must lose them.

use ticrypt_types::{NodeId, Timestamp, VersionId};

use crate::column::{bytes, number};
use crate::connect::Store;
use crate::error::StoreError;
use crate::node::{DeletedRow, DeletedVersion};
use crate::table::version::chunks;
use crate::version::Chunk;

/// A version whose chunks must be in the chunk store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredVersion {
    pub file: NodeId,
    pub version: VersionId,
    pub chunk_count: u64,
    /// The recorded chunks, in order. Fewer than `chunk_count` while it is uploaded.
    pub chunks: Vec<Chunk>,
}

impl Store {
    /// Versions with chunks in the chunk store (small contents have none there; abandoned ones are for the sweep), in the order
    /// of their ids, those after `after`. Call with the last id until it is empty.
    pub async fn stored_versions(&self, after: Option<VersionId>, limit: u64) -> Result<Vec<StoredVersion>, StoreError> {
        let sql = "SELECT id, file_id, chunk_count FROM versions WHERE id > $1 AND state <> 'abandoned' \
                   AND NOT EXISTS (SELECT 1 FROM small_chunks s WHERE s.version_id = versions.id) ORDER BY id LIMIT $2";
        let after = after.map_or(Vec::new(), |id| id.as_bytes().to_vec());
        let rows = self.rows::<DeletedRow>(sql, vec![after.into(), number(limit)?.into()]).await?;
        let mut found = Vec::with_capacity(rows.len());
        for row in rows {
            let DeletedVersion { file, version, chunk_count } = row.try_into()?;
            let sql = "SELECT * FROM chunks WHERE version_id = $1 ORDER BY number";
            let chunks = self.rows::<chunks::Model>(sql, vec![bytes(version.as_bytes())]).await?;
            let chunks = chunks.into_iter().map(Chunk::try_from).collect::<Result<_, _>>()?;
            found.push(StoredVersion { file, version, chunk_count, chunks });
        }
        Ok(found)
    }

    /// Abandoned uploads last touched before `before`: their chunks may go, and then their rows by `forget_abandoned`.
    pub async fn abandoned_before(&self, before: Timestamp, limit: u64) -> Result<Vec<DeletedVersion>, StoreError> {
        let sql =
            "SELECT id, file_id, chunk_count FROM versions WHERE state = 'abandoned' AND touched_ms < $1 ORDER BY touched_ms, id LIMIT $2";
        let rows = self.rows::<DeletedRow>(sql, vec![before.to_i64().into(), number(limit)?.into()]).await?;
        rows.into_iter().map(DeletedVersion::try_from).collect()
    }
}
