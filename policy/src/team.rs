//! Teams: who is in them, who looks after them, what they may use (rules §1).
//!
//! ```text
//!   manager of the team ──────────┐
//!   sub-admin, while assigned ────┼─▶ name, description, who is in it, who manages it
//!   permission team.members ──────┘       └─ out of the last team ─▶ inactive: "left last team", permissions as at first
//!   permission team.quota ─────────▶ quotas, but not a sub-admin's own
//!   permission team.delete ────────▶ a team without members
//!   admin with team.members ───────▶ assigns sub-admins
//! ```
//!
//! A team holds no key and opens nothing. Its managers need no rank: what leaves somebody without a team ends their access, so that asks for the rank too.

use ticrypt_types::user::InactiveCause;
use ticrypt_types::{Permission, Quotas, Rank, TeamId, Timestamp, UserState};

use crate::actor::Actor;
use crate::denial::Denial;
use crate::permit::{Permit, Verb};
use crate::permit::{TeamAdd, TeamAssign, TeamChange, TeamCreate, TeamDelete, TeamManager, TeamOn, TeamQuota, TeamRemove, TeamUnassign};
use crate::scope::TeamScope;
use crate::user::{UserFacts, keeps_a_super_admin};

/// What is known of a team, for one actor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TeamFacts {
    pub team: TeamId,
    pub revision: u64,
    /// The actor is in it.
    pub is_member: bool,
    pub is_manager: bool,
    /// Until when it is assigned to the actor: `None` for never, [`Timestamp::ABSENT`] for without end.
    pub assigned: Option<Timestamp>,
    /// Somebody is in it.
    pub has_members: bool,
}

/// What is known of somebody who is or is to be in a team.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TeamMemberFacts {
    pub account: UserFacts,
    pub cause: Option<InactiveCause>,
    pub is_member: bool,
    pub is_manager: bool,
    /// Teams they are in, this one included.
    pub teams: u64,
    /// Until when the team is assigned to them, as in [`TeamFacts`].
    pub assigned: Option<Timestamp>,
}

impl TeamFacts {
    /// Assignments count for sub-admins, within their time.
    fn is_assigned(&self, actor: &Actor, now: Timestamp) -> bool {
        actor.rank == Rank::SubAdmin && self.assigned.is_some_and(|until| !until.is_expired(now))
    }

    fn visible(&self, actor: &Actor, now: Timestamp) -> Result<(), Denial> {
        let own = self.is_member && actor.may(Permission::TeamView).is_ok();
        let seen = own || self.is_manager || self.is_assigned(actor, now) || actor.may(Permission::TeamViewAll).is_ok();
        if seen { Ok(()) } else { Err(Denial::NotFound) }
    }

    /// Whether the actor looks after the team.
    fn is_run_by(&self, actor: &Actor, now: Timestamp) -> Result<(), Denial> {
        if self.is_manager || self.is_assigned(actor, now) || actor.may(Permission::TeamMembers).is_ok() {
            return Ok(());
        }
        self.visible(actor, now)?;
        Err(Denial::NotTeamManager)
    }

    /// Whoever has the permission needs not see the team; whoever sees it learns that they lack the permission.
    fn permitted(&self, actor: &Actor, permission: Permission, now: Timestamp) -> Result<(), Denial> {
        actor.may(permission).or_else(|denial| self.visible(actor, now).and(Err(denial)))
    }

    fn permit<V: Verb<On = TeamId>>(&self, actor: &Actor) -> Permit<V> {
        Permit::new(actor.user, self.team, self.revision, 0)
    }
}

impl TeamMemberFacts {
    /// Whether taking them out of this team leaves them in none.
    pub fn is_last(&self) -> bool {
        self.is_member && self.teams <= 1
    }

    /// Whether that ends their access: who is not active has none, and keeps the cause they have.
    pub fn is_ended(&self) -> bool {
        self.is_last() && self.account.state == UserState::Active
    }

