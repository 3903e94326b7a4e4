//! What pages are made of: the frame around them, the table, icons, and the words an action answers with.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use askama::Template;
use axum::Json;
use axum::response::{Html, IntoResponse, Response};
use serde::Serialize;
use ticrypt_client::users::is_given;
use ticrypt_types::{Permission, Rank};

use crate::desk::Office;
use crate::table::{AnySheet, Cell, Column, Filter, Row, Sheet, Shown};
use crate::trouble::{Result, Trouble};

/// A picture of one colour, by its name in the icon set.
pub fn icon(name: &str) -> String {
    format!("<svg class=\"icon\" aria-hidden=\"true\"><use href=\"/assets/icons.svg#{name}\"/></svg>")
}

/// The same with a class of its own, where its colour tells something.
pub fn icon_as(name: &str) -> String {
    format!("<svg class=\"icon icon-{name}\" aria-hidden=\"true\"><use href=\"/assets/icons.svg#{name}\"/></svg>")
}

/// Renders a template as a response.
pub fn html(template: &impl Template) -> Result<Response> {
    let text = template.render().map_err(|e| Trouble::broken(format!("the page cannot be shown: {e}")))?;
    Ok(Html(text).into_response())
}

/// What stands around every page of an unlocked vault.
#[derive(Clone, Debug)]
pub struct Chrome {
    pub here: &'static str,
    pub name: String,
    pub rank: Rank,
    pub deployment: String,
    pub unread: u64,
    /// One may see the profiles.
    pub profiles: bool,
    /// HTML: the projects one works in.
    pub work: String,
}

/// Places that belong together.
#[derive(Debug)]
pub struct Section {
    pub title: Option<&'static str>,
    pub places: Vec<&'static Place>,
}

#[derive(Debug)]
pub struct Place {
    pub href: &'static str,
    pub icon: &'static str,
    pub title: &'static str,
}

const fn place(href: &'static str, icon: &'static str, title: &'static str) -> Place {
    Place { href, icon, title }
}

const DATA: &[Place] = &[
    place("/vault", "folder", "Vault"),
    place("/shared", "users", "Shared with me"),
    place("/sharing", "share", "Shared by me"),
    place("/groups", "users-group", "Groups"),
    place("/projects", "tag", "Projects"),
    place("/teams", "home", "Teams"),
    place("/trash", "trash", "Trash"),
    place("/transfers", "arrows-transfer-up", "Transfers"),
];
const MINE: &[Place] = &[
    place("/account", "key", "My account"),
    place("/certifications", "certificate", "Certifications"),
    place("/ending", "clock", "Ends soon"),
    place("/requests", "user-plus", "Requests"),
    place("/sessions", "device-desktop", "Sessions"),
    place("/bulk", "history", "Bulk actions"),
];
const ADMINISTRATION: &[Place] = &[
    place("/people", "user-check", "People"),
    place("/profiles", "lock-open", "Profiles"),
    place("/levels", "shield-check", "Security levels"),
    place("/requirements", "list-tree", "Requirements"),
    place("/audit", "activity", "Audit log"),
];

impl Chrome {
    pub fn new(office: &Office, here: &'static str) -> Self {
        Self {
            here,
            name: office.user.name.to_string(),
            rank: office.user.rank,
            deployment: office.session().deployment.display_name(),
            unread: office.unread.load(Ordering::Relaxed),
            profiles: [Permission::UserPermissions, Permission::ProfileEdit].iter().any(|one| is_given(&office.user, *one)),
            work: office.work(),
        }
    }

    pub fn sections(&self) -> Vec<Section> {
        let shown = |place: &&Place| place.href != "/profiles" || self.profiles;
        let section = |title, places: &'static [Place]| Section { title, places: places.iter().filter(shown).collect() };
        let mut sections = vec![section(None, DATA), section(Some("You"), MINE)];
        if is_administrator(self.rank) {
            sections.push(section(Some("Administration"), ADMINISTRATION));
        }
        sections
    }
}

pub fn is_administrator(rank: Rank) -> bool {
    matches!(rank, Rank::Admin | Rank::SuperAdmin)
}

