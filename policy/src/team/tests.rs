#![allow(clippy::unwrap_used)]

use ticrypt_types::{Permissions, UserId};

use super::*;
use crate::actor::tests::{actor, id};

const NOW: Timestamp = Timestamp::from_millis(1_000);
const LATER: Timestamp = Timestamp::from_millis(1_001);

fn facts() -> TeamFacts {
    let team = TeamId::from_random([7; 16]);
    TeamFacts { team, revision: 3, is_member: false, is_manager: false, assigned: None, has_members: true }
}

fn person(n: u8, state: UserState) -> TeamMemberFacts {
    let account = UserFacts {
        user: id(n),
        rank: Rank::User,
        state,
        disabled_until: Timestamp::ABSENT,
        revision: 6,
        active_super_admins: 2,
        in_care: false,
    };
    TeamMemberFacts { account, cause: None, is_member: false, is_manager: false, teams: 0, assigned: None }
}

fn with(rank: Rank, permissions: &[Permission]) -> Actor {
    Actor { permissions: permissions.iter().copied().collect(), ..actor(1, rank) }
}

fn missing(permission: Permission) -> Option<Denial> {
    Some(Denial::NoPermission { permission })
}

/// Everybody who may stand in some way to a team: whether they see it, and whether they look after it.
fn askers() -> Vec<(&'static str, Actor, TeamFacts, bool, bool)> {
    use Permission::{TeamMembers, TeamView, TeamViewAll};
    let (member, manager) = (TeamFacts { is_member: true, ..facts() }, TeamFacts { is_member: true, is_manager: true, ..facts() });
    let assigned = |until| TeamFacts { assigned: Some(until), ..facts() };
    let basic = |rank| with(rank, &[TeamView]);
    vec![
        ("stranger", basic(Rank::User), facts(), false, false),
        ("admin without permissions", basic(Rank::Admin), facts(), false, false),
        ("member", basic(Rank::User), member, true, false),
        ("member without team.view", with(Rank::User, &[]), member, false, false),
        ("manager", basic(Rank::User), manager, true, true),
        ("manager without team.view", with(Rank::User, &[]), manager, true, true),
        ("sub-admin, not assigned", basic(Rank::SubAdmin), facts(), false, false),
        ("sub-admin, assigned", basic(Rank::SubAdmin), assigned(Timestamp::ABSENT), true, true),
        ("sub-admin, assigned for a time", basic(Rank::SubAdmin), assigned(LATER), true, true),
        ("sub-admin, past the time", basic(Rank::SubAdmin), assigned(NOW), false, false),
        ("assigned, but a sub-admin no longer", basic(Rank::User), assigned(LATER), false, false),
        ("assigned, and an admin now", basic(Rank::Admin), assigned(LATER), false, false),
        ("sees all", with(Rank::User, &[TeamViewAll]), facts(), true, false),
        ("looks after all", with(Rank::User, &[TeamMembers]), facts(), true, true),
        ("super-admin", with(Rank::SuperAdmin, &[]), facts(), true, true),
    ]
}

