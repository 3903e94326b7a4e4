//! An answer that does not end: a connection of its own, outside the pool, whose body is read as it comes.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use ticrypt_types::Operation;

use super::{Connection, Failure, Transport};
use crate::error::{ClientError, Result};

/// A body under way. The connection lasts as long as it does.
#[derive(Debug)]
pub(crate) struct BodyStream {
    body: Incoming,
    silence: Duration,
    _connection: Connection,
}

impl Transport {
    /// Opens a stream of events, from the one after `last_event` on; once, without repetition.
    pub(crate) async fn open_stream(&self, operation: Operation, last_event: Option<u64>) -> Result<BodyStream> {
        let mut prepared = self.prepare(operation, &[], &(), &())?;
        prepared.last_event = last_event;
        let mut connection = Connection::open(&self.inner).await.map_err(Failure::into_error)?;
        let head = tokio::time::timeout(prepared.timeout, self.respond(&mut connection, &prepared)).await;
        let head = head.map_err(|_| ClientError::unavailable("the server does not begin the stream of events; try again"))?;
        let body = head.map_err(Failure::into_error)?.into_body();
        Ok(BodyStream { body, silence: self.options().stream_silence, _connection: connection })
    }
}

impl BodyStream {
    /// The next bytes; none at the end. Nothing for too long is an error: a living server shows that it is.
    pub(crate) async fn next(&mut self) -> Result<Option<Bytes>> {
        let lost = |what: &str| ClientError::unavailable(format!("the stream of events {what}; try again"));
        loop {
            match tokio::time::timeout(self.silence, self.body.frame()).await {
                Err(_) => return Err(lost("fell silent")),
                Ok(None) => return Ok(None),
                Ok(Some(Err(error))) => return Err(lost("broke off").because(error)),
                // Trailers say nothing.
                Ok(Some(Ok(frame))) => {
                    if let Ok(bytes) = frame.into_data() {
                        return Ok(Some(bytes));
                    }
                }
            }
        }
    }
}
