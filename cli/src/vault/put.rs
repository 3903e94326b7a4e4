//! `ticrypt put`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use ticrypt_client::vault::VaultPath;
use ticrypt_client::vault::exclude::Exclude;
use ticrypt_client::vault::plan::IfExists;
use ticrypt_client::vault::put::PutOptions;
use ticrypt_client::vault::source::{Links, Reading};

use super::bar::Bar;
use super::{complete, finished, on_interrupt, open, path, show};
use crate::context::Context;

/// Files are encrypted on this machine; names, types, times and contents reach the server as ciphertext, sizes do not.
///
/// Directories are merged with those of the same name. A file under a name that is taken is an error, and the rest goes on, unless --skip,
/// --keep-both or --force says what to do. After an interruption give the same command with --skip: what is there with the same
/// content counts as unchanged, and large files go on where they stopped.
#[derive(Debug, Args)]
pub struct Arguments {
    /// Files and directories of this machine
    #[arg(required = true, value_name = "SOURCE")]
    sources: Vec<PathBuf>,
    /// A directory of the vault, or with one SOURCE its new name
    #[arg(required = true, value_name = "PATH", value_parser = path, add = complete::vault_path())]
    destination: VaultPath,
    #[command(flatten)]
    if_exists: IfExistsArguments,
    /// Make the destination and the directories above it
    #[arg(short, long)]
    parents: bool,
    /// What to do with symbolic links: keep them as links, put what they point to, or leave them out
    #[arg(long, value_enum, default_value_t = LinksArgument::Record)]
    links: LinksArgument,
    /// Leave out what matches; as in gitignore, may be given several times
    #[arg(long, value_name = "GLOB")]
    exclude: Vec<String>,
    /// Say what would be done, and do nothing
    #[arg(short = 'n', long)]
    dry_run: bool,
}

/// What to do where something else has the name.
#[derive(Clone, Copy, Debug, Args)]
#[group(multiple = false)]
pub struct IfExistsArguments {
    /// Leave what is there; the same (by size and time, else by SHA-256) counts as unchanged
    #[arg(long)]
    skip: bool,
    /// Write under a free name beside it
    #[arg(long)]
    keep_both: bool,
    /// In the vault a new version; on this machine the file is replaced
    #[arg(long)]
    force: bool,
}

impl From<IfExistsArguments> for IfExists {
    fn from(arguments: IfExistsArguments) -> Self {
        match arguments {
            IfExistsArguments { skip: true, .. } => Self::Skip,
            IfExistsArguments { keep_both: true, .. } => Self::KeepBoth,
            IfExistsArguments { force: true, .. } => Self::Force,
            _ => Self::Fail,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum LinksArgument {
    Record,
    Follow,
    Skip,
}

pub(super) async fn run(arguments: Arguments, context: &Context) -> anyhow::Result<()> {
    let links = match arguments.links {
        LinksArgument::Record => Links::Record,
        LinksArgument::Follow => Links::Follow,
        LinksArgument::Skip => Links::Skip,
    };
    let options = PutOptions {
        if_exists: arguments.if_exists.into(),
        reading: Reading { links, exclude: Exclude::parse(&arguments.exclude)? },
        dry_run: arguments.dry_run,
        parents: arguments.parents,
    };
    let vault = open(context).await?;
    let bar = Bar::bytes(&context.output, "put");
    let done = vault.put(&arguments.sources, &arguments.destination, &options, &bar, &on_interrupt()).await;
    bar.done();
    let report = done?;
    show::report(&context.output, &report, if arguments.dry_run { "would put" } else { "put" })?;
    finished(&report)
}
