//! The writer's half: entries, heads and manifests, sealed and signed.
//!
//! A request's records are signed in batches: one signature over all heads of it, one over all manifests.

use std::collections::HashMap;
use std::sync::Arc;

use ticrypt_api::node::{CreateRequest, NewContent, NewNode, NodeView};
use ticrypt_api::{Blob, Hash};
use ticrypt_crypto::directory::HeadPayload;
use ticrypt_crypto::entry::{Entry, entries_root, leaf_hash};
use ticrypt_crypto::manifest::{ManifestPayload, chunk_root};
use ticrypt_crypto::record::Record;
use ticrypt_crypto::signature::Payload;
use ticrypt_crypto::{Digest, Envelope, Signed, chunk};
use ticrypt_keyring::entry::{Boundary, seal};
use ticrypt_keyring::props::{EntryProps, ManifestProps};
use ticrypt_keyring::random;
use ticrypt_keyring::wrap::{ChildPlace, ManifestPlace, VersionPlace};
use ticrypt_keyring::{ContentKey, NodeKeys, PropsKey, SealError, SystemRandom};
use ticrypt_types::{DeploymentId, GrantId, NodeId, NodeKind, NodeName, Timestamp, VersionId};

use super::Vault;
use super::load::blocking;
use super::tree::{Current, Directory, Held, Member, Root};
use crate::error::{ClientError, Result};
use crate::keys::Batch;
use crate::state::SeenKind;

/// A content that is about to become a version.
#[derive(Debug)]
pub struct ContentDraft {
    pub version: VersionId,
    pub key: ContentKey,
    pub size: u64,
    pub chunk_hashes: Vec<Digest>,
    /// A small content, sealed.
    pub chunk: Option<Vec<u8>>,
    pub props: ManifestProps,
}

/// A node that is about to be created.
#[derive(Debug)]
pub struct NodeDraft {
    pub id: NodeId,
    /// The new directory of the same request that it is in, which stands before it; in the directory that is there if `None`.
    pub within: Option<NodeId>,
    pub keys: Arc<NodeKeys>,
    pub props: EntryProps,
    /// Of a file; a directory has none.
    pub content: Option<ContentDraft>,
}

impl NodeDraft {
    pub fn kind(&self) -> NodeKind {
        if self.content.is_some() { NodeKind::File } else { NodeKind::Directory }
    }

    /// A directory with new keys.
    pub fn directory(random: &SystemRandom, name: NodeName, now: Timestamp, modified: Timestamp, mode: u16) -> Result<Self> {
        Ok(Self {
            id: new_node_id(random)?,
            within: None,
            keys: Arc::new(NodeKeys::generate(random).map_err(cannot_seal)?),
            props: EntryProps { name, created: now, modified, mode },
            content: None,
        })
    }
}

pub(super) fn new_node_id(source: &SystemRandom) -> Result<NodeId> {
    Ok(NodeId::from_random(random::public(source).map_err(|e| cannot_seal(e.into()))?))
}

pub(super) fn new_version_id(source: &SystemRandom) -> Result<VersionId> {
    Ok(VersionId::from_random(random::public(source).map_err(|e| cannot_seal(e.into()))?))
}

pub(super) fn new_grant_id(source: &SystemRandom) -> Result<GrantId> {
    Ok(GrantId::from_random(random::public(source).map_err(|e| cannot_seal(e.into()))?))
}

pub(super) fn cannot_seal(error: SealError) -> ClientError {
    ClientError::broken("something could not be encrypted; nothing was sent").because(error)
}

/// A directory after nodes were created in it.
#[derive(Debug)]
pub(super) struct Created {
    pub directory: Arc<Directory>,
    /// The directories among them, with what was made in them.
    pub below: HashMap<NodeId, Directory>,
}

/// What a manifest follows.
#[derive(Clone, Debug)]
pub(super) struct After {
    pub sequence: u64,
    pub predecessor: Option<Digest>,
}

