//! Large contents: begun in a batch, sealed and sent chunk by chunk, resumed after an interruption.
//!
//! ```text
//!   disk ─read, hash plaintext─▶ buffer ─seal, hash stored─▶ PUT ─▶ journal
//!         in order                    four at a time, on blocking threads and four connections
//! ```
//!
//! Buffers are counted: a slot is taken before a chunk is read and given back when the server has it, so memory does not grow with the file
//! or with their number. A chunk is sealed in the buffer it was read into and sent from there.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use futures::stream::{self, StreamExt, TryStreamExt};
use ticrypt_api::Blob;
use ticrypt_api::upload::{NewUpload, Ticket, UploadBeginRequest};
use ticrypt_crypto::Digest;
use ticrypt_crypto::chunk::{chunk_count_for, plain_len};
use ticrypt_crypto::digest::Hasher;
use ticrypt_keyring::chunk::ChunkSealer;
use ticrypt_keyring::props::{ContentKind, ManifestProps};
use ticrypt_keyring::wrap::{ChildPlace, VersionPlace};
use ticrypt_keyring::{ContentKey, NodeKeys};
use ticrypt_types::{NodeId, NodeKind, NodeName, Timestamp, VersionId};

use super::Vault;
use super::content::{READS, changing, chunk_buffer, mode_of, plaintext_of, seal_chunk, sealer};
use super::journal::{Header, Journal, Resume, decide};
use super::load::blocking;
use super::make::{ContentDraft, cannot_seal, new_node_id, new_version_id};
use super::open::{DEAD_TICKET, TICKET_FRESH, TICKET_TRIES};
use super::progress::Progress;
use super::receive::Arriving;
use super::source::{self, Opened, SourceId, fill, unreadable};
use super::tree::{Directory, Held};
use crate::error::{ClientError, Kind, Result};

/// Chunks of one file on their way at once.
const IN_FLIGHT: usize = 4;
/// Chunk buffers in the whole program.
pub(super) const CHUNK_SLOTS: usize = 7;
/// How long a chunk is waited for that a former attempt is still writing.
const BUSY_TRIES: u32 = 100;
const BUSY_PAUSE: Duration = Duration::from_millis(100);

/// Where a large content goes.
#[derive(Debug)]
pub(super) enum Destination {
    /// A file that will be created with it.
    New,
    /// A file that exists.
    Version(Held),
}

/// Where a large content comes from.
#[derive(Debug)]
pub(super) enum Origin<'a> {
    Disk(&'a Path),
    /// From somebody who hands it over once, in order.
    Pieces(Arriving),
}

/// One large file to be sent.
#[derive(Debug)]
pub(super) struct LargeFile<'a> {
    pub origin: Origin<'a>,
    pub name: &'a NodeName,
    pub destination: Destination,
}

/// A content whose chunks the server has.
#[derive(Debug)]
pub(super) struct Uploaded {
    pub file: NodeId,
    pub keys: Arc<NodeKeys>,
    pub content: ContentDraft,
    pub journal: Option<Journal>,
}

/// What has been agreed with the server about one upload.
struct Begun {
    file: NodeId,
    keys: Arc<NodeKeys>,
    version: VersionId,
    key: ContentKey,
    ticket: Ticket,
    stored: BTreeMap<u64, Digest>,
    journal: Option<Journal>,
}

/// A ticket that is renewed in time.
struct Tickets(tokio::sync::Mutex<(Ticket, Instant)>);

impl Tickets {
    fn new(ticket: Ticket) -> Self {
        Self(tokio::sync::Mutex::new((ticket, Instant::now())))
    }

    async fn fresh(&self, vault: &Vault) -> Result<Ticket> {
        let mut held = self.0.lock().await;
        if held.1.elapsed() >= TICKET_FRESH {
            let version = held.0.version;
            *held = (vault.server().upload_status(version).await?.ticket, Instant::now());
        }
        Ok(held.0.clone())
    }

    /// A ticket that was refused: the next is asked for.
    async fn renew(&self, vault: &Vault, dead: &Ticket) -> Result<()> {
        let mut held = self.0.lock().await;
        if held.0 == *dead {
            *held = (vault.server().upload_status(dead.version).await?.ticket, Instant::now());
        }
        Ok(())
    }
}

