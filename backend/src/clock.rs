//! The server's time: UTC in milliseconds, never going back, not even over a restart (security C20).
//!
//! ```text
//!   the machine's clock is      the server's time
//!   where it was expected       is the machine's
//!   behind what was given out   runs on at half speed until the machine has caught up: nothing goes back, and what expires still does
//!   too far ahead               runs on by the even clock, as if nothing had happened, until the machine comes back or the operator
//!                               restarts with `--accept-clock`
//! ```
//!
//! A jump ahead is for good, since time that was given out is in logs and signatures: sessions end, shares expire, and when the machine
//! is set right nobody's clock agrees with the server's until it has caught up. So a jump is believed only up to a bound
//! (`clock.max_jump_ms`), at start as well, where it is measured from the highest time that was kept. Sleep of a machine counts as a jump.
//!
//! The highest time is kept in the store every few seconds; what was written to the audit log since is found there at start-up, so
//! nothing that was recorded is ever later than the clock.

use std::fmt::Debug;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use ticrypt_types::Timestamp;

/// A clock behind by less than this is corrected without a word.
const WORTH_TELLING_MS: u64 = 1_000;

/// What the machine knows about time; a parameter, so that tests can move it.
pub trait Machine: Debug + Send + Sync {
    /// What people set and networks correct.
    fn wall(&self) -> Timestamp;
    /// Time since some moment in the past, running evenly whatever happens to the other.
    fn even(&self) -> Duration;
}

/// The one place that asks the machine what time it is.
#[derive(Clone, Copy, Debug)]
pub struct System {
    began: Instant,
}

impl Default for System {
    fn default() -> Self {
        Self { began: Instant::now() }
    }
}

impl Machine for System {
    #[allow(clippy::disallowed_methods, reason = "this is the clock")]
    fn wall(&self) -> Timestamp {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Timestamp::from_millis(millis(since))
    }

    fn even(&self) -> Duration {
        self.began.elapsed()
    }
}

/// The machine's clock cannot be right, or the server was away for long.
#[derive(Debug, thiserror::Error)]
#[error(
    "the machine's clock says {wall}, {} hours after the last time this server has given out ({highest}); if that is right, start once with \
     --accept-clock, else set the clock first: time that was given out never goes back",
    wall.millis_since(*highest) / 3_600_000
)]
pub struct ClockJump {
    wall: Timestamp,
    highest: Timestamp,
}

/// How the server's time goes on from the last one given out.
#[derive(Clone, Copy, Debug)]
enum Course {
    Follows,
    /// The machine is behind.
    Ahead(From),
    /// The machine is too far ahead.
    Alone(From),
}

#[derive(Clone, Copy, Debug)]
struct From {
    time_ms: u64,
    even: Duration,
}

impl From {
    fn passed_ms(self, even: Duration) -> u64 {
        millis(even.saturating_sub(self.even))
    }
}

#[derive(Debug)]
struct State {
    highest_ms: u64,
    /// When that was given out.
    even: Duration,
    course: Course,
}

/// Time for everything the server decides.
#[derive(Clone, Debug)]
pub struct Clock {
    machine: Arc<dyn Machine>,
    max_jump_ms: u64,
    state: Arc<Mutex<State>>,
}

impl Clock {
    /// A clock that has given out `highest` before; absent if it never gave out any. With `accept` the machine is believed.
    pub fn start(machine: Arc<dyn Machine>, highest: Timestamp, max_jump_ms: u64, accept: bool) -> Result<Self, ClockJump> {
        let wall = machine.wall();
        if !accept && highest != Timestamp::ABSENT && wall.millis_since(highest) > max_jump_ms {
            return Err(ClockJump { wall, highest });
        }
        let state = State { highest_ms: highest.max(wall).as_millis(), even: machine.even(), course: Course::Follows };
        Ok(Self { machine, max_jump_ms, state: Arc::new(Mutex::new(state)) })
    }

