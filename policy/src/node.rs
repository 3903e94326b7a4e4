//! Directories and files: seeing, arranging, new keys.
//!
//! **Reaching** a node takes its key, its label and the permission, in that order (`access.rs`).
//!
//! **An entry is its directory's.** Renaming, moving, trashing change the signed head of the directory that holds the
//! node, so they need the permission there; a share of the node alone does not do. Names and places are no content: a locked view shows
//! them, so an entry is changed where its *node* may be written, even if it stands in a directory of lesser label.
//!
//! **No write-down** (rules §2): content is written only where the label equals the working set.
//!
//! **The epoch rule** (security B5, docs/formats.md §6). Ending a grant on `a` sets `closure_seq(a)` to the next number; new keys of
//! `n` set `rolled_seq(n)`. A node may be written iff no closure on its path is younger than its own keys:
//! `closure_seq(a) <= rolled_seq(n)` for every `a` from the node up to the root.

use std::collections::BTreeSet;

use ticrypt_types::{Compartment, GrantId, NodeId, NodeKind, Permission, ProjectId, Timestamp, UserId, Verbs, limits};

use crate::access::{GroupFact, Need};
use crate::actor::Actor;
use crate::denial::Denial;
use crate::label::Label;
use crate::permit::{
    HomeCreate, MoveTo, NodeCreate, NodeDelete, NodeList, NodeMove, NodeRekey, NodeRename, NodeRestore, NodeStat, NodeTrash, Permit,
    TrashList, Verb,
};

/// Whether a node can be found where it belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trashed {
    No,
    Itself,
    /// A directory above it is in the trash.
    Above,
}

/// One node on the way from a node up to the root of its tree, the node itself first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PathStep {
    pub node: NodeId,
    pub closure_seq: u64,
    pub rolled_seq: u64,
    /// Its keys are not wrapped under those of the directory that holds it (security B3).
    pub boundary: bool,
}

/// A grant to the actor, on the node or above it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GrantFact {
    pub grant: GrantId,
    /// The record hash, by which later records name it as their authority.
    pub hash: [u8; 32],
    /// Where it was given: the node or one above it.
    pub node: NodeId,
    pub verbs: Verbs,
    /// [`Timestamp::ABSENT`]: never.
    pub expires: Timestamp,
    pub ended: bool,
}

impl GrantFact {
    pub fn is_living(&self, now: Timestamp) -> bool {
        !self.ended && !self.expires.is_expired(now)
    }
}

/// What is known of a node, for one actor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeFacts {
    pub node: NodeId,
    /// Of the tree: a person, or a group under an id of the same form.
    pub owner: UserId,
    /// The group whose tree it is in.
    pub group: Option<GroupFact>,
    /// Every tag on the path.
    pub label: Label,
    /// The node's own; a part of the label.
    pub tags: Label,
    /// The tags on the path as they were set, those of one tree too.
    pub carried: BTreeSet<ProjectId>,
    pub kind: NodeKind,
    /// Rises with every change of the row.
    pub revision: u64,
    /// Counter of the directory's head; 0 for a file.
    pub head_counter: u64,
    pub epoch: u64,
    pub parent: Option<NodeId>,
    pub trashed: Trashed,
    /// From the node up to the root.
    pub path: Vec<PathStep>,
    pub grants: Vec<GrantFact>,
    /// The deployment's closure counter, read before everything else here.
    pub rights: u64,
}

impl NodeFacts {
    /// The root of a tree whose owner asks and lost the keys: every seal of it to them has ended, the last by a reset.
    fn is_lost_root(&self, actor: &Actor) -> bool {
        let mut seals = self.grants.iter().filter(|grant| grant.node == self.node).peekable();
        self.owner == actor.user && self.parent.is_none() && seals.peek().is_some() && seals.all(|grant| grant.ended)
    }

    /// Whether it is a boundary: its keys are in grants on itself.
    pub fn has_own_keys(&self) -> bool {
        self.path.first().is_some_and(|step| step.boundary)
    }

    /// Which of a group's keys is for it.
    pub fn compartment(&self) -> Result<Compartment, Denial> {
        Compartment::of(self.carried.iter().copied()).map_err(|_| Denial::TooManyTags)
    }

    /// The youngest closure on the path; new keys must be made after it.
    pub fn closure(&self) -> u64 {
        self.path.iter().map(|step| step.closure_seq).max().unwrap_or(0)
    }

    /// The epoch rule for the node itself.
    pub fn is_open(&self) -> bool {
        open(&self.path)
    }

    /// The epoch rule for the directory that holds it; a root has none, and is not held back.
    pub(crate) fn is_open_above(&self) -> bool {
        self.path.get(1..).is_none_or(open)
    }

