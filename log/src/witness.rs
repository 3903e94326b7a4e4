//! C2SP tlog-witness, the words: the add-checkpoint request and its answers. No HTTP here; the log's
//! side and the witness share this so that they cannot disagree.
//!
//! ```text
//! old 20852014              size the witness knows
//! PlRNCrwHpqhG…             consistency proof, one hash a line
//!                           empty line
//! example.org/log …         the signed checkpoint
//! ```

use crate::checkpoint::{SignedCheckpoint, parse_decimal};
use crate::merkle::Hash;
use crate::note::{MAX_NOTE_BYTES, NoteError, SignatureLine, parse_signature_lines};

/// Path of the request under the submission prefix.
pub const ADD_CHECKPOINT: &str = "/add-checkpoint";

/// Content type of the answer that tells the size the witness knows.
pub const SIZE_CONTENT_TYPE: &str = "text/x.tlog.size";

/// Most proof lines in a request.
pub const MAX_PROOF_LINES: usize = 63;

/// Longest request body, in bytes.
pub const MAX_REQUEST_BYTES: usize = MAX_NOTE_BYTES + 64 * 64;

/// Longest answer read, in bytes.
pub const MAX_ANSWER_BYTES: usize = MAX_NOTE_BYTES;

/// A request, taken apart. The checkpoint is not verified yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WitnessRequest {
    /// Size the log believes the witness knows.
    pub old_size: u64,
    /// Proof from there to the checkpoint.
    pub proof: Vec<Hash>,
    /// What to cosign.
    pub checkpoint: SignedCheckpoint,
}

/// What a witness said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WitnessAnswer {
    /// Signature lines, to be given to [`crate::Log::add_cosignature`], which verifies them.
    Cosigned(Vec<SignatureLine>),
    /// It knows another size: ask again with a proof from there.
    KnownSize(u64),
    /// It refused.
    Refused {
        /// HTTP status.
        status: u16,
    },
}

/// A request or an answer is not as C2SP tlog-witness says.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WitnessError {
    /// Too large or not text.
    #[error("witness message is too large or not text")]
    Unreadable,
    /// The first line is not `old <size>`.
    #[error("witness request does not begin with the old size")]
    OldSize,
    /// A proof line is not one hash, or there are too many.
    #[error("witness request has a malformed proof")]
    Proof,
    /// What follows the empty line is not a checkpoint.
    #[error("witness request does not carry a checkpoint")]
    Checkpoint(#[source] crate::checkpoint::CheckpointError),
    /// The answer's signature lines cannot be read.
    #[error("witness answered something that is not a signature")]
    Signatures(#[source] NoteError),
    /// The answer's size cannot be read.
    #[error("witness answered a conflict without the size it knows")]
    Size,
}

/// Body of an add-checkpoint request.
#[must_use]
pub fn witness_request(old_size: u64, proof: &[Hash], checkpoint: &SignedCheckpoint) -> Vec<u8> {
    let mut body = format!("old {old_size}\n");
    for hash in proof {
        body.push_str(&hash.to_base64());
        body.push('\n');
    }
    body.push('\n');
    body.push_str(&checkpoint.note().to_string());
    body.into_bytes()
}

/// Takes an add-checkpoint body apart.
///
/// # Errors
/// [`WitnessError`] for anything malformed.
pub fn parse_witness_request(body: &[u8]) -> Result<WitnessRequest, WitnessError> {
    if body.len() > MAX_REQUEST_BYTES {
        return Err(WitnessError::Unreadable);
    }
    let text = str::from_utf8(body).map_err(|_| WitnessError::Unreadable)?;
    let (first, mut rest) = text.split_once('\n').ok_or(WitnessError::OldSize)?;
    let old_size = first.strip_prefix("old ").and_then(parse_decimal).ok_or(WitnessError::OldSize)?;
    let mut proof = Vec::new();
    let note = loop {
        let (line, after) = rest.split_once('\n').ok_or(WitnessError::Proof)?;
        rest = after;
        if line.is_empty() {
            break rest;
        }
        if proof.len() >= MAX_PROOF_LINES {
            return Err(WitnessError::Proof);
        }
        proof.push(Hash::parse_base64(line).ok_or(WitnessError::Proof)?);
    };
    let checkpoint = SignedCheckpoint::parse(note.as_bytes()).map_err(WitnessError::Checkpoint)?;
    Ok(WitnessRequest { old_size, proof, checkpoint })
}

/// Reads the answer to an add-checkpoint request. `content_type` is that header, if there was one.
///
/// # Errors
/// [`WitnessError`] when an answer of status 200 or 409 is malformed.
pub fn parse_witness_answer(status: u16, content_type: Option<&str>, body: &[u8]) -> Result<WitnessAnswer, WitnessError> {
    if body.len() > MAX_ANSWER_BYTES {
        return Err(WitnessError::Unreadable);
    }
    let text = || str::from_utf8(body).map_err(|_| WitnessError::Unreadable);
    match status {
        200 => Ok(WitnessAnswer::Cosigned(parse_signature_lines(text()?).map_err(WitnessError::Signatures)?)),
        409 if content_type == Some(SIZE_CONTENT_TYPE) => {
            let size = text()?.strip_suffix('\n').and_then(parse_decimal).ok_or(WitnessError::Size)?;
            Ok(WitnessAnswer::KnownSize(size))
        }
        status => Ok(WitnessAnswer::Refused { status }),
    }
}
