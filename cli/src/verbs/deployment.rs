//! `ticrypt deployment`: which servers this device knows, and by which fingerprint.

use std::io::Read;
use std::path::PathBuf;

use clap::{Args, Subcommand};
use serde::Serialize;
use ticrypt_client::deployment::{self, Candidate};
use ticrypt_client::{ClientError, Deployment, agent, home};
use ticrypt_crypto::bundle::Fingerprint;
use ticrypt_types::DeploymentId;

use crate::context::Context;
use crate::passphrase::ask_line;

const FILE_MAX_BYTES: usize = 64 * 1024;

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Take in a deployment file, after comparing its fingerprint with your administrator
    Import(Import),
    /// List the deployments this device knows
    List,
    /// Show one
    Show {
        /// Id or name; the default one if absent
        name: Option<String>,
    },
    /// Use this deployment when none is named
    Use {
        /// Id or name
        name: String,
    },
    /// Forget a deployment, with pins, mirrors and the key files kept in the home
    Remove {
        /// Id or name
        name: String,
        /// Do not ask
        #[arg(long)]
        yes: bool,
    },
}

#[derive(Debug, Args)]
pub struct Import {
    /// The file; `-` reads standard input
    file: PathBuf,
    /// The fingerprint you were given another way (by telephone, on paper); asked for on a terminal if absent
    #[arg(long, value_name = "FINGERPRINT")]
    fingerprint: Option<Fingerprint>,
}

#[derive(Serialize)]
struct Row {
    id: DeploymentId,
    name: String,
    fingerprint: String,
    urls: Vec<String>,
    default: bool,
    witnesses: usize,
}

pub async fn run(command: Command, context: &Context) -> anyhow::Result<()> {
    match command {
        Command::Import(import) => take_in(import, context),
        Command::List => list(context),
        Command::Show { name } => show(&choose(context, name.as_deref())?, context),
        Command::Use { name } => {
            let chosen = choose(context, Some(&name))?;
            deployment::set_default(&context.home, chosen.id())?;
            show(&chosen, context)
        }
        Command::Remove { name, yes } => remove(&name, yes, context).await,
    }
}

fn choose(context: &Context, name: Option<&str>) -> anyhow::Result<Deployment> {
    Ok(Deployment::choose(&context.home, name.or(context.global.deployment.as_deref()))?)
}

fn take_in(import: Import, context: &Context) -> anyhow::Result<()> {
    let bytes = if import.file.as_os_str() == "-" {
        let mut bytes = Vec::new();
        std::io::stdin().lock().take(FILE_MAX_BYTES as u64 + 1).read_to_end(&mut bytes)?;
        bytes
    } else {
        home::read_named(&import.file, FILE_MAX_BYTES)?
    };
    let candidate = Candidate::read(&context.home, bytes)?;
    let shown = candidate.deployment().fingerprint();
    if let Some(old) = candidate.replaces {
        context.output.warn(&format!("this replaces the deployment file with fingerprint {old}"));
    }
    let compared = match import.fingerprint {
        Some(fingerprint) => fingerprint,
        None => {
            let question = format!(
                "Deployment   {}\nFingerprint  {shown}\nCompare it with what your administrator gave you another way. Is it the same? [y/N] ",
                candidate.deployment().display_name()
            );
            match ask_line(&question)?.as_deref() {
                Some("y" | "Y" | "yes") => shown,
                Some(_) => {
                    return Err(ClientError::refused(
                        "fingerprint",
                        "the deployment was not imported; ask your administrator for the right file",
                    )
                    .into());
                }
                None => {
                    return Err(ClientError::invalid(format!(
                        "nobody is there to compare the fingerprint; give it with --fingerprint (the file's is {shown})"
                    ))
                    .into());
                }
            }
        }
    };
    let accepted = candidate.accept(&context.home, compared)?;
    show(&accepted, context)?;
    context
        .output
        .hint("Next: `ticrypt key new NAME`, then `ticrypt register`. With a key file you have already: `ticrypt login --key FILE`.");
    Ok(())
}

fn list(context: &Context) -> anyhow::Result<()> {
    let rows = Deployment::list(&context.home)?.iter().map(|deployment| row(deployment, context)).collect::<anyhow::Result<Vec<_>>>()?;
    context.output.table(&rows, &["", "ID", "NAME", "URL"], |row| {
        vec![if row.default { "*" } else { " " }.to_owned(), row.id.to_string(), row.name.clone(), row.urls.join(" ")]
    })
}

fn show(deployment: &Deployment, context: &Context) -> anyhow::Result<()> {
    let row = row(deployment, context)?;
    context.output.record(
        &row,
        &[
            ("name", row.name.clone()),
            ("id", row.id.to_string()),
            ("fingerprint", row.fingerprint.clone()),
            ("url", row.urls.join(" ")),
            ("witnesses", row.witnesses.to_string()),
            ("default", if row.default { "yes" } else { "no" }.to_owned()),
        ],
    )
}

async fn remove(name: &str, yes: bool, context: &Context) -> anyhow::Result<()> {
    let chosen = choose(context, Some(name))?;
    if !yes {
        let question = format!(
            "Forget {} ({}) with its pins, what was seen, and every key file in {}? A key file without a copy elsewhere is lost. [y/N] ",
            chosen.display_name(),
            chosen.id(),
            chosen.dir().join("keys").display()
        );
        match ask_line(&question)?.as_deref() {
            Some("y" | "Y" | "yes") => {}
            Some(_) => return Err(ClientError::refused("kept", "nothing was removed").into()),
            None => return Err(ClientError::invalid("nobody is there to ask; add --yes").into()),
        }
    }
    agent::lock(&context.agent_socket(&chosen)?).await?;
    Ok(chosen.remove(&context.home)?)
}

fn row(deployment: &Deployment, context: &Context) -> anyhow::Result<Row> {
    Ok(Row {
        id: deployment.id(),
        name: deployment.display_name(),
        fingerprint: deployment.fingerprint().to_string(),
        urls: deployment.file().urls.clone(),
        default: deployment::default_id(&context.home)? == Some(deployment.id()),
        witnesses: deployment.witnesses().len(),
    })
}
