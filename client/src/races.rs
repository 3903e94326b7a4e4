//! Trying again where somebody else was faster.

use std::time::Duration;

use crate::entropy;
use crate::error::{ClientError, Kind, Result};

/// Lost races before a person is told.
const RACES: u32 = 12;
const PAUSE: Duration = Duration::from_millis(20);

/// How often one change came too late.
#[derive(Debug, Default)]
pub(crate) struct Races(u32);

impl Races {
    /// Waits for another attempt after a state that moved on; gives any other error back, and that one too after a while.
    pub(crate) async fn again(&mut self, error: ClientError) -> Result<()> {
        if error.kind() != Kind::Stale || self.0 >= RACES {
            return Err(error);
        }
        self.0 += 1;
        // Half of the wait is chance, so that two writers do not meet again and again.
        let base = PAUSE * (1 << self.0.min(5));
        let base_ms = u64::try_from(base.as_millis()).unwrap_or(u64::MAX);
        tokio::time::sleep(Duration::from_millis(base_ms / 2 + entropy::below(base_ms / 2 + 1))).await;
        Ok(())
    }
}
