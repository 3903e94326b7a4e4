//! C2SP signed-note: a text, an empty line, and one line per signature.
//!
//! ```text
//! example.org/log            ┐
//! 42                         │ text, what is signed (last newline included)
//! q2Wd…=                     ┘
//!
//! — example.org/log Az3grl…  signature line: name, base64(key id ‖ signature)
//! ```
//!
//! Signatures of unknown keys are ignored, as the standard asks, so that witnesses can be added
//! without telling everybody first; a known key whose signature does not verify spoils the whole
//! note. Keys and signers are in [`crate::key`].

use base64ct::{Base64, Encoding};

use crate::key::{KeyId, VerifierKey, valid_name};

/// Longest note accepted, in bytes: room for a checkpoint and many large foreign signatures.
pub const MAX_NOTE_BYTES: usize = 128 * 1024;

/// Most signature lines accepted in one note (the standard asks for at least 16).
pub const MAX_SIGNATURES: usize = 64;

const DASH: &str = "\u{2014} ";

/// A signed note, parsed but not verified: [`Note::verify`] before believing the text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    text: String,
    signatures: Vec<SignatureLine>,
}

/// One signature line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignatureLine {
    name: String,
    id: KeyId,
    signature: Vec<u8>,
}

/// A signature that holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verified<'k> {
    /// The key that made it.
    pub key: &'k VerifierKey,
    /// For cosignatures: when, in seconds since 1970.
    pub time_s: Option<u64>,
}

/// A note was malformed or is not signed by anybody we know.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoteError {
    /// Larger than [`MAX_NOTE_BYTES`].
    #[error("signed note is larger than {MAX_NOTE_BYTES} bytes")]
    TooLarge,
    /// More than [`MAX_SIGNATURES`] lines.
    #[error("signed note has more than {MAX_SIGNATURES} signatures")]
    TooManySignatures,
    /// Not UTF-8, a control character, or no empty line before the signatures.
    #[error("this is not a signed note")]
    Malformed,
    /// A signature line is not dash, name, base64.
    #[error("signature line is malformed")]
    SignatureLine,
    /// A known key, and its signature does not hold.
    #[error("signature by {0} does not verify")]
    BadSignature(String),
    /// No line is by a key we know.
    #[error("signed note has no signature by a known key")]
    NoKnownSignature,
}

impl Note {
    /// A note without signatures yet.
    ///
    /// # Errors
    /// [`NoteError::Malformed`] when the text does not end in a newline or holds control characters.
    pub fn new(text: String) -> Result<Self, NoteError> {
        if !text.ends_with('\n') || has_control(&text) {
            return Err(NoteError::Malformed);
        }
        if text.len() > MAX_NOTE_BYTES {
            return Err(NoteError::TooLarge);
        }
        Ok(Self { text, signatures: Vec::new() })
    }

    /// Parses a whole note. Nothing is verified.
    ///
    /// # Errors
    /// [`NoteError`] for anything that is not exactly a note with at least one signature line.
    pub fn parse(bytes: &[u8]) -> Result<Self, NoteError> {
        if bytes.len() > MAX_NOTE_BYTES {
            return Err(NoteError::TooLarge);
        }
        let whole = str::from_utf8(bytes).map_err(|_| NoteError::Malformed)?;
        if has_control(whole) {
            return Err(NoteError::Malformed);
        }
        let gap = whole.rfind("\n\n").ok_or(NoteError::Malformed)?;
        let (text, lines) = whole.split_at_checked(gap + 1).ok_or(NoteError::Malformed)?;
        let lines = lines.strip_prefix('\n').ok_or(NoteError::Malformed)?;
        Ok(Self { text: text.to_owned(), signatures: parse_signature_lines(lines)? })
    }

    /// The signed text, with its last newline.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// All signature lines, known keys or not.
    #[must_use]
    pub fn signatures(&self) -> &[SignatureLine] {
        &self.signatures
    }

