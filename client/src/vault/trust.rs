//! Who may have written what: heads and manifests are believed only along signed grants that lead to the owner.
//!
//! ```text
//!   head, manifest ──signed by──▶ writer's bundle (in the key log)
//!        │ authority
//!        ▼
//!   grant to the writer, with edit, on this node or above ──authority──▶ … ──▶ grant by the owner
//! ```
//!
//! Everything here is synchronous and without I/O: bundles and grants are admitted first, then records are judged by them. One ECDSA operation
//! verifies a whole batch, whose root is remembered.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ticrypt_api::Blob;
use ticrypt_crypto::bundle::Bundle;
use ticrypt_crypto::directory::HeadPayload;
use ticrypt_crypto::grant::{GrantPayload, RecipientKind};
use ticrypt_crypto::manifest::ManifestPayload;
use ticrypt_crypto::signature::{Payload, VerifyCache};
use ticrypt_crypto::{Digest, Envelope, Signed};
use ticrypt_types::{Compartment, DeploymentId, GroupId, GroupPermissions, NodeId, ProjectId, Timestamp, UserId, Verbs};

use crate::error::{ClientError, Kind, Result};
use crate::group::{Chain, CompartmentChain};

/// Grants a chain may rest on; also what ends a circle.
const CHAIN_MAX: usize = 32;
/// Batches remembered: a tree is mostly written in few.
const BATCHES_REMEMBERED: usize = 4_096;

/// Where a node stands, as far up as this person can see.
#[derive(Debug)]
pub struct Lineage {
    pub node: NodeId,
    pub parent: Option<Arc<Lineage>>,
    /// Its own, as the server has them.
    tags: Vec<ProjectId>,
}

impl Lineage {
    pub fn root(node: NodeId) -> Arc<Self> {
        Arc::new(Self { node, parent: None, tags: Vec::new() })
    }

    pub fn below(self: &Arc<Self>, node: NodeId) -> Arc<Self> {
        Arc::new(Self { node, parent: Some(Arc::clone(self)), tags: Vec::new() })
    }

    /// The same node with these tags of its own.
    pub fn tagged(self: &Arc<Self>, tags: &[ProjectId]) -> Arc<Self> {
        if self.tags == tags {
            return Arc::clone(self);
        }
        Arc::new(Self { node: self.node, parent: self.parent.clone(), tags: tags.to_vec() })
    }

    /// Which of a group's keys is for it.
    pub fn compartment(&self) -> Result<Compartment> {
        Compartment::of(self.tags()).map_err(|e| ClientError::refused("too_many_tags", e.to_string()))
    }

    /// The node's own tags.
    pub fn own_tags(&self) -> &[ProjectId] {
        &self.tags
    }

    /// Every tag from here up.
    pub fn tags(&self) -> impl Iterator<Item = ProjectId> {
        std::iter::successors(Some(self), |step| step.parent.as_deref()).flat_map(|step| step.tags.iter().copied())
    }

    /// From this node up.
    pub fn ids(&self) -> impl Iterator<Item = NodeId> {
        std::iter::successors(Some(self), |step| step.parent.as_deref()).map(|step| step.node)
    }

    pub fn contains(&self, node: NodeId) -> bool {
        self.ids().any(|id| id == node)
    }

    pub fn depth(&self) -> usize {
        self.ids().count()
    }
}

/// The tree a record is judged in.
#[derive(Clone, Copy, Debug)]
pub struct Tree<'a> {
    pub owner: UserId,
    pub lineage: &'a Lineage,
    /// The lineage goes up to the root of the owner's tree, so a right from above it cannot exist.
    pub is_whole: bool,
}

/// Bundles and grants that were verified, and what was verified with them.
#[derive(Debug)]
pub struct Trust {
    deployment: DeploymentId,
    bundles: Mutex<HashMap<Digest, Arc<Bundle>>>,
    grants: Mutex<HashMap<Digest, Admitted>>,
    /// Groups by the id under which they own their trees.
    groups: Mutex<HashMap<UserId, Arc<Chain>>>,
    /// Generations of their compartments' keys, by the heads that began them.
    compartments: Mutex<HashMap<Digest, (GroupId, u32)>>,
    batches: Mutex<VerifyCache>,
}

#[derive(Clone, Debug)]
struct Admitted {
    grant: Arc<Signed<GrantPayload>>,
    envelope: Vec<u8>,
}

