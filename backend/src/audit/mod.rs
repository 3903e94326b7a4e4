//! The audit role: two verifiable logs, one of what was done and one of keys (security C17, C18).
//!
//! ```text
//! open ─▶ opening row durable ─▶ work ─▶ close ─▶ closing row durable      audit log
//! fact ─▶ one row durable, for what has no duration                        audit log
//! key_event ─▶ a signed statement or bundle, durable                       key log
//! ```
//!
//! No row, no work. When a row cannot be written the role stops taking mutations until it is restarted on a log that can.

pub mod events;
pub mod index;
pub mod recovery;
pub mod rows;
pub mod witness;

use std::fmt;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use ticrypt_api::log::{EntriesReply, EntriesRequest, LogName, LoggedEvent};
use ticrypt_api::role::{Audit, Event, KeyEventKind, Opened, Outcome};
use ticrypt_api::user::KeyLeaf;
use ticrypt_api::{ApiError, Blob, ErrorKind};
use ticrypt_log::event::audit::{AuditEvent, Phase};
use ticrypt_log::{Hash, Log, LogError, NoteSigner, Options, SignatureType, leaf_hash};
use ticrypt_store::Store;
use ticrypt_types::{DeploymentId, Timestamp};

use self::events::EventsFile;
use self::index::{Index, IndexError};
use self::rows::OpenRows;

/// How long the first countersignature is waited for.
const WITNESS_PATIENCE: Duration = Duration::from_secs(10);
const WITNESS_POLL: Duration = Duration::from_millis(50);
/// Most leaves in one answer.
pub const ENTRIES_MAX: u32 = 10_000;
/// Leaf bytes after which an answer is not made longer.
const ENTRIES_MAX_BYTES: usize = 8 * 1024 * 1024;

/// Why the logs cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum AuditError {
    #[error("the {log} log cannot be opened; if it is damaged, restore it from a copy")]
    Open {
        log: &'static str,
        #[source]
        source: LogError,
    },
    #[error("the {log} log cannot be read or written")]
    Log {
        log: &'static str,
        #[source]
        source: LogError,
    },
    #[error("cannot keep the key of the {log} log")]
    Key {
        log: &'static str,
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    #[error("the audit log holds a row that cannot be read at index {0}")]
    Row(u64),
    #[error("cannot write {0}")]
    File(std::path::PathBuf, #[source] std::io::Error),
}

/// Names and keys of the two logs.
#[derive(Clone, Debug)]
pub struct LogKeys {
    pub audit: NoteSigner,
    pub keys: NoteSigner,
}

impl LogKeys {
    /// Loads the signing keys from `directory`, or makes them there at first start. The name of a log's key is its origin.
    pub fn load_or_make(directory: &Path, deployment: DeploymentId) -> Result<Self, AuditError> {
        let load = |log: &'static str| {
            let error = |source: Box<dyn std::error::Error + Send + Sync>| AuditError::Key { log, source };
            let path = directory.join(format!("{log}.log.key"));
            let signer = if path.exists() {
                let text = std::fs::read_to_string(&path).map_err(|e| error(e.into()))?;
                NoteSigner::parse(text.trim_end()).map_err(|e| error(e.into()))?
            } else {
                crate::tls::make_directory(directory).map_err(|e| error(e.into()))?;
                let random = aws_lc_rs::rand::SystemRandom::new();
                let signer =
                    NoteSigner::generate(&origin(deployment, log), SignatureType::Ed25519, &random).map_err(|e| error(e.into()))?;
                crate::tls::write_private(&path, signer.secret_text().expose().as_bytes()).map_err(|e| error(e.into()))?;
                signer
            };
            if signer.verifier().name() == origin(deployment, log) {
                Ok(signer)
            } else {
                Err(error("the key is of another deployment".into()))
            }
        };
        Ok(Self { audit: load("audit")?, keys: load("keys")? })
    }
}

/// The identity of a log: `ticrypt/<deployment id>/<log>`.
pub fn origin(deployment: DeploymentId, log: &str) -> String {
    format!("ticrypt/{deployment}/{log}")
}

/// The audit role in this process.
pub struct LogAudit {
    audit: Log,
    keys: Log,
    rows: Mutex<OpenRows>,
    /// False once a row could not be written.
    accepting: AtomicBool,
    events: Option<EventsFile>,
    quorum: usize,
    index: Index,
}

impl fmt::Debug for LogAudit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LogAudit({})", self.audit.origin())
    }
}

