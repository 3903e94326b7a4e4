//! The chunk store: ciphertext under `ab/cd/FILE/VERSION/N`, in a folder of its own or below `chunks/` of an S3 bucket. (`ab`, `cd`: the
//! first two bytes of the file's id, so that no folder grows too large.)
//!
//! A chunk is written once: to a temporary name, synced, then linked to its own name, then the directory is synced, so it is
//! there whole or not at all, also after a power cut. `object_store` does so with `with_fsync(true)`: for a conditional
//! create it syncs the file, every directory it had to make and the parent of the first of them, links, and syncs the directory of
//! the link (seen in its source, version 0.14.2, and with strace). It does not sync deletions; one that a power cut undoes leaves a chunk
//! without a row, which the sweep removes. Which content a chunk must have is the caller's to know: hashes are with the metadata.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream::BoxStream};
use object_store::aws::{AmazonS3Builder, S3ConditionalPut};
use object_store::local::LocalFileSystem;
use object_store::path::Path as ObjectPath;
use object_store::prefix::PrefixStore;
use object_store::{ObjectStore, ObjectStoreExt, PutMode, PutOptions};
use ticrypt_types::limits::{CHUNK_BYTES, CHUNK_OVERHEAD_BYTES, CHUNKS_MAX};
use ticrypt_types::{NodeId, VersionId};

/// No chunk is longer, in bytes.
pub const STORED_CHUNK_MAX_BYTES: usize = CHUNK_BYTES + CHUNK_OVERHEAD_BYTES;

/// Why a chunk could not be stored or had.
#[derive(Debug, thiserror::Error)]
pub enum BlobError {
    #[error("the chunk is not there; run `ticrypt-backend check`")]
    NotFound,
    #[error("another chunk is stored under that number; upload to a new version")]
    Different,
    #[error("a chunk holds 1 to {STORED_CHUNK_MAX_BYTES} bytes; send it so")]
    Size,
    #[error("there is no chunk of that number; at most {CHUNKS_MAX} are in a version")]
    Number,
    #[error("the chunk store's settings are not usable; check the configuration")]
    Settings(#[source] object_store::Error),
    #[error("the chunk folder cannot be made; check its place and rights")]
    Folder(#[source] std::io::Error),
    #[error("the chunk store does not answer; try again")]
    Unavailable(#[source] object_store::Error),
}

impl From<object_store::Error> for BlobError {
    fn from(error: object_store::Error) -> Self {
        match error {
            object_store::Error::NotFound { .. } => Self::NotFound,
            error => Self::Unavailable(error),
        }
    }
}

/// Names one chunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ChunkKey {
    pub file: NodeId,
    pub version: VersionId,
    pub number: u64,
}

impl ChunkKey {
    fn path(&self) -> Result<ObjectPath, BlobError> {
        if self.number >= CHUNKS_MAX {
            return Err(BlobError::Number);
        }
        Ok(version_path(self.file, self.version).join(self.number.to_string()))
    }

    fn parse(path: &ObjectPath) -> Option<Self> {
        let parts: Vec<_> = path.parts().map(|part| part.as_ref().to_owned()).collect();
        let [_, _, file, version, number] = parts.as_slice() else { return None };
        let key = Self { file: file.parse().ok()?, version: version.parse().ok()?, number: number.parse().ok()? };
        // One spelling per key: what does not lead back to its path was not written here.
        (key.path().ok()? == *path).then_some(key)
    }
}

fn version_path(file: NodeId, version: VersionId) -> ObjectPath {
    let [first, second, ..] = file.to_bytes();
    ObjectPath::from(format!("{first:02x}/{second:02x}/{file}/{version}"))
}

/// What became of a chunk that was put.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Put {
    New,
    /// The same bytes were there already.
    Same,
}

/// Where an S3 bucket is.
#[derive(Clone)]
pub struct S3Settings {
    pub endpoint: String,
    pub region: String,
    pub bucket: String,
    pub access_key: String,
    pub secret_key: String,
    /// Plain HTTP, for a server on the same machine.
    pub allow_http: bool,
}

impl std::fmt::Debug for S3Settings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "S3Settings({} at {})", self.bucket, self.endpoint)
    }
}

/// The chunks. Cheap to clone.
#[derive(Clone, Debug)]
pub struct ChunkStore {
    inner: Arc<dyn ObjectStore>,
    /// Of a local one: where its folder is.
    root: Option<PathBuf>,
}

/// One stored object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    /// `None` for an object that no chunk could be.
    pub key: Option<ChunkKey>,
    pub path: String,
    pub size_bytes: u64,
}

impl ChunkStore {
    /// In a folder of its own, made if missing.
    pub fn local(root: &Path) -> Result<Self, BlobError> {
        std::fs::create_dir_all(root).map_err(BlobError::Folder)?;
        // What is put later syncs folders up to this one; the name of this one is synced here.
        for folder in root.ancestors().take(2).filter(|folder| folder.is_dir()) {
            std::fs::File::open(folder).and_then(|folder| folder.sync_all()).map_err(BlobError::Folder)?;
        }
        let inner = LocalFileSystem::new_with_prefix(root).map_err(BlobError::Settings)?.with_fsync(true);
        // Folders go with their last chunk; a chunk being put keeps its own folder by its temporary file.
        Ok(Self { inner: Arc::new(inner.with_automatic_cleanup(true)), root: Some(root.to_owned()) })
    }

