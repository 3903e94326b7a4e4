//! The logs over HTTP. Checkpoints and hash tiles are for everyone, leaf bodies for administrators (security C17, C18).

use ticrypt_api::ApiError;
use ticrypt_api::log::{EntriesRequest, LogName, TileQuery};
use ticrypt_api::role::Outcome;
use ticrypt_policy::audit::may_read_entries;

use super::Rest;
use super::call::{Answer, Call};
use crate::audited::refused;
use crate::refusal::refuse;

impl Rest {
    pub(super) async fn read_checkpoint(&self, call: &Call) -> Result<Answer, ApiError> {
        let bytes = self.audit.checkpoint(log_name(call)?).await?;
        Ok(Answer::raw(bytes.into(), "text/plain; charset=utf-8"))
    }

    pub(super) async fn read_tile(&self, call: &Call) -> Result<Answer, ApiError> {
        let query: TileQuery = call.query()?;
        let tile = self.audit.tile(log_name(call)?, &query.path).await?.ok_or_else(ApiError::not_found)?;
        Ok(Answer::raw(tile.into(), call.endpoint.codec.media_type()))
    }

    pub(super) async fn read_entries(&self, call: &Call) -> Result<Answer, ApiError> {
        self.read_leaves(call, LogName::Audit).await
    }

    pub(super) async fn read_key_leaves(&self, call: &Call) -> Result<Answer, ApiError> {
        self.read_leaves(call, LogName::Keys).await
    }

    /// Hands out evidence about people, so it is itself recorded.
    async fn read_leaves(&self, call: &Call, log: LogName) -> Result<Answer, ApiError> {
        let request: EntriesRequest = call.body()?;
        let (actor, _) = self.actor(call.session()?, call.now).await?;
        let mut event = call.event(&[]);
        event.detail = vec![("start".to_owned(), request.start.to_string()), ("count".to_owned(), request.count.to_string())];
        if let Err(denial) = may_read_entries(&actor, call.now) {
            return Err(refused(self.audit.as_ref(), event, refuse(denial, call.now)).await);
        }
        let opened = self.audit.fact(event, Outcome::Done).await?;
        let reply = self.audit.entries(log, request).await?;
        Ok(Answer::of(call, &reply)?.with_row(opened))
    }
}

fn log_name(call: &Call) -> Result<LogName, ApiError> {
    match call.parameter::<String>(0)?.as_str() {
        "audit" => Ok(LogName::Audit),
        "keys" => Ok(LogName::Keys),
        _ => Err(ApiError::not_found()),
    }
}
