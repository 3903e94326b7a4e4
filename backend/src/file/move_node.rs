//! From one directory into another of the same tree: one transaction, two new heads (security B10).
//!
//! Leaving a place that others have shares of closes the node: they lose what they inherited, so what is written there next is
//! written under new keys. The store sees to it in the same transaction.

use ticrypt_api::ApiError;
use ticrypt_api::node::{HeadReply, MoveRequest};
use ticrypt_api::role::{Caller, Reply};
use ticrypt_policy::node::may_move;
use ticrypt_store::node::{HeadNew, MoveNode};
use ticrypt_types::{NodeId, Operation};

use super::FileRole;
use super::audited::{Plan, event};
use super::error::FileError;
use super::place::{above, decided, entry_new, epoch, head_new};
use super::records::{ReadEntry, Reader, entry};
use super::{fit, off_thread};

/// The move, the two heads, and the directories it is reached through before.
type Planned = Plan<(MoveNode, Vec<HeadNew>, Vec<NodeId>), HeadReply>;

impl FileRole {
    pub(super) async fn node_move(&self, caller: &Caller, request: MoveRequest) -> Result<Reply<HeadReply>, ApiError> {
        let read = entry(request.entry.clone()).map_err(|error| error.into_api(caller.now))?;
        let row = event(caller, Operation::NodeMove, [read.entry.child, request.from, request.to]);
        let plan = self.plan_move(caller, request, read).await;
        let (store, losses) = (self.store.clone(), self.losses.clone());
        self.change(row, plan, move |(step, heads, left): (MoveNode, Vec<HeadNew>, Vec<NodeId>)| async move {
            let head_counter = heads.last().map_or(0, |head| head.counter);
            // Whoever reached the node through a directory it leaves may hold tickets for what is in it.
            let reached = store.grants_on(&left).await?;
            store.move_nodes(vec![step], heads).await?;
            losses.record(reached.into_iter().map(|grant| grant.recipient));
            Ok(HeadReply { head_counter })
        })
        .await
    }

    async fn plan_move(&self, caller: &Caller, request: MoveRequest, read: ReadEntry) -> Result<Planned, FileError> {
        if request.from == request.to {
            return Err(FileError::Bound("a move needs two directories; rename within one"));
        }
        let who = self.who(caller).await?;
        let node = read.entry.child;
        let facts = self.facts_of(&who.actor, node).await?;
        let target = self.facts_of(&who.actor, request.to).await?;
        if facts.parent == Some(request.to) && self.is_stored(&read).await? {
            return Ok(Plan::Again(HeadReply { head_counter: target.head_counter }));
        }
        // Of the two directories the closed one is named; the one left is asked first.
        let closed = if facts.path.len() > 1 && !super::place::stale(above(&facts)).is_empty() { above(&facts) } else { &target.path[..] };
        let permit = decided(may_move(&who.actor, &facts, &target, caller.now), closed)?;
        if facts.parent != Some(request.from) {
            return Err(FileError::Stale);
        }
        let source = self.facts_of(&who.actor, request.from).await?;
        let (from, to) = (self.place(request.from).await?, self.place(request.to).await?);
        let (deployment, now) = (self.deployment, caller.now);
        off_thread(move || {
            let mut reader = Reader::new(deployment, &who.signer, now);
            let from_head = reader.head(&request.from_head)?;
            let to_head = reader.head(&request.to_head)?;
            fit::head(&from_head, from.before(), from.leaves_with(&[node], []))?;
            fit::head(&to_head, to.before(), to.leaves_with(&[], [&read]))?;
            fit::entry(&read, to.directory, to.epoch)?;
            fit::entry_of(&read, &facts, epoch(facts.epoch)?)?;
            fit::authority(&source, &who.actor, from_head.authority, now)?;
            fit::authority(&target, &who.actor, to_head.authority, now)?;
            let heads = vec![head_new(&from_head, request.from_head), head_new(&to_head, request.to_head)];
            let left = above(&facts).iter().map(|step| step.node).collect();
            Ok(Plan::Do((MoveNode { permit, entry: entry_new(read) }, heads, left)))
        })
        .await
    }

    /// Whether this very entry is what is stored.
    pub(super) async fn is_stored(&self, read: &ReadEntry) -> Result<bool, FileError> {
        let stored = self.store.node(read.entry.child).await?;
        Ok(stored.is_some_and(|node| node.leaf == read.leaf.to_bytes() && node.trashed.is_none()))
    }
}
