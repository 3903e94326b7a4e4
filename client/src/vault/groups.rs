//! Directories of groups: opened with the group's key, made with the group, given new keys by any member who may write in them.
//!
//! Nothing in a group is anybody's own: what its members sign names the group's newest head, and is held to the roster of that head.

use std::sync::{Arc, PoisonError};

use ticrypt_api::Blob;
use ticrypt_api::grant::NewGrant;
use ticrypt_api::node::{RekeyRequest, RekeyedNode, TagRequest};
use ticrypt_crypto::directory::HeadPayload;
use ticrypt_crypto::grant::{GrantPayload, RecipientKind};
use ticrypt_crypto::{Digest, Signed};
use ticrypt_keyring::{NodeKeys, SystemRandom};
use ticrypt_types::{GroupChange, GroupId, GroupPermissions, GroupStep, NodeId, NodeKind, ProjectId, Title, UserId};

use super::Vault;
use super::listing::{Listed, ListedKind, nothing_of};
use super::load::blocking;
use super::make::{Author, cannot_seal, new_node_id, unsigned};
use super::path::{Label, VaultPath};
use super::retry::Attempts;
use super::roll::blank;
use super::tree::{Held, Root, check_view, moved_on, sealed};
use super::trust::{Lineage, lie};
use crate::clock;
use crate::error::{ClientError, Kind, Result};
use crate::group::{Chain, CompartmentKey, Generation, Group, Groups, Unsealed, label};
use crate::keys::Batch;
use crate::state::SeenKind;
use crate::users::Person;

/// People who wait for the key and get it while somebody opens the group's directory; more of them wait for `ticrypt group seal`.
pub(super) const FULFILLED_ON_OPENING: usize = 64;

impl Vault {
    /// The groups this person is in.
    pub fn groups(&self) -> &Groups {
        &self.groups
    }

    /// Makes a group with its directory. Gives those to whom the key could not be sealed.
    pub async fn create_group(&self, name: Title, people: &[(Person, GroupPermissions)]) -> Result<(GroupId, Vec<Unsealed>)> {
        let founding = self.groups.found(people).await?;
        let (group, hash) = (founding.group, founding.head.record_hash());
        let keys = Arc::new(NodeKeys::generate(&self.random).map_err(cannot_seal)?);
        let node = new_node_id(&self.random)?;
        let me = self.me();
        let first = Generation { number: 1, key: founding.seed.public_key().clone(), wrapped: Vec::new(), head: hash };
        let terms = self.group_terms(group.as_owner(), &first, hash, (node, NodeKind::Directory, 1), &keys)?;
        let root = self.seal_to_generation(&first, terms, keys).await?;
        let author = Author { deployment: self.deployment(), user: me.user, bundle: me.hash(), authority: Some(hash), at: clock::now() };
        let (root_head, head) = self.sign_head(author.head(node, 1, None, Vec::new())?).await?;
        let unsealed = self.groups.create(name, founding, root, root_head).await?;
        self.saw(SeenKind::Head, node, head.counter, head.record_hash())?;
        Ok((group, unsealed))
    }

    /// Changes members. Where somebody is taken out, the directory gets new keys at once rather than at the next write; what is below
    /// follows as it is written, or by [`Vault::rekey`].
    pub async fn change_group(&self, group: GroupId, changes: Vec<GroupChange>) -> Result<Vec<Unsealed>> {
        let removes = changes.iter().any(|change| change.step == GroupStep::Remove);
        let unsealed = self.groups.change(group, changes).await?;
        if removes {
            self.roll_group_root(group).await?;
        }
        Ok(unsealed)
    }

    /// The directory of a group, by what people call it.
    pub(super) async fn open_group(&self, name: &Label) -> Result<Held> {
        let view = self.groups.find(name.as_str()).await?;
        let group = self.groups.load(view.group).await?;
        let held = self.held_group(&group).await?;
        if !group.waiting.is_empty() && group.waiting.len() <= FULFILLED_ON_OPENING {
            // Whoever comes next gives the key to those who wait; what fails is tried by the next.
            let _ = self.groups.fulfil(&group, &|_| ()).await;
        }
        Ok(held)
    }

    /// The directory of a group whose heads verified: its grant is by a member, its keys come out of the group's.
    async fn held_group(&self, group: &Group) -> Result<Held> {
        self.trust.admit_group(Arc::clone(&group.chain));
        let grant = self.grant_of(&group.root.grant).await?;
        if (grant.recipient_kind, grant.recipient) != (RecipientKind::Group, group.chain.group().as_owner()) {
            return Err(lie("the server shows the directory of another group"));
        }
        if grant.authority.is_none_or(|head| !group.chain.contains(&head)) {
            return Err(moved_on());
        }
        check_view(&group.root.entry.node, grant.node, NodeKind::Directory, grant.owner)?;
        let seal = self.seal(Arc::clone(&grant), false, group.root.sealed.clone())?;
        let hash = grant.record_hash();
        let keys = match self.opened_keys(&hash) {
            Some(keys) => keys,
            None => {
                let seed = self.groups.seed(group, grant.recipient_generation).await?;
                let opened = ticrypt_keyring::grant::open_with(&seed, &grant, &seal.sealed);
                let keys = Arc::new(opened.map_err(|e| sealed("the directory of a group", e))?);
                self.opened.lock().unwrap_or_else(PoisonError::into_inner).insert(hash, Arc::clone(&keys));
                keys
            }
        };
        let root = Root { group: Some(Arc::clone(&group.chain)), ..Root::clone(&seal.root) };
        let lineage = Lineage::root(grant.node).tagged(&group.view.tags);
        Ok(Held { id: grant.node, kind: grant.kind, epoch: grant.epoch, keys, root: Arc::new(root), lineage })
    }

