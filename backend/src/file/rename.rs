//! A new name or new properties: the same node under another entry.

use ticrypt_api::ApiError;
use ticrypt_api::node::{HeadReply, RenameRequest};
use ticrypt_api::role::{Caller, Reply};
use ticrypt_policy::node::may_rename;
use ticrypt_store::node::{HeadNew, RenameNode};
use ticrypt_types::{NodeId, Operation};

use super::FileRole;
use super::audited::{Plan, event};
use super::error::FileError;
use super::place::{above, decided, entry_new, epoch, head_new};
use super::records::{ReadEntry, Reader, entry};
use super::{fit, off_thread};

type Planned = Plan<(RenameNode, HeadNew), HeadReply>;

impl FileRole {
    pub(super) async fn node_rename(&self, caller: &Caller, request: RenameRequest) -> Result<Reply<HeadReply>, ApiError> {
        let directory = request.directory;
        let read = match entry(request.entry.clone()) {
            Ok(read) => read,
            Err(error) => return Err(error.into_api(caller.now)),
        };
        let row = event(caller, Operation::NodeRename, [read.entry.child, directory]);
        let plan = self.plan_rename(caller, request, read).await;
        let store = self.store.clone();
        self.change(row, plan, move |(rename, head)| async move {
            let head_counter = head.counter;
            store.rename(vec![rename], vec![head]).await?;
            Ok(HeadReply { head_counter })
        })
        .await
    }

    async fn plan_rename(&self, caller: &Caller, request: RenameRequest, read: ReadEntry) -> Result<Planned, FileError> {
        let who = self.who(caller).await?;
        let node: NodeId = read.entry.child;
        let facts = self.facts_of(&who.actor, node).await?;
        let permit = decided(may_rename(&who.actor, &facts, caller.now), above(&facts))?;
        if facts.parent != Some(request.directory) {
            return Err(FileError::Stale);
        }
        let directory = self.facts_of(&who.actor, request.directory).await?;
        let place = self.place(request.directory).await?;
        let stored = self.store.node(node).await?.ok_or(FileError::Stale)?;
        let (deployment, now) = (self.deployment, caller.now);
        off_thread(move || {
            let mut reader = Reader::new(deployment, &who.signer, now);
            let head = reader.head(&request.head)?;
            if place.counter >= head.counter && stored.leaf == read.leaf.to_bytes() {
                return Ok(Plan::Again(HeadReply { head_counter: head.counter }));
            }
            fit::head(&head, place.before(), place.leaves_with(&[node], [&read]))?;
            fit::entry(&read, place.directory, place.epoch)?;
            fit::entry_of(&read, &facts, epoch(facts.epoch)?)?;
            fit::authority(&directory, &who.actor, head.authority, now)?;
            Ok(Plan::Do((RenameNode { permit, entry: entry_new(read) }, head_new(&head, request.head))))
        })
        .await
    }
}
