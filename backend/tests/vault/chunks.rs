//! Tickets and chunks: for one version, one verb, one session, a minute; and nothing recorded ever changes.

use ticrypt_api::Blob;
use ticrypt_api::grant::GrantRevokeRequest;
use ticrypt_api::role::{Chunks, Vault};
use ticrypt_api::upload::{NewUpload, Ticket, UploadBeginRequest};
use ticrypt_api::version::{OpenItem, OpenRequest};
use ticrypt_types::{NodeId, NodeKind, Timestamp, Verbs};

use crate::records::*;
use crate::world::{World, caller, code};

async fn begin(world: &World, person: &Person, directory: NodeId, file: NodeId, content: &Content) -> Ticket {
    let uploads = vec![NewUpload {
        file,
        directory: Some(directory),
        version: content.version,
        content_wrap: Blob(random_vec(60)),
        size_bytes: content.size,
    }];
    world.vault.begin_uploads(&caller(person), UploadBeginRequest { uploads }).await.unwrap().body.tickets.remove(0)
}

#[tokio::test]
async fn a_ticket_is_for_one_use_and_a_chunk_fits_its_place() {
    let world = World::new().await;
    let (ada, home) = world.housed("ada").await;
    let eve = world.person("eve").await;
    let content = Content::new(8 * 1024 * 1024 + 7);
    let ticket = begin(&world, &ada, home.node, new_node(), &content).await;
    let (first, last) = (&content.chunks[0], &content.chunks[1]);
    assert_eq!(code(world.write(&ada, &ticket, 0, last).await), "chunk_malformed");
    assert_eq!(code(world.write(&ada, &ticket, 1, first).await), "chunk_malformed");
    assert_eq!(code(world.write(&ada, &ticket, 2, last).await), "not_found");
    assert_eq!(code(world.write(&ada, &ticket, 1, &last[..70]).await), "chunk_malformed");
    let mut bits = last.clone();
    bits[3] |= 2;
    assert_eq!(code(world.write(&ada, &ticket, 1, &bits).await), "chunk_malformed");
    assert_eq!(code(world.write(&eve, &ticket, 1, last).await), "ticket");
    let read = world.chunks.read(&caller(&ada), &ticket.ticket.0, content.version, 1).await;
    assert_eq!(code(read), "ticket");
    let late = ticrypt_api::role::Caller { now: Timestamp::from_millis(NOW + 60_000), ..caller(&ada) };
    assert_eq!(code(world.chunks.write(&late, &ticket.ticket.0, content.version, 1, last.clone().into()).await), "ticket");
    let other = Ticket { version: new_version(), ..ticket.clone() };
    assert_eq!(code(world.write(&ada, &other, 1, last).await), "ticket");
    world.present.gone.lock().unwrap().insert(ada.user);
    assert_eq!(code(world.write(&ada, &ticket, 1, last).await), "session_over");
    world.present.gone.lock().unwrap().clear();

    world.write(&ada, &ticket, 1, last).await.unwrap();
    let mut again = last.clone();
    again[60] ^= 1;
    assert_eq!(code(world.write(&ada, &ticket, 1, &again).await), "chunk_taken");
    // Somebody else's upload looks like none; one's own ends for good.
    assert_eq!(code(world.vault.upload_status(&caller(&eve), content.version).await), "not_found");
    assert_eq!(code(world.vault.abandon_upload(&caller(&eve), content.version).await), "not_found");
    world.vault.abandon_upload(&caller(&ada), content.version).await.unwrap();
    assert_eq!(code(world.write(&ada, &ticket, 0, first).await), "upload_over");
    assert_eq!(code(world.vault.upload_status(&caller(&ada), content.version).await), "upload_over");
}

#[tokio::test]
async fn bytes_left_by_a_crash_are_replaced() {
    let world = World::new().await;
    let (ada, home) = world.housed("ada").await;
    let (file, content) = (new_node(), Content::new(10));
    let ticket = begin(&world, &ada, home.node, file, &content).await;
    let key = ticrypt_store::blobs::ChunkKey { file, version: content.version, number: 0 };
    let blobs = ticrypt_store::blobs::ChunkStore::local(&world.folder.path().join("chunks")).unwrap();
    blobs.put(key, vec![1; 74].into()).await.unwrap();
    world.write(&ada, &ticket, 0, &content.chunks[0]).await.unwrap();
    assert_eq!(blobs.get(key).await.unwrap(), content.chunks[0]);
}

