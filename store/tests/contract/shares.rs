//! Shares: giving, ending, expiring, and what closes with them.

use ticrypt_policy::Denial;
use ticrypt_policy::grant::{GrantTerms, may_create_grant, may_leave, may_revoke};
use ticrypt_policy::node as rules;
use ticrypt_policy::node::Home;
use ticrypt_policy::user::may_rotate_bundle;
use ticrypt_store::grant::{EndGrant, GrantNew};
use ticrypt_store::node::{Among, Counts, CreateNodes};
use ticrypt_store::{StoreError, Taken};
use ticrypt_types::{Timestamp, Verbs};

use crate::lab::{Db, MAKING, NOW, actor, at};

pub async fn a_share_opens_and_its_end_closes(db: Db) {
    let lab = db.open().await;
    let (owner, friend) = (lab.person(), lab.person());
    let home = lab.home(owner).await;
    let shared = lab.directory(owner, home, "shared").await;
    let file = lab.file(owner, shared, "file").await;
    assert_eq!(lab.facts(friend, file).await.access(&actor(friend), NOW), Err(Denial::NotFound));
    let grant = lab.share(owner, shared, friend, Verbs::VIEW.and(Verbs::EDIT)).await;
    assert!(rules::may_create(&actor(friend), &lab.facts(friend, shared).await, MAKING, NOW).is_ok());
    lab.file(friend, shared, "the friend's").await;
    let stored = lab.store.grant(grant.id).await.unwrap().unwrap();
    assert_eq!((stored.hash, stored.recipient, stored.verbs.bits(), stored.ended), (grant.hash, friend, 5, None));
    assert_eq!(lab.store.grant_by_hash(&grant.hash).await.unwrap().unwrap(), stored);
    let twice = GrantNew { hash: lab.digest(), ..grant.clone() };
    let terms = GrantTerms { recipient: friend, recipient_active: true, verbs: grant.verbs, expires: Timestamp::ABSENT, authority: None };
    let permit = may_create_grant(&actor(owner), &lab.facts(owner, shared).await, &terms, NOW).unwrap();
    assert!(matches!(lab.store.insert_grant(permit, twice).await, Err(StoreError::Taken(Taken::GrantId))));

    let before = lab.store.closure_seq().await.unwrap();
    lab.end(owner, &grant).await.unwrap();
    assert_eq!(lab.store.closure_seq().await.unwrap(), before + 1);
    let stored = lab.store.grant(grant.id).await.unwrap().unwrap();
    assert_eq!((stored.ended, stored.ended_by, stored.revocation), (Some(NOW), Some(owner), Some(b"revocation".to_vec())));
    for node in [shared, file] {
        assert_eq!(lab.facts(friend, node).await.access(&actor(friend), NOW), Err(Denial::NotFound));
        assert!(!lab.facts(owner, node).await.is_open());
    }
    assert_eq!(rules::may_create(&actor(owner), &lab.facts(owner, shared).await, MAKING, NOW), Err(Denial::EpochClosed));
    assert!(rules::may_create(&actor(owner), &lab.facts(owner, home).await, MAKING, NOW).is_ok(), "above it nothing closed");
    assert!(rules::may_list(&actor(owner), &lab.facts(owner, shared).await, NOW).is_ok());
    assert!(rules::may_rekey(&actor(owner), &lab.facts(owner, shared).await, NOW).is_ok());
}

