//! Who is in a project, and on which terms.

use std::cmp::Ordering;

use askama::Template;
use axum::response::Response;
use serde::Serialize;
use ticrypt_api::project::{MemberRefused, MemberView, ProjectView};
use ticrypt_client::project::{self, ALREADY_MEMBER, Changes, Projects, Terms};
use ticrypt_client::{ClientError, Session};
use ticrypt_types::{MemberRole, ProjectId, Restrictions, Timestamp, UserId, UserName};

use super::vault::{day, shown};
use super::{Inside, Visit};
use crate::desk::Office;
use crate::fields::Fields;
use crate::table::{self, Cell, Column, Filter, Row, Tag};
use crate::trouble::{Result, Trouble};
use crate::ui::{self, Action, Chrome, Done, Look, Tally};

/// What may be withheld, by its word and as people read it.
const WITHHELD: [(&str, &str); 4] = [
    ("no-view", "Viewing, and all else with it"),
    ("no-download", "Downloading"),
    ("no-edit", "Changing"),
    ("no-transfer", "Moving data into virtual machines and out of them"),
];

#[derive(Serialize)]
struct Member(MemberView);

impl Member {
    fn restrictions(&self) -> String {
        self.0.restrictions.words().into_iter().map(|word| word.replace('-', " ")).collect::<Vec<_>>().join(", ")
    }

    fn role(&self) -> &'static str {
        match self.0.role {
            _ if self.0.withdrawn => "out",
            _ if self.0.is_pi => "principal investigator",
            MemberRole::Manager => "manager",
            MemberRole::User => "user",
        }
    }

    fn expires(&self) -> Timestamp {
        self.0.expires_ms.unwrap_or(Timestamp::ABSENT)
    }
}

impl Row for Member {
    const NOUN: &'static str = "members";
    const COLUMNS: &'static [Column] = &[
        Column::shown("name", "Name"),
        Column::shown("role", "Role"),
        Column::shown("restrictions", "Withheld"),
        Column::shown("expires", "Until"),
        Column::hidden("since", "Since"),
        Column::hidden("id", "Id"),
    ];
    const FILTERS: &'static [Filter] = &[Filter {
        key: "role",
        title: "Role",
        values: &[("user", "Users"), ("manager", "Managers"), ("principal investigator", "Principal investigator")],
    }];

    fn key(&self) -> String {
        self.0.name.to_string()
    }

    fn cell(&self, column: &str) -> Cell {
        match column {
            "name" => Cell::name("user", self.0.name.to_string()),
            "role" => Cell::badge(if self.0.role == MemberRole::Manager { "primary" } else { "secondary" }, self.role()),
            "restrictions" => Cell::Text(self.restrictions()),
            "expires" => Cell::Time(self.expires()),
            "since" => Cell::Time(self.0.since_ms),
            _ => Cell::Code(self.0.user.to_string()),
        }
    }

    fn order(&self, other: &Self, column: &str) -> Ordering {
        match column {
            "role" => self.role().cmp(other.role()),
            "restrictions" => self.restrictions().cmp(&other.restrictions()),
            "expires" => self.expires().cmp(&other.expires()),
            "since" => self.0.since_ms.cmp(&other.0.since_ms),
            _ => Ordering::Equal,
        }
        .then_with(|| self.0.name.cmp(&other.0.name))
    }

    fn has(&self, word: &str) -> bool {
        self.0.name.as_str().to_lowercase().contains(word)
    }

    fn filtered(&self, _: &str) -> &'static str {
        self.role()
    }
}

const MANAGING: &[Action] = &[
    Action { title: "Change…", icon: "pencil", dialog: "/projects/members/change-dialog", key: "F2", first: true, ..Action::NONE },
    Action { title: "What they reach", icon: "list-tree", act: "/reach/open", one: true, ..Action::NONE },
    Action {
        title: "Take out",
        icon: "user-off",
        act: "/projects/members/remove",
        confirm: "Take {n} out? What they have open is cut within a second, and projects below are suspended for them.",
        key: "Delete",
        danger: true,
        ..Action::NONE
    },
];

#[derive(Template)]
#[template(path = "members.html")]
struct Page {
    chrome: Chrome,
    project: String,
    name: String,
    tag: Tag,
    description: String,
    manages: bool,
    table: String,
}

fn id(fields: &Fields) -> Result<ProjectId> {
    fields.parsed("project", "a project")
}

/// `GET /projects/members?project=ID`.
pub async fn page(Visit(office): Visit, fields: Fields) -> Result<Response> {
    let projects = Projects::load(office.session()).await?;
    let view = projects.get(id(&fields)?).ok_or_else(gone)?;
    let members = project::members(office.session(), view.project).await?;
    let manages = view.own.as_ref().is_some_and(|own| own.manages);
    let look = Look {
        one: "member",
        many: "members",
        sort: "name",
        empty_icon: "users",
        empty: "Nobody to be seen",
        empty_hint: "Whoever runs the project sees its members; you see yourself.",
        actions: if manages { MANAGING } else { &[] },
        ..Look::PLAIN
    };
    ui::html(&Page {
        chrome: Chrome::new(&office, "/projects"),
        project: view.project.to_string(),
        name: shown(&projects.path(view)),
        tag: Tag::of(view),
        description: shown(&view.about.description),
        manages,
        table: ui::table(&office, members.into_iter().map(Member).collect(), &look)?,
    })
}

