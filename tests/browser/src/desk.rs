//! A person's machine: a home, connect, and clocks that a test can turn.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Result, anyhow};
use ticrypt_client::Home;
use ticrypt_connect::clocks::{Clocks, System as Real};
use ticrypt_connect::{Config, Running, start};
use ticrypt_e2e::process::{Outcome, run};
use ticrypt_e2e::program;
pub use ticrypt_e2e::system::System;

pub const PASSPHRASE: &str = "lunar cabbage wrote seven";

/// The machine's clocks, and what a test adds to them.
#[derive(Debug, Default)]
pub struct Clock {
    awake_ms: AtomicU64,
    asleep_ms: AtomicU64,
}

impl Clock {
    /// Time goes by with nobody there.
    pub fn pass(&self, time: Duration) {
        self.awake_ms.fetch_add(u64::try_from(time.as_millis()).unwrap_or(0), Ordering::SeqCst);
    }

    /// The lid is closed for so long.
    pub fn sleep(&self, time: Duration) {
        self.asleep_ms.fetch_add(u64::try_from(time.as_millis()).unwrap_or(0), Ordering::SeqCst);
    }
}

impl Clocks for Clock {
    fn since_boot(&self) -> Duration {
        self.awake() + Duration::from_millis(self.asleep_ms.load(Ordering::SeqCst))
    }

    fn awake(&self) -> Duration {
        Real.awake() + Duration::from_millis(self.awake_ms.load(Ordering::SeqCst))
    }
}

/// A running connect with a home of its own.
pub struct Desk {
    pub running: Running,
    pub clock: Arc<Clock>,
    directory: tempfile::TempDir,
}

impl Desk {
    /// A machine that knows nothing yet.
    pub async fn new() -> Result<Self> {
        Self::with_idle(Duration::from_secs(15 * 60)).await
    }

    pub async fn with_idle(idle: Duration) -> Result<Self> {
        let directory = tempfile::Builder::new().prefix("desk").tempdir()?;
        let home = Home::open(directory.path().join("home")).map_err(|e| anyhow!("{e}"))?;
        let clock = Arc::new(Clock::default());
        let config = Config {
            home,
            runtime_dir: Some(directory.path().to_owned()),
            port: 0,
            idle,
            plain_host: false,
            clocks: Arc::clone(&clock) as _,
            memory_locked: false,
        };
        let running = start(config).await.map_err(|e| anyhow!("{}", e.message()))?;
        Ok(Self { running, clock, directory })
    }

    /// A place for what a test needs besides.
    pub fn place(&self) -> &Path {
        self.directory.path()
    }

    pub fn home(&self) -> std::path::PathBuf {
        self.directory.path().join("home")
    }

    /// Runs `ticrypt` on this machine to its end: who is unlocked in the page is logged in there too.
    pub fn run(&self, arguments: &[&str]) -> Result<Outcome> {
        let mut command = Command::new(program::path("ticrypt")?);
        command.arg("--home").arg(self.home()).args(arguments);
        command.env_remove("RUST_LOG").env_remove("TICRYPT_PASSPHRASE").env("XDG_RUNTIME_DIR", self.place());
        run(&mut command, Duration::from_secs(60))?.success()
    }

    pub fn link(&self) -> Result<String> {
        self.running.link().map_err(|e| anyhow!("{}", e.message()))
    }
}
