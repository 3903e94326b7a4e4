//! Which rows of the audit log speak of a subject. The log itself is not here; the table can be made again from it.

use std::collections::BTreeSet;

use ticrypt_types::{NodeId, UserId};

use crate::column::{bytes, count, number};
use crate::connect::Store;
use crate::error::StoreError;
use crate::table::audit::audit_index;
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

impl Store {
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
}
