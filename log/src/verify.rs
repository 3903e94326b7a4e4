//! Verifying a whole log from its files and public keys alone.
//!
//! Every entry is hashed again, every tile compared, every level recomputed up to the root, and the
//! root compared with what the log and its witnesses signed. So a flipped byte, a dropped, swapped
//! or cut entry, a fork, a split view and a rollback each come out as an error that names the place.
//!
//! ```text
//! entries ─hash─▶ tile/0 ─root of 256─▶ tile/1 ─▶ … ─▶ root = checkpoint = what was seen before
//! ```

use std::fs::File;
use std::io::{self, Read};
use std::ops::Range;
use std::path::{Path, PathBuf};

use crate::checkpoint::{Checkpoint, CheckpointError, SignedCheckpoint};
use crate::key::VerifierKey;
use crate::merkle::{self, HASH_BYTES, Hash, leaf_hash, subtree_root};
use crate::note::MAX_NOTE_BYTES;
use crate::publisher::{CHECKPOINT_FILE, WITNESSED_FILE};
use crate::tile::{
    MAX_ENTRY_BYTES, TILE_WIDTH, TileError, TileLevel, TilePath, TileReader, decode_entries, decode_hashes, encode_hashes, level_count,
    tile_at,
};

const MAX_THREADS: usize = 8;
/// Below this many bundles another thread costs more than it saves.
const BUNDLES_PER_THREAD: u64 = 16;
const WIDTH: u64 = TILE_WIDTH as u64;

/// Whom a verifier believes.
#[derive(Debug, Clone)]
pub struct Trust<'t> {
    /// Key of the log; its name is the origin.
    pub log_key: &'t VerifierKey,
    /// Keys of the witnesses.
    pub witnesses: &'t [VerifierKey],
    /// Distinct witnesses that must have cosigned.
    pub quorum: usize,
    /// Checkpoints of this log seen before, whose signatures were verified then. An older log or one
    /// that does not contain them is refused.
    pub seen: &'t [Checkpoint],
}

/// A log that is sound.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// The head of the log.
    pub checkpoint: Checkpoint,
    /// Entries under a checkpoint with the quorum of witnesses; those after it have the log's word only.
    pub witnessed_size: u64,
    /// Distinct known witnesses on the head itself.
    pub cosignatures: usize,
    /// Bytes of entries hashed.
    pub entry_bytes: u64,
}

