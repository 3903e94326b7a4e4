//! A verified view of the vault: nothing leaves this module that was not signed by somebody entitled, decrypted under keys that lead back to
//! a grant, and not older than what this device has seen.
//!
//! ```text
//!   roots ─open grant─▶ Held (keys of a node)
//!                         │ list ─▶ head verified ─▶ entries = signed root ─▶ counter ≥ seen ─▶ names opened
//!                         ▼
//!                      Directory ── Member ─descend─▶ Held ─▶ …
//! ```
//!
//! Keys and names are opened when a directory is loaded; properties and manifests when somebody looks at them.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::Arc;

use ticrypt_api::Blob;
use ticrypt_api::node::{DirectoryView, EntryView, ManifestView, NodeView, SealView};
use ticrypt_crypto::directory::HeadPayload;
use ticrypt_crypto::entry::{Entry, leaf_hash};
use ticrypt_crypto::grant::GrantPayload;
use ticrypt_crypto::manifest::ManifestPayload;
use ticrypt_crypto::record::Record;
use ticrypt_crypto::{Digest, Signed};
use ticrypt_keyring::aead::OpenError;
use ticrypt_keyring::entry::Boundary;
use ticrypt_keyring::props::{EntryProps, ManifestProps};
use ticrypt_keyring::wrap::ManifestPlace;
use ticrypt_keyring::{NodeKeys, TreeKey, entry as sealed_entry};
use ticrypt_types::{DeploymentId, NodeId, NodeKind, NodeName, ProjectId, UserId, UserName, Verbs};

use super::boundary::{Boundaries, locked};
use super::trust::{Lineage, Tree, Trust, lie};
use crate::error::{ClientError, Kind, Result};
use crate::group::{Chain, CompartmentKey};

/// A grant that opens a tree: one's own root, a node somebody shares, or the directory of a group.
#[derive(Clone, Debug)]
pub struct Root {
    pub grant: Arc<Signed<GrantPayload>>,
    pub is_home: bool,
    /// The group whose directory it is, as it stood when this was opened.
    pub group: Option<Arc<Chain>>,
    /// Of what is tagged itself in a group: the key that it is sealed to, as it stood then.
    pub compartment: Option<Arc<CompartmentKey>>,
    /// Who sealed it; oneself for the own tree.
    pub sharer: UserName,
}

impl Root {
    pub fn owner(&self) -> UserId {
        self.grant.owner
    }

    pub fn verbs(&self) -> Verbs {
        self.grant.verbs
    }

    /// What one's own heads and manifests name as their authority: the share, or the group's newest head.
    pub fn authority(&self) -> Option<Digest> {
        match &self.group {
            Some(group) => Some(group.newest().record_hash()),
            None => (self.grant.recipient != self.grant.owner).then(|| self.grant.record_hash()),
        }
    }

    /// Of a group: nobody who lost access holds the key that this is sealed to. Who went, the heads say, whatever the server says.
    pub fn check_key(&self) -> Result<()> {
        let Some(group) = &self.group else { return Ok(()) };
        let is_current = match &self.compartment {
            None => group.generation()?.number == self.grant.recipient_generation && !group.roster().is_left(),
            Some(key) => key.is_open(group) && key.chain.generation()?.head == self.grant.recipient_bundle,
        };
        if is_current { Ok(()) } else { Err(ClientError::epoch_closed(vec![self.grant.node])) }
    }

    /// It is the root of the whole tree, whose new keys are this person's to make.
    pub fn is_whole(&self) -> bool {
        self.is_home || self.group.is_some()
    }
}

/// A node whose keys are at hand.
#[derive(Clone, Debug)]
pub struct Held {
    pub id: NodeId,
    pub kind: NodeKind,
    pub epoch: u32,
    pub keys: Arc<NodeKeys>,
    pub root: Arc<Root>,
    pub lineage: Arc<Lineage>,
}

