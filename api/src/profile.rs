//! Profiles: sets of permissions with names, applied to people like a stamp.

use serde::{Deserialize, Serialize};
use ticrypt_types::{Permissions, ProfileId, Title};
use utoipa::ToSchema;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ProfileAbout {
    pub name: Title,
    #[serde(default)]
    pub description: String,
    pub permissions: Permissions,
}

#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct ProfileView {
    pub profile: ProfileId,
    pub about: ProfileAbout,
    /// People it was applied to last.
    pub people: u64,
    pub revision: u64,
}

#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct ProfileListReply {
    pub profiles: Vec<ProfileView>,
}

#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ProfileSetRequest {
    /// Of the profile as it was read; 0 makes a new one.
    pub revision: u64,
    pub about: ProfileAbout,
}

#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ProfileApplyRequest {
    pub profile: ProfileId,
    /// Of the profile as it was read: if somebody changed it since, this is refused.
    pub revision: u64,
}

/// The profile that was applied to somebody last.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ProfileLabel {
    pub profile: ProfileId,
    pub name: Title,
    /// They have just its permissions: neither these nor those were changed since.
    pub exact: bool,
}
