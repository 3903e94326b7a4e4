//! New keys for nodes of one directory.
//!
//! ```text
//!   roll one node:   new L, T, epoch + 1
//!     ├─ its entry under its parent, and the parent's next head      (or, for the root of a tree, the owner's grant)
//!     ├─ a directory: every entry below, the trash too, and its next head
//!     ├─ a file: every version's content key, every manifest's property key
//!     └─ every remaining grant, sealed anew under unchanged terms; of what is tagged itself the owner's too
//! ```
//!
//! Many nodes of one directory go in one request, under one head of it, with one signature over all heads.

use std::collections::btree_map::Entry as Known;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use ticrypt_api::grant::NewGrant;
use ticrypt_api::node::{RekeyRequest, RekeyedNode};
use ticrypt_api::version::FileVersions;
use ticrypt_api::{Blob, Hash};
use ticrypt_crypto::directory::HeadPayload;
use ticrypt_crypto::entry::{Entry, leaf_hash};
use ticrypt_crypto::record::Record;
use ticrypt_crypto::{Digest, Signed};
use ticrypt_keyring::entry::Boundary;
use ticrypt_keyring::wrap::{ManifestPlace, VersionPlace};
use ticrypt_keyring::{NodeKeys, entry as sealed_entry};
use ticrypt_types::{Compartment, NodeId, NodeKind, ProjectId};

use super::Vault;
use super::make::{cannot_seal, seal_entry, unsigned};
use super::path::VaultPath;
use super::retry::Attempts;
use super::tree::{Directory, Held, Member, sealed};
use super::trust::lie;
use crate::error::{ClientError, Kind, Result};
use crate::group::CompartmentKey;
use crate::state::SeenKind;

/// Nodes of one request.
pub(super) const STEP: usize = 500;
/// Records of one request, unless a single node has more.
const STEP_RECORDS: usize = 6_000;

/// What came of new keys.
#[derive(Debug)]
pub(super) struct Rolled {
    /// The directory that holds the nodes, after its new head.
    pub directory: Arc<Directory>,
    /// The directories among the nodes, under their new keys.
    pub below: Vec<Arc<Directory>>,
}

/// What one request did.
struct Step {
    nodes: HashSet<NodeId>,
    directory: Arc<Directory>,
    below: Vec<Arc<Directory>>,
}

/// One node with its new keys, ready but for signatures.
struct Draft {
    held: Held,
    next: Held,
    member: Arc<Member>,
    entry: Vec<u8>,
    /// Of a directory: its next head, to be signed, and itself after that.
    head: Option<(HeadPayload, Arc<Directory>, Vec<Member>)>,
    node: RekeyedNode,
    boundary: Boundary,
    /// Which of a group's keys is for it under its new keys.
    compartment: Compartment,
}

/// A request for new keys, signed, and what is there once it is taken.
pub(super) struct Ready {
    pub nodes: Vec<RekeyedNode>,
    /// The next head of the directory that holds the nodes, as it goes out and as it is.
    pub parent_head: Blob,
    pub head: Signed<HeadPayload>,
    /// The nodes by their new entries.
    pub after: Vec<Member>,
    /// The directories among them, under their new keys.
    pub below: Vec<Arc<Directory>>,
}

