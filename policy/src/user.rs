//! Accounts: registering, and what ranks do to one another (rules §1).
//!
//! Whom one may modify: equal or lower rank, never oneself, and only with a rank above *user*; a sub-admin only people in teams assigned to them. Promotion goes up to one's own rank,
//! demotion takes a strictly higher one, but super-admins change super-admins. The last active super-admin stays. What one may do to them takes a permission besides, which no rank
//! but super-admin brings.

use ticrypt_types::{Permission, Permissions, Rank, Timestamp, UserId, UserState, limits};

use crate::actor::Actor;
use crate::denial::Denial;
use crate::permit::{
    Bootstrap, BundleRotate, Permit, UserActivate, UserDeactivate, UserDisable, UserLookup, UserPermissions, UserRank, UserRegister,
    UserReset, Verb,
};
use crate::scope::PeopleScope;

/// How people come in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Registration {
    /// Anyone who reaches the port may register, and then waits for an administrator.
    Open,
    /// The token of the deployment file was checked; the answer is here.
    Token {
        matches: bool,
    },
    /// A code given to one person.
    Code {
        matches: bool,
        used: bool,
        expires: Timestamp,
    },
    Closed,
}

/// What is known when somebody registers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RegistrationFacts {
    pub user: UserId,
    pub registration: Registration,
    pub name_taken: bool,
}

/// What is known of an account somebody wants to change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UserFacts {
    pub user: UserId,
    pub rank: Rank,
    pub state: UserState,
    pub disabled_until: Timestamp,
    pub revision: u64,
    /// Active super-admins of the deployment, this account included if it is one.
    pub active_super_admins: u64,
    /// They are in a team that is assigned to who asks; matters for sub-admins only.
    pub in_care: bool,
}

/// The operator makes the first account at the server's command line, once.
pub fn may_bootstrap(user: UserId, has_accounts: bool) -> Result<Permit<Bootstrap>, Denial> {
    if has_accounts { Err(Denial::NotFirst) } else { Ok(Permit::new(user, user, 0, 0)) }
}

/// The code is asked before the name, so that a stranger learns no names.
pub fn may_register(facts: &RegistrationFacts, now: Timestamp) -> Result<Permit<UserRegister>, Denial> {
    match facts.registration {
        Registration::Closed => return Err(Denial::RegistrationClosed),
        Registration::Open | Registration::Token { matches: true } => {}
        Registration::Code { matches: true, used: false, expires } if !expires.is_expired(now) => {}
        Registration::Token { .. } | Registration::Code { .. } => return Err(Denial::RegistrationCode),
    }
    if facts.name_taken {
        return Err(Denial::NameTaken);
    }
    Ok(Permit::new(facts.user, facts.user, 0, 0))
}

/// Pending or inactive becomes active.
pub fn may_activate(actor: &Actor, facts: &UserFacts, now: Timestamp) -> Result<Permit<UserActivate>, Denial> {
    may_modify(actor, facts, Permission::UserActivate, now)?;
    if facts.state == UserState::Active {
        return Err(Denial::NoChange);
    }
    Ok(permit(actor, facts))
}

/// Active or pending becomes inactive; the administrator says why.
pub fn may_deactivate(actor: &Actor, facts: &UserFacts, reason: &str, now: Timestamp) -> Result<Permit<UserDeactivate>, Denial> {
    may_modify(actor, facts, Permission::UserDeactivate, now)?;
    if facts.state == UserState::Inactive {
        return Err(Denial::NoChange);
    }
    keeps_a_super_admin(facts)?;
    if reason.trim().is_empty() || reason.len() > limits::REASON_MAX_BYTES {
        return Err(Denial::NoReason);
    }
    Ok(permit(actor, facts))
}

/// A date beside the state; [`Timestamp::ABSENT`] ends it.
pub fn may_disable(actor: &Actor, facts: &UserFacts, until: Timestamp, now: Timestamp) -> Result<Permit<UserDisable>, Denial> {
    may_modify(actor, facts, Permission::UserDisable, now)?;
    if until == facts.disabled_until {
        return Err(Denial::NoChange);
    }
    if until != Timestamp::ABSENT {
        if until <= now {
            return Err(Denial::DateInPast);
        }
        keeps_a_super_admin(facts)?;
    }
    Ok(permit(actor, facts))
}

