//! The audit log: events appended durably by many callers at once, and verified from the exported files.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use minicbor::bytes::ByteArray;
use ticrypt_keyring::random::{SystemRandom, public, secret};
use ticrypt_log::event::audit::{AuditEvent, Phase};
use ticrypt_log::export::export;
use ticrypt_log::verify::{Trust, verify_dir};
use ticrypt_log::{Log, NoteSigner, Options, SignatureType};
use ticrypt_types::Secret;

const ORIGIN: &str = "bench.example/audit";

pub(crate) fn run(events: u64, callers: u64, dir: &Path) -> Result<()> {
    let random = SystemRandom::new();
    let signer = NoteSigner::from_seed(ORIGIN, SignatureType::Ed25519, Secret::new(*secret(&random)?))?;
    let log_key = signer.verifier().clone();
    let folder = tempfile::tempdir_in(dir)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;

    let (log, _) = Log::open(&folder.path().join("log"), ORIGIN, signer, Options::default())?;
    let before = log.counters();
    let start = Instant::now();
    let mut waits = runtime.block_on(append(&log, events, callers))?;
    let took = start.elapsed();
    let after = log.counters();
    waits.sort_unstable();
    let p99 = waits.get(waits.len() * 99 / 100).copied().unwrap_or_default();

    runtime.block_on(log.flush())?;
    let signed = log.latest_checkpoint().context("a flushed log has a checkpoint")?;
    let exported = folder.path().join("export");
    export(&log, &signed, &exported)?;
    let mut rates = Vec::new();
    for _ in 0..5 {
        let start = Instant::now();
        let report = verify_dir(&exported, &Trust { log_key: &log_key, witnesses: &[], quorum: 0, seen: &[] })?;
        rates.push(report.checkpoint.size as f64 / start.elapsed().as_secs_f64());
    }
    rates.sort_by(f64::total_cmp);
    runtime.block_on(log.shutdown())?;

    let syncs = after.syncs - before.syncs;
    println!(
        "{}",
        serde_json::json!({
            "events": events, "callers": callers, "events_per_s": events as f64 / took.as_secs_f64(),
            "events_per_sync": events as f64 / syncs.max(1) as f64, "p99_wait_ms": p99.as_secs_f64() * 1e3,
            "verified_per_s": rates.get(rates.len() / 2),
        })
    );
    Ok(())
}

/// Every caller makes its events one after the other, waiting for each; what it waited is returned.
async fn append(log: &Log, events: u64, callers: u64) -> Result<Vec<Duration>> {
    let mut tasks = tokio::task::JoinSet::new();
    for caller in 0..callers {
        let log = log.clone();
        let share = events / callers + u64::from(caller < events % callers);
        tasks.spawn(async move {
            let random = SystemRandom::new();
            let mut waits = Vec::new();
            for n in 0..share {
                let event = AuditEvent {
                    version: 1,
                    salt: id(&random)?,
                    time_ms: n,
                    phase: Phase::Fact,
                    operation: "content.open".to_owned(),
                    request: id(&random)?,
                    actor: Some(id(&random)?),
                    session: Some(id(&random)?),
                    subjects: vec![id(&random)?],
                    opening: None,
                    outcome: Some("done".to_owned()),
                    detail: Vec::new(),
                };
                let start = Instant::now();
                log.append(event.to_leaf()?).await?;
                waits.push(start.elapsed());
            }
            anyhow::Ok(waits)
        });
    }
    let mut all = Vec::new();
    while let Some(waits) = tasks.join_next().await {
        all.extend(waits??);
    }
    Ok(all)
}

fn id(random: &SystemRandom) -> Result<ByteArray<16>> {
    Ok(public::<16>(random)?.into())
}