    /// In a bucket of an S3-speaking server that knows conditional puts.
    pub fn s3(settings: &S3Settings) -> Result<Self, BlobError> {
        let inner = AmazonS3Builder::new()
            .with_endpoint(&settings.endpoint)
            .with_region(&settings.region)
            .with_bucket_name(&settings.bucket)
            .with_access_key_id(&settings.access_key)
            .with_secret_access_key(&settings.secret_key)
            .with_allow_http(settings.allow_http)
            .with_conditional_put(S3ConditionalPut::ETagMatch)
            .build()
            .map_err(BlobError::Settings)?;
        Ok(Self { inner: Arc::new(PrefixStore::new(inner, "chunks")), root: None })
    }

    /// Stores a chunk durably unless another is there; the same bytes again are fine.
    pub async fn put(&self, key: ChunkKey, bytes: Bytes) -> Result<Put, BlobError> {
        let path = key.path()?;
        bounded(&bytes)?;
        let create = PutOptions { mode: PutMode::Create, ..Default::default() };
        match self.inner.put_opts(&path, bytes.clone().into(), create).await {
            Ok(_) => Ok(Put::New),
            Err(object_store::Error::AlreadyExists { .. } | object_store::Error::Precondition { .. }) => {
                if self.get(key).await? != bytes {
                    return Err(BlobError::Different);
                }
                // Whoever put it may have died between the name and the sync of its folder; writing it again syncs both.
                if self.root.is_some() {
                    self.replace(key, bytes).await?;
                }
                Ok(Put::Same)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Stores a chunk over what is there: for a chunk that was stored but never recorded.
    pub async fn replace(&self, key: ChunkKey, bytes: Bytes) -> Result<(), BlobError> {
        let path = key.path()?;
        bounded(&bytes)?;
        self.inner.put(&path, bytes.into()).await?;
        Ok(())
    }

    pub async fn get(&self, key: ChunkKey) -> Result<Bytes, BlobError> {
        let found = self.inner.get(&key.path()?).await?;
        // Not read into memory before its size is known.
        if found.meta.size > STORED_CHUNK_MAX_BYTES as u64 {
            return Err(BlobError::Size);
        }
        Ok(found.bytes().await?)
    }

    /// The stored size in bytes, if it is there.
    pub async fn size(&self, key: ChunkKey) -> Result<Option<u64>, BlobError> {
        match self.inner.head(&key.path()?).await {
            Ok(meta) => Ok(Some(meta.size)),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Deletes a chunk; one that is not there is fine.
    pub async fn delete(&self, key: ChunkKey) -> Result<(), BlobError> {
        self.delete_path(&key.path()?).await
    }

    /// Deletes every chunk of a version, also those no row knows of. Tells how many.
    pub async fn delete_version(&self, file: NodeId, version: VersionId) -> Result<u64, BlobError> {
        let paths: Vec<ObjectPath> = self.inner.list(Some(&version_path(file, version))).map_ok(|meta| meta.location).try_collect().await?;
        for path in &paths {
            self.delete_path(path).await?;
        }
        Ok(paths.len() as u64)
    }

    /// Everything that is stored, in no order.
    pub fn list(&self) -> BoxStream<'static, Result<Stored, BlobError>> {
        let objects = self.inner.list(None);
        objects
            .map(|object| {
                let object = object?;
                Ok(Stored { key: ChunkKey::parse(&object.location), path: object.location.to_string(), size_bytes: object.size })
            })
            .boxed()
    }

    /// Removes temporary files that a crash left behind and nobody wrote since `before`. Tells how many. (A list does not show them.)
    pub async fn remove_unfinished(&self, before: SystemTime) -> Result<u64, BlobError> {
        let Some(root) = self.root.clone() else { return Ok(0) };
        let removed = tokio::task::spawn_blocking(move || remove_unfinished(&root, before)).await;
        removed.map_err(|error| BlobError::Folder(error.into()))?.map_err(BlobError::Folder)
    }

    async fn delete_path(&self, path: &ObjectPath) -> Result<(), BlobError> {
        match self.inner.delete(path).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

/// Temporary files are named after the chunk with `#` and a number behind.
fn remove_unfinished(folder: &Path, before: SystemTime) -> Result<u64, std::io::Error> {
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        // The last chunk took its folder with it since it was listed.
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(0),
        Err(error) => return Err(error),
    };
    let mut removed = 0;
    for entry in entries {
        let entry = entry?;
        let meta = entry.metadata()?;
        if meta.is_dir() {
            removed += remove_unfinished(&entry.path(), before)?;
        } else if entry.file_name().to_string_lossy().contains('#') && meta.modified()? < before {
            std::fs::remove_file(entry.path())?;
            removed += 1;
        }
    }
    Ok(removed)
}

fn bounded(bytes: &Bytes) -> Result<(), BlobError> {
    if (1..=STORED_CHUNK_MAX_BYTES).contains(&bytes.len()) { Ok(()) } else { Err(BlobError::Size) }
}
