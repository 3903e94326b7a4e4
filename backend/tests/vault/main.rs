//! The file and storage roles in process, against the contract of `ticrypt_api::role`.
#![allow(dead_code, clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

#[path = "../../../store/tests/contract/postgres.rs"]
mod postgres;

mod audit_rows;
mod records;
mod world;

mod audited;
mod backup;
mod chunks;
mod groups;
mod lies;
mod races;
mod rekeying;
mod sharing;
mod story;
mod upkeep;
