//! New seals for those who remain.

use std::collections::{BTreeSet, HashMap};

use ticrypt_api::grant::NewGrant;
use ticrypt_api::node::RekeyedNode;
use ticrypt_api::role::Caller;
use ticrypt_crypto::grant::GrantPayload;
use ticrypt_crypto::{Digest, Signed};
use ticrypt_policy::Denial;
use ticrypt_policy::node::NodeFacts;
use ticrypt_store::grant::{Grant, GrantNew};
use ticrypt_types::{Compartment, GroupId, Timestamp, Verbs};

use super::standing::NodeStanding;
use crate::file::error::FileError;
use crate::file::grant::{Of, claimed, grant_new, is_of, sealed_len, to_bundle};
use crate::file::records::Reader;
use crate::file::{FileRole, Who, fit};

impl FileRole {
    /// New seals for everybody who holds a living share of the node, on unchanged terms, of keys that are really new; and where the keys
    /// become the node's own, a first one for its owner. Where they cease to be, the owner's ends.
    pub(super) async fn new_seals(
        &self,
        caller: &Caller,
        who: &Who,
        facts: &NodeFacts,
        node: &RekeyedNode,
        stands: &NodeStanding,
    ) -> Result<Vec<GrantNew>, FileError> {
        let mut living: HashMap<[u8; 32], &Grant> =
            stands.grants.iter().filter(|grant| grant.is_living(caller.now)).map(|grant| (grant.hash, grant)).collect();
        let (begins, ends) = (stands.are_own && !facts.has_own_keys(), facts.has_own_keys() && !stands.are_own);
        if ends {
            living.retain(|_, grant| grant.recipient != facts.owner);
        }
        let mut first = None;
        let of = Of { node: facts.node, kind: facts.kind, owner: facts.owner, epoch: node.epoch };
        let mut reader = Reader::new(self.deployment, &who.signer, caller.now);
        let mut commitments = BTreeSet::new();
        let mut seals = Vec::with_capacity(node.grants.len());
        for new in &node.grants {
            let grant = reader.grant(&new.grant)?;
            sealed_len(&grant, &new.sealed)?;
            is_of(&grant, of)?;
            if begins && first.is_none() && grant.predecessor.is_none() && grant.recipient == facts.owner {
                match facts.group {
                    Some(group) => {
                        fit::authority(facts, &who.actor, grant.authority, caller.now)?;
                        self.to_present_key(&grant, group.group, facts, stands).await?;
                    }
                    None if (grant.verbs, grant.expires, grant.authority) == (Verbs::ALL, Timestamp::ABSENT, None) => {
                        self.to_present_bundle(&grant).await?;
                    }
                    None => {
                        return Err(FileError::unfit(
                            "own_seal",
                            "an owner seals the keys to themselves with every right and for ever; seal them so",
                        ));
                    }
                }
                commitments.insert((grant.list_commitment, grant.tree_commitment));
                first = Some(grant_new(&grant, NewGrant { grant: new.grant.clone(), sealed: new.sealed.clone() }, caller.now));
                continue;
            }
            let before = grant.predecessor.and_then(|hash| living.remove(&hash.to_bytes()));
            let before = before
                .ok_or_else(|| FileError::unfit("rekey_grants", "a new seal replaces no living share of the node; load them again"))?;
            if (grant.recipient, grant.verbs, grant.expires) != (before.recipient, before.verbs, before.expires) {
                return Err(FileError::unfit("rekey_terms", "a new seal changes the terms of the share; keep recipient, verbs and expiry"));
            }
            let old = claimed(before)?;
            if old.list_commitment == grant.list_commitment || old.tree_commitment == grant.tree_commitment {
                return Err(FileError::unfit("rekey_keys", "the new seals carry an old key; make new ones"));
            }
            fit::authority(facts, &who.actor, grant.authority, caller.now)?;
            match facts.group {
                Some(group) => self.to_present_key(&grant, group.group, facts, stands).await?,
                None => self.to_present_bundle(&grant).await?,
            }
            commitments.insert((grant.list_commitment, grant.tree_commitment));
            seals.push(grant_new(&grant, NewGrant { grant: new.grant.clone(), sealed: new.sealed.clone() }, caller.now));
        }
        if begins && first.is_none() {
            return Err(FileError::unfit(
                "own_seal",
                "what is tagged has keys of its own, and its owner got no seal of them; seal them to yourself",
            ));
        }
        seals.extend(first);
        if commitments.len() > 1 {
            return Err(FileError::unfit("grant_commitment", "the new seals commit to different keys; seal the same to everybody"));
        }
        if !living.is_empty() {
            return Err(FileError::unfit(
                "rekey_grants",
                "somebody who holds a share got no new seal; seal the new keys to everybody who remains",
            ));
        }
        Ok(seals)
    }

    /// To the newest key that the group has for this: of its directory the group's own, of what is tagged in it the one of its compartment.
    /// Where somebody who lost access holds that, a newer one comes first.
    async fn to_present_key(
        &self,
        grant: &Signed<GrantPayload>,
        group: GroupId,
        facts: &NodeFacts,
        stands: &NodeStanding,
    ) -> Result<(), FileError> {
        let (generation, head) = if facts.parent.is_none() {
            let own = self.store.group(group).await?.filter(|own| !own.key_lost).ok_or(FileError::Stale)?;
            (own.generation, own.key_head)
        } else {
            let compartment = Compartment::of(stands.carried.iter().copied()).map_err(|_| Denial::TooManyTags)?;
            let key = self.store.compartment(group, &compartment).await?.filter(|key| !key.key_lost).ok_or(FileError::Stale)?;
            (key.generation, key.head)
        };
        let fits = grant.verify_of_group(group, generation, &Digest::new(head));
        fits.map_err(|error| FileError::unfit("grant_group", error.to_string()))
    }

    async fn to_present_bundle(&self, grant: &Signed<GrantPayload>) -> Result<(), FileError> {
        let recipient = self.store.user(grant.recipient).await?.ok_or(Denial::RecipientInactive)?;
        to_bundle(grant, &*self.signers.load(&self.store, grant.recipient, recipient.bundle).await?)
    }
}