pub async fn a_decision_from_before_an_end_is_stale(db: Db) {
    let lab = db.open().await;
    let (owner, friend) = (lab.person(), lab.person());
    let home = lab.home(owner).await;
    let shared = lab.directory(owner, home, "shared").await;
    let file = lab.file(owner, shared, "file").await;
    let grant = lab.share(owner, shared, friend, Verbs::ALL).await;
    let facts = lab.facts(friend, shared).await;
    let create = rules::may_create(&actor(friend), &facts, MAKING, NOW).unwrap();
    let publish = ticrypt_policy::version::may_publish(&actor(friend), &lab.facts(friend, file).await, NOW).unwrap();
    let trash = rules::may_trash(&actor(friend), &lab.facts(friend, file).await, NOW).unwrap();
    let terms = GrantTerms {
        recipient: lab.person(),
        recipient_active: true,
        verbs: Verbs::VIEW,
        expires: Timestamp::ABSENT,
        authority: Some(grant.hash),
    };
    let share = may_create_grant(&actor(friend), &facts, &terms, NOW).unwrap();
    let end = may_revoke(&actor(owner), &lab.facts(owner, shared).await, &lab.store.grant(grant.id).await.unwrap().unwrap().facts(), NOW)
        .unwrap();
    lab.end(owner, &grant).await.unwrap();

    let head = lab.next_head(shared).await;
    let new = CreateNodes { head: head.clone(), nodes: vec![lab.file_new(shared, "late", None)], created: NOW };
    assert!(matches!(lab.store.create_nodes(create, new).await, Err(StoreError::Stale("list of shares"))));
    assert!(matches!(lab.store.publish(publish, lab.small(b"late", 2, None)).await, Err(StoreError::Stale("list of shares"))));
    assert!(matches!(lab.store.trash(vec![trash], vec![head], NOW).await, Err(StoreError::Stale("list of shares"))));
    let reshare = GrantNew { authority: Some(grant.hash), ..lab.grant(shared, owner, friend, terms.recipient, Verbs::VIEW) };
    assert!(matches!(lab.store.insert_grant(share, reshare).await, Err(StoreError::Stale("list of shares"))));
    let twice = lab.store.end_grants(vec![EndGrant { permit: end, revocation: vec![], by: owner }], NOW).await;
    assert!(matches!(twice, Err(StoreError::Stale("share"))), "{twice:?}");
}

pub async fn leaving(db: Db) {
    let lab = db.open().await;
    let (owner, friend) = (lab.person(), lab.person());
    let home = lab.home(owner).await;
    let shared = lab.directory(owner, home, "shared").await;
    let grant = lab.share(owner, shared, friend, Verbs::VIEW).await;
    let facts = lab.store.grant(grant.id).await.unwrap().unwrap().facts();
    let permit = may_leave(&actor(friend), &lab.facts(friend, shared).await, &facts, NOW).unwrap();
    lab.store.leave_grant(permit, b"bye".to_vec(), NOW).await.unwrap();
    assert_eq!(lab.store.grant(grant.id).await.unwrap().unwrap().ended_by, Some(friend));
    assert!(!lab.facts(owner, shared).await.is_open());
    assert!(lab.store.shared_with(friend, NOW, None, 10).await.unwrap().is_empty());
}

pub async fn expiry_closes(db: Db) {
    let lab = db.open().await;
    let (owner, friend) = (lab.person(), lab.person());
    let home = lab.home(owner).await;
    let (soon, later) = (lab.directory(owner, home, "soon").await, lab.directory(owner, home, "later").await);
    let expiring = lab.share_until(owner, soon, friend, Verbs::ALL, at(2_000_000)).await;
    lab.share_until(owner, later, friend, Verbs::ALL, at(3_000_000)).await;
    assert_eq!(lab.store.end_expired(at(1_999_999)).await.unwrap(), []);
    assert!(lab.facts(owner, soon).await.is_open());
    assert_eq!(lab.facts(friend, soon).await.access(&actor(friend), at(2_000_000)), Err(Denial::NotFound), "even before it is ended");
    assert_eq!(lab.store.end_expired(at(2_000_000)).await.unwrap(), [expiring.id]);
    assert!(!lab.facts(owner, soon).await.is_open() && lab.facts(owner, later).await.is_open());
    let ended = lab.store.grant(expiring.id).await.unwrap().unwrap();
    assert_eq!((ended.ended, ended.ended_by), (Some(at(2_000_000)), None));
    assert_eq!(lab.store.end_expired(at(2_500_000)).await.unwrap(), []);
}

pub async fn new_terms_replace_old_ones(db: Db) {
    let lab = db.open().await;
    let (owner, friend) = (lab.person(), lab.person());
    let home = lab.home(owner).await;
    let shared = lab.directory(owner, home, "shared").await;
    let old = lab.share(owner, shared, friend, Verbs::ALL).await;
    let stale = rules::may_create(&actor(friend), &lab.facts(friend, shared).await, MAKING, NOW).unwrap();
    let terms = GrantTerms { recipient: friend, recipient_active: true, verbs: Verbs::VIEW, expires: Timestamp::ABSENT, authority: None };
    let facts = lab.facts(owner, shared).await;
    let permit = || may_create_grant(&actor(owner), &facts, &terms, NOW).unwrap();
    let new = GrantNew { predecessor: Some(old.hash), ..lab.grant(shared, owner, owner, friend, Verbs::VIEW) };
    let foreign = GrantNew { recipient: lab.person(), ..new.clone() };
    assert!(matches!(lab.store.insert_grant(permit(), foreign).await, Err(StoreError::Invalid(_))));
    lab.store.insert_grant(permit(), new.clone()).await.unwrap();
    assert!(lab.store.grant(old.id).await.unwrap().unwrap().ended.is_some());
    let facts_now = lab.facts(friend, shared).await;
    assert_eq!(facts_now.access(&actor(friend), NOW).unwrap().verbs, Verbs::VIEW);
    assert!(facts_now.is_open(), "they still read; there is nothing to close");
    let create = CreateNodes { head: lab.next_head(shared).await, nodes: vec![], created: NOW };
    assert!(matches!(lab.store.create_nodes(stale, create).await, Err(StoreError::Stale(_))), "decided on the old terms");
    let again = may_create_grant(&actor(owner), &lab.facts(owner, shared).await, &terms, NOW).unwrap();
    let after_end = GrantNew { predecessor: Some(old.hash), ..lab.grant(shared, owner, owner, friend, Verbs::VIEW) };
    assert!(matches!(lab.store.insert_grant(again, after_end).await, Err(StoreError::Stale("share"))));
}

