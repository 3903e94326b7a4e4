//! Who asks: the session of the token, and whether this very connection is bound to it (docs/formats.md §4, security C15).

use std::sync::Arc;

use aws_lc_rs::digest;
use axum::http::HeaderMap;
use data_encoding::BASE64URL_NOPAD;
use ticrypt_api::endpoint::{AUTHORIZATION, BINDING_HEADER};
use ticrypt_api::{ApiError, ErrorKind};
use ticrypt_crypto::login::SessionBinding;
use ticrypt_crypto::{Envelope, PublicKey};
use ticrypt_policy::Actor;
use ticrypt_types::Timestamp;

use super::Rest;
use super::call::not_logged_in;
use crate::connection::Connection;
use crate::presence::Session;
use crate::refusal::{refuse, store_failed};

/// Bytes of a token; it is base64url on the wire.
pub const TOKEN_BYTES: usize = 32;
/// Losses that may fall between loading a session and admitting it before we give up.
const LOADS_MAX: usize = 5;

/// What the server keeps of a token.
pub fn token_hash(token: &[u8]) -> [u8; 32] {
    let mut out = [0; 32];
    for (to, from) in out.iter_mut().zip(digest::digest(&digest::SHA256, token).as_ref()) {
        *to = *from;
    }
    out
}

/// The session is over, by time, by logging out, or because something was lost.
pub fn session_over() -> ApiError {
    ApiError::new(ErrorKind::Unidentified, "session_over", "this session no longer counts; log in again")
}

fn not_bound(message: &str) -> ApiError {
    ApiError::new(ErrorKind::Unidentified, "not_bound", message)
}

impl Rest {
    /// The session a request belongs to.
    pub async fn identify(&self, connection: &Arc<Connection>, headers: &HeaderMap, now: Timestamp) -> Result<Arc<Session>, ApiError> {
        let token = bearer(headers)?;
        let hash = token_hash(&token);
        let session = match self.presence.by_token(&hash) {
            Some(session) => session,
            None => self.load_session(&hash, now).await?,
        };
        if session.is_over(now, self.idle_ms()) {
            self.presence.end(session.id);
            return Err(session_over());
        }
        match connection.bound() {
            Some(bound) if bound == session.id => {}
            Some(_) => return Err(not_bound("this connection belongs to another session; open one for each session")),
            None => {
                self.check_binding(&session, connection, headers)?;
                connection.bind(session.id).map_err(|error| not_bound(&error.to_string()))?;
            }
        }
        // Every time, because a session ended and begun anew elsewhere must still reach this connection.
        if !self.presence.holds(session.id, connection) {
            self.presence.attach(session.id, connection);
        }
        Ok(session)
    }

    fn check_binding(&self, session: &Session, connection: &Connection, headers: &HeaderMap) -> Result<(), ApiError> {
        let header = headers.get(BINDING_HEADER).and_then(|value| value.to_str().ok());
        let header =
            header.ok_or_else(|| not_bound("the connection is not bound to the session; send the binding with the first request"))?;
        let wrong = |_| not_bound("the binding is not one of this session over this connection");
        let bytes = BASE64URL_NOPAD.decode(header.as_bytes()).map_err(|_| not_bound("the binding is not base64url"))?;
        let envelope = Envelope::parse(&bytes).map_err(wrong)?;
        let binding = envelope.verify_as::<SessionBinding>(&session.key).map_err(wrong)?;
        let fits = binding.deployment == self.deployment.id && binding.session == session.id && binding.channel == connection.channel;
        if fits { Ok(()) } else { Err(not_bound("the binding is of another session, connection or deployment")) }
    }

    async fn load_session(&self, hash: &[u8; 32], now: Timestamp) -> Result<Arc<Session>, ApiError> {
        for _ in 0..LOADS_MAX {
            let generation = self.presence.generation();
            let found = self.store.session_by_token(hash).await.map_err(|error| store_failed(error, now))?;
            let Some((row, user)) = found else { return Err(session_over()) };
            if !row.is_living(now) {
                return Err(session_over());
            }
            self.store
                .actor(&user, row.epoch, row.created)
                .await
                .map_err(|error| store_failed(error, now))?
                .check(now)
                .map_err(|denial| refuse(denial, now))?;
            let key = PublicKey::from_bytes(&row.session_key).map_err(|_| {
                tracing::error!("the key of a stored session is not a key; run check");
                ApiError::broken()
            })?;
            let session = Session::new(row.id, row.user, user.rank, row.epoch, *hash, key, row.created, row.expires, row.last_seen);
            if let Some(session) = self.presence.admit(session, generation) {
                return Ok(session);
            }
        }
        Err(ApiError::new(ErrorKind::Unavailable, "busy", "too much changes at once; try again"))
    }

    /// The account of who asks as it is now, for decisions about people.
    pub async fn actor(&self, session: &Session, now: Timestamp) -> Result<(Actor, ticrypt_store::user::User), ApiError> {
        let user = self.store.user(session.user).await.map_err(|error| store_failed(error, now))?.ok_or_else(session_over)?;
        let actor = self.store.actor(&user, session.epoch, session.login).await.map_err(|error| store_failed(error, now))?;
        Ok((actor, user))
    }
}

fn bearer(headers: &HeaderMap) -> Result<Vec<u8>, ApiError> {
    let header = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok()).ok_or_else(not_logged_in)?;
    let token = header.strip_prefix("Bearer ").ok_or_else(not_logged_in)?;
    let token = BASE64URL_NOPAD.decode(token.as_bytes()).map_err(|_| session_over())?;
    if token.len() == TOKEN_BYTES { Ok(token) } else { Err(session_over()) }
}