    /// The machine's clock as it is, for a place that has given out no time yet.
    pub fn unmarked() -> Self {
        let machine = System::default();
        let state = State { highest_ms: machine.wall().as_millis(), even: machine.even(), course: Course::Follows };
        Self { machine: Arc::new(machine), max_jump_ms: u64::MAX, state: Arc::new(Mutex::new(state)) }
    }

    pub fn now(&self) -> Timestamp {
        let mut state = self.state();
        // Read under the lock, so that an older reading never comes after a newer one.
        let (wall, even) = (self.machine.wall().as_millis(), self.machine.even());
        let expected = match state.course {
            Course::Follows => {
                let last = From { time_ms: state.highest_ms, even: state.even };
                last.time_ms.saturating_add(last.passed_ms(even))
            }
            Course::Ahead(from) => from.time_ms.saturating_add(from.passed_ms(even) / 2),
            Course::Alone(from) => from.time_ms.saturating_add(from.passed_ms(even)),
        };
        let expected = expected.max(state.highest_ms);
        let (now, course) = if wall.saturating_sub(expected) > self.max_jump_ms {
            let alone = if let Course::Alone(from) = state.course { from } else { From { time_ms: expected, even } };
            (expected, Course::Alone(alone))
        } else if wall >= state.highest_ms {
            (wall, Course::Follows)
        } else {
            match state.course {
                Course::Ahead(_) => (expected, state.course),
                Course::Follows | Course::Alone(_) => (state.highest_ms, Course::Ahead(From { time_ms: state.highest_ms, even })),
            }
        };
        tell(state.course, course, wall, now);
        *state = State { highest_ms: now, even, course };
        Timestamp::from_millis(now)
    }

