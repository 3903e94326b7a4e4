//! What a witness decides, without HTTP: one request in, one answer out.
//!
//! The order of the checks is the standard's (C2SP tlog-witness): malformed 400, unknown log 404,
//! no valid signature 403, sizes in the wrong order 400, not what I remember 409, no proof 422.
//! The new head is durable before the cosignature leaves, under one lock per log, so two requests
//! cannot both be right.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use data_encoding::HEXLOWER;
use ticrypt_log::checkpoint::CheckpointError;
use ticrypt_log::fs::{LogFs, create_directories, replace};
use ticrypt_log::merkle::{empty_root, verify_consistency};
use ticrypt_log::witness::{SIZE_CONTENT_TYPE, parse_witness_request};
use ticrypt_log::{Hash, NoteSigner, SignedCheckpoint, VerifierKey, leaf_hash};

use crate::config::TrustedLog;

const STATE_DIRECTORY: &str = "heads";
const LOCK_FILE: &str = "lock";

/// What to send back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// Content type of the body.
    pub content_type: &'static str,
    /// The body.
    pub body: String,
}

/// The memory of a witness cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum WitnessError {
    /// The system refused.
    #[error("cannot {step}")]
    Io {
        /// What was tried.
        step: &'static str,
        /// Why it failed.
        #[source]
        source: io::Error,
    },
    /// Another process uses the data directory.
    #[error("data directory is in use by another witness")]
    InUse,
    /// A remembered head cannot be read. Starting without it would forget what was witnessed.
    #[error("head remembered for {origin} in {file} is damaged; restore it from a copy")]
    Head {
        /// Which log.
        origin: String,
        /// Which file.
        file: PathBuf,
        /// Why.
        #[source]
        source: CheckpointError,
    },
}

/// A witness with its memory.
pub struct Witness {
    fs: Arc<dyn LogFs>,
    signer: NoteSigner,
    logs: BTreeMap<String, Known>,
    _lock: Box<dyn Send + Sync>,
}

struct Known {
    keys: Vec<VerifierKey>,
    file: PathBuf,
    head: Mutex<Head>,
}

#[derive(Clone, Copy)]
struct Head {
    size: u64,
    root: Hash,
}

impl Witness {
    /// Opens the memory in `directory` for these logs.
    ///
    /// # Errors
    /// [`WitnessError`]; a damaged memory is never taken for an empty one.
    pub fn open(fs: Arc<dyn LogFs>, directory: &Path, signer: NoteSigner, trusted: Vec<TrustedLog>) -> Result<Self, WitnessError> {
        let heads = directory.join(STATE_DIRECTORY);
        create_directories(fs.as_ref(), &heads).map_err(|source| WitnessError::Io { step: "make the data directory", source })?;
        let lock = fs.lock(&directory.join(LOCK_FILE)).map_err(|source| match source.kind() {
            io::ErrorKind::WouldBlock => WitnessError::InUse,
            _ => WitnessError::Io { step: "lock the data directory", source },
        })?;
        let mut logs: BTreeMap<String, Known> = BTreeMap::new();
        for TrustedLog { origin, key } in trusted {
            if let Some(known) = logs.get_mut(&origin) {
                known.keys.push(key);
                continue;
            }
            let file = heads.join(file_name(&origin));
            let head = read_head(fs.as_ref(), &origin, &file)?;
            logs.insert(origin, Known { keys: vec![key], file, head: Mutex::new(head) });
        }
        Ok(Self { fs, signer, logs, _lock: lock })
    }

    /// The key that verifies this witness's cosignatures.
    #[must_use]
    pub const fn verifier(&self) -> &VerifierKey {
        self.signer.verifier()
    }

    /// Answers one add-checkpoint body. `now_s` is the time in seconds since 1970. Blocks while the
    /// new head is made durable.
    #[must_use]
    pub fn add_checkpoint(&self, body: &[u8], now_s: u64) -> Answer {
        let Ok(request) = parse_witness_request(body) else {
            return Answer::refused(400, "request is not an add-checkpoint request");
        };
        let checkpoint = request.checkpoint.checkpoint();
        let Some(known) = self.logs.get(&checkpoint.origin) else {
            return Answer::refused(404, "log is not known here");
        };
        if request.checkpoint.verify(&known.keys).is_err() {
            return Answer::refused(403, "checkpoint is not signed by a trusted key of its log");
        }
        if request.old_size > checkpoint.size {
            return Answer::refused(400, "old size is larger than the checkpoint");
        }
        let mut head = known.head.lock().unwrap_or_else(PoisonError::into_inner);
        if request.old_size != head.size {
            return Answer::known_size(head.size);
        }
        let (origin, size) = (&checkpoint.origin, checkpoint.size);
        if head.size == size && head.root != checkpoint.root {
            tracing::error!(%origin, size, "log signed two different heads of this size");
            return Answer::known_size(head.size);
        }
        let proven = verify_consistency(head.size, size, &request.proof, &head.root, &checkpoint.root);
        if proven.is_err() || (size == 0 && checkpoint.root != empty_root()) {
            tracing::warn!(%origin, old = head.size, size, "checkpoint without a valid consistency proof");
            return Answer::refused(422, "consistency proof does not verify");
        }
        // Signed before it is stored, so that a refusing key leaves no head nobody has a signature
        // for; sent only after.
        let Ok(line) = self.signer.sign(request.checkpoint.note().text(), now_s) else {
            return Answer::refused(500, "witness cannot sign now");
        };
        if let Err(error) = replace(self.fs.as_ref(), &known.file, &request.checkpoint.to_bytes()) {
            tracing::error!(%origin, %error, "cannot store the head");
            return Answer::refused(500, "witness cannot store the checkpoint now");
        }
        *head = Head { size, root: checkpoint.root };
        Answer { status: 200, content_type: "text/plain; charset=utf-8", body: line.to_string() }
    }
}

impl Answer {
    fn refused(status: u16, why: &str) -> Self {
        Self { status, content_type: "text/plain; charset=utf-8", body: format!("{why}\n") }
    }

    fn known_size(size: u64) -> Self {
        Self { status: 409, content_type: SIZE_CONTENT_TYPE, body: format!("{size}\n") }
    }
}

/// An origin may hold slashes and dots, so files are named by its hash.
fn file_name(origin: &str) -> String {
    HEXLOWER.encode(leaf_hash(origin.as_bytes()).as_bytes())
}

fn read_head(fs: &dyn LogFs, origin: &str, file: &Path) -> Result<Head, WitnessError> {
    let bytes = match fs.read(file) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Ok(Head { size: 0, root: empty_root() });
        }
        Err(source) => return Err(WitnessError::Io { step: "read a remembered head", source }),
    };
    let damaged = |source| WitnessError::Head { origin: origin.to_owned(), file: file.to_path_buf(), source };
    let signed = SignedCheckpoint::parse(&bytes).map_err(damaged)?;
    let checkpoint = signed.checkpoint();
    if checkpoint.origin != origin {
        return Err(damaged(CheckpointError::Origin { found: checkpoint.origin.clone(), wanted: origin.to_owned() }));
    }
    Ok(Head { size: checkpoint.size, root: checkpoint.root })
}
