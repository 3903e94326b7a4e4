//! Sealed keys open for their recipient under their own terms, and under no others.

#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use proptest::prelude::*;
use ticrypt_crypto::grant::GrantError;
use ticrypt_crypto::{Digest, Envelope, Suite};
use ticrypt_types::{DeploymentId, GrantId, GroupId, NodeId, NodeKind, Timestamp, UserId, Verbs};

use super::*;
use crate::random::tests::{Broken, Seeded};

struct Person {
    identity: Identity,
    bundle: Bundle,
}

fn person(seed: u8) -> Person {
    let random = Seeded::new(&format!("person {seed}"));
    let (deployment, user) = (DeploymentId::from_random([1; 16]), UserId::from_random([seed; 16]));
    let identity = Identity::generate(&random, deployment, user, format!("user-{seed}").parse().unwrap()).unwrap();
    let bundle = identity.bundle(Timestamp::from_millis(1)).unwrap();
    Person { identity, bundle }
}

fn keys() -> NodeKeys {
    NodeKeys::generate(&Seeded::new("node keys")).unwrap()
}

fn terms(owner: &Person, recipient: &Person, verbs: Verbs) -> GrantPayload {
    GrantPayload {
        deployment: owner.identity.deployment(),
        suite: Suite::CURRENT,
        grant: GrantId::from_random([3; 16]),
        node: NodeId::from_random([4; 16]),
        kind: NodeKind::Directory,
        epoch: 1,
        list_commitment: keys().list.commitment(),
        tree_commitment: keys().tree.unwrap().commitment(),
        owner: owner.identity.user(),
        sealer: owner.identity.user(),
        sealer_bundle: owner.bundle.hash(),
        recipient_kind: RecipientKind::Person,
        recipient: recipient.identity.user(),
        recipient_bundle: recipient.bundle.hash(),
        recipient_generation: recipient.identity.generation(),
        verbs,
        expires: Timestamp::from_millis(1_000),
        predecessor: None,
        authority: None,
        key_log_size: 0,
        key_log_root: None,
        issued: Timestamp::from_millis(10),
    }
}

fn signed(signer: &Person, payload: &GrantPayload) -> Signed<GrantPayload> {
    let envelope = signer.identity.signing().sign_record(payload).unwrap();
    Envelope::parse(&envelope).unwrap().verify_as(signer.identity.signing().public_key()).unwrap()
}

#[test]
fn opens_with_and_without_view() {
    let (owner, friend) = (person(10), person(11));
    for (verbs, tree) in [(Verbs::NONE, false), (Verbs::VIEW, true), (Verbs::ALL, true)] {
        let payload = terms(&owner, &friend, verbs);
        let grant = issue(&Seeded::new("seal"), owner.identity.signing(), &friend.bundle, &payload, &keys()).unwrap();
        assert_eq!(grant.sealed.len(), SEALED_LENS[usize::from(tree)]);
        let envelope = Envelope::parse(&grant.envelope).unwrap();
        let verified = envelope.verify_as(owner.identity.signing().public_key()).unwrap();
        let opened = open(&friend.identity, &verified, &grant.sealed).unwrap();
        assert_eq!(opened.list.expose(), keys().list.expose());
        assert_eq!(opened.tree.is_some(), tree);
        assert!(open(&owner.identity, &verified, &grant.sealed).is_err());
    }
}

#[test]
fn a_retired_generation_opens_what_was_sealed_to_it() {
    let (owner, friend) = (person(10), person(11));
    let payload = terms(&owner, &friend, Verbs::VIEW);
    let sealed = seal(&Seeded::new("seal"), &friend.bundle, &payload, &keys()).unwrap();
    let (rotated, bundle) = friend.identity.rotate(&Seeded::new("r"), &friend.bundle, false, Timestamp::ABSENT).unwrap();
    assert!(open(&rotated, &signed(&owner, &payload), &sealed).is_ok());
    // The generation named decides the seed; no other is tried.
    let lying = GrantPayload { recipient_generation: 1, recipient_bundle: bundle.hash(), ..payload.clone() };
    assert!(matches!(open(&rotated, &signed(&owner, &lying), &sealed), Err(OpenError::NotAuthentic)));
    let (lost, _) = Identity::reset(&Seeded::new("l"), &bundle, Timestamp::ABSENT).unwrap();
    assert!(matches!(open(&lost, &signed(&owner, &payload), &sealed), Err(OpenError::Mismatch(_))));
}

#[test]
fn other_terms_do_not_open() {
    let (owner, friend) = (person(10), person(11));
    let payload = terms(&owner, &friend, Verbs::VIEW);
    let sealed = seal(&Seeded::new("seal"), &friend.bundle, &payload, &keys()).unwrap();
    let changes: [fn(&mut GrantPayload); 6] = [
        |p| p.verbs = Verbs::ALL,
        |p| p.expires = Timestamp::ABSENT,
        |p| p.node = NodeId::from_random([9; 16]),
        |p| p.epoch = 2,
        |p| p.grant = GrantId::from_random([9; 16]),
        |p| p.list_commitment = Digest::ZERO,
    ];
    for change in changes {
        let mut other = payload.clone();
        change(&mut other);
        assert!(matches!(open(&friend.identity, &signed(&owner, &other), &sealed), Err(OpenError::NotAuthentic)));
    }
}

