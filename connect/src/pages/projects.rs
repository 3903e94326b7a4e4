//! Projects: the trees one sees, how one stands in each, and what their managers say of them.

use std::cmp::Ordering;

use askama::Template;
use axum::response::Response;
use serde::Serialize;
use ticrypt_api::certification::LevelView;
use ticrypt_api::project::{ProjectAbout, ProjectView};
use ticrypt_client::project::{self, Projects};
use ticrypt_client::{Session, certification};
use ticrypt_types::{LevelId, ProjectId, Timestamp, Title, UserName};

use super::vault::shown;
use super::{Inside, Visit};
use crate::desk::Office;
use crate::fields::Fields;
use crate::table::{self, Cell, Column, Filter, Row, Tag};
use crate::trouble::{Result, Trouble};
use crate::ui::{self, Action, Chrome, Done, Look, Tally};

/// What a tag is coloured like if nobody says.
const COLOUR: &str = "#6b7280";

/// A row: a project with the names on the way to it.
#[derive(Serialize)]
struct Project {
    path: String,
    #[serde(flatten)]
    view: ProjectView,
}

impl Project {
    /// A colour and a word for how one stands in it.
    fn state(&self) -> (&'static str, &'static str) {
        match &self.view.own {
            None => ("secondary", "no member"),
            Some(own) if own.missing.is_some() && own.working => ("red", "lost"),
            Some(own) if own.missing.as_deref() == Some("needs_login") => ("blue", "after a login"),
            Some(own) if own.missing.is_some() => ("yellow", "something is missing"),
            Some(own) if own.working => ("green", "working"),
            Some(_) => ("secondary", "ready"),
        }
    }

    fn role(&self) -> String {
        let Some(own) = &self.view.own else { return String::new() };
        let mut words = vec![own.role.to_string()];
        words.extend(own.restrictions.words().into_iter().map(|word| word.replace('-', " ")));
        words.join(", ")
    }
}

impl Row for Project {
    const NOUN: &'static str = "projects";
    const COLUMNS: &'static [Column] = &[
        Column::shown("name", "Project"),
        Column::shown("state", "You"),
        Column::shown("role", "Role"),
        Column::shown("advice", "What is missing"),
        Column::hidden("expires", "Until"),
        Column::hidden("created", "Made"),
        Column::hidden("id", "Id"),
    ];
    const FILTERS: &'static [Filter] = &[Filter {
        key: "state",
        title: "You",
        values: &[
            ("working", "Working"),
            ("ready", "Ready"),
            ("after a login", "After a login"),
            ("something is missing", "Something is missing"),
            ("lost", "Lost"),
            ("no member", "No member"),
        ],
    }];

    fn key(&self) -> String {
        self.view.project.to_string()
    }

    fn cell(&self, column: &str) -> Cell {
        let own = self.view.own.as_ref();
        match column {
            "name" => Cell::Name {
                icon: "list-tree",
                text: shown(&self.path),
                href: Some(format!("/projects/members?{}", ui::field("project", &self.key()))),
                marks: Vec::new(),
                tags: vec![Tag::of(&self.view)],
            },
            "state" => {
                let (tone, text) = self.state();
                Cell::badge(tone, text)
            }
            "role" => Cell::Text(self.role()),
            "advice" => Cell::Text(own.and_then(|own| own.advice.as_deref()).map(shown).unwrap_or_default()),
            "expires" => Cell::Time(own.and_then(|own| own.expires_ms).unwrap_or(Timestamp::ABSENT)),
            "created" => Cell::Time(self.view.created_ms),
            _ => Cell::Code(self.key()),
        }
    }

    fn order(&self, other: &Self, column: &str) -> Ordering {
        match column {
            "state" => self.state().1.cmp(other.state().1),
            "role" => self.role().cmp(&other.role()),
            "created" => self.view.created_ms.cmp(&other.view.created_ms),
            _ => Ordering::Equal,
        }
        .then_with(|| self.path.cmp(&other.path))
    }

    fn has(&self, word: &str) -> bool {
        self.path.to_lowercase().contains(word) || self.view.about.tag.as_str().to_lowercase().contains(word)
    }

    fn filtered(&self, _: &str) -> &'static str {
        self.state().1
    }

    fn traits(&self) -> String {
        match &self.view.own {
            Some(own) if own.manages && own.missing.is_none() => "manages ready".to_owned(),
            Some(own) if own.manages => "manages".to_owned(),
            Some(own) if own.missing.is_none() => "ready".to_owned(),
            _ => String::new(),
        }
    }
}

