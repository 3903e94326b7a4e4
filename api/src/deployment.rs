//! The deployment file (security C19): what a client must know of a server before it trusts it, carried out of band.

use serde::{Deserialize, Serialize};
use ticrypt_types::DeploymentId;

use crate::wire::Hash;

/// Versioned JSON; unknown fields are refused, because each would be something the reader fails to check.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DeploymentFile {
    /// 1.
    pub version: u32,
    pub id: DeploymentId,
    /// For people; not trusted for anything.
    pub display_name: String,
    /// `https://host:port`, tried in order.
    pub urls: Vec<String>,
    /// SHA-256 of the server certificate's SubjectPublicKeyInfo: the one in use, then the one kept ready.
    pub tls_pins: Vec<Hash>,
    /// Verifier keys of the two logs, as C2SP signed-note writes them.
    pub audit_log_key: String,
    pub key_log_key: String,
    /// Verifier keys of the witnesses whose countersignatures count.
    pub witness_keys: Vec<String>,
    /// So many of them must have countersigned a checkpoint; at most all.
    pub witness_quorum: u32,
    /// Fingerprint of the site key; absent until one exists.
    pub site_key: Option<Hash>,
    /// Nothing below this suite is accepted (docs/formats.md §0).
    pub minimum_suite: u16,
    /// Must accompany a registration where registration is not open.
    pub registration_token: Option<String>,
}

impl DeploymentFile {
    pub const VERSION: u32 = 1;
}