impl Vault {
    /// New keys for children of a directory, until the change fits what others do at the same time. Those that are gone are done.
    pub(super) async fn roll_members(&self, directory: Arc<Directory>, nodes: &[NodeId]) -> Result<Rolled> {
        let mut rolled = Rolled { directory, below: Vec::new() };
        let mut left = nodes.to_vec();
        let mut attempts = Attempts::default();
        loop {
            let members: Vec<Arc<Member>> = left.iter().filter_map(|node| rolled.directory.by_id(*node).cloned()).collect();
            if members.is_empty() {
                return Ok(rolled);
            }
            match self.roll_step(&rolled.directory, &members).await {
                Ok(step) => {
                    left.retain(|node| !step.nodes.contains(node));
                    rolled.directory = step.directory;
                    rolled.below.extend(step.below);
                }
                // Others above are named by whoever called; here only races are run again. What is deleted from the trash changes no head.
                Err(error) if error.kind() == Kind::Stale || error.code() == "rekey_entries" => {
                    attempts.again(self, error, &VaultPath::home()).await?;
                    rolled.directory = self.load(&rolled.directory.held, false).await?;
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// One request for as many of the members as fit.
    async fn roll_step(&self, directory: &Arc<Directory>, members: &[Arc<Member>]) -> Result<Step> {
        let Ready { nodes, parent_head, head, after, below } = self.ready(directory, members, None).await?;
        let done: HashSet<NodeId> = nodes.iter().map(|node| node.node).collect();
        self.server().rekey(RekeyRequest { parent_head: Some(parent_head), nodes }).await?;
        self.saw(SeenKind::Head, directory.id(), head.counter, head.record_hash())?;
        for directory in &below {
            self.saw(SeenKind::Head, directory.id(), directory.head.counter, directory.head.record_hash())?;
        }
        // What is tagged itself has its new keys in a grant, which comes with the listing.
        if !after.iter().any(|member| member.entry.has_own_keys()) {
            return Ok(Step { nodes: done, directory: Arc::new(directory.after(head, &[], after)), below });
        }
        let directory = self.load(&directory.held, false).await?;
        if directory.held.root.group.is_none() {
            return Ok(Step { nodes: done, directory, below });
        }
        // And in a group the grant says under which key.
        let mut held = Vec::with_capacity(below.len());
        for id in below.iter().map(|below| below.id()) {
            if let Some(member) = directory.by_id(id) {
                held.push(self.descend(&directory, member).await?);
            }
        }
        let below = self.load_all(held, false).await?;
        Ok(Step { nodes: done, directory, below })
    }

    /// New keys for the first of the members that fit into one request, with everything that goes with them, signed. `tags`: the members'
    /// own from now on, by which their keys are wrapped or their own; those they have if `None`.
    pub(super) async fn ready(&self, directory: &Arc<Directory>, members: &[Arc<Member>], tags: Option<&[ProjectId]>) -> Result<Ready> {
        let mut drafts = self.drafts(directory, members, tags).await?;
        let author = self.author(&directory.held.root)?;
        let new: HashMap<NodeId, Digest> = drafts.iter().map(|draft| (draft.next.id, leaf_hash(&draft.entry))).collect();
        let leaves = directory.leaves().map(|(id, leaf)| (id, new.get(&id).copied().unwrap_or(leaf))).collect();
        let mut heads = vec![author.head(directory.id(), directory.held.epoch, Some(&directory.head), leaves)?];
        heads.extend(drafts.iter().filter_map(|draft| draft.head.as_ref().map(|(head, ..)| head.clone())));
        let mut signed = self.sign_heads(heads).await?.into_iter();
        let (parent_head, head) = signed.next().ok_or_else(unsigned)?;
        let mut keys = BTreeMap::new();
        for draft in &mut drafts {
            draft.node.grants = self.seals_anew(draft, &mut keys).await?;
        }
        let (mut nodes, mut below, mut after) = (Vec::with_capacity(drafts.len()), Vec::new(), Vec::with_capacity(drafts.len()));
        for Draft { next, member, entry, head, mut node, .. } in drafts {
            let mut view = member.view.clone();
            (view.epoch, view.keys_stale) = (next.epoch, false);
            if let Some((_, before, members)) = head {
                let (bytes, head) = signed.next().ok_or_else(unsigned)?;
                node.head = Some(bytes);
                view.head_counter = head.counter;
                below.push(Arc::new(before.rekeyed(next, view.clone(), head, members)));
            }
            after.push(rewrapped(&member, entry.clone(), view)?);
            node.entry = Some(Blob(entry));
            nodes.push(node);
        }
        Ok(Ready { nodes, parent_head, head, after, below })
    }

    /// Seals of the new keys: for those who had the old ones, and for the owner where the keys are the node's own from now on.
    async fn seals_anew(&self, draft: &Draft, keys: &mut BTreeMap<Compartment, CompartmentKey>) -> Result<Vec<NewGrant>> {
        let (was_own, is_own) = (draft.member.entry.has_own_keys(), draft.boundary == Boundary::Own);
        if let Some(group) = &draft.held.root.group {
            if !is_own {
                return Ok(Vec::new());
            }
            let key = match keys.entry(draft.compartment.clone()) {
                Known::Occupied(known) => known.into_mut(),
                Known::Vacant(new) => new.insert(self.groups.open_compartment(group, &draft.compartment).await?),
            };
            let predecessor = was_own.then(|| draft.held.root.grant.record_hash());
            return Ok(vec![self.seal_to_compartment(group, key, &draft.next, predecessor).await?]);
        }
        let mut seals = Vec::new();
        if was_own || draft.member.view.shares > 0 {
            seals = self.reseal(&draft.held, &draft.next, &[], is_own).await?;
        }
        if is_own && !was_own {
            let next = &draft.next;
            let terms = self.with_key_log(self.own_terms(next.id, next.kind, next.epoch, &next.keys)?).await;
            seals.extend(self.seal_grants(next, vec![terms], vec![Arc::new(self.me().bundle.clone())]).await?);
        }
        Ok(seals)
    }

    /// New keys, and all that hangs under them, for the first of the members that fit into one request.
    async fn drafts(&self, directory: &Directory, members: &[Arc<Member>], tags: Option<&[ProjectId]>) -> Result<Vec<Draft>> {
        self.open_members(directory, members.iter().map(Arc::as_ref)).await?;
        let descend = |member: &Arc<Member>| directory.descend(self.deployment(), member, &self.boundaries);
        let held: Vec<Held> = members.iter().map(descend).collect::<Result<_>>()?;
        let of_kind = |kind: NodeKind| held.iter().filter(move |held| held.kind == kind);
        let files: Vec<NodeId> = of_kind(NodeKind::File).map(|held| held.id).collect();
        let mut histories = self.histories(&files).await?.into_iter();
        let mut directories = self.load_all(of_kind(NodeKind::Directory).cloned().collect(), false).await?.into_iter();
        let (mut drafts, mut records): (Vec<Draft>, usize) = (Vec::with_capacity(members.len()), 0);
        for (member, held) in members.iter().zip(held) {
            let next = self.next_keys(&held)?;
            let mut node = blank(&next);
            let mut head = None;
            match held.kind {
                NodeKind::File => {
                    let history = histories.next().ok_or_else(|| lie("the server withholds a file's history"))?;
                    self.versions_anew(&held, &next, &history, &mut node)?;
                }
                NodeKind::Directory => {
                    let below = directories.next().ok_or_else(|| lie("the server sent no listing"))?;
                    let members = self.entries_anew(&below, &next, &mut node).await?;
                    let leaves = members.iter().map(|member| (member.id(), member.leaf)).collect();
                    // Under whichever key of the group it was: it gets the newest now.
                    let author = if member.entry.has_own_keys() { self.author_of(&held.root) } else { self.author(&held.root)? };
                    head = Some((author.head(held.id, next.epoch, Some(&below.head), leaves)?, below, members));
                }
            }
            records += node.records();
            if records > STEP_RECORDS && !drafts.is_empty() {
                break;
            }
            let props = directory.props(self.deployment(), member, &held)?;
            let child = (held.id, held.kind, next.epoch);
            let boundary = match tags {
                None => member.boundary(),
                Some([]) => Boundary::Inside,
                Some(_) => Boundary::Own,
            };
            let compartment = held.lineage.tagged(tags.unwrap_or(&member.tags)).compartment()?;
            let entry = seal_entry(&self.random, self.deployment(), &directory.held, child, &next.keys, &props, boundary)?.to_bytes();
            drafts.push(Draft { held, next, member: Arc::clone(member), entry, head, node, boundary, compartment });
        }
        Ok(drafts)
    }

    /// New keys for the root of one's own tree or of a group's; another's root is theirs to roll.
    pub(super) async fn roll_root(&self, held: &Held) -> Result<()> {
        if let Some(group) = &held.root.group {
            return self.roll_group_root(group.group()).await;
        }
        if !held.root.is_home {
            return Err(ClientError::refused(
                "epoch_closed",
                "somebody lost access to what is shared with you here, and only who holds the directory above can make its new keys: ask its owner to run `ticrypt rekey`",
            ));
        }
        let mut attempts = Attempts::default();
        loop {
            match self.roll_root_once().await {
                Err(error) if error.kind() == Kind::Stale || error.code() == "rekey_entries" => {
                    attempts.again(self, error, &VaultPath::home()).await?;
                }
                other => return other,
            }
        }
    }

    async fn roll_root_once(&self) -> Result<()> {
        let held = self.home().await?;
        let directory = self.load(&held, false).await?;
        let next = self.next_keys(&held)?;
        let mut node = blank(&next);
        let members = self.entries_anew(&directory, &next, &mut node).await?;
        let leaves = members.iter().map(|member| (member.id(), member.leaf)).collect();
        let (bytes, head) = self.sign_head(self.author(&held.root)?.head(held.id, next.epoch, Some(&directory.head), leaves)?).await?;
        let own = self.trust.envelope(&held.root.grant.record_hash()).ok_or_else(|| lie("one's own grant is not at hand"))?;
        node.head = Some(bytes);
        node.grants = self.reseal(&held, &next, &[Blob(own)], true).await?;
        self.server().rekey(RekeyRequest { parent_head: None, nodes: vec![node] }).await?;
        self.saw(SeenKind::Head, held.id, head.counter, head.record_hash())
    }

    pub(super) fn next_keys(&self, held: &Held) -> Result<Held> {
        let keys = Arc::new(NodeKeys::generate(&self.random).map_err(cannot_seal)?);
        let epoch = held.epoch.checked_add(1).ok_or_else(|| ClientError::broken("the node has had too many keys"))?;
        // Without the tree key nothing below could be wrapped anew.
        held.tree_key()?;
        Ok(Held { epoch, keys, ..held.clone() })
    }

    /// Every entry of a directory under its new keys, the trash too; gives those that are not in the trash.
    pub(super) async fn entries_anew(&self, directory: &Directory, next: &Held, node: &mut RekeyedNode) -> Result<Vec<Member>> {
        let mut members = Vec::with_capacity(directory.len());
        for member in directory.members() {
            let bytes = self.entry_anew(&directory.held, next, &member.entry)?;
            node.entries.push(Blob(bytes.clone()));
            members.push(rewrapped(member, bytes, member.view.clone())?);
        }
        for view in self.trash_entries(directory.id()).await? {
            let entry = Entry::parse(&view.entry.0).map_err(|e| lie("an entry in the trash cannot be read").because(e))?;
            node.entries.push(Blob(self.entry_anew(&directory.held, next, &entry)?));
        }
        Ok(members)
    }

    /// The same child with the same keys, under its directory's new ones.
    fn entry_anew(&self, held: &Held, next: &Held, entry: &Entry) -> Result<Vec<u8>> {
        let deployment = self.deployment();
        let name = sealed_entry::open_name(deployment, &held.keys.list, entry).map_err(|e| sealed("a name", e))?;
        if entry.has_own_keys() {
            let carried = sealed_entry::carry(&self.random, &next.keys.list, next.epoch, &name, entry, deployment);
            return Ok(carried.map_err(cannot_seal)?.to_bytes());
        }
        let keys = held.child(deployment, entry, &self.boundaries)?.keys;
        let props = sealed_entry::open_props(deployment, &keys.list, entry, Some(&name)).map_err(|e| sealed("properties", e))?;
        let child = (entry.child, entry.kind, entry.child_epoch);
        Ok(seal_entry(&self.random, deployment, next, child, &keys, &props, Boundary::Inside)?.to_bytes())
    }

    /// Every content key and property key of a file under its new keys.
    fn versions_anew(&self, held: &Held, next: &Held, history: &FileVersions, node: &mut RekeyedNode) -> Result<()> {
        let (old, new) = (held.tree_key()?, next.tree_key()?);
        for stored in &history.contents {
            let at = |epoch| VersionPlace { deployment: self.deployment(), file: held.id, epoch, version: stored.version };
            let key = old.unwrap_content(&at(held.epoch), &stored.content_wrap.0).map_err(|e| sealed("a content key", e))?;
            let wrap = new.wrap_content(&self.random, &at(next.epoch), &key).map_err(cannot_seal)?;
            node.content_wraps.push((stored.version, Blob(wrap)));
        }
        for view in &history.manifests {
            let manifest = self.trust.manifest(&view.manifest, super::trust::Tree { is_whole: false, ..held.tree() })?;
            let at = |epoch| ManifestPlace {
                deployment: self.deployment(),
                file: held.id,
                epoch,
                version: manifest.version,
                sequence: manifest.sequence,
            };
            let key = held.keys.list.unwrap_props_key(&at(held.epoch), &view.props_key.0);
            let key = key.map_err(|e| sealed("the key of a file's properties", e))?;
            let wrap = next.keys.list.wrap_props_key(&self.random, &at(next.epoch), &key).map_err(cannot_seal)?;
            node.props_keys.push((Hash(manifest.record_hash().to_bytes()), Blob(wrap)));
        }
        Ok(())
    }
}

/// A request's part for a node, still empty.
pub(super) fn blank(next: &Held) -> RekeyedNode {
    RekeyedNode {
        node: next.id,
        epoch: next.epoch,
        entry: None,
        entries: Vec::new(),
        head: None,
        content_wraps: Vec::new(),
        props_keys: Vec::new(),
        grants: Vec::new(),
    }
}

/// The same child by its new entry.
fn rewrapped(member: &Member, bytes: Vec<u8>, view: ticrypt_api::node::NodeView) -> Result<Member> {
    let entry = Entry::parse(&bytes).map_err(|e| ClientError::broken("an entry of our own making cannot be read").because(e))?;
    Ok(Member {
        leaf: leaf_hash(&bytes),
        bytes,
        entry,
        name: member.name.clone(),
        view,
        current: member.current.clone(),
        tags: member.tags.clone(),
        own_keys: member.own_keys.clone(),
        waiting: member.waiting,
    })
}
