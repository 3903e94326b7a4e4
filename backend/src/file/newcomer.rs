//! New nodes as a request brings them: read, verified, and true within themselves. What they must fit in the store comes after.

use std::collections::{HashMap, HashSet};

use ticrypt_api::Blob;
use ticrypt_api::node::{NewContent, NewNode};
use ticrypt_crypto::directory::HeadPayload;
use ticrypt_crypto::manifest::ManifestPayload;
use ticrypt_crypto::{Digest, Signed};
use ticrypt_types::limits::BATCH_MAX_NODES;
use ticrypt_types::{NodeId, NodeKind};

use super::error::FileError;
use super::fit;
use super::quota::stored_bytes;
use super::records::{ReadEntry, Reader, entry};

/// A node that does not exist yet.
#[derive(Debug)]
pub(crate) struct Newcomer {
    pub(crate) read: ReadEntry,
    pub(crate) what: NewcomerKind,
}

#[derive(Debug)]
pub(crate) enum NewcomerKind {
    Directory { head: Signed<HeadPayload>, bytes: Blob },
    File { manifest: Signed<ManifestPayload>, content: NewContent },
}

impl Newcomer {
    pub(crate) fn node(&self) -> NodeId {
        self.read.entry.child
    }

    /// What comes along with it into the store; a content that was uploaded is there already.
    pub(crate) fn stored_bytes(&self) -> u64 {
        match &self.what {
            NewcomerKind::File { manifest, content } if content.chunk.is_some() => stored_bytes(manifest.size, 1),
            _ => 0,
        }
    }

    /// The grant its records name as their writer's authority.
    pub(crate) fn authority(&self) -> Option<Digest> {
        match &self.what {
            NewcomerKind::Directory { head, .. } => head.authority,
            NewcomerKind::File { manifest, .. } => manifest.authority,
        }
    }
}

/// Reads new nodes of one directory under its present epoch, and of new directories that stand before them in the request.
pub(crate) fn read(reader: &mut Reader<'_>, nodes: Vec<NewNode>, directory: NodeId, epoch: u32) -> Result<Vec<Newcomer>, FileError> {
    if nodes.is_empty() || nodes.len() > BATCH_MAX_NODES {
        return Err(FileError::Bound("a request creates 1 to 2000 nodes; split it"));
    }
    let mut ids = HashSet::from([directory]);
    let mut names = HashSet::with_capacity(nodes.len());
    let mut versions = HashSet::new();
    let mut newcomers = Vec::with_capacity(nodes.len());
    // Where entries may be, and under which keys; a new directory's are its first.
    let mut places = HashMap::from([(directory, epoch)]);
    for node in nodes {
        let newcomer = read_one(reader, node, &places)?;
        if let NewcomerKind::Directory { .. } = &newcomer.what {
            places.insert(newcomer.node(), 1);
        }
        if !ids.insert(newcomer.node()) {
            return Err(FileError::Bound("the request names a node twice; give each an id of its own"));
        }
        if !names.insert((newcomer.read.entry.parent, newcomer.read.entry.name_tag)) {
            return Err(FileError::Taken { code: "name_taken", why: "two new entries have the same name; choose another" });
        }
        if let NewcomerKind::File { content, .. } = &newcomer.what
            && !versions.insert(content.version)
        {
            return Err(FileError::Bound("the request names a version twice; give each an id of its own"));
        }
        newcomers.push(newcomer);
    }
    first_heads(&newcomers)?;
    Ok(newcomers)
}

/// The first head of each new directory commits to the entries that come with it.
fn first_heads(newcomers: &[Newcomer]) -> Result<(), FileError> {
    let mut leaves: HashMap<NodeId, Vec<_>> = HashMap::new();
    for Newcomer { read, .. } in newcomers {
        leaves.entry(read.entry.parent).or_default().push((read.entry.child, read.leaf));
    }
    for newcomer in newcomers {
        if let NewcomerKind::Directory { head, .. } = &newcomer.what {
            let directory = newcomer.node();
            let before = fit::HeadBefore { directory, epoch: 1, counter: 0, hash: None };
            fit::head(head, before, leaves.remove(&directory).unwrap_or_default())?;
        }
    }
    Ok(())
}

fn read_one(reader: &mut Reader<'_>, node: NewNode, places: &HashMap<NodeId, u32>) -> Result<Newcomer, FileError> {
    let read = entry(node.entry)?;
    let epoch = places.get(&read.entry.parent).copied().ok_or_else(|| {
        FileError::unfit("entry_parent", "an entry is in none of the request's directories; make it for one, and send its directory first")
    })?;
    fit::entry(&read, read.entry.parent, epoch)?;
    // A new node has the tags of its place, and none of its own yet.
    fit::keys(&read, false)?;
    if read.entry.child_epoch != 1 {
        return Err(FileError::unfit("entry_child_epoch", "a new node's keys are its first; begin at epoch 1"));
    }
    let child = read.entry.child;
    let what = match (read.entry.kind, node.head, node.content) {
        (NodeKind::Directory, Some(bytes), None) => NewcomerKind::Directory { head: reader.head(&bytes)?, bytes },
        (NodeKind::File, None, Some(content)) => {
            let manifest = reader.manifest(&content.manifest)?;
            fit::manifest(&manifest, child, &content)?;
            fit::first_manifest(&manifest)?;
            if let Some(Blob(chunk)) = &content.chunk {
                fit::small_chunk(&manifest, chunk)?;
            }
            NewcomerKind::File { manifest, content }
        }
        _ => return Err(FileError::Bound("a new directory comes with its first head, a new file with its content")),
    };
    Ok(Newcomer { read, what })
}
