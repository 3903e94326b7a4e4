//! The log: entries go in durable, checkpoints and tiles come out.
//!
//! Work must not start before its opening row is on disk (security C17), and thousands of rows a
//! second must share few syncs. So callers put entries into one bounded queue; one thread takes
//! all that wait, writes them as one group, syncs once, and answers them together. While it syncs,
//! the next group gathers. See [`crate::state`] for the picture.

use std::path::Path;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Condvar, Mutex, OnceLock, PoisonError, RwLock};

use tokio::sync::{mpsc, oneshot, watch};

use crate::checkpoint::{SignedCheckpoint, valid_origin};
use crate::error::LogError;
use crate::fs::{LogFs, RealFs, create_directories};
use crate::journal::{Entry, Journal, Replay};
use crate::key::NoteSigner;
use crate::merkle::{self, Hash, leaf_hash};
use crate::options::Options;
use crate::publisher::{CHECKPOINT_FILE, Publisher, WITNESSED_FILE};
use crate::receipt::{RECEIPT_NAMESPACE, Receipt};
use crate::state::{Counters, Edges, Group, Heads, Shared, Tail};
use crate::tile::{MAX_ENTRY_BYTES, TILE_WIDTH, TileError, TileLevel, TilePath, decode_entries, decode_hashes};

/// Most entries in one call of [`Log::append_many`].
pub const MAX_CALL_ENTRIES: usize = 4096;

/// Most calls answered after one sync.
const MAX_GROUP_CALLS: usize = 16_384;

pub(crate) const JOURNAL_DIRECTORY: &str = "journal";
const LOCK_FILE: &str = "lock";

/// A log that this process writes. Clones share it.
#[derive(Clone)]
pub struct Log {
    pub(crate) shared: Arc<Shared>,
    queue: mpsc::Sender<Request>,
    done: watch::Receiver<bool>,
}

/// Where an entry ended up. Returned only when it is durable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Appended {
    /// Its index in the log.
    pub index: u64,
    /// Its leaf hash.
    pub leaf_hash: Hash,
}

/// What opening a log found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Recovery {
    /// Entries in the log.
    pub size: u64,
    /// Entries the stored checkpoint covered; the rest came from the journal.
    pub signed_size: u64,
    /// Bytes of an unacknowledged group that were cut from the journal.
    pub cut_bytes: u64,
    /// Whether the log was made just now.
    pub created: bool,
}

/// Counts since the log was opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogCounters {
    /// Entries made durable.
    pub events: u64,
    /// Journal syncs; `events / syncs` is the benefit of group commit.
    pub syncs: u64,
    /// Checkpoints published.
    pub checkpoints: u64,
}

enum Request {
    Append { entries: Vec<Entry>, reply: oneshot::Sender<Result<u64, LogError>> },
    Close,
}

impl Log {
    /// Opens or makes the log in `directory`. Blocks while it reads the journal; in async code call
    /// it from a blocking task.
    ///
    /// # Errors
    /// [`LogError`]; among them damage ([`LogError::Journal`], [`LogError::Changed`],
    /// [`LogError::Lost`]), which is never repaired silently.
    pub fn open(directory: &Path, origin: &str, signer: NoteSigner, options: Options) -> Result<(Self, Recovery), LogError> {
        Self::open_on(Arc::new(RealFs), directory, origin, signer, options)
    }

