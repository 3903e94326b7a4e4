//! `ticrypt key`: the key file, without which nothing that was stored can be opened.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use serde::Serialize;
use ticrypt_client::account::{self, KeyFile, KeyPaths};
use ticrypt_client::{Keys, agent};
use ticrypt_crypto::bundle::Bundle;
use ticrypt_types::UserName;

use super::login;
use crate::context::Context;
use crate::passphrase;

const LOSS: &str = "\
Keep this file and its passphrase. If either is lost, what you stored is lost: nobody can open it, not even an
administrator, and there is no way to reset the passphrase. Make a copy on another device now:
  ticrypt key export FILE";

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Make your keys, once, before you register
    ///
    /// Writes NAME.key, secret and protected by a passphrase, and NAME.bundle, public. A lost key file or passphrase means lost data.
    New(New),
    /// Unlock the key file and show whose it is
    Check(Which),
    /// Change the passphrase; copies of the file keep the old one
    Passwd(Passwd),
    /// Replace your keys; others follow by the signature of the old one
    Rotate(Rotate),
    /// Copy key file and bundle to FILE, for another device or as a backup
    Export(Export),
}

#[derive(Debug, Args)]
pub struct New {
    /// The user name you will register
    name: UserName,
    /// Write the key file here instead of into the home
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,
}

/// Which key file.
#[derive(Clone, Debug, Default, Args)]
pub struct Which {
    /// The key file, if it is not the only one in the home
    #[arg(long, value_name = "FILE", conflicts_with = "user")]
    pub key: Option<PathBuf>,
    /// The key file of this person in the home
    #[arg(long, value_name = "NAME")]
    pub user: Option<UserName>,
}

#[derive(Debug, Args)]
pub struct Passwd {
    #[command(flatten)]
    which: Which,
    /// Read the new passphrase from the first line of FILE instead of the terminal
    #[arg(long, value_name = "FILE")]
    new_passphrase_file: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub struct Rotate {
    #[command(flatten)]
    which: Which,
    /// Somebody else may have the old keys: say so in the new bundle
    #[arg(long)]
    compromised: bool,
}

#[derive(Debug, Args)]
pub struct Export {
    #[command(flatten)]
    which: Which,
    /// Where to; `FILE.bundle` (or `x.bundle` beside `x.key`) is written as well
    #[arg(value_name = "FILE")]
    to: PathBuf,
}

#[derive(Serialize)]
struct Shown {
    name: UserName,
    user: ticrypt_types::UserId,
    deployment: ticrypt_types::DeploymentId,
    generation: u32,
    fingerprint: String,
    key: PathBuf,
    bundle: PathBuf,
}

pub async fn run(command: Command, context: &Context) -> anyhow::Result<()> {
    match command {
        Command::New(new) => make(new, context),
        Command::Check(which) => check(&which, context),
        Command::Passwd(passwd) => change(&passwd, context),
        Command::Rotate(rotate) => replace(&rotate, context).await,
        Command::Export(export) => copy(&export, context),
    }
}

impl Which {
    /// Finds the key file and its bundle.
    pub fn paths(&self, context: &Context) -> anyhow::Result<KeyPaths> {
        let deployment = context.deployment()?;
        Ok(match &self.user {
            Some(name) => KeyPaths::in_home(&context.home, &deployment, name)?,
            None => KeyPaths::choose(&context.home, &deployment, self.key.as_deref())?,
        })
    }

    pub fn read(&self, context: &Context) -> anyhow::Result<KeyFile> {
        Ok(KeyFile::read(self.paths(context)?)?)
    }
}

fn make(new: New, context: &Context) -> anyhow::Result<()> {
    let deployment = context.deployment()?;
    let paths = match &new.key {
        Some(key) => KeyPaths::beside(key),
        None => KeyPaths::in_home(&context.home, &deployment, &new.name)?,
    };
    if paths.key.exists() {
        return Err(ticrypt_client::ClientError::invalid(format!(
            "{} exists; it may be the only key to what is stored",
            paths.key.display()
        ))
        .into());
    }
    let secret = passphrase::new(context, None)?;
    let file = account::create(&deployment, new.name, paths, &secret)?;
    show(&file, &file.bundle, context)?;
    if !context.output.is_json() {
        context.output.warn(LOSS);
    }
    Ok(())
}

fn check(which: &Which, context: &Context) -> anyhow::Result<()> {
    let file = which.read(context)?;
    let secret = passphrase::existing(context, &format!("Passphrase of {}: ", file.paths.key.display()))?;
    file.unlock(&secret)?;
    show(&file, &file.bundle, context)
}

fn change(passwd: &Passwd, context: &Context) -> anyhow::Result<()> {
    let file = passwd.which.read(context)?;
    let old = passphrase::existing(context, "Old passphrase: ")?;
    file.unlock(&old)?;
    let new = match &passwd.new_passphrase_file {
        Some(path) => passphrase::new(context, Some(path))?,
        // The old one came from there; the new one must come from a person.
        None => passphrase::typed_twice()?,
    };
    file.change_passphrase(&old, &new)?;
    context.output.hint("The passphrase is changed. Copies of the key file made before still open with the old one.");
    Ok(())
}

async fn replace(rotate: &Rotate, context: &Context) -> anyhow::Result<()> {
    let file = rotate.which.read(context)?;
    let secret = passphrase::existing(context, &format!("Passphrase of {}: ", file.paths.key.display()))?;
    // A login of its own, in this process: the agent's keys are about to be old.
    let deployment = context.deployment()?;
    let transport = context.transport(&deployment)?;
    let unlocked = std::sync::Arc::new(file.unlock(&secret)?);
    let keys: std::sync::Arc<dyn Keys> = std::sync::Arc::clone(&unlocked) as _;
    let logged_in = account::login(&context.home, &transport, &deployment, keys, &login::label("key rotate")).await?;
    let rotated = account::rotate(&logged_in.transport, &file, &unlocked, &secret, rotate.compromised).await;
    if let Err(error) = account::logout(&logged_in.transport).await {
        tracing::debug!(%error, "the session of the rotation was left to end by itself");
    }
    let bundle = rotated?;
    agent::lock(&context.agent_socket(&deployment)?).await?;
    let file = KeyFile::read(file.paths)?;
    show(&file, &bundle, context)?;
    context.output.hint("Log in again with the new keys, and copy the new key file to your other devices and backups.");
    if rotate.compromised {
        context.output.hint("What was shared with the old keys can still be opened with them: run `ticrypt rekey`, then ask those who share with you to do the same.");
    }
    Ok(())
}

fn copy(export: &Export, context: &Context) -> anyhow::Result<()> {
    let file = export.which.read(context)?;
    let paths = file.export(&export.to)?;
    let shown = KeyFile { paths, ..file };
    show(&shown, &shown.bundle, context)
}

fn show(file: &KeyFile, bundle: &Bundle, context: &Context) -> anyhow::Result<()> {
    let payload = bundle.payload();
    let shown = Shown {
        name: payload.name.clone(),
        user: payload.user,
        deployment: payload.deployment,
        generation: payload.generation,
        fingerprint: bundle.fingerprint().to_string(),
        key: file.paths.key.clone(),
        bundle: file.paths.bundle.clone(),
    };
    context.output.record(
        &shown,
        &[
            ("name", shown.name.to_string()),
            ("fingerprint", shown.fingerprint.clone()),
            ("generation", shown.generation.to_string()),
            ("deployment", shown.deployment.to_string()),
            ("key file", shown.key.display().to_string()),
            ("bundle", shown.bundle.display().to_string()),
        ],
    )
}
