//! What ends by the clock before long, so that it is renewed in time: memberships, certifications, shares.

use std::cmp::Ordering;

use askama::Template;
use axum::response::Response;
use serde::Serialize;
use ticrypt_client::access::{self, Ending};
use ticrypt_client::clock;
use ticrypt_types::Timestamp;

use super::Visit;
use super::vault::{address, shown};
use crate::fields::Fields;
use crate::table::{Cell, Column, Filter, Row};
use crate::trouble::{Result, Trouble};
use crate::ui::{self, Chrome, Look};

const DAY_MS: u64 = 24 * 60 * 60 * 1_000;
/// How far one may look ahead, in days.
const WITHIN: [u64; 3] = [7, 30, 90];
const STANDARD: u64 = 30;

#[derive(Serialize)]
#[serde(transparent)]
struct Soon(Ending);

/// Colour and words for what is left.
fn left(ends: Timestamp, now: Timestamp) -> (&'static str, String) {
    let days = ends.millis_since(now) / DAY_MS;
    let tone = match days {
        0..7 => "red",
        7..30 => "yellow",
        _ => "secondary",
    };
    (tone, if days == 0 { "within a day".to_owned() } else { format!("in {}", ui::count_of(days, "day", "days")) })
}

impl Soon {
    /// What is in no tree that one sees has an id for a path.
    fn of(&self) -> String {
        if self.0.what == "share" && !self.0.of.starts_with('/') {
            "something in a place that you cannot open now".to_owned()
        } else {
            shown(&self.0.of)
        }
    }

    fn icon(&self) -> &'static str {
        match self.0.what {
            "membership" => "tag",
            "certification" => "certificate",
            _ => "share",
        }
    }

    /// Where it is renewed.
    fn href(&self) -> Option<String> {
        match (self.0.what, self.0.project) {
            (_, Some(project)) => Some(format!("/projects/members?{}", ui::field("project", &project.to_string()))),
            ("share", None) => self.0.of.starts_with('/').then(|| address("/vault/details", &self.0.of)),
            _ => Some("/certifications".to_owned()),
        }
    }
}

impl Row for Soon {
    const NOUN: &'static str = "ends-soon";
    const COLUMNS: &'static [Column] = &[
        Column::shown("name", "Of what"),
        Column::shown("what", "Kind"),
        Column::shown("person", "Person"),
        Column::shown("left", "Left"),
        Column::shown("ends", "Ends"),
    ];
    const FILTERS: &'static [Filter] = &[Filter {
        key: "what",
        title: "Kind",
        values: &[("membership", "Memberships"), ("certification", "Certifications"), ("share", "Shares")],
    }];

    fn key(&self) -> String {
        let Ending { ends_ms, person, what, of, project } = &self.0;
        let project = project.map(|project| project.to_string()).unwrap_or_default();
        format!("{what} {person} {} {project} {of}", ends_ms.as_millis())
    }

    fn cell(&self, column: &str) -> Cell {
        match column {
            "name" => Cell::Name { icon: self.icon(), text: self.of(), href: self.href(), marks: Vec::new(), tags: Vec::new() },
            "what" => Cell::Text(self.0.what.to_owned()),
            "person" => Cell::Text(self.0.person.to_string()),
            "left" => {
                let (tone, text) = left(self.0.ends_ms, clock::now());
                Cell::badge(tone, text)
            }
            _ => Cell::Time(self.0.ends_ms),
        }
    }

    fn order(&self, other: &Self, column: &str) -> Ordering {
        let (a, b) = (&self.0, &other.0);
        match column {
            "name" => a.of.cmp(&b.of),
            "what" => a.what.cmp(b.what),
            "person" => a.person.cmp(&b.person),
            _ => Ordering::Equal,
        }
        .then_with(|| (a.ends_ms, &a.person, &a.of).cmp(&(b.ends_ms, &b.person, &b.of)))
    }

    fn has(&self, word: &str) -> bool {
        self.0.person.as_str().contains(word) || self.of().to_lowercase().contains(word)
    }

    fn filtered(&self, _: &str) -> &'static str {
        self.0.what
    }
}

#[derive(Template)]
#[template(path = "ending.html")]
struct Page {
    chrome: Chrome,
    days: u64,
    /// Days, and whether they are those shown.
    choices: Vec<(u64, bool)>,
    table: String,
}

/// `GET /ending?within=DAYS`.
pub async fn page(Visit(office): Visit, fields: Fields) -> Result<Response> {
    let days = if fields.is_set("within") { fields.parsed("within", "a number of days")? } else { STANDARD };
    if !WITHIN.contains(&days) {
        return Err(Trouble::invalid("choose 7, 30 or 90 days"));
    }
    let endings = access::ending(&office.vault, clock::now().plus_millis(days * DAY_MS)).await?;
    let look = Look {
        one: "end",
        many: "ends",
        sort: "ends",
        empty_icon: "clock",
        empty: "Nothing ends in this time",
        empty_hint: "What has no end is not listed, nor what others look after.",
        ..Look::PLAIN
    };
    ui::html(&Page {
        chrome: Chrome::new(&office, "/ending"),
        days,
        choices: WITHIN.iter().map(|choice| (*choice, *choice == days)).collect(),
        table: ui::table(&office, endings.into_iter().map(Soon).collect(), &look)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_is_told_in_days() {
        let now = Timestamp::from_millis(DAY_MS);
        for (after_ms, tone, text) in [
            (0, "red", "within a day"),
            (DAY_MS, "red", "in 1 day"),
            (DAY_MS * 7, "yellow", "in 7 days"),
            (DAY_MS * 30, "secondary", "in 30 days"),
        ] {
            assert_eq!(left(now.plus_millis(after_ms), now), (tone, text.to_owned()));
        }
    }
}
