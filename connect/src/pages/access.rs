//! Who can open one thing, and why: everybody who has a key to it, or one person with every reason.

use std::cmp::Ordering;

use askama::Template;
use axum::response::Response;
use serde::Serialize;
use ticrypt_api::access::{AccessExplainReply, PersonAccess, Why};
use ticrypt_client::access::words::{self, Answer, Names, can_now, can_then, held_by};
use ticrypt_client::access::{self, OWNERS_EXPLAIN};
use ticrypt_client::project::Projects;
use ticrypt_client::vault::VaultPath;
use ticrypt_types::UserName;

use super::vault::{Crumb, address, crumbs, here, one, shown};
use super::what_if::{Supposable, supposable};
use super::{Inside, Visit};
use crate::desk::Office;
use crate::fields::Fields;
use crate::table::{Cell, Column, Filter, Row};
use crate::transfer::upload::path;
use crate::trouble::Result;
use crate::ui::{self, Chrome, Done, Look};

/// What an answer is coloured like.
pub const fn tone(answer: Answer) -> &'static str {
    match answer {
        Answer::Yes => "green",
        Answer::NotNow => "yellow",
        Answer::No => "red",
    }
}

/// As choices to filter by.
pub const ANSWERS: Filter = Filter { key: "reads", title: "Reads it", values: &[("yes", "Yes"), ("not now", "Not now"), ("no", "No")] };

/// The address of every reason that concerns one person.
pub fn reasons_of(at: &str, person: &str) -> String {
    format!("/vault/access/person?{}", ui::fields_of(&[("at", at), ("person", person)]))
}

/// The way to the page about a thing, whose last step is that page.
pub fn way(at: &VaultPath) -> Vec<Crumb> {
    let mut way = crumbs(at);
    way.push(Crumb { name: "Who can open this".to_owned(), href: address("/vault/access", &at.text()), path: None });
    way
}

/// What both tables with people in them show: what somebody can do with a thing, and why not more.
pub fn common(access: &PersonAccess, missing: &str, column: &str) -> Cell {
    let answer = words::reads(access);
    match column {
        "reads" => Cell::badge(tone(answer), answer.word()),
        "key" => Cell::Text(held_by(access.held_by)),
        "now" => Cell::Text(can_now(access)),
        "then" => Cell::Text(can_then(access)),
        _ => Cell::Text(missing.to_owned()),
    }
}

/// Theirs, after what a row is of.
pub const fn columns(of: &'static str) -> [Column; 6] {
    [
        Column::shown("name", of),
        Column::shown("reads", "Reads it"),
        Column::shown("key", "Key"),
        Column::shown("now", "Can do now"),
        Column::hidden("then", "Can do when at work on its tags"),
        Column::shown("why", "What is missing"),
    ]
}

pub fn order(a: &PersonAccess, b: &PersonAccess, column: &str) -> Ordering {
    match column {
        "reads" => words::reads(a).cmp(&words::reads(b)),
        "key" => held_by(a.held_by).cmp(&held_by(b.held_by)),
        "now" => can_now(a).cmp(&can_now(b)),
        "then" => can_then(a).cmp(&can_then(b)),
        _ => Ordering::Equal,
    }
}

/// A row: somebody who has a key.
#[derive(Serialize)]
struct Holder {
    #[serde(skip)]
    at: String,
    #[serde(flatten)]
    access: PersonAccess,
    /// Why they do not read it, in words.
    missing: String,
}

impl Row for Holder {
    const NOUN: &'static str = "who-can-open";
    const COLUMNS: &'static [Column] = &columns("Person");
    const FILTERS: &'static [Filter] = &[ANSWERS];

    fn key(&self) -> String {
        self.access.name.to_string()
    }

    fn cell(&self, column: &str) -> Cell {
        if column != "name" {
            return common(&self.access, &self.missing, column);
        }
        let text = self.access.name.to_string();
        let href = Some(reasons_of(&self.at, &text));
        Cell::Name { icon: "user", text, href, marks: Vec::new(), tags: Vec::new() }
    }

    fn order(&self, other: &Self, column: &str) -> Ordering {
        let by_reason = if column == "why" { self.missing.cmp(&other.missing) } else { Ordering::Equal };
        by_reason.then_with(|| order(&self.access, &other.access, column)).then_with(|| self.access.name.cmp(&other.access.name))
    }

    fn has(&self, word: &str) -> bool {
        self.access.name.as_str().contains(word)
    }

    fn filtered(&self, _: &str) -> &'static str {
        words::reads(&self.access).word()
    }
}

#[derive(Template)]
#[template(path = "access.html")]
struct Page {
    chrome: Chrome,
    crumbs: Vec<Crumb>,
    at: String,
    /// How many are shown, if more than these have a key.
    some: Option<usize>,
    losses: Supposable,
    table: String,
}

