//! Every case: both statements are asked and agree, and the properties hold.

use crate::facts::{Facts, is_held};
use crate::forest::{self, Forest};
use crate::naive;
use crate::properties::{self, Outcome};
use crate::world::{GroupPermission, Key, Kind, Membership, Project, Requirement, Restriction, Seen, Share, Verb, World};
use ticrypt_types::Rank;

/// How a person stands in a project, where only being held and what it withholds matter.
const READERS: [&str; 5] = ["held", "no-view", "no-download", "no-edit", "lost"];
/// The same where tags change. (A principal investigator counts as a manager: `ranks_and_offices`.)
const TAGGERS: [&str; 4] = ["held", "manager", "manager, no-edit", "lost"];

pub fn project(parent: Option<usize>, standing: &str) -> Project {
    let restrictions = match standing {
        "no-view" => vec![Restriction::View],
        "no-download" => vec![Restriction::Download],
        "no-edit" | "manager, no-edit" => vec![Restriction::Edit],
        _ => vec![],
    };
    Project {
        parent,
        membership: if standing == "lost" { Membership::Never } else { Membership::Before },
        requirement: Requirement::Nothing,
        is_manager: standing.starts_with("manager"),
        is_pi: standing == "pi",
        restrictions,
    }
}

const PERMISSIONS: [GroupPermission; 7] = [
    GroupPermission::AddMembers,
    GroupPermission::RemoveMembers,
    GroupPermission::ChangePermissions,
    GroupPermission::AddEntries,
    GroupPermission::RemoveEntries,
    GroupPermission::CreateDirectories,
    GroupPermission::ModifyTag,
];

/// Every way to come by the keys. Of a group's permissions: each alone, each missing, none, all; no rule asks for more than two.
pub fn keys() -> Vec<Key> {
    let mut keys = vec![Key::None, Key::Owner, Key::OtherGroup, Key::GroupOwner, Key::Member(vec![]), Key::Member(PERMISSIONS.to_vec())];
    for one in PERMISSIONS {
        keys.push(Key::Member(vec![one]));
        keys.push(Key::Member(PERMISSIONS.into_iter().filter(|other| *other != one).collect()));
    }
    for bits in 0..8 {
        let share = Share { view: true, download: bits & 1 != 0, edit: bits & 2 != 0, share: bits & 4 != 0 };
        keys.extend([Key::Share(share), Key::ShareAbove(share)]);
    }
    let names = Share { view: false, download: false, edit: false, share: false };
    keys.extend([Key::Share(names), Key::ShareAbove(names)]);
    keys
}

/// The outer part of a world, before keys and kinds: who stands where, what is chosen, what is tagged.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Setting {
    standing: Vec<usize>,
    working: Vec<usize>,
    place: Vec<usize>,
    own: Vec<usize>,
}

impl Setting {
    fn renumbered(&self, to: &[usize]) -> Self {
        let mut standing = vec![0; self.standing.len()];
        for (at, state) in self.standing.iter().enumerate() {
            standing[to[at]] = *state;
        }
        let moved = |set: &[usize]| {
            let mut moved: Vec<usize> = set.iter().map(|at| to[*at]).collect();
            moved.sort_unstable();
            moved
        };
        Self { standing, working: moved(&self.working), place: moved(&self.place), own: moved(&self.own) }
    }

    fn world(&self, forest: &Forest, states: &[&str], key: Key, kind: Kind) -> World {
        let projects = forest.iter().zip(&self.standing).map(|(parent, state)| project(*parent, states[*state])).collect();
        let (working, place, own) = (self.working.clone(), self.place.clone(), self.own.clone());
        World { projects, working, kind, key, place, own, may_classify: true, may_declassify: true }
    }
}

