//! After a share ends nothing is written until there are new keys, and new keys leave nothing and nobody behind.

use ticrypt_api::grant::{GrantRevokeRequest, NewGrant};
use ticrypt_api::node::{NewNode, RekeyRequest, RekeyedNode, TrashQuery, TrashRequest};
use ticrypt_api::role::Vault;
use ticrypt_api::version::{PublishRequest, VersionListRequest};
use ticrypt_api::{Blob, Hash};
use ticrypt_crypto::Digest;
use ticrypt_crypto::grant::GrantPayload;
use ticrypt_types::{GrantId, NodeId, NodeKind, Verbs};

use crate::records::*;
use crate::world::{World, caller, code};

struct Scene {
    world: World,
    ada: Person,
    bob: Person,
    home: Directory,
    shared: Directory,
    kept: GrantPayload,
    file: NodeId,
    version: ticrypt_types::VersionId,
    first: ticrypt_crypto::manifest::ManifestPayload,
    trashed: NodeId,
}

/// Ada's directory with a file, and one in the trash; shared with Bob and with Carol, whose share has just ended.
async fn scene() -> Scene {
    let world = World::new().await;
    let (ada, mut home) = world.housed("ada").await;
    let (bob, carol) = (world.person("bob").await, world.person("carol").await);
    let mut shared = world.mkdir(&ada, &mut home, "shared").await;
    let file = new_node();
    let content = Content::new(5);
    let first = content.manifest(&ada, file, 1, None);
    let entry = shared.put(&shared.entry(file, NodeKind::File, 1, "f"));
    let new = NewNode { entry, head: None, content: Some(content.wire(ada.sign(&first), true)) };
    let (trashed, old) = small_file(&ada, &mut shared, "old", 5);
    world.create(&ada, &mut shared, vec![new, old]).await.unwrap();
    shared.entries.remove(&trashed);
    let request = TrashRequest { directory: shared.node, head: shared.advance(&ada), nodes: vec![trashed] };
    world.vault.trash(&caller(&ada), request).await.unwrap();
    let kept = world.share(&ada, &bob, &shared, Verbs::VIEW).await;
    let to_carol = GrantPayload {
        list_commitment: kept.list_commitment,
        tree_commitment: kept.tree_commitment,
        ..grant(&ada, &carol, shared.node, NodeKind::Directory, ada.user, Verbs::VIEW)
    };
    world.vault.create_grants(&caller(&ada), crate::sharing::one(&ada, &to_carol)).await.unwrap();
    let revoke = GrantRevokeRequest { revocation: ada.sign(&revocation(&ada, &to_carol)) };
    world.vault.revoke_grant(&caller(&ada), to_carol.grant, revoke).await.unwrap();
    Scene { version: content.version, world, ada, bob, home, shared, kept, file, first, trashed }
}

impl Scene {
    /// An honest request for new keys of the directory, and what the client then knows of the two directories.
    fn request(&self) -> (RekeyRequest, Directory, Directory) {
        let (mut home, mut shared) = (self.home.clone(), self.shared.clone());
        shared.epoch = 2;
        shared.entries.clear();
        let entries = vec![
            shared.put(&shared.entry(self.file, NodeKind::File, 1, "f")),
            Blob(ticrypt_crypto::record::Record::to_bytes(&shared.entry(self.trashed, NodeKind::File, 1, "old"))),
        ];
        let entry = home.put(&home.entry(shared.node, NodeKind::Directory, 2, "shared"));
        let terms = GrantPayload {
            grant: GrantId::from_random(random()),
            epoch: 2,
            list_commitment: Digest::new(random()),
            tree_commitment: Digest::new(random()),
            predecessor: Some(hash_of(&self.kept)),
            ..self.kept.clone()
        };
        let node = RekeyedNode {
            node: shared.node,
            epoch: 2,
            entry: Some(entry),
            entries,
            head: Some(shared.advance(&self.ada)),
            content_wraps: vec![],
            props_keys: vec![],
            grants: vec![NewGrant { grant: self.ada.sign(&terms), sealed: sealed(terms.verbs) }],
        };
        (RekeyRequest { parent_head: Some(home.advance(&self.ada)), nodes: vec![node] }, home, shared)
    }
}

