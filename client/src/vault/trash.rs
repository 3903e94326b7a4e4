//! The trash: where things go when they are removed, until they are restored or deleted for good.

use std::collections::BTreeMap;

use serde::Serialize;
use ticrypt_api::node::{DeleteReply, DeleteRequest, EntryView, RestoreRequest, SealView, StatRequest, TrashQuery, TrashRequest};
use ticrypt_crypto::entry::Entry;
use ticrypt_crypto::record::Record;
use ticrypt_keyring::entry as sealed_entry;
use ticrypt_keyring::entry::Boundary;
use ticrypt_keyring::props::EntryProps;
use ticrypt_types::limits::{BATCH_MAX_NODES, DEPTH_MAX};
use ticrypt_types::{GroupId, NodeId, NodeKind, NodeName, Timestamp};

use super::Vault;
use super::boundary::locked;
use super::path::VaultPath;
use super::rename::free_name;
use super::resolve::Found;
use super::retry::Attempts;
use super::tree::{Held, sealed};
use super::trust::lie;
use crate::error::{ClientError, Kind, Result};
use crate::state::SeenKind;

const PAGE: u32 = 1_000;

/// Something in the trash.
#[derive(Clone, Debug, Serialize)]
pub struct Trashed {
    pub node: NodeId,
    /// Where it was, and will be again.
    pub path: String,
    pub kind: NodeKind,
    pub trashed_ms: Timestamp,
    #[serde(skip)]
    directory: VaultPath,
    #[serde(skip)]
    view: Option<EntryView>,
}

/// A step of the way to something: its entry in the directory above, and what is shown of its own keys.
struct Step {
    entry: Entry,
    own_keys: Option<SealView>,
    locked: bool,
}

/// What was deleted for good.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Deleted {
    pub nodes: u64,
    pub versions: u64,
    pub stored_bytes: u64,
}

impl Vault {
    /// Moves things to the trash; returns their ids.
    pub async fn rm(&self, paths: &[VaultPath]) -> Result<Vec<NodeId>> {
        let mut removed = Vec::with_capacity(paths.len());
        // What lies in one directory goes with one head of it.
        let mut groups: BTreeMap<VaultPath, Vec<VaultPath>> = BTreeMap::new();
        for path in paths {
            let (above, _) = path.split().map_err(|e| ClientError::invalid(e.to_string()))?;
            let group = groups.entry(above).or_default();
            if !group.contains(path) {
                group.push(path.clone());
            }
        }
        for (directory, paths) in groups {
            for some in paths.chunks(BATCH_MAX_NODES) {
                removed.extend(self.rm_from(&directory, some).await?);
            }
        }
        Ok(removed)
    }

    async fn rm_from(&self, directory: &VaultPath, paths: &[VaultPath]) -> Result<Vec<NodeId>> {
        let mut attempts = Attempts::default();
        loop {
            let found = self.resolve(directory).await?;
            let loaded = self.load_found(&found, false).await?;
            let mut nodes = Vec::with_capacity(paths.len());
            for path in paths {
                let name = path.names().last();
                let member = name.and_then(|name| loaded.by_name(name));
                nodes.push(member.ok_or_else(|| ClientError::not_found(format!("`{path}` is not in the vault")))?.id());
            }
            let leaves = loaded.leaves().filter(|(id, _)| !nodes.contains(id)).collect();
            let head = self.author(&loaded.held.root)?.head(loaded.id(), loaded.held.epoch, Some(&loaded.head), leaves)?;
            let (bytes, head) = self.sign_head(head).await?;
            match self.server().trash(TrashRequest { directory: loaded.id(), head: bytes, nodes: nodes.clone() }).await {
                Ok(_) => {
                    self.saw(SeenKind::Head, loaded.id(), head.counter, head.record_hash())?;
                    return Ok(nodes);
                }
                Err(error) => attempts.again(self, error, directory).await?,
            }
        }
    }

    /// The entries that were put into the trash from one directory.
    pub(super) async fn trash_entries(&self, directory: NodeId) -> Result<Vec<EntryView>> {
        self.thrown_away(Some(directory), None).await
    }

    async fn thrown_away(&self, directory: Option<NodeId>, group: Option<GroupId>) -> Result<Vec<EntryView>> {
        let mut page = None;
        let mut views = Vec::new();
        loop {
            let reply = self.server().trash_list(TrashQuery { directory, group, limit: Some(PAGE), page }).await?;
            if reply.entries.iter().any(|view| directory.is_some() && view.node.parent != directory) {
                return Err(lie("the server shows the trash of another directory"));
            }
            views.extend(reply.entries);
            page = reply.next;
            if page.is_none() {
                return Ok(views);
            }
        }
    }

