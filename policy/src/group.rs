//! Groups: who may ask for what (rules §4). What a head may change is decided by the roster it changes ([`crate::roster`]).
//!
//! Who adds does the sealing, so adding takes the group's key, hence membership, whatever the rank; and the server hands that key out only while the
//! group's tag is active. Taking away is never locked.

use ticrypt_types::{GroupChange as Change, GroupId, GroupPermissions, GroupStep, Permission, Timestamp, UserId};

use crate::actor::Actor;
use crate::denial::Denial;
use crate::label::Label;
use crate::permit::{GroupChange, GroupCreate, GroupDelete, GroupRead, GroupRename, GroupSeal, Permit, Verb};
use crate::roster::Roster;

/// What is known of a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupFacts {
    pub group: GroupId,
    /// Rises with every change of the row, heads included.
    pub revision: u64,
    /// The group's tags.
    pub label: Label,
    pub roster: Roster,
}

impl GroupFacts {
    /// What the actor may do in the group; nobody but members knows that it is there.
    pub fn own(&self, actor: &Actor) -> Result<GroupPermissions, Denial> {
        self.roster.permissions(actor.user).ok_or(Denial::NotFound)
    }

    fn owned(&self, actor: &Actor) -> Result<(), Denial> {
        self.own(actor)?;
        if self.roster.owner() == actor.user { Ok(()) } else { Err(Denial::NotGroupOwner) }
    }

    fn permit<V: Verb<On = GroupId>>(&self, actor: &Actor) -> Permit<V> {
        Permit::new(actor.user, self.group, self.revision, 0)
    }
}

/// Making an empty group is no writing (rules §2), so the working set does not matter.
pub fn may_create_group(
    actor: &Actor,
    group: GroupId,
    changes: &[Change],
    is_active: impl Fn(UserId) -> bool,
    now: Timestamp,
) -> Result<(Permit<GroupCreate>, Roster), Denial> {
    actor.check(now)?;
    actor.may(Permission::GroupCreate)?;
    if changes.len() > 1 {
        actor.may(Permission::GroupAdd)?;
    }
    let roster = Roster::begin(actor.user, changes)?;
    raised(changes, is_active)?;
    Ok((Permit::new(actor.user, group, 0, 0), roster))
}

/// Whoever is added or made the owner can use it.
fn raised(changes: &[Change], is_active: impl Fn(UserId) -> bool) -> Result<(), Denial> {
    let raises = |change: &&Change| matches!(change.step, GroupStep::Add { .. } | GroupStep::Own);
    if changes.iter().filter(raises).all(|change| is_active(change.user)) { Ok(()) } else { Err(Denial::MemberInactive) }
}

/// Members see each other and the key (features H21); of a locked group they see the name.
pub fn may_read_group(actor: &Actor, facts: &GroupFacts, now: Timestamp) -> Result<Permit<GroupRead>, Denial> {
    actor.check(now)?;
    facts.own(actor)?;
    actor.active.covers(&facts.label, now)?;
    Ok(facts.permit(actor))
}

/// A head with these changes; `renews`: it begins a generation. `is_active` tells of the account of who is added or made the owner.
pub fn may_change_group(
    actor: &Actor,
    facts: &GroupFacts,
    changes: &[Change],
    renews: bool,
    is_active: impl Fn(UserId) -> bool,
    now: Timestamp,
) -> Result<(Permit<GroupChange>, Roster), Denial> {
    actor.check(now)?;
    facts.own(actor)?;
    if changes.iter().any(|change| matches!(change.step, GroupStep::Add { .. })) {
        actor.active.covers(&facts.label, now)?;
        actor.may(Permission::GroupAdd)?;
    }
    let mut roster = facts.roster.clone();
    roster.apply(actor.user, changes, renews)?;
    raised(changes, is_active)?;
    Ok((facts.permit(actor), roster))
}

/// Seals the newest key to members who have none: any member who holds it, for anybody the heads name.
pub fn may_seal_group(actor: &Actor, facts: &GroupFacts, members: &[UserId], now: Timestamp) -> Result<Permit<GroupSeal>, Denial> {
    actor.check(now)?;
    facts.own(actor)?;
    actor.active.covers(&facts.label, now)?;
    if members.iter().any(|member| facts.roster.permissions(*member).is_none()) {
        return Err(Denial::NoSuchMember);
    }
    Ok(facts.permit(actor))
}

pub fn may_rename_group(actor: &Actor, facts: &GroupFacts, now: Timestamp) -> Result<Permit<GroupRename>, Denial> {
    actor.check(now)?;
    facts.owned(actor)?;
    Ok(facts.permit(actor))
}

/// With all that is in it (rules §7).
pub fn may_delete_group(actor: &Actor, facts: &GroupFacts, now: Timestamp) -> Result<Permit<GroupDelete>, Denial> {
    actor.check(now)?;
    facts.owned(actor)?;
    actor.active.is_at(&facts.label, now)?;
    Ok(facts.permit(actor))
}

#[cfg(test)]
mod tests;
