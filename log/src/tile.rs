//! C2SP tlog-tiles: where the hashes and entries of a tree lie, and how they are packed.
//!
//! ```text
//! tile/0/x001/234          256 leaf hashes, 1234·256 ..
//! tile/1/004.p/210         the 210 hashes there are so far; each is the root of a full tile below
//! tile/entries/x001/234    the 256 entries behind tile/0/x001/234, each after its u16 length
//! ```
//!
//! Full tiles never change. A partial tile is the beginning of the full one, so any partial width
//! can be cut from what came later.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use crate::merkle::{HASH_BYTES, Hash, HashReader, subtree_root};

/// Hashes in a full tile, entries in a full bundle.
pub const TILE_WIDTH: u16 = 256;

/// Longest entry a bundle can hold, in bytes.
pub const MAX_ENTRY_BYTES: usize = u16::MAX as usize;

/// Longest path accepted, in bytes: a 64-bit index needs six elements.
const MAX_PATH_BYTES: usize = 96;

const HIGHEST_LEVEL: u8 = 63;

/// What a tile path leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TileLevel {
    /// Hashes at tile level 0 to 63.
    Hashes(u8),
    /// The entries themselves.
    Entries,
}

/// The name of one tile or entry bundle.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TilePath {
    level: TileLevel,
    index: u64,
    width: u16,
}

/// A tile path or the bytes of a tile are not as C2SP tlog-tiles says.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TileError {
    /// Not a path of a tile.
    #[error("this is not the path of a tile")]
    Path,
    /// The bytes do not fill the tile exactly.
    #[error("tile {path} has {found} bytes instead of {wanted}")]
    Length {
        /// The tile.
        path: TilePath,
        /// Bytes found.
        found: usize,
        /// Bytes wanted.
        wanted: usize,
    },
    /// An entry bundle ends early, runs on, or holds another number of entries.
    #[error("entry bundle {0} does not hold exactly its entries")]
    Bundle(TilePath),
    /// An entry is too long for its 16-bit length.
    #[error("entry has {0} bytes, more than 65535")]
    EntryTooLong(usize),
    /// The tree does not have this hash yet.
    #[error("tree of {size} leaves has no complete subtree {index} at level {level}")]
    NoSuchHash {
        /// Tree size in leaves.
        size: u64,
        /// Binary level.
        level: u8,
        /// Index within the level.
        index: u64,
    },
}

impl TilePath {
    /// A path; `None` for a width outside 1 to 256, a level above 63 or an index no 64-bit tree has.
    #[must_use]
    pub const fn new(level: TileLevel, index: u64, width: u16) -> Option<Self> {
        let level_fits = match level {
            TileLevel::Hashes(level) => level <= HIGHEST_LEVEL,
            TileLevel::Entries => true,
        };
        if !level_fits || width == 0 || width > TILE_WIDTH || index > u64::MAX >> 8 {
            return None;
        }
        Some(Self { level, index, width })
    }

    /// Which row of tiles.
    #[must_use]
    pub const fn level(&self) -> TileLevel {
        self.level
    }

    /// Number of the tile within its row.
    #[must_use]
    pub const fn index(&self) -> u64 {
        self.index
    }

    /// Hashes or entries in it, 1 to 256.
    #[must_use]
    pub const fn width(&self) -> u16 {
        self.width
    }

    /// Whether it will never change again.
    #[must_use]
    pub const fn is_full(&self) -> bool {
        self.width == TILE_WIDTH
    }

    /// The same tile once it is full.
    #[must_use]
    pub const fn full(&self) -> Self {
        Self { level: self.level, index: self.index, width: TILE_WIDTH }
    }

    /// Reads `tile/<L>/<N>[.p/<W>]` or `tile/entries/<N>[.p/<W>]`, in the one spelling allowed.
    ///
    /// # Errors
    /// [`TileError::Path`].
    pub fn parse(text: &str) -> Result<Self, TileError> {
        Self::parse_inner(text).filter(|path| path.to_string() == text).ok_or(TileError::Path)
    }

