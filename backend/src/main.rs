//! `ticrypt-backend`: the server and its operator's verbs.

use std::io::{IsTerminal, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use clap::{Parser, Subcommand};
use ticrypt_backend::check;
use ticrypt_backend::clock::Clock;
use ticrypt_backend::config::{Config, DEFAULT_DATA, Role};
use ticrypt_backend::wiring::{self, Paths, Surroundings};
use ticrypt_backend::{backup, deployment, openapi, tls};
use ticrypt_types::Timestamp;

/// Chunks of 8 MiB come and go on every thread; the allocator of the C library keeps some of each for each thread and grows without bound.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[derive(Parser)]
#[command(name = "ticrypt-backend", version, about = "The ticrypt server: keeps ciphertext, rules of access and two logs; opens nothing.")]
struct Arguments {
    /// The configuration file; /etc/ticrypt/backend.toml if it is there, else the defaults.
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Where database, chunks, logs and keys are kept.
    #[arg(long, global = true, value_name = "DIR", default_value = DEFAULT_DATA)]
    data: PathBuf,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Run the server until it is told to stop.
    Run {
        /// The roles to run; only all of them in one process exist today.
        #[arg(long, value_delimiter = ',')]
        roles: Vec<Role>,
        /// The machine's clock is right although it is further on than clock.max_jump_ms allows, e.g. after a long time away.
        #[arg(long)]
        accept_clock: bool,
    },
    /// Say everything that is wrong with the configuration.
    CheckConfig,
    /// Bring the database up to this program's schema; refuses a newer one.
    Migrate,
    /// Prove that what is stored holds together: rows, chunks, signatures and both logs. Works beside a running server.
    Check {
        /// Read every chunk and compare its hash.
        #[arg(long)]
        deep: bool,
        /// Print the report as JSON.
        #[arg(long)]
        json: bool,
    },
    /// Remove uploads that were given up, and chunks that no row names.
    Sweep {
        /// Uploads untouched for this long count as given up.
        #[arg(long, value_name = "HOURS", default_value_t = 24)]
        older_than: u64,
        /// Only count.
        #[arg(long)]
        dry_run: bool,
        #[arg(long)]
        json: bool,
    },
    /// Copy the whole deployment into a directory, while the server runs: database, chunks, both logs, keys.
    ///
    /// What is stored stays ciphertext, but the server's own private keys (TLS, logs) are in the backup with mode 0600: without them a
    /// restore could not go on as the same deployment, and whoever has them can pose as the server. Keep it as you keep the server.
    /// The configuration, and keys that it brings along from elsewhere, are not in it. Run again with the same directory, only what is
    /// new is copied; an earlier backup there stays good until the new one is complete.
    Backup {
        /// An empty directory, or one with an earlier backup of this deployment.
        #[arg(long, value_name = "DIR")]
        to: PathBuf,
        /// Leave the chunks out, because their store (S3, say) is backed up by its own means.
        #[arg(long)]
        without_chunks: bool,
        /// Print the report as JSON.
        #[arg(long)]
        json: bool,
    },
    /// Bring a deployment back from a backup, into an empty data directory and database; verifies, then checks everything.
    ///
    /// What came after the backup is gone, and clients and witnesses that saw a later state refuse the restored one as rolled back.
    /// docs/operating.md says what to do about it.
    Restore {
        /// The directory that `backup` wrote.
        #[arg(long, value_name = "DIR")]
        from: PathBuf,
        /// Print the report as JSON.
        #[arg(long)]
        json: bool,
    },
    /// The server's TLS keys.
    #[command(subcommand)]
    Tls(Tls),
    /// Write the deployment file and print where it is, with its fingerprint.
    Deployment {
        /// Print the file itself.
        #[arg(long)]
        show: bool,
        /// Make a new one-time code for the first super-admin, if the first was lost before it was used.
        #[arg(long)]
        new_code: bool,
    },
    /// Print the description of the API (OpenAPI 3.1).
    Openapi,
}

#[derive(Subcommand)]
enum Tls {
    /// The key kept ready comes into use, and another is made ready.
    Rotate,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let filter =
        tracing_subscriber::EnvFilter::try_from_env("TICRYPT_LOG").unwrap_or_else(|_| "info,sqlx=warn,sea_orm_migration=warn".into());
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("ticrypt-backend: cannot start: {error}");
            return ExitCode::FAILURE;
        }
    };
    match runtime.block_on(carry_out(arguments)) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("ticrypt-backend: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn carry_out(arguments: Arguments) -> anyhow::Result<ExitCode> {
    let data = std::path::absolute(&arguments.data).context("the data directory is not a path")?;
    let paths = Paths(data.clone());
    if let Verb::Openapi = arguments.verb {
        // A reader that has seen enough may close the pipe.
        let _ = std::io::stdout().write_all(&openapi::document());
        return Ok(ExitCode::SUCCESS);
    }
    let mut config = Config::load(arguments.config.as_deref())?;
    match arguments.verb {
        Verb::Run { roles, accept_clock } => {
            if !roles.is_empty() {
                config.roles.0 = roles;
            }
            run(config, data, Surroundings { accept_clock, ..Surroundings::default() }).await?;
        }
        Verb::CheckConfig => {
            config.check()?;
            println!("the configuration can be used");
        }
        Verb::Migrate => {
            tls::make_directory(&paths.0)?;
            let url = wiring::store_url(&config, &paths)?;
            let store = ticrypt_store::Store::connect(&url, &ticrypt_store::Options::default()).await?;
            let before = store.schema_version().await?;
            store.migrate().await?;
            println!("schema {before} -> {}", store.schema_version().await?);
            store.close().await?;
        }
        Verb::Check { deep, json } => {
            let place = wiring::place(&config, &paths).await?;
            let report = check::check(&place, deep, |progress| eprintln!("{progress}")).await?;
            place.store.close().await?;
            show(json, &report)?;
            return Ok(if report.is_sound() { ExitCode::SUCCESS } else { ExitCode::FAILURE });
        }
        Verb::Sweep { older_than, dry_run, json } => {
            let place = wiring::place(&config, &paths).await?;
            // What is old by a wrong clock is not old.
            let now = wiring::start_clock(&place.store, &config, Surroundings::default()).await?.now();
            let before = Timestamp::from_millis(now.as_millis().saturating_sub(older_than.saturating_mul(3_600_000)));
            let swept = check::sweep(&place, before, now, dry_run, |progress| eprintln!("{progress}")).await?;
            place.store.close().await?;
            show(json, &swept)?;
        }
        Verb::Backup { to, without_chunks, json } => {
            let to = std::path::absolute(&to).context("the directory of the backup is not a path")?;
            let source = wiring::source(&config, &paths).await?;
            let clock = wiring::start_clock(&source.place.store, &config, Surroundings::default()).await?;
            let taken = backup::take(&source, &to, !without_chunks, &clock, on_terminal).await?;
            source.place.store.close().await?;
            show(json, &taken)?;
        }
        Verb::Restore { from, json } => {
            let from = std::path::absolute(&from).context("the directory of the backup is not a path")?;
            let restored = backup::restore(&from, &config, &paths, &Clock::unmarked(), on_terminal).await?;
            show(json, &restored)?;
            return Ok(if restored.report.is_sound() { ExitCode::SUCCESS } else { ExitCode::FAILURE });
        }
        Verb::Tls(Tls::Rotate) => {
            tls::Identity::rotate(&paths.tls(), config.server.tls.as_ref(), "ticrypt")?;
            let (path, fingerprint) = write_deployment(&config, &paths).await?;
            println!("rotated; restart the server, then hand out {} again\nfingerprint {fingerprint}", path.display());
        }
        Verb::Deployment { show, new_code } => {
            let (path, fingerprint) = write_deployment(&config, &paths).await?;
            if show {
                print!("{}", std::fs::read_to_string(&path)?);
            } else {
                println!("deployment file  {}\nfingerprint      {fingerprint}", path.display());
            }
            if new_code {
                let store = wiring::open_store(&config, &paths).await?;
                println!("one-time code    {}", deployment::renew_code(&store).await?.expose());
                store.close().await?;
            }
        }
        Verb::Openapi => {}
    }
    Ok(ExitCode::SUCCESS)
}

