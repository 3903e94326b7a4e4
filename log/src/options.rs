//! Settings of a log that is written.

use std::time::Duration;

use crate::key::VerifierKey;

/// How a log batches, publishes and whom it trusts as witnesses.
#[derive(Debug, Clone)]
pub struct Options {
    /// At most one checkpoint is signed per this time (besides those asked for by `flush`).
    pub checkpoint_interval: Duration,
    /// Calls that may wait in the queue; a full queue makes callers wait, in order.
    pub queue_calls: usize,
    /// Entry bytes after which a group is not made larger.
    pub group_bytes: usize,
    /// Journal bytes after which the next group begins a new segment.
    pub segment_bytes: u64,
    /// Entry bytes that may wait to be put into tiles; above it, appends wait.
    pub tail_bytes: usize,
    /// Witnesses whose cosignatures are taken.
    pub witnesses: Vec<VerifierKey>,
    /// Distinct witnesses a checkpoint needs to count as witnessed; zero is taken as one.
    pub quorum: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            checkpoint_interval: Duration::from_secs(1),
            queue_calls: 8192,
            group_bytes: 4 << 20,
            segment_bytes: 32 << 20,
            tail_bytes: 256 << 20,
            witnesses: Vec::new(),
            quorum: 0,
        }
    }
}
