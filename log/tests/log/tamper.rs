//! Whatever is changed in a log's files, the verifier notices.

use std::fs;
use std::path::{Path, PathBuf};

use ticrypt_log::export::export;
use ticrypt_log::tile::{TileLevel, TilePath, decode_entries, push_entry};
use ticrypt_log::verify::{Trust, VerifyError};
use ticrypt_log::{Checkpoint, Log, Report, VerifierKey, verify_dir};

use super::support::{fill, log_signer, open, options, options_with, witness_signer};

const WITNESS: &str = "witness.example/w1";

fn verify(directory: &Path, seen: &[Checkpoint]) -> Result<Report, VerifyError> {
    let log = log_signer();
    let witnesses = [witness_signer(WITNESS, 9).verifier().clone()];
    verify_dir(directory, &Trust { log_key: log.verifier(), witnesses: &witnesses, quorum: 1, seen })
}

fn cosign(log: &Log) {
    let text = log.latest_checkpoint().unwrap().note().text().to_owned();
    let line = witness_signer(WITNESS, 9).sign(&text, 1_700_000_000).unwrap();
    log.add_cosignature(&line.to_string()).unwrap();
}

fn witnesses() -> VerifierKey {
    witness_signer(WITNESS, 9).verifier().clone()
}

/// A witnessed log of `size` entries, written out.
async fn exported(scratch: &Path, name: &str, size: u64) -> (PathBuf, Checkpoint) {
    let log = open(&scratch.join(format!("log-{name}")), options_with(&[&witnesses()]));
    fill(&log, 0..size).await;
    log.flush().await.unwrap();
    cosign(&log);
    let directory = scratch.join(name);
    export(&log, &log.witnessed_checkpoint().unwrap(), &directory).unwrap();
    log.shutdown().await.unwrap();
    (directory, log.latest_checkpoint().unwrap().checkpoint().clone())
}

fn files(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { found.extend(files(&path)) } else { found.push(path) }
    }
    found
}

#[tokio::test]
async fn every_flipped_byte_is_noticed() {
    let scratch = tempfile::tempdir().unwrap();
    let (directory, head) = exported(scratch.path(), "a", 261).await;
    let report = verify(&directory, &[]).unwrap();
    assert_eq!(report.checkpoint, head);
    assert_eq!((report.witnessed_size, report.cosignatures), (261, 1));
    let files = files(&directory);
    // checkpoint; tile/0/000, 001.p/5; tile/1/000.p/1; tile/entries/000, 001.p/5
    assert_eq!(files.len(), 6);
    for file in files {
        let good = fs::read(&file).unwrap();
        for position in 0..good.len() {
            let mut bad = good.clone();
            bad[position] ^= 1 << (position % 8);
            fs::write(&file, &bad).unwrap();
            assert!(verify(&directory, &[]).is_err(), "{} at {position}", file.display());
        }
        for bad in [&good[..good.len() - 1], &[&good[..], b"\n"].concat(), &[]] {
            fs::write(&file, bad).unwrap();
            assert!(verify(&directory, &[]).is_err(), "{} of {} bytes", file.display(), bad.len());
        }
        fs::remove_file(&file).unwrap();
        assert!(verify(&directory, &[]).is_err(), "{} removed", file.display());
        fs::write(&file, good).unwrap();
    }
    verify(&directory, &[]).unwrap();
}

/// Changes made with care, so that every file alone is well formed.
#[tokio::test]
async fn dropped_and_reordered_entries_are_noticed() {
    let scratch = tempfile::tempdir().unwrap();
    let (directory, _) = exported(scratch.path(), "a", 261).await;
    for (name, width) in [("tile/entries/000", 256), ("tile/entries/001.p/5", 5)] {
        let file = directory.join(name);
        let good = fs::read(&file).unwrap();
        let path = TilePath::new(TileLevel::Entries, 0, width).unwrap();
        let entries: Vec<Vec<u8>> = decode_entries(path, &good).unwrap().into_iter().map(<[u8]>::to_vec).collect();
        let write = |entries: &[Vec<u8>]| {
            let mut bundle = Vec::new();
            entries.iter().for_each(|entry| push_entry(&mut bundle, entry).unwrap());
            fs::write(&file, bundle).unwrap();
        };
        let mut swapped = entries.clone();
        swapped.swap(1, 3);
        write(&swapped);
        assert!(matches!(verify(&directory, &[]), Err(VerifyError::Entry { .. })));
        let mut replaced = entries.clone();
        replaced[2] = b"another story".to_vec();
        write(&replaced);
        assert!(matches!(verify(&directory, &[]), Err(VerifyError::Entry { .. })));
        write(&entries[1..]);
        assert!(matches!(verify(&directory, &[]), Err(VerifyError::Tile(_))));
        let mut doubled = entries.clone();
        doubled[1] = doubled[0].clone();
        write(&doubled);
        assert!(matches!(verify(&directory, &[]), Err(VerifyError::Entry { .. })));
        fs::write(&file, good).unwrap();
    }
    // Entry and leaf hash changed together: the level above, or the root, gives it away.
    let entry_file = directory.join("tile/entries/001.p/5");
    let path = TilePath::new(TileLevel::Entries, 0, 5).unwrap();
    let bundle = fs::read(&entry_file).unwrap();
    let mut entries = decode_entries(path, &bundle).unwrap();
    entries[0] = b"rewritten";
    let mut bundle = Vec::new();
    entries.iter().for_each(|entry| push_entry(&mut bundle, entry).unwrap());
    fs::write(entry_file, bundle).unwrap();
    let tile = directory.join("tile/0/001.p/5");
    let mut hashes = fs::read(&tile).unwrap();
    hashes[..32].copy_from_slice(ticrypt_log::leaf_hash(b"rewritten").as_bytes());
    fs::write(tile, hashes).unwrap();
    assert!(matches!(verify(&directory, &[]), Err(VerifyError::Root { size: 261 })));
}

