//! Who signs notes: verifier keys as text, and the Ed25519 signer.
//!
//! ```text
//! example.org/log + 6ab3c1d0 + AU7k…      name + key id in hex + base64(type byte ‖ public key)
//! key id = SHA-256(name ‖ 0x0A ‖ type byte ‖ public key)[..4]
//! ```
//!
//! Two types are spoken: plain Ed25519 over the text (0x01, logs and receipts) and the timestamped
//! witness cosignature (0x04, C2SP tlog-cosignature). Ed25519 is what stock verifiers of logs
//! expect (FIPS 186-5 admits it); everything else in the workspace signs with ECDSA P-256.

use std::fmt;
use std::sync::Arc;

use aws_lc_rs::digest::{self, SHA256};
use aws_lc_rs::rand::SecureRandom;
use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};
use base64ct::{Base64, Encoding};
use ticrypt_types::Secret;
use zeroize::{Zeroize, Zeroizing};

use crate::note::{Note, NoteError, SignatureLine};

/// Longest key name accepted, in bytes.
pub const MAX_NAME_BYTES: usize = 255;

const SEED_BYTES: usize = 32;
const PUBLIC_BYTES: usize = 32;
const SIGNATURE_BYTES: usize = 64;
const SIGNER_PREFIX: &str = "PRIVATE+KEY";

/// What a signature line of a key contains.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SignatureType {
    /// Ed25519 over the text.
    Ed25519,
    /// Ed25519 over `cosignature/v1`, a time and the text of a checkpoint.
    CosignatureV1,
}

impl SignatureType {
    const fn byte(self) -> u8 {
        match self {
            Self::Ed25519 => 0x01,
            Self::CosignatureV1 => 0x04,
        }
    }

    const fn from_byte(byte: u8) -> Option<Self> {
        match byte {
            0x01 => Some(Self::Ed25519),
            0x04 => Some(Self::CosignatureV1),
            _ => None,
        }
    }
}

/// The four bytes that, with the name, say which key signed.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct KeyId([u8; 4]);

impl KeyId {
    pub(crate) const fn new(bytes: [u8; 4]) -> Self {
        Self(bytes)
    }

    /// The four bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 4] {
        &self.0
    }

    fn derive(name: &str, kind: SignatureType, public: &[u8; PUBLIC_BYTES]) -> Self {
        let mut context = digest::Context::new(&SHA256);
        context.update(name.as_bytes());
        context.update(&[0x0A, kind.byte()]);
        context.update(public);
        let digest = context.finish();
        Self(digest.as_ref().first_chunk::<4>().copied().unwrap_or_default())
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, out)
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{:08x}", u32::from_be_bytes(self.0))
    }
}

/// A key text was malformed, or a key cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// Not `name+hash+base64`, or the hash is of another key.
    #[error("this is not a verifier key of the form name+hash+base64")]
    Verifier,
    /// Not `PRIVATE+KEY+name+hash+base64`, or the hash is of another key.
    #[error("this is not a signer key of the form PRIVATE+KEY+name+hash+base64")]
    Signer,
    /// Empty, too long, or with a space or plus sign.
    #[error("key name must be 1 to {MAX_NAME_BYTES} bytes without spaces, control characters or plus signs")]
    Name,
    /// The random number generator or the signer refused.
    #[error("cryptographic provider refused to {0}")]
    Provider(&'static str),
}

/// A signature does not hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("signature does not verify")]
pub struct BadSignature;

/// A public key and the name it signs under.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifierKey {
    name: String,
    id: KeyId,
    kind: SignatureType,
    public: [u8; PUBLIC_BYTES],
}

impl VerifierKey {
    /// A key from its parts.
    ///
    /// # Errors
    /// [`KeyError::Name`].
    pub fn new(name: &str, kind: SignatureType, public: [u8; PUBLIC_BYTES]) -> Result<Self, KeyError> {
        if !valid_name(name) {
            return Err(KeyError::Name);
        }
        Ok(Self { name: name.to_owned(), id: KeyId::derive(name, kind, &public), kind, public })
    }

