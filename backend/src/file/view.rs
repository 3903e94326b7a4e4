//! Stored nodes as they go over the wire: the records as they were signed, and what the server knows by itself.

use std::collections::BTreeMap;

use ticrypt_api::Blob;
use ticrypt_api::node::{EntryView, ManifestView, NodeView};
use ticrypt_store::node::{Among, Brief, Counts, Current};
use ticrypt_store::version::Manifest;
use ticrypt_types::{NodeId, Timestamp};

use super::FileRole;
use super::error::FileError;
use super::place::epoch;

/// What an entry weighs beside its records, generously.
const ENTRY_OVERHEAD_BYTES: usize = 400;

/// A stored entry with what is current in it, and the youngest closure above it, by which its keys may be stale.
pub(super) type Placed = (Brief, Option<Current>, u64);

impl FileRole {
    /// Entries with what is counted for them.
    pub(super) async fn views(&self, entries: Vec<Placed>, now: Timestamp) -> Result<Vec<EntryView>, FileError> {
        let ids: Vec<NodeId> = entries.iter().map(|(node, ..)| node.id).collect();
        let counts = self.store.counts(Among::These(&ids), now).await?;
        entries.into_iter().map(|placed| of_entry(placed, &counts)).collect()
    }
}

pub(super) fn of_entry((node, current, above): Placed, counts: &BTreeMap<NodeId, Counts>) -> Result<EntryView, FileError> {
    let view = of_node(&node, above, counts)?;
    Ok(EntryView { entry: Blob(node.entry), node: view, current: current.map(|current| manifest(current.manifest)) })
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
