//! Files that come in pieces from somewhere that is not a disk: a browser on this machine, say.
//!
//! ```text
//!   small files ─ many at once ─▶ directories made ─▶ sealed ─▶ one create for each directory
//!   a large one ─ pieces, in order, a bounded queue ─▶ chunks sealed and sent as they fill ─▶ created when all of it has come
//! ```
//!
//! Nothing of a file is in the vault before all of it has come. An interrupted large one goes on when it is handed over again from its
//! start: chunks whose plaintext is known again by its tag are hashed and not sent.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use bytes::Bytes;
use ticrypt_crypto::Digest;
use ticrypt_keyring::props::{ContentKind, EntryProps};
use ticrypt_keyring::{NodeKeys, SystemRandom};
use ticrypt_types::{NodeName, Timestamp};
use tokio::sync::mpsc;

use super::Vault;
use super::content::{Small, chunk_buffer, plaintext_of};
use super::load::blocking;
use super::make::{ContentDraft, NodeDraft, cannot_seal, new_node_id};
use super::naming::beside;
use super::path::VaultPath;
use super::plan::{self, IfExists, Kind, Step, There};
use super::progress::{Cancel, Note, Outcome, Progress, Report};
use super::put::{cancelled, stored_kind};
use super::source::SourceId;
use super::tree::{Current, Directory, Held};
use super::upload::{Destination, LargeFile, Origin, Uploaded};
use crate::error::{ClientError, Result};

/// Pieces that wait to be sealed; whoever hands them over waits for room.
const QUEUE: usize = 2;
const SMALL_MODE: u16 = 0o644;

/// A content on its way here.
#[derive(Debug)]
pub struct Arriving {
    pub size_bytes: u64,
    pub modified: Timestamp,
    pieces: mpsc::Receiver<Bytes>,
    rest: Bytes,
}

/// The other end: takes pieces of any length, in order.
#[derive(Clone, Debug)]
pub struct Pieces(mpsc::Sender<Bytes>);

impl Pieces {
    /// Waits for room; `false` if nobody wants any more.
    pub async fn send(&self, piece: Bytes) -> bool {
        self.0.send(piece).await.is_ok()
    }
}

/// A content of so many bytes, and where to hand it over.
pub fn arriving(size_bytes: u64, modified: Timestamp) -> (Pieces, Arriving) {
    let (sender, pieces) = mpsc::channel(QUEUE);
    (Pieces(sender), Arriving { size_bytes, modified, pieces, rest: Bytes::new() })
}

impl Arriving {
    /// All that is known of where it comes from: its size and time.
    pub(super) fn source_id(&self) -> SourceId {
        let modified_ns = i128::from(self.modified.as_millis()) * 1_000_000;
        SourceId { device: 0, inode: 0, size_bytes: self.size_bytes, modified_ns, changed_ns: 0 }
    }

    /// The next so many bytes, in a buffer for a chunk.
    pub(super) async fn next(&mut self, len: usize) -> Result<Vec<u8>> {
        let mut buffer = chunk_buffer(len);
        let mut room = plaintext_of(&mut buffer);
        while !room.is_empty() {
            if self.rest.is_empty() {
                self.rest = self.pieces.recv().await.ok_or_else(cut_off)?;
                continue;
            }
            let piece = self.rest.split_to(self.rest.len().min(room.len()));
            let (now, later) = room.split_at_mut(piece.len());
            now.copy_from_slice(&piece);
            room = later;
        }
        Ok(buffer)
    }
}

/// A small file that came whole.
#[derive(Clone, Debug)]
pub struct SmallFile {
    /// Directories below the destination, then the file's name.
    pub path: Vec<NodeName>,
    pub modified: Timestamp,
    pub bytes: Bytes,
}

/// Where one file goes.
#[derive(Clone, Debug)]
pub struct Arrival<'a> {
    pub directory: &'a VaultPath,
    pub name: &'a NodeName,
    pub if_exists: IfExists,
}

/// What to do with one file, after looking at the directory.
enum Decided {
    Write { name: NodeName, over: Option<(Held, Current)> },
    Leave(Outcome, &'static str),
}

impl Vault {
    /// Receives one file of any size; its directory is made if it is not there.
    pub async fn receive(&self, to: Arrival<'_>, arriving: Arriving, progress: &dyn Progress, cancel: &Cancel) -> Result<Report> {
        let receiving = self.receive_one(to, arriving, progress);
        cancel.run_until_cancelled(receiving).await.unwrap_or_else(|| Err(cancelled()))
    }

