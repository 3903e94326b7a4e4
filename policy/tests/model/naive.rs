//! The rules of access, stated a second time: naively, from the text of the rules alone, to check the real statement against.
//!
//! Each function states one sentence. "Rules §n" cites that sentence; "Settled" marks a point that the rules leave terse and that was
//! decided for both statements. Words used throughout: a project's *line* is the project and all its ancestors; a label *covers*
//! a project that is on the line of one of its tags; the active set is whatever the working set covers.

use crate::world::{GroupPermission, Key, Kind, Membership, Requirement, Restriction, Seen, Share, Verb, World};

/// Rules §2: a resource's label is every tag on its path (group, directories, its own): those above it, and its own.
#[derive(Clone, Copy)]
struct Label<'a>(&'a [usize], &'a [usize]);

impl<'a> Label<'a> {
    /// The tags as they were set, without their ancestors.
    fn tags(self) -> impl Iterator<Item = usize> + 'a {
        self.0.iter().chain(self.1).copied()
    }
}

// ---- The three questions ----

/// Rules §3: checked in this order (the key, the label, the verb); the first failure decides what is seen.
pub fn seen(world: &World) -> Seen {
    if !has_key(world) {
        return Seen::Nothing;
    }
    if !unlocked(world) {
        return match world.kind {
            Kind::Directory => Seen::Name,
            Kind::File => Seen::Metadata,
        };
    }
    Seen::Whole
}

/// Rules §3: every file and directory needs all of the key, the label, no restriction that forbids the verb, the permission for it.
pub fn allowed(world: &World, verb: &Verb) -> bool {
    has_key(world)
        && unlocked(world)
        && fits_kind(world.kind, verb)
        && !restricted(world, verb)
        && permitted(world, verb)
        && match verb {
            Verb::List | Verb::View | Verb::Download | Verb::Share | Verb::History => true,
            Verb::Write | Verb::AddFile | Verb::AddDirectory | Verb::Rename | Verb::Trash => may_write(world),
            Verb::Move(target) => may_write(world) && may_arrive(world, target),
            Verb::Retag(new_own) => may_retag(world, new_own),
        }
}

/// Rules §2: an unexpired member of P and of all its ancestors, and certified for every effective requirement; frozen at login.
pub fn held(world: &World, project: usize) -> bool {
    line(world, project).all(|p| always_member(world.projects[p].membership) && always_certified(world.projects[p].requirement))
}

// ---- Projects ----

/// Rules §2: gaining a project needs a new login; what was lost stays lost until the next login (membership).
fn always_member(membership: Membership) -> bool {
    match membership {
        Membership::Before => true,
        Membership::Never | Membership::Expired | Membership::SinceLogin => false,
    }
}

/// Rules §2, the same of certifications. Settled: a requirement new since login counts, and one dropped since login still counts.
fn always_certified(requirement: Requirement) -> bool {
    match requirement {
        Requirement::Nothing | Requirement::Certified => true,
        Requirement::Uncertified | Requirement::Expired | Requirement::CertifiedSinceLogin => false,
        Requirement::NewAndUncertified | Requirement::DroppedSinceLogin => false,
    }
}

/// Rules §2: projects form trees under Unlocked; this is the way from a project up to the root of its tree, both included.
fn line(world: &World, project: usize) -> impl Iterator<Item = usize> + '_ {
    std::iter::successors(Some(project), |&p| world.projects[p].parent)
}

/// Whether `below` is `above` or a descendant of it.
fn on_line(world: &World, below: usize, above: usize) -> bool {
    line(world, below).any(|p| p == above)
}

/// Whether two projects are of the same tree: whether their lines end in the same root.
fn same_tree(world: &World, a: usize, b: usize) -> bool {
    line(world, a).last() == line(world, b).last()
}

// ---- Labels ----

/// The thing's label as it is.
fn label_of(world: &World) -> Label<'_> {
    Label(&world.place, &world.own)
}

/// Rules §2: the active set is the working set and all its ancestors; here as a label, whose ancestors are meant wherever it is compared.
fn active_set(world: &World) -> Label<'_> {
    Label(&world.working, &[])
}

/// Whether the project is one of the label's tags or an ancestor of one.
fn covers(world: &World, label: Label, project: usize) -> bool {
    label.tags().any(|tag| on_line(world, tag, project))
}

/// Whether the larger label covers each tag of the smaller (and so all their ancestors).
fn lies_within(world: &World, smaller: Label, larger: Label) -> bool {
    smaller.tags().all(|tag| covers(world, larger, tag))
}

