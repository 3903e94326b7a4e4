//! One file or folder: what it is, its versions, who has access, what was done with it, and a look at it.

use askama::Template;
use axum::Json;
use axum::extract::State;
use axum::response::Response;
use serde::Serialize;
use ticrypt_client::project::Projects;
use ticrypt_client::vault::Found;
use ticrypt_client::vault::listing::ListedKind;
use ticrypt_client::{ClientError, Kind, show};
use ticrypt_types::{ProjectId, Timestamp, Verbs};

use super::groups::page_of;
use super::share::{Access, access};
use super::vault::{Crumb, May, crumbs, group_of, here, shown};
use super::{Inside, Visit};
use crate::Shared;
use crate::desk::Office;
use crate::fields::Fields;
use crate::preview::PREVIEW_MAX_BYTES;
use crate::ticket::Good;
use crate::transfer::file::escaped;
use crate::transfer::upload::path;
use crate::trouble::{Result, Trouble};
use crate::ui::{self, Chrome, Done};

/// Rows of the history that are shown.
const HISTORY: usize = 100;

#[derive(Template)]
#[template(path = "details.html")]
struct Page {
    chrome: Chrome,
    crumbs: Vec<Crumb>,
    name: String,
    at: String,
    is_file: bool,
    may_download: bool,
    may_share: bool,
    may_edit: bool,
    /// In a group: the address of its page.
    group: Option<String>,
    previews: bool,
    facts: Vec<(&'static str, String)>,
    versions: Vec<VersionRow>,
    shares: Vec<Access>,
    history: Vec<HistoryRow>,
}

struct VersionRow {
    number: u64,
    manifest: String,
    size: String,
    written: String,
    writer: String,
    current: bool,
    conflict: bool,
}

struct HistoryRow {
    at: String,
    who: String,
    what: String,
    outcome: String,
}

/// `GET /vault/details?at=PATH`.
pub async fn page(Visit(office): Visit, fields: Fields) -> Result<Response> {
    let at = path(fields.need("at")?)?;
    let found = office.vault.resolve(&at).await?;
    let listed = office.vault.stat_found(&found)?;
    let is_file = listed.kind == ListedKind::File;
    let mut facts = vec![("Path", shown(&listed.path))];
    if let Some(size) = listed.size_bytes {
        facts.push(("Size", format!("{} ({size} bytes)", show::size(size))));
    }
    for (title, at) in [("Modified", listed.modified_ms), ("Added", listed.created_ms)] {
        if at != Timestamp::ABSENT {
            facts.push((title, format!("{} UTC", show::time(at))));
        }
    }
    if let Some(writer) = &listed.writer {
        facts.push(("Written by", writer.to_string()));
    }
    if let Some(hash) = listed.sha256 {
        facts.push(("SHA-256", hash.to_string()));
    }
    if let Some(tags) = tags(&office, &found).await? {
        facts.push(("Tags", tags));
    }
    facts.push(("Keys", format!("generation {}{}", found.held.epoch, if listed.keys_stale { ", new ones are to be made" } else { "" })));
    let versions = if listed.kind == ListedKind::Directory {
        let usage = office.vault.usage(&at, 0).await?;
        if let Some(total) = usage.last() {
            let holds = format!(
                "{}, {}, {}",
                ui::count_of(total.files, "file", "files"),
                ui::count_of(total.directories, "folder", "folders"),
                show::size(total.bytes)
            );
            facts.insert(1, ("Holds", holds));
        }
        Vec::new()
    } else {
        let (_, versions) = office.vault.versions(&at).await?;
        versions.iter().map(version_row).collect()
    };
    let standing = unless_refused(office.vault.shares_of(&at).await)?;
    let history = unless_refused(office.vault.history(&at, HISTORY).await)?;
    let (verbs, may) = (found.held.root.verbs(), May::of(&office, &found));
    ui::html(&Page {
        chrome: Chrome::new(&office, here(&at)),
        crumbs: crumbs(&found.path),
        name: shown(&listed.name),
        at: found.path.text(),
        is_file,
        may_download: verbs.contains(Verbs::DOWNLOAD),
        may_share: verbs.contains(Verbs::SHARE),
        may_edit: may.add,
        group: group_of(&found).map(page_of),
        previews: is_file && listed.size_bytes.is_some_and(|size| size <= PREVIEW_MAX_BYTES) && found.held.keys.tree.is_some(),
        facts,
        versions,
        shares: standing.iter().map(|one| access(one, &office.user.name)).collect(),
        history: history
            .iter()
            .map(|row| HistoryRow {
                at: show::time(row.at_ms),
                who: row.actor_name.clone().or_else(|| row.actor.map(|actor| actor.to_string())).unwrap_or_default(),
                what: row.operation.clone(),
                outcome: row.outcome.clone().unwrap_or_else(|| row.phase.to_owned()),
            })
            .collect(),
    })
}

/// Every tag on the way to it, and which of them are its own.
async fn tags(office: &Office, found: &Found) -> Result<Option<String>> {
    let (all, own) = (found.tags(), found.own_tags());
    if all.is_empty() {
        return Ok(None);
    }
    let projects = Projects::load(office.session()).await?;
    let name = |project: &ProjectId| {
        let path = projects.get(*project).map_or_else(|| project.to_string(), |view| shown(&projects.path(view)));
        if own.contains(project) { path } else { format!("{path} (from above)") }
    };
    Ok(Some(all.iter().map(name).collect::<Vec<_>>().join(", ")))
}

/// Who has no right to look at a part sees the page without it; anything else that went wrong, a lie above all, is told.
fn unless_refused<T>(looked: std::result::Result<Vec<T>, ClientError>) -> Result<Vec<T>> {
    match looked {
        Err(error) if matches!(error.kind(), Kind::Refused | Kind::NotFound) => Ok(Vec::new()),
        other => Ok(other?),
    }
}

fn version_row(version: &ticrypt_client::vault::versions::Version) -> VersionRow {
    VersionRow {
        number: version.sequence,
        manifest: version.manifest.to_string(),
        size: show::size(version.size_bytes),
        written: show::time(version.written_ms),
        writer: version.writer.as_ref().map(ToString::to_string).unwrap_or_default(),
        current: version.is_current,
        conflict: version.conflict,
    }
}

#[derive(Serialize)]
pub struct Preview {
    url: String,
}

/// `POST /vault/preview`: an address on the other origin, good once.
pub async fn preview(State(app): State<Shared>, Inside(office): Inside, fields: Fields) -> Result<Json<Preview>> {
    let path = path(fields.need("at")?)?;
    let found = office.vault.resolve(&path).await?;
    if found.held.keys.tree.is_none() {
        return Err(Trouble::invalid("the share lets you see names only, not what is in this file"));
    }
    let name = found.name(&office.vault)?.map_or_else(|| "file".to_owned(), |name| escaped(name.as_str()));
    let ticket = office.tickets.give(Good::Preview { path })?;
    Ok(Json(Preview { url: format!("{}/{ticket}/{name}", app.previews.origin()) }))
}

/// `POST /vault/version/restore`.
pub async fn restore_version(Inside(office): Inside, fields: Fields) -> Result<Done> {
    let sequence = office.vault.restore_version(&path(fields.need("at")?)?, fields.need("version")?).await?;
    Ok(Done::page(format!("Restored; it is version {sequence} now.")))
}

/// `POST /vault/version/download`.
pub async fn download_version(Inside(office): Inside, fields: Fields) -> Result<Done> {
    let version = fields.get("version").map(str::to_owned);
    let ticket = office.tickets.give(Good::File { path: path(fields.need("at")?)?, version })?;
    Ok(Done { file: Some(format!("/file/{ticket}")), ..Done::default() })
}
