//! The vault: what is in a folder, and what can be done with it.

use std::collections::BTreeSet;
use std::path::PathBuf;

use askama::Template;
use axum::extract::State;
use axum::response::{IntoResponse, Redirect, Response};
use ticrypt_client::group::{LOCKED, WAITING};
use ticrypt_client::vault::listing::Contents;
use ticrypt_client::vault::path::Place;
use ticrypt_client::vault::progress::{Cancel, Quiet};
use ticrypt_client::vault::{Directory, Found, Member, VaultPath};
use ticrypt_types::{GroupId, GroupPermissions, NodeId, NodeName, Timestamp, Verbs};

use super::groups::{page_of, path_of};
use super::{Inside, Visit, folder};
use crate::Shared;
use crate::desk::Office;
use crate::fields::Fields;
use crate::table;
use crate::ticket::Good;
use crate::transfer::disk::{self, Copying, Way};
use crate::transfer::upload::{if_exists, path};
use crate::trouble::{Result, Trouble};
use crate::ui::{self, Action, Chrome, Done, Look, Offer, Offered};

/// More than this is not taken back by one click.
const UNDO_MAX: usize = 1_000;

/// Text from somebody else, its control characters shown and not obeyed.
pub fn shown(text: &str) -> String {
    ticrypt_types::name::Harmless(text).to_string()
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
        let name = name.unwrap_or_else(|| match here.place() {
            Place::Group { label } => shown(label.as_str()),
            _ => match here.text().trim_start_matches("/@shared").trim_start_matches('/') {
                "" => "Vault".to_owned(),
                share => shown(share),
            },
        });
        let href = address("/vault", &here.text());
        crumbs.push(Crumb { name, href, path: Some(here.text()) });
        at = if is_top { None } else { here.split().ok().map(|(above, _)| above) };
    }
    let list = match path.place() {
        Place::Home => None,
        Place::Groups | Place::Group { .. } => Some(("Groups", "/groups")),
        _ => Some(("Shared with me", "/shared")),
    };
    crumbs.extend(list.map(|(name, href)| Crumb { name: name.to_owned(), href: href.to_owned(), path: None }));
    crumbs.reverse();
    crumbs
}

/// The place in the bar to which a path belongs.
pub fn here(path: &VaultPath) -> &'static str {
    match path.place() {
        Place::Home => "/vault",
        Place::Groups | Place::Group { .. } => "/groups",
        Place::Sharers | Place::SharedBy(_) | Place::Share { .. } => "/shared",
    }
}

/// What one may do with the entries of a tree, as far as it is the same for all of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct May {
    pub add: bool,
    pub remove: bool,
    pub make: bool,
    /// Nothing in a group is shared beside it.
    pub share: bool,
    pub tag: bool,
}

impl May {
    pub fn of(office: &Office, found: &Found) -> Self {
        let root = &found.held.root;
        match &root.group {
            Some(chain) => {
                let own = chain.roster().permissions(office.session().user()).unwrap_or_default();
                let has = |bit| own.contains(bit);
                Self {
                    add: has(GroupPermissions::ADD_ENTRIES),
                    remove: has(GroupPermissions::REMOVE_ENTRIES),
                    make: has(GroupPermissions::CREATE_DIRECTORIES),
                    share: false,
                    tag: has(GroupPermissions::MODIFY_TAG),
                }
            }
            None => {
                let edit = root.verbs().contains(Verbs::EDIT);
                Self { add: edit, remove: edit, make: edit, share: true, tag: true }
            }
        }
    }

    /// A name leaves the list and another comes into it.
    pub fn rename(self) -> bool {
        self.add && self.remove
    }

    /// Words by which actions know what they fit.
    pub fn traits(self) -> impl Iterator<Item = &'static str> {
        let words = [(self.remove, "remove"), (self.rename(), "rename"), (self.share, "share"), (self.tag, "tag")];
        words.into_iter().filter_map(|(may, word)| may.then_some(word))
    }
}

/// The group whose directory it is in.
pub fn group_of(found: &Found) -> Option<GroupId> {
    found.held.root.group.as_ref().map(|chain| chain.group())
}

