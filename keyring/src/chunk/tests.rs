//! Chunks open in their own place of their own version, and the set of them is what was signed.

#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use proptest::prelude::*;
use ticrypt_crypto::manifest::chunk_root;

use super::*;
use crate::random::SystemRandom;
use crate::random::tests::{Broken, Seeded};

/// Plaintext bytes of a full chunk in these tests; the true size has a test of its own.
const SIZE: usize = 64;

struct Version {
    sealer: ChunkSealer,
    opener: ChunkOpener,
}

fn version(content: &ContentKey, file: u8, id: u8, size: usize) -> Version {
    let key = || ChunkKey::new(content, NodeId::from_random([file; 16]), VersionId::from_random([id; 16]), size).unwrap();
    Version { sealer: ChunkSealer(key()), opener: ChunkOpener(key()) }
}

impl Version {
    fn seal(&self, random: &dyn Random, plaintext: &[u8]) -> Vec<Vec<u8>> {
        let size = self.sealer.0.size;
        let count = plaintext.len().div_ceil(size).max(1);
        let pieces = (0..count).map(|i| &plaintext[i * size..plaintext.len().min((i + 1) * size)]);
        let seal = |(number, piece): (usize, &[u8])| {
            let mut buffer = buffer_for(piece);
            self.sealer.seal_in_place(random, number as u64, number + 1 == count, &mut buffer).unwrap();
            buffer
        };
        pieces.enumerate().map(seal).collect()
    }

    /// Opens chunks in the order given, as many as there are.
    fn open(&self, chunks: &[Vec<u8>]) -> Result<Vec<u8>, ChunkOpenError> {
        let mut plaintext = Vec::new();
        for (number, chunk) in chunks.iter().enumerate() {
            let mut buffer = chunk.clone();
            plaintext.extend_from_slice(self.opener.open_in_place(number as u64, number + 1 == chunks.len(), &mut buffer)?);
        }
        Ok(plaintext)
    }
}

fn content(seed: u8) -> ContentKey {
    ContentKey::from_bytes(&[seed; 32])
}

#[test]
fn the_edges_of_sizes() {
    let random = Seeded::new("sizes");
    let v = version(&content(1), 1, 1, SIZE);
    for size in [0, 1, SIZE - 1, SIZE, SIZE + 1, 2 * SIZE, 3 * SIZE + 7] {
        let plaintext: Vec<u8> = (0..size).map(|i| i as u8).collect();
        let chunks = v.seal(&random, &plaintext);
        assert_eq!(chunks.len(), size.div_ceil(SIZE).max(1));
        assert_eq!(chunks.iter().map(Vec::len).sum::<usize>(), size + 64 * chunks.len());
        assert_eq!(v.open(&chunks).unwrap(), plaintext, "{size}");
    }
}

#[test]
fn the_true_size_once() {
    let random = SystemRandom::new();
    let full = CHUNK_SIZE as usize;
    let v = version(&content(1), 1, 1, full);
    let plaintext: Vec<u8> = (0..full + 1).map(|i| (i / 251) as u8).collect();
    let chunks = v.seal(&random, &plaintext);
    assert_eq!(chunks.iter().map(Vec::len).collect::<Vec<_>>(), [full + 64, 65]);
    for (number, chunk) in chunks.iter().enumerate() {
        assert_eq!(StoredChunk::parse(chunk).unwrap().check(number as u64, plaintext.len() as u64), Ok(()));
    }
    assert_eq!(v.open(&chunks).unwrap(), plaintext);
    let public = ChunkSealer::new(&content(1), NodeId::from_random([1; 16]), VersionId::from_random([1; 16])).unwrap();
    let mut short = buffer_for(&plaintext[..full - 1]);
    assert!(matches!(public.seal_in_place(&random, 0, false, &mut short), Err(ChunkSealError::Length)));
    let mut long = buffer_for(&plaintext);
    assert!(matches!(public.seal_in_place(&random, 0, true, &mut long), Err(ChunkSealError::Length)));
    public.seal_in_place(&random, 1, true, &mut short).unwrap();
    let opener = ChunkOpener::new(&content(1), NodeId::from_random([1; 16]), VersionId::from_random([1; 16])).unwrap();
    assert_eq!(opener.open_in_place(1, true, &mut short).unwrap(), &plaintext[..full - 1]);
}

