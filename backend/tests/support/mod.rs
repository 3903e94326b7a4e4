//! A backend in this process over real TLS, and a small client that can misbehave: it sends what the test tells it to.
#![allow(dead_code, clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering::SeqCst};
use std::time::Duration;

use bytes::Bytes;
use data_encoding::BASE64URL_NOPAD;
use http_body_util::{BodyExt, Full};
use hyper::body::{Body, Incoming};
use hyper::client::conn::http1;
use hyper::header::{CONTENT_TYPE, HOST};
use hyper_util::rt::TokioIo;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use serde::Serialize;
use serde::de::DeserializeOwned;
use ticrypt_api::endpoint::{AUTHORIZATION, BINDING_HEADER, LAST_EVENT_HEADER};
use ticrypt_api::notification::EventData;
use ticrypt_api::session::{ChallengeReply, ChallengeRequest, LoginReply, LoginRequest};
use ticrypt_api::sse::{Block, Parser};
use ticrypt_api::user::{RegisterReply, RegisterRequest, UserStateRequest, UserView};
use ticrypt_api::{Blob, Endpoint, Hash, Problem, wire};
use ticrypt_backend::clock::{Machine, System};
use ticrypt_backend::config::{Config, RegistrationMode};
use ticrypt_backend::wiring::{self, Running, StartError, Surroundings};
use ticrypt_crypto::bundle::Bundle;
use ticrypt_crypto::login::{LoginPayload, SessionBinding};
use ticrypt_crypto::statement::{Action, StatementPayload};
use ticrypt_keyring::{Identity, SessionKey, SystemRandom};
use ticrypt_types::{DeploymentId, Operation, SessionId, Timestamp, UserId, UserName};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// A machine whose clock tests move.
#[derive(Debug, Default)]
pub struct TestMachine {
    real: System,
    passed_ms: AtomicU64,
    /// The wall clock against what it should be.
    off_ms: AtomicI64,
}

impl Machine for TestMachine {
    fn wall(&self) -> Timestamp {
        let right = self.real.wall().as_millis() + self.passed_ms.load(SeqCst);
        Timestamp::from_millis(right.saturating_add_signed(self.off_ms.load(SeqCst)))
    }

    fn even(&self) -> Duration {
        self.real.even() + Duration::from_millis(self.passed_ms.load(SeqCst))
    }
}

impl TestMachine {
    /// Time passes, and every clock shows it.
    pub fn pass(&self, ms: u64) {
        self.passed_ms.fetch_add(ms, SeqCst);
    }

    /// Somebody sets the wall clock so far off what it should be.
    pub fn set_off(&self, ms: i64) {
        self.off_ms.store(ms, SeqCst);
    }
}

/// A backend with a directory of its own.
pub struct Server {
    pub running: Running,
    pub directory: tempfile::TempDir,
    pub config: Config,
    pub machine: Arc<TestMachine>,
}

pub fn config() -> Config {
    let mut config = Config::default();
    config.server.listen = "127.0.0.1:0".parse().unwrap();
    config.health.enabled = false;
    config.registration.mode = RegistrationMode::Open;
    config.limits.address_per_second = 10_000;
    config.limits.address_burst = 10_000;
    config.limits.person_per_second = 10_000;
    config.limits.person_burst = 10_000;
    config.log.checkpoint_interval_ms = 50;
    config
}

/// A server that was stopped.
pub struct Stopped {
    pub directory: tempfile::TempDir,
    pub config: Config,
    pub machine: Arc<TestMachine>,
}

impl Stopped {
    /// Or why it does not start, and what it would start from.
    pub async fn start(self, accept_clock: bool) -> Result<Server, (Self, StartError)> {
        let surroundings = Surroundings { machine: Arc::clone(&self.machine) as _, accept_clock };
        match wiring::start_in(self.config.clone(), self.directory.path(), surroundings).await {
            Ok(running) => Ok(Server { running, directory: self.directory, config: self.config, machine: self.machine }),
            Err(error) => Err((self, error)),
        }
    }
}

impl std::fmt::Debug for Stopped {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Stopped(..)")
    }
}