fn gone() -> Trouble {
    Trouble::not_found("that project is not there any more; load the page again")
}

/// On which terms, of people to come or of those selected.
#[derive(Template)]
#[template(path = "members_form.html")]
struct Form {
    title: String,
    action: &'static str,
    button: &'static str,
    projects: Vec<String>,
    /// Of members: who they are. Of people to come: nobody yet.
    names: Vec<String>,
    manager: bool,
    /// Word, how it reads, and whether it is withheld.
    withheld: Vec<(&'static str, &'static str, bool)>,
    until: String,
    /// There is a project above, in which they may not be.
    has_above: bool,
}

fn withheld(restrictions: Restrictions) -> Vec<(&'static str, &'static str, bool)> {
    let words = restrictions.words();
    WITHHELD.iter().map(|(word, reads)| (*word, *reads, words.contains(word))).collect()
}

/// The form for people to come into these projects.
fn adding(projects: &Projects, into: &[&ProjectView]) -> Result<Response> {
    let title = match into {
        [one] => format!("Add people to {}", shown(&projects.path(one))),
        several => format!("Add people to {}", ui::count(several.len(), "project", "projects")),
    };
    ui::html(&Form {
        title,
        action: "/projects/members/add",
        button: "Add",
        projects: into.iter().map(|view| view.project.to_string()).collect(),
        names: Vec::new(),
        manager: false,
        withheld: withheld(Restrictions::NONE),
        until: String::new(),
        has_above: into.iter().any(|view| view.parent.is_some()),
    })
}

/// `POST /projects/add-dialog`: to the selected projects, all on the same terms.
pub async fn add_to_dialog(Inside(office): Inside, fields: Fields) -> Result<Response> {
    let projects = Projects::load(office.session()).await?;
    let keys = table::selection(&office.sheets, &fields).await?;
    let into = keys.iter().map(|key| key.parse().ok().and_then(|id| projects.get(id)).ok_or_else(gone)).collect::<Result<Vec<_>>>()?;
    adding(&projects, &into)
}

/// `POST /projects/members/add-dialog`.
pub async fn add_dialog(Inside(office): Inside, fields: Fields) -> Result<Response> {
    let projects = Projects::load(office.session()).await?;
    let view = projects.get(id(&fields)?).ok_or_else(gone)?;
    adding(&projects, &[view])
}

/// What a form says of the terms.
fn terms(fields: &Fields) -> Result<(MemberRole, Restrictions, Option<Timestamp>)> {
    let role = if fields.get("role") == Some("manager") { MemberRole::Manager } else { MemberRole::User };
    let restrictions = Restrictions::from_words(fields.each("withheld"));
    let restrictions = restrictions.ok_or_else(|| Trouble::invalid("this cannot be withheld; load the page again"))?;
    let until = day(fields.get("until").unwrap_or_default())?;
    Ok((role, restrictions, (until != Timestamp::ABSENT).then_some(until)))
}

/// User names as people type them: with commas or white space between.
pub fn people(text: &str) -> impl Iterator<Item = &str> {
    text.split(|letter: char| letter == ',' || letter == ';' || letter.is_whitespace()).filter(|word| !word.is_empty())
}

/// People by their names as somebody typed them: names, and who they are. Who is not found is told.
pub async fn look_up(session: &Session, text: &str, tally: &mut Tally) -> (Vec<String>, Vec<UserId>) {
    let (mut names, mut users) = (Vec::new(), Vec::new());
    for word in people(text) {
        let found = async {
            let name: UserName = word.parse().map_err(|_| ClientError::invalid("this is not a user name; check it"))?;
            session.users.lookup(&name).await
        };
        match found.await {
            Ok(person) if users.contains(&person.user) => {}
            Ok(person) => {
                names.push(shown(word));
                users.push(person.user);
            }
            Err(error) => tally.take::<()>(&shown(word), Err(error)),
        }
    }
    (names, users)
}