/// A log that is not sound, or cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// A file is missing, too long or cannot be read.
    #[error("cannot read {file}")]
    Read {
        /// The file.
        file: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A checkpoint is not signed as it should be.
    #[error("{file} is refused")]
    Checkpoint {
        /// Which file.
        file: &'static str,
        /// Why.
        #[source]
        source: CheckpointError,
    },
    /// A tile or bundle does not have its form.
    #[error("tile is malformed")]
    Tile(#[from] TileError),
    /// An entry is not the one whose hash is in the tree.
    #[error("entry {index} is not the one in the tree")]
    Entry {
        /// Its index.
        index: u64,
    },
    /// A tile above the leaves does not follow from those below.
    #[error("{0} does not follow from the tiles below it")]
    TileChanged(TilePath),
    /// The entries lead to another root than signed.
    #[error("entries do not lead to the root signed for size {size}")]
    Root {
        /// Size of the checkpoint.
        size: u64,
    },
    /// The log is shorter than it was.
    #[error("log has {found} entries, but a checkpoint over {seen} was seen: it was rolled back")]
    Older {
        /// Size found.
        found: u64,
        /// Size seen.
        seen: u64,
    },
    /// The log does not contain what was seen: two views of it exist.
    #[error("log does not contain the checkpoint seen at size {size}: it was forked")]
    Fork {
        /// Size of the checkpoint seen.
        size: u64,
    },
}

/// Verifies the log in a directory: `checkpoint`, `tile/…` and, if there, `checkpoint.witnessed`.
///
/// # Errors
/// [`VerifyError`], the first found.
pub fn verify_dir(directory: &Path, trust: &Trust<'_>) -> Result<Report, VerifyError> {
    let bytes = read_bounded(&directory.join(CHECKPOINT_FILE), MAX_NOTE_BYTES)?;
    let witnessed = match read_bounded(&directory.join(WITNESSED_FILE), MAX_NOTE_BYTES) {
        Ok(bytes) => Some(bytes),
        Err(VerifyError::Read { source, .. }) if source.kind() == io::ErrorKind::NotFound => None,
        Err(error) => return Err(error),
    };
    verify_tree(directory, &bytes, witnessed.as_deref(), trust)
}

/// Verifies the tiles in a directory against a checkpoint, and a witnessed one if there is any, that are kept elsewhere.
///
/// # Errors
/// [`VerifyError`], the first found.
pub fn verify_tree(directory: &Path, bytes: &[u8], witnessed: Option<&[u8]>, trust: &Trust<'_>) -> Result<Report, VerifyError> {
    let origin = trust.log_key.name();
    let open = |file: &'static str, bytes: &[u8], quorum| {
        SignedCheckpoint::open(bytes, origin, trust.log_key, trust.witnesses, quorum)
            .map_err(|source| VerifyError::Checkpoint { file, source })
    };
    let (signed, cosignatures) = open(CHECKPOINT_FILE, bytes, 0)?;
    let head = signed.checkpoint().clone();
    let witnessed = match witnessed {
        Some(bytes) => Some(open(WITNESSED_FILE, bytes, trust.quorum)?.0.checkpoint().clone()),
        None => None,
    };
    if witnessed.is_none() {
        open(CHECKPOINT_FILE, bytes, trust.quorum)?;
    }

    let size = head.size;
    let (rows, entry_bytes) = verify_entries(directory, size)?;
    let rows = verify_upper_tiles(directory, size, rows)?;
    let reader = TileReader::new(size, |path| match path.level() {
        // Compared with the entries a moment ago.
        TileLevel::Hashes(0) | TileLevel::Entries => read_tile(directory, path),
        TileLevel::Hashes(level) => {
            let row = rows.get(usize::from(level) - 1).map(Vec::as_slice).unwrap_or_default();
            let start = usize::try_from(path.index() * WIDTH).unwrap_or(usize::MAX);
            let hashes = row.get(start..).and_then(|rest| rest.get(..path.width().into()));
            Ok::<_, VerifyError>(encode_hashes(hashes.unwrap_or_default()))
        }
    });
    if merkle::root(size, &reader)? != head.root {
        return Err(VerifyError::Root { size });
    }
    for seen in trust.seen.iter().chain(&witnessed) {
        if seen.size > size {
            return Err(VerifyError::Older { found: size, seen: seen.size });
        }
        if seen.origin != origin || merkle::root(seen.size, &reader)? != seen.root {
            return Err(VerifyError::Fork { size: seen.size });
        }
    }
    let by_head = if cosignatures >= trust.quorum.max(1) { size } else { 0 };
    let witnessed_size = witnessed.map_or(0, |head| head.size).max(by_head);
    Ok(Report { checkpoint: head, witnessed_size, cosignatures, entry_bytes })
}

/// Hashes all entries, compares level 0, and gives the hashes of level 1 (roots of full tiles).
fn verify_entries(directory: &Path, size: u64) -> Result<(Vec<Hash>, u64), VerifyError> {
    let bundles = size.div_ceil(WIDTH);
    if bundles < 2 * BUNDLES_PER_THREAD {
        return verify_bundles(directory, size, 0..bundles);
    }
    let threads = std::thread::available_parallelism().map_or(1, usize::from).min(MAX_THREADS);
    let share = bundles.div_ceil(threads as u64).max(1);
    let ranges = (0..threads as u64).map(|thread| {
        let start = (thread * share).min(bundles);
        start..(start + share).min(bundles)
    });
    let parts: Vec<Result<(Vec<Hash>, u64), VerifyError>> = std::thread::scope(|scope| {
        let running: Vec<_> = ranges.map(|range| scope.spawn(move || verify_bundles(directory, size, range))).collect();
        let lost = || io::Error::other("a verifying thread ended early");
        running
            .into_iter()
            .map(|thread| thread.join().unwrap_or_else(|_| Err(VerifyError::Read { file: directory.to_path_buf(), source: lost() })))
            .collect()
    });
    let (mut row, mut entry_bytes) = (Vec::new(), 0);
    for part in parts {
        let (hashes, bytes) = part?;
        row.extend(hashes);
        entry_bytes += bytes;
    }
    Ok((row, entry_bytes))
}

