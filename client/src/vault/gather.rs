//! What goes into the vault in one request: small files and new directories, and what is in those, as far as there is room.
//!
//! ```text
//!   nodes of one directory ──▶ take · read below a new directory · take · …        until the request is full
//!                                     └─ large files, and what found no room ─▶ `below`, for a job of its own
//!   what of the nodes themselves found no room ─▶ `rest`, for the next request
//! ```
//!
//! A tree of many small directories thus takes as many requests as its contents fill, not as it has directories.

use std::path::{Path, PathBuf};

use ticrypt_keyring::SystemRandom;
use ticrypt_keyring::props::EntryProps;
use ticrypt_types::limits::BATCH_MAX_NODES;
use ticrypt_types::{NodeId, NodeName, Timestamp};

use super::content::{Small, mode_of};
use super::make::{NodeDraft, new_node_id};
use super::path::VaultPath;
use super::plan::{self, BATCH_BYTES};
use super::progress::Note;
use super::put::failed;
use super::source::{self, Reading, Source, SourceKind, shown};
use crate::error::Result;

/// Directories below one another in one request; a tree that is too deep for the vault then fails only where it is.
const LEVELS_MAX: usize = 8;

/// A directory on the disk, and where it goes.
#[derive(Clone, Debug)]
pub(super) struct Branch {
    pub local: PathBuf,
    pub relative: PathBuf,
    /// Places of the directories above, so that a loop of links is seen.
    pub above: Vec<(u64, u64)>,
    pub path: VaultPath,
}

impl Branch {
    /// A directory in this one. What a person named itself (`top`) is where relative paths begin.
    pub(super) fn below(&self, source: &Source, name: &NodeName, top: bool) -> Self {
        let mut above = self.above.clone();
        above.push(source.place);
        let last = source.path.file_name().map(Path::new).unwrap_or(Path::new(""));
        let relative = if top { PathBuf::new() } else { self.relative.join(last) };
        Self { local: source.path.clone(), relative, above, path: self.path.child(name) }
    }

    /// What is in it; blocks.
    pub(super) fn read(&self, reading: &Reading) -> Result<(Vec<Source>, Vec<Note>)> {
        source::read_directory(&self.local, &self.relative, &self.above, reading)
    }
}

/// A small file, a link or a directory that is not in the vault yet.
#[derive(Debug)]
pub(super) struct Sprout {
    pub source: Source,
    /// The name in the vault; not the source's if both are kept.
    pub name: NodeName,
}

/// A new directory that is not finished with the request that makes it.
#[derive(Debug)]
pub(super) struct Below {
    pub node: NodeId,
    pub branch: Branch,
    /// What was read and not taken along; nothing was read yet if `None`.
    pub left: Option<Vec<Source>>,
}

/// What one request makes, and what it leaves.
#[derive(Debug, Default)]
pub(super) struct Load {
    /// Sealed, each after its directory.
    pub drafts: Vec<NodeDraft>,
    pub below: Vec<Below>,
    pub rest: Vec<Sprout>,
    pub notes: Vec<Note>,
    /// What was read below new directories: things, and bytes in them.
    pub found: (u64, u64),
}

/// Fills a request from new nodes of one directory; blocks, and keeps a core busy.
pub(super) fn load(branch: &Branch, top: bool, sprouts: Vec<Sprout>, reading: &Reading, now: Timestamp) -> Load {
    let mut filling = Filling { random: SystemRandom::new(), reading, now, bytes: 0, load: Load::default() };
    let rest = filling.take(branch, top, None, 0, sprouts);
    Load { rest, ..filling.load }
}

/// Bytes that a load may take in memory.
pub(super) fn weight(sprouts: &[Sprout]) -> u64 {
    let weigh = |sprout: &Sprout| if sprout.source.kind == SourceKind::Directory { BATCH_BYTES } else { cost(&sprout.source) };
    sprouts.iter().map(weigh).fold(0, u64::saturating_add).min(BATCH_BYTES)
}

fn cost(source: &Source) -> u64 {
    source.size_bytes.saturating_add(plan::NODE_BYTES)
}

struct Filling<'a> {
    random: SystemRandom,
    reading: &'a Reading,
    now: Timestamp,
    bytes: u64,
    load: Load,
}

impl Filling<'_> {
    /// Takes in order until the request is full; gives back what it did not take.
    fn take(&mut self, branch: &Branch, top: bool, within: Option<NodeId>, level: usize, sprouts: Vec<Sprout>) -> Vec<Sprout> {
        let mut sprouts = sprouts.into_iter();
        while let Some(sprout) = sprouts.next() {
            if !self.has_room_for(cost(&sprout.source)) {
                return std::iter::once(sprout).chain(sprouts).collect();
            }
            match draft(&self.random, &sprout, within, self.now) {
                Ok(draft) => {
                    let node = draft.id;
                    self.bytes = self.bytes.saturating_add(cost(&sprout.source));
                    self.load.drafts.push(draft);
                    if sprout.source.kind == SourceKind::Directory {
                        self.descend(branch.below(&sprout.source, &sprout.name, top), node, level + 1);
                    }
                }
                Err(error) => self.load.notes.push(failed(&shown(&sprout.source.path), &error)),
            }
        }
        Vec::new()
    }

    /// Goes on in a directory that was just taken: nothing is there yet, so nothing has to be decided.
    fn descend(&mut self, branch: Branch, node: NodeId, level: usize) {
        if level > LEVELS_MAX || !self.has_room_for(plan::NODE_BYTES) {
            return self.load.below.push(Below { node, branch, left: None });
        }
        let (sources, notes) = match branch.read(self.reading) {
            Ok(read) => read,
            Err(error) => return self.load.notes.push(failed(&shown(&branch.local), &error)),
        };
        self.load.notes.extend(notes);
        self.load.found.0 += sources.len() as u64;
        self.load.found.1 += sources.iter().map(|source| source.size_bytes).sum::<u64>();
        let (large, small): (Vec<_>, Vec<_>) = sources.into_iter().partition(is_large);
        let small = small.into_iter().map(|source| Sprout { name: source.name.clone(), source }).collect();
        let rest = self.take(&branch, false, Some(node), level, small);
        let left: Vec<_> = rest.into_iter().map(|sprout| sprout.source).chain(large).collect();
        if !left.is_empty() {
            self.load.below.push(Below { node, branch, left: Some(left) });
        }
    }

    fn has_room_for(&self, cost: u64) -> bool {
        let drafts = self.load.drafts.len();
        drafts == 0 || drafts < BATCH_MAX_NODES && self.bytes.saturating_add(cost) <= BATCH_BYTES
    }
}

