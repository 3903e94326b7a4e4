//! What the threads of a log share.
//!
//! ```text
//! callers ──queue──▶ writer ──▶ journal (fdatasync) ──▶ tail ──▶ publisher ──▶ tiles, checkpoint
//!    ▲                  │        acknowledged here        │                        │
//!    └──────────────────┘                          readers of new entries    view: readers of tiles
//! ```
//!
//! The tail holds durable entries until full tiles hold them; the view is the tree as the latest
//! checkpoint shows it. A failure in either thread is final: it is kept in `failed`, and every
//! waiting and later append is told.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError, RwLock};

use tokio::sync::watch;

use crate::checkpoint::SignedCheckpoint;
use crate::error::LogError;
use crate::fs::LogFs;
use crate::journal::Entry;
use crate::key::NoteSigner;
use crate::merkle::{Hash, subtree_root};
use crate::options::Options;
use crate::tile::{self, TILE_WIDTH, TileLevel, TilePath, TileReader, decode_entries, encode_hashes, push_entry, tile_at};

/// Entries of one group commit.
pub(crate) struct Group {
    pub(crate) first: u64,
    pub(crate) entries: Vec<Entry>,
}

impl Group {
    fn end(&self) -> u64 {
        self.first + self.entries.len() as u64
    }
}

/// Durable entries that full tiles do not hold yet, and what the publisher is asked to do.
#[derive(Default)]
pub(crate) struct Tail {
    pub(crate) groups: VecDeque<Arc<Group>>,
    /// Bytes of entries in `groups`.
    pub(crate) bytes: usize,
    /// Number of durable entries.
    pub(crate) durable: u64,
    pub(crate) flush: bool,
    pub(crate) closing: bool,
}

impl Tail {
    pub(crate) fn push(&mut self, group: Group) {
        self.durable = group.end();
        self.bytes += group.entries.iter().map(|entry| entry.bytes.len()).sum::<usize>();
        self.groups.push_back(Arc::new(group));
    }

    /// Forgets groups wholly below `tiled`.
    pub(crate) fn drop_before(&mut self, tiled: u64) {
        while let Some(group) = self.groups.pop_front_if(|group| group.end() <= tiled) {
            self.bytes -= group.entries.iter().map(|entry| entry.bytes.len()).sum::<usize>();
        }
    }

    /// The groups from the one that holds entry `index` on; `None` when tiles hold it.
    pub(crate) fn from(&self, index: u64) -> Option<impl Iterator<Item = &Arc<Group>>> {
        let first = self.groups.front().map_or(self.durable, |group| group.first);
        (index >= first).then(|| {
            let start = self.groups.partition_point(|group| group.end() <= index);
            self.groups.range(start..)
        })
    }

    /// One entry, while it is in the tail.
    pub(crate) fn entry<T>(&self, index: u64, read: impl FnOnce(&Entry) -> T) -> Option<T> {
        let group = self.from(index)?.next()?;
        group.entries.get(usize::try_from(index.checked_sub(group.first)?).ok()?).map(read)
    }
}

/// The growing right side of the tree: at each tile level the hashes of the tile not yet full.
#[derive(Debug, Clone, Default)]
pub(crate) struct Edges {
    pub(crate) size: u64,
    pub(crate) levels: Vec<Vec<Hash>>,
    /// The entry bundle not yet full.
    pub(crate) bundle: Vec<u8>,
}

impl Edges {
    /// Adds an entry and hands every tile that became full to `full`.
    pub(crate) fn push<E>(&mut self, entry: &Entry, mut full: impl FnMut(TilePath, Vec<u8>) -> Result<(), E>) -> Result<(), LogError>
    where
        LogError: From<E>,
    {
        push_entry(&mut self.bundle, &entry.bytes)?;
        self.size += 1;
        if self.size.is_multiple_of(u64::from(TILE_WIDTH)) {
            let bundle = std::mem::take(&mut self.bundle);
            if let Some(path) = TilePath::new(TileLevel::Entries, (self.size >> 8) - 1, TILE_WIDTH) {
                full(path, bundle)?;
            }
        }
        let mut hash = Some(entry.leaf);
        let mut level: u8 = 0;
        while let Some(new) = hash.take() {
            let place = usize::from(level);
            if self.levels.len() <= place {
                self.levels.push(Vec::new());
            }
            let Some(row) = self.levels.get_mut(place) else { break };
            row.push(new);
            if row.len() == usize::from(TILE_WIDTH) {
                let row = std::mem::take(row);
                let index = tile::level_count(self.size, level + 1) - 1;
                if let Some(path) = TilePath::new(TileLevel::Hashes(level), index, TILE_WIDTH) {
                    full(path, encode_hashes(&row))?;
                }
                hash = subtree_root(&row);
                level += 1;
            }
        }
        Ok(())
    }

