//! One request, read and bounded, and one answer, before and after HTTP.

use std::str::FromStr;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::Query;
use axum::http::{HeaderMap, Uri};
use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use serde::Serialize;
use serde::de::DeserializeOwned;
use ticrypt_api::endpoint::{Codec, Method};
use ticrypt_api::role::{Caller, Event, Opened, Reply};
use ticrypt_api::{ApiError, Endpoint, ErrorKind, wire};
use ticrypt_types::limits::{BATCH_BODY_MAX_BYTES, CHUNK_BYTES, CHUNK_OVERHEAD_BYTES, CLOCK_SKEW_MAX_MS, CONTROL_BODY_MAX_BYTES};
use ticrypt_types::{Operation, RequestId, Timestamp, UserId};

use crate::connection::Connection;
use crate::presence::Session;

/// A request on its way to its handler.
#[derive(Debug)]
pub struct Call {
    pub endpoint: &'static Endpoint,
    pub request: RequestId,
    pub connection: Arc<Connection>,
    /// The server's time at which all of it is decided.
    pub now: Timestamp,
    /// Who asks; absent only where anyone may.
    pub session: Option<Arc<Session>>,
    /// Values of the path's parameters, in order.
    pub parameters: Vec<String>,
    pub uri: Uri,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Call {
    /// The body as this endpoint's coding has it.
    pub fn body<T: DeserializeOwned>(&self) -> Result<T, ApiError> {
        wire::decode(self.endpoint.codec, &self.body).map_err(|error| ApiError::invalid(error.to_string()))
    }

    pub fn query<T: DeserializeOwned>(&self) -> Result<T, ApiError> {
        Query::try_from_uri(&self.uri)
            .map(|Query(query)| query)
            .map_err(|_| ApiError::invalid("the query is not the one this endpoint takes"))
    }

    /// One of the path's parameters. What cannot be read names nothing, so it is not found.
    pub fn parameter<T: FromStr>(&self, place: usize) -> Result<T, ApiError> {
        self.parameters.get(place).and_then(|text| text.parse().ok()).ok_or_else(ApiError::not_found)
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// Who asks, for the roles.
    pub fn caller(&self) -> Result<Caller, ApiError> {
        let session = self.session()?;
        Ok(Caller {
            user: session.user,
            rank: session.rank,
            session: session.id,
            epoch: session.epoch,
            login: session.login,
            request: self.request,
            address: self.connection.peer.ip(),
            now: self.now,
        })
    }

    pub fn session(&self) -> Result<&Arc<Session>, ApiError> {
        self.session.as_ref().ok_or_else(not_logged_in)
    }

    /// A row about people.
    pub fn event(&self, subjects: &[UserId]) -> Event {
        Event {
            operation: self.endpoint.operation,
            request: self.request,
            actor: self.session.as_ref().map(|session| session.user),
            session: self.session.as_ref().map(|session| session.id),
            subjects: subjects.iter().map(|user| user.to_bytes()).collect(),
            detail: Vec::new(),
            at: self.now,
        }
    }

    /// How far a signer's time is off the server's, in milliseconds, if that is too far for what was signed just now.
    pub fn skew_ms(&self, at: Timestamp) -> Option<u64> {
        Some(at.millis_since(self.now).max(self.now.millis_since(at))).filter(|off_ms| *off_ms > CLOCK_SKEW_MAX_MS)
    }

    pub fn operation(&self) -> Operation {
        self.endpoint.operation
    }
}

pub fn not_logged_in() -> ApiError {
    ApiError::new(ErrorKind::Unidentified, "not_logged_in", "log in first")
}

/// An answer on its way out.
#[derive(Debug)]
pub struct Answer {
    pub body: Body,
    pub media_type: &'static str,
    /// The row it rests on, for the receipt.
    pub opened: Option<Opened>,
}

impl Answer {
    pub fn of<T: Serialize>(call: &Call, body: &T) -> Result<Self, ApiError> {
        Ok(Self { body: encode(call, body)?.into(), media_type: call.endpoint.codec.media_type(), opened: None })
    }

    pub fn of_reply<T: Serialize>(call: &Call, reply: &Reply<T>) -> Result<Self, ApiError> {
        Ok(Self { opened: reply.opened, ..Self::of(call, &reply.body)? })
    }

    pub fn raw(body: Body, media_type: &'static str) -> Self {
        Self { body, media_type, opened: None }
    }

    pub fn with_row(self, opened: Opened) -> Self {
        Self { opened: Some(opened), ..self }
    }
}

/// A body in the endpoint's form.
pub fn encode<T: Serialize>(call: &Call, body: &T) -> Result<Bytes, ApiError> {
    let encoded = wire::encode(call.endpoint.codec, body).map_err(|error| {
        tracing::error!(error = %error, "an answer cannot be encoded");
        ApiError::broken()
    })?;
    Ok(encoded.into())
}

/// Bytes the body of a request may have.
pub const fn body_limit(endpoint: &Endpoint) -> usize {
    match (endpoint.method, endpoint.codec) {
        (Method::Put, Codec::Raw) => CHUNK_BYTES + CHUNK_OVERHEAD_BYTES,
        (Method::Post, Codec::Cbor) => BATCH_BODY_MAX_BYTES,
        (Method::Post | Method::Put, _) => CONTROL_BODY_MAX_BYTES,
        (Method::Get | Method::Delete, _) => 1_024,
    }
}

pub fn too_large(limit: usize) -> ApiError {
    ApiError::new(ErrorKind::TooLarge, "body_too_large", format!("the body has more than {limit} bytes; send less at once"))
}

/// Reads a body whole, within `limit`, as long as it keeps moving.
pub async fn read_body(mut body: Body, expected: Option<usize>, limit: usize, stall: std::time::Duration) -> Result<Bytes, ApiError> {
    let mut first: Option<Bytes> = None;
    let mut rest: Option<BytesMut> = None;
    loop {
        let frame = tokio::time::timeout(stall, body.frame())
            .await
            .map_err(|_| ApiError::new(ErrorKind::Unavailable, "body_stalled", "the body of the request stood still; send it again"))?;
        let Some(frame) = frame else { break };
        let frame = frame.map_err(|_| ApiError::invalid("the body of the request broke off; send it again"))?;
        let Ok(data) = frame.into_data() else { continue };
        let so_far = rest.as_ref().map(BytesMut::len).or(first.as_ref().map(Bytes::len)).unwrap_or(0);
        if so_far + data.len() > limit {
            return Err(too_large(limit));
        }
        match (&mut rest, first.take()) {
            (Some(buffer), _) => buffer.extend_from_slice(&data),
            (None, None) => first = Some(data),
            (None, Some(before)) => {
                let mut buffer = BytesMut::with_capacity(expected.unwrap_or(64 * 1024).clamp(before.len() + data.len(), limit));
                buffer.extend_from_slice(&before);
                buffer.extend_from_slice(&data);
                rest = Some(buffer);
            }
        }
    }
    Ok(rest.map(BytesMut::freeze).or(first).unwrap_or_default())
}
