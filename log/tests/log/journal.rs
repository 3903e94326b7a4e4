//! The journal as files: torn ends are cut, damage is refused.

use std::fs;
use std::path::{Path, PathBuf};

use ticrypt_log::{Log, LogError, Options, Recovery};

use super::support::{ORIGIN, entry, fill, log_signer, open, options};

/// Bytes of a group of one entry besides the entry: group header, length, leaf hash.
const GROUP_OVERHEAD: usize = 52 + 4 + 32;

fn segments(directory: &Path) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = fs::read_dir(directory.join("journal")).unwrap().map(|entry| entry.unwrap().path()).collect();
    found.sort();
    found
}

fn reopen(directory: &Path, options: Options) -> Result<(Log, Recovery), LogError> {
    Log::open(directory, ORIGIN, log_signer(), options)
}

/// A copy of a log as a killed process leaves it: everything in the journal, nothing published
/// after the first 100.
async fn killed(scratch: &Path) -> PathBuf {
    let live = scratch.join("live");
    let log = open(&live, options());
    fill(&log, 0..100).await;
    log.flush().await.unwrap();
    for number in 100..130 {
        log.append(entry(number)).await.unwrap();
    }
    let copy = scratch.join("copy");
    copy_all(&live, &copy);
    log.shutdown().await.unwrap();
    copy
}

