//! A group's keys for what carries tags: read, verified head by head, begun anew, sealed to those who wait (docs/formats.md §12).
//!
//! ```text
//!   heads ─▶ signed by members on heads of the group ─▶ in the key log ─▶ each the next one ─▶ not older than seen ─▶ CompartmentKey
//! ```
//!
//! Whom such a key is sealed to: members by the group's heads and by those of the projects along the tags (security B4).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use ticrypt_api::Blob;
use ticrypt_api::group::{
    CompartmentReadReply, CompartmentReadRequest, CompartmentRenewRequest, CompartmentReply, CompartmentSealRequest, GroupSeal,
};
use ticrypt_crypto::compartment::CompartmentHeadPayload;
use ticrypt_crypto::{Digest, Signed};
use ticrypt_keyring::SystemRandom;
use ticrypt_keyring::group::{GenerationPlace, GroupSeed};
use ticrypt_types::limits::PROOFS_MAX;
use ticrypt_types::{Compartment, GroupId, GroupPermissions, NodeId, Operation, ProjectId, UserId};

use super::chain::{Chain, Generation, lie};
use super::change::{FIRST_SEALS, no_key};
use super::seals::{Ring, Unsealed};
use super::{Groups, unsigned};
use crate::clock;
use crate::error::{ClientError, Result};
use crate::keys::Batch;
use crate::project::{self, roster::Verified};
use crate::state::SeenKind;
use crate::vault::tree::moved_on;

/// The heads of a compartment, verified against those of its group.
#[derive(Clone, Debug)]
pub struct CompartmentChain {
    pub compartment: Compartment,
    newest: Signed<CompartmentHeadPayload>,
    /// In order from 1.
    generations: Vec<Generation>,
}

/// A compartment with what the server says beside its heads.
#[derive(Clone, Debug)]
pub struct CompartmentKey {
    pub chain: Arc<CompartmentChain>,
    /// Members of the group to whom the newest key is not sealed, and who may be active in the tags as the server has it.
    pub waiting: Vec<UserId>,
    /// Somebody who lost access holds the newest key, as the server has it.
    pub closed: bool,
    seal: Option<GroupSeal>,
}

impl CompartmentChain {
    /// The next head, or the first. The group's chain is at least as new as the server's answer.
    fn follow(before: Option<Self>, head: Signed<CompartmentHeadPayload>, group: &Chain) -> Result<Self> {
        match &before {
            Some(before) => head.verify_successor(&before.newest).map_err(|e| lie("a head of a tag's key does not follow").because(e))?,
            None if head.generation == 1 => {}
            None => return Err(lie("the first head of a tag's key is missing")),
        }
        if !group.contains(&head.authority) {
            return Err(moved_on());
        }
        let may_renew = |own: GroupPermissions| own != GroupPermissions::NONE;
        if !group.permissions_on(&head.authority, head.writer).is_some_and(may_renew) {
            return Err(lie("a tag's key was made anew by somebody who had no leave to"));
        }
        if before.as_ref().is_some_and(|before| group.is_before(&head.authority, &before.newest.authority)) {
            return Err(lie("a tag's key was made anew on an older state of the group than the one before"));
        }
        let (mut generations, compartment) = match before {
            Some(before) => (before.generations, before.compartment),
            None => (Vec::new(), head.compartment.clone()),
        };
        let (key, wrapped) = (head.key.clone(), head.wrapped.clone());
        generations.push(Generation { number: head.generation, key, wrapped, head: head.record_hash() });
        Ok(Self { compartment, newest: head, generations })
    }

    /// In order from 1.
    pub fn generations(&self) -> &[Generation] {
        &self.generations
    }

    /// The newest generation.
    pub fn generation(&self) -> Result<&Generation> {
        self.generations.last().ok_or_else(|| ClientError::broken("a compartment without a key"))
    }

    /// The generation that a head began.
    pub fn begun_by(&self, head: &Digest) -> Option<&Generation> {
        self.generations.iter().find(|generation| generation.head == *head)
    }

    /// Whether nobody left the group or was taken out since the newest key was made. The heads say so, whatever the server says.
    pub fn is_current(&self, group: &Chain) -> bool {
        !group.has_lost_since(&self.newest.authority)
    }
}

impl CompartmentKey {
    /// Whether something may be written under the newest key.
    pub fn is_open(&self, group: &Chain) -> bool {
        !self.closed && self.chain.is_current(group)
    }

