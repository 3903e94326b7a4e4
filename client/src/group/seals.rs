//! The group's key: opened as it is sealed to oneself, and sealed to others.

use std::sync::{Arc, PoisonError};

use futures::stream::{self, StreamExt};
use ticrypt_api::group::{GroupReply, GroupSeal, GroupSealRequest, NewGroupSeal};
use ticrypt_api::{Blob, Hash};
use ticrypt_crypto::Digest;
use ticrypt_crypto::bundle::Bundle;
use ticrypt_crypto::group::GroupSealTerms;
use ticrypt_keyring::SystemRandom;
use ticrypt_keyring::group::{GenerationPlace, GroupSeed, seal};
use ticrypt_types::limits::GROUP_SEALS_MAX;
use ticrypt_types::{Compartment, GroupId, Operation, UserId, UserName};

use super::chain::{Generation, lie};
use super::{Group, Groups, WAITING};
use crate::error::{ClientError, Result};
use crate::keys::SealedSeed;

/// People looked up at once.
const LOOK_UPS: usize = 8;

/// Somebody to whom the key was not sealed, and why.
#[derive(Clone, Debug)]
pub struct Unsealed {
    pub user: UserId,
    pub name: Option<UserName>,
    pub why: String,
}

/// One of a group's keys: its generations, out of verified heads, and the newest seed of it that is sealed to oneself.
pub(super) struct Ring<'a> {
    pub group: GroupId,
    pub compartment: &'a Compartment,
    pub generations: &'a [Generation],
    pub seal: Option<&'a GroupSeal>,
}

impl Groups {
    /// The seed of a generation; who was added after it holds it as well.
    pub async fn seed(&self, group: &Group, generation: u32) -> Result<Arc<GroupSeed>> {
        let (id, generations) = (group.chain.group(), group.chain.generations());
        self.open_seed(Ring { group: id, compartment: &Compartment::UNLOCKED, generations, seal: group.seal.as_ref() }, generation).await
    }

    pub(super) async fn open_seed(&self, ring: Ring<'_>, generation: u32) -> Result<Arc<GroupSeed>> {
        let Ring { group, compartment, generations, seal } = ring;
        if let Some(known) = self.known_seed(group, compartment, generation) {
            return Ok(known);
        }
        let seal = seal.filter(|seal| seal.generation >= generation).ok_or_else(waiting)?;
        let numbered = |number: u32| generations.iter().find(|generation| generation.number == number);
        let own = numbered(seal.generation).ok_or_else(|| lie("its key is sealed for a generation that it does not have"))?;
        let me = self.session.me();
        let terms = GroupSealTerms {
            deployment: self.session.deployment_id(),
            group,
            compartment: compartment.clone(),
            generation: seal.generation,
            member: me.user,
            bundle: Digest::new(seal.bundle.0),
            bundle_generation: seal.bundle_generation,
        };
        let sealed = SealedSeed { terms, sealed: seal.sealed.0.clone(), key: own.key.clone() };
        let mut seed = Arc::new(self.session.keys.open_group_seal(sealed).await?);
        let mut at = own;
        // Each generation's seed wraps the one before it.
        while at.number > generation {
            let before = at.number.checked_sub(1).and_then(numbered);
            let before = before.ok_or_else(|| lie("a generation of its key is missing"))?;
            let opened = seed.open_previous(&self.place(group, compartment, at.number), &at.wrapped, &before.key);
            seed = Arc::new(opened.map_err(|e| lie("an older key of it does not open").because(e))?);
            at = before;
        }
        self.keep_seed(group, compartment, generation, &seed);
        Ok(seed)
    }

    pub(super) fn place(&self, group: GroupId, compartment: &Compartment, generation: u32) -> GenerationPlace {
        GenerationPlace { deployment: self.session.deployment_id(), group, compartment: compartment.clone(), generation }
    }

    fn known_seed(&self, group: GroupId, compartment: &Compartment, generation: u32) -> Option<Arc<GroupSeed>> {
        self.seeds.lock().unwrap_or_else(PoisonError::into_inner).get(&(group, compartment.clone(), generation)).cloned()
    }

    pub(super) fn keep_seed(&self, group: GroupId, compartment: &Compartment, generation: u32, seed: &Arc<GroupSeed>) {
        let mut seeds = self.seeds.lock().unwrap_or_else(PoisonError::into_inner);
        seeds.insert((group, compartment.clone(), generation), Arc::clone(seed));
    }