    /// Adds a signature line; one by the same name and key id is replaced.
    ///
    /// # Errors
    /// [`NoteError::TooManySignatures`].
    pub fn add(&mut self, line: SignatureLine) -> Result<(), NoteError> {
        let same = |other: &&mut SignatureLine| other.name == line.name && other.id == line.id;
        if let Some(old) = self.signatures.iter_mut().find(same) {
            *old = line;
            return Ok(());
        }
        if self.signatures.len() >= MAX_SIGNATURES {
            return Err(NoteError::TooManySignatures);
        }
        self.signatures.push(line);
        Ok(())
    }

    /// The signatures by `keys`, each key counted once.
    ///
    /// # Errors
    /// [`NoteError::BadSignature`] if a line by one of the keys does not hold,
    /// [`NoteError::NoKnownSignature`] if no line is by one of them.
    pub fn verify<'k>(&self, keys: &'k [VerifierKey]) -> Result<Vec<Verified<'k>>, NoteError> {
        let mut verified: Vec<Verified<'k>> = Vec::new();
        for line in &self.signatures {
            let by = |key: &&VerifierKey| key.name() == line.name && key.id() == line.id;
            let Some(key) = keys.iter().find(by) else { continue };
            let time_s = key.verify(&self.text, &line.signature).map_err(|_| NoteError::BadSignature(line.name.clone()))?;
            if !verified.iter().any(|earlier| earlier.key == key) {
                verified.push(Verified { key, time_s });
            }
        }
        if verified.is_empty() { Err(NoteError::NoKnownSignature) } else { Ok(verified) }
    }
}

impl std::fmt::Display for Note {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(out, "{}", self.text)?;
        self.signatures.iter().try_for_each(|line| write!(out, "{line}"))
    }
}

impl SignatureLine {
    pub(crate) const fn new(name: String, id: KeyId, signature: Vec<u8>) -> Self {
        Self { name, id, signature }
    }

    /// Parses one line, with or without its newline.
    ///
    /// # Errors
    /// [`NoteError::SignatureLine`].
    pub fn parse(line: &str) -> Result<Self, NoteError> {
        Self::parse_inner(line.strip_suffix('\n').unwrap_or(line)).ok_or(NoteError::SignatureLine)
    }

    fn parse_inner(line: &str) -> Option<Self> {
        let (name, encoded) = line.strip_prefix(DASH)?.split_once(' ')?;
        if !valid_name(name) || encoded.len() > MAX_NOTE_BYTES {
            return None;
        }
        let bytes = Base64::decode_vec(encoded).ok()?;
        let (id, signature) = bytes.split_first_chunk::<4>()?;
        (!signature.is_empty()).then(|| Self { name: name.to_owned(), id: KeyId::new(*id), signature: signature.to_vec() })
    }

    /// Name of the signer.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Key id of the signer.
    #[must_use]
    pub const fn id(&self) -> KeyId {
        self.id
    }

    /// The signature bytes after the key id.
    #[must_use]
    pub fn signature(&self) -> &[u8] {
        &self.signature
    }
}

impl std::fmt::Display for SignatureLine {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut bytes = self.id.as_bytes().to_vec();
        bytes.extend_from_slice(&self.signature);
        writeln!(out, "{DASH}{} {}", self.name, Base64::encode_string(&bytes))
    }
}

/// Parses one or more signature lines, each ended by a newline.
///
/// # Errors
/// [`NoteError::SignatureLine`] or [`NoteError::TooManySignatures`].
pub fn parse_signature_lines(text: &str) -> Result<Vec<SignatureLine>, NoteError> {
    let body = text.strip_suffix('\n').ok_or(NoteError::SignatureLine)?;
    let mut lines = Vec::new();
    for line in body.split('\n') {
        if lines.len() >= MAX_SIGNATURES {
            return Err(NoteError::TooManySignatures);
        }
        lines.push(SignatureLine::parse(line)?);
    }
    Ok(lines)
}

fn has_control(text: &str) -> bool {
    text.bytes().any(|byte| byte < 0x20 && byte != b'\n')
}
