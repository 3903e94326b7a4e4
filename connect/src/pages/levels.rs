//! What people are certified for, and the levels made of that: mechanisms that administrators define.

use std::cmp::Ordering;
use std::collections::BTreeSet;

use askama::Template;
use axum::response::Response;
use serde::Serialize;
use ticrypt_api::certification::{LevelAbout, LevelView, RequirementAbout, RequirementView};
use ticrypt_client::{certification, show, when};
use ticrypt_types::{Permission, RequirementId};

use super::vault::shown;
use super::{Inside, Visit};
use crate::desk::Office;
use crate::fields::Fields;
use crate::table::{self, Cell, Column, Row};
use crate::trouble::{Result, Trouble};
use crate::ui::{self, Action, Chrome, Done, Look, Tally};

/// Both pages are for whoever defines what projects ask for; others see them and change nothing.
fn defines(office: &Office) -> bool {
    ticrypt_client::users::is_given(&office.user, Permission::ProjectAdministrate)
}

#[derive(Template)]
#[template(path = "levels.html")]
pub struct Page {
    pub chrome: Chrome,
    pub title: &'static str,
    pub lede: &'static str,
    /// Where a new one is made, by who may.
    pub new: Option<&'static str>,
    pub table: String,
}

#[derive(Serialize)]
struct Requirement(RequirementView);

impl Row for Requirement {
    const NOUN: &'static str = "requirements";
    const COLUMNS: &'static [Column] = &[
        Column::shown("name", "Requirement"),
        Column::shown("expires", "Ends"),
        Column::shown("default", "If nobody says"),
        Column::shown("maximum", "At most"),
        Column::shown("description", "Description"),
        Column::hidden("id", "Id"),
    ];

    fn key(&self) -> String {
        self.0.requirement.to_string()
    }

    fn cell(&self, column: &str) -> Cell {
        let about = &self.0.about;
        match column {
            "name" => Cell::name("certificate", shown(about.name.as_str())),
            "expires" => Cell::Text(if about.must_expire { "must" } else { "may" }.to_owned()),
            "default" => Cell::Text(show::length(about.default_lifespan_ms)),
            "maximum" => Cell::Text(show::length(about.maximum_lifespan_ms)),
            "description" => Cell::Text(shown(&about.description)),
            _ => Cell::Code(self.key()),
        }
    }

    fn order(&self, other: &Self, column: &str) -> Ordering {
        let (a, b) = (&self.0.about, &other.0.about);
        match column {
            "expires" => a.must_expire.cmp(&b.must_expire),
            "default" => a.default_lifespan_ms.cmp(&b.default_lifespan_ms),
            "maximum" => a.maximum_lifespan_ms.cmp(&b.maximum_lifespan_ms),
            _ => Ordering::Equal,
        }
        .then_with(|| a.name.cmp(&b.name))
    }

    fn has(&self, word: &str) -> bool {
        self.0.about.name.as_str().to_lowercase().contains(word)
    }
}

const REQUIREMENTS: &[Action] = &[
    Action { title: "Change…", icon: "pencil", dialog: "/requirements/dialog", one: true, key: "F2", first: true, ..Action::NONE },
    Action {
        title: "Delete",
        icon: "trash",
        act: "/requirements/delete",
        confirm: "Delete {n}, with the certifications for it? What a level asks for is not deleted.",
        key: "Delete",
        danger: true,
        ..Action::NONE
    },
];

/// `GET /requirements`.
pub async fn requirements(Visit(office): Visit) -> Result<Response> {
    let all = certification::requirements(office.session()).await?;
    let defines = defines(&office);
    let look = Look {
        one: "requirement",
        many: "requirements",
        sort: "name",
        empty_icon: "certificate",
        empty: "No requirements",
        empty_hint: "A requirement is something people are certified for: a training, an agreement.",
        actions: if defines { REQUIREMENTS } else { &[] },
        ..Look::PLAIN
    };
    ui::html(&Page {
        chrome: Chrome::new(&office, "/requirements"),
        title: "Requirements",
        lede: "What people are certified for. Levels ask for requirements, and projects have levels.",
        new: defines.then_some("/requirements/dialog"),
        table: ui::table(&office, all.into_iter().map(Requirement).collect(), &look)?,
    })
}

