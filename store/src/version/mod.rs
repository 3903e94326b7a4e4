//! Contents: uploads, their chunks, and the manifests that make them versions of a file.
//!
//! ```text
//! begin_uploads ──▶ uploading ──record_chunk…──▶ publish / create_nodes ──▶ stored
//!                       └──────▶ abandoned ──▶ (chunks deleted, then the row)
//! ```
//!
//! A small content skips the first half: it comes with the node or the manifest, and lives beside them. A manifest becomes
//! current by compare-and-set on the file's sequence; one that loses the race stays in the history as a conflict.

mod write;

use std::collections::BTreeMap;

use sea_orm::FromQueryResult;
use ticrypt_policy::Permit;
use ticrypt_policy::permit::{ChunkWrite, UploadAbandon, UploadBegin, VersionPublish};
use ticrypt_policy::version::UploadFacts;
use ticrypt_types::{NodeId, Timestamp, UserId, VersionId};

use crate::column::{Digest, bytes, count, digest, id, id_or_none, number, placeholders, time};
use crate::connect::Store;
use crate::error::StoreError;
use crate::table::version::{chunks, small_chunks, versions};

/// How far an upload attempt has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VersionState {
    Uploading,
    /// All chunks are there and a manifest names it.
    Stored,
    Abandoned,
}

impl VersionState {
    const fn word(self) -> &'static str {
        match self {
            Self::Uploading => "uploading",
            Self::Stored => "stored",
            Self::Abandoned => "abandoned",
        }
    }

    fn from_word(word: &str) -> Result<Self, StoreError> {
        [Self::Uploading, Self::Stored, Self::Abandoned]
            .into_iter()
            .find(|state| state.word() == word)
            .ok_or(StoreError::Corrupt("versions.state"))
    }
}

/// One content of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Version {
    pub id: VersionId,
    pub file: NodeId,
    pub state: VersionState,
    /// The content key under the file's tree key.
    pub content_wrap: Vec<u8>,
    /// Plaintext bytes.
    pub size: u64,
    pub chunk_count: u64,
    pub created_by: UserId,
    pub created: Timestamp,
}

/// An upload attempt under way, or what became of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Upload {
    pub version: Version,
    /// Where a file that does not exist yet will be.
    pub directory: Option<NodeId>,
    /// The account's epoch when it began; tickets are bound to it.
    pub session_epoch: u64,
    pub touched: Timestamp,
}

impl Upload {
    pub fn facts(&self) -> UploadFacts {
        UploadFacts { version: self.version.id, created_by: self.version.created_by, open: self.version.state == VersionState::Uploading }
    }
}

/// An upload to begin.
#[derive(Clone, Debug)]
pub struct UploadNew {
    pub version: VersionId,
    pub file: NodeId,
    /// For a file that does not exist yet: the directory in which it will be.
    pub directory: Option<NodeId>,
    pub content_wrap: Vec<u8>,
    pub size: u64,
    pub chunk_count: u64,
    pub session_epoch: u64,
}

/// A stored chunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Chunk {
    pub number: u64,
    pub hash: Digest,
    pub stored_len: u64,
}

/// A manifest as stored (docs/formats.md §8).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Manifest {
    pub file: NodeId,
    pub sequence: u64,
    pub hash: Digest,
    pub envelope: Vec<u8>,
    /// The manifest's property key under the file's list key.
    pub props_key: Vec<u8>,
    pub version: VersionId,
    pub writer: UserId,
    /// It lost a race; another manifest of this sequence is current.
    pub conflict: bool,
    pub at: Timestamp,
}

/// A manifest with what the caller took out of it.
#[derive(Clone, Debug)]
pub struct ManifestNew {
    pub sequence: u64,
    pub predecessor: Option<Digest>,
    pub hash: Digest,
    pub envelope: Vec<u8>,
    pub props_key: Vec<u8>,
    pub at: Timestamp,
}

/// Where a manifest's content is.
#[derive(Clone, Debug)]
pub enum ContentSource {
    /// It comes along: the only chunk, stored with the metadata.
    Small { content_wrap: Vec<u8>, size: u64, hash: Digest, bytes: Vec<u8> },
    /// It was uploaded by the writer, and all chunks are recorded.
    Uploaded,
    /// It is an older version of the file.
    Older,
}

/// A content with the manifest that makes it current.
#[derive(Clone, Debug)]
pub struct ContentNew {
    pub version: VersionId,
    pub source: ContentSource,
    pub manifest: ManifestNew,
}

/// What became of a manifest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Published {
    Current,
    /// Another was first; this one is kept in the history.
    Conflict,
}

