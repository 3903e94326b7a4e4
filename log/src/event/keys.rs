//! The key-log leaf: a signed statement about somebody's keys, kept as its signer made it.
//!
//! This crate does not read the body; whoever is entitled to it verifies its envelope. The list of
//! kinds only grows.

use minicbor::bytes::{ByteArray, ByteVec};
use minicbor::{Decode, Encode};

use super::{EVENT_VERSION, EventError, SALT_BYTES, bound, decode, encode};

/// Longest body, in bytes.
pub const MAX_BODY_BYTES: usize = 16 * 1024;

/// What a key-log leaf states.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
#[cbor(index_only)]
#[non_exhaustive]
pub enum KeyEventKind {
    /// A public-key bundle, signed by its own signing key.
    #[n(0)]
    Bundle,
    /// An administrator's statement that a bundle belongs to a person.
    #[n(1)]
    Activation,
    /// A change of the person's state.
    #[n(2)]
    State,
    /// A new bundle, signed by the old and the new key.
    #[n(3)]
    Rotation,
    /// A new bundle on an administrator's word only: peers pin anew by hand.
    #[n(4)]
    Reset,
    /// A head of a group: the body is its record hash, and the group stands in the place of the person.
    #[n(5)]
    GroupHead,
    /// A head of a compartment of a group, likewise.
    #[n(6)]
    CompartmentHead,
    /// A head of a project, likewise.
    #[n(7)]
    ProjectHead,
}

/// One leaf of the key log.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct KeyEvent {
    /// [`EVENT_VERSION`].
    #[n(0)]
    pub version: u8,
    /// Random, so that the leaf hash reveals no membership.
    #[n(1)]
    pub salt: ByteArray<SALT_BYTES>,
    /// Server time, milliseconds UTC since 1970.
    #[n(2)]
    pub time_ms: u64,
    /// What it states.
    #[n(3)]
    pub kind: KeyEventKind,
    /// About whom, or which group or project.
    #[n(4)]
    pub user: ByteArray<16>,
    /// The signed envelope, or what the kind says.
    #[n(5)]
    pub body: ByteVec,
}

impl KeyEvent {
    /// The leaf bytes.
    ///
    /// # Errors
    /// [`EventError`] when a field is over its limit.
    pub fn to_leaf(&self) -> Result<Vec<u8>, EventError> {
        self.check()?;
        encode(self)
    }

    /// Reads a leaf.
    ///
    /// # Errors
    /// [`EventError`] for anything but the canonical bytes of a valid event.
    pub fn from_leaf(bytes: &[u8]) -> Result<Self, EventError> {
        let event: Self = decode(bytes)?;
        event.check()?;
        Ok(event)
    }

    fn check(&self) -> Result<(), EventError> {
        if self.version != EVENT_VERSION {
            return Err(EventError::Version(self.version));
        }
        bound("body", self.body.len(), MAX_BODY_BYTES)
    }
}
