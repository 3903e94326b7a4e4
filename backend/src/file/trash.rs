//! Into the trash, out of it, and what lies in it. A head commits to what is not in the trash.

use std::collections::HashMap;

use ticrypt_api::ApiError;
use ticrypt_api::node::{HeadReply, RestoreRequest, TrashQuery, TrashReply, TrashRequest};
use ticrypt_api::role::{Caller, Reply};
use ticrypt_policy::Permit;
use ticrypt_policy::node::{NodeFacts, Trashed, may_list_trash, may_restore, may_trash};
use ticrypt_policy::permit::NodeTrash;
use ticrypt_store::node::{Entry, HeadNew, RestoreNode, Which};
use ticrypt_types::limits::BATCH_MAX_NODES;
use ticrypt_types::{GroupId, NodeId, Operation};

use super::FileRole;
use super::audited::{Plan, event};
use super::error::FileError;
use super::place::{above, decided, entry_new, epoch, head_new};
use super::records::{ReadEntry, Reader, entry};
use super::{fit, off_thread, page};

const LIMIT: u32 = 200;
const LIMIT_MAX: u32 = 1_000;

impl FileRole {
    pub(super) async fn node_trash(&self, caller: &Caller, request: TrashRequest) -> Result<Reply<HeadReply>, ApiError> {
        batch(request.nodes.len()).map_err(|error| error.into_api(caller.now))?;
        let row = event(caller, Operation::NodeTrash, request.nodes.iter().copied());
        let plan = self.plan_trash(caller, request).await;
        let (store, at) = (self.store.clone(), caller.now);
        self.change(row, plan, move |(permits, head): (Vec<Permit<NodeTrash>>, HeadNew)| async move {
            let head_counter = head.counter;
            store.trash(permits, vec![head], at).await?;
            Ok(HeadReply { head_counter })
        })
        .await
    }

    async fn plan_trash(
        &self,
        caller: &Caller,
        request: TrashRequest,
    ) -> Result<Plan<(Vec<Permit<NodeTrash>>, HeadNew), HeadReply>, FileError> {
        let who = self.who(caller).await?;
        let directory = self.facts_of(&who.actor, request.directory).await?;
        let facts = self.facts_of_all(&who.actor, &request.nodes).await?;
        let place = self.place(request.directory).await?;
        let (deployment, now) = (self.deployment, caller.now);
        off_thread(move || {
            let head = Reader::new(deployment, &who.signer, now).head(&request.head)?;
            // The very same request once more: all of it is in the trash, and the head is not newer than the stored one.
            if head.directory == place.directory && head.counter <= place.counter && all(&facts, place.directory, Trashed::Itself) {
                return Ok(Plan::Again(HeadReply { head_counter: head.counter }));
            }
            let mut permits = Vec::with_capacity(facts.len());
            for node in &facts {
                permits.push(decided(may_trash(&who.actor, node, now), above(node))?);
                if node.parent != Some(place.directory) {
                    return Err(FileError::Stale);
                }
            }
            fit::head(&head, place.before(), place.leaves_with(&request.nodes, []))?;
            fit::authority(&directory, &who.actor, head.authority, now)?;
            Ok(Plan::Do((permits, head_new(&head, request.head))))
        })
        .await
    }

    pub(super) async fn node_restore(&self, caller: &Caller, request: RestoreRequest) -> Result<Reply<HeadReply>, ApiError> {
        let entries = read_entries(request.entries.clone()).map_err(|error| error.into_api(caller.now))?;
        let row = event(caller, Operation::NodeRestore, entries.iter().map(|read| read.entry.child));
        let plan = self.plan_restore(caller, request, entries).await;
        let store = self.store.clone();
        self.change(row, plan, move |(restores, head): (Vec<RestoreNode>, HeadNew)| async move {
            let head_counter = head.counter;
            store.restore(restores, vec![head]).await?;
            Ok(HeadReply { head_counter })
        })
        .await
    }