pub async fn who_shares_what(db: Db) {
    let lab = db.open().await;
    let (owner, friend, third) = (lab.person(), lab.person(), lab.person());
    let home = lab.home(owner).await;
    let shared = lab.directory(owner, home, "shared").await;
    let given = lab.share(owner, shared, friend, Verbs::ALL).await;
    let facts = lab.facts(friend, shared).await;
    let terms =
        GrantTerms { recipient: third, recipient_active: true, verbs: Verbs::VIEW, expires: at(5_000_000), authority: Some(given.hash) };
    let permit = may_create_grant(&actor(friend), &facts, &terms, NOW).unwrap();
    let passed = GrantNew { authority: Some(given.hash), expires: at(5_000_000), ..lab.grant(shared, owner, friend, third, Verbs::VIEW) };
    lab.store.insert_grant(permit, passed.clone()).await.unwrap();
    let ids = |grants: Vec<ticrypt_store::grant::Grant>| grants.iter().map(|grant| grant.id).collect::<Vec<_>>();
    assert_eq!(ids(lab.store.shared_with(friend, NOW, None, 10).await.unwrap()), [given.id]);
    assert_eq!(ids(lab.store.shared_by(owner, NOW, None, 10).await.unwrap()), [given.id], "the seal of one's own root is no share");
    assert_eq!(ids(lab.store.shared_by(friend, NOW, None, 10).await.unwrap()), [passed.id]);
    assert_eq!(ids(lab.store.shared_by(friend, at(5_000_000), None, 10).await.unwrap()), []);
    assert_eq!(ids(lab.store.shared_with(owner, NOW, None, 10).await.unwrap()), []);
    assert_eq!(ids(lab.store.shared_with(friend, NOW, Some(given.id), 10).await.unwrap()), []);
    assert_eq!(ids(lab.store.grants_resting_on(&given.hash).await.unwrap()), [passed.id]);
    assert_eq!(lab.store.grants_on(&[home, shared]).await.unwrap().len(), 3);
    // Both end together, under one closure.
    let mut ends = Vec::new();
    for grant in [&given, &passed] {
        let stored = lab.store.grant(grant.id).await.unwrap().unwrap().facts();
        let permit = may_revoke(&actor(owner), &lab.facts(owner, shared).await, &stored, NOW).unwrap();
        ends.push(EndGrant { permit, revocation: vec![1], by: owner });
    }
    let before = lab.store.closure_seq().await.unwrap();
    lab.store.end_grants(ends, NOW).await.unwrap();
    assert_eq!(lab.store.closure_seq().await.unwrap(), before + 1);
    assert_eq!(ids(lab.store.grants_resting_on(&given.hash).await.unwrap()), []);
}

pub async fn a_compromised_identity_closes_what_it_reached(db: Db) {
    let lab = db.open().await;
    let user = lab.super_admin("user").await;
    let other = lab.person();
    let (own, foreign) = (lab.home(user).await, lab.home(other).await);
    let (shared, apart) = (lab.directory(other, foreign, "shared").await, lab.directory(other, foreign, "apart").await);
    lab.share(other, shared, user, Verbs::VIEW).await;
    let permit = may_rotate_bundle(&lab.actor(user).await, 0, NOW).unwrap();
    lab.store.rotate(permit, lab.bundle(user, 1), true).await.unwrap();
    assert_eq!(lab.store.user(user).await.unwrap().unwrap().epoch, 2);
    assert!(!lab.facts(user, own).await.is_open() && !lab.facts(other, shared).await.is_open());
    assert!(lab.facts(other, apart).await.is_open());
}

