//! What a disk holds after a power cut.
//!
//! Every file and directory has a certain state and a queue of changes since; a sync moves into the certain state what was queued
//! before it was called. Inode numbers are used again, so an object is what an inode was from one creation to the next.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use anyhow::{Context, Result, bail};

use super::record::{Change, Record};
use crate::chance::Chance;

/// A disk writes sectors whole, and nothing larger.
const SECTOR_BYTES: u64 = 512;

/// Which of the uncertain changes a power cut leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Survival {
    /// None.
    Strict,
    /// Each with an even chance, sector by sector. The number makes it repeatable.
    Chance(u64),
    /// All: no power cut, only a crash.
    Everything,
}

type Distrust = Box<dyn Fn(u64, &str) -> bool>;

/// A directory tree under replay.
pub struct Disk {
    objects: HashMap<u64, Object>,
    by_inode: HashMap<u64, u64>,
    root: u64,
    next: u64,
    distrust: Distrust,
    ignored_syncs: usize,
    syncs: usize,
}

enum Object {
    File { mode: u32, certain: Vec<u8>, queue: Vec<(u64, Content)> },
    Directory { mode: u32, certain: BTreeMap<String, u64>, queue: Vec<(u64, Names)> },
}

#[derive(Clone)]
enum Content {
    Write { offset: u64, data: Vec<u8> },
    Truncate(u64),
    Allocate(u64),
}

/// A change of one directory. A rename within it happens whole or not at all; one between two is a change of each.
#[derive(Clone)]
enum Names {
    Set(String, u64),
    Remove(String),
    Rename(String, String, u64),
}

impl Disk {
    pub(super) fn new(root_inode: u64) -> Self {
        let root = Object::Directory { mode: 0o700, certain: BTreeMap::new(), queue: Vec::new() };
        Self {
            objects: HashMap::from([(0, root)]),
            by_inode: HashMap::from([(root_inode, 0)]),
            root: 0,
            next: 1,
            distrust: Box::new(|_, _| false),
            ignored_syncs: 0,
            syncs: 0,
        }
    }

    /// Takes syncs for which `ignore` says so as never made: by where they stand in the recording and by path. Paths are relative to the
    /// root (itself `/`), those of directories end with a slash.
    #[must_use]
    pub fn distrusting(mut self, ignore: impl Fn(u64, &str) -> bool + 'static) -> Self {
        self.distrust = Box::new(ignore);
        self
    }

    /// Syncs taken as made, and as never made.
    pub const fn syncs(&self) -> (usize, usize) {
        (self.syncs, self.ignored_syncs)
    }

    /// Replays what began before `cut`. Records must be given in order, each once.
    pub fn replay(&mut self, records: &[Record], cut: u64) -> Result<usize> {
        let mut count = 0;
        for record in records.iter().take_while(|record| record.at < cut) {
            self.apply(record).with_context(|| format!("replay {:?}", Brief(record)))?;
            count += 1;
        }
        Ok(count)
    }

    fn apply(&mut self, record: &Record) -> Result<()> {
        let at = record.at;
        match &record.change {
            Change::Create { parent, object, directory, mode, name } => {
                let id = self.next;
                self.next += 1;
                let made = if *directory {
                    Object::Directory { mode: *mode, certain: BTreeMap::new(), queue: Vec::new() }
                } else {
                    Object::File { mode: *mode, certain: Vec::new(), queue: Vec::new() }
                };
                self.objects.insert(id, made);
                self.by_inode.insert(*object, id);
                self.queue_names(*parent, at, Names::Set(name.clone(), id))
            }
            Change::Write { object, offset, data } => {
                self.queue_content(*object, at, Content::Write { offset: *offset, data: data.clone() })
            }
            Change::Truncate { object, length } => self.queue_content(*object, at, Content::Truncate(*length)),
            Change::Allocate { object, length } => self.queue_content(*object, at, Content::Allocate(*length)),
            Change::Link { parent, object, name } => {
                let id = self.id(*object)?;
                self.queue_names(*parent, at, Names::Set(name.clone(), id))
            }
            Change::Unlink { parent, name, .. } => self.queue_names(*parent, at, Names::Remove(name.clone())),
            Change::Rename { from, old, to, new, object } => {
                let id = self.id(*object)?;
                if from == to {
                    return self.queue_names(*from, at, Names::Rename(old.clone(), new.clone(), id));
                }
                self.queue_names(*from, at, Names::Remove(old.clone()))?;
                self.queue_names(*to, at, Names::Set(new.clone(), id))
            }
            Change::Mode { object, mode: new } => {
                match self.object(*object)? {
                    Object::File { mode, .. } | Object::Directory { mode, .. } => *mode = *new,
                }
                Ok(())
            }
            Change::Sync { object, covers, path } => {
                if (self.distrust)(at, path) {
                    self.ignored_syncs += 1;
                    return Ok(());
                }
                self.syncs += 1;
                match self.object(*object)? {
                    Object::File { certain, queue, .. } => {
                        settle(queue, *covers).iter().for_each(|change| change.apply(certain));
                    }
                    Object::Directory { certain, queue, .. } => {
                        settle(queue, *covers).iter().for_each(|change| change.apply(certain));
                    }
                }
                Ok(())
            }
        }
    }