    /// What is in the trash of one's own tree.
    pub async fn trash_list(&self) -> Result<Vec<Trashed>> {
        self.trash_list_of(&VaultPath::home()).await
    }

    /// The same of the tree that a path begins at: one's own, or a group's.
    pub async fn trash_list_of(&self, path: &VaultPath) -> Result<Vec<Trashed>> {
        let (top, (_, root)) = (path.top(), self.open_place(path).await?);
        let views = self.thrown_away(None, root.root.group.as_ref().map(|group| group.group())).await?;
        let mut directories: BTreeMap<NodeId, (VaultPath, Held)> = BTreeMap::new();
        let mut found = Vec::with_capacity(views.len());
        for view in views {
            let parent = view.node.parent.ok_or_else(|| lie("the server shows the top of a tree in the trash"))?;
            let (directory, held) = match directories.get(&parent) {
                Some(known) => known.clone(),
                None => {
                    let known = self.path_of(&top, &root, parent).await?;
                    directories.insert(parent, known.clone());
                    known
                }
            };
            let entry = parse(&view)?;
            let name = sealed_entry::open_name(self.deployment(), &held.keys.list, &entry).map_err(|e| sealed("a name", e))?;
            found.push(Trashed {
                node: entry.child,
                path: directory.child(&name).to_string(),
                kind: entry.kind,
                trashed_ms: view.node.trashed_ms.unwrap_or_default(),
                directory,
                view: Some(view),
            });
        }
        found.sort_by(|a, b| (&a.path, a.node).cmp(&(&b.path, b.node)));
        Ok(found)
    }

    /// Where a directory of a tree stands, by its id, and its keys: from the root down along the wraps, which open in no other place.
    pub(super) async fn path_of(&self, top: &VaultPath, root: &Held, node: NodeId) -> Result<(VaultPath, Held)> {
        let way = self.way_to(root, node).await?;
        self.down(top, root, way).await
    }

    /// Where something stands in a tree, by its id; what is locked itself has a place all the same, since its name is under its directory's keys.
    pub async fn place_of(&self, top: &VaultPath, root: &Held, node: NodeId) -> Result<VaultPath> {
        let mut way = self.way_to(root, node).await?;
        if way.is_empty() {
            return Ok(top.clone());
        }
        let step = way.remove(0);
        let (above, held) = self.down(top, root, way).await?;
        Ok(above.child(&self.name_of(&held, &step.entry)?))
    }

    /// From the thing itself up to just below the root.
    async fn way_to(&self, root: &Held, node: NodeId) -> Result<Vec<Step>> {
        let mut way = Vec::new();
        let mut at = node;
        while at != root.id {
            if way.len() >= DEPTH_MAX {
                return Err(lie("a directory stands below itself"));
            }
            let reply = self.server().stat(StatRequest { nodes: vec![at] }).await?;
            let view = reply.nodes.into_iter().find(|view| view.node.node == at);
            let view = view.ok_or_else(|| lie("the server withholds a directory of the tree"))?;
            let entry = parse(&view)?;
            if entry.child != at {
                return Err(lie("the server shows the entry of another directory than was asked for"));
            }
            at = entry.parent;
            way.push(Step { entry, own_keys: view.own_keys, locked: view.locked });
        }
        Ok(way)
    }

    async fn down(&self, top: &VaultPath, root: &Held, way: Vec<Step>) -> Result<(VaultPath, Held)> {
        let (mut path, mut held) = (top.clone(), root.clone());
        for step in way.into_iter().rev() {
            if step.locked {
                return Err(locked());
            }
            path = path.child(&self.name_of(&held, &step.entry)?);
            held = self.child_of(&held, &step.entry, step.own_keys.as_ref()).await?;
        }
        Ok((path, held))
    }

    fn name_of(&self, parent: &Held, entry: &Entry) -> Result<NodeName> {
        sealed_entry::open_name(self.deployment(), &parent.keys.list, entry).map_err(|e| sealed("a name", e))
    }

