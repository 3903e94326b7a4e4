//! Shares: signed grants that carry a node's keys to a person (docs/formats.md §6).

use serde::{Deserialize, Serialize};
use ticrypt_types::{GrantId, NodeId, Timestamp, UserId, UserName};
use utoipa::ToSchema;

use crate::wire::Blob;

#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct NewGrant {
    pub grant: Blob,
    pub sealed: Blob,
}

#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct GrantCreateRequest {
    /// Up to 100 recipients of one node at once.
    pub grants: Vec<NewGrant>,
}

/// A signed revocation; ends the grant and those that rest on it, and closes the node.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct GrantRevokeRequest {
    pub revocation: Blob,
}

/// The recipient gives up the grant.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct GrantLeaveRequest {}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum GrantFilter {
    /// Sealed by the caller, or on nodes the caller owns.
    ByMe,
    /// On one node.
    OnNode,
}

#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct GrantListRequest {
    pub filter: GrantFilter,
    /// For `on_node`.
    pub node: Option<NodeId>,
    pub limit: u32,
    pub page: Option<String>,
}

#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct GrantView {
    pub id: GrantId,
    pub node: NodeId,
    pub grant: Blob,
    pub sealer: UserId,
    pub sealer_name: UserName,
    pub recipient: UserId,
    pub recipient_name: UserName,
    pub created_ms: Timestamp,
    pub expires_ms: Option<Timestamp>,
}

#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct GrantListReply {
    pub grants: Vec<GrantView>,
    /// For `on_node`: the grants these rest on, each once.
    #[serde(default)]
    pub authority: Vec<Blob>,
    pub next: Option<String>,
    /// Sealed to an identity that its person lost and that was reset: nobody opens these again. Shown until the share is given again or
    /// ended; on the first page, at most 1000.
    #[serde(default)]
    pub dead: Vec<GrantView>,
}

/// The node whose keys must now be replaced.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct GrantEndReply {
    pub node: NodeId,
    pub ended: u32,
}
