//! Seeds open for members and for the next generation's holders, and only the seed of a head's key is taken.

#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use proptest::prelude::*;
use ticrypt_crypto::group::{GroupError, GroupHeadPayload, WRAPPED_SEED_LEN};
use ticrypt_crypto::{Digest, Envelope, Signed};
use ticrypt_types::{GroupChange, GroupPermissions, GroupStep, ProjectId, Timestamp, UserId};

use super::*;
use crate::random::tests::{Broken, Seeded};

struct Person {
    identity: Identity,
    bundle: Bundle,
}

fn person(seed: u8) -> Person {
    let random = Seeded::new(&format!("person {seed}"));
    let user = UserId::from_random([seed; 16]);
    let identity = Identity::generate(&random, deployment(), user, format!("user-{seed}").parse().unwrap()).unwrap();
    let bundle = identity.bundle(Timestamp::from_millis(1)).unwrap();
    Person { identity, bundle }
}

fn deployment() -> DeploymentId {
    DeploymentId::from_random([1; 16])
}

fn group() -> GroupId {
    GroupId::from_random([2; 16])
}

fn tagged() -> Compartment {
    Compartment::of([ProjectId::from_random([5; 16])]).unwrap()
}

fn seed(generation: u32) -> GroupSeed {
    GroupSeed::generate(&Seeded::new(&format!("generation {generation}"))).unwrap()
}

fn place(generation: u32) -> GenerationPlace {
    GenerationPlace { deployment: deployment(), group: group(), compartment: Compartment::UNLOCKED, generation }
}

fn terms(member: &Person) -> GroupSealTerms {
    GroupSealTerms {
        deployment: deployment(),
        group: group(),
        compartment: Compartment::UNLOCKED,
        generation: 2,
        member: member.identity.user(),
        bundle: member.bundle.hash(),
        bundle_generation: member.identity.generation(),
    }
}

fn sealed(member: &Person) -> Vec<u8> {
    seal(&Seeded::new("seal"), &member.bundle, &terms(member), &seed(2)).unwrap()
}

#[test]
fn the_newest_seed_leads_to_all_before_it() {
    let (member, random) = (person(10), Seeded::new("wrap"));
    let wrapped: Vec<_> = (2..=3).map(|new| seed(new).wrap_previous(&random, &place(new), &seed(new - 1)).unwrap()).collect();
    assert!(wrapped.iter().all(|wrap| wrap.len() == WRAPPED_SEED_LEN));
    let newest = GroupSealTerms { generation: 3, ..terms(&member) };
    let sealed = seal(&random, &member.bundle, &newest, &seed(3)).unwrap();
    assert_eq!(sealed.len(), SEALED_SEED_LEN);
    let third = open(&member.identity, &newest, &sealed, seed(3).public_key()).unwrap();
    let second = third.open_previous(&place(3), &wrapped[1], seed(2).public_key()).unwrap();
    let first = second.duplicate().unwrap().open_previous(&place(2), &wrapped[0], seed(1).public_key()).unwrap();
    assert_eq!(first.public_key(), seed(1).public_key());
    assert_eq!(format!("{first:?}"), "GroupSeed(KemSeed(..))");
}

#[test]
fn a_wrapped_seed_opens_in_its_place_alone() {
    let random = Seeded::new("wrap");
    let wrapped = seed(3).wrap_previous(&random, &place(3), &seed(2)).unwrap();
    let elsewhere = [
        GenerationPlace { deployment: DeploymentId::from_random([9; 16]), ..place(3) },
        GenerationPlace { group: GroupId::from_random([9; 16]), ..place(3) },
        GenerationPlace { compartment: tagged(), ..place(3) },
        place(2),
        place(4),
    ];
    for place in elsewhere {
        assert!(matches!(seed(3).open_previous(&place, &wrapped, seed(2).public_key()), Err(OpenError::NotAuthentic)));
    }
    assert!(matches!(seed(2).open_previous(&place(3), &wrapped, seed(2).public_key()), Err(OpenError::NotAuthentic)));
    assert!(matches!(seed(3).open_previous(&place(3), &wrapped[1..], seed(2).public_key()), Err(OpenError::Length)));
    // Well wrapped, by a member who lies about what was before.
    assert!(matches!(seed(3).open_previous(&place(3), &wrapped, seed(1).public_key()), Err(OpenError::Mismatch(_))));
    assert!(matches!(seed(1).wrap_previous(&random, &place(1), &seed(1)), Err(SealError::Mismatch(_))));
    assert!(matches!(seed(3).wrap_previous(&Broken, &place(3), &seed(2)), Err(SealError::Random(_))));
    assert!(matches!(GroupSeed::generate(&Broken), Err(SealError::Random(_))));
}

