//! Manifests: what makes a version of a file current, signed by its writer (docs/formats.md §8).

use ticrypt_types::limits::CHUNKS_MAX;
use ticrypt_types::{DeploymentId, NodeId, Timestamp, UserId, VersionId};

use crate::entry::AEAD_OVERHEAD;
use crate::record::{Record, RecordError};
use crate::signature::{Namespace, Payload, Signed};
use crate::{Digest, batch, record};

pub use crate::chunk::chunk_count_for;

/// Bytes of the longest encrypted properties.
pub const PROPS_MAX_LEN: usize = 256;

/// Why chunks or a new manifest do not fit a manifest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ManifestError {
    #[error("the version has {found} chunks, its signed manifest says {signed}")]
    Count { found: u64, signed: u64 },
    #[error("the chunks are not the ones that were signed: one is missing, swapped or altered")]
    Root,
    #[error("the manifest does not follow the one before: {0}")]
    NotSuccessor(&'static str),
}

record! {
    /// A version of a file made current.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct ManifestPayload {
        pub deployment: DeploymentId,
        pub file: NodeId,
        /// 1 for the first manifest of the file, one more for each.
        pub sequence: u64,
        /// Record hash of the manifest before.
        pub predecessor: Option<Digest>,
        pub version: VersionId,
        /// Plaintext bytes.
        pub size: u64,
        pub chunk_count: u64,
        pub chunk_root: Digest,
        pub key_commitment: Digest,
        pub props: Vec<u8>,
        pub writer: UserId,
        pub writer_bundle: Digest,
        /// The grant of a writer who is not the owner.
        pub authority: Option<Digest>,
        pub at: Timestamp,
    }
}

impl ManifestPayload {
    /// Checks the hashes of all stored chunks, in order.
    pub fn verify_chunks(&self, chunk_hashes: &[Digest]) -> Result<(), ManifestError> {
        let found = chunk_hashes.len() as u64;
        if found != self.chunk_count {
            return Err(ManifestError::Count { found, signed: self.chunk_count });
        }
        if chunk_root(chunk_hashes) != self.chunk_root {
            return Err(ManifestError::Root);
        }
        Ok(())
    }

    /// Checks that this manifest is the next one after `previous`.
    pub fn verify_successor(&self, previous: &Signed<Self>) -> Result<(), ManifestError> {
        if (self.deployment, self.file) != (previous.deployment, previous.file) {
            return Err(ManifestError::NotSuccessor("it is of another file"));
        }
        if previous.sequence.checked_add(1) != Some(self.sequence) {
            return Err(ManifestError::NotSuccessor("its sequence is not one more"));
        }
        if self.predecessor != Some(previous.record_hash()) {
            return Err(ManifestError::NotSuccessor("it names another manifest as the one before"));
        }
        Ok(())
    }
}

/// The root of a version's chunks, each given as the hash of its stored bytes.
pub fn chunk_root(chunk_hashes: &[Digest]) -> Digest {
    let leaves: Vec<_> = chunk_hashes.iter().map(|hash| batch::leaf(hash.as_bytes())).collect();
    batch::root(&leaves)
}

impl Record for ManifestPayload {
    const MAX_LEN: usize = 1024;

    fn check(&self) -> Result<(), RecordError> {
        if self.sequence == 0 {
            return Err(RecordError::Rule("sequences begin at 1"));
        }
        if self.predecessor.is_none() != (self.sequence == 1) {
            return Err(RecordError::Rule("the first manifest alone names none before it"));
        }
        if self.chunk_count != chunk_count_for(self.size) || self.chunk_count > CHUNKS_MAX {
            return Err(RecordError::Rule("the count of chunks does not follow from the size"));
        }
        if self.props.len() <= AEAD_OVERHEAD || self.props.len() > PROPS_MAX_LEN {
            return Err(RecordError::Rule("the properties of a manifest have an impossible length"));
        }
        Ok(())
    }
}

impl Payload for ManifestPayload {
    const NAMESPACE: Namespace = Namespace::Manifest;
}
