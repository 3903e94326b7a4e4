//! Exit codes, and how an error is told: what happened, then what to do.

use std::io;
use std::process::ExitCode;

use serde::Serialize;
use ticrypt_client::{ClientError, Kind};

use crate::output::Output;

/// The codes promised in `--help`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Code {
    Broken = 1,
    Invalid = 2,
    Refused = 3,
    NotFound = 4,
    Unavailable = 5,
}

impl From<Code> for ExitCode {
    fn from(code: Code) -> Self {
        Self::from(code as u8)
    }
}

impl From<Kind> for Code {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::Invalid | Kind::Taken => Self::Invalid,
            Kind::Refused | Kind::LoggedOut => Self::Refused,
            Kind::NotFound => Self::NotFound,
            Kind::Unavailable | Kind::Stale => Self::Unavailable,
            Kind::Untrusted | Kind::Broken => Self::Broken,
        }
    }
}

#[derive(Serialize)]
struct Report<'a> {
    error: Told<'a>,
}

#[derive(Serialize)]
struct Told<'a> {
    code: &'a str,
    message: String,
    exit_code: u8,
    #[serde(skip_serializing_if = "Option::is_none")]
    request_id: Option<String>,
}

/// Prints an error to standard error and gives the exit code.
pub fn report(error: &anyhow::Error, output: &Output) -> ExitCode {
    if is_closed_pipe(error) {
        // Whoever read our output has what they wanted.
        return ExitCode::SUCCESS;
    }
    let known = error.chain().find_map(|cause| cause.downcast_ref::<ClientError>());
    let code = known.map_or(Code::Broken, |error| error.kind().into());
    if output.is_json() {
        let told = Told {
            code: known.map_or("broken", ClientError::code),
            message: format!("{error:#}"),
            exit_code: code as u8,
            request_id: known.and_then(ClientError::request).map(|id| id.to_string()),
        };
        if let Ok(text) = serde_json::to_string(&Report { error: told }) {
            eprintln!("{text}");
        }
        return code.into();
    }
    eprintln!("ticrypt: {error}");
    // Causes that the message already tells are not told twice.
    let mut told = error.to_string();
    for cause in error.chain().skip(1) {
        let cause = cause.to_string();
        if !told.contains(&cause) {
            eprintln!("  because {cause}");
            told.push_str(&cause);
        }
    }
    code.into()
}

fn is_closed_pipe(error: &anyhow::Error) -> bool {
    error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_have_the_codes_promised_in_help() {
        for (kind, code) in [
            (Kind::Invalid, 2),
            (Kind::Taken, 2),
            (Kind::Refused, 3),
            (Kind::LoggedOut, 3),
            (Kind::NotFound, 4),
            (Kind::Unavailable, 5),
            (Kind::Stale, 5),
            (Kind::Untrusted, 1),
            (Kind::Broken, 1),
        ] {
            assert_eq!(Code::from(kind) as u8, code, "{kind:?}");
        }
    }
}
