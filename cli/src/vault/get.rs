//! `ticrypt get`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use ticrypt_client::vault::VaultPath;
use ticrypt_client::vault::get::{GetLinks, GetOptions};

use super::bar::Bar;
use super::put::IfExistsArguments;
use super::{complete, finished, on_interrupt, open, path, show};
use crate::context::Context;

/// Every byte is verified against what its writer signed before it has a name on this machine. Nothing is written outside the destination, no
/// link is followed or made, and names that could forge output are written escaped.
///
/// A share without *download* is refused here: that restriction is kept by an honest client only, not by keys.
#[derive(Debug, Args)]
pub struct Arguments {
    /// Paths in the vault
    #[arg(required = true, value_name = "PATH", value_parser = path, add = complete::vault_path())]
    sources: Vec<VaultPath>,
    /// A directory of this machine, or with one PATH its new name
    #[arg(required = true, value_name = "TARGET")]
    destination: PathBuf,
    #[command(flatten)]
    if_exists: IfExistsArguments,
    /// What to do with recorded symbolic links: say that they are there, or write the target as a small text file
    #[arg(long, value_enum, default_value_t = LinksArgument::Report)]
    links: LinksArgument,
    /// Say what would be done, and do nothing
    #[arg(short = 'n', long)]
    dry_run: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum LinksArgument {
    Report,
    Text,
}

pub(super) async fn run(arguments: Arguments, context: &Context) -> anyhow::Result<()> {
    let links = match arguments.links {
        LinksArgument::Report => GetLinks::Report,
        LinksArgument::Text => GetLinks::Text,
    };
    let options = GetOptions { if_exists: arguments.if_exists.into(), links, dry_run: arguments.dry_run };
    let vault = open(context).await?;
    let bar = Bar::bytes(&context.output, "get");
    let done = vault.get(&arguments.sources, &arguments.destination, &options, &bar, &on_interrupt()).await;
    bar.done();
    let report = done?;
    show::report(&context.output, &report, if arguments.dry_run { "would get" } else { "got" })?;
    finished(&report)
}