/// Whether it is uploaded in chunks of its own before it gets a name.
pub(super) fn is_large(source: &Source) -> bool {
    source.kind == SourceKind::File && !plan::is_small(source.size_bytes)
}

fn draft(random: &SystemRandom, sprout: &Sprout, within: Option<NodeId>, now: Timestamp) -> Result<NodeDraft> {
    let Sprout { source, name } = sprout;
    if source.kind == SourceKind::Directory {
        let draft = NodeDraft::directory(random, name.clone(), now, source.modified, mode_of(source.mode))?;
        return Ok(NodeDraft { within, ..draft });
    }
    let id = new_node_id(random)?;
    let content = Small::read(source)?.seal(random, id)?;
    let keys = ticrypt_keyring::NodeKeys::generate(random).map_err(super::make::cannot_seal)?;
    Ok(NodeDraft { id, within, keys: keys.into(), props: entry_props(name, source, now), content: Some(content) })
}

/// A file's times and mode are its versions'; its entry keeps when it came.
pub(super) fn entry_props(name: &NodeName, source: &Source, now: Timestamp) -> EntryProps {
    EntryProps { name: name.clone(), created: now, modified: source.modified, mode: 0 }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::vault::source::look;

    /// All loads of a tree, and how many files are left to uploads of their own.
    fn gather(folder: &Path) -> (Vec<Load>, usize) {
        let reading = Reading::default();
        let name = NodeName::parse("tree").unwrap();
        let source = look(folder, name.clone(), &reading).unwrap().unwrap();
        let branch = Branch { local: PathBuf::new(), relative: PathBuf::new(), above: vec![], path: "/".parse().unwrap() };
        let mut loads = vec![load(&branch, true, vec![Sprout { source, name }], &reading, Timestamp::from_millis(1))];
        let mut large = 0;
        while let Some((branch, left)) =
            loads.iter_mut().flat_map(|load| &mut load.below).find_map(|below| Some((below.branch.clone(), below.left.take()?)))
        {
            let (more, small): (Vec<_>, Vec<_>) = left.into_iter().partition(is_large);
            large += more.len();
            let sprouts = small.into_iter().map(|source| Sprout { name: source.name.clone(), source }).collect();
            loads.push(load(&branch, false, sprouts, &reading, Timestamp::from_millis(1)));
        }
        (loads, large)
    }

    #[test]
    fn a_small_tree_is_one_request_with_parents_first() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(dir.path().join("a/b")).unwrap();
        for file in ["one", "a/two", "a/b/three"] {
            std::fs::write(dir.path().join(file), file).unwrap();
        }
        let (loads, large) = gather(dir.path());
        assert_eq!(large, 0);
        assert_eq!((loads.len(), loads[0].drafts.len(), loads[0].below.len(), loads[0].found), (1, 6, 0, (5, 17)));
        let ids: Vec<_> = loads[0].drafts.iter().map(|draft| draft.id).collect();
        for (at, draft) in loads[0].drafts.iter().enumerate() {
            let parent = draft.within.map(|parent| ids.iter().position(|id| *id == parent).unwrap());
            assert_eq!(parent.is_none(), at == 0, "only the top is in the directory itself");
            assert!(parent.is_none_or(|parent| parent < at));
        }
    }

    #[test]
    fn what_has_no_room_is_left_to_the_next_request_and_comes_once() {
        let dir = tempfile::tempdir().unwrap();
        for folder in 0..3 {
            let folder = dir.path().join(format!("d{folder}"));
            std::fs::create_dir(&folder).unwrap();
            (0..900).for_each(|file| std::fs::write(folder.join(format!("f{file}")), b"x").unwrap());
        }
        std::fs::write(dir.path().join("large"), vec![1; 100_000]).unwrap();
        let (loads, large) = gather(dir.path());
        assert_eq!(loads[0].drafts.len(), BATCH_MAX_NODES);
        assert!(loads.iter().all(|load| load.drafts.len() <= BATCH_MAX_NODES));
        let mut names: Vec<_> = loads.iter().flat_map(|load| &load.drafts).map(|draft| (draft.within, draft.props.name.clone())).collect();
        let count = names.len();
        names.sort();
        names.dedup();
        assert_eq!((count, names.len(), large), (1 + 3 + 2_700, count, 1));
        assert!(loads.iter().all(|load| load.notes.is_empty()));
    }
}