impl Vault {
    /// Sends a file's content.
    pub(super) async fn upload(&self, directory: &Directory, file: LargeFile<'_>, progress: &dyn Progress) -> Result<Uploaded> {
        let LargeFile { origin, name, destination } = file;
        let to = To { directory, name, destination: &destination };
        match origin {
            Origin::Disk(path) => self.upload_from_disk(&to, path, progress).await,
            Origin::Pieces(arriving) => self.upload_pieces(&to, arriving, progress).await,
        }
    }

    /// A file that changes meanwhile is begun again, a few times.
    async fn upload_from_disk(&self, to: &To<'_>, path: &Path, progress: &dyn Progress) -> Result<Uploaded> {
        for attempt in 1.. {
            let place = path.to_owned();
            let opened = blocking(move || source::open(&place)).await??;
            let begun = self.begin(to, &opened.id).await?;
            let (modified, mode) = (opened.modified, mode_of(opened.mode));
            let input = Input::Disk { opened, path: path.to_owned() };
            match self.send(begun, input, modified, mode, progress).await {
                // A chunk is stored that this device knows nothing of: the record of it was lost. What cannot be vouched for is not published.
                Err(error) if error.code() == CHUNK_TAKEN && attempt < READS => {
                    self.forget(to).await?;
                }
                Err(error) if error.code() == CHANGED && attempt < READS => {}
                Err(error) if error.code() == CHANGED => break,
                other => return other,
            }
        }
        Err(changing(path))
    }

    /// What comes once cannot be begun again here: whoever hands it over is asked to.
    async fn upload_pieces(&self, to: &To<'_>, arriving: Arriving, progress: &dyn Progress) -> Result<Uploaded> {
        let begun = self.begin(to, &arriving.source_id()).await?;
        let modified = arriving.modified;
        match self.send(begun, Input::Pieces(arriving), modified, PIECES_MODE, progress).await {
            Err(error) if matches!(error.code(), CHUNK_TAKEN | OTHER_CONTENT) => {
                self.forget(to).await?;
                Err(other_content())
            }
            other => other,
        }
    }

    async fn forget(&self, to: &To<'_>) -> Result<()> {
        match self.journals()?.load(to.directory.id(), to.name)? {
            Some(journal) => self.give_up(journal).await,
            None => Ok(()),
        }
    }

    /// Takes up an interrupted upload or begins one.
    async fn begin(&self, to: &To<'_>, id: &SourceId) -> Result<Begun> {
        let To { directory, name, destination } = *to;
        let journals = self.journals()?;
        if let Some(journal) = journals.load(directory.id(), name)? {
            match self.take_up(to, id, &journal).await? {
                Some((keys, key, ticket, stored)) => {
                    let (version, file) = (journal.header.version, journal.header.file);
                    return Ok(Begun { file, keys, version, key, ticket, stored, journal: Some(journal) });
                }
                None => self.give_up(journal).await?,
            }
        }
        let (node, keys, epoch) = match destination {
            Destination::New => (new_node_id(&self.random)?, Arc::new(NodeKeys::generate(&self.random).map_err(cannot_seal)?), 1),
            Destination::Version(held) => (held.id, Arc::clone(&held.keys), held.epoch),
        };
        let version = new_version_id(&self.random)?;
        let key = ContentKey::generate(&self.random).map_err(cannot_seal)?;
        let place = VersionPlace { deployment: self.deployment(), file: node, epoch, version };
        let content_wrap = tree_of(&keys)?.wrap_content(&self.random, &place, &key).map_err(cannot_seal)?;
        let upload = NewUpload {
            file: node,
            directory: matches!(destination, Destination::New).then(|| directory.id()),
            version,
            content_wrap: Blob(content_wrap),
            size_bytes: id.size_bytes,
        };
        let reply = self.server().begin_uploads(UploadBeginRequest { uploads: vec![upload] }).await?;
        let ticket = ticket_of(reply.tickets, version)?;
        // One chunk is sent again as quickly as it is looked up.
        let journal = if chunk_count_for(id.size_bytes) > 1 {
            let mut header = Header::new(version, node, *id);
            if let Destination::New = destination {
                let place = self.new_place(directory, node);
                let tree = directory.held.tree_key()?;
                header.is_new = true;
                header.parent_epoch = directory.held.epoch;
                header.list_wrap = Blob(directory.held.keys.list.wrap_list(&self.random, &place, &keys.list).map_err(cannot_seal)?);
                header.tree_wrap = Blob(tree.wrap_tree(&self.random, &place, tree_of(&keys)?).map_err(cannot_seal)?);
            }
            Some(journals.begin(directory.id(), name, header)?)
        } else {
            None
        };
        Ok(Begun { file: node, keys, version, key, ticket, stored: BTreeMap::new(), journal })
    }

