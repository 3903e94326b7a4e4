//! Opening a database: addresses, pools, the schema's version.
//!
//! SQLite: WAL so that readers and the writer do not wait for each other, `synchronous=FULL` because an answered write must
//! survive a power cut, foreign keys on, write transactions IMMEDIATE so that none fails half way for a lock. The PRAGMAs are
//! connect options: a pool has many connections, and a statement would set only one. Readers are `query_only`.

use std::sync::Arc;
use std::time::Duration;

use sea_orm::{
    ConnectOptions, ConnectionTrait, Database, DatabaseConnection, DbBackend, FromQueryResult, Statement, TransactionTrait, Value,
};
use sea_orm_migration::MigratorTrait;

use crate::error::StoreError;
use crate::migrations::Migrator;
use crate::notification::Bell;
use crate::writer::Writer;

/// Which kind of database it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Backend {
    Sqlite,
    Postgres,
}

/// How to use the database.
#[derive(Clone, Debug)]
pub struct Options {
    /// Connections for reading.
    pub readers: u32,
    /// Writes that may wait; more make their senders wait.
    pub queue: usize,
    /// Writes in one transaction at most.
    pub group: usize,
    /// How long to wait for a connection or for another process's lock.
    pub patience: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self { readers: 8, queue: 1_024, group: 256, patience: Duration::from_secs(10) }
    }
}

/// The metadata. Cheap to clone; all clones share one writer.
#[derive(Clone)]
pub struct Store {
    pub(crate) readers: DatabaseConnection,
    writers: DatabaseConnection,
    /// How the writer connects, for work that must not keep it waiting.
    writing: ConnectOptions,
    pub(crate) writer: Arc<Writer>,
    pub(crate) bell: Arc<Bell>,
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Store({:?})", self.backend())
    }
}

impl Store {
    /// Opens `sqlite://PATH` (made if missing) or `postgres://…`. Call [`Store::migrate`] or [`Store::check_schema`] next.
    pub async fn connect(url: &str, options: &Options) -> Result<Self, StoreError> {
        // The writer first: it turns the write-ahead log on, which a reader could not.
        let writing = connect_options(url, options, false)?;
        let writers = Database::connect(writing.clone()).await?;
        let readers = Database::connect(connect_options(url, options, true)?).await?;
        let bell = Arc::new(Bell::default());
        let writer = Arc::new(Writer::start(writers.clone(), Arc::clone(&bell), options.queue, options.group));
        Ok(Self { readers, writers, writing, writer, bell })
    }

    pub fn backend(&self) -> Backend {
        match self.readers.get_database_backend() {
            DbBackend::Sqlite => Backend::Sqlite,
            _ => Backend::Postgres,
        }
    }

    /// The schema version this program is made for.
    pub fn known_schema() -> u32 {
        u32::try_from(Migrator::migrations().len()).unwrap_or(u32::MAX)
    }

    /// The schema version of the database; 0 if it is empty.
    pub async fn schema_version(&self) -> Result<u32, StoreError> {
        Ok(u32::try_from(self.applied().await?.len()).unwrap_or(u32::MAX))
    }

    /// Brings the schema up to this program's; refuses a newer one and changes nothing then.
    pub async fn migrate(&self) -> Result<(), StoreError> {
        self.refuse_newer().await?;
        // All or nothing: a stop in the middle must not leave half a schema.
        let tx = self.writers.begin().await?;
        Migrator::up(&tx, None).await?;
        Ok(tx.commit().await?)
    }

    /// Whether the schema is the one this program needs.
    pub async fn check_schema(&self) -> Result<(), StoreError> {
        let found = self.refuse_newer().await?;
        let known = Self::known_schema();
        if found < known { Err(StoreError::SchemaOlder { found, known }) } else { Ok(()) }
    }

    async fn refuse_newer(&self) -> Result<u32, StoreError> {
        let applied = self.applied().await?;
        let found = u32::try_from(applied.len()).unwrap_or(u32::MAX);
        let known: Vec<String> = Migrator::migrations().iter().map(|step| step.name().to_owned()).collect();
        if applied.iter().any(|name| !known.contains(name)) {
            return Err(StoreError::SchemaNewer { found, known: Self::known_schema() });
        }
        Ok(found)
    }

