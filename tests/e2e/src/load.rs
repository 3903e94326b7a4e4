//! Work for a server that is about to fail, and a book of what it was promised.
//!
//! A moment is whatever number grows while the test goes on: the length of a power-cut recording, or a count. An entry notes the
//! moment at which each thing was begun and the moment by which it was acknowledged; [`Book::faults`] then says what a state of the
//! server at some moment may not look like:
//!
//! ```text
//!   acknowledged before, removal not begun       must be there, byte for byte
//!   begun, not acknowledged                      there whole, or not at all
//!   removal acknowledged                         gone
//!   never put                                    not there
//! ```

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::{Context, Result};

use crate::chance::Chance;
use crate::person::Person;
use crate::tree;

/// One file.
#[derive(Debug, Clone)]
pub struct Entry {
    pub content: Vec<u8>,
    pub put: Step,
    pub removed: Option<Step>,
}

/// One directory that was shared.
#[derive(Debug, Clone)]
pub struct Share {
    pub by: String,
    pub with: String,
    pub path: String,
    pub step: Step,
}

/// When something was begun, and by when it was acknowledged, if it was.
#[derive(Debug, Clone, Copy)]
pub struct Step {
    pub begun: u64,
    pub acknowledged: Option<u64>,
}

impl Step {
    fn sure(&self, moment: u64) -> bool {
        self.acknowledged.is_some_and(|at| at <= moment)
    }
}

/// Everything that was asked of the server, by person and path.
#[derive(Debug, Clone, Default)]
pub struct Book {
    pub files: BTreeMap<(String, String), Entry>,
    pub shares: Vec<Share>,
    /// Receipts as clients kept them, each with the moment by which it had come.
    pub receipts: BTreeMap<Vec<u8>, u64>,
}

impl Book {
    /// What is wrong with the tree that a person has at a moment; paths without a slash in front.
    pub fn faults(&self, person: &str, moment: u64, found: &BTreeMap<String, Vec<u8>>) -> Vec<String> {
        let mut faults = Vec::new();
        let mine = self.files.iter().filter(|((owner, _), _)| owner == person);
        for ((_, path), entry) in mine {
            let gone = entry.removed.is_some_and(|step| step.sure(moment));
            let may_be_gone = entry.removed.is_some_and(|step| step.begun < moment);
            match found.get(path) {
                Some(content) if *content != entry.content => faults.push(format!("{person}: {path} is not what was put")),
                Some(_) if gone => faults.push(format!("{person}: {path} is there again")),
                Some(_) => {}
                None if entry.put.sure(moment) && !may_be_gone => faults.push(format!("{person}: {path} is lost")),
                None => {}
            }
        }
        let unknown = found.keys().filter(|path| !self.files.contains_key(&(person.to_owned(), (*path).clone())));
        faults.extend(unknown.map(|path| format!("{person}: {path} was never put")));
        faults
    }

    /// Shares a person must see at a moment.
    pub fn shares_with<'a>(&'a self, person: &'a str, moment: u64) -> impl Iterator<Item = &'a Share> {
        let removed = move |share: &Share| {
            self.files.iter().any(|((owner, path), entry)| {
                *owner == share.by && path.starts_with(&share.path) && entry.removed.is_some_and(|step| step.begun < moment)
            })
        };
        self.shares.iter().filter(move |share| share.with == person && share.step.sure(moment) && !removed(share))
    }

    /// How many files and shares were acknowledged by a moment.
    pub fn acknowledged(&self, moment: u64) -> (usize, usize) {
        let files = self.files.values().filter(|entry| entry.put.sure(moment)).count();
        (files, self.shares.iter().filter(|share| share.step.sure(moment)).count())
    }
}

/// The book, shared by those who write into it.
#[derive(Debug, Clone, Default)]
pub struct SharedBook(Arc<Mutex<Book>>);

impl SharedBook {
    pub fn open(&self) -> MutexGuard<'_, Book> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One person at work. Every call of [`Worker::work`] does one thing and notes it.
pub struct Worker<'a> {
    person: &'a Person,
    /// With whom to share.
    friend: &'a str,
    book: SharedBook,
    chance: Chance,
    /// The moment.
    now: &'a (dyn Fn() -> u64 + Sync),
    number: usize,
}

/// Small contents live with the metadata, larger ones as chunks.
const SIZES: [usize; 6] = [0, 700, 5_000, 60_000, 90_000, 300_000];

impl<'a> Worker<'a> {
    pub fn new(person: &'a Person, friend: &'a str, book: SharedBook, chance: Chance, now: &'a (dyn Fn() -> u64 + Sync)) -> Self {
        Self { person, friend, book, chance, now, number: 0 }
    }

    /// Returns whether it was acknowledged. That the server did not answer is no error here.
    pub fn work(&mut self) -> Result<bool> {
        self.number += 1;
        let done = match self.chance.below(10) {
            0 => self.remove()?,
            1 | 2 => self.share()?,
            _ => None,
        };
        let done = match done {
            Some(done) => done,
            None => self.put()?,
        };
        for receipt in self.person.receipts()? {
            let now = (self.now)();
            self.book.open().receipts.entry(receipt).or_insert(now);
        }
        Ok(done)
    }

