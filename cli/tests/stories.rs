//! The four infrastructures for hierarchical data, each by the real command line: federal data, and data of Florida, Texas and California
//! that nobody may combine between states.
//!
//! What must hold of every one of them is asserted in [`Study::holds`]; what is particular to one, in its own story.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod support;

use support::{Backend, Device, again, begin, enrol, marked, put};

const STATES: [&str; 3] = ["Florida", "Texas", "California"];

/// A research group: its principal investigator, people of one state each, one of two, and one who works on federal data alone.
struct Study {
    _backend: Backend,
    admin: Device,
    pi: Device,
    /// In the order of [`STATES`].
    of_state: [Device; 3],
    /// Of Florida and of Texas.
    two: Device,
    federal: Device,
}

impl Study {
    /// Projects with a level for each state, and who is in them.
    fn begin() -> Self {
        let (backend, admin) = begin();
        let [pi, fl, tx, ca, two, federal] = ["pi", "fl", "tx", "ca", "two", "federal"].map(|name| enrol(&backend, &admin, name));
        let given = ["project.create", "project.create-child", "project.manage-members", "project.certify", "project.declassify"];
        admin.run(&[&["users", "permissions", "pi", "--give"], &given[..]].concat()).ok();
        for (n, state) in STATES.iter().enumerate() {
            admin.run(&["requirement", "create", &format!("Requirement {n}"), "--default", "365d"]).ok();
            admin.run(&["level", "create", &format!("Level {state}"), "--require", &format!("Requirement {n}")]).ok();
        }
        pi.run(&["project", "create", "Federal", "--tag", "US"]).ok();
        for (n, state) in STATES.iter().enumerate() {
            pi.run(&["project", "create", state, "--below", "Federal", "--level", &format!("Level {state}")]).ok();
            pi.run(&["certification", "give", &format!("Requirement {n}"), "pi"]).ok();
        }
        pi.run(&["project", "add", "Federal", "fl", "tx", "ca", "two", "federal"]).ok();
        let study = Self { _backend: backend, admin, pi, of_state: [fl, tx, ca], two, federal };
        again(&study.pi);
        for (n, state) in STATES.iter().enumerate() {
            study.join(n, state);
        }
        study.pi.run(&["project", "add", "Florida", "two"]).ok();
        study.pi.run(&["project", "add", "Texas", "two"]).ok();
        for n in [0, 1] {
            study.pi.run(&["certification", "give", &format!("Requirement {n}"), "two"]).ok();
        }
        for device in study.everybody() {
            again(device);
        }
        study
    }

    /// A person of one state: membership first, then the certification, each of which counts from the next login on.
    fn join(&self, n: usize, state: &str) {
        let (person, name) = (&self.of_state[n], ["fl", "tx", "ca"][n]);
        person.run(&["work", state]).fails(4, "no project");
        self.pi.run(&["project", "add", state, name]).ok();
        again(person);
        person.run(&["work", state]).fails(3, "certification");
        self.pi.run(&["certification", "give", &format!("Requirement {n}"), name]).ok();
        person.run(&["work", state]).fails(3, "log in again");
        again(person);
        person.run(&["work", state]).ok();
    }

    fn everybody(&self) -> [&Device; 6] {
        let [fl, tx, ca] = &self.of_state;
        [&self.pi, fl, tx, ca, &self.two, &self.federal]
    }

