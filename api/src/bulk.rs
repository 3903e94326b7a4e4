//! Bulk actions: one operation on many people or things, as a list of the requests that would be sent for each (decision 21).

use serde::{Deserialize, Serialize};
use ticrypt_types::bulk::{BulkItemState, BulkState};
use ticrypt_types::{BulkId, Timestamp, UserId};
use utoipa::ToSchema;

use crate::wire::Blob;

/// One request of the list.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BulkItem {
    /// Of its path, in order.
    #[serde(default)]
    pub parameters: Vec<String>,
    /// As the operation's own endpoint takes it; empty for one without.
    #[serde(default)]
    pub body: Blob,
}

#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BulkStartRequest {
    /// Drawn by the client.
    pub bulk: BulkId,
    /// The name of the operation, as `certification.set`.
    pub operation: String,
    /// 1 to 10 000.
    pub items: Vec<BulkItem>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct BulkView {
    pub bulk: BulkId,
    pub operation: String,
    pub state: BulkState,
    pub items: u64,
    pub done: u64,
    pub failed: u64,
    pub started_ms: Timestamp,
    /// When something came of it last.
    pub changed_ms: Timestamp,
}

#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct BulkListReply {
    /// One's own, the newest first, at most 100.
    pub bulks: Vec<BulkView>,
}

#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize, ToSchema, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
pub struct BulkReadQuery {
    /// Items from this number on, which count from 0.
    #[serde(default)]
    pub from: u64,
    /// Only those that are so far.
    #[serde(default)]
    pub state: Option<BulkItemState>,
    /// At most 1 000, which is the default. 0: none.
    #[serde(default)]
    pub limit: Option<u32>,
}

/// What came of one request.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct BulkItemView {
    pub number: u64,
    pub parameters: Vec<String>,
    /// Whom it is about, if its body says so; of what is done nothing is kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<UserId>,
    pub state: BulkItemState,
    /// Why it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct BulkReadReply {
    pub view: BulkView,
    pub items: Vec<BulkItemView>,
    /// Ask from here for more.
    pub next: Option<u64>,
}

#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BulkResumeRequest {
    /// What failed as well.
    #[serde(default)]
    pub failed: bool,
}
