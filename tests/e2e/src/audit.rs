//! The audit log as it lies on the server's disk, verified with nothing but the key in the deployment file.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use ticrypt_log::event::audit::AuditEvent;
use ticrypt_log::tile::{TILE_WIDTH, TileLevel, decode_entries, level_count, tile_at};
use ticrypt_log::verify::Trust;
use ticrypt_log::{Hash, Receipt, VerifierKey, leaf_hash, verify_dir, verify_receipt};

/// Every published row, in order.
#[derive(Debug)]
pub struct AuditLog {
    pub rows: Vec<(Hash, AuditEvent)>,
}

/// The key that a deployment file names.
pub fn log_key(data: &Path) -> Result<VerifierKey> {
    let text = std::fs::read_to_string(data.join("deployment.json")).context("read the deployment file")?;
    let file: serde_json::Value = serde_json::from_str(&text)?;
    let key = file.get("audit_log_key").and_then(serde_json::Value::as_str).context("the deployment file names no audit log")?;
    Ok(VerifierKey::parse(key)?)
}

impl AuditLog {
    /// Reads and verifies the log of a backend that is not running.
    pub fn read(data: &Path) -> Result<Self> {
        let (key, directory) = (log_key(data)?, data.join("log/audit"));
        let report = verify_dir(&directory, &Trust { log_key: &key, witnesses: &[], quorum: 0, seen: &[] })?;
        let size = report.checkpoint.size;
        let mut rows = Vec::new();
        for index in 0..level_count(size, 0).div_ceil(u64::from(TILE_WIDTH)) {
            let path = tile_at(TileLevel::Entries, index, size).context("a tile of a verified log")?;
            let bytes = std::fs::read(directory.join(path.to_string())).with_context(|| format!("read {path}"))?;
            for entry in decode_entries(path, &bytes)? {
                rows.push((leaf_hash(entry), AuditEvent::from_leaf(entry)?));
            }
        }
        ensure!(rows.len() as u64 == size, "{} rows were read of {size}", rows.len());
        Ok(Self { rows })
    }

    /// How often each operation was closed with each outcome.
    pub fn outcomes(&self) -> BTreeMap<(String, String), usize> {
        let mut outcomes = BTreeMap::new();
        for (_, row) in &self.rows {
            if let Some(outcome) = &row.outcome {
                *outcomes.entry((row.operation.clone(), outcome.clone())).or_default() += 1;
            }
        }
        outcomes
    }

    /// Whether the log keeps the promise of a receipt.
    pub fn keeps(&self, receipt: &Receipt) -> bool {
        let index = usize::try_from(receipt.index()).unwrap_or(usize::MAX);
        self.rows.get(index).is_some_and(|(leaf, _)| *leaf == receipt.leaf_hash())
    }
}

/// A receipt as a client kept it.
pub fn receipt(bytes: &[u8], key: &VerifierKey) -> Result<Receipt> {
    Ok(verify_receipt(bytes, key.name(), key)?)
}
