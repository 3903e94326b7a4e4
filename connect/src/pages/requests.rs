//! Requests to join projects (decision 23): one's own with what came of them, and those one may answer. Taking in is a signed head like any other.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use askama::Template;
use axum::response::Response;
use serde::Serialize;
use ticrypt_api::join::JoinView;
use ticrypt_client::project::join::{self, Requests};
use ticrypt_client::project::{self, Admission, Projects, Terms};
use ticrypt_types::{JoinState, MemberRole, ProjectId, Restrictions, UserId};

use super::members::told;
use super::vault::shown;
use super::{Inside, Visit};
use crate::desk::Office;
use crate::fields::Fields;
use crate::table::{self, Cell, Column, Filter, Row};
use crate::trouble::{Result, Trouble};
use crate::ui::{self, Action, Chrome, Done, Look, Tally};

/// A row.
#[derive(Serialize)]
struct Item {
    #[serde(flatten)]
    view: JoinView,
    /// By its path; of one that one does not see, its id.
    project: String,
    own: bool,
}

impl Item {
    fn state(&self) -> (&'static str, &'static str) {
        match self.view.state {
            JoinState::Open => ("blue", "open"),
            JoinState::Refused => ("red", "refused"),
            JoinState::Withdrawn => ("secondary", "withdrawn"),
        }
    }
}

impl Row for Item {
    const NOUN: &'static str = "request";
    const COLUMNS: &'static [Column] = &[
        Column::shown("person", "Who asks"),
        Column::shown("project", "Project"),
        Column::shown("state", "State"),
        Column::shown("message", "Message"),
        Column::shown("reason", "Answer"),
        Column::shown("asked", "Asked"),
        Column::hidden("closed", "Closed"),
    ];
    const FILTERS: &'static [Filter] = &[
        Filter { key: "whose", title: "Whose", values: &[("own", "Yours"), ("others", "To answer")] },
        Filter { key: "state", title: "State", values: &[("open", "Open"), ("refused", "Refused"), ("withdrawn", "Withdrawn")] },
    ];

    fn key(&self) -> String {
        format!("{} {}", self.view.project, self.view.user)
    }

    fn cell(&self, column: &str) -> Cell {
        match column {
            "person" => Cell::name("user", if self.own { "you".to_owned() } else { self.view.name.to_string() }),
            "project" => Cell::Text(self.project.clone()),
            "state" => {
                let (tone, word) = self.state();
                Cell::badge(tone, word)
            }
            "message" => Cell::Text(shown(&self.view.message)),
            "reason" => Cell::Text(self.view.reason.as_deref().map(shown).unwrap_or_default()),
            "closed" => self.view.closed_ms.map_or_else(|| Cell::Text(String::new()), Cell::Time),
            _ => Cell::Time(self.view.asked_ms),
        }
    }

    fn order(&self, other: &Self, column: &str) -> Ordering {
        match column {
            "person" => (!self.own, &self.view.name).cmp(&(!other.own, &other.view.name)),
            "project" => self.project.cmp(&other.project),
            "state" => self.view.state.word().cmp(other.view.state.word()),
            "message" => self.view.message.cmp(&other.view.message),
            "reason" => self.view.reason.cmp(&other.view.reason),
            "closed" => self.view.closed_ms.cmp(&other.view.closed_ms),
            _ => Ordering::Equal,
        }
        .then_with(|| self.view.asked_ms.cmp(&other.view.asked_ms))
    }

    fn has(&self, word: &str) -> bool {
        [self.view.name.as_str(), &self.project, &self.view.message].iter().any(|text| text.to_lowercase().contains(word))
    }

    fn filtered(&self, filter: &str) -> &'static str {
        match filter {
            "whose" if self.own => "own",
            "whose" => "others",
            _ => self.state().1,
        }
    }

    fn traits(&self) -> String {
        match (self.own, self.view.state) {
            (true, JoinState::Open) => "mine".to_owned(),
            (false, JoinState::Open) => "theirs".to_owned(),
            _ => String::new(),
        }
    }
}

const ACTIONS: &[Action] = &[
    Action { title: "Take in", icon: "user-plus", act: "/requests/accept", confirm: ACCEPTED, needs: "theirs", ..Action::NONE },
    Action { title: "Refuse…", icon: "x", dialog: "/requests/refuse-dialog", needs: "theirs", danger: true, ..Action::NONE },
    Action { title: "Withdraw", icon: "x", act: "/requests/withdraw", confirm: "Withdraw {n}?", needs: "mine", ..Action::NONE },
];
const ACCEPTED: &str = "Take in {n}? They come in as users, into the projects above too; change their terms among the members.";

#[derive(Template)]
#[template(path = "requests.html")]
struct Page {
    chrome: Chrome,
    table: String,
}

