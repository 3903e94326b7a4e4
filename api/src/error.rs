//! Errors as they cross the wire: a kind that decides the status, a stable code, and words for the person (RFC 9457).

use serde::{Deserialize, Serialize};
use ticrypt_types::RequestId;

/// What sort of failure, free of any transport. `status.rs` alone turns it into HTTP.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// The request cannot be understood or breaks a bound.
    Invalid,
    /// Nobody is identified, or the session is over.
    Unidentified,
    /// Identified, the thing is visible, and the rules say no.
    Refused,
    /// Not there, or hidden: the two are the same (security C21).
    NotFound,
    /// The state has moved on; load again and decide again.
    Stale,
    /// An id or a name is taken.
    Taken,
    TooLarge,
    /// Too many requests, or a back-off.
    TooMany,
    /// Try later: shutting down, the log cannot be written, the storage is full.
    Unavailable,
    /// Our own fault; the log has the chain.
    Broken,
}

/// An error on its way to the edge.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ApiError {
    pub kind: ErrorKind,
    /// A stable word, `snake_case`.
    pub code: String,
    /// What failed, then what to try.
    pub message: String,
    /// Nodes the client has to act on first (those whose keys must be replaced, for `epoch_closed`).
    pub nodes: Vec<ticrypt_types::NodeId>,
    /// Milliseconds to wait, for `TooMany`.
    pub retry_after_ms: Option<u64>,
}

impl ApiError {
    pub fn new(kind: ErrorKind, code: &str, message: impl Into<String>) -> Self {
        Self { kind, code: code.to_owned(), message: message.into(), nodes: Vec::new(), retry_after_ms: None }
    }

    pub fn invalid(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Invalid, "invalid", message)
    }

    /// The one answer for what is missing and what is hidden.
    pub fn not_found() -> Self {
        Self::new(ErrorKind::NotFound, "not_found", "not found, or not visible to you")
    }

    /// The detail belongs in the log, not in the answer.
    pub fn broken() -> Self {
        Self::new(ErrorKind::Broken, "broken", "the server failed; tell an administrator the request id")
    }
}

/// The body of every error reply, `application/problem+json`.
#[derive(Clone, Debug, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Problem {
    /// Always `about:blank`; the code says more.
    #[serde(rename = "type")]
    pub kind: String,
    pub title: String,
    pub status: u16,
    /// A stable word for programs.
    pub code: String,
    /// What failed and what the person can do.
    pub reason: String,
    pub request_id: RequestId,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub nodes: Vec<ticrypt_types::NodeId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after_ms: Option<u64>,
}
