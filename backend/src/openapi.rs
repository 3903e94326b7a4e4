//! The description of the API (OpenAPI 3.1), made from the contract's table and types, and kept as a golden file.
//!
//! CBOR bodies are described by the same schemas as JSON ones; what is text in JSON and bytes in CBOR says so itself.

use serde_json::Value;
use ticrypt_api::endpoint::{BINDING_HEADER, Codec, ENDPOINTS, LAST_EVENT_HEADER, Method, TICKET_HEADER};
use ticrypt_api::{
    Endpoint, Problem, access, bulk, certification, deployment, grant, group, join, log, node, notification, profile, project, session,
    team, upload, user, version,
};
use ticrypt_types::Operation;
use ticrypt_types::operation::{Caller, Effect};
use utoipa::openapi::path::{HttpMethod, OperationBuilder, Parameter, ParameterBuilder, ParameterIn, PathItem, PathsBuilder};
use utoipa::openapi::request_body::RequestBodyBuilder;
use utoipa::openapi::schema::{ObjectBuilder, Schema, Type};
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{ComponentsBuilder, ContentBuilder, InfoBuilder, OpenApiBuilder, Ref, RefOr, Required, ResponseBuilder};
use utoipa::{IntoParams, ToSchema};

/// A named type of the contract, with all it is made of.
struct Shape {
    name: String,
    schemas: Vec<(String, RefOr<Schema>)>,
}

fn shape<T: ToSchema>() -> Option<Shape> {
    let mut schemas = vec![(T::name().into_owned(), T::schema())];
    T::schemas(&mut schemas);
    Some(Shape { name: T::name().into_owned(), schemas })
}

fn query<T: IntoParams>() -> Vec<Parameter> {
    T::into_params(|| Some(ParameterIn::Query))
}

