//! Keys and logs for the tests.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use ticrypt_log::fs::{LogFs, RealFs};
use ticrypt_log::{Log, NoteSigner, Options, SignatureType, VerifierKey};
use ticrypt_types::Secret;

pub const ORIGIN: &str = "log.example/audit";

pub fn log_signer() -> NoteSigner {
    NoteSigner::from_seed(ORIGIN, SignatureType::Ed25519, Secret::new([7; 32])).unwrap()
}

pub fn witness_signer(name: &str, seed: u8) -> NoteSigner {
    NoteSigner::from_seed(name, SignatureType::CosignatureV1, Secret::new([seed; 32])).unwrap()
}

pub fn options() -> Options {
    Options { checkpoint_interval: Duration::from_secs(3600), ..Options::default() }
}

pub fn options_with(witnesses: &[&VerifierKey]) -> Options {
    Options { witnesses: witnesses.iter().copied().cloned().collect(), quorum: 1, ..options() }
}

pub fn open(directory: &Path, options: Options) -> Log {
    open_on(Arc::new(RealFs), directory, options)
}

pub fn open_on(fs: Arc<dyn LogFs>, directory: &Path, options: Options) -> Log {
    Log::open_on(fs, directory, ORIGIN, log_signer(), options).unwrap().0
}

pub fn entry(number: u64) -> Vec<u8> {
    format!("entry {number} {}", "x".repeat((number % 37) as usize)).into_bytes()
}

/// Adds entries `range` in calls of up to 1000.
pub async fn fill(log: &Log, range: std::ops::Range<u64>) {
    let entries: Vec<Vec<u8>> = range.map(entry).collect();
    for part in entries.chunks(1000) {
        log.append_many(part.to_vec()).await.unwrap();
    }
}