    /// Content comes into the node: the permission, the label at the working set, out of the trash, under an open epoch.
    pub(crate) fn may_write(&self, actor: &Actor, need: Need, now: Timestamp) -> Result<(), Denial> {
        self.reach(actor, need, now)?;
        actor.active.is_at(&self.label, now)?;
        self.out_of_trash()?;
        if self.is_open() { Ok(()) } else { Err(Denial::EpochClosed) }
    }

    /// The entry of the node in the directory that holds it changes.
    fn may_change_entry(&self, actor: &Actor, need: Need, now: Timestamp) -> Result<(), Denial> {
        let (_, restrictions) = self.unlocked(actor, now)?;
        if self.parent.is_none() {
            return Err(Denial::IsRoot);
        }
        need.meets(self.access_above(actor, now), restrictions)?;
        actor.active.is_at(&self.label, now)?;
        if self.is_open_above() { Ok(()) } else { Err(Denial::EpochClosed) }
    }

    pub(crate) fn out_of_trash(&self) -> Result<(), Denial> {
        match self.trashed {
            Trashed::No => Ok(()),
            Trashed::Itself => Err(Denial::InTrash),
            Trashed::Above => Err(Denial::AboveInTrash),
        }
    }

    fn is_thrown_away(&self) -> Result<(), Denial> {
        match self.trashed {
            Trashed::Itself => Ok(()),
            Trashed::Above => Err(Denial::AboveInTrash),
            Trashed::No => Err(Denial::NotInTrash),
        }
    }

    fn directory(&self) -> Result<(), Denial> {
        if self.kind == NodeKind::Directory { Ok(()) } else { Err(Denial::NotADirectory) }
    }

    pub(crate) fn permit<V: Verb<On = NodeId>>(&self, actor: &Actor) -> Permit<V> {
        Permit::new(actor.user, self.node, self.revision, self.rights)
    }
}

/// What a person has of a tree of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Home {
    None,
    /// Sealed to keys its owner holds.
    Open,
    /// Sealed to an identity that was lost and reset. Nobody opens it as its owner again, so it does not stand in the way of a new one;
    /// it stays theirs, for those it is shared with and until they delete it.
    Lost,
}

/// `path` begins with the node to be written.
fn open(path: &[PathStep]) -> bool {
    path.first().is_none_or(|node| path.iter().all(|step| step.closure_seq <= node.rolled_seq))
}

/// A person makes the root of their tree: once, and once more when the keys to it were lost.
pub fn may_create_home(actor: &Actor, home: Home, now: Timestamp) -> Result<Permit<HomeCreate>, Denial> {
    actor.check(now)?;
    match home {
        Home::None | Home::Lost => actor.may(Permission::VaultCreate).map(|()| Permit::new(actor.user, actor.user, 0, 0)),
        Home::Open => Err(Denial::HomeExists),
    }
}

/// Whoever has any access sees names, types, times; that is what a list key opens. How much is shown, [`NodeFacts::sight`] says.
pub fn may_stat(actor: &Actor, facts: &NodeFacts, now: Timestamp) -> Result<Permit<NodeStat>, Denial> {
    actor.check(now)?;
    facts.sight(actor, now)?;
    Ok(facts.permit(actor))
}

/// What lies in a locked directory is not listed.
pub fn may_list(actor: &Actor, facts: &NodeFacts, now: Timestamp) -> Result<Permit<NodeList>, Denial> {
    actor.check(now)?;
    facts.unlocked(actor, now)?;
    facts.directory()?;
    Ok(facts.permit(actor))
}

/// What was put into the trash from a directory: shown to whoever changes something there, since it gets new keys with the rest.
pub fn may_list_trash(actor: &Actor, facts: &NodeFacts, now: Timestamp) -> Result<Permit<TrashList>, Denial> {
    actor.check(now)?;
    let (access, restrictions) = facts.unlocked(actor, now)?;
    facts.directory()?;
    access.makes_keys(restrictions)?;
    Ok(facts.permit(actor))
}

/// What is to be made in a directory: a member of a group may have leave for the one and not for the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Making {
    pub files: bool,
    pub directories: bool,
}

/// New entries in a directory.
pub fn may_create(actor: &Actor, facts: &NodeFacts, making: Making, now: Timestamp) -> Result<Permit<NodeCreate>, Denial> {
    actor.check(now)?;
    facts.unlocked(actor, now)?;
    facts.directory()?;
    // What makes neither changes the directory's head all the same.
    let needs = [(making.files || !making.directories, Need::ADD), (making.directories, Need::DIRECTORIES)];
    for (_, need) in needs.into_iter().filter(|(asked, _)| *asked) {
        facts.may_write(actor, need, now)?;
    }
    actor.may(Permission::VaultCreate)?;
    // The path counts the directory itself, and so does the limit.
    if facts.path.len() >= limits::DEPTH_MAX {
        return Err(Denial::TooDeep);
    }
    Ok(facts.permit(actor))
}