impl Server {
    pub async fn start() -> Self {
        Self::start_with(config()).await
    }

    pub async fn start_with(config: Config) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let machine = Arc::new(TestMachine::default());
        let surroundings = Surroundings { machine: Arc::clone(&machine) as _, accept_clock: false };
        let running = wiring::start_in(config.clone(), directory.path(), surroundings).await.unwrap();
        Self { running, directory, config, machine }
    }

    pub fn data(&self) -> &Path {
        self.directory.path()
    }

    pub async fn restart(self) -> Self {
        self.stop().await.start(false).await.unwrap()
    }

    /// Stops it; it starts again on the same data and machine.
    pub async fn stop(self) -> Stopped {
        self.running.stop().await.unwrap();
        Stopped { directory: self.directory, config: self.config, machine: self.machine }
    }

    pub fn deployment(&self) -> DeploymentId {
        self.running.file.id
    }

    pub fn now(&self) -> Timestamp {
        self.running.clock.now()
    }

    /// Time passes.
    pub fn advance(&self, ms: u64) {
        self.machine.pass(ms);
    }

    pub async fn wire(&self) -> Wire {
        Wire::open(self.running.address, &self.running.file.tls_pins).await
    }

    /// The first super-admin, logged in.
    pub async fn root(&self) -> Person {
        let mut person = Person::new(self, "root");
        let code = self.running.code.as_ref().expect("a first start has a code").expose().clone();
        let mut wire = self.wire().await;
        let request = person.registration(Some(code), None);
        let reply: RegisterReply = wire.ask(Operation::UserRegister, &[], &request).await.unwrap();
        assert_eq!(reply.user, person.id());
        person.login(self).await;
        person
    }

    /// Somebody who has registered and waits.
    pub async fn pending(&self, name: &str) -> Person {
        let person = Person::new(self, name);
        let mut wire = self.wire().await;
        let _: RegisterReply = wire.ask(Operation::UserRegister, &[], &person.registration(None, None)).await.unwrap();
        person
    }

    /// Somebody active and logged in.
    pub async fn member(&self, root: &mut Person, name: &str) -> Person {
        let mut person = self.pending(name).await;
        root.state(&person, Action::Activate, "").await.unwrap();
        person.login(self).await;
        person
    }
}

/// A session as its owner holds it.
pub struct Login {
    pub id: SessionId,
    pub token: String,
    pub key: SessionKey,
}

/// Somebody with keys, perhaps a session, and a connection of their own.
pub struct Person {
    pub identity: Identity,
    pub bundle: Bundle,
    pub login: Option<Login>,
    pub wire: Option<Wire>,
    pub deployment: DeploymentId,
    pub now: Timestamp,
}

impl Person {
    pub fn new(server: &Server, name: &str) -> Self {
        Self::with_id(server, name, UserId::from_random(random()))
    }

    pub fn with_id(server: &Server, name: &str, id: UserId) -> Self {
        let name: UserName = name.parse().unwrap();
        let identity = Identity::generate(&SystemRandom::new(), server.deployment(), id, name).unwrap();
        let bundle = identity.bundle(server.now()).unwrap();
        Self { identity, bundle, login: None, wire: None, deployment: server.deployment(), now: server.now() }
    }

    pub fn id(&self) -> UserId {
        self.identity.user()
    }

    pub fn registration(&self, code: Option<String>, token: Option<String>) -> RegisterRequest {
        let statement = code.is_some().then(|| Blob(self.statement(self.id(), &self.bundle, Action::Bootstrap, "")));
        RegisterRequest { bundle: Blob(self.bundle.as_bytes().to_vec()), token, code, statement }
    }

    /// A statement signed by this person.
    pub fn statement(&self, about: UserId, bundle: &Bundle, action: Action, reason: &str) -> Vec<u8> {
        self.sign_statement(&self.statement_record(about, bundle, action, reason))
    }

    pub fn statement_record(&self, about: UserId, bundle: &Bundle, action: Action, reason: &str) -> StatementPayload {
        StatementPayload {
            deployment: self.deployment,
            user: about,
            bundle: bundle.hash(),
            action: action.code(),
            argument: action.argument(),
            reason: reason.to_owned(),
            issuer: self.id(),
            issuer_bundle: self.bundle.hash(),
            at: self.now,
        }
    }

