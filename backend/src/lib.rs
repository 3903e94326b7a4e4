//! The backend: one program, its roles as modules that meet only through the traits in `ticrypt-api`.
//!
//! ```text
//!            listener (TLS 1.3, one Connection each)
//!                │
//!   presence ◀─ rest ──Vault──▶ file ──Chunks──▶ storage
//!                │                │                 │
//!                └────── Audit ───┴──▶ audit        chunk store
//!                                (two logs)
//! ```
//!
//! It is trusted to be there and to keep the rules of access; it is not trusted with content, names or keys, and links no crate
//! that could open them. `wiring.rs` alone knows which roles are on.

pub mod audit;
pub mod audited;
pub mod backup;
pub mod check;
pub mod clock;
pub mod config;
pub mod connection;
pub mod deployment;
pub mod file;
pub mod health;
pub mod links;
pub mod listener;
pub mod losses;
pub mod metrics;
pub mod openapi;
pub mod presence;
pub mod refusal;
pub mod rest;
pub mod roster;
pub mod storage;
pub mod tls;
pub mod wiring;