    /// The bytes of the partial tile of this row, empty if there is none.
    pub(crate) fn partial(&self, level: TileLevel) -> Vec<u8> {
        match level {
            TileLevel::Entries => self.bundle.clone(),
            TileLevel::Hashes(level) => self.levels.get(usize::from(level)).map(|row| encode_hashes(row)).unwrap_or_default(),
        }
    }
}

/// The checkpoints a log may still be asked about.
#[derive(Default)]
pub(crate) struct Heads {
    /// Oldest first; the last is the latest published.
    pub(crate) recent: VecDeque<SignedCheckpoint>,
    /// The newest one with enough cosignatures.
    pub(crate) witnessed: Option<SignedCheckpoint>,
}

/// Numbers for metrics.
#[derive(Default)]
pub(crate) struct Counters {
    pub(crate) events: AtomicU64,
    pub(crate) syncs: AtomicU64,
    pub(crate) checkpoints: AtomicU64,
}

pub(crate) struct Shared {
    pub(crate) fs: Arc<dyn LogFs>,
    pub(crate) directory: PathBuf,
    pub(crate) origin: String,
    pub(crate) signer: NoteSigner,
    pub(crate) options: Options,
    pub(crate) tail: Mutex<Tail>,
    /// Wakes the publisher (work) and the writer (the tail shrank).
    pub(crate) wake: Condvar,
    pub(crate) heads: Mutex<Heads>,
    pub(crate) view: RwLock<Arc<Edges>>,
    /// Size of the latest published checkpoint.
    pub(crate) progress: watch::Sender<u64>,
    pub(crate) failed: OnceLock<Arc<str>>,
    pub(crate) counters: Counters,
    /// Entries below this are durable in full tiles and bundles.
    pub(crate) tiled: AtomicU64,
}

impl Shared {
    pub(crate) fn tail(&self) -> MutexGuard<'_, Tail> {
        lock(&self.tail)
    }

    pub(crate) fn heads(&self) -> MutexGuard<'_, Heads> {
        lock(&self.heads)
    }

    pub(crate) fn view(&self) -> Arc<Edges> {
        Arc::clone(&self.view.read().unwrap_or_else(PoisonError::into_inner))
    }

    pub(crate) fn set_view(&self, view: Edges) {
        *self.view.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(view);
    }

    /// Puts the log in its final state. The first reason is kept.
    pub(crate) fn fail(&self, error: &LogError) {
        let mut reason = error.to_string();
        let mut cause = std::error::Error::source(error);
        while let Some(inner) = cause {
            reason = format!("{reason}: {inner}");
            cause = inner.source();
        }
        if self.failed.set(reason.clone().into()).is_ok() {
            tracing::error!(origin = %self.origin, reason, "log failed and takes no more entries");
        }
        // Taking the lock orders this against a thread that is about to wait.
        drop(self.tail());
        self.wake.notify_all();
        self.progress.send_modify(|_| ());
    }

    pub(crate) fn check_failed(&self) -> Result<(), LogError> {
        match self.failed.get() {
            Some(reason) => Err(LogError::Failed { reason: Arc::clone(reason) }),
            None => Ok(()),
        }
    }

    pub(crate) fn tile_file(&self, path: TilePath) -> PathBuf {
        self.directory.join(path.to_string())
    }

    /// A tile of the tree in `view`: full ones from disk, partial ones cut from what there is.
    /// `None` when that tree does not have it.
    pub(crate) fn tile(&self, path: TilePath, view: &Edges) -> Result<Option<Vec<u8>>, LogError> {
        let Some(available) = tile_at(path.level(), path.index(), view.size) else { return Ok(None) };
        if path.width() > available.width() {
            return Ok(None);
        }
        let mut bytes = if available.is_full() {
            let file = self.tile_file(available);
            self.fs.read(&file).map_err(|source| LogError::Io { step: "read a tile", source })?
        } else {
            view.partial(path.level())
        };
        if path.width() < available.width() {
            let length = match path.level() {
                TileLevel::Hashes(_) => usize::from(path.width()) * crate::merkle::HASH_BYTES,
                TileLevel::Entries => {
                    let entries = decode_entries(available, &bytes)?;
                    entries.iter().take(path.width().into()).map(|entry| entry.len() + 2).sum()
                }
            };
            bytes.truncate(length);
        }
        Ok(Some(bytes))
    }

    /// Hashes of the tree in `view`.
    pub(crate) fn reader<'s>(&'s self, view: &'s Edges) -> TileReader<impl Fn(TilePath) -> Result<Vec<u8>, LogError> + 's> {
        TileReader::new(view.size, move |path| self.tile(path, view)?.ok_or(LogError::NoSuchTile { path, size: view.size }))
    }

    pub(crate) fn add(counter: &AtomicU64, by: u64) {
        counter.fetch_add(by, Ordering::Relaxed);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // A panic is impossible by the lints; a poisoned lock would still hold sound data.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
