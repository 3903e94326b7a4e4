//! The audit leaf: one row of what somebody did, or tried to.
//!
//! ```text
//! opened ── work ── closed (names the opening row's index and the outcome)
//! fact              something that happened without a request
//! ```

use minicbor::bytes::ByteArray;
use minicbor::{Decode, Encode};

use super::{EVENT_VERSION, EventError, SALT_BYTES, bound, decode, encode};

/// Longest operation name and outcome, in bytes.
pub const MAX_WORD_BYTES: usize = 64;
/// Most ids one row commits to.
pub const MAX_SUBJECTS: usize = 2000;
/// Most (key, value) pairs of public detail.
pub const MAX_DETAILS: usize = 16;
/// Longest detail key, in bytes.
pub const MAX_DETAIL_KEY_BYTES: usize = 64;
/// Longest detail value, in bytes.
pub const MAX_DETAIL_VALUE_BYTES: usize = 256;

/// A 128-bit id as it stands in a leaf.
pub type Id = ByteArray<16>;

/// Which row of a piece of work this is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
#[cbor(index_only)]
pub enum Phase {
    /// Before the work: it may now start.
    #[n(0)]
    Opened,
    /// After the work: how it went.
    #[n(1)]
    Closed,
    /// Not tied to a request.
    #[n(2)]
    Fact,
}

impl Phase {
    /// As people read it.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Opened => "opened",
            Self::Closed => "closed",
            Self::Fact => "fact",
        }
    }
}

/// One row of the audit log. Holds public metadata only, never a name, key or content.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct AuditEvent {
    /// [`EVENT_VERSION`].
    #[n(0)]
    pub version: u8,
    /// Random, so that the leaf hash tells nothing.
    #[n(1)]
    pub salt: ByteArray<SALT_BYTES>,
    /// Server time, milliseconds UTC since 1970.
    #[n(2)]
    pub time_ms: u64,
    /// Which row.
    #[n(3)]
    pub phase: Phase,
    /// Name of the operation.
    #[n(4)]
    pub operation: String,
    /// Request it belongs to.
    #[n(5)]
    pub request: Id,
    /// Who, if somebody was identified.
    #[n(6)]
    pub actor: Option<Id>,
    /// In which session.
    #[n(7)]
    pub session: Option<Id>,
    /// What it touches; one row commits to every id of a batch.
    #[n(8)]
    pub subjects: Vec<Id>,
    /// For a closing row: index of its opening row.
    #[n(9)]
    pub opening: Option<u64>,
    /// For a closing row: a stable word such as `done`, `refused:not_owner`, `unknown`.
    #[n(10)]
    pub outcome: Option<String>,
    /// Public detail, in the order given.
    #[n(11)]
    pub detail: Vec<(String, String)>,
}

impl AuditEvent {
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
        bound("operation", self.operation.len(), MAX_WORD_BYTES)?;
        bound("outcome", self.outcome.as_ref().map_or(0, String::len), MAX_WORD_BYTES)?;
        bound("subjects", self.subjects.len(), MAX_SUBJECTS)?;
        bound("detail", self.detail.len(), MAX_DETAILS)?;
        self.detail.iter().try_for_each(|(key, value)| {
            bound("detail key", key.len(), MAX_DETAIL_KEY_BYTES)?;
            bound("detail value", value.len(), MAX_DETAIL_VALUE_BYTES)
        })
    }
}
