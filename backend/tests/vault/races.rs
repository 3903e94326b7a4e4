//! Two at once: one wins, the other is told, nothing is half done.

use ticrypt_api::node::CreateRequest;
use ticrypt_api::role::Vault;
use ticrypt_api::version::PublishRequest;

use crate::records::*;
use crate::world::{World, caller, code};

#[tokio::test]
async fn two_creates_on_one_head() {
    let world = World::new().await;
    let (person, home) = world.housed("ada").await;
    let attempt = |name: &str| {
        let mut home = home.clone();
        let (_, node) = small_file(&person, &mut home, name, 10);
        CreateRequest { directory: home.node, head: home.advance(&person), nodes: vec![node] }
    };
    let (me, one, two) = (caller(&person), attempt("same"), attempt("same"));
    let (first, second) = tokio::join!(world.vault.create(&me, one), world.vault.create(&me, two));
    assert_eq!(first.is_ok() as u8 + second.is_ok() as u8, 1);
    assert_eq!(code(if first.is_err() { first } else { second }), "stale");
    assert_eq!(world.list(&person, home.node).await.unwrap().directories[0].entries.len(), 1);
}

#[tokio::test]
async fn a_name_and_an_id_are_taken_once() {
    let world = World::new().await;
    let (person, mut home) = world.housed("ada").await;
    let (first, node) = small_file(&person, &mut home, "name", 10);
    world.create(&person, &mut home, vec![node]).await.unwrap();
    let before = home.clone();
    let (_, node) = small_file(&person, &mut home, "name", 10);
    assert_eq!(code(world.create(&person, &mut home, vec![node]).await), "name_taken");
    // The id of a file in another directory.
    let mut home = before.clone();
    let mut sub = world.mkdir(&person, &mut home, "sub").await;
    let entry = sub.put(&sub.entry(first, ticrypt_types::NodeKind::File, 1, "x"));
    let content = Content::new(3);
    let content = content.wire(person.sign(&content.manifest(&person, first, 1, None)), true);
    let node = ticrypt_api::node::NewNode { entry, head: None, content: Some(content) };
    assert_eq!(code(world.create(&person, &mut sub, vec![node]).await), "taken");
    assert_eq!(world.counter(sub.node).await, 1);
    // Two of one name in one request.
    let (_, one) = small_file(&person, &mut home, "twice", 1);
    let (_, two) = small_file(&person, &mut home, "twice", 1);
    assert_eq!(code(world.create(&person, &mut home, vec![one, two]).await), "name_taken");
}

#[tokio::test]
async fn two_publishes_leave_one_current_and_one_conflict() {
    let world = World::new().await;
    let (person, mut home) = world.housed("ada").await;
    let node = new_node();
    let content = Content::new(4);
    let first = content.manifest(&person, node, 1, None);
    let entry = home.put(&home.entry(node, ticrypt_types::NodeKind::File, 1, "f"));
    let new = ticrypt_api::node::NewNode { entry, head: None, content: Some(content.wire(person.sign(&first), true)) };
    world.create(&person, &mut home, vec![new]).await.unwrap();
    let attempt = || {
        let content = Content::new(7);
        let manifest = content.manifest(&person, node, 2, Some(hash_of(&first)));
        PublishRequest { file: node, content: content.wire(person.sign(&manifest), true) }
    };
    let (me, one, two) = (caller(&person), attempt(), attempt());
    let (one, two) = tokio::join!(world.vault.publish(&me, one), world.vault.publish(&me, two));
    let (one, two) = (one.unwrap().body, two.unwrap().body);
    assert_eq!((one.sequence, two.sequence), (2, 2));
    assert!(one.conflict != two.conflict);
    let view = world.list(&person, home.node).await.unwrap().directories.remove(0).entries.remove(0);
    assert_eq!((view.node.sequence, view.node.conflicts), (2, 1));
    // Sequences that skip, and predecessors that never were.
    let content = Content::new(1);
    for (sequence, predecessor, expected) in [
        (4, hash_of(&first), "manifest_sequence"),
        (3, hash_of(&first), "manifest_predecessor"),
        (2, ticrypt_crypto::Digest::new([3; 32]), "manifest_predecessor"),
    ] {
        let manifest = content.manifest(&person, node, sequence, Some(predecessor));
        let request = PublishRequest { file: node, content: content.wire(person.sign(&manifest), true) };
        assert_eq!(code(world.vault.publish(&me, request).await), expected);
    }
}
