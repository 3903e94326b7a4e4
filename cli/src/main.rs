//! The command line: thin verbs over `ticrypt-client`.
//!
//! ```text
//!   args ─▶ Context (home, deployment, session through the agent) ─▶ verbs/<verb>.rs, vault/<verb>.rs ─▶ Output (table or JSON)
//!                                                                                     └─ error ─▶ exit code
//! ```

mod args;
mod context;
mod exit;
mod output;
mod passphrase;
mod vault;
mod verbs;

use std::process::ExitCode;

use clap::{CommandFactory, FromArgMatches};

use args::{Arguments, Command};
use context::Context;
use output::Output;

fn main() -> ExitCode {
    // A shell that asks for completions gets them here; nothing else runs then.
    clap_complete::CompleteEnv::with_factory(Arguments::command).complete();
    let arguments = match Arguments::command().try_get_matches().and_then(|matches| Arguments::from_arg_matches(&matches)) {
        Ok(arguments) => arguments,
        Err(error) => {
            // Help and version are printed by clap and are no errors.
            let _ = error.print();
            return if error.use_stderr() { exit::Code::Invalid.into() } else { ExitCode::SUCCESS };
        }
    };
    start_logging(arguments.global.verbose);
    let output = Output::new(&arguments.global);
    match run(arguments, &output) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => exit::report(&error, &output),
    }
}

fn run(arguments: Arguments, output: &Output) -> anyhow::Result<()> {
    // Two threads: one for the network, one that seals and hashes meanwhile; blocking work has its own.
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let done = runtime.block_on(async {
        let context = Context::new(arguments.global, output.clone())?;
        dispatch(arguments.command, &context).await
    });
    // What still blocks has nobody waiting for it.
    runtime.shutdown_timeout(std::time::Duration::from_millis(200));
    done
}

async fn dispatch(command: Command, context: &Context) -> anyhow::Result<()> {
    match command {
        Command::Key(key) => verbs::key::run(key, context).await,
        Command::Deployment(deployment) => verbs::deployment::run(deployment, context).await,
        Command::Register(register) => verbs::register::run(register, context).await,
        Command::Login(login) => verbs::login::run(login, context).await,
        Command::Logout => verbs::logout::run(context).await,
        Command::Lock => verbs::lock::run(context).await,
        Command::Whoami => verbs::whoami::run(context).await,
        Command::Status => verbs::status::run(context).await,
        Command::Users(users) => verbs::users::run(users, context).await,
        Command::Access(access) => verbs::access::run(access, context).await,
        Command::Group(group) => verbs::group::run(group, context).await,
        Command::Team(team) => verbs::team::run(team, context).await,
        Command::Project(project) => verbs::project::run(project, context).await,
        Command::Profile(profile) => verbs::profile::run(profile, context).await,
        Command::Bulk(bulk) => verbs::bulk::run(bulk, context).await,
        Command::Work(work) => verbs::work::run(work, context).await,
        Command::Level(level) => verbs::level::run(level, context).await,
        Command::Requirement(requirement) => verbs::requirement::run(requirement, context).await,
        Command::Certification(certification) => verbs::certification::run(certification, context).await,
        Command::Sessions(sessions) => verbs::sessions::run(sessions, context).await,
        Command::Notifications(notifications) => verbs::notifications::run(notifications, context).await,
        Command::Audit(audit) => verbs::audit::run(audit, context).await,
        Command::Agent(agent) => verbs::agent::run(agent, context).await,
        Command::Completion(completion) => verbs::completion::run(&completion, context),
        Command::Man(man) => verbs::man::run(&man, context),
        Command::Vault(vault) => vault::run(vault, context).await,
    }
}

/// Diagnostics go to standard error: warnings, or what `TICRYPT_LOG` or `-v` ask for.
fn start_logging(verbose: u8) {
    let default = match verbose {
        0 => "warn",
        1 => "info,ticrypt=debug,ticrypt_client=debug",
        _ => "debug",
    };
    let filter = tracing_subscriber::EnvFilter::try_from_env("TICRYPT_LOG").unwrap_or_else(|_| default.into());
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_target(false).without_time().init();
}
