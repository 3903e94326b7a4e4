use std::fs;
use std::path::Path;

use ticrypt_log::mirror::MirrorError;
use ticrypt_log::tile::{TileError, TilePath};
use ticrypt_log::{Log, Mirror, leaf_hash};

use super::support::{entry, fill, log_signer, open, options, witness_signer};

fn mirror() -> Mirror {
    Mirror::new(log_signer().verifier().clone(), vec![], 0)
}

fn fetch(log: &Log) -> impl FnMut(TilePath) -> Result<Vec<u8>, MirrorError> {
    |path| Ok(log.tile_bytes(&path.to_string()).unwrap().unwrap())
}

fn note(log: &Log) -> Vec<u8> {
    log.latest_checkpoint().unwrap().to_bytes()
}

async fn grown(directory: &Path, first: &[u8], size: u64) -> Log {
    let log = open(directory, options());
    log.append(first.to_vec()).await.unwrap();
    fill(&log, 1..size).await;
    log.flush().await.unwrap();
    log
}

#[tokio::test]
async fn a_mirror_follows_a_growing_log_and_finds_entries() {
    let scratch = tempfile::tempdir().unwrap();
    let log = open(scratch.path(), options());
    let mut mirror = mirror();
    assert!(matches!(mirror.plan_inclusion(0, leaf_hash(b"")), Err(MirrorError::Empty)));
    let mut old_note = note(&log);
    mirror.update(&old_note, fetch(&log)).unwrap();
    for size in [1, 2, 200, 256, 300, 1024, 70_000] {
        fill(&log, log.durable_size()..size).await;
        log.flush().await.unwrap();
        let ahead = mirror.plan_inclusion(size - 1, leaf_hash(&entry(size - 1)));
        assert!(matches!(ahead, Err(MirrorError::NotYet { .. })));
        mirror.update(&note(&log), fetch(&log)).unwrap();
        mirror.update(&note(&log), fetch(&log)).unwrap();
        for index in [0, size / 2, size - 1] {
            mirror.verify_inclusion(index, leaf_hash(&entry(index)), fetch(&log)).unwrap();
            let other = mirror.verify_inclusion(index, leaf_hash(b"other"), fetch(&log));
            assert!(matches!(other, Err(MirrorError::NotIncluded { .. })));
        }
        assert!(matches!(mirror.plan_update(&old_note), Err(MirrorError::Older { .. })));
        let plan = mirror.plan_compare(&old_note).unwrap().needed().collect::<Vec<_>>();
        assert!(plan.len() <= 6, "{plan:?}");
        old_note = note(&log);
    }
    let stored = mirror.to_bytes().unwrap();
    let key = log_signer().verifier().clone();
    let back = Mirror::restore(key.clone(), vec![], 0, &stored).unwrap();
    assert_eq!(back.last(), mirror.last());
    let witness = witness_signer("w.example", 1).verifier().clone();
    // A witness that joined since: what was stored stands, what comes next needs its signature.
    let mut stricter = Mirror::restore(key, vec![witness], 1, &stored).unwrap();
    assert_eq!(stricter.last(), mirror.last());
    assert!(matches!(stricter.update(&old_note, fetch(&log)), Err(MirrorError::Checkpoint(_))), "below the quorum");
}

#[tokio::test]
async fn a_mirror_refuses_forks_old_heads_and_wrong_tiles() {
    let scratch = tempfile::tempdir().unwrap();
    let truth = grown(&scratch.path().join("a"), &entry(0), 500).await;
    let fork = grown(&scratch.path().join("b"), b"another first entry", 600).await;
    let same_size = grown(&scratch.path().join("c"), b"a third one", 500).await;
    let mut mirror = mirror();
    mirror.update(&note(&truth), fetch(&truth)).unwrap();
    let before = mirror.last().cloned();
    assert!(matches!(mirror.update(&note(&fork), fetch(&fork)), Err(MirrorError::Fork { .. })));
    assert!(matches!(mirror.update(&note(&same_size), fetch(&same_size)), Err(MirrorError::Fork { .. })));
    assert_eq!(mirror.last().cloned(), before);

    // A friend saw the other side of a split view.
    let mut plan = mirror.plan_compare(&note(&fork)).unwrap();
    for path in plan.needed().collect::<Vec<_>>() {
        plan.feed(path, &fork.tile_bytes(&path.to_string()).unwrap().unwrap()).unwrap();
    }
    assert!(matches!(mirror.finish(plan), Err(MirrorError::Fork { old: 500, new: 600, .. })));
    assert_eq!(mirror.last().cloned(), before);

    fill(&truth, 500..900).await;
    truth.flush().await.unwrap();
    let zeros = |path: TilePath| Ok::<_, MirrorError>(vec![0; usize::from(path.width()) * 32]);
    assert!(matches!(mirror.update(&note(&truth), zeros), Err(MirrorError::Fork { .. })));
    let short = |_: TilePath| Ok::<_, MirrorError>(vec![0; 31]);
    assert!(matches!(mirror.update(&note(&truth), short), Err(MirrorError::Tile(TileError::Length { .. }))));
    let plan = mirror.plan_update(&note(&truth)).unwrap();
    assert!(matches!(mirror.finish(plan), Err(MirrorError::Tile(_))), "nothing was fed");
    let mut plan = mirror.plan_update(&note(&truth)).unwrap();
    let stray = TilePath::parse("tile/5/000").unwrap();
    assert!(matches!(plan.feed(stray, &[0; 8192]), Err(MirrorError::NotNeeded(_))));

    // Two plans at once: the second was made from a past that is gone.
    let stale = mirror.plan_update(&note(&truth)).unwrap();
    mirror.update(&note(&truth), fetch(&truth)).unwrap();
    let mut fed = stale;
    for path in fed.needed().collect::<Vec<_>>() {
        fed.feed(path, &truth.tile_bytes(&path.to_string()).unwrap().unwrap()).unwrap();
    }
    assert!(matches!(mirror.finish(fed), Err(MirrorError::Stale)));

    let mut bad = note(&truth);
    let last = bad.len() - 10;
    bad[last] = if bad[last] == b'A' { b'B' } else { b'A' };
    assert!(matches!(mirror.plan_update(&bad), Err(MirrorError::Checkpoint(_))));
}

/// The log grows between the checkpoint and the fetch, and serves the full tile instead.
#[tokio::test]
async fn a_full_tile_will_do_for_a_partial_one() {
    let scratch = tempfile::tempdir().unwrap();
    let log = grown(scratch.path(), &entry(0), 100).await;
    let mut mirror = mirror();
    mirror.update(&note(&log), fetch(&log)).unwrap();
    fill(&log, 100..256).await;
    log.flush().await.unwrap();
    let full = fs::read(scratch.path().join("tile/0/000")).unwrap();
    let mut plan = mirror.plan_inclusion(50, leaf_hash(&entry(50))).unwrap();
    plan.feed(TilePath::parse("tile/0/000").unwrap(), &full).unwrap();
    mirror.finish(plan).unwrap();
}
