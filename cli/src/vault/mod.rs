//! The verbs of the vault. Each file is one verb: its arguments, its help, and a few lines over the engine in `ticrypt-client`.

mod bar;
mod cat;
pub mod complete;
mod cp;
mod du;
mod export;
mod find;
mod get;
mod leave;
mod log;
mod ls;
mod mkdir;
mod mv;
mod put;
mod rekey;
mod rm;
mod sha256;
mod share;
mod shares;
mod show;
mod stat;
mod tag;
mod trash;
mod tree;
mod unshare;
mod versions;

use std::sync::Arc;

use clap::Subcommand;
use ticrypt_client::vault::progress::{Cancel, Report};
use ticrypt_client::vault::{Vault, VaultPath};
use ticrypt_client::{ClientError, Kind};

use crate::context::Context;

const PATHS: &str = "\
Paths in the vault:
  /docs/a.txt               your own tree; docs/a.txt is the same
  /@shared                  who shares with you
  /@shared/r.tal/results    what r.tal shares with you
  /@shared/r.tal/x~5f1c09aa the same by the first digits of its id, where two shares have one name
  /@@shared                 a name of your own that is @shared";

/// Verbs of the vault, on the top level of the command line.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Put files and directories from this machine into the vault
    #[command(after_help = PATHS)]
    Put(put::Arguments),
    /// Get files and directories from the vault to this machine
    #[command(after_help = PATHS)]
    Get(get::Arguments),
    /// List a directory of the vault, or what is shared with you
    #[command(after_help = PATHS)]
    Ls(ls::Arguments),
    /// Show a tree of the vault
    Tree(tree::Arguments),
    /// Find by name, kind, size and time
    Find(find::Arguments),
    /// Show all there is to know about a path
    Stat(stat::Arguments),
    /// Show sizes below directories
    Du(du::Arguments),
    /// Print the SHA-256 of files, as their writers signed it
    Sha256(sha256::Arguments),
    /// Print a file to standard output
    Cat(cat::Arguments),
    /// Make directories
    Mkdir(mkdir::Arguments),
    /// Move or rename
    Mv(mv::Arguments),
    /// Copy within the vault; the copy has new keys and nobody else's access
    Cp(cp::Arguments),
    /// Move to the trash, or delete for good
    Rm(rm::Arguments),
    /// List, restore and delete what is in the trash
    #[command(subcommand)]
    Trash(trash::Command),
    /// List, get and restore versions of a file
    #[command(subcommand)]
    Versions(versions::Command),
    /// Show what was done with a file or directory, from the audit log
    Log(log::Arguments),
    /// Share a file or directory with people
    Share(share::Arguments),
    /// End shares, and make new keys
    Unshare(unshare::Arguments),
    /// List shares: with you, by you, or of one path
    Shares(shares::Arguments),
    /// Give up what was shared with you
    Leave(leave::Arguments),
    /// Tag a file or directory with a project, show its tags, or take them away
    Tag(tag::Arguments),
    /// Make new keys where somebody lost access
    Rekey(rekey::Arguments),
    /// Write a tree, still sealed, for the offline decryptor
    Export(export::Arguments),
}

pub async fn run(command: Command, context: &Context) -> anyhow::Result<()> {
    match command {
        Command::Put(arguments) => put::run(arguments, context).await,
        Command::Get(arguments) => get::run(arguments, context).await,
        Command::Ls(arguments) => ls::run(arguments, context).await,
        Command::Tree(arguments) => tree::run(arguments, context).await,
        Command::Find(arguments) => find::run(arguments, context).await,
        Command::Stat(arguments) => stat::run(arguments, context).await,
        Command::Du(arguments) => du::run(arguments, context).await,
        Command::Sha256(arguments) => sha256::run(arguments, context).await,
        Command::Cat(arguments) => cat::run(arguments, context).await,
        Command::Mkdir(arguments) => mkdir::run(arguments, context).await,
        Command::Mv(arguments) => mv::run(arguments, context).await,
        Command::Cp(arguments) => cp::run(arguments, context).await,
        Command::Rm(arguments) => rm::run(arguments, context).await,
        Command::Trash(command) => trash::run(command, context).await,
        Command::Versions(command) => versions::run(command, context).await,
        Command::Log(arguments) => log::run(arguments, context).await,
        Command::Share(arguments) => share::run(arguments, context).await,
        Command::Unshare(arguments) => unshare::run(arguments, context).await,
        Command::Shares(arguments) => shares::run(arguments, context).await,
        Command::Leave(arguments) => leave::run(arguments, context).await,
        Command::Tag(arguments) => tag::run(arguments, context).await,
        Command::Rekey(arguments) => rekey::run(arguments, context).await,
        Command::Export(arguments) => export::run(arguments, context).await,
    }
}

/// The vault in the session that the agent holds.
async fn open(context: &Context) -> anyhow::Result<Vault> {
    Ok(Vault::new(Arc::new(context.session().await?)))
}

/// Reads a path as it is typed.
pub(crate) fn path(text: &str) -> Result<VaultPath, String> {
    VaultPath::parse(text).map_err(|e| e.to_string())
}

/// Ends the work when the person presses ctrl-c; a second time ends the program at once.
fn on_interrupt() -> Cancel {
    let cancel = Cancel::new();
    let told = cancel.clone();
    tokio::spawn(async move {
        if tokio::signal::ctrl_c().await.is_ok() {
            told.cancel();
        }
        if tokio::signal::ctrl_c().await.is_ok() {
            std::process::exit(130);
        }
    });
    cancel
}

/// An exit code of its own for work of which a part was not done.
fn finished(report: &Report) -> anyhow::Result<()> {
    use ticrypt_client::vault::progress::Outcome;
    let failed = report.notes.iter().filter(|note| note.outcome == Outcome::Failed).count();
    if failed == 0 {
        return Ok(());
    }
    let what = if failed == 1 {
        "1 item was not done; what is said above tells why".to_owned()
    } else {
        format!("{failed} items were not done; what is said above tells why")
    };
    Err(ClientError::new(Kind::Broken, "partial", what).into())
}

/// Asks before something that cannot be undone; without a terminal only `--yes` says yes.
pub(crate) fn confirm(context: &Context, yes: bool, question: &str) -> anyhow::Result<()> {
    use std::io::{BufRead, IsTerminal, Write};
    if yes {
        return Ok(());
    }
    if !std::io::stdin().is_terminal() || context.output.is_json() {
        return Err(ClientError::new(Kind::Invalid, "not_confirmed", format!("{question} Say so with --yes")).into());
    }
    eprint!("{question} [y/N] ");
    std::io::stderr().flush()?;
    let mut answer = String::new();
    std::io::stdin().lock().read_line(&mut answer)?;
    if matches!(answer.trim(), "y" | "Y" | "yes") {
        Ok(())
    } else {
        Err(ClientError::new(Kind::Refused, "not_confirmed", "left as it is").into())
    }
}
