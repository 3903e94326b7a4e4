//! Contents on their way out of the vault: nothing is decrypted that is not what a writer signed.
//!
//! ```text
//!   open ─▶ manifest verified ─▶ chunk hashes = signed root ─▶ content key unwrapped, its commitment = signed
//!   chunk ─▶ length ─▶ H(chunk) = hash ─▶ header, commitment ─▶ decrypted in place ─▶ in order ─▶ SHA-256 of the whole
//! ```

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::stream::{self, Stream, StreamExt, TryStreamExt};
use ticrypt_api::Hash;
use ticrypt_api::node::StatRequest;
use ticrypt_api::upload::Ticket;
use ticrypt_api::version::{OpenItem, OpenRequest, OpenedFile};
use ticrypt_crypto::Digest;
use ticrypt_crypto::chunk::{HEADROOM, TAG_LEN, stored_len};
use ticrypt_crypto::digest::Hasher;
use ticrypt_keyring::chunk::ChunkOpener;
use ticrypt_keyring::wrap::VersionPlace;
use tokio::sync::OwnedSemaphorePermit;

use super::Vault;
use super::load::blocking;
use super::target::Part;
use super::tree::{Current, Held, moved_on};
use super::trust::lie;
use crate::error::{ClientError, Result};

/// Chunks of one file on their way at once.
const IN_FLIGHT: usize = 4;
/// A ticket is good for 60 seconds; a chunk may take a while to arrive.
pub(super) const TICKET_FRESH: Duration = Duration::from_secs(35);
/// The code of the refusal of a ticket that is worth nothing any more, and how often another is asked for.
pub(super) const DEAD_TICKET: &str = "ticket";
pub(super) const TICKET_TRIES: u32 = 3;

/// A version that may be read: verified, its key at hand.
pub struct Content {
    pub file: Held,
    pub current: Current,
    opener: Arc<ChunkOpener>,
    hashes: Vec<Digest>,
    /// A small content, whole and still sealed.
    chunk: Option<Vec<u8>>,
    ticket: tokio::sync::Mutex<Option<(Ticket, Instant)>>,
    keep: bool,
}

/// A decrypted chunk in the buffer it came in.
pub struct Plain {
    buffer: Vec<u8>,
    start: usize,
    end: usize,
    /// It came from the server just now, not from a former attempt's file.
    pub is_new: bool,
    _slot: Option<OwnedSemaphorePermit>,
}

/// The file a download goes into, and which chunks a former attempt has written to it.
pub(super) type Sink<'a> = (&'a Arc<Part>, &'a (dyn Fn(u64) -> bool + Send + Sync));

impl Plain {
    pub fn bytes(&self) -> &[u8] {
        self.buffer.get(self.start..self.end).unwrap_or_default()
    }
}

impl AsRef<[u8]> for Plain {
    fn as_ref(&self) -> &[u8] {
        self.bytes()
    }
}

impl std::fmt::Debug for Content {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Content({})", self.file.id)
    }
}

impl std::fmt::Debug for Plain {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Plain({} bytes)", self.bytes().len())
    }
}

impl Drop for Content {
    fn drop(&mut self) {
        if let Some(chunk) = &mut self.chunk {
            chunk.clear();
        }
    }
}

/// What is asked for: a file, and which manifest of it if not the current one.
#[derive(Clone, Debug)]
pub struct Wanted {
    pub file: Held,
    pub manifest: Option<Digest>,
    /// To keep a copy, for which the projects of its tags may withhold it.
    pub keep: bool,
}

