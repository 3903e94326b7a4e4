//! The part of `make bench` that needs a browser: the finished programs, timed as a person at the page would wait for them.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use clap::Parser;
use serde_json::{Value, json};
use ticrypt_browser_tests::{Browser, System};
use ticrypt_e2e::memory::resident_mib;
use ticrypt_e2e::process::{PATIENCE, Process, await_until, run};
use ticrypt_e2e::program;
use ticrypt_e2e::system::Options;

const ENTRIES: usize = 10_000;
const MIB: usize = 1024 * 1024;
const DONE: &str = "document.querySelector('.tray-card[data-state=done]') !== null";

/// Times the page in a real browser and prints one JSON object. `TICRYPT_E2E_PROGRAMS` names the folder of the programs.
#[derive(Parser)]
struct Arguments {
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// MiB of the file that is uploaded.
    #[arg(long, default_value_t = 1024)]
    mib: usize,
    /// Where files are made: on the disk that is to be measured.
    #[arg(long)]
    dir: PathBuf,
}

#[tokio::main]
async fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let place = tempfile::Builder::new().prefix("page-bench").tempdir_in(&arguments.dir)?;
    let system = System::start(&Options { data: Some(place.path().join("data")), ..Options::default() })?;
    let browser = Browser::start().await?;
    let bench = Bench { browser, place: place.path().to_path_buf() };

    let mut first_page = Vec::new();
    for _ in 0..arguments.rounds {
        first_page.push(bench.first_page().await?);
    }
    let connect = bench.connect()?;
    bench.browser.first_administrator(&system, &connect.link).await?;
    let idle_mib = resident_mib(connect.process.id())?;
    let entries = bench.entries(arguments.rounds).await?;
    let Uploads { by_page, from_disk, by_command } = bench.uploads(arguments.rounds, arguments.mib).await?;
    let loaded_mib = resident_mib(connect.process.id())?;
    connect.process.stop()?;
    bench.browser.close().await?;
    let (first_page, entries) = (median(first_page), median(entries));
    let (by_page, from_disk, by_command) = (median(by_page), median(from_disk), median(by_command));
    let figures = json!({
        "first_page_ms": first_page * 1e3,
        "entries_ms": entries * 1e3,
        "upload_mib": arguments.mib,
        "upload_by_page_s": by_page,
        "upload_from_disk_s": from_disk,
        "upload_by_command_s": by_command,
        "upload_ratio": by_command / by_page,
        "from_disk_ratio": by_command / from_disk,
        "idle_mib": idle_mib,
        "loaded_mib": loaded_mib,
    });
    println!("{figures}");
    Ok(())
}

struct Bench {
    browser: Browser,
    place: PathBuf,
}

/// Times of one amount: dropped on the page, chosen on the page and read by the program, by the command line.
#[derive(Default)]
struct Uploads {
    by_page: Vec<Duration>,
    from_disk: Vec<Duration>,
    by_command: Vec<Duration>,
}

struct Connect {
    process: Process,
    link: String,
}

impl Bench {
    fn home(&self) -> PathBuf {
        self.place.join("home")
    }

    /// Starts the program and waits for its link.
    fn connect(&self) -> Result<Connect> {
        let log = tempfile::Builder::new().prefix("connect").tempfile_in(&self.place)?.into_temp_path().keep()?;
        let mut command = Command::new(program::path("ticrypt-connect")?);
        command.arg("--home").arg(self.home()).arg("--json").env("XDG_RUNTIME_DIR", &self.place).env_remove("RUST_LOG");
        let process = Process::spawn("ticrypt-connect", &mut command, &log)?;
        let link = await_until("connect prints its link", PATIENCE, || {
            let said: Option<Value> = serde_json::from_str(&process.said()).ok();
            Ok(said.and_then(|said| Some(said.get("link")?.as_str()?.to_owned())))
        })?;
        Ok(Connect { process, link })
    }

    /// From starting the program to a page that can be read.
    async fn first_page(&self) -> Result<Duration> {
        let began = Instant::now();
        let connect = self.connect()?;
        self.browser.driver.goto(&connect.link).await?;
        self.shown("document.querySelector('#app h1') !== null").await?;
        let took = began.elapsed();
        connect.process.stop()?;
        Ok(took)
    }