#[derive(Template)]
#[template(path = "vault.html")]
struct Page {
    chrome: Chrome,
    crumbs: Vec<Crumb>,
    at: String,
    table: String,
    may: May,
    /// In a group: the addresses of its page and of its trash.
    group: Option<(String, String)>,
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
    Action { title: "Download", icon: "download", act: "/vault/download", one: true, needs: "file open", ..Action::NONE },
    Action { title: "Save to…", icon: "folder-symlink", dialog: "/vault/get-dialog", needs: "open", ..Action::NONE },
    Action { title: "Share…", icon: "share", dialog: "/share/dialog", one: true, needs: "open share", ..Action::NONE },
    Action { title: "Who can open it", icon: "eye", act: "/vault/access/open", one: true, ..Action::NONE },
    Action { title: "Tag…", icon: "tag", dialog: "/vault/tag-dialog", one: true, needs: "open tag", ..Action::NONE },
    Action {
        title: "Rename…", icon: "pencil", dialog: "/vault/rename-dialog", one: true, needs: "open rename", key: "F2", ..Action::NONE
    },
    Action { title: "Move or copy…", icon: "copy", dialog: "/vault/move-dialog", needs: "open", ..Action::NONE },
    Action { title: "Make new keys", icon: "refresh", act: "/vault/rekey", needs: "stale", ..Action::NONE },
    Action {
        title: "Move to trash",
        icon: "trash",
        act: "/vault/trash",
        needs: "open remove",
        key: "Delete",
        danger: true,
        ..Action::NONE
    },
];

/// `GET /vault?at=PATH`.
pub async fn page(Visit(office): Visit, fields: Fields) -> Result<Response> {
    let at = path(fields.get("at").filter(|at| !at.is_empty()).unwrap_or("/"))?;
    if at.is_index() {
        return Ok(Redirect::to(here(&at)).into_response());
    }
    let found = match (office.vault.resolve(&at).await, at.place()) {
        // The page of the group says what stands in the way.
        (Err(error), Place::Group { label }) if [LOCKED, WAITING].contains(&error.code()) => {
            let group = office.vault.groups().find(label.as_str()).await?.group;
            return Ok(Redirect::to(&page_of(group)).into_response());
        }
        (found, _) => found?,
    };
    if !found.is_directory() {
        return Ok(Redirect::to(&address("/vault/details", &found.path.text())).into_response());
    }
    let contents = office.vault.contents(&found).await?;
    let tree = twigs(&found, &contents);
    let (may, group) = (May::of(&office, &found), group_of(&found));
    let look = Look {
        one: "item",
        many: "items",
        sort: "name",
        hides: true,
        moves: if may.rename() { "/vault/move" } else { "" },
        empty_icon: if may.add { "cloud-upload" } else { "folder" },
        empty: "Nothing here yet",
        empty_hint: match (group.is_some(), may.add) {
            (false, true) => "Drop files and folders here, or use Upload.",
            (true, true) => "Drop files here, or use Upload: all members of the group read them.",
            (false, false) => "The share does not let you add anything.",
            (true, false) => "You may read here; adding files takes a permission in the group.",
        },
        actions: ACTIONS,
    };
    ui::html(&Page {
        chrome: Chrome::new(&office, here(&at)),
        crumbs: crumbs(&found.path),
        at: found.path.text(),
        table: ui::table(&office, folder::rows(&office, contents, may).await?, &look)?,
        may,
        group: group.map(|group| (page_of(group), address("/trash", &found.path.top().text()))),
        tree,
    })
}

/// The folders along the way, each with its neighbours, down to those in the folder shown.
fn twigs(found: &Found, contents: &Contents) -> Vec<Twig> {
    let mut below = folders(&contents.path, &contents.directory, None, Vec::new());
    let (mut here, mut is_shown) = (contents.path.clone(), true);
    for (directory, member) in found.way.iter().rev() {
        let Ok((above, _)) = here.split() else { break };
        below = folders(&above, directory, Some((member.id(), is_shown)), below);
        (here, is_shown) = (above, false);
    }
    below
}

fn folders(path: &VaultPath, directory: &Directory, open: Option<(NodeId, bool)>, inside: Vec<Twig>) -> Vec<Twig> {
    let mut inside = Some(inside);
    let mut twigs = Vec::new();
    // What is locked is in the list, by its name, and leads nowhere.
    for member in directory.parts().directories {
        let is_open = open.is_some_and(|(node, _)| node == member.id());
        let path = path.child(&member.name).text();
        twigs.push(Twig {
            name: shown(member.name.as_str()),
            href: address("/vault", &path),
            path,
            here: is_open && open.is_some_and(|(_, shown)| shown),
            below: if is_open { inside.take().unwrap_or_default() } else { Vec::new() },
        });
    }
    twigs
}

/// The selected paths.
pub async fn paths(office: &Office, fields: &Fields) -> Result<Vec<VaultPath>> {
    table::selection(&office.sheets, fields).await?.iter().map(|key| path(key)).collect()
}

/// The one selected path.
pub async fn one(office: &Office, fields: &Fields) -> Result<VaultPath> {
    let mut paths = paths(office, fields).await?;
    match (paths.pop(), paths.is_empty()) {
        (Some(path), true) => Ok(path),
        _ => Err(Trouble::invalid("choose one item for this")),
    }
}

