//! The one road a change takes: a durable opening row, then the work, then a closing row (security C17).
//!
//! ```text
//!   decided ──▶ open row durable ──▶ act in one transaction ──▶ close row durable ──▶ answer with the row for its receipt
//!      └─ refused ──▶ one row about the refusal ──▶ the refusal
//! ```
//!
//! The three steps run in a task of their own, owned by the role: a client that hangs up does not stop a change half way, and a
//! shutdown waits for them.

use std::future::Future;

use ticrypt_api::ApiError;
use ticrypt_api::role::{Caller, Event, Outcome, Reply};
use ticrypt_types::limits::BATCH_MAX_NODES;
use ticrypt_types::{NodeId, Operation};

use super::FileRole;
use super::error::FileError;

/// What was decided.
pub(super) enum Plan<P, T> {
    Do(P),
    /// This very request was carried out before: the same answer, and no second row.
    Again(T),
}

/// A row about some nodes. More than one row may name are refused before they come here.
pub(super) fn event(caller: &Caller, operation: Operation, nodes: impl IntoIterator<Item = NodeId>) -> Event {
    event_about(caller, operation, nodes.into_iter().map(NodeId::to_bytes))
}

/// A row about other things than nodes.
pub(super) fn event_about(caller: &Caller, operation: Operation, subjects: impl IntoIterator<Item = [u8; 16]>) -> Event {
    Event {
        operation,
        request: caller.request,
        actor: Some(caller.user),
        session: Some(caller.session),
        subjects: subjects.into_iter().take(BATCH_MAX_NODES).collect(),
        detail: Vec::new(),
        at: caller.now,
    }
}

/// Adds a word or a count.
pub(super) fn with(mut event: Event, key: &str, value: impl ToString) -> Event {
    event.detail.push((key.to_owned(), value.to_string()));
    event
}

impl FileRole {
    /// Carries out what was decided, between its two rows; a refusal gets its one row instead.
    pub(super) async fn change<P, T, F>(
        &self,
        event: Event,
        decided: Result<Plan<P, T>, FileError>,
        act: impl FnOnce(P) -> F + Send + 'static,
    ) -> Result<Reply<T>, ApiError>
    where
        P: Send + 'static,
        T: Send + 'static,
        F: Future<Output = Result<T, FileError>> + Send + 'static,
    {
        let plan = match decided {
            Ok(Plan::Do(plan)) => plan,
            Ok(Plan::Again(body)) => return Ok(Reply { body, opened: None }),
            Err(error) => return Err(self.refused(event, error).await),
        };
        let (audit, now) = (self.audit.clone(), event.at);
        let work = async move {
            let opened = audit.open(event.clone()).await?;
            let result = act(plan).await.map_err(|error| error.into_api(now));
            let outcome = match &result {
                Ok(_) => Outcome::Done,
                Err(error) => Outcome::Failed(error.code.clone()),
            };
            audit.close(opened, event, outcome).await?;
            result.map(|body| Reply { body, opened: Some(opened) })
        };
        self.tasks.spawn(work).await.unwrap_or_else(|_| Err(FileError::Task.into_api(now)))
    }

    /// Hands something out: its row is durable before the answer leaves.
    pub(super) async fn hand_out<T>(&self, event: Event, answer: Result<T, FileError>) -> Result<Reply<T>, ApiError> {
        let body = answer.map_err(|error| error.into_api(event.at))?;
        let opened = self.audit.fact(event, Outcome::Done).await?;
        Ok(Reply { body, opened: Some(opened) })
    }

    /// The answer to a refused change. Hidden and missing leave the same trace (security C21).
    async fn refused(&self, event: Event, error: FileError) -> ApiError {
        let (refusal, now) = (error.is_refusal(), event.at);
        let error = error.into_api(now);
        if refusal && let Err(unlogged) = self.audit.fact(event, Outcome::Refused(error.code.clone())).await {
            return unlogged;
        }
        error
    }
}
