//! Real programs: a server in a directory of its own, and devices that run the command line.
#![allow(dead_code, clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

pub const PASSPHRASE: &str = "correct horse battery";

/// The server's program lies beside ours when the workspace is built.
fn backend_program() -> PathBuf {
    let program = Path::new(env!("CARGO_BIN_EXE_ticrypt")).with_file_name("ticrypt-backend");
    assert!(program.exists(), "{} is missing: run `cargo build -p ticrypt-backend` first", program.display());
    program
}

pub struct Backend {
    child: Child,
    dir: tempfile::TempDir,
    pub code: String,
    pub deployment_file: PathBuf,
    pub fingerprint: String,
    pub port: u16,
}

impl Drop for Backend {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Backend {
    pub fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        // Free a moment ago; nobody else asks for ports here.
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let config = format!(
            "[server]\nlisten = \"127.0.0.1:{port}\"\n[health]\nenabled = false\n[log]\ncheckpoint_interval_ms = 50\n[limits]\naddress_per_second = 1000\naddress_burst = 5000\n"
        );
        std::fs::write(dir.path().join("backend.toml"), config).unwrap();
        let (child, lines) = Self::spawn(dir.path());
        let value = |word: &str| {
            lines.iter().find_map(|line| line.strip_prefix(word)).unwrap_or_else(|| panic!("no {word} in {lines:?}")).trim().to_owned()
        };
        // What follows the code explains it.
        let code = value("one-time code").split_whitespace().next().unwrap().to_owned();
        Self { code, deployment_file: value("deployment file").into(), fingerprint: value("fingerprint"), child, dir, port }
    }

    fn spawn(dir: &Path) -> (Child, Vec<String>) {
        let mut child = Command::new(backend_program())
            .arg("--config")
            .arg(dir.join("backend.toml"))
            .arg("--data")
            .arg(dir.join("data"))
            .arg("run")
            .env("TICRYPT_LOG", "warn")
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()
            .unwrap();
        // The start-up message ends with the deployment file's lines; what comes later is drained, so that the server never blocks.
        let stdout = child.stdout.take().unwrap();
        let (send, receive) = std::sync::mpsc::channel();
        std::thread::spawn(move || BufReader::new(stdout).lines().map_while(Result::ok).for_each(|line| drop(send.send(line))));
        let mut lines = Vec::new();
        let began = Instant::now();
        loop {
            match receive.recv_timeout(Duration::from_millis(if lines.is_empty() { 60_000 } else { 500 })) {
                Ok(line) => lines.push(line.trim_start().to_owned()),
                Err(_) if lines.is_empty() => panic!("the server does not start: {:?}", child.try_wait()),
                Err(_) => break,
            }
            assert!(began.elapsed() < Duration::from_secs(60));
        }
        (child, lines)
    }

