//! What has been done with a node: rows of the audit log, newest first, for whoever holds a living share of it.

use ticrypt_api::ApiError;
use ticrypt_api::node::{HistoryReply, PageQuery};
use ticrypt_api::role::{Caller, Reply};
use ticrypt_policy::audit::may_read_history;
use ticrypt_types::{NodeId, Operation};

use super::FileRole;
use super::audited::event;
use super::error::FileError;
use super::page;

const LIMIT: u32 = 50;
const LIMIT_MAX: u32 = 200;

impl FileRole {
    pub(super) async fn node_history(&self, caller: &Caller, node: NodeId, query: PageQuery) -> Result<Reply<HistoryReply>, ApiError> {
        let row = event(caller, Operation::NodeHistory, [node]);
        let answer = self.read_history(caller, node, query).await;
        self.hand_out(row, answer).await
    }

    async fn read_history(&self, caller: &Caller, node: NodeId, query: PageQuery) -> Result<HistoryReply, FileError> {
        let limit = query.limit.unwrap_or(LIMIT);
        if limit == 0 || limit > LIMIT_MAX {
            return Err(FileError::Bound("a page of history has 1 to 200 rows"));
        }
        let before = query.page.as_deref().map(page::parse_after::<8>).transpose()?.map(u64::from_be_bytes);
        let actor = self.actor(caller).await?;
        let facts = self.facts_of(&actor, node).await?;
        let _permit = may_read_history(&actor, &facts, caller.now)?;
        let events = self.audit.about(node.to_bytes(), before, limit).await?;
        let next = match events.last() {
            Some(last) if events.len() as u64 == u64::from(limit) => Some(page::after(&last.index.to_be_bytes())),
            _ => None,
        };
        Ok(HistoryReply { events, next })
    }
}