#[test]
fn nothing_is_sealed_that_could_not_be_opened() {
    let (owner, friend) = (person(10), person(11));
    let random = Seeded::new("refuse");
    let payload = terms(&owner, &friend, Verbs::VIEW);
    assert!(matches!(seal(&random, &owner.bundle, &payload, &keys()), Err(SealError::Mismatch(_))));
    let other_keys = NodeKeys::generate(&random).unwrap();
    assert!(matches!(seal(&random, &friend.bundle, &payload, &other_keys), Err(SealError::Mismatch(_))));
    let viewless = NodeKeys { tree: None, ..keys() };
    assert!(matches!(seal(&random, &friend.bundle, &payload, &viewless), Err(SealError::Mismatch(_))));
    assert!(matches!(seal(&Broken, &friend.bundle, &payload, &keys()), Err(SealError::Random(_))));
}

#[test]
fn terms_stay_within_their_authority() {
    let (owner, friend, third) = (person(10), person(11), person(12));
    let share = Verbs::VIEW.and(Verbs::SHARE);
    let authority = signed(&owner, &terms(&owner, &friend, share));
    let sub = |change: &dyn Fn(&mut GrantPayload)| {
        let mut payload = terms(&owner, &third, Verbs::VIEW);
        payload.sealer = friend.identity.user();
        payload.sealer_bundle = friend.bundle.hash();
        payload.authority = Some(authority.record_hash());
        change(&mut payload);
        payload.verify_terms_within(&authority)
    };
    assert_eq!(sub(&|_| {}), Ok(()));
    assert_eq!(sub(&|p| p.verbs = share), Ok(()));
    assert_eq!(sub(&|p| p.verbs = Verbs::ALL), Err(GrantError::MoreVerbs));
    assert_eq!(sub(&|p| p.expires = Timestamp::from_millis(1_001)), Err(GrantError::LongerExpiry));
    assert_eq!(sub(&|p| p.expires = Timestamp::ABSENT), Err(GrantError::LongerExpiry));
    assert_eq!(sub(&|p| p.authority = Some(Digest::ZERO)), Err(GrantError::OtherAuthority));
    assert_eq!(sub(&|p| p.sealer = third.identity.user()), Err(GrantError::NotHolder));
    assert_eq!(sub(&|p| p.owner = third.identity.user()), Err(GrantError::OtherTree));
    let plain = signed(&owner, &terms(&owner, &friend, Verbs::VIEW));
    let mut payload = terms(&owner, &third, Verbs::VIEW);
    payload.sealer = friend.identity.user();
    payload.authority = Some(plain.record_hash());
    assert_eq!(payload.verify_terms_within(&plain), Err(GrantError::MayNotShare));
}

#[test]
fn new_keys_change_no_terms() {
    let (owner, friend, third) = (person(10), person(11), person(12));
    let old = signed(&owner, &terms(&owner, &third, Verbs::VIEW));
    let editor = signed(&owner, &terms(&owner, &friend, Verbs::VIEW.and(Verbs::EDIT)));
    let reader = signed(&owner, &terms(&owner, &friend, Verbs::VIEW));
    let reseal = |authority: &Signed<GrantPayload>, change: &dyn Fn(&mut GrantPayload)| {
        let mut payload = terms(&owner, &third, Verbs::VIEW);
        payload.sealer = friend.identity.user();
        payload.predecessor = Some(old.record_hash());
        payload.authority = Some(authority.record_hash());
        payload.epoch = 2;
        change(&mut payload);
        payload.verify_reseal_by(&old, Some(authority))
    };
    assert_eq!(reseal(&editor, &|_| {}), Ok(()));
    assert_eq!(reseal(&reader, &|_| {}), Err(GrantError::MayNotEdit));
    let refused: [&dyn Fn(&mut GrantPayload); 6] = [
        &|p| p.verbs = Verbs::NONE,
        &|p| p.expires = Timestamp::ABSENT,
        &|p| p.recipient = friend.identity.user(),
        &|p| p.predecessor = None,
        &|p| p.node = NodeId::from_random([9; 16]),
        &|p| p.epoch = 0,
    ];
    for change in refused {
        assert!(matches!(reseal(&editor, change), Err(GrantError::NotReplacement(_))));
    }
    // The owner needs no authority for it, and anybody else does.
    let mut by_owner = terms(&owner, &third, Verbs::VIEW);
    by_owner.predecessor = Some(old.record_hash());
    assert!(by_owner.is_reseal_of(&old));
    assert_eq!(by_owner.verify_reseal_by(&old, None), Ok(()));
    by_owner.authority = Some(Digest::ZERO);
    assert_eq!(by_owner.verify_reseal_by(&old, None), Err(GrantError::AuthorityNeeded));
}

