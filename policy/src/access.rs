//! Reaching a thing in the vault: three steps, and the first that fails decides what is seen (rules §3).
//!
//! ```text
//! 1. key           a share, or membership of the group   no: NotFound, as if it were not there
//! 2. label         within the active set                 no: Locked; a directory shows its name, a file its metadata
//! 3. restrictions  of the projects, then the permission  no: seen, and refused with the reason
//! ```
//!
//! A node tagged otherwise than its directory is a *boundary*: its keys are not wrapped under those above (security B3). A share from above it
//! opens its name and no more, so what is behind it answers as locked.

use ticrypt_types::{GroupId, GroupPermissions, NodeKind, Restrictions, Timestamp, Verbs};

use crate::actor::Actor;
use crate::denial::Denial;
use crate::node::{NodeFacts, Trashed};

/// What somebody may do with a node once it is unlocked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Access {
    pub verbs: Verbs,
    /// With the entries of a directory. Outside groups *edit* stands for all of these, and the owner alone changes tags.
    pub entries: GroupPermissions,
}

impl Access {
    const OWNER: Self = Self { verbs: Verbs::ALL, entries: GroupPermissions::ALL };

    fn shared(verbs: Verbs) -> Self {
        use GroupPermissions as Entries;
        let edit = Entries::ADD_ENTRIES.and(Entries::REMOVE_ENTRIES).and(Entries::CREATE_DIRECTORIES);
        Self { verbs, entries: if verbs.contains(Verbs::EDIT) { edit } else { Entries::NONE } }
    }

    /// A group shares nothing beyond its members: who is to have it becomes one.
    fn member(permissions: GroupPermissions) -> Self {
        let adds = permissions.contains(GroupPermissions::ADD_ENTRIES);
        let read = Verbs::VIEW.and(Verbs::DOWNLOAD);
        Self { verbs: if adds { read.and(Verbs::EDIT) } else { read }, entries: permissions }
    }
}

impl Access {
    /// Who adds, removes or makes directories makes new keys as well, or would wait for somebody who may.
    pub(crate) fn makes_keys(self, restrictions: Restrictions) -> Result<(), Denial> {
        use GroupPermissions as Entries;
        if restrictions.contains(Restrictions::NO_EDIT) {
            return Err(Denial::Restricted);
        }
        let any = [Entries::ADD_ENTRIES, Entries::REMOVE_ENTRIES, Entries::CREATE_DIRECTORIES];
        if any.into_iter().any(|one| self.entries.contains(one)) { Ok(()) } else { Err(Denial::NoEdit) }
    }
}

/// The group a node belongs to, as one actor stands in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GroupFact {
    pub group: GroupId,
    /// `None`: no member.
    pub permissions: Option<GroupPermissions>,
    /// The record hash of the group's newest head, which its members name as their authority.
    pub head: [u8; 32],
}

/// How much of a node is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Sight {
    /// A locked directory: its name, with a question mark for the tag.
    Name,
    /// A locked file: name, type, owner, time and size; no verb.
    Metadata,
    Whole,
}

/// What a verb takes, in the words of its refusal.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Need {
    verbs: Verbs,
    entries: GroupPermissions,
    /// This forbids it, and so does *no view*.
    withheld: Restrictions,
    without: Denial,
}

impl Need {
    const fn verb(verbs: Verbs, withheld: Restrictions, without: Denial) -> Self {
        Self { verbs, entries: GroupPermissions::NONE, withheld, without }
    }

    const fn entries(entries: GroupPermissions, without: Denial) -> Self {
        Self { verbs: Verbs::NONE, entries, withheld: Restrictions::NO_EDIT, without }
    }

    pub(crate) const VIEW: Self = Self::verb(Verbs::VIEW, Restrictions::NO_VIEW, Denial::NoView);
    pub(crate) const DOWNLOAD: Self = Self::verb(Verbs::DOWNLOAD, Restrictions::NO_DOWNLOAD, Denial::NoDownload);
    pub(crate) const EDIT: Self = Self::verb(Verbs::EDIT, Restrictions::NO_EDIT, Denial::NoEdit);
    pub(crate) const SHARE: Self = Self::verb(Verbs::SHARE, Restrictions::NO_VIEW, Denial::NoShare);
    pub(crate) const ADD: Self = Self::entries(GroupPermissions::ADD_ENTRIES, Denial::NoEdit);
    pub(crate) const REMOVE: Self = Self::entries(GroupPermissions::REMOVE_ENTRIES, Denial::NoEdit);
    pub(crate) const RENAME: Self = Self::entries(GroupPermissions::ADD_ENTRIES.and(GroupPermissions::REMOVE_ENTRIES), Denial::NoEdit);
    pub(crate) const DIRECTORIES: Self = Self::entries(GroupPermissions::CREATE_DIRECTORIES, Denial::NoEdit);
    pub(crate) const TAG: Self = Self::entries(GroupPermissions::MODIFY_TAG, Denial::NoTag);

