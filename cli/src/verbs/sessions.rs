//! `ticrypt sessions`: where you are logged in.

use clap::Subcommand;
use ticrypt_client::{ClientError, account};
use ticrypt_types::SessionId;

use crate::context::Context;

#[derive(Debug, Subcommand)]
pub enum Command {
    /// List your sessions
    List,
    /// End one, or all but this
    End {
        /// As listed
        #[arg(required_unless_present = "others")]
        session: Option<SessionId>,
        /// All but the one that asks
        #[arg(long, conflicts_with = "session")]
        others: bool,
    },
}

pub async fn run(command: Command, context: &Context) -> anyhow::Result<()> {
    let session = context.session().await?;
    let transport = &session.transport;
    match command {
        Command::List => {
            let sessions = account::sessions(transport).await?;
            context.output.table(&sessions, &["", "SESSION", "LAST SEEN", "EXPIRES", "CLIENT"], |row| {
                vec![
                    if row.current { "*" } else { " " }.to_owned(),
                    row.session.to_string(),
                    row.last_seen_ms.to_string(),
                    row.expires_ms.to_string(),
                    row.client.clone(),
                ]
            })
        }
        Command::End { session: Some(id), .. } => Ok(account::end_session(transport, id).await?),
        Command::End { session: None, .. } => {
            let mut ended = 0_usize;
            for other in account::sessions(transport).await?.into_iter().filter(|row| !row.current) {
                match account::end_session(transport, other.session).await {
                    // It ended by itself meanwhile.
                    Err(error) if error.kind() == ticrypt_client::Kind::NotFound => {}
                    other => other.map_err(|e: ClientError| e)?,
                }
                ended += 1;
            }
            context.output.hint(&format!("{ended} sessions ended."));
            Ok(())
        }
    }
}
