//! The witness over HTTP: one POST. TLS, where it is wanted, is a proxy's.

use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use ticrypt_log::witness::{ADD_CHECKPOINT, MAX_REQUEST_BYTES};

use crate::witness::{Answer, Witness};

/// Tells the time, in seconds since 1970.
pub type Clock = fn() -> u64;

/// The routes of a witness.
pub fn router(witness: Arc<Witness>, clock: Clock) -> Router {
    Router::new().route(ADD_CHECKPOINT, post(add_checkpoint)).layer(DefaultBodyLimit::max(MAX_REQUEST_BYTES)).with_state((witness, clock))
}

async fn add_checkpoint(State((witness, clock)): State<(Arc<Witness>, Clock)>, body: Bytes) -> Response {
    // The head is synced to disk, which blocks; a client hanging up does not stop it half way.
    let answered = tokio::task::spawn_blocking(move || witness.add_checkpoint(&body, clock())).await;
    match answered {
        Ok(answer) => answer.into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

impl IntoResponse for Answer {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        (status, [(header::CONTENT_TYPE, self.content_type)], self.body).into_response()
    }
}
