//! One team: its people, what they hold of the vault together, and who looks after it.

use std::cmp::Ordering;

use askama::Template;
use axum::response::Response;
use serde::Serialize;
use ticrypt_api::team::{AssignmentView, TeamMemberView, TeamView};
use ticrypt_client::project::ALREADY_MEMBER;
use ticrypt_client::team::{self, Roll, Teams};
use ticrypt_client::{clock, show};
use ticrypt_types::{Timestamp, UserId, UserState};

use super::members::look_up;
use super::teams::{Rights, bytes, gone, id, standing};
use super::vault::{day, shown};
use super::{Inside, Visit};
use crate::desk::Office;
use crate::fields::Fields;
use crate::table::{self, Cell, Column, Filter, Row};
use crate::trouble::{Result, Trouble};
use crate::ui::{self, Action, Chrome, Done, Look, Tally};

/// A row: somebody in the team.
#[derive(Serialize)]
#[serde(transparent)]
struct Member(TeamMemberView);

impl Member {
    fn role(&self) -> &'static str {
        if self.0.manager { "manager" } else { "member" }
    }

    fn tone(&self) -> &'static str {
        match self.0.state {
            UserState::Pending => "yellow",
            UserState::Active => "green",
            UserState::Inactive => "secondary",
        }
    }
}

impl Row for Member {
    const NOUN: &'static str = "team-members";
    const COLUMNS: &'static [Column] = &[
        Column::shown("name", "Name"),
        Column::shown("role", "Role"),
        Column::shown("state", "State"),
        Column::shown("since", "Since"),
        Column::hidden("id", "Id"),
    ];
    const FILTERS: &'static [Filter] = &[
        Filter { key: "role", title: "Role", values: &[("manager", "Managers"), ("member", "Members")] },
        Filter { key: "state", title: "State", values: &[("pending", "Pending"), ("active", "Active"), ("inactive", "Inactive")] },
    ];

    fn key(&self) -> String {
        self.0.name.to_string()
    }

    fn cell(&self, column: &str) -> Cell {
        match column {
            "name" => Cell::name("user", self.0.name.to_string()),
            "role" => Cell::badge(if self.0.manager { "primary" } else { "secondary" }, self.role()),
            "state" => Cell::badge(self.tone(), self.0.state.word()),
            "since" => Cell::Time(self.0.since_ms),
            _ => Cell::Code(self.0.user.to_string()),
        }
    }

    fn order(&self, other: &Self, column: &str) -> Ordering {
        let (a, b) = (&self.0, &other.0);
        match column {
            "role" => b.manager.cmp(&a.manager),
            "state" => a.state.cmp(&b.state),
            "since" => a.since_ms.cmp(&b.since_ms),
            "id" => a.user.cmp(&b.user),
            _ => Ordering::Equal,
        }
        .then_with(|| a.name.cmp(&b.name))
    }

    fn has(&self, word: &str) -> bool {
        self.0.name.as_str().to_lowercase().contains(word)
    }

    fn filtered(&self, filter: &str) -> &'static str {
        if filter == "role" { self.role() } else { self.0.state.word() }
    }

    fn traits(&self) -> String {
        self.role().to_owned()
    }
}

const RUNNING: &[Action] = &[
    Action { title: "Make manager", icon: "user-check", act: "/teams/manager", needs: "member", ..Action::NONE },
    Action { title: "Make plain member", icon: "user", act: "/teams/plain", needs: "manager", ..Action::NONE },
    Action {
        title: "Take out",
        icon: "user-off",
        act: "/teams/remove",
        confirm: "Take {n} out? Whoever is in no other team loses access at once, until somebody takes them in again. What they stored stays.",
        key: "Delete",
        danger: true,
        ..Action::NONE
    },
];

/// How much of the vault quota is used. A page has no styles of its own, so a bar is drawn by its two numbers.
struct Gauge {
    text: String,
    /// Of a thousand.
    filled: Option<u64>,
}

impl Gauge {
    fn of(used: u64, quota: Option<u64>) -> Self {
        let text = match quota {
            Some(_) => format!("{} of {}", show::size(used), bytes(quota)),
            None => format!("{}, unlimited", show::size(used)),
        };
        let filled = quota.map(|quota| u128::from(used) * 1_000 / u128::from(quota.max(1)));
        Self { text, filled: filled.map(|filled| u64::try_from(filled).unwrap_or(1_000).min(1_000)) }
    }
}

