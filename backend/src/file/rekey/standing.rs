//! What stands under old keys, and must all be covered by the new ones.

use std::collections::{BTreeSet, HashMap};

use ticrypt_policy::node::NodeFacts;
use ticrypt_store::grant::Grant;
use ticrypt_store::node::{Entry, Which};
use ticrypt_types::{NodeId, NodeKind, ProjectId, VersionId};

use crate::file::error::FileError;
use crate::file::place::Place;
use crate::file::{FileRole, Who};

pub(super) struct Standing {
    /// The directory that holds the nodes; a root has none.
    pub(super) parent: Option<(NodeFacts, Place)>,
    /// In the order of the request.
    pub(super) nodes: Vec<NodeStanding>,
}

#[derive(Default)]
pub(super) struct NodeStanding {
    /// Of a directory: its entries, those in the trash too, and its head.
    pub(super) children: Vec<Entry>,
    pub(super) place: Option<Place>,
    /// Of a file.
    pub(super) versions: BTreeSet<VersionId>,
    pub(super) manifests: BTreeSet<[u8; 32]>,
    pub(super) grants: Vec<Grant>,
    /// Whether the keys that come are the node's own, as of whatever is tagged itself.
    pub(super) are_own: bool,
    /// The tags on its path once they are there.
    pub(super) carried: BTreeSet<ProjectId>,
}

impl FileRole {
    pub(super) async fn standing(&self, who: &Who, facts: &[NodeFacts]) -> Result<Standing, FileError> {
        let mut of: HashMap<NodeId, NodeStanding> = facts.iter().map(|facts| (facts.node, NodeStanding::default())).collect();
        let files: Vec<NodeId> = facts.iter().filter(|facts| facts.kind == NodeKind::File).map(|facts| facts.node).collect();
        for upload in self.store.contents_of(&files).await? {
            of.entry(upload.version.file).or_default().versions.insert(upload.version.id);
        }
        for (manifest, _) in self.store.histories(&files, u64::from(u32::MAX)).await? {
            of.entry(manifest.file).or_default().manifests.insert(manifest.hash);
        }
        for facts in facts.iter().filter(|facts| facts.kind == NodeKind::Directory) {
            let standing = of.entry(facts.node).or_default();
            standing.children = self.store.list_entries(facts.node, Which::All, None, u64::from(u32::MAX)).await?;
            // The counters last: a change in between shows as a newer counter, and is stale.
            standing.place = Some(self.place(facts.node).await?);
        }
        for facts in facts {
            let standing = of.entry(facts.node).or_default();
            (standing.are_own, standing.carried) = (facts.has_own_keys(), facts.carried.clone());
        }
        let parent = match facts.first().and_then(|facts| facts.parent) {
            None => None,
            Some(parent) => Some((self.facts_of(&who.actor, parent).await?, self.place(parent).await?)),
        };
        let ids: Vec<NodeId> = facts.iter().map(|facts| facts.node).collect();
        for grant in self.store.grants_on(&ids).await? {
            of.entry(grant.node).or_default().grants.push(grant);
        }
        Ok(Standing { parent, nodes: ids.iter().map(|node| of.remove(node).unwrap_or_default()).collect() })
    }
}
