//! Records as a client makes them: really signed, with random bytes where an honest client puts ciphertext. The server opens none
//! of it, so it cannot tell the difference, and that is half of what these tests show.

use std::collections::BTreeMap;

use aws_lc_rs::rand::{SecureRandom, SystemRandom};
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
use ticrypt_api::grant::NewGrant;
use ticrypt_api::group::{GroupCreateRequest, NewGroupSeal};
use ticrypt_api::node::{NewContent, NewNode, NodeView};
use ticrypt_api::{Blob, Hash};
use ticrypt_crypto::bundle::{Bundle, BundlePayload, KemPublicKey, Reason};
use ticrypt_crypto::chunk::Header;
use ticrypt_crypto::compartment::CompartmentHeadPayload;
use ticrypt_crypto::directory::HeadPayload;
use ticrypt_crypto::entry::{Entry, entries_root};
use ticrypt_crypto::grant::{GrantPayload, RecipientKind, Revocation, SEALED_LENS};
use ticrypt_crypto::group::{GroupHeadPayload, SEALED_SEED_LEN};
use ticrypt_crypto::manifest::{ManifestPayload, chunk_count_for, chunk_root};
use ticrypt_crypto::record::Record;
use ticrypt_crypto::signature::{Payload, message};
use ticrypt_crypto::{Digest, Envelope, PublicKey, Suite, batch};
use ticrypt_types::{
    Compartment, DeploymentId, GrantId, GroupChange, GroupId, GroupPermissions, GroupStep, NodeId, NodeKind, SessionId, Timestamp, UserId,
    UserName, Verbs, VersionId,
};

pub const NOW: u64 = 1_795_392_000_000;

pub fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    SystemRandom::new().fill(&mut bytes).unwrap();
    bytes
}

pub fn random_vec(len: usize) -> Vec<u8> {
    let mut bytes = vec![0; len];
    SystemRandom::new().fill(&mut bytes).unwrap();
    bytes
}

pub fn new_node() -> NodeId {
    NodeId::from_random(random())
}

pub fn new_version() -> VersionId {
    VersionId::from_random(random())
}

/// Somebody with a key of their own.
pub struct Person {
    pub user: UserId,
    pub name: UserName,
    pub session: SessionId,
    pub deployment: DeploymentId,
    key: EcdsaKeyPair,
    pub bundle: Bundle,
}

impl Person {
    pub fn new(deployment: DeploymentId, name: &str) -> Self {
        let user = UserId::from_random(random());
        let (key, bundle) = identity(deployment, user, name.parse().unwrap());
        Self { user, name: name.parse().unwrap(), session: SessionId::from_random(random()), deployment, key, bundle }
    }

    /// One signature over a batch, as a client makes it.
    pub fn sign_all<T: Payload>(&self, records: &[T]) -> Vec<Blob> {
        sign_all(&self.key, records)
    }

    pub fn sign<T: Payload>(&self, record: &T) -> Blob {
        let payload = record.to_bytes();
        let root = batch::leaf(&payload);
        Blob(Envelope::assemble(&payload, 0, 1, vec![], signature(&self.key, &message(T::NAMESPACE, 1, &root))))
    }
}

fn identity(deployment: DeploymentId, user: UserId, name: UserName) -> (EcdsaKeyPair, Bundle) {
    let key = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
    let point = EcdsaKeyPair::generate(&ECDSA_P384_SHA384_FIXED_SIGNING).unwrap();
    let kem = [&[0; 1568][..], point.public_key().as_ref()].concat();
    let payload = BundlePayload {
        deployment,
        user,
        name,
        generation: 0,
        suite: Suite::CURRENT,
        signing_key: PublicKey::from_bytes(key.public_key().as_ref()).unwrap(),
        kem_key: KemPublicKey::from_bytes(&kem).unwrap(),
        predecessor: None,
        reason: Reason::First,
        created: Timestamp::from_millis(NOW),
    };
    let bytes = payload.to_bytes();
    let root = batch::leaf(&bytes);
    let envelope = Envelope::assemble(&bytes, 0, 1, vec![], signature(&key, &message(BundlePayload::NAMESPACE, 1, &root)));
    let bundle = Bundle::parse_and_verify(&Bundle::assemble(envelope, vec![])).unwrap();
    (key, bundle)
}

