//! Folders of this machine, to choose one. Names only; nothing of them leaves it.

use std::path::{Path, PathBuf};

use askama::Template;
use axum::response::Response;

use super::entry::blocking;
use crate::fields::Fields;
use crate::trouble::Result;
use crate::ui;

/// A folder with more than this is one nobody scrolls through; its path can be typed.
const FOLDERS_MAX: usize = 2_000;

#[derive(Template)]
#[template(path = "local.html")]
struct Local {
    above: Option<String>,
    folders: Vec<Folder>,
}

struct Folder {
    name: String,
    path: String,
}

/// Where choosing begins: downloads, if there is such a folder, else the person's own.
#[allow(clippy::disallowed_methods, reason = "where a person's own files are is told by the environment alone")]
pub fn start() -> PathBuf {
    let home = std::env::var_os("HOME").map(PathBuf::from).filter(|home| home.is_dir());
    let downloads = home.as_ref().map(|home| home.join("Downloads")).filter(|downloads| downloads.is_dir());
    downloads.or(home).unwrap_or_else(|| PathBuf::from("/"))
}

/// `GET /local?at=FOLDER`.
pub async fn folders(fields: Fields) -> Result<Response> {
    let at = PathBuf::from(fields.need("at")?);
    let found = blocking(move || Ok(read(&at))).await?;
    ui::html(&found)
}

fn read(at: &Path) -> Local {
    let mut folders = Vec::new();
    for entry in std::fs::read_dir(at).into_iter().flatten().flatten().take(FOLDERS_MAX) {
        let path = entry.path();
        let (Some(name), true) = (entry.file_name().to_str().map(str::to_owned), path.is_dir()) else { continue };
        if let (false, Some(path)) = (name.starts_with('.'), path.to_str()) {
            folders.push(Folder { name: super::vault::shown(&name), path: path.to_owned() });
        }
    }
    folders.sort_by_key(|folder| folder.name.to_lowercase());
    Local { above: at.parent().and_then(Path::to_str).map(str::to_owned), folders }
}
