//! Login and sessions (docs/formats.md §4, security C15).

use serde::{Deserialize, Serialize};
use ticrypt_types::{SessionId, Timestamp, UserName};
use utoipa::ToSchema;

use crate::user::UserView;
use crate::wire::{Blob, Hash};

#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ChallengeRequest {
    pub name: UserName,
}

/// Unknown names get one too, so that asking tells nothing.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct ChallengeReply {
    pub challenge: Hash,
    pub expires_ms: Timestamp,
    /// So that a client whose clock is off can say so plainly.
    pub server_time_ms: Timestamp,
}

#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct LoginRequest {
    /// An envelope in namespace `login`.
    pub login: Blob,
    /// What the person will recognise in the list of sessions, at most 100 bytes.
    #[serde(default)]
    pub client: String,
}

#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct LoginReply {
    pub session: SessionId,
    /// Base64url; the server keeps its hash only. Useless without the session's key.
    pub token: String,
    pub expires_ms: Timestamp,
    pub user: UserView,
}

#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct SessionView {
    pub session: SessionId,
    pub created_ms: Timestamp,
    pub last_seen_ms: Timestamp,
    pub expires_ms: Timestamp,
    pub client: String,
    /// The one that asks.
    pub current: bool,
}

#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct SessionListReply {
    pub sessions: Vec<SessionView>,
}
