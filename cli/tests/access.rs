//! Who reaches a thing and why, by the command line.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod support;

use serde_json::Value;
use support::{Device, again, begin, enrol};

/// Of the only person asked about: by what they have the key, why they do not read it now, and why not when at work on its tags.
fn told(device: &Device, arguments: &[&str]) -> (String, Option<String>, Option<String>) {
    let reply = device.json(&[&["access"], arguments].concat());
    let person = &reply["people"][0];
    let held_by =
        person["held_by"].as_str().map_or_else(|| person["held_by"].as_object().unwrap().keys().next().unwrap().clone(), str::to_owned);
    let read = person["verdicts"].as_array().unwrap().iter().find(|verdict| verdict["asked"] == "read").unwrap();
    let code = |why: &Value| why["code"].as_str().map(str::to_owned);
    (held_by, code(&read["now"]), code(&read["then"]))
}

#[test]
fn every_reason_is_told_and_supposed_losses_are_weighed() {
    let (backend, admin) = begin();
    let [pi, ada, bob] = ["pi", "ada", "bob"].map(|name| enrol(&backend, &admin, name));
    let given = ["project.create", "project.create-child", "project.manage-members", "project.certify"];
    admin.run(&[&["users", "permissions", "pi", "--give"], &given[..]].concat()).ok();
    admin.run(&["requirement", "create", "Training", "--default", "365d"]).ok();
    admin.run(&["level", "create", "CUI", "--require", "Training"]).ok();
    pi.run(&["project", "create", "Federal", "--level", "CUI"]).ok();
    pi.run(&["certification", "give", "Training", "pi"]).ok();
    again(&pi);
    pi.run(&["mkdir", "/study"]).ok();
    pi.run(&["work", "Federal"]).ok();
    pi.run(&["tag", "/study", "Federal"]).ok();

    // One step after the other: the key, the project, the certification, the login and the working set.
    let of_ada = ["explain", "/study", "ada"];
    assert_eq!(told(&pi, &of_ada), ("nothing".into(), Some("not_found".into()), Some("not_found".into())));
    pi.run(&["share", "/study", "ada"]).ok();
    assert_eq!(told(&pi, &of_ada), ("share".into(), Some("locked".into()), Some("locked".into())));
    pi.run(&["access", "explain", "/study", "ada"]).ok().says("no member of that project");
    pi.run(&["project", "add", "Federal", "ada"]).ok();
    pi.run(&["access", "explain", "/study", "ada"]).ok().says("requirement Training");
    pi.run(&["certification", "give", "Training", "ada"]).ok();
    assert_eq!(told(&pi, &of_ada), ("share".into(), Some("locked".into()), None));
    again(&ada);
    ada.run(&["work", "Federal"]).ok();
    assert_eq!(told(&pi, &of_ada), ("share".into(), None, None));
    // It is what happens.
    ada.run(&["ls", "/@shared/pi/study"]).ok();

    // Oneself is for everybody, the others for the owner; who has no key is told of nothing.
    assert_eq!(told(&ada, &["explain", "/@shared/pi/study"]).0, "share");
    ada.run(&["access", "explain", "/@shared/pi/study", "pi"]).fails(3, "for its owner to see");
    ada.run(&["access", "who", "/@shared/pi/study"]).fails(3, "for its owner to see");
    bob.run(&["access", "explain", "/@shared/pi/study"]).fails(4, "");
    let who = pi.json(&["access", "who", "/study"]);
    let names: Vec<&str> = who["people"].as_array().unwrap().iter().map(|one| one["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["ada", "pi"]);

    // What would be lost is what is lost.
    let supposed = ["what-if", "/study", "--person", "ada", "--certification", "Training"];
    assert_eq!(told(&pi, &supposed), ("share".into(), Some("locked".into()), Some("locked".into())));
    pi.run(&["access", "what-if", "/study", "--project", "Federal"]).ok().says("ada");
    ada.run(&["ls", "/@shared/pi/study"]).ok();
    pi.run(&["certification", "expire", "Training", "ada"]).ok();
    assert_eq!(told(&pi, &of_ada), told(&pi, &supposed));
    ada.run(&["ls", "/@shared/pi/study"]).fails(3, "locked");

    // In a group: its owner asks about its members, of a thing that is locked to the owner as well.
    pi.run(&["work", "--none"]).ok();
    pi.run(&["group", "create", "lab", "ada"]).ok();
    pi.run(&["mkdir", "/@groups/lab/us"]).ok();
    pi.run(&["work", "Federal"]).ok();
    pi.run(&["tag", "/@groups/lab/us", "Federal"]).ok();
    pi.run(&["work", "--none"]).ok();
    assert_eq!(told(&pi, &["explain", "/@groups/lab/us"]), ("member".into(), Some("locked".into()), None));
    assert_eq!(told(&pi, &["explain", "/@groups/lab/us", "ada"]), ("member".into(), Some("locked".into()), Some("locked".into())));
    ada.run(&["access", "who", "/@groups/lab/us"]).fails(3, "for its owner to see");

    // Over everything of one's own: the shared directory, and what is tagged in the group, by a name that is told although it is locked.
    let losses = |arguments: &[&str]| -> Vec<(String, Vec<String>)> {
        let things = pi.json(&[&["access", "what-if"], arguments].concat());
        let people =
            |thing: &Value| thing["people"].as_array().unwrap().iter().map(|one| one["now"]["name"].as_str().unwrap().to_owned()).collect();
        things.as_array().unwrap().iter().map(|thing| (thing["path"].as_str().unwrap().to_owned(), people(thing))).collect()
    };
    let all = losses(&["--project", "Federal"]);
    assert!(all.len() == 2 && all[0].0.starts_with("/@groups/lab") && all[0].0.ends_with("/us") && all[1].0 == "/study", "{all:?}");
    // Whom a certification is missing already loses nothing by it.
    assert!(all.iter().all(|(_, people)| *people == ["pi"]), "{all:?}");
    assert_eq!(losses(&["--certification", "Training", "--person", "ada"]), []);
    pi.run(&["certification", "give", "Training", "ada"]).ok();
    let of_ada = losses(&["--certification", "Training", "--person", "ada"]);
    assert_eq!(of_ada.iter().map(|(_, people)| people.join(" ")).collect::<Vec<_>>(), ["ada", "ada"]);
    pi.run(&["access", "what-if", "--certification", "Training"]).ok().says("/study");
    // Only one's own: of what others share one is told nothing.
    assert_eq!(ada.json(&["access", "what-if", "--project", "Federal"]).as_array().unwrap().len(), 0);
    pi.run(&["certification", "expire", "Training", "ada"]).ok();

    // What somebody holds a key to: what is shared with them, and the groups one owns.
    pi.run(&["work", "Federal"]).ok();
    let reached = pi.json(&["access", "reach", "ada"]);
    let paths: Vec<&str> = reached.as_array().unwrap().iter().map(|one| one["path"].as_str().unwrap()).collect();
    assert!(paths.len() == 2 && paths[0].starts_with("/@groups/lab~") && paths[1] == "/study", "{paths:?}");
    pi.run(&["access", "reach", "ada"]).ok().says("requirement Training");
    assert_eq!(pi.json(&["access", "reach", "bob"]).as_array().unwrap().len(), 0);

    // What ends soon, for who looks after it and for whom it is.
    pi.run(&["project", "add", "Federal", "bob", "--expires", "20d"]).ok();
    let rows = |device: &Device, within: &str| -> Vec<(String, String, String)> {
        let listed = device.json(&["access", "ending", "--within", within]);
        let word = |row: &Value, name: &str| row[name].as_str().unwrap().to_owned();
        listed.as_array().unwrap().iter().map(|row| (word(row, "person"), word(row, "what"), word(row, "of"))).collect()
    };
    let one = |person: &str, what: &str, of: &str| (person.to_owned(), what.to_owned(), of.to_owned());
    assert_eq!(rows(&pi, "30d"), [one("bob", "membership", "Federal")]);
    assert_eq!(rows(&pi, "400d"), [one("bob", "membership", "Federal"), one("pi", "certification", "Training")]);
    assert_eq!(rows(&bob, "30d"), [one("bob", "membership", "Federal")]);
    assert!(rows(&pi, "10d").is_empty() && rows(&ada, "400d").is_empty());
    pi.run(&["access", "ending", "--within", "soon"]).fails(2, "is not a time");

    // What was shared on in somebody else's tree is for its owner to ask about: it is left out, and nothing fails.
    pi.run(&["work", "--none"]).ok();
    ada.run(&["work", "--none"]).ok();
    pi.run(&["mkdir", "/open"]).ok();
    pi.run(&["share", "/open", "ada", "--reshare"]).ok();
    ada.run(&["share", "/@shared/pi/open", "bob"]).ok();
    assert_eq!(ada.json(&["access", "reach", "bob"]).as_array().unwrap().len(), 0);
}
