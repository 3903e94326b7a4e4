//! A small world to test in: people, trees and shares made through the real rules and the real store. Records are stand-ins:
//! the store never reads them.

use ticrypt_policy::{Actor, node as node_rules, user as user_rules};
use ticrypt_store::grant::GrantNew;
use ticrypt_store::node::{CreateNodes, EntryNew, HeadNew, HomeNew, NodeNew};
use ticrypt_store::user::{Bundle, Statement, UserNew};
use ticrypt_store::version::{ContentNew, ContentSource, ManifestNew};
use ticrypt_store::{Digest, Options, Store, StoreError};
use ticrypt_types::{GrantId, NodeId, NodeKind, Permissions, Rank, SessionId, Timestamp, UserId, UserState, Verbs, VersionId};

pub struct Db {
    pub url: String,
}

impl Db {
    pub async fn open(&self) -> Lab {
        let store = Store::connect(&self.url, &Options::default()).await.unwrap();
        store.migrate().await.unwrap();
        Lab { store, drawn: std::sync::atomic::AtomicU64::new(1) }
    }
}

pub struct Lab {
    pub store: Store,
    drawn: std::sync::atomic::AtomicU64,
}

pub const NOW: Timestamp = Timestamp::from_millis(1_000_000);

/// Whatever kinds are made.
pub const MAKING: node_rules::Making = node_rules::Making { files: true, directories: true };

pub fn at(ms: u64) -> Timestamp {
    Timestamp::from_millis(ms)
}

pub fn actor(user: UserId) -> Actor {
    Actor {
        user,
        rank: Rank::User,
        state: UserState::Active,
        disabled_until: Timestamp::ABSENT,
        epoch: 1,
        session_epoch: 1,
        permissions: Permissions::basic(),
        active: Default::default(),
    }
}

/// A head on top of the directory's newest.
pub async fn next_head(store: &Store, directory: NodeId) -> HeadNew {
    let node = store.node(directory).await.unwrap().unwrap();
    let hash = head_hash(directory, node.head_counter + 1, node.epoch);
    HeadNew {
        directory,
        counter: node.head_counter + 1,
        epoch: node.epoch,
        previous: node.head_hash,
        hash,
        bytes: format!("head {} of {directory}", node.head_counter + 1).into_bytes(),
    }
}

fn head_hash(directory: NodeId, counter: u64, epoch: u64) -> Digest {
    let mut hash = [0; 32];
    hash[..16].copy_from_slice(directory.as_bytes());
    hash[16..24].copy_from_slice(&counter.to_be_bytes());
    hash[24..].copy_from_slice(&epoch.to_be_bytes());
    hash
}

pub fn tag(name: &str) -> Digest {
    let mut tag = [0; 32];
    tag[..name.len()].copy_from_slice(name.as_bytes());
    tag
}

