//! Answers that carry content: they go out piece by piece, and end in the middle when their reader loses what they were decided on.
//!
//! The pieces alone would not do: a reader that takes nothing is asked for nothing, and would go on when it pleases. So somebody watches
//! beside, and cuts the connection.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::body::Body;
use bytes::Bytes;
use hyper::body::{Body as HttpBody, Frame, SizeHint};
use ticrypt_api::ApiError;
use ticrypt_types::UserId;
use tokio::task::AbortHandle;

use super::Rest;
use super::call::Call;
use crate::losses::{LossMark, Losses};

/// Bytes handed on at once.
const PIECE: usize = 64 * 1024;

/// The reader lost what this answer was decided on.
#[derive(Debug, thiserror::Error)]
#[error("the answer was cut: its reader lost access")]
struct Cut;

struct Leased {
    left: Bytes,
    lease: Lease,
}

#[derive(Debug)]
struct Lease {
    losses: Arc<Losses>,
    reader: UserId,
    mark: LossMark,
    watch: AbortHandle,
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.watch.abort();
    }
}

impl Rest {
    /// Bytes for whoever asks, whose rights were looked at after `mark`.
    pub(super) fn leased(&self, call: &Call, bytes: Bytes, mark: LossMark) -> Result<Body, ApiError> {
        if bytes.len() <= PIECE {
            return Ok(bytes.into());
        }
        let (reader, connection) = (call.session()?.user, Arc::clone(&call.connection));
        let watched = Arc::clone(&self.losses);
        let watch = tokio::spawn(async move {
            watched.lost(reader, mark).await;
            connection.cut();
        });
        let lease = Lease { losses: Arc::clone(&self.losses), reader, mark, watch: watch.abort_handle() };
        Ok(Body::new(Leased { left: bytes, lease }))
    }
}

impl HttpBody for Leased {
    type Data = Bytes;
    type Error = Cut;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Cut>>> {
        if self.left.is_empty() {
            return Poll::Ready(None);
        }
        if self.lease.losses.since(self.lease.reader, self.lease.mark) {
            return Poll::Ready(Some(Err(Cut)));
        }
        let piece = self.left.len().min(PIECE);
        Poll::Ready(Some(Ok(Frame::data(self.left.split_to(piece)))))
    }

    fn is_end_stream(&self) -> bool {
        self.left.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left.len() as u64)
    }
}
