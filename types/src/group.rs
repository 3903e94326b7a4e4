//! Words of groups (rules §4): the seven permissions of a member, and what may change about who is in a group.

use minicbor::{Decode, Encode};
use serde::{Deserialize, Serialize};

use crate::id::{GroupId, UserId};

impl GroupId {
    /// In trees and grants a group stands where a person would, under an id of the same form.
    pub fn as_owner(self) -> UserId {
        // Both are 16 random bytes with the same bits set, which this keeps.
        UserId::from_random(self.to_bytes())
    }

    /// The group under such an id; whether there is one, the store knows.
    pub fn of_owner(owner: UserId) -> Self {
        Self::from_random(owner.to_bytes())
    }
}

/// What a member may do in a group, as bits (features H11).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, Encode, Decode, utoipa::ToSchema)]
#[serde(transparent)]
#[cbor(transparent)]
pub struct GroupPermissions(#[n(0)] u8);

impl GroupPermissions {
    /// Reads what is in the group and nothing more.
    pub const NONE: Self = Self(0);
    pub const ADD_MEMBERS: Self = Self(1);
    pub const REMOVE_MEMBERS: Self = Self(2);
    /// One's own and others'.
    pub const CHANGE_PERMISSIONS: Self = Self(4);
    /// Uploads, new versions included.
    pub const ADD_ENTRIES: Self = Self(8);
    pub const REMOVE_ENTRIES: Self = Self(16);
    pub const CREATE_DIRECTORIES: Self = Self(32);
    pub const MODIFY_TAG: Self = Self(64);
    pub const ALL: Self = Self(127);

    /// What a new member is offered (features H16).
    pub const USER: Self = Self(8 | 32);
    pub const MANAGER: Self = Self(1 | 2 | 4 | 8 | 16 | 32);

    const WORDS: [(Self, &'static str); 7] = [
        (Self::ADD_MEMBERS, "add-members"),
        (Self::REMOVE_MEMBERS, "remove-members"),
        (Self::CHANGE_PERMISSIONS, "change-permissions"),
        (Self::ADD_ENTRIES, "add-entries"),
        (Self::REMOVE_ENTRIES, "remove-entries"),
        (Self::CREATE_DIRECTORIES, "create-directories"),
        (Self::MODIFY_TAG, "modify-tag"),
    ];

    /// `None` for unknown bits.
    pub const fn from_bits(bits: u8) -> Option<Self> {
        if bits <= Self::ALL.0 { Some(Self(bits)) } else { None }
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

    /// Those of `self` that are not in `other`.
    pub const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// The words people read and write, in fixed order.
    pub fn words(self) -> Vec<&'static str> {
        Self::WORDS.into_iter().filter(|(bit, _)| self.contains(*bit)).map(|(_, word)| word).collect()
    }

    pub fn from_words<'a>(words: impl IntoIterator<Item = &'a str>) -> Option<Self> {
        words.into_iter().try_fold(Self::NONE, |all, word| {
            let (bit, _) = Self::WORDS.into_iter().find(|(_, known)| *known == word)?;
            Some(all.and(bit))
        })
    }
}

/// One change of who is in a group, and as what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GroupChange {
    pub user: UserId,
    pub step: GroupStep,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GroupStep {
    /// `bundle`: the hash of the key that whoever added them believed.
    Add {
        bundle: [u8; 32],
        permissions: GroupPermissions,
    },
    Permit(GroupPermissions),
    Remove,
    /// Makes a member the owner.
    Own,
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_group_stands_for_an_owner_and_back() {
        let group = GroupId::from_random([0xa7; 16]);
        assert_eq!(group.as_owner().as_bytes(), group.as_bytes());
        assert_eq!(GroupId::of_owner(group.as_owner()), group);
    }

    #[test]
    fn words_lead_back() {
        for bits in 0..=127 {
            let permissions = GroupPermissions::from_bits(bits).unwrap();
            assert_eq!(GroupPermissions::from_words(permissions.words()), Some(permissions));
        }
        assert_eq!(GroupPermissions::from_bits(128), None);
        assert_eq!(
            GroupPermissions::MANAGER.without(GroupPermissions::USER).words(),
            ["add-members", "remove-members", "change-permissions", "remove-entries"]
        );
    }
}
