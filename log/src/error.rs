//! What can go wrong with a log that is written or served.

use std::io;
use std::sync::Arc;

use crate::checkpoint::CheckpointError;
use crate::journal::JournalError;
use crate::note::NoteError;
use crate::tile::{TileError, TilePath};

/// A log operation failed.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The journal could not be read or written.
    #[error("journal failed")]
    Journal(#[from] JournalError),
    /// The system refused.
    #[error("cannot {step}")]
    Io {
        /// What was tried.
        step: &'static str,
        /// Why it failed.
        #[source]
        source: io::Error,
    },
    /// An earlier write failed, so nothing is taken any more; what waits must not start.
    #[error("log is out of service since an earlier failure ({reason}); restart after repair")]
    Failed {
        /// The first failure.
        reason: Arc<str>,
    },
    /// The log was shut down.
    #[error("log is closed")]
    Closed,
    /// Another process writes this log.
    #[error("log directory is in use by another process")]
    InUse,
    /// The signer's name is not the origin, or the origin cannot be used.
    #[error("log origin must be usable as a key name and be the name of the signing key")]
    Origin,
    /// More entries in one call than allowed.
    #[error("call has {0} entries, at most {limit} are allowed", limit = crate::writer::MAX_CALL_ENTRIES)]
    TooManyEntries(usize),
    /// A tile, bundle or entry was refused.
    #[error("tile or entry is refused")]
    Tile(#[from] TileError),
    /// A checkpoint was refused.
    #[error("checkpoint is refused")]
    Checkpoint(#[from] CheckpointError),
    /// A receipt could not be signed.
    #[error("cannot sign a receipt")]
    Sign(#[from] crate::key::SignError),
    /// A signature line was refused.
    #[error("signature is refused")]
    Note(#[from] NoteError),
    /// The log has entries but no checkpoint.
    #[error("log has entries but its checkpoint is gone; restore it from a copy")]
    CheckpointMissing,
    /// The signed checkpoint covers more than is there.
    #[error("log signed {signed} entries but only {found} are left; restore it from a copy")]
    Lost {
        /// Size in the signed checkpoint.
        signed: u64,
        /// Entries found.
        found: u64,
    },
    /// The entries are not those that were signed.
    #[error("entries do not lead to the root signed for size {size}; restore the log from a copy")]
    Changed {
        /// Size of the signed checkpoint.
        size: u64,
    },
    /// A full tile on disk differs from what the journal says.
    #[error("tile {0} on disk differs from the journal; restore the log from a copy")]
    TileChanged(TilePath),
    /// The published tree does not have this tile.
    #[error("tree of {size} entries has no {path}")]
    NoSuchTile {
        /// The tile.
        path: TilePath,
        /// Size of the published tree.
        size: u64,
    },
    /// No such entry, or its hash is another one.
    #[error("log has no such entry {index}")]
    NoSuchEntry {
        /// The index.
        index: u64,
    },
    /// The tree sizes asked for are not in the published tree.
    #[error("sizes {old} and {size} are not in the published tree")]
    NoSuchSize {
        /// Smaller size.
        old: u64,
        /// Larger size.
        size: u64,
    },
    /// A cosignature that is not by a configured witness over a recent checkpoint of this log.
    #[error("cosignature is not by a configured witness over a recent checkpoint")]
    Cosignature,
}
