//! The file role: directories, files, versions, grants, groups. It decides and acts for everything in the vault, and opens none of it.
//!
//! ```text
//!   request ─▶ parse (records.rs, newcomer.rs: strict, signed by the caller's current key)
//!           ─▶ load facts (the store, for this caller)
//!           ─▶ decide (ticrypt-policy) and hold the records to what would be stored (fit.rs)
//!           ─▶ opening row ─▶ one transaction, conditional on what was decided ─▶ closing row (audited.rs)
//! ```
//!
//! One file per verb. What a client may read of others' signatures, grants that writers name as their authority, comes with each
//! answer (authority.rs), so that the client can check everything itself.

mod access;
mod audited;
mod authority;
mod create;
mod delete;
mod error;
mod fit;
mod grant;
mod group;
mod history;
mod home;
mod list;
mod move_node;
mod newcomer;
mod open;
mod page;
mod place;
mod publish;
mod quota;
mod records;
mod rekey;
mod rename;
mod root;
mod signer;
mod ticket;
mod trash;
mod upload;
mod vault;
mod versions;
mod view;

use std::sync::Arc;

use ticrypt_api::role::{Audit, Caller, Chunks};
use ticrypt_policy::Actor;
use ticrypt_store::Store;
use ticrypt_types::{DeploymentId, Secret, Timestamp};
use tokio_util::task::TaskTracker;

use error::FileError;
use records::Signer;
use signer::Signers;
use ticket::TicketIssuer;

use crate::losses::Losses;

/// What the role works with.
#[derive(Debug)]
pub struct Parts {
    pub deployment: DeploymentId,
    pub store: Store,
    pub audit: Arc<dyn Audit>,
    pub chunks: Arc<dyn Chunks>,
    /// Random, of this process; the storage role has the same.
    pub ticket_key: Secret<[u8; 32]>,
    /// Where losses are noted; the storage role looks there too.
    pub losses: Arc<Losses>,
}

/// The file role.
#[derive(Clone, Debug)]
pub struct FileRole {
    deployment: DeploymentId,
    store: Store,
    audit: Arc<dyn Audit>,
    chunks: Arc<dyn Chunks>,
    tickets: Arc<TicketIssuer>,
    losses: Arc<Losses>,
    signers: Arc<Signers>,
    tallies: Arc<quota::Tallies>,
    tasks: TaskTracker,
}

/// Who asks, as the rules and the records see them.
#[derive(Clone, Debug)]
struct Who {
    actor: Actor,
    now: Timestamp,
    signer: Arc<Signer>,
}

impl FileRole {
    pub fn new(parts: Parts) -> Self {
        Self {
            deployment: parts.deployment,
            store: parts.store,
            audit: parts.audit,
            chunks: parts.chunks,
            tickets: Arc::new(TicketIssuer::new(&parts.ticket_key)),
            losses: parts.losses,
            signers: Arc::default(),
            tallies: Arc::default(),
            tasks: TaskTracker::new(),
        }
    }

    /// Waits for the changes that are under way; new ones still run, so stop asking first.
    pub async fn shutdown(&self) {
        self.tasks.close();
        self.tasks.wait().await;
    }

    /// The caller's account as it is now.
    async fn actor(&self, caller: &Caller) -> Result<Actor, FileError> {
        Ok(self.account(caller).await?.0)
    }

    /// The caller's account and the key they sign with now.
    async fn who(&self, caller: &Caller) -> Result<Who, FileError> {
        let (actor, bundle) = self.account(caller).await?;
        actor.check(caller.now)?;
        let signer = self.signers.load(&self.store, caller.user, bundle).await?;
        Ok(Who { actor, now: caller.now, signer })
    }

    async fn account(&self, caller: &Caller) -> Result<(Actor, ticrypt_store::Digest), FileError> {
        let user = self.store.user(caller.user).await?.ok_or(FileError::Corrupt("a session without an account"))?;
        let actor = self.store.actor(&user, caller.epoch, caller.login).await?;
        Ok((actor, user.bundle))
    }
}

/// Runs hashing and signature checks of a whole batch where they hold nobody up.
async fn off_thread<T: Send + 'static>(work: impl FnOnce() -> Result<T, FileError> + Send + 'static) -> Result<T, FileError> {
    tokio::task::spawn_blocking(work).await.map_err(|_| FileError::Task)?
}
