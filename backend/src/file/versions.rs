//! Histories of files: manifests with the wraps that open their properties and, with *view*, wrapped content keys. So one row that names
//! every file is durable before they leave the server (security C17).

use std::collections::{HashMap, HashSet};

use ticrypt_api::role::{Caller, Reply};
use ticrypt_api::version::{FileVersions, StoredContent, VersionListReply, VersionListRequest};
use ticrypt_api::{ApiError, Blob};
use ticrypt_crypto::chunk::stored_total;
use ticrypt_policy::version::{may_list_versions, may_open};
use ticrypt_store::version::Upload;
use ticrypt_types::limits::BATCH_MAX_NODES;
use ticrypt_types::{NodeId, Operation};

use super::FileRole;
use super::audited::event;
use super::authority::Named;
use super::error::FileError;
use super::view;

/// Manifests in an answer.
const MANIFESTS_MAX: u64 = 10_000;
/// Files whose histories are read together; one that is too long is then read alone.
const TOGETHER: usize = 64;

impl FileRole {
    pub(super) async fn version_list(&self, caller: &Caller, request: VersionListRequest) -> Result<Reply<VersionListReply>, ApiError> {
        let answer = self.read_versions(caller, request.files).await;
        let files: Vec<NodeId> = answer.iter().flat_map(|reply| reply.files.iter().map(|file| file.file)).collect();
        self.hand_out(event(caller, Operation::VersionList, files), answer).await
    }

    async fn read_versions(&self, caller: &Caller, files: Vec<NodeId>) -> Result<VersionListReply, FileError> {
        if files.is_empty() || files.len() > BATCH_MAX_NODES {
            return Err(FileError::Bound("a request asks for the versions of 1 to 2000 files; split it"));
        }
        let actor = self.actor(caller).await?;
        let mut with_keys = Vec::with_capacity(files.len());
        for facts in self.facts_of_all(&actor, &files).await? {
            let _permit = may_list_versions(&actor, &facts, caller.now)?;
            // Content keys only with *view*.
            if may_open(&actor, &facts, caller.now).is_ok() {
                with_keys.push(facts.node);
            }
        }
        let mut histories = self.read_histories(&files).await?;
        let read: HashSet<NodeId> = histories.iter().map(|history| history.file).collect();
        with_keys.retain(|file| read.contains(file));
        let mut contents: HashMap<NodeId, Vec<StoredContent>> = HashMap::new();
        // Uploads under way are among them, since new keys of the file must cover them too.
        for upload in self.store.contents_of(&with_keys).await? {
            contents.entry(upload.version.file).or_default().push(stored(upload));
        }
        let mut named = Named::default();
        for history in &mut histories {
            history.contents = contents.remove(&history.file).unwrap_or_default();
            history.manifests.iter().try_for_each(|view| named.manifest(&view.manifest.0))?;
        }
        Ok(VersionListReply { files: histories, grants: self.grants_named(named).await? })
    }

    /// The manifests of as many files as fit, in the order asked.
    async fn read_histories(&self, files: &[NodeId]) -> Result<Vec<FileVersions>, FileError> {
        let (mut left, mut together) = (MANIFESTS_MAX, TOGETHER);
        let mut read: Vec<FileVersions> = Vec::with_capacity(files.len());
        while let Some(some) = files.get(read.len()..files.len().min(read.len() + together)).filter(|some| !some.is_empty()) {
            let found = self.store.histories(some, left + 1).await?;
            match left.checked_sub(found.len() as u64) {
                Some(rest) => left = rest,
                None if together > 1 => {
                    together = 1;
                    continue;
                }
                None if read.is_empty() => return Err(FileError::TooLarge),
                None => break,
            }
            let mut of_file: HashMap<NodeId, Vec<_>> = HashMap::new();
            for (manifest, _) in found {
                of_file.entry(manifest.file).or_default().push(view::manifest(manifest));
            }
            let history =
                |file: &NodeId| FileVersions { file: *file, manifests: of_file.remove(file).unwrap_or_default(), contents: Vec::new() };
            read.extend(some.iter().map(history));
        }
        Ok(read)
    }
}

fn stored(upload: Upload) -> StoredContent {
    StoredContent {
        version: upload.version.id,
        content_wrap: Blob(upload.version.content_wrap),
        stored_bytes: stored_total(upload.version.size),
        created_ms: upload.version.created,
    }
}