    /// Ends it as an operator would, and waits.
    #[allow(clippy::disallowed_methods, reason = "the end of a process is waited for with a limit")]
    pub fn stop(&mut self) {
        let _ = Command::new("kill").arg(self.child.id().to_string()).status();
        let began = Instant::now();
        while began.elapsed() < Duration::from_secs(15) {
            if matches!(self.child.try_wait(), Ok(Some(_))) {
                return;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// What an operator runs beside the server to prove that what is stored holds together.
    pub fn check(&self) {
        let dir = self.dir.path();
        let mut command = Command::new(backend_program());
        command.arg("--config").arg(dir.join("backend.toml")).arg("--data").arg(dir.join("data")).arg("check");
        let output = command.output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    }

    pub fn restart(&mut self) {
        self.stop();
        self.child = Self::spawn(self.dir.path()).0;
    }
}

/// What a run of the program gave.
pub struct Ran {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Ran {
    #[track_caller]
    pub fn ok(self) -> Self {
        assert_eq!(self.code, 0, "stdout: {}\nstderr: {}", self.stdout, self.stderr);
        self
    }

    #[track_caller]
    pub fn fails(self, code: i32, why: &str) -> Self {
        assert_eq!(self.code, code, "stdout: {}\nstderr: {}", self.stdout, self.stderr);
        assert!(self.stderr.contains(why), "`{}` does not say `{why}`", self.stderr);
        self
    }

    /// What it prints has this in it.
    #[allow(dead_code, reason = "not every test reads what people read")]
    #[track_caller]
    pub fn says(self, what: &str) -> Self {
        assert!(self.stdout.contains(what), "`{}` does not say `{what}`", self.stdout);
        self
    }

    #[track_caller]
    pub fn json(self) -> Value {
        let ran = self.ok();
        serde_json::from_str(&ran.stdout).unwrap_or_else(|e| panic!("{e}: {}", ran.stdout))
    }
}

/// A person's device.
pub struct Device {
    pub dir: tempfile::TempDir,
}

impl Drop for Device {
    fn drop(&mut self) {
        // The agent would outlive the test otherwise.
        self.run(&["lock"]);
    }
}

impl Device {
    /// One that knows the deployment.
    pub fn new(backend: &Backend) -> Self {
        let device = Self { dir: tempfile::tempdir().unwrap() };
        std::fs::write(device.dir.path().join("passphrase"), format!("{PASSPHRASE}\n")).unwrap();
        device.run(&["deployment", "import", backend.deployment_file.to_str().unwrap(), "--fingerprint", &backend.fingerprint]).ok();
        device
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub fn command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ticrypt"));
        command
            .arg("--home")
            .arg(self.path("home"))
            .arg("--passphrase-file")
            .arg(self.path("passphrase"))
            .env_remove("XDG_RUNTIME_DIR")
            .env_remove("TICRYPT_PASSPHRASE")
            .current_dir(self.dir.path())
            .stdin(Stdio::null());
        command
    }

    pub fn run(&self, arguments: &[&str]) -> Ran {
        let output = self.command().args(arguments).output().unwrap();
        Ran {
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    pub fn json(&self, arguments: &[&str]) -> Value {
        self.run(&[arguments, &["--json"]].concat()).json()
    }

    /// Makes keys and asks for an account; gives the fingerprint.
    pub fn register(&self, name: &str, more: &[&str]) -> String {
        self.run(&["key", "new", name]).ok();
        let registered = self.json(&[&["register"], more].concat());
        registered["fingerprint"].as_str().unwrap().to_owned()
    }
}

/// A server with its first administrator, logged in.
pub fn begin() -> (Backend, Device) {
    let backend = Backend::start();
    let admin = Device::new(&backend);
    admin.register("root", &["--code", &backend.code]);
    admin.run(&["login"]).ok();
    (backend, admin)
}

/// Registers, activates and logs in one more person.
pub fn enrol(backend: &Backend, admin: &Device, name: &str) -> Device {
    let device = Device::new(backend);
    let fingerprint = device.register(name, &[]);
    admin.run(&["users", "activate", name, "--fingerprint", &fingerprint]).ok();
    device.run(&["login"]).ok();
    device
}

/// Puts a file with this text into a directory.
#[allow(dead_code, reason = "not every test puts files")]
pub fn put(device: &Device, name: &str, text: &str, to: &str) -> Ran {
    let file = device.path(name);
    std::fs::write(&file, text).unwrap();
    device.run(&["put", file.to_str().unwrap(), to])
}

/// A new login, since what was gained counts from then on.
#[allow(dead_code, reason = "not every test gains something")]
pub fn again(device: &Device) {
    device.run(&["logout"]).ok();
    device.run(&["login"]).ok();
}

/// Names of a listing: `#` where a tag is shown, `?` where it is locked.
#[allow(dead_code, reason = "not every test lists what is tagged")]
pub fn marked(listed: &Value) -> Vec<String> {
    let one = |one: &Value| {
        let mark = match (one["tags"].as_array(), one["locked"].as_bool()) {
            (None, None | Some(false)) => "",
            (Some(_), _) => "#",
            (None, Some(true)) => "?",
        };
        format!("{}{mark}", one["name"].as_str().unwrap())
    };
    listed.as_array().unwrap().iter().map(one).collect()
}
