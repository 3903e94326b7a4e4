//! A file's whole life, on both databases.

use ticrypt_api::node::*;
use ticrypt_api::role::{Chunks, Vault};
use ticrypt_api::upload::{NewUpload, UploadBeginRequest};
use ticrypt_api::version::{OpenItem, OpenRequest, PublishRequest, VersionListRequest};
use ticrypt_api::{Blob, Hash};
use ticrypt_crypto::directory::HeadPayload;
use ticrypt_crypto::entry::Entry;
use ticrypt_crypto::record::Record;
use ticrypt_crypto::{Digest, Envelope};
use ticrypt_types::{NodeId, NodeKind};

use crate::postgres::Server;
use crate::records::*;
use crate::world::{World, caller, home_request};

#[tokio::test]
async fn on_sqlite() {
    story(World::new().await).await;
}

#[tokio::test]
async fn on_postgres() {
    let server = Server::start();
    let url = server.fresh_database("vault");
    story(World::at(&url, tempfile::tempdir().unwrap()).await).await;
}

/// What a reader does with a listing: the signed head must be over exactly these entries.
fn verified(reply: &ListReply, person: &Person) -> Vec<Entry> {
    let directory = &reply.directories[0];
    let envelope = Envelope::parse(&directory.head.0).unwrap();
    let head = envelope.verify_as::<HeadPayload>(&person.bundle.payload().signing_key).unwrap();
    let entries: Vec<Entry> = directory.entries.iter().map(|entry| Entry::parse(&entry.entry.0).unwrap()).collect();
    head.verify_entries(&entries).unwrap();
    entries
}

async fn open_one(world: &World, person: &Person, file: NodeId, manifest: Option<Hash>) -> ticrypt_api::version::OpenedFile {
    let request = OpenRequest { items: vec![OpenItem { file, manifest }], keep: false };
    world.vault.open(&caller(person), request).await.unwrap().body.files.remove(0)
}

