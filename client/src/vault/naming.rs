//! Names made by the program: the free name beside a taken one, and what a name of the vault is called on a disk.

use ticrypt_types::NodeName;
use ticrypt_types::limits::NODE_NAME_MAX_BYTES;
use ticrypt_types::name::Harmless;

/// What half-written downloads are called; no name of the vault is written to a disk under such a name.
pub const PART_PREFIX: &str = ".ticrypt-";

/// The first of `name (2).ext`, `name (3).ext`, … that is free.
pub fn beside(name: &str, mut taken: impl FnMut(&str) -> bool) -> String {
    let (stem, extension) = split_extension(name);
    let mut number: u64 = 2;
    loop {
        let ending = format!(" ({number}){extension}");
        let candidate = format!("{}{ending}", shorten(stem, NODE_NAME_MAX_BYTES.saturating_sub(ending.len())));
        if !taken(&candidate) {
            return candidate;
        }
        number += 1;
    }
}

/// `a.tar.gz` keeps `.tar.gz`, `.profile` has no extension, a long "extension" is part of the name.
fn split_extension(name: &str) -> (&str, &str) {
    const LONGEST: usize = 16;
    let pair = [".tar.gz", ".tar.xz", ".tar.bz2", ".tar.zst"].into_iter().find(|ending| name.ends_with(ending));
    let at = match pair {
        Some(ending) => Some(name.len() - ending.len()),
        None => name.rfind('.').filter(|at| name.len() - at <= LONGEST),
    };
    at.filter(|at| *at > 0).and_then(|at| name.split_at_checked(at)).unwrap_or((name, ""))
}

/// Cuts at a character, to at most `max` bytes.
fn shorten(text: &str, max: usize) -> &str {
    let mut end = max.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).unwrap_or(text)
}

/// What a name of the vault is called on a disk, and whether that is another name.
///
/// `/`, NUL, `.` and `..` are no names of the vault. What else a hostile sharer may choose: control and bidirectional characters, which
/// could forge the output of other programs, are written as `\u{..}`; the names of our own half-written files are moved out of the way.
pub fn on_disk(name: &NodeName) -> (String, bool) {
    let mut text = Harmless(name.as_str()).to_string();
    if text.starts_with(PART_PREFIX) {
        text.insert(0, '_');
    }
    if text.len() > NODE_NAME_MAX_BYTES {
        text = shorten(&text, NODE_NAME_MAX_BYTES).to_owned();
    }
    let changed = text != name.as_str();
    (text, changed)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn the_first_free_name() {
        let taken: HashSet<&str> = ["a.txt", "a (2).txt", "x"].into();
        let free = |name: &str| beside(name, |candidate| taken.contains(candidate));
        assert_eq!(free("a.txt"), "a (3).txt");
        assert_eq!(free("x"), "x (2)");
        assert_eq!(free(".profile"), ".profile (2)");
        assert_eq!(free("b.tar.gz"), "b (2).tar.gz");
        assert_eq!(free("v1.2.txt"), "v1.2 (2).txt");
        assert_eq!(free("ends."), "ends (2).");
    }

    #[test]
    fn a_long_name_stays_a_name() {
        for name in ["x".repeat(255), "é".repeat(127), format!("{}.txt", "é".repeat(125))] {
            let free = beside(&name, |_| false);
            assert!(free.len() <= 255 && NodeName::parse(&free).is_ok(), "{free}");
        }
    }

    #[test]
    fn hostile_names_are_defused() {
        let disk = |name: &str| on_disk(&NodeName::parse(name).unwrap());
        assert_eq!(disk("plain é.txt"), ("plain é.txt".to_owned(), false));
        assert_eq!(disk("a\u{202e}gpj.exe"), ("a\\u{202e}gpj.exe".to_owned(), true));
        assert_eq!(disk("a\nb\u{1b}[2J"), ("a\\u{a}b\\u{1b}[2J".to_owned(), true));
        assert_eq!(disk(".ticrypt-x.part"), ("_.ticrypt-x.part".to_owned(), true));
        assert!(disk(&"\u{202e}".repeat(80)).0.len() <= 255);
    }
}
