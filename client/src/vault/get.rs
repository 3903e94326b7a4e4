//! Trees from the vault onto a disk: beneath one directory, over nothing by accident, every byte verified before it has a name.
//!
//! ```text
//!   directories ─ loaded many at once ─▶ names made harmless ─▶ made beneath the target
//!   small files ─ opened many at once ─▶ verified, decrypted ─▶ temporary names ─ one sync ─▶ renamed
//!   large files ─ chunks four at once ─▶ verified, decrypted ─▶ .ticrypt-<version>.part (+ list) ─ SHA-256, sync ─▶ renamed
//! ```

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use futures::future::BoxFuture;
use futures::stream::{FuturesUnordered, StreamExt};
use ticrypt_crypto::digest::Hasher;
use ticrypt_keyring::props::ContentKind;
use ticrypt_types::{NodeName, Timestamp, Verbs};

use super::Vault;
use super::boundary::left_locked;
use super::load::blocking;
use super::naming::{beside, on_disk};
use super::open::{Content, Plain, Wanted, check_whole, open_small};
use super::path::VaultPath;
use super::plan::{self, IfExists, Kind, Step, There};
use super::progress::{Cancel, Note, Outcome, Progress, Report};
use super::put::{cancelled, failed, is_fatal};
use super::source::shown;
use super::target::{Existing, Target};
use super::tree::{Current, Directory, Held, Parts};
use crate::error::{ClientError, Result};

/// Directories loaded in one request.
const DIRECTORIES: usize = 64;
/// Bytes of small contents in one request.
const BATCH_BYTES: u64 = 2 * 1024 * 1024;
/// Requests for contents on their way at once.
const IN_FLIGHT: usize = 3;
/// Chunks that may wait to be hashed.
const HASH_QUEUE: usize = 2;

/// What to do with links that were recorded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum GetLinks {
    /// Say that they are there; never make one.
    #[default]
    Report,
    /// Write a small file with the target as text.
    Text,
}

/// How to get.
#[derive(Clone, Debug, Default)]
pub struct GetOptions {
    pub if_exists: IfExists,
    pub links: GetLinks,
    pub dry_run: bool,
}

/// A directory to be written.
struct Job {
    held: Held,
    path: VaultPath,
    into: Into,
    modified: Timestamp,
}

/// Where something is written.
#[derive(Clone)]
enum Into {
    Disk(Target),
    /// Of a dry run.
    Imagined,
}

/// A file to be written.
struct Item {
    held: Held,
    current: Current,
    path: VaultPath,
    target: Target,
    name: String,
    replace: bool,
}

struct Run<'a> {
    vault: &'a Vault,
    options: &'a GetOptions,
    progress: &'a dyn Progress,
}

#[derive(Default)]
struct State {
    report: Report,
    jobs: Vec<Job>,
    small: Vec<Item>,
    small_bytes: u64,
    large: Vec<Item>,
    /// Times of directories are set last, from the bottom up.
    times: Vec<(Target, Timestamp)>,
}

impl Vault {
    /// Gets files and trees into a directory, or one of them under a new name.
    pub async fn get(
        &self,
        sources: &[VaultPath],
        destination: &Path,
        options: &GetOptions,
        progress: &dyn Progress,
        cancel: &Cancel,
    ) -> Result<Report> {
        let run = Run { vault: self, options, progress };
        cancel.run_until_cancelled(run.get(sources, destination)).await.unwrap_or_else(|| Err(cancelled()))
    }
}

impl Vault {
    /// Gets one version of a file, by its number or the first digits of its manifest.
    pub async fn get_version(
        &self,
        path: &VaultPath,
        which: &str,
        destination: &Path,
        if_exists: IfExists,
        progress: &dyn Progress,
        cancel: &Cancel,
    ) -> Result<Report> {
        let options = GetOptions { if_exists, links: GetLinks::Text, dry_run: false };
        let run = Run { vault: self, options: &options, progress };
        cancel.run_until_cancelled(run.version(path, which, destination)).await.unwrap_or_else(|| Err(cancelled()))
    }
}

