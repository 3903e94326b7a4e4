//! Uploads of contents too large to travel with their metadata: begun in a batch, resumed, given up. Chunks move under tickets.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use ticrypt_api::role::{Caller, Reply};
use ticrypt_api::upload::{NewUpload, StoredChunk, UploadBeginReply, UploadBeginRequest, UploadStatusReply};
use ticrypt_api::{ApiError, Blob, Hash};
use ticrypt_crypto::chunk::chunk_count_for;
use ticrypt_policy::node::NodeFacts;
use ticrypt_policy::permit::{UploadAbandon, UploadBegin};
use ticrypt_policy::version::{may_abandon, may_upload};
use ticrypt_policy::{Denial, Permit};
use ticrypt_store::version::{Upload, UploadNew};
use ticrypt_store::{Store, StoreError, Taken};
use ticrypt_types::limits::{BATCH_MAX_NODES, CHUNKS_MAX};
use ticrypt_types::{NodeId, NodeKind, Operation, UserId, VersionId};

use super::FileRole;
use super::audited::{Plan, event, event_about, with};
use super::error::FileError;
use super::place::decided;
use super::quota::stored_bytes;
use super::records::wrap;
use super::ticket::TicketVerb;

type Planned = Plan<(Vec<Permit<UploadBegin>>, Vec<UploadNew>), UploadBeginReply>;

impl FileRole {
    pub(super) async fn upload_begin(&self, caller: &Caller, request: UploadBeginRequest) -> Result<Reply<UploadBeginReply>, ApiError> {
        let row = event(caller, Operation::UploadBegin, request.uploads.iter().map(|upload| upload.file));
        let row = with(row, "uploads", request.uploads.len());
        // Before the facts: a loss from here on voids the tickets.
        let mark = self.losses.mark();
        let mut tickets = Vec::with_capacity(request.uploads.len());
        for new in &request.uploads {
            tickets.push(self.tickets.issue(TicketVerb::Write, new.file, new.version, new.size_bytes, caller, mark));
        }
        let plan = self.plan_uploads(caller, request.uploads).await;
        let (store, user, at) = (self.store.clone(), caller.user, caller.now);
        self.change(row, plan, move |(permits, uploads): (Vec<Permit<UploadBegin>>, Vec<UploadNew>)| async move {
            match store.begin_uploads(permits, uploads.clone(), at).await {
                Ok(()) => {}
                // The same request once more: it was begun, and these are new tickets for it.
                Err(StoreError::Taken(Taken::VersionId)) if all_begun(&store, user, &uploads).await? => {}
                Err(error) => return Err(error.into()),
            }
            Ok(UploadBeginReply { tickets })
        })
        .await
    }

    async fn plan_uploads(&self, caller: &Caller, uploads: Vec<NewUpload>) -> Result<Planned, FileError> {
        if uploads.is_empty() || uploads.len() > BATCH_MAX_NODES {
            return Err(FileError::Bound("a request begins 1 to 2000 uploads; split it"));
        }
        let mut versions = HashSet::with_capacity(uploads.len());
        for upload in &uploads {
            wrap(&upload.content_wrap)?;
            if chunk_count_for(upload.size_bytes) > CHUNKS_MAX {
                return Err(FileError::Bound("a file holds at most 8 TiB; split it"));
            }
            if !versions.insert(upload.version) {
                return Err(FileError::Bound("the request names a version twice; give each an id of its own"));
            }
        }
        let actor = self.actor(caller).await?;
        actor.check(caller.now)?;
        let places: BTreeSet<NodeId> = uploads.iter().map(|upload| upload.directory.unwrap_or(upload.file)).collect();
        let places: Vec<NodeId> = places.into_iter().collect();
        let facts = self.facts_of_all(&actor, &places).await?;
        let mut permits = Vec::with_capacity(facts.len());
        for place in &facts {
            permits.push(decided(may_upload(&actor, place, caller.now), &place.path)?);
        }
        self.kinds_fit(&uploads, &facts).await?;
        let new = uploads.into_iter().map(|upload| UploadNew {
            version: upload.version,
            file: upload.file,
            directory: upload.directory,
            content_wrap: upload.content_wrap.0,
            size: upload.size_bytes,
            chunk_count: chunk_count_for(upload.size_bytes),
            session_epoch: caller.epoch,
        });
        let new: Vec<UploadNew> = new.collect();
        self.charge_uploads(caller, &new, &facts).await?;
        Ok(Plan::Do((permits, new)))
    }

