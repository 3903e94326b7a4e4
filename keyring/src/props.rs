//! What only key holders read about a node: its name again, times, mode, type, and the hash of its content.

use minicbor::encode::Write;
use ticrypt_crypto::record::{Element, Record};
use ticrypt_crypto::{Digest, RecordError, code_element, record};
use ticrypt_types::{NodeName, Timestamp};
use zeroize::Zeroizing;

use crate::aead::{OpenError, SealError};
use crate::name;

/// Permission bits of a mode.
pub const MODE_MASK: u16 = 0o777;
/// Bytes of the longest entry properties: a name padded to 256, two times, a mode.
const ENTRY_PROPS_MAX_LEN: usize = 288;

/// Properties of a node, under its own list key; for a grantee who does not hold the parent the only place of its name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EntryProps {
    pub name: NodeName,
    pub created: Timestamp,
    pub modified: Timestamp,
    /// Permission bits of a directory, or 0.
    pub mode: u16,
}

impl EntryProps {
    pub(crate) fn to_plaintext(&self) -> Result<Zeroizing<Vec<u8>>, SealError> {
        check_mode(self.mode).map_err(SealError::Rule)?;
        Ok(Zeroizing::new(record::encode(&EntryPropsRecord {
            name: Padded(self.name.clone()),
            created: self.created,
            modified: self.modified,
            mode: self.mode,
        })))
    }

    pub(crate) fn from_plaintext(bytes: &[u8]) -> Result<Self, OpenError> {
        let record: EntryPropsRecord = record::decode_strict(bytes, ENTRY_PROPS_MAX_LEN).map_err(OpenError::Content)?;
        check_mode(record.mode).map_err(OpenError::Content)?;
        let EntryPropsRecord { name: Padded(name), created, modified, mode } = record;
        Ok(Self { name, created, modified, mode })
    }
}

record! {
    struct EntryPropsRecord {
        name: Padded,
        created: Timestamp,
        modified: Timestamp,
        mode: u16,
    }
}

/// A name inside a record stands padded, so that the record's length does not tell the name's.
struct Padded(NodeName);

impl Element for Padded {
    fn put<W: Write>(&self, e: &mut minicbor::Encoder<W>) -> Result<(), minicbor::encode::Error<W::Error>> {
        e.bytes(&name::pad(&self.0))?.ok()
    }

    fn take(d: &mut minicbor::Decoder<'_>) -> Result<Self, minicbor::decode::Error> {
        name::unpad(d.bytes()?).map(Self).map_err(minicbor::decode::Error::message)
    }
}

code_element! {
    /// What the content of a version is.
    pub enum ContentKind {
        Regular = 0,
        /// The content is the link's target.
        SymbolicLink = 1,
    }
}

record! {
    /// Properties of a version, in its manifest.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct ManifestProps {
        pub kind: ContentKind,
        pub modified: Timestamp,
        /// Permission bits.
        pub mode: u16,
        /// Of the plaintext.
        pub sha256: Digest,
    }
}

impl ManifestProps {
    pub(crate) fn to_plaintext(&self) -> Result<Zeroizing<Vec<u8>>, SealError> {
        self.check().map_err(SealError::Rule)?;
        Ok(Zeroizing::new(self.to_bytes()))
    }

    pub(crate) fn from_plaintext(bytes: &[u8]) -> Result<Self, OpenError> {
        Self::parse(bytes).map_err(OpenError::Content)
    }
}

impl Record for ManifestProps {
    const MAX_LEN: usize = 64;

    fn check(&self) -> Result<(), RecordError> {
        check_mode(self.mode)
    }
}

fn check_mode(mode: u16) -> Result<(), RecordError> {
    if mode & !MODE_MASK == 0 { Ok(()) } else { Err(RecordError::Rule("a mode has nine permission bits")) }
}
