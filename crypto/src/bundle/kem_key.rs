//! The public key of the hybrid KEM, validated without being able to use it.

use std::fmt;

use aws_lc_rs::signature::{ECDSA_P384_SHA384_FIXED, ParsedPublicKey};
use minicbor::encode::Write;

use crate::Digest;
use crate::record::Element;

/// Some bytes are not an encapsulation key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KemPublicKeyError {
    #[error("not a kem key: expected {} bytes", KemPublicKey::LEN)]
    Length,
    #[error("not a kem key: a coefficient of its ml-kem part is 3329 or more")]
    Modulus,
    #[error("not a kem key: its second part is not an uncompressed point of p-384")]
    Point,
}

/// An MLKEM1024-P384 encapsulation key: ML-KEM-1024 (FIPS 203, 1568 bytes), then the P-384 point (SEC 1 uncompressed, 97 bytes).
#[derive(Clone, PartialEq, Eq)]
pub struct KemPublicKey(Box<[u8; Self::LEN]>);

impl KemPublicKey {
    pub const LEN: usize = 1665;
    /// The vector of 4 × 256 coefficients of 12 bits; the last 32 bytes of the ML-KEM part are a seed.
    const COEFFICIENTS_LEN: usize = 1536;
    const ML_KEM_LEN: usize = 1568;

    /// Makes the checks of FIPS 203 §7.2 and of SP 800-56A §5.6.2.3.3 that a sender must make before encapsulating.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, KemPublicKeyError> {
        let bytes: [u8; Self::LEN] = bytes.try_into().map_err(|_| KemPublicKeyError::Length)?;
        let (ml_kem, point) = bytes.split_at(Self::ML_KEM_LEN);
        let (coefficients, _seed) = ml_kem.split_at(Self::COEFFICIENTS_LEN);
        let reduced = coefficients.chunks_exact(3).all(|triple| match triple {
            [a, b, c] => {
                let low = u16::from(*a) | u16::from(*b & 0x0f) << 8;
                let high = u16::from(*b >> 4) | u16::from(*c) << 4;
                low < 3329 && high < 3329
            }
            _ => false,
        });
        if !reduced {
            return Err(KemPublicKeyError::Modulus);
        }
        if point.first() != Some(&4) || ParsedPublicKey::new(&ECDSA_P384_SHA384_FIXED, point).is_err() {
            return Err(KemPublicKeyError::Point);
        }
        Ok(Self(Box::new(bytes)))
    }

    pub fn as_bytes(&self) -> &[u8; Self::LEN] {
        &self.0
    }
}

impl fmt::Debug for KemPublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KemPublicKey(sha256 {})", Digest::of(&self.0[..]))
    }
}

impl Element for KemPublicKey {
    fn put<W: Write>(&self, e: &mut minicbor::Encoder<W>) -> Result<(), minicbor::encode::Error<W::Error>> {
        e.bytes(&self.0[..])?.ok()
    }

    fn take(d: &mut minicbor::Decoder<'_>) -> Result<Self, minicbor::decode::Error> {
        Self::from_bytes(d.bytes()?).map_err(minicbor::decode::Error::message)
    }
}
