//! What a client remembers of an upload under way, so that an interruption costs little.
//!
//! One file per destination under the client's home, named by a hash of directory and name; the first line says what is being uploaded,
//! each further line one chunk as it was sealed and sent, written before it goes out:
//!
//! ```text
//!   {"format":1,"version":"…","file":"…","source":{…},"list_wrap":"…","tree_wrap":"…"}
//!   0 3f5a…
//!   1 9c01…
//!   2 77ab… e0d4…
//! ```
//!
//! The third word is there where the content came in pieces (from a browser) and not from a disk, whose times tell whether a file changed:
//! a tag of the plaintext, keyed by the content key, so that it tells nothing without it.
//!
//! No key is in it: those of a file that does not exist yet are kept wrapped under its directory, as its entry will have them. A line that
//! a crash cut short is ignored. A chunk may stand here more than once, since each sealing draws a fresh nonce. Chunks are sent again unless
//! a hash here, the hash the server shows and an unchanged source agree (security B6): then the stored ciphertext is of these very bytes.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use ticrypt_api::upload::StoredChunk;
use ticrypt_api::{Blob, Hash};
use ticrypt_crypto::Digest;
use ticrypt_types::{NodeId, NodeName, VersionId};

use super::source::{SourceId, shown};
use crate::error::{ClientError, Result};

const FORMAT: u32 = 1;

/// The first line.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Header {
    pub format: u32,
    pub version: VersionId,
    pub file: NodeId,
    /// A file that will be created with its content; otherwise a new version of one that exists.
    pub is_new: bool,
    /// Epoch of the directory the wraps are under.
    pub parent_epoch: u32,
    pub list_wrap: Blob,
    pub tree_wrap: Blob,
    pub source: SourceId,
}

/// An upload under way.
#[derive(Debug)]
pub struct Journal {
    path: PathBuf,
    file: File,
    pub header: Header,
    sent: Sent,
    tags: Tags,
}

/// Chunks by number and hash.
pub type Sent = BTreeSet<(u64, Digest)>;

/// Tags of the plaintext of chunks.
pub type Tags = BTreeMap<(u64, Digest), Digest>;

/// Where journals are kept.
#[derive(Clone, Debug)]
pub struct Journals {
    folder: PathBuf,
}

/// What to do with an upload that was interrupted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Resume {
    /// These chunks are stored and need not be sent again.
    From(BTreeMap<u64, Digest>),
    /// Start anew, because.
    Anew(&'static str),
}

/// Decides by what was remembered, what is on the disk now, and what the server says it holds.
pub fn decide(header: &Header, sent: &Sent, source: &SourceId, stored: &[StoredChunk]) -> Resume {
    if header.source != *source {
        return Resume::Anew("the file has changed since");
    }
    let both = stored.iter().filter(|chunk| sent.contains(&(chunk.number, Digest::new(chunk.hash.0))));
    Resume::From(both.map(|chunk| (chunk.number, Digest::new(chunk.hash.0))).collect())
}

impl Journals {
    /// `folder` is created when the first journal is.
    pub fn new(folder: PathBuf) -> Self {
        Self { folder }
    }

    fn path(&self, directory: NodeId, name: &NodeName) -> PathBuf {
        self.folder.join(Digest::of_parts(&[directory.as_bytes(), name.as_str().as_bytes()]).to_string())
    }

    /// The journal of an interrupted upload to this place, if there is a readable one.
    pub fn load(&self, directory: NodeId, name: &NodeName) -> Result<Option<Journal>> {
        let path = self.path(directory, name);
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(broken(&path, error)),
        };
        let Some((header, sent, tags)) = parse(&text) else {
            // Written by another version of the program, or damaged: worth nothing, so the upload starts anew.
            return Ok(None);
        };
        let file = OpenOptions::new().append(true).open(&path).map_err(|e| broken(&path, e))?;
        if !text.ends_with('\n') {
            // The next line must not continue one that was cut short.
            (&file).write_all(b"\n").map_err(|e| broken(&path, e))?;
        }
        Ok(Some(Journal { path, file, header, sent, tags }))
    }

    /// Begins a journal; an older one for the same place is replaced.
    pub fn begin(&self, directory: NodeId, name: &NodeName, header: Header) -> Result<Journal> {
        let path = self.path(directory, name);
        let write = || -> io::Result<File> {
            std::fs::create_dir_all(&self.folder)?;
            let part = path.with_extension("new");
            let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&part)?;
            let mut line = serde_json::to_vec(&header)?;
            line.push(b'\n');
            file.write_all(&line)?;
            file.sync_all()?;
            std::fs::rename(&part, &path)?;
            OpenOptions::new().append(true).open(&path)
        };
        let file = write().map_err(|e| broken(&path, e))?;
        Ok(Journal { path, file, header, sent: Sent::new(), tags: Tags::new() })
    }
}

impl Journal {
    pub fn sent(&self) -> &Sent {
        &self.sent
    }

    pub fn tags(&self) -> &Tags {
        &self.tags
    }

    /// Remembers a chunk that is about to be sent. Not synced: losing the line costs sending the chunk again.
    pub fn record(&mut self, number: u64, hash: Digest, tag: Option<Digest>) -> Result<()> {
        let line = match tag {
            Some(tag) => format!("{number} {hash} {tag}\n"),
            None => format!("{number} {hash}\n"),
        };
        self.file.write_all(line.as_bytes()).map_err(|e| broken(&self.path, e))?;
        self.sent.insert((number, hash));
        self.tags.extend(tag.map(|tag| ((number, hash), tag)));
        Ok(())
    }

