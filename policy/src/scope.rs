//! What a list may contain: decided once here, turned once into a filter by the store.

use ticrypt_types::{Timestamp, UserId};

/// The part of a list its reader may see.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Only what is this person's own.
    Own(UserId),
    /// Everything.
    All,
}

/// The part of the list of accounts its reader may see.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PeopleScope {
    /// One's own account alone.
    Own(UserId),
    /// Whoever is active in a team of this person; and whoever is active in none, for who is in none either or manages a team.
    TeamMates(UserId),
    /// The same for a sub-admin, and at this time: everybody in the teams assigned to them and in the projects they manage, and, if there is such a team, whom
    /// they may take into it: who is in none, active or inactive for that alone.
    Care(UserId, Timestamp),
    All,
}

/// The part of the list of teams its reader may see.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TeamScope {
    /// Those this person is in, if `own`; those assigned to them at the time `assigned`, if there is one.
    Of {
        user: UserId,
        own: bool,
        assigned: Option<Timestamp>,
    },
    All,
}
