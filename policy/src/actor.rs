//! The person who asks, as the session says, and whether their account lets them ask for anything.

use std::sync::Arc;

use ticrypt_types::{Permission, Permissions, Rank, Timestamp, UserId, UserState};

use crate::active::ActiveSet;
use crate::denial::Denial;

/// Who asks: loaded anew for every request, so that what was lost counts at once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Actor {
    pub user: UserId,
    pub rank: Rank,
    pub state: UserState,
    pub disabled_until: Timestamp,
    /// The account's epoch now; it rises with every loss of rights.
    pub epoch: u64,
    /// The epoch the session was begun in.
    pub session_epoch: u64,
    pub permissions: Permissions,
    /// The working set, as far as this session holds it.
    pub active: Arc<ActiveSet>,
}

impl Actor {
    /// Comes before every other rule.
    pub fn check(&self, now: Timestamp) -> Result<(), Denial> {
        standing(self.state, self.disabled_until, now)?;
        if self.session_epoch == self.epoch { Ok(()) } else { Err(Denial::SessionOver) }
    }

    /// Whether the system lets them: only super-admins need no permission (rules §1).
    pub fn may(&self, permission: Permission) -> Result<(), Denial> {
        if is_given(self.rank, self.permissions, permission) { Ok(()) } else { Err(Denial::NoPermission { permission }) }
    }
}

/// Whether the system lets somebody do this: only a super-admin passes over permissions (rules §1).
pub fn is_given(rank: Rank, permissions: Permissions, permission: Permission) -> bool {
    rank == Rank::SuperAdmin || permissions.contains(permission)
}

/// Whether an account may be used at `now`.
pub(crate) fn standing(state: UserState, disabled_until: Timestamp, now: Timestamp) -> Result<(), Denial> {
    match state {
        UserState::Pending => Err(Denial::Pending),
        UserState::Inactive => Err(Denial::Inactive),
        UserState::Active if now < disabled_until => Err(Denial::Disabled { until: disabled_until }),
        UserState::Active => Ok(()),
    }
}

#[cfg(test)]
pub(crate) mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    pub(crate) fn id(n: u8) -> UserId {
        UserId::from_random([n; 16])
    }

    pub(crate) fn actor(n: u8, rank: Rank) -> Actor {
        Actor {
            user: id(n),
            rank,
            state: UserState::Active,
            disabled_until: Timestamp::ABSENT,
            epoch: 1,
            session_epoch: 1,
            permissions: Permissions::basic(),
            active: Arc::default(),
        }
    }

    #[test]
    fn every_state_and_date() {
        let at = Timestamp::from_millis;
        for (state, until, session_epoch, expected) in [
            (UserState::Active, 0, 1, Ok(())),
            (UserState::Active, 100, 1, Ok(())),
            (UserState::Active, 101, 1, Err(Denial::Disabled { until: at(101) })),
            (UserState::Active, 0, 0, Err(Denial::SessionOver)),
            (UserState::Pending, 0, 1, Err(Denial::Pending)),
            (UserState::Inactive, 0, 1, Err(Denial::Inactive)),
            (UserState::Inactive, 101, 0, Err(Denial::Inactive)),
        ] {
            let actor = Actor { state, disabled_until: at(until), session_epoch, ..actor(1, Rank::SuperAdmin) };
            assert_eq!(actor.check(at(100)), expected, "{state} {until} {session_epoch}");
        }
    }
}