/// What an operation takes and gives; `None` is no body, or bytes where the coding is raw.
fn shapes(operation: Operation) -> (Option<Shape>, Option<Shape>) {
    use Operation as O;
    match operation {
        O::DeploymentRead => (None, shape::<deployment::DeploymentFile>()),
        O::ApiDescribe | O::ChunkWrite | O::ChunkRead | O::LogCheckpoint | O::LogTile => (None, None),
        O::UserRegister => (shape::<user::RegisterRequest>(), shape::<user::RegisterReply>()),
        O::SessionChallenge => (shape::<session::ChallengeRequest>(), shape::<session::ChallengeReply>()),
        O::SessionLogin => (shape::<session::LoginRequest>(), shape::<session::LoginReply>()),
        O::SessionLogout | O::SessionEnd | O::UploadAbandon => (None, None),
        O::SessionList => (None, shape::<session::SessionListReply>()),
        O::UserSelf => (None, shape::<user::UserView>()),
        O::UserLookup => (None, shape::<user::UserCard>()),
        O::UserList => (None, shape::<user::UserListReply>()),
        O::UserState => (shape::<user::UserStateRequest>(), shape::<user::UserView>()),
        O::UserPermissions => (shape::<user::PermissionsRequest>(), None),
        O::ProfileList => (None, shape::<profile::ProfileListReply>()),
        O::ProfileSet => (shape::<profile::ProfileSetRequest>(), None),
        O::ProfileApply => (shape::<profile::ProfileApplyRequest>(), None),
        O::RequirementList => (None, shape::<certification::RequirementListReply>()),
        O::RequirementSet => (shape::<certification::RequirementSetRequest>(), None),
        O::LevelList => (None, shape::<certification::LevelListReply>()),
        O::LevelSet => (shape::<certification::LevelSetRequest>(), None),
        O::ProjectList => (None, shape::<project::ProjectListReply>()),
        O::ProjectCreate => (shape::<project::ProjectCreateRequest>(), None),
        O::ProjectChange => (shape::<project::ProjectChangeRequest>(), None),
        O::ProfileDelete | O::RequirementDelete | O::LevelDelete | O::ProjectDelete | O::MemberRemove => (None, None),
        O::ProjectHeads => (None, shape::<project::ProjectHeadsReply>()),
        O::MemberList => (None, shape::<project::MemberListReply>()),
        O::MemberSet => (shape::<project::MemberSetRequest>(), shape::<project::MemberSetReply>()),
        O::CertificationList => (None, shape::<certification::CertificationListReply>()),
        O::CertificationSet => (shape::<certification::CertificationSetRequest>(), shape::<certification::CertificationSetReply>()),
        O::CertificationExpire => (shape::<certification::CertificationExpireRequest>(), None),
        O::BulkStart => (shape::<bulk::BulkStartRequest>(), shape::<bulk::BulkView>()),
        O::BulkList => (None, shape::<bulk::BulkListReply>()),
        O::BulkRead => (None, shape::<bulk::BulkReadReply>()),
        O::BulkResume => (shape::<bulk::BulkResumeRequest>(), shape::<bulk::BulkView>()),
        O::BulkStop => (None, shape::<bulk::BulkView>()),
        O::WorkingSet => (shape::<project::WorkingSetRequest>(), shape::<project::WorkingSetReply>()),
        O::TeamList => (None, shape::<team::TeamListReply>()),
        O::TeamCreate => (shape::<team::TeamCreateRequest>(), None),
        O::TeamChange => (shape::<team::TeamChangeRequest>(), None),
        O::TeamQuota => (shape::<team::TeamQuotaRequest>(), None),
        O::TeamDelete | O::TeamUnassign => (None, None),
        O::TeamMembers => (None, shape::<team::TeamMembersReply>()),
        O::TeamAdd => (shape::<team::TeamAddRequest>(), None),
        O::TeamRemove => (None, shape::<team::TeamRemoveReply>()),
        O::TeamManager => (shape::<team::TeamManagerRequest>(), None),
        O::TeamAssign => (shape::<team::TeamAssignRequest>(), None),
        O::BundleRotate => (shape::<user::BundleRotateRequest>(), shape::<user::BundleReply>()),
        O::BundleRead => (None, shape::<user::BundleReply>()),
        O::PinReport => (shape::<user::PinReportRequest>(), None),
        O::HomeCreate => (shape::<node::HomeCreateRequest>(), shape::<node::HeadReply>()),
        O::VaultRoots => (None, shape::<node::RootsReply>()),
        O::NodeList => (shape::<node::ListRequest>(), shape::<node::ListReply>()),
        O::NodeStat => (shape::<node::StatRequest>(), shape::<node::StatReply>()),
        O::NodeCreate => (shape::<node::CreateRequest>(), shape::<node::HeadReply>()),
        O::NodeRename => (shape::<node::RenameRequest>(), shape::<node::HeadReply>()),
        O::NodeMove => (shape::<node::MoveRequest>(), shape::<node::HeadReply>()),
        O::NodeTrash => (shape::<node::TrashRequest>(), shape::<node::HeadReply>()),
        O::NodeRestore => (shape::<node::RestoreRequest>(), shape::<node::HeadReply>()),
        O::NodeDelete => (shape::<node::DeleteRequest>(), shape::<node::DeleteReply>()),
        O::NodeRekey => (shape::<node::RekeyRequest>(), shape::<node::HeadReply>()),
        O::NodeTag => (shape::<node::TagRequest>(), shape::<node::HeadReply>()),
        O::NodeHistory => (None, shape::<node::HistoryReply>()),
        O::TrashList => (None, shape::<node::TrashReply>()),
        O::UploadBegin => (shape::<upload::UploadBeginRequest>(), shape::<upload::UploadBeginReply>()),
        O::UploadStatus => (None, shape::<upload::UploadStatusReply>()),
        O::VersionPublish => (shape::<version::PublishRequest>(), shape::<version::PublishReply>()),
        O::VersionList => (shape::<version::VersionListRequest>(), shape::<version::VersionListReply>()),
        O::ContentOpen => (shape::<version::OpenRequest>(), shape::<version::OpenReply>()),
        O::GrantCreate => (shape::<grant::GrantCreateRequest>(), None),
        O::GrantRevoke => (shape::<grant::GrantRevokeRequest>(), shape::<grant::GrantEndReply>()),
        O::GrantLeave => (shape::<grant::GrantLeaveRequest>(), shape::<grant::GrantEndReply>()),
        O::GrantList => (shape::<grant::GrantListRequest>(), shape::<grant::GrantListReply>()),
        O::GrantExpire | O::ReminderSend | O::GroupDelete | O::JoinWithdraw => (None, None),
        O::JoinAsk => (shape::<join::JoinAskRequest>(), None),
        O::JoinRefuse => (shape::<join::JoinRefuseRequest>(), None),
        O::JoinList => (None, shape::<join::JoinListReply>()),
        O::GroupList => (None, shape::<group::GroupListReply>()),
        O::GroupRead => (None, shape::<group::GroupReadReply>()),
        O::GroupCreate => (shape::<group::GroupCreateRequest>(), shape::<group::GroupReply>()),
        O::GroupChange => (shape::<group::GroupChangeRequest>(), shape::<group::GroupReply>()),
        O::CompartmentRead => (shape::<group::CompartmentReadRequest>(), shape::<group::CompartmentReadReply>()),
        O::CompartmentRenew => (shape::<group::CompartmentRenewRequest>(), shape::<group::CompartmentReply>()),
        O::CompartmentSeal => (shape::<group::CompartmentSealRequest>(), shape::<group::CompartmentReply>()),
        O::AccessLosses => (shape::<access::AccessLossesRequest>(), shape::<access::AccessLossesReply>()),
        O::AccessExplain => (shape::<access::AccessExplainRequest>(), shape::<access::AccessExplainReply>()),
        O::GroupSeal => (shape::<group::GroupSealRequest>(), shape::<group::GroupReply>()),
        O::GroupRename => (shape::<group::GroupRenameRequest>(), shape::<group::GroupReply>()),
        O::NotificationList => (None, shape::<notification::NotificationListReply>()),
        O::NotificationRead => (shape::<notification::NotificationReadRequest>(), shape::<notification::NotificationReadReply>()),
        O::EventFollow => (None, shape::<notification::EventData>()),
        O::AuditEntries | O::KeyLeaves => (shape::<log::EntriesRequest>(), shape::<log::EntriesReply>()),
    }
}