impl After {
    pub(super) const NOTHING: Self = Self { sequence: 0, predecessor: None };

    pub(super) fn of(current: &Current) -> Self {
        Self { sequence: current.manifest.sequence, predecessor: Some(current.manifest.record_hash()) }
    }
}

/// A content with its keys wrapped; only its manifest is still to be signed.
#[derive(Debug)]
pub(super) struct SealedContent {
    pub content_wrap: Vec<u8>,
    pub props_key: Vec<u8>,
    pub manifest: ManifestPayload,
}

/// What is the same in all records of one writer at one time.
#[derive(Clone, Debug)]
pub(super) struct Author {
    pub deployment: DeploymentId,
    pub user: ticrypt_types::UserId,
    pub bundle: Digest,
    pub authority: Option<Digest>,
    pub at: Timestamp,
}

impl Author {
    /// Wraps a content's keys under its file's and writes its manifest.
    pub(super) fn seal_content(
        &self,
        random: &SystemRandom,
        file: NodeId,
        epoch: u32,
        keys: &NodeKeys,
        content: &ContentDraft,
        after: &After,
    ) -> Result<SealedContent> {
        let tree = keys.tree.as_ref().ok_or_else(|| ClientError::refused("no_view", "writing needs the key to the contents"))?;
        let place = VersionPlace { deployment: self.deployment, file, epoch, version: content.version };
        let content_wrap = tree.wrap_content(random, &place, &content.key).map_err(cannot_seal)?;
        let sequence = after.sequence.saturating_add(1);
        let place = ManifestPlace { deployment: self.deployment, file, epoch, version: content.version, sequence };
        let props_key = PropsKey::generate(random).map_err(cannot_seal)?;
        let manifest = ManifestPayload {
            deployment: self.deployment,
            file,
            sequence,
            predecessor: after.predecessor,
            version: content.version,
            size: content.size,
            chunk_count: chunk::chunk_count_for(content.size),
            chunk_root: chunk_root(&content.chunk_hashes),
            key_commitment: content.key.commitment().map_err(|e| cannot_seal(e.into()))?,
            props: props_key.seal_manifest_props(random, &place, &content.props).map_err(cannot_seal)?,
            writer: self.user,
            writer_bundle: self.bundle,
            authority: self.authority,
            at: self.at,
        };
        let props_key = keys.list.wrap_props_key(random, &place, &props_key).map_err(cannot_seal)?;
        Ok(SealedContent { content_wrap, props_key, manifest })
    }

    /// A head that follows `before` and commits to these leaves.
    pub(super) fn head(
        &self,
        directory: NodeId,
        epoch: u32,
        before: Option<&Signed<HeadPayload>>,
        leaves: Vec<(NodeId, Digest)>,
    ) -> Result<HeadPayload> {
        Ok(HeadPayload {
            deployment: self.deployment,
            directory,
            counter: before.map_or(1, |head| head.counter.saturating_add(1)),
            epoch,
            entry_count: leaves.len() as u64,
            entries_root: entries_root(leaves).map_err(|e| ClientError::broken("an entry stands twice in a directory").because(e))?,
            previous: before.map(Signed::record_hash),
            writer: self.user,
            writer_bundle: self.bundle,
            authority: self.authority,
            at: self.at,
        })
    }
}

impl Vault {
    /// What this person writes as; in a group only once its directory is under the group's newest key.
    pub(super) fn author(&self, root: &Root) -> Result<Author> {
        root.check_key()?;
        Ok(self.author_of(root))
    }

    pub(super) fn author_of(&self, root: &Root) -> Author {
        let me = self.me();
        Author { deployment: self.deployment(), user: me.user, bundle: me.hash(), authority: root.authority(), at: crate::clock::now() }
    }

    /// Signs heads; also returns each as a reader will see it.
    pub(super) async fn sign_heads(&self, heads: Vec<HeadPayload>) -> Result<Vec<(Blob, Signed<HeadPayload>)>> {
        let envelopes = self.session.keys.sign(Batch::Directories(heads)).await?;
        envelopes.into_iter().map(|bytes| Ok((Blob(bytes.clone()), self.own(&bytes)?))).collect()
    }

