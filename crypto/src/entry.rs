//! Entries of directories, and the root a directory's head commits to (docs/formats.md §5 and §7).

use ticrypt_types::{NodeId, NodeKind};

use crate::record::{Record, RecordError};
use crate::trie::Trie;
use crate::{Digest, batch, record};

/// Bytes of a wrapped key: nonce, key, tag.
pub const WRAP_LEN: usize = 60;
/// What AES-256-GCM with its nonce adds to a plaintext.
pub const AEAD_OVERHEAD: usize = 28;
/// Bytes a stored name may have: padded plaintext and overhead.
pub const NAME_LENS: [usize; 4] = [32 + AEAD_OVERHEAD, 64 + AEAD_OVERHEAD, 128 + AEAD_OVERHEAD, 256 + AEAD_OVERHEAD];
/// Bytes of the longest entry properties.
pub const PROPS_MAX_LEN: usize = 512;

/// Two entries of one directory have the same child id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the directory holds {0} twice")]
pub struct DuplicateEntry(pub NodeId);

record! {
    /// A child as its parent's head commits to it: its name and its keys, for who holds the parent's.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct Entry {
        pub parent: NodeId,
        pub parent_epoch: u32,
        pub child: NodeId,
        pub kind: NodeKind,
        pub child_epoch: u32,
        pub name_tag: [u8; 32],
        pub name: Vec<u8>,
        /// Empty when the child has keys of its own.
        pub list_wrap: Vec<u8>,
        /// Empty when the child has keys of its own.
        pub tree_wrap: Vec<u8>,
        pub props: Vec<u8>,
    }
}

impl Entry {
    /// `H(0x00 ‖ entry)`.
    pub fn leaf(&self) -> Digest {
        leaf_hash(&self.to_bytes())
    }

    /// Whether the child's keys are not wrapped under the parent's (a tag boundary).
    pub fn has_own_keys(&self) -> bool {
        self.list_wrap.is_empty()
    }
}

impl Record for Entry {
    const MAX_LEN: usize = 1280;

    fn check(&self) -> Result<(), RecordError> {
        if self.parent == self.child {
            return Err(RecordError::Rule("a directory is not its own child"));
        }
        if self.parent_epoch == 0 || self.child_epoch == 0 {
            return Err(RecordError::Rule("epochs begin at 1"));
        }
        if !NAME_LENS.contains(&self.name.len()) {
            return Err(RecordError::Rule("a stored name has 60, 92, 156 or 284 bytes"));
        }
        let wraps = (self.list_wrap.len(), self.tree_wrap.len());
        if wraps != (WRAP_LEN, WRAP_LEN) && wraps != (0, 0) {
            return Err(RecordError::Rule("an entry has two wraps of 60 bytes, or none"));
        }
        if self.props.len() <= AEAD_OVERHEAD || self.props.len() > PROPS_MAX_LEN {
            return Err(RecordError::Rule("the properties of an entry have an impossible length"));
        }
        Ok(())
    }
}

/// The leaf of an entry's bytes.
pub fn leaf_hash(entry: &[u8]) -> Digest {
    batch::leaf(entry)
}

/// The root of a set of entries, given as child id and leaf.
pub fn entries_root(entries: impl IntoIterator<Item = (NodeId, Digest)>) -> Result<Digest, DuplicateEntry> {
    let set = Trie::new(entries.into_iter().map(|(id, leaf)| (id.to_bytes(), leaf)));
    set.map(|set| set.root()).map_err(|twice| DuplicateEntry(NodeId::from_random(twice.0)))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]
    use super::*;
    use proptest::prelude::*;

    fn id(seed: u128) -> NodeId {
        NodeId::from_random(seed.to_be_bytes())
    }

    /// The definition of docs/formats.md §7, word for word.
    fn by_definition(entries: &[(NodeId, Digest)], depth: usize) -> Digest {
        if entries.is_empty() {
            return Digest::ZERO;
        }
        if let [(_, leaf)] = entries {
            return *leaf;
        }
        let bit = |id: &NodeId| id.as_bytes()[depth / 8] >> (7 - depth % 8) & 1;
        let half = |b| -> Vec<_> { entries.iter().copied().filter(|(id, _)| bit(id) == b).collect() };
        batch::node(&by_definition(&half(0), depth + 1), &by_definition(&half(1), depth + 1))
    }

    proptest! {
        #[test]
        fn agrees_with_the_definition_in_any_order(
            // Few high bits, so that some ids share long prefixes.
            ids in prop::collection::btree_set((0u128..4, any::<u64>()), 0..40),
            rotate in 0usize..40,
        ) {
            let mut entries: Vec<_> =
                ids.iter().map(|(high, low)| (id(high << 126 | u128::from(*low)), Digest::of(&low.to_be_bytes()))).collect();
            entries.sort_by_key(|(id, _)| *id);
            entries.dedup_by_key(|(id, _)| *id);
            let expected = by_definition(&entries, 0);
            let middle = rotate.min(entries.len());
            entries.rotate_left(middle);
            prop_assert_eq!(entries_root(entries.iter().copied()).unwrap(), expected);
            // Dropping or altering any one entry gives another root.
            for i in 0..entries.len() {
                let mut fewer = entries.clone();
                let (removed, _) = fewer.remove(i);
                prop_assert_ne!(entries_root(fewer.iter().copied()).unwrap(), expected);
                fewer.push((removed, Digest::of(b"altered")));
                prop_assert_ne!(entries_root(fewer).unwrap(), expected);
            }
        }
    }

    #[test]
    fn neighbours_that_differ_in_the_last_bit() {
        let pair = [(id(0), Digest::of(b"a")), (id(1), Digest::of(b"b"))];
        assert_eq!(entries_root(pair).unwrap(), by_definition(&pair, 0));
    }

    #[test]
    fn the_same_child_twice_is_refused() {
        let twice = [(id(7), Digest::of(b"a")), (id(9), Digest::ZERO), (id(7), Digest::of(b"b"))];
        assert_eq!(entries_root(twice), Err(DuplicateEntry(id(7))));
    }
}
