//! Records: CBOR arrays with exactly one encoding (RFC 8949 §4.2.1; docs/formats.md §0).
//!
//! Hashes and signatures are over bytes, so two encodings of one meaning would be two records. The reader decodes, encodes
//! again and compares; everything CBOR would forgive (long integers, indefinite lengths, trailing bytes, extra elements)
//! fails that comparison.

use minicbor::decode::{self, Decode, Decoder};
use minicbor::encode::{self, Encode, Encoder, Write};
use ticrypt_types::id::{DeploymentId, GrantId, GroupId, NodeId, ProjectId, SessionId, UserId, VersionId};
use ticrypt_types::{MemberRole, NodeKind, Restrictions, Timestamp, UserName, Verbs};

use crate::Digest;

/// Element 0 of every record.
pub const VERSION: u64 = 1;

/// Why some bytes are not the record they should be.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    #[error("the record has {len} bytes, more than the {max} its format allows")]
    TooLong { len: usize, max: usize },
    #[error("the record is of version {0}: update this program")]
    NewerVersion(u64),
    #[error("the record cannot be read")]
    Malformed(#[source] decode::Error),
    #[error("the record is not in its one deterministic encoding")]
    NotCanonical,
    #[error("the record breaks a rule of its format: {0}")]
    Rule(&'static str),
}

/// A record that a signature or a hash can name, with the rules that hold within it alone.
pub trait Record: Encode<()> + for<'b> Decode<'b, ()> {
    /// Bytes of its longest encoding.
    const MAX_LEN: usize;

    /// The rules between its own fields.
    fn check(&self) -> Result<(), RecordError>;

    /// Reads one record and checks its own rules.
    fn parse(bytes: &[u8]) -> Result<Self, RecordError> {
        let record: Self = decode_strict(bytes, Self::MAX_LEN)?;
        record.check()?;
        Ok(record)
    }

    fn to_bytes(&self) -> Vec<u8> {
        encode(self)
    }
}

/// The one encoding of a value.
pub fn encode<T: Encode<()> + ?Sized>(value: &T) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(256);
    match minicbor::encode(value, &mut bytes) {
        Ok(()) => bytes,
        // Writing to memory cannot fail and no encoder here refuses a value; half a record must never be signed.
        Err(error) => unreachable!("a record could not be encoded: {error}"),
    }
}

/// Decodes the only accepted encoding of a value of at most `max` bytes.
pub fn decode_strict<'b, T: Decode<'b, ()> + Encode<()>>(bytes: &'b [u8], max: usize) -> Result<T, RecordError> {
    if bytes.len() > max {
        return Err(RecordError::TooLong { len: bytes.len(), max });
    }
    check_version(bytes)?;
    let value: T = minicbor::decode(bytes).map_err(RecordError::Malformed)?;
    if encode(&value) != bytes {
        return Err(RecordError::NotCanonical);
    }
    Ok(value)
}

/// Tells a record of a newer version apart from a broken one, so that a person is told to update.
fn check_version(bytes: &[u8]) -> Result<(), RecordError> {
    let mut decoder = Decoder::new(bytes);
    if let (Ok(Some(1..)), Ok(version)) = (decoder.array(), decoder.u64())
        && version > VERSION
    {
        return Err(RecordError::NewerVersion(version));
    }
    Ok(())
}

/// Reads the head of a record: a definite array of `elements` elements, the first of them the version.
pub fn open_array(d: &mut Decoder<'_>, elements: u64) -> Result<(), decode::Error> {
    match d.array()? {
        Some(found) if found == elements => {}
        Some(found) => return Err(decode::Error::message(format!("expected {elements} elements, found {found}"))),
        None => return Err(decode::Error::message("indefinite length")),
    }
    match d.u64()? {
        VERSION => Ok(()),
        other => Err(decode::Error::message(format!("expected version {VERSION}, found {other}"))),
    }
}

/// One position of a record, or several that belong together.
pub trait Element: Sized {
    /// How many CBOR elements it takes.
    const COUNT: u64 = 1;
    fn put<W: Write>(&self, e: &mut Encoder<W>) -> Result<(), encode::Error<W::Error>>;
    fn take(d: &mut Decoder<'_>) -> Result<Self, decode::Error>;
}

/// Elements whose own CBOR encoding is the one of the format.
macro_rules! elements {
    ($($ty:ty),+ $(,)?) => {$(
        impl Element for $ty {
            fn put<W: Write>(&self, e: &mut Encoder<W>) -> Result<(), encode::Error<W::Error>> {
                e.encode(self)?.ok()
            }
            fn take(d: &mut Decoder<'_>) -> Result<Self, decode::Error> {
                d.decode()
            }
        }
    )+};
}

elements!(
    u8,
    u16,
    u32,
    u64,
    String,
    Digest,
    Timestamp,
    NodeKind,
    DeploymentId,
    GrantId,
    GroupId,
    NodeId,
    ProjectId,
    SessionId,
    UserId,
    VersionId
);

impl Element for Vec<u8> {
    fn put<W: Write>(&self, e: &mut Encoder<W>) -> Result<(), encode::Error<W::Error>> {
        e.bytes(self)?.ok()
    }

