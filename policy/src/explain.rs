//! Why somebody reaches a thing or not: the very rules that decide (`access.rs`), with every reason kept instead of the first.
//!
//! *Now* is by the working set that the person has. *Then* is by a new login and a working set at the thing's own label, which is the most
//! that can be had without anybody else's doing: what is refused then, somebody else has to change.

use std::sync::Arc;

use ticrypt_types::{GroupPermissions, ProjectId, RequirementId, Timestamp, UserId, Verbs};

use crate::access::Need;
use crate::active::{ActiveSet, Standing, StandingLine};
use crate::actor::Actor;
use crate::denial::Denial;
use crate::node::NodeFacts;
use crate::permit::{AccessExplain, Permit};

/// What one would do with a file or a directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Asked {
    /// That it is there: its name.
    See,
    Read,
    Download,
    Change,
    Share,
    Tag,
}

impl Asked {
    pub const ALL: [Self; 6] = [Self::See, Self::Read, Self::Download, Self::Change, Self::Share, Self::Tag];

    pub const fn word(self) -> &'static str {
        match self {
            Self::See => "see",
            Self::Read => "read",
            Self::Download => "download",
            Self::Change => "change",
            Self::Share => "share",
            Self::Tag => "tag",
        }
    }
}

/// By what somebody has the key, whatever the label says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeldBy {
    Owner,
    /// The freest living share on it or above.
    Share(Verbs),
    Member(GroupPermissions),
    /// A share above a tag: it opens the name and no more.
    NameOnly,
    Nothing,
}

/// How somebody stands in the project of a tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TagStanding {
    pub project: ProjectId,
    /// They work in it, or below it.
    pub is_active: bool,
    /// Why a new login would not let them work in it.
    pub why_not: Option<Denial>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verdict {
    pub asked: Asked,
    pub now: Option<Denial>,
    pub then: Option<Denial>,
}

/// Why, or why not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explanation {
    pub held_by: HeldBy,
    /// Of every tag on its path, those of one tree by the lowest.
    pub tags: Vec<TagStanding>,
    pub verdicts: Vec<Verdict>,
}

impl Explanation {
    /// Why they may not do this, even after all that they can do themselves.
    pub fn denies(&self, asked: Asked) -> Option<Denial> {
        self.verdicts.iter().find(|verdict| verdict.asked == asked).and_then(|verdict| verdict.then)
    }
}

/// Who asks about others owns the thing, or the group it is in; about oneself asks anybody who sees it.
pub fn may_explain(
    actor: &Actor,
    facts: &NodeFacts,
    about: UserId,
    group_owner: Option<UserId>,
    now: Timestamp,
) -> Result<Permit<AccessExplain>, Denial> {
    actor.check(now)?;
    facts.sight(actor, now)?;
    let owner = group_owner.unwrap_or(facts.owner);
    if about == actor.user || owner == actor.user {
        Ok(Permit::new(actor.user, facts.node, facts.revision, facts.rights))
    } else {
        Err(Denial::OwnersExplain)
    }
}

/// `facts` and `lines` are of the person that `actor` is: their grants and groups, and how they stand along each line of the label.
pub fn explain(actor: &Actor, facts: &NodeFacts, lines: &[StandingLine], now: Timestamp) -> Explanation {
    let tag = |line: &StandingLine| {
        let project = line.steps().last()?.project;
        let is_active = facts
            .label
            .lines()
            .iter()
            .filter(|own| own.project() == Some(project))
            .all(|own| actor.active.working().lines().iter().any(|working| own.leads_to(working)));
        Some(TagStanding { project, is_active, why_not: line.holds(now, now).err() })
    };
    let then = Actor { active: Arc::new(ActiveSet::new(now, lines.to_vec()).unwrap_or_else(|| ActiveSet::empty(now))), ..actor.clone() };
    let verdict = |asked| Verdict { asked, now: denies(actor, facts, asked, now), then: denies(&then, facts, asked, now) };
    Explanation {
        held_by: held_by(actor, facts, now),
        tags: lines.iter().filter_map(tag).collect(),
        verdicts: Asked::ALL.into_iter().map(verdict).collect(),
    }
}

fn held_by(actor: &Actor, facts: &NodeFacts, now: Timestamp) -> HeldBy {
    match (facts.access(actor, now), facts.group) {
        (Ok(access), Some(_)) => HeldBy::Member(access.entries),
        (Ok(_), None) if facts.owner == actor.user => HeldBy::Owner,
        (Ok(access), None) => HeldBy::Share(access.verbs),
        (Err(Denial::Locked), _) => HeldBy::NameOnly,
        (Err(_), _) => HeldBy::Nothing,
    }
}

fn denies(actor: &Actor, facts: &NodeFacts, asked: Asked, now: Timestamp) -> Option<Denial> {
    let account = actor.check(now);
    let verdict = account.and_then(|()| match asked {
        Asked::See => facts.sight(actor, now).map(drop),
        Asked::Read => facts.reach(actor, Need::VIEW, now),
        Asked::Download => facts.reach(actor, Need::DOWNLOAD, now),
        Asked::Change => facts.reach(actor, Need::EDIT, now).and_then(|()| actor.active.is_at(&facts.label, now)),
        Asked::Share => facts.reach(actor, Need::SHARE, now),
        Asked::Tag => facts.reach(actor, Need::TAG, now),
    });
    verdict.err()
}

/// Something that is supposed to be lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Loss {
    Membership(ProjectId),
    Certification(RequirementId),
}

/// The same person without it.
pub fn without(line: &StandingLine, loss: Loss) -> StandingLine {
    let step = |standing: &Standing| {
        let mut standing = standing.clone();
        match loss {
            Loss::Membership(project) if project == standing.project => standing.membership = None,
            Loss::Membership(_) => {}
            Loss::Certification(requirement) => {
                let asked = standing.demands.iter_mut().filter(|demand| demand.requirement == requirement);
                asked.for_each(|demand| demand.certified = None);
            }
        }
        standing
    };
    StandingLine::new(line.steps().iter().map(step).collect())
}

#[cfg(test)]
mod tests;
