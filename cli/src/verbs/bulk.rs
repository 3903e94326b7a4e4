//! `ticrypt bulk`: what was done to many at once, and how far it is.

use clap::Subcommand;
use serde::Serialize;
use ticrypt_api::bulk::{BulkItemView, BulkReadQuery, BulkView};
use ticrypt_client::{ClientError, Session, bulk};
use ticrypt_types::BulkId;
use ticrypt_types::bulk::BulkItemState;

use crate::context::Context;

#[derive(Debug, Subcommand)]
pub enum Command {
    /// List your bulk actions, the newest first; the last hundred are kept
    List,
    /// Show how far one is, and what failed in it
    Show { bulk: BulkId },
    /// Go on with one that stopped, because you logged out or the server ended
    Resume {
        bulk: BulkId,
        /// Try again what failed, as well
        #[arg(long)]
        failed: bool,
    },
    /// Stop one; what is done stays done
    Stop { bulk: BulkId },
}

#[derive(Serialize)]
struct Shown<'a> {
    #[serde(flatten)]
    view: &'a BulkView,
    failures: &'a [BulkItemView],
}

pub async fn run(command: Command, context: &Context) -> anyhow::Result<()> {
    let session = context.session().await?;
    match command {
        Command::List => list(&bulk::list(&session).await?, context),
        Command::Show { bulk } => show(bulk, &session, context).await,
        Command::Resume { bulk, failed } => {
            let view = bulk::resume(&session, bulk, failed).await?;
            let bar = context.output.count_bar(view.items, "doing");
            let followed = bulk::follow(&session, bulk, &|view| bar.set_position(view.done + view.failed)).await;
            bar.finish_and_clear();
            followed?;
            show(bulk, &session, context).await
        }
        Command::Stop { bulk } => {
            let view = bulk::stop(&session, bulk).await?;
            context.output.hint(&format!(
                "Stopped after {} of {}; `ticrypt bulk resume {bulk}` goes on.",
                view.done + view.failed,
                view.items
            ));
            Ok(())
        }
    }
}

fn list(bulks: &[BulkView], context: &Context) -> anyhow::Result<()> {
    if bulks.is_empty() {
        context.output.hint("Nothing was done to many at once yet.");
    }
    context.output.table(bulks, &["BULK", "OPERATION", "STATE", "DONE", "FAILED", "OF", "STARTED"], |view| {
        let numbers = [view.done, view.failed, view.items].map(|number| number.to_string());
        let about = [view.bulk.to_string(), view.operation.clone(), view.state.to_string()];
        about.into_iter().chain(numbers).chain([view.started_ms.to_string()]).collect()
    })
}

async fn show(id: BulkId, session: &Session, context: &Context) -> anyhow::Result<()> {
    let mut query = BulkReadQuery { from: 0, state: Some(BulkItemState::Failed), limit: None };
    let mut failures = Vec::new();
    let view = loop {
        let mut reply = bulk::read(session, id, &query).await?;
        failures.append(&mut reply.items);
        match reply.next {
            Some(next) => query.from = next,
            None => break reply.view,
        }
    };
    let mut fields = vec![
        ("operation", view.operation.clone()),
        ("state", view.state.to_string()),
        ("done", format!("{} of {}", view.done, view.items)),
        ("failed", view.failed.to_string()),
        ("started", view.started_ms.to_string()),
    ];
    for (item, about) in failures.iter().zip(bulk::about(session, &failures).await?) {
        fields.push(("failed", format!("{about}: {}", item.message.clone().unwrap_or_default())));
    }
    context.output.record(&Shown { view: &view, failures: &failures }, &fields)?;
    if view.failed > 0 {
        return Err(ClientError::refused("partly", format!("{} of {} failed; see above", view.failed, view.items)).into());
    }
    Ok(())
}
