//! Where a passphrase comes from: the terminal, a file, or the environment with a warning.

use std::io::{BufRead, BufReader, IsTerminal, Read};
use std::path::Path;

use anyhow::Context as _;
use ticrypt_client::ClientError;
use ticrypt_types::Secret;

use crate::context::Context;

const VARIABLE: &str = "TICRYPT_PASSPHRASE";
const LINE_MAX_BYTES: u64 = 4_096;

/// The passphrase of an existing key file.
pub fn existing(context: &Context, prompt: &str) -> anyhow::Result<Secret<String>> {
    match given(context)? {
        Some(passphrase) => Ok(passphrase),
        None => ask(prompt),
    }
}

/// A new passphrase; on a terminal it is typed twice.
pub fn new(context: &Context, file: Option<&Path>) -> anyhow::Result<Secret<String>> {
    let given = match file {
        Some(file) => Some(from_file(file)?),
        None => given(context)?,
    };
    match given {
        Some(passphrase) => Ok(passphrase),
        None => typed_twice(),
    }
}

fn given(context: &Context) -> anyhow::Result<Option<Secret<String>>> {
    if let Some(file) = &context.global.passphrase_file {
        return from_file(file).map(Some);
    }
    match std::env::var(VARIABLE) {
        Ok(text) => {
            context
                .output
                .warn(&format!("the passphrase comes from {VARIABLE}, which other programs of this user can read; use it in scripts only"));
            Ok(Some(Secret::new(text)))
        }
        Err(std::env::VarError::NotPresent) => Ok(None),
        Err(error) => Err(ClientError::invalid(format!("{VARIABLE} is not text; set it again")).because(error).into()),
    }
}

fn from_file(path: &Path) -> anyhow::Result<Secret<String>> {
    let file = std::fs::File::open(path).map_err(|e| {
        ClientError::not_found(format!("the passphrase file {} cannot be opened; check the path", path.display())).because(e)
    })?;
    let mut line = zeroize::Zeroizing::new(String::new());
    BufReader::new(file.take(LINE_MAX_BYTES))
        .read_line(&mut line)
        .with_context(|| format!("the passphrase file {} cannot be read", path.display()))?;
    Ok(Secret::new(line.trim_end_matches(['\r', '\n']).to_owned()))
}

fn ask(prompt: &str) -> anyhow::Result<Secret<String>> {
    if !std::io::stdin().is_terminal() {
        return Err(ClientError::invalid("no terminal to ask for the passphrase; name a file with --passphrase-file").into());
    }
    let typed = rpassword::prompt_password(prompt).context("the passphrase could not be read from the terminal")?;
    Ok(Secret::new(typed))
}

/// Asks a question on the terminal; `None` where nobody can answer.
pub fn ask_line(question: &str) -> anyhow::Result<Option<String>> {
    if !std::io::stdin().is_terminal() {
        return Ok(None);
    }
    eprint!("{question}");
    let mut line = String::new();
    std::io::stdin().lock().take(LINE_MAX_BYTES).read_line(&mut line).context("the answer could not be read")?;
    Ok(Some(line.trim().to_owned()))
}

/// A new passphrase that only a person can give.
pub fn typed_twice() -> anyhow::Result<Secret<String>> {
    let first = ask("New passphrase: ")?;
    let second = ask("The same once more: ")?;
    if first.expose() != second.expose() {
        return Err(ClientError::invalid("the two passphrases differ; try again").into());
    }
    Ok(first)
}
