//! New seals for those who remain.

use std::collections::{BTreeSet, HashMap};

use ticrypt_api::grant::NewGrant;
use ticrypt_api::node::RekeyedNode;
use ticrypt_api::role::Caller;
use ticrypt_policy::Denial;
use ticrypt_policy::node::NodeFacts;
use ticrypt_store::grant::{Grant, GrantNew};

use crate::file::error::FileError;
use crate::file::grant::{Of, claimed, grant_new, is_of, sealed_len, to_bundle};
use crate::file::records::Reader;
use crate::file::{FileRole, Who, fit};

impl FileRole {
    /// New seals for everybody who holds a living share of the node, on unchanged terms, of keys that are really new.
    pub(super) async fn new_seals(
        &self,
        caller: &Caller,
        who: &Who,
        facts: &NodeFacts,
        node: &RekeyedNode,
        standing: &[Grant],
    ) -> Result<Vec<GrantNew>, FileError> {
        let mut living: HashMap<[u8; 32], &Grant> =
            standing.iter().filter(|grant| grant.is_living(caller.now)).map(|grant| (grant.hash, grant)).collect();
        let of = Of { node: facts.node, kind: facts.kind, owner: facts.owner, epoch: node.epoch };
        let mut reader = Reader::new(self.deployment, &who.signer, caller.now);
        let mut commitments = BTreeSet::new();
        let mut seals = Vec::with_capacity(node.grants.len());
        for new in &node.grants {
            let grant = reader.grant(&new.grant)?;
            sealed_len(&grant, &new.sealed)?;
            is_of(&grant, of)?;
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
            let recipient = self.store.user(grant.recipient).await?.ok_or(Denial::RecipientInactive)?;
            to_bundle(&grant, &*self.signers.load(&self.store, grant.recipient, recipient.bundle).await?)?;
            commitments.insert((grant.list_commitment, grant.tree_commitment));
            seals.push(grant_new(&grant, NewGrant { grant: new.grant.clone(), sealed: new.sealed.clone() }, caller.now));
        }
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
}
