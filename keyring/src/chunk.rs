//! Sealing and opening chunks in the caller's buffer (docs/formats.md §8). No copy is made: speed here is speed everywhere.
//!
//! ```text
//!   buffer before:  │ 48 bytes free        │ plaintext …   │ 16 free │
//!   buffer after:   │ header nonce commit  │ ciphertext …  │ tag     │
//! ```

use aws_lc_rs::aead::{Aad, LessSafeKey, Nonce};
use aws_lc_rs::constant_time::verify_slices_are_equal;
use ticrypt_crypto::Digest;
use ticrypt_crypto::chunk::{self, CHUNK_SIZE, ChunkError, HEADROOM, Header, NONCE_LEN, StoredChunk, TAG_LEN};
use ticrypt_types::{NodeId, VersionId};

use crate::aead::AeadKey;
use crate::derive::{ProviderError, derive};
use crate::random::{self, Random, RandomError};
use crate::version::ContentKey;

/// Why a chunk could not be sealed.
#[derive(Debug, thiserror::Error)]
pub enum ChunkSealError {
    #[error("the buffer is too short: leave 48 bytes in front and 16 behind the plaintext")]
    Buffer,
    #[error("a chunk that is not the last is full, and none is larger or needlessly empty")]
    Length,
    #[error(transparent)]
    Random(#[from] RandomError),
    #[error(transparent)]
    Provider(#[from] ProviderError),
}

/// Why a chunk could not be opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ChunkOpenError {
    #[error("the stored chunk cannot be read")]
    Form(#[from] ChunkError),
    #[error("a chunk that is not the last is full, and none is larger or needlessly empty")]
    Length,
    #[error("the chunk was altered, or it is another one's: of another place, version or file")]
    NotAuthentic,
}

/// A version's chunk key, made once, with what every chunk of the version is bound to.
struct ChunkKey {
    key: LessSafeKey,
    commitment: Digest,
    file: NodeId,
    version: VersionId,
    /// Plaintext bytes of a full chunk; another value only in tests.
    size: usize,
}

impl ChunkKey {
    fn new(content: &ContentKey, file: NodeId, version: VersionId, size: usize) -> Result<Self, ProviderError> {
        let key = AeadKey::new(&*derive("content/chunk", content.expose())?)?.into_inner();
        Ok(Self { key, commitment: content.commitment()?, file, version, size })
    }

    fn is_length(&self, number: u64, last: bool, len: usize) -> bool {
        if last { len <= self.size && (len > 0 || number == 0) } else { len == self.size }
    }

    fn aad(&self, number: u64, last: bool) -> Aad<[u8; chunk::AAD_LEN]> {
        Aad::from(chunk::additional_data(Header { last }, self.file, self.version, number))
    }
}

/// Seals the chunks of one upload attempt.
pub struct ChunkSealer(ChunkKey);

impl ChunkSealer {
    pub fn new(content: &ContentKey, file: NodeId, version: VersionId) -> Result<Self, ProviderError> {
        Ok(Self(ChunkKey::new(content, file, version, CHUNK_SIZE as usize)?))
    }

    /// What the manifest must say the content key is.
    pub fn commitment(&self) -> Digest {
        self.0.commitment
    }

    /// Turns `buffer` (48 bytes free, plaintext, 16 bytes free) into the stored chunk. A nonce is drawn each time, so sealing
    /// again after a failed upload is safe; the plaintext is gone afterwards.
    pub fn seal_in_place(&self, random: &dyn Random, number: u64, last: bool, buffer: &mut [u8]) -> Result<(), ChunkSealError> {
        let ChunkKey { key, commitment, .. } = &self.0;
        let (head, rest) = buffer.split_first_chunk_mut::<HEADROOM>().ok_or(ChunkSealError::Buffer)?;
        let (body, tail) = rest.split_last_chunk_mut::<TAG_LEN>().ok_or(ChunkSealError::Buffer)?;
        if !self.0.is_length(number, last, body.len()) {
            return Err(ChunkSealError::Length);
        }
        let nonce: [u8; NONCE_LEN] = random::public(random)?;
        let tag = key
            .seal_in_place_separate_tag(Nonce::assume_unique_for_key(nonce), self.0.aad(number, last), body)
            .map_err(ProviderError::from)?;
        tail.copy_from_slice(tag.as_ref());
        let parts = [&Header { last }.to_bytes()[..], &nonce, commitment.as_bytes()];
        for (to, from) in head.iter_mut().zip(parts.into_iter().flatten()) {
            *to = *from;
        }
        Ok(())
    }
}

/// Opens the chunks of one version.
pub struct ChunkOpener(ChunkKey);

impl ChunkOpener {
    pub fn new(content: &ContentKey, file: NodeId, version: VersionId) -> Result<Self, ProviderError> {
        Ok(Self(ChunkKey::new(content, file, version, CHUNK_SIZE as usize)?))
    }

    /// What the manifest must say the content key is.
    pub fn commitment(&self) -> Digest {
        self.0.commitment
    }

    /// Turns a stored chunk into its plaintext, which stays in the middle of the buffer. `number` and `last` are what the
    /// manifest says, not what the chunk says. After a failure the buffer holds nothing of the plaintext.
    pub fn open_in_place<'a>(&self, number: u64, last: bool, buffer: &'a mut [u8]) -> Result<&'a mut [u8], ChunkOpenError> {
        let stored = StoredChunk::parse(buffer)?;
        if stored.header.last != last {
            return Err(ChunkError::Last.into());
        }
        if verify_slices_are_equal(&stored.commitment, self.0.commitment.as_bytes()).is_err() {
            return Err(ChunkError::Commitment.into());
        }
        if !self.0.is_length(number, last, stored.ciphertext.len()) {
            return Err(ChunkOpenError::Length);
        }
        let (nonce, tag) = (Nonce::assume_unique_for_key(stored.nonce), stored.tag);
        let body = buffer
            .split_first_chunk_mut::<HEADROOM>()
            .and_then(|(_, rest)| rest.split_last_chunk_mut::<TAG_LEN>())
            .map(|(body, _)| body)
            .ok_or(ChunkError::Short)?;
        let opened = self.0.key.open_in_place_separate_tag(nonce, self.0.aad(number, last), &tag, body).is_ok();
        if !opened {
            body.fill(0);
            return Err(ChunkOpenError::NotAuthentic);
        }
        Ok(body)
    }
}

/// A buffer for [`ChunkSealer::seal_in_place`], filled with `plaintext`; for callers that have it elsewhere already.
pub fn buffer_for(plaintext: &[u8]) -> Vec<u8> {
    let mut buffer = Vec::with_capacity(plaintext.len() + chunk::OVERHEAD);
    buffer.resize(HEADROOM, 0);
    buffer.extend_from_slice(plaintext);
    buffer.resize(plaintext.len() + chunk::OVERHEAD, 0);
    buffer
}

#[cfg(test)]
mod tests;
