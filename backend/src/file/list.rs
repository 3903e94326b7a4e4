//! Listings of directories, and single nodes. They hand out names: one row in the audit log names every directory.
//!
//! A listing is checked against the directory's signed head by whoever reads it, so head and entries must be of one moment. The
//! heads are read before and after the entries; if one has moved, the reading begins again.

use std::collections::HashMap;

use ticrypt_api::ApiError;
use ticrypt_api::Blob;
use ticrypt_api::node::{DirectoryView, EntryView, ListItem, ListReply, ListRequest, StatReply, StatRequest};
use ticrypt_api::role::{Caller, Reply};
use ticrypt_policy::node::{NodeFacts, may_list, may_stat};
use ticrypt_store::node::{Entry, Node, Which};
use ticrypt_types::limits::{BATCH_BODY_MAX_BYTES, BATCH_MAX_NODES};
use ticrypt_types::{NodeId, Operation};

use super::FileRole;
use super::audited::event;
use super::authority::Named;
use super::error::FileError;
use super::page;
use super::view::{of_node, weight};

/// Entries in one answer.
const LIMIT_MAX: u32 = 4_000;
/// What grants and framing may take beside the entries.
const RESERVE_BYTES: usize = 2 * 1024 * 1024;
/// Readings before a directory that keeps changing is given up as stale.
const ATTEMPTS: u32 = 4;

/// A directory's part of a listing, as read.
struct Listed {
    directory: Node,
    closure: u64,
    entries: Vec<Entry>,
    next: Option<String>,
}

impl FileRole {
    pub(super) async fn node_list(&self, caller: &Caller, request: ListRequest) -> Result<Reply<ListReply>, ApiError> {
        let row = event(caller, Operation::NodeList, request.items.iter().map(|item| item.directory));
        let answer = self.read_list(caller, request).await;
        self.hand_out(row, answer).await
    }

    async fn read_list(&self, caller: &Caller, request: ListRequest) -> Result<ListReply, FileError> {
        if request.items.is_empty() || request.items.len() > BATCH_MAX_NODES || request.limit == 0 || request.limit > LIMIT_MAX {
            return Err(FileError::Bound("a listing names 1 to 2000 directories and has 1 to 4000 entries"));
        }
        let actor = self.actor(caller).await?;
        let ids: Vec<NodeId> = request.items.iter().map(|item| item.directory).collect();
        let facts = self.facts_of_all(&actor, &ids).await?;
        for directory in &facts {
            let _permit = may_list(&actor, directory, caller.now)?;
        }
        for _ in 0..ATTEMPTS {
            let listed = self.read_directories(&request, &facts).await?;
            let read: Vec<NodeId> = listed.iter().map(|one| one.directory.id).collect();
            let after = self.directories(&read).await?;
            let moved = |one: &Listed| after.get(&one.directory.id).is_none_or(|now| now.head_counter != one.directory.head_counter);
            if !listed.iter().any(moved) {
                return self.list_reply(caller, listed, request.manifests).await;
            }
        }
        Err(FileError::Stale)
    }

    /// As many of the directories as fit, perhaps the last in part.
    async fn read_directories(&self, request: &ListRequest, facts: &[NodeFacts]) -> Result<Vec<Listed>, FileError> {
        let ids: Vec<NodeId> = request.items.iter().map(|item| item.directory).collect();
        let directories = self.directories(&ids).await?;
        let mut left = u64::from(request.limit);
        let mut bytes = BATCH_BODY_MAX_BYTES - RESERVE_BYTES;
        let mut listed: Vec<Listed> = Vec::new();
        for (ListItem { directory, page: token }, facts) in request.items.iter().zip(facts) {
            let node = directories.get(directory).ok_or(FileError::Stale)?.clone();
            let after = token.as_deref().map(page::parse_after_entry).transpose()?;
            if after.is_some_and(|(counter, _)| counter != node.head_counter) {
                return Err(FileError::Stale);
            }
            // One more than wanted tells whether there are more.
            let mut entries = self.store.list_entries(*directory, Which::Live, after.map(|(_, node)| node), left + 1).await?;
            let fits = fitting(&entries, left, &mut bytes, request.manifests);
            let cut = fits < entries.len();
            entries.truncate(fits);
            if fits == 0 && cut && !listed.is_empty() {
                break;
            }
            let last = entries.last().map(|entry| entry.node.id).or(after.map(|(_, node)| node));
            let next = last.filter(|_| cut).map(|last| page::after_entry(node.head_counter, last));
            left -= fits as u64;
            listed.push(Listed { closure: facts.closure(), directory: node, entries, next });
            if cut || left == 0 {
                break;
            }
        }
        Ok(listed)
    }

