//! Projects by the command line: a federal project with its states.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod support;

use support::{begin, enrol};

#[test]
fn a_federal_project_and_its_states() {
    let (backend, admin) = begin();
    let pi = enrol(&backend, &admin, "pi");
    let ada = enrol(&backend, &admin, "ada");
    pi.run(&["project", "create", "Federal"]).fails(3, "project.create");
    let given = ["project.create", "project.create-child", "project.manage-members", "project.certify"];
    let held = admin.json(&[&["users", "permissions", "pi", "--give"], &given[..]].concat());
    assert!(held.as_array().unwrap().iter().any(|row| row["permission"] == "project.create" && row["held"] == true));
    admin.run(&["users", "permissions", "pi", "--give", "fly"]).fails(2, "there is no permission");

    admin.run(&["requirement", "create", "Training", "--must-expire", "--default", "365d", "--maximum", "730d"]).ok();
    admin.run(&["level", "create", "CUI", "--require", "Training"]).ok();
    pi.run(&["project", "create", "Federal", "--tag", "US", "--colour", "#b91c1c"]).ok();
    pi.run(&["project", "create", "Florida", "--below", "Federal", "--level", "CUI"]).ok();
    pi.run(&["project", "create", "Texas", "--below", "US"]).ok();
    pi.run(&["project", "create", "Coast", "--below", "Nowhere"]).fails(4, "there is no project Nowhere");
    pi.run(&["project", "create", "Coast", "--below", "Federal", "--colour", "red"]).fails(2, "#1f77b4");

    // A level asks of its managers too: the PI certifies themselves, then logs in again.
    pi.run(&["project", "add", "Florida", "ada"]).fails(3, "the project's managers");
    let beyond = pi.run(&["certification", "give", "Training", "pi", "ada", "--expires", "9999d"]).fails(3, "2 of 2 failed").stdout;
    assert!(beyond.contains("beyond the requirement's maximum"), "{beyond}");
    pi.run(&["certification", "give", "Training", "pi", "ada"]).ok();
    assert_eq!(ada.json(&["certification", "list"]).as_array().unwrap().len(), 1);
    ada.run(&["certification", "list", "--all"]).fails(3, "project.certify");

    // Below takes above, which can be done in one.
    pi.run(&["project", "add", "Florida", "ada"]).fails(3, "failed");
    let added = pi.json(&["project", "add", "Federal/Florida", "ada", "--above", "--restrict", "no-download", "--expires", "30d"]);
    assert_eq!(added[0]["result"], "added");
    pi.run(&["project", "add", "Texas", "ada"]).fails(3, "failed");
    pi.run(&["project", "add", "Texas", "ada", "--expires", "20d"]).ok();
    let again = pi.json(&["project", "add", "Texas", "ada", "--expires", "10d"]);
    assert_eq!(again[0]["result"], "skipped");
    let members = pi.json(&["project", "members", "Florida"]);
    let found = members.as_array().unwrap().iter().find(|row| row["name"] == "ada").unwrap();
    assert_eq!(found["restrictions"][0], "no-download");
    assert_eq!(ada.json(&["project", "members", "Florida"]).as_array().unwrap().len(), 1, "one sees oneself");

    // Into several at once, those above first; who is in one stays there as they are.
    let bob = enrol(&backend, &admin, "bob");
    let rows = pi.json(&["project", "add", "Texas", "bob", "ada", "--also", "Federal", "Florida"]);
    let told = |row: &serde_json::Value| ["person", "project", "result"].map(|name| row[name].as_str().unwrap().to_owned()).join(" ");
    let of_bob = |row: &String| row.starts_with("bob");
    let all: Vec<String> = rows.as_array().unwrap().iter().map(told).collect();
    assert_eq!(
        all.iter().filter(|row| of_bob(row)).collect::<Vec<_>>(),
        ["bob Federal added", "bob Federal/Florida added", "bob Federal/Texas added"]
    );
    assert!(all.iter().filter(|row| !of_bob(row)).all(|row| row.ends_with("skipped")) && all.len() == 6, "{all:?}");
    pi.run(&["project", "add", "Texas", "bob", "--also", "Nowhere"]).fails(4, "there is no project Nowhere");
    assert_eq!(bob.json(&["project", "list"]).as_array().unwrap().len(), 3);
    for project in ["Texas", "Florida", "Federal"] {
        pi.run(&["project", "remove", project, "bob"]).ok();
    }

    // A project shares nothing by itself: everybody in it is named at once, by who sees them.
    pi.run(&["mkdir", "/study"]).ok();
    let shared = pi.json(&["share", "/study", "--members-of", "Texas"]);
    assert_eq!((shared.as_array().unwrap().len(), shared[0]["recipient"].as_str()), (1, Some("ada")));
    ada.run(&["mkdir", "/own"]).ok();
    ada.run(&["share", "/own", "--members-of", "Texas"]).fails(3, "do not see who else");
    pi.run(&["share", "/study", "--members-of", "Nowhere"]).fails(4, "there is no project Nowhere");
    pi.run(&["share", "/study"]).fails(2, "PERSON");

    // Gained after the login; never two of a tree.
    ada.run(&["work", "Florida"]).fails(3, "log in again");
    ada.run(&["logout"]).ok();
    ada.run(&["login"]).ok();
    ada.run(&["work", "Florida", "Texas"]).fails(3, "one project of a tree");
    assert_eq!(ada.json(&["work", "Florida"])[0]["path"], "Federal/Florida");
    let listed = ada.run(&["project", "list"]).ok().stdout;
    assert!(listed.contains("*   Florida"), "{listed}");
    assert_eq!(ada.json(&["work", "Texas"])[0]["path"], "Federal/Texas");

    // A loss is felt at once, and says what to do.
    pi.run(&["project", "remove", "Texas", "ada"]).ok();
    ada.run(&["work", "Texas"]).fails(4, "no project");
    pi.run(&["certification", "expire", "Training", "ada"]).ok();
    ada.run(&["work", "Florida"]).fails(3, "certification");
    let shown = ada.json(&["project", "show", "Florida"]);
    assert_eq!(shown["own"]["missing"], "uncertified");
    ada.run(&["work", "--none"]).ok();
    assert_eq!(ada.json(&["work"]).as_array().unwrap().len(), 0);

    pi.run(&["project", "delete", "Federal"]).fails(3, "below it");
    pi.run(&["project", "change", "Texas", "--name", "Texas 2026", "--pi", "ada"]).fails(3, "add them first");
    pi.run(&["project", "change", "Texas", "--name", "Texas 2026"]).ok();
    pi.run(&["project", "delete", "Texas 2026"]).ok();
    assert_eq!(pi.json(&["project", "list"]).as_array().unwrap().len(), 2);
}
