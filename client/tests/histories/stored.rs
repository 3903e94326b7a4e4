//! Everything the server has ever stored that holds a key, read out of its database behind its back: a server that forgets nothing.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::Path;

use sea_orm::{ConnectOptions, ConnectionTrait, Database, DatabaseConnection, DbBackend, QueryResult, Statement};
use ticrypt_crypto::bundle::{Bundle, KemPublicKey};
use ticrypt_crypto::compartment::CompartmentHeadPayload;
use ticrypt_crypto::entry::Entry;
use ticrypt_crypto::grant::GrantPayload;
use ticrypt_crypto::group::GroupHeadPayload;
use ticrypt_crypto::record::Record;
use ticrypt_crypto::{Digest, Envelope, PublicKey, Signed};
use ticrypt_types::{Compartment, GroupId, NodeId, ProjectId, UserId, VersionId};

pub struct Stored {
    database: DatabaseConnection,
    pub entries: BTreeMap<Digest, Entry>,
    /// Terms and sealed keys.
    pub grants: BTreeMap<Digest, (Signed<GrantPayload>, Vec<u8>)>,
    /// A content key under the key of a file.
    pub contents: BTreeSet<(VersionId, NodeId, Vec<u8>)>,
    pub seals: BTreeSet<SealRow>,
    /// Public key of each generation, and the seed before it wrapped.
    pub generations: HashMap<(GroupId, Compartment, u32), (KemPublicKey, Vec<u8>)>,
    signers: HashMap<Digest, PublicKey>,
}

/// The seed of a group's key, sealed to somebody.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SealRow {
    pub group: GroupId,
    pub tags: Vec<ProjectId>,
    pub user: UserId,
    pub generation: u32,
    pub bundle: [u8; 32],
    pub bundle_generation: u32,
    pub sealed: Vec<u8>,
}

/// The tree as it stands.
#[derive(Default)]
pub struct Shape {
    /// The directory it is in, and who owns it.
    pub nodes: HashMap<NodeId, (Option<NodeId>, UserId)>,
    own_tags: HashMap<NodeId, BTreeSet<ProjectId>>,
    /// Complete contents, by file.
    pub versions: Vec<(VersionId, NodeId)>,
}

impl Shape {
    /// The node and what it is in, upwards.
    pub fn way_up(&self, node: NodeId) -> impl Iterator<Item = NodeId> {
        std::iter::successors(Some(node), |at| self.parent(*at))
    }

    pub fn parent(&self, node: NodeId) -> Option<NodeId> {
        self.nodes.get(&node).and_then(|(parent, _)| *parent)
    }

    /// Whether it has tags of its own.
    pub fn is_tagged(&self, node: NodeId) -> bool {
        self.own_tags.contains_key(&node)
    }

    /// Every tag on its path.
    pub fn label(&self, node: NodeId) -> BTreeSet<ProjectId> {
        self.way_up(node).filter_map(|at| self.own_tags.get(&at)).flatten().copied().collect()
    }

    /// Who owns the tree it is in: a person, or a group under an id of the same form.
    pub fn owner(&self, node: NodeId) -> Option<UserId> {
        self.nodes.get(&node).map(|(_, owner)| *owner)
    }
}

fn id<T: for<'a> TryFrom<&'a [u8]>>(row: &QueryResult, column: &str) -> T {
    let bytes: Vec<u8> = row.try_get("", column).unwrap();
    T::try_from(&bytes).ok().unwrap()
}

fn blob(row: &QueryResult, column: &str) -> Vec<u8> {
    row.try_get("", column).unwrap()
}

fn number(row: &QueryResult, column: &str) -> u32 {
    row.try_get::<i64>("", column).unwrap().try_into().unwrap()
}

fn tags(row: &QueryResult) -> Vec<ProjectId> {
    blob(row, "tags").chunks(16).map(|tag| ProjectId::try_from(tag).unwrap()).collect()
}

