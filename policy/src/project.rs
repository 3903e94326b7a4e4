//! Projects: making them, what they are called and ask for, who works in which (rules §2). Who is in one: [`member`].
//!
//! A project is run by its managers and its principal investigator, as far as they hold it themselves; managers of a parent do not run its children.
//! Project administrators name it and put it away, see no data by it, and bring nobody in. What is run here is decided as things stand now; only what
//! *data* a session reaches is frozen at the login.

pub mod member;

use ticrypt_types::{Permission, ProjectId, Timestamp, UserId, limits};

use crate::active::{ActiveSet, StandingLine};
use crate::actor::Actor;
use crate::denial::Denial;
use crate::permit::{Permit, ProjectChange, ProjectCreate, ProjectDelete, WorkingSet};
use crate::scope::Scope;

/// What is known of a project, for one actor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProjectFacts {
    pub project: ProjectId,
    pub revision: u64,
    /// Of the newest head of its roster; 0 before the first.
    pub counter: u64,
    /// How the actor stands in it and above it.
    pub line: StandingLine,
    pub pi: Option<UserId>,
    /// Something carries its tag, or a project is below it.
    pub in_use: bool,
}

impl ProjectFacts {
    fn is_member(&self) -> bool {
        self.line.steps().last().is_some_and(|standing| standing.membership.is_some())
    }

    /// Whether the actor runs the project: its managers with the permission, or who administrates projects.
    pub fn is_run_by(&self, actor: &Actor, permission: Permission, now: Timestamp) -> Result<(), Denial> {
        if actor.may(Permission::ProjectAdministrate).is_ok() { Ok(()) } else { self.is_managed_by(actor, permission, now) }
    }

    /// Its managers alone, with the permission.
    pub(crate) fn is_managed_by(&self, actor: &Actor, permission: Permission, now: Timestamp) -> Result<(), Denial> {
        self.visible(actor)?;
        if !self.line.manages(now, now) {
            return Err(Denial::NotManager);
        }
        actor.may(permission)
    }

    /// Its members see it, expired ones included, and who sees all.
    fn visible(&self, actor: &Actor) -> Result<(), Denial> {
        if self.is_member() || actor.may(Permission::ProjectViewAll).is_ok() { Ok(()) } else { Err(Denial::NotFound) }
    }
}

pub fn may_see_project(actor: &Actor, facts: &ProjectFacts, now: Timestamp) -> Result<(), Denial> {
    actor.check(now)?;
    facts.visible(actor)
}

/// Members of a project see themselves; each other only by permission (features H21); its managers see all.
pub fn may_list_members(actor: &Actor, facts: &ProjectFacts, now: Timestamp) -> Result<(), Denial> {
    actor.check(now)?;
    facts.visible(actor)?;
    if facts.line.manages(now, now) || actor.may(Permission::ProjectViewAll).is_ok() {
        return Ok(());
    }
    actor.may(Permission::ProjectMembers)
}

/// Which projects a list tells of: one's own, or all for who sees all.
pub fn may_list_projects(actor: &Actor, now: Timestamp) -> Result<Scope, Denial> {
    actor.check(now)?;
    Ok(if actor.may(Permission::ProjectViewAll).is_ok() { Scope::All } else { Scope::Own(actor.user) })
}

/// Which members a list tells of: whoever may not see the others sees themselves.
pub fn members_in_sight(actor: &Actor, facts: &ProjectFacts, now: Timestamp) -> Result<Scope, Denial> {
    match may_list_members(actor, facts, now) {
        Ok(()) => Ok(Scope::All),
        Err(Denial::NoPermission { .. }) => Ok(Scope::Own(actor.user)),
        Err(denial) => Err(denial),
    }
}

/// A project of its own tree, or below another by a manager of that. The creator becomes member, manager and principal investigator.
/// The permit's revision is the parent's, which is not to be deleted meanwhile.
pub fn may_create_project(
    actor: &Actor,
    project: ProjectId,
    parent: Option<&ProjectFacts>,
    now: Timestamp,
) -> Result<Permit<ProjectCreate>, Denial> {
    actor.check(now)?;
    let Some(parent) = parent else {
        actor.may(Permission::ProjectCreate)?;
        return Ok(Permit::new(actor.user, project, 0, 0));
    };
    parent.visible(actor)?;
    // Whoever makes it is a member of it, hence of all above: administrating does not do.
    if !parent.line.manages(now, now) {
        return Err(Denial::NotManager);
    }
    actor.may(Permission::ProjectChild)?;
    if parent.line.steps().len() >= limits::PROJECT_DEPTH_MAX {
        return Err(Denial::ProjectTooDeep);
    }
    Ok(Permit::new(actor.user, project, parent.revision, 0))
}

/// Name, tag, colour, description and level.
pub fn may_change_project(actor: &Actor, facts: &ProjectFacts, now: Timestamp) -> Result<Permit<ProjectChange>, Denial> {
    actor.check(now)?;
    facts.is_run_by(actor, Permission::ProjectManage, now)?;
    Ok(Permit::new(actor.user, facts.project, facts.revision, 0))
}

pub fn may_delete_project(actor: &Actor, facts: &ProjectFacts, now: Timestamp) -> Result<Permit<ProjectDelete>, Denial> {
    actor.check(now)?;
    facts.is_run_by(actor, Permission::ProjectManage, now)?;
    if facts.in_use {
        return Err(Denial::ProjectInUse);
    }
    Ok(Permit::new(actor.user, facts.project, facts.revision, 0))
}

/// The working set that these lines make, each to a project that is held since the login; at most one of each tree. The permit's revision is
/// that of the working set before.
pub fn may_set_working(
    actor: &Actor,
    lines: Vec<StandingLine>,
    before: u64,
    login: Timestamp,
    now: Timestamp,
) -> Result<(Permit<WorkingSet>, ActiveSet), Denial> {
    actor.check(now)?;
    if lines.len() > limits::LABEL_LINES_MAX {
        return Err(Denial::TooManyProjects);
    }
    for line in &lines {
        // A project one is no member of answers like one that does not exist.
        line.holds(login, now).map_err(|denial| if denial == Denial::NotMember { Denial::NotFound } else { denial })?;
    }
    let set = ActiveSet::new(login, lines).ok_or(Denial::SameTree)?;
    Ok((Permit::new(actor.user, actor.user, before, 0), set))
}

#[cfg(test)]
pub(crate) mod tests;
