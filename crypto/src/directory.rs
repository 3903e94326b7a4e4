//! Directory heads: a signed commitment to all entries of a directory (docs/formats.md §7).

use ticrypt_types::{DeploymentId, NodeId, Timestamp, UserId};

use crate::entry::{Entry, entries_root};
use crate::record::{Record, RecordError};
use crate::signature::{Namespace, Payload, Signed};
use crate::{Digest, record};

/// Why a listing or a new head does not fit a head.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DirectoryError {
    #[error("the listing holds an entry of another directory or epoch: {0}")]
    ForeignEntry(NodeId),
    #[error("the listing has {found} entries, its signed head says {signed}")]
    Count { found: u64, signed: u64 },
    #[error("the listing holds the same node twice: {0}")]
    Duplicate(NodeId),
    #[error("the listing is not the one that was signed: an entry is missing, added or altered")]
    Root,
    #[error("the head does not follow the one before: {0}")]
    NotSuccessor(&'static str),
}

record! {
    /// The state of a directory after one change.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct HeadPayload {
        pub deployment: DeploymentId,
        pub directory: NodeId,
        /// 1 for the first head, one more for each.
        pub counter: u64,
        /// Of the directory's keys.
        pub epoch: u32,
        pub entry_count: u64,
        pub entries_root: Digest,
        /// Record hash of the head before.
        pub previous: Option<Digest>,
        pub writer: UserId,
        pub writer_bundle: Digest,
        /// The grant of a writer who is not the owner.
        pub authority: Option<Digest>,
        pub at: Timestamp,
    }
}

impl HeadPayload {
    /// Checks a whole listing against the head.
    pub fn verify_entries<'a>(&self, entries: impl IntoIterator<Item = &'a Entry>) -> Result<(), DirectoryError> {
        self.verify_hashed(entries.into_iter().map(|entry| (entry, entry.leaf())))
    }

    /// The same where the leaf of each entry was computed before.
    pub fn verify_hashed<'a>(&self, entries: impl IntoIterator<Item = (&'a Entry, Digest)>) -> Result<(), DirectoryError> {
        let mut leaves = Vec::new();
        for (entry, leaf) in entries {
            if (entry.parent, entry.parent_epoch) != (self.directory, self.epoch) {
                return Err(DirectoryError::ForeignEntry(entry.child));
            }
            leaves.push((entry.child, leaf));
        }
        self.verify_leaves(leaves)
    }

    /// Checks child ids and leaves against the head; for who holds hashes only, as the server's tree does.
    pub fn verify_leaves(&self, leaves: Vec<(NodeId, Digest)>) -> Result<(), DirectoryError> {
        let found = leaves.len() as u64;
        if found != self.entry_count {
            return Err(DirectoryError::Count { found, signed: self.entry_count });
        }
        match entries_root(leaves) {
            Ok(root) if root == self.entries_root => Ok(()),
            Ok(_) => Err(DirectoryError::Root),
            Err(twice) => Err(DirectoryError::Duplicate(twice.0)),
        }
    }

    /// Checks that this head is the next one after `previous`.
    pub fn verify_successor(&self, previous: &Signed<Self>) -> Result<(), DirectoryError> {
        if (self.deployment, self.directory) != (previous.deployment, previous.directory) {
            return Err(DirectoryError::NotSuccessor("it is of another directory"));
        }
        if previous.counter.checked_add(1) != Some(self.counter) {
            return Err(DirectoryError::NotSuccessor("its counter is not one more"));
        }
        if self.previous != Some(previous.record_hash()) {
            return Err(DirectoryError::NotSuccessor("it names another head as the one before"));
        }
        if self.epoch < previous.epoch {
            return Err(DirectoryError::NotSuccessor("its epoch is older"));
        }
        Ok(())
    }
}

impl Record for HeadPayload {
    const MAX_LEN: usize = 512;

    fn check(&self) -> Result<(), RecordError> {
        if self.counter == 0 {
            return Err(RecordError::Rule("counters begin at 1"));
        }
        if self.epoch == 0 {
            return Err(RecordError::Rule("epochs begin at 1"));
        }
        if self.previous.is_none() != (self.counter == 1) {
            return Err(RecordError::Rule("the first head alone names none before it"));
        }
        if (self.entry_count == 0) != (self.entries_root == Digest::ZERO) {
            return Err(RecordError::Rule("an empty directory alone has the root of zeros"));
        }
        Ok(())
    }
}

impl Payload for HeadPayload {
    const NAMESPACE: Namespace = Namespace::Directory;
}
