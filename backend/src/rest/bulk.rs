//! Bulk actions: a stored list of requests, carried out item by item by the very handlers of the single requests (decision 21).
//!
//! ```text
//!   list ─▶ stored, running ─▶ some at a time: a call like any other, in the actor's session ─▶ results stored ─▶ … ─▶ done
//!                    └ session over, stopped, server ends ─▶ stopped ─▶ resumed in a session of its owner
//! ```

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::http::{HeaderMap, Uri};
use futures::future::BoxFuture;
use futures::stream::{self, StreamExt};
use serde::Deserialize;
use ticrypt_api::bulk::{BulkItemView, BulkListReply, BulkReadQuery, BulkReadReply, BulkResumeRequest, BulkStartRequest, BulkView};
use ticrypt_api::{ApiError, Endpoint, wire};
use ticrypt_policy::Denial;
use ticrypt_policy::bulk::{may_read_bulk, may_resume_bulk, may_start_bulk, may_stop_bulk};
use ticrypt_store::bulk::{Bulk, BulkItem, BulkNew, BulkResult};
use ticrypt_types::bulk::BulkItemState;
use ticrypt_types::limits::{BULK_BODY_MAX_BYTES, BULK_ITEMS_MAX};
use ticrypt_types::{BulkId, Operation, RequestId, UserId};

use super::Rest;
use super::call::{Answer, Call};
use super::change::event;
use crate::connection::Connection;
use crate::presence::Session;
use crate::refusal::{refuse, store_failed};

/// Items whose results are stored together.
const TOGETHER: u64 = 64;
/// Items under way at once.
const AT_ONCE: usize = 8;
/// Items in one answer.
const ITEMS_MAX: u32 = 1_000;

/// Those that run here, with what stops each.
#[derive(Debug, Default)]
pub struct Bulks {
    running: Mutex<HashMap<BulkId, Arc<AtomicBool>>>,
    ended: AtomicBool,
}

impl Bulks {
    /// Nothing more is begun; what runs stops after the items that are under way.
    pub fn end(&self) {
        self.ended.store(true, Ordering::Relaxed);
    }

    fn running(&self) -> MutexGuard<'_, HashMap<BulkId, Arc<AtomicBool>>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn begin(&self, bulk: BulkId) -> Arc<AtomicBool> {
        let stop = Arc::new(AtomicBool::new(false));
        self.running().insert(bulk, Arc::clone(&stop));
        stop
    }

    fn stop(&self, bulk: BulkId) {
        if let Some(stop) = self.running().get(&bulk) {
            stop.store(true, Ordering::Relaxed);
        }
    }
}

/// For whom a list is carried out, and as which request.
#[derive(Clone)]
struct Run {
    bulk: BulkId,
    operation: Operation,
    /// Of the request that started or resumed it: the rows of all items stand under it.
    request: RequestId,
    connection: Arc<Connection>,
    session: Arc<Session>,
}

impl Rest {
    pub(super) async fn start_bulk(self: &Arc<Self>, call: &Call) -> Result<Answer, ApiError> {
        let BulkStartRequest { bulk, operation, items } = call.body()?;
        let operation = Operation::from_name(&operation).ok_or_else(|| ApiError::invalid("there is no operation of that name"))?;
        if items.is_empty() || items.len() > BULK_ITEMS_MAX {
            return Err(ApiError::invalid("a bulk action has 1 to 10 000 items; split it"));
        }
        if items.iter().any(|item| item.body.0.len() > BULK_BODY_MAX_BYTES) {
            return Err(ApiError::invalid("a request in a bulk action has a body of at most 64 KiB"));
        }
        let places = Endpoint::of(operation).map_or(0, |endpoint| endpoint.path.matches('{').count());
        if items
            .iter()
            .any(|item| item.parameters.len() != places || item.parameters.iter().any(|part| part.is_empty() || part.contains('/')))
        {
            return Err(ApiError::invalid("an item names other parameters than the path of its operation has"));
        }
        let (actor, _) = self.actor(call.session()?, call.now).await?;
        let decided = may_start_bulk(&actor, bulk, operation, call.now);
        let row = event(call, &[bulk.to_bytes()], &[("operation", operation.name().to_owned()), ("items", items.len().to_string())]);
        let new = BulkNew { operation, items: items.into_iter().map(|item| (item.parameters, item.body.0)).collect(), at: call.now };
        let answer = self
            .change(call, row, decided, |permit| async {
                self.store.start_bulk(permit, new).await?;
                self.store.bulk(bulk).await?.map(view).ok_or(ticrypt_store::StoreError::NotFound("bulk"))
            })
            .await?;
        self.run_bulk(call, bulk, operation)?;
        Ok(answer)
    }

