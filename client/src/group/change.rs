//! Changing a group: the next head, signed, with the key sealed to those who need it.

use std::collections::BTreeMap;
use std::sync::Arc;

use ticrypt_api::Blob;
use ticrypt_api::grant::NewGrant;
use ticrypt_api::group::{GroupChangeRequest, GroupCreateRequest, GroupRenameRequest, GroupReply, GroupView};
use ticrypt_crypto::group::GroupHeadPayload;
use ticrypt_crypto::{Digest, Signed};
use ticrypt_keyring::SystemRandom;
use ticrypt_keyring::group::GroupSeed;
use ticrypt_types::limits::GROUP_CHANGES_MAX;
use ticrypt_types::{Compartment, GroupChange, GroupId, GroupPermissions, GroupStep, Operation, Title, UserId};

use super::Groups;
use super::chain::Chain;
use super::seals::Unsealed;
use crate::error::{ClientError, Result};
use crate::races::Races;
use crate::users::Person;
use crate::{clock, entropy};

/// Members that get a new key together with its head. The others get it right after: that somebody is out waits for no one.
pub(super) const FIRST_SEALS: usize = 64;

/// A group that is about to be made: its first head, which nobody has seen yet, and what its directory is signed with.
#[derive(Debug)]
pub struct Founding {
    pub group: GroupId,
    pub head: Signed<GroupHeadPayload>,
    pub seed: Arc<GroupSeed>,
    envelope: Vec<u8>,
}

/// What a head follows.
struct Before {
    group: GroupId,
    counter: u64,
    head: Digest,
    generation: u32,
}

impl Groups {
    /// Draws a group's key and signs its first head: oneself, the owner, and who else is in it from the beginning.
    pub async fn found(&self, people: &[(Person, GroupPermissions)]) -> Result<Founding> {
        let me = self.session.me();
        let seed = Arc::new(GroupSeed::generate(&SystemRandom::new()).map_err(no_key)?);
        let oneself = GroupStep::Add { bundle: me.hash().to_bytes(), permissions: GroupPermissions::ALL };
        let others = people.iter().map(|(person, permissions)| added(person, *permissions));
        let changes: Vec<GroupChange> = std::iter::once(GroupChange { user: me.user, step: oneself }).chain(others).collect();
        bounded(&changes)?;
        let group = GroupId::from_random(entropy::bytes()?);
        let payload = GroupHeadPayload {
            deployment: self.session.deployment_id(),
            group,
            counter: 1,
            previous: None,
            changes,
            generation: 1,
            key: Some(seed.public_key().clone()),
            wrapped: Vec::new(),
            writer: me.user,
            writer_bundle: me.hash(),
            at: clock::now(),
        };
        let (envelope, head) = self.session.sign_head(payload).await?;
        Ok(Founding { group, head, seed, envelope })
    }

    /// Sends a new group with its directory.
    pub async fn create(&self, name: Title, founding: Founding, root: NewGrant, root_head: Blob) -> Result<Vec<Unsealed>> {
        let Founding { group, head, seed, envelope } = founding;
        let chain = Chain::begin(group, head)?;
        let members: Vec<(UserId, [u8; 32])> = chain.roster().members().iter().map(|(user, member)| (*user, member.bundle)).collect();
        let (seals, unsealed) = self.seals(group, &Compartment::UNLOCKED, 1, &seed, members).await?;
        let request = GroupCreateRequest { group, name, head: Blob(envelope), seals, root, root_head };
        let _: GroupReply = self.session.call(Operation::GroupCreate, &[], &request).await?;
        self.saw(&chain)?;
        self.keep_seed(group, &Compartment::UNLOCKED, 1, &seed);
        Ok(unsealed)
    }

    /// Adds people, each with these permissions. Gives those to whom the key could not be sealed.
    pub async fn add(&self, group: GroupId, people: &[(Person, GroupPermissions)]) -> Result<Vec<Unsealed>> {
        self.change(group, people.iter().map(|(person, permissions)| added(person, *permissions)).collect()).await
    }

    /// Changes members; where somebody is taken out, the group's key is made anew. Tried again when somebody else was faster.
    pub async fn change(&self, group: GroupId, changes: Vec<GroupChange>) -> Result<Vec<Unsealed>> {
        bounded(&changes)?;
        let removes = changes.iter().any(|change| change.step == GroupStep::Remove);
        let mut races = Races::default();
        loop {
            match self.change_once(group, &changes, removes).await {
                Err(error) => races.again(error).await?,
                done => return done,
            }
        }
    }

    /// Makes the group's key anew: somebody who lost access holds the present one.
    pub async fn renew(&self, group: GroupId) -> Result<Vec<Unsealed>> {
        self.change_once(group, &[], true).await
    }