    /// New keys for a group's directory, sealed to the group's newest key; where somebody who lost access holds that, a newer one first.
    pub(super) async fn roll_group_root(&self, group: GroupId) -> Result<()> {
        let mut attempts = Attempts::default();
        loop {
            match self.roll_group_root_once(group).await {
                Err(error) if error.kind() == Kind::Stale || error.code() == "rekey_entries" => {
                    attempts.again(self, error, &VaultPath::home()).await?;
                }
                other => return other,
            }
        }
    }

    async fn roll_group_root_once(&self, id: GroupId) -> Result<()> {
        let (node, head) = self.group_root_anew(id).await?;
        let on = node.node;
        self.server().rekey(RekeyRequest { parent_head: None, nodes: vec![node] }).await?;
        self.saw(SeenKind::Head, on, head.counter, head.record_hash())
    }

    /// New tags for a group's directory: the group's (rules §4). Its own key is for all members whatever the tags; who works elsewhere does not
    /// get it from the server.
    pub(super) async fn tag_group_root(&self, id: GroupId, tags: &[ProjectId]) -> Result<()> {
        let (node, head) = self.group_root_anew(id).await?;
        let on = node.node;
        self.server().tag(TagRequest { tags: tags.to_vec(), parent_head: None, node }).await?;
        self.saw(SeenKind::Head, on, head.counter, head.record_hash())
    }

    async fn group_root_anew(&self, id: GroupId) -> Result<(RekeyedNode, Signed<HeadPayload>)> {
        let mut group = self.groups.load(id).await?;
        if group.view.closed {
            self.groups.renew(id).await?;
            group = self.groups.load(id).await?;
        }
        let held = self.held_group(&group).await?;
        let directory = self.load(&held, false).await?;
        let next = self.next_keys(&held)?;
        let mut node = blank(&next);
        let members = self.entries_anew(&directory, &next, &mut node).await?;
        let leaves = members.iter().map(|member| (member.id(), member.leaf)).collect();
        let (bytes, head) = self.sign_head(self.author_of(&held.root).head(held.id, next.epoch, Some(&directory.head), leaves)?).await?;
        let (generation, newest) = (group.chain.generation()?, group.chain.newest().record_hash());
        let place = (held.id, NodeKind::Directory, next.epoch);
        let terms = self.group_terms(held.root.owner(), generation, newest, place, &next.keys)?;
        let terms = GrantPayload { predecessor: Some(held.root.grant.record_hash()), ..terms };
        node.head = Some(bytes);
        node.grants = vec![self.seal_to_generation(generation, terms, Arc::clone(&next.keys)).await?];
        Ok((node, head))
    }

    /// New keys of what is tagged itself in a group, sealed to the key of its compartment.
    pub(super) async fn seal_to_compartment(
        &self,
        group: &Arc<Chain>,
        key: &CompartmentKey,
        next: &Held,
        predecessor: Option<Digest>,
    ) -> Result<NewGrant> {
        self.trust.admit_compartment(group.group(), &key.chain);
        let (generation, newest) = (key.chain.generation()?, group.newest().record_hash());
        let terms = self.group_terms(group.group().as_owner(), generation, newest, (next.id, next.kind, next.epoch), &next.keys)?;
        self.seal_to_generation(generation, GrantPayload { predecessor, ..terms }, Arc::clone(&next.keys)).await
    }

    /// The terms under which keys of a node, its kind and its epoch are sealed to a group, by this person on its head `newest`.
    fn group_terms(
        &self,
        owner: UserId,
        generation: &Generation,
        newest: Digest,
        (node, kind, epoch): (NodeId, NodeKind, u32),
        keys: &NodeKeys,
    ) -> Result<GrantPayload> {
        Ok(GrantPayload {
            owner,
            recipient_kind: RecipientKind::Group,
            recipient: owner,
            recipient_bundle: generation.head,
            recipient_generation: generation.number,
            verbs: GrantPayload::GROUP_VERBS,
            authority: Some(newest),
            ..self.own_terms(node, kind, epoch, keys)?
        })
    }

    async fn seal_to_generation(&self, generation: &Generation, terms: GrantPayload, keys: Arc<NodeKeys>) -> Result<NewGrant> {
        let terms = self.with_key_log(terms).await;
        let (to, sealing) = (generation.key.clone(), terms.clone());
        let seal = move || ticrypt_keyring::grant::seal_to_group(&SystemRandom::new(), &to, &sealing, &keys);
        let sealed = blocking(seal).await?;
        let sealed = sealed.map_err(cannot_seal)?;
        let envelope = self.session.keys.sign(Batch::Grants(vec![terms])).await?.pop().ok_or_else(unsigned)?;
        Ok(NewGrant { grant: Blob(envelope), sealed: Blob(sealed) })
    }

    /// The groups as entries of `/@groups`.
    pub(super) async fn list_groups(&self) -> Result<Vec<Listed>> {
        let groups = self.groups.list().await?;
        let one = |view: &ticrypt_api::group::GroupView| {
            let twice = groups.iter().filter(|other| other.name == view.name).count() > 1;
            // A name with a slash in it leads nowhere.
            let text = match view.name.as_str().contains('/') {
                true => view.group.to_string(),
                false if twice => label(view),
                false => view.name.to_string(),
            };
            let path = VaultPath::of_group(&text).map_err(|e| ClientError::invalid(e.to_string()))?;
            let id = NodeId::from_random(view.group.to_bytes());
            let bare = nothing_of(id, NodeKind::Directory, text, path);
            Ok(Listed { kind: ListedKind::Group, locked: view.locked, tags: view.tags.clone(), ..bare })
        };
        groups.iter().map(one).collect()
    }
}