pub async fn what_was_sealed_to_a_lost_identity_is_dead(db: Db) {
    let lab = db.open().await;
    let admin = lab.super_admin("admin").await;
    let (friend, owner, third) = (lab.registered("friend").await, lab.person(), lab.person());
    let home = lab.home(owner).await;
    let [given, expired, left, apart] = [
        lab.directory(owner, home, "given").await,
        lab.directory(owner, home, "expired").await,
        lab.directory(owner, home, "left").await,
        lab.directory(owner, home, "apart").await,
    ];
    let dead = lab.share(owner, given, friend, Verbs::ALL).await;
    lab.share_until(owner, expired, friend, Verbs::VIEW, at(1_000_001)).await;
    let gone = lab.share(owner, left, friend, Verbs::VIEW).await;
    let facts = lab.store.grant(gone.id).await.unwrap().unwrap().facts();
    let leave = may_leave(&actor(friend), &lab.facts(friend, left).await, &facts, NOW).unwrap();
    lab.store.leave_grant(leave, Vec::new(), NOW).await.unwrap();
    lab.share(owner, apart, third, Verbs::VIEW).await;
    // What the friend gave on stands: nobody decided that they lose it.
    let terms =
        GrantTerms { recipient: third, recipient_active: true, verbs: Verbs::VIEW, expires: Timestamp::ABSENT, authority: Some(dead.hash) };
    let permit = may_create_grant(&actor(friend), &lab.facts(friend, given).await, &terms, NOW).unwrap();
    let passed = GrantNew { authority: Some(dead.hash), ..lab.grant(given, owner, friend, third, Verbs::VIEW) };
    lab.store.insert_grant(permit, passed.clone()).await.unwrap();
    // Decided before the reset, written after it.
    let to_friend = GrantTerms { recipient: friend, authority: None, ..terms };
    let late = may_create_grant(&actor(owner), &lab.facts(owner, apart).await, &to_friend, NOW).unwrap();

    lab.reset(admin, friend, at(1_000_001)).await;
    let late = lab.store.insert_grant(late, lab.grant(apart, owner, owner, friend, Verbs::VIEW)).await;
    assert!(matches!(late, Err(StoreError::Stale(_))), "{late:?}");
    let stored = lab.store.grant(dead.id).await.unwrap().unwrap();
    assert!(stored.is_dead() && !stored.facts().ended, "{stored:?}");
    assert_eq!(lab.facts(friend, given).await.access(&actor(friend), NOW), Err(Denial::NotFound));
    assert!(lab.store.shared_with(friend, at(1_000_001), None, 10).await.unwrap().is_empty());
    assert!(!lab.facts(owner, given).await.is_open() && lab.facts(owner, apart).await.is_open());
    assert_eq!(lab.store.grant(passed.id).await.unwrap().unwrap().ended, None);
    let ids = |grants: Vec<ticrypt_store::grant::Grant>| grants.iter().map(|grant| grant.id).collect::<Vec<_>>();
    assert_eq!(ids(lab.store.dead_by(owner, None, 10).await.unwrap()), [dead.id], "neither the expired nor the one that was left");
    assert_eq!(ids(lab.store.dead_by(owner, Some(dead.id), 10).await.unwrap()), []);
    assert_eq!(ids(lab.store.dead_by(friend, None, 10).await.unwrap()), []);
    assert_eq!(ids(lab.store.dead_on(given).await.unwrap()), [dead.id]);
    for node in [expired, left, apart] {
        assert_eq!(ids(lab.store.dead_on(node).await.unwrap()), []);
    }

    // Given again, it is no longer of interest; ended, it is again, until it is put away.
    let again = lab.share(owner, given, friend, Verbs::VIEW).await;
    assert_eq!(ids(lab.store.dead_on(given).await.unwrap()), []);
    assert_eq!(ids(lab.store.dead_by(owner, None, 10).await.unwrap()), []);
    lab.end(owner, &again).await.unwrap();
    assert_eq!(ids(lab.store.dead_on(given).await.unwrap()), [dead.id]);
    lab.end(owner, &dead).await.unwrap();
    assert_eq!(ids(lab.store.dead_on(given).await.unwrap()), []);
    let stored = lab.store.grant(dead.id).await.unwrap().unwrap();
    assert_eq!((stored.ended_by, stored.is_dead(), stored.facts().ended), (Some(owner), false, true));
}

