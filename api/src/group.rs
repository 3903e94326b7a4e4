//! Groups: their signed heads (docs/formats.md §12), their key as it is sealed to members, and the directory that belongs to them.

use serde::{Deserialize, Serialize};
use ticrypt_types::{Compartment, GroupId, GroupPermissions, ProjectId, Timestamp, Title, UserId};
use utoipa::ToSchema;

use crate::grant::NewGrant;
use crate::node::RootView;
use crate::project::MemberProof;
use crate::user::KeyLeaf;
use crate::wire::{Blob, Hash};

/// A group one is in, as the server knows it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct GroupView {
    pub group: GroupId,
    pub name: Title,
    pub owner: UserId,
    /// One's own.
    pub permissions: GroupPermissions,
    pub members: u32,
    /// Of the newest head.
    pub counter: u64,
    pub head: Hash,
    /// Of the group's key.
    pub generation: u32,
    /// Rises with every head and with a new name.
    pub revision: u64,
    pub created_ms: Timestamp,
    /// When its newest head came; absent of a locked one.
    #[serde(default)]
    pub changed_ms: Timestamp,
    /// The group's tags; none are shown of a locked one.
    #[serde(default)]
    pub tags: Vec<ProjectId>,
    /// Its tags are not in one's working set: the key is not given out.
    pub locked: bool,
    /// Whether the newest key is sealed to oneself.
    pub has_key: bool,
    /// Members to whom the newest key is not sealed yet.
    pub waiting: u32,
    /// Somebody who lost access holds the newest key: the next who writes makes another.
    pub closed: bool,
}

#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct GroupListReply {
    /// By name; a person is in at most 1 000.
    pub groups: Vec<GroupView>,
}

#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize, ToSchema, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
pub struct GroupReadQuery {
    /// Heads after this counter: those up to it were verified before.
    #[serde(default)]
    pub after: u64,
}

/// A head and its leaf of the key log.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct GroupHeadView {
    pub head: Blob,
    pub leaf: KeyLeaf,
}

/// The group's newest key that is sealed to oneself.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct GroupSeal {
    pub generation: u32,
    /// The key it was sealed to.
    pub bundle: Hash,
    pub bundle_generation: u32,
    pub sealed: Blob,
}

#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct GroupReadReply {
    pub view: GroupView,
    /// In order; at most 200, so ask again after the last until they reach the counter of the view.
    pub heads: Vec<GroupHeadView>,
    /// Absent while one waits for the first.
    pub seal: Option<GroupSeal>,
    /// The group's directory; its grant is to the group.
    pub root: RootView,
    /// Members to whom the newest key is not sealed yet, at most 1 000.
    pub waiting: Vec<UserId>,
    /// Those that have a key and whose tags are in one's working set.
    #[serde(default)]
    pub compartments: Vec<Compartment>,
}

#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CompartmentReadRequest {
    /// Of which of the group's compartments: the tags on the path of what its key is for, in ascending order.
    pub compartment: Compartment,
    /// Heads of generations after this one: those up to it were verified before.
    #[serde(default)]
    pub after: u32,
    /// People of whom to prove that they are in its projects and in those above, at most 100.
    #[serde(default)]
    pub prove: Vec<UserId>,
}

#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct CompartmentReadReply {
    /// 0: it has no key yet.
    pub generation: u32,
    /// In order; at most 200, so ask again after the last until they reach the generation.
    pub heads: Vec<GroupHeadView>,
    /// Absent while one waits for the first.
    pub seal: Option<GroupSeal>,
    /// Members of the group who may be active in its tags and to whom the newest key is not sealed yet, at most 1 000.
    pub waiting: Vec<UserId>,
    /// Somebody who lost access holds the newest key: the next who writes makes another.
    pub closed: bool,
    /// Of those who were asked about, for each of the projects in which they are.
    #[serde(default)]
    pub proofs: Vec<MemberProof>,
}

#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CompartmentRenewRequest {
    pub head: Blob,
    /// To those who are to hold it, the caller among them. Who gets none waits for one.
    pub seals: Vec<NewGroupSeal>,
}

#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CompartmentSealRequest {
    pub compartment: Compartment,
    pub generation: u32,
    /// 1 to 1 000.
    pub seals: Vec<NewGroupSeal>,
}

/// Where a compartment stands after a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CompartmentReply {
    pub generation: u32,
    /// Who waits for the newest key.
    pub waiting: u32,
}

/// The seed of a generation, sealed to a member.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct NewGroupSeal {
    pub member: UserId,
    /// The member's newest key.
    pub bundle: Hash,
    pub bundle_generation: u32,
    pub sealed: Blob,
}

#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct GroupCreateRequest {
    pub group: GroupId,
    pub name: Title,
    /// The first: it adds the caller, who owns the group, and perhaps others.
    pub head: Blob,
    pub seals: Vec<NewGroupSeal>,
    /// The group's directory: its keys sealed to the group, and its first head.
    pub root: NewGrant,
    pub root_head: Blob,
}

#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct GroupChangeRequest {
    pub head: Blob,
    /// To those it adds; where it begins a generation, to those who remain. Who gets none waits for one.
    pub seals: Vec<NewGroupSeal>,
}

#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct GroupSealRequest {
    pub generation: u32,
    /// 1 to 1 000.
    pub seals: Vec<NewGroupSeal>,
}

#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct GroupRenameRequest {
    /// As it was read: if the group changed since, this is refused.
    pub revision: u64,
    pub name: Title,
}

/// Where the group stands after a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct GroupReply {
    pub counter: u64,
    /// Members who wait for the newest key.
    pub waiting: u32,
}
