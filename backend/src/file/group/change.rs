//! Members, permissions, owner, a new generation of the key: all of it by a signed head.

use ticrypt_api::ApiError;
use ticrypt_api::group::{GroupChangeRequest, GroupReply};
use ticrypt_api::role::{Caller, Reply};
use ticrypt_crypto::Digest;
use ticrypt_crypto::group::GroupHeadPayload;
use ticrypt_policy::Permit;
use ticrypt_policy::group::may_change_group;
use ticrypt_policy::permit::GroupChange;
use ticrypt_policy::roster::Roster;
use ticrypt_store::group::{Group, GroupChanged, GroupSeal};
use ticrypt_types::{GroupId, GroupStep, Operation, UserId};

use super::Accepted;
use crate::file::FileRole;
use crate::file::audited::{Plan, event_about, with};
use crate::file::error::FileError;
use crate::file::records::Reader;

struct Ready {
    permit: Permit<GroupChange>,
    head: Accepted,
    roster: Roster,
    seals: Vec<GroupSeal>,
    /// Who has less afterwards.
    losing: Vec<UserId>,
}

impl FileRole {
    pub(in crate::file) async fn group_change(
        &self,
        caller: &Caller,
        group: GroupId,
        request: GroupChangeRequest,
    ) -> Result<Reply<GroupReply>, ApiError> {
        let row = event_about(caller, Operation::GroupChange, [group.to_bytes()]);
        let mut row = with(row, "seals", request.seals.len());
        let plan = self.plan_change(caller, group, request).await;
        if let Ok(Plan::Do(Ready { head: Accepted { head, .. }, .. })) = &plan {
            row.subjects.extend(head.changes.iter().map(|change| change.user.to_bytes()));
            let made = |wanted: fn(&GroupStep) -> bool| head.changes.iter().filter(|change| wanted(&change.step)).count();
            row = with(row, "added", made(|step| matches!(step, GroupStep::Add { .. })));
            row = with(row, "removed", made(|step| matches!(step, GroupStep::Remove)));
            row = with(row, "generation", head.generation);
        }
        let (role, user, now) = (self.clone(), caller.user, caller.now);
        self.change(row, plan, move |Ready { permit, head, roster, seals, losing }| async move {
            let head = role.logged(head, now).await?;
            role.store.change_group(permit, GroupChanged { head, roster, seals, at: now }).await?;
            role.losses.record(losing);
            role.group_reply(group, user).await
        })
        .await
    }

    async fn plan_change(
        &self,
        caller: &Caller,
        group: GroupId,
        request: GroupChangeRequest,
    ) -> Result<Plan<Ready, GroupReply>, FileError> {
        let GroupChangeRequest { head: envelope, seals } = request;
        let who = self.who(caller).await?;
        let facts = self.group_facts(group).await?;
        facts.own(&who.actor)?;
        let stored = self.store.group(group).await?.ok_or(FileError::Stale)?;
        let head = Reader::new(self.deployment, &who.signer, caller.now).group_head(&envelope)?;
        if head.record_hash().to_bytes() == stored.head {
            return Ok(Plan::Again(self.group_reply(group, caller.user).await?));
        }
        follows(&head, &stored)?;
        let active = self.active_among(&head.changes).await?;
        let is_active = |user: UserId| active.contains(&user);
        let (permit, roster) = may_change_group(&who.actor, &facts, &head.changes, head.renews(), is_active, caller.now)?;
        let seals = self.seals_fit(&roster, head.generation, seals).await?;
        let is_added = |user: UserId| {
            let added = |change: &ticrypt_types::GroupChange| change.user == user && matches!(change.step, GroupStep::Add { .. });
            head.changes.iter().any(added)
        };
        if head.renews() && !seals.iter().any(|seal| seal.member == caller.user) {
            return Err(FileError::unfit("own_seal", "the group's new key is not sealed to you; seal it to yourself"));
        }
        if !head.renews() && !seals.iter().all(|seal| is_added(seal.member)) {
            return Err(FileError::unfit("seal_member", "without a new key only those who are added get a seal; leave the others out"));
        }
        // Who was removed, and whose permissions are fewer.
        let has_less = |user: &UserId| {
            roster.permissions(*user).is_none_or(|now| facts.roster.permissions(*user).is_some_and(|before| !now.contains(before)))
        };
        let losing = head.changes.iter().map(|change| change.user).filter(has_less).collect();
        Ok(Plan::Do(Ready { permit, head: Accepted { head, envelope }, roster, seals, losing }))
    }
}

/// A head is the next one after what is stored.
fn follows(head: &GroupHeadPayload, stored: &Group) -> Result<(), FileError> {
    if head.group != stored.id {
        return Err(FileError::unfit("group_head", "the head is of another group; sign one for this"));
    }
    if head.counter <= stored.counter || head.previous.map(Digest::to_bytes) != Some(stored.head) {
        return Err(FileError::Stale);
    }
    let next = head.counter == stored.counter + 1 && head.generation == stored.generation + u32::from(head.renews());
    if next {
        Ok(())
    } else {
        Err(FileError::unfit("group_head", "the head's counter or generation is not the next; load the group again"))
    }
}
