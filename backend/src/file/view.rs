//! Stored nodes as they go over the wire: the records as they were signed, and what the server knows by itself.

use ticrypt_api::Blob;
use ticrypt_api::node::{EntryView, ManifestView, NodeView};
use ticrypt_store::node::{Entry, Node};
use ticrypt_store::version::Manifest;
use ticrypt_types::Timestamp;

use super::FileRole;
use super::count::Counts;
use super::error::FileError;
use super::place::epoch;

/// What an entry weighs beside its records, generously.
const ENTRY_OVERHEAD_BYTES: usize = 400;

/// A stored entry and the youngest closure above it, by which its keys may be stale.
pub(super) type Placed = (Entry, u64);

impl FileRole {
    /// Entries with what is counted for them.
    pub(super) async fn views(&self, entries: Vec<Placed>, manifests: bool, now: Timestamp) -> Result<Vec<EntryView>, FileError> {
        let nodes: Vec<_> = entries.iter().map(|(entry, _)| &entry.node).collect();
        let counts = self.counts(&nodes, now).await?;
        let view = |(entry, above): Placed| {
            let node = of_node(&entry.node, above, counts.get(&entry.node.id).copied().unwrap_or_default())?;
            let current = entry.current.filter(|_| manifests).map(|current| manifest(current.manifest));
            Ok(EntryView { entry: Blob(entry.node.entry), node, current })
        };
        entries.into_iter().map(view).collect()
    }
}

pub(super) fn manifest(manifest: Manifest) -> ManifestView {
    ManifestView { manifest: Blob(manifest.envelope), props_key: Blob(manifest.props_key), conflict: manifest.conflict }
}

pub(super) fn of_node(node: &Node, above: u64, counts: Counts) -> Result<NodeView, FileError> {
    Ok(NodeView {
        node: node.id,
        parent: node.parent,
        owner: node.owner,
        kind: node.kind,
        epoch: epoch(node.epoch)?,
        created_ms: node.created,
        head_counter: node.head_counter,
        sequence: node.current_sequence,
        conflicts: counts.conflicts,
        trashed_ms: node.trashed,
        keys_stale: above.max(node.closure_seq) > node.rolled_seq,
        shares: counts.shares,
    })
}

/// Bytes an entry takes in an answer.
pub(super) fn weight(entry: &Entry, manifests: bool) -> usize {
    let current = entry.current.as_ref().filter(|_| manifests);
    ENTRY_OVERHEAD_BYTES + entry.node.entry.len() + current.map_or(0, |now| now.manifest.envelope.len() + now.manifest.props_key.len())
}