    /// Parses `name+hash+base64`; the hash must be that of the key.
    ///
    /// # Errors
    /// [`KeyError::Verifier`].
    pub fn parse(text: &str) -> Result<Self, KeyError> {
        let (name, id, kind, public) = parse_key(text).ok_or(KeyError::Verifier)?;
        let key = Self::new(name, kind, *public).map_err(|_| KeyError::Verifier)?;
        if key.id == id { Ok(key) } else { Err(KeyError::Verifier) }
    }

    /// The name it signs under.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its key id.
    #[must_use]
    pub const fn id(&self) -> KeyId {
        self.id
    }

    /// Which signatures it makes.
    #[must_use]
    pub const fn kind(&self) -> SignatureType {
        self.kind
    }

    /// The 32 bytes of the Ed25519 public key.
    #[must_use]
    pub const fn public(&self) -> &[u8; PUBLIC_BYTES] {
        &self.public
    }

    /// Verifies the signature bytes of one line over a note text. Gives the time in seconds since
    /// 1970 for a cosignature.
    ///
    /// # Errors
    /// [`BadSignature`].
    pub fn verify(&self, text: &str, signature: &[u8]) -> Result<Option<u64>, BadSignature> {
        let key = UnparsedPublicKey::new(&ED25519, self.public);
        match self.kind {
            SignatureType::Ed25519 => {
                key.verify(text.as_bytes(), signature).map_err(|_| BadSignature)?;
                Ok(None)
            }
            SignatureType::CosignatureV1 => {
                let (time, signature) = signature.split_first_chunk::<8>().ok_or(BadSignature)?;
                let time_s = u64::from_be_bytes(*time);
                if signature.len() != SIGNATURE_BYTES || i64::try_from(time_s).is_err() {
                    return Err(BadSignature);
                }
                key.verify(cosigned_text(time_s, text).as_bytes(), signature).map_err(|_| BadSignature)?;
                Ok(Some(time_s))
            }
        }
    }
}

impl fmt::Display for VerifierKey {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}+{}+{}", self.name, self.id, encode_key(self.kind, &self.public).as_str())
    }
}

/// An Ed25519 key that signs notes under a name.
///
/// The seed is kept only so that the key can be written out once; it is erased with the last clone.
#[derive(Clone)]
pub struct NoteSigner {
    verifier: VerifierKey,
    pair: Arc<Ed25519KeyPair>,
    seed: Arc<Secret<[u8; SEED_BYTES]>>,
}

impl NoteSigner {
    /// A signer from its 32-byte seed (RFC 8032 private key).
    ///
    /// # Errors
    /// [`KeyError::Name`], or [`KeyError::Provider`] when the seed is refused.
    pub fn from_seed(name: &str, kind: SignatureType, seed: Secret<[u8; SEED_BYTES]>) -> Result<Self, KeyError> {
        let pair = Ed25519KeyPair::from_seed_unchecked(seed.expose()).map_err(|_| KeyError::Provider("load a signing key"))?;
        let public = pair.public_key().as_ref().try_into();
        let public = public.map_err(|_| KeyError::Provider("load a signing key"))?;
        let verifier = VerifierKey::new(name, kind, public)?;
        Ok(Self { verifier, pair: Arc::new(pair), seed: Arc::new(seed) })
    }

    /// A new random signer.
    ///
    /// # Errors
    /// As [`NoteSigner::from_seed`], and when the generator has no randomness.
    pub fn generate(name: &str, kind: SignatureType, random: &dyn SecureRandom) -> Result<Self, KeyError> {
        let mut seed = Zeroizing::new([0; SEED_BYTES]);
        random.fill(seed.as_mut_slice()).map_err(|_| KeyError::Provider("give random bytes"))?;
        Self::from_seed(name, kind, Secret::new(*seed))
    }

    /// Parses `PRIVATE+KEY+name+hash+base64(type byte ‖ seed)`, the usual text form of a signer key.
    ///
    /// # Errors
    /// [`KeyError::Signer`].
    pub fn parse(text: &str) -> Result<Self, KeyError> {
        let rest = text.strip_prefix(SIGNER_PREFIX).and_then(|rest| rest.strip_prefix('+'));
        let (name, id, kind, seed) = rest.and_then(parse_key).ok_or(KeyError::Signer)?;
        let signer = Self::from_seed(name, kind, Secret::new(*seed)).map_err(|_| KeyError::Signer)?;
        if signer.verifier.id == id { Ok(signer) } else { Err(KeyError::Signer) }
    }