const ACTIONS: &[Action] = &[
    Action { title: "Work here", icon: "tag", act: "/projects/work", needs: "ready", ..Action::NONE },
    Action { title: "Add people…", icon: "user-plus", dialog: "/projects/add-dialog", needs: "manages", ..Action::NONE },
    Action { title: "New project below…", icon: "plus", dialog: "/projects/new-dialog", one: true, needs: "manages", ..Action::NONE },
    Action {
        title: "Change…", icon: "pencil", dialog: "/projects/change-dialog", one: true, needs: "manages", key: "F2", ..Action::NONE
    },
    Action {
        title: "Delete",
        icon: "trash",
        act: "/projects/delete",
        confirm: "Delete {n}? Only what tags nothing and has no project below it is deleted; its memberships go with it.",
        needs: "manages",
        key: "Delete",
        danger: true,
        ..Action::NONE
    },
];

#[derive(Template)]
#[template(path = "projects.html")]
struct Page {
    chrome: Chrome,
    table: String,
}

/// `GET /projects`.
pub async fn page(Visit(office): Visit) -> Result<Response> {
    let projects = Projects::load(office.session()).await?;
    let row = |(_, view): (usize, &ProjectView)| Project { path: projects.path(view), view: view.clone() };
    let rows: Vec<Project> = projects.in_order().into_iter().map(row).collect();
    let look = Look {
        one: "project",
        many: "projects",
        sort: "name",
        empty_icon: "list-tree",
        empty: "You are in no project",
        empty_hint: "A manager of one adds you; with the permission you make one yourself.",
        actions: ACTIONS,
        ..Look::PLAIN
    };
    ui::html(&Page { chrome: Chrome::new(&office, "/projects"), table: ui::table(&office, rows, &look)? })
}

/// What a form says of a project, or is filled with.
#[derive(Template)]
#[template(path = "project_form.html")]
struct Form {
    title: String,
    action: &'static str,
    button: &'static str,
    /// The project to change, or the one above a new one.
    project: Option<String>,
    name: String,
    tag: String,
    colour: String,
    description: String,
    /// Id, name, and whether it is the one.
    levels: Vec<(String, String, bool)>,
    /// Only of one that is there.
    pi: Option<String>,
}

fn levels(all: &[LevelView], chosen: Option<LevelId>) -> Vec<(String, String, bool)> {
    let one = |level: &LevelView| (level.level.to_string(), shown(level.about.name.as_str()), chosen == Some(level.level));
    all.iter().map(one).collect()
}

/// `POST /projects/new-dialog`: below the selected one, or a tree of its own.
pub async fn new_dialog(Inside(office): Inside, fields: Fields) -> Result<Response> {
    let projects = Projects::load(office.session()).await?;
    let above = match fields.get("key") {
        Some(key) => Some(projects.find(key)?),
        None => None,
    };
    ui::html(&Form {
        title: above.map_or_else(|| "New project".to_owned(), |view| format!("New project below {}", shown(&projects.path(view)))),
        action: "/projects/new",
        button: "Make the project",
        project: above.map(|view| view.project.to_string()),
        name: String::new(),
        tag: String::new(),
        colour: COLOUR.to_owned(),
        description: String::new(),
        levels: levels(&certification::levels(office.session()).await?, None),
        pi: None,
    })
}

