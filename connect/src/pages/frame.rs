//! What the frame around every page can do: rows of a table, exports, how strong a passphrase is, locking.

use std::collections::HashSet;

use axum::Json;
use axum::extract::State;
use axum::http::HeaderName;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use ticrypt_client::account::{self, PASSPHRASE_MIN_CHARS};
use ticrypt_types::Secret;

use super::Inside;
use crate::Shared;
use crate::desk::Why;
use crate::fields::Fields;
use crate::table::{self, Column, Export, Format, Query, WINDOW_MAX};
use crate::ticket::Good;
use crate::trouble::Result;
use crate::ui::{self, Done, Rows};

const TOTAL: HeaderName = HeaderName::from_static("x-total");

/// `GET /rows`: a window of a table.
pub async fn rows(Inside(office): Inside, fields: Fields) -> Result<Response> {
    let sheet = office.sheets.find(fields.need("sheet")?)?;
    let (from, count) = (fields.parsed("from", "a number")?, fields.parsed::<usize>("count", "a number")?.min(WINDOW_MAX));
    let window = sheet.window(&Query::read(&fields), from, count).await?;
    let chosen = columns(&fields);
    let columns: Vec<&'static Column> = chosen.iter().filter_map(|key| sheet.columns().iter().find(|column| column.key == key)).collect();
    let page = ui::html(&Rows { rows: &window.rows, columns: &columns })?;
    Ok(([(TOTAL, window.total.to_string())], page).into_response())
}

fn columns(fields: &Fields) -> Vec<String> {
    fields.get("cols").unwrap_or_default().split(',').map(str::to_owned).collect()
}

/// `POST /export`: rows as a file.
pub async fn export(Inside(office): Inside, fields: Fields) -> Result<Done> {
    let sheet = office.sheets.find(fields.need("sheet")?)?;
    let keys: Option<HashSet<String>> = match fields.get("all") {
        Some("1") if fields.each("except").next().is_none() => None,
        _ => Some(table::selection(&office.sheets, &fields).await?.into_iter().collect()),
    };
    let (format, ending, kind) = match fields.get("format") {
        Some("json") => (Format::Json, "json", "application/json"),
        _ => (Format::Csv, "csv", "text/csv; charset=utf-8"),
    };
    let how = Export { format, columns: columns(&fields) };
    let text = sheet.export(&Query::read(&fields), keys.as_ref(), &how).await?;
    let good = Good::Made { name: format!("{}.{ending}", sheet.noun()), kind, bytes: text.into_bytes() };
    Ok(Done { file: Some(format!("/file/{}", office.tickets.give(good)?)), ..Done::default() })
}

#[derive(Serialize)]
pub struct Rated {
    /// 0 to 4.
    score: u8,
    words: String,
}

/// `POST /passphrase`: how long somebody would have to guess.
pub async fn rate(fields: Fields) -> Json<Rated> {
    let passphrase = Secret::new(fields.get("passphrase").unwrap_or_default().to_owned());
    Json(rating(&passphrase))
}

fn rating(passphrase: &Secret<String>) -> Rated {
    let length = passphrase.expose().chars().count();
    if length == 0 {
        return Rated { score: 0, words: String::new() };
    }
    if length < PASSPHRASE_MIN_CHARS {
        return Rated { score: 0, words: format!("{} more characters needed", PASSPHRASE_MIN_CHARS - length) };
    }
    // The estimate needs quadratic time, and beyond this length it says nothing new.
    let some: String = passphrase.expose().chars().take(100).collect();
    let some = Secret::new(some);
    let entropy = zxcvbn::zxcvbn(some.expose(), &["ticrypt"]);
    let score = u8::from(entropy.score());
    let words = match score {
        0 | 1 => "weak: guessed within hours; add some words",
        2 => "fair: better with another word or two",
        3 => "good",
        _ => "strong",
    };
    Rated { score, words: words.to_owned() }
}

/// `POST /lock`.
pub async fn lock(State(app): State<Shared>) -> Result<Done> {
    if let Some(deployment) = app.desk.deployment()? {
        app.desk.lock(deployment.id(), Why::Asked).await?;
    }
    Ok(Done::default())
}

/// `POST /logout`: ends the session on the server too.
pub async fn log_out(State(app): State<Shared>, Inside(office): Inside) -> Result<Done> {
    let ended = account::logout(&office.session().transport).await;
    app.desk.lock(office.session().deployment_id(), Why::Asked).await?;
    ended?;
    Ok(Done::default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strength_is_told_in_words() {
        let rate = |text: &str| rating(&Secret::new(text.to_owned()));
        assert_eq!(rate("").words, "");
        assert_eq!(rate("abc").words, "7 more characters needed");
        assert!(rate("aaaaaaaaaaaa").score <= 1);
        assert_eq!(rate("lunar cabbage wrote seven quiet trombones").score, 4);
        assert_eq!(rate(&"x7$".repeat(4_000)).score, rate(&"x7$".repeat(33)).score);
    }
}
