//! The leaves of the two logs, as deterministic CBOR.
//!
//! Every leaf begins with a version and 16 random bytes of salt: leaf hashes are public, and without
//! salt a short event could be guessed from its hash (security C18). Decoding is strict: what does
//! not encode to the same bytes again is refused, so an event has exactly one leaf hash.

pub mod audit;
pub mod keys;

/// Version written in every leaf.
pub const EVENT_VERSION: u8 = 1;

/// Bytes of salt in every leaf.
pub const SALT_BYTES: usize = 16;

/// An event cannot be a leaf.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EventError {
    /// Not CBOR of the expected shape.
    #[error("event is not the CBOR expected")]
    Malformed,
    /// Decodes, but is not spelled the one way allowed.
    #[error("event is not in canonical form")]
    NotCanonical,
    /// Written by a newer program.
    #[error("event has version {0}, which this program does not know; update it")]
    Version(u8),
    /// A field is longer than allowed.
    #[error("event field {field} is too long, at most {limit} allowed")]
    TooLong {
        /// Which field.
        field: &'static str,
        /// Most bytes or items.
        limit: usize,
    },
    /// The whole event is longer than a log entry can be.
    #[error("event has {0} bytes, more than a log entry can have")]
    TooLarge(usize),
}

pub(crate) fn bound(field: &'static str, length: usize, limit: usize) -> Result<(), EventError> {
    if length > limit { Err(EventError::TooLong { field, limit }) } else { Ok(()) }
}

pub(crate) fn encode<E: minicbor::Encode<()>>(event: &E) -> Result<Vec<u8>, EventError> {
    let bytes = minicbor::to_vec(event).map_err(|_| EventError::Malformed)?;
    if bytes.len() > crate::tile::MAX_ENTRY_BYTES {
        return Err(EventError::TooLarge(bytes.len()));
    }
    Ok(bytes)
}

pub(crate) fn decode<'b, E>(bytes: &'b [u8]) -> Result<E, EventError>
where
    E: minicbor::Decode<'b, ()> + minicbor::Encode<()>,
{
    if bytes.len() > crate::tile::MAX_ENTRY_BYTES {
        return Err(EventError::TooLarge(bytes.len()));
    }
    let event: E = minicbor::decode(bytes).map_err(|_| EventError::Malformed)?;
    if encode(&event)? == bytes { Ok(event) } else { Err(EventError::NotCanonical) }
}
