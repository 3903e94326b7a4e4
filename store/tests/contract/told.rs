//! What people are told: with the change that causes it or not at all, in order, the newest kept.

use std::time::Duration;

use futures::FutureExt;
use ticrypt_policy::grant::{GrantTerms, may_create_grant, may_leave, may_revoke};
use ticrypt_policy::notification::may_read_notifications;
use ticrypt_policy::user::{Registration, RegistrationFacts, may_register, may_set_permissions, may_set_rank};
use ticrypt_store::StoreError;
use ticrypt_store::grant::{EndGrant, GrantNew};
use ticrypt_store::notification::{Notification, Reading};
use ticrypt_store::user::UserNew;
use ticrypt_types::limits::NOTIFICATIONS_KEPT;
use ticrypt_types::{GrantId, NodeId, NotificationKind as Kind, Permission, Permissions, Rank, Timestamp, UserId, Verbs};

use crate::lab::{Db, Lab, NOW, actor, at};
use crate::people;

/// All that is kept of one person, the oldest first.
async fn told(lab: &Lab, user: UserId) -> Vec<Notification> {
    let mut newest_first = lab.store.notifications(user, None, 2_000).await.unwrap();
    newest_first.reverse();
    assert_eq!(newest_first, lab.store.notifications_after(user, 0, 2_000).await.unwrap());
    newest_first
}

async fn kinds(lab: &Lab, user: UserId) -> Vec<Kind> {
    told(lab, user).await.into_iter().map(|notification| notification.kind.unwrap()).collect()
}

fn one(sequence: u64, kind: Kind, share: Option<(GrantId, NodeId)>, other: UserId, at: Timestamp) -> Notification {
    let (grant, node) = share.unzip();
    Notification {
        sequence,
        kind: Some(kind),
        grant,
        node,
        group: None,
        team: None,
        project: None,
        requirement: None,
        ends: None,
        other: Some(other),
        at,
    }
}

pub async fn both_sides_of_a_share_are_told_but_not_who_acts(db: Db) {
    let lab = db.open().await;
    let (owner, friend) = (lab.person(), lab.person());
    let home = lab.home(owner).await;
    let shared = lab.directory(owner, home, "shared").await;
    let grant = lab.share(owner, shared, friend, Verbs::VIEW).await;
    let share = Some((grant.id, shared));
    assert_eq!(told(&lab, friend).await, [one(1, Kind::ShareGiven, share, owner, NOW)]);
    // A write that fails tells nobody.
    let facts = lab.facts(owner, shared).await;
    let terms = GrantTerms { recipient: friend, recipient_active: true, verbs: Verbs::VIEW, expires: Timestamp::ABSENT, authority: None };
    let permit = may_create_grant(&actor(owner), &facts, &terms, NOW).unwrap();
    lab.store.insert_grant(permit, GrantNew { hash: lab.digest(), ..grant.clone() }).await.unwrap_err();
    lab.end(owner, &grant).await.unwrap();
    assert_eq!(told(&lab, friend).await[1..], [one(2, Kind::ShareEnded, share, owner, NOW)]);

    // Who leaves knows; who gave it is told.
    let other = lab.directory(owner, home, "other").await;
    let grant = lab.share(owner, other, friend, Verbs::VIEW).await;
    let facts = lab.store.grant(grant.id).await.unwrap().unwrap().facts();
    let permit = may_leave(&actor(friend), &lab.facts(friend, other).await, &facts, NOW).unwrap();
    lab.store.leave_grant(permit, b"bye".to_vec(), NOW).await.unwrap();
    assert_eq!(told(&lab, owner).await, [one(1, Kind::GivenShareEnded, Some((grant.id, other)), friend, NOW)]);
    assert_eq!(kinds(&lab, friend).await.len(), 3, "given twice, ended once");

    // By the clock nobody acts, so both are told.
    let third = lab.directory(owner, home, "third").await;
    lab.share_until(owner, third, friend, Verbs::VIEW, at(2_000_000)).await;
    lab.store.end_expired(at(2_000_001)).await.unwrap();
    assert_eq!(kinds(&lab, friend).await[3..], [Kind::ShareGiven, Kind::ShareEnded]);
    assert_eq!(kinds(&lab, owner).await, [Kind::GivenShareEnded; 2]);

    // Freer terms are given; the ones they replace have not ended for anybody.
    let fourth = lab.directory(owner, home, "fourth").await;
    let old = lab.share(owner, fourth, friend, Verbs::VIEW).await;
    let terms = GrantTerms { verbs: Verbs::ALL, ..terms };
    let permit = may_create_grant(&actor(owner), &lab.facts(owner, fourth).await, &terms, NOW).unwrap();
    let new = GrantNew { predecessor: Some(old.hash), ..lab.grant(fourth, owner, owner, friend, Verbs::ALL) };
    lab.store.insert_grant(permit, new).await.unwrap();
    assert_eq!(kinds(&lab, friend).await[5..], [Kind::ShareGiven; 2]);
    assert_eq!(kinds(&lab, owner).await.len(), 2);
}