/// Each setting once, up to renumbering the projects.
fn settings(forest: &Forest, states: usize, mut each: impl FnMut(&Setting)) {
    let symmetries = forest::symmetries(forest);
    let count = forest.len();
    let tags: Vec<(Vec<usize>, Vec<usize>)> = forest::subsets(count)
        .flat_map(|place| forest::subsets(count).map(move |own| (place.clone(), own)))
        .filter(|(place, own)| forest::on_lines(forest, &[place.as_slice(), own].concat()))
        .collect();
    let chosen: Vec<Vec<usize>> = forest::subsets(count).filter(|chosen| forest::one_of_each(forest, chosen)).collect();
    for code in 0..states.pow(u32::try_from(count).unwrap()) {
        let standing: Vec<usize> = (0..count).map(|at| code / states.pow(u32::try_from(at).unwrap()) % states).collect();
        for working in &chosen {
            for (place, own) in &tags {
                let setting = Setting { standing: standing.clone(), working: working.clone(), place: place.clone(), own: own.clone() };
                if symmetries.iter().all(|to| setting <= setting.renumbered(to)) {
                    each(&setting);
                }
            }
        }
    }
}

/// Asks both, and returns the answer.
pub fn ask(world: &World, rank: Rank, verbs: &[Verb]) -> Outcome {
    let facts = Facts::of(world, rank);
    let seen = facts.seen();
    assert_eq!(seen, naive::seen(world), "{world:#?}");
    let mut allowed = 0u32;
    for (at, verb) in verbs.iter().enumerate() {
        let ours = facts.allowed(verb);
        assert_eq!(ours, naive::allowed(world, verb), "{verb:?} {rank} in {world:#?}");
        allowed |= u32::from(ours) << at;
    }
    Outcome { seen, allowed }
}

pub const VERBS: [Verb; 10] = [
    Verb::List,
    Verb::View,
    Verb::Download,
    Verb::Write,
    Verb::AddFile,
    Verb::AddDirectory,
    Verb::Rename,
    Verb::Trash,
    Verb::Share,
    Verb::History,
];

/// Seeing, reading, writing: every setting of a forest with these ways to stand in a project, the last of them lost, and these keys.
fn reads_and_writes(forest: &Forest, states: &[&str], keys: &[Key]) -> u64 {
    let mut cases = 0;
    settings(forest, states.len(), |setting| {
        for kind in [Kind::File, Kind::Directory] {
            for key in keys {
                let world = setting.world(forest, states, key.clone(), kind);
                let outcome = ask(&world, Rank::User, &VERBS);
                cases += VERBS.len() as u64 + 1;
                properties::no_write_down(&world, outcome);
                properties::a_key_comes_first(&world, outcome);
                // One loss at a time, of a project that is in use.
                for lost in (0..forest.len()).filter(|at| setting.standing[*at] != states.len() - 1 && properties::matters(&world, *at)) {
                    let mut less = world.clone();
                    less.projects[lost].membership = Membership::Never;
                    properties::losing_never_adds(&world, outcome, &less, ask(&less, Rank::User, &VERBS));
                    cases += VERBS.len() as u64 + 1;
                }
            }
        }
    });
    cases
}

/// Moving and retagging, where what one manages matters besides.
fn moves_and_retags(forest: &Forest, states: &[&str], keys: &[Key], permissions: &[(bool, bool)]) -> u64 {
    let mut cases = 0;
    let sets: Vec<Vec<usize>> = forest::subsets(forest.len()).collect();
    let retags = sets.iter().cloned().map(Verb::Retag);
    let moves = sets.iter().filter(|set| forest::on_lines(forest, set)).cloned().map(Verb::Move);
    let verbs: Vec<Verb> = retags.chain(moves).collect();
    settings(forest, states.len(), |setting| {
        for key in keys {
            for (may_classify, may_declassify) in permissions.iter().copied() {
                let world = World { may_classify, may_declassify, ..setting.world(forest, states, key.clone(), Kind::File) };
                let outcome = ask(&world, Rank::User, &verbs);
                cases += verbs.len() as u64;
                properties::only_declassifying_lowers(&world, &verbs, outcome);
            }
        }
    });
    cases
}

/// Keys with which an entry can be changed or not, for either reason.
fn changing_keys() -> Vec<Key> {
    let all = Share { view: true, download: true, edit: true, share: true };
    vec![
        Key::None,
        Key::Owner,
        Key::GroupOwner,
        Key::Share(all),
        Key::ShareAbove(all),
        Key::Member(vec![GroupPermission::ModifyTag]),
        Key::Member(PERMISSIONS.into_iter().filter(|one| *one != GroupPermission::ModifyTag).collect()),
    ]
}

const BOTH: (bool, bool) = (true, true);

