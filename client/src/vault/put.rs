//! Trees from a disk into the vault.
//!
//! ```text
//!   job: one local directory, one in the vault         several at once, deepest first
//!     ├─ names decide: create · enter · unchanged · beside · new version · report
//!     ├─ small files and new directories with what is in them ─ read+seal ahead ─▶ one create per load (≤ 2 000 nodes, ≤ 8 MiB)
//!     ├─ large files ─ upload chunks ─▶ one create per group
//!     └─ each directory that is there, or was not finished with its load, becomes a job
//! ```
//!
//! Nothing is overwritten unless asked ([`IfExists`]); with `--skip` an interrupted command is simply given again, and large files go on where
//! they stopped. An item that cannot be put is reported and the rest goes on.

use std::path::PathBuf;
use std::sync::Arc;

use futures::stream::{self, FuturesUnordered, StreamExt};
use ticrypt_keyring::SystemRandom;
use ticrypt_keyring::props::ContentKind;
use ticrypt_types::{NodeName, Timestamp};
use tokio::sync::OwnedSemaphorePermit;

use super::Vault;
use super::content::{Small, hash_file};
use super::gather::{self, Below, Branch, Load, Sprout, entry_props};
use super::load::blocking;
use super::make::NodeDraft;
use super::naming::beside;
use super::path::VaultPath;
use super::plan::{self, IfExists, Kind, Step, There};
use super::progress::{Cancel, Note, Outcome, Progress, Report};
use super::source::{self, Reading, Source, SourceKind, shown};
use super::tree::{Current, Directory, Held};
use super::upload::{Destination, LargeFile, Origin, Uploaded};
use crate::error::{ClientError, Kind as ErrorKind, Result};

/// Directories worked on at once.
const JOBS: usize = 16;
/// Large files that are created in one request.
const GROUP_FILES: usize = 64;
const GROUP_BYTES: u64 = 64 * 1024 * 1024;
/// Large files of a group on their way at once.
const GROUP_IN_FLIGHT: usize = 4;

/// How to put.
#[derive(Clone, Debug, Default)]
pub struct PutOptions {
    pub if_exists: IfExists,
    pub reading: Reading,
    /// Say what would be done, and do nothing.
    pub dry_run: bool,
    /// Make the destination if it is not there.
    pub parents: bool,
}

/// One directory to be put.
struct Job {
    branch: Branch,
    into: Into,
    /// What of it is to be put, if it was read before and some of it is there already.
    left: Option<Vec<Source>>,
}

enum Into {
    /// Known to the last entry, because it was just made.
    Loaded(Arc<Directory>),
    There,
    /// Of a dry run: not there.
    Imagined,
}

/// One thing that will be written.
struct Item {
    source: Source,
    /// The name in the vault; not the source's if both are kept.
    name: NodeName,
    /// The file that gets a new version.
    replaces: Option<(Held, Current)>,
}

/// The run of one command.
struct Run<'a> {
    vault: &'a Vault,
    options: &'a PutOptions,
    progress: &'a dyn Progress,
}

impl Vault {
    /// Puts files and trees below a directory of the vault, or one of them under a new name.
    pub async fn put(
        &self,
        sources: &[PathBuf],
        destination: &VaultPath,
        options: &PutOptions,
        progress: &dyn Progress,
        cancel: &Cancel,
    ) -> Result<Report> {
        let run = Run { vault: self, options, progress };
        cancel.run_until_cancelled(run.put(sources, destination)).await.unwrap_or_else(|| Err(cancelled()))
    }
}

/// The error of work that a person ended.
pub(super) fn cancelled() -> ClientError {
    ClientError::new(ErrorKind::Unavailable, "cancelled", "ended before it was done; give the command again to go on")
}