impl LogAudit {
    /// Opens both logs under `directory` (`audit` and `keys`). Blocks while journals are read.
    pub fn open(
        directory: &Path,
        signers: &LogKeys,
        options: Options,
        events: Option<EventsFile>,
        store: Store,
    ) -> Result<Self, AuditError> {
        let open = |log: &'static str, signer: &NoteSigner| {
            Log::open(&directory.join(log), signer.verifier().name(), signer.clone(), options.clone())
                .map(|(opened, recovery)| {
                    tracing::info!(log, entries = recovery.size, cut_bytes = recovery.cut_bytes, "log opened");
                    opened
                })
                .map_err(|source| AuditError::Open { log, source })
        };
        Ok(Self {
            audit: open("audit", &signers.audit)?,
            keys: open("keys", &signers.keys)?,
            rows: Mutex::default(),
            accepting: AtomicBool::new(true),
            events,
            quorum: options.quorum,
            index: Index::new(store),
        })
    }

    pub fn audit_log(&self) -> &Log {
        &self.audit
    }

    pub fn key_log(&self) -> &Log {
        &self.keys
    }

    fn log(&self, name: LogName) -> &Log {
        match name {
            LogName::Audit => &self.audit,
            LogName::Keys => &self.keys,
        }
    }

    /// Whether mutations are taken.
    pub fn is_accepting(&self) -> bool {
        self.accepting.load(Ordering::Acquire) && self.audit.failure().is_none() && self.keys.failure().is_none()
    }

    /// Below this index every opening row has its closing row.
    pub fn settled_below(&self) -> u64 {
        self.rows().settled_below(self.audit.durable_size())
    }

    /// Brings the index over the audit log up to date.
    pub async fn follow(&self) -> Result<(), IndexError> {
        self.index.follow(&self.audit).await
    }

    /// Publishes the last checkpoints and ends the logs.
    pub async fn shutdown(&self) -> Result<(), AuditError> {
        let audit = self.audit.shutdown().await;
        let keys = self.keys.shutdown().await;
        audit.map_err(|source| AuditError::Log { log: "audit", source })?;
        keys.map_err(|source| AuditError::Log { log: "keys", source })
    }

    async fn append(&self, row: AuditEvent) -> Result<Opened, ApiError> {
        if !self.is_accepting() {
            return Err(unavailable());
        }
        let leaf = row.to_leaf().map_err(|error| {
            tracing::error!(error = %error, operation = row.operation, "an audit row cannot be encoded");
            ApiError::broken()
        })?;
        match self.audit.append(leaf).await {
            Ok(appended) => {
                if let Some(events) = &self.events {
                    events.tell(appended.index, &row);
                }
                Ok(Opened { index: appended.index, leaf_hash: *appended.leaf_hash.as_bytes() })
            }
            Err(error) => {
                self.stop(&error);
                Err(unavailable())
            }
        }
    }

    fn stop(&self, error: &LogError) {
        self.accepting.store(false, Ordering::Release);
        tracing::error!(error = error as &dyn std::error::Error, "the log cannot be written; changes are refused until a restart");
    }

    fn rows(&self) -> std::sync::MutexGuard<'_, OpenRows> {
        self.rows.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn unavailable() -> ApiError {
    ApiError::new(ErrorKind::Unavailable, "log_unavailable", "the audit log cannot be written, so nothing is done; tell an administrator")
}

fn read_error(error: &LogError) -> ApiError {
    tracing::error!(error = error as &dyn std::error::Error, "a log cannot be read");
    ApiError::broken()
}

#[async_trait]
impl Audit for LogAudit {
    async fn open(&self, event: Event) -> Result<Opened, ApiError> {
        let row = rows::row(&event, Phase::Opened, None, None)?;
        // Counted as open from before it has an index, so that the mark never passes it.
        let from = self.audit.durable_size();
        self.rows().add(from);
        let appended = self.append(row).await;
        let mut open = self.rows();
        if let Ok(opened) = &appended {
            open.add(opened.index);
        }
        open.remove(from);
        appended
    }

    async fn close(&self, opened: Opened, event: Event, outcome: Outcome) -> Result<(), ApiError> {
        let row = rows::row(&event, Phase::Closed, Some(opened.index), Some(&outcome))?;
        self.append(row).await?;
        self.rows().remove(opened.index);
        Ok(())
    }

    async fn fact(&self, event: Event, outcome: Outcome) -> Result<Opened, ApiError> {
        self.append(rows::row(&event, Phase::Fact, None, Some(&outcome))?).await
    }