/// Something that can be done with selected rows.
#[derive(Clone, Copy, Debug, Default)]
pub struct Action {
    pub title: &'static str,
    pub icon: &'static str,
    /// Opens the dialog rendered there, or
    pub dialog: &'static str,
    /// is done there,
    pub act: &'static str,
    /// after this question, in which `{n}` is the number of rows.
    pub confirm: &'static str,
    /// Needs exactly one row.
    pub one: bool,
    /// Traits that every row must have.
    pub needs: &'static str,
    /// The key that does it.
    pub key: &'static str,
    /// What opening a row does, where it leads nowhere.
    pub first: bool,
    pub danger: bool,
}

impl Action {
    /// To write an action from.
    pub const NONE: Self =
        Self { title: "", icon: "", dialog: "", act: "", confirm: "", one: false, needs: "", key: "", first: false, danger: false };
}

impl Look<'_> {
    /// To write a look from.
    pub const PLAIN: Self =
        Self { one: "", many: "", sort: "", hides: false, moves: "", empty_icon: "", empty: "", empty_hint: "", actions: &[] };
}

/// How a table stands in a page.
#[derive(Clone, Copy, Debug)]
pub struct Look<'a> {
    pub one: &'static str,
    pub many: &'static str,
    /// Column to sort by at first, `-` in front for descending.
    pub sort: &'static str,
    /// Rows have a filter `hidden`, and there is a button for it.
    pub hides: bool,
    /// Where rows are sent that were dragged onto something with a path.
    pub moves: &'static str,
    pub empty_icon: &'static str,
    pub empty: &'static str,
    pub empty_hint: &'static str,
    pub actions: &'a [Action],
}

#[derive(Template)]
#[template(path = "table.html")]
struct TableView<'a> {
    sheet: &'a str,
    noun: &'a str,
    one: &'a str,
    many: &'a str,
    sort: &'a str,
    /// JSON.
    columns: String,
    filters: &'a [Filter],
    hides: bool,
    moves: &'a str,
    empty_icon: &'a str,
    empty: &'a str,
    empty_hint: &'a str,
    actions: &'a [Action],
}

#[derive(Serialize)]
struct ColumnView {
    key: &'static str,
    title: &'static str,
    shown: bool,
    number: bool,
}

/// Keeps rows for the page and renders their table's frame; they are fetched as they come into sight.
pub fn table<R: Row>(office: &Office, rows: Vec<R>, look: &Look<'_>) -> Result<String> {
    let sheet: Arc<dyn AnySheet> = Arc::new(Sheet::new(rows));
    let id = office.sheets.keep(Arc::clone(&sheet))?;
    let view = |column: &Column| ColumnView { key: column.key, title: column.title, shown: column.shown, number: column.number };
    let columns: Vec<ColumnView> = sheet.columns().iter().map(view).collect();
    let view = TableView {
        sheet: &id,
        noun: sheet.noun(),
        one: look.one,
        many: look.many,
        sort: look.sort,
        columns: serde_json::to_string(&columns).map_err(|e| Trouble::broken(e.to_string()))?,
        filters: sheet.filters(),
        hides: look.hides,
        moves: look.moves,
        empty_icon: look.empty_icon,
        empty: look.empty,
        empty_hint: look.empty_hint,
        actions: look.actions,
    };
    view.render().map_err(|e| Trouble::broken(format!("the table cannot be shown: {e}")))
}

/// Rows of a window.
#[derive(Template)]
#[template(path = "rows.html")]
pub struct Rows<'a> {
    pub rows: &'a [Shown],
    pub columns: &'a [&'static Column],
}

impl Shown {
    /// The cells of these columns, in their order.
    pub fn chosen<'a>(&'a self, columns: &'a [&'static Column]) -> Vec<(&'static Column, &'a Cell)> {
        let cells: HashMap<&str, &Cell> = self.cells.iter().map(|(key, cell)| (*key, cell)).collect();
        columns.iter().filter_map(|column| Some((*column, *cells.get(column.key)?))).collect()
    }

    /// What those who hear the page are told of the row.
    pub fn label(&self) -> String {
        self.cells.first().map(|(_, cell)| cell.words()).unwrap_or_default()
    }

    /// Where files dropped on the row go.
    pub fn drop(&self) -> Option<&str> {
        self.traits.split(' ').any(|word| word == "drop").then_some(&self.key)
    }
}

