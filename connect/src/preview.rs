//! A look at a file without its content leaving this machine, in a frame that can do nothing.
//!
//! Another origin (own host name, own port), no cookie, no script, no request to anywhere. What kind of thing it is, is decided here from
//! its first bytes and never from its name: a script, a page or an SVG is shown as the text it is.

use axum::Router;
use axum::extract::{Path, State};
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HOST, HeaderMap, HeaderValue, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use ticrypt_client::vault::VaultPath;
use ticrypt_client::vault::open::Wanted;

use crate::Shared;
use crate::desk::Office;
use crate::door::Refusal;
use crate::ticket::Good;
use crate::trouble::{Result, Trouble};

/// More is not held in memory for a look.
pub const PREVIEW_MAX_BYTES: u64 = 32 * 1024 * 1024;
/// More text than this is cut; nobody reads it in a small frame.
const TEXT_MAX_BYTES: usize = 1024 * 1024;

/// The origin of previews.
pub struct Previews {
    host: String,
}

/// What a content is to a preview.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Look {
    Text,
    Image(&'static str),
    Pdf,
    None,
}

impl Previews {
    pub fn new(host: String) -> Self {
        Self { host }
    }

    pub fn origin(&self) -> String {
        format!("http://{}", self.host)
    }
}

pub fn router(app: &Shared) -> Router {
    Router::new().route("/{ticket}/{name}", get(show)).with_state(app.clone())
}

/// Decides by content alone.
pub fn look(bytes: &[u8]) -> Look {
    let starts = |magic: &[u8]| bytes.starts_with(magic);
    if starts(b"\x89PNG\r\n\x1a\n") {
        return Look::Image("image/png");
    }
    if starts(b"\xff\xd8\xff") {
        return Look::Image("image/jpeg");
    }
    if starts(b"GIF87a") || starts(b"GIF89a") {
        return Look::Image("image/gif");
    }
    if starts(b"RIFF") && bytes.get(8..12) == Some(b"WEBP") {
        return Look::Image("image/webp");
    }
    if starts(b"%PDF-") {
        return Look::Pdf;
    }
    let head = bytes.get(..TEXT_MAX_BYTES).unwrap_or(bytes);
    let text = match std::str::from_utf8(head) {
        Ok(_) => true,
        // Cut in the middle of a character.
        Err(error) => error.error_len().is_none() && error.valid_up_to() + 4 > head.len(),
    };
    if text && !head.contains(&0) { Look::Text } else { Look::None }
}

/// The name is for the viewer's title alone.
async fn show(State(app): State<Shared>, Path((ticket, _name)): Path<(String, String)>, headers: HeaderMap) -> Result<Response> {
    if headers.get(HOST).and_then(|host| host.to_str().ok()) != Some(app.previews.host.as_str()) {
        return Err(Refusal::OtherHost.into());
    }
    let mut taken = Err(Trouble::locked());
    for office in app.desk.running() {
        match office.tickets.take(&ticket) {
            Ok(Good::Preview { path }) => {
                taken = read(&office, &path).await;
                break;
            }
            Ok(_) => return Err(Trouble::not_found("this is no preview")),
            Err(trouble) => taken = Err(trouble),
        }
    }
    let mut bytes = taken?;
    let kind = match look(&bytes) {
        Look::Text => {
            bytes.truncate(TEXT_MAX_BYTES);
            "text/plain; charset=utf-8"
        }
        Look::Image(kind) => kind,
        Look::Pdf => "application/pdf",
        Look::None => return Err(Trouble::invalid("there is no preview of this kind of file; download it instead")),
    };
    // A viewer of PDF is no part of the document and does not run in a sandboxed frame; its origin is one nothing else lives on.
    let sandbox = if kind == "application/pdf" { "" } else { "sandbox; " };
    let policy = format!(
        "{sandbox}default-src 'none'; img-src 'self'; style-src 'unsafe-inline'; object-src 'self'; frame-ancestors {}",
        app.keys.origin()
    );
    let policy = HeaderValue::from_str(&policy).map_err(|e| Trouble::broken(e.to_string()))?;
    let head = [
        (CONTENT_TYPE, HeaderValue::from_static(kind)),
        (CONTENT_SECURITY_POLICY, policy),
        (CACHE_CONTROL, HeaderValue::from_static("no-store")),
        (REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
        (X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    ];
    Ok((head, bytes).into_response())
}

async fn read(office: &Office, path: &VaultPath) -> Result<Vec<u8>> {
    let found = office.vault.resolve(path).await?;
    let content = office.vault.open_one(Wanted { file: found.held.clone(), manifest: None, keep: false }).await?;
    if content.current.manifest.size > PREVIEW_MAX_BYTES {
        return Err(Trouble::invalid("this file is too large for a preview; download it instead"));
    }
    Ok(office.vault.read_whole(&content).await?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_content_decides_and_nothing_that_runs_is_shown_as_what_it_is() {
        for (bytes, wanted) in [
            (&b"\x89PNG\r\n\x1a\n...."[..], Look::Image("image/png")),
            (b"\xff\xd8\xff\xe0", Look::Image("image/jpeg")),
            (b"GIF89a", Look::Image("image/gif")),
            (b"RIFF\0\0\0\0WEBPVP8 ", Look::Image("image/webp")),
            (b"RIFF\0\0\0\0WAVE", Look::None),
            (b"%PDF-1.7", Look::Pdf),
            (b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>", Look::Text),
            (b"<!doctype html><script>alert(1)</script>", Look::Text),
            (b"", Look::Text),
            ("gr\u{fc}n".as_bytes(), Look::Text),
            (b"\xff\xfe\0a", Look::None),
            (b"a\0b", Look::None),
        ] {
            assert_eq!(look(bytes), wanted, "{}", String::from_utf8_lossy(bytes));
        }
        let mut long = vec![b'a'; TEXT_MAX_BYTES - 1];
        long.extend("\u{20ac}\u{20ac}".as_bytes());
        assert_eq!(look(&long), Look::Text);
    }
}
