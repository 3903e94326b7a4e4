//! Shares: within one's own, hidden like missing, ended with all that rests on them.

use std::sync::atomic::Ordering;

use ticrypt_api::grant::*;
use ticrypt_api::node::{DeleteRequest, StatRequest};
use ticrypt_api::role::{Outcome, Vault};
use ticrypt_api::version::{OpenItem, OpenRequest, VersionListRequest};
use ticrypt_crypto::Digest;
use ticrypt_crypto::grant::GrantPayload;
use ticrypt_types::{NodeKind, Operation, Timestamp, Verbs};

use crate::records::*;
use crate::world::{World, caller, code};

pub fn one(sealer: &Person, terms: &GrantPayload) -> GrantCreateRequest {
    GrantCreateRequest { grants: vec![NewGrant { grant: sealer.sign(terms), sealed: sealed(terms.verbs) }] }
}

#[tokio::test]
async fn what_is_hidden_answers_like_what_is_missing() {
    let world = World::new().await;
    let (ada, mut home) = world.housed("ada").await;
    let eve = world.person("eve").await;
    let (file, node) = small_file(&ada, &mut home, "f", 10);
    world.create(&ada, &mut home, vec![node]).await.unwrap();
    for node in [home.node, new_node()] {
        let missing = ticrypt_api::ApiError::not_found();
        assert_eq!(world.list(&eve, node).await.unwrap_err(), missing);
        let open = OpenRequest { items: vec![OpenItem { file: node, manifest: None }], keep: false };
        assert_eq!(world.vault.open(&caller(&eve), open).await.unwrap_err(), missing);
        assert_eq!(world.vault.versions(&caller(&eve), VersionListRequest { files: vec![node] }).await.unwrap_err(), missing);
        assert_eq!(world.vault.delete(&caller(&eve), DeleteRequest { nodes: vec![node] }).await.unwrap_err(), missing);
        let list = GrantListRequest { filter: GrantFilter::OnNode, node: Some(node), limit: 10, page: None };
        assert_eq!(world.vault.grants(&caller(&eve), list).await.unwrap_err(), missing);
        let mut directory = Directory::new(node, None, eve.user);
        directory.counter = 1;
        directory.head_hash = Some(Digest::new([1; 32]));
        let (_, new) = small_file(&eve, &mut directory, "x", 1);
        assert_eq!(world.create(&eve, &mut directory, vec![new]).await.unwrap_err(), missing);
        // Whatever the tags: a project that is not there would otherwise be spoken of first.
        let tags = vec![ticrypt_types::ProjectId::from_random(random())];
        let node = ticrypt_api::node::RekeyedNode {
            node,
            epoch: 2,
            entry: None,
            entries: vec![],
            head: None,
            content_wraps: vec![],
            props_keys: vec![],
            grants: vec![],
        };
        let tag = ticrypt_api::node::TagRequest { tags, parent_head: Some(directory.advance(&eve)), node };
        assert_eq!(world.vault.tag(&caller(&eve), tag).await.unwrap_err(), missing);
    }
    let stat = world.vault.stat(&caller(&eve), StatRequest { nodes: vec![file, new_node()] }).await.unwrap().body;
    assert!(stat.nodes.is_empty());
    let missing = ticrypt_types::VersionId::from_random(random());
    assert_eq!(world.vault.upload_status(&caller(&eve), missing).await.unwrap_err(), ticrypt_api::ApiError::not_found());
}

