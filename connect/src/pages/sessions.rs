//! One's own sessions, and ending them.

use std::cmp::Ordering;

use axum::response::Response;
use serde::Serialize;
use ticrypt_api::session::SessionView;
use ticrypt_client::{Kind, account};

use super::people::Page;
use super::{Inside, Visit};
use crate::fields::Fields;
use crate::table::{self, Cell, Column, Row};
use crate::trouble::{Result, Trouble};
use crate::ui::{self, Action, Chrome, Done, Look};

#[derive(Serialize)]
#[serde(transparent)]
struct Item(SessionView);

impl Row for Item {
    const NOUN: &'static str = "sessions";
    const COLUMNS: &'static [Column] = &[
        Column::shown("client", "Where"),
        Column::shown("current", "Here"),
        Column::shown("seen", "Last seen"),
        Column::shown("created", "Begun"),
        Column::shown("expires", "Ends"),
        Column::hidden("id", "Id"),
    ];

    fn key(&self) -> String {
        self.0.session.to_string()
    }

    fn cell(&self, column: &str) -> Cell {
        match column {
            "client" => Cell::name("device-desktop", super::vault::shown(&self.0.client)),
            "current" if self.0.current => Cell::badge("primary", "this one"),
            "current" => Cell::Text(String::new()),
            "seen" => Cell::Time(self.0.last_seen_ms),
            "created" => Cell::Time(self.0.created_ms),
            "expires" => Cell::Time(self.0.expires_ms),
            _ => Cell::Code(self.0.session.to_string()),
        }
    }

    fn order(&self, other: &Self, column: &str) -> Ordering {
        let (a, b) = (&self.0, &other.0);
        match column {
            "client" => a.client.cmp(&b.client),
            "current" => a.current.cmp(&b.current),
            "created" => a.created_ms.cmp(&b.created_ms),
            "expires" => a.expires_ms.cmp(&b.expires_ms),
            _ => a.last_seen_ms.cmp(&b.last_seen_ms),
        }
    }

    fn has(&self, word: &str) -> bool {
        self.0.client.to_lowercase().contains(word)
    }
}

/// `GET /sessions`.
pub async fn page(Visit(office): Visit) -> Result<Response> {
    let sessions = account::sessions(&office.session().transport).await?;
    let rows: Vec<_> = sessions.into_iter().map(Item).collect();
    const ACTIONS: &[Action] = &[Action {
        title: "End",
        icon: "logout",
        act: "/sessions/end",
        confirm: "{n} sessions will end at once, with what runs in them.",
        key: "Delete",
        danger: true,
        ..Action::NONE
    }];
    let look = Look {
        one: "session",
        many: "sessions",
        sort: "-seen",
        empty_icon: "device-desktop",
        empty: "No sessions",
        empty_hint: "",
        actions: ACTIONS,
        ..Look::PLAIN
    };
    ui::html(&Page {
        chrome: Chrome::new(&office, "/sessions"),
        title: "Sessions",
        lede: "Where you are logged in. End what you do not recognise, then rotate your keys.",
        table: ui::table(&office, rows, &look)?,
    })
}

/// `POST /sessions/end`.
pub async fn end(Inside(office): Inside, fields: Fields) -> Result<Done> {
    let keys = table::selection(&office.sheets, &fields).await?;
    for key in &keys {
        let session = key.parse().map_err(|_| Trouble::invalid("this is not a session"))?;
        match account::end_session(&office.session().transport, session).await {
            // It ended by itself meanwhile.
            Err(error) if error.kind() == Kind::NotFound => {}
            other => other?,
        }
    }
    Ok(Done::rows(format!("Ended {}.", ui::count(keys.len(), "session", "sessions"))))
}
