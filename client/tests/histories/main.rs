//! Random histories: thousands of steps by several people on a real server, held to a model that shares nothing with it.
//!
//! What is held: nobody reads what is tagged otherwise than they work, or without a key; no content is found under less than it was
//! written under, declassifying excepted; nobody works in two states at once; losing never adds; and with everything the server ever
//! stored, nobody's keys open a content that came while they had no access to it.
//!
//! The seeds are fixed, so that each run is the same; `TICRYPT_E2E_SEED` sets another, and `TICRYPT_HISTORY_STEPS` another length.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, clippy::cast_possible_truncation)]

mod attacker;
mod history;
mod model;
mod stored;
#[path = "../vault_system/mod.rs"]
mod system;

use ticrypt_e2e::chance::{Chance, SEED_VARIABLE};

use crate::history::History;

fn number(variable: &str, usual: u64) -> u64 {
    std::env::var(variable).map_or(usual, |text| text.parse().unwrap())
}

async fn holds(seed: u64) {
    let (seed, steps) = (number(SEED_VARIABLE, seed), number("TICRYPT_HISTORY_STEPS", 1000));
    println!("{SEED_VARIABLE}={seed}");
    let mut history = History::begin(Chance::new(seed)).await;
    for _ in 0..steps {
        history.step().await;
    }
    let opened = history.end().await;
    println!("{:?}; {} tagged contents read; opened by keys alone: {opened:?}", history.steps, history.read_tagged);
    // A history in which nothing happens shows nothing.
    for (kind, (done, _)) in &history.steps {
        assert!(*done > 0, "`{kind}` was never done");
    }
    assert!(u64::from(history.read_tagged) > steps / 20, "too little was tagged");
    assert!(opened.iter().all(|opened| *opened > 0), "keys open nothing: the attacker does not work");
}

// These seeds found faults once.

#[tokio::test(flavor = "multi_thread")]
async fn no_history_leads_around_the_rules() {
    holds(7_278_313_989_620_601_908).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nor_does_another() {
    holds(13_123_764_224_184_999_304).await;
}
