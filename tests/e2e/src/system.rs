//! A server of our own: a temporary directory, an address nobody else has, and a backend that can be stopped, killed and started.
//!
//! ```text
//!   workshop/backend.toml  configuration        workshop/backend.log  what it said
//!   data/                  db, chunks, logs; replaced as a whole when a test cuts the power
//! ```

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::powercut::Recorder;
use crate::process::{Outcome, PATIENCE, Process, await_until, last_lines, run};
use crate::program;
use crate::s3::{ACCESS_KEY, BUCKET, S3, SECRET_KEY};

/// What kind of server.
#[derive(Debug, Default)]
pub struct Options {
    /// A PostgreSQL database; SQLite if there is none.
    pub database: Option<String>,
    /// A bucket for the chunks; a directory if there is none.
    pub s3: Option<String>,
    /// Records what the backend does to its directory, for power cuts and full disks.
    pub recorded: bool,
    /// Lines added to the configuration.
    pub extra: String,
    /// Where the data goes; in the temporary directory if not said.
    pub data: Option<PathBuf>,
}

impl Options {
    #[must_use]
    pub fn on_s3(mut self, server: &S3) -> Self {
        self.s3 = Some(server.endpoint());
        self
    }
}

/// Ends its backend when dropped.
#[derive(Debug)]
pub struct System {
    workshop: tempfile::TempDir,
    data: PathBuf,
    address: SocketAddr,
    health: SocketAddr,
    backend: Option<Process>,
    recorder: Option<Recorder>,
}

impl System {
    /// Makes a server and starts it for the first time.
    pub fn start(options: &Options) -> Result<Self> {
        let mut system = Self::prepare(options)?;
        system.restart()?;
        Ok(system)
    }

    /// Makes a server from a backup, without starting it.
    pub fn restored(options: &Options, from: &Path) -> Result<Self> {
        let system = Self::prepare(options)?;
        system.operate(&["restore", "--from", from.to_str().context("a path that is not UTF-8")?])?.success()?;
        // A start makes it; who comes with another device needs it before.
        system.operate(&["deployment"])?.success()?;
        Ok(system)
    }

    fn prepare(options: &Options) -> Result<Self> {
        let workshop = tempfile::Builder::new().prefix("e2e").tempdir()?;
        let data = options.data.clone().unwrap_or_else(|| workshop.path().join("data"));
        std::fs::create_dir_all(&data)?;
        let [address, health] = free_addresses()?;
        let configuration = configuration(options, address, health, workshop.path())?;
        std::fs::write(workshop.path().join("backend.toml"), configuration)?;
        let recorder = options.recorded.then(|| Recorder::new(workshop.path(), &data)).transpose()?;
        Ok(Self { workshop, data, address, health, backend: None, recorder })
    }

    pub fn data(&self) -> &Path {
        &self.data
    }

