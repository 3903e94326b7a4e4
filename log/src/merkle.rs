//! The RFC 6962 Merkle tree: leaf and node hashes, roots, and the two proofs.
//!
//! ```text
//!              root                 level 3
//!         ┌─────┴─────┐
//!       (2,0)       (2,1)           level 2      (level, index) names the
//!      ┌──┴──┐     ┌──┴──┐                       *complete* subtree over
//!    (1,0) (1,1) (1,2) (1,3)        level 1      leaves index·2^level ..
//!    ┌┴┐   ┌┴┐   ┌┴┐   ┌┴┐                       (index+1)·2^level
//!    0 1   2 3   4 5   6 7          level 0
//! ```
//!
//! Proofs are made from a [`HashReader`], which knows only complete subtrees: those never change
//! once they exist, so any store of tiles can answer. Verifying needs no store at all.
//! Sources: RFC 6962 section 2.1; the verifying loops follow RFC 9162 sections 2.1.3.2 and 2.1.4.2.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::convert::Infallible;
use std::fmt;

use aws_lc_rs::digest::{self, SHA256};
use base64ct::{Base64, Encoding};

/// Length of every hash in the tree, in bytes.
pub const HASH_BYTES: usize = 32;

/// Longest proof a tree of 64-bit size can need, in hashes.
pub const MAX_PROOF_HASHES: usize = 64;

/// Entries up to this long are hashed from one stack buffer, which halves the cost of small ones.
const STACK_ENTRY_BYTES: usize = 1023;

/// A SHA-256 hash of a leaf, a node or a whole tree.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Hash([u8; HASH_BYTES]);

impl Hash {
    /// Wraps 32 bytes.
    #[must_use]
    pub const fn new(bytes: [u8; HASH_BYTES]) -> Self {
        Self(bytes)
    }

    /// The 32 bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; HASH_BYTES] {
        &self.0
    }

    /// Takes exactly 32 bytes, else `None`.
    #[must_use]
    pub fn from_slice(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }

    /// Standard base64 with padding, as checkpoints and witness requests write it.
    #[must_use]
    pub fn to_base64(&self) -> String {
        Base64::encode_string(&self.0)
    }

    /// The only spelling accepted is the one [`Hash::to_base64`] gives.
    #[must_use]
    pub fn parse_base64(text: &str) -> Option<Self> {
        let mut bytes = [0; HASH_BYTES];
        let decoded = Base64::decode(text, &mut bytes).ok()?;
        (decoded.len() == HASH_BYTES).then_some(Self(bytes))
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.to_base64())
    }
}

impl fmt::Display for Hash {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.to_base64())
    }
}

/// A proof did not lead from what is claimed to what is trusted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ProofError {
    /// The sizes or the index make no sense together.
    #[error("proof is for index or size {asked}, which a tree of {size} leaves does not have")]
    OutOfRange {
        /// What was asked for.
        asked: u64,
        /// The tree it was asked of.
        size: u64,
    },
    /// More or fewer hashes than the tree shape calls for.
    #[error("proof has the wrong number of hashes")]
    WrongLength,
    /// The recomputed root is another one.
    #[error("proof leads to a different root hash")]
    WrongRoot,
}

/// SHA-256(0x00 ‖ entry): the hash of one log entry.
#[must_use]
pub fn leaf_hash(entry: &[u8]) -> Hash {
    if entry.len() <= STACK_ENTRY_BYTES {
        let mut buffer = [0; STACK_ENTRY_BYTES + 1];
        if let Some((_, rest)) = buffer.split_first_mut()
            && let Some(place) = rest.get_mut(..entry.len())
        {
            place.copy_from_slice(entry);
        }
        if let Some(bytes) = buffer.get(..=entry.len()) {
            return finish(&digest::digest(&SHA256, bytes));
        }
    }
    let mut context = digest::Context::new(&SHA256);
    context.update(&[0]);
    context.update(entry);
    finish(&context.finish())
}

/// SHA-256(0x01 ‖ left ‖ right): the hash of an inner node.
#[must_use]
pub fn node_hash(left: &Hash, right: &Hash) -> Hash {
    let mut bytes = [1; 1 + 2 * HASH_BYTES];
    for (place, byte) in bytes.iter_mut().skip(1).zip(left.0.iter().chain(right.0.iter())) {
        *place = *byte;
    }
    finish(&digest::digest(&SHA256, &bytes))
}

/// The root of a tree without leaves: SHA-256 of nothing.
#[must_use]
pub fn empty_root() -> Hash {
    finish(&digest::digest(&SHA256, &[]))
}

