//! Writing a log out as a directory that [`crate::verify_dir`] and stock tools take: the checkpoint,
//! the hash tiles and the entry bundles of exactly that size, and nothing else.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::checkpoint::SignedCheckpoint;
use crate::error::LogError;
use crate::fs::{RealFs, replace};
use crate::publisher::CHECKPOINT_FILE;
use crate::tile::{TILE_WIDTH, TileLevel, level_count, level_total, tile_at};
use crate::writer::Log;

/// A log could not be written out.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// The log could not be read.
    #[error("cannot read the log")]
    Log(#[from] LogError),
    /// A file could not be written.
    #[error("cannot write {file}")]
    Write {
        /// The file.
        file: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// There is a checkpoint already.
    #[error("{0} already holds a log; choose an empty directory")]
    NotEmpty(PathBuf),
}

/// Writes the tree under `signed` (the latest or the witnessed checkpoint of `log`) to `directory`.
/// The checkpoint comes last, so a directory with one is complete. Blocks.
///
/// # Errors
/// [`ExportError`].
pub fn export(log: &Log, signed: &SignedCheckpoint, directory: &Path) -> Result<(), ExportError> {
    let checkpoint = directory.join(CHECKPOINT_FILE);
    if checkpoint.exists() {
        return Err(ExportError::NotEmpty(directory.to_path_buf()));
    }
    let write = |file: PathBuf, bytes: &[u8]| {
        let made = file.parent().map_or(Ok(()), fs::create_dir_all).and_then(|()| fs::write(&file, bytes));
        made.map_err(|source| ExportError::Write { file, source })
    };
    let size = signed.checkpoint().size;
    let levels = (0..level_total(size)).map(|level| (TileLevel::Hashes(level), level_count(size, level)));
    for (level, count) in levels.chain([(TileLevel::Entries, size)]) {
        for index in 0..count.div_ceil(u64::from(TILE_WIDTH)) {
            let Some(path) = tile_at(level, index, size) else { continue };
            let bytes = log.tile_bytes(&path.to_string())?;
            let bytes = bytes.ok_or(LogError::NoSuchTile { path, size })?;
            write(directory.join(path.to_string()), &bytes)?;
        }
    }
    fs::create_dir_all(directory)
        .and_then(|()| replace(&RealFs, &checkpoint, &signed.to_bytes()))
        .map_err(|source| ExportError::Write { file: checkpoint, source })
}
