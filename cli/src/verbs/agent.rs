//! `ticrypt agent`: keeps the unlocked keys of one deployment until nobody has asked for a while.

use clap::Args;
use ticrypt_client::agent::{self, Agent};

use crate::context::Context;

#[derive(Debug, Args)]
pub struct Arguments {
    /// Leave the terminal's session; used by `login`
    #[arg(long, hide = true)]
    detached: bool,
}

pub async fn run(arguments: Arguments, context: &Context) -> anyhow::Result<()> {
    if arguments.detached {
        // A process that leads a group cannot begin a session; the group it leads is enough then.
        let _ = rustix::process::setsid();
    }
    let memory_locked = agent::harden();
    let deployment = context.deployment()?;
    let socket = context.agent_socket(&deployment)?;
    let agent = Agent::bind(&socket, deployment.id(), memory_locked)?;
    context.output.hint(&format!("Listening at {}; `ticrypt lock` ends it.", socket.display()));
    tokio::select! {
        done = agent.run() => Ok(done?),
        // Everything is forgotten with the process.
        _ = tokio::signal::ctrl_c() => Ok(()),
    }
}