/// `GET /vault/access?at=PATH`. Who does not own it is told so, and about themselves.
pub async fn page(Visit(office): Visit, fields: Fields) -> Result<Response> {
    let at = path(fields.need("at")?)?;
    let session = office.session();
    let node = office.vault.locate(&at).await?;
    let projects = Projects::load(session).await?;
    let reply = match access::explain(session, node, Vec::new(), None).await {
        Err(error) if error.code() == OWNERS_EXPLAIN => {
            let own = access::explain(session, node, vec![session.user()], None).await?;
            return reasons(&office, &at, &projects, &own, Some(error.to_string())).await;
        }
        reply => reply?,
    };
    let look = Look {
        one: "person",
        many: "people",
        sort: "name",
        empty_icon: "users",
        empty: "Nobody has a key to this",
        empty_hint: "Share it, and whoever has a key appears here.",
        ..Look::PLAIN
    };
    ui::html(&Page {
        chrome: Chrome::new(&office, here(&at)),
        crumbs: crumbs(&at),
        at: at.text(),
        some: reply.more.then_some(reply.people.len()),
        losses: supposable(session, &projects, &reply.tags).await?,
        table: ui::table(&office, holders(&office, &at, &projects, reply).await?, &look)?,
    })
}

async fn holders(office: &Office, at: &VaultPath, projects: &Projects, reply: AccessExplainReply) -> Result<Vec<Holder>> {
    let people: Vec<&PersonAccess> = reply.people.iter().collect();
    let names = Names::load(office.session(), projects, &people, None).await?;
    let missing: Vec<String> = people.iter().map(|person| names.refusal(person).map(|text| shown(&text)).unwrap_or_default()).collect();
    let holder = |(access, missing)| Holder { at: at.text(), access, missing };
    Ok(reply.people.into_iter().zip(missing).map(holder).collect())
}

#[derive(Template)]
#[template(path = "access_person.html")]
struct Reasons {
    chrome: Chrome,
    crumbs: Vec<Crumb>,
    person: String,
    /// Why nobody else is told of.
    refused: Option<String>,
    tone: &'static str,
    reads: String,
    facts: Vec<(&'static str, String)>,
    verdicts: Vec<Ability>,
    /// What else of one's own they reach.
    reach: Option<String>,
}

/// One thing that may be done, whether by this person, and why not.
struct Ability {
    what: String,
    tone: &'static str,
    answer: &'static str,
    why: String,
}

async fn reasons(
    office: &Office,
    at: &VaultPath,
    projects: &Projects,
    reply: &AccessExplainReply,
    refused: Option<String>,
) -> Result<Response> {
    let [access] = reply.people.as_slice() else {
        return Err(ticrypt_client::ClientError::broken("the server did not answer about the person asked for; try again").into());
    };
    let names = Names::load(office.session(), projects, &[access], None).await?;
    let told = |why: &Why| shown(&names.advice(why));
    let mut facts = vec![("Key", held_by(access.held_by))];
    for tag in &access.tags {
        let said = match (&tag.why_not, tag.is_active) {
            (Some(why), _) => told(why),
            (None, true) => "works in it".to_owned(),
            (None, false) => "may work in it, and does not now".to_owned(),
        };
        facts.push(("Tag", format!("{}: {said}", shown(&names.project(tag.project)))));
    }
    let verdicts = access.verdicts.iter().map(|verdict| {
        let answer = Answer::of(verdict);
        let why = verdict.now.as_ref().map(|now| verdict.then.as_ref().unwrap_or(now));
        Ability { what: verdict.asked.clone(), tone: tone(answer), answer: answer.word(), why: why.map(told).unwrap_or_default() }
    });
    let is_self = access.user == office.session().user();
    let person = access.name.to_string();
    ui::html(&Reasons {
        chrome: Chrome::new(office, here(at)),
        crumbs: if refused.is_some() { crumbs(at) } else { way(at) },
        refused,
        tone: tone(words::reads(access)),
        reads: words::reading(access),
        facts,
        verdicts: verdicts.collect(),
        reach: (!is_self).then(|| format!("/reach?{}", ui::field("person", &person))),
        person,
    })
}

/// `GET /vault/access/person?at=PATH&person=NAME`.
pub async fn person(Visit(office): Visit, fields: Fields) -> Result<Response> {
    let at = path(fields.need("at")?)?;
    let name: UserName = fields.parsed("person", "a user name")?;
    let session = office.session();
    let user = access::subject(session, &name).await?;
    let node = office.vault.locate(&at).await?;
    let reply = access::explain(session, node, vec![user], None).await?;
    reasons(&office, &at, &Projects::load(session).await?, &reply, None).await
}

/// `POST /vault/access/open`: of the selected one.
pub async fn open(Inside(office): Inside, fields: Fields) -> Result<Done> {
    Ok(Done::go(address("/vault/access", &one(&office, &fields).await?.text())))
}

/// `POST /vault/access/ask`: about somebody named; what is wrong with the name is told beside it.
pub async fn ask(Inside(office): Inside, fields: Fields) -> Result<Done> {
    let at = path(fields.need("at")?)?;
    let name: UserName = fields.parsed("person", "a user name")?;
    access::subject(office.session(), &name).await?;
    Ok(Done::go(reasons_of(&at.text(), name.as_str())))
}
