//! Chunks of a large file: none that the manifest does not name reaches a disk under a name.

use std::collections::HashMap;

use ticrypt_api::Hash;
use ticrypt_api::version::OpenReply;
use ticrypt_crypto::Digest;
use ticrypt_types::Operation;

use crate::liar::{Lie, StoredChunk};
use crate::world::{World, bytes, case, cases, get, names, put};

const CHUNK: usize = 8 * 1024 * 1024;
/// Two chunks of the same length and a short one.
const SIZE: usize = 2 * CHUNK + 5;

/// The chunks of one version by number, as the server sent them last.
fn chunks(world: &World) -> HashMap<u64, Vec<u8>> {
    world.liar.heard::<StoredChunk>(Operation::ChunkRead).into_iter().map(|chunk| (chunk.number, chunk.bytes.0)).collect()
}

/// Changes chunk `number`.
fn bent(number: u64, change: fn(&mut Vec<u8>)) -> Lie {
    Lie::chunk(move |chunk| {
        if chunk.number == number {
            change(&mut chunk.bytes.0);
        }
    })
}

/// Sends for chunk `number` the bytes that stand elsewhere.
fn instead(number: u64, other: &[u8]) -> Lie {
    let other = other.to_vec();
    Lie::chunk(move |chunk| {
        if chunk.number == number {
            chunk.bytes.0.clone_from(&other);
        }
    })
}

/// The same, and the list of hashes names them.
fn named(number: usize, other: &[u8]) -> [Lie; 2] {
    let hash = Hash(Digest::of(other).to_bytes());
    [Lie::open(move |reply: &mut OpenReply| reply.files[0].chunk_hashes[number] = hash), instead(number as u64, other)]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chunk_that_is_not_the_one_that_was_signed() {
    let mut world = World::start().await;
    let ann = world.person("ann").await;
    let out = tempfile::tempdir().unwrap();
    let content = bytes(SIZE, 1);

    put(&ann.vault, "/other", &bytes(SIZE, 2)).await;
    get(&ann.vault, "/other", out.path()).await.unwrap();
    let other = chunks(&world);
    // The same content as what will be current: only the attempt, and so the version and its key, is another.
    put(&ann.vault, "/large", &content).await;
    get(&ann.vault, "/large", out.path()).await.unwrap();
    let attempt = chunks(&world);
    put(&ann.vault, "/large", &bytes(SIZE, 3)).await;
    get(&ann.vault, "/large", out.path()).await.unwrap();
    let older = chunks(&world);
    put(&ann.vault, "/large", &content).await;
    get(&ann.vault, "/large", out.path()).await.unwrap();
    let own = chunks(&world);
    std::fs::remove_file(out.path().join("other")).unwrap();

    let signed = "a chunk is not the one that was signed";
    let length = "a chunk is longer or shorter than it must be";
    let listed = "the list of a file's chunks is not the one that was signed";
    let all = [
        case("a wrong byte", bent(0, |bytes| bytes[1_000] ^= 1), signed),
        case("a wrong byte in the header", bent(1, |bytes| bytes[3] ^= 1), signed),
        case("a wrong byte in the last chunk", bent(2, |bytes| bytes[66] ^= 1), signed),
        case("cut off", bent(0, |bytes| bytes.truncate(CHUNK)), length),
        case("nothing", bent(0, Vec::clear), length),
        case("something behind it", bent(2, |bytes| bytes.push(0)), length),
        case("another chunk of the file", instead(0, &own[&1]), signed),
        case("another chunk of the file, of another length", instead(1, &own[&2]), length),
        case("a chunk of another file", instead(1, &other[&1]), signed),
        case("a chunk of an older version", instead(0, &older[&0]), signed),
        case("a chunk of another attempt", instead(2, &attempt[&2]), signed),
        cases("another chunk of the file, and its hash", named(0, &own[&1]), listed),
        cases("a chunk of another file, and its hash", named(1, &other[&1]), listed),
        cases("a chunk of an older version, and its hash", named(0, &older[&0]), listed),
        cases("a chunk of another attempt, and its hash", named(2, &attempt[&2]), listed),
    ];
    let act = async || {
        let _ = std::fs::remove_file(out.path().join("large"));
        let report = get(&ann.vault, "/large", out.path()).await?;
        assert_eq!((report.files, std::fs::read(out.path().join("large")).unwrap() == content), (1, true));
        assert_eq!(std::fs::read_dir(out.path()).unwrap().count(), 1, "something half-written was left");
        Ok(())
    };
    world.refuses(&all, act, |what| assert!(names(out.path()).is_empty(), "{what}: {:?}", names(out.path()))).await;
}
