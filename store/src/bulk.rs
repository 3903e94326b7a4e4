//! Bulk actions: a list of requests, how far it is, and what came of each (decision 21).

use sea_orm::EntityTrait;
use ticrypt_policy::Permit;
use ticrypt_policy::bulk::BulkFacts;
use ticrypt_policy::permit::{BulkResume, BulkStart, BulkStop};
use ticrypt_types::bulk::{BulkItemState, BulkState};
use ticrypt_types::limits::BULKS_MAX;
use ticrypt_types::{BulkId, Operation, Timestamp, UserId};

use crate::column::{bytes, count, id, number, time};
use crate::connect::Store;
use crate::error::{StoreError, Taken};
use crate::table::bulk::{bulk_items, bulks};
use crate::table::insert_all;
use crate::writer::Tx;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bulk {
    pub id: BulkId,
    pub user: UserId,
    pub operation: Operation,
    pub state: BulkState,
    pub items: u64,
    pub done: u64,
    pub failed: u64,
    pub started: Timestamp,
    pub changed: Timestamp,
    pub revision: u64,
}

/// One of its requests, as it would be sent by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BulkItem {
    pub number: u64,
    pub parameters: Vec<String>,
    pub body: Vec<u8>,
    pub state: BulkItemState,
    /// Why it failed.
    pub code: Option<String>,
    pub message: Option<String>,
}

/// A list to be stored; its items count from 0.
#[derive(Clone, Debug)]
pub struct BulkNew {
    pub operation: Operation,
    /// Parameters and body of each.
    pub items: Vec<(Vec<String>, Vec<u8>)>,
    pub at: Timestamp,
}

/// What came of an item: nothing to say, or a code and a message.
pub type BulkResult = (u64, Result<(), (String, String)>);

impl Bulk {
    pub fn facts(&self) -> BulkFacts {
        BulkFacts { bulk: self.id, owner: self.user, state: self.state, failed: self.failed, revision: self.revision }
    }
}

impl TryFrom<bulks::Model> for Bulk {
    type Error = StoreError;
    fn try_from(row: bulks::Model) -> Result<Self, StoreError> {
        Ok(Self {
            id: id("bulks.id", &row.id)?,
            user: id("bulks.user_id", &row.user_id)?,
            operation: Operation::from_name(&row.operation).ok_or(StoreError::Corrupt("bulks.operation"))?,
            state: BulkState::from_word(&row.state).ok_or(StoreError::Corrupt("bulks.state"))?,
            items: count("bulks.items", row.items)?,
            done: count("bulks.done", row.done)?,
            failed: count("bulks.failed", row.failed)?,
            started: time(row.started_ms),
            changed: time(row.changed_ms),
            revision: count("bulks.revision", row.revision)?,
        })
    }
}

impl TryFrom<bulk_items::Model> for BulkItem {
    type Error = StoreError;
    fn try_from(row: bulk_items::Model) -> Result<Self, StoreError> {
        Ok(Self {
            number: count("bulk_items.number", row.number)?,
            parameters: row.parameters.split(BETWEEN).filter(|part| !part.is_empty()).map(str::to_owned).collect(),
            body: row.body,
            state: BulkItemState::from_word(&row.state).ok_or(StoreError::Corrupt("bulk_items.state"))?,
            code: row.code,
            message: row.message,
        })
    }
}

/// Between the parameters of a path, of which none holds it.
const BETWEEN: char = '/';

impl Store {
    pub async fn bulk(&self, bulk: BulkId) -> Result<Option<Bulk>, StoreError> {
        bulks::Entity::find_by_id(bulk.as_bytes().to_vec()).one(&self.readers).await?.map(Bulk::try_from).transpose()
    }