fn queries(operation: Operation) -> Vec<Parameter> {
    match operation {
        Operation::UserList => query::<user::UserListQuery>(),
        Operation::ProjectHeads => query::<project::ProjectHeadsQuery>(),
        Operation::BulkRead => query::<bulk::BulkReadQuery>(),
        Operation::UserLookup => query::<user::UserLookupQuery>(),
        Operation::NodeHistory | Operation::ProjectList | Operation::MemberList | Operation::TeamList | Operation::TeamMembers => {
            query::<node::PageQuery>()
        }
        Operation::CertificationList => query::<certification::CertificationListQuery>(),
        Operation::JoinList => query::<join::JoinListQuery>(),
        Operation::TrashList => query::<node::TrashQuery>(),
        Operation::GroupRead => query::<group::GroupReadQuery>(),
        Operation::NotificationList => query::<notification::NotificationListQuery>(),
        Operation::LogTile => query::<log::TileQuery>(),
        _ => Vec::new(),
    }
}

/// The document, pretty-printed JSON with keys in a fixed order.
pub fn document() -> Vec<u8> {
    let mut paths = PathsBuilder::new();
    let mut components = ComponentsBuilder::new().security_scheme(
        "session",
        SecurityScheme::Http(Http::builder().scheme(HttpAuthScheme::Bearer).description(Some(SESSION)).build()),
    );
    let problem = shape::<Problem>();
    let mut known = problem.map(|problem| problem.schemas).unwrap_or_default();
    for endpoint in ENDPOINTS {
        let (request, reply) = shapes(endpoint.operation);
        paths = paths.path(endpoint.path, PathItem::new(method(endpoint.method), describe(endpoint, request.as_ref(), reply.as_ref())));
        known.extend(request.into_iter().chain(reply).flat_map(|shape| shape.schemas));
    }
    for (name, schema) in known {
        components = components.schema(name, schema);
    }
    let info = InfoBuilder::new().title("ticrypt").version("1").description(Some(ABOUT)).build();
    let document = OpenApiBuilder::new().info(info).paths(paths.build()).components(Some(components.build())).build();
    // Through a value, whose maps are sorted: the document is the same at each build.
    let mut value = serde_json::to_value(&document).unwrap_or(Value::Null);
    // Whether a map keeps the order of its making depends on who else is built.
    value.sort_all_objects();
    let mut bytes = serde_json::to_vec_pretty(&value).unwrap_or_default();
    bytes.push(b'\n');
    bytes
}

const ABOUT: &str = "Additive only within /v1. Errors are RFC 9457 problem details with a stable `code`. Signed records inside bodies are \
                     described in docs/formats.md.";
const SESSION: &str = "The token of a session, on a connection bound to it: by the login made on it, or by the header ticrypt-binding on \
                       its first request.";

const RESUME: &str = "the id of the last event that was received: those after it come first; without it, those from now on";

