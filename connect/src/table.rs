//! The one table: rows of any noun, kept here, shown a window at a time.
//!
//! ```text
//!   page ── rows ──▶ Sheet (kept under an id) ──query──▶ order (kept) ──window──▶ cells of some hundred rows
//!                                               └──selection──▶ keys, for an action or an export
//! ```
//!
//! A noun says what its columns are, how rows compare, and what each cell shows; search, filters, sort, columns, selection and export are
//! the same for all. What a person chose stands in the address, so a link, a reload and the back button bring it again.

use std::cmp::Ordering;
use std::collections::{HashSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use data_encoding::BASE64URL_NOPAD;
use futures::future::BoxFuture;
use serde::Serialize;
use ticrypt_api::project::ProjectView;
use ticrypt_client::{entropy, show};
use ticrypt_types::name::Harmless;
use ticrypt_types::{Colour, Timestamp};

use crate::fields::Fields;
use crate::trouble::{Result, Trouble};

/// Sheets that are kept; the oldest goes. One for each table in a few open tabs,
const SHEETS_MAX: usize = 24;
/// and fewer if they are large, but always some.
const ROWS_MAX: usize = 50_000;
const SHEETS_MIN: usize = 4;
/// Rows of one window.
pub const WINDOW_MAX: usize = 400;

/// One column.
#[derive(Clone, Copy, Debug)]
pub struct Column {
    pub key: &'static str,
    pub title: &'static str,
    /// Shown unless a person hides it.
    pub shown: bool,
    /// Numbers stand to the right.
    pub number: bool,
}

impl Column {
    pub const fn shown(key: &'static str, title: &'static str) -> Self {
        Self { key, title, shown: true, number: false }
    }

    pub const fn hidden(key: &'static str, title: &'static str) -> Self {
        Self { shown: false, ..Self::shown(key, title) }
    }

    pub const fn number(self) -> Self {
        Self { number: true, ..self }
    }
}

/// A choice to filter by.
#[derive(Clone, Copy, Debug)]
pub struct Filter {
    pub key: &'static str,
    pub title: &'static str,
    /// Value and what a person reads.
    pub values: &'static [(&'static str, &'static str)],
}

/// What a cell shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cell {
    Text(String),
    /// Monospaced: ids, fingerprints.
    Code(String),
    /// A name with its icon; a link if it leads somewhere.
    Name {
        icon: &'static str,
        text: String,
        href: Option<String>,
        marks: Vec<Mark>,
        tags: Vec<Tag>,
    },
    Badge {
        tone: &'static str,
        text: String,
    },
    Size(Option<u64>),
    Time(Timestamp),
    /// Something that is so or not, changed by a click.
    Check(Check),
}

/// A box in a cell. Its column says where the change is sent, and the row of whom it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    pub on: bool,
    /// For those who hear the page.
    pub label: String,
    pub act: &'static str,
    /// As a form sends them; `on` comes with them.
    pub fields: String,
    /// Why it cannot be changed.
    pub refused: Option<String>,
    /// Asked before it is taken away.
    pub confirm: Option<&'static str>,
}

/// A small sign behind a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark {
    pub icon: &'static str,
    pub title: &'static str,
}

/// The tag of a project, in its colour.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tag {
    pub text: String,
    /// `#1f77b4`; nothing for a tag that is not shown.
    colour: Option<Colour>,
    pub title: String,
}

impl Tag {
    pub fn of(view: &ProjectView) -> Self {
        Self {
            text: Harmless(view.about.tag.as_str()).to_string(),
            colour: Some(view.about.colour.clone()),
            title: format!("tagged {}", Harmless(view.about.name.as_str())),
        }
    }

    /// In the place of a tag that is not active: which it is, is not shown.
    pub fn locked() -> Self {
        Self { text: "?".to_owned(), colour: None, title: "locked: its project is not in your working set".to_owned() }
    }

    /// Of a project that one does not see.
    pub fn unknown() -> Self {
        Self { text: "tagged".to_owned(), colour: None, title: "tagged with a project that you do not see".to_owned() }
    }

    /// Its colour as a picture: the page allows no styles of its own.
    pub fn dot(&self) -> String {
        let Some(colour) = &self.colour else { return String::new() };
        format!("<svg class=\"dot\" viewBox=\"0 0 8 8\" aria-hidden=\"true\"><circle cx=\"4\" cy=\"4\" r=\"4\" fill=\"{colour}\"/></svg>")
    }
}

