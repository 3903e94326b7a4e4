//! New entries of one directory, and of new directories among them: up to 2 000 nodes, small contents with them (docs/formats.md §7).
//!
//! Everything per node is hashing and comparing in memory; the database sees a few statements for the whole batch, the log one row.

use std::collections::{BTreeSet, HashMap};

use ticrypt_api::node::{CreateRequest, HeadReply, NewNode};
use ticrypt_api::role::{Caller, Reply};
use ticrypt_api::{ApiError, Blob, Hash};
use ticrypt_crypto::Signed;
use ticrypt_crypto::directory::HeadPayload;
use ticrypt_policy::Permit;
use ticrypt_policy::node::{Making, may_create};
use ticrypt_policy::permit::NodeCreate;
use ticrypt_store::node::{CreateNodes, NodeNew};
use ticrypt_types::{NodeId, Operation};

use super::FileRole;
use super::audited::{Plan, event, with};
use super::error::FileError;
use super::newcomer::{Newcomer, NewcomerKind, read};
use super::place::{decided, entry_new, epoch, head_new};
use super::publish::content_new;
use super::records::{Reader, entry};
use super::{fit, off_thread};

type Planned = Plan<(Permit<NodeCreate>, CreateNodes), HeadReply>;

impl FileRole {
    pub(super) async fn node_create(&self, caller: &Caller, request: CreateRequest) -> Result<Reply<HeadReply>, ApiError> {
        let directory = request.directory;
        let (children, request) =
            off_thread(move || Ok((children(&request.nodes)?, request))).await.map_err(|error| error.into_api(caller.now))?;
        let count = children.len();
        // The children first: a row has room for them, and the directory stands in the detail as well.
        let row = event(caller, Operation::NodeCreate, children.iter().copied().chain([directory]));
        let row = with(with(row, "directory", directory), "nodes", count);
        let plan = self.plan_create(caller, request, children).await;
        let store = self.store.clone();
        self.change(row, plan, move |(permit, create)| async move {
            let head_counter = create.head.counter;
            store.create_nodes(permit, create).await?;
            Ok(HeadReply { head_counter })
        })
        .await
    }

    async fn plan_create(&self, caller: &Caller, request: CreateRequest, children: Vec<NodeId>) -> Result<Planned, FileError> {
        let who = self.who(caller).await?;
        let facts = self.facts_of(&who.actor, request.directory).await?;
        let is_directory = |node: &NewNode| node.head.is_some();
        let making = Making { files: !request.nodes.iter().all(is_directory), directories: request.nodes.iter().any(is_directory) };
        let permit = decided(may_create(&who.actor, &facts, making, caller.now), &facts.path)?;
        let place = self.place(request.directory).await?;
        let (deployment, now, at) = (self.deployment, caller.now, epoch(facts.epoch)?);
        let CreateRequest { directory, head: head_bytes, nodes } = request;
        let (head, newcomers, place, who, head_bytes) = off_thread(move || {
            let mut reader = Reader::new(deployment, &who.signer, now);
            let head = reader.head(&head_bytes)?;
            let newcomers = read(&mut reader, nodes, directory, at)?;
            Ok((head, newcomers, place, who, head_bytes))
        })
        .await?;
        if head.counter <= place.counter {
            return self.created_before(&head, &newcomers, children).await;
        }
        self.uploads_fit(caller, &newcomers).await?;
        let (owner, brought) = (facts.owner, newcomers.iter().map(Newcomer::stored_bytes).sum());
        let (head, newcomers) = off_thread(move || {
            let own = newcomers.iter().map(|new| &new.read).filter(|read| read.entry.parent == directory);
            fit::head(&head, place.before(), place.leaves_with(&[], own))?;
            let named: BTreeSet<_> = newcomers.iter().map(Newcomer::authority).chain([head.authority]).collect();
            for authority in named {
                fit::authority(&facts, &who.actor, authority, now)?;
            }
            Ok((head, newcomers))
        })
        .await?;
        self.charge(owner, brought, caller.now).await?;
        let nodes = newcomers.into_iter().map(node_new).collect::<Result<_, _>>()?;
        Ok(Plan::Do((permit, CreateNodes { head: head_new(&head, head_bytes), nodes, created: caller.now })))
    }