    /// In no team, and inactive for that and for nothing else.
    fn is_adoptable(&self) -> bool {
        self.teams == 0 && self.account.state == UserState::Inactive && self.cause == Some(InactiveCause::LeftLastTeam)
    }

    fn permit<V: Verb<On = TeamOn>>(&self, actor: &Actor, facts: &TeamFacts) -> Permit<V> {
        Permit::new(actor.user, TeamOn { team: facts.team, user: self.account.user }, self.account.revision, 0)
    }
}

/// What the trees that a team pays for may hold together, and do hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VaultUse {
    pub quota: u64,
    pub used: u64,
}

/// Whether there is room for so many bytes of ciphertext more. Who writes is not asked: a tree is paid for by its owner's team, whoever fills it.
pub fn may_hold(facts: VaultUse, more: u64) -> Result<(), Denial> {
    if more == 0 || facts.used.checked_add(more).is_some_and(|all| all <= facts.quota) { Ok(()) } else { Err(Denial::VaultQuota) }
}

/// How the maker of a team stands in it, so that a team is never out of sight of who made it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Founder {
    /// An administrator: it is empty until they add somebody.
    Outside,
    /// A sub-admin: it is assigned to them, without end.
    Assigned,
    /// Anybody else is its first member, and manages it.
    Manager,
}

/// The permit's revision is that of the maker's account, which may come into the team with it.
pub fn may_create_team(
    actor: &Actor,
    team: TeamId,
    account_revision: u64,
    now: Timestamp,
) -> Result<(Permit<TeamCreate>, Founder), Denial> {
    actor.check(now)?;
    actor.may(Permission::TeamCreate)?;
    let founder = match actor.rank {
        Rank::User => Founder::Manager,
        Rank::SubAdmin => Founder::Assigned,
        Rank::Admin | Rank::SuperAdmin => Founder::Outside,
    };
    Ok((Permit::new(actor.user, team, account_revision, 0), founder))
}

/// The team, and who is in it.
pub fn may_see_team(actor: &Actor, facts: &TeamFacts, now: Timestamp) -> Result<(), Denial> {
    actor.check(now)?;
    // Who may look after any team sees any.
    if actor.may(Permission::TeamMembers).is_ok() { Ok(()) } else { facts.visible(actor, now) }
}

/// Which teams a list tells of.
pub fn may_list_teams(actor: &Actor, now: Timestamp) -> Result<TeamScope, Denial> {
    actor.check(now)?;
    if actor.may(Permission::TeamViewAll).is_ok() || actor.may(Permission::TeamMembers).is_ok() {
        return Ok(TeamScope::All);
    }
    let assigned = (actor.rank == Rank::SubAdmin).then_some(now);
    Ok(TeamScope::Of { user: actor.user, own: actor.may(Permission::TeamView).is_ok(), assigned })
}

/// Name and description.
pub fn may_change_team(actor: &Actor, facts: &TeamFacts, now: Timestamp) -> Result<Permit<TeamChange>, Denial> {
    actor.check(now)?;
    facts.is_run_by(actor, now)?;
    Ok(facts.permit(actor))
}

pub fn may_set_quota(actor: &Actor, facts: &TeamFacts, quotas: &Quotas, now: Timestamp) -> Result<Permit<TeamQuota>, Denial> {
    actor.check(now)?;
    facts.permitted(actor, Permission::TeamQuota, now)?;
    if facts.is_assigned(actor, now) {
        return Err(Denial::OwnQuotas);
    }
    if !quotas.is_sound() {
        return Err(Denial::UnsoundQuotas);
    }
    Ok(facts.permit(actor))
}

pub fn may_delete_team(actor: &Actor, facts: &TeamFacts, now: Timestamp) -> Result<Permit<TeamDelete>, Denial> {
    actor.check(now)?;
    facts.permitted(actor, Permission::TeamDelete, now)?;
    if facts.has_members { Err(Denial::TeamNotEmpty) } else { Ok(facts.permit(actor)) }
}

