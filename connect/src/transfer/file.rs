//! What the browser itself saves: one file of the vault, decrypted as it goes, or something made here such as an export.

use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::extract::{Path, State};
use axum::http::header::{CONTENT_DISPOSITION, CONTENT_LENGTH, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use futures::stream::{self, TryStreamExt};
use ticrypt_client::ClientError;
use ticrypt_client::vault::VaultPath;
use ticrypt_client::vault::open::{Content, Wanted};
use ticrypt_types::Verbs;
use tokio::sync::mpsc;

use crate::Shared;
use crate::desk::Office;
use crate::ticket::Good;
use crate::trouble::{Result, Trouble};

/// Chunks that wait for the browser.
const QUEUE: usize = 2;

/// `GET /file/{ticket}`.
pub async fn serve(State(app): State<Shared>, Path(ticket): Path<String>) -> Result<Response> {
    let mut refused = Trouble::locked();
    for office in app.desk.running() {
        match office.tickets.take(&ticket) {
            Ok(Good::Made { name, kind, bytes }) => {
                return Ok(([(CONTENT_TYPE, kind.to_owned()), (CONTENT_DISPOSITION, attachment(&name))], bytes).into_response());
            }
            Ok(Good::File { path, version }) => return file(office, &path, version).await,
            Ok(Good::Preview { .. }) => return Err(Trouble::not_found("a preview has an address of its own")),
            Err(trouble) => refused = trouble,
        }
    }
    Err(refused)
}

async fn file(office: Arc<Office>, path: &VaultPath, version: Option<String>) -> Result<Response> {
    let found = office.vault.resolve(path).await?;
    if !found.held.root.verbs().contains(Verbs::DOWNLOAD) {
        return Err(ClientError::refused("no_download", "this share does not let you download; ask for download").into());
    }
    let name = found.name(&office.vault)?.map_or_else(|| "file".to_owned(), |name| name.as_str().to_owned());
    let content = match version {
        None => office.vault.open_one(Wanted { file: found.held.clone(), manifest: None, keep: true }).await?,
        Some(which) => {
            let (held, versions) = office.vault.versions(path).await?;
            office.vault.open_version(&held, office.vault.pick(&versions, &which)?).await?
        }
    };
    let size = content.current.manifest.size;
    let (sender, receiver) = mpsc::channel(QUEUE);
    let (pours, open) = (Arc::clone(&office), office.open.clone());
    let pouring = tokio::spawn(async move {
        tokio::select! {
            poured = pour(&pours, &content, sender) => poured.map_err(|error| error.to_string()),
            () = open.cancelled() => Err("the vault was locked".to_owned()),
        }
    });
    // A body that ends with an error is one the browser does not take for whole.
    let body = stream::unfold((receiver, Some(pouring)), async |(mut receiver, pouring)| match receiver.recv().await {
        Some(piece) => Some((Ok(piece), (receiver, pouring))),
        None => match pouring?.await {
            Ok(Ok(())) => None,
            Ok(Err(why)) => Some((Err(std::io::Error::other(why)), (receiver, None))),
            Err(error) => Some((Err(std::io::Error::other(error)), (receiver, None))),
        },
    });
    let head = [
        (CONTENT_TYPE, "application/octet-stream".to_owned()),
        (CONTENT_DISPOSITION, attachment(&name)),
        (CONTENT_LENGTH, size.to_string()),
    ];
    Ok((head, Body::from_stream(body)).into_response())
}

async fn pour(office: &Office, content: &Content, into: mpsc::Sender<Bytes>) -> ticrypt_client::error::Result<()> {
    let mut pieces = std::pin::pin!(office.vault.pieces(content));
    while let Some(piece) = pieces.try_next().await? {
        if into.send(Bytes::from_owner(piece)).await.is_err() {
            return Err(ClientError::unavailable("nobody takes the file any more"));
        }
    }
    Ok(())
}

/// A name for the browser to save under (RFC 6266, RFC 8187): always an attachment, never shown.
pub fn attachment(name: &str) -> String {
    format!("attachment; filename*=UTF-8''{}", escaped(name))
}

/// A name for the path of an address, and for a header: every byte that could mean something there is escaped.
pub fn escaped(name: &str) -> String {
    let mut encoded = String::new();
    for byte in name.bytes() {
        if byte.is_ascii_alphanumeric() || b"!#$&+-.^_`|~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_cannot_leave_its_header() {
        assert_eq!(attachment("a b\r\nx: \"é\".txt"), "attachment; filename*=UTF-8''a%20b%0D%0Ax%3A%20%22%C3%A9%22.txt");
    }
}
