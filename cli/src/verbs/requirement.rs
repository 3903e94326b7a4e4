//! `ticrypt requirement`: what people are certified for.

use clap::{Args, Subcommand};
use ticrypt_api::certification::RequirementAbout;
use ticrypt_client::{certification, show, when};
use ticrypt_types::Title;

use crate::context::Context;

#[derive(Debug, Subcommand)]
pub enum Command {
    /// List all requirements
    List,
    /// Make a requirement
    Create(Create),
    /// Change a requirement; certifications that were given stay as they are
    Change(Change),
    /// Delete a requirement that no level asks for, with the certifications for it
    Delete { requirement: String },
}

#[derive(Debug, Args)]
pub struct Create {
    name: Title,
    #[command(flatten)]
    terms: Terms,
}

#[derive(Debug, Args)]
pub struct Change {
    requirement: String,
    #[arg(long)]
    name: Option<Title>,
    #[command(flatten)]
    terms: Terms,
}

#[derive(Debug, Args)]
struct Terms {
    /// What it takes to be certified
    #[arg(long, value_name = "TEXT")]
    description: Option<String>,
    /// A certification has to end
    #[arg(long, value_name = "YES|NO", num_args = 0..=1, default_missing_value = "true")]
    must_expire: Option<bool>,
    /// How long one lasts if nobody says, as `365d`
    #[arg(long, value_name = "TIME", value_parser = length)]
    default: Option<u64>,
    /// How long one may last
    #[arg(long, value_name = "TIME", value_parser = length)]
    maximum: Option<u64>,
}

fn length(text: &str) -> Result<u64, &'static str> {
    when::duration_ms(text).ok_or("a length of time, like `365d`, `12h` or `30m`")
}

pub async fn run(command: Command, context: &Context) -> anyhow::Result<()> {
    let session = context.session().await?;
    match command {
        Command::List => {
            let all = certification::requirements(&session).await?;
            context.output.table(&all, &["NAME", "EXPIRES", "DEFAULT", "MAXIMUM", "DESCRIPTION"], |one| {
                let about = &one.about;
                let expires = if about.must_expire { "must" } else { "may" };
                let (default, maximum) = (show::length(about.default_lifespan_ms), show::length(about.maximum_lifespan_ms));
                vec![about.name.to_string(), expires.to_owned(), default, maximum, about.description.clone()]
            })
        }
        Command::Create(Create { name, terms }) => {
            let about = RequirementAbout {
                name,
                description: terms.description.unwrap_or_default(),
                must_expire: terms.must_expire.unwrap_or(false),
                default_lifespan_ms: terms.default,
                maximum_lifespan_ms: terms.maximum,
            };
            let made = certification::set_requirement(&session, None, about).await?;
            context.output.result(&made, |out| writeln!(out, "{made}"))
        }
        Command::Change(Change { requirement, name, terms }) => {
            let before = certification::requirement(&session, &requirement).await?;
            let about = before.about.clone();
            let about = RequirementAbout {
                name: name.unwrap_or(about.name),
                description: terms.description.unwrap_or(about.description),
                must_expire: terms.must_expire.unwrap_or(about.must_expire),
                default_lifespan_ms: terms.default.or(about.default_lifespan_ms),
                maximum_lifespan_ms: terms.maximum.or(about.maximum_lifespan_ms),
            };
            certification::set_requirement(&session, Some(&before), about).await?;
            context.output.hint("Changed.");
            Ok(())
        }
        Command::Delete { requirement } => {
            let found = certification::requirement(&session, &requirement).await?;
            Ok(certification::delete_requirement(&session, found.requirement).await?)
        }
    }
}
