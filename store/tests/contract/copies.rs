//! Copies of the whole database, and holds on the chunks meanwhile.

use std::collections::BTreeSet;

use sea_orm::{ConnectionTrait, DbBackend, Statement};
use ticrypt_store::hold::HOLD_MS;
use ticrypt_store::snapshot::TABLES;
use ticrypt_store::{Options, Store, StoreError};
use ticrypt_types::Verbs;

use crate::lab::{Db, NOW, at};
use crate::people;
use crate::schema::raw;

async fn sqlite(folder: &tempfile::TempDir, name: &str) -> Store {
    let url = format!("sqlite://{}", folder.path().join(name).display());
    Store::connect(&url, &Options::default()).await.unwrap()
}

/// Every table is copied; one that a later step adds must be added to the list.
pub async fn every_table_is_copied(db: Db) {
    drop(db.open().await);
    let conn = raw(&db.url).await;
    let sql = match conn.get_database_backend() {
        DbBackend::Sqlite => "SELECT name AS t FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'",
        _ => "SELECT table_name::text AS t FROM information_schema.tables WHERE table_schema = 'public'",
    };
    let rows = conn.query_all_raw(Statement::from_string(conn.get_database_backend(), sql)).await.unwrap();
    let live: BTreeSet<String> =
        rows.iter().map(|row| row.try_get("", "t").unwrap()).filter(|t: &String| t != "seaql_migrations").collect();
    assert_eq!(live, TABLES.iter().map(|t| (*t).to_owned()).collect());
}

async fn count(url: &str, table: &str) -> i64 {
    let conn = raw(url).await;
    let sql = format!("SELECT COUNT(*) AS n FROM {table}");
    conn.query_one_raw(Statement::from_string(conn.get_database_backend(), sql)).await.unwrap().unwrap().try_get("", "n").unwrap()
}

/// Into a file and back into a database of the same kind; what was written since is not in it.
pub async fn a_copy_is_of_one_moment_and_comes_back(db: Db) {
    let lab = db.open().await;
    let (admin, owner) = (lab.super_admin("first").await, lab.person());
    let home = lab.home(owner).await;
    let directory = lab.directory(owner, home, "directory").await;
    let file = lab.file(owner, directory, "file").await;
    lab.share(owner, directory, admin, Verbs::VIEW).await;
    people::activated(&lab, admin, "second").await;
    lab.store.set_setting("kept".into(), b"value".to_vec()).await.unwrap();
    lab.store.index_events(vec![(file.into(), 7)]).await.unwrap();
    lab.store.hold_chunks("mine", NOW).await.unwrap();
    let permit = ticrypt_policy::notification::may_read_notifications(&lab.actor(admin).await, NOW).unwrap();
    lab.store.read_notifications(permit, 1).await.unwrap();
    assert!(!lab.store.is_empty().await.unwrap());

    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("it's a copy.sqlite");
    lab.store.copy_to(&path).await.unwrap();
    lab.file(owner, directory, "later").await;
    let copy = sqlite(&folder, "it's a copy.sqlite").await;
    copy.check_schema().await.unwrap();
    let copy_url = format!("sqlite://{}", path.display());
    for table in TABLES {
        let more = i64::from(["nodes", "manifests", "chunks", "versions", "small_chunks"].contains(table));
        assert_eq!(count(&copy_url, table).await + more, count(&db.url, table).await, "{table}");
    }
    assert_eq!(copy.node(file).await.unwrap().unwrap().entry, b"file");
    assert!(lab.store.copy_to(&path).await.is_err(), "there is a file already");

    // Back: into an empty database of the kind the case runs on, all or nothing.
    assert!(lab.store.fill_from(&copy).await.is_err(), "not empty");
    for table in TABLES {
        raw(&db.url).await.execute_unprepared(&format!("DELETE FROM {table}")).await.unwrap();
    }
    assert!(lab.store.is_empty().await.unwrap());
    lab.store.fill_from(&copy).await.unwrap();
    for table in TABLES {
        assert_eq!(count(&copy_url, table).await, count(&db.url, table).await, "{table}");
    }
    lab.store.settle_restored(at(NOW.as_millis() + 1)).await.unwrap();
    assert!(!lab.store.chunks_are_held().await.unwrap());
    assert_eq!(lab.store.setting("kept").await.unwrap().unwrap(), b"value");
    assert_eq!(lab.store.history(file.into(), None, 9).await.unwrap(), [7]);
    let reading = lab.store.reading(admin).await.unwrap();
    assert_eq!((reading.newest, reading.read), (2, 1), "a share and a registration, one of them read");
    assert_eq!(lab.store.statements_of(admin).await.unwrap(), copy.statements_of(admin).await.unwrap());
    // Numbers go on behind those that came with the copy.
    people::activated(&lab, admin, "another").await;
    let later = lab.file(owner, directory, "after").await;
    assert!(lab.store.node(later).await.unwrap().is_some());
    copy.close().await.unwrap();
}

pub async fn logins_do_not_come_back(db: Db) {
    let lab = db.open().await;
    let user = lab.super_admin("first").await;
    let session = people::begin(&lab, user).await.id;
    assert!(lab.store.session(session).await.unwrap().unwrap().is_living(NOW));
    lab.store.settle_restored(NOW).await.unwrap();
    assert!(!lab.store.session(session).await.unwrap().unwrap().is_living(NOW));
}

pub async fn holds_last_while_they_are_renewed(db: Db) {
    let store = db.open().await.store;
    assert!(!store.chunks_are_held().await.unwrap());
    store.hold_chunks("one", NOW).await.unwrap();
    store.hold_chunks("two", NOW).await.unwrap();
    assert!(store.chunks_are_held().await.unwrap());
    store.release_hold("two").await.unwrap();
    let late = at(NOW.as_millis() + HOLD_MS - 1);
    store.renew_hold("one", late).await.unwrap();
    store.advance_clock(at(NOW.as_millis() + HOLD_MS + 1)).await.unwrap();
    assert!(store.chunks_are_held().await.unwrap(), "renewed");
    store.advance_clock(at(late.as_millis() + HOLD_MS)).await.unwrap();
    assert!(!store.chunks_are_held().await.unwrap());
    for name in ["one", "two", "none"] {
        assert!(matches!(store.renew_hold(name, late).await, Err(StoreError::Stale(_))), "{name}");
    }
    store.hold_chunks("three", late).await.unwrap();
    assert!(store.chunks_are_held().await.unwrap());
    store.release_hold("three").await.unwrap();
    assert!(!store.chunks_are_held().await.unwrap());
}
