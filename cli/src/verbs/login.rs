//! `ticrypt login`: unlock the keys in the agent and begin a session.

use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use clap::Args;
use serde::Serialize;
use ticrypt_client::login::{Login, label};
use ticrypt_client::{ClientError, Deployment, Kind, agent};
use ticrypt_types::{SessionId, Timestamp, UserName};

use super::key::Which;
use crate::context::Context;
use ticrypt_client::when;

use crate::passphrase;

const AGENT_START: Duration = Duration::from_secs(10);

#[derive(Debug, Args)]
pub struct Arguments {
    #[command(flatten)]
    which: Which,
    /// How long the agent keeps the keys without a request, e.g. `15m` or `8h`
    #[arg(long, value_name = "TIME", default_value = "15m", value_parser = ttl)]
    ttl: Duration,
}

#[derive(Serialize)]
struct Shown {
    name: UserName,
    session: SessionId,
    expires: Timestamp,
}

/// An idle time as it is typed.
pub fn ttl(text: &str) -> Result<Duration, String> {
    let ms = when::duration_ms(text).filter(|ms| *ms >= 1_000).map(Duration::from_millis);
    ms.filter(|ttl| *ttl <= agent::TTL_MAX).ok_or_else(|| "a time between `1s` and `24h`, such as `15m`".to_owned())
}

pub async fn run(arguments: Arguments, context: &Context) -> anyhow::Result<()> {
    let deployment = context.deployment()?;
    let file = arguments.which.read(context)?;
    let secret = passphrase::existing(context, &format!("Passphrase of {}: ", file.paths.key.display()))?;
    let socket = context.agent_socket(&deployment)?;
    start_agent(&socket, &deployment, context).await?;
    let login =
        Login { home: &context.home, deployment: &deployment, socket: &socket, file: &file, ttl: arguments.ttl, label: &label("login") };
    let (session, user) = login.enter(&secret).await?;
    let held = agent::connect(&socket).await?.capability;
    let shown = Shown { name: user.name, session: held.session, expires: held.expires };
    context.output.record(
        &shown,
        &[("name", shown.name.to_string()), ("session", shown.session.to_string()), ("expires", shown.expires.to_string())],
    )?;
    match session.users.check_self().await {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == Kind::Untrusted => Err(error.into()),
        Err(error) => {
            context.output.warn(&format!("your own entry in the key log could not be checked: {error}"));
            Ok(())
        }
    }
}

/// Starts the agent unless one listens, detached from this terminal, and waits until it answers.
async fn start_agent(socket: &Path, deployment: &Deployment, context: &Context) -> anyhow::Result<()> {
    if agent::status(socket).await?.is_some() {
        return Ok(());
    }
    let program = std::env::current_exe()
        .map_err(|e| ClientError::broken("this program does not know where it is; start `ticrypt agent` yourself").because(e))?;
    let mut command = Command::new(program);
    command
        .arg("--home")
        .arg(context.home.path())
        .arg("--deployment")
        .arg(deployment.id().to_string())
        .args(["agent", "--detached"])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .current_dir("/")
        .env_remove("TICRYPT_PASSPHRASE");
    // A group of its own already: an interrupt typed at this command does not reach it.
    command.process_group(0);
    let mut child = command.spawn().map_err(|e| ClientError::broken("the agent could not be started").because(e))?;
    let began = Instant::now();
    while began.elapsed() < AGENT_START {
        if agent::status(socket).await?.is_some() {
            return Ok(());
        }
        if let Ok(Some(status)) = child.try_wait() {
            // Another login may have started one at the same time.
            if agent::status(socket).await?.is_some() {
                return Ok(());
            }
            return Err(ClientError::broken(format!("the agent ended at once ({status}); run `ticrypt agent` to see why")).into());
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    Err(ClientError::unavailable("the agent does not answer; run `ticrypt agent` to see why").into())
}
