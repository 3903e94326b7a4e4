//! How bytes travel: base64url without padding in JSON (RFC 4648 §5), byte strings in CBOR.

use std::fmt;

use data_encoding::BASE64URL_NOPAD;
use serde::de::{self, DeserializeOwned, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::endpoint::Codec;

/// Bytes that this layer does not interpret: signed envelopes, wraps, sealed keys, chunks.
#[derive(Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Blob(pub Vec<u8>);

/// A SHA-256 value.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Hash(pub [u8; 32]);

impl From<Vec<u8>> for Blob {
    fn from(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }
}

impl AsRef<[u8]> for Blob {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Blob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Blob({} bytes)", self.0.len())
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Hash({self})")
    }
}

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&data_encoding::HEXLOWER.encode(&self.0))
    }
}

impl std::str::FromStr for Hash {
    type Err = &'static str;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bytes = data_encoding::HEXLOWER.decode(text.as_bytes()).map_err(|_| "expected 64 lower-case hexadecimal digits")?;
        bytes.try_into().map(Self).map_err(|_| "expected 64 lower-case hexadecimal digits")
    }
}

impl Serialize for Blob {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        if s.is_human_readable() { s.serialize_str(&BASE64URL_NOPAD.encode(&self.0)) } else { s.serialize_bytes(&self.0) }
    }
}

impl<'de> Deserialize<'de> for Blob {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        struct Bytes;
        impl<'de> Visitor<'de> for Bytes {
            type Value = Blob;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("bytes")
            }
            fn visit_bytes<E: de::Error>(self, bytes: &[u8]) -> Result<Blob, E> {
                Ok(Blob(bytes.to_vec()))
            }
            fn visit_byte_buf<E: de::Error>(self, bytes: Vec<u8>) -> Result<Blob, E> {
                Ok(Blob(bytes))
            }
        }
        if d.is_human_readable() {
            let text = String::deserialize(d)?;
            BASE64URL_NOPAD.decode(text.as_bytes()).map(Blob).map_err(|_| de::Error::custom("expected base64url without padding"))
        } else {
            d.deserialize_byte_buf(Bytes)
        }
    }
}

impl Serialize for Hash {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        if s.is_human_readable() { s.collect_str(self) } else { s.serialize_bytes(&self.0) }
    }
}

impl<'de> Deserialize<'de> for Hash {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        if d.is_human_readable() {
            String::deserialize(d)?.parse().map_err(de::Error::custom)
        } else {
            let Blob(bytes) = Blob::deserialize(d)?;
            bytes.try_into().map(Hash).map_err(|_| de::Error::custom("expected 32 bytes"))
        }
    }
}

macro_rules! text_schema {
    ($type:ident, $name:literal, $describe:literal) => {
        impl utoipa::PartialSchema for $type {
            fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
                utoipa::openapi::ObjectBuilder::new().schema_type(utoipa::openapi::schema::Type::String).description(Some($describe)).into()
            }
        }
        impl utoipa::ToSchema for $type {
            fn name() -> std::borrow::Cow<'static, str> {
                std::borrow::Cow::Borrowed($name)
            }
        }
    };
}
text_schema!(Blob, "Blob", "bytes; base64url without padding in JSON, a byte string in CBOR");
text_schema!(Hash, "Hash", "SHA-256; 64 lower-case hexadecimal digits in JSON, a byte string of 32 in CBOR");

/// What is wrong with a body.
#[derive(Debug, thiserror::Error)]
pub enum WireError {
    #[error("the body is not the json this endpoint takes: {0}")]
    Json(String),
    #[error("the body is not the cbor this endpoint takes: {0}")]
    Cbor(String),
}

pub fn encode<T: Serialize>(codec: Codec, value: &T) -> Result<Vec<u8>, WireError> {
    match codec {
        Codec::Json => serde_json::to_vec(value).map_err(|e| WireError::Json(e.to_string())),
        Codec::Cbor => minicbor_serde::to_vec(value).map_err(|e| WireError::Cbor(e.to_string())),
        Codec::Raw | Codec::Events => Ok(Vec::new()),
    }
}

pub fn decode<T: DeserializeOwned>(codec: Codec, bytes: &[u8]) -> Result<T, WireError> {
    match codec {
        Codec::Json | Codec::Raw | Codec::Events => serde_json::from_slice(bytes).map_err(|e| WireError::Json(e.to_string())),
        Codec::Cbor => minicbor_serde::from_slice(bytes).map_err(|e| WireError::Cbor(e.to_string())),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use ticrypt_types::NodeId;

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Sample {
        id: NodeId,
        blob: Blob,
        hash: Option<Hash>,
        list: Vec<Blob>,
        count: u64,
    }

    #[test]
    fn one_type_both_codings() {
        let sample = Sample {
            id: NodeId::from_random([7; 16]),
            blob: Blob(vec![0, 255]),
            hash: Some(Hash([3; 32])),
            list: vec![Blob(vec![])],
            count: 1 << 40,
        };
        for codec in [Codec::Json, Codec::Cbor] {
            let bytes = encode(codec, &sample).unwrap();
            assert_eq!(decode::<Sample>(codec, &bytes).unwrap(), sample);
        }
        let none = Sample { hash: None, ..sample };
        assert_eq!(decode::<Sample>(Codec::Cbor, &encode(Codec::Cbor, &none).unwrap()).unwrap(), none);
        // Ids are 16 bytes in CBOR, not text.
        assert!(encode(Codec::Cbor, &none).unwrap().len() < encode(Codec::Json, &none).unwrap().len() - 20);
    }
}