#[test]
fn a_chunk_is_of_one_file_version_key_number_and_end() {
    let random = Seeded::new("places");
    let v = version(&content(1), 1, 1, SIZE);
    let chunks = v.seal(&random, &[7; 2 * SIZE]);
    let open = |v: &Version, number: u64, last: bool, chunk: &[u8]| {
        v.opener.open_in_place(number, last, &mut chunk.to_vec()).map(|_| ()).unwrap_err()
    };
    assert_eq!(open(&v, 1, false, &chunks[0]), ChunkOpenError::NotAuthentic);
    assert_eq!(open(&v, 0, true, &chunks[0]), ChunkOpenError::Form(ChunkError::Last));
    assert_eq!(open(&version(&content(1), 2, 1, SIZE), 0, false, &chunks[0]), ChunkOpenError::NotAuthentic);
    assert_eq!(open(&version(&content(1), 1, 2, SIZE), 0, false, &chunks[0]), ChunkOpenError::NotAuthentic);
    assert_eq!(open(&version(&content(2), 1, 1, SIZE), 0, false, &chunks[0]), ChunkOpenError::Form(ChunkError::Commitment));
    // The flag is authenticated too: a header that lies does not help.
    let mut lies = chunks[0].clone();
    lies[3] = 1;
    assert_eq!(open(&v, 0, true, &lies), ChunkOpenError::NotAuthentic);
    let mut truncated = chunks[1].clone();
    truncated.remove(60);
    assert_eq!(open(&v, 1, true, &truncated), ChunkOpenError::NotAuthentic);
    assert_eq!(open(&v, 0, false, &chunks[0][..100]), ChunkOpenError::Length);
}

#[test]
fn a_failure_leaves_no_plaintext_and_needs_randomness_to_seal() {
    let v = version(&content(1), 1, 1, SIZE);
    let mut chunk = v.seal(&Seeded::new("wipe"), b"the secret text").remove(0);
    *chunk.last_mut().unwrap() ^= 1;
    assert_eq!(v.opener.open_in_place(0, true, &mut chunk), Err(ChunkOpenError::NotAuthentic));
    assert!(chunk[48..63].iter().all(|byte| *byte == 0));
    assert!(matches!(v.sealer.seal_in_place(&Broken, 0, true, &mut [0; 64]), Err(ChunkSealError::Random(_))));
    assert!(matches!(v.sealer.seal_in_place(&Broken, 0, true, &mut [0; 63]), Err(ChunkSealError::Buffer)));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn round_trip_and_any_changed_bit_is_refused(
        plaintext in prop::collection::vec(any::<u8>(), 0..4 * SIZE),
        which in any::<prop::sample::Index>(),
        at in any::<prop::sample::Index>(),
        bit in 0u8..8,
    ) {
        let v = version(&content(3), 3, 3, SIZE);
        let mut chunks = v.seal(&Seeded::new("property"), &plaintext);
        prop_assert_eq!(v.open(&chunks).unwrap(), plaintext);
        let count = chunks.len();
        let chunk = &mut chunks[which.index(count)];
        let at = at.index(chunk.len());
        chunk[at] ^= 1 << bit;
        prop_assert!(v.open(&chunks).is_err());
    }

    #[test]
    fn swap_drop_repeat_reorder_and_splice_are_refused(count in 2usize..6, a in any::<prop::sample::Index>(), b in any::<prop::sample::Index>()) {
        let random = Seeded::new("splice");
        let plaintext = vec![5; count * SIZE];
        // Two attempts to upload the same content: other version, other key. And one more under the same key.
        let first = version(&content(1), 1, 1, SIZE);
        let second = version(&content(2), 1, 2, SIZE);
        let (one, two, again) = (first.seal(&random, &plaintext), second.seal(&random, &plaintext), first.seal(&random, &plaintext));
        let signed = chunk_root(&one.iter().map(|c| Digest::of(c)).collect::<Vec<_>>());
        let root = |chunks: &[Vec<u8>]| chunk_root(&chunks.iter().map(|c| Digest::of(c)).collect::<Vec<_>>());
        let (a, b) = (a.index(count), b.index(count));

        let mut spliced = one.clone();
        spliced[a] = two[a].clone();
        prop_assert!(first.open(&spliced).is_err());
        prop_assert_ne!(root(&spliced), signed);

        // A retry of the same attempt opens, and is caught by the signed root.
        let mut retried = one.clone();
        retried[a] = again[a].clone();
        prop_assert!(first.open(&retried).is_ok());
        prop_assert_ne!(root(&retried), signed);

        if a != b {
            let mut swapped = one.clone();
            swapped.swap(a, b);
            prop_assert!(first.open(&swapped).is_err());
            prop_assert_ne!(root(&swapped), signed);
            let mut repeated = one.clone();
            repeated[a] = one[b].clone();
            prop_assert!(first.open(&repeated).is_err());
        }
        let mut dropped = one.clone();
        dropped.remove(a);
        prop_assert!(first.open(&dropped).is_err());
        prop_assert_ne!(root(&dropped), signed);
        prop_assert!(first.open(&one[..count - 1]).is_err());
    }
}
