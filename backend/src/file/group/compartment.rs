//! Keys of a group for what carries tags (security B4): handed out, begun anew, sealed to those who wait.
//!
//! ```text
//!   head ─▶ signed by the caller, on the group's newest head, follows the stored one ─▶ may they, and those it is sealed to? (policy: compartment)
//!        ─▶ seals fit ─▶ opening row ─▶ leaf of the key log ─▶ one transaction: head, seals
//! ```

use std::collections::BTreeSet;

use ticrypt_api::group::{
    CompartmentReadReply, CompartmentReadRequest, CompartmentRenewRequest, CompartmentReply, CompartmentSealRequest, NewGroupSeal,
};
use ticrypt_api::project::MemberProof;
use ticrypt_api::role::{Caller, KeyEventKind, Reply};
use ticrypt_api::{ApiError, Blob};
use ticrypt_crypto::compartment::CompartmentHeadPayload;
use ticrypt_crypto::{Digest, Signed};
use ticrypt_policy::compartment::{CompartmentFacts, may_read_compartment, may_renew_compartment, may_seal_compartment};
use ticrypt_policy::permit::{CompartmentRenew, CompartmentSeal};
use ticrypt_policy::{Actor, Denial, Line, Permit};
use ticrypt_store::group::{CompartmentRenewed, GroupHead, GroupSeal};
use ticrypt_store::project::Project;
use ticrypt_types::limits::PROOFS_MAX;
use ticrypt_types::{Compartment, GroupId, Operation, ProjectId, Timestamp, UserId};

use super::read::{HEADS_MAX, WAITING_MAX, head_view, seal_view};
use super::{count, of_compartment};
use crate::file::FileRole;
use crate::file::audited::{Plan, with};
use crate::file::error::FileError;
use crate::file::records::Reader;
use crate::roster::Roster;

struct Renewal {
    permit: Permit<CompartmentRenew>,
    head: Signed<CompartmentHeadPayload>,
    envelope: Blob,
    seals: Vec<GroupSeal>,
}

impl FileRole {
    pub(in crate::file) async fn compartment_read(
        &self,
        caller: &Caller,
        group: GroupId,
        request: CompartmentReadRequest,
    ) -> Result<Reply<CompartmentReadReply>, ApiError> {
        let row = of_compartment(caller, Operation::CompartmentRead, group, &request.compartment);
        let answer = self.read_compartment(caller, group, request).await;
        self.hand_out(row, answer).await
    }

    async fn read_compartment(
        &self,
        caller: &Caller,
        group: GroupId,
        request: CompartmentReadRequest,
    ) -> Result<CompartmentReadReply, FileError> {
        let CompartmentReadRequest { compartment, after, prove } = request;
        if prove.len() > PROOFS_MAX {
            return Err(FileError::Bound(
                "a request asks to prove of at most 100 people that they are in projects; ask for the others after it",
            ));
        }
        let actor = self.actor(caller).await?;
        let facts = self.compartment_facts(&actor, group, &compartment).await?;
        let _permit = may_read_compartment(&actor, &facts, caller.now)?;
        let heads = self.store.compartment_heads(group, &compartment, after, HEADS_MAX).await?;
        Ok(CompartmentReadReply {
            generation: facts.generation,
            heads: heads.into_iter().map(head_view).collect(),
            seal: self.store.compartment_seal(group, &compartment, caller.user).await?.map(seal_view),
            waiting: facts.waiting(caller.now).take(WAITING_MAX).collect(),
            closed: facts.is_closed(caller.now),
            proofs: self.member_proofs(&facts, &prove).await?,
        })
    }

    /// That these members of the group are in each of the projects along the tags: who seals a key to them verifies it.
    async fn member_proofs(&self, facts: &CompartmentFacts, people: &[UserId]) -> Result<Vec<MemberProof>, FileError> {
        let mut proofs = Vec::new();
        if people.is_empty() {
            return Ok(proofs);
        }
        let along: BTreeSet<ProjectId> = facts.label.lines().iter().flat_map(Line::projects).copied().collect();
        for project in along {
            let Some(Project { counter, .. }) = self.store.project(project).await? else { continue };
            let roster = Roster::load(&self.store, self.deployment, project).await?;
            let hashed = roster.proofs();
            let in_group = people.iter().filter(|user| facts.group.roster.permissions(**user).is_some());
            proofs.extend(in_group.filter_map(|user| Some(MemberProof { counter, proof: hashed.of(*user)?.view() })));
        }
        Ok(proofs)
    }

    async fn compartment_facts(&self, actor: &Actor, group: GroupId, compartment: &Compartment) -> Result<CompartmentFacts, FileError> {
        if compartment.is_unlocked() {
            return Err(FileError::unfit("no_tags", "what carries no tags is under the group's own key; ask for that"));
        }
        self.group_facts(group).await?.own(actor)?;
        self.label_of(compartment.tags()).await?;
        Ok(self.store.compartment_facts(group, compartment).await?.ok_or(Denial::Locked)?)
    }