    /// Each to who pays for the tree it is for.
    async fn charge_uploads(&self, caller: &Caller, uploads: &[UploadNew], facts: &[NodeFacts]) -> Result<(), FileError> {
        let mut owners: BTreeMap<UserId, u64> = BTreeMap::new();
        for upload in uploads {
            let place = upload.directory.unwrap_or(upload.file);
            if let Some(facts) = facts.iter().find(|facts| facts.node == place) {
                *owners.entry(facts.owner).or_default() += stored_bytes(upload.size, upload.chunk_count);
            }
        }
        for (owner, more) in owners {
            match self.charge(owner, more, caller.now).await {
                // What was begun before is charged already.
                Err(FileError::Denied(_)) if all_begun(&self.store, caller.user, uploads).await? => {}
                charged => charged?,
            }
        }
        Ok(())
    }

    /// New files go into directories and have ids of their own, new versions go to files.
    async fn kinds_fit(&self, uploads: &[NewUpload], facts: &[NodeFacts]) -> Result<(), FileError> {
        let kind = |node: NodeId| facts.iter().find(|facts| facts.node == node).map(|facts| facts.kind);
        let mut new = Vec::new();
        for upload in uploads {
            match upload.directory {
                Some(directory) if kind(directory) != Some(NodeKind::Directory) => return Err(Denial::NotADirectory.into()),
                Some(_) => new.push(upload.file),
                None if kind(upload.file) != Some(NodeKind::File) => return Err(Denial::NotAFile.into()),
                None => {}
            }
        }
        if new.is_empty() || self.store.entries(&new).await?.is_empty() {
            Ok(())
        } else {
            Err(FileError::Taken { code: "taken", why: "the id of a new file is taken; choose another" })
        }
    }

    /// One's own uploads only: somebody else's answers like one that does not exist.
    async fn own_upload(&self, caller: &Caller, version: VersionId) -> Result<Upload, FileError> {
        let upload = self.store.upload(version).await?;
        Ok(upload.filter(|upload| upload.version.created_by == caller.user).ok_or(Denial::NotFound)?)
    }

    pub(super) async fn upload_state(&self, caller: &Caller, version: VersionId) -> Result<Reply<UploadStatusReply>, ApiError> {
        let answer = self.read_upload(caller, version).await;
        answer.map(|body| Reply { body, opened: None }).map_err(|error| error.into_api(caller.now))
    }

    async fn read_upload(&self, caller: &Caller, version: VersionId) -> Result<UploadStatusReply, FileError> {
        let mark = self.losses.mark();
        let actor = self.actor(caller).await?;
        actor.check(caller.now)?;
        let upload = self.own_upload(caller, version).await?;
        if !upload.facts().open {
            return Err(Denial::UploadOver.into());
        }
        // A new ticket is a new decision: whoever lost the place since gets none.
        let place = self.facts_of(&actor, upload.directory.unwrap_or(upload.version.file)).await?;
        let _permit = decided(may_upload(&actor, &place, caller.now), &place.path)?;
        let stored = self.store.chunks(version, 0, upload.version.chunk_count).await?;
        let Upload { version: content, .. } = upload;
        Ok(UploadStatusReply {
            file: content.file,
            size_bytes: content.size,
            content_wrap: Blob(content.content_wrap),
            stored: stored.into_iter().map(|chunk| StoredChunk { number: chunk.number, hash: Hash(chunk.hash) }).collect(),
            ticket: self.tickets.issue(TicketVerb::Write, content.file, version, content.size, caller, mark),
        })
    }

    pub(super) async fn upload_abandon(&self, caller: &Caller, version: VersionId) -> Result<Reply<()>, ApiError> {
        let row = event_about(caller, Operation::UploadAbandon, [version.to_bytes()]);
        let plan = self.plan_abandon(caller, version).await;
        let (store, chunks, at) = (self.store.clone(), self.chunks.clone(), caller.now);
        self.change(row, plan, move |(permit, file): (Permit<UploadAbandon>, NodeId)| async move {
            store.abandon(permit, at).await?;
            chunks.delete(file, version).await;
            Ok(())
        })
        .await
    }

    async fn plan_abandon(&self, caller: &Caller, version: VersionId) -> Result<Plan<(Permit<UploadAbandon>, NodeId), ()>, FileError> {
        let actor = self.actor(caller).await?;
        actor.check(caller.now)?;
        let upload = self.own_upload(caller, version).await?;
        let permit = may_abandon(&actor, &upload.facts(), caller.now)?;
        Ok(Plan::Do((permit, upload.version.file)))
    }
}

/// Whether these uploads are under way already, begun by the same person with the same words.
async fn all_begun(store: &Store, user: UserId, uploads: &[UploadNew]) -> Result<bool, FileError> {
    for new in uploads {
        let begun = store.upload(new.version).await?.is_some_and(|old| {
            let same = (old.version.file, old.directory, old.version.size) == (new.file, new.directory, new.size);
            same && old.version.created_by == user && old.facts().open && old.version.content_wrap == new.content_wrap
        });
        if !begun {
            return Ok(false);
        }
    }
    Ok(true)
}
