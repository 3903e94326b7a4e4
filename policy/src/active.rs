//! Being active in a project, and what a working set opens (rules §2).
//!
//! **From login to now.** A session is active in a project iff everything that takes has held at *every* moment since the login: the
//! memberships of the project and of its ancestors, and a certification for each requirement that was in force meanwhile. The longer the session,
//! the more is asked, so by construction it never gains, and what it lost stays lost; a new login starts anew. No list is frozen anywhere.
//!
//! **The working set** is chosen by the person, for all their sessions. Where it is no longer held it is dead weight: what it
//! covered is not read, and nothing at all is written, until they change it.

use ticrypt_types::{MemberRole, ProjectId, RequirementId, Restrictions, Span, Timestamp};

use crate::denial::Denial;
use crate::explain::{Loss, without};
use crate::label::{Label, Line};

/// Somebody's membership of a project.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Membership {
    /// From when it has been without a gap, and until when it is given.
    pub span: Span,
    pub role: MemberRole,
    pub restrictions: Restrictions,
}

/// A requirement of a project, and what the person has of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Demand {
    pub requirement: RequirementId,
    /// While the project asks for it.
    pub in_force: Span,
    /// While the person is certified, without a gap.
    pub certified: Option<Span>,
}

/// One person in one project, by the project's own terms.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    pub project: ProjectId,
    pub membership: Option<Membership>,
    /// The project's principal investigator.
    pub is_pi: bool,
    pub demands: Vec<Demand>,
}

impl Standing {
    /// Whether the project's own terms have been met from `login` to `now`.
    pub fn holds(&self, login: Timestamp, now: Timestamp) -> Result<Membership, Denial> {
        let membership = self.membership.ok_or(Denial::NotMember)?;
        if membership.span.until.is_expired(now) {
            return Err(Denial::MembershipExpired);
        }
        let asked = self.demands.iter().filter(|demand| demand.in_force.meets(login, now));
        let uncertified = |demand: &Demand| demand.certified.is_none_or(|span| span.until.is_expired(now));
        if let Some(demand) = asked.clone().find(|demand| uncertified(demand)) {
            return Err(Denial::Uncertified { requirement: demand.requirement });
        }
        let gained = |span: Span| !span.covers(login, now);
        if gained(membership.span) || asked.filter_map(|demand| demand.certified).any(gained) {
            return Err(Denial::NeedsLogin);
        }
        Ok(membership)
    }

    fn is_manager(&self) -> bool {
        self.is_pi || self.membership.is_some_and(|own| own.role == MemberRole::Manager)
    }
}

/// One person along one line of projects, root first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StandingLine(Vec<Standing>);

impl StandingLine {
    pub fn new(root_first: Vec<Standing>) -> Self {
        Self(root_first)
    }

    pub fn steps(&self) -> &[Standing] {
        &self.0
    }

    /// Whether the project at the end is held, which takes all its ancestors. The restrictions along the way add up.
    pub fn holds(&self, login: Timestamp, now: Timestamp) -> Result<Restrictions, Denial> {
        holds(&self.0, login, now)
    }

    /// Whether the person certifies for a requirement here: the project at the end asks for it, itself or by an ancestor, and they are an
    /// unexpired member all along and its manager. Certified or not, since who certifies may certify themselves.
    pub fn certifies_for(&self, requirement: RequirementId, now: Timestamp) -> bool {
        let mut asked = self.0.iter().flat_map(|standing| &standing.demands).filter(|demand| demand.in_force.covers(now, now));
        let lives = |standing: &Standing| standing.membership.is_some_and(|own| !own.span.until.is_expired(now));
        asked.any(|demand| demand.requirement == requirement) && self.0.iter().all(lives) && self.0.last().is_some_and(Standing::is_manager)
    }

    /// Whether the person manages the project at the end: it is held, by a manager or the project's PI.
    pub fn manages(&self, login: Timestamp, now: Timestamp) -> bool {
        self.holds(login, now).is_ok() && self.0.last().is_some_and(Standing::is_manager)
    }
}

fn holds(steps: &[Standing], login: Timestamp, now: Timestamp) -> Result<Restrictions, Denial> {
    if steps.is_empty() {
        return Err(Denial::NotMember);
    }
    steps.iter().try_fold(Restrictions::NONE, |all, standing| Ok(all.and(standing.holds(login, now)?.restrictions)))
}

/// The working set of a person, with how they stand in each project of it, for one session.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ActiveSet {
    login: Timestamp,
    working: Label,
    /// As the lines of `working`, in the same order.
    standing: Vec<StandingLine>,
}

impl ActiveSet {
    /// `lines` are of different trees; the working set they make is refused otherwise.
    pub fn new(login: Timestamp, lines: Vec<StandingLine>) -> Option<Self> {
        let mut standing = lines;
        let root = |line: &StandingLine| line.0.first().map(|standing| standing.project);
        standing.sort_by_key(root);
        let tags = standing.iter().map(|line| Line::new(line.0.iter().map(|standing| standing.project).collect()));
        let tags: Vec<Line> = tags.collect::<Option<_>>()?;
        let working = Label::of(tags).ok()?;
        (working.lines().len() == standing.len()).then_some(Self { login, working, standing })
    }

    /// Nothing is active: all a session has at the first login.
    pub fn empty(login: Timestamp) -> Self {
        Self { login, ..Self::default() }
    }

    pub fn working(&self) -> &Label {
        &self.working
    }

    /// Read: the label lies within the working set and is held. What the label's projects withhold comes back.
    pub fn covers(&self, label: &Label, now: Timestamp) -> Result<Restrictions, Denial> {
        if !label.is_within(&self.working) {
            return Err(Denial::Locked);
        }
        let mut restrictions = Restrictions::NONE;
        for line in label.lines() {
            let root = line.projects().first();
            let standing = self.standing.iter().find(|standing| standing.0.first().map(|step| &step.project) == root);
            // Held as far as the label reaches: what lies below it in the working set may be lost.
            let reached = standing.and_then(|standing| standing.0.get(..line.projects().len())).ok_or(Denial::Locked)?;
            restrictions = restrictions.and(holds(reached, self.login, now).map_err(|_| Denial::Locked)?);
        }
        Ok(restrictions)
    }

    /// The same person at work on the same, if they had lost this.
    #[must_use]
    pub fn without(&self, loss: Loss) -> Self {
        Self { standing: self.standing.iter().map(|line| without(line, loss)).collect(), ..self.clone() }
    }

    /// The working set's own line to the project, if it names it and it is held.
    pub(crate) fn held(&self, project: ProjectId, now: Timestamp) -> Option<&StandingLine> {
        let ends = |line: &&StandingLine| line.0.last().is_some_and(|standing| standing.project == project);
        self.standing.iter().find(ends).filter(|line| line.holds(self.login, now).is_ok())
    }

    /// Whether the project is in the working set, held, and managed by the person.
    pub(crate) fn manages(&self, project: ProjectId, now: Timestamp) -> bool {
        self.held(project, now).is_some_and(|line| line.manages(self.login, now))
    }

    /// Write: the label equals the working set, and all of it is held.
    pub fn is_at(&self, label: &Label, now: Timestamp) -> Result<(), Denial> {
        if self.standing.iter().any(|line| line.holds(self.login, now).is_err()) {
            return Err(Denial::DeadWeight);
        }
        if *label == self.working { Ok(()) } else { Err(Denial::OtherLabel) }
    }
}

#[cfg(test)]
mod tests;