impl Vault {
    /// Asks for contents; one row of the audit log names them all. They come in the order asked.
    pub async fn open(&self, wanted: &[Wanted]) -> Result<Vec<Content>> {
        for one in wanted {
            one.file.tree_key()?;
        }
        let mut contents = Vec::with_capacity(wanted.len());
        while let Some(rest) = wanted.get(contents.len()..).filter(|rest| !rest.is_empty()) {
            let rest = rest.get(..rest.len().min(ticrypt_types::limits::BATCH_MAX_NODES)).unwrap_or(rest);
            let item = |one: &Wanted| OpenItem { file: one.file.id, manifest: one.manifest.map(|hash| Hash(hash.to_bytes())) };
            let keep = rest.iter().any(|one| one.keep);
            let reply = self.server().open(OpenRequest { items: rest.iter().map(item).collect(), keep }).await?;
            if reply.files.is_empty() || reply.files.len() > rest.len() {
                return Err(lie("the server sent other files than were asked for"));
            }
            self.admit_records(&reply.grants, [], reply.files.iter().map(|file| &file.manifest.manifest)).await?;
            for (one, opened) in rest.iter().zip(reply.files) {
                contents.push(self.admit_content(one, opened).await?);
            }
        }
        Ok(contents)
    }

    pub async fn open_one(&self, wanted: Wanted) -> Result<Content> {
        self.open(&[wanted]).await?.pop().ok_or_else(|| lie("the server sent other files than were asked for"))
    }

    async fn admit_content(&self, wanted: &Wanted, opened: OpenedFile) -> Result<Content> {
        let file = wanted.file.clone();
        if opened.file != file.id {
            return Err(lie("the server sent another file than was asked for"));
        }
        let place = |version| VersionPlace { deployment: self.deployment(), file: file.id, epoch: file.epoch, version };
        let current = match wanted.manifest {
            None => self.current(&file, &opened.manifest),
            Some(_) => self.verify_past(&file, &opened.manifest),
        };
        let current = match current {
            Ok(current) => current,
            Err(error) => return Err(self.unless_rolled(&file, error).await),
        };
        if wanted.manifest.is_some_and(|hash| hash != current.manifest.record_hash()) {
            return Err(lie("the server sent another version than was asked for"));
        }
        let hashes: Vec<Digest> = opened.chunk_hashes.iter().map(|hash| Digest::new(hash.0)).collect();
        current
            .manifest
            .verify_chunks(&hashes)
            .map_err(|e| lie("the list of a file's chunks is not the one that was signed").because(e))?;
        let key = match file.tree_key()?.unwrap_content(&place(current.manifest.version), &opened.content_wrap.0) {
            Ok(key) => key,
            Err(error) => return Err(self.unless_rolled(&file, super::tree::sealed("a content key", error)).await),
        };
        let opener = ChunkOpener::new(&key, file.id, current.manifest.version)
            .map_err(|e| ClientError::broken("a content key could not be used").because(e))?;
        if opener.commitment() != current.manifest.key_commitment {
            return Err(lie("the key of a content is not the one its manifest names"));
        }
        let ticket = opened.ticket.map(|ticket| (ticket, Instant::now()));
        if let Some((ticket, _)) = &ticket
            && ticket.version != current.manifest.version
        {
            return Err(lie("the server gave a ticket for another version"));
        }
        let chunk = opened.chunk.map(|blob| blob.0);
        Ok(Content { file, current, opener: Arc::new(opener), hashes, chunk, ticket: tokio::sync::Mutex::new(ticket), keep: wanted.keep })
    }

    /// Something did not open: either a lie, or new keys were made since the directory was listed.
    async fn unless_rolled(&self, file: &Held, error: ClientError) -> ClientError {
        let stat = self.server().stat(StatRequest { nodes: vec![file.id] }).await;
        match stat.ok().and_then(|reply| reply.nodes.into_iter().find(|view| view.node.node == file.id)) {
            Some(view) if view.node.epoch > file.epoch => moved_on(),
            _ => error,
        }
    }

