//! One TLS connection: who is at the other end, its channel value, and the session it is bound to.
//!
//! A token is worth nothing on a connection that was not bound to its session (docs/formats.md §4): by the login made on it, or
//! once by a signature of the session's key over the channel value. So a stolen token, or a request replayed elsewhere, is refused.

use std::net::SocketAddr;
use std::sync::{Mutex, PoisonError};

use ticrypt_types::SessionId;
use tokio_util::sync::CancellationToken;

/// Lives as long as the connection; every request on it carries it as an extension.
#[derive(Debug)]
pub struct Connection {
    pub peer: SocketAddr,
    /// RFC 9266 `EXPORTER-Channel-Binding`.
    pub channel: [u8; 32],
    bound: Mutex<Option<SessionId>>,
    cut: CancellationToken,
}

/// The connection belongs to another session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the connection is bound to another session")]
pub struct BoundElsewhere;

impl Connection {
    pub fn new(peer: SocketAddr, channel: [u8; 32], cut: CancellationToken) -> Self {
        Self { peer, channel, bound: Mutex::new(None), cut }
    }

    pub fn bound(&self) -> Option<SessionId> {
        *self.lock()
    }

    /// Binds it once; again to the same session is nothing new.
    pub fn bind(&self, session: SessionId) -> Result<(), BoundElsewhere> {
        let mut bound = self.lock();
        match *bound {
            Some(other) if other != session => Err(BoundElsewhere),
            _ => {
                *bound = Some(session);
                Ok(())
            }
        }
    }

    /// A login proves the identity on this very connection, so it may take the place of a session made here before, which is returned.
    pub fn rebind_by_login(&self, session: SessionId) -> Option<SessionId> {
        self.lock().replace(session)
    }

    /// Ends the connection: requests that run are cut within a second.
    pub fn cut(&self) {
        self.cut.cancel();
    }

    /// Waits until it is cut.
    pub async fn was_cut(&self) {
        self.cut.cancelled().await;
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<SessionId>> {
        self.bound.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