impl Held {
    pub fn tree(&self) -> Tree<'_> {
        Tree { owner: self.root.owner(), lineage: &self.lineage, is_whole: self.root.is_whole() }
    }

    /// The tree key; a share without *view* has none, and there is no way around that.
    pub fn tree_key(&self) -> Result<&TreeKey> {
        self.keys.tree.as_ref().ok_or_else(|| {
            ClientError::refused(
                "no_view",
                "this share lets you see names only: the key to the contents was never given to you; ask for view",
            )
        })
    }
}

/// A verified entry of a directory.
pub struct Member {
    pub entry: Entry,
    /// The entry's bytes, as they were signed for.
    pub bytes: Vec<u8>,
    pub leaf: Digest,
    pub name: NodeName,
    pub view: NodeView,
    /// Of a file, if manifests were asked for; not verified yet.
    pub current: Option<ManifestView>,
    /// Its own tags, as the server has them.
    pub tags: Vec<ProjectId>,
    /// Tagged itself: the grant of its own keys to this person, not verified yet.
    pub own_keys: Option<SealView>,
    /// Its keys are for this person, who waits for the key that opens them.
    pub waiting: bool,
}

impl fmt::Debug for Member {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Names are content: they do not go into logs.
        write!(f, "Member({})", self.entry.child)
    }
}

impl Member {
    pub fn id(&self) -> NodeId {
        self.entry.child
    }

    pub fn kind(&self) -> NodeKind {
        self.entry.kind
    }

    pub fn is_directory(&self) -> bool {
        self.entry.kind == NodeKind::Directory
    }

    /// Where its keys are: with its directory's, or its own.
    pub fn boundary(&self) -> Boundary {
        if self.entry.has_own_keys() { Boundary::Own } else { Boundary::Inside }
    }

    /// It is tagged itself, and its keys are not given out or wait for another: a name, with a question mark for the tag.
    pub fn is_locked(&self) -> bool {
        self.entry.has_own_keys() && self.own_keys.is_none()
    }
}

/// A verified directory with the keys of it.
#[derive(Clone, Debug)]
pub struct Directory {
    pub held: Held,
    pub view: NodeView,
    pub head: Arc<Signed<HeadPayload>>,
    /// The head as it came; empty for one of our own making.
    pub head_bytes: Vec<u8>,
    members: BTreeMap<NodeId, Arc<Member>>,
    names: HashMap<NodeName, NodeId>,
}

/// Members of a directory, each kind in the order people expect.
#[derive(Debug)]
pub struct Parts {
    pub directories: Vec<Arc<Member>>,
    pub files: Vec<Arc<Member>>,
    pub locked: Vec<Arc<Member>>,
}

/// What is current in a file, verified.
#[derive(Clone, Debug)]
pub struct Current {
    pub manifest: Arc<Signed<ManifestPayload>>,
    pub props: ManifestProps,
}

/// A page of a listing, read and opened while the next is on its way; believed only as part of a whole that verifies.
#[derive(Debug)]
pub struct OpenedPage {
    view: NodeView,
    head: Blob,
    entries: Vec<(Entry, Digest, EntryView)>,
    /// Of the entries, in their order.
    names: Result<Vec<NodeName>>,
}

impl OpenedPage {
    pub fn open(deployment: DeploymentId, held: &Held, page: DirectoryView) -> Result<Self> {
        let entries = page.entries.into_iter().map(read_entry).collect::<Result<Vec<_>>>()?;
        let name = |(entry, ..): &(Entry, Digest, EntryView)| {
            sealed_entry::open_name(deployment, &held.keys.list, entry).map_err(|e| sealed("a name", e))
        };
        let names = entries.iter().map(name).collect();
        Ok(Self { view: page.node, head: page.head, entries, names })
    }
}

