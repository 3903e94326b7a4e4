//! The highest counters this person has seen on this device, so that an older state is recognised as a lie (docs/formats.md §7, §8, §11).
//!
//! One file, `seen`, of fixed records; the last record of a key counts. Appended to, and rewritten when most of it is out of date:
//!
//! ```text
//!   "tcseen\0\1" ┬ kind 1 ‖ id 16 ‖ counter 8 ‖ hash 32
//!                ├ …                                        57 bytes each; a torn last one is cut off
//! ```
//!
//! Two programs may run at once: each change is made under a lock, after reading what the other appended. Appends reach the kernel
//! before a call returns, so they survive the end of this program; a power cut may lose the last seconds, which weakens the memory by as
//! much and breaks nothing.

use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use ticrypt_crypto::Digest;
use ticrypt_types::NodeId;

use crate::error::{ClientError, Result};
use crate::home::{self, Lock, io_error};

const MAGIC: &[u8; 8] = b"tcseen\x00\x01";
const RECORD_LEN: usize = 1 + 16 + 8 + 32;
const FILE: &str = "seen";
const LOCK: &str = "seen.lock";
/// Out-of-date records that are not worth a rewrite.
const SLACK_RECORDS: usize = 4_096;

/// What a counter counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SeenKind {
    /// The heads of a directory.
    Head,
    /// The sequence of a file's manifests.
    Sequence,
    /// The epoch of a node's keys, by the grant that carried them.
    Epoch,
    /// Grants this person has ended: nothing is counted.
    Ended,
    /// The heads of a group.
    Group,
    /// The heads of a project.
    Project,
}

impl SeenKind {
    const ALL: [Self; 6] = [Self::Head, Self::Sequence, Self::Epoch, Self::Ended, Self::Group, Self::Project];

    const fn code(self) -> u8 {
        match self {
            Self::Head => 1,
            Self::Sequence => 2,
            Self::Epoch => 3,
            Self::Ended => 4,
            Self::Group => 5,
            Self::Project => 6,
        }
    }

    const fn word(self) -> &'static str {
        match self {
            Self::Head => "directory",
            Self::Sequence => "file",
            Self::Epoch => "keys of the node",
            Self::Ended => "ended grant",
            Self::Group => "group",
            Self::Project => "project",
        }
    }
}

/// One thing seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sight {
    pub kind: SeenKind,
    pub id: NodeId,
    pub counter: u64,
    /// Record hash of what carried the counter.
    pub hash: Digest,
}

/// The memory of one person on one device.
#[derive(Debug)]
pub struct Seen {
    dir: PathBuf,
    inner: Mutex<Inner>,
}

type Key = (SeenKind, [u8; 16]);

#[derive(Debug, Default)]
struct Inner {
    file: Option<File>,
    /// Which file it is; a rewrite by another program gives a new one.
    inode: u64,
    /// Read up to here.
    read_bytes: u64,
    records: usize,
    highest: HashMap<Key, (u64, Digest)>,
}

impl Seen {
    pub fn open(dir: &Path) -> Result<Self> {
        home::make_private(dir)?;
        let seen = Self { dir: dir.to_owned(), inner: Mutex::default() };
        {
            let _lock = Lock::acquire(dir, LOCK)?;
            seen.inner().catch_up(&seen.path())?;
        }
        Ok(seen)
    }

    /// The highest counter seen, and the hash of what carried it.
    pub fn highest(&self, kind: SeenKind, id: NodeId) -> Option<(u64, Digest)> {
        self.inner().highest.get(&(kind, id.to_bytes())).copied()
    }

    /// Refuses a lower counter than was seen before, and another hash with the same counter; remembers a higher one.
    pub fn check_and_raise(&self, kind: SeenKind, id: NodeId, counter: u64, hash: Digest) -> Result<()> {
        self.check_and_raise_all(&[Sight { kind, id, counter, hash }])
    }

    /// The same for many at once: all are checked, then all are remembered, or none.
    pub fn check_and_raise_all(&self, sights: &[Sight]) -> Result<()> {
        // Nothing new is the common case and needs no lock: counters only rise.
        if !self.inner().check(sights)?.is_empty() {
            let _lock = Lock::acquire(&self.dir, LOCK)?;
            let mut inner = self.inner();
            inner.catch_up(&self.path())?;
            let raised = inner.check(sights)?;
            inner.append(&raised, &self.path())?;
            if inner.records > 2 * inner.highest.len() + SLACK_RECORDS {
                inner.rewrite(&self.path())?;
            }
        }
        Ok(())
    }

    /// Remembers that this person has ended the grant with this record hash.
    pub fn end_grant(&self, grant: &Digest) -> Result<()> {
        self.check_and_raise(SeenKind::Ended, ended_id(grant), 1, *grant)
    }

