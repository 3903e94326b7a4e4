//! `ticrypt whoami`.

use ticrypt_client::account;
use ticrypt_crypto::Digest;
use ticrypt_crypto::bundle::Fingerprint;

use crate::context::Context;

pub async fn run(context: &Context) -> anyhow::Result<()> {
    let session = context.session().await?;
    let view = account::whoami(&session.transport).await?;
    let fingerprint = Fingerprint(Digest::new(view.fingerprint.0));
    context.output.record(
        &view,
        &[
            ("name", view.name.to_string()),
            ("rank", view.rank.to_string()),
            ("state", view.state.to_string()),
            ("fingerprint", fingerprint.to_string()),
            ("deployment", session.deployment.display_name()),
        ],
    )?;
    if fingerprint.0 != session.me().hash() {
        context.output.warn("the server counts another key as yours than the one unlocked here; if you did not rotate it on another device, tell an administrator");
    }
    Ok(())
}