#[tokio::test]
async fn forks_rollbacks_and_split_views_are_noticed() {
    let scratch = tempfile::tempdir().unwrap();
    let (long, head) = exported(scratch.path(), "long", 700).await;
    let (short, old) = exported(scratch.path(), "short", 300).await;
    verify(&long, std::slice::from_ref(&old)).unwrap();
    assert!(matches!(verify(&short, std::slice::from_ref(&head)), Err(VerifyError::Older { found: 300, seen: 700 })));

    // The log's own key signs another history, and its witness is fooled too.
    let fork = open(&scratch.path().join("log-fork"), options_with(&[&witnesses()]));
    fork.append(b"not what happened".to_vec()).await.unwrap();
    fill(&fork, 1..700).await;
    fork.flush().await.unwrap();
    cosign(&fork);
    let split = scratch.path().join("fork");
    export(&fork, &fork.latest_checkpoint().unwrap(), &split).unwrap();
    verify(&split, &[]).unwrap();
    assert!(matches!(verify(&split, &[old]), Err(VerifyError::Fork { size: 300 })));
    assert!(matches!(verify(&split, &[head]), Err(VerifyError::Fork { size: 700 })));

    // Two views in one directory: the head of one, the witnessed checkpoint of the other.
    fs::copy(short.join("checkpoint"), long.join("checkpoint.witnessed")).unwrap();
    assert_eq!(verify(&long, &[]).unwrap().witnessed_size, 700);
    fs::copy(split.join("checkpoint"), long.join("checkpoint.witnessed")).unwrap();
    assert!(matches!(verify(&long, &[]), Err(VerifyError::Fork { size: 700 })));
}

#[tokio::test]
async fn a_live_directory_verifies_and_says_what_is_not_witnessed() {
    let scratch = tempfile::tempdir().unwrap();
    let directory = scratch.path().join("log");
    let log = open(&directory, options_with(&[&witnesses()]));
    fill(&log, 0..300).await;
    log.flush().await.unwrap();
    assert!(matches!(verify(&directory, &[]), Err(VerifyError::Checkpoint { .. })), "no witness yet");
    cosign(&log);
    assert_eq!(verify(&directory, &[]).unwrap().witnessed_size, 300);
    for size in [310, 511, 512, 513] {
        fill(&log, log.durable_size()..size).await;
        log.flush().await.unwrap();
        let report = verify(&directory, &[]).unwrap();
        assert_eq!((report.checkpoint.size, report.witnessed_size, report.cosignatures), (size, 300, 0));
    }
    let log_key = log_signer();
    let other = witness_signer("other.example", 3).verifier().clone();
    let trust = Trust { log_key: log_key.verifier(), witnesses: &[other], quorum: 1, seen: &[] };
    assert!(matches!(verify_dir(&directory, &trust), Err(VerifyError::Checkpoint { .. })));
    let stranger = ticrypt_log::NoteSigner::from_seed(
        super::support::ORIGIN,
        ticrypt_log::SignatureType::Ed25519,
        ticrypt_types::Secret::new([1; 32]),
    )
    .unwrap();
    let trust = Trust { log_key: stranger.verifier(), witnesses: &[], quorum: 0, seen: &[] };
    assert!(matches!(verify_dir(&directory, &trust), Err(VerifyError::Checkpoint { .. })));
    log.shutdown().await.unwrap();
}

#[tokio::test]
async fn an_empty_log_verifies() {
    let scratch = tempfile::tempdir().unwrap();
    let log = open(&scratch.path().join("log"), options());
    let directory = scratch.path().join("export");
    export(&log, &log.latest_checkpoint().unwrap(), &directory).unwrap();
    assert!(export(&log, &log.latest_checkpoint().unwrap(), &directory).is_err(), "would overwrite");
    let key = log_signer();
    let trust = Trust { log_key: key.verifier(), witnesses: &[], quorum: 0, seen: &[] };
    assert_eq!(verify_dir(&directory, &trust).unwrap().checkpoint.size, 0);
}