impl Cell {
    pub fn badge(tone: &'static str, text: impl Into<String>) -> Self {
        Self::Badge { tone, text: text.into() }
    }

    pub fn name(icon: &'static str, text: impl Into<String>) -> Self {
        Self::Name { icon, text: text.into(), href: None, marks: Vec::new(), tags: Vec::new() }
    }

    /// As words alone: for exports and for those who hear the page.
    pub fn words(&self) -> String {
        match self {
            Self::Text(text) | Self::Code(text) | Self::Name { text, .. } | Self::Badge { text, .. } => text.clone(),
            Self::Size(size) => size.map(|size| size.to_string()).unwrap_or_default(),
            Self::Time(at) if *at == Timestamp::ABSENT => String::new(),
            Self::Time(at) => at.to_string(),
            Self::Check(Check { on, .. }) => if *on { "yes" } else { "no" }.to_owned(),
        }
    }
}

/// What a noun says of its rows.
pub trait Row: Serialize + Send + Sync + 'static {
    /// Names the noun, in the address of exports and in the remembered choice of columns.
    const NOUN: &'static str;
    const COLUMNS: &'static [Column];
    const FILTERS: &'static [Filter] = &[];

    /// By which the row is selected; the same as long as the thing is.
    fn key(&self) -> String;
    fn cell(&self, column: &str) -> Cell;
    fn order(&self, other: &Self, column: &str) -> Ordering;
    /// Whether a lower-case word is found in it.
    fn has(&self, word: &str) -> bool;
    /// The value of a filter.
    fn filtered(&self, _filter: &str) -> &'static str {
        ""
    }
    /// Things that stay above the others however the rest is sorted: directories.
    fn rank(&self) -> u8 {
        0
    }
    /// Space-separated words by which actions know what they fit.
    fn traits(&self) -> String {
        String::new()
    }
    /// Whether a column or a filter is known of every row from the start.
    fn is_plain(_key: &str) -> bool {
        true
    }
    /// Finds out what is not known yet. Done before rows are shown or exported, and of all before they are sorted or filtered by what is
    /// not plain.
    fn look(_rows: Vec<&Self>) -> impl Future<Output = Result<()>> + Send {
        std::future::ready(Ok(()))
    }
}

/// What a person chose, as the address has it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Query {
    pub search: String,
    pub sort: String,
    pub descending: bool,
    pub filters: Vec<(String, String)>,
}

impl Query {
    /// Columns and filters that decide what comes in which order.
    fn asks_of(&self) -> impl Iterator<Item = &str> {
        [self.sort.as_str()].into_iter().chain(self.filters.iter().map(|(filter, _)| filter.as_str()))
    }

    /// Reads `q`, `sort` (with `-` in front for descending) and `f.NAME`.
    pub fn read(fields: &Fields) -> Self {
        let sort = fields.get("sort").unwrap_or_default();
        let (sort, descending) = sort.strip_prefix('-').map_or((sort, false), |sort| (sort, true));
        let filters = fields.all().filter_map(|(name, value)| Some((name.strip_prefix("f.")?, value)));
        let filters = filters.filter(|(_, value)| !value.is_empty()).map(|(name, value)| (name.to_owned(), value.to_owned()));
        Self {
            search: fields.get("q").unwrap_or_default().trim().to_lowercase(),
            sort: sort.to_owned(),
            descending,
            filters: filters.collect(),
        }
    }
}

/// Some rows as they are shown.
#[derive(Debug)]
pub struct Window {
    pub total: usize,
    pub from: usize,
    pub rows: Vec<Shown>,
}

