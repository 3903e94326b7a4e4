//! Tagging: classify, retag, declassify (rules §5).
//!
//! A change of tags is a set of shifts, one in each tree it touches: *down* to a project classifies and takes the project in the working
//! set; *up* from a project declassifies and takes its manager besides; sideways does not exist.

use ticrypt_types::{Permission, Timestamp};

use crate::access::Need;
use crate::actor::Actor;
use crate::denial::Denial;
use crate::label::{Label, Line, Shift};
use crate::node::NodeFacts;
use crate::permit::{NodeTag, Permit};

/// What the tags of a node are to become, and what stands around it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Retag {
    /// Of the directory that holds the node; Unlocked for a root.
    pub place: Label,
    /// The new tags of the node itself.
    pub tags: Label,
    /// The tags of what is inside it.
    pub below: Vec<Line>,
}

/// Whether the node may be tagged like that. A tag that adds nothing to those of its place is allowed: with it, the node can leave.
pub fn may_retag(actor: &Actor, facts: &NodeFacts, retag: &Retag, now: Timestamp) -> Result<Permit<NodeTag>, Denial> {
    actor.check(now)?;
    facts.reach(actor, Need::TAG, now)?;
    facts.out_of_trash()?;
    // The home of a person stays Unlocked: what is theirs alone needs a directory of its own to be tagged. A group's root carries the group's tag.
    if facts.parent.is_none() && facts.group.is_none() {
        return Err(Denial::IsRoot);
    }
    let label = retag.place.joined(&retag.tags).map_err(|_| Denial::TagsApart)?;
    if retag.below.iter().cloned().any(|tag| label.clone().with(tag).is_err()) {
        return Err(Denial::TagBelow);
    }
    if retag.tags == facts.tags {
        return Err(Denial::SameTags);
    }
    for shift in facts.label.shifts(&label) {
        may_shift(actor, shift, now)?;
    }
    actor.active.covers(&label, now)?;
    // New keys are made, in an entry of the directory that holds the node.
    if facts.is_open_above() { Ok(facts.permit(actor)) } else { Err(Denial::EpochClosed) }
}

fn may_shift(actor: &Actor, shift: Shift, now: Timestamp) -> Result<(), Denial> {
    match shift {
        Shift::Sideways => Err(Denial::Sideways),
        Shift::Down(project) => {
            actor.may(Permission::ProjectClassify)?;
            actor.active.held(project, now).map(drop).ok_or(Denial::NotInWorkingSet)
        }
        Shift::Up(project) => {
            actor.may(Permission::ProjectDeclassify)?;
            actor.active.held(project, now).ok_or(Denial::NotInWorkingSet)?;
            if actor.active.manages(project, now) { Ok(()) } else { Err(Denial::NeedsProjectManager) }
        }
    }
}
