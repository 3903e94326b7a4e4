//! The key file round trips, openssl reads its first block, and each fault has its own answer.

#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use std::io::Write;
use std::process::{Command, Stdio};

use ticrypt_types::{DeploymentId, Timestamp, UserId};

use super::*;
use crate::random::tests::Seeded;

fn identity(seed: &str) -> Identity {
    let random = Seeded::new(seed);
    let (deployment, user) = (DeploymentId::from_random([1; 16]), UserId::from_random([2; 16]));
    Identity::generate(&random, deployment, user, "r.tal".parse().unwrap()).unwrap()
}

fn file(seed: &str) -> String {
    write(&identity(seed), b"passphrase", DEFAULT_ROUNDS, &Seeded::new(seed)).unwrap()
}

#[test]
fn round_trip_with_retired_generations() {
    let zero = identity("zero");
    let bundle = zero.bundle(Timestamp::ABSENT).unwrap();
    let (one, _) = zero.rotate(&Seeded::new("r"), &bundle, false, Timestamp::ABSENT).unwrap();
    let text = write(&one, b"passphrase", DEFAULT_ROUNDS + 1, &Seeded::new("w")).unwrap();
    let unlocked = unlock(&text, b"passphrase").unwrap();
    assert_eq!(unlocked.rounds, DEFAULT_ROUNDS + 1);
    assert_eq!(unlocked.identity.header(), one.header());
    assert_eq!(unlocked.identity.signing().public_key(), one.signing().public_key());
    for generation in [0, 1] {
        let (read, written) = (unlocked.identity.seed(generation).unwrap(), one.seed(generation).unwrap());
        assert_eq!(read.public_key(), written.public_key());
    }
    // Whose it is can be read without the passphrase.
    assert_eq!(parse(&text).unwrap().header, *one.header());
}

#[test]
fn a_new_passphrase_replaces_the_old_one() {
    let old = file("a");
    let new = change_passphrase(&old, b"passphrase", b"other", DEFAULT_ROUNDS, &Seeded::new("new")).unwrap();
    assert!(matches!(unlock(&new, b"passphrase"), Err(KeyFileError::WrongPassphrase)));
    let (before, after) = (unlock(&old, b"passphrase").unwrap(), unlock(&new, b"other").unwrap());
    assert_eq!(before.identity.signing().public_key(), after.identity.signing().public_key());
}

#[test]
fn openssl_reads_the_first_block() {
    let identity = identity("openssl");
    let text = write(&identity, b"a pass phrase", DEFAULT_ROUNDS, &Seeded::new("o")).unwrap();
    let mut openssl = Command::new("openssl")
        .args(["pkey", "-passin", "pass:a pass phrase", "-pubout", "-outform", "DER"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    openssl.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let output = openssl.wait_with_output().unwrap();
    assert!(output.status.success());
    // A SubjectPublicKeyInfo ends with the point.
    assert!(output.stdout.ends_with(identity.signing().public_key().as_bytes()));
}

#[test]
fn each_fault_is_told_apart() {
    let (a, b) = (file("a"), file("b"));
    let swap = |text: &str| text.find("-----BEGIN TICRYPT").unwrap();
    let (a_key, b_seeds) = (&a[..swap(&a)], &b[swap(&b)..]);
    assert!(matches!(unlock("nothing", b"passphrase"), Err(KeyFileError::NotAKeyFile(_))));
    assert!(matches!(unlock(&a, b"wrong"), Err(KeyFileError::WrongPassphrase)));
    assert!(matches!(unlock(&format!("{a_key}{b_seeds}"), b"passphrase"), Err(KeyFileError::SecondBlock)));

    let edit = |change: &dyn Fn(&mut KeyFileText)| {
        let mut parts = parse(&a).unwrap();
        change(&mut parts);
        unlock(&parts.to_text(), b"passphrase").map(|_| ())
    };
    assert!(edit(&|_| {}).is_ok());
    // The header is bound: a name cannot be put on another's file.
    let renamed = edit(&|parts| {
        parts.header.name = "m.ery".parse().unwrap();
        parts.header_bytes = parts.header.to_bytes();
    });
    assert!(matches!(renamed, Err(KeyFileError::SecondBlock)));
    assert!(matches!(edit(&|parts| parts.sealed_seeds[20] ^= 1), Err(KeyFileError::SecondBlock)));
    assert!(matches!(edit(&|parts| parts.header_bytes = vec![0x82, 2, 0]), Err(KeyFileError::NewerVersion(2))));
    assert!(matches!(edit(&|parts| parts.encrypted_key.truncate(40)), Err(KeyFileError::Parameters(_))));
}

#[test]
fn few_and_far_too_many_rounds_are_refused() {
    let identity = identity("rounds");
    for rounds in [0, 1, DEFAULT_ROUNDS - 1, 10_000_001] {
        let written = write(&identity, b"p", rounds, &Seeded::new("r"));
        assert!(matches!(written, Err(KeyFileError::Parameters(_))), "{rounds}");
    }
}