#[tokio::test]
async fn a_share_is_what_its_sealer_may_give() {
    let world = World::new().await;
    let (ada, mut home) = world.housed("ada").await;
    let (bob, carol) = (world.person("bob").await, world.person("carol").await);
    let shared = world.mkdir(&ada, &mut home, "shared").await;
    let view_share = Verbs::VIEW.and(Verbs::SHARE);
    let to_bob = world.share(&ada, &bob, &shared, view_share).await;
    // The same once more is the same.
    let again = world.vault.create_grants(&caller(&ada), one(&ada, &to_bob)).await;
    again.unwrap();
    assert_eq!(world.vault.roots(&caller(&bob)).await.unwrap().body.shared_with_me.len(), 1);
    assert!(world.list(&bob, shared.node).await.is_ok());

    let honest = GrantPayload {
        list_commitment: to_bob.list_commitment,
        tree_commitment: to_bob.tree_commitment,
        authority: Some(hash_of(&to_bob)),
        ..grant(&bob, &carol, shared.node, NodeKind::Directory, ada.user, Verbs::VIEW)
    };
    type Change = fn(&mut GrantPayload, &Person);
    let lies: &[(&str, Change)] = &[
        ("beyond_own", |g, _| g.verbs = Verbs::VIEW.and(Verbs::EDIT)),
        ("no_authority", |g, _| g.authority = Some(Digest::new([1; 32]))),
        ("grant_node", |g, _| g.kind = NodeKind::File),
        ("grant_epoch", |g, _| g.epoch = 2),
        ("grant_commitment", |g, _| g.list_commitment = Digest::new([1; 32])),
        ("recipient_bundle", |g, _| g.recipient_generation = 1),
        ("recipient_bundle", |g, bob| g.recipient_bundle = bob.bundle.hash()),
        ("recipient_has_all", |g, _| g.recipient = g.owner),
        ("recipient_inactive", |g, _| g.recipient = ticrypt_types::UserId::from_random([7; 16])),
        ("date_in_past", |g, _| g.expires = Timestamp::from_millis(NOW)),
        ("not_found", |g, _| g.node = new_node()),
        ("other_signer", |g, _| g.sealer = ticrypt_types::UserId::from_random([7; 16])),
    ];
    for (i, (expected, lie)) in lies.iter().enumerate() {
        let mut bent = honest.clone();
        lie(&mut bent, &bob);
        assert_eq!(code(world.vault.create_grants(&caller(&bob), one(&bob, &bent)).await), *expected, "lie {i}");
    }
    let mut short = one(&bob, &honest);
    short.grants[0].sealed.0.pop();
    assert_eq!(code(world.vault.create_grants(&caller(&bob), short).await), "grant_sealed");
    world.vault.create_grants(&caller(&bob), one(&bob, &honest)).await.unwrap();
    // Less is not given by replacing, more is.
    let less = GrantPayload { predecessor: Some(hash_of(&to_bob)), verbs: Verbs::VIEW, ..to_bob.clone() };
    let less = GrantPayload { grant: ticrypt_types::GrantId::from_random(random()), ..less };
    assert_eq!(code(world.vault.create_grants(&caller(&ada), one(&ada, &less)).await), "grant_takes_away");
    let more = GrantPayload { verbs: Verbs::ALL, ..less };
    world.vault.create_grants(&caller(&ada), one(&ada, &more)).await.unwrap();
    // Ending the new one ends what was given under the one it replaced.
    let list = |filter, node| GrantListRequest { filter, node, limit: 10, page: None };
    let given = world.vault.grants(&caller(&ada), list(GrantFilter::ByMe, None)).await.unwrap().body.grants;
    assert_eq!(given.len(), 2, "her own and the one in her tree");
    let revoke = GrantRevokeRequest { revocation: ada.sign(&revocation(&ada, &more)) };
    let ended = world.vault.revoke_grant(&caller(&ada), more.grant, revoke.clone()).await.unwrap().body;
    assert_eq!((ended.node, ended.ended), (shared.node, 2));
    assert_eq!(code(world.vault.revoke_grant(&caller(&ada), more.grant, revoke).await), "already_ended");
    for person in [&bob, &carol] {
        assert_eq!(code(world.list(person, shared.node).await), "not_found");
        assert!(world.vault.roots(&caller(person)).await.unwrap().body.shared_with_me.is_empty());
    }
}

#[tokio::test]
async fn who_may_end_a_share() {
    let world = World::new().await;
    let (ada, mut home) = world.housed("ada").await;
    let (bob, carol, eve) = (world.person("bob").await, world.person("carol").await, world.person("eve").await);
    let shared = world.mkdir(&ada, &mut home, "shared").await;
    let to_bob = world.share(&ada, &bob, &shared, Verbs::ALL).await;
    let on = GrantPayload {
        list_commitment: to_bob.list_commitment,
        tree_commitment: to_bob.tree_commitment,
        authority: Some(hash_of(&to_bob)),
        ..grant(&bob, &carol, shared.node, NodeKind::Directory, ada.user, Verbs::ALL)
    };
    world.vault.create_grants(&caller(&bob), one(&bob, &on)).await.unwrap();
    let third = GrantPayload { authority: Some(hash_of(&on)), ..GrantPayload { verbs: Verbs::VIEW, ..on.clone() } };
    let third = GrantPayload {
        grant: ticrypt_types::GrantId::from_random(random()),
        sealer: carol.user,
        sealer_bundle: carol.bundle.hash(),
        recipient: eve.user,
        recipient_bundle: eve.bundle.hash(),
        ..third
    };
    world.vault.create_grants(&caller(&carol), one(&carol, &third)).await.unwrap();
    let revoke = |by: &Person, terms: &GrantPayload| GrantRevokeRequest { revocation: by.sign(&revocation(by, terms)) };
    assert_eq!(code(world.vault.revoke_grant(&caller(&carol), to_bob.grant, revoke(&carol, &to_bob)).await), "not_yours");
    let stranger = world.person("stranger").await;
    assert_eq!(code(world.vault.revoke_grant(&caller(&stranger), on.grant, revoke(&stranger, &on)).await), "not_found");
    assert_eq!(code(world.vault.revoke_grant(&caller(&bob), on.grant, revoke(&bob, &to_bob)).await), "revocation_grant");
    assert_eq!(code(world.vault.leave_grant(&caller(&bob), on.grant).await), "not_found");
    // Bob ends what he gave Carol; what she gave on falls too, though he did not seal it.
    assert_eq!(world.vault.revoke_grant(&caller(&bob), on.grant, revoke(&bob, &on)).await.unwrap().body.ended, 2);
    assert_eq!(code(world.list(&eve, shared.node).await), "not_found");
    assert!(world.list(&bob, shared.node).await.is_ok());
    assert_eq!(world.vault.leave_grant(&caller(&bob), to_bob.grant).await.unwrap().body.ended, 1);
    assert_eq!(code(world.list(&bob, shared.node).await), "not_found");
}