    /// What the problem statement demands, of a place with the data of each state in a directory (`places`) and of the whole country
    /// (`federal`); `with` is what besides is worked in to reach it.
    fn holds(&self, places: &[String; 3], federal: &str, with: &[&str]) {
        let [fl, tx, ca] = &self.of_state;
        let at = |device: &Device, projects: &[&str]| device.run(&[&["work"], with, projects].concat()).ok();
        // All have access to federal data.
        for device in self.everybody() {
            at(device, &["Federal"]);
            assert_eq!(cat(device, &format!("{federal}/federal.txt")), "the whole country");
        }
        // Who works on federal data alone reaches no state.
        for place in places {
            self.federal.run(&["cat", &format!("{place}/data.txt")]).fails(3, "locked");
        }
        // Members of a state reach it only while they actively work on it, and then the federal data with it, to combine them there.
        for (n, device) in [fl, tx, ca].into_iter().enumerate() {
            at(device, &["Federal"]);
            device.run(&["cat", &format!("{}/data.txt", places[n])]).fails(3, "locked");
            at(device, &[STATES[n]]);
            assert_eq!(cat(device, &format!("{}/data.txt", places[n])), STATES[n]);
            assert_eq!(cat(device, &format!("{federal}/federal.txt")), "the whole country");
            device.run(&["cp", &format!("{federal}/federal.txt"), &format!("{}/combined.txt", places[n])]).ok();
            device.run(&["cp", &format!("{}/data.txt", places[n]), &format!("{federal}/leak.txt")]).fails(3, "tags equal your working set");
            for (other, place) in places.iter().enumerate().filter(|(other, _)| *other != n) {
                device.run(&["cat", &format!("{place}/data.txt")]).fails(3, "locked");
                device.run(&["work", STATES[other]]).fails(4, "no project");
            }
        }
        // Nobody has two states at once, whoever is a member of both; nor moves anything between them, at one time or one after the other.
        for device in [&self.two, &self.pi] {
            device.run(&["work", "Florida", "Texas"]).fails(3, "one project of a tree");
            at(device, &["Florida"]);
            assert_eq!(cat(device, &format!("{}/data.txt", places[0])), "Florida");
            device.run(&["cat", &format!("{}/data.txt", places[1])]).fails(3, "locked");
            device.run(&["cp", &format!("{}/data.txt", places[0]), &format!("{}/from-florida.txt", places[1])]).fails(3, "locked");
            at(device, &["Texas"]);
            assert_eq!(cat(device, &format!("{}/data.txt", places[1])), "Texas");
            device.run(&["cp", &format!("{}/data.txt", places[0]), &format!("{}/from-florida.txt", places[1])]).fails(3, "locked");
        }
        // Declassification is limited to the PI, whatever permission a member has in the group.
        at(fl, &["Florida"]);
        let combined = format!("{}/combined.txt", places[0]);
        fl.run(&["tag", &combined, "Florida"]).ok();
        at(&self.two, &["Florida"]);
        self.two.run(&["tag", &combined, "Texas"]).fails(3, "could never be active together");
        fl.run(&["tag", &places[0], "--none"]).fails(3, "project.declassify");
        self.admin.run(&["users", "permissions", "fl", "--give", "project.declassify"]).ok();
        fl.run(&["tag", &places[0], "--none"]).fails(3, "manager of the project");
        // Downloads are controlled: a restriction of the membership counts whoever the file is from.
        self.pi.run(&["project", "add", "Texas", "tx", "--update", "--restrict", "no-download"]).ok();
        again(tx);
        at(tx, &["Texas"]);
        tx.run(&["get", &format!("{}/data.txt", places[1]), tx.path("out").to_str().unwrap()]).fails(3, "forbids this");
        // What ends is felt at once.
        self.pi.run(&["certification", "expire", "Requirement 2", "ca"]).ok();
        ca.run(&["cat", &format!("{}/data.txt", places[2])]).fails(3, "locked");
    }

    fn project_members(&self, device: &Device, project: &str) -> usize {
        device.json(&["project", "members", project]).as_array().unwrap().len()
    }
}

fn cat(device: &Device, path: &str) -> String {
    device.run(&["cat", path]).ok().stdout
}

fn names(device: &Device, path: &str) -> Vec<String> {
    marked(&device.json(&["ls", path]))
}

/// A directory with a state's data, tagged with it by somebody who works in the group's tag before and in the state after.
fn state_directory(pi: &Device, at: &str, state: &str, with: &[&str]) -> String {
    let place = format!("{at}/{state}");
    pi.run(&["mkdir", &place]).ok();
    pi.run(&[&["work"], with, &[state]].concat()).ok();
    pi.run(&["tag", &place, state]).ok();
    put(pi, "data.txt", state, &place).ok();
    place
}

