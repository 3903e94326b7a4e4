//! What to do with each thing that is put or got, decided without I/O.

use std::ops::Range;

use ticrypt_crypto::Digest;
use ticrypt_crypto::chunk::stored_total;
use ticrypt_types::Timestamp;
use ticrypt_types::limits::{BATCH_MAX_NODES, SMALL_CONTENT_MAX_BYTES};

/// What to do where a name is taken by something else than what is written. Never overwritten silently.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum IfExists {
    /// Report it, even if it is the same; the rest goes on.
    #[default]
    Fail,
    /// Leave what is there: the same (by size and time, else by SHA-256) counts as unchanged, anything else as skipped.
    Skip,
    /// Write under a free name beside it.
    KeepBoth,
    /// In the vault a new version; on a disk the file is replaced.
    Force,
}

/// The kind of a thing, as far as names collide.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Directory,
    File,
    Link,
}

/// What stands under a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct There {
    pub kind: Kind,
    pub size_bytes: u64,
    pub modified: Timestamp,
}

/// What to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    Create,
    /// A directory is there already and takes what is below.
    Enter,
    /// Same size and time: the same file, as `rsync` decides.
    Unchanged,
    /// Same size, another time: the hashes decide.
    Compare,
    Skip,
    /// Under a free name.
    Beside,
    Replace,
    Fail(&'static str),
}

/// Decides for one thing. Only where somebody said what to do with what is there is it looked at: with [`IfExists::Skip`] an interrupted command
/// can be given again, and what is the same counts as unchanged.
pub fn decide(what: There, there: Option<There>, if_exists: IfExists) -> Step {
    let Some(there) = there else { return Step::Create };
    if what.kind == Kind::Directory && there.kind == Kind::Directory {
        return Step::Enter;
    }
    if if_exists == IfExists::Fail {
        return differs(if_exists);
    }
    if what.kind != there.kind {
        // A file never takes the place of a directory or a link, nor the other way round.
        return match if_exists {
            IfExists::Skip => Step::Skip,
            IfExists::KeepBoth => Step::Beside,
            IfExists::Fail | IfExists::Force => Step::Fail("something of another kind has that name; choose --skip or --keep-both"),
        };
    }
    if what.size_bytes == there.size_bytes {
        let same_time = what.modified == there.modified && what.modified != Timestamp::ABSENT;
        return if same_time && what.kind == Kind::File { Step::Unchanged } else { Step::Compare };
    }
    differs(if_exists)
}

/// Decides where the contents are known to differ.
pub fn differs(if_exists: IfExists) -> Step {
    match if_exists {
        IfExists::Fail => Step::Fail("it exists already; choose --skip, --keep-both or --force"),
        IfExists::Skip => Step::Skip,
        IfExists::KeepBoth => Step::Beside,
        IfExists::Force => Step::Replace,
    }
}

/// Decides after the hashes were compared.
pub fn compared(ours: &Digest, theirs: &Digest, if_exists: IfExists) -> Step {
    if ours == theirs { Step::Unchanged } else { differs(if_exists) }
}

/// Whether a content of this many bytes travels with its metadata.
pub fn is_small(size_bytes: u64) -> bool {
    stored_total(size_bytes) <= SMALL_CONTENT_MAX_BYTES as u64
}

/// Bytes of content of one request; what is around each content is counted too.
pub const BATCH_BYTES: u64 = 4 * 1024 * 1024;
/// What a node's records take in a request, roughly and rather too much.
pub const NODE_BYTES: u64 = 2_048;

/// Cuts a list of sizes into runs that fit a request each.
pub fn batches(sizes: impl IntoIterator<Item = u64>, max_bytes: u64) -> Vec<Range<usize>> {
    let mut runs = Vec::new();
    let (mut start, mut end, mut bytes) = (0, 0, 0u64);
    for size in sizes {
        let cost = size.saturating_add(NODE_BYTES);
        let full = end - start >= BATCH_MAX_NODES || bytes.saturating_add(cost) > max_bytes;
        if full && end > start {
            runs.push(start..end);
            (start, bytes) = (end, 0);
        }
        end += 1;
        bytes = bytes.saturating_add(cost);
    }
    if end > start {
        runs.push(start..end);
    }
    runs
}

