//! Another implementation of the same standards reads what this one writes: crates `tlog_tiles` and
//! `signed_note`, which share no code with ours.

use std::path::{Path, PathBuf};

use signed_note::{StandardVerifier, VerifierList};
use ticrypt_log::export::export;
use tlog_tiles::{
    Checkpoint, Error, Tile, TileHashReader, TileReader, check_record, check_tree, prove_record, prove_tree, record_hash, tree_hash,
};

use super::support::{ORIGIN, entry, fill, log_signer, open, options};

/// The exported directory, as that implementation asks for tiles.
struct Directory(PathBuf);

impl TileReader for Directory {
    fn height(&self) -> u8 {
        8
    }

    fn read_tiles(&self, tiles: &[Tile]) -> Result<Vec<Vec<u8>>, Error> {
        // It writes the tile height into the path, an older habit than C2SP's.
        let path = |tile: &Tile| self.0.join(tile.path().replacen("tile/8/", "tile/", 1));
        Ok(tiles.iter().map(|tile| std::fs::read(path(tile)).unwrap()).collect())
    }

    fn save_tiles(&self, _: &[Tile], _: &[Vec<u8>]) {}
}

fn checkpoint(directory: &Path) -> Checkpoint {
    let bytes = std::fs::read(directory.join("checkpoint")).unwrap();
    let note = signed_note::Note::from_bytes(&bytes).unwrap();
    let key = StandardVerifier::new(&log_signer().verifier().to_string()).unwrap();
    let (verified, _) = note.verify(&VerifierList::new(vec![Box::new(key)])).unwrap();
    assert_eq!(verified.len(), 1);
    let checkpoint = Checkpoint::from_bytes(note.text()).unwrap();
    assert_eq!(checkpoint.origin(), ORIGIN);
    checkpoint
}

#[tokio::test]
async fn it_verifies_our_checkpoint_tiles_and_proofs() {
    let scratch = tempfile::tempdir().unwrap();
    let log = open(&scratch.path().join("log"), options());
    let mut heads = Vec::new();
    // 66 000 entries reach tile level 2.
    for (place, size) in [1, 255, 256, 257, 1000, 66_000].into_iter().enumerate() {
        fill(&log, log.durable_size()..size).await;
        log.flush().await.unwrap();
        let directory = scratch.path().join(format!("export{place}"));
        let signed = log.latest_checkpoint().unwrap();
        export(&log, &signed, &directory).unwrap();
        let head = checkpoint(&directory);
        assert_eq!(head.size(), size);
        let tiles = Directory(directory);
        let reader = TileHashReader::new(size, *head.hash(), &tiles);
        assert_eq!(tree_hash(size, &reader).unwrap(), *head.hash());
        for index in [0, size / 3, size / 2, size - 1] {
            let leaf = record_hash(&entry(index));
            let theirs = prove_record(size, index, &reader).unwrap();
            check_record(&theirs, size, *head.hash(), index, leaf).unwrap();
            // And our proof is theirs, hash by hash.
            let ours = log.inclusion_proof(index, size).unwrap();
            assert_eq!(ours.iter().map(|hash| *hash.as_bytes()).collect::<Vec<_>>(), theirs.iter().map(|hash| hash.0).collect::<Vec<_>>());
        }
        for (old, old_hash) in &heads {
            let theirs = prove_tree(size, *old, &reader).unwrap();
            check_tree(&theirs, size, *head.hash(), *old, *old_hash).unwrap();
            let ours = log.consistency_proof(*old, size).unwrap();
            let ours: Vec<_> = ours.iter().map(|hash| tlog_tiles::Hash(*hash.as_bytes())).collect();
            check_tree(&ours, size, *head.hash(), *old, *old_hash).unwrap();
        }
        heads.push((size, *head.hash()));
    }
    log.shutdown().await.unwrap();

    // The live directory after shutdown serves the same reader.
    let live = scratch.path().join("log");
    let head = checkpoint(&live);
    let tiles = Directory(live);
    let reader = TileHashReader::new(head.size(), *head.hash(), &tiles);
    let last = head.size() - 1;
    let proof = prove_record(head.size(), last, &reader).unwrap();
    check_record(&proof, head.size(), *head.hash(), last, record_hash(&entry(last))).unwrap();
}
