//! The rest role in process, over real TLS.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

#[path = "../support/people.rs"]
mod people;
#[path = "../vault/records.rs"]
#[allow(dead_code)]
mod records;
#[path = "../support/rosters.rs"]
mod rosters;
#[path = "../support/mod.rs"]
mod support;

mod accounts;
mod bounds;
mod bulk;
mod clock;
mod crash;
mod events;
mod joins;
mod logs;
mod profiles;
mod projects;
mod sessions;
mod teams;
