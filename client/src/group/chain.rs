//! A group as its signed heads say, replayed from the first: nobody is a member, and no key the group's, but by these.

use std::collections::HashMap;
use std::sync::Arc;

use ticrypt_crypto::bundle::KemPublicKey;
use ticrypt_crypto::group::GroupHeadPayload;
use ticrypt_crypto::{Digest, Signed};
use ticrypt_policy::roster::Roster;
use ticrypt_types::{GroupId, GroupPermissions, GroupStep, UserId};

use crate::error::{ClientError, Result};

/// Where a generation of the group's key begins.
#[derive(Clone, Debug)]
pub struct Generation {
    pub number: u32,
    pub key: KemPublicKey,
    /// The seed of the one before, wrapped under this one's; empty for the first.
    pub wrapped: Vec<u8>,
    /// The head it begins with.
    pub head: Digest,
}

/// The heads of a group, each verified by its writer's key before it comes here, and held to the rules by which the server took it.
#[derive(Clone, Debug)]
pub struct Chain {
    newest: Signed<GroupHeadPayload>,
    roster: Roster,
    /// In order from 1; the last is the newest.
    generations: Vec<Generation>,
    /// All of them, the first first.
    past: Vec<Arc<Signed<GroupHeadPayload>>>,
    /// Counter and generation of every head, by its record hash.
    heads: HashMap<Digest, (u64, u32)>,
    /// From which counter on each person had which permissions; `None` for none.
    history: HashMap<UserId, Vec<(u64, Option<GroupPermissions>)>>,
    /// The counter of the newest head by which somebody went.
    lost: u64,
}

impl Chain {
    pub fn begin(group: GroupId, first: Signed<GroupHeadPayload>) -> Result<Self> {
        if first.group != group || first.counter != 1 {
            return Err(lie("its first head is missing"));
        }
        let roster =
            Roster::begin(first.writer, &first.changes).map_err(|why| lie(&format!("its first head is against the rules ({why})")))?;
        let (newest, generations) = (first.clone(), Vec::new());
        let mut chain = Self { newest, roster, generations, past: Vec::new(), heads: HashMap::new(), history: HashMap::new(), lost: 0 };
        chain.record(first);
        Ok(chain)
    }

    /// The next head.
    pub fn follow(&mut self, next: Signed<GroupHeadPayload>) -> Result<()> {
        next.verify_successor(&self.newest).map_err(|e| lie("a head does not follow the one before").because(e))?;
        let applied = self.roster.apply(next.writer, &next.changes, next.renews());
        applied.map_err(|why| lie(&format!("a member wrote what they had no leave to write ({why})")))?;
        self.record(next);
        Ok(())
    }

    fn record(&mut self, head: Signed<GroupHeadPayload>) {
        for user in head.changes.iter().map(|change| change.user) {
            self.history.entry(user).or_default().push((head.counter, self.roster.permissions(user)));
        }
        if head.changes.iter().any(|change| change.step == GroupStep::Remove) {
            self.lost = head.counter;
        }
        if let Some(key) = &head.key {
            let (key, wrapped) = (key.clone(), head.wrapped.clone());
            self.generations.push(Generation { number: head.generation, key, wrapped, head: head.record_hash() });
        }
        self.heads.insert(head.record_hash(), (head.counter, head.generation));
        self.past.push(Arc::new(head.clone()));
        self.newest = head;
    }

    pub fn group(&self) -> GroupId {
        self.newest.group
    }

    pub fn newest(&self) -> &Signed<GroupHeadPayload> {
        &self.newest
    }

    /// Every head, the first first: who changed what, and when.
    pub fn past(&self) -> &[Arc<Signed<GroupHeadPayload>>] {
        &self.past
    }

    pub fn roster(&self) -> &Roster {
        &self.roster
    }

    /// The newest generation.
    pub fn generation(&self) -> Result<&Generation> {
        self.generations.last().ok_or_else(|| ClientError::broken("a group without a key"))
    }

    /// One of the generations, from 1.
    pub fn generation_of(&self, number: u32) -> Option<&Generation> {
        self.generations.iter().find(|generation| generation.number == number)
    }

    /// The generation that was the newest on a head; `None` for a head that is not in the chain.
    pub fn generation_on(&self, head: &Digest) -> Option<&Generation> {
        self.heads.get(head).and_then(|(_, generation)| self.generation_of(*generation))
    }

    /// What somebody might do on a head, which later records name as their authority.
    pub fn permissions_on(&self, head: &Digest, user: UserId) -> Option<GroupPermissions> {
        let (counter, _) = self.heads.get(head)?;
        let steps = self.history.get(&user)?.iter().rev();
        steps.into_iter().find(|(since, _)| since <= counter).and_then(|(_, permissions)| *permissions)
    }

    /// Whether a head comes before another one; both are in the chain.
    pub fn is_before(&self, head: &Digest, other: &Digest) -> bool {
        let counter = |head| self.heads.get(head).map(|(counter, _)| *counter);
        counter(head) < counter(other)
    }

    /// Whether somebody left or was taken out after this head.
    pub fn has_lost_since(&self, head: &Digest) -> bool {
        self.heads.get(head).is_none_or(|(counter, _)| self.lost > *counter)
    }

    /// In order from 1.
    pub fn generations(&self) -> &[Generation] {
        &self.generations
    }

    pub fn contains(&self, head: &Digest) -> bool {
        self.heads.contains_key(head)
    }
}

/// What the server shows of a group is not what its members signed.
pub(super) fn lie(what: &str) -> ClientError {
    crate::heads::lie("the group", what)
}

#[cfg(test)]
mod tests;
