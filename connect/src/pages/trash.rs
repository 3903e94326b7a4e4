//! The trash of one's own tree, and of each group's.

use std::cmp::Ordering;
use std::collections::HashSet;

use askama::Template;
use axum::response::Response;
use serde::Serialize;
use ticrypt_api::group::GroupView;
use ticrypt_client::vault::VaultPath;
use ticrypt_client::vault::trash::Trashed;
use ticrypt_types::{GroupPermissions, NodeId, NodeKind};

use super::groups::path_of;
use super::vault::{address, shown};
use super::{Inside, Visit};
use crate::desk::Office;
use crate::fields::Fields;
use crate::table::{self, Cell, Column, Row};
use crate::transfer::upload::path;
use crate::trouble::{Result, Trouble};
use crate::ui::{self, Action, Chrome, Done, Look};

#[derive(Serialize)]
#[serde(transparent)]
struct Item(Trashed);

impl Row for Item {
    const NOUN: &'static str = "trash";
    const COLUMNS: &'static [Column] =
        &[Column::shown("name", "Name"), Column::shown("path", "Was in"), Column::shown("trashed", "Removed")];

    fn key(&self) -> String {
        self.0.node.to_string()
    }

    fn cell(&self, column: &str) -> Cell {
        let (above, name) = self.0.path.rsplit_once('/').unwrap_or(("", &self.0.path));
        match column {
            "name" => Cell::name(if self.0.kind == NodeKind::Directory { "folder" } else { "file" }, shown(name)),
            "path" => Cell::Text(shown(if above.is_empty() { "/" } else { above })),
            _ => Cell::Time(self.0.trashed_ms),
        }
    }

    fn order(&self, other: &Self, column: &str) -> Ordering {
        let name = |item: &Self| item.0.path.rsplit('/').next().unwrap_or_default().to_lowercase();
        match column {
            "trashed" => self.0.trashed_ms.cmp(&other.0.trashed_ms),
            "path" => self.0.path.cmp(&other.0.path),
            _ => name(self).cmp(&name(other)),
        }
    }

    fn has(&self, word: &str) -> bool {
        self.0.path.to_lowercase().contains(word)
    }
}

const ACTIONS: &[Action] = &[
    Action { title: "Restore", icon: "arrow-back-up", act: "/trash/restore", ..Action::NONE },
    Action {
        title: "Delete for good",
        icon: "trash",
        act: "/trash/delete",
        confirm: "{n} items will be deleted for good, with everything in them and all their versions. Nobody can bring them back.",
        key: "Delete",
        danger: true,
        ..Action::NONE
    },
];

#[derive(Template)]
#[template(path = "trash.html")]
struct Page {
    chrome: Chrome,
    table: String,
    empty: bool,
    at: String,
    /// There are groups, whose trash is looked at the same way.
    trees: Vec<Tree>,
}

/// A tree with a trash of its own.
struct Tree {
    name: String,
    href: String,
    here: bool,
}

/// Of which tree.
fn tree(fields: &Fields) -> Result<VaultPath> {
    Ok(path(fields.get("at").filter(|at| !at.is_empty()).unwrap_or("/"))?.top())
}

async fn trees(office: &Office, at: &VaultPath) -> Result<Vec<Tree>> {
    let groups = office.vault.groups().list().await?;
    let mut trees = vec![Tree { name: "My vault".to_owned(), href: "/trash".to_owned(), here: *at == VaultPath::home() }];
    let open = |view: &&GroupView| view.has_key && !view.locked && view.permissions.contains(GroupPermissions::REMOVE_ENTRIES);
    for view in groups.iter().filter(open) {
        let path = path_of(view, &groups)?;
        trees.push(Tree { name: shown(view.name.as_str()), href: address("/trash", &path.text()), here: path == *at });
    }
    Ok(trees)
}

/// `GET /trash?at=PATH`: of the tree that the path begins at.
pub async fn page(Visit(office): Visit, fields: Fields) -> Result<Response> {
    let at = tree(&fields)?;
    let rows: Vec<_> = office.vault.trash_list_of(&at).await?.into_iter().map(Item).collect();
    let look = Look {
        one: "item",
        many: "items",
        sort: "-trashed",
        empty_icon: "trash",
        empty: "The trash is empty",
        empty_hint: match at == VaultPath::home() {
            true => "What you remove from the vault waits here until you restore it or delete it for good.",
            false => "What members remove from the group's folder waits here until it is restored or deleted for good.",
        },
        actions: ACTIONS,
        ..Look::PLAIN
    };
    ui::html(&Page {
        chrome: Chrome::new(&office, "/trash"),
        empty: rows.is_empty(),
        table: ui::table(&office, rows, &look)?,
        trees: trees(&office, &at).await?,
        at: at.text(),
    })
}

async fn nodes(office: &Office, fields: &Fields) -> Result<HashSet<NodeId>> {
    let keys = table::selection(&office.sheets, fields).await?;
    keys.iter().map(|key| key.parse().map_err(|_| Trouble::invalid("this is not an item of the trash"))).collect()
}

/// `POST /trash/restore`.
pub async fn restore(Inside(office): Inside, fields: Fields) -> Result<Done> {
    let nodes = nodes(&office, &fields).await?;
    let items: Vec<Trashed> =
        office.vault.trash_list_of(&tree(&fields)?).await?.into_iter().filter(|item| nodes.contains(&item.node)).collect();
    if items.is_empty() {
        return Err(Trouble::not_found("this is not in the trash any more"));
    }
    let restored = office.vault.trash_restore(&items).await?;
    let words = match restored.as_slice() {
        [one] => format!("Restored {one}."),
        several => format!("Restored {}.", ui::count(several.len(), "item", "items")),
    };
    Ok(Done::rows(words))
}

/// `POST /trash/delete`.
pub async fn delete(Inside(office): Inside, fields: Fields) -> Result<Done> {
    let nodes: Vec<NodeId> = nodes(&office, &fields).await?.into_iter().collect();
    deleted(&office, &nodes).await
}

/// `POST /trash/empty`.
pub async fn empty(Inside(office): Inside, fields: Fields) -> Result<Done> {
    let nodes: Vec<NodeId> = office.vault.trash_list_of(&tree(&fields)?).await?.iter().map(|item| item.node).collect();
    deleted(&office, &nodes).await
}

async fn deleted(office: &Office, nodes: &[NodeId]) -> Result<Done> {
    let deleted = office.vault.delete(nodes).await?;
    let freed = ticrypt_client::show::size(deleted.stored_bytes);
    Ok(Done { reload: Some("page"), ..Done::said(format!("Deleted {} files and folders for good; {freed} freed.", deleted.nodes)) })
}
