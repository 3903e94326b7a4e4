//! Who is in a project. It is changed by a head that a manager signs and by nothing else (security B4), so the server can bring nobody in, and no
//! administrator can.
//!
//! ```text
//!   manager ─▶ head: set, remove, investigator ─▶ may_set_members (server: all it knows) ─▶ may_sign_head (whoever verifies: what heads prove)
//!   oneself, or who administrates projects ─▶ may_withdraw: out at once; the entry goes with the next head
//! ```

use ticrypt_types::{MemberRole, Permission, Restrictions, Timestamp, UserId};

use super::ProjectFacts;
use crate::actor::Actor;
use crate::denial::Denial;
use crate::permit::{MemberOn, MemberRemove, MemberSet, Permit};

/// Somebody in a project, or who is to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemberFacts {
    pub user: UserId,
    pub is_active: bool,
    /// Their membership of the project above, as it ends: `None` for no living one. Of a root project: never ends.
    pub above: Option<Timestamp>,
    /// The newest head commits to an entry of theirs.
    pub is_listed: bool,
    /// Listed and not withdrawn; expired or not.
    pub is_member: bool,
    /// Of that membership; 0 for none.
    pub revision: u64,
}

/// The terms of a membership.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemberTerms {
    pub role: MemberRole,
    pub restrictions: Restrictions,
    /// [`Timestamp::ABSENT`]: never.
    pub expires: Timestamp,
    /// What to do with somebody who is a member already: update them, or refuse.
    pub update: bool,
}

/// What a head does to somebody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MemberStep {
    Set(MemberTerms),
    Remove,
}

/// The principal investigator after a head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvestigatorFacts {
    pub pi: Option<UserId>,
    /// In the project after the head.
    pub is_member: bool,
}

/// Those of the changes that are refused, with the reason; an error if the actor may change nothing at all.
pub fn refused_changes(
    actor: &Actor,
    facts: &ProjectFacts,
    changes: &[(MemberFacts, MemberStep)],
    now: Timestamp,
) -> Result<Vec<(UserId, Denial)>, Denial> {
    actor.check(now)?;
    facts.is_managed_by(actor, Permission::ProjectManage, now)?;
    let refused = |(member, step): &(MemberFacts, MemberStep)| {
        let allowed = match step {
            MemberStep::Set(terms) => is_set(actor, member, terms, now),
            MemberStep::Remove if member.is_listed => Ok(()),
            MemberStep::Remove => Err(Denial::NoSuchMember),
        };
        allowed.err().map(|denial| (member.user, denial))
    };
    Ok(changes.iter().filter_map(refused).collect())
}

/// A head with these changes, all or none. The permit's revision is the counter of the head before.
pub fn may_set_members(
    actor: &Actor,
    facts: &ProjectFacts,
    changes: &[(MemberFacts, MemberStep)],
    investigator: InvestigatorFacts,
    now: Timestamp,
) -> Result<Permit<MemberSet>, Denial> {
    if let Some((_, denial)) = refused_changes(actor, facts, changes, now)?.first() {
        return Err(*denial);
    }
    let InvestigatorFacts { pi: Some(pi), is_member: false } = investigator else {
        return Ok(Permit::new(actor.user, facts.project, facts.counter, 0));
    };
    let removed = changes.iter().any(|(member, step)| member.user == pi && *step == MemberStep::Remove);
    Err(if removed { Denial::IsPi } else { Denial::PiNotMember })
}

/// Adds somebody, or changes their membership. Nobody adds or changes themselves.
fn is_set(actor: &Actor, member: &MemberFacts, terms: &MemberTerms, now: Timestamp) -> Result<(), Denial> {
    if member.user == actor.user {
        return Err(Denial::Oneself);
    }
    if !member.is_active {
        return Err(Denial::MemberInactive);
    }
    if member.is_member && !terms.update {
        return Err(Denial::AlreadyMember);
    }
    if terms.expires.is_expired(now) {
        return Err(Denial::DateInPast);
    }
    match member.above {
        None => Err(Denial::ParentNotMember),
        Some(until) if until != Timestamp::ABSENT && (terms.expires == Timestamp::ABSENT || terms.expires > until) => {
            Err(Denial::ParentExpires)
        }
        Some(_) => Ok(()),
    }
}

/// Whose entry, under the head before, signs the next one: a manager's, or the principal investigator's, at the time that the head names.
pub fn may_sign_head(signer: UserId, role: MemberRole, expires: Timestamp, pi: Option<UserId>, at: Timestamp) -> Result<(), Denial> {
    if expires.is_expired(at) {
        return Err(Denial::MembershipExpired);
    }
    if role == MemberRole::Manager || pi == Some(signer) { Ok(()) } else { Err(Denial::NotManager) }
}

/// Out of the project without a head: one leaves by oneself, and who administrates projects ends the access of anybody. The principal investigator does not leave
/// until another one is named.
pub fn may_withdraw(actor: &Actor, facts: &ProjectFacts, member: &MemberFacts, now: Timestamp) -> Result<Permit<MemberRemove>, Denial> {
    actor.check(now)?;
    let own = member.user == actor.user;
    if !own && actor.may(Permission::ProjectAdministrate).is_err() {
        facts.is_managed_by(actor, Permission::ProjectManage, now)?;
        return Err(Denial::NeedsHead);
    }
    if own {
        facts.visible(actor)?;
    }
    if !member.is_member {
        return Err(Denial::NoSuchMember);
    }
    if own && facts.pi == Some(member.user) {
        return Err(Denial::IsPi);
    }
    Ok(Permit::new(actor.user, MemberOn { project: facts.project, user: member.user }, member.revision, 0))
}

#[cfg(test)]
mod tests;
