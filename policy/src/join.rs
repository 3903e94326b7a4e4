//! Requests to join a project (docs/decisions/0023): anybody asks for a project they can name, who may add people answers.
//!
//! ```text
//!   (none) ── ask ──▶ open ── withdraw, by who asked ─▶ withdrawn ──┐
//!                      │ └─── refuse, with a reason ──▶ refused ────┴─ ask, a day later ─▶ open
//!                      └── a head that takes them in ─▶ gone
//! ```
//!
//! Nothing here asks whether the project exists: what is asked for one that does not is answered as for one that does, and waits. Granting has no rule
//! of its own, since it is a head like any other (`project::member`).

use ticrypt_types::{JoinState, Permission, ProjectId, Timestamp, UserId, limits};

use crate::active::StandingLine;
use crate::actor::Actor;
use crate::denial::Denial;
use crate::permit::{JoinAsk, JoinRefuse, JoinWithdraw, MemberOn, Permit, Verb};
use crate::project::ProjectFacts;

/// What is known of somebody's request for a project, or of that there is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct JoinFacts {
    pub project: ProjectId,
    pub user: UserId,
    /// Where it stands, and when it was made.
    pub last: Option<(JoinState, Timestamp)>,
    /// Of the request; 0 for none.
    pub revision: u64,
    /// The person is a member, unexpired and not withdrawn.
    pub is_member: bool,
    /// Their requests for other projects: those open, and those closed not long ago.
    pub of_person: u64,
    /// Open requests of others for this project.
    pub of_project: u64,
}

impl JoinFacts {
    fn is_open(&self) -> Result<(), Denial> {
        if matches!(self.last, Some((JoinState::Open, _))) { Ok(()) } else { Err(Denial::JoinNotOpen) }
    }

    fn permit<V: Verb<On = MemberOn>>(&self, actor: &Actor) -> Permit<V> {
        Permit::new(actor.user, MemberOn { project: self.project, user: self.user }, self.revision, 0)
    }
}

/// For oneself. Who was a member and is no more asks like anybody else.
pub fn may_ask_to_join(actor: &Actor, facts: &JoinFacts, now: Timestamp) -> Result<Permit<JoinAsk>, Denial> {
    actor.check(now)?;
    if facts.user != actor.user {
        return Err(Denial::NotFound);
    }
    if facts.is_member {
        return Err(Denial::JoinedAlready);
    }
    match facts.last {
        Some((JoinState::Open, _)) => return Err(Denial::JoinOpen),
        // So that nobody keeps telling a project's managers of themselves.
        Some((JoinState::Refused | JoinState::Withdrawn, asked)) => {
            let until = asked.plus_millis(limits::JOIN_AGAIN_MS);
            if now < until {
                return Err(Denial::JoinAgain { until });
            }
        }
        None => {}
    }
    if facts.of_person >= limits::JOINS_OF_PERSON_MAX {
        return Err(Denial::TooManyJoins);
    }
    if facts.of_project >= limits::JOINS_OF_PROJECT_MAX { Err(Denial::ProjectJoinsFull) } else { Ok(facts.permit(actor)) }
}

/// One's own.
pub fn may_withdraw_join(actor: &Actor, facts: &JoinFacts, now: Timestamp) -> Result<Permit<JoinWithdraw>, Denial> {
    actor.check(now)?;
    if facts.user != actor.user {
        return Err(Denial::NotFound);
    }
    facts.is_open()?;
    Ok(facts.permit(actor))
}

/// By who may add people to the project, with a word why.
pub fn may_refuse_join(
    actor: &Actor,
    project: &ProjectFacts,
    facts: &JoinFacts,
    reason: &str,
    now: Timestamp,
) -> Result<Permit<JoinRefuse>, Denial> {
    may_list_joins(actor, project, now)?;
    facts.is_open()?;
    if reason.trim().is_empty() || reason.len() > limits::REASON_MAX_BYTES {
        return Err(Denial::NoReason);
    }
    Ok(facts.permit(actor))
}

/// The open requests for a project are for those who may add people to it (`project::member::may_set_members`).
pub fn may_list_joins(actor: &Actor, project: &ProjectFacts, now: Timestamp) -> Result<(), Denial> {
    actor.check(now)?;
    project.is_managed_by(actor, Permission::ProjectManage, now)
}

/// One's own requests are for oneself.
pub fn may_list_own_joins(actor: &Actor, now: Timestamp) -> Result<UserId, Denial> {
    actor.check(now)?;
    Ok(actor.user)
}