    /// The upload is published, or given up.
    pub fn remove(self) -> Result<()> {
        std::fs::remove_file(&self.path).map_err(|e| broken(&self.path, e))
    }
}

fn parse(text: &str) -> Option<(Header, Sent, Tags)> {
    let (first, rest) = text.split_once('\n')?;
    let header: Header = serde_json::from_str(first).ok()?;
    if header.format != FORMAT {
        return None;
    }
    let (mut sent, mut tags) = (Sent::new(), Tags::new());
    for line in rest.lines() {
        let mut words = line.split(' ');
        let chunk = (words.next().and_then(|word| word.parse().ok()), words.next().and_then(|word| word.parse().ok()));
        let ((Some(number), Some(hash)), tag) = (chunk, words.next()) else { continue };
        sent.insert((number, hash));
        tags.extend(tag.and_then(|tag| tag.parse().ok()).map(|tag| ((number, hash), tag)));
    }
    Some((header, sent, tags))
}

impl Header {
    pub fn new(version: VersionId, file: NodeId, source: SourceId) -> Self {
        Self {
            format: FORMAT,
            version,
            file,
            is_new: false,
            parent_epoch: 0,
            list_wrap: Blob::default(),
            tree_wrap: Blob::default(),
            source,
        }
    }
}

/// As the API writes it.
pub fn wire(hash: &Digest) -> Hash {
    Hash(hash.to_bytes())
}

fn broken(path: &Path, error: io::Error) -> ClientError {
    ClientError::broken(format!("the record of an upload `{}` cannot be kept: {error}", shown(path))).because(error)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn source() -> SourceId {
        SourceId { device: 1, inode: 2, size_bytes: 3, modified_ns: 4, changed_ns: 5 }
    }

    fn header() -> Header {
        Header::new(VersionId::from_random([1; 16]), NodeId::from_random([2; 16]), source())
    }

    #[test]
    fn survives_a_crash_in_the_middle_of_a_line() {
        let dir = tempfile::tempdir().unwrap();
        let journals = Journals::new(dir.path().join("uploads"));
        let (directory, name) = (NodeId::from_random([3; 16]), NodeName::parse("a").unwrap());
        assert!(journals.load(directory, &name).unwrap().is_none());
        let mut journal = journals.begin(directory, &name, header()).unwrap();
        journal.record(0, Digest::of(b"0"), None).unwrap();
        journal.file.write_all(b"1 3f5a").unwrap();
        drop(journal);
        let mut journal = journals.load(directory, &name).unwrap().unwrap();
        assert_eq!(journal.header, header());
        assert_eq!(journal.sent().iter().map(|(number, _)| *number).collect::<Vec<_>>(), [0]);
        journal.record(2, Digest::of(b"2"), Some(Digest::of(b"tag"))).unwrap();
        journal.record(2, Digest::of(b"2 again"), None).unwrap();
        let journal = journals.load(directory, &name).unwrap().unwrap();
        assert_eq!(journal.sent().iter().map(|(number, _)| *number).collect::<Vec<_>>(), [0, 2, 2]);
        assert_eq!(journal.tags(), &Tags::from([((2, Digest::of(b"2")), Digest::of(b"tag"))]));
        assert!(journals.load(directory, &NodeName::parse("b").unwrap()).unwrap().is_none());
        journal.remove().unwrap();
        assert!(journals.load(directory, &name).unwrap().is_none());
    }

    #[test]
    fn chunks_count_only_if_all_three_agree() {
        let mut sent: Sent = (0..3).map(|n: u64| (n, Digest::of(&n.to_be_bytes()))).collect();
        sent.insert((2, Digest::of(b"the second sealing")));
        let stored = |number: u64, hash: Digest| StoredChunk { number, hash: wire(&hash) };
        let held = [
            stored(0, Digest::of(&0u64.to_be_bytes())),
            stored(1, Digest::of(b"another")),
            stored(2, Digest::of(b"the second sealing")),
            stored(7, Digest::of(b"unknown")),
        ];
        let Resume::From(kept) = decide(&header(), &sent, &source(), &held) else { unreachable!() };
        assert_eq!(kept.keys().copied().collect::<Vec<_>>(), [0, 2]);
        for changed in [
            SourceId { size_bytes: 9, ..source() },
            SourceId { modified_ns: 9, ..source() },
            SourceId { changed_ns: 9, ..source() },
            SourceId { inode: 9, ..source() },
            SourceId { device: 9, ..source() },
        ] {
            assert_eq!(decide(&header(), &sent, &changed, &held), Resume::Anew("the file has changed since"));
        }
    }

    #[test]
    fn a_foreign_or_damaged_journal_is_no_journal() {
        assert!(parse("").is_none());
        assert!(parse("{}\n").is_none());
        let other = serde_json::to_string(&Header { format: 2, ..header() }).unwrap();
        assert!(parse(&format!("{other}\n")).is_none());
        let good = serde_json::to_string(&header()).unwrap();
        assert_eq!(parse(&format!("{good}\nx\n1\n-1 aa\n")).unwrap().1.len(), 0);
    }
}
