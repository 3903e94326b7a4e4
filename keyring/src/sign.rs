//! Signing: one record, or a batch under one signature (docs/formats.md §1; ECDSA P-256, FIPS 186-5).

use aws_lc_rs::encoding::{AsBigEndian, EcPrivateKeyBin};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
use ticrypt_crypto::login::SessionBinding;
use ticrypt_crypto::signature::{EnvelopeBytes, Payload, SIGNATURE_LEN, message};
use ticrypt_crypto::{Envelope, Namespace, PublicKey, RecordError, batch};
use ticrypt_types::Secret;
use ticrypt_types::limits::{BATCH_MAX_RECORDS, PAYLOAD_MAX_BYTES};

use crate::derive::ProviderError;

/// Why something could not be signed.
#[derive(Debug, thiserror::Error)]
pub enum SignError {
    #[error("the record breaks a rule of its format")]
    Rule(#[source] RecordError),
    #[error("a record of {0} bytes is longer than any that is signed")]
    TooLong(usize),
    #[error("a batch has 1 to {BATCH_MAX_RECORDS} records, this one has {0}")]
    Batch(usize),
    #[error("the private key is not one of p-256, or not of its public key")]
    Key,
    #[error(transparent)]
    Provider(#[from] ProviderError),
}

/// A P-256 private key. The provider zeroes it.
pub struct SigningKey {
    pair: EcdsaKeyPair,
    public: PublicKey,
}

impl SigningKey {
    /// Draws a key; the provider uses its own generator.
    pub fn generate() -> Result<Self, SignError> {
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).map_err(ProviderError::from)?;
        Self::from_pair(pair)
    }

    /// Takes an unencrypted PKCS#8 key (RFC 5958).
    pub(crate) fn from_pkcs8(der: &[u8]) -> Result<Self, SignError> {
        Self::from_pair(EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, der).map_err(|_| SignError::Key)?)
    }

    /// Takes a private scalar; for keys that must be the same each time.
    #[cfg(test)]
    pub(crate) fn from_scalar(scalar: &[u8; 32]) -> Result<Self, SignError> {
        // ECPrivateKey (RFC 5915) without the public key, which the provider computes.
        const HEAD: [u8; 7] = [0x30, 0x31, 0x02, 0x01, 0x01, 0x04, 0x20];
        const CURVE: [u8; 12] = [0xa0, 0x0a, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07];
        let der = [&HEAD[..], scalar, &CURVE].concat();
        Self::from_pair(EcdsaKeyPair::from_private_key_der(&ECDSA_P256_SHA256_FIXED_SIGNING, &der).map_err(|_| SignError::Key)?)
    }

    fn from_pair(pair: EcdsaKeyPair) -> Result<Self, SignError> {
        let public = PublicKey::from_bytes(pair.public_key().as_ref()).map_err(|_| SignError::Key)?;
        Ok(Self { pair, public })
    }

    pub fn public_key(&self) -> &PublicKey {
        &self.public
    }

    /// The same key, held once more.
    pub(crate) fn duplicate(&self) -> Self {
        Self { pair: self.pair.clone(), public: self.public }
    }

    pub(crate) fn to_pkcs8(&self) -> Result<Secret<Vec<u8>>, ProviderError> {
        // The provider's document zeroes itself; ours does too.
        Ok(Secret::new(self.pair.to_pkcs8v1()?.as_ref().to_vec()))
    }

    /// The private scalar, 32 bytes.
    pub(crate) fn scalar(&self) -> Result<Secret<[u8; 32]>, ProviderError> {
        let bytes: EcPrivateKeyBin<'_> = self.pair.private_key().as_be_bytes()?;
        bytes.as_ref().try_into().map(Secret::new).map_err(|_| ProviderError)
    }

    /// Signs one payload.
    pub fn sign(&self, namespace: Namespace, payload: &[u8]) -> Result<EnvelopeBytes, SignError> {
        check_len(payload)?;
        let signature = self.sign_message(&message(namespace, 1, &batch::leaf(payload)))?;
        Ok(Envelope::assemble(payload, 0, 1, Vec::new(), signature))
    }

    /// Signs several payloads with one signature; envelopes in the order of the payloads.
    pub fn sign_batch<P: AsRef<[u8]>>(&self, namespace: Namespace, payloads: &[P]) -> Result<Vec<EnvelopeBytes>, SignError> {
        let count = u32::try_from(payloads.len()).ok().filter(|count| (1..=BATCH_MAX_RECORDS).contains(count));
        let count = count.ok_or(SignError::Batch(payloads.len()))?;
        payloads.iter().try_for_each(|payload| check_len(payload.as_ref()))?;
        let tree = batch::Tree::new(payloads.iter().map(|payload| batch::leaf(payload.as_ref())).collect());
        let signature = self.sign_message(&message(namespace, count, &tree.root()))?;
        let envelope = |(index, payload): (u32, &P)| {
            let path = tree.path(index as usize).unwrap_or_default();
            Envelope::assemble(payload.as_ref(), index, count, path, signature)
        };
        Ok((0..count).zip(payloads).map(envelope).collect())
    }

    /// Checks a record's own rules and signs it in its namespace.
    pub fn sign_record<T: Payload>(&self, record: &T) -> Result<EnvelopeBytes, SignError> {
        record.check().map_err(SignError::Rule)?;
        self.sign(T::NAMESPACE, &record.to_bytes())
    }

    /// Checks several records' own rules and signs them with one signature.
    pub fn sign_records<T: Payload>(&self, records: &[T]) -> Result<Vec<EnvelopeBytes>, SignError> {
        records.iter().try_for_each(|record| record.check().map_err(SignError::Rule))?;
        let payloads: Vec<_> = records.iter().map(|record| record.to_bytes()).collect();
        self.sign_batch(T::NAMESPACE, &payloads)
    }

    fn sign_message(&self, message: &[u8]) -> Result<[u8; SIGNATURE_LEN], ProviderError> {
        // The provider ignores this argument and draws the nonce itself, inside the module.
        let signature = self.pair.sign(&SystemRandom::new(), message)?;
        signature.as_ref().try_into().map_err(|_| ProviderError)
    }
}

impl std::fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SigningKey(public {:?})", self.public)
    }
}

fn check_len(payload: &[u8]) -> Result<(), SignError> {
    if payload.len() > PAYLOAD_MAX_BYTES { Err(SignError::TooLong(payload.len())) } else { Ok(()) }
}

/// A session's key: made at login, never stored.
#[derive(Debug)]
pub struct SessionKey(SigningKey);

impl SessionKey {
    pub fn generate() -> Result<Self, SignError> {
        SigningKey::generate().map(Self)
    }

    pub fn public_key(&self) -> &PublicKey {
        self.0.public_key()
    }

    /// Binds a further connection to the session.
    pub fn sign_binding(&self, binding: &SessionBinding) -> Result<EnvelopeBytes, SignError> {
        self.0.sign_record(binding)
    }
}

#[cfg(test)]
mod tests;
