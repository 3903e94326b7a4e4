//! A store, the two roles over it, and people with accounts.

use std::collections::HashSet;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Arc, Mutex};

use ticrypt_api::ApiError;
use ticrypt_api::grant::NewGrant;
use ticrypt_api::node::{CreateRequest, HomeCreateRequest, ListItem, ListReply, ListRequest, NewNode};
use ticrypt_api::role::{Caller, Chunks, Epochs, Vault};
use ticrypt_backend::{file, storage};
use ticrypt_policy::Actor;
use ticrypt_policy::user::{Registration, RegistrationFacts, may_activate, may_bootstrap, may_register};
use ticrypt_store::blobs::ChunkStore;
use ticrypt_store::user::{Bundle, Statement, UserNew};
use ticrypt_store::{Options, Store};
use ticrypt_types::{DeploymentId, NodeId, Rank, RequestId, Secret, SessionId, Timestamp, UserId, UserState, Verbs};

use crate::audit_rows::MemoryAudit;
use crate::records::*;

/// Everybody is here unless a test says otherwise.
#[derive(Debug, Default)]
pub struct Present {
    pub gone: Mutex<HashSet<UserId>>,
}

impl Epochs for Present {
    fn is_current(&self, user: UserId, _: SessionId, epoch: u64) -> bool {
        epoch == 1 && !self.gone.lock().unwrap().contains(&user)
    }
}

pub struct World {
    pub deployment: DeploymentId,
    pub store: Store,
    pub audit: Arc<MemoryAudit>,
    pub present: Arc<Present>,
    pub vault: file::FileRole,
    pub chunks: Arc<storage::StorageRole>,
    pub folder: tempfile::TempDir,
    admin: Person,
}

