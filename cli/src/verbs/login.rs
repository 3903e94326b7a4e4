//! `ticrypt login`: unlock the keys in the agent and begin a session.

use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::Args;
use serde::Serialize;
use ticrypt_client::account::{self, KeyFile, LoggedIn};
use ticrypt_client::{ClientError, Deployment, Kind, Transport, agent};
use ticrypt_crypto::bundle::Reason;
use ticrypt_types::{Secret, SessionId, Timestamp, UserName};

use super::key::Which;
use crate::context::Context;
use crate::{passphrase, when};

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

/// What a person will recognise in the list of sessions.
pub fn label(verb: &str) -> String {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    format!("{verb} on {} (ticrypt {})", if host.trim().is_empty() { "this device" } else { host.trim() }, env!("CARGO_PKG_VERSION"))
}

pub async fn run(arguments: Arguments, context: &Context) -> anyhow::Result<()> {
    let deployment = context.deployment()?;
    let file = arguments.which.read(context)?;
    let secret = passphrase::existing(context, &format!("Passphrase of {}: ", file.paths.key.display()))?;
    let socket = context.agent_socket(&deployment)?;
    start_agent(&socket, &deployment, context).await?;
    let transport = context.transport(&deployment)?;
    let logged_in = match enter(&file, &secret, &arguments, &socket, &transport, &deployment, context).await {
        // A rotation was cut off after the server took the new keys and before they were put in place here.
        Err(error) if error.kind() == Kind::Refused || error.kind() == Kind::LoggedOut => {
            match KeyFile::read_unfinished_rotation(&file.paths)? {
                Some(next) => {
                    let entered = enter(&next, &secret, &arguments, &socket, &transport, &deployment, context).await;
                    if entered.is_ok() {
                        KeyFile::finish_rotation(&file.paths)?;
                    }
                    entered.map_err(|_| error)
                }
                None => Err(error),
            }
        }
        other => other,
    };
    let logged_in = match logged_in {
        Ok(logged_in) => logged_in,
        Err(error) => {
            // Keys without a session are of no use to any command.
            agent::lock(&socket).await?;
            if error.code() == "login_failed" && file.bundle.payload().reason == Reason::Reset {
                context.output.warn(&format!(
                    "these keys were made by `ticrypt key reset` and count when an administrator has accepted them; give them {} and read \
                     them the fingerprint {}",
                    file.paths.bundle.display(),
                    file.bundle.fingerprint()
                ));
            }
            return Err(error.into());
        }
    };
    let shown = Shown { name: logged_in.user.name, session: logged_in.capability.session, expires: logged_in.capability.expires };
    context.output.record(
        &shown,
        &[("name", shown.name.to_string()), ("session", shown.session.to_string()), ("expires", shown.expires.to_string())],
    )?;
    let session = context.session().await?;
    match session.users.check_self().await {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == Kind::Untrusted => Err(error.into()),
        Err(error) => {
            context.output.warn(&format!("your own entry in the key log could not be checked: {error}"));
            Ok(())
        }
    }
}

async fn enter(
    file: &KeyFile,
    secret: &Secret<String>,
    arguments: &Arguments,
    socket: &Path,
    transport: &Transport,
    deployment: &Deployment,
    context: &Context,
) -> Result<LoggedIn, ClientError> {
    let keys = agent::unlock(socket, &file.text, &file.bundle, secret, arguments.ttl).await?;
    let logged_in = account::login(&context.home, transport, deployment, Arc::clone(&keys), &label("login")).await?;
    agent::set_session(socket, &logged_in.capability).await?;
    Ok(logged_in)
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
