//! A disk in memory that forgets what was not synced when its power is cut.
//!
//! Names and contents are durable apart: a file's bytes after `sync`, its name after
//! `sync_directory`. The operation after which the power fails can be chosen, so a test can cut at
//! every single one.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use ticrypt_log::fs::{LogFile, LogFs};

#[derive(Clone, Default)]
struct Inode {
    now: Vec<u8>,
    durable: Vec<u8>,
}

#[derive(Clone, PartialEq)]
enum Name {
    File(usize),
    Directory,
}

#[derive(Default)]
struct State {
    inodes: Vec<Inode>,
    now: BTreeMap<PathBuf, Name>,
    durable: BTreeMap<PathBuf, Name>,
    operations: u64,
    fails_after: Option<u64>,
    /// A disk that only says it synced.
    lies: bool,
}

/// The disk; clones are the same disk.
#[derive(Clone, Default)]
pub struct Disk {
    state: Arc<Mutex<State>>,
    locked: Arc<AtomicBool>,
}

/// How much of the unsynced end of a file survives the cut.
#[derive(Clone, Copy, Debug)]
pub enum Torn {
    Nothing,
    Half,
    /// The length, and every second 512 bytes; the rest are zeros.
    Holes,
}

impl Disk {
    pub fn lying() -> Self {
        let disk = Self::default();
        disk.state.lock().unwrap().lies = true;
        disk
    }

    pub fn operations(&self) -> u64 {
        self.state.lock().unwrap().operations
    }

    /// From now on, everything after `count` more operations fails.
    pub fn fail_after(&self, count: u64) {
        let mut state = self.state.lock().unwrap();
        state.fails_after = Some(state.operations + count);
    }

    pub fn repair(&self) {
        self.state.lock().unwrap().fails_after = None;
    }

    /// The disk as it is when power comes back.
    pub fn power_cut(&self, torn: Torn) -> Self {
        let state = self.state.lock().unwrap();
        let inodes = state.inodes.iter().map(|inode| {
            let mut kept = inode.durable.clone();
            if inode.now.starts_with(&inode.durable) {
                let rest = &inode.now[inode.durable.len()..];
                match torn {
                    Torn::Nothing => {}
                    Torn::Half => kept.extend(&rest[..rest.len() / 2]),
                    Torn::Holes => kept.extend(rest.iter().enumerate().map(|(place, byte)| if place / 512 % 2 == 1 { *byte } else { 0 })),
                }
            }
            Inode { now: kept.clone(), durable: kept }
        });
        let inodes = inodes.collect();
        // A name is reachable only if every directory above it is durable.
        let reachable = |path: &Path| path.ancestors().skip(1).all(|above| above.parent().is_none() || state.durable.contains_key(above));
        let names: BTreeMap<PathBuf, Name> =
            state.durable.iter().filter(|(path, _)| reachable(path)).map(|(path, name)| (path.clone(), name.clone())).collect();
        let new = State { inodes, now: names.clone(), durable: names, ..State::default() };
        Self { state: Arc::new(Mutex::new(new)), locked: Arc::default() }
    }

    fn step<T>(&self, act: impl FnOnce(&mut State) -> io::Result<T>) -> io::Result<T> {
        let mut state = self.state.lock().unwrap();
        state.operations += 1;
        if state.fails_after.is_some_and(|last| state.operations > last) {
            return Err(io::Error::other("no power"));
        }
        act(&mut state)
    }

    fn file(&self, inode: usize) -> Box<dyn LogFile> {
        Box::new(DiskFile { disk: self.clone(), inode })
    }
}

fn inode(state: &State, path: &Path) -> io::Result<usize> {
    match state.now.get(path) {
        Some(Name::File(inode)) => Ok(*inode),
        _ => Err(io::ErrorKind::NotFound.into()),
    }
}

fn has_parent(state: &State, path: &Path) -> io::Result<()> {
    let parent = path.parent().unwrap();
    let there = parent.parent().is_none() || state.now.get(parent) == Some(&Name::Directory);
    if there { Ok(()) } else { Err(io::ErrorKind::NotFound.into()) }
}

impl LogFs for Disk {
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        let state = self.state.lock().unwrap();
        inode(&state, path).map(|inode| state.inodes[inode].now.clone())
    }

    fn list(&self, directory: &Path) -> io::Result<Vec<String>> {
        let state = self.state.lock().unwrap();
        let inside = state.now.keys().filter(|path| path.parent() == Some(directory));
        Ok(inside.map(|path| path.file_name().unwrap().to_str().unwrap().to_owned()).collect())
    }

    fn is_directory(&self, path: &Path) -> bool {
        path.parent().is_none() || self.state.lock().unwrap().now.get(path) == Some(&Name::Directory)
    }

    fn create_directory(&self, path: &Path) -> io::Result<()> {
        self.step(|state| {
            has_parent(state, path)?;
            state.now.insert(path.to_path_buf(), Name::Directory);
            Ok(())
        })
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn LogFile>> {
        let number = self.step(|state| {
            has_parent(state, path)?;
            // As on a real disk: emptying an existing file keeps the file, and its old bytes may be
            // gone at once.
            if let Ok(number) = inode(state, path) {
                state.inodes[number] = Inode::default();
                return Ok(number);
            }
            state.inodes.push(Inode::default());
            let number = state.inodes.len() - 1;
            state.now.insert(path.to_path_buf(), Name::File(number));
            Ok(number)
        })?;
        Ok(self.file(number))
    }

    fn open_at(&self, path: &Path, length: u64) -> io::Result<Box<dyn LogFile>> {
        let number = self.step(|state| {
            let number = inode(state, path)?;
            state.inodes[number].now.truncate(length as usize);
            Ok(number)
        })?;
        Ok(self.file(number))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.step(|state| {
            has_parent(state, to)?;
            let name = state.now.remove(from).ok_or(io::ErrorKind::NotFound)?;
            state.now.insert(to.to_path_buf(), name);
            Ok(())
        })
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.step(|state| state.now.remove(path).map(|_| ()).ok_or(io::ErrorKind::NotFound.into()))
    }

    fn sync_directory(&self, directory: &Path) -> io::Result<()> {
        self.step(|state| {
            if state.lies {
                return Ok(());
            }
            let inside = |path: &Path| path.parent() == Some(directory);
            state.durable.retain(|path, _| !inside(path));
            let names = state.now.iter().filter(|(path, _)| inside(path));
            let names: Vec<_> = names.map(|(path, name)| (path.clone(), name.clone())).collect();
            state.durable.extend(names);
            Ok(())
        })
    }

    fn lock(&self, _: &Path) -> io::Result<Box<dyn Send + Sync>> {
        if self.locked.swap(true, Ordering::AcqRel) {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        Ok(Box::new(Unlock(Arc::clone(&self.locked))))
    }
}

struct Unlock(Arc<AtomicBool>);

impl Drop for Unlock {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Release);
    }
}

struct DiskFile {
    disk: Disk,
    inode: usize,
}

impl LogFile for DiskFile {
    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.disk.step(|state| {
            state.inodes[self.inode].now.extend_from_slice(bytes);
            Ok(())
        })
    }

    fn sync(&mut self) -> io::Result<()> {
        self.disk.step(|state| {
            if !state.lies {
                let inode = &mut state.inodes[self.inode];
                inode.durable = inode.now.clone();
            }
            Ok(())
        })
    }
}
