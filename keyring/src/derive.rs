//! `D(label, key)`: every key has one use, named by its label (HKDF-SHA-256, RFC 5869; docs/formats.md §0).

use aws_lc_rs::hkdf::{HKDF_SHA256, KeyType, Prk, Salt};
use ticrypt_types::Secret;
use zeroize::Zeroizing;

/// The provider refused an operation that cannot fail with the arguments given; the machine is out of memory or broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the cryptographic provider failed: try again, then restart the program")]
pub struct ProviderError;

impl From<aws_lc_rs::error::Unspecified> for ProviderError {
    fn from(_: aws_lc_rs::error::Unspecified) -> Self {
        Self
    }
}

/// 32 bytes of key.
pub type Key = Secret<[u8; 32]>;

const SALT: &[u8] = b"ticrypt/v1";

/// Length of what is derived, as the provider wants it told.
struct Length(usize);

impl KeyType for Length {
    fn len(&self) -> usize {
        self.0
    }
}

/// A key after HKDF's extract step, from which several are expanded.
pub(crate) struct Source(Prk);

impl Source {
    pub(crate) fn new(key: &[u8; 32]) -> Self {
        Self(Salt::new(HKDF_SHA256, SALT).extract(key))
    }

    /// `D(label, key)`.
    pub(crate) fn derive(&self, label: &str) -> Result<Zeroizing<[u8; 32]>, ProviderError> {
        let mut out = Zeroizing::new([0; 32]);
        self.0.expand(&[label.as_bytes()], Length(32))?.fill(out.as_mut_slice())?;
        Ok(out)
    }
}

/// `D(label, key)` for a key of which only one other is made.
pub(crate) fn derive(label: &str, key: &[u8; 32]) -> Result<Zeroizing<[u8; 32]>, ProviderError> {
    Source::new(key).derive(label)
}

/// HKDF-SHA-256 with any salt, info and length, so that published vectors run through the provider calls used here.
#[cfg(test)]
pub(crate) fn hkdf(salt: &[u8], key: &[u8], info: &[u8], len: usize) -> Result<Vec<u8>, ProviderError> {
    let mut out = vec![0; len];
    Salt::new(HKDF_SHA256, salt).extract(key).expand(&[info], Length(len))?.fill(&mut out)?;
    Ok(out)
}