    /// As [`Log::open`], on another file system.
    ///
    /// # Errors
    /// As [`Log::open`].
    pub fn open_on(
        fs: Arc<dyn LogFs>,
        directory: &Path,
        origin: &str,
        signer: NoteSigner,
        options: Options,
    ) -> Result<(Self, Recovery), LogError> {
        if !valid_origin(origin) || signer.verifier().name() != origin || origin == RECEIPT_NAMESPACE {
            return Err(LogError::Origin);
        }
        let io = |step| move |source| LogError::Io { step, source };
        create_directories(fs.as_ref(), directory).map_err(io("make the log directory"))?;
        let lock = fs.lock(&directory.join(LOCK_FILE)).map_err(|source| match source.kind() {
            std::io::ErrorKind::WouldBlock => LogError::InUse,
            _ => LogError::Io { step: "lock the log directory", source },
        })?;
        let (journal, replay) = Journal::open(Arc::clone(&fs), directory.join(JOURNAL_DIRECTORY), options.segment_bytes)?;
        let stored = read_checkpoint(fs.as_ref(), directory, &signer)?;
        if stored.is_none() && journal.next() > 0 {
            return Err(LogError::CheckpointMissing);
        }
        let signed_size = stored.as_ref().map_or(0, |signed| signed.checkpoint().size);
        let found = journal.next();
        if signed_size > found {
            return Err(LogError::Lost { signed: signed_size, found });
        }
        let recovery = Recovery { size: found, signed_size, cut_bytes: replay.cut_bytes, created: replay.fresh && stored.is_none() };
        let (queue, requests) = mpsc::channel(options.queue_calls.max(1));
        let shared = Arc::new(Shared {
            fs,
            directory: directory.to_path_buf(),
            origin: origin.to_owned(),
            signer,
            options,
            tail: Mutex::default(),
            wake: Condvar::new(),
            heads: Mutex::new(Heads::default()),
            view: RwLock::new(Arc::new(Edges::default())),
            progress: watch::Sender::new(0),
            failed: OnceLock::new(),
            counters: Counters::default(),
            tiled: 0.into(),
        });
        let publisher = recover(&shared, replay, stored)?;
        let (done_sender, done) = watch::channel(false);
        let background = std::thread::Builder::new().name("log-publisher".into()).spawn({
            let shared = Arc::clone(&shared);
            move || {
                publisher.run();
                shared.tail().closing = true;
                drop(lock);
                done_sender.send_replace(true);
            }
        });
        background.map_err(io("start the publisher thread"))?;
        let writer = Writer { shared: Arc::clone(&shared), journal, requests };
        let thread = std::thread::Builder::new().name("log-writer".into()).spawn(move || writer.run());
        thread.map_err(io("start the writer thread"))?;
        Ok((Self { shared, queue, done }, recovery))
    }

    /// Adds one entry and returns once it is durable.
    ///
    /// # Errors
    /// [`LogError::Failed`] when it is not known to be durable: the work it announces must not start.
    pub async fn append(&self, entry: Vec<u8>) -> Result<Appended, LogError> {
        let leaf_hash = leaf_hash(&entry);
        let entries = vec![Entry { leaf: leaf_hash, bytes: checked(entry)? }];
        Ok(Appended { index: self.enqueue(entries).await?, leaf_hash })
    }

    /// Adds entries that stand next to each other in the log; returns once all are durable.
    ///
    /// # Errors
    /// As [`Log::append`]; [`LogError::TooManyEntries`] above [`MAX_CALL_ENTRIES`].
    pub async fn append_many(&self, entries: Vec<Vec<u8>>) -> Result<Vec<Appended>, LogError> {
        if entries.len() > MAX_CALL_ENTRIES {
            return Err(LogError::TooManyEntries(entries.len()));
        }
        if entries.is_empty() {
            return self.shared.check_failed().map(|()| Vec::new());
        }
        let entry = |bytes: Vec<u8>| Ok(Entry { leaf: leaf_hash(&bytes), bytes: checked(bytes)? });
        let entries = entries.into_iter().map(entry).collect::<Result<Vec<_>, LogError>>()?;
        let leaves: Vec<Hash> = entries.iter().map(|entry| entry.leaf).collect();
        let first = self.enqueue(entries).await?;
        Ok((first..).zip(leaves).map(|(index, leaf_hash)| Appended { index, leaf_hash }).collect())
    }

    async fn enqueue(&self, entries: Vec<Entry>) -> Result<u64, LogError> {
        self.shared.check_failed()?;
        let (reply, answer) = oneshot::channel();
        let sent = self.queue.send(Request::Append { entries, reply }).await;
        sent.map_err(|_| LogError::Closed)?;
        match answer.await {
            Ok(result) => result,
            Err(_) => self.shared.check_failed().and(Err(LogError::Closed)),
        }
    }

    /// Publishes a checkpoint over everything durable now and returns once it is stored.
    ///
    /// # Errors
    /// [`LogError::Failed`].
    pub async fn flush(&self) -> Result<(), LogError> {
        let mut progress = self.shared.progress.subscribe();
        let target = {
            let mut tail = self.shared.tail();
            tail.flush = true;
            tail.durable
        };
        self.shared.wake.notify_all();
        loop {
            let size = *progress.borrow_and_update();
            if size >= target {
                return Ok(());
            }
            self.shared.check_failed()?;
            progress.changed().await.map_err(|_| LogError::Closed)?;
        }
    }

