//! `ticrypt-witness`: keeps the logs of a deployment honest from outside it.

use std::io::IsTerminal;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::Context;
use aws_lc_rs::rand::SystemRandom;
use clap::{Parser, Subcommand};
use ticrypt_log::NoteSigner;
use ticrypt_log::fs::RealFs;
use ticrypt_witness::{Witness, config, key, router};

/// Countersigns checkpoints of logs after checking that they only grow (C2SP tlog-witness).
#[derive(Parser)]
#[command(version)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    /// Directory of the key and of the remembered heads.
    #[arg(long, value_name = "DIR", global = true)]
    data: Option<PathBuf>,
    /// Name of the witness, such as witness.example.org/w1; needed at the first start.
    #[arg(long, global = true)]
    name: Option<String>,
    /// Address to listen on (plain HTTP; put a TLS proxy in front outside a trusted network).
    #[arg(long, value_name = "ADDR")]
    listen: Option<SocketAddr>,
    /// List of trusted logs [default: logs.toml in the data directory].
    #[arg(long, value_name = "FILE")]
    logs: Option<PathBuf>,
}

#[derive(Subcommand)]
enum Command {
    /// Print the verifier key, making the key first if there is none.
    Key,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let cli = Cli::parse();
    let data = cli.data.context("no data directory; give --data")?;
    let signer = key::load_or_generate(&data, cli.name.as_deref(), &SystemRandom::new())?;
    if let Some(Command::Key) = cli.command {
        println!("{}", signer.verifier());
        return Ok(());
    }
    let listen = cli.listen.context("no address to listen on; give --listen")?;
    serve(&data, signer, listen, cli.logs.unwrap_or_else(|| data.join("logs.toml"))).await
}

async fn serve(data: &Path, signer: NoteSigner, listen: SocketAddr, logs: PathBuf) -> anyhow::Result<()> {
    let stderr = std::io::stderr;
    tracing_subscriber::fmt().with_writer(stderr).with_ansi(stderr().is_terminal()).init();
    let trusted = config::read_logs(&logs)?;
    let count = trusted.len();
    let witness = Arc::new(Witness::open(Arc::new(RealFs), data, signer, trusted)?);
    let listener =
        tokio::net::TcpListener::bind(listen).await.with_context(|| format!("cannot listen on {listen}; choose another address"))?;
    let address = listener.local_addr()?;
    tracing::info!(%address, logs = count, key = %witness.verifier(), "witness listens");
    axum::serve(listener, router(witness, now_s)).with_graceful_shutdown(stopped()).await?;
    Ok(())
}

/// The one place where this program reads the clock.
#[allow(clippy::disallowed_methods, reason = "the clock itself")]
fn now_s() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

async fn stopped() {
    let terminated = async {
        match tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) {
            Ok(mut signal) => drop(signal.recv().await),
            // Without the handler the signal ends the process by itself.
            Err(_) => std::future::pending().await,
        }
    };
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        () = terminated => {}
    }
}
