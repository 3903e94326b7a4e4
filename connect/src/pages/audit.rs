//! The audit log, for administrators: rows, each proven to be in it, and a button that verifies the whole.

use std::cmp::Ordering;
use std::collections::HashMap;
use std::sync::Arc;

use askama::Template;
use axum::response::Response;
use serde::{Serialize, Serializer};
use ticrypt_api::log::LogName;
use ticrypt_client::audit::{self, Row as Logged, id_text};
use ticrypt_types::{Timestamp, UserId};

use super::people::administrator;
use super::vault::shown;
use super::{Inside, Visit};
use crate::desk::Office;
use crate::fields::Fields;
use crate::table::{Cell, Column, Filter, Row};
use crate::trouble::{Result, Trouble};
use crate::ui::{self, Action, Chrome, Look};

/// Rows that are looked at, unless more are asked for.
const ROWS: u32 = 1_000;
const ROWS_MAX: u32 = 50_000;
/// A log with more is verified whole by the command line, which shows how far it is.
const WHOLE_MAX: u64 = 200_000;

struct Item {
    row: Logged,
    /// The name, where the account is known.
    actor: String,
}

impl Item {
    fn phase(&self) -> &'static str {
        self.row.event.phase.word()
    }

    fn outcome(&self) -> &str {
        self.row.event.outcome.as_deref().unwrap_or_default()
    }

    fn noun(&self) -> &str {
        self.row.event.operation.split('.').next().unwrap_or_default()
    }

    fn subjects(&self) -> String {
        self.row.event.subjects.iter().map(|id| id_text(id)).collect::<Vec<_>>().join(" ")
    }
}

#[derive(Serialize)]
struct Exported<'a> {
    index: u64,
    time: String,
    phase: &'static str,
    operation: &'a str,
    actor: Option<String>,
    actor_name: &'a str,
    outcome: Option<&'a str>,
    opening: Option<u64>,
    subjects: Vec<String>,
    detail: &'a [(String, String)],
    request: String,
}

impl Serialize for Item {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        let event = &self.row.event;
        let exported = Exported {
            index: self.row.index,
            time: Timestamp::from_millis(event.time_ms).to_string(),
            phase: self.phase(),
            operation: &event.operation,
            actor: event.actor.as_ref().map(|id| id_text(id)),
            actor_name: &self.actor,
            outcome: event.outcome.as_deref(),
            opening: event.opening,
            subjects: event.subjects.iter().map(|id| id_text(id)).collect(),
            detail: &event.detail,
            request: id_text(&event.request),
        };
        exported.serialize(serializer)
    }
}

impl Row for Item {
    const NOUN: &'static str = "audit";
    const COLUMNS: &'static [Column] = &[
        Column::shown("index", "Row").number(),
        Column::shown("time", "Time"),
        Column::shown("operation", "Operation"),
        Column::shown("actor", "Who"),
        Column::shown("phase", "Phase"),
        Column::shown("outcome", "Outcome"),
        Column::hidden("opening", "Opened by row").number(),
        Column::hidden("subjects", "Subjects"),
        Column::hidden("request", "Request"),
    ];
    const FILTERS: &'static [Filter] = &[
        Filter { key: "phase", title: "Phase", values: &[("opened", "Opened"), ("closed", "Closed"), ("fact", "Fact")] },
        Filter { key: "result", title: "Outcome", values: &[("ok", "Went through"), ("refused", "Did not")] },
    ];

    fn key(&self) -> String {
        self.row.index.to_string()
    }

    fn cell(&self, column: &str) -> Cell {
        let event = &self.row.event;
        match column {
            "index" => Cell::Text(self.row.index.to_string()),
            "time" => Cell::Time(Timestamp::from_millis(event.time_ms)),
            "operation" => Cell::Text(event.operation.clone()),
            "actor" => Cell::Text(self.actor.clone()),
            "phase" => Cell::Text(self.phase().to_owned()),
            "outcome" if self.outcome().is_empty() => Cell::Text(String::new()),
            "outcome" => Cell::badge(if self.outcome() == "done" { "green" } else { "yellow" }, self.outcome()),
            "opening" => Cell::Text(event.opening.map(|row| row.to_string()).unwrap_or_default()),
            "subjects" => Cell::Code(self.subjects()),
            _ => Cell::Code(id_text(&event.request)),
        }
    }

    fn order(&self, other: &Self, column: &str) -> Ordering {
        let (a, b) = (&self.row.event, &other.row.event);
        match column {
            "operation" => a.operation.cmp(&b.operation),
            "actor" => self.actor.cmp(&other.actor),
            "phase" => self.phase().cmp(other.phase()),
            "outcome" => a.outcome.cmp(&b.outcome),
            "time" => a.time_ms.cmp(&b.time_ms),
            _ => Ordering::Equal,
        }
        .then(self.row.index.cmp(&other.row.index))
    }

    fn has(&self, word: &str) -> bool {
        let event = &self.row.event;
        event.operation.contains(word)
            || self.actor.to_lowercase().contains(word)
            || self.outcome().contains(word)
            || event.subjects.iter().any(|id| id_text(id).contains(word))
            || id_text(&event.request).contains(word)
    }

    fn filtered(&self, filter: &str) -> &'static str {
        match filter {
            "phase" => self.phase(),
            _ if self.outcome().is_empty() => "",
            _ if self.outcome() == "done" => "ok",
            _ => "refused",
        }
    }

    fn traits(&self) -> String {
        self.noun().to_owned()
    }
}

