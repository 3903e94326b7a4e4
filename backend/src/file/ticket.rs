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
//! `loss` is where the count of losses stood (`losses.rs`). A ticket issued before its holder's last loss is refused, and the holder asks again.

use std::fmt;

use aws_lc_rs::hmac;
use ticrypt_api::Blob;
use ticrypt_api::role::Caller;
use ticrypt_api::upload::Ticket;
use ticrypt_types::limits::TICKET_TTL_MS;
use ticrypt_types::{NodeId, Secret, VersionId};

use crate::losses::LossMark;

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
