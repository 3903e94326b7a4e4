//! Requests to join a project.

use serde::{Deserialize, Serialize};
use ticrypt_types::{JoinState, ProjectId, Timestamp, UserId, UserName};
use utoipa::ToSchema;

use crate::wire::Hash;

#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct JoinAskRequest {
    /// For those who may add people; the server reads it. At most 500 bytes.
    #[serde(default)]
    pub message: String,
}

#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct JoinRefuseRequest {
    /// For who asked; the server reads it.
    pub reason: String,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
pub struct JoinListQuery {
    /// One's own requests, those closed in the last 30 days included, instead of the open ones that one may answer.
    #[serde(default)]
    pub own: bool,
    /// For this project alone.
    #[serde(default)]
    pub project: Option<ProjectId>,
    /// At most 1 000; 100 if absent.
    #[serde(default)]
    pub limit: Option<u32>,
    #[serde(default)]
    pub page: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct JoinView {
    /// As it was named: of one's own, whether there is such a project is not told.
    pub project: ProjectId,
    pub user: UserId,
    pub name: UserName,
    /// Their identity bundle: whoever may answer them finds them by it, in whichever team they are.
    pub bundle: Hash,
    pub state: JoinState,
    pub message: String,
    pub asked_ms: Timestamp,
    /// Of one that was refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Absent while it is open.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub closed_ms: Option<Timestamp>,
}

#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct JoinListReply {
    pub requests: Vec<JoinView>,
    pub next: Option<String>,
}