/// `POST /projects/members/add`: each by itself; who could not be added is told.
pub async fn add(Inside(office): Inside, fields: Fields) -> Result<Done> {
    let session = office.session();
    let projects = Projects::load(session).await?;
    let (role, restrictions, expires_ms) = terms(&fields)?;
    let (update, above) = (fields.get("there") == Some("update"), fields.is_set("above"));
    let terms = Terms { role, restrictions, expires_ms, update };
    let into = fields.each("project").map(|id| id.parse().map_err(|_| gone())).collect::<Result<Vec<ProjectId>>>()?;
    let mut tally = Tally::default();
    let (names, users) = look_up(session, fields.need("people")?, &mut tally).await;
    let found: Vec<(UserId, String)> = users.iter().copied().zip(names).collect();
    let mut notes = tally.notes;
    let several = into.len() > 1;
    let (mut added, mut there) = (0, 0);
    for (project, admitted) in project::admit_to_each(session, &projects, &into, terms, above, &users, &|_| ()).await {
        let path = projects.get(project).filter(|_| several).map(|view| shown(&projects.path(view)));
        let refused = match (admitted, &path) {
            (Ok(refused), _) => refused,
            // Of several the others are done, or not, by themselves.
            (Err(error), Some(path)) => {
                notes.push(format!("{path}: {error}").into());
                continue;
            }
            (Err(error), None) => return Err(error.into()),
        };
        added += found.len() - refused.len();
        let (already, failed): (Vec<_>, Vec<_>) = refused.into_iter().partition(|one| one.code == ALREADY_MEMBER);
        there += already.len();
        notes.extend(told(&found, &failed).into_iter().map(|note| match &path {
            Some(path) => note.within(path),
            None => note,
        }));
    }
    let what = if several {
        format!("{} in {} projects", ui::count(added, "membership", "memberships"), into.len())
    } else {
        ui::count(added, "person", "people")
    };
    let skipped = if there == 0 { String::new() } else { format!(" {} in it already.", ui::count(there, "was", "were")) };
    let toast = Some(format!("Added {what}; it counts from their next login.{skipped}"));
    Ok(Done { toast, notes, reload: Some("page"), ..Done::default() })
}

/// Who was refused, by name, and why.
pub fn told(people: &[(UserId, String)], refused: &[MemberRefused]) -> Vec<ui::Note> {
    let name = |user| people.iter().find(|(one, _)| *one == user).map_or_else(String::new, |(_, name)| name.clone());
    refused.iter().map(|one| format!("{}: {}", name(one.user), one.message).into()).collect()
}

async fn selected(office: &Office, fields: &Fields, project: ProjectId) -> Result<Vec<MemberView>> {
    let keys = table::selection(&office.sheets, fields).await?;
    let members = project::members(office.session(), project).await?;
    let chosen: Vec<MemberView> = members.into_iter().filter(|member| keys.iter().any(|key| *key == member.name.as_str())).collect();
    if chosen.is_empty() { Err(Trouble::not_found("they are no members any more; load the page again")) } else { Ok(chosen) }
}

/// `POST /projects/members/change-dialog`.
pub async fn change_dialog(Inside(office): Inside, fields: Fields) -> Result<Response> {
    let project = id(&fields)?;
    let chosen = selected(&office, &fields, project).await?;
    let first = chosen.first().ok_or_else(gone)?;
    let who = if chosen.len() == 1 { first.name.to_string() } else { ui::count(chosen.len(), "member", "members") };
    ui::html(&Form {
        title: format!("Terms of {who}"),
        action: "/projects/members/change",
        button: "Change",
        projects: vec![project.to_string()],
        manager: first.role == MemberRole::Manager,
        withheld: withheld(first.restrictions),
        until: first.expires_ms.map(|at| at.to_string().chars().take(10).collect()).unwrap_or_default(),
        names: chosen.iter().map(|member| member.name.to_string()).collect(),
        has_above: false,
    })
}

/// What was done to the selected ones; who was refused is told.
fn done(chosen: &[MemberView], refused: &[MemberRefused], word: &str) -> Done {
    let names: Vec<(UserId, String)> = chosen.iter().map(|member| (member.user, member.name.to_string())).collect();
    Tally { done: chosen.len() - refused.len(), notes: told(&names, refused) }.told(word, "member", "members")
}

/// `POST /projects/members/change`.
pub async fn change(Inside(office): Inside, fields: Fields) -> Result<Done> {
    let (role, restrictions, expires_ms) = terms(&fields)?;
    let terms = Terms { role, restrictions, expires_ms, update: true };
    let project = id(&fields)?;
    let chosen = selected(&office, &fields, project).await?;
    let changes = Changes { set: chosen.iter().map(|member| (member.user, terms)).collect(), ..Changes::default() };
    let refused = project::change_members(office.session(), project, changes, &|_| ()).await?;
    Ok(done(&chosen, &refused, "Changed"))
}

/// `POST /projects/members/remove`.
pub async fn remove(Inside(office): Inside, fields: Fields) -> Result<Done> {
    let projects = Projects::load(office.session()).await?;
    let view = projects.get(id(&fields)?).ok_or_else(gone)?;
    let chosen = selected(&office, &fields, view.project).await?;
    let users: Vec<UserId> = chosen.iter().map(|member| member.user).collect();
    let refused = project::take_out(office.session(), view, &users, &|_| ()).await?;
    Ok(done(&chosen, &refused, "Took out"))
}
