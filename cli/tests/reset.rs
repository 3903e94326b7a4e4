//! A person loses their keys: from the lost device to an empty vault, shares given again, and the old tree deleted.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod support;

use std::path::Path;

use support::{Device, begin, enrol};

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// Writes a file and puts it into the vault.
fn put(device: &Device, name: &str, content: &str, to: &str) {
    let file = device.path(name);
    std::fs::write(&file, content).unwrap();
    device.run(&["put", text(&file), to]).ok();
}

fn names(listed: &serde_json::Value) -> Vec<&str> {
    listed.as_array().unwrap().iter().map(|one| one["name"].as_str().unwrap()).collect()
}

#[test]
fn who_lost_their_keys_begins_anew_and_others_share_again() {
    let (backend, admin) = begin();
    let (ann, ben) = (enrol(&backend, &admin, "ann"), enrol(&backend, &admin, "ben"));
    for (device, directory) in [(&ann, "/project"), (&ben, "/notes")] {
        device.run(&["mkdir", directory]).ok();
    }
    put(&ann, "plan", "ann's plan", "/project");
    put(&ben, "note", "ben's note", "/notes");
    ann.run(&["share", "/project", "ben", "--edit"]).ok();
    ben.run(&["share", "/notes", "ann", "--edit"]).ok();
    assert_eq!(ben.run(&["cat", "/@shared/ann/project/plan"]).ok().stdout, "ann's plan");
    assert_eq!(ann.run(&["cat", "/@shared/ben/notes/note"]).ok().stdout, "ben's note");

    // Another device with nothing on it asks for what is public; a colleague has it.
    let fresh = Device::new(&backend);
    fresh.run(&["key", "reset", "ann"]).fails(4, "ticrypt users bundle ann");
    let old_bundle = ben.path("ann.bundle");
    ben.run(&["users", "bundle", "ann", text(&old_bundle)]).ok();
    fresh.run(&["key", "reset", "ben", "--from", text(&old_bundle)]).fails(2, "bundle of ann");
    let handed = fresh.path("handed.bundle");
    let made = fresh.json(&["key", "reset", "ann", "--from", text(&old_bundle), "--bundle", text(&handed)]);
    assert_eq!((made["generation"].as_u64(), made["bundle"].as_str()), (Some(1), Some(text(&handed))));
    let fingerprint = made["fingerprint"].as_str().unwrap();
    fresh.run(&["login"]).fails(3, "when an administrator has accepted them");
    ann.run(&["whoami"]).ok();

    // The administrator compares, and accepts what follows the present keys.
    let wrong = fingerprint.replacen(&fingerprint[..4], if fingerprint.starts_with("0000") { "1111" } else { "0000" }, 1);
    let accept =
        |bundle: &Path, fingerprint: &str| admin.run(&["users", "reset", "ann", "--bundle", text(bundle), "--fingerprint", fingerprint]);
    accept(&handed, &wrong).fails(3, "accept only what the person has read to you");
    accept(&handed, fingerprint).ok();
    ann.run(&["whoami"]).fails(3, "");
    ann.run(&["login"]).fails(3, "");
    fresh.run(&["login"]).ok();
    let other = Device::new(&backend);
    let late = other.json(&["key", "reset", "ann", "--from", text(&old_bundle)]);
    accept(Path::new(late["bundle"].as_str().unwrap()), late["fingerprint"].as_str().unwrap()).fails(2, "ticrypt key reset ann --from");

    // Nothing old opens; a vault of her own is there, empty.
    assert_eq!(names(&fresh.json(&["ls", "/"])), [""; 0]);
    assert_eq!(names(&fresh.json(&["ls", "/@shared"])), [""; 0]);
    fresh.run(&["mkdir", "/anew"]).ok();
    put(&fresh, "first", "begun again", "/anew");
    assert_eq!(fresh.run(&["cat", "/anew/first"]).ok().stdout, "begun again");
    fresh.run(&["share", "/anew", "ben"]).ok();

    // Ben is told at every turn, and what he had he keeps: his own tree, and what the old key shared with him.
    let standing = ben.json(&["shares", "--by-me"]);
    assert_eq!(
        (standing[0]["recipient"].as_str(), standing[0]["dead"].as_bool(), standing[0]["path"].as_str()),
        (Some("ann"), Some(true), Some("/notes"))
    );
    assert_eq!(ben.json(&["shares", "/notes"])[0]["dead"], true);
    for refused in [&["users", "show", "ann"][..], &["share", "/notes", "ann"], &["ls", "/@shared/ann"]] {
        let ran = ben.run(refused).fails(1, "changed by a reset");
        assert!(ran.stderr.contains("ticrypt users verify ann") && ran.stderr.contains(fingerprint), "{}", ran.stderr);
    }
    let with_me = ben.run(&["shares", "--with-me"]).ok();
    assert!(with_me.stdout.contains("/@shared/ann/project") && with_me.stderr.contains("changed by a reset"), "{}", with_me.stderr);
    put(&ben, "more", "while nobody else reads", "/notes");
    assert_eq!(names(&ben.json(&["ls", "/notes"])), ["more", "note"]);

    // Compared, the new key is hers, and the share is given again.
    let groups: Vec<&str> = fingerprint.split_whitespace().collect();
    ben.run(&[&["users", "verify", "ann"], &groups[..]].concat()).ok();
    ben.run(&["share", "/notes", "ann"]).ok();
    assert_eq!(ben.json(&["shares", "--by-me"])[0]["dead"], false);
    assert_eq!(ben.json(&["shares", "/notes"]).as_array().unwrap().len(), 1);
    assert_eq!(fresh.run(&["cat", "/@shared/ben/notes/more"]).ok().stdout, "while nobody else reads");
    assert_eq!(ben.run(&["cat", "/@shared/ann/anew/first"]).ok().stdout, "begun again");

    // He still has his part of the lost tree, writes there, and gives it back.
    assert_eq!(ben.run(&["cat", "/@shared/ann/project/plan"]).ok().stdout, "ann's plan");
    put(&ben, "late", "in the lost tree", "/@shared/ann/project");
    ben.run(&["cp", "/@shared/ann/project/plan", "/notes/plan"]).ok();
    assert_eq!(fresh.run(&["cat", "/@shared/ben/notes/plan"]).ok().stdout, "ann's plan");

    // The lost tree counts until she deletes it, and the server finds everything in order with and without it.
    let lost = fresh.json(&["trash", "lost"]);
    assert_eq!((lost.as_array().unwrap().len(), lost[0]["nodes"].as_u64(), lost[0]["shares"].as_u64()), (1, Some(4), Some(1)));
    backend.check();
    fresh.run(&["trash", "lost", "--delete"]).fails(2, "1 shares");
    assert_eq!(fresh.json(&["trash", "lost", "--delete", "--yes"])["nodes"], 4);
    assert_eq!(fresh.json(&["trash", "lost"]).as_array().unwrap().len(), 0);
    ben.run(&["cat", "/@shared/ann/project/plan"]).fails(4, "");
    assert_eq!(fresh.run(&["cat", "/anew/first"]).ok().stdout, "begun again");
    backend.check();
    for device in [&fresh, &ben, &admin] {
        device.run(&["audit", "verify"]).ok();
    }
}

