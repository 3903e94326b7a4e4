//! The grants that open a tree: one's own root, and what others share.

use std::sync::{Arc, MutexGuard, PoisonError};

use ticrypt_api::Blob;
use ticrypt_api::grant::NewGrant;
use ticrypt_api::node::{EntryView, HomeCreateRequest, LostRootView, RootView};
use ticrypt_crypto::entry::Entry;
use ticrypt_crypto::grant::{GrantPayload, RecipientKind};
use ticrypt_crypto::record::Record;
use ticrypt_crypto::{Digest, Envelope, Signed, Suite};
use ticrypt_keyring::NodeKeys;
use ticrypt_keyring::props::EntryProps;
use ticrypt_keyring::wrap::NodePlace;
use ticrypt_types::{NodeId, NodeKind, NodeName, Timestamp, UserName, Verbs};

use super::Vault;
use super::make::{cannot_seal, new_grant_id, new_node_id};
use super::tree::{Held, Root, check_view, sealed};
use super::trust::{Lineage, lie};
use crate::error::{ClientError, Kind, Result};
use crate::keys::{Batch, SealedGrant};
use crate::state::SeenKind;
use crate::users::{KEY_RESET, PIN_CHANGED};

/// What the person's grants lead to.
#[derive(Debug)]
pub struct Roots {
    pub home: Option<Arc<Share>>,
    pub shares: Vec<Arc<Share>>,
    /// Shares under a key that this device does not believe, until people have compared it. They do not hide the others.
    pub unbelieved: Vec<Unbelieved>,
    /// Trees whose keys were lost at a reset, as the server counts them.
    pub lost: Vec<LostRootView>,
}

/// A share by somebody whose key changed.
#[derive(Debug)]
pub struct Unbelieved {
    /// As this device has pinned them.
    pub sharer: Option<UserName>,
    pub why: ClientError,
}

/// A grant to this person, its signature and chain verified, and the keys as they are sealed to them.
#[derive(Debug)]
pub struct Seal {
    pub root: Arc<Root>,
    pub(super) sealed: Vec<u8>,
}

/// A node somebody shares with this person, or their own tree.
#[derive(Debug)]
pub struct Share {
    pub seal: Seal,
    pub entry: EntryView,
}

/// What everybody calls the root of a tree that is shared as a whole.
const WHOLE_TREE: &str = "home";

impl Vault {
    /// Fetches and verifies the grants; opens none.
    pub async fn roots(&self) -> Result<Roots> {
        let reply = self.server().roots().await?;
        let home = match reply.home {
            Some(view) => Some(self.admit_root(view, true).await?),
            None => None,
        };
        let (mut shares, mut unbelieved) = (Vec::new(), Vec::new());
        for view in reply.shared_with_me {
            let grant = view.grant.clone();
            match self.admit_root(view, false).await {
                Ok(share) => shares.push(share),
                Err(why) if [PIN_CHANGED, KEY_RESET].contains(&why.code()) => {
                    unbelieved.push(Unbelieved { sharer: self.pinned_sealer(&grant)?, why });
                }
                Err(error) => return Err(error),
            }
        }
        Ok(Roots { home, shares, unbelieved, lost: reply.lost })
    }

    async fn admit_root(&self, view: RootView, is_home: bool) -> Result<Arc<Share>> {
        let grants: Vec<Blob> = std::iter::once(&view.grant).chain(&view.authority).cloned().collect();
        self.admit_records(&grants, [], view.entry.current.as_ref().map(|view| &view.manifest)).await?;
        self.read_root(view, is_home)
    }

    /// Who a grant says that it is from, by the name this device has for them; nothing of it is verified.
    fn pinned_sealer(&self, grant: &Blob) -> Result<Option<UserName>> {
        let claimed = Envelope::parse(&grant.0).and_then(|envelope| envelope.claimed::<GrantPayload>());
        let sealer = claimed.map_err(|e| lie("a share cannot be read").because(e))?.sealer;
        Ok(self.session.users.pins().get(sealer)?.map(|pin| pin.name))
    }

    /// Trees of one's own from before a reset: nobody opens them as their owner again, and they are kept until they are deleted.
    pub async fn lost_trees(&self) -> Result<Vec<LostRootView>> {
        Ok(self.roots().await?.lost)
    }

    /// One's own tree alone: what others share, and however badly, does not stand in its way.
    async fn own_root(&self) -> Result<Option<Arc<Share>>> {
        let Some(view) = self.server().roots().await?.home else { return Ok(None) };
        let grants: Vec<Blob> = std::iter::once(&view.grant).chain(&view.authority).cloned().collect();
        self.admit_records(&grants, [], []).await?;
        self.read_root(view, true).map(Some)
    }

