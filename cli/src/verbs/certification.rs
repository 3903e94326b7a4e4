//! `ticrypt certification`: who is certified for what.

use clap::Subcommand;
use ticrypt_client::certification::{self, Whose};
use ticrypt_types::UserName;

use crate::context::Context;
use crate::verbs::each::{look_up, outcomes, report, users};
use crate::verbs::work::moment;

#[derive(Debug, Subcommand)]
pub enum Command {
    /// List your certifications, or everybody's
    List {
        /// Everybody's; takes the permission to certify
        #[arg(long)]
        all: bool,
    },
    /// Certify people, or renew it; yourself too, if you may certify
    Give {
        requirement: String,
        #[arg(required = true, value_name = "PERSON")]
        people: Vec<UserName>,
        /// When it ends, as `365d` or `2027-01-31` [default: as the requirement says]
        #[arg(long, value_name = "WHEN")]
        expires: Option<String>,
    },
    /// End certifications now
    Expire {
        requirement: String,
        #[arg(required = true, value_name = "PERSON")]
        people: Vec<UserName>,
    },
}

pub async fn run(command: Command, context: &Context) -> anyhow::Result<()> {
    let session = context.session().await?;
    match command {
        Command::List { all } => {
            let requirements = certification::requirements(&session).await?;
            let rows = certification::certifications(&session, all).await?;
            context.output.table(&rows, &["REQUIREMENT", "PERSON", "EXPIRES"], |row| {
                let found = requirements.iter().find(|one| one.requirement == row.requirement);
                let name = found.map_or_else(|| row.requirement.to_string(), |one| one.about.name.to_string());
                vec![name, row.name.to_string(), row.expires_ms.map_or_else(|| "never".to_owned(), |at| at.to_string())]
            })
        }
        Command::Give { requirement, people, expires } => {
            let requirement = certification::requirement(&session, &requirement).await?.requirement;
            let expires = expires.as_deref().map(moment).transpose()?;
            let found = look_up(&session, people).await;
            let whom: Vec<Whose> = users(&found).into_iter().map(|user| (requirement, user)).collect();
            let bar = context.output.count_bar(whom.len() as u64, "certifying");
            let results = certification::certify(&session, &whom, expires, &|done| bar.set_position(done)).await;
            bar.finish_and_clear();
            context.output.hint("It counts from their next login on.");
            report(outcomes(found, results?, "certified"), context)
        }
        Command::Expire { requirement, people } => {
            let requirement = certification::requirement(&session, &requirement).await?.requirement;
            let found = look_up(&session, people).await;
            let whose: Vec<Whose> = users(&found).into_iter().map(|user| (requirement, user)).collect();
            let bar = context.output.count_bar(whose.len() as u64, "ending");
            let results = certification::expire(&session, &whose, &|done| bar.set_position(done)).await;
            bar.finish_and_clear();
            report(outcomes(found, results?, "ended"), context)
        }
    }
}
