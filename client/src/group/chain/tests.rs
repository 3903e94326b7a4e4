#![allow(clippy::unwrap_used)]
use ticrypt_crypto::Envelope;
use ticrypt_keyring::group::GroupSeed;
use ticrypt_keyring::{SigningKey, SystemRandom};
use ticrypt_types::{DeploymentId, GroupChange, GroupStep, Timestamp};

use super::*;
use crate::error::Kind;

const MANAGER: GroupPermissions = GroupPermissions::MANAGER;

fn id(n: u8) -> UserId {
    UserId::from_random([n; 16])
}

fn group() -> GroupId {
    GroupId::from_random([7; 16])
}

fn add(n: u8, permissions: GroupPermissions) -> GroupChange {
    GroupChange { user: id(n), step: GroupStep::Add { bundle: [n; 32], permissions } }
}

fn remove(n: u8) -> GroupChange {
    GroupChange { user: id(n), step: GroupStep::Remove }
}

fn key() -> Option<KemPublicKey> {
    Some(GroupSeed::generate(&SystemRandom::new()).unwrap().public_key().clone())
}

/// Whoever signed was verified before a head comes here, so one key signs for all.
fn signed(payload: &GroupHeadPayload) -> Signed<GroupHeadPayload> {
    let signing = SigningKey::generate().unwrap();
    let envelope = signing.sign_record(payload).unwrap();
    Envelope::parse(&envelope).unwrap().verify_as(signing.public_key()).unwrap()
}

fn first(changes: Vec<GroupChange>) -> Signed<GroupHeadPayload> {
    signed(&GroupHeadPayload {
        deployment: DeploymentId::from_random([1; 16]),
        group: group(),
        counter: 1,
        previous: None,
        changes,
        generation: 1,
        key: key(),
        wrapped: Vec::new(),
        writer: id(9),
        writer_bundle: Digest::ZERO,
        at: Timestamp::from_millis(1),
    })
}

/// The next head, by this person.
fn next(chain: &Chain, writer: u8, changes: Vec<GroupChange>, renews: bool) -> GroupHeadPayload {
    let before = chain.newest();
    GroupHeadPayload {
        counter: before.counter + 1,
        previous: Some(before.record_hash()),
        changes,
        generation: before.generation + u32::from(renews),
        key: if renews { key() } else { None },
        wrapped: if renews { vec![0; 60] } else { Vec::new() },
        writer: id(writer),
        ..(**before).clone()
    }
}

fn follow(chain: &Chain, head: &GroupHeadPayload) -> Result<Chain> {
    let mut after = chain.clone();
    after.follow(signed(head)).map(|()| after)
}

#[test]
fn what_later_records_rest_on_is_read_off_the_heads() {
    let one = Chain::begin(group(), first(vec![add(9, GroupPermissions::ALL), add(1, MANAGER), add(2, GroupPermissions::NONE)])).unwrap();
    let permit = GroupChange { user: id(2), step: GroupStep::Permit(GroupPermissions::USER) };
    let two = follow(&one, &next(&one, 1, vec![permit], false)).unwrap();
    let three = follow(&two, &next(&two, 1, vec![remove(2)], true)).unwrap();
    let heads = [&one, &two, &three].map(|chain| chain.newest().record_hash());
    let may = |head: &Digest, n| three.permissions_on(head, id(n));
    assert_eq!(heads.map(|head| may(&head, 2)), [Some(GroupPermissions::NONE), Some(GroupPermissions::USER), None]);
    assert_eq!(heads.map(|head| may(&head, 1)), [Some(MANAGER); 3]);
    assert_eq!((may(&heads[0], 5), may(&Digest::ZERO, 1)), (None, None));
    assert_eq!(heads.map(|head| three.generation_on(&head).unwrap().number), [1, 1, 2]);
    assert_eq!(three.generation_on(&heads[2]).unwrap().head, heads[2]);
    assert!(two.generation_on(&heads[2]).is_none() && !two.contains(&heads[2]));
    assert_eq!(three.generation().unwrap().number, 2);
}

#[test]
fn a_head_that_its_writer_had_no_leave_for_is_a_lie() {
    let users = vec![add(9, GroupPermissions::ALL), add(1, MANAGER), add(2, GroupPermissions::USER)];
    let chain = Chain::begin(group(), first(users)).unwrap();
    let other = GroupId::from_random([8; 16]);
    let good = next(&chain, 1, vec![add(3, GroupPermissions::USER)], false);
    assert!(follow(&chain, &good).is_ok());
    let cases = [
        ("by somebody who is no member", next(&chain, 5, vec![add(5, GroupPermissions::NONE)], false)),
        ("by somebody who may not add", next(&chain, 2, vec![add(3, GroupPermissions::NONE)], false)),
        ("more than one's own", next(&chain, 1, vec![add(3, GroupPermissions::ALL)], false)),
        ("a removal without a new key", next(&chain, 1, vec![remove(2)], false)),
        ("by the removed, with a key of theirs", next(&chain, 2, vec![remove(2)], true)),
        ("the owner removed", next(&chain, 1, vec![remove(9)], true)),
        ("of another group", GroupHeadPayload { group: other, ..good.clone() }),
        ("a head left out", GroupHeadPayload { counter: 3, ..good.clone() }),
        ("another head before it", GroupHeadPayload { previous: Some(Digest::of(b"another")), ..good.clone() }),
        ("a generation without its key", GroupHeadPayload { generation: 2, ..good.clone() }),
    ];
    for (what, head) in cases {
        let error = follow(&chain, &head).unwrap_err();
        assert_eq!(error.kind(), Kind::Untrusted, "{what}: {error}");
    }
    assert_eq!(Chain::begin(other, first(vec![add(9, GroupPermissions::ALL)])).unwrap_err().kind(), Kind::Untrusted);
    assert_eq!(Chain::begin(group(), first(vec![add(1, GroupPermissions::ALL)])).unwrap_err().kind(), Kind::Untrusted);
    assert_eq!(Chain::begin(group(), signed(&good)).unwrap_err().kind(), Kind::Untrusted);
}
