//! The parts of `make bench` that no program on the command line can time from outside. Each prints one JSON object.

mod audit;
mod decide;
mod groups;
mod logins;
mod members;
mod seal;

use std::path::PathBuf;

use anyhow::Result;
use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(about = "timings from inside, for make bench")]
struct Cli {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// Seals 8 MiB chunks from memory to memory, and does the same with the bare provider, interleaved.
    Seal {
        /// MiB in all, for each of the two.
        #[arg(long, default_value_t = 4096)]
        mib: usize,
        #[arg(long, default_value_t = 2)]
        threads: usize,
    },
    /// Appends events from many tasks, each waiting for durability, then verifies the exported log.
    Audit {
        #[arg(long, default_value_t = 400_000)]
        events: u64,
        /// Tasks that append one event at a time.
        #[arg(long, default_value_t = 2_000)]
        callers: u64,
        /// Where the log is written: on the disk that is to be measured.
        #[arg(long)]
        dir: PathBuf,
    },
    /// Decides about a tagged thing eight directories deep, on one core.
    Decide {
        #[arg(long, default_value_t = 5_000_000)]
        rounds: u32,
    },
    /// Activates thousands of people and takes them into a project, at a running server whose limits allow it.
    Members {
        #[command(flatten)]
        place: logins::Place,
        #[arg(long, default_value_t = 10_000)]
        people: usize,
    },
    /// Changes the members of a group with a large tree, at a running server whose limits allow it.
    Groups {
        #[command(flatten)]
        place: logins::Place,
        #[arg(long, default_value_t = 100_000)]
        files: usize,
        /// In the directory that is opened again.
        #[arg(long, default_value_t = 10_000)]
        entries: usize,
    },
    /// Logs people in on kept-alive connections to a running server whose limits allow it.
    Logins {
        #[command(flatten)]
        place: logins::Place,
        #[arg(long, default_value_t = 32)]
        connections: usize,
        #[arg(long, default_value_t = 10)]
        seconds: u64,
    },
}

fn main() -> Result<()> {
    match Cli::parse().what {
        What::Seal { mib, threads } => seal::run(mib, threads),
        What::Audit { events, callers, dir } => audit::run(events, callers, &dir),
        What::Decide { rounds } => decide::run(rounds),
        What::Members { place, people } => members::run(&place, people),
        What::Groups { place, files, entries } => groups::run(&place, files, entries),
        What::Logins { place, connections, seconds } => logins::run(&place, connections, seconds),
    }
}