/// Who claims to have signed a record, before that is verified.
trait Authored: Payload {
    const WHAT: &'static str;
    fn author(&self) -> (DeploymentId, UserId, Digest);
}

impl Authored for HeadPayload {
    const WHAT: &'static str = "head of a directory";
    fn author(&self) -> (DeploymentId, UserId, Digest) {
        (self.deployment, self.writer, self.writer_bundle)
    }
}

impl Authored for ManifestPayload {
    const WHAT: &'static str = "manifest of a file";
    fn author(&self) -> (DeploymentId, UserId, Digest) {
        (self.deployment, self.writer, self.writer_bundle)
    }
}

impl Authored for GrantPayload {
    const WHAT: &'static str = "grant";
    fn author(&self) -> (DeploymentId, UserId, Digest) {
        (self.deployment, self.sealer, self.sealer_bundle)
    }
}

impl Trust {
    pub fn new(deployment: DeploymentId) -> Self {
        Self {
            deployment,
            bundles: Mutex::default(),
            grants: Mutex::default(),
            groups: Mutex::default(),
            compartments: Mutex::default(),
            batches: Mutex::new(VerifyCache::new(BATCHES_REMEMBERED)),
        }
    }

    pub fn deployment(&self) -> DeploymentId {
        self.deployment
    }

    /// Takes a bundle that `users` has verified: self-signed, in the key log, not against a pin.
    pub fn admit_bundle(&self, bundle: Arc<Bundle>) {
        lock(&self.bundles).insert(bundle.hash(), bundle);
    }

    pub fn bundle(&self, hash: &Digest) -> Option<Arc<Bundle>> {
        lock(&self.bundles).get(hash).cloned()
    }

    /// Takes a group whose heads verified; what is written in its tree is held to them.
    pub fn admit_group(&self, group: Arc<Chain>) {
        lock(&self.groups).insert(group.group().as_owner(), group);
    }

    /// Takes the key of a compartment of a group that was taken before.
    pub fn admit_compartment(&self, group: GroupId, key: &CompartmentChain) {
        let begun = key.generations().iter().map(|generation| (generation.head, (group, generation.number)));
        lock(&self.compartments).extend(begun);
    }

