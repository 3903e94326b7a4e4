//! The journal: where an entry is durable before anything else happens to it.
//!
//! ```text
//! journal/00000000000000000000.wal    named by the index of its first entry
//! ┌ segment header ┬ group ┬ group ┬ group …            one group = one fdatasync
//! │ magic, salt,   │
//! │ first index    │  ┌ group header ┬ record ┬ record …
//!                     │ magic, index,│ length u32, leaf hash 32, entry
//!                     │ count, length, digest of the record heads, check
//! ```
//!
//! Only the last group can be torn, because the next is not begun before the last is synced. So at
//! opening, a broken group with a whole one after it is corruption and an error; a broken group
//! with nothing after it was never acknowledged and is cut off. The check of a group header is
//! salted per segment, so the bytes of an entry cannot pass for one.

use std::collections::VecDeque;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use aws_lc_rs::digest::{self, SHA256};
use aws_lc_rs::rand::{SecureRandom, SystemRandom};

use crate::fs::{LogFile, LogFs, create_directories};
use crate::merkle::{HASH_BYTES, Hash, leaf_hash};
use crate::tile::MAX_ENTRY_BYTES;

const SEGMENT_MAGIC: &[u8; 8] = b"ticwal\x00\x01";
const GROUP_MAGIC: &[u8; 4] = b"\xF7grp";
const CHECK_BYTES: usize = 16;
const SALT_BYTES: usize = 16;
const SEGMENT_HEADER_BYTES: usize = 8 + SALT_BYTES + 8 + CHECK_BYTES;
const GROUP_HEADER_BYTES: usize = 4 + 8 + 4 + 4 + CHECK_BYTES + CHECK_BYTES;
const RECORD_HEAD_BYTES: usize = 4 + HASH_BYTES;
const SUFFIX: &str = ".wal";

/// One entry with its leaf hash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) bytes: Vec<u8>,
    pub(crate) leaf: Hash,
}

/// What was found at opening.
#[derive(Debug, Default)]
pub(crate) struct Replay {
    /// Index of the first entry still in the journal.
    pub(crate) first: u64,
    pub(crate) entries: Vec<Entry>,
    /// Bytes of an unacknowledged group that were cut off.
    pub(crate) cut_bytes: u64,
    /// Whether there was no journal at all.
    pub(crate) fresh: bool,
}

/// The journal cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// The system refused.
    #[error("cannot {step} the journal")]
    Io {
        /// What was tried.
        step: &'static str,
        /// Why it failed.
        #[source]
        source: io::Error,
    },
    /// Something acknowledged is damaged.
    #[error("journal {segment} is damaged at byte {offset}; restore the log from a copy")]
    Corrupt {
        /// File name of the segment.
        segment: String,
        /// Where.
        offset: u64,
    },
    /// A segment is missing.
    #[error("journal ends at entry {end} but the next segment begins at {next}; restore the log from a copy")]
    Gap {
        /// Where the earlier segments end.
        end: u64,
        /// Where the next begins.
        next: u64,
    },
    /// No randomness for a segment salt.
    #[error("cryptographic provider gave no random bytes for the journal")]
    Random,
}

fn io_step(step: &'static str) -> impl Fn(io::Error) -> JournalError {
    move |source| JournalError::Io { step, source }
}

/// The journal, open for adding.
pub(crate) struct Journal {
    fs: Arc<dyn LogFs>,
    directory: PathBuf,
    file: Box<dyn LogFile>,
    salt: [u8; SALT_BYTES],
    /// First index of each segment, oldest first; the last is open.
    segments: VecDeque<u64>,
    written_bytes: u64,
    segment_bytes: u64,
    next: u64,
    buffer: Vec<u8>,
}

