//! After a crash: opening rows without a closing row are completed (security C17).
//!
//! What the work came to is not known from the log alone. Where stored state tells cheaply the row says so, otherwise `unknown`; a
//! row never claims more than was found. A mark beside the log says how far back to look.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use ticrypt_log::event::audit::{AuditEvent, Phase};
use ticrypt_types::Timestamp;

use super::{AuditError, LogAudit};

/// An opening row nobody closed.
#[derive(Clone, Debug)]
pub struct Unfinished {
    pub index: u64,
    pub row: AuditEvent,
}

/// What the log tells about the time before this start.
#[derive(Debug, Default)]
pub struct Found {
    pub unfinished: Vec<Unfinished>,
    /// The latest time in any row looked at.
    pub latest: Timestamp,
}

/// The file that says below which index nothing is open.
fn mark_file(directory: &Path) -> PathBuf {
    directory.join("settled")
}

/// Looks through the rows since the mark. Blocks.
pub fn find(audit: &LogAudit, directory: &Path) -> Result<Found, AuditError> {
    let error = |source| AuditError::Log { log: "audit", source };
    let log = audit.audit_log();
    let size = log.durable_size();
    let mark = mark(directory);
    // A mark beyond the log belongs to another log, one restored from a copy perhaps; look at everything then.
    let mut next = mark.filter(|mark| *mark <= size).unwrap_or(0);
    // The last row at least, for its time.
    next = next.min(size.saturating_sub(1));
    let mut open = BTreeMap::new();
    let mut latest = Timestamp::ABSENT;
    while next < size {
        let leaves = log.entries(next..size).map_err(error)?;
        if leaves.is_empty() {
            break;
        }
        for leaf in leaves {
            let row = AuditEvent::from_leaf(&leaf).map_err(|_| AuditError::Row(next))?;
            latest = latest.max(Timestamp::from_millis(row.time_ms));
            match (row.phase, row.opening) {
                (Phase::Opened, _) => {
                    open.insert(next, row);
                }
                (Phase::Closed, Some(opening)) => {
                    open.remove(&opening);
                }
                _ => {}
            }
            next += 1;
        }
    }
    Ok(Found { unfinished: open.into_iter().map(|(index, row)| Unfinished { index, row }).collect(), latest })
}

/// Closes one row with what was found, `None` if nothing is known.
pub async fn complete(audit: &LogAudit, unfinished: &Unfinished, found: Option<&str>, now: Timestamp) -> Result<(), AuditError> {
    let salt = super::rows::salt().map_err(|_| AuditError::Row(unfinished.index))?;
    let row = AuditEvent {
        salt: salt.into(),
        time_ms: now.as_millis(),
        phase: Phase::Closed,
        subjects: Vec::new(),
        opening: Some(unfinished.index),
        outcome: Some(found.unwrap_or("unknown").to_owned()),
        detail: vec![("closed-at".to_owned(), "start-up".to_owned())],
        ..unfinished.row.clone()
    };
    let leaf = row.to_leaf().map_err(|_| AuditError::Row(unfinished.index))?;
    audit.audit_log().append(leaf).await.map_err(|source| AuditError::Log { log: "audit", source })?;
    Ok(())
}

/// Keeps the mark. Losing it costs a longer look at the next start, so it is not synced.
pub fn keep_mark(audit: &LogAudit, directory: &Path) -> std::io::Result<()> {
    write_mark(directory, audit.settled_below())
}

/// The mark as it was kept last.
pub fn mark(directory: &Path) -> Option<u64> {
    std::fs::read_to_string(mark_file(directory)).ok().and_then(|text| text.trim().parse().ok())
}

pub fn write_mark(directory: &Path, settled: u64) -> std::io::Result<()> {
    let file = mark_file(directory);
    let temporary = file.with_extension("tmp");
    std::fs::write(&temporary, format!("{settled}\n"))?;
    std::fs::rename(temporary, file)
}