fn signature(key: &EcdsaKeyPair, message: &[u8]) -> [u8; 64] {
    key.sign(&SystemRandom::new(), message).unwrap().as_ref().try_into().unwrap()
}

fn sign_all<T: Payload>(key: &EcdsaKeyPair, records: &[T]) -> Vec<Blob> {
    if records.is_empty() {
        return vec![];
    }
    let payloads: Vec<Vec<u8>> = records.iter().map(Record::to_bytes).collect();
    let tree = batch::Tree::new(payloads.iter().map(|p| batch::leaf(p)).collect());
    let signature = signature(key, &message(T::NAMESPACE, payloads.len() as u32, &tree.root()));
    let count = u32::try_from(payloads.len()).unwrap();
    let envelopes = payloads
        .iter()
        .enumerate()
        .map(|(i, payload)| Blob(Envelope::assemble(payload, u32::try_from(i).unwrap(), count, tree.path(i).unwrap(), signature)));
    envelopes.collect()
}

/// What a client knows of one directory.
#[derive(Clone, Debug)]
pub struct Directory {
    pub node: NodeId,
    pub parent: Option<NodeId>,
    pub owner: UserId,
    pub epoch: u32,
    pub counter: u64,
    pub head_hash: Option<Digest>,
    pub entries: BTreeMap<NodeId, Vec<u8>>,
    /// Of a writer who is not the owner.
    pub authority: Option<Digest>,
}

impl Directory {
    pub fn new(node: NodeId, parent: Option<NodeId>, owner: UserId) -> Self {
        Self { node, parent, owner, epoch: 1, counter: 0, head_hash: None, entries: BTreeMap::new(), authority: None }
    }

    /// The head that would follow with these entries.
    pub fn next_head(&self, writer: &Person) -> HeadPayload {
        let leaves = self.entries.iter().map(|(id, bytes)| (*id, ticrypt_crypto::entry::leaf_hash(bytes)));
        HeadPayload {
            deployment: writer.deployment,
            directory: self.node,
            counter: self.counter + 1,
            epoch: self.epoch,
            entry_count: self.entries.len() as u64,
            entries_root: entries_root(leaves).unwrap(),
            previous: self.head_hash,
            writer: writer.user,
            writer_bundle: writer.bundle.hash(),
            authority: self.authority,
            at: Timestamp::from_millis(NOW),
        }
    }

    /// Signs the next head and takes it as the present one.
    pub fn advance(&mut self, writer: &Person) -> Blob {
        let head = self.next_head(writer);
        self.counter = head.counter;
        self.head_hash = Some(Digest::of(&head.to_bytes()));
        writer.sign(&head)
    }

    pub fn entry(&self, child: NodeId, kind: NodeKind, child_epoch: u32, name: &str) -> Entry {
        Entry {
            parent: self.node,
            parent_epoch: self.epoch,
            child,
            kind,
            child_epoch,
            name_tag: tag(self.node, self.epoch, name),
            name: random_vec(60),
            list_wrap: random_vec(60),
            tree_wrap: random_vec(60),
            props: random_vec(80),
        }
    }

    /// Puts an entry into the client's view.
    pub fn put(&mut self, entry: &Entry) -> Blob {
        self.entries.insert(entry.child, entry.to_bytes());
        Blob(entry.to_bytes())
    }

    pub fn view_counter(&mut self, view: &NodeView) {
        self.counter = view.head_counter;
    }
}

/// Stands for the HMAC of a name under the directory's key.
pub fn tag(directory: NodeId, epoch: u32, name: &str) -> [u8; 32] {
    Digest::of_parts(&[directory.as_bytes(), &epoch.to_be_bytes(), name.as_bytes()]).to_bytes()
}

/// Chunks of a content of `size` bytes under one random key.
pub struct Content {
    pub version: VersionId,
    pub size: u64,
    pub commitment: Digest,
    pub chunks: Vec<Vec<u8>>,
}