    /// The newest first.
    pub async fn bulks_of(&self, user: UserId) -> Result<Vec<Bulk>, StoreError> {
        let sql = "SELECT * FROM bulks WHERE user_id = $1 ORDER BY started_ms DESC, id LIMIT $2";
        let values = vec![bytes(user.as_bytes()), number(BULKS_MAX as u64)?.into()];
        self.rows::<bulks::Model>(sql, values).await?.into_iter().map(Bulk::try_from).collect()
    }

    /// Those from a number on, in order, all of them or those in one state.
    pub async fn bulk_items(&self, bulk: BulkId, from: u64, state: Option<BulkItemState>, limit: u64) -> Result<Vec<BulkItem>, StoreError> {
        let mut values = vec![bytes(bulk.as_bytes()), number(from)?.into(), number(limit)?.into()];
        let mut sql = "SELECT * FROM bulk_items WHERE bulk_id = $1 AND number >= $2".to_owned();
        if let Some(state) = state {
            values.push(state.word().into());
            sql.push_str(" AND state = $4");
        }
        sql.push_str(" ORDER BY number LIMIT $3");
        self.rows::<bulk_items::Model>(&sql, values).await?.into_iter().map(BulkItem::try_from).collect()
    }

    /// Stores the list, as running; the person's oldest go for it.
    pub async fn start_bulk(&self, permit: Permit<BulkStart>, new: BulkNew) -> Result<(), StoreError> {
        self.write(move |tx| Box::pin(async move { tx.start_bulk(permit, new).await })).await
    }

    /// What came of some items. Where none is open any more, it is done. Decisions about the list are none the staler for it.
    pub async fn record_bulk(&self, bulk: BulkId, results: Vec<BulkResult>, at: Timestamp) -> Result<(), StoreError> {
        self.write(move |tx| Box::pin(async move { tx.record_bulk(bulk, results, at).await })).await
    }

    /// Running again; `failed`: what failed is open again.
    pub async fn resume_bulk(&self, permit: Permit<BulkResume>, failed: bool, at: Timestamp) -> Result<(), StoreError> {
        self.write(move |tx| Box::pin(async move { tx.resume_bulk(permit, failed, at).await })).await
    }

    pub async fn stop_bulk(&self, permit: Permit<BulkStop>, at: Timestamp) -> Result<(), StoreError> {
        self.write(move |tx| {
            Box::pin(async move {
                let sql = "UPDATE bulks SET state = 'stopped', changed_ms = $3, revision = revision + 1 \
                           WHERE id = $1 AND revision = $2 AND state = 'running'";
                tx.run_or_stale("bulk", sql, vec![bytes(permit.on().as_bytes()), number(permit.revision())?.into(), at.to_i64().into()])
                    .await
            })
        })
        .await
    }

    /// It runs no more, since the session it ran in is over.
    pub async fn interrupt_bulk(&self, bulk: BulkId, at: Timestamp) -> Result<(), StoreError> {
        self.write(move |tx| {
            Box::pin(async move {
                let sql =
                    "UPDATE bulks SET state = 'stopped', changed_ms = $2, revision = revision + 1 WHERE id = $1 AND state = 'running'";
                tx.run(sql, vec![bytes(bulk.as_bytes()), at.to_i64().into()]).await.map(drop)
            })
        })
        .await
    }

    /// What ran when the server ended is stopped.
    pub async fn interrupt_bulks(&self) -> Result<u64, StoreError> {
        self.write(move |tx| {
            Box::pin(
                async move { tx.run("UPDATE bulks SET state = 'stopped', revision = revision + 1 WHERE state = 'running'", vec![]).await },
            )
        })
        .await
    }
}

