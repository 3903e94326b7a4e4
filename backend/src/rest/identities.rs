//! Parsed identity bundles by their hash: a bundle never changes, so reading and verifying it once is enough.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use ticrypt_api::ApiError;
use ticrypt_crypto::bundle::Bundle;
use ticrypt_store::{Digest, Store};
use ticrypt_types::Timestamp;

use crate::refusal::store_failed;

/// Bundles kept; one is a few kilobytes.
const KEPT_MAX: usize = 4_096;

/// The bundles used last, roughly.
#[derive(Debug, Default)]
pub struct Identities {
    by_hash: Mutex<HashMap<Digest, Arc<Bundle>>>,
}

impl Identities {
    /// The bundle with this record hash, `None` if there is none.
    pub async fn get(&self, store: &Store, hash: &Digest, now: Timestamp) -> Result<Option<Arc<Bundle>>, ApiError> {
        if let Some(found) = self.by_hash.lock().unwrap_or_else(PoisonError::into_inner).get(hash) {
            return Ok(Some(Arc::clone(found)));
        }
        let Some(row) = store.bundle(hash).await.map_err(|error| store_failed(error, now))? else { return Ok(None) };
        let bundle = Bundle::parse_and_verify(&row.bytes).map(Arc::new).map_err(|error| {
            tracing::error!(error = &error as &dyn std::error::Error, "a stored bundle does not verify; run check");
            ApiError::broken()
        })?;
        let mut kept = self.by_hash.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() >= KEPT_MAX {
            kept.clear();
        }
        kept.insert(*hash, Arc::clone(&bundle));
        Ok(Some(bundle))
    }

    /// The bundle an account names; it is always there.
    pub async fn of_account(&self, store: &Store, hash: &Digest, now: Timestamp) -> Result<Arc<Bundle>, ApiError> {
        self.get(store, hash, now).await?.ok_or_else(|| {
            tracing::error!("an account names a bundle that is not stored; run check");
            ApiError::broken()
        })
    }
}
