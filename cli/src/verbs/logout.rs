//! `ticrypt logout`: end the session on the server, then forget the keys.

use ticrypt_client::{Kind, account, agent};

use crate::context::Context;

pub async fn run(context: &Context) -> anyhow::Result<()> {
    let deployment = context.deployment()?;
    let socket = context.agent_socket(&deployment)?;
    let ended = match context.session().await {
        Ok(session) => account::logout(&session.transport).await,
        Err(error) => match error.downcast_ref::<ticrypt_client::ClientError>() {
            // Nobody was logged in; the keys, if any, are forgotten all the same.
            Some(known) if known.kind() == Kind::LoggedOut => Ok(()),
            _ => return Err(error),
        },
    };
    // The keys go first, whatever the server says.
    agent::lock(&socket).await?;
    match ended {
        Ok(()) => context.output.hint("Logged out; the keys are forgotten."),
        Err(error) if error.kind() == Kind::LoggedOut => context.output.hint("The session was over already; the keys are forgotten."),
        Err(error) => return Err(error.into()),
    }
    Ok(())
}
