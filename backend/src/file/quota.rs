//! What a team's trees hold, kept in memory so that an upload does not count a whole team anew.
//!
//! ```text
//!   upload ─▶ who pays? nobody, or without a quota ─▶ done
//!                └▶ tally of this minute has room ─▶ taken from it
//!                         └▶ none, or no room by it ─▶ counted in the database ─▶ rule ─▶ the new tally, or refused
//! ```
//!
//! A tally is never less than what was accepted through it; what was deleted since makes it too high, which is found out before anybody is refused. Who
//! comes into a team or out of one with a tree counts after a minute. Requests that are counted at the same moment may pass the quota by what they bring.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use ticrypt_policy::team::{VaultUse, may_hold};
use ticrypt_types::limits::CHUNK_OVERHEAD_BYTES;
use ticrypt_types::{TeamId, Timestamp, UserId};

use super::FileRole;
use super::error::FileError;

/// How long a tally is believed.
const TALLY_MS: u64 = 60_000;
/// Teams remembered; the others are counted when they come.
const TALLIES_MAX: usize = 10_000;

#[derive(Clone, Copy, Debug)]
struct Tally {
    used: u64,
    counted: Timestamp,
}

#[derive(Debug, Default)]
pub(super) struct Tallies(Mutex<HashMap<TeamId, Tally>>);

impl Tallies {
    /// Takes `more` if there is a tally that has room for it.
    fn take(&self, team: TeamId, quota: u64, more: u64, now: Timestamp) -> bool {
        let mut tallies = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(tally) = tallies.get_mut(&team).filter(|tally| now.millis_since(tally.counted) < TALLY_MS) else { return false };
        let fits = may_hold(VaultUse { quota, used: tally.used }, more).is_ok();
        if fits {
            tally.used = tally.used.saturating_add(more);
        }
        fits
    }

    fn put(&self, team: TeamId, used: u64, counted: Timestamp) {
        let mut tallies = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if tallies.len() >= TALLIES_MAX {
            tallies.clear();
        }
        tallies.insert(team, Tally { used, counted });
    }
}

/// What a content takes in the store.
pub(super) fn stored_bytes(size: u64, chunks: u64) -> u64 {
    size.saturating_add(chunks.saturating_mul(CHUNK_OVERHEAD_BYTES as u64))
}

impl FileRole {
    /// Charges what is to come into a tree to the team that pays for its owner.
    pub(super) async fn charge(&self, owner: UserId, more: u64, now: Timestamp) -> Result<(), FileError> {
        if more == 0 {
            return Ok(());
        }
        let Some(charge) = self.store.charged(owner).await? else { return Ok(()) };
        let Some(quota) = charge.vault_bytes else { return Ok(()) };
        if self.tallies.take(charge.team, quota, more, now) {
            return Ok(());
        }
        let used = self.store.vault_bytes(charge.team).await?;
        may_hold(VaultUse { quota, used }, more)?;
        self.tallies.put(charge.team, used.saturating_add(more), now);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tally_is_taken_from_until_it_is_full_or_old() {
        let (tallies, team) = (Tallies::default(), TeamId::from_random([1; 16]));
        let at = Timestamp::from_millis;
        assert!(!tallies.take(team, 100, 1, at(0)), "nobody has counted yet");
        tallies.put(team, 40, at(0));
        assert!(tallies.take(team, 100, 60, at(1)));
        assert!(!tallies.take(team, 100, 1, at(1)), "full");
        assert!(tallies.take(team, 101, 1, at(TALLY_MS - 1)), "a quota is as it is now");
        assert!(!tallies.take(team, u64::MAX, 1, at(TALLY_MS)), "old");
        assert_eq!(stored_bytes(10, 2), 10 + 2 * CHUNK_OVERHEAD_BYTES as u64);
    }
}
