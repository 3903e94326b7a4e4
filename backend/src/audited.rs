//! One function around every change: opening row before, closing row after.

use std::future::Future;

use futures::future::try_join_all;
use ticrypt_api::role::{Audit, Event, Opened, Outcome, Reply};
use ticrypt_api::{ApiError, ErrorKind};
use ticrypt_types::{Operation, RequestId, Timestamp};

/// How a failed piece of work stands in its closing row.
pub fn outcome_of(error: &ApiError) -> Outcome {
    match error.kind {
        ErrorKind::Broken | ErrorKind::Unavailable => Outcome::Failed(error.code.clone()),
        _ => Outcome::Refused(error.code.clone()),
    }
}

/// What the server does by itself.
pub fn by_system(operation: Operation, subjects: Vec<[u8; 16]>, detail: Vec<(String, String)>, at: Timestamp) -> Result<Event, ApiError> {
    let mut id = [0; 16];
    aws_lc_rs::rand::fill(&mut id).map_err(|_| ApiError::broken())?;
    Ok(Event { operation, request: RequestId::from_random(id), actor: None, session: None, subjects, detail, at })
}

/// Does `work` between two rows. It does not start before the first is durable; its answer is not given before the second is.
pub async fn audited<T, F>(audit: &dyn Audit, event: Event, work: impl FnOnce(Opened) -> F) -> Result<Reply<T>, ApiError>
where
    F: Future<Output = Result<T, ApiError>>,
{
    let opened = audit.open(event.clone()).await?;
    let result = work(opened).await;
    let outcome = result.as_ref().map_or_else(outcome_of, |_| Outcome::Done);
    audit.close(opened, event, outcome).await?;
    result.map(|body| Reply { body, opened: Some(opened) })
}

/// The same for a piece of work that is about several: a row for each before it, and a closing row for each. The answer rests on the first.
pub async fn audited_each<T, F>(audit: &dyn Audit, events: Vec<Event>, work: impl FnOnce() -> F) -> Result<Reply<T>, ApiError>
where
    F: Future<Output = Result<T, ApiError>>,
{
    // Together, so that they wait for the disk together.
    let opened = try_join_all(events.iter().map(|event| audit.open(event.clone()))).await?;
    let result = work().await;
    let outcome = result.as_ref().map_or_else(outcome_of, |_| Outcome::Done);
    let closing = opened.iter().zip(events).map(|(opened, event)| audit.close(*opened, event, outcome.clone()));
    try_join_all(closing).await?;
    result.map(|body| Reply { body, opened: opened.first().copied() })
}

/// Records that a rule said no to a change, and gives the refusal back.
pub async fn refused(audit: &dyn Audit, event: Event, error: ApiError) -> ApiError {
    match audit.fact(event, outcome_of(&error)).await {
        Ok(_) => error,
        // A refusal that cannot be recorded is still a refusal; the log's failure is told by the next change.
        Err(_) => error,
    }
}
