//! What others share with this person, and all this person shares: each one page to look through and to end.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use askama::Template;
use axum::response::Response;
use serde::Serialize;
use ticrypt_client::vault::progress::{Cancel, Quiet};
use ticrypt_client::vault::share::{NewKeys, Standing};
use ticrypt_types::{NodeKind, Timestamp, UserName};

use super::share::may;
use super::vault::{address, shown};
use super::{Inside, Visit};
use crate::fields::Fields;
use crate::table::{self, Cell, Column, Filter, Row, Tag};
use crate::transfer::upload::path;
use crate::trouble::{Result, Trouble};
use crate::ui::{self, Action, Chrome, Done, Look};

#[derive(Serialize)]
#[serde(transparent)]
struct WithMe(Standing);

#[derive(Serialize)]
#[serde(transparent)]
struct ByMe(Standing);

fn name(standing: &Standing, person: &UserName) -> String {
    standing.name.clone().map_or_else(|| format!("something of {person}"), |name| shown(&name))
}

fn common(standing: &Standing, column: &str) -> Option<Cell> {
    Some(match column {
        "may" => Cell::Text(may(standing.verbs)),
        "since" => Cell::Time(standing.issued_ms),
        "expires" => Cell::Time(standing.expires_ms.unwrap_or(Timestamp::ABSENT)),
        "path" => Cell::Text(standing.path.as_deref().map(shown).unwrap_or_default()),
        "state" if standing.dead => Cell::badge("red", "keys lost"),
        "state" => Cell::badge("green", "live"),
        _ => return None,
    })
}

fn order(a: &Standing, b: &Standing, column: &str) -> Ordering {
    match column {
        "may" => a.verbs.bits().cmp(&b.verbs.bits()),
        "since" => a.issued_ms.cmp(&b.issued_ms),
        "expires" => a.expires_ms.is_none().cmp(&b.expires_ms.is_none()).then(a.expires_ms.cmp(&b.expires_ms)),
        "path" => a.path.cmp(&b.path),
        "state" => a.dead.cmp(&b.dead),
        "sealer" => a.sealer.cmp(&b.sealer),
        "recipient" => a.recipient.cmp(&b.recipient),
        _ => a.name.cmp(&b.name),
    }
}

fn has(standing: &Standing, word: &str) -> bool {
    let texts = [standing.name.as_deref(), standing.path.as_deref(), Some(standing.sealer.as_str()), Some(standing.recipient.as_str())];
    texts.into_iter().flatten().any(|text| text.to_lowercase().contains(word))
}

fn icon(standing: &Standing) -> &'static str {
    if standing.kind == NodeKind::Directory { "folder" } else { "file" }
}

impl Row for WithMe {
    const NOUN: &'static str = "shared-with-me";
    const COLUMNS: &'static [Column] = &[
        Column::shown("name", "Name"),
        Column::shown("sealer", "Shared by"),
        Column::shown("may", "I may"),
        Column::shown("expires", "Until"),
        Column::shown("since", "Since"),
    ];

    fn key(&self) -> String {
        self.0.path.clone().unwrap_or_default()
    }

    fn cell(&self, column: &str) -> Cell {
        let page = if self.0.kind == NodeKind::Directory { "/vault" } else { "/vault/details" };
        match column {
            "name" => Cell::Name {
                icon: icon(&self.0),
                text: name(&self.0, &self.0.sealer),
                href: self.0.path.as_deref().map(|path| address(page, path)),
                marks: Vec::new(),
                tags: if self.0.locked { vec![Tag::locked()] } else { Vec::new() },
            },
            "sealer" => Cell::Text(self.0.sealer.to_string()),
            other => common(&self.0, other).unwrap_or(Cell::Text(String::new())),
        }
    }

    fn order(&self, other: &Self, column: &str) -> Ordering {
        order(&self.0, &other.0, column)
    }

    fn has(&self, word: &str) -> bool {
        has(&self.0, word)
    }
}

impl Row for ByMe {
    const NOUN: &'static str = "shared-by-me";
    const COLUMNS: &'static [Column] = &[
        Column::shown("name", "Name"),
        Column::shown("recipient", "Shared with"),
        Column::shown("may", "They may"),
        Column::shown("path", "Where"),
        Column::shown("expires", "Until"),
        Column::shown("since", "Since"),
        Column::hidden("sealer", "Given by"),
        Column::shown("state", "State"),
    ];
    const FILTERS: &'static [Filter] =
        &[Filter { key: "ends", title: "Until", values: &[("never", "Never ends by itself"), ("some", "Has an end")] }];

    fn key(&self) -> String {
        // A user name has no slash, and a path begins with one.
        format!("{}{}", self.0.recipient, self.0.path.clone().unwrap_or_default())
    }

    fn cell(&self, column: &str) -> Cell {
        match column {
            "name" => Cell::Name {
                icon: icon(&self.0),
                text: name(&self.0, &self.0.recipient),
                href: self.0.path.as_deref().map(|path| address("/vault/details", path)),
                marks: Vec::new(),
                tags: Vec::new(),
            },
            "recipient" => Cell::Text(self.0.recipient.to_string()),
            "sealer" => Cell::Text(self.0.sealer.to_string()),
            other => common(&self.0, other).unwrap_or(Cell::Text(String::new())),
        }
    }

    fn order(&self, other: &Self, column: &str) -> Ordering {
        order(&self.0, &other.0, column)
    }

    fn has(&self, word: &str) -> bool {
        has(&self.0, word)
    }

    fn filtered(&self, _: &str) -> &'static str {
        if self.0.expires_ms.is_none() { "never" } else { "some" }
    }
}