impl Journal {
    /// Opens the journal and reads what is in it.
    pub(crate) fn open(fs: Arc<dyn LogFs>, directory: PathBuf, segment_bytes: u64) -> Result<(Self, Replay), JournalError> {
        create_directories(fs.as_ref(), &directory).map_err(io_step("make a directory for"))?;
        let mut firsts: Vec<u64> =
            fs.list(&directory).map_err(io_step("list"))?.iter().filter_map(|name| name.strip_suffix(SUFFIX)?.parse().ok()).collect();
        firsts.sort_unstable();
        let mut replay = Replay { fresh: true, ..Replay::default() };
        let mut last = None;
        let count = firsts.len();
        for (place, first) in firsts.iter().enumerate() {
            let name = segment_name(*first);
            let bytes = fs.read(&directory.join(&name)).map_err(io_step("read"))?;
            let is_last = place + 1 == count;
            let Some(segment) = read_segment(&name, &bytes, *first, is_last)? else {
                // Made, but its header never became durable: nothing was ever written after it.
                replay.cut_bytes += bytes.len() as u64;
                fs.remove(&directory.join(&name)).map_err(io_step("remove a torn segment of"))?;
                fs.sync_directory(&directory).map_err(io_step("sync the directory of"))?;
                continue;
            };
            if replay.fresh {
                replay.first = *first;
                replay.fresh = false;
            }
            let end = replay.first + replay.entries.len() as u64;
            if end != *first {
                return Err(JournalError::Gap { end, next: *first });
            }
            replay.entries.extend(segment.entries);
            replay.cut_bytes += (bytes.len() - segment.whole_bytes) as u64;
            last = Some((*first, segment.whole_bytes, segment.salt));
        }
        let next = replay.first + replay.entries.len() as u64;
        firsts.retain(|first| last.is_some_and(|(open, ..)| *first <= open));
        let journal = match last {
            Some((first, whole_bytes, salt)) => {
                let path = directory.join(segment_name(first));
                let mut file = fs.open_at(&path, whole_bytes as u64).map_err(io_step("open"))?;
                // The cut must be durable before anything is added behind it.
                file.sync().map_err(io_step("sync"))?;
                Self {
                    fs,
                    directory,
                    file,
                    salt,
                    segments: firsts.into(),
                    written_bytes: whole_bytes as u64,
                    segment_bytes,
                    next,
                    buffer: Vec::new(),
                }
            }
            None => Self::begin_at(fs, directory, next, segment_bytes)?,
        };
        Ok((journal, replay))
    }

    /// Begins a journal that holds nothing before `first`, in a directory without one.
    pub(crate) fn begin_at(fs: Arc<dyn LogFs>, directory: PathBuf, first: u64, segment_bytes: u64) -> Result<Self, JournalError> {
        create_directories(fs.as_ref(), &directory).map_err(io_step("make a directory for"))?;
        let (file, salt) = begin_segment(fs.as_ref(), &directory, first)?;
        Ok(Self {
            fs,
            directory,
            file,
            salt,
            segments: VecDeque::from([first]),
            written_bytes: SEGMENT_HEADER_BYTES as u64,
            segment_bytes,
            next: first,
            buffer: Vec::new(),
        })
    }

    /// Index the next entry will have.
    pub(crate) const fn next(&self) -> u64 {
        self.next
    }

    /// Adds these entries and returns once they are durable. After an error the journal must not be
    /// used again: what reached the disk is unknown.
    pub(crate) fn append(&mut self, entries: &[Entry]) -> Result<(), JournalError> {
        if self.written_bytes >= self.segment_bytes {
            let (file, salt) = begin_segment(self.fs.as_ref(), &self.directory, self.next)?;
            (self.file, self.salt) = (file, salt);
            self.segments.push_back(self.next);
            self.written_bytes = SEGMENT_HEADER_BYTES as u64;
        }
        encode_group(&mut self.buffer, &self.salt, self.next, entries);
        self.file.write_all(&self.buffer).map_err(io_step("write to"))?;
        self.file.sync().map_err(io_step("sync"))?;
        self.written_bytes += self.buffer.len() as u64;
        self.next += entries.len() as u64;
        Ok(())
    }

    /// Removes segments whose entries all have an index below `tiled`, which must be durable in tiles.
    pub(crate) fn drop_before(&mut self, tiled: u64) -> Result<(), JournalError> {
        while let (Some(first), Some(second)) = (self.segments.front(), self.segments.get(1)) {
            if *second > tiled {
                break;
            }
            let path = self.directory.join(segment_name(*first));
            self.fs.remove(&path).map_err(io_step("remove a segment of"))?;
            // One at a time and in order: a lost removal must not leave a hole.
            self.fs.sync_directory(&self.directory).map_err(io_step("sync the directory of"))?;
            self.segments.pop_front();
        }
        Ok(())
    }
}

