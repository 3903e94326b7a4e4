//! What this person was told, newest first; looking at it is having read it.

use std::sync::atomic::Ordering;

use askama::Template;
use axum::response::Response;
use ticrypt_client::{events, show};

use super::Inside;
use crate::notice;
use crate::trouble::Result;
use crate::ui;

/// Those that are shown; older ones are in `ticrypt notifications`.
const SHOWN: u32 = 50;

#[derive(Template)]
#[template(path = "notices.html")]
struct List {
    rows: Vec<Line>,
}

struct Line {
    text: String,
    at: String,
    href: String,
    is_new: bool,
}

/// `POST /notices`.
pub async fn list(Inside(office): Inside) -> Result<Response> {
    let session = office.session();
    let page = events::list(&session.transport, SHOWN, None).await?;
    let groups = notice::names_of_groups(session, &page.notifications).await;
    let line = |notification: &events::Notification| Line {
        text: notice::words(session, notification, &groups),
        at: show::time(notification.at_ms),
        href: notice::place(notification),
        is_new: notification.sequence > page.read,
    };
    let rows = page.notifications.iter().map(line).collect();
    if page.unread > 0 {
        let unread = events::mark_read(&session.transport, page.newest).await?;
        office.unread.store(unread, Ordering::Relaxed);
    }
    ui::html(&List { rows })
}
