//! Keys people sign with, remembered: reading a bundle costs a signature check, and a busy client sends many requests.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use ticrypt_crypto::Digest;
use ticrypt_crypto::bundle::Bundle;
use ticrypt_store::Store;
use ticrypt_types::UserId;

use super::error::FileError;
use super::records::Signer;

/// More people than this at once and the memory begins anew; that costs time only.
const REMEMBERED_MAX: usize = 4_096;

/// By the record hash of the bundle, which names one key for ever: nothing here goes out of date.
#[derive(Debug, Default)]
pub(super) struct Signers {
    known: Mutex<HashMap<[u8; 32], Arc<Signer>>>,
}

impl Signers {
    /// The key in the bundle with this record hash.
    pub(super) async fn load(&self, store: &Store, user: UserId, hash: [u8; 32]) -> Result<Arc<Signer>, FileError> {
        if let Some(signer) = self.known.lock().unwrap_or_else(PoisonError::into_inner).get(&hash)
            && signer.user == user
        {
            return Ok(signer.clone());
        }
        let stored = store.bundle(&hash).await?.ok_or(FileError::Corrupt("an account without its bundle"))?;
        let bundle = Bundle::parse_and_verify(&stored.bytes).map_err(|_| FileError::Corrupt("a stored bundle does not verify"))?;
        let payload = bundle.payload();
        if payload.user != user || bundle.hash() != Digest::new(hash) {
            return Err(FileError::Corrupt("a stored bundle is somebody else's"));
        }
        let signer = Arc::new(Signer { user, bundle: bundle.hash(), generation: payload.generation, key: payload.signing_key });
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= REMEMBERED_MAX {
            known.clear();
        }
        known.insert(hash, signer.clone());
        Ok(signer)
    }
}
