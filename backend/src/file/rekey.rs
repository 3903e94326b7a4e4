//! New keys for one node, after somebody lost access at or above it (docs/formats.md §6, closing).
//!
//! The client makes them; what is checked here is that nothing and nobody is left behind: every entry (of the trash too), every
//! content and property key, a new seal on unchanged terms for everybody who holds a living share. A step takes one node,
//! under a directory that has been through it; the nodes still to do come with the refusal `epoch_closed`, from the top down.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use ticrypt_api::grant::NewGrant;
use ticrypt_api::node::{HeadReply, RekeyRequest};
use ticrypt_api::role::{Caller, Reply};
use ticrypt_api::{ApiError, Blob, Hash};
use ticrypt_crypto::Digest;
use ticrypt_policy::Denial;
use ticrypt_policy::node::{NodeFacts, Trashed, may_rekey};
use ticrypt_store::grant::{Grant, GrantNew};
use ticrypt_store::node::{Entry, EntryNew, HeadNew, NewKeys, RekeyNode, Which};
use ticrypt_types::{NodeId, NodeKind, Operation, VersionId};

use super::audited::{Plan, event, with};
use super::error::FileError;
use super::grant::{Of, claimed, grant_new, is_of, sealed_len, to_bundle};
use super::place::{Place, above, decided, entry_new, epoch, head_new};
use super::records::{ReadEntry, Reader, entry, wrap};
use super::{FileRole, Who, fit, off_thread};

type Planned = Plan<(RekeyNode, u64), HeadReply>;

/// What stands, and must all be covered.
struct Standing {
    node: Place,
    parent: Option<(NodeFacts, Place)>,
    children: Vec<Entry>,
    versions: BTreeSet<VersionId>,
    manifests: BTreeSet<[u8; 32]>,
    grants: Vec<Grant>,
}

impl FileRole {
    pub(super) async fn node_rekey(&self, caller: &Caller, request: RekeyRequest) -> Result<Reply<HeadReply>, ApiError> {
        let row = event(caller, Operation::NodeRekey, [request.node]);
        let row = with(with(row, "epoch", request.epoch), "grants", request.grants.len());
        let plan = self.plan_rekey(caller, request).await;
        let store = self.store.clone();
        self.change(row, plan, move |(step, head_counter): (RekeyNode, u64)| async move {
            store.rekey(vec![step]).await?;
            Ok(HeadReply { head_counter })
        })
        .await
    }

    async fn plan_rekey(&self, caller: &Caller, request: RekeyRequest) -> Result<Planned, FileError> {
        let who = self.who(caller).await?;
        let facts = self.facts_of(&who.actor, request.node).await?;
        let permit = decided(may_rekey(&who.actor, &facts, caller.now), above(&facts))?;
        if let Some(again) = self.rekeyed_before(&facts, &request).await? {
            return Ok(Plan::Again(again));
        }
        if u64::from(request.epoch) != facts.epoch + 1 {
            return Err(FileError::Stale);
        }
        let standing = self.standing(&who, &facts).await?;
        let grants = self.new_seals(caller, &who, &facts, &request, &standing.grants).await?;
        let (deployment, now, closure) = (self.deployment, caller.now, facts.closure());
        off_thread(move || {
            let mut reader = Reader::new(deployment, &who.signer, now);
            let (own, parent_head) = place_under_parent(&mut reader, &who, &facts, &request, &standing)?;
            let (keys, counter) = match facts.kind {
                NodeKind::Directory => new_directory(&mut reader, &who, &facts, &request, &standing)?,
                NodeKind::File => (new_file(request.content_wraps, request.props_keys, &standing)?, None),
            };
            let counter = counter.or(parent_head.as_ref().map(|head| head.counter)).unwrap_or(standing.node.counter);
            let step = RekeyNode {
                permit,
                epoch: u64::from(request.epoch),
                closure_seen: closure,
                entry: own,
                parent_head,
                keys,
                grants,
                at: now,
            };
            Ok(Plan::Do((step, counter)))
        })
        .await
    }

    /// The very same keys are in place: the entry, or for a root the head, is what is stored.
    async fn rekeyed_before(&self, facts: &NodeFacts, request: &RekeyRequest) -> Result<Option<HeadReply>, FileError> {
        if u64::from(request.epoch) != facts.epoch {
            return Ok(None);
        }
        let Some(node) = self.store.node(facts.node).await? else { return Ok(None) };
        let same = match (&request.entry, &request.head) {
            (Some(entry), _) => entry.0 == node.entry,
            (None, Some(head)) => node.head.as_ref() == Some(&head.0),
            (None, None) => false,
        };
        Ok(same.then_some(HeadReply { head_counter: facts.head_counter }))
    }

