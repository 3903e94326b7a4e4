//! The operator's verbs that look after what is stored: `check` proves that it holds together, `sweep` removes what nobody can
//! reach any more.
//!
//! Both work beside a running server. They decide nothing about people: what they verify is what any reader could, and what they
//! remove has no row that names it.

pub mod report;
pub mod sweep;
pub mod verify;

use std::path::PathBuf;

use ticrypt_log::VerifierKey;
use ticrypt_store::blobs::{BlobError, ChunkStore};
use ticrypt_store::{Store, StoreError};

pub use report::{Finding, Progress, Report};
pub use sweep::{Swept, sweep};
pub use verify::check;

/// What the verbs look at.
#[derive(Debug)]
pub struct Place {
    pub store: Store,
    pub chunks: ChunkStore,
    pub logs: Vec<LogPlace>,
}

/// A log on disk and whose signature it must carry.
#[derive(Debug)]
pub struct LogPlace {
    pub name: &'static str,
    pub directory: PathBuf,
    pub key: VerifierKey,
    pub witnesses: Vec<VerifierKey>,
    pub quorum: usize,
}

/// Why a verb cannot go on. What is wrong with what is stored is a [`Finding`], not this.
#[derive(Debug, thiserror::Error)]
pub enum CheckError {
    #[error("the database cannot be read")]
    Store(#[from] StoreError),
    #[error("the chunk store cannot be read")]
    Chunks(#[from] BlobError),
    #[error("a backup is under way, so chunks must stay; sweep again when it is done")]
    Held,
    #[error("a task ended early; run it again")]
    Task,
}
