//! A directory as it stands, for whoever wants to change its entries.

use ticrypt_api::Blob;
use ticrypt_crypto::Digest;
use ticrypt_crypto::Signed;
use ticrypt_crypto::directory::HeadPayload;
use ticrypt_policy::node::{NodeFacts, PathStep};
use ticrypt_policy::{Actor, Denial};
use ticrypt_store::node::{EntryNew, HeadNew};
use ticrypt_types::NodeId;

use super::FileRole;
use super::error::FileError;
use super::fit::HeadBefore;
use super::records::ReadEntry;

/// A directory's state: what a new head must follow, and the leaves it must commit to before the change.
#[derive(Clone, Debug)]
pub(super) struct Place {
    pub(super) directory: NodeId,
    pub(super) epoch: u32,
    pub(super) counter: u64,
    pub(super) head_hash: Option<Digest>,
    pub(super) leaves: Vec<(NodeId, Digest)>,
}

impl Place {
    pub(super) fn before(&self) -> HeadBefore {
        HeadBefore { directory: self.directory, epoch: self.epoch, counter: self.counter, hash: self.head_hash }
    }

    /// The leaves with some nodes taken out and some put in.
    pub(super) fn leaves_with<'a>(&self, without: &[NodeId], with: impl IntoIterator<Item = &'a ReadEntry>) -> Vec<(NodeId, Digest)> {
        let without: std::collections::HashSet<&NodeId> = without.iter().collect();
        let mut leaves: Vec<_> = self.leaves.iter().filter(|(node, _)| !without.contains(node)).copied().collect();
        leaves.extend(with.into_iter().map(|read| (read.entry.child, read.leaf)));
        leaves
    }
}

impl FileRole {
    /// Facts about a node for this person. What does not exist is what they may not see.
    pub(super) async fn facts_of(&self, actor: &Actor, node: NodeId) -> Result<NodeFacts, FileError> {
        Ok(self.store.node_fact(actor.user, node).await?.ok_or(Denial::NotFound)?)
    }

    /// Facts about several, all of which must be there, in the order asked.
    pub(super) async fn facts_of_all(&self, actor: &Actor, nodes: &[NodeId]) -> Result<Vec<NodeFacts>, FileError> {
        let facts = self.store.node_facts(actor.user, nodes).await?;
        if facts.len() == nodes.len() { Ok(facts) } else { Err(Denial::NotFound.into()) }
    }

    /// The directory's entries first and its counters after: a change in between shows as a newer counter, and is stale.
    pub(super) async fn place(&self, directory: NodeId) -> Result<Place, FileError> {
        let leaves = self.store.directory_leaves(directory).await?;
        let node = self.store.node(directory).await?.ok_or(Denial::NotFound)?;
        Ok(Place {
            directory,
            epoch: epoch(node.epoch)?,
            counter: node.head_counter,
            head_hash: node.head_hash.map(Digest::new),
            leaves: leaves.into_iter().map(|(node, leaf)| (node, Digest::new(leaf))).collect(),
        })
    }
}

/// Epochs have 32 bits in records and 64 in the database.
pub(super) fn epoch(stored: u64) -> Result<u32, FileError> {
    u32::try_from(stored).map_err(|_| FileError::Corrupt("an epoch of more than 32 bits"))
}

/// A rule's answer, with the nodes that need new keys first when the epoch is closed: from the top down to the written one.
///
/// `path` begins with the node to be written and ends at the root.
pub(super) fn decided<T>(answer: Result<T, Denial>, path: &[PathStep]) -> Result<T, FileError> {
    answer.map_err(|denial| match denial {
        Denial::EpochClosed => FileError::EpochClosed(stale(path)),
        denial => FileError::Denied(denial),
    })
}

/// The nodes of a path whose keys are older than a closure at or above them, from the top down.
pub(super) fn stale(path: &[PathStep]) -> Vec<NodeId> {
    let mut closure = 0;
    let mut stale = Vec::new();
    for step in path.iter().rev() {
        closure = closure.max(step.closure_seq);
        if closure > step.rolled_seq {
            stale.push(step.node);
        }
    }
    stale
}

/// The path of the directory that holds a node.
pub(super) fn above(facts: &NodeFacts) -> &[PathStep] {
    facts.path.get(1..).unwrap_or_default()
}

pub(super) fn entry_new(read: ReadEntry) -> EntryNew {
    EntryNew {
        parent: read.entry.parent,
        parent_epoch: u64::from(read.entry.parent_epoch),
        node: read.entry.child,
        kind: read.entry.kind,
        epoch: u64::from(read.entry.child_epoch),
        name_tag: read.entry.name_tag,
        leaf: read.leaf.to_bytes(),
        bytes: read.bytes,
    }
}

pub(super) fn head_new(head: &Signed<HeadPayload>, bytes: Blob) -> HeadNew {
    HeadNew {
        directory: head.directory,
        counter: head.counter,
        epoch: u64::from(head.epoch),
        previous: head.previous.map(Digest::to_bytes),
        hash: head.record_hash().to_bytes(),
        bytes: bytes.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stale_nodes_come_from_the_top_down() {
        let node = |n: u8| NodeId::from_random([n; 16]);
        let step = |n, closure_seq, rolled_seq| PathStep { node: node(n), closure_seq, rolled_seq, boundary: false };
        // From the node (1) up to the root (4): 3 was closed at 5 and has new keys, 2 and 1 not yet.
        let path = [step(1, 0, 4), step(2, 0, 0), step(3, 5, 5), step(4, 0, 0)];
        assert_eq!(stale(&path), [node(2), node(1)]);
        assert_eq!(stale(&[step(1, 0, 5), step(2, 0, 0), step(3, 5, 5)]), [node(2)]);
        assert!(stale(&[step(1, 0, 0)]).is_empty());
    }
}
