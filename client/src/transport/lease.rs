//! The pool: a few connections, lent one call at a time, given back healthy or not at all.

use std::time::{Duration, Instant};

use tokio::sync::OwnedSemaphorePermit;

use super::{Connection, Failure, Transport, lock};
use crate::error::ClientError;

/// Servers close idle connections; one that has idled for long may be closed just as it is used again.
const IDLE_MAX: Duration = Duration::from_secs(20);

/// A connection for one call, or for several that must share it.
#[derive(Debug)]
pub struct Lease {
    connection: Option<Connection>,
    transport: Transport,
    _slot: OwnedSemaphorePermit,
}

impl Lease {
    pub(super) fn connection(&mut self) -> Option<&mut Connection> {
        self.connection.as_mut()
    }

    /// The channel value of the connection; `None` once it was lost.
    pub fn channel(&self) -> Option<[u8; 32]> {
        self.connection.as_ref().map(Connection::channel)
    }

    /// Takes the connection out for good, so that another transport can have it.
    pub fn into_connection(mut self) -> Option<Connection> {
        self.connection.take()
    }

    /// The connection is in an unknown state and must not be used again.
    pub(super) fn spoil(&mut self) {
        self.connection = None;
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if let Some(mut connection) = self.connection.take()
            && !connection.sender.is_closed()
        {
            connection.idle_since = Instant::now();
            lock(&self.transport.inner.idle).push_back(connection);
        }
    }
}

impl Transport {
    /// Waits for a free slot and takes an idle connection, or opens one.
    pub(super) async fn lease_or_fail(&self) -> Result<Lease, Failure> {
        let slot = self.inner.slots.clone().acquire_owned().await;
        let slot = slot.map_err(|_| Failure::Fatal(ClientError::unavailable("the connection pool is closed")))?;
        let connection = match self.take_idle() {
            Some(connection) => connection,
            None => Connection::open(&self.inner).await?,
        };
        Ok(Lease { connection: Some(connection), transport: self.clone(), _slot: slot })
    }

    /// A connection to make several calls on; they are not repeated when it is lost.
    pub async fn lease(&self) -> crate::error::Result<Lease> {
        self.lease_or_fail().await.map_err(Failure::into_error)
    }

    /// Takes in a connection that was opened by another transport to the same server.
    pub fn adopt(&self, connection: Connection) {
        lock(&self.inner.idle).push_back(connection);
    }

    /// The one used last, because it is the least likely to have been closed.
    fn take_idle(&self) -> Option<Connection> {
        let mut idle = lock(&self.inner.idle);
        idle.retain(|connection| !connection.sender.is_closed() && connection.idle_since.elapsed() < IDLE_MAX);
        idle.pop_back()
    }
}
