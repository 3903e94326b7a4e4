//! Shares past their time. The rules refuse them from the first moment; ending them closes their nodes, so that nothing more is
//! written under keys their holders have (security B5). The server does it by the clock, audited like any change.

use ticrypt_api::ApiError;
use ticrypt_types::{GrantId, Operation, Timestamp};

use super::super::FileRole;
use super::super::audited::Plan;
use super::super::error::FileError;
use crate::audited::by_system;

/// Ids one row names: of grants, and of their nodes.
const ROW_MAX: usize = 1_000;

impl FileRole {
    /// Ends what is past its time; tells how many.
    pub async fn expire_grants(&self, now: Timestamp) -> Result<usize, ApiError> {
        let due = self.store.expired(now).await.map_err(|error| FileError::from(error).into_api(now))?;
        if due.is_empty() {
            return Ok(0);
        }
        let subjects = due.iter().take(ROW_MAX).flat_map(|grant| [grant.node.to_bytes(), grant.id.to_bytes()]).collect();
        let event = by_system(Operation::GrantExpire, subjects, vec![("grants".to_owned(), due.len().to_string())], now)?;
        let (store, losses) = (self.store.clone(), self.losses.clone());
        let ended = self.change(event, Ok(Plan::Do(())), move |()| async move {
            let ended: Vec<GrantId> = store.end_expired(now).await?;
            losses.record(due.iter().map(|grant| grant.recipient));
            Ok(ended.len())
        });
        Ok(ended.await?.body)
    }
}
