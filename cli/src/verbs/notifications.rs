//! `ticrypt notifications`: what you were told.

use clap::{Args, Subcommand};
use serde::Serialize;
use ticrypt_client::Session;
use ticrypt_client::events::{self, Notification};
use ticrypt_types::NotificationKind;
use ticrypt_types::name::Harmless;

use crate::context::Context;

/// Lists the newest notifications, the newest last; a star marks those not read. With --json and --follow, one object on each line.
#[derive(Debug, Args)]
pub struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
    /// Print the unread ones, then each as it comes, until interrupted
    #[arg(long)]
    follow: bool,
    /// How many of the newest
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    count: u32,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Mark notifications as read
    Read {
        /// All up to this number; all there are if absent
        #[arg(value_name = "NUMBER")]
        up_to: Option<u64>,
    },
}

#[derive(Serialize)]
struct Shown {
    #[serde(flatten)]
    notification: Notification,
    /// Of the other side, if this device knows them.
    name: Option<String>,
    unread: bool,
}

pub async fn run(arguments: Arguments, context: &Context) -> anyhow::Result<()> {
    let session = context.session().await?;
    match arguments.command {
        Some(Command::Read { up_to }) => read(&session, up_to, context).await,
        None if arguments.follow => follow(&session, arguments.count, context).await,
        None => list(&session, arguments.count, context).await,
    }
}

async fn list(session: &Session, count: u32, context: &Context) -> anyhow::Result<()> {
    let page = events::list(&session.transport, count, None).await?;
    let shown = page.notifications.into_iter().rev().map(|notification| show(session, notification, page.read));
    let shown = shown.collect::<anyhow::Result<Vec<Shown>>>()?;
    context.output.table(&shown, &["", "NUMBER", "TIME", "WHAT", "WHO", "NODE"], row)?;
    if page.unread > 0 {
        context.output.hint(&format!("{} unread; `ticrypt notifications read` marks them as read.", page.unread));
    }
    Ok(())
}

async fn follow(session: &Session, count: u32, context: &Context) -> anyhow::Result<()> {
    let page = events::list(&session.transport, count, None).await?;
    let mut following = events::follow(&session.transport, Some(page.newest));
    for notification in page.notifications.into_iter().rev().filter(|notification| notification.sequence > page.read) {
        print(&show(session, notification, page.read)?, context)?;
    }
    loop {
        let notification = following.next().await?;
        print(&show(session, notification, page.read)?, context)?;
    }
}

async fn read(session: &Session, up_to: Option<u64>, context: &Context) -> anyhow::Result<()> {
    let up_to = match up_to {
        Some(up_to) => up_to,
        None => events::list(&session.transport, 1, None).await?.newest,
    };
    let unread = events::mark_read(&session.transport, up_to).await?;
    context.output.hint(&format!("{unread} unread."));
    Ok(())
}

fn show(session: &Session, notification: Notification, read: u64) -> anyhow::Result<Shown> {
    let pin = notification.user.map(|user| session.users.pins().get(user)).transpose()?.flatten();
    Ok(Shown { unread: notification.sequence > read, name: pin.map(|pin| pin.name.to_string()), notification })
}

fn row(shown: &Shown) -> Vec<String> {
    let Shown { notification, name, unread } = shown;
    let absent = || "-".to_owned();
    let who = name.clone().or_else(|| notification.user.map(|user| user.to_string()));
    vec![
        if *unread { "*" } else { " " }.to_owned(),
        notification.sequence.to_string(),
        notification.at_ms.to_string(),
        words(notification).to_owned(),
        who.unwrap_or_else(absent),
        notification.node.map_or_else(absent, |node| node.to_string()),
    ]
}

fn print(shown: &Shown, context: &Context) -> anyhow::Result<()> {
    context.output.line(shown, |out| writeln!(out, "{}", Harmless(row(shown).join("  ").trim_end())))
}

fn words(notification: &Notification) -> &'static str {
    let is_own = notification.user.is_none();
    match notification.kind {
        NotificationKind::ShareGiven => "shared with you",
        NotificationKind::ShareEnded => "a share with you ended",
        NotificationKind::GivenShareEnded => "a share you gave ended",
        NotificationKind::AccountActivated => "your account was activated",
        NotificationKind::RankChanged => "your rank changed",
        NotificationKind::RegistrationWaiting => "waits for activation",
        NotificationKind::GroupJoined => "added you to a group",
        NotificationKind::GroupLeft => "you are in a group no longer",
        NotificationKind::GroupOwned => "you own a group now",
        NotificationKind::TeamJoined => "added you to a team",
        NotificationKind::TeamLeft => "took you out of a team",
        NotificationKind::JoinAsked => "asks to join a project; see `ticrypt project requests`",
        NotificationKind::JoinRefused => "your request to join was refused; see `ticrypt project requests --mine`",
        NotificationKind::JoinGranted => "you are in the project you asked for; log in again to work in it",
        NotificationKind::MembershipEnding if is_own => "your membership of a project ends soon; ask one of its managers",
        NotificationKind::MembershipEnding => "their membership of a project ends soon; see `ticrypt access ending`",
        NotificationKind::CertificationEnding => "a certification of yours ends soon; see `ticrypt access ending`",
        NotificationKind::ShareEnding => "a share with you ends soon",
        NotificationKind::GivenShareEnding => "a share you gave ends soon; see `ticrypt access ending`",
    }
}
