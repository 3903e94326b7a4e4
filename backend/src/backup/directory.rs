//! The directory a backup is written to: one writer at a time, sets that come and go, and nothing that is not ours.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use ticrypt_types::DeploymentId;

use super::{BackupError, Manifest, ManifestError, io};

/// Says that a directory is ours, and who writes it.
const LOCK: &str = "ticrypt-backup.lock";
const SET: &str = "set-";

#[derive(Debug)]
pub struct Directory {
    pub root: PathBuf,
    /// What is there from before, if it was finished.
    pub earlier: Option<Manifest>,
    _lock: File,
}

impl Directory {
    /// Takes a directory that is empty, or holds a backup of this deployment, finished or not.
    pub fn open(root: &Path, deployment: DeploymentId) -> Result<Self, BackupError> {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(root).map_err(io("make the directory", root))?;
        let lock = root.join(LOCK);
        // What somebody else put there would be mistaken for chunks that nobody names any more.
        if !lock.exists() && fs::read_dir(root).map_err(io("read", root))?.next().is_some() {
            return Err(BackupError::Foreign(root.to_path_buf()));
        }
        let file = OpenOptions::new().create(true).truncate(false).write(true).open(&lock).map_err(io("write", &lock))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(BackupError::Busy(root.to_path_buf())),
            Err(TryLockError::Error(source)) => return Err(io("lock", &lock)(source)),
        }
        let earlier = match Manifest::read(root) {
            Ok(manifest) if manifest.deployment != deployment.to_string() => {
                return Err(BackupError::OtherDeployment { path: root.to_path_buf(), found: manifest.deployment, ours: deployment });
            }
            Ok(manifest) => Some(manifest),
            Err(ManifestError::Missing(_)) => None,
            Err(error) => return Err(error.into()),
        };
        let directory = Self { root: root.to_path_buf(), earlier, _lock: file };
        directory.keep_only(directory.earlier.as_ref().map(|manifest| manifest.set.clone()).as_deref())?;
        Ok(directory)
    }

    /// An empty set under a name that the earlier backup does not use.
    pub fn begin_set(&self) -> Result<(String, PathBuf), BackupError> {
        let number = |set: &str| set.strip_prefix(SET)?.parse::<u64>().ok();
        let before = self.earlier.as_ref().and_then(|manifest| number(&manifest.set)).unwrap_or(0);
        let name = format!("{SET}{}", before + 1);
        let path = self.root.join(&name);
        fs::DirBuilder::new().mode(0o700).create(&path).map_err(io("make the directory", &path))?;
        Ok((name, path))
    }

    /// Removes every set but one: those of interrupted backups, and the one whose place was taken.
    pub fn keep_only(&self, set: Option<&str>) -> Result<(), BackupError> {
        for entry in fs::read_dir(&self.root).map_err(io("read", &self.root))? {
            let entry = entry.map_err(io("read", &self.root))?;
            let name = entry.file_name();
            if name.to_str().is_some_and(|name| name.starts_with(SET) && Some(name) != set) {
                fs::remove_dir_all(entry.path()).map_err(io("remove", &entry.path()))?;
            }
        }
        Ok(())
    }
}

/// Makes the names in a directory durable.
pub fn sync(directory: &Path) -> Result<(), BackupError> {
    File::open(directory).and_then(|directory| directory.sync_all()).map_err(io("sync", directory))
}