    /// A place for what a test needs besides.
    pub fn workshop(&self) -> &Path {
        self.workshop.path()
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    pub fn log_file(&self) -> PathBuf {
        self.workshop.path().join("backend.log")
    }

    pub fn deployment_file(&self) -> PathBuf {
        self.data.join("deployment.json")
    }

    /// The code for the first super-admin, which the first start printed.
    pub fn code(&self) -> Result<String> {
        let said = self.said();
        let line =
            said.lines().find_map(|line| line.trim().strip_prefix("one-time code")).context("the backend printed no one-time code")?;
        Ok(line.split_whitespace().next().context("an empty one-time code")?.to_owned())
    }

    /// Replaces all data of a backend that is not running.
    pub fn replace_data(&mut self, fill: impl FnOnce(&Path) -> Result<()>) -> Result<()> {
        anyhow::ensure!(self.backend.is_none(), "the backend is running");
        std::fs::remove_dir_all(&self.data)?;
        std::fs::create_dir_all(&self.data)?;
        fill(&self.data)
    }

    /// Writes another configuration for the next start: lines are added to the first one.
    pub fn configure(&self, lines: &str) -> Result<()> {
        let path = self.workshop.path().join("backend.toml");
        let text = std::fs::read_to_string(&path)?;
        Ok(std::fs::write(path, format!("{text}\n{lines}"))?)
    }

    /// What the backend has said since the first start.
    pub fn said(&self) -> String {
        std::fs::read(self.log_file()).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
    }

    pub fn recorder(&self) -> Result<&Recorder> {
        self.recorder.as_ref().context("this system is not recorded")
    }

    /// Starts the backend, which must not be running, and waits until it is ready. Returns how long that took.
    pub fn restart(&mut self) -> Result<Duration> {
        self.start_with(true)
    }

    /// The same without recording.
    pub fn restart_unrecorded(&mut self) -> Result<Duration> {
        self.start_with(false)
    }

    fn start_with(&mut self, recorded: bool) -> Result<Duration> {
        let began = Instant::now();
        self.backend = None;
        // The code of the first start is printed last.
        let starts = |said: &str| said.matches("listening on").count();
        let earlier = self.said();
        let before = starts(&earlier);
        let mut command = self.command("run")?;
        if let (true, Some(recorder)) = (recorded, &self.recorder) {
            command.envs(recorder.environment());
        }
        let mut process = Process::spawn("ticrypt-backend", &mut command, &self.log_file())?;
        await_until("the backend starts", PATIENCE, || {
            if let Some(status) = process.ended()? {
                let said = process.said();
                let now = said.get(earlier.len()..).unwrap_or(&said);
                bail!("the backend ended with {status}: {}", last_lines(now, 20));
            }
            Ok((starts(&process.said()) > before && is_ready(self.health)).then_some(()))
        })?;
        self.backend = Some(process);
        Ok(began.elapsed())
    }

    /// The running backend's process.
    pub fn process(&self) -> Result<u32> {
        Ok(self.backend.as_ref().context("the backend is not running")?.id())
    }

    /// Ends the backend at once.
    pub fn kill(&mut self) -> Result<()> {
        self.backend.take().context("the backend is not running")?.kill()
    }

    /// Has the backend end in order.
    pub fn stop(&mut self) -> Result<()> {
        self.backend.take().context("the backend is not running")?.stop()?;
        Ok(())
    }

    /// One of the backend's verbs, run to its end.
    pub fn operate(&self, arguments: &[&str]) -> Result<Outcome> {
        let (verb, rest) = arguments.split_first().context("a verb")?;
        run(self.command(verb)?.args(rest), PATIENCE)
    }

    /// `ticrypt-backend check`, every stored byte included. Fails with what it found.
    pub fn check(&self) -> Result<Outcome> {
        self.operate(&["check", "--deep"])?.success()
    }

    /// The command of a verb without running it.
    pub fn command(&self, verb: &str) -> Result<Command> {
        let mut command = Command::new(program::path("ticrypt-backend")?);
        command.arg(verb).arg("--config").arg(self.workshop.path().join("backend.toml")).arg("--data").arg(&self.data);
        command.env_remove("RUST_LOG").env("RUST_BACKTRACE", "1").current_dir(self.workshop.path());
        Ok(command)
    }
}

fn configuration(options: &Options, address: SocketAddr, health: SocketAddr, workshop: &Path) -> Result<String> {
    let mut text = format!(
        "[server]\nlisten = \"{address}\"\nurls = [\"https://{address}\"]\ndisplay_name = \"end to end\"\nshutdown_timeout_ms = 2000\n\n\
         [registration]\nmode = \"open\"\n\n[health]\nlisten = \"{health}\"\n\n\
         [limits]\naddress_per_second = 10000\naddress_burst = 10000\nperson_per_second = 10000\nperson_burst = 10000\n\n"
    );
    if let Some(url) = &options.database {
        text.push_str(&format!("[store]\nurl = \"{url}\"\n\n"));
    }
    if let Some(endpoint) = &options.s3 {
        let (access, secret) = (workshop.join("s3-access"), workshop.join("s3-secret"));
        std::fs::write(&access, ACCESS_KEY)?;
        std::fs::write(&secret, SECRET_KEY)?;
        text.push_str(&format!(
            "[chunks]\nkind = \"s3\"\nendpoint = \"{endpoint}\"\nregion = \"us-east-1\"\nbucket = \"{BUCKET}\"\n\
             access_key_file = \"{}\"\nsecret_key_file = \"{}\"\nallow_http = true\n\n",
            access.display(),
            secret.display()
        ));
    }
    text.push_str(&options.extra);
    Ok(text)
}

/// Two addresses on loopback that nobody else will take: all of 127.0.0.0/8 is ours, so the host part is drawn by chance and stays free
/// while the backend is down.
pub(crate) fn free_addresses() -> Result<[SocketAddr; 2]> {
    use std::hash::{BuildHasher, Hasher};
    for _ in 0..100 {
        let [a, b, c, ..] = std::hash::RandomState::new().build_hasher().finish().to_be_bytes();
        let host = Ipv4Addr::new(127, a, b, c.clamp(2, 254));
        let bind = || -> std::io::Result<[SocketAddr; 2]> {
            let listeners = [TcpListener::bind((host, 0))?, TcpListener::bind((host, 0))?];
            let [first, second] = &listeners;
            Ok([first.local_addr()?, second.local_addr()?])
        };
        if let Ok(addresses) = bind() {
            return Ok(addresses);
        }
    }
    bail!("no free address on loopback")
}

fn is_ready(health: SocketAddr) -> bool {
    let ask = || -> std::io::Result<bool> {
        let mut stream = TcpStream::connect_timeout(&health, Duration::from_secs(1))?;
        stream.set_read_timeout(Some(Duration::from_secs(2)))?;
        stream.write_all(b"GET /readyz HTTP/1.0\r\nhost: localhost\r\nconnection: close\r\n\r\n")?;
        let mut head = [0; 12];
        stream.read_exact(&mut head)?;
        Ok(&head == b"HTTP/1.0 200" || &head == b"HTTP/1.1 200")
    };
    ask().unwrap_or(false)
}
