//! Public keys: points of P-256 in the one encoding this system writes.

use std::fmt;

use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, ParsedPublicKey, UnparsedPublicKey};
use data_encoding::HEXLOWER;
use minicbor::encode::Write;

use crate::record::Element;

/// Some bytes are not a public key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a public key: expected an uncompressed point of p-256, 65 bytes beginning with 04")]
pub struct PublicKeyError;

/// A validated P-256 point, SEC 1 uncompressed (FIPS 186-5; SEC 1 §2.3.3).
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct PublicKey([u8; Self::LEN]);

impl PublicKey {
    pub const LEN: usize = 65;

    /// Takes the point if it is on the curve. Compressed and hybrid forms are refused: one key has one encoding.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, PublicKeyError> {
        let bytes: [u8; Self::LEN] = bytes.try_into().map_err(|_| PublicKeyError)?;
        if bytes.first() != Some(&4) {
            return Err(PublicKeyError);
        }
        ParsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, bytes).map_err(|_| PublicKeyError)?;
        Ok(Self(bytes))
    }

    pub const fn as_bytes(&self) -> &[u8; Self::LEN] {
        &self.0
    }

    /// Whether `signature` (`r ‖ s`) is of this key over `message`, by ECDSA with SHA-256.
    pub fn verify(&self, message: &[u8], signature: &[u8]) -> bool {
        UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, &self.0).verify(message, signature).is_ok()
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({})", HEXLOWER.encode(&self.0))
    }
}

impl Element for PublicKey {
    fn put<W: Write>(&self, e: &mut minicbor::Encoder<W>) -> Result<(), minicbor::encode::Error<W::Error>> {
        e.bytes(&self.0)?.ok()
    }

    fn take(d: &mut minicbor::Decoder<'_>) -> Result<Self, minicbor::decode::Error> {
        Self::from_bytes(d.bytes()?).map_err(minicbor::decode::Error::message)
    }
}
