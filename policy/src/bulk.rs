//! Bulk actions: a list of requests of one operation, each decided by the rule of that operation when its turn comes (decision 21). Here is only whose list it is.

use ticrypt_types::bulk::BulkState;
use ticrypt_types::{BulkId, Operation, Timestamp, UserId};

use crate::actor::Actor;
use crate::denial::Denial;
use crate::permit::{BulkResume, BulkStart, BulkStop, Permit, Verb};

/// What is known of a bulk action.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BulkFacts {
    pub bulk: BulkId,
    pub owner: UserId,
    pub state: BulkState,
    /// Requests that failed, which may be tried again.
    pub failed: u64,
    pub revision: u64,
}

/// What may be done to many at once: what is about one person or thing, and means the same whether it is asked once or again.
pub const fn allows(operation: Operation) -> bool {
    matches!(
        operation,
        Operation::UserState
            | Operation::UserPermissions
            | Operation::ProfileApply
            | Operation::ProfileDelete
            | Operation::CertificationSet
            | Operation::CertificationExpire
            | Operation::TeamAdd
            | Operation::TeamRemove
            | Operation::TeamManager
            | Operation::MemberRemove
            | Operation::ProjectDelete
            | Operation::LevelDelete
            | Operation::RequirementDelete
    )
}

pub fn may_start_bulk(actor: &Actor, bulk: BulkId, operation: Operation, now: Timestamp) -> Result<Permit<BulkStart>, Denial> {
    actor.check(now)?;
    if allows(operation) { Ok(Permit::new(actor.user, bulk, 0, 0)) } else { Err(Denial::NotInBulk) }
}

impl BulkFacts {
    /// To others there is no such thing.
    fn owned(&self, actor: &Actor, now: Timestamp) -> Result<(), Denial> {
        actor.check(now)?;
        if self.owner == actor.user { Ok(()) } else { Err(Denial::NotFound) }
    }

    fn permit<V: Verb<On = BulkId>>(&self, actor: &Actor) -> Permit<V> {
        Permit::new(actor.user, self.bulk, self.revision, 0)
    }
}

pub fn may_read_bulk(actor: &Actor, facts: &BulkFacts, now: Timestamp) -> Result<(), Denial> {
    facts.owned(actor, now)
}

/// What is open of it; `failed`: what failed as well.
pub fn may_resume_bulk(actor: &Actor, facts: &BulkFacts, failed: bool, now: Timestamp) -> Result<Permit<BulkResume>, Denial> {
    facts.owned(actor, now)?;
    match facts.state {
        BulkState::Running => Err(Denial::BulkRunning),
        BulkState::Done if !failed || facts.failed == 0 => Err(Denial::BulkOver),
        BulkState::Stopped | BulkState::Done => Ok(facts.permit(actor)),
    }
}

pub fn may_stop_bulk(actor: &Actor, facts: &BulkFacts, now: Timestamp) -> Result<Permit<BulkStop>, Denial> {
    facts.owned(actor, now)?;
    if facts.state == BulkState::Running { Ok(facts.permit(actor)) } else { Err(Denial::BulkNotRunning) }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::actor::tests::{actor, id};
    use ticrypt_types::Rank;

    const NOW: Timestamp = Timestamp::from_millis(1_000);

    fn facts(state: BulkState, failed: u64) -> BulkFacts {
        BulkFacts { bulk: BulkId::from_random([5; 16]), owner: id(1), state, failed, revision: 7 }
    }

    #[test]
    fn only_what_is_on_the_list_is_done_to_many() {
        let me = actor(1, Rank::User);
        for operation in Operation::ALL {
            let started = may_start_bulk(&me, BulkId::from_random([5; 16]), *operation, NOW);
            assert_eq!(started.is_ok(), allows(*operation), "{operation:?}");
            // Nothing in it hands anything out, needs no session, or holds another list.
            let sound = operation.effect() == ticrypt_types::operation::Effect::Changes
                && operation.caller() == ticrypt_types::operation::Caller::Session
                && !operation.name().starts_with("bulk.");
            assert!(sound || !allows(*operation), "{operation:?}");
        }
    }

    #[test]
    fn whoever_started_it_resumes_and_stops_it() {
        let (me, other) = (actor(1, Rank::User), actor(2, Rank::SuperAdmin));
        for (state, failed_ones, failed, resumes, stops) in [
            (BulkState::Running, 0, true, Some(Denial::BulkRunning), None),
            (BulkState::Stopped, 0, false, None, Some(Denial::BulkNotRunning)),
            (BulkState::Done, 3, false, Some(Denial::BulkOver), Some(Denial::BulkNotRunning)),
            (BulkState::Done, 3, true, None, Some(Denial::BulkNotRunning)),
            (BulkState::Done, 0, true, Some(Denial::BulkOver), Some(Denial::BulkNotRunning)),
        ] {
            let facts = facts(state, failed_ones);
            assert_eq!(may_resume_bulk(&me, &facts, failed, NOW).err(), resumes, "{state} {failed}");
            assert_eq!(may_stop_bulk(&me, &facts, NOW).err(), stops, "{state}");
            assert_eq!(may_resume_bulk(&other, &facts, failed, NOW), Err(Denial::NotFound));
            assert_eq!(may_stop_bulk(&other, &facts, NOW), Err(Denial::NotFound));
            assert_eq!((may_read_bulk(&me, &facts, NOW), may_read_bulk(&other, &facts, NOW)), (Ok(()), Err(Denial::NotFound)));
        }
        assert_eq!(may_stop_bulk(&me, &facts(BulkState::Running, 0), NOW).unwrap().revision(), 7);
    }
}
