//! Ending a share: by its sealer or the owner with a signed revocation, or by the recipient, who leaves.
//!
//! What rests on it ends with it, and the nodes are closed: nothing is written below them until there are new keys (security B5).

use ticrypt_api::ApiError;
use ticrypt_api::grant::{GrantEndReply, GrantRevokeRequest};
use ticrypt_api::role::{Caller, Reply};
use ticrypt_policy::grant::{may_leave, may_revoke};
use ticrypt_policy::permit::{GrantLeave, GrantRevoke};
use ticrypt_policy::{Denial, Permit};
use ticrypt_store::grant::{EndGrant, Grant};
use ticrypt_types::{GrantId, Operation, Timestamp, UserId};

use super::super::FileRole;
use super::super::audited::{Plan, event_about};
use super::super::error::FileError;
use super::super::records::Reader;

/// A grant that is to end, with the leave to end it.
struct Ending<V: ticrypt_policy::Verb> {
    permit: Permit<V>,
    grant: Grant,
    /// The signed revocation; empty when the recipient leaves.
    revocation: Vec<u8>,
}

impl FileRole {
    pub(crate) async fn grant_revoke(
        &self,
        caller: &Caller,
        grant: GrantId,
        request: GrantRevokeRequest,
    ) -> Result<Reply<GrantEndReply>, ApiError> {
        let plan = self.plan_revoke(caller, grant, request).await;
        let node = ending_node(&plan);
        let row = event_about(caller, Operation::GrantRevoke, node.into_iter().chain([grant.to_bytes()]));
        let (role, by, at) = (self.clone(), caller.user, caller.now);
        self.change(row, plan, move |ending: Ending<GrantRevoke>| async move {
            let fallen = role.resting_on(&ending.grant).await?;
            let mut ends = vec![EndGrant { permit: ending.permit, revocation: ending.revocation.clone(), by }];
            ends.extend(role.falling(&fallen, &ending.revocation, by, at).await?);
            role.store.end_grants(ends, at).await?;
            role.after_end(ending.grant, fallen, &ending.revocation, by, at).await
        })
        .await
    }

    async fn plan_revoke(
        &self,
        caller: &Caller,
        id: GrantId,
        request: GrantRevokeRequest,
    ) -> Result<Plan<Ending<GrantRevoke>, GrantEndReply>, FileError> {
        let who = self.who(caller).await?;
        let grant = self.store.grant(id).await?.ok_or(Denial::NotFound)?;
        let facts = self.facts_of(&who.actor, grant.node).await?;
        let permit = may_revoke(&who.actor, &facts, &grant.facts(), caller.now)?;
        let revocation = Reader::new(self.deployment, &who.signer, caller.now).revocation(&request.revocation)?;
        let of = (revocation.grant, revocation.grant_hash.to_bytes(), revocation.node);
        if of != (grant.id, grant.hash, grant.node) {
            return Err(FileError::unfit("revocation_grant", "the revocation is of another grant; sign one of this"));
        }
        Ok(Plan::Do(Ending { permit, grant, revocation: request.revocation.0 }))
    }

    pub(crate) async fn grant_leave(&self, caller: &Caller, grant: GrantId) -> Result<Reply<GrantEndReply>, ApiError> {
        let plan = self.plan_leave(caller, grant).await;
        let node = ending_node(&plan);
        let row = event_about(caller, Operation::GrantLeave, node.into_iter().chain([grant.to_bytes()]));
        let (role, by, at) = (self.clone(), caller.user, caller.now);
        self.change(row, plan, move |Ending { permit, grant, .. }: Ending<GrantLeave>| async move {
            let fallen = role.resting_on(&grant).await?;
            let ends = role.falling(&fallen, &[], by, at).await?;
            let both = role.store.write(move |tx| {
                Box::pin(async move {
                    // Leaving is the session's word, not a signed record: nobody else's rights rest on a signature here.
                    tx.leave_grant(permit, Vec::new(), at).await?;
                    tx.end_grants(ends, at).await
                })
            });
            both.await?;
            role.after_end(grant, fallen, &[], by, at).await
        })
        .await
    }

    async fn plan_leave(&self, caller: &Caller, id: GrantId) -> Result<Plan<Ending<GrantLeave>, GrantEndReply>, FileError> {
        let actor = self.actor(caller).await?;
        let grant = self.store.grant(id).await?.ok_or(Denial::NotFound)?;
        let facts = self.facts_of(&actor, grant.node).await?;
        let permit = may_leave(&actor, &facts, &grant.facts(), caller.now)?;
        Ok(Plan::Do(Ending { permit, grant, revocation: Vec::new() }))
    }

    /// Voids tickets, and ends what was given on the fallen shares while they fell: from now on nobody can give more.
    async fn after_end(
        &self,
        grant: Grant,
        mut fallen: Vec<Grant>,
        revocation: &[u8],
        by: UserId,
        at: Timestamp,
    ) -> Result<GrantEndReply, FileError> {
        loop {
            self.losses.record(fallen.iter().map(|grant| grant.recipient).chain([grant.recipient]));
            let late = self.resting_on(&grant).await?;
            if late.is_empty() {
                return Ok(GrantEndReply { node: grant.node, ended: u32::try_from(fallen.len() + 1).unwrap_or(u32::MAX) });
            }
            let ends = self.falling(&late, revocation, by, at).await?;
            self.store.end_grants(ends, at).await?;
            fallen.extend(late);
        }
    }
}

fn ending_node<V: ticrypt_policy::Verb, T>(plan: &Result<Plan<Ending<V>, T>, FileError>) -> Option<[u8; 16]> {
    match plan {
        Ok(Plan::Do(ending)) => Some(ending.grant.node.to_bytes()),
        _ => None,
    }
}