/// An honest client keeps *cannot download*; the key alone would not.
pub(super) fn check_download(held: &Held, path: &VaultPath) -> Result<()> {
    held.tree_key()?;
    if held.root.verbs().contains(Verbs::DOWNLOAD) {
        return Ok(());
    }
    Err(ClientError::refused("no_download", format!("the share of `{path}` does not let you download; ask for download")))
}

impl Run<'_> {
    async fn get(&self, sources: &[VaultPath], destination: &Path) -> Result<Report> {
        let (folder, rename) = place(destination, sources.len())?;
        let target = self.open_target(folder).await?;
        let mut state = State::default();
        let mut used = HashSet::new();
        for path in sources {
            let found = self.vault.resolve(path).await?;
            check_download(&found.held, path)?;
            let own = found.name(self.vault)?;
            let name = match (&rename, &own) {
                (Some(name), _) => name.clone(),
                (None, Some(name)) => self.disk_name(&mut state.report, path, name),
                // The top of one's own tree: its contents go where its name would.
                (None, None) => {
                    let modified = Timestamp::ABSENT;
                    state.jobs.push(Job { held: found.held, path: path.clone(), into: Into::Disk(target.clone()), modified });
                    continue;
                }
            };
            if !used.insert(name.clone()) {
                let reason = "two of the things to be got have this name on this disk".to_owned();
                self.tell(&mut state.report, Note { path: path.to_string(), outcome: Outcome::Failed, reason });
                continue;
            }
            if found.is_directory() {
                let modified = match (found.parent(), &found.share) {
                    (Some((directory, member)), _) => directory.props(self.vault.deployment(), member, &found.held)?.modified,
                    (None, Some(share)) => self.vault.share_props(share, &found.held)?.modified,
                    _ => Timestamp::ABSENT,
                };
                self.enter(&mut state, found.held, path.clone(), &Into::Disk(target.clone()), &name, modified).await?;
            } else {
                let current = self.vault.current_of(&found)?;
                self.file(&mut state, found.held, current, path.clone(), &Into::Disk(target.clone()), name, &mut used).await?;
            }
        }
        self.work(&mut state).await?;
        if !self.options.dry_run {
            let times = std::mem::take(&mut state.times);
            blocking(move || {
                for (target, modified) in times.iter().rev() {
                    target.set_modified(*modified)?;
                }
                target.sync()
            })
            .await??;
        }
        Ok(state.report)
    }

    async fn version(&self, path: &VaultPath, which: &str, destination: &Path) -> Result<Report> {
        let found = self.vault.resolve(path).await?;
        check_download(&found.held, path)?;
        let (folder, rename) = place(destination, 1)?;
        let target = self.open_target(folder).await?;
        let mut report = Report::default();
        let mut name = match (rename, found.name(self.vault)?) {
            (Some(name), _) => name,
            (None, Some(name)) => self.disk_name(&mut report, path, &name),
            (None, None) => return Err(ClientError::invalid(format!("`{path}` is a directory"))),
        };
        let (held, versions) = self.vault.versions(path).await?;
        let chosen = self.vault.pick(&versions, which)?;
        let content = self.vault.open_version(&held, chosen).await?;
        let mut replace = false;
        match self.decide(&target, &name, &content.current).await? {
            Step::Create | Step::Enter => {}
            Step::Replace => replace = true,
            Step::Beside => {
                name = beside(&name, |candidate| !matches!(target.look(candidate), Ok(None)));
                let reason = format!("written as `{}`", target.path_of(&name));
                self.tell(&mut report, Note { path: path.to_string(), outcome: Outcome::Renamed, reason });
            }
            Step::Unchanged | Step::Compare => {
                report.unchanged += 1;
                return Ok(report);
            }
            Step::Skip => return Ok(report),
            Step::Fail(reason) => {
                self.tell(&mut report, Note { path: path.to_string(), outcome: Outcome::Failed, reason: reason.into() });
                return Ok(report);
            }
        }
        self.progress.expect(1, content.current.manifest.size);
        let item = Item { held, current: content.current.clone(), path: path.clone(), target, name, replace };
        report.merge(self.large_opened(item, content).await?);
        Ok(report)
    }

    async fn open_target(&self, folder: PathBuf) -> Result<Target> {
        blocking(move || Target::open(&folder)).await?
    }

    /// Lists while contents are on their way.
    async fn work(&self, state: &mut State) -> Result<()> {
        let mut running: FuturesUnordered<BoxFuture<'_, Result<Report>>> = FuturesUnordered::new();
        loop {
            let full = state.small.len() >= ticrypt_types::limits::BATCH_MAX_NODES || state.small_bytes >= BATCH_BYTES;
            if running.len() < IN_FLIGHT && (full || state.jobs.is_empty() && !state.small.is_empty()) {
                let batch = self.take_batch(state);
                running.push(Box::pin(self.small(batch)));
                continue;
            }
            if running.len() < IN_FLIGHT
                && let Some(item) = state.large.pop()
            {
                running.push(Box::pin(self.large(item)));
                continue;
            }
            if !full && state.large.len() < IN_FLIGHT && !state.jobs.is_empty() {
                let from = state.jobs.len().saturating_sub(DIRECTORIES);
                let jobs = state.jobs.split_off(from);
                self.directories(state, jobs).await?;
                continue;
            }
            let Some(done) = running.next().await else { return Ok(()) };
            state.report.merge(done?);
        }
    }

    fn take_batch(&self, state: &mut State) -> Vec<Item> {
        let sizes = state.small.iter().map(|item| item.current.manifest.size);
        let end = plan::batches(sizes, BATCH_BYTES.saturating_mul(2)).first().map_or(0, |run| run.end);
        let batch: Vec<Item> = state.small.drain(..end).collect();
        state.small_bytes = state.small.iter().map(|item| item.current.manifest.size + plan::NODE_BYTES).sum();
        batch
    }

    async fn directories(&self, state: &mut State, jobs: Vec<Job>) -> Result<()> {
        let held = jobs.iter().map(|job| job.held.clone()).collect();
        for (directory, job) in self.vault.load_all(held, true).await?.into_iter().zip(jobs) {
            self.directory(state, &directory, job).await?;
        }
        Ok(())
    }

    async fn directory(&self, state: &mut State, directory: &Arc<Directory>, job: Job) -> Result<()> {
        if let Into::Disk(target) = &job.into {
            state.times.push((target.clone(), job.modified));
        }
        let Parts { directories, files, locked } = directory.parts();
        for member in locked {
            self.tell(&mut state.report, left_locked(&job.path.child(&member.name)));
        }
        let mut used = HashSet::new();
        for member in directories {
            let path = job.path.child(&member.name);
            let held = self.vault.descend(directory, &member).await?;
            let modified = directory.props(self.vault.deployment(), &member, &held)?.modified;
            let name = self.disk_name(&mut state.report, &path, &member.name);
            if !used.insert(name.clone()) {
                self.tell(&mut state.report, same_name(&path));
                continue;
            }
            self.enter(state, held, path, &job.into, &name, modified).await?;
        }
        let currents = self.vault.currents(directory, &files).await?;
        self.progress.expect(files.len() as u64, currents.iter().map(|(_, current)| current.manifest.size).sum());
        for (member, (held, current)) in files.iter().zip(currents) {
            let path = job.path.child(&member.name);
            let name = self.disk_name(&mut state.report, &path, &member.name);
            if !used.insert(name.clone()) {
                self.tell(&mut state.report, same_name(&path));
                continue;
            }
            self.file(state, held, current, path, &job.into, name, &mut used).await?;
        }
        Ok(())
    }

    /// Makes a directory and queues what is in it.
    async fn enter(&self, state: &mut State, held: Held, path: VaultPath, into: &Into, name: &str, modified: Timestamp) -> Result<()> {
        let below = match into {
            Into::Disk(target) if !self.options.dry_run => {
                let (target, name) = (target.clone(), name.to_owned());
                match blocking(move || target.directory(&name)).await? {
                    Ok((below, made)) => {
                        // A directory that was there keeps its time.
                        state.jobs.push(Job {
                            held,
                            path,
                            into: Into::Disk(below),
                            modified: if made { modified } else { Timestamp::ABSENT },
                        });
                        state.report.directories += 1;
                        return Ok(());
                    }
                    Err(error) => {
                        self.tell(&mut state.report, failed(&path.to_string(), &error));
                        return Ok(());
                    }
                }
            }
            Into::Disk(target) if target.look(name)? == Some(Existing::Directory) => Into::Disk(target.directory(name)?.0),
            _ => Into::Imagined,
        };
        state.report.directories += 1;
        state.jobs.push(Job { held, path, into: below, modified: Timestamp::ABSENT });
        Ok(())
    }

    /// Decides about a file and queues it.
    #[allow(clippy::too_many_arguments)] // Each is a different thing, and this is the one place where they meet.
    async fn file(
        &self,
        state: &mut State,
        held: Held,
        current: Current,
        path: VaultPath,
        into: &Into,
        mut name: String,
        used: &mut HashSet<String>,
    ) -> Result<()> {
        if current.props.kind == ContentKind::SymbolicLink && self.options.links == GetLinks::Report {
            let reason = "a recorded symbolic link, and none is ever made; `--links text` writes its target as a file".to_owned();
            self.tell(&mut state.report, Note { path: path.to_string(), outcome: Outcome::Skipped, reason });
            return Ok(());
        }
        let step = match into {
            Into::Disk(target) => self.decide(target, &name, &current).await?,
            Into::Imagined => Step::Create,
        };
        let size = current.manifest.size;
        match step {
            Step::Create | Step::Replace | Step::Enter => {}
            Step::Beside => {
                if let Into::Disk(target) = into {
                    let taken = |candidate: &str| used.contains(candidate) || !matches!(target.look(candidate), Ok(None));
                    name = beside(&name, taken);
                    used.insert(name.clone());
                    let reason = format!("written as `{}`", target.path_of(&name));
                    self.tell(&mut state.report, Note { path: path.to_string(), outcome: Outcome::Renamed, reason });
                }
            }
            Step::Unchanged | Step::Compare => {
                state.report.unchanged += 1;
                self.progress.advance(size);
                self.progress.finish(1);
                return Ok(());
            }
            Step::Skip => {
                let reason = "something else has that name".to_owned();
                self.tell(&mut state.report, Note { path: path.to_string(), outcome: Outcome::Skipped, reason });
                return Ok(());
            }
            Step::Fail(reason) => {
                self.tell(&mut state.report, Note { path: path.to_string(), outcome: Outcome::Failed, reason: reason.into() });
                return Ok(());
            }
        }
        let Into::Disk(target) = into else {
            state.report.files += 1;
            state.report.bytes += size;
            return Ok(());
        };
        if self.options.dry_run {
            self.progress.begin(&path.to_string());
            state.report.files += 1;
            state.report.bytes += size;
            return Ok(());
        }
        let item = Item { held, current, path, target: target.clone(), name, replace: step == Step::Replace };
        if plan::is_small(size) {
            state.small_bytes += size + plan::NODE_BYTES;
            state.small.push(item);
        } else {
            state.large.push(item);
        }
        Ok(())
    }

    async fn decide(&self, target: &Target, name: &str, current: &Current) -> Result<Step> {
        let what = There { kind: Kind::File, size_bytes: current.manifest.size, modified: current.props.modified };
        let there = target.look(name)?.map(|existing| match existing {
            Existing::Directory => There { kind: Kind::Directory, size_bytes: 0, modified: Timestamp::ABSENT },
            Existing::File { size_bytes, modified } => There { kind: Kind::File, size_bytes, modified },
            Existing::Other => There { kind: Kind::Link, size_bytes: 0, modified: Timestamp::ABSENT },
        });
        let step = plan::decide(what, there, self.options.if_exists);
        if step != Step::Compare {
            return Ok(step);
        }
        let (target, name) = (target.clone(), name.to_owned());
        let found = blocking(move || target.hash(&name)).await??;
        Ok(plan::compared(&current.props.sha256, &found, self.options.if_exists))
    }

    /// Writes small files: all under temporary names, one sync, then all renamed.
    async fn small(&self, items: Vec<Item>) -> Result<Report> {
        let bytes = items.iter().map(|item| item.current.manifest.size + plan::NODE_BYTES).sum();
        let _room = self.vault.room_for(bytes).await?;
        let wanted: Vec<Wanted> = items.iter().map(|item| Wanted { file: item.held.clone(), manifest: None, keep: true }).collect();
        let contents = self.vault.open(&wanted).await?;
        let mut inline = Vec::new();
        let mut report = Report::default();
        for (item, content) in items.into_iter().zip(contents) {
            if content.is_inline() {
                inline.push((item, content));
            } else {
                // It grew since it was listed.
                report.merge(self.large_opened(item, content).await?);
            }
        }
        let (files, notes) = blocking(move || write_small(inline)).await??;
        for (bytes, count) in &files {
            report.files += count;
            report.bytes += bytes;
            self.progress.advance(*bytes);
            self.progress.finish(*count);
        }
        for note in notes {
            self.tell(&mut report, note);
        }
        Ok(report)
    }

    async fn large(&self, item: Item) -> Result<Report> {
        self.progress.begin(&item.path.to_string());
        let content = self.vault.open_one(Wanted { file: item.held.clone(), manifest: None, keep: true }).await?;
        self.large_opened(item, content).await
    }

    async fn large_opened(&self, item: Item, content: Content) -> Result<Report> {
        let mut report = Report::default();
        let path = item.path.to_string();
        match self.download(&item, &content).await {
            Ok(()) => {
                report.files += 1;
                report.bytes += content.current.manifest.size;
                self.progress.finish(1);
            }
            Err(error) if is_fatal(&error) => return Err(error),
            Err(error) => self.tell(&mut report, failed(&path, &error)),
        }
        Ok(report)
    }

    async fn download(&self, item: &Item, content: &Content) -> Result<()> {
        match self.download_once(item, content, true).await {
            // What a former attempt left may be damaged; what comes fresh from the server is verified chunk by chunk.
            Err(Tried { error, resumed: true }) if error.kind() == crate::Kind::Untrusted => {
                self.download_once(item, content, false).await.map_err(|tried| tried.error)
            }
            other => other.map_err(|tried| tried.error),
        }
    }

    async fn download_once(&self, item: &Item, content: &Content, keep: bool) -> Result<(), Tried> {
        let version = content.current.manifest.version;
        let (target, file) = (item.target.clone(), item.held.id);
        let opened = blocking(move || {
            let part = target.part(version, keep)?;
            let mut sidecar = part.sidecar(file)?;
            if !keep {
                sidecar.forget()?;
            }
            Ok::<_, ClientError>((part, sidecar))
        });
        let (part, mut sidecar) = opened.await??;
        let resumed = !sidecar.is_empty();
        let kept: HashSet<u64> = sidecar.numbers().collect();
        let part = Arc::new(part);
        let tried = |error| Tried { error, resumed };
        {
            let is_kept = |number: u64| kept.contains(&number);
            let mut chunks = std::pin::pin!(self.vault.chunks(content, Some((&part, &is_kept))));
            // The whole is hashed beside the transfer: waiting here for each chunk would let the connections rest.
            let (to_hash, mut arrived) = tokio::sync::mpsc::channel::<Plain>(HASH_QUEUE);
            let whole = tokio::task::spawn_blocking(move || {
                let mut hasher = Hasher::new();
                while let Some(plain) = arrived.blocking_recv() {
                    hasher.update(plain.bytes());
                }
                hasher.finish()
            });
            while let Some(chunk) = chunks.next().await {
                let (number, plain) = chunk.map_err(tried)?;
                let (len, is_new) = (plain.bytes().len() as u64, plain.is_new);
                to_hash.send(plain).await.map_err(|e| tried(ClientError::broken("hashing ended early; try again").because(e)))?;
                if is_new {
                    sidecar.record(number).map_err(tried)?;
                }
                self.progress.advance(len);
            }
            drop(to_hash);
            let whole = whole.await.map_err(|e| tried(ClientError::broken("hashing ended early; try again").because(e)))?;
            check_whole(content, whole).map_err(tried)?;
        }
        let part = Arc::into_inner(part).ok_or_else(|| tried(ClientError::broken("a file is still being written; try again")))?;
        let (name, replace) = (item.name.clone(), item.replace);
        let (size, props) = (content.current.manifest.size, content.current.props.clone());
        let finished = blocking(move || {
            part.finish(size, props.modified, props.mode & 0o111 != 0)?;
            part.sync()?;
            part.publish(&name, replace)
        });
        finished.await.map_err(tried)?.map_err(tried)
    }

    fn disk_name(&self, report: &mut Report, path: &VaultPath, name: &NodeName) -> String {
        let (disk, changed) = on_disk(name);
        if changed {
            let reason = format!("its name could forge output or is reserved; written as `{disk}`");
            self.tell(report, Note { path: path.to_string(), outcome: Outcome::Renamed, reason });
        }
        disk
    }

    fn tell(&self, report: &mut Report, note: Note) {
        self.progress.note(&note);
        report.notes.push(note);
    }
}

