//! `ticrypt completion`: what a shell needs in order to ask this program for completions.

use std::io::Write;

use clap::{Args, ValueEnum};
use clap_complete::env::{Bash, Elvish, EnvCompleter, Fish, Powershell, Zsh};

use crate::context::Context;

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Shell {
    Bash,
    Zsh,
    Fish,
    Elvish,
    Powershell,
}

/// For bash, add to `~/.bashrc`: `source <(ticrypt completion bash)`.
#[derive(Debug, Args)]
pub struct Arguments {
    shell: Shell,
}

pub fn run(arguments: &Arguments, _context: &Context) -> anyhow::Result<()> {
    let completer: &dyn EnvCompleter = match arguments.shell {
        Shell::Bash => &Bash,
        Shell::Zsh => &Zsh,
        Shell::Fish => &Fish,
        Shell::Elvish => &Elvish,
        Shell::Powershell => &Powershell,
    };
    let mut script = Vec::new();
    completer.write_registration("COMPLETE", "ticrypt", "ticrypt", "ticrypt", &mut script)?;
    std::io::stdout().write_all(&script)?;
    Ok(())
}
