//! `ticrypt register`: ask for an account with your keys.

use clap::Args;
use serde::Serialize;
use ticrypt_client::Keys;
use ticrypt_client::account::{self, Registration};
use ticrypt_types::UserState;

use super::key::Which;
use crate::context::Context;
use crate::passphrase;

#[derive(Debug, Args)]
pub struct Arguments {
    #[command(flatten)]
    which: Which,
    /// The registration token, if the deployment file has none
    #[arg(long)]
    token: Option<String>,
    /// The code printed when the server first started: makes you the first super-admin
    #[arg(long)]
    code: Option<String>,
}

#[derive(Serialize)]
struct Registered {
    user: ticrypt_types::UserId,
    name: ticrypt_types::UserName,
    state: UserState,
    fingerprint: String,
}

pub async fn run(arguments: Arguments, context: &Context) -> anyhow::Result<()> {
    let deployment = context.deployment()?;
    let file = arguments.which.read(context)?;
    let secret = passphrase::existing(context, &format!("Passphrase of {}: ", file.paths.key.display()))?;
    let keys = file.unlock(&secret)?;
    let how = Registration { token: arguments.token, code: arguments.code };
    let reply = account::register(&context.transport(&deployment)?, &deployment, &keys, how).await?;
    let me = keys.identity();
    let registered =
        Registered { user: reply.user, name: me.name.clone(), state: reply.state, fingerprint: me.bundle.fingerprint().to_string() };
    context.output.record(
        &registered,
        &[("name", registered.name.to_string()), ("state", registered.state.to_string()), ("fingerprint", registered.fingerprint.clone())],
    )?;
    if registered.state == UserState::Pending {
        context.output.hint("An administrator activates the account after comparing this fingerprint with you, in person or by telephone. Then run `ticrypt login`.");
    }
    Ok(())
}
