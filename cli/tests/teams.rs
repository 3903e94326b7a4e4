//! Teams by the command line: who is in one, whom one sees by it, out of the last one and back, and a vault that is full.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod support;

use support::{Device, begin, enrol, put};

fn names(device: &Device) -> Vec<String> {
    device.json(&["users", "list"]).as_array().unwrap().iter().map(|row| row["name"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn a_team_its_people_and_what_they_hold() {
    let (backend, admin) = begin();
    let [ada, bob, eva, deputy] = ["ada", "bob", "eva", "deputy"].map(|name| enrol(&backend, &admin, name));
    ada.run(&["team", "create", "Heart"]).fails(3, "team.create");
    let heart = admin.json(&["team", "create", "Heart", "--description", "the heart study"]);
    assert_eq!(names(&ada).len(), 5, "nobody is in a team yet");

    // Each person has a result of their own.
    let added = admin.run(&["team", "add", "Heart", "ada", "nobody", "bob", "--json"]).fails(3, "1 of 3 failed");
    let added: serde_json::Value = serde_json::from_str(&added.stdout).unwrap();
    let results: Vec<&str> = added.as_array().unwrap().iter().map(|row| row["result"].as_str().unwrap()).collect();
    assert_eq!(results, ["added", "failed", "added"]);
    assert_eq!(admin.json(&["team", "add", "Heart", "ada"])[0]["result"], "skipped");
    let shown = ada.json(&["team", "show", "Heart"]);
    assert_eq!((&shown["team"], &shown["manages"], shown["people"].as_array().unwrap().len()), (&heart, &false.into(), 2));
    ada.run(&["team", "show", "Heart"]).ok().says("ada, bob");

    // Mates see one another; who is in none sees those in none.
    assert_eq!(names(&ada), ["ada", "bob"]);
    assert_eq!(names(&eva), ["deputy", "eva", "root"]);
    ada.run(&["users", "show", "bob"]).ok();
    ada.run(&["users", "show", "eva"]).fails(4, "not found");
    eva.run(&["users", "show", "ada"]).fails(4, "not found");
    eva.run(&["team", "show", "Heart"]).fails(4, "no team Heart");
    assert_eq!(eva.json(&["team", "list"]).as_array().unwrap().len(), 0);

    // A manager takes newcomers in, and sees them for that.
    ada.run(&["team", "add", "Heart", "eva"]).fails(3, "failed");
    admin.run(&["team", "manager", "Heart", "ada"]).ok();
    ada.run(&["team", "add", "Heart", "eva"]).ok();
    ada.run(&["team", "change", "Heart", "--name", "Hearts"]).ok();
    ada.run(&["team", "quota", "Hearts", "--vault", "1T"]).fails(3, "team.quota");
    admin.run(&["team", "manager", "Hearts", "ada", "--end"]).ok();
    ada.run(&["team", "remove", "Hearts", "eva"]).fails(3, "failed");

    // Out of the last team: inactive, for that.
    let removed = admin.json(&["team", "remove", "Hearts", "bob"]);
    assert_eq!(removed[0]["result"], "removed");
    assert!(removed[0]["message"].as_str().unwrap().contains("inactive"));
    bob.run(&["whoami"]).fails(3, "");
    bob.run(&["login"]).fails(3, "inactive");
    let listed = admin.json(&["users", "list", "--state", "inactive"]);
    assert_eq!((&listed[0]["name"], &listed[0]["cause"]), (&"bob".into(), &"left-last-team".into()));

    // A sub-admin adopts them, and nobody else.
    admin.run(&["team", "assign", "Hearts", "deputy"]).fails(3, "failed");
    admin.run(&["users", "role", "deputy", "sub-admin"]).ok();
    admin.run(&["users", "permissions", "deputy", "--give", "user.activate"]).ok();
    admin.run(&["team", "assign", "Hearts", "deputy", "--until", "30d"]).ok();
    assert_eq!(admin.json(&["team", "show", "Hearts"])["assigned"][0]["name"], "deputy");
    let fingerprint = admin.json(&["users", "show", "bob"])["fingerprint"].as_str().unwrap().to_owned();
    deputy.run(&["users", "activate", "bob", "--fingerprint", &fingerprint]).fails(3, "teams assigned to them");
    deputy.run(&["team", "add", "Hearts", "bob"]).ok();
    deputy.run(&["users", "activate", "bob", "--fingerprint", &fingerprint]).ok();
    bob.run(&["login"]).ok();
    assert_eq!(names(&bob), ["ada", "bob", "eva"]);
    admin.run(&["team", "unassign", "Hearts", "deputy"]).ok();
    deputy.run(&["team", "show", "Hearts"]).fails(4, "no team");

    // Who went to another team is seen no more, but found by whoever knows their key: what they signed has to be verified.
    admin.run(&["team", "create", "Lung"]).ok();
    admin.run(&["team", "add", "Lung", "eva"]).ok();
    admin.run(&["team", "remove", "Hearts", "eva"]).ok();
    assert_eq!(names(&ada), ["ada", "bob"]);
    ada.run(&["users", "show", "eva"]).ok();
    bob.run(&["users", "show", "eva"]).fails(4, "not found");

    // What they hold together is bounded; one makes room by deleting for good.
    admin.run(&["team", "quota", "Hearts", "--vault", "1K", "--cores", "none"]).ok();
    let shown = admin.json(&["team", "show", "Hearts"]);
    assert_eq!((&shown["quotas"]["vault_bytes"], &shown["quotas"]["cores"]), (&1_024.into(), &serde_json::Value::Null));
    put(&ada, "a.txt", &"a".repeat(600), "/").ok();
    put(&bob, "b.txt", &"b".repeat(600), "/").fails(3, "vault quota");
    let shown = bob.json(&["team", "show", "Hearts"]);
    assert!((600..1_024).contains(&shown["vault_used_bytes"].as_u64().unwrap()), "{shown}");
    admin.run(&["team", "quota", "Hearts", "--vault", "none"]).ok();
    put(&bob, "b.txt", &"b".repeat(600), "/").ok();

    admin.run(&["team", "delete", "Hearts"]).fails(3, "take its members out");
    admin.run(&["team", "create", "Empty"]).ok();
    admin.run(&["team", "delete", "Empty"]).ok();
    assert_eq!(admin.json(&["team", "list"]).as_array().unwrap().len(), 2);
}