    /// The groups whose trees were opened, if one of these records rests on what is neither a known grant nor a head of theirs: perhaps one of
    /// them has moved on.
    pub fn groups_behind<'a>(
        &self,
        heads: impl IntoIterator<Item = &'a Blob>,
        manifests: impl IntoIterator<Item = &'a Blob>,
    ) -> Result<Vec<GroupId>> {
        let groups = lock(&self.groups);
        if groups.is_empty() {
            return Ok(Vec::new());
        }
        let mut named = Vec::new();
        for bytes in heads {
            named.push(unverified::<HeadPayload>(bytes)?.authority);
        }
        for bytes in manifests {
            named.push(unverified::<ManifestPayload>(bytes)?.authority);
        }
        let grants = lock(&self.grants);
        let is_known = |hash: &Digest| grants.contains_key(hash) || groups.values().any(|group| group.contains(hash));
        let behind = !named.iter().flatten().all(is_known);
        Ok(if behind { groups.values().map(|group| group.group()).collect() } else { Vec::new() })
    }

    fn group(&self, owner: UserId) -> Option<Arc<Chain>> {
        lock(&self.groups).get(&owner).cloned()
    }

    pub fn grant(&self, hash: &Digest) -> Option<Arc<Signed<GrantPayload>>> {
        lock(&self.grants).get(hash).map(|admitted| Arc::clone(&admitted.grant))
    }

    /// A grant as it came, for whoever opens it.
    pub fn envelope(&self, hash: &Digest) -> Option<Vec<u8>> {
        lock(&self.grants).get(hash).map(|admitted| admitted.envelope.clone())
    }

    /// Bundles that must be fetched before these records can be judged.
    pub fn missing<'a>(
        &self,
        grants: impl IntoIterator<Item = &'a Blob>,
        heads: impl IntoIterator<Item = &'a Blob>,
        manifests: impl IntoIterator<Item = &'a Blob>,
    ) -> Result<Vec<Digest>> {
        let mut needed = HashSet::new();
        for bytes in grants {
            needed.insert(claimed::<GrantPayload>(bytes)?);
        }
        for bytes in heads {
            needed.insert(claimed::<HeadPayload>(bytes)?);
        }
        for bytes in manifests {
            needed.insert(claimed::<ManifestPayload>(bytes)?);
        }
        let known = lock(&self.bundles);
        Ok(needed.into_iter().filter(|hash| !known.contains_key(hash)).collect())
    }

    /// Verifies a grant's signature and remembers it. Its chain is judged when something rests on it.
    pub fn admit_grant(&self, bytes: &Blob) -> Result<Arc<Signed<GrantPayload>>> {
        let grant = Arc::new(self.signed::<GrantPayload>(bytes)?);
        lock(&self.grants).insert(grant.record_hash(), Admitted { grant: Arc::clone(&grant), envelope: bytes.0.clone() });
        Ok(grant)
    }

    /// A directory's head by somebody who may write there.
    pub fn head(&self, bytes: &Blob, tree: Tree<'_>) -> Result<Signed<HeadPayload>> {
        let head = self.signed::<HeadPayload>(bytes)?;
        if head.directory != tree.lineage.node {
            return Err(lie("the server shows the head of another directory"));
        }
        self.verify_writer(head.writer, head.authority, head.at, tree)?;
        Ok(head)
    }

    /// A file's manifest by somebody who may write it.
    pub fn manifest(&self, bytes: &Blob, tree: Tree<'_>) -> Result<Signed<ManifestPayload>> {
        let manifest = self.signed::<ManifestPayload>(bytes)?;
        if manifest.file != tree.lineage.node {
            return Err(lie("the server shows the manifest of another file"));
        }
        self.verify_writer(manifest.writer, manifest.authority, manifest.at, tree)?;
        Ok(manifest)
    }

    /// Whether this grant leads back to the owner it names.
    pub fn verify_chain(&self, grant: &Signed<GrantPayload>) -> Result<()> {
        self.verify_link(grant, None, CHAIN_MAX)
    }

    /// The same, for a grant of the tree's node: in a whole tree, all that it rests on must be shares of the node or of what is above it.
    /// Somebody who may share one thing could otherwise be shown as having shared another.
    pub fn verify_chain_to(&self, grant: &Signed<GrantPayload>, tree: Tree<'_>) -> Result<()> {
        self.verify_link(grant, tree.is_whole.then_some(tree.lineage), CHAIN_MAX)
    }

    fn verify_link(&self, grant: &Signed<GrantPayload>, place: Option<&Lineage>, left: usize) -> Result<()> {
        if grant.recipient_kind == RecipientKind::Group {
            return self.verify_of_group(grant);
        }
        // The format's own rule: no authority exactly where the sealer is the owner.
        let Some(hash) = grant.authority else { return Ok(()) };
        let Some(left) = left.checked_sub(1) else { return Err(lie("a share rests on an endless chain of others")) };
        let authority = self.grant(&hash).ok_or_else(|| lie("the server withholds a grant that a share rests on"))?;
        if place.is_some_and(|lineage| !lineage.contains(authority.node)) {
            return Err(from_elsewhere());
        }
        if let Err(why) = grant.verify_terms_within(&authority) {
            // Somebody with *edit* may make new keys for others under unchanged terms.
            let replaced = grant.predecessor.and_then(|hash| self.grant(&hash));
            let replaced = replaced.ok_or_else(|| lie("a share was made by somebody who may not make it").because(why))?;
            let resealed = grant.verify_reseal_by(&replaced, Some(&authority));
            resealed.map_err(|e| lie("a share was renewed by somebody who may not, or with other terms").because(e))?;
            self.verify_link(&replaced, place, left)?;
        }
        self.verify_link(&authority, place, left)
    }

    /// A grant of a group's directory, by a member who might write there, to the key that the group had then.
    fn verify_of_group(&self, grant: &Signed<GrantPayload>) -> Result<()> {
        let group = self.group(grant.owner).ok_or_else(|| lie("a directory is sealed to a group that is not known"))?;
        let Some(head) = grant.authority else { return Err(lie("a group's directory was sealed by nobody of the group")) };
        let generation = group.generation_on(&head).ok_or_else(not_shown)?;
        // What is tagged itself is sealed to the key of its compartment.
        let begun = lock(&self.compartments).get(&grant.recipient_bundle).filter(|(of, _)| *of == group.group()).copied();
        let (number, begun) = begun.map_or((generation.number, generation.head), |(_, number)| (number, grant.recipient_bundle));
        let fits = grant.verify_of_group(group.group(), number, &begun);
        fits.map_err(|e| lie("a group's directory is sealed otherwise than to the group").because(e))?;
        writes(&group, &head, grant.sealer)
    }

    fn verify_writer(&self, writer: UserId, authority: Option<Digest>, at: Timestamp, tree: Tree<'_>) -> Result<()> {
        if let (Some(group), Some(head)) = (self.group(tree.owner), authority) {
            return if group.contains(&head) { writes(&group, &head, writer) } else { Err(not_shown()) };
        }
        let Some(hash) = authority else {
            return if writer == tree.owner { Ok(()) } else { Err(lie("something was written by a person without any right to")) };
        };
        let grant = self.grant(&hash).ok_or_else(|| lie("the server withholds the grant under which something was written"))?;
        let holds = grant.recipient_kind == RecipientKind::Person && grant.recipient == writer && grant.owner == tree.owner;
        if !holds || !grant.verbs.contains(Verbs::EDIT) {
            return Err(lie("something was written by a person whose share does not let them edit"));
        }
        if grant.expires.is_expired(at) {
            return Err(lie("something was written by a person whose share had expired"));
        }
        if tree.is_whole && !tree.lineage.contains(grant.node) {
            return Err(lie("something was written by a person whose share is of another place"));
        }
        self.verify_chain(&grant)
    }

    fn signed<T: Authored>(&self, bytes: &Blob) -> Result<Signed<T>> {
        let bad = |e: ticrypt_crypto::signature::SignatureError| lie(&format!("the {} does not verify", T::WHAT)).because(e);
        let envelope = Envelope::parse(&bytes.0).map_err(bad)?;
        let (_, _, hash) = envelope.claimed::<T>().map_err(bad)?.author();
        let bundle = self.bundle(&hash).ok_or_else(|| lie(&format!("the key that signed a {} is not known", T::WHAT)))?;
        let mut batches = lock(&self.batches);
        let signed: Signed<T> = envelope.verify_as_cached(&bundle.payload().signing_key, &mut batches).map_err(bad)?;
        drop(batches);
        if signed.author() != (self.deployment, bundle.payload().user, hash) {
            return Err(lie(&format!("the {} names another signer than its key's, or another deployment", T::WHAT)));
        }
        Ok(signed)
    }
}