fn method(method: Method) -> HttpMethod {
    match method {
        Method::Get => HttpMethod::Get,
        Method::Post => HttpMethod::Post,
        Method::Put => HttpMethod::Put,
        Method::Delete => HttpMethod::Delete,
    }
}

fn describe(endpoint: &Endpoint, request: Option<&Shape>, reply: Option<&Shape>) -> utoipa::openapi::path::Operation {
    let operation = endpoint.operation;
    let effect = match operation.effect() {
        Effect::Reads => "Reads; not recorded.",
        Effect::HandsOut => "Hands something out; recorded before the answer.",
        Effect::Changes => "Changes state; recorded before and after.",
    };
    let mut builder = OperationBuilder::new()
        .operation_id(Some(operation.name()))
        .tag(operation.name().split('.').next().unwrap_or_default())
        .description(Some(effect));
    for name in endpoint.path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}')) {
        builder = builder.parameter(parameter(name, ParameterIn::Path, Required::True, ""));
    }
    for query in queries(operation) {
        builder = builder.parameter(query);
    }
    if operation.caller() == Caller::Session {
        builder = builder.security(SecurityRequirement::new("session", Vec::<String>::new()));
        builder = builder.parameter(parameter(BINDING_HEADER, ParameterIn::Header, Required::False, SESSION));
    }
    if matches!(operation, Operation::ChunkRead | Operation::ChunkWrite) {
        builder =
            builder.parameter(parameter(TICKET_HEADER, ParameterIn::Header, Required::True, "base64url of a ticket of the file role"));
    }
    if operation == Operation::EventFollow {
        builder = builder.parameter(parameter(LAST_EVENT_HEADER, ParameterIn::Header, Required::False, RESUME));
    }
    let content = |shape: Option<&Shape>| match shape {
        Some(shape) => ContentBuilder::new().schema(Some(Ref::from_schema_name(&shape.name))).build(),
        None => {
            ContentBuilder::new().schema(Some(ObjectBuilder::new().schema_type(Type::String).description(Some("bytes")).build())).build()
        }
    };
    let media = endpoint.codec.media_type();
    if request.is_some() || (endpoint.codec == Codec::Raw && endpoint.method == Method::Put) {
        builder =
            builder.request_body(Some(RequestBodyBuilder::new().content(media, content(request)).required(Some(Required::True)).build()));
    }
    let mut done = ResponseBuilder::new().description("done");
    if reply.is_some() || endpoint.codec == Codec::Raw {
        done = done.content(media, content(reply));
    }
    let problem = ContentBuilder::new().schema(Some(Ref::from_schema_name("Problem"))).build();
    builder
        .response("200", done.build())
        .response("default", ResponseBuilder::new().description("not done").content("application/problem+json", problem).build())
        .build()
}

fn parameter(name: &str, place: ParameterIn, required: Required, about: &str) -> Parameter {
    let schema = ObjectBuilder::new().schema_type(Type::String).build();
    ParameterBuilder::new()
        .name(name)
        .parameter_in(place)
        .required(required)
        .description((!about.is_empty()).then_some(about))
        .schema(Some(schema))
        .build()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    /// `UPDATE_GOLDENS=1 cargo test` writes the file anew; a change of it is a change of the contract.
    #[test]
    fn the_description_is_the_golden_one() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../openapi/v1.json");
        let now = String::from_utf8(document()).unwrap();
        if std::env::var_os("UPDATE_GOLDENS").is_some() {
            std::fs::create_dir_all(concat!(env!("CARGO_MANIFEST_DIR"), "/../openapi")).unwrap();
            std::fs::write(path, &now).unwrap();
        }
        let golden = std::fs::read_to_string(path).unwrap();
        assert!(golden == now, "openapi/v1.json differs from the code; run with UPDATE_GOLDENS=1 and review the change");
    }

    #[test]
    fn every_endpoint_is_described_and_every_reference_leads_somewhere() {
        let document: Value = serde_json::from_slice(&document()).unwrap();
        assert!(document["openapi"].as_str().unwrap().starts_with("3.1"));
        for endpoint in ENDPOINTS {
            let word = format!("{:?}", endpoint.method).to_lowercase();
            assert_eq!(document["paths"][endpoint.path][word]["operationId"], endpoint.operation.name());
        }
        let schemas = document["components"]["schemas"].as_object().unwrap();
        let text = document.to_string();
        for reference in text.split("#/components/schemas/").skip(1) {
            let name = reference.split('"').next().unwrap();
            assert!(schemas.contains_key(name), "{name} is not described");
        }
    }
}