#[test]
fn seeing_and_looking_after_a_team() {
    for (who, me, team, sees, runs) in askers() {
        let hidden = (!sees).then_some(Denial::NotFound);
        assert_eq!(may_see_team(&me, &team, NOW).err(), hidden, "{who}");
        let expected = hidden.or((!runs).then_some(Denial::NotTeamManager));
        let (active, member) =
            (person(2, UserState::Active), TeamMemberFacts { is_member: true, teams: 2, ..person(2, UserState::Active) });
        assert_eq!(may_change_team(&me, &team, NOW).map(|permit| permit.revision()).err(), expected, "{who}");
        assert_eq!(may_add_team_member(&me, &team, &active, NOW).err(), expected, "{who}");
        assert_eq!(may_remove_team_member(&me, &team, &member, NOW).err(), expected, "{who}");
        assert_eq!(may_set_team_manager(&me, &team, &member, true, NOW).err(), expected, "{who}");
        if expected.is_none() {
            assert_eq!(may_add_team_member(&me, &team, &member, NOW), Err(Denial::AlreadyMember), "{who}");
            assert_eq!(may_remove_team_member(&me, &team, &active, NOW), Err(Denial::NoSuchMember), "{who}");
            assert_eq!(may_set_team_manager(&me, &team, &active, true, NOW), Err(Denial::NoSuchMember), "{who}");
            assert_eq!(may_set_team_manager(&me, &team, &member, false, NOW), Err(Denial::SameStanding), "{who}");
            let permit = may_remove_team_member(&me, &team, &member, NOW).unwrap();
            assert_eq!((permit.on(), permit.revision()), (TeamOn { team: team.team, user: id(2) }, 6));
        }
        // An account that does not count asks for nothing.
        let over = Actor { session_epoch: 0, ..me };
        assert_eq!(may_see_team(&over, &team, NOW), Err(Denial::SessionOver));
        assert_eq!(may_change_team(&over, &team, NOW), Err(Denial::SessionOver));
        assert_eq!(may_remove_team_member(&over, &team, &member, NOW), Err(Denial::SessionOver));
    }
}

#[test]
fn lists_tell_of_the_teams_one_may_see() {
    let of = |own, assigned| TeamScope::Of { user: id(1), own, assigned };
    for (rank, permissions, expected) in [
        (Rank::User, vec![], of(false, None)),
        (Rank::User, vec![Permission::TeamView], of(true, None)),
        (Rank::SubAdmin, vec![], of(false, Some(NOW))),
        (Rank::SubAdmin, vec![Permission::TeamView], of(true, Some(NOW))),
        (Rank::Admin, vec![Permission::TeamView], of(true, None)),
        (Rank::Admin, vec![Permission::TeamViewAll], TeamScope::All),
        (Rank::User, vec![Permission::TeamMembers], TeamScope::All),
        (Rank::SuperAdmin, vec![], TeamScope::All),
    ] {
        assert_eq!(may_list_teams(&with(rank, &permissions), NOW), Ok(expected), "{rank} {permissions:?}");
    }
}

#[test]
fn who_makes_a_team_stands_in_it_so_that_they_see_it() {
    for (rank, founder) in [
        (Rank::User, Founder::Manager),
        (Rank::SubAdmin, Founder::Assigned),
        (Rank::Admin, Founder::Outside),
        (Rank::SuperAdmin, Founder::Outside),
    ] {
        let (permit, got) = may_create_team(&with(rank, &[Permission::TeamCreate]), facts().team, 9, NOW).unwrap();
        assert_eq!((got, permit.on(), permit.revision()), (founder, facts().team, 9));
        let refused = may_create_team(&with(rank, &[]), facts().team, 9, NOW).err();
        assert_eq!(refused, if rank == Rank::SuperAdmin { None } else { missing(Permission::TeamCreate) });
    }
}

#[test]
fn quotas_take_their_permission_and_are_not_a_sub_admins_own() {
    use Permission::{TeamQuota, TeamView};
    let quotas = Quotas::NEW_TEAM;
    let assigned = TeamFacts { assigned: Some(LATER), ..facts() };
    let manager = TeamFacts { is_member: true, is_manager: true, ..facts() };
    for (me, team, expected) in [
        (with(Rank::User, &[TeamView]), facts(), Some(Denial::NotFound)),
        (with(Rank::User, &[TeamView]), manager, missing(TeamQuota)),
        (with(Rank::SubAdmin, &[TeamView]), assigned, missing(TeamQuota)),
        (with(Rank::SubAdmin, &[TeamQuota]), assigned, Some(Denial::OwnQuotas)),
        (with(Rank::SubAdmin, &[TeamQuota]), facts(), None),
        (with(Rank::Admin, &[TeamQuota]), assigned, None),
        (with(Rank::SuperAdmin, &[]), facts(), None),
    ] {
        assert_eq!(may_set_quota(&me, &team, &quotas, NOW).err(), expected, "{} {:?}", me.rank, me.permissions);
    }
    let unsound = Quotas { vault_bytes: Some(u64::MAX), ..quotas };
    assert_eq!(may_set_quota(&with(Rank::SuperAdmin, &[]), &facts(), &unsound, NOW), Err(Denial::UnsoundQuotas));
}