    /// The chunks of a content in order, each verified and decrypted, and written to the file if there is one.
    pub(super) fn chunks<'a>(
        &'a self,
        content: &'a Content,
        into: Option<Sink<'a>>,
    ) -> impl Stream<Item = Result<(u64, Plain)>> + Send + 'a {
        let count = content.current.manifest.chunk_count;
        stream::iter(0..count)
            .map(move |number| async move {
                let plain = match into {
                    Some((part, kept)) if kept(number) => self.kept_chunk(content, part, number).await?,
                    into => self.fetch_chunk(content, number, into.map(|(part, _)| part)).await?,
                };
                Ok((number, plain))
            })
            .buffered(IN_FLIGHT)
    }

    /// A chunk as it is stored, verified and opened once in a copy: what is handed on sealed is known to open.
    pub(super) async fn stored_chunk(&self, content: &Content, number: u64) -> Result<Vec<u8>> {
        let (stored, checks) = self.fetch_stored(content, number).await?;
        let opener = Arc::clone(&content.opener);
        blocking(move || {
            let kept = stored.clone();
            open_chunk(&opener, stored, checks).map(|_| kept)
        })
        .await?
    }

    async fn fetch_chunk(&self, content: &Content, number: u64, into: Option<&Arc<Part>>) -> Result<Plain> {
        let (stored, checks) = self.fetch_stored(content, number).await?;
        let (opener, into) = (Arc::clone(&content.opener), into.map(Arc::clone));
        blocking(move || {
            let plain = open_chunk(&opener, stored, checks)?;
            if let Some(part) = into {
                part.write_at(number.saturating_mul(ticrypt_crypto::chunk::CHUNK_SIZE), plain.bytes())?;
            }
            Ok(plain)
        })
        .await?
    }

    async fn fetch_stored(&self, content: &Content, number: u64) -> Result<(Vec<u8>, Checks)> {
        let size = content.current.manifest.size;
        let len = stored_len(number, size).map_err(|e| lie("a file has an impossible size").because(e))?;
        let hash = usize::try_from(number).ok().and_then(|number| content.hashes.get(number)).copied();
        let hash = hash.ok_or_else(|| lie("the server withholds the hash of a chunk"))?;
        let last = number + 1 == content.current.manifest.chunk_count;
        let (stored, slot) = match &content.chunk {
            Some(chunk) if number == 0 => (chunk.clone(), None),
            _ => {
                let slot = Arc::clone(&self.slots).acquire_owned().await;
                let slot = slot.map_err(|e| ClientError::broken("the download was ended").because(e))?;
                (self.fetch_by_ticket(content, number).await?, Some(slot))
            }
        };
        Ok((stored, Checks { number, last, len, hash, slot }))
    }

    /// A ticket dies with whatever its holder loses, of this file or not; a new one tells which.
    async fn fetch_by_ticket(&self, content: &Content, number: u64) -> Result<Vec<u8>> {
        let mut tries = 0;
        loop {
            let ticket = self.read_ticket(content).await?;
            match self.server().get_chunk(&ticket, number).await {
                Err(error) if error.code() == DEAD_TICKET && tries < TICKET_TRIES => {
                    tries += 1;
                    content.ticket.lock().await.take_if(|(held, _)| *held == ticket);
                }
                other => return other,
            }
        }
    }

    /// What a former attempt wrote. It is believed only as far as the SHA-256 of the whole will confirm it.
    async fn kept_chunk(&self, content: &Content, part: &Arc<Part>, number: u64) -> Result<Plain> {
        let slot = Arc::clone(&self.slots).acquire_owned().await;
        let slot = slot.map_err(|e| ClientError::broken("the download was ended").because(e))?;
        let len = ticrypt_crypto::chunk::plain_len(number, content.current.manifest.size);
        let len = len.map_err(|e| lie("a file has an impossible size").because(e))?;
        let len = usize::try_from(len).map_err(|e| ClientError::broken("a chunk is too large for this machine").because(e))?;
        let part = Arc::clone(part);
        blocking(move || {
            let mut buffer = vec![0; len];
            part.read_at(number.saturating_mul(ticrypt_crypto::chunk::CHUNK_SIZE), &mut buffer)?;
            Ok(Plain { buffer, start: 0, end: len, is_new: false, _slot: Some(slot) })
        })
        .await?
    }

    async fn read_ticket(&self, content: &Content) -> Result<Ticket> {
        let mut held = content.ticket.lock().await;
        if let Some((ticket, at)) = &*held
            && at.elapsed() < TICKET_FRESH
        {
            return Ok(ticket.clone());
        }
        // Asked for anew, and logged anew: the same manifest, whatever is current meanwhile.
        let items = vec![OpenItem { file: content.file.id, manifest: Some(Hash(content.current.manifest.record_hash().to_bytes())) }];
        let reply = self.server().open(OpenRequest { items, keep: content.keep }).await?;
        let ticket = reply.files.into_iter().find(|file| file.file == content.file.id).and_then(|file| file.ticket);
        let ticket = ticket.filter(|ticket| ticket.version == content.current.manifest.version);
        let ticket = ticket.ok_or_else(|| lie("the server gave no ticket for a file it has shown"))?;
        *held = Some((ticket.clone(), Instant::now()));
        Ok(ticket)
    }

    /// A whole content, piece by piece in order. Its SHA-256 is checked last: what came before an error must be thrown away.
    pub fn pieces<'a>(&'a self, content: &'a Content) -> impl Stream<Item = Result<Plain>> + Send + 'a {
        let chunks = self.chunks(content, None).boxed();
        stream::try_unfold((chunks, Hasher::new()), async move |(mut chunks, mut hasher)| match chunks.next().await {
            Some(chunk) => {
                let (_, plain) = chunk?;
                hasher.update(plain.bytes());
                Ok(Some((plain, (chunks, hasher))))
            }
            None => check_whole(content, hasher.finish()).map(|()| None),
        })
    }

    /// Reads a small content, or anything else that fits in memory.
    pub async fn read_whole(&self, content: &Content) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        let mut pieces = std::pin::pin!(self.pieces(content));
        while let Some(piece) = pieces.try_next().await? {
            bytes.extend_from_slice(piece.bytes());
        }
        Ok(bytes)
    }
}

