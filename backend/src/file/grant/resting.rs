//! What rests on a share: everything given under it, and under that, and so on.
//!
//! ```text
//!   owner ──▶ a colleague ──▶ another ──▶ a third          ending the first ends all
//! ```
//!
//! New keys replace a share by one on the same terms, sealed by whoever made the keys. Such a seal gives nothing: what counts is
//! the authority of the share that first gave those terms, wherever it stands in the chain of predecessors.

use std::collections::{HashMap, HashSet};

use ticrypt_policy::Actor;
use ticrypt_policy::grant::may_revoke;
use ticrypt_store::grant::{EndGrant, Grant};
use ticrypt_types::{Timestamp, UserId, UserState};

use super::super::FileRole;
use super::super::error::FileError;

/// Grants by record hash.
type Known = HashMap<[u8; 32], Grant>;

impl FileRole {
    /// Grants not ended that rest on this one, in no order; itself not among them.
    pub(super) async fn resting_on(&self, grant: &Grant) -> Result<Vec<Grant>, FileError> {
        let tree = self.store.subtree(grant.node).await?;
        let known: Known = self.store.grants_on(&tree).await?.into_iter().map(|grant| (grant.hash, grant)).collect();
        let mut fallen: HashSet<[u8; 32]> = HashSet::new();
        self.fall(grant, &known, &mut fallen).await?;
        let mut resting: HashMap<[u8; 32], Grant> = HashMap::new();
        loop {
            let mut found = Vec::new();
            for candidate in known.values().filter(|grant| grant.ended.is_none() && !fallen.contains(&grant.hash)) {
                if self.rests_in(candidate, &known, &fallen).await? {
                    found.push(candidate.clone());
                }
            }
            // What was given on a node that has been moved elsewhere since.
            for hash in fallen.clone() {
                for candidate in self.store.grants_resting_on(&hash).await? {
                    if !fallen.contains(&candidate.hash) && self.rests_in(&candidate, &known, &fallen).await? {
                        found.push(candidate);
                    }
                }
            }
            if found.is_empty() {
                return Ok(resting.into_values().collect());
            }
            for candidate in found {
                self.fall(&candidate, &known, &mut fallen).await?;
                resting.insert(candidate.hash, candidate);
            }
        }
    }

    /// A share falls with all that it replaced: others may name any of them as their authority.
    async fn fall(&self, grant: &Grant, known: &Known, fallen: &mut HashSet<[u8; 32]>) -> Result<(), FileError> {
        let mut step = Some(grant.clone());
        while let Some(grant) = step {
            if !fallen.insert(grant.hash) {
                break;
            }
            step = self.before(&grant, known).await?;
        }
        Ok(())
    }

    async fn rests_in(&self, grant: &Grant, known: &Known, fallen: &HashSet<[u8; 32]>) -> Result<bool, FileError> {
        let mut giving = grant.clone();
        while let Some(before) = self.before(&giving, known).await? {
            if (before.verbs, before.expires) != (giving.verbs, giving.expires) {
                break;
            }
            giving = before;
        }
        Ok(giving.authority.is_some_and(|authority| fallen.contains(&authority)))
    }

    async fn before(&self, grant: &Grant, known: &Known) -> Result<Option<Grant>, FileError> {
        let Some(hash) = grant.predecessor else { return Ok(None) };
        match known.get(&hash) {
            Some(before) => Ok(Some(before.clone())),
            None => Ok(self.store.grant_by_hash(&hash).await?),
        }
    }

    /// Each falls in the owner's name: a rule of the tree ends it, not a decision of whoever ended the first, and it does so
    /// whatever the owner's account is doing just now.
    pub(super) async fn falling(&self, fallen: &[Grant], revocation: &[u8], by: UserId, at: Timestamp) -> Result<Vec<EndGrant>, FileError> {
        let mut ends = Vec::with_capacity(fallen.len());
        for grant in fallen {
            let owner = self.store.user(grant.owner).await?.ok_or(FileError::Corrupt("a tree without its owner's account"))?;
            let actor =
                Actor { state: UserState::Active, disabled_until: Timestamp::ABSENT, ..self.store.actor(&owner, owner.epoch, at).await? };
            let facts = self.facts_of(&actor, grant.node).await?;
            ends.push(EndGrant { permit: may_revoke(&actor, &facts, &grant.facts(), at)?, revocation: revocation.to_vec(), by });
        }
        Ok(ends)
    }
}
