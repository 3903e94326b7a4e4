//! `ticrypt man`: manual pages from the same description as `--help`.

use std::io::Write;
use std::path::PathBuf;

use clap::{Args, CommandFactory};

use crate::context::Context;

#[derive(Debug, Args)]
pub struct Arguments {
    /// Write one page for each verb into DIR (e.g. /usr/local/share/man/man1)
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
}

pub fn run(arguments: &Arguments, context: &Context) -> anyhow::Result<()> {
    let mut command = crate::args::Arguments::command();
    command.build();
    match &arguments.dir {
        Some(dir) => {
            std::fs::create_dir_all(dir)?;
            clap_mangen::generate_to(command, dir)?;
            context.output.hint(&format!("Manual pages are in {}.", dir.display()));
        }
        None => {
            let mut page = Vec::new();
            clap_mangen::Man::new(command).render(&mut page)?;
            std::io::stdout().write_all(&page)?;
        }
    }
    Ok(())
}
