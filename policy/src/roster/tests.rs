#![allow(clippy::unwrap_used)]
use super::*;
use crate::actor::tests::id;

const KEY: [u8; 32] = [7; 32];

fn change(n: u8, step: GroupStep) -> GroupChange {
    GroupChange { user: id(n), step }
}

fn add(n: u8, permissions: GroupPermissions) -> GroupChange {
    change(n, GroupStep::Add { bundle: KEY, permissions })
}

/// Owned by 9; these are members besides.
fn roster(members: &[(u8, GroupPermissions)]) -> Roster {
    let mut changes = vec![add(9, GroupPermissions::ALL)];
    changes.extend(members.iter().map(|(n, permissions)| add(*n, *permissions)));
    Roster::begin(id(9), &changes).unwrap()
}

fn sets() -> impl Iterator<Item = GroupPermissions> {
    (0..=127).filter_map(GroupPermissions::from_bits)
}

/// What one change by somebody comes to.
fn tried(roster: &Roster, writer: u8, made: GroupChange, renews: bool) -> Result<Roster, Denial> {
    let mut after = roster.clone();
    after.apply(id(writer), &[made], renews).map(|()| after)
}

#[test]
fn one_gives_only_what_one_has() {
    for own in sets() {
        for given in sets() {
            let added = tried(&roster(&[(1, own)]), 1, add(2, given), false);
            let expected = if !own.contains(GroupPermissions::ADD_MEMBERS) {
                Some(Denial::GroupPermission { needs: "add-members" })
            } else {
                (!own.contains(given)).then_some(Denial::BeyondOwnPermissions)
            };
            assert_eq!(added.err(), expected, "{own:?} {given:?}");
        }
    }
}

#[test]
fn permissions_are_taken_away_freely_and_given_within_ones_own() {
    let own = GroupPermissions::CHANGE_PERMISSIONS.and(GroupPermissions::ADD_ENTRIES);
    for had in sets() {
        let before = roster(&[(1, own), (2, had)]);
        for now_has in sets() {
            let changed = tried(&before, 1, change(2, GroupStep::Permit(now_has)), false);
            let expected = if had == now_has {
                Some(Denial::SamePermissions)
            } else {
                (!own.contains(now_has.without(had))).then_some(Denial::BeyondOwnPermissions)
            };
            assert_eq!(changed.err(), expected, "{had:?} {now_has:?}");
        }
    }
    // Unticking one's own locks: nobody but the owner gives it back (features H14).
    let untick = change(1, GroupStep::Permit(GroupPermissions::ADD_ENTRIES));
    let locked = tried(&roster(&[(1, own)]), 1, untick, false).unwrap();
    let back = change(1, GroupStep::Permit(own));
    assert_eq!(tried(&locked, 1, back, false), Err(Denial::GroupPermission { needs: "change-permissions" }));
    assert!(tried(&locked, 9, back, false).is_ok());
}

#[test]
fn the_owner_stays_until_the_group_is_handed_over() {
    let group = roster(&[(1, GroupPermissions::ALL), (2, GroupPermissions::NONE)]);
    for by in [1, 9] {
        assert_eq!(tried(&group, by, change(9, GroupStep::Permit(GroupPermissions::NONE)), false), Err(Denial::GroupOwnerStays));
    }
    assert_eq!(tried(&group, 1, change(9, GroupStep::Remove), true), Err(Denial::GroupOwnerStays));
    assert_eq!(tried(&group, 9, change(9, GroupStep::Remove), false), Err(Denial::GroupOwnerStays));
    assert_eq!(tried(&group, 1, change(2, GroupStep::Own), false), Err(Denial::NotGroupOwner));
    assert_eq!(tried(&group, 9, change(3, GroupStep::Own), false), Err(Denial::NoSuchMember));
    assert_eq!(tried(&group, 9, change(9, GroupStep::Own), false), Err(Denial::OwnsAlready));
    let handed = tried(&group, 9, change(2, GroupStep::Own), false).unwrap();
    assert_eq!((handed.role(id(2)), handed.role(id(9))), (Some(GroupRole::Owner), Some(GroupRole::Manager)));
    assert_eq!(handed.permissions(id(2)), Some(GroupPermissions::ALL));
    let left = tried(&handed, 9, change(9, GroupStep::Remove), false).unwrap();
    assert_eq!(left.permissions(id(9)), None);
}

#[test]
fn a_removal_comes_with_a_new_key_and_leaving_without() {
    let group = roster(&[(1, GroupPermissions::MANAGER), (2, GroupPermissions::USER), (3, GroupPermissions::NONE)]);
    let out = change(2, GroupStep::Remove);
    assert_eq!(tried(&group, 1, out, false), Err(Denial::GenerationNeeded));
    assert_eq!(tried(&group, 3, change(1, GroupStep::Remove), true), Err(Denial::GroupPermission { needs: "add-entries" }));
    assert_eq!(tried(&group, 2, change(1, GroupStep::Remove), true), Err(Denial::GroupPermission { needs: "remove-members" }));
    let removed = tried(&group, 1, out, true).unwrap();
    assert_eq!((removed.permissions(id(2)), removed.is_left()), (None, false));
    // Who leaves would know the new key.
    assert_eq!(tried(&group, 2, out, true), Err(Denial::LeavesAlone));
    assert_eq!(group.clone().apply(id(1), &[change(1, GroupStep::Remove), out], false), Err(Denial::LeavesAlone));
    let mut left = tried(&group, 2, out, false).unwrap();
    assert!(left.is_left());
    assert_eq!(left.apply(id(2), &[add(2, GroupPermissions::NONE)], false), Err(Denial::NoSuchMember), "gone is gone");
    let mut kept = left.clone();
    kept.apply(id(9), &[add(4, GroupPermissions::NONE)], false).unwrap();
    assert!(kept.is_left(), "another change does not renew the key");
    left.apply(id(1), &[], true).unwrap();
    assert!(!left.is_left());
}

#[test]
fn the_first_head_is_its_owners() {
    assert_eq!(Roster::begin(id(9), &[]), Err(Denial::NotGroupOwner));
    assert_eq!(Roster::begin(id(9), &[add(1, GroupPermissions::ALL)]), Err(Denial::NotGroupOwner));
    assert_eq!(Roster::begin(id(9), &[add(9, GroupPermissions::MANAGER)]), Err(Denial::NotGroupOwner));
    assert_eq!(Roster::begin(id(9), &[change(9, GroupStep::Own)]), Err(Denial::NotGroupOwner));
    let both = [add(9, GroupPermissions::ALL), add(1, GroupPermissions::NONE)];
    assert_eq!(Roster::begin(id(9), &both).unwrap().members().len(), 2);
    assert_eq!(Roster::begin(id(9), &[both[0], both[0]]), Err(Denial::AlreadyMember));
}

#[test]
fn roles_follow_from_permissions() {
    let group = roster(&[(1, GroupPermissions::ADD_MEMBERS), (2, GroupPermissions::ALL.without(GroupPermissions::ADD_MEMBERS))]);
    let role = |n| group.role(id(n));
    assert_eq!((role(9), role(1), role(2), role(3)), (Some(GroupRole::Owner), Some(GroupRole::Manager), Some(GroupRole::User), None));
}