/// Compares the SHA-256 of what was read with the one its writer signed.
pub(super) fn check_whole(content: &Content, found: Digest) -> Result<()> {
    if found == content.current.props.sha256 {
        Ok(())
    } else {
        Err(lie("a file is not what its writer said it is: its sha-256 is another"))
    }
}

/// Opens the one chunk of a small content; keeps a core busy.
pub(super) fn open_small(content: &mut Content) -> Result<Vec<u8>> {
    let chunk = content.chunk.take().ok_or_else(|| lie("the server withholds a small file's content"))?;
    let len = stored_len(0, content.current.manifest.size).map_err(|e| lie("a file has an impossible size").because(e))?;
    let hash = content.hashes.first().copied().ok_or_else(|| lie("the server withholds the hash of a chunk"))?;
    if content.current.manifest.chunk_count != 1 {
        return Err(lie("the server sent a part for the whole of a file"));
    }
    let plain = open_chunk(&content.opener, chunk, Checks { number: 0, last: true, len, hash, slot: None })?;
    check_whole(content, Digest::of(plain.bytes()))?;
    Ok(plain.bytes().to_vec())
}

impl Content {
    /// Hashes of the stored chunks, which the manifest's root covers.
    pub fn hashes(&self) -> &[Digest] {
        &self.hashes
    }

    /// The content came whole with its metadata.
    pub(super) fn is_inline(&self) -> bool {
        self.chunk.is_some()
    }
}

/// What a stored chunk must be.
struct Checks {
    number: u64,
    last: bool,
    len: u64,
    hash: Digest,
    slot: Option<OwnedSemaphorePermit>,
}

fn open_chunk(opener: &ChunkOpener, mut buffer: Vec<u8>, checks: Checks) -> Result<Plain> {
    let Checks { number, last, len, hash, slot } = checks;
    if buffer.len() as u64 != len {
        return Err(lie("a chunk is longer or shorter than it must be"));
    }
    if Digest::of(&buffer) != hash {
        return Err(lie("a chunk is not the one that was signed"));
    }
    opener.open_in_place(number, last, &mut buffer).map_err(|e| lie("a chunk does not open").because(e))?;
    let end = buffer.len().saturating_sub(TAG_LEN);
    Ok(Plain { buffer, start: HEADROOM, end, is_new: true, _slot: slot })
}