/// A member's grant of the group's directory to its generation 3.
fn group_terms(member: &Person) -> GrantPayload {
    let group = GroupId::from_random([5; 16]).as_owner();
    GrantPayload {
        owner: group,
        recipient_kind: RecipientKind::Group,
        recipient: group,
        recipient_bundle: Digest::of(b"head"),
        recipient_generation: 3,
        verbs: GrantPayload::GROUP_VERBS,
        expires: Timestamp::ABSENT,
        authority: Some(Digest::of(b"newest head")),
        ..terms(member, member, Verbs::VIEW)
    }
}

#[test]
fn a_groups_directory_opens_with_the_seed_of_its_generation() {
    let (member, random) = (person(10), Seeded::new("group"));
    let (seed, other) = (GroupSeed::generate(&random).unwrap(), GroupSeed::generate(&random).unwrap());
    let payload = group_terms(&member);
    let sealed = seal_to_group(&random, seed.public_key(), &payload, &keys()).unwrap();
    let grant = signed(&member, &payload);
    let opened = open_with(&seed, &grant, &sealed).unwrap();
    assert_eq!(opened.list.expose(), keys().list.expose());
    assert_eq!(opened.tree.unwrap().expose(), keys().tree.unwrap().expose());
    assert!(matches!(open_with(&other, &grant, &sealed), Err(OpenError::NotAuthentic)));
    let later = GrantPayload { recipient_generation: 4, ..payload.clone() };
    assert!(matches!(open_with(&seed, &signed(&member, &later), &sealed), Err(OpenError::NotAuthentic)));
    // Neither is taken for the other.
    assert!(matches!(open(&member.identity, &grant, &sealed), Err(OpenError::Mismatch(_))));
    let personal = terms(&member, &member, Verbs::VIEW);
    assert!(matches!(open_with(&seed, &signed(&member, &personal), &sealed), Err(OpenError::Mismatch(_))));
    assert!(matches!(seal_to_group(&random, seed.public_key(), &personal, &keys()), Err(SealError::Mismatch(_))));
    assert!(matches!(seal(&random, &member.bundle, &payload, &keys()), Err(SealError::Mismatch(_))));
    let other_keys = NodeKeys::generate(&random).unwrap();
    assert!(matches!(seal_to_group(&random, seed.public_key(), &payload, &other_keys), Err(SealError::Mismatch(_))));
    assert!(matches!(seal_to_group(&Broken, seed.public_key(), &payload, &keys()), Err(SealError::Random(_))));
}

#[test]
fn what_a_grant_of_a_groups_directory_says() {
    let (member, friend) = (person(10), person(11));
    let group = GroupId::from_random([5; 16]);
    let verified = |payload: &GrantPayload| payload.verify_of_group(group, 3, &Digest::of(b"head"));
    let good = group_terms(&member);
    assert_eq!(verified(&good), Ok(()));
    assert_eq!(good.check().ok(), Some(()));
    let refused: [fn(&mut GrantPayload); 11] = [
        |p| p.recipient_kind = RecipientKind::Person,
        |p| p.owner = UserId::from_random([9; 16]),
        |p| p.recipient = UserId::from_random([9; 16]),
        |p| p.recipient_generation = 2,
        |p| p.recipient_generation = 4,
        |p| p.recipient_bundle = Digest::of(b"another head"),
        |p| p.verbs = Verbs::ALL,
        |p| p.verbs = Verbs::VIEW,
        |p| p.verbs = Verbs::NONE,
        |p| p.expires = Timestamp::from_millis(1),
        |p| p.authority = None,
    ];
    for change in refused {
        let mut payload = good.clone();
        change(&mut payload);
        assert!(matches!(verified(&payload), Err(GrantError::NotOfGroup(_))), "{payload:?}");
    }
    // It is nobody's authority, for whatever verbs it was made.
    let authority = signed(&member, &GrantPayload { verbs: Verbs::ALL, ..good });
    let on = GrantPayload { owner: group.as_owner(), authority: Some(authority.record_hash()), ..terms(&member, &friend, Verbs::VIEW) };
    assert_eq!(on.verify_terms_within(&authority), Err(GrantError::NotHolder));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn any_changed_bit_of_the_sealed_keys_is_refused(at in any::<prop::sample::Index>(), bit in 0u8..8) {
        let (owner, friend) = (person(10), person(11));
        let payload = terms(&owner, &friend, Verbs::VIEW);
        let mut sealed = seal(&Seeded::new("bits"), &friend.bundle, &payload, &keys()).unwrap();
        let at = at.index(sealed.len());
        sealed[at] ^= 1 << bit;
        prop_assert!(open(&friend.identity, &signed(&owner, &payload), &sealed).is_err());
    }
}
