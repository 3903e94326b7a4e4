//! Ids: one newtype for each noun, all UUIDv4, so that none tells when it was made (RFC 9562; interfaces.md).
//!
//! Ids of encrypted objects are drawn by the client and bound into what it signs and seals; the server refuses one that is taken.

use std::fmt;
use std::str::FromStr;

use minicbor::decode::{Decode, Decoder};
use minicbor::encode::{Encode, Encoder, Write};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use uuid::Uuid;

/// Why some bytes or some text are not an id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum IdError {
    #[error("not a uuid: expected 32 hexadecimal digits in five groups")]
    Malformed,
    #[error("not a random uuid: expected version 4 of rfc 9562")]
    NotRandom,
}

/// Sets the version and variant bits of 16 random bytes.
fn random_uuid(random: [u8; 16]) -> Uuid {
    uuid::Builder::from_random_bytes(random).into_uuid()
}

fn check(id: Uuid) -> Result<Uuid, IdError> {
    if id.get_version_num() == 4 && id.get_variant() == uuid::Variant::RFC4122 { Ok(id) } else { Err(IdError::NotRandom) }
}

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident),+ $(,)?) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Uuid);

        impl $name {
            /// Makes an id of 16 bytes from a random source.
            pub fn from_random(random: [u8; 16]) -> Self {
                Self(random_uuid(random))
            }

            /// The 16 bytes, as they stand in records and in the database.
            pub fn as_bytes(&self) -> &[u8; 16] {
                self.0.as_bytes()
            }

            pub fn to_bytes(self) -> [u8; 16] {
                self.0.into_bytes()
            }
        }

        impl TryFrom<[u8; 16]> for $name {
            type Error = IdError;
            fn try_from(bytes: [u8; 16]) -> Result<Self, IdError> {
                check(Uuid::from_bytes(bytes)).map(Self)
            }
        }

        impl TryFrom<&[u8]> for $name {
            type Error = IdError;
            fn try_from(bytes: &[u8]) -> Result<Self, IdError> {
                let bytes: [u8; 16] = bytes.try_into().map_err(|_| IdError::Malformed)?;
                Self::try_from(bytes)
            }
        }

        impl TryFrom<Uuid> for $name {
            type Error = IdError;
            fn try_from(id: Uuid) -> Result<Self, IdError> {
                check(id).map(Self)
            }
        }

        impl From<$name> for Uuid {
            fn from(id: $name) -> Uuid {
                id.0
            }
        }

        impl FromStr for $name {
            type Err = IdError;
            fn from_str(text: &str) -> Result<Self, IdError> {
                // Only the hyphenated form: one spelling per id.
                if text.len() != 36 {
                    return Err(IdError::Malformed);
                }
                check(Uuid::try_parse(text).map_err(|_| IdError::Malformed)?).map(Self)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.as_hyphenated().fmt(f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({})", stringify!($name), self.0.as_hyphenated())
            }
        }

        // Text in JSON, 16 bytes in CBOR.
        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                self.0.serialize(serializer)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let id = Uuid::deserialize(deserializer)?;
                check(id).map(Self).map_err(serde::de::Error::custom)
            }
        }

        impl<C> Encode<C> for $name {
            fn encode<W: Write>(&self, e: &mut Encoder<W>, _: &mut C) -> Result<(), minicbor::encode::Error<W::Error>> {
                e.bytes(self.as_bytes())?.ok()
            }
        }

        impl<'b, C> Decode<'b, C> for $name {
            fn decode(d: &mut Decoder<'b>, _: &mut C) -> Result<Self, minicbor::decode::Error> {
                Self::try_from(d.bytes()?).map_err(|e| minicbor::decode::Error::message(e.to_string()))
            }
        }

        // In the API's description every id is a string of format uuid.
        impl utoipa::PartialSchema for $name {
            fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
                utoipa::openapi::ObjectBuilder::new()
                    .schema_type(utoipa::openapi::schema::Type::String)
                    .format(Some(utoipa::openapi::SchemaFormat::KnownFormat(utoipa::openapi::KnownFormat::Uuid)))
                    .into()
            }
        }

        impl utoipa::ToSchema for $name {
            fn name() -> std::borrow::Cow<'static, str> {
                std::borrow::Cow::Borrowed(stringify!($name))
            }
        }
    )+};
}

ids! {
    /// One installation of ticrypt; bound into everything that is signed or sealed.
    DeploymentId,
    /// A person's account.
    UserId,
    /// A login on one device.
    SessionId,
    /// A directory or a file in a vault.
    NodeId,
    /// One upload attempt of a file's content.
    VersionId,
    /// A node's keys, sealed to somebody.
    GrantId,
    /// A project: a tag, and the people who may reach what carries it.
    ProjectId,
    /// A set of requirements a project may ask for.
    LevelId,
    /// Something a person is certified for.
    RequirementId,
    /// A key pair with a directory, and the people who hold it.
    GroupId,
    /// People who share a quota.
    TeamId,
    /// A set of permissions with a name.
    ProfileId,
    /// A list of requests that is carried out item by item.
    BulkId,
    /// One request; stands in the answer, in the log line and in the audit row.
    RequestId,
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn random_bytes_become_version_4_and_text_round_trips() {
        let id = NodeId::from_random([0xff; 16]);
        assert_eq!(id.to_string(), "ffffffff-ffff-4fff-bfff-ffffffffffff");
        assert_eq!(id.to_string().parse::<NodeId>().unwrap(), id);
        assert_eq!(NodeId::try_from(id.to_bytes()).unwrap(), id);
    }

    #[test]
    fn other_versions_and_spellings_are_refused() {
        assert_eq!(NodeId::try_from([0u8; 16]), Err(IdError::NotRandom));
        // Version 7 holds a time, and no id may.
        assert_eq!("01890a5d-ac96-774b-bcce-b302099a8057".parse::<NodeId>(), Err(IdError::NotRandom));
        assert_eq!("ffffffffffff4fffbfffffffffffffff".parse::<NodeId>(), Err(IdError::Malformed));
        assert_eq!(NodeId::try_from(&[1u8; 15][..]), Err(IdError::Malformed));
    }
}
