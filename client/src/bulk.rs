//! The same done to many at once: stored by the server as a list, carried out there item by item, followed from here (decision 21).

use std::collections::HashMap;
use std::time::Duration;

use serde::Serialize;
use serde::de::IgnoredAny;
use ticrypt_api::bulk::{
    BulkItem, BulkItemView, BulkListReply, BulkReadQuery, BulkReadReply, BulkResumeRequest, BulkStartRequest, BulkView,
};
use ticrypt_api::{Blob, Endpoint, wire};
use ticrypt_types::bulk::{BulkItemState, BulkState};
use ticrypt_types::limits::BULK_ITEMS_MAX;
use ticrypt_types::name::Harmless;
use ticrypt_types::{BulkId, Operation};

use crate::entropy;
use crate::error::{ClientError, Kind, Result};
use crate::project::Projects;
use crate::session::Session;
use crate::team::Teams;

/// How long until it is looked at again: soon for a short list, seldom for a long one.
const FIRST_LOOK: Duration = Duration::from_millis(20);
const LAST_LOOK: Duration = Duration::from_millis(500);

/// The code of the failure of a bulk action that stopped before its end.
pub const STOPPED: &str = "bulk_stopped";

/// Is told how many items were tried.
pub type Step<'a> = &'a (dyn Fn(u64) + Send + Sync);

/// One request, as it would be sent by itself.
#[derive(Clone, Debug)]
pub struct Item<Q> {
    /// Of its path, in order.
    pub parameters: Vec<String>,
    pub request: Q,
}

/// Does one thing to many. Gives what came of each, in order; `step` is told how many were tried.
pub async fn run<Q: Serialize>(session: &Session, operation: Operation, items: &[Item<Q>], step: Step<'_>) -> Result<Vec<Result<()>>> {
    // One is not worth a list.
    if let [Item { parameters, request }] = items {
        let parameters: Vec<&str> = parameters.iter().map(String::as_str).collect();
        return match session.call::<_, Option<IgnoredAny>>(operation, &parameters, request).await {
            Ok(_) => Ok(vec![Ok(())]),
            Err(error) if is_of_item(&error) => Ok(vec![Err(error)]),
            Err(error) => Err(error),
        };
    }
    let mut results = Vec::with_capacity(items.len());
    for some in items.chunks(BULK_ITEMS_MAX) {
        let before = results.len() as u64;
        let bulk = start(session, operation, some).await?;
        let view = follow(session, bulk, &|view| step(before + view.done + view.failed)).await?;
        let mut failed = failures(session, &view).await?;
        results.extend((0..some.len() as u64).map(|number| failed.remove(&number).map_or(Ok(()), Err)));
    }
    Ok(results)
}

/// Whether this is about the thing asked, so that the next may do.
fn is_of_item(error: &ClientError) -> bool {
    matches!(error.kind(), Kind::Refused | Kind::NotFound | Kind::Invalid | Kind::Stale | Kind::Taken)
}

async fn start<Q: Serialize>(session: &Session, operation: Operation, items: &[Item<Q>]) -> Result<BulkId> {
    let bulk = BulkId::from_random(entropy::bytes()?);
    let codec = Endpoint::of(operation).ok_or_else(|| ClientError::broken("an operation without an endpoint"))?.codec;
    let encoded = |Item { parameters, request }: &Item<Q>| {
        let body = wire::encode(codec, request).map_err(|e| ClientError::broken("a request cannot be encoded").because(e))?;
        Ok(BulkItem { parameters: parameters.clone(), body: Blob(body) })
    };
    let items = items.iter().map(encoded).collect::<Result<Vec<_>>>()?;
    let request = BulkStartRequest { bulk, operation: operation.name().to_owned(), items };
    let _: BulkView = session.call(Operation::BulkStart, &[], &request).await?;
    Ok(bulk)
}

/// One's own, the newest first.
pub async fn list(session: &Session) -> Result<Vec<BulkView>> {
    let reply: BulkListReply = session.call(Operation::BulkList, &[], &()).await?;
    Ok(reply.bulks)
}

/// How far it is, with some of its items.
pub async fn read(session: &Session, bulk: BulkId, query: &BulkReadQuery) -> Result<BulkReadReply> {
    session.transport.call(Operation::BulkRead, &[&bulk.to_string()], query, &()).await
}

/// Looks until it is over. One that stopped before its end is an error that says how to go on.
pub async fn follow(session: &Session, bulk: BulkId, step: &(dyn Fn(&BulkView) + Send + Sync)) -> Result<BulkView> {
    let mut pause = FIRST_LOOK;
    loop {
        let view = read(session, bulk, &BulkReadQuery { limit: Some(0), ..BulkReadQuery::default() }).await?.view;
        step(&view);
        match view.state {
            BulkState::Done => return Ok(view),
            BulkState::Stopped => {
                let done = view.done + view.failed;
                return Err(ClientError::new(
                    Kind::Unavailable,
                    STOPPED,
                    format!(
                        "it stopped after {done} of {}; go on with it under Bulk actions in the page, or by `ticrypt bulk resume {bulk}`",
                        view.items
                    ),
                ));
            }
            BulkState::Running => tokio::time::sleep(pause).await,
        }
        pause = (pause * 2).min(LAST_LOOK);
    }
}

/// Why items failed, by their numbers.
pub async fn failures(session: &Session, view: &BulkView) -> Result<HashMap<u64, ClientError>> {
    let mut failed = HashMap::new();
    if view.failed == 0 {
        return Ok(failed);
    }
    let mut query = BulkReadQuery { from: 0, state: Some(BulkItemState::Failed), limit: None };
    loop {
        let reply = read(session, view.bulk, &query).await?;
        for item in reply.items {
            let (code, message) = (item.code.unwrap_or_default(), item.message.unwrap_or_default());
            failed.insert(item.number, ClientError::refused(&code, message));
        }
        match reply.next {
            Some(next) => query.from = next,
            None => return Ok(failed),
        }
    }
}

/// Whom and what items are about, by the names one knows; what has none stays as it was sent.
pub async fn about(session: &Session, items: &[BulkItemView]) -> Result<Vec<String>> {
    if items.is_empty() {
        return Ok(Vec::new());
    }
    let (teams, projects) = (Teams::load(session).await?, Projects::load(session).await?);
    let pins = session.users.pins().all()?;
    let mut names: HashMap<String, String> = pins.iter().map(|(user, pin)| (user.to_string(), pin.name.to_string())).collect();
    names.extend(teams.all().iter().map(|view| (view.team.to_string(), view.about.name.to_string())));
    names.extend(projects.in_order().into_iter().map(|(_, view)| (view.project.to_string(), projects.path(view))));
    let named = |text: &String| names.get(text).cloned().unwrap_or_else(|| Harmless(text).to_string());
    let about = |item: &BulkItemView| {
        let user = item.user.map(|user| named(&user.to_string()));
        user.into_iter().chain(item.parameters.iter().map(named)).collect::<Vec<_>>().join(", ")
    };
    Ok(items.iter().map(about).collect())
}

/// Goes on with what is open of it; `failed`: with what failed as well.
pub async fn resume(session: &Session, bulk: BulkId, failed: bool) -> Result<BulkView> {
    session.call(Operation::BulkResume, &[&bulk.to_string()], &BulkResumeRequest { failed }).await
}

pub async fn stop(session: &Session, bulk: BulkId) -> Result<BulkView> {
    session.call(Operation::BulkStop, &[&bulk.to_string()], &()).await
}