    async fn plan_restore(
        &self,
        caller: &Caller,
        request: RestoreRequest,
        entries: Vec<ReadEntry>,
    ) -> Result<Plan<(Vec<RestoreNode>, HeadNew), HeadReply>, FileError> {
        let who = self.who(caller).await?;
        let directory = self.facts_of(&who.actor, request.directory).await?;
        let nodes: Vec<NodeId> = entries.iter().map(|read| read.entry.child).collect();
        let facts = self.facts_of_all(&who.actor, &nodes).await?;
        let place = self.place(request.directory).await?;
        let (deployment, now) = (self.deployment, caller.now);
        off_thread(move || {
            let head = Reader::new(deployment, &who.signer, now).head(&request.head)?;
            let back = |read: &ReadEntry| place.leaves.contains(&(read.entry.child, read.leaf));
            if head.directory == place.directory && head.counter <= place.counter && entries.iter().all(back) {
                return Ok(Plan::Again(HeadReply { head_counter: head.counter }));
            }
            let after = place.leaves_with(&[], &entries);
            let mut restores = Vec::with_capacity(entries.len());
            for (node, read) in facts.iter().zip(entries) {
                let permit = decided(may_restore(&who.actor, node, now), above(node))?;
                if node.parent != Some(place.directory) {
                    return Err(FileError::Stale);
                }
                fit::entry(&read, place.directory, place.epoch)?;
                fit::entry_of(&read, node, epoch(node.epoch)?)?;
                restores.push(RestoreNode { permit, entry: Some(entry_new(read)) });
            }
            fit::head(&head, place.before(), after)?;
            fit::authority(&directory, &who.actor, head.authority, now)?;
            Ok(Plan::Do((restores, head_new(&head, request.head))))
        })
        .await
    }

    pub(super) async fn trash_list_page(&self, caller: &Caller, query: TrashQuery) -> Result<Reply<TrashReply>, ApiError> {
        let answer = self.read_trash(caller, query).await;
        let nodes: Vec<NodeId> = answer.iter().flat_map(|reply| reply.entries.iter().map(|entry| entry.node.node)).collect();
        self.hand_out(event(caller, Operation::TrashList, nodes), answer).await
    }

    /// The trash of the caller's own tree or of a group's, in the order of ids; or of one directory, for whoever may take things out of it.
    async fn read_trash(&self, caller: &Caller, query: TrashQuery) -> Result<TrashReply, FileError> {
        let limit = query.limit.unwrap_or(LIMIT);
        if limit == 0 || limit > LIMIT_MAX {
            return Err(FileError::Bound("a page of the trash has 1 to 1000 entries"));
        }
        let after: Option<NodeId> = page::after_id(query.page.as_deref())?;
        let actor = self.actor(caller).await?;
        actor.check(caller.now)?;
        let one_more = u64::from(limit) + 1;
        let owner = query.group.map_or(actor.user, GroupId::as_owner);
        let mut found = match query.directory {
            None => self.store.entries(&self.store.trash_of(owner, after, one_more).await?).await?,
            Some(directory) => {
                let facts = self.facts_of(&actor, directory).await?;
                let _permit = may_list_trash(&actor, &facts, caller.now)?;
                self.store.list_entries(directory, Which::Trashed, after, one_more).await?
            }
        };
        let more = found.len() > limit as usize;
        found.truncate(limit as usize);
        let next = found.last().filter(|_| more).map(|last| page::after(last.node.id.as_bytes()));
        let ids: Vec<NodeId> = found.iter().map(|entry| entry.node.id).collect();
        let facts = self.store.node_facts(actor.user, &ids).await?;
        let closures: HashMap<NodeId, u64> = facts.iter().map(|facts| (facts.node, facts.closure())).collect();
        // What lies in a tree that was lost with its owner's keys cannot be opened, and is not shown.
        let root = match query.group {
            Some(group) => self.store.own_group(group, actor.user).await?.map(|own| own.group.root),
            None => self.store.home(actor.user).await?.map(|home| home.id),
        };
        let trees: HashMap<NodeId, Option<NodeId>> =
            facts.iter().map(|facts| (facts.node, facts.path.last().map(|root| root.node))).collect();
        let shown = self.shown(&actor, &facts, caller.now).await?;
        // Of a tree, what lies in something locked is not listed: its name is not either. Of a directory that is unlocked, names are.
        let is_open = |entry: &Entry| shown.get(&entry.node.id).is_some_and(|shown| !shown.is_locked());
        found.retain(|entry| query.directory.is_some() || (trees.get(&entry.node.id).copied().flatten() == root && is_open(entry)));
        let placed = found.into_iter().map(|entry| {
            let closure = closures.get(&entry.node.id).copied().unwrap_or(0);
            (entry.node.into(), entry.current, closure)
        });
        Ok(TrashReply { entries: self.views(placed.collect(), &shown, caller.now).await?, next })
    }
}

fn batch(count: usize) -> Result<(), FileError> {
    if (1..=BATCH_MAX_NODES).contains(&count) { Ok(()) } else { Err(FileError::Bound("a request names 1 to 2000 nodes; split it")) }
}

fn all(facts: &[NodeFacts], directory: NodeId, trashed: Trashed) -> bool {
    facts.iter().all(|node| node.parent == Some(directory) && node.trashed == trashed)
}

fn read_entries(entries: Vec<ticrypt_api::Blob>) -> Result<Vec<ReadEntry>, FileError> {
    batch(entries.len())?;
    entries.into_iter().map(entry).collect()
}
