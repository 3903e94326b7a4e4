//! A server that says whatever a test wants, over real TLS, in this process.
#![allow(dead_code, clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use rcgen::{CertificateParams, KeyPair, PKCS_ECDSA_P256_SHA256};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use ticrypt_api::deployment::DeploymentFile;
use ticrypt_api::{ApiError, ErrorKind, Hash, status};
use ticrypt_client::deployment::Candidate;
use ticrypt_client::transport::{Options, tls};
use ticrypt_client::{Deployment, Home};
use ticrypt_crypto::Digest;
use ticrypt_crypto::bundle::Fingerprint;
use ticrypt_log::{SignatureType, VerifierKey};
use ticrypt_types::{DeploymentId, RequestId};
use tokio::net::TcpListener;

pub const DEPLOYMENT: [u8; 16] = [1; 16];

/// What the server does with a request.
pub enum Act {
    /// Status, headers, body.
    Reply(u16, Vec<(&'static str, String)>, Vec<u8>),
    /// Read the request and say nothing, ever.
    Hang,
    /// Read the request and close.
    Close,
    /// Promise so many bytes, send these, and close.
    Cut(usize, Vec<u8>),
    /// Send these, and say nothing more.
    Silent(Vec<u8>),
}

impl Act {
    pub fn ok(body: impl Into<Vec<u8>>) -> Self {
        Self::Reply(200, vec![], body.into())
    }

    pub fn json(value: &impl serde::Serialize) -> Self {
        Self::ok(serde_json::to_vec(value).unwrap())
    }

    pub fn problem(kind: ErrorKind, code: &str) -> Self {
        Self::error(&ApiError::new(kind, code, "no; try something else"))
    }

    pub fn error(error: &ApiError) -> Self {
        let problem = status::problem(error, RequestId::from_random([9; 16]));
        Self::Reply(problem.status, vec![("content-type", "application/problem+json".into())], serde_json::to_vec(&problem).unwrap())
    }
}

/// One request as it came.
#[derive(Clone, Debug)]
pub struct Seen {
    /// Counts all requests, from 0.
    pub number: usize,
    pub connection: usize,
    pub channel: [u8; 32],
    pub method: String,
    pub target: String,
    pub headers: hyper::HeaderMap,
    pub body: Bytes,
}

impl Seen {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }
}

type Handler = Arc<dyn Fn(&Seen) -> Act + Send + Sync>;

pub struct Server {
    pub url: String,
    pub pin: Hash,
    pub seen: Arc<Mutex<Vec<Seen>>>,
    pub connections: Arc<AtomicUsize>,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Server {
    pub async fn start(handler: impl Fn(&Seen) -> Act + Send + Sync + 'static) -> Self {
        Self::start_with(tls::provider(), &rustls::version::TLS13, handler).await
    }

    pub async fn start_with(
        provider: CryptoProvider,
        version: &'static rustls::SupportedProtocolVersion,
        handler: impl Fn(&Seen) -> Act + Send + Sync + 'static,
    ) -> Self {
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap();
        // Names and dates mean nothing to the client: this one is of another name.
        let certificate: CertificateDer<'static> =
            CertificateParams::new(vec!["elsewhere.example".into()]).unwrap().self_signed(&key).unwrap().into();
        let pin = tls::pin_of(&certificate).unwrap();
        let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        let config = rustls::ServerConfig::builder_with_provider(Arc::new(provider))
            .with_protocol_versions(&[version])
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate], key)
            .unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("https://{}", listener.local_addr().unwrap());
        let seen = Arc::new(Mutex::new(Vec::new()));
        let connections = Arc::new(AtomicUsize::new(0));
        let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
        let handler: Handler = Arc::new(handler);
        let task = tokio::spawn({
            let (seen, connections) = (seen.clone(), connections.clone());
            async move {
                loop {
                    let (tcp, _) = listener.accept().await.unwrap();
                    let (acceptor, handler, seen, connections) = (acceptor.clone(), handler.clone(), seen.clone(), connections.clone());
                    tokio::spawn(async move {
                        let Ok(stream) = acceptor.accept(tcp).await else { return };
                        let connection = connections.fetch_add(1, Ordering::SeqCst);
                        let channel = stream.get_ref().1.export_keying_material([0; 32], b"EXPORTER-Channel-Binding", None).unwrap();
                        let service =
                            hyper::service::service_fn(move |request| answer(request, connection, channel, handler.clone(), seen.clone()));
                        let _ = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
                    });
                }
            }
        });
        Self { url, pin, seen, connections, task }
    }

