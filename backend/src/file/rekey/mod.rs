//! New keys for nodes of one directory, after somebody lost access at or above them (docs/formats.md §6, closing).
//!
//! ```text
//!   facts ─▶ may each have new keys? ─▶ what stands (standing.rs) ─▶ is all of it covered? (cover.rs) ─▶ one transaction
//! ```
//!
//! The client makes the keys; what is checked here is that nothing and nobody is left behind: every entry (of the trash too), every
//! content and property key, a new seal on unchanged terms for everybody who holds a living share. A request takes nodes of one
//! directory that has been through it; the nodes still to do come with the refusal `epoch_closed`, from the top down.

mod cover;
mod seals;
mod standing;
mod tag;

use std::collections::BTreeSet;

use ticrypt_api::ApiError;
use ticrypt_api::node::{HeadReply, RekeyRequest};
use ticrypt_api::role::{Caller, Reply};
use ticrypt_policy::Permit;
use ticrypt_policy::node::{NodeFacts, may_rekey};
use ticrypt_policy::permit::Verb;
use ticrypt_store::node::{HeadNew, Rekey, RekeyNode};
use ticrypt_types::limits::BATCH_MAX_NODES;
use ticrypt_types::{NodeId, Operation};

use super::audited::{Plan, event, with};
use super::error::FileError;
use super::place::{above, decided};
use super::records::Reader;
use super::{FileRole, Who, off_thread};
use standing::Standing;

/// Records in one request of several nodes: it is one transaction, and others wait for it.
const RECORDS_MAX: usize = 8_000;

/// New keys for nodes of one directory, ready for the store.
struct Steps<V: Verb<On = NodeId>> {
    parent_head: Option<HeadNew>,
    nodes: Vec<RekeyNode<V>>,
    /// Of the directory that holds them, or of the root itself.
    counter: u64,
}

type Planned = Plan<(Rekey, u64), HeadReply>;

impl FileRole {
    pub(super) async fn node_rekey(&self, caller: &Caller, request: RekeyRequest) -> Result<Reply<HeadReply>, ApiError> {
        let row = event(caller, Operation::NodeRekey, request.nodes.iter().map(|node| node.node));
        let row = with(row, "grants", request.nodes.iter().map(|node| node.grants.len()).sum::<usize>());
        let plan = self.plan_rekey(caller, request).await;
        let store = self.store.clone();
        self.change(row, plan, move |(rekey, head_counter): (Rekey, u64)| async move {
            store.rekey(rekey).await?;
            Ok(HeadReply { head_counter })
        })
        .await
    }

    async fn plan_rekey(&self, caller: &Caller, request: RekeyRequest) -> Result<Planned, FileError> {
        let ids = bounded(&request)?;
        let who = self.who(caller).await?;
        let facts = self.facts_of_all(&who.actor, &ids).await?;
        let mut permits = Vec::with_capacity(facts.len());
        for facts in &facts {
            permits.push(decided(may_rekey(&who.actor, facts, caller.now), above(facts))?);
        }
        of_one_directory(&facts)?;
        if let Some(again) = self.rekeyed_before(&facts, &request).await? {
            return Ok(Plan::Again(again));
        }
        let standing = self.standing(&who, &facts).await?;
        let Steps { parent_head, nodes, counter } = self.steps(caller, who, facts.into_iter().zip(permits), request, standing).await?;
        Ok(Plan::Do((Rekey { parent_head, nodes }, counter)))
    }

    /// The new keys of a request, held to what stands.
    async fn steps<V: Verb<On = NodeId> + 'static>(
        &self,
        caller: &Caller,
        who: Who,
        permitted: impl Iterator<Item = (NodeFacts, Permit<V>)>,
        request: RekeyRequest,
        standing: Standing,
    ) -> Result<Steps<V>, FileError> {
        let (facts, permits): (Vec<NodeFacts>, Vec<Permit<V>>) = permitted.unzip();
        if facts.iter().zip(&request.nodes).any(|(facts, node)| u64::from(node.epoch) != facts.epoch + 1) {
            return Err(FileError::Stale);
        }
        let mut seals = Vec::with_capacity(facts.len());
        for ((facts, node), stands) in facts.iter().zip(&request.nodes).zip(&standing.nodes) {
            seals.push(self.new_seals(caller, &who, facts, node, stands).await?);
        }
        let (deployment, now) = (self.deployment, caller.now);
        off_thread(move || {
            let mut reader = Reader::new(deployment, &who.signer, now);
            let placed = cover::entries(&who, &facts, &request, &standing, &mut reader)?;
            let mut counter = placed.head.as_ref().map(|head| head.counter).or(standing.parent.as_ref().map(|(_, place)| place.counter));
            let mut nodes = Vec::with_capacity(facts.len());
            let parts = permits.into_iter().zip(facts).zip(request.nodes).zip(standing.nodes).zip(seals).zip(placed.entries);
            for (((((permit, facts), node), stands), grants), entry) in parts {
                let epoch = u64::from(node.epoch);
                let (keys, own_counter) = cover::contents(&mut reader, &who, &facts, node, &stands)?;
                counter = counter.or(own_counter);
                nodes.push(RekeyNode { permit, epoch, closure_seen: facts.closure(), entry, keys, grants, at: now });
            }
            Ok(Steps { parent_head: placed.head, nodes, counter: counter.unwrap_or_default() })
        })
        .await
    }

    /// The very same keys are in place: each entry, or for a root the head, is what is stored.
    async fn rekeyed_before(&self, facts: &[NodeFacts], request: &RekeyRequest) -> Result<Option<HeadReply>, FileError> {
        let mut counter = 0;
        for (facts, new) in facts.iter().zip(&request.nodes) {
            if u64::from(new.epoch) != facts.epoch {
                return Ok(None);
            }
            let Some(node) = self.store.node(facts.node).await? else { return Ok(None) };
            let same = match (&new.entry, &new.head) {
                (Some(entry), _) => entry.0 == node.entry,
                (None, Some(head)) => node.head.as_ref() == Some(&head.0),
                (None, None) => false,
            };
            if !same {
                return Ok(None);
            }
            counter = node.head_counter;
        }
        if let Some(parent) = facts.first().and_then(|facts| facts.parent) {
            counter = self.store.node(parent).await?.map_or(counter, |parent| parent.head_counter);
        }
        Ok(Some(HeadReply { head_counter: counter }))
    }
}

/// The nodes of a request, each once, and not too many.
fn bounded(request: &RekeyRequest) -> Result<Vec<NodeId>, FileError> {
    let ids: Vec<NodeId> = request.nodes.iter().map(|node| node.node).collect();
    let records: usize = request.nodes.iter().map(|node| node.records()).sum();
    if ids.is_empty() || ids.len() > BATCH_MAX_NODES || (ids.len() > 1 && records > RECORDS_MAX) {
        return Err(FileError::Bound("a request makes new keys for 1 to 2000 nodes with at most 8000 records; split it"));
    }
    if ids.iter().collect::<BTreeSet<_>>().len() != ids.len() {
        return Err(FileError::unfit("rekey_nodes", "a node is named twice; name it once"));
    }
    Ok(ids)
}

/// A root comes alone; others share the directory whose head they come with.
fn of_one_directory(facts: &[NodeFacts]) -> Result<(), FileError> {
    let parent = facts.first().and_then(|facts| facts.parent);
    if facts.iter().any(|facts| facts.parent != parent) || (parent.is_none() && facts.len() > 1) {
        return Err(FileError::unfit("rekey_nodes", "the nodes are not of one directory; ask for each directory apart"));
    }
    Ok(())
}
