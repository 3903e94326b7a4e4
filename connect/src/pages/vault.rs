//! The vault: what is in a folder, and what can be done with it.

use std::cmp::Ordering;
use std::collections::BTreeSet;
use std::path::PathBuf;

use askama::Template;
use axum::extract::State;
use axum::response::Response;
use serde::Serialize;
use ticrypt_client::vault::VaultPath;
use ticrypt_client::vault::listing::{Listed, ListedKind};
use ticrypt_client::vault::progress::{Cancel, Quiet};
use ticrypt_types::{NodeName, Timestamp};

use super::{Inside, Visit};
use crate::Shared;
use crate::desk::Office;
use crate::fields::Fields;
use crate::table::{self, Cell, Column, Filter, Mark, Row};
use crate::ticket::Good;
use crate::transfer::download::{self, Download};
use crate::transfer::upload::{if_exists, path};
use crate::trouble::{Result, Trouble};
use crate::ui::{self, Action, Chrome, Done, Look, Offer, Offered};

/// More than this is not taken back by one click.
const UNDO_MAX: usize = 1_000;

/// A row of a folder.
#[derive(Serialize)]
#[serde(transparent)]
pub struct Item(pub Listed);

impl Row for Item {
    const NOUN: &'static str = "files";
    const COLUMNS: &'static [Column] = &[
        Column::shown("name", "Name"),
        Column::shown("size", "Size").number(),
        Column::shown("modified", "Modified"),
        Column::shown("writer", "Written by"),
        Column::hidden("kind", "Kind"),
        Column::hidden("created", "Added"),
        Column::hidden("version", "Version").number(),
        Column::hidden("sha256", "SHA-256"),
    ];
    const FILTERS: &'static [Filter] =
        &[Filter { key: "kind", title: "Kind", values: &[("folder", "Folders"), ("file", "Files"), ("link", "Links")] }];

    fn key(&self) -> String {
        self.0.path.clone()
    }

    fn cell(&self, column: &str) -> Cell {
        let listed = &self.0;
        match column {
            "name" => Cell::Name { icon: icon(listed), text: shown(&listed.name), href: Some(href(listed)), marks: marks(listed) },
            "size" => Cell::Size(listed.size_bytes),
            "modified" => Cell::Time(listed.modified_ms),
            "created" => Cell::Time(listed.created_ms),
            "writer" => Cell::Text(listed.writer.as_ref().map(ToString::to_string).unwrap_or_default()),
            "kind" => Cell::Text(kind(listed).to_owned()),
            "version" => Cell::Text(listed.sequence.map(|sequence| sequence.to_string()).unwrap_or_default()),
            _ => Cell::Code(listed.sha256.map(|hash| hash.to_string()).unwrap_or_default()),
        }
    }

    fn order(&self, other: &Self, column: &str) -> Ordering {
        let (a, b) = (&self.0, &other.0);
        match column {
            "size" => a.size_bytes.cmp(&b.size_bytes),
            "modified" => a.modified_ms.cmp(&b.modified_ms),
            "created" => a.created_ms.cmp(&b.created_ms),
            "writer" => a.writer.cmp(&b.writer),
            "kind" => kind(a).cmp(kind(b)),
            "version" => a.sequence.cmp(&b.sequence),
            "sha256" => a.sha256.map(|hash| hash.to_bytes()).cmp(&b.sha256.map(|hash| hash.to_bytes())),
            _ => Ordering::Equal,
        }
        .then_with(|| a.name.to_lowercase().cmp(&b.name.to_lowercase()))
    }

    fn has(&self, word: &str) -> bool {
        self.0.name.to_lowercase().contains(word)
    }

    fn filtered(&self, filter: &str) -> &'static str {
        match filter {
            "hidden" => {
                if self.0.name.starts_with('.') {
                    "yes"
                } else {
                    "no"
                }
            }
            _ => kind(&self.0),
        }
    }

    fn rank(&self) -> u8 {
        u8::from(matches!(self.0.kind, ListedKind::File | ListedKind::Link))
    }

    fn traits(&self) -> String {
        let mut traits = vec![kind(&self.0)];
        if self.0.kind == ListedKind::Directory {
            traits.push("drop");
        }
        if self.0.keys_stale {
            traits.push("stale");
        }
        traits.join(" ")
    }
}

