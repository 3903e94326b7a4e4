//! What somebody is told is theirs alone: no rank lists, reads or follows it for another.

use ticrypt_types::Timestamp;

use crate::actor::Actor;
use crate::denial::Denial;
use crate::permit::{EventFollow, NotificationList, NotificationRead, Permit, Verb};

pub fn may_list_notifications(actor: &Actor, now: Timestamp) -> Result<Permit<NotificationList>, Denial> {
    own(actor, now)
}

/// Moves one's own reading position.
pub fn may_read_notifications(actor: &Actor, now: Timestamp) -> Result<Permit<NotificationRead>, Denial> {
    own(actor, now)
}

pub fn may_follow_events(actor: &Actor, now: Timestamp) -> Result<Permit<EventFollow>, Denial> {
    own(actor, now)
}

fn own<V: Verb<On = ticrypt_types::UserId>>(actor: &Actor, now: Timestamp) -> Result<Permit<V>, Denial> {
    actor.check(now)?;
    Ok(Permit::new(actor.user, actor.user, 0, 0))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::actor::tests::{actor, id};
    use ticrypt_types::{Rank, UserState};

    #[test]
    fn ones_own_whatever_the_rank_while_the_account_counts() {
        let now = Timestamp::from_millis(100);
        for rank in Rank::ALL {
            let me = actor(1, *rank);
            assert_eq!(may_list_notifications(&me, now).unwrap().on(), id(1));
            assert_eq!(may_read_notifications(&me, now).unwrap().on(), id(1));
            assert_eq!(may_follow_events(&me, now).unwrap().on(), id(1));
            let at = Timestamp::from_millis;
            for (state, until, session_epoch, denial) in [
                (UserState::Pending, 0, 1, Denial::Pending),
                (UserState::Inactive, 0, 1, Denial::Inactive),
                (UserState::Active, 101, 1, Denial::Disabled { until: at(101) }),
                (UserState::Active, 0, 0, Denial::SessionOver),
            ] {
                let lost = Actor { state, disabled_until: at(until), session_epoch, ..me.clone() };
                assert_eq!(may_list_notifications(&lost, now), Err(denial));
                assert_eq!(may_read_notifications(&lost, now), Err(denial));
                assert_eq!(may_follow_events(&lost, now), Err(denial));
            }
        }
    }
}
