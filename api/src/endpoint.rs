//! Every endpoint, once: which operation, method, path and coding. The server routes by this table, the client calls by it, the
//! OpenAPI document and the authorization tests are checked against it.

use ticrypt_types::Operation;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    Get,
    Post,
    Put,
    Delete,
}

/// How bodies are written, both ways.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Codec {
    Json,
    Cbor,
    /// The bytes themselves.
    Raw,
    /// The answer is a stream of server-sent events that does not end by itself ([`crate::sse`]).
    Events,
}

impl Codec {
    pub const fn media_type(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::Cbor => "application/cbor",
            Self::Raw => "application/octet-stream",
            Self::Events => "text/event-stream",
        }
    }
}

#[derive(Clone, Copy, Debug)]
pub struct Endpoint {
    pub operation: Operation,
    pub method: Method,
    /// With `{name}` for each parameter.
    pub path: &'static str,
    pub codec: Codec,
}

impl Endpoint {
    /// The endpoint of an operation; each has exactly one, but what only the server does by itself.
    pub fn of(operation: Operation) -> Option<&'static Endpoint> {
        ENDPOINTS.iter().find(|e| e.operation == operation)
    }

    /// The path with its parameters filled in, in order.
    pub fn fill(&self, parameters: &[&str]) -> String {
        let mut parameters = parameters.iter();
        self.path
            .split('/')
            .map(|part| if part.starts_with('{') { parameters.next().copied().unwrap_or_default() } else { part })
            .collect::<Vec<_>>()
            .join("/")
    }
}

macro_rules! endpoints {
    ($($operation:ident $method:ident $path:literal $codec:ident;)+) => {
        pub const ENDPOINTS: &[Endpoint] = &[$(Endpoint {
            operation: Operation::$operation, method: Method::$method, path: $path, codec: Codec::$codec,
        }),+];
    };
}

