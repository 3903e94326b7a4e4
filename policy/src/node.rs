//! Directories and files: seeing, arranging, new keys.
//!
//! **Access** comes from keys: the owner of the tree has all verbs, anybody else those of their living grants on the node
//! or above it. No rank replaces a grant. Whoever has no access is told that nothing is there.
//!
//! **An entry is its directory's.** Renaming, moving, trashing change the signed head of the directory that holds the
//! node, so they need *edit* there; a share of the node alone does not do.
//!
//! **The epoch rule** (security B5, docs/formats.md §6). Ending a grant on `a` sets `closure_seq(a)` to the next number; new keys of
//! `n` set `rolled_seq(n)`. A node may be written iff no closure on its path is younger than its own keys:
//! `closure_seq(a) <= rolled_seq(n)` for every `a` from the node up to the root.

use ticrypt_types::{GrantId, NodeId, NodeKind, Timestamp, UserId, Verbs, limits};

use crate::actor::Actor;
use crate::denial::Denial;
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
    pub owner: UserId,
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
    /// The verbs the actor has here; of several grants the freest counts.
    pub fn access(&self, actor: &Actor, now: Timestamp) -> Result<Verbs, Denial> {
        self.access_by(actor, now, |_| true)
    }

    /// The verbs on the directory that holds the node: a grant on the node itself does not count. Empty without one.
    fn access_above(&self, actor: &Actor, now: Timestamp) -> Verbs {
        self.access_by(actor, now, |grant| grant.node != self.node).unwrap_or(Verbs::NONE)
    }

    fn access_by(&self, actor: &Actor, now: Timestamp, counts: impl Fn(&GrantFact) -> bool) -> Result<Verbs, Denial> {
        if self.owner == actor.user {
            return Ok(Verbs::ALL);
        }
        let living = self.grants.iter().filter(|grant| grant.is_living(now) && counts(grant));
        living.map(|grant| grant.verbs).reduce(Verbs::and).ok_or(Denial::NotFound)
    }

    /// Whether the actor sees the node: what is in the trash is seen by those who can take it out again.
    pub(crate) fn visible(&self, actor: &Actor, now: Timestamp) -> Result<Verbs, Denial> {
        let verbs = self.access(actor, now)?;
        if self.trashed != Trashed::No && !self.access_above(actor, now).contains(Verbs::EDIT) {
            return Err(Denial::NotFound);
        }
        Ok(verbs)
    }

    /// The root of a tree whose owner asks and lost the keys: every seal of it to them has ended, the last by a reset.
    fn is_lost_root(&self, actor: &Actor) -> bool {
        let mut seals = self.grants.iter().filter(|grant| grant.node == self.node).peekable();
        self.owner == actor.user && self.parent.is_none() && seals.peek().is_some() && seals.all(|grant| grant.ended)
    }

    /// Whether one of the actor's living grants has this record hash and these verbs: what a writer names as authority.
    /// The owner names none.
    pub fn stands_on(&self, actor: &Actor, authority: Option<&[u8; 32]>, verbs: Verbs, now: Timestamp) -> bool {
        match authority {
            None => self.owner == actor.user,
            Some(hash) => self.grants.iter().any(|grant| grant.hash == *hash && grant.is_living(now) && grant.verbs.contains(verbs)),
        }
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
    fn is_open_above(&self) -> bool {
        self.path.get(1..).is_none_or(open)
    }

    /// Access with *edit*, out of the trash, under an open epoch.
    pub(crate) fn may_write(&self, actor: &Actor, now: Timestamp) -> Result<(), Denial> {
        if !self.visible(actor, now)?.contains(Verbs::EDIT) {
            return Err(Denial::NoEdit);
        }
        self.out_of_trash()?;
        if self.is_open() { Ok(()) } else { Err(Denial::EpochClosed) }
    }

    /// The same for the entry of the node in the directory that holds it.
    fn may_change_entry(&self, actor: &Actor, now: Timestamp) -> Result<(), Denial> {
        self.visible(actor, now)?;
        if self.parent.is_none() {
            return Err(Denial::IsRoot);
        }
        if !self.access_above(actor, now).contains(Verbs::EDIT) {
            return Err(Denial::NoEdit);
        }
        if self.is_open_above() { Ok(()) } else { Err(Denial::EpochClosed) }
    }

    pub(crate) fn out_of_trash(&self) -> Result<(), Denial> {
        match self.trashed {
            Trashed::No => Ok(()),
            Trashed::Itself => Err(Denial::InTrash),
            Trashed::Above => Err(Denial::AboveInTrash),
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
        Home::None | Home::Lost => Ok(Permit::new(actor.user, actor.user, 0, 0)),
        Home::Open => Err(Denial::HomeExists),
    }
}

/// Whoever has any access sees names, types, times; that is what a list key opens.
pub fn may_stat(actor: &Actor, facts: &NodeFacts, now: Timestamp) -> Result<Permit<NodeStat>, Denial> {
    actor.check(now)?;
    facts.visible(actor, now)?;
    Ok(facts.permit(actor))
}

pub fn may_list(actor: &Actor, facts: &NodeFacts, now: Timestamp) -> Result<Permit<NodeList>, Denial> {
    actor.check(now)?;
    facts.visible(actor, now)?;
    facts.directory()?;
    Ok(facts.permit(actor))
}

/// What was put into the trash from a directory: shown to those who can take it out again.
pub fn may_list_trash(actor: &Actor, facts: &NodeFacts, now: Timestamp) -> Result<Permit<TrashList>, Denial> {
    actor.check(now)?;
    let verbs = facts.visible(actor, now)?;
    facts.directory()?;
    if !verbs.contains(Verbs::EDIT) {
        return Err(Denial::NoEdit);
    }
    Ok(facts.permit(actor))
}

/// New entries in a directory.
pub fn may_create(actor: &Actor, facts: &NodeFacts, now: Timestamp) -> Result<Permit<NodeCreate>, Denial> {
    actor.check(now)?;
    facts.visible(actor, now)?;
    facts.directory()?;
    facts.may_write(actor, now)?;
    // The path counts the directory itself, and so does the limit.
    if facts.path.len() >= limits::DEPTH_MAX {
        return Err(Denial::TooDeep);
    }
    Ok(facts.permit(actor))
}

pub fn may_rename(actor: &Actor, facts: &NodeFacts, now: Timestamp) -> Result<Permit<NodeRename>, Denial> {
    actor.check(now)?;
    facts.may_change_entry(actor, now)?;
    facts.out_of_trash()?;
    Ok(facts.permit(actor))
}

/// Out of one directory into another of the same owner. The permit's revision is the node's.
pub fn may_move(actor: &Actor, facts: &NodeFacts, target: &NodeFacts, now: Timestamp) -> Result<Permit<NodeMove>, Denial> {
    actor.check(now)?;
    facts.visible(actor, now)?;
    target.visible(actor, now)?;
    facts.may_change_entry(actor, now)?;
    facts.out_of_trash()?;
    target.directory()?;
    if facts.owner != target.owner {
        return Err(Denial::OtherOwner);
    }
    if target.path.iter().any(|step| step.node == facts.node) {
        return Err(Denial::IntoItself);
    }
    target.may_write(actor, now)?;
    if target.path.len() >= limits::DEPTH_MAX {
        return Err(Denial::TooDeep);
    }
    // The older of the two reads bounds both.
    let rights = facts.rights.min(target.rights);
    Ok(Permit::new(actor.user, MoveTo { node: facts.node, target: target.node }, facts.revision, rights))
}

pub fn may_trash(actor: &Actor, facts: &NodeFacts, now: Timestamp) -> Result<Permit<NodeTrash>, Denial> {
    actor.check(now)?;
    facts.may_change_entry(actor, now)?;
    facts.out_of_trash()?;
    Ok(facts.permit(actor))
}

pub fn may_restore(actor: &Actor, facts: &NodeFacts, now: Timestamp) -> Result<Permit<NodeRestore>, Denial> {
    actor.check(now)?;
    facts.may_change_entry(actor, now)?;
    match facts.trashed {
        Trashed::Itself => Ok(facts.permit(actor)),
        Trashed::Above => Err(Denial::AboveInTrash),
        Trashed::No => Err(Denial::NotInTrash),
    }
}

/// For good, by the owner alone (rules §7): out of the trash, or a whole tree that they can never open again.
pub fn may_delete(actor: &Actor, facts: &NodeFacts, now: Timestamp) -> Result<Permit<NodeDelete>, Denial> {
    actor.check(now)?;
    facts.visible(actor, now)?;
    if facts.owner != actor.user {
        return Err(Denial::NotOwner);
    }
    if facts.is_lost_root(actor) {
        return Ok(facts.permit(actor));
    }
    if facts.parent.is_none() {
        return Err(Denial::IsRoot);
    }
    match facts.trashed {
        Trashed::Itself => Ok(facts.permit(actor)),
        Trashed::Above => Err(Denial::AboveInTrash),
        Trashed::No => Err(Denial::NotInTrash),
    }
}

/// New keys of a node: whoever edits the directory that holds it, once that directory has new keys itself; of a root, its owner.
/// What is in the trash gets new keys as well, since it comes back under them.
pub fn may_rekey(actor: &Actor, facts: &NodeFacts, now: Timestamp) -> Result<Permit<NodeRekey>, Denial> {
    actor.check(now)?;
    facts.visible(actor, now)?;
    match facts.parent {
        Some(_) => facts.may_change_entry(actor, now)?,
        None if facts.owner != actor.user => return Err(Denial::NoEdit),
        None => {}
    }
    Ok(facts.permit(actor))
}

#[cfg(test)]
pub(crate) mod tests;
