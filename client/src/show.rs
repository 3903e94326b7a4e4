//! How sizes and times are shown to people, in every program alike.

use ticrypt_types::Timestamp;

/// `1.5 MiB`; exact below a kibibyte.
pub fn size(bytes: u64) -> String {
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

/// A size in the largest unit that is whole, as [`parse_size`] reads it: `100 GiB`.
pub fn exact_size(bytes: u64) -> String {
    let units = [(40, "TiB"), (30, "GiB"), (20, "MiB"), (10, "KiB")];
    let whole = units.into_iter().find(|(shift, _)| bytes > 0 && bytes.trailing_zeros() >= *shift);
    whole.map_or_else(|| format!("{bytes} B"), |(shift, unit)| format!("{} {unit}", bytes >> shift))
}

/// A size as people type it, `512`, `4K`, `1T`, or as programs write it, `4 KiB`, in powers of 1024. `KB` is refused: it is 1000 to some and 1024 to others.
pub fn parse_size(text: &str) -> Option<u64> {
    let text = text.trim();
    let text = match text.strip_suffix("iB") {
        Some(before) => Some(before).filter(|before| before.ends_with(|last: char| last.is_ascii_alphabetic()))?,
        None => text.strip_suffix(" B").unwrap_or(text),
    };
    let (digits, factor) = match text.char_indices().last()? {
        (at, unit) if unit.is_ascii_alphabetic() => {
            let power = u32::try_from("KMGT".find(unit.to_ascii_uppercase())?).ok()?;
            (text.get(..at)?, 1_024u64.pow(power + 1))
        }
        _ => (text, 1),
    };
    let digits = digits.trim_end();
    if digits.starts_with('+') { None } else { digits.parse::<u64>().ok()?.checked_mul(factor) }
}

/// A time without its milliseconds; `-` for none.
pub fn time(at: Timestamp) -> String {
    if at == Timestamp::ABSENT {
        return "-".to_owned();
    }
    let text = at.to_string();
    text.get(..19).unwrap_or(&text).replace('T', " ")
}

/// A length of time in the largest unit that is whole, as people type it: `365d`; `-` for none.
pub fn length(length_ms: Option<u64>) -> String {
    let Some(ms) = length_ms else { return "-".to_owned() };
    let units = [(86_400_000, "d"), (3_600_000, "h"), (60_000, "m"), (1_000, "s")];
    units.into_iter().find(|(unit, _)| ms % unit == 0).map_or_else(|| format!("{ms}ms"), |(unit, word)| format!("{}{word}", ms / unit))
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
        for (text, bytes) in [
            ("512", Some(512)),
            ("4k", Some(4_096)),
            ("1T", Some(1 << 40)),
            ("100 GiB", Some(100 << 30)),
            (" 4kiB ", Some(4_096)),
            ("512 B", Some(512)),
            ("4KB", None),
            ("4iB", None),
            ("GiB", None),
            ("", None),
            ("K", None),
            ("+1", None),
            ("1X", None),
            ("1.5G", None),
            ("99999999999T", None),
        ] {
            assert_eq!(parse_size(text), bytes, "{text}");
        }
        for (bytes, text) in [(0, "0 B"), (1_023, "1023 B"), (3 << 30, "3 GiB"), (1_536 << 20, "1536 MiB"), (2 << 50, "2048 TiB")] {
            assert_eq!(exact_size(bytes), text);
            assert_eq!(parse_size(text), Some(bytes), "{text}");
        }
        assert_eq!(time(Timestamp::from_millis(951_782_399_999)), "2000-02-28 23:59:59");
        assert_eq!(time(Timestamp::ABSENT), "-");
    }

    #[test]
    fn lengths_as_they_are_typed() {
        for text in ["365d", "12h", "30m", "5s"] {
            assert_eq!(length(crate::when::duration_ms(text)), text);
        }
        assert_eq!((length(None), length(Some(1))), ("-".to_owned(), "1ms".to_owned()));
    }
}