    async fn standing(&self, who: &Who, facts: &NodeFacts) -> Result<Standing, FileError> {
        let directory = facts.kind == NodeKind::Directory;
        let children =
            if directory { self.store.list_entries(facts.node, Which::All, None, u64::from(u32::MAX)).await? } else { Vec::new() };
        let parent = match facts.parent {
            None => None,
            Some(parent) => Some((self.facts_of(&who.actor, parent).await?, self.place(parent).await?)),
        };
        let (mut versions, mut manifests) = (BTreeSet::new(), BTreeSet::new());
        if !directory {
            versions.extend(self.store.contents_of(facts.node).await?.into_iter().map(|upload| upload.version.id));
            manifests
                .extend(self.store.versions(facts.node, None, u64::from(u32::MAX)).await?.into_iter().map(|(manifest, _)| manifest.hash));
        }
        // The counters last: a change in between shows as a newer counter, and is stale.
        let node = self.place(facts.node).await?;
        let grants = self.store.grants_on(&[facts.node]).await?;
        Ok(Standing { node, parent, children, versions, manifests, grants })
    }

    /// New seals for everybody who holds a living share of the node, on unchanged terms, of keys that are really new.
    async fn new_seals(
        &self,
        caller: &Caller,
        who: &Who,
        facts: &NodeFacts,
        request: &RekeyRequest,
        standing: &[Grant],
    ) -> Result<Vec<GrantNew>, FileError> {
        let mut living: HashMap<[u8; 32], &Grant> =
            standing.iter().filter(|grant| grant.is_living(caller.now)).map(|grant| (grant.hash, grant)).collect();
        let of = Of { node: facts.node, kind: facts.kind, owner: facts.owner, epoch: request.epoch };
        let mut reader = Reader::new(self.deployment, &who.signer, caller.now);
        let mut commitments = BTreeSet::new();
        let mut seals = Vec::with_capacity(request.grants.len());
        for new in &request.grants {
            let grant = reader.grant(&new.grant)?;
            sealed_len(&grant, &new.sealed)?;
            is_of(&grant, of)?;
            let before = grant.predecessor.and_then(|hash| living.remove(&hash.to_bytes()));
            let before = before
                .ok_or_else(|| FileError::unfit("rekey_grants", "a new seal replaces no living share of the node; load them again"))?;
            if (grant.recipient, grant.verbs, grant.expires) != (before.recipient, before.verbs, before.expires) {
                return Err(FileError::unfit("rekey_terms", "a new seal changes the terms of the share; keep recipient, verbs and expiry"));
            }
            let old = claimed(before)?;
            if old.list_commitment == grant.list_commitment || old.tree_commitment == grant.tree_commitment {
                return Err(FileError::unfit("rekey_keys", "the new seals carry an old key; make new ones"));
            }
            fit::authority(facts, &who.actor, grant.authority, caller.now)?;
            let recipient = self.store.user(grant.recipient).await?.ok_or(Denial::RecipientInactive)?;
            to_bundle(&grant, &*self.signers.load(&self.store, grant.recipient, recipient.bundle).await?)?;
            commitments.insert((grant.list_commitment, grant.tree_commitment));
            seals.push(grant_new(&grant, NewGrant { grant: new.grant.clone(), sealed: new.sealed.clone() }, caller.now));
        }
        if commitments.len() > 1 {
            return Err(FileError::unfit("grant_commitment", "the new seals commit to different keys; seal the same to everybody"));
        }
        if !living.is_empty() {
            return Err(FileError::unfit(
                "rekey_grants",
                "somebody who holds a share got no new seal; seal the new keys to everybody who remains",
            ));
        }
        Ok(seals)
    }
}

