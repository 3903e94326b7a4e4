//! The server's time: UTC in milliseconds, never going back, not even over a restart (security C20).
//!
//! ```text
//! now = max(system clock, highest time given out before)
//! ```
//!
//! The highest time is kept in the store every few seconds; what was written to the audit log since is found there at start-up, so
//! nothing that was recorded is ever later than the clock.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use ticrypt_types::Timestamp;

/// The one place that asks the machine what time it is.
#[derive(Clone, Debug, Default)]
pub struct Clock {
    highest_ms: Arc<AtomicU64>,
    /// Tests set the machine's clock by this, in milliseconds.
    offset_ms: Arc<AtomicU64>,
}

impl Clock {
    /// A clock that has given out `highest` before.
    pub fn starting_at(highest: Timestamp) -> Self {
        Self { highest_ms: Arc::new(AtomicU64::new(highest.as_millis())), offset_ms: Arc::default() }
    }

    #[allow(clippy::disallowed_methods, reason = "this is the clock")]
    pub fn now(&self) -> Timestamp {
        let system = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| u64::try_from(d.as_millis()).unwrap_or(u64::MAX));
        let system = system.saturating_add(self.offset_ms.load(Ordering::Relaxed));
        let before = self.highest_ms.fetch_max(system, Ordering::Relaxed);
        Timestamp::from_millis(system.max(before))
    }

    /// Learns of a time that was given out before.
    pub fn raise(&self, seen: Timestamp) {
        self.highest_ms.fetch_max(seen.as_millis(), Ordering::Relaxed);
    }

    /// Moves the clock ahead of the machine's, for tests of what time does.
    pub fn advance(&self, ms: u64) {
        self.offset_ms.fetch_add(ms, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn never_back() {
        let clock = Clock::default();
        let far = Timestamp::from_millis(clock.now().as_millis() + 60_000);
        clock.raise(far);
        assert!(clock.now() >= far);
        let restarted = Clock::starting_at(far);
        assert!(restarted.now() >= far);
    }
}