/// A sub-admin who looks after the team.
struct Assigned {
    name: String,
    until: String,
    fields: String,
}

impl Assigned {
    fn of(view: &TeamView, one: &AssignmentView) -> Self {
        let until = match one.until_ms {
            None => String::new(),
            Some(until) if until.is_expired(clock::now()) => format!("ended {}", show::time(until)),
            Some(until) => format!("until {}", show::time(until)),
        };
        let fields = ui::fields_of(&[("team", &view.team.to_string()), ("user", &one.user.to_string())]);
        Self { name: one.name.to_string(), until, fields }
    }
}

#[derive(Template)]
#[template(path = "team.html")]
struct Page {
    chrome: Chrome,
    id: String,
    name: String,
    description: String,
    tone: &'static str,
    standing: &'static str,
    rights: Rights,
    vault: Gauge,
    assigned: Vec<Assigned>,
    table: String,
}

/// `GET /teams/members?team=ID`.
pub async fn page(Visit(office): Visit, fields: Fields) -> Result<Response> {
    let session = office.session();
    let teams = Teams::load(session).await?;
    let view = teams.get(id(&fields)?).ok_or_else(gone)?;
    let rights = Rights::of(&office.user, view);
    let Roll { members, vault_used_bytes } = team::members(session, view.team).await?;
    let look = Look {
        one: "member",
        many: "members",
        sort: "name",
        empty_icon: "users",
        empty: "Nobody is in this team",
        empty_hint: if rights.runs { "Add people by their user names." } else { "Whoever looks after it adds people." },
        actions: if rights.runs { RUNNING } else { &[] },
        ..Look::PLAIN
    };
    let (tone, standing) = standing(view, rights);
    ui::html(&Page {
        chrome: Chrome::new(&office, "/teams"),
        id: view.team.to_string(),
        name: shown(view.about.name.as_str()),
        description: shown(&view.about.description),
        tone,
        standing,
        rights,
        vault: Gauge::of(vault_used_bytes, view.quotas.vault_bytes),
        assigned: view.assigned.iter().map(|one| Assigned::of(view, one)).collect(),
        table: ui::table(&office, members.into_iter().map(Member).collect(), &look)?,
    })
}

/// People to add, or sub-admins to look after the team.
#[derive(Template)]
#[template(path = "team_people.html")]
struct Dialog {
    title: String,
    action: &'static str,
    button: &'static str,
    team: String,
    hint: &'static str,
    /// It may end by itself.
    ends: bool,
}

async fn view(office: &Office, fields: &Fields) -> Result<TeamView> {
    Teams::load(office.session()).await?.get(id(fields)?).cloned().ok_or_else(gone)
}

/// `POST /teams/add-dialog`.
pub async fn add_dialog(Inside(office): Inside, fields: Fields) -> Result<Response> {
    let view = view(&office, &fields).await?;
    ui::html(&Dialog {
        title: format!("Add people to {}", shown(view.about.name.as_str())),
        action: "/teams/add",
        button: "Add",
        team: view.team.to_string(),
        hint: "As many as you like, with commas or spaces between. They and the people of the team see one another.",
        ends: false,
    })
}

/// `POST /teams/assign-dialog`.
pub async fn assign_dialog(Inside(office): Inside, fields: Fields) -> Result<Response> {
    let view = view(&office, &fields).await?;
    ui::html(&Dialog {
        title: format!("Assign {}", shown(view.about.name.as_str())),
        action: "/teams/assign",
        button: "Assign",
        team: view.team.to_string(),
        hint: "Sub-admins: they look after the team and the accounts of its members. Assigned again, the end is changed.",
        ends: true,
    })
}

/// `POST /teams/add`: each by itself; who could not be added is told, and how many were in it already.
pub async fn add(Inside(office): Inside, fields: Fields) -> Result<Done> {
    let team = id(&fields)?;
    let mut tally = Tally::default();
    let (names, users) = look_up(office.session(), fields.need("people")?, &mut tally).await;
    let mut there = 0;
    for (name, result) in names.iter().zip(team::add_all(office.session(), team, &users, &|_| ()).await?) {
        match result {
            Err(error) if error.code() == ALREADY_MEMBER => there += 1,
            result => tally.take(name, result),
        }
    }
    let skipped = if there == 0 { String::new() } else { format!(" {} in it already.", ui::count(there, "was", "were")) };
    let toast = format!("Added {}.{skipped}", ui::count(tally.done, "person", "people"));
    Ok(Done { toast: (tally.done + there > 0).then_some(toast), ..tally.told("Added", "person", "people") })
}