pub async fn what_falls_with_a_share_is_told_to_those_it_hits(db: Db) {
    let lab = db.open().await;
    let (owner, friend, third) = (lab.person(), lab.person(), lab.person());
    let home = lab.home(owner).await;
    let shared = lab.directory(owner, home, "shared").await;
    let given = lab.share(owner, shared, friend, Verbs::ALL).await;
    let terms = GrantTerms {
        recipient: third,
        recipient_active: true,
        verbs: Verbs::VIEW,
        expires: Timestamp::ABSENT,
        authority: Some(given.hash),
    };
    let permit = may_create_grant(&actor(friend), &lab.facts(friend, shared).await, &terms, NOW).unwrap();
    let passed = GrantNew { authority: Some(given.hash), ..lab.grant(shared, owner, friend, third, Verbs::VIEW) };
    lab.store.insert_grant(permit, passed.clone()).await.unwrap();
    // The friend gives theirs back: theirs and what they passed on end by their act, in the owner's right.
    let mut ends = Vec::new();
    for grant in [&given, &passed] {
        let stored = lab.store.grant(grant.id).await.unwrap().unwrap().facts();
        let permit = may_revoke(&actor(owner), &lab.facts(owner, shared).await, &stored, NOW).unwrap();
        ends.push(EndGrant { permit, revocation: vec![], by: friend });
    }
    lab.store.end_grants(ends, NOW).await.unwrap();
    assert_eq!(kinds(&lab, friend).await, [Kind::ShareGiven]);
    assert_eq!(kinds(&lab, owner).await, [Kind::GivenShareEnded]);
    assert_eq!(
        told(&lab, third).await,
        [
            one(1, Kind::ShareGiven, Some((passed.id, shared)), friend, NOW),
            one(2, Kind::ShareEnded, Some((passed.id, shared)), friend, NOW)
        ]
    );
}

pub async fn accounts_and_those_who_activate_them_are_told(db: Db) {
    let lab = db.open().await;
    let admin = lab.super_admin("admin").await;
    let user = people::activated(&lab, admin, "user").await;
    assert_eq!(told(&lab, admin).await, [one(1, Kind::RegistrationWaiting, None, user, NOW)]);
    assert_eq!(told(&lab, user).await, [one(1, Kind::AccountActivated, None, admin, NOW)]);
    let later = lab.registered("later").await;
    assert_eq!(kinds(&lab, user).await.len(), 1, "no rank, no registrations");
    let facts = lab.store.user_facts(user, NOW).await.unwrap().unwrap();
    let permit = may_set_rank(&lab.actor(admin).await, &facts, Rank::SubAdmin, NOW).unwrap();
    lab.store.set_rank(permit, Rank::SubAdmin, lab.statement(user, 4)).await.unwrap();
    let last = lab.registered("last").await;
    let waits = |sequence, who| one(sequence, Kind::RegistrationWaiting, None, who, NOW);
    // A sub-admin looks after their teams, in which nobody is who only registered.
    assert_eq!(told(&lab, user).await[1..], [one(2, Kind::RankChanged, None, admin, NOW)]);
    assert_eq!(told(&lab, admin).await[1..], [waits(2, later), waits(3, last)]);

    // A share that died with its recipient's identity is to be given again by who gave it; put away later it ends for nobody.
    let home = lab.home(admin).await;
    let shared = lab.directory(admin, home, "shared").await;
    let grant = lab.share(admin, shared, user, Verbs::VIEW).await;
    let before = kinds(&lab, user).await;
    lab.reset(admin, user, at(NOW.as_millis() + 1)).await;
    assert_eq!(kinds(&lab, admin).await[3..], [Kind::GivenShareEnded]);
    lab.end(admin, &grant).await.unwrap();
    assert_eq!(kinds(&lab, user).await, before);
    assert_eq!(kinds(&lab, admin).await.len(), 4);
}

pub async fn registrations_are_told_to_who_may_activate_them(db: Db) {
    let lab = db.open().await;
    let root = lab.super_admin("root").await;
    let (able, unable, below) = (lab.active("able").await, lab.active("unable").await, lab.active("below").await);
    let me = lab.actor(root).await;
    for (user, permissions, rank) in [
        (able, Permissions::NONE.with(Permission::UserActivate), Some(Rank::Admin)),
        (unable, Permissions::basic(), Some(Rank::Admin)),
        (below, Permissions::all(), None),
    ] {
        let account = lab.store.user(user).await.unwrap().unwrap();
        if account.permissions != permissions {
            let facts = lab.store.user_facts(user, NOW).await.unwrap().unwrap();
            let permit = may_set_permissions(&me, &facts, account.permissions, permissions, NOW).unwrap();
            lab.store.set_permissions(permit, permissions).await.unwrap();
        }
        if let Some(rank) = rank {
            let facts = lab.store.user_facts(user, NOW).await.unwrap().unwrap();
            lab.store.set_rank(may_set_rank(&me, &facts, rank, NOW).unwrap(), rank, lab.statement(user, 4)).await.unwrap();
        }
    }
    lab.registered("new").await;
    let mut hear = Vec::new();
    for user in [root, able, unable, below] {
        hear.push(kinds(&lab, user).await.last() == Some(&Kind::RegistrationWaiting));
    }
    assert_eq!(hear, [true, true, false, false]);
}

