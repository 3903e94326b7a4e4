//! Groups: members and their seven permissions (rules §4).
//!
//! Who adds does the sealing, so adding takes the group's key, hence membership, whatever the rank; and the server hands that key out only while the
//! group's tag is active. Taking away is never locked.

use ticrypt_types::{GroupId, GroupPermissions, Timestamp, UserId};

use crate::actor::Actor;
use crate::denial::Denial;
use crate::label::Label;

/// What is known of a group, for one actor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupFacts {
    pub group: GroupId,
    pub owner: UserId,
    pub revision: u64,
    /// The group's tags.
    pub label: Label,
    /// The actor's, if a member.
    pub permissions: Option<GroupPermissions>,
}

/// Another member, as they are; `None` for no member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GroupMember {
    pub user: UserId,
    pub is_active: bool,
    pub permissions: Option<GroupPermissions>,
}

/// What a member is called, which follows from their permissions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GroupRole {
    Owner,
    Manager,
    User,
}

impl GroupFacts {
    /// What the actor may do in the group; nobody but members knows that it is there.
    pub fn own(&self, actor: &Actor) -> Result<GroupPermissions, Denial> {
        if self.owner == actor.user { Ok(GroupPermissions::ALL) } else { self.permissions.ok_or(Denial::NotFound) }
    }

    /// The role of a member with these permissions.
    pub fn role(&self, user: UserId, permissions: GroupPermissions) -> GroupRole {
        match permissions.contains(GroupPermissions::ADD_MEMBERS) {
            _ if user == self.owner => GroupRole::Owner,
            true => GroupRole::Manager,
            false => GroupRole::User,
        }
    }

    fn needs(&self, actor: &Actor, needed: GroupPermissions) -> Result<GroupPermissions, Denial> {
        let own = self.own(actor)?;
        if own.contains(needed) {
            return Ok(own);
        }
        Err(Denial::GroupPermission { needs: needed.words().first().copied().unwrap_or_default() })
    }
}

/// Members see each other (features H21); of a locked group they see the name.
pub fn may_list_group_members(actor: &Actor, facts: &GroupFacts, now: Timestamp) -> Result<(), Denial> {
    actor.check(now)?;
    facts.own(actor)?;
    actor.active.covers(&facts.label, now).map(drop)
}

/// Adds somebody with these permissions.
pub fn may_add_group_member(
    actor: &Actor,
    facts: &GroupFacts,
    member: &GroupMember,
    permissions: GroupPermissions,
    now: Timestamp,
) -> Result<(), Denial> {
    actor.check(now)?;
    facts.own(actor)?;
    actor.active.covers(&facts.label, now)?;
    let own = facts.needs(actor, GroupPermissions::ADD_MEMBERS)?;
    if member.permissions.is_some() || member.user == facts.owner {
        return Err(Denial::AlreadyMember);
    }
    if !member.is_active {
        return Err(Denial::RecipientInactive);
    }
    if own.contains(permissions) { Ok(()) } else { Err(Denial::BeyondOwnPermissions) }
}

/// Takes somebody out; one also leaves by oneself. A removal begins a new generation.
pub fn may_remove_group_member(actor: &Actor, facts: &GroupFacts, member: &GroupMember, now: Timestamp) -> Result<(), Denial> {
    actor.check(now)?;
    facts.own(actor)?;
    if member.user == facts.owner {
        return Err(Denial::GroupOwnerStays);
    }
    if member.permissions.is_none() {
        return Err(Denial::NoSuchMember);
    }
    if member.user != actor.user {
        facts.needs(actor, GroupPermissions::REMOVE_MEMBERS)?;
    }
    Ok(())
}

/// Changes a member's permissions, one's own too: to give one takes having it, to take one away does not.
pub fn may_change_group_permissions(
    actor: &Actor,
    facts: &GroupFacts,
    member: &GroupMember,
    permissions: GroupPermissions,
    now: Timestamp,
) -> Result<(), Denial> {
    actor.check(now)?;
    let own = facts.needs(actor, GroupPermissions::CHANGE_PERMISSIONS)?;
    if member.user == facts.owner {
        return Err(Denial::GroupOwnerStays);
    }
    let had = member.permissions.ok_or(Denial::NoSuchMember)?;
    if had == permissions {
        return Err(Denial::SamePermissions);
    }
    if own.contains(permissions.without(had)) { Ok(()) } else { Err(Denial::BeyondOwnPermissions) }
}

/// The owner makes another member the owner, and stays a member with all permissions until leaving.
pub fn may_hand_over_group(actor: &Actor, facts: &GroupFacts, member: &GroupMember, now: Timestamp) -> Result<(), Denial> {
    actor.check(now)?;
    facts.own(actor)?;
    if facts.owner != actor.user {
        return Err(Denial::NotGroupOwner);
    }
    if member.user == actor.user {
        return Err(Denial::Oneself);
    }
    if member.permissions.is_none() {
        return Err(Denial::NoSuchMember);
    }
    if member.is_active { Ok(()) } else { Err(Denial::RecipientInactive) }
}

/// With all that is in it (rules §7).
pub fn may_delete_group(actor: &Actor, facts: &GroupFacts, now: Timestamp) -> Result<(), Denial> {
    actor.check(now)?;
    facts.own(actor)?;
    if facts.owner != actor.user {
        return Err(Denial::NotGroupOwner);
    }
    actor.active.is_at(&facts.label, now)
}

#[cfg(test)]
mod tests;