impl Stored {
    pub async fn open(data: &Path) -> Self {
        let file = data.join("db/ticrypt.db");
        let mut options = ConnectOptions::new(format!("sqlite://{}?mode=ro", file.display()));
        options.max_connections(1).sqlx_logging(false);
        let database = Database::connect(options).await.unwrap();
        let (entries, grants, contents, seals) = Default::default();
        Self { database, entries, grants, contents, seals, generations: HashMap::new(), signers: HashMap::new() }
    }

    async fn rows(&self, sql: &str) -> Vec<QueryResult> {
        self.database.query_all_raw(Statement::from_string(DbBackend::Sqlite, sql)).await.unwrap()
    }

    /// Takes in what is stored now, beside what was; gives the tree.
    pub async fn look(&mut self) -> Shape {
        for row in self.rows("SELECT hash, bundle FROM bundles").await {
            let bundle = Bundle::parse_and_verify(&blob(&row, "bundle")).unwrap();
            self.signers.insert(bundle.hash(), bundle.payload().signing_key);
        }
        let mut shape = Shape::default();
        for row in self.rows("SELECT id, parent_id, owner_id, entry FROM nodes").await {
            let parent: Option<Vec<u8>> = row.try_get("", "parent_id").unwrap();
            let parent = parent.map(|parent| NodeId::try_from(&parent[..]).unwrap());
            shape.nodes.insert(id(&row, "id"), (parent, id(&row, "owner_id")));
            let entry: Option<Vec<u8>> = row.try_get("", "entry").unwrap();
            if let Some(entry) = entry.filter(|entry| !entry.is_empty()) {
                self.entries.entry(Digest::of(&entry)).or_insert_with(|| Entry::parse(&entry).unwrap());
            }
        }
        for row in self.rows("SELECT node_id, project_id FROM node_tags").await {
            shape.own_tags.entry(id(&row, "node_id")).or_default().insert(id(&row, "project_id"));
        }
        for row in self.rows("SELECT id, file_id, content_wrap FROM versions WHERE state = 'stored'").await {
            let (version, file) = (id(&row, "id"), id(&row, "file_id"));
            shape.versions.push((version, file));
            self.contents.insert((version, file, blob(&row, "content_wrap")));
        }
        for row in self.rows("SELECT envelope, sealed FROM grants").await {
            let (envelope, sealed) = (blob(&row, "envelope"), blob(&row, "sealed"));
            let signers = &self.signers;
            self.grants.entry(Digest::of_parts(&[&envelope, &sealed])).or_insert_with(|| {
                let envelope = Envelope::parse(&envelope).unwrap();
                let claimed: GrantPayload = envelope.claimed().unwrap();
                (envelope.verify_as(&signers[&claimed.sealer_bundle]).unwrap(), sealed)
            });
        }
        self.look_at_groups().await;
        shape
    }

    async fn look_at_groups(&mut self) {
        for row in self.rows("SELECT envelope FROM group_heads").await {
            let head: GroupHeadPayload = Envelope::parse(&blob(&row, "envelope")).unwrap().claimed().unwrap();
            if let Some(key) = head.key {
                self.generations.insert((head.group, Compartment::UNLOCKED, head.generation), (key, head.wrapped));
            }
        }
        for row in self.rows("SELECT envelope FROM compartment_heads").await {
            let head: CompartmentHeadPayload = Envelope::parse(&blob(&row, "envelope")).unwrap().claimed().unwrap();
            self.generations.insert((head.group, head.compartment, head.generation), (head.key, head.wrapped));
        }
        for table in ["SELECT *, x'' AS tags FROM group_seals", "SELECT * FROM compartment_seals"] {
            for row in self.rows(table).await {
                self.seals.insert(SealRow {
                    group: id(&row, "group_id"),
                    tags: tags(&row),
                    user: id(&row, "user_id"),
                    generation: number(&row, "generation"),
                    bundle: blob(&row, "bundle_hash").try_into().unwrap(),
                    bundle_generation: number(&row, "bundle_generation"),
                    sealed: blob(&row, "sealed"),
                });
            }
        }
    }
}
