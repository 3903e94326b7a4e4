//! Page tokens: where a list goes on, bound to the state it was begun on. Opaque to clients, and nothing secret: what they name is
//! checked like any other input.

use data_encoding::BASE64URL_NOPAD;
use ticrypt_types::NodeId;

use super::error::FileError;

const BAD: FileError = FileError::Bound("the page token is not one of this list; begin the list again");

/// After which entry a directory's listing goes on, and the head it is a listing of.
pub(crate) fn after_entry(head_counter: u64, node: NodeId) -> String {
    BASE64URL_NOPAD.encode(&[&head_counter.to_be_bytes()[..], node.as_bytes()].concat())
}

pub(crate) fn parse_after_entry(token: &str) -> Result<(u64, NodeId), FileError> {
    let bytes = decode(token)?;
    let (counter, node) = bytes.split_first_chunk::<8>().ok_or(BAD)?;
    Ok((u64::from_be_bytes(*counter), NodeId::try_from(node).map_err(|_| BAD)?))
}

/// After which number or id of 8 or 16 bytes another list goes on.
pub(crate) fn after(key: &[u8]) -> String {
    BASE64URL_NOPAD.encode(key)
}

pub(crate) fn parse_after<const N: usize>(token: &str) -> Result<[u8; N], FileError> {
    decode(token)?.try_into().map_err(|_| BAD)
}

/// After which id a list goes on, if it does not begin.
pub(crate) fn after_id<T: TryFrom<[u8; 16]>>(token: Option<&str>) -> Result<Option<T>, FileError> {
    let after = token.map(parse_after::<16>).transpose()?;
    after.map(|id| T::try_from(id).map_err(|_| BAD)).transpose()
}

fn decode(token: &str) -> Result<Vec<u8>, FileError> {
    if token.len() > 64 {
        return Err(BAD);
    }
    BASE64URL_NOPAD.decode(token.as_bytes()).map_err(|_| BAD)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_lead_back_and_nothing_else_does() {
        let node = NodeId::from_random([3; 16]);
        assert_eq!(parse_after_entry(&after_entry(9, node)).unwrap(), (9, node));
        assert_eq!(parse_after::<8>(&after(&7u64.to_be_bytes())).unwrap(), 7u64.to_be_bytes());
        for bad in ["", "AA", "!!", &"A".repeat(65), &after_entry(9, node)[1..]] {
            assert!(parse_after_entry(bad).is_err(), "{bad}");
        }
        assert!(parse_after::<16>(&after(&[1; 8])).is_err());
    }
}
