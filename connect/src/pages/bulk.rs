//! What was done to many at once: how far it is, what failed in it, and going on with what stopped.

use std::cmp::Ordering;
use std::time::Duration;

use askama::Template;
use axum::response::Response;
use serde::Serialize;
use ticrypt_api::bulk::{BulkItemView, BulkReadQuery, BulkReadReply, BulkView};
use ticrypt_client::{bulk, show};
use ticrypt_types::bulk::{BulkItemState, BulkState};
use ticrypt_types::{BulkId, Operation, Timestamp};

use super::vault::shown;
use super::{Inside, Visit};
use crate::desk::Office;
use crate::fields::Fields;
use crate::table::{self, Cell, Column, Filter, Row};
use crate::trouble::{Result, Trouble};
use crate::ui::{self, Action, Chrome, Done, Look, Tally};

/// What was resumed is often over by then, and is shown so.
const WAIT: Duration = Duration::from_secs(2);
/// What failed that a dialog tells; all of it is in `ticrypt bulk show`.
const TOLD: u32 = 200;

/// A row.
#[derive(Serialize)]
#[serde(transparent)]
struct Item(BulkView);

/// What was done, in words; what this program does not know yet by its name.
fn words(operation: &str) -> String {
    let known = Operation::ALL.iter().find(|known| known.name() == operation);
    let words = match known {
        Some(Operation::UserState) => "Change of accounts",
        Some(Operation::UserPermissions) => "Permissions of people",
        Some(Operation::ProfileApply) => "Applying a profile to people",
        Some(Operation::ProfileDelete) => "Deleting profiles",
        Some(Operation::CertificationSet) => "Certifying people",
        Some(Operation::CertificationExpire) => "Ending certifications",
        Some(Operation::TeamAdd) => "Adding people to a team",
        Some(Operation::TeamRemove) => "Taking people out of a team",
        Some(Operation::TeamManager) => "Managers of a team",
        Some(Operation::MemberRemove) => "Taking people out of a project",
        Some(Operation::ProjectDelete) => "Deleting projects",
        Some(Operation::LevelDelete) => "Deleting security levels",
        Some(Operation::RequirementDelete) => "Deleting requirements",
        _ => return shown(operation),
    };
    words.to_owned()
}

impl Item {
    fn tone(&self) -> &'static str {
        match self.0.state {
            BulkState::Running => "blue",
            BulkState::Stopped => "yellow",
            BulkState::Done if self.0.failed > 0 => "red",
            BulkState::Done => "green",
        }
    }
}

impl Row for Item {
    const NOUN: &'static str = "bulk";
    const COLUMNS: &'static [Column] = &[
        Column::shown("operation", "What"),
        Column::shown("state", "State"),
        Column::shown("done", "Done").number(),
        Column::shown("failed", "Failed").number(),
        Column::shown("items", "Of").number(),
        Column::shown("started", "Started"),
        Column::hidden("changed", "Last result"),
        Column::hidden("name", "Operation"),
        Column::hidden("id", "Id"),
    ];
    const FILTERS: &'static [Filter] =
        &[Filter { key: "state", title: "State", values: &[("running", "Running"), ("stopped", "Stopped"), ("done", "Done")] }];

    fn key(&self) -> String {
        self.0.bulk.to_string()
    }

    fn cell(&self, column: &str) -> Cell {
        let view = &self.0;
        match column {
            "operation" => Cell::name("history", words(&view.operation)),
            "state" => Cell::badge(self.tone(), view.state.word()),
            "done" => Cell::Text(view.done.to_string()),
            "failed" => Cell::Text(view.failed.to_string()),
            "items" => Cell::Text(view.items.to_string()),
            "started" => Cell::Time(view.started_ms),
            "changed" => Cell::Time(view.changed_ms),
            "name" => Cell::Code(shown(&view.operation)),
            _ => Cell::Code(self.key()),
        }
    }

    fn order(&self, other: &Self, column: &str) -> Ordering {
        let (a, b) = (&self.0, &other.0);
        match column {
            "operation" => words(&a.operation).cmp(&words(&b.operation)),
            "state" => a.state.cmp(&b.state),
            "done" => a.done.cmp(&b.done),
            "failed" => a.failed.cmp(&b.failed),
            "items" => a.items.cmp(&b.items),
            "changed" => a.changed_ms.cmp(&b.changed_ms),
            "name" => a.operation.cmp(&b.operation),
            "id" => a.bulk.cmp(&b.bulk),
            _ => Ordering::Equal,
        }
        .then_with(|| a.started_ms.cmp(&b.started_ms))
    }

    fn has(&self, word: &str) -> bool {
        words(&self.0.operation).to_lowercase().contains(word) || self.0.operation.to_lowercase().contains(word)
    }

    fn filtered(&self, _: &str) -> &'static str {
        self.0.state.word()
    }

    fn traits(&self) -> String {
        let again = if self.0.failed > 0 && self.0.state != BulkState::Running { " again" } else { "" };
        format!("{}{again}", self.0.state)
    }
}

