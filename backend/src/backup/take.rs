//! Taking a backup, step by step; the module says why in this order.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use serde::Serialize;
use ticrypt_store::blobs::ChunkStore;
use ticrypt_store::{Options as StoreOptions, Store};
use ticrypt_types::Timestamp;

use super::chunks::{self, ChunkFault, Copied};
use super::directory::{self, Directory};
use super::lease::Lease;
use super::manifest::{ChunkCount, FileRecord, LogRecord, Manifest};
use super::{BackupError, Source, blocking, io, keys, logs};
use crate::audit::recovery;
use crate::check::Progress;
use crate::clock::Clock;
use crate::tls::make_directory;

pub const DATABASE: &str = "database.sqlite";

/// A finished backup. `--json` prints it as it is.
#[derive(Clone, Debug, Serialize)]
pub struct Taken {
    pub manifest: Manifest,
    /// Chunks that were not there from an earlier backup.
    pub copied: ChunkCount,
    /// Chunks of an earlier backup that no row names any more.
    pub removed_chunks: u64,
}

impl fmt::Display for Taken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Manifest { deployment, taken, database, chunks, logs, .. } = &self.manifest;
        write!(f, "deployment {deployment} as of {taken}: database of {} bytes, ", database.bytes)?;
        match chunks {
            Some(named) => write!(
                f,
                "{} chunks of {} bytes ({} copied now, {} no longer needed and removed)",
                named.count, named.bytes, self.copied.count, self.removed_chunks
            )?,
            None => write!(f, "chunks left out")?,
        }
        logs.iter().try_for_each(|log| write!(f, ", {} entries of the {} log", log.entries, log.name))
    }
}

/// Backs everything up into `root`; without chunks if their store is backed up by its own means.
pub async fn take(
    source: &Source,
    root: &Path,
    with_chunks: bool,
    clock: &Clock,
    mut tell: impl FnMut(Progress) + Send,
) -> Result<Taken, BackupError> {
    let (path, deployment) = (root.to_path_buf(), source.deployment);
    let directory = Arc::new(blocking(move || Directory::open(&path, deployment)).await?);
    let (set, set_path) = directory.begin_set()?;
    let lease = Lease::take(&source.place.store, clock).await?;
    let gathered = gather(source, root, &set_path, with_chunks, &lease, &mut tell).await;
    // Whatever came of it: chunks need not stay any longer.
    let released = lease.release().await;
    let (gathered, ()) = (gathered?, released?);

    let (data, database, has_tls) = (source.paths.0.clone(), set_path.join(DATABASE), source.has_tls);
    let (database, keys) = blocking(move || {
        let keys = keys::copy(&data, &set_path, has_tls)?;
        std::fs::File::open(&database).and_then(|file| file.sync_all()).map_err(io("sync", &database))?;
        let record = FileRecord::of_file(DATABASE, &database).map_err(io("read", &database))?;
        directory::sync(&set_path)?;
        Ok((record, keys))
    })
    .await?;
    let mut manifest = Manifest::new(source.deployment, gathered.taken, gathered.schema, set, database);
    manifest.chunks = gathered.chunks.as_ref().map(|copied| copied.named);
    manifest.logs = gathered.logs;
    manifest.settled = gathered.settled;
    manifest.keys = keys;
    directory::sync(root)?;
    manifest.write(root)?;
    let removed_chunks = forget_earlier(&directory, &manifest, gathered.chunks.as_ref()).await?;
    Ok(Taken { manifest, copied: gathered.chunks.map(|copied| copied.new).unwrap_or_default(), removed_chunks })
}

/// What must be copied while chunks are held.
struct Gathered {
    taken: Timestamp,
    schema: u32,
    settled: Option<u64>,
    logs: Vec<LogRecord>,
    chunks: Option<Copied>,
}

async fn gather(
    source: &Source,
    root: &Path,
    set: &Path,
    with_chunks: bool,
    lease: &Lease,
    tell: &mut (impl FnMut(Progress) + Send),
) -> Result<Gathered, BackupError> {
    // The hold is there: from this moment on nothing goes that the rows name.
    let taken = source.place.store.advance_clock(lease.clock.now()).await?;
    let database = set.join(DATABASE);
    source.place.store.copy_to(&database).await?;
    tell(Progress { step: "database, bytes", done: std::fs::metadata(&database).map_err(io("read", &database))?.len() });

    // Read before the logs are measured: what closes the rows below the mark is then in them.
    let settled = recovery::mark(&source.paths.log());
    let mut records = Vec::new();
    for (log, signer) in source.place.logs.iter().zip([&source.signers.audit, &source.signers.keys]) {
        let to = root.join("log").join(log.name);
        make_directory(&to)?;
        let state = logs::copy(log, signer, &source.log_options, &to).await?;
        records.push(LogRecord::new(log.name, state.as_ref()));
        tell(Progress { step: "log entries", done: records.iter().map(|record| record.entries).sum() });
    }

    let rows = Store::connect(&format!("sqlite://{}", utf8(&database)?), &StoreOptions::default()).await?;
    let schema = rows.schema_version().await?;
    let chunks = if with_chunks { Some(copy_chunks(source, &rows, root, lease, tell).await) } else { None };
    rows.close().await?;
    Ok(Gathered { taken, schema, settled, logs: records, chunks: chunks.transpose()? })
}

async fn copy_chunks(
    source: &Source,
    rows: &Store,
    root: &Path,
    lease: &Lease,
    tell: &mut (impl FnMut(Progress) + Send),
) -> Result<Copied, BackupError> {
    let to = ChunkStore::local(&root.join(chunks::FOLDER))?;
    chunks::copy(rows, &source.place.chunks, &to, tell).await.map_err(|fault| match fault {
        ChunkFault::Missing(_) if lease.was_lost() => BackupError::HoldLost,
        ChunkFault::Missing(chunk) => BackupError::ChunkMissing(chunk),
        ChunkFault::Damaged(chunk) => BackupError::ChunkDamaged(chunk),
        ChunkFault::Store(error) => error.into(),
        ChunkFault::Blobs(error) => error.into(),
        ChunkFault::Task => BackupError::Task,
    })
}

/// What only the earlier backup needed. The new manifest is in its place; from here on nothing can go wrong with it.
async fn forget_earlier(directory: &Directory, manifest: &Manifest, copied: Option<&Copied>) -> Result<u64, BackupError> {
    directory.keep_only(Some(&manifest.set))?;
    for earlier in directory.earlier.iter().flat_map(|earlier| &earlier.logs) {
        let now = manifest.logs.iter().find(|log| log.name == earlier.name).map_or(0, |log| log.entries);
        ticrypt_log::copy::forget_partials(&directory.root.join("log").join(&earlier.name), earlier.entries, now);
    }
    match copied {
        Some(copied) => Ok(chunks::keep_only(&copied.versions, &ChunkStore::local(&directory.root.join(chunks::FOLDER))?).await?),
        // Chunks that an earlier backup took along stay; whoever leaves them out now may want them later.
        None => Ok(0),
    }
}

pub(super) fn utf8(path: &Path) -> Result<&str, BackupError> {
    path.to_str().ok_or_else(|| io("use", path)(std::io::Error::new(std::io::ErrorKind::InvalidFilename, "the path is not UTF-8")))
}
