//! Between columns and words: ids are 16 bytes, hashes 32, times and counters signed 64-bit integers, on every database.

use sea_orm::Value;
use ticrypt_types::Timestamp;

use crate::error::StoreError;

/// A SHA-256 value.
pub type Digest = [u8; 32];

pub(crate) fn id<'b, T: TryFrom<&'b [u8]>>(column: &'static str, bytes: &'b [u8]) -> Result<T, StoreError> {
    T::try_from(bytes).map_err(|_| StoreError::Corrupt(column))
}

pub(crate) fn id_or_none<'b, T: TryFrom<&'b [u8]>>(column: &'static str, bytes: Option<&'b Vec<u8>>) -> Result<Option<T>, StoreError> {
    bytes.map(|bytes| id(column, bytes)).transpose()
}

pub(crate) fn digest(column: &'static str, bytes: &[u8]) -> Result<Digest, StoreError> {
    bytes.try_into().map_err(|_| StoreError::Corrupt(column))
}

pub(crate) fn digest_or_none(column: &'static str, bytes: Option<&Vec<u8>>) -> Result<Option<Digest>, StoreError> {
    bytes.map(|bytes| digest(column, bytes)).transpose()
}

pub(crate) fn count(column: &'static str, number: i64) -> Result<u64, StoreError> {
    u64::try_from(number).map_err(|_| StoreError::Corrupt(column))
}

/// A number on its way into a column.
pub(crate) fn number(count: u64) -> Result<i64, StoreError> {
    i64::try_from(count).map_err(|_| StoreError::Invalid("a number is too large; send less"))
}

pub(crate) fn time(millis: i64) -> Timestamp {
    Timestamp::from_i64(millis)
}

pub(crate) fn bytes(bytes: impl AsRef<[u8]>) -> Value {
    Value::from(bytes.as_ref().to_vec())
}

/// `$first, $first+1 …`: placeholders that SQLite and PostgreSQL both read.
pub(crate) fn placeholders(first: usize, count: usize) -> String {
    let mut text = String::with_capacity(count * 6);
    for n in first..first + count {
        if n > first {
            text.push(',');
        }
        text.push('$');
        text.push_str(&n.to_string());
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placeholders_count_on() {
        assert_eq!(placeholders(2, 3), "$2,$3,$4");
        assert_eq!(placeholders(1, 0), "");
    }
}
