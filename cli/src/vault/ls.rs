//! `ticrypt ls`.

use clap::Args;
use ticrypt_client::vault::VaultPath;
use ticrypt_client::vault::listing::{Listed, ListedKind};

use super::{complete, open, path, show};
use crate::context::Context;

/// Marks behind a name: `/` directory, `@` link, `*` shared with others, `!` versions that lost a race are in the history, `~` somebody
/// lost access and new keys are still to be made (`ticrypt rekey`), `#` tagged itself (`ticrypt tag`), `?` locked: its project is not in your
/// working set (`ticrypt work`).
#[derive(Debug, Args)]
pub struct Arguments {
    #[arg(value_name = "PATH", default_value = "/", value_parser = path, add = complete::vault_path())]
    paths: Vec<VaultPath>,
    /// Mode, size, time and writer
    #[arg(short, long)]
    long: bool,
    /// Names that begin with a dot too
    #[arg(short, long)]
    all: bool,
}

pub(super) async fn run(arguments: Arguments, context: &Context) -> anyhow::Result<()> {
    let vault = open(context).await?;
    let mut listed = Vec::new();
    for path in &arguments.paths {
        listed.extend(vault.list(path).await?);
    }
    listed.retain(|one| arguments.all || !one.name.starts_with('.'));
    if arguments.long {
        return context.output.table(&listed, &["MODE", "SIZE", "MODIFIED", "WRITER", "NAME"], |one| {
            vec![
                show::mode(one),
                one.size_bytes.map_or_else(|| "-".to_owned(), |bytes| bytes.to_string()),
                show::time(one.modified_ms),
                one.writer.as_ref().map_or_else(|| "-".to_owned(), ToString::to_string),
                marked(one),
            ]
        });
    }
    context.output.table(&listed, &["NAME"], |one| vec![marked(one)])
}

fn marked(one: &Listed) -> String {
    let kind = match one.kind {
        ListedKind::Directory | ListedKind::Sharer | ListedKind::Group => "/",
        ListedKind::Link => "@",
        ListedKind::File => "",
    };
    format!("{}{kind}{}", one.name, show::marks(one))
}