    fn parse_inner(text: &str) -> Option<Self> {
        if text.len() > MAX_PATH_BYTES {
            return None;
        }
        let (level, rest) = text.strip_prefix("tile/")?.split_once('/')?;
        let level = match level {
            "entries" => TileLevel::Entries,
            number => TileLevel::Hashes(parse_digits(number)?.try_into().ok()?),
        };
        let (number, width) = match rest.split_once(".p/") {
            Some((number, width)) => {
                let width: u16 = parse_digits(width)?.try_into().ok()?;
                (number, (width < TILE_WIDTH).then_some(width)?)
            }
            None => (rest, TILE_WIDTH),
        };
        let mut index: u64 = 0;
        for element in number.split('/') {
            let digits = element.strip_prefix('x').unwrap_or(element);
            if digits.len() != 3 {
                return None;
            }
            index = index.checked_mul(1000)?.checked_add(parse_digits(digits)?)?;
        }
        Self::new(level, index, width)
    }
}

impl fmt::Display for TilePath {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.level {
            TileLevel::Hashes(level) => write!(out, "tile/{level}")?,
            TileLevel::Entries => out.write_str("tile/entries")?,
        }
        let mut groups = vec![self.index % 1000];
        let mut rest = self.index / 1000;
        while rest > 0 {
            groups.push(rest % 1000);
            rest /= 1000;
        }
        for (place, group) in groups.iter().enumerate().rev() {
            write!(out, "/{}{group:03}", if place > 0 { "x" } else { "" })?;
        }
        if self.is_full() { Ok(()) } else { write!(out, ".p/{}", self.width) }
    }
}

fn parse_digits(text: &str) -> Option<u64> {
    let all_digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    all_digits.then(|| text.parse().ok()).flatten()
}

/// How many hashes stand at a tile level in a tree of `size` leaves: `size / 256^level`.
#[must_use]
pub fn level_count(size: u64, level: u8) -> u64 {
    size.checked_shr(u32::from(level) * 8).unwrap_or(0)
}

/// Number of tile levels in a tree of `size` leaves.
#[must_use]
pub fn level_total(size: u64) -> u8 {
    let mut level = 0;
    while level_count(size, level) > 0 {
        level += 1;
    }
    level
}

/// The tile at `index` of a row in a tree of `size` leaves, as wide as that tree fills it.
#[must_use]
pub fn tile_at(level: TileLevel, index: u64, size: u64) -> Option<TilePath> {
    let count = match level {
        TileLevel::Hashes(level) => level_count(size, level),
        TileLevel::Entries => size,
    };
    let start = index.checked_mul(u64::from(TILE_WIDTH))?;
    let width = count.checked_sub(start)?.min(u64::from(TILE_WIDTH));
    TilePath::new(level, index, width.try_into().ok()?)
}

/// The partial tiles and the partial bundle at the right edge of a tree of `size` leaves.
#[must_use]
pub fn partial_tiles(size: u64) -> Vec<TilePath> {
    let hashes = (0..level_total(size)).map(|level| (TileLevel::Hashes(level), level_count(size, level)));
    hashes
        .chain(std::iter::once((TileLevel::Entries, size)))
        .filter_map(|(level, count)| tile_at(level, count / u64::from(TILE_WIDTH), size))
        .filter(|path| !path.is_full())
        .collect()
}

/// The tile that holds the complete subtree (`level`, `index`), and the hashes under it there.
fn locate(level: u8, index: u64, size: u64) -> Option<(TilePath, usize, usize)> {
    let first = index.checked_shl(u32::from(level % 8)).filter(|first| first >> (level % 8) == index)?;
    let span = 1_u64 << (level % 8);
    let width = u64::from(TILE_WIDTH);
    let path = tile_at(TileLevel::Hashes(level / 8), first / width, size)?;
    let offset = first % width;
    (offset + span <= u64::from(path.width)).then_some(())?;
    Some((path, usize::try_from(offset).ok()?, usize::try_from(span).ok()?))
}

