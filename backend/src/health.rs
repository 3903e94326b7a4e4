//! Liveness, readiness and metrics on a listener of their own, on loopback unless configured otherwise.
//!
//! `/healthz`: the process answers. `/readyz`: the database answers and the logs can be written. `/metrics`: for Prometheus.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use hyper_util::service::TowerToHyperService;
use ticrypt_store::Store;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::audit::LogAudit;
use crate::metrics::Metrics;
use crate::presence::Presence;

/// What health is told by.
#[derive(Clone, Debug)]
pub struct Health {
    pub store: Store,
    pub audit: Arc<LogAudit>,
    pub presence: Arc<Presence>,
    pub metrics: Arc<Metrics>,
}

/// Serves until `stop`.
pub async fn serve(listener: TcpListener, health: Health, stop: CancellationToken) {
    let router = Router::new()
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics))
        .with_state(health);
    let connections = TaskTracker::new();
    loop {
        let stream = tokio::select! {
            () = stop.cancelled() => break,
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => stream,
                Err(error) => {
                    tracing::warn!(error = %error, "the health listener cannot accept a connection");
                    tokio::time::sleep(std::time::Duration::from_millis(100)).await;
                    continue;
                }
            },
        };
        let service = TowerToHyperService::new(router.clone());
        let stop = stop.clone();
        connections.spawn(async move {
            let builder = auto::Builder::new(TokioExecutor::new());
            let mut serving = std::pin::pin!(builder.serve_connection(TokioIo::new(stream), service));
            tokio::select! {
                // How a probe ended is of no interest.
                _ = serving.as_mut() => {}
                () = stop.cancelled() => {}
            }
        });
    }
    connections.close();
    connections.wait().await;
}

async fn ready(State(health): State<Health>) -> (StatusCode, String) {
    if !health.audit.is_accepting() {
        return (StatusCode::SERVICE_UNAVAILABLE, "the log cannot be written\n".to_owned());
    }
    match health.store.ping().await {
        Ok(()) => (StatusCode::OK, "ready\n".to_owned()),
        Err(error) => (StatusCode::SERVICE_UNAVAILABLE, format!("{error}\n")),
    }
}

async fn metrics(State(health): State<Health>) -> impl IntoResponse {
    health.metrics.log("audit", health.audit.audit_log());
    health.metrics.log("keys", health.audit.key_log());
    health.metrics.presence(health.presence.len());
    health.metrics.audit(health.audit.is_accepting());
    ([(header::CONTENT_TYPE, "application/openmetrics-text; version=1.0.0; charset=utf-8")], health.metrics.text())
}
