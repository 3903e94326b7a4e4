//! Tags on files and directories by the command line: data of two states that never meet.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod support;

use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use support::{again, begin, enrol, marked, put};

#[test]
fn what_carries_a_state_opens_to_who_works_in_it() {
    let (backend, admin) = begin();
    let pi = enrol(&backend, &admin, "pi");
    let ada = enrol(&backend, &admin, "ada");
    let given = ["project.create", "project.create-child", "project.manage-members", "project.declassify"];
    admin.run(&[&["users", "permissions", "pi", "--give"], &given[..]].concat()).ok();
    pi.run(&["project", "create", "Federal", "--tag", "US"]).ok();
    for state in ["Florida", "Texas"] {
        pi.run(&["project", "create", state, "--below", "Federal"]).ok();
        pi.run(&["project", "add", state, "ada", "--above"]).ok();
    }
    again(&pi);
    again(&ada);
    pi.run(&["mkdir", "/study"]).ok();
    pi.run(&["mkdir", "/study/fl"]).ok();
    put(&pi, "x.txt", "oranges", "/study/fl").ok();
    put(&pi, "open.txt", "for all", "/study").ok();
    pi.run(&["share", "/study", "ada", "--edit"]).ok();
    assert_eq!(ada.run(&["cat", "/@shared/pi/study/fl/x.txt"]).ok().stdout, "oranges");

    // Who tags works in the project; whoever does not sees a name.
    pi.run(&["tag", "/study/fl", "Florida"]).fails(3, "not in your working set");
    pi.run(&["work", "Florida"]).ok();
    let tags = pi.json(&["tag", "/study/fl", "Florida"]);
    assert_eq!((tags[0]["path"].as_str(), tags[0]["own"].as_bool()), (Some("Federal/Florida"), Some(true)));
    assert_eq!(marked(&pi.json(&["ls", "/study"])), ["fl#", "open.txt"]);
    assert_eq!(pi.run(&["cat", "/study/fl/x.txt"]).ok().stdout, "oranges");
    assert_eq!(marked(&ada.json(&["ls", "/@shared/pi/study"])), ["fl?", "open.txt"]);
    ada.run(&["cat", "/@shared/pi/study/fl/x.txt"]).fails(3, "locked");
    // The project shares nothing by itself, and a share from above does not reach in.
    ada.run(&["work", "Florida"]).ok();
    ada.run(&["cat", "/@shared/pi/study/fl/x.txt"]).fails(3, "locked");
    pi.run(&["share", "/study/fl", "ada", "--edit"]).ok();
    assert_eq!(ada.run(&["cat", "/@shared/pi/study/fl/x.txt"]).ok().stdout, "oranges");
    assert_eq!(marked(&ada.json(&["ls", "/@shared/pi"])), ["fl", "study"]);
    put(&ada, "y.txt", "more", "/@shared/pi/study/fl").ok();
    ada.run(&["work", "Texas"]).ok();
    ada.run(&["cat", "/@shared/pi/study/fl/x.txt"]).fails(3, "locked");
    assert_eq!(ada.json(&["ls", "/@shared/pi"]).as_array().unwrap().iter().filter(|one| one["locked"] == true).count(), 1);
    put(&ada, "z.txt", "cows", "/@shared/pi/study/fl").fails(3, "locked");

    // No write-down, by whatever way.
    put(&pi, "new.txt", "changed", "/study").fails(3, "tags equal your working set");
    pi.run(&["cp", "/study/fl/x.txt", "/study/copy.txt"]).fails(3, "tags equal your working set");
    pi.run(&["mv", "/study/fl/x.txt", "/study/x.txt"]).ok();
    assert_eq!(marked(&pi.json(&["ls", "/study"])), ["fl#", "open.txt", "x.txt#"], "a move keeps the tag");
    pi.run(&["mv", "/study/open.txt", "/study/fl"]).fails(3, "tags equal your working set");
    pi.run(&["tag", "/study/x.txt", "Texas"]).fails(3, "sibling");
    pi.run(&["mv", "/study/fl", "/study/florida"]).ok();
    assert_eq!(pi.run(&["cat", "/study/florida/y.txt"]).ok().stdout, "more");

    // An export has the keys of what is tagged, each in its grant, and opens without the server.
    pi.run(&["export", pi.path("export").to_str().unwrap()]).ok();
    if let Some(python) = std::env::var_os("TICRYPT_DECRYPT_PYTHON") {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tools/decrypt/ticrypt_decrypt.py");
        let mut decrypt = std::process::Command::new(python);
        decrypt.arg("-B").arg(script).arg(pi.path("export")).arg(key_file(&pi.path("home"))).arg(pi.path("opened"));
        let decrypted = decrypt.arg("--passphrase-file").arg(pi.path("passphrase")).output().unwrap();
        assert!(decrypted.status.success(), "{}", String::from_utf8_lossy(&decrypted.stderr));
        let opened = files_in(&pi.path("opened"));
        for (name, text) in [("florida/y.txt", "more"), ("study/x.txt", "oranges"), ("study/open.txt", "for all")] {
            let path = opened.iter().find(|path| path.ends_with(name)).unwrap_or_else(|| panic!("{name}: {opened:?}"));
            assert_eq!(std::fs::read_to_string(path).unwrap(), text);
        }
    }

    // A walk over a tree leaves what is locked, and says so.
    pi.run(&["work", "--none"]).ok();
    assert_eq!(marked(&pi.json(&["ls", "/study"])), ["florida?", "open.txt", "x.txt?"]);
    let x = pi.json(&["ls", "/study"]).as_array().unwrap().iter().find(|one| one["name"] == "x.txt").unwrap().clone();
    assert_eq!((x["size_bytes"].as_u64(), x["sha256"].is_null()), (Some(7), true), "of a locked file the size is shown");
    let (out, to) = (pi.path("out"), pi.path("out").to_str().unwrap().to_owned());
    std::fs::create_dir(&out).unwrap();
    let got = pi.json(&["get", "/study", &to]);
    assert_eq!(got["notes"].as_array().unwrap().iter().filter(|note| note["outcome"] == "locked").count(), 2, "{got}");
    assert!(out.join("study/open.txt").exists() && !out.join("study/x.txt").exists());
    pi.run(&["unshare", "/study", "ada"]).ok();
    put(&pi, "new.txt", "changed", "/study").ok();

    // Into the trash and back; a project in use stays.
    pi.run(&["work", "Florida"]).ok();
    pi.run(&["rm", "/study/x.txt"]).ok();
    assert_eq!(pi.json(&["trash", "list"]).as_array().unwrap().len(), 1);
    pi.run(&["work", "--none"]).ok();
    assert_eq!(pi.json(&["trash", "list"]).as_array().unwrap().len(), 0, "what is locked is not listed");
    pi.run(&["work", "Florida"]).ok();
    pi.run(&["trash", "restore", "/study/x.txt"]).ok();
    assert_eq!(marked(&pi.json(&["ls", "/study"])), ["florida#", "new.txt", "open.txt", "x.txt#"]);
    pi.run(&["project", "delete", "Florida"]).fails(3, "carries the tag");

    // Taking the tag away is for the project's managers.
    ada.run(&["work", "Florida"]).ok();
    ada.run(&["tag", "/@shared/pi/florida", "--none"]).fails(3, "is the top of");
    pi.run(&["tag", "/study/x.txt", "--none"]).ok();
    pi.run(&["tag", "/study/x.txt", "--none"]).fails(3, "nothing to do");
    pi.run(&["work", "--none"]).ok();
    assert_eq!(pi.run(&["cat", "/study/x.txt"]).ok().stdout, "oranges");
    assert_eq!(marked(&pi.json(&["ls", "/study"])), ["florida?", "new.txt", "open.txt", "x.txt"]);
}

