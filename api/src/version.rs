//! Versions of a file: publishing, history, and the hand-out of wrapped content keys.

use serde::{Deserialize, Serialize};
use ticrypt_types::{NodeId, Timestamp, VersionId};
use utoipa::ToSchema;

use crate::node::{ManifestView, NewContent};
use crate::upload::Ticket;
use crate::wire::{Blob, Hash};

/// Makes a version current by compare-and-set on the manifest's sequence. To restore an old version, name it again.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PublishRequest {
    pub file: NodeId,
    pub content: NewContent,
}

#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct PublishReply {
    /// What is current now.
    pub sequence: u64,
    /// Somebody else was first: this version is kept in the history as a conflict.
    pub conflict: bool,
}

#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct VersionListRequest {
    pub files: Vec<NodeId>,
}

/// As many files as fit, in the order asked.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct VersionListReply {
    pub files: Vec<FileVersions>,
    pub grants: Vec<Blob>,
}

#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct FileVersions {
    pub file: NodeId,
    /// Newest first.
    pub manifests: Vec<ManifestView>,
    /// Of every version named in them, and of uploads under way; none without *view*.
    pub contents: Vec<StoredContent>,
}

#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct StoredContent {
    pub version: VersionId,
    pub content_wrap: Blob,
    pub stored_bytes: u64,
    pub created_ms: Timestamp,
}

#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct OpenItem {
    pub file: NodeId,
    /// Absent: what is current. Otherwise the record hash of a manifest in the history.
    pub manifest: Option<Hash>,
}

/// One audit row names every file. The reply has as many as fit, in the order asked.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct OpenRequest {
    pub items: Vec<OpenItem>,
    /// To keep a copy, which takes *download*. That it keeps none, the server believes of a client that does not say so.
    #[serde(default)]
    pub keep: bool,
}

#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct OpenedFile {
    pub file: NodeId,
    pub manifest: ManifestView,
    pub content_wrap: Blob,
    pub chunk_hashes: Vec<Hash>,
    /// A small content, whole.
    pub chunk: Option<Blob>,
    /// For the chunks of a large one.
    pub ticket: Option<Ticket>,
}

#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct OpenReply {
    pub files: Vec<OpenedFile>,
    pub grants: Vec<Blob>,
}
