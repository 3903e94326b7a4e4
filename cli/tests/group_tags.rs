//! Tags in groups by the command line: a key for each set of tags, held by those members who may be active in it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod support;

use support::{Device, again, begin, enrol, marked, put};

fn cat(device: &Device, path: &str) -> String {
    device.run(&["cat", path]).ok().stdout
}

/// Generation, closed, and how many wait, of the only key for tags that this person sees.
fn tag_key(device: &Device, group: &str) -> (u64, bool, u64) {
    let shown = device.json(&["group", "show", group]);
    let keys = shown["tag_key"].as_array().unwrap();
    assert_eq!(keys.len(), 1, "{shown}");
    (keys[0]["generation"].as_u64().unwrap(), keys[0]["closed"].as_bool().unwrap(), keys[0]["waiting"].as_u64().unwrap())
}

#[test]
fn a_tagged_directory_in_a_group_has_a_key_of_its_own() {
    let (backend, admin) = begin();
    let [pi, ada, bob, eve] = ["pi", "ada", "bob", "eve"].map(|name| enrol(&backend, &admin, name));
    let given = ["project.create", "project.create-child", "project.manage-members", "project.declassify"];
    admin.run(&[&["users", "permissions", "pi", "--give"], &given[..]].concat()).ok();
    pi.run(&["project", "create", "Federal", "--tag", "US"]).ok();
    for state in ["Florida", "Texas"] {
        pi.run(&["project", "create", state, "--below", "Federal"]).ok();
    }
    pi.run(&["project", "add", "Florida", "ada", "bob", "--above"]).ok();
    pi.run(&["project", "add", "Texas", "eve", "--above"]).ok();
    for device in [&pi, &ada, &bob, &eve] {
        again(device);
    }
    pi.run(&["group", "create", "study", "ada", "bob", "eve"]).ok();
    pi.run(&["mkdir", "/@groups/study/fl"]).ok();
    put(&pi, "x.txt", "oranges", "/@groups/study/fl").ok();
    put(&pi, "all.txt", "for all", "/@groups/study").ok();
    assert_eq!(cat(&eve, "/@groups/study/fl/x.txt"), "oranges");

    // Tagging takes the permission for it, and the project in the working set; the keys go to members of the project.
    ada.run(&["work", "Florida"]).ok();
    ada.run(&["tag", "/@groups/study/fl", "Florida"]).fails(3, "permission for it");
    pi.run(&["tag", "/@groups/study/fl", "Florida"]).fails(3, "not in your working set");
    pi.run(&["work", "Florida"]).ok();
    let tags = pi.json(&["tag", "/@groups/study/fl", "Florida"]);
    assert_eq!((tags[0]["path"].as_str(), tags[0]["own"].as_bool()), (Some("Federal/Florida"), Some(true)));
    assert_eq!(tag_key(&pi, "study"), (1, false, 0));
    assert_eq!(marked(&pi.json(&["ls", "/@groups/study"])), ["all.txt", "fl#"]);
    assert_eq!(marked(&eve.json(&["ls", "/@groups/study"])), ["all.txt", "fl?"]);
    eve.run(&["cat", "/@groups/study/fl/x.txt"]).fails(3, "locked");
    eve.run(&["work", "Texas"]).ok();
    assert_eq!(marked(&eve.json(&["ls", "/@groups/study"])), ["all.txt", "fl?"]);
    eve.run(&["ls", "/@groups/study/fl"]).fails(3, "locked");
    assert_eq!(cat(&ada, "/@groups/study/fl/x.txt"), "oranges");
    put(&ada, "y.txt", "juice", "/@groups/study/fl").ok();
    ada.run(&["mkdir", "/@groups/study/fl/deep"]).ok();
    put(&ada, "z.txt", "pulp", "/@groups/study/fl/deep").ok();
    bob.run(&["work", "Florida"]).ok();
    assert_eq!(cat(&bob, "/@groups/study/fl/deep/z.txt"), "pulp");
    // No write-down, inside a group either.
    put(&ada, "down.txt", "no", "/@groups/study").fails(3, "tags equal your working set");

    // Whoever leaves the project holds nothing that is used afterwards; the next who writes makes another key.
    pi.run(&["project", "remove", "Florida", "bob"]).ok();
    bob.run(&["cat", "/@groups/study/fl/x.txt"]).fails(3, "locked");
    assert_eq!(tag_key(&ada, "study"), (1, true, 0));
    put(&ada, "after.txt", "new", "/@groups/study/fl/deep").ok();
    assert_eq!(tag_key(&ada, "study"), (2, false, 0));
    assert_eq!(cat(&pi, "/@groups/study/fl/deep/after.txt"), "new");

    // Whoever comes later waits for the key, until somebody who holds it comes by; then they read what was there before.
    pi.run(&["project", "add", "Florida", "eve"]).ok();
    again(&eve);
    eve.run(&["work", "Florida"]).ok();
    assert_eq!(marked(&eve.json(&["ls", "/@groups/study"])), ["all.txt", "fl?"]);
    eve.run(&["cat", "/@groups/study/fl/x.txt"]).fails(3, "wait for the key");
    assert_eq!(tag_key(&pi, "study"), (2, false, 1));
    pi.run(&["group", "seal", "study"]).ok();
    assert_eq!(tag_key(&eve, "study"), (2, false, 0));
    for (path, text) in [("x.txt", "oranges"), ("deep/after.txt", "new")] {
        assert_eq!(cat(&eve, &format!("/@groups/study/fl/{path}")), text);
    }

    // Whoever is taken out of the group holds neither the group's key nor this one.
    pi.run(&["group", "remove", "study", "eve"]).ok();
    put(&ada, "last.txt", "without eve", "/@groups/study/fl/deep").ok();
    assert_eq!(tag_key(&ada, "study"), (3, false, 0));
    assert_eq!(cat(&pi, "/@groups/study/fl/deep/last.txt"), "without eve");

    // A file by itself; a tag stays when something moves; and the tag is taken away by the project's manager.
    pi.run(&["mv", "/@groups/study/fl/y.txt", "/@groups/study/y.txt"]).ok();
    assert_eq!(marked(&pi.json(&["ls", "/@groups/study"])), ["all.txt", "fl#", "y.txt#"]);
    assert_eq!(cat(&ada, "/@groups/study/y.txt"), "juice");
    pi.run(&["tag", "/@groups/study/y.txt", "--none"]).ok();
    bob.run(&["work", "--none"]).ok();
    assert_eq!(cat(&bob, "/@groups/study/y.txt"), "juice");
    pi.run(&["rm", "/@groups/study/fl/x.txt"]).ok();
    assert_eq!(pi.json(&["trash", "list", "--group", "study"]).as_array().unwrap().len(), 1);
    pi.run(&["trash", "restore", "--group", "study", "/@groups/study/fl/x.txt"]).ok();
    pi.run(&["rekey", "/@groups/study"]).ok();
    assert_eq!(cat(&ada, "/@groups/study/fl/x.txt"), "oranges");
}