    pub fn sign_statement(&self, record: &StatementPayload) -> Vec<u8> {
        self.identity.signing().sign_record(record).unwrap()
    }

    /// Does something to an account.
    pub async fn state(&mut self, target: &Person, action: Action, reason: &str) -> Result<UserView, Problem> {
        let statement = Blob(self.statement(target.id(), &target.bundle, action, reason));
        let request = UserStateRequest { statement, bundle: None };
        self.ask(Operation::UserState, &[&target.id().to_string()], &request).await
    }

    pub async fn challenge(&self, wire: &mut Wire) -> ChallengeReply {
        let request = ChallengeRequest { name: self.identity.name().clone() };
        wire.ask(Operation::SessionChallenge, &[], &request).await.unwrap()
    }

    pub fn login_record(&self, challenge: Hash, key: &SessionKey, channel: [u8; 32]) -> LoginPayload {
        LoginPayload {
            deployment: self.deployment,
            user: self.id(),
            bundle: self.bundle.hash(),
            challenge: challenge.0,
            session_key: *key.public_key(),
            channel,
            at: self.now,
        }
    }

    pub fn sign_login(&self, record: &LoginPayload) -> LoginRequest {
        LoginRequest { login: Blob(self.identity.signing().sign_record(record).unwrap()), client: "a test".to_owned() }
    }

    /// Logs in on a connection; what the record says can be changed on the way.
    pub async fn try_login_with(
        &mut self,
        server: &Server,
        wire: &mut Wire,
        alter: impl FnOnce(&mut LoginPayload),
    ) -> Result<LoginReply, Problem> {
        self.now = server.now();
        let challenge = self.challenge(wire).await.challenge;
        let key = SessionKey::generate().unwrap();
        let mut record = self.login_record(challenge, &key, wire.channel);
        alter(&mut record);
        let reply: LoginReply = wire.ask(Operation::SessionLogin, &[], &self.sign_login(&record)).await?;
        self.login = Some(Login { id: reply.session, token: reply.token.clone(), key });
        Ok(reply)
    }

    pub async fn try_login(&mut self, server: &Server) -> Result<LoginReply, Problem> {
        let mut wire = server.wire().await;
        let result = self.try_login_with(server, &mut wire, |_| ()).await;
        if result.is_ok() {
            self.wire = Some(wire);
        }
        result
    }

    pub async fn login(&mut self, server: &Server) -> LoginReply {
        self.try_login(server).await.unwrap()
    }

    /// Another connection, bound to the session by its first request.
    pub async fn further(&self, server: &Server) -> Wire {
        let mut wire = server.wire().await;
        wire.token = Some(self.token());
        wire.binding = Some(self.binding(wire.channel));
        wire
    }

    pub fn token(&self) -> String {
        self.login.as_ref().unwrap().token.clone()
    }

    pub fn binding(&self, channel: [u8; 32]) -> String {
        let login = self.login.as_ref().unwrap();
        let record = SessionBinding { deployment: self.deployment, session: login.id, channel };
        BASE64URL_NOPAD.encode(&login.key.sign_binding(&record).unwrap())
    }

    /// Asks on the connection that was logged in on.
    pub async fn ask<Q: Serialize, A: DeserializeOwned>(
        &mut self,
        operation: Operation,
        parameters: &[&str],
        request: &Q,
    ) -> Result<A, Problem> {
        let token = self.token();
        let wire = self.wire.as_mut().unwrap();
        wire.token = Some(token);
        wire.ask(operation, parameters, request).await
    }
}

pub fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    aws_lc_rs::rand::fill(&mut bytes).unwrap();
    bytes
}

/// What came back.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: hyper::HeaderMap,
    pub body: Bytes,
}

impl Answer {
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    pub fn problem(&self) -> Problem {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("not a problem: {} {:?}", self.status, self.body))
    }
}