    fn ring(&self, group: GroupId) -> Ring<'_> {
        Ring { group, compartment: &self.chain.compartment, generations: &self.chain.generations, seal: self.seal.as_ref() }
    }
}

impl Groups {
    /// Fetches what is new of a compartment and verifies it; `None` if it has no key yet.
    pub async fn compartment(&self, group: &Chain, compartment: &Compartment) -> Result<Option<CompartmentKey>> {
        let id = group.group();
        let mut chain: Option<CompartmentChain> = self.known_compartment(id, compartment).map(|known| (*known).clone());
        loop {
            let after = chain.as_ref().map_or(0, |chain| chain.newest.generation);
            let request = CompartmentReadRequest { compartment: compartment.clone(), after, prove: Vec::new() };
            let reply: CompartmentReadReply = self.session.call(Operation::CompartmentRead, &[&id.to_string()], &request).await?;
            for view in &reply.heads {
                let head: Signed<CompartmentHeadPayload> = self.session.verified_head(&view.head.0, &view.leaf).await?;
                if (head.group, &head.compartment) != (id, compartment) {
                    return Err(lie("a head is of another tag's key"));
                }
                chain = Some(CompartmentChain::follow(chain, head, group)?);
            }
            let Some(verified) = &chain else {
                return if reply.generation == 0 { Ok(None) } else { Err(lie("the heads of a tag's key are missing")) };
            };
            self.keep_compartment(id, verified)?;
            let reached = verified.newest.generation;
            if reached < reply.generation && !reply.heads.is_empty() {
                continue;
            }
            if reached != reply.generation {
                return Err(lie("the server says something else of a tag's key than its heads"));
            }
            // Nobody gets a seal for being named here.
            let waiting = reply.waiting.into_iter().filter(|member| group.roster().permissions(*member).is_some()).collect();
            return Ok(Some(CompartmentKey { chain: Arc::new(verified.clone()), waiting, closed: reply.closed, seal: reply.seal }));
        }
    }

    /// A compartment under whose newest key one may write: made if there is none, made anew if somebody who lost access holds it.
    pub async fn open_compartment(&self, group: &Chain, compartment: &Compartment) -> Result<CompartmentKey> {
        match self.compartment(group, compartment).await? {
            Some(key) if key.is_open(group) => Ok(key),
            before => {
                self.renew_compartment(group, compartment, before.as_ref()).await?;
                self.compartment(group, compartment).await?.ok_or_else(|| lie("the server does not show the key that was just made"))
            }
        }
    }

    /// Begins the next generation: sealed to oneself, and right after to the others who are to hold it.
    async fn renew_compartment(&self, group: &Chain, compartment: &Compartment, before: Option<&CompartmentKey>) -> Result<()> {
        let (me, id, random) = (self.session.me(), group.group(), SystemRandom::new());
        let seed = Arc::new(GroupSeed::generate(&random).map_err(no_key)?);
        let number = before.map_or(0, |before| before.chain.newest.generation);
        let generation = number.checked_add(1).ok_or_else(|| ClientError::broken("the tag had too many keys"))?;
        let wrapped = match before {
            None => Vec::new(),
            Some(before) => {
                let previous = self.open_seed(before.ring(id), number).await?;
                let place =
                    GenerationPlace { deployment: self.session.deployment_id(), group: id, compartment: compartment.clone(), generation };
                seed.wrap_previous(&random, &place, &previous).map_err(no_key)?
            }
        };
        let payload = CompartmentHeadPayload {
            deployment: self.session.deployment_id(),
            group: id,
            compartment: compartment.clone(),
            generation,
            previous: before.map(|before| before.chain.newest.record_hash()),
            key: seed.public_key().clone(),
            wrapped,
            authority: group.newest().record_hash(),
            writer: me.user,
            writer_bundle: me.hash(),
            at: clock::now(),
        };
        let own = (me.user, me.hash().to_bytes());
        let (seals, _) = self.seals(id, compartment, generation, &seed, vec![own]).await?;
        let head = self.session.keys.sign(Batch::CompartmentHeads(vec![payload])).await?.pop().ok_or_else(unsigned)?;
        let request = CompartmentRenewRequest { head: Blob(head), seals };
        let reply: CompartmentReply = self.session.call(Operation::CompartmentRenew, &[&id.to_string()], &request).await?;
        self.keep_seed(id, compartment, generation, &seed);
        if reply.waiting > 0
            && let Some(key) = self.compartment(group, compartment).await?
        {
            self.fulfil_compartment(group, &key, FIRST_SEALS).await?;
        }
        Ok(())
    }

