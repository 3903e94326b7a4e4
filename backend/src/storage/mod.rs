//! The storage role: chunks, in and out. It knows no names, no keys and no rights: a ticket of the file role says what its bearer
//! may move, and the ticket is held against what was lost since (security C16).
//!
//! ```text
//!   PUT chunk ─▶ ticket ─▶ header, length, last flag fit the size ─▶ bytes durable ─▶ hash recorded ─▶ answer
//! ```
//!
//! What is recorded stays as it is: a version is published on the recorded hashes, so the bytes behind them never change. Bytes that
//! were stored but not recorded, because the server stopped in between, are replaced. Chunks of one upload come in parallel; the
//! same chunk twice at once does not.

mod busy;
mod ticket;

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use ticrypt_api::role::{Caller, Chunks, Epochs};
use ticrypt_api::{ApiError, ErrorKind};
use ticrypt_crypto::Digest;
use ticrypt_crypto::chunk::{ChunkError, StoredChunk};
use ticrypt_policy::Denial;
use ticrypt_policy::version::may_write_chunk;
use ticrypt_store::blobs::{BlobError, ChunkKey, ChunkStore};
use ticrypt_store::version::Chunk;
use ticrypt_store::{Store, StoreError};
use ticrypt_types::{NodeId, Secret, VersionId};

use tokio_util::task::TaskTracker;

use busy::Busy;
use ticket::{Ticket, TicketChecker, TicketError, Wanted};

use crate::losses::Losses;
use crate::refusal::{refuse, store_failed};

/// What the role works with.
#[derive(Debug)]
pub struct Parts {
    pub store: Store,
    pub chunks: ChunkStore,
    pub epochs: Arc<dyn Epochs>,
    /// Random, of this process; the file role has the same.
    pub ticket_key: Secret<[u8; 32]>,
    /// What voids a ticket; the file role notes it.
    pub losses: Arc<Losses>,
}

