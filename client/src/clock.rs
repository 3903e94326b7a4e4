//! The one place of this library that reads the wall clock.

use std::time::{SystemTime, UNIX_EPOCH};

use ticrypt_types::Timestamp;
use ticrypt_types::limits::CLOCK_SKEW_MAX_MS;

use crate::error::{ClientError, Kind, Result};

/// Now, in whole milliseconds UTC; 0 for a clock set before 1970.
#[allow(clippy::disallowed_methods, reason = "this is the clock module")]
pub fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_millis(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

/// Says plainly that this clock and the server's are too far apart to sign with.
pub fn check_skew(ours: Timestamp, servers: Timestamp) -> Result<()> {
    let apart_ms = ours.millis_since(servers).max(servers.millis_since(ours));
    if apart_ms <= CLOCK_SKEW_MAX_MS {
        return Ok(());
    }
    let direction = if ours > servers { "ahead of" } else { "behind" };
    Err(ClientError::new(
        Kind::Invalid,
        "clock_skew",
        format!("this device's clock is {} minutes {direction} the server's ({servers}); set the clock and try again", apart_ms / 60_000),
    ))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn five_minutes_are_allowed_either_way() {
        let at = Timestamp::from_millis;
        assert!(check_skew(at(600_000), at(300_000)).is_ok());
        assert!(check_skew(at(300_000), at(600_000)).is_ok());
        assert!(check_skew(at(600_001), at(300_000)).unwrap_err().to_string().contains("5 minutes ahead of"));
        assert!(check_skew(at(0), at(600_000)).unwrap_err().to_string().contains("10 minutes behind"));
    }
}
