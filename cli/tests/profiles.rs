//! Profiles by the command line: made, looked at before they are applied, applied to people, a team and a project.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod support;

use support::{Device, begin, enrol};

#[test]
fn a_profile_from_making_to_deleting() {
    let (backend, admin) = begin();
    let [ada, _bob, _eva] = ["ada", "bob", "eva"].map(|name| enrol(&backend, &admin, name));
    let profile = |name: &str| {
        let users = admin.json(&["users", "list"]);
        let row = users.as_array().unwrap().iter().find(|row| row["name"] == name).unwrap();
        (row["profile"]["name"].as_str().unwrap_or("-").to_owned(), row["profile"]["exact"] == true)
    };
    admin.run(&["profile", "list"]).ok();
    admin.run(&["profile", "create", "Researcher", "--basic", "--give", "project.create", "team.create"]).ok();
    admin
        .run(&["profile", "create", "Lead", "--like", "Researcher", "--give", "project.manage-members", "--description", "of a study"])
        .ok();
    ada.run(&["profile", "list"]).fails(3, "user.permissions");
    admin.run(&["profile", "show", "Lead"]).ok().says("project.manage-members");
    admin.run(&["profile", "show", "Leader"]).fails(4, "no profile Leader");

    // Looked at first: nothing is changed by that.
    admin.run(&["users", "permissions", "ada", "--give", "level.edit"]).ok();
    let preview = admin.json(&["profile", "apply", "Lead", "ada", "bob", "--preview"]);
    assert_eq!((&preview[0]["takes"], &preview[1]["takes"]), (&"level.edit".into(), &"".into()), "{preview}");
    assert_eq!(preview[1]["gives"], "team.create, project.create, project.manage-members");
    assert_eq!(profile("ada"), ("-".to_owned(), false));

    // To people, to a team, to a project; whoever has it already is done, and nobody comes twice.
    let applied = admin.run(&["profile", "apply", "Lead", "ada", "nobody", "bob", "--json"]).fails(3, "1 of 3 failed").stdout;
    assert_eq!(applied.matches("\"done\"").count(), 2, "{applied}");
    assert_eq!(profile("ada"), ("Lead".to_owned(), true));
    admin.run(&["users", "list"]).ok().says("Lead");
    admin.run(&["team", "create", "Heart"]).ok();
    admin.run(&["team", "add", "Heart", "ada", "eva"]).ok();
    let applied = admin.json(&["profile", "apply", "Lead", "ada", "--team", "Heart"]);
    assert_eq!(applied.as_array().unwrap().len(), 2, "{applied}");
    ada.run(&["login"]).ok();
    ada.run(&["project", "create", "Study", "--tag", "study"]).ok();
    ada.run(&["project", "add", "Study", "eva"]).ok();
    let applied = admin.json(&["profile", "apply", "Researcher", "--project", "Study"]);
    assert!(applied.as_array().unwrap().iter().all(|row| row["result"] == "done"), "{applied}");
    assert_eq!((profile("ada").0, profile("eva").0, profile("bob").0), ("Researcher".into(), "Researcher".into(), "Lead".into()));
    admin.run(&["profile", "apply", "Researcher"]).fails(2, "that is nobody");

    // A profile that changes leaves people as they are, and it is told how many.
    admin.run(&["profile", "change", "Lead", "--name", "Leads", "--take", "team.create"]).ok();
    assert_eq!(admin.json(&["profile", "show", "Leads"])["people"], 1);
    assert_eq!(profile("bob"), ("Leads".to_owned(), false));
    admin.run(&["users", "list"]).ok().says("Leads, changed");
    admin.run(&["profile", "delete", "Leads"]).ok();
    assert_eq!(profile("bob"), ("-".to_owned(), false));

    // With the activation.
    let fingerprint = Device::new(&backend).register("new", &[]);
    admin.run(&["users", "activate", "new", "--fingerprint", &fingerprint, "--profile", "Researcher"]).ok();
    assert_eq!(profile("new"), ("Researcher".to_owned(), true));
}