    async fn directories(&self, ids: &[NodeId]) -> Result<HashMap<NodeId, Node>, FileError> {
        Ok(self.store.entries(ids).await?.into_iter().map(|entry| (entry.node.id, entry.node)).collect())
    }

    async fn list_reply(&self, caller: &Caller, listed: Vec<Listed>, manifests: bool) -> Result<ListReply, FileError> {
        let mut named = Named::default();
        let nodes: Vec<_> = listed.iter().map(|one| &one.directory).collect();
        let counts = self.counts(&nodes, caller.now).await?;
        let mut directories = Vec::with_capacity(listed.len());
        for Listed { directory, closure, entries, next } in listed {
            let head = directory.head.clone().ok_or(FileError::Corrupt("a directory without a head"))?;
            named.head(&head)?;
            let node = of_node(&directory, closure, counts.get(&directory.id).copied().unwrap_or_default())?;
            let entries = self.views(entries.into_iter().map(|entry| (entry, closure)).collect(), manifests, caller.now).await?;
            named.entries(&entries)?;
            directories.push(DirectoryView { node, head: Blob(head), entries, next });
        }
        Ok(ListReply { directories, grants: self.grants_named(named).await? })
    }

    pub(super) async fn node_stat(&self, caller: &Caller, request: StatRequest) -> Result<Reply<StatReply>, ApiError> {
        let answer = self.read_stat(caller, &request.nodes).await;
        // Those that are missing or hidden are in the row as well: it tells what was asked for, not what there is.
        self.hand_out(event(caller, Operation::NodeStat, request.nodes), answer).await
    }

    async fn read_stat(&self, caller: &Caller, nodes: &[NodeId]) -> Result<StatReply, FileError> {
        if nodes.is_empty() || nodes.len() > BATCH_MAX_NODES {
            return Err(FileError::Bound("a request names 1 to 2000 nodes; split it"));
        }
        let actor = self.actor(caller).await?;
        actor.check(caller.now)?;
        let facts = self.store.node_facts(actor.user, nodes).await?;
        let seen: HashMap<NodeId, u64> =
            facts.iter().filter(|node| may_stat(&actor, node, caller.now).is_ok()).map(|node| (node.node, node.closure())).collect();
        let ids: Vec<NodeId> = seen.keys().copied().collect();
        let mut bytes = BATCH_BODY_MAX_BYTES - RESERVE_BYTES;
        let mut entries = self.store.entries(&ids).await?;
        if fitting(&entries, u64::MAX, &mut bytes, true) < entries.len() {
            return Err(FileError::TooLarge);
        }
        // A grantee of this node alone does not hold the keys under which its name was given to it above; the entry is theirs all the
        // same, for its wraps say nothing to who lacks those keys.
        let entries = entries.drain(..).map(|entry| {
            let closure = seen.get(&entry.node.id).copied().unwrap_or(0);
            (entry, closure)
        });
        let nodes: Vec<EntryView> = self.views(entries.collect(), true, caller.now).await?;
        let mut named = Named::default();
        named.entries(&nodes)?;
        Ok(StatReply { nodes, grants: self.grants_named(named).await? })
    }
}

/// How many entries from the start fit into the count and the bytes that are left.
fn fitting(entries: &[Entry], left: u64, bytes: &mut usize, manifests: bool) -> usize {
    let mut fits = 0;
    for entry in entries {
        let needed = weight(entry, manifests);
        if fits as u64 >= left || needed > *bytes {
            break;
        }
        *bytes -= needed;
        fits += 1;
    }
    fits
}
