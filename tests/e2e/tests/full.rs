//! No room left: a clear error, nothing lost, and work goes on once there is room.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

use ticrypt_e2e::chance::Chance;
use ticrypt_e2e::disk::SmallDisk;
use ticrypt_e2e::load::read_back;
use ticrypt_e2e::person::{Person, two_people};
use ticrypt_e2e::process::last_lines;
use ticrypt_e2e::system::{Options, System};
use ticrypt_e2e::tree;

fn put_files(person: &Person, chance: &mut Chance, name: &str, sizes: &[usize]) -> ticrypt_e2e::process::Outcome {
    let scratch = tempfile::tempdir().unwrap();
    let local = scratch.path().join(name);
    std::fs::create_dir(&local).unwrap();
    for (number, size) in sizes.iter().enumerate() {
        std::fs::write(local.join(number.to_string()), chance.bytes(*size)).unwrap();
    }
    person.put(&local, "/").unwrap()
}

/// What a refusal for want of room must look like.
fn assert_clear(outcome: &ticrypt_e2e::process::Outcome) {
    // Unavailable, or only a part was done.
    assert!([1, 5].contains(&outcome.code()), "{outcome:?}");
    let told = outcome.stderr.to_lowercase();
    assert!(["full", "room", "space", "cannot be written"].iter().any(|word| told.contains(word)), "{}", outcome.stderr);
    assert!(!told.contains("panicked"), "{}", outcome.stderr);
}

/// The recorder refuses whatever takes space: works without any rights.
#[test]
fn a_full_disk_loses_nothing() {
    let mut chance = Chance::from_environment("full disk");
    let mut system = System::start(&Options { recorded: true, ..Options::default() }).unwrap();
    let [ann, _ben] = two_people(&system).unwrap();
    let first = put_files(&ann, &mut chance, "before", &[10, 2_000, 200_000]).success().unwrap();
    system.recorder().unwrap().set_full(true).unwrap();
    for name in ["small", "large"] {
        let refused = put_files(&ann, &mut chance, name, if name == "small" { &[100] } else { &[500_000] });
        println!("full: {}", refused.stderr.trim());
        assert_clear(&refused);
    }
    system.recorder().unwrap().set_full(false).unwrap();
    // A log that could not be written is not trusted again by the process that failed, which says so when it ends.
    let ended = system.stop().unwrap_err().to_string();
    assert!(ended.contains("log"), "{ended}");
    system.restart().unwrap();
    put_files(&ann, &mut chance, "after", &[10, 200_000]).success().unwrap();
    let scratch = tempfile::tempdir().unwrap();
    let found = read_back(&ann, scratch.path()).unwrap();
    let names: Vec<&str> = found.keys().map(String::as_str).collect();
    assert_eq!(names, ["after/0", "after/1", "before/0", "before/1", "before/2"], "{}", first.stdout);
    system.stop().unwrap();
    system.check().unwrap();
}

/// A real file system that fills up while chunks are written.
#[test]
fn a_small_file_system_fills_up_and_is_emptied() {
    let mut chance = Chance::from_environment("small file system");
    let place = tempfile::tempdir().unwrap();
    let Some(disk) = SmallDisk::mount(&place.path().join("disk"), 24).unwrap() else {
        println!("mounting is not allowed here; the other test covers a full disk by the recorder");
        return;
    };
    let mut system = System::start(&Options { data: Some(disk.path().to_path_buf()), ..Options::default() }).unwrap();
    let [ann, ben] = two_people(&system).unwrap();
    let mut kept = 0;
    let refused = loop {
        let outcome = put_files(&ann, &mut chance, &format!("batch-{kept}"), &[1_000_000, 1_000_000, 3_000]);
        if !outcome.status.success() {
            break outcome;
        }
        kept += 1;
        assert!(kept < 24, "a disk of 24 MiB does not fill up");
    };
    println!("full after {kept} batches: {}", refused.stderr.trim());
    assert!(kept > 2);
    println!("{}", last_lines(&system.said(), 6));
    assert_clear(&refused);
    // Room comes from outside: the ballast that an operator removes.
    if let Err(error) = system.stop() {
        println!("the full server ended so: {error}");
    }
    disk.resize(64).unwrap();
    system.restart().unwrap();
    put_files(&ben, &mut chance, "after", &[1_000_000]).success().unwrap();
    let scratch = tempfile::tempdir().unwrap();
    let found = read_back(&ann, scratch.path()).unwrap();
    for number in 0..kept {
        let sizes: Vec<usize> = (0..3).map(|file| found[&format!("batch-{number}/{file}")].len()).collect();
        assert_eq!(sizes, [1_000_000, 1_000_000, 3_000]);
    }
    assert!(tree::read(system.data()).unwrap().len() > 3);
    system.stop().unwrap();
    // What a refused upload left behind is for the sweep, and no damage.
    system.operate(&["sweep"]).unwrap().success().unwrap();
    system.check().unwrap();
}
