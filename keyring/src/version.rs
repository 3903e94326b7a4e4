//! Keys of one version of a file: its content key, and the property key of each manifest that makes it current.

use aws_lc_rs::hmac;
use ticrypt_crypto::Digest;
use ticrypt_types::Secret;

use crate::aead::{AeadKey, OpenError, SealError};
use crate::derive::{Key, ProviderError, derive};
use crate::props::ManifestProps;
use crate::random::{self, Random};
use crate::wrap::{ManifestPlace, WrapContext};

/// The random content key of one upload attempt; chunks are sealed by a [`crate::chunk::ChunkSealer`] made of it.
#[derive(Debug)]
pub struct ContentKey(Key);

impl ContentKey {
    pub fn generate(random: &dyn Random) -> Result<Self, SealError> {
        Ok(Self::from_bytes(&*random::secret(random)?))
    }

    pub fn from_bytes(key: &[u8; 32]) -> Self {
        Self(Secret::new(*key))
    }

    pub fn expose(&self) -> &[u8; 32] {
        self.0.expose()
    }

    /// What each chunk and the manifest say the content key is; tells nothing of the key.
    pub fn commitment(&self) -> Result<Digest, ProviderError> {
        Ok(Digest::new(*derive("content/commitment", self.expose())?))
    }

    /// By which a device knows again, when an upload goes on, that a chunk's plaintext and all before it are the same: `through` is the
    /// SHA-256 of everything up to its end. Kept on the device only, and tells nothing without the key.
    pub fn tag_plaintext(&self, number: u64, through: &Digest) -> Result<Digest, ProviderError> {
        let key = hmac::Key::new(hmac::HMAC_SHA256, &*derive("content/journal", self.expose())?);
        let mut context = hmac::Context::with_key(&key);
        context.update(&number.to_be_bytes());
        context.update(through.as_bytes());
        let mut tag = [0; 32];
        tag.iter_mut().zip(context.sign().as_ref()).for_each(|(to, from)| *to = *from);
        Ok(Digest::new(tag))
    }
}

/// The random key of one manifest's properties. It stands apart from the file's keys so that these can be replaced without
/// touching what the manifest's writer signed.
pub struct PropsKey {
    key: Key,
    props: AeadKey,
}

impl PropsKey {
    pub fn generate(random: &dyn Random) -> Result<Self, SealError> {
        Ok(Self::from_bytes(&*random::secret(random)?)?)
    }

    pub fn from_bytes(key: &[u8; 32]) -> Result<Self, ProviderError> {
        Ok(Self { key: Secret::new(*key), props: AeadKey::new(&*derive("content/props", key)?)? })
    }

    pub fn expose(&self) -> &[u8; 32] {
        self.key.expose()
    }

    /// Seals the properties a manifest carries. The place's epoch plays no part.
    pub fn seal_manifest_props(&self, random: &dyn Random, place: &ManifestPlace, props: &ManifestProps) -> Result<Vec<u8>, SealError> {
        self.props.seal(random, &WrapContext::manifest_props(place).aad(), &props.to_plaintext()?)
    }

    pub fn open_manifest_props(&self, place: &ManifestPlace, sealed: &[u8]) -> Result<ManifestProps, OpenError> {
        ManifestProps::from_plaintext(&self.props.open(&WrapContext::manifest_props(place).aad(), sealed)?)
    }
}

impl std::fmt::Debug for PropsKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("PropsKey(..)")
    }
}