fn finish(digest: &digest::Digest) -> Hash {
    let mut bytes = [0; HASH_BYTES];
    bytes.copy_from_slice(digest.as_ref());
    Hash(bytes)
}

/// The root over hashes of complete subtrees of one level; `None` for no hashes.
///
/// Over the 256 hashes of a full tile this is the hash one tile level up.
#[must_use]
pub fn subtree_root(hashes: &[Hash]) -> Option<Hash> {
    match hashes {
        [] => None,
        [one] => Some(*one),
        [left, right] => Some(node_hash(left, right)),
        more => {
            let (left, right) = more.split_at_checked(more.len().next_power_of_two() / 2)?;
            Some(node_hash(&subtree_root(left)?, &subtree_root(right)?))
        }
    }
}

/// Whatever can tell the hash of a complete subtree: tiles on disk, tiles from a server, memory.
pub trait HashReader {
    /// Why a hash could not be read.
    type Error;

    /// The hash of the complete subtree over leaves `index·2^level .. (index+1)·2^level`.
    ///
    /// # Errors
    /// When the store does not have it.
    fn hash(&self, level: u8, index: u64) -> Result<Hash, Self::Error>;
}

/// Root of the first `size` leaves.
///
/// # Errors
/// Those of the reader.
pub fn root<R: HashReader>(size: u64, reader: &R) -> Result<Hash, R::Error> {
    range_root(0, size, reader)
}

/// RFC 6962 section 2.1.1: the path from leaf `index` to the root of `size` leaves.
/// Empty when the index is outside the tree (which then verifies against nothing).
///
/// # Errors
/// Those of the reader.
pub fn inclusion_proof<R: HashReader>(index: u64, size: u64, reader: &R) -> Result<Vec<Hash>, R::Error> {
    let mut proof = Vec::new();
    if index < size {
        inclusion_path(index, 0, size, reader, &mut proof)?;
    }
    Ok(proof)
}

/// RFC 6962 section 2.1.2: that the first `old` leaves of `size` leaves are the old tree.
/// Empty when the sizes are equal, when `old` is zero, or when `old` is larger.
///
/// # Errors
/// Those of the reader.
pub fn consistency_proof<R: HashReader>(old: u64, size: u64, reader: &R) -> Result<Vec<Hash>, R::Error> {
    let mut proof = Vec::new();
    if old > 0 && old < size {
        consistency_path(old, 0, size, true, reader, &mut proof)?;
    }
    Ok(proof)
}

/// The complete subtrees that `make` reads, found by running it on a reader that only writes down
/// what it was asked. Lets a caller fetch everything first and compute afterwards, without I/O
/// in the middle.
pub fn needed_hashes<T>(make: impl FnOnce(&Recorder) -> Result<T, Infallible>) -> BTreeSet<(u8, u64)> {
    let recorder = Recorder::default();
    // The recorder cannot fail, and what was computed from its placeholders is of no use.
    let Ok(_) = make(&recorder);
    recorder.asked.into_inner()
}

/// The reader behind [`needed_hashes`].
#[derive(Default)]
pub struct Recorder {
    asked: RefCell<BTreeSet<(u8, u64)>>,
}

impl HashReader for Recorder {
    type Error = Infallible;

    fn hash(&self, level: u8, index: u64) -> Result<Hash, Infallible> {
        self.asked.borrow_mut().insert((level, index));
        Ok(Hash([0; HASH_BYTES]))
    }
}

/// Checks that `leaf` is number `index` of the `size` leaves under `root`.
///
/// # Errors
/// [`ProofError`] when it is not proven.
pub fn verify_inclusion(index: u64, size: u64, leaf: &Hash, proof: &[Hash], root: &Hash) -> Result<(), ProofError> {
    if index >= size {
        return Err(ProofError::OutOfRange { asked: index, size });
    }
    let (mut node, mut last) = (index, size - 1);
    let mut hash = *leaf;
    for sibling in proof {
        if last == 0 {
            return Err(ProofError::WrongLength);
        }
        if node & 1 == 1 || node == last {
            hash = node_hash(sibling, &hash);
            while node & 1 == 0 && node != 0 {
                node >>= 1;
                last >>= 1;
            }
        } else {
            hash = node_hash(&hash, sibling);
        }
        node >>= 1;
        last >>= 1;
    }
    if last != 0 {
        return Err(ProofError::WrongLength);
    }
    if hash == *root { Ok(()) } else { Err(ProofError::WrongRoot) }
}

