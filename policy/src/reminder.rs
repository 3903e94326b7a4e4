//! When people are reminded of what ends by the clock: once at each of the days before it, and for each end anew.
//!
//! ```text
//!   begun ───────────────── 30 days before ─── 7 days before ─── end
//!           nothing             │ once              │ once
//! ```
//!
//! What was given for less time than that is not reminded of: whoever gave or got it knew its end. So is what a server that was away has missed: the nearest day
//! counts, and those before it have passed.

use ticrypt_types::Timestamp;
use ticrypt_types::limits::REMINDERS_DAYS;

const DAY_MS: u64 = 24 * 3_600_000;

/// From when until when something holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Term {
    pub begun: Timestamp,
    pub ends: Timestamp,
}

/// A reminder that was given: of which end, and how many days before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reminded {
    pub ends: Timestamp,
    pub days: u64,
}

/// Until when something has to end for a reminder at `now`: the farthest day.
pub fn horizon(now: Timestamp) -> Timestamp {
    now.plus_millis(REMINDERS_DAYS.into_iter().max().unwrap_or_default() * DAY_MS)
}

/// The reminder that is due now, as so many days before the end; `last` is the one given last.
pub fn due(term: Term, last: Option<Reminded>, now: Timestamp) -> Option<u64> {
    if term.ends == Timestamp::ABSENT || term.ends.is_expired(now) {
        return None;
    }
    let left_ms = term.ends.millis_since(now);
    let days = REMINDERS_DAYS.into_iter().filter(|days| left_ms <= days * DAY_MS).min()?;
    let is_known = last.is_some_and(|last| last.ends == term.ends && last.days <= days);
    (term.ends.millis_since(term.begun) > days * DAY_MS && !is_known).then_some(days)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(n: u64) -> Timestamp {
        Timestamp::from_millis(n * DAY_MS)
    }

    #[test]
    fn once_at_each_day_before_the_end_and_anew_for_another_end() {
        let year = Term { begun: day(1), ends: day(366) };
        let last = |days| Some(Reminded { ends: day(366), days });
        for (now, last, expected) in [
            (day(335), None, None),
            (day(336), None, Some(30)),
            (day(336), last(30), None),
            (day(358), last(30), None),
            (day(359), last(30), Some(7)),
            (day(359), last(7), None),
            (day(365), last(7), None),
            // Away for long: the nearest is given, and it is the only one.
            (day(365), None, Some(7)),
            (day(340), last(7), None),
            // Of the end before it was renewed.
            (day(340), Some(Reminded { ends: day(300), days: 7 }), Some(30)),
            (day(366), None, None),
            (day(400), None, None),
        ] {
            assert_eq!(due(year, last, now), expected, "{now} {last:?}");
        }
        assert_eq!(due(Term { ends: Timestamp::ABSENT, ..year }, None, day(365)), None);
        assert_eq!(horizon(day(1)), day(31));
    }

    #[test]
    fn what_was_given_for_less_is_not_reminded_of() {
        for (lasts, at_once, late) in [(5, None, None), (7, None, None), (8, None, Some(7)), (30, None, Some(7)), (31, None, Some(7))] {
            let term = Term { begun: day(100), ends: day(100 + lasts) };
            assert_eq!(due(term, None, day(100)), at_once, "{lasts}");
            assert_eq!(due(term, None, day(100 + lasts - 1)), late, "{lasts}");
        }
        assert_eq!(due(Term { begun: day(100), ends: day(131) }, None, day(101)), Some(30));
    }
}
