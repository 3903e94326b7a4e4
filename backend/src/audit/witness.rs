//! Asking witnesses outside the backend to countersign (C2SP tlog-witness, `add-checkpoint`).
//!
//! ```text
//! log ─ newest checkpoint + proof from the size the witness knows ─▶ witness ─ cosignature ─▶ log ─▶ served with it
//! ```
//!
//! A witness that is away is asked again later; the log goes on meanwhile, and what it signs is countersigned when the witness is back.
//! A witness that knows more than the log has, or another history, will never countersign again: the log was restored from a copy that
//! is older than that, or somebody else writes it. This is said as an error, with what to do, and asked seldom.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::header::{CONTENT_TYPE, HOST};
use hyper_util::rt::TokioIo;
use ticrypt_log::Log;
use ticrypt_log::witness::{ADD_CHECKPOINT, MAX_ANSWER_BYTES, WitnessAnswer, parse_witness_answer};
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;

use crate::config::Witness;

/// For one question and its answer.
const TIMEOUT: Duration = Duration::from_secs(10);
/// A witness that knows another size is asked again this often in a row.
const CONFLICTS_MAX: usize = 3;
/// What a witness answers when the proof does not lead from the head it knows (C2SP tlog-witness).
const NO_PROOF: u16 = 422;
/// The longest pause after failures.
const PAUSE_MAX: Duration = Duration::from_secs(60);

/// Why a witness gave no cosignature.
#[derive(Debug, thiserror::Error)]
pub enum WitnessError {
    #[error("the witness url is not http://host[:port][/prefix]")]
    Url,
    #[error("the witness cannot be reached")]
    Connect(#[source] std::io::Error),
    #[error("the witness does not speak http")]
    Http(#[source] hyper::Error),
    #[error("the witness took too long")]
    Timeout,
    #[error("the witness answered something too long or broken off")]
    Body,
    #[error("the witness answered something that is not of the protocol")]
    Protocol(#[from] ticrypt_log::witness::WitnessError),
    #[error("the witness refused with status {0}")]
    Refused(u16),
    #[error("the log cannot serve the witness")]
    Log(#[from] ticrypt_log::LogError),
    #[error("the witness keeps naming other sizes")]
    Conflict,
    #[error(
        "the witness countersigned {witness} entries of this log and here are {log}: it was restored from an older copy, and clients will \
         refuse it too; put the newer log back, or see docs/operating.md, \"After a restore\""
    )]
    RolledBack { witness: u64, log: u64 },
    #[error(
        "the witness countersigned another history of this log: it went on from an older copy, or another server writes it; \
         put the log that the witness knows back, or see docs/operating.md, \"After a restore\""
    )]
    Forked,
}

impl WitnessError {
    /// Asking again does not help; a person must decide.
    const fn is_final(&self) -> bool {
        matches!(self, Self::RolledBack { .. } | Self::Forked)
    }
}

/// Asks one witness about one log until the end.
pub async fn run(log: Log, witness: Witness, interval: Duration, stop: CancellationToken) {
    let mut known = 0;
    let mut pause = interval;
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(pause) => {}
        }
        match ask(&log, &witness, &mut known).await {
            Ok(()) => pause = interval,
            Err(error) if error.is_final() => {
                pause = PAUSE_MAX;
                tracing::error!(log = log.origin(), witness = witness.url, error = &error as &dyn std::error::Error, "no cosignature");
            }
            Err(error) => {
                pause = (pause * 2).min(PAUSE_MAX);
                tracing::warn!(log = log.origin(), witness = witness.url, error = &error as &dyn std::error::Error, "no cosignature");
            }
        }
    }
}

/// Gets the newest checkpoint countersigned, if the witness does not know it yet.
async fn ask(log: &Log, witness: &Witness, known: &mut u64) -> Result<(), WitnessError> {
    let mut asked_from = *known;
    for _ in 0..CONFLICTS_MAX {
        let checkpoint = log.latest_checkpoint()?;
        let size = checkpoint.checkpoint().size;
        if size == *known || size == 0 {
            return Ok(());
        }
        let body = log.witness_request(asked_from, &checkpoint)?;
        match tokio::time::timeout(TIMEOUT, post(&witness.url, body)).await.map_err(|_| WitnessError::Timeout)?? {
            WitnessAnswer::Cosigned(lines) => {
                for line in lines {
                    log.add_cosignature(&line.to_string())?;
                }
                *known = size;
                return Ok(());
            }
            WitnessAnswer::KnownSize(witness) if witness > size => return Err(WitnessError::RolledBack { witness, log: size }),
            // It names the size it was asked from: of that size it knows another head.
            WitnessAnswer::KnownSize(witness) if witness == asked_from => return Err(WitnessError::Forked),
            WitnessAnswer::KnownSize(witness) => asked_from = witness,
            WitnessAnswer::Refused { status: NO_PROOF } => return Err(WitnessError::Forked),
            WitnessAnswer::Refused { status } => return Err(WitnessError::Refused(status)),
        }
    }
    Err(WitnessError::Conflict)
}

async fn post(url: &str, body: Vec<u8>) -> Result<WitnessAnswer, WitnessError> {
    let rest = url.strip_prefix("http://").ok_or(WitnessError::Url)?;
    let (host, prefix) = rest.split_once('/').map_or((rest, String::new()), |(host, prefix)| (host, format!("/{prefix}")));
    let address = if host.contains(':') { host.to_owned() } else { format!("{host}:80") };
    let stream = TcpStream::connect(&address).await.map_err(WitnessError::Connect)?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(WitnessError::Http)?;
    let driver = tokio::spawn(connection);
    let request = hyper::Request::post(format!("{}{ADD_CHECKPOINT}", prefix.trim_end_matches('/')))
        .header(HOST, host)
        .header(CONTENT_TYPE, "text/plain; charset=utf-8")
        .body(Full::new(Bytes::from(body)))
        .map_err(|_| WitnessError::Url)?;
    let answer = sender.send_request(request).await;
    let result = match answer {
        Ok(answer) => {
            let status = answer.status().as_u16();
            let kind = answer.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).map(str::to_owned);
            let bytes = Limited::new(answer.into_body(), MAX_ANSWER_BYTES).collect().await.map_err(|_| WitnessError::Body)?.to_bytes();
            Ok(parse_witness_answer(status, kind.as_deref(), &bytes)?)
        }
        Err(error) => Err(WitnessError::Http(error)),
    };
    driver.abort();
    result
}