impl Run<'_> {
    async fn put(&self, sources: &[PathBuf], destination: &VaultPath) -> Result<Report> {
        let there = self.vault.find_node(destination).await?;
        let (directory, rename) = match (there, sources) {
            (Some(found), _) if found.is_directory() => (destination.clone(), None),
            (None, _) if self.options.parents => {
                if !self.options.dry_run {
                    self.vault.mkdir(destination, true).await?;
                }
                (destination.clone(), None)
            }
            // One source and a name that is free, or a file's: put it under that name.
            (_, [_]) => {
                let (above, name) = destination.split().map_err(|e| ClientError::invalid(e.to_string()))?;
                (above, Some(name.clone()))
            }
            (Some(_), _) => return Err(super::resolve::not_a_directory(destination)),
            (None, _) => return Err(ClientError::not_found(format!("`{destination}` is not in the vault; make it with --parents"))),
        };
        let mut report = Report::default();
        let mut found = Vec::new();
        for path in sources {
            let name = match &rename {
                Some(name) => name.clone(),
                None => source::name_of(path)?,
            };
            let (path, reading) = (path.clone(), self.options.reading.clone());
            match blocking(move || source::look(&path, name, &reading)).await?? {
                Ok(source) => found.push(source),
                Err(note) => self.tell(&mut report, note),
            }
        }
        let into = match self.vault.find_node(&directory).await? {
            Some(found) => Into::Loaded(self.vault.load_found(&found, true).await?),
            None if self.options.dry_run && self.options.parents => Into::Imagined,
            None => return Err(ClientError::not_found(format!("`{directory}` is not in the vault; make it with `ticrypt mkdir -p`"))),
        };
        let branch = Branch { local: PathBuf::new(), relative: PathBuf::new(), above: Vec::new(), path: directory };
        self.expect(&found);
        let (first, mut jobs) = self.items(&Job { branch, into, left: None }, found, true).await?;
        report.merge(first);
        let mut running = FuturesUnordered::new();
        loop {
            while running.len() < JOBS
                && let Some(job) = jobs.pop()
            {
                running.push(self.directory(job));
            }
            let Some(done) = running.next().await else { return Ok(report) };
            let (part, below) = done?;
            report.merge(part);
            jobs.extend(below);
        }
    }

    /// Puts what is directly in a directory; returns the directories below as jobs.
    async fn directory(&self, mut job: Job) -> Result<(Report, Vec<Job>)> {
        let mut report = Report::default();
        let sources = match job.left.take() {
            Some(left) => left,
            None => {
                let (branch, reading) = (job.branch.clone(), self.options.reading.clone());
                let (sources, notes) = match blocking(move || branch.read(&reading)).await? {
                    Ok(read) => read,
                    Err(error) => {
                        self.tell(&mut report, failed(&shown(&job.branch.local), &error));
                        return Ok((report, Vec::new()));
                    }
                };
                notes.into_iter().for_each(|note| self.tell(&mut report, note));
                self.expect(&sources);
                sources
            }
        };
        let (part, jobs) = self.items(&job, sources, false).await?;
        report.merge(part);
        Ok((report, jobs))
    }

    /// Puts things into one directory of the vault.
    async fn items(&self, job: &Job, sources: Vec<Source>, top: bool) -> Result<(Report, Vec<Job>)> {
        let mut report = Report::default();
        let directory = match &job.into {
            Into::Loaded(directory) => Some(Arc::clone(directory)),
            Into::There => Some(self.vault.load_found(&self.vault.resolve(&job.branch.path).await?, true).await?),
            Into::Imagined => None,
        };
        let (mut nodes, mut large, mut versions, mut jobs) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        let mut given = std::collections::HashSet::new();
        for source in sources {
            let path = shown(&source.path);
            let decided = match &directory {
                Some(directory) => self.decide(directory, &source).await,
                None => Ok((Step::Create, None)),
            };
            let (step, there) = match decided {
                Ok(decided) => decided,
                Err(error) if is_fatal(&error) => return Err(error),
                Err(error) => {
                    self.tell(&mut report, failed(&path, &error));
                    continue;
                }
            };
            let mut name = source.name.clone();
            match step {
                Step::Create | Step::Enter | Step::Replace => {}
                Step::Beside => {
                    let taken = |candidate: &str| given.contains(candidate) || directory.as_ref().is_some_and(|d| d.has_name(candidate));
                    name = NodeName::normalise(&beside(source.name.as_str(), taken)).map_err(|e| ClientError::invalid(e.to_string()))?;
                    let reason = format!("put as `{}`", name.harmless());
                    self.tell(&mut report, Note { path: path.clone(), outcome: Outcome::Renamed, reason });
                }
                Step::Unchanged | Step::Compare => {
                    report.unchanged += 1;
                    self.progress.advance(source.size_bytes);
                    self.progress.finish(1);
                    continue;
                }
                Step::Skip => {
                    self.tell(&mut report, Note { path, outcome: Outcome::Skipped, reason: "something else has that name".into() });
                    continue;
                }
                Step::Fail(reason) => {
                    self.tell(&mut report, Note { path, outcome: Outcome::Failed, reason: reason.into() });
                    continue;
                }
            }
            if !given.insert(name.as_str().to_owned()) {
                self.tell(
                    &mut report,
                    Note { path, outcome: Outcome::Failed, reason: "two of the things to be put have this name".into() },
                );
                continue;
            }
            if step == Step::Enter {
                jobs.push(Job { branch: job.branch.below(&source, &name, top), into: Into::There, left: None });
                continue;
            }
            match there.filter(|_| step == Step::Replace) {
                Some(there) => versions.push(Item { source, name, replaces: Some(there) }),
                None if gather::is_large(&source) => large.push(Item { source, name, replaces: None }),
                None => nodes.push(Sprout { source, name }),
            }
        }
        if self.options.dry_run {
            let others = [large, versions].into_iter().flatten().map(|item| Sprout { source: item.source, name: item.name });
            self.imagine(&mut report, job, &mut jobs, nodes.into_iter().chain(others), top);
            return Ok((report, jobs));
        }
        let Some(mut directory) = directory else { return Ok((report, jobs)) };
        // Directories first: what is below them can then go on while the rest of this one is sent.
        nodes.sort_by_key(|sprout| sprout.source.kind != SourceKind::Directory);
        directory = self.nodes(job, directory, nodes, &mut report, &mut jobs, top).await?;
        self.large(job, directory, large, &mut report).await?;
        for item in versions {
            self.version(job, item, &mut report).await?;
        }
        Ok((report, jobs))
    }

    /// What to do about one thing, and the file that is there.
    async fn decide(&self, directory: &Directory, source: &Source) -> Result<(Step, Option<(Held, Current)>)> {
        let Some(member) = directory.by_name(&source.name) else { return Ok((Step::Create, None)) };
        let what = There { kind: kind_of(source), size_bytes: source.size_bytes, modified: source.modified };
        if member.is_directory() {
            let there = There { kind: Kind::Directory, size_bytes: 0, modified: Timestamp::ABSENT };
            return Ok((plan::decide(what, Some(there), self.options.if_exists), None));
        }
        let held = self.vault.descend(directory, member).await?;
        let view = member.current.as_ref().ok_or_else(|| super::trust::lie("the server withholds what is current in a file"))?;
        let current = self.vault.current(&held, view)?;
        let there = There { kind: stored_kind(&current), size_bytes: current.manifest.size, modified: current.props.modified };
        let mut step = plan::decide(what, Some(there), self.options.if_exists);
        if step == Step::Compare {
            let source = source.clone();
            let ours = blocking(move || hash_file(&source)).await??;
            step = plan::compared(&ours, &current.props.sha256, self.options.if_exists);
        }
        Ok((step, Some((held, current))))
    }

    /// Creates small files and new directories with what is in them: while one load is on its way, the next is read and sealed.
    async fn nodes(
        &self,
        job: &Job,
        mut directory: Arc<Directory>,
        sprouts: Vec<Sprout>,
        report: &mut Report,
        jobs: &mut Vec<Job>,
        top: bool,
    ) -> Result<Arc<Directory>> {
        let mut next = self.load(job, top, sprouts).await?;
        while let Some((load, room)) = next {
            let Load { drafts, below, rest, notes, found } = load;
            notes.into_iter().for_each(|note| self.tell(report, note));
            self.progress.expect(found.0, found.1);
            let (things, directories) = (drafts.len() as u64, drafts.iter().filter(|draft| draft.content.is_none()).count() as u64);
            let bytes = drafts.iter().filter_map(|draft| draft.content.as_ref()).map(|content| content.size).sum::<u64>();
            let creating = async {
                let created = self.vault.create(&job.branch.path, directory, drafts).await;
                // Given back before the next load is waited for, which may need it.
                drop(room);
                created
            };
            let (created, loaded) = futures::join!(creating, self.load(job, top, rest));
            let mut created = created?;
            for Below { node, branch, left } in below {
                let into = created.below.remove(&node).map_or(Into::There, |fresh| Into::Loaded(Arc::new(fresh)));
                jobs.push(Job { branch, into, left });
            }
            directory = created.directory;
            report.directories += directories;
            report.files += things - directories;
            report.bytes += bytes;
            self.progress.advance(bytes);
            self.progress.finish(things);
            next = loaded?;
        }
        Ok(directory)
    }

    /// Reads and seals what one request takes; nothing if there is nothing left.
    async fn load(&self, job: &Job, top: bool, sprouts: Vec<Sprout>) -> Result<Option<(Load, OwnedSemaphorePermit)>> {
        if sprouts.is_empty() {
            return Ok(None);
        }
        let room = self.vault.room_for(gather::weight(&sprouts)).await?;
        let (branch, reading, now) = (job.branch.clone(), self.options.reading.clone(), crate::clock::now());
        let load = blocking(move || gather::load(&branch, top, sprouts, &reading, now)).await?;
        Ok(Some((load, room)))
    }

    /// Uploads large files and creates them, group by group.
    async fn large(&self, job: &Job, mut directory: Arc<Directory>, items: Vec<Item>, report: &mut Report) -> Result<()> {
        let mut rest = items.as_slice();
        while !rest.is_empty() {
            let mut bytes = 0u64;
            let fits = |item: &&Item| {
                bytes = bytes.saturating_add(item.source.size_bytes);
                bytes <= GROUP_BYTES
            };
            let count = rest.iter().take(GROUP_FILES).take_while(fits).count().max(1);
            let (group, later) = rest.split_at_checked(count).unwrap_or((rest, &[]));
            rest = later;
            // Made before they are polled: a closure over borrowed items would keep the whole from moving between threads.
            let uploads: Vec<_> = group.iter().map(|item| self.upload(&directory, item)).collect();
            let uploads: Vec<Result<Uploaded>> = stream::iter(uploads).buffered(GROUP_IN_FLIGHT).collect().await;
            let (mut drafts, mut journals) = (Vec::new(), Vec::new());
            for (item, uploaded) in group.iter().zip(uploads) {
                match uploaded {
                    Ok(Uploaded { file, keys, content, journal }) => {
                        report.files += 1;
                        report.bytes += content.size;
                        let props = entry_props(&item.name, &item.source, crate::clock::now());
                        drafts.push(NodeDraft { id: file, within: None, keys, props, content: Some(content) });
                        journals.extend(journal);
                    }
                    Err(error) if is_fatal(&error) => return Err(error),
                    Err(error) => self.tell(report, failed(&shown(&item.source.path), &error)),
                }
            }
            let done = drafts.len() as u64;
            directory = self.vault.create(&job.branch.path, directory, drafts).await?.directory;
            for journal in journals {
                journal.remove()?;
            }
            self.progress.finish(done);
        }
        Ok(())
    }

    async fn upload(&self, into: &Directory, item: &Item) -> Result<Uploaded> {
        self.progress.begin(item.name.as_str());
        let file = LargeFile { origin: Origin::Disk(&item.source.path), name: &item.name, destination: Destination::New };
        self.vault.upload(into, file, self.progress).await
    }

    /// Gives a file that is there a new version.
    async fn version(&self, job: &Job, item: Item, report: &mut Report) -> Result<()> {
        let path = shown(&item.source.path);
        match self.new_version(job, &item).await {
            Ok((bytes, conflict)) => {
                report.files += 1;
                report.bytes += bytes;
                self.progress.finish(1);
                if conflict {
                    let reason = "somebody else wrote a version at the same time; both are in `ticrypt versions list`".to_owned();
                    self.tell(report, Note { path, outcome: Outcome::Conflict, reason });
                }
                Ok(())
            }
            Err(error) if is_fatal(&error) => Err(error),
            Err(error) => {
                self.tell(report, failed(&path, &error));
                Ok(())
            }
        }
    }

    async fn new_version(&self, job: &Job, item: &Item) -> Result<(u64, bool)> {
        let Some((held, current)) = &item.replaces else { return Err(ClientError::broken("a version of nothing")) };
        let path = job.branch.path.child(&item.name);
        let (content, journal) = if plan::is_small(item.source.size_bytes) {
            let (source, file) = (item.source.clone(), held.id);
            let content = blocking(move || Small::read(&source)?.seal(&SystemRandom::new(), file)).await??;
            self.progress.advance(content.size);
            (content, None)
        } else {
            let directory = self.vault.load_found(&self.vault.resolve(&job.branch.path).await?, false).await?;
            let destination = Destination::Version(held.clone());
            let file = LargeFile { origin: Origin::Disk(&item.source.path), name: &item.name, destination };
            let uploaded = self.vault.upload(&directory, file, self.progress).await?;
            (uploaded.content, uploaded.journal)
        };
        let bytes = content.size;
        let reply = self.vault.publish(&path, held, current, content).await?;
        if let Some(journal) = journal {
            journal.remove()?;
        }
        Ok((bytes, reply.conflict))
    }

    /// A dry run: counts and says.
    fn imagine(&self, report: &mut Report, job: &Job, jobs: &mut Vec<Job>, things: impl Iterator<Item = Sprout>, top: bool) {
        for Sprout { source, name } in things {
            self.progress.begin(&job.branch.path.child(&name).to_string());
            if source.kind == SourceKind::Directory {
                report.directories += 1;
                jobs.push(Job { branch: job.branch.below(&source, &name, top), into: Into::Imagined, left: None });
            } else {
                report.files += 1;
                report.bytes += source.size_bytes;
            }
        }
    }

    fn expect(&self, sources: &[Source]) {
        self.progress.expect(sources.len() as u64, sources.iter().map(|source| source.size_bytes).sum());
    }

    fn tell(&self, report: &mut Report, note: Note) {
        self.progress.note(&note);
        report.notes.push(note);
    }
}

fn kind_of(source: &Source) -> Kind {
    match source.kind {
        SourceKind::Directory => Kind::Directory,
        SourceKind::File => Kind::File,
        SourceKind::Link(_) => Kind::Link,
    }
}

pub(super) fn stored_kind(current: &Current) -> Kind {
    match current.props.kind {
        ContentKind::Regular => Kind::File,
        ContentKind::SymbolicLink => Kind::Link,
    }
}

/// What stops everything: no item after it could succeed, or nothing should be trusted any more.
pub(super) fn is_fatal(error: &ClientError) -> bool {
    matches!(error.kind(), ErrorKind::Untrusted | ErrorKind::LoggedOut)
        || error.kind() == ErrorKind::Unavailable && error.code() != "changing"
        || matches!(error.code(), "no_edit" | "epoch_closed" | "storage_full" | "disk_full" | "no_view")
}

pub(super) fn failed(path: &str, error: &ClientError) -> Note {
    Note { path: path.to_owned(), outcome: Outcome::Failed, reason: error.to_string() }
}
