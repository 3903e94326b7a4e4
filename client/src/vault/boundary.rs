//! Tag boundaries: what is tagged itself has keys of its own, which come in a grant instead of in its entry (docs/formats.md §5).
//!
//! They are opened when somebody goes there, not when the directory is listed: its list key gives the name, and a folder of thousands
//! of tagged things costs no more than another.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ticrypt_api::Blob;
use ticrypt_api::node::SealView;
use ticrypt_crypto::entry::Entry;
use ticrypt_crypto::grant::{GrantPayload, RecipientKind};
use ticrypt_keyring::{NodeKeys, entry as sealed_entry};
use ticrypt_types::{Compartment, DeploymentId, NodeId};

use super::Vault;
use super::groups::FULFILLED_ON_OPENING;
use super::path::VaultPath;
use super::progress::{Note, Outcome};
use super::roots::Seal;
use super::tree::{Directory, Held, Member, Root, moved_on, sealed};
use super::trust::lie;
use crate::error::{ClientError, Kind, Result};
use crate::group::{Chain, CompartmentKey};

/// The code of the refusal for what is tagged with a project that is not active.
pub const LOCKED: &str = "locked";

/// Keys of nodes that are tagged themselves, as far as they were opened.
#[derive(Debug, Default)]
pub struct Boundaries(Mutex<HashMap<NodeId, Own>>);

#[derive(Clone, Debug)]
struct Own {
    epoch: u32,
    root: Arc<Root>,
    keys: Arc<NodeKeys>,
}

impl Boundaries {
    fn get(&self, entry: &Entry) -> Option<Own> {
        self.lock().get(&entry.child).filter(|own| own.epoch == entry.child_epoch).cloned()
    }

