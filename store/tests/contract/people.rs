//! Accounts, identities, sessions, settings, audit rows.

use ticrypt_policy::session::{SessionFacts, may_end_session, may_login};
use ticrypt_policy::user::{may_activate, may_bootstrap, may_deactivate, may_disable, may_reset, may_rotate_bundle, may_set_rank};
use ticrypt_policy::{Denial, PeopleScope, Scope};
use ticrypt_store::audit::Subject;
use ticrypt_store::session::SessionNew;
use ticrypt_store::user::UserNew;
use ticrypt_store::{StoreError, Taken};
use ticrypt_types::user::InactiveCause;
use ticrypt_types::{Rank, Timestamp, UserId, UserState};

use crate::lab::{Db, Lab, NOW, at};

pub async fn the_first_account_is_made_once(db: Db) {
    let lab = db.open().await;
    assert!(!lab.store.has_users().await.unwrap());
    // Two operators at once: both rules said yes.
    let (first, second) = (lab.person(), lab.person());
    let permits = [first, second].map(|user| may_bootstrap(user, false).unwrap());
    let mut outcomes = Vec::new();
    for (permit, (user, name)) in permits.into_iter().zip([(first, "first"), (second, "second")]) {
        let new = UserNew { id: user, name: name.parse().unwrap(), created: NOW };
        outcomes.push(lab.store.bootstrap(permit, new, lab.bundle(user, 0), lab.statement(user, 0)).await);
    }
    assert!(outcomes[0].is_ok() && matches!(outcomes[1], Err(StoreError::Stale(_))), "{outcomes:?}");
    let user = lab.store.user_by_name(&"first".parse().unwrap()).await.unwrap().unwrap();
    assert_eq!((user.id, user.rank, user.state), (first, Rank::SuperAdmin, UserState::Active));
    assert!(lab.store.user(second).await.unwrap().is_none());
    assert_eq!(lab.store.bundle(&user.bundle).await.unwrap().unwrap().user, first);
    assert_eq!(lab.store.statements_of(first).await.unwrap()[0].action, 0);
}

pub async fn accounts_change_on_the_revision_decided_on(db: Db) {
    let lab = db.open().await;
    let admin = lab.super_admin("admin").await;
    let user = lab.registered("ab").await;
    let taken = lab.store.user_by_name(&"ab".parse().unwrap()).await.unwrap().unwrap();
    assert_eq!((taken.id, taken.state, taken.rank), (user, UserState::Pending, Rank::User));
    let again = std::panic::AssertUnwindSafe(register(&lab, "ab")).await;
    assert!(matches!(again, Err(StoreError::Taken(Taken::UserName))), "{again:?}");

    let me = lab.actor(admin).await;
    let facts = lab.store.user_facts(user, NOW).await.unwrap().unwrap();
    let (once, twice) = (may_activate(&me, &facts, NOW).unwrap(), may_activate(&me, &facts, NOW).unwrap());
    lab.store.activate(once, lab.statement(user, 1)).await.unwrap();
    assert!(matches!(lab.store.activate(twice, lab.statement(user, 1)).await, Err(StoreError::Stale("user"))));
    let facts = lab.store.user_facts(user, NOW).await.unwrap().unwrap();
    assert_eq!((facts.state, facts.active_super_admins), (UserState::Active, 1));
    assert_eq!(lab.store.statements_of(user).await.unwrap().len(), 1, "the stale write left nothing");

    let permit = may_set_rank(&me, &facts, Rank::SubAdmin, NOW).unwrap();
    lab.store.set_rank(permit, Rank::SubAdmin, lab.statement(user, 4)).await.unwrap();
    let promoted = lab.store.user(user).await.unwrap().unwrap();
    assert_eq!((promoted.rank, promoted.epoch), (Rank::SubAdmin, 1), "gaining keeps the epoch");
    // A statement about somebody else is refused.
    let facts = lab.store.user_facts(user, NOW).await.unwrap().unwrap();
    let permit = may_set_rank(&me, &facts, Rank::User, NOW).unwrap();
    assert!(matches!(lab.store.set_rank(permit, Rank::User, lab.statement(admin, 4)).await, Err(StoreError::Invalid(_))));
    assert_eq!(lab.store.user(user).await.unwrap().unwrap().rank, Rank::SubAdmin);
    assert!(lab.store.user_facts(lab.person(), NOW).await.unwrap().is_none());
}