    /// From asking for a folder to its first rows.
    async fn entries(&self, rounds: usize) -> Result<Vec<Duration>> {
        let folder = self.place.join("many");
        std::fs::create_dir(&folder)?;
        for number in 0..ENTRIES {
            std::fs::write(folder.join(format!("{number:05}.dat")), number.to_string())?;
        }
        self.put(&folder, "/")?;
        let here = self.browser.driver.current_url().await?.join("/vault?at=/many")?;
        let rows =
            format!("document.querySelector('ticrypt-table tr[data-key]') && document.querySelector('ticrypt-table').total === {ENTRIES}");
        let mut took = Vec::new();
        for _ in 0..rounds {
            let began = Instant::now();
            self.browser.driver.goto(here.as_str()).await?;
            self.shown(&rows).await?;
            took.push(began.elapsed());
        }
        Ok(took)
    }

    /// The same amount by each way, in turns.
    async fn uploads(&self, rounds: usize, mib: usize) -> Result<Uploads> {
        let mut uploads = Uploads::default();
        for round in 0..rounds {
            for kind in ["page", "disk", "command"] {
                let file = self.place.join(format!("{kind}-{round}.bin"));
                fill(&file, mib)?;
                if kind != "command" {
                    self.browser.go("/vault").await?;
                    self.shown("document.querySelector('ticrypt-table')?.known === true").await?;
                }
                claim_memory();
                let began = Instant::now();
                let times = match kind {
                    "page" => {
                        self.browser.drop_files("ticrypt-table", &[&file]).await?;
                        self.shown(DONE).await?;
                        &mut uploads.by_page
                    }
                    "disk" => {
                        self.browser.click("[data-dialog='/vault/put-dialog']").await?;
                        self.browser.fill("#source", &file.display().to_string()).await?;
                        self.browser.click("dialog button[type=submit]").await?;
                        self.shown(DONE).await?;
                        &mut uploads.from_disk
                    }
                    _ => {
                        self.put(&file, "/")?;
                        &mut uploads.by_command
                    }
                };
                times.push(began.elapsed());
                std::fs::remove_file(&file)?;
            }
        }
        Ok(uploads)
    }

    /// By the command line, logged in through the page's own agent.
    fn put(&self, what: &Path, to: &str) -> Result<()> {
        let mut command = Command::new(program::path("ticrypt")?);
        command.arg("--home").arg(self.home()).arg("put").arg(what).arg(to).env("XDG_RUNTIME_DIR", &self.place).env_remove("RUST_LOG");
        run(&mut command, Duration::from_secs(300))?.success()?;
        Ok(())
    }

    /// Waits until the page says so. It asks itself: each question from outside would be work for the browser that is timed.
    async fn shown(&self, script: &str) -> Result<()> {
        let began = Instant::now();
        let wait = format!(
            "return new Promise((done) => {{ const look = () => {{ if ({script}) done(true); else setTimeout(look, 5); }}; look(); setTimeout(() => done(false), 20000); }})"
        );
        while self.browser.run(&wait).await? != json!(true) {
            ensure!(began.elapsed() < Duration::from_secs(300), "`{script}` did not come true: {}", self.browser.text().await?);
        }
        Ok(())
    }
}

/// Bytes that nobody can make smaller, quickly made, on the disk before anything is timed.
fn fill(path: &Path, mib: usize) -> Result<()> {
    let mut random = File::open("/dev/urandom")?;
    let mut block = vec![0; MIB];
    let mut file = File::create(path)?;
    for _ in 0..mib {
        std::io::Read::read_exact(&mut random, &mut block)?;
        file.write_all(&block)?;
    }
    Ok(file.sync_all()?)
}

/// A virtual machine's host takes free memory back, and whoever first writes to it again waits; nobody who is timed should.
fn claim_memory() {
    let mut some = vec![0_u8; 3 * 1024 * MIB];
    for page in some.iter_mut().step_by(4096) {
        *page = 1;
    }
    std::hint::black_box(&some);
}

fn median(mut times: Vec<Duration>) -> f64 {
    times.sort();
    times.get(times.len() / 2).copied().unwrap_or_default().as_secs_f64()
}