#[tokio::test]
async fn writing_waits_for_new_keys_from_the_top_down() {
    let scene = scene().await;
    let Scene { world, ada, bob, file, .. } = &scene;
    let publish = || {
        let content = Content::new(9);
        let manifest = content.manifest(ada, *file, 2, Some(hash_of(&scene.first)));
        PublishRequest { file: *file, content: content.wire(ada.sign(&manifest), true) }
    };
    let mut attempt = scene.shared.clone();
    let (_, node) = small_file(ada, &mut attempt, "new", 1);
    let refused = world.create(ada, &mut attempt, vec![node]).await.unwrap_err();
    assert_eq!((refused.code.as_str(), &refused.nodes), ("epoch_closed", &vec![scene.shared.node]));
    let refused = world.vault.publish(&caller(ada), publish()).await.unwrap_err();
    assert_eq!((refused.code.as_str(), &refused.nodes), ("epoch_closed", &vec![scene.shared.node, *file]));
    assert!(world.list(ada, scene.shared.node).await.unwrap().directories[0].node.keys_stale);
    // The file alone cannot go first.
    let (request, home, mut shared) = scene.request();
    let file_keys = |shared: &mut Directory| {
        let node = RekeyedNode {
            node: *file,
            epoch: 2,
            entry: Some(shared.put(&shared.entry(*file, NodeKind::File, 2, "f"))),
            entries: vec![],
            head: None,
            content_wraps: vec![(scene.version, Blob(random_vec(60)))],
            props_keys: vec![(Hash(hash_of(&scene.first).to_bytes()), Blob(random_vec(60)))],
            grants: vec![],
        };
        RekeyRequest { parent_head: Some(shared.advance(ada)), nodes: vec![node] }
    };
    let early = world.vault.rekey(&caller(ada), file_keys(&mut scene.shared.clone())).await.unwrap_err();
    assert_eq!((early.code.as_str(), early.nodes), ("epoch_closed", vec![scene.shared.node]));
    world.vault.rekey(&caller(ada), request.clone()).await.unwrap();
    assert!(world.vault.rekey(&caller(ada), request).await.unwrap().opened.is_none(), "the same again");
    assert!(!world.list(ada, shared.node).await.unwrap().directories[0].node.keys_stale);
    assert!(world.list(bob, shared.node).await.is_ok(), "who remains, remains");
    // New files may come; the old one still waits for its own.
    let (_, node) = small_file(ada, &mut shared, "new", 1);
    world.create(ada, &mut shared, vec![node]).await.unwrap();
    let refused = world.vault.publish(&caller(ada), publish()).await.unwrap_err();
    assert_eq!((refused.code.as_str(), refused.nodes), ("epoch_closed", vec![*file]));
    for (bend, expected) in [(0, "rekey_contents"), (1, "rekey_props")] {
        let mut request = file_keys(&mut shared.clone());
        if bend == 0 {
            request.nodes[0].content_wraps.clear()
        } else {
            request.nodes[0].props_keys[0].0 = Hash([1; 32])
        }
        assert_eq!(code(world.vault.rekey(&caller(ada), request).await), expected);
    }
    world.vault.rekey(&caller(ada), file_keys(&mut shared)).await.unwrap();
    world.vault.publish(&caller(ada), publish()).await.unwrap();
    assert_eq!(world.counter(home.node).await, home.counter);
}

