//! Copies within the vault: read here, sealed anew under new keys. Nothing of the original's keys or shares comes along, and the plaintext
//! never touches a disk.

use std::sync::Arc;

use futures::stream::StreamExt;
use ticrypt_api::Blob;
use ticrypt_api::upload::{NewUpload, UploadBeginRequest};
use ticrypt_crypto::digest::Hasher;
use ticrypt_keyring::props::EntryProps;
use ticrypt_keyring::wrap::VersionPlace;
use ticrypt_keyring::{ContentKey, NodeKeys};
use ticrypt_types::NodeName;

use super::Vault;
use super::boundary::left_locked;
use super::content::{Small, chunk_buffer, plaintext_of, sealer};
use super::get::check_download;
use super::load::blocking;
use super::make::{ContentDraft, NodeDraft, cannot_seal, new_node_id, new_version_id};
use super::open::{Content, Wanted, check_whole};
use super::path::VaultPath;
use super::plan::{self, BATCH_BYTES};
use super::progress::{Cancel, Progress, Report};
use super::put::cancelled;
use super::rename::taken;
use super::tree::{Current, Directory, Held, Parts};
use super::upload::{Chunk, Sending, ticket_of};
use crate::error::{ClientError, Result};

struct Job {
    from: Held,
    path: VaultPath,
    into: Arc<Directory>,
}

impl Vault {
    /// Copies a file or a tree. A destination that is a directory takes it under its name; any other name must be free.
    pub async fn cp(&self, from: &VaultPath, to: &VaultPath, progress: &dyn Progress, cancel: &Cancel) -> Result<(VaultPath, Report)> {
        cancel.run_until_cancelled(self.copy(from, to, progress)).await.unwrap_or_else(|| Err(cancelled()))
    }

    async fn copy(&self, from: &VaultPath, to: &VaultPath, progress: &dyn Progress) -> Result<(VaultPath, Report)> {
        let source = self.resolve(from).await?;
        check_download(&source.held, from)?;
        let target = self.destination(from, to).await?;
        if target == *from {
            return Err(taken(&target));
        }
        let (directory, name) = self.resolve_parent(&target).await?;
        if directory.held.lineage.contains(source.held.id) {
            return Err(ClientError::refused("into_itself", format!("`{from}` cannot be copied into itself")));
        }
        let above = target.split().map_err(|e| ClientError::invalid(e.to_string()))?.0;
        let mut report = Report::default();
        if !source.is_directory() {
            let current = self.current_of(&source)?;
            self.copy_files(&above, directory, vec![(source.held, current, name)], &mut report, progress).await?;
            return Ok((target, report));
        }
        let mut jobs = vec![self.copy_directory(&above, &directory, &source, name).await?];
        report.directories += 1;
        while let Some(job) = jobs.pop() {
            let loaded = self.load(&job.from, true).await?;
            let Parts { directories, files, locked } = loaded.parts();
            report.notes.extend(locked.iter().map(|member| left_locked(&job.path.child(&member.name))));
            let names = files.iter().map(|member| member.name.clone());
            let files: Vec<_> =
                names.zip(self.currents(&loaded, &files).await?).map(|(name, (held, current))| (held, current, name)).collect();
            progress.expect(files.len() as u64, files.iter().map(|(_, current, _)| current.manifest.size).sum());
            let into = self.copy_files(&job.path, job.into, files, &mut report, progress).await?;
            let mut drafts = Vec::with_capacity(directories.len());
            for member in &directories {
                let held = self.descend(&loaded, member).await?;
                let props = loaded.props(self.deployment(), member, &held)?;
                drafts.push(NodeDraft::directory(&self.random, member.name.clone(), crate::clock::now(), props.modified, props.mode)?);
            }
            let made: Vec<_> = drafts.iter().map(|draft| draft.id).collect();
            report.directories += drafts.len() as u64;
            let mut created = self.create(&job.path, into, drafts).await?;
            for (member, id) in directories.iter().zip(made) {
                let path = job.path.child(&member.name);
                let into = match created.below.remove(&id) {
                    Some(fresh) => Arc::new(fresh),
                    None => self.load_found(&self.resolve(&path).await?, true).await?,
                };
                jobs.push(Job { from: self.descend(&loaded, member).await?, path, into });
            }
        }
        Ok((target, report))
    }

    async fn copy_directory(&self, above: &VaultPath, into: &Arc<Directory>, source: &super::Found, name: NodeName) -> Result<Job> {
        let (modified, mode) = match source.parent() {
            Some((directory, member)) => {
                let props = directory.props(self.deployment(), member, &source.held)?;
                (props.modified, props.mode)
            }
            None => (ticrypt_types::Timestamp::ABSENT, 0o755),
        };
        let draft = NodeDraft::directory(&self.random, name.clone(), crate::clock::now(), modified, mode)?;
        let id = draft.id;
        let path = above.child(&name);
        let mut created = self.create(above, Arc::clone(into), vec![draft]).await?;
        let into = match created.below.remove(&id) {
            Some(fresh) => Arc::new(fresh),
            None => self.load_found(&self.resolve(&path).await?, true).await?,
        };
        Ok(Job { from: source.held.clone(), path, into })
    }

