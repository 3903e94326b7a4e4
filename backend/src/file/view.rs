//! Stored nodes as they go over the wire: the records as they were signed, and what the server knows by itself.

use std::collections::{BTreeMap, BTreeSet};

use ticrypt_api::Blob;
use ticrypt_api::node::{EntryView, ManifestView, NodeView, SealView};
use ticrypt_policy::access::Sight;
use ticrypt_policy::node::NodeFacts;
use ticrypt_policy::{Actor, Line};
use ticrypt_store::node::{Among, Brief, Counts, Current};
use ticrypt_store::version::Manifest;
use ticrypt_types::{NodeId, ProjectId, Timestamp, UserId};

use super::FileRole;
use super::error::FileError;
use super::place::epoch;

/// What an entry weighs beside its records, generously.
const ENTRY_OVERHEAD_BYTES: usize = 400;

/// A stored entry with what is current in it, and the youngest closure above it, by which its keys may be stale.
pub(super) type Placed = (Brief, Option<Current>, u64);

/// How much of an entry this caller is shown, and what is theirs of it where it is tagged itself.
#[derive(Clone, Debug)]
pub(super) struct Shown {
    sight: Sight,
    /// Whether its keys are in grants on itself; then its entry says its name and nothing else.
    has_own_keys: bool,
    tags: Vec<ProjectId>,
    own_keys: Option<SealView>,
    /// In a group: the key that these are sealed to is not sealed to the caller yet.
    waiting: bool,
}

impl Shown {
    /// Of what has no tags of its own in a directory that is unlocked.
    pub(super) const WHOLE: Self = Self { sight: Sight::Whole, has_own_keys: false, tags: Vec::new(), own_keys: None, waiting: false };

    pub(super) fn is_locked(&self) -> bool {
        self.sight != Sight::Whole
    }
}

impl FileRole {
    /// Entries with what is counted for them, of which this much is shown.
    pub(super) async fn views(
        &self,
        entries: Vec<Placed>,
        shown: &BTreeMap<NodeId, Shown>,
        now: Timestamp,
    ) -> Result<Vec<EntryView>, FileError> {
        let ids: Vec<NodeId> = entries.iter().map(|(node, ..)| node.id).collect();
        let counts = self.store.counts(Among::These(&ids), now).await?;
        entries.into_iter().map(|placed| of_entry(placed, &counts, shown)).collect()
    }

    /// What is shown of nodes, by what is known of each; what is hidden is left out.
    pub(super) async fn shown(&self, actor: &Actor, facts: &[NodeFacts], now: Timestamp) -> Result<BTreeMap<NodeId, Shown>, FileError> {
        let mut shown = BTreeMap::new();
        for facts in facts {
            let Ok(sight) = facts.sight(actor, now) else { continue };
            let tags = if sight == Sight::Whole { facts.tags.lines().iter().filter_map(Line::project).collect() } else { Vec::new() };
            shown.insert(facts.node, Shown { sight, has_own_keys: facts.has_own_keys(), tags, own_keys: None, waiting: false });
        }
        let opened: Vec<NodeId> =
            shown.iter().filter(|(_, shown)| shown.has_own_keys && !shown.is_locked()).map(|(node, _)| *node).collect();
        // Of several to one person the freest says most.
        let mut seals = self.store.grants_to(actor.user, &opened).await?;
        // What is tagged in a group is sealed to the group.
        let groups: BTreeSet<UserId> = facts.iter().filter(|facts| facts.group.is_some()).map(|facts| facts.owner).collect();
        for group in groups {
            seals.extend(self.store.grants_to(group, &opened).await?);
        }
        let heads: BTreeSet<_> = seals.iter().map(|grant| grant.recipient_bundle).collect();
        let compartments = self.store.compartments_begun(&heads.into_iter().collect::<Vec<_>>(), actor.user).await?;
        seals.retain(|grant| grant.is_living(now));
        seals.sort_by_key(|grant| grant.verbs.bits().count_ones());
        let chains = self.rest_on(&seals).await?;
        for grant in seals {
            let Some(shown) = shown.get_mut(&grant.node) else { continue };
            let begun = compartments.get(&grant.recipient_bundle);
            shown.waiting = begun.is_some_and(|begun| !begun.has_key);
            if !shown.waiting {
                let (authority, compartment) = (chains.below(&grant), begun.map(|begun| begun.compartment.clone()));
                shown.own_keys = Some(SealView { grant: Blob(grant.envelope), sealed: Blob(grant.sealed), authority, compartment });
            }
        }
        Ok(shown)
    }