    async fn key_event(&self, kind: KeyEventKind, subject: [u8; 16], body: Vec<u8>, at: Timestamp) -> Result<KeyLeaf, ApiError> {
        if !self.is_accepting() {
            return Err(unavailable());
        }
        let leaf = rows::key_leaf(kind, subject, body, at)?;
        match self.keys.append(leaf.clone()).await {
            Ok(appended) => Ok(KeyLeaf { index: appended.index, leaf: Blob(leaf) }),
            Err(error) => {
                self.stop(&error);
                Err(unavailable())
            }
        }
    }

    fn receipt(&self, opened: Opened) -> Result<Vec<u8>, ApiError> {
        let leaf = Hash::from_slice(&opened.leaf_hash).ok_or_else(ApiError::broken)?;
        let receipt = self.audit.receipt(opened.index, leaf).map_err(|error| read_error(&error))?;
        Ok(receipt.to_string().into_bytes())
    }

    async fn checkpoint(&self, log: LogName) -> Result<Bytes, ApiError> {
        let log = self.log(log);
        if self.quorum == 0 {
            return log.latest_checkpoint().map(|latest| latest.to_bytes().into()).map_err(|error| read_error(&error));
        }
        // A client accepts nothing that is not countersigned, and the first countersignature takes a moment.
        let wait = async {
            loop {
                if let Some(witnessed) = log.witnessed_checkpoint() {
                    return witnessed;
                }
                tokio::time::sleep(WITNESS_POLL).await;
            }
        };
        match tokio::time::timeout(WITNESS_PATIENCE, wait).await {
            Ok(witnessed) => Ok(witnessed.to_bytes().into()),
            Err(_) => Err(ApiError::new(
                ErrorKind::Unavailable,
                "not_witnessed",
                "no witness has countersigned the log yet; try again, and if it stays so tell an administrator that the witness does not answer",
            )),
        }
    }

    async fn tile(&self, log: LogName, path: &str) -> Result<Option<Bytes>, ApiError> {
        use ticrypt_log::tile::{TileLevel, TilePath};
        let Ok(parsed) = TilePath::parse(path) else {
            return Err(ApiError::invalid("that is not the path of a tile; write it as c2sp tlog-tiles does"));
        };
        // Bodies of entries go only to those entitled.
        if parsed.level() == TileLevel::Entries {
            return Ok(None);
        }
        let log = self.log(log).clone();
        let bytes = blocking(move || log.tile_bytes(&parsed.to_string())).await?;
        Ok(bytes.map(Bytes::from))
    }

    async fn entries(&self, log: LogName, request: EntriesRequest) -> Result<EntriesReply, ApiError> {
        let log = self.log(log).clone();
        let size = log.durable_size();
        let end = request.start.saturating_add(u64::from(request.count.min(ENTRIES_MAX)));
        let events = blocking(move || {
            let (mut events, mut bytes, mut next) = (Vec::new(), 0, request.start);
            while next < end && bytes < ENTRIES_MAX_BYTES {
                let leaves = log.entries(next..end)?;
                if leaves.is_empty() {
                    break;
                }
                for leaf in leaves {
                    bytes += leaf.len();
                    events.push(LoggedEvent { index: next, leaf: Blob(leaf) });
                    next += 1;
                    if bytes >= ENTRIES_MAX_BYTES {
                        break;
                    }
                }
            }
            Ok(events)
        })
        .await?;
        Ok(EntriesReply { events, size })
    }

    async fn about(&self, subject: [u8; 16], before: Option<u64>, limit: u32) -> Result<Vec<LoggedEvent>, ApiError> {
        let derived = |error: IndexError| {
            tracing::error!(error = &error as &dyn std::error::Error, "the index of the audit log cannot be used");
            ApiError::broken()
        };
        self.follow().await.map_err(derived)?;
        let indices = self.index.about(subject, before, limit).await.map_err(derived)?;
        let log = self.audit.clone();
        blocking(move || {
            let mut events = Vec::with_capacity(indices.len());
            for index in indices {
                let leaves = log.entries(index..index + 1)?;
                events.extend(leaves.into_iter().map(|leaf| LoggedEvent { index, leaf: Blob(leaf) }));
            }
            Ok(events)
        })
        .await
    }
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T, LogError> + Send + 'static) -> Result<T, ApiError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result.map_err(|error| read_error(&error)),
        Err(_) => Err(ApiError::broken()),
    }
}

/// The hash a leaf has in the tree, for rows that are handed out again.
pub fn hash_of_leaf(leaf: &[u8]) -> [u8; 32] {
    *leaf_hash(leaf).as_bytes()
}

/// The role as the others see it.
pub fn link(audit: &Arc<LogAudit>) -> Arc<dyn Audit> {
    Arc::clone(audit) as Arc<dyn Audit>
}