    /// Takes what is queued, publishes a last checkpoint and ends the threads. Entries can be read
    /// afterwards, not added.
    ///
    /// # Errors
    /// [`LogError::Failed`] when the last entries or the last checkpoint could not be written.
    pub async fn shutdown(&self) -> Result<(), LogError> {
        // A closed queue means that somebody else is shutting down already.
        let _ = self.queue.send(Request::Close).await;
        let mut done = self.done.clone();
        done.wait_for(|done| *done).await.map_err(|_| LogError::Closed)?;
        self.shared.check_failed()
    }

    /// A signed statement that the log holds this entry, for the person whose work it records.
    ///
    /// # Errors
    /// [`LogError::NoSuchEntry`] when the durable log holds nothing or something else there.
    pub fn receipt(&self, index: u64, leaf: Hash) -> Result<Receipt, LogError> {
        if self.leaf(index)? != leaf {
            return Err(LogError::NoSuchEntry { index });
        }
        Ok(Receipt::sign(&self.shared.origin, index, leaf, &self.shared.signer)?)
    }

    /// Leaf hash of a durable entry.
    ///
    /// # Errors
    /// [`LogError::NoSuchEntry`].
    pub fn leaf(&self, index: u64) -> Result<Hash, LogError> {
        if let Some(leaf) = self.shared.tail().entry(index, |entry| entry.leaf) {
            return Ok(leaf);
        }
        let missing = || LogError::NoSuchEntry { index };
        if index >= self.durable_size() {
            return Err(missing());
        }
        // What left the tail is durable in full tiles, published or not.
        let width = u64::from(TILE_WIDTH);
        let path = TilePath::new(TileLevel::Hashes(0), index / width, TILE_WIDTH).ok_or_else(missing)?;
        let bytes = self.shared.fs.read(&self.shared.tile_file(path));
        let bytes = bytes.map_err(|source| LogError::Io { step: "read a tile", source })?;
        let place = usize::try_from(index % width).unwrap_or(usize::MAX);
        decode_hashes(path, &bytes)?.get(place).copied().ok_or_else(missing)
    }

    /// Counts for metrics.
    #[must_use]
    pub fn counters(&self) -> LogCounters {
        let counters = &self.shared.counters;
        LogCounters {
            events: counters.events.load(Ordering::Relaxed),
            syncs: counters.syncs.load(Ordering::Relaxed),
            checkpoints: counters.checkpoints.load(Ordering::Relaxed),
        }
    }

    /// Why the log takes no more entries, if so.
    #[must_use]
    pub fn failure(&self) -> Option<Arc<str>> {
        self.shared.failed.get().cloned()
    }
}

struct Writer {
    shared: Arc<Shared>,
    journal: Journal,
    requests: mpsc::Receiver<Request>,
}

type Waiter = (oneshot::Sender<Result<u64, LogError>>, u64);

impl Writer {
    fn run(mut self) {
        while let Some(first) = self.requests.blocking_recv() {
            let mut group = Vec::new();
            let mut waiters: Vec<Waiter> = Vec::new();
            let mut bytes = 0;
            let mut next = Some(first);
            while let Some(request) = next.take() {
                match request {
                    // Later sends fail from here on; what is queued before is still taken.
                    Request::Close => self.requests.close(),
                    Request::Append { entries, reply } => {
                        waiters.push((reply, self.journal.next() + group.len() as u64));
                        bytes += entries.iter().map(|entry| entry.bytes.len()).sum::<usize>();
                        group.extend(entries);
                    }
                }
                if bytes < self.shared.options.group_bytes && waiters.len() < MAX_GROUP_CALLS {
                    next = self.requests.try_recv().ok();
                }
            }
            if !group.is_empty() {
                self.commit(group, waiters);
            }
        }
        self.shared.tail().closing = true;
        self.shared.wake.notify_all();
    }

    fn commit(&mut self, entries: Vec<Entry>, waiters: Vec<Waiter>) {
        let first = self.journal.next();
        let count = entries.len() as u64;
        let durable = self.wait_for_room().and_then(|()| {
            self.journal.append(&entries)?;
            Ok(self.journal.drop_before(self.shared.tiled.load(Ordering::Acquire))?)
        });
        if let Err(error) = durable {
            self.shared.fail(&error);
            for (reply, _) in waiters {
                // A caller that went away needs no answer.
                let _ = reply.send(self.shared.check_failed().map(|()| first));
            }
            return;
        }
        Shared::add(&self.shared.counters.events, count);
        Shared::add(&self.shared.counters.syncs, 1);
        let mut tail = self.shared.tail();
        tail.push(Group { first, entries });
        drop(tail);
        self.shared.wake.notify_all();
        for (reply, index) in waiters {
            let _ = reply.send(Ok(index));
        }
    }