    fn take(d: &mut Decoder<'_>) -> Result<Self, decode::Error> {
        d.bytes().map(<[u8]>::to_vec)
    }
}

/// A list is a definite array of its own; how long it may be is the record's own rule, and its bound holds before that.
impl<T: Listed> Element for Vec<T> {
    fn put<W: Write>(&self, e: &mut Encoder<W>) -> Result<(), encode::Error<W::Error>> {
        e.array(self.len() as u64)?;
        self.iter().try_for_each(|one| one.put(e))
    }

    fn take(d: &mut Decoder<'_>) -> Result<Self, decode::Error> {
        let count = d.array()?.ok_or_else(|| decode::Error::message("indefinite length"))?;
        // Not reserved for: a length that lies ends with the bytes.
        (0..count).map(|_| T::take(d)).collect()
    }
}

/// What records hold lists of; bytes are no list.
pub trait Listed: Element {}

impl Listed for ProjectId {}

impl<const N: usize> Element for [u8; N] {
    fn put<W: Write>(&self, e: &mut Encoder<W>) -> Result<(), encode::Error<W::Error>> {
        e.bytes(self)?.ok()
    }

    fn take(d: &mut Decoder<'_>) -> Result<Self, decode::Error> {
        let bytes = d.bytes()?;
        bytes.try_into().map_err(|_| decode::Error::message(format!("expected {N} bytes, found {}", bytes.len())))
    }
}

impl Element for Option<Digest> {
    fn put<W: Write>(&self, e: &mut Encoder<W>) -> Result<(), encode::Error<W::Error>> {
        crate::digest::optional::encode(self, e, &mut ())
    }

    fn take(d: &mut Decoder<'_>) -> Result<Self, decode::Error> {
        crate::digest::optional::decode(d, &mut ())
    }
}

/// An id, or none as the empty byte string.
macro_rules! optional_ids {
    ($($ty:ty),+) => {$(
        impl Element for Option<$ty> {
            fn put<W: Write>(&self, e: &mut Encoder<W>) -> Result<(), encode::Error<W::Error>> {
                e.bytes(self.as_ref().map_or(&[][..], |id| id.as_bytes()))?.ok()
            }

            fn take(d: &mut Decoder<'_>) -> Result<Self, decode::Error> {
                match d.bytes()? {
                    [] => Ok(None),
                    bytes => bytes.try_into().map(Some).map_err(|_| decode::Error::message("expected an id, or no bytes at all")),
                }
            }
        }
    )+};
}

optional_ids!(ProjectId, UserId);

impl Element for Verbs {
    fn put<W: Write>(&self, e: &mut Encoder<W>) -> Result<(), encode::Error<W::Error>> {
        e.u8(self.bits())?.ok()
    }

    fn take(d: &mut Decoder<'_>) -> Result<Self, decode::Error> {
        Self::from_bits(d.u8()?).ok_or_else(|| decode::Error::message("unknown verbs, or verbs without view"))
    }
}

impl Element for MemberRole {
    fn put<W: Write>(&self, e: &mut Encoder<W>) -> Result<(), encode::Error<W::Error>> {
        e.str(self.word())?.ok()
    }

    fn take(d: &mut Decoder<'_>) -> Result<Self, decode::Error> {
        Self::from_word(d.str()?).ok_or_else(|| decode::Error::message("unknown role in a project"))
    }
}

impl Element for Restrictions {
    fn put<W: Write>(&self, e: &mut Encoder<W>) -> Result<(), encode::Error<W::Error>> {
        e.u8(self.bits())?.ok()
    }

    fn take(d: &mut Decoder<'_>) -> Result<Self, decode::Error> {
        Self::from_bits(d.u8()?).ok_or_else(|| decode::Error::message("unknown restrictions"))
    }
}

impl Element for UserName {
    fn put<W: Write>(&self, e: &mut Encoder<W>) -> Result<(), encode::Error<W::Error>> {
        e.str(self.as_str())?.ok()
    }

