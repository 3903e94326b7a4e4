//! Every published vector whose kind needs no secret does what it says. `ticrypt-keyring` writes the files and runs the rest.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

mod run;

use std::collections::BTreeSet;
use std::path::Path;

use run::{Inputs, run};
use serde_json::Value;

#[test]
fn vectors_do_what_they_say() {
    let (mut accepted, mut refused, mut names) = (0, 0, BTreeSet::new());
    for file in std::fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("vectors")).unwrap() {
        let path = file.unwrap().path();
        let vectors: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        for vector in vectors["vectors"].as_array().unwrap() {
            let name = vector["name"].as_str().unwrap();
            assert!(names.insert(name.to_owned()), "two vectors have the name `{name}`");
            assert!(vector["rule"].as_str().unwrap().starts_with('§'), "{name} names no section");
            let Some(result) = run(vector["kind"].as_str().unwrap(), &Inputs(vector)) else { continue };
            match (vector["accept"].as_bool().unwrap(), result) {
                (true, Ok(())) => accepted += 1,
                (false, Err(why)) => {
                    assert_eq!(why, vector["refused_with"].as_str().unwrap(), "{name} is refused for another reason");
                    refused += 1;
                }
                (true, Err(why)) => panic!("{name} is refused: {why}"),
                (false, Ok(())) => panic!("{name} is accepted"),
            }
        }
    }
    // The files are really there and really read.
    assert!(accepted >= 30 && refused >= 120, "only {accepted} accepted and {refused} refused");
}
