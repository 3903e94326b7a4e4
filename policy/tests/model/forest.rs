//! Forests of projects below Unlocked, one of each shape.

use std::collections::BTreeSet;

/// Parents of the projects, by number; a parent has a smaller number than its children.
pub type Forest = Vec<Option<usize>>;

/// Every forest of at most `most` projects, up to isomorphism.
pub fn all(most: usize) -> Vec<Forest> {
    let mut all = Vec::new();
    for size in 0..=most {
        let mut seen = BTreeSet::new();
        grow(&mut Vec::new(), size, &mut |forest| {
            if seen.insert(shape(forest, None)) {
                all.push(forest.clone());
            }
        });
    }
    all
}

fn grow(forest: &mut Forest, size: usize, found: &mut impl FnMut(&Forest)) {
    if forest.len() == size {
        return found(forest);
    }
    for parent in std::iter::once(None).chain((0..forest.len()).map(Some)) {
        forest.push(parent);
        grow(forest, size, found);
        forest.pop();
    }
}

/// The same word for isomorphic forests: brackets for brackets, children sorted.
fn shape(forest: &[Option<usize>], below: Option<usize>) -> String {
    let mut children: Vec<String> =
        (0..forest.len()).filter(|child| forest[*child] == below).map(|child| format!("({})", shape(forest, Some(child)))).collect();
    children.sort();
    children.concat()
}

/// The ways to number the projects anew that leave the forest as it is, the identity among them.
pub fn symmetries(forest: &Forest) -> Vec<Vec<usize>> {
    let mut found = Vec::new();
    permute(forest, &mut Vec::new(), &mut found);
    found
}

fn permute(forest: &Forest, so_far: &mut Vec<usize>, found: &mut Vec<Vec<usize>>) {
    let at = so_far.len();
    if at == forest.len() {
        found.push(so_far.clone());
        return;
    }
    for to in (0..forest.len()).filter(|to| !so_far.contains(to)).collect::<Vec<_>>() {
        if forest[to] == forest[at].map(|parent| so_far[parent]) {
            so_far.push(to);
            permute(forest, so_far, found);
            so_far.pop();
        }
    }
}

/// The project and its ancestors, lowest first.
pub fn upwards(forest: &[Option<usize>], project: usize) -> impl Iterator<Item = usize> + '_ {
    std::iter::successors(Some(project), |at| forest[*at])
}

/// Whether tags of these projects could stand on one path: of one tree, all on one line.
pub fn on_lines(forest: &[Option<usize>], tags: &[usize]) -> bool {
    let root = |project| upwards(forest, project).last();
    let leads = |upper: usize, lower: usize| upwards(forest, lower).any(|at| at == upper);
    tags.iter().all(|a| tags.iter().all(|b| root(*a) != root(*b) || leads(*a, *b) || leads(*b, *a)))
}

/// Whether these can be a working set: at most one of each tree.
pub fn one_of_each(forest: &[Option<usize>], chosen: &[usize]) -> bool {
    let root = |project| upwards(forest, project).last();
    chosen.iter().all(|a| chosen.iter().all(|b| a == b || root(*a) != root(*b)))
}

/// Every subset of the projects.
pub fn subsets(count: usize) -> impl Iterator<Item = Vec<usize>> {
    (0..1usize << count).map(move |bits| (0..count).filter(|at| bits >> at & 1 == 1).collect())
}

#[test]
fn there_are_as_many_shapes_as_there_should_be() {
    let sizes: Vec<usize> = (0..=5).map(|size| all(5).iter().filter(|forest| forest.len() == size).count()).collect();
    // Rooted forests, OEIS A000081 shifted by one.
    assert_eq!(sizes, [1, 1, 2, 4, 9, 20]);
    assert_eq!(symmetries(&vec![None; 4]).len(), 24);
    assert_eq!(symmetries(&vec![None, Some(0), Some(0), None]).len(), 2);
}