    /// The seed of one of its generations.
    pub async fn compartment_seed(&self, group: &Chain, key: &CompartmentKey, generation: u32) -> Result<Arc<GroupSeed>> {
        self.open_seed(key.ring(group.group()), generation).await
    }

    /// Seals the newest key to at most so many who wait for it. Gives those who cannot be sealed to.
    pub async fn fulfil_compartment(&self, group: &Chain, key: &CompartmentKey, most: usize) -> Result<Vec<Unsealed>> {
        let generation = key.chain.generation()?.number;
        let members = group.roster().members();
        let bundle = |user: &UserId| Some((*user, members.get(user)?.bundle));
        let waiting: BTreeMap<UserId, [u8; 32]> = key.waiting.iter().filter_map(bundle).take(most).collect();
        if waiting.is_empty() {
            return Ok(Vec::new());
        }
        let seed = self.compartment_seed(group, key, generation).await?;
        let mut unsealed = Vec::new();
        for some in waiting.into_iter().collect::<Vec<_>>().chunks(PROOFS_MAX) {
            let people: Vec<UserId> = some.iter().map(|(user, _)| *user).collect();
            let proven = self.proven(group, key, people).await?;
            let (holders, others): (Vec<_>, Vec<_>) = some.iter().copied().partition(|(user, _)| proven.contains(user));
            unsealed.extend(others.into_iter().map(|(user, _)| self.not_proven(user)));
            let (seals, failed) = self.seals(group.group(), &key.chain.compartment, generation, &seed, holders).await?;
            unsealed.extend(failed);
            if !seals.is_empty() {
                let request = CompartmentSealRequest { compartment: key.chain.compartment.clone(), generation, seals };
                let _: CompartmentReply = self.session.call(Operation::CompartmentSeal, &[&group.group().to_string()], &request).await?;
            }
        }
        Ok(unsealed)
    }

    /// Those of some members of the group whom signed heads prove to be in every project along the tags, whoever the server says may be active in them.
    async fn proven(&self, group: &Chain, key: &CompartmentKey, people: Vec<UserId>) -> Result<BTreeSet<UserId>> {
        let compartment = key.chain.compartment.clone();
        let request = CompartmentReadRequest { compartment, after: key.chain.newest.generation, prove: people };
        let reply: CompartmentReadReply = self.session.call(Operation::CompartmentRead, &[&group.group().to_string()], &request).await?;
        let mut along: BTreeMap<ProjectId, Verified> = BTreeMap::new();
        for tag in request.compartment.tags() {
            match project::roster::line(&self.session, *tag).await {
                Ok(line) => along.extend(line.into_iter().map(|head| (head.project, head))),
                // Where nobody signed who is in it, nobody is proven to be.
                Err(error) if error.code() == project::roster::NO_HEADS => return Ok(BTreeSet::new()),
                Err(error) => return Err(error),
            }
        }
        let line: Vec<Verified> = along.into_values().collect();
        Ok(project::roster::proven(&line, &reply.proofs, clock::now())?.into_iter().collect())
    }

    fn not_proven(&self, user: UserId) -> Unsealed {
        let name = self.session.users.pins().get(user).ok().flatten().map(|pin| pin.name);
        let why = "no signed roster of the tag's project has them in it now; a manager of the project adds them, or somebody tries again";
        Unsealed { user, name, why: why.to_owned() }
    }

    fn keep_compartment(&self, group: GroupId, chain: &CompartmentChain) -> Result<()> {
        let newest = &chain.newest;
        let seen = seen_id(group, &chain.compartment);
        self.session.seen.check_and_raise(SeenKind::Group, seen, newest.generation.into(), newest.record_hash())?;
        self.compartments().insert((group, chain.compartment.clone()), Arc::new(chain.clone()));
        Ok(())
    }
}

/// Apart from the group itself and from its other compartments.
fn seen_id(group: GroupId, compartment: &Compartment) -> NodeId {
    let tags: Vec<u8> = compartment.tags().iter().flat_map(|tag| tag.to_bytes()).collect();
    let hash = Digest::of_parts(&[group.as_bytes(), &tags]).to_bytes();
    NodeId::from_random(hash.first_chunk().copied().unwrap_or_default())
}
