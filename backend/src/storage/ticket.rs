//! Chunk tickets, the checking half; `file/ticket.rs` has the layout and the reason.

use std::fmt;

use crate::losses::LossMark;
use aws_lc_rs::hmac;
use ticrypt_types::{NodeId, Secret, SessionId, Timestamp, UserId, VersionId};

/// Bytes of a ticket before its code.
const BODY_LEN: usize = 1 + 1 + 16 + 16 + 8 + 16 + 16 + 8 + 8 + 8;
/// Bytes of HMAC-SHA-256.
const CODE_LEN: usize = 32;

/// What the bearer wants to do; a ticket for one is no good for the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    Write,
    Read,
}

impl Wanted {
    const fn code(self) -> u8 {
        match self {
            Self::Write => 1,
            Self::Read => 2,
        }
    }
}

/// Why a ticket is worth nothing. A holder asks the file role for a new one in every case.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum TicketError {
    #[error("the ticket was not made by this server, or is damaged; ask for a new one")]
    Forged,
    #[error("the ticket is for something else; ask for one for this")]
    OtherUse,
    #[error("the ticket is somebody else's or of another session; ask for one of your own")]
    OtherHolder,
    #[error("the ticket has expired; ask for a new one")]
    Expired,
}

/// A ticket whose code was checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ticket {
    pub(super) version: VersionId,
    pub(super) file: NodeId,
    /// Plaintext bytes of the version.
    pub(super) size: u64,
    pub(super) user: UserId,
    pub(super) session: SessionId,
    pub(super) epoch: u64,
    /// Where the count of losses stood when it was issued.
    pub(super) loss: LossMark,
}

/// Checks tickets under the key of this process.
pub(super) struct TicketChecker {
    key: hmac::Key,
}

impl fmt::Debug for TicketChecker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TicketChecker(..)")
    }
}

impl TicketChecker {
    pub(super) fn new(key: &Secret<[u8; 32]>) -> Self {
        Self { key: hmac::Key::new(hmac::HMAC_SHA256, key.expose()) }
    }

    /// The code first, in constant time; then use, holder and time.
    pub(super) fn check(
        &self,
        bytes: &[u8],
        wanted: Wanted,
        version: VersionId,
        holder: (UserId, SessionId),
        now: Timestamp,
    ) -> Result<Ticket, TicketError> {
        if bytes.len() != BODY_LEN + CODE_LEN {
            return Err(TicketError::Forged);
        }
        let (body, code) = bytes.split_at_checked(BODY_LEN).ok_or(TicketError::Forged)?;
        hmac::verify(&self.key, body, code).map_err(|_| TicketError::Forged)?;
        let (format, verb, ticket, expires) = read(body).ok_or(TicketError::Forged)?;
        if format != 1 || verb != wanted.code() || ticket.version != version {
            return Err(TicketError::OtherUse);
        }
        if (ticket.user, ticket.session) != holder {
            return Err(TicketError::OtherHolder);
        }
        if now >= expires {
            return Err(TicketError::Expired);
        }
        Ok(ticket)
    }
}

/// Takes the body apart: format, verb, ticket, expiry.
fn read(body: &[u8]) -> Option<(u8, u8, Ticket, Timestamp)> {
    let mut rest = body;
    let [format, verb] = take::<2>(&mut rest)?;
    let version = VersionId::try_from(take::<16>(&mut rest)?).ok()?;
    let file = NodeId::try_from(take::<16>(&mut rest)?).ok()?;
    let size = u64::from_be_bytes(take(&mut rest)?);
    let user = UserId::try_from(take::<16>(&mut rest)?).ok()?;
    let session = SessionId::try_from(take::<16>(&mut rest)?).ok()?;
    let epoch = u64::from_be_bytes(take(&mut rest)?);
    let loss = LossMark(u64::from_be_bytes(take(&mut rest)?));
    let expires = Timestamp::from_millis(u64::from_be_bytes(take(&mut rest)?));
    Some((format, verb, Ticket { version, file, size, user, session, epoch, loss }, expires))
}

fn take<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (head, tail) = rest.split_first_chunk::<N>()?;
    *rest = tail;
    Some(*head)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A ticket put together here, byte by byte, so that the layout is held from both sides.
    fn ticket(verb: u8, expires: u64) -> Vec<u8> {
        let id = |n: u8| *VersionId::from_random([n; 16]).as_bytes();
        let mut body = vec![1, verb];
        for bytes in [id(1), id(2)] {
            body.extend_from_slice(&bytes);
        }
        body.extend_from_slice(&7u64.to_be_bytes());
        for bytes in [id(3), id(4)] {
            body.extend_from_slice(&bytes);
        }
        for number in [5u64, 6, expires] {
            body.extend_from_slice(&number.to_be_bytes());
        }
        let code = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &[9; 32]), &body);
        [body, code.as_ref().to_vec()].concat()
    }

    #[test]
    fn every_part_counts() {
        let checker = TicketChecker::new(&Secret::new([9; 32]));
        let version = VersionId::from_random([1; 16]);
        let holder = (UserId::from_random([3; 16]), SessionId::from_random([4; 16]));
        let at = Timestamp::from_millis;
        let good = ticket(1, 100);
        let read = checker.check(&good, Wanted::Write, version, holder, at(99)).unwrap();
        assert_eq!((read.size, read.epoch, read.loss), (7, 5, LossMark(6)));
        assert_eq!(checker.check(&good, Wanted::Write, version, holder, at(100)), Err(TicketError::Expired));
        assert_eq!(checker.check(&good, Wanted::Read, version, holder, at(99)), Err(TicketError::OtherUse));
        let other = VersionId::from_random([8; 16]);
        assert_eq!(checker.check(&good, Wanted::Write, other, holder, at(99)), Err(TicketError::OtherUse));
        let stranger = (UserId::from_random([8; 16]), holder.1);
        assert_eq!(checker.check(&good, Wanted::Write, version, stranger, at(99)), Err(TicketError::OtherHolder));
        for i in 0..good.len() {
            let mut bent = good.clone();
            bent[i] ^= 1;
            assert_eq!(checker.check(&bent, Wanted::Write, version, holder, at(99)), Err(TicketError::Forged), "byte {i}");
        }
        assert_eq!(checker.check(&good[..good.len() - 1], Wanted::Write, version, holder, at(99)), Err(TicketError::Forged));
        let other_process = TicketChecker::new(&Secret::new([8; 32]));
        assert_eq!(other_process.check(&good, Wanted::Write, version, holder, at(99)), Err(TicketError::Forged));
    }
}
