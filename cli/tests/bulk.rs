//! Many people at once by the command line: what came of each, and the list of what was done.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod support;

use support::{begin, enrol};

#[test]
fn many_people_at_once() {
    let (backend, admin) = begin();
    let people: Vec<String> = (0..4).map(|n| format!("person{n}")).collect();
    for name in &people {
        enrol(&backend, &admin, name);
    }
    let names: Vec<&str> = people.iter().map(String::as_str).collect();
    let with = |before: &[&'static str], after: &[&'static str]| -> Vec<String> {
        before.iter().chain(&names).chain(after).map(|word| (*word).to_owned()).collect()
    };
    let ask = |words: Vec<String>| admin.json(&words.iter().map(String::as_str).collect::<Vec<_>>());

    let given = ask(with(&["users", "permissions"], &["--give", "project.create"]));
    assert!(given.as_array().unwrap().iter().all(|row| row["result"] == "done"), "{given}");
    assert_eq!(given.as_array().unwrap().len(), 4);
    // Who has it already is done as well.
    let again = ask(with(&["users", "permissions"], &["--give", "project.create"]));
    assert!(again.as_array().unwrap().iter().all(|row| row["result"] == "done"), "{again}");

    // One who is not there, and oneself, stop nobody else.
    admin.run(&["requirement", "create", "Training"]).ok();
    let some = admin.run(&["certification", "give", "Training", "person0", "nobody", "person1"]).fails(3, "1 of 3 failed").stdout;
    assert_eq!(some.matches("certified").count(), 2, "{some}");
    let ranks = admin.run(&["users", "role", "person0", "root", "person1", "sub-admin"]).fails(3, "1 of 3 failed").stdout;
    assert_eq!(ranks.matches("done").count(), 2, "{ranks}");
    let users = admin.json(&["users", "list"]);
    let rank = |name: &str| users.as_array().unwrap().iter().find(|row| row["name"] == name).unwrap()["rank"].clone();
    assert_eq!((rank("person0"), rank("person2")), ("sub-admin".into(), "user".into()));

    // Each list can be looked at afterwards, by who started it.
    let lists = admin.json(&["bulk", "list"]);
    let operations: Vec<&str> = lists.as_array().unwrap().iter().map(|row| row["operation"].as_str().unwrap()).collect();
    assert_eq!(operations, ["user.state", "certification.set", "user.permissions"]);
    let last = lists[0]["bulk"].as_str().unwrap();
    let shown = admin.run(&["bulk", "show", last]).fails(3, "1 of 3 failed").stdout;
    assert!(shown.contains("oneself") || shown.contains("their own account"), "{shown}");
    admin.run(&["bulk", "resume", last]).fails(3, "nothing is left to resume");
    admin.run(&["bulk", "stop", last]).fails(3, "not running");
    admin.run(&["bulk", "show", "00000000-0000-4000-8000-000000000000"]).fails(4, "not found");

    let ended = ask(with(&["users", "deactivate"], &["--reason", "left for good"]));
    assert!(ended.as_array().unwrap().iter().all(|row| row["result"] == "done"), "{ended}");
    let users = admin.json(&["users", "list", "--state", "inactive"]);
    assert_eq!(users.as_array().unwrap().len(), 4);
}
