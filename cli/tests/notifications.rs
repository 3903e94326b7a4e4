//! What one is told, from end to end: listed, followed, marked as read.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod support;

use std::io::{BufRead, BufReader};
use std::process::Stdio;
use std::time::Duration;

use serde_json::Value;
use support::{Device, begin, enrol};

#[test]
fn what_one_is_told_is_listed_followed_and_read() {
    let (backend, admin) = begin();
    assert_eq!(admin.run(&["notifications"]).ok().stdout, "");
    let ann = enrol(&backend, &admin, "ann");
    let listed = admin.json(&["notifications"]);
    assert_eq!((listed[0]["sequence"].as_u64(), listed[0]["kind"].as_str()), (Some(1), Some("registration-waiting")));
    // Nobody was looked up yet; once she is, the device knows her name.
    assert_eq!(listed[0]["name"], Value::Null);
    admin.run(&["users", "show", "ann"]).ok();
    let listed = admin.json(&["notifications"]);
    assert_eq!((listed[0]["name"].as_str(), listed[0]["unread"].as_bool()), (Some("ann"), Some(true)));
    let own = ann.run(&["notifications"]).ok().stdout;
    assert!(own.starts_with('*') && own.contains("your account was activated"), "{own}");

    // The unread ones, then what comes.
    let mut follows = admin.command();
    let mut child = follows.args(["notifications", "--follow", "--json"]).stdout(Stdio::piped()).spawn().unwrap();
    let stdout = child.stdout.take().unwrap();
    let (send, receive) = std::sync::mpsc::channel();
    std::thread::spawn(move || BufReader::new(stdout).lines().map_while(Result::ok).for_each(|line| drop(send.send(line))));
    let next = || serde_json::from_str::<Value>(&receive.recv_timeout(Duration::from_secs(20)).expect("nothing came")).unwrap();
    assert_eq!(next()["sequence"], 1);
    let eva = Device::new(&backend);
    eva.register("eva", &[]);
    let heard = next();
    assert_eq!((heard["sequence"].as_u64(), heard["kind"].as_str()), (Some(2), Some("registration-waiting")));
    child.kill().unwrap();
    child.wait().unwrap();

    admin.run(&["notifications", "read", "1"]).ok();
    let unread = |listed: Value| listed.as_array().unwrap().iter().map(|one| one["unread"].as_bool().unwrap()).collect::<Vec<_>>();
    assert_eq!(unread(admin.json(&["notifications"])), [false, true]);
    admin.run(&["notifications", "read"]).ok();
    assert_eq!(unread(admin.json(&["notifications"])), [false, false]);
    assert_eq!(admin.json(&["notifications", "--count", "1"]).as_array().unwrap().len(), 1);
    admin.run(&["notifications", "read", "everything"]).fails(2, "everything");
    // A stream ends with the login.
    ann.run(&["logout"]).ok();
    ann.run(&["notifications", "--follow"]).fails(3, "ticrypt login");
}
