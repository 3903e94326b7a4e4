//! A PostgreSQL server of this test's own: started from the distribution's packages in a temporary directory, reached over a
//! Unix socket only, gone when the test is.

use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::JoinHandle;

const MISSING: &str = "PostgreSQL is needed for the contract tests: apt-get install postgresql";

pub struct Server {
    child: Child,
    folder: tempfile::TempDir,
    bin: PathBuf,
    log: Option<JoinHandle<()>>,
}

impl Server {
    pub fn start() -> Self {
        let bin = newest_bin();
        // Socket paths are short, so not under the target directory.
        let folder = tempfile::Builder::new().prefix("pg").tempdir().unwrap();
        std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o777)).unwrap();
        let data = folder.path().join("data");
        let made = as_server_user(&bin.join("initdb"))
            .args(["-U", "tester", "--auth=trust", "--encoding=UTF8", "--no-sync", "-D"])
            .arg(&data)
            .stdout(Stdio::null())
            .status()
            .expect(MISSING);
        assert!(made.success(), "initdb failed");
        let mut child = as_server_user(&bin.join("postgres"))
            .arg("-D")
            .arg(&data)
            .arg("-k")
            .arg(folder.path())
            .args(["-c", "listen_addresses=", "-c", "fsync=off", "-c", "full_page_writes=off", "-c", "max_connections=60"])
            .stderr(Stdio::piped())
            .spawn()
            .expect(MISSING);
        let mut log = BufReader::new(child.stderr.take().unwrap()).lines();
        let ready =
            log.by_ref().map_while(Result::ok).inspect(|line| println!("{line}")).any(|line| line.contains("ready to accept connections"));
        assert!(ready, "PostgreSQL ended before it was ready");
        // Somebody must go on reading, or the server stops at a full pipe; the thread ends with the server.
        let log = std::thread::spawn(move || log.map_while(Result::ok).for_each(drop));
        Self { child, folder, bin, log: Some(log) }
    }

    /// The address of an empty database.
    pub fn fresh_database(&self, name: &str) -> String {
        // Names are cut at 63 bytes.
        let name: String = name.chars().take(60).collect();
        assert!(self.psql("postgres", &format!("CREATE DATABASE {name} STRATEGY file_copy")), "a database could not be made");
        format!("postgres://tester@localhost/{name}?host={}", self.folder.path().display())
    }

    fn psql(&self, database: &str, sql: &str) -> bool {
        let mut psql = Command::new(self.bin.join("psql"));
        psql.args(["-q", "-U", "tester", "-d", database, "-c", sql, "-h"]).arg(self.folder.path());
        psql.stdout(Stdio::null()).stderr(Stdio::null()).status().expect(MISSING).success()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        // Its workers hold the pipe until they notice.
        let _ = self.log.take().map(JoinHandle::join);
    }
}

fn newest_bin() -> PathBuf {
    let mut found: Vec<(u32, PathBuf)> = std::fs::read_dir("/usr/lib/postgresql")
        .expect(MISSING)
        .filter_map(|entry| {
            let entry = entry.ok()?;
            let bin = entry.path().join("bin");
            bin.join("initdb").exists().then_some((entry.file_name().to_str()?.parse().ok()?, bin))
        })
        .collect();
    found.sort();
    found.pop().expect(MISSING).1
}

/// The server refuses to run as root; and it must not outlive this test, however that ends.
fn as_server_user(program: &Path) -> Command {
    let mut command = Command::new("setpriv");
    let root = std::fs::metadata("/proc/self").is_ok_and(|meta| std::os::unix::fs::MetadataExt::uid(&meta) == 0);
    if root {
        command.args(["--reuid=nobody", "--regid=nogroup", "--clear-groups"]);
    }
    command.arg("--pdeathsig=KILL").arg("--").arg(program).current_dir("/");
    command
}