/// A failed attempt, and whether it built on a former one.
struct Tried {
    error: ClientError,
    resumed: bool,
}

impl From<ClientError> for Tried {
    fn from(error: ClientError) -> Self {
        Self { error, resumed: false }
    }
}

/// The directory that is written to, and the new name if one thing gets one.
fn place(destination: &Path, sources: usize) -> Result<(PathBuf, Option<String>)> {
    let is_directory = std::fs::metadata(destination).is_ok_and(|meta| meta.is_dir());
    if is_directory {
        return Ok((destination.to_owned(), None));
    }
    if sources != 1 {
        return Err(ClientError::not_found(format!("`{}` is not a directory on this machine; make it first", shown(destination))));
    }
    let name = destination.file_name().and_then(|name| name.to_str());
    let name = name.ok_or_else(|| ClientError::invalid(format!("`{}` is not a name to write to", shown(destination))))?;
    let folder = destination.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    Ok((folder.to_owned(), Some(name.to_owned())))
}

fn same_name(path: &VaultPath) -> Note {
    let reason = "another entry has the same name on this disk".to_owned();
    Note { path: path.to_string(), outcome: Outcome::Failed, reason }
}

/// Bytes and files of what was written.
type Sizes = Vec<(u64, u64)>;

/// Verifies, decrypts and writes; returns bytes and count of what was written. A content that does not verify stops everything before any
/// of the batch has its name.
fn write_small(items: Vec<(Item, Content)>) -> Result<(Sizes, Vec<Note>)> {
    let (mut parts, mut notes, mut written) = (Vec::with_capacity(items.len()), Vec::new(), Vec::new());
    let mut failure = None;
    let mut targets: HashMap<String, Target> = HashMap::new();
    for (item, mut content) in items {
        let write = || {
            let bytes = open_small(&mut content)?;
            let part = item.target.part(content.current.manifest.version, false)?;
            let props = &content.current.props;
            let done = part.write_at(0, &bytes).and_then(|()| {
                part.finish(bytes.len() as u64, props.modified, props.kind == ContentKind::Regular && props.mode & 0o111 != 0)
            });
            match done {
                Ok(()) => Ok((part, bytes.len() as u64)),
                Err(error) => {
                    part.discard();
                    Err(error)
                }
            }
        };
        let mut write = write;
        match write() {
            Ok((part, bytes)) => {
                targets.entry(item.target.path_of("")).or_insert_with(|| item.target.clone());
                parts.push((item, part, bytes));
            }
            Err(error) if is_fatal(&error) => {
                failure = Some(error);
                break;
            }
            Err(error) => notes.push(failed(&item.path.to_string(), &error)),
        }
    }
    if let Some(error) = failure {
        for (_, part, _) in parts {
            part.discard();
        }
        return Err(error);
    }
    // All lie in one file system or few; each is synced once.
    if let Some(target) = targets.values().next() {
        target.sync()?;
    }
    for (item, part, bytes) in parts {
        match part.publish(&item.name, item.replace) {
            Ok(()) => written.push((bytes, 1)),
            Err(error) => notes.push(failed(&item.path.to_string(), &error)),
        }
    }
    Ok((written, notes))
}
