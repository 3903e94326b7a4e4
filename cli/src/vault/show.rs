//! How sizes, times and modes are shown.

use ticrypt_client::vault::listing::{Listed, ListedKind};
use ticrypt_client::vault::progress::Report;
use ticrypt_types::Timestamp;

use crate::output::Output;

/// `1.5 MiB`; exact below a kibibyte.
pub(super) fn size(bytes: u64) -> String {
    const UNITS: [&str; 6] = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    if bytes < 1_024 {
        return format!("{bytes} B");
    }
    // Tenths of the unit, so that no floating point rounds a size up to one it has not.
    let mut tenths = u128::from(bytes) * 10;
    let mut shown = "B";
    for unit in UNITS {
        if tenths < 10_240 {
            break;
        }
        tenths /= 1_024;
        shown = unit;
    }
    format!("{}.{} {shown}", tenths / 10, tenths % 10)
}

/// A time without its milliseconds; `-` for none.
pub(super) fn time(at: Timestamp) -> String {
    if at == Timestamp::ABSENT {
        return "-".to_owned();
    }
    let text = at.to_string();
    text.get(..19).unwrap_or(&text).replace('T', " ")
}

pub(super) fn kind(listed: &Listed) -> &'static str {
    match listed.kind {
        ListedKind::Directory => "directory",
        ListedKind::File => "file",
        ListedKind::Link => "link",
        ListedKind::Sharer => "person",
    }
}

/// `drwxr-xr-x`.
pub(super) fn mode(listed: &Listed) -> String {
    let first = match listed.kind {
        ListedKind::Directory => 'd',
        ListedKind::File => '-',
        ListedKind::Link => 'l',
        ListedKind::Sharer => '@',
    };
    let bits =
        (0..9).map(|bit| if listed.mode >> (8 - bit) & 1 == 1 { b"rwxrwxrwx".get(bit).map_or('-', |c| char::from(*c)) } else { '-' });
    std::iter::once(first).chain(bits).collect()
}

/// Marks that a person should notice: `*` shared, `!` versions that lost a race, `~` keys to be made anew.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_never_round_up() {
        for (bytes, text) in [
            (0, "0 B"),
            (1_023, "1023 B"),
            (1_024, "1.0 KiB"),
            (1_535, "1.4 KiB"),
            (1_048_575, "1023.9 KiB"),
            (1_048_576, "1.0 MiB"),
            (u64::MAX, "15.9 EiB"),
        ] {
            assert_eq!(size(bytes), text);
        }
        assert_eq!(time(Timestamp::from_millis(951_782_399_999)), "2000-02-28 23:59:59");
        assert_eq!(time(Timestamp::ABSENT), "-");
    }
}
