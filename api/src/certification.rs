//! Requirements, the levels made of them, and who is certified.

use serde::{Deserialize, Serialize};
use ticrypt_types::{LevelId, RequirementId, Timestamp, Title, UserId, UserName};
use utoipa::{IntoParams, ToSchema};

/// Something people are certified for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RequirementAbout {
    pub name: Title,
    #[serde(default)]
    pub description: String,
    /// Whether a certification has to end.
    #[serde(default)]
    pub must_expire: bool,
    /// How long one lasts if nobody says.
    #[serde(default)]
    pub default_lifespan_ms: Option<u64>,
    #[serde(default)]
    pub maximum_lifespan_ms: Option<u64>,
}

#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct RequirementView {
    pub requirement: RequirementId,
    pub about: RequirementAbout,
    pub revision: u64,
}

#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct RequirementListReply {
    pub requirements: Vec<RequirementView>,
}

#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RequirementSetRequest {
    /// Of the requirement as it was read; 0 makes a new one.
    pub revision: u64,
    pub about: RequirementAbout,
}

/// A set of requirements that a project may ask for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LevelAbout {
    pub name: Title,
    #[serde(default)]
    pub description: String,
    #[serde(default)]
    pub requirements: Vec<RequirementId>,
}

#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct LevelView {
    pub level: LevelId,
    pub about: LevelAbout,
    pub revision: u64,
}

#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct LevelListReply {
    pub levels: Vec<LevelView>,
}

#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct LevelSetRequest {
    /// Of the level as it was read; 0 makes a new one.
    pub revision: u64,
    pub about: LevelAbout,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema, IntoParams)]
#[serde(deny_unknown_fields)]
pub struct CertificationListQuery {
    /// Everybody's, for those who certify; one's own otherwise.
    #[serde(default)]
    pub all: bool,
    /// At most 1 000; 100 if absent.
    #[serde(default)]
    pub limit: Option<u32>,
    #[serde(default)]
    pub page: Option<String>,
}

#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct CertificationView {
    pub requirement: RequirementId,
    pub user: UserId,
    pub name: UserName,
    /// From when on, without a gap.
    pub since_ms: Timestamp,
    pub expires_ms: Option<Timestamp>,
    pub given_by: UserId,
    pub given_ms: Timestamp,
}

#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct CertificationListReply {
    pub certifications: Vec<CertificationView>,
    pub next: Option<String>,
}

#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CertificationSetRequest {
    pub requirement: RequirementId,
    pub user: UserId,
    /// Absent: the requirement's default, or never.
    #[serde(default)]
    pub expires_ms: Option<Timestamp>,
}

#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct CertificationSetReply {
    pub expires_ms: Option<Timestamp>,
}

#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CertificationExpireRequest {
    pub requirement: RequirementId,
    pub user: UserId,
}