/// Rules §2, "the label with its ancestors equals": each of the two, with ancestors, lies within the other.
fn equal(world: &World, a: Label, b: Label) -> bool {
    lies_within(world, a, b) && lies_within(world, b, a)
}

/// Rules §2: read a thing iff its label lies within the active set. Settled: and each tag's project is held.
fn within_active(world: &World, label: Label) -> bool {
    lies_within(world, label, active_set(world)) && label.tags().all(|tag| held(world, tag))
}

/// Rules §2: tags of one tree on one path must lie on one line from its root; others could never be active.
fn could_be_active(world: &World, label: Label) -> bool {
    label.tags().all(|a| label.tags().all(|b| !same_tree(world, a, b) || on_line(world, a, b) || on_line(world, b, a)))
}

/// Of the label's tags in the tree with this root (all on one line), the one below all others.
fn lowest(world: &World, label: Label, root: usize) -> Option<usize> {
    label.tags().filter(|&tag| on_line(world, tag, root)).max_by_key(|&tag| line(world, tag).count())
}

// ---- Steps 1 and 2: the key and the label ----

/// Rules §3, step 1: a grant sealed to the user, or to a group the user is in, or a key wrapped under a parent directory.
fn has_key(world: &World) -> bool {
    match world.key {
        Key::None | Key::OtherGroup => false,
        Key::Owner | Key::Share(_) | Key::ShareAbove(_) | Key::Member(_) | Key::GroupOwner => true,
    }
}

/// Rules §3, step 2: the label within the active set; otherwise the server does not hand out the content key.
fn unlocked(world: &World) -> bool {
    within_active(world, label_of(world)) && !beyond_boundary(world)
}

/// Settled: own tags make the thing a boundary, and a share given above then opens no more than if it were locked.
fn beyond_boundary(world: &World) -> bool {
    !world.own.is_empty() && matches!(world.key, Key::ShareAbove(_))
}

// ---- Step 3: restrictions and permissions ----

/// Settled: directories are listed and added to; files are viewed, downloaded and written.
fn fits_kind(kind: Kind, verb: &Verb) -> bool {
    match verb {
        Verb::List | Verb::AddFile | Verb::AddDirectory => kind == Kind::Directory,
        Verb::View | Verb::Download | Verb::Write => kind == Kind::File,
        Verb::Rename | Verb::Trash | Verb::Share | Verb::History | Verb::Retag(_) | Verb::Move(_) => true,
    }
}

/// Rules §3, step 3: no restriction of the memberships along the tag's path that forbids the verb; settled: for a move, also the target's.
fn restricted(world: &World, verb: &Verb) -> bool {
    restricted_by(world, label_of(world), verb)
        || match verb {
            Verb::Move(target) => restricted_by(world, Label(target, &[]), verb),
            _ => false,
        }
}

/// Rules §2: restrictions add up along the path.
fn restricted_by(world: &World, label: Label, verb: &Verb) -> bool {
    label.tags().any(|tag| line(world, tag).any(|p| world.projects[p].restrictions.iter().any(|&restriction| forbids(restriction, verb))))
}

/// Rules §3: "cannot view" implies the others. Settled: what is listed, and the history, are seen even so.
fn forbids(restriction: Restriction, verb: &Verb) -> bool {
    match restriction {
        Restriction::View => !matches!(verb, Verb::List | Verb::History),
        Restriction::Download => matches!(verb, Verb::Download),
        Restriction::Edit => changes_content(verb) || changes_entry(verb) || matches!(verb, Verb::Retag(_)),
    }
}

/// The verbs that write the thing's content.
fn changes_content(verb: &Verb) -> bool {
    matches!(verb, Verb::Write | Verb::AddFile | Verb::AddDirectory)
}

/// The verbs that change the directory that holds the thing.
fn changes_entry(verb: &Verb) -> bool {
    matches!(verb, Verb::Rename | Verb::Trash | Verb::Move(_))
}

/// Rules §3, step 3: then the permission for it.
fn permitted(world: &World, verb: &Verb) -> bool {
    match &world.key {
        Key::None | Key::OtherGroup => false,
        Key::Owner => true,
        // Settled: an entry change needs the permission on the directory that holds the thing, and this share does not reach it.
        Key::Share(share) => share_allows(*share, verb) && !changes_entry(verb),
        Key::ShareAbove(share) => share_allows(*share, verb),
        Key::Member(permissions) => group_allows(world.kind, verb, |permission| permissions.contains(&permission)),
        // Rules §4: the owner has all seven.
        Key::GroupOwner => group_allows(world.kind, verb, |_| true),
    }
}

