//! Receipts: the log's signed word that an entry has its place, given with every reply.
//!
//! ```text
//! ticrypt-receipt/v1       namespace; never the origin of a log
//! example.org/log          which log
//! 41                       index
//! q2Wd…=                   leaf hash
//! ```
//!
//! A client keeps it and later asks the mirror for inclusion; a log that dropped the entry is then
//! convicted by its own signature (security C17).

use crate::checkpoint::{parse_decimal, valid_origin};
use crate::key::{NoteSigner, SignError, VerifierKey};
use crate::merkle::Hash;
use crate::note::{Note, NoteError};

/// First line of every receipt.
pub const RECEIPT_NAMESPACE: &str = "ticrypt-receipt/v1";

/// A receipt and the note that carries it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    index: u64,
    leaf_hash: Hash,
    note: Note,
}

/// A receipt does not hold.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReceiptError {
    /// Not a note signed by the log.
    #[error("receipt is not a note signed by its log")]
    Note(#[from] NoteError),
    /// The text is not that of a receipt, or of another log.
    #[error("receipt text is malformed or of another log")]
    Text,
}

impl Receipt {
    pub(crate) fn sign(origin: &str, index: u64, leaf_hash: Hash, signer: &NoteSigner) -> Result<Self, SignError> {
        let text = format!("{RECEIPT_NAMESPACE}\n{origin}\n{index}\n{leaf_hash}\n");
        let note = signer.sign_note(text)?;
        Ok(Self { index, leaf_hash, note })
    }

    /// Index of the entry.
    #[must_use]
    pub const fn index(&self) -> u64 {
        self.index
    }

    /// Leaf hash of the entry.
    #[must_use]
    pub const fn leaf_hash(&self) -> Hash {
        self.leaf_hash
    }
}

impl std::fmt::Display for Receipt {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Display::fmt(&self.note, out)
    }
}

/// Parses and verifies a receipt of the log `origin`.
///
/// # Errors
/// [`ReceiptError`].
pub fn verify_receipt(bytes: &[u8], origin: &str, log_key: &VerifierKey) -> Result<Receipt, ReceiptError> {
    let note = Note::parse(bytes)?;
    note.verify(std::slice::from_ref(log_key))?;
    let (index, leaf_hash) = parse_text(note.text(), origin).ok_or(ReceiptError::Text)?;
    Ok(Receipt { index, leaf_hash, note })
}

fn parse_text(text: &str, origin: &str) -> Option<(u64, Hash)> {
    let mut lines = text.strip_suffix('\n')?.split('\n');
    let namespace = lines.next()? == RECEIPT_NAMESPACE;
    let same_log = lines.next()? == origin && valid_origin(origin);
    let index = parse_decimal(lines.next()?)?;
    let leaf_hash = Hash::parse_base64(lines.next()?)?;
    (namespace && same_log && lines.next().is_none()).then_some((index, leaf_hash))
}
