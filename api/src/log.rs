//! The two logs over HTTP. Checkpoints and hash tiles are public; leaf bodies go to those entitled (security C17, C18).

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::wire::Blob;

/// Which log, as it stands in the path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum LogName {
    Audit,
    Keys,
}

#[derive(Clone, Debug, Serialize, Deserialize, ToSchema, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
pub struct TileQuery {
    /// As C2SP tlog-tiles writes it, e.g. `tile/0/x001/234.p/5`; hash tiles only.
    pub path: String,
}

/// A leaf of the audit log: its index and its bytes (the format is in the `log` crate).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct LoggedEvent {
    pub index: u64,
    pub leaf: Blob,
}

/// Administrators: a range of the audit log.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct EntriesRequest {
    pub start: u64,
    /// At most 10 000; fewer come if the reply is full.
    pub count: u32,
}

#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct EntriesReply {
    pub events: Vec<LoggedEvent>,
    /// Of the log, now.
    pub size: u64,
}
