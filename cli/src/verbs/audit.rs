//! `ticrypt audit`: rows for administrators, proofs for everybody.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use data_encoding::HEXLOWER;
use serde::Serialize;
use ticrypt_api::log::LogName;
use ticrypt_client::audit::{self, Row, Settled, id_text};
use ticrypt_client::receipts::Receipts;
use ticrypt_client::{ClientError, agent};
use ticrypt_types::Timestamp;

use crate::context::Context;

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Administrators: list rows of the audit log, each proven to be in it
    List(List),
    /// Check that both logs only grew, and that every row whose receipt this device holds is in the log
    ///
    /// With --dir, check a log that was exported, without the server: every entry, every tile, the signatures of the log and its witnesses,
    /// and that it contains what this device has seen.
    Verify(Verify),
    /// Administrators: write the logs out as files that this and other programs verify
    Export(Export),
}

#[derive(Debug, Args)]
pub struct List {
    /// First row; the newest ones if absent
    #[arg(long)]
    start: Option<u64>,
    /// How many
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    count: u32,
}

#[derive(Debug, Args)]
pub struct Verify {
    /// A directory made by `audit export`
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub struct Export {
    /// An empty or new directory; `audit` and `keys` are made in it
    dir: PathBuf,
}

#[derive(Serialize)]
struct Shown {
    index: u64,
    time: String,
    phase: &'static str,
    operation: String,
    actor: Option<String>,
    outcome: Option<String>,
    opening: Option<u64>,
    subjects: Vec<String>,
    detail: Vec<(String, String)>,
    request: String,
}

#[derive(Serialize)]
struct Verified {
    log: &'static str,
    size: u64,
    root: String,
    /// Entries under a checkpoint that every witness signed; absent when checked online.
    #[serde(skip_serializing_if = "Option::is_none")]
    witnessed_size: Option<u64>,
    receipts_found: usize,
    receipts_waiting: usize,
}

pub async fn run(command: Command, context: &Context) -> anyhow::Result<()> {
    match command {
        Command::List(list) => rows(list, context).await,
        Command::Verify(Verify { dir: Some(dir) }) => offline(dir, context).await,
        Command::Verify(Verify { dir: None }) => online(context).await,
        Command::Export(export) => write_out(export, context).await,
    }
}

async fn rows(list: List, context: &Context) -> anyhow::Result<()> {
    let session = context.session().await?;
    let start = match list.start {
        Some(start) => start,
        None => session.mirrors.audit.update().await?.size.saturating_sub(list.count.into()),
    };
    let (rows, _) = audit::rows(&session, start, list.count).await?;
    let shown: Vec<Shown> = rows.iter().map(shown).collect();
    context.output.table(&shown, &["ROW", "TIME", "PHASE", "OPERATION", "ACTOR", "OUTCOME"], |row| {
        vec![
            row.index.to_string(),
            row.time.clone(),
            row.phase.to_owned(),
            row.operation.clone(),
            row.actor.clone().unwrap_or_else(|| "-".to_owned()),
            row.outcome.clone().unwrap_or_else(|| "-".to_owned()),
        ]
    })
}

async fn online(context: &Context) -> anyhow::Result<()> {
    let session = context.session().await?;
    let (keys, audit, settled) = audit::verify_online(&session).await?;
    let verified = [
        verified("keys", keys.size, keys.root.to_base64(), None, Settled::default()),
        verified("audit", audit.size, audit.root.to_base64(), None, settled),
    ];
    show(&verified, context)
}

async fn offline(dir: PathBuf, context: &Context) -> anyhow::Result<()> {
    let deployment = context.deployment()?;
    // Whose receipts to look up: those of who is logged in, if anybody is; no server is asked.
    let user = agent::status(&context.agent_socket(&deployment)?).await?.and_then(|status| status.user);
    let receipts = match user {
        Some(user) => Some(Receipts::open(context.home.person_dir(deployment.id(), user)?)?),
        None => None,
    };
    let mut verified_logs = Vec::new();
    for (log, word) in [(LogName::Keys, "keys"), (LogName::Audit, "audit")] {
        let directory = audit::directory_of(&dir, log);
        if !directory.exists() {
            continue;
        }
        let seen = context.home.directory(deployment.id(), &format!("logs/{word}"))?;
        let bar = context.output.count_bar(0, word);
        let (report, settled) = audit::verify_offline(&deployment, log, &directory, Some(&seen), receipts.as_ref())?;
        bar.finish_and_clear();
        verified_logs.push(verified(
            word,
            report.checkpoint.size,
            report.checkpoint.root.to_base64(),
            Some(report.witnessed_size),
            settled,
        ));
    }
    if verified_logs.is_empty() {
        return Err(ClientError::not_found(format!(
            "{} holds no exported log; name a directory made by `ticrypt audit export`",
            dir.display()
        ))
        .into());
    }
    show(&verified_logs, context)
}

async fn write_out(export: Export, context: &Context) -> anyhow::Result<()> {
    let session = context.session().await?;
    let mut written = Vec::new();
    for (log, word) in [(LogName::Keys, "keys"), (LogName::Audit, "audit")] {
        let bar = context.output.count_bar(0, word);
        let directory = audit::directory_of(&export.dir, log);
        let size = audit::export(&session, log, &directory, |done, size| {
            bar.set_length(size);
            bar.set_position(done);
        });
        let size = size.await?;
        bar.finish_and_clear();
        // What was written is checked as a reader would check it.
        let stored = session.mirrors.of(log).dir();
        let (report, settled) = audit::verify_offline(&session.deployment, log, &directory, Some(stored), None)?;
        written.push(verified(word, size, report.checkpoint.root.to_base64(), Some(report.witnessed_size), settled));
    }
    show(&written, context)
}

fn show(verified: &[Verified], context: &Context) -> anyhow::Result<()> {
    context.output.table(verified, &["LOG", "ENTRIES", "WITNESSED", "ROOT", "RECEIPTS"], |row| {
        let receipts = if row.log == "audit" {
            format!("{} found, {} not published yet", row.receipts_found, row.receipts_waiting)
        } else {
            "-".to_owned()
        };
        vec![
            row.log.to_owned(),
            row.size.to_string(),
            row.witnessed_size.map_or_else(|| "-".to_owned(), |size| size.to_string()),
            row.root.clone(),
            receipts,
        ]
    })
}

fn verified(log: &'static str, size: u64, root: String, witnessed_size: Option<u64>, settled: Settled) -> Verified {
    Verified { log, size, root, witnessed_size, receipts_found: settled.found, receipts_waiting: settled.waiting }
}

fn shown(row: &Row) -> Shown {
    let id = |id: &[u8]| HEXLOWER.encode(id);
    Shown {
        index: row.index,
        time: Timestamp::from_millis(row.event.time_ms).to_string(),
        phase: row.event.phase.word(),
        operation: row.event.operation.clone(),
        actor: row.event.actor.as_ref().map(|actor| id_text(actor)),
        outcome: row.event.outcome.clone(),
        opening: row.event.opening,
        subjects: row.event.subjects.iter().map(|subject| id_text(subject)).collect(),
        detail: row.event.detail.clone(),
        request: id(&*row.event.request),
    }
}
