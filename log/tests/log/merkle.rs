use std::convert::Infallible;

use ct_merkle::mem_backed_tree::MemoryBackedTree;
use data_encoding::HEXLOWER;
use proptest::prelude::*;
use sha2::Sha256;
use ticrypt_log::merkle::{
    Frontier, Hash, HashReader, consistency_proof, empty_root, inclusion_proof, leaf_hash, root, subtree_root, verify_consistency,
    verify_inclusion,
};

/// All leaves in memory; complete subtrees are recomputed at every question.
struct Leaves(Vec<Hash>);

impl HashReader for Leaves {
    type Error = Infallible;

    fn hash(&self, level: u8, index: u64) -> Result<Hash, Infallible> {
        let start = (index << level) as usize;
        Ok(subtree_root(&self.0[start..start + (1 << level)]).unwrap())
    }
}

fn leaves(count: usize) -> (Leaves, MemoryBackedTree<Sha256, Vec<u8>>) {
    let mut oracle = MemoryBackedTree::new();
    let mut ours = Vec::new();
    for number in 0..count as u64 {
        let entry = super::support::entry(number);
        ours.push(leaf_hash(&entry));
        oracle.push(entry);
    }
    (Leaves(ours), oracle)
}

fn flat(proof: &[Hash]) -> Vec<u8> {
    proof.iter().flat_map(|hash| hash.as_bytes().to_vec()).collect()
}

/// The roots of the reference tree that the Certificate Transparency implementations share.
#[test]
fn reference_roots() {
    let inputs = ["", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"];
    let roots = [
        "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
        "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
        "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
        "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
        "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
        "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
    ];
    let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    assert_eq!(HEXLOWER.encode(empty_root().as_bytes()), empty);
    let mut frontier = Frontier::default();
    for (input, expected) in inputs.iter().zip(roots) {
        frontier.push(leaf_hash(&HEXLOWER.decode(input.as_bytes()).unwrap()));
        assert_eq!(HEXLOWER.encode(frontier.root().as_bytes()), expected);
    }
}

#[test]
fn long_entries_hash_like_short_ones() {
    for length in [0, 1, 1022, 1023, 1024, 1025, 65535] {
        let entry = vec![0xA5; length];
        let mut oracle = MemoryBackedTree::<Sha256, Vec<u8>>::new();
        oracle.push(entry.clone());
        assert_eq!(leaf_hash(&entry).as_bytes()[..], oracle.root().as_bytes()[..]);
    }
}

#[test]
fn all_small_trees_agree_with_the_oracle() {
    for size in 1..=40 {
        let (ours, oracle) = leaves(size);
        let head = root(size as u64, &ours).unwrap();
        assert_eq!(head.as_bytes()[..], oracle.root().as_bytes()[..]);
        for index in 0..size {
            let proof = inclusion_proof(index as u64, size as u64, &ours).unwrap();
            assert_eq!(flat(&proof), oracle.prove_inclusion(index).as_bytes());
            verify_inclusion(index as u64, size as u64, &ours.0[index], &proof, &head).unwrap();
            for wrong in 0..size {
                let other = verify_inclusion(wrong as u64, size as u64, &ours.0[index], &proof, &head);
                assert_eq!(other.is_ok(), wrong == index);
            }
        }
        for old in 1..size {
            let proof = consistency_proof(old as u64, size as u64, &ours).unwrap();
            assert_eq!(flat(&proof), oracle.prove_consistency(size - old).as_bytes());
            let old_root = root(old as u64, &ours).unwrap();
            for claimed in 0..=size + 1 {
                let held = verify_consistency(claimed as u64, size as u64, &proof, &old_root, &head);
                assert_eq!(held.is_ok(), claimed == old, "{claimed} of {old} in {size}");
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn larger_trees_agree_with_the_oracle(size in 2_usize..1500, place in 0.0..1.0_f64) {
        let (ours, oracle) = leaves(size);
        let mut frontier = Frontier::default();
        ours.0.iter().for_each(|leaf| frontier.push(*leaf));
        let (head, oracle_root) = (frontier.root(), oracle.root());
        prop_assert_eq!(&head.as_bytes()[..], &oracle_root.as_bytes()[..]);
        let index = ((size as f64) * place) as usize;
        let proof = inclusion_proof(index as u64, size as u64, &ours).unwrap();
        prop_assert!(flat(&proof) == oracle.prove_inclusion(index).as_bytes());
        let old = index.max(1);
        let proof = consistency_proof(old as u64, size as u64, &ours).unwrap();
        prop_assert!(flat(&proof) == oracle.prove_consistency(size - old).as_bytes());
    }

    #[test]
    fn a_changed_proof_fails(size in 2_u64..300, place in 0.0..1.0_f64, bit in 0_usize..256) {
        let (ours, _) = leaves(size as usize);
        let head = root(size, &ours).unwrap();
        let index = ((size as f64) * place) as u64;
        let leaf = ours.0[index as usize];
        let proof = inclusion_proof(index, size, &ours).unwrap();
        for changed in 0..proof.len() {
            let mut proof = proof.clone();
            let mut bytes = *proof[changed].as_bytes();
            bytes[bit / 8] ^= 1 << (bit % 8);
            proof[changed] = Hash::new(bytes);
            prop_assert!(verify_inclusion(index, size, &leaf, &proof, &head).is_err());
        }
        let mut longer = proof.clone();
        longer.push(leaf);
        prop_assert!(verify_inclusion(index, size, &leaf, &longer, &head).is_err());
        prop_assert!(verify_inclusion(index, size, &leaf, &proof[..proof.len() - 1], &head).is_err());
        let old = index.max(1);
        let old_root = root(old, &ours).unwrap();
        let proof = consistency_proof(old, size, &ours).unwrap();
        for changed in 0..proof.len() {
            let mut proof = proof.clone();
            let mut bytes = *proof[changed].as_bytes();
            bytes[bit / 8] ^= 1 << (bit % 8);
            proof[changed] = Hash::new(bytes);
            prop_assert!(verify_consistency(old, size, &proof, &old_root, &head).is_err());
        }
    }

    /// Whatever is sent as a proof, verifying ends with an answer.
    #[test]
    fn foreign_proofs_do_no_harm(index: u64, size: u64, hashes in proptest::collection::vec(any::<[u8; 32]>(), 0..70)) {
        let proof: Vec<Hash> = hashes.into_iter().map(Hash::new).collect();
        let root = leaf_hash(b"root");
        prop_assert!(verify_inclusion(index, size, &leaf_hash(b"x"), &proof, &root).is_err());
        prop_assert!(index == size || verify_consistency(index, size, &proof, &leaf_hash(b"x"), &root).is_err());
    }
}
