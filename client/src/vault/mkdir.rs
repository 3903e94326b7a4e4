//! New directories.

use ticrypt_types::{NodeName, Timestamp};

use super::Vault;
use super::create::taken_meanwhile;
use super::make::NodeDraft;
use super::path::VaultPath;
use super::resolve::Found;
use crate::error::{ClientError, Kind, Result};

/// Permission bits of a directory nobody copied from a disk.
const MODE: u16 = 0o755;

impl Vault {
    /// Makes a directory. With `parents`, those above it too, and one that is there already is no error.
    pub async fn mkdir(&self, path: &VaultPath, parents: bool) -> Result<Found> {
        if let Some(found) = self.find_node(path).await? {
            return match (parents, found.is_directory()) {
                (true, true) => Ok(found),
                _ => Err(ClientError::new(Kind::Taken, "exists", format!("`{path}` exists; choose another name"))),
            };
        }
        let (above, name) = path.split().map_err(|e| ClientError::invalid(e.to_string()))?;
        if parents {
            // Boxed: a future cannot hold itself.
            Box::pin(self.mkdir(&above, true)).await?;
        }
        let name: NodeName = name.clone();
        let found = self.resolve(&above).await?;
        let directory = self.load_found(&found, true).await?;
        if directory.by_name(&name).is_some() {
            return Err(taken_meanwhile(&above, &name));
        }
        let now = crate::clock::now();
        let draft = NodeDraft::directory(&self.random, name, now, Timestamp::ABSENT, MODE)?;
        match self.create(&above, directory, vec![draft]).await {
            Ok(_) => {}
            // Two programs that make the same directory at once both have what they want.
            Err(error) if parents && error.kind() == Kind::Taken => {}
            Err(error) => return Err(error),
        }
        self.resolve(path).await
    }
}
