//! Groups by the command line: a key and a directory that their members share, and that nobody else ever has.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod support;

use serde_json::Value;
use support::{Device, begin, enrol, put};

fn names(listed: &Value) -> Vec<&str> {
    listed.as_array().unwrap().iter().map(|one| one["name"].as_str().unwrap()).collect()
}

fn show(device: &Device, group: &str) -> Value {
    device.json(&["group", "show", group])
}

/// Name, role and whether they wait for a key.
fn members(device: &Device, group: &str) -> Vec<(String, String, bool)> {
    let word = |one: &Value, key: &str| one[key].as_str().unwrap().to_owned();
    let all = show(device, group)["member"].as_array().unwrap().clone();
    all.iter().map(|one| (word(one, "name"), word(one, "role"), one["waits"].as_bool().unwrap())).collect()
}

#[test]
fn a_group_belongs_to_its_members() {
    let (backend, admin) = begin();
    let [pi, ada, bob, eve] = ["pi", "ada", "bob", "eve"].map(|name| enrol(&backend, &admin, name));

    // Made with a directory; who is in it reads and writes there, each by their own permissions.
    pi.run(&["group", "create", "genomics", "ada"]).ok();
    assert_eq!(names(&pi.json(&["ls", "/@groups"])), ["genomics"]);
    put(&pi, "x.txt", "acgt", "/@groups/genomics").ok();
    assert_eq!(ada.run(&["cat", "/@groups/genomics/x.txt"]).ok().stdout, "acgt");
    ada.run(&["mkdir", "/@groups/genomics/runs"]).ok();
    put(&ada, "y.txt", "more", "/@groups/genomics/runs").ok();
    ada.run(&["rm", "/@groups/genomics/x.txt"]).fails(3, "ask for edit");
    ada.run(&["group", "add", "genomics", "bob"]).fails(3, "add-members");
    pi.run(&["group", "add", "genomics", "bob", "--read-only"]).ok();
    assert_eq!(bob.run(&["cat", "/@groups/genomics/runs/y.txt"]).ok().stdout, "more");
    put(&bob, "z.txt", "mine", "/@groups/genomics").fails(3, "ask for edit");
    let told = bob.json(&["notifications"]);
    assert!(told.as_array().unwrap().iter().any(|one| one["kind"] == "group-joined"), "{told}");
    // Nobody else knows that it is there, the administrator neither; and nothing of it is shared on.
    for outsider in [&eve, &admin] {
        assert!(outsider.json(&["group", "list"]).as_array().unwrap().is_empty());
        outsider.run(&["ls", "/@groups/genomics"]).fails(4, "no group called");
    }
    pi.run(&["share", "/@groups/genomics/runs", "eve"]).fails(3, "members and nobody else");

    // Who changes what.
    ada.run(&["group", "permit", "genomics", "bob", "--manager"]).fails(3, "change-permissions");
    pi.run(&["group", "permit", "genomics", "ada", "--manager"]).ok();
    ada.run(&["group", "permit", "genomics", "bob", "--may", "modify-tag"]).fails(3, "only permissions one has");
    ada.run(&["group", "permit", "genomics", "pi", "--read-only"]).fails(3, "owner stays");
    ada.run(&["group", "permit", "genomics", "bob"]).ok();
    put(&bob, "z.txt", "mine", "/@groups/genomics").ok();
    pi.run(&["group", "leave", "genomics"]).fails(3, "handed over first");

    // Taken out: no key from then on, and the next who writes makes the directory's keys anew.
    bob.run(&["ls", "/@groups/genomics"]).ok();
    ada.run(&["group", "remove", "genomics", "bob"]).ok();
    bob.run(&["ls", "/@groups/genomics"]).fails(4, "no group called");
    assert!(bob.json(&["notifications"]).as_array().unwrap().iter().any(|one| one["kind"] == "group-left"));
    put(&ada, "new.txt", "after", "/@groups/genomics/runs").ok();
    assert_eq!(pi.run(&["cat", "/@groups/genomics/runs/new.txt"]).ok().stdout, "after");
    assert_eq!((show(&pi, "genomics")["generation"].as_u64(), show(&pi, "genomics")["closed"].as_bool()), (Some(2), Some(false)));
    // Whoever comes later reads what was there before.
    pi.run(&["group", "add", "genomics", "eve"]).ok();
    assert_eq!(eve.run(&["cat", "/@groups/genomics/x.txt"]).ok().stdout, "acgt");

    // Handed over, and left: the group's key is made anew by who writes next, not by who left.
    pi.run(&["group", "own", "genomics", "ada"]).ok();
    pi.run(&["group", "leave", "genomics"]).ok();
    pi.run(&["ls", "/@groups/genomics"]).fails(4, "no group called");
    assert_eq!(show(&ada, "genomics")["closed"].as_bool(), Some(true));
    put(&eve, "late.txt", "later", "/@groups/genomics/runs").ok();
    let after = show(&ada, "genomics");
    assert_eq!((after["generation"].as_u64(), after["closed"].as_bool()), (Some(3), Some(false)));
    assert_eq!(members(&ada, "genomics"), [("ada".into(), "owner".into(), false), ("eve".into(), "user".into(), false)]);

    // The trash is the group's, for those who remove; names, moving, and the end of it.
    ada.run(&["rm", "/@groups/genomics/runs/y.txt"]).ok();
    assert_eq!(ada.json(&["trash", "list", "--group", "genomics"]).as_array().unwrap().len(), 1);
    assert!(ada.json(&["trash", "list"]).as_array().unwrap().is_empty());
    ada.run(&["trash", "restore", "--group", "genomics", "/@groups/genomics/runs/y.txt"]).ok();
    ada.run(&["mv", "/@groups/genomics/runs/y.txt", "/@groups/genomics/y.txt"]).ok();
    ada.run(&["mv", "/@groups/genomics/y.txt", "/y.txt"]).fails(3, "copy with");
    ada.run(&["cp", "/@groups/genomics/y.txt", "/y.txt"]).ok();
    ada.run(&["group", "rename", "genomics", "Genomes"]).ok();
    assert_eq!(names(&eve.json(&["ls", "/@groups/Genomes"])), ["runs", "x.txt", "y.txt", "z.txt"]);
    ada.run(&["rekey", "/@groups/Genomes"]).ok();
    eve.run(&["group", "delete", "Genomes", "--yes"]).fails(3, "only the group's owner");
    ada.run(&["group", "delete", "Genomes", "--yes"]).ok();
    assert!(eve.json(&["group", "list"]).as_array().unwrap().is_empty());
    assert_eq!(ada.run(&["cat", "/y.txt"]).ok().stdout, "more");
}

