//! Folders and files of this machine, to choose one. Names only; nothing of them leaves it.

use std::path::{Path, PathBuf};

use askama::Template;
use axum::response::Response;

use super::entry::blocking;
use crate::fields::Fields;
use crate::trouble::Result;
use crate::ui;

/// A folder with more than this is one nobody scrolls through; its path can be typed.
const SHOWN_MAX: usize = 2_000;

#[derive(Template)]
#[template(path = "local.html")]
struct Local {
    above: Option<String>,
    folders: Vec<There>,
    files: Vec<There>,
    with_files: bool,
    /// The field that takes what is chosen.
    into: &'static str,
}

struct There {
    name: String,
    path: String,
}

impl Local {
    fn href(&self, path: &str) -> String {
        format!("/local?{}{}", if self.with_files { "files=1&" } else { "" }, ui::field("at", path))
    }
}

/// The person's own folder, where choosing begins.
#[allow(clippy::disallowed_methods, reason = "where a person's own files are is told by the environment alone")]
fn own() -> Option<PathBuf> {
    std::env::var_os("HOME").map(PathBuf::from).filter(|home| home.is_dir())
}

/// Where choosing what to add begins.
pub fn home() -> PathBuf {
    own().unwrap_or_else(|| PathBuf::from("/"))
}

/// Where choosing a place to write to begins: downloads, if there is such a folder.
pub fn start() -> PathBuf {
    let home = own();
    let downloads = home.as_ref().map(|home| home.join("Downloads")).filter(|downloads| downloads.is_dir());
    downloads.or(home).unwrap_or_else(|| PathBuf::from("/"))
}

/// `GET /local?at=FOLDER`, with `files=1` for files as well.
pub async fn folders(fields: Fields) -> Result<Response> {
    let (at, with_files) = (PathBuf::from(fields.need("at")?), fields.get("files") == Some("1"));
    let found = blocking(move || Ok(read(&at, with_files))).await?;
    ui::html(&found)
}

fn read(at: &Path, with_files: bool) -> Local {
    let (mut folders, mut files) = (Vec::new(), Vec::new());
    for entry in std::fs::read_dir(at).into_iter().flatten().flatten().take(SHOWN_MAX) {
        let path = entry.path();
        let is_folder = path.is_dir();
        let Some(name) = entry.file_name().to_str().filter(|name| !name.starts_with('.')).map(super::vault::shown) else { continue };
        let Some(path) = path.to_str().filter(|_| is_folder || with_files && path.is_file()).map(str::to_owned) else { continue };
        if is_folder { &mut folders } else { &mut files }.push(There { name, path });
    }
    for list in [&mut folders, &mut files] {
        list.sort_by_key(|there: &There| there.name.to_lowercase());
    }
    let above = at.parent().and_then(Path::to_str).map(str::to_owned);
    Local { above, folders, files, with_files, into: if with_files { "#source" } else { "#folder" } }
}