    /// Whether an interrupted upload can go on, and with what. `None`: it cannot, for a reason that is nobody's fault.
    async fn take_up(
        &self,
        to: &To<'_>,
        id: &SourceId,
        journal: &Journal,
    ) -> Result<Option<(Arc<NodeKeys>, ContentKey, Ticket, BTreeMap<u64, Digest>)>> {
        let To { directory, destination, .. } = *to;
        let header = &journal.header;
        let (keys, epoch) = match destination {
            Destination::New if header.is_new && header.parent_epoch == directory.held.epoch => {
                let place = self.new_place(directory, header.file);
                let list = directory.held.keys.list.unwrap_list(&place, &header.list_wrap.0);
                let tree = directory.held.tree_key()?.unwrap_tree(&place, &header.tree_wrap.0);
                match (list, tree) {
                    (Ok(list), Ok(tree)) => (Arc::new(NodeKeys { list, tree: Some(tree) }), 1),
                    _ => return Ok(None),
                }
            }
            Destination::Version(held) if !header.is_new && held.id == header.file => (Arc::clone(&held.keys), held.epoch),
            _ => return Ok(None),
        };
        let status = match self.server().upload_status(header.version).await {
            Ok(status) => status,
            Err(error) if matches!(error.kind(), Kind::NotFound | Kind::Refused | Kind::Invalid) => return Ok(None),
            Err(error) => return Err(error),
        };
        if status.file != header.file || status.size_bytes != id.size_bytes || status.ticket.version != header.version {
            return Ok(None);
        }
        let place = VersionPlace { deployment: self.deployment(), file: header.file, epoch, version: header.version };
        let Ok(key) = tree_of(&keys)?.unwrap_content(&place, &status.content_wrap.0) else { return Ok(None) };
        match decide(header, journal.sent(), id, &status.stored) {
            Resume::From(stored) => Ok(Some((keys, key, status.ticket, stored))),
            Resume::Anew(why) => {
                tracing::debug!(why, "the upload is begun anew");
                Ok(None)
            }
        }
    }

    async fn give_up(&self, journal: Journal) -> Result<()> {
        // What the server cannot forget now, its sweep will.
        if let Err(error) = self.server().abandon_upload(journal.header.version).await {
            tracing::debug!(%error, "an interrupted upload could not be abandoned");
        }
        journal.remove()
    }

    fn new_place(&self, directory: &Directory, file: NodeId) -> ChildPlace {
        ChildPlace {
            deployment: self.deployment(),
            parent: directory.id(),
            parent_epoch: directory.held.epoch,
            child: file,
            kind: NodeKind::File,
            child_epoch: 1,
        }
    }

