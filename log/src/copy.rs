//! A log as files, taken while another process writes it; and a log that can be written again, made from them.
//!
//! ```text
//!   running log ─ copy ─▶ tile/… and a signed checkpoint over them ─ rebuild ─▶ tile/…, journal, checkpoint
//! ```
//!
//! What is copied is what [`crate::export`] writes: tiles of exactly one published checkpoint, which any reader of C2SP tlog-tiles
//! verifies. The journal is not copied: its entries are in tiles as soon as a checkpoint covers them, and [`durable_end`] says which
//! checkpoint to wait for. Tiles never change under their names, so a later copy into the same directory writes only what is new, and
//! an earlier checkpoint stays good beside it.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::checkpoint::{CheckpointError, SignedCheckpoint};
use crate::fs::{LogFs, RealFs, create_directories, replace};
use crate::journal::{self, Entry, Journal, JournalError};
use crate::key::VerifierKey;
use crate::merkle::leaf_hash;
use crate::note::MAX_NOTE_BYTES;
use crate::options::Options;
use crate::publisher::{CHECKPOINT_FILE, WITNESSED_FILE};
use crate::tile::{TILE_WIDTH, TileError, TileLevel, decode_entries, level_count, level_total, partial_tiles, tile_at};
use crate::verify::{VerifyError, read_bounded, read_tile};
use crate::writer::JOURNAL_DIRECTORY;

/// A running log replaces its partial tiles with every checkpoint; so often a copy begins again with the newer one.
const ROUNDS: usize = 20;

/// A published state of a log.
#[derive(Debug, Clone)]
pub struct Published {
    /// Its head.
    pub checkpoint: SignedCheckpoint,
    /// The newest checkpoint with enough cosignatures, which is not beyond the head.
    pub witnessed: Option<SignedCheckpoint>,
}

