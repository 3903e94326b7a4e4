//! `ticrypt-connect`: the vault in a browser on one's own machine.

use std::path::PathBuf;
use std::process::{Command, ExitCode, Stdio};
use std::sync::Arc;
use std::time::Duration;

use clap::Parser;
use ticrypt_client::{Home, agent, when};
use ticrypt_connect::trouble::Trouble;
use ticrypt_connect::{Config, clocks, launch, start};
use tokio::signal::unix::{SignalKind, signal};

// Large buffers come and go here as in the backend: docs/decisions/0011.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Serves your vault to the browser of this machine, and to nobody else.
///
/// Your keys stay in this program; the page holds none. It listens on loopback only and prints a link that lets one browser in, once. Start
/// it again for another link; a file that only you can read (printed too) leads to the same place.
#[derive(Debug, Parser)]
#[command(version, max_term_width = 120)]
struct Arguments {
    /// Where this device keeps what it knows; the same as the command line's
    #[arg(long, env = "TICRYPT_HOME", value_name = "DIR")]
    home: Option<PathBuf>,
    /// The port; a free one if 0
    #[arg(long, default_value_t = 0)]
    port: u16,
    /// Lock when nobody was there for so long, as `15m` or `8h`
    #[arg(long, value_name = "TIME", default_value = "15m", value_parser = idle)]
    idle: Duration,
    /// Use 127.0.0.1 instead of a name drawn for this run, for a browser that does not find names below `localhost`
    #[arg(long)]
    plain_host: bool,
    /// Open the browser
    #[arg(long)]
    open: bool,
    /// Print the link and the file as JSON
    #[arg(long)]
    json: bool,
}

fn idle(text: &str) -> Result<Duration, String> {
    let idle = when::duration_ms(text).filter(|ms| *ms >= 1_000).map(Duration::from_millis);
    idle.filter(|idle| *idle <= agent::TTL_MAX).ok_or_else(|| "a time between `1s` and `24h`, such as `15m`".to_owned())
}

fn main() -> ExitCode {
    tracing_subscriber::fmt().with_writer(std::io::stderr).with_max_level(tracing::Level::WARN).init();
    let arguments = Arguments::parse();
    let memory_locked = agent::harden();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let ran = match runtime {
        Ok(runtime) => runtime.block_on(run(&arguments, memory_locked)),
        Err(error) => Err(Trouble::broken(format!("the program could not begin: {error}"))),
    };
    match ran {
        Ok(()) => ExitCode::SUCCESS,
        Err(trouble) => {
            eprintln!("ticrypt-connect: {}", trouble.message());
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: &Arguments, memory_locked: bool) -> Result<(), Trouble> {
    let variable = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let path = arguments.home.clone().or_else(|| Home::default_path(variable("XDG_DATA_HOME"), variable("HOME")));
    let path = path.ok_or_else(|| Trouble::invalid("neither HOME nor XDG_DATA_HOME is set; name a directory with --home"))?;
    let home = Home::open(path)?;
    if let Some((link, file)) = launch::ask(&home).await? {
        show(arguments, &link, &file, "ticrypt-connect runs already; here is a new link");
        return Ok(());
    }
    let config = Config {
        home,
        runtime_dir: variable("XDG_RUNTIME_DIR"),
        port: arguments.port,
        idle: arguments.idle,
        plain_host: arguments.plain_host,
        clocks: Arc::new(clocks::System),
        memory_locked,
    };
    let running = start(config).await?;
    show(arguments, &running.link()?, &running.launch_file(), "Your vault is served to this machine only. Press ctrl-c to end.");
    let mut terminate = signal(SignalKind::terminate()).map_err(|e| Trouble::broken(format!("signals cannot be heard: {e}")))?;
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        _ = terminate.recv() => {}
    }
    running.stop().await;
    Ok(())
}

fn show(arguments: &Arguments, link: &str, file: &std::path::Path, words: &str) {
    if arguments.json {
        println!("{}", serde_json::json!({ "link": link, "file": file }));
    } else {
        println!("{words}\n\n  link  {link}\n  file  {}\n\nThe link lets one browser in, once.", file.display());
    }
    if arguments.open {
        // The path of the file stands in the list of processes, the link does not.
        let opened = Command::new("xdg-open").arg(file).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        if let Err(error) = opened {
            eprintln!("the browser could not be opened ({error}); open the link yourself");
        }
    }
}
