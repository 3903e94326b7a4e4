//! A PostgreSQL server of our own, from the Debian packages: a temporary directory, a UNIX socket, no TCP.

use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};

use crate::process::{PATIENCE, Process, await_until, run};

/// Ends the server when dropped.
#[derive(Debug)]
pub struct Postgres {
    process: Process,
    directory: tempfile::TempDir,
    programs: PathBuf,
}

impl Postgres {
    pub fn start() -> Result<Self> {
        let programs = programs()?;
        // Short: the path of a socket has at most 107 bytes.
        let directory = tempfile::Builder::new().prefix("pg").tempdir()?;
        if rustix::process::geteuid().is_root() {
            std::fs::set_permissions(directory.path(), std::fs::Permissions::from_mode(0o700))?;
            chown(directory.path(), Some(NOBODY), Some(NOBODY))?;
        }
        let data = directory.path().join("data");
        let mut initdb = unprivileged(&programs.join("initdb"));
        initdb.current_dir(directory.path()).arg("-D").arg(&data).args([
            "-U",
            "ticrypt",
            "-A",
            "trust",
            "-N",
            "-E",
            "UTF8",
            "--locale=C.UTF-8",
        ]);
        run(&mut initdb, PATIENCE)?.success()?;
        let mut postgres = unprivileged(&programs.join("postgres"));
        postgres.current_dir(directory.path()).arg("-D").arg(&data).arg("-k").arg(directory.path()).args(["-c", "listen_addresses="]);
        postgres.args(["-c", "fsync=off", "-c", "shared_buffers=16MB", "-c", "max_connections=50"]);
        let process = Process::spawn("postgres", &mut postgres, &directory.path().join("log"))?;
        let mut server = Self { process, directory, programs };
        server.await_ready()?;
        Ok(server)
    }

    fn await_ready(&mut self) -> Result<()> {
        let socket = self.directory.path().to_path_buf();
        let probe = self.programs.join("pg_isready");
        await_until("PostgreSQL starts", PATIENCE, || {
            if let Some(status) = self.process.ended()? {
                bail!("PostgreSQL ended with {status}: {}", self.process.said());
            }
            Ok(Command::new(&probe).arg("-q").arg("-h").arg(&socket).status()?.success().then_some(()))
        })
    }

    /// Makes a database; what the backend's configuration needs to reach it.
    pub fn database(&self, name: &str) -> Result<String> {
        let mut createdb = Command::new(self.programs.join("createdb"));
        createdb.arg("-h").arg(self.directory.path()).args(["-U", "ticrypt", name]);
        run(&mut createdb, PATIENCE)?.success()?;
        Ok(format!("postgres://ticrypt@localhost/{name}?host={}", self.directory.path().display()))
    }

    /// Where all of its files are.
    pub fn data(&self) -> &Path {
        self.directory.path()
    }
}

const NOBODY: u32 = 65_534;

/// PostgreSQL refuses to run as root.
fn unprivileged(program: &Path) -> Command {
    if !rustix::process::geteuid().is_root() {
        return Command::new(program);
    }
    let mut command = Command::new("setpriv");
    command.args(["--reuid=65534", "--regid=65534", "--clear-groups", "--"]).arg(program);
    command
}

fn programs() -> Result<PathBuf> {
    let mut found: Vec<PathBuf> = std::fs::read_dir("/usr/lib/postgresql")
        .map(|versions| versions.filter_map(|entry| Some(entry.ok()?.path().join("bin"))).collect())
        .unwrap_or_default();
    found.retain(|bin| bin.join("postgres").exists());
    found.sort();
    ensure!(!found.is_empty(), "there is no PostgreSQL; install the package postgresql");
    found.pop().context("no version of PostgreSQL")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_of_our_own() -> Result<()> {
        let server = Postgres::start()?;
        let url = server.database("story")?;
        let mut psql = Command::new(server.programs.join("psql"));
        let outcome = run(psql.args([url.as_str(), "-Atc", "select 6 * 7"]), PATIENCE)?.success()?;
        assert_eq!(outcome.stdout, "42\n");
        Ok(())
    }
}
