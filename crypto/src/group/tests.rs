//! One encoding for each head, and the rules within one. How heads follow one another is tested where they can be signed, in the keyring.

#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use super::*;

const BUNDLE: [u8; 32] = [7; 32];

/// Of a seed that nobody keeps.
pub(crate) fn key() -> KemPublicKey {
    // The base point of P-384 (SP 800-186); any reduced coefficients are a key.
    const POINT: &[u8] = b"04aa87ca22be8b05378eb1c71ef320ad746e1d3b628ba79b9859f741e082542a385502f25dbf55296c3a545e3872760ab7\
        3617de4a96262c6f5d9e98bf9292dc29f8f41dbd289a147ce9da3113b5f0b8c00a60b1ce1d7e819d7a431d7c90ea0e5f";
    let point = data_encoding::HEXLOWER.decode(POINT).unwrap();
    KemPublicKey::from_bytes(&[&[0; 1568][..], &point].concat()).unwrap()
}

fn user(n: u8) -> UserId {
    UserId::from_random([n; 16])
}

fn change(n: u8, step: GroupStep) -> GroupChange {
    GroupChange { user: user(n), step }
}

fn add(n: u8, permissions: GroupPermissions) -> GroupChange {
    change(n, GroupStep::Add { bundle: BUNDLE, permissions })
}

fn first() -> GroupHeadPayload {
    GroupHeadPayload {
        deployment: DeploymentId::from_random([1; 16]),
        group: GroupId::from_random([2; 16]),
        counter: 1,
        previous: None,
        changes: vec![add(9, GroupPermissions::ALL)],
        generation: 1,
        key: Some(key()),
        wrapped: vec![],
        writer: user(9),
        writer_bundle: Digest::of(b"writer"),
        at: Timestamp::from_millis(1),
    }
}

/// A later head that begins no generation.
fn later() -> GroupHeadPayload {
    GroupHeadPayload { counter: 2, previous: Some(Digest::of(b"before")), key: None, ..first() }
}

fn renewing() -> GroupHeadPayload {
    GroupHeadPayload { generation: 2, key: Some(key()), wrapped: vec![3; WRAPPED_SEED_LEN], ..later() }
}

#[test]
fn every_head_reads_as_it_was_written() {
    let steps = [
        add(1, GroupPermissions::NONE),
        change(2, GroupStep::Permit(GroupPermissions::MANAGER)),
        change(3, GroupStep::Remove),
        change(4, GroupStep::Own),
    ];
    for changes in [vec![], steps.to_vec(), vec![add(1, GroupPermissions::ALL); limits::GROUP_CHANGES_MAX]] {
        let head = GroupHeadPayload { changes, ..renewing() };
        assert_eq!(GroupHeadPayload::parse(&head.to_bytes()).unwrap(), head);
    }
    for head in [first(), later()] {
        assert_eq!(GroupHeadPayload::parse(&head.to_bytes()).unwrap(), head);
    }
    // The longest there is, with room to spare.
    let full = GroupHeadPayload {
        counter: u64::MAX,
        generation: u32::MAX,
        changes: vec![add(1, GroupPermissions::ALL); limits::GROUP_CHANGES_MAX],
        at: Timestamp::from_millis(u64::MAX),
        ..renewing()
    };
    assert!(full.to_bytes().len() < GroupHeadPayload::MAX_LEN, "{}", full.to_bytes().len());
}

#[test]
fn each_rule_of_a_head() {
    let hash = Some(Digest::ZERO);
    for (name, head) in [
        ("counter 0", GroupHeadPayload { counter: 0, ..first() }),
        ("generation 0", GroupHeadPayload { generation: 0, ..later() }),
        ("a first head after another", GroupHeadPayload { previous: hash, ..first() }),
        ("a later head after none", GroupHeadPayload { previous: None, ..later() }),
        ("a first head without a key", GroupHeadPayload { key: None, ..first() }),
        ("a first head of generation 2", GroupHeadPayload { generation: 2, wrapped: vec![3; WRAPPED_SEED_LEN], ..first() }),
        ("a later head that begins generation 1", GroupHeadPayload { key: Some(key()), ..later() }),
        ("a first head with a wrapped seed", GroupHeadPayload { wrapped: vec![3; WRAPPED_SEED_LEN], ..first() }),
        ("no generation and a wrapped seed", GroupHeadPayload { wrapped: vec![3; WRAPPED_SEED_LEN], ..later() }),
        ("a generation without a wrapped seed", GroupHeadPayload { wrapped: vec![], ..renewing() }),
        ("a wrapped seed cut off", GroupHeadPayload { wrapped: vec![3; WRAPPED_SEED_LEN - 1], ..renewing() }),
        ("a wrapped seed too long", GroupHeadPayload { wrapped: vec![3; WRAPPED_SEED_LEN + 1], ..renewing() }),
        ("a change too many", GroupHeadPayload { changes: vec![add(1, GroupPermissions::NONE); limits::GROUP_CHANGES_MAX + 1], ..later() }),
        ("a head that changes nothing", GroupHeadPayload { changes: vec![], ..later() }),
    ] {
        assert!(matches!(GroupHeadPayload::parse(&head.to_bytes()), Err(RecordError::Rule(_))), "{name}");
    }
    assert!(GroupHeadPayload { changes: vec![], ..renewing() }.check().is_ok(), "a new key alone is something");
}

