//! What is counted for a node: manifests of a file that lost a race, shares of anything.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use sea_orm::{FromQueryResult, Value};
use ticrypt_types::{NodeId, Timestamp};

use crate::column::{bytes, count, id, placeholders};
use crate::connect::Store;
use crate::error::StoreError;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Manifests that lost a race.
    pub conflicts: u64,
    /// Living grants to others than the owner.
    pub shares: u64,
}

/// For which nodes is counted.
#[derive(Clone, Debug)]
pub enum Among<'a> {
    These(&'a [NodeId]),
    /// Entries of a directory, by a range of their ids: a page of a listing.
    Directory(NodeId, RangeInclusive<NodeId>),
}

#[derive(FromQueryResult)]
struct CountRow {
    id: Vec<u8>,
    count: i64,
}

/// Only a file that was written again can have been raced for.
const CONFLICTS: &str = "SELECT n.id, COUNT(*) AS count FROM nodes n JOIN manifests m ON m.file_id = n.id AND m.conflict \
     WHERE n.current_sequence > 1 AND";
const SHARES: &str = "SELECT n.id, COUNT(*) AS count FROM nodes n JOIN grants g ON g.node_id = n.id AND g.recipient_id <> g.owner_id \
     AND g.ended_ms IS NULL AND (g.expires_ms = 0 OR g.expires_ms > $1) WHERE";

impl Store {
    /// What there is to count at `now`; nodes without anything are left out.
    pub async fn counts(&self, among: Among<'_>, now: Timestamp) -> Result<BTreeMap<NodeId, Counts>, StoreError> {
        let mut counts: BTreeMap<NodeId, Counts> = BTreeMap::new();
        for condition in conditions(&among) {
            for row in self.counted(CONFLICTS, &condition, now).await? {
                counts.entry(id("nodes.id", &row.id)?).or_default().conflicts = count("count", row.count)?;
            }
            for row in self.counted(SHARES, &condition, now).await? {
                counts.entry(id("nodes.id", &row.id)?).or_default().shares = count("count", row.count)?;
            }
        }
        Ok(counts)
    }

    async fn counted(&self, what: &str, (condition, values): &(String, Vec<Value>), now: Timestamp) -> Result<Vec<CountRow>, StoreError> {
        // Both take the time as their first value; PostgreSQL wants to know its type where it is not used.
        let sql = format!("{what} {condition} AND $1 >= CAST(0 AS BIGINT) GROUP BY n.id");
        let values = [Value::from(now.to_i64())].into_iter().chain(values.iter().cloned()).collect();
        self.rows(&sql, values).await
    }
}

/// Each with its values, which begin at `$2`.
fn conditions(among: &Among<'_>) -> Vec<(String, Vec<Value>)> {
    match among {
        Among::These(ids) => {
            let some =
                |ids: &[NodeId]| (format!("n.id IN ({})", placeholders(2, ids.len())), ids.iter().map(|id| bytes(id.as_bytes())).collect());
            ids.chunks(1_000).map(some).collect()
        }
        Among::Directory(directory, range) => {
            let values = [directory, range.start(), range.end()].map(|id| bytes(id.as_bytes()));
            vec![("n.parent_id = $2 AND n.id >= $3 AND n.id <= $4".to_owned(), values.to_vec())]
        }
    }
}
