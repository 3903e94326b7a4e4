//! The rest role in process, over real TLS.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

#[path = "../support/mod.rs"]
mod support;

mod accounts;
mod bounds;
mod clock;
mod crash;
mod logs;
mod sessions;