#[test]
fn a_folder_never_gets_stuck_whoever_is_away() {
    let (backend, admin) = begin();
    let [pi, ada] = ["pi", "ada"].map(|name| enrol(&backend, &admin, name));
    let bob = Device::new(&backend);
    let fingerprint = bob.register("bob", &[]);
    let activate = || admin.run(&["users", "activate", "bob", "--fingerprint", &fingerprint]).ok();
    activate();
    bob.run(&["login"]).ok();
    pi.run(&["group", "create", "imaging", "ada", "bob", "--manager"]).ok();
    put(&pi, "scan.txt", "one", "/@groups/imaging").ok();

    // Somebody's account ends: what they hold is worth nothing from then on, with nobody asking for it.
    admin.run(&["users", "deactivate", "bob", "--reason", "left the university"]).ok();
    assert_eq!(show(&pi, "imaging")["closed"].as_bool(), Some(true));
    put(&ada, "second.txt", "two", "/@groups/imaging").ok();
    let after = show(&pi, "imaging");
    assert_eq!((after["closed"].as_bool(), after["generation"].as_u64(), after["waiting"].as_u64()), (Some(false), Some(2), Some(0)));
    assert_eq!(pi.run(&["cat", "/@groups/imaging/second.txt"]).ok().stdout, "two");

    // Back again, they wait for the key, and get it from whoever comes by.
    activate();
    bob.run(&["login"]).ok();
    assert_eq!(members(&pi, "imaging").into_iter().filter(|(_, _, waits)| *waits).count(), 1);
    let listed = bob.json(&["group", "list"]);
    assert_eq!(listed[0]["has_key"].as_bool(), Some(false));
    pi.run(&["group", "seal", "imaging"]).ok();
    assert_eq!(bob.run(&["cat", "/@groups/imaging/second.txt"]).ok().stdout, "two");

    // Two at once: the loser tries again on what the other made.
    std::thread::scope(|both| {
        let adds = both.spawn(|| pi.run(&["group", "permit", "imaging", "bob", "--read-only"]).ok());
        ada.run(&["group", "rename", "imaging", "Imaging"]).fails(3, "only the group's owner");
        adds.join().unwrap();
    });
    pi.run(&["group", "create", "imaging"]).ok();
    pi.run(&["group", "create", "imaging"]).ok();
    pi.run(&["ls", "/@groups/imaging"]).fails(2, "several groups are called that");
}
