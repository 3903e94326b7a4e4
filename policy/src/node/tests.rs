//! Tables over every access, state and place of a closure.

#![allow(clippy::unwrap_used)]
use super::*;
use crate::actor::tests::{actor, id};
use ticrypt_types::{GroupId, GroupPermissions, Rank};

pub(crate) const NOW: Timestamp = Timestamp::from_millis(1_000);

pub(crate) fn node(n: u8) -> NodeId {
    NodeId::from_random([n; 16])
}

fn step(n: u8, closure_seq: u64, rolled_seq: u64) -> PathStep {
    PathStep { node: node(n), closure_seq, rolled_seq, boundary: false }
}

/// Directory 10 in directory 11 in root 12, of the given owner; nobody holds a grant.
pub(crate) fn facts(owner: u8) -> NodeFacts {
    NodeFacts {
        node: node(10),
        owner: id(owner),
        group: None,
        label: Label::UNLOCKED,
        tags: Label::UNLOCKED,
        carried: BTreeSet::new(),
        kind: NodeKind::Directory,
        revision: 4,
        head_counter: 2,
        epoch: 1,
        parent: Some(node(11)),
        trashed: Trashed::No,
        path: vec![step(10, 0, 0), step(11, 0, 0), step(12, 0, 0)],
        grants: vec![],
        rights: 3,
    }
}

/// A living grant on directory 11, above the node.
pub(crate) fn grant(n: u8, verbs: Verbs) -> GrantFact {
    GrantFact { grant: GrantId::from_random([n; 16]), hash: [n; 32], node: node(11), verbs, expires: Timestamp::ABSENT, ended: false }
}

pub(crate) fn all_verbs() -> impl Iterator<Item = Verbs> {
    (0..=15).filter_map(Verbs::from_bits)
}

const BOTH: Making = Making { files: true, directories: true };

type Outcome = Result<(), Denial>;

