//! Login challenges: 32 random bytes, good for 60 seconds, once, for one name (security C15).
//!
//! Names nobody has get one too, so that asking tells nothing. The book is bounded; when it is full the oldest goes first.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, PoisonError};

use aws_lc_rs::rand;
use ticrypt_api::ApiError;
use ticrypt_policy::session::{FREE_FAILURES, WAIT_MAX_MS, wait_ms};
use ticrypt_types::limits::CHALLENGE_TTL_MS;
use ticrypt_types::{Timestamp, UserName};

/// Challenges that may be open at once.
const OPEN_MAX: usize = 65_536;

#[derive(Debug, Default)]
struct Book {
    open: HashMap<[u8; 32], (UserName, Timestamp)>,
    /// In the order given out, which is the order in which they end.
    order: VecDeque<([u8; 32], Timestamp)>,
}

/// Challenges given out and not yet answered.
#[derive(Debug, Default)]
pub struct Challenges {
    book: Mutex<Book>,
}

impl Challenges {
    /// A new one, and when it ends.
    pub fn issue(&self, name: UserName, now: Timestamp) -> Result<([u8; 32], Timestamp), ApiError> {
        let mut challenge = [0; 32];
        rand::fill(&mut challenge).map_err(|_| ApiError::broken())?;
        let expires = now.plus_millis(CHALLENGE_TTL_MS);
        let mut book = self.book.lock().unwrap_or_else(PoisonError::into_inner);
        while book.order.front().is_some_and(|(_, end)| end.is_expired(now)) || book.order.len() >= OPEN_MAX {
            if let Some((oldest, _)) = book.order.pop_front() {
                book.open.remove(&oldest);
            }
        }
        book.open.insert(challenge, (name, expires));
        book.order.push_back((challenge, expires));
        Ok((challenge, expires))
    }

    /// Takes a challenge out of the book, whatever the answer to it is worth; the name it was given for.
    pub fn spend(&self, challenge: &[u8; 32], now: Timestamp) -> Option<UserName> {
        let mut book = self.book.lock().unwrap_or_else(PoisonError::into_inner);
        let (name, expires) = book.open.remove(challenge)?;
        (!expires.is_expired(now)).then_some(name)
    }
}

/// Names that nobody has and somebody tries.
const NAMES_MAX: usize = 10_000;

/// Failed logins of names nobody has, so that waiting tells nothing either.
#[derive(Debug, Default)]
pub struct Guesses {
    failures: Mutex<HashMap<UserName, (u32, Timestamp)>>,
}

impl Guesses {
    /// Counts a failure, or says until when to wait.
    pub fn fail(&self, name: &UserName, now: Timestamp) -> Result<(), Timestamp> {
        let mut failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        if failures.len() >= NAMES_MAX && !failures.contains_key(name) {
            failures.retain(|_, (_, last)| now.millis_since(*last) < WAIT_MAX_MS);
            if failures.len() >= NAMES_MAX {
                failures.clear();
            }
        }
        let (count, last) = failures.entry(name.clone()).or_default();
        let until = last.plus_millis(wait_ms(*count));
        if *count >= FREE_FAILURES && now < until {
            return Err(until);
        }
        *count = count.saturating_add(1);
        *last = now;
        Ok(())
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
    fn once_and_for_a_minute() {
        let challenges = Challenges::default();
        let name: UserName = "r.tal".parse().unwrap();
        let (first, _) = challenges.issue(name.clone(), at(1)).unwrap();
        assert_eq!(challenges.spend(&first, at(60_000)), Some(name.clone()));
        assert_eq!(challenges.spend(&first, at(60_000)), None);
        let (second, expires) = challenges.issue(name, at(1)).unwrap();
        assert_eq!(expires, at(60_001));
        assert_eq!(challenges.spend(&second, expires), None);
    }

    #[test]
    fn guessing_a_name_nobody_has_waits_like_any_other() {
        let guesses = Guesses::default();
        let name: UserName = "nobody".parse().unwrap();
        for _ in 0..FREE_FAILURES {
            guesses.fail(&name, at(1_000)).unwrap();
        }
        assert_eq!(guesses.fail(&name, at(1_999)), Err(at(2_000)));
        guesses.fail(&name, at(2_000)).unwrap();
        assert_eq!(guesses.fail(&name, at(3_999)), Err(at(4_000)));
    }

    #[test]
    fn the_book_is_bounded() {
        let challenges = Challenges::default();
        let name: UserName = "r.tal".parse().unwrap();
        let (first, _) = challenges.issue(name.clone(), at(1)).unwrap();
        for _ in 0..OPEN_MAX {
            challenges.issue(name.clone(), at(2)).unwrap();
        }
        assert_eq!(challenges.spend(&first, at(3)), None);
        let book = challenges.book.lock().unwrap();
        assert!(book.open.len() <= OPEN_MAX && book.order.len() <= OPEN_MAX);
    }
}
