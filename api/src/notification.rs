//! What people are told: listed, marked as read, and as a stream of events. Ids only: what they name is looked up like anything else.

use serde::{Deserialize, Serialize};
use ticrypt_types::{GrantId, GroupId, NodeId, ProjectId, RequirementId, TeamId, Timestamp, UserId};
use utoipa::ToSchema;

#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
pub struct NotificationListQuery {
    /// At most 1 000; 100 if absent.
    #[serde(default)]
    pub limit: Option<u32>,
    #[serde(default)]
    pub page: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct NotificationView {
    /// Counts a person's notifications from 1 on, without gaps; the `id` of the event.
    pub sequence: u64,
    /// `share-given`, `share-ended`, `given-share-ended`, `account-activated`, `rank-changed`, `registration-waiting`,
    /// `group-joined`, `group-left`, `group-owned`, `team-joined`, `team-left`, `join-asked`, `join-refused`, `join-granted`,
    /// `membership-ending`, `certification-ending`, `share-ending`, `given-share-ending`; there may be more in time. The name of the event.
    pub kind: String,
    #[serde(flatten)]
    pub about: EventData,
}

/// The data of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct EventData {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grant: Option<GrantId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node: Option<NodeId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<GroupId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub team: Option<TeamId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project: Option<ProjectId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requirement: Option<RequirementId>,
    /// Of what ends soon.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ends_ms: Option<Timestamp>,
    /// The other side of the share, who acted, who waits, or whose membership ends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<UserId>,
    pub at_ms: Timestamp,
}

/// Newest first; the oldest are forgotten when there are more than 1 000.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct NotificationListReply {
    pub notifications: Vec<NotificationView>,
    /// Sequence of the newest there is; 0 if there never was one.
    pub newest: u64,
    /// Sequence up to which they were read.
    pub read: u64,
    pub unread: u64,
    pub next: Option<String>,
}

#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NotificationReadRequest {
    /// All up to this sequence are read, and stay so. Beyond the newest it means all there are.
    pub up_to: u64,
}

#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct NotificationReadReply {
    pub read: u64,
    pub unread: u64,
}