/// Checks that the tree of `old` leaves under `old_root` is the beginning of the tree of `size`
/// leaves under `root`.
///
/// # Errors
/// [`ProofError`] when it is not proven.
pub fn verify_consistency(old: u64, size: u64, proof: &[Hash], old_root: &Hash, root: &Hash) -> Result<(), ProofError> {
    if old > size {
        return Err(ProofError::OutOfRange { asked: old, size });
    }
    if old == size {
        return match (proof.is_empty(), old_root == root) {
            (false, _) => Err(ProofError::WrongLength),
            (true, false) => Err(ProofError::WrongRoot),
            (true, true) => Ok(()),
        };
    }
    if old == 0 {
        if !proof.is_empty() {
            return Err(ProofError::WrongLength);
        }
        return if *old_root == empty_root() { Ok(()) } else { Err(ProofError::WrongRoot) };
    }
    let (first, rest) = if old.is_power_of_two() {
        (*old_root, proof)
    } else {
        let (first, rest) = proof.split_first().ok_or(ProofError::WrongLength)?;
        (*first, rest)
    };
    let (mut node, mut last) = (old - 1, size - 1);
    while node & 1 == 1 {
        node >>= 1;
        last >>= 1;
    }
    let (mut old_hash, mut hash) = (first, first);
    for sibling in rest {
        if last == 0 {
            return Err(ProofError::WrongLength);
        }
        if node & 1 == 1 || node == last {
            old_hash = node_hash(sibling, &old_hash);
            hash = node_hash(sibling, &hash);
            while node & 1 == 0 && node != 0 {
                node >>= 1;
                last >>= 1;
            }
        } else {
            hash = node_hash(&hash, sibling);
        }
        node >>= 1;
        last >>= 1;
    }
    if last != 0 {
        return Err(ProofError::WrongLength);
    }
    if old_hash == *old_root && hash == *root { Ok(()) } else { Err(ProofError::WrongRoot) }
}

/// The right edge of a growing tree: enough to add leaves and to tell the root, nothing more.
#[derive(Debug, Clone, Default)]
pub struct Frontier {
    size: u64,
    /// Complete subtrees from largest to smallest, one per set bit of `size`.
    peaks: Vec<Hash>,
}

impl Frontier {
    /// Number of leaves so far.
    #[must_use]
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// Adds one leaf by its hash.
    pub fn push(&mut self, leaf: Hash) {
        let mut hash = leaf;
        let mut bits = self.size;
        while bits & 1 == 1 {
            if let Some(left) = self.peaks.pop() {
                hash = node_hash(&left, &hash);
            }
            bits >>= 1;
        }
        self.peaks.push(hash);
        self.size += 1;
    }

    /// Root over all leaves so far.
    #[must_use]
    pub fn root(&self) -> Hash {
        let mut peaks = self.peaks.iter().rev();
        match peaks.next() {
            None => empty_root(),
            Some(smallest) => peaks.fold(*smallest, |right, left| node_hash(left, &right)),
        }
    }
}

/// Largest power of two smaller than `count` (which is at least 2).
const fn split_point(count: u64) -> u64 {
    1 << (u64::BITS - 1 - (count - 1).leading_zeros())
}

fn range_root<R: HashReader>(from: u64, to: u64, reader: &R) -> Result<Hash, R::Error> {
    let count = to - from;
    if count == 0 {
        return Ok(empty_root());
    }
    if count.is_power_of_two() {
        let level = count.trailing_zeros();
        return reader.hash(u8::try_from(level).unwrap_or(u8::MAX), from >> level);
    }
    let middle = from + split_point(count);
    Ok(node_hash(&range_root(from, middle, reader)?, &range_root(middle, to, reader)?))
}

fn inclusion_path<R: HashReader>(index: u64, from: u64, to: u64, reader: &R, proof: &mut Vec<Hash>) -> Result<(), R::Error> {
    if to - from == 1 {
        return Ok(());
    }
    let middle = from + split_point(to - from);
    if index < middle {
        inclusion_path(index, from, middle, reader, proof)?;
        proof.push(range_root(middle, to, reader)?);
    } else {
        inclusion_path(index, middle, to, reader, proof)?;
        proof.push(range_root(from, middle, reader)?);
    }
    Ok(())
}

fn consistency_path<R: HashReader>(old: u64, from: u64, to: u64, known: bool, reader: &R, proof: &mut Vec<Hash>) -> Result<(), R::Error> {
    if old == to {
        if !known {
            proof.push(range_root(from, to, reader)?);
        }
        return Ok(());
    }
    let middle = from + split_point(to - from);
    if old <= middle {
        consistency_path(old, from, middle, known, reader, proof)?;
        proof.push(range_root(middle, to, reader)?);
    } else {
        consistency_path(old, middle, to, false, reader, proof)?;
        proof.push(range_root(from, middle, reader)?);
    }
    Ok(())
}
