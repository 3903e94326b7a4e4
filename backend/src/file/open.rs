//! Opening: wrapped content keys leave the server, so one row that names every file is durable before they do (security C17).

use std::collections::HashMap;

use ticrypt_api::role::{Caller, Reply};
use ticrypt_api::version::{OpenItem, OpenReply, OpenRequest, OpenedFile};
use ticrypt_api::{ApiError, Blob, Hash};
use ticrypt_crypto::Digest;
use ticrypt_policy::version::{may_download, may_open};
use ticrypt_policy::{Actor, Denial};
use ticrypt_store::version::{Manifest, Version};
use ticrypt_types::limits::{BATCH_BODY_MAX_BYTES, BATCH_MAX_NODES, SMALL_CONTENT_MAX_BYTES};
use ticrypt_types::{NodeId, Operation, VersionId};

use super::FileRole;
use super::audited::{event, with};
use super::authority::Named;
use super::error::FileError;
use super::ticket::TicketVerb;
use super::view;
use crate::losses::LossMark;

/// What grants and framing may take beside the files.
const RESERVE_BYTES: usize = 2 * 1024 * 1024;
/// A file's records, ticket and framing, generously.
const FILE_OVERHEAD_BYTES: usize = 2_048;
/// A chunk hash and its framing.
const HASH_BYTES: usize = 35;

impl FileRole {
    pub(super) async fn content_open(&self, caller: &Caller, request: OpenRequest) -> Result<Reply<OpenReply>, ApiError> {
        let keep = request.keep;
        let answer = self.read_contents(caller, request).await;
        let files: Vec<NodeId> = answer.iter().flat_map(|reply| reply.files.iter().map(|file| file.file)).collect();
        let row = with(event(caller, Operation::ContentOpen, files), "keep", keep);
        self.hand_out(row, answer).await
    }

    async fn read_contents(&self, caller: &Caller, OpenRequest { items, keep }: OpenRequest) -> Result<OpenReply, FileError> {
        if items.is_empty() || items.len() > BATCH_MAX_NODES {
            return Err(FileError::Bound("a request opens 1 to 2000 files; split it"));
        }
        // Before the facts: a loss from here on voids the tickets.
        let mark = self.losses.mark();
        let actor = self.actor(caller).await?;
        self.check_open(caller, &actor, &items, keep).await?;
        let contents = self.contents(&items).await?;
        let small: Vec<VersionId> =
            contents.iter().map(|(_, version)| version).filter(|version| may_be_small(version)).map(|version| version.id).collect();
        let mut left = BATCH_BODY_MAX_BYTES - RESERVE_BYTES;
        let mut files = Vec::with_capacity(contents.len());
        let mut named = Named::default();
        // Small contents are read in portions, so that what does not fit into the answer is not read either.
        let mut known: HashMap<VersionId, Vec<u8>> = HashMap::new();
        let mut portions = small.chunks(256);
        for (manifest, version) in contents {
            while may_be_small(&version) && !known.contains_key(&version.id) {
                let Some(portion) = portions.next() else { break };
                known.extend(self.store.small_contents(portion).await?);
            }
            let chunk = known.get(&version.id).cloned();
            let hashes = usize::try_from(version.chunk_count).unwrap_or(usize::MAX);
            let needed = FILE_OVERHEAD_BYTES + manifest.envelope.len() + chunk.as_ref().map_or(hashes.saturating_mul(HASH_BYTES), Vec::len);
            if needed > left {
                break;
            }
            left -= needed;
            named.manifest(&manifest.envelope)?;
            files.push(self.opened(caller, mark, manifest, version, chunk).await?);
        }
        if files.is_empty() {
            return Err(FileError::TooLarge);
        }
        Ok(OpenReply { files, grants: self.grants_named(named).await? })
    }

    async fn check_open(&self, caller: &Caller, actor: &Actor, items: &[OpenItem], keep: bool) -> Result<(), FileError> {
        let ids: Vec<NodeId> = items.iter().map(|item| item.file).collect();
        for facts in self.facts_of_all(actor, &ids).await? {
            if keep {
                let _permit = may_download(actor, &facts, caller.now)?;
            } else {
                let _permit = may_open(actor, &facts, caller.now)?;
            }
        }
        Ok(())
    }

    /// Manifests and versions in the order asked: the current ones in one query, older ones one by one.
    async fn contents(&self, items: &[OpenItem]) -> Result<Vec<(Manifest, Version)>, FileError> {
        let current: Vec<NodeId> = items.iter().filter(|item| item.manifest.is_none()).map(|item| item.file).collect();
        let current = self.store.entries(&current).await?;
        let current: HashMap<NodeId, _> = current.into_iter().map(|entry| (entry.node.id, entry.current)).collect();
        let mut contents = Vec::with_capacity(items.len());
        for item in items {
            contents.push(match item.manifest {
                Some(Hash(hash)) => self.store.manifest(item.file, &hash).await?.ok_or(Denial::NotFound)?,
                None => {
                    let current = current.get(&item.file).cloned().flatten().ok_or(Denial::NotFound)?;
                    (current.manifest, current.version)
                }
            });
        }
        Ok(contents)
    }

    async fn opened(
        &self,
        caller: &Caller,
        mark: LossMark,
        manifest: Manifest,
        version: Version,
        chunk: Option<Vec<u8>>,
    ) -> Result<OpenedFile, FileError> {
        let (hashes, ticket) = match &chunk {
            Some(bytes) => (vec![Hash(Digest::of(bytes).to_bytes())], None),
            None => {
                let chunks = self.store.chunks(version.id, 0, version.chunk_count).await?;
                let ticket = self.tickets.issue(TicketVerb::Read, version.file, version.id, version.size, caller, mark);
                (chunks.into_iter().map(|chunk| Hash(chunk.hash)).collect(), Some(ticket))
            }
        };
        Ok(OpenedFile {
            file: version.file,
            manifest: view::manifest(manifest),
            content_wrap: Blob(version.content_wrap),
            chunk_hashes: hashes,
            chunk: chunk.map(Blob),
            ticket,
        })
    }
}

/// Whether a version's only chunk could lie with the metadata.
fn may_be_small(version: &Version) -> bool {
    version.chunk_count == 1 && version.size <= SMALL_CONTENT_MAX_BYTES as u64
}
