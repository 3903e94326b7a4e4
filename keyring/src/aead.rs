//! AES-256-GCM with a random nonce in front: `nonce (12) ‖ ciphertext ‖ tag (16)` (SP 800-38D; docs/formats.md §0).

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ticrypt_crypto::RecordError;
use ticrypt_types::name::NameError;
use zeroize::Zeroizing;

use crate::derive::ProviderError;
use crate::name::PaddingError;
use crate::random::{self, Random, RandomError};

/// What the nonce and the tag add to a plaintext.
pub const OVERHEAD: usize = ticrypt_crypto::entry::AEAD_OVERHEAD;
const TAG_LEN: usize = 16;

/// Why something could not be sealed.
#[derive(Debug, thiserror::Error)]
pub enum SealError {
    #[error(transparent)]
    Random(#[from] RandomError),
    #[error(transparent)]
    Provider(#[from] ProviderError),
    #[error("what should be sealed breaks a rule of its format")]
    Rule(#[source] RecordError),
    #[error("what should be sealed does not fit its place: {0}")]
    Mismatch(&'static str),
}

/// Why something sealed could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Altered, of another place, or sealed under another key; which of these cannot be known.
    #[error("not authentic: it was altered, moved here from elsewhere, or sealed under another key")]
    NotAuthentic,
    #[error("what was sealed has an impossible length")]
    Length,
    #[error("what was sealed cannot be read")]
    Content(#[source] RecordError),
    #[error("what was sealed is not a padded name")]
    Padding(#[from] PaddingError),
    #[error("what was sealed is not a name")]
    Name(#[from] NameError),
    #[error("what was sealed does not agree with what is beside it: {0}")]
    Mismatch(&'static str),
    #[error(transparent)]
    Provider(#[from] ProviderError),
}

/// A key for any number of small seals under random nonces (at most 2^32, SP 800-38D §8.3).
pub(crate) struct AeadKey(LessSafeKey);

impl AeadKey {
    pub(crate) fn new(key: &[u8; 32]) -> Result<Self, ProviderError> {
        Ok(Self(LessSafeKey::new(UnboundKey::new(&AES_256_GCM, key)?)))
    }

    pub(crate) fn seal(&self, random: &dyn Random, aad: &[u8], plaintext: &[u8]) -> Result<Vec<u8>, SealError> {
        let nonce = random::public::<NONCE_LEN>(random)?;
        // Sealed where it stands: the plaintext never lies in a buffer that grows and leaves a copy behind.
        let mut sealed = Vec::with_capacity(plaintext.len() + OVERHEAD);
        sealed.extend_from_slice(&nonce);
        sealed.extend_from_slice(plaintext);
        let (_, body) = sealed.split_at_mut(NONCE_LEN);
        let tag =
            self.0.seal_in_place_separate_tag(Nonce::assume_unique_for_key(nonce), Aad::from(aad), body).map_err(ProviderError::from)?;
        sealed.extend_from_slice(tag.as_ref());
        Ok(sealed)
    }

    pub(crate) fn open(&self, aad: &[u8], sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, OpenError> {
        let (nonce, rest) = sealed.split_first_chunk::<NONCE_LEN>().ok_or(OpenError::Length)?;
        let (ciphertext, tag) = rest.split_last_chunk::<TAG_LEN>().ok_or(OpenError::Length)?;
        let mut plaintext = Zeroizing::new(ciphertext.to_vec());
        self.0
            .open_in_place_separate_tag(Nonce::assume_unique_for_key(*nonce), Aad::from(aad), tag, &mut plaintext)
            .map_err(|_| OpenError::NotAuthentic)?;
        Ok(plaintext)
    }

    /// Opens a wrapped key.
    pub(crate) fn open_key(&self, aad: &[u8], wrap: &[u8]) -> Result<Zeroizing<[u8; 32]>, OpenError> {
        if wrap.len() != 32 + OVERHEAD {
            return Err(OpenError::Length);
        }
        let opened = self.open(aad, wrap)?;
        let mut key = Zeroizing::new([0; 32]);
        key.copy_from_slice(&opened);
        Ok(key)
    }

    /// The provider's key itself, for chunks, which are sealed in the caller's buffer.
    pub(crate) fn into_inner(self) -> LessSafeKey {
        self.0
    }
}
