//! What a client remembers of a log, so that the log cannot show it one thing today and another
//! tomorrow (security C18).
//!
//! ```text
//! checkpoint ──plan_update──▶ tiles needed ──fetch, feed──▶ finish: consistent with the last seen?
//! receipt ──plan_inclusion──▶ tiles needed ──fetch, feed──▶ verify: is my entry in there?
//! ```
//!
//! No I/O here: a plan says which hash tiles it needs, the caller brings them however it likes. The
//! tiles need not be trusted: a proof is made from them and checked against signed roots, so wrong
//! tiles can only make a check fail. For the same reason they may be cached anywhere.

use std::collections::{BTreeMap, BTreeSet};

use crate::checkpoint::{Checkpoint, CheckpointError, SignedCheckpoint};
use crate::key::VerifierKey;
use crate::merkle::{self, Hash, ProofError, empty_root, needed_hashes};
use crate::tile::{TileError, TilePath, TileReader, decode_hashes, tiles_for};

/// A client's memory of one log.
#[derive(Debug, Clone)]
pub struct Mirror {
    log_key: VerifierKey,
    witnesses: Vec<VerifierKey>,
    quorum: usize,
    last: Option<SignedCheckpoint>,
}

/// A check that waits for tiles.
#[derive(Debug)]
pub struct Plan {
    claim: Claim,
    size: u64,
    needed: BTreeSet<TilePath>,
    tiles: BTreeMap<TilePath, Vec<u8>>,
}

#[derive(Debug)]
enum Claim {
    Consistent { old: Checkpoint, new: SignedCheckpoint, adopt: bool },
    Included { index: u64, leaf: Hash, head: Checkpoint },
}

