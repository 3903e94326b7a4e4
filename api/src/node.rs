//! Directories and files. Every change of a directory carries its new signed head (docs/formats.md §7); the server applies
//! the change only if the head fits what would then be stored.
//!
//! Creates are idempotent by the ids the client chose: the same request again is answered as the first was.

use serde::{Deserialize, Serialize};
use ticrypt_types::{Compartment, GroupId, NodeId, NodeKind, ProjectId, Timestamp, UserId, VersionId};
use utoipa::ToSchema;

use crate::grant::NewGrant;
use crate::wire::{Blob, Hash};

/// What the server knows of a node by itself.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct NodeView {
    pub node: NodeId,
    pub parent: Option<NodeId>,
    pub owner: UserId,
    pub kind: NodeKind,
    pub epoch: u32,
    pub created_ms: Timestamp,
    /// Of a directory, 0 for a file.
    pub head_counter: u64,
    /// Of a file, 0 for a directory.
    pub sequence: u64,
    /// Losers of races kept in the history.
    pub conflicts: u32,
    pub trashed_ms: Option<Timestamp>,
    /// The keys are from before the end of some grant above: writing needs new ones first.
    pub keys_stale: bool,
    /// Live grants on this very node, other than its owner's.
    pub shares: u32,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ManifestView {
    pub manifest: Blob,
    pub props_key: Blob,
    /// Lost a race; kept, not current.
    pub conflict: bool,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct EntryView {
    /// The signed-for record, docs/formats.md §5; empty for the root of a tree.
    pub entry: Blob,
    pub node: NodeView,
    /// Of a file: what is current. Of a locked one without the key of its properties.
    pub current: Option<ManifestView>,
    /// The node's own tags; none are shown of what is locked.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<ProjectId>,
    /// Its projects are not in the caller's working set, or its keys are not theirs: of a directory the name is shown, of a file also owner,
    /// time and size (nothing else below is true then).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub locked: bool,
    /// The node's own keys, sealed to the caller: what is tagged itself is not wrapped under its directory's keys.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub own_keys: Option<SealView>,
    /// In a group: these keys are for the caller, and nobody has sealed them the key that opens them yet.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub waiting: bool,
}

/// A grant of a node's keys to the caller.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct SealView {
    pub grant: Blob,
    pub sealed: Blob,
    /// The grants it rests on, nearest first, up to one sealed by the owner.
    pub authority: Vec<Blob>,
    /// In a group: under the key of which of its compartments.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub compartment: Option<Compartment>,
}

/// Creates the caller's tree: the root, its grant to the caller, its first head.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct HomeCreateRequest {
    pub grant: NewGrant,
    pub head: Blob,
}

/// A node one holds a grant on.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct RootView {
    pub grant: Blob,
    /// Empty where the node is locked: its keys are not given out.
    pub sealed: Blob,
    /// The grants it rests on, nearest first, up to one sealed by the owner.
    pub authority: Vec<Blob>,
    /// Its entry (for the properties) and, for a file, what is current.
    pub entry: EntryView,
}

#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct RootsReply {
    pub home: Option<RootView>,
    pub shared_with_me: Vec<RootView>,
    /// The caller's trees whose keys were lost with an identity that was reset: closed to them for ever, kept until deleted.
    #[serde(default)]
    pub lost: Vec<LostRootView>,
}

/// The root of a tree whose keys its owner lost.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct LostRootView {
    pub node: NodeId,
    pub created_ms: Timestamp,
    /// Everything in it, the root included.
    pub nodes: u64,
    /// Living shares of it, or of something in it, that others hold: deleting it ends them.
    pub shares: u64,
}

#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct ListItem {
    pub directory: NodeId,
    /// From the last reply; refused as stale if the directory has changed since.
    pub page: Option<String>,
}

/// Several directories at once: the reply has as many as fit, in the order asked, perhaps the last in part.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ListRequest {
    pub items: Vec<ListItem>,
    /// Entries in all; at most 4 000.
    pub limit: u32,
    /// With the current manifest of each file.
    pub manifests: bool,
}

#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct DirectoryView {
    pub node: NodeView,
    pub head: Blob,
    /// Ordered by node id.
    pub entries: Vec<EntryView>,
    pub next: Option<String>,
}

#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct ListReply {
    pub directories: Vec<DirectoryView>,
    /// Grants that heads and manifests name as their writers' authority, with the grants these rest on.
    pub grants: Vec<Blob>,
}

#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct StatRequest {
    pub nodes: Vec<NodeId>,
}

/// Nodes that are missing or hidden are left out.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct StatReply {
    pub nodes: Vec<EntryView>,
    pub grants: Vec<Blob>,
}

