//! The group writer: the one place where metadata changes.
//!
//! Syncing a transaction to disk costs milliseconds, whatever is in it. So writes are closures in a queue; one task takes all
//! that wait, runs each in a savepoint of one transaction, commits once, and only then answers them. A write that fails
//! rolls back its own savepoint and no other; a commit that fails fails all. On PostgreSQL an advisory lock makes the
//! transactions of several processes follow one another, as they do on SQLite, so a check and the write after it hold together.
//!
//! A caller that goes away does not stop its write half way: the task runs it to the end.

use std::collections::BTreeSet;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, PoisonError};

use futures::FutureExt;
use futures::future::BoxFuture;
use sea_orm::{
    ConnectionTrait, DatabaseConnection, DatabaseTransaction, DbBackend, DbErr, FromQueryResult, SqliteTransactionMode, TransactionOptions,
    TransactionTrait, Value,
};
use ticrypt_types::UserId;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

use crate::connect::{Store, rows, run};
use crate::error::{StoreError, is_full};
use crate::notification::Bell;

/// Any number, as long as all processes take the same.
const POSTGRES_LOCK: i64 = 0x7469_6372_7970_7401;

/// A write in progress. The methods are with their nouns.
pub struct Tx {
    pub(crate) conn: DatabaseTransaction,
    /// Whom it wrote notifications for.
    pub(crate) told: Mutex<BTreeSet<UserId>>,
}

impl Tx {
    pub(crate) async fn rows<R: FromQueryResult>(&self, sql: &str, values: Vec<Value>) -> Result<Vec<R>, StoreError> {
        rows(&self.conn, sql, values).await
    }

    pub(crate) async fn row<R: FromQueryResult>(&self, sql: &str, values: Vec<Value>) -> Result<Option<R>, StoreError> {
        Ok(self.rows(sql, values).await?.into_iter().next())
    }

    pub(crate) async fn run(&self, sql: &str, values: Vec<Value>) -> Result<u64, StoreError> {
        run(&self.conn, sql, values).await
    }

    /// For a conditional update of one row: none changed means the condition no longer held.
    pub(crate) async fn run_or_stale(&self, what: &'static str, sql: &str, values: Vec<Value>) -> Result<(), StoreError> {
        if self.run(sql, values).await? == 1 { Ok(()) } else { Err(StoreError::Stale(what)) }
    }
}

/// A write with its answer, the types erased so that the queue can hold them all.
type Work = Box<dyn for<'t> FnOnce(&'t Tx) -> BoxFuture<'t, Box<dyn Answer>> + Send>;

/// How a group of writes ended.
#[derive(Clone, Copy)]
enum End {
    Committed,
    /// Undone, for want of room.
    Full,
    Unknown,
}

trait Answer: Send {
    fn is_ok(&self) -> bool;
    /// Tells the caller, once it is known how the transaction ended.
    fn give(self: Box<Self>, end: End);
}

struct Reply<T> {
    result: Result<T, StoreError>,
    to: oneshot::Sender<Result<T, StoreError>>,
}

impl<T: Send> Answer for Reply<T> {
    fn is_ok(&self) -> bool {
        self.result.is_ok()
    }

    fn give(self: Box<Self>, end: End) {
        let result = match (self.result, end) {
            (Ok(_), End::Full) => Err(StoreError::Full),
            (Ok(_), End::Unknown) => Err(StoreError::Unavailable(None)),
            // What was found wrong in a transaction that broke under it may be wrong itself.
            (Err(StoreError::Stale(_)), End::Full) => Err(StoreError::Full),
            (result, _) => result,
        };
        // A caller that went away misses the answer; the write stands.
        let _ = self.to.send(result);
    }
}

enum Message {
    Work(Work),
    Stop,
}

pub(crate) struct Writer {
    queue: mpsc::Sender<Message>,
    task: Mutex<Option<JoinHandle<()>>>,
}

