//! The power-cut layer itself: it keeps what was synced, drops what was not, and so notices a missing sync.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use ticrypt_e2e::powercut::{Disk, Record, Recorder, Survival};

const ITEMS: u32 = 12;

struct Recording {
    workshop: tempfile::TempDir,
    recorder: Recorder,
    records: Vec<Record>,
    /// Recording length when each item was acknowledged.
    acknowledged: Vec<u64>,
}

fn run_sample(lacking: &str) -> Recording {
    let workshop = tempfile::tempdir().unwrap();
    let root = workshop.path().join("data");
    std::fs::create_dir(&root).unwrap();
    let recorder = Recorder::new(workshop.path(), &root).unwrap();
    let mut program = Command::new(env!("CARGO_BIN_EXE_powercut-sample"))
        .args([root.to_str().unwrap(), &ITEMS.to_string(), lacking])
        .envs(recorder.environment())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut acknowledged = Vec::new();
    for line in BufReader::new(program.stdout.take().unwrap()).lines() {
        assert_eq!(line.unwrap(), format!("stored {}", acknowledged.len()));
        acknowledged.push(recorder.length());
    }
    assert!(program.wait().unwrap().success());
    assert_eq!(acknowledged.len(), ITEMS as usize);
    let records = recorder.records().unwrap();
    Recording { workshop, recorder, records, acknowledged }
}

fn content(item: u32) -> Vec<u8> {
    (0..600 + item).map(|i| (i * 7 + item) as u8).collect()
}

/// What a cut left wrong, looking only at what had been acknowledged.
fn faults(directory: &Path, acknowledged: usize) -> Vec<String> {
    let mut faults = Vec::new();
    for item in 0..acknowledged as u32 {
        match std::fs::read(directory.join(format!("d{}/{item}", item / 4))) {
            Ok(bytes) if bytes == content(item) => {}
            Ok(_) => faults.push(format!("item {item} is not whole")),
            Err(_) => faults.push(format!("item {item} is gone")),
        }
    }
    let journal = std::fs::read(directory.join("journal")).unwrap_or_default();
    let lines = journal.split(|b| *b == b'\n').take(acknowledged).enumerate();
    let sound = lines.filter(|(i, line)| *line == i.to_string().as_bytes()).count();
    if sound < acknowledged {
        faults.push(format!("the journal has {sound} of {acknowledged}"));
    }
    faults
}

/// Cuts after every single operation, until `enough` faults were found.
fn cut_everywhere(
    recording: &Recording,
    disk: impl Fn() -> Disk,
    survival: impl Fn(u64) -> Survival,
    enough: usize,
) -> (usize, Vec<String>) {
    let (mut cuts, mut found) = (0, Vec::new());
    for record in &recording.records {
        if found.len() >= enough {
            break;
        }
        let target = recording.workshop.path().join("cut");
        let mut disk = disk();
        disk.replay(&recording.records, record.at).unwrap();
        disk.materialise(&target, survival(record.at)).unwrap();
        let acknowledged = recording.acknowledged.iter().filter(|length| **length <= record.at).count();
        found.extend(faults(&target, acknowledged).into_iter().map(|fault| format!("cut at {}: {fault}", record.at)));
        std::fs::remove_dir_all(&target).unwrap();
        cuts += 1;
    }
    (cuts, found)
}

#[test]
fn the_recording_is_complete() {
    let recording = run_sample("");
    let target = recording.workshop.path().join("again");
    let mut disk = recording.recorder.disk();
    disk.replay(&recording.records, u64::MAX).unwrap();
    disk.materialise(&target, Survival::Everything).unwrap();
    assert_eq!(files(&target), files(&recording.workshop.path().join("data")));
    assert_eq!(files(&target).len(), ITEMS as usize + 1);
}

#[test]
fn what_was_synced_survives_every_cut() {
    let recording = run_sample("");
    for survival in [|_| Survival::Strict, Survival::Chance as fn(u64) -> Survival] {
        let (cuts, found) = cut_everywhere(&recording, || recording.recorder.disk(), survival, usize::MAX);
        assert!(cuts > 150, "{cuts}");
        assert!(found.is_empty(), "{found:#?}");
    }
}

/// Each missing sync is noticed, whether the program lacks it or the replay leaves it out.
#[test]
fn a_missing_sync_is_noticed() {
    for lacking in ["file", "directory", "parent"] {
        let recording = run_sample(lacking);
        let (_, found) = cut_everywhere(&recording, || recording.recorder.disk(), |_| Survival::Strict, 1);
        assert!(!found.is_empty(), "a program without its sync `{lacking}` looks sound");
    }
    let recording = run_sample("");
    type Distrust = fn(&str) -> bool;
    let distrusts: [(&str, Distrust); 4] = [
        ("files", |path| path.starts_with('d') && !path.ends_with('/')),
        ("directories", |path| path.starts_with('d') && path.ends_with('/')),
        ("the root", |path| path == "/"),
        ("the journal", |path| path == "journal"),
    ];
    for (what, distrust) in distrusts {
        let disk = || recording.recorder.disk().distrusting(move |_, path| distrust(path));
        let (_, found) = cut_everywhere(&recording, disk, |_| Survival::Strict, 1);
        assert!(!found.is_empty(), "not syncing {what} looks sound");
        let mut whole = disk();
        whole.replay(&recording.records, u64::MAX).unwrap();
        assert!(whole.syncs().1 > 0, "{what}: {:?}", whole.syncs());
    }
}

/// What was not synced is lost in the strict model, and sometimes kept in the other.
#[test]
fn unsynced_changes_are_dropped() {
    let recording = run_sample("file");
    let last = recording.acknowledged[0];
    let size = |survival| {
        let target = recording.workshop.path().join("cut");
        let mut disk = recording.recorder.disk();
        disk.replay(&recording.records, last).unwrap();
        let uncertain = disk.materialise(&target, survival).unwrap();
        assert!(uncertain > 0);
        let size = std::fs::metadata(target.join("d0/0")).map(|m| m.len()).unwrap_or_default();
        std::fs::remove_dir_all(&target).unwrap();
        size
    };
    assert_eq!(size(Survival::Strict), 0);
    assert_eq!(size(Survival::Everything), 600);
    let sizes: Vec<u64> = (0..40).map(|seed| size(Survival::Chance(seed))).collect();
    assert!(sizes.contains(&0) && sizes.iter().any(|s| *s > 0), "{sizes:?}");
}

/// A full disk: nothing can be added, and what is there stays.
#[test]
fn a_full_disk_refuses_to_write() {
    let workshop = tempfile::tempdir().unwrap();
    let root = workshop.path().join("data");
    std::fs::create_dir(&root).unwrap();
    let recorder = Recorder::new(workshop.path(), &root).unwrap();
    let sample = || {
        let program = Path::new(env!("CARGO_BIN_EXE_powercut-sample"));
        Command::new(program).args([root.to_str().unwrap(), "1"]).envs(recorder.environment()).output().unwrap()
    };
    recorder.set_full(true).unwrap();
    let refused = sample();
    assert!(!refused.status.success() && String::from_utf8_lossy(&refused.stderr).contains("StorageFull"), "{refused:?}");
    recorder.set_full(false).unwrap();
    assert!(sample().status.success());
}

fn files(root: &Path) -> BTreeMap<String, Vec<u8>> {
    ticrypt_e2e::tree::read(root).unwrap()
}
