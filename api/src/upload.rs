//! Uploads of contents too large to travel with the metadata. Begun in a batch, stored chunk by chunk under a ticket, then published
//! (for a new file: created) in one step, so that nothing half done is ever visible.

use serde::{Deserialize, Serialize};
use ticrypt_types::{NodeId, Timestamp, VersionId};
use utoipa::ToSchema;

use crate::wire::{Blob, Hash};

#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct NewUpload {
    pub file: NodeId,
    /// Where a new file will be; absent for a new version of a file that exists.
    pub directory: Option<NodeId>,
    pub version: VersionId,
    /// Kept by the server, so that an interrupted upload can be resumed.
    pub content_wrap: Blob,
    /// Plaintext bytes.
    pub size_bytes: u64,
}

#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct UploadBeginRequest {
    pub uploads: Vec<NewUpload>,
}

/// Presented with each chunk in the header `ticrypt-ticket`; renewed by asking for the upload's status.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Ticket {
    pub version: VersionId,
    pub ticket: Blob,
    pub expires_ms: Timestamp,
}

#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct UploadBeginReply {
    pub tickets: Vec<Ticket>,
}

#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct StoredChunk {
    pub number: u64,
    pub hash: Hash,
}

#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct UploadStatusReply {
    pub file: NodeId,
    pub size_bytes: u64,
    pub content_wrap: Blob,
    pub stored: Vec<StoredChunk>,
    pub ticket: Ticket,
}