#[tokio::test]
async fn a_file_is_made_of_exactly_what_was_uploaded() {
    let world = World::new().await;
    let (ada, mut home) = world.housed("ada").await;
    let sub = world.mkdir(&ada, &mut home, "sub").await;
    let (file, content) = (new_node(), Content::new(100_000));
    let ticket = begin(&world, &ada, home.node, file, &content).await;
    let attempt = |directory: &Directory, file: NodeId, content: &Content| {
        let mut directory = directory.clone();
        let entry = directory.put(&directory.entry(file, NodeKind::File, 1, "f"));
        let new = content.wire(ada.sign(&content.manifest(&ada, file, 1, None)), false);
        let nodes = vec![ticrypt_api::node::NewNode { entry, head: None, content: Some(new) }];
        ticrypt_api::node::CreateRequest { directory: directory.node, head: directory.advance(&ada), nodes }
    };
    let me = caller(&ada);
    assert_eq!(code(world.vault.create(&me, attempt(&home, file, &content)).await), "chunks_missing");
    world.write(&ada, &ticket, 0, &content.chunks[0]).await.unwrap();
    let mut other = Content::new(100_000);
    other.version = content.version;
    assert_eq!(code(world.vault.create(&me, attempt(&home, file, &other)).await), "manifest_chunks");
    assert_eq!(code(world.vault.create(&me, attempt(&home, new_node(), &content)).await), "upload_unknown");
    assert_eq!(code(world.vault.create(&me, attempt(&sub, file, &content)).await), "upload_directory");
    world.vault.create(&me, attempt(&home, file, &content)).await.unwrap();
    assert_eq!(code(world.write(&ada, &ticket, 0, &content.chunks[0]).await), "upload_over");
}

#[tokio::test]
async fn a_lost_share_voids_its_tickets_at_once() {
    let world = World::new().await;
    let (ada, mut home) = world.housed("ada").await;
    let (bob, carol) = (world.person("bob").await, world.person("carol").await);
    let mut shared = world.mkdir(&ada, &mut home, "shared").await;
    let (file, content) = (new_node(), Content::new(100_000));
    let ticket = begin(&world, &ada, shared.node, file, &content).await;
    world.write(&ada, &ticket, 0, &content.chunks[0]).await.unwrap();
    let entry = shared.put(&shared.entry(file, NodeKind::File, 1, "f"));
    let new = content.wire(ada.sign(&content.manifest(&ada, file, 1, None)), false);
    world.create(&ada, &mut shared, vec![ticrypt_api::node::NewNode { entry, head: None, content: Some(new) }]).await.unwrap();
    let to_bob = world.share(&ada, &bob, &shared, Verbs::VIEW).await;
    let to_carol = ticrypt_crypto::grant::GrantPayload {
        list_commitment: to_bob.list_commitment,
        tree_commitment: to_bob.tree_commitment,
        ..grant(&ada, &carol, shared.node, NodeKind::Directory, ada.user, Verbs::VIEW)
    };
    world.vault.create_grants(&caller(&ada), crate::sharing::one(&ada, &to_carol)).await.unwrap();
    let mut tickets = Vec::new();
    for person in [&bob, &carol] {
        let request = OpenRequest { items: vec![OpenItem { file, manifest: None }], keep: false };
        let ticket = world.vault.open(&caller(person), request).await.unwrap().body.files.remove(0).ticket.unwrap();
        world.chunks.read(&caller(person), &ticket.ticket.0, content.version, 0).await.unwrap();
        tickets.push(ticket);
    }
    let revoke = GrantRevokeRequest { revocation: ada.sign(&revocation(&ada, &to_bob)) };
    world.vault.revoke_grant(&caller(&ada), to_bob.grant, revoke).await.unwrap();
    assert_eq!(code(world.chunks.read(&caller(&bob), &tickets[0].ticket.0, content.version, 0).await), "ticket");
    world.chunks.read(&caller(&carol), &tickets[1].ticket.0, content.version, 0).await.unwrap();
}
