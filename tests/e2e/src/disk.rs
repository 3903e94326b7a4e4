//! A disk that is soon full.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Result, ensure};

/// A file system in memory, gone when dropped.
#[derive(Debug)]
pub struct SmallDisk(PathBuf);

impl SmallDisk {
    /// Mounts one at a directory that is made for it; `None` where mounting is not allowed.
    pub fn mount(directory: &Path, mebibytes: u64) -> Result<Option<Self>> {
        std::fs::create_dir(directory)?;
        let options = format!("size={mebibytes}m,mode=700");
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", &options, "ticrypt-e2e"]).arg(directory).output();
        Ok(mounted.is_ok_and(|output| output.status.success()).then(|| Self(directory.to_path_buf())))
    }

    pub fn path(&self) -> &Path {
        &self.0
    }

    pub fn resize(&self, mebibytes: u64) -> Result<()> {
        let remounted = Command::new("mount").args(["-o", &format!("remount,size={mebibytes}m")]).arg(&self.0).status()?;
        ensure!(remounted.success(), "the small disk could not be made larger");
        Ok(())
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(&self.0).status();
    }
}
