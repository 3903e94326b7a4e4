//! Events as JSON lines for a SIEM: a copy for convenience, written after the row is durable.
//!
//! The log is what counts; this file may lag, and lines it could not take are counted and can be written again from the log.

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use data_encoding::HEXLOWER;
use serde::Serialize;
use ticrypt_log::event::audit::AuditEvent;
use ticrypt_types::Timestamp;
use tokio::io::AsyncWriteExt;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::AuditError;

/// Lines that may wait for the disk.
const QUEUE_LINES: usize = 8_192;

#[derive(Serialize)]
struct Line<'a> {
    index: u64,
    time: String,
    phase: &'static str,
    operation: &'a str,
    request: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    actor: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    session: Option<String>,
    subjects: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    opening: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    outcome: Option<&'a str>,
    detail: &'a [(String, String)],
}

/// The queue to the file.
#[derive(Debug)]
pub struct EventsFile {
    queue: mpsc::Sender<Vec<u8>>,
    dropped: AtomicU64,
}

impl EventsFile {
    /// Opens the file to append to; the task ends when the sender is dropped.
    pub async fn open(path: &Path) -> Result<(Self, JoinHandle<()>), AuditError> {
        let mut file = tokio::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .mode(0o600)
            .open(path)
            .await
            .map_err(|source| AuditError::File(path.to_path_buf(), source))?;
        let (queue, mut lines) = mpsc::channel::<Vec<u8>>(QUEUE_LINES);
        let task = tokio::spawn(async move {
            let mut batch = Vec::new();
            while lines.recv_many(&mut batch, 1_024).await > 0 {
                let bytes = batch.concat();
                batch.clear();
                if let Err(error) = file.write_all(&bytes).await.and(file.flush().await) {
                    tracing::error!(error = %error, "events cannot be written to the events file");
                }
            }
        });
        Ok((Self { queue, dropped: AtomicU64::new(0) }, task))
    }

    pub fn tell(&self, index: u64, row: &AuditEvent) {
        let line = Line {
            index,
            time: Timestamp::from_millis(row.time_ms).to_string(),
            phase: row.phase.word(),
            operation: &row.operation,
            request: HEXLOWER.encode(&row.request[..]),
            actor: row.actor.as_ref().map(|id| HEXLOWER.encode(&id[..])),
            session: row.session.as_ref().map(|id| HEXLOWER.encode(&id[..])),
            subjects: row.subjects.iter().map(|id| HEXLOWER.encode(&id[..])).collect(),
            opening: row.opening,
            outcome: row.outcome.as_deref(),
            detail: &row.detail,
        };
        let Ok(mut bytes) = serde_json::to_vec(&line) else { return };
        bytes.push(b'\n');
        if self.queue.try_send(bytes).is_err() {
            let dropped = self.dropped.fetch_add(1, Ordering::Relaxed) + 1;
            if dropped.is_power_of_two() {
                tracing::warn!(dropped, "the events file is too slow; lines are missing and can be written again from the log");
            }
        }
    }
}