    pub fn is_ended(&self, grant: &Digest) -> bool {
        self.highest(SeenKind::Ended, ended_id(grant)) == Some((1, *grant))
    }

    fn path(&self) -> PathBuf {
        self.dir.join(FILE)
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        // The map is changed only after the file was; a panic between the two leaves it merely behind.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    /// Those that are new.
    fn check(&self, sights: &[Sight]) -> Result<Vec<Sight>> {
        let mut raised = Vec::new();
        for sight in sights {
            match self.highest.get(&(sight.kind, sight.id.to_bytes())) {
                Some((highest, _)) if sight.counter < *highest => {
                    return Err(ClientError::untrusted(format!(
                        "the server shows an older state of the {} {} ({}) than this device has seen ({highest}); tell an administrator",
                        sight.kind.word(),
                        sight.id,
                        sight.counter
                    )));
                }
                Some((highest, hash)) if sight.counter == *highest && sight.hash != *hash => {
                    return Err(ClientError::untrusted(format!(
                        "the server shows another state number {highest} of the {} {} than this device has seen; tell an administrator",
                        sight.kind.word(),
                        sight.id
                    )));
                }
                Some((highest, _)) if sight.counter == *highest => {}
                _ => raised.push(*sight),
            }
        }
        Ok(raised)
    }

    /// Reads what was added since, by whomever. Under the lock.
    fn catch_up(&mut self, path: &Path) -> Result<()> {
        let mut options = OpenOptions::new();
        options.create(true).truncate(false).read(true).write(true).mode(0o600);
        let mut file = options.open(path).map_err(|e| io_error("open", path, e))?;
        let metadata = file.metadata().map_err(|e| io_error("look at", path, e))?;
        if self.file.is_none() || self.inode != metadata.ino() || metadata.len() < self.read_bytes {
            *self = Self { inode: metadata.ino(), ..Self::default() };
        }
        if self.read_bytes == 0 {
            let mut head = Vec::new();
            (&mut file).take(MAGIC.len() as u64).read_to_end(&mut head).map_err(|e| io_error("read", path, e))?;
            match head.as_slice() {
                head if head == MAGIC => {}
                // New, or torn while it was being made.
                head if MAGIC.starts_with(head) => {
                    file.seek(SeekFrom::Start(0)).and_then(|_| file.write_all(MAGIC)).map_err(|e| io_error("write", path, e))?;
                }
                _ => {
                    return Err(ClientError::broken(format!(
                        "{} is damaged or of another version; restore it from a copy, or remove it and lose the memory of older states",
                        path.display()
                    )));
                }
            }
            self.read_bytes = MAGIC.len() as u64;
        }
        let mut added = Vec::new();
        file.seek(SeekFrom::Start(self.read_bytes)).and_then(|_| file.read_to_end(&mut added)).map_err(|e| io_error("read", path, e))?;
        let mut records = added.chunks_exact(RECORD_LEN);
        for record in &mut records {
            let sight = decode(record).ok_or_else(|| {
                ClientError::broken(format!(
                    "{} is damaged; restore it from a copy, or remove it and lose the memory of older states",
                    path.display()
                ))
            })?;
            self.remember(&sight);
            self.read_bytes += RECORD_LEN as u64;
        }
        if !records.remainder().is_empty() {
            file.set_len(self.read_bytes).map_err(|e| io_error("repair", path, e))?;
        }
        self.file = Some(file);
        Ok(())
    }

    fn append(&mut self, sights: &[Sight], path: &Path) -> Result<()> {
        let bytes: Vec<u8> = sights.iter().flat_map(encode).collect();
        let Some(file) = self.file.as_mut() else { return Ok(()) };
        file.seek(SeekFrom::Start(self.read_bytes)).and_then(|_| file.write_all(&bytes)).map_err(|e| io_error("write", path, e))?;
        self.read_bytes += bytes.len() as u64;
        for sight in sights {
            self.remember(sight);
        }
        Ok(())
    }

    fn rewrite(&mut self, path: &Path) -> Result<()> {
        let mut bytes = MAGIC.to_vec();
        for ((kind, id), (counter, hash)) in &self.highest {
            bytes.extend(encode_parts(*kind, id, *counter, hash));
        }
        home::write_atomic(path, &bytes)?;
        *self = Self::default();
        self.catch_up(path)
    }

    fn remember(&mut self, sight: &Sight) {
        self.records += 1;
        self.highest.insert((sight.kind, sight.id.to_bytes()), (sight.counter, sight.hash));
    }
}

/// Grants are looked up by record hash; the records of this file have room for an id, so it is made of the hash.
fn ended_id(grant: &Digest) -> NodeId {
    let mut id = [0; 16];
    id.iter_mut().zip(grant.as_bytes()).for_each(|(to, from)| *to = *from);
    NodeId::from_random(id)
}

fn encode(sight: &Sight) -> Vec<u8> {
    encode_parts(sight.kind, sight.id.as_bytes(), sight.counter, &sight.hash)
}

fn encode_parts(kind: SeenKind, id: &[u8; 16], counter: u64, hash: &Digest) -> Vec<u8> {
    [&[kind.code()][..], id, &counter.to_be_bytes(), hash.as_bytes()].concat()
}

fn decode(record: &[u8]) -> Option<Sight> {
    let (kind, rest) = record.split_first()?;
    let (id, rest) = rest.split_first_chunk::<16>()?;
    let (counter, hash) = rest.split_first_chunk::<8>()?;
    Some(Sight {
        kind: SeenKind::ALL.into_iter().find(|known| known.code() == *kind)?,
        id: NodeId::try_from(*id).ok()?,
        counter: u64::from_be_bytes(*counter),
        hash: Digest::from_slice(hash).ok()?,
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::error::Kind;

    fn id(n: u8) -> NodeId {
        NodeId::from_random([n; 16])
    }

    #[test]
    fn older_and_forked_states_are_refused_also_after_a_restart() {
        let dir = tempfile::tempdir().unwrap();
        let (a, b) = (Digest::of(b"a"), Digest::of(b"b"));
        let seen = Seen::open(dir.path()).unwrap();
        seen.check_and_raise(SeenKind::Head, id(1), 5, a).unwrap();
        for seen in [seen, Seen::open(dir.path()).unwrap()] {
            seen.check_and_raise(SeenKind::Head, id(1), 5, a).unwrap();
            assert_eq!(seen.check_and_raise(SeenKind::Head, id(1), 4, a).unwrap_err().kind(), Kind::Untrusted);
            assert_eq!(seen.check_and_raise(SeenKind::Head, id(1), 5, b).unwrap_err().kind(), Kind::Untrusted);
            // Another kind and another node are other counters.
            seen.check_and_raise(SeenKind::Sequence, id(1), 1, b).unwrap();
            seen.check_and_raise(SeenKind::Head, id(2), 1, b).unwrap();
            assert_eq!(seen.highest(SeenKind::Head, id(1)), Some((5, a)));
        }
    }

    #[test]
    fn a_batch_is_remembered_whole_or_not_at_all() {
        let dir = tempfile::tempdir().unwrap();
        let seen = Seen::open(dir.path()).unwrap();
        let sight = |n, counter| Sight { kind: SeenKind::Head, id: id(n), counter, hash: Digest::of(&[n]) };
        seen.check_and_raise_all(&[sight(1, 9)]).unwrap();
        seen.check_and_raise_all(&[sight(2, 1), sight(1, 8)]).unwrap_err();
        assert_eq!(seen.highest(SeenKind::Head, id(2)), None);
    }

    #[test]
    fn two_programs_see_each_others_counters_and_rewrites() {
        let dir = tempfile::tempdir().unwrap();
        let (one, two) = (Seen::open(dir.path()).unwrap(), Seen::open(dir.path()).unwrap());
        for counter in 1..=10_000 {
            one.check_and_raise(SeenKind::Head, id(1), counter, Digest::ZERO).unwrap();
        }
        let bytes = std::fs::metadata(dir.path().join(FILE)).unwrap().len();
        assert!(bytes < 5_000 * RECORD_LEN as u64, "{bytes}: never rewritten");
        // A lower counter than the other program has seen is noticed when this one would raise its own.
        assert!(two.check_and_raise(SeenKind::Head, id(1), 9_999, Digest::ZERO).is_err());
        two.check_and_raise(SeenKind::Head, id(1), 10_001, Digest::ZERO).unwrap();
    }

    #[test]
    fn a_torn_record_is_cut_off_and_damage_is_told() {
        let dir = tempfile::tempdir().unwrap();
        let seen = Seen::open(dir.path()).unwrap();
        seen.check_and_raise(SeenKind::Head, id(1), 5, Digest::ZERO).unwrap();
        let path = dir.path().join(FILE);
        let mut bytes = std::fs::read(&path).unwrap();
        bytes.extend([1; 20]);
        std::fs::write(&path, &bytes).unwrap();
        let seen = Seen::open(dir.path()).unwrap();
        seen.check_and_raise(SeenKind::Head, id(2), 7, Digest::ZERO).unwrap();
        let seen = Seen::open(dir.path()).unwrap();
        assert_eq!(seen.highest(SeenKind::Head, id(1)), Some((5, Digest::ZERO)));
        assert_eq!(seen.highest(SeenKind::Head, id(2)), Some((7, Digest::ZERO)));
        std::fs::write(&path, b"something else").unwrap();
        assert_eq!(Seen::open(dir.path()).unwrap_err().kind(), Kind::Broken);
    }
}