    fn put(&mut self) -> Result<bool> {
        let scratch = tempfile::tempdir()?;
        let name = format!("batch-{}", self.number);
        let local = scratch.path().join(&name);
        std::fs::create_dir(&local)?;
        for file in 0..=self.chance.below(3) {
            let size = SIZES.get(self.chance.below(SIZES.len() as u64) as usize).copied().unwrap_or_default();
            std::fs::write(local.join(format!("{file}.bin")), self.chance.bytes(size))?;
        }
        let begun = (self.now)();
        let key = |path: &String| (self.person.name().to_owned(), format!("{name}/{path}"));
        let contents = tree::read(&local)?;
        for (path, content) in &contents {
            let entry = Entry { content: content.clone(), put: Step { begun, acknowledged: None }, removed: None };
            self.book.open().files.insert(key(path), entry);
        }
        if !self.person.put(&local, "/")?.status.success() {
            return Ok(false);
        }
        let now = (self.now)();
        let mut book = self.book.open();
        for path in contents.keys() {
            book.files.get_mut(&key(path)).context("an entry")?.put.acknowledged = Some(now);
        }
        Ok(true)
    }

    /// A directory whose files are all certain and none removed.
    fn settled(&mut self) -> Option<String> {
        let book = self.book.open();
        let mine = || book.files.iter().filter(|((owner, _), _)| owner == self.person.name());
        let batch = |path: &str| path.split('/').next().unwrap_or_default().to_owned();
        let mut batches: Vec<String> = mine().map(|((_, path), _)| batch(path)).collect();
        batches.dedup();
        batches.retain(|name| {
            mine()
                .filter(|((_, path), _)| batch(path) == *name)
                .all(|(_, entry)| entry.put.acknowledged.is_some() && entry.removed.is_none())
        });
        let choice = self.chance.below(batches.len().max(1) as u64) as usize;
        batches.into_iter().nth(choice)
    }

    fn remove(&mut self) -> Result<Option<bool>> {
        let Some(batch) = self.settled() else { return Ok(None) };
        let begun = (self.now)();
        self.note_removal(&batch, Step { begun, acknowledged: None });
        if !self.person.run(&["rm", &format!("/{batch}")])?.status.success() {
            return Ok(Some(false));
        }
        self.note_removal(&batch, Step { begun, acknowledged: Some((self.now)()) });
        Ok(Some(true))
    }

    fn note_removal(&self, batch: &str, step: Step) {
        let prefix = format!("{batch}/");
        for ((owner, path), entry) in &mut self.book.open().files {
            if owner == self.person.name() && path.starts_with(&prefix) {
                entry.removed = Some(step);
            }
        }
    }

    fn share(&mut self) -> Result<Option<bool>> {
        let Some(batch) = self.settled() else { return Ok(None) };
        let known = |share: &Share| share.by == self.person.name() && share.path == batch;
        if self.book.open().shares.iter().any(known) {
            return Ok(None);
        }
        let begun = (self.now)();
        let share = |acknowledged| Share {
            by: self.person.name().to_owned(),
            with: self.friend.to_owned(),
            path: batch.clone(),
            step: Step { begun, acknowledged },
        };
        let done = self.person.share(&format!("/{batch}"), self.friend)?.status.success();
        let now = (self.now)();
        self.book.open().shares.push(share(done.then_some(now)));
        Ok(Some(done))
    }
}

/// Reads back everything a person has, through the server, into a directory; without what they were given.
pub fn read_back(person: &Person, scratch: &Path) -> Result<BTreeMap<String, Vec<u8>>> {
    let target = scratch.join(format!("back-{}", person.name()));
    std::fs::create_dir_all(&target)?;
    person.get("/", &target)?.success()?;
    tree::read(&target)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn book() -> Book {
        let step = |begun, acknowledged| Step { begun, acknowledged };
        let entry = |put, removed| Entry { content: b"x".to_vec(), put, removed };
        let mut book = Book::default();
        book.files.insert(("ann".into(), "kept".into()), entry(step(10, Some(20)), None));
        book.files.insert(("ann".into(), "removed".into()), entry(step(10, Some(20)), Some(step(30, Some(40)))));
        book.files.insert(("ann".into(), "unsure".into()), entry(step(10, None), None));
        book
    }

    fn found(names: &[(&str, &str)]) -> BTreeMap<String, Vec<u8>> {
        names.iter().map(|(name, content)| ((*name).to_owned(), content.as_bytes().to_vec())).collect()
    }

    #[test]
    fn what_was_promised_must_be_there_and_nothing_else() {
        let faults = |moment, names: &[(&str, &str)]| book().faults("ann", moment, &found(names));
        assert!(faults(15, &[]).is_empty());
        assert_eq!(faults(20, &[]), ["ann: kept is lost", "ann: removed is lost"]);
        assert!(faults(20, &[("kept", "x"), ("removed", "x"), ("unsure", "x")]).is_empty());
        assert!(faults(35, &[("kept", "x")]).is_empty() && faults(35, &[("kept", "x"), ("removed", "x")]).is_empty());
        assert_eq!(faults(40, &[("kept", "x"), ("removed", "x")]), ["ann: removed is there again"]);
        assert_eq!(faults(40, &[("kept", "x"), ("unsure", "")]), ["ann: unsure is not what was put"]);
        assert_eq!(faults(40, &[("kept", "x"), ("other", "x")]), ["ann: other was never put"]);
        assert_eq!(book().faults("ben", 40, &found(&[("kept", "x")])), ["ben: kept was never put"]);
    }
}
