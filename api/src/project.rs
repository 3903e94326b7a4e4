//! Projects, their members, and the projects one works in.

use serde::{Deserialize, Serialize};
use ticrypt_types::{Colour, LevelId, MemberRole, ProjectId, Restrictions, Tag, Timestamp, Title, UserId, UserName};
use utoipa::ToSchema;

use crate::wire::Blob;

/// What its managers say of a project.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ProjectAbout {
    pub name: Title,
    pub tag: Tag,
    /// `#rrggbb`.
    pub colour: Colour,
    #[serde(default)]
    pub description: String,
    /// Without one, membership is all it takes; what the projects above ask for is asked all the same.
    #[serde(default)]
    pub level: Option<LevelId>,
}

#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ProjectCreateRequest {
    /// Drawn by the client.
    pub project: ProjectId,
    /// Absent: right below Unlocked.
    #[serde(default)]
    pub parent: Option<ProjectId>,
    pub about: ProjectAbout,
}

#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ProjectChangeRequest {
    /// Of the project as it was read: if somebody changed it since, this is refused.
    pub revision: u64,
    pub about: ProjectAbout,
    /// The principal investigator, who is a member.
    #[serde(default)]
    pub pi: Option<UserId>,
}

/// How one stands in a project oneself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct OwnStanding {
    pub role: MemberRole,
    pub restrictions: Restrictions,
    pub expires_ms: Option<Timestamp>,
    /// Whether one runs the project.
    pub manages: bool,
    /// The code of what is missing for working in it in this session; absent if nothing is.
    pub missing: Option<String>,
    /// The same in words, with what to do.
    pub advice: Option<String>,
    /// Whether it is in one's working set.
    pub working: bool,
}

#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct ProjectView {
    pub project: ProjectId,
    pub parent: Option<ProjectId>,
    pub about: ProjectAbout,
    pub pi: Option<UserId>,
    pub revision: u64,
    pub created_ms: Timestamp,
    /// Absent for who is no member.
    pub own: Option<OwnStanding>,
}

#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct ProjectListReply {
    pub projects: Vec<ProjectView>,
    pub next: Option<String>,
}

#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct MemberView {
    pub user: UserId,
    pub name: UserName,
    pub role: MemberRole,
    pub restrictions: Restrictions,
    /// From when on, without a gap.
    pub since_ms: Timestamp,
    pub expires_ms: Option<Timestamp>,
    pub is_pi: bool,
}

#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct MemberListReply {
    pub members: Vec<MemberView>,
    pub next: Option<String>,
}

#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct MemberSetRequest {
    pub user: UserId,
    pub role: MemberRole,
    #[serde(default)]
    pub restrictions: Restrictions,
    /// Absent: never.
    #[serde(default)]
    pub expires_ms: Option<Timestamp>,
    /// Change the terms of somebody who is a member already, instead of refusing.
    #[serde(default)]
    pub update: bool,
}

/// The projects to work in, in all sessions: at most one of each tree. None: on what carries no tag.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct WorkingSetRequest {
    /// Docs/formats.md §4, over a challenge given for this person's name.
    pub working_set: Blob,
}

#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct WorkingSetReply {
    pub projects: Vec<ProjectId>,
}
