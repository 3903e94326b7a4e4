//! Calls: encode, send, repeat what may be repeated, decode.

use std::time::Duration;

use bytes::Bytes;
use data_encoding::BASE64URL_NOPAD;
use http_body_util::Full;
use hyper::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HOST, HeaderName, HeaderValue};
use hyper::{Request, Response, body::Incoming};
use serde::Serialize;
use serde::de::DeserializeOwned;
use ticrypt_api::endpoint::{BINDING_HEADER, LAST_EVENT_HEADER, RECEIPT_HEADER, TICKET_HEADER, VERSION_HEADER};
use ticrypt_api::{Codec, Endpoint, Method, wire};
use ticrypt_types::operation::{Caller, Effect};
use ticrypt_types::{Operation, VersionId};

use super::reply::{CBOR_MAX_BYTES, CHUNK_MAX_BYTES, JSON_MAX_BYTES, LOG_MAX_BYTES, read_body, read_problem};
use super::{Connection, Failure, Lease, Transport, lock};
use crate::entropy;
use crate::error::{ClientError, Kind, Result};

/// No query string.
pub type NoQuery = ();

/// Longest wait that a server may ask of us before we give up and tell the person.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(5);
const VERSION: &str = env!("CARGO_PKG_VERSION");

/// One request, ready to be sent as often as needed.
pub(super) struct Prepared {
    endpoint: &'static Endpoint,
    target: String,
    body: Bytes,
    ticket: Option<String>,
    /// The event after which a stream goes on.
    pub(super) last_event: Option<u64>,
    pub(super) timeout: Duration,
    reply_max_bytes: usize,
}

impl Transport {
    /// Calls an operation: path parameters in order, a query (or `&()`), and the request its endpoint takes (or `&()`).
    pub async fn call<Q: Serialize, A: DeserializeOwned>(
        &self,
        operation: Operation,
        parameters: &[&str],
        query: &impl Serialize,
        request: &Q,
    ) -> Result<A> {
        let prepared = self.prepare(operation, parameters, query, request)?;
        let body = self.exchange(&prepared).await?;
        self.decode(prepared.endpoint.codec, &body)
    }

    /// The same on one connection, once.
    pub async fn call_on<Q: Serialize, A: DeserializeOwned>(
        &self,
        lease: &mut Lease,
        operation: Operation,
        parameters: &[&str],
        request: &Q,
    ) -> Result<A> {
        let prepared = self.prepare(operation, parameters, &(), request)?;
        let body = self.attempt(lease, &prepared).await.map_err(Failure::into_error)?;
        self.decode(prepared.endpoint.codec, &body)
    }

    /// The bytes of a raw endpoint: checkpoints and tiles of the logs.
    pub async fn get_raw(&self, operation: Operation, parameters: &[&str], query: &impl Serialize) -> Result<Vec<u8>> {
        self.exchange(&self.prepare(operation, parameters, query, &())?).await
    }

    /// Stores a chunk. The bytes are sent from where they lie; a repetition sends the same.
    pub async fn put_chunk(&self, version: VersionId, number: u64, ticket: &[u8], chunk: Bytes) -> Result<()> {
        let mut prepared = self.prepare(Operation::ChunkWrite, &[&version.to_string(), &number.to_string()], &(), &())?;
        prepared.body = chunk;
        prepared.ticket = Some(BASE64URL_NOPAD.encode(ticket));
        self.exchange(&prepared).await.map(|_| ())
    }

    /// Fetches a stored chunk, in a buffer of its own that may be decrypted in place.
    pub async fn get_chunk(&self, version: VersionId, number: u64, ticket: &[u8]) -> Result<Vec<u8>> {
        let mut prepared = self.prepare(Operation::ChunkRead, &[&version.to_string(), &number.to_string()], &(), &())?;
        prepared.ticket = Some(BASE64URL_NOPAD.encode(ticket));
        self.exchange(&prepared).await
    }

