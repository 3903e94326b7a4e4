//! Identity bundles: a person's public keys, signed by themselves and by the keys before (docs/formats.md §2).
//!
//! ```text
//!   generation 0 ──rotation──▶ 1 ──rotation after a compromise──▶ 2 ──reset by an administrator──▶ 3
//!                 old key signs too       old key signs too             nothing of the old key
//! ```

use std::fmt;
use std::str::FromStr;

use ticrypt_types::{DeploymentId, Timestamp, UserId, UserName};

use crate::record::{Record, RecordError};
use crate::signature::{Envelope, Namespace, Payload, PublicKey, SignatureError, Signed};
use crate::{Digest, Suite, code_element, record};

mod kem_key;

pub use kem_key::{KemPublicKey, KemPublicKeyError};

/// Bytes of the longest bundle: two envelopes.
pub const BUNDLE_MAX_LEN: usize = 16 * 1024;

/// Why a bundle is not accepted.
#[derive(Debug, thiserror::Error)]
pub enum BundleError {
    #[error("the bundle cannot be read")]
    Record(#[source] RecordError),
    #[error("the bundle is not signed by the key in it")]
    NotSelfSigned(#[source] SignatureError),
    #[error("a bundle after a rotation carries the signature of the key before, and no other bundle does")]
    RotationEnvelope,
    #[error("the bundle is not signed by the key before it")]
    NotSignedByPredecessor(#[source] SignatureError),
    #[error("the two signatures of the bundle are over different records")]
    DifferentRecords,
    #[error("the bundle does not follow the one before: {0}")]
    NotSuccessor(&'static str),
}

code_element! {
    /// Why a bundle was made.
    pub enum Reason {
        First = 0,
        Rotation = 1,
        RotationAfterCompromise = 2,
        /// By an administrator's statement; peers pin the new key by hand.
        Reset = 3,
    }
}

impl Reason {
    /// Whether the key before signs as well.
    pub const fn is_rotation(self) -> bool {
        matches!(self, Self::Rotation | Self::RotationAfterCompromise)
    }
}

record! {
    /// A person's public keys of one generation.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct BundlePayload {
        pub deployment: DeploymentId,
        pub user: UserId,
        pub name: UserName,
        pub generation: u32,
        pub suite: Suite,
        pub signing_key: PublicKey,
        pub kem_key: KemPublicKey,
        /// Record hash of the bundle of the generation before.
        pub predecessor: Option<Digest>,
        pub reason: Reason,
        pub created: Timestamp,
    }
}

impl Record for BundlePayload {
    const MAX_LEN: usize = 2048;

    fn check(&self) -> Result<(), RecordError> {
        let first = self.generation == 0;
        if first != self.predecessor.is_none() {
            return Err(RecordError::Rule("generation 0 alone has no predecessor"));
        }
        if first != (self.reason == Reason::First) {
            return Err(RecordError::Rule("generation 0 alone has the reason `first`"));
        }
        Ok(())
    }
}

impl Payload for BundlePayload {
    const NAMESPACE: Namespace = Namespace::Bundle;
}

record! {
    /// The two envelopes as stored and sent.
    struct BundleRecord {
        envelope: Vec<u8>,
        rotation: Vec<u8>,
    }
}

/// A bundle that is signed by the key in it. Whether that key is the person's is for pins, the key log and fingerprints to say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bundle {
    signed: Signed<BundlePayload>,
    /// The payload's bytes, which both envelopes must carry.
    payload: Vec<u8>,
    rotation: Vec<u8>,
    bytes: Vec<u8>,
}

impl Bundle {
    /// Joins the envelope and, after a rotation, the one of the key before; empty otherwise.
    pub fn assemble(envelope: Vec<u8>, rotation: Vec<u8>) -> Vec<u8> {
        record::encode(&BundleRecord { envelope, rotation })
    }

    /// Reads a bundle and verifies its own signature. [`Bundle::verify_successor`] verifies the one of the key before.
    pub fn parse_and_verify(bytes: &[u8]) -> Result<Self, BundleError> {
        let outer: BundleRecord = record::decode_strict(bytes, BUNDLE_MAX_LEN).map_err(BundleError::Record)?;
        let envelope = Envelope::parse(&outer.envelope).map_err(BundleError::NotSelfSigned)?;
        let claimed: BundlePayload = envelope.claimed().map_err(BundleError::NotSelfSigned)?;
        let signed = envelope.verify_as(&claimed.signing_key).map_err(BundleError::NotSelfSigned)?;
        if claimed.reason.is_rotation() == outer.rotation.is_empty() {
            return Err(BundleError::RotationEnvelope);
        }
        let payload = envelope.unverified_payload().to_vec();
        Ok(Self { signed, payload, rotation: outer.rotation, bytes: bytes.to_vec() })
    }

    pub fn payload(&self) -> &BundlePayload {
        &self.signed
    }

    /// The record hash; what grants, statements and pins name.
    pub fn hash(&self) -> Digest {
        self.signed.record_hash()
    }

    /// The record hash as people compare it.
    pub fn fingerprint(&self) -> Fingerprint {
        Fingerprint(self.hash())
    }

    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Checks that this bundle follows `previous`: one generation later, naming it, and after a rotation signed by its key.
    /// A reset follows without that signature; it is good only with an administrator's statement (docs/formats.md §3).
    pub fn verify_successor(&self, previous: &Self) -> Result<(), BundleError> {
        let (new, old) = (self.payload(), previous.payload());
        if new.deployment != old.deployment || new.user != old.user {
            return Err(BundleError::NotSuccessor("it is of another person or deployment"));
        }
        if new.name != old.name {
            return Err(BundleError::NotSuccessor("the user name changed"));
        }
        if old.generation.checked_add(1) != Some(new.generation) {
            return Err(BundleError::NotSuccessor("its generation is not one more"));
        }
        if new.predecessor != Some(previous.hash()) {
            return Err(BundleError::NotSuccessor("it names another predecessor"));
        }
        if new.suite < old.suite {
            return Err(BundleError::NotSuccessor("its suite is weaker"));
        }
        if !new.reason.is_rotation() {
            return Ok(());
        }
        let rotation = Envelope::parse(&self.rotation).map_err(BundleError::NotSignedByPredecessor)?;
        let verified = rotation.verify(Namespace::BundleRotation, &old.signing_key).map_err(BundleError::NotSignedByPredecessor)?;
        if verified.payload() != self.payload {
            return Err(BundleError::DifferentRecords);
        }
        Ok(())
    }
}

/// A bundle's record hash as people read it aloud: 16 groups of four lower-case hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Fingerprint(pub Digest);

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (group, pair) in self.0.as_bytes().chunks(2).enumerate() {
            if group > 0 {
                f.write_str(" ")?;
            }
            for byte in pair {
                write!(f, "{byte:02x}")?;
            }
        }
        Ok(())
    }
}

impl FromStr for Fingerprint {
    type Err = crate::digest::DigestError;
    /// White space is ignored: what was copied from a screen may be wrapped.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.split_whitespace().collect::<String>().parse().map(Self)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn fingerprints_are_sixteen_groups() {
        let fingerprint = Fingerprint(Digest::of(b"abc"));
        assert_eq!(fingerprint.to_string(), "ba78 16bf 8f01 cfea 4141 40de 5dae 2223 b003 61a3 9617 7a9c b410 ff61 f200 15ad");
        assert_eq!(fingerprint.to_string().replace(' ', "\n").parse::<Fingerprint>().unwrap(), fingerprint);
        assert!("ba78".parse::<Fingerprint>().is_err());
    }
}