impl Content {
    pub fn new(size: u64) -> Self {
        let commitment = Digest::new(random());
        let count = chunk_count_for(size);
        let chunks = (0..count).map(|number| {
            let len = ticrypt_crypto::chunk::plain_len(number, size).unwrap();
            let header = Header { last: number + 1 == count }.to_bytes();
            [&header[..], &random::<12>(), commitment.as_bytes(), &random_vec(usize::try_from(len).unwrap() + 16)].concat()
        });
        Self { version: new_version(), size, commitment, chunks: chunks.collect() }
    }

    pub fn hashes(&self) -> Vec<Digest> {
        self.chunks.iter().map(|chunk| Digest::of(chunk)).collect()
    }

    pub fn manifest(&self, writer: &Person, file: NodeId, sequence: u64, predecessor: Option<Digest>) -> ManifestPayload {
        ManifestPayload {
            deployment: writer.deployment,
            file,
            sequence,
            predecessor,
            version: self.version,
            size: self.size,
            chunk_count: self.chunks.len() as u64,
            chunk_root: chunk_root(&self.hashes()),
            key_commitment: self.commitment,
            props: random_vec(90),
            writer: writer.user,
            writer_bundle: writer.bundle.hash(),
            authority: None,
            at: Timestamp::from_millis(NOW),
        }
    }

    /// What goes over the wire; the chunk itself only if it is small.
    pub fn wire(&self, manifest: Blob, inline: bool) -> NewContent {
        NewContent {
            version: self.version,
            content_wrap: Blob(random_vec(60)),
            manifest,
            props_key: Blob(random_vec(60)),
            chunk_hashes: self.hashes().into_iter().map(|hash| Hash(hash.to_bytes())).collect(),
            chunk: inline.then(|| Blob(self.chunks[0].clone())),
        }
    }
}

/// A new file with a small content.
pub fn small_file(writer: &Person, directory: &mut Directory, name: &str, size: u64) -> (NodeId, NewNode) {
    let node = new_node();
    let entry = directory.put(&directory.entry(node, NodeKind::File, 1, name));
    let content = Content::new(size);
    let manifest = ManifestPayload { authority: directory.authority, ..content.manifest(writer, node, 1, None) };
    (node, NewNode { entry, head: None, content: Some(content.wire(writer.sign(&manifest), true)) })
}

/// A new directory, empty.
pub fn new_directory(writer: &Person, parent: &mut Directory, name: &str) -> (Directory, NewNode) {
    let mut directory = Directory::new(new_node(), Some(parent.node), parent.owner);
    directory.authority = parent.authority;
    let entry = parent.put(&parent.entry(directory.node, NodeKind::Directory, 1, name));
    let head = directory.advance(writer);
    (directory, NewNode { entry, head: Some(head), content: None })
}

/// Terms of a grant; change what a test is about.
pub fn grant(sealer: &Person, recipient: &Person, node: NodeId, kind: NodeKind, owner: UserId, verbs: Verbs) -> GrantPayload {
    GrantPayload {
        deployment: sealer.deployment,
        suite: Suite::CURRENT,
        grant: GrantId::from_random(random()),
        node,
        kind,
        epoch: 1,
        list_commitment: Digest::new(random()),
        tree_commitment: Digest::new(random()),
        owner,
        sealer: sealer.user,
        sealer_bundle: sealer.bundle.hash(),
        recipient_kind: RecipientKind::Person,
        recipient: recipient.user,
        recipient_bundle: recipient.bundle.hash(),
        recipient_generation: 0,
        verbs,
        expires: Timestamp::ABSENT,
        predecessor: None,
        authority: None,
        key_log_size: 0,
        key_log_root: None,
        issued: Timestamp::from_millis(NOW),
    }
}

pub fn sealed(verbs: Verbs) -> Blob {
    Blob(random_vec(SEALED_LENS[usize::from(verbs.contains(Verbs::VIEW))]))
}

pub fn hash_of<T: Record>(record: &T) -> Digest {
    Digest::of(&record.to_bytes())
}

pub fn revocation(issuer: &Person, grant: &GrantPayload) -> Revocation {
    Revocation {
        deployment: issuer.deployment,
        grant: grant.grant,
        grant_hash: hash_of(grant),
        node: grant.node,
        issuer: issuer.user,
        issuer_bundle: issuer.bundle.hash(),
        at: Timestamp::from_millis(NOW),
    }
}