/// One group to span all projects.
#[test]
fn workflow_1() {
    let study = Study::begin();
    let [fl, tx, ca] = &study.of_state;
    let pi = &study.pi;
    let may = ["--may", "add-entries", "create-directories", "modify-tag"];
    pi.run(&[&["group", "create", "umbrella", "fl", "tx", "ca", "two", "federal"], &may[..]].concat()).ok();
    pi.run(&["work", "Federal"]).ok();
    pi.run(&["tag", "/@groups/umbrella", "Federal"]).ok();
    put(pi, "federal.txt", "the whole country", "/@groups/umbrella").ok();
    let places = STATES.map(|state| {
        pi.run(&["work", "Federal"]).ok();
        state_directory(pi, "/@groups/umbrella", state, &[])
    });

    // Directories of other projects show a name and a question mark.
    fl.run(&["work", "Florida"]).ok();
    assert_eq!(names(fl, "/@groups/umbrella"), ["California?", "Florida#", "Texas?", "federal.txt"]);
    study.federal.run(&["work", "Federal"]).ok();
    assert_eq!(names(&study.federal, "/@groups/umbrella"), ["California?", "Florida?", "Texas?", "federal.txt"]);
    // A file that one member of a state uploads, another of that state uses.
    put(fl, "found.txt", "by fl", &places[0]).ok();
    study.two.run(&["work", "Florida"]).ok();
    assert_eq!(cat(&study.two, &format!("{}/found.txt", places[0])), "by fl");
    // Members of a subproject see their own membership, and members of the group each other; an administrator's permission alters that.
    assert_eq!(study.project_members(fl, "Florida"), 1);
    assert_eq!(fl.json(&["group", "show", "umbrella"])["member"].as_array().unwrap().len(), 6);
    study.admin.run(&["users", "permissions", "fl", "--give", "project.view-members"]).ok();
    assert_eq!(study.project_members(fl, "Florida"), 3);
    // Membership of the project without the group reaches nothing.
    assert!(study.admin.json(&["group", "list"]).as_array().unwrap().is_empty());
    study.admin.run(&["ls", "/@groups/umbrella"]).fails(4, "no group called");

    study.holds(&places, "/@groups/umbrella", &[]);

    // A subproject without a level is a part of the main project for its members.
    pi.run(&["project", "create", "Annex", "--below", "Federal"]).ok();
    pi.run(&["project", "add", "Annex", "federal"]).ok();
    again(&study.federal);
    study.federal.run(&["work", "Annex"]).ok();
    assert_eq!(cat(&study.federal, "/@groups/umbrella/federal.txt"), "the whole country");
    // Delegated: a member of the subproject becomes its manager, the PI leaves it, and works there no more.
    pi.run(&["project", "add", "Texas", "two", "--update", "--manager"]).ok();
    pi.run(&["project", "change", "Texas", "--pi", "two"]).ok();
    again(&study.two);
    study.two.run(&["project", "remove", "Texas", "pi"]).fails(3, "project.manage-members");
    study.admin.run(&["users", "permissions", "two", "--give", "project.manage-members"]).ok();
    study.two.run(&["project", "remove", "Texas", "pi"]).ok();
    pi.run(&["work", "Texas"]).fails(4, "no project");
    study.two.run(&["work", "Texas"]).ok();
    put(&study.two, "later.txt", "without the PI", &places[1]).ok();
    tx.run(&["work", "Texas"]).ok();
    assert_eq!(cat(tx, &format!("{}/later.txt", places[1])), "without the PI");
    // A level on the main project binds the members of all its subprojects.
    study.admin.run(&["requirement", "create", "Federal training", "--default", "365d"]).ok();
    study.admin.run(&["level", "create", "CUI", "--require", "Federal training"]).ok();
    pi.run(&["work", "Federal"]).ok();
    pi.run(&["project", "change", "Federal", "--level", "CUI"]).ok();
    for device in [tx, ca, &study.federal] {
        device.run(&["ls", "/@groups/umbrella"]).fails(3, "locked");
    }
}