#[derive(Template)]
#[template(path = "vault_name.html")]
pub struct NameDialog {
    pub title: &'static str,
    pub action: &'static str,
    pub button: &'static str,
    /// What it is about.
    pub at: String,
    pub name: String,
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
    let at = one(&office, &fields).await?;
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
    icon: &'static str,
    name: String,
    path: String,
}

/// `POST /vault/move-dialog`.
pub async fn move_dialog(Inside(office): Inside, fields: Fields) -> Result<Response> {
    let keys: Vec<String> = paths(&office, &fields).await?.iter().map(VaultPath::text).collect();
    let count = ui::count(keys.len(), "item", "items");
    let mut folders = vec![Branch { icon: "home", name: "Vault".to_owned(), path: "/".to_owned() }];
    let groups = office.vault.groups().list().await?;
    for view in groups.iter().filter(|view| view.has_key && !view.locked) {
        let (name, path) = (shown(view.name.as_str()), path_of(view, &groups)?.text());
        folders.push(Branch { icon: "users-group", name, path });
    }
    ui::html(&MoveDialog { count, keys, folders })
}

#[derive(Template)]
#[template(path = "vault_tree.html")]
struct Tree {
    folders: Vec<Branch>,
}

/// `GET /vault/tree?at=PATH`: folders in a folder, for the tree in a dialog.
pub async fn tree(Inside(office): Inside, fields: Fields) -> Result<Response> {
    let at = path(fields.need("at")?)?;
    let found = office.vault.resolve(&at).await?;
    let contents = office.vault.contents(&found).await?;
    let below = contents.directory.parts().directories;
    let branch =
        |member: &Member| Branch { icon: "folder", name: shown(member.name.as_str()), path: contents.path.child(&member.name).text() };
    let folders = below.iter().map(|member| branch(member));
    ui::html(&Tree { folders: folders.collect() })
}

async fn relocate(office: &Office, fields: &Fields, copies: bool) -> Result<Done> {
    let into = path(fields.need("to")?)?;
    let mut notes = Vec::new();
    let mut count = 0;
    let (mut moved, mut above) = (Vec::new(), BTreeSet::new());
    for from in paths(office, fields).await? {
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
    let paths = paths(&office, &fields).await?;
    let removed = office.vault.rm(&paths).await?;
    let nodes: Vec<String> = removed.iter().map(ToString::to_string).collect();
    // Each tree has its trash.
    let tree = paths.first().map(|path| ui::field("at", &path.top().text())).unwrap_or_default();
    let fields = format!("{tree}&{}", ui::fields("key", nodes.iter().map(String::as_str)));
    let undo = Offer { label: "Undo", what: Offered::Act("/trash/restore"), fields };
    let undo = (removed.len() <= UNDO_MAX).then_some(undo);
    Ok(Done { undo, ..Done::rows(format!("Moved {} to the trash.", ui::count(removed.len(), "item", "items"))) })
}

/// `POST /vault/rekey`.
pub async fn rekey(Inside(office): Inside, fields: Fields) -> Result<Done> {
    let mut made = 0;
    for path in paths(&office, &fields).await? {
        let report = office.vault.rekey(&path, &Quiet, &Cancel::new()).await?;
        made += report.files + report.directories;
    }
    Ok(Done::rows(format!("New keys for {made} files and folders.")))
}

/// `POST /vault/download`: one file, saved by the browser.
pub async fn download(Inside(office): Inside, fields: Fields) -> Result<Done> {
    let ticket = office.tickets.give(Good::File { path: one(&office, &fields).await?, version: None })?;
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
    let keys: Vec<String> = paths(&office, &fields).await?.iter().map(VaultPath::text).collect();
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
    let if_exists = if_exists(fields.get("exists").unwrap_or("keep-both"))?;
    disk::begin(&app.desk, &office, Copying { way: Way::Out { sources, into }, if_exists });
    Ok(Done::default())
}

#[derive(Template)]
#[template(path = "vault_put.html")]
struct PutDialog {
    at: String,
    start: String,
}

/// `POST /vault/put-dialog`: a file or a folder of this machine, read by this program.
pub async fn put_dialog(fields: Fields) -> Result<Response> {
    ui::html(&PutDialog { at: fields.need("at")?.to_owned(), start: super::local::home().display().to_string() })
}

/// `POST /vault/put`.
pub async fn put(State(app): State<Shared>, Inside(office): Inside, fields: Fields) -> Result<Done> {
    let (into, source) = (path(fields.need("at")?)?, fields.need("source")?);
    let source = disk::there(source)
        .ok_or_else(|| Trouble::invalid(format!("there is no file or folder {} on this machine; choose one", shown(source))))?;
    let if_exists = if_exists(fields.get("exists").unwrap_or("keep-both"))?;
    disk::begin(&app.desk, &office, Copying { way: Way::In { sources: vec![source], into }, if_exists });
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