#[test]
fn a_seal_opens_for_its_member_under_its_terms() {
    let (member, other) = (person(10), person(11));
    let (terms, sealed, key) = (terms(&member), sealed(&member), seed(2));
    assert_eq!(open(&member.identity, &terms, &sealed, key.public_key()).unwrap().public_key(), key.public_key());
    assert!(matches!(open(&other.identity, &terms, &sealed, key.public_key()), Err(OpenError::Mismatch(_))));
    let taken = GroupSealTerms { member: other.identity.user(), ..terms.clone() };
    assert!(matches!(open(&other.identity, &taken, &sealed, key.public_key()), Err(OpenError::NotAuthentic)));
    let changed = [
        GroupSealTerms { group: GroupId::from_random([9; 16]), ..terms.clone() },
        GroupSealTerms { generation: 3, ..terms.clone() },
        GroupSealTerms { compartment: tagged(), ..terms.clone() },
        GroupSealTerms { bundle: Digest::ZERO, ..terms.clone() },
    ];
    for terms in changed {
        assert!(matches!(open(&member.identity, &terms, &sealed, key.public_key()), Err(OpenError::NotAuthentic)));
    }
    let elsewhere = GroupSealTerms { deployment: DeploymentId::from_random([9; 16]), ..terms.clone() };
    assert!(matches!(open(&member.identity, &elsewhere, &sealed, key.public_key()), Err(OpenError::Mismatch(_))));
    for wrong in [&sealed[1..], &[&sealed[..], &[0]].concat(), &[]] {
        assert!(matches!(open(&member.identity, &terms, wrong, key.public_key()), Err(OpenError::Length)));
    }
    // The server seals a seed of its own; nothing but the head's key tells.
    let forged = seal(&Seeded::new("server"), &member.bundle, &terms, &seed(7)).unwrap();
    assert!(matches!(open(&member.identity, &terms, &forged, key.public_key()), Err(OpenError::Mismatch(_))));
}

#[test]
fn a_retired_generation_of_the_member_opens_what_was_sealed_to_it() {
    let member = person(10);
    let (terms, sealed) = (terms(&member), sealed(&member));
    let (rotated, bundle) = member.identity.rotate(&Seeded::new("r"), &member.bundle, false, Timestamp::ABSENT).unwrap();
    assert!(open(&rotated, &terms, &sealed, seed(2).public_key()).is_ok());
    let (lost, _) = Identity::reset(&Seeded::new("l"), &bundle, Timestamp::ABSENT).unwrap();
    assert!(matches!(open(&lost, &terms, &sealed, seed(2).public_key()), Err(OpenError::Mismatch(_))));
}

#[test]
fn nothing_is_sealed_that_could_not_be_opened() {
    let (member, other) = (person(10), person(11));
    let terms = terms(&member);
    let refused =
        |recipient: &Person, terms: &GroupSealTerms| seal(&Seeded::new("refuse"), &recipient.bundle, terms, &seed(2)).unwrap_err();
    assert!(matches!(refused(&other, &terms), SealError::Mismatch(_)));
    let others = [
        GroupSealTerms { deployment: DeploymentId::from_random([9; 16]), ..terms.clone() },
        GroupSealTerms { member: other.identity.user(), ..terms.clone() },
        GroupSealTerms { bundle: other.bundle.hash(), ..terms.clone() },
        GroupSealTerms { bundle_generation: 1, ..terms.clone() },
    ];
    assert!(others.iter().all(|terms| matches!(refused(&member, terms), SealError::Mismatch(_))));
    assert!(matches!(refused(&member, &GroupSealTerms { generation: 0, ..terms.clone() }), SealError::Rule(_)));
    assert!(matches!(seal(&Broken, &member.bundle, &terms, &seed(2)), Err(SealError::Random(_))));
}

