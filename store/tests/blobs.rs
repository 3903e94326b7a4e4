//! The chunk store: the same tests on a folder and on an S3-speaking server (s3s-fs on loopback).

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::time::{Duration, SystemTime};

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt};
use hyper_util::rt::{TokioExecutor, TokioIo};
use ticrypt_store::blobs::{BlobError, ChunkKey, ChunkStore, Put, S3Settings, STORED_CHUNK_MAX_BYTES, Stored};
use ticrypt_types::{NodeId, VersionId};

fn key(file: u8, version: u8, number: u64) -> ChunkKey {
    ChunkKey { file: NodeId::from_random([file; 16]), version: VersionId::from_random([version; 16]), number }
}

async fn stored(chunks: &ChunkStore) -> Vec<Stored> {
    let mut found: Vec<Stored> = chunks.list().try_collect().await.unwrap();
    found.sort_by(|a, b| a.path.cmp(&b.path));
    found
}

/// What every chunk store does.
async fn contract(chunks: ChunkStore) {
    assert!(stored(&chunks).await.is_empty(), "empty at first");
    let one = Bytes::from_static(b"one");
    assert_eq!(chunks.put(key(1, 1, 0), one.clone()).await.unwrap(), Put::New);
    assert_eq!(chunks.put(key(1, 1, 0), one.clone()).await.unwrap(), Put::Same);
    assert!(matches!(chunks.put(key(1, 1, 0), Bytes::from_static(b"other")).await, Err(BlobError::Different)));
    assert_eq!(chunks.get(key(1, 1, 0)).await.unwrap(), one);
    assert_eq!(chunks.size(key(1, 1, 0)).await.unwrap(), Some(3));
    assert!(matches!(chunks.get(key(1, 1, 1)).await, Err(BlobError::NotFound)));
    assert_eq!(chunks.size(key(1, 1, 1)).await.unwrap(), None);
    chunks.replace(key(1, 1, 0), Bytes::from_static(b"replaced")).await.unwrap();
    assert_eq!(chunks.get(key(1, 1, 0)).await.unwrap(), Bytes::from_static(b"replaced"));

    // The largest there is, and one byte more; none at all; a number too high.
    let largest = Bytes::from(vec![7; STORED_CHUNK_MAX_BYTES]);
    chunks.put(key(1, 1, 1), largest.clone()).await.unwrap();
    assert_eq!(chunks.get(key(1, 1, 1)).await.unwrap(), largest);
    for size in [0, STORED_CHUNK_MAX_BYTES + 1] {
        assert!(matches!(chunks.put(key(1, 1, 2), vec![7; size].into()).await, Err(BlobError::Size)));
        assert!(matches!(chunks.replace(key(1, 1, 2), vec![7; size].into()).await, Err(BlobError::Size)));
    }
    assert!(matches!(chunks.put(key(1, 1, 1 << 20), one.clone()).await, Err(BlobError::Number)));

    // Two at once under one name: one is first, and what is there is one of them whole.
    let (a, b) = (Bytes::from(vec![1; 100_000]), Bytes::from(vec![2; 100_000]));
    let outcomes = futures::join!(chunks.put(key(2, 1, 0), a.clone()), chunks.put(key(2, 1, 0), b.clone()));
    let first = [&outcomes.0, &outcomes.1].iter().filter(|outcome| matches!(outcome, Ok(Put::New))).count();
    assert!(first >= 1, "{outcomes:?}");
    let there = chunks.get(key(2, 1, 0)).await.unwrap();
    assert!(there == a || there == b);

    for number in [0, 1, 10] {
        chunks.put(key(3, 2, number), one.clone()).await.unwrap();
        chunks.put(key(3, 3, number), one.clone()).await.unwrap();
    }
    let found = stored(&chunks).await;
    assert_eq!(found.len(), 9);
    assert!(found.iter().any(|stored| stored.key == Some(key(3, 2, 10)) && stored.size_bytes == 3));
    assert!(found.iter().any(|stored| stored.path == "01/01/01010101-0101-4101-8101-010101010101/01010101-0101-4101-8101-010101010101/0"));
    assert!(found.iter().all(|stored| stored.key.is_some()));

    chunks.delete(key(3, 2, 0)).await.unwrap();
    chunks.delete(key(3, 2, 0)).await.expect("not there is fine");
    assert_eq!(chunks.delete_version(key(3, 2, 0).file, key(3, 2, 0).version).await.unwrap(), 2);
    assert_eq!(chunks.delete_version(key(3, 2, 0).file, key(3, 2, 0).version).await.unwrap(), 0);
    assert_eq!(stored(&chunks).await.len(), 6, "other versions stay");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder() {
    let folder = tempfile::tempdir().unwrap();
    contract(ChunkStore::local(&folder.path().join("made/on the way")).unwrap()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_s3_server() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("bucket")).unwrap();
    let files = s3s_fs::FileSystem::new(folder.path()).unwrap();
    let mut service = s3s::service::S3ServiceBuilder::new(files);
    service.set_auth(s3s::auth::SimpleAuth::from_single("access", "secret"));
    let service = service.build();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let server = tokio::spawn(async move {
        loop {
            let (socket, _) = listener.accept().await.unwrap();
            let service = service.clone();
            tokio::spawn(async move {
                let http = hyper_util::server::conn::auto::Builder::new(TokioExecutor::new());
                let _ = http.serve_connection(TokioIo::new(socket), service).await;
            });
        }
    });
    let settings = S3Settings {
        endpoint,
        region: "us-east-1".into(),
        bucket: "bucket".into(),
        access_key: "access".into(),
        secret_key: "secret".into(),
        allow_http: true,
    };
    assert!(!format!("{settings:?}").contains("secret"));
    contract(ChunkStore::s3(&settings).unwrap()).await;
    let wrong = ChunkStore::s3(&S3Settings { secret_key: "wrong".into(), ..settings }).unwrap();
    assert!(matches!(wrong.get(key(1, 1, 0)).await, Err(BlobError::Unavailable(_))));
    assert_eq!(wrong.remove_unfinished(SystemTime::UNIX_EPOCH).await.unwrap(), 0);
    server.abort();
}

#[tokio::test]
async fn what_is_not_a_chunk_is_listed_as_such_and_leftovers_go() {
    let folder = tempfile::tempdir().unwrap();
    let chunks = ChunkStore::local(folder.path()).unwrap();
    assert_eq!(chunks.remove_unfinished(SystemTime::UNIX_EPOCH).await.unwrap(), 0, "no folder yet");
    chunks.put(key(1, 1, 0), Bytes::from_static(b"one")).await.unwrap();
    let version = folder.path().join("01/01/01010101-0101-4101-8101-010101010101/01010101-0101-4101-8101-010101010101");
    // A crash between writing and naming leaves a temporary file.
    for (name, is_chunk) in [("00", false), ("note", false), ("1#1", true)] {
        std::fs::write(version.join(name), b"x").unwrap();
        assert!(!is_chunk || chunks.size(key(1, 1, 1)).await.unwrap().is_none());
    }
    let found = stored(&chunks).await;
    assert_eq!(found.iter().filter(|stored| stored.key.is_none()).count(), 2, "{found:?}");
    let written = std::fs::metadata(version.join("1#1")).unwrap().modified().unwrap();
    assert_eq!(chunks.remove_unfinished(written).await.unwrap(), 0, "somebody may still be writing it");
    assert_eq!(chunks.remove_unfinished(written + Duration::from_millis(1)).await.unwrap(), 1);
    assert_eq!(chunks.put(key(1, 1, 1), Bytes::from_static(b"two")).await.unwrap(), Put::New);
    // The last chunk takes its folders with it.
    for name in ["00", "note"] {
        std::fs::remove_file(version.join(name)).unwrap();
    }
    chunks.delete_version(key(1, 1, 0).file, key(1, 1, 0).version).await.unwrap();
    assert!(!version.exists());
    assert_eq!(chunks.list().count().await, 0);
}