/// Text from somebody else, its control characters shown and not obeyed.
pub fn shown(text: &str) -> String {
    ticrypt_types::name::Harmless(text).to_string()
}

fn kind(listed: &Listed) -> &'static str {
    match listed.kind {
        ListedKind::Directory => "folder",
        ListedKind::File => "file",
        ListedKind::Link => "link",
        ListedKind::Sharer => "person",
    }
}

fn icon(listed: &Listed) -> &'static str {
    match listed.kind {
        ListedKind::Directory => "folder",
        ListedKind::Link => "link",
        ListedKind::Sharer => "user",
        ListedKind::File => match listed.name.rsplit_once('.').map(|(_, ending)| ending.to_ascii_lowercase()).as_deref() {
            Some("png" | "jpg" | "jpeg" | "gif" | "webp" | "tif" | "tiff") => "photo",
            Some("pdf") => "file-type-pdf",
            Some("zip" | "gz" | "xz" | "zst" | "tar" | "bz2" | "7z") => "file-zip",
            Some("txt" | "md" | "csv" | "tsv" | "json" | "toml" | "py" | "r" | "rs" | "log") => "file-text",
            _ => "file",
        },
    }
}

fn marks(listed: &Listed) -> Vec<Mark> {
    let mut marks = Vec::new();
    if listed.shares > 0 {
        marks.push(Mark { icon: "users", title: "shared with others" });
    }
    if listed.conflicts > 0 {
        marks.push(Mark { icon: "alert-triangle", title: "versions that lost a race are in its history" });
    }
    if listed.keys_stale {
        marks.push(Mark { icon: "refresh", title: "somebody lost access; new keys are still to be made" });
    }
    marks
}

fn href(listed: &Listed) -> String {
    let page = if listed.kind == ListedKind::Directory { "/vault" } else { "/vault/details" };
    address(page, &listed.path)
}

/// An address with a path of the vault in it.
pub fn address(page: &str, path: &str) -> String {
    format!("{page}?{}", form_urlencoded::Serializer::new(String::new()).append_pair("at", path).finish())
}

/// One step of the way to a folder.
pub struct Crumb {
    pub name: String,
    pub href: String,
    /// Where what is dropped on it goes.
    pub path: Option<String>,
}

/// The way to a path, its own place last and without an address.
pub fn crumbs(path: &VaultPath) -> Vec<Crumb> {
    let mut crumbs = Vec::new();
    let mut at = Some(path.clone());
    while let Some(here) = at {
        let name = here.names().last().map(|name| name.harmless().to_string());
        let is_top = name.is_none();
        let name = name.unwrap_or_else(|| match here.text().trim_start_matches("/@shared").trim_start_matches('/') {
            "" => "Vault".to_owned(),
            share => shown(share),
        });
        let href = address("/vault", &here.text());
        crumbs.push(Crumb { name, href, path: Some(here.text()) });
        at = if is_top { None } else { here.split().ok().map(|(above, _)| above) };
    }
    if !matches!(path.place(), ticrypt_client::vault::path::Place::Home) {
        crumbs.push(Crumb { name: "Shared with me".to_owned(), href: "/shared".to_owned(), path: None });
    }
    crumbs.reverse();
    crumbs
}

#[derive(Template)]
#[template(path = "vault.html")]
struct Page {
    chrome: Chrome,
    crumbs: Vec<Crumb>,
    at: String,
    table: String,
    may_write: bool,
    tree: Vec<Twig>,
}

/// A folder in the tree beside the list; those on the way to the one shown are open.
pub struct Twig {
    name: String,
    href: String,
    path: String,
    here: bool,
    below: Vec<Twig>,
}

impl Twig {
    /// With what is below, as a list in a list.
    fn html(&self) -> String {
        let line = TwigLine { name: &self.name, href: &self.href, path: &self.path, here: self.here };
        let below: String = self.below.iter().map(Self::html).collect();
        let below = if below.is_empty() { below } else { format!("<ul>{below}</ul>") };
        format!("<li>{}{below}</li>", askama::Template::render(&line).unwrap_or_default())
    }
}