/// One row as it is shown.
#[derive(Debug)]
pub struct Shown {
    pub key: String,
    pub traits: String,
    /// In the order of the columns.
    pub cells: Vec<(&'static str, Cell)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    Json,
    Csv,
}

/// A table whatever its noun.
pub trait AnySheet: Send + Sync {
    fn noun(&self) -> &'static str;
    fn columns(&self) -> &'static [Column];
    fn filters(&self) -> &'static [Filter];
    fn len(&self) -> usize;
    fn is_empty(&self) -> bool {
        self.len() == 0
    }
    fn window<'a>(&'a self, query: &'a Query, from: usize, count: usize) -> BoxFuture<'a, Result<Window>>;
    /// Keys of all that fit a query.
    fn matching<'a>(&'a self, query: &'a Query) -> BoxFuture<'a, Result<Vec<String>>>;
    /// Rows as a file: those with these keys, in the order of the query, or all that fit it.
    fn export<'a>(&'a self, query: &'a Query, keys: Option<&'a HashSet<String>>, how: &'a Export) -> BoxFuture<'a, Result<String>>;
}

/// How rows leave as a file.
#[derive(Clone, Debug)]
pub struct Export {
    pub format: Format,
    /// Keys of the columns of a CSV, in the order wanted; all if there is none.
    pub columns: Vec<String>,
}

/// Rows of one noun.
pub struct Sheet<R> {
    rows: Vec<R>,
    ordered: Mutex<Option<(Query, Arc<Vec<u32>>)>>,
}

impl<R: Row> Sheet<R> {
    pub fn new(rows: Vec<R>) -> Self {
        Self { rows, ordered: Mutex::new(None) }
    }

    /// Indexes of the rows that fit, in order; computed once for each query.
    async fn order(&self, query: &Query) -> Result<Arc<Vec<u32>>> {
        if let Some((known, order)) = &*self.ordered()
            && known == query
        {
            return Ok(Arc::clone(order));
        }
        if !query.asks_of().all(R::is_plain) {
            R::look(self.rows.iter().collect()).await?;
        }
        let order = Arc::new(self.compute_order(query));
        *self.ordered() = Some((query.clone(), Arc::clone(&order)));
        Ok(order)
    }

    fn compute_order(&self, query: &Query) -> Vec<u32> {
        let words: Vec<&str> = query.search.split_whitespace().collect();
        let fits =
            |row: &R| words.iter().all(|word| row.has(word)) && query.filters.iter().all(|(filter, value)| row.filtered(filter) == value);
        let sort = R::COLUMNS.iter().map(|column| column.key).find(|key| *key == query.sort);
        let mut fitting: Vec<(u32, &R)> = self.rows.iter().zip(0..).filter(|(row, _)| fits(row)).map(|(row, at)| (at, row)).collect();
        if let Some(sort) = sort {
            fitting.sort_by(|(_, a), (_, b)| {
                let order = a.order(b, sort);
                a.rank().cmp(&b.rank()).then(if query.descending { order.reverse() } else { order })
            });
        }
        fitting.into_iter().map(|(at, _)| at).collect()
    }

    fn ordered(&self) -> MutexGuard<'_, Option<(Query, Arc<Vec<u32>>)>> {
        self.ordered.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn window_of(&self, query: &Query, from: usize, count: usize) -> Result<Window> {
        let order = self.order(query).await?;
        let some: Vec<&R> = order.iter().skip(from).take(count.min(WINDOW_MAX)).filter_map(|at| self.at(*at)).collect();
        R::look(some.clone()).await?;
        let rows = some.into_iter().map(|row| Shown {
            key: row.key(),
            traits: row.traits(),
            cells: R::COLUMNS.iter().map(|column| (column.key, row.cell(column.key))).collect(),
        });
        Ok(Window { total: order.len(), from, rows: rows.collect() })
    }

    async fn export_of(&self, query: &Query, keys: Option<&HashSet<String>>, how: &Export) -> Result<String> {
        let order = self.order(query).await?;
        let rows = order.iter().filter_map(|at| self.at(*at)).filter(|row| keys.is_none_or(|keys| keys.contains(&row.key())));
        let rows: Vec<&R> = rows.collect();
        R::look(rows.clone()).await?;
        match how.format {
            Format::Json => serde_json::to_string_pretty(&rows).map_err(|e| Trouble::broken(format!("the rows cannot be written: {e}"))),
            Format::Csv => {
                let chosen: Vec<&Column> =
                    how.columns.iter().filter_map(|key| R::COLUMNS.iter().find(|column| column.key == key)).collect();
                let chosen = if chosen.is_empty() { R::COLUMNS.iter().collect() } else { chosen };
                let mut text = line(chosen.iter().map(|column| column.title.to_owned()));
                for row in rows {
                    text.push_str(&line(chosen.iter().map(|column| row.cell(column.key).words())));
                }
                Ok(text)
            }
        }
    }

