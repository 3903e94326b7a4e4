//! Why the file role does not do what it was asked, and how that is told.
//!
//! Three sorts: the rules say no ([`Denial`]), what the client sent does not hold together (a record that is malformed, not
//! signed, or does not fit what is stored), or the server cannot. Only the first two say anything about the request.

use ticrypt_api::{ApiError, ErrorKind};
use ticrypt_crypto::RecordError;
use ticrypt_crypto::signature::SignatureError;
use ticrypt_policy::Denial;
use ticrypt_store::{StoreError, Taken};
use ticrypt_types::{NodeId, Timestamp};

use crate::refusal::{refuse, store_failed};

/// Why a request to the vault was not carried out.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FileError {
    #[error(transparent)]
    Denied(#[from] Denial),
    /// From the top down to the node that was to be written.
    #[error("{}", Denial::EpochClosed)]
    EpochClosed(Vec<NodeId>),
    #[error("{0}")]
    Bound(&'static str),
    #[error("the {what} is not accepted: {source}")]
    Signature { what: &'static str, source: SignatureError },
    #[error("the {what} cannot be read: {source}")]
    Record { what: &'static str, source: RecordError },
    /// A record that is well formed and signed, and says something else than what is or would be stored.
    #[error("{why}")]
    Unfit { code: &'static str, why: String },
    #[error("somebody else changed it meanwhile; load it again, then try again")]
    Stale,
    #[error("{why}")]
    Taken { code: &'static str, why: &'static str },
    #[error("the answer would be too large; ask for fewer at once")]
    TooLarge,
    #[error("the database refused")]
    Store(#[from] StoreError),
    #[error(transparent)]
    Role(#[from] ApiError),
    /// What is stored contradicts itself.
    #[error("what is stored contradicts itself: {0}")]
    Corrupt(&'static str),
    #[error("a task of the server ended early")]
    Task,
}

impl FileError {
    pub(super) fn unfit(code: &'static str, why: impl Into<String>) -> Self {
        Self::Unfit { code, why: why.into() }
    }

    /// Whether the attempt is evidence that belongs in the audit log: refused by a rule, or a record that is not true.
    pub(super) fn is_refusal(&self) -> bool {
        match self {
            Self::Denied(_) | Self::EpochClosed(_) | Self::Signature { .. } | Self::Unfit { .. } => true,
            Self::Store(error) => matches!(error, StoreError::NotFound(_)),
            _ => false,
        }
    }

    /// The error as it leaves the role; what is our own fault is logged here, once, as a chain.
    pub(super) fn into_api(self, now: Timestamp) -> ApiError {
        match self {
            Self::Denied(denial) => refuse(denial, now),
            Self::EpochClosed(nodes) => ApiError { nodes, ..refuse(Denial::EpochClosed, now) },
            Self::Bound(why) => ApiError::invalid(why),
            Self::Record { .. } => ApiError::new(ErrorKind::Invalid, "record_malformed", self.to_string()),
            Self::Signature { .. } => ApiError::new(ErrorKind::Invalid, "record_not_signed", self.to_string()),
            Self::Unfit { code, why } => ApiError::new(ErrorKind::Invalid, code, why),
            Self::Stale => ApiError::new(ErrorKind::Stale, "stale", self.to_string()),
            Self::Taken { code, why } => ApiError::new(ErrorKind::Taken, code, why),
            Self::TooLarge => ApiError::new(ErrorKind::TooLarge, "too_large", self.to_string()),
            Self::Role(error) => error,
            Self::Store(StoreError::Taken(Taken::NodeName)) => {
                ApiError::new(ErrorKind::Taken, "name_taken", "that name is taken in this directory; choose another")
            }
            Self::Store(error) => store_failed(error, now),
            Self::Corrupt(_) | Self::Task => {
                tracing::error!(error = %self, "the file role failed");
                ApiError::broken()
            }
        }
    }
}
