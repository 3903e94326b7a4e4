//! Signatures: an envelope around a record, signed alone or in a batch (docs/formats.md §1).
//!
//! The namespace is part of what is signed, so a signature made for one purpose is worth nothing for another. A batch costs
//! one ECDSA operation: what is signed is the Merkle root of the records, and each envelope carries its path to it.
//!
//! ```text
//!   record ─▶ leaf ─path─▶ root ─▶ "ticrypt/v1" 0 namespace 0 root ─▶ ECDSA P-256
//! ```

mod cache;
mod key;

use minicbor::decode::{self, Decode, Decoder};
use minicbor::encode::{self, Encode, Encoder, Write};
use ticrypt_types::limits::{BATCH_MAX_RECORDS, PAYLOAD_MAX_BYTES};

pub use cache::VerifyCache;
pub use key::{PublicKey, PublicKeyError};

use crate::record::{self, Element, Record, RecordError};
use crate::{Digest, Suite, batch};

/// Bytes of the longest envelope: a full payload, 20 hashes of a path and what is around them.
pub const ENVELOPE_MAX_LEN: usize = PAYLOAD_MAX_BYTES + 1024;
/// Bytes of `r ‖ s`.
pub const SIGNATURE_LEN: usize = 64;
/// A batch of 2^20 has a path of 20.
const PATH_MAX: usize = 20;

/// An envelope as it is stored and sent.
pub type EnvelopeBytes = Vec<u8>;

/// Why an envelope is not accepted.
#[derive(Debug, thiserror::Error)]
pub enum SignatureError {
    #[error("the signed envelope cannot be read")]
    Envelope(#[source] RecordError),
    #[error("the signed record cannot be read")]
    Payload(#[source] RecordError),
    #[error("the place in the batch is impossible: index {index} of {count} with a path of {path}")]
    Place { index: u32, count: u32, path: usize },
    #[error("the signature was not made by this key over this record as a {}", .namespace.word())]
    NotSigned { namespace: Namespace },
}

/// What a signature is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Namespace {
    Bundle,
    BundleRotation,
    Statement,
    Login,
    SessionBinding,
    Grant,
    Revocation,
    Directory,
    Manifest,
    WorkingSet,
    GroupHead,
    CompartmentHead,
    ProjectHead,
}

impl Namespace {
    pub const ALL: [Self; 13] = [
        Self::Bundle,
        Self::BundleRotation,
        Self::Statement,
        Self::Login,
        Self::SessionBinding,
        Self::Grant,
        Self::Revocation,
        Self::Directory,
        Self::Manifest,
        Self::WorkingSet,
        Self::GroupHead,
        Self::CompartmentHead,
        Self::ProjectHead,
    ];

    pub const fn word(self) -> &'static str {
        match self {
            Self::Bundle => "bundle",
            Self::BundleRotation => "bundle-rotation",
            Self::Statement => "statement",
            Self::Login => "login",
            Self::SessionBinding => "session-binding",
            Self::Grant => "grant",
            Self::Revocation => "revocation",
            Self::Directory => "directory",
            Self::Manifest => "manifest",
            Self::WorkingSet => "working-set",
            Self::GroupHead => "group-head",
            Self::CompartmentHead => "compartment-head",
            Self::ProjectHead => "project-head",
        }
    }
}

/// The bytes ECDSA signs for a batch of so many records with this root. The count is signed too: one path may lead from one leaf to
/// one root in trees of several sizes, and a record has one envelope.
pub fn message(namespace: Namespace, count: u32, root: &Digest) -> Vec<u8> {
    [b"ticrypt/v1", &[0][..], namespace.word().as_bytes(), &[0], &count.to_be_bytes(), root.as_bytes()].concat()
}

/// A record that is signed in a namespace of its own.
pub trait Payload: Record {
    const NAMESPACE: Namespace;
}

/// An envelope as read, not verified yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Envelope<'a> {
    suite: Suite,
    payload: &'a [u8],
    index: u32,
    count: u32,
    path: Vec<Digest>,
    signature: [u8; SIGNATURE_LEN],
}