    pub(super) async fn list_bulks(&self, call: &Call) -> Result<Answer, ApiError> {
        let (actor, user) = self.actor(call.session()?, call.now).await?;
        actor.check(call.now).map_err(|denial| refuse(denial, call.now))?;
        let bulks = self.store.bulks_of(user.id).await.map_err(|error| store_failed(error, call.now))?;
        Answer::of(call, &BulkListReply { bulks: bulks.into_iter().map(view).collect() })
    }

    pub(super) async fn read_bulk(&self, call: &Call) -> Result<Answer, ApiError> {
        let BulkReadQuery { from, state, limit } = call.query()?;
        let (actor, _) = self.actor(call.session()?, call.now).await?;
        let bulk = self.bulk_of(call).await?;
        may_read_bulk(&actor, &bulk.facts(), call.now).map_err(|denial| refuse(denial, call.now))?;
        let limit = u64::from(limit.unwrap_or(ITEMS_MAX).min(ITEMS_MAX));
        let items = self.store.bulk_items(bulk.id, from, state, limit).await.map_err(|error| store_failed(error, call.now))?;
        let next = items.last().filter(|_| items.len() as u64 == limit).map(|last| last.number + 1);
        Answer::of(
            call,
            &BulkReadReply { items: items.into_iter().map(|item| item_view(bulk.operation, item)).collect(), view: view(bulk), next },
        )
    }

    pub(super) async fn resume_bulk(self: &Arc<Self>, call: &Call) -> Result<Answer, ApiError> {
        let BulkResumeRequest { failed } = call.body()?;
        let (actor, _) = self.actor(call.session()?, call.now).await?;
        let bulk = self.bulk_of(call).await?;
        let decided = may_resume_bulk(&actor, &bulk.facts(), failed, call.now);
        let row = event(call, &[bulk.id.to_bytes()], &[("operation", bulk.operation.name().to_owned())]);
        let answer = self
            .change(call, row, decided, |permit| async {
                self.store.resume_bulk(permit, failed, call.now).await?;
                self.store.bulk(bulk.id).await?.map(view).ok_or(ticrypt_store::StoreError::NotFound("bulk"))
            })
            .await?;
        self.run_bulk(call, bulk.id, bulk.operation)?;
        Ok(answer)
    }

    pub(super) async fn stop_bulk(&self, call: &Call) -> Result<Answer, ApiError> {
        let (actor, _) = self.actor(call.session()?, call.now).await?;
        let bulk = self.bulk_of(call).await?;
        let decided = may_stop_bulk(&actor, &bulk.facts(), call.now);
        let row = event(call, &[bulk.id.to_bytes()], &[]);
        self.change(call, row, decided, |permit| async {
            self.store.stop_bulk(permit, call.now).await?;
            self.bulks.stop(bulk.id);
            self.store.bulk(bulk.id).await?.map(view).ok_or(ticrypt_store::StoreError::NotFound("bulk"))
        })
        .await
    }

    async fn bulk_of(&self, call: &Call) -> Result<Bulk, ApiError> {
        let bulk = self.store.bulk(call.parameter(0)?).await.map_err(|error| store_failed(error, call.now))?;
        bulk.ok_or_else(|| refuse(Denial::NotFound, call.now))
    }

