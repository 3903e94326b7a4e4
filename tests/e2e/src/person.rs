//! A person with a device: a home of their own, a key file, a passphrase in a file, and the program `ticrypt`.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};
use data_encoding::{BASE64URL_NOPAD, HEXLOWER};
use sha2::{Digest, Sha256};

use crate::process::{Outcome, run};
use crate::program;
use crate::system::System;

/// How long one command may take.
const PATIENCE: Duration = Duration::from_secs(120);

/// Ends the agent and removes the home when dropped.
#[derive(Debug)]
pub struct Person {
    name: String,
    passphrase: String,
    fingerprint: String,
    directory: tempfile::TempDir,
}

impl Person {
    /// A new person with a new key, registered at a server; the first of all gets the code that the server printed.
    pub fn register(system: &System, name: &str, passphrase: &str, code: Option<&str>) -> Result<Self> {
        let mut person = Self::with_device(system, name, passphrase)?;
        let made = person.run(&["--json", "key", "new", name])?.success()?.json()?;
        person.fingerprint = made.get("fingerprint").and_then(|f| f.as_str()).context("no fingerprint was shown")?.to_owned();
        match code {
            Some(code) => person.run(&["register", "--code", code])?.success()?,
            None => person.run(&["register"])?.success()?,
        };
        Ok(person)
    }

    fn with_device(system: &System, name: &str, passphrase: &str) -> Result<Self> {
        let directory = tempfile::Builder::new().prefix("dev").tempdir()?;
        let person = Self { name: name.to_owned(), passphrase: passphrase.to_owned(), fingerprint: String::new(), directory };
        std::fs::write(person.passphrase_file(), format!("{passphrase}\n"))?;
        person.import(system)?;
        Ok(person)
    }

    /// Takes in the deployment file, or a newer one.
    pub fn import(&self, system: &System) -> Result<()> {
        let file = system.deployment_file();
        let fingerprint = HEXLOWER.encode(&Sha256::digest(std::fs::read(&file)?));
        let file = file.to_str().context("a path that is not UTF-8")?;
        self.run(&["deployment", "import", file, "--fingerprint", &fingerprint])?.success()?;
        Ok(())
    }

    /// The same person on another device: the keys are copied, what the first device has seen is not.
    pub fn another_device(&self, system: &System) -> Result<Self> {
        let other = Self::with_device(system, &self.name, &self.passphrase)?;
        for entry in std::fs::read_dir(self.keys()?)? {
            let path = entry?.path();
            let name = path.file_name().context("a key file without a name")?;
            let keys = other.deployment_directory()?.join("keys");
            std::fs::create_dir_all(&keys)?;
            std::fs::copy(&path, keys.join(name))?;
        }
        Ok(other)
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    pub fn passphrase(&self) -> &str {
        &self.passphrase
    }

    pub fn home(&self) -> PathBuf {
        self.directory.path().join("home")
    }

    fn passphrase_file(&self) -> PathBuf {
        self.directory.path().join("passphrase")
    }

    /// Runs `ticrypt` to its end, however it ends.
    pub fn run(&self, arguments: &[&str]) -> Result<Outcome> {
        run(self.command(arguments)?.current_dir(self.directory.path()), PATIENCE)
    }

    /// The command without running it.
    pub fn command(&self, arguments: &[&str]) -> Result<Command> {
        let mut command = Command::new(program::path("ticrypt")?);
        command.arg("--home").arg(self.home()).arg("--passphrase-file").arg(self.passphrase_file()).args(arguments);
        command.env_remove("RUST_LOG").env_remove("TICRYPT_PASSPHRASE").env("XDG_RUNTIME_DIR", self.directory.path());
        Ok(command)
    }

    pub fn login(&self) -> Result<Outcome> {
        self.run(&["login"])?.success()
    }

    /// Activates somebody after comparing fingerprints; only administrators may.
    pub fn activate(&self, other: &Person) -> Result<Outcome> {
        self.run(&["users", "activate", &other.name, "--fingerprint", &other.fingerprint])?.success()
    }

    pub fn put(&self, local: &Path, vault: &str) -> Result<Outcome> {
        self.run(&["put", local.to_str().context("a path that is not UTF-8")?, vault])
    }

    pub fn get(&self, vault: &str, local: &Path) -> Result<Outcome> {
        self.run(&["get", vault, local.to_str().context("a path that is not UTF-8")?])
    }

    pub fn share(&self, vault: &str, with: &str) -> Result<Outcome> {
        self.run(&["share", vault, with])
    }

    /// Names of the directories that others share with this person.
    pub fn shares(&self) -> Result<Vec<String>> {
        let outcome = self.run(&["shares", "--json"])?.success()?;
        let listing = outcome.json()?;
        let names = listing.as_array().context("a list of shares")?.iter();
        Ok(names.filter_map(|share| share.get("name")?.as_str().map(str::to_owned)).collect())
    }

    fn deployment_directory(&self) -> Result<PathBuf> {
        let deployments = self.home().join("deployments");
        let mut entries = std::fs::read_dir(&deployments).with_context(|| format!("list {}", deployments.display()))?;
        Ok(entries.next().context("no deployment was imported")??.path())
    }

    fn keys(&self) -> Result<PathBuf> {
        Ok(self.deployment_directory()?.join("keys"))
    }

    /// The one key file.
    pub fn key_file(&self) -> Result<PathBuf> {
        Ok(self.keys()?.join(format!("{}.key", self.name)))
    }

    /// The server's receipts that the client keeps and has not checked yet.
    pub fn receipts(&self) -> Result<Vec<Vec<u8>>> {
        let people = self.deployment_directory()?.join("people");
        let Ok(entries) = std::fs::read_dir(people) else { return Ok(Vec::new()) };
        let mut receipts = Vec::new();
        for entry in entries {
            let Ok(text) = std::fs::read_to_string(entry?.path().join("receipts")) else { continue };
            receipts.extend(text.lines().filter_map(|line| BASE64URL_NOPAD.decode(line.as_bytes()).ok()));
        }
        Ok(receipts)
    }
}

/// Ann, the first super-admin, and Ben, whom she activated; both logged in.
pub fn two_people(system: &System) -> Result<[Person; 2]> {
    let ann = Person::register(system, "ann", "correct horse battery staple", Some(&system.code()?))?;
    ann.login()?;
    let ben = Person::register(system, "ben", "purple monkey dishwasher seven", None)?;
    ann.activate(&ben)?;
    ben.login()?;
    Ok([ann, ben])
}

impl Drop for Person {
    fn drop(&mut self) {
        // The agent outlives the command that started it; without a home it would wait for its time to end.
        let _ = self.run(&["lock"]);
    }
}
