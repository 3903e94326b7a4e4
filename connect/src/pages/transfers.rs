//! Transfers: what is under way and what was, since the vault was unlocked.

use std::cmp::Ordering;

use askama::Template;
use axum::extract::{Path, State};
use axum::response::Response;
use serde::Serialize;

use super::{Inside, Visit};
use crate::Shared;
use crate::fields::Fields;
use crate::table::{self, Cell, Column, Filter, Row};
use crate::transfer::{Direction, Seen, State as JobState};
use crate::trouble::{Result, Trouble};
use crate::ui::{self, Action, Chrome, Done, Look};

#[derive(Serialize)]
struct Item {
    #[serde(flatten)]
    seen: Seen,
    notes: usize,
}

impl Item {
    fn words(&self) -> (&'static str, &'static str) {
        match self.seen.state {
            JobState::Running => ("blue", "running"),
            JobState::Paused => ("yellow", "paused"),
            JobState::Waiting => ("yellow", "waiting"),
            JobState::Done => ("green", "done"),
            JobState::Failed => ("red", "failed"),
            JobState::Cancelled => ("secondary", "cancelled"),
        }
    }
}

impl Row for Item {
    const NOUN: &'static str = "transfers";
    const COLUMNS: &'static [Column] = &[
        Column::shown("title", "What"),
        Column::shown("place", "Where"),
        Column::shown("state", "State"),
        Column::shown("done", "Done").number(),
        Column::shown("size", "Of").number(),
        Column::shown("started", "Begun"),
        Column::shown("message", "Note"),
    ];
    const FILTERS: &'static [Filter] =
        &[Filter { key: "direction", title: "Direction", values: &[("in", "Uploads"), ("out", "Downloads")] }];

    fn key(&self) -> String {
        self.seen.id.to_string()
    }

    fn cell(&self, column: &str) -> Cell {
        let seen = &self.seen;
        match column {
            "title" => Cell::name(if seen.direction == Direction::Upload { "upload" } else { "download" }, seen.title.clone()),
            "place" => Cell::Text(seen.place.clone()),
            "state" => {
                let (tone, text) = self.words();
                Cell::badge(tone, text)
            }
            "done" => Cell::Size(Some(seen.bytes)),
            "size" => Cell::Size(Some(seen.total_bytes)),
            "started" => Cell::Time(seen.started_ms),
            _ => Cell::Text(seen.message.clone().unwrap_or_else(|| match self.notes {
                0 => String::new(),
                notes => ui::count(notes, "note", "notes"),
            })),
        }
    }

    fn order(&self, other: &Self, column: &str) -> Ordering {
        let (a, b) = (&self.seen, &other.seen);
        match column {
            "title" => a.title.cmp(&b.title),
            "place" => a.place.cmp(&b.place),
            "state" => self.words().1.cmp(other.words().1),
            "done" => a.bytes.cmp(&b.bytes),
            "size" => a.total_bytes.cmp(&b.total_bytes),
            _ => a.started_ms.cmp(&b.started_ms),
        }
    }

    fn has(&self, word: &str) -> bool {
        self.seen.title.to_lowercase().contains(word) || self.seen.place.to_lowercase().contains(word)
    }

    fn filtered(&self, _: &str) -> &'static str {
        if self.seen.direction == Direction::Upload { "in" } else { "out" }
    }

    fn traits(&self) -> String {
        let seen = &self.seen;
        let traits = [
            (!seen.state.is_over(), "open"),
            (seen.state == JobState::Running, "running"),
            (seen.state == JobState::Paused, "paused"),
            (seen.again, "again"),
            (self.notes > 0, "notes"),
        ];
        traits.iter().filter(|(has, _)| *has).map(|(_, word)| *word).collect::<Vec<_>>().join(" ")
    }
}

const ACTIONS: &[Action] = &[
    Action { title: "Show notes", icon: "note", dialog: "/transfers/notes", one: true, needs: "notes", first: true, ..Action::NONE },
    Action { title: "Pause", icon: "player-pause", act: "/transfers/pause", needs: "running", ..Action::NONE },
    Action { title: "Resume", icon: "player-play", act: "/transfers/resume", needs: "paused", ..Action::NONE },
    Action { title: "Try again", icon: "refresh", act: "/transfers/resume", needs: "again", ..Action::NONE },
    Action { title: "Cancel", icon: "x", act: "/transfers/cancel", needs: "open", key: "Delete", danger: true, ..Action::NONE },
];

#[derive(Template)]
#[template(path = "transfers.html")]
struct Page {
    chrome: Chrome,
    table: String,
}

/// `GET /transfers`.
pub async fn page(Visit(office): Visit) -> Result<Response> {
    let items = office.transfers.list().into_iter().map(|job| Item { seen: job.seen(), notes: job.notes().len() });
    let rows: Vec<_> = items.collect();
    let look = Look {
        one: "transfer",
        many: "transfers",
        sort: "-started",
        empty_icon: "arrows-transfer-up",
        empty: "No transfers yet",
        empty_hint: "Uploads and downloads of this session are listed here.",
        actions: ACTIONS,
        ..Look::PLAIN
    };
    ui::html(&Page { chrome: Chrome::new(&office, "/transfers"), table: ui::table(&office, rows, &look)? })
}

/// `POST /transfers/clear`.
pub async fn clear(Inside(office): Inside) -> Result<Done> {
    office.transfers.clear();
    Ok(Done { reload: Some("page"), ..Done::default() })
}

/// `POST /transfers/{what}`: from the tray or the list. The page that hands over a file hears of it and stops or goes on.
pub async fn control(State(app): State<Shared>, Inside(office): Inside, Path(what): Path<String>, fields: Fields) -> Result<Done> {
    for key in table::selection(&office.sheets, &fields).await? {
        let job = office.transfers.find(key.parse().map_err(|_| Trouble::invalid("this is not a transfer"))?)?;
        match what.as_str() {
            "pause" => job.pause(),
            "resume" => job.resume(app.desk.busy()),
            "cancel" => job.stop(),
            _ => return Err(Trouble::invalid("a transfer can be paused, resumed and cancelled")),
        }
    }
    Ok(Done::default())
}

#[derive(Template)]
#[template(path = "transfer_notes.html")]
struct Notes {
    title: String,
    notes: Vec<String>,
}

/// `POST /transfers/notes`: the selected one's.
pub async fn notes(Inside(office): Inside, fields: Fields) -> Result<Response> {
    let chosen = table::selection(&office.sheets, &fields).await?;
    let [key] = chosen.as_slice() else { return Err(Trouble::invalid("choose one transfer")) };
    let job = office.transfers.find(key.parse().map_err(|_| Trouble::invalid("this is not a transfer"))?)?;
    ui::html(&Notes { title: job.title.clone(), notes: job.notes().iter().map(ToString::to_string).collect() })
}
