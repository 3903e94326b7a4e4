//! Words of the vault: what a node is, what a grant lets one do.

use minicbor::{Decode, Encode};
use serde::{Deserialize, Serialize};

/// What a node is to the server. Symbolic links are files to it; the kind of a file is ciphertext.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, Encode, Decode, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
#[cbor(index_only)]
pub enum NodeKind {
    #[n(0)]
    Directory,
    #[n(1)]
    File,
}

impl NodeKind {
    pub const fn code(self) -> u8 {
        match self {
            Self::Directory => 0,
            Self::File => 1,
        }
    }

    pub const fn from_code(code: u8) -> Option<Self> {
        match code {
            0 => Some(Self::Directory),
            1 => Some(Self::File),
            _ => None,
        }
    }
}

/// What a grant allows, as bits (docs/formats.md §6).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, Encode, Decode, utoipa::ToSchema)]
#[serde(transparent)]
#[cbor(transparent)]
pub struct Verbs(#[n(0)] u8);

impl Verbs {
    /// Sees names, types, times and sizes; kept by keys: without *view* there is no tree key.
    pub const NONE: Self = Self(0);
    pub const VIEW: Self = Self(1);
    pub const DOWNLOAD: Self = Self(2);
    pub const EDIT: Self = Self(4);
    pub const SHARE: Self = Self(8);
    pub const ALL: Self = Self(15);

    /// `None` for unknown bits, or for a bit that needs *view* without it.
    pub const fn from_bits(bits: u8) -> Option<Self> {
        if bits <= 15 && (bits == 0 || bits & 1 == 1) { Some(Self(bits)) } else { None }
    }

    pub const fn bits(self) -> u8 {
        self.0
    }

    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    pub const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// The verbs both allow.
    pub const fn intersect(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// The words people read, in fixed order.
    pub fn words(self) -> Vec<&'static str> {
        [(Self::VIEW, "view"), (Self::DOWNLOAD, "download"), (Self::EDIT, "edit"), (Self::SHARE, "share")]
            .into_iter()
            .filter(|(verb, _)| self.contains(*verb))
            .map(|(_, word)| word)
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn download_edit_and_share_need_view() {
        let good: Vec<u8> = (0..=255).filter(|b| Verbs::from_bits(*b).is_some()).collect();
        assert_eq!(good, [0, 1, 3, 5, 7, 9, 11, 13, 15]);
        assert_eq!(Verbs::VIEW.and(Verbs::EDIT).words(), ["view", "edit"]);
    }
}