    async fn send(&self, begun: Begun, input: Input, modified: Timestamp, mode: u16, progress: &dyn Progress) -> Result<Uploaded> {
        let Begun { file: node, keys, version, key, ticket, stored, journal } = begun;
        let size = input.size_bytes();
        let tags = journal.as_ref().map(|journal| journal.tags().clone()).unwrap_or_default();
        let key = Arc::new(key);
        let to = Sending { sealer: Arc::new(sealer(&key, node, version)?), tickets: Tickets::new(ticket), journal: Mutex::new(journal) };
        let reader = Arc::new(tokio::sync::Mutex::new(Reader { input, hasher: Hasher::new(), key: Arc::clone(&key) }));
        let count = chunk_count_for(size);
        let numbers = stream::iter(0..count).then(|number| self.read_chunk(&reader, number, size)).boxed();
        let sent = numbers
            .map_ok(|(number, chunk, slot)| {
                let (to, stored, tags) = (&to, &stored, &tags);
                async move {
                    let plain = plain_len(number, size).unwrap_or(0);
                    if let Some(hash) = stored.get(&number) {
                        // What was sealed then must be what comes now; a file on a disk was compared as a whole before.
                        if chunk.tag.is_some() && chunk.tag.as_ref() != tags.get(&(number, *hash)) {
                            return Err(other_content());
                        }
                        progress.advance(plain);
                        return Ok(*hash);
                    }
                    let hash = self.send_chunk(to, number, number + 1 == count, chunk).await?;
                    drop(slot);
                    progress.advance(plain);
                    Ok::<_, ClientError>(hash)
                }
            })
            .try_buffered(IN_FLIGHT)
            .boxed();
        let chunk_hashes: Vec<Digest> = sent.try_collect().await?;
        let reader = Arc::into_inner(reader).ok_or_else(|| ClientError::broken("a file is still being read; try again"))?;
        let Reader { input, hasher, .. } = reader.into_inner();
        input.check_end()?;
        let key = Arc::into_inner(key).ok_or_else(|| ClientError::broken("a key is still in use; try again"))?;
        let props = ManifestProps { kind: ContentKind::Regular, modified, mode, sha256: hasher.finish() };
        let content = ContentDraft { version, key, size, chunk_hashes, chunk: None, props };
        Ok(Uploaded { file: node, keys, content, journal: to.journal.into_inner().unwrap_or_else(PoisonError::into_inner) })
    }

    /// Reads the next chunk into a buffer of its own.
    async fn read_chunk(
        &self,
        reader: &Arc<tokio::sync::Mutex<Reader>>,
        number: u64,
        size: u64,
    ) -> Result<(u64, Chunk, tokio::sync::OwnedSemaphorePermit)> {
        let slot = Arc::clone(&self.slots).acquire_owned().await.map_err(|e| ClientError::broken("the upload was ended").because(e))?;
        let len = plain_len(number, size).map_err(|e| ClientError::invalid(e.to_string()))?;
        let len = usize::try_from(len).map_err(|e| ClientError::invalid("a chunk is too large for this machine").because(e))?;
        let mut reader = Arc::clone(reader).lock_owned().await;
        let buffer = match &mut reader.input {
            Input::Disk { .. } => None,
            Input::Pieces(arriving) => Some(arriving.next(len).await?),
        };
        let chunk = blocking(move || reader.next(number, len, buffer)).await??;
        Ok((number, chunk, slot))
    }

    /// Seals a chunk and sends it; gives the hash of what the server has.
    pub(super) async fn send_chunk(&self, to: &Sending, number: u64, last: bool, chunk: Chunk) -> Result<Digest> {
        let sealer = Arc::clone(&to.sealer);
        let Chunk { buffer, tag } = chunk;
        let (bytes, hash) = blocking(move || seal_chunk(&sealer, number, last, buffer)).await??;
        // Before it goes out: whatever becomes of the request, this device knows the chunk again.
        to.record(number, hash, tag)?;
        let (mut tries, mut tickets) = (0, 0);
        loop {
            let ticket = to.tickets.fresh(self).await?;
            match self.server().put_chunk(&ticket, number, bytes.clone()).await {
                Ok(()) => return Ok(hash),
                // The server is still at work on a former attempt's.
                Err(error) if error.code() == CHUNK_BUSY && tries < BUSY_TRIES => {
                    tries += 1;
                    tokio::time::sleep(BUSY_PAUSE).await;
                }
                Err(error) if error.code() == DEAD_TICKET && tickets < TICKET_TRIES => {
                    tickets += 1;
                    to.tickets.renew(self, &ticket).await?;
                }
                Err(error) if error.code() == CHUNK_TAKEN => return self.sent_before(to, ticket.version, number).await?.ok_or(error),
                Err(error) => return Err(error),
            }
        }
    }

    /// What the server holds under a number, if this device sealed and sent it, of the same source.
    async fn sent_before(&self, to: &Sending, version: VersionId, number: u64) -> Result<Option<Digest>> {
        let status = self.server().upload_status(version).await?;
        let held = status.stored.into_iter().find(|chunk| chunk.number == number).map(|chunk| Digest::new(chunk.hash.0));
        Ok(held.filter(|hash| to.has_sent(number, *hash)))
    }
}

/// What sending the chunks of one upload takes.
pub(super) struct Sending {
    sealer: Arc<ChunkSealer>,
    tickets: Tickets,
    journal: Mutex<Option<Journal>>,
}

