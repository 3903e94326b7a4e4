//! Labels: where data, and a person at work, stand among the trees of projects (rules §2).
//!
//! A [`Line`] is a project with its ancestors, root first. A [`Label`] is a set of lines, at most one from each tree; Unlocked is the empty
//! one. Data has a label, the tags on its path; a person has one, their working set. Labels are ordered by [`Label::is_within`]:
//!
//! ```text
//!            {US/Florida}   {US/Texas}        read:   label is within the working set
//!                    └──┬──┘                  write:  label equals it
//!                     {US}        {Care}      so data written was read at or above its own label:
//!                       └────┬────┘           x within w, w = y  ⇒  x within y
//!                         Unlocked
//! ```
//!
//! This is the lattice model of Bell and LaPadula with writing made equal, as no label is ever a set of two siblings: what cannot be
//! a label cannot be combined.

use ticrypt_types::{ProjectId, limits};

/// A project with all its ancestors, root first. Never empty, and nothing twice.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Line(Vec<ProjectId>);

impl Line {
    /// `None` unless this can be the way down a tree.
    pub fn new(root_first: Vec<ProjectId>) -> Option<Self> {
        let repeats = root_first.iter().enumerate().any(|(at, project)| root_first.iter().skip(at + 1).any(|other| other == project));
        let fits = (1..=limits::PROJECT_DEPTH_MAX).contains(&root_first.len());
        (fits && !repeats).then_some(Self(root_first))
    }

    /// From the root of the tree down to the project itself.
    pub fn projects(&self) -> &[ProjectId] {
        &self.0
    }

    /// The project at its end; `None` never happens, since a line is never empty.
    pub fn project(&self) -> Option<ProjectId> {
        self.0.last().copied()
    }

    fn root(&self) -> Option<&ProjectId> {
        self.0.first()
    }

    /// Whether `lower` is this project or a descendant of it.
    pub fn leads_to(&self, lower: &Self) -> bool {
        lower.0.starts_with(&self.0)
    }
}

/// At most one line from each tree, in the order of their roots.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Label(Vec<Line>);

/// Two projects of one tree, neither an ancestor of the other: they could never be active together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Apart;

/// A step of a tag within one tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shift {
    /// To this project, from nothing or from an ancestor of it: classifying.
    Down(ProjectId),
    /// Away from this project, to an ancestor or to nothing: declassifying.
    Up(ProjectId),
    Sideways,
}

impl Label {
    /// Unlocked: the absence of tags.
    pub const UNLOCKED: Self = Self(Vec::new());

    /// The label of something with these tags on its path: of those on one line, the lowest says it all.
    pub fn of(tags: impl IntoIterator<Item = Line>) -> Result<Self, Apart> {
        tags.into_iter().try_fold(Self::UNLOCKED, Self::with)
    }

    /// The label of the same with one more tag.
    pub fn with(mut self, tag: Line) -> Result<Self, Apart> {
        match self.0.binary_search_by(|line| line.root().cmp(&tag.root())) {
            Err(at) => self.0.insert(at, tag),
            Ok(at) => {
                let line = self.0.get_mut(at).ok_or(Apart)?;
                if line.leads_to(&tag) {
                    *line = tag;
                } else if !tag.leads_to(line) {
                    return Err(Apart);
                }
            }
        }
        Ok(self)
    }

    /// The least label that both are within.
    pub fn joined(&self, other: &Self) -> Result<Self, Apart> {
        other.0.iter().cloned().try_fold(self.clone(), Self::with)
    }

    pub fn lines(&self) -> &[Line] {
        &self.0
    }

    pub fn is_unlocked(&self) -> bool {
        self.0.is_empty()
    }

    /// The order of labels: every line of this one leads to a line of `other`.
    pub fn is_within(&self, other: &Self) -> bool {
        self.0.iter().all(|line| other.in_tree_of(line).is_some_and(|lower| line.leads_to(lower)))
    }

    /// What changes from this label to another, a tree at a time.
    pub fn shifts<'a>(&'a self, to: &'a Self) -> impl Iterator<Item = Shift> + 'a {
        let lowered = self.0.iter().filter_map(|from| match to.in_tree_of(from) {
            Some(line) if line == from => None,
            Some(line) if line.leads_to(from) => from.project().map(Shift::Up),
            Some(line) if from.leads_to(line) => line.project().map(Shift::Down),
            Some(_) => Some(Shift::Sideways),
            None => from.project().map(Shift::Up),
        });
        lowered.chain(to.0.iter().filter(|line| self.in_tree_of(line).is_none()).filter_map(|line| line.project().map(Shift::Down)))
    }

    /// Whether the project itself is named, not only an ancestor or a descendant of it.
    pub fn names(&self, project: ProjectId) -> bool {
        self.0.iter().any(|line| line.project() == Some(project))
    }

    fn in_tree_of(&self, line: &Line) -> Option<&Line> {
        self.0.binary_search_by(|own| own.root().cmp(&line.root())).ok().and_then(|at| self.0.get(at))
    }
}

#[cfg(test)]
pub(crate) mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    /// A line from the digits of a word: "12" is project 2 below project 1.
    pub(crate) fn line(word: &str) -> Line {
        Line::new(word.bytes().map(|b| ProjectId::from_random([b; 16])).collect()).unwrap()
    }

    pub(crate) fn label(words: &[&str]) -> Label {
        Label::of(words.iter().map(|word| line(word))).unwrap()
    }

    #[test]
    fn lines_are_neither_empty_nor_circular_nor_endless() {
        let id = |n: u8| ProjectId::from_random([n; 16]);
        assert_eq!(Line::new(vec![]), None);
        assert_eq!(Line::new(vec![id(1), id(2), id(1)]), None);
        assert!(Line::new((0..16).map(id).collect()).is_some());
        assert_eq!(Line::new((0..17).map(id).collect()), None);
    }

    #[test]
    fn of_one_tree_the_lowest_counts_and_siblings_are_apart() {
        for (tags, expected) in [
            (&["1", "12"][..], Some(&["12"][..])),
            (&["12", "1"], Some(&["12"])),
            (&["12", "3"], Some(&["3", "12"])),
            (&["12", "13"], None),
            (&["12", "3", "13"], None),
            (&["124", "13"], None),
            (&[], Some(&[])),
        ] {
            let of = Label::of(tags.iter().map(|word| line(word)));
            assert_eq!(of.ok(), expected.map(label), "{tags:?}");
        }
    }

    #[test]
    fn within_is_an_order_by_lines() {
        for (lower, upper, expected) in [
            (&[][..], &[][..], true),
            (&[], &["1"], true),
            (&["1"], &["12"], true),
            (&["12"], &["1"], false),
            (&["12"], &["13"], false),
            (&["1"], &["12", "3"], true),
            (&["1", "3"], &["12"], false),
            (&["1", "3"], &["12", "34"], true),
        ] {
            assert_eq!(label(lower).is_within(&label(upper)), expected, "{lower:?} {upper:?}");
        }
        assert!(label(&["12", "3"]).names(ProjectId::from_random([b'2'; 16])));
        assert!(!label(&["12", "3"]).names(ProjectId::from_random([b'1'; 16])));
        assert_eq!(label(&["1", "3"]).joined(&label(&["12"])), Ok(label(&["12", "3"])));
        assert_eq!(label(&["13"]).joined(&label(&["12"])), Err(Apart));
    }
}
