//! What is counted for a node: conflicts of a file, shares of any.

use std::collections::HashMap;

use ticrypt_store::node::Node;
use ticrypt_types::{NodeId, NodeKind, Timestamp};

use super::FileRole;
use super::error::FileError;

/// A file's history is read this far for conflicts; a count that high says enough.
const CONFLICTS_MAX: u64 = 1_000;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counts {
    /// Manifests that lost a race.
    pub(super) conflicts: u32,
    /// Living grants to others than the owner.
    pub(super) shares: u32,
}

impl FileRole {
    pub(super) async fn counts(&self, nodes: &[&Node], now: Timestamp) -> Result<HashMap<NodeId, Counts>, FileError> {
        let mut counts: HashMap<NodeId, Counts> = HashMap::new();
        let mut ids = Vec::new();
        for node in nodes {
            ids.push(node.id);
            // Only a file that was written again can have been raced for.
            if node.kind == NodeKind::File && node.current_sequence > 1 {
                let history = self.store.versions(node.id, None, CONFLICTS_MAX).await?;
                let lost = history.iter().filter(|(manifest, _)| manifest.conflict).count();
                counts.entry(node.id).or_default().conflicts = u32::try_from(lost).unwrap_or(u32::MAX);
            }
        }
        for grant in self.store.grants_on(&ids).await? {
            if grant.is_living(now) && grant.recipient != grant.owner {
                counts.entry(grant.node).or_default().shares += 1;
            }
        }
        Ok(counts)
    }
}
