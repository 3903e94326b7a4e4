//! The vault engine: files and directories that the server stores and cannot read.
//!
//! ```text
//!   path ──resolve──▶ Held ──load──▶ Directory ──┬─ ls, stat, find, tree, du
//!                      ▲   (tree, trust)         ├─ get, cat            open · chunks · verify · decrypt
//!                      │                         ├─ put, mkdir, cp      seal · upload · create · publish
//!   roots ─open grant──┘                         ├─ mv, rm, trash       new entry, new signed head
//!                                                └─ share, tag, rekey   grants, new keys
//! ```
//!
//! Reading: nothing is shown that does not verify ([`trust`], [`tree`]). Writing: every change of a directory is a new signed head; the server
//! takes it only if it follows the one it has, so two writers never overwrite each other: the loser loads again and tries again.
//! After somebody lost access the server refuses writes until new keys are made; the engine makes them ([`rekey`]) and goes on.

mod boundary;
mod content;
pub mod copy;
pub mod create;
pub mod exclude;
pub mod export;
mod gather;
pub mod get;
mod groups;
pub mod history;
pub mod journal;
pub mod listing;
mod load;
mod make;
pub mod mkdir;
pub mod naming;
pub mod open;
pub mod path;
pub mod plan;
pub mod progress;
pub mod put;
pub mod receive;
pub mod rekey;
mod rename;
mod resolve;
mod retry;
mod roll;
mod roots;
mod seals;
mod server;
pub mod share;
pub mod source;
mod tag;
pub mod target;
pub mod trash;
pub mod tree;
pub mod trust;
pub mod upload;
pub mod versions;

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use ticrypt_crypto::Digest;
use ticrypt_keyring::{NodeKeys, SystemRandom};
use ticrypt_types::DeploymentId;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

pub use boundary::LOCKED;
pub use path::{Place, VaultPath};
pub use resolve::Found;
pub use roots::{Roots, Share, Unbelieved};
pub use tree::{Current, Directory, Held, Member};

use crate::error::{ClientError, Result};
use crate::group::Groups;
use crate::keys::PublicIdentity;
use crate::session::Session;
use server::Server;
use trust::Trust;

/// Batches of small contents in memory at once, in MiB: few large ones or many small ones.
const BATCHES_MIB: u32 = 24;

/// A person's view of the vault, in one session.
#[derive(Debug)]
pub struct Vault {
    session: Arc<Session>,
    trust: Arc<Trust>,
    random: SystemRandom,
    /// Keys of grants already opened: each costs a key agreement.
    opened: Mutex<HashMap<Digest, Arc<NodeKeys>>>,
    /// The same of what is tagged itself, by node.
    boundaries: Arc<boundary::Boundaries>,
    groups: Groups,
    /// One's own tree as it was last shown.
    home: Mutex<Option<Held>>,
    /// One for each chunk buffer there may be.
    slots: Arc<Semaphore>,
    /// One for each MiB that batches of small contents may take.
    batches: Arc<Semaphore>,
}

impl Vault {
    pub fn new(session: Arc<Session>) -> Self {
        let trust = Arc::new(Trust::new(session.deployment_id()));
        trust.admit_bundle(Arc::new(session.me().bundle.clone()));
        Self {
            groups: Groups::new(Arc::clone(&session)),
            session,
            trust,
            random: SystemRandom::new(),
            opened: Mutex::default(),
            boundaries: Arc::default(),
            home: Mutex::default(),
            slots: Arc::new(Semaphore::new(upload::CHUNK_SLOTS)),
            batches: Arc::new(Semaphore::new(BATCHES_MIB as usize)),
        }
    }

    pub fn session(&self) -> &Arc<Session> {
        &self.session
    }

    pub(crate) fn me(&self) -> &PublicIdentity {
        self.session.me()
    }

    pub(crate) fn deployment(&self) -> DeploymentId {
        self.session.deployment_id()
    }

    /// Waits until a batch of so many bytes fits into memory beside the others.
    async fn room_for(&self, bytes: u64) -> Result<OwnedSemaphorePermit> {
        let mib = u32::try_from(bytes.div_ceil(1 << 20)).unwrap_or(u32::MAX).clamp(1, BATCHES_MIB);
        let room = Arc::clone(&self.batches).acquire_many_owned(mib).await;
        room.map_err(|e| ClientError::broken("the transfer was ended").because(e))
    }

    fn server(&self) -> Server<'_> {
        Server { transport: &self.session.transport }
    }

    /// Uploads under way, remembered on this device.
    fn journals(&self) -> Result<journal::Journals> {
        Ok(journal::Journals::new(self.session.person_dir()?.join("uploads")))
    }
}
