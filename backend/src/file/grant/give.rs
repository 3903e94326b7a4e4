//! Giving a share, or freer terms to somebody who has one.

use std::collections::HashSet;

use ticrypt_api::ApiError;
use ticrypt_api::grant::GrantCreateRequest;
use ticrypt_api::role::{Caller, Reply};
use ticrypt_crypto::Signed;
use ticrypt_crypto::grant::GrantPayload;
use ticrypt_policy::grant::{GrantTerms, may_create_grant};
use ticrypt_policy::permit::GrantCreate;
use ticrypt_policy::{Denial, Permit};
use ticrypt_store::grant::{Grant, GrantNew};
use ticrypt_types::{NodeId, Operation, UserId, UserState};

use super::super::FileRole;
use super::super::audited::{Plan, event, with};
use super::super::error::FileError;
use super::super::place::epoch;
use super::super::records::Reader;
use super::{Of, commits_like, grant_new, is_of, outlasts, sealed_len, to_bundle};

/// Recipients of one node in one request.
const RECIPIENTS_MAX: usize = 100;

type Planned = Plan<Vec<(Permit<GrantCreate>, GrantNew)>, ()>;

impl FileRole {
    pub(crate) async fn grant_create(&self, caller: &Caller, request: GrantCreateRequest) -> Result<Reply<()>, ApiError> {
        let plan = self.plan_grants(caller, request).await;
        let mut row = event(caller, Operation::GrantCreate, None);
        if let Ok(Plan::Do(grants)) = &plan {
            let nodes: HashSet<NodeId> = grants.iter().map(|(_, grant)| grant.node).collect();
            row.subjects.extend(nodes.into_iter().map(NodeId::to_bytes));
            row.subjects.extend(grants.iter().map(|(_, grant)| grant.recipient.to_bytes()));
            row = with(row, "grants", grants.len());
        }
        let store = self.store.clone();
        self.change(row, plan, move |grants: Vec<(Permit<GrantCreate>, GrantNew)>| async move {
            let all = store.write(move |tx| {
                Box::pin(async move {
                    for (permit, grant) in grants {
                        tx.insert_grant(permit, grant).await?;
                    }
                    Ok(())
                })
            });
            Ok(all.await?)
        })
        .await
    }

    async fn plan_grants(&self, caller: &Caller, request: GrantCreateRequest) -> Result<Planned, FileError> {
        if request.grants.is_empty() || request.grants.len() > RECIPIENTS_MAX {
            return Err(FileError::Bound("a request shares one node with 1 to 100 people; split it"));
        }
        let who = self.who(caller).await?;
        let mut reader = Reader::new(self.deployment, &who.signer, caller.now);
        let mut grants = Vec::with_capacity(request.grants.len());
        for new in request.grants {
            let grant = reader.grant(&new.grant)?;
            sealed_len(&grant, &new.sealed)?;
            grants.push((grant, new));
        }
        let Some(node) = one_node(&grants) else {
            return Err(FileError::Bound("a request shares one node, and with nobody twice; split it"));
        };
        let facts = self.facts_of(&who.actor, node).await?;
        let standing = self.store.grants_on(&[node]).await?;
        if grants.iter().all(|(grant, _)| standing.iter().any(|old| old.hash == grant.record_hash().to_bytes())) {
            facts.access(&who.actor, caller.now)?;
            return Ok(Plan::Again(()));
        }
        let of = Of { node, kind: facts.kind, owner: facts.owner, epoch: epoch(facts.epoch)? };
        let mut plan = Vec::with_capacity(grants.len());
        for (grant, new) in grants {
            let recipient = self.store.user(grant.recipient).await?;
            let active = recipient.as_ref().is_some_and(|user| user.state == UserState::Active);
            let terms = GrantTerms {
                recipient: grant.recipient,
                recipient_active: active,
                verbs: grant.verbs,
                expires: grant.expires,
                authority: grant.authority.map(ticrypt_crypto::Digest::to_bytes),
            };
            let permit = may_create_grant(&who.actor, &facts, &terms, caller.now)?;
            is_of(&grant, of)?;
            let recipient = recipient.ok_or(Denial::RecipientInactive)?;
            to_bundle(&grant, &*self.signers.load(&self.store, grant.recipient, recipient.bundle).await?)?;
            let living: Vec<Grant> = standing.iter().filter(|old| old.ended.is_none()).cloned().collect();
            commits_like(&grant, &living)?;
            replaces(&grant, &living, who.actor.user)?;
            plan.push((permit, grant_new(&grant, new, caller.now)));
        }
        // Replacing a share counts as a loss, after which decisions made before are stale: at most one, and last.
        plan.sort_by_key(|(_, grant)| grant.predecessor.is_some());
        if plan.iter().filter(|(_, grant)| grant.predecessor.is_some()).count() > 1 {
            return Err(FileError::Bound("a request replaces at most one share; send the others one by one"));
        }
        Ok(Plan::Do(plan))
    }
}

/// The node of all, if it is one and nobody is named twice.
fn one_node<T>(grants: &[(Signed<GrantPayload>, T)]) -> Option<NodeId> {
    let node = grants.first()?.0.node;
    let mut people: HashSet<UserId> = HashSet::new();
    grants.iter().all(|(grant, _)| grant.node == node && people.insert(grant.recipient)).then_some(node)
}

/// A grant that replaces another gives the same person no less: to take away, end the share and give a new one, so that what
/// rests on it ends and new keys are made.
fn replaces(grant: &Signed<GrantPayload>, living: &[Grant], caller: UserId) -> Result<(), FileError> {
    let Some(hash) = grant.predecessor else { return Ok(()) };
    let before = living.iter().find(|old| old.hash == hash.to_bytes()).ok_or(FileError::Stale)?;
    if before.recipient != grant.recipient {
        return Err(FileError::unfit("grant_predecessor", "the grant replaces one for somebody else; name the recipient's own"));
    }
    if before.sealer != caller && before.owner != caller {
        return Err(Denial::NotYours.into());
    }
    if !grant.verbs.contains(before.verbs) || outlasts(before.expires, grant.expires) {
        return Err(FileError::unfit("grant_takes_away", "the grant gives less than the one it replaces; end that share first"));
    }
    Ok(())
}
