//! The vocabulary: ids, names, times, states, and the closed list of operations.
//!
//! Everything else in the workspace speaks in these words. No I/O, no clock, no randomness of its own: an id is
//! made from bytes somebody else drew.

pub mod bulk;
pub mod compartment;
pub mod group;
pub mod id;
pub mod join;
pub mod limits;
pub mod name;
pub mod notification;
pub mod operation;
pub mod permission;
pub mod project;
pub mod secret;
pub mod team;
pub mod time;
pub mod title;
pub mod user;
pub mod vault;

pub use compartment::{Compartment, NoCompartment};
pub use group::{GroupChange, GroupPermissions, GroupStep};
pub use id::{
    BulkId, DeploymentId, GrantId, GroupId, LevelId, NodeId, ProfileId, ProjectId, RequestId, RequirementId, SessionId, TeamId, UserId,
    VersionId,
};
pub use join::{EndingKind, JoinState};
pub use name::{NodeName, UserName};
pub use notification::NotificationKind;
pub use operation::Operation;
pub use permission::{Permission, Permissions};
pub use project::{MemberRole, Restrictions};
pub use secret::Secret;
pub use team::Quotas;
pub use time::{Span, Timestamp};
pub use title::{Colour, Tag, Title};
pub use user::{Rank, UserState};
pub use vault::{NodeKind, Verbs};
