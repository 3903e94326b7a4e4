//! Writes and runs the published vectors in `crypto/vectors/`, most of which must be refused.
//!
//! The writer builds bytes by hand, since most of them are bytes this system never writes, and signs with an ECDSA whose nonces
//! are fixed, so that the files come out the same each time. After a change of a format run
//! `TICRYPT_WRITE_VECTORS=1 cargo nextest run -p ticrypt-keyring vectors` and read the difference.

mod chunks;
mod groups;
mod keyfiles;
mod make;
mod projects;
#[path = "../../crypto/tests/run/mod.rs"]
mod public_run;
mod records;
mod run;
mod signed;
mod wraps;

use std::path::{Path, PathBuf};

use make::Files;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../crypto/vectors")
}

/// The writer runs each vector as it writes it; that the files are the same byte for byte makes this a run of the files.
#[test]
fn the_files_are_what_the_writer_writes_and_do_what_they_say() {
    let mut files = Files::default();
    records::write(&mut files);
    signed::write(&mut files);
    wraps::write(&mut files);
    chunks::write(&mut files);
    keyfiles::write(&mut files);
    groups::write(&mut files);
    projects::write(&mut files);
    let (accepted, refused) = files.counts();
    assert!(accepted >= 70 && refused >= 400, "only {accepted} accepted and {refused} refused");
    let texts: Vec<_> = files.texts().collect();
    let known = std::fs::read_dir(folder()).unwrap().count();
    for (name, text) in &texts {
        let path = folder().join(name);
        if std::env::var_os("TICRYPT_WRITE_VECTORS").is_some() {
            std::fs::write(path, text).unwrap();
        } else {
            let stored = std::fs::read_to_string(&path).unwrap();
            assert!(stored == *text, "{} differs from what is written now: read src/vectors.rs", path.display());
        }
    }
    assert!(known <= texts.len(), "{} holds a file that is not written here", folder().display());
}