/// Somebody active; administrators add people in any state, and a sub-admin adopts who is in no team for having left the last one.
pub fn may_add_team_member(actor: &Actor, facts: &TeamFacts, member: &TeamMemberFacts, now: Timestamp) -> Result<Permit<TeamAdd>, Denial> {
    actor.check(now)?;
    facts.is_run_by(actor, now)?;
    if member.is_member {
        return Err(Denial::AlreadyMember);
    }
    let administers = actor.rank >= Rank::Admin && actor.may(Permission::TeamMembers).is_ok();
    let adopts = facts.is_assigned(actor, now) && member.is_adoptable();
    if member.account.state != UserState::Active && !administers && !adopts {
        return Err(Denial::MemberInactive);
    }
    Ok(member.permit(actor, facts))
}

/// Out of the last team means out of the deployment, until somebody takes them in again: as with a deactivation the last super-admin stays, and nobody does it to
/// themselves or to a higher rank.
pub fn may_remove_team_member(
    actor: &Actor,
    facts: &TeamFacts,
    member: &TeamMemberFacts,
    now: Timestamp,
) -> Result<Permit<TeamRemove>, Denial> {
    actor.check(now)?;
    facts.is_run_by(actor, now)?;
    if !member.is_member {
        return Err(Denial::NoSuchMember);
    }
    if member.is_last() {
        if member.account.user == actor.user {
            return Err(Denial::OwnLastTeam);
        }
        if member.account.rank > actor.rank {
            return Err(Denial::RankTooHigh);
        }
        keeps_a_super_admin(&member.account)?;
    }
    Ok(member.permit(actor, facts))
}

/// Makes a member a manager of the team, or a plain member again.
pub fn may_set_team_manager(
    actor: &Actor,
    facts: &TeamFacts,
    member: &TeamMemberFacts,
    manager: bool,
    now: Timestamp,
) -> Result<Permit<TeamManager>, Denial> {
    actor.check(now)?;
    facts.is_run_by(actor, now)?;
    if !member.is_member {
        return Err(Denial::NoSuchMember);
    }
    if member.is_manager == manager { Err(Denial::SameStanding) } else { Ok(member.permit(actor, facts)) }
}

/// Puts a team in a sub-admin's care until a date, [`Timestamp::ABSENT`] for without end; again with another date changes that.
pub fn may_assign_sub_admin(
    actor: &Actor,
    facts: &TeamFacts,
    assignee: &TeamMemberFacts,
    until: Timestamp,
    now: Timestamp,
) -> Result<Permit<TeamAssign>, Denial> {
    assigns(actor, facts, now)?;
    if assignee.account.rank != Rank::SubAdmin {
        return Err(Denial::NotSubAdmin);
    }
    if assignee.account.state != UserState::Active {
        return Err(Denial::MemberInactive);
    }
    if until.is_expired(now) {
        return Err(Denial::DateInPast);
    }
    Ok(assignee.permit(actor, facts))
}

pub fn may_unassign_sub_admin(
    actor: &Actor,
    facts: &TeamFacts,
    assignee: &TeamMemberFacts,
    now: Timestamp,
) -> Result<Permit<TeamUnassign>, Denial> {
    assigns(actor, facts, now)?;
    if assignee.assigned.is_none() { Err(Denial::NotAssigned) } else { Ok(assignee.permit(actor, facts)) }
}

fn assigns(actor: &Actor, facts: &TeamFacts, now: Timestamp) -> Result<(), Denial> {
    actor.check(now)?;
    if actor.rank < Rank::Admin {
        return may_see_team(actor, facts, now).and(Err(Denial::NeedsAdministrator));
    }
    facts.permitted(actor, Permission::TeamMembers, now)
}

#[cfg(test)]
mod tests;
