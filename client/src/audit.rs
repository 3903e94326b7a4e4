//! Reading and checking the audit log: rows for administrators, receipts for everybody, whole logs from files (security C17).
//!
//! ```text
//!   verify (online)   mirror brought forward ─▶ every owed receipt found in it ─▶ receipts settled
//!   export            checkpoint + tiles + entries as files, the layout stock tools read
//!   verify (offline)  those files, the deployment file's keys, what this device saw before; no network
//! ```

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use data_encoding::HEXLOWER;
use ticrypt_api::log::{EntriesReply, EntriesRequest, LogName};
use ticrypt_log::event::audit::AuditEvent;
use ticrypt_log::mirror::MirrorError;
use ticrypt_log::tile::{TILE_WIDTH, TileLevel, TilePath, level_count, level_total, push_entry, tile_at};
use ticrypt_log::verify::{Trust, VerifyError};
use ticrypt_log::{Checkpoint, Mirror, Report, verify_dir, verify_receipt};
use ticrypt_types::{Operation, RequestId};

use crate::deployment::Deployment;
use crate::error::{ClientError, Result};
use crate::home;
use crate::mirror::{LogMirror, log_word};
use crate::receipts::Receipts;
use crate::session::Session;

/// Rows asked for at once.
const PAGE: u32 = 1_000;
const CHECKPOINT_MAX_BYTES: usize = 128 * 1024;
const CHECKPOINT_FILE: &str = "checkpoint";

/// One row, with its place.
#[derive(Clone, Debug)]
pub struct Row {
    pub index: u64,
    pub event: AuditEvent,
}

/// How checking receipts went.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Settled {
    /// Found in the log.
    pub found: usize,
    /// Newer than the checkpoint; checked the next time.
    pub waiting: usize,
}

/// Rows of the audit log from `start` on, at most `count`; each is checked against the mirrored log.
pub async fn rows(session: &Session, start: u64, count: u32) -> Result<(Vec<Row>, u64)> {
    let mut rows = Vec::new();
    let mut size = None;
    let mut next = start;
    // Asking is itself a row of the log: where it ended at the first question, the list ends.
    loop {
        let end = start.saturating_add(count.into()).min(size.unwrap_or(u64::MAX));
        let left = u32::try_from(end.saturating_sub(next)).unwrap_or(u32::MAX);
        if left == 0 {
            break;
        }
        let reply = entries(session, LogName::Audit, next, left.min(PAGE)).await?;
        size.get_or_insert(reply.size);
        if reply.events.is_empty() {
            break;
        }
        for logged in reply.events {
            if logged.index != next {
                return Err(ClientError::untrusted("the server left out rows of the audit log; tell an administrator"));
            }
            session.mirrors.audit.verify_inclusion(logged.index, &logged.leaf.0).await?;
            rows.push(Row { index: logged.index, event: event_of(&logged.leaf.0)? });
            next += 1;
        }
    }
    Ok((rows, size.unwrap_or(0)))
}

/// An id of a row as people read it. Those of all nouns look the same.
pub fn id_text(id: &[u8; 16]) -> String {
    RequestId::try_from(*id).map_or_else(|_| HEXLOWER.encode(id), |id| id.to_string())
}

/// Reads a leaf of the audit log.
pub fn event_of(leaf: &[u8]) -> Result<AuditEvent> {
    AuditEvent::from_leaf(leaf).map_err(|e| ClientError::untrusted(format!("a row of the audit log cannot be read: {e}")).because(e))
}

/// Brings both mirrors forward and looks up every receipt this device still owes itself.
pub async fn verify_online(session: &Session) -> Result<(Checkpoint, Checkpoint, Settled)> {
    let keys = session.mirrors.keys.update().await?;
    let audit = session.mirrors.audit.update().await?;
    let receipts = Receipts::open(session.person_dir()?)?;
    let log = &session.mirrors.audit;
    let (mut found, mut settled) = (Vec::new(), Settled::default());
    for bytes in receipts.owed()? {
        let receipt = verify_receipt(&bytes, log.log_key().name(), log.log_key())
            .map_err(|e| ClientError::untrusted("the server gave a receipt that its log did not sign; tell an administrator").because(e))?;
        if receipt.index() >= audit.size {
            settled.waiting += 1;
            continue;
        }
        log.verify_inclusion_of(receipt.index(), receipt.leaf_hash()).await?;
        settled.found += 1;
        found.push(bytes);
    }
    if !found.is_empty() {
        receipts.settle(&found)?;
    }
    Ok((keys, audit, settled))
}