    async fn receive_one(&self, to: Arrival<'_>, mut arriving: Arriving, progress: &dyn Progress) -> Result<Report> {
        let size = arriving.size_bytes;
        if plan::is_small(size) {
            let len = usize::try_from(size).map_err(|e| ClientError::broken("a small file is too large").because(e))?;
            let mut buffer = arriving.next(len).await?;
            let bytes = Bytes::copy_from_slice(plaintext_of(&mut buffer));
            let file = SmallFile { path: vec![to.name.clone()], modified: arriving.modified, bytes };
            return self.receive_small(to.directory, vec![file], to.if_exists, progress).await;
        }
        let mut report = Report::default();
        let found = self.mkdir(to.directory, true).await?;
        let directory = self.load_found(&found, true).await?;
        let what = There { kind: Kind::File, size_bytes: size, modified: arriving.modified };
        let (name, over) = match self.decide_arrival(&directory, to.name, what, None, to.if_exists, &HashSet::new()).await? {
            Decided::Write { name, over } => (name, over),
            Decided::Leave(outcome, reason) => {
                self.left(&mut report, to.directory, to.name, outcome, reason, progress);
                progress.advance(size);
                return Ok(report);
            }
        };
        progress.begin(name.as_str());
        let destination = over.as_ref().map_or(Destination::New, |(held, _)| Destination::Version(held.clone()));
        let file = LargeFile { origin: Origin::Pieces(arriving), name: &name, destination };
        let Uploaded { file, keys, content, journal } = self.upload(&directory, file, progress).await?;
        match over {
            Some((held, current)) => {
                self.publish_arrival(&to.directory.child(&name), &held, &current, content, &mut report, progress).await?
            }
            None => {
                let props = entry_props(&name, content.props.modified);
                let draft = NodeDraft { id: file, within: None, keys, props, content: Some(content) };
                self.create(to.directory, directory, vec![draft]).await?;
            }
        }
        if let Some(journal) = journal {
            journal.remove()?;
        }
        report.files += 1;
        report.bytes += size;
        progress.finish(1);
        Ok(report)
    }

    /// Receives small files, many at once, into directories that are made where they are not there.
    pub async fn receive_small(
        &self,
        top: &VaultPath,
        files: Vec<SmallFile>,
        if_exists: IfExists,
        progress: &dyn Progress,
    ) -> Result<Report> {
        let mut report = Report::default();
        let mut folders: BTreeMap<Vec<NodeName>, Vec<(NodeName, SmallFile)>> = BTreeMap::new();
        for mut file in files {
            let name = file.path.pop().ok_or_else(|| ClientError::invalid("a file without a name"))?;
            folders.entry(std::mem::take(&mut file.path)).or_default().push((name, file));
        }
        for (folder, files) in folders {
            let path = folder.iter().fold(top.clone(), |path, name| path.child(name));
            self.receive_folder(&path, files, if_exists, &mut report, progress).await?;
        }
        Ok(report)
    }

    async fn receive_folder(
        &self,
        path: &VaultPath,
        files: Vec<(NodeName, SmallFile)>,
        if_exists: IfExists,
        report: &mut Report,
        progress: &dyn Progress,
    ) -> Result<()> {
        let found = self.mkdir(path, true).await?;
        let mut directory = self.load_found(&found, true).await?;
        let mut given = HashSet::new();
        let (mut fresh, mut versions) = (Vec::new(), Vec::new());
        for (name, file) in files {
            let what = There { kind: Kind::File, size_bytes: file.bytes.len() as u64, modified: file.modified };
            match self.decide_arrival(&directory, &name, what, Some(&file.bytes), if_exists, &given).await? {
                Decided::Write { name, over } => {
                    given.insert(name.as_str().to_owned());
                    match over {
                        Some(over) => versions.push((name, file, over)),
                        None => fresh.push((name, file)),
                    }
                }
                Decided::Leave(outcome, reason) => {
                    self.left(report, path, &name, outcome, reason, progress);
                    progress.advance(file.bytes.len() as u64);
                }
            }
        }
        for run in plan::batches(fresh.iter().map(|(_, file)| file.bytes.len() as u64), plan::BATCH_BYTES) {
            let batch: Vec<(NodeName, SmallFile)> = fresh.get(run).unwrap_or_default().to_vec();
            let (count, bytes) = (batch.len() as u64, batch.iter().map(|(_, file)| file.bytes.len() as u64).sum::<u64>());
            let drafts = blocking(move || batch.into_iter().map(draft).collect::<Result<Vec<_>>>()).await??;
            directory = self.create(path, directory, drafts).await?.directory;
            report.files += count;
            report.bytes += bytes;
            progress.advance(bytes);
            progress.finish(count);
        }
        for (name, file, (held, current)) in versions {
            let (id, bytes) = (held.id, file.bytes.len() as u64);
            let content = blocking(move || small(&file).seal(&SystemRandom::new(), id)).await??;
            self.publish_arrival(&path.child(&name), &held, &current, content, report, progress).await?;
            report.files += 1;
            report.bytes += bytes;
            progress.advance(bytes);
            progress.finish(1);
        }
        Ok(())
    }

    async fn publish_arrival(
        &self,
        path: &VaultPath,
        held: &Held,
        current: &Current,
        content: ContentDraft,
        report: &mut Report,
        progress: &dyn Progress,
    ) -> Result<()> {
        if self.publish(path, held, current, content).await?.conflict {
            let reason = "somebody else wrote a version at the same time; both are in its history".to_owned();
            let note = Note { path: path.to_string(), outcome: Outcome::Conflict, reason };
            progress.note(&note);
            report.notes.push(note);
        }
        Ok(())
    }

