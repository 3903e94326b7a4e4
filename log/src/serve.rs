//! Reading a log that is being written: entries, tiles, proofs, checkpoints and cosignatures.
//!
//! These calls read files and are quick, but they block; in async code run them in a blocking task.
//! Entry bundles of the key log are not public (security C18): whoever serves [`Log::tile_bytes`]
//! looks at [`TilePath::level`] first.

use std::ops::Range;

use crate::checkpoint::SignedCheckpoint;
use crate::error::LogError;
use crate::fs::replace;
use crate::key::VerifierKey;
use crate::merkle::{self, Hash};
use crate::note::SignatureLine;
use crate::publisher::{CHECKPOINT_FILE, WITNESSED_FILE};
use crate::tile::{TILE_WIDTH, TileLevel, TilePath, decode_entries};
use crate::witness::witness_request;
use crate::writer::Log;

/// Most entries one call of [`Log::entries`] gives.
pub const MAX_READ_ENTRIES: u64 = 4096;

impl Log {
    /// The key that verifies this log.
    #[must_use]
    pub fn verifier(&self) -> &VerifierKey {
        self.shared.signer.verifier()
    }

    /// Identity of this log.
    #[must_use]
    pub fn origin(&self) -> &str {
        &self.shared.origin
    }

    /// Number of durable entries, published or not.
    #[must_use]
    pub fn durable_size(&self) -> u64 {
        self.shared.tail().durable
    }

    /// Durable entries in `range`, the newest included; at most [`MAX_READ_ENTRIES`] from its start,
    /// fewer at the end of the log.
    ///
    /// # Errors
    /// When a bundle cannot be read.
    pub fn entries(&self, range: Range<u64>) -> Result<Vec<Vec<u8>>, LogError> {
        let mut next = range.start;
        let end = range.end.min(self.durable_size()).min(range.start.saturating_add(MAX_READ_ENTRIES));
        let mut entries = Vec::new();
        while next < end {
            let tail = self.shared.tail();
            if let Some(groups) = tail.from(next) {
                let skip = |first: u64| usize::try_from(next.saturating_sub(first)).unwrap_or(usize::MAX);
                let rest = groups.flat_map(|group| group.entries.iter().skip(skip(group.first)));
                let wanted = usize::try_from(end - next).unwrap_or(usize::MAX);
                entries.extend(rest.take(wanted).map(|entry| entry.bytes.clone()));
                break;
            }
            // What left the tail is durable in full bundles, and those never change.
            drop(tail);
            let width = u64::from(TILE_WIDTH);
            let path = TilePath::new(TileLevel::Entries, next / width, TILE_WIDTH);
            let path = path.ok_or(LogError::NoSuchEntry { index: next })?;
            let bytes = self.shared.fs.read(&self.shared.tile_file(path));
            let bytes = bytes.map_err(|source| LogError::Io { step: "read an entry bundle", source })?;
            let last = end.min(next - next % width + width);
            let (skip, take) = (next % width, last - next);
            let found = decode_entries(path, &bytes)?.into_iter();
            let found = found.skip(usize::try_from(skip).unwrap_or(0)).take(usize::try_from(take).unwrap_or(0));
            entries.extend(found.map(<[u8]>::to_vec));
            next = last;
        }
        Ok(entries)
    }

    /// The bytes of a tile or bundle of the published tree, `None` when it has none such.
    /// At most 256 · 65 537 bytes.
    ///
    /// # Errors
    /// [`LogError::Tile`] when the path is not one of a tile; else when it cannot be read.
    pub fn tile_bytes(&self, path: &str) -> Result<Option<Vec<u8>>, LogError> {
        self.shared.tile(TilePath::parse(path)?, &self.shared.view())
    }

    /// The latest published checkpoint, with the cosignatures that have arrived for it.
    ///
    /// # Errors
    /// [`LogError::CheckpointMissing`] never happens once a log is open.
    pub fn latest_checkpoint(&self) -> Result<SignedCheckpoint, LogError> {
        self.shared.heads().recent.back().cloned().ok_or(LogError::CheckpointMissing)
    }

    /// The newest checkpoint with enough cosignatures.
    #[must_use]
    pub fn witnessed_checkpoint(&self) -> Option<SignedCheckpoint> {
        self.shared.heads().witnessed.clone()
    }

    /// Takes a cosignature line over one of the recent checkpoints; returns the size it covers.
    /// The published checkpoint and the witnessed one are stored with it.
    ///
    /// # Errors
    /// [`LogError::Cosignature`] when it is not by a configured witness over a recent checkpoint.
    pub fn add_cosignature(&self, line: &str) -> Result<u64, LogError> {
        let shared = &self.shared;
        let line = SignatureLine::parse(line)?;
        let known = |key: &&VerifierKey| key.name() == line.name() && key.id() == line.id();
        let key = shared.options.witnesses.iter().find(known).ok_or(LogError::Cosignature)?;
        let mut heads = shared.heads();
        let covers = |head: &&mut SignedCheckpoint| key.verify(head.note().text(), line.signature()).is_ok_and(|time_s| time_s.is_some());
        let latest_size = heads.recent.back().map(|head| head.checkpoint().size);
        let head = heads.recent.iter_mut().rev().find(covers).ok_or(LogError::Cosignature)?;
        head.add(line)?;
        let head = head.clone();
        let size = head.checkpoint().size;
        let store = |name: &str| {
            replace(shared.fs.as_ref(), &shared.directory.join(name), &head.to_bytes())
                .map_err(|source| LogError::Io { step: "store a cosigned checkpoint", source })
        };
        if latest_size == Some(size) {
            store(CHECKPOINT_FILE)?;
        }
        let enough = head.cosigned_by(&shared.options.witnesses)?.len() >= shared.options.quorum.max(1);
        let newer = heads.witnessed.as_ref().is_none_or(|old| old.checkpoint().size <= size);
        if enough && newer {
            store(WITNESSED_FILE)?;
            heads.witnessed = Some(head);
        }
        Ok(size)
    }

    /// Proof that entry `index` is in the tree of `size` entries.
    ///
    /// # Errors
    /// [`LogError::NoSuchSize`] beyond the published tree.
    pub fn inclusion_proof(&self, index: u64, size: u64) -> Result<Vec<Hash>, LogError> {
        let view = self.shared.view();
        if index >= size || size > view.size {
            return Err(LogError::NoSuchSize { old: index, size });
        }
        merkle::inclusion_proof(index, size, &self.shared.reader(&view))
    }

    /// Proof that the tree of `old` entries is the beginning of that of `size` entries.
    ///
    /// # Errors
    /// [`LogError::NoSuchSize`] beyond the published tree.
    pub fn consistency_proof(&self, old: u64, size: u64) -> Result<Vec<Hash>, LogError> {
        let view = self.shared.view();
        if old > size || size > view.size {
            return Err(LogError::NoSuchSize { old, size });
        }
        merkle::consistency_proof(old, size, &self.shared.reader(&view))
    }

    /// The body to send to a witness whose last cosigned size is `old`, over `signed`.
    ///
    /// # Errors
    /// [`LogError::NoSuchSize`] when the witness knows more than was published.
    pub fn witness_request(&self, old: u64, signed: &SignedCheckpoint) -> Result<Vec<u8>, LogError> {
        let proof = self.consistency_proof(old, signed.checkpoint().size)?;
        Ok(witness_request(old, &proof, signed))
    }
}
