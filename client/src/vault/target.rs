//! Writing to a disk what others may have named: beneath one directory, through no link, over nothing by accident.
//!
//! A file appears under its name only whole: it is written under a temporary name beside it, synced, then renamed, without replacing unless
//! asked. A large one keeps a list of verified chunks beside it, so that an interrupted download goes on where it stopped.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use cap_std::ambient_authority;
use cap_std::fs::{Dir, OpenOptions, OpenOptionsExt};
use rustix::fs::{OFlags, RenameFlags};
use ticrypt_types::{NodeId, Timestamp, VersionId};

use super::naming::PART_PREFIX;
use super::source::{shown, unreadable};
use crate::error::{ClientError, Kind, Result};

/// A directory on this machine, and how it is called in messages.
#[derive(Clone, Debug)]
pub struct Target {
    dir: Arc<Dir>,
    shown: String,
}

/// What stands where something is to be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Existing {
    Directory,
    File {
        size_bytes: u64,
        modified: Timestamp,
    },
    /// A link, a pipe, a device: never written to or through.
    Other,
}

/// A file under its temporary name.
#[derive(Debug)]
pub struct Part {
    target: Target,
    name: String,
    pub file: File,
}

impl Target {
    /// Opens a directory a person named; only here may a link be followed, because they named it.
    pub fn open(path: &Path) -> Result<Self> {
        let dir = Dir::open_ambient_dir(path, ambient_authority()).map_err(|e| unreadable(path, e))?;
        Ok(Self { dir: Arc::new(dir), shown: shown(path) })
    }

    /// How a name in here is called in messages.
    pub fn path_of(&self, name: &str) -> String {
        format!("{}/{}", self.shown.trim_end_matches('/'), ticrypt_types::name::Harmless(name))
    }

    /// What stands under a name.
    pub fn look(&self, name: &str) -> Result<Option<Existing>> {
        let meta = match self.dir.symlink_metadata(name) {
            Ok(meta) => meta,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(self.unwritable(name, error)),
        };
        Ok(Some(if meta.is_dir() {
            Existing::Directory
        } else if meta.is_file() {
            let modified = meta.modified().ok().and_then(|t| t.into_std().duration_since(UNIX_EPOCH).ok()).unwrap_or_default();
            let ms = u64::try_from(modified.as_millis()).unwrap_or(u64::MAX);
            Existing::File { size_bytes: meta.len(), modified: Timestamp::from_millis(ms) }
        } else {
            Existing::Other
        }))
    }

    /// A directory in here, made if it is not there; a link in its place is refused.
    pub fn directory(&self, name: &str) -> Result<(Self, bool)> {
        let made = match self.dir.create_dir(name) {
            Ok(()) => true,
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => false,
            Err(error) => return Err(self.unwritable(name, error)),
        };
        let mut options = OpenOptions::new();
        options.read(true).custom_flags(flags(OFlags::DIRECTORY | OFlags::NOFOLLOW));
        let file = self.dir.open_with(name, &options).map_err(|_| {
            ClientError::refused(
                "not_a_directory",
                format!("`{}` is there already and is not a directory; it is left alone", self.path_of(name)),
            )
        })?;
        Ok((Self { dir: Arc::new(Dir::from_std_file(file.into_std())), shown: self.path_of(name) }, made))
    }

    /// The SHA-256 of a regular file in here.
    pub fn hash(&self, name: &str) -> Result<ticrypt_crypto::Digest> {
        let mut options = OpenOptions::new();
        options.read(true).custom_flags(flags(OFlags::NOFOLLOW | OFlags::NONBLOCK));
        let mut file = self.dir.open_with(name, &options).map_err(|e| self.unwritable(name, e))?;
        let mut hasher = ticrypt_crypto::digest::Hasher::new();
        let mut buffer = vec![0; 1 << 20];
        loop {
            let count = file.read(&mut buffer).map_err(|e| self.unwritable(name, e))?;
            let Some(bytes) = buffer.get(..count).filter(|bytes| !bytes.is_empty()) else { return Ok(hasher.finish()) };
            hasher.update(bytes);
        }
    }