impl<'a> Envelope<'a> {
    /// Reads an envelope and checks its place in the batch; says nothing about who signed it.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, SignatureError> {
        let envelope: Self = record::decode_strict(bytes, ENVELOPE_MAX_LEN).map_err(SignatureError::Envelope)?;
        if envelope.payload.len() > PAYLOAD_MAX_BYTES {
            return Err(SignatureError::Envelope(RecordError::TooLong { len: envelope.payload.len(), max: PAYLOAD_MAX_BYTES }));
        }
        if envelope.count > BATCH_MAX_RECORDS || batch::path_len(envelope.index.into(), envelope.count.into()) != Some(envelope.path.len())
        {
            return Err(envelope.misplaced());
        }
        Ok(envelope)
    }

    /// Puts an envelope together; the signer's half of [`Envelope::parse`].
    pub fn assemble(payload: &'a [u8], index: u32, count: u32, path: Vec<Digest>, signature: [u8; SIGNATURE_LEN]) -> EnvelopeBytes {
        record::encode(&Envelope { suite: Suite::CURRENT, payload, index, count, path, signature })
    }

    pub fn suite(&self) -> Suite {
        self.suite
    }

    /// What the record claims before its signature was verified: good to find out whose key to verify with, no more.
    pub fn claimed<T: Payload>(&self) -> Result<T, SignatureError> {
        T::parse(self.payload).map_err(SignatureError::Payload)
    }

    /// The payload before its signature was verified.
    pub fn unverified_payload(&self) -> &'a [u8] {
        self.payload
    }

    /// `H(payload)`: what later records call this one by.
    pub fn record_hash(&self) -> Digest {
        Digest::of(self.payload)
    }

    /// The root of the batch this record was signed in.
    pub fn root(&self) -> Result<Digest, SignatureError> {
        let root = batch::root_from_path(batch::leaf(self.payload), self.index.into(), self.count.into(), &self.path);
        root.ok_or_else(|| self.misplaced())
    }

    fn misplaced(&self) -> SignatureError {
        SignatureError::Place { index: self.index, count: self.count, path: self.path.len() }
    }

    /// Verifies the signature.
    pub fn verify(&self, namespace: Namespace, key: &PublicKey) -> Result<Verified<'a>, SignatureError> {
        self.verify_message(namespace, key, &self.message(namespace)?)?;
        Ok(self.verified(namespace))
    }

    /// Like [`Envelope::verify`]; a batch already verified costs only hashes.
    pub fn verify_cached(&self, namespace: Namespace, key: &PublicKey, cache: &mut VerifyCache) -> Result<Verified<'a>, SignatureError> {
        let message = self.message(namespace)?;
        let seen = VerifyCache::entry(key, &self.signature, &message);
        if !cache.contains(&seen) {
            self.verify_message(namespace, key, &message)?;
            cache.remember(seen);
        }
        Ok(self.verified(namespace))
    }

    /// Verifies the signature in the namespace of `T`, then reads the record and checks its own rules.
    pub fn verify_as<T: Payload>(&self, key: &PublicKey) -> Result<Signed<T>, SignatureError> {
        self.verify(T::NAMESPACE, key)?.read()
    }

    /// Like [`Envelope::verify_as`]; a batch already verified costs only hashes.
    pub fn verify_as_cached<T: Payload>(&self, key: &PublicKey, cache: &mut VerifyCache) -> Result<Signed<T>, SignatureError> {
        self.verify_cached(T::NAMESPACE, key, cache)?.read()
    }

    fn message(&self, namespace: Namespace) -> Result<Vec<u8>, SignatureError> {
        Ok(message(namespace, self.count, &self.root()?))
    }

    fn verify_message(&self, namespace: Namespace, key: &PublicKey, message: &[u8]) -> Result<(), SignatureError> {
        if key.verify(message, &self.signature) { Ok(()) } else { Err(SignatureError::NotSigned { namespace }) }
    }

    fn verified(&self, namespace: Namespace) -> Verified<'a> {
        Verified { payload: self.payload, namespace }
    }
}

/// A payload whose signature was verified, in one namespace.
#[derive(Clone, Copy, Debug)]
pub struct Verified<'a> {
    payload: &'a [u8],
    namespace: Namespace,
}

impl<'a> Verified<'a> {
    pub fn payload(&self) -> &'a [u8] {
        self.payload
    }

    pub fn namespace(&self) -> Namespace {
        self.namespace
    }

    pub fn record_hash(&self) -> Digest {
        Digest::of(self.payload)
    }

    /// Reads the record; refuses one of another namespace than was verified.
    pub fn read<T: Payload>(&self) -> Result<Signed<T>, SignatureError> {
        if self.namespace != T::NAMESPACE {
            return Err(SignatureError::NotSigned { namespace: T::NAMESPACE });
        }
        let record = T::parse(self.payload).map_err(SignatureError::Payload)?;
        Ok(Signed { record, record_hash: self.record_hash() })
    }
}

/// A record that somebody's key signed. Only a verified envelope makes one, so a function that takes it cannot be handed
/// a record nobody vouched for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signed<T> {
    record: T,
    record_hash: Digest,
}

impl<T> Signed<T> {
    /// `H(payload)`.
    pub fn record_hash(&self) -> Digest {
        self.record_hash
    }

    pub fn record(&self) -> &T {
        &self.record
    }

    pub fn into_record(self) -> T {
        self.record
    }
}

impl<T> std::ops::Deref for Signed<T> {
    type Target = T;
    fn deref(&self) -> &T {
        &self.record
    }
}

impl<C> Encode<C> for Envelope<'_> {
    fn encode<W: Write>(&self, e: &mut Encoder<W>, _: &mut C) -> Result<(), encode::Error<W::Error>> {
        e.array(7)?.u64(record::VERSION)?;
        self.suite.put(e)?;
        e.bytes(self.payload)?.u32(self.index)?.u32(self.count)?;
        e.array(self.path.len() as u64)?;
        for beside in &self.path {
            e.encode(beside)?;
        }
        e.bytes(&self.signature)?.ok()
    }
}

impl<'b, C> Decode<'b, C> for Envelope<'b> {
    fn decode(d: &mut Decoder<'b>, _: &mut C) -> Result<Self, decode::Error> {
        record::open_array(d, 7)?;
        Ok(Self {
            suite: Element::take(d)?,
            payload: d.bytes()?,
            index: d.u32()?,
            count: d.u32()?,
            path: take_path(d)?,
            signature: Element::take(d)?,
        })
    }
}

fn take_path(d: &mut Decoder<'_>) -> Result<Vec<Digest>, decode::Error> {
    let length = d.array()?.and_then(|n| usize::try_from(n).ok()).filter(|n| *n <= PATH_MAX);
    let length = length.ok_or_else(|| decode::Error::message("the path is longer than any batch needs"))?;
    (0..length).map(|_| d.decode()).collect()
}