#[test]
fn a_vault_quota_is_filled_to_the_brim_and_no_further() {
    for (quota, used, more, fits) in [
        (100, 0, 100, true),
        (100, 0, 101, false),
        (100, 99, 1, true),
        (100, 100, 1, false),
        (100, 200, 0, true),
        (0, 0, 1, false),
        (u64::MAX, u64::MAX - 1, 2, false),
    ] {
        assert_eq!(may_hold(VaultUse { quota, used }, more).is_ok(), fits, "{more} more than {used} of {quota}");
    }
    assert_eq!(may_hold(VaultUse { quota: 1, used: 1 }, 1), Err(Denial::VaultQuota));
}

#[test]
fn a_team_is_deleted_when_nobody_is_in_it() {
    use Permission::{TeamDelete, TeamView};
    let empty = TeamFacts { has_members: false, ..facts() };
    let manager = TeamFacts { is_member: true, is_manager: true, ..facts() };
    assert_eq!(may_delete_team(&with(Rank::User, &[TeamView]), &empty, NOW), Err(Denial::NotFound));
    assert_eq!(may_delete_team(&with(Rank::User, &[TeamView]), &manager, NOW).err(), missing(TeamDelete));
    assert_eq!(may_delete_team(&with(Rank::Admin, &[TeamDelete]), &facts(), NOW), Err(Denial::TeamNotEmpty));
    assert_eq!(may_delete_team(&with(Rank::Admin, &[TeamDelete]), &empty, NOW).unwrap().revision(), 3);
}

#[test]
fn who_is_not_active_is_added_by_administrators_or_adopted() {
    let (admin, looks_after) = (with(Rank::Admin, &[Permission::TeamMembers]), with(Rank::User, &[Permission::TeamMembers]));
    let sub = with(Rank::SubAdmin, &[]);
    let (assigned, manager) = (TeamFacts { assigned: Some(LATER), ..facts() }, TeamFacts { is_manager: true, ..facts() });
    let left = TeamMemberFacts { cause: Some(InactiveCause::LeftLastTeam), ..person(2, UserState::Inactive) };
    let elsewhere = TeamMemberFacts { teams: 1, ..left };
    let deactivated = TeamMemberFacts { cause: Some(InactiveCause::Administrator), ..left };
    let refused = Some(Denial::MemberInactive);
    for (what, them, by_sub, by_manager) in [
        ("active", person(2, UserState::Active), None, None),
        ("left the last team", left, None, refused),
        ("left it, and was taken in elsewhere", elsewhere, refused, refused),
        ("deactivated by an administrator", deactivated, refused, refused),
        ("pending", person(2, UserState::Pending), refused, refused),
    ] {
        assert_eq!(may_add_team_member(&sub, &assigned, &them, NOW).err(), by_sub, "{what}");
        assert_eq!(may_add_team_member(&with(Rank::User, &[]), &manager, &them, NOW).err(), by_manager, "{what}");
        assert_eq!(may_add_team_member(&looks_after, &facts(), &them, NOW).err(), by_manager, "{what}");
        assert_eq!(may_add_team_member(&admin, &facts(), &them, NOW).err(), None, "{what}");
    }
    // A sub-admin who only manages a team as one of its members adopts nobody into it.
    assert_eq!(may_add_team_member(&sub, &manager, &left, NOW).err(), refused);
}