    /// A temporary file that belongs to one version; what a former attempt wrote is kept if `keep`.
    pub fn part(&self, version: VersionId, keep: bool) -> Result<Part> {
        let name = format!("{PART_PREFIX}{version}.part");
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(!keep).mode(0o600).custom_flags(flags(OFlags::NOFOLLOW | OFlags::NONBLOCK));
        let file = self.dir.open_with(&name, &options).map_err(|e| self.unwritable(&name, e))?.into_std();
        if !file.metadata().is_ok_and(|meta| meta.is_file()) {
            return Err(ClientError::refused("not_a_file", format!("`{}` is in the way; remove it", self.path_of(&name))));
        }
        Ok(Part { target: self.clone(), name, file })
    }

    /// Makes all that was written in the file system of this directory durable.
    pub fn sync(&self) -> Result<()> {
        rustix::fs::syncfs(self.handle()?).map_err(|e| self.unwritable("", e.into()))
    }

    /// Sets the time of last change of this directory.
    pub fn set_modified(&self, modified: Timestamp) -> Result<()> {
        if modified == Timestamp::ABSENT {
            return Ok(());
        }
        self.handle()?.set_modified(UNIX_EPOCH + Duration::from_millis(modified.as_millis())).map_err(|e| self.unwritable("", e))
    }

    /// The directory itself, opened for reading: the one held is only a place to start from and cannot be synced.
    fn handle(&self) -> Result<File> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let opened = rustix::fs::openat(&*self.dir, ".", flags, rustix::fs::Mode::empty());
        opened.map(File::from).map_err(|e| self.unwritable("", e.into()))
    }

    fn remove(&self, name: &str) {
        // What cannot be removed is only litter under a name of ours; the next attempt takes it up again.
        drop(self.dir.remove_file(name));
    }

    fn unwritable(&self, name: &str, error: io::Error) -> ClientError {
        let what = format!("`{}` cannot be written: {error}", self.path_of(name));
        match error.kind() {
            io::ErrorKind::PermissionDenied => ClientError::refused("local_permission", what).because(error),
            io::ErrorKind::AlreadyExists => already(&self.path_of(name)),
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                let what = format!("`{}` cannot be written: the disk is full; make room, then go on", self.path_of(name));
                ClientError::new(Kind::Broken, "disk_full", what).because(error)
            }
            _ => ClientError::broken(what).because(error),
        }
    }
}

/// The error for a name that is taken on this machine.
pub fn already(path: &str) -> ClientError {
    ClientError::new(crate::Kind::Taken, "exists", format!("`{path}` exists; choose --skip, --keep-both or --force"))
}

impl Part {
    /// Writes at an offset.
    pub fn write_at(&self, offset: u64, bytes: &[u8]) -> Result<()> {
        std::os::unix::fs::FileExt::write_all_at(&self.file, bytes, offset).map_err(|e| self.target.unwritable(&self.name, e))
    }

    /// Reads at an offset what a former attempt wrote.
    pub fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<()> {
        std::os::unix::fs::FileExt::read_exact_at(&self.file, buffer, offset).map_err(|e| self.target.unwritable(&self.name, e))
    }