    pub(super) fn prepare<Q: Serialize>(
        &self,
        operation: Operation,
        parameters: &[&str],
        query: &impl Serialize,
        request: &Q,
    ) -> Result<Prepared> {
        let endpoint = Endpoint::of(operation)
            .ok_or_else(|| ClientError::broken(format!("the operation {} has no endpoint; update this program", operation.name())))?;
        let parameters: Vec<String> = parameters.iter().map(|parameter| percent(parameter)).collect();
        let filled = endpoint.fill(&parameters.iter().map(String::as_str).collect::<Vec<_>>());
        let body = match endpoint.method {
            Method::Post | Method::Put if matches!(endpoint.codec, Codec::Json | Codec::Cbor) => wire::encode(endpoint.codec, request)
                .map_err(|e| ClientError::broken(format!("the request {} cannot be written", operation.name())).because(e))?,
            _ => Vec::new(),
        };
        let options = self.options();
        let chunk = matches!(operation, Operation::ChunkRead | Operation::ChunkWrite);
        Ok(Prepared {
            endpoint,
            target: filled + &query_string(query)?,
            body: body.into(),
            ticket: None,
            last_event: None,
            timeout: if chunk || endpoint.codec == Codec::Cbor { options.transfer_timeout } else { options.request_timeout },
            reply_max_bytes: match endpoint.codec {
                Codec::Json => JSON_MAX_BYTES,
                Codec::Cbor => CBOR_MAX_BYTES,
                Codec::Raw if chunk => CHUNK_MAX_BYTES,
                Codec::Raw => LOG_MAX_BYTES,
                // Bounded event by event.
                Codec::Events => 0,
            },
        })
    }

    /// Sends until there is an answer, or until another try could do harm or no good.
    async fn exchange(&self, prepared: &Prepared) -> Result<Vec<u8>> {
        let mut tried = 0;
        // Why it was tried again.
        let mut first: Option<ClientError> = None;
        loop {
            tried += 1;
            let result = match self.lease_or_fail().await {
                Ok(mut lease) => self.attempt(&mut lease, prepared).await,
                Err(failure) => Err(failure),
            };
            let failure = match result {
                Ok(body) => return Ok(body),
                Err(failure) => failure,
            };
            let wait = self.backoff(tried);
            let wait = match &failure {
                _ if tried >= self.options().attempts => None,
                Failure::NotSent(_) => Some(wait),
                Failure::Lost(_) => repeatable(prepared.endpoint.operation).then_some(wait),
                Failure::Answered(error) => answered_wait(error, prepared.endpoint.operation, wait),
                Failure::Fatal(_) => None,
            };
            let Some(wait) = wait else { return Err(telling(first, failure.into_error())) };
            if let Failure::Answered(error) = failure {
                first.get_or_insert(error);
            }
            tracing::debug!(operation = prepared.endpoint.operation.name(), tried, ?wait, "trying again");
            tokio::time::sleep(wait).await;
        }
    }

    /// One try on one connection.
    async fn attempt(&self, lease: &mut Lease, prepared: &Prepared) -> Result<Vec<u8>, Failure> {
        let limit = prepared.timeout;
        let result = match tokio::time::timeout(limit, self.send(lease, prepared)).await {
            Ok(result) => result,
            Err(_) => Err(Failure::Lost(ClientError::unavailable(format!(
                "no complete answer from the server within {} seconds; try again",
                limit.as_secs_f32()
            )))),
        };
        if !matches!(result, Ok(_) | Err(Failure::Answered(_))) {
            lease.spoil();
        }
        result
    }

    async fn send(&self, lease: &mut Lease, prepared: &Prepared) -> Result<Vec<u8>, Failure> {
        let gone = || Failure::NotSent(ClientError::unavailable("the connection was lost; try again"));
        let response = self.respond(lease.connection().ok_or_else(gone)?, prepared).await?;
        read_body(response, prepared.reply_max_bytes).await
    }

    /// Sends on a connection and gives the head of the answer, its body still to come; what is no success is an error.
    pub(super) async fn respond(&self, connection: &mut Connection, prepared: &Prepared) -> Result<Response<Incoming>, Failure> {
        // What anyone may ask is asked without the session: the server would not look at the binding, and we would believe it had.
        let session = self.session().filter(|_| prepared.endpoint.operation.caller() == Caller::Session);
        connection
            .sender
            .ready()
            .await
            .map_err(|e| Failure::NotSent(ClientError::unavailable("the connection was lost; try again").because(e)))?;
        let mut request = build(prepared, &connection.authority).map_err(Failure::Fatal)?;
        if let Some(session) = &session {
            request.headers_mut().insert(AUTHORIZATION, session.bearer().map_err(Failure::Fatal)?);
            if connection.bound != Some(session.session) {
                let binding = session.bind(connection.channel()).await.map_err(Failure::Fatal)?;
                let value = header_value(&BASE64URL_NOPAD.encode(&binding)).map_err(Failure::Fatal)?;
                request.headers_mut().insert(HeaderName::from_static(BINDING_HEADER), value);
            }
        }
        let response = connection.sender.try_send_request(request).await.map_err(|mut e| {
            // With the message handed back, not one byte of it has left.
            let unsent = e.take_message().is_some();
            let error = ClientError::unavailable("the connection was lost before the server answered; try again").because(e.into_error());
            if unsent { Failure::NotSent(error) } else { Failure::Lost(error) }
        })?;
        let success = response.status().is_success();
        if success && let Some(session) = &session {
            connection.bound = Some(session.session);
        }
        self.note(&response);
        if success { Ok(response) } else { Err(read_problem(response).await) }
    }