impl Directory {
    /// Judges a whole listing. `pages` are all pages of one listing, in order.
    pub fn verify(trust: &Trust, held: Held, pages: Vec<OpenedPage>) -> Result<Self> {
        let mut pages = pages.into_iter();
        let first = pages.next().ok_or_else(|| lie("the server sent no listing"))?;
        let OpenedPage { view, head: head_bytes, mut entries, names } = first;
        let mut opened = vec![names];
        for page in pages {
            if page.head != head_bytes {
                return Err(moved_on());
            }
            entries.extend(page.entries);
            opened.push(page.names);
        }
        check_view(&view, held.id, NodeKind::Directory, held.root.owner())?;
        let head = trust.head(&head_bytes, held.tree())?;
        if head.epoch != held.epoch {
            // Somebody made new keys since ours were unwrapped; the parent holds the new wraps.
            return Err(moved_on());
        }
        head.verify_hashed(entries.iter().map(|(entry, leaf, _)| (entry, *leaf)))
            .map_err(|e| lie("a listing is not the one that was signed").because(e))?;
        let opened: Vec<Vec<NodeName>> = opened.into_iter().collect::<Result<_>>()?;
        let mut members = BTreeMap::new();
        let mut names = HashMap::with_capacity(entries.len());
        for ((entry, leaf, shown), name) in entries.into_iter().zip(opened.into_iter().flatten()) {
            let EntryView { entry: bytes, node: view, current, tags, locked, own_keys, waiting } = shown;
            if locked && !entry.has_own_keys() {
                return Err(lie("the server locks a thing whose keys are with its directory's"));
            }
            check_view(&view, entry.child, entry.kind, held.root.owner())?;
            if names.insert(name.clone(), entry.child).is_some() {
                return Err(lie("two entries of a directory have the same name"));
            }
            let member = Member { leaf, bytes: bytes.0, entry, name, view, current, tags, own_keys: own_keys.filter(|_| !locked), waiting };
            members.insert(member.id(), Arc::new(member));
        }
        Ok(Self { held, view, head: Arc::new(head), head_bytes: head_bytes.0, members, names })
    }

    /// A directory of one's own making.
    pub fn fresh(held: Held, view: NodeView, head: Signed<HeadPayload>, members: Vec<Member>) -> Self {
        let names = members.iter().map(|member| (member.name.clone(), member.id())).collect();
        let members = members.into_iter().map(|member| (member.id(), Arc::new(member))).collect();
        Self { held, view, head: Arc::new(head), head_bytes: Vec::new(), members, names }
    }

    pub fn id(&self) -> NodeId {
        self.held.id
    }

    pub fn len(&self) -> usize {
        self.members.len()
    }

    pub fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    pub fn by_name(&self, name: &NodeName) -> Option<&Arc<Member>> {
        self.members.get(self.names.get(name)?)
    }

    pub fn has_name(&self, name: &str) -> bool {
        NodeName::parse(name).is_ok_and(|name| self.names.contains_key(&name))
    }

    pub fn by_id(&self, id: NodeId) -> Option<&Arc<Member>> {
        self.members.get(&id)
    }

    /// In the order of ids, as they are listed.
    pub fn members(&self) -> impl Iterator<Item = &Arc<Member>> {
        self.members.values()
    }

    /// In the order people expect.
    pub fn sorted(&self) -> Vec<&Arc<Member>> {
        let mut members: Vec<_> = self.members.values().collect();
        members.sort_by(|a, b| a.name.cmp(&b.name));
        members
    }

    /// What the present head commits to.
    pub fn leaves(&self) -> impl Iterator<Item = (NodeId, Digest)> {
        self.members.values().map(|member| (member.id(), member.leaf))
    }

    /// This directory after a change of one's own that the server has taken.
    #[must_use]
    pub fn after(&self, head: Signed<HeadPayload>, removed: &[NodeId], added: Vec<Member>) -> Self {
        let mut next = self.clone();
        next.view.head_counter = head.counter;
        next.head = Arc::new(head);
        next.head_bytes.clear();
        for id in removed.iter().copied().chain(added.iter().map(Member::id).collect::<Vec<_>>()) {
            if let Some(old) = next.members.remove(&id) {
                next.names.remove(&old.name);
            }
        }
        for member in added {
            next.names.insert(member.name.clone(), member.id());
            next.members.insert(member.id(), Arc::new(member));
        }
        next
    }

