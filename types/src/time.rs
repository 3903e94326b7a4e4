//! Time on the wire and under signatures: whole milliseconds since 1970 UTC (security B20).

use std::fmt;

use minicbor::{Decode, Encode};
use serde::{Deserialize, Serialize};

/// Milliseconds since 1970-01-01T00:00:00Z.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, Encode, Decode, utoipa::ToSchema)]
#[serde(transparent)]
#[cbor(transparent)]
pub struct Timestamp(#[n(0)] u64);

impl Timestamp {
    /// Stands for "absent" in records: no expiry, no date.
    pub const ABSENT: Self = Self(0);

    pub const fn from_millis(millis: u64) -> Self {
        Self(millis)
    }

    pub const fn as_millis(self) -> u64 {
        self.0
    }

    /// As a database column holds it.
    pub fn to_i64(self) -> i64 {
        i64::try_from(self.0).unwrap_or(i64::MAX)
    }

    /// From a database column; a negative number, which we never write, reads as absent.
    pub fn from_i64(millis: i64) -> Self {
        Self(u64::try_from(millis).unwrap_or(0))
    }

    pub const fn plus_millis(self, millis: u64) -> Self {
        Self(self.0.saturating_add(millis))
    }

    /// Milliseconds from `earlier` to here, 0 if it is later.
    pub const fn millis_since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }

    /// Valid iff now < expiry; an absent expiry never passes.
    pub fn is_expired(self, now: Self) -> bool {
        self != Self::ABSENT && now >= self
    }
}

/// A stretch of time in which something held: from `since` on, and before `until` ([`Timestamp::ABSENT`]: still).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    pub since: Timestamp,
    pub until: Timestamp,
}

impl Span {
    /// Whether it held at every moment from `from` to `now`, both included.
    pub fn covers(&self, from: Timestamp, now: Timestamp) -> bool {
        self.since <= from && !self.until.is_expired(now)
    }

    /// Whether it held at some moment from `from` to `now`, both included.
    pub fn meets(&self, from: Timestamp, now: Timestamp) -> bool {
        self.since <= now && !self.until.is_expired(from)
    }
}

impl fmt::Display for Timestamp {
    /// RFC 3339 in UTC with milliseconds, by the civil-from-days rule of the proleptic Gregorian calendar.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (days, ms) = (self.0 / 86_400_000, self.0 % 86_400_000);
        let z = days + 719_468;
        let (era, doe) = (z / 146_097, z % 146_097);
        let yoe = (doe - doe / 1_460 + doe / 36_524 - doe / 146_096) / 365;
        let doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
        let mp = (5 * doy + 2) / 153;
        let day = doy - (153 * mp + 2) / 5 + 1;
        let month = if mp < 10 { mp + 3 } else { mp - 9 };
        let year = yoe + era * 400 + u64::from(month <= 2);
        let (hour, minute, second) = (ms / 3_600_000, ms / 60_000 % 60, ms / 1_000 % 60);
        write!(f, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{:03}Z", ms % 1_000)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shown_as_rfc_3339() {
        for (ms, text) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (951_782_399_999, "2000-02-28T23:59:59.999Z"),
            (951_782_400_000, "2000-02-29T00:00:00.000Z"),
            (1_795_392_000_000, "2026-11-23T00:00:00.000Z"),
            (4_107_542_400_000, "2100-03-01T00:00:00.000Z"),
        ] {
            assert_eq!(Timestamp::from_millis(ms).to_string(), text);
        }
    }

    #[test]
    fn a_span_has_its_first_moment_and_not_its_last() {
        let at = Timestamp::from_millis;
        let span = Span { since: at(10), until: at(20) };
        for (from, now, covers, meets) in [
            (5, 9, false, false),
            (5, 10, false, true),
            (10, 10, true, true),
            (10, 19, true, true),
            (10, 20, false, true),
            (19, 30, false, true),
            (20, 30, false, false),
        ] {
            assert_eq!((span.covers(at(from), at(now)), span.meets(at(from), at(now))), (covers, meets), "{from} {now}");
        }
        assert!(Span { until: Timestamp::ABSENT, ..span }.covers(at(10), at(u64::MAX)));
    }

    #[test]
    fn valid_iff_now_is_before_expiry() {
        let at = Timestamp::from_millis;
        assert!(!at(10).is_expired(at(9)));
        assert!(at(10).is_expired(at(10)));
        assert!(!Timestamp::ABSENT.is_expired(at(10)));
    }
}