/// A requirement to make or to change.
#[derive(Template)]
#[template(path = "requirement_form.html")]
struct RequirementForm {
    id: Option<String>,
    name: String,
    description: String,
    must_expire: bool,
    default: String,
    maximum: String,
}

fn gone() -> Trouble {
    Trouble::not_found("that is not there any more; load the page again")
}

/// `POST /requirements/dialog`: of the selected one, or of a new one.
pub async fn requirement_dialog(Inside(office): Inside, fields: Fields) -> Result<Response> {
    let length = |ms: Option<u64>| ms.map(|ms| show::length(Some(ms))).unwrap_or_default();
    let Some(id) = fields.get("key") else {
        return ui::html(&RequirementForm {
            id: None,
            name: String::new(),
            description: String::new(),
            must_expire: true,
            default: "365d".to_owned(),
            maximum: String::new(),
        });
    };
    let RequirementView { about, requirement, .. } = certification::requirement(office.session(), id).await?;
    ui::html(&RequirementForm {
        id: Some(requirement.to_string()),
        name: about.name.to_string(),
        description: about.description,
        must_expire: about.must_expire,
        default: length(about.default_lifespan_ms),
        maximum: length(about.maximum_lifespan_ms),
    })
}

fn length(fields: &Fields, name: &str) -> Result<Option<u64>> {
    let text = fields.get(name).unwrap_or_default().trim();
    if text.is_empty() {
        return Ok(None);
    }
    let ms =
        when::duration_ms(text).ok_or_else(|| Trouble::invalid(format!("`{}` is not a length of time, like 365d or 12h", shown(text))))?;
    Ok(Some(ms))
}

/// `POST /requirements/set`.
pub async fn set_requirement(Inside(office): Inside, fields: Fields) -> Result<Done> {
    let session = office.session();
    let before = match fields.get("id").filter(|id| !id.is_empty()) {
        Some(id) => Some(certification::requirement(session, id).await?),
        None => None,
    };
    let about = RequirementAbout {
        name: fields.parsed("name", "a name")?,
        description: fields.get("description").unwrap_or_default().trim().to_owned(),
        must_expire: fields.is_set("must_expire"),
        default_lifespan_ms: length(&fields, "default")?,
        maximum_lifespan_ms: length(&fields, "maximum")?,
    };
    certification::set_requirement(session, before.as_ref(), about).await?;
    Ok(Done::page(if before.is_some() { "Changed. Certifications that were given stay as they are." } else { "Made." }))
}

/// `POST /requirements/delete`.
pub async fn delete_requirements(Inside(office): Inside, fields: Fields) -> Result<Done> {
    let session = office.session();
    let mut tally = Tally::default();
    for key in table::selection(&office.sheets, &fields).await? {
        let RequirementView { requirement, about, .. } = certification::requirement(session, &key).await?;
        tally.take(&shown(about.name.as_str()), certification::delete_requirement(session, requirement).await);
    }
    Ok(tally.told("Deleted", "requirement", "requirements"))
}

/// A row: a level with the names of what it asks for.
#[derive(Serialize)]
struct Level {
    asks: Vec<String>,
    #[serde(flatten)]
    view: LevelView,
}

impl Row for Level {
    const NOUN: &'static str = "levels";
    const COLUMNS: &'static [Column] = &[
        Column::shown("name", "Level"),
        Column::shown("asks", "Asks for"),
        Column::shown("description", "Description"),
        Column::hidden("id", "Id"),
    ];

    fn key(&self) -> String {
        self.view.level.to_string()
    }

    fn cell(&self, column: &str) -> Cell {
        match column {
            "name" => Cell::name("shield-check", shown(self.view.about.name.as_str())),
            "asks" => Cell::Text(self.asks.join(", ")),
            "description" => Cell::Text(shown(&self.view.about.description)),
            _ => Cell::Code(self.key()),
        }
    }

    fn order(&self, other: &Self, column: &str) -> Ordering {
        let asks = if column == "asks" { self.asks.cmp(&other.asks) } else { Ordering::Equal };
        asks.then_with(|| self.view.about.name.cmp(&other.view.about.name))
    }

    fn has(&self, word: &str) -> bool {
        self.view.about.name.as_str().to_lowercase().contains(word) || self.asks.iter().any(|name| name.to_lowercase().contains(word))
    }
}

