//! The rest role: identifies who asks, routes, and carries out what belongs to people, sessions and the logs. What belongs to the vault
//! goes to the file role, chunks to the storage role, as they came.
//!
//! ```text
//!   request ─▶ version ─▶ rate ─▶ identify ─▶ body (bounded) ─▶ handler: load facts ─▶ decide ─▶ act ─▶ answer + receipt
//!                                                  └ in a task of its own: a client that hangs up stops nothing half way
//! ```

pub mod bulk;
pub mod bundle;
pub mod call;
pub mod certification;
pub mod challenge;
mod change;
pub mod chunk;
pub mod deployment;
pub mod event;
pub mod identify;
pub mod identities;
mod join;
mod leased;
pub mod limit;
pub mod log;
pub mod member;
pub mod notification;
mod page;
pub mod permission;
pub mod pin;
pub mod profile;
pub mod project;
mod reminder;
pub mod roster;
pub mod route;
pub mod session;
pub mod statement;
pub mod team;
pub mod user;
pub mod vault;
mod working_set;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use ticrypt_api::deployment::DeploymentFile;
use ticrypt_api::role::{Audit, Chunks, Vault};
use ticrypt_store::Store;
use ticrypt_types::{Timestamp, UserId};
use tokio::sync::Semaphore;
use tokio_util::task::TaskTracker;

use crate::clock::Clock;
use crate::config::{Config, RegistrationMode};
use crate::losses::Losses;
use crate::metrics::Metrics;
use crate::presence::Presence;
use bulk::Bulks;
use challenge::{Challenges, Guesses};
use event::Streams;
use identities::Identities;
use limit::Buckets;

/// Bodies in memory at once, in units of [`BODY_UNIT_BYTES`]: half a gibibyte.
const BODY_UNITS: usize = 8_192;
const BODY_UNIT_BYTES: usize = 64 * 1024;

/// What the role is made of.
#[derive(Debug)]
pub struct Parts {
    pub config: Arc<Config>,
    /// With the registration token; it is not served.
    pub deployment: DeploymentFile,
    pub store: Store,
    pub audit: Arc<dyn Audit>,
    pub vault: Arc<dyn Vault>,
    pub chunks: Arc<dyn Chunks>,
    pub presence: Arc<Presence>,
    pub losses: Arc<Losses>,
    pub clock: Clock,
    pub metrics: Arc<Metrics>,
}

/// The rest role.
#[derive(Debug)]
pub struct Rest {
    config: Arc<Config>,
    deployment: DeploymentFile,
    registration: RegistrationMode,
    store: Store,
    audit: Arc<dyn Audit>,
    vault: Arc<dyn Vault>,
    chunks: Arc<dyn Chunks>,
    presence: Arc<Presence>,
    losses: Arc<Losses>,
    clock: Clock,
    metrics: Arc<Metrics>,
    openapi: Bytes,
    challenges: Challenges,
    guesses: Guesses,
    identities: Identities,
    addresses: Buckets<IpAddr>,
    people: Buckets<UserId>,
    bodies: Semaphore,
    streams: Arc<Streams>,
    tasks: TaskTracker,
    bulks: Bulks,
}

impl Rest {
    pub fn new(parts: Parts) -> Self {
        let limits = parts.config.limits;
        let streams = Arc::new(Streams::new(&parts.config));
        Self {
            registration: parts.config.registration.mode,
            config: parts.config,
            deployment: parts.deployment,
            store: parts.store,
            audit: parts.audit,
            vault: parts.vault,
            chunks: parts.chunks,
            presence: parts.presence,
            losses: parts.losses,
            clock: parts.clock,
            metrics: parts.metrics,
            openapi: crate::openapi::document().into(),
            challenges: Challenges::default(),
            guesses: Guesses::default(),
            identities: Identities::default(),
            addresses: Buckets::new(limits.address_per_second, limits.address_burst),
            people: Buckets::new(limits.person_per_second, limits.person_burst),
            bodies: Semaphore::new(BODY_UNITS),
            streams,
            tasks: TaskTracker::new(),
            bulks: Bulks::default(),
        }
    }

    /// Ends every stream of events; what is open only for one would keep a stop waiting.
    pub fn end_streams(&self) {
        self.streams.end();
    }

    /// Waits for requests that run; nothing new may come in any more.
    pub async fn shutdown(&self) {
        self.bulks.end();
        self.tasks.close();
        self.tasks.wait().await;
    }

    fn body_stall(&self) -> Duration {
        Duration::from_millis(self.config.server.body_stall_timeout_ms)
    }

    fn idle_ms(&self) -> u64 {
        self.config.session.idle_ms
    }

    /// Remembers now and then that a session is in use; losing one such note costs a little idle time after a restart.
    fn note_use(self: &Arc<Self>, session: &crate::presence::Session, now: Timestamp) {
        const EVERY_MS: u64 = 60_000;
        let before = session.touch(now);
        if before.as_millis() / EVERY_MS != now.as_millis() / EVERY_MS {
            let (rest, id) = (Arc::clone(self), session.id);
            self.tasks.spawn(async move {
                if let Err(error) = rest.store.touch_session(id, now).await {
                    tracing::warn!(error = &error as &dyn std::error::Error, "the use of a session cannot be noted");
                }
            });
        }
    }
}
