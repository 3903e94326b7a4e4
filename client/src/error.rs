//! One error for the whole library: a kind that programs act on, words for the person.
//!
//! Modules that can fail in ways a caller tells apart (`transport`, `agent`) have their own enums below and turn into this one at
//! their edge.

use std::fmt;

use ticrypt_api::{ApiError, ErrorKind, Problem};
use ticrypt_types::{NodeId, RequestId};

/// What sort of failure; decides exit codes and whether trying again can help.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// The person or the calling program asked for something malformed.
    Invalid,
    /// The rules say no.
    Refused,
    /// No session, or it is over: log in.
    LoggedOut,
    /// Not there, or hidden.
    NotFound,
    /// The state has moved on: load again.
    Stale,
    /// An id or a name is taken.
    Taken,
    /// The other side cannot be reached or cannot answer now.
    Unavailable,
    /// What the server showed does not verify: it lies, or is damaged.
    Untrusted,
    /// A fault of this program, this machine or the server.
    Broken,
}

/// What went wrong, then what to do. One word wide, because nearly every function can return it.
#[derive(Debug)]
pub struct ClientError(Box<Inner>);

#[derive(Debug)]
struct Inner {
    kind: Kind,
    /// The server's stable word, or ours.
    code: String,
    message: String,
    request: Option<RequestId>,
    nodes: Vec<NodeId>,
    retry_after_ms: Option<u64>,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

pub type Result<T, E = ClientError> = std::result::Result<T, E>;

impl ClientError {
    pub fn new(kind: Kind, code: &str, message: impl Into<String>) -> Self {
        Self(Box::new(Inner {
            kind,
            code: code.to_owned(),
            message: message.into(),
            request: None,
            nodes: Vec::new(),
            retry_after_ms: None,
            source: None,
        }))
    }

    pub fn invalid(message: impl Into<String>) -> Self {
        Self::new(Kind::Invalid, "invalid", message)
    }

    pub fn refused(code: &str, message: impl Into<String>) -> Self {
        Self::new(Kind::Refused, code, message)
    }

    pub fn not_found(message: impl Into<String>) -> Self {
        Self::new(Kind::NotFound, "not_found", message)
    }

    pub fn untrusted(message: impl Into<String>) -> Self {
        Self::new(Kind::Untrusted, "untrusted", message)
    }

    pub fn unavailable(message: impl Into<String>) -> Self {
        Self::new(Kind::Unavailable, "unavailable", message)
    }

    pub fn broken(message: impl Into<String>) -> Self {
        Self::new(Kind::Broken, "broken", message)
    }

    pub fn logged_out() -> Self {
        Self::new(Kind::LoggedOut, "logged_out", "nobody is logged in; run `ticrypt login`")
    }

    /// Keeps the cause for the chain; its text is not repeated in the message.
    #[must_use]
    pub fn because(mut self, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        self.0.source = Some(source.into());
        self
    }

    pub fn kind(&self) -> Kind {
        self.0.kind
    }

    pub fn code(&self) -> &str {
        &self.0.code
    }

    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// The server's id of the failed request.
    pub fn request(&self) -> Option<RequestId> {
        self.0.request
    }

    /// Nodes to act on first; for `epoch_closed`, those that need new keys, from the top down.
    pub fn nodes(&self) -> &[NodeId] {
        &self.0.nodes
    }

    pub fn retry_after_ms(&self) -> Option<u64> {
        self.0.retry_after_ms
    }

    /// These nodes need new keys before anything is written.
    pub fn epoch_closed(nodes: Vec<NodeId>) -> Self {
        let mut error =
            Self::refused("epoch_closed", "someone lost access here, so new keys come first; run `ticrypt rekey`, then try again");
        error.0.nodes = nodes;
        error
    }

    /// Whether the server refused a write because keys must be replaced first.
    pub fn is_epoch_closed(&self) -> bool {
        self.0.code == "epoch_closed"
    }

    /// From a problem document. Its words come from outside: control characters are shown, not obeyed.
    pub fn from_problem(problem: Problem) -> Self {
        let request = problem.request_id;
        let ApiError { kind, code, message, nodes, retry_after_ms } = problem.into();
        let message = ticrypt_types::name::Harmless(&message).to_string();
        let kind = match kind {
            ErrorKind::Invalid | ErrorKind::TooLarge => Kind::Invalid,
            ErrorKind::Unidentified => Kind::LoggedOut,
            ErrorKind::Refused => Kind::Refused,
            ErrorKind::NotFound => Kind::NotFound,
            ErrorKind::Stale => Kind::Stale,
            ErrorKind::Taken => Kind::Taken,
            ErrorKind::TooMany | ErrorKind::Unavailable => Kind::Unavailable,
            ErrorKind::Broken => Kind::Broken,
        };
        Self(Box::new(Inner { kind, code, message, request: Some(request), nodes, retry_after_ms, source: None }))
    }
}

impl fmt::Display for ClientError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)?;
        // Only a fault of the server is worth an administrator's search in the log.
        match (self.0.kind, self.0.request) {
            (Kind::Broken, Some(request)) => write!(f, " (request {request})"),
            _ => Ok(()),
        }
    }
}

impl std::error::Error for ClientError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.source.as_deref().map(|source| source as _)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_keeps_code_and_nodes_and_cannot_forge_a_terminal() {
        let node = NodeId::from_random([1; 16]);
        let error = ClientError::from_problem(Problem {
            kind: "about:blank".to_owned(),
            title: "refused".to_owned(),
            status: 403,
            code: "epoch_closed".to_owned(),
            reason: "new keys\u{1b}[2J first".to_owned(),
            request_id: RequestId::from_random([2; 16]),
            nodes: vec![node],
            retry_after_ms: None,
        });
        assert_eq!((error.kind(), error.nodes()), (Kind::Refused, &[node][..]));
        assert!(error.is_epoch_closed());
        assert_eq!(error.to_string(), "new keys\\u{1b}[2J first");
    }
}