    /// This directory under new keys of its own, with all its entries made anew.
    #[must_use]
    pub fn rekeyed(&self, held: Held, view: NodeView, head: Signed<HeadPayload>, members: Vec<Member>) -> Self {
        let members = members.into_iter().map(|member| (member.id(), Arc::new(member))).collect();
        Self { held, view, head: Arc::new(head), head_bytes: Vec::new(), members, names: self.names.clone() }
    }

    /// A child with its keys; those of what is tagged itself have been opened before.
    pub fn descend(&self, deployment: DeploymentId, member: &Member, boundaries: &Boundaries) -> Result<Held> {
        if member.is_locked() {
            // What was opened before the server withheld it is not used any more either.
            boundaries.forget(member.id());
            return Err(locked());
        }
        let mut held = self.held.child(deployment, &member.entry, boundaries)?;
        held.lineage = held.lineage.tagged(&member.tags);
        Ok(held)
    }

    /// What is in it by name: directories, files, and what is locked.
    pub fn parts(&self) -> Parts {
        let (locked, open): (Vec<_>, Vec<_>) = self.sorted().into_iter().cloned().partition(|member| member.is_locked());
        let (directories, files) = open.into_iter().partition(|member| member.is_directory());
        Parts { directories, files, locked }
    }

    /// A child's properties.
    pub fn props(&self, deployment: DeploymentId, member: &Member, held: &Held) -> Result<EntryProps> {
        sealed_entry::open_props(deployment, &held.keys.list, &member.entry, Some(&member.name)).map_err(|e| sealed("properties", e))
    }
}

/// Verifies what is said to be current in a file. The caller holds it against what was seen before.
pub fn verify_current(trust: &Trust, deployment: DeploymentId, file: &Held, view: &ManifestView) -> Result<Current> {
    verify_manifest(trust, deployment, file, view, file.tree())
}

/// Verifies what is in a file's history: by somebody who could write somewhere in this tree then.
pub fn verify_past(trust: &Trust, deployment: DeploymentId, file: &Held, view: &ManifestView) -> Result<Current> {
    verify_manifest(trust, deployment, file, view, Tree { is_whole: false, ..file.tree() })
}

fn verify_manifest(trust: &Trust, deployment: DeploymentId, file: &Held, view: &ManifestView, tree: Tree<'_>) -> Result<Current> {
    let manifest = trust.manifest(&view.manifest, tree)?;
    let place = ManifestPlace { deployment, file: file.id, epoch: file.epoch, version: manifest.version, sequence: manifest.sequence };
    let key = file.keys.list.unwrap_props_key(&place, &view.props_key.0).map_err(|e| sealed("the key of a file's properties", e))?;
    let props = key.open_manifest_props(&place, &manifest.props).map_err(|e| sealed("a file's properties", e))?;
    Ok(Current { manifest: Arc::new(manifest), props })
}

/// Reads an entry of a listing and holds the server's own words about it to the signed ones.
fn read_entry(view: EntryView) -> Result<(Entry, Digest, EntryView)> {
    let entry = Entry::parse(&view.entry.0).map_err(|e| lie("an entry of a directory cannot be read").because(e))?;
    if (view.node.parent, view.node.epoch) != (Some(entry.parent), entry.child_epoch) {
        return Err(lie("the server says of an entry's place or keys what the entry itself does not"));
    }
    Ok((entry, leaf_hash(&view.entry.0), view))
}

/// The server's columns are believed only where they agree with what was asked or signed.
pub fn check_view(view: &NodeView, node: NodeId, kind: NodeKind, owner: UserId) -> Result<()> {
    if view.node != node || view.kind != kind {
        return Err(lie("the server speaks of another node than was asked for"));
    }
    if view.owner != owner {
        return Err(lie("the server names another owner than the one the share leads to"));
    }
    Ok(())
}

/// Something sealed that does not open where it stands.
pub fn sealed(what: &str, error: OpenError) -> ClientError {
    lie(&format!("{what} does not open")).because(error)
}

/// The state has moved on between two requests.
pub fn moved_on() -> ClientError {
    ClientError::new(Kind::Stale, "stale", "somebody else changed this at the same time; try again")
}
