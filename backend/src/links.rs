//! The vault's two roles, linked in process: the file role decides, the storage role moves chunks under its tickets.

use std::path::Path;
use std::sync::Arc;

use ticrypt_api::ApiError;
use ticrypt_api::role::{Audit, Chunks, Epochs, Vault};
use ticrypt_store::Store;
use ticrypt_store::blobs::{BlobError, ChunkStore, S3Settings};
use ticrypt_types::{DeploymentId, Secret, Timestamp};

use crate::config::{Chunks as ChunksConfig, Config};
use crate::file::{self, FileRole};
use crate::losses::Losses;
use crate::storage::{self, StorageRole};
use crate::wiring::Paths;

/// Why the vault's roles do not start.
#[derive(Debug, thiserror::Error)]
pub enum LinkError {
    #[error("the chunk store cannot be used")]
    Blobs(#[from] BlobError),
    #[error("the file with a key of the bucket cannot be read")]
    Key(#[source] std::io::Error),
    #[error("the machine gives no random bytes")]
    Random,
}

/// Both roles, running.
#[derive(Clone, Debug)]
pub struct Vaults {
    file: FileRole,
    storage: Arc<StorageRole>,
}

impl Vaults {
    pub async fn start(
        config: &Config,
        paths: &Paths,
        deployment: DeploymentId,
        store: &Store,
        audit: Arc<dyn Audit>,
        epochs: Arc<dyn Epochs>,
        losses: Arc<Losses>,
    ) -> Result<Self, LinkError> {
        let blobs = chunk_store(config, paths)?;
        let mut key = [0; 32];
        aws_lc_rs::rand::fill(&mut key).map_err(|_| LinkError::Random)?;
        let storage = Arc::new(StorageRole::new(storage::Parts {
            store: store.clone(),
            chunks: blobs,
            epochs,
            ticket_key: Secret::new(key),
            losses: Arc::clone(&losses),
        }));
        let file = FileRole::new(file::Parts {
            deployment,
            store: store.clone(),
            audit,
            chunks: Arc::clone(&storage) as Arc<dyn Chunks>,
            ticket_key: Secret::new(key),
            losses,
        });
        Ok(Self { file, storage })
    }

    pub fn vault(&self) -> Arc<dyn Vault> {
        Arc::new(self.file.clone())
    }

    pub fn chunks(&self) -> Arc<dyn Chunks> {
        Arc::clone(&self.storage) as Arc<dyn Chunks>
    }

    /// Ends shares past their time.
    pub async fn expire_grants(&self, now: Timestamp) -> Result<usize, ApiError> {
        self.file.expire_grants(now).await
    }

    pub async fn shutdown(&self) {
        self.file.shutdown().await;
        self.storage.shutdown().await;
    }
}

/// The chunk store the configuration names; `check`, `sweep` and `backup` use it too.
pub fn chunk_store(config: &Config, paths: &Paths) -> Result<ChunkStore, LinkError> {
    let line = |path: &Path| std::fs::read_to_string(paths.resolve(path)).map(|text| text.trim().to_owned()).map_err(LinkError::Key);
    Ok(match &config.chunks {
        ChunksConfig::Local { path } => ChunkStore::local(&paths.resolve(path))?,
        ChunksConfig::S3 { endpoint, region, bucket, access_key_file, secret_key_file, allow_http } => ChunkStore::s3(&S3Settings {
            endpoint: endpoint.clone(),
            region: region.clone(),
            bucket: bucket.clone(),
            access_key: line(access_key_file)?,
            secret_key: line(secret_key_file)?,
            allow_http: *allow_http,
        })?,
    })
}
