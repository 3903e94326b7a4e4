//! Listings of directories, and single nodes. They hand out names: one row in the audit log names every directory.
//!
//! A listing is checked against the directory's signed head by whoever reads it, so head and entries must be of one moment. The
//! heads are read before and after the entries; if one has moved, the reading begins again.

use std::collections::{BTreeMap, HashMap};

use ticrypt_api::ApiError;
use ticrypt_api::Blob;
use ticrypt_api::node::{DirectoryView, EntryView, ListItem, ListReply, ListRequest, StatReply, StatRequest};
use ticrypt_api::role::{Caller, Reply};
use ticrypt_policy::Actor;
use ticrypt_policy::node::{NodeFacts, may_list, may_stat};
use ticrypt_store::node::{Among, Brief, Counts, Current, Entry, Node, Which};
use ticrypt_types::limits::{BATCH_BODY_MAX_BYTES, BATCH_MAX_NODES};
use ticrypt_types::{NodeId, Operation, Timestamp};

use super::FileRole;
use super::audited::event;
use super::authority::Named;
use super::error::FileError;
use super::page;
use super::view::{of_entry, of_node, weight};

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
    entries: Vec<(Brief, Option<Current>)>,
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
                return self.list_reply(caller, &actor, listed).await;
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
            let (after_node, one_more) = (after.map(|(_, node)| node), left + 1);
            let mut entries: Vec<(Brief, Option<Current>)> = match request.manifests {
                true => self.store.list_entries(*directory, Which::Live, after_node, one_more).await?.into_iter().map(brief).collect(),
                false => self.store.list_briefs(*directory, after_node, one_more).await?.into_iter().map(|node| (node, None)).collect(),
            };
            let fits = fitting(&entries, left, &mut bytes);
            let cut = fits < entries.len();
            entries.truncate(fits);
            if fits == 0 && cut && !listed.is_empty() {
                break;
            }
            let last = entries.last().map(|(node, _)| node.id).or(after_node);
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

    async fn list_reply(&self, caller: &Caller, actor: &Actor, listed: Vec<Listed>) -> Result<ListReply, FileError> {
        let mut named = Named::default();
        let counts = self.counts_in(&listed, caller.now).await?;
        let entries = listed.iter().flat_map(|one| &one.entries).map(|(node, _)| node);
        let shown = self.shown_among(actor, entries, caller.now).await?;
        let mut directories = Vec::with_capacity(listed.len());
        for Listed { directory, closure, entries, next } in listed {
            let head = directory.head.clone().ok_or(FileError::Corrupt("a directory without a head"))?;
            named.head(&head)?;
            let node = of_node(&directory.into(), closure, &counts)?;
            let entries = entries.into_iter().map(|(node, current)| of_entry((node, current, closure), &counts, &shown));
            let entries = entries.collect::<Result<Vec<_>, _>>()?;
            named.entries(&entries)?;
            directories.push(DirectoryView { node, head: Blob(head), entries, next });
        }
        Ok(ListReply { directories, grants: self.grants_named(named).await? })
    }

    /// Of the directories of an answer and of what is in them.
    async fn counts_in(&self, listed: &[Listed], now: Timestamp) -> Result<BTreeMap<NodeId, Counts>, FileError> {
        let mut ids: Vec<NodeId> = listed.iter().map(|one| one.directory.id).collect();
        let mut counts = BTreeMap::new();
        match listed {
            // Thousands of ids in a statement cost more than the range that they are.
            [Listed { directory, entries, .. }] => {
                if let (Some(first), Some(last)) = (entries.first(), entries.last()) {
                    let range = first.0.id..=last.0.id;
                    counts = self.store.counts(Among::Directory(directory.id, range), now).await?;
                }
            }
            several => ids.extend(several.iter().flat_map(|one| &one.entries).map(|(node, _)| node.id)),
        }
        counts.extend(self.store.counts(Among::These(&ids), now).await?);
        Ok(counts)
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
        let shown = self.shown(&actor, &facts, caller.now).await?;
        let ids: Vec<NodeId> = seen.keys().copied().collect();
        let mut bytes = BATCH_BODY_MAX_BYTES - RESERVE_BYTES;
        let entries: Vec<_> = self.store.entries(&ids).await?.into_iter().map(brief).collect();
        if fitting(&entries, u64::MAX, &mut bytes) < entries.len() {
            return Err(FileError::TooLarge);
        }
        // A grantee of this node alone does not hold the keys under which its name was given to it above; the entry is theirs all the
        // same, for its wraps say nothing to who lacks those keys.
        let entries = entries.into_iter().map(|(node, current)| {
            let closure = seen.get(&node.id).copied().unwrap_or(0);
            (node, current, closure)
        });
        let nodes: Vec<EntryView> = self.views(entries.collect(), &shown, caller.now).await?;
        let mut named = Named::default();
        named.entries(&nodes)?;
        Ok(StatReply { nodes, grants: self.grants_named(named).await? })
    }
}

fn brief(entry: Entry) -> (Brief, Option<Current>) {
    (entry.node.into(), entry.current)
}

/// How many entries from the start fit into the count and the bytes that are left.
fn fitting(entries: &[(Brief, Option<Current>)], left: u64, bytes: &mut usize) -> usize {
    let mut fits = 0;
    for (node, current) in entries {
        let needed = weight(node, current.as_ref());
        if fits as u64 >= left || needed > *bytes {
            break;
        }
        *bytes -= needed;
        fits += 1;
    }
    fits
}
