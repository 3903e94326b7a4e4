//! The bell: what the server tells this person, followed as it comes and told to every open page.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use serde::Serialize;
use ticrypt_client::events::{self, Notification};
use ticrypt_client::{ClientError, Kind, Session};
use ticrypt_types::NotificationKind;
use tokio_util::sync::CancellationToken;

use crate::hub::Hub;

/// What a page is told.
#[derive(Serialize)]
struct Notice<'a> {
    text: &'a str,
    unread: u64,
    kind: NotificationKind,
}

/// Follows until the vault is locked or the session is over; says whether the server has ended it.
pub async fn follow(session: Arc<Session>, unread: Arc<AtomicU64>, hub: Arc<Hub>, open: CancellationToken) -> bool {
    let following = async {
        let page = events::list(&session.transport, 1, None).await?;
        unread.store(page.unread, Ordering::Relaxed);
        let mut follow = events::follow(&session.transport, Some(page.newest));
        loop {
            let notification = follow.next().await?;
            let unread = unread.fetch_add(1, Ordering::Relaxed) + 1;
            hub.tell("notice", &Notice { text: &words(&session, &notification), unread, kind: notification.kind });
        }
    };
    let ended: Result<(), ClientError> = tokio::select! {
        ended = following => ended,
        () = open.cancelled() => return false,
    };
    match ended {
        Err(error) if error.kind() == Kind::LoggedOut => true,
        Err(error) => {
            tracing::warn!(%error, "what the server tells is not followed any more");
            false
        }
        Ok(()) => false,
    }
}

/// As a person reads it. Names come from this device's pins, never from the server.
pub fn words(session: &Session, notification: &Notification) -> String {
    let pins = session.users.pins().all().unwrap_or_default();
    let known = notification.user.and_then(|user| pins.get(&user)).map(|pin| pin.name.to_string());
    let who = known.unwrap_or_else(|| "Somebody".to_owned());
    match notification.kind {
        NotificationKind::ShareGiven => format!("{who} shares something with you."),
        NotificationKind::ShareEnded => format!("{who} does not share something with you any more."),
        NotificationKind::GivenShareEnded => format!("{who} gave up or lost something you shared."),
        NotificationKind::AccountActivated => "Your account was activated.".to_owned(),
        NotificationKind::RankChanged => "Your rank was changed; log in again to see what you may do now.".to_owned(),
        NotificationKind::RegistrationWaiting => "Somebody registered and waits to be activated.".to_owned(),
        NotificationKind::GroupJoined => format!("{who} added you to a group."),
        NotificationKind::GroupLeft => "You are no longer in a group.".to_owned(),
        NotificationKind::GroupOwned => format!("{who} made you the owner of a group."),
    }
}

/// Where a notification leads.
pub fn place(kind: NotificationKind) -> &'static str {
    match kind {
        NotificationKind::ShareGiven | NotificationKind::ShareEnded => "/shared",
        NotificationKind::GivenShareEnded => "/sharing",
        NotificationKind::AccountActivated | NotificationKind::RankChanged => "/account",
        NotificationKind::RegistrationWaiting => "/people?f.state=pending",
        NotificationKind::GroupJoined | NotificationKind::GroupLeft | NotificationKind::GroupOwned => "/vault",
    }
}
