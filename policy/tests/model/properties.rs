//! What the rules are for, as properties of answers.

use crate::cases::rank_of;
use crate::forest::upwards;
use crate::world::{Key, Seen, Verb, World};

/// What one may do with the thing, a bit for each verb asked about.
#[derive(Clone, Copy, Debug)]
pub struct Outcome {
    pub seen: Seen,
    pub allowed: u32,
}

/// Places in [`crate::cases::VERBS`].
const VIEW: u32 = 1 << 1;
const DOWNLOAD: u32 = 1 << 2;
const WRITES: u32 = 1 << 3 | 1 << 4 | 1 << 5;

fn parents(world: &World) -> Vec<Option<usize>> {
    world.projects.iter().map(|project| project.parent).collect()
}

/// The projects and all above them, as bits.
fn closure(world: &World, projects: impl IntoIterator<Item = usize>) -> u32 {
    let parents = parents(world);
    projects.into_iter().flat_map(|project| upwards(&parents, project).collect::<Vec<_>>()).fold(0, |all, project| all | 1 << project)
}

fn label(world: &World) -> u32 {
    closure(world, world.place.iter().chain(&world.own).copied())
}

/// Whether a loss of the project could be felt: it is in the active set or on the thing.
pub fn matters(world: &World, project: usize) -> bool {
    (label(world) | closure(world, world.working.iter().copied())) >> project & 1 == 1
}

/// Content is read only within the working set, and written only where the label equals it. So whatever is read is
/// within whatever is written, and two siblings, which no working set holds, are never read together.
pub fn no_write_down(world: &World, outcome: Outcome) {
    let (label, working) = (label(world), closure(world, world.working.iter().copied()));
    if outcome.allowed & (VIEW | DOWNLOAD) != 0 {
        assert_eq!(label & !working, 0, "read outside the working set: {world:#?}");
    }
    if outcome.allowed & WRITES != 0 {
        assert_eq!(label, working, "written elsewhere than at the working set: {world:#?}");
    }
}

/// Without a key nothing is seen.
pub fn a_key_comes_first(world: &World, outcome: Outcome) {
    if matches!(world.key, Key::None | Key::OtherGroup) {
        assert_eq!((outcome.seen, outcome.allowed), (Seen::Nothing, 0), "{world:#?}");
    }
}

pub fn losing_never_adds(world: &World, before: Outcome, less: &World, after: Outcome) {
    let added = after.allowed & !before.allowed;
    assert_eq!(added, 0, "gained by losing: {added:b} from {world:#?} to {less:#?}");
    assert!(rank_of(after.seen) <= rank_of(before.seen), "seen by losing: from {world:#?} to {less:#?}");
}

/// A move leaves the label as it is or above, and a retag lowers it only with the leave to declassify and in a project one manages.
pub fn only_declassifying_lowers(world: &World, verbs: &[Verb], outcome: Outcome) {
    let old = label(world);
    for (at, verb) in verbs.iter().enumerate().filter(|(at, _)| outcome.allowed >> at & 1 == 1) {
        match verb {
            // It keeps its tags, those of its old place as its own.
            Verb::Move(target) => assert_eq!(closure(world, target.iter().copied()) & !old, 0, "{at} {world:#?}"),
            Verb::Retag(tags) => {
                let new = closure(world, world.place.iter().chain(tags).copied());
                assert!(world.may_declassify || old & !new == 0, "{verb:?} {world:#?}");
                assert!(world.may_classify || new & !old == 0, "{verb:?} {world:#?}");
                let lowered = (0..world.projects.len()).filter(|project| (old & !new) >> project & 1 == 1);
                let managed = |project: usize| world.projects[project].is_manager || world.projects[project].is_pi;
                // Of the projects that go, the lowest of each tree is managed and in the working set.
                for lowest in lowered.clone().filter(|at| !lowered.clone().any(|below| world.projects[below].parent == Some(*at))) {
                    assert!(managed(lowest) && world.working.contains(&lowest), "{verb:?} {world:#?}");
                }
            }
            other => panic!("{other:?} is neither a move nor a retag"),
        }
    }
}
