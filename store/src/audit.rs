//! Which rows of the audit log speak of a subject, and which are still open. The log itself is not here; both tables can be made
//! again from it.

use std::collections::BTreeSet;

use ticrypt_types::{NodeId, Operation, Timestamp, UserId};

use crate::column::{bytes, count, number, time};
use crate::connect::Store;
use crate::error::StoreError;
use crate::table::audit::{audit_index, audit_open};
use crate::table::insert_all;
use crate::writer::Tx;

/// Whom or what an event speaks of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Subject([u8; 16]);

impl From<NodeId> for Subject {
    fn from(node: NodeId) -> Self {
        Self(node.to_bytes())
    }
}

impl From<[u8; 16]> for Subject {
    fn from(id: [u8; 16]) -> Self {
        Self(id)
    }
}

impl From<UserId> for Subject {
    fn from(user: UserId) -> Self {
        Self(user.to_bytes())
    }
}

/// A row whose outcome is not recorded yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OpenRow {
    pub event_index: u64,
    pub operation: Operation,
    pub at: Timestamp,
}

impl Store {
    /// Rows left open by a crash, oldest first; they are completed at start-up (security C17).
    pub async fn open_rows(&self) -> Result<Vec<OpenRow>, StoreError> {
        let rows = self.rows::<audit_open::Model>("SELECT * FROM audit_open ORDER BY event_index", vec![]).await?;
        let row = |row: audit_open::Model| {
            Ok(OpenRow {
                event_index: count("audit_open.event_index", row.event_index)?,
                operation: Operation::from_name(&row.operation).ok_or(StoreError::Corrupt("audit_open.operation"))?,
                at: time(row.at_ms),
            })
        };
        rows.into_iter().map(row).collect()
    }

    /// Indexes of the events about a subject, newest first, those before `before`.
    pub async fn history(&self, subject: Subject, before: Option<u64>, limit: u64) -> Result<Vec<u64>, StoreError> {
        let before = number(before.unwrap_or(i64::MAX as u64))?;
        let sql = "SELECT * FROM audit_index WHERE subject = $1 AND event_index < $2 ORDER BY event_index DESC LIMIT $3";
        let rows = self.rows::<audit_index::Model>(sql, vec![bytes(subject.0), before.into(), number(limit)?.into()]).await?;
        rows.into_iter().map(|row| count("audit_index.event_index", row.event_index)).collect()
    }

    /// Says that an event speaks of these subjects; saying it again changes nothing.
    pub async fn index_events(&self, events: Vec<(Subject, u64)>) -> Result<(), StoreError> {
        self.write(move |tx| Box::pin(async move { tx.index_events(events).await })).await
    }

    pub async fn open_row(&self, row: OpenRow) -> Result<(), StoreError> {
        self.write(move |tx| Box::pin(async move { tx.open_row(row).await })).await
    }

    /// Whether it was open.
    pub async fn close_row(&self, event_index: u64) -> Result<bool, StoreError> {
        self.write(move |tx| Box::pin(async move { tx.close_row(event_index).await })).await
    }
}

impl Tx {
    pub async fn index_events(&self, events: Vec<(Subject, u64)>) -> Result<(), StoreError> {
        let events: Vec<_> = events.into_iter().collect::<BTreeSet<_>>().into_iter().collect();
        for some in events.chunks(1_000) {
            let rows: Vec<String> = (0..some.len()).map(|i| format!("(${}, ${})", 2 * i + 1, 2 * i + 2)).collect();
            let sql = format!("INSERT INTO audit_index (subject, event_index) VALUES {} ON CONFLICT DO NOTHING", rows.join(", "));
            let mut values = Vec::with_capacity(some.len() * 2);
            for (subject, index) in some {
                values.push(bytes(subject.0));
                values.push(number(*index)?.into());
            }
            self.run(&sql, values).await?;
        }
        Ok(())
    }

    pub async fn open_row(&self, row: OpenRow) -> Result<(), StoreError> {
        let row =
            audit_open::Model { event_index: number(row.event_index)?, operation: row.operation.name().to_owned(), at_ms: row.at.to_i64() };
        insert_all::<audit_open::Entity, audit_open::ActiveModel>(&self.conn, vec![row]).await
    }

    pub async fn close_row(&self, event_index: u64) -> Result<bool, StoreError> {
        Ok(self.run("DELETE FROM audit_open WHERE event_index = $1", vec![number(event_index)?.into()]).await? > 0)
    }
}
