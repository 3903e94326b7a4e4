//! The background half of a log: from durable entries to tiles, bundles and signed checkpoints.
//!
//! Order is everything: full tiles are written under a temporary name, synced, renamed, and their
//! directories synced; only then is the checkpoint over them signed and replaced, and only then may
//! the writer drop journal segments. Partial tiles are conveniences for whoever copies the
//! directory; they can be made again from the journal, so they are not synced.

use std::collections::{BTreeSet, HashSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::time::Instant;

use crate::checkpoint::{Checkpoint, SignedCheckpoint};
use crate::error::LogError;
use crate::fs::{create_directories, replace};
use crate::merkle::{self, Hash, subtree_root};
use crate::state::{Edges, Group, Shared};
use crate::tile::{TILE_WIDTH, TileLevel, TilePath, decode_hashes, level_count, partial_tiles, tile_at};

/// File name of the latest checkpoint, as C2SP tlog-tiles says.
pub const CHECKPOINT_FILE: &str = "checkpoint";

/// File name of the newest checkpoint with enough cosignatures.
pub const WITNESSED_FILE: &str = "checkpoint.witnessed";

/// Checkpoints for which a late cosignature is still taken.
const RECENT_CHECKPOINTS: usize = 64;

/// Full tiles that are written together before their directories are synced.
const TILES_AT_ONCE: usize = 256;

pub(crate) struct Publisher {
    shared: Arc<Shared>,
    edges: Edges,
    directories: HashSet<PathBuf>,
    /// Partial tiles on disk: those of the latest checkpoint and of the one before.
    partials: [Vec<TilePath>; 2],
}

impl Publisher {
    /// Begins with the tree of `size` entries, a multiple of 256, whose tiles are on disk.
    pub(crate) fn open(shared: Arc<Shared>, size: u64, last_size: u64) -> Result<Self, LogError> {
        let edges = Edges { size, levels: read_edges(&shared, size)?, bundle: Vec::new() };
        let partials = [partial_tiles(last_size), Vec::new()];
        Ok(Self { shared, edges, directories: HashSet::new(), partials })
    }

    pub(crate) const fn edges(&self) -> &Edges {
        &self.edges
    }

    /// Takes in entries; full tiles are durable on return. With `compare`, a full tile already on
    /// disk is compared instead of written again.
    pub(crate) fn advance(&mut self, groups: &[Arc<Group>], compare: bool) -> Result<(), LogError> {
        let mut waiting: Vec<(TilePath, Vec<u8>)> = Vec::new();
        for group in groups {
            let known = usize::try_from(self.edges.size.saturating_sub(group.first)).unwrap_or(usize::MAX);
            for entry in group.entries.iter().skip(known) {
                self.edges.push(entry, |path, bytes| {
                    waiting.push((path, bytes));
                    Ok::<(), LogError>(())
                })?;
                if waiting.len() >= TILES_AT_ONCE {
                    self.write_full(&mut waiting, compare)?;
                }
            }
        }
        self.write_full(&mut waiting, compare)
    }

    /// Signs, stores and shows the tree as it is now.
    pub(crate) fn publish(&mut self, known: Option<SignedCheckpoint>) -> Result<(), LogError> {
        let current = self.write_partials()?;
        let size = self.edges.size;
        let shared = Arc::clone(&self.shared);
        let signed = match known {
            Some(known) => known,
            None => {
                let root = merkle::root(size, &shared.reader(&self.edges))?;
                Checkpoint { origin: shared.origin.clone(), size, root }.sign(&shared.signer)?
            }
        };
        let mut heads = shared.heads();
        replace(shared.fs.as_ref(), &shared.directory.join(CHECKPOINT_FILE), &signed.to_bytes())
            .map_err(|source| LogError::Io { step: "store the checkpoint", source })?;
        shared.set_view(self.edges.clone());
        Shared::add(&shared.counters.checkpoints, 1);
        heads.recent.push_back(signed);
        if heads.recent.len() > RECENT_CHECKPOINTS {
            heads.recent.pop_front();
        }
        drop(heads);
        shared.progress.send_replace(size);
        self.forget_partials(current);
        Ok(())
    }

    /// Works until the log closes or fails.
    pub(crate) fn run(mut self) {
        let shared = Arc::clone(&self.shared);
        let interval = shared.options.checkpoint_interval;
        let mut last = Instant::now();
        loop {
            let mut tail = shared.tail();
            let closing = loop {
                let grew = tail.durable > self.edges.size;
                let left = interval.saturating_sub(last.elapsed());
                if tail.closing || tail.flush || shared.failed.get().is_some() || (grew && left.is_zero()) {
                    break tail.closing;
                }
                tail = if grew {
                    shared.wake.wait_timeout(tail, left).unwrap_or_else(PoisonError::into_inner).0
                } else {
                    shared.wake.wait(tail).unwrap_or_else(PoisonError::into_inner)
                };
            };
            tail.flush = false;
            let groups: Vec<Arc<Group>> = tail.from(self.edges.size).into_iter().flatten().map(Arc::clone).collect();
            let grew = tail.durable > self.edges.size;
            drop(tail);
            if shared.failed.get().is_some() {
                return;
            }
            if grew && let Err(error) = self.advance(&groups, false).and_then(|()| self.publish(None)) {
                shared.fail(&error);
                return;
            }
            last = Instant::now();
            if closing {
                return;
            }
        }
    }

    fn write_full(&mut self, waiting: &mut Vec<(TilePath, Vec<u8>)>, compare: bool) -> Result<(), LogError> {
        let io = |source| LogError::Io { step: "write a tile", source };
        let fs = Arc::clone(&self.shared.fs);
        let mut renames = Vec::new();
        let mut parents = BTreeSet::new();
        for (path, bytes) in waiting.drain(..) {
            let file = self.shared.tile_file(path);
            if compare {
                match fs.read(&file) {
                    Ok(found) if found == bytes => continue,
                    Ok(_) => return Err(LogError::TileChanged(path)),
                    Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                    Err(error) => return Err(io(error)),
                }
            }
            let parent = self.make_parent(&file)?;
            let temporary = file.with_extension("tmp");
            let mut open = fs.create(&temporary).map_err(io)?;
            open.write_all(&bytes).map_err(io)?;
            renames.push((open, temporary, file));
            parents.insert(parent);
        }
        // Synced only when all are written: the first sync then carries much of the others.
        for (open, temporary, file) in &mut renames {
            open.sync().map_err(io)?;
            fs.rename(temporary, file).map_err(io)?;
        }
        parents.iter().try_for_each(|parent| fs.sync_directory(parent)).map_err(io)?;
        // Every full tile up to here is durable: the tail may forget, the journal may follow.
        let tiled = self.edges.size & !(u64::from(TILE_WIDTH) - 1);
        self.shared.tiled.store(tiled, Ordering::Release);
        self.shared.tail().drop_before(tiled);
        self.shared.wake.notify_all();
        Ok(())
    }

    fn write_partials(&mut self) -> Result<Vec<TilePath>, LogError> {
        let io = |source| LogError::Io { step: "write a partial tile", source };
        let paths = partial_tiles(self.edges.size);
        for path in &paths {
            let file = self.shared.tile_file(*path);
            self.make_parent(&file)?;
            let temporary = file.with_extension("tmp");
            let mut open = self.shared.fs.create(&temporary).map_err(io)?;
            open.write_all(&self.edges.partial(path.level())).map_err(io)?;
            drop(open);
            self.shared.fs.rename(&temporary, &file).map_err(io)?;
        }
        Ok(paths)
    }

    /// Removes partial tiles that the last two checkpoints do not name. Somebody copying the
    /// directory has thus at least one interval to finish.
    fn forget_partials(&mut self, current: Vec<TilePath>) {
        let [last, before] = std::mem::take(&mut self.partials);
        for old in before.iter().filter(|path| !last.contains(path) && !current.contains(path)) {
            // A partial tile left behind costs its bytes and nothing else.
            let _ = self.shared.fs.remove(&self.shared.tile_file(*old));
        }
        self.partials = if current == last { [current, before] } else { [current, last] };
    }

    fn make_parent(&mut self, file: &Path) -> Result<PathBuf, LogError> {
        let parent = file.parent().unwrap_or(&self.shared.directory).to_path_buf();
        if !self.directories.contains(&parent) {
            create_directories(self.shared.fs.as_ref(), &parent)
                .map_err(|source| LogError::Io { step: "make a directory for tiles", source })?;
            self.directories.insert(parent.clone());
        }
        Ok(parent)
    }
}

/// The rows of the tiles not yet full in a tree of `size` entries: each hash is the root of a full
/// tile one level below, which is on disk.
fn read_edges(shared: &Shared, size: u64) -> Result<Vec<Vec<Hash>>, LogError> {
    let mut rows = vec![Vec::new()];
    let mut level: u8 = 1;
    while level_count(size, level) > 0 {
        let count = level_count(size, level);
        let mut row = Vec::new();
        for index in count - count % u64::from(TILE_WIDTH)..count {
            let below = TileLevel::Hashes(level - 1);
            let path = tile_at(below, index, size).filter(TilePath::is_full);
            let path = path.ok_or(LogError::NoSuchEntry { index })?;
            let bytes = shared.fs.read(&shared.tile_file(path));
            let bytes = bytes.map_err(|source| LogError::Io { step: "read a tile", source })?;
            row.extend(subtree_root(&decode_hashes(path, &bytes)?));
        }
        rows.push(row);
        level += 1;
    }
    Ok(rows)
}
