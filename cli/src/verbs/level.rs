//! `ticrypt level`: sets of requirements.

use clap::Subcommand;
use ticrypt_api::certification::LevelAbout;
use ticrypt_client::{Session, certification};
use ticrypt_types::{RequirementId, Title};

use crate::context::Context;

#[derive(Debug, Subcommand)]
pub enum Command {
    /// List all levels with what they ask for
    List,
    /// Make a level
    Create {
        name: Title,
        #[arg(long, value_name = "TEXT")]
        description: Option<String>,
        /// What it asks for
        #[arg(long, num_args = 1.., value_name = "REQUIREMENT")]
        require: Vec<String>,
    },
    /// Change a level; one more requirement counts at once, one less from everybody's next login on
    Change {
        level: String,
        #[arg(long)]
        name: Option<Title>,
        #[arg(long, value_name = "TEXT")]
        description: Option<String>,
        /// Ask for these as well
        #[arg(long, num_args = 1.., value_name = "REQUIREMENT")]
        require: Vec<String>,
        /// Ask for these no longer
        #[arg(long, num_args = 1.., value_name = "REQUIREMENT")]
        release: Vec<String>,
    },
    /// Delete a level that no project has
    Delete { level: String },
}

pub async fn run(command: Command, context: &Context) -> anyhow::Result<()> {
    let session = context.session().await?;
    match command {
        Command::List => list(&session, context).await,
        Command::Create { name, description, require } => {
            let requirements = ids(&session, &require).await?;
            let about = LevelAbout { name, description: description.unwrap_or_default(), requirements };
            let made = certification::set_level(&session, None, about).await?;
            context.output.result(&made, |out| writeln!(out, "{made}"))
        }
        Command::Change { level, name, description, require, release } => {
            let before = certification::level(&session, &level).await?;
            let (more, less) = (ids(&session, &require).await?, ids(&session, &release).await?);
            let about = before.about.clone();
            let mut requirements: Vec<RequirementId> = about.requirements.into_iter().chain(more).filter(|id| !less.contains(id)).collect();
            requirements.sort_unstable();
            requirements.dedup();
            let about =
                LevelAbout { name: name.unwrap_or(about.name), description: description.unwrap_or(about.description), requirements };
            certification::set_level(&session, Some(&before), about).await?;
            context.output.hint("Changed.");
            Ok(())
        }
        Command::Delete { level } => {
            let found = certification::level(&session, &level).await?;
            Ok(certification::delete_level(&session, found.level).await?)
        }
    }
}

async fn list(session: &Session, context: &Context) -> anyhow::Result<()> {
    let requirements = certification::requirements(session).await?;
    let levels = certification::levels(session).await?;
    let name = |id: &RequirementId| {
        let found = requirements.iter().find(|one| one.requirement == *id);
        found.map_or_else(|| id.to_string(), |one| one.about.name.to_string())
    };
    context.output.table(&levels, &["NAME", "ASKS FOR", "DESCRIPTION"], |level| {
        let asked: Vec<String> = level.about.requirements.iter().map(name).collect();
        vec![level.about.name.to_string(), asked.join(", "), level.about.description.clone()]
    })
}

async fn ids(session: &Session, names: &[String]) -> anyhow::Result<Vec<RequirementId>> {
    if names.is_empty() {
        return Ok(Vec::new());
    }
    let all = certification::requirements(session).await?;
    let of = |one: &ticrypt_api::certification::RequirementView| (one.requirement.to_string(), one.about.name.to_string());
    let found = names.iter().map(|text| certification::named(&all, text, "requirement", of).map(|one| one.requirement));
    Ok(found.collect::<Result<_, _>>()?)
}