async fn register(lab: &Lab, name: &str) -> Result<(), StoreError> {
    let user = lab.person();
    let facts = ticrypt_policy::user::RegistrationFacts { user, registration: ticrypt_policy::user::Registration::Open, name_taken: false };
    let permit = ticrypt_policy::user::may_register(&facts, NOW).unwrap();
    lab.store.register(permit, UserNew { id: user, name: name.parse().unwrap(), created: NOW }, lab.bundle(user, 0)).await
}

pub async fn begin(lab: &Lab, user: UserId) -> SessionNew {
    let permit = may_login(&lab.store.login_facts(user).await.unwrap().unwrap(), NOW).unwrap();
    let session = session_new(lab);
    lab.store.begin_session(permit, session.clone()).await.unwrap();
    session
}

fn session_new(lab: &Lab) -> SessionNew {
    SessionNew {
        id: lab.session_id(),
        token_hash: lab.digest(),
        session_key: vec![4; 65],
        created: NOW,
        expires: at(9_000_000),
        client: "é".repeat(200),
    }
}

pub async fn activated(lab: &Lab, admin: UserId, name: &str) -> UserId {
    let user = lab.registered(name).await;
    let facts = lab.store.user_facts(user, NOW).await.unwrap().unwrap();
    let permit = may_activate(&lab.actor(admin).await, &facts, NOW).unwrap();
    lab.store.activate(permit, lab.statement(user, 1)).await.unwrap();
    user
}

pub async fn losing_ends_sessions(db: Db) {
    let lab = db.open().await;
    let admin = lab.super_admin("admin").await;
    let me = lab.actor(admin).await;
    for (name, what) in [("aa", "deactivate"), ("bb", "disable"), ("cc", "demote"), ("dd", "reset")] {
        let user = activated(&lab, admin, name).await;
        let facts = lab.store.user_facts(user, NOW).await.unwrap().unwrap();
        lab.store.set_rank(may_set_rank(&me, &facts, Rank::SubAdmin, NOW).unwrap(), Rank::SubAdmin, lab.statement(user, 4)).await.unwrap();
        let session = begin(&lab, user).await;
        let stale = may_login(&lab.store.login_facts(user).await.unwrap().unwrap(), NOW).unwrap();
        let facts = lab.store.user_facts(user, NOW).await.unwrap().unwrap();
        match what {
            "deactivate" => {
                let permit = may_deactivate(&me, &facts, "left", NOW).unwrap();
                lab.store.deactivate(permit, InactiveCause::Administrator, "left".into(), lab.statement(user, 2)).await.unwrap();
                let user = lab.store.user(user).await.unwrap().unwrap();
                assert_eq!(
                    (user.state, user.reason.as_deref(), user.cause),
                    (UserState::Inactive, Some("left"), Some(InactiveCause::Administrator))
                );
            }
            "disable" => {
                let permit = may_disable(&me, &facts, at(5_000_000), NOW).unwrap();
                lab.store.disable(permit, at(5_000_000), lab.statement(user, 3)).await.unwrap();
                assert_eq!(lab.store.user(user).await.unwrap().unwrap().disabled_until, at(5_000_000));
            }
            "demote" => {
                let permit = may_set_rank(&me, &facts, Rank::User, NOW).unwrap();
                lab.store.set_rank(permit, Rank::User, lab.statement(user, 4)).await.unwrap();
            }
            _ => {
                let bundle = lab.bundle(user, 1);
                let permit = may_reset(&me, &facts, NOW).unwrap();
                lab.store.reset(permit, bundle.clone(), lab.statement(user, 5)).await.unwrap();
                assert_eq!(lab.store.user(user).await.unwrap().unwrap().bundle, bundle.hash);
            }
        }
        let (ended, account) = lab.store.session_by_token(&session.token_hash).await.unwrap().unwrap();
        assert_eq!((ended.ended, account.epoch), (Some(NOW), 2), "{what}");
        assert!(!ended.is_living(NOW) && ended.epoch != account.epoch, "{what}");
        // A login decided before the loss begins nothing.
        let late = lab.store.begin_session(stale, session_new(&lab)).await;
        assert!(matches!(late, Err(StoreError::Stale("user"))), "{what}");
    }
}

