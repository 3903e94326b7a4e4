//! People: registration, looking somebody up, what administrators see and sign.

use serde::{Deserialize, Serialize};
use ticrypt_types::{Permissions, Rank, Timestamp, UserId, UserName, UserState};
use utoipa::ToSchema;

use crate::profile::ProfileLabel;
use crate::wire::{Blob, Hash};

#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RegisterRequest {
    /// Docs/formats.md §2, generation 0. User id and name are in it.
    pub bundle: Blob,
    /// From the deployment file, where registration asks for it.
    #[serde(default)]
    pub token: Option<String>,
    /// The one-time code printed at first start makes the first super-admin; needs `statement`.
    #[serde(default)]
    pub code: Option<String>,
    /// A bootstrap statement (docs/formats.md §3), signed by the new identity itself.
    #[serde(default)]
    pub statement: Option<Blob>,
}

#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct RegisterReply {
    pub user: UserId,
    pub state: UserState,
    /// Index in the key log of the leaf that holds the bundle.
    pub bundle_index: u64,
}

/// A leaf of the key log, handed to those entitled to its body (security C18).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct KeyLeaf {
    pub index: u64,
    pub leaf: Blob,
}

/// What one needs in order to share with a person: their bundle, and the proof that it is logged and activated.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct UserCard {
    pub user: UserId,
    pub name: UserName,
    /// The latest bundle, and every earlier one back to generation 0, newest first, so that rotations can be followed.
    pub bundles: Vec<Blob>,
    /// The leaves of these bundles, in the same order.
    pub bundle_leaves: Vec<KeyLeaf>,
    /// The leaf of the statement that activated the account.
    pub activation: Option<KeyLeaf>,
    /// The bundle of whoever issued it.
    pub activation_issuer: Option<Blob>,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
pub struct UserLookupQuery {
    /// Record hash of a bundle of theirs, of any generation. Whoever has seen one finds its person by name, in whichever team they are.
    #[serde(default)]
    pub bundle: Option<Hash>,
}

/// A row of the list of people; also what one sees of oneself. What is said for those who look after accounts is left out for others: reason, cause, dates,
/// permissions, profile.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct UserView {
    pub user: UserId,
    pub name: UserName,
    pub rank: Rank,
    pub state: UserState,
    /// Written by the administrator who deactivated.
    pub reason: Option<String>,
    /// Computed by the backend.
    pub cause: Option<String>,
    pub disabled_until_ms: Option<Timestamp>,
    pub created_ms: Timestamp,
    pub last_login_ms: Option<Timestamp>,
    /// Record hash of the latest bundle.
    pub fingerprint: Hash,
    pub generation: u32,
    /// What the system lets them do.
    pub permissions: Permissions,
    /// The profile that was applied to them last.
    #[serde(default)]
    pub profile: Option<ProfileLabel>,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
pub struct UserListQuery {
    /// At most 1 000; 100 if absent.
    #[serde(default)]
    pub limit: Option<u32>,
    #[serde(default)]
    pub page: Option<String>,
    #[serde(default)]
    pub state: Option<UserState>,
}

#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct UserListReply {
    pub users: Vec<UserView>,
    pub next: Option<String>,
}

/// Activate, deactivate, disable until, change of rank: the signed statement says which.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct UserStateRequest {
    pub statement: Blob,
    /// For a reset: the person's new bundle, which the statement names.
    #[serde(default)]
    pub bundle: Option<Blob>,
}

#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PermissionsRequest {
    /// All of them, as they are to be.
    pub permissions: Permissions,
}

#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BundleRotateRequest {
    pub bundle: Blob,
}

#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct BundleReply {
    pub bundle: Blob,
    pub leaf: KeyLeaf,
}

/// A pinned key no longer matches what the server shows; goes to the audit log.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PinReportRequest {
    pub user: UserId,
    pub pinned: Hash,
    pub shown: Hash,
}
