//! Receipts: the log's signed word, on a reply, that the row the reply rests on has its place (security C17).
//!
//! Kept as they come, one a line, and checked later against the mirrored log: a log that dropped a row is then convicted by its own
//! signature. What was checked is taken out, so the file holds what is still owed.

use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use data_encoding::BASE64URL_NOPAD;

use crate::error::Result;
use crate::home::{self, Lock};

const FILE: &str = "receipts";
const LOCK: &str = "receipts.lock";
const FILE_MAX_BYTES: usize = 256 * 1024 * 1024;
/// A receipt is a small note with one signature.
const RECEIPT_MAX_CHARS: usize = 4_096;

/// The receipts of one person on one device.
#[derive(Clone, Debug)]
pub struct Receipts {
    dir: PathBuf,
}

impl Receipts {
    pub fn open(dir: PathBuf) -> Result<Self> {
        home::make_private(&dir)?;
        Ok(Self { dir })
    }

    /// Adds one as it stood in the header. A reply is not refused because its receipt could not be kept: that is only noted.
    pub fn keep(&self, text: &str) {
        if text.len() > RECEIPT_MAX_CHARS || BASE64URL_NOPAD.decode(text.as_bytes()).is_err() {
            tracing::warn!("the server sent a receipt that cannot be read; it was not kept");
            return;
        }
        // One write of one short line in append mode: lines of several programs do not mix.
        let line = format!("{text}\n");
        let written = Lock::acquire(&self.dir, LOCK).and_then(|_lock| {
            let mut options = OpenOptions::new();
            let file = options.append(true).create(true).mode(0o600).open(self.path());
            file.and_then(|mut file| file.write_all(line.as_bytes())).map_err(|e| home::io_error("write", &self.path(), e))
        });
        if let Err(error) = written {
            tracing::warn!(%error, "a receipt could not be kept");
        }
    }

    /// Those not checked yet, oldest first; a torn line is left out.
    pub fn owed(&self) -> Result<Vec<Vec<u8>>> {
        let text = home::read_bounded(&self.path(), FILE_MAX_BYTES)?.unwrap_or_default();
        Ok(text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).filter_map(|line| BASE64URL_NOPAD.decode(line).ok()).collect())
    }

    /// Takes out those that were found in the log.
    pub fn settle(&self, checked: &[Vec<u8>]) -> Result<()> {
        let _lock = Lock::acquire(&self.dir, LOCK)?;
        let checked: std::collections::HashSet<&[u8]> = checked.iter().map(Vec::as_slice).collect();
        let left: Vec<Vec<u8>> = self.owed()?.into_iter().filter(|receipt| !checked.contains(receipt.as_slice())).collect();
        let text: String = left.iter().map(|receipt| BASE64URL_NOPAD.encode(receipt) + "\n").collect();
        home::write_atomic(&self.path(), text.as_bytes())
    }

    pub fn path(&self) -> PathBuf {
        self.dir.join(FILE)
    }

    pub fn dir(&self) -> &Path {
        &self.dir
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn kept_until_settled() {
        let dir = tempfile::tempdir().unwrap();
        let receipts = Receipts::open(dir.path().join("me")).unwrap();
        assert!(receipts.owed().unwrap().is_empty());
        for receipt in [b"one".as_slice(), b"two", b"three"] {
            receipts.keep(&BASE64URL_NOPAD.encode(receipt));
        }
        receipts.keep("not base64url!");
        assert_eq!(receipts.owed().unwrap(), [b"one".to_vec(), b"two".to_vec(), b"three".to_vec()]);
        receipts.settle(&[b"two".to_vec()]).unwrap();
        assert_eq!(receipts.owed().unwrap(), [b"one".to_vec(), b"three".to_vec()]);
    }
}
