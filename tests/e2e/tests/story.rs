//! The whole story with the real programs, on every kind of storage: two people, activation, a tree put, shared and got back, versions,
//! trash, an ended share, and a restart in the middle.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

use std::path::{Path, PathBuf};
use std::time::Instant;

use ticrypt_e2e::audit::AuditLog;
use ticrypt_e2e::chance::Chance;
use ticrypt_e2e::person::{Person, two_people};
use ticrypt_e2e::postgres::Postgres;
use ticrypt_e2e::s3::S3;
use ticrypt_e2e::system::{Options, System};
use ticrypt_e2e::tree;
use ticrypt_e2e::witness::Witness;

/// Around every limit: empty, small, the largest that travels with metadata, one chunk, two chunks.
const SIZES: [usize; 12] = [0, 1, 700, 65_471, 65_472, 65_473, 70_000, 1_000_000, 8_388_607, 8_388_608, 8_388_609, 5];

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn got(person: &Person, vault: &str, place: &Path) -> PathBuf {
    let target = place.join(format!("got-{}", std::fs::read_dir(place).unwrap().count()));
    std::fs::create_dir(&target).unwrap();
    person.get(vault, &target).unwrap().success().unwrap();
    target
}

fn story(options: &Options, with_witness: bool) {
    let began = Instant::now();
    let mut chance = Chance::from_environment("story");
    let scratch = tempfile::tempdir().unwrap();
    let place = scratch.path();
    let mut system = System::start(options).unwrap();
    let [ann, ben] = two_people(&system).unwrap();
    let mut witness = None;
    if with_witness {
        // A witness that comes later: people take in the new deployment file, which names it.
        let started = Witness::start(&place.join("witness"), &system.deployment_file()).unwrap();
        system.configure(&started.configuration()).unwrap();
        system.stop().unwrap();
        system.restart().unwrap();
        started.await_countersignatures(system.data()).unwrap();
        for person in [&ann, &ben] {
            person.import(&system).unwrap();
        }
        witness = Some(started);
    }

    // Put and back again.
    let tree_place = place.join("project");
    std::fs::create_dir(&tree_place).unwrap();
    tree::plant(&tree_place, &mut chance, &SIZES).unwrap();
    ann.put(&tree_place, "/").unwrap().success().unwrap();
    let back = got(&ann, "/project", place);
    assert_same(&tree_place, &back.join("project"));

    // A server that was away is the same server.
    system.stop().unwrap();
    system.restart().unwrap();

    // Shared: a colleague has the same, and may not write.
    assert_eq!(ben.run(&["get", "/@shared/ann/project", text(place)]).unwrap().code(), 4);
    ann.run(&["share", "/project", "ben", "--view-only"]).unwrap().success().unwrap();
    assert_same(&tree_place, &got(&ben, "/@shared/ann/project", place).join("project"));
    let note = place.join("note.txt");
    std::fs::write(&note, "first").unwrap();
    assert!(!ben.put(&note, "/@shared/ann/project").unwrap().status.success());

    // Versions: the newest is what is read, an older one comes back.
    ann.put(&note, "/project").unwrap().success().unwrap();
    assert!(!ann.put(&note, "/project").unwrap().status.success(), "overwritten without being told to");
    std::fs::write(&note, "second").unwrap();
    ann.run(&["put", "--force", text(&note), "/project"]).unwrap().success().unwrap();
    let read = |person: &Person, vault: &str| person.run(&["cat", vault]).unwrap().success().unwrap().stdout;
    assert_eq!(read(&ben, "/@shared/ann/project/note.txt"), "second");
    let versions = ann.run(&["--json", "versions", "list", "/project/note.txt"]).unwrap().success().unwrap().json().unwrap();
    assert_eq!(versions.as_array().unwrap().len(), 2, "{versions}");
    ann.run(&["versions", "restore", "/project/note.txt", "1"]).unwrap().success().unwrap();
    assert_eq!(read(&ann, "/project/note.txt"), "first");

    // Trash: gone, and back.
    ann.run(&["rm", "/project/note.txt"]).unwrap().success().unwrap();
    assert_eq!(ann.run(&["cat", "/project/note.txt"]).unwrap().code(), 4);
    assert_eq!(ben.run(&["cat", "/@shared/ann/project/note.txt"]).unwrap().code(), 4);
    ann.run(&["trash", "restore", "/project/note.txt"]).unwrap().success().unwrap();
    assert_eq!(read(&ann, "/project/note.txt"), "first");

    // Renamed and moved, the content stays.
    ann.run(&["mkdir", "/archive"]).unwrap().success().unwrap();
    ann.run(&["mv", "/project/note.txt", "/archive/old note.txt"]).unwrap().success().unwrap();
    assert_eq!(read(&ann, "/archive/old note.txt"), "first");

    // Unshared: nothing more is seen, and what is written then has new keys.
    ann.run(&["unshare", "/project", "ben"]).unwrap().success().unwrap();
    assert_eq!(ben.run(&["ls", "/@shared/ann/project"]).unwrap().code(), 4);
    ann.put(&note, "/project").unwrap().success().unwrap();
    assert_eq!(read(&ann, "/project/note.txt"), "second");

    // Gone for good.
    ann.run(&["rm", "/archive/old note.txt", "--forever", "--yes"]).unwrap().success().unwrap();
    assert_eq!(ann.run(&["cat", "/archive/old note.txt"]).unwrap().code(), 4);

    // Another device of the same person sees it all.
    let tablet = ann.another_device(&system).unwrap();
    tablet.login().unwrap();
    let back = got(&tablet, "/project", place);
    std::fs::remove_file(back.join("project/note.txt")).unwrap();
    assert_same(&tree_place, &back.join("project"));

    for person in [&ann, &ben] {
        person.run(&["audit", "verify"]).unwrap().success().unwrap();
    }
    if witness.is_some() {
        let export = place.join("export");
        ann.run(&["audit", "export", text(&export)]).unwrap().success().unwrap();
        let verified = ann.run(&["--json", "audit", "verify", "--dir", text(&export)]).unwrap().success().unwrap().json().unwrap();
        assert!(verified[0]["witnessed_size"].as_u64().unwrap() > 0, "{verified}");
    }
    ben.run(&["logout"]).unwrap().success().unwrap();
    assert_eq!(ben.run(&["ls", "/"]).unwrap().code(), 3);

    system.stop().unwrap();
    system.check().unwrap();
    let outcomes = AuditLog::read(system.data()).unwrap().outcomes();
    for operation in ["user.register", "session.login", "node.create", "grant.create", "grant.revoke", "content.open"] {
        assert!(outcomes.keys().any(|(name, _)| name == operation), "{operation} is not in the audit log: {outcomes:?}");
    }
    println!("{} kinds of outcomes in the audit log; {:.1} s", outcomes.len(), began.elapsed().as_secs_f64());
}

fn assert_same(one: &Path, other: &Path) {
    let [one, other] = [one, other].map(|root| tree::read(root).unwrap());
    assert_eq!(one.keys().collect::<Vec<_>>(), other.keys().collect::<Vec<_>>());
    for (path, content) in &one {
        assert!(other[path] == *content, "{path} is not what it was");
    }
}

#[test]
fn on_sqlite_and_a_folder_with_a_witness() {
    story(&Options::default(), true);
}

#[test]
fn on_postgresql() {
    let server = Postgres::start().unwrap();
    story(&Options { database: Some(server.database("ticrypt").unwrap()), ..Options::default() }, false);
}

#[test]
fn with_chunks_on_s3() {
    let objects = tempfile::tempdir().unwrap();
    let server = S3::start(objects.path()).unwrap();
    story(&Options::default().on_s3(&server), false);
    assert!(!tree::read(&server.objects()).unwrap().is_empty(), "nothing was stored in the bucket");
}