    fn at(&self, index: u32) -> Option<&R> {
        self.rows.get(usize::try_from(index).ok()?)
    }
}

impl<R: Row> AnySheet for Sheet<R> {
    fn noun(&self) -> &'static str {
        R::NOUN
    }

    fn columns(&self) -> &'static [Column] {
        R::COLUMNS
    }

    fn filters(&self) -> &'static [Filter] {
        R::FILTERS
    }

    fn len(&self) -> usize {
        self.rows.len()
    }

    fn window<'a>(&'a self, query: &'a Query, from: usize, count: usize) -> BoxFuture<'a, Result<Window>> {
        Box::pin(self.window_of(query, from, count))
    }

    fn matching<'a>(&'a self, query: &'a Query) -> BoxFuture<'a, Result<Vec<String>>> {
        Box::pin(async move { Ok(self.order(query).await?.iter().filter_map(|at| self.at(*at)).map(Row::key).collect()) })
    }

    fn export<'a>(&'a self, query: &'a Query, keys: Option<&'a HashSet<String>>, how: &'a Export) -> BoxFuture<'a, Result<String>> {
        Box::pin(self.export_of(query, keys, how))
    }
}

/// One line of CSV (RFC 4180). A field that a spreadsheet would take for a formula is kept as text by a quote in front.
fn line(fields: impl Iterator<Item = String>) -> String {
    let quoted = fields.map(|field| {
        let field = if field.starts_with(['=', '+', '-', '@', '\t', '\r']) { format!("'{field}") } else { field };
        if field.contains(['"', ',', '\n', '\r']) { format!("\"{}\"", field.replace('"', "\"\"")) } else { field }
    });
    let mut line = quoted.collect::<Vec<_>>().join(",");
    line.push_str("\r\n");
    line
}

/// The tables of open pages.
#[derive(Default)]
pub struct Sheets(Mutex<VecDeque<(String, Arc<dyn AnySheet>)>>);

impl Sheets {
    /// Keeps one and says under which id.
    pub fn keep(&self, sheet: Arc<dyn AnySheet>) -> Result<String> {
        let id = BASE64URL_NOPAD.encode(&entropy::bytes::<12>()?);
        let mut sheets = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        sheets.push_back((id.clone(), sheet));
        let rows = |sheets: &VecDeque<(String, Arc<dyn AnySheet>)>| sheets.iter().map(|(_, sheet)| sheet.len()).sum::<usize>();
        while sheets.len() > SHEETS_MAX || (sheets.len() > SHEETS_MIN && rows(&sheets) > ROWS_MAX) {
            sheets.pop_front();
        }
        Ok(id)
    }

    pub fn find(&self, id: &str) -> Result<Arc<dyn AnySheet>> {
        let sheets = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let found = sheets.iter().find(|(known, _)| known == id).map(|(_, sheet)| Arc::clone(sheet));
        found.ok_or_else(|| Trouble::gone("this list is not kept any more; load the page again"))
    }
}

/// What an action is to act on: `sheet`, and either `key` again and again, or `all=1` with the query and `except`.
pub async fn selection(sheets: &Sheets, fields: &Fields) -> Result<Vec<String>> {
    let keys: Vec<String> = if fields.get("all") == Some("1") {
        let sheet = sheets.find(fields.get("sheet").unwrap_or_default())?;
        let except: HashSet<&str> = fields.each("except").collect();
        sheet.matching(&Query::read(fields)).await?.into_iter().filter(|key| !except.contains(key.as_str())).collect()
    } else {
        fields.each("key").map(str::to_owned).collect()
    };
    if keys.is_empty() {
        return Err(Trouble::invalid("nothing is selected; choose some rows first"));
    }
    Ok(keys)
}

