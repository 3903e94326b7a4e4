//! What the rules need to know about nodes, for many at once in three queries, one more for tags where there are any, and one for groups
//! where a tree is not the actor's own.

use std::collections::{BTreeMap, BTreeSet};

use ticrypt_policy::access::GroupFact;
use ticrypt_policy::node::{GrantFact, NodeFacts, PathStep, Trashed};
use ticrypt_policy::{Label, Line};
use ticrypt_types::{NodeId, UserId, Verbs, limits};

use super::{Node, ancestors_cte};
use crate::column::{bytes, digest, id, placeholders, time};
use crate::connect::Store;
use crate::error::StoreError;
use crate::table::grant::grants;
use crate::table::node::nodes;

/// Ids in one query; SQLite allows 32 766 parameters, and a path adds none.
const IDS_PER_QUERY: usize = 2_000;

impl Store {
    /// Facts about the nodes that exist, in the order of `ids`. `actor`'s grants on them and above, ended ones included.
    pub async fn node_facts(&self, actor: UserId, ids: &[NodeId]) -> Result<Vec<NodeFacts>, StoreError> {
        // First, so that a share that ends while the rest is read makes these facts stale rather than wrong.
        let rights = self.closure_seq().await?;
        let mut facts = Vec::with_capacity(ids.len());
        for some in ids.chunks(IDS_PER_QUERY) {
            let rows = self.with_ancestors(some).await?;
            let grants = self.grants_above(actor, some).await?;
            let tagged: Vec<NodeId> = rows.values().filter(|node| node.tagged).map(|node| node.id).collect();
            let others: BTreeSet<UserId> = rows.values().map(|node| node.owner).filter(|owner| *owner != actor).collect();
            let groups = self.groups_among(actor, &others).await?;
            let read = Read { rows, grants, tags: self.tags_of(&tagged).await?, groups, rights };
            for id in some {
                facts.extend(read.assemble(*id)?);
            }
        }
        Ok(facts)
    }

    /// The same about one node.
    pub async fn node_fact(&self, actor: UserId, node: NodeId) -> Result<Option<NodeFacts>, StoreError> {
        Ok(self.node_facts(actor, &[node]).await?.pop())
    }

    async fn with_ancestors(&self, ids: &[NodeId]) -> Result<BTreeMap<NodeId, Node>, StoreError> {
        let sql = format!("{} SELECT nodes.* FROM nodes JOIN up ON nodes.id = up.id", ancestors_cte(&placeholders(1, ids.len())));
        let values = ids.iter().map(|id| bytes(id.as_bytes())).collect();
        let nodes = self.rows::<nodes::Model>(&sql, values).await?.into_iter().map(Node::try_from);
        nodes.map(|node| node.map(|node| (node.id, node))).collect()
    }

    async fn grants_above(&self, actor: UserId, ids: &[NodeId]) -> Result<BTreeMap<NodeId, Vec<GrantFact>>, StoreError> {
        let sql = format!(
            "{} SELECT grants.* FROM grants JOIN up ON grants.node_id = up.id WHERE grants.recipient_id = ${}",
            ancestors_cte(&placeholders(1, ids.len())),
            ids.len() + 1
        );
        let mut values: Vec<_> = ids.iter().map(|id| bytes(id.as_bytes())).collect();
        values.push(bytes(actor.as_bytes()));
        let mut grants: BTreeMap<NodeId, Vec<GrantFact>> = BTreeMap::new();
        for row in self.rows::<grants::Model>(&sql, values).await? {
            let fact = GrantFact {
                grant: id("grants.id", &row.id)?,
                hash: digest("grants.hash", &row.hash)?,
                node: id("grants.node_id", &row.node_id)?,
                verbs: verbs(row.verbs)?,
                expires: time(row.expires_ms),
                ended: row.ended_ms.is_some(),
            };
            grants.entry(fact.node).or_default().push(fact);
        }
        Ok(grants)
    }
}

pub(crate) fn verbs(bits: i64) -> Result<Verbs, StoreError> {
    u8::try_from(bits).ok().and_then(Verbs::from_bits).ok_or(StoreError::Corrupt("grants.verbs"))
}

/// What was read about some nodes and all above them.
struct Read {
    rows: BTreeMap<NodeId, Node>,
    grants: BTreeMap<NodeId, Vec<GrantFact>>,
    tags: BTreeMap<NodeId, Label>,
    /// By the owner they stand for.
    groups: BTreeMap<UserId, GroupFact>,
    rights: u64,
}

impl Read {
    fn assemble(&self, node: NodeId) -> Result<Option<NodeFacts>, StoreError> {
        let Some(own) = self.rows.get(&node) else { return Ok(None) };
        let (mut path, mut held, mut label, mut carried) = (Vec::new(), Vec::new(), Label::UNLOCKED, BTreeSet::new());
        let mut trashed = if own.trashed.is_some() { Trashed::Itself } else { Trashed::No };
        let mut step = Some(own);
        while let Some(row) = step {
            if row.trashed.is_some() && trashed == Trashed::No {
                trashed = Trashed::Above;
            }
            path.push(PathStep { node: row.id, closure_seq: row.closure_seq, rolled_seq: row.rolled_seq, boundary: row.tagged });
            held.extend(self.grants.get(&row.id).into_iter().flatten().copied());
            if let Some(tags) = self.tags.get(&row.id) {
                carried.extend(tags.lines().iter().filter_map(Line::project));
                label = label.joined(tags).map_err(|_| StoreError::Corrupt("node_tags"))?;
            }
            // A cycle is refused when moving; should one be there all the same, the walk ends.
            step = row.parent.filter(|_| path.len() <= limits::DEPTH_MAX + 1).and_then(|parent| self.rows.get(&parent));
        }
        Ok(Some(NodeFacts {
            node,
            owner: own.owner,
            group: self.groups.get(&own.owner).copied(),
            label,
            carried,
            tags: self.tags.get(&node).cloned().unwrap_or_default(),
            kind: own.kind,
            revision: own.revision,
            head_counter: own.head_counter,
            epoch: own.epoch,
            parent: own.parent,
            trashed,
            path,
            grants: held,
            rights: self.rights,
        }))
    }
}