/// All files below.
fn files_in(folder: &Path) -> Vec<PathBuf> {
    let below = |entry: std::io::Result<std::fs::DirEntry>| {
        let path = entry.unwrap().path();
        if path.is_dir() { files_in(&path) } else { vec![path] }
    };
    std::fs::read_dir(folder).map_or(Vec::new(), |entries| entries.flat_map(below).collect())
}

fn bytes_in(folder: &Path) -> u64 {
    files_in(folder).iter().map(|path| path.metadata().map_or(0, |data| data.len())).sum()
}

/// The one key file of a home.
fn key_file(home: &Path) -> PathBuf {
    files_in(home).into_iter().find(|path| path.extension().is_some_and(|ending| ending == "key")).unwrap()
}

fn signal(child: &Child, name: &str) {
    assert!(std::process::Command::new("kill").args([name, &child.id().to_string()]).status().unwrap().success());
}

#[test]
fn a_download_under_way_ends_with_the_membership() {
    const SIZE: u64 = 96 << 20;
    let (backend, admin) = begin();
    let pi = enrol(&backend, &admin, "pi");
    let ada = enrol(&backend, &admin, "ada");
    admin.run(&["users", "permissions", "pi", "--give", "project.create", "project.manage-members"]).ok();
    pi.run(&["project", "create", "Florida"]).ok();
    pi.run(&["project", "add", "Florida", "ada"]).ok();
    again(&pi);
    again(&ada);
    pi.run(&["mkdir", "/study"]).ok();
    std::fs::File::create(pi.path("big")).unwrap().set_len(SIZE).unwrap();
    pi.run(&["put", pi.path("big").to_str().unwrap(), "/study"]).ok();
    pi.run(&["work", "Florida"]).ok();
    pi.run(&["tag", "/study", "Florida"]).ok();
    pi.run(&["share", "/study", "ada"]).ok();
    ada.run(&["work", "Florida"]).ok();

    let out = ada.path("out");
    std::fs::create_dir(&out).unwrap();
    let mut get = ada.command();
    let mut get =
        get.args(["get", "/@shared/pi/study", out.to_str().unwrap()]).stderr(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
    let begun = Instant::now();
    while bytes_in(&out) == 0 {
        assert!(begun.elapsed() < Duration::from_secs(30), "nothing came");
        #[allow(clippy::disallowed_methods, reason = "another program writes files, and says nothing")]
        std::thread::sleep(Duration::from_millis(2));
    }
    // Held up, it takes nothing more; what the server has ready for it must not wait for it.
    signal(&get, "-STOP");
    pi.run(&["project", "remove", "Florida", "ada"]).ok();
    signal(&get, "-CONT");
    let ended = get.wait().unwrap();
    let mut told = String::new();
    std::io::Read::read_to_string(&mut get.stderr.take().unwrap(), &mut told).unwrap();
    assert!(!ended.success() && told.contains("working set"), "{ended}: {told}");
    assert!(bytes_in(&out) < SIZE, "all of it came");
    ada.run(&["get", "/@shared/pi/study", out.to_str().unwrap()]).fails(3, "locked");
}