    pub(in crate::file) async fn compartment_renew(
        &self,
        caller: &Caller,
        group: GroupId,
        request: CompartmentRenewRequest,
    ) -> Result<Reply<CompartmentReply>, ApiError> {
        let members: Vec<UserId> = request.seals.iter().map(|seal| seal.member).collect();
        let plan = self.plan_renewal(caller, group, request).await;
        let compartment = match &plan {
            Ok(Plan::Do(Renewal { head, .. })) => head.compartment.clone(),
            _ => Compartment::UNLOCKED,
        };
        let row = of_compartment(caller, Operation::CompartmentRenew, group, &compartment);
        let row = with(row, "seals", members.len());
        let (role, now) = (self.clone(), caller.now);
        self.change(row, plan, move |renewal: Renewal| async move {
            let compartment = renewal.head.compartment.clone();
            let renewed = role.renewed(renewal.head, renewal.envelope, renewal.seals, now).await?;
            role.store.renew_compartment(renewal.permit, renewed).await?;
            role.compartment_reply(group, &compartment, now).await
        })
        .await
    }

    async fn plan_renewal(
        &self,
        caller: &Caller,
        group: GroupId,
        request: CompartmentRenewRequest,
    ) -> Result<Plan<Renewal, CompartmentReply>, FileError> {
        let CompartmentRenewRequest { head: envelope, seals } = request;
        let who = self.who(caller).await?;
        let head = Reader::new(self.deployment, &who.signer, caller.now).compartment_head(&envelope)?;
        let facts = self.compartment_facts(&who.actor, group, &head.compartment).await?;
        let members: Vec<UserId> = seals.iter().map(|seal| seal.member).collect();
        let permit = may_renew_compartment(&who.actor, &facts, &members, caller.now)?;
        if head.group != group {
            return Err(FileError::unfit("compartment_head", "the head is of another group; sign one for this"));
        }
        let stored = self.store.compartment(group, &head.compartment).await?;
        if stored.as_ref().is_some_and(|stored| stored.head == head.record_hash().to_bytes()) {
            return Ok(Plan::Again(self.compartment_reply(group, &head.compartment, caller.now).await?));
        }
        let newest = self.store.group(group).await?.ok_or(FileError::Stale)?.head;
        let before = stored.map(|stored| stored.head);
        let follows = (head.authority.to_bytes(), head.previous.map(Digest::to_bytes)) == (newest, before);
        if !follows || facts.generation.checked_add(1) != Some(head.generation) {
            return Err(FileError::Stale);
        }
        let seals = self.seals_fit(&facts.group.roster, head.generation, seals).await?;
        if !members.contains(&caller.user) {
            return Err(FileError::unfit("own_seal", "the new key is not sealed to you; seal it to yourself"));
        }
        Ok(Plan::Do(Renewal { permit, head, envelope, seals }))
    }

    /// The head with its leaf of the key log, which is durable on return.
    async fn renewed(
        &self,
        head: Signed<CompartmentHeadPayload>,
        Blob(envelope): Blob,
        seals: Vec<GroupSeal>,
        at: Timestamp,
    ) -> Result<CompartmentRenewed, FileError> {
        let hash = head.record_hash().to_bytes();
        let leaf = self.audit.key_event(KeyEventKind::CompartmentHead, head.group.to_bytes(), hash.to_vec(), at).await?;
        Ok(CompartmentRenewed {
            compartment: head.compartment.clone(),
            head: GroupHead { counter: head.generation.into(), hash, envelope, log_index: leaf.index, log_leaf: leaf.leaf.0 },
            previous: head.previous.map(Digest::to_bytes),
            authority: head.authority.to_bytes(),
            seals,
            at,
        })
    }

    pub(in crate::file) async fn compartment_seal(
        &self,
        caller: &Caller,
        group: GroupId,
        request: CompartmentSealRequest,
    ) -> Result<Reply<CompartmentReply>, ApiError> {
        let CompartmentSealRequest { compartment, generation, seals } = request;
        let row = of_compartment(caller, Operation::CompartmentSeal, group, &compartment);
        let row = with(with(row, "generation", generation), "seals", seals.len());
        let plan = self.plan_compartment_seals(caller, group, &compartment, generation, seals).await;
        let (role, now) = (self.clone(), caller.now);
        self.change(row, plan, move |(permit, seals): (Permit<CompartmentSeal>, Vec<GroupSeal>)| async move {
            role.store.seal_compartment(permit, compartment.clone(), seals, now).await?;
            role.compartment_reply(group, &compartment, now).await
        })
        .await
    }

    async fn plan_compartment_seals(
        &self,
        caller: &Caller,
        group: GroupId,
        compartment: &Compartment,
        generation: u32,
        seals: Vec<NewGroupSeal>,
    ) -> Result<Plan<(Permit<CompartmentSeal>, Vec<GroupSeal>), CompartmentReply>, FileError> {
        let actor = self.actor(caller).await?;
        let facts = self.compartment_facts(&actor, group, compartment).await?;
        if seals.is_empty() {
            return Err(FileError::Bound("a request seals a key to 1 to 1000 members; name some"));
        }
        let members: Vec<UserId> = seals.iter().map(|seal| seal.member).collect();
        let permit = may_seal_compartment(&actor, &facts, &members, caller.now)?;
        if facts.generation != generation || generation == 0 {
            return Err(FileError::Stale);
        }
        Ok(Plan::Do((permit, self.seals_fit(&facts.group.roster, generation, seals).await?)))
    }

    async fn compartment_reply(&self, group: GroupId, compartment: &Compartment, now: Timestamp) -> Result<CompartmentReply, FileError> {
        let facts = self.store.compartment_facts(group, compartment).await?.ok_or(FileError::Stale)?;
        Ok(CompartmentReply { generation: facts.generation, waiting: count(facts.waiting(now).count() as u64) })
    }
}