/// What a person reads of a cell.
pub fn reads(cell: &Cell) -> String {
    match cell {
        Cell::Size(Some(size)) => show::size(*size),
        Cell::Size(None) => String::new(),
        Cell::Time(at) if *at == Timestamp::ABSENT => String::new(),
        Cell::Time(at) => show::time(*at),
        other => other.words(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[derive(Debug, Serialize)]
    struct Thing {
        name: String,
        size: u64,
    }

    impl Row for Thing {
        const NOUN: &'static str = "things";
        const COLUMNS: &'static [Column] = &[Column::shown("name", "Name"), Column::shown("size", "Size").number()];

        fn key(&self) -> String {
            self.name.clone()
        }

        fn cell(&self, column: &str) -> Cell {
            if column == "name" { Cell::Text(self.name.clone()) } else { Cell::Size(Some(self.size)) }
        }

        fn order(&self, other: &Self, column: &str) -> Ordering {
            if column == "name" { self.name.cmp(&other.name) } else { self.size.cmp(&other.size) }
        }

        fn has(&self, word: &str) -> bool {
            self.name.contains(word)
        }

        fn filtered(&self, _: &str) -> &'static str {
            if self.size > 2 { "large" } else { "small" }
        }

        fn rank(&self) -> u8 {
            u8::from(!self.name.starts_with("dir"))
        }
    }

    fn sheet() -> Sheet<Thing> {
        let things = [("b", 2), ("a", 3), ("dir", 1), ("=c,d", 4)];
        Sheet::new(things.iter().map(|(name, size)| Thing { name: (*name).to_owned(), size: *size }).collect())
    }

    fn query(text: &str) -> Query {
        Query::read(&Fields::parse(text.as_bytes()))
    }

    #[tokio::test]
    async fn searched_filtered_sorted_and_cut() {
        let sheet = sheet();
        assert_eq!(sheet.matching(&query("")).await.unwrap(), ["b", "a", "dir", "=c,d"]);
        assert_eq!(sheet.matching(&query("sort=name")).await.unwrap(), ["dir", "=c,d", "a", "b"]);
        assert_eq!(sheet.matching(&query("sort=-size")).await.unwrap(), ["dir", "=c,d", "a", "b"]);
        assert_eq!(sheet.matching(&query("sort=size&f.kind=large")).await.unwrap(), ["a", "=c,d"]);
        assert_eq!(sheet.matching(&query("q=+D+&sort=unknown")).await.unwrap(), ["dir", "=c,d"]);
        let window = sheet.window(&query("sort=size"), 1, 2).await.unwrap();
        assert_eq!((window.total, window.rows.len(), window.rows[0].key.as_str()), (4, 2, "b"));
        assert!(sheet.window(&query(""), 9, 2).await.unwrap().rows.is_empty());
    }

    #[tokio::test]
    async fn a_file_for_spreadsheets_holds_no_formula() {
        let keys = ["=c,d".to_owned(), "b".to_owned()].into();
        let columns = ["size".to_owned(), "name".to_owned(), "nothing".to_owned()];
        let text =
            sheet().export(&query("sort=name"), Some(&keys), &Export { format: Format::Csv, columns: columns.into() }).await.unwrap();
        assert_eq!(text, "Size,Name\r\n4,\"'=c,d\"\r\n2,b\r\n");
        let json = sheet().export(&query("q=dir"), None, &Export { format: Format::Json, columns: Vec::new() }).await.unwrap();
        let json: serde_json::Value = serde_json::from_str(&json).unwrap();
        assert_eq!(json, serde_json::json!([{ "name": "dir", "size": 1 }]));
    }

    #[tokio::test]
    async fn a_selection_is_keys_or_all_but_some() {
        let sheets = Sheets::default();
        let id = sheets.keep(Arc::new(sheet())).unwrap();
        let select = async |text: String| selection(&sheets, &Fields::parse(text.as_bytes())).await;
        assert_eq!(select("key=a&key=b".into()).await.unwrap(), ["a", "b"]);
        assert_eq!(select(format!("sheet={id}&all=1&except=a&f.kind=large")).await.unwrap(), ["=c,d"]);
        assert!(select("sheet=other&all=1".into()).await.is_err());
        assert!(select(String::new()).await.is_err());
        for _ in 0..SHEETS_MAX {
            sheets.keep(Arc::new(sheet())).unwrap();
        }
        assert!(select(format!("sheet={id}&all=1")).await.unwrap_err().message().contains("load the page again"));
    }

    #[tokio::test]
    async fn a_hundred_thousand_rows_are_sorted_once() {
        let rows = (0..100_000u64).map(|n| Thing { name: format!("{:06}", n * 7_919 % 100_003), size: n }).collect();
        let sheet = Sheet::new(rows);
        let first = sheet.window(&query("sort=name"), 0, 10).await.unwrap().rows[0].key.clone();
        assert_eq!(first, "000000");
        let (a, b) = (sheet.order(&query("sort=name")).await.unwrap(), sheet.order(&query("sort=name")).await.unwrap());
        assert!(Arc::ptr_eq(&a, &b));
    }
}
