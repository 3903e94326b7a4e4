//! A new identity for a person who lost theirs: their own half of a reset (docs/formats.md §2, reason 3; security B12).
//!
//! ```text
//!   person          bundle known before ─▶ new keys + bundle of the next generation, not signed by the old key
//!                        │ the file by any way, its fingerprint by voice
//!   administrator   signs a statement about it ─▶ key log ─▶ it is the account's key; what was sealed to the old one is dead
//!   everybody else  sees that no signature leads to it, compares the fingerprint, shares again
//! ```
//!
//! Nothing is asked of the server: without keys there is no session, and whoever has none is told nothing about accounts. What the next
//! bundle must name is public and lies in the home that made the old one, in the home of anybody who dealt with the person, and with the
//! administrator.

use std::path::{Path, PathBuf};

use ticrypt_crypto::bundle::{BUNDLE_MAX_LEN, Bundle, Reason};
use ticrypt_keyring::{Identity, SystemRandom};
use ticrypt_types::{Secret, UserName};

use crate::account::{self, KeyFile, KeyPaths};
use crate::clock;
use crate::deployment::Deployment;
use crate::error::{ClientError, Result};
use crate::home::{self, Home};

/// What a reset left on disk.
#[derive(Debug)]
pub struct Prepared {
    /// The new keys; good for nothing until an administrator has accepted them.
    pub file: KeyFile,
    /// Where the former files went, if there were any: nothing is overwritten.
    pub set_aside: Vec<PathBuf>,
}

/// A bundle that somebody gave, if it is of this person in this deployment.
pub fn given(deployment: &Deployment, name: &UserName, bytes: &[u8]) -> Result<Bundle> {
    let bundle =
        Bundle::parse_and_verify(bytes).map_err(|e| ClientError::invalid("what was given is not a bundle; ask for it again").because(e))?;
    let payload = bundle.payload();
    if payload.deployment != deployment.id() || payload.name != *name {
        return Err(ClientError::invalid(format!(
            "this is the bundle of {} in deployment {}; give one of {name} in this deployment",
            payload.name, payload.deployment
        )));
    }
    Ok(bundle)
}

/// The newest bundle of a person that this home knows.
pub fn known(home: &Home, deployment: &Deployment, name: &UserName) -> Result<Bundle> {
    // Proven to be in the key log when it was kept.
    let logged = newest(&home.directory(deployment.id(), "bundles")?, deployment, name, |_| true)?;
    let own = newest(&home.directory(deployment.id(), "keys")?, deployment, name, |file| file.starts_with(&format!("{name}.bundle")))?;
    let logged_generation = logged.as_ref().map(|bundle| bundle.payload().generation);
    match own.filter(|own| logged_generation.is_none_or(|logged| logged < own.payload().generation)) {
        Some(own) if own.payload().reason == Reason::Reset => Err(ClientError::new(
            crate::Kind::Invalid,
            "reset_begun",
            format!(
                "keys of {name} were made by a reset before (fingerprint {}): hand that bundle to an administrator; if those keys are lost \
                 as well, ask for the bundle that counts now and name it with --from FILE",
                own.fingerprint()
            ),
        )),
        Some(own) => Ok(own),
        None => logged.ok_or_else(|| {
            ClientError::not_found(format!(
                "this home has no bundle of {name}; ask an administrator, or anybody who shares with you, for the file that \
                 `ticrypt users bundle {name} FILE` writes, and name it with --from FILE"
            ))
        }),
    }
}

/// The highest generation among the bundles of a directory. What cannot be read is none.
fn newest(dir: &Path, deployment: &Deployment, name: &UserName, is_bundle: impl Fn(&str) -> bool) -> Result<Option<Bundle>> {
    let entries = std::fs::read_dir(dir).map_err(|e| home::io_error("list", dir, e))?;
    let mut found: Option<Bundle> = None;
    for path in entries.filter_map(|entry| Some(entry.ok()?.path())) {
        // A rotation that was not finished may count or not; the one before it is what is known.
        let wanted = path.file_name().and_then(|file| file.to_str()).is_some_and(|file| is_bundle(file) && !file.ends_with(".next"));
        let Some(bytes) = wanted.then(|| home::read_bounded(&path, BUNDLE_MAX_LEN)).transpose()?.flatten() else { continue };
        let Ok(bundle) = Bundle::parse_and_verify(&bytes) else { continue };
        let payload = bundle.payload();
        let newer = found.as_ref().is_none_or(|found| found.payload().generation < payload.generation);
        if payload.deployment == deployment.id() && payload.name == *name && newer {
            found = Some(bundle);
        }
    }
    Ok(found)
}

/// Draws the keys that follow `previous` and writes them; files in their place are set aside, never overwritten.
pub fn prepare(previous: &Bundle, paths: KeyPaths, passphrase: &Secret<String>) -> Result<Prepared> {
    account::check_passphrase(passphrase)?;
    let made = Identity::reset(&SystemRandom::new(), previous, clock::now());
    let (identity, bundle) = made.map_err(|e| ClientError::broken(format!("the new keys could not be made: {e}")).because(e))?;
    let mut set_aside = Vec::new();
    // Those of a rotation that was not finished as well: a login would take them for newer than these.
    let next = account::next_paths(&paths);
    for path in [&paths.key, &paths.bundle, &next.key, &next.bundle] {
        set_aside.extend(put_aside(path, previous.payload().generation)?);
    }
    account::write_new(&identity, &bundle, &paths, passphrase)?;
    Ok(Prepared { file: KeyFile::read(paths)?, set_aside })
}

