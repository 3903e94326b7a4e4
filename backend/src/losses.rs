//! Who lost something, and when: what moves bytes asks here, without the database, whether what it was decided on still stands.
//!
//! ```text
//!   request begins: mark ─▶ facts ─▶ decision ─▶ ticket, or an answer on its way ── asked again at every chunk and every piece
//!   a loss is committed ─▶ record ─▶ what bears an older mark is refused, and cut where it is under way
//! ```
//!
//! A loss is a share that ended, a project left, a certification that expired, another working set. In memory: a restart ends every
//! connection and makes the tickets' key anew.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use ticrypt_types::UserId;
use tokio::sync::watch;

/// Where the count of losses stood before the facts were read on which something rests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LossMark(pub(crate) u64);

#[derive(Debug)]
pub struct Losses {
    /// Rises with every loss; those who wait for theirs are woken by it.
    count: watch::Sender<u64>,
    /// When anybody may have lost something, whoever it is.
    of_all: AtomicU64,
    of_one: Mutex<HashMap<UserId, u64>>,
}

impl Default for Losses {
    fn default() -> Self {
        Self { count: watch::Sender::new(0), of_all: AtomicU64::new(0), of_one: Mutex::default() }
    }
}

impl Losses {
    /// Taken before facts are read, so that a loss committed meanwhile makes what rests on them void rather than the other way round.
    pub fn mark(&self) -> LossMark {
        LossMark(*self.count.borrow())
    }

    /// Called after losses of these people are committed.
    pub fn record(&self, people: impl IntoIterator<Item = UserId>) {
        let mut of_one = self.lock();
        self.count.send_modify(|count| {
            *count += 1;
            of_one.extend(people.into_iter().map(|person| (person, *count)));
        });
    }

    /// The same where anybody may be concerned: a project asks for something more.
    pub fn record_all(&self) {
        self.count.send_modify(|count| {
            *count += 1;
            self.of_all.store(*count, Ordering::SeqCst);
        });
    }

    /// Whether the person lost something after the mark.
    pub fn since(&self, person: UserId, mark: LossMark) -> bool {
        self.of_all.load(Ordering::SeqCst) > mark.0 || self.lock().get(&person).is_some_and(|lost| *lost > mark.0)
    }

    /// Waits until the person loses something after the mark.
    pub async fn lost(&self, person: UserId, mark: LossMark) {
        let mut count = self.count.subscribe();
        // The sender is part of `self`, so it does not go away.
        while !self.since(person, mark) && count.changed().await.is_ok() {}
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<UserId, u64>> {
        self.of_one.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[test]
    fn a_loss_is_younger_than_every_mark_before_it() {
        let losses = Losses::default();
        let (one, other) = (UserId::from_random([1; 16]), UserId::from_random([2; 16]));
        let before = losses.mark();
        losses.record([one]);
        assert!(losses.since(one, before) && !losses.since(other, before));
        let after = losses.mark();
        assert!(!losses.since(one, after));
        losses.record_all();
        assert!(losses.since(one, after) && losses.since(other, after));
        assert!(!losses.since(other, losses.mark()));
    }

    #[tokio::test]
    async fn who_waits_is_woken_by_their_own_loss_alone() {
        let losses = Arc::new(Losses::default());
        let (one, other) = (UserId::from_random([1; 16]), UserId::from_random([2; 16]));
        let mark = losses.mark();
        let waiting = tokio::spawn({
            let losses = Arc::clone(&losses);
            async move { losses.lost(one, mark).await }
        });
        losses.record([other]);
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished());
        losses.record([one]);
        assert!(waiting.await.is_ok());
        // One that came before anybody waited is not slept through.
        losses.lost(one, mark).await;
    }
}