/// Rules §3, step 3: no restriction of the share that forbids the verb ("cannot view" implies the others). Settled: only the owner retags.
fn share_allows(share: Share, verb: &Verb) -> bool {
    match verb {
        Verb::List | Verb::History => true,
        Verb::View => share.view,
        Verb::Download => share.view && share.download,
        Verb::Write | Verb::AddFile | Verb::AddDirectory | Verb::Rename | Verb::Trash | Verb::Move(_) => share.view && share.edit,
        Verb::Share => share.view && share.share,
        Verb::Retag(_) => false,
    }
}

/// Rules §4: seven permissions per member. Settled: which verb takes which, and that nobody shares single things of a group.
fn group_allows(kind: Kind, verb: &Verb, has: impl Fn(GroupPermission) -> bool) -> bool {
    match verb {
        Verb::List | Verb::View | Verb::Download | Verb::History => true,
        Verb::Write | Verb::AddFile => has(GroupPermission::AddEntries),
        Verb::AddDirectory => has(GroupPermission::CreateDirectories),
        Verb::Trash => has(GroupPermission::RemoveEntries),
        Verb::Rename => has(GroupPermission::AddEntries) && has(GroupPermission::RemoveEntries),
        Verb::Move(_) => {
            has(GroupPermission::RemoveEntries)
                && match kind {
                    Kind::File => has(GroupPermission::AddEntries),
                    Kind::Directory => has(GroupPermission::CreateDirectories),
                }
        }
        // Rules §5: every change of a tag inside a group also needs *modify project tag*.
        Verb::Retag(_) => has(GroupPermission::ModifyTag),
        Verb::Share => false,
    }
}

// ---- Writing and moving ----

/// Rules §2: write content only where the label with its ancestors equals the active set: no write-down.
fn may_write(world: &World) -> bool {
    equal(world, label_of(world), active_set(world)) && !dead_weight(world)
}

/// Rules §2: a project lost while in the working set stays as dead weight (all writing stops) until the person changes it.
fn dead_weight(world: &World) -> bool {
    world.working.iter().any(|&project| !held(world, project))
}

/// Rules §2: a move keeps the whole label. Settled: so the tags of the new place and its own are what it had, and the place is not locked.
fn may_arrive(world: &World, target: &[usize]) -> bool {
    let arrived = Label(target, &world.own);
    within_active(world, Label(target, &[])) && could_be_active(world, arrived) && equal(world, arrived, label_of(world))
}

// ---- Retagging ----

/// Rules §5, tree by tree. Settled: a label that is none, and tags that are the thing's already, are refused, and the new label must be active
/// too. Tags that add nothing to those of the place are allowed.
fn may_retag(world: &World, new_own: &[usize]) -> bool {
    let old = label_of(world);
    let new = Label(&world.place, new_own);
    could_be_active(world, new)
        && !equal(world, Label(&[], &world.own), Label(&[], new_own))
        && within_active(world, new)
        && (0..world.projects.len())
            .filter(|&project| world.projects[project].parent.is_none())
            .all(|root| may_change(world, lowest(world, old, root), lowest(world, new, root)))
}

/// Rules §5: classify (untagged → P, or P → a descendant) or declassify (P → an ancestor or untagged); sideways does not exist.
fn may_change(world: &World, old: Option<usize>, new: Option<usize>) -> bool {
    match (old, new) {
        (None, None) => true,
        (None, Some(to)) => may_classify(world, to),
        (Some(from), None) => may_declassify(world, from),
        (Some(from), Some(to)) if from == to => true,
        (Some(from), Some(to)) if on_line(world, to, from) => may_classify(world, to),
        (Some(from), Some(to)) if on_line(world, from, to) => may_declassify(world, from),
        (Some(_), Some(_)) => false,
    }
}

/// Rules §5, classify: the target is in the working set. Settled: and held, with the system's permission to classify.
fn may_classify(world: &World, to: usize) -> bool {
    world.working.contains(&to) && held(world, to) && world.may_classify
}

/// Rules §5, declassify: P in the working set, manager of P (rules §2: the PI counts as one) and the declassify permission.
fn may_declassify(world: &World, from: usize) -> bool {
    let project = &world.projects[from];
    world.working.contains(&from) && held(world, from) && (project.is_manager || project.is_pi) && world.may_declassify
}
