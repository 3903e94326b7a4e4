//! Which rows speak of whom: an index over the audit log, derived from it and made again from nothing if it is lost.
//!
//! It follows the log from a mark, in the background and before each question, so an answer is never older than the log. An opening row
//! stands for its work; a closing row is indexed only where the work did not end well.

use ticrypt_log::Log;
use ticrypt_log::event::audit::{AuditEvent, Phase};
use ticrypt_store::audit::Subject;
use ticrypt_store::{Store, StoreError};
use tokio::sync::Mutex;

use super::AuditError;

/// The setting that holds how far the index has come.
const MARK: &str = "audit_indexed";
/// Rows read at a time; each may name as many subjects as a batch has nodes.
const STEP: u64 = 256;

/// Why the index cannot follow.
#[derive(Debug, thiserror::Error)]
pub enum IndexError {
    #[error("the index of the audit log cannot be stored")]
    Store(#[from] StoreError),
    #[error(transparent)]
    Audit(#[from] AuditError),
}

#[derive(Debug)]
pub struct Index {
    store: Store,
    /// The next row to look at, once it is known. One follower at a time.
    next: Mutex<Option<u64>>,
}

impl Index {
    pub fn new(store: Store) -> Self {
        Self { store, next: Mutex::new(None) }
    }

    /// Follows the log to where it is now.
    pub async fn follow(&self, log: &Log) -> Result<(), IndexError> {
        let mut next = self.next.lock().await;
        let mut at = match *next {
            Some(at) => at,
            None => self.mark().await?,
        };
        let size = log.durable_size();
        while at < size {
            let end = size.min(at + STEP);
            let (source, start) = (log.clone(), at);
            let leaves = tokio::task::spawn_blocking(move || source.entries(start..end))
                .await
                .map_err(|_| AuditError::Row(start))?
                .map_err(|source| AuditError::Log { log: "audit", source })?;
            if leaves.is_empty() {
                break;
            }
            let mut found = Vec::new();
            for leaf in leaves {
                let row = AuditEvent::from_leaf(&leaf).map_err(|_| AuditError::Row(at))?;
                if row.phase != Phase::Closed || row.outcome.as_deref() != Some("done") {
                    found.extend(row.subjects.iter().map(|id| (Subject::from(**id), at)));
                }
                at += 1;
            }
            self.store
                .write(move |tx| {
                    Box::pin(async move {
                        tx.index_events(found).await?;
                        tx.set_setting(MARK, &at.to_be_bytes()).await
                    })
                })
                .await?;
            *next = Some(at);
        }
        *next = Some(at);
        Ok(())
    }

    /// The newest rows about a subject, before `before`.
    pub async fn about(&self, subject: [u8; 16], before: Option<u64>, limit: u32) -> Result<Vec<u64>, IndexError> {
        Ok(self.store.history(Subject::from(subject), before, u64::from(limit)).await?)
    }

    async fn mark(&self) -> Result<u64, StoreError> {
        let bytes = self.store.setting(MARK).await?;
        Ok(bytes.and_then(|bytes| bytes.try_into().ok()).map_or(0, u64::from_be_bytes))
    }
}
