//! The contract between programs: endpoints, what goes over the wire, errors and their status, and the traits by which the
//! backend's roles meet. No behaviour lives here.
//!
//! Control bodies are JSON (RFC 8259), batches and listings CBOR (RFC 8949); the same types serve both: byte strings and ids
//! are text in JSON and bytes in CBOR. `endpoint.rs` says which endpoint speaks what.

pub mod access;
pub mod bulk;
pub mod certification;
pub mod deployment;
pub mod endpoint;
pub mod error;
pub mod grant;
pub mod group;
pub mod join;
pub mod log;
pub mod node;
pub mod notification;
pub mod profile;
pub mod project;
pub mod role;
pub mod session;
pub mod sse;
pub mod status;
pub mod team;
pub mod upload;
pub mod user;
pub mod version;
pub mod wire;

pub use endpoint::{Codec, Endpoint, Method};
pub use error::{ApiError, ErrorKind, Problem};
pub use wire::{Blob, Hash};