/// Progress for whoever watches; a log of a timer has no use for it.
fn on_terminal(progress: check::Progress) {
    if std::io::stderr().is_terminal() {
        eprintln!("{progress}");
    }
}

/// For people, or for programs.
fn show<T: std::fmt::Display + serde::Serialize>(json: bool, result: &T) -> anyhow::Result<()> {
    if json {
        println!("{}", serde_json::to_string_pretty(result)?);
    } else {
        println!("{result}");
    }
    Ok(())
}

async fn write_deployment(config: &Config, paths: &Paths) -> anyhow::Result<(PathBuf, String)> {
    let store = wiring::open_store(config, paths).await?;
    let (deployment, file, _, _) = wiring::describe(config, paths, &store, config.server.listen).await?;
    store.close().await?;
    if let Some(code) = &deployment.code {
        println!("one-time code    {}", code.expose());
    }
    Ok(deployment::write_file(&paths.0, &file)?)
}

async fn run(config: Config, data: PathBuf, surroundings: Surroundings) -> anyhow::Result<()> {
    let running = wiring::start_in(config, &data, surroundings).await?;
    println!("listening on {}", running.address);
    match &running.code {
        Some(code) => println!(
            "first start\n  deployment file  {}\n  fingerprint      {}\n  one-time code    {}   (registers the first super-admin; shown once)",
            running.file_path.display(),
            running.fingerprint,
            code.expose(),
        ),
        None if !running.store.has_users().await? => println!(
            "deployment file {}\nno account yet; if the one-time code is lost, `ticrypt-backend deployment --new-code` makes another",
            running.file_path.display()
        ),
        None => println!("deployment file {}", running.file_path.display()),
    }
    asked_to_stop().await?;
    tracing::info!("stopping");
    running.stop().await?;
    Ok(())
}

/// SIGINT or SIGTERM.
async fn asked_to_stop() -> std::io::Result<()> {
    let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
    tokio::select! {
        interrupted = tokio::signal::ctrl_c() => interrupted,
        _ = terminate.recv() => Ok(()),
    }
}
