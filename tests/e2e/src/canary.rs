//! Looks for secrets where none may be, in every dress a leak could wear.
//!
//! A secret is sought as it is, in hexadecimal of both cases, in base64 of both alphabets at each of the three ways it can fall on
//! the groups of three bytes, and, if it is text, in UTF-16 of both byte orders. Of base64 only those characters are sought that
//! depend on nothing but the secret, so that it is found in the middle of something larger.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use aho_corasick::AhoCorasick;
use anyhow::{Context, Result, ensure};
use data_encoding::{BASE64, BASE64URL, HEXLOWER, HEXUPPER};

/// Shorter secrets would be found by accident.
pub const SECRET_MIN_BYTES: usize = 12;
const BLOCK_BYTES: usize = 4 << 20;

/// Something that must not be seen.
#[derive(Debug, Clone)]
pub struct Canary {
    pub name: String,
    pub bytes: Vec<u8>,
}

impl Canary {
    pub fn new(name: impl Into<String>, bytes: impl Into<Vec<u8>>) -> Self {
        Self { name: name.into(), bytes: bytes.into() }
    }

    /// Every dress, with its name.
    pub fn dresses(&self) -> Vec<(&'static str, Vec<u8>)> {
        let bytes = &self.bytes;
        let mut dresses = vec![
            ("as it is", bytes.clone()),
            ("hexadecimal", HEXLOWER.encode(bytes).into_bytes()),
            ("HEXADECIMAL", HEXUPPER.encode(bytes).into_bytes()),
        ];
        let names = [("base64, first", "base64url, first"), ("base64, second", "base64url, second"), ("base64, third", "base64url, third")];
        for (before, (standard, url)) in names.into_iter().enumerate() {
            dresses.push((standard, base64_core(&BASE64, bytes, before)));
            dresses.push((url, base64_core(&BASE64URL, bytes, before)));
        }
        if let Ok(text) = std::str::from_utf8(bytes) {
            dresses.push(("UTF-16, little end", text.encode_utf16().flat_map(u16::to_le_bytes).collect()));
            dresses.push(("UTF-16, big end", text.encode_utf16().flat_map(u16::to_be_bytes).collect()));
        }
        dresses
    }
}

/// The base64 characters that a secret alone determines when `before` bytes stand before it in its group of three.
fn base64_core(encoding: &data_encoding::Encoding, secret: &[u8], before: usize) -> Vec<u8> {
    let mut padded = vec![0; before];
    padded.extend_from_slice(secret);
    let whole = encoding.encode(&padded);
    let (first, last) = ((before * 8).div_ceil(6), padded.len() * 8 / 6);
    whole.as_bytes().get(first..last).unwrap_or_default().to_vec()
}

/// A secret that was seen.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Sighting {
    pub place: String,
    pub canary: String,
    pub dress: &'static str,
    pub offset: u64,
}

/// Seeks many secrets at once.
pub struct Searcher {
    automaton: AhoCorasick,
    patterns: Vec<(String, &'static str)>,
    longest: usize,
}

impl Searcher {
    pub fn new(canaries: &[Canary]) -> Result<Self> {
        let (mut patterns, mut needles) = (Vec::new(), Vec::new());
        for canary in canaries {
            ensure!(canary.bytes.len() >= SECRET_MIN_BYTES, "{} is too short to be sought", canary.name);
            for (dress, needle) in canary.dresses() {
                patterns.push((canary.name.clone(), dress));
                needles.push(needle);
            }
        }
        let longest = needles.iter().map(Vec::len).max().unwrap_or(1);
        Ok(Self { automaton: AhoCorasick::new(&needles)?, patterns, longest })
    }

    /// How many byte strings are sought.
    pub fn patterns(&self) -> usize {
        self.patterns.len()
    }

    /// Everything seen in these bytes.
    pub fn search(&self, place: &str, bytes: &[u8], from: u64) -> Vec<Sighting> {
        let found = self.automaton.find_overlapping_iter(bytes);
        found
            .filter_map(|hit| {
                let (canary, dress) = self.patterns.get(hit.pattern().as_usize())?;
                Some(Sighting { place: place.to_owned(), canary: canary.clone(), dress, offset: from + hit.start() as u64 })
            })
            .collect()
    }

    /// Everything seen in a stream, however long.
    pub fn search_reader(&self, place: &str, mut reader: impl Read) -> Result<Vec<Sighting>> {
        let mut found = Vec::new();
        let mut window = Vec::with_capacity(BLOCK_BYTES + self.longest);
        let mut from = 0;
        loop {
            let read = (&mut reader).take(BLOCK_BYTES as u64).read_to_end(&mut window)?;
            found.extend(self.search(place, &window, from));
            if read == 0 {
                break;
            }
            // Enough of the end for a secret that goes on in the next block.
            let done = window.len().saturating_sub(self.longest);
            window.drain(..done);
            from += done as u64;
        }
        found.sort();
        found.dedup();
        Ok(found)
    }