/// Index behind the last whole group of a journal that another process may be writing; it may not be durable yet.
pub(crate) fn end(fs: &dyn LogFs, directory: &Path) -> Result<u64, JournalError> {
    let names = match fs.list(directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
        names => names.map_err(io_step("list"))?,
    };
    // The last segment is never removed.
    let Some(first) = names.iter().filter_map(|name| name.strip_suffix(SUFFIX)?.parse::<u64>().ok()).max() else { return Ok(0) };
    let name = segment_name(first);
    let bytes = fs.read(&directory.join(&name)).map_err(io_step("read"))?;
    let segment = read_segment(&name, &bytes, first, true)?;
    Ok(first + segment.map_or(0, |segment| segment.entries.len() as u64))
}

fn segment_name(first: u64) -> String {
    format!("{first:020}{SUFFIX}")
}

fn check(salt: &[u8], parts: &[&[u8]]) -> [u8; CHECK_BYTES] {
    let mut context = digest::Context::new(&SHA256);
    context.update(salt);
    parts.iter().for_each(|part| context.update(part));
    context.finish().as_ref().first_chunk().copied().unwrap_or_default()
}

fn begin_segment(fs: &dyn LogFs, directory: &Path, first: u64) -> Result<(Box<dyn LogFile>, [u8; SALT_BYTES]), JournalError> {
    let mut salt = [0; SALT_BYTES];
    SystemRandom::new().fill(&mut salt).map_err(|_| JournalError::Random)?;
    let first_bytes = first.to_be_bytes();
    let mut header = Vec::with_capacity(SEGMENT_HEADER_BYTES);
    header.extend_from_slice(SEGMENT_MAGIC);
    header.extend_from_slice(&salt);
    header.extend_from_slice(&first_bytes);
    header.extend_from_slice(&check(&salt, &[SEGMENT_MAGIC, &first_bytes]));
    let mut file = fs.create(&directory.join(segment_name(first))).map_err(io_step("begin a segment of"))?;
    file.write_all(&header).map_err(io_step("write to"))?;
    file.sync().map_err(io_step("sync"))?;
    fs.sync_directory(directory).map_err(io_step("sync the directory of"))?;
    Ok((file, salt))
}

fn encode_group(buffer: &mut Vec<u8>, salt: &[u8], first: u64, entries: &[Entry]) {
    buffer.clear();
    buffer.resize(GROUP_HEADER_BYTES, 0);
    let mut heads = digest::Context::new(&SHA256);
    for entry in entries {
        let start = buffer.len();
        let length = u32::try_from(entry.bytes.len()).unwrap_or(u32::MAX);
        buffer.extend_from_slice(&length.to_be_bytes());
        buffer.extend_from_slice(entry.leaf.as_bytes());
        heads.update(buffer.get(start..).unwrap_or_default());
        buffer.extend_from_slice(&entry.bytes);
    }
    let count = u32::try_from(entries.len()).unwrap_or(u32::MAX);
    let payload = u32::try_from(buffer.len() - GROUP_HEADER_BYTES).unwrap_or(u32::MAX);
    let mut header = Vec::with_capacity(GROUP_HEADER_BYTES);
    header.extend_from_slice(GROUP_MAGIC);
    header.extend_from_slice(&first.to_be_bytes());
    header.extend_from_slice(&count.to_be_bytes());
    header.extend_from_slice(&payload.to_be_bytes());
    header.extend_from_slice(heads.finish().as_ref().first_chunk::<CHECK_BYTES>().unwrap_or(&[0; CHECK_BYTES]));
    let header_check = check(salt, &[&header]);
    header.extend_from_slice(&header_check);
    for (place, byte) in buffer.iter_mut().zip(header) {
        *place = byte;
    }
}

struct Segment {
    entries: Vec<Entry>,
    whole_bytes: usize,
    salt: [u8; SALT_BYTES],
}

