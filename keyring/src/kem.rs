//! HPKE in base mode to a KEM key (RFC 9180; docs/formats.md §0): what grants and the seals of groups have in common.
//!
//! HPKE here has no sender. The info is a hash of the terms, so that what is sealed opens under no others.

use hpke::aead::AesGcm256;
use hpke::kdf::HkdfSha384;
use hpke::kem::MlKem1024P384;
use hpke::{Deserializable, Kem, OpModeR, OpModeS, Serializable};
use ticrypt_crypto::Digest;
use ticrypt_crypto::bundle::KemPublicKey;
use ticrypt_crypto::grant::ENCAPSULATED_LEN;
use zeroize::Zeroizing;

use crate::aead::{OpenError, SealError};
use crate::derive::ProviderError;
use crate::identity::KemSeed;
use crate::random::{Lent, Random};

/// `encapsulated key ‖ ciphertext`.
pub(crate) fn seal(random: &dyn Random, to: &KemPublicKey, info: &Digest, plaintext: &[u8]) -> Result<Vec<u8>, SealError> {
    let public = <MlKem1024P384 as Kem>::PublicKey::from_bytes(to.as_bytes())
        .map_err(|_| SealError::Mismatch("the recipient's key is not a kem key"))?;
    let mut lent = Lent::new(random);
    let made = hpke::single_shot_seal_with_rng::<AesGcm256, HkdfSha384, MlKem1024P384>(
        &OpModeS::Base,
        &public,
        info.as_bytes(),
        plaintext,
        &[],
        &mut lent,
    );
    lent.check()?;
    let (encapsulated, ciphertext) = made.map_err(|_| ProviderError)?;
    Ok([encapsulated.to_bytes().as_slice(), &ciphertext].concat())
}

pub(crate) fn open(seed: &KemSeed, info: &Digest, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, OpenError> {
    let (encapsulated, ciphertext) = sealed.split_at_checked(ENCAPSULATED_LEN).ok_or(OpenError::Length)?;
    let encapsulated = <MlKem1024P384 as Kem>::EncappedKey::from_bytes(encapsulated).map_err(|_| OpenError::NotAuthentic)?;
    let plaintext = hpke::single_shot_open::<AesGcm256, HkdfSha384, MlKem1024P384>(
        &OpModeR::Base,
        seed.private_key(),
        &encapsulated,
        info.as_bytes(),
        ciphertext,
        &[],
    );
    plaintext.map(Zeroizing::new).map_err(|_| OpenError::NotAuthentic)
}
