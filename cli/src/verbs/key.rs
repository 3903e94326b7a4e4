//! `ticrypt key`: the key file, without which nothing that was stored can be opened.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use serde::Serialize;
use ticrypt_client::account::{self, KeyFile, KeyPaths};
use ticrypt_client::{ClientError, agent, home, reset};
use ticrypt_crypto::bundle::{BUNDLE_MAX_LEN, Bundle};
use ticrypt_types::UserName;

use crate::context::Context;
use crate::passphrase;

const LOSS: &str = "\
Keep this file and its passphrase. If either is lost, what you stored is lost: nobody can open it, not even an
administrator, and there is no way to reset the passphrase. (`ticrypt key reset` makes new keys; they open nothing old.)
Make a copy on another device now:
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
    /// Make new keys after yours were lost; an administrator accepts them, and what you stored stays closed
    ///
    /// For a key file or passphrase that is gone for good. Writes new keys, and a bundle that an administrator accepts with `ticrypt users
    /// reset`: give them the file by any way, and read them its fingerprint in person or by telephone. Then log in as ever.
    ///
    /// The new keys open nothing of what was sealed to the old ones. Your vault begins empty; the old tree is kept, closed to you for ever,
    /// until you delete it (`ticrypt trash lost`), and people you shared with can still read their part of it and give it back to you. What
    /// others shared with you is dead until they have compared your new fingerprint and share again.
    ///
    /// If you still have the keys, use `ticrypt key rotate`: it loses nothing.
    Reset(Reset),
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
pub struct Reset {
    /// Your user name; it stays the same
    name: UserName,
    /// The bundle that counts now, if this home does not know it: `ticrypt users bundle` of anybody writes it
    #[arg(long, value_name = "FILE")]
    from: Option<PathBuf>,
    /// Write the new key file here instead of into the home
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,
    /// Write the new bundle here as well, to hand it over
    #[arg(long, value_name = "FILE")]
    bundle: Option<PathBuf>,
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
        Command::Reset(reset) => self::reset(&reset, context),
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
        return Err(ClientError::invalid(format!("{} exists; it may be the only key to what is stored", paths.key.display())).into());
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
    let deployment = context.deployment()?;
    let transport = context.transport(&deployment)?;
    let bundle = account::rotate(&context.home, &deployment, &transport, &file, &secret, rotate.compromised).await?;
    agent::lock(&context.agent_socket(&deployment)?).await?;
    let file = KeyFile::read(file.paths)?;
    show(&file, &bundle, context)?;
    context.output.hint("Log in again with the new keys, and copy the new key file to your other devices and backups.");
    if rotate.compromised {
        context.output.hint("What was shared with the old keys can still be opened with them: run `ticrypt rekey`, then ask those who share with you to do the same.");
    }
    Ok(())
}

#[derive(Serialize)]
struct Prepared {
    #[serde(flatten)]
    shown: Shown,
    /// Fingerprint of the keys that were lost.
    follows: String,
    /// The former files, which are kept.
    set_aside: Vec<PathBuf>,
}

fn reset(reset: &Reset, context: &Context) -> anyhow::Result<()> {
    let deployment = context.deployment()?;
    let paths = match &reset.key {
        Some(key) => KeyPaths::beside(key),
        None => KeyPaths::in_home(&context.home, &deployment, &reset.name)?,
    };
    if reset.key.is_some() && paths.key.exists() {
        return Err(ClientError::invalid(format!("{} exists; name another file", paths.key.display())).into());
    }
    let previous = match &reset.from {
        Some(file) => reset::given(&deployment, &reset.name, &home::read_named(file, BUNDLE_MAX_LEN)?)?,
        None => reset::known(&context.home, &deployment, &reset.name)?,
    };
    let secret = passphrase::new(context, None)?;
    let made = reset::prepare(&previous, paths, &secret)?;
    if let Some(copy) = &reset.bundle {
        home::write_new_atomic(copy, made.file.bundle.as_bytes())?;
    }
    let bundle = reset.bundle.clone().unwrap_or_else(|| made.file.paths.bundle.clone());
    let shown = Shown { bundle, ..shown(&made.file, &made.file.bundle) };
    let prepared = Prepared { shown, follows: previous.fingerprint().to_string(), set_aside: made.set_aside };
    let mut fields = fields(&prepared.shown);
    fields.push(("follows", prepared.follows.clone()));
    fields.extend(prepared.set_aside.iter().map(|path| ("set aside", path.display().to_string())));
    context.output.record(&prepared, &fields)?;
    if !context.output.is_json() {
        context.output.warn(&format!(
            "these keys open nothing of what was stored or shared before, and count only when an administrator has accepted them. Give them \
             the bundle, and read them the fingerprint in person or by telephone; they run\n  ticrypt users reset {} --bundle FILE \
             --fingerprint FINGERPRINT\nThen log in, and ask those who share with you to compare the fingerprint and to share again.",
            reset.name
        ));
        context.output.warn(LOSS);
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
    let shown = shown(file, bundle);
    context.output.record(&shown, &fields(&shown))
}

fn shown(file: &KeyFile, bundle: &Bundle) -> Shown {
    let payload = bundle.payload();
    Shown {
        name: payload.name.clone(),
        user: payload.user,
        deployment: payload.deployment,
        generation: payload.generation,
        fingerprint: bundle.fingerprint().to_string(),
        key: file.paths.key.clone(),
        bundle: file.paths.bundle.clone(),
    }
}

fn fields(shown: &Shown) -> Vec<(&'static str, String)> {
    vec![
        ("name", shown.name.to_string()),
        ("fingerprint", shown.fingerprint.clone()),
        ("generation", shown.generation.to_string()),
        ("deployment", shown.deployment.to_string()),
        ("key file", shown.key.display().to_string()),
        ("bundle", shown.bundle.display().to_string()),
    ]
}