#[test]
fn a_forgotten_passphrase_on_the_same_device() {
    let (backend, admin) = begin();
    let (ann, ben) = (enrol(&backend, &admin, "ann"), enrol(&backend, &admin, "ben"));
    put(&ann, "plan", "plan", "/");
    ben.run(&["mkdir", "/notes"]).ok();
    ben.run(&["share", "/notes", "ann"]).ok();
    // She has looked herself up, so this device has pinned her own old key.
    ann.run(&["users", "show", "ann"]).ok();
    admin.run(&["users", "show", "ann"]).ok();
    std::fs::write(ann.path("passphrase"), "another one altogether\n").unwrap();
    let made = ann.json(&["key", "reset", "ann"]);
    assert_eq!(made["set_aside"].as_array().unwrap().len(), 2);
    ann.run(&["key", "reset", "ann"]).fails(2, made["fingerprint"].as_str().unwrap());
    let (bundle, fingerprint) = (made["bundle"].as_str().unwrap(), made["fingerprint"].as_str().unwrap());
    admin.run(&["users", "reset", "ann", "--bundle", bundle, "--fingerprint", fingerprint]).ok();
    ann.run(&["login"]).ok();
    assert_eq!(ann.json(&["users", "show", "ann"])["generation"], 1);
    put(&ann, "again", "again", "/");
    assert_eq!(names(&ann.json(&["ls", "/"])), ["again"]);

    // A dead share that is not to be given again is put away, without the new key being believed.
    assert_eq!(ben.json(&["shares", "--by-me"]).as_array().unwrap().len(), 1);
    ben.run(&["unshare", "/notes", "ann"]).ok();
    assert_eq!(ben.json(&["shares", "--by-me"]).as_array().unwrap().len(), 0);

    // Lost once more: the next follows the reset.
    let bundle = ann.path("counts.bundle");
    admin.run(&["users", "show", "ann"]).fails(1, "changed by a reset");
    let groups: Vec<&str> = fingerprint.split_whitespace().collect();
    admin.run(&[&["users", "verify", "ann"], &groups[..]].concat()).ok();
    admin.run(&["users", "bundle", "ann", text(&bundle)]).ok();
    let made = ann.json(&["key", "reset", "ann", "--from", text(&bundle)]);
    let (bundle, fingerprint) = (made["bundle"].as_str().unwrap(), made["fingerprint"].as_str().unwrap());
    admin.run(&["users", "reset", "ann", "--bundle", bundle, "--fingerprint", fingerprint]).ok();
    ann.run(&["login"]).ok();
    assert_eq!(names(&ann.json(&["ls", "/"])), [""; 0]);
    assert_eq!(ann.json(&["trash", "lost"]).as_array().unwrap().len(), 2);
}
