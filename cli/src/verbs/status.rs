//! `ticrypt status`: what this device knows and holds, and whether the server answers.

use serde::Serialize;
use ticrypt_client::agent::{self, Status};
use ticrypt_client::receipts::Receipts;
use ticrypt_client::{Kind, account};
use ticrypt_types::{DeploymentId, Timestamp};

use crate::context::Context;

#[derive(Serialize)]
struct Shown {
    deployment: DeploymentId,
    name: String,
    agent: Option<Status>,
    /// `ok`, or why not.
    session: String,
    key_log_size: Option<u64>,
    audit_log_size: Option<u64>,
    receipts_owed: usize,
    version: &'static str,
    server_version: Option<String>,
}

pub async fn run(context: &Context) -> anyhow::Result<()> {
    let deployment = context.deployment()?;
    let held = agent::status(&context.agent_socket(&deployment)?).await?;
    let mut shown = Shown {
        deployment: deployment.id(),
        name: deployment.display_name(),
        agent: held,
        session: "nobody is logged in".to_owned(),
        key_log_size: None,
        audit_log_size: None,
        receipts_owed: 0,
        version: env!("CARGO_PKG_VERSION"),
        server_version: None,
    };
    if let Ok(session) = context.session().await {
        shown.session = match account::whoami(&session.transport).await {
            Ok(_) => "ok".to_owned(),
            Err(error) if error.kind() == Kind::LoggedOut => "over; run `ticrypt login`".to_owned(),
            Err(error) => error.to_string(),
        };
        shown.server_version = session.transport.server_version();
        shown.key_log_size = session.mirrors.keys.last().await.map(|last| last.size);
        shown.audit_log_size = session.mirrors.audit.last().await.map(|last| last.size);
        shown.receipts_owed = Receipts::open(session.person_dir()?)?.owed()?.len();
    }
    let or_none = |value: Option<u64>| value.map_or_else(|| "not seen yet".to_owned(), |value| format!("{value} entries seen"));
    let agent = match &shown.agent {
        Some(status) => format!(
            "{}, forgets in {} min{}",
            status.name.as_ref().map_or("no keys".to_owned(), |name| format!("keys of {name}")),
            status.forgets_in_ms.div_ceil(60_000),
            if status.memory_locked { "" } else { ", memory may be swapped (limit `ulimit -l`)" }
        ),
        None => "not running".to_owned(),
    };
    let expires =
        shown.agent.as_ref().and_then(|status| status.session_expires).map_or_else(String::new, |at: Timestamp| format!(" until {at}"));
    context.output.record(
        &shown,
        &[
            ("deployment", format!("{} ({})", shown.name, shown.deployment)),
            ("agent", agent),
            ("session", format!("{}{expires}", shown.session)),
            ("key log", or_none(shown.key_log_size)),
            ("audit log", or_none(shown.audit_log_size)),
            ("receipts", format!("{} to be checked with `ticrypt audit verify`", shown.receipts_owed)),
            ("version", format!("{}, server {}", shown.version, shown.server_version.as_deref().unwrap_or("unknown"))),
        ],
    )
}