    /// Learns of a time that was given out before.
    pub fn raise(&self, seen: Timestamp) {
        let mut state = self.state();
        if seen.as_millis() > state.highest_ms {
            // What comes next is judged from here.
            *state = State { highest_ms: seen.as_millis(), even: self.machine.even(), course: Course::Follows };
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Changed in one step; a panic elsewhere leaves it whole.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Says it once when the machine's clock is no longer followed, and when it is again.
fn tell(before: Course, after: Course, wall_ms: u64, now_ms: u64) {
    let (wall, now) = (Timestamp::from_millis(wall_ms), Timestamp::from_millis(now_ms));
    match (before, after) {
        (Course::Follows | Course::Ahead(_), Course::Alone(_)) => tracing::error!(
            %wall, %now,
            "the machine's clock jumped ahead by more than clock.max_jump_ms and is not believed; set it, or restart with --accept-clock"
        ),
        (Course::Follows | Course::Alone(_), Course::Ahead(_)) if now_ms.saturating_sub(wall_ms) >= WORTH_TELLING_MS => tracing::warn!(
            %wall, %now,
            "the machine's clock is behind the server's time, which runs at half speed until it has caught up; check the machine's clock"
        ),
        (Course::Alone(_), Course::Follows) => tracing::info!(%now, "the machine's clock is followed again"),
        _ => {}
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::sync::atomic::{AtomicU64, Ordering::SeqCst};

    const START: u64 = 1_000_000_000_000;
    const HOUR: u64 = 3_600_000;
    const DAY: u64 = 24 * HOUR;

    #[derive(Debug, Default)]
    struct Moved {
        wall: AtomicU64,
        even: AtomicU64,
    }

    impl Machine for Moved {
        fn wall(&self) -> Timestamp {
            Timestamp::from_millis(self.wall.load(SeqCst))
        }

        fn even(&self) -> Duration {
            Duration::from_millis(self.even.load(SeqCst))
        }
    }

    impl Moved {
        fn pass(&self, ms: u64) {
            self.wall.fetch_add(ms, SeqCst);
            self.even.fetch_add(ms, SeqCst);
        }

        fn set(&self, wall: u64) {
            self.wall.store(wall, SeqCst);
        }
    }

    fn at(ms: u64) -> Timestamp {
        Timestamp::from_millis(ms)
    }

    fn begin() -> (Arc<Moved>, Clock) {
        let machine = Arc::new(Moved { wall: AtomicU64::new(START), even: AtomicU64::new(77) });
        let clock = Clock::start(Arc::clone(&machine) as _, at(START - HOUR), DAY, false).unwrap();
        (machine, clock)
    }

    #[test]
    fn it_follows_a_machine_that_does_what_is_expected() {
        let (machine, clock) = begin();
        assert_eq!(clock.now(), at(START));
        machine.pass(5);
        assert_eq!(clock.now(), at(START + 5));
        // A correction of the machine within what passed since is no step back.
        machine.pass(1_000);
        machine.set(START + 900);
        assert_eq!(clock.now(), at(START + 900));
        // Away, or asleep, for less than the bound.
        machine.set(START + DAY);
        assert_eq!(clock.now(), at(START + DAY));
    }

    #[test]
    fn a_step_back_slows_it_and_never_stops_or_turns_it() {
        let (machine, clock) = begin();
        machine.set(START - DAY);
        assert_eq!(clock.now(), at(START));
        // However often it is asked: half a millisecond is not lost each time.
        let mut before = clock.now();
        for _ in 0..120_000 {
            machine.pass(1);
            let now = clock.now();
            assert!(now >= before);
            before = now;
        }
        assert_eq!(before, at(START + 60_000), "a minute takes two");
        machine.pass(2 * DAY - 120_000);
        assert_eq!(clock.now(), at(START + DAY), "caught up");
        machine.pass(10);
        assert_eq!(clock.now(), at(START + DAY + 10));
    }

    #[test]
    fn a_jump_beyond_the_bound_is_not_believed_and_leaves_nothing_behind() {
        let (machine, clock) = begin();
        machine.pass(1_000);
        machine.set(START + 365 * DAY);
        assert_eq!(clock.now(), at(START + 1_000));
        machine.pass(10 * DAY);
        assert_eq!(clock.now(), at(START + 10 * DAY + 1_000), "time goes on by itself");
        machine.set(START + 10 * DAY + 2_000);
        assert_eq!(clock.now(), at(START + 10 * DAY + 2_000), "set right, it is followed again");
        // Set right to a little earlier.
        machine.set(START + 400 * DAY);
        clock.now();
        machine.set(START + 10 * DAY);
        assert_eq!(clock.now(), at(START + 10 * DAY + 2_000));
        machine.pass(4_000);
        assert_eq!(clock.now(), at(START + 10 * DAY + 4_000));
    }

    #[test]
    fn a_start_measures_from_what_was_given_out() {
        let (machine, _) = begin();
        let start = |highest, accept| Clock::start(Arc::clone(&machine) as _, at(highest), DAY, accept);
        assert_eq!(start(START - DAY, false).unwrap().now(), at(START));
        let refused = start(START - DAY - 1, false).unwrap_err().to_string();
        assert!(refused.contains("24 hours") && refused.contains("--accept-clock"), "{refused}");
        assert_eq!(start(START - DAY - 1, true).unwrap().now(), at(START));
        assert_eq!(start(0, false).unwrap().now(), at(START), "a first start has nothing to measure from");
        // The mark lies ahead: it holds, and time goes on from it.
        let ahead = start(START + HOUR, false).unwrap();
        assert_eq!(ahead.now(), at(START + HOUR));
        machine.pass(1_000);
        assert_eq!(ahead.now(), at(START + HOUR + 500));
    }

    #[test]
    fn what_others_gave_out_counts() {
        let (machine, clock) = begin();
        clock.raise(at(START + HOUR));
        clock.raise(at(START));
        assert_eq!(clock.now(), at(START + HOUR));
        machine.pass(2 * HOUR);
        assert_eq!(clock.now(), at(START + 2 * HOUR));
    }
}
