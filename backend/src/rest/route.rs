//! From HTTP to handlers and back: one route for each endpoint of the contract, the same steps for all of them.

use std::sync::Arc;
use std::time::Instant;

use axum::body::Body;
use axum::extract::{RawPathParams, Request};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::Response;
use axum::routing::{MethodFilter, MethodRouter, on};
use axum::{RequestExt, Router};
use data_encoding::BASE64URL_NOPAD;
use ticrypt_api::endpoint::{ENDPOINTS, Method, RECEIPT_HEADER, REQUEST_HEADER, VERSION_HEADER};
use ticrypt_api::{ApiError, Endpoint, ErrorKind, status};
use ticrypt_types::operation::Caller as Who;
use ticrypt_types::{Operation, RequestId, Timestamp};
use tracing::Instrument;

use super::call::{Answer, Call, body_limit, read_body, too_large};
use super::limit::address_key;
use super::{BODY_UNIT_BYTES, Rest};
use crate::connection::Connection;
use crate::presence::Session;

/// This program's version, on every answer.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The router; every endpoint of the contract and nothing else.
pub fn router(rest: Arc<Rest>) -> Router {
    let mut router = Router::new();
    for endpoint in ENDPOINTS {
        router = router.route(endpoint.path, method_router(&rest, endpoint));
    }
    let fallback = |code: &'static str, kind, message: &'static str| {
        move |request: Request| async move { Sent::new(request.headers()).error(ApiError::new(kind, code, message)) }
    };
    router
        .fallback(fallback("no_such_endpoint", ErrorKind::NotFound, "there is no such endpoint; update the client or the server"))
        .method_not_allowed_fallback(fallback("no_such_method", ErrorKind::Invalid, "this endpoint does not take that method"))
}

fn method_router(rest: &Arc<Rest>, endpoint: &'static Endpoint) -> MethodRouter {
    let filter = match endpoint.method {
        Method::Get => MethodFilter::GET,
        Method::Post => MethodFilter::POST,
        Method::Put => MethodFilter::PUT,
        Method::Delete => MethodFilter::DELETE,
    };
    let rest = Arc::clone(rest);
    on(filter, move |request: Request| serve(Arc::clone(&rest), endpoint, request))
}

/// What every answer carries.
struct Sent {
    request: RequestId,
}

impl Sent {
    /// Takes the id a client proposes, if it is one.
    fn new(headers: &HeaderMap) -> Self {
        let proposed = headers.get(REQUEST_HEADER).and_then(|value| value.to_str().ok()).and_then(|text| text.parse().ok());
        let mut random = [0; 16];
        // Without randomness nothing else works either; an id of zeros still leads to the log line.
        let _ = aws_lc_rs::rand::fill(&mut random);
        Self { request: proposed.unwrap_or_else(|| RequestId::from_random(random)) }
    }

    fn headers(&self, mut response: Response) -> Response {
        let headers = response.headers_mut();
        headers.insert(VERSION_HEADER, HeaderValue::from_static(VERSION));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        if let Ok(id) = HeaderValue::from_str(&self.request.to_string()) {
            headers.insert(HeaderName::from_static(REQUEST_HEADER), id);
        }
        response
    }

    fn answer(&self, answer: Answer, receipt: Option<Vec<u8>>) -> Response {
        let mut response = Response::new(answer.body);
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(answer.media_type));
        if let Some(value) = receipt.and_then(|bytes| HeaderValue::from_str(&BASE64URL_NOPAD.encode(&bytes)).ok()) {
            response.headers_mut().insert(RECEIPT_HEADER, value);
        }
        self.headers(response)
    }

    fn error(&self, error: ApiError) -> Response {
        let problem = status::problem(&error, self.request);
        let body = serde_json::to_vec(&problem).unwrap_or_default();
        let mut response = Response::new(Body::from(body));
        *response.status_mut() = StatusCode::from_u16(problem.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if let Some(wait_ms) = error.retry_after_ms {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(wait_ms.div_ceil(1_000)));
        }
        self.headers(response)
    }
}

