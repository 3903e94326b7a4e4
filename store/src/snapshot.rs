//! The whole database as it is at one moment, in a SQLite file; and a database made from such a file.
//!
//! ```text
//!   SQLite      ── VACUUM INTO ──────────────────────────▶ file ── taken as it is ─────▶ SQLite
//!   PostgreSQL  ── rows, in one REPEATABLE READ reading ──▶ file ── rows, all or nothing ▶ PostgreSQL
//! ```
//!
//! One form for both, because a copy must be readable when nothing else is left: no program of the database's own version is needed,
//! `check` walks over the file like over any database, and a deployment may come back on the other kind. Both ways of copying read
//! beside writers and keep none of them waiting. PostgreSQL's own dump would be faster for very large databases and stays possible
//! beside this one.

use std::path::Path;

use futures::TryStreamExt;
use sea_orm::{
    AccessMode, ActiveModelTrait, ConnectionTrait, DatabaseTransaction, EntityTrait, FromQueryResult, IntoActiveModel, IsolationLevel,
    TransactionTrait,
};
use ticrypt_types::Timestamp;

use crate::connect::{Backend, Options, Store, rows, run};
use crate::error::StoreError;
use crate::table::audit::audit_index;
use crate::table::bulk::{bulk_items, bulks};
use crate::table::certification::{certifications, level_requirements, levels, requirements};
use crate::table::grant::grants;
use crate::table::group::{compartment_heads, compartment_seals, compartments, group_heads, group_members, group_seals, groups};
use crate::table::join::joins;
use crate::table::node::{node_tags, nodes, retired};
use crate::table::notification::{notification_reads, notifications};
use crate::table::profile::profiles;
use crate::table::project::{members, project_heads, project_levels, projects, working_sets};
use crate::table::reminder::reminders;
use crate::table::session::sessions;
use crate::table::setting::settings;
use crate::table::team::{team_assignments, team_members, teams};
use crate::table::user::{bundles, statements, users};
use crate::table::version::{chunks, manifests, small_chunks, versions};
use crate::table::{ROWS_PER_INSERT, insert_all};

macro_rules! tables {
    ($($table:ident),+ $(,)?) => {
        /// Every table; a test compares this list with the schema.
        pub const TABLES: &[&str] = &[$(stringify!($table)),+];

        async fn copy_all(from: &DatabaseTransaction, to: &DatabaseTransaction) -> Result<(), StoreError> {
            $(copy::<$table::Entity, $table::ActiveModel>(from, to).await?;)+
            Ok(())
        }
    };
}

tables!(
    settings,
    users,
    bundles,
    statements,
    sessions,
    nodes,
    versions,
    chunks,
    small_chunks,
    manifests,
    grants,
    retired,
    audit_index,
    notifications,
    notification_reads,
    requirements,
    levels,
    level_requirements,
    projects,
    project_levels,
    members,
    project_heads,
    certifications,
    working_sets,
    node_tags,
    groups,
    group_heads,
    group_members,
    group_seals,
    compartments,
    compartment_heads,
    compartment_seals,
    bulks,
    bulk_items,
    teams,
    team_members,
    team_assignments,
    joins,
    reminders,
    profiles,
);

#[derive(FromQueryResult)]
struct One {
    #[allow(dead_code, reason = "that there is a row is all that is asked")]
    one: i32,
}

impl Store {
    /// Copies the database, as it is at one moment, into a new SQLite file of this program's schema.
    pub async fn copy_to(&self, file: &Path) -> Result<(), StoreError> {
        let path = file.to_str().ok_or(StoreError::Address)?;
        match self.backend() {
            Backend::Sqlite => {
                let aside = self.aside().await?;
                // Not a transaction of ours: the statement is one, and reads.
                let copied = run(&aside, "VACUUM INTO $1", vec![path.into()]).await;
                aside.close().await?;
                copied.map(drop)
            }
            Backend::Postgres => {
                let to = Self::connect(&format!("sqlite://{path}"), &Options { readers: 1, ..Options::default() }).await?;
                to.migrate().await?;
                let copied = to.fill_from(self).await;
                to.close().await?;
                copied
            }
        }
    }

    /// Copies every row of another database, as it is at one moment, into this one, which must be empty and of the same schema.
    /// All or nothing.
    pub async fn fill_from(&self, other: &Self) -> Result<(), StoreError> {
        // SQLite's readers see one moment anyway and know no levels.
        let level = (other.backend() == Backend::Postgres).then_some(IsolationLevel::RepeatableRead);
        let reading = (other.backend() == Backend::Postgres).then_some(AccessMode::ReadOnly);
        let from = other.readers.begin_with_config(level, reading).await?;
        let aside = self.aside().await?;
        let to = aside.begin().await?;
        copy_all(&from, &to).await?;
        if self.backend() == Backend::Postgres {
            // Rows came with their numbers; the next one goes on from there.
            let sql =
                "SELECT setval(pg_get_serial_sequence('statements', 'seq'), (SELECT COALESCE(MAX(seq), 0) + 1 FROM statements), false)";
            to.execute_unprepared(sql).await?;
        }
        to.commit().await?;
        from.rollback().await?;
        Ok(aside.close().await?)
    }

    /// Whether there is nothing in it, with or without a schema.
    pub async fn is_empty(&self) -> Result<bool, StoreError> {
        if self.schema_version().await? == 0 {
            return Ok(true);
        }
        for table in TABLES {
            let sql = format!("SELECT 1 AS one FROM {table} LIMIT 1");
            if !rows::<One>(&self.readers, &sql, vec![]).await?.is_empty() {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// What must not come back with a copy: logins that may have been ended since, and holds of whoever made it.
    pub async fn settle_restored(&self, now: Timestamp) -> Result<(), StoreError> {
        self.write(move |tx| {
            Box::pin(async move {
                tx.run("UPDATE sessions SET ended_ms = $1 WHERE ended_ms IS NULL", vec![now.to_i64().into()]).await?;
                tx.run("DELETE FROM settings WHERE key LIKE 'chunk_hold/%'", vec![]).await.map(drop)
            })
        })
        .await
    }
}

async fn copy<E, A>(from: &DatabaseTransaction, to: &DatabaseTransaction) -> Result<(), StoreError>
where
    E: EntityTrait,
    A: ActiveModelTrait<Entity = E> + Send,
    E::Model: IntoActiveModel<A>,
{
    let mut rows = E::find().stream(from).await?;
    let mut some = Vec::with_capacity(ROWS_PER_INSERT);
    while let Some(row) = rows.try_next().await? {
        some.push(row);
        if some.len() == ROWS_PER_INSERT {
            insert_all::<E, A>(to, std::mem::take(&mut some)).await?;
        }
    }
    insert_all::<E, A>(to, some).await
}
