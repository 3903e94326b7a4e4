//! A signature is good for one key, one namespace, one record and one place in its batch.

#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use proptest::prelude::*;
use ticrypt_crypto::signature::{SignatureError, VerifyCache};

use super::*;

fn key(name: &str) -> SigningKey {
    SigningKey::from_scalar(&ticrypt_crypto::Digest::of(name.as_bytes()).to_bytes()).unwrap()
}

#[test]
fn each_namespace_is_its_own() {
    let key = key("a");
    for signed in Namespace::ALL {
        let envelope = key.sign(signed, b"payload").unwrap();
        let envelope = Envelope::parse(&envelope).unwrap();
        for verified in Namespace::ALL {
            let result = envelope.verify(verified, key.public_key());
            assert_eq!(result.is_ok(), signed == verified, "{signed:?} as {verified:?}");
        }
    }
}

#[test]
fn generated_keys_differ_and_survive_their_encoding() {
    let (one, two) = (SigningKey::generate().unwrap(), SigningKey::generate().unwrap());
    assert_ne!(one.public_key(), two.public_key());
    let again = SigningKey::from_pkcs8(one.to_pkcs8().unwrap().expose()).unwrap();
    assert_eq!(again.public_key(), one.public_key());
    let again = SigningKey::from_scalar(one.scalar().unwrap().expose()).unwrap();
    assert_eq!(again.public_key(), one.public_key());
}

#[test]
fn batches_have_bounds() {
    let none: [&[u8]; 0] = [];
    assert!(matches!(key("a").sign_batch(Namespace::Manifest, &none), Err(SignError::Batch(0))));
    assert!(matches!(key("a").sign(Namespace::Grant, &vec![0; PAYLOAD_MAX_BYTES + 1]), Err(SignError::TooLong(_))));
    assert!(key("a").sign(Namespace::Grant, &vec![0; PAYLOAD_MAX_BYTES]).is_ok());
}

#[test]
fn a_batch_costs_one_verification_and_a_broken_copy_is_still_refused() {
    let (key, other) = (key("a"), key("b"));
    let payloads: Vec<_> = (0..500_u32).map(u32::to_be_bytes).collect();
    let envelopes = key.sign_batch(Namespace::Manifest, &payloads).unwrap();
    let mut cache = VerifyCache::new(4);
    for (envelope, payload) in envelopes.iter().zip(&payloads) {
        let envelope = Envelope::parse(envelope).unwrap();
        let verified = envelope.verify_cached(Namespace::Manifest, key.public_key(), &mut cache).unwrap();
        assert_eq!(verified.payload(), payload);
        assert_eq!(cache.len(), 1);
        // What the cache remembers is of one key and one namespace.
        assert!(envelope.verify_cached(Namespace::Grant, key.public_key(), &mut cache).is_err());
        assert!(envelope.verify_cached(Namespace::Manifest, other.public_key(), &mut cache).is_err());
    }
    let mut broken = envelopes[3].clone();
    *broken.last_mut().unwrap() ^= 1;
    let broken = Envelope::parse(&broken).unwrap();
    assert!(broken.verify_cached(Namespace::Manifest, key.public_key(), &mut cache).is_err());
    // Refusals are not remembered as anything.
    assert_eq!(cache.len(), 1);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn any_changed_bit_is_refused(count in 1usize..20, which in any::<prop::sample::Index>(), at in any::<prop::sample::Index>(), bit in 0u8..8) {
        let key = key("a");
        let payloads: Vec<_> = (0..count).map(|i| vec![i as u8; i]).collect();
        let envelopes = key.sign_batch(Namespace::Directory, &payloads).unwrap();
        let good = &envelopes[which.index(count)];
        prop_assert!(Envelope::parse(good).unwrap().verify(Namespace::Directory, key.public_key()).is_ok());
        let mut bad = good.clone();
        let at = at.index(bad.len());
        bad[at] ^= 1 << bit;
        let accepted = Envelope::parse(&bad)
            .and_then(|envelope| envelope.verify(Namespace::Directory, key.public_key()).map(|_| ()));
        prop_assert!(accepted.is_err());
    }

    #[test]
    fn records_of_two_batches_do_not_mix(count in 2u32..12, take in any::<prop::sample::Index>()) {
        let key = key("a");
        let first: Vec<_> = (0..count).map(|i| [1, i as u8]).collect();
        let second: Vec<_> = (0..count).map(|i| [2, i as u8]).collect();
        let index = take.index(count as usize);
        let tree = batch::Tree::new(first.iter().map(|payload| batch::leaf(payload)).collect());
        let signature = key.sign_message(&message(Namespace::Grant, count, &tree.root())).unwrap();
        // A record of the second batch in the place of one of the first.
        let path = tree.path(index).unwrap();
        let splice = Envelope::assemble(&second[index], index as u32, count, path, signature);
        let result = Envelope::parse(&splice).and_then(|e| e.verify(Namespace::Grant, key.public_key()).map(|_| ()));
        prop_assert!(matches!(result, Err(SignatureError::NotSigned { .. })), "{:?}", result);
    }
}
