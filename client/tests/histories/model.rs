//! What may be at most, kept beside the server by rules of its own: who is in what, where they work, and which tags a content is bound to.

use std::collections::{BTreeMap, BTreeSet};

use ticrypt_types::{NodeId, ProjectId, UserId, VersionId};

use crate::stored::Shape;

/// Who somebody is here: their place in the list of people.
pub type Who = usize;

#[derive(Default)]
pub struct Model {
    /// The people by their ids in the database; the first owns the group and leads the projects.
    pub ids: Vec<UserId>,
    /// The one above each project.
    pub above: BTreeMap<ProjectId, Option<ProjectId>>,
    pub members: BTreeSet<(ProjectId, Who)>,
    pub works_in: BTreeMap<Who, BTreeSet<ProjectId>>,
    /// The group under the form in which it owns a tree, and who is in it.
    pub group: Option<UserId>,
    pub in_group: BTreeSet<Who>,
    pub shares: BTreeSet<(NodeId, Who)>,
    /// The tags a content may never be found without.
    pub bound: BTreeMap<u64, BTreeSet<ProjectId>>,
    /// Which content is in a file.
    pub contents: BTreeMap<NodeId, u64>,
    /// What each could once have opened with their keys.
    pub could_open: BTreeMap<Who, BTreeSet<VersionId>>,
}

impl Model {
    /// The projects and all above them.
    pub fn with_above(&self, projects: impl IntoIterator<Item = ProjectId>) -> BTreeSet<ProjectId> {
        let line = |project| std::iter::successors(Some(project), |at| self.above[at]);
        projects.into_iter().flat_map(line).collect()
    }

    pub fn is_member(&self, project: ProjectId, who: Who) -> bool {
        self.with_above([project]).iter().all(|one| self.members.contains(&(*one, who)))
    }

    /// Where somebody works and still may.
    pub fn active(&self, who: Who) -> BTreeSet<ProjectId> {
        let working = self.works_in.get(&who).into_iter().flatten().copied();
        let mut active = self.with_above(working);
        active.retain(|project| self.is_member(*project, who));
        active
    }

    /// Whether they hold a key for it: it is theirs, was shared with them, or is their group's.
    pub fn holds_key(&self, who: Who, node: NodeId, shape: &Shape) -> bool {
        let owner = shape.owner(node);
        let of_group = owner.is_some() && owner == self.group;
        owner == Some(self.ids[who])
            || (of_group && self.in_group.contains(&who))
            || shape.way_up(node).any(|at| self.shares.contains(&(at, who)))
    }

    /// Notes what each can open now. A share's keys are theirs whatever they work in, since the server withholds them, and so are those of
    /// a group's own tag; the keys for tags inside a group are sealed to members of the projects only (decision 19).
    pub fn note_openable(&mut self, shape: &Shape) {
        for who in 0..self.ids.len() {
            for (version, file) in &shape.versions {
                let of_group = shape.owner(*file) == self.group;
                let inside = shape.way_up(*file).any(|at| shape.parent(at).is_some() && shape.is_tagged(at));
                let tagged_for = !(of_group && inside) || shape.label(*file).into_iter().all(|project| self.is_member(project, who));
                if tagged_for && self.holds_key(who, *file, shape) {
                    self.could_open.entry(who).or_default().insert(*version);
                }
            }
        }
    }

    /// After a tag was changed: what is below is bound to what it carries now, if that is less.
    pub fn rebind(&mut self, below: NodeId, shape: &Shape) {
        for (file, content) in &self.contents {
            if shape.way_up(*file).any(|at| at == below) {
                let label = self.with_above(shape.label(*file));
                let bound = self.bound.entry(*content).or_default();
                *bound = bound.intersection(&label).copied().collect();
            }
        }
    }

    /// What must hold when somebody reads a content in a file.
    pub fn check_read(&self, who: Who, file: NodeId, content: u64, shape: &Shape) {
        let label = self.with_above(shape.label(file));
        let active = self.active(who);
        assert!(label.is_subset(&active), "{who} read {content}, tagged {label:?}, while working in {active:?}");
        assert!(self.holds_key(who, file, shape), "{who} read {content} without any key");
        let bound = &self.bound[&content];
        assert!(bound.is_subset(&label), "{content} was written under {bound:?} and is found under {label:?}");
    }
}
