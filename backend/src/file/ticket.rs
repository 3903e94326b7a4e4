//! Chunk tickets, the issuing half (security C16).
//!
//! Chunks move without asking the database again: the file role decides once and writes what it decided into a ticket, the
//! storage role checks the ticket's code (HMAC-SHA-256, FIPS 198-1) and that nothing was lost since. The key lives as long as
//! the process. The reading half is `storage/ticket.rs`; the two share the layout below and nothing else.
//!
//! ```text
//!   1 ‖ verb ‖ version id 16 ‖ file id 16 ‖ size 8 ‖ user 16 ‖ session 16 ‖ epoch 8 ‖ loss 8 ‖ expires_ms 8 ‖ HMAC 32
//! ```
//!
//! `loss` counts losses of shares. A ticket issued before its holder's last loss is refused, and the holder asks again.

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use aws_lc_rs::hmac;
use ticrypt_api::Blob;
use ticrypt_api::role::Caller;
use ticrypt_api::upload::Ticket;
use ticrypt_types::limits::TICKET_TTL_MS;
use ticrypt_types::{NodeId, Secret, UserId, VersionId};

/// What a ticket lets its holder do with one version's chunks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TicketVerb {
    Write,
    Read,
}

impl TicketVerb {
    const fn code(self) -> u8 {
        match self {
            Self::Write => 1,
            Self::Read => 2,
        }
    }
}

/// Where the count of losses stood before the facts were read on which a ticket rests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LossMark(u64);

/// When each person last lost a share, in the order of losses; the storage role looks into the same table.
pub type LossTable = Mutex<HashMap<UserId, u64>>;

/// Who lost a share, and when. In memory: a restart makes a new ticket key anyway.
#[derive(Debug)]
pub struct Losses {
    count: AtomicU64,
    table: Arc<LossTable>,
}

impl Losses {
    pub fn new(table: Arc<LossTable>) -> Self {
        Self { count: AtomicU64::new(0), table }
    }

    /// Taken before facts are read, so that a loss committed meanwhile makes the ticket void rather than the other way round.
    pub fn mark(&self) -> LossMark {
        LossMark(self.count.load(Ordering::SeqCst))
    }

    /// Called after a loss is committed.
    pub fn record(&self, users: impl IntoIterator<Item = UserId>) {
        let mut table = self.table.lock().unwrap_or_else(PoisonError::into_inner);
        let now = self.count.fetch_add(1, Ordering::SeqCst) + 1;
        table.extend(users.into_iter().map(|user| (user, now)));
    }
}

/// Issues tickets under the key of this process.
pub struct TicketIssuer {
    key: hmac::Key,
}

impl fmt::Debug for TicketIssuer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TicketIssuer(..)")
    }
}

impl TicketIssuer {
    pub fn new(key: &Secret<[u8; 32]>) -> Self {
        Self { key: hmac::Key::new(hmac::HMAC_SHA256, key.expose()) }
    }

    /// A ticket for all chunks of a version of `size` bytes, for this session, for [`TICKET_TTL_MS`].
    pub fn issue(&self, verb: TicketVerb, file: NodeId, version: VersionId, size: u64, caller: &Caller, mark: LossMark) -> Ticket {
        let expires = caller.now.plus_millis(TICKET_TTL_MS);
        let mut bytes = Vec::with_capacity(140);
        bytes.extend_from_slice(&[1, verb.code()]);
        bytes.extend_from_slice(version.as_bytes());
        bytes.extend_from_slice(file.as_bytes());
        bytes.extend_from_slice(&size.to_be_bytes());
        bytes.extend_from_slice(caller.user.as_bytes());
        bytes.extend_from_slice(caller.session.as_bytes());
        for number in [caller.epoch, mark.0, expires.as_millis()] {
            bytes.extend_from_slice(&number.to_be_bytes());
        }
        let code = hmac::sign(&self.key, &bytes);
        bytes.extend_from_slice(code.as_ref());
        Ticket { version, ticket: Blob(bytes), expires_ms: expires }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_loss_is_younger_than_every_mark_before_it() {
        let table = Arc::new(LossTable::default());
        let losses = Losses::new(table.clone());
        let (one, two) = (UserId::from_random([1; 16]), UserId::from_random([2; 16]));
        let before = losses.mark();
        losses.record([one]);
        let table = table.lock().unwrap();
        assert!(table[&one] > before.0 && table[&one] <= losses.mark().0);
        assert!(!table.contains_key(&two));
    }
}