async fn serve(rest: Arc<Rest>, endpoint: &'static Endpoint, request: Request) -> Response {
    let began = Instant::now();
    let sent = Sent::new(request.headers());
    let operation = endpoint.operation;
    let span = tracing::info_span!("request", op = operation.name(), request.id = %sent.request, actor.id = tracing::field::Empty);
    let result = answer(&rest, endpoint, sent.request, request).instrument(span.clone()).await;
    let response = match result {
        Ok((answer, receipt)) => sent.answer(answer, receipt),
        Err(error) => {
            span.in_scope(|| tracing::debug!(code = error.code, "refused"));
            sent.error(error)
        }
    };
    rest.metrics.request(operation, response.status().as_u16(), began.elapsed());
    response
}

/// The steps before and after a handler.
async fn answer(
    rest: &Arc<Rest>,
    endpoint: &'static Endpoint,
    request_id: RequestId,
    mut request: Request,
) -> Result<(Answer, Option<Vec<u8>>), ApiError> {
    let connection = request.extensions().get::<Arc<Connection>>().cloned().ok_or_else(ApiError::broken)?;
    let now = rest.clock.now();
    check_version(request.headers())?;
    let session = admit(rest, endpoint.operation, &connection, request.headers(), now).await?;
    if let Some(session) = &session {
        tracing::Span::current().record("actor.id", tracing::field::display(session.user));
    }
    let parameters = match request.extract_parts::<RawPathParams>().await {
        Ok(parameters) => parameters.iter().map(|(_, value)| value.to_owned()).collect(),
        Err(_) => Vec::new(),
    };
    let (parts, body) = request.into_parts();
    let body = take_body(rest, endpoint, &parts.headers, body).await?;
    let (body, _held) = body;
    let call = Call {
        endpoint,
        request: request_id,
        connection,
        // The body may have taken a while to come.
        now: rest.clock.now(),
        session,
        parameters,
        uri: parts.uri,
        headers: parts.headers,
        body,
    };
    let task = {
        let rest = Arc::clone(rest);
        async move {
            let answer = rest.handle(&call).await?;
            let receipt = answer.opened.map(|opened| rest.audit.receipt(opened)).transpose()?;
            Ok((answer, receipt))
        }
    };
    // A task of its own: when the client hangs up, what has begun is finished.
    rest.tasks.spawn(task.instrument(tracing::Span::current())).await.unwrap_or_else(|error| {
        tracing::error!(error = %error, "a handler ended badly");
        Err(ApiError::broken())
    })
}

/// Rate limits and identification. What costs us before we know who it is counts for the address.
async fn admit(
    rest: &Arc<Rest>,
    operation: Operation,
    connection: &Arc<Connection>,
    headers: &HeaderMap,
    now: Timestamp,
) -> Result<Option<Arc<Session>>, ApiError> {
    let known = connection.bound().and_then(|session| rest.presence.by_id(session));
    match &known {
        Some(session) => rest.people.take(&session.user, now)?,
        None => rest.addresses.take(&address_key(connection.peer.ip()), now)?,
    }
    if operation.caller() == Who::Anyone {
        return Ok(None);
    }
    let session = rest.identify(connection, headers, now).await?;
    if known.is_none() {
        rest.people.take(&session.user, now)?;
    }
    rest.note_use(&session, now);
    Ok(Some(session))
}

type Held<'a> = tokio::sync::SemaphorePermit<'a>;

/// The body, once there is room for it.
async fn take_body<'a>(rest: &'a Rest, endpoint: &Endpoint, headers: &HeaderMap, body: Body) -> Result<(bytes::Bytes, Held<'a>), ApiError> {
    let limit = body_limit(endpoint);
    let length = headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()).and_then(|text| text.parse::<usize>().ok());
    if length.is_some_and(|length| length > limit) {
        return Err(too_large(limit));
    }
    let has_body = matches!(endpoint.method, Method::Post | Method::Put);
    let media_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    if has_body && media_type.is_some_and(|found| found.split(';').next().map(str::trim) != Some(endpoint.codec.media_type())) {
        return Err(ApiError::new(ErrorKind::Invalid, "media_type", format!("this endpoint takes {}", endpoint.codec.media_type())));
    }
    let units = u32::try_from(length.unwrap_or(limit).div_ceil(BODY_UNIT_BYTES)).unwrap_or(u32::MAX).max(1);
    let held = rest.bodies.acquire_many(units).await.map_err(|_| ApiError::broken())?;
    Ok((read_body(body, length, limit, rest.body_stall()).await?, held))
}

