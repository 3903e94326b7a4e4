//! Bundles follow one another only with the signatures their reason asks for.

#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use super::*;
use crate::random::tests::{Broken, Seeded};

fn person(seed: &str) -> (Identity, Bundle) {
    let random = Seeded::new(seed);
    let (deployment, user) = (DeploymentId::from_random([1; 16]), UserId::from_random([2; 16]));
    let identity = Identity::generate(&random, deployment, user, "r.tal".parse().unwrap()).unwrap();
    let bundle = identity.bundle(Timestamp::from_millis(1)).unwrap();
    (identity, bundle)
}

#[test]
fn a_chain_of_rotations_and_a_reset() {
    let random = Seeded::new("chain");
    let (zero, first) = person("zero");
    assert!(zero.is_of(&first));
    let (one, second) = zero.rotate(&random, &first, false, Timestamp::from_millis(2)).unwrap();
    let (two, third) = one.rotate(&random, &second, true, Timestamp::from_millis(3)).unwrap();
    assert_eq!(two.seeds().iter().map(|(generation, _)| *generation).collect::<Vec<_>>(), [2, 1, 0]);
    assert_eq!(two.seed(0).unwrap().public_key(), &first.payload().kem_key);
    assert!(two.seed(3).is_none());
    let (three, fourth) = Identity::reset(&random, &third, Timestamp::from_millis(4)).unwrap();
    assert_eq!(three.seeds().len(), 1);
    let chain = [&first, &second, &third, &fourth];
    for (i, new) in chain.iter().enumerate() {
        for (j, old) in chain.iter().enumerate() {
            assert_eq!(new.verify_successor(old).is_ok(), i == j + 1, "{i} after {j}");
        }
    }
    assert_eq!(Bundle::parse_and_verify(third.as_bytes()).unwrap(), third);
    assert!(matches!(zero.rotate(&random, &second, false, Timestamp::ABSENT), Err(IdentityError::OtherBundle)));
}

#[test]
fn a_rotation_signed_by_another_key_is_refused() {
    let random = Seeded::new("thief");
    let (zero, first) = person("zero");
    let (thief, _) = person("thief");
    let next = Identity::next(&random, &first).unwrap();
    let error = next.make_bundle(Reason::Rotation, Some(&first), Some(thief.signing()), Timestamp::ABSENT).unwrap_err();
    assert!(matches!(error, IdentityError::Bundle(BundleError::NotSignedByPredecessor(_))), "{error:?}");
    // Nor does a reset carry an old signature, or a rotation none.
    for (reason, key) in [(Reason::Reset, Some(zero.signing())), (Reason::Rotation, None)] {
        let error = next.make_bundle(reason, Some(&first), key, Timestamp::ABSENT).unwrap_err();
        assert!(matches!(error, IdentityError::Bundle(BundleError::RotationEnvelope)), "{error:?}");
    }
}

#[test]
fn seeds_decide_the_public_key_and_randomness_may_fail() {
    let (one, two) = (KemSeed::from_bytes(&[1; 32]).unwrap(), KemSeed::from_bytes(&[1; 32]).unwrap());
    assert_eq!(one.public_key(), two.public_key());
    assert_ne!(one.public_key(), KemSeed::from_bytes(&[2; 32]).unwrap().public_key());
    assert!(matches!(KemSeed::generate(&Broken), Err(IdentityError::Random(_))));
    assert_eq!(format!("{one:?}"), "KemSeed(..)");
}

#[test]
fn an_identity_holds_one_seed_a_generation_newest_first() {
    let (zero, _) = person("zero");
    let seed = || KemSeed::from_bytes(&[1; 32]).unwrap();
    for seeds in [vec![], vec![(1, seed())], vec![(0, seed()), (1, seed())], vec![(0, seed()), (0, seed())]] {
        let made = Identity::from_parts(zero.header().clone(), zero.signing().duplicate(), seeds);
        assert!(matches!(made, Err(IdentityError::Seeds)));
    }
}