async fn story(world: World) {
    let person = world.person("ada").await;
    let (request, mut home, _) = home_request(&person);
    world.vault.create_home(&caller(&person), request.clone()).await.unwrap();
    assert_eq!(world.vault.create_home(&caller(&person), request).await.unwrap().body.head_counter, 1, "the same again");
    let (another, _, _) = home_request(&person);
    assert_eq!(crate::world::code(world.vault.create_home(&caller(&person), another).await), "home_exists");

    // Three small files and a directory in one request, and that request once more.
    let mut nodes = Vec::new();
    let mut files = Vec::new();
    for (name, size) in [("a", 0), ("b", 1), ("c", 60_000)] {
        let (node, new) = small_file(&person, &mut home, name, size);
        nodes.push(new);
        files.push(node);
    }
    let (mut sub, new) = new_directory(&person, &mut home, "sub");
    nodes.push(new);
    let request = CreateRequest { directory: home.node, head: home.advance(&person), nodes };
    let first = world.vault.create(&caller(&person), request.clone()).await.unwrap();
    assert_eq!(first.body.head_counter, 2);
    assert!(first.opened.is_some());
    assert_eq!(world.vault.create(&caller(&person), request.clone()).await.unwrap().body.head_counter, 2, "the same again");
    let listed = world.list(&person, home.node).await.unwrap();
    assert_eq!(verified(&listed, &person).len(), 4);
    assert!(listed.directories[0].entries.iter().all(|entry| entry.current.is_some() == (entry.node.kind == NodeKind::File)));

    // The contents come back as they were sent, several at once and in the order asked.
    let items = files.iter().rev().map(|file| OpenItem { file: *file, manifest: None }).collect();
    let opened = world.vault.open(&caller(&person), OpenRequest { items, keep: false }).await.unwrap().body.files;
    for (opened, sent) in opened.iter().rev().zip(&request.nodes) {
        let sent = sent.content.as_ref().unwrap();
        assert_eq!((&opened.chunk, &opened.chunk_hashes, &opened.content_wrap), (&sent.chunk, &sent.chunk_hashes, &sent.content_wrap));
    }

    // A large one: begun, its chunks in parallel, made a file in one step.
    let large = Content::new(9 * 1024 * 1024);
    let file = new_node();
    let begin = UploadBeginRequest {
        uploads: vec![NewUpload {
            file,
            directory: Some(sub.node),
            version: large.version,
            content_wrap: Blob(random_vec(60)),
            size_bytes: large.size,
        }],
    };
    let tickets = world.vault.begin_uploads(&caller(&person), begin.clone()).await.unwrap().body.tickets;
    world.vault.begin_uploads(&caller(&person), begin).await.unwrap();
    let (one, two) =
        tokio::join!(world.write(&person, &tickets[0], 0, &large.chunks[0]), world.write(&person, &tickets[0], 1, &large.chunks[1]));
    one.unwrap();
    two.unwrap();
    world.write(&person, &tickets[0], 1, &large.chunks[1]).await.unwrap();
    let status = world.vault.upload_status(&caller(&person), large.version).await.unwrap().body;
    assert_eq!(
        status.stored.iter().map(|chunk| chunk.hash.0).collect::<Vec<_>>(),
        large.hashes().iter().map(|h| h.to_bytes()).collect::<Vec<_>>()
    );
    let entry = sub.put(&sub.entry(file, NodeKind::File, 1, "large"));
    let manifest = large.manifest(&person, file, 1, None);
    let content = large.wire(person.sign(&manifest), false);
    world.create(&person, &mut sub, vec![NewNode { entry, head: None, content: Some(content) }]).await.unwrap();
    let opened = open_one(&world, &person, file, None).await;
    let ticket = opened.ticket.unwrap();
    for (number, chunk) in large.chunks.iter().enumerate() {
        let bytes = world.chunks.read(&caller(&person), &ticket.ticket.0, large.version, number as u64).await.unwrap();
        assert_eq!(bytes, chunk.as_slice());
    }

    // A second version, then the first again.
    let small = Content::new(5);
    let second = small.manifest(&person, file, 2, Some(hash_of(&manifest)));
    let publish = PublishRequest { file, content: small.wire(person.sign(&second), true) };
    let reply = world.vault.publish(&caller(&person), publish.clone()).await.unwrap().body;
    assert_eq!((reply.sequence, reply.conflict), (2, false));
    assert_eq!(world.vault.publish(&caller(&person), publish).await.unwrap().body.sequence, 2, "the same again");
    let third = large.manifest(&person, file, 3, Some(hash_of(&second)));
    world.vault.publish(&caller(&person), PublishRequest { file, content: large.wire(person.sign(&third), false) }).await.unwrap();
    let versions = world.vault.versions(&caller(&person), VersionListRequest { files: vec![file] }).await.unwrap().body.files.remove(0);
    assert_eq!((versions.manifests.len(), versions.contents.len()), (3, 2));
    let old = open_one(&world, &person, file, Some(Hash(hash_of(&second).to_bytes()))).await;
    assert_eq!(old.chunk.unwrap().0, small.chunks[0]);

    // Renamed, moved, into the trash and out again under another name, and away for good.
    let renamed = sub.put(&sub.entry(file, NodeKind::File, 1, "other"));
    let request = RenameRequest { directory: sub.node, head: sub.advance(&person), entry: renamed };
    world.vault.rename(&caller(&person), request.clone()).await.unwrap();
    world.vault.rename(&caller(&person), request).await.unwrap();
    sub.entries.remove(&file);
    let from_head = sub.advance(&person);
    let entry = home.put(&home.entry(file, NodeKind::File, 1, "moved"));
    let to_head = home.advance(&person);
    let request = MoveRequest { from: sub.node, from_head, to: home.node, to_head, entry };
    world.vault.move_node(&caller(&person), request).await.unwrap();
    home.entries.remove(&file);
    let request = TrashRequest { directory: home.node, head: home.advance(&person), nodes: vec![file] };
    world.vault.trash(&caller(&person), request.clone()).await.unwrap();
    world.vault.trash(&caller(&person), request).await.unwrap();
    let trash = world.vault.trash_list(&caller(&person), TrashQuery::default()).await.unwrap().body;
    assert_eq!(trash.entries.iter().map(|entry| entry.node.node).collect::<Vec<_>>(), [file]);
    let entry = home.put(&home.entry(file, NodeKind::File, 1, "back"));
    let request = RestoreRequest { directory: home.node, head: home.advance(&person), entries: vec![entry] };
    world.vault.restore(&caller(&person), request).await.unwrap();
    assert_eq!(verified(&world.list(&person, home.node).await.unwrap(), &person).len(), 5);
    assert_eq!(crate::world::code(world.vault.delete(&caller(&person), DeleteRequest { nodes: vec![file] }).await), "not_in_trash");
    home.entries.remove(&file);
    let request = TrashRequest { directory: home.node, head: home.advance(&person), nodes: vec![file] };
    world.vault.trash(&caller(&person), request).await.unwrap();
    let gone = world.vault.delete(&caller(&person), DeleteRequest { nodes: vec![file] }).await.unwrap().body;
    assert_eq!((gone.nodes, gone.versions, gone.stored_bytes), (1, 2, large.size + 2 * 64 + 5 + 64));
    world.vault.shutdown().await;
    let left =
        futures::StreamExt::count(ticrypt_store::blobs::ChunkStore::local(&world.folder.path().join("chunks")).unwrap().list()).await;
    assert_eq!(left, 0, "its chunks went with it");
    assert_eq!(verified(&world.list(&person, home.node).await.unwrap(), &person).len(), 4);
}