#[derive(Template)]
#[template(path = "vault_twig.html")]
struct TwigLine<'a> {
    name: &'a str,
    href: &'a str,
    path: &'a str,
    here: bool,
}

const ACTIONS: &[Action] = &[
    Action { title: "Download", icon: "download", act: "/vault/download", one: true, needs: "file", ..Action::NONE },
    Action { title: "Save to…", icon: "folder-symlink", dialog: "/vault/get-dialog", ..Action::NONE },
    Action { title: "Share…", icon: "share", dialog: "/share/dialog", one: true, ..Action::NONE },
    Action { title: "Rename…", icon: "pencil", dialog: "/vault/rename-dialog", one: true, key: "F2", ..Action::NONE },
    Action { title: "Move or copy…", icon: "copy", dialog: "/vault/move-dialog", ..Action::NONE },
    Action { title: "Make new keys", icon: "refresh", act: "/vault/rekey", needs: "stale", ..Action::NONE },
    Action { title: "Move to trash", icon: "trash", act: "/vault/trash", key: "Delete", danger: true, ..Action::NONE },
];

/// `GET /vault?at=PATH`.
pub async fn page(Visit(office): Visit, fields: Fields) -> Result<Response> {
    let at = path(fields.get("at").filter(|at| !at.is_empty()).unwrap_or("/"))?;
    let found = office.vault.resolve(&at).await?;
    let listed = office.vault.list(&found.path).await?;
    let tree = twigs(&office, &found.path, &listed).await?;
    let may_write = found.held.root.verbs().contains(ticrypt_types::Verbs::EDIT);
    let rows: Vec<_> = listed.into_iter().map(Item).collect();
    let look = Look {
        one: "item",
        many: "items",
        sort: "name",
        hides: true,
        moves: if may_write { "/vault/move" } else { "" },
        empty_icon: "cloud-upload",
        empty: "Nothing here yet",
        empty_hint: "Drop files and folders here, or use Upload.",
        actions: ACTIONS,
    };
    ui::html(&Page {
        chrome: Chrome::new(&office, if matches!(at.place(), ticrypt_client::vault::path::Place::Home) { "/vault" } else { "/shared" }),
        crumbs: crumbs(&found.path),
        at: found.path.text(),
        table: ui::table(&office, rows, &look)?,
        may_write,
        tree,
    })
}

/// The folders along the way, each with its neighbours, down to those in the folder shown.
async fn twigs(office: &Office, at: &VaultPath, listed: &[Listed]) -> Result<Vec<Twig>> {
    let mut below = folders(listed.iter(), None, Vec::new());
    let (mut here, mut is_shown) = (at.clone(), true);
    while !here.names().is_empty() {
        let (above, name) = here.split().map_err(|e| Trouble::invalid(e.to_string()))?;
        let around = office.vault.list(&above).await?;
        below = folders(around.iter(), Some((name.as_str(), is_shown)), below);
        (here, is_shown) = (above, false);
    }
    Ok(below)
}

fn folders<'a>(listed: impl Iterator<Item = &'a Listed>, open: Option<(&str, bool)>, inside: Vec<Twig>) -> Vec<Twig> {
    let mut inside = Some(inside);
    let mut twigs = Vec::new();
    for one in listed.filter(|one| one.kind == ListedKind::Directory) {
        let is_open = open.is_some_and(|(name, _)| name == one.name);
        twigs.push(Twig {
            name: shown(&one.name),
            href: href(one),
            path: one.path.clone(),
            here: is_open && open.is_some_and(|(_, shown)| shown),
            below: if is_open { inside.take().unwrap_or_default() } else { Vec::new() },
        });
    }
    twigs
}

/// The selected paths.
pub fn paths(office: &Office, fields: &Fields) -> Result<Vec<VaultPath>> {
    table::selection(&office.sheets, fields)?.iter().map(|key| path(key)).collect()
}

/// The one selected path.
pub fn one(office: &Office, fields: &Fields) -> Result<VaultPath> {
    let mut paths = paths(office, fields)?;
    match (paths.pop(), paths.is_empty()) {
        (Some(path), true) => Ok(path),
        _ => Err(Trouble::invalid("choose one item for this")),
    }
}

