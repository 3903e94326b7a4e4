//! Sealing chunks against bare AES-256-GCM of the same provider: what the format costs.

use std::time::{Duration, Instant};

use anyhow::{Result, anyhow};
use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use ticrypt_keyring::chunk::ChunkSealer;
use ticrypt_keyring::random::{Random, SystemRandom};
use ticrypt_keyring::version::ContentKey;
use ticrypt_types::limits::{CHUNK_BYTES, CHUNK_OVERHEAD_BYTES};
use ticrypt_types::{NodeId, VersionId};

const ROUNDS: usize = 5;

pub(crate) fn run(mib: usize, threads: usize) -> Result<()> {
    let chunks = (mib * 1024 * 1024 / CHUNK_BYTES / threads).max(1);
    let (mut ours, mut bare) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        ours.push(on_threads(threads, || seal(chunks))?);
        bare.push(on_threads(threads, || encrypt(chunks))?);
    }
    let bytes = (chunks * threads * CHUNK_BYTES) as f64;
    let rate = |times: &mut Vec<Duration>| {
        times.sort_unstable();
        times.get(times.len() / 2).map_or(0.0, |median| bytes / median.as_secs_f64() / 1e6)
    };
    let (ours, bare) = (rate(&mut ours), rate(&mut bare));
    println!("{}", serde_json::json!({ "threads": threads, "seal_mb_s": ours, "provider_mb_s": bare, "ratio": ours / bare }));
    Ok(())
}

fn on_threads(threads: usize, work: impl Fn() -> Result<()> + Sync) -> Result<Duration> {
    let start = Instant::now();
    std::thread::scope(|scope| {
        let all: Vec<_> = (0..threads).map(|_| scope.spawn(&work)).collect();
        all.into_iter().try_for_each(|t| t.join().map_err(|_| anyhow!("a thread failed"))?)
    })?;
    Ok(start.elapsed())
}

fn seal(chunks: usize) -> Result<()> {
    let random = SystemRandom::new();
    let key = ContentKey::generate(&random)?;
    let sealer = ChunkSealer::new(&key, NodeId::from_random([1; 16]), VersionId::from_random([2; 16]))?;
    let mut buffer = vec![7u8; CHUNK_BYTES + CHUNK_OVERHEAD_BYTES];
    (0..chunks).try_for_each(|number| sealer.seal_in_place(&random, number as u64, number + 1 == chunks, &mut buffer))?;
    Ok(())
}

fn encrypt(chunks: usize) -> Result<()> {
    let random = SystemRandom::new();
    let key = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &[9; 32])?);
    let mut buffer = vec![7u8; CHUNK_BYTES];
    for _ in 0..chunks {
        let mut nonce = [0; 12];
        random.fill(&mut nonce)?;
        let _tag = std::hint::black_box(key.seal_in_place_separate_tag(Nonce::assume_unique_for_key(nonce), Aad::empty(), &mut buffer)?);
    }
    Ok(())
}