/// A manifest joined with its version.
#[derive(FromQueryResult)]
pub(crate) struct CurrentRow {
    pub(crate) file_id: Vec<u8>,
    sequence: i64,
    hash: Vec<u8>,
    envelope: Vec<u8>,
    props_key: Vec<u8>,
    version_id: Vec<u8>,
    writer_id: Vec<u8>,
    conflict: bool,
    at_ms: i64,
    state: String,
    content_wrap: Vec<u8>,
    size: i64,
    chunk_count: i64,
    created_by: Vec<u8>,
    created_ms: i64,
}

impl CurrentRow {
    pub(crate) fn split(self) -> Result<(Manifest, Version), StoreError> {
        let (file, version) = (id("manifests.file_id", &self.file_id)?, id("manifests.version_id", &self.version_id)?);
        let manifest = Manifest {
            file,
            sequence: count("manifests.sequence", self.sequence)?,
            hash: digest("manifests.hash", &self.hash)?,
            envelope: self.envelope,
            props_key: self.props_key,
            version,
            writer: id("manifests.writer_id", &self.writer_id)?,
            conflict: self.conflict,
            at: time(self.at_ms),
        };
        let version = Version {
            id: version,
            file,
            state: VersionState::from_word(&self.state)?,
            content_wrap: self.content_wrap,
            size: count("versions.size", self.size)?,
            chunk_count: count("versions.chunk_count", self.chunk_count)?,
            created_by: id("versions.created_by", &self.created_by)?,
            created: time(self.created_ms),
        };
        Ok((manifest, version))
    }
}

impl TryFrom<versions::Model> for Upload {
    type Error = StoreError;
    fn try_from(row: versions::Model) -> Result<Self, StoreError> {
        Ok(Self {
            version: Version {
                id: id("versions.id", &row.id)?,
                file: id("versions.file_id", &row.file_id)?,
                state: VersionState::from_word(&row.state)?,
                content_wrap: row.content_wrap,
                size: count("versions.size", row.size)?,
                chunk_count: count("versions.chunk_count", row.chunk_count)?,
                created_by: id("versions.created_by", &row.created_by)?,
                created: time(row.created_ms),
            },
            directory: id_or_none("versions.directory_id", row.directory_id.as_ref())?,
            session_epoch: count("versions.session_epoch", row.session_epoch)?,
            touched: time(row.touched_ms),
        })
    }
}

impl TryFrom<chunks::Model> for Chunk {
    type Error = StoreError;
    fn try_from(row: chunks::Model) -> Result<Self, StoreError> {
        Ok(Self {
            number: count("chunks.number", row.number)?,
            hash: digest("chunks.hash", &row.hash)?,
            stored_len: count("chunks.stored_len", row.stored_len)?,
        })
    }
}

const WITH_VERSION: &str = "SELECT m.*, v.state, v.content_wrap, v.size, v.chunk_count, v.created_by, v.created_ms \
     FROM manifests m JOIN versions v ON v.id = m.version_id";

impl Store {
    pub async fn upload(&self, version: VersionId) -> Result<Option<Upload>, StoreError> {
        let rows = self.rows::<versions::Model>("SELECT * FROM versions WHERE id = $1", vec![bytes(version.as_bytes())]).await?;
        rows.into_iter().next().map(Upload::try_from).transpose()
    }

    /// Somebody's uploads under way, those touched last first.
    pub async fn uploads_of(&self, user: UserId, limit: u64) -> Result<Vec<Upload>, StoreError> {
        let sql = "SELECT * FROM versions WHERE created_by = $1 AND state = 'uploading' ORDER BY touched_ms DESC, id LIMIT $2";
        let rows = self.rows::<versions::Model>(sql, vec![bytes(user.as_bytes()), number(limit)?.into()]).await?;
        rows.into_iter().map(Upload::try_from).collect()
    }

    /// The recorded chunks of a version from number `from`, in order.
    pub async fn chunks(&self, version: VersionId, from: u64, limit: u64) -> Result<Vec<Chunk>, StoreError> {
        let sql = "SELECT * FROM chunks WHERE version_id = $1 AND number >= $2 ORDER BY number LIMIT $3";
        let values = vec![bytes(version.as_bytes()), number(from)?.into(), number(limit)?.into()];
        self.rows::<chunks::Model>(sql, values).await?.into_iter().map(Chunk::try_from).collect()
    }

    /// The only chunks of small contents; versions that have none here are left out.
    pub async fn small_contents(&self, ids: &[VersionId]) -> Result<BTreeMap<VersionId, Vec<u8>>, StoreError> {
        let mut found = BTreeMap::new();
        for some in ids.chunks(1_000) {
            let sql = format!("SELECT * FROM small_chunks WHERE version_id IN ({})", placeholders(1, some.len()));
            let values = some.iter().map(|id| bytes(id.as_bytes())).collect();
            for row in self.rows::<small_chunks::Model>(&sql, values).await? {
                found.insert(id("small_chunks.version_id", &row.version_id)?, row.bytes);
            }
        }
        Ok(found)
    }