fn claimed<T: Authored>(bytes: &Blob) -> Result<Digest> {
    Ok(unverified::<T>(bytes)?.author().2)
}

fn unverified<T: Authored>(bytes: &Blob) -> Result<T> {
    let read = || Envelope::parse(&bytes.0)?.claimed::<T>();
    read().map_err(|e: ticrypt_crypto::signature::SignatureError| lie(&format!("the {} cannot be read", T::WHAT)).because(e))
}

/// Whether a member might change entries on a head: which of the three permissions a change took, the server watches over.
fn writes(group: &Chain, head: &Digest, writer: UserId) -> Result<()> {
    use GroupPermissions as May;
    let any = [May::ADD_ENTRIES, May::REMOVE_ENTRIES, May::CREATE_DIRECTORIES];
    match group.permissions_on(head, writer) {
        Some(own) if any.into_iter().any(|one| own.contains(one)) => Ok(()),
        Some(_) => Err(lie("something in a group was written by a member who may only read")),
        None => Err(lie("something in a group was written by somebody who was no member")),
    }
}

/// Somebody wrote on a head that is not among those this device was shown, however often it asked: they were shown another roster.
fn not_shown() -> ClientError {
    lie("something in a group was written on a state of the group that the server does not show")
}

/// What the server showed is not what somebody entitled signed.
pub fn lie(what: &str) -> ClientError {
    ClientError::untrusted(format!("{what}; nothing of it was used: the server lies or is damaged, tell an administrator"))
}

/// A share given under a share of another place: the node was moved since, or it is a lie; the records do not tell which.
fn from_elsewhere() -> ClientError {
    ClientError::new(
        Kind::Untrusted,
        "share_from_elsewhere",
        "new keys would go to somebody who has this from a person whose own share is of another place; if the thing was moved, end that \
         share with `ticrypt unshare`, then share it yourself; otherwise the server lies, tell an administrator",
    )
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Each map is changed in one step; a panic elsewhere leaves it whole.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
