//! A server that lies to the vault: the real client, over real TLS, against the real backend with some of its answers bent on their way out.
//!
//! ```text
//!   client ══TLS══▶ listener ─▶ rest ─▶ Liar ─▶ file role, storage role        all in this process
//!                                        └ a few answers altered, or given without the work
//! ```
//!
//! docs/formats.md §11 says which lies are caught; each one there that the vault can be told has a case in here. A lie must be refused as
//! one, must leave nothing behind, and the honest answer must do again right after it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod compartments;
mod content;
mod forgery;
mod groups;
mod history;
mod liar;
mod listing;
mod names;
mod opening;
#[path = "../vault_system/people.rs"]
mod people;
mod roots;
mod shares;
mod tags;
mod world;
mod writes;