/// Whether somebody may add people to the project at the end of the line, and so is told of requests for it and of members whose time ends.
pub fn answers(actor: &Actor, line: &StandingLine, now: Timestamp) -> bool {
    actor.check(now).is_ok() && line.manages(now, now) && actor.may(Permission::ProjectManage).is_ok()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::actor::tests::{actor, id};
    use crate::project::tests::{MANAGER, USER, facts as project, with};
    use ticrypt_types::{Rank, UserState};

    const NOW: Timestamp = Timestamp::from_millis(1_000_000_000);
    const LATELY: Timestamp = Timestamp::from_millis(1_000_000_000 - limits::JOIN_AGAIN_MS + 1);
    const A_DAY_AGO: Timestamp = Timestamp::from_millis(1_000_000_000 - limits::JOIN_AGAIN_MS);

    fn none() -> JoinFacts {
        JoinFacts {
            project: project(USER, USER).project,
            user: id(1),
            last: None,
            revision: 0,
            is_member: false,
            of_person: 0,
            of_project: 0,
        }
    }

    fn last(state: JoinState, asked: Timestamp) -> JoinFacts {
        JoinFacts { last: Some((state, asked)), revision: 4, ..none() }
    }

    #[test]
    fn anybody_asks_whatever_their_rank_and_permissions() {
        let again = Denial::JoinAgain { until: LATELY.plus_millis(limits::JOIN_AGAIN_MS) };
        for (facts, expected) in [
            (none(), None),
            (JoinFacts { is_member: true, ..none() }, Some(Denial::JoinedAlready)),
            (last(JoinState::Open, A_DAY_AGO), Some(Denial::JoinOpen)),
            (last(JoinState::Refused, LATELY), Some(again)),
            (last(JoinState::Withdrawn, LATELY), Some(again)),
            (last(JoinState::Refused, A_DAY_AGO), None),
            (last(JoinState::Withdrawn, A_DAY_AGO), None),
            (JoinFacts { of_person: 49, of_project: 999, ..none() }, None),
            (JoinFacts { of_person: 50, ..none() }, Some(Denial::TooManyJoins)),
            (JoinFacts { of_project: 1_000, ..none() }, Some(Denial::ProjectJoinsFull)),
            // For nobody else.
            (JoinFacts { user: id(2), ..none() }, Some(Denial::NotFound)),
        ] {
            for rank in Rank::ALL {
                assert_eq!(may_ask_to_join(&actor(1, *rank), &facts, NOW).err(), expected, "{facts:?}");
            }
            assert_eq!(may_ask_to_join(&with(&[]), &facts, NOW).err(), expected, "{facts:?}");
        }
        let permit = may_ask_to_join(&with(&[]), &last(JoinState::Refused, A_DAY_AGO), NOW).unwrap();
        assert_eq!((permit.on(), permit.revision()), (MemberOn { project: none().project, user: id(1) }, 4));
        let lost = Actor { state: UserState::Inactive, ..with(&[]) };
        assert_eq!(may_ask_to_join(&lost, &none(), NOW), Err(Denial::Inactive));
        assert_eq!(may_list_own_joins(&lost, NOW), Err(Denial::Inactive));
        assert_eq!(may_list_own_joins(&with(&[]), NOW), Ok(id(1)));
    }

    #[test]
    fn one_withdraws_what_is_open_and_ones_own() {
        for (facts, expected) in [
            (last(JoinState::Open, NOW), None),
            (last(JoinState::Refused, NOW), Some(Denial::JoinNotOpen)),
            (last(JoinState::Withdrawn, NOW), Some(Denial::JoinNotOpen)),
            (none(), Some(Denial::JoinNotOpen)),
            (JoinFacts { user: id(2), ..last(JoinState::Open, NOW) }, Some(Denial::NotFound)),
        ] {
            assert_eq!(may_withdraw_join(&with(&[]), &facts, NOW).err(), expected, "{facts:?}");
        }
    }

    #[test]
    fn who_may_add_people_answers_and_nobody_else() {
        let (manage, administrate) = (Permission::ProjectManage, Permission::ProjectAdministrate);
        let asked = JoinFacts { user: id(2), ..last(JoinState::Open, NOW) };
        for (permissions, own, expected) in [
            (&[manage][..], MANAGER, None),
            (&[], MANAGER, Some(Denial::NoPermission { permission: manage })),
            (&[manage], USER, Some(Denial::NotManager)),
            (&[manage], None, Some(Denial::NotFound)),
            // Whoever administrates projects brings nobody in, and so answers nobody.
            (&[administrate, manage], USER, Some(Denial::NotManager)),
            (&[administrate, manage], None, Some(Denial::NotFound)),
        ] {
            let (actor, facts) = (with(permissions), project(USER, own));
            assert_eq!(may_refuse_join(&actor, &facts, &asked, "no room", NOW).err(), expected, "{permissions:?} {own:?}");
            assert_eq!(may_list_joins(&actor, &facts, NOW).err(), expected, "{permissions:?} {own:?}");
            assert_eq!(answers(&actor, &facts.line, NOW), expected.is_none(), "{permissions:?} {own:?}");
        }
        assert!(!answers(&Actor { state: UserState::Inactive, ..with(&[manage]) }, &project(USER, MANAGER).line, NOW));
        let long = "x".repeat(limits::REASON_MAX_BYTES + 1);
        for (facts, reason, denial) in [
            (asked, "", Denial::NoReason),
            (asked, " ", Denial::NoReason),
            (asked, long.as_str(), Denial::NoReason),
            (none(), "no room", Denial::JoinNotOpen),
            (last(JoinState::Withdrawn, NOW), "no room", Denial::JoinNotOpen),
        ] {
            assert_eq!(may_refuse_join(&with(&[manage]), &project(USER, MANAGER), &facts, reason, NOW), Err(denial), "{facts:?}");
        }
    }
}