/// A change's four elements by hand.
fn raw(code: u8, bundle: &[u8], permissions: u8) -> Vec<u8> {
    let mut e = Encoder::new(vec![]);
    e.array(4).unwrap().u8(code).unwrap().bytes(user(1).as_bytes()).unwrap().bytes(bundle).unwrap().u8(permissions).unwrap();
    e.into_writer()
}

#[test]
fn changes_of_a_wrong_shape_are_refused() {
    let taken = |bytes: &[u8]| GroupChange::take(&mut Decoder::new(bytes));
    let written = |change: GroupChange| {
        let mut e = Encoder::new(vec![]);
        change.put(&mut e).unwrap();
        e.into_writer()
    };
    for (bytes, expected) in [
        (raw(0, &BUNDLE, 41), add(1, GroupPermissions::from_bits(41).unwrap())),
        (raw(1, &[], 0), change(1, GroupStep::Permit(GroupPermissions::NONE))),
        (raw(2, &[], 0), change(1, GroupStep::Remove)),
        (raw(3, &[], 0), change(1, GroupStep::Own)),
    ] {
        assert_eq!(taken(&bytes).unwrap(), expected);
        assert_eq!(written(expected), bytes);
    }
    for (name, bytes) in [
        ("an unknown kind", raw(4, &[], 0)),
        ("an unknown permission", raw(1, &[], 128)),
        ("added without a key", raw(0, &[], 1)),
        ("added with half a key", raw(0, &BUNDLE[..16], 1)),
        ("permitted with a key", raw(1, &BUNDLE, 1)),
        ("removed with a key", raw(2, &BUNDLE, 0)),
        ("removed with permissions", raw(2, &[], 1)),
        ("made the owner with a key", raw(3, &BUNDLE, 0)),
        ("made the owner with permissions", raw(3, &[], 127)),
        ("three elements", [&[0x83], &raw(2, &[], 0)[1..]].concat()),
        ("five elements", [&[0x85], &raw(2, &[], 0)[1..], &[0]].concat()),
        ("an indefinite length", [&[0x9f], &raw(2, &[], 0)[1..], &[0xff]].concat()),
    ] {
        assert!(taken(&bytes).is_err(), "{name}");
    }
}

#[test]
fn terms_are_told_apart_by_their_info() {
    let terms = GroupSealTerms {
        deployment: DeploymentId::from_random([1; 16]),
        group: GroupId::from_random([2; 16]),
        compartment: Compartment::UNLOCKED,
        generation: 3,
        member: user(4),
        bundle: Digest::of(b"bundle"),
        bundle_generation: 0,
    };
    assert_eq!(GroupSealTerms::parse(&terms.to_bytes()).unwrap(), terms);
    let none = GroupSealTerms { generation: 0, ..terms.clone() };
    assert!(matches!(GroupSealTerms::parse(&none.to_bytes()), Err(RecordError::Rule(_))));
    let others = [
        GroupSealTerms { deployment: DeploymentId::from_random([9; 16]), ..terms.clone() },
        GroupSealTerms { group: GroupId::from_random([9; 16]), ..terms.clone() },
        GroupSealTerms { generation: 4, ..terms.clone() },
        GroupSealTerms { compartment: Compartment::of([ticrypt_types::ProjectId::from_random([5; 16])]).unwrap(), ..terms.clone() },
        GroupSealTerms { member: user(9), ..terms.clone() },
        GroupSealTerms { bundle: Digest::ZERO, ..terms.clone() },
        GroupSealTerms { bundle_generation: 1, ..terms.clone() },
    ];
    assert!(others.iter().all(|other| other.info() != terms.info()));
}
