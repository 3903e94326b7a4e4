//! A group's name, and its end with all that is in it.

use ticrypt_api::ApiError;
use ticrypt_api::group::{GroupRenameRequest, GroupReply};
use ticrypt_api::role::{Caller, Reply};
use ticrypt_policy::Permit;
use ticrypt_policy::group::{GroupFacts, may_delete_group, may_rename_group};
use ticrypt_policy::permit::{GroupDelete, GroupRename};
use ticrypt_types::{GroupId, Operation, Title, UserId};

use crate::file::FileRole;
use crate::file::audited::{Plan, event_about, with};
use crate::file::error::FileError;

impl FileRole {
    pub(in crate::file) async fn group_rename(
        &self,
        caller: &Caller,
        group: GroupId,
        request: GroupRenameRequest,
    ) -> Result<Reply<GroupReply>, ApiError> {
        let row = with(event_about(caller, Operation::GroupRename, [group.to_bytes()]), "name", &request.name);
        let plan = self.plan_group_name(caller, group, request).await;
        let (role, user) = (self.clone(), caller.user);
        self.change(row, plan, move |(permit, name): (Permit<GroupRename>, Title)| async move {
            role.store.rename_group(permit, name).await?;
            role.group_reply(group, user).await
        })
        .await
    }

    async fn plan_group_name(
        &self,
        caller: &Caller,
        group: GroupId,
        request: GroupRenameRequest,
    ) -> Result<Plan<(Permit<GroupRename>, Title), GroupReply>, FileError> {
        let actor = self.actor(caller).await?;
        // Decided on what was read: whoever else changed it meanwhile is not overwritten.
        let facts = GroupFacts { revision: request.revision, ..self.group_facts(group).await? };
        Ok(Plan::Do((may_rename_group(&actor, &facts, caller.now)?, request.name)))
    }

    pub(in crate::file) async fn group_delete(&self, caller: &Caller, group: GroupId) -> Result<Reply<()>, ApiError> {
        let row = event_about(caller, Operation::GroupDelete, [group.to_bytes()]);
        let plan = self.plan_group_end(caller, group).await;
        let (role, now) = (self.clone(), caller.now);
        self.change(row, plan, move |(permit, members): (Permit<GroupDelete>, Vec<UserId>)| async move {
            let deleted = role.store.delete_group(permit, now).await?;
            role.losses.record(members);
            // Thousands of chunks take a while; the answer need not wait, the role's shutdown does.
            let chunks = role.chunks.clone();
            role.tasks.spawn(async move {
                for version in deleted {
                    chunks.delete(version.file, version.version).await;
                }
            });
            Ok(())
        })
        .await
    }

    async fn plan_group_end(&self, caller: &Caller, group: GroupId) -> Result<Plan<(Permit<GroupDelete>, Vec<UserId>), ()>, FileError> {
        let actor = self.actor(caller).await?;
        let facts = self.group_facts(group).await?;
        let permit = may_delete_group(&actor, &facts, caller.now)?;
        Ok(Plan::Do((permit, facts.roster.members().keys().copied().collect())))
    }
}
