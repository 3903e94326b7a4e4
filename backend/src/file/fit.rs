//! Whether what a client signed is true of what would then be stored.
//!
//! A signature says who; these checks say that the record describes the very change it comes with. Without them one careless or
//! hostile writer could leave a directory that no honest reader accepts any more. Pure: no store, no clock.

use ticrypt_api::node::NewContent;
use ticrypt_crypto::chunk::StoredChunk;
use ticrypt_crypto::directory::{DirectoryError, HeadPayload};
use ticrypt_crypto::manifest::{ManifestError, ManifestPayload};
use ticrypt_crypto::{Digest, Signed};
use ticrypt_policy::node::NodeFacts;
use ticrypt_policy::{Actor, Denial};
use ticrypt_types::limits::{DIRECTORY_MAX_ENTRIES, SMALL_CONTENT_MAX_BYTES};
use ticrypt_types::{NodeId, NodeKind, Timestamp, Verbs};

use super::error::FileError;
use super::records::{ReadEntry, wrap};

/// The stored state a new head must follow. A new directory has counter 0 and no head.
#[derive(Clone, Copy, Debug)]
pub(crate) struct HeadBefore {
    pub(crate) directory: NodeId,
    /// The epoch the new head must be of.
    pub(crate) epoch: u32,
    pub(crate) counter: u64,
    pub(crate) hash: Option<Digest>,
}

/// A head follows the stored one and commits to exactly these entries.
pub(crate) fn head(head: &Signed<HeadPayload>, before: HeadBefore, leaves_after: Vec<(NodeId, Digest)>) -> Result<(), FileError> {
    if head.directory != before.directory {
        return Err(FileError::unfit("head_directory", "the head is of another directory; sign one for this"));
    }
    if head.counter <= before.counter {
        return Err(FileError::Stale);
    }
    if head.entry_count > DIRECTORY_MAX_ENTRIES {
        return Err(FileError::Bound("a directory holds at most 50 000 entries; put the others into another one"));
    }
    if head.counter != before.counter + 1 {
        return Err(FileError::unfit("head_counter", "the head's counter is not one more than the stored one; load the directory again"));
    }
    if head.previous != before.hash {
        return Err(FileError::unfit("head_previous", "the head names another head as the one before; load the directory again"));
    }
    if head.epoch != before.epoch {
        return Err(FileError::unfit("head_epoch", "the head is not of the directory's epoch; load the directory again"));
    }
    head.verify_leaves(leaves_after).map_err(|error| match error {
        DirectoryError::Duplicate(_) => FileError::Taken { code: "taken", why: "an entry is there already; choose a new id" },
        other => FileError::unfit("head_entries", format!("the head does not commit to what would be stored: {other}")),
    })
}

/// An entry belongs into this directory under its present keys.
pub(crate) fn entry(read: &ReadEntry, directory: NodeId, epoch: u32) -> Result<(), FileError> {
    if read.entry.parent != directory {
        return Err(FileError::unfit("entry_parent", "an entry names another directory as its parent; make it for this one"));
    }
    if read.entry.parent_epoch != epoch {
        return Err(FileError::unfit(
            "entry_epoch",
            "an entry is wrapped under other keys of the directory than its present ones; load it again",
        ));
    }
    Ok(())
}

/// What is tagged itself has keys of its own, and nothing else has: a node with keys in neither place would be one that nobody opens, and
/// one with both would be open to who holds the directory.
pub(crate) fn keys(read: &ReadEntry, are_own: bool) -> Result<(), FileError> {
    match (read.entry.has_own_keys(), are_own) {
        (true, false) => {
            Err(FileError::unfit("entry_without_keys", "the entry has no wrapped keys; wrap the node's keys under its directory's"))
        }
        (false, true) => Err(FileError::unfit(
            "entry_with_keys",
            "the node is tagged, so its keys are not wrapped under its directory's; leave them out",
        )),
        _ => Ok(()),
    }
}