pub fn may_set_rank(actor: &Actor, facts: &UserFacts, rank: Rank, now: Timestamp) -> Result<Permit<UserRank>, Denial> {
    may_modify(actor, facts, Permission::UserRank, now)?;
    if rank == facts.rank {
        return Err(Denial::NoChange);
    }
    if rank > actor.rank {
        return Err(Denial::RankBeyondOwn);
    }
    if rank < facts.rank {
        if facts.rank == actor.rank && actor.rank != Rank::SuperAdmin {
            return Err(Denial::DemotesEqual);
        }
        keeps_a_super_admin(facts)?;
    }
    Ok(permit(actor, facts))
}

/// What somebody may do by the system's leave. One gives and takes only what one has oneself.
pub fn may_set_permissions(
    actor: &Actor,
    facts: &UserFacts,
    had: Permissions,
    wanted: Permissions,
    now: Timestamp,
) -> Result<Permit<UserPermissions>, Denial> {
    may_give(actor, facts, had, wanted, now)?;
    if had == wanted { Err(Denial::NoChange) } else { Ok(permit(actor, facts)) }
}

/// Whether the actor may make these permissions of somebody out of those.
pub(crate) fn may_give(actor: &Actor, facts: &UserFacts, had: Permissions, wanted: Permissions, now: Timestamp) -> Result<(), Denial> {
    may_modify(actor, facts, Permission::UserPermissions, now)?;
    holds(actor, had.changed(wanted))
}

/// One gives and takes only what one has.
pub(crate) fn holds(actor: &Actor, permissions: Permissions) -> Result<(), Denial> {
    permissions.iter().try_for_each(|permission| actor.may(permission))
}

/// Accepting a new identity of somebody who lost theirs (security B12).
pub fn may_reset(actor: &Actor, facts: &UserFacts, now: Timestamp) -> Result<Permit<UserReset>, Denial> {
    may_modify(actor, facts, Permission::UserReset, now)?;
    Ok(permit(actor, facts))
}

/// One rotates one's own identity. The permit's revision is the newest generation there is.
pub fn may_rotate_bundle(actor: &Actor, generation: u64, now: Timestamp) -> Result<Permit<BundleRotate>, Denial> {
    actor.check(now)?;
    Ok(Permit::new(actor.user, actor.user, generation, 0))
}

/// What a name leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Found {
    pub user: UserId,
    pub state: UserState,
    /// A list tells of them ([`may_list_users`]).
    pub seen: bool,
    /// The actor showed a key of theirs, old or new: they have dealt with each other.
    pub met: bool,
}

/// By exact name one finds whom one sees, and whom one has met, if they are active: what they signed has to be verified, and new keys sealed to them, wherever
/// they have gone since. Others answer like nobody.
pub fn may_look_up(actor: &Actor, found: Option<Found>, now: Timestamp) -> Result<Permit<UserLookup>, Denial> {
    actor.check(now)?;
    match found {
        Some(found) if found.user == actor.user || found.seen || (found.met && found.state == UserState::Active) => {
            Ok(Permit::new(actor.user, found.user, 0, 0))
        }
        _ => Err(Denial::NotFound),
    }
}

/// Whom one sees (rules §1): people of one's teams, or those in a sub-admin's care, or everybody.
pub fn may_list_users(actor: &Actor, now: Timestamp) -> Result<PeopleScope, Denial> {
    actor.check(now)?;
    Ok(if actor.rank >= Rank::Admin || actor.may(Permission::UserViewAll).is_ok() {
        PeopleScope::All
    } else if actor.rank == Rank::SubAdmin {
        PeopleScope::Care(actor.user, now)
    } else if actor.may(Permission::TeamView).is_ok() {
        PeopleScope::TeamMates(actor.user)
    } else {
        PeopleScope::Own(actor.user)
    })
}

/// Whether a list shows what is said of accounts for those who look after them: reasons, dates, permissions. Others see who somebody is.
pub fn sees_accounts(actor: &Actor) -> bool {
    actor.rank >= Rank::SubAdmin
}

/// The rank first, then the permission: to somebody of a lower rank it would be of no use.
fn may_modify(actor: &Actor, facts: &UserFacts, permission: Permission, now: Timestamp) -> Result<(), Denial> {
    actor.check(now)?;
    if actor.rank < Rank::SubAdmin {
        return Err(Denial::NeedsAdministrator);
    }
    if actor.user == facts.user {
        return Err(Denial::Oneself);
    }
    if facts.rank > actor.rank {
        return Err(Denial::RankTooHigh);
    }
    if actor.rank == Rank::SubAdmin && !facts.in_care {
        return Err(Denial::NotInCare);
    }
    actor.may(permission)
}