fn put_aside(path: &Path, generation: u32) -> Result<Option<PathBuf>> {
    if !path.exists() {
        return Ok(None);
    }
    for attempt in 1_u32.. {
        let mut name = path.as_os_str().to_owned();
        name.push(format!(".lost-{generation}"));
        if attempt > 1 {
            name.push(format!("-{attempt}"));
        }
        let to = PathBuf::from(name);
        if !to.exists() {
            std::fs::rename(path, &to).map_err(|e| home::io_error("set aside", path, e))?;
            return Ok(Some(to));
        }
    }
    Err(ClientError::invalid(format!("{} cannot be set aside; move it elsewhere", path.display())))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::deployment::{Candidate, tests::sample};
    use ticrypt_crypto::Digest;
    use ticrypt_crypto::bundle::Fingerprint;

    fn secret(text: &str) -> Secret<String> {
        Secret::new(text.to_owned())
    }

    fn world() -> (tempfile::TempDir, Home, Deployment, UserName) {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::open(dir.path().join("home")).unwrap();
        let bytes = serde_json::to_vec(&sample()).unwrap();
        let deployment = Candidate::read(&home, bytes.clone()).unwrap().accept(&home, Fingerprint(Digest::of(&bytes))).unwrap();
        (dir, home, deployment, "ann".parse().unwrap())
    }

    #[test]
    fn keys_whose_passphrase_is_forgotten_are_followed_and_kept() {
        let (_dir, home, deployment, name) = world();
        let paths = KeyPaths::in_home(&home, &deployment, &name).unwrap();
        let lost = account::create(&deployment, name.clone(), paths.clone(), &secret("correct horse")).unwrap();
        let previous = known(&home, &deployment, &name).unwrap();
        assert_eq!(previous.hash(), lost.bundle.hash());
        assert!(prepare(&previous, paths.clone(), &secret("short")).is_err());
        assert!(paths.key.exists(), "nothing moves before the new keys are good");

        let made = prepare(&previous, paths.clone(), &secret("battery staple")).unwrap();
        let payload = made.file.bundle.payload();
        assert_eq!((payload.generation, payload.reason, payload.predecessor), (1, Reason::Reset, Some(lost.bundle.hash())));
        assert_eq!((payload.user, &payload.name), (lost.header.user, &name));
        made.file.unlock(&secret("battery staple")).unwrap();
        made.file.bundle.verify_successor(&lost.bundle).unwrap();
        assert_eq!(KeyPaths::choose(&home, &deployment, None).unwrap(), paths, "the old files are no key files of this home");
        assert_eq!(made.set_aside.len(), 2);
        assert_eq!(std::fs::read_to_string(&made.set_aside[0]).unwrap(), lost.text);

        // Another one on top of it would follow keys that perhaps nobody accepted.
        let again = known(&home, &deployment, &name).unwrap_err();
        assert_eq!(again.code(), "reset_begun");
        assert!(again.to_string().contains(&made.file.bundle.fingerprint().to_string()));
        let named = given(&deployment, &name, &std::fs::read(&paths.bundle).unwrap()).unwrap();
        assert_eq!(prepare(&named, paths, &secret("battery staple")).unwrap().file.bundle.payload().generation, 2);
    }

    #[test]
    fn a_home_that_knows_nothing_asks_for_the_bundle() {
        let (dir, home, deployment, name) = world();
        let error = known(&home, &deployment, &name).unwrap_err();
        assert!(error.to_string().contains("ticrypt users bundle ann"), "{error}");
        let elsewhere = KeyPaths::beside(&dir.path().join("elsewhere.key"));
        let lost = account::create(&deployment, name.clone(), elsewhere.clone(), &secret("correct horse")).unwrap();
        assert_eq!(given(&deployment, &name, &std::fs::read(&elsewhere.bundle).unwrap()).unwrap().hash(), lost.bundle.hash());
        let other = "bob".parse().unwrap();
        assert!(given(&deployment, &other, &std::fs::read(&elsewhere.bundle).unwrap()).unwrap_err().to_string().contains("bundle of ann"));
        // One that was seen in the key log on this device does as well, and the newest counts.
        let bundles = home.directory(deployment.id(), "bundles").unwrap();
        std::fs::write(bundles.join(lost.bundle.hash().to_string()), lost.bundle.as_bytes()).unwrap();
        std::fs::write(bundles.join("torn"), b"torn").unwrap();
        let (_, second) = Identity::reset(&SystemRandom::new(), &lost.bundle, clock::now()).unwrap();
        std::fs::write(bundles.join(second.hash().to_string()), second.as_bytes()).unwrap();
        assert_eq!(known(&home, &deployment, &name).unwrap().hash(), second.hash());
    }
}
