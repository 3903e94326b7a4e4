//! Trying again where that is right: after somebody else's change, and after new keys were made.

use super::Vault;
use super::path::VaultPath;
use crate::error::Result;
use crate::races::Races;

/// Rounds of new keys before a person is told.
const ROLLS: u32 = 4;

/// How often one change was tried.
#[derive(Debug, Default)]
pub(super) struct Attempts {
    races: Races,
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
        self.races.again(error).await
    }
}