    fn read_root(&self, view: RootView, is_home: bool) -> Result<Arc<Share>> {
        let grant = self.grant_to_me(&view.grant)?;
        if is_home != grant.is_root_of(self.me().user) {
            return Err(lie("the server shows a share in the place of one's own tree"));
        }
        check_view(&view.entry.node, grant.node, grant.kind, grant.owner)?;
        Ok(Arc::new(Share { seal: self.seal(grant, is_home, view.sealed)?, entry: view.entry }))
    }

    /// A grant, its signature verified, that was made for this person.
    pub(super) fn grant_to_me(&self, bytes: &Blob) -> Result<Arc<Signed<GrantPayload>>> {
        let grant = self.trust.admit_grant(bytes)?;
        if (grant.recipient_kind, grant.recipient) == (RecipientKind::Person, self.me().user) {
            Ok(grant)
        } else {
            Err(lie("the server shows a share that was made for somebody else"))
        }
    }

    /// A grant with the keys it seals: its chain leads to the owner, and its keys are not older ones than were seen.
    pub(super) fn seal(&self, grant: Arc<Signed<GrantPayload>>, is_home: bool, Blob(sealed): Blob) -> Result<Seal> {
        self.trust.verify_chain(&grant)?;
        let keys = Digest::of_parts(&[grant.list_commitment.as_bytes(), grant.tree_commitment.as_bytes()]);
        self.saw(SeenKind::Epoch, grant.node, grant.epoch.into(), keys)?;
        let sealer = self.trust.bundle(&grant.sealer_bundle).ok_or_else(|| lie("the key that sealed a share is not known"))?;
        Ok(Seal { root: Arc::new(Root { sharer: sealer.payload().name.clone(), is_home, group: None, compartment: None, grant }), sealed })
    }

    /// Opens grants; each only once in the life of this view.
    pub async fn open_shares(&self, shares: &[Arc<Share>]) -> Result<Vec<Held>> {
        let keys = self.open_seals(&shares.iter().map(|share| &share.seal).collect::<Vec<_>>()).await?;
        Ok(shares.iter().zip(keys).map(|(share, keys)| share.held(keys)).collect())
    }

    /// The keys of seals, each of which is opened once: it costs a key agreement.
    pub(super) async fn open_seals(&self, seals: &[&Seal]) -> Result<Vec<Arc<NodeKeys>>> {
        let missing: Vec<&Seal> = seals.iter().filter(|seal| self.opened_keys(&seal.root.grant.record_hash()).is_none()).copied().collect();
        for some in missing.chunks(crate::keys::OPEN_MAX_GRANTS) {
            let requests = some.iter().map(|seal| self.sealed_grant(seal)).collect::<Result<Vec<_>>>()?;
            let opened = self.session.keys.open(requests).await?;
            for (seal, keys) in some.iter().zip(opened) {
                let mut cache = self.opened.lock().unwrap_or_else(PoisonError::into_inner);
                cache.insert(seal.root.grant.record_hash(), Arc::new(keys?));
            }
        }
        seals.iter().map(|seal| self.keys_of(seal)).collect()
    }

    fn sealed_grant(&self, seal: &Seal) -> Result<SealedGrant> {
        let grant = &seal.root.grant;
        let sealer = self.trust.bundle(&grant.sealer_bundle).ok_or_else(|| lie("the key that sealed a share is not known"))?;
        let envelope = self.trust.envelope(&grant.record_hash()).ok_or_else(|| lie("a share is not at hand"))?;
        Ok(SealedGrant { envelope, sealed: seal.sealed.clone(), sealer_key: sealer.payload().signing_key })
    }

    pub(super) fn opened_keys(&self, grant: &Digest) -> Option<Arc<NodeKeys>> {
        self.opened.lock().unwrap_or_else(PoisonError::into_inner).get(grant).cloned()
    }

    fn keys_of(&self, seal: &Seal) -> Result<Arc<NodeKeys>> {
        let grant = &seal.root.grant;
        let keys = self.opened_keys(&grant.record_hash()).ok_or_else(|| ClientError::broken("the keys of a share were not opened"))?;
        let fits = keys.list.commitment() == grant.list_commitment
            && keys.tree.as_ref().is_none_or(|tree| tree.commitment() == grant.tree_commitment)
            && keys.tree.is_some() == grant.has_tree_key();
        if fits { Ok(keys) } else { Err(lie("the keys of a share are not the ones its terms name")) }
    }

