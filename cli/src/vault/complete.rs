//! Paths of the vault in the shell: asked of the server through the agent, while the person waits for tab.

use std::ffi::OsStr;
use std::time::Duration;

use clap_complete::engine::{ArgValueCompleter, CompletionCandidate};
use ticrypt_client::vault::VaultPath;
use ticrypt_client::vault::listing::ListedKind;

use crate::args::Global;
use crate::context::Context;
use crate::output::Output;

/// A shell should not hang on a slow network.
const PATIENCE: Duration = Duration::from_secs(2);

pub(crate) fn vault_path() -> ArgValueCompleter {
    ArgValueCompleter::new(candidates)
}

fn candidates(typed: &OsStr) -> Vec<CompletionCandidate> {
    let Some(typed) = typed.to_str() else { return Vec::new() };
    let (above, begun) = typed.rsplit_once('/').map_or(("", typed), |(above, begun)| (above, begun));
    let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else { return Vec::new() };
    let listing = async {
        let path = VaultPath::parse(above).ok()?;
        let global = Global {
            home: option("--home").or_else(|| std::env::var_os("TICRYPT_HOME")).map(Into::into),
            deployment: option("--deployment").or_else(|| std::env::var_os("TICRYPT_DEPLOYMENT")).and_then(|name| name.into_string().ok()),
            json: false,
            quiet: true,
            verbose: 0,
            passphrase_file: None,
        };
        let context = Context::new(global.clone(), Output::new(&global)).ok()?;
        let vault = super::open(&context).await.ok()?;
        vault.list(&path).await.ok()
    };
    // What cannot be had in time, or at all, is simply not offered.
    let found = runtime.block_on(async { tokio::time::timeout(PATIENCE, listing).await }).ok().flatten().unwrap_or_default();
    let prefix = if typed.contains('/') { format!("{above}/") } else { String::new() };
    let mut names: Vec<String> = found
        .into_iter()
        .filter(|listed| listed.name.starts_with(begun) && !listed.name.chars().any(char::is_control))
        .map(|listed| {
            let ending = if matches!(listed.kind, ListedKind::Directory | ListedKind::Sharer | ListedKind::Group) { "/" } else { "" };
            format!("{prefix}{}{ending}", listed.name)
        })
        .collect();
    if above.is_empty() && "@shared".starts_with(begun) {
        names.push(format!("{prefix}@shared/"));
    }
    names.into_iter().map(CompletionCandidate::new).collect()
}

/// The value of an option on the line being completed.
fn option(name: &str) -> Option<std::ffi::OsString> {
    let mut arguments = std::env::args_os();
    let found = arguments.by_ref().find(|argument| argument == name);
    found.and_then(|_| arguments.next())
}
