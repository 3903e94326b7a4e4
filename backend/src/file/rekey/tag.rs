//! New tags for a node. They come with new keys (security B3): with tags these are the node's own, sealed to its owner and to those it is
//! shared with; without, they are wrapped under its directory's again. What was given from above does not open what is tagged any more.

use ticrypt_api::ApiError;
use ticrypt_api::node::{HeadReply, RekeyRequest, TagRequest};
use ticrypt_api::role::{Caller, Reply};
use ticrypt_policy::node::NodeFacts;
use ticrypt_policy::tag::{Retag, may_retag};
use ticrypt_policy::{Actor, Denial, Label, Line};
use ticrypt_store::node::TagNode;
use ticrypt_types::{Operation, ProjectId, UserId, limits};

use super::Steps;
use crate::file::FileRole;
use crate::file::audited::{Plan, event, with};
use crate::file::error::FileError;
use crate::file::place::{above, decided};

/// The tags, the next counter of the directory's head, and who may hold tickets for what is in the node.
type Planned = Plan<(TagNode, u64, Vec<UserId>), HeadReply>;

impl FileRole {
    pub(crate) async fn node_tag(&self, caller: &Caller, request: TagRequest) -> Result<Reply<HeadReply>, ApiError> {
        let mut row = event(caller, Operation::NodeTag, [request.node.node]);
        row.subjects.extend(request.tags.iter().take(limits::TAGS_MAX).map(|project| project.to_bytes()));
        let row = with(row, "tags", request.tags.len());
        let plan = self.plan_tag(caller, request).await;
        let (store, losses) = (self.store.clone(), self.losses.clone());
        self.change(row, plan, move |(tag, head_counter, reached): (TagNode, u64, Vec<UserId>)| async move {
            store.tag(tag).await?;
            losses.record(reached);
            Ok(HeadReply { head_counter })
        })
        .await
    }

    async fn plan_tag(&self, caller: &Caller, request: TagRequest) -> Result<Planned, FileError> {
        let TagRequest { tags, parent_head, node } = request;
        if tags.len() > limits::TAGS_MAX {
            return Err(FileError::Bound("a node has at most 8 tags of its own, one of each tree; leave some out"));
        }
        let who = self.who(caller).await?;
        let facts = self.facts_of(&who.actor, node.node).await?;
        // Before a word about the tags: to who may not see it, the node is missing, whatever they send.
        facts.sight(&who.actor, caller.now)?;
        let tags = self.label_of(&tags).await?;
        let request = RekeyRequest { parent_head, nodes: vec![node] };
        if tags == facts.tags
            && let Some(again) = self.rekeyed_before(std::slice::from_ref(&facts), &request).await?
        {
            return Ok(Plan::Again(again));
        }
        let retag = self.retag(&who.actor, &facts, tags.clone()).await?;
        let permit = decided(may_retag(&who.actor, &facts, &retag, caller.now), above(&facts))?;
        let mut standing = self.standing(&who, std::slice::from_ref(&facts)).await?;
        let above = standing.parent.as_ref().map(|(parent, _)| parent.carried.clone());
        for stands in &mut standing.nodes {
            // A root's keys are in grants on itself with tags and without.
            stands.are_own = if above.is_some() { !tags.is_unlocked() } else { facts.has_own_keys() };
            stands.carried = above.iter().flatten().copied().chain(tags.lines().iter().filter_map(Line::project)).collect();
        }
        let reached = self.store.people_reaching(facts.node).await?;
        let Steps { parent_head, nodes, counter } = self.steps(caller, who, [(facts, permit)].into_iter(), request, standing).await?;
        let node = nodes.into_iter().next().ok_or(FileError::Stale)?;
        Ok(Plan::Do((TagNode { node, parent_head, tags, below: retag.below }, counter, reached)))
    }

    /// What the tags say together. A project that does not exist answers like one that is not in the working set.
    pub(in crate::file) async fn label_of(&self, tags: &[ProjectId]) -> Result<Label, FileError> {
        let lines = self.store.lines(tags).await?;
        if tags.iter().any(|tag| !lines.iter().any(|line| line.project() == Some(*tag))) {
            return Err(Denial::NotInWorkingSet.into());
        }
        Ok(Label::of(lines).map_err(|_| Denial::TagsApart)?)
    }

    async fn retag(&self, actor: &Actor, facts: &NodeFacts, tags: Label) -> Result<Retag, FileError> {
        let place = match facts.parent {
            Some(parent) => self.facts_of(actor, parent).await?.label,
            None => Label::UNLOCKED,
        };
        Ok(Retag { place, tags, below: self.store.tags_below(facts.node).await? })
    }
}
