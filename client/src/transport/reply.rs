//! What comes back: bounded bodies, problems as errors.

use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::{Response, StatusCode};
use ticrypt_api::{ErrorKind, Problem, status};
use ticrypt_types::limits::{BATCH_BODY_MAX_BYTES, CHUNK_BYTES, CHUNK_OVERHEAD_BYTES};

use super::Failure;
use crate::error::{ClientError, Kind};

/// Replies to control requests; lists are paged well below it.
pub(super) const JSON_MAX_BYTES: usize = 4 * 1024 * 1024;
/// Batches and listings, with room for what is around their contents.
pub(super) const CBOR_MAX_BYTES: usize = BATCH_BODY_MAX_BYTES + 4 * 1024 * 1024;
/// A stored chunk.
pub(super) const CHUNK_MAX_BYTES: usize = CHUNK_BYTES + CHUNK_OVERHEAD_BYTES;
/// A checkpoint or a tile of a log.
pub(super) const LOG_MAX_BYTES: usize = 1024 * 1024;
const PROBLEM_MAX_BYTES: usize = 64 * 1024;

/// Reads a body of at most `max` bytes, once, into the buffer that is handed on.
pub(super) async fn read_body(response: Response<Incoming>, max: usize) -> Result<Vec<u8>, Failure> {
    let too_long = || Failure::Fatal(ClientError::untrusted(format!("the server's reply is longer than the {max} bytes it can have")));
    let declared = response.headers().get(hyper::header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<usize>().ok());
    if declared.is_some_and(|length| length > max) {
        return Err(too_long());
    }
    let mut bytes = Vec::with_capacity(declared.unwrap_or(0));
    let mut body = response.into_body();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|e| {
            Failure::Lost(ClientError::unavailable("the connection was lost in the middle of a reply; try again").because(e))
        })?;
        let Some(data) = frame.data_ref() else { continue };
        if bytes.len() + data.len() > max {
            return Err(too_long());
        }
        bytes.extend_from_slice(data);
    }
    Ok(bytes)
}

/// Turns a reply that is not a success into an error.
pub(super) async fn read_problem(response: Response<Incoming>) -> Failure {
    let status = response.status();
    let body = match read_body(response, PROBLEM_MAX_BYTES).await {
        Ok(body) => body,
        Err(failure) => return failure,
    };
    Failure::Answered(match serde_json::from_slice::<Problem>(&body) {
        // The status line decides the kind; the document may not say otherwise.
        Ok(problem) => ClientError::from_problem(Problem { status: status.as_u16(), ..problem }),
        Err(_) => bare(status),
    })
}

/// A status without a problem document, as a proxy in between might send.
fn bare(status: StatusCode) -> ClientError {
    let kind = match status::kind_of(status.as_u16()) {
        ErrorKind::Unavailable | ErrorKind::TooMany => Kind::Unavailable,
        ErrorKind::NotFound => Kind::NotFound,
        ErrorKind::Unidentified => Kind::LoggedOut,
        ErrorKind::Refused => Kind::Refused,
        _ if matches!(status.as_u16(), 502 | 504) => Kind::Unavailable,
        _ => Kind::Broken,
    };
    ClientError::new(
        kind,
        "status",
        format!("the server answered with status {} and no reason; try again, then tell an administrator", status.as_u16()),
    )
}
