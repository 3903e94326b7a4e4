//! The deployment's own identity: its id, the token and the one-time code of registration, and the deployment file (security C19).
//!
//! ```text
//! first start: id, token, code (printed once, kept hashed) ─▶ data/deployment.json ─ out of band ─▶ clients compare its fingerprint
//! ```

use std::path::{Path, PathBuf};

use aws_lc_rs::{digest, rand};
use data_encoding::{BASE32_NOPAD, BASE64URL_NOPAD, HEXLOWER};
use ticrypt_api::deployment::DeploymentFile;
use ticrypt_crypto::Suite;
use ticrypt_store::{Store, StoreError};
use ticrypt_types::{DeploymentId, Secret};

use crate::audit::LogKeys;
use crate::config::{Config, RegistrationMode};
use crate::rest::identify::token_hash;
use crate::tls::{Identity, write_private};

/// The setting that holds the hash of the one-time code, until it is used.
pub const BOOTSTRAP_CODE: &str = "bootstrap_code";
const DEPLOYMENT_ID: &str = "deployment_id";
const REGISTRATION_TOKEN: &str = "registration_token";

/// Where the deployment file is written, under the data directory.
pub const FILE_NAME: &str = "deployment.json";

/// Why the deployment has no identity.
#[derive(Debug, thiserror::Error)]
pub enum DeploymentError {
    #[error("the database cannot be read or written")]
    Store(#[from] StoreError),
    #[error("the setting {0} cannot be read; restore the database from a copy")]
    Setting(&'static str),
    #[error("the machine gives no random bytes")]
    Random,
    #[error("the deployment file cannot be written")]
    File(#[source] crate::tls::TlsError),
    #[error("the deployment file cannot be encoded")]
    Encode(#[source] serde_json::Error),
    #[error("there are accounts already; a new one-time code is for a deployment without any")]
    HasAccounts,
}

/// What is the same from the first start on.
#[derive(Debug)]
pub struct Deployment {
    pub id: DeploymentId,
    pub registration_token: String,
    /// Only at first start; shown once.
    pub code: Option<Secret<String>>,
}

impl Deployment {
    /// Reads it from the store, or makes it there.
    pub async fn load_or_make(store: &Store) -> Result<Self, DeploymentError> {
        if let Some(id) = stored_id(store).await? {
            let token = store.setting(REGISTRATION_TOKEN).await?.and_then(|token| String::from_utf8(token).ok());
            return Ok(Self { id, registration_token: token.ok_or(DeploymentError::Setting(REGISTRATION_TOKEN))?, code: None });
        }
        let id = DeploymentId::from_random(random()?);
        let token = BASE64URL_NOPAD.encode(&random::<24>()?);
        let code = new_code()?;
        let (hash, kept) = (token_hash(code.as_bytes()), token.clone());
        // Together, so that a crash leaves all of it or nothing.
        store
            .write(move |tx| {
                Box::pin(async move {
                    tx.set_setting(BOOTSTRAP_CODE, &hash).await?;
                    tx.set_setting(REGISTRATION_TOKEN, kept.as_bytes()).await?;
                    tx.set_setting(DEPLOYMENT_ID, id.as_bytes()).await
                })
            })
            .await?;
        Ok(Self { id, registration_token: token, code: Some(Secret::new(code)) })
    }

    /// The file for clients.
    pub fn file(&self, config: &Config, urls: Vec<String>, tls: &Identity, logs: &LogKeys) -> DeploymentFile {
        DeploymentFile {
            version: DeploymentFile::VERSION,
            id: self.id,
            display_name: config.server.display_name.clone(),
            urls,
            tls_pins: tls.pins.to_vec(),
            audit_log_key: logs.audit.verifier().to_string(),
            key_log_key: logs.keys.verifier().to_string(),
            witness_keys: config.log.witnesses.iter().map(|witness| witness.key.clone()).collect(),
            witness_quorum: config.log.quorum.try_into().unwrap_or(u32::MAX),
            site_key: None,
            minimum_suite: Suite::CURRENT.id().into(),
            registration_token: (config.registration.mode == RegistrationMode::Token).then(|| self.registration_token.clone()),
        }
    }
}

/// The deployment a database is of, if it is of one already.
pub async fn stored_id(store: &Store) -> Result<Option<DeploymentId>, DeploymentError> {
    let Some(id) = store.setting(DEPLOYMENT_ID).await? else { return Ok(None) };
    DeploymentId::try_from(id.as_slice()).map(Some).map_err(|_| DeploymentError::Setting(DEPLOYMENT_ID))
}

/// Another one-time code, for an operator who lost the first before using it.
pub async fn renew_code(store: &Store) -> Result<Secret<String>, DeploymentError> {
    if store.has_users().await? {
        return Err(DeploymentError::HasAccounts);
    }
    let code = new_code()?;
    store.set_setting(BOOTSTRAP_CODE.to_owned(), token_hash(code.as_bytes()).to_vec()).await?;
    Ok(Secret::new(code))
}

/// Writes the file; returns where it is and its fingerprint.
pub fn write_file(data: &Path, file: &DeploymentFile) -> Result<(PathBuf, String), DeploymentError> {
    let mut bytes = serde_json::to_vec_pretty(file).map_err(DeploymentError::Encode)?;
    bytes.push(b'\n');
    let path = data.join(FILE_NAME);
    // The same bytes have the same fingerprint; leave the file alone then.
    if std::fs::read(&path).ok().as_deref() != Some(&bytes) {
        write_private(&path, &bytes).map_err(DeploymentError::File)?;
    }
    Ok((path, fingerprint(&bytes)))
}

/// SHA-256 of the file's exact bytes, in 16 groups of four digits, to be compared out of band.
pub fn fingerprint(bytes: &[u8]) -> String {
    let hex = HEXLOWER.encode(digest::digest(&digest::SHA256, bytes).as_ref());
    hex.as_bytes().chunks(4).map(|group| String::from_utf8_lossy(group).into_owned()).collect::<Vec<_>>().join(" ")
}

/// 120 random bits in six groups of four letters and digits.
fn new_code() -> Result<String, DeploymentError> {
    let text = BASE32_NOPAD.encode(&random::<15>()?);
    Ok(text.as_bytes().chunks(4).map(|group| String::from_utf8_lossy(group).into_owned()).collect::<Vec<_>>().join("-"))
}

fn random<const N: usize>() -> Result<[u8; N], DeploymentError> {
    let mut bytes = [0; N];
    rand::fill(&mut bytes).map_err(|_| DeploymentError::Random)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn fingerprints_and_codes_can_be_read_aloud() {
        let text = fingerprint(b"x");
        assert_eq!(text.split(' ').count(), 16);
        let code = new_code().unwrap();
        assert_eq!(code.split('-').count(), 6);
        assert_ne!(code, new_code().unwrap());
    }
}