/// A log could not be copied.
#[derive(Debug, thiserror::Error)]
pub enum CopyError {
    /// A file of the log cannot be read, or a tile is malformed.
    #[error("cannot read the log; verify it first")]
    Read(#[from] VerifyError),
    /// The log's journal cannot be read.
    #[error("cannot read the log's journal; verify the log first")]
    Journal(#[from] JournalError),
    /// The checkpoint is not signed by the log.
    #[error("{file} of the log is refused")]
    Checkpoint {
        /// Which file.
        file: &'static str,
        /// Why.
        #[source]
        source: CheckpointError,
    },
    /// A file of the copy could not be written.
    #[error("cannot write {file}")]
    Write {
        /// The file.
        file: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// There is a log already.
    #[error("{0} already holds a log; choose an empty directory")]
    NotEmpty(PathBuf),
}

/// How many entries a log has by its journal, published or not. The log may grow meanwhile.
///
/// # Errors
/// [`CopyError::Journal`].
pub fn durable_end(directory: &Path) -> Result<u64, CopyError> {
    Ok(journal::end(&RealFs, &directory.join(JOURNAL_DIRECTORY))?)
}

/// What a log in a directory has published; `None` for one that was never opened.
///
/// # Errors
/// [`CopyError`] when a checkpoint cannot be read or is not signed by the log.
pub fn published(directory: &Path, key: &VerifierKey) -> Result<Option<Published>, CopyError> {
    let read = |file: &'static str| match read_bounded(&directory.join(file), MAX_NOTE_BYTES) {
        Err(VerifyError::Read { source, .. }) if source.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(CopyError::Read(error)),
        Ok(bytes) => match SignedCheckpoint::open(&bytes, key.name(), key, &[], 0) {
            Ok((signed, _)) => Ok(Some(signed)),
            Err(source) => Err(CopyError::Checkpoint { file, source }),
        },
    };
    // The witnessed one first: it is then not beyond the head.
    let witnessed = read(WITNESSED_FILE)?;
    Ok(read(CHECKPOINT_FILE)?.map(|checkpoint| Published { checkpoint, witnessed }))
}

/// Copies the tiles of the newest published state of a log into `to`; those that are there are left alone. Returns that state, which
/// the caller keeps: the copy holds no checkpoint. `None` for a log that was never opened. Blocks.
///
/// # Errors
/// [`CopyError`].
pub fn copy(from: &Path, key: &VerifierKey, to: &Path) -> Result<Option<Published>, CopyError> {
    let mut round = 0;
    loop {
        let Some(state) = published(from, key)? else { return Ok(None) };
        round += 1;
        match copy_tiles(from, state.checkpoint.checkpoint().size, to) {
            Ok(()) => return Ok(Some(state)),
            Err(CopyError::Read(VerifyError::Read { source, .. })) if source.kind() == io::ErrorKind::NotFound && round < ROUNDS => {}
            Err(error) => return Err(error),
        }
    }
}

/// Makes a log of copied tiles and the state they were copied for, so that it can be opened and goes on from there. Blocks.
///
/// # Errors
/// [`CopyError`].
pub fn rebuild(from: &Path, state: &Published, to: &Path) -> Result<(), CopyError> {
    let checkpoint = to.join(CHECKPOINT_FILE);
    let journal = to.join(JOURNAL_DIRECTORY);
    if checkpoint.exists() || journal.exists() {
        return Err(CopyError::NotEmpty(to.to_path_buf()));
    }
    let size = state.checkpoint.checkpoint().size;
    copy_tiles(from, size, to)?;
    // Entries of the bundle that is not full live in the journal; a log begins there when it is opened.
    let first = size - size % u64::from(TILE_WIDTH);
    let mut journal = Journal::begin_at(Arc::new(RealFs), journal, first, Options::default().segment_bytes)?;
    if let Some(path) = tile_at(TileLevel::Entries, first / u64::from(TILE_WIDTH), size) {
        let bundle = read_tile(from, path)?;
        let entries = decode_entries(path, &bundle).map_err(VerifyError::from)?.into_iter();
        journal.append(&entries.map(|bytes| Entry { leaf: leaf_hash(bytes), bytes: bytes.to_vec() }).collect::<Vec<_>>())?;
    }
    if let Some(witnessed) = &state.witnessed {
        write(&to.join(WITNESSED_FILE), &witnessed.to_bytes())?;
    }
    write(&checkpoint, &state.checkpoint.to_bytes())
}

/// Removes from a copy the partial tiles that only its state of `old` entries needs, now that `new` has taken its place.
pub fn forget_partials(directory: &Path, old: u64, new: u64) {
    let kept = partial_tiles(new);
    for path in partial_tiles(old).into_iter().filter(|path| !kept.contains(path)) {
        // One left behind costs its bytes and nothing else.
        let _ = fs::remove_file(directory.join(path.to_string()));
    }
}

/// Durable on return.
fn copy_tiles(from: &Path, size: u64, to: &Path) -> Result<(), CopyError> {
    let mut parents = BTreeSet::new();
    let levels = (0..level_total(size)).map(|level| (TileLevel::Hashes(level), level_count(size, level)));
    for (level, count) in levels.chain([(TileLevel::Entries, size)]) {
        for index in 0..count.div_ceil(u64::from(TILE_WIDTH)) {
            let missing = TileError::NoSuchHash { size, level: 0, index };
            let path = tile_at(level, index, size).ok_or(VerifyError::Tile(missing))?;
            let file = to.join(path.to_string());
            if file.exists() {
                continue;
            }
            let bytes = read_tile(from, path)?;
            let parent = file.parent().unwrap_or(to).to_path_buf();
            write_tile(&file, &parent, &bytes).map_err(|source| CopyError::Write { file, source })?;
            parents.insert(parent);
        }
    }
    parents.into_iter().try_for_each(|parent| RealFs.sync_directory(&parent).map_err(|source| CopyError::Write { file: parent, source }))
}

/// The file is durable on return, its name once the directory is synced; a tile that is there is therefore whole.
fn write_tile(file: &Path, parent: &Path, bytes: &[u8]) -> io::Result<()> {
    create_directories(&RealFs, parent)?;
    let temporary = file.with_extension("tmp");
    let mut open = RealFs.create(&temporary)?;
    open.write_all(bytes)?;
    open.sync()?;
    RealFs.rename(&temporary, file)
}

fn write(file: &Path, bytes: &[u8]) -> Result<(), CopyError> {
    let made = file.parent().map_or(Ok(()), |parent| create_directories(&RealFs, parent));
    made.and_then(|()| replace(&RealFs, file, bytes)).map_err(|source| CopyError::Write { file: file.to_path_buf(), source })
}