    async fn change_once(&self, group: GroupId, changes: &[GroupChange], renews: bool) -> Result<Vec<Unsealed>> {
        let group = self.load(group).await?;
        let newest = group.chain.newest();
        let before = Before { group: newest.group, counter: newest.counter, head: newest.record_hash(), generation: newest.generation };
        let mut payload = self.next_head(before, changes.to_vec());
        let mut roster = group.chain.roster().clone();
        // Refused here in the words of the rule, before anything is made.
        roster.apply(payload.writer, changes, renews).map_err(|denial| ClientError::refused(denial.code(), denial.to_string()))?;
        let (mut members, mut seed) = (BTreeMap::new(), None);
        if renews {
            let previous = self.seed(&group, payload.generation).await?;
            let next = Arc::new(GroupSeed::generate(&SystemRandom::new()).map_err(no_key)?);
            payload.generation = payload.generation.checked_add(1).ok_or_else(|| ClientError::broken("the group had too many keys"))?;
            payload.wrapped = next
                .wrap_previous(
                    &SystemRandom::new(),
                    &self.place(group.chain.group(), &Compartment::UNLOCKED, payload.generation),
                    &previous,
                )
                .map_err(no_key)?;
            payload.key = Some(next.public_key().clone());
            seed = Some(next);
            // Oneself first: without one's own seal nothing is taken. Who is inactive waits until they are not.
            let me = self.session.user();
            let own = roster.members().get(&me).map(|member| (me, member.bundle));
            members.extend(own);
            let rest = roster.members().iter().map(|(user, member)| (*user, member.bundle));
            members.extend(rest.take(FIRST_SEALS));
        } else {
            for change in changes {
                if let GroupStep::Add { bundle, .. } = change.step {
                    members.insert(change.user, bundle);
                    if seed.is_none() {
                        seed = match self.seed(&group, payload.generation).await {
                            Ok(seed) => Some(seed),
                            // One may add without holding the key; whoever holds it seals it.
                            Err(error) if error.code() == super::WAITING => None,
                            Err(error) => return Err(error),
                        };
                    }
                }
            }
        }
        let generation = payload.generation;
        let members: Vec<(UserId, [u8; 32])> = members.into_iter().collect();
        let (seals, mut unsealed) = match &seed {
            Some(seed) => self.seals(group.chain.group(), &Compartment::UNLOCKED, generation, seed, members).await?,
            None => (Vec::new(), Vec::new()),
        };
        let (envelope, head) = self.session.sign_head(payload).await?;
        let request = GroupChangeRequest { head: Blob(envelope), seals };
        let reply: GroupReply = self.session.call(Operation::GroupChange, &[&group.chain.group().to_string()], &request).await?;
        self.session.seen.check_and_raise(crate::state::SeenKind::Group, super::seen_id(head.group), head.counter, head.record_hash())?;
        if let Some(seed) = seed.filter(|_| renews) {
            self.keep_seed(group.chain.group(), &Compartment::UNLOCKED, generation, &seed);
        }
        // The others.
        if renews && reply.waiting > 0 {
            let group = self.load(group.chain.group()).await?;
            unsealed = self.fulfil(&group, &|_| ()).await?;
        }
        Ok(unsealed)
    }

    /// The next head with some changes, under the present key.
    fn next_head(&self, before: Before, changes: Vec<GroupChange>) -> GroupHeadPayload {
        let me = self.session.me();
        GroupHeadPayload {
            deployment: self.session.deployment_id(),
            group: before.group,
            counter: before.counter.saturating_add(1),
            previous: Some(before.head),
            changes,
            generation: before.generation,
            key: None,
            wrapped: Vec::new(),
            writer: me.user,
            writer_bundle: me.hash(),
            at: clock::now(),
        }
    }

    /// Leaves a group: also a locked one, of which no more is known than its newest head.
    pub async fn leave(&self, view: &GroupView) -> Result<()> {
        if !view.locked {
            self.load(view.group).await?;
        }
        let before = Before { group: view.group, counter: view.counter, head: Digest::new(view.head.0), generation: view.generation };
        let leaving = GroupChange { user: self.session.user(), step: GroupStep::Remove };
        let (envelope, _) = self.session.sign_head(self.next_head(before, vec![leaving])).await?;
        let request = GroupChangeRequest { head: Blob(envelope), seals: Vec::new() };
        let _: GroupReply = self.session.call(Operation::GroupChange, &[&view.group.to_string()], &request).await?;
        Ok(())
    }

    pub async fn rename(&self, view: &GroupView, name: Title) -> Result<()> {
        let request = GroupRenameRequest { revision: view.revision, name };
        let _: GroupReply = self.session.call(Operation::GroupRename, &[&view.group.to_string()], &request).await?;
        Ok(())
    }

    /// Deletes a group with all that is in it.
    pub async fn delete(&self, group: GroupId) -> Result<()> {
        self.session.call(Operation::GroupDelete, &[&group.to_string()], &()).await
    }
}

fn added(person: &Person, permissions: GroupPermissions) -> GroupChange {
    GroupChange { user: person.user, step: GroupStep::Add { bundle: person.bundle.hash().to_bytes(), permissions } }
}

fn bounded(changes: &[GroupChange]) -> Result<()> {
    if changes.len() > GROUP_CHANGES_MAX {
        return Err(ClientError::invalid(format!("at most {GROUP_CHANGES_MAX} people are changed at once; split it")));
    }
    Ok(())
}

pub(super) fn no_key(error: ticrypt_keyring::SealError) -> ClientError {
    ClientError::broken("the group's key could not be made; nothing was sent").because(error)
}