    /// Time, executable bit and length, once all bytes are there.
    pub fn finish(&self, size_bytes: u64, modified: Timestamp, executable: bool) -> Result<()> {
        let set = || -> io::Result<()> {
            self.file.set_len(size_bytes)?;
            // Created with 0600; what others may read is for this machine's umask to say, not for a sharer.
            let umask = rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o077));
            rustix::process::umask(umask);
            let mode = (if executable { 0o777 } else { 0o666 }) & !umask.bits();
            self.file.set_permissions(std::fs::Permissions::from_mode(mode))?;
            if modified != Timestamp::ABSENT {
                self.file.set_modified(UNIX_EPOCH + Duration::from_millis(modified.as_millis()))?;
            }
            Ok(())
        };
        set().map_err(|e| self.target.unwritable(&self.name, e))
    }

    pub fn sync(&self) -> Result<()> {
        self.file.sync_all().map_err(|e| self.target.unwritable(&self.name, e))
    }

    /// Gives the file its name. Without `replace`, something that has appeared there meanwhile is left alone.
    pub fn publish(self, name: &str, replace: bool) -> Result<()> {
        let flags = if replace { RenameFlags::empty() } else { RenameFlags::NOREPLACE };
        let renamed = rustix::fs::renameat_with(&*self.target.dir, &self.name, &*self.target.dir, name, flags);
        match renamed {
            Ok(()) => {}
            // A file system without that flag: link, which never replaces, then drop the other name.
            Err(rustix::io::Errno::INVAL | rustix::io::Errno::NOSYS) => {
                let linked = self.target.dir.hard_link(&self.name, &self.target.dir, name);
                linked.map_err(|e| self.target.unwritable(name, e))?;
                self.target.remove(&self.name);
            }
            Err(error) => return Err(self.target.unwritable(name, error.into())),
        }
        self.target.remove(&format!("{}.done", self.name));
        Ok(())
    }

    /// Leaves nothing behind.
    pub fn discard(self) {
        self.target.remove(&self.name);
        self.target.remove(&format!("{}.done", self.name));
    }

    /// The list of verified chunks beside the file.
    pub fn sidecar(&self, file: NodeId) -> Result<Sidecar> {
        let name = format!("{}.done", self.name);
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).mode(0o600).custom_flags(flags(OFlags::NOFOLLOW | OFlags::NONBLOCK));
        let opened = self.target.dir.open_with(&name, &options).map_err(|e| self.target.unwritable(&name, e))?;
        let mut opened = opened.into_std();
        let mut text = String::new();
        // Something unreadable counts as nothing done.
        let read = (&opened).take(1 << 26).read_to_string(&mut text);
        let first = format!("ticrypt {file}");
        let mut lines = text.lines();
        let done: BTreeSet<u64> = match lines.next() {
            Some(line) if line == first && read.is_ok() => lines.filter_map(|line| line.parse().ok()).collect(),
            _ => BTreeSet::new(),
        };
        let rewrite = || -> io::Result<()> {
            opened.set_len(0)?;
            opened.seek(SeekFrom::Start(0))?;
            writeln!(opened, "{first}")?;
            for number in &done {
                writeln!(opened, "{number}")?;
            }
            Ok(())
        };
        let mut rewrite = rewrite;
        rewrite().map_err(|e| self.target.unwritable(&name, e))?;
        Ok(Sidecar { file: opened, done })
    }
}

/// Numbers of chunks that were verified and written. Believed only until the SHA-256 of the whole is checked.
#[derive(Debug)]
pub struct Sidecar {
    file: File,
    done: BTreeSet<u64>,
}

impl Sidecar {
    pub fn has(&self, number: u64) -> bool {
        self.done.contains(&number)
    }

    pub fn is_empty(&self) -> bool {
        self.done.is_empty()
    }

    pub fn numbers(&self) -> impl Iterator<Item = u64> {
        self.done.iter().copied()
    }

    /// Nothing counts as done any more.
    pub fn forget(&mut self) -> Result<()> {
        self.done.clear();
        let cut = self.file.set_len(0).and_then(|()| self.file.seek(SeekFrom::Start(0)));
        cut.map(|_| ()).map_err(|e| ClientError::broken(format!("the list of received chunks cannot be kept: {e}")).because(e))
    }

    pub fn record(&mut self, number: u64) -> Result<()> {
        self.done.insert(number);
        writeln!(self.file, "{number}")
            .map_err(|e| ClientError::broken(format!("the list of received chunks cannot be kept: {e}")).because(e))
    }
}

