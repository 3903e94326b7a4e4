//! Stored chunks as the server sees them: lengths and headers, no key (docs/formats.md §8).
//!
//! ```text
//!   ┌ header 4 ┬ nonce 12 ┬ commitment 32 ┬ ciphertext … ┬ tag 16 ┐
//!   └ 01 01 00 flags ─ bit 0: last, all others zero ────────────────┘
//! ```

use ticrypt_types::limits::{CHUNK_BYTES, CHUNK_OVERHEAD_BYTES, CHUNKS_MAX};
use ticrypt_types::{NodeId, VersionId};

/// Plaintext bytes of every chunk but the last.
pub const CHUNK_SIZE: u64 = CHUNK_BYTES as u64;
/// Bytes before the ciphertext: header, nonce, commitment.
pub const HEADROOM: usize = HEADER_LEN + NONCE_LEN + COMMITMENT_LEN;
/// Bytes behind the ciphertext.
pub const TAG_LEN: usize = 16;
/// What a stored chunk has beyond its plaintext.
pub const OVERHEAD: usize = CHUNK_OVERHEAD_BYTES;

pub const HEADER_LEN: usize = 4;
pub const NONCE_LEN: usize = 12;
pub const COMMITMENT_LEN: usize = 32;

const FORMAT: u8 = 1;
const FLAG_LAST: u8 = 1;

/// Why some bytes are not a stored chunk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ChunkError {
    #[error("the chunk is shorter than its {OVERHEAD} bytes of overhead")]
    Short,
    #[error("the chunk has {len} bytes, expected {expected}")]
    Length { len: u64, expected: u64 },
    #[error("the chunk is of format {format}, suite {suite}: update this program")]
    Unknown { format: u8, suite: u8 },
    #[error("unused bits of the chunk's header are set")]
    UnusedBits,
    #[error("the chunk says it is the last one where more follow, or the other way round")]
    Last,
    #[error("the version has no chunk {number}, it has {count}")]
    Number { number: u64, count: u64 },
    #[error("the chunk is not of this version: its key commitment is another")]
    Commitment,
    #[error("a version of {0} bytes is larger than any")]
    TooLarge(u64),
}

/// The first four bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    pub last: bool,
}

impl Header {
    pub const fn to_bytes(self) -> [u8; HEADER_LEN] {
        [FORMAT, 1, 0, if self.last { FLAG_LAST } else { 0 }]
    }

    pub fn parse(bytes: [u8; HEADER_LEN]) -> Result<Self, ChunkError> {
        match bytes {
            [FORMAT, 1, 0, flags @ 0..=1] => Ok(Self { last: flags == FLAG_LAST }),
            [FORMAT, 1, _, _] => Err(ChunkError::UnusedBits),
            [format, suite, _, _] => Err(ChunkError::Unknown { format, suite }),
        }
    }
}

/// A stored chunk taken apart, nothing of it verified but the header.
#[derive(Clone, Copy, Debug)]
pub struct StoredChunk<'a> {
    pub header: Header,
    pub nonce: [u8; NONCE_LEN],
    pub commitment: [u8; COMMITMENT_LEN],
    /// Without the tag.
    pub ciphertext: &'a [u8],
    pub tag: [u8; TAG_LEN],
}

impl<'a> StoredChunk<'a> {
    pub fn parse(bytes: &'a [u8]) -> Result<Self, ChunkError> {
        let (header, rest) = bytes.split_first_chunk().ok_or(ChunkError::Short)?;
        let (nonce, rest) = rest.split_first_chunk().ok_or(ChunkError::Short)?;
        let (commitment, rest) = rest.split_first_chunk().ok_or(ChunkError::Short)?;
        let (ciphertext, tag) = rest.split_last_chunk().ok_or(ChunkError::Short)?;
        Ok(Self { header: Header::parse(*header)?, nonce: *nonce, commitment: *commitment, ciphertext, tag: *tag })
    }

    /// What a server can check of chunk `number` of a version of `size` bytes when it arrives: header, place and length.
    pub fn check(&self, number: u64, size: u64) -> Result<(), ChunkError> {
        let expected = stored_len(number, size)?;
        let len = self.ciphertext.len() as u64 + OVERHEAD as u64;
        if len != expected {
            return Err(ChunkError::Length { len, expected });
        }
        if self.header.last != is_last(number, size)? {
            return Err(ChunkError::Last);
        }
        Ok(())
    }
}