/// The tiles that hold these complete subtrees, each once.
///
/// # Errors
/// [`TileError::NoSuchHash`] when the tree is too small for one of them.
pub fn tiles_for(hashes: &BTreeSet<(u8, u64)>, size: u64) -> Result<BTreeSet<TilePath>, TileError> {
    hashes
        .iter()
        .map(|(level, index)| match locate(*level, *index, size) {
            Some((path, ..)) => Ok(path),
            None => Err(TileError::NoSuchHash { size, level: *level, index: *index }),
        })
        .collect()
}

/// Packs hashes as a tile.
#[must_use]
pub fn encode_hashes(hashes: &[Hash]) -> Vec<u8> {
    hashes.iter().flat_map(|hash| hash.as_bytes().iter().copied()).collect()
}

/// Unpacks a tile of the width its path says.
///
/// # Errors
/// [`TileError::Length`].
pub fn decode_hashes(path: TilePath, bytes: &[u8]) -> Result<Vec<Hash>, TileError> {
    let wanted = usize::from(path.width) * HASH_BYTES;
    if bytes.len() != wanted {
        return Err(TileError::Length { path, found: bytes.len(), wanted });
    }
    Ok(bytes.chunks_exact(HASH_BYTES).filter_map(Hash::from_slice).collect())
}

/// Adds one entry to a bundle: two bytes of length, most significant first, then the entry.
///
/// # Errors
/// [`TileError::EntryTooLong`].
pub fn push_entry(bundle: &mut Vec<u8>, entry: &[u8]) -> Result<(), TileError> {
    let length = u16::try_from(entry.len()).map_err(|_| TileError::EntryTooLong(entry.len()))?;
    bundle.extend_from_slice(&length.to_be_bytes());
    bundle.extend_from_slice(entry);
    Ok(())
}

/// Splits a bundle into its entries, which must be as many as its path says and fill it exactly.
///
/// # Errors
/// [`TileError::Bundle`].
pub fn decode_entries(path: TilePath, mut bytes: &[u8]) -> Result<Vec<&[u8]>, TileError> {
    let mut entries = Vec::with_capacity(usize::from(path.width));
    for _ in 0..path.width {
        let (length, rest) = bytes.split_first_chunk::<2>().ok_or(TileError::Bundle(path))?;
        let length = usize::from(u16::from_be_bytes(*length));
        let (entry, rest) = rest.split_at_checked(length).ok_or(TileError::Bundle(path))?;
        entries.push(entry);
        bytes = rest;
    }
    if bytes.is_empty() { Ok(entries) } else { Err(TileError::Bundle(path)) }
}

/// A [`HashReader`] over tiles that `fetch` brings; each tile is asked for once.
pub struct TileReader<F> {
    size: u64,
    fetch: F,
    seen: RefCell<BTreeMap<TilePath, Vec<Hash>>>,
}

impl<E: From<TileError>, F: Fn(TilePath) -> Result<Vec<u8>, E>> TileReader<F> {
    /// Reads a tree of `size` leaves.
    pub const fn new(size: u64, fetch: F) -> Self {
        Self { size, fetch, seen: RefCell::new(BTreeMap::new()) }
    }
}

impl<E: From<TileError>, F: Fn(TilePath) -> Result<Vec<u8>, E>> HashReader for TileReader<F> {
    type Error = E;

    fn hash(&self, level: u8, index: u64) -> Result<Hash, E> {
        let missing = || TileError::NoSuchHash { size: self.size, level, index };
        let (path, offset, span) = locate(level, index, self.size).ok_or_else(missing)?;
        let mut seen = self.seen.borrow_mut();
        let hashes = match seen.entry(path) {
            std::collections::btree_map::Entry::Occupied(entry) => entry.into_mut(),
            std::collections::btree_map::Entry::Vacant(entry) => entry.insert(decode_hashes(path, &(self.fetch)(path)?)?),
        };
        let under = hashes.get(offset..offset + span).and_then(subtree_root);
        Ok(under.ok_or_else(missing)?)
    }
}
