//! What one person reaches, of what one shares and of the groups one owns: as far as this device sees.

use std::cmp::Ordering;

use askama::Template;
use axum::response::Response;
use serde::Serialize;
use ticrypt_api::access::PersonAccess;
use ticrypt_client::access::words::{self, Names};
use ticrypt_client::access::{self, Reached};
use ticrypt_client::project::Projects;
use ticrypt_types::{NodeKind, UserName};

use super::access::{ANSWERS, columns, common, order, reasons_of};
use super::vault::shown;
use super::{Inside, Visit};
use crate::desk::Office;
use crate::fields::Fields;
use crate::table::{self, Cell, Column, Filter, Row};
use crate::trouble::{Result, Trouble};
use crate::ui::{self, Chrome, Done, Look};

/// A row: something they have a key to.
#[derive(Serialize)]
struct Thing {
    #[serde(flatten)]
    reached: Reached,
    /// Why they do not read it, in words.
    missing: String,
}

impl Thing {
    /// What is in no tree that one sees has an id for a path, and no page.
    fn is_placed(&self) -> bool {
        self.reached.path.starts_with('/')
    }
}

impl Row for Thing {
    const NOUN: &'static str = "reach";
    const COLUMNS: &'static [Column] = &columns("What");
    const FILTERS: &'static [Filter] = &[ANSWERS];

    fn key(&self) -> String {
        self.reached.path.clone()
    }

    fn cell(&self, column: &str) -> Cell {
        let Reached { path, kind, access } = &self.reached;
        if column != "name" {
            return common(access, &self.missing, column);
        }
        let href = self.is_placed().then(|| reasons_of(path, access.name.as_str()));
        Cell::Name {
            icon: if *kind == NodeKind::Directory { "folder" } else { "file" },
            text: if href.is_some() { shown(path) } else { "something in a place that you cannot open now".to_owned() },
            href,
            marks: Vec::new(),
            tags: Vec::new(),
        }
    }

    fn order(&self, other: &Self, column: &str) -> Ordering {
        let by_reason = if column == "why" { self.missing.cmp(&other.missing) } else { Ordering::Equal };
        let (a, b) = (&self.reached, &other.reached);
        by_reason.then_with(|| order(&a.access, &b.access, column)).then_with(|| a.path.cmp(&b.path))
    }

    fn has(&self, word: &str) -> bool {
        self.reached.path.to_lowercase().contains(word)
    }

    fn filtered(&self, _: &str) -> &'static str {
        words::reads(&self.reached.access).word()
    }
}

#[derive(Template)]
#[template(path = "reach.html")]
struct Page {
    chrome: Chrome,
    /// Nobody was asked about yet.
    person: Option<String>,
    table: String,
}

/// `GET /reach?person=NAME`; without a name it asks for one.
pub async fn page(Visit(office): Visit, fields: Fields) -> Result<Response> {
    let chrome = Chrome::new(&office, "/sharing");
    if !fields.is_set("person") {
        return ui::html(&Page { chrome, person: None, table: String::new() });
    }
    let name: UserName = fields.parsed("person", "a user name")?;
    let look = Look {
        one: "thing",
        many: "things",
        sort: "name",
        empty_icon: "lock",
        empty: "Nothing of yours",
        empty_hint: "They have a key to nothing that you share, and are in no group that you own.",
        ..Look::PLAIN
    };
    let table = ui::table(&office, things(&office, &name).await?, &look)?;
    ui::html(&Page { chrome, person: Some(name.to_string()), table })
}

async fn things(office: &Office, name: &UserName) -> Result<Vec<Thing>> {
    let session = office.session();
    let user = access::subject(session, name).await?;
    let reached = access::reach(&office.vault, user, name).await?;
    let projects = Projects::load(session).await?;
    let people: Vec<&PersonAccess> = reached.iter().map(|one| &one.access).collect();
    let names = Names::load(session, &projects, &people, None).await?;
    let missing: Vec<String> = people.iter().map(|person| names.refusal(person).map(|text| shown(&text)).unwrap_or_default()).collect();
    Ok(reached.into_iter().zip(missing).map(|(reached, missing)| Thing { reached, missing }).collect())
}

fn of(name: &UserName) -> Done {
    Done::go(format!("/reach?{}", ui::field("person", name.as_str())))
}

/// `POST /reach/open`: of the person in the selected row. A row's key is their name, or begins with it and a path.
pub async fn open(Inside(office): Inside, fields: Fields) -> Result<Done> {
    let keys = table::selection(&office.sheets, &fields).await?;
    let [key] = keys.as_slice() else { return Err(Trouble::invalid("choose one person for this")) };
    let name = key.split('/').next().unwrap_or_default();
    Ok(of(&name.parse().map_err(|_| Trouble::invalid("this is not a person; load the page again"))?))
}

/// `POST /reach/ask`: what is wrong with the name is told beside it.
pub async fn ask(Inside(office): Inside, fields: Fields) -> Result<Done> {
    let name: UserName = fields.parsed("person", "a user name")?;
    access::subject(office.session(), &name).await?;
    Ok(of(&name))
}