fn head(changes: Vec<GroupChange>) -> GroupHeadPayload {
    GroupHeadPayload {
        deployment: deployment(),
        group: group(),
        counter: 1,
        previous: None,
        changes,
        generation: 1,
        key: Some(seed(1).public_key().clone()),
        wrapped: vec![],
        writer: UserId::from_random([10; 16]),
        writer_bundle: person(10).bundle.hash(),
        at: Timestamp::from_millis(1),
    }
}

fn signed(head: &GroupHeadPayload) -> Signed<GroupHeadPayload> {
    let signer = person(10).identity;
    let envelope = signer.signing().sign_record(head).unwrap();
    Envelope::parse(&envelope).unwrap().verify_as(signer.signing().public_key()).unwrap()
}

#[test]
fn a_head_follows_the_one_before() {
    let add =
        |n: u8, permissions| GroupChange { user: UserId::from_random([n; 16]), step: GroupStep::Add { bundle: [7; 32], permissions } };
    let first = signed(&head(vec![add(10, GroupPermissions::ALL)]));
    let adding = GroupHeadPayload {
        counter: 2,
        previous: Some(first.record_hash()),
        changes: vec![add(11, GroupPermissions::USER)],
        key: None,
        ..first.record().clone()
    };
    let wrapped = seed(2).wrap_previous(&Seeded::new("wrap"), &place(2), &seed(1)).unwrap();
    let renewing = GroupHeadPayload { generation: 2, key: Some(seed(2).public_key().clone()), wrapped, changes: vec![], ..adding.clone() };
    assert_eq!(signed(&adding).verify_successor(&first), Ok(()));
    assert_eq!(signed(&renewing).verify_successor(&first), Ok(()));
    let third = GroupHeadPayload { counter: 3, previous: Some(signed(&adding).record_hash()), ..renewing.clone() };
    assert_eq!(signed(&third).verify_successor(&signed(&adding)), Ok(()));
    for (head, expected) in [
        (GroupHeadPayload { deployment: DeploymentId::from_random([9; 16]), ..adding.clone() }, GroupError::OtherGroup),
        (GroupHeadPayload { group: GroupId::from_random([9; 16]), ..adding.clone() }, GroupError::OtherGroup),
        (third, GroupError::Counter),
        (first.record().clone(), GroupError::Counter),
        (GroupHeadPayload { previous: Some(Digest::ZERO), ..adding.clone() }, GroupError::Previous),
        (GroupHeadPayload { generation: 2, ..adding }, GroupError::Generation),
        (GroupHeadPayload { generation: 3, ..renewing }, GroupError::Generation),
    ] {
        assert_eq!(signed(&head).verify_successor(&first), Err(expected));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn any_changed_bit_of_a_seal_or_a_wrap_is_refused(at in any::<prop::sample::Index>(), bit in 0u8..8) {
        let member = person(10);
        let mut seal = sealed(&member);
        let place_of_seal = at.index(seal.len());
        seal[place_of_seal] ^= 1 << bit;
        prop_assert!(open(&member.identity, &terms(&member), &seal, seed(2).public_key()).is_err());
        let mut wrapped = seed(3).wrap_previous(&Seeded::new("bits"), &place(3), &seed(2)).unwrap();
        let place_of_wrap = at.index(wrapped.len());
        wrapped[place_of_wrap] ^= 1 << bit;
        prop_assert!(seed(3).open_previous(&place(3), &wrapped, seed(2).public_key()).is_err());
    }
}
