//! The newest key, sealed to members who have none yet: somebody was added without, or their account is active again.

use ticrypt_api::ApiError;
use ticrypt_api::group::{GroupReply, GroupSealRequest};
use ticrypt_api::role::{Caller, Reply};
use ticrypt_policy::Permit;
use ticrypt_policy::group::may_seal_group;
use ticrypt_policy::permit::GroupSeal as MaySeal;
use ticrypt_store::group::GroupSeal;
use ticrypt_types::{GroupId, Operation, UserId};

use crate::file::FileRole;
use crate::file::audited::{Plan, event_about, with};
use crate::file::error::FileError;

type Planned = Plan<(Permit<MaySeal>, u32, Vec<GroupSeal>), GroupReply>;

impl FileRole {
    pub(in crate::file) async fn group_seal(
        &self,
        caller: &Caller,
        group: GroupId,
        request: GroupSealRequest,
    ) -> Result<Reply<GroupReply>, ApiError> {
        let members = request.seals.iter().map(|seal| seal.member.to_bytes());
        let row = event_about(caller, Operation::GroupSeal, std::iter::once(group.to_bytes()).chain(members));
        let row = with(row, "generation", request.generation);
        let plan = self.plan_seals(caller, group, request).await;
        let (role, user, now) = (self.clone(), caller.user, caller.now);
        self.change(row, plan, move |(permit, generation, seals)| async move {
            role.store.seal_group(permit, generation, seals, now).await?;
            role.group_reply(group, user).await
        })
        .await
    }

    async fn plan_seals(&self, caller: &Caller, group: GroupId, request: GroupSealRequest) -> Result<Planned, FileError> {
        let actor = self.actor(caller).await?;
        let facts = self.group_facts(group).await?;
        facts.own(&actor)?;
        if request.seals.is_empty() {
            return Err(FileError::Bound("a request seals the group's key to 1 to 1000 members; name some"));
        }
        let members: Vec<UserId> = request.seals.iter().map(|seal| seal.member).collect();
        let permit = may_seal_group(&actor, &facts, &members, caller.now)?;
        let stored = self.store.group(group).await?.ok_or(FileError::Stale)?;
        if stored.generation != request.generation {
            return Err(FileError::Stale);
        }
        let seals = self.seals_fit(&facts.roster, request.generation, request.seals).await?;
        Ok(Plan::Do((permit, request.generation, seals)))
    }
}