/// The entry of a node that is stored already: same node, kind and keys, and these where they were.
pub(crate) fn entry_of(read: &ReadEntry, node: &NodeFacts, epoch: u32) -> Result<(), FileError> {
    keys(read, node.has_own_keys())?;
    entry_is(read, node.node, node.kind, epoch)
}

/// The same, wherever its keys are.
pub(crate) fn entry_is(read: &ReadEntry, node: NodeId, kind: NodeKind, epoch: u32) -> Result<(), FileError> {
    if read.entry.child != node {
        return Err(FileError::unfit("entry_node", "the entry is of another node; make it for this one"));
    }
    if read.entry.kind != kind {
        return Err(FileError::unfit("entry_kind", "the entry changes what the node is; a file stays a file"));
    }
    if read.entry.child_epoch != epoch {
        return Err(FileError::unfit("entry_child_epoch", "the entry wraps other keys than the node has; load it again"));
    }
    Ok(())
}

/// A manifest is of this file and version and names its predecessor by sequence and hash.
///
/// A sequence that is not the next one is not an error here: whoever lost a race is kept as a conflict. Its predecessor must then have
/// been current once, which the caller checks.
pub(crate) fn manifest(manifest: &Signed<ManifestPayload>, file: NodeId, content: &NewContent) -> Result<(), FileError> {
    if manifest.file != file {
        return Err(FileError::unfit("manifest_file", "the manifest is of another file; sign one for this"));
    }
    if manifest.version != content.version {
        return Err(FileError::unfit("manifest_version", "the manifest names another version than the content; sign one for this"));
    }
    wrap(&content.content_wrap)?;
    wrap(&content.props_key)?;
    let hashes: Vec<Digest> = content.chunk_hashes.iter().map(|hash| Digest::new(hash.0)).collect();
    manifest.verify_chunks(&hashes).map_err(|error| match error {
        ManifestError::Count { .. } | ManifestError::Root | ManifestError::NotSuccessor(_) => {
            FileError::unfit("manifest_chunks", error.to_string())
        }
    })
}

/// The manifest of a new file is its first.
pub(crate) fn first_manifest(manifest: &Signed<ManifestPayload>) -> Result<(), FileError> {
    if manifest.sequence == 1 { Ok(()) } else { Err(FileError::unfit("manifest_sequence", "the manifest of a new file has sequence 1")) }
}

/// A content that travels with its manifest is the one chunk the manifest names.
pub(crate) fn small_chunk(manifest: &Signed<ManifestPayload>, chunk: &[u8]) -> Result<(), FileError> {
    if chunk.len() > SMALL_CONTENT_MAX_BYTES {
        return Err(FileError::Bound("the content is too large to travel with its metadata; upload its chunks first"));
    }
    let bad = |error: ticrypt_crypto::chunk::ChunkError| FileError::unfit("chunk_malformed", error.to_string());
    let stored = StoredChunk::parse(chunk).map_err(bad)?;
    stored.check(0, manifest.size).map_err(bad)?;
    if stored.commitment != manifest.key_commitment.to_bytes() {
        return Err(FileError::unfit("chunk_commitment", "the chunk is under another key than the manifest says"));
    }
    if manifest.chunk_count != 1 || ticrypt_crypto::manifest::chunk_root(&[Digest::of(chunk)]) != manifest.chunk_root {
        return Err(FileError::unfit("manifest_chunks", "the chunk is not the one the manifest was signed over"));
    }
    Ok(())
}

/// The writer names one living grant with *edit* as their authority, in a group its newest head; or is the owner and names none.
pub(crate) fn authority(directory: &NodeFacts, actor: &Actor, named: Option<Digest>, now: Timestamp) -> Result<(), FileError> {
    if directory.stands_on(actor, named.as_ref().map(Digest::as_bytes), Verbs::EDIT, now) {
        Ok(())
    } else if directory.group.is_some_and(|group| group.permissions.is_some()) {
        // The group changed since it was loaded.
        Err(FileError::Stale)
    } else {
        Err(FileError::Denied(Denial::NoAuthority))
    }
}