#[tokio::test]
async fn incomplete_or_false_new_keys_are_refused() {
    let scene = scene().await;
    let Scene { world, ada, bob, .. } = &scene;
    let reseal = |change: fn(&mut GrantPayload)| {
        let mut terms = GrantPayload {
            grant: GrantId::from_random(random()),
            epoch: 2,
            list_commitment: Digest::new([5; 32]),
            tree_commitment: Digest::new([6; 32]),
            predecessor: Some(hash_of(&scene.kept)),
            ..scene.kept.clone()
        };
        change(&mut terms);
        vec![NewGrant { grant: ada.sign(&terms), sealed: sealed(terms.verbs) }]
    };
    let (honest, _, _) = scene.request();
    let with = |change: &dyn Fn(&mut RekeyRequest)| {
        let mut request = honest.clone();
        change(&mut request);
        request
    };
    let old = scene.kept.list_commitment;
    let old_key = {
        let terms = GrantPayload {
            grant: GrantId::from_random(random()),
            epoch: 2,
            list_commitment: old,
            tree_commitment: Digest::new([6; 32]),
            predecessor: Some(hash_of(&scene.kept)),
            ..scene.kept.clone()
        };
        vec![NewGrant { grant: ada.sign(&terms), sealed: sealed(terms.verbs) }]
    };
    let lies = [
        ("rekey_entries", with(&|r| drop(r.nodes[0].entries.pop()))),
        ("rekey_entries", with(&|r| r.nodes[0].entries.extend_from_within(..1))),
        ("rekey_grants", with(&|r| r.nodes[0].grants.clear())),
        ("rekey_terms", with(&|r| r.nodes[0].grants = reseal(|g| g.verbs = Verbs::ALL))),
        ("grant_epoch", with(&|r| r.nodes[0].grants = reseal(|g| g.epoch = 1))),
        ("rekey_grants", with(&|r| r.nodes[0].grants = reseal(|g| g.predecessor = None))),
        ("rekey_keys", with(&|r| r.nodes[0].grants = old_key.clone())),
        ("rekey_entry", with(&|r| r.nodes[0].entry = None)),
        ("rekey_parent_head", with(&|r| r.parent_head = None)),
        ("rekey_head", with(&|r| r.nodes[0].head = None)),
        ("rekey_kind", with(&|r| r.nodes[0].props_keys.push((Hash([1; 32]), Blob(random_vec(60)))))),
        ("rekey_nodes", with(&|r| r.nodes.extend_from_within(..))),
        ("invalid", with(&|r| r.nodes.clear())),
        ("stale", with(&|r| r.nodes[0].epoch = 3)),
        (
            "head_counter",
            with(&|r| {
                let mut shared = scene.shared.clone();
                shared.epoch = 2;
                shared.counter += 1;
                r.nodes[0].head = Some(shared.advance(ada));
            }),
        ),
    ];
    for (i, (expected, request)) in lies.into_iter().enumerate() {
        assert_eq!(code(world.vault.rekey(&caller(ada), request).await), expected, "lie {i}");
    }
    // A root comes alone.
    let home = RekeyedNode { node: scene.home.node, ..honest.nodes[0].clone() };
    let both = RekeyRequest { nodes: vec![honest.nodes[0].clone(), home], ..honest.clone() };
    assert_eq!(code(world.vault.rekey(&caller(ada), both).await), "rekey_nodes");
    // Who only views makes no keys.
    assert_eq!(code(world.vault.rekey(&caller(bob), honest.clone()).await), "no_edit");
    assert_eq!(world.counter(scene.shared.node).await, scene.shared.counter);
    world.vault.rekey(&caller(ada), honest).await.unwrap();
}

fn record_hash(manifest: &Blob) -> Hash {
    let manifest: ticrypt_crypto::manifest::ManifestPayload = ticrypt_crypto::Envelope::parse(&manifest.0).unwrap().claimed().unwrap();
    Hash(hash_of(&manifest).to_bytes())
}

/// Everything in a directory, the trash too, under one head.
#[tokio::test]
async fn nodes_of_one_directory_get_new_keys_together() {
    let scene = scene().await;
    let Scene { world, ada, file, trashed, .. } = &scene;
    let (request, _, mut shared) = scene.request();
    world.vault.rekey(&caller(ada), request).await.unwrap();
    let listed = world.vault.trash_list(&caller(ada), TrashQuery { directory: Some(shared.node), ..TrashQuery::default() }).await.unwrap();
    assert_eq!(listed.body.entries.iter().map(|view| view.node.node).collect::<Vec<_>>(), [*trashed]);
    let files = VersionListRequest { files: vec![*trashed, *file] };
    let histories = world.vault.versions(&caller(ada), files).await.unwrap().body.files;
    assert_eq!(histories.iter().map(|history| history.file).collect::<Vec<_>>(), [*trashed, *file]);
    let entries = [
        Blob(ticrypt_crypto::record::Record::to_bytes(&shared.entry(*trashed, NodeKind::File, 2, "old"))),
        shared.put(&shared.entry(*file, NodeKind::File, 2, "f")),
    ];
    let nodes = histories.into_iter().zip(entries).map(|(history, entry)| RekeyedNode {
        node: history.file,
        epoch: 2,
        entry: Some(entry),
        entries: vec![],
        head: None,
        content_wraps: history.contents.iter().map(|stored| (stored.version, Blob(random_vec(60)))).collect(),
        props_keys: history.manifests.iter().map(|view| (record_hash(&view.manifest), Blob(random_vec(60)))).collect(),
        grants: vec![],
    });
    let request = RekeyRequest { parent_head: Some(shared.advance(ada)), nodes: nodes.collect() };
    let mut partial = request.clone();
    partial.nodes[0].props_keys.clear();
    assert_eq!(code(world.vault.rekey(&caller(ada), partial).await), "rekey_props");
    let reply = world.vault.rekey(&caller(ada), request.clone()).await.unwrap();
    assert_eq!(reply.body.head_counter, shared.counter);
    assert!(world.vault.rekey(&caller(ada), request).await.unwrap().opened.is_none(), "the same again");
    let view = world.list(ada, shared.node).await.unwrap().directories.remove(0);
    assert!(view.entries.iter().all(|entry| !entry.node.keys_stale && entry.node.epoch == 2));
}
