//! The project's own chores: `cargo xtask tidy`, `cargo xtask sabotage`.

mod sabotage;
mod tidy;

use std::path::PathBuf;

use anyhow::Result;
use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(about = "chores of the ticrypt workspace")]
struct Cli {
    #[command(subcommand)]
    chore: Chore,
}

#[derive(Subcommand)]
enum Chore {
    /// Checks what compilers cannot: the dependency graph, who imports whom, names, sizes, links.
    Tidy {
        /// Writes the golden files instead of comparing with them.
        #[arg(long)]
        bless: bool,
    },
    /// Applies each committed sabotage to a copy of the tree and demands that its test turns red.
    Sabotage(sabotage::Options),
}

fn main() -> Result<()> {
    match Cli::parse().chore {
        Chore::Tidy { bless } => tidy::run(&root(), bless),
        Chore::Sabotage(options) => sabotage::run(&root(), &options),
    }
}

/// The workspace's folder, which holds this package's folder.
fn root() -> PathBuf {
    let here = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    here.parent().map_or(here.clone(), PathBuf::from)
}