    /// Brings things back; where a name is taken meanwhile, under a free one. Returns the paths.
    pub async fn trash_restore(&self, items: &[Trashed]) -> Result<Vec<VaultPath>> {
        let mut restored = Vec::with_capacity(items.len());
        for item in items {
            restored.push(self.restore_one(item).await?);
        }
        Ok(restored)
    }

    async fn restore_one(&self, item: &Trashed) -> Result<VaultPath> {
        let mut attempts = Attempts::default();
        loop {
            match self.restore_once(item).await {
                Ok(path) => return Ok(path),
                Err(error) => attempts.again(self, error, &item.directory).await?,
            }
        }
    }

    async fn restore_once(&self, item: &Trashed) -> Result<VaultPath> {
        let found = self.resolve(&item.directory).await.map_err(|error| match error.kind() {
            Kind::NotFound => {
                ClientError::refused("above_in_trash", format!("`{}` is not there any more; restore it first", item.directory))
            }
            _ => error,
        })?;
        let directory = self.load_found(&found, false).await?;
        // New keys may have been made since the list was shown.
        let known = item.view.iter().filter(|view| view.node.node == item.node).cloned().collect();
        let views = match attempts_view(item, &directory.held)? {
            Some(_) => known,
            None => self.trash_entries(directory.id()).await?,
        };
        let view = views.into_iter().find(|view| view.node.node == item.node);
        let view = view.ok_or_else(|| ClientError::not_found(format!("`{}` is not in the trash any more", item.path)))?;
        let entry = parse(&view)?;
        if entry.child != item.node {
            return Err(lie("the server shows the entry of another node than the one in the trash"));
        }
        let held = self.child_of(&directory.held, &entry, view.own_keys.as_ref()).await?;
        let name = sealed_entry::open_name(self.deployment(), &directory.held.keys.list, &entry).map_err(|e| sealed("a name", e))?;
        let props =
            sealed_entry::open_props(self.deployment(), &held.keys.list, &entry, Some(&name)).map_err(|e| sealed("properties", e))?;
        let name: NodeName = if directory.by_name(&name).is_some() { free_name(&directory, &name)? } else { name };
        let boundary = if entry.has_own_keys() { Boundary::Own } else { Boundary::Inside };
        let (bytes, leaf) = self.entry_under(&directory.held, &held, &EntryProps { name: name.clone(), ..props }, boundary)?;
        let leaves = directory.leaves().chain([(held.id, leaf)]).collect();
        let head = self.author(&held.root)?.head(directory.id(), directory.held.epoch, Some(&directory.head), leaves)?;
        let (head_bytes, head) = self.sign_head(head).await?;
        self.server().restore(RestoreRequest { directory: directory.id(), head: head_bytes, entries: vec![bytes] }).await?;
        self.saw(SeenKind::Head, directory.id(), head.counter, head.record_hash())?;
        Ok(item.directory.child(&name))
    }

    /// Deletes for good what is in the trash, with everything below and all versions.
    pub async fn delete(&self, nodes: &[NodeId]) -> Result<Deleted> {
        let mut deleted = Deleted::default();
        for some in nodes.chunks(BATCH_MAX_NODES) {
            let DeleteReply { nodes, versions, stored_bytes } = self.server().delete(DeleteRequest { nodes: some.to_vec() }).await?;
            deleted.nodes += nodes;
            deleted.versions += versions;
            deleted.stored_bytes += stored_bytes;
        }
        Ok(deleted)
    }

    /// What a path holds, counted before it is deleted for good.
    pub async fn count_below(&self, found: &Found) -> Result<u64> {
        let mut count = 1;
        let mut stack = if found.is_directory() { vec![found.held.clone()] } else { Vec::new() };
        while !stack.is_empty() {
            let from = stack.len().saturating_sub(super::load::LIST_DIRECTORIES);
            for directory in self.load_all(stack.split_off(from), false).await? {
                count += directory.len() as u64;
                for member in &directory.parts().directories {
                    stack.push(self.descend(&directory, member).await?);
                }
            }
        }
        Ok(count)
    }
}

/// The entry as it was listed, if it is still under the directory's present keys.
fn attempts_view(item: &Trashed, directory: &Held) -> Result<Option<Entry>> {
    let entry = item.view.as_ref().map(parse).transpose()?;
    Ok(entry.filter(|entry| entry.parent_epoch == directory.epoch))
}

fn parse(view: &EntryView) -> Result<Entry> {
    Entry::parse(&view.entry.0).map_err(|e| lie("an entry cannot be read").because(e))
}
