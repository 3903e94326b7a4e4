//! Projects, their members, and the projects one works in.

use serde::{Deserialize, Serialize};
use ticrypt_types::{Colour, LevelId, MemberRole, ProjectId, Restrictions, Tag, Timestamp, Title, UserId, UserName};
use utoipa::ToSchema;

use crate::user::KeyLeaf;
use crate::wire::{Blob, Hash};

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
    /// The first of its roster: the caller alone, a manager, and the principal investigator.
    pub head: Blob,
    /// The caller's entry under it.
    pub entry: Blob,
}

#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ProjectChangeRequest {
    /// Of the project as it was read: if somebody changed it since, this is refused.
    pub revision: u64,
    pub about: ProjectAbout,
}

#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize, ToSchema, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
pub struct ProjectHeadsQuery {
    /// Heads after this counter: those up to it were verified before.
    #[serde(default)]
    pub after: u64,
}

/// That somebody is in a project: their entry, and the hashes beside the way from it to the root of a head, from the root down.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct EntryProof {
    pub entry: Blob,
    pub beside: Vec<Hash>,
}

/// A head of a project's roster (docs/formats.md §13).
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct ProjectHeadView {
    pub head: Blob,
    pub leaf: KeyLeaf,
    /// Of who signed it, under the head before; of the first, under its own.
    pub signer: EntryProof,
}

#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct ProjectHeadsReply {
    /// Of the newest; 0 for a project from before projects had heads.
    pub counter: u64,
    /// In order; at most 200, so ask again after the last until they reach the counter.
    pub heads: Vec<ProjectHeadView>,
}

/// That somebody is in a project, under the head with this counter.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct MemberProof {
    pub counter: u64,
    pub proof: EntryProof,
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
    /// Of their entry under the newest head.
    pub salt: Blob,
    /// Out already; their entry goes with the next head.
    pub withdrawn: bool,
}

#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct MemberListReply {
    pub members: Vec<MemberView>,
    pub next: Option<String>,
}

/// Somebody to be in a project from now on, on these terms.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewMember {
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
    /// 16 random bytes of the entry.
    pub salt: Blob,
}

/// Changes who is in a project, all of it or nothing.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct MemberSetRequest {
    /// The next head, over the members that these changes lead to; it names the principal investigator. Absent: nothing is done, the answer says
    /// who would be refused.
    #[serde(default)]
    pub head: Option<Blob>,
    #[serde(default)]
    pub set: Vec<NewMember>,
    #[serde(default)]
    pub remove: Vec<UserId>,
}

/// Why somebody cannot be set or removed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct MemberRefused {
    pub user: UserId,
    pub code: String,
    pub message: String,
}

#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct MemberSetReply {
    /// Of the newest head.
    pub counter: u64,
    /// Without a head: those who would be refused.
    pub refused: Vec<MemberRefused>,
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
