//! A hold on the chunks that is renewed for as long as a backup copies them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use data_encoding::HEXLOWER;
use ticrypt_store::hold::HOLD_MS;
use ticrypt_store::{Store, StoreError};
use tokio::task::JoinHandle;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::BackupError;
use crate::clock::Clock;

#[derive(Debug)]
pub struct Lease {
    store: Store,
    name: String,
    lost: Arc<AtomicBool>,
    pub clock: Clock,
    /// Ends the renewing also where a lease is dropped.
    stop: DropGuard,
    renewing: JoinHandle<()>,
}

impl Lease {
    pub async fn take(store: &Store, clock: &Clock) -> Result<Self, BackupError> {
        let mut id = [0; 16];
        aws_lc_rs::rand::fill(&mut id).map_err(|_| BackupError::Random)?;
        let name = HEXLOWER.encode(&id);
        store.hold_chunks(&name, clock.now()).await?;
        let (lost, stop) = (Arc::new(AtomicBool::new(false)), CancellationToken::new());
        let renewing = tokio::spawn(renew(store.clone(), name.clone(), clock.clone(), Arc::clone(&lost), stop.clone()));
        Ok(Self { store: store.clone(), name, lost, clock: clock.clone(), stop: stop.drop_guard(), renewing })
    }

    /// Whether there was a time in which nothing was held.
    pub fn was_lost(&self) -> bool {
        self.lost.load(Ordering::Acquire)
    }

    pub async fn release(self) -> Result<(), BackupError> {
        drop(self.stop);
        self.renewing.await.map_err(|_| BackupError::Task)?;
        Ok(self.store.release_hold(&self.name).await?)
    }
}

async fn renew(store: Store, name: String, clock: Clock, lost: Arc<AtomicBool>, stop: CancellationToken) {
    let mut every = tokio::time::interval(Duration::from_millis(HOLD_MS / 6));
    every.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    while stop.run_until_cancelled(every.tick()).await.is_some() {
        match store.renew_hold(&name, clock.now()).await {
            Err(StoreError::Stale(_)) => return lost.store(true, Ordering::Release),
            // A database that does not answer may answer the next time, while the hold still lasts.
            Err(error) => tracing::warn!(error = &error as &dyn std::error::Error, "the hold on the chunks was not renewed"),
            Ok(()) => {}
        }
    }
}
