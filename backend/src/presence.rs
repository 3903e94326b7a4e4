//! Who is here: live sessions, the epochs they were made in, and the connections bound to them (security C16).
//!
//! ```text
//! request ─▶ by_token ─hit─▶ Session           a loss: raise(user) ─▶ sessions forgotten, connections cut
//!               │ miss                                    │
//!               └▶ database ─▶ admit(generation) ◀────────┘ a loss meanwhile: not admitted, loaded again
//! ```
//!
//! Asked for each request by `rest` and for each chunk by `storage`. What is not here is not live, so forgetting is enough to
//! refuse; a process that has just started knows nobody and loads each session once.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use ticrypt_api::role::Epochs;
use ticrypt_crypto::PublicKey;
use ticrypt_types::{Rank, SessionId, Timestamp, UserId};

use crate::connection::Connection;

/// A session as the database had it when it was admitted.
#[derive(Debug)]
pub struct Session {
    pub id: SessionId,
    pub user: UserId,
    pub rank: Rank,
    pub epoch: u64,
    pub token_hash: [u8; 32],
    pub key: PublicKey,
    /// When it began: what came after is not gained.
    pub login: Timestamp,
    pub expires: Timestamp,
    last_seen_ms: AtomicU64,
}

impl Session {
    #[allow(clippy::too_many_arguments, reason = "a plain record; each field is named at the one place that makes it")]
    pub fn new(
        id: SessionId,
        user: UserId,
        rank: Rank,
        epoch: u64,
        token_hash: [u8; 32],
        key: PublicKey,
        login: Timestamp,
        expires: Timestamp,
        last_seen: Timestamp,
    ) -> Self {
        Self { id, user, rank, epoch, token_hash, key, login, expires, last_seen_ms: AtomicU64::new(last_seen.as_millis()) }
    }

    pub fn last_seen(&self) -> Timestamp {
        Timestamp::from_millis(self.last_seen_ms.load(Ordering::Relaxed))
    }

    /// Notes a request; returns the time noted before.
    pub fn touch(&self, now: Timestamp) -> Timestamp {
        Timestamp::from_millis(self.last_seen_ms.fetch_max(now.as_millis(), Ordering::Relaxed))
    }

    /// Past its absolute time, or unused for too long.
    pub fn is_over(&self, now: Timestamp, idle_ms: u64) -> bool {
        self.expires.is_expired(now) || now.millis_since(self.last_seen()) >= idle_ms
    }

    fn with_rank(&self, rank: Rank) -> Self {
        Self {
            id: self.id,
            user: self.user,
            rank,
            epoch: self.epoch,
            token_hash: self.token_hash,
            key: self.key,
            login: self.login,
            expires: self.expires,
            last_seen_ms: AtomicU64::new(self.last_seen().as_millis()),
        }
    }
}

#[derive(Debug)]
struct Live {
    session: Arc<Session>,
    connections: Vec<Weak<Connection>>,
}

#[derive(Debug, Default)]
struct Inner {
    /// Rises with every loss; a session loaded before one is not admitted after it.
    generation: u64,
    sessions: HashMap<SessionId, Live>,
    tokens: HashMap<[u8; 32], SessionId>,
    people: HashMap<UserId, HashSet<SessionId>>,
}

/// All that is known of who is here.
#[derive(Debug, Default)]
pub struct Presence {
    inner: Mutex<Inner>,
}

impl Presence {
    /// To be read before a session is loaded from the database.
    pub fn generation(&self) -> u64 {
        self.lock().generation
    }

    pub fn by_token(&self, token_hash: &[u8; 32]) -> Option<Arc<Session>> {
        let inner = self.lock();
        let id = inner.tokens.get(token_hash)?;
        inner.sessions.get(id).map(|live| Arc::clone(&live.session))
    }

    pub fn by_id(&self, session: SessionId) -> Option<Arc<Session>> {
        self.lock().sessions.get(&session).map(|live| Arc::clone(&live.session))
    }

