//! What a group's heads say, in the words of people: who changed what, and when.

use std::collections::HashMap;

use ticrypt_client::group::Chain;
use ticrypt_client::show;
use ticrypt_types::{GroupPermissions, GroupStep, UserId};

use super::group::{PERMISSIONS, may};

/// Names of people, as they are told.
pub type Names = HashMap<UserId, String>;

/// One head.
pub struct Told {
    pub at: String,
    pub text: String,
    /// A generation of the key begins with it.
    pub generation: Option<u32>,
}

/// People named in one sentence.
const NAMED: usize = 8;

pub fn name(names: &Names, user: UserId) -> String {
    names.get(&user).cloned().unwrap_or_else(|| "somebody".to_owned())
}

/// `ada, ben and cem`.
pub fn and(names: &[String]) -> String {
    match names.split_last() {
        Some((last, [])) => last.clone(),
        Some((last, before)) => format!("{} and {last}", before.join(", ")),
        None => String::new(),
    }
}

/// With a capital letter, as a sentence begins.
pub fn begun(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}

/// The newest heads, the newest first, and how many older ones there are.
pub fn tell(chain: &Chain, me: UserId, names: &Names, most: usize) -> (Vec<Told>, usize) {
    let past = chain.past();
    let told = past.iter().rev().take(most).map(|head| {
        let change = |change: &ticrypt_types::GroupChange| {
            let before = head.previous.and_then(|before| chain.permissions_on(&before, change.user)).unwrap_or_default();
            Change { who: called(names, me, change.user), is_writer: change.user == head.writer, before, step: change.step }
        };
        let changes: Vec<Change> = head.changes.iter().map(change).collect();
        let generation = head.renews().then_some(head.generation);
        let writer = if head.writer == me { "You".to_owned() } else { name(names, head.writer) };
        let text = sentence(&writer, head.counter == 1, &changes, generation);
        Told { at: show::time(head.at), text, generation }
    });
    (told.collect(), past.len().saturating_sub(most))
}

fn called(names: &Names, me: UserId, user: UserId) -> String {
    if user == me { "you".to_owned() } else { name(names, user) }
}

/// A change of somebody.
struct Change {
    who: String,
    is_writer: bool,
    before: GroupPermissions,
    step: GroupStep,
}

fn sentence(writer: &str, is_first: bool, changes: &[Change], generation: Option<u32>) -> String {
    let mut parts: Vec<String> = Vec::new();
    // Who was added with the same permissions, or taken out, is told together.
    let mut added: Vec<(GroupPermissions, Vec<String>)> = Vec::new();
    let mut removed: Vec<String> = Vec::new();
    for change in changes {
        match change.step {
            GroupStep::Add { .. } if is_first && change.is_writer => parts.push("made the group".to_owned()),
            GroupStep::Add { permissions, .. } => match added.iter_mut().find(|(known, _)| *known == permissions) {
                Some((_, who)) => who.push(change.who.clone()),
                None => added.push((permissions, vec![change.who.clone()])),
            },
            GroupStep::Permit(now) => parts.push(permitted(change, now)),
            GroupStep::Remove if change.is_writer => parts.push("left".to_owned()),
            GroupStep::Remove => removed.push(change.who.clone()),
            GroupStep::Own => parts.push(format!("made {} the owner", change.who)),
        }
    }
    parts.extend(added.iter().map(|(permissions, who)| format!("added {} ({})", few(who), may(*permissions))));
    if !removed.is_empty() {
        parts.push(format!("removed {}", few(&removed)));
    }
    if let (Some(number), false) = (generation, is_first) {
        parts.push(format!("made generation {number} of the key"));
    }
    format!("{writer} {}", and(&parts))
}

fn few(names: &[String]) -> String {
    let mut some: Vec<String> = names.iter().take(NAMED).cloned().collect();
    if names.len() > NAMED {
        some.push(format!("{} more", names.len() - NAMED));
    }
    and(&some)
}

/// What changed for a member: what they may now, and what they may no longer.
fn permitted(change: &Change, now: GroupPermissions) -> String {
    let words = |some: GroupPermissions| {
        let words = PERMISSIONS.iter().filter(|(bit, ..)| some.contains(*bit)).map(|(.., reads)| (*reads).to_owned());
        words.collect::<Vec<_>>()
    };
    let (given, taken) = (words(now.without(change.before)), words(change.before.without(now)));
    let who = if change.is_writer { "themselves".to_owned() } else { change.who.clone() };
    match (given.is_empty(), taken.is_empty()) {
        (false, true) => format!("let {who} {}", and(&given)),
        (true, false) => format!("no longer lets {who} {}", and(&taken)),
        _ => format!("let {who} {}, and no longer {}", and(&given), and(&taken)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(who: &str, before: GroupPermissions, step: GroupStep) -> Change {
        Change { who: who.to_owned(), is_writer: false, before, step }
    }

    fn add(who: &str, permissions: GroupPermissions) -> Change {
        change(who, GroupPermissions::NONE, GroupStep::Add { bundle: [0; 32], permissions })
    }

    #[test]
    fn heads_are_told_in_sentences() {
        let (user, none) = (GroupPermissions::USER, GroupPermissions::NONE);
        let founder = Change { is_writer: true, ..add("you", GroupPermissions::ALL) };
        let first = [founder, add("ben", user), add("cem", user), add("dan", none)];
        let told = sentence("You", true, &first, Some(1));
        assert_eq!(told, "You made the group, added ben and cem (add files, make folders) and added dan (read only)");
        let removed = [change("ben", user, GroupStep::Remove), change("cem", user, GroupStep::Remove)];
        assert_eq!(sentence("ada", false, &removed, Some(2)), "ada removed ben and cem and made generation 2 of the key");
        let left = [Change { is_writer: true, ..change("ben", user, GroupStep::Remove) }];
        assert_eq!(sentence("ben", false, &left, None), "ben left");
        let more = change("ben", user, GroupStep::Permit(user.and(GroupPermissions::ADD_MEMBERS)));
        assert_eq!(sentence("ada", false, &[more], None), "ada let ben add people");
        let other = change("you", user, GroupStep::Permit(GroupPermissions::REMOVE_ENTRIES));
        assert_eq!(sentence("ada", false, &[other], None), "ada let you remove files, and no longer add files and make folders");
        let less = change("ben", user, GroupStep::Permit(none));
        assert_eq!(sentence("ada", false, &[less], None), "ada no longer lets ben add files and make folders");
        assert_eq!(sentence("ada", false, &[change("you", none, GroupStep::Own)], None), "ada made you the owner");
        assert_eq!(sentence("ada", false, &[], Some(3)), "ada made generation 3 of the key");
    }

    #[test]
    fn many_are_counted() {
        let many: Vec<Change> = (0..12).map(|number| add(&format!("p{number}"), GroupPermissions::NONE)).collect();
        let told = sentence("ada", false, &many, None);
        assert!(told.contains("p7 and 4 more (read only)"), "{told}");
    }
}
