//! `check` and `sweep` over a store that is sound, and over one that is not.

use ticrypt_api::Blob;
use ticrypt_api::node::NewNode;
use ticrypt_api::role::Vault;
use ticrypt_api::upload::{NewUpload, UploadBeginRequest};
use ticrypt_backend::check::{Place, Report, Swept, check, sweep};
use ticrypt_store::blobs::{ChunkKey, ChunkStore};
use ticrypt_types::{NodeKind, Timestamp, Verbs};

use crate::records::*;
use crate::world::{World, caller};

fn place(world: &World) -> Place {
    Place { store: world.store.clone(), chunks: ChunkStore::local(&world.folder.path().join("chunks")).unwrap(), logs: vec![] }
}

async fn checked(world: &World, deep: bool) -> Report {
    check(&place(world), deep, |_| {}).await.unwrap()
}

fn codes(report: &Report) -> Vec<&'static str> {
    report.findings.iter().map(|finding| finding.code).collect()
}

pub async fn upload(world: &World, person: &Person, directory: &Directory, content: &Content) -> ticrypt_types::NodeId {
    let file = new_node();
    let uploads = vec![NewUpload {
        file,
        directory: Some(directory.node),
        version: content.version,
        content_wrap: Blob(random_vec(60)),
        size_bytes: content.size,
    }];
    let tickets = world.vault.begin_uploads(&caller(person), UploadBeginRequest { uploads }).await.unwrap().body.tickets;
    world.write(person, &tickets[0], 0, &content.chunks[0]).await.unwrap();
    file
}

#[tokio::test]
async fn check_finds_what_is_missing_altered_or_too_much() {
    let world = World::new().await;
    let (ada, mut home) = world.housed("ada").await;
    let bob = world.person("bob").await;
    let (_, small) = small_file(&ada, &mut home, "small", 10);
    world.create(&ada, &mut home, vec![small]).await.unwrap();
    let sub = world.mkdir(&ada, &mut home, "sub").await;
    world.share(&ada, &bob, &sub, Verbs::VIEW).await;
    let content = Content::new(100_000);
    let file = upload(&world, &ada, &home, &content).await;
    let entry = home.put(&home.entry(file, NodeKind::File, 1, "f"));
    let new = content.wire(ada.sign(&content.manifest(&ada, file, 1, None)), false);
    world.create(&ada, &mut home, vec![NewNode { entry, head: None, content: Some(new) }]).await.unwrap();

    let report = checked(&world, true).await;
    assert!(report.is_sound(), "{report}");
    let counted = (report.people, report.directories, report.files, report.manifests, report.grants, report.chunks);
    assert_eq!(counted, (3, 2, 2, 2, 2, 1));

    let blobs = ChunkStore::local(&world.folder.path().join("chunks")).unwrap();
    let key = ChunkKey { file, version: content.version, number: 0 };
    let mut altered = content.chunks[0].clone();
    altered[99] ^= 1;
    blobs.replace(key, altered.into()).await.unwrap();
    assert!(checked(&world, false).await.is_sound(), "lengths alone do not tell");
    assert_eq!(codes(&checked(&world, true).await), ["chunk_hash"]);
    blobs.replace(key, content.chunks[0][..99].to_vec().into()).await.unwrap();
    assert_eq!(codes(&checked(&world, false).await), ["chunk_length"]);
    blobs.delete(key).await.unwrap();
    assert_eq!(codes(&checked(&world, false).await), ["chunk_missing"]);
    blobs.put(key, content.chunks[0].clone().into()).await.unwrap();
    blobs.put(ChunkKey { version: new_version(), ..key }, vec![1].into()).await.unwrap();
    assert_eq!(codes(&checked(&world, true).await), ["chunk_orphan"]);
}

#[tokio::test]
async fn sweep_removes_what_nobody_can_reach_and_nothing_else() {
    let world = World::new().await;
    let (ada, mut home) = world.housed("ada").await;
    let (kept, given_up) = (Content::new(70_000), Content::new(70_000));
    let file = upload(&world, &ada, &home, &kept).await;
    let entry = home.put(&home.entry(file, NodeKind::File, 1, "f"));
    let new = kept.wire(ada.sign(&kept.manifest(&ada, file, 1, None)), false);
    world.create(&ada, &mut home, vec![NewNode { entry, head: None, content: Some(new) }]).await.unwrap();
    upload(&world, &ada, &home, &given_up).await;
    let blobs = ChunkStore::local(&world.folder.path().join("chunks")).unwrap();
    blobs.put(ChunkKey { file, version: new_version(), number: 0 }, vec![1, 2, 3].into()).await.unwrap();

    let (now, later) = (Timestamp::from_millis(NOW), Timestamp::from_millis(NOW + 10));
    let recent = sweep(&place(&world), now, later, true, |_| {}).await.unwrap();
    assert_eq!((recent.abandoned_uploads, recent.orphaned_chunks), (0, 1), "an upload under way is left alone");
    let expected = Swept { abandoned_uploads: 1, orphaned_chunks: 1, orphaned_bytes: 3, foreign_objects: 0, dry_run: true };
    assert_eq!(sweep(&place(&world), later, later, true, |_| {}).await.unwrap(), expected);
    assert!(world.store.upload(given_up.version).await.unwrap().unwrap().facts().open, "a dry run changes nothing");
    let swept = sweep(&place(&world), later, later, false, |_| {}).await.unwrap();
    assert_eq!(swept, Swept { dry_run: false, ..expected });
    assert!(world.store.upload(given_up.version).await.unwrap().is_none());
    assert!(checked(&world, true).await.is_sound());
    assert_eq!(blobs.get(ChunkKey { file, version: kept.version, number: 0 }).await.unwrap(), kept.chunks[0]);
}
