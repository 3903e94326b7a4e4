#![allow(clippy::unwrap_used)]
use super::*;
use crate::actor::tests::{actor, id};
use crate::label::tests::label;
use ticrypt_types::{Permissions, Rank};

const NOW: Timestamp = Timestamp::from_millis(1_000);

fn change(n: u8, step: GroupStep) -> Change {
    Change { user: id(n), step }
}

fn add(n: u8, permissions: GroupPermissions) -> Change {
    change(n, GroupStep::Add { bundle: [7; 32], permissions })
}

/// Owned by 9; 1 has these permissions, 2 none.
fn facts(permissions: Option<GroupPermissions>) -> GroupFacts {
    let mut changes = vec![add(9, GroupPermissions::ALL), add(2, GroupPermissions::NONE)];
    changes.extend(permissions.map(|permissions| add(1, permissions)));
    let roster = Roster::begin(id(9), &changes).unwrap();
    GroupFacts { group: GroupId::from_random([3; 16]), revision: 1, label: Label::UNLOCKED, roster }
}

fn changed(actor: &Actor, facts: &GroupFacts, made: Change, renews: bool) -> Option<Denial> {
    may_change_group(actor, facts, &[made], renews, |user| user != id(5), NOW).err()
}

#[test]
fn no_rank_replaces_membership() {
    for rank in Rank::ALL {
        let (me, facts) = (actor(1, *rank), facts(None));
        let hidden = Some(Denial::NotFound);
        assert_eq!(may_read_group(&me, &facts, NOW).err(), hidden);
        assert_eq!(changed(&me, &facts, add(1, GroupPermissions::NONE), false), hidden);
        assert_eq!(changed(&me, &facts, change(2, GroupStep::Remove), true), hidden);
        assert_eq!(may_seal_group(&me, &facts, &[id(2)], NOW).err(), hidden);
        assert_eq!(may_rename_group(&me, &facts, NOW).err(), hidden);
        assert_eq!(may_delete_group(&me, &facts, NOW).err(), hidden);
    }
}

#[test]
fn taking_away_is_never_locked_and_all_that_takes_the_key_is() {
    let me = actor(1, Rank::User);
    let locked = GroupFacts { label: label(&["1"]), ..facts(Some(GroupPermissions::ALL)) };
    let denied = Some(Denial::Locked);
    assert_eq!(may_read_group(&me, &locked, NOW).err(), denied);
    assert_eq!(changed(&me, &locked, add(3, GroupPermissions::NONE), false), denied);
    assert_eq!(may_seal_group(&me, &locked, &[id(2)], NOW).err(), denied);
    assert_eq!(may_delete_group(&actor(9, Rank::User), &locked, NOW).err(), Some(Denial::OtherLabel));
    assert_eq!(changed(&me, &locked, change(2, GroupStep::Remove), true), None);
    assert_eq!(changed(&me, &locked, change(1, GroupStep::Remove), false), None);
}

#[test]
fn the_account_counts_of_who_adds_and_of_who_is_added() {
    let all = facts(Some(GroupPermissions::ALL));
    let bare = Actor { permissions: Permissions::NONE, ..actor(1, Rank::User) };
    let denied = Some(Denial::NoPermission { permission: Permission::GroupAdd });
    assert_eq!(changed(&bare, &all, add(3, GroupPermissions::NONE), false), denied);
    assert_eq!(changed(&bare, &all, change(2, GroupStep::Remove), true), None);
    let me = actor(1, Rank::User);
    assert_eq!(changed(&me, &all, add(5, GroupPermissions::NONE), false), Some(Denial::MemberInactive));
    assert_eq!(changed(&me, &all, add(3, GroupPermissions::NONE), false), None);
    let denied = Denial::NoPermission { permission: Permission::GroupCreate };
    let founding = [add(1, GroupPermissions::ALL)];
    assert_eq!(may_create_group(&bare, all.group, &founding, |_| true, NOW).err(), Some(denied));
    assert!(may_create_group(&me, all.group, &founding, |_| true, NOW).is_ok());
}

#[test]
fn seals_are_for_members_and_name_and_end_are_the_owners() {
    let (me, owner) = (actor(1, Rank::User), actor(9, Rank::User));
    let all = facts(Some(GroupPermissions::NONE));
    assert!(may_seal_group(&me, &all, &[id(2), id(9)], NOW).is_ok());
    assert_eq!(may_seal_group(&me, &all, &[id(2), id(3)], NOW).err(), Some(Denial::NoSuchMember));
    assert_eq!(may_rename_group(&me, &all, NOW).err(), Some(Denial::NotGroupOwner));
    assert_eq!(may_delete_group(&me, &all, NOW).err(), Some(Denial::NotGroupOwner));
    assert!(may_rename_group(&owner, &all, NOW).is_ok() && may_delete_group(&owner, &all, NOW).is_ok());
}
