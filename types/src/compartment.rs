//! Compartments of a group: its key is one for its own directory, and another for each set of tags that something in it carries (security B4).

use serde::{Deserialize, Serialize};

use crate::id::ProjectId;
use crate::limits::COMPARTMENT_TAGS_MAX;

/// The tags on the path of what a key of a group is for, each once. Those who may be active in all of them, and are in the group, hold it.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(try_from = "Vec<ProjectId>", into = "Vec<ProjectId>")]
pub struct Compartment(Vec<ProjectId>);

/// Why projects make no compartment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a compartment has at most {COMPARTMENT_TAGS_MAX} tags, in ascending order, none twice")]
pub struct NoCompartment;

impl Compartment {
    /// What carries no tags: the group's own.
    pub const UNLOCKED: Self = Self(Vec::new());

    /// Of the tags on a path, in any order.
    pub fn of(tags: impl IntoIterator<Item = ProjectId>) -> Result<Self, NoCompartment> {
        let mut tags: Vec<ProjectId> = tags.into_iter().collect();
        tags.sort_unstable();
        tags.dedup();
        Self::try_from(tags)
    }

    /// In ascending order.
    pub fn tags(&self) -> &[ProjectId] {
        &self.0
    }

    pub fn is_unlocked(&self) -> bool {
        self.0.is_empty()
    }
}

impl TryFrom<Vec<ProjectId>> for Compartment {
    type Error = NoCompartment;

    fn try_from(tags: Vec<ProjectId>) -> Result<Self, NoCompartment> {
        let ascends = tags.iter().zip(tags.iter().skip(1)).all(|(before, after)| before < after);
        if ascends && tags.len() <= COMPARTMENT_TAGS_MAX { Ok(Self(tags)) } else { Err(NoCompartment) }
    }
}

impl From<Compartment> for Vec<ProjectId> {
    fn from(compartment: Compartment) -> Self {
        compartment.0
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn one_order_and_nothing_twice() {
        let tag = |n: u8| ProjectId::from_random([n; 16]);
        let both = Compartment::of([tag(2), tag(1), tag(2)]).unwrap();
        assert_eq!(both.tags(), [tag(1), tag(2)]);
        for (tags, fits) in [
            (vec![], true),
            (vec![tag(1), tag(2)], true),
            (vec![tag(2), tag(1)], false),
            (vec![tag(1), tag(1)], false),
            ((0..32).map(tag).collect(), true),
            ((0..33).map(tag).collect(), false),
        ] {
            assert_eq!(Compartment::try_from(tags).is_ok(), fits);
        }
    }
}
