use std::path::Path;
use std::sync::Arc;

use ticrypt_log::{Appended, Log, LogError, Options, leaf_hash};

use super::disk::{Disk, Torn};
use super::support::{ORIGIN, entry, log_signer, open_on, options};

const DIRECTORY: &str = "/var/log";

fn small() -> Options {
    Options { segment_bytes: 6_000, ..options() }
}

fn open(disk: &Disk) -> Result<Log, LogError> {
    Log::open_on(Arc::new(disk.clone()), Path::new(DIRECTORY), ORIGIN, log_signer(), small()).map(|(log, _)| log)
}

/// Appends until the disk fails; what was acknowledged, and the largest checkpoint shown.
async fn work(log: &Log, from: u64, calls: u64) -> (Vec<(Appended, Vec<u8>)>, u64) {
    let mut acknowledged = Vec::new();
    let mut shown = 0;
    let mut next = from;
    for call in 0..calls {
        let entries: Vec<Vec<u8>> = (next..next + 40).map(entry).collect();
        match log.append_many(entries.clone()).await {
            Ok(appended) => acknowledged.extend(appended.into_iter().zip(entries)),
            Err(LogError::Failed { .. }) => break,
            Err(other) => panic!("{other}"),
        }
        next += 40;
        if call % 3 == 2 && log.flush().await.is_ok() {
            shown = log.latest_checkpoint().unwrap().checkpoint().size;
        }
    }
    (acknowledged, shown)
}

/// Cuts the power after every operation there is, and each time finds all that was acknowledged.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_acknowledged_survives_every_power_cut() {
    let whole = Disk::default();
    let log = open(&whole).unwrap();
    let before = whole.operations();
    work(&log, 0, 20).await;
    log.shutdown().await.unwrap();
    let operations = whole.operations() - before;
    assert!(operations > 150, "{operations}");
    for cut in 0..operations {
        for torn in [Torn::Nothing, Torn::Half, Torn::Holes] {
            let disk = Disk::default();
            let log = open(&disk).unwrap();
            disk.fail_after(cut);
            let (acknowledged, shown) = work(&log, 0, 20).await;
            let _ = log.shutdown().await;
            let back = disk.power_cut(torn);
            let log = open(&back).unwrap_or_else(|error| panic!("cut {cut} {torn:?}: {error}"));
            assert!(log.latest_checkpoint().unwrap().checkpoint().size >= shown);
            assert!(log.durable_size() >= acknowledged.len() as u64, "cut {cut} {torn:?}");
            let kept = log.entries(0..log.durable_size()).unwrap();
            for (appended, bytes) in &acknowledged {
                assert_eq!(&kept[appended.index as usize], bytes);
                assert_eq!(log.leaf(appended.index).unwrap(), leaf_hash(bytes));
            }
            log.append(b"goes on".to_vec()).await.unwrap();
            log.shutdown().await.unwrap();
        }
    }
}

/// The test above would notice a missing sync: on a disk that only says it synced, it finds the loss.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_disk_that_lies_loses_what_was_acknowledged() {
    let disk = Disk::lying();
    let log = open(&disk).unwrap();
    let (acknowledged, _) = work(&log, 0, 2).await;
    assert_eq!(acknowledged.len(), 80);
    let back = disk.power_cut(Torn::Nothing);
    assert_eq!(open(&back).unwrap().durable_size(), 0);
}

/// After any failed operation nothing is acknowledged any more, not even once the disk works again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failed_log_stays_failed() {
    let disk = Disk::default();
    let log = open_on(Arc::new(disk.clone()), Path::new(DIRECTORY), small());
    log.append(entry(0)).await.unwrap();
    disk.fail_after(1);
    let waiting: Vec<_> = (0..50)
        .map(|_| {
            tokio::spawn({
                let log = log.clone();
                async move { log.append(entry(1)).await }
            })
        })
        .collect();
    for call in waiting {
        assert!(matches!(call.await.unwrap(), Err(LogError::Failed { .. })));
    }
    disk.repair();
    assert!(matches!(log.append(entry(1)).await, Err(LogError::Failed { .. })));
    assert!(matches!(log.append_many(vec![]).await, Err(LogError::Failed { .. })));
    assert!(matches!(log.flush().await, Err(LogError::Failed { .. })));
    assert!(log.failure().unwrap().contains("no power"), "{:?}", log.failure());
    assert!(log.shutdown().await.is_err());
    assert!(open(&disk).unwrap().durable_size() >= 1);
}

/// A failure in the background half stops the log as well.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failed_publisher_fails_the_log() {
    let disk = Disk::default();
    let log = open(&disk).unwrap();
    log.append(entry(0)).await.unwrap();
    disk.fail_after(0);
    assert!(matches!(log.flush().await, Err(LogError::Failed { .. })));
    disk.repair();
    assert!(matches!(log.append(entry(1)).await, Err(LogError::Failed { .. })));
}

/// A killed process can leave a group that is written but not synced. The next start takes it in,
/// and must make it durable before it signs over it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_group_found_unsynced_is_synced_before_it_is_signed() {
    let disk = Disk::default();
    let log = open(&disk).unwrap();
    disk.fail_after(1);
    assert!(log.append(entry(0)).await.is_err(), "written, not synced");
    assert!(log.shutdown().await.is_err());
    disk.repair();
    let log = open(&disk).unwrap();
    assert_eq!(log.latest_checkpoint().unwrap().checkpoint().size, 1);
    let back = disk.power_cut(Torn::Nothing);
    assert_eq!(open(&back).unwrap().durable_size(), 1);
}