fn flags(flags: OFlags) -> i32 {
    flags.bits().cast_signed()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::os::unix::fs::symlink;

    fn version() -> VersionId {
        VersionId::from_random([9; 16])
    }

    #[test]
    fn a_file_appears_whole_and_replaces_nothing_by_accident() {
        let dir = tempfile::tempdir().unwrap();
        let target = Target::open(dir.path()).unwrap();
        let write = |bytes: &[u8], replace| -> Result<()> {
            let part = target.part(version(), false)?;
            part.write_at(0, bytes)?;
            part.finish(bytes.len() as u64, Timestamp::from_millis(1_700_000_000_123), true)?;
            part.publish("a", replace)
        };
        write(b"one", false).unwrap();
        assert_eq!(write(b"two", false).unwrap_err().kind(), crate::Kind::Taken);
        assert_eq!(std::fs::read(dir.path().join("a")).unwrap(), b"one");
        write(b"two", true).unwrap();
        assert_eq!(std::fs::read(dir.path().join("a")).unwrap(), b"two");
        let meta = std::fs::metadata(dir.path().join("a")).unwrap();
        assert_eq!(meta.permissions().mode() & 0o100, 0o100);
        let expected = Existing::File { size_bytes: 3, modified: Timestamp::from_millis(1_700_000_000_123) };
        assert_eq!(target.look("a").unwrap(), Some(expected));
        assert_eq!(target.hash("a").unwrap(), ticrypt_crypto::Digest::of(b"two"));
    }

    #[test]
    fn a_directory_has_its_time_and_is_synced() {
        let dir = tempfile::tempdir().unwrap();
        let target = Target::open(dir.path()).unwrap().directory("below").unwrap().0;
        target.sync().unwrap();
        target.set_modified(Timestamp::from_millis(1_700_000_000_123)).unwrap();
        let modified = std::fs::metadata(dir.path().join("below")).unwrap().modified().unwrap();
        assert_eq!(modified, UNIX_EPOCH + Duration::from_millis(1_700_000_000_123));
    }

    #[test]
    fn links_are_neither_followed_nor_written_through() {
        let dir = tempfile::tempdir().unwrap();
        let outside = tempfile::tempdir().unwrap();
        std::fs::write(outside.path().join("secret"), b"keep").unwrap();
        symlink(outside.path(), dir.path().join("out")).unwrap();
        symlink(outside.path().join("secret"), dir.path().join("file")).unwrap();
        symlink(outside.path().join("secret"), dir.path().join(format!("{PART_PREFIX}{}.part", version()))).unwrap();
        let target = Target::open(dir.path()).unwrap();
        assert!(target.directory("out").is_err());
        assert!(target.directory("../x").is_err());
        assert_eq!(target.look("file").unwrap(), Some(Existing::Other));
        assert!(target.hash("file").is_err());
        assert!(target.part(version(), true).is_err());
        assert_eq!(std::fs::read(outside.path().join("secret")).unwrap(), b"keep");
        assert!(!outside.path().parent().unwrap().join("x").exists());
    }

    #[test]
    fn the_sidecar_remembers_and_forgets_another_file() {
        let dir = tempfile::tempdir().unwrap();
        let target = Target::open(dir.path()).unwrap();
        let file = NodeId::from_random([1; 16]);
        let part = target.part(version(), true).unwrap();
        let mut sidecar = part.sidecar(file).unwrap();
        assert!(sidecar.is_empty());
        sidecar.record(0).unwrap();
        sidecar.record(5).unwrap();
        let sidecar = part.sidecar(file).unwrap();
        assert!(sidecar.has(5) && !sidecar.has(1));
        assert!(part.sidecar(NodeId::from_random([2; 16])).unwrap().is_empty());
        part.publish("done", false).unwrap();
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
    }
}