/// One project to span all groups.
#[test]
fn workflow_2() {
    let study = Study::begin();
    let [fl, tx, _] = &study.of_state;
    let pi = &study.pi;
    // A small group for each state, tagged with it, and one for what all use.
    let everybody = ["fl", "tx", "ca", "two", "federal"];
    pi.run(&[&["group", "create", "country"], &everybody[..]].concat()).ok();
    pi.run(&["work", "Federal"]).ok();
    pi.run(&["tag", "/@groups/country", "Federal"]).ok();
    put(pi, "federal.txt", "the whole country", "/@groups/country").ok();
    let may = ["--may", "add-entries", "create-directories", "modify-tag"];
    let places = STATES.map(|state| {
        let (group, who) = (format!("of-{state}"), ["fl", "tx", "ca"][STATES.iter().position(|one| *one == state).unwrap()]);
        pi.run(&["work", "--none"]).ok();
        pi.run(&[&["group", "create", &group, who], &may[..]].concat()).ok();
        pi.run(&["work", state]).ok();
        pi.run(&["tag", &format!("/@groups/{group}"), state]).ok();
        put(pi, "data.txt", state, &format!("/@groups/{group}")).ok();
        format!("/@groups/{group}")
    });
    for (state, group) in [("Florida", "of-Florida"), ("Texas", "of-Texas")] {
        pi.run(&["work", state]).ok();
        pi.run(&["group", "add", group, "two"]).ok();
    }
    // Whoever is added is told of it.
    for device in [fl, &study.two] {
        let told = device.json(&["notifications"]);
        assert!(told.as_array().unwrap().iter().any(|one| one["kind"] == "group-joined"), "{told}");
    }
    // Groups are apart by cryptography: who is in another is not in this one, and does not know of it.
    fl.run(&["work", "Florida"]).ok();
    assert_eq!(names(fl, "/@groups"), ["country#", "of-Florida#"]);
    tx.run(&["work", "Federal"]).ok();
    assert_eq!(names(tx, "/@groups"), ["country#", "of-Texas?"]);
    tx.run(&["ls", "/@groups/of-Texas"]).fails(3, "this group is locked");
    tx.run(&["ls", "/@groups/of-Florida"]).fails(4, "no group called");
    // What a member uploads, all members of that group use.
    put(fl, "found.txt", "by fl", &places[0]).ok();
    study.two.run(&["work", "Florida"]).ok();
    assert_eq!(cat(&study.two, &format!("{}/found.txt", places[0])), "by fl");
    // A file tagged with the umbrella project in a group of a subproject stays with that group.
    pi.run(&["work", "Florida"]).ok();
    pi.run(&["tag", &format!("{}/found.txt", places[0]), "Federal"]).ok();
    assert_eq!(cat(fl, &format!("{}/found.txt", places[0])), "by fl");
    study.federal.run(&["work", "Federal"]).ok();
    study.federal.run(&["cat", &format!("{}/found.txt", places[0])]).fails(4, "no group called");

    // In the others' eyes a state's group is not there, so what is demanded of it is checked by those who are in several.
    for device in study.everybody() {
        device.run(&["work", "Federal"]).ok();
        assert_eq!(cat(device, "/@groups/country/federal.txt"), "the whole country");
    }
    let two = &study.two;
    two.run(&["work", "Florida", "Texas"]).fails(3, "one project of a tree");
    two.run(&["work", "Texas"]).ok();
    two.run(&["cp", "/@groups/country/federal.txt", "/@groups/of-Texas/combined.txt"]).ok();
    two.run(&["cp", "/@groups/of-Texas/data.txt", "/@groups/country/leak.txt"]).fails(3, "tags equal your working set");
    two.run(&["cp", "/@groups/of-Florida/data.txt", "/@groups/of-Texas/leak.txt"]).fails(3, "locked");
    two.run(&["work", "Florida"]).ok();
    two.run(&["cp", "/@groups/of-Florida/data.txt", "/@groups/of-Texas/leak.txt"]).fails(3, "locked");

    // Delegated: a member becomes the owner, the PI leaves and reads nothing more. As a user of the project the owner cannot untag; as its
    // manager they can, and what is untagged is still the group's alone.
    pi.run(&["work", "Florida"]).ok();
    pi.run(&["group", "own", "of-Florida", "fl"]).ok();
    pi.run(&["group", "leave", "of-Florida"]).ok();
    pi.run(&["ls", "/@groups/of-Florida"]).fails(4, "no group called");
    study.admin.run(&["users", "permissions", "fl", "--give", "project.declassify"]).ok();
    fl.run(&["work", "Florida"]).ok();
    fl.run(&["tag", "/@groups/of-Florida", "--none"]).fails(3, "manager of the project");
    pi.run(&["project", "add", "Florida", "fl", "--update", "--manager"]).ok();
    again(fl);
    fl.run(&["work", "Florida"]).ok();
    put(fl, "after.txt", "new", "/@groups/of-Florida").ok();
    fl.run(&["tag", "/@groups/of-Florida", "--none"]).ok();
    fl.run(&["work", "--none"]).ok();
    assert_eq!(cat(fl, "/@groups/of-Florida/data.txt"), "Florida");
    two.run(&["work", "--none"]).ok();
    assert_eq!(cat(two, "/@groups/of-Florida/after.txt"), "new");
    tx.run(&["ls", "/@groups/of-Florida"]).fails(4, "no group called");
}

