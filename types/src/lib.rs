//! The vocabulary: ids, names, times, states, and the closed list of operations.
//!
//! Everything else in the workspace speaks in these words. No I/O, no clock, no randomness of its own: an id is
//! made from bytes somebody else drew.

pub mod id;
pub mod limits;
pub mod name;
pub mod notification;
pub mod operation;
pub mod secret;
pub mod time;
pub mod user;
pub mod vault;

pub use id::{DeploymentId, GrantId, NodeId, RequestId, SessionId, UserId, VersionId};
pub use name::{NodeName, UserName};
pub use notification::NotificationKind;
pub use operation::Operation;
pub use secret::Secret;
pub use time::Timestamp;
pub use user::{Rank, UserState};
pub use vault::{NodeKind, Verbs};