/// One connection.
pub struct Wire {
    sender: http1::SendRequest<Full<Bytes>>,
    pub channel: [u8; 32],
    pub group: Option<rustls::NamedGroup>,
    pub token: Option<String>,
    pub binding: Option<String>,
    pub version: Option<String>,
    pub ticket: Option<String>,
    driver: tokio::task::JoinHandle<()>,
}

impl Wire {
    pub async fn open(address: SocketAddr, pins: &[Hash]) -> Self {
        Self::try_open(address, pins).await.unwrap()
    }

    pub async fn try_open(address: SocketAddr, pins: &[Hash]) -> std::io::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        let tls = TlsConnector::from(client_config(pins)).connect(ServerName::try_from("ticrypt").unwrap(), stream).await?;
        let channel = tls.get_ref().1.export_keying_material([0; 32], b"EXPORTER-Channel-Binding", None).unwrap();
        let group = tls.get_ref().1.negotiated_key_exchange_group().map(|group| group.name());
        let (sender, connection) = http1::handshake(TokioIo::new(tls)).await.unwrap();
        let driver = tokio::spawn(async move {
            // A cut connection is what some tests look for.
            let _ = connection.await;
        });
        Ok(Self { sender, channel, group, token: None, binding: None, version: None, ticket: None, driver })
    }

    /// Waits until the server has closed it.
    pub async fn closed(&mut self) {
        (&mut self.driver).await.unwrap();
    }

    pub async fn send(&mut self, operation: Operation, parameters: &[&str], query: &str, body: Vec<u8>) -> Answer {
        let endpoint = Endpoint::of(operation).unwrap();
        let path = format!("{}{query}", endpoint.fill(parameters));
        let method = format!("{:?}", endpoint.method).to_uppercase();
        self.send_raw(&method, &path, endpoint.codec.media_type(), body).await
    }

    pub async fn send_raw(&mut self, method: &str, path: &str, media_type: &str, body: Vec<u8>) -> Answer {
        self.try_send_raw(method, path, media_type, body).await.unwrap()
    }

    pub async fn try_send_raw(&mut self, method: &str, path: &str, media_type: &str, body: Vec<u8>) -> Result<Answer, hyper::Error> {
        let request = self.head(method, path).header(CONTENT_TYPE, media_type);
        self.sender.ready().await?;
        Self::answer(self.sender.send_request(request.body(Full::new(body.into())).unwrap()).await?).await
    }

    /// Opens a stream of events; the connection is of no other use meanwhile.
    pub async fn follow(&mut self, last: Option<u64>) -> Result<Events, Answer> {
        let mut request = self.head("GET", Endpoint::of(Operation::EventFollow).unwrap().path);
        if let Some(last) = last {
            request = request.header(LAST_EVENT_HEADER, last);
        }
        self.sender.ready().await.unwrap();
        let response = self.sender.send_request(request.body(Full::default()).unwrap()).await.unwrap();
        if response.status() != 200 {
            return Err(Self::answer(response).await.unwrap());
        }
        assert_eq!(response.headers()[CONTENT_TYPE], "text/event-stream");
        Ok(Events::new(response.into_body()))
    }

    fn head(&self, method: &str, path: &str) -> hyper::http::request::Builder {
        let mut request = hyper::Request::builder().method(method).uri(path).header(HOST, "ticrypt");
        let headers = [
            (AUTHORIZATION, self.token.as_ref().map(|token| format!("Bearer {token}"))),
            (BINDING_HEADER, self.binding.clone()),
            (ticrypt_api::endpoint::VERSION_HEADER, self.version.clone()),
            (ticrypt_api::endpoint::TICKET_HEADER, self.ticket.clone()),
        ];
        for (name, value) in headers {
            if let Some(value) = value {
                request = request.header(name, value);
            }
        }
        request
    }

    async fn answer(response: hyper::Response<Incoming>) -> Result<Answer, hyper::Error> {
        let (parts, body) = response.into_parts();
        assert!(body.size_hint().lower() < 64 << 20);
        let body = body.collect().await?.to_bytes();
        Ok(Answer { status: parts.status.as_u16(), headers: parts.headers, body })
    }

    /// Encodes, sends, decodes.
    pub async fn ask<Q: Serialize, A: DeserializeOwned>(
        &mut self,
        operation: Operation,
        parameters: &[&str],
        request: &Q,
    ) -> Result<A, Problem> {
        let endpoint = Endpoint::of(operation).unwrap();
        let has_body = matches!(endpoint.method, ticrypt_api::Method::Post | ticrypt_api::Method::Put);
        let body = if has_body { wire::encode(endpoint.codec, request).unwrap() } else { Vec::new() };
        let answer = self.send(operation, parameters, "", body).await;
        if answer.status == 200 { Ok(wire::decode(endpoint.codec, &answer.body).unwrap()) } else { Err(answer.problem()) }
    }
}