fn copy_all(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy_all(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

#[tokio::test]
async fn a_killed_log_has_everything_acknowledged() {
    let scratch = tempfile::tempdir().unwrap();
    let copy = killed(scratch.path()).await;
    let (log, recovery) = reopen(&copy, options()).unwrap();
    assert_eq!(recovery, Recovery { size: 130, signed_size: 100, cut_bytes: 0, created: false });
    assert_eq!(log.latest_checkpoint().unwrap().checkpoint().size, 130);
    assert_eq!(log.entries(0..1000).unwrap(), (0..130).map(entry).collect::<Vec<_>>());
    assert!(matches!(reopen(&copy, options()), Err(LogError::InUse)));
    log.shutdown().await.unwrap();
    let (log, recovery) = reopen(&copy, options()).unwrap();
    assert_eq!(recovery.signed_size, 130);
    log.shutdown().await.unwrap();
}

#[tokio::test]
async fn every_torn_end_is_cut_to_the_last_whole_group() {
    let scratch = tempfile::tempdir().unwrap();
    let killed = killed(scratch.path()).await;
    let good = fs::read(segments(&killed).pop().unwrap()).unwrap();
    let last_group = GROUP_OVERHEAD + entry(129).len();
    let work = scratch.path().join("work");
    for cut in (1..last_group).step_by(3) {
        copy_all(&killed, &work);
        fs::write(segments(&work).pop().unwrap(), &good[..good.len() - cut]).unwrap();
        let (log, recovery) = reopen(&work, options()).unwrap();
        assert_eq!((recovery.size, recovery.cut_bytes), (129, (last_group - cut) as u64));
        // What comes next takes the place of what was cut.
        assert_eq!(log.append(b"next".to_vec()).await.unwrap().index, 129);
        log.shutdown().await.unwrap();
        let (log, recovery) = reopen(&work, options()).unwrap();
        assert_eq!((recovery.size, recovery.cut_bytes), (130, 0));
        assert_eq!(log.entries(129..130).unwrap(), [b"next"]);
        log.shutdown().await.unwrap();
        fs::remove_dir_all(&work).unwrap();
    }
    // Zeros behind the end, as some file systems leave them.
    fs::write(segments(&killed).pop().unwrap(), [&good[..], &[0; 5000]].concat()).unwrap();
    let (log, recovery) = reopen(&killed, options()).unwrap();
    assert_eq!((recovery.size, recovery.cut_bytes), (130, 5000));
    log.shutdown().await.unwrap();
}

#[tokio::test]
async fn damage_before_the_end_is_an_error() {
    let scratch = tempfile::tempdir().unwrap();
    let copy = killed(scratch.path()).await;
    let file = segments(&copy).pop().unwrap();
    let good = fs::read(&file).unwrap();
    let last_group = GROUP_OVERHEAD + entry(129).len();
    for position in (0..good.len() - last_group).step_by(13) {
        let mut bad = good.clone();
        bad[position] ^= 0x10;
        fs::write(&file, &bad).unwrap();
        assert!(matches!(reopen(&copy, options()), Err(LogError::Journal(_))), "byte {position}");
    }
    // Cut below what was signed: the end is torn, but the checkpoint knows better.
    fs::write(&file, &good[..200]).unwrap();
    assert!(matches!(reopen(&copy, options()), Err(LogError::Lost { signed: 100, .. })));
    fs::remove_file(&file).unwrap();
    assert!(matches!(reopen(&copy, options()), Err(LogError::Lost { signed: 100, found: 0 })));
}

#[tokio::test]
async fn a_missing_or_foreign_checkpoint_is_an_error() {
    let scratch = tempfile::tempdir().unwrap();
    let copy = killed(scratch.path()).await;
    let file = copy.join("checkpoint");
    let good = fs::read(&file).unwrap();
    fs::remove_file(&file).unwrap();
    assert!(matches!(reopen(&copy, options()), Err(LogError::CheckpointMissing)));
    let other = ticrypt_log::Checkpoint { origin: ORIGIN.into(), size: 100, root: ticrypt_log::leaf_hash(b"x") };
    fs::write(&file, other.sign(&log_signer()).unwrap().to_bytes()).unwrap();
    assert!(matches!(reopen(&copy, options()), Err(LogError::Changed { size: 100 })));
    let mut bad = good.clone();
    bad[0] ^= 1;
    fs::write(&file, bad).unwrap();
    assert!(matches!(reopen(&copy, options()), Err(LogError::Checkpoint(_))));
    fs::write(&file, good).unwrap();
    reopen(&copy, options()).unwrap().0.shutdown().await.unwrap();
    let wrong_origin = Log::open(&copy, "other.example", log_signer(), options());
    assert!(matches!(wrong_origin, Err(LogError::Origin)));
}

#[tokio::test]
async fn segments_go_once_full_tiles_hold_their_entries() {
    let scratch = tempfile::tempdir().unwrap();
    let small = || Options { segment_bytes: 4_000, ..options() };
    let log = open(scratch.path(), small());
    for number in 0..20 {
        fill(&log, number * 50..(number + 1) * 50).await;
    }
    assert!(segments(scratch.path()).len() > 5, "nothing published, nothing dropped");
    log.flush().await.unwrap();
    fill(&log, 1000..1010).await;
    let left = segments(scratch.path());
    let first: u64 = left[0].file_stem().unwrap().to_str().unwrap().parse().unwrap();
    assert!(first > 500 && first <= 768, "768 entries are in full tiles; journal begins at {first}");
    log.shutdown().await.unwrap();

    for _ in 0..3 {
        let (log, recovery) = reopen(scratch.path(), small()).unwrap();
        assert_eq!(recovery.size, log.durable_size());
        let expected: Vec<Vec<u8>> = (0..log.durable_size()).map(entry).collect();
        assert_eq!(log.entries(0..u64::MAX).unwrap(), expected);
        fill(&log, log.durable_size()..log.durable_size() + 131).await;
        log.shutdown().await.unwrap();
    }

    // A hole between segments is noticed.
    let left = segments(scratch.path());
    assert!(left.len() > 2);
    fs::remove_file(&left[1]).unwrap();
    assert!(matches!(reopen(scratch.path(), small()), Err(LogError::Journal(_))));
}

#[tokio::test]
async fn a_full_tile_that_differs_from_the_journal_is_an_error() {
    let scratch = tempfile::tempdir().unwrap();
    let log = open(scratch.path(), options());
    fill(&log, 0..600).await;
    log.shutdown().await.unwrap();
    for name in ["tile/0/001", "tile/entries/000"] {
        let file = scratch.path().join(name);
        let good = fs::read(&file).unwrap();
        let mut bad = good.clone();
        bad[40] ^= 1;
        fs::write(&file, bad).unwrap();
        assert!(matches!(reopen(scratch.path(), options()), Err(LogError::TileChanged(_))), "{name}");
        fs::remove_file(&file).unwrap();
        // A lost one is made again.
        reopen(scratch.path(), options()).unwrap().0.shutdown().await.unwrap();
        assert_eq!(fs::read(&file).unwrap(), good);
    }
}