async fn rows(office: &Office) -> Result<Vec<Item>> {
    let session = office.session();
    let projects = Projects::load(session).await?;
    let path = |view: &JoinView| projects.get(view.project).map_or_else(|| view.project.to_string(), |seen| shown(&projects.path(seen)));
    let of = |views: Vec<JoinView>, own| views.into_iter().map(|view| Item { project: path(&view), view, own }).collect::<Vec<_>>();
    let mut rows = of(join::requests(session, Requests::Open(None)).await?, false);
    rows.extend(of(join::requests(session, Requests::Own).await?, true));
    Ok(rows)
}

/// `GET /requests`.
pub async fn page(Visit(office): Visit) -> Result<Response> {
    let look = Look {
        one: "request",
        many: "requests",
        sort: "-asked",
        empty_icon: "user-plus",
        empty: "No requests",
        empty_hint: "Who wants to be in a project that you manage stands here, and what you asked for yourself.",
        actions: ACTIONS,
        ..Look::PLAIN
    };
    let table = ui::table(&office, rows(&office).await?, &look)?;
    ui::html(&Page { chrome: Chrome::new(&office, "/requests"), table })
}

async fn selected(office: &Office, fields: &Fields) -> Result<Vec<Item>> {
    let keys = table::selection(&office.sheets, fields).await?;
    let chosen: Vec<Item> = rows(office).await?.into_iter().filter(|item| keys.contains(&item.key())).collect();
    if chosen.is_empty() { Err(Trouble::not_found("these requests were answered meanwhile; load the page again")) } else { Ok(chosen) }
}

#[derive(Template)]
#[template(path = "request_form.html")]
struct Form {
    /// Of those to be refused; none where one asks oneself.
    keys: Vec<String>,
    title: String,
}

/// `POST /requests/ask-dialog`.
pub async fn ask_dialog(Inside(_): Inside) -> Result<Response> {
    ui::html(&Form { keys: Vec::new(), title: "Ask to join a project".to_owned() })
}

/// `POST /requests/ask`.
pub async fn ask(Inside(office): Inside, fields: Fields) -> Result<Done> {
    let session = office.session();
    let project = join::named(&Projects::load(session).await?, fields.need("project")?.trim())?;
    join::ask(session, project, fields.get("message").unwrap_or_default().trim().to_owned()).await?;
    let toast = Some("Asked. Whoever may add people is told, if there is such a project; what they say comes here.".to_owned());
    Ok(Done { toast, reload: Some("page"), ..Done::default() })
}

/// `POST /requests/refuse-dialog`.
pub async fn refuse_dialog(Inside(office): Inside, fields: Fields) -> Result<Response> {
    let chosen = selected(&office, &fields).await?;
    let title = match chosen.as_slice() {
        [one] => format!("Refuse {}", one.view.name),
        some => format!("Refuse {}", ui::count(some.len(), "request", "requests")),
    };
    ui::html(&Form { keys: chosen.iter().map(Item::key).collect(), title })
}

/// `POST /requests/refuse`.
pub async fn refuse(Inside(office): Inside, fields: Fields) -> Result<Done> {
    let (reason, mut tally) = (fields.need("reason")?.to_owned(), Tally::default());
    for Item { view, .. } in selected(&office, &fields).await? {
        tally.take(view.name.as_str(), join::refuse(office.session(), view.project, view.user, reason.clone()).await);
    }
    Ok(tally.told("Refused", "request", "requests"))
}

/// `POST /requests/accept`: as users, without an end; those of one project by heads of theirs together.
pub async fn accept(Inside(office): Inside, fields: Fields) -> Result<Done> {
    let session = office.session();
    let projects = Projects::load(session).await?;
    let terms = Terms { role: MemberRole::User, restrictions: Restrictions::NONE, expires_ms: None, update: true };
    let (mut tally, mut asking) = (Tally::default(), BTreeMap::<ProjectId, Vec<(UserId, String)>>::new());
    for Item { view, .. } in selected(&office, &fields).await? {
        match join::asker(session, &view).await {
            Ok(user) => asking.entry(view.project).or_default().push((user, view.name.to_string())),
            Err(error) => tally.take::<()>(view.name.as_str(), Err(error)),
        }
    }
    for (project, people) in asking {
        let users: Vec<UserId> = people.iter().map(|(user, _)| *user).collect();
        let admission = Admission { project, terms, above: true };
        let refused = project::admit(session, &projects, &admission, &users, &|_| ()).await?;
        tally.done += people.len() - refused.len();
        tally.notes.extend(told(&people, &refused));
    }
    Ok(tally.told("Took in", "person", "people"))
}

/// `POST /requests/withdraw`.
pub async fn withdraw(Inside(office): Inside, fields: Fields) -> Result<Done> {
    let mut tally = Tally::default();
    for item in selected(&office, &fields).await? {
        tally.take(&item.project, join::withdraw(office.session(), item.view.project).await);
    }
    Ok(tally.told("Withdrew", "request", "requests"))
}