#[cfg(test)]
mod tests {
    use super::*;

    fn thing(kind: Kind, size_bytes: u64, modified: u64) -> There {
        There { kind, size_bytes, modified: Timestamp::from_millis(modified) }
    }

    #[test]
    fn nothing_is_overwritten_without_force() {
        let all = [IfExists::Fail, IfExists::Skip, IfExists::KeepBoth, IfExists::Force];
        let file = thing(Kind::File, 5, 100);
        for mode in all {
            assert_eq!(decide(file, None, mode), Step::Create);
            assert_eq!(decide(thing(Kind::Directory, 0, 0), Some(thing(Kind::Directory, 0, 9)), mode), Step::Enter);
            if mode == IfExists::Fail {
                assert!(matches!(decide(file, Some(file), mode), Step::Fail(_)));
                continue;
            }
            assert_eq!(decide(file, Some(thing(Kind::File, 5, 100)), mode), Step::Unchanged);
            assert_eq!(decide(file, Some(thing(Kind::File, 5, 101)), mode), Step::Compare);
            // Without a time the bytes decide.
            assert_eq!(decide(thing(Kind::File, 5, 0), Some(thing(Kind::File, 5, 0)), mode), Step::Compare);
            assert_eq!(decide(thing(Kind::Link, 5, 1), Some(thing(Kind::Link, 5, 1)), mode), Step::Compare);
            assert_eq!(decide(file, Some(thing(Kind::File, 6, 100)), mode), differs(mode));
            for (a, b) in [(Kind::File, Kind::Directory), (Kind::Directory, Kind::File), (Kind::Link, Kind::File), (Kind::File, Kind::Link)]
            {
                let step = decide(thing(a, 5, 100), Some(thing(b, 5, 100)), mode);
                assert!(!matches!(step, Step::Replace | Step::Enter | Step::Unchanged | Step::Create), "{a:?} over {b:?}: {step:?}");
            }
        }
        assert_eq!(all.map(differs).iter().filter(|step| **step == Step::Replace).count(), 1);
        assert!(matches!(differs(IfExists::default()), Step::Fail(_)));
        let (a, b) = (Digest::of(b"a"), Digest::of(b"b"));
        assert_eq!((compared(&a, &a, IfExists::Fail), compared(&a, &b, IfExists::Force)), (Step::Unchanged, Step::Replace));
    }

    #[test]
    fn runs_fit_and_cover_everything_in_order() {
        assert!(batches([], 100).is_empty());
        // One that is too large alone still goes, alone.
        assert_eq!(batches([10 * NODE_BYTES, 1, 1], 4 * NODE_BYTES), [0..1, 1..3]);
        for (count, size) in [(1usize, 0u64), (2_000, 0), (2_001, 0), (10_000, 1_024), (7_000, 60_000)] {
            let runs = batches(std::iter::repeat_n(size, count), BATCH_BYTES);
            assert_eq!(runs.iter().flat_map(|run| run.clone()).collect::<Vec<_>>(), (0..count).collect::<Vec<_>>());
            for run in &runs {
                assert!(run.len() <= BATCH_MAX_NODES && run.len() as u64 * (size + NODE_BYTES) <= BATCH_BYTES);
            }
        }
        assert_eq!(batches(std::iter::repeat_n(1_024, 10_000), BATCH_BYTES).len(), 8);
    }

    #[test]
    fn small_is_what_the_store_keeps_with_the_metadata() {
        assert!(is_small(0) && is_small(65_536 - 64) && !is_small(65_536 - 63));
    }
}