/// The log did not prove what it should.
#[derive(Debug, thiserror::Error)]
pub enum MirrorError {
    /// Not signed by the log and enough witnesses.
    #[error("checkpoint is refused")]
    Checkpoint(#[from] CheckpointError),
    /// The log shows less than it has shown before.
    #[error("log shows {found} entries but has shown {seen} before: it was rolled back")]
    Older {
        /// Size shown now.
        found: u64,
        /// Size shown before.
        seen: u64,
    },
    /// Two signed heads that cannot both be true. Keep both: they convict the log.
    #[error("log has signed two heads that contradict each other, of sizes {old} and {new}")]
    Fork {
        /// Size of one.
        old: u64,
        /// Size of the other.
        new: u64,
        /// Why the proof failed.
        #[source]
        source: ProofError,
    },
    /// The entry is not where the log said.
    #[error("entry {index} is not in the log as its receipt says")]
    NotIncluded {
        /// Its index.
        index: u64,
        /// Why the proof failed.
        #[source]
        source: ProofError,
    },
    /// The entry is newer than the last checkpoint: update first.
    #[error("entry {index} is newer than the last checkpoint of {size} entries; update, then ask again")]
    NotYet {
        /// Its index.
        index: u64,
        /// Size of the last checkpoint.
        size: u64,
    },
    /// No checkpoint yet.
    #[error("no checkpoint of this log has been seen yet")]
    Empty,
    /// A tile is malformed or was not brought.
    #[error("tile is missing or malformed")]
    Tile(#[from] TileError),
    /// A tile that was not asked for.
    #[error("{0} was not asked for")]
    NotNeeded(TilePath),
    /// The plan was made before the mirror changed.
    #[error("mirror has changed since the plan was made; plan again")]
    Stale,
}

impl Mirror {
    /// A mirror that has seen nothing. The first checkpoint is believed on signatures alone.
    #[must_use]
    pub const fn new(log_key: VerifierKey, witnesses: Vec<VerifierKey>, quorum: usize) -> Self {
        Self { log_key, witnesses, quorum, last: None }
    }

    /// A mirror whose last checkpoint was stored (its bytes from [`Mirror::to_bytes`]).
    ///
    /// Of the stored one only the log's signature is asked for: it was accepted under the witnesses of its day, and those that joined
    /// since have not seen it. Every later one needs the quorum.
    ///
    /// # Errors
    /// [`MirrorError::Checkpoint`] when the stored checkpoint is not signed by the log.
    pub fn restore(log_key: VerifierKey, witnesses: Vec<VerifierKey>, quorum: usize, stored: &[u8]) -> Result<Self, MirrorError> {
        let mut mirror = Self::new(log_key, witnesses, quorum);
        mirror.last = Some(mirror.open(stored, 0)?);
        Ok(mirror)
    }

    /// The last checkpoint seen.
    #[must_use]
    pub const fn last(&self) -> Option<&SignedCheckpoint> {
        self.last.as_ref()
    }

    /// What to store, nothing before the first checkpoint.
    #[must_use]
    pub fn to_bytes(&self) -> Option<Vec<u8>> {
        self.last.as_ref().map(SignedCheckpoint::to_bytes)
    }

    /// Begins to take a newer checkpoint.
    ///
    /// # Errors
    /// [`MirrorError::Older`] for an older one, [`MirrorError::Checkpoint`] for one not signed well.
    pub fn plan_update(&self, checkpoint: &[u8]) -> Result<Plan, MirrorError> {
        let new = self.open(checkpoint, self.quorum)?;
        let old = self.last.as_ref().map_or_else(|| self.nothing(), |last| last.checkpoint().clone());
        let found = new.checkpoint().size;
        if found < old.size {
            return Err(MirrorError::Older { found, seen: old.size });
        }
        Plan::consistent(old, new, true)
    }

    /// Begins to compare a checkpoint that somebody else saw, older or newer, with the last one
    /// seen here. Finishing changes nothing; an error [`MirrorError::Fork`] is a split view.
    ///
    /// # Errors
    /// [`MirrorError::Empty`], [`MirrorError::Checkpoint`].
    pub fn plan_compare(&self, checkpoint: &[u8]) -> Result<Plan, MirrorError> {
        let other = self.open(checkpoint, self.quorum)?;
        let last = self.last.clone().ok_or(MirrorError::Empty)?;
        let (old, new) = if other.checkpoint().size <= last.checkpoint().size {
            (other.checkpoint().clone(), last)
        } else {
            (last.checkpoint().clone(), other)
        };
        Plan::consistent(old, new, false)
    }

    /// Begins to check that the log as last seen holds this entry.
    ///
    /// # Errors
    /// [`MirrorError::NotYet`] when an update must come first.
    pub fn plan_inclusion(&self, index: u64, leaf: Hash) -> Result<Plan, MirrorError> {
        let head = self.last.as_ref().ok_or(MirrorError::Empty)?.checkpoint().clone();
        let size = head.size;
        if index >= size {
            return Err(MirrorError::NotYet { index, size });
        }
        let hashes = needed_hashes(|recorder| merkle::inclusion_proof(index, size, recorder));
        let needed = tiles_for(&hashes, size)?;
        Ok(Plan { claim: Claim::Included { index, leaf, head }, size, needed, tiles: BTreeMap::new() })
    }

    /// Checks a plan whose tiles have been fed, and takes over the checkpoint of an update.
    ///
    /// # Errors
    /// [`MirrorError::Fork`], [`MirrorError::NotIncluded`], [`MirrorError::Stale`], or a missing tile.
    pub fn finish(&mut self, plan: Plan) -> Result<(), MirrorError> {
        let reader = TileReader::new(plan.size, |path| {
            let bytes = plan.tiles.get(&path).cloned();
            bytes.ok_or(TileError::Length { path, found: 0, wanted: usize::from(path.width()) * merkle::HASH_BYTES })
        });
        match plan.claim {
            Claim::Consistent { old, new, adopt } => {
                let head = new.checkpoint();
                let proof = merkle::consistency_proof(old.size, head.size, &reader)?;
                merkle::verify_consistency(old.size, head.size, &proof, &old.root, &head.root).map_err(|source| MirrorError::Fork {
                    old: old.size,
                    new: head.size,
                    source,
                })?;
                if adopt {
                    let now = self.last.as_ref().map_or_else(|| self.nothing(), |last| last.checkpoint().clone());
                    if now != old {
                        return Err(MirrorError::Stale);
                    }
                    self.last = Some(new);
                }
                Ok(())
            }
            Claim::Included { index, leaf, head } => {
                let proof = merkle::inclusion_proof(index, head.size, &reader)?;
                merkle::verify_inclusion(index, head.size, &leaf, &proof, &head.root)
                    .map_err(|source| MirrorError::NotIncluded { index, source })
            }
        }
    }

    /// Takes a newer checkpoint, with tiles from `fetch`, all in one go.
    ///
    /// # Errors
    /// Those of the plan and of `fetch`.
    pub fn update<E: From<MirrorError>>(&mut self, checkpoint: &[u8], fetch: impl FnMut(TilePath) -> Result<Vec<u8>, E>) -> Result<(), E> {
        let plan = self.plan_update(checkpoint)?.fetch_all(fetch)?;
        Ok(self.finish(plan)?)
    }

    /// Checks that an entry is in the log as last seen, with tiles from `fetch`, all in one go.
    ///
    /// # Errors
    /// Those of the plan and of `fetch`.
    pub fn verify_inclusion<E: From<MirrorError>>(
        &mut self,
        index: u64,
        leaf: Hash,
        fetch: impl FnMut(TilePath) -> Result<Vec<u8>, E>,
    ) -> Result<(), E> {
        let plan = self.plan_inclusion(index, leaf)?.fetch_all(fetch)?;
        Ok(self.finish(plan)?)
    }

    fn open(&self, bytes: &[u8], quorum: usize) -> Result<SignedCheckpoint, MirrorError> {
        let origin = self.log_key.name();
        Ok(SignedCheckpoint::open(bytes, origin, &self.log_key, &self.witnesses, quorum)?.0)
    }

    fn nothing(&self) -> Checkpoint {
        Checkpoint { origin: self.log_key.name().to_owned(), size: 0, root: empty_root() }
    }
}

impl Plan {
    fn consistent(old: Checkpoint, new: SignedCheckpoint, adopt: bool) -> Result<Self, MirrorError> {
        let size = new.checkpoint().size;
        let hashes = needed_hashes(|recorder| merkle::consistency_proof(old.size, size, recorder));
        let needed = tiles_for(&hashes, size)?;
        Ok(Self { claim: Claim::Consistent { old, new, adopt }, size, needed, tiles: BTreeMap::new() })
    }

    /// The hash tiles still to be brought.
    pub fn needed(&self) -> impl Iterator<Item = TilePath> {
        self.needed.iter().copied()
    }

    /// Brings one tile. For a partial tile the full one will do as well (the log may have grown).
    ///
    /// # Errors
    /// [`MirrorError::NotNeeded`], or [`MirrorError::Tile`] when its length is wrong.
    pub fn feed(&mut self, path: TilePath, bytes: &[u8]) -> Result<(), MirrorError> {
        let same = |wanted: &&TilePath| wanted.full() == path.full() && wanted.width() <= path.width();
        let wanted = self.needed.iter().find(same).copied().ok_or(MirrorError::NotNeeded(path))?;
        decode_hashes(path, bytes)?;
        let length = usize::from(wanted.width()) * merkle::HASH_BYTES;
        self.tiles.insert(wanted, bytes.iter().take(length).copied().collect());
        self.needed.remove(&wanted);
        Ok(())
    }

    fn fetch_all<E: From<MirrorError>>(mut self, mut fetch: impl FnMut(TilePath) -> Result<Vec<u8>, E>) -> Result<Self, E> {
        for path in self.needed.clone() {
            let bytes = fetch(path)?;
            self.feed(path, &bytes)?;
        }
        Ok(self)
    }
}