    /// Keeps what the headers of a reply tell: the server's version and the receipt.
    fn note(&self, response: &Response<Incoming>) {
        let text = |name: &str| response.headers().get(name).and_then(|value| value.to_str().ok());
        if let Some(version) = text(VERSION_HEADER) {
            *lock(&self.inner.server_version) = Some(ticrypt_types::name::Harmless(version).to_string());
        }
        if let (Some(receipt), Some(receipts)) = (text(RECEIPT_HEADER), &self.inner.receipts) {
            receipts.keep(receipt);
        }
    }

    fn decode<A: DeserializeOwned>(&self, codec: Codec, body: &[u8]) -> Result<A> {
        // Nothing to say is said with an empty body; the unit type reads that.
        let decoded = if body.is_empty() { wire::decode(Codec::Json, b"null") } else { wire::decode(codec, body) };
        decoded.map_err(|e| {
            let hint = match self.server_version() {
                Some(version) if version != VERSION => {
                    format!("; it is of version {version}, this program of {VERSION}: {}", to_update(&version))
                }
                _ => "; try again, then tell an administrator".to_owned(),
            };
            ClientError::untrusted(format!("the server's reply cannot be read{hint}")).because(e)
        })
    }

    /// Doubled each time, half of it random, so that many clients do not come back at once.
    pub(crate) fn backoff(&self, tried: u32) -> Duration {
        let full = self.options().backoff.saturating_mul(1 << tried.saturating_sub(1).min(6));
        let full_ms = u64::try_from(full.as_millis()).unwrap_or(u64::MAX);
        Duration::from_millis(full_ms / 2 + entropy::below(full_ms / 2 + 1))
    }
}

/// Of the answers to a first try and to the last repetition, the one that says what is wrong: a repetition may only be told what the first
/// try led to.
fn telling(first: Option<ClientError>, last: ClientError) -> ClientError {
    let follows = last.kind() == Kind::Unavailable || last.code() == "upload_over";
    // One that was to be tried later says nothing of what would have come of it.
    first.filter(|first| follows && first.retry_after_ms().is_none()).unwrap_or(last)
}

/// Which side of a version skew is to be updated, when a server of another version was not understood.
fn to_update(server: &str) -> &'static str {
    let numbers = |version: &str| version.split('.').map(|part| part.parse::<u32>().ok()).collect::<Option<Vec<_>>>();
    match (numbers(server), numbers(VERSION)) {
        (Some(theirs), Some(ours)) if theirs < ours => "the server must be updated; tell an administrator",
        (Some(_), Some(_)) => "update this program",
        _ => "update the older one",
    }
}

/// Whether doing it twice is doing it once: reads, and creates that are named by ids of ours.
fn repeatable(operation: Operation) -> bool {
    match operation.effect() {
        Effect::Reads | Effect::HandsOut => operation != Operation::SessionChallenge,
        Effect::Changes => matches!(
            operation,
            Operation::HomeCreate
                | Operation::NodeCreate
                | Operation::UploadBegin
                | Operation::UploadAbandon
                | Operation::PinReport
                | Operation::NotificationRead
        ),
    }
}

/// After a refusal to answer now: how long to wait, if waiting helps.
fn answered_wait(error: &ClientError, operation: Operation, backoff: Duration) -> Option<Duration> {
    // A back-off after failed logins is the person's to wait for.
    let person = matches!(operation, Operation::SessionLogin | Operation::SessionChallenge | Operation::UserRegister);
    if error.kind() != Kind::Unavailable || person {
        return None;
    }
    match error.retry_after_ms() {
        // Too many requests: it was not even begun.
        Some(ms) => Some(Duration::from_millis(ms).max(backoff)).filter(|wait| *wait <= RETRY_AFTER_MAX),
        None => repeatable(operation).then_some(backoff),
    }
}