/// One event.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    pub id: u64,
    pub kind: String,
    pub data: EventData,
}

/// A stream of events as it comes.
pub struct Events {
    body: Incoming,
    parser: Parser,
    blocks: VecDeque<Block>,
    /// Where the stream stands.
    pub position: Option<u64>,
    /// Everything, heartbeats too.
    pub raw: String,
}

impl Events {
    pub fn new(body: Incoming) -> Self {
        Self { body, parser: Parser::default(), blocks: VecDeque::new(), position: None, raw: String::new() }
    }

    /// The next event; none when the stream has ended.
    pub async fn next(&mut self) -> Option<Event> {
        loop {
            while let Some(block) = self.blocks.pop_front() {
                self.position = block.id;
                if let (Some(id), Some(kind), Some(data)) = (block.id, block.event, block.data) {
                    return Some(Event { id, kind, data: serde_json::from_str(&data).unwrap() });
                }
            }
            let bytes = self.body.frame().await?.ok()?.into_data().unwrap();
            self.raw.push_str(std::str::from_utf8(&bytes).unwrap());
            self.blocks.extend(self.parser.feed(&bytes).unwrap());
        }
    }

    /// The next one, within a second.
    pub async fn soon(&mut self) -> Event {
        tokio::time::timeout(Duration::from_secs(1), self.next()).await.expect("an event within a second").expect("the stream goes on")
    }

    /// That nothing comes for a while.
    pub async fn silence(&mut self) {
        let heard = tokio::time::timeout(Duration::from_millis(300), self.next()).await;
        assert!(heard.is_err(), "{heard:?}");
    }

    /// That the stream ends, within a second.
    pub async fn ends(&mut self) {
        let rest = tokio::time::timeout(Duration::from_secs(1), async { while self.next().await.is_some() {} }).await;
        assert!(rest.is_ok(), "the stream still runs");
    }
}

pub fn client_config(pins: &[Hash]) -> Arc<rustls::ClientConfig> {
    use rustls::crypto::aws_lc_rs::{default_provider, kx_group};
    // As the product's client: the hybrids and nothing else.
    let kx_groups = vec![kx_group::X25519MLKEM768, kx_group::SECP256R1MLKEM768];
    let provider = Arc::new(rustls::crypto::CryptoProvider { kx_groups, ..default_provider() });
    let verifier = Arc::new(Pinned { pins: pins.to_vec(), provider: Arc::clone(&provider) });
    let mut config = rustls::ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(verifier)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Arc::new(config)
}

/// Trusts the pins of the deployment file and nothing else.
#[derive(Debug)]
struct Pinned {
    pins: Vec<Hash>,
    provider: Arc<rustls::crypto::CryptoProvider>,
}

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let parsed = rustls::server::ParsedCertificate::try_from(certificate)?;
        let spki = parsed.subject_public_key_info();
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &spki);
        if self.pins.iter().any(|pin| pin.0 == digest.as_ref()) {
            Ok(ServerCertVerified::assertion())
        } else {
            Err(rustls::Error::InvalidCertificate(rustls::CertificateError::ApplicationVerificationFailure))
        }
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &rustls::DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Err(rustls::Error::PeerIncompatible(rustls::PeerIncompatible::Tls13RequiredForQuic))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &rustls::DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls13_signature(message, certificate, signature, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<rustls::SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

/// Tries until it holds, for what happens in the background.
pub async fn eventually(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    for _ in 0..200 {
        if holds().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    panic!("never: {what}");
}