/// Whose side to update, when the two do not go together: the first number, and before 1.0 the second.
fn check_version(headers: &HeaderMap) -> Result<(), ApiError> {
    let Some(theirs) = headers.get(VERSION_HEADER).and_then(|value| value.to_str().ok()) else { return Ok(()) };
    let series = |version: &str| {
        let mut numbers = version.split('.').map(|part| part.parse::<u32>().ok());
        let (major, minor) = (numbers.next()??, numbers.next()??);
        Some(if major == 0 { (0, minor) } else { (major, 0) })
    };
    let Some(found) = series(theirs) else {
        return Err(ApiError::invalid("the version header is not major.minor.patch"));
    };
    match found.cmp(&series(VERSION).unwrap_or_default()) {
        std::cmp::Ordering::Equal => Ok(()),
        std::cmp::Ordering::Less => Err(skew(theirs, "update the client")),
        std::cmp::Ordering::Greater => Err(skew(theirs, "the server must be updated; tell an administrator")),
    }
}

fn skew(theirs: &str, advice: &str) -> ApiError {
    let harmless: String = theirs.chars().filter(|c| c.is_ascii_digit() || *c == '.').take(20).collect();
    ApiError::new(ErrorKind::Invalid, "version_skew", format!("the client has version {harmless}, the server {VERSION}; {advice}"))
}

