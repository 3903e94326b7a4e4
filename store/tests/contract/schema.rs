//! The schema: versions, refusals, and that every column is classed.

use std::collections::{BTreeMap, BTreeSet};

use sea_orm::{ConnectionTrait, Database, DatabaseConnection, DbBackend, Statement};
use ticrypt_store::{Options, Store, StoreError};

use crate::lab::{Db, NOW};

/// A connection of the test's own, past the store.
pub async fn raw(url: &str) -> DatabaseConnection {
    let mut options = sea_orm::ConnectOptions::new(if url.starts_with("sqlite") { "sqlite://x" } else { url });
    if let Some(path) = url.strip_prefix("sqlite://") {
        let path = path.to_owned();
        options.map_sqlx_sqlite_opts(move |sqlite| sqlite.filename(&path));
    }
    Database::connect(options).await.unwrap()
}

pub async fn a_new_database_has_the_known_schema(db: Db) {
    let store = Store::connect(&db.url, &Options::default()).await.unwrap();
    assert_eq!(store.schema_version().await.unwrap(), 0);
    assert!(matches!(store.check_schema().await, Err(StoreError::SchemaOlder { found: 0, .. })));
    store.migrate().await.unwrap();
    assert_eq!(store.schema_version().await.unwrap(), Store::known_schema());
    store.check_schema().await.unwrap();
    store.migrate().await.unwrap();
    store.ping().await.unwrap();
}

pub async fn a_newer_schema_is_refused(db: Db) {
    let store = db.open().await.store;
    raw(&db.url)
        .await
        .execute_unprepared("INSERT INTO seaql_migrations (version, applied_at) VALUES ('m9999_from_the_future', 1)")
        .await
        .unwrap();
    for refused in [store.migrate().await, store.check_schema().await] {
        let error = refused.unwrap_err();
        let known = Store::known_schema();
        assert!(matches!(error, StoreError::SchemaNewer { found, known: ours } if (found, ours) == (known + 1, known)), "{error:?}");
        assert!(error.to_string().contains("use the newer program"));
    }
}

/// Each step alone, over the data of the steps before it.
pub async fn an_older_schema_is_named_and_migrated_with_its_data(db: Db) {
    let lab = db.open().await;
    let user = lab.super_admin("first").await;
    lab.store.set_setting("kept".into(), b"value".to_vec()).await.unwrap();
    lab.store.advance_clock(NOW).await.unwrap();
    // Back to what the first step made, as a deployment of that day would have it.
    let conn = raw(&db.url).await;
    for table in [
        "profiles",
        "reminders",
        "joins",
        "bulk_items",
        "bulks",
        "team_assignments",
        "team_members",
        "teams",
        "compartment_seals",
        "compartment_heads",
        "compartments",
        "group_seals",
        "project_heads",
        "group_members",
        "group_heads",
        "groups",
        "node_tags",
        "working_sets",
        "certifications",
        "members",
        "project_levels",
        "projects",
        "level_requirements",
        "levels",
        "requirements",
        "notification_reads",
        "notifications",
        "audit_index",
        "retired",
        "nodes",
        "versions",
        "chunks",
        "small_chunks",
        "manifests",
        "grants",
    ] {
        conn.execute_unprepared(&format!("DROP TABLE {table}")).await.unwrap();
    }
    conn.execute_unprepared("DROP INDEX users_profile").await.unwrap();
    for column in ["permissions", "working_revision", "profile_id"] {
        conn.execute_unprepared(&format!("ALTER TABLE users DROP COLUMN {column}")).await.unwrap();
    }
    conn.execute_unprepared("DELETE FROM seaql_migrations WHERE version <> 'm0001_people'").await.unwrap();
    lab.store.close().await.unwrap();

    let store = Store::connect(&db.url, &Options::default()).await.unwrap();
    let error = store.check_schema().await.unwrap_err();
    assert!(matches!(error, StoreError::SchemaOlder { found: 1, known } if known == Store::known_schema()), "{error:?}");
    store.migrate().await.unwrap();
    assert_eq!(store.schema_version().await.unwrap(), Store::known_schema());
    let first = store.user(user).await.unwrap().unwrap();
    assert_eq!((first.name.as_str(), first.permissions), ("first", ticrypt_types::Permissions::basic()));
    assert_eq!(store.setting("kept").await.unwrap().unwrap(), b"value");
    assert_eq!(store.bundles_of(user).await.unwrap().len(), 1);
    assert_eq!(store.statements_of(user).await.unwrap().len(), 1);
    assert!(store.home(user).await.unwrap().is_none());
}

#[derive(Debug, serde::Deserialize)]
struct Classed {
    class: String,
    why: String,
}

pub async fn every_column_is_classed(db: Db) {
    let lab = db.open().await;
    let conn = raw(&db.url).await;
    let sql = match conn.get_database_backend() {
        DbBackend::Sqlite => {
            "SELECT m.name AS t, c.name AS c FROM sqlite_master m, pragma_table_info(m.name) c WHERE m.type = 'table' AND m.name NOT LIKE 'sqlite_%'"
        }
        _ => "SELECT table_name::text AS t, column_name::text AS c FROM information_schema.columns WHERE table_schema = 'public'",
    };
    let rows = conn.query_all_raw(Statement::from_string(conn.get_database_backend(), sql)).await.unwrap();
    let live: BTreeSet<(String, String)> = rows
        .iter()
        .map(|row| (row.try_get("", "t").unwrap(), row.try_get("", "c").unwrap()))
        .filter(|(table, _): &(String, String)| table != "seaql_migrations")
        .collect();
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("columns.toml");
    let tables: BTreeMap<String, BTreeMap<String, Classed>> = toml::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let mut classed = BTreeSet::new();
    for (table, columns) in tables {
        for (column, Classed { class, why }) in columns {
            assert!(["ciphertext", "public", "metadata"].contains(&class.as_str()), "{table}.{column}: {class}");
            assert!(why.len() > 5 && !why.contains('\n'), "{table}.{column} needs a line of why");
            classed.insert((table.clone(), column));
        }
    }
    assert!(live.len() > 90, "the schema was not read");
    assert_eq!(live.difference(&classed).collect::<Vec<_>>(), Vec::<&(String, String)>::new(), "columns without a class");
    assert_eq!(classed.difference(&live).collect::<Vec<_>>(), Vec::<&(String, String)>::new(), "classes without a column");
    drop(lab);
}

pub async fn addresses_are_checked(db: Db) {
    for url in ["mysql://x", "sqlite://", "sqlite://:memory:", "", "/var/lib/x.db"] {
        assert!(matches!(Store::connect(url, &Options::default()).await, Err(StoreError::Address)), "{url}");
    }
    drop(db);
}