    /// The text [`NoteSigner::parse`] reads. It is the secret: write it to a file of mode 0600 only.
    #[must_use]
    pub fn secret_text(&self) -> Secret<String> {
        let VerifierKey { name, id, kind, .. } = &self.verifier;
        let encoded = encode_key(*kind, self.seed.expose());
        Secret::new(format!("{SIGNER_PREFIX}+{name}+{id}+{}", encoded.as_str()))
    }

    /// The public half.
    #[must_use]
    pub const fn verifier(&self) -> &VerifierKey {
        &self.verifier
    }

    /// Signs a note text. `time_s` (seconds since 1970) is signed by cosignature keys only.
    ///
    /// # Errors
    /// [`KeyError::Provider`].
    pub fn sign(&self, text: &str, time_s: u64) -> Result<SignatureLine, KeyError> {
        let refused = |_| KeyError::Provider("sign");
        let signature = match self.verifier.kind {
            SignatureType::Ed25519 => self.pair.try_sign(text.as_bytes()).map_err(refused)?.as_ref().to_vec(),
            SignatureType::CosignatureV1 => {
                let signed = cosigned_text(time_s, text);
                let signature = self.pair.try_sign(signed.as_bytes()).map_err(refused)?;
                [&time_s.to_be_bytes(), signature.as_ref()].concat()
            }
        };
        Ok(SignatureLine::new(self.verifier.name.clone(), self.verifier.id, signature))
    }

    /// A note of this text with this signer's signature.
    ///
    /// # Errors
    /// [`SignError`].
    pub fn sign_note(&self, text: String) -> Result<Note, SignError> {
        let mut note = Note::new(text)?;
        let line = self.sign(note.text(), 0)?;
        note.add(line)?;
        Ok(note)
    }
}

impl fmt::Debug for NoteSigner {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "NoteSigner({})", self.verifier)
    }
}

/// A note could not be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SignError {
    /// The text cannot be a note.
    #[error("text cannot be signed as a note")]
    Note(#[from] NoteError),
    /// The key refused.
    #[error("key cannot sign")]
    Key(#[from] KeyError),
}

/// Whether a text can name a key: no white space, no plus sign, no control characters.
#[must_use]
pub fn valid_name(name: &str) -> bool {
    let bad = |letter: char| letter.is_whitespace() || letter.is_control() || letter == '+';
    !name.is_empty() && name.len() <= MAX_NAME_BYTES && !name.contains(bad)
}

fn cosigned_text(time_s: u64, text: &str) -> String {
    format!("cosignature/v1\ntime {time_s}\n{text}")
}

fn encode_key(kind: SignatureType, key: &[u8; 32]) -> Zeroizing<String> {
    let mut bytes = Zeroizing::new([0; 33]);
    if let Some((first, rest)) = bytes.split_first_mut() {
        *first = kind.byte();
        rest.copy_from_slice(key);
    }
    Zeroizing::new(Base64::encode_string(bytes.as_slice()))
}

fn parse_key(text: &str) -> Option<(&str, KeyId, SignatureType, Zeroizing<[u8; 32]>)> {
    let (name, rest) = text.split_once('+')?;
    let (id, encoded) = rest.split_once('+')?;
    let parsed = u32::from_str_radix(id, 16).ok()?;
    let id = (format!("{parsed:08x}") == id).then(|| KeyId(parsed.to_be_bytes()))?;
    let mut bytes = [0; 33];
    let exact = Base64::decode(encoded, &mut bytes).is_ok_and(|decoded| decoded.len() == 33);
    let (kind, key) = bytes.split_first_chunk::<1>()?;
    let kind = SignatureType::from_byte(kind.first().copied()?);
    let key: Option<[u8; 32]> = key.try_into().ok();
    bytes.zeroize();
    exact.then(|| Some((name, id, kind?, Zeroizing::new(key?))))?
}
