//! Rows of a folder: its names are known at once, what a file holds is asked for when its row comes into sight.

use std::cmp::Ordering;
use std::sync::{Arc, OnceLock, Weak};

use serde::ser::Error as _;
use serde::{Serialize, Serializer};
use ticrypt_client::Kind;
use ticrypt_client::project::Projects;
use ticrypt_client::vault::Member;
use ticrypt_client::vault::listing::{Contents, Listed, ListedKind};
use ticrypt_types::{ProjectId, Timestamp};

use super::vault::{May, address, shown};
use crate::desk::Office;
use crate::table::{Cell, Column, Filter, Mark, Row, Tag};
use crate::trouble::{Result, Trouble};

/// A folder as it was when it was shown.
pub struct Folder {
    /// Rows lie in the office that they ask.
    office: Weak<Office>,
    contents: Contents,
    may: May,
    /// Known where something in it is tagged.
    projects: Option<Projects>,
}

/// A row of a folder.
pub struct Item {
    folder: Arc<Folder>,
    member: Arc<Member>,
    /// By which it is sorted and found.
    lower: String,
    looked: OnceLock<Listed>,
}

/// The rows of a folder that was listed.
pub async fn rows(office: &Arc<Office>, contents: Contents, may: May) -> Result<Vec<Item>> {
    let is_tagged = contents.directory.members().any(|member| !member.tags.is_empty());
    let projects = if is_tagged { Some(Projects::load(office.session()).await?) } else { None };
    let folder = Arc::new(Folder { office: Arc::downgrade(office), contents, may, projects });
    let item = |member: &Arc<Member>| Item {
        folder: Arc::clone(&folder),
        lower: member.name.as_str().to_lowercase(),
        member: Arc::clone(member),
        looked: OnceLock::new(),
    };
    Ok(folder.contents.directory.members().map(item).collect())
}

impl Item {
    fn path(&self) -> String {
        self.folder.contents.path.child(&self.member.name).text()
    }

    /// A link is known as one when it was looked at.
    fn kind(&self) -> &'static str {
        match self.looked.get().map(|listed| listed.kind) {
            Some(ListedKind::Link) => "link",
            _ if self.member.is_directory() => "folder",
            _ => "file",
        }
    }

    fn icon(&self) -> &'static str {
        match (self.kind(), self.lower.rsplit_once('.').map(|(_, ending)| ending)) {
            ("folder", _) => "folder",
            ("link", _) => "link",
            (_, Some("png" | "jpg" | "jpeg" | "gif" | "webp" | "tif" | "tiff")) => "photo",
            (_, Some("pdf")) => "file-type-pdf",
            (_, Some("zip" | "gz" | "xz" | "zst" | "tar" | "bz2" | "7z")) => "file-zip",
            (_, Some("txt" | "md" | "csv" | "tsv" | "json" | "toml" | "py" | "r" | "rs" | "log")) => "file-text",
            _ => "file",
        }
    }

    fn marks(&self) -> Vec<Mark> {
        let view = &self.member.view;
        let mut marks = Vec::new();
        if view.shares > 0 {
            marks.push(Mark { icon: "users", title: "shared with others" });
        }
        if view.conflicts > 0 {
            marks.push(Mark { icon: "alert-triangle", title: "versions that lost a race are in its history" });
        }
        if view.keys_stale {
            marks.push(Mark { icon: "refresh", title: "somebody lost access; new keys are still to be made" });
        }
        marks
    }

    fn tags(&self) -> Vec<Tag> {
        if self.member.is_locked() {
            return vec![Tag::locked()];
        }
        let projects = self.folder.projects.as_ref();
        let tag = |project: &ProjectId| projects.and_then(|projects| projects.get(*project)).map_or_else(Tag::unknown, Tag::of);
        self.member.tags.iter().map(tag).collect()
    }

    /// What is locked leads nowhere.
    fn href(&self) -> Option<String> {
        let page = if self.member.is_directory() { "/vault" } else { "/vault/details" };
        (!self.member.is_locked()).then(|| address(page, &self.path()))
    }
}

