//! The closed set of permissions (rules §1): what a person may do by the system's leave, whatever their rank.
//!
//! A permission opens nothing: keys and projects are asked besides. The list is append-only, since the place of a permission in it is
//! its bit in the database.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::user::words;

words! {
    /// The headings under which permissions are shown and given.
    Category {
        SystemSettings = 0 "system settings administration",
        UserAdministration = 1 "user administration",
        BasicTeam = 2 "basic team interaction",
        TeamAdministration = 3 "team administration",
        KeyEscrow = 4 "key escrow",
        BasicVault = 5 "basic vault interaction",
        BasicGroup = 6 "basic group interaction",
        BasicInbox = 7 "basic inbox interaction",
        BasicProject = 8 "basic project interaction",
        ProjectManagement = 9 "project management",
        ProjectAdministration = 10 "project administration",
        BasicVm = 11 "basic vm interaction",
        VmAdministration = 12 "vm administration",
        Miscellaneous = 13 "miscellaneous",
    }
}

macro_rules! permissions {
    ($($(#[$doc:meta])* $variant:ident $word:literal $category:ident;)+) => {
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Permission { $($(#[$doc])* $variant),+ }

        impl Permission {
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The word people, programs and the audit log use.
            pub const fn word(self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
            }

            pub const fn category(self) -> Category {
                match self { $(Self::$variant => Category::$category),+ }
            }

            pub fn from_word(word: &str) -> Option<Self> {
                match word { $($word => Some(Self::$variant),)+ _ => None }
            }
        }
    };
}

permissions! {
    /// Finds people outside one's own teams.
    UserViewAll "user.view-all" UserAdministration;
    UserActivate "user.activate" UserAdministration;
    UserDeactivate "user.deactivate" UserAdministration;
    UserDisable "user.disable" UserAdministration;
    UserRank "user.rank" UserAdministration;
    UserReset "user.reset" UserAdministration;
    /// Applies profiles; one gives only what one has.
    UserPermissions "user.permissions" UserAdministration;
    ProfileEdit "profile.edit" UserAdministration;

    TeamView "team.view" BasicTeam;
    TeamViewAll "team.view-all" TeamAdministration;
    TeamCreate "team.create" TeamAdministration;
    TeamMembers "team.members" TeamAdministration;
    TeamQuota "team.quota" TeamAdministration;
    TeamDelete "team.delete" TeamAdministration;

    VaultCreate "vault.create" BasicVault;
    VaultShare "vault.share" BasicVault;

    GroupCreate "group.create" BasicGroup;
    GroupAdd "group.add-members" BasicGroup;

    ProjectView "project.view" BasicProject;
    /// Sees the other members of one's projects (features H21).
    ProjectMembers "project.view-members" BasicProject;
    ProjectClassify "project.classify" BasicProject;
    ProjectCreate "project.create" ProjectManagement;
    ProjectChild "project.create-child" ProjectManagement;
    ProjectManage "project.manage-members" ProjectManagement;
    ProjectCertify "project.certify" ProjectManagement;
    ProjectDeclassify "project.declassify" ProjectManagement;
    /// Sees every project with its members, and works on any.
    ProjectViewAll "project.view-all" ProjectAdministration;
    ProjectAdministrate "project.administrate" ProjectAdministration;
    LevelEdit "level.edit" ProjectAdministration;
}

/// A set of permissions.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Permissions(u64);

impl Permissions {
    pub const NONE: Self = Self(0);

    pub const fn with(self, permission: Permission) -> Self {
        Self(self.0 | 1 << permission as u32)
    }

    pub const fn contains(self, permission: Permission) -> bool {
        self.0 & 1 << permission as u32 != 0
    }

    pub const fn contains_all(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Those in one of the two and not in the other.
    pub const fn changed(self, other: Self) -> Self {
        Self(self.0 ^ other.0)
    }

    /// Every permission there is.
    pub fn all() -> Self {
        Permission::ALL.iter().copied().collect()
    }

    /// What a new account has: the basic ones.
    pub fn basic() -> Self {
        use Category::{BasicGroup, BasicInbox, BasicProject, BasicTeam, BasicVault, BasicVm};
        let basic = |category| matches!(category, BasicTeam | BasicVault | BasicGroup | BasicInbox | BasicProject | BasicVm);
        // Who sees whom in a project is given on purpose (features H21).
        let given = |permission: &Permission| basic(permission.category()) && *permission != Permission::ProjectMembers;
        Permission::ALL.iter().copied().filter(given).collect()
    }

    pub fn iter(self) -> impl Iterator<Item = Permission> {
        Permission::ALL.iter().copied().filter(move |permission| self.contains(*permission))
    }

    /// As a database column holds it.
    pub const fn bits(self) -> u64 {
        self.0
    }

    /// `None` for bits nobody gave a meaning.
    pub fn from_bits(bits: u64) -> Option<Self> {
        Self::all().contains_all(Self(bits)).then_some(Self(bits))
    }
}

impl FromIterator<Permission> for Permissions {
    fn from_iter<T: IntoIterator<Item = Permission>>(permissions: T) -> Self {
        permissions.into_iter().fold(Self::NONE, Self::with)
    }
}

impl fmt::Debug for Permissions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter().map(Permission::word)).finish()
    }
}

impl fmt::Display for Permission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

impl FromStr for Permission {
    type Err = String;
    fn from_str(word: &str) -> Result<Self, String> {
        Self::from_word(word).ok_or_else(|| format!("there is no permission `{}`", crate::name::Harmless(word)))
    }
}

// A list of words on the wire.
impl Serialize for Permissions {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.iter().map(Permission::word))
    }
}

impl<'de> Deserialize<'de> for Permissions {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let words = Vec::<String>::deserialize(deserializer)?;
        words.iter().map(|word| word.parse::<Permission>().map_err(serde::de::Error::custom)).collect()
    }
}

impl utoipa::PartialSchema for Permissions {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
        <Vec<String> as utoipa::PartialSchema>::schema()
    }
}

impl utoipa::ToSchema for Permissions {}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn words_and_bits_lead_back() {
        assert_eq!(Category::ALL.len(), 14);
        assert!(Permission::ALL.len() <= 64);
        for permission in Permission::ALL {
            assert_eq!(Permission::from_word(permission.word()), Some(*permission));
            let alone = Permissions::NONE.with(*permission);
            assert_eq!(Permissions::from_bits(alone.bits()), Some(alone));
            assert_eq!(alone.iter().collect::<Vec<_>>(), [*permission]);
        }
        assert_eq!(Permissions::from_bits(1 << 63), None);
        assert!(Permissions::basic().contains(Permission::VaultCreate));
        assert!(!Permissions::basic().contains(Permission::UserActivate));
    }
}
