//! Processes that end with their handle, and waits that end.

use std::fs::OpenOptions;
use std::io::Read;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process};

/// How long anything may take that ought to be quick.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Lets a little time pass. Only for what gives no event to wait for: another process.
pub fn pause(duration: Duration) {
    #[expect(clippy::disallowed_methods, reason = "another process gives no event to wait for")]
    std::thread::sleep(duration);
}

/// Asks until there is an answer.
pub fn await_until<T>(what: &str, patience: Duration, mut ask: impl FnMut() -> Result<Option<T>>) -> Result<T> {
    let began = Instant::now();
    loop {
        if let Some(answer) = ask()? {
            return Ok(answer);
        }
        if began.elapsed() > patience {
            bail!("{what}: nothing after {patience:?}");
        }
        pause(Duration::from_millis(2));
    }
}

/// A running program. Dropping it kills it and waits for its end.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Starts a program whose output is appended to `log`.
    pub fn spawn(name: &str, command: &mut Command, log: &Path) -> Result<Self> {
        let output = OpenOptions::new().create(true).append(true).open(log)?;
        command.stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output);
        let child = command.spawn().with_context(|| format!("start {name}"))?;
        Ok(Self { name: name.to_owned(), child, log: log.to_path_buf() })
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// How it ended, if it has.
    pub fn ended(&mut self) -> Result<Option<ExitStatus>> {
        Ok(self.child.try_wait()?)
    }

    /// What it has said so far.
    pub fn said(&self) -> String {
        std::fs::read(&self.log).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
    }

    /// Ends it at once, without a chance to tidy up.
    pub fn kill(mut self) -> Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    /// Asks it to end, and waits.
    pub fn stop(mut self) -> Result<ExitStatus> {
        self.signal(Signal::TERM)?;
        let name = self.name.clone();
        let status = await_until(&format!("{name} was asked to stop"), PATIENCE, || Ok(self.child.try_wait()?))?;
        if !status.success() && status.signal() != Some(Signal::TERM.as_raw()) {
            bail!("{name} ended with {status}: {}", last_lines(&self.said(), 20));
        }
        Ok(status)
    }

    fn signal(&self, signal: Signal) -> Result<()> {
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw).context("a process without an id")?;
        Ok(kill_process(pid, signal)?)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // A child that was waited for is not signalled again; the id may be another's.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What a program that ended had to say.
#[derive(Debug, Clone)]
pub struct Outcome {
    pub command: String,
    pub status: ExitStatus,
    pub stdout: String,
    pub stderr: String,
    pub took: Duration,
}

impl Outcome {
    /// Its output, if it ended well.
    pub fn success(self) -> Result<Self> {
        if !self.status.success() {
            bail!("`{}` ended with {}\n{}{}", self.command, self.status, last_lines(&self.stdout, 10), last_lines(&self.stderr, 20));
        }
        Ok(self)
    }

    /// Its exit code; -1 if a signal ended it.
    pub fn code(&self) -> i32 {
        self.status.code().unwrap_or(-1)
    }

    pub fn json(&self) -> Result<serde_json::Value> {
        serde_json::from_str(&self.stdout).with_context(|| format!("`{}` printed what is not JSON: {}", self.command, self.stdout))
    }
}

/// Runs a program to its end, which comes after `patience` at the latest.
pub fn run(command: &mut Command, patience: Duration) -> Result<Outcome> {
    let shown = format!("{command:?}");
    let began = Instant::now();
    let mut child =
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().with_context(|| format!("run {shown}"))?;
    let drain = |pipe: Option<Box<dyn Read + Send>>| {
        std::thread::spawn(move || {
            let mut bytes = Vec::new();
            if let Some(mut pipe) = pipe {
                let _ = pipe.read_to_end(&mut bytes);
            }
            String::from_utf8_lossy(&bytes).into_owned()
        })
    };
    let stdout = drain(child.stdout.take().map(|pipe| Box::new(pipe) as Box<dyn Read + Send>));
    let stderr = drain(child.stderr.take().map(|pipe| Box::new(pipe) as Box<dyn Read + Send>));
    let status = match await_until(&shown, patience, || Ok(child.try_wait()?)) {
        Ok(status) => status,
        Err(error) => {
            let _ = child.kill();
            let _ = child.wait();
            return Err(error);
        }
    };
    let took = began.elapsed();
    let join = |thread: std::thread::JoinHandle<String>| thread.join().unwrap_or_default();
    Ok(Outcome { command: shown, status, stdout: join(stdout), stderr: join(stderr), took })
}

/// The end of a text.
pub fn last_lines(text: &str, count: usize) -> String {
    let lines: Vec<&str> = text.lines().collect();
    let start = lines.len().saturating_sub(count);
    lines.get(start..).unwrap_or_default().iter().map(|line| format!("{line}\n")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_end_with_their_handle_and_in_time() -> Result<()> {
        let directory = tempfile::tempdir()?;
        let process = Process::spawn("sleep", Command::new("sleep").arg("600"), &directory.path().join("log"))?;
        let place = PathBuf::from(format!("/proc/{}", process.id()));
        assert!(place.exists());
        drop(process);
        assert!(!place.exists());
        let slow = run(Command::new("sleep").arg("600"), Duration::from_millis(50));
        assert!(slow.is_err_and(|error| error.to_string().contains("nothing after")));
        let outcome = run(Command::new("sh").args(["-c", "echo out; echo err >&2; exit 3"]), PATIENCE)?;
        assert_eq!((outcome.code(), outcome.stdout.as_str(), outcome.stderr.as_str()), (3, "out\n", "err\n"));
        assert!(outcome.success().is_err());
        Ok(())
    }
}