    /// Everything seen in the files below a directory, and in their names. Returns the bytes searched as well.
    pub fn search_tree(&self, root: &Path) -> Result<(Vec<Sighting>, u64)> {
        let (mut found, mut searched, mut open) = (Vec::new(), 0, vec![root.to_path_buf()]);
        while let Some(directory) = open.pop() {
            let mut entries: Vec<PathBuf> = std::fs::read_dir(&directory)?.map(|e| Ok(e?.path())).collect::<Result<_>>()?;
            entries.sort();
            for path in entries {
                let place = path.display().to_string();
                found.extend(self.search(&format!("the name {place}"), place.as_bytes(), 0));
                if path.is_dir() {
                    open.push(path);
                } else if path.is_file() {
                    let file = File::open(&path).with_context(|| format!("open {place}"))?;
                    searched += file.metadata()?.len();
                    found.extend(self.search_reader(&place, file)?);
                }
            }
        }
        Ok((found, searched))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]
    use super::*;
    use crate::chance::Chance;

    fn canaries() -> Vec<Canary> {
        let mut chance = Chance::new(7);
        vec![
            Canary::new("text", format!("Geheim-ß-{}", chance.word(20))),
            Canary::new("binary", [vec![0xff, 0xfb, 0xef], chance.bytes(32)].concat()),
        ]
    }

    /// Encoded as a program would, with other things before and behind it.
    #[test]
    fn every_dress_is_seen_at_every_place() {
        let canaries = canaries();
        let searcher = Searcher::new(&canaries).unwrap();
        let mut dresses = std::collections::BTreeSet::new();
        for canary in &canaries {
            for before in 0..9 {
                for behind in 0..4 {
                    let raw = [vec![0x5a; before], canary.bytes.clone(), vec![0xa5; behind]].concat();
                    let leaks = [HEXLOWER.encode(&raw), HEXUPPER.encode(&raw), BASE64.encode(&raw), BASE64URL.encode(&raw)];
                    for leak in leaks.iter().map(String::as_bytes).chain([raw.as_slice()]) {
                        let seen = searcher.search("here", leak, 0);
                        assert!(seen.iter().any(|s| s.canary == canary.name), "{} {before} {behind} {leak:?}", canary.name);
                        dresses.extend(seen.iter().map(|s| s.dress));
                    }
                }
            }
        }
        let text = std::str::from_utf8(&canaries[0].bytes).unwrap();
        for wide in [u16::to_le_bytes as fn(u16) -> [u8; 2], u16::to_be_bytes] {
            let leak: Vec<u8> = "before ".encode_utf16().chain(text.encode_utf16()).flat_map(wide).collect();
            let seen = searcher.search("here", &leak, 0);
            assert!(!seen.is_empty());
            dresses.extend(seen.iter().map(|s| s.dress));
        }
        assert_eq!(dresses.len(), 11, "{dresses:?}");
    }

    /// No dress is so short that chance would wear it.
    #[test]
    fn other_bytes_are_not_taken_for_a_secret() {
        let searcher = Searcher::new(&canaries()).unwrap();
        assert_eq!(searcher.patterns(), 11 + 9);
        let other = Chance::new(8).bytes(4 << 20);
        assert!(searcher.search("here", &other, 0).is_empty());
        assert!(searcher.search("here", BASE64.encode(&other).as_bytes(), 0).is_empty());
        assert!(Searcher::new(&[Canary::new("short", "elevenbytes")]).is_err());
    }

    #[test]
    fn a_secret_across_two_blocks_is_seen_once() {
        let canaries = canaries();
        let searcher = Searcher::new(&canaries).unwrap();
        for shift in [1, 10, 20] {
            let offset = BLOCK_BYTES - shift;
            let mut bytes = vec![0; 2 * BLOCK_BYTES];
            bytes[offset..offset + canaries[1].bytes.len()].copy_from_slice(&canaries[1].bytes);
            let seen = searcher.search_reader("here", bytes.as_slice()).unwrap();
            assert_eq!(seen.len(), 1);
            assert_eq!((seen[0].offset, seen[0].dress), (offset as u64, "as it is"));
        }
    }

    #[test]
    fn contents_and_names_of_files_are_searched() {
        let canaries = canaries();
        let directory = tempfile::tempdir().unwrap();
        let name = HEXLOWER.encode(&canaries[1].bytes);
        std::fs::create_dir_all(directory.path().join("a/b")).unwrap();
        std::fs::write(directory.path().join("a/b").join(&name), [b"x".as_slice(), &canaries[0].bytes].concat()).unwrap();
        let (seen, searched) = Searcher::new(&canaries).unwrap().search_tree(directory.path()).unwrap();
        assert_eq!(seen.len(), 2, "{seen:?}");
        assert_eq!(searched, canaries[0].bytes.len() as u64 + 1);
    }
}