    /// Name and times of a share, from its entry; the root of a whole tree has none.
    pub fn share_props(&self, share: &Share, held: &Held) -> Result<EntryProps> {
        let Blob(bytes) = &share.entry.entry;
        if bytes.is_empty() {
            let name = NodeName::parse(WHOLE_TREE).map_err(|e| ClientError::broken("a fixed name is no name").because(e))?;
            return Ok(EntryProps { name, created: Timestamp::ABSENT, modified: Timestamp::ABSENT, mode: 0 });
        }
        let entry = Entry::parse(bytes).map_err(|e| lie("the entry of a share cannot be read").because(e))?;
        if (entry.child, entry.kind) != (held.id, held.kind) {
            return Err(lie("the server shows the entry of another node with a share"));
        }
        if entry.child_epoch != held.epoch {
            return Err(ClientError::new(
                Kind::Stale,
                "share_behind",
                "new keys were made for a share and are not sealed to you yet; try again, then ask its owner to run `ticrypt rekey`",
            ));
        }
        let place = NodePlace { deployment: self.deployment(), node: held.id, kind: held.kind, epoch: held.epoch };
        held.keys.list.open_entry_props(&place, &entry.props).map_err(|e| sealed("the properties of a share", e))
    }

    /// Makes one's own tree: its root, the grant to oneself, the first head.
    pub(super) async fn create_home(&self) -> Result<()> {
        let me = self.me();
        let keys = NodeKeys::generate(&self.random).map_err(cannot_seal)?;
        let node = new_node_id(&self.random)?;
        let terms = self.own_terms(node, NodeKind::Directory, 1, &keys)?;
        let terms = self.with_key_log(terms).await;
        let sealed = ticrypt_keyring::grant::seal(&self.random, &me.bundle, &terms, &keys).map_err(cannot_seal)?;
        let envelope = self.session.keys.sign(Batch::Grants(vec![terms])).await?.pop().ok_or_else(super::make::unsigned)?;
        let grant: Signed<GrantPayload> = self.own(&envelope)?;
        let root = Root { grant: Arc::new(grant), is_home: true, group: None, compartment: None, sharer: me.name.clone() };
        let head = self.author(&root)?.head(node, 1, None, Vec::new())?;
        let (head, _) = self.sign_head(head).await?;
        let grant = NewGrant { grant: Blob(envelope), sealed: Blob(sealed) };
        match self.server().create_home(HomeCreateRequest { grant, head }).await {
            // Another of this person's programs was first; its tree is the tree.
            Err(error) if error.code() == "home_exists" => Ok(()),
            other => other.map(|_| ()),
        }
    }

    /// A person's seal of their own keys to themselves.
    pub(super) fn own_terms(&self, node: NodeId, kind: NodeKind, epoch: u32, keys: &NodeKeys) -> Result<GrantPayload> {
        let me = self.me();
        Ok(GrantPayload {
            deployment: self.deployment(),
            suite: Suite::CURRENT,
            grant: new_grant_id(&self.random)?,
            node,
            kind,
            epoch,
            list_commitment: keys.list.commitment(),
            tree_commitment: keys.tree.as_ref().map(|tree| tree.commitment()).unwrap_or(Digest::ZERO),
            owner: me.user,
            sealer: me.user,
            sealer_bundle: me.hash(),
            recipient_kind: RecipientKind::Person,
            recipient: me.user,
            recipient_bundle: me.hash(),
            recipient_generation: me.generation(),
            verbs: Verbs::ALL,
            expires: Timestamp::ABSENT,
            predecessor: None,
            authority: None,
            key_log_size: 0,
            key_log_root: None,
            issued: crate::clock::now(),
        })
    }

    /// Grants carry the key log as the sealer has seen it, so that people who share compare what they were shown (security C18).
    pub(super) async fn with_key_log(&self, mut terms: GrantPayload) -> GrantPayload {
        if let Some(seen) = self.session.mirrors.keys.last().await.filter(|seen| seen.size > 0) {
            terms.key_log_size = seen.size;
            terms.key_log_root = Some(Digest::new(*seen.root.as_bytes()));
        }
        terms
    }

    /// One's own tree, made if there is none yet.
    pub async fn home(&self) -> Result<Held> {
        let share = match self.own_root().await? {
            Some(share) => share,
            None => {
                self.create_home().await?;
                self.own_root().await?.ok_or_else(|| lie("the server does not show the tree that was just made"))?
            }
        };
        let held = self.open_shares(&[share]).await?.pop().ok_or_else(|| ClientError::broken("the keys of the tree were not opened"))?;
        *self.known_home() = Some(held.clone());
        Ok(held)
    }

    /// One's own tree as it was last shown. Only for who goes on to list it: if it has new keys since, the listing does not fit.
    pub(super) fn known_home(&self) -> MutexGuard<'_, Option<Held>> {
        self.home.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Share {
    pub fn root(&self) -> &Arc<Root> {
        &self.seal.root
    }

    pub fn sharer(&self) -> &UserName {
        &self.seal.root.sharer
    }

    /// Its project is not in this person's working set: the server keeps the keys back.
    pub fn is_locked(&self) -> bool {
        self.entry.locked
    }

    fn held(&self, keys: Arc<NodeKeys>) -> Held {
        let root = Arc::clone(&self.seal.root);
        Held { id: root.grant.node, kind: root.grant.kind, epoch: root.grant.epoch, keys, lineage: Lineage::root(root.grant.node), root }
    }
}