const LEVELS: &[Action] = &[
    Action { title: "Change…", icon: "pencil", dialog: "/levels/dialog", one: true, key: "F2", first: true, ..Action::NONE },
    Action {
        title: "Delete",
        icon: "trash",
        act: "/levels/delete",
        confirm: "Delete {n}? What a project has is not deleted.",
        key: "Delete",
        danger: true,
        ..Action::NONE
    },
];

/// `GET /levels`.
pub async fn levels(Visit(office): Visit) -> Result<Response> {
    let requirements = certification::requirements(office.session()).await?;
    let name = |id: &RequirementId| {
        let found = requirements.iter().find(|one| one.requirement == *id);
        found.map_or_else(|| id.to_string(), |one| shown(one.about.name.as_str()))
    };
    let row = |view: LevelView| Level { asks: view.about.requirements.iter().map(name).collect(), view };
    let all = certification::levels(office.session()).await?;
    let defines = defines(&office);
    let look = Look {
        one: "level",
        many: "levels",
        sort: "name",
        empty_icon: "shield-check",
        empty: "No levels",
        empty_hint: "A level is a set of requirements that a project can ask for.",
        actions: if defines { LEVELS } else { &[] },
        ..Look::PLAIN
    };
    ui::html(&Page {
        chrome: Chrome::new(&office, "/levels"),
        title: "Security levels",
        lede: "What a project can ask for. To ask for more counts at once, for everybody who works in it; to ask for less, from the next login.",
        new: defines.then_some("/levels/dialog"),
        table: ui::table(&office, all.into_iter().map(row).collect(), &look)?,
    })
}

/// A level to make or to change.
#[derive(Template)]
#[template(path = "level_form.html")]
struct LevelForm {
    id: Option<String>,
    name: String,
    description: String,
    /// Id, name, and whether it is asked for.
    requirements: Vec<(String, String, bool)>,
}

/// `POST /levels/dialog`: of the selected one, or of a new one.
pub async fn level_dialog(Inside(office): Inside, fields: Fields) -> Result<Response> {
    let before = match fields.get("key") {
        Some(id) => Some(certification::level(office.session(), id).await?),
        None => None,
    };
    let asked: BTreeSet<RequirementId> = before.iter().flat_map(|level| level.about.requirements.iter().copied()).collect();
    let all = certification::requirements(office.session()).await?;
    let one = |one: &RequirementView| (one.requirement.to_string(), shown(one.about.name.as_str()), asked.contains(&one.requirement));
    ui::html(&LevelForm {
        id: before.as_ref().map(|level| level.level.to_string()),
        name: before.as_ref().map(|level| level.about.name.to_string()).unwrap_or_default(),
        description: before.as_ref().map(|level| level.about.description.clone()).unwrap_or_default(),
        requirements: all.iter().map(one).collect(),
    })
}

/// `POST /levels/set`.
pub async fn set_level(Inside(office): Inside, fields: Fields) -> Result<Done> {
    let session = office.session();
    let before = match fields.get("id").filter(|id| !id.is_empty()) {
        Some(id) => Some(certification::level(session, id).await?),
        None => None,
    };
    let requirements = fields.each("requirement").map(|id| id.parse().map_err(|_| gone())).collect::<Result<_>>()?;
    let description = fields.get("description").unwrap_or_default().trim().to_owned();
    let about = LevelAbout { name: fields.parsed("name", "a name")?, description, requirements };
    certification::set_level(session, before.as_ref(), about).await?;
    Ok(Done::page(if before.is_some() { "Changed." } else { "Made." }))
}

/// `POST /levels/delete`.
pub async fn delete_levels(Inside(office): Inside, fields: Fields) -> Result<Done> {
    let session = office.session();
    let mut tally = Tally::default();
    for key in table::selection(&office.sheets, &fields).await? {
        let LevelView { level, about, .. } = certification::level(session, &key).await?;
        tally.take(&shown(about.name.as_str()), certification::delete_level(session, level).await);
    }
    Ok(tally.told("Deleted", "level", "levels"))
}