fn build(prepared: &Prepared, authority: &str) -> Result<Request<Full<Bytes>>> {
    let endpoint = prepared.endpoint;
    let mut builder = Request::builder()
        .method(match endpoint.method {
            Method::Get => hyper::Method::GET,
            Method::Post => hyper::Method::POST,
            Method::Put => hyper::Method::PUT,
            Method::Delete => hyper::Method::DELETE,
        })
        .uri(&prepared.target)
        .header(HOST, authority)
        .header(VERSION_HEADER, VERSION)
        .header(ACCEPT, endpoint.codec.media_type());
    if !prepared.body.is_empty() {
        builder = builder.header(CONTENT_TYPE, endpoint.codec.media_type());
    }
    if let Some(ticket) = &prepared.ticket {
        builder = builder.header(TICKET_HEADER, header_value(ticket)?);
    }
    if let Some(sequence) = prepared.last_event {
        builder = builder.header(LAST_EVENT_HEADER, sequence);
    }
    builder
        .body(Full::new(prepared.body.clone()))
        .map_err(|e| ClientError::broken("the request cannot be written; update this program").because(e))
}

fn header_value(text: &str) -> Result<HeaderValue> {
    HeaderValue::from_str(text).map_err(|e| ClientError::broken("a value does not fit a header; log in again").because(e))
}

/// A flat struct as `?a=b&c=d`; absent fields stay away, and the unit type gives nothing.
fn query_string(query: &impl Serialize) -> Result<String> {
    let value = serde_json::to_value(query).map_err(|e| ClientError::broken("the query cannot be written").because(e))?;
    let serde_json::Value::Object(fields) = value else { return Ok(String::new()) };
    let mut text = String::new();
    for (name, value) in &fields {
        let value = match value {
            serde_json::Value::Null => continue,
            serde_json::Value::String(value) => value.clone(),
            other => other.to_string(),
        };
        text.push(if text.is_empty() { '?' } else { '&' });
        text.push_str(&format!("{}={}", percent(name), percent(&value)));
    }
    Ok(text)
}

/// RFC 3986 §2: everything but unreserved characters.
fn percent(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use ticrypt_api::log::TileQuery;
    use ticrypt_api::user::UserListQuery;

    #[test]
    fn queries_are_flat_and_encoded() {
        assert_eq!(query_string(&()).unwrap(), "");
        assert_eq!(query_string(&UserListQuery { limit: Some(5), page: None, state: None }).unwrap(), "?limit=5");
        assert_eq!(query_string(&TileQuery { path: "tile/0/001.p/5&x=é".to_owned() }).unwrap(), "?path=tile%2F0%2F001.p%2F5%26x%3D%C3%A9");
    }

    #[test]
    fn only_what_is_done_once_by_its_ids_is_repeated() {
        for operation in Operation::ALL {
            let name = operation.name();
            if repeatable(*operation) {
                assert!(
                    !matches!(
                        name,
                        "session.login" | "session.challenge" | "user.register" | "version.publish" | "grant.create" | "user.state"
                    ),
                    "{name}"
                );
            }
        }
        assert!(repeatable(Operation::ChunkWrite) && repeatable(Operation::NodeCreate) && repeatable(Operation::NodeList));
        assert!(!repeatable(Operation::NodeRename) && !repeatable(Operation::GrantRevoke));
    }

    #[test]
    fn the_cause_is_told_and_not_what_followed_from_it() {
        let answer = |kind, code: &str| ClientError::new(kind, code, code);
        let told = |first, last| telling(first, last).code().to_owned();
        let full = || Some(answer(Kind::Unavailable, "storage_full"));
        assert_eq!(told(full(), answer(Kind::Refused, "upload_over")), "storage_full");
        assert_eq!(told(full(), answer(Kind::Unavailable, "store_unavailable")), "storage_full");
        // What can be acted on is told as it is.
        for code in ["stale", "no_edit", "session_over"] {
            assert_eq!(told(full(), answer(Kind::Refused, code)), code);
        }
        assert_eq!(told(None, answer(Kind::Refused, "upload_over")), "upload_over");
    }

    #[test]
    fn a_short_wait_is_waited_and_a_long_one_told() {
        let busy = |ms| {
            let mut problem = ticrypt_api::status::problem(
                &ticrypt_api::ApiError::new(ticrypt_api::ErrorKind::TooMany, "too_many", "slow down"),
                ticrypt_types::RequestId::from_random([1; 16]),
            );
            problem.retry_after_ms = Some(ms);
            ClientError::from_problem(problem)
        };
        let backoff = Duration::from_millis(100);
        assert_eq!(answered_wait(&busy(2_000), Operation::NodeRename, backoff), Some(Duration::from_secs(2)));
        assert_eq!(answered_wait(&busy(60_000), Operation::NodeRename, backoff), None);
        assert_eq!(answered_wait(&busy(10), Operation::SessionLogin, backoff), None);
    }
}
