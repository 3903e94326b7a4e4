//! Files of the page: our own and the packages', in the program itself. The browser asks nobody else for anything.

use std::fmt::Write;
use std::sync::OnceLock;

use axum::body::Body;
use axum::extract::Path;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, IF_NONE_MATCH};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use data_encoding::HEXLOWER;
use rust_embed::RustEmbed;

use crate::trouble::Trouble;

#[derive(RustEmbed)]
#[folder = "web/"]
#[exclude = "packages.lock"]
struct Own;

#[derive(RustEmbed)]
#[folder = "packages/htmx.org/dist/"]
struct Htmx;

#[derive(RustEmbed)]
#[folder = "packages/core/dist/css/"]
struct Tabler;

#[derive(RustEmbed)]
#[folder = "packages/icons/icons/outline/"]
struct Icons;

/// Pages of one run need not ask again: its address is another at each start, so a later version is never answered from what is kept.
/// While it is being worked on, the files may change under a running program.
const KEPT: &str = if cfg!(debug_assertions) { "no-cache" } else { "private, max-age=86400, immutable" };

/// `GET /assets/{name}`.
pub async fn serve(Path(name): Path<String>, headers: HeaderMap) -> Result<Response, Trouble> {
    if name == "icons.svg" {
        return Ok(([(CONTENT_TYPE, "image/svg+xml"), (CACHE_CONTROL, KEPT)], icons()).into_response());
    }
    let file = [Own::get, Htmx::get, Tabler::get].into_iter().find_map(|get| get(&name));
    let file = file.ok_or_else(|| Trouble::not_found("there is no such file"))?;
    let tag = format!("\"{}\"", HEXLOWER.encode(&file.metadata.sha256_hash()));
    if headers.get(IF_NONE_MATCH).is_some_and(|known| known.as_bytes() == tag.as_bytes()) {
        return Ok(StatusCode::NOT_MODIFIED.into_response());
    }
    let kind = match name.rsplit_once('.') {
        Some((_, "js")) => "text/javascript; charset=utf-8",
        Some((_, "css")) => "text/css; charset=utf-8",
        Some((_, "svg")) => "image/svg+xml",
        _ => "application/octet-stream",
    };
    let head = [(CONTENT_TYPE, kind.to_owned()), (CACHE_CONTROL, KEPT.to_owned()), (ETAG, tag)];
    Ok((head, Body::from(file.data.into_owned())).into_response())
}

/// All icons as symbols of one picture, so that a page names one by `icons.svg#name`.
fn icons() -> &'static str {
    static SPRITE: OnceLock<String> = OnceLock::new();
    SPRITE.get_or_init(|| {
        let mut sprite = String::from("<svg xmlns=\"http://www.w3.org/2000/svg\">");
        for name in Icons::iter() {
            let Some(file) = Icons::get(&name) else { continue };
            let text = String::from_utf8_lossy(&file.data).into_owned();
            let Some(inner) = text.split_once('>').map(|(_, rest)| rest.trim_end().trim_end_matches("</svg>")) else { continue };
            let id = name.trim_end_matches(".svg");
            let _ = write!(
                sprite,
                "<symbol id=\"{id}\" viewBox=\"0 0 24 24\" fill=\"none\" stroke=\"currentColor\" stroke-width=\"2\" \
                 stroke-linecap=\"round\" stroke-linejoin=\"round\">{inner}</symbol>"
            );
        }
        sprite.push_str("</svg>");
        sprite
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_icon_is_a_symbol() {
        let sprite = icons();
        assert!(Icons::iter().count() > 40);
        assert_eq!(sprite.matches("<symbol").count(), Icons::iter().count());
        assert_eq!(sprite.matches("<svg").count(), 1);
        assert!(sprite.contains("id=\"folder\""));
    }
}
