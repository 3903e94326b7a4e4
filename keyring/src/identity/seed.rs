//! The private key of the hybrid KEM, 32 bytes as draft-irtf-cfrg-concrete-hybrid-kems has it.

use hpke::kem::MlKem1024P384;
use hpke::{Deserializable, Kem, Serializable};
use ticrypt_crypto::bundle::KemPublicKey;
use ticrypt_types::Secret;

use crate::derive::{Key, ProviderError};
use crate::random::{self, Random};

use super::IdentityError;

/// A seed and the keys expanded from it. The `hpke` crate zeroes its part.
pub struct KemSeed {
    seed: Key,
    private: <MlKem1024P384 as Kem>::PrivateKey,
    public: KemPublicKey,
}

impl KemSeed {
    pub fn generate(random: &dyn Random) -> Result<Self, IdentityError> {
        let seed: zeroize::Zeroizing<[u8; 32]> = random::secret(random)?;
        Ok(Self::from_bytes(&seed)?)
    }

    pub fn from_bytes(seed: &[u8; 32]) -> Result<Self, ProviderError> {
        let private = <MlKem1024P384 as Kem>::PrivateKey::from_bytes(seed).map_err(|_| ProviderError)?;
        let public = MlKem1024P384::sk_to_pk(&private).to_bytes();
        let public = KemPublicKey::from_bytes(&public).map_err(|_| ProviderError)?;
        Ok(Self { seed: Secret::new(*seed), private, public })
    }

    pub fn public_key(&self) -> &KemPublicKey {
        &self.public
    }

    pub(crate) fn expose(&self) -> &[u8; 32] {
        self.seed.expose()
    }

    pub(crate) fn private_key(&self) -> &<MlKem1024P384 as Kem>::PrivateKey {
        &self.private
    }

    pub(crate) fn duplicate(&self) -> Result<Self, ProviderError> {
        Self::from_bytes(self.seed.expose())
    }
}

impl std::fmt::Debug for KemSeed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("KemSeed(..)")
    }
}