    pub fn requests(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }
}

#[derive(Debug)]
struct Closed;

impl std::fmt::Display for Closed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("closed")
    }
}

impl std::error::Error for Closed {}

async fn answer(
    request: Request<Incoming>,
    connection: usize,
    channel: [u8; 32],
    handler: Handler,
    seen: Arc<Mutex<Vec<Seen>>>,
) -> Result<Response<BoxBody<Bytes, Closed>>, Closed> {
    let (parts, body) = request.into_parts();
    let body = body.collect().await.map_err(|_| Closed)?.to_bytes();
    let one = {
        let mut seen = seen.lock().unwrap();
        let one = Seen {
            number: seen.len(),
            connection,
            channel,
            method: parts.method.to_string(),
            target: parts.uri.to_string(),
            headers: parts.headers,
            body,
        };
        seen.push(one.clone());
        one
    };
    match handler(&one) {
        Act::Reply(status, headers, body) => {
            let mut builder = Response::builder().status(status);
            for (name, value) in headers {
                builder = builder.header(name, value);
            }
            let never = |e: Infallible| match e {};
            Ok(builder.body(Full::new(body.into()).map_err(never).boxed()).unwrap())
        }
        Act::Hang => {
            tokio::time::sleep(Duration::from_secs(600)).await;
            Err(Closed)
        }
        Act::Close => Err(Closed),
        Act::Silent(body) => {
            let first = futures::stream::iter([Ok(Frame::data(body.into()))]);
            let stream: Pin<Box<dyn futures::Stream<Item = Result<Frame<Bytes>, Closed>> + Send + Sync>> =
                Box::pin(futures::StreamExt::chain(first, futures::stream::pending()));
            Ok(Response::new(StreamBody::new(stream).boxed()))
        }
        Act::Cut(length, body) => {
            let frames: [Result<Frame<Bytes>, Closed>; 2] = [Ok(Frame::data(body.into())), Err(Closed)];
            let stream: Pin<Box<dyn futures::Stream<Item = Result<Frame<Bytes>, Closed>> + Send + Sync>> =
                Box::pin(futures::stream::iter(frames));
            Ok(Response::builder().header("content-length", length).body(StreamBody::new(stream).boxed()).unwrap())
        }
    }
}

pub fn verifier(name: &str) -> VerifierKey {
    VerifierKey::new(name, SignatureType::Ed25519, [9; 32]).unwrap()
}

/// A deployment file for servers at these addresses with these keys.
pub fn file(urls: Vec<String>, pins: Vec<Hash>) -> DeploymentFile {
    DeploymentFile {
        version: 1,
        id: DeploymentId::from_random(DEPLOYMENT),
        display_name: "Test".into(),
        urls,
        tls_pins: pins,
        audit_log_key: verifier("test.example/audit").to_string(),
        key_log_key: verifier("test.example/keys").to_string(),
        witness_keys: vec![],
        witness_quorum: 0,
        site_key: None,
        minimum_suite: 1,
        registration_token: None,
    }
}

/// A device that imported a deployment file.
pub struct Device {
    pub home: Home,
    pub deployment: Deployment,
    _dir: tempfile::TempDir,
}

pub fn device(file: &DeploymentFile) -> Device {
    let dir = tempfile::tempdir().unwrap();
    let home = Home::open(dir.path().join("home")).unwrap();
    let bytes = serde_json::to_vec(file).unwrap();
    let candidate = Candidate::read(&home, bytes.clone()).unwrap();
    let deployment = candidate.accept(&home, Fingerprint(Digest::of(&bytes))).unwrap();
    Device { home, deployment, _dir: dir }
}

/// Waits that suit a test.
pub fn quick() -> Options {
    Options {
        connections: 4,
        connect_timeout: Duration::from_secs(5),
        request_timeout: Duration::from_millis(500),
        transfer_timeout: Duration::from_millis(500),
        stream_silence: Duration::from_millis(500),
        attempts: 3,
        backoff: Duration::from_millis(10),
    }
}