#[derive(Template)]
#[template(path = "vault_name.html")]
struct NameDialog {
    title: &'static str,
    action: &'static str,
    button: &'static str,
    at: String,
    name: String,
}

/// `POST /vault/folder-dialog`.
pub async fn folder_dialog(fields: Fields) -> Result<Response> {
    let at = fields.need("at")?.to_owned();
    ui::html(&NameDialog { title: "New folder", action: "/vault/folder", button: "Make the folder", at, name: String::new() })
}

fn name(fields: &Fields) -> Result<NodeName> {
    NodeName::normalise(fields.need("name")?).map_err(|e| Trouble::invalid(format!("this cannot be a name: {e}")))
}

/// `POST /vault/folder`.
pub async fn folder(Inside(office): Inside, fields: Fields) -> Result<Done> {
    let made = path(fields.need("at")?)?.child(&name(&fields)?);
    office.vault.mkdir(&made, false).await?;
    Ok(Done::rows(format!("Made {}.", made.names().last().map(|name| name.harmless().to_string()).unwrap_or_default())))
}

/// `POST /vault/rename-dialog`.
pub async fn rename_dialog(Inside(office): Inside, fields: Fields) -> Result<Response> {
    let at = one(&office, &fields)?;
    let name = at.names().last().map(|name| name.as_str().to_owned()).unwrap_or_default();
    ui::html(&NameDialog { title: "Rename", action: "/vault/rename", button: "Rename", at: at.text(), name })
}

/// `POST /vault/rename`.
pub async fn rename(Inside(office): Inside, fields: Fields) -> Result<Done> {
    let from = path(fields.need("at")?)?;
    let (above, _) = from.split().map_err(|e| Trouble::invalid(e.to_string()))?;
    let to = above.child(&name(&fields)?);
    if to == from {
        return Ok(Done::default());
    }
    if office.vault.find_node(&to).await?.is_some() {
        return Err(Trouble::invalid("something of this name is here already; choose another name"));
    }
    office.vault.mv(&from, &to, &Quiet, &Cancel::new()).await?;
    Ok(Done::rows("Renamed."))
}

#[derive(Template)]
#[template(path = "vault_move.html")]
struct MoveDialog {
    count: String,
    keys: Vec<String>,
    folders: Vec<Branch>,
}

/// A folder one could go to.
pub struct Branch {
    name: String,
    path: String,
}

/// `POST /vault/move-dialog`.
pub async fn move_dialog(Inside(office): Inside, fields: Fields) -> Result<Response> {
    let keys: Vec<String> = paths(&office, &fields)?.iter().map(VaultPath::text).collect();
    let count = ui::count(keys.len(), "item", "items");
    ui::html(&MoveDialog { count, keys, folders: vec![Branch { name: "Vault".to_owned(), path: "/".to_owned() }] })
}

#[derive(Template)]
#[template(path = "vault_tree.html")]
struct Tree {
    folders: Vec<Branch>,
}

/// `GET /vault/tree?at=PATH`: folders in a folder, for the tree in a dialog.
pub async fn tree(Inside(office): Inside, fields: Fields) -> Result<Response> {
    let at = path(fields.need("at")?)?;
    let listed = office.vault.list(&at).await?.into_iter().filter(|listed| listed.kind == ListedKind::Directory);
    let folders = listed.map(|listed| Branch { name: shown(&listed.name), path: listed.path });
    ui::html(&Tree { folders: folders.collect() })
}

async fn relocate(office: &Office, fields: &Fields, copies: bool) -> Result<Done> {
    let into = path(fields.need("to")?)?;
    let mut notes = Vec::new();
    let mut count = 0;
    let (mut moved, mut above) = (Vec::new(), BTreeSet::new());
    for from in paths(office, fields)? {
        let done = if copies {
            office.vault.cp(&from, &into, &Quiet, &Cancel::new()).await.map(|_| None)
        } else {
            office.vault.mv(&from, &into, &Quiet, &Cancel::new()).await.map(Some)
        };
        match done {
            Ok(to) => {
                count += 1;
                moved.extend(to.map(|to| to.text()));
                above.extend(from.split().ok().map(|(above, _)| above.text()));
            }
            Err(error) => notes.push(format!("{from}: {error}").into()),
        }
    }
    let word = if copies { "Copied" } else { "Moved" };
    let toast = (count > 0).then(|| format!("{word} {} to {into}.", ui::count(count, "item", "items")));
    let fields = ui::fields("key", moved.iter().map(String::as_str));
    // Everything of one list came from one folder, and goes back there.
    let undo = above.first().filter(|_| !moved.is_empty() && above.len() == 1 && moved.len() <= UNDO_MAX).map(|above| Offer {
        label: "Undo",
        what: Offered::Act("/vault/move"),
        fields: format!("{}&{fields}", ui::field("to", above)),
    });
    Ok(Done { toast, notes, undo, reload: Some("rows"), ..Done::default() })
}

