//! Roots of sets whose members have random ids: a directory's entries, a project's members (docs/formats.md §7).
//!
//! ```text
//!                root                  a binary trie over the bits of the ids, the most significant first:
//!              ┌──┴──┐                 of nothing the hash is zeros, of one leaf the leaf itself,
//!             ·       id 1…            of several H(0x01 ‖ those with bit 0 ‖ those with bit 1)
//!          ┌──┴──┐
//!        id 00…  id 01…                the way to a leaf, proven by the hashes beside it
//! ```
//!
//! So a root depends on the set alone: no order to agree on, and one member's change touches only the hashes on its way up.

use crate::{Digest, batch};

/// What a leaf is found by.
pub type Key = [u8; 16];

type Leaf = (Key, Digest);

/// More than this stands beside no leaf: ids differ in one of their bits.
pub const PROOF_MAX: usize = 128;

/// Two leaves have the same id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Duplicate(pub Key);

/// A set, from which its root and the proof of each leaf follow.
#[derive(Clone, Debug)]
pub struct Trie(Vec<Leaf>);

impl Trie {
    pub fn new(leaves: impl IntoIterator<Item = (Key, Digest)>) -> Result<Self, Duplicate> {
        let mut leaves: Vec<_> = leaves.into_iter().collect();
        leaves.sort_unstable_by_key(|(id, _)| *id);
        for pair in leaves.windows(2) {
            if let [(first, _), (second, _)] = pair
                && first == second
            {
                return Err(Duplicate(*first));
            }
        }
        Ok(Self(leaves))
    }

    pub fn root(&self) -> Digest {
        subtree(&self.0, 0)
    }

    /// The hashes beside the way to a leaf, from the root down; `None` for one that is not there.
    pub fn proof(&self, id: &Key) -> Option<Vec<Digest>> {
        let (mut among, mut beside) = (self.0.as_slice(), Vec::new());
        while among.len() > 1 {
            let depth = u32::try_from(beside.len()).ok()?;
            let (zeros, ones) = split(among, depth);
            let (on, off) = if bit(id, depth) { (ones, zeros) } else { (zeros, ones) };
            beside.push(subtree(off, depth + 1));
            among = on;
        }
        among.first().is_some_and(|(found, _)| found == id).then_some(beside)
    }
}

/// The root of the sets that hold this leaf with these hashes beside its way; too many of them make no root.
pub fn root_by(id: &Key, leaf: Digest, proof: &[Digest]) -> Option<Digest> {
    if proof.len() > PROOF_MAX {
        return None;
    }
    let up = |below: Digest, (depth, beside): (u32, &Digest)| {
        if bit(id, depth) { batch::node(beside, &below) } else { batch::node(&below, beside) }
    };
    Some((0..).zip(proof).collect::<Vec<_>>().into_iter().rev().fold(leaf, up))
}

/// The root of sorted leaves whose ids agree in the first `depth` bits.
fn subtree(leaves: &[Leaf], depth: u32) -> Digest {
    match leaves {
        [] => Digest::ZERO,
        [(_, leaf)] => *leaf,
        several => {
            let (zeros, ones) = split(several, depth);
            batch::node(&subtree(zeros, depth + 1), &subtree(ones, depth + 1))
        }
    }
}

fn split(leaves: &[Leaf], depth: u32) -> (&[Leaf], &[Leaf]) {
    leaves.split_at(leaves.partition_point(|(id, _)| !bit(id, depth)))
}

/// Bit `depth` of an id, most significant first.
fn bit(id: &Key, depth: u32) -> bool {
    u128::from_be_bytes(*id).checked_shl(depth).unwrap_or(0) >> 127 == 1
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]
    use super::*;
    use proptest::prelude::*;

    fn key(n: u128) -> Key {
        n.to_be_bytes()
    }

    fn trie(leaves: &[(Key, Digest)]) -> Trie {
        Trie::new(leaves.iter().copied()).unwrap()
    }

    proptest! {
        #[test]
        fn each_leaf_is_proven_and_no_other(ids in proptest::collection::btree_set(0u128..1 << 20, 1..12), spread in 0u32..108) {
            // Close together or far apart.
            let leaves: Vec<(Key, Digest)> = ids.iter().map(|n| (key(n << spread), Digest::of(&n.to_be_bytes()))).collect();
            let set = trie(&leaves);
            for (id, leaf) in &leaves {
                let proof = set.proof(id).unwrap();
                prop_assert_eq!(root_by(id, *leaf, &proof), Some(set.root()));
                prop_assert_ne!(root_by(id, Digest::of(b"another"), &proof), Some(set.root()));
                for at in 0..proof.len() {
                    let mut other = proof.clone();
                    other[at] = Digest::of(b"another");
                    prop_assert_ne!(root_by(id, *leaf, &other), Some(set.root()));
                }
            }
            let absent = key((1 << 127) | 1);
            prop_assert_eq!(set.proof(&absent), None);
        }
    }

    #[test]
    fn the_longest_proof_and_a_longer_one() {
        let pair = [(key(0), Digest::of(b"a")), (key(1), Digest::of(b"b"))];
        let set = trie(&pair);
        let proof = set.proof(&key(1)).unwrap();
        assert_eq!((proof.len(), root_by(&key(1), pair[1].1, &proof)), (PROOF_MAX, Some(set.root())));
        assert_eq!(root_by(&key(1), pair[1].1, &[&proof[..], &[Digest::ZERO]].concat()), None);
    }

    #[test]
    fn of_one_of_none_and_of_one_twice() {
        let one = [(key(7), Digest::of(b"a"))];
        assert_eq!((trie(&one).root(), trie(&one).proof(&key(7))), (one[0].1, Some(vec![])));
        assert_eq!((trie(&[]).root(), trie(&[]).proof(&key(7))), (Digest::ZERO, None));
        assert_eq!(Trie::new([one[0], (key(9), Digest::ZERO), one[0]]).unwrap_err(), Duplicate(key(7)));
    }
}