impl Rest {
    /// Every operation has its handler here; the compiler sees to it.
    pub(super) async fn handle(self: &Arc<Self>, call: &Call) -> Result<Answer, ApiError> {
        match call.operation() {
            Operation::DeploymentRead => self.read_deployment(call),
            Operation::ApiDescribe => self.describe_api(call),

            Operation::UserRegister => self.register(call).await,
            Operation::SessionChallenge => self.challenge(call),
            Operation::SessionLogin => self.login(call).await,
            Operation::SessionLogout => self.logout(call).await,
            Operation::SessionList => self.list_sessions(call).await,
            Operation::SessionEnd => self.end_session(call).await,
            Operation::UserSelf => self.read_self(call).await,
            Operation::UserLookup => self.look_up(call).await,
            Operation::UserList => self.list_users(call).await,
            Operation::UserState => self.change_user(call).await,
            Operation::BundleRotate => self.rotate_bundle(call).await,
            Operation::BundleRead => self.read_bundle(call).await,
            Operation::PinReport => self.report_pin(call).await,
            Operation::UserPermissions => self.set_permissions(call).await,
            Operation::ProfileList => self.list_profiles(call).await,
            Operation::ProfileSet => self.set_profile(call).await,
            Operation::ProfileDelete => self.delete_profile(call).await,
            Operation::ProfileApply => self.apply_profile(call).await,

            Operation::RequirementList => self.list_requirements(call).await,
            Operation::RequirementSet => self.set_requirement(call).await,
            Operation::RequirementDelete => self.delete_requirement(call).await,
            Operation::LevelList => self.list_levels(call).await,
            Operation::LevelSet => self.set_level(call).await,
            Operation::LevelDelete => self.delete_level(call).await,
            Operation::ProjectList => self.list_projects(call).await,
            Operation::ProjectCreate => self.create_project(call).await,
            Operation::ProjectChange => self.change_project(call).await,
            Operation::ProjectDelete => self.delete_project(call).await,
            Operation::MemberList => self.list_members(call).await,
            Operation::ProjectHeads => self.project_heads(call).await,
            Operation::MemberSet => self.set_members(call).await,
            Operation::MemberRemove => self.withdraw_member(call).await,
            Operation::CertificationList => self.list_certifications(call).await,
            Operation::CertificationSet => self.certify(call).await,
            Operation::CertificationExpire => self.expire_certification(call).await,
            Operation::JoinAsk => self.ask_to_join(call).await,
            Operation::JoinWithdraw => self.withdraw_join(call).await,
            Operation::JoinRefuse => self.refuse_join(call).await,
            Operation::JoinList => self.list_joins(call).await,
            Operation::WorkingSet => self.set_working_set(call).await,

            Operation::BulkStart => self.start_bulk(call).await,
            Operation::BulkList => self.list_bulks(call).await,
            Operation::BulkRead => self.read_bulk(call).await,
            Operation::BulkResume => self.resume_bulk(call).await,
            Operation::BulkStop => self.stop_bulk(call).await,
            Operation::TeamList => self.list_teams(call).await,
            Operation::TeamCreate => self.create_team(call).await,
            Operation::TeamChange => self.change_team(call).await,
            Operation::TeamQuota => self.set_quotas(call).await,
            Operation::TeamDelete => self.delete_team(call).await,
            Operation::TeamMembers => self.list_team_members(call).await,
            Operation::TeamAdd => self.add_team_member(call).await,
            Operation::TeamRemove => self.remove_team_member(call).await,
            Operation::TeamManager => self.set_team_manager(call).await,
            Operation::TeamAssign => self.assign_team(call).await,
            Operation::TeamUnassign => self.unassign_team(call).await,

            Operation::HomeCreate
            | Operation::VaultRoots
            | Operation::NodeList
            | Operation::NodeStat
            | Operation::NodeCreate
            | Operation::NodeRename
            | Operation::NodeMove
            | Operation::NodeTrash
            | Operation::NodeRestore
            | Operation::NodeDelete
            | Operation::NodeRekey
            | Operation::NodeTag
            | Operation::NodeHistory
            | Operation::TrashList
            | Operation::UploadBegin
            | Operation::UploadStatus
            | Operation::UploadAbandon
            | Operation::VersionPublish
            | Operation::VersionList
            | Operation::ContentOpen
            | Operation::GrantCreate
            | Operation::GrantRevoke
            | Operation::GrantLeave
            | Operation::GrantList
            | Operation::AccessExplain
            | Operation::AccessLosses
            | Operation::GroupList
            | Operation::GroupRead
            | Operation::GroupCreate
            | Operation::GroupChange
            | Operation::GroupSeal
            | Operation::CompartmentRead
            | Operation::CompartmentRenew
            | Operation::CompartmentSeal
            | Operation::GroupRename
            | Operation::GroupDelete => self.vault(call).await,

            Operation::ChunkWrite => self.write_chunk(call).await,
            Operation::ChunkRead => self.read_chunk(call).await,

            Operation::NotificationList => self.list_notifications(call).await,
            Operation::NotificationRead => self.read_notifications(call).await,
            Operation::EventFollow => self.follow_events(call).await,

            Operation::LogCheckpoint => self.read_checkpoint(call).await,
            Operation::LogTile => self.read_tile(call).await,
            Operation::AuditEntries => self.read_entries(call).await,
            Operation::KeyLeaves => self.read_key_leaves(call).await,
            Operation::GrantExpire | Operation::ReminderSend => Err(ApiError::not_found()),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn versions(text: &'static str) -> Result<(), ApiError> {
        let mut headers = HeaderMap::new();
        headers.insert(VERSION_HEADER, HeaderValue::from_static(text));
        check_version(&headers)
    }

    #[test]
    fn a_mismatch_says_which_side_to_update() {
        versions(VERSION).unwrap();
        check_version(&HeaderMap::new()).unwrap();
        assert!(versions("9.0.0").unwrap_err().message.contains("server must be updated"));
        assert!(versions("0.0.1").unwrap_err().message.contains("update the client"));
        assert_eq!(versions("newest").unwrap_err().code, "invalid");
    }
}