/// What came of an action, told to the page.
#[derive(Debug, Default, Serialize)]
pub struct Done {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub toast: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tone: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub undo: Option<Offer>,
    /// `rows` fetches the table anew, `page` all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reload: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub go: Option<String>,
    /// A one-use address the browser saves.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// What a person should read of single items.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<Note>,
}

/// A button beside what was said: it does something, such as taking an action back, or opens a dialog.
#[derive(Debug, Serialize)]
pub struct Offer {
    pub label: &'static str,
    #[serde(flatten)]
    pub what: Offered,
    /// As a form sends them.
    pub fields: String,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Offered {
    Act(&'static str),
    Dialog(&'static str),
}

/// What a person should read of one item, and what they could do about it.
#[derive(Debug, Serialize)]
pub struct Note {
    pub text: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub offer: Option<Offer>,
}

impl Note {
    /// The same, of one of several things.
    #[must_use]
    pub fn within(self, what: &str) -> Self {
        Self { text: format!("{what}: {}", self.text), ..self }
    }
}

impl From<String> for Note {
    fn from(text: String) -> Self {
        Self { text, offer: None }
    }
}

impl Done {
    pub fn rows(toast: impl Into<String>) -> Self {
        Self { toast: Some(toast.into()), reload: Some("rows"), ..Self::default() }
    }

    pub fn page(toast: impl Into<String>) -> Self {
        Self { toast: Some(toast.into()), reload: Some("page"), ..Self::default() }
    }

    pub fn go(to: impl Into<String>) -> Self {
        Self { go: Some(to.into()), ..Self::default() }
    }

    pub fn said(toast: impl Into<String>) -> Self {
        Self { toast: Some(toast.into()), ..Self::default() }
    }
}

/// What came of doing something with each of several: how many it was done with, and what a person should read of the others.
#[derive(Debug, Default)]
pub struct Tally {
    pub done: usize,
    pub notes: Vec<Note>,
}

impl Tally {
    /// One of them, and its name for the case that it failed.
    pub fn take<T>(&mut self, name: &str, result: std::result::Result<T, ticrypt_client::ClientError>) {
        match result {
            Ok(_) => self.done += 1,
            Err(error) => self.notes.push(format!("{name}: {error}").into()),
        }
    }

    /// What came of several, in the order of their names.
    pub fn take_all(&mut self, names: &[String], results: Vec<std::result::Result<(), ticrypt_client::ClientError>>) {
        names.iter().zip(results).for_each(|(name, result)| self.take(name, result));
    }

    /// `Deleted 2 levels.`, and the page anew.
    pub fn told(self, word: &str, one: &str, many: &str) -> Done {
        let toast = (self.done > 0).then(|| format!("{word} {}.", count(self.done, one, many)));
        Done { toast, notes: self.notes, reload: Some("page"), ..Done::default() }
    }
}

impl IntoResponse for Done {
    fn into_response(self) -> Response {
        Json(self).into_response()
    }
}

/// `1 file`, `2 files`.
pub fn count(number: usize, one: &str, many: &str) -> String {
    if number == 1 { format!("1 {one}") } else { format!("{number} {many}") }
}

/// The same for numbers of any size.
pub fn count_of(number: u64, one: &str, many: &str) -> String {
    count(usize::try_from(number).unwrap_or(usize::MAX), one, many)
}

/// `name=value`, as an address or a form has it.
pub fn field(name: &str, value: &str) -> String {
    form_urlencoded::Serializer::new(String::new()).append_pair(name, value).finish()
}

/// Several of them.
pub fn fields_of(pairs: &[(&str, &str)]) -> String {
    form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish()
}

/// The same name again and again.
pub fn fields<'a>(name: &str, values: impl Iterator<Item = &'a str>) -> String {
    let mut form = form_urlencoded::Serializer::new(String::new());
    for value in values {
        form.append_pair(name, value);
    }
    form.finish()
}