    async fn copy_files(
        &self,
        path: &VaultPath,
        mut into: Arc<Directory>,
        files: Vec<(Held, Current, NodeName)>,
        report: &mut Report,
        progress: &dyn Progress,
    ) -> Result<Arc<Directory>> {
        let (small, large): (Vec<_>, Vec<_>) = files.into_iter().partition(|(_, current, _)| plan::is_small(current.manifest.size));
        let runs = plan::batches(small.iter().map(|(_, current, _)| current.manifest.size), BATCH_BYTES);
        let mut small = small.into_iter();
        for run in runs {
            let batch: Vec<_> = small.by_ref().take(run.len()).collect();
            let wanted: Vec<Wanted> = batch.iter().map(|(file, _, _)| Wanted { file: file.clone(), manifest: None, keep: true }).collect();
            let contents = self.open(&wanted).await?;
            let mut drafts = Vec::with_capacity(batch.len());
            for ((_, _, name), content) in batch.into_iter().zip(contents) {
                drafts.push(self.small_copy(content, name).await?);
            }
            into = self.finish_copies(path, into, drafts, report, progress).await?;
        }
        for (file, _, name) in large {
            progress.begin(&path.child(&name).to_string());
            let content = self.open_one(Wanted { file, manifest: None, keep: true }).await?;
            let draft = if plan::is_small(content.current.manifest.size) {
                self.small_copy(content, name).await?
            } else {
                self.large_copy(&into, &content, name, progress).await?
            };
            into = self.finish_copies(path, into, vec![draft], report, progress).await?;
        }
        Ok(into)
    }

    async fn finish_copies(
        &self,
        path: &VaultPath,
        into: Arc<Directory>,
        drafts: Vec<NodeDraft>,
        report: &mut Report,
        progress: &dyn Progress,
    ) -> Result<Arc<Directory>> {
        let (files, bytes) = (drafts.len() as u64, drafts.iter().filter_map(|draft| draft.content.as_ref()).map(|c| c.size).sum::<u64>());
        let into = self.create(path, into, drafts).await?.directory;
        report.files += files;
        report.bytes += bytes;
        progress.finish(files);
        Ok(into)
    }

    async fn small_copy(&self, content: Content, name: NodeName) -> Result<NodeDraft> {
        let bytes = self.read_whole(&content).await?;
        let props = &content.current.props;
        let small = Small { bytes, kind: props.kind, modified: props.modified, mode: props.mode };
        let id = new_node_id(&self.random)?;
        let content = small.seal(&self.random, id)?;
        self.file_draft(id, NodeKeys::generate(&self.random).map_err(cannot_seal)?, name, content)
    }

    fn file_draft(&self, id: ticrypt_types::NodeId, keys: NodeKeys, name: NodeName, content: ContentDraft) -> Result<NodeDraft> {
        let props = EntryProps { name, created: crate::clock::now(), modified: content.props.modified, mode: 0 };
        Ok(NodeDraft { id, within: None, keys: Arc::new(keys), props, content: Some(content) })
    }

    /// Chunk by chunk: one is decrypted and sealed anew while others are on their way.
    async fn large_copy(&self, into: &Directory, content: &Content, name: NodeName, progress: &dyn Progress) -> Result<NodeDraft> {
        let (id, version) = (new_node_id(&self.random)?, new_version_id(&self.random)?);
        let keys = NodeKeys::generate(&self.random).map_err(cannot_seal)?;
        let key = ContentKey::generate(&self.random).map_err(cannot_seal)?;
        let size = content.current.manifest.size;
        let place = VersionPlace { deployment: self.deployment(), file: id, epoch: 1, version };
        let tree = keys.tree.as_ref().ok_or_else(|| ClientError::broken("new keys without a tree key"))?;
        let content_wrap = Blob(tree.wrap_content(&self.random, &place, &key).map_err(cannot_seal)?);
        let upload = NewUpload { file: id, directory: Some(into.id()), version, content_wrap, size_bytes: size };
        let reply = self.server().begin_uploads(UploadBeginRequest { uploads: vec![upload] }).await?;
        let to = Sending::unjournalled(sealer(&key, id, version)?, ticket_of(reply.tickets, version)?);
        let mut hasher = Hasher::new();
        let mut chunk_hashes = Vec::new();
        let count = content.current.manifest.chunk_count;
        let mut chunks = std::pin::pin!(self.chunks(content, None));
        while let Some(chunk) = chunks.next().await {
            let (number, plain) = chunk?;
            let len = plain.bytes().len();
            let (buffer, hashed) = blocking(move || {
                hasher.update(plain.bytes());
                let mut buffer = chunk_buffer(len);
                plaintext_of(&mut buffer).copy_from_slice(plain.bytes());
                (buffer, hasher)
            })
            .await?;
            hasher = hashed;
            chunk_hashes.push(self.send_chunk(&to, number, number + 1 == count, Chunk { buffer, tag: None }).await?);
            progress.advance(len as u64);
        }
        check_whole(content, hasher.finish())?;
        let draft = ContentDraft { version, key, size, chunk_hashes, chunk: None, props: content.current.props.clone() };
        self.file_draft(id, keys, name, draft)
    }
}