#[derive(Template)]
#[template(path = "shares.html")]
struct Page {
    chrome: Chrome,
    title: &'static str,
    lede: &'static str,
    unbelieved: Vec<String>,
    table: String,
}

/// `GET /shared`.
pub async fn with_me(Visit(office): Visit) -> Result<Response> {
    let (standing, unbelieved) = office.vault.shares_with_me().await?;
    let rows: Vec<_> = standing.into_iter().map(WithMe).collect();
    const ACTIONS: &[Action] = &[
        Action { title: "Save to…", icon: "folder-symlink", dialog: "/vault/get-dialog", ..Action::NONE },
        Action {
            title: "Leave",
            icon: "door-exit",
            act: "/shares/leave",
            confirm: "You will lose access to {n} shares. Only whoever shared them can give it again.",
            key: "Delete",
            danger: true,
            ..Action::NONE
        },
    ];
    let look = Look {
        one: "share",
        many: "shares",
        sort: "name",
        empty_icon: "users",
        empty: "Nobody shares anything with you yet",
        empty_hint: "What colleagues share appears here. They find you by your exact user name.",
        actions: ACTIONS,
        ..Look::PLAIN
    };
    ui::html(&Page {
        chrome: Chrome::new(&office, "/shared"),
        title: "Shared with me",
        lede: "",
        unbelieved: unbelieved.iter().map(|one| one.why.to_string()).collect(),
        table: ui::table(&office, rows, &look)?,
    })
}

/// `GET /sharing`.
pub async fn by_me(Visit(office): Visit) -> Result<Response> {
    let standing = office.vault.shares_by_me().await?;
    let rows: Vec<_> = standing.into_iter().map(ByMe).collect();
    const ACTIONS: &[Action] = &[
        Action { title: "What they reach", icon: "list-tree", act: "/reach/open", one: true, ..Action::NONE },
        Action {
            title: "End",
            icon: "ban",
            act: "/shares/end",
            confirm: "{n} shares will end. What people copied while they had access stays with them.",
            key: "Delete",
            danger: true,
            ..Action::NONE
        },
    ];
    let look = Look {
        one: "share",
        many: "shares",
        sort: "name",
        empty_icon: "share",
        empty: "You share nothing",
        empty_hint: "Choose a file or a folder in the vault, then Share.",
        actions: ACTIONS,
        ..Look::PLAIN
    };
    ui::html(&Page {
        chrome: Chrome::new(&office, "/sharing"),
        title: "Shared by me",
        lede: "Everything others can reach because of you. End here what is not needed any more.",
        unbelieved: Vec::new(),
        table: ui::table(&office, rows, &look)?,
    })
}

/// `POST /shares/leave`.
pub async fn leave(Inside(office): Inside, fields: Fields) -> Result<Done> {
    let keys = table::selection(&office.sheets, &fields).await?;
    for key in &keys {
        office.vault.leave(&path(key)?).await?;
    }
    Ok(Done::rows(format!("Left {}.", ui::count(keys.len(), "share", "shares"))))
}

/// `POST /shares/end`.
pub async fn end(Inside(office): Inside, fields: Fields) -> Result<Done> {
    let keys = table::selection(&office.sheets, &fields).await?;
    let mut by_path: BTreeMap<String, Vec<UserName>> = BTreeMap::new();
    for key in &keys {
        let Some((person, path)) = key.split_once('/') else {
            return Err(Trouble::invalid("a share of somebody else's tree is ended where it is: open it under Shared with me"));
        };
        let person = person.parse().map_err(|_| Trouble::invalid("this is not a share"))?;
        by_path.entry(format!("/{path}")).or_default().push(person);
    }
    let (mut ended, mut notes) = (0, Vec::new());
    for (at, people) in by_path {
        match office.vault.unshare(&path(&at)?, &people, NewKeys::NodeOnly, &Quiet, &Cancel::new()).await {
            Ok((out, _)) => ended += out.len(),
            Err(error) => notes.push(format!("{}: {error}", shown(&at)).into()),
        }
    }
    let toast = (ended > 0).then(|| format!("Ended {}.", ui::count(ended, "share", "shares")));
    Ok(Done { toast, notes, reload: Some("rows"), ..Done::default() })
}
