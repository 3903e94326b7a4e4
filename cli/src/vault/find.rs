//! `ticrypt find`.

use clap::{Args, ValueEnum};
use ticrypt_client::ClientError;
use ticrypt_client::vault::VaultPath;
use ticrypt_client::vault::exclude::name_pattern;
use ticrypt_client::vault::listing::{ListedKind, Query};
use ticrypt_types::Timestamp;
use ticrypt_types::name::Harmless;

use super::{complete, open, path};
use crate::context::Context;
use ticrypt_client::{show, when};

/// Names are searched on this machine, after they were decrypted; the server learns which directories were listed.
#[derive(Debug, Args)]
pub struct Arguments {
    #[arg(value_name = "PATH", default_value = "/", value_parser = path, add = complete::vault_path())]
    path: VaultPath,
    /// Names that match, as `*.csv`
    #[arg(long, value_name = "GLOB")]
    name: Option<String>,
    /// This kind only
    #[arg(long = "type", value_enum)]
    kind: Option<KindArgument>,
    /// More than SIZE with `+1M`, less with `-1M`, exactly without a sign; K, M, G, T are powers of 1024
    #[arg(long, value_name = "SIZE", allow_hyphen_values = true)]
    size: Option<String>,
    /// Changed after a time or within a length of time, as `2026-11-01` or `7d`
    #[arg(long, value_name = "WHEN")]
    newer: Option<String>,
    /// Changed before
    #[arg(long, value_name = "WHEN")]
    older: Option<String>,
    /// Levels below PATH
    #[arg(long, value_name = "LEVELS")]
    max_depth: Option<usize>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum KindArgument {
    #[value(alias = "d")]
    Directory,
    #[value(alias = "f")]
    File,
    #[value(alias = "l")]
    Link,
}

pub(super) async fn run(arguments: Arguments, context: &Context) -> anyhow::Result<()> {
    let (min_bytes, max_bytes) = arguments.size.as_deref().map(size_range).transpose()?.unwrap_or_default();
    let query = Query {
        name: arguments.name.as_deref().map(name_pattern).transpose()?,
        kind: arguments.kind.map(|kind| match kind {
            KindArgument::Directory => ListedKind::Directory,
            KindArgument::File => ListedKind::File,
            KindArgument::Link => ListedKind::Link,
        }),
        min_bytes,
        max_bytes,
        newer_than: arguments.newer.as_deref().map(past).transpose()?,
        older_than: arguments.older.as_deref().map(past).transpose()?,
        max_depth: arguments.max_depth,
    };
    let found = open(context).await?.find(&arguments.path, &query).await?;
    context.output.result(&found, |out| found.iter().try_for_each(|one| writeln!(out, "{}", Harmless(&one.vault_path.text()))))
}

/// A point in the past: a date, or a length of time before now.
fn past(text: &str) -> Result<Timestamp, ClientError> {
    let now = ticrypt_client::clock::now();
    let found = match when::duration_ms(text) {
        Some(length_ms) => Some(Timestamp::from_millis(now.as_millis().saturating_sub(length_ms))),
        None => when::parse(text, now),
    };
    found.ok_or_else(|| ClientError::invalid(format!("`{text}` is not a time; write 2026-11-01, 2026-11-01T12:00:00Z or 7d")))
}

/// The least and the most of a size with a sign.
fn size_range(text: &str) -> Result<(Option<u64>, Option<u64>), ClientError> {
    let bad = || ClientError::invalid(format!("`{text}` is not a size; write as +10M, -4K or 512"));
    let (sign, rest) = match text.split_at_checked(1) {
        Some((sign @ ("+" | "-"), rest)) => (sign, rest),
        _ => ("", text),
    };
    let size = show::parse_size(rest).ok_or_else(bad)?;
    Ok(match sign {
        "+" => (Some(size.saturating_add(1)), None),
        "-" => (None, Some(size.checked_sub(1).ok_or_else(bad)?)),
        _ => (Some(size), Some(size)),
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn sizes_have_a_sign_and_a_unit() {
        assert_eq!(size_range("+1M").unwrap(), (Some(1_048_577), None));
        assert_eq!(size_range("-4k").unwrap(), (None, Some(4_095)));
        assert_eq!(size_range("512").unwrap(), (Some(512), Some(512)));
        for bad in ["", "+", "1X", "M", "-0", "1.5M", "99999999999T"] {
            assert!(size_range(bad).is_err(), "{bad}");
        }
    }
}
