//! The logs in a backup: from a checkpoint that covers every event whose effect may be in the copied rows.

use std::path::Path;
use std::time::{Duration, Instant};

use ticrypt_log::copy::{self, Published};
use ticrypt_log::verify::{Trust, verify_tree};
use ticrypt_log::{Log, LogError, NoteSigner, Options, VerifierKey};

use super::{BackupError, blocking};
use crate::check::LogPlace;

/// How long a running server may take to publish what is in its journal; it does so about once a second.
const PATIENCE: Duration = Duration::from_secs(60);
const POLL: Duration = Duration::from_millis(50);

/// Copies a log as far as it is durable now, or a little further. `None` if it was never opened.
pub async fn copy(place: &LogPlace, signer: &NoteSigner, options: &Options, to: &Path) -> Result<Option<Published>, BackupError> {
    let (log, from, key) = (place.name, place.directory.clone(), place.key.clone());
    let failed = move |source| BackupError::Log { log, source };
    let measured = from.clone();
    let end = blocking(move || copy::durable_end(&measured).map_err(failed)).await?;
    let began = Instant::now();
    while published_size(&from, &key, log)? < end {
        publish(place, signer, options).await?;
        if began.elapsed() > PATIENCE {
            return Err(BackupError::LogBehind(log));
        }
        tokio::time::sleep(POLL).await;
    }
    let to = to.to_path_buf();
    blocking(move || {
        let state = copy::copy(&from, &key, &to).map_err(failed)?;
        if let Some(state) = &state {
            verify(&to, &key, state).map_err(|source| BackupError::LogUnsound { log, path: to.clone(), source })?;
        }
        Ok(state)
    })
    .await
}

/// Whether the tiles in a directory are those of this state of the log. Blocks.
pub fn verify(directory: &Path, key: &VerifierKey, state: &Published) -> Result<(), ticrypt_log::verify::VerifyError> {
    let trust = Trust { log_key: key, witnesses: &[], quorum: 0, seen: &[] };
    let witnessed = state.witnessed.as_ref().map(|signed| signed.to_bytes());
    verify_tree(directory, &state.checkpoint.to_bytes(), witnessed.as_deref(), &trust).map(drop)
}

fn published_size(directory: &Path, key: &VerifierKey, log: &'static str) -> Result<u64, BackupError> {
    let state = copy::published(directory, key).map_err(|source| BackupError::Log { log, source })?;
    Ok(state.map_or(0, |state| state.checkpoint.checkpoint().size))
}

/// A server that was killed left entries that no checkpoint covers yet. Nobody else publishes them, so it is done here, as at its next
/// start. A running server has the log to itself and does it on its own.
async fn publish(place: &LogPlace, signer: &NoteSigner, options: &Options) -> Result<(), BackupError> {
    let (log, directory, signer, options) = (place.name, place.directory.clone(), signer.clone(), options.clone());
    let failed = move |source| BackupError::Open { log, source };
    let opened = blocking(move || match Log::open(&directory, signer.verifier().name(), signer.clone(), options) {
        Ok((log, _)) => Ok(Some(log)),
        Err(LogError::InUse) => Ok(None),
        Err(source) => Err(failed(source)),
    });
    match opened.await? {
        Some(log) => log.shutdown().await.map_err(failed),
        None => Ok(()),
    }
}
