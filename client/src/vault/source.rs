//! Trees on a disk, as something to be put into the vault: one directory at a time, so that memory does not grow with the tree.
//!
//! Nothing is believed for long: a file's identity (device, inode, size, times) is taken when it is opened and compared after
//! the last byte, because disks are written to while they are read.

use std::ffi::OsString;
use std::fs::{File, Metadata};
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use ticrypt_types::name::Harmless;
use ticrypt_types::{NodeName, Timestamp};
use walkdir::WalkDir;

use super::exclude::Exclude;
use super::progress::{Note, Outcome};
use crate::error::{ClientError, Result};

/// What to do with symbolic links.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Links {
    /// Keep them as links: the content is the target.
    #[default]
    Record,
    /// Put what they point to.
    Follow,
    Skip,
}

/// Tells one state of one file from any other the system could show.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SourceId {
    pub device: u64,
    pub inode: u64,
    pub size_bytes: u64,
    pub modified_ns: i128,
    pub changed_ns: i128,
}

impl SourceId {
    pub fn of(meta: &Metadata) -> Self {
        let nanos = |seconds: i64, nanos: i64| i128::from(seconds) * 1_000_000_000 + i128::from(nanos);
        Self {
            device: meta.dev(),
            inode: meta.ino(),
            size_bytes: meta.size(),
            modified_ns: nanos(meta.mtime(), meta.mtime_nsec()),
            changed_ns: nanos(meta.ctime(), meta.ctime_nsec()),
        }
    }
}

/// What something on a disk is to the vault.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SourceKind {
    Directory,
    File,
    /// The bytes of the target.
    Link(Vec<u8>),
}

/// One thing to be put.
#[derive(Clone, Debug)]
pub struct Source {
    pub path: PathBuf,
    pub name: NodeName,
    pub kind: SourceKind,
    pub size_bytes: u64,
    pub modified: Timestamp,
    /// Permission bits.
    pub mode: u32,
    /// Device and inode: by these a loop of followed links is seen.
    pub place: (u64, u64),
}

/// How a tree is read.
#[derive(Clone, Debug, Default)]
pub struct Reading {
    pub links: Links,
    pub exclude: Exclude,
}

/// Looks at one path a person named. A link is followed only if asked.
pub fn look(path: &Path, name: NodeName, reading: &Reading) -> Result<Result<Source, Note>> {
    let meta = std::fs::symlink_metadata(path).map_err(|e| unreadable(path, e))?;
    Ok(classify(path.to_owned(), name, &meta, reading, &[]))
}

/// The name under which a path goes into the vault.
pub fn name_of(path: &Path) -> Result<NodeName> {
    let full;
    let last = match path.file_name() {
        Some(last) => last,
        None => {
            full = std::fs::canonicalize(path).map_err(|e| unreadable(path, e))?;
            full.file_name().ok_or_else(|| ClientError::invalid("the root of the file system has no name; name a directory below it"))?
        }
    };
    let text = last.to_str().ok_or_else(|| ClientError::invalid(format!("`{}` is not utf-8; rename it first", shown(path))))?;
    NodeName::normalise(text).map_err(|e| ClientError::invalid(format!("`{}` cannot be a name in the vault: {e}", shown(path))))
}

/// What is in a directory, by name, and what of it cannot go into the vault.
///
/// `above` are the places of the directories on the way here, `relative` the way from the top of what is put.
pub fn read_directory(path: &Path, relative: &Path, above: &[(u64, u64)], reading: &Reading) -> Result<(Vec<Source>, Vec<Note>)> {
    let (mut found, mut notes) = (Vec::new(), Vec::new());
    let mut names = std::collections::HashMap::<NodeName, PathBuf>::new();
    for item in WalkDir::new(path).min_depth(1).max_depth(1).follow_links(false).sort_by_file_name() {
        let item = match item {
            Ok(item) => item,
            Err(error) => {
                let at = error.path().unwrap_or(path).to_owned();
                if error.depth() == 0 {
                    return Err(unreadable(&at, error.into()));
                }
                notes.push(failed(&at, &io::Error::from(error).to_string()));
                continue;
            }
        };
        let at = item.path();
        let meta = match std::fs::symlink_metadata(at) {
            Ok(meta) => meta,
            Err(error) => {
                notes.push(failed(at, &error.to_string()));
                continue;
            }
        };
        if reading.exclude.matches(&relative.join(item.file_name()), meta.is_dir()) {
            continue;
        }
        let name = match vault_name(item.file_name().to_owned()) {
            Ok(name) => name,
            Err(why) => {
                notes.push(failed(at, &why));
                continue;
            }
        };
        if let Some(first) = names.get(&name) {
            notes.push(failed(at, &format!("its name is the same as that of `{}` once in unicode normal form", shown(first))));
            continue;
        }
        match classify(at.to_owned(), name.clone(), &meta, reading, above) {
            Ok(source) => {
                names.insert(name, at.to_owned());
                found.push(source);
            }
            Err(note) => notes.push(note),
        }
    }
    Ok((found, notes))
}