fn about(fields: &Fields) -> Result<ProjectAbout> {
    let name: Title = fields.parsed("name", "a name")?;
    Ok(ProjectAbout {
        tag: if fields.is_set("tag") { fields.parsed("tag", "a tag: 1 to 24 characters")? } else { project::tag_of(&name)? },
        name,
        colour: fields.parsed("colour", "a colour like #1f77b4")?,
        description: fields.get("description").unwrap_or_default().trim().to_owned(),
        level: if fields.is_set("level") { Some(fields.parsed("level", "a level")?) } else { None },
    })
}

/// `POST /projects/new`.
pub async fn new(Inside(office): Inside, fields: Fields) -> Result<Done> {
    let parent = if fields.is_set("project") { Some(fields.parsed("project", "a project")?) } else { None };
    let about = about(&fields)?;
    let name = shown(about.name.as_str());
    project::create(office.session(), parent, about).await?;
    Ok(Done::page(format!("Made {name}. You work in it after your next login.")))
}

async fn selected(office: &Office, fields: &Fields) -> Result<Vec<ProjectId>> {
    let chosen = table::selection(&office.sheets, fields).await?;
    chosen.iter().map(|key| key.parse().map_err(|_| Trouble::invalid("this is not a project; load the page again"))).collect()
}

/// `POST /projects/change-dialog`.
pub async fn change_dialog(Inside(office): Inside, fields: Fields) -> Result<Response> {
    let projects = Projects::load(office.session()).await?;
    let chosen = selected(&office, &fields).await?;
    let [project] = chosen.as_slice() else { return Err(Trouble::invalid("choose one project for this")) };
    let view = projects.get(*project).ok_or_else(gone)?;
    ui::html(&Form {
        title: format!("Change {}", shown(&projects.path(view))),
        action: "/projects/change",
        button: "Change",
        project: Some(project.to_string()),
        name: view.about.name.to_string(),
        tag: view.about.tag.to_string(),
        colour: view.about.colour.to_string(),
        description: view.about.description.clone(),
        levels: levels(&certification::levels(office.session()).await?, view.about.level),
        pi: Some(pi_name(office.session(), view).await?),
    })
}

/// The principal investigator's name, as far as one may see members.
async fn pi_name(session: &Session, view: &ProjectView) -> Result<String> {
    let members = project::members(session, view.project).await?;
    Ok(members.into_iter().find(|member| member.is_pi).map(|member| member.name.to_string()).unwrap_or_default())
}

fn gone() -> Trouble {
    Trouble::not_found("that project is not there any more; load the page again")
}

/// `POST /projects/change`.
pub async fn change(Inside(office): Inside, fields: Fields) -> Result<Done> {
    let session = office.session();
    let projects = Projects::load(session).await?;
    let view = projects.get(fields.parsed("project", "a project")?).ok_or_else(gone)?;
    let pi = match fields.get("pi").map(str::trim).filter(|name| !name.is_empty()) {
        Some(name) => {
            let name: UserName = name.parse().map_err(|_| Trouble::invalid("this is not a user name; check it"))?;
            Some(session.users.lookup(&name).await?.user)
        }
        None => view.pi,
    };
    project::change(session, view, about(&fields)?, pi).await?;
    Ok(Done::page("Changed."))
}

/// `POST /projects/delete`: each by itself; what is not deleted says why.
pub async fn delete(Inside(office): Inside, fields: Fields) -> Result<Done> {
    let projects = Projects::load(office.session()).await?;
    let mut tally = Tally::default();
    // What is below goes first.
    let mut chosen = selected(&office, &fields).await?;
    chosen.sort_by_key(|project| std::cmp::Reverse(projects.get(*project).map(|view| projects.path(view))));
    for project in chosen {
        let name = projects.get(project).map_or_else(|| project.to_string(), |view| shown(&projects.path(view)));
        tally.take(&name, project::delete(office.session(), project).await);
    }
    Ok(tally.told("Deleted", "project", "projects"))
}

/// `POST /projects/work`.
pub async fn work(Inside(office): Inside, fields: Fields) -> Result<Done> {
    super::work::work_in(&office, selected(&office, &fields).await?).await
}
