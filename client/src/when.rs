//! Times as people type them: `30d`, `12h`, `45m`, a date, or RFC 3339 in UTC.

use ticrypt_types::Timestamp;

const MINUTE_MS: u64 = 60_000;
const DAY_MS: u64 = 24 * 60 * MINUTE_MS;

/// Reads a point in time, seen from `now`. A date alone is its first moment, UTC.
pub fn parse(text: &str, now: Timestamp) -> Option<Timestamp> {
    if let Some(length_ms) = duration_ms(text) {
        return Some(now.plus_millis(length_ms));
    }
    let (date, time) = match text.split_once('T') {
        Some((date, time)) => (date, time.strip_suffix('Z')?),
        None => (text, "00:00:00"),
    };
    let [year, month, day] = numbers(date, '-', [4, 2, 2])?;
    let [hour, minute, second] = numbers(time, ':', [2, 2, 2])?;
    if !(1970..=9999).contains(&year)
        || !(1..=12).contains(&month)
        || day < 1
        || day > days_in(year, month)
        || hour > 23
        || minute > 59
        || second > 59
    {
        return None;
    }
    let ms = days_since_1970(year, month, day) * DAY_MS + ((hour * 60 + minute) * 60 + second) * 1_000;
    Some(Timestamp::from_millis(ms))
}

/// Reads a length of time: a number and `d`, `h`, `m` or `s`.
pub fn duration_ms(text: &str) -> Option<u64> {
    let unit_at = text.len().checked_sub(1)?;
    let (number, unit) = text.split_at_checked(unit_at)?;
    let unit_ms = match unit {
        "d" => DAY_MS,
        "h" => 60 * MINUTE_MS,
        "m" => MINUTE_MS,
        "s" => 1_000,
        _ => return None,
    };
    if number.is_empty() || !number.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    number.parse::<u64>().ok()?.checked_mul(unit_ms)
}

fn numbers(text: &str, separator: char, digits: [usize; 3]) -> Option<[u64; 3]> {
    let mut parts = text.split(separator);
    let mut out = [0; 3];
    for (value, digits) in out.iter_mut().zip(digits) {
        let part = parts.next()?;
        if part.len() != digits || !part.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        *value = part.parse().ok()?;
    }
    parts.next().is_none().then_some(out)
}

fn days_in(year: u64, month: u64) -> u64 {
    let leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    match month {
        2 => 28 + u64::from(leap),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

fn days_since_1970(year: u64, month: u64, day: u64) -> u64 {
    let leaps = |year: u64| year / 4 - year / 100 + year / 400;
    let years = (year - 1970) * 365 + leaps(year - 1) - leaps(1969);
    let months: u64 = (1..month).map(|month| days_in(year, month)).sum();
    years + months + day - 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_people_type() {
        let now = Timestamp::from_millis(1_000);
        for (text, ms) in [
            ("2d", Some(1_000 + 2 * DAY_MS)),
            ("12h", Some(1_000 + DAY_MS / 2)),
            ("90s", Some(91_000)),
            ("1970-01-02", Some(DAY_MS)),
            ("2000-02-29T23:59:59Z", Some(951_868_799_000)),
            ("2026-11-23", Some(1_795_392_000_000)),
            ("2026-02-29", None),
            ("2026-13-01", None),
            ("2026-11-23T24:00:00Z", None),
            ("2026-11-23T10:00:00", None),
            ("2026-1-1", None),
            ("d", None),
            ("-1d", None),
            ("", None),
            ("é", None),
        ] {
            assert_eq!(parse(text, now), ms.map(Timestamp::from_millis), "{text}");
        }
    }

    #[test]
    fn dates_come_back_as_they_are_shown() {
        for day in (0..40_000).step_by(7) {
            let at = Timestamp::from_millis(day * DAY_MS);
            let shown = at.to_string();
            let date = shown.split('T').next().unwrap_or_default();
            assert_eq!(parse(date, Timestamp::ABSENT), Some(at), "{shown}");
        }
    }
}