    pub(super) async fn sign_head(&self, head: HeadPayload) -> Result<(Blob, Signed<HeadPayload>)> {
        self.sign_heads(vec![head]).await?.pop().ok_or_else(unsigned)
    }

    /// Signs manifests.
    pub(super) async fn sign_manifests(&self, manifests: Vec<ManifestPayload>) -> Result<Vec<Blob>> {
        if manifests.is_empty() {
            return Ok(Vec::new());
        }
        Ok(self.session.keys.sign(Batch::Manifests(manifests)).await?.into_iter().map(Blob).collect())
    }

    /// Reads back what we have signed: a broken signer is noticed here and not by the next reader.
    pub(super) fn own<T: Payload>(&self, envelope: &[u8]) -> Result<Signed<T>> {
        let verified = Envelope::parse(envelope).and_then(|envelope| envelope.verify_as(self.me().signing_key()));
        verified.map_err(|e| ClientError::broken("what was just signed does not verify; nothing was sent").because(e))
    }

    /// Creates nodes in a directory, in one request: one attempt.
    pub(super) async fn create_once(&self, directory: &Directory, drafts: &Arc<Vec<NodeDraft>>) -> Result<Created> {
        let author = self.author(&directory.held.root)?;
        let (held, shared, deployment) = (directory.held.clone(), Arc::clone(drafts), self.deployment());
        let sealing = author.clone();
        let (sealed, mut below) = blocking(move || seal_drafts(deployment, &held, &sealing, &shared)).await??;

        let mut leaves = HashMap::from([(directory.id(), directory.leaves().collect::<Vec<_>>())]);
        let mut bytes = Vec::with_capacity(sealed.len());
        for (entry, _) in &sealed {
            let encoded = entry.to_bytes();
            leaves.entry(entry.parent).or_default().push((entry.child, leaf_hash(&encoded)));
            bytes.push(encoded);
        }
        let mut leaves_of = |directory| leaves.remove(&directory).unwrap_or_default();
        let mut heads = vec![author.head(directory.id(), directory.held.epoch, Some(&directory.head), leaves_of(directory.id()))?];
        let mut manifests = Vec::new();
        for (entry, content) in &sealed {
            match content {
                None => heads.push(author.head(entry.child, 1, None, leaves_of(entry.child))?),
                Some(content) => manifests.push(content.manifest.clone()),
            }
        }
        let mut heads = self.sign_heads(heads).await?.into_iter();
        let mut manifests = self.sign_manifests(manifests).await?.into_iter();
        let (head_bytes, head) = heads.next().ok_or_else(unsigned)?;

        let mut nodes = Vec::with_capacity(sealed.len());
        let mut added: HashMap<NodeId, Vec<Member>> = HashMap::new();
        let mut made = Vec::new();
        for (((entry, content), bytes), draft) in sealed.into_iter().zip(bytes).zip(drafts.iter()) {
            let parent = entry.parent;
            let member = member_of(directory, draft, entry, bytes.clone(), author.at);
            let (first_head, new_content) = match (content, &draft.content) {
                (Some(sealed), Some(content)) => (None, Some(new_content(sealed, content, manifests.next().ok_or_else(unsigned)?))),
                _ => {
                    let (bytes, head) = heads.next().ok_or_else(unsigned)?;
                    made.push((draft.id, member.view.clone(), head));
                    (Some(bytes), None)
                }
            };
            nodes.push(NewNode { entry: Blob(bytes), head: first_head, content: new_content });
            added.entry(parent).or_default().push(member);
        }
        self.server().create(CreateRequest { directory: directory.id(), head: head_bytes, nodes }).await?;
        self.saw(SeenKind::Head, directory.id(), head.counter, head.record_hash())?;
        let mut added_to = |directory| added.remove(&directory).unwrap_or_default();
        let directory = Arc::new(directory.after(head, &[], added_to(directory.id())));
        let below =
            made.into_iter().filter_map(|(id, view, head)| Some((id, Directory::fresh(below.remove(&id)?, view, head, added_to(id)))));
        let below = below.collect();
        Ok(Created { directory, below })
    }
}