/// For changes that would take a super-admin away, if only for a time.
pub(crate) fn keeps_a_super_admin(facts: &UserFacts) -> Result<(), Denial> {
    let is_one = facts.rank == Rank::SuperAdmin && facts.state == UserState::Active;
    if is_one && facts.active_super_admins <= 1 { Err(Denial::LastSuperAdmin) } else { Ok(()) }
}

pub(crate) fn permit<V: Verb<On = UserId>>(actor: &Actor, facts: &UserFacts) -> Permit<V> {
    Permit::new(actor.user, facts.user, facts.revision, 0)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::actor::tests::{actor, id};

    const NOW: Timestamp = Timestamp::from_millis(1_000);

    fn facts(n: u8, rank: Rank) -> UserFacts {
        UserFacts {
            user: id(n),
            rank,
            state: UserState::Active,
            disabled_until: Timestamp::ABSENT,
            revision: 6,
            active_super_admins: 2,
            in_care: true,
        }
    }

    /// Who has every permission.
    fn able(n: u8, rank: Rank) -> Actor {
        Actor { permissions: Permissions::all(), ..actor(n, rank) }
    }

    #[test]
    fn each_change_takes_its_permission() {
        use Permission::{UserActivate, UserDeactivate, UserDisable, UserPermissions, UserRank, UserReset};
        let (them, waiting) = (facts(2, Rank::User), UserFacts { state: UserState::Pending, ..facts(2, Rank::User) });
        let asked = |me: &Actor| {
            [
                (UserActivate, may_activate(me, &waiting, NOW).err()),
                (UserDeactivate, may_deactivate(me, &them, "left", NOW).err()),
                (UserDisable, may_disable(me, &them, Timestamp::from_millis(2_000), NOW).err()),
                (UserRank, may_set_rank(me, &them, Rank::SubAdmin, NOW).err()),
                (UserReset, may_reset(me, &them, NOW).err()),
                (UserPermissions, may_set_permissions(me, &them, Permissions::NONE, Permissions::NONE.with(UserPermissions), NOW).err()),
            ]
        };
        for rank in [Rank::SubAdmin, Rank::Admin, Rank::SuperAdmin] {
            let without = Actor { permissions: Permissions::NONE, ..actor(1, rank) };
            for (permission, denial) in asked(&without) {
                // Only super-admins pass over permissions.
                assert_eq!(denial, (rank != Rank::SuperAdmin).then_some(Denial::NoPermission { permission }), "{rank} {permission}");
            }
            for at in 0..6 {
                let held = asked(&without)[at].0;
                let one = Actor { permissions: Permissions::NONE.with(held), ..actor(1, rank) };
                assert_eq!(asked(&one)[at].1, None, "{rank} {held}");
            }
        }
    }

    #[test]
    fn ranks_over_every_triple() {
        for own in Rank::ALL {
            for theirs in Rank::ALL {
                for wanted in Rank::ALL {
                    let got = may_set_rank(&able(1, *own), &facts(2, *theirs), *wanted, NOW);
                    let expected = if *own == Rank::User {
                        Err(Denial::NeedsAdministrator)
                    } else if theirs > own {
                        Err(Denial::RankTooHigh)
                    } else if wanted == theirs {
                        Err(Denial::NoChange)
                    } else if wanted > own {
                        Err(Denial::RankBeyondOwn)
                    } else if wanted < theirs && theirs == own && *own != Rank::SuperAdmin {
                        Err(Denial::DemotesEqual)
                    } else {
                        Ok(())
                    };
                    assert_eq!(got.map(|permit| assert_eq!(permit.revision(), 6)), expected, "{own} sets {theirs} to {wanted}");
                }
            }
        }
    }

    #[test]
    fn one_gives_and_takes_only_permissions_one_has() {
        let (give, create, certify) = (Permission::UserPermissions, Permission::ProjectCreate, Permission::ProjectCertify);
        let set = |permissions: &[Permission]| permissions.iter().copied().collect::<Permissions>();
        let me = Actor { permissions: set(&[give, create]), ..actor(1, Rank::Admin) };
        let them = facts(2, Rank::User);
        let missing = |permission| Some(Denial::NoPermission { permission });
        for (had, wanted, expected) in [
            (set(&[]), set(&[create]), None),
            (set(&[create]), set(&[]), None),
            (set(&[certify]), set(&[certify, create]), None),
            (set(&[]), set(&[certify]), missing(certify)),
            (set(&[certify]), set(&[]), missing(certify)),
            (set(&[create]), set(&[create]), Some(Denial::NoChange)),
        ] {
            assert_eq!(may_set_permissions(&me, &them, had, wanted, NOW).err(), expected, "{had:?} {wanted:?}");
        }
        let without = Actor { permissions: set(&[create]), ..me.clone() };
        assert_eq!(may_set_permissions(&without, &them, set(&[]), set(&[create]), NOW).err(), missing(give));
        assert_eq!(may_set_permissions(&me, &facts(1, Rank::User), set(&[]), set(&[create]), NOW), Err(Denial::Oneself));
        assert!(may_set_permissions(&actor(1, Rank::SuperAdmin), &them, set(&[]), Permissions::all(), NOW).is_ok());
    }

    #[test]
    fn nobody_changes_themselves() {
        let me = actor(1, Rank::SuperAdmin);
        let own = facts(1, Rank::SuperAdmin);
        assert_eq!(may_set_rank(&me, &own, Rank::User, NOW), Err(Denial::Oneself));
        assert_eq!(may_activate(&me, &own, NOW), Err(Denial::Oneself));
        assert_eq!(may_deactivate(&me, &own, "leaves", NOW), Err(Denial::Oneself));
        assert_eq!(may_disable(&me, &own, Timestamp::from_millis(2_000), NOW), Err(Denial::Oneself));
        assert_eq!(may_reset(&me, &own, NOW), Err(Denial::Oneself));
    }

    #[test]
    fn states_over_every_pair_of_ranks() {
        for own in Rank::ALL {
            for theirs in Rank::ALL {
                let rank = if *own == Rank::User {
                    Some(Denial::NeedsAdministrator)
                } else if theirs > own {
                    Some(Denial::RankTooHigh)
                } else {
                    None
                };
                for state in UserState::ALL {
                    let me = able(1, *own);
                    let them = UserFacts { state: *state, ..facts(2, *theirs) };
                    let unless = |same: UserState| rank.or((*state == same).then_some(Denial::NoChange));
                    assert_eq!(may_activate(&me, &them, NOW).err(), unless(UserState::Active));
                    assert_eq!(may_deactivate(&me, &them, "left", NOW).err(), unless(UserState::Inactive));
                    assert_eq!(may_reset(&me, &them, NOW).err(), rank);
                    assert_eq!(may_disable(&me, &them, Timestamp::from_millis(1_001), NOW).err(), rank);
                }
            }
        }
    }

    #[test]
    fn a_sub_admin_changes_people_in_their_care_and_nobody_else() {
        let away = |rank| UserFacts { in_care: false, state: UserState::Inactive, ..facts(2, rank) };
        for own in Rank::ALL {
            let me = Actor { permissions: Permissions::all(), ..actor(1, *own) };
            let them = away(Rank::User);
            let expected = match own {
                Rank::User => Some(Denial::NeedsAdministrator),
                Rank::SubAdmin => Some(Denial::NotInCare),
                Rank::Admin | Rank::SuperAdmin => None,
            };
            assert_eq!(may_activate(&me, &them, NOW).err(), expected, "{own}");
            assert_eq!(may_reset(&me, &them, NOW).err(), expected, "{own}");
            assert_eq!(may_disable(&me, &them, Timestamp::from_millis(1_001), NOW).err(), expected, "{own}");
            assert_eq!(may_set_permissions(&me, &them, Permissions::NONE, Permissions::all(), NOW).err(), expected, "{own}");
            let active = UserFacts { state: UserState::Active, ..them };
            assert_eq!(may_deactivate(&me, &active, "left", NOW).err(), expected, "{own}");
        }
        assert!(may_activate(&able(1, Rank::SubAdmin), &UserFacts { in_care: true, ..away(Rank::User) }, NOW).is_ok());
    }

    #[test]
    fn the_last_active_super_admin_stays() {
        let me = actor(1, Rank::SuperAdmin);
        for (state, count, held) in [(UserState::Active, 1, true), (UserState::Active, 2, false), (UserState::Pending, 1, false)] {
            let them = UserFacts { active_super_admins: count, state, ..facts(2, Rank::SuperAdmin) };
            let expected = held.then_some(Denial::LastSuperAdmin);
            assert_eq!(may_set_rank(&me, &them, Rank::Admin, NOW).err(), expected);
            assert_eq!(may_deactivate(&me, &them, "left", NOW).err(), expected);
            assert_eq!(may_disable(&me, &them, Timestamp::from_millis(1_001), NOW).err(), expected);
        }
    }

    #[test]
    fn reasons_and_dates() {
        let me = able(1, Rank::Admin);
        let them = facts(2, Rank::User);
        for (reason, ok) in [("", false), (" \n", false), ("left", true), (&"x".repeat(500)[..], true), (&"x".repeat(501)[..], false)] {
            assert_eq!(may_deactivate(&me, &them, reason, NOW).is_ok(), ok, "{} bytes", reason.len());
        }
        for (until, now, expected) in
            [(0, 0, Some(Denial::NoChange)), (1_000, 0, Some(Denial::DateInPast)), (1_001, 0, None), (0, 5_000, None)]
        {
            let them = UserFacts { disabled_until: Timestamp::from_millis(now), ..them };
            assert_eq!(may_disable(&me, &them, Timestamp::from_millis(until), NOW).err(), expected);
        }
    }

    #[test]
    fn registration_over_every_kind() {
        let at = Timestamp::from_millis;
        for (registration, expected) in [
            (Registration::Open, None),
            (Registration::Closed, Some(Denial::RegistrationClosed)),
            (Registration::Token { matches: true }, None),
            (Registration::Token { matches: false }, Some(Denial::RegistrationCode)),
            (Registration::Code { matches: true, used: false, expires: at(1_001) }, None),
            (Registration::Code { matches: true, used: false, expires: at(1_000) }, Some(Denial::RegistrationCode)),
            (Registration::Code { matches: true, used: true, expires: at(1_001) }, Some(Denial::RegistrationCode)),
            (Registration::Code { matches: false, used: false, expires: at(1_001) }, Some(Denial::RegistrationCode)),
        ] {
            for name_taken in [false, true] {
                let facts = RegistrationFacts { user: id(1), registration, name_taken };
                let expected = expected.or(name_taken.then_some(Denial::NameTaken));
                assert_eq!(may_register(&facts, NOW).err(), expected, "{registration:?}");
            }
        }
        assert!(may_bootstrap(id(1), false).is_ok());
        assert_eq!(may_bootstrap(id(1), true), Err(Denial::NotFirst));
    }

    #[test]
    fn finding_people() {
        for rank in Rank::ALL {
            let me = actor(1, *rank);
            for state in UserState::ALL {
                for (seen, met) in [(false, false), (false, true), (true, false), (true, true)] {
                    let found = Found { user: id(2), state: *state, seen, met };
                    let finds = seen || (met && *state == UserState::Active);
                    assert_eq!(may_look_up(&me, Some(found), NOW).err(), (!finds).then_some(Denial::NotFound), "{rank} {found:?}");
                    assert!(may_look_up(&me, Some(Found { user: id(1), ..found }), NOW).is_ok());
                }
            }
            assert_eq!(may_look_up(&me, None, NOW), Err(Denial::NotFound));
            let scope = match rank {
                Rank::User => PeopleScope::TeamMates(id(1)),
                Rank::SubAdmin => PeopleScope::Care(id(1), NOW),
                Rank::Admin | Rank::SuperAdmin => PeopleScope::All,
            };
            assert_eq!(may_list_users(&me, NOW), Ok(scope));
            assert_eq!(sees_accounts(&me), *rank >= Rank::SubAdmin);
            let all = Permissions::NONE.with(Permission::UserViewAll);
            assert_eq!(may_list_users(&Actor { permissions: all, ..me }, NOW), Ok(PeopleScope::All));
        }
        let alone = Actor { permissions: Permissions::NONE, ..actor(1, Rank::User) };
        assert_eq!(may_list_users(&alone, NOW), Ok(PeopleScope::Own(id(1))));
        assert_eq!(may_rotate_bundle(&actor(1, Rank::User), 3, NOW).unwrap().revision(), 3);
    }
}
