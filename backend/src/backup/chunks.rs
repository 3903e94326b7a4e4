//! Chunks from one store to another, by the rows that name them; each is hashed on its way.

use std::collections::HashSet;

use futures::{StreamExt, TryStreamExt, stream};
use ticrypt_crypto::Digest;
use ticrypt_store::Store;
use ticrypt_store::blobs::{BlobError, ChunkKey, ChunkStore};
use ticrypt_types::VersionId;

use super::manifest::ChunkCount;
use crate::check::Progress;

/// Where a backup keeps them.
pub(super) const FOLDER: &str = "chunks";
const PAGE: u64 = 1_000;
/// Chunks under way at once; each may take 8 MiB of memory.
const AT_ONCE: usize = 8;

/// Why a chunk was not copied.
#[derive(Debug, thiserror::Error)]
pub enum ChunkFault {
    #[error("the database cannot be read")]
    Store(#[from] ticrypt_store::StoreError),
    #[error("the chunk store cannot be read or written")]
    Blobs(#[from] BlobError),
    #[error("chunk {0} is missing")]
    Missing(String),
    #[error("chunk {0} is not the one recorded")]
    Damaged(String),
    #[error("a task ended early")]
    Task,
}

/// What was copied and what was there.
#[derive(Debug, Default)]
pub struct Copied {
    pub named: ChunkCount,
    pub new: ChunkCount,
    pub versions: HashSet<VersionId>,
}

struct Named {
    key: ChunkKey,
    stored_len: u64,
    hash: [u8; 32],
}

impl Named {
    fn about(&self) -> String {
        format!("{}/{}/{}", self.key.file, self.key.version, self.key.number)
    }
}

/// Copies every chunk that the rows name and `to` does not have with its size.
pub async fn copy(
    rows: &Store,
    from: &ChunkStore,
    to: &ChunkStore,
    tell: &mut (impl FnMut(Progress) + Send),
) -> Result<Copied, ChunkFault> {
    each(rows, tell, |chunk| async move {
        if to.size(chunk.key).await? == Some(chunk.stored_len) {
            return Ok(0);
        }
        let bytes = match from.get(chunk.key).await {
            Err(BlobError::NotFound) => return Err(ChunkFault::Missing(chunk.about())),
            got => got?,
        };
        let wanted = chunk.hash;
        let hashed = tokio::task::spawn_blocking(move || (Digest::of(&bytes).to_bytes() == wanted, bytes)).await;
        let (same, bytes) = hashed.map_err(|_| ChunkFault::Task)?;
        if !same {
            return Err(ChunkFault::Damaged(chunk.about()));
        }
        to.replace(chunk.key, bytes).await?;
        Ok(chunk.stored_len)
    })
    .await
}

/// Whether every chunk that the rows name is there with its size.
pub async fn look(rows: &Store, at: &ChunkStore, tell: &mut (impl FnMut(Progress) + Send)) -> Result<Copied, ChunkFault> {
    each(rows, tell, |chunk| async move {
        match at.size(chunk.key).await? {
            None => Err(ChunkFault::Missing(chunk.about())),
            Some(size) if size != chunk.stored_len => Err(ChunkFault::Damaged(chunk.about())),
            Some(_) => Ok(0),
        }
    })
    .await
}

/// Removes chunks of versions that are not among these. Tells how many.
pub async fn keep_only(versions: &HashSet<VersionId>, at: &ChunkStore) -> Result<u64, BlobError> {
    let (mut removed, mut objects) = (0, at.list());
    while let Some(object) = objects.try_next().await? {
        if let Some(key) = object.key.filter(|key| !versions.contains(&key.version)) {
            at.delete(key).await?;
            removed += 1;
        }
    }
    Ok(removed)
}

/// Does `work` for every chunk that must be there; it tells how many bytes it copied.
async fn each<F>(rows: &Store, tell: &mut (impl FnMut(Progress) + Send), work: impl Fn(Named) -> F) -> Result<Copied, ChunkFault>
where
    F: Future<Output = Result<u64, ChunkFault>>,
{
    let (mut copied, mut after) = (Copied::default(), None);
    loop {
        let versions = rows.stored_versions(after, PAGE).await?;
        let Some(last) = versions.last() else { return Ok(copied) };
        after = Some(last.version);
        let mut page = Vec::new();
        for version in versions {
            copied.versions.insert(version.version);
            for chunk in version.chunks {
                let key = ChunkKey { file: version.file, version: version.version, number: chunk.number };
                copied.named.count += 1;
                copied.named.bytes += chunk.stored_len;
                page.push(Named { key, stored_len: chunk.stored_len, hash: chunk.hash });
            }
        }
        let mut done = stream::iter(page.into_iter().map(&work)).buffer_unordered(AT_ONCE);
        while let Some(bytes) = done.try_next().await? {
            copied.new.count += u64::from(bytes > 0);
            copied.new.bytes += bytes;
        }
        tell(Progress { step: "chunks", done: copied.named.count });
    }
}