const ACTIONS: &[Action] =
    &[Action { title: "Show the row", icon: "info-circle", dialog: "/audit/row", one: true, first: true, ..Action::NONE }];

#[derive(Template)]
#[template(path = "audit.html")]
struct Page {
    chrome: Chrome,
    size: u64,
    shown: usize,
    more: Option<u32>,
    table: String,
}

async fn load(office: &Office, count: u32) -> Result<(Vec<Item>, u64)> {
    let session = office.session();
    let size = session.mirrors.audit.update().await?.size;
    let (rows, now) = audit::rows(session, size.saturating_sub(count.into()), count).await?;
    let people: HashMap<UserId, String> =
        session.users.list(None).await?.into_iter().map(|view| (view.user, view.name.to_string())).collect();
    let name = |row: &Logged| {
        let actor = row.event.actor.as_ref()?;
        let known = UserId::try_from(**actor).ok().and_then(|id| people.get(&id).cloned());
        Some(known.unwrap_or_else(|| id_text(actor)))
    };
    Ok((rows.into_iter().map(|row| Item { actor: name(&row).unwrap_or_default(), row }).collect(), size.max(now)))
}

/// `GET /audit?rows=COUNT`: the newest.
pub async fn page(Visit(office): Visit, fields: Fields) -> Result<Response> {
    administrator(&office)?;
    let count = match fields.get("rows") {
        Some(_) => fields.parsed::<u32>("rows", "a number")?.clamp(1, ROWS_MAX),
        None => ROWS,
    };
    let (items, size) = load(&office, count).await?;
    let shown = items.len();
    let look = Look {
        one: "row",
        many: "rows",
        sort: "-index",
        empty_icon: "certificate",
        empty: "No rows",
        empty_hint: "No row fits what you look for.",
        actions: ACTIONS,
        ..Look::PLAIN
    };
    let more = (size > shown as u64 && count < ROWS_MAX).then(|| count.saturating_mul(10).min(ROWS_MAX));
    ui::html(&Page { chrome: Chrome::new(&office, "/audit"), size, shown, more, table: ui::table(&office, items, &look)? })
}

#[derive(Template)]
#[template(path = "audit_row.html")]
struct RowDialog {
    index: u64,
    facts: Vec<(String, String)>,
}

/// `POST /audit/row`: all there is of one row.
pub async fn row(Inside(office): Inside, fields: Fields) -> Result<Response> {
    let index: u64 = fields.parsed("key", "a row")?;
    let (rows, _) = audit::rows(office.session(), index, 1).await?;
    let row = rows.first().ok_or_else(|| Trouble::not_found("there is no such row"))?;
    let event = &row.event;
    let mut facts = vec![
        ("Time".to_owned(), Timestamp::from_millis(event.time_ms).to_string()),
        ("Operation".to_owned(), event.operation.clone()),
        ("Request".to_owned(), id_text(&event.request)),
    ];
    facts.extend(event.actor.as_ref().map(|actor| ("Who".to_owned(), id_text(actor))));
    facts.extend(event.outcome.as_ref().map(|outcome| ("Outcome".to_owned(), outcome.clone())));
    facts.extend(event.opening.map(|opening| ("Opened by row".to_owned(), opening.to_string())));
    facts.extend(event.detail.iter().map(|(name, value)| (shown(name), shown(value))));
    facts.extend(event.subjects.iter().map(|subject| ("Subject".to_owned(), id_text(subject))));
    ui::html(&RowDialog { index, facts })
}

#[derive(Template)]
#[template(path = "audit_verified.html")]
struct Verified {
    logs: Vec<LogVerified>,
    receipts: String,
    whole: bool,
}

struct LogVerified {
    name: &'static str,
    size: u64,
    witnessed: Option<u64>,
    root: String,
}

/// `POST /audit/verify`: both logs only grew, every receipt is found, and for administrators every entry is hashed and every signature checked.
pub async fn verify(Inside(office): Inside) -> Result<Response> {
    let session = office.session();
    let (keys, audit_log, settled) = audit::verify_online(session).await?;
    let mut logs = vec![
        LogVerified { name: "Keys", size: keys.size, witnessed: None, root: keys.root.to_base64() },
        LogVerified { name: "Audit", size: audit_log.size, witnessed: None, root: audit_log.root.to_base64() },
    ];
    let whole = ui::is_administrator(office.user.rank) && keys.size.max(audit_log.size) <= WHOLE_MAX;
    if whole {
        let folder = session.home.directory(session.deployment_id(), "verifying")?;
        let checked = check_whole(&office, &folder, &mut logs).await;
        let _ = std::fs::remove_dir_all(&folder);
        checked?;
    }
    let receipts = format!("{} found in the log, {} not published yet", settled.found, settled.waiting);
    ui::html(&Verified { logs, receipts, whole })
}

async fn check_whole(office: &Arc<Office>, folder: &std::path::Path, logs: &mut [LogVerified]) -> Result<()> {
    let session = office.session();
    for (log, verified) in [LogName::Keys, LogName::Audit].into_iter().zip(logs) {
        let directory = audit::directory_of(folder, log);
        audit::export(session, log, &directory, |_, _| {}).await?;
        let of = Arc::clone(office);
        let report = super::entry::blocking(move || {
            let session = of.session();
            audit::verify_offline(&session.deployment, log, &directory, Some(session.mirrors.of(log).dir()), None)
        })
        .await?;
        let (report, _) = report;
        verified.size = report.checkpoint.size;
        verified.witnessed = Some(report.witnessed_size);
        verified.root = report.checkpoint.root.to_base64();
    }
    Ok(())
}
