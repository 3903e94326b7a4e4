//! Teams: people who share quotas, see one another, and are looked after together.

use serde::{Deserialize, Serialize};
use ticrypt_types::{Quotas, TeamId, Timestamp, Title, UserId, UserName, UserState};
use utoipa::ToSchema;

/// What its managers say of a team.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TeamAbout {
    pub name: Title,
    #[serde(default)]
    pub description: String,
}

#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TeamCreateRequest {
    /// Drawn by the client.
    pub team: TeamId,
    pub about: TeamAbout,
}

#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TeamChangeRequest {
    /// Of the team as it was read: if somebody changed it since, this is refused.
    pub revision: u64,
    pub about: TeamAbout,
}

#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TeamQuotaRequest {
    /// Of the team as it was read: if somebody changed it since, this is refused.
    pub revision: u64,
    /// All of them, as they are to be.
    pub quotas: Quotas,
}

/// A sub-admin, and until when a team is in their care.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AssignmentView {
    pub user: UserId,
    pub name: UserName,
    /// Absent: without end. One that has passed counts for nothing, and is shown until it is taken away.
    pub until_ms: Option<Timestamp>,
}

#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct TeamView {
    pub team: TeamId,
    pub about: TeamAbout,
    /// What its members may use together.
    pub quotas: Quotas,
    pub members: u64,
    pub assigned: Vec<AssignmentView>,
    pub revision: u64,
    pub created_ms: Timestamp,
    /// Whether one manages it; absent for who is not in it.
    pub manages: Option<bool>,
}

#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct TeamListReply {
    pub teams: Vec<TeamView>,
    pub next: Option<String>,
}

#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct TeamMemberView {
    pub user: UserId,
    pub name: UserName,
    pub state: UserState,
    pub manager: bool,
    pub since_ms: Timestamp,
}

#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct TeamMembersReply {
    pub members: Vec<TeamMemberView>,
    /// What the trees that are charged to the team hold now: ciphertext, earlier versions and the trash included.
    pub vault_used_bytes: u64,
    pub next: Option<String>,
}

#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TeamAddRequest {
    pub user: UserId,
}

#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct TeamRemoveReply {
    /// It was the last team of somebody active: they are inactive now, with the permissions of a new account.
    pub ended: bool,
}

#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TeamManagerRequest {
    /// Whether they are to manage the team.
    pub manager: bool,
}

#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TeamAssignRequest {
    /// A sub-admin.
    pub user: UserId,
    /// Absent: without end. Again with another date changes that.
    #[serde(default)]
    pub until_ms: Option<Timestamp>,
}
