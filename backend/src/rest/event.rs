//! The stream of events: what a person is told, as it is told.
//!
//! ```text
//!   rows after the last event ─▶ queue (bounded) ─▶ body          ends: connection cut, lease over, server stops, reader gone
//!      ▲                           └ full too long: connection cut, the reader resumes by Last-Event-ID
//!      └ woken by the store after each commit, and by the heartbeat
//! ```
//!
//! The rows are the truth and a wake-up only says when to look, so what is lost between the two is late by a heartbeat, not gone. A
//! stream does not keep its session alive: one that is used for nothing else ends by idleness like any other.

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use ticrypt_api::endpoint::LAST_EVENT_HEADER;
use ticrypt_api::role::Epochs;
use ticrypt_api::sse::{self, Block, HEARTBEAT};
use ticrypt_api::{ApiError, ErrorKind};
use ticrypt_policy::notification::may_follow_events;
use ticrypt_store::{Store, StoreError};
use ticrypt_types::SessionId;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::Rest;
use super::call::{Answer, Call};
use super::notification::view;
use crate::config::Config;
use crate::connection::Connection;
use crate::presence::{Presence, Session};
use crate::refusal::{refuse, store_failed};

/// Events that wait for a reader; what comes after waits in the database.
const QUEUE: usize = 16;
/// Rows read at once.
const PAGE: u64 = 100;
/// How often a stream asks whether its session still counts, beside the cut of its connection.
const LEASE: Duration = Duration::from_millis(250);

/// All streams that are open.
#[derive(Debug)]
pub(super) struct Streams {
    open: Mutex<HashMap<SessionId, usize>>,
    per_session: usize,
    heartbeat: Duration,
    stall: Duration,
    end: CancellationToken,
}

/// One of the streams a session may have.
#[derive(Debug)]
struct Place {
    streams: Arc<Streams>,
    session: SessionId,
}

impl Streams {
    pub(super) fn new(config: &Config) -> Self {
        Self {
            open: Mutex::default(),
            per_session: config.events.streams_per_session,
            heartbeat: Duration::from_millis(config.events.heartbeat_ms),
            stall: Duration::from_millis(config.server.body_stall_timeout_ms),
            end: CancellationToken::new(),
        }
    }

    pub(super) fn end(&self) {
        self.end.cancel();
    }

    fn take(self: &Arc<Self>, session: SessionId) -> Result<Place, ApiError> {
        let mut open = self.lock();
        let count = open.entry(session).or_insert(0);
        if *count >= self.per_session {
            let message = format!("this session has {} streams of events open; close one", self.per_session);
            return Err(ApiError::new(ErrorKind::TooMany, "too_many_streams", message));
        }
        *count += 1;
        Ok(Place { streams: Arc::clone(self), session })
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<SessionId, usize>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut open = self.streams.lock();
        if let Some(count) = open.get_mut(&self.session) {
            *count -= 1;
            if *count == 0 {
                open.remove(&self.session);
            }
        }
    }
}

impl Rest {
    pub(super) async fn follow_events(&self, call: &Call) -> Result<Answer, ApiError> {
        let session = call.session()?;
        let last = last_event(call)?;
        let (actor, user) = self.actor(session, call.now).await?;
        let _permit = may_follow_events(&actor, call.now).map_err(|denial| refuse(denial, call.now))?;
        let newest = self.store.reading(user.id).await.map_err(|error| store_failed(error, call.now))?.newest;
        let after = last.unwrap_or(newest);
        if after > newest {
            // As after a restore: what it had seen is not what comes next.
            let message = "that event is not known here; list your notifications, then follow from the newest";
            return Err(ApiError::new(ErrorKind::Stale, "event_unknown", message));
        }
        let place = self.streams.take(session.id)?;
        let (to, mut queue) = mpsc::channel(QUEUE);
        let feed = Feed {
            store: self.store.clone(),
            presence: Arc::clone(&self.presence),
            connection: Arc::clone(&call.connection),
            session: Arc::clone(session),
            to,
            place,
        };
        self.tasks.spawn(feed.run(after));
        let body = futures::stream::poll_fn(move |context| queue.poll_recv(context).map(|bytes| bytes.map(Ok::<Bytes, Infallible>)));
        Ok(Answer { body: Body::from_stream(body), media_type: call.endpoint.codec.media_type(), opened: None })
    }
}

fn last_event(call: &Call) -> Result<Option<u64>, ApiError> {
    let Some(value) = call.headers.get(LAST_EVENT_HEADER) else { return Ok(None) };
    let sequence = value.to_str().ok().and_then(|text| sse::sequence(text).ok()).filter(|sequence| i64::try_from(*sequence).is_ok());
    sequence.map(Some).ok_or_else(|| ApiError::invalid("last-event-id is not the id of an event"))
}

/// Why a stream ends by itself.
enum End {
    /// The reader, or the store.
    Gone,
    Stalled,
    Failed(StoreError),
}

/// What fills one stream.
struct Feed {
    store: Store,
    presence: Arc<Presence>,
    connection: Arc<Connection>,
    session: Arc<Session>,
    to: mpsc::Sender<Bytes>,
    place: Place,
}

impl Feed {
    async fn run(self, after: u64) {
        tokio::select! {
            () = self.connection.was_cut() => {}
            () = self.place.streams.end.cancelled() => {}
            () = self.to.closed() => {}
            () = self.lapsed() => {}
            Err(end) = self.deliver(after) => self.ended(end),
        }
    }

    fn ended(&self, end: End) {
        match end {
            End::Gone => {}
            // Whoever takes nothing is asked for nothing: only the end of the connection frees what it holds.
            End::Stalled => {
                tracing::debug!("a reader of events is too slow and is cut");
                self.connection.cut();
            }
            End::Failed(error) => tracing::warn!(error = &error as &dyn std::error::Error, "a stream of events ended"),
        }
    }

    /// The session is over, though its connection may belong to another by now.
    async fn lapsed(&self) {
        let mut lease = tokio::time::interval(LEASE);
        lease.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        while self.presence.is_current(self.session.user, self.session.id, self.session.epoch) {
            lease.tick().await;
        }
    }

    async fn deliver(&self, mut after: u64) -> Result<Infallible, End> {
        let mut news = self.store.news_of(self.session.user);
        self.send(Block::position(after).write()).await?;
        loop {
            news.mark_unchanged();
            loop {
                let rows = self.store.notifications_after(self.session.user, after, PAGE).await.map_err(End::Failed)?;
                for row in &rows {
                    after = row.sequence;
                    let Some(view) = view(row) else { continue };
                    let data = serde_json::to_string(&view.about).unwrap_or_default();
                    self.send(Block { id: Some(view.sequence), event: Some(view.kind), data: Some(data) }.write()).await?;
                }
                if rows.is_empty() {
                    break;
                }
            }
            match tokio::time::timeout(self.place.streams.heartbeat, news.changed()).await {
                Ok(changed) => changed.map_err(|_| End::Gone)?,
                Err(_) => self.send(HEARTBEAT.to_owned()).await?,
            }
        }
    }

    async fn send(&self, text: String) -> Result<(), End> {
        match tokio::time::timeout(self.place.streams.stall, self.to.send(text.into())).await {
            Ok(sent) => sent.map_err(|_| End::Gone),
            Err(_) => Err(End::Stalled),
        }
    }
}
