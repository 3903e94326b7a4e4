//! Who is certified for what, and until when.

use std::cmp::Ordering;

use askama::Template;
use axum::response::Response;
use serde::Serialize;
use ticrypt_api::certification::{CertificationView, RequirementView};
use ticrypt_client::certification::{self, Whose};
use ticrypt_client::clock;
use ticrypt_types::{Permission, RequirementId, Timestamp};

use super::vault::{day, shown};
use super::{Inside, Visit};
use crate::desk::Office;
use crate::fields::Fields;
use crate::table::{self, Cell, Column, Filter, Row};
use crate::trouble::{Result, Trouble};
use crate::ui::{self, Action, Chrome, Done, Look, Tally};

/// What ends within this time is told as ending.
const SOON_MS: u64 = 30 * 24 * 60 * 60 * 1_000;

/// A row, with the requirement's name.
#[derive(Serialize)]
struct Certification {
    requirement_name: String,
    #[serde(flatten)]
    view: CertificationView,
}

impl Certification {
    fn expires(&self) -> Timestamp {
        self.view.expires_ms.unwrap_or(Timestamp::ABSENT)
    }

    fn state(&self) -> (&'static str, &'static str) {
        let (now, until) = (clock::now(), self.expires());
        match () {
            () if until.is_expired(now) => ("red", "ended"),
            () if until != Timestamp::ABSENT && until.millis_since(now) <= SOON_MS => ("yellow", "ends soon"),
            () => ("green", "valid"),
        }
    }
}

/// One person has one for each requirement.
fn key(view: &CertificationView) -> String {
    format!("{}/{}", view.requirement, view.user)
}

impl Row for Certification {
    const NOUN: &'static str = "certifications";
    const COLUMNS: &'static [Column] = &[
        Column::shown("person", "Person"),
        Column::shown("requirement", "Certified for"),
        Column::shown("state", "State"),
        Column::shown("until", "Until"),
        Column::hidden("since", "Since"),
        Column::hidden("given", "Given"),
    ];
    const FILTERS: &'static [Filter] =
        &[Filter { key: "state", title: "State", values: &[("valid", "Valid"), ("ends soon", "Ends soon"), ("ended", "Ended")] }];

    fn key(&self) -> String {
        key(&self.view)
    }

    fn cell(&self, column: &str) -> Cell {
        match column {
            "person" => Cell::name("user", self.view.name.to_string()),
            "requirement" => Cell::Text(self.requirement_name.clone()),
            "state" => {
                let (tone, text) = self.state();
                Cell::badge(tone, text)
            }
            "until" => Cell::Time(self.expires()),
            "since" => Cell::Time(self.view.since_ms),
            _ => Cell::Time(self.view.given_ms),
        }
    }

    fn order(&self, other: &Self, column: &str) -> Ordering {
        match column {
            "requirement" => self.requirement_name.cmp(&other.requirement_name),
            "state" => self.state().1.cmp(other.state().1),
            "until" => self.expires().cmp(&other.expires()),
            "since" => self.view.since_ms.cmp(&other.view.since_ms),
            "given" => self.view.given_ms.cmp(&other.view.given_ms),
            _ => Ordering::Equal,
        }
        .then_with(|| (&self.view.name, &self.requirement_name).cmp(&(&other.view.name, &other.requirement_name)))
    }

    fn has(&self, word: &str) -> bool {
        self.view.name.as_str().contains(word) || self.requirement_name.to_lowercase().contains(word)
    }

    fn filtered(&self, _: &str) -> &'static str {
        self.state().1
    }
}

const CERTIFYING: &[Action] = &[
    Action { title: "Renew…", icon: "refresh", dialog: "/certifications/renew-dialog", key: "F2", first: true, ..Action::NONE },
    Action {
        title: "End now",
        icon: "ban",
        act: "/certifications/end",
        confirm: "End {n} now? What asks for it closes for these people within a second.",
        key: "Delete",
        danger: true,
        ..Action::NONE
    },
];

#[derive(Template)]
#[template(path = "certifications.html")]
struct Page {
    chrome: Chrome,
    certifies: bool,
    table: String,
}

/// Who may certify sees everybody's; the server says so again.
fn certifies(office: &Office) -> bool {
    ticrypt_client::users::is_given(&office.user, Permission::ProjectCertify)
}

fn name(requirements: &[RequirementView], requirement: RequirementId) -> String {
    let found = requirements.iter().find(|one| one.requirement == requirement);
    found.map_or_else(|| requirement.to_string(), |one| shown(one.about.name.as_str()))
}

