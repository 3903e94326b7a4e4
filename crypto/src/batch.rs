//! Merkle trees of RFC 6962 §2.1: one signature over many records, and the root of a version's chunks.
//!
//! A leaf is `H(0x00 ‖ record)`, a node `H(0x01 ‖ left ‖ right)`; an odd node at the end of a level is carried up unchanged, which
//! gives the same tree as the RFC's recursive definition.

use crate::Digest;

/// `H(0x00 ‖ record)`.
pub fn leaf(record: &[u8]) -> Digest {
    Digest::of_parts(&[&[0], record])
}

/// `H(0x01 ‖ left ‖ right)`.
pub fn node(left: &Digest, right: &Digest) -> Digest {
    Digest::of_parts(&[&[1], left.as_bytes(), right.as_bytes()])
}

/// All levels of a tree, for a batch that needs the path of every leaf.
#[derive(Clone, Debug)]
pub struct Tree {
    /// Leaves first, the root alone in the last; no level at all for no leaves.
    levels: Vec<Vec<Digest>>,
}

impl Tree {
    pub fn new(leaves: Vec<Digest>) -> Self {
        let mut levels = vec![leaves];
        while let Some(below) = levels.last()
            && below.len() > 1
        {
            levels.push(level_above(below));
        }
        Self { levels }
    }

    /// The hash of the whole; of the empty string for no leaves, as RFC 6962 says.
    pub fn root(&self) -> Digest {
        self.levels.last().and_then(|level| level.first()).copied().unwrap_or_else(|| Digest::of(&[]))
    }

    /// The hashes beside the way from a leaf to the root, lowest first; `None` for a leaf that is not there.
    pub fn path(&self, index: usize) -> Option<Vec<Digest>> {
        self.levels.first()?.get(index)?;
        let beside = self.levels.iter().enumerate().filter_map(|(height, level)| level.get((index >> height) ^ 1));
        Some(beside.copied().collect())
    }
}

fn level_above(below: &[Digest]) -> Vec<Digest> {
    below
        .chunks(2)
        .filter_map(|pair| match pair {
            [left, right] => Some(node(left, right)),
            [odd] => Some(*odd),
            _ => None,
        })
        .collect()
}

/// The root of some leaves.
pub fn root(leaves: &[Digest]) -> Digest {
    if leaves.is_empty() {
        return Digest::of(&[]);
    }
    let mut level = leaves.to_vec();
    while level.len() > 1 {
        level = level_above(&level);
    }
    level.first().copied().unwrap_or(Digest::ZERO)
}

/// The path of one leaf; `None` if it is not there.
pub fn path(leaves: &[Digest], index: usize) -> Option<Vec<Digest>> {
    Tree::new(leaves.to_vec()).path(index)
}

/// On the way from a leaf to the root, on which side its neighbour is, where it has one: an odd node at the end of a level is carried up
/// without. Nothing for a leaf that is not there.
fn neighbours(index: u64, count: u64) -> impl Iterator<Item = Side> {
    let levels = std::iter::successors(Some((index, count.saturating_sub(1))), |(position, last)| Some((position >> 1, last >> 1)));
    let levels = levels.take_while(move |(_, last)| index < count && *last > 0);
    levels.filter(|(position, last)| position ^ 1 <= *last).map(|(position, _)| if position & 1 == 1 { Side::Left } else { Side::Right })
}

enum Side {
    Left,
    Right,
}

/// How many hashes the path of a leaf has; `None` for a leaf that is not there.
pub fn path_len(index: u64, count: u64) -> Option<usize> {
    (index < count).then(|| neighbours(index, count).count())
}

/// The root a leaf and its path lead to; `None` if the path has not exactly the length it must have (RFC 9162 §2.1.3.2).
pub fn root_from_path(leaf: Digest, index: u64, count: u64, path: &[Digest]) -> Option<Digest> {
    if path_len(index, count) != Some(path.len()) {
        return None;
    }
    let way = neighbours(index, count).zip(path);
    Some(way.fold(leaf, |hash, (side, beside)| match side {
        Side::Left => node(beside, &hash),
        Side::Right => node(&hash, beside),
    }))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]
    use super::*;

    /// The recursive definition of RFC 6962 §2.1, as an oracle.
    fn root_by_definition(leaves: &[Digest]) -> Digest {
        match leaves {
            [] => Digest::of(&[]),
            [one] => *one,
            many => {
                let k = 1 << (usize::BITS - 1 - (many.len() - 1).leading_zeros());
                node(&root_by_definition(&many[..k]), &root_by_definition(&many[k..]))
            }
        }
    }

    /// PATH(m, D[n]) of RFC 6962 §2.1.1, as an oracle.
    fn path_by_definition(index: usize, leaves: &[Digest]) -> Vec<Digest> {
        if leaves.len() <= 1 {
            return vec![];
        }
        let k = 1 << (usize::BITS - 1 - (leaves.len() - 1).leading_zeros());
        let (mut path, beside) = if index < k {
            (path_by_definition(index, &leaves[..k]), root_by_definition(&leaves[k..]))
        } else {
            (path_by_definition(index - k, &leaves[k..]), root_by_definition(&leaves[..k]))
        };
        path.push(beside);
        path
    }

    #[test]
    fn agrees_with_the_definition_for_every_leaf() {
        for count in 0..=70_usize {
            let leaves: Vec<_> = (0..count).map(|i| leaf(&i.to_be_bytes())).collect();
            let tree = Tree::new(leaves.clone());
            let expected = root_by_definition(&leaves);
            assert_eq!(tree.root(), expected, "{count}");
            assert_eq!(root(&leaves), expected, "{count}");
            assert_eq!(tree.path(count), None);
            for (index, hash) in leaves.iter().enumerate() {
                let path = tree.path(index).unwrap();
                assert_eq!(path, path_by_definition(index, &leaves), "{index} of {count}");
                assert_eq!(root_from_path(*hash, index as u64, count as u64, &path), Some(expected));
            }
        }
    }

    #[test]
    fn a_path_of_another_length_index_or_count_does_not_lead_to_the_root() {
        for count in 1..=17_usize {
            let leaves: Vec<_> = (0..count).map(|i| leaf(&i.to_be_bytes())).collect();
            let tree = Tree::new(leaves.clone());
            for (index, hash) in leaves.iter().enumerate() {
                let path = tree.path(index).unwrap();
                let check = |i: usize, n: usize, p: &[Digest]| root_from_path(*hash, i as u64, n as u64, p);
                let mut longer = path.clone();
                longer.push(Digest::ZERO);
                assert_eq!(check(index, count, &longer), None);
                if let [.., _] = path[..] {
                    assert_eq!(check(index, count, &path[..path.len() - 1]), None);
                }
                assert_eq!(check(count, count, &path), None);
                for other in (0..count).filter(|other| *other != index) {
                    assert_ne!(check(other, count, &path), Some(tree.root()), "{index} as {other} of {count}");
                }
            }
        }
    }
}