    /// A member's present key, which comes by rotations from the one they were added with. Whoever lost theirs is taken out and added again.
    pub(super) async fn present_key(&self, user: UserId, added: [u8; 32]) -> Result<Arc<Bundle>> {
        if user == self.session.user() {
            return Ok(Arc::new(self.session.me().bundle.clone()));
        }
        let added = self.session.users.bundle(&Digest::new(added)).await?;
        if added.payload().user != user {
            return Err(lie("a member was added with somebody else's key"));
        }
        // Looked up, the person's newest key is held to the pin, and so to the key before.
        let person = self.session.users.lookup_met(&added.payload().name, &added.hash()).await?;
        if person.user == user { Ok(person.bundle) } else { Err(lie("the server shows another person under a member's name")) }
    }

    /// Seals of a generation, each to the present key of a member. Who cannot be sealed to waits, and is told of.
    pub(super) async fn seals(
        &self,
        group: GroupId,
        compartment: &Compartment,
        generation: u32,
        seed: &Arc<GroupSeed>,
        members: Vec<(UserId, [u8; 32])>,
    ) -> Result<(Vec<NewGroupSeal>, Vec<Unsealed>)> {
        let (mut jobs, mut unsealed) = (Vec::with_capacity(members.len()), Vec::new());
        let looked_up = members.into_iter().map(|(user, added)| async move { (user, self.present_key(user, added).await) });
        let mut looked_up = stream::iter(looked_up).buffered(LOOK_UPS);
        while let Some((user, bundle)) = looked_up.next().await {
            match bundle {
                Ok(bundle) => jobs.push(bundle),
                Err(error) => {
                    let name = self.session.users.pins().get(user).ok().flatten().map(|pin| pin.name);
                    unsealed.push(Unsealed { user, name, why: error.to_string() });
                }
            }
        }
        let (deployment, compartment, seed) = (self.session.deployment_id(), compartment.clone(), Arc::clone(seed));
        let sealing = tokio::task::spawn_blocking(move || {
            let random = SystemRandom::new();
            let one = |bundle: &Arc<Bundle>| {
                let payload = bundle.payload();
                let terms = GroupSealTerms {
                    deployment,
                    group,
                    compartment: compartment.clone(),
                    generation,
                    member: payload.user,
                    bundle: bundle.hash(),
                    bundle_generation: payload.generation,
                };
                let sealed = seal(&random, bundle, &terms, &seed)?;
                let bundle = Hash(terms.bundle.to_bytes());
                Ok(NewGroupSeal { member: terms.member, bundle, bundle_generation: terms.bundle_generation, sealed: Blob(sealed) })
            };
            jobs.iter().map(one).collect::<Result<Vec<_>, ticrypt_keyring::SealError>>()
        });
        let sealed = sealing.await.map_err(|e| ClientError::broken("sealing was cut off; try again").because(e))?;
        let sealed = sealed.map_err(|e| ClientError::broken("the group's key could not be sealed; nothing was sent").because(e))?;
        Ok((sealed, unsealed))
    }

    /// Seals the newest key to members who wait for it; `step` is told how many were done. Gives those who cannot be sealed to.
    pub async fn fulfil(&self, group: &Group, step: &(dyn Fn(usize) + Send + Sync)) -> Result<Vec<Unsealed>> {
        let mut group = group.clone();
        let mut unsealed: Vec<Unsealed> = Vec::new();
        loop {
            let members = group.chain.roster().members();
            let open = group.waiting.iter().filter(|user| !unsealed.iter().any(|known| known.user == **user));
            let some: Vec<(UserId, [u8; 32])> =
                open.filter_map(|user| Some((*user, members.get(user)?.bundle))).take(GROUP_SEALS_MAX).collect();
            if some.is_empty() {
                return Ok(unsealed);
            }
            let generation = group.chain.generation()?.number;
            let seed = self.seed(&group, generation).await?;
            let (seals, failed) = self.seals(group.chain.group(), &Compartment::UNLOCKED, generation, &seed, some).await?;
            unsealed.extend(failed);
            if seals.is_empty() {
                return Ok(unsealed);
            }
            let done = seals.len();
            let request = GroupSealRequest { generation, seals };
            let _: GroupReply = self.session.call(Operation::GroupSeal, &[&group.chain.group().to_string()], &request).await?;
            step(done);
            group = self.load(group.chain.group()).await?;
        }
    }
}

fn waiting() -> ClientError {
    ClientError::refused(
        WAITING,
        "you are a member and wait for the group's key: the next member whose program runs seals it to you; ask one to run `ticrypt group seal`",
    )
}
