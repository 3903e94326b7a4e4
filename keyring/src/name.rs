//! Names padded before they are sealed, so that the server learns one of four lengths and no more (docs/formats.md §5).

use ticrypt_types::NodeName;
use ticrypt_types::name::NameError;
use zeroize::Zeroizing;

/// Lengths of padded names, in bytes.
pub const PADDED_LENS: [usize; 4] = [32, 64, 128, 256];

/// Why some bytes are not a padded name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PaddingError {
    #[error("a padded name has 32, 64, 128 or 256 bytes, this one has {0}")]
    Length(usize),
    #[error("the name is padded further than it needs, or longer than its padding")]
    NotSmallest,
    #[error("the padding behind the name is not all zeros")]
    NotZero,
    #[error("the name is not utf-8")]
    NotText,
    #[error(transparent)]
    Name(#[from] NameError),
}

/// `length (1) ‖ name ‖ zeros`.
pub fn pad(name: &NodeName) -> Zeroizing<Vec<u8>> {
    let text = name.as_str().as_bytes();
    let mut padded = Zeroizing::new(Vec::with_capacity(256));
    // A name has at most 255 bytes, so it fits its length byte and the largest padding.
    padded.push(u8::try_from(text.len()).unwrap_or(u8::MAX));
    padded.extend_from_slice(text);
    let total = smallest(padded.len());
    padded.resize(total, 0);
    padded
}

/// Takes only what [`pad`] makes of a name that [`NodeName::parse`] takes.
pub fn unpad(padded: &[u8]) -> Result<NodeName, PaddingError> {
    if !PADDED_LENS.contains(&padded.len()) {
        return Err(PaddingError::Length(padded.len()));
    }
    let (length, rest) = padded.split_first().ok_or(PaddingError::Length(0))?;
    let (text, zeros) = rest.split_at_checked(usize::from(*length)).ok_or(PaddingError::NotSmallest)?;
    if smallest(1 + text.len()) != padded.len() {
        return Err(PaddingError::NotSmallest);
    }
    if zeros.iter().any(|byte| *byte != 0) {
        return Err(PaddingError::NotZero);
    }
    let text = std::str::from_utf8(text).map_err(|_| PaddingError::NotText)?;
    Ok(NodeName::parse(text)?)
}

fn smallest(needed: usize) -> usize {
    PADDED_LENS.into_iter().find(|len| *len >= needed).unwrap_or(256)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn round_trip(text in "\\PC{1,80}") {
            if let Ok(name) = NodeName::normalise(&text) {
                let padded = pad(&name);
                prop_assert!(PADDED_LENS.contains(&padded.len()));
                prop_assert_eq!(unpad(&padded).unwrap(), name);
            }
        }

        #[test]
        fn whatever_is_accepted_is_what_would_be_written(mut bytes in prop::collection::vec(any::<u8>(), 32)) {
            bytes[0] %= 32;
            if let Ok(name) = unpad(&bytes) {
                prop_assert_eq!(&pad(&name)[..], &bytes[..]);
            }
        }
    }

    #[test]
    fn each_length_takes_the_smallest_padding() {
        for (len, padded) in [(1, 32), (31, 32), (32, 64), (63, 64), (64, 128), (127, 128), (128, 256), (255, 256)] {
            assert_eq!(pad(&NodeName::parse(&"x".repeat(len)).unwrap()).len(), padded, "{len}");
        }
    }

    #[test]
    fn each_fault_is_told_apart() {
        let with = |length: u8, text: &[u8], total: usize| {
            let mut bytes = vec![length];
            bytes.extend_from_slice(text);
            bytes.resize(total, 0);
            bytes
        };
        assert_eq!(unpad(&[]), Err(PaddingError::Length(0)));
        assert_eq!(unpad(&with(1, b"a", 33)), Err(PaddingError::Length(33)));
        assert_eq!(unpad(&with(1, b"a", 64)), Err(PaddingError::NotSmallest));
        assert_eq!(unpad(&with(32, b"a", 32)), Err(PaddingError::NotSmallest));
        assert_eq!(unpad(&with(1, b"ab", 32)), Err(PaddingError::NotZero));
        assert_eq!(unpad(&with(1, &[0xff], 32)), Err(PaddingError::NotText));
        assert_eq!(unpad(&with(0, b"", 32)), Err(PaddingError::Name(NameError::Empty)));
        assert_eq!(unpad(&with(2, b"..", 32)), Err(PaddingError::Name(NameError::Dots)));
        assert_eq!(unpad(&with(3, b"a/b", 32)), Err(PaddingError::Name(NameError::Separator)));
        assert_eq!(unpad(&with(3, "e\u{301}".as_bytes(), 32)), Err(PaddingError::Name(NameError::NotNormal)));
    }
}
