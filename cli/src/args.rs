//! The command line as it is typed.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use crate::{vault, verbs};

const EXIT_CODES: &str = "\
Exit codes:
  0  done
  1  broken: something failed that should not, something shown does not verify, or only a part was done
  2  invalid: the arguments, a file or a value is not what it should be
  3  refused: the rules, a wrong passphrase or fingerprint, or no login
  4  not found, or hidden
  5  unavailable: the server or another program did not answer; try again

Environment:
  TICRYPT_HOME        as --home
  TICRYPT_DEPLOYMENT  as --deployment
  TICRYPT_PASSPHRASE  the passphrase, for scripts; other programs of this user may read it
  TICRYPT_LOG         what to log to standard error, e.g. `debug`";

/// End-to-end encrypted storage: what you store is opened by you and those you share with, never by the server.
#[derive(Debug, Parser)]
#[command(name = "ticrypt", version, after_help = EXIT_CODES, disable_help_subcommand = true, max_term_width = 110)]
pub struct Arguments {
    #[command(flatten)]
    pub global: Global,
    #[command(subcommand)]
    pub command: Command,
}

/// Options of every verb.
#[derive(Clone, Debug, Args)]
pub struct Global {
    /// Where this device keeps keys, pins and what it has seen [default: $XDG_DATA_HOME/ticrypt]
    #[arg(long, global = true, env = "TICRYPT_HOME", hide_env = true, value_name = "DIR")]
    pub home: Option<PathBuf>,
    /// Id or name of the deployment, if it is not the default one
    #[arg(long, global = true, env = "TICRYPT_DEPLOYMENT", hide_env = true, value_name = "NAME")]
    pub deployment: Option<String>,
    /// Print JSON to standard output, for programs
    #[arg(long, global = true)]
    pub json: bool,
    /// Print results only: no progress, no hints
    #[arg(short, long, global = true)]
    pub quiet: bool,
    /// Log to standard error what is done; twice for more
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub verbose: u8,
    /// Read the passphrase from the first line of FILE instead of the terminal
    #[arg(long, global = true, value_name = "FILE")]
    pub passphrase_file: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Make, check and look after your key file
    #[command(subcommand)]
    Key(verbs::key::Command),
    /// Import and choose deployments (servers)
    #[command(subcommand)]
    Deployment(verbs::deployment::Command),
    /// Ask for an account
    Register(verbs::register::Arguments),
    /// Log in; the agent then holds your keys for a while
    Login(verbs::login::Arguments),
    /// End the session on the server and forget the keys
    Logout,
    /// Forget the keys now; the session on the server ends by itself
    Lock,
    /// Show who is logged in, as the server sees it
    Whoami,
    /// Show deployment, agent, session and logs
    Status,
    /// Find people, compare fingerprints; administrators: accounts
    #[command(subcommand)]
    Users(verbs::users::Command),
    /// Groups: people who share a key and a directory
    #[command(subcommand)]
    Group(verbs::group::Command),
    /// Teams: people who share quotas and see one another
    #[command(subcommand)]
    Team(verbs::team::Command),
    /// Projects: tags with members, and what they ask for
    #[command(subcommand)]
    Project(verbs::project::Command),
    /// Who reaches a thing in the vault, and why
    #[command(subcommand)]
    Access(verbs::access::Command),
    /// Show or change the projects you work in, on every device
    Work(verbs::work::Arguments),
    /// Sets of requirements that a project may ask for
    #[command(subcommand)]
    Level(verbs::level::Command),
    /// What people are certified for
    #[command(subcommand)]
    Requirement(verbs::requirement::Command),
    /// Sets of permissions with names, and giving them to people
    #[command(subcommand)]
    Profile(verbs::profile::Command),
    /// What you did to many at once, and how far it is
    #[command(subcommand)]
    Bulk(verbs::bulk::Command),
    /// Who is certified for what
    #[command(subcommand)]
    Certification(verbs::certification::Command),
    /// List and end your sessions
    #[command(subcommand)]
    Sessions(verbs::sessions::Command),
    /// List and follow what you were told: shares, your account, who waits for activation
    Notifications(verbs::notifications::Arguments),
    /// Read, verify and export the audit log
    #[command(subcommand)]
    Audit(verbs::audit::Command),
    /// Run the agent in the foreground (`login` starts one by itself)
    Agent(verbs::agent::Arguments),
    /// Print what a shell needs to complete commands, people and paths in the vault
    Completion(verbs::completion::Arguments),
    /// Print the manual page, or write all of them to a directory
    Man(verbs::man::Arguments),
    #[command(flatten)]
    Vault(vault::Command),
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Arguments::command().debug_assert();
    }
}