impl Held {
    /// A directory with these keys that begins below this one.
    fn beginning(&self, id: NodeId, keys: Arc<NodeKeys>) -> Self {
        Self { id, kind: NodeKind::Directory, epoch: 1, keys, root: Arc::clone(&self.root), lineage: self.lineage.below(id) }
    }
}

/// A content on its way, its manifest signed.
pub(super) fn new_content(sealed: SealedContent, content: &ContentDraft, manifest: Blob) -> NewContent {
    NewContent {
        version: content.version,
        content_wrap: Blob(sealed.content_wrap),
        manifest,
        props_key: Blob(sealed.props_key),
        chunk_hashes: content.chunk_hashes.iter().map(|hash| Hash(hash.to_bytes())).collect(),
        chunk: content.chunk.clone().map(Blob),
    }
}

/// Seals a child's entry under its directory's keys.
pub(super) fn seal_entry(
    random: &SystemRandom,
    deployment: DeploymentId,
    directory: &Held,
    child: (NodeId, NodeKind, u32),
    keys: &NodeKeys,
    props: &EntryProps,
    boundary: Boundary,
) -> Result<Entry> {
    let (child, kind, child_epoch) = child;
    let place = ChildPlace { deployment, parent: directory.id, parent_epoch: directory.epoch, child, kind, child_epoch };
    directory.tree_key()?;
    seal(random, &directory.keys, &place, keys, props, boundary).map_err(cannot_seal)
}

type Sealed = Vec<(Entry, Option<SealedContent>)>;

/// Seals drafts, each under the directory it is in; also gives the new directories among them.
fn seal_drafts(
    deployment: DeploymentId,
    directory: &Held,
    author: &Author,
    drafts: &[NodeDraft],
) -> Result<(Sealed, HashMap<NodeId, Held>)> {
    let random = SystemRandom::new();
    let (mut sealed, mut below) = (Vec::with_capacity(drafts.len()), HashMap::new());
    for draft in drafts {
        let parent = draft.within.map_or(Some(directory), |parent| below.get(&parent));
        let parent = parent.ok_or_else(|| ClientError::broken("something was to be made in a directory that is not made before it"))?;
        let entry = seal_entry(&random, deployment, parent, (draft.id, draft.kind(), 1), &draft.keys, &draft.props, Boundary::Inside)?;
        let content = match &draft.content {
            Some(content) => Some(author.seal_content(&random, draft.id, 1, &draft.keys, content, &After::NOTHING)?),
            None => None,
        };
        if content.is_none() {
            let held = parent.beginning(draft.id, Arc::clone(&draft.keys));
            below.insert(draft.id, held);
        }
        sealed.push((entry, content));
    }
    Ok((sealed, below))
}

fn member_of(directory: &Directory, draft: &NodeDraft, entry: Entry, bytes: Vec<u8>, now: Timestamp) -> Member {
    let view = NodeView {
        node: draft.id,
        parent: Some(entry.parent),
        owner: directory.held.root.owner(),
        kind: draft.kind(),
        epoch: 1,
        created_ms: now,
        head_counter: u64::from(draft.content.is_none()),
        sequence: u64::from(draft.content.is_some()),
        conflicts: 0,
        trashed_ms: None,
        keys_stale: false,
        shares: 0,
    };
    Member {
        leaf: leaf_hash(&bytes),
        bytes,
        entry,
        name: draft.props.name.clone(),
        view,
        current: None,
        tags: Vec::new(),
        own_keys: None,
        waiting: false,
    }
}

pub(super) fn unsigned() -> ClientError {
    ClientError::broken("fewer records were signed than were asked for; nothing was sent")
}