impl Sending {
    /// An upload that is not resumed: chunks that come from the vault itself.
    pub(super) fn unjournalled(sealer: ChunkSealer, ticket: Ticket) -> Self {
        Self { sealer: Arc::new(sealer), tickets: Tickets::new(ticket), journal: Mutex::new(None) }
    }

    fn record(&self, number: u64, hash: Digest, tag: Option<Digest>) -> Result<()> {
        match &mut *self.journal.lock().unwrap_or_else(PoisonError::into_inner) {
            Some(journal) => journal.record(number, hash, tag),
            None => Ok(()),
        }
    }

    fn has_sent(&self, number: u64, hash: Digest) -> bool {
        let journal = self.journal.lock().unwrap_or_else(PoisonError::into_inner);
        journal.as_ref().is_some_and(|journal| journal.sent().contains(&(number, hash)))
    }
}

/// A content being read in order.
struct Reader {
    input: Input,
    hasher: Hasher,
    key: Arc<ContentKey>,
}

enum Input {
    Disk { opened: Opened, path: std::path::PathBuf },
    Pieces(Arriving),
}

/// Plaintext with room for what sealing adds.
pub(super) struct Chunk {
    pub buffer: Vec<u8>,
    /// By which the same plaintext is known again, of a content that comes in pieces.
    pub tag: Option<Digest>,
}

/// Where an upload goes.
#[derive(Clone, Copy)]
struct To<'a> {
    directory: &'a Directory,
    name: &'a NodeName,
    destination: &'a Destination,
}

impl Input {
    fn size_bytes(&self) -> u64 {
        match self {
            Self::Disk { opened, .. } => opened.id.size_bytes,
            Self::Pieces(arriving) => arriving.size_bytes,
        }
    }

    /// After the last byte.
    fn check_end(&self) -> Result<()> {
        match self {
            Self::Disk { opened, path } if !opened.is_unchanged().map_err(|e| unreadable(path, e))? => Err(changed()),
            _ => Ok(()),
        }
    }
}

impl std::fmt::Debug for Tickets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Tickets(..)")
    }
}

impl Reader {
    /// Fills a buffer from the disk, or takes the one that was filled from pieces; blocks.
    fn next(&mut self, number: u64, len: usize, filled: Option<Vec<u8>>) -> Result<Chunk> {
        match (filled, &self.input) {
            (None, Input::Disk { opened, path }) => {
                let mut buffer = chunk_buffer(len);
                if fill(&opened.file, plaintext_of(&mut buffer)).map_err(|e| unreadable(path, e))? < len {
                    return Err(changed());
                }
                self.hasher.update(plaintext_of(&mut buffer));
                Ok(Chunk { buffer, tag: None })
            }
            (filled, _) => {
                let mut buffer = filled.unwrap_or_default();
                self.hasher.update(plaintext_of(&mut buffer));
                let tag = self.key.tag_plaintext(number, &self.hasher.clone().finish()).map_err(|e| cannot_seal(e.into()))?;
                Ok(Chunk { buffer, tag: Some(tag) })
            }
        }
    }
}

pub(super) fn ticket_of(tickets: Vec<Ticket>, version: VersionId) -> Result<Ticket> {
    let ticket = tickets.into_iter().find(|ticket| ticket.version == version);
    ticket.ok_or_else(|| ClientError::untrusted("the server gave no ticket for the upload; try again"))
}

const CHANGED: &str = "source_changed";
const CHUNK_BUSY: &str = "chunk_busy";
const CHUNK_TAKEN: &str = "chunk_taken";
/// What came in pieces is not what was begun under this name; its record is forgotten, so the next attempt begins anew.
pub const OTHER_CONTENT: &str = "other_content";

/// Permission bits of a file that nobody gave any.
const PIECES_MODE: u16 = 0o644;

fn other_content() -> ClientError {
    ClientError::new(Kind::Stale, OTHER_CONTENT, "the file is not the one whose upload was begun; send it again from the start")
}

fn changed() -> ClientError {
    ClientError::new(Kind::Unavailable, CHANGED, "the file changed while it was read")
}

fn tree_of(keys: &NodeKeys) -> Result<&ticrypt_keyring::TreeKey> {
    keys.tree.as_ref().ok_or_else(|| ClientError::refused("no_view", "writing needs the key to the contents; ask for view and edit"))
}
