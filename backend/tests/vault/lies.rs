//! Every way a create can be untrue: refused, and nothing is stored.

use ticrypt_api::node::{CreateRequest, NewNode};
use ticrypt_api::role::Vault;
use ticrypt_api::{Blob, Hash};
use ticrypt_crypto::Digest;
use ticrypt_crypto::directory::HeadPayload;
use ticrypt_crypto::entry::Entry;
use ticrypt_crypto::manifest::ManifestPayload;
use ticrypt_crypto::record::Record;
use ticrypt_types::{DeploymentId, NodeKind, Timestamp};

use crate::records::*;
use crate::world::{World, caller, code};

type Head = fn(&mut HeadPayload);
type Ent = fn(&mut Entry);
type Man = fn(&mut ManifestPayload);

/// A create of one file, with one thing about it changed.
struct Attempt {
    head: Head,
    entry: Ent,
    manifest: Man,
}

const HONEST: Attempt = Attempt { head: |_| {}, entry: |_| {}, manifest: |_| {} };

fn request(person: &Person, home: &Directory, attempt: &Attempt) -> CreateRequest {
    let mut home = home.clone();
    let node = new_node();
    let mut entry = home.entry(node, NodeKind::File, 1, "name");
    (attempt.entry)(&mut entry);
    home.entries.insert(node, entry.to_bytes());
    let content = Content::new(100);
    let mut manifest = content.manifest(person, node, 1, None);
    (attempt.manifest)(&mut manifest);
    let mut head = home.next_head(person);
    (attempt.head)(&mut head);
    let content = content.wire(person.sign(&manifest), true);
    CreateRequest {
        directory: home.node,
        head: person.sign(&head),
        nodes: vec![NewNode { entry: Blob(entry.to_bytes()), head: None, content: Some(content) }],
    }
}

#[tokio::test]
async fn each_lie_is_refused_by_its_name_and_leaves_nothing() {
    let world = World::new().await;
    let (person, home) = world.housed("ada").await;
    let lies: &[(&str, Attempt)] = &[
        ("other_deployment", Attempt { head: |h| h.deployment = DeploymentId::from_random([9; 16]), ..HONEST }),
        ("other_signer", Attempt { head: |h| h.writer = ticrypt_types::UserId::from_random([9; 16]), ..HONEST }),
        ("other_bundle", Attempt { head: |h| h.writer_bundle = Digest::new([9; 32]), ..HONEST }),
        ("clock_ahead", Attempt { head: |h| h.at = Timestamp::from_millis(NOW + 6 * 60_000), ..HONEST }),
        ("head_directory", Attempt { head: |h| h.directory = new_node(), ..HONEST }),
        ("head_counter", Attempt { head: |h| h.counter += 1, ..HONEST }),
        ("head_previous", Attempt { head: |h| h.previous = Some(Digest::new([9; 32])), ..HONEST }),
        ("head_epoch", Attempt { head: |h| h.epoch = 2, ..HONEST }),
        ("head_entries", Attempt { head: |h| h.entry_count = 2, ..HONEST }),
        ("head_entries", Attempt { head: |h| h.entries_root = Digest::new([9; 32]), ..HONEST }),
        ("no_authority", Attempt { head: |h| h.authority = Some(Digest::new([9; 32])), ..HONEST }),
        ("entry_parent", Attempt { entry: |e| e.parent = new_node(), ..HONEST }),
        ("entry_epoch", Attempt { entry: |e| e.parent_epoch = 2, ..HONEST }),
        ("entry_child_epoch", Attempt { entry: |e| e.child_epoch = 2, ..HONEST }),
        ("entry_without_keys", Attempt { entry: |e| (e.list_wrap, e.tree_wrap) = (vec![], vec![]), ..HONEST }),
        ("record_malformed", Attempt { entry: |e| e.name.push(0), ..HONEST }),
        ("manifest_file", Attempt { manifest: |m| m.file = new_node(), ..HONEST }),
        ("manifest_version", Attempt { manifest: |m| m.version = new_version(), ..HONEST }),
        ("manifest_chunks", Attempt { manifest: |m| m.chunk_root = Digest::new([9; 32]), ..HONEST }),
        ("manifest_sequence", Attempt { manifest: |m| (m.sequence, m.predecessor) = (2, Some(Digest::new([9; 32]))), ..HONEST }),
        ("chunk_malformed", Attempt { manifest: |m| m.size += 1, ..HONEST }),
        ("chunk_commitment", Attempt { manifest: |m| m.key_commitment = Digest::new([9; 32]), ..HONEST }),
        ("other_signer", Attempt { manifest: |m| m.writer = ticrypt_types::UserId::from_random([9; 16]), ..HONEST }),
        ("no_authority", Attempt { manifest: |m| m.authority = Some(Digest::new([9; 32])), ..HONEST }),
        // An entry of a directory comes with a head, not with a content.
        ("invalid", Attempt { entry: |e| e.kind = NodeKind::Directory, ..HONEST }),
    ];
    for (i, (expected, lie)) in lies.iter().enumerate() {
        let got = world.vault.create(&caller(&person), request(&person, &home, lie)).await;
        assert_eq!(code(got), *expected, "lie {i}");
        assert_eq!(world.counter(home.node).await, 1, "lie {i}");
    }
    assert!(world.list(&person, home.node).await.unwrap().directories[0].entries.is_empty());
    world.vault.create(&caller(&person), request(&person, &home, &HONEST)).await.unwrap();
}