    /// Takes in a session loaded at `generation`; `None` when somebody lost something since, so that it must be loaded again.
    pub fn admit(&self, session: Session, generation: u64) -> Option<Arc<Session>> {
        let mut inner = self.lock();
        if inner.generation != generation {
            return None;
        }
        if let Some(live) = inner.sessions.get(&session.id) {
            return Some(Arc::clone(&live.session));
        }
        let session = Arc::new(session);
        inner.tokens.insert(session.token_hash, session.id);
        inner.people.entry(session.user).or_default().insert(session.id);
        inner.sessions.insert(session.id, Live { session: Arc::clone(&session), connections: Vec::new() });
        Some(session)
    }

    /// Whether the connection is among those that are cut with the session.
    pub fn holds(&self, session: SessionId, connection: &Arc<Connection>) -> bool {
        let inner = self.lock();
        let live = inner.sessions.get(&session);
        live.is_some_and(|live| live.connections.iter().any(|weak| std::ptr::eq(weak.as_ptr(), Arc::as_ptr(connection))))
    }

    /// A connection carries this session from now on and is cut with it.
    pub fn attach(&self, session: SessionId, connection: &Arc<Connection>) {
        let mut inner = self.lock();
        match inner.sessions.get_mut(&session) {
            Some(live) => {
                live.connections.retain(|weak| weak.strong_count() > 0);
                if !live.connections.iter().any(|weak| std::ptr::eq(weak.as_ptr(), Arc::as_ptr(connection))) {
                    live.connections.push(Arc::downgrade(connection));
                }
            }
            // Ended between being identified and being bound.
            None => connection.cut(),
        }
    }

    /// Another session took the connection over; it is no longer cut with this one.
    pub fn detach(&self, session: SessionId, connection: &Arc<Connection>) {
        if let Some(live) = self.lock().sessions.get_mut(&session) {
            live.connections.retain(|weak| !std::ptr::eq(weak.as_ptr(), Arc::as_ptr(connection)));
        }
    }

    /// One session is over.
    pub fn end(&self, session: SessionId) {
        let mut inner = self.lock();
        inner.generation += 1;
        forget(&mut inner, session);
    }

    /// A person lost something: all their sessions are over and their connections are cut.
    pub fn end_all(&self, user: UserId) {
        let mut inner = self.lock();
        inner.generation += 1;
        for session in inner.people.remove(&user).unwrap_or_default() {
            forget(&mut inner, session);
        }
    }

    /// A person gained rank: it counts from the next request on.
    pub fn set_rank(&self, user: UserId, rank: Rank) {
        let mut inner = self.lock();
        inner.generation += 1;
        for id in inner.people.get(&user).cloned().unwrap_or_default() {
            if let Some(live) = inner.sessions.get_mut(&id) {
                live.session = Arc::new(live.session.with_rank(rank));
            }
        }
    }

    /// Forgets and cuts what is over by the clock; run every second, so that a stream does not outlive its session.
    pub fn prune(&self, now: Timestamp, idle_ms: u64) -> usize {
        let mut inner = self.lock();
        let over: Vec<SessionId> =
            inner.sessions.values().filter(|live| live.session.is_over(now, idle_ms)).map(|live| live.session.id).collect();
        for session in &over {
            forget(&mut inner, *session);
        }
        over.len()
    }

    pub fn len(&self) -> usize {
        self.lock().sessions.len()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn forget(inner: &mut Inner, session: SessionId) {
    let Some(live) = inner.sessions.remove(&session) else { return };
    inner.tokens.remove(&live.session.token_hash);
    if let Some(of_person) = inner.people.get_mut(&live.session.user) {
        of_person.remove(&session);
        if of_person.is_empty() {
            inner.people.remove(&live.session.user);
        }
    }
    live.connections.iter().filter_map(Weak::upgrade).for_each(|connection| connection.cut());
}

impl Epochs for Presence {
    fn is_current(&self, user: UserId, session: SessionId, epoch: u64) -> bool {
        self.lock().sessions.get(&session).is_some_and(|live| live.session.user == user && live.session.epoch == epoch)
    }
}
