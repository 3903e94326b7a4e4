//! Whether a request covers all that stands. Pure: what is stored has been read before.

use std::collections::{BTreeMap, BTreeSet};

use ticrypt_api::node::{RekeyRequest, RekeyedNode};
use ticrypt_api::{Blob, Hash};
use ticrypt_crypto::Digest;
use ticrypt_policy::node::{NodeFacts, Trashed};
use ticrypt_store::node::{Entry, EntryNew, HeadNew, NewKeys};
use ticrypt_types::{NodeId, NodeKind, VersionId};

use super::standing::{NodeStanding, Standing};
use crate::file::error::FileError;
use crate::file::place::{entry_new, epoch, head_new};
use crate::file::records::{ReadEntry, Reader, entry, wrap};
use crate::file::{Who, fit};

/// The nodes' places in the directory that holds them.
pub(super) struct Placed {
    /// In the order of the request; a root has none.
    pub(super) entries: Vec<Option<EntryNew>>,
    pub(super) head: Option<HeadNew>,
}

/// The nodes' entries under their directory, and its next head; neither for a root, no head for what is in the trash.
pub(super) fn entries(
    who: &Who,
    facts: &[NodeFacts],
    request: &RekeyRequest,
    standing: &Standing,
    reader: &mut Reader<'_>,
) -> Result<Placed, FileError> {
    let Some((parent_facts, parent)) = &standing.parent else {
        let bare = request.parent_head.is_none() && request.nodes.iter().all(|node| node.entry.is_none());
        return if bare {
            Ok(Placed { entries: vec![None; request.nodes.len()], head: None })
        } else {
            Err(FileError::unfit("rekey_root", "the root of a tree has no entry; leave it out"))
        };
    };
    let mut read: Vec<ReadEntry> = Vec::with_capacity(facts.len());
    let mut live = Vec::with_capacity(facts.len());
    for ((facts, node), stands) in facts.iter().zip(&request.nodes).zip(&standing.nodes) {
        let Some(bytes) = &node.entry else {
            return Err(FileError::unfit("rekey_entry", "a node's entry with its new wraps is missing; make it"));
        };
        let new = entry(bytes.clone())?;
        fit::entry(&new, parent.directory, parent.epoch)?;
        fit::keys(&new, stands.are_own)?;
        fit::entry_is(&new, facts.node, facts.kind, node.epoch)?;
        if facts.trashed != Trashed::Itself {
            live.push(facts.node);
        }
        read.push(new);
    }
    let head = match (&request.parent_head, live.is_empty()) {
        (None, true) => None,
        (Some(bytes), false) => {
            let head = reader.head(bytes)?;
            let among: BTreeSet<NodeId> = live.iter().copied().collect();
            let new = read.iter().filter(|read| among.contains(&read.entry.child));
            fit::head(&head, parent.before(), parent.leaves_with(&live, new))?;
            fit::authority(parent_facts, &who.actor, head.authority, who.now)?;
            Some(head_new(&head, bytes.clone()))
        }
        _ => {
            return Err(FileError::unfit(
                "rekey_parent_head",
                "the directory's next head comes with what is not in the trash, and only with that",
            ));
        }
    };
    Ok(Placed { entries: read.into_iter().map(|read| Some(entry_new(read))).collect(), head })
}

/// All that was wrapped under the node's old keys; of a directory also its new counter.
pub(super) fn contents(
    reader: &mut Reader<'_>,
    who: &Who,
    facts: &NodeFacts,
    node: RekeyedNode,
    standing: &NodeStanding,
) -> Result<(NewKeys, Option<u64>), FileError> {
    match facts.kind {
        NodeKind::Directory => new_directory(reader, who, facts, &node, standing),
        NodeKind::File if node.head.is_some() || !node.entries.is_empty() => {
            Err(FileError::unfit("rekey_kind", "a file has no entries and no head; leave them out"))
        }
        NodeKind::File => Ok((new_file(node.content_wraps, node.props_keys, standing)?, None)),
    }
}

/// Every entry under the new keys, and the head over those that are not in the trash.
fn new_directory(
    reader: &mut Reader<'_>,
    who: &Who,
    facts: &NodeFacts,
    request: &RekeyedNode,
    standing: &NodeStanding,
) -> Result<(NewKeys, Option<u64>), FileError> {
    if !request.content_wraps.is_empty() || !request.props_keys.is_empty() {
        return Err(FileError::unfit("rekey_kind", "a directory has no contents of its own; leave them out"));
    }
    let bytes = request
        .head
        .as_ref()
        .ok_or_else(|| FileError::unfit("rekey_head", "the directory's head under its new keys is missing; sign it"))?;
    let place = standing.place.as_ref().ok_or(FileError::Corrupt("a directory without a head"))?;
    let head = reader.head(bytes)?;
    if head.counter <= place.counter {
        return Err(FileError::Stale);
    }
    let mut children: BTreeMap<NodeId, &Entry> = standing.children.iter().map(|child| (child.node.id, child)).collect();
    let mut entries: Vec<ReadEntry> = Vec::with_capacity(request.entries.len());
    let mut live: Vec<(NodeId, Digest)> = Vec::with_capacity(request.entries.len());
    for bytes in &request.entries {
        let read = entry(bytes.clone())?;
        let child = children.remove(&read.entry.child);
        let child =
            child.ok_or_else(|| FileError::unfit("rekey_entries", "an entry is of no node in the directory, or twice; load it again"))?;
        fit::entry(&read, facts.node, request.epoch)?;
        fit::keys(&read, child.node.tagged)?;
        fit::entry_is(&read, child.node.id, child.node.kind, epoch(child.node.epoch)?)?;
        if child.node.trashed.is_none() {
            live.push((read.entry.child, read.leaf));
        }
        entries.push(read);
    }
    if !children.is_empty() {
        return Err(FileError::unfit("rekey_entries", "an entry of the directory is missing, or one of its trash; wrap every one anew"));
    }
    fit::head(&head, fit::HeadBefore { epoch: request.epoch, ..place.before() }, live)?;
    fit::authority(facts, &who.actor, head.authority, who.now)?;
    let keys = NewKeys::Directory { head: head_new(&head, bytes.clone()), entries: entries.into_iter().map(entry_new).collect() };
    Ok((keys, Some(head.counter)))
}

/// Every version's content key and every manifest's property key under the new keys.
fn new_file(contents: Vec<(VersionId, Blob)>, props_keys: Vec<(Hash, Blob)>, standing: &NodeStanding) -> Result<NewKeys, FileError> {
    let mut covered = BTreeSet::new();
    for (version, bytes) in &contents {
        wrap(bytes)?;
        covered.insert(*version);
    }
    if covered != standing.versions || covered.len() != contents.len() {
        return Err(FileError::unfit("rekey_contents", "the content keys are not those of the file's versions; wrap every one anew, once"));
    }
    let mut covered = BTreeSet::new();
    for (Hash(hash), bytes) in &props_keys {
        wrap(bytes)?;
        covered.insert(*hash);
    }
    if covered != standing.manifests || covered.len() != props_keys.len() {
        return Err(FileError::unfit("rekey_props", "the property keys are not those of the file's manifests; wrap every one anew, once"));
    }
    Ok(NewKeys::File {
        contents: contents.into_iter().map(|(version, Blob(wrap))| (version, wrap)).collect(),
        props_keys: props_keys.into_iter().map(|(Hash(hash), Blob(wrap))| (hash, wrap)).collect(),
    })
}
