//! The accept loop: TCP, TLS 1.3, then HTTP/1.1 or HTTP/2, with limits and an end in sight for every connection.
//!
//! ```text
//! accept ─ permit ─▶ handshake (timeout) ─▶ Connection{peer, channel} ─▶ hyper ─▶ router
//!                                               ▲ cut: graceful, then dropped after half a second
//! ```
//!
//! Our own loop instead of a ready server, because each request must know its connection's channel value.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::ServiceExt;

use crate::config::Server;
use crate::connection::Connection;

/// RFC 9266 §2.
const EXPORTER_LABEL: &[u8] = b"EXPORTER-Channel-Binding";
/// What a cut connection has left to finish an answer that is on its way.
const CUT_GRACE: Duration = Duration::from_millis(500);
/// Streams one HTTP/2 connection may have open.
const STREAMS_MAX: u32 = 128;

/// Accepts until `shutdown`, then waits for connections to finish, no longer than configured.
pub async fn serve(listener: TcpListener, tls: TlsAcceptor, router: Router, limits: Server, shutdown: CancellationToken) {
    let permits = Arc::new(Semaphore::new(limits.max_connections));
    let connections = TaskTracker::new();
    let limits = Arc::new(limits);
    loop {
        let accepted = tokio::select! {
            () = shutdown.cancelled() => break,
            accepted = listener.accept() => accepted,
        };
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                // Out of file descriptors, most likely: the next try needs somebody else to finish first.
                tracing::warn!(error = %error, "cannot accept a connection");
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            }
        };
        let Ok(permit) = Arc::clone(&permits).try_acquire_owned() else {
            tracing::warn!(peer = %peer.ip(), "too many connections, one is turned away");
            continue;
        };
        let (tls, router, limits, stop) = (tls.clone(), router.clone(), Arc::clone(&limits), shutdown.child_token());
        connections.spawn(async move {
            serve_connection(stream, peer, tls, router, &limits, stop).await;
            drop(permit);
        });
    }
    drop(listener);
    connections.close();
    let patience = Duration::from_millis(limits.shutdown_timeout_ms);
    if tokio::time::timeout(patience, connections.wait()).await.is_err() {
        tracing::warn!(connections = connections.len(), "connections were cut at the end of the time to stop");
    }
}

async fn serve_connection(stream: TcpStream, peer: SocketAddr, tls: TlsAcceptor, router: Router, limits: &Server, stop: CancellationToken) {
    // Answers are small and wanted at once.
    let _ = stream.set_nodelay(true);
    let handshake = tokio::time::timeout(Duration::from_millis(limits.handshake_timeout_ms), tls.accept(stream));
    let stream = match handshake.await {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => return tracing::debug!(peer = %peer.ip(), error = %error, "a tls handshake failed"),
        Err(_) => return tracing::debug!(peer = %peer.ip(), "a tls handshake took too long"),
    };
    let Ok(channel) = stream.get_ref().1.export_keying_material([0; 32], EXPORTER_LABEL, None) else {
        return tracing::error!(peer = %peer.ip(), "a connection has no channel value");
    };
    let cut = CancellationToken::new();
    let connection = Arc::new(Connection::new(peer, channel, cut.clone()));
    let service = tower::service_fn(move |mut request: hyper::Request<Incoming>| {
        request.extensions_mut().insert(Arc::clone(&connection));
        router.clone().oneshot(request.map(Body::new))
    });
    let idle = Duration::from_millis(limits.idle_timeout_ms);
    let builder = http(idle);
    let mut serving = std::pin::pin!(builder.serve_connection(TokioIo::new(stream), TowerToHyperService::new(service)));
    let ended = tokio::select! {
        ended = serving.as_mut() => Some(ended),
        () = stop.cancelled() => {
            serving.as_mut().graceful_shutdown();
            Some(serving.await)
        }
        () = cut.cancelled() => {
            serving.as_mut().graceful_shutdown();
            tokio::time::timeout(CUT_GRACE, serving).await.ok()
        }
    };
    if let Some(Err(error)) = ended {
        tracing::debug!(peer = %peer.ip(), error = %error, "a connection ended badly");
    }
}

fn http(idle: Duration) -> auto::Builder<TokioExecutor> {
    let mut builder = auto::Builder::new(TokioExecutor::new());
    // The head's timeout runs while a kept-alive connection waits as well, so it is the idle timeout too.
    builder.http1().timer(TokioTimer::new()).header_read_timeout(idle).max_buf_size(64 * 1024);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(STREAMS_MAX)
        .max_header_list_size(32 * 1024)
        .initial_stream_window_size(4 * 1024 * 1024)
        .initial_connection_window_size(16 * 1024 * 1024)
        .max_frame_size(64 * 1024)
        .keep_alive_interval(idle / 2)
        .keep_alive_timeout(Duration::from_secs(20));
    builder
}
