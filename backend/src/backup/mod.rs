//! `backup` and `restore`: the whole deployment as a directory that can be carried anywhere, taken while the server runs.
//!
//! ```text
//!   hold on the chunks ─▶ database, one moment ─▶ logs, at least up to there ─▶ chunks the rows name ─▶ keys ─▶ manifest ─▶ old set gone
//!
//!   DIR/manifest.json           written last and replaced in one step; names the set it speaks of, with sizes and hashes
//!   DIR/set-N/database.sqlite   the rows, whatever database they came from     DIR/set-N/{keys,tls}/  the server's own keys, 0600
//!   DIR/log/{audit,keys}/tile/  both logs, readable by any C2SP tool           DIR/chunks/ab/cd/FILE/VERSION/N
//! ```
//!
//! Why this is consistent beside a server that takes writes:
//!
//! - **Every event whose effect is in the rows is in the logs.** An event is durable in a journal before its effect (no row, no work).
//!   So the journals are measured *after* the moment of the database, and the logs are copied from a checkpoint at least as long. They
//!   may hold a few events more: work begun after the moment. A restored server says of those what it finds, as after a crash.
//! - **Every chunk that the rows name is there.** A chunk is durable before its row, and whoever deletes one asks for holds after its
//!   row is gone ([`ticrypt_store::hold`]). The hold comes before the moment of the database, so what the copied rows name stays until
//!   it has been copied; deletions meanwhile take rows only, and the next sweep takes the chunks. A hold that ends early, because this
//!   process was stopped for a minute, makes the backup fail at worst: every chunk is copied or found to be there, by the copied rows,
//!   before the manifest says so.
//! - **What is recorded is what is copied.** A chunk is hashed on its way against its row, a log is verified up to its root, and the
//!   manifest holds the hash of the rest, so damage is found when the backup is made or at the latest when it is restored.
//!
//! Chunks and tiles never change under their names, so the next backup into the same directory copies what is new. It touches nothing
//! the earlier manifest speaks of before its own has taken that one's place: whatever interrupts it, the earlier backup stays good, and
//! running it again goes on with what is there. A first backup that was interrupted has no manifest and is refused.
//!
//! Copies are real copies. A hard link would share the very blocks whose damage a backup is for.
//!
//! The server's private keys (TLS, the two logs) are in it: without them nobody could go on as the same deployment, as clients pin
//! them. They open nothing that is stored, but whoever has them can pose as the server; a backup is to be kept as the server is.

mod chunks;
mod directory;
mod keys;
mod lease;
mod logs;
pub mod manifest;
mod restore;
mod take;

use std::path::{Path, PathBuf};

use ticrypt_log::copy::CopyError;
use ticrypt_log::verify::VerifyError;
use ticrypt_log::{LogError, Options as LogOptions};
use ticrypt_store::StoreError;
use ticrypt_store::blobs::BlobError;
use ticrypt_types::DeploymentId;

use crate::audit::{AuditError, LogKeys};
use crate::check::{CheckError, Place};
use crate::tls::TlsError;
use crate::wiring::{Paths, StartError};

pub use manifest::{Manifest, ManifestError};
pub use restore::{Restored, UNFINISHED, restore};
pub use take::{Taken, take};

/// What is backed up.
#[derive(Debug)]
pub struct Source {
    pub deployment: DeploymentId,
    pub place: Place,
    pub paths: Paths,
    pub signers: LogKeys,
    pub log_options: LogOptions,
    /// Whether the TLS keys are under the data directory, and not brought along by the configuration.
    pub has_tls: bool,
}

/// Why there is no backup, or nothing was restored from one.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    #[error("the database cannot be read or written")]
    Store(#[from] StoreError),
    #[error("the chunk store cannot be read or written")]
    Blobs(#[from] BlobError),
    #[error("cannot {step} {path}; check its place and rights")]
    Io {
        step: &'static str,
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    #[error("{0} is neither empty nor a backup; name another directory")]
    Foreign(PathBuf),
    #[error("{path} holds a backup of deployment {found}, this is {ours}; name another directory")]
    OtherDeployment { path: PathBuf, found: String, ours: DeploymentId },
    #[error("another backup is being written to {0}; wait for it")]
    Busy(PathBuf),
    #[error("chunk {0} is recorded and not in the chunk store; run `ticrypt-backend check`, an earlier backup may have it under chunks/")]
    ChunkMissing(String),
    #[error("chunk {0} is not the one recorded; run `ticrypt-backend check --deep`, an earlier backup may have it under chunks/")]
    ChunkDamaged(String),
    #[error("the backup was stopped for so long that chunks may have been deleted; run it again")]
    HoldLost,
    #[error("the {0} log does not publish what its journal holds; look at the server's log, restart the server, run it again")]
    LogBehind(&'static str),
    #[error("the {log} log cannot be copied")]
    Log {
        log: &'static str,
        #[source]
        source: CopyError,
    },
    #[error("the {log} log cannot be opened to publish what its journal holds")]
    Open {
        log: &'static str,
        #[source]
        source: LogError,
    },
    #[error("the copy of the {log} log is not sound; if the log itself is (`ticrypt-backend check`), remove {path} and run it again")]
    LogUnsound {
        log: &'static str,
        path: PathBuf,
        #[source]
        source: VerifyError,
    },
    #[error("the keys of the logs cannot be read")]
    Keys(#[from] AuditError),
    #[error("the TLS keys cannot be read or written")]
    Tls(#[from] TlsError),
    #[error("the machine gives no random bytes")]
    Random,
    #[error("the backup is damaged: {0}; use another one")]
    Damaged(String),
    #[error("the backup is damaged: its {log} log is not the one recorded; use another one")]
    DamagedLog {
        log: String,
        #[source]
        source: VerifyError,
    },
    #[error("the backup has schema {found}, this program knows up to {known}; use the newer program")]
    SchemaNewer { found: u32, known: u32 },
    #[error("{0} is in use; restore into an empty data directory and an empty database")]
    NotEmpty(String),
    #[error("an earlier restore did not finish ({0} is there); empty the data directory and the database, then restore again")]
    Unfinished(PathBuf),
    #[error("the configuration cannot be used for a restore")]
    Start(#[from] StartError),
    #[error("what was restored cannot be checked")]
    Check(#[from] CheckError),
    #[error("a task ended early; run it again")]
    Task,
}

fn io<'p>(step: &'static str, path: &'p Path) -> impl Fn(std::io::Error) -> BackupError + use<'p> {
    move |source| BackupError::Io { step, path: path.to_path_buf(), source }
}

/// Runs what blocks apart from the async threads.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T, BackupError> + Send + 'static) -> Result<T, BackupError> {
    tokio::task::spawn_blocking(work).await.map_err(|_| BackupError::Task)?
}