/// The content of a new file. Either `chunk` is here, small and alone, or the chunks were stored under `version` before.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct NewContent {
    pub version: VersionId,
    pub content_wrap: Blob,
    pub manifest: Blob,
    pub props_key: Blob,
    pub chunk_hashes: Vec<Hash>,
    pub chunk: Option<Blob>,
}

#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct NewNode {
    pub entry: Blob,
    /// Of a directory: its first head, counter 1.
    pub head: Option<Blob>,
    /// Of a file.
    pub content: Option<NewContent>,
}

/// New nodes in one directory, and in new directories among them, each after its directory. `head` is the next head of `directory`, with all that
/// are in it; the first head of a new directory has in it those that come for it.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateRequest {
    pub directory: NodeId,
    pub head: Blob,
    pub nodes: Vec<NewNode>,
}

#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct HeadReply {
    pub head_counter: u64,
}

/// A new name, or new properties: the same node with another entry.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RenameRequest {
    pub directory: NodeId,
    pub head: Blob,
    pub entry: Blob,
}

/// To another directory, with new wraps. Leaving a shared tree closes the node's epoch.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct MoveRequest {
    pub from: NodeId,
    pub from_head: Blob,
    pub to: NodeId,
    pub to_head: Blob,
    pub entry: Blob,
}

#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TrashRequest {
    pub directory: NodeId,
    pub head: Blob,
    pub nodes: Vec<NodeId>,
}

/// Back to where they were. The entry may carry another name.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RestoreRequest {
    pub directory: NodeId,
    pub head: Blob,
    pub entries: Vec<Blob>,
}

/// For good, with everything below and all versions. Only from the trash.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DeleteRequest {
    pub nodes: Vec<NodeId>,
}

#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct DeleteReply {
    pub nodes: u64,
    pub versions: u64,
    pub stored_bytes: u64,
}

#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct TrashReply {
    pub entries: Vec<EntryView>,
    pub next: Option<String>,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
pub struct PageQuery {
    #[serde(default)]
    pub limit: Option<u32>,
    #[serde(default)]
    pub page: Option<String>,
}

/// What is in the trash: of the caller's own tree, or what was put there from one directory.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
pub struct TrashQuery {
    #[serde(default)]
    pub directory: Option<NodeId>,
    /// The tree of a group; the caller's own if neither is named.
    #[serde(default)]
    pub group: Option<GroupId>,
    #[serde(default)]
    pub limit: Option<u32>,
    #[serde(default)]
    pub page: Option<String>,
}

/// New keys for nodes of one directory, or for the root of a tree (docs/formats.md §6, closing). All of them, or none.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RekeyRequest {
    /// The next head of the directory that holds the nodes, over their new entries. Absent for the root of a tree, and when all of
    /// them are in the trash.
    pub parent_head: Option<Blob>,
    /// With everything that is wrapped under them, at most 8 000 records in all unless it is one node.
    pub nodes: Vec<RekeyedNode>,
}

/// New tags for one node, which come with new keys (docs/formats.md §6): with tags they are the node's own, sealed in grants, its owner's to
/// themselves among them, in a group to the key of its compartment; without they are wrapped under those of its directory. Everything or nothing.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TagRequest {
    /// All tags the node itself is to have.
    pub tags: Vec<ProjectId>,
    /// The next head of the directory that holds the node, over its new entry. Absent for the directory of a group.
    pub parent_head: Option<Blob>,
    pub node: RekeyedNode,
}

/// One node's new keys: everything that was wrapped under the old ones comes anew.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RekeyedNode {
    pub node: NodeId,
    /// The epoch the new keys begin; the present one plus 1.
    pub epoch: u32,
    /// The node's entry under its parent. Absent for the root of a tree.
    pub entry: Option<Blob>,
    /// Of a directory: every entry in it, the trash included, and its next head.
    pub entries: Vec<Blob>,
    pub head: Option<Blob>,
    /// Of a file: every version's content wrap and every manifest's property key.
    pub content_wraps: Vec<(VersionId, Blob)>,
    pub props_keys: Vec<(Hash, Blob)>,
    /// The grants of those who remain, sealed anew; each names its predecessor, which ends with it.
    pub grants: Vec<NewGrant>,
}

impl RekeyedNode {
    /// Records in it.
    pub fn records(&self) -> usize {
        1 + self.entries.len() + self.content_wraps.len() + self.props_keys.len() + self.grants.len()
    }
}

/// What has been done with a node: rows of the audit log, with their indices so that inclusion can be checked.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct HistoryReply {
    pub events: Vec<crate::log::LoggedEvent>,
    pub next: Option<String>,
}