pub async fn a_new_home_after_a_lost_one(db: Db) {
    let lab = db.open().await;
    let admin = lab.super_admin("admin").await;
    let (user, friend) = (lab.registered("user").await, lab.person());
    let old = lab.home(user).await;
    let shared = lab.directory(user, old, "shared").await;
    let file = lab.file(user, shared, "file").await;
    lab.share(user, shared, friend, Verbs::VIEW.and(Verbs::EDIT)).await;
    let mut early = lab.home_new(user);
    early.grant.recipient_bundle = lab.store.user(user).await.unwrap().unwrap().bundle;
    let permit = || rules::may_create_home(&actor(user), Home::Lost, NOW).unwrap();
    assert!(matches!(lab.store.create_home(permit(), early.clone()).await, Err(StoreError::Taken(Taken::Home))));
    assert!(rules::may_delete(&actor(user), &lab.facts(user, old).await, NOW).is_err(), "it opens");

    let bundle = lab.reset(admin, user, NOW).await;
    assert!(lab.store.home(user).await.unwrap().is_none());
    let lost = lab.store.lost_homes(user).await.unwrap();
    assert_eq!(lost.iter().map(|node| node.id).collect::<Vec<_>>(), [old]);
    // Those it is shared with go on in it.
    assert!(lab.facts(friend, shared).await.is_open());
    lab.file(friend, shared, "the friend's").await;
    // One decided on the lost identity comes too late; one under the new makes another tree.
    assert!(matches!(lab.store.create_home(permit(), early).await, Err(StoreError::Stale("identity"))));
    let mut new = lab.home_new(user);
    new.grant.recipient_bundle = bundle.hash;
    lab.store.create_home(permit(), new.clone()).await.unwrap();
    assert_eq!(lab.store.home(user).await.unwrap().unwrap().id, new.node);
    let mut twice = lab.home_new(user);
    twice.grant.recipient_bundle = bundle.hash;
    let second = lab.store.create_home(permit(), twice).await;
    assert!(matches!(second, Err(StoreError::Taken(Taken::Home))), "{second:?}");

    // The lost tree goes whole; the new one does not.
    assert_eq!(rules::may_delete(&actor(user), &lab.facts(user, new.node).await, NOW), Err(Denial::IsRoot));
    let permit = rules::may_delete(&actor(user), &lab.facts(user, old).await, NOW).unwrap();
    let deleted = lab.store.delete(vec![permit]).await.unwrap();
    assert_eq!(deleted.len(), 2);
    assert!(lab.store.lost_homes(user).await.unwrap().is_empty() && lab.store.node(file).await.unwrap().is_none());
    assert_eq!(lab.store.home(user).await.unwrap().unwrap().id, new.node);
}

pub async fn counted_alike_by_ids_and_by_place(db: Db) {
    let lab = db.open().await;
    let (owner, friend) = (lab.person(), lab.person());
    let home = lab.home(owner).await;
    let mut nodes = Vec::new();
    for name in ["a", "b", "c", "d"] {
        nodes.push(lab.directory(owner, home, name).await);
    }
    nodes.sort();
    let [alone, once, twice, over] = nodes[..] else { panic!("four were made") };
    lab.share(owner, once, friend, Verbs::VIEW).await;
    lab.share(owner, twice, friend, Verbs::VIEW).await;
    lab.share_until(owner, twice, lab.person(), Verbs::VIEW, at(2_000_000)).await;
    let ended = lab.share(owner, over, friend, Verbs::VIEW).await;
    lab.end(owner, &ended).await.unwrap();
    let shares = |shares| Counts { conflicts: 0, shares };
    for (now, of_twice) in [(at(1_999_999), 2), (at(2_000_000), 1)] {
        let by_ids = lab.store.counts(Among::These(&nodes), now).await.unwrap();
        assert_eq!(by_ids.into_iter().collect::<Vec<_>>(), [(once, shares(1)), (twice, shares(of_twice))]);
        let by_place = lab.store.counts(Among::Directory(home, alone..=twice), now).await.unwrap();
        assert_eq!(by_place.into_iter().collect::<Vec<_>>(), [(once, shares(1)), (twice, shares(of_twice))]);
        let a_part = lab.store.counts(Among::Directory(home, alone..=once), now).await.unwrap();
        assert_eq!(a_part.into_iter().collect::<Vec<_>>(), [(once, shares(1))]);
    }
    assert!(lab.store.counts(Among::These(&[]), NOW).await.unwrap().is_empty());
}
