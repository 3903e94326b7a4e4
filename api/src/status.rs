//! The one place where an [`ErrorKind`] becomes an HTTP status, and back.

use crate::error::{ApiError, ErrorKind, Problem};
use ticrypt_types::RequestId;

const TABLE: &[(ErrorKind, u16, &str)] = &[
    (ErrorKind::Invalid, 400, "bad request"),
    (ErrorKind::Unidentified, 401, "not logged in"),
    (ErrorKind::Refused, 403, "refused"),
    (ErrorKind::NotFound, 404, "not found"),
    (ErrorKind::Taken, 409, "taken"),
    (ErrorKind::Stale, 412, "stale"),
    (ErrorKind::TooLarge, 413, "too large"),
    (ErrorKind::TooMany, 429, "too many requests"),
    (ErrorKind::Broken, 500, "server error"),
    (ErrorKind::Unavailable, 503, "unavailable"),
];

pub fn status_of(kind: ErrorKind) -> u16 {
    TABLE.iter().find(|(k, _, _)| *k == kind).map_or(500, |(_, status, _)| *status)
}

/// The kind a status stands for; an unknown one counts as the server's fault.
pub fn kind_of(status: u16) -> ErrorKind {
    TABLE.iter().find(|(_, s, _)| *s == status).map_or(ErrorKind::Broken, |(kind, _, _)| *kind)
}

pub fn problem(error: &ApiError, request_id: RequestId) -> Problem {
    let (status, title) = TABLE.iter().find(|(k, _, _)| *k == error.kind).map_or((500, "server error"), |(_, s, t)| (*s, *t));
    Problem {
        kind: "about:blank".to_owned(),
        title: title.to_owned(),
        status,
        code: error.code.clone(),
        reason: error.message.clone(),
        request_id,
        nodes: error.nodes.clone(),
        retry_after_ms: error.retry_after_ms,
    }
}

impl From<Problem> for ApiError {
    fn from(problem: Problem) -> Self {
        Self {
            kind: kind_of(problem.status),
            code: problem.code,
            message: problem.reason,
            nodes: problem.nodes,
            retry_after_ms: problem.retry_after_ms,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_and_statuses_are_one_to_one() {
        for (kind, status, _) in TABLE {
            assert_eq!(status_of(*kind), *status);
            assert_eq!(kind_of(*status), *kind);
        }
    }
}
