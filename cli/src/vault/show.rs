//! How sizes, times and modes are shown.

pub(super) use ticrypt_client::show::{size, time};
use ticrypt_client::vault::listing::{Listed, ListedKind};
use ticrypt_client::vault::progress::Report;

use crate::output::Output;

pub(super) fn kind(listed: &Listed) -> &'static str {
    match listed.kind {
        ListedKind::Directory => "directory",
        ListedKind::File => "file",
        ListedKind::Link => "link",
        ListedKind::Sharer => "person",
        ListedKind::Group => "group",
    }
}

/// `drwxr-xr-x`.
pub(super) fn mode(listed: &Listed) -> String {
    let first = match listed.kind {
        ListedKind::Directory => 'd',
        ListedKind::File => '-',
        ListedKind::Link => 'l',
        ListedKind::Sharer | ListedKind::Group => '@',
    };
    let bits =
        (0..9).map(|bit| if listed.mode >> (8 - bit) & 1 == 1 { b"rwxrwxrwx".get(bit).map_or('-', |c| char::from(*c)) } else { '-' });
    std::iter::once(first).chain(bits).collect()
}

/// Marks that a person should notice: `*` shared, `!` versions that lost a race, `~` keys to be made anew, `#` tagged, `?` locked.
pub(super) fn marks(listed: &Listed) -> String {
    let mut marks = String::new();
    if listed.shares > 0 {
        marks.push('*');
    }
    if listed.conflicts > 0 {
        marks.push('!');
    }
    if listed.keys_stale {
        marks.push('~');
    }
    if !listed.tags.is_empty() {
        marks.push('#');
    }
    if listed.locked {
        marks.push('?');
    }
    marks
}

/// What was done, for people and for programs.
pub(super) fn report(output: &Output, report: &Report, verb: &str) -> anyhow::Result<()> {
    output.result(report, |out| {
        let mut parts = vec![format!("{} files ({})", report.files, size(report.bytes))];
        if report.directories > 0 {
            parts.push(format!("{} directories", report.directories));
        }
        if report.unchanged > 0 {
            parts.push(format!("{} unchanged", report.unchanged));
        }
        writeln!(out, "{verb} {}", parts.join(", "))
    })
}
