//! Who reaches a file or a directory, and why: the reasons of every rule that decides.

use serde::{Deserialize, Serialize};
use ticrypt_types::{GroupId, GroupPermissions, NodeId, NodeKind, ProjectId, RequirementId, UserId, UserName, Verbs};
use utoipa::ToSchema;

#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AccessExplainRequest {
    pub node: NodeId,
    /// People, at most 200; none: everybody who has a key to it.
    #[serde(default)]
    pub about: Vec<UserId>,
    /// As if each of them had lost this.
    #[serde(default)]
    pub without: Option<SupposedLoss>,
}

/// What is supposed to be lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum SupposedLoss {
    Membership(ProjectId),
    Certification(RequirementId),
}

#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct AccessExplainReply {
    /// Every tag on its path, those of one tree by the lowest.
    pub tags: Vec<ProjectId>,
    /// In the order asked, or by name.
    pub people: Vec<PersonAccess>,
    /// More people than an answer holds have a key to it.
    pub more: bool,
}

/// Asked over everything of one's own that carries a tag: one's tree, and those of the groups one owns.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AccessLossesRequest {
    /// What is supposed to be lost,
    pub without: SupposedLoss,
    /// by these people, at most 200; none: by everybody who has a key.
    #[serde(default)]
    pub about: Vec<UserId>,
    #[serde(default)]
    pub page: Option<String>,
}

#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct AccessLossesReply {
    /// Those of which somebody loses anything. What is inside goes with it, unless it is tagged or shared itself.
    pub things: Vec<ThingLosses>,
    /// There may be more, even if this page has none.
    pub next: Option<String>,
}

#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct ThingLosses {
    pub node: NodeId,
    pub kind: NodeKind,
    /// In whose tree: one's own, or that of this group.
    pub group: Option<GroupId>,
    pub people: Vec<PersonLosses>,
    /// More people than an answer holds have a key to it.
    pub more: bool,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct PersonLosses {
    pub now: PersonAccess,
    /// The same person without it.
    pub without: PersonAccess,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct PersonAccess {
    pub user: UserId,
    pub name: UserName,
    pub held_by: HeldBy,
    pub tags: Vec<TagAccess>,
    pub verdicts: Vec<Verdict>,
}

impl PersonAccess {
    /// Whether they may do other things than there.
    pub fn differs(&self, other: &Self) -> bool {
        self.verdicts != other.verdicts
    }
}

/// By what somebody has the key, whatever its tags say.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum HeldBy {
    Owner,
    Share(Verbs),
    /// As a member of the group it is in.
    Member(GroupPermissions),
    /// A share above a tag: it opens the name and no more.
    NameOnly,
    Nothing,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct TagAccess {
    pub project: ProjectId,
    /// They work in it, or below it.
    pub is_active: bool,
    /// Why a new login would not let them work in it.
    pub why_not: Option<Why>,
}

/// What was asked, in a word: see, read, download, change, share, tag.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Verdict {
    pub asked: String,
    /// Why not now; absent: yes.
    pub now: Option<Why>,
    /// Why not after a new login and at work on its tags either: what somebody else has to change.
    pub then: Option<Why>,
}

/// A reason, as it would be given to who is refused.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Why {
    pub code: String,
    pub advice: String,
}