/// Verifies an exported log with nothing but its files, the deployment file and what this device has seen.
pub fn verify_offline(
    deployment: &Deployment,
    log: LogName,
    directory: &Path,
    stored: Option<&Path>,
    receipts: Option<&Receipts>,
) -> Result<(Report, Settled)> {
    let log_key = match log {
        LogName::Audit => deployment.audit_log_key(),
        LogName::Keys => deployment.key_log_key(),
    };
    let witnesses = deployment.witnesses();
    let seen = match stored {
        Some(dir) => match home::read_bounded(&dir.join(CHECKPOINT_FILE), CHECKPOINT_MAX_BYTES)? {
            Some(bytes) => Mirror::restore(log_key.clone(), witnesses.to_vec(), deployment.quorum(), &bytes)
                .map_err(|e| ClientError::untrusted("the checkpoint this device stored is not signed by the log").because(e))?
                .last()
                .map(|signed| signed.checkpoint().clone()),
            None => None,
        },
        None => None,
    };
    // A copy older than what this device saw is no proof of anything newer, but it may still be checked for what it is.
    let seen: Vec<Checkpoint> = seen.into_iter().collect();
    let trust = Trust { log_key, witnesses, quorum: deployment.quorum(), seen: &seen };
    let report = verify_dir(directory, &trust).map_err(|e| match e {
        VerifyError::Read { ref file, .. } => {
            ClientError::not_found(format!("{e}; {} is not a whole exported log", file.display())).because(e)
        }
        e => ClientError::untrusted(format!("the log in {} is not sound: {e}", directory.display())).because(e),
    })?;
    let mut settled = Settled::default();
    let Some(receipts) = receipts.filter(|_| log == LogName::Audit) else { return Ok((report, settled)) };
    let checkpoint = home::read_bounded(&directory.join(CHECKPOINT_FILE), CHECKPOINT_MAX_BYTES)?.unwrap_or_default();
    let mut mirror = Mirror::restore(log_key.clone(), witnesses.to_vec(), deployment.quorum(), &checkpoint)
        .map_err(|e| ClientError::untrusted("the checkpoint of the exported log is refused").because(e))?;
    for bytes in receipts.owed()? {
        let receipt = verify_receipt(&bytes, log_key.name(), log_key)
            .map_err(|e| ClientError::untrusted("a kept receipt is not signed by the log; tell an administrator").because(e))?;
        if receipt.index() >= report.checkpoint.size {
            settled.waiting += 1;
            continue;
        }
        mirror.verify_inclusion(receipt.index(), receipt.leaf_hash(), |path| read_tile(directory, path)).map_err(|e| e.0)?;
        settled.found += 1;
    }
    Ok((report, settled))
}

/// The error of a proof made from files.
struct FileProof(ClientError);

impl From<MirrorError> for FileProof {
    fn from(error: MirrorError) -> Self {
        Self(ClientError::untrusted(format!("the exported log does not hold what a receipt says it holds: {error}")).because(error))
    }
}

fn read_tile(directory: &Path, path: TilePath) -> std::result::Result<Vec<u8>, FileProof> {
    let max = usize::from(TILE_WIDTH) * 32;
    let found = home::read_bounded(&directory.join(path.to_string()), max).map_err(FileProof)?;
    found.ok_or_else(|| FileProof(ClientError::not_found(format!("{path} is missing from {}", directory.display()))))
}

/// Writes a log out as files that `verify_offline` and stock tools read. Returns the size. The checkpoint is written last, so a directory
/// that has one is complete.
pub async fn export(session: &Session, log: LogName, directory: &Path, mut progress: impl FnMut(u64, u64)) -> Result<u64> {
    if directory.join(CHECKPOINT_FILE).exists() {
        return Err(ClientError::invalid(format!("{} already holds a log; choose an empty directory", directory.display())));
    }
    let mirror: &LogMirror = session.mirrors.of(log);
    let size = mirror.update().await?.size;
    let signed = mirror.last_signed().await.ok_or_else(|| ClientError::broken("the log has no checkpoint"))?;
    let levels: Vec<TileLevel> = (0..level_total(size)).map(TileLevel::Hashes).collect();
    for level in levels {
        let TileLevel::Hashes(number) = level else { continue };
        for index in 0..level_count(size, number).div_ceil(u64::from(TILE_WIDTH)) {
            let Some(path) = tile_at(level, index, size) else { continue };
            let (_, mut bytes) = mirror.tile(path, true).await?;
            bytes.truncate(usize::from(path.width()) * 32);
            home::write_atomic(&directory.join(path.to_string()), &bytes)?;
        }
    }
    let mut done = 0;
    for index in 0..size.div_ceil(u64::from(TILE_WIDTH)) {
        let Some(path) = tile_at(TileLevel::Entries, index, size) else { continue };
        let mut bundle = Vec::new();
        for leaf in bundle_leaves(session, log, index * u64::from(TILE_WIDTH), path.width()).await? {
            push_entry(&mut bundle, &leaf)
                .map_err(|e| ClientError::untrusted("the server sent an entry longer than any can be").because(e))?;
        }
        home::write_atomic(&directory.join(path.to_string()), &bundle)?;
        done += u64::from(path.width());
        progress(done, size);
    }
    home::write_atomic(&directory.join(CHECKPOINT_FILE), &signed)?;
    Ok(size)
}

async fn bundle_leaves(session: &Session, log: LogName, start: u64, width: u16) -> Result<Vec<Vec<u8>>> {
    let mut leaves = Vec::new();
    while leaves.len() < usize::from(width) {
        let next = start + leaves.len() as u64;
        let wanted = u32::from(width) - u32::try_from(leaves.len()).unwrap_or(0);
        let reply = entries(session, log, next, wanted).await?;
        let indices: BTreeSet<u64> = reply.events.iter().map(|event| event.index).collect();
        if reply.events.is_empty() || indices.first() != Some(&next) || reply.events.len() > wanted as usize {
            return Err(ClientError::untrusted(format!(
                "the server does not give entry {next} of the {} log; tell an administrator",
                log_word(log)
            )));
        }
        leaves.extend(reply.events.into_iter().map(|event| event.leaf.0));
    }
    Ok(leaves)
}

async fn entries(session: &Session, log: LogName, start: u64, count: u32) -> Result<EntriesReply> {
    let operation = match log {
        LogName::Audit => Operation::AuditEntries,
        LogName::Keys => Operation::KeyLeaves,
    };
    session.call(operation, &[], &EntriesRequest { start, count }).await
}

/// Where an export of a log stands below a common directory.
pub fn directory_of(base: &Path, log: LogName) -> PathBuf {
    base.join(log_word(log))
}