/// Why a chunk does not move.
#[derive(Debug, thiserror::Error)]
enum StorageError {
    #[error(transparent)]
    Ticket(#[from] TicketError),
    #[error("what the ticket rests on was lost; ask for a new one")]
    Lost,
    #[error("the session is over; log in again")]
    Session,
    #[error("the chunk does not fit its version: {0}")]
    Chunk(#[from] ChunkError),
    #[error("another chunk is recorded under that number; begin a new version")]
    Recorded,
    #[error("this chunk is being written already; wait for that")]
    Busy,
    #[error(transparent)]
    Denied(#[from] Denial),
    #[error("the database refused")]
    Store(#[from] StoreError),
    #[error("the chunk store refused")]
    Blob(#[from] BlobError),
    #[error("a task of the server ended early")]
    Task,
}

/// The storage role.
#[derive(Clone, Debug)]
pub struct StorageRole {
    store: Store,
    blobs: ChunkStore,
    tickets: Arc<TicketChecker>,
    epochs: Arc<dyn Epochs>,
    losses: Arc<Losses>,
    busy: Busy,
    tasks: TaskTracker,
}

impl StorageRole {
    pub fn new(parts: Parts) -> Self {
        Self {
            store: parts.store,
            blobs: parts.chunks,
            tickets: Arc::new(TicketChecker::new(&parts.ticket_key)),
            epochs: parts.epochs,
            losses: parts.losses,
            busy: Busy::default(),
            tasks: TaskTracker::new(),
        }
    }

    /// Waits for the chunks that are being written.
    pub async fn shutdown(&self) {
        self.tasks.close();
        self.tasks.wait().await;
    }

    fn admit(&self, caller: &Caller, bytes: &[u8], wanted: Wanted, version: VersionId) -> Result<Ticket, StorageError> {
        let ticket = self.tickets.check(bytes, wanted, version, (caller.user, caller.session), caller.now)?;
        if !self.epochs.is_current(ticket.user, ticket.session, ticket.epoch) {
            return Err(StorageError::Session);
        }
        if self.losses.since(ticket.user, ticket.loss) {
            return Err(StorageError::Lost);
        }
        Ok(ticket)
    }

    async fn write_chunk(&self, caller: &Caller, ticket: &[u8], version: VersionId, number: u64, bytes: Bytes) -> Result<(), StorageError> {
        let ticket = self.admit(caller, ticket, Wanted::Write, version)?;
        StoredChunk::parse(&bytes)?.check(number, ticket.size)?;
        let _busy = self.busy.begin(version, number).ok_or(StorageError::Busy)?;
        let upload = self.store.upload(version).await?.ok_or(Denial::UploadOver)?;
        let user = self.store.user(caller.user).await?.ok_or(StorageError::Session)?;
        let actor = self.store.actor(&user, caller.epoch, caller.login).await?;
        let permit = may_write_chunk(&actor, &upload.facts(), caller.now)?;
        let recorded = self.store.chunks(version, number, 1).await?;
        // Hashing 8 MiB takes longer than an async thread should be held.
        let (hash, bytes) =
            tokio::task::spawn_blocking(move || (Digest::of(&bytes).to_bytes(), bytes)).await.map_err(|_| StorageError::Task)?;
        match recorded.first().filter(|chunk| chunk.number == number) {
            Some(chunk) if chunk.hash == hash => return Ok(()),
            Some(_) => return Err(StorageError::Recorded),
            None => {}
        }
        let key = ChunkKey { file: ticket.file, version, number };
        let stored_len = bytes.len() as u64;
        match self.blobs.put(key, bytes.clone()).await {
            // Left by a server that stopped before it recorded them: nobody was told that they are stored.
            Err(BlobError::Different) => self.blobs.replace(key, bytes).await?,
            put => drop(put?),
        }
        self.store.record_chunk(permit, Chunk { number, hash, stored_len }, caller.now).await?;
        Ok(())
    }

    async fn read_chunk(&self, caller: &Caller, ticket: &[u8], version: VersionId, number: u64) -> Result<Bytes, StorageError> {
        let ticket = self.admit(caller, ticket, Wanted::Read, version)?;
        ticrypt_crypto::chunk::plain_len(number, ticket.size)?;
        Ok(self.blobs.get(ChunkKey { file: ticket.file, version, number }).await?)
    }
}

#[async_trait]
impl Chunks for StorageRole {
    async fn write(&self, caller: &Caller, ticket: &[u8], version: VersionId, number: u64, bytes: Bytes) -> Result<(), ApiError> {
        // In a task of the role: a client that hangs up must not leave bytes behind that are still on their way to the disk.
        let (role, by, ticket) = (self.clone(), caller.clone(), ticket.to_vec());
        let written = self.tasks.spawn(async move { role.write_chunk(&by, &ticket, version, number, bytes).await });
        written.await.unwrap_or(Err(StorageError::Task)).map_err(|error| error.into_api(caller))
    }

    async fn read(&self, caller: &Caller, ticket: &[u8], version: VersionId, number: u64) -> Result<Bytes, ApiError> {
        self.read_chunk(caller, ticket, version, number).await.map_err(|error| error.into_api(caller))
    }

    async fn delete(&self, file: NodeId, version: VersionId) {
        // Asked now that the row is gone: a backup that still knows the row holds already (`ticrypt_store::hold`).
        match self.store.chunks_are_held().await {
            Ok(false) => {}
            Ok(true) => return tracing::debug!(%version, "a backup is under way; the sweep will delete these chunks"),
            Err(error) => return tracing::warn!(%version, error = &error as &dyn std::error::Error, "chunks were left to the sweep"),
        }
        if let Err(error) = self.blobs.delete_version(file, version).await {
            tracing::warn!(%version, error = &error as &dyn std::error::Error, "chunks were not deleted; the sweep will");
        }
    }
}

impl StorageError {
    fn into_api(self, caller: &Caller) -> ApiError {
        match self {
            Self::Ticket(_) | Self::Lost => ApiError::new(ErrorKind::Refused, "ticket", self.to_string()),
            Self::Session => ApiError::new(ErrorKind::Unidentified, "session_over", self.to_string()),
            Self::Chunk(ChunkError::Number { .. }) => ApiError::not_found(),
            Self::Chunk(_) => ApiError::new(ErrorKind::Invalid, "chunk_malformed", self.to_string()),
            Self::Recorded => ApiError::new(ErrorKind::Taken, "chunk_taken", self.to_string()),
            Self::Busy => ApiError::new(ErrorKind::Stale, "chunk_busy", self.to_string()),
            Self::Denied(denial) => refuse(denial, caller.now),
            // The upload ended between the ticket and the record.
            Self::Store(StoreError::Stale(_)) => refuse(Denial::UploadOver, caller.now),
            Self::Store(error) => store_failed(error, caller.now),
            Self::Blob(BlobError::NotFound) => ApiError::not_found(),
            Self::Blob(error) => blob_failed(&error),
            Self::Task => ApiError::broken(),
        }
    }
}

/// The chunk store's own failures; a full disk is told apart, since an administrator can help.
fn blob_failed(error: &BlobError) -> ApiError {
    tracing::error!(error = error as &dyn std::error::Error, "the chunk store failed");
    if is_full(error) {
        return ApiError::new(ErrorKind::Unavailable, "storage_full", "the storage is full; tell an administrator, then try again");
    }
    ApiError::new(ErrorKind::Unavailable, "storage_unavailable", "the storage does not answer; try again later")
}

/// Whether somewhere down the chain the operating system, or the bucket, says that there is no room.
fn is_full(error: &(dyn std::error::Error + 'static)) -> bool {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if let Some(io) = error.downcast_ref::<std::io::Error>()
            && matches!(io.kind(), std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded)
        {
            return true;
        }
        cause = error.source();
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("outer")]
    struct Outer(#[source] std::io::Error);

    #[test]
    fn a_full_disk_is_found_down_the_chain() {
        assert!(is_full(&Outer(std::io::ErrorKind::StorageFull.into())));
        assert!(is_full(&Outer(std::io::ErrorKind::QuotaExceeded.into())));
        assert!(!is_full(&Outer(std::io::ErrorKind::PermissionDenied.into())));
    }
}