    fn take(d: &mut Decoder<'_>) -> Result<Self, decode::Error> {
        d.str()?.parse().map_err(decode::Error::message)
    }
}

/// Declares a record: a struct whose fields stand in the array after the version, in order.
#[macro_export]
macro_rules! record {
    (
        $(#[$meta:meta])*
        $vis:vis struct $name:ident { $($(#[$fmeta:meta])* $fvis:vis $field:ident: $ty:ty),+ $(,)? }
    ) => {
        $(#[$meta])*
        $vis struct $name { $($(#[$fmeta])* $fvis $field: $ty),+ }

        impl $name {
            const ELEMENTS: u64 = 1 $(+ <$ty as $crate::record::Element>::COUNT)+;
        }

        impl<C> minicbor::Encode<C> for $name {
            fn encode<W: minicbor::encode::Write>(
                &self,
                e: &mut minicbor::Encoder<W>,
                _: &mut C,
            ) -> Result<(), minicbor::encode::Error<W::Error>> {
                e.array(Self::ELEMENTS)?.u64($crate::record::VERSION)?;
                $($crate::record::Element::put(&self.$field, e)?;)+
                Ok(())
            }
        }

        impl<'b, C> minicbor::Decode<'b, C> for $name {
            fn decode(d: &mut minicbor::Decoder<'b>, _: &mut C) -> Result<Self, minicbor::decode::Error> {
                $crate::record::open_array(d, Self::ELEMENTS)?;
                Ok(Self { $($field: $crate::record::Element::take(d)?),+ })
            }
        }
    };
}

/// An enum that stands in records as a small number.
#[macro_export]
macro_rules! code_element {
    ($(#[$meta:meta])* $vis:vis enum $name:ident { $($(#[$vmeta:meta])* $variant:ident = $code:literal),+ $(,)? }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        $vis enum $name { $($(#[$vmeta])* $variant = $code),+ }

        impl $name {
            $vis const fn code(self) -> u8 {
                self as u8
            }

            $vis const fn from_code(code: u8) -> Option<Self> {
                match code { $($code => Some(Self::$variant),)+ _ => None }
            }
        }

        impl $crate::record::Element for $name {
            fn put<W: minicbor::encode::Write>(
                &self,
                e: &mut minicbor::Encoder<W>,
            ) -> Result<(), minicbor::encode::Error<W::Error>> {
                e.u8(self.code())?.ok()
            }

            fn take(d: &mut minicbor::Decoder<'_>) -> Result<Self, minicbor::decode::Error> {
                Self::from_code(d.u8()?)
                    .ok_or_else(|| minicbor::decode::Error::message(concat!("unknown ", stringify!($name))))
            }
        }
    };
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    record! {
        #[derive(Debug, PartialEq, Eq)]
        struct Sample {
            number: u64,
            bytes: Vec<u8>,
            hash: Option<Digest>,
        }
    }

    fn sample() -> Sample {
        Sample { number: 500, bytes: vec![7; 3], hash: None }
    }

    #[test]
    fn one_encoding() {
        let bytes = encode(&sample());
        assert_eq!(bytes, [0x84, 1, 0x19, 0x01, 0xf4, 0x43, 7, 7, 7, 0x40]);
        assert_eq!(decode_strict::<Sample>(&bytes, 10).unwrap(), sample());
        assert!(matches!(decode_strict::<Sample>(&bytes, 9), Err(RecordError::TooLong { len: 10, max: 9 })));
    }

    #[test]
    fn what_cbor_forgives_is_refused() {
        let long_integer = [0x84, 1, 0x1a, 0, 0, 0x01, 0xf4, 0x43, 7, 7, 7, 0x40];
        let long_length = [0x84, 1, 0x19, 0x01, 0xf4, 0x58, 3, 7, 7, 7, 0x40];
        let trailing = [0x84, 1, 0x19, 0x01, 0xf4, 0x43, 7, 7, 7, 0x40, 0];
        for bytes in [&long_integer[..], &long_length, &trailing] {
            assert!(matches!(decode_strict::<Sample>(bytes, 99), Err(RecordError::NotCanonical)), "{bytes:?}");
        }
        let indefinite = [0x9f, 1, 0x19, 0x01, 0xf4, 0x43, 7, 7, 7, 0x40, 0xff];
        let extra = [0x85, 1, 0x19, 0x01, 0xf4, 0x43, 7, 7, 7, 0x40, 0];
        let few = [0x83, 1, 0x19, 0x01, 0xf4, 0x43, 7, 7, 7];
        let version_0 = [0x84, 0, 0x19, 0x01, 0xf4, 0x43, 7, 7, 7, 0x40];
        let short_hash = [0x84, 1, 0x19, 0x01, 0xf4, 0x43, 7, 7, 7, 0x41, 9];
        for bytes in [&indefinite[..], &extra, &few, &version_0, &short_hash, &[]] {
            assert!(matches!(decode_strict::<Sample>(bytes, 99), Err(RecordError::Malformed(_))), "{bytes:?}");
        }
        let version_2 = [0x82, 2, 0];
        assert!(matches!(decode_strict::<Sample>(&version_2, 99), Err(RecordError::NewerVersion(2))));
    }
}