pub fn may_rename(actor: &Actor, facts: &NodeFacts, now: Timestamp) -> Result<Permit<NodeRename>, Denial> {
    actor.check(now)?;
    facts.may_change_entry(actor, Need::RENAME, now)?;
    facts.out_of_trash()?;
    Ok(facts.permit(actor))
}

/// Out of one directory into another of the same owner, where the node has the label that it had: what its old place gave it and the new
/// one does not is set on the node itself first, and to raise its label is to classify it. The permit's revision is the node's.
pub fn may_move(actor: &Actor, facts: &NodeFacts, target: &NodeFacts, now: Timestamp) -> Result<Permit<NodeMove>, Denial> {
    actor.check(now)?;
    facts.unlocked(actor, now)?;
    target.unlocked(actor, now)?;
    facts.may_change_entry(actor, Need::REMOVE, now)?;
    facts.out_of_trash()?;
    target.directory()?;
    if facts.owner != target.owner || facts.group.map(|group| group.group) != target.group.map(|group| group.group) {
        return Err(Denial::OtherOwner);
    }
    if target.path.iter().any(|step| step.node == facts.node) {
        return Err(Denial::IntoItself);
    }
    let need = if facts.kind == NodeKind::File { Need::ADD } else { Need::DIRECTORIES };
    target.reach(actor, need, now)?;
    if target.label.joined(&facts.tags).as_ref() != Ok(&facts.label) {
        return Err(Denial::TagsOfPlace);
    }
    target.out_of_trash()?;
    if !target.is_open() {
        return Err(Denial::EpochClosed);
    }
    if target.path.len() >= limits::DEPTH_MAX {
        return Err(Denial::TooDeep);
    }
    // The older of the two reads bounds both.
    let rights = facts.rights.min(target.rights);
    Ok(Permit::new(actor.user, MoveTo { node: facts.node, target: target.node }, facts.revision, rights))
}

pub fn may_trash(actor: &Actor, facts: &NodeFacts, now: Timestamp) -> Result<Permit<NodeTrash>, Denial> {
    actor.check(now)?;
    facts.may_change_entry(actor, Need::REMOVE, now)?;
    facts.out_of_trash()?;
    Ok(facts.permit(actor))
}

pub fn may_restore(actor: &Actor, facts: &NodeFacts, now: Timestamp) -> Result<Permit<NodeRestore>, Denial> {
    actor.check(now)?;
    facts.may_change_entry(actor, Need::REMOVE, now)?;
    facts.is_thrown_away()?;
    Ok(facts.permit(actor))
}

/// For good (rules §7): by the owner alone, or in a group by who removes its entries; out of the trash, or a whole tree that its
/// owner can never open again.
pub fn may_delete(actor: &Actor, facts: &NodeFacts, now: Timestamp) -> Result<Permit<NodeDelete>, Denial> {
    actor.check(now)?;
    facts.unlocked(actor, now)?;
    if facts.group.is_none() && facts.owner != actor.user {
        return Err(Denial::NotOwner);
    }
    if facts.is_lost_root(actor) {
        return Ok(facts.permit(actor));
    }
    if facts.parent.is_none() {
        return Err(Denial::IsRoot);
    }
    facts.reach_entry(actor, Need::REMOVE, now)?;
    actor.active.is_at(&facts.label, now)?;
    facts.is_thrown_away()?;
    Ok(facts.permit(actor))
}

/// New keys of a node: whoever changes something in the directory that holds it, once that has new keys itself; of a root, its owner, or
/// in a group whoever changes something in it.
/// What is in the trash gets new keys as well, since it comes back under them. No content moves, so the label need only be unlocked.
pub fn may_rekey(actor: &Actor, facts: &NodeFacts, now: Timestamp) -> Result<Permit<NodeRekey>, Denial> {
    actor.check(now)?;
    let (access, restrictions) = facts.unlocked(actor, now)?;
    match facts.parent {
        None if facts.group.is_some() => access.makes_keys(restrictions)?,
        None if facts.owner != actor.user => return Err(Denial::NoEdit),
        None => {}
        Some(_) => {
            facts.access_above(actor, now).makes_keys(restrictions)?;
            if !facts.is_open_above() {
                return Err(Denial::EpochClosed);
            }
        }
    }
    Ok(facts.permit(actor))
}

#[cfg(test)]
pub(crate) mod tests;
