//! New keys after somebody lost access (docs/formats.md §6, closing): which nodes get them, and in which order.
//!
//! A writer rolls the nodes on the way to what is written ([`Vault::roll_path`]); `ticrypt rekey` walks a tree and rolls the rest, several
//! directories at once, each from the top down. The server remembers which nodes are still under old keys, so a walk that was interrupted
//! goes on where it stopped. How one node is rolled: `roll.rs`.

use std::collections::HashSet;
use std::sync::Arc;

use futures::stream::{FuturesUnordered, StreamExt};
use ticrypt_types::{NodeId, NodeKind};

use super::Vault;
use super::boundary::left_locked;
use super::path::{Place, VaultPath};
use super::progress::{Cancel, Note, Outcome, Progress, Report};
use super::put::cancelled;
use super::tree::{Directory, Member};
use crate::error::Result;

/// Directories worked on at once.
const JOBS: usize = 4;

/// A directory under its new keys, whose contents may still be under old ones.
struct Job {
    at: VaultPath,
    directory: Arc<Directory>,
}

impl Vault {
    /// Gives new keys to those nodes on the way to `path` that the server names, from the top down.
    pub(super) async fn roll_path(&self, path: &VaultPath, nodes: &[NodeId]) -> Result<()> {
        let named: HashSet<NodeId> = nodes.iter().copied().collect();
        let (_, mut held) = Box::pin(self.open_place(path)).await?;
        if named.contains(&held.id) {
            self.roll_root(&held).await?;
            held = Box::pin(self.open_place(path)).await?.1;
        }
        for name in path.names() {
            let mut directory = self.load(&held, false).await?;
            let Some(mut member) = directory.by_name(name).cloned() else { return Ok(()) };
            if named.contains(&member.id()) {
                directory = self.roll_members(directory, &[member.id()]).await?.directory;
                let Some(rolled) = directory.by_name(name).cloned() else { return Ok(()) };
                member = rolled;
            }
            held = self.descend(&directory, &member).await?;
            if held.kind == NodeKind::File {
                break;
            }
        }
        Ok(())
    }

    /// Walks a tree and gives new keys to every node that is still under old ones.
    pub async fn rekey(&self, path: &VaultPath, progress: &dyn Progress, cancel: &Cancel) -> Result<Report> {
        cancel.run_until_cancelled(self.rekey_tree(path, progress)).await.unwrap_or_else(|| Err(cancelled()))
    }

    /// New keys for a node and what is above it. What is below gets its own when it is written, or by [`Vault::rekey`].
    pub(super) async fn rekey_node(&self, path: &VaultPath, progress: &dyn Progress) -> Result<Report> {
        let mut report = Report::default();
        self.rekey_above(path, &mut report, progress).await?;
        Ok(report)
    }

    async fn rekey_tree(&self, path: &VaultPath, progress: &dyn Progress) -> Result<Report> {
        let mut report = self.rekey_node(path, progress).await?;
        let found = self.resolve(path).await?;
        if !found.is_directory() {
            return Ok(report);
        }
        let mut waiting = vec![Job { at: found.path.clone(), directory: self.load(&found.held, false).await? }];
        let mut running = FuturesUnordered::new();
        loop {
            while running.len() < JOBS
                && let Some(job) = waiting.pop()
            {
                running.push(self.rekey_directory(job, progress));
            }
            let Some(done) = running.next().await else { return Ok(report) };
            let (part, below) = done?;
            report.merge(part);
            waiting.extend(below);
        }
    }

    /// The node itself and, from the top, what is above it: a node cannot be given new keys while the directory above it waits for its own.
    async fn rekey_above(&self, path: &VaultPath, report: &mut Report, progress: &dyn Progress) -> Result<()> {
        let mut steps = Vec::new();
        if let Place::Home | Place::Group { .. } = path.place() {
            let mut step = path.top();
            for name in path.names() {
                steps.push(step.clone());
                step = step.child(name);
            }
        }
        for step in steps.iter().chain([path]) {
            let found = self.resolve(step).await?;
            match found.parent() {
                Some((_, member)) if member.is_locked() => report.notes.push(left_locked(&found.path)),
                Some((directory, member)) if member.view.keys_stale => {
                    progress.begin(&found.path.to_string());
                    self.roll_members(Arc::clone(directory), &[member.id()]).await?;
                    count(report, member);
                }
                None if found.held.root.is_whole() && self.load(&found.held, false).await?.view.keys_stale => {
                    progress.begin(&found.path.to_string());
                    self.roll_root(&found.held).await?;
                    report.directories += 1;
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Everything directly in a directory; gives the directories among it, whose contents come next.
    async fn rekey_directory(&self, job: Job, progress: &dyn Progress) -> Result<(Report, Vec<Job>)> {
        let mut report = Report::default();
        let stale: Vec<NodeId> = job.directory.sorted().iter().filter(|member| member.view.keys_stale).map(|member| member.id()).collect();
        let (mut directory, mut below) = (Arc::clone(&job.directory), Vec::new());
        if !stale.is_empty() {
            progress.expect(stale.len() as u64, 0);
            progress.begin(&job.at.to_string());
            for some in stale.chunks(super::roll::STEP) {
                let rolled = self.roll_members(directory, some).await?;
                directory = rolled.directory;
                below.extend(rolled.below);
                some.iter().filter_map(|node| directory.by_id(*node)).for_each(|member| count(&mut report, member));
                progress.finish(some.len() as u64);
            }
        }
        let known: HashSet<NodeId> = below.iter().map(|directory| directory.id()).collect();
        let mut others = Vec::new();
        for member in directory.members().filter(|member| member.is_directory() && !known.contains(&member.id())) {
            let path = job.at.child(&member.name);
            if member.is_locked() {
                report.notes.push(left_locked(&path));
                continue;
            }
            match self.descend(&directory, member).await {
                Ok(held) => others.push(held),
                Err(error) => {
                    report.notes.push(Note { path: path.to_string(), outcome: Outcome::Failed, reason: error.to_string() });
                }
            }
        }
        below.extend(self.load_all(others, false).await?);
        let place = |below: Arc<Directory>| Some(Job { at: job.at.child(&directory.by_id(below.id())?.name), directory: below });
        Ok((report, below.into_iter().filter_map(place).collect()))
    }
}

fn count(report: &mut Report, member: &Member) {
    if member.is_directory() { report.directories += 1 } else { report.files += 1 }
}
