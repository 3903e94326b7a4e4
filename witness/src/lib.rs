//! A witness: a small server, away from the backend, that remembers the head of each log and
//! countersigns only heads that extend it. A log that shows two histories cannot get both witnessed.
//!
//! ```text
//! log ──add-checkpoint(old size, proof, checkpoint)──▶ witness
//!                        known log? signed? proof from what I remember?
//!                        store the new head (durable) ── then ── cosign
//! log ◀────────────── cosignature/v1 ─────────────────
//! ```
//!
//! Protocol: C2SP tlog-witness; cosignatures: C2SP tlog-cosignature.

pub mod config;
pub mod http;
pub mod key;
pub mod witness;

pub use http::router;
pub use witness::{Answer, Witness};