endpoints! {
    DeploymentRead   Get    "/v1/deployment" Json;
    ApiDescribe      Get    "/v1/openapi.json" Json;

    UserRegister     Post   "/v1/users" Json;
    SessionChallenge Post   "/v1/sessions/challenge" Json;
    SessionLogin     Post   "/v1/sessions" Json;
    SessionLogout    Delete "/v1/sessions/current" Json;
    SessionList      Get    "/v1/sessions" Json;
    SessionEnd       Delete "/v1/sessions/{session}" Json;
    UserSelf         Get    "/v1/self" Json;
    UserLookup       Get    "/v1/users/by-name/{name}" Json;
    UserList         Get    "/v1/users" Json;
    UserState        Post   "/v1/users/{user}/state" Json;
    BundleRotate     Post   "/v1/self/bundle" Json;
    BundleRead       Get    "/v1/bundles/{hash}" Json;
    PinReport        Post   "/v1/self/pins" Json;

    UserPermissions  Post   "/v1/users/{user}/permissions" Json;
    ProfileList      Get    "/v1/profiles" Json;
    ProfileSet       Put    "/v1/profiles/{profile}" Json;
    ProfileDelete    Delete "/v1/profiles/{profile}" Json;
    ProfileApply     Post   "/v1/users/{user}/profile" Json;

    RequirementList  Get    "/v1/requirements" Json;
    RequirementSet   Put    "/v1/requirements/{requirement}" Json;
    RequirementDelete Delete "/v1/requirements/{requirement}" Json;
    LevelList        Get    "/v1/levels" Json;
    LevelSet         Put    "/v1/levels/{level}" Json;
    LevelDelete      Delete "/v1/levels/{level}" Json;
    ProjectList      Get    "/v1/projects" Json;
    ProjectCreate    Post   "/v1/projects" Json;
    ProjectChange    Post   "/v1/projects/{project}" Json;
    ProjectDelete    Delete "/v1/projects/{project}" Json;
    ProjectHeads     Get    "/v1/projects/{project}/heads" Cbor;
    MemberList       Get    "/v1/projects/{project}/members" Json;
    MemberSet        Post   "/v1/projects/{project}/members" Json;
    MemberRemove     Delete "/v1/projects/{project}/members/{user}" Json;
    CertificationList Get   "/v1/certifications" Json;
    CertificationSet Post   "/v1/certifications" Json;
    CertificationExpire Post "/v1/certifications/expire" Json;
    JoinAsk          Post   "/v1/projects/{project}/joins" Json;
    JoinWithdraw     Delete "/v1/projects/{project}/joins" Json;
    JoinRefuse       Post   "/v1/projects/{project}/joins/{user}" Json;
    JoinList         Get    "/v1/joins" Json;
    WorkingSet       Post   "/v1/self/working" Json;

    TeamList         Get    "/v1/teams" Json;
    TeamCreate       Post   "/v1/teams" Json;
    TeamChange       Post   "/v1/teams/{team}" Json;
    TeamQuota        Post   "/v1/teams/{team}/quotas" Json;
    TeamDelete       Delete "/v1/teams/{team}" Json;
    TeamMembers      Get    "/v1/teams/{team}/members" Json;
    TeamAdd          Post   "/v1/teams/{team}/members" Json;
    TeamRemove       Delete "/v1/teams/{team}/members/{user}" Json;
    TeamManager      Post   "/v1/teams/{team}/members/{user}" Json;
    TeamAssign       Post   "/v1/teams/{team}/assignments" Json;
    TeamUnassign     Delete "/v1/teams/{team}/assignments/{user}" Json;

    GroupList        Get    "/v1/groups" Json;
    GroupRead        Get    "/v1/groups/{group}" Cbor;
    GroupCreate      Post   "/v1/groups" Cbor;
    GroupChange      Post   "/v1/groups/{group}/heads" Cbor;
    GroupSeal        Post   "/v1/groups/{group}/seals" Cbor;
    CompartmentRead  Post   "/v1/groups/{group}/compartments/read" Cbor;
    CompartmentRenew Post   "/v1/groups/{group}/compartments" Cbor;
    CompartmentSeal  Post   "/v1/groups/{group}/compartments/seals" Cbor;
    GroupRename      Post   "/v1/groups/{group}/name" Json;
    GroupDelete      Delete "/v1/groups/{group}" Json;

    AccessExplain    Post   "/v1/access/explain" Json;
    AccessLosses     Post   "/v1/access/losses" Json;

    BulkStart        Post   "/v1/bulk" Cbor;
    BulkList         Get    "/v1/bulk" Json;
    BulkRead         Get    "/v1/bulk/{bulk}" Json;
    BulkResume       Post   "/v1/bulk/{bulk}/resume" Json;
    BulkStop         Post   "/v1/bulk/{bulk}/stop" Json;

    HomeCreate       Post   "/v1/vault/home" Cbor;
    VaultRoots       Get    "/v1/vault/roots" Cbor;
    NodeList         Post   "/v1/vault/list" Cbor;
    NodeStat         Post   "/v1/vault/stat" Cbor;
    NodeCreate       Post   "/v1/vault/create" Cbor;
    NodeRename       Post   "/v1/vault/rename" Cbor;
    NodeMove         Post   "/v1/vault/move" Cbor;
    NodeTrash        Post   "/v1/vault/trash" Cbor;
    NodeRestore      Post   "/v1/vault/restore" Cbor;
    NodeDelete       Post   "/v1/vault/delete" Cbor;
    NodeRekey        Post   "/v1/vault/rekey" Cbor;
    NodeTag          Post   "/v1/vault/tag" Cbor;
    NodeHistory      Get    "/v1/vault/nodes/{node}/history" Cbor;
    TrashList        Get    "/v1/vault/trash" Cbor;

    UploadBegin      Post   "/v1/vault/uploads" Cbor;
    UploadStatus     Get    "/v1/vault/uploads/{version}" Cbor;
    UploadAbandon    Delete "/v1/vault/uploads/{version}" Cbor;
    VersionPublish   Post   "/v1/vault/publish" Cbor;
    VersionList      Post   "/v1/vault/versions" Cbor;
    ContentOpen      Post   "/v1/vault/open" Cbor;
    ChunkWrite       Put    "/v1/chunks/{version}/{number}" Raw;
    ChunkRead        Get    "/v1/chunks/{version}/{number}" Raw;

    GrantCreate      Post   "/v1/grants" Cbor;
    GrantRevoke      Post   "/v1/grants/{grant}/revoke" Cbor;
    GrantLeave       Post   "/v1/grants/{grant}/leave" Cbor;
    GrantList        Post   "/v1/grants/list" Cbor;

    NotificationList Get    "/v1/notifications" Json;
    NotificationRead Post   "/v1/notifications/read" Json;
    EventFollow      Get    "/v1/events" Events;

    LogCheckpoint    Get    "/v1/log/{log}/checkpoint" Raw;
    LogTile          Get    "/v1/log/{log}/tile" Raw;
    AuditEntries     Post   "/v1/log/audit/entries" Cbor;
    KeyLeaves        Post   "/v1/log/keys/leaves" Cbor;
}

/// Carries the token of a session: `Bearer <token>`.
pub const AUTHORIZATION: &str = "authorization";
/// Binds a connection to a session: base64url of an envelope in namespace `session-binding` (docs/formats.md §4), on the first request.
pub const BINDING_HEADER: &str = "ticrypt-binding";
/// Carries a chunk ticket, base64url.
pub const TICKET_HEADER: &str = "ticrypt-ticket";
/// Sequence of the last event that was received: those after it come first.
pub const LAST_EVENT_HEADER: &str = "last-event-id";
/// `major.minor.patch` of the program at the other end, on every request and reply.
pub const VERSION_HEADER: &str = "ticrypt-version";
/// Base64url of the signed receipt of the audit row that this reply rests on.
pub const RECEIPT_HEADER: &str = "ticrypt-receipt";
/// The request's id, on every reply; a client may propose one.
pub const REQUEST_HEADER: &str = "ticrypt-request-id";

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use ticrypt_types::operation::Caller;

    #[test]
    fn every_operation_that_can_be_asked_for_has_exactly_one_endpoint() {
        for operation in Operation::ALL {
            let expected = usize::from(operation.caller() != Caller::System);
            assert_eq!(ENDPOINTS.iter().filter(|e| e.operation == *operation).count(), expected, "{}", operation.name());
        }
    }

    #[test]
    fn parameters_are_filled_in_order() {
        assert_eq!(Endpoint::of(Operation::ChunkRead).unwrap().fill(&["v", "7"]), "/v1/chunks/v/7");
    }
}
