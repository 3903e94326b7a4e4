//! What is counted, for Prometheus: requests by operation and outcome, how long they took, the logs, sessions.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64};
use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;
use ticrypt_log::Log;
use ticrypt_types::Operation;

/// Upper bounds of the latency buckets, in seconds.
const BUCKETS: [f64; 11] = [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 1.0, 5.0, 30.0];

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct ByOutcome {
    operation: &'static str,
    status: u16,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct ByOperation {
    operation: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct ByLog {
    log: &'static str,
}

/// All of it.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    requests: Family<ByOutcome, Counter>,
    latency: Family<ByOperation, Histogram, fn() -> Histogram>,
    log_events: Family<ByLog, Gauge<i64, AtomicI64>>,
    log_syncs: Family<ByLog, Gauge<i64, AtomicI64>>,
    log_events_per_sync: Family<ByLog, Gauge<f64, AtomicU64>>,
    sessions: Gauge,
    audit_accepting: Gauge,
}

impl Metrics {
    pub fn new() -> Arc<Self> {
        let mut registry = Registry::with_prefix("ticrypt");
        let requests = Family::default();
        registry.register("requests", "requests by operation and status", requests.clone());
        let latency = Family::new_with_constructor((|| Histogram::new(BUCKETS)) as fn() -> Histogram);
        registry.register("request_seconds", "time from the head of a request to its answer", latency.clone());
        let log_events = Family::default();
        registry.register("log_events", "entries made durable since the start", log_events.clone());
        let log_syncs = Family::default();
        registry.register("log_syncs", "journal syncs since the start", log_syncs.clone());
        let log_events_per_sync = Family::default();
        registry.register("log_events_per_sync", "entries that shared a sync, on average", log_events_per_sync.clone());
        let sessions = Gauge::default();
        registry.register("sessions", "sessions in use", sessions.clone());
        let audit_accepting = Gauge::default();
        registry.register("audit_accepting", "1 while the logs can be written", audit_accepting.clone());
        Arc::new(Self { registry, requests, latency, log_events, log_syncs, log_events_per_sync, sessions, audit_accepting })
    }

    pub fn request(&self, operation: Operation, status: u16, took: Duration) {
        let operation = operation.name();
        self.requests.get_or_create(&ByOutcome { operation, status }).inc();
        self.latency.get_or_create(&ByOperation { operation }).observe(took.as_secs_f64());
    }

    pub fn log(&self, log: &'static str, source: &Log) {
        let counts = source.counters();
        let label = ByLog { log };
        self.log_events.get_or_create(&label).set(i64::try_from(counts.events).unwrap_or(i64::MAX));
        self.log_syncs.get_or_create(&label).set(i64::try_from(counts.syncs).unwrap_or(i64::MAX));
        #[allow(clippy::cast_precision_loss, reason = "an average for a graph")]
        self.log_events_per_sync.get_or_create(&label).set(counts.events as f64 / counts.syncs.max(1) as f64);
    }

    pub fn presence(&self, sessions: usize) {
        self.sessions.set(i64::try_from(sessions).unwrap_or(i64::MAX));
    }

    pub fn audit(&self, accepting: bool) {
        self.audit_accepting.set(i64::from(accepting));
    }

    /// In the text format of OpenMetrics.
    pub fn text(&self) -> String {
        let mut text = String::new();
        // Writing to memory does not fail.
        let _ = prometheus_client::encoding::text::encode(&mut text, &self.registry);
        text
    }
}