    /// Step three.
    pub(crate) fn meets(self, access: Access, restrictions: Restrictions) -> Result<(), Denial> {
        if restrictions.contains(self.withheld) {
            return Err(Denial::Restricted);
        }
        let has = access.verbs.contains(self.verbs) && access.entries.contains(self.entries);
        if has { Ok(()) } else { Err(self.without) }
    }
}

impl NodeFacts {
    /// Step one: what the actor's keys give here; of several shares the freest counts. No rank replaces a key.
    pub fn access(&self, actor: &Actor, now: Timestamp) -> Result<Access, Denial> {
        self.access_from(0, actor, now)
    }

    /// The same on the directory that holds the node: a share of the node itself does not count. Nothing without one.
    pub(crate) fn access_above(&self, actor: &Actor, now: Timestamp) -> Access {
        self.access_from(1, actor, now).unwrap_or(Access::shared(Verbs::NONE))
    }

    /// Whether the actor has any key to it, if only to its name.
    pub(crate) fn known(&self, actor: &Actor, now: Timestamp) -> Result<(), Denial> {
        match self.access(actor, now) {
            Ok(_) | Err(Denial::Locked) => Ok(()),
            Err(denial) => Err(denial),
        }
    }

    /// `from`: the step of the path whose keys are asked for.
    fn access_from(&self, from: usize, actor: &Actor, now: Timestamp) -> Result<Access, Denial> {
        if let Some(access) = self.own_access(actor)? {
            return Ok(access);
        }
        // Keys lead down to a boundary and not across; a share may be given on the boundary itself.
        let boundary = self.path.iter().skip(from).position(|step| step.boundary).map(|at| from + at);
        let (mut open, mut above) = (None, false);
        for grant in self.grants.iter().filter(|grant| grant.is_living(now)) {
            let given = self.path.iter().position(|step| step.node == grant.node).filter(|given| *given >= from);
            let Some(given) = given else { continue };
            if boundary.is_none_or(|boundary| given <= boundary) {
                open = Some(open.unwrap_or(Verbs::NONE).and(grant.verbs));
            } else {
                above = true;
            }
        }
        match open {
            Some(verbs) => Ok(Access::shared(verbs)),
            // The name alone.
            None if above => Err(Denial::Locked),
            None => Err(Denial::NotFound),
        }
    }

    /// What the owner, or a member of the group that owns it, has without any share. `None`: look at the shares.
    fn own_access(&self, actor: &Actor) -> Result<Option<Access>, Denial> {
        match self.group {
            Some(group) => group.permissions.map(|own| Some(Access::member(own))).ok_or(Denial::NotFound),
            None => Ok((self.owner == actor.user).then_some(Access::OWNER)),
        }
    }

    /// Whether the actor sees the node at all, and how much of it: what is in the trash is seen by those who can take it out again.
    pub fn sight(&self, actor: &Actor, now: Timestamp) -> Result<Sight, Denial> {
        let locked = if self.kind == NodeKind::File { Sight::Metadata } else { Sight::Name };
        match self.unlocked(actor, now) {
            Ok(_) => Ok(Sight::Whole),
            Err(Denial::Locked) => Ok(locked),
            Err(denial) => Err(denial),
        }
    }

    /// Steps one and two: what the actor may do here, and what the tag's projects withhold.
    pub(crate) fn unlocked(&self, actor: &Actor, now: Timestamp) -> Result<(Access, Restrictions), Denial> {
        let key = self.access(actor, now);
        if self.trashed != Trashed::No && key != Err(Denial::NotFound) {
            let takes_out = self.access_above(actor, now).entries.contains(GroupPermissions::REMOVE_ENTRIES);
            if !takes_out {
                return Err(Denial::NotFound);
            }
        }
        Ok((key?, actor.active.covers(&self.label, now)?))
    }

    /// All three steps.
    pub(crate) fn reach(&self, actor: &Actor, need: Need, now: Timestamp) -> Result<(), Denial> {
        let (access, restrictions) = self.unlocked(actor, now)?;
        need.meets(access, restrictions)
    }

    /// The same with the access of the directory that holds the node, whose entry it is.
    pub(crate) fn reach_entry(&self, actor: &Actor, need: Need, now: Timestamp) -> Result<(), Denial> {
        let (_, restrictions) = self.unlocked(actor, now)?;
        need.meets(self.access_above(actor, now), restrictions)
    }

    /// Whether what a writer names as authority lets them: one of their living grants with these verbs, in a group its newest head. The
    /// owner names none.
    pub fn stands_on(&self, actor: &Actor, authority: Option<&[u8; 32]>, verbs: Verbs, now: Timestamp) -> bool {
        match (self.group, authority) {
            (Some(group), hash) => group.permissions.is_some() && hash == Some(&group.head),
            (None, None) => self.owner == actor.user,
            (None, Some(hash)) => {
                self.grants.iter().any(|grant| grant.hash == *hash && grant.is_living(now) && grant.verbs.contains(verbs))
            }
        }
    }
}