    fn id(&self, inode: u64) -> Result<u64> {
        self.by_inode.get(&inode).copied().with_context(|| format!("inode {inode} was never created; was the tree empty at first?"))
    }

    fn object(&mut self, inode: u64) -> Result<&mut Object> {
        let id = self.id(inode)?;
        self.objects.get_mut(&id).context("an object without a state")
    }

    fn queue_names(&mut self, directory: u64, at: u64, change: Names) -> Result<()> {
        let Object::Directory { queue, .. } = self.object(directory)? else { bail!("a name in what is no directory") };
        queue.push((at, change));
        Ok(())
    }

    fn queue_content(&mut self, file: u64, at: u64, change: Content) -> Result<()> {
        let Object::File { queue, .. } = self.object(file)? else { bail!("a content in what is no file") };
        queue.push((at, change));
        Ok(())
    }

    /// Writes what a cut at this moment leaves into `target`, which must be empty. Returns how many changes were still uncertain.
    pub fn materialise(&self, target: &Path, survival: Survival) -> Result<usize> {
        let mut chance = match survival {
            Survival::Chance(seed) => Some(Chance::new(seed)),
            _ => None,
        };
        let mut uncertain = 0;
        self.materialise_object(self.root, target, survival, &mut chance, &mut uncertain)?;
        Ok(uncertain)
    }

    fn materialise_object(
        &self,
        id: u64,
        path: &Path,
        survival: Survival,
        chance: &mut Option<Chance>,
        uncertain: &mut usize,
    ) -> Result<()> {
        match self.objects.get(&id).context("an object without a state")? {
            Object::File { mode, certain, queue } => {
                let mut content = certain.clone();
                *uncertain += queue.len();
                for (_, change) in queue {
                    match (survival, chance.as_mut()) {
                        (Survival::Strict, _) => {}
                        (_, Some(chance)) => change.some(chance).iter().for_each(|part| part.apply(&mut content)),
                        (_, None) => change.apply(&mut content),
                    }
                }
                fs::write(path, content)?;
                fs::set_permissions(path, fs::Permissions::from_mode(*mode))?;
            }
            Object::Directory { mode, certain, queue } => {
                let mut names = certain.clone();
                *uncertain += queue.len();
                for (_, change) in queue {
                    let kept = match (survival, chance.as_mut()) {
                        (Survival::Strict, _) => false,
                        (_, Some(chance)) => chance.even(),
                        (_, None) => true,
                    };
                    if kept {
                        change.apply(&mut names);
                    }
                }
                fs::create_dir_all(path)?;
                for (name, child) in names {
                    self.materialise_object(child, &path.join(name), survival, chance, uncertain)?;
                }
                fs::set_permissions(path, fs::Permissions::from_mode(*mode))?;
            }
        }
        Ok(())
    }
}

/// Takes from the queue what stood before `covers`.
fn settle<T>(queue: &mut Vec<(u64, T)>, covers: u64) -> Vec<T> {
    let rest = queue.split_off(queue.partition_point(|(at, _)| *at < covers));
    std::mem::replace(queue, rest).into_iter().map(|(_, change)| change).collect()
}

impl Content {
    fn apply(&self, content: &mut Vec<u8>) {
        match self {
            Self::Write { offset, data } => {
                let (start, end) = (*offset as usize, *offset as usize + data.len());
                if content.len() < end {
                    content.resize(end, 0);
                }
                if let Some(part) = content.get_mut(start..end) {
                    part.copy_from_slice(data);
                }
            }
            Self::Truncate(length) => content.resize(*length as usize, 0),
            Self::Allocate(length) => content.resize(content.len().max(*length as usize), 0),
        }
    }

    /// The parts of this change that a cut happens to leave.
    fn some(&self, chance: &mut Chance) -> Vec<Self> {
        let Self::Write { offset, data } = self else {
            return if chance.even() { vec![self.clone()] } else { Vec::new() };
        };
        // All or nothing is as likely as a torn write.
        match chance.below(4) {
            0 => return Vec::new(),
            1 => return vec![self.clone()],
            _ => {}
        }
        let (mut parts, mut at, mut rest) = (Vec::new(), *offset, data.as_slice());
        while !rest.is_empty() {
            let room = (SECTOR_BYTES - at % SECTOR_BYTES) as usize;
            let (sector, after) = rest.split_at(room.min(rest.len()));
            if chance.even() {
                parts.push(Self::Write { offset: at, data: sector.to_vec() });
            }
            at += sector.len() as u64;
            rest = after;
        }
        parts
    }
}

impl Names {
    fn apply(&self, names: &mut BTreeMap<String, u64>) {
        match self {
            Self::Set(name, id) => {
                names.insert(name.clone(), *id);
            }
            Self::Remove(name) => {
                names.remove(name);
            }
            Self::Rename(old, new, id) => {
                names.remove(old);
                names.insert(new.clone(), *id);
            }
        }
    }
}

/// A record without its data.
struct Brief<'a>(&'a Record);

impl std::fmt::Debug for Brief<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.0.change {
            Change::Write { object, offset, data } => write!(f, "write of {} bytes at {offset} into {object}", data.len()),
            other => write!(f, "{other:?}"),
        }
    }
}
