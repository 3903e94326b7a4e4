//! The bell: what the server tells this person, followed as it comes and told to every open page.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use serde::Serialize;
use ticrypt_client::events::{self, Notification};
use ticrypt_client::group::Groups;
use ticrypt_client::{ClientError, Kind, Session};
use ticrypt_types::name::Harmless;
use ticrypt_types::{GroupId, NotificationKind};
use tokio_util::sync::CancellationToken;

use crate::hub::Hub;
use crate::pages::page_of_group as page_of;

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
            let groups = names_of_groups(&session, std::slice::from_ref(&notification)).await;
            hub.tell("notice", &Notice { text: &words(&session, &notification, &groups), unread, kind: notification.kind });
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

/// The groups one is in by what they are called, if any of the notifications is of a group.
pub async fn names_of_groups(session: &Arc<Session>, notifications: &[Notification]) -> HashMap<GroupId, String> {
    if notifications.iter().all(|notification| notification.group.is_none()) {
        return HashMap::new();
    }
    let groups = Groups::new(Arc::clone(session));
    // Without them it is told what happened, and not where.
    let own = groups.list().await.unwrap_or_default();
    let pins = session.users.pins().all().unwrap_or_default();
    let unknown = notifications.iter().filter(|notification| notification.user.is_some_and(|user| !pins.contains_key(&user)));
    for group in unknown.filter_map(|notification| notification.group).collect::<HashSet<_>>() {
        if own.iter().any(|view| view.group == group && !view.locked) {
            // Who signed its heads is pinned by that; who cannot be is somebody.
            let _ = groups.load(group).await;
        }
    }
    own.into_iter().map(|view| (view.group, Harmless(view.name.as_str()).to_string())).collect()
}

/// As a person reads it. Names of people come from this device's pins, never from the server.
pub fn words(session: &Session, notification: &Notification, groups: &HashMap<GroupId, String>) -> String {
    let pins = session.users.pins().all().unwrap_or_default();
    let known = notification.user.and_then(|user| pins.get(&user)).map(|pin| pin.name.to_string());
    let who = known.unwrap_or_else(|| "Somebody".to_owned());
    let group = notification.group.and_then(|group| groups.get(&group));
    let of_group = || group.map_or_else(|| "a group".to_owned(), |name| format!("the group “{name}”"));
    match notification.kind {
        NotificationKind::ShareGiven => format!("{who} shares something with you."),
        NotificationKind::ShareEnded => format!("{who} does not share something with you any more."),
        NotificationKind::GivenShareEnded => format!("{who} gave up or lost something you shared."),
        NotificationKind::AccountActivated => "Your account was activated.".to_owned(),
        NotificationKind::RankChanged => "Your rank was changed; log in again to see what you may do now.".to_owned(),
        NotificationKind::RegistrationWaiting => "Somebody registered and waits to be activated.".to_owned(),
        NotificationKind::GroupJoined => format!("{who} added you to {}.", of_group()),
        NotificationKind::GroupLeft => "You are no longer in a group.".to_owned(),
        NotificationKind::GroupOwned => format!("{who} made you the owner of {}.", of_group()),
        NotificationKind::TeamJoined => "You were added to a team.".to_owned(),
        NotificationKind::TeamLeft => "You were taken out of a team.".to_owned(),
        NotificationKind::JoinAsked => format!("{who} asks to join a project."),
        NotificationKind::JoinRefused => "Your request to join a project was refused.".to_owned(),
        NotificationKind::JoinGranted => "You are in the project you asked for; log in again to work in it.".to_owned(),
        NotificationKind::MembershipEnding if notification.user.is_none() => "Your membership of a project ends soon.".to_owned(),
        NotificationKind::MembershipEnding => format!("{who} will soon be in a project no longer."),
        NotificationKind::CertificationEnding => "A certification of yours ends soon.".to_owned(),
        NotificationKind::ShareEnding => format!("What {who} shares with you ends soon."),
        NotificationKind::GivenShareEnding => format!("What you share with {who} ends soon."),
    }
}

/// Where a notification leads.
pub fn place(notification: &Notification) -> String {
    let page = match notification.kind {
        NotificationKind::ShareGiven | NotificationKind::ShareEnded | NotificationKind::ShareEnding => "/shared",
        NotificationKind::GivenShareEnded | NotificationKind::GivenShareEnding => "/sharing",
        NotificationKind::JoinAsked | NotificationKind::JoinRefused => "/requests",
        NotificationKind::JoinGranted | NotificationKind::MembershipEnding => "/projects",
        NotificationKind::CertificationEnding => "/certifications",
        NotificationKind::AccountActivated | NotificationKind::RankChanged => "/account",
        NotificationKind::TeamJoined | NotificationKind::TeamLeft => "/teams",
        NotificationKind::RegistrationWaiting => "/people?f.state=pending",
        NotificationKind::GroupJoined | NotificationKind::GroupLeft | NotificationKind::GroupOwned => {
            return notification.group.map_or_else(|| "/groups".to_owned(), page_of);
        }
    };
    page.to_owned()
}
