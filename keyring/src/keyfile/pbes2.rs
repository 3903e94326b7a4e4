//! PBES2 (RFC 8018): the ASN.1 by the `pkcs8` crate, the cryptography by the provider.

use std::num::NonZeroU32;

use aws_lc_rs::cipher::{
    AES_256, AES_CBC_IV_LEN, DecryptionContext, EncryptionContext, PaddedBlockDecryptingKey, PaddedBlockEncryptingKey, UnboundCipherKey,
};
use aws_lc_rs::iv::FixedLength;
use aws_lc_rs::pbkdf2::{self, PBKDF2_HMAC_SHA256};
use pkcs8::der::{Decode, Encode};
use pkcs8::pkcs5::EncryptionScheme;
use pkcs8::pkcs5::pbes2::{self, Kdf, Parameters, Pbkdf2Params, Pbkdf2Prf};
use pkcs8::{EncryptedPrivateKeyInfoRef, der::asn1::OctetStringRef};
use zeroize::Zeroizing;

use super::{KeyFileError, ROUNDS, SALT_MIN_LEN};
use crate::derive::ProviderError;
use crate::random::{self, Random};

const BLOCK_LEN: usize = 16;

/// Encrypts PKCS#8 DER; returns the DER of `EncryptedPrivateKeyInfo`.
pub(super) fn encrypt(pkcs8: &[u8], passphrase: &[u8], rounds: u32, random: &dyn Random) -> Result<Vec<u8>, KeyFileError> {
    let salt: [u8; SALT_MIN_LEN] = random::public(random)?;
    let iv: [u8; AES_CBC_IV_LEN] = random::public(random)?;
    let key = passphrase_key(passphrase, &salt, rounds)?;
    // The ciphertext is one block longer at most; no growing that would leave the key behind.
    let mut body = Vec::with_capacity(pkcs8.len() + BLOCK_LEN);
    body.extend_from_slice(pkcs8);
    cbc_encrypt(&key, iv, &mut body)?;
    let kdf = Pbkdf2Params::hmac_sha256(rounds, &salt).map_err(|_| KeyFileError::Parameters("a bad count of rounds"))?;
    let parameters = Parameters { kdf: Kdf::Pbkdf2(kdf), encryption: pbes2::EncryptionScheme::Aes256Cbc { iv } };
    let info = EncryptedPrivateKeyInfoRef {
        encryption_algorithm: EncryptionScheme::Pbes2(parameters),
        encrypted_data: OctetStringRef::new(&body).map_err(|_| ProviderError)?,
    };
    Ok(info.to_der().map_err(|_| ProviderError)?)
}

/// Decrypts; returns PKCS#8 DER that is not yet known to be right, and the rounds.
pub(super) fn decrypt(der: &[u8], passphrase: &[u8]) -> Result<(Zeroizing<Vec<u8>>, u32), KeyFileError> {
    let info = EncryptedPrivateKeyInfoRef::from_der(der)
        .map_err(|_| KeyFileError::Parameters("its first block is not pkcs#8 in a form this program knows"))?;
    let parameters = info.encryption_algorithm.pbes2().ok_or(KeyFileError::Parameters("not pbes2"))?;
    let kdf = parameters.kdf.pbkdf2().ok_or(KeyFileError::Parameters("not pbkdf2"))?;
    if kdf.prf != Pbkdf2Prf::HmacWithSha256 {
        return Err(KeyFileError::Parameters("not hmac-sha-256"));
    }
    if kdf.salt.as_ref().len() < SALT_MIN_LEN {
        return Err(KeyFileError::Parameters("a salt shorter than 16 bytes"));
    }
    if kdf.key_length.is_some_and(|length| length != 32) {
        return Err(KeyFileError::Parameters("a key length other than 32"));
    }
    let pbes2::EncryptionScheme::Aes256Cbc { iv } = parameters.encryption else {
        return Err(KeyFileError::Parameters("not aes-256-cbc"));
    };
    let key = passphrase_key(passphrase, kdf.salt.as_ref(), kdf.iteration_count)?;
    Ok((cbc_decrypt(&key, iv, info.encrypted_data.as_bytes())?, kdf.iteration_count))
}

/// PBKDF2-HMAC-SHA-256, 32 bytes.
fn passphrase_key(passphrase: &[u8], salt: &[u8], rounds: u32) -> Result<Zeroizing<[u8; 32]>, KeyFileError> {
    let Some(count) = NonZeroU32::new(rounds).filter(|_| ROUNDS.contains(&rounds)) else {
        return Err(KeyFileError::Parameters("fewer than 600000 or more than 10000000 rounds"));
    };
    let mut key = Zeroizing::new([0; 32]);
    pbkdf2::derive(PBKDF2_HMAC_SHA256, count, salt, passphrase, key.as_mut_slice());
    Ok(key)
}

fn cbc_encrypt(key: &[u8; 32], iv: [u8; AES_CBC_IV_LEN], body: &mut Vec<u8>) -> Result<(), ProviderError> {
    let key = PaddedBlockEncryptingKey::cbc_pkcs7(UnboundCipherKey::new(&AES_256, key)?)?;
    key.less_safe_encrypt(body, EncryptionContext::Iv128(FixedLength::from(iv)))?;
    Ok(())
}

fn cbc_decrypt(key: &[u8; 32], iv: [u8; AES_CBC_IV_LEN], body: &[u8]) -> Result<Zeroizing<Vec<u8>>, KeyFileError> {
    // The provider indexes the last byte without looking whether there is one.
    if body.is_empty() || !body.len().is_multiple_of(BLOCK_LEN) {
        return Err(KeyFileError::WrongPassphrase);
    }
    let unbound = UnboundCipherKey::new(&AES_256, key).map_err(ProviderError::from)?;
    let key = PaddedBlockDecryptingKey::cbc_pkcs7(unbound).map_err(ProviderError::from)?;
    let mut plaintext = Zeroizing::new(body.to_vec());
    let context = DecryptionContext::Iv128(FixedLength::from(iv));
    let length = key.decrypt(&mut plaintext, context).map_err(|_| KeyFileError::WrongPassphrase)?.len();
    plaintext.truncate(length);
    Ok(plaintext)
}