fn verify_bundles(directory: &Path, size: u64, range: Range<u64>) -> Result<(Vec<Hash>, u64), VerifyError> {
    let (mut roots, mut entry_bytes) = (Vec::new(), 0);
    for index in range {
        let missing = TileError::NoSuchHash { size, level: 0, index };
        let bundle_path = tile_at(TileLevel::Entries, index, size).ok_or_else(|| missing.clone())?;
        let tile_path = tile_at(TileLevel::Hashes(0), index, size).ok_or(missing)?;
        let bundle = read_tile(directory, bundle_path)?;
        let hashes = decode_hashes(tile_path, &read_tile(directory, tile_path)?)?;
        let entries = decode_entries(bundle_path, &bundle)?;
        for (place, (entry, hash)) in (0..).zip(entries.iter().zip(&hashes)) {
            if leaf_hash(entry) != *hash {
                return Err(VerifyError::Entry { index: index * WIDTH + place });
            }
            entry_bytes += entry.len() as u64;
        }
        if tile_path.is_full() {
            roots.extend(subtree_root(&hashes));
        }
    }
    Ok((roots, entry_bytes))
}

/// Compares the tiles of level 1 and up with what the level below gives; returns all those rows.
fn verify_upper_tiles(directory: &Path, size: u64, first: Vec<Hash>) -> Result<Vec<Vec<Hash>>, VerifyError> {
    let mut rows = Vec::new();
    let mut row = first;
    let mut level: u8 = 1;
    while !row.is_empty() {
        debug_assert_eq!(row.len() as u64, level_count(size, level));
        let mut above = Vec::new();
        for (index, hashes) in (0..).zip(row.chunks(TILE_WIDTH.into())) {
            let missing = TileError::NoSuchHash { size, level, index };
            let path = tile_at(TileLevel::Hashes(level), index, size).ok_or(missing)?;
            if read_tile(directory, path)? != encode_hashes(hashes) {
                return Err(VerifyError::TileChanged(path));
            }
            if path.is_full() {
                above.extend(subtree_root(hashes));
            }
        }
        rows.push(std::mem::replace(&mut row, above));
        level += 1;
    }
    Ok(rows)
}

/// Reads a tile; for a partial one that is gone, the beginning of the full one (which the log may
/// have written since, and which is compared like any other).
pub(crate) fn read_tile(directory: &Path, path: TilePath) -> Result<Vec<u8>, VerifyError> {
    let limit = |path: TilePath| match path.level() {
        TileLevel::Hashes(_) => usize::from(path.width()) * HASH_BYTES,
        TileLevel::Entries => usize::from(path.width()) * (MAX_ENTRY_BYTES + 2),
    };
    let found = read_bounded(&directory.join(path.to_string()), limit(path));
    match found {
        Err(VerifyError::Read { source, .. }) if source.kind() == io::ErrorKind::NotFound && !path.is_full() => {
            let full = path.full();
            let mut bytes = read_bounded(&directory.join(full.to_string()), limit(full))?;
            let length = match path.level() {
                TileLevel::Hashes(_) => limit(path),
                TileLevel::Entries => {
                    let entries = decode_entries(full, &bytes)?;
                    entries.iter().take(path.width().into()).map(|entry| entry.len() + 2).sum()
                }
            };
            bytes.truncate(length);
            Ok(bytes)
        }
        other => other,
    }
}

pub(crate) fn read_bounded(file: &Path, limit: usize) -> Result<Vec<u8>, VerifyError> {
    let failed = |source| VerifyError::Read { file: file.to_path_buf(), source };
    let open = File::open(file).map_err(failed)?;
    let expected = open.metadata().map_err(failed)?.len();
    if expected > limit as u64 {
        return Err(failed(io::Error::new(io::ErrorKind::FileTooLarge, "larger than it can be")));
    }
    let mut bytes = Vec::with_capacity(usize::try_from(expected).unwrap_or(limit));
    open.take(limit as u64 + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() > limit {
        return Err(failed(io::Error::new(io::ErrorKind::FileTooLarge, "larger than it can be")));
    }
    Ok(bytes)
}