/// `max(1, ceil(size / 8 MiB))`: an empty file is one empty chunk.
pub const fn chunk_count_for(size: u64) -> u64 {
    let count = size.div_ceil(CHUNK_SIZE);
    if count == 0 { 1 } else { count }
}

/// Plaintext bytes of chunk `number` of a version of `size` bytes.
pub const fn plain_len(number: u64, size: u64) -> Result<u64, ChunkError> {
    let count = chunk_count_for(size);
    if count > CHUNKS_MAX {
        return Err(ChunkError::TooLarge(size));
    }
    if number >= count {
        return Err(ChunkError::Number { number, count });
    }
    if number + 1 == count { Ok(size - number * CHUNK_SIZE) } else { Ok(CHUNK_SIZE) }
}

/// Stored bytes of chunk `number` of a version of `size` bytes.
pub const fn stored_len(number: u64, size: u64) -> Result<u64, ChunkError> {
    match plain_len(number, size) {
        Ok(len) => Ok(len + OVERHEAD as u64),
        Err(error) => Err(error),
    }
}

/// Stored bytes of all chunks of a version of `size` bytes; what quota counts.
pub const fn stored_total(size: u64) -> u64 {
    size.saturating_add(chunk_count_for(size) * OVERHEAD as u64)
}

/// Whether chunk `number` is the last of a version of `size` bytes.
pub const fn is_last(number: u64, size: u64) -> Result<bool, ChunkError> {
    match plain_len(number, size) {
        Ok(_) => Ok(number + 1 == chunk_count_for(size)),
        Err(error) => Err(error),
    }
}

/// Bytes of the additional data.
pub const AAD_LEN: usize = HEADER_LEN + 16 + 16 + 8 + 1;

/// The additional data of a chunk: header ‖ file ‖ version ‖ number ‖ last.
pub fn additional_data(header: Header, file: NodeId, version: VersionId, number: u64) -> [u8; AAD_LEN] {
    let mut aad = [0; AAD_LEN];
    let parts = [&header.to_bytes()[..], file.as_bytes(), version.as_bytes(), &number.to_be_bytes(), &[u8::from(header.last)]];
    for (to, from) in aad.iter_mut().zip(parts.into_iter().flatten()) {
        *to = *from;
    }
    aad
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn counts_and_lengths_at_the_edges() {
        const C: u64 = CHUNK_SIZE;
        for (size, count, last) in [(0, 1, 0), (1, 1, 1), (C - 1, 1, C - 1), (C, 1, C), (C + 1, 2, 1), (3 * C, 3, C)] {
            assert_eq!(chunk_count_for(size), count, "{size}");
            assert_eq!(plain_len(count - 1, size), Ok(last), "{size}");
            assert_eq!(is_last(count - 1, size), Ok(true));
            assert_eq!(plain_len(count, size), Err(ChunkError::Number { number: count, count }));
            assert_eq!(stored_total(size), (0..count).map(|n| stored_len(n, size).unwrap()).sum::<u64>());
        }
        assert_eq!(is_last(0, C + 1), Ok(false));
        assert_eq!(stored_len(0, u64::MAX), Err(ChunkError::TooLarge(u64::MAX)));
    }

    #[test]
    fn headers_have_one_form() {
        for last in [false, true] {
            assert_eq!(Header::parse(Header { last }.to_bytes()), Ok(Header { last }));
        }
        assert_eq!(Header::parse([1, 1, 0, 2]), Err(ChunkError::UnusedBits));
        assert_eq!(Header::parse([1, 1, 0, 0x81]), Err(ChunkError::UnusedBits));
        assert_eq!(Header::parse([1, 1, 1, 1]), Err(ChunkError::UnusedBits));
        assert_eq!(Header::parse([2, 1, 0, 1]), Err(ChunkError::Unknown { format: 2, suite: 1 }));
        assert_eq!(Header::parse([1, 0, 0, 1]), Err(ChunkError::Unknown { format: 1, suite: 0 }));
        assert_eq!(StoredChunk::parse(&[1; 63]).unwrap_err(), ChunkError::Short);
    }
}