pub async fn two_super_admins_cannot_demote_each_other(db: Db) {
    let lab = db.open().await;
    let first = lab.super_admin("first").await;
    let second = activated(&lab, first, "second").await;
    let facts = lab.store.user_facts(second, NOW).await.unwrap().unwrap();
    let me = lab.actor(first).await;
    lab.store
        .set_rank(may_set_rank(&me, &facts, Rank::SuperAdmin, NOW).unwrap(), Rank::SuperAdmin, lab.statement(second, 4))
        .await
        .unwrap();
    // Both decide while the other still stands.
    let mut writes = Vec::new();
    for (by, whom) in [(first, second), (second, first)] {
        let facts = lab.store.user_facts(whom, NOW).await.unwrap().unwrap();
        let permit = may_set_rank(&lab.actor(by).await, &facts, Rank::Admin, NOW).unwrap();
        writes.push(lab.store.set_rank(permit, Rank::Admin, lab.statement(whom, 4)));
    }
    let outcomes = futures::future::join_all(writes).await;
    assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 1, "{outcomes:?}");
    assert!(outcomes.iter().any(|outcome| matches!(outcome, Err(StoreError::LastSuperAdmin))), "{outcomes:?}");
}

pub async fn identities_rotate_in_order(db: Db) {
    let lab = db.open().await;
    let user = lab.super_admin("user").await;
    let me = lab.actor(user).await;
    let (first, second) = (may_rotate_bundle(&me, 0, NOW).unwrap(), may_rotate_bundle(&me, 0, NOW).unwrap());
    let next = lab.bundle(user, 1);
    lab.store.rotate(first, next.clone(), false).await.unwrap();
    assert!(matches!(lab.store.rotate(second, lab.bundle(user, 1), false).await, Err(StoreError::Stale("identity"))));
    let account = lab.store.user(user).await.unwrap().unwrap();
    assert_eq!((account.bundle, account.epoch), (next.hash, 1));
    assert_eq!(lab.store.newest_bundle(user).await.unwrap().unwrap(), next);
    let skips = may_rotate_bundle(&me, 1, NOW).unwrap();
    assert!(matches!(lab.store.rotate(skips, lab.bundle(user, 3), false).await, Err(StoreError::Stale("identity"))));
    let other = may_rotate_bundle(&me, 1, NOW).unwrap();
    let foreign = lab.bundle(lab.person(), 2);
    assert!(matches!(lab.store.rotate(other, foreign, false).await, Err(StoreError::Invalid(_))));
    let generations: Vec<u64> = lab.store.bundles_of(user).await.unwrap().iter().map(|bundle| bundle.generation).collect();
    assert_eq!(generations, [0, 1]);
}

pub async fn sessions_live_and_end(db: Db) {
    let lab = db.open().await;
    let user = lab.super_admin("user").await;
    let (one, two) = (begin(&lab, user).await, begin(&lab, user).await);
    let (session, account) = lab.store.session_by_token(&one.token_hash).await.unwrap().unwrap();
    assert_eq!((session.user, session.epoch, account.last_login), (user, 1, NOW));
    assert_eq!(session.client.chars().count(), 100);
    assert!(lab.store.actor(&account, session.epoch, session.created).await.unwrap().check(NOW).is_ok());
    assert!(session.is_living(at(8_999_999)) && !session.is_living(at(9_000_000)));
    lab.store.touch_session(one.id, at(2_000_000)).await.unwrap();
    lab.store.touch_session(one.id, at(1_500_000)).await.unwrap();
    assert_eq!(lab.store.session(one.id).await.unwrap().unwrap().last_seen, at(2_000_000), "never back");

    assert_eq!(lab.store.sessions(Scope::Own(user), NOW, 10).await.unwrap().len(), 2);
    assert_eq!(lab.store.sessions(Scope::Own(lab.person()), NOW, 10).await.unwrap().len(), 0);
    assert_eq!(lab.store.sessions(Scope::All, at(9_000_000), 10).await.unwrap().len(), 0, "past their time");
    let facts = SessionFacts { session: one.id, user, ended: false };
    let permit = may_end_session(&lab.actor(user).await, &facts, NOW).unwrap();
    lab.store.end_session(permit, at(3_000_000)).await.unwrap();
    let again = may_end_session(&lab.actor(user).await, &facts, NOW).unwrap();
    lab.store.end_session(again, at(4_000_000)).await.unwrap();
    assert_eq!(lab.store.session(one.id).await.unwrap().unwrap().ended, Some(at(3_000_000)));
    let living: Vec<_> = lab.store.sessions(Scope::All, NOW, 10).await.unwrap().iter().map(|session| session.id).collect();
    assert_eq!(living, [two.id]);
    assert!(lab.store.session_by_token(&[0; 32]).await.unwrap().is_none());
    let permit = may_login(&lab.store.login_facts(user).await.unwrap().unwrap(), NOW).unwrap();
    let same_token = SessionNew { token_hash: two.token_hash, ..session_new(&lab) };
    assert!(matches!(lab.store.begin_session(permit, same_token).await, Err(StoreError::Taken(Taken::Session))));
}

