//! The key file, written and unlocked (docs/formats.md §9).
//!
//! ```text
//!   passphrase ──PBKDF2──▶ AES-256-CBC ──▶ signing key ──D("keyfile/seeds")──▶ AES-256-GCM ──▶ KEM seeds
//!                          block 1, openssl reads it                          block 2, bound to block 1
//! ```
//! CBC authenticates nothing. What block 1 yields is checked by opening block 2, whose key is made of it and whose additional
//! data is its hash.

use ticrypt_crypto::Digest;
use ticrypt_crypto::RecordError;
use ticrypt_crypto::keyfile::{KeyFileText, KeyFileTextError};
use ticrypt_crypto::record::Record;

use crate::aead::{AeadKey, OpenError, SealError};
use crate::derive::{ProviderError, derive};
use crate::identity::Identity;
use crate::random::{Random, RandomError};
use crate::sign::SigningKey;

mod pbes2;
mod seeds;

/// What a new key file is written with.
pub const DEFAULT_ROUNDS: u32 = 600_000;
/// Fewer are refused as weak, more as an attempt to keep the reader busy.
pub const ROUNDS: std::ops::RangeInclusive<u32> = 600_000..=10_000_000;
/// Shorter salts are refused as weak.
pub const SALT_MIN_LEN: usize = 16;

/// Why a key file could not be written or unlocked.
#[derive(Debug, thiserror::Error)]
pub enum KeyFileError {
    #[error("not a key file")]
    NotAKeyFile(#[source] KeyFileTextError),
    #[error("the key file is of version {0}: update this program")]
    NewerVersion(u64),
    #[error("wrong passphrase, or the first block of the key file was altered")]
    WrongPassphrase,
    #[error("the key file is protected too weakly or in an unknown way: {0}")]
    Parameters(&'static str),
    #[error("the second block of the key file was altered, or is from another key file")]
    SecondBlock,
    #[error(transparent)]
    Random(#[from] RandomError),
    #[error(transparent)]
    Provider(#[from] ProviderError),
}

/// An unlocked key file.
#[derive(Debug)]
pub struct Unlocked {
    pub identity: Identity,
    /// PBKDF2 rounds it was written with.
    pub rounds: u32,
}

/// Writes an identity under a passphrase; `rounds` is of PBKDF2-HMAC-SHA-256, [`DEFAULT_ROUNDS`] unless a person says more.
pub fn write(identity: &Identity, passphrase: &[u8], rounds: u32, random: &dyn Random) -> Result<String, KeyFileError> {
    let key = identity.signing();
    let encrypted_key = pbes2::encrypt(key.to_pkcs8()?.expose(), passphrase, rounds, random)?;
    let header = identity.header().clone();
    let header_bytes = header.to_bytes();
    let aad = second_block_aad(&encrypted_key, &header_bytes);
    let sealed_seeds = match seeds_key(key)?.seal(random, &aad, &seeds::encode(identity.seeds())) {
        Ok(sealed) => sealed,
        Err(SealError::Random(error)) => return Err(error.into()),
        Err(_) => return Err(ProviderError.into()),
    };
    Ok(KeyFileText { encrypted_key, header, header_bytes, sealed_seeds }.to_text())
}

/// Reads a key file without its passphrase: whose it is.
pub fn parse(text: &str) -> Result<KeyFileText, KeyFileError> {
    KeyFileText::parse(text).map_err(|error| match error {
        KeyFileTextError::Header(RecordError::NewerVersion(version)) => KeyFileError::NewerVersion(version),
        other => KeyFileError::NotAKeyFile(other),
    })
}

/// Unlocks a key file.
pub fn unlock(text: &str, passphrase: &[u8]) -> Result<Unlocked, KeyFileError> {
    let file = parse(text)?;
    let (pkcs8, rounds) = pbes2::decrypt(&file.encrypted_key, passphrase)?;
    let signing = SigningKey::from_pkcs8(&pkcs8).map_err(|_| KeyFileError::WrongPassphrase)?;
    let aad = second_block_aad(&file.encrypted_key, &file.header_bytes);
    let plaintext = seeds_key(&signing)?.open(&aad, &file.sealed_seeds).map_err(|error| match error {
        OpenError::Provider(error) => KeyFileError::Provider(error),
        _ => KeyFileError::SecondBlock,
    })?;
    let seeds = seeds::decode(&plaintext)?;
    let identity = Identity::from_parts(file.header, signing, seeds).map_err(|_| KeyFileError::SecondBlock)?;
    Ok(Unlocked { identity, rounds })
}

/// Writes the same identity under another passphrase. Copies of the old file still open under the old one.
pub fn change_passphrase(text: &str, old: &[u8], new: &[u8], rounds: u32, random: &dyn Random) -> Result<String, KeyFileError> {
    write(&unlock(text, old)?.identity, new, rounds, random)
}

/// `K`, made of the private scalar.
pub(crate) fn seeds_key(key: &SigningKey) -> Result<AeadKey, ProviderError> {
    AeadKey::new(&*derive("keyfile/seeds", key.scalar()?.expose())?)
}

pub(crate) fn second_block_aad(encrypted_key: &[u8], header: &[u8]) -> Vec<u8> {
    [Digest::of(encrypted_key).as_bytes(), header].concat()
}

#[cfg(test)]
mod tests;