async fn register_many(lab: &Lab, prefix: &str, count: usize) {
    let new: Vec<_> = (0..count)
        .map(|n| {
            let user = lab.person();
            let facts = RegistrationFacts { user, registration: Registration::Open, name_taken: false };
            let name = format!("{prefix}{n}").parse().unwrap();
            (may_register(&facts, NOW).unwrap(), UserNew { id: user, name, created: NOW }, lab.bundle(user, 0))
        })
        .collect();
    let all = lab.store.write(move |tx| {
        async move {
            for (permit, user, bundle) in new {
                tx.register(permit, user, bundle).await?;
            }
            Ok(())
        }
        .boxed()
    });
    all.await.unwrap();
}

pub async fn sequences_have_no_gaps_and_the_newest_are_kept(db: Db) {
    let lab = db.open().await;
    let admin = lab.super_admin("admin").await;
    // Many writers at once.
    let names: Vec<String> = (0..30).map(|n| format!("writer{n}")).collect();
    futures::future::join_all(names.iter().map(|name| lab.registered(name))).await;
    let sequences = |told: Vec<Notification>| told.into_iter().map(|one| one.sequence).collect::<Vec<_>>();
    assert_eq!(sequences(told(&lab, admin).await), (1..=30).collect::<Vec<_>>());
    register_many(&lab, "many", 975).await;
    let kept = sequences(told(&lab, admin).await);
    assert_eq!((kept.len() as u64, kept[0], kept[999]), (NOTIFICATIONS_KEPT, 6, 1_005));
    assert!(kept.windows(2).all(|pair| pair[0] + 1 == pair[1]));
    assert_eq!(lab.store.reading(admin).await.unwrap(), Reading { newest: 1_005, read: 0, unread: 1_000 });
    assert_eq!(sequences(lab.store.notifications(admin, Some(1_005), 2).await.unwrap()), [1_004, 1_003]);
    assert_eq!(sequences(lab.store.notifications_after(admin, 1_002, 2).await.unwrap()), [1_003, 1_004]);
}

pub async fn reading_moves_on_and_never_back(db: Db) {
    let lab = db.open().await;
    let admin = lab.super_admin("admin").await;
    assert_eq!(lab.store.reading(admin).await.unwrap(), Reading::default());
    register_many(&lab, "some", 5).await;
    let read = async |up_to| {
        let permit = may_read_notifications(&lab.actor(admin).await, NOW).unwrap();
        lab.store.read_notifications(permit, up_to).await.unwrap();
        let Reading { newest, read, unread } = lab.store.reading(admin).await.unwrap();
        assert_eq!((newest, unread), (5, 5 - read));
        read
    };
    assert_eq!(read(2).await, 2);
    assert_eq!(read(1).await, 2);
    assert_eq!(read(u64::MAX).await, 5, "no further than there is");
    register_many(&lab, "more", 1).await;
    assert_eq!(lab.store.reading(admin).await.unwrap().unread, 1);
}

pub async fn a_wake_up_comes_with_the_commit_and_to_nobody_else(db: Db) {
    let lab = db.open().await;
    let admin = lab.super_admin("admin").await;
    let (mut news, quiet) = (lab.store.news_of(admin), lab.store.news_of(lab.person()));
    let undone = lab.store.write::<(), _>(|tx| {
        async move {
            let user = UserId::from_random([9; 16]);
            let facts = RegistrationFacts { user, registration: Registration::Open, name_taken: false };
            let new = UserNew { id: user, name: "undone".parse().unwrap(), created: NOW };
            let bundle = ticrypt_store::user::Bundle {
                hash: [9; 32],
                user,
                generation: 0,
                bytes: vec![1],
                log_index: 0,
                log_leaf: vec![1],
                created: NOW,
            };
            tx.register(may_register(&facts, NOW).unwrap(), new, bundle).await?;
            Err(StoreError::Invalid("on purpose"))
        }
        .boxed()
    });
    undone.await.unwrap_err();
    assert!(!news.has_changed().unwrap() && told(&lab, admin).await.is_empty(), "undone with the change");
    let user = lab.registered("user").await;
    tokio::time::timeout(Duration::from_secs(5), news.changed()).await.expect("a wake-up").unwrap();
    assert_eq!(told(&lab, admin).await, [one(1, Kind::RegistrationWaiting, None, user, NOW)]);
    assert!(!quiet.has_changed().unwrap());
}