/// Every verb of this file on the one node (moving: to another directory of the same owner with the same grants).
fn outcomes(me: &Actor, facts: &NodeFacts) -> [(&'static str, Outcome); 9] {
    let elsewhere =
        NodeFacts { node: node(20), path: vec![step(20, 0, 0), step(11, 0, 0), step(12, 0, 0)], trashed: Trashed::No, ..facts.clone() };
    [
        ("stat", may_stat(me, facts, NOW).map(drop)),
        ("list", may_list(me, facts, NOW).map(drop)),
        ("create", may_create(me, facts, BOTH, NOW).map(drop)),
        ("rename", may_rename(me, facts, NOW).map(drop)),
        ("move", may_move(me, facts, &elsewhere, NOW).map(drop)),
        ("trash", may_trash(me, facts, NOW).map(drop)),
        ("restore", may_restore(me, facts, NOW).map(drop)),
        ("delete", may_delete(me, facts, NOW).map(drop)),
        ("rekey", may_rekey(me, facts, NOW).map(drop)),
    ]
}

#[test]
fn without_access_everything_answers_like_missing_whatever_the_rank() {
    let expired = GrantFact { expires: NOW, ..grant(1, Verbs::ALL) };
    let ended = GrantFact { ended: true, ..grant(1, Verbs::ALL) };
    for grants in [vec![], vec![expired], vec![ended], vec![expired, ended]] {
        for trashed in [Trashed::No, Trashed::Itself, Trashed::Above] {
            for rank in Rank::ALL {
                let facts = NodeFacts { grants: grants.clone(), trashed, ..facts(9) };
                for (verb, outcome) in outcomes(&actor(1, *rank), &facts) {
                    assert_eq!(outcome, Err(Denial::NotFound), "{verb} {rank} {trashed:?}");
                }
            }
        }
    }
}

#[test]
fn an_account_not_in_use_does_nothing() {
    let me = Actor { session_epoch: 0, ..actor(9, Rank::SuperAdmin) };
    for (verb, outcome) in outcomes(&me, &facts(9)) {
        assert_eq!(outcome, Err(Denial::SessionOver), "{verb}");
    }
    assert_eq!(may_create_home(&me, Home::None, NOW), Err(Denial::SessionOver));
}

#[test]
fn a_grant_lasts_until_just_before_its_expiry_and_the_freest_counts() {
    let me = actor(1, Rank::User);
    let lasting = GrantFact { expires: Timestamp::from_millis(1_001), ..grant(1, Verbs::VIEW) };
    let edit = Verbs::VIEW.and(Verbs::EDIT);
    let both = NodeFacts { grants: vec![lasting, grant(2, edit)], ..facts(9) };
    assert_eq!(both.access(&me, NOW).unwrap().verbs, edit);
    assert_eq!(NodeFacts { grants: vec![lasting], ..facts(9) }.access(&me, NOW).unwrap().verbs, Verbs::VIEW);
    assert_eq!(NodeFacts { grants: vec![lasting], ..facts(9) }.access(&me, Timestamp::from_millis(1_001)), Err(Denial::NotFound));
}

#[test]
fn entries_need_edit_on_the_directory_that_holds_them() {
    let me = actor(1, Rank::User);
    let on_itself = GrantFact { node: node(10), ..grant(1, Verbs::ALL) };
    let shared = NodeFacts { grants: vec![on_itself], ..facts(9) };
    assert!(may_create(&me, &shared, BOTH, NOW).is_ok());
    assert_eq!(may_rename(&me, &shared, NOW), Err(Denial::NoEdit));
    assert_eq!(may_trash(&me, &shared, NOW), Err(Denial::NoEdit));
    assert_eq!(may_rekey(&me, &shared, NOW), Err(Denial::NoEdit));
    // In the trash it is gone for them, not for who edits the directory.
    let gone = NodeFacts { trashed: Trashed::Itself, ..shared };
    assert_eq!(may_stat(&me, &gone, NOW), Err(Denial::NotFound));
    let above = NodeFacts { trashed: Trashed::Itself, grants: vec![grant(1, Verbs::ALL)], ..facts(9) };
    assert!(may_stat(&me, &above, NOW).is_ok() && may_restore(&me, &above, NOW).is_ok());
}

#[test]
fn the_epoch_rule_over_every_place_of_a_closure() {
    let owner = actor(9, Rank::User);
    for closed in 0..3 {
        for rolled in 0..8u8 {
            // Bit i of `rolled`: step i has keys made after the closure.
            let mut facts = facts(9);
            for (i, step) in facts.path.iter_mut().enumerate() {
                step.closure_seq = if i == closed { 5 } else { 0 };
                step.rolled_seq = if rolled >> i & 1 == 1 { 5 } else { 4 };
            }
            let open_here = rolled & 1 == 1;
            // The directory above is held back only by closures at or above it.
            let open_above = closed == 0 || rolled >> 1 & 1 == 1;
            assert_eq!(may_create(&owner, &facts, BOTH, NOW).is_ok(), open_here, "{closed} {rolled:03b}");
            assert_eq!(may_rename(&owner, &facts, NOW).is_ok(), open_above, "{closed} {rolled:03b}");
            assert_eq!(may_rekey(&owner, &facts, NOW).err(), (!open_above).then_some(Denial::EpochClosed));
            assert!(may_list(&owner, &facts, NOW).is_ok(), "reading goes on");
        }
    }
}

#[test]
fn new_keys_go_down_the_path_in_one_call() {
    let owner = actor(9, Rank::User);
    let closed = NodeFacts { path: vec![step(10, 0, 0), step(11, 0, 0), step(12, 5, 0)], ..facts(9) };
    assert_eq!(may_rekey(&owner, &closed, NOW), Err(Denial::EpochClosed));
}

#[test]
fn moves() {
    let me = actor(9, Rank::User);
    let moved = facts(9);
    let target = NodeFacts { node: node(20), path: vec![step(20, 0, 0), step(12, 0, 0)], rights: 2, ..facts(9) };
    let permit = may_move(&me, &moved, &target, NOW).unwrap();
    assert_eq!((permit.on(), permit.revision(), permit.rights()), (MoveTo { node: node(10), target: node(20) }, 4, 2));
    for (target, expected) in [
        (
            NodeFacts { owner: id(8), grants: vec![GrantFact { node: node(20), ..grant(1, Verbs::ALL) }], ..target.clone() },
            Denial::OtherOwner,
        ),
        (NodeFacts { owner: id(8), ..target.clone() }, Denial::NotFound),
        (NodeFacts { kind: NodeKind::File, ..target.clone() }, Denial::NotADirectory),
        (NodeFacts { path: vec![step(20, 0, 0), step(10, 0, 0), step(12, 0, 0)], ..target.clone() }, Denial::IntoItself),
        (moved.clone(), Denial::IntoItself),
        (NodeFacts { trashed: Trashed::Above, ..target.clone() }, Denial::AboveInTrash),
        (NodeFacts { path: vec![step(20, 0, 0), step(12, 1, 1)], ..target.clone() }, Denial::EpochClosed),
        (NodeFacts { path: vec![step(20, 0, 0); limits::DEPTH_MAX], ..target.clone() }, Denial::TooDeep),
    ] {
        assert_eq!(may_move(&me, &moved, &target, NOW), Err(expected));
    }
}

#[test]
fn making_nothing_takes_what_making_a_file_takes() {
    let nothing = Making { files: false, directories: false };
    let viewer = NodeFacts { grants: vec![grant(1, Verbs::VIEW)], ..facts(9) };
    assert_eq!(may_create(&actor(1, Rank::User), &viewer, nothing, NOW), Err(Denial::NoEdit));
    let trashed = NodeFacts { trashed: Trashed::Itself, ..facts(9) };
    assert_eq!(may_create(&actor(9, Rank::User), &trashed, nothing, NOW), Err(Denial::InTrash));
}

#[test]
fn roots_stay_and_are_rekeyed_by_their_owner() {
    let root = NodeFacts { parent: None, path: vec![step(10, 5, 1)], ..facts(9) };
    let owner = actor(9, Rank::User);
    assert_eq!(may_rename(&owner, &root, NOW), Err(Denial::IsRoot));
    assert_eq!(may_trash(&owner, &root, NOW), Err(Denial::IsRoot));
    assert_eq!(may_delete(&owner, &root, NOW), Err(Denial::IsRoot));
    assert!(may_rekey(&owner, &root, NOW).is_ok(), "closed as it is");
    let holder = GrantFact { node: node(10), ..grant(1, Verbs::ALL) };
    let root = NodeFacts { grants: vec![holder], ..root };
    assert_eq!(may_rekey(&actor(1, Rank::SuperAdmin), &root, NOW), Err(Denial::NoEdit));
}

#[test]
fn a_home_is_made_once_and_anew_when_its_keys_are_lost() {
    let owner = actor(9, Rank::User);
    for (home, expected) in [(Home::None, None), (Home::Open, Some(Denial::HomeExists)), (Home::Lost, None)] {
        assert_eq!(may_create_home(&owner, home, NOW).err(), expected, "{home:?}");
    }
}

#[test]
fn a_tree_whose_keys_are_lost_is_deleted_whole_by_its_owner_alone() {
    let seal = |ended| GrantFact { node: node(10), ended, ..grant(1, Verbs::ALL) };
    let root = |grants| NodeFacts { parent: None, path: vec![step(10, 0, 0)], grants, ..facts(9) };
    let owner = actor(9, Rank::User);
    assert!(may_delete(&owner, &root(vec![seal(true)]), NOW).is_ok());
    for grants in [vec![], vec![seal(false)], vec![seal(true), seal(false)]] {
        assert_eq!(may_delete(&owner, &root(grants), NOW), Err(Denial::IsRoot), "a tree that opens stays");
    }
    // Somebody else whose share of the whole tree has ended, or holds.
    for rank in Rank::ALL {
        assert_eq!(may_delete(&actor(1, *rank), &root(vec![seal(true)]), NOW), Err(Denial::NotFound));
        assert_eq!(may_delete(&actor(1, *rank), &root(vec![seal(false)]), NOW), Err(Denial::NotOwner));
    }
    // Ended seals on a directory inside the tree make no root of it.
    let inside = NodeFacts { grants: vec![seal(true)], ..facts(9) };
    assert_eq!(may_delete(&owner, &inside, NOW), Err(Denial::NotInTrash));
}

#[test]
fn only_the_owner_deletes_for_good_and_only_from_the_trash() {
    let editor = actor(1, Rank::SuperAdmin);
    for (trashed, by_owner) in
        [(Trashed::No, Some(Denial::NotInTrash)), (Trashed::Itself, None), (Trashed::Above, Some(Denial::AboveInTrash))]
    {
        let facts = NodeFacts { trashed, grants: vec![grant(1, Verbs::ALL)], ..facts(9) };
        assert_eq!(may_delete(&actor(9, Rank::User), &facts, NOW).err(), by_owner);
        assert_eq!(may_delete(&editor, &facts, NOW), Err(Denial::NotOwner));
    }
}

#[test]
fn a_writers_authority_is_one_living_grant() {
    let me = actor(1, Rank::User);
    let facts = NodeFacts { grants: vec![grant(1, Verbs::VIEW), grant(2, Verbs::ALL)], ..facts(9) };
    assert!(facts.stands_on(&me, Some(&[2; 32]), Verbs::EDIT, NOW));
    assert!(!facts.stands_on(&me, Some(&[1; 32]), Verbs::EDIT, NOW));
    assert!(!facts.stands_on(&me, Some(&[3; 32]), Verbs::VIEW, NOW));
    assert!(!facts.stands_on(&me, None, Verbs::VIEW, NOW), "only the owner needs none");
    assert!(facts.stands_on(&actor(9, Rank::User), None, Verbs::ALL, NOW));
}

#[test]
fn in_a_group_members_stand_on_its_newest_head_and_on_nothing_else() {
    let in_group = |permissions| {
        let group = GroupFact { group: GroupId::of_owner(id(9)), permissions, head: [5; 32] };
        // Grants are to the group; one to a person would change nothing.
        NodeFacts { group: Some(group), grants: vec![grant(2, Verbs::ALL)], ..facts(9) }
    };
    let member = in_group(Some(GroupPermissions::NONE));
    // The same for who has the id of the group, which owns the tree.
    for me in [actor(1, Rank::User), actor(9, Rank::SuperAdmin)] {
        assert!(member.stands_on(&me, Some(&[5; 32]), Verbs::EDIT, NOW));
        for authority in [None, Some(&[2; 32]), Some(&[4; 32])] {
            assert!(!member.stands_on(&me, authority, Verbs::VIEW, NOW), "{authority:?}");
        }
        assert!(!in_group(None).stands_on(&me, Some(&[5; 32]), Verbs::VIEW, NOW), "no member");
    }
}

#[test]
fn making_things_takes_the_permission_and_the_key_comes_first() {
    let without = |n| Actor { permissions: ticrypt_types::Permissions::NONE, ..actor(n, Rank::User) };
    let denied = Denial::NoPermission { permission: Permission::VaultCreate };
    let files = Making { files: true, directories: false };
    assert_eq!(may_create(&without(9), &facts(9), files, NOW), Err(denied));
    assert_eq!(may_create(&without(1), &facts(9), files, NOW), Err(Denial::NotFound));
    assert_eq!(may_create_home(&without(9), Home::None, NOW), Err(denied));
    assert_eq!(may_create_home(&without(9), Home::Open, NOW), Err(Denial::HomeExists));
}