    /// The same of the entries of a directory that is unlocked: only what is tagged itself can be otherwise.
    pub(super) async fn shown_among(
        &self,
        actor: &Actor,
        entries: impl Iterator<Item = &Brief>,
        now: Timestamp,
    ) -> Result<BTreeMap<NodeId, Shown>, FileError> {
        let tagged: Vec<NodeId> = entries.filter(|entry| entry.tagged).map(|entry| entry.id).collect();
        if tagged.is_empty() {
            return Ok(BTreeMap::new());
        }
        let facts = self.store.node_facts(actor.user, &tagged).await?;
        self.shown(actor, &facts, now).await
    }
}

/// An entry that `shown` says nothing of is shown whole.
pub(super) fn of_entry(
    (node, current, above): Placed,
    counts: &BTreeMap<NodeId, Counts>,
    shown: &BTreeMap<NodeId, Shown>,
) -> Result<EntryView, FileError> {
    let view = of_node(&node, above, counts)?;
    let shown = shown.get(&node.id).cloned().unwrap_or(Shown::WHOLE);
    // The wraps of what has none of its own lead to its content; only what says the name and no more goes out for a locked view.
    let entry = if shown.is_locked() && !shown.has_own_keys { Blob(Vec::new()) } else { Blob(node.entry) };
    let current = current.map(|current| manifest(current.manifest));
    let (node, current) = match shown.sight {
        Sight::Whole => (view, current),
        Sight::Metadata => (locked(view), current.map(|current| ManifestView { props_key: Blob(Vec::new()), ..current })),
        Sight::Name => (NodeView { created_ms: Timestamp::ABSENT, ..locked(view) }, None),
    };
    Ok(EntryView { entry, node, current, locked: shown.is_locked(), tags: shown.tags, own_keys: shown.own_keys, waiting: shown.waiting })
}

/// What is seen of a locked node beside its name: whose it is, and since when.
fn locked(view: NodeView) -> NodeView {
    NodeView { head_counter: 0, sequence: 0, conflicts: 0, keys_stale: false, shares: 0, ..view }
}

pub(super) fn manifest(manifest: Manifest) -> ManifestView {
    ManifestView { manifest: Blob(manifest.envelope), props_key: Blob(manifest.props_key), conflict: manifest.conflict }
}

pub(super) fn of_node(node: &Brief, above: u64, counts: &BTreeMap<NodeId, Counts>) -> Result<NodeView, FileError> {
    let counts = counts.get(&node.id).copied().unwrap_or_default();
    Ok(NodeView {
        node: node.id,
        parent: node.parent,
        owner: node.owner,
        kind: node.kind,
        epoch: epoch(node.epoch)?,
        created_ms: node.created,
        head_counter: node.head_counter,
        sequence: node.current_sequence,
        conflicts: saturated(counts.conflicts),
        trashed_ms: node.trashed,
        keys_stale: above.max(node.closure_seq) > node.rolled_seq,
        shares: saturated(counts.shares),
    })
}

/// A count that high says enough.
fn saturated(count: u64) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

/// Bytes an entry takes in an answer.
pub(super) fn weight(node: &Brief, current: Option<&Current>) -> usize {
    ENTRY_OVERHEAD_BYTES + node.entry.len() + current.map_or(0, |now| now.manifest.envelope.len() + now.manifest.props_key.len())
}
