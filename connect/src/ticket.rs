//! Tickets: addresses that are good once and for a short time, for what a browser fetches by itself and cannot send a token with.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use data_encoding::BASE64URL_NOPAD;
use ticrypt_client::entropy;
use ticrypt_client::vault::VaultPath;

use crate::trouble::{Result, Trouble};

/// A page asks and the browser fetches at once.
const GOOD_FOR: Duration = Duration::from_secs(60);
const TICKETS_MAX: usize = 256;

/// What a ticket is for.
#[derive(Debug)]
pub enum Good {
    /// A file of the vault, as a download.
    File { path: VaultPath, version: Option<String> },
    /// Something made here: its name, type and bytes.
    Made { name: String, kind: &'static str, bytes: Vec<u8> },
    /// A file to be looked at, by the preview's origin.
    Preview { path: VaultPath },
}

/// Those that were given out and not used.
#[derive(Debug, Default)]
pub struct Tickets(Mutex<HashMap<String, (Good, Instant)>>);

impl Tickets {
    pub fn give(&self, good: Good) -> Result<String> {
        let ticket = BASE64URL_NOPAD.encode(&entropy::bytes::<24>()?);
        let mut tickets = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        tickets.retain(|_, (_, at)| at.elapsed() < GOOD_FOR);
        if tickets.len() >= TICKETS_MAX {
            return Err(Trouble::invalid("too many downloads were asked for at once; wait for some of them"));
        }
        tickets.insert(ticket.clone(), (good, Instant::now()));
        Ok(ticket)
    }

    /// Takes it: a second time there is nothing.
    pub fn take(&self, ticket: &str) -> Result<Good> {
        let taken = self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(ticket);
        let taken = taken.filter(|(_, at)| at.elapsed() < GOOD_FOR);
        taken.map(|(good, _)| good).ok_or_else(|| Trouble::gone("this address was used already or is too old; ask again in the page"))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_ticket_is_good_once() {
        let tickets = Tickets::default();
        let give = || tickets.give(Good::Preview { path: VaultPath::home() }).unwrap();
        let first = give();
        assert!(tickets.take(&first).is_ok());
        assert!(tickets.take(&first).is_err());
    }
}
