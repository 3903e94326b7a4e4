//! Into the vault and out again, against the real server.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod vault_system;

use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::time::{Duration, UNIX_EPOCH};

use ticrypt_client::Kind;
use ticrypt_client::vault::Vault;
use ticrypt_client::vault::exclude::Exclude;
use ticrypt_client::vault::get::{GetLinks, GetOptions};
use ticrypt_client::vault::listing::{ListedKind, Query};
use ticrypt_client::vault::plan::IfExists;
use ticrypt_client::vault::progress::{Cancel, Outcome, Quiet, Report};
use ticrypt_client::vault::put::PutOptions;
use ticrypt_client::vault::source::{Links, Reading};
use vault_system::{System, path, tree};

async fn put(vault: &Vault, source: &Path, to: &str, if_exists: IfExists) -> Report {
    let options = PutOptions { if_exists, ..PutOptions::default() };
    vault.put(&[source.to_owned()], &path(to), &options, &Quiet, &Cancel::new()).await.unwrap()
}

async fn get(vault: &Vault, from: &str, to: &Path, if_exists: IfExists) -> Report {
    let options = GetOptions { if_exists, ..GetOptions::default() };
    vault.get(&[path(from)], to, &options, &Quiet, &Cancel::new()).await.unwrap()
}

fn bytes(len: usize, seed: u8) -> Vec<u8> {
    (0..len).map(|i| (i as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes()[0] ^ seed).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tree_comes_back_as_it_was() {
    let mut system = System::start();
    let ann = system.person("ann").await;
    let place = tempfile::tempdir().unwrap();
    let root = place.path().join("tree");
    for directory in ["", "empty", "deep/er/est", "é and space"] {
        std::fs::create_dir_all(root.join(directory)).unwrap();
    }
    const CHUNK: usize = 8 * 1024 * 1024;
    for (name, len) in [
        ("nothing", 0),
        ("one", 1),
        ("small", 65_536 - 64),
        ("just large", 65_536 - 63),
        ("deep/er/est/medium", 300_000),
        ("chunk", CHUNK),
        ("chunk and one", CHUNK + 1),
        ("é and space/three", 2 * CHUNK + 12_345),
    ] {
        std::fs::write(root.join(name), bytes(len, 7)).unwrap();
    }
    std::fs::set_permissions(root.join("one"), PermissionsExt::from_mode(0o755)).unwrap();
    let then = UNIX_EPOCH + Duration::from_millis(1_234_567_890_123);
    std::fs::File::open(root.join("small")).unwrap().set_modified(then).unwrap();
    std::fs::File::open(root.join("deep/er")).unwrap().set_modified(then).unwrap();

    let report = put(&ann.vault, &root, "/", IfExists::Fail).await;
    assert_eq!((report.files, report.directories, &report.notes[..]), (8, 6, &[][..]));

    let back = place.path().join("back");
    std::fs::create_dir(&back).unwrap();
    let report = get(&ann.fresh_view(), "/tree", &back, IfExists::Fail).await;
    assert_eq!((report.files, report.directories, &report.notes[..]), (8, 6, &[][..]));
    assert_eq!(tree(&root), tree(&back.join("tree")));
    let meta = |name: &str| std::fs::metadata(back.join("tree").join(name)).unwrap();
    assert_eq!(meta("one").permissions().mode() & 0o111, 0o111);
    assert_eq!(meta("small").permissions().mode() & 0o111, 0);
    assert_eq!(meta("small").modified().unwrap(), then);
    assert_eq!(meta("deep/er").modified().unwrap(), then);

    // Given again: an error without a word about it, unchanged with --skip, and nothing is overwritten.
    let again = put(&ann.vault, &root, "/", IfExists::Fail).await;
    assert_eq!((again.files, again.notes.iter().filter(|note| note.outcome == Outcome::Failed).count()), (0, 8));
    let again = put(&ann.vault, &root, "/", IfExists::Skip).await;
    assert_eq!((again.files, again.unchanged, again.notes.len()), (0, 8, 0));
    let again = get(&ann.vault, "/tree", &back, IfExists::Fail).await;
    assert!(again.is_partial() && again.files == 0);
    assert_eq!(get(&ann.vault, "/tree", &back, IfExists::Skip).await.unchanged, 8);
    std::fs::write(back.join("tree/one"), b"mine").unwrap();
    assert_eq!(get(&ann.vault, "/tree", &back, IfExists::Skip).await.notes[0].outcome, Outcome::Skipped);
    assert_eq!(std::fs::read(back.join("tree/one")).unwrap(), b"mine");
    get(&ann.vault, "/tree", &back, IfExists::KeepBoth).await;
    assert_eq!(std::fs::read(back.join("tree/one (2)")).unwrap(), bytes(1, 7));
    get(&ann.vault, "/tree", &back, IfExists::Force).await;
    assert_eq!(std::fs::read(back.join("tree/one")).unwrap(), bytes(1, 7));
    assert!(!std::fs::read_dir(back.join("tree")).unwrap().any(|e| e.unwrap().file_name().to_str().unwrap().starts_with(".ticrypt")));

    // What is stored tells nothing of names or contents.
    let names = ann.vault.find(&path("/"), &Query::default()).await.unwrap();
    assert_eq!(names.len(), 1 + 8 + 6);
    let usage = ann.vault.usage(&path("/"), 1).await.unwrap();
    let total: u64 = [0, 1, 65_472, 65_473, 300_000, CHUNK, CHUNK + 1, 2 * CHUNK + 12_345].iter().map(|n| *n as u64).sum();
    assert_eq!(
        usage.iter().map(|u| (u.path.as_str(), u.files, u.directories, u.bytes)).collect::<Vec<_>>(),
        [("/tree", 8, 5, total), ("/", 8, 6, total)]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn many_small_files_and_what_cannot_be_put() {
    let mut system = System::start();
    let ann = system.person("ann").await;
    let place = tempfile::tempdir().unwrap();
    let root = place.path().join("many");
    std::fs::create_dir(&root).unwrap();
    for i in 0..4_321 {
        std::fs::write(root.join(format!("file {i:05}")), format!("content {i}")).unwrap();
    }
    symlink("file 00001", root.join("link")).unwrap();
    std::fs::write(root.join("left.out"), b"").unwrap();
    std::fs::write(root.join(unsafe_name()), b"").unwrap();
    let options =
        PutOptions { reading: Reading { links: Links::Record, exclude: Exclude::parse(&["*.out"]).unwrap() }, ..PutOptions::default() };
    let report = ann.vault.put(std::slice::from_ref(&root), &path("/"), &options, &Quiet, &Cancel::new()).await.unwrap();
    assert_eq!((report.files, report.directories), (4_322, 1));
    assert_eq!(report.notes.iter().map(|note| note.outcome).collect::<Vec<_>>(), [Outcome::Failed]);

    let vault = ann.fresh_view();
    let listed = vault.list(&path("/many")).await.unwrap();
    assert_eq!(listed.len(), 4_322);
    let link = vault.stat(&path("/many/link")).await.unwrap();
    assert_eq!((link.kind, link.size_bytes), (ListedKind::Link, Some(10)));
    let back = place.path().join("back");
    std::fs::create_dir(&back).unwrap();
    let report = get(&vault, "/many", &back, IfExists::Fail).await;
    assert_eq!((report.files, report.notes.len()), (4_321, 1));
    assert_eq!(std::fs::read(back.join("many/file 04320")).unwrap(), b"content 4320");
    assert!(!back.join("many/link").exists());
    let text = GetOptions { links: GetLinks::Text, if_exists: IfExists::Skip, dry_run: false };
    vault.get(&[path("/many/link")], &back, &text, &Quiet, &Cancel::new()).await.unwrap();
    assert_eq!(std::fs::read(back.join("link")).unwrap(), b"file 00001");
    assert!(std::fs::symlink_metadata(back.join("link")).unwrap().is_file());
}

fn unsafe_name() -> std::ffi::OsString {
    use std::os::unix::ffi::OsStrExt;
    std::ffi::OsStr::from_bytes(b"\xff\xfe").to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn versions_names_and_the_trash() {
    let mut system = System::start();
    let ann = system.person("ann").await;
    let vault = &ann.vault;
    let place = tempfile::tempdir().unwrap();
    let note = place.path().join("note");
    for (number, text) in ["first", "second", "third"].iter().enumerate() {
        std::fs::write(&note, text).unwrap();
        let mode = if number == 0 { IfExists::Fail } else { IfExists::Force };
        assert_eq!(put(vault, &note, "/", mode).await.files, 1);
    }
    let (_, versions) = vault.versions(&path("/note")).await.unwrap();
    assert_eq!(versions.iter().map(|v| (v.sequence, v.is_current)).collect::<Vec<_>>(), [(3, true), (2, false), (1, false)]);
    let out = place.path().join("old");
    vault.get_version(&path("/note"), "1", &out, IfExists::Fail, &Quiet, &Cancel::new()).await.unwrap();
    assert_eq!(std::fs::read(&out).unwrap(), b"first");
    assert_eq!(vault.restore_version(&path("/note"), "2").await.unwrap(), 4);
    assert_eq!(read(vault, "/note").await, b"second");
    let kept = put(vault, &note, "/", IfExists::KeepBoth).await;
    assert_eq!((kept.files, kept.notes[0].outcome), (1, Outcome::Renamed));
    assert_eq!(read(vault, "/note (2)").await, b"third");

    vault.mkdir(&path("/a/b/c"), true).await.unwrap();
    assert_eq!(vault.mkdir(&path("/a"), false).await.unwrap_err().kind(), Kind::Taken);
    assert_eq!(vault.mkdir(&path("/x/y"), false).await.unwrap_err().kind(), Kind::NotFound);
    let moved = vault.mv(&path("/note"), &path("/a/b"), &Quiet, &Cancel::new()).await.unwrap();
    assert_eq!(moved, path("/a/b/note"));
    vault.mv(&path("/a/b"), &path("/a/renamed"), &Quiet, &Cancel::new()).await.unwrap();
    assert_eq!(read(vault, "/a/renamed/note").await, b"second");
    assert_eq!(vault.mv(&path("/a"), &path("/a/renamed"), &Quiet, &Cancel::new()).await.unwrap_err().code(), "into_itself");
    assert_eq!(vault.mv(&path("/note (2)"), &path("/a/renamed/note"), &Quiet, &Cancel::new()).await.unwrap_err().kind(), Kind::Taken);

    let (copy, report) = vault.cp(&path("/a"), &path("/copy"), &Quiet, &Cancel::new()).await.unwrap();
    assert_eq!((copy.text().as_str(), report.files, report.directories), ("/copy", 1, 3));
    assert_eq!(read(vault, "/copy/renamed/note").await, b"second");

    vault.rm(&[path("/a/renamed/note"), path("/note (2)")]).await.unwrap();
    assert_eq!(vault.resolve(&path("/a/renamed/note")).await.unwrap_err().kind(), Kind::NotFound);
    let trash = vault.trash_list().await.unwrap();
    assert_eq!(trash.iter().map(|item| item.path.as_str()).collect::<Vec<_>>(), ["/a/renamed/note", "/note (2)"]);
    std::fs::write(&note, "in the way").unwrap();
    put(vault, &note, "/a/renamed", IfExists::Fail).await;
    let back = vault.trash_restore(&trash[..1]).await.unwrap();
    assert_eq!(back, [path("/a/renamed/note (2)")]);
    assert_eq!(read(vault, "/a/renamed/note (2)").await, b"second");
    let deleted = vault.delete(&[trash[1].node]).await.unwrap();
    assert_eq!((deleted.nodes, deleted.versions), (1, 1));
    assert!(vault.trash_list().await.unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_log_tells_what_was_done_with_a_file() {
    let mut system = System::start();
    let ann = system.person("ann").await;
    let place = tempfile::tempdir().unwrap();
    let note = place.path().join("note");
    std::fs::write(&note, "first").unwrap();
    put(&ann.vault, &note, "/", IfExists::Fail).await;
    std::fs::write(&note, "second").unwrap();
    put(&ann.vault, &note, "/", IfExists::Force).await;
    let history = ann.vault.history(&path("/note"), 100).await.unwrap();
    for operation in ["node.create", "version.publish"] {
        assert!(history.iter().any(|row| row.operation == operation), "{operation}: {history:?}");
    }
}

async fn read(vault: &Vault, at: &str) -> Vec<u8> {
    let found = vault.resolve(&path(at)).await.unwrap();
    let content = vault.open_one(ticrypt_client::vault::open::Wanted { file: found.held, manifest: None, keep: true }).await.unwrap();
    vault.read_whole(&content).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_interrupted_upload_and_download_go_on_where_they_stopped() {
    let mut system = System::start();
    let ann = system.person("ann").await;
    let place = tempfile::tempdir().unwrap();
    let large = place.path().join("large");
    let content = bytes(9 * 8 * 1024 * 1024 + 5, 3);
    std::fs::write(&large, &content).unwrap();

    let stop_at = |bytes: u64, cancel: &Cancel| StopAt { left: std::sync::atomic::AtomicU64::new(bytes), cancel: cancel.clone() };
    let cancel = Cancel::new();
    let stop = stop_at(30_000_000, &cancel);
    let options = PutOptions::default();
    let error = ann.vault.put(std::slice::from_ref(&large), &path("/"), &options, &stop, &cancel).await.unwrap_err();
    assert_eq!(error.code(), "cancelled");
    assert!(ann.vault.list(&path("/")).await.unwrap().is_empty(), "half of a file is visible");
    let uploads = ann.session.person_dir().unwrap().join("uploads");
    let journal = || std::fs::read_dir(&uploads).unwrap().next().map(|entry| std::fs::read_to_string(entry.unwrap().path()).unwrap());
    let before = journal().unwrap();
    let chunks = before.lines().count() - 1;
    assert!(chunks >= 3, "{before}");
    let report = put(&ann.fresh_view(), &large, "/", IfExists::Fail).await;
    assert!(!report.is_partial(), "{report:?}");
    assert_eq!(journal(), None);
    assert_eq!(read(&ann.vault, "/large").await, content);
    // The chunks of the first attempt are those that were published.
    let version: String = before
        .lines()
        .next()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap()["version"].as_str().unwrap().to_owned())
        .unwrap();
    let (_, versions) = ann.vault.versions(&path("/large")).await.unwrap();
    assert_eq!(versions[0].version.to_string(), version);

    // The same for a download.
    let cancel = Cancel::new();
    let stop = stop_at(30_000_000, &cancel);
    let back = place.path().join("back");
    std::fs::create_dir(&back).unwrap();
    let error = ann.vault.get(&[path("/large")], &back, &GetOptions::default(), &stop, &cancel).await.unwrap_err();
    assert_eq!(error.code(), "cancelled");
    let names = || -> Vec<String> {
        let mut names: Vec<_> = std::fs::read_dir(&back).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    };
    assert_eq!(names().len(), 2, "{:?}", names());
    // A damaged part is noticed, and fetched again.
    let part = back.join(names().iter().find(|name| name.ends_with(".part")).unwrap());
    let mut damaged = std::fs::read(&part).unwrap();
    damaged[100] ^= 1;
    std::fs::write(&part, damaged).unwrap();
    get(&ann.vault, "/large", &back, IfExists::Fail).await;
    assert_eq!(names(), ["large"]);
    assert_eq!(std::fs::read(back.join("large")).unwrap(), content);

    // A source that changed between two attempts is not mixed with its former self.
    let cancel = Cancel::new();
    let stop = stop_at(30_000_000, &cancel);
    let other = place.path().join("other");
    std::fs::write(&other, &content).unwrap();
    ann.vault.put(std::slice::from_ref(&other), &path("/"), &options, &stop, &cancel).await.unwrap_err();
    let changed = bytes(9 * 8 * 1024 * 1024 + 5, 4);
    std::fs::write(&other, &changed).unwrap();
    put(&ann.vault, &other, "/", IfExists::Fail).await;
    assert_eq!(read(&ann.vault, "/other").await, changed);
}

/// Ends the work after so many bytes.
struct StopAt {
    left: std::sync::atomic::AtomicU64,
    cancel: Cancel,
}

impl ticrypt_client::vault::progress::Progress for StopAt {
    fn advance(&self, bytes: u64) {
        use std::sync::atomic::Ordering;
        if self.left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(bytes)).is_err() {
            self.cancel.cancel();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_programs_of_one_person_write_into_one_directory() {
    let mut system = System::start();
    let ann = system.person("ann").await;
    ann.vault.home().await.unwrap();
    let place = tempfile::tempdir().unwrap();
    let mut writers = Vec::new();
    for writer in 0..4 {
        let root = place.path().join(format!("from {writer}"));
        std::fs::create_dir(&root).unwrap();
        let mut sources = Vec::new();
        for i in 0..10 {
            let file = root.join(format!("{writer}-{i}"));
            std::fs::write(&file, format!("{writer} {i}")).unwrap();
            sources.push(file);
        }
        let vault = ann.fresh_view();
        writers.push(async move {
            for source in sources {
                let report = put(&vault, &source, "/", IfExists::Fail).await;
                assert_eq!(report.files, 1, "{report:?}");
            }
        });
    }
    futures::future::join_all(writers).await;
    assert_eq!(ann.vault.list(&path("/")).await.unwrap().len(), 40);
}