impl Lab {
    /// Sixteen bytes nobody drew before, in no order.
    pub fn draw(&self) -> [u8; 16] {
        let n = self.drawn.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let mut mixed = n.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&mixed.to_be_bytes());
        bytes[8..].copy_from_slice(&n.to_be_bytes());
        bytes
    }

    pub fn digest(&self) -> Digest {
        let mut digest = [7; 32];
        digest[..16].copy_from_slice(&self.draw());
        digest
    }

    pub fn node_id(&self) -> NodeId {
        NodeId::from_random(self.draw())
    }

    pub fn version_id(&self) -> VersionId {
        VersionId::from_random(self.draw())
    }

    pub fn session_id(&self) -> SessionId {
        SessionId::from_random(self.draw())
    }

    pub fn bundle(&self, user: UserId, generation: u64) -> Bundle {
        Bundle { hash: self.digest(), user, generation, bytes: b"bundle".to_vec(), log_index: 3, log_leaf: b"leaf".to_vec(), created: NOW }
    }

    pub fn statement(&self, user: UserId, action: u8) -> Statement {
        Statement {
            user,
            bundle: self.digest(),
            action,
            envelope: b"statement".to_vec(),
            log_index: 4,
            log_leaf: b"leaf".to_vec(),
            at: NOW,
        }
    }

    /// A registered, pending account.
    pub async fn registered(&self, name: &str) -> UserId {
        let user = UserId::from_random(self.draw());
        let facts = user_rules::RegistrationFacts { user, registration: user_rules::Registration::Open, name_taken: false };
        let permit = user_rules::may_register(&facts, NOW).unwrap();
        let new = UserNew { id: user, name: name.parse().unwrap(), created: NOW };
        self.store.register(permit, new, self.bundle(user, 0)).await.unwrap();
        user
    }

    pub async fn super_admin(&self, name: &str) -> UserId {
        let user = UserId::from_random(self.draw());
        let permit = user_rules::may_bootstrap(user, self.store.has_users().await.unwrap()).unwrap();
        let new = UserNew { id: user, name: name.parse().unwrap(), created: NOW };
        self.store.bootstrap(permit, new, self.bundle(user, 0), self.statement(user, 0)).await.unwrap();
        user
    }

    /// Somebody with an active account; a super-admin is there already.
    pub async fn active(&self, name: &str) -> UserId {
        let user = self.registered(name).await;
        let root = Actor { rank: Rank::SuperAdmin, ..actor(UserId::from_random(self.draw())) };
        let facts = self.store.user_facts(user, NOW).await.unwrap().unwrap();
        self.store.activate(user_rules::may_activate(&root, &facts, NOW).unwrap(), self.statement(user, 1)).await.unwrap();
        user
    }

    /// The actor of an account as it stands now.
    pub async fn actor(&self, user: UserId) -> Actor {
        let user = self.store.user(user).await.unwrap().unwrap();
        self.store.actor(&user, user.epoch, NOW).await.unwrap()
    }

    pub fn person(&self) -> UserId {
        UserId::from_random(self.draw())
    }

    pub fn grant(&self, node: NodeId, owner: UserId, sealer: UserId, recipient: UserId, verbs: Verbs) -> GrantNew {
        GrantNew {
            id: GrantId::from_random(self.draw()),
            node,
            hash: self.digest(),
            envelope: b"grant".to_vec(),
            sealed: b"sealed".to_vec(),
            owner,
            sealer,
            recipient,
            recipient_bundle: [3; 32],
            verbs,
            epoch: 1,
            expires: Timestamp::ABSENT,
            authority: None,
            predecessor: None,
            created: NOW,
        }
    }

    pub fn home_new(&self, owner: UserId) -> HomeNew {
        let node = self.node_id();
        let head = HeadNew { directory: node, counter: 1, epoch: 1, previous: None, hash: head_hash(node, 1, 1), bytes: b"first".to_vec() };
        HomeNew { node, head, grant: self.grant(node, owner, owner, owner, Verbs::ALL), created: NOW }
    }

    pub async fn home(&self, owner: UserId) -> NodeId {
        let permit = node_rules::may_create_home(&actor(owner), node_rules::Home::None, NOW).unwrap();
        let mut home = self.home_new(owner);
        if let Some(account) = self.store.user(owner).await.unwrap() {
            home.grant.recipient_bundle = account.bundle;
        }
        let node = home.node;
        self.store.create_home(permit, home).await.unwrap();
        node
    }

    pub fn entry(&self, parent: NodeId, node: NodeId, kind: NodeKind, name: &str) -> EntryNew {
        EntryNew {
            parent,
            parent_epoch: 1,
            node,
            kind,
            epoch: 1,
            name_tag: tag(name),
            leaf: self.digest(),
            bytes: name.as_bytes().to_vec(),
        }
    }

    pub fn directory_new(&self, parent: NodeId, name: &str) -> NodeNew {
        let node = self.node_id();
        let head = HeadNew { directory: node, counter: 1, epoch: 1, previous: None, hash: head_hash(node, 1, 1), bytes: b"first".to_vec() };
        NodeNew { entry: self.entry(parent, node, NodeKind::Directory, name), head: Some(head), content: None }
    }

    pub fn file_new(&self, parent: NodeId, name: &str, content: Option<ContentNew>) -> NodeNew {
        NodeNew { entry: self.entry(parent, self.node_id(), NodeKind::File, name), head: None, content }
    }

    pub fn manifest(&self, sequence: u64, predecessor: Option<Digest>) -> ManifestNew {
        ManifestNew { sequence, predecessor, hash: self.digest(), envelope: b"manifest".to_vec(), props_key: b"props".to_vec(), at: NOW }
    }

    pub fn small(&self, bytes: &[u8], sequence: u64, predecessor: Option<Digest>) -> ContentNew {
        let source =
            ContentSource::Small { content_wrap: b"wrap".to_vec(), size: bytes.len() as u64, hash: [4; 32], bytes: bytes.to_vec() };
        ContentNew { version: self.version_id(), source, manifest: self.manifest(sequence, predecessor) }
    }

    pub async fn create(&self, by: UserId, directory: NodeId, nodes: Vec<NodeNew>) -> Result<(), StoreError> {
        let facts = self.store.node_fact(by, directory).await?.unwrap();
        let permit = node_rules::may_create(&actor(by), &facts, MAKING, NOW).unwrap();
        let mut head = next_head(&self.store, directory).await;
        let mut nodes = nodes;
        for node in &mut nodes {
            if node.entry.parent == directory {
                node.entry.parent_epoch = facts.epoch;
            }
        }
        head.epoch = facts.epoch;
        self.store.create_nodes(permit, CreateNodes { head, nodes, created: NOW }).await
    }

    pub async fn directory(&self, by: UserId, parent: NodeId, name: &str) -> NodeId {
        let new = self.directory_new(parent, name);
        let node = new.entry.node;
        self.create(by, parent, vec![new]).await.unwrap();
        node
    }

    /// A file with a small content.
    pub async fn file(&self, by: UserId, parent: NodeId, name: &str) -> NodeId {
        let new = self.file_new(parent, name, Some(self.small(b"content", 1, None)));
        let node = new.entry.node;
        self.create(by, parent, vec![new]).await.unwrap();
        node
    }

    pub async fn facts(&self, by: UserId, node: NodeId) -> ticrypt_policy::node::NodeFacts {
        self.store.node_fact(by, node).await.unwrap().unwrap()
    }

    pub async fn next_head(&self, directory: NodeId) -> HeadNew {
        next_head(&self.store, directory).await
    }

    pub async fn trash(&self, by: UserId, node: NodeId) {
        let facts = self.facts(by, node).await;
        let permit = node_rules::may_trash(&actor(by), &facts, NOW).unwrap();
        let heads = vec![self.next_head(facts.parent.unwrap()).await];
        self.store.trash(vec![permit], heads, NOW).await.unwrap();
    }

    /// Shares a node of `owner` with somebody.
    pub async fn share(&self, owner: UserId, node: NodeId, recipient: UserId, verbs: Verbs) -> GrantNew {
        self.share_until(owner, node, recipient, verbs, Timestamp::ABSENT).await
    }

    pub async fn share_until(&self, owner: UserId, node: NodeId, recipient: UserId, verbs: Verbs, expires: Timestamp) -> GrantNew {
        let facts = self.facts(owner, node).await;
        let terms = ticrypt_policy::grant::GrantTerms { recipient, recipient_active: true, verbs, expires, authority: None };
        let permit = ticrypt_policy::grant::may_create_grant(&actor(owner), &facts, &terms, NOW).unwrap();
        let grant = GrantNew { expires, epoch: facts.epoch, ..self.grant(node, owner, owner, recipient, verbs) };
        self.store.insert_grant(permit, grant.clone()).await.unwrap();
        grant
    }

    /// Somebody lost their keys; the administrator accepts new ones.
    pub async fn reset(&self, admin: UserId, user: UserId, at: Timestamp) -> Bundle {
        let generation = self.store.newest_bundle(user).await.unwrap().unwrap().generation + 1;
        let facts = self.store.user_facts(user, NOW).await.unwrap().unwrap();
        let permit = user_rules::may_reset(&self.actor(admin).await, &facts, NOW).unwrap();
        let bundle = self.bundle(user, generation);
        self.store.reset(permit, bundle.clone(), Statement { at, ..self.statement(user, 5) }).await.unwrap();
        bundle
    }

    pub async fn end(&self, by: UserId, grant: &GrantNew) -> Result<(), StoreError> {
        let facts = self.facts(by, grant.node).await;
        let stored = self.store.grant(grant.id).await?.unwrap();
        let permit = ticrypt_policy::grant::may_revoke(&actor(by), &facts, &stored.facts(), NOW).unwrap();
        let end = ticrypt_store::grant::EndGrant { permit, revocation: b"revocation".to_vec(), by };
        self.store.end_grants(vec![end], NOW).await
    }
}