/// Groups under a project of another tree, with directories tagged by the states: both tags count.
#[test]
fn hybrid_1() {
    let study = Study::begin();
    let pi = &study.pi;
    pi.run(&["project", "create", "Consortium"]).ok();
    pi.run(&["project", "add", "Consortium", "fl", "tx", "ca", "two", "federal"]).ok();
    for device in study.everybody() {
        again(device);
    }
    let may = ["--may", "add-entries", "create-directories", "modify-tag"];
    let everybody = ["fl", "tx", "ca", "two", "federal"];
    pi.run(&[&["group", "create", "umbrella"], &everybody[..], &may[..]].concat()).ok();
    pi.run(&["work", "Federal"]).ok();
    pi.run(&["tag", "/@groups/umbrella", "Federal"]).ok();
    put(pi, "federal.txt", "the whole country", "/@groups/umbrella").ok();
    // A group of the set, tagged with the separate umbrella project.
    pi.run(&["work", "--none"]).ok();
    pi.run(&[&["group", "create", "north"], &everybody[..], &may[..]].concat()).ok();
    pi.run(&["work", "Consortium"]).ok();
    pi.run(&["tag", "/@groups/north", "Consortium"]).ok();
    pi.run(&["mkdir", "/@groups/north/us"]).ok();
    pi.run(&["work", "Consortium", "Federal"]).ok();
    pi.run(&["tag", "/@groups/north/us", "Federal"]).ok();
    put(pi, "federal.txt", "the whole country", "/@groups/north/us").ok();
    let places = STATES.map(|state| {
        pi.run(&["work", "Consortium", "Federal"]).ok();
        state_directory(pi, "/@groups/north/us", state, &["Consortium"])
    });
    // One of the two tags alone does not do.
    let fl = &study.of_state[0];
    fl.run(&["work", "Florida"]).ok();
    fl.run(&["ls", "/@groups/north"]).fails(3, "this group is locked");
    fl.run(&["work", "Consortium"]).ok();
    assert_eq!(names(fl, "/@groups/north"), ["us?"]);
    fl.run(&["ls", &places[0]]).fails(3, "locked");
    // And out of the project of the group is out of all that is in it.
    study.holds(&places, "/@groups/north/us", &["Consortium"]);
    pi.run(&["project", "remove", "Consortium", "fl"]).ok();
    fl.run(&["cat", &format!("{}/data.txt", places[0])]).fails(3, "locked");
    fl.run(&["work", "Federal"]).ok();
    assert_eq!(cat(fl, "/@groups/umbrella/federal.txt"), "the whole country");
}

/// Small groups tagged with the umbrella project, with directories tagged by its subprojects.
#[test]
fn hybrid_2() {
    let study = Study::begin();
    let pi = &study.pi;
    let may = ["--may", "add-entries", "create-directories", "modify-tag"];
    let everybody = ["fl", "tx", "ca", "two", "federal"];
    let mut all = Vec::new();
    for group in ["clinic", "survey"] {
        pi.run(&["work", "--none"]).ok();
        pi.run(&[&["group", "create", group], &everybody[..], &may[..]].concat()).ok();
        pi.run(&["work", "Federal"]).ok();
        pi.run(&["tag", &format!("/@groups/{group}"), "Federal"]).ok();
        put(pi, "federal.txt", "the whole country", &format!("/@groups/{group}")).ok();
        all.push(STATES.map(|state| {
            pi.run(&["work", "Federal"]).ok();
            state_directory(pi, &format!("/@groups/{group}"), state, &[])
        }));
    }
    // The same state in two groups is two keys, and one working set: what is a member's of both, they combine.
    let fl = &study.of_state[0];
    fl.run(&["work", "Florida"]).ok();
    fl.run(&["cp", &format!("{}/data.txt", all[0][0]), &format!("{}/from-clinic.txt", all[1][0])]).ok();
    pi.run(&["group", "remove", "survey", "fl"]).ok();
    fl.run(&["ls", "/@groups/survey"]).fails(4, "no group called");
    assert_eq!(cat(fl, &format!("{}/data.txt", all[0][0])), "Florida");
    study.holds(&all[0], "/@groups/clinic", &[]);
}
