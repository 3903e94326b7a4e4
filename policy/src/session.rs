//! Logging in, and looking after one's own sessions.
//!
//! Guessing is slowed, not locked out: after three failed challenges the next try waits 1, 2, 4 … at most 300 seconds
//! from the last failure, so nobody can shut a colleague out for good.

use ticrypt_types::{SessionId, Timestamp, UserId, UserState};

use crate::actor::{Actor, standing};
use crate::denial::Denial;
use crate::permit::{Permit, SessionEnd, SessionLogin};
use crate::scope::Scope;

/// Failed challenges before waiting begins.
pub const FREE_FAILURES: u32 = 3;
/// The longest wait after a failure, in milliseconds.
pub const WAIT_MAX_MS: u64 = 300_000;

/// What is known of an account before its challenge is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LoginFacts {
    pub user: UserId,
    pub state: UserState,
    pub disabled_until: Timestamp,
    pub epoch: u64,
    /// Failed challenges since the last success.
    pub failed_logins: u32,
    pub last_failure: Timestamp,
}

/// How long to wait after the last of `failures` failed challenges, in milliseconds.
pub fn wait_ms(failures: u32) -> u64 {
    match failures.checked_sub(FREE_FAILURES) {
        None => 0,
        Some(doublings) => 1_000u64.checked_shl(doublings.min(20)).unwrap_or(WAIT_MAX_MS).min(WAIT_MAX_MS),
    }
}

/// A session may begin; asked both for the challenge and for the answer to it.
pub fn may_login(facts: &LoginFacts, now: Timestamp) -> Result<Permit<SessionLogin>, Denial> {
    let until = facts.last_failure.plus_millis(wait_ms(facts.failed_logins));
    if facts.failed_logins >= FREE_FAILURES && now < until {
        return Err(Denial::TooManyFailures { until });
    }
    standing(facts.state, facts.disabled_until, now)?;
    Ok(Permit::new(facts.user, facts.user, facts.epoch, 0))
}

/// A session somebody wants to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionFacts {
    pub session: SessionId,
    pub user: UserId,
    pub ended: bool,
}

/// One sees one's own sessions, whatever the rank.
pub fn may_list_sessions(actor: &Actor, now: Timestamp) -> Result<Scope, Denial> {
    actor.check(now)?;
    Ok(Scope::Own(actor.user))
}

/// One ends one's own sessions; somebody else's look as if they were not there. Ending twice is harmless.
pub fn may_end_session(actor: &Actor, facts: &SessionFacts, now: Timestamp) -> Result<Permit<SessionEnd>, Denial> {
    actor.check(now)?;
    if facts.user != actor.user {
        return Err(Denial::NotFound);
    }
    Ok(Permit::new(actor.user, facts.session, 0, 0))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::actor::tests::{actor, id};
    use ticrypt_types::Rank;

    fn at(ms: u64) -> Timestamp {
        Timestamp::from_millis(ms)
    }

    fn facts(failed_logins: u32, last_failure: u64) -> LoginFacts {
        LoginFacts {
            user: id(1),
            state: UserState::Active,
            disabled_until: Timestamp::ABSENT,
            epoch: 7,
            failed_logins,
            last_failure: at(last_failure),
        }
    }

    #[test]
    fn waits_double_up_to_five_minutes() {
        let waits: Vec<u64> = (0..14).map(|n| wait_ms(n) / 1_000).collect();
        assert_eq!(waits, [0, 0, 0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300]);
        assert_eq!(wait_ms(u32::MAX), WAIT_MAX_MS);
    }

    #[test]
    fn a_login_waits_after_three_failures() {
        assert_eq!(may_login(&facts(2, 1_000), at(1_000)).unwrap().revision(), 7);
        assert_eq!(may_login(&facts(3, 1_000), at(1_999)), Err(Denial::TooManyFailures { until: at(2_000) }));
        assert!(may_login(&facts(3, 1_000), at(2_000)).is_ok());
        assert!(may_login(&facts(50, 1_000), at(301_000)).is_ok());
    }

    #[test]
    fn a_login_needs_an_account_in_use() {
        for (state, until, expected) in [
            (UserState::Pending, 0, Denial::Pending),
            (UserState::Inactive, 0, Denial::Inactive),
            (UserState::Active, 10, Denial::Disabled { until: at(10) }),
        ] {
            let facts = LoginFacts { state, disabled_until: at(until), ..facts(0, 0) };
            assert_eq!(may_login(&facts, at(9)), Err(expected));
        }
    }

    #[test]
    fn sessions_are_ones_own() {
        let session = SessionId::from_random([9; 16]);
        for rank in Rank::ALL {
            let me = actor(1, *rank);
            assert_eq!(may_list_sessions(&me, at(1)), Ok(Scope::Own(id(1))));
            assert!(may_end_session(&me, &SessionFacts { session, user: id(1), ended: false }, at(1)).is_ok());
            assert_eq!(may_end_session(&me, &SessionFacts { session, user: id(2), ended: false }, at(1)), Err(Denial::NotFound));
        }
    }
}