fn vault_name(name: OsString) -> Result<NodeName, String> {
    let text = name.to_str().ok_or("its name is not utf-8; rename it first")?;
    NodeName::normalise(text).map_err(|e| e.to_string())
}

fn classify(path: PathBuf, name: NodeName, meta: &Metadata, reading: &Reading, above: &[(u64, u64)]) -> Result<Source, Note> {
    let kind = meta.file_type();
    if kind.is_symlink() {
        return match reading.links {
            Links::Skip => Err(skipped(&path, "a symbolic link")),
            Links::Record => {
                let target = std::fs::read_link(&path).map_err(|e| failed(&path, &e.to_string()))?;
                let target = target.as_os_str().as_bytes().to_vec();
                Ok(Source { size_bytes: target.len() as u64, kind: SourceKind::Link(target), ..source(path, name, meta) })
            }
            Links::Follow => {
                let meta = std::fs::metadata(&path).map_err(|e| failed(&path, &format!("a symbolic link that leads nowhere: {e}")))?;
                if meta.is_dir() && above.contains(&(meta.dev(), meta.ino())) {
                    return Err(failed(&path, "a symbolic link to a directory above it; following it would never end"));
                }
                plain(path, name, &meta)
            }
        };
    }
    plain(path, name, meta)
}

fn plain(path: PathBuf, name: NodeName, meta: &Metadata) -> Result<Source, Note> {
    let kind = meta.file_type();
    if kind.is_dir() {
        return Ok(Source { kind: SourceKind::Directory, size_bytes: 0, ..source(path, name, meta) });
    }
    if kind.is_file() {
        return Ok(source(path, name, meta));
    }
    let what = match () {
        () if kind.is_fifo() => "a named pipe",
        () if kind.is_socket() => "a socket",
        () if kind.is_block_device() || kind.is_char_device() => "a device",
        () => "neither a file nor a directory",
    };
    Err(skipped(&path, what))
}

fn source(path: PathBuf, name: NodeName, meta: &Metadata) -> Source {
    Source {
        path,
        name,
        kind: SourceKind::File,
        size_bytes: meta.size(),
        modified: modified(meta),
        mode: meta.mode() & 0o777,
        place: (meta.dev(), meta.ino()),
    }
}

fn modified(meta: &Metadata) -> Timestamp {
    let ms = meta.mtime().saturating_mul(1_000).saturating_add(meta.mtime_nsec() / 1_000_000);
    // A file from before 1970 has no date here.
    Timestamp::from_millis(u64::try_from(ms).unwrap_or(0))
}

/// An opened file and the state it was in.
#[derive(Debug)]
pub struct Opened {
    pub file: File,
    pub id: SourceId,
    pub modified: Timestamp,
    pub mode: u32,
}

/// Opens a regular file; whatever else has taken its place meanwhile (a pipe would block) is refused.
pub fn open(path: &Path) -> Result<Opened> {
    let flags = rustix::fs::OFlags::NONBLOCK.bits().cast_signed();
    let file = std::fs::OpenOptions::new().read(true).custom_flags(flags).open(path).map_err(|e| unreadable(path, e))?;
    let meta = file.metadata().map_err(|e| unreadable(path, e))?;
    if !meta.is_file() {
        return Err(ClientError::invalid(format!("`{}` is no longer a file", shown(path))));
    }
    Ok(Opened { id: SourceId::of(&meta), modified: modified(&meta), mode: meta.mode() & 0o777, file })
}

impl Opened {
    /// Whether the file is still in the state it was opened in.
    pub fn is_unchanged(&self) -> io::Result<bool> {
        Ok(SourceId::of(&self.file.metadata()?) == self.id)
    }
}

