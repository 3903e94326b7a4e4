//! Ids of what was deleted for good. An id is never given twice: what was signed about the first would seem to be about the second.

use crate::column::{bytes, placeholders};
use crate::error::{StoreError, Taken};
use crate::table::node::retired;
use crate::writer::Tx;

impl Tx {
    /// Refuses ids that something deleted had.
    pub(crate) async fn never_used<'a>(&self, ids: impl IntoIterator<Item = &'a Vec<u8>>, taken: Taken) -> Result<(), StoreError> {
        let ids: Vec<_> = ids.into_iter().map(bytes).collect();
        for some in ids.chunks(1_000) {
            let sql = format!("SELECT id FROM retired WHERE id IN ({}) LIMIT 1", placeholders(1, some.len()));
            if self.row::<retired::Model>(&sql, some.to_vec()).await?.is_some() {
                return Err(StoreError::Taken(taken));
            }
        }
        Ok(())
    }
}