const ACTIONS: &[Action] = &[
    Action { title: "Details…", icon: "info-circle", dialog: "/bulk/details", one: true, first: true, ..Action::NONE },
    Action { title: "Resume", icon: "player-play", act: "/bulk/resume", needs: "stopped", ..Action::NONE },
    Action { title: "Resume with failed", icon: "refresh", act: "/bulk/again", needs: "again", ..Action::NONE },
    Action {
        title: "Stop",
        icon: "player-pause",
        act: "/bulk/stop",
        confirm: "Stop {n}? What is done stays done; the rest can be resumed.",
        needs: "running",
        ..Action::NONE
    },
];

#[derive(Template)]
#[template(path = "bulk.html")]
struct Page {
    chrome: Chrome,
    table: String,
}

/// `GET /bulk`.
pub async fn page(Visit(office): Visit) -> Result<Response> {
    let all = bulk::list(office.session()).await?;
    let look = Look {
        one: "bulk action",
        many: "bulk actions",
        sort: "-started",
        empty_icon: "history",
        empty: "No bulk actions",
        empty_hint: "What you do to several people or things at once is listed here.",
        actions: ACTIONS,
        ..Look::PLAIN
    };
    let table = ui::table(&office, all.into_iter().map(Item).collect(), &look)?;
    ui::html(&Page { chrome: Chrome::new(&office, "/bulk"), table })
}

async fn selected(office: &Office, fields: &Fields) -> Result<Vec<BulkId>> {
    let chosen = table::selection(&office.sheets, fields).await?;
    chosen.iter().map(|key| key.parse().map_err(|_| Trouble::invalid("this is not a bulk action; load the page again"))).collect()
}

/// One request that failed.
struct Failure {
    about: String,
    message: String,
}

#[derive(Template)]
#[template(path = "bulk_details.html")]
struct Details {
    title: String,
    facts: Vec<(&'static str, String)>,
    failures: Vec<Failure>,
    /// Failures that are not told.
    more: u64,
}

/// `POST /bulk/details`: how far it is, and what failed.
pub async fn details(Inside(office): Inside, fields: Fields) -> Result<Response> {
    let chosen = selected(&office, &fields).await?;
    let [id] = chosen.as_slice() else { return Err(Trouble::invalid("choose one bulk action for this")) };
    let query = BulkReadQuery { from: 0, state: Some(BulkItemState::Failed), limit: Some(TOLD) };
    let BulkReadReply { view, items, .. } = bulk::read(office.session(), *id, &query).await?;
    let about = bulk::about(office.session(), &items).await?;
    let failure = |(item, about): (&BulkItemView, String)| Failure {
        about,
        message: shown(item.message.as_deref().or(item.code.as_deref()).unwrap_or_default()),
    };
    let mut facts = vec![
        ("State", view.state.to_string()),
        ("Done", format!("{} of {}", view.done, view.items)),
        ("Failed", view.failed.to_string()),
        ("Started", show::time(view.started_ms)),
    ];
    if view.changed_ms != Timestamp::ABSENT {
        facts.push(("Last result", show::time(view.changed_ms)));
    }
    ui::html(&Details {
        title: words(&view.operation),
        facts,
        more: view.failed.saturating_sub(items.len() as u64),
        failures: items.iter().zip(about).map(failure).collect(),
    })
}

async fn resumed(office: &Office, fields: &Fields, failed: bool) -> Result<Done> {
    let session = office.session();
    let (mut tally, mut running) = (Tally::default(), Vec::new());
    for id in selected(office, fields).await? {
        let result = bulk::resume(session, id, failed).await;
        if let Ok(view) = &result {
            running.push(view.bulk);
        }
        tally.take(&id.to_string(), result);
    }
    // How it ends shows in its row, whichever way.
    let follow = async {
        for id in running {
            let _ = bulk::follow(session, id, &|_| ()).await;
        }
    };
    let _ = tokio::time::timeout(WAIT, follow).await;
    Ok(tally.told("Resumed", "bulk action", "bulk actions"))
}

/// `POST /bulk/resume`: what is open.
pub async fn resume(Inside(office): Inside, fields: Fields) -> Result<Done> {
    resumed(&office, &fields, false).await
}

/// `POST /bulk/again`: what failed as well.
pub async fn again(Inside(office): Inside, fields: Fields) -> Result<Done> {
    resumed(&office, &fields, true).await
}

/// `POST /bulk/stop`.
pub async fn stop(Inside(office): Inside, fields: Fields) -> Result<Done> {
    let mut tally = Tally::default();
    for id in selected(&office, &fields).await? {
        tally.take(&id.to_string(), bulk::stop(office.session(), id).await);
    }
    Ok(tally.told("Stopped", "bulk action", "bulk actions"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operations_are_told_in_words() {
        assert_eq!(words("team.add"), "Adding people to a team");
        assert_eq!(words("of.tomorrow"), "of.tomorrow");
    }
}
