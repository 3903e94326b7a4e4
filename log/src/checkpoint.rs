//! C2SP tlog-checkpoint: the head of a log as a signed note.
//!
//! ```text
//! origin        which log
//! 42            number of entries
//! q2Wd…=        root hash over them
//! ```

use crate::key::VerifierKey;
use crate::key::{NoteSigner, SignError};
use crate::merkle::Hash;
use crate::note::{Note, NoteError, SignatureLine, Verified};

/// Longest origin accepted, in bytes.
pub const MAX_ORIGIN_BYTES: usize = 255;

/// Most extension lines accepted (this log writes none).
pub const MAX_EXTENSIONS: usize = 16;

/// The head of a log: who, how many entries, and the root over them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    /// Identity of the log.
    pub origin: String,
    /// Number of entries.
    pub size: u64,
    /// Root over them.
    pub root: Hash,
}

/// A checkpoint with its note, so that signatures can be verified and added.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedCheckpoint {
    checkpoint: Checkpoint,
    note: Note,
}

/// Bytes that are not a checkpoint of the log expected.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CheckpointError {
    /// Not a signed note, or not signed by whom it should be.
    #[error("checkpoint is not a note signed by its log")]
    Note(#[from] NoteError),
    /// The three lines are not as they should be.
    #[error("checkpoint text is malformed")]
    Malformed,
    /// Another log's.
    #[error("checkpoint is of the log {found}, not of {wanted}")]
    Origin {
        /// Origin it names.
        found: String,
        /// Origin asked for.
        wanted: String,
    },
    /// Too few of the known witnesses have signed.
    #[error("checkpoint has {found} cosignatures of known witnesses, {wanted} are needed")]
    Quorum {
        /// Distinct known witnesses that signed.
        found: usize,
        /// Number asked for.
        wanted: usize,
    },
    /// It cannot be signed.
    #[error("checkpoint cannot be signed")]
    Sign(#[from] SignError),
}

impl Checkpoint {
    /// The three lines.
    #[must_use]
    pub fn text(&self) -> String {
        format!("{}\n{}\n{}\n", self.origin, self.size, self.root)
    }

    /// Reads the text of a checkpoint. Extension lines are allowed and passed over.
    ///
    /// # Errors
    /// [`CheckpointError::Malformed`].
    pub fn parse_text(text: &str) -> Result<Self, CheckpointError> {
        Self::parse_inner(text).ok_or(CheckpointError::Malformed)
    }

    fn parse_inner(text: &str) -> Option<Self> {
        let mut lines = text.strip_suffix('\n')?.split('\n');
        let (origin, size, root) = (lines.next()?, lines.next()?, lines.next()?);
        let mut extensions = 0;
        for line in lines {
            extensions += 1;
            if line.is_empty() || extensions > MAX_EXTENSIONS {
                return None;
            }
        }
        if !valid_origin(origin) {
            return None;
        }
        let size = parse_decimal(size)?;
        Some(Self { origin: origin.to_owned(), size, root: Hash::parse_base64(root)? })
    }

    /// Signs it as the log.
    ///
    /// # Errors
    /// [`CheckpointError::Malformed`] for an unusable origin, [`CheckpointError::Sign`].
    pub fn sign(self, signer: &NoteSigner) -> Result<SignedCheckpoint, CheckpointError> {
        if !valid_origin(&self.origin) {
            return Err(CheckpointError::Malformed);
        }
        let note = signer.sign_note(self.text())?;
        Ok(SignedCheckpoint { checkpoint: self, note })
    }
}

impl SignedCheckpoint {
    /// Parses a note whose text is a checkpoint. **Nothing is verified.**
    ///
    /// # Errors
    /// [`CheckpointError`].
    pub fn parse(bytes: &[u8]) -> Result<Self, CheckpointError> {
        let note = Note::parse(bytes)?;
        Ok(Self { checkpoint: Checkpoint::parse_text(note.text())?, note })
    }

    /// Parses and verifies: origin, the log's signature, and that at least `quorum` of the distinct
    /// witnesses have cosigned. Returns the checkpoint and the number of witnesses that did.
    ///
    /// # Errors
    /// [`CheckpointError`].
    pub fn open(
        bytes: &[u8],
        origin: &str,
        log_key: &VerifierKey,
        witnesses: &[VerifierKey],
        quorum: usize,
    ) -> Result<(Self, usize), CheckpointError> {
        let signed = Self::parse(bytes)?;
        if signed.checkpoint.origin != origin {
            return Err(CheckpointError::Origin { found: signed.checkpoint.origin, wanted: origin.to_owned() });
        }
        signed.verify(std::slice::from_ref(log_key))?;
        let found = signed.cosigned_by(witnesses)?.len();
        if found < quorum {
            return Err(CheckpointError::Quorum { found, wanted: quorum });
        }
        Ok((signed, found))
    }

    /// The head itself.
    #[must_use]
    pub const fn checkpoint(&self) -> &Checkpoint {
        &self.checkpoint
    }

    /// The note, for its signature lines.
    #[must_use]
    pub const fn note(&self) -> &Note {
        &self.note
    }

    /// Verifies signatures by `keys`; at least one must hold.
    ///
    /// # Errors
    /// [`NoteError`].
    pub fn verify<'k>(&self, keys: &'k [VerifierKey]) -> Result<Vec<Verified<'k>>, NoteError> {
        self.note.verify(keys)
    }

    /// The witnesses among `keys` that cosigned; none is not an error, a wrong cosignature is.
    ///
    /// # Errors
    /// [`NoteError::BadSignature`].
    pub fn cosigned_by<'k>(&self, keys: &'k [VerifierKey]) -> Result<Vec<Verified<'k>>, NoteError> {
        match self.note.verify(keys) {
            Err(NoteError::NoKnownSignature) => Ok(Vec::new()),
            other => other,
        }
    }

    /// Adds a signature line without checking it.
    ///
    /// # Errors
    /// [`NoteError::TooManySignatures`].
    pub fn add(&mut self, line: SignatureLine) -> Result<(), NoteError> {
        self.note.add(line)
    }

    /// The note as bytes, as it is stored and served.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        self.note.to_string().into_bytes()
    }
}

/// Whether a text can be the first line of a checkpoint here. Spaces are refused although the
/// standard only advises against them: the origin is also the name of the log's key.
#[must_use]
pub fn valid_origin(origin: &str) -> bool {
    origin.len() <= MAX_ORIGIN_BYTES && crate::key::valid_name(origin)
}

/// ASCII decimal without leading zeroes.
pub(crate) fn parse_decimal(text: &str) -> Option<u64> {
    let number: u64 = text.parse().ok()?;
    (number.to_string() == text).then_some(number)
}
