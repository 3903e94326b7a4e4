//! One kept-alive HTTP/1.1 connection over TLS, and its channel value.

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use http_body_util::Full;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use ticrypt_types::SessionId;
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio_rustls::TlsConnector;

use super::{Failure, Inner, tls};
use crate::deployment::Address;
use crate::error::{ClientError, Kind};

/// A connection to the pinned server.
#[derive(Debug)]
pub struct Connection {
    pub(super) sender: SendRequest<Full<Bytes>>,
    /// Drives the connection; ends when `sender` is dropped, at the latest with this struct.
    driver: JoinHandle<()>,
    channel: [u8; 32],
    /// The session it was bound to.
    pub(super) bound: Option<SessionId>,
    pub(super) idle_since: Instant,
    /// For the header `host`.
    pub(super) authority: String,
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

impl Connection {
    /// RFC 9266 `tls-exporter` of this connection.
    pub fn channel(&self) -> [u8; 32] {
        self.channel
    }

    /// Tries the addresses in order.
    pub(super) async fn open(inner: &Inner) -> Result<Self, Failure> {
        let mut last = None;
        for address in &inner.addresses {
            match tokio::time::timeout(inner.options.connect_timeout, Self::open_one(address, Arc::clone(&inner.tls))).await {
                Ok(Ok(connection)) => return Ok(connection),
                // A server with another key is never passed over for the next: it has to be told.
                Ok(Err(failure @ Failure::Fatal(_))) => return Err(failure),
                Ok(Err(failure)) => last = Some(failure),
                Err(_) => {
                    let message = format!(
                        "no answer from {}:{} within {} seconds; check the network and try again",
                        address.host,
                        address.port,
                        inner.options.connect_timeout.as_secs_f32()
                    );
                    last = Some(Failure::NotSent(ClientError::unavailable(message)));
                }
            }
        }
        Err(last.unwrap_or_else(|| Failure::Fatal(ClientError::invalid("the deployment file names no server"))))
    }

    async fn open_one(address: &Address, config: Arc<rustls::ClientConfig>) -> Result<Self, Failure> {
        let at = format!("{}:{}", address.host, address.port);
        let unreachable = |e: std::io::Error| {
            Failure::NotSent(
                ClientError::unavailable(format!("the server {at} cannot be reached ({e}); check the network and try again")).because(e),
            )
        };
        let tcp = TcpStream::connect((address.host.as_str(), address.port)).await.map_err(unreachable)?;
        tcp.set_nodelay(true).map_err(unreachable)?;
        let name = ServerName::try_from(address.host.clone())
            .map_err(|e| Failure::Fatal(ClientError::invalid(format!("`{}` is not the name of a server", address.host)).because(e)))?;
        let stream = TlsConnector::from(config).connect(name, tcp).await.map_err(|e| tls_failure(&at, e))?;
        let channel = tls::channel(stream.get_ref().1)
            .map_err(|e| Failure::Fatal(ClientError::broken("the connection gave no channel value").because(e)))?;
        let lost = |e: hyper::Error| {
            Failure::NotSent(ClientError::unavailable(format!("the server {at} closed the connection; try again")).because(e))
        };
        let (sender, driver) = http1::Builder::new().max_headers(64).handshake(TokioIo::new(stream)).await.map_err(lost)?;
        let driver = tokio::spawn(async move {
            // What ended it is told to whoever waits for a reply on it; without one there is nobody to tell.
            if let Err(error) = driver.await {
                tracing::debug!(%error, "connection ended");
            }
        });
        let authority = if address.host.contains(':') { format!("[{}]:{}", address.host, address.port) } else { at };
        Ok(Self { sender, driver, channel, bound: None, idle_since: Instant::now(), authority })
    }
}

/// Tells a server with another key apart from one that cannot be reached.
fn tls_failure(at: &str, error: std::io::Error) -> Failure {
    let tls = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()).cloned();
    match tls {
        Some(rustls::Error::InvalidCertificate(rustls::CertificateError::ApplicationVerificationFailure)) => {
            Failure::Fatal(ClientError::new(
                Kind::Untrusted,
                "tls_pin",
                format!(
                    "{at} shows a key that is not in the deployment file: somebody stands between, or the file is out of date; \
                     compare the fingerprint of a new deployment file with your administrator and import it"
                ),
            ))
        }
        Some(tls) => Failure::Fatal(
            ClientError::new(Kind::Untrusted, "tls", format!("no tls connection with {at}: {tls}; tell an administrator")).because(tls),
        ),
        None => Failure::NotSent(
            ClientError::unavailable(format!("the server {at} cannot be reached ({error}); check the network and try again"))
                .because(error),
        ),
    }
}