impl Writer {
    pub(crate) fn start(db: DatabaseConnection, bell: Arc<Bell>, queue: usize, group: usize) -> Self {
        let (sender, receiver) = mpsc::channel(queue.max(1));
        let task = tokio::spawn(drain(db, bell, receiver, group.max(1)));
        Self { queue: sender, task: Mutex::new(Some(task)) }
    }

    /// Refuses new writes, finishes those accepted, and returns when all are answered.
    pub(crate) async fn stop(&self) {
        let task = self.task.lock().ok().and_then(|mut task| task.take());
        if let Some(task) = task {
            let _ = self.queue.send(Message::Stop).await;
            if let Err(error) = task.await {
                tracing::error!(%error, "the writer ended badly");
            }
        }
    }
}

impl Store {
    /// Runs `work` in a transaction and answers when it is durable, or with the error that undid it.
    ///
    /// ```ignore
    /// store.write(move |tx| Box::pin(async move { tx.set_setting("a", b"1").await })).await?;
    /// ```
    pub async fn write<T, F>(&self, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: for<'t> FnOnce(&'t Tx) -> BoxFuture<'t, Result<T, StoreError>> + Send + 'static,
    {
        let (to, answer) = oneshot::channel();
        let work: Work = Box::new(move |tx| {
            Box::pin(async move {
                let result = work(tx).await;
                Box::new(Reply { result, to }) as Box<dyn Answer>
            })
        });
        self.writer.queue.send(Message::Work(work)).await.map_err(|_| StoreError::Closed)?;
        // The sender is dropped unanswered only when the work panicked or its transaction could not begin.
        answer.await.unwrap_or(Err(StoreError::Unavailable(None)))
    }
}

async fn drain(db: DatabaseConnection, bell: Arc<Bell>, mut queue: mpsc::Receiver<Message>, group: usize) {
    let mut messages = Vec::new();
    while queue.recv_many(&mut messages, group).await > 0 {
        let mut works = Vec::with_capacity(messages.len());
        for message in messages.drain(..) {
            match message {
                Message::Work(work) => works.push(work),
                // What was accepted before is still received; `recv_many` then answers 0.
                Message::Stop => queue.close(),
            }
        }
        if works.is_empty() {
            continue;
        }
        let mut answers = Vec::with_capacity(works.len());
        let end = match run_group(&db, works, &mut answers).await {
            Ok(told) => {
                bell.ring(&told);
                End::Committed
            }
            Err(error) => {
                tracing::error!(%error, "a group of writes was not committed");
                if is_full(&error) { End::Full } else { End::Unknown }
            }
        };
        for answer in answers {
            answer.give(end);
        }
    }
}

/// One transaction; gives whom it told something. Works that did not run when it breaks are dropped, which tells their callers.
async fn run_group(db: &DatabaseConnection, works: Vec<Work>, answers: &mut Vec<Box<dyn Answer>>) -> Result<BTreeSet<UserId>, DbErr> {
    let sqlite = db.get_database_backend() == DbBackend::Sqlite;
    let options = TransactionOptions { sqlite_transaction_mode: sqlite.then_some(SqliteTransactionMode::Immediate), ..Default::default() };
    let transaction = db.begin_with_options(options).await?;
    if !sqlite {
        transaction.execute_unprepared(&format!("SELECT pg_advisory_xact_lock({POSTGRES_LOCK})")).await?;
    }
    let mut told = BTreeSet::new();
    for work in works {
        let tx = Tx { conn: transaction.begin().await?, told: Mutex::default() };
        // A panic in one write must not take the others' answers with it.
        match AssertUnwindSafe(work(&tx)).catch_unwind().await {
            Ok(answer) => {
                if answer.is_ok() {
                    answers.push(answer);
                    tx.conn.commit().await?;
                    told.append(&mut tx.told.into_inner().unwrap_or_else(PoisonError::into_inner));
                } else {
                    answers.push(answer);
                    tx.conn.rollback().await?;
                }
            }
            Err(_) => {
                tracing::error!("a write panicked and was undone");
                tx.conn.rollback().await?;
            }
        }
    }
    transaction.commit().await?;
    Ok(told)
}
