//! Words of projects (rules §2): what a member is, and what a membership withholds.

use minicbor::{Decode, Encode};
use serde::{Deserialize, Serialize};

use crate::user::words;

words! {
    /// What a member of a project may do with the project itself.
    MemberRole {
        User = 0 "user",
        /// Adds and removes members, and may declassify.
        Manager = 1 "manager",
    }
}

/// What a membership withholds from a member, as bits. Those along a path of projects add up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, Encode, Decode)]
#[serde(try_from = "Vec<String>", into = "Vec<&'static str>")]
#[cbor(transparent)]
pub struct Restrictions(#[n(0)] u8);

impl Restrictions {
    pub const NONE: Self = Self(0);
    /// Implies all the others.
    pub const NO_VIEW: Self = Self(1);
    pub const NO_DOWNLOAD: Self = Self(2);
    pub const NO_EDIT: Self = Self(4);
    /// Neither into a virtual machine nor out of one.
    pub const NO_TRANSFER: Self = Self(8);
    const ALL: u8 = 15;

    const WORDS: [(Self, &'static str); 4] =
        [(Self::NO_VIEW, "no-view"), (Self::NO_DOWNLOAD, "no-download"), (Self::NO_EDIT, "no-edit"), (Self::NO_TRANSFER, "no-transfer")];

    /// `None` for unknown bits.
    pub const fn from_bits(bits: u8) -> Option<Self> {
        if bits <= Self::ALL { Some(Self(bits)) } else { None }
    }

    pub const fn bits(self) -> u8 {
        self.0
    }

    /// Whether `other` is withheld; without *view* everything is.
    pub const fn contains(self, other: Self) -> bool {
        self.0 & Self::NO_VIEW.0 != 0 || self.0 & other.0 == other.0
    }

    pub const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// The words people read and write, in fixed order.
    pub fn words(self) -> Vec<&'static str> {
        Self::WORDS.into_iter().filter(|(bit, _)| self.0 & bit.0 != 0).map(|(_, word)| word).collect()
    }

    pub fn from_words<'a>(words: impl IntoIterator<Item = &'a str>) -> Option<Self> {
        words.into_iter().try_fold(Self::NONE, |all, word| {
            let (bit, _) = Self::WORDS.into_iter().find(|(_, known)| *known == word)?;
            Some(all.and(bit))
        })
    }
}

impl From<Restrictions> for Vec<&'static str> {
    fn from(restrictions: Restrictions) -> Self {
        restrictions.words()
    }
}

impl TryFrom<Vec<String>> for Restrictions {
    type Error = &'static str;
    fn try_from(words: Vec<String>) -> Result<Self, Self::Error> {
        Self::from_words(words.iter().map(String::as_str))
            .ok_or("unknown restriction: choose among no-view, no-download, no-edit, no-transfer")
    }
}

impl utoipa::PartialSchema for Restrictions {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
        <Vec<String> as utoipa::PartialSchema>::schema()
    }
}

impl utoipa::ToSchema for Restrictions {}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn words_lead_back_and_no_view_implies_the_others() {
        for bits in 0..=15 {
            let restrictions = Restrictions::from_bits(bits).unwrap();
            assert_eq!(Restrictions::from_words(restrictions.words()), Some(restrictions));
            assert_eq!(restrictions.contains(Restrictions::NO_EDIT), bits & 5 != 0, "{bits}");
        }
        assert_eq!(Restrictions::from_bits(16), None);
        assert_eq!(Restrictions::from_words(["no-edit", "no-joy"]), None);
    }
}