/// `GET /certifications`.
pub async fn page(Visit(office): Visit) -> Result<Response> {
    let certifies = certifies(&office);
    let requirements = certification::requirements(office.session()).await?;
    let all = certification::certifications(office.session(), certifies).await?;
    let row = |view: CertificationView| Certification { requirement_name: name(&requirements, view.requirement), view };
    let look = Look {
        one: "certification",
        many: "certifications",
        sort: "person",
        empty_icon: "certificate",
        empty: if certifies { "Nobody is certified" } else { "You are certified for nothing" },
        empty_hint: "A project's level says what its members must be certified for.",
        actions: if certifies { CERTIFYING } else { &[] },
        ..Look::PLAIN
    };
    let table = ui::table(&office, all.into_iter().map(row).collect(), &look)?;
    ui::html(&Page { chrome: Chrome::new(&office, "/certifications"), certifies, table })
}

/// For whom, or for which.
#[derive(Template)]
#[template(path = "certify.html")]
struct Dialog {
    title: String,
    action: &'static str,
    button: &'static str,
    /// To choose from: id and name. Nothing where certifications are renewed.
    requirements: Vec<(String, String)>,
    keys: Vec<String>,
}

/// `POST /certifications/give-dialog`.
pub async fn give_dialog(Inside(office): Inside) -> Result<Response> {
    let all = certification::requirements(office.session()).await?;
    if all.is_empty() {
        return Err(Trouble::invalid("there is nothing to be certified for yet; an administrator makes a requirement first"));
    }
    let requirements = all.iter().map(|one| (one.requirement.to_string(), shown(one.about.name.as_str()))).collect();
    ui::html(&Dialog { title: "Certify".to_owned(), action: "/certifications/give", button: "Certify", requirements, keys: Vec::new() })
}

/// `POST /certifications/renew-dialog`.
pub async fn renew_dialog(Inside(office): Inside, fields: Fields) -> Result<Response> {
    let keys = table::selection(&office.sheets, &fields).await?;
    let title = format!("Renew {}", ui::count(keys.len(), "certification", "certifications"));
    ui::html(&Dialog { title, action: "/certifications/renew", button: "Renew", requirements: Vec::new(), keys })
}

fn until(fields: &Fields) -> Result<Option<Timestamp>> {
    let until = day(fields.get("until").unwrap_or_default())?;
    Ok((until != Timestamp::ABSENT).then_some(until))
}

/// `POST /certifications/give`: each by itself; who could not be certified is told.
pub async fn give(Inside(office): Inside, fields: Fields) -> Result<Done> {
    let session = office.session();
    let requirement: RequirementId = fields.parsed("requirement", "a requirement")?;
    let expires = until(&fields)?;
    let mut tally = Tally::default();
    let (names, users) = super::members::look_up(session, fields.need("people")?, &mut tally).await;
    let whom: Vec<Whose> = users.into_iter().map(|user| (requirement, user)).collect();
    tally.take_all(&names, certification::certify(session, &whom, expires, &|_| ()).await?);
    let toast =
        (tally.done > 0).then(|| format!("Certified {}; it counts from their next login.", ui::count(tally.done, "person", "people")));
    Ok(Done { toast, ..tally.told("Certified", "person", "people") })
}

/// The selected ones.
async fn selected(office: &Office, fields: &Fields) -> Result<Vec<CertificationView>> {
    let keys = table::selection(&office.sheets, fields).await?;
    let all = certification::certifications(office.session(), certifies(office)).await?;
    let chosen: Vec<CertificationView> = all.into_iter().filter(|view| keys.contains(&key(view))).collect();
    if chosen.is_empty() {
        return Err(Trouble::not_found("these certifications are not there any more; load the page again"));
    }
    Ok(chosen)
}

/// The selected ones: of whom, and which.
async fn chosen(office: &Office, fields: &Fields) -> Result<(Vec<String>, Vec<Whose>)> {
    let selected = selected(office, fields).await?;
    Ok(selected.into_iter().map(|view| (view.name.to_string(), (view.requirement, view.user))).unzip())
}

/// `POST /certifications/renew`.
pub async fn renew(Inside(office): Inside, fields: Fields) -> Result<Done> {
    let expires = until(&fields)?;
    let (names, whose) = chosen(&office, &fields).await?;
    let mut tally = Tally::default();
    tally.take_all(&names, certification::certify(office.session(), &whose, expires, &|_| ()).await?);
    Ok(tally.told("Renewed", "certification", "certifications"))
}

/// `POST /certifications/end`.
pub async fn end(Inside(office): Inside, fields: Fields) -> Result<Done> {
    let (names, whose) = chosen(&office, &fields).await?;
    let mut tally = Tally::default();
    tally.take_all(&names, certification::expire(office.session(), &whose, &|_| ()).await?);
    Ok(tally.told("Ended", "certification", "certifications"))
}
