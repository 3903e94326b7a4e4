use std::collections::BTreeSet;
use std::time::Duration;

use ticrypt_log::tile::TileError;
use ticrypt_log::writer::MAX_CALL_ENTRIES;
use ticrypt_log::{LogError, Options, SignedCheckpoint, leaf_hash, verify_receipt};

use super::support::{ORIGIN, entry, fill, log_signer, open, options, options_with, witness_signer};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn concurrent_callers_share_syncs() {
    let scratch = tempfile::tempdir().unwrap();
    let log = open(scratch.path(), Options::default());
    let callers: Vec<_> = (0..200_u64)
        .map(|caller| {
            let log = log.clone();
            tokio::spawn(async move {
                let mut indexes = Vec::new();
                for round in 0..20 {
                    let bytes = format!("caller {caller} round {round}").into_bytes();
                    let appended = log.append(bytes.clone()).await.unwrap();
                    assert_eq!(appended.leaf_hash, leaf_hash(&bytes));
                    assert_eq!(log.entries(appended.index..appended.index + 1).unwrap(), [bytes]);
                    indexes.push(appended.index);
                }
                assert!(indexes.is_sorted());
                indexes
            })
        })
        .collect();
    let mut indexes = BTreeSet::new();
    for caller in callers {
        indexes.extend(caller.await.unwrap());
    }
    assert_eq!(indexes, (0..4000).collect());
    let counters = log.counters();
    assert_eq!(counters.events, 4000);
    assert!(counters.events >= 4 * counters.syncs, "{counters:?}");
    log.shutdown().await.unwrap();
    assert_eq!(log.latest_checkpoint().unwrap().checkpoint().size, 4000);
    assert!(matches!(log.append(vec![]).await, Err(LogError::Closed)));
    log.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn entries_of_one_call_stand_together() {
    let scratch = tempfile::tempdir().unwrap();
    let log = open(scratch.path(), options());
    let calls: Vec<_> = (0..30)
        .map(|call| {
            let log = log.clone();
            tokio::spawn(async move {
                let entries = (0..50).map(|number| format!("{call}/{number}").into_bytes()).collect();
                log.append_many(entries).await.unwrap()
            })
        })
        .collect();
    for call in calls {
        let appended = call.await.unwrap();
        assert_eq!(appended.len(), 50);
        assert!(appended.windows(2).all(|pair| pair[1].index == pair[0].index + 1));
        let first = appended[0].index;
        let read = log.entries(first..first + 50).unwrap();
        assert!(read.iter().zip(&appended).all(|(bytes, at)| leaf_hash(bytes) == at.leaf_hash));
    }
    assert!(matches!(log.append_many(vec![vec![]; MAX_CALL_ENTRIES + 1]).await, Err(LogError::TooManyEntries(_))));
    let long = log.append(vec![0; 65_536]).await;
    assert!(matches!(long, Err(LogError::Tile(TileError::EntryTooLong(65_536)))));
    log.append(vec![0; 65_535]).await.unwrap();
    log.append(vec![]).await.unwrap();
    log.flush().await.unwrap();
}

#[tokio::test]
async fn any_range_can_be_read_published_or_not() {
    let scratch = tempfile::tempdir().unwrap();
    let log = open(scratch.path(), options());
    fill(&log, 0..700).await;
    log.flush().await.unwrap();
    fill(&log, 700..1100).await;
    for (from, to) in [(0, 0), (0, 1), (0, 256), (255, 257), (500, 520), (690, 710), (767, 769), (1099, 1100), (0, 1100)] {
        assert_eq!(log.entries(from..to).unwrap(), (from..to).map(entry).collect::<Vec<_>>(), "{from}..{to}");
    }
    assert_eq!(log.entries(1000..5000).unwrap().len(), 100);
    assert!(log.entries(1100..1200).unwrap().is_empty());
    assert!(log.entries(u64::MAX - 1..u64::MAX).unwrap().is_empty());
    for index in [0, 255, 256, 699, 700, 1099] {
        assert_eq!(log.leaf(index).unwrap(), leaf_hash(&entry(index)));
    }
    assert!(matches!(log.leaf(1100), Err(LogError::NoSuchEntry { index: 1100 })));
}

#[tokio::test]
async fn tiles_of_the_published_tree_are_served() {
    let scratch = tempfile::tempdir().unwrap();
    let log = open(scratch.path(), options());
    fill(&log, 0..300).await;
    log.flush().await.unwrap();
    let tile = |path: &str| log.tile_bytes(path).unwrap();
    assert_eq!(tile("tile/0/000").unwrap().len(), 8192);
    assert_eq!(tile("tile/0/001.p/44").unwrap().len(), 44 * 32);
    assert_eq!(tile("tile/0/001.p/3").unwrap(), tile("tile/0/001.p/44").unwrap()[..96]);
    assert_eq!(tile("tile/0/000.p/5").unwrap(), tile("tile/0/000").unwrap()[..160]);
    assert_eq!(tile("tile/1/000.p/1").unwrap().len(), 32);
    let bundle: Vec<u8> = [256, 257]
        .into_iter()
        .flat_map(|index| {
            let entry = entry(index);
            [&(entry.len() as u16).to_be_bytes()[..], &entry].concat()
        })
        .collect();
    assert_eq!(tile("tile/entries/001.p/2").unwrap(), bundle);
    assert!(tile("tile/entries/000").unwrap().starts_with(&(entry(0).len() as u16).to_be_bytes()));
    for none in ["tile/0/001", "tile/0/001.p/45", "tile/0/002", "tile/1/000", "tile/2/000.p/1", "tile/entries/009"] {
        assert!(tile(none).is_none(), "{none}");
    }
    assert!(log.tile_bytes("tile/0/../../checkpoint").is_err());
    // Not published yet, not served yet.
    fill(&log, 300..600).await;
    assert!(tile("tile/0/001").is_none());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn checkpoints_come_by_themselves_but_not_too_often() {
    let scratch = tempfile::tempdir().unwrap();
    let interval = Duration::from_millis(200);
    let log = open(scratch.path(), Options { checkpoint_interval: interval, ..options() });
    let started = std::time::Instant::now();
    while started.elapsed() < Duration::from_millis(900) {
        log.append(entry(1)).await.unwrap();
    }
    let durable = log.durable_size();
    let published = log.counters().checkpoints;
    assert!((2..=6).contains(&published), "{published}");
    let deadline = started + Duration::from_secs(20);
    while log.latest_checkpoint().unwrap().checkpoint().size < durable {
        assert!(std::time::Instant::now() < deadline, "the last entries were never published");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let quiet = log.counters().checkpoints;
    tokio::time::sleep(interval * 3).await;
    assert_eq!(log.counters().checkpoints, quiet, "nothing new, nothing signed");
}

#[tokio::test]
async fn receipts_are_given_for_what_is_there() {
    let scratch = tempfile::tempdir().unwrap();
    let log = open(scratch.path(), options());
    fill(&log, 0..300).await;
    log.flush().await.unwrap();
    fill(&log, 300..310).await;
    for index in [0, 255, 299, 300, 309] {
        let leaf = leaf_hash(&entry(index));
        let receipt = log.receipt(index, leaf).unwrap();
        let checked = verify_receipt(receipt.to_string().as_bytes(), ORIGIN, log.verifier()).unwrap();
        assert_eq!((checked.index(), checked.leaf_hash()), (index, leaf));
        assert!(log.receipt(index, leaf_hash(b"something else")).is_err());
    }
    assert!(log.receipt(310, leaf_hash(&entry(310))).is_err());
}

#[tokio::test]
async fn cosignatures_are_verified_and_kept() {
    let scratch = tempfile::tempdir().unwrap();
    let (one, two) = (witness_signer("w1.example", 1), witness_signer("w2.example", 2));
    let stranger = witness_signer("w3.example", 3);
    let with = || Options { quorum: 2, ..options_with(&[one.verifier(), two.verifier()]) };
    let log = open(scratch.path(), with());
    fill(&log, 0..10).await;
    log.flush().await.unwrap();
    let old = log.latest_checkpoint().unwrap();
    let line = |signer: &ticrypt_log::NoteSigner, signed: &SignedCheckpoint| signer.sign(signed.note().text(), 77).unwrap().to_string();
    assert!(matches!(log.add_cosignature(&line(&stranger, &old)), Err(LogError::Cosignature)));
    let mut forged = old.checkpoint().clone();
    forged.size = 11;
    let forged = forged.sign(&log_signer()).unwrap();
    assert!(matches!(log.add_cosignature(&line(&one, &forged)), Err(LogError::Cosignature)));
    assert!(log.add_cosignature("no signature").is_err());

    assert_eq!(log.add_cosignature(&line(&one, &old)).unwrap(), 10);
    assert!(log.witnessed_checkpoint().is_none(), "one of two");
    assert_eq!(log.latest_checkpoint().unwrap().note().signatures().len(), 2);
    // The log grows before the second witness answers.
    fill(&log, 10..20).await;
    log.flush().await.unwrap();
    assert_eq!(log.add_cosignature(&line(&two, &old)).unwrap(), 10);
    assert_eq!(log.latest_checkpoint().unwrap().note().signatures().len(), 1);
    let witnessed = log.witnessed_checkpoint().unwrap();
    assert_eq!(witnessed.checkpoint().size, 10);
    let keys = [one.verifier().clone(), two.verifier().clone()];
    assert_eq!(witnessed.cosigned_by(&keys).unwrap().len(), 2);
    let newest = log.latest_checkpoint().unwrap();
    log.add_cosignature(&line(&one, &newest)).unwrap();
    log.shutdown().await.unwrap();

    // Both survive a restart; the checkpoint of the same size keeps its cosignature.
    let log = open(scratch.path(), with());
    assert_eq!(log.witnessed_checkpoint().unwrap(), witnessed);
    assert_eq!(log.latest_checkpoint().unwrap().cosigned_by(&keys).unwrap().len(), 1);
    log.add_cosignature(&line(&two, &newest)).unwrap();
    assert_eq!(log.witnessed_checkpoint().unwrap().checkpoint().size, 20);
}
