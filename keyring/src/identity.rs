//! A person's keys: one to sign, and for each generation one to receive grants (docs/formats.md §2).
//!
//! A retired generation's seed is kept as long as grants sealed to it may be met; a retired signing key is not kept at all.

use ticrypt_crypto::bundle::{Bundle, BundleError, BundlePayload, KemPublicKey, Reason};
use ticrypt_crypto::keyfile::KeyFileHeader;
use ticrypt_crypto::record::Record;
use ticrypt_crypto::{Namespace, RecordError, Suite};
use ticrypt_types::{DeploymentId, Timestamp, UserId, UserName};

use crate::derive::ProviderError;
use crate::random::{Random, RandomError};
use crate::sign::{SignError, SigningKey};

mod seed;

pub use seed::KemSeed;

/// Why an identity could not be made.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    #[error(transparent)]
    Random(#[from] RandomError),
    #[error(transparent)]
    Provider(#[from] ProviderError),
    #[error("the bundle could not be signed")]
    Sign(#[from] SignError),
    #[error("the bundle that was made is not accepted")]
    Bundle(#[from] BundleError),
    #[error("the bundle before is not the one these keys belong to: fetch it again")]
    OtherBundle,
    #[error("the seeds of an identity are not one for each generation, newest first")]
    Seeds,
    #[error("the identity has no more generations")]
    Exhausted,
    #[error("the bundle breaks a rule of its format")]
    Rule(#[source] RecordError),
}

/// Everything a person's key file holds, unlocked.
#[derive(Debug)]
pub struct Identity {
    header: KeyFileHeader,
    signing: SigningKey,
    /// Newest first; never empty.
    seeds: Vec<(u32, KemSeed)>,
}

impl Identity {
    /// Draws the keys of a new person.
    pub fn generate(random: &dyn Random, deployment: DeploymentId, user: UserId, name: UserName) -> Result<Self, IdentityError> {
        let header = KeyFileHeader { deployment, user, name, generation: 0 };
        Ok(Self { header, signing: SigningKey::generate()?, seeds: vec![(0, KemSeed::generate(random)?)] })
    }

    pub(crate) fn from_parts(header: KeyFileHeader, signing: SigningKey, seeds: Vec<(u32, KemSeed)>) -> Result<Self, IdentityError> {
        let newest = seeds.first().map(|(generation, _)| *generation);
        let descending = seeds.windows(2).all(|pair| match pair {
            [(newer, _), (older, _)] => newer > older,
            _ => false,
        });
        if newest != Some(header.generation) || !descending {
            return Err(IdentityError::Seeds);
        }
        Ok(Self { header, signing, seeds })
    }

    pub fn header(&self) -> &KeyFileHeader {
        &self.header
    }

    pub fn deployment(&self) -> DeploymentId {
        self.header.deployment
    }

    pub fn user(&self) -> UserId {
        self.header.user
    }

    pub fn name(&self) -> &UserName {
        &self.header.name
    }

    pub fn generation(&self) -> u32 {
        self.header.generation
    }

    pub fn signing(&self) -> &SigningKey {
        &self.signing
    }

    /// The seed grants of a generation are sealed to.
    pub fn seed(&self, generation: u32) -> Option<&KemSeed> {
        self.seeds.iter().find(|(number, _)| *number == generation).map(|(_, seed)| seed)
    }

    pub(crate) fn seeds(&self) -> &[(u32, KemSeed)] {
        &self.seeds
    }

    /// The public key grants of the current generation are sealed to.
    pub fn kem_public_key(&self) -> Option<&KemPublicKey> {
        self.seeds.first().map(|(_, seed)| seed.public_key())
    }

    /// Whether a bundle is of these keys.
    pub fn is_of(&self, bundle: &Bundle) -> bool {
        let payload = bundle.payload();
        payload.deployment == self.header.deployment
            && payload.user == self.header.user
            && payload.generation == self.header.generation
            && payload.signing_key == *self.signing.public_key()
            && Some(&payload.kem_key) == self.kem_public_key()
    }

    /// The first bundle of a new person.
    pub fn bundle(&self, created: Timestamp) -> Result<Bundle, IdentityError> {
        self.make_bundle(Reason::First, None, None, created)
    }

    /// Draws the keys of the next generation; the old key signs the new bundle too. Seeds of generations before are kept.
    pub fn rotate(
        &self,
        random: &dyn Random,
        previous: &Bundle,
        compromised: bool,
        created: Timestamp,
    ) -> Result<(Self, Bundle), IdentityError> {
        if !self.is_of(previous) {
            return Err(IdentityError::OtherBundle);
        }
        let reason = if compromised { Reason::RotationAfterCompromise } else { Reason::Rotation };
        let mut next = Self::next(random, previous)?;
        for (generation, seed) in &self.seeds {
            next.seeds.push((*generation, seed.duplicate()?));
        }
        let bundle = next.make_bundle(reason, Some(previous), Some(&self.signing), created)?;
        Ok((next, bundle))
    }

    /// Draws new keys for a person who lost theirs. Good only with an administrator's statement; old grants stay closed.
    pub fn reset(random: &dyn Random, previous: &Bundle, created: Timestamp) -> Result<(Self, Bundle), IdentityError> {
        let next = Self::next(random, previous)?;
        let bundle = next.make_bundle(Reason::Reset, Some(previous), None, created)?;
        Ok((next, bundle))
    }

    fn next(random: &dyn Random, previous: &Bundle) -> Result<Self, IdentityError> {
        let old = previous.payload();
        let generation = old.generation.checked_add(1).ok_or(IdentityError::Exhausted)?;
        let header = KeyFileHeader { deployment: old.deployment, user: old.user, name: old.name.clone(), generation };
        Ok(Self { header, signing: SigningKey::generate()?, seeds: vec![(generation, KemSeed::generate(random)?)] })
    }

    fn make_bundle(
        &self,
        reason: Reason,
        previous: Option<&Bundle>,
        old_key: Option<&SigningKey>,
        created: Timestamp,
    ) -> Result<Bundle, IdentityError> {
        let payload = BundlePayload {
            deployment: self.header.deployment,
            user: self.header.user,
            name: self.header.name.clone(),
            generation: self.header.generation,
            suite: Suite::CURRENT,
            signing_key: *self.signing.public_key(),
            kem_key: self.kem_public_key().ok_or(IdentityError::Seeds)?.clone(),
            predecessor: previous.map(Bundle::hash),
            reason,
            created,
        };
        payload.check().map_err(IdentityError::Rule)?;
        let bytes = payload.to_bytes();
        let envelope = self.signing.sign(Namespace::Bundle, &bytes)?;
        let rotation = old_key.map(|key| key.sign(Namespace::BundleRotation, &bytes)).transpose()?.unwrap_or_default();
        let bundle = Bundle::parse_and_verify(&Bundle::assemble(envelope, rotation))?;
        if let Some(previous) = previous {
            bundle.verify_successor(previous)?;
        }
        Ok(bundle)
    }

    /// The same identity, held once more; for a background task.
    pub fn duplicate(&self) -> Result<Self, IdentityError> {
        let seeds = self.seeds.iter().map(|(number, seed)| Ok((*number, seed.duplicate()?)));
        Ok(Self { header: self.header.clone(), signing: self.signing.duplicate(), seeds: seeds.collect::<Result<_, ProviderError>>()? })
    }
}

#[cfg(test)]
mod tests;