    pub(super) fn forget(&self, node: NodeId) {
        self.lock().remove(&node);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<NodeId, Own>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Held {
    /// A child by its entry: with the keys wrapped there or, if it is tagged itself, with its own, once they were opened.
    pub(super) fn child(&self, deployment: DeploymentId, entry: &Entry, boundaries: &Boundaries) -> Result<Self> {
        let (keys, root) = match sealed_entry::open_list(deployment, &self.keys.list, entry).map_err(|e| sealed("a list key", e))? {
            None => {
                let Own { root, keys, .. } = boundaries.get(entry).ok_or_else(locked)?;
                // A group may have moved on since these were opened.
                let of_now = |group: &Arc<Chain>| Arc::new(Root { group: Some(Arc::clone(group)), ..Root::clone(&root) });
                let root = self.root.group.as_ref().map_or_else(|| Arc::clone(&root), of_now);
                (keys, root)
            }
            Some(list) => {
                let tree = match &self.keys.tree {
                    Some(tree) => sealed_entry::open_tree(deployment, tree, entry).map_err(|e| sealed("a tree key", e))?,
                    None => None,
                };
                (Arc::new(NodeKeys { list, tree }), Arc::clone(&self.root))
            }
        };
        Ok(Self { id: entry.child, kind: entry.kind, epoch: entry.child_epoch, keys, root, lineage: self.lineage.below(entry.child) })
    }
}

impl Vault {
    /// Opens a child of a loaded directory.
    pub async fn descend(&self, directory: &Directory, member: &Member) -> Result<Held> {
        if member.waiting {
            return Err(waiting());
        }
        self.open_members(directory, [member]).await?;
        directory.descend(self.deployment(), member, &self.boundaries)
    }

    /// Opens the keys of those members that are tagged themselves and are not locked.
    pub(super) async fn open_members(&self, directory: &Directory, members: impl IntoIterator<Item = &Member>) -> Result<()> {
        let own = members.into_iter().filter_map(|member| Some((&member.entry, member.own_keys.as_ref()?)));
        self.open_own(&directory.held, own.collect()).await
    }

    /// The same of entries that came otherwise.
    pub(super) async fn open_own(&self, parent: &Held, children: Vec<(&Entry, &SealView)>) -> Result<()> {
        let children: Vec<_> = children.into_iter().filter(|(entry, _)| self.boundaries.get(entry).is_none()).collect();
        if children.is_empty() {
            return Ok(());
        }
        let grants: Vec<Blob> =
            children.iter().flat_map(|(_, view)| std::iter::once(&view.grant).chain(&view.authority)).cloned().collect();
        self.admit_records(&grants, [], []).await?;
        if let Some(group) = &parent.root.group {
            return self.open_in_group(parent, group, children).await;
        }
        let seals = children.iter().map(|(entry, view)| self.own_seal(parent, entry, view)).collect::<Result<Vec<_>>>()?;
        let opened = self.open_seals(&seals.iter().collect::<Vec<_>>()).await?;
        let mut known = self.boundaries.lock();
        for (((entry, _), seal), keys) in children.iter().zip(seals).zip(opened) {
            known.insert(entry.child, Own { epoch: entry.child_epoch, root: seal.root, keys });
        }
        Ok(())
    }

    /// The same in a group, where own keys are sealed to the key of their compartment.
    async fn open_in_group(&self, parent: &Held, group: &Arc<Chain>, children: Vec<(&Entry, &SealView)>) -> Result<()> {
        let mut known: BTreeMap<&Compartment, Arc<CompartmentKey>> = BTreeMap::new();
        for (entry, view) in children {
            let compartment = view.compartment.as_ref().ok_or_else(|| lie("what is tagged in a group is sealed to nobody in it"))?;
            let key = match known.get(compartment) {
                Some(key) => Arc::clone(key),
                None => {
                    let key = self.compartment_key(group, compartment).await?;
                    known.insert(compartment, Arc::clone(&key));
                    key
                }
            };
            let grant = self.trust.admit_grant(&view.grant)?;
            if (grant.recipient_kind, grant.recipient) != (RecipientKind::Group, group.group().as_owner()) {
                return Err(lie("the server shows what is tagged in a group as sealed to another"));
            }
            is_own(&grant, parent, entry)?;
            let generation = key.chain.begun_by(&grant.recipient_bundle).ok_or_else(moved_on)?.number;
            let seal = self.seal(Arc::clone(&grant), false, view.sealed.clone())?;
            let seed = self.groups.compartment_seed(group, &key, generation).await?;
            let keys = ticrypt_keyring::grant::open_with(&seed, &grant, &seal.sealed);
            let keys = Arc::new(keys.map_err(|e| sealed("what is tagged in a group", e))?);
            let root = Root { group: Some(Arc::clone(group)), compartment: Some(key), ..Root::clone(&seal.root) };
            self.boundaries.lock().insert(entry.child, Own { epoch: entry.child_epoch, root: Arc::new(root), keys });
        }
        Ok(())
    }

    /// A key of a group that something is sealed to. Who waits for it gets it now from this person, a few of them.
    async fn compartment_key(&self, group: &Arc<Chain>, compartment: &Compartment) -> Result<Arc<CompartmentKey>> {
        let key = self.groups.compartment(group, compartment).await?;
        let key = key.ok_or_else(|| lie("the server withholds the key of what is tagged in a group"))?;
        self.trust.admit_compartment(group.group(), &key.chain);
        if key.is_open(group) {
            match self.groups.fulfil_compartment(group, &key, FULFILLED_ON_OPENING).await {
                Err(error) if error.kind() == Kind::Untrusted => return Err(error),
                // What else fails is tried by the next.
                _ => {}
            }
        }
        Ok(Arc::new(key))
    }

    /// A child of a directory by its entry, its own keys opened where it has any.
    pub(super) async fn child_of(&self, parent: &Held, entry: &Entry, own_keys: Option<&SealView>) -> Result<Held> {
        self.open_own(parent, own_keys.map(|view| (entry, view)).into_iter().collect()).await?;
        parent.child(self.deployment(), entry, &self.boundaries)
    }

    /// A grant of a node's own keys to this person, held to the entry that it goes with.
    fn own_seal(&self, parent: &Held, entry: &Entry, view: &SealView) -> Result<Seal> {
        let grant = self.grant_to_me(&view.grant)?;
        is_own(&grant, parent, entry)?;
        self.seal(grant, parent.root.is_home, view.sealed.clone())
    }
}

/// Whether a grant is of the keys of what this entry names.
fn is_own(grant: &GrantPayload, parent: &Held, entry: &Entry) -> Result<()> {
    if (grant.node, grant.kind, grant.owner) != (entry.child, entry.kind, parent.root.owner()) {
        return Err(lie("the server shows the keys of another thing than the one that is tagged"));
    }
    if grant.epoch == entry.child_epoch { Ok(()) } else { Err(moved_on()) }
}

/// Why there are no keys yet to something that is for this person.
fn waiting() -> ClientError {
    ClientError::refused(
        crate::group::WAITING,
        "you wait for the key of this tag: the next member whose program comes by seals it to you; ask one to run `ticrypt group seal`",
    )
}

/// Why there are no keys to something whose name is there.
pub(super) fn locked() -> ClientError {
    ClientError::refused(
        LOCKED,
        "this is locked: the project it is tagged with is not in your working set, or it is not shared with you itself; see `ticrypt work`",
    )
}

/// What is told of a locked thing that a walk over a tree passes.
pub(super) fn left_locked(path: &VaultPath) -> Note {
    Note { path: path.to_string(), outcome: Outcome::Locked, reason: "its project is not in your working set".to_owned() }
}
