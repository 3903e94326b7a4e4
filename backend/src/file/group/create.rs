//! A new group: its first head, its key as sealed to its first members, its directory.

use ticrypt_api::ApiError;
use ticrypt_api::group::{GroupCreateRequest, GroupReply};
use ticrypt_api::role::{Caller, Reply};
use ticrypt_policy::Permit;
use ticrypt_policy::group::may_create_group;
use ticrypt_policy::permit::GroupCreate;
use ticrypt_policy::roster::Roster;
use ticrypt_store::grant::GrantNew;
use ticrypt_store::group::{GroupNew, GroupSeal};
use ticrypt_store::node::HeadNew;
use ticrypt_types::{NodeKind, Operation, Title};

use super::Accepted;
use crate::file::FileRole;
use crate::file::audited::{Plan, event_about, with};
use crate::file::error::FileError;
use crate::file::fit;
use crate::file::grant::{Of, grant_new, is_of, sealed_len};
use crate::file::place::head_new;
use crate::file::records::Reader;

struct Ready {
    permit: Permit<GroupCreate>,
    name: Title,
    head: Accepted,
    roster: Roster,
    seals: Vec<GroupSeal>,
    root_head: HeadNew,
    grant: GrantNew,
}

impl FileRole {
    pub(in crate::file) async fn group_create(&self, caller: &Caller, request: GroupCreateRequest) -> Result<Reply<GroupReply>, ApiError> {
        let row = event_about(caller, Operation::GroupCreate, [request.group.to_bytes()]);
        let row = with(with(row, "name", &request.name), "seals", request.seals.len());
        let plan = self.plan_group(caller, request).await;
        let (role, user, now) = (self.clone(), caller.user, caller.now);
        self.change(row, plan, move |Ready { permit, name, head, roster, seals, root_head, grant }| async move {
            let group = permit.on();
            let head = role.logged(head, now).await?;
            role.store.create_group(permit, GroupNew { name, head, roster, seals, root_head, grant, at: now }).await?;
            role.group_reply(group, user).await
        })
        .await
    }

    async fn plan_group(&self, caller: &Caller, request: GroupCreateRequest) -> Result<Plan<Ready, GroupReply>, FileError> {
        let GroupCreateRequest { group, name, head: envelope, seals, root, root_head: root_bytes } = request;
        let who = self.who(caller).await?;
        let mut reader = Reader::new(self.deployment, &who.signer, caller.now);
        let (head, grant, root_head) = (reader.group_head(&envelope)?, reader.grant(&root.grant)?, reader.head(&root_bytes)?);
        let hash = head.record_hash();
        if self.store.group(group).await?.is_some_and(|stored| stored.head == hash.to_bytes()) {
            return Ok(Plan::Again(self.group_reply(group, caller.user).await?));
        }
        let active = self.active_among(&head.changes).await?;
        let (permit, roster) = may_create_group(&who.actor, group, &head.changes, |user| active.contains(&user), caller.now)?;
        if head.group != group || head.counter != 1 {
            return Err(FileError::unfit("group_head", "the head is not the first of this group; sign one for it"));
        }
        let seals = self.seals_fit(&roster, head.generation, seals).await?;
        if !seals.iter().any(|seal| seal.member == caller.user) {
            return Err(FileError::unfit("own_seal", "the group's key is not sealed to its owner; seal it to yourself"));
        }
        // The directory: its keys sealed to the group, by its owner on the first head.
        let of = Of { node: root_head.directory, kind: NodeKind::Directory, owner: group.as_owner(), epoch: 1 };
        is_of(&grant, of)?;
        sealed_len(&grant, &root.sealed)?;
        grant.verify_of_group(group, 1, &hash).map_err(|error| FileError::unfit("grant_group", error.to_string()))?;
        if grant.authority != Some(hash) || root_head.authority != Some(hash) || grant.predecessor.is_some() {
            return Err(FileError::unfit("group_authority", "what is signed in a group names the group's newest head; sign it so"));
        }
        fit::head(&root_head, fit::HeadBefore { directory: of.node, epoch: 1, counter: 0, hash: None }, Vec::new())?;
        let grant = grant_new(&grant, root, caller.now);
        let root_head = head_new(&root_head, root_bytes);
        Ok(Plan::Do(Ready { permit, name, head: Accepted { head, envelope }, roster, seals, root_head, grant }))
    }
}