#[tokio::test]
async fn pages_go_on_where_they_ended_until_the_directory_changes() {
    let world = World::new().await;
    let (person, mut home) = world.housed("ada").await;
    let mut nodes: Vec<NewNode> = (0..25).map(|i| small_file(&person, &mut home, &format!("f{i}"), 10).1).collect();
    world.create(&person, &mut home, nodes.split_off(5)).await.unwrap_err();
    // That head was over all 25; the client starts from what is stored.
    home.counter = 1;
    home.head_hash = Some(Digest::new(world.store.node(home.node).await.unwrap().unwrap().head_hash.unwrap()));
    home.entries.clear();
    let nodes: Vec<NewNode> = (0..25).map(|i| small_file(&person, &mut home, &format!("g{i}"), 10).1).collect();
    world.create(&person, &mut home, nodes).await.unwrap();
    let page = |page| ListRequest { items: vec![ListItem { directory: home.node, page }], limit: 10, manifests: true };
    let (mut seen, mut next, mut first) = (Vec::new(), None, None);
    loop {
        let reply = world.vault.list(&caller(&person), page(next)).await.unwrap().body;
        seen.extend(reply.directories[0].entries.iter().map(|entry| entry.node.node));
        next = reply.directories[0].next.clone();
        first = first.or(next.clone());
        if next.is_none() {
            break;
        }
    }
    assert_eq!(seen, home.entries.keys().copied().collect::<Vec<_>>());
    world.mkdir(&person, &mut home, "new").await;
    let stale = ListRequest { items: vec![ListItem { directory: home.node, page: first }], limit: 10, manifests: true };
    assert_eq!(crate::world::code(world.vault.list(&caller(&person), stale).await), "stale");
}

#[tokio::test]
async fn two_thousand_small_files_in_one_request() {
    let world = World::new().await;
    let (person, mut home) = world.housed("ada").await;
    let mut nodes = Vec::new();
    let mut manifests = Vec::new();
    let mut contents = Vec::new();
    for i in 0..2_000 {
        let node = new_node();
        let entry = home.put(&home.entry(node, NodeKind::File, 1, &format!("f{i}")));
        let content = Content::new(1_024);
        manifests.push(content.manifest(&person, node, 1, None));
        contents.push(content);
        nodes.push(NewNode { entry, head: None, content: None });
    }
    for ((node, content), manifest) in nodes.iter_mut().zip(&contents).zip(person.sign_all(&manifests)) {
        node.content = Some(content.wire(manifest, true));
    }
    let started = std::time::Instant::now();
    world.create(&person, &mut home, nodes).await.unwrap();
    println!("2 000 files of 1 KiB: {:?}", started.elapsed());
    let started = std::time::Instant::now();
    let listed = world.list(&person, home.node).await.unwrap();
    assert_eq!(verified(&listed, &person).len(), 2_000);
    println!("listed with manifests: {:?}", started.elapsed());
    let items = home.entries.keys().map(|file| OpenItem { file: *file, manifest: None }).collect();
    let started = std::time::Instant::now();
    assert_eq!(world.vault.open(&caller(&person), OpenRequest { items, keep: false }).await.unwrap().body.files.len(), 2_000);
    println!("opened: {:?}", started.elapsed());
    assert_eq!(world.audit.outcomes(ticrypt_types::Operation::NodeCreate).len(), 1, "one row for all");
}
