//! How many requests: a token bucket for each address and each person, in memory, in bounded maps.
//!
//! A bucket fills at a rate up to its burst; a request takes one token. Full buckets are the same as absent ones, so they are the
//! first to be forgotten when the map is full.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, PoisonError};

use ticrypt_api::{ApiError, ErrorKind};
use ticrypt_types::Timestamp;

/// Keys a map holds at most.
const KEYS_MAX: usize = 100_000;

#[derive(Clone, Copy, Debug)]
struct Bucket {
    /// Thousandths of a token, so that slow rates fill too.
    milli: u64,
    at: Timestamp,
}

/// Buckets by key.
#[derive(Debug)]
pub struct Buckets<K> {
    per_second: u64,
    burst_milli: u64,
    keys_max: usize,
    map: Mutex<HashMap<K, Bucket>>,
}

impl<K: Eq + Hash + Clone> Buckets<K> {
    pub fn new(per_second: u32, burst: u32) -> Self {
        Self { per_second: per_second.into(), burst_milli: u64::from(burst) * 1_000, keys_max: KEYS_MAX, map: Mutex::default() }
    }

    /// Takes one token, or says how long to wait.
    pub fn take(&self, key: &K, now: Timestamp) -> Result<(), ApiError> {
        let mut map = self.map.lock().unwrap_or_else(PoisonError::into_inner);
        let filled = |bucket: Bucket| {
            let gained = now.millis_since(bucket.at).saturating_mul(self.per_second);
            bucket.milli.saturating_add(gained).min(self.burst_milli)
        };
        if map.len() >= self.keys_max && !map.contains_key(key) {
            map.retain(|_, bucket| filled(*bucket) < self.burst_milli);
            // Still full: so many keys at once are an attack, and forgetting all of them is the cheapest answer.
            if map.len() >= self.keys_max {
                map.clear();
            }
        }
        let milli = map.get(key).map_or(self.burst_milli, |bucket| filled(*bucket));
        let Some(left) = milli.checked_sub(1_000) else {
            let wait_ms = (1_000 - milli).div_ceil(self.per_second.max(1)).max(1);
            let message = format!("too many requests; try again in {} s", wait_ms.div_ceil(1_000));
            return Err(ApiError { retry_after_ms: Some(wait_ms), ..ApiError::new(ErrorKind::TooMany, "too_many_requests", message) });
        };
        map.insert(key.clone(), Bucket { milli: left, at: now });
        Ok(())
    }
}

/// What counts as one address: IPv4 as it is, IPv6 by its /64, which is what one subscriber has.
pub fn address_key(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => {
            let [a, b, c, d, ..] = v6.segments();
            IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
        v4 => v4,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn at(ms: u64) -> Timestamp {
        Timestamp::from_millis(ms)
    }

    #[test]
    fn a_burst_then_the_rate() {
        let buckets = Buckets::new(10, 3);
        for _ in 0..3 {
            buckets.take(&1, at(1_000)).unwrap();
        }
        let refused = buckets.take(&1, at(1_000)).unwrap_err();
        assert_eq!((refused.kind, refused.retry_after_ms), (ErrorKind::TooMany, Some(100)));
        assert!(refused.message.contains("try again in 1 s"), "{}", refused.message);
        buckets.take(&2, at(1_000)).unwrap();
        buckets.take(&1, at(1_100)).unwrap();
        buckets.take(&1, at(1_100)).unwrap_err();
    }

    #[test]
    fn the_map_is_bounded() {
        let buckets = Buckets { keys_max: 10, ..Buckets::new(1, 2) };
        for key in 0..1_000 {
            buckets.take(&key, at(1_000)).unwrap();
        }
        assert!(buckets.map.lock().unwrap().len() <= 10);
    }

    #[test]
    fn a_subscriber_is_one_address() {
        assert_eq!(address_key("2001:db8::1".parse().unwrap()), address_key("2001:db8::ffff:2".parse().unwrap()));
        assert_ne!(address_key("2001:db8::1".parse().unwrap()), address_key("2001:db8:0:1::1".parse().unwrap()));
        assert_eq!(address_key("::ffff:10.0.0.1".parse().unwrap()), address_key("10.0.0.1".parse().unwrap()));
    }
}
