//! Time as the desk needs it: how long it has been, sleep of the machine included, and how much of that was sleep.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// Two clocks of the machine.
pub trait Clocks: Send + Sync + std::fmt::Debug {
    /// Since some start, running on while the machine sleeps.
    fn since_boot(&self) -> Duration;
    /// The same, standing still while the machine sleeps.
    fn awake(&self) -> Duration;
}

/// The machine's own.
#[derive(Clone, Copy, Debug, Default)]
pub struct System;

impl Clocks for System {
    fn since_boot(&self) -> Duration {
        read(ClockId::Boottime)
    }

    fn awake(&self) -> Duration {
        read(ClockId::Monotonic)
    }
}

fn read(clock: ClockId) -> Duration {
    let time = clock_gettime(clock);
    Duration::new(u64::try_from(time.tv_sec).unwrap_or(0), u32::try_from(time.tv_nsec).unwrap_or(0))
}

/// Time slept so far.
pub fn slept(clocks: &dyn Clocks) -> Duration {
    clocks.since_boot().saturating_sub(clocks.awake())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_machine_did_not_sleep_between_two_readings() {
        let before = slept(&System);
        assert!(slept(&System).abs_diff(before) < Duration::from_millis(100));
        assert!(System.since_boot() >= System.awake().saturating_sub(Duration::from_millis(1)));
    }
}