    /// The head is not new. If all its nodes are there as the request has them, the request was carried out before.
    async fn created_before(
        &self,
        head: &Signed<HeadPayload>,
        newcomers: &[Newcomer],
        children: Vec<NodeId>,
    ) -> Result<Planned, FileError> {
        let stored = self.store.entries(&children).await?;
        let stored: HashMap<NodeId, _> = stored.into_iter().map(|entry| (entry.node.id, entry.node)).collect();
        let same = |new: &Newcomer| stored.get(&new.node()).is_some_and(|node| node.leaf == new.read.leaf.to_bytes());
        if newcomers.iter().all(same) { Ok(Plan::Again(HeadReply { head_counter: head.counter })) } else { Err(FileError::Stale) }
    }

    /// Contents that do not come along were uploaded by the caller, for this file in this directory, and are what the manifest says.
    async fn uploads_fit(&self, caller: &Caller, newcomers: &[Newcomer]) -> Result<(), FileError> {
        for new in newcomers {
            if let NewcomerKind::File { manifest, content } = &new.what
                && content.chunk.is_none()
            {
                self.upload_fits(caller, new.node(), Some(new.read.entry.parent), manifest, &content.chunk_hashes).await?;
            }
        }
        Ok(())
    }

    /// An upload holds exactly the chunks that a manifest was signed over.
    pub(super) async fn upload_fits(
        &self,
        caller: &Caller,
        file: NodeId,
        directory: Option<NodeId>,
        manifest: &Signed<ticrypt_crypto::manifest::ManifestPayload>,
        hashes: &[Hash],
    ) -> Result<(), FileError> {
        let upload = self.store.upload(manifest.version).await?;
        let upload = upload.filter(|upload| upload.version.created_by == caller.user && upload.version.file == file);
        let upload = upload.ok_or_else(|| FileError::unfit("upload_unknown", "no upload of yours has this version; begin one"))?;
        if !upload.facts().open {
            return Err(ticrypt_policy::Denial::UploadOver.into());
        }
        if upload.directory != directory {
            return Err(FileError::unfit("upload_directory", "the upload was begun for another directory; begin one for this"));
        }
        if upload.version.size != manifest.size {
            return Err(FileError::unfit("manifest_size", "the manifest has another size than the upload; sign one for what was uploaded"));
        }
        let chunks = self.store.chunks(manifest.version, 0, upload.version.chunk_count).await?;
        if chunks.len() as u64 != upload.version.chunk_count {
            return Err(FileError::unfit("chunks_missing", "chunks are missing; upload them, then publish again"));
        }
        if chunks.iter().map(|chunk| chunk.hash).eq(hashes.iter().map(|Hash(hash)| *hash)) {
            Ok(())
        } else {
            Err(FileError::unfit("manifest_chunks", "the manifest was signed over other chunks than were uploaded"))
        }
    }
}

/// Which nodes a request would make; needed for the row before anything is verified.
fn children(nodes: &[NewNode]) -> Result<Vec<NodeId>, FileError> {
    if nodes.is_empty() || nodes.len() > ticrypt_types::limits::BATCH_MAX_NODES {
        return Err(FileError::Bound("a request creates 1 to 2000 nodes; split it"));
    }
    nodes.iter().map(|node| Ok(entry(Blob(node.entry.0.clone()))?.entry.child)).collect()
}

fn node_new(new: Newcomer) -> Result<NodeNew, FileError> {
    let (head, content) = match new.what {
        NewcomerKind::Directory { head, bytes } => (Some(head_new(&head, bytes)), None),
        NewcomerKind::File { manifest, content } => (None, Some(content_new(&manifest, content, false))),
    };
    Ok(NodeNew { entry: entry_new(new.read), head, content })
}
