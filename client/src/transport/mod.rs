//! Talking to the server: pinned TLS, few kept-alive connections, typed calls.
//!
//! ```text
//!   call::<Q, A>(operation, parameters, query, &request)          put_chunk / get_chunk: the bytes themselves
//!        │ encode by the endpoint's codec                                │
//!        ▼                                                               ▼
//!   attempt ─ lease a connection ─ bind it to the session once ─ send ─ reply or problem ─▶ receipt kept
//!        ▲                                                        │
//!        └──────── repeatable, and the connection was lost ◀──────┘
//! ```
//!
//! A stream of events has a connection of its own (`stream`).
//!
//! Nothing the server says is believed here beyond "this is the pinned server": what it stores is verified by whoever asked.

mod call;
mod connection;
mod lease;
mod reply;
mod stream;
pub mod tls;

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;

use tokio::sync::Semaphore;

use crate::deployment::{Address, Deployment};
use crate::error::{ClientError, Result};
use crate::receipts::Receipts;
use crate::session::Capability;

pub use call::NoQuery;
pub use connection::Connection;
pub use lease::Lease;
pub(crate) use stream::BodyStream;

/// Waits and sizes; the defaults suit people and tests change them.
#[derive(Clone, Debug)]
pub struct Options {
    /// Connections kept to the server.
    pub connections: usize,
    /// Name lookup, TCP and TLS together.
    pub connect_timeout: Duration,
    /// From the first byte sent to the end of the reply, for a control request.
    pub request_timeout: Duration,
    /// The same for a chunk or a batch.
    pub transfer_timeout: Duration,
    /// How long a stream may say nothing; the server sends something every 15 seconds.
    pub stream_silence: Duration,
    /// How often a repeatable call is tried in all.
    pub attempts: u32,
    /// The first back-off; doubled each time, with jitter.
    pub backoff: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            connections: 8,
            connect_timeout: Duration::from_secs(10),
            request_timeout: Duration::from_secs(60),
            transfer_timeout: Duration::from_secs(300),
            stream_silence: Duration::from_secs(45),
            attempts: 4,
            backoff: Duration::from_millis(100),
        }
    }
}

/// The way to one deployment's server. Cheap to clone; clones share connections and session.
#[derive(Clone, Debug)]
pub struct Transport {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    addresses: Vec<Address>,
    tls: Arc<rustls::ClientConfig>,
    options: Options,
    slots: Arc<Semaphore>,
    idle: Mutex<VecDeque<Connection>>,
    session: RwLock<Option<Arc<Capability>>>,
    receipts: Option<Receipts>,
    server_version: Mutex<Option<String>>,
}

impl Transport {
    /// Prepares; connects on the first call.
    pub fn new(deployment: &Deployment, options: Options) -> Result<Self> {
        let inner = Inner {
            addresses: deployment.addresses().to_vec(),
            tls: Arc::new(tls::config(&deployment.file().tls_pins)?),
            slots: Arc::new(Semaphore::new(options.connections.max(1))),
            options,
            idle: Mutex::default(),
            session: RwLock::new(None),
            receipts: None,
            server_version: Mutex::default(),
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// The same way in a session: each connection is bound to it before its first request, and receipts are kept in `receipts`.
    pub fn with_session(&self, session: Arc<Capability>, receipts: Option<PathBuf>) -> Result<Self> {
        let inner = Inner {
            addresses: self.inner.addresses.clone(),
            tls: Arc::clone(&self.inner.tls),
            slots: Arc::new(Semaphore::new(self.inner.options.connections.max(1))),
            options: self.inner.options.clone(),
            idle: Mutex::default(),
            session: RwLock::new(Some(session)),
            receipts: receipts.map(Receipts::open).transpose()?,
            server_version: Mutex::default(),
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    pub fn options(&self) -> &Options {
        &self.inner.options
    }

    /// The session that calls are made in.
    pub fn session(&self) -> Option<Arc<Capability>> {
        self.inner.session.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Which version the server said it is, on its last reply.
    pub fn server_version(&self) -> Option<String> {
        lock(&self.inner.server_version).clone()
    }
}

/// Why one try did not succeed, and what may follow.
#[derive(Debug)]
pub(crate) enum Failure {
    /// Nothing of the request has left; it may always be tried again.
    NotSent(ClientError),
    /// Whether the server has acted is unknown.
    Lost(ClientError),
    /// The server said no; the connection is fine.
    Answered(ClientError),
    /// Trying again cannot help.
    Fatal(ClientError),
}

impl Failure {
    fn into_error(self) -> ClientError {
        match self {
            Self::NotSent(error) | Self::Lost(error) | Self::Answered(error) | Self::Fatal(error) => error,
        }
    }
}

/// A lock whose holder panicked guards plain values only; they are taken as they are.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
