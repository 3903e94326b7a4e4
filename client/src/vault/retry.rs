//! Trying again where that is right: after somebody else's change, and after new keys were made.

use std::time::Duration;

use super::Vault;
use super::path::VaultPath;
use crate::entropy;
use crate::error::{Kind, Result};

/// Lost races before a person is told.
const RACES: u32 = 12;
/// Rounds of new keys before a person is told.
const ROLLS: u32 = 4;
const PAUSE: Duration = Duration::from_millis(20);

/// How often one change was tried.
#[derive(Debug, Default)]
pub(super) struct Attempts {
    races: u32,
    rolls: u32,
}

impl Attempts {
    /// Prepares another attempt after `error`, or gives the error back. `place` is what was to be written; whoever calls resolves it anew.
    pub(super) async fn again(&mut self, vault: &Vault, error: crate::ClientError, place: &VaultPath) -> Result<()> {
        if error.is_epoch_closed() && self.rolls < ROLLS {
            self.rolls += 1;
            // Boxed: making new keys may itself try again.
            return Box::pin(vault.roll_path(place, error.nodes())).await;
        }
        if error.kind() == Kind::Stale && self.races < RACES {
            self.races += 1;
            // Half of the wait is chance, so that two writers do not meet again and again.
            let base = PAUSE * (1 << self.races.min(5));
            let base_ms = u64::try_from(base.as_millis()).unwrap_or(u64::MAX);
            tokio::time::sleep(Duration::from_millis(base_ms / 2 + entropy::below(base_ms / 2 + 1))).await;
            return Ok(());
        }
        Err(error)
    }
}