    /// Waits while too much stands between journal and tiles.
    fn wait_for_room(&self) -> Result<(), LogError> {
        let mut tail = self.shared.tail();
        while tail.bytes > self.shared.options.tail_bytes && self.shared.failed.get().is_none() {
            tail.flush = true;
            self.shared.wake.notify_all();
            tail = self.shared.wake.wait(tail).unwrap_or_else(PoisonError::into_inner);
        }
        drop(tail);
        self.shared.check_failed()
    }
}

fn checked(entry: Vec<u8>) -> Result<Vec<u8>, LogError> {
    if entry.len() > MAX_ENTRY_BYTES {
        return Err(TileError::EntryTooLong(entry.len()).into());
    }
    Ok(entry)
}

fn read_checkpoint(fs: &dyn LogFs, directory: &Path, signer: &NoteSigner) -> Result<Option<SignedCheckpoint>, LogError> {
    match fs.read(&directory.join(CHECKPOINT_FILE)) {
        Ok(bytes) => {
            let key = signer.verifier();
            Ok(Some(SignedCheckpoint::open(&bytes, key.name(), key, &[], 0)?.0))
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(LogError::Io { step: "read the checkpoint", source }),
    }
}

/// Brings tiles and checkpoint up to the journal, and checks that the log still is what it signed.
fn recover(shared: &Arc<Shared>, replay: Replay, stored: Option<SignedCheckpoint>) -> Result<Publisher, LogError> {
    let width = u64::from(TILE_WIDTH);
    let base = replay.first - replay.first % width;
    let mut entries = read_bundle_start(shared, base, replay.first)?;
    entries.extend(replay.entries);
    let size = base + entries.len() as u64;
    let signed_size = stored.as_ref().map_or(0, |signed| signed.checkpoint().size);
    let mut publisher = Publisher::open(Arc::clone(shared), base, signed_size)?;
    let mut tail = Tail::default();
    tail.push(Group { first: base, entries });
    let groups: Vec<Arc<Group>> = tail.groups.iter().cloned().collect();
    *shared.tail() = tail;
    publisher.advance(&groups, true)?;

    let matches = |signed: &SignedCheckpoint| {
        let head = signed.checkpoint();
        if head.size > size {
            return Err(LogError::Lost { signed: head.size, found: size });
        }
        let root = merkle::root(head.size, &shared.reader(publisher.edges()))?;
        if root == head.root { Ok(()) } else { Err(LogError::Changed { size: head.size }) }
    };
    if let Some(signed) = &stored {
        matches(signed)?;
    }
    let witnessed = shared.fs.read(&shared.directory.join(WITNESSED_FILE)).ok().and_then(|bytes| {
        let key = shared.signer.verifier();
        let (keys, quorum) = (&shared.options.witnesses, shared.options.quorum.max(1));
        SignedCheckpoint::open(&bytes, &shared.origin, key, keys, quorum).ok()
    });
    if let Some((signed, _)) = witnessed {
        matches(&signed)?;
        shared.heads().witnessed = Some(signed);
    }
    publisher.publish(stored.filter(|signed| signed.checkpoint().size == size))?;
    Ok(publisher)
}

/// Entries `base..first` from their bundle, when the journal begins inside one.
fn read_bundle_start(shared: &Shared, base: u64, first: u64) -> Result<Vec<Entry>, LogError> {
    if first == base {
        return Ok(Vec::new());
    }
    let missing = LogError::NoSuchEntry { index: base };
    let path = TilePath::new(TileLevel::Entries, base / u64::from(TILE_WIDTH), TILE_WIDTH).ok_or(missing)?;
    let bytes = shared.fs.read(&shared.tile_file(path));
    let bytes = bytes.map_err(|source| LogError::Io { step: "read an entry bundle", source })?;
    let count = usize::try_from(first - base).unwrap_or(usize::MAX);
    let entries = decode_entries(path, &bytes)?.into_iter().take(count);
    Ok(entries.map(|bytes| Entry { leaf: leaf_hash(bytes), bytes: bytes.to_vec() }).collect())
}
