//! A group's keys: a seed for each generation, sealed to its members one by one (docs/formats.md §12).
//!
//! ```text
//!   seed 1 ◀─wrapped under─ seed 2 ◀─wrapped under─ seed 3 ──sealed to each member
//!      └ public key 1          └ public key 2          └ public key 3: in the signed heads, and what directories are sealed to
//! ```
//!
//! Nobody signs a seal or a wrap. What opens must be the seed of the public key in a signed head, so the server can withhold a seed
//! and cannot bring in one of its own.

use minicbor::encode::{Encode, Encoder, Write};
use minicbor::{Decode, Decoder};
use ticrypt_crypto::bundle::{Bundle, KemPublicKey};
use ticrypt_crypto::group::{GroupSealTerms, SEALED_SEED_LEN};
use ticrypt_crypto::record::{self, Record, VERSION};
use ticrypt_crypto::{RecordError, Suite};
use ticrypt_types::{Compartment, DeploymentId, GroupId};
use zeroize::Zeroizing;

use crate::aead::{AeadKey, OpenError, SealError};
use crate::derive::{ProviderError, derive};
use crate::identity::{Identity, KemSeed};
use crate::kem;
use crate::random::{self, Random};

/// Where a wrapped seed stands: in the head that begins this generation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GenerationPlace {
    pub deployment: DeploymentId,
    pub group: GroupId,
    /// Which of the group's keys.
    pub compartment: Compartment,
    /// The new one, whose seed wraps the one before.
    pub generation: u32,
}

impl GenerationPlace {
    /// The additional data of a wrapped seed: `[1, suite, "group-previous", deployment, group, tags, new generation]`.
    fn aad(&self) -> Vec<u8> {
        record::encode(self)
    }
}

/// The private key of one generation of a group.
#[derive(Debug)]
pub struct GroupSeed(KemSeed);

impl GroupSeed {
    pub fn generate(random: &dyn Random) -> Result<Self, SealError> {
        Ok(Self::from_bytes(&*random::secret(random)?)?)
    }

    /// A seed that was opened before; over the agent's socket it is 32 bytes.
    pub fn from_bytes(seed: &[u8; 32]) -> Result<Self, ProviderError> {
        KemSeed::from_bytes(seed).map(Self)
    }

    pub fn expose(&self) -> &[u8; 32] {
        self.0.expose()
    }

    /// What the head that begins the generation says, and what directories are sealed to.
    pub fn public_key(&self) -> &KemPublicKey {
        self.0.public_key()
    }

    pub(crate) fn kem(&self) -> &KemSeed {
        &self.0
    }

    /// The same seed, held once more; for a background task.
    pub fn duplicate(&self) -> Result<Self, ProviderError> {
        self.0.duplicate().map(Self)
    }

    /// Wraps the seed of the generation before under this one, so that who holds the newest holds them all.
    pub fn wrap_previous(&self, random: &dyn Random, place: &GenerationPlace, previous: &Self) -> Result<Vec<u8>, SealError> {
        if place.generation < 2 {
            return Err(SealError::Mismatch("the first generation has none before it"));
        }
        AeadKey::new(&*self.derive_wrapping()?)?.seal(random, &place.aad(), previous.0.expose())
    }

    /// Opens the seed of the generation before, whose public key is `expected`: the one in the head that began it.
    pub fn open_previous(&self, place: &GenerationPlace, wrapped: &[u8], expected: &KemPublicKey) -> Result<Self, OpenError> {
        let seed = AeadKey::new(&*self.derive_wrapping()?)?.open_key(&place.aad(), wrapped)?;
        Self::from_bytes(&seed)?.expect_key(expected)
    }

    fn derive_wrapping(&self) -> Result<Zeroizing<[u8; 32]>, ProviderError> {
        derive("group/previous", self.0.expose())
    }

    fn expect_key(self, expected: &KemPublicKey) -> Result<Self, OpenError> {
        if self.public_key() == expected {
            Ok(self)
        } else {
            Err(OpenError::Mismatch("the seed is not the one of the key in the group's head"))
        }
    }
}

/// Seals a generation's seed under `terms` to the person of `recipient`.
pub fn seal(random: &dyn Random, recipient: &Bundle, terms: &GroupSealTerms, seed: &GroupSeed) -> Result<Vec<u8>, SealError> {
    terms.check().map_err(SealError::Rule)?;
    let bundle = recipient.payload();
    let named = (terms.deployment, terms.member, terms.bundle, terms.bundle_generation);
    if named != (bundle.deployment, bundle.user, recipient.hash(), bundle.generation) {
        return Err(SealError::Mismatch("the seal's terms name another recipient"));
    }
    let plaintext = Zeroizing::new(record::encode(&SealedSeed { seed: seed.0.expose() }));
    kem::seal(random, &bundle.kem_key, &terms.info(), &plaintext)
}

/// Opens a sealed seed. `expected` is the public key of the generation, out of a verified head: it stands in for a signature, since
/// whoever seals another seed than the head's seals one that is refused here.
pub fn open(identity: &Identity, terms: &GroupSealTerms, sealed: &[u8], expected: &KemPublicKey) -> Result<GroupSeed, OpenError> {
    if (terms.deployment, terms.member) != (identity.deployment(), identity.user()) {
        return Err(OpenError::Mismatch("the seal is for somebody else"));
    }
    let own = identity
        .seed(terms.bundle_generation)
        .ok_or(OpenError::Mismatch("the seal is for keys this key file does not hold: ask for a new one"))?;
    if sealed.len() != SEALED_SEED_LEN {
        return Err(OpenError::Length);
    }
    let plaintext = kem::open(own, &terms.info(), sealed)?;
    let opened: SealedSeed<'_> = record::decode_strict(&plaintext, 64).map_err(OpenError::Content)?;
    let seed = opened.seed.try_into().map_err(|_| OpenError::Content(RecordError::Rule("a seed has 32 bytes")))?;
    GroupSeed::from_bytes(seed)?.expect_key(expected)
}

/// What is sealed: `[1, seed bstr32]`.
struct SealedSeed<'a> {
    seed: &'a [u8],
}

impl<C> Encode<C> for SealedSeed<'_> {
    fn encode<W: Write>(&self, e: &mut Encoder<W>, _: &mut C) -> Result<(), minicbor::encode::Error<W::Error>> {
        e.array(2)?.u64(VERSION)?.bytes(self.seed)?.ok()
    }
}

impl<'b, C> Decode<'b, C> for SealedSeed<'b> {
    fn decode(d: &mut Decoder<'b>, _: &mut C) -> Result<Self, minicbor::decode::Error> {
        record::open_array(d, 2)?;
        Ok(Self { seed: d.bytes()? })
    }
}

impl<C> Encode<C> for GenerationPlace {
    fn encode<W: Write>(&self, e: &mut Encoder<W>, _: &mut C) -> Result<(), minicbor::encode::Error<W::Error>> {
        e.array(7)?.u64(VERSION)?.u8(Suite::CURRENT.id())?.str("group-previous")?;
        e.encode(self.deployment)?.encode(self.group)?.encode(self.compartment.tags())?.u32(self.generation)?.ok()
    }
}

#[cfg(test)]
mod tests;
