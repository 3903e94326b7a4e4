//! Contents on their way into the vault: read from a disk in one consistent state, hashed, sealed.

use bytes::Bytes;
use ticrypt_crypto::Digest;
use ticrypt_crypto::chunk::{HEADROOM, OVERHEAD};
use ticrypt_keyring::chunk::{ChunkSealer, buffer_for};
use ticrypt_keyring::props::{ContentKind, ManifestProps};
use ticrypt_keyring::{ContentKey, SystemRandom};
use ticrypt_types::limits::SMALL_CONTENT_MAX_BYTES;
use ticrypt_types::{NodeId, Timestamp, VersionId};

use super::make::{ContentDraft, cannot_seal, new_version_id};
use super::source::{self, Source, SourceKind, fill, shown, unreadable};
use crate::error::{ClientError, Kind, Result};

/// Attempts at a file that changes while it is read.
pub(super) const READS: u32 = 3;

/// A small content, read.
#[derive(Debug)]
pub(super) struct Small {
    pub bytes: Vec<u8>,
    pub kind: ContentKind,
    pub modified: Timestamp,
    pub mode: u16,
}

impl Small {
    pub(super) fn sha256(&self) -> Digest {
        Digest::of(&self.bytes)
    }

    /// Reads a link's target or a file that was small when it was looked at; blocks.
    pub(super) fn read(source: &Source) -> Result<Self> {
        if let SourceKind::Link(target) = &source.kind {
            return Ok(Self { bytes: target.clone(), kind: ContentKind::SymbolicLink, modified: source.modified, mode: 0o777 });
        }
        for _ in 0..READS {
            let opened = source::open(&source.path)?;
            let mut bytes = vec![0; usize::try_from(opened.id.size_bytes).unwrap_or(usize::MAX).min(SMALL_CONTENT_MAX_BYTES) + 1];
            let count = fill(&opened.file, &mut bytes).map_err(|e| unreadable(&source.path, e))?;
            bytes.truncate(count);
            let unchanged = opened.is_unchanged().map_err(|e| unreadable(&source.path, e))?;
            if unchanged && count as u64 == opened.id.size_bytes && count + OVERHEAD <= SMALL_CONTENT_MAX_BYTES {
                return Ok(Self { bytes, kind: ContentKind::Regular, modified: opened.modified, mode: mode_of(opened.mode) });
            }
        }
        Err(changing(&source.path))
    }

    /// Seals it whole, as a version of a file.
    pub(super) fn seal(&self, random: &SystemRandom, file: NodeId) -> Result<ContentDraft> {
        let version = new_version_id(random)?;
        let key = ContentKey::generate(random).map_err(cannot_seal)?;
        let sealer = sealer(&key, file, version)?;
        let mut chunk = buffer_for(&self.bytes);
        sealer.seal_in_place(random, 0, true, &mut chunk).map_err(|e| ClientError::broken("a file could not be encrypted").because(e))?;
        Ok(ContentDraft {
            version,
            key,
            size: self.bytes.len() as u64,
            chunk_hashes: vec![Digest::of(&chunk)],
            chunk: Some(chunk),
            props: ManifestProps { kind: self.kind, modified: self.modified, mode: self.mode, sha256: self.sha256() },
        })
    }
}

pub(super) fn sealer(key: &ContentKey, file: NodeId, version: VersionId) -> Result<ChunkSealer> {
    ChunkSealer::new(key, file, version).map_err(|e| cannot_seal(e.into()))
}

/// A chunk's buffer before it is sealed: room for the header, the plaintext, room for the tag.
pub(super) fn chunk_buffer(plain_len: usize) -> Vec<u8> {
    vec![0; plain_len + OVERHEAD]
}

/// Where the plaintext stands in it.
pub(super) fn plaintext_of(buffer: &mut [u8]) -> &mut [u8] {
    let end = buffer.len().saturating_sub(OVERHEAD - HEADROOM);
    buffer.get_mut(HEADROOM..end).unwrap_or_default()
}

/// Seals a filled buffer and hashes what will be stored; keeps a core busy.
pub(super) fn seal_chunk(sealer: &ChunkSealer, number: u64, last: bool, mut buffer: Vec<u8>) -> Result<(Bytes, Digest)> {
    let sealed = sealer.seal_in_place(&SystemRandom::new(), number, last, &mut buffer);
    sealed.map_err(|e| ClientError::broken("a chunk could not be encrypted").because(e))?;
    let hash = Digest::of(&buffer);
    Ok((buffer.into(), hash))
}

/// Permission bits as records hold them.
pub(super) fn mode_of(mode: u32) -> u16 {
    u16::try_from(mode & 0o777).unwrap_or(0)
}

/// The SHA-256 of a file on a disk; blocks.
pub(super) fn hash_file(source: &Source) -> Result<Digest> {
    if let SourceKind::Link(target) = &source.kind {
        return Ok(Digest::of(target));
    }
    let opened = source::open(&source.path)?;
    let mut hasher = ticrypt_crypto::digest::Hasher::new();
    let mut buffer = vec![0; 1 << 20];
    loop {
        let count = fill(&opened.file, &mut buffer).map_err(|e| unreadable(&source.path, e))?;
        let Some(bytes) = buffer.get(..count).filter(|bytes| !bytes.is_empty()) else { return Ok(hasher.finish()) };
        hasher.update(bytes);
    }
}

/// The error for a file that never held still.
pub(super) fn changing(path: &std::path::Path) -> ClientError {
    ClientError::new(
        Kind::Unavailable,
        "changing",
        format!("`{}` keeps changing while it is read; put it again when it rests", shown(path)),
    )
}
