//! The programs of the workspace, built as the tests were.

use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;

use anyhow::{Context, Result, bail};

/// Names a directory of finished programs, which are then taken as they are.
pub const DIRECTORY_VARIABLE: &str = "TICRYPT_E2E_PROGRAMS";

static DIRECTORY: OnceLock<Result<PathBuf, String>> = OnceLock::new();

/// Where a program is. The first call in a process has cargo bring all of them up to date.
pub fn path(name: &str) -> Result<PathBuf> {
    let directory = DIRECTORY.get_or_init(|| build().map_err(|error| format!("{error:#}")));
    let path = directory.as_ref().map_err(|error| anyhow::anyhow!(error.clone()))?.join(name);
    if !path.exists() {
        bail!("there is no program {}", path.display());
    }
    Ok(path)
}

fn build() -> Result<PathBuf> {
    if let Some(directory) = std::env::var_os(DIRECTORY_VARIABLE) {
        return Ok(directory.into());
    }
    // TARGET/PROFILE/deps/the_test
    let test = std::env::current_exe()?;
    let profile_directory = test.ancestors().nth(2).context("a test outside a target directory")?;
    let profile = match profile_directory.file_name().and_then(|name| name.to_str()).context("a target directory without a profile")? {
        "debug" => "dev",
        other => other,
    };
    let target = profile_directory.parent().context("a target directory")?;
    let output = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        // All of the workspace, as CI builds it: a choice of packages would have other features and be built anew.
        .args(["build", "--workspace", "--bins", "--quiet", "--profile", profile])
        .arg("--target-dir")
        .arg(target)
        .output()
        .context("run cargo")?;
    if !output.status.success() {
        bail!("the programs do not build: {}", crate::process::last_lines(&String::from_utf8_lossy(&output.stderr), 30));
    }
    Ok(profile_directory.to_path_buf())
}
