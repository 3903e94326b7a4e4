//! Who is in a group: the state that its signed heads lead to, one after the other.
//!
//! The server asks here before it takes a head, and every member's client asks here again when it replays them: a head that its writer had no
//! leave to write is refused by both.

use std::collections::BTreeMap;

use ticrypt_types::{GroupChange, GroupPermissions, GroupStep, UserId, limits};

use crate::denial::Denial;

/// A member, as the heads say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RosterMember {
    pub permissions: GroupPermissions,
    /// The hash of the key that whoever added them believed.
    pub bundle: [u8; 32],
}

/// What a member is called, which follows from their permissions (features H12).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GroupRole {
    Owner,
    Manager,
    User,
}

impl GroupRole {
    pub const fn word(self) -> &'static str {
        match self {
            Self::Owner => "owner",
            Self::Manager => "manager",
            Self::User => "user",
        }
    }
}

/// The members of a group after its newest head.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Roster {
    owner: UserId,
    members: BTreeMap<UserId, RosterMember>,
    /// Somebody left, and the key they hold is still the newest.
    left: bool,
}

impl Roster {
    /// A roster as it was stored.
    pub fn of(owner: UserId, members: BTreeMap<UserId, RosterMember>, left: bool) -> Self {
        Self { owner, members, left }
    }

    /// The first head: its writer owns the group and is the first that it adds, with all permissions; who else it adds comes after.
    pub fn begin(writer: UserId, changes: &[GroupChange]) -> Result<Self, Denial> {
        let Some((GroupChange { user, step: GroupStep::Add { bundle, permissions } }, others)) = changes.split_first() else {
            return Err(Denial::NotGroupOwner);
        };
        if (*user, *permissions) != (writer, GroupPermissions::ALL) {
            return Err(Denial::NotGroupOwner);
        }
        let founder = RosterMember { permissions: *permissions, bundle: *bundle };
        let mut roster = Self { owner: writer, members: BTreeMap::from([(writer, founder)]), left: false };
        if !others.is_empty() {
            roster.apply(writer, others, false)?;
        }
        Ok(roster)
    }

    /// What a head changes; `renews`: it begins a generation. After an error the roster is worth nothing.
    ///
    /// A removal comes with a new generation, which the removed do not get. Who leaves makes none, since they would know it: the next
    /// of those who remain does.
    pub fn apply(&mut self, writer: UserId, changes: &[GroupChange], renews: bool) -> Result<(), Denial> {
        let before = self.permissions(writer).ok_or(Denial::NoSuchMember)?;
        let leaves = changes.iter().any(|change| change.user == writer && change.step == GroupStep::Remove);
        let removes = changes.iter().any(|change| change.step == GroupStep::Remove);
        if leaves && (renews || changes.len() > 1) {
            return Err(Denial::LeavesAlone);
        }
        if removes && !leaves && !renews {
            return Err(Denial::GenerationNeeded);
        }
        if renews && before == GroupPermissions::NONE {
            return Err(Denial::GroupPermission { needs: "add-entries" });
        }
        for change in changes {
            self.change(writer, change)?;
        }
        if self.members.len() > limits::GROUP_MEMBERS_MAX {
            return Err(Denial::GroupFull);
        }
        self.left = (self.left || leaves) && !renews;
        Ok(())
    }

    fn change(&mut self, writer: UserId, change: &GroupChange) -> Result<(), Denial> {
        let own = self.permissions(writer).ok_or(Denial::NoSuchMember)?;
        let member = self.members.get(&change.user).copied();
        let stays = || if change.user == self.owner { Err(Denial::GroupOwnerStays) } else { Ok(()) };
        match change.step {
            GroupStep::Add { bundle, permissions } => {
                has(own, GroupPermissions::ADD_MEMBERS)?;
                if member.is_some() {
                    return Err(Denial::AlreadyMember);
                }
                within(own, permissions)?;
                self.members.insert(change.user, RosterMember { permissions, bundle });
            }
            // One's own too: to give a permission takes having it, to take one away does not.
            GroupStep::Permit(permissions) => {
                has(own, GroupPermissions::CHANGE_PERMISSIONS)?;
                stays()?;
                let member = member.ok_or(Denial::NoSuchMember)?;
                if member.permissions == permissions {
                    return Err(Denial::SamePermissions);
                }
                within(own, permissions.without(member.permissions))?;
                self.members.insert(change.user, RosterMember { permissions, ..member });
            }
            GroupStep::Remove => {
                stays()?;
                member.ok_or(Denial::NoSuchMember)?;
                if change.user != writer {
                    has(own, GroupPermissions::REMOVE_MEMBERS)?;
                }
                self.members.remove(&change.user);
            }
            // The owner before stays a member with all permissions, until leaving.
            GroupStep::Own => {
                if writer != self.owner {
                    return Err(Denial::NotGroupOwner);
                }
                if change.user == writer {
                    return Err(Denial::OwnsAlready);
                }
                let member = member.ok_or(Denial::NoSuchMember)?;
                self.members.insert(change.user, RosterMember { permissions: GroupPermissions::ALL, ..member });
                self.owner = change.user;
            }
        }
        Ok(())
    }

    pub fn owner(&self) -> UserId {
        self.owner
    }

    pub fn members(&self) -> &BTreeMap<UserId, RosterMember> {
        &self.members
    }

    /// `None`: no member.
    pub fn permissions(&self, user: UserId) -> Option<GroupPermissions> {
        self.members.get(&user).map(|member| member.permissions)
    }

    pub fn role(&self, user: UserId) -> Option<GroupRole> {
        Some(match self.permissions(user)?.contains(GroupPermissions::ADD_MEMBERS) {
            _ if user == self.owner => GroupRole::Owner,
            true => GroupRole::Manager,
            false => GroupRole::User,
        })
    }

    /// Somebody who left holds the newest key, so nothing is to be written under it.
    pub fn is_left(&self) -> bool {
        self.left
    }
}

fn has(own: GroupPermissions, needed: GroupPermissions) -> Result<(), Denial> {
    if own.contains(needed) {
        return Ok(());
    }
    Err(Denial::GroupPermission { needs: needed.words().first().copied().unwrap_or_default() })
}

fn within(own: GroupPermissions, given: GroupPermissions) -> Result<(), Denial> {
    if own.contains(given) { Ok(()) } else { Err(Denial::BeyondOwnPermissions) }
}

#[cfg(test)]
mod tests;