#[tokio::test]
async fn bytes_that_are_not_what_was_signed() {
    let world = World::new().await;
    let (person, home) = world.housed("ada").await;
    let other = world.person("eve").await;
    let honest = || request(&person, &home, &HONEST);

    let mut foreign = honest();
    foreign.head = other.sign(&{
        let mut head = home.clone();
        head.entries.insert(new_node(), vec![1]);
        HeadPayload { writer: person.user, writer_bundle: person.bundle.hash(), ..head.next_head(&other) }
    });
    assert_eq!(code(world.vault.create(&caller(&person), foreign).await), "record_not_signed");

    let mut bent = honest();
    let last = bent.head.0.len() - 1;
    bent.head.0[last] ^= 1;
    assert_eq!(code(world.vault.create(&caller(&person), bent).await), "record_not_signed");

    let mut long = honest();
    long.nodes[0].entry.0.push(0);
    assert_eq!(code(world.vault.create(&caller(&person), long).await), "record_malformed");

    let mut chunk = honest();
    chunk.nodes[0].content.as_mut().unwrap().chunk.as_mut().unwrap().0[70] ^= 1;
    assert_eq!(code(world.vault.create(&caller(&person), chunk).await), "manifest_chunks");

    let mut hashes = honest();
    hashes.nodes[0].content.as_mut().unwrap().chunk_hashes = vec![Hash([1; 32])];
    assert_eq!(code(world.vault.create(&caller(&person), hashes).await), "manifest_chunks");

    let mut wrap = honest();
    wrap.nodes[0].content.as_mut().unwrap().content_wrap.0.pop();
    assert_eq!(code(world.vault.create(&caller(&person), wrap).await), "invalid");

    let mut absent = honest();
    absent.nodes[0].content.as_mut().unwrap().chunk = None;
    assert_eq!(code(world.vault.create(&caller(&person), absent).await), "upload_unknown");

    let mut none = honest();
    none.nodes.clear();
    assert_eq!(code(world.vault.create(&caller(&person), none).await), "invalid");
    assert_eq!(world.counter(home.node).await, 1);
}

#[tokio::test]
async fn a_home_that_is_not_ones_own() {
    let world = World::new().await;
    let (ada, eve) = (world.person("ada").await, world.person("eve").await);
    let (honest, _, terms) = crate::world::home_request(&ada);
    type Change = fn(&mut ticrypt_crypto::grant::GrantPayload, &Person);
    let lies: &[(&str, Change)] = &[
        ("grant_root", |g, _| g.verbs = ticrypt_types::Verbs::VIEW),
        ("grant_root", |g, _| g.epoch = 2),
        ("grant_root", |g, _| g.expires = Timestamp::from_millis(NOW + 9)),
        ("grant_root", |g, eve| g.recipient = eve.user),
        ("recipient_bundle", |g, eve| g.recipient_bundle = eve.bundle.hash()),
        ("head_directory", |g, _| g.node = new_node()),
    ];
    for (expected, lie) in lies {
        let mut bent = terms.clone();
        lie(&mut bent, &eve);
        let mut request = honest.clone();
        request.grant.grant = ada.sign(&bent);
        assert_eq!(code(world.vault.create_home(&caller(&ada), request).await), *expected);
    }
    // Somebody else's signed home is not one's own.
    assert_eq!(code(world.vault.create_home(&caller(&eve), honest.clone()).await), "record_not_signed");
    world.vault.create_home(&caller(&ada), honest).await.unwrap();
}

/// A new directory `a` with a file `name`, and `b` in it with another of the same name; each lie changes the list or a head.
#[tokio::test]
async fn a_subtree_comes_whole_or_not_at_all() {
    let world = World::new().await;
    let (person, home) = world.housed("ada").await;
    let request = |lie: &str| {
        let (mut home, mut files) = (home.clone(), Vec::new());
        let mut a = Directory::new(new_node(), Some(home.node), home.owner);
        let mut b = Directory::new(new_node(), Some(a.node), home.owner);
        files.push(small_file(&person, &mut b, "name", 10).1);
        let entry = a.put(&a.entry(b.node, NodeKind::Directory, 1, "b"));
        let b = NewNode { entry, head: Some(b.advance(&person)), content: None };
        files.push(small_file(&person, &mut a, "name", 10).1);
        let entry = home.put(&home.entry(a.node, NodeKind::Directory, 1, "a"));
        if lie == "head_entries" {
            a.entries.pop_last();
        }
        let head = Some(a.advance(&person));
        let a = NewNode { entry, head, content: None };
        let mut nodes = vec![a, b];
        nodes.append(&mut files);
        match lie {
            "entry_parent" => nodes.swap(0, 1),
            "lost" => drop(nodes.remove(1)),
            "short" => drop(nodes.pop()),
            _ => {}
        }
        CreateRequest { directory: home.node, head: home.advance(&person), nodes }
    };
    for (lie, expected) in
        [("head_entries", "head_entries"), ("entry_parent", "entry_parent"), ("lost", "entry_parent"), ("short", "head_entries")]
    {
        assert_eq!(code(world.vault.create(&caller(&person), request(lie)).await), expected, "{lie}");
        assert_eq!(world.counter(home.node).await, 1, "{lie}");
    }
    let honest = request("");
    world.vault.create(&caller(&person), honest.clone()).await.unwrap();
    // The answer was lost and the request comes again.
    world.vault.create(&caller(&person), honest.clone()).await.unwrap();
    let a = ticrypt_crypto::entry::Entry::parse(&honest.nodes[0].entry.0).unwrap().child;
    assert_eq!(world.list(&person, home.node).await.unwrap().directories[0].entries.len(), 1);
    assert_eq!(world.list(&person, a).await.unwrap().directories[0].entries.len(), 2);
}