    /// Names of the steps taken, which sea-orm-migration keeps in a table of its own.
    async fn applied(&self) -> Result<Vec<String>, StoreError> {
        const TABLE: &str = "seaql_migrations";
        let exists = match self.backend() {
            Backend::Sqlite => "SELECT name FROM sqlite_master WHERE type = 'table' AND name = $1",
            Backend::Postgres => {
                "SELECT table_name::text AS name FROM information_schema.tables WHERE table_schema = current_schema() AND table_name = $1"
            }
        };
        if self.rows::<Name>(exists, vec![TABLE.into()]).await?.is_empty() {
            return Ok(Vec::new());
        }
        let names = self.rows::<Name>("SELECT version AS name FROM seaql_migrations ORDER BY version", vec![]).await?;
        Ok(names.into_iter().map(|row| row.name).collect())
    }

    /// Answers when the database does; for readiness.
    pub async fn ping(&self) -> Result<(), StoreError> {
        Ok(self.readers.ping().await?)
    }

    /// Finishes every write that was accepted, refuses later ones, and closes the connections.
    pub async fn close(&self) -> Result<(), StoreError> {
        self.writer.stop().await;
        self.writers.close_by_ref().await?;
        Ok(self.readers.close_by_ref().await?)
    }

    /// One more connection that may write, past the writer.
    pub(crate) async fn aside(&self) -> Result<DatabaseConnection, StoreError> {
        Ok(Database::connect(self.writing.clone()).await?)
    }

    /// A read in SQL that both databases understand, with `$1 …` as placeholders.
    pub(crate) async fn rows<R: FromQueryResult>(&self, sql: &str, values: Vec<Value>) -> Result<Vec<R>, StoreError> {
        rows(&self.readers, sql, values).await
    }
}

pub(crate) async fn rows<R: FromQueryResult>(conn: &impl ConnectionTrait, sql: &str, values: Vec<Value>) -> Result<Vec<R>, StoreError> {
    let statement = Statement::from_sql_and_values(conn.get_database_backend(), sql, values);
    Ok(R::find_by_statement(statement).all(conn).await?)
}

/// Runs a statement and tells how many rows it changed.
pub(crate) async fn run(conn: &impl ConnectionTrait, sql: &str, values: Vec<Value>) -> Result<u64, StoreError> {
    let statement = Statement::from_sql_and_values(conn.get_database_backend(), sql, values);
    Ok(conn.execute_raw(statement).await?.rows_affected())
}

#[derive(FromQueryResult)]
struct Name {
    name: String,
}

/// Rows of an answer that are read ahead of whoever takes them, from SQLite.
const ROWS_AHEAD: usize = 4_096;

fn connect_options(url: &str, options: &Options, reading: bool) -> Result<ConnectOptions, StoreError> {
    let mut connect;
    if let Some(path) = url.strip_prefix("sqlite://") {
        // The path is given beside the address, so that no character in it means anything.
        let (path, patience) = (path.to_owned(), options.patience);
        if path.is_empty() || path.contains(":memory:") {
            return Err(StoreError::Address);
        }
        connect = ConnectOptions::new("sqlite://database");
        connect.map_sqlx_sqlite_opts(move |sqlite| {
            let sqlite = sqlite
                .filename(&path)
                .create_if_missing(true)
                .foreign_keys(true)
                .busy_timeout(patience)
                .pragma("journal_mode", "WAL")
                .pragma("synchronous", "FULL");
            // A batch of nodes changes a page of every index for nearly each of its rows, the next batch the same pages again: they are
            // written once per batch if the cache holds them (KiB), and once per many batches to their place if the log may be long (pages).
            if reading {
                // Rows come from a thread of their own: with room for a page of a listing it need not wait to be asked for more of them.
                let sqlite = sqlite.row_buffer_size(ROWS_AHEAD);
                // The entries of one directory lie all over the file, several on a page.
                sqlite.pragma("query_only", "ON").pragma("cache_size", "-8192")
            } else {
                sqlite.pragma("cache_size", "-16384").pragma("wal_autocheckpoint", "16384")
            }
        });
    } else if url.starts_with("postgres://") || url.starts_with("postgresql://") {
        connect = ConnectOptions::new(url);
    } else {
        return Err(StoreError::Address);
    }
    connect
        .max_connections(if reading { options.readers.max(1) } else { 1 })
        .min_connections(1)
        .acquire_timeout(options.patience)
        .connect_timeout(options.patience)
        .sqlx_logging(false);
    Ok(connect)
}