impl World {
    pub async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite://{}", folder.path().join("db").display());
        Self::at(&url, folder).await
    }

    pub async fn at(url: &str, folder: tempfile::TempDir) -> Self {
        let store = Store::connect(url, &Options::default()).await.unwrap();
        store.migrate().await.unwrap();
        let deployment = DeploymentId::from_random(random());
        let (audit, present) = (Arc::new(MemoryAudit::default()), Arc::new(Present::default()));
        let losses = Arc::default();
        let key: [u8; 32] = random();
        let chunks = Arc::new(storage::StorageRole::new(storage::Parts {
            store: store.clone(),
            chunks: ChunkStore::local(&folder.path().join("chunks")).unwrap(),
            epochs: present.clone(),
            ticket_key: Secret::new(key),
            losses: Arc::clone(&losses),
        }));
        let vault = file::FileRole::new(file::Parts {
            deployment,
            store: store.clone(),
            audit: audit.clone(),
            chunks: chunks.clone(),
            ticket_key: Secret::new(key),
            losses,
        });
        let admin = Person::new(deployment, "admin");
        let world = Self { deployment, store, audit, present, vault, chunks, folder, admin };
        let (user, bundle, statement) = world.account(&world.admin);
        world.store.bootstrap(may_bootstrap(world.admin.user, false).unwrap(), user, bundle, statement).await.unwrap();
        world
    }

    fn account(&self, person: &Person) -> (UserNew, Bundle, Statement) {
        let at = Timestamp::from_millis(NOW);
        let hash = person.bundle.hash().to_bytes();
        let bundle = Bundle {
            hash,
            user: person.user,
            generation: 0,
            bytes: person.bundle.as_bytes().to_vec(),
            log_index: 0,
            log_leaf: vec![1],
            created: at,
        };
        let statement = Statement { user: person.user, bundle: hash, action: 1, envelope: vec![1], log_index: 0, log_leaf: vec![1], at };
        (UserNew { id: person.user, name: person.name.clone(), created: at }, bundle, statement)
    }

    /// Somebody with an active account.
    pub async fn person(&self, name: &str) -> Person {
        let person = Person::new(self.deployment, name);
        let at = Timestamp::from_millis(NOW);
        let (user, bundle, statement) = self.account(&person);
        let facts = RegistrationFacts { user: person.user, registration: Registration::Open, name_taken: false };
        self.store.register(may_register(&facts, at).unwrap(), user, bundle).await.unwrap();
        let admin = Actor {
            user: self.admin.user,
            rank: Rank::SuperAdmin,
            state: UserState::Active,
            disabled_until: Timestamp::ABSENT,
            epoch: 1,
            session_epoch: 1,
            permissions: ticrypt_types::Permissions::basic(),
            active: std::sync::Arc::default(),
        };
        let facts = self.store.user_facts(person.user, at).await.unwrap().unwrap();
        self.store.activate(may_activate(&admin, &facts, at).unwrap(), statement).await.unwrap();
        person
    }

    /// Somebody with a home, and the client's view of it.
    pub async fn housed(&self, name: &str) -> (Person, Directory) {
        let person = self.person(name).await;
        let (request, home, _) = home_request(&person);
        self.vault.create_home(&caller(&person), request).await.unwrap();
        (person, home)
    }

    pub async fn create(&self, person: &Person, directory: &mut Directory, nodes: Vec<NewNode>) -> Result<u64, ApiError> {
        let head = directory.advance(person);
        let request = CreateRequest { directory: directory.node, head, nodes };
        self.vault.create(&caller(person), request).await.map(|reply| reply.body.head_counter)
    }

    /// A directory in another.
    pub async fn mkdir(&self, person: &Person, parent: &mut Directory, name: &str) -> Directory {
        let (directory, node) = new_directory(person, parent, name);
        self.create(person, parent, vec![node]).await.unwrap();
        directory
    }

    pub async fn list(&self, person: &Person, directory: NodeId) -> Result<ListReply, ApiError> {
        let request = ListRequest { items: vec![ListItem { directory, page: None }], limit: 4_000, manifests: true };
        self.vault.list(&caller(person), request).await.map(|reply| reply.body)
    }

    /// The counter of a directory as it is stored.
    pub async fn counter(&self, directory: NodeId) -> u64 {
        self.store.node(directory).await.unwrap().unwrap().head_counter
    }

    /// Shares a node; gives the terms.
    pub async fn share(&self, owner: &Person, with: &Person, directory: &Directory, verbs: Verbs) -> ticrypt_crypto::grant::GrantPayload {
        let terms = grant(owner, with, directory.node, ticrypt_types::NodeKind::Directory, owner.user, verbs);
        let new = NewGrant { grant: owner.sign(&terms), sealed: sealed(verbs) };
        let request = ticrypt_api::grant::GrantCreateRequest { grants: vec![new] };
        self.vault.create_grants(&caller(owner), request).await.unwrap();
        terms
    }

    pub async fn write(&self, person: &Person, ticket: &ticrypt_api::upload::Ticket, number: u64, bytes: &[u8]) -> Result<(), ApiError> {
        self.chunks.write(&caller(person), &ticket.ticket.0, ticket.version, number, bytes.to_vec().into()).await
    }
}

pub fn home_request(person: &Person) -> (HomeCreateRequest, Directory, ticrypt_crypto::grant::GrantPayload) {
    let mut home = Directory::new(new_node(), None, person.user);
    let terms = grant(person, person, home.node, ticrypt_types::NodeKind::Directory, person.user, Verbs::ALL);
    let head = home.advance(person);
    (HomeCreateRequest { grant: NewGrant { grant: person.sign(&terms), sealed: sealed(Verbs::ALL) }, head }, home, terms)
}

pub fn caller(person: &Person) -> Caller {
    Caller {
        user: person.user,
        rank: Rank::User,
        session: person.session,
        epoch: 1,
        login: Timestamp::from_millis(NOW),
        request: RequestId::from_random(random()),
        address: IpAddr::V4(Ipv4Addr::LOCALHOST),
        now: Timestamp::from_millis(NOW),
    }
}

pub fn code<T: std::fmt::Debug>(result: Result<T, ApiError>) -> String {
    result.unwrap_err().code
}