#[test]
fn out_of_the_last_team_is_as_hard_as_a_deactivation() {
    let member = |user: UserId, rank, state, teams, active_super_admins| {
        let them = person(2, state);
        let account = UserFacts { user, rank, active_super_admins, ..them.account };
        TeamMemberFacts { account, is_member: true, teams, ..them }
    };
    let manager = TeamFacts { is_member: true, is_manager: true, ..facts() };
    for own in Rank::ALL {
        let me = with(*own, &[]);
        for theirs in Rank::ALL {
            for teams in [1, 2] {
                let expected = (teams == 1 && theirs > own).then_some(Denial::RankTooHigh);
                let them = member(id(2), *theirs, UserState::Active, teams, 2);
                assert_eq!(may_remove_team_member(&me, &manager, &them, NOW).err(), expected, "{own} removes {theirs} of {teams}");
            }
        }
        let oneself = |teams| may_remove_team_member(&me, &manager, &member(id(1), *own, UserState::Active, teams, 2), NOW).err();
        assert_eq!((oneself(1), oneself(2)), (Some(Denial::OwnLastTeam), None));
    }
    let root = with(Rank::SuperAdmin, &[]);
    for (state, count, teams, expected) in [
        (UserState::Active, 1, 1, Some(Denial::LastSuperAdmin)),
        (UserState::Active, 1, 2, None),
        (UserState::Active, 2, 1, None),
        (UserState::Inactive, 1, 1, None),
    ] {
        let them = member(id(2), Rank::SuperAdmin, state, teams, count);
        assert_eq!(may_remove_team_member(&root, &facts(), &them, NOW).err(), expected, "{state} {count} {teams}");
    }
    // Only who was active is ended by it.
    for (state, teams, last, ended) in [
        (UserState::Active, 1, true, true),
        (UserState::Active, 2, false, false),
        (UserState::Inactive, 1, true, false),
        (UserState::Pending, 1, true, false),
    ] {
        let them = member(id(2), Rank::User, state, teams, 2);
        assert_eq!((them.is_last(), them.is_ended()), (last, ended), "{state} {teams}");
    }
}

#[test]
fn administrators_assign_teams_to_sub_admins() {
    use Permission::TeamMembers;
    let sub = TeamMemberFacts {
        account: UserFacts { rank: Rank::SubAdmin, ..person(2, UserState::Active).account },
        ..person(2, UserState::Active)
    };
    let assigned = TeamMemberFacts { assigned: Some(NOW), ..sub };
    for (me, expected) in [
        (with(Rank::User, &[]), Some(Denial::NotFound)),
        (with(Rank::User, &[TeamMembers]), Some(Denial::NeedsAdministrator)),
        (with(Rank::SubAdmin, &[TeamMembers]), Some(Denial::NeedsAdministrator)),
        (with(Rank::Admin, &[]), Some(Denial::NotFound)),
        (with(Rank::Admin, &[Permission::TeamViewAll]), missing(TeamMembers)),
        (with(Rank::Admin, &[TeamMembers]), None),
        (with(Rank::SuperAdmin, &[]), None),
    ] {
        assert_eq!(may_assign_sub_admin(&me, &facts(), &sub, LATER, NOW).err(), expected, "{} {:?}", me.rank, me.permissions);
        assert_eq!(may_unassign_sub_admin(&me, &facts(), &assigned, NOW).err(), expected, "{} {:?}", me.rank, me.permissions);
    }
    let root = with(Rank::SuperAdmin, &[]);
    assert_eq!(may_unassign_sub_admin(&root, &facts(), &sub, NOW), Err(Denial::NotAssigned));
    for (until, expected) in [(0, None), (999, Some(Denial::DateInPast)), (1_000, Some(Denial::DateInPast)), (1_001, None)] {
        assert_eq!(may_assign_sub_admin(&root, &facts(), &sub, Timestamp::from_millis(until), NOW).err(), expected, "{until}");
    }
    for rank in [Rank::User, Rank::Admin, Rank::SuperAdmin] {
        let other = TeamMemberFacts { account: UserFacts { rank, ..sub.account }, ..sub };
        assert_eq!(may_assign_sub_admin(&root, &facts(), &other, LATER, NOW), Err(Denial::NotSubAdmin));
    }
    let inactive = TeamMemberFacts { account: UserFacts { state: UserState::Inactive, ..sub.account }, ..sub };
    assert_eq!(may_assign_sub_admin(&root, &facts(), &inactive, LATER, NOW), Err(Denial::MemberInactive));
    assert!(Permissions::basic().contains(Permission::TeamView) && !Permissions::basic().contains(TeamMembers));
}