#[test]
fn the_tag_of_a_group_is_that_of_all_in_it() {
    let (backend, admin) = begin();
    let [pi, ada, bob] = ["pi", "ada", "bob"].map(|name| enrol(&backend, &admin, name));
    let given = ["project.create", "project.create-child", "project.manage-members", "project.declassify"];
    admin.run(&[&["users", "permissions", "pi", "--give"], &given[..]].concat()).ok();
    pi.run(&["project", "create", "Federal"]).ok();
    pi.run(&["project", "create", "Texas", "--below", "Federal"]).ok();
    pi.run(&["project", "create", "Clinic"]).ok();
    for project in ["Federal", "Texas", "Clinic"] {
        pi.run(&["project", "add", project, "ada"]).ok();
    }
    pi.run(&["project", "add", "Clinic", "bob"]).ok();
    for device in [&pi, &ada, &bob] {
        again(device);
    }
    pi.run(&["group", "create", "lab", "ada", "bob"]).ok();
    pi.run(&["mkdir", "/@groups/lab/trial"]).ok();
    put(&pi, "x.txt", "one", "/@groups/lab/trial").ok();

    // A directory first, the group after it: what is inside goes under the key of both tags.
    pi.run(&["work", "Clinic"]).ok();
    pi.run(&["tag", "/@groups/lab/trial", "Clinic"]).ok();
    bob.run(&["work", "Clinic"]).ok();
    assert_eq!(cat(&bob, "/@groups/lab/trial/x.txt"), "one");
    pi.run(&["work", "Federal", "Clinic"]).ok();
    pi.run(&["tag", "/@groups/lab", "Federal"]).ok();
    let shown = pi.json(&["group", "show", "lab"]);
    let mut keys: Vec<usize> = shown["tag_key"].as_array().unwrap().iter().map(|key| key["tags"].as_array().unwrap().len()).collect();
    keys.sort_unstable();
    assert_eq!(keys, [1, 2], "{shown}");

    // Of a locked group the name is seen, and no key goes out.
    bob.run(&["ls", "/@groups/lab"]).fails(3, "this group is locked");
    assert_eq!(marked(&bob.json(&["ls", "/@groups"])), ["lab?"]);
    assert_eq!(marked(&pi.json(&["ls", "/@groups"])), ["lab#"]);
    ada.run(&["work", "Clinic"]).ok();
    ada.run(&["cat", "/@groups/lab/trial/x.txt"]).fails(3, "locked");
    ada.run(&["work", "Federal", "Clinic"]).ok();
    assert_eq!(cat(&ada, "/@groups/lab/trial/x.txt"), "one");
    put(&ada, "y.txt", "two", "/@groups/lab/trial").ok();
    // The group's tag goes down its tree, and back up by a manager of the project.
    ada.run(&["tag", "/@groups/lab", "--none"]).fails(3, "permission for it");
    pi.run(&["work", "Texas", "Clinic"]).ok();
    pi.run(&["tag", "/@groups/lab", "Texas"]).ok();
    ada.run(&["work", "Texas", "Clinic"]).ok();
    assert_eq!(cat(&ada, "/@groups/lab/trial/y.txt"), "two");
    pi.run(&["tag", "/@groups/lab", "--none"]).ok();
    pi.run(&["work", "Clinic"]).ok();
    bob.run(&["work", "Clinic"]).ok();
    assert_eq!(cat(&pi, "/@groups/lab/trial/y.txt"), "two");
    assert_eq!(cat(&bob, "/@groups/lab/trial/y.txt"), "two");
}
