#![allow(clippy::unwrap_used)]
use super::*;
use crate::actor::tests::{actor, id};
use crate::label::tests::label;
use ticrypt_types::Rank;

const NOW: Timestamp = Timestamp::from_millis(1_000);

/// Owned by 9; the actor has these permissions.
fn facts(permissions: Option<GroupPermissions>) -> GroupFacts {
    GroupFacts { group: GroupId::from_random([3; 16]), owner: id(9), revision: 1, label: Label::UNLOCKED, permissions }
}

fn member(n: u8, permissions: Option<GroupPermissions>) -> GroupMember {
    GroupMember { user: id(n), is_active: true, permissions }
}

fn sets() -> impl Iterator<Item = GroupPermissions> {
    (0..=127).filter_map(GroupPermissions::from_bits)
}

#[test]
fn one_gives_only_what_one_has() {
    let me = actor(1, Rank::User);
    for own in sets() {
        for given in sets() {
            let add = may_add_group_member(&me, &facts(Some(own)), &member(2, None), given, NOW);
            let expected = if !own.contains(GroupPermissions::ADD_MEMBERS) {
                Some(Denial::GroupPermission { needs: "add-members" })
            } else {
                (!own.contains(given)).then_some(Denial::BeyondOwnPermissions)
            };
            assert_eq!(add.err(), expected, "{own:?} {given:?}");
        }
    }
}

#[test]
fn permissions_are_taken_away_freely_and_given_within_ones_own() {
    let me = actor(1, Rank::User);
    let own = GroupPermissions::CHANGE_PERMISSIONS.and(GroupPermissions::ADD_ENTRIES);
    for had in sets() {
        for now_has in sets() {
            let changed = may_change_group_permissions(&me, &facts(Some(own)), &member(2, Some(had)), now_has, NOW);
            let expected = if had == now_has {
                Some(Denial::SamePermissions)
            } else {
                (!own.contains(now_has.without(had))).then_some(Denial::BeyondOwnPermissions)
            };
            assert_eq!(changed.err(), expected, "{had:?} {now_has:?}");
        }
    }
    // Unticking one's own locks: nobody but the owner gives it back.
    let myself = member(1, Some(own));
    assert_eq!(may_change_group_permissions(&me, &facts(Some(own)), &myself, GroupPermissions::ADD_ENTRIES, NOW), Ok(()));
    let locked = facts(Some(GroupPermissions::ADD_ENTRIES));
    let denied = Err(Denial::GroupPermission { needs: "change-permissions" });
    assert_eq!(may_change_group_permissions(&me, &locked, &member(1, locked.permissions), own, NOW), denied);
    assert_eq!(may_change_group_permissions(&actor(9, Rank::User), &facts(None), &member(1, locked.permissions), own, NOW), Ok(()));
}

#[test]
fn the_owner_stays_until_the_group_is_handed_over() {
    let all = facts(Some(GroupPermissions::ALL));
    let (me, owner) = (actor(1, Rank::SuperAdmin), actor(9, Rank::User));
    let the_owner = member(9, Some(GroupPermissions::ALL));
    for by in [&me, &owner] {
        assert_eq!(may_remove_group_member(by, &all, &the_owner, NOW), Err(Denial::GroupOwnerStays));
        assert_eq!(may_change_group_permissions(by, &all, &the_owner, GroupPermissions::NONE, NOW), Err(Denial::GroupOwnerStays));
    }
    assert_eq!(may_hand_over_group(&me, &all, &member(2, Some(GroupPermissions::NONE)), NOW), Err(Denial::NotGroupOwner));
    assert_eq!(may_hand_over_group(&owner, &all, &member(2, None), NOW), Err(Denial::NoSuchMember));
    assert_eq!(may_hand_over_group(&owner, &all, &the_owner, NOW), Err(Denial::Oneself));
    assert_eq!(may_hand_over_group(&owner, &all, &member(2, Some(GroupPermissions::NONE)), NOW), Ok(()));
    assert_eq!(may_delete_group(&me, &all, NOW), Err(Denial::NotGroupOwner));
    assert_eq!(may_delete_group(&owner, &all, NOW), Ok(()));
}

#[test]
fn no_rank_replaces_membership_and_taking_away_is_never_locked() {
    for rank in Rank::ALL {
        let me = actor(1, *rank);
        for denied in [
            may_list_group_members(&me, &facts(None), NOW),
            may_add_group_member(&me, &facts(None), &member(1, None), GroupPermissions::NONE, NOW),
            may_remove_group_member(&me, &facts(None), &member(2, Some(GroupPermissions::NONE)), NOW),
            may_change_group_permissions(&me, &facts(None), &member(2, Some(GroupPermissions::NONE)), GroupPermissions::USER, NOW),
            may_delete_group(&me, &facts(None), NOW),
        ] {
            assert_eq!(denied, Err(Denial::NotFound), "{rank}");
        }
    }
    let me = actor(1, Rank::User);
    let locked = GroupFacts { label: label(&["1"]), ..facts(Some(GroupPermissions::ALL)) };
    assert_eq!(may_list_group_members(&me, &locked, NOW), Err(Denial::Locked));
    assert_eq!(may_add_group_member(&me, &locked, &member(2, None), GroupPermissions::NONE, NOW), Err(Denial::Locked));
    assert_eq!(may_remove_group_member(&me, &locked, &member(2, Some(GroupPermissions::NONE)), NOW), Ok(()));
    assert_eq!(may_remove_group_member(&me, &locked, &member(1, Some(GroupPermissions::NONE)), NOW), Ok(()));
}

#[test]
fn roles_follow_from_permissions() {
    let facts = facts(None);
    assert_eq!(facts.role(id(9), GroupPermissions::NONE), GroupRole::Owner);
    assert_eq!(facts.role(id(1), GroupPermissions::ADD_MEMBERS), GroupRole::Manager);
    assert_eq!(facts.role(id(1), GroupPermissions::ALL.without(GroupPermissions::ADD_MEMBERS)), GroupRole::User);
}
