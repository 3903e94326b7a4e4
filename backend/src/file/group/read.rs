//! Groups one is in, and one of them with its heads and its key.

use ticrypt_api::ApiError;
use ticrypt_api::Blob;
use ticrypt_api::Hash;
use ticrypt_api::group::{GroupHeadView, GroupListReply, GroupReadQuery, GroupReadReply, GroupSeal, GroupView};
use ticrypt_api::role::{Caller, Reply};
use ticrypt_api::user::KeyLeaf;
use ticrypt_policy::group::may_read_group;
use ticrypt_policy::{Actor, Denial, Label, Line};
use ticrypt_store::group::{GroupHead, GroupSeal as StoredSeal, OwnGroup};
use ticrypt_types::{Compartment, GroupId, NodeId, Operation, Timestamp, limits};

use super::count;
use crate::file::FileRole;
use crate::file::audited::event_about;
use crate::file::error::FileError;

/// Heads in one answer.
pub(super) const HEADS_MAX: u64 = 200;
/// People waiting in one answer.
pub(super) const WAITING_MAX: usize = 1_000;

impl FileRole {
    pub(in crate::file) async fn group_list(&self, caller: &Caller) -> Result<Reply<GroupListReply>, ApiError> {
        let body = self.own_groups(caller).await.map_err(|error| error.into_api(caller.now))?;
        Ok(Reply { body, opened: None })
    }

    async fn own_groups(&self, caller: &Caller) -> Result<GroupListReply, FileError> {
        let actor = self.actor(caller).await?;
        actor.check(caller.now)?;
        let own = self.store.groups_of(caller.user, limits::GROUPS_MAX as u64).await?;
        let roots: Vec<NodeId> = own.iter().map(|own| own.group.root).collect();
        let mut tags = self.store.tags_of(&roots).await?;
        let groups = own.into_iter().map(|own| {
            let label = tags.remove(&own.group.root).unwrap_or_default();
            view(&actor, own, &label, caller)
        });
        Ok(GroupListReply { groups: groups.collect() })
    }

    pub(in crate::file) async fn group_read(
        &self,
        caller: &Caller,
        group: GroupId,
        query: GroupReadQuery,
    ) -> Result<Reply<GroupReadReply>, ApiError> {
        let answer = self.read_group(caller, group, query).await;
        self.hand_out(event_about(caller, Operation::GroupRead, [group.to_bytes()]), answer).await
    }

    async fn read_group(&self, caller: &Caller, group: GroupId, query: GroupReadQuery) -> Result<GroupReadReply, FileError> {
        let actor = self.actor(caller).await?;
        let facts = self.group_facts(group).await?;
        let _permit = may_read_group(&actor, &facts, caller.now)?;
        let own = self.store.own_group(group, caller.user).await?.ok_or(Denial::NotFound)?;
        let heads = self.store.group_heads(group, query.after, HEADS_MAX).await?;
        let seal = self.store.group_seal(group, caller.user).await?;
        let grants = self.store.grants_on(&[own.group.root]).await?;
        let grant = grants.into_iter().rev().find(|grant| grant.ended.is_none() && grant.recipient == group.as_owner());
        let grant = grant.ok_or(FileError::Corrupt("a group's directory without its grant"))?;
        let root = self.root_views(caller, &actor, vec![grant]).await?.pop().ok_or(FileError::Stale)?;
        Ok(GroupReadReply {
            view: view(&actor, own, &facts.label, caller),
            heads: heads.into_iter().map(head_view).collect(),
            seal: seal.map(seal_view),
            root,
            waiting: self.store.group_waiting(group, WAITING_MAX as u64).await?,
            compartments: self.open_compartments(caller, &actor, group).await?,
        })
    }

    /// Those whose tags are in the caller's working set.
    async fn open_compartments(&self, caller: &Caller, actor: &Actor, group: GroupId) -> Result<Vec<Compartment>, FileError> {
        let mut open = Vec::new();
        for key in self.store.compartments_of(group).await? {
            let lines = self.store.lines(key.compartment.tags()).await?;
            let is_whole = lines.len() == key.compartment.tags().len();
            let is_open = |label: Label| actor.active.covers(&label, caller.now).is_ok();
            if is_whole && Label::of(lines).is_ok_and(is_open) {
                open.push(key.compartment);
            }
        }
        Ok(open)
    }
}

pub(super) fn head_view(head: GroupHead) -> GroupHeadView {
    GroupHeadView { head: Blob(head.envelope), leaf: KeyLeaf { index: head.log_index, leaf: Blob(head.log_leaf) } }
}

pub(super) fn seal_view(seal: StoredSeal) -> GroupSeal {
    GroupSeal {
        generation: seal.generation,
        bundle: Hash(seal.bundle),
        bundle_generation: seal.bundle_generation,
        sealed: Blob(seal.sealed),
    }
}

/// A group as its member sees it; of a locked one what it is called, and what leaving it takes.
fn view(actor: &Actor, own: OwnGroup, label: &Label, caller: &Caller) -> GroupView {
    let OwnGroup { group, permissions, members, waiting, has_key, changed } = own;
    let locked = actor.active.covers(label, caller.now).is_err();
    GroupView {
        group: group.id,
        name: group.name,
        owner: group.owner,
        permissions,
        members: if locked { 0 } else { count(members) },
        counter: group.counter,
        head: Hash(group.head),
        generation: group.generation,
        revision: group.revision,
        created_ms: group.created,
        changed_ms: if locked { Timestamp::ABSENT } else { changed },
        tags: if locked { Vec::new() } else { label.lines().iter().filter_map(Line::project).collect() },
        locked,
        has_key,
        waiting: if locked { 0 } else { count(waiting) },
        closed: group.key_lost,
    }
}
