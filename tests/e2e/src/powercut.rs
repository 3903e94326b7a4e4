//! A power cut, at any moment of a program's life, as often as a test wants.
//!
//! Killing a program loses nothing that it wrote: the page cache belongs to the kernel. So a shim (`powercut/shim.c`) records
//! everything the program does to its directory, and the [`Disk`] replays the record up to a cut, keeping only what the program
//! had made certain by syncing it:
//!
//! ```text
//!   program + shim ──▶ operations ──▶ Disk::replay(cut) ──▶ Survival::Strict   what was synced, nothing else
//!                                                      └──▶ Survival::Chance   any part of the rest as well, torn by sectors
//! ```
//!
//! A content is certain once its file was synced afterwards; a name once its directory was. That is what POSIX promises, and less
//! than most file systems keep. Replaying with some syncs left out ([`Disk::distrusting`]) is the same as a program that lacks them,
//! so one recording shows for each sync that it is needed.

mod disk;
mod record;

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

pub use disk::{Disk, Survival};
pub use record::{Change, Record, parse_log};

const SHIM: &str = include_str!("../powercut/shim.c");

/// The shim, compiled, and where its recording goes.
#[derive(Debug, Clone)]
pub struct Recorder {
    library: PathBuf,
    root: PathBuf,
    root_inode: u64,
    log: PathBuf,
    full: PathBuf,
}

impl Recorder {
    /// Compiles the shim into `workshop`, which must be outside `root`, the tree that is watched.
    pub fn new(workshop: &Path, root: &Path) -> Result<Self> {
        let (source, library) = (workshop.join("shim.c"), workshop.join("shim.so"));
        std::fs::write(&source, SHIM)?;
        let output = Command::new("gcc")
            .args(["-shared", "-fPIC", "-O1", "-Wall", "-Wextra", "-Werror", "-o"])
            .args([&library, &source])
            .args(["-ldl", "-lpthread"])
            .output()
            .context("run gcc; install the package gcc")?;
        ensure!(output.status.success(), "the shim does not compile: {}", String::from_utf8_lossy(&output.stderr));
        let root = std::fs::canonicalize(root).context("the watched tree must exist")?;
        let root_inode = std::fs::metadata(&root)?.ino();
        Ok(Self { library, root, root_inode, log: workshop.join("operations"), full: workshop.join("full") })
    }

    /// What a program's environment needs so that it is recorded.
    pub fn environment(&self) -> Vec<(&'static str, PathBuf)> {
        vec![
            ("LD_PRELOAD", self.library.clone()),
            ("POWERCUT_ROOT", self.root.clone()),
            ("POWERCUT_LOG", self.log.clone()),
            ("POWERCUT_FULL", self.full.clone()),
        ]
    }

    /// How long the recording is now. Everything the program was told is certain must be so in a cut at this length.
    pub fn length(&self) -> u64 {
        std::fs::metadata(&self.log).map_or(0, |m| m.len())
    }

    pub fn records(&self) -> Result<Vec<Record>> {
        parse_log(&std::fs::read(&self.log).context("read the recording")?)
    }

    /// From now on, or no longer, the disk has no room.
    pub fn set_full(&self, full: bool) -> Result<()> {
        if full {
            std::fs::write(&self.full, b"")?;
        } else if self.full.exists() {
            std::fs::remove_file(&self.full)?;
        }
        Ok(())
    }

    /// An empty disk for replaying what was done to the watched tree.
    pub fn disk(&self) -> Disk {
        Disk::new(self.root_inode)
    }
}