/// `POST /teams/assign`: each by itself.
pub async fn assign(Inside(office): Inside, fields: Fields) -> Result<Done> {
    let (team, until) = (id(&fields)?, day(fields.get("until").unwrap_or_default())?);
    let until = (until != Timestamp::ABSENT).then_some(until);
    let mut tally = Tally::default();
    let (names, users) = look_up(office.session(), fields.need("people")?, &mut tally).await;
    for (name, user) in names.iter().zip(users) {
        tally.take(name, team::assign(office.session(), team, user, until).await);
    }
    Ok(tally.told("Assigned to", "sub-admin", "sub-admins"))
}

/// `POST /teams/unassign`.
pub async fn unassign(Inside(office): Inside, fields: Fields) -> Result<Done> {
    team::unassign(office.session(), id(&fields)?, fields.parsed("user", "a person")?).await?;
    Ok(Done::page("Ended."))
}

/// The selected members: their names, and who they are.
async fn selected(office: &Office, fields: &Fields) -> Result<(Vec<String>, Vec<UserId>)> {
    let keys = table::selection(&office.sheets, fields).await?;
    let Roll { members, .. } = team::members(office.session(), id(fields)?).await?;
    let chosen = members.into_iter().filter(|member| keys.iter().any(|key| *key == member.name.as_str()));
    let (names, users): (Vec<String>, Vec<UserId>) = chosen.map(|member| (member.name.to_string(), member.user)).unzip();
    if users.is_empty() { Err(Trouble::not_found("they are in this team no more; load the page again")) } else { Ok((names, users)) }
}

async fn set_managers(office: &Office, fields: &Fields, manager: bool) -> Result<Tally> {
    let (names, users) = selected(office, fields).await?;
    let mut tally = Tally::default();
    tally.take_all(&names, team::set_managers(office.session(), id(fields)?, &users, manager, &|_| ()).await?);
    Ok(tally)
}

/// `POST /teams/manager`.
pub async fn manager(Inside(office): Inside, fields: Fields) -> Result<Done> {
    Ok(set_managers(&office, &fields, true).await?.told("Made", "manager", "managers"))
}

/// `POST /teams/plain`: plain members again.
pub async fn plain(Inside(office): Inside, fields: Fields) -> Result<Done> {
    Ok(set_managers(&office, &fields, false).await?.told("Made", "plain member", "plain members"))
}

/// `POST /teams/remove`: each by itself.
pub async fn remove(Inside(office): Inside, fields: Fields) -> Result<Done> {
    let (session, team) = (office.session(), id(&fields)?);
    let (names, users) = selected(&office, &fields).await?;
    let mut tally = Tally::default();
    // Of one the server says whether it was their last team; a list of many tells only what failed.
    let ended = match (names.as_slice(), users.as_slice()) {
        ([name], [user]) => {
            let result = team::remove(session, team, *user).await;
            let ended = if matches!(result, Ok(true)) { "It was their last team: they have no access any more." } else { "" };
            tally.take(name, result);
            ended
        }
        _ => {
            tally.take_all(&names, team::remove_all(session, team, &users, &|_| ()).await?);
            "Whoever was in no other team has no access any more."
        }
    };
    let mut done = tally.told("Took out", "member", "members");
    done.toast = done.toast.map(|toast| if ended.is_empty() { toast } else { format!("{toast} {ended}") });
    Ok(done)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_is_never_more_than_full() {
        for (used, quota, text, filled) in [
            (0, Some(100 << 30), "0 B of 100.0 GiB", Some(0)),
            (50 << 30, Some(100 << 30), "50.0 GiB of 100.0 GiB", Some(500)),
            (u64::MAX, Some(1), "15.9 EiB of 1 B", Some(1_000)),
            (0, Some(0), "0 B of 0 B", Some(0)),
            (1, None, "1 B, unlimited", None),
        ] {
            let gauge = Gauge::of(used, quota);
            assert_eq!((gauge.text.as_str(), gauge.filled), (text, filled));
        }
    }
}