/// `POST /vault/move`.
pub async fn move_to(Inside(office): Inside, fields: Fields) -> Result<Done> {
    relocate(&office, &fields, false).await
}

/// `POST /vault/copy`.
pub async fn copy_to(Inside(office): Inside, fields: Fields) -> Result<Done> {
    relocate(&office, &fields, true).await
}

/// `POST /vault/trash`.
pub async fn to_trash(Inside(office): Inside, fields: Fields) -> Result<Done> {
    let removed = office.vault.rm(&paths(&office, &fields)?).await?;
    let nodes: Vec<String> = removed.iter().map(ToString::to_string).collect();
    let undo = Offer { label: "Undo", what: Offered::Act("/trash/restore"), fields: ui::fields("key", nodes.iter().map(String::as_str)) };
    let undo = (removed.len() <= UNDO_MAX).then_some(undo);
    Ok(Done { undo, ..Done::rows(format!("Moved {} to the trash.", ui::count(removed.len(), "item", "items"))) })
}

/// `POST /vault/rekey`.
pub async fn rekey(Inside(office): Inside, fields: Fields) -> Result<Done> {
    let mut made = 0;
    for path in paths(&office, &fields)? {
        let report = office.vault.rekey(&path, &Quiet, &Cancel::new()).await?;
        made += report.files + report.directories;
    }
    Ok(Done::rows(format!("New keys for {made} files and folders.")))
}

/// `POST /vault/download`: one file, saved by the browser.
pub async fn download(Inside(office): Inside, fields: Fields) -> Result<Done> {
    let ticket = office.tickets.give(Good::File { path: one(&office, &fields)?, version: None })?;
    Ok(Done { file: Some(format!("/file/{ticket}")), ..Done::default() })
}

#[derive(Template)]
#[template(path = "vault_get.html")]
struct GetDialog {
    count: String,
    keys: Vec<String>,
    folder: String,
}

/// `POST /vault/get-dialog`: anything, written into a folder of this machine.
pub async fn get_dialog(Inside(office): Inside, fields: Fields) -> Result<Response> {
    let keys: Vec<String> = paths(&office, &fields)?.iter().map(VaultPath::text).collect();
    let folder = super::local::start().display().to_string();
    ui::html(&GetDialog { count: ui::count(keys.len(), "item", "items"), keys, folder })
}

/// `POST /vault/get`.
pub async fn get(State(app): State<Shared>, Inside(office): Inside, fields: Fields) -> Result<Done> {
    let into = PathBuf::from(fields.need("folder")?);
    if !into.is_absolute() || !into.is_dir() {
        return Err(Trouble::invalid(format!("{} is not a folder of this machine; choose one", into.display())));
    }
    let sources = fields.each("key").map(path).collect::<Result<Vec<_>>>()?;
    download::begin(&app.desk, &office, Download { sources, into, if_exists: if_exists(fields.get("exists").unwrap_or("keep-both"))? });
    Ok(Done::default())
}

/// A day from a form, as `2027-01-31`: its last moment in UTC. Nothing is no time.
pub fn day(text: &str) -> Result<Timestamp> {
    let text = text.trim();
    if text.is_empty() {
        return Ok(Timestamp::ABSENT);
    }
    let begins = ticrypt_client::when::parse(text, ticrypt_client::clock::now());
    let begins = begins.ok_or_else(|| Trouble::invalid(format!("`{}` is not a day; write it as 2027-01-31", shown(text))))?;
    Ok(begins.plus_millis(24 * 60 * 60 * 1_000 - 1))
}
