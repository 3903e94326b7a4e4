//! Larger worlds, at random from a seed: more projects, every standing at once.

use crate::cases::{VERBS, ask, keys};
use crate::forest;
use crate::properties;
use crate::world::{Kind, Membership, Project, Requirement, Restriction, Verb, World};
use ticrypt_types::Rank;

/// SplitMix64 (Steele, Lea, Flood 2014): any seed will do, and the same seed is the same run.
struct Dice(u64);

impl Dice {
    fn below(&mut self, count: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ z >> 31) % count as u64) as usize
    }

    fn one<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.below(of.len())]
    }

    /// A few of the projects, such as `fits`; what does not fit is left out.
    fn some(&mut self, count: usize, fits: impl Fn(&[usize]) -> bool) -> Vec<usize> {
        let mut some = Vec::new();
        for _ in 0..self.below(4) {
            let one = self.below(count);
            some.push(one);
            if some.iter().filter(|other| **other == one).count() > 1 || !fits(&some) {
                some.pop();
            }
        }
        some
    }
}

fn world(dice: &mut Dice) -> World {
    use Membership::{Before, Expired, Never, SinceLogin};
    use Requirement::{Certified, CertifiedSinceLogin, DroppedSinceLogin, NewAndUncertified, Nothing, Uncertified};
    let count = 1 + dice.below(9);
    let parents: Vec<Option<usize>> = (0..count).map(|at| dice.below(at + 1).checked_sub(1).filter(|_| at > 0)).collect();
    let projects = parents
        .iter()
        .map(|parent| Project {
            parent: *parent,
            // Mostly held, or nearly nothing would be allowed.
            membership: dice.one(&[Before, Before, Before, Before, Before, Before, Before, Never, Expired, SinceLogin]),
            requirement: dice.one(&[
                Nothing,
                Nothing,
                Nothing,
                Certified,
                Certified,
                Certified,
                Certified,
                Uncertified,
                Requirement::Expired,
                CertifiedSinceLogin,
                NewAndUncertified,
                DroppedSinceLogin,
            ]),
            is_manager: dice.below(2) == 0,
            is_pi: dice.below(4) == 0,
            restrictions: match dice.below(8) {
                0 => vec![Restriction::View],
                1 => vec![Restriction::Download],
                2 => vec![Restriction::Edit],
                3 => vec![Restriction::Download, Restriction::Edit],
                _ => vec![],
            },
        })
        .collect();
    let place = dice.some(count, |tags| forest::on_lines(&parents, tags));
    let own = dice.some(count, |tags| forest::on_lines(&parents, &[&place, tags].concat()));
    // Often just what the thing carries, so that writing is tried as well.
    let lowest = |tags: &[usize]| -> Vec<usize> {
        let above = |upper: usize, lower: usize| upper != lower && forest::upwards(&parents, lower).any(|at| at == upper);
        let mut lowest: Vec<usize> = tags.iter().copied().filter(|tag| !tags.iter().any(|lower| above(*tag, *lower))).collect();
        lowest.sort_unstable();
        lowest.dedup();
        lowest
    };
    let working = if dice.below(3) > 0 {
        lowest(&[place.as_slice(), &own].concat())
    } else {
        dice.some(count, |chosen| forest::one_of_each(&parents, chosen))
    };
    let keys = keys();
    let key = keys[dice.below(keys.len())].clone();
    let kind = dice.one(&[Kind::File, Kind::Directory]);
    World { projects, working, kind, key, place, own, may_classify: dice.below(4) > 0, may_declassify: dice.below(4) > 0 }
}

fn sample(seed: u64, count: u32) {
    let mut dice = Dice(seed);
    let mut allowed = [0u32; VERBS.len()];
    let mut changed = [0u32; 2];
    for _ in 0..count {
        let world = world(&mut dice);
        let rank = *Rank::ALL.get(dice.below(3)).unwrap();
        let outcome = ask(&world, rank, &VERBS);
        properties::no_write_down(&world, outcome);
        properties::a_key_comes_first(&world, outcome);
        for (at, seen) in allowed.iter_mut().enumerate() {
            *seen += outcome.allowed >> at & 1;
        }
        let parents: Vec<_> = world.projects.iter().map(|project| project.parent).collect();
        let target = dice.some(parents.len(), |tags| forest::on_lines(&parents, tags));
        let changes = [Verb::Retag(dice.some(parents.len(), |_| true)), Verb::Move(target)];
        let outcome = ask(&world, rank, &changes);
        properties::only_declassifying_lowers(&world, &changes, outcome);
        for (at, seen) in changed.iter_mut().enumerate() {
            *seen += outcome.allowed >> at & 1;
        }
    }
    // A sample in which a verb is hardly ever allowed would say little about it.
    println!("{count} worlds, allowed {allowed:?}, changes {changed:?}");
    assert!(allowed.iter().chain(&changed).all(|times| *times > count / 2_000), "{allowed:?} {changed:?}");
}

#[test]
fn half_a_million_worlds() {
    sample(1, 500_000);
}

#[test]
fn another_half_million() {
    sample(2, 500_000);
}