pub async fn failed_logins_are_counted(db: Db) {
    let lab = db.open().await;
    let user = lab.super_admin("user").await;
    for n in 1..=3 {
        lab.store.fail_login(user, at(n)).await.unwrap();
    }
    let facts = lab.store.login_facts(user).await.unwrap().unwrap();
    assert_eq!((facts.failed_logins, facts.last_failure), (3, at(3)));
    assert_eq!(may_login(&facts, at(1_002)), Err(Denial::TooManyFailures { until: at(1_003) }));
    let permit = may_login(&facts, at(1_003)).unwrap();
    lab.store.begin_session(permit, session_new(&lab)).await.unwrap();
    assert_eq!(lab.store.login_facts(user).await.unwrap().unwrap().failed_logins, 0);
    assert!(lab.store.login_facts(lab.person()).await.unwrap().is_none());
}

pub async fn settings_and_the_clock(db: Db) {
    let lab = db.open().await;
    assert_eq!(lab.store.setting("a").await.unwrap(), None);
    lab.store.set_setting("a".into(), vec![1]).await.unwrap();
    lab.store.set_setting("a".into(), vec![]).await.unwrap();
    assert_eq!(lab.store.setting("a").await.unwrap(), Some(vec![]));
    assert!(lab.store.remove_setting("a".into()).await.unwrap());
    assert!(!lab.store.remove_setting("a".into()).await.unwrap());

    assert_eq!(lab.store.clock_mark().await.unwrap(), Timestamp::ABSENT);
    assert_eq!(lab.store.advance_clock(at(50)).await.unwrap(), at(50));
    assert_eq!(lab.store.clock_mark().await.unwrap(), at(50));
    assert_eq!(lab.store.advance_clock(at(40)).await.unwrap(), at(50), "never back");
    assert_eq!(lab.store.advance_clock(at(60)).await.unwrap(), at(60));
    lab.store.close().await.unwrap();
    let again = db.open().await;
    assert_eq!(again.store.advance_clock(at(1)).await.unwrap(), at(60), "not after a restart either");
}

pub async fn lists_keep_to_their_scope(db: Db) {
    let lab = db.open().await;
    lab.super_admin("mm").await;
    for name in ["zz", "aa", "0.0", "m-m"] {
        lab.registered(name).await;
    }
    let names = |users: Vec<ticrypt_store::user::User>| users.iter().map(|user| user.name.to_string()).collect::<Vec<_>>();
    let all = names(lab.store.users(PeopleScope::All, None, 10).await.unwrap());
    assert_eq!(all.len(), 5);
    let mut paged = names(lab.store.users(PeopleScope::All, None, 3).await.unwrap());
    paged.extend(names(lab.store.users(PeopleScope::All, Some(&paged[2].parse().unwrap()), 3).await.unwrap()));
    assert_eq!(paged, all);
    let own = lab.registered("own").await;
    assert_eq!(names(lab.store.users(PeopleScope::Own(own), None, 10).await.unwrap()), ["own"]);
}

pub async fn events_are_found_by_subject(db: Db) {
    let lab = db.open().await;
    let (node, user) = (Subject::from(lab.node_id()), Subject::from(lab.person()));
    let mut events: Vec<(Subject, u64)> = (0..2_500).map(|index| (node, index)).collect();
    events.push((user, 9));
    events.push((user, 9));
    lab.store.index_events(events.clone()).await.unwrap();
    lab.store.index_events(events).await.unwrap();
    assert_eq!(lab.store.history(node, None, 3).await.unwrap(), [2_499, 2_498, 2_497]);
    assert_eq!(lab.store.history(node, Some(2), 3).await.unwrap(), [1, 0]);
    assert_eq!(lab.store.history(user, None, 3).await.unwrap(), [9]);
}