    /// Carries out what is open, in a task of its own.
    fn run_bulk(self: &Arc<Self>, call: &Call, bulk: BulkId, operation: Operation) -> Result<(), ApiError> {
        let run =
            Run { bulk, operation, request: call.request, connection: Arc::clone(&call.connection), session: Arc::clone(call.session()?) };
        let stop = self.bulks.begin(bulk);
        self.tasks.spawn(Arc::clone(self).run_items(run, stop));
        Ok(())
    }

    /// Boxed, since an item is a call, and a call may start a bulk action.
    fn run_items(self: Arc<Self>, run: Run, stop: Arc<AtomicBool>) -> BoxFuture<'static, ()> {
        Box::pin(async move {
            let ended = self.run_open(&run, &stop).await;
            self.bulks.running().remove(&run.bulk);
            let stopped = match ended {
                Ok(whole) => !whole,
                Err(error) => {
                    tracing::error!(code = error.code, "a bulk action cannot go on");
                    true
                }
            };
            if stopped && let Err(error) = self.store.interrupt_bulk(run.bulk, self.clock.now()).await {
                tracing::warn!(error = &error as &dyn std::error::Error, "a bulk action that stopped cannot be marked so");
            }
        })
    }

    /// Whether it came to its end.
    async fn run_open(self: &Arc<Self>, run: &Run, stop: &AtomicBool) -> Result<bool, ApiError> {
        let mut from = 0;
        loop {
            let is_over = stop.load(Ordering::Relaxed) || self.bulks.ended.load(Ordering::Relaxed);
            if is_over || self.presence.by_id(run.session.id).is_none() {
                return Ok(false);
            }
            let failed = |error| store_failed(error, self.clock.now());
            let items = self.store.bulk_items(run.bulk, from, Some(BulkItemState::Open), TOGETHER).await.map_err(failed)?;
            let Some(last) = items.last() else { return Ok(true) };
            from = last.number + 1;
            let results: Vec<BulkResult> = stream::iter(items).map(|item| self.item(run, item)).buffer_unordered(AT_ONCE).collect().await;
            self.store.record_bulk(run.bulk, results, self.clock.now()).await.map_err(failed)?;
        }
    }

    /// One request, as if it came by itself.
    async fn item(self: &Arc<Self>, run: &Run, item: BulkItem) -> BulkResult {
        let told = |error: ApiError| (error.code.clone(), error.message);
        let Some(endpoint) = Endpoint::of(run.operation) else { return (item.number, Err(told(ApiError::broken()))) };
        let call = Call {
            endpoint,
            request: run.request,
            connection: Arc::clone(&run.connection),
            now: self.clock.now(),
            session: Some(Arc::clone(&run.session)),
            parameters: item.parameters,
            uri: Uri::from_static("/"),
            headers: HeaderMap::new(),
            body: item.body.into(),
        };
        let rest = Arc::clone(self);
        // A task of its own: an item that ends badly ends alone.
        let handled = self.tasks.spawn(async move { rest.handle(&call).await.map(drop) }).await;
        let result = handled.unwrap_or_else(|_| Err(ApiError::broken()));
        (item.number, result.map_err(told))
    }
}

fn view(bulk: Bulk) -> BulkView {
    BulkView {
        bulk: bulk.id,
        operation: bulk.operation.name().to_owned(),
        state: bulk.state,
        items: bulk.items,
        done: bulk.done,
        failed: bulk.failed,
        started_ms: bulk.started,
        changed_ms: bulk.changed,
    }
}

/// The person whom a request of any kind names.
#[derive(Deserialize)]
struct Whom {
    user: UserId,
}

fn item_view(operation: Operation, item: BulkItem) -> BulkItemView {
    let BulkItem { number, parameters, state, code, message, body } = item;
    let whom = Endpoint::of(operation).and_then(|endpoint| wire::decode::<Whom>(endpoint.codec, &body).ok());
    BulkItemView { number, parameters, user: whom.map(|whom| whom.user), state, code, message }
}