    /// A file's history with the contents, newest first; conflicts stand beside the manifest that won.
    pub async fn versions(&self, file: NodeId, before: Option<u64>, limit: u64) -> Result<Vec<(Manifest, Version)>, StoreError> {
        let before = number(before.unwrap_or(i64::MAX as u64))?;
        let sql = format!("{WITH_VERSION} WHERE m.file_id = $1 AND m.sequence < $2 ORDER BY m.sequence DESC, m.conflict, m.hash LIMIT $3");
        let rows = self.rows::<CurrentRow>(&sql, vec![bytes(file.as_bytes()), before.into(), number(limit)?.into()]).await?;
        rows.into_iter().map(CurrentRow::split).collect()
    }

    /// One manifest of a file with its content.
    pub async fn manifest(&self, file: NodeId, hash: &Digest) -> Result<Option<(Manifest, Version)>, StoreError> {
        let sql = format!("{WITH_VERSION} WHERE m.file_id = $1 AND m.hash = $2");
        let rows = self.rows::<CurrentRow>(&sql, vec![bytes(file.as_bytes()), bytes(hash)]).await?;
        rows.into_iter().next().map(CurrentRow::split).transpose()
    }

    /// The histories of several files, each newest first, the files in no order; at most `limit` manifests in all.
    pub async fn histories(&self, files: &[NodeId], limit: u64) -> Result<Vec<(Manifest, Version)>, StoreError> {
        let mut found = Vec::new();
        for some in files.chunks(1_000) {
            let left = limit.saturating_sub(found.len() as u64);
            let (files, last) = (placeholders(1, some.len()), some.len() + 1);
            let sql = format!(
                "{WITH_VERSION} WHERE m.file_id IN ({files}) ORDER BY m.file_id, m.sequence DESC, m.conflict, m.hash LIMIT ${last}"
            );
            let mut values: Vec<_> = some.iter().map(|file| bytes(file.as_bytes())).collect();
            values.push(number(left)?.into());
            for row in self.rows::<CurrentRow>(&sql, values).await? {
                found.push(row.split()?);
            }
        }
        Ok(found)
    }

    /// Every version of some files whose content wrap a rekey must make anew.
    pub async fn contents_of(&self, files: &[NodeId]) -> Result<Vec<Upload>, StoreError> {
        let mut found = Vec::new();
        for some in files.chunks(1_000) {
            let files = placeholders(1, some.len());
            let sql = format!("SELECT * FROM versions WHERE file_id IN ({files}) AND state <> 'abandoned' ORDER BY file_id, id");
            let values = some.iter().map(|file| bytes(file.as_bytes())).collect();
            for row in self.rows::<versions::Model>(&sql, values).await? {
                found.push(Upload::try_from(row)?);
            }
        }
        Ok(found)
    }

    /// Begins uploads; each belongs to a file or directory that one of the permits is on.
    pub async fn begin_uploads(&self, permits: Vec<Permit<UploadBegin>>, uploads: Vec<UploadNew>, at: Timestamp) -> Result<(), StoreError> {
        self.write(move |tx| Box::pin(async move { tx.begin_uploads(permits, uploads, at).await })).await
    }

    /// Records a chunk that is durably stored. The same again changes nothing; another hash for its number is refused.
    pub async fn record_chunk(&self, permit: Permit<ChunkWrite>, chunk: Chunk, at: Timestamp) -> Result<(), StoreError> {
        self.write(move |tx| Box::pin(async move { tx.record_chunk(permit, chunk, at).await })).await
    }

    /// Adds a manifest to a file: as the current one, or as a conflict if another was first.
    pub async fn publish(&self, permit: Permit<VersionPublish>, content: ContentNew) -> Result<Published, StoreError> {
        self.write(move |tx| Box::pin(async move { tx.publish(permit, content).await })).await
    }

    /// Gives an upload up; its chunks are for [`Store::abandoned_before`] to find.
    pub async fn abandon(&self, permit: Permit<UploadAbandon>, at: Timestamp) -> Result<(), StoreError> {
        self.write(move |tx| Box::pin(async move { tx.abandon(permit, at).await })).await
    }

    /// Gives up uploads nobody touched since `before`. Tells how many.
    pub async fn abandon_stale(&self, before: Timestamp, at: Timestamp) -> Result<u64, StoreError> {
        self.write(move |tx| Box::pin(async move { tx.abandon_stale(before, at).await })).await
    }

    /// Forgets abandoned uploads whose chunks are gone.
    pub async fn forget_abandoned(&self, versions: Vec<VersionId>) -> Result<(), StoreError> {
        self.write(move |tx| Box::pin(async move { tx.forget_abandoned(versions).await })).await
    }
}