    async fn decide_arrival(
        &self,
        directory: &Arc<Directory>,
        name: &NodeName,
        what: There,
        bytes: Option<&Bytes>,
        if_exists: IfExists,
        given: &HashSet<String>,
    ) -> Result<Decided> {
        if given.contains(name.as_str()) {
            return Ok(Decided::Leave(Outcome::Failed, "two of the files have this name"));
        }
        let (mut there, mut over) = (None, None);
        if let Some(member) = directory.by_name(name) {
            there = Some(There { kind: Kind::Directory, size_bytes: 0, modified: Timestamp::ABSENT });
            if !member.is_directory() {
                let held = self.descend(directory, member).await?;
                let view = member.current.as_ref().ok_or_else(|| super::trust::lie("the server withholds what is current in a file"))?;
                let current = self.current(&held, view)?;
                there = Some(There { kind: stored_kind(&current), size_bytes: current.manifest.size, modified: current.props.modified });
                over = Some((held, current));
            }
        }
        let mut step = plan::decide(what, there, if_exists);
        if step == Step::Compare {
            step = match (bytes, &over) {
                (Some(bytes), Some((_, current))) => plan::compared(&Digest::of(bytes), &current.props.sha256, if_exists),
                // It cannot be compared before all of it has come.
                _ => plan::differs(if_exists),
            };
        }
        Ok(match step {
            Step::Create => Decided::Write { name: name.clone(), over: None },
            Step::Replace => Decided::Write { name: name.clone(), over },
            Step::Beside => {
                let free = beside(name.as_str(), |candidate| given.contains(candidate) || directory.has_name(candidate));
                let name = NodeName::normalise(&free).map_err(|e| ClientError::invalid(e.to_string()))?;
                Decided::Write { name, over: None }
            }
            Step::Unchanged | Step::Compare => Decided::Leave(Outcome::Unchanged, "the same is there already"),
            Step::Skip | Step::Enter => Decided::Leave(Outcome::Skipped, "something else has that name"),
            Step::Fail(_) => Decided::Leave(Outcome::Failed, "it exists already; choose to keep both, to replace or to skip"),
        })
    }

    fn left(&self, report: &mut Report, directory: &VaultPath, name: &NodeName, outcome: Outcome, reason: &str, progress: &dyn Progress) {
        progress.finish(1);
        if outcome == Outcome::Unchanged {
            report.unchanged += 1;
            return;
        }
        let note = Note { path: directory.child(name).to_string(), outcome, reason: reason.to_owned() };
        progress.note(&note);
        report.notes.push(note);
    }

    /// Which of these names are taken in a directory, and whether by a directory. None is, if the directory is not there.
    pub async fn taken(&self, directory: &VaultPath, names: &[NodeName]) -> Result<HashMap<NodeName, Kind>> {
        let Some(found) = self.find_node(directory).await? else { return Ok(HashMap::new()) };
        let directory = self.load_found(&found, false).await?;
        let kind = |directory: bool| if directory { Kind::Directory } else { Kind::File };
        let taken = names.iter().filter_map(|name| Some((name.clone(), kind(directory.by_name(name)?.is_directory()))));
        Ok(taken.collect())
    }
}

fn small(file: &SmallFile) -> Small {
    Small { bytes: file.bytes.to_vec(), kind: ContentKind::Regular, modified: file.modified, mode: SMALL_MODE }
}

fn draft((name, file): (NodeName, SmallFile)) -> Result<NodeDraft> {
    let random = SystemRandom::new();
    let id = new_node_id(&random)?;
    let content = small(&file).seal(&random, id)?;
    let keys = NodeKeys::generate(&random).map_err(cannot_seal)?;
    Ok(NodeDraft { id, within: None, keys: keys.into(), props: entry_props(&name, file.modified), content: Some(content) })
}

fn entry_props(name: &NodeName, modified: Timestamp) -> EntryProps {
    EntryProps { name: name.clone(), created: crate::clock::now(), modified, mode: 0 }
}

fn cut_off() -> ClientError {
    ClientError::unavailable("the file stopped coming before its end; hand it over again to go on")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[tokio::test]
    async fn pieces_of_any_length_make_chunks_of_one() {
        let (pieces, mut arriving) = arriving(10, Timestamp::from_millis(1));
        let sending = tokio::spawn(async move {
            for piece in [&b"01"[..], b"", b"23456", b"7", b"8"] {
                assert!(pieces.send(Bytes::from_static(piece)).await);
            }
        });
        let text = |mut buffer: Vec<u8>| String::from_utf8(plaintext_of(&mut buffer).to_vec()).unwrap();
        assert_eq!(text(arriving.next(4).await.unwrap()), "0123");
        assert_eq!(text(arriving.next(4).await.unwrap()), "4567");
        assert!(arriving.next(2).await.unwrap_err().to_string().contains("stopped coming"));
        sending.await.unwrap();
    }
}