/// Reads until the buffer is full or the file ends; returns how much there was.
pub fn fill(mut reader: impl Read, mut buffer: &mut [u8]) -> io::Result<usize> {
    let mut total = 0;
    while !buffer.is_empty() {
        match reader.read(buffer) {
            Ok(0) => break,
            Ok(count) => {
                total += count;
                buffer = buffer.get_mut(count..).unwrap_or_default();
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(total)
}

/// A path of this machine for a message.
pub fn shown(path: &Path) -> String {
    Harmless(&path.to_string_lossy()).to_string()
}

/// The error for something on this machine that cannot be read.
pub fn unreadable(path: &Path, error: io::Error) -> ClientError {
    let what = format!("`{}` cannot be read: {error}", shown(path));
    match error.kind() {
        io::ErrorKind::NotFound => ClientError::not_found(format!("`{}` does not exist on this machine", shown(path))),
        io::ErrorKind::PermissionDenied => ClientError::refused("local_permission", what).because(error),
        _ => ClientError::broken(what).because(error),
    }
}

fn failed(path: &Path, reason: &str) -> Note {
    Note { path: shown(path), outcome: Outcome::Failed, reason: reason.to_owned() }
}

fn skipped(path: &Path, what: &str) -> Note {
    Note { path: shown(path), outcome: Outcome::Skipped, reason: format!("it is {what}") }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]
    use super::*;
    use std::os::unix::fs::symlink;

    fn read(path: &Path, links: Links) -> (Vec<Source>, Vec<Note>) {
        let meta = std::fs::metadata(path).unwrap();
        read_directory(path, Path::new(""), &[(meta.dev(), meta.ino())], &Reading { links, exclude: Exclude::parse(&["*.skip"]).unwrap() })
            .unwrap()
    }

    #[test]
    fn a_directory_of_everything() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        std::fs::write(at("b"), b"12345").unwrap();
        std::fs::write(at("left.skip"), b"").unwrap();
        std::fs::create_dir(at("a")).unwrap();
        symlink("b", at("link")).unwrap();
        symlink(".", at("loop")).unwrap();
        symlink("nowhere", at("dangling")).unwrap();
        let pipe = rustix::fs::CWD;
        rustix::fs::mknodat(pipe, at("pipe"), rustix::fs::FileType::Fifo, rustix::fs::Mode::RUSR, 0).unwrap();
        std::fs::write(dir.path().join(std::ffi::OsStr::from_bytes(b"\xff\xfe")), b"").unwrap();

        let (found, notes) = read(dir.path(), Links::Record);
        let names: Vec<_> = found.iter().map(|s| s.name.as_str()).collect();
        assert_eq!(names, ["a", "b", "dangling", "link", "loop"]);
        assert_eq!((found[0].kind.clone(), found[1].size_bytes), (SourceKind::Directory, 5));
        assert_eq!(found[3].kind, SourceKind::Link(b"b".to_vec()));
        let outcomes: Vec<_> = notes.iter().map(|n| n.outcome).collect();
        assert_eq!(outcomes, [Outcome::Skipped, Outcome::Failed], "{notes:?}");

        let (found, notes) = read(dir.path(), Links::Follow);
        let names: Vec<_> = found.iter().map(|s| s.name.as_str()).collect();
        assert_eq!(names, ["a", "b", "link"]);
        assert_eq!(found[2].size_bytes, 5);
        assert!(notes.iter().any(|n| n.reason.contains("never end")) && notes.iter().any(|n| n.reason.contains("nowhere")));

        assert_eq!(read(dir.path(), Links::Skip).0.len(), 2);
    }

    #[test]
    fn two_spellings_of_one_name_do_not_overwrite_each_other() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("e\u{301}"), b"1").unwrap();
        std::fs::write(dir.path().join("\u{e9}"), b"2").unwrap();
        let (found, notes) = read(dir.path(), Links::Record);
        assert_eq!((found.len(), notes.len()), (1, 1));
        assert!(notes[0].reason.contains("normal form"));
    }

    #[test]
    fn a_change_while_reading_is_seen() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a");
        std::fs::write(&path, b"before").unwrap();
        let opened = open(&path).unwrap();
        assert!(opened.is_unchanged().unwrap());
        std::fs::OpenOptions::new().append(true).open(&path).and_then(|mut f| io::Write::write_all(&mut f, b"more")).unwrap();
        assert!(!opened.is_unchanged().unwrap());
        assert!(open(dir.path()).is_err());
        assert_eq!(open(&dir.path().join("none")).unwrap_err().kind(), crate::Kind::NotFound);
    }
}