impl Serialize for Item {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.looked.get() {
            Some(listed) => listed.serialize(serializer),
            None => Err(S::Error::custom("a row that was not looked at")),
        }
    }
}

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
        self.path()
    }

    fn cell(&self, column: &str) -> Cell {
        let listed = self.looked.get();
        match column {
            "name" => Cell::Name {
                icon: self.icon(),
                text: shown(self.member.name.as_str()),
                href: self.href(),
                marks: self.marks(),
                tags: self.tags(),
            },
            "size" => Cell::Size(listed.and_then(|listed| listed.size_bytes)),
            "modified" => Cell::Time(listed.map_or(Timestamp::ABSENT, |listed| listed.modified_ms)),
            "created" => Cell::Time(listed.map_or(Timestamp::ABSENT, |listed| listed.created_ms)),
            "writer" => Cell::Text(listed.and_then(|listed| listed.writer.as_ref()).map(ToString::to_string).unwrap_or_default()),
            "kind" => Cell::Text(self.kind().to_owned()),
            "version" => Cell::Text(listed.and_then(|listed| listed.sequence).map(|sequence| sequence.to_string()).unwrap_or_default()),
            _ => Cell::Code(listed.and_then(|listed| listed.sha256).map(|hash| hash.to_string()).unwrap_or_default()),
        }
    }

    fn order(&self, other: &Self, column: &str) -> Ordering {
        let (a, b) = (self.looked.get(), other.looked.get());
        let by = |key: fn(&Listed) -> Option<u64>| a.and_then(key).cmp(&b.and_then(key));
        match column {
            "size" => by(|listed| listed.size_bytes),
            "modified" => by(|listed| Some(listed.modified_ms.as_millis())),
            "created" => by(|listed| Some(listed.created_ms.as_millis())),
            "version" => by(|listed| listed.sequence),
            "writer" => a.and_then(|listed| listed.writer.as_ref()).cmp(&b.and_then(|listed| listed.writer.as_ref())),
            "kind" => self.kind().cmp(other.kind()),
            "sha256" => {
                let hash = |listed: Option<&Listed>| listed.and_then(|listed| listed.sha256).map(|hash| hash.to_bytes());
                hash(a).cmp(&hash(b))
            }
            _ => Ordering::Equal,
        }
        .then_with(|| self.lower.cmp(&other.lower))
        .then_with(|| self.member.name.cmp(&other.member.name))
    }

    fn has(&self, word: &str) -> bool {
        self.lower.contains(word)
    }

    fn filtered(&self, filter: &str) -> &'static str {
        match filter {
            "hidden" if self.lower.starts_with('.') => "yes",
            "hidden" => "no",
            _ => self.kind(),
        }
    }

    fn rank(&self) -> u8 {
        u8::from(!self.member.is_directory())
    }

    fn traits(&self) -> String {
        let mut traits = vec![self.kind(), "open"];
        if self.member.is_locked() {
            return format!("{} locked", self.kind());
        }
        traits.extend(self.folder.may.traits());
        if self.member.is_directory() && self.folder.may.add {
            traits.push("drop");
        }
        if self.member.view.keys_stale {
            traits.push("stale");
        }
        traits.join(" ")
    }

    fn is_plain(key: &str) -> bool {
        matches!(key, "" | "name" | "hidden")
    }

    async fn look(rows: Vec<&Self>) -> Result<()> {
        let unknown: Vec<&Self> = rows.into_iter().filter(|row| row.looked.get().is_none()).collect();
        let Some(folder) = unknown.first().map(|row| Arc::clone(&row.folder)) else { return Ok(()) };
        let office = folder.office.upgrade().ok_or_else(Trouble::locked)?;
        let members = unknown.iter().map(|row| Arc::clone(&row.member)).collect();
        let looked = office.vault.look(&folder.contents, members).await.map_err(|error| match error.kind() {
            Kind::Stale => Trouble::gone("the folder was changed meanwhile; load the page again"),
            _ => error.into(),
        })?;
        for (row, listed) in unknown.iter().zip(looked) {
            // Whoever came first looked at the same.
            let _ = row.looked.set(listed);
        }
        Ok(())
    }
}
