//! Requests to join a project by the command line: asked by its id, refused with a reason, granted across teams.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod support;

use support::{Device, begin, enrol};

fn kinds(device: &Device) -> Vec<String> {
    device.json(&["notifications"]).as_array().unwrap().iter().map(|row| row["kind"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn asked_refused_and_taken_in() {
    let (backend, admin) = begin();
    let [pi, ada, eva] = ["pi", "ada", "eva"].map(|name| enrol(&backend, &admin, name));
    admin.run(&["users", "permissions", "pi", "--give", "project.create", "project.manage-members"]).ok();
    // Who asks and who answers need not be in one team.
    for (team, person) in [("Heart", "pi"), ("Lung", "eva")] {
        admin.run(&["team", "create", team]).ok();
        admin.run(&["team", "add", team, person]).ok();
    }
    pi.run(&["project", "create", "Federal"]).ok();
    let federal = pi.json(&["project", "show", "Federal"])["project"].as_str().unwrap().to_owned();

    // By its id, which somebody gave them; whether there is such a project is not told.
    ada.run(&["project", "join", "Federal"]).fails(4, "no project Federal");
    ada.run(&["project", "join", &federal, "--message", "for the heart study"]).ok();
    ada.run(&["project", "join", &federal]).fails(3, "asked already");
    let nothing = "ffffffff-ffff-4fff-bfff-ffffffffffff";
    ada.run(&["project", "join", nothing]).ok();
    let mine = ada.json(&["project", "requests", "--mine"]);
    assert_eq!(mine.as_array().unwrap().len(), 2);
    assert!(mine.as_array().unwrap().iter().all(|row| row["state"] == "open" && row["path"].is_null()), "{mine}");
    ada.run(&["project", "join", nothing, "--withdraw"]).ok();
    ada.run(&["project", "join", nothing, "--withdraw"]).fails(3, "no open request");
    eva.run(&["project", "join", &federal, "--message", &"x".repeat(501)]).fails(2, "500 bytes");
    eva.run(&["project", "join", &federal]).ok();

    let waiting = pi.json(&["project", "requests"]);
    let mut names: Vec<&str> = waiting.as_array().unwrap().iter().map(|row| row["name"].as_str().unwrap()).collect();
    names.sort_unstable();
    assert_eq!(names, ["ada", "eva"]);
    assert!(waiting.as_array().unwrap().iter().all(|row| row["path"] == "Federal"));
    pi.run(&["project", "requests", "Federal"]).ok().says("for the heart study");
    assert_eq!(ada.json(&["project", "requests"]).as_array().unwrap().len(), 0);
    assert_eq!(kinds(&pi).iter().filter(|kind| *kind == "join-asked").count(), 2);

    // Refused, with a word why.
    pi.run(&["project", "answer", "Federal", "ada", "--refuse"]).fails(2, "--reason");
    pi.run(&["project", "answer", "Federal", "admin"]).fails(3, "1 of 1 failed");
    assert_eq!(pi.json(&["project", "answer", "Federal", "ada", "--refuse", "--reason", "no room"])[0]["result"], "refused");
    let mine = ada.json(&["project", "requests", "--mine"]);
    let refused = mine.as_array().unwrap().iter().find(|row| row["project"] == federal.as_str()).unwrap();
    assert_eq!((&refused["state"], &refused["reason"]), (&"refused".into(), &"no room".into()));
    assert!(kinds(&ada).contains(&"join-refused".to_owned()));
    ada.run(&["project", "join", &federal]).fails(3, "not long ago");

    // Taken in by a head like any other, on the manager's terms.
    let added = pi.json(&["project", "answer", "Federal", "eva", "--restrict", "no-download", "--expires", "30d"]);
    assert_eq!((&added[0]["person"], &added[0]["result"]), (&"eva".into(), &"added".into()));
    let members = pi.json(&["project", "members", "Federal"]);
    let member = members.as_array().unwrap().iter().find(|row| row["name"] == "eva").unwrap();
    assert_eq!((&member["restrictions"][0], member["expires_ms"].is_null()), (&"no-download".into(), false));
    assert!(kinds(&eva).contains(&"join-granted".to_owned()));
    assert_eq!(eva.json(&["project", "requests", "--mine"]).as_array().unwrap().len(), 0);
    eva.run(&["project", "join", "Federal"]).fails(3, "a member of that project already");
    assert_eq!(pi.json(&["project", "requests"]).as_array().unwrap().len(), 0);
}