/// Being held: every membership and certification along lines of up to four projects.
#[test]
fn held_along_every_line() {
    use Membership::{Before, Expired, Never, SinceLogin};
    use Requirement::{Certified, CertifiedSinceLogin, DroppedSinceLogin, NewAndUncertified, Nothing, Uncertified};
    let memberships = [Never, Expired, SinceLogin, Before];
    let requirements = [Nothing, Certified, Uncertified, Requirement::Expired, CertifiedSinceLogin, NewAndUncertified, DroppedSinceLogin];
    let mut cases = 0u64;
    for length in 1..=4usize {
        for code in 0..28usize.pow(u32::try_from(length).unwrap()) {
            let of = |at: usize| code / 28usize.pow(u32::try_from(at).unwrap()) % 28;
            let projects: Vec<Project> = (0..length)
                .map(|at| Project {
                    membership: memberships[of(at) % 4],
                    requirement: requirements[of(at) / 4],
                    ..project(at.checked_sub(1), "held")
                })
                .collect();
            let world = World {
                projects,
                working: vec![],
                kind: Kind::File,
                key: Key::Owner,
                place: vec![],
                own: vec![],
                may_classify: true,
                may_declassify: true,
            };
            assert_eq!(is_held(&world, length - 1), naive::held(&world, length - 1), "{world:#?}");
            cases += 1;
        }
    }
    println!("{cases} lines");
}

#[test]
fn ranks_and_offices() {
    let mut cases = 0;
    for forest in forest::all(2) {
        settings(&forest, READERS.len(), |setting| {
            for rank in Rank::ALL {
                for key in keys() {
                    ask(&setting.world(&forest, &READERS, key, Kind::File), *rank, &VERBS);
                    cases += VERBS.len() as u64;
                }
            }
        });
        cases += moves_and_retags(&forest, &["held", "manager", "pi", "lost"], &changing_keys(), &[BOTH]);
    }
    println!("{cases} cases");
}

#[test]
fn reads_and_writes_over_small_forests() {
    let cases: u64 = forest::all(3).iter().map(|forest| reads_and_writes(forest, &READERS, &keys())).sum();
    println!("{cases} cases");
}

#[test]
fn moves_and_retags_over_small_forests() {
    let permissions = [BOTH, (false, true), (true, false)];
    let cases: u64 = forest::all(3).iter().map(|forest| moves_and_retags(forest, &TAGGERS, &changing_keys(), &permissions)).sum();
    println!("{cases} cases");
}

// With four projects, what is asked first and last, the key and the permissions, is as it is with three, where every combination is tried. Only
// the labels are new.

fn four_reads_and_writes(forest: &Forest) -> u64 {
    let share = |edit| Share { view: true, download: true, edit, share: true };
    let keys = [Key::Owner, Key::Share(share(true)), Key::ShareAbove(share(false)), Key::Member(PERMISSIONS.to_vec())];
    reads_and_writes(forest, &["held", "no-edit", "lost"], &keys)
}

fn four_moves_and_retags(forest: &Forest) -> u64 {
    moves_and_retags(forest, &TAGGERS, &[Key::Owner], &[BOTH])
}

/// The forests of four projects, in parts that run side by side.
macro_rules! parts {
    ($($name:ident $rule:ident $part:literal;)+) => {$(
        #[test]
        fn $name() {
            let forests = forest::all(4).into_iter().filter(|forest| forest.len() == 4);
            let cases: u64 = forests.enumerate().filter(|(at, _)| at % 3 == $part).map(|(_, forest)| $rule(&forest)).sum();
            println!("{cases} cases");
        }
    )+};
}

parts! {
    reads_and_writes_over_four_projects_1 four_reads_and_writes 0;
    reads_and_writes_over_four_projects_2 four_reads_and_writes 1;
    reads_and_writes_over_four_projects_3 four_reads_and_writes 2;
    moves_and_retags_over_four_projects_1 four_moves_and_retags 0;
    moves_and_retags_over_four_projects_2 four_moves_and_retags 1;
    moves_and_retags_over_four_projects_3 four_moves_and_retags 2;
}

/// What may be seen is ordered.
pub fn rank_of(seen: Seen) -> u8 {
    match seen {
        Seen::Nothing => 0,
        Seen::Name | Seen::Metadata => 1,
        Seen::Whole => 2,
    }
}