#[tokio::test]
async fn a_writer_under_a_share_is_believed_by_its_chain() {
    let world = World::new().await;
    let (ada, mut home) = world.housed("ada").await;
    let bob = world.person("bob").await;
    let mut shared = world.mkdir(&ada, &mut home, "shared").await;
    let terms = world.share(&ada, &bob, &shared, Verbs::VIEW.and(Verbs::EDIT)).await;
    let (_, unnamed) = small_file(&bob, &mut shared.clone(), "f", 10);
    let mut attempt = shared.clone();
    attempt.put(&ticrypt_crypto::record::Record::parse(&unnamed.entry.0).unwrap());
    assert_eq!(code(world.create(&bob, &mut attempt, vec![unnamed]).await), "no_authority");
    shared.authority = Some(hash_of(&terms));
    let (_, node) = small_file(&bob, &mut shared, "f", 10);
    world.create(&bob, &mut shared, vec![node]).await.unwrap();
    let listed = world.list(&ada, shared.node).await.unwrap();
    assert_eq!(listed.grants.len(), 1, "the one grant, once");
    // He edits what is in the directory, not the directory's own entry, and deletes nothing for good.
    let renamed = home.put(&home.entry(shared.node, NodeKind::Directory, 1, "mine"));
    let request = ticrypt_api::node::RenameRequest { directory: home.node, head: bob.sign(&home.next_head(&bob)), entry: renamed };
    assert_eq!(code(world.vault.rename(&caller(&bob), request).await), "no_edit");
    assert_eq!(code(world.vault.delete(&caller(&bob), DeleteRequest { nodes: vec![shared.node] }).await), "not_owner");
}

/// Nobody is let in by a share past its time; ending it closes the node, audited like any change.
#[tokio::test]
async fn a_share_past_its_time_ends_by_the_clock() {
    let world = World::new().await;
    let (ada, mut home) = world.housed("ada").await;
    let bob = world.person("bob").await;
    let mut shared = world.mkdir(&ada, &mut home, "shared").await;
    let terms = GrantPayload {
        expires: Timestamp::from_millis(NOW + 1_000),
        ..grant(&ada, &bob, shared.node, NodeKind::Directory, ada.user, Verbs::VIEW)
    };
    world.vault.create_grants(&caller(&ada), one(&ada, &terms)).await.unwrap();
    assert_eq!(world.vault.expire_grants(Timestamp::from_millis(NOW + 999)).await.unwrap(), 0);
    assert!(world.audit.outcomes(Operation::GrantExpire).is_empty(), "nothing to do leaves no row");
    world.audit.refuse_open.store(true, Ordering::SeqCst);
    world.vault.expire_grants(Timestamp::from_millis(NOW + 1_000)).await.unwrap_err();
    world.audit.refuse_open.store(false, Ordering::SeqCst);
    assert!(!world.list(&ada, shared.node).await.unwrap().directories[0].node.keys_stale, "no row, no change");
    assert_eq!(world.vault.expire_grants(Timestamp::from_millis(NOW + 1_000)).await.unwrap(), 1);
    assert_eq!(world.audit.outcomes(Operation::GrantExpire), [Outcome::Done]);
    assert!(world.list(&ada, shared.node).await.unwrap().directories[0].node.keys_stale);
    let (_, node) = small_file(&ada, &mut shared, "new", 1);
    assert_eq!(world.create(&ada, &mut shared, vec![node]).await.unwrap_err().code, "epoch_closed");
}