impl Tx {
    async fn start_bulk(&self, permit: Permit<BulkStart>, new: BulkNew) -> Result<(), StoreError> {
        let BulkNew { operation, items, at } = new;
        let bulk = permit.on().as_bytes().to_vec();
        if bulks::Entity::find_by_id(bulk.clone()).one(&self.conn).await?.is_some() {
            return Err(StoreError::Taken(Taken::BulkId));
        }
        let row = bulks::Model {
            id: bulk.clone(),
            user_id: permit.actor().as_bytes().to_vec(),
            operation: operation.name().to_owned(),
            state: BulkState::Running.word().to_owned(),
            items: number(items.len() as u64)?,
            done: 0,
            failed: 0,
            started_ms: at.to_i64(),
            changed_ms: at.to_i64(),
            revision: 1,
        };
        let mut rows = Vec::with_capacity(items.len());
        for (n, (parameters, body)) in items.into_iter().enumerate() {
            rows.push(bulk_items::Model {
                bulk_id: bulk.clone(),
                number: number(n as u64)?,
                parameters: parameters.join("/"),
                body,
                state: BulkItemState::Open.word().to_owned(),
                code: None,
                message: None,
            });
        }
        insert_all::<bulks::Entity, bulks::ActiveModel>(&self.conn, vec![row]).await?;
        insert_all::<bulk_items::Entity, bulk_items::ActiveModel>(&self.conn, rows).await?;
        let old = "(SELECT id FROM bulks WHERE user_id = $1 AND state <> 'running' AND id NOT IN \
                   (SELECT id FROM bulks WHERE user_id = $1 ORDER BY started_ms DESC, id LIMIT $2))";
        for sql in [format!("DELETE FROM bulk_items WHERE bulk_id IN {old}"), format!("DELETE FROM bulks WHERE id IN {old}")] {
            self.run(&sql, vec![bytes(permit.actor().as_bytes()), number(BULKS_MAX as u64)?.into()]).await?;
        }
        Ok(())
    }

    async fn record_bulk(&self, bulk: BulkId, results: Vec<BulkResult>, at: Timestamp) -> Result<(), StoreError> {
        let (mut done, mut failed) = (0u64, 0u64);
        for (n, result) in results {
            let (state, code, message) = match result {
                Ok(()) => (BulkItemState::Done, None, None),
                Err((code, message)) => (BulkItemState::Failed, Some(code), Some(message)),
            };
            // What is done is not needed any more; what failed may be tried again.
            let sql = "UPDATE bulk_items SET state = $3, code = $4, message = $5, body = CASE WHEN $3 = 'done' THEN $6 ELSE body END \
                       WHERE bulk_id = $1 AND number = $2 AND state = 'open'";
            let values =
                vec![bytes(bulk.as_bytes()), number(n)?.into(), state.word().into(), code.into(), message.into(), bytes(Vec::<u8>::new())];
            let counted = self.run(sql, values).await?;
            *(if state == BulkItemState::Done { &mut done } else { &mut failed }) += counted;
        }
        let sql = "UPDATE bulks SET done = done + $2, failed = failed + $3, changed_ms = $4, \
                   state = CASE WHEN done + failed + $2 + $3 >= items THEN 'done' ELSE state END WHERE id = $1";
        let values = vec![bytes(bulk.as_bytes()), number(done)?.into(), number(failed)?.into(), at.to_i64().into()];
        self.run(sql, values).await.map(drop)
    }

    async fn resume_bulk(&self, permit: Permit<BulkResume>, failed: bool, at: Timestamp) -> Result<(), StoreError> {
        let bulk = permit.on();
        let sql = "UPDATE bulks SET state = 'running', failed = CASE WHEN $4 THEN 0 ELSE failed END, changed_ms = $3, \
                   revision = revision + 1 WHERE id = $1 AND revision = $2 AND state <> 'running'";
        let values = vec![bytes(bulk.as_bytes()), number(permit.revision())?.into(), at.to_i64().into(), failed.into()];
        self.run_or_stale("bulk", sql, values).await?;
        if failed {
            let sql = "UPDATE bulk_items SET state = 'open', code = NULL, message = NULL WHERE bulk_id = $1 AND state = 'failed'";
            self.run(sql, vec![bytes(bulk.as_bytes())]).await?;
        }
        Ok(())
    }
}
