//! Who would lose what of one thing, if people had lost a membership or a certification. Nothing is changed by asking.

use std::cmp::Ordering;

use askama::Template;
use axum::response::Response;
use serde::Serialize;
use ticrypt_api::access::{PersonAccess, SupposedLoss};
use ticrypt_client::Session;
use ticrypt_client::access::words::{Names, can_then, losing};
use ticrypt_client::access::{self, losable};
use ticrypt_client::project::Projects;
use ticrypt_types::{ProjectId, UserId, UserName};

use super::access::{reasons_of, way};
use super::vault::{Crumb, here, shown};
use super::{Inside, Visit};
use crate::fields::Fields;
use crate::table::{Cell, Column, Row};
use crate::transfer::upload::path;
use crate::trouble::{Result, Trouble};
use crate::ui::{self, Chrome, Done, Look};

/// What may be supposed of a thing.
#[derive(Debug)]
pub struct Supposable {
    pub is_tagged: bool,
    /// As a form sends them, with the name that people know.
    pub memberships: Vec<(String, String)>,
    pub certifications: Vec<(String, String)>,
}

pub async fn supposable(session: &Session, projects: &Projects, tags: &[ProjectId]) -> Result<Supposable> {
    let mut all = Supposable { is_tagged: !tags.is_empty(), memberships: Vec::new(), certifications: Vec::new() };
    for (loss, name) in losable(session, projects, tags).await? {
        let name = shown(&name);
        match loss {
            SupposedLoss::Membership(project) => all.memberships.push((format!("membership:{project}"), name)),
            SupposedLoss::Certification(requirement) => all.certifications.push((format!("certification:{requirement}"), name)),
        }
    }
    Ok(all)
}

/// What a form or an address says is lost.
fn lost(text: &str) -> Result<SupposedLoss> {
    let loss = match text.split_once(':') {
        Some(("membership", id)) => id.parse().ok().map(SupposedLoss::Membership),
        Some(("certification", id)) => id.parse().ok().map(SupposedLoss::Certification),
        _ => None,
    };
    loss.ok_or_else(|| Trouble::invalid("choose a membership or a certification"))
}

/// One person, or everybody who has a key.
fn whom(fields: &Fields) -> Result<Option<UserName>> {
    if fields.get("person").is_none_or(|name| name.trim().is_empty()) {
        return Ok(None);
    }
    Ok(Some(fields.parsed("person", "a user name")?))
}

async fn about(session: &Session, person: Option<&UserName>) -> Result<Vec<UserId>> {
    match person {
        Some(name) => Ok(vec![access::subject(session, name).await?]),
        None => Ok(Vec::new()),
    }
}

/// A row: somebody who would lose something.
#[derive(Serialize)]
struct Loser {
    #[serde(skip)]
    at: String,
    person: UserName,
    could: String,
    could_then: String,
    missing: String,
}

impl Row for Loser {
    const NOUN: &'static str = "what-if";
    const COLUMNS: &'static [Column] = &[
        Column::shown("name", "Person"),
        Column::shown("could", "Could, at work on its tags"),
        Column::shown("then", "Could then"),
        Column::shown("why", "What would be missing"),
    ];

    fn key(&self) -> String {
        self.person.to_string()
    }

    fn cell(&self, column: &str) -> Cell {
        match column {
            "name" => Cell::Name {
                icon: "user",
                text: self.person.to_string(),
                href: Some(reasons_of(&self.at, self.person.as_str())),
                marks: Vec::new(),
                tags: Vec::new(),
            },
            "could" => Cell::Text(self.could.clone()),
            "then" => Cell::Text(self.could_then.clone()),
            _ => Cell::Text(self.missing.clone()),
        }
    }

    fn order(&self, other: &Self, column: &str) -> Ordering {
        match column {
            "could" => self.could.cmp(&other.could),
            "then" => self.could_then.cmp(&other.could_then),
            "why" => self.missing.cmp(&other.missing),
            _ => Ordering::Equal,
        }
        .then_with(|| self.person.cmp(&other.person))
    }

    fn has(&self, word: &str) -> bool {
        self.person.as_str().contains(word)
    }
}

#[derive(Template)]
#[template(path = "what_if.html")]
struct Page {
    chrome: Chrome,
    crumbs: Vec<Crumb>,
    loss: String,
    /// Nothing for everybody.
    person: Option<String>,
    /// How many were asked about, if more have a key.
    some: Option<usize>,
    table: String,
}

/// `GET /vault/access/what-if?at=PATH&lost=WHAT&person=NAME`: compared with how it is.
pub async fn page(Visit(office): Visit, fields: Fields) -> Result<Response> {
    let (at, loss, person) = (path(fields.need("at")?)?, lost(fields.need("lost")?)?, whom(&fields)?);
    let session = office.session();
    let (node, about) = (office.vault.locate(&at).await?, about(session, person.as_ref()).await?);
    let now = access::explain(session, node, about.clone(), None).await?;
    let then = access::explain(session, node, about, Some(loss)).await?;
    let projects = Projects::load(session).await?;
    let names = Names::load(session, &projects, &then.people.iter().collect::<Vec<_>>(), Some(loss)).await?;
    let row = |(before, after): (&PersonAccess, &PersonAccess)| Loser {
        at: at.text(),
        person: after.name.clone(),
        could: can_then(before),
        could_then: can_then(after),
        missing: names.refusal(after).map(|text| shown(&text)).unwrap_or_default(),
    };
    let look = Look {
        one: "person",
        many: "people",
        sort: "name",
        empty_icon: "shield-check",
        empty: "Nobody loses anything here",
        empty_hint: "What they can do with it stays the same.",
        ..Look::PLAIN
    };
    ui::html(&Page {
        chrome: Chrome::new(&office, here(&at)),
        crumbs: way(&at),
        loss: shown(&names.loss(loss)),
        person: person.map(|name| name.to_string()),
        some: then.more.then_some(then.people.len()),
        table: ui::table(&office, losing(&now, &then).into_iter().map(row).collect(), &look)?,
    })
}

/// `POST /vault/access/suppose`: what is wrong with the form is told in it.
pub async fn suppose(Inside(office): Inside, fields: Fields) -> Result<Done> {
    let (at, what, person) = (path(fields.need("at")?)?, fields.need("lost")?, whom(&fields)?);
    lost(what)?;
    about(office.session(), person.as_ref()).await?;
    let at = at.text();
    let mut pairs = vec![("at", at.as_str()), ("lost", what)];
    pairs.extend(person.as_ref().map(|name| ("person", name.as_str())));
    Ok(Done::go(format!("/vault/access/what-if?{}", ui::fields_of(&pairs))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_lost_is_read_as_it_is_sent() {
        let project = ProjectId::from_random([7; 16]);
        assert_eq!(lost(&format!("membership:{project}")).unwrap(), SupposedLoss::Membership(project));
        for text in ["", "membership:", "membership:Federal", "certification:x", "share:x", &project.to_string()] {
            assert!(lost(text).unwrap_err().message().contains("choose a membership"), "{text}");
        }
        assert!(whom(&Fields::parse(b"person=+")).unwrap().is_none());
        assert_eq!(whom(&Fields::parse(b"person=ada+")).unwrap().unwrap().as_str(), "ada");
    }
}