/// Reads a segment; `None` for the last segment when not even its header is whole.
fn read_segment(name: &str, bytes: &[u8], first: u64, is_last: bool) -> Result<Option<Segment>, JournalError> {
    let corrupt = |offset: usize| JournalError::Corrupt { segment: name.to_owned(), offset: offset as u64 };
    let Some(salt) = segment_salt(bytes, first) else {
        // The header is synced before the first group, so groups behind a bad header are damage.
        return if is_last && bytes.len() <= SEGMENT_HEADER_BYTES { Ok(None) } else { Err(corrupt(0)) };
    };
    let mut segment = Segment { entries: Vec::new(), whole_bytes: SEGMENT_HEADER_BYTES, salt };
    while let Some(rest) = bytes.get(segment.whole_bytes..).filter(|rest| !rest.is_empty()) {
        let next = first + segment.entries.len() as u64;
        if let Some((entries, length)) = read_group(rest, &salt, next) {
            segment.entries.extend(entries);
            segment.whole_bytes += length;
        } else if is_last && !any_group_header(rest.get(1..).unwrap_or_default(), &salt) {
            break;
        } else {
            return Err(corrupt(segment.whole_bytes));
        }
    }
    Ok(Some(segment))
}

fn segment_salt(bytes: &[u8], first: u64) -> Option<[u8; SALT_BYTES]> {
    let rest = bytes.strip_prefix(SEGMENT_MAGIC)?;
    let (salt, rest) = rest.split_first_chunk::<SALT_BYTES>()?;
    let (index, rest) = rest.split_first_chunk::<8>()?;
    let sound = rest.starts_with(&check(salt, &[SEGMENT_MAGIC, index]));
    (sound && u64::from_be_bytes(*index) == first).then_some(*salt)
}

struct GroupHeader {
    first: u64,
    count: u32,
    payload: usize,
    heads: [u8; CHECK_BYTES],
}

fn group_header(bytes: &[u8], salt: &[u8]) -> Option<GroupHeader> {
    let rest = bytes.strip_prefix(GROUP_MAGIC)?;
    let (first, rest) = rest.split_first_chunk::<8>()?;
    let (count, rest) = rest.split_first_chunk::<4>()?;
    let (payload, rest) = rest.split_first_chunk::<4>()?;
    let (heads, rest) = rest.split_first_chunk::<CHECK_BYTES>()?;
    let signed = bytes.get(..GROUP_HEADER_BYTES - CHECK_BYTES)?;
    rest.starts_with(&check(salt, &[signed])).then(|| GroupHeader {
        first: u64::from_be_bytes(*first),
        count: u32::from_be_bytes(*count),
        payload: u32::from_be_bytes(*payload) as usize,
        heads: *heads,
    })
}

fn any_group_header(bytes: &[u8], salt: &[u8]) -> bool {
    let windows = bytes.windows(GROUP_MAGIC.len()).enumerate();
    let mut candidates = windows.filter(|(_, window)| *window == GROUP_MAGIC).map(|(offset, _)| offset);
    candidates.any(|offset| bytes.get(offset..).is_some_and(|rest| group_header(rest, salt).is_some()))
}

fn read_group(bytes: &[u8], salt: &[u8], next: u64) -> Option<(Vec<Entry>, usize)> {
    let header = group_header(bytes, salt).filter(|header| header.first == next)?;
    let end = GROUP_HEADER_BYTES.checked_add(header.payload)?;
    let mut payload = bytes.get(GROUP_HEADER_BYTES..end)?;
    let mut heads = digest::Context::new(&SHA256);
    let mut entries = Vec::with_capacity((header.count as usize).min(payload.len() / RECORD_HEAD_BYTES));
    for _ in 0..header.count {
        let (head, rest) = payload.split_at_checked(RECORD_HEAD_BYTES)?;
        let (length, leaf) = head.split_first_chunk::<4>()?;
        let length = u32::from_be_bytes(*length) as usize;
        let (entry, rest) = rest.split_at_checked(length)?;
        let leaf = Hash::from_slice(leaf)?;
        if length > MAX_ENTRY_BYTES || leaf_hash(entry) != leaf {
            return None;
        }
        heads.update(head);
        entries.push(Entry { bytes: entry.to_vec(), leaf });
        payload = rest;
    }
    let sound = payload.is_empty() && heads.finish().as_ref().starts_with(&header.heads);
    sound.then_some((entries, end))
}