/// The first head of a group: its owner, and these members besides.
pub fn first_group_head(owner: &Person, group: GroupId, members: &[(&Person, GroupPermissions)]) -> GroupHeadPayload {
    let all = std::iter::once((owner, GroupPermissions::ALL)).chain(members.iter().copied());
    GroupHeadPayload {
        deployment: owner.deployment,
        group,
        counter: 1,
        previous: None,
        changes: all.map(|(person, permissions)| added(person, permissions)).collect(),
        generation: 1,
        // Any key does: the server never uses it.
        key: Some(owner.bundle.payload().kem_key.clone()),
        wrapped: Vec::new(),
        writer: owner.user,
        writer_bundle: owner.bundle.hash(),
        at: Timestamp::from_millis(NOW),
    }
}

pub fn added(person: &Person, permissions: GroupPermissions) -> GroupChange {
    GroupChange { user: person.user, step: GroupStep::Add { bundle: person.bundle.hash().to_bytes(), permissions } }
}

/// The next head; `renews`: with a new generation.
pub fn next_group_head(writer: &Person, before: &GroupHeadPayload, changes: Vec<GroupChange>, renews: bool) -> GroupHeadPayload {
    GroupHeadPayload {
        counter: before.counter + 1,
        previous: Some(hash_of(before)),
        changes,
        generation: before.generation + u32::from(renews),
        key: renews.then(|| writer.bundle.payload().kem_key.clone()),
        wrapped: if renews { random_vec(60) } else { Vec::new() },
        writer: writer.user,
        writer_bundle: writer.bundle.hash(),
        at: Timestamp::from_millis(NOW),
        ..before.clone()
    }
}

/// The first head of a compartment, by one who stands on this head of the group.
pub fn compartment_head(writer: &Person, on: &GroupHeadPayload, compartment: Compartment) -> CompartmentHeadPayload {
    CompartmentHeadPayload {
        deployment: on.deployment,
        group: on.group,
        compartment,
        generation: 1,
        previous: None,
        // Any key does.
        key: writer.bundle.payload().kem_key.clone(),
        wrapped: vec![],
        authority: hash_of(on),
        writer: writer.user,
        writer_bundle: writer.bundle.hash(),
        at: Timestamp::from_millis(NOW),
    }
}

pub fn group_seal(member: &Person) -> NewGroupSeal {
    let bundle_generation = member.bundle.payload().generation;
    let (member, bundle) = (member.user, Hash(member.bundle.hash().to_bytes()));
    NewGroupSeal { member, bundle, bundle_generation, sealed: Blob(random_vec(SEALED_SEED_LEN)) }
}

/// The grant of a group's directory by one who stands on this head, to the generation that began with `key_head`.
pub fn group_grant(sealer: &Person, head: &GroupHeadPayload, key_head: &GroupHeadPayload, node: NodeId) -> GrantPayload {
    let owner = head.group.as_owner();
    GrantPayload {
        recipient_kind: RecipientKind::Group,
        recipient: owner,
        recipient_bundle: hash_of(key_head),
        recipient_generation: head.generation,
        authority: Some(hash_of(head)),
        verbs: GrantPayload::GROUP_VERBS,
        ..grant(sealer, sealer, node, NodeKind::Directory, owner, Verbs::VIEW)
    }
}

/// A group with its directory, ready to be made.
pub fn new_group(owner: &Person, name: &str, members: &[(&Person, GroupPermissions)]) -> (GroupCreateRequest, GroupHeadPayload, Directory) {
    let group = GroupId::from_random(random());
    let head = first_group_head(owner, group, members);
    let mut root = Directory::new(new_node(), None, group.as_owner());
    root.authority = Some(hash_of(&head));
    let grant = group_grant(owner, &head, &head, root.node);
    let seals = std::iter::once(owner).chain(members.iter().map(|(person, _)| *person)).map(group_seal).collect();
    let request = GroupCreateRequest {
        group,
        name: name.parse().unwrap(),
        head: owner.sign(&head),
        seals,
        root: NewGrant { grant: owner.sign(&grant), sealed: sealed(Verbs::VIEW) },
        root_head: root.advance(owner),
    };
    (request, head, root)
}