/// The node's entry under its directory, and the directory's next head; neither for a root, no head for what is in the trash.
fn place_under_parent(
    reader: &mut Reader<'_>,
    who: &Who,
    facts: &NodeFacts,
    request: &RekeyRequest,
    standing: &Standing,
) -> Result<(Option<EntryNew>, Option<HeadNew>), FileError> {
    let Some((parent_facts, parent)) = &standing.parent else {
        return match (&request.entry, &request.parent_head) {
            (None, None) => Ok((None, None)),
            _ => Err(FileError::unfit("rekey_root", "the root of a tree has no entry; leave it out")),
        };
    };
    let Some(bytes) = &request.entry else {
        return Err(FileError::unfit("rekey_entry", "the node's entry with its new wraps is missing; make it"));
    };
    let read = entry(bytes.clone())?;
    fit::entry(&read, parent.directory, parent.epoch)?;
    fit::entry_of(&read, facts.node, facts.kind, request.epoch)?;
    let head = match (&request.parent_head, facts.trashed == Trashed::Itself) {
        (None, true) => None,
        (Some(bytes), false) => {
            let head = reader.head(bytes)?;
            fit::head(&head, parent.before(), parent.leaves_with(&[facts.node], [&read]))?;
            fit::authority(parent_facts, &who.actor, head.authority, who.now)?;
            Some(head_new(&head, bytes.clone()))
        }
        _ => {
            return Err(FileError::unfit(
                "rekey_parent_head",
                "the directory's next head comes with what is not in the trash, and only with that",
            ));
        }
    };
    Ok((Some(entry_new(read)), head))
}

/// Every entry under the new keys, and the head over those that are not in the trash.
fn new_directory(
    reader: &mut Reader<'_>,
    who: &Who,
    facts: &NodeFacts,
    request: &RekeyRequest,
    standing: &Standing,
) -> Result<(NewKeys, Option<u64>), FileError> {
    if !request.content_wraps.is_empty() || !request.props_keys.is_empty() {
        return Err(FileError::unfit("rekey_kind", "a directory has no contents of its own; leave them out"));
    }
    let bytes = request
        .head
        .as_ref()
        .ok_or_else(|| FileError::unfit("rekey_head", "the directory's head under its new keys is missing; sign it"))?;
    let head = reader.head(bytes)?;
    if head.counter <= standing.node.counter {
        return Err(FileError::Stale);
    }
    let mut children: BTreeMap<NodeId, &Entry> = standing.children.iter().map(|child| (child.node.id, child)).collect();
    let mut entries: Vec<ReadEntry> = Vec::with_capacity(request.entries.len());
    let mut live: Vec<(NodeId, Digest)> = Vec::with_capacity(request.entries.len());
    for bytes in &request.entries {
        let read = entry(bytes.clone())?;
        let child = children.remove(&read.entry.child);
        let child =
            child.ok_or_else(|| FileError::unfit("rekey_entries", "an entry is of no node in the directory, or twice; load it again"))?;
        fit::entry(&read, facts.node, request.epoch)?;
        fit::entry_of(&read, child.node.id, child.node.kind, epoch(child.node.epoch)?)?;
        if child.node.trashed.is_none() {
            live.push((read.entry.child, read.leaf));
        }
        entries.push(read);
    }
    if !children.is_empty() {
        return Err(FileError::unfit("rekey_entries", "an entry of the directory is missing, or one of its trash; wrap every one anew"));
    }
    fit::head(&head, fit::HeadBefore { epoch: request.epoch, ..standing.node.before() }, live)?;
    fit::authority(facts, &who.actor, head.authority, who.now)?;
    let keys = NewKeys::Directory { head: head_new(&head, bytes.clone()), entries: entries.into_iter().map(entry_new).collect() };
    Ok((keys, Some(head.counter)))
}

/// Every version's content key and every manifest's property key under the new keys.
fn new_file(contents: Vec<(VersionId, Blob)>, props_keys: Vec<(Hash, Blob)>, standing: &Standing) -> Result<NewKeys, FileError> {
    let mut covered = BTreeSet::new();
    for (version, bytes) in &contents {
        wrap(bytes)?;
        covered.insert(*version);
    }
    if covered != standing.versions || covered.len() != contents.len() {
        return Err(FileError::unfit("rekey_contents", "the content keys are not those of the file's versions; wrap every one anew, once"));
    }
    let mut covered = BTreeSet::new();
    for (Hash(hash), bytes) in &props_keys {
        wrap(bytes)?;
        covered.insert(*hash);
    }
    if covered != standing.manifests || covered.len() != props_keys.len() {
        return Err(FileError::unfit("rekey_props", "the property keys are not those of the file's manifests; wrap every one anew, once"));
    }
    Ok(NewKeys::File {
        contents: contents.into_iter().map(|(version, Blob(wrap))| (version, wrap)).collect(),
        props_keys: props_keys.into_iter().map(|(Hash(hash), Blob(wrap))| (hash, wrap)).collect(),
    })
}
