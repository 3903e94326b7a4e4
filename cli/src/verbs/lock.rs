//! `ticrypt lock`: forget the keys now, without asking the server.

use ticrypt_client::agent;

use crate::context::Context;

pub async fn run(context: &Context) -> anyhow::Result<()> {
    let deployment = context.deployment()?;
    let was_running = agent::lock(&context.agent_socket(&deployment)?).await?;
    context.output.hint(if was_running { "The keys are forgotten." } else { "No keys were held." });
    Ok(())
}
