//! Paths in the vault, as people type them.
//!
//! ```text
//!   /docs/a.txt                      one's own tree; `docs/a.txt` is the same
//!   /@shared                         who shares with me
//!   /@shared/r.tal                   what r.tal shares with me
//!   /@shared/r.tal/results/run.csv   below a node r.tal shares
//!   /@shared/r.tal/results~5f1c09aa  the same, by the first eight digits of its id
//!   /@groups                         the groups one is in
//!   /@groups/genomics/run.csv        below the directory of a group, by its name or its name and digits of its id
//! ```
//!
//! The second form of a share always works. The first stops working, with a message that lists the others, once the same person shares two
//! nodes of one name: a later share can then never stand in for an earlier one. Nothing here is special to a shell (`@` and `~` inside a
//! word are not). In one's own root a name that is `@shared` or `@groups` itself is
//! written with one more `@`, and so on: `/@@shared`.

use std::fmt;

use ticrypt_types::name::{Harmless, NameError};
use ticrypt_types::{NodeId, NodeName, UserName};

/// Under which what others share is found.
pub const SHARED: &str = "@shared";
/// Under which the directories of groups are found.
pub const GROUPS: &str = "@groups";
/// Digits of a node's id that tell shares of one name apart.
const ID_DIGITS: usize = 8;

/// Why some text is not a path in the vault.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PathError {
    #[error("`{part}` is not a name in the vault: {why}")]
    Name { part: String, why: NameError },
    #[error("`{part}` is not the name of a person: {why}")]
    Sharer { part: String, why: NameError },
    #[error("the path goes above the top of the vault with `..`")]
    AboveTop,
    #[error("this is a list, not a place in a tree: name a share or a group, as in /@shared/person/name or /@groups/name")]
    NotInTree,
    #[error("the top of the tree has no name")]
    NoName,
}

/// Where a path begins.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Place {
    /// One's own tree.
    Home,
    /// `/@shared`: the people who share.
    Sharers,
    /// `/@shared/<person>`: what one of them shares.
    SharedBy(UserName),
    /// A node somebody shares.
    Share { sharer: UserName, label: Label },
    /// `/@groups`: the groups one is in.
    Groups,
    /// The directory of a group.
    Group { label: Label },
}

/// How a share is called: its name, and digits of its id if they were given.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Label {
    text: NodeName,
}

/// A parsed path: where it begins, and the names below.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct VaultPath {
    place: Place,
    names: Vec<NodeName>,
}

impl Label {
    /// The label that always works.
    pub fn exact(name: &NodeName, node: NodeId) -> String {
        format!("{}~{}", name.as_str(), digits(node))
    }

    /// Whether the label means this share, and whether it does so by the id.
    pub fn matches(&self, name: &NodeName, node: NodeId) -> Match {
        if self.text.as_str() == Self::exact(name, node) {
            Match::Exact
        } else if &self.text == name {
            Match::ByName
        } else {
            Match::No
        }
    }

    pub fn as_str(&self) -> &str {
        self.text.as_str()
    }
}

/// How well a label fits a share.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Match {
    No,
    ByName,
    Exact,
}

/// As many digits of an id as tell things of one name apart.
pub fn digits(id: impl fmt::Display) -> String {
    id.to_string().chars().filter(|c| *c != '-').take(ID_DIGITS).collect()
}

impl VaultPath {
    /// The top of one's own tree.
    pub fn home() -> Self {
        Self { place: Place::Home, names: Vec::new() }
    }

    /// Reads a path. Empty parts and `.` are left out, `..` goes up, names are brought to NFC.
    pub fn parse(text: &str) -> Result<Self, PathError> {
        let mut parts: Vec<&str> = Vec::new();
        for part in text.split('/') {
            match part {
                "" | "." => {}
                ".." => {
                    parts.pop().ok_or(PathError::AboveTop)?;
                }
                part => parts.push(part),
            }
        }
        let mut parts = parts.into_iter();
        let Some(first) = parts.next() else { return Ok(Self::home()) };
        if first == GROUPS {
            let Some(label) = parts.next() else { return Ok(Self { place: Place::Groups, names: Vec::new() }) };
            let label = Label { text: label_name(label)? };
            let names = parts.map(name).collect::<Result<_, _>>()?;
            return Ok(Self { place: Place::Group { label }, names });
        }
        if first != SHARED {
            let mut names = vec![name(unescape(first))?];
            for part in parts {
                names.push(name(part)?);
            }
            return Ok(Self { place: Place::Home, names });
        }
        let Some(sharer) = parts.next() else { return Ok(Self { place: Place::Sharers, names: Vec::new() }) };
        let sharer: UserName = sharer.parse().map_err(|why| PathError::Sharer { part: Harmless(sharer).to_string(), why })?;
        let Some(label) = parts.next() else { return Ok(Self { place: Place::SharedBy(sharer), names: Vec::new() }) };
        let label = Label { text: label_name(label)? };
        let names = parts.map(name).collect::<Result<_, _>>()?;
        Ok(Self { place: Place::Share { sharer, label }, names })
    }

    /// The directory of a group.
    pub fn of_group(label: &str) -> Result<Self, PathError> {
        Ok(Self { place: Place::Group { label: Label { text: label_name(label)? } }, names: Vec::new() })
    }

    /// The path of a share.
    pub fn of_share(sharer: &UserName, label: &str) -> Result<Self, PathError> {
        Ok(Self { place: Place::Share { sharer: sharer.clone(), label: Label { text: label_name(label)? } }, names: Vec::new() })
    }

    pub fn place(&self) -> &Place {
        &self.place
    }

    /// Names below the place.
    pub fn names(&self) -> &[NodeName] {
        &self.names
    }

    /// Whether this is a list of shares or of groups, which no node stands for.
    pub fn is_index(&self) -> bool {
        matches!(self.place, Place::Sharers | Place::SharedBy(_) | Place::Groups)
    }

    /// Where it begins.
    pub fn top(&self) -> Self {
        Self { place: self.place.clone(), names: Vec::new() }
    }

    /// One step down.
    pub fn child(&self, name: &NodeName) -> Self {
        let mut child = self.clone();
        child.names.push(name.clone());
        child
    }

    /// The directory a node is in and its name there.
    pub fn split(&self) -> Result<(Self, &NodeName), PathError> {
        let Some((last, above)) = self.names.split_last() else {
            return Err(if self.is_index() { PathError::NotInTree } else { PathError::NoName });
        };
        Ok((Self { place: self.place.clone(), names: above.to_vec() }, last))
    }

    /// Whether `other` is this or below it, by its text.
    pub fn contains(&self, other: &Self) -> bool {
        self.place == other.place && other.names.starts_with(&self.names)
    }

    /// The text that leads here again; harmless on a terminal only through [`fmt::Display`].
    pub fn text(&self) -> String {
        let mut text = String::new();
        match &self.place {
            Place::Home => {}
            Place::Sharers => text.push_str(&format!("/{SHARED}")),
            Place::SharedBy(sharer) => text.push_str(&format!("/{SHARED}/{sharer}")),
            Place::Share { sharer, label } => text.push_str(&format!("/{SHARED}/{sharer}/{}", label.as_str())),
            Place::Groups => text.push_str(&format!("/{GROUPS}")),
            Place::Group { label } => text.push_str(&format!("/{GROUPS}/{}", label.as_str())),
        }
        for (depth, name) in self.names.iter().enumerate() {
            text.push('/');
            if depth == 0 && self.place == Place::Home && is_escaped(name.as_str()) {
                text.push('@');
            }
            text.push_str(name.as_str());
        }
        if text.is_empty() { "/".to_owned() } else { text }
    }
}

impl fmt::Display for VaultPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Harmless(&self.text()).fmt(f)
    }
}

impl std::str::FromStr for VaultPath {
    type Err = PathError;
    fn from_str(text: &str) -> Result<Self, PathError> {
        Self::parse(text)
    }
}

fn name(part: &str) -> Result<NodeName, PathError> {
    NodeName::normalise(part).map_err(|why| PathError::Name { part: Harmless(part).to_string(), why })
}

/// A label may be longer than a name by its digits; the name in it is held to the rules of names.
fn label_name(part: &str) -> Result<NodeName, PathError> {
    match NodeName::normalise(part) {
        Ok(name) => Ok(name),
        Err(why) => Err(PathError::Name { part: Harmless(part).to_string(), why }),
    }
}

/// `@shared`, `@@shared`, …, and the same with `groups`: names that would be read as a list or as an escape.
fn is_escaped(name: &str) -> bool {
    name.starts_with('@') && [SHARED, GROUPS].iter().any(|list| name.trim_start_matches('@') == list.trim_start_matches('@'))
}

fn unescape(part: &str) -> &str {
    if is_escaped(part) { part.strip_prefix('@').unwrap_or(part) } else { part }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn parse(text: &str) -> VaultPath {
        VaultPath::parse(text).unwrap()
    }

    #[test]
    fn text_leads_back() {
        for text in [
            "/",
            "/a",
            "/a/b c/d.txt",
            "/@shared",
            "/@shared/r.tal",
            "/@shared/r.tal/x",
            "/@shared/r.tal/x~00112233/y",
            "/@@shared",
            "/@@@shared/x",
            "/@groups",
            "/@groups/genomics",
            "/@groups/genomics~00112233/y",
            "/@@groups",
        ] {
            assert_eq!(parse(text).text(), text);
        }
        assert_eq!(parse("docs//./a/../b/").text(), "/docs/b");
        assert_eq!(parse("").text(), "/");
    }

    #[test]
    fn a_name_of_ones_own_never_hides_the_shares() {
        let own = parse("/@@shared");
        assert_eq!((own.place(), own.names().first().unwrap().as_str()), (&Place::Home, "@shared"));
        assert_eq!(parse("/@@@shared").names().first().unwrap().as_str(), "@@shared");
        assert_eq!(*parse("/@shared").place(), Place::Sharers);
        assert_eq!(*parse("/@groups").place(), Place::Groups);
        assert_eq!(*parse("/@@groups/x").place(), Place::Home);
        // Only at the top.
        assert_eq!(parse("/x/@shared").names().len(), 2);
        // What merely begins alike is an ordinary name.
        assert_eq!(parse("/@sharedx").names().first().unwrap().as_str(), "@sharedx");
        let built = VaultPath::home().child(&NodeName::parse("@shared").unwrap());
        assert_eq!(parse(&built.text()), built);
    }

    #[test]
    fn bad_paths_are_refused() {
        assert_eq!(VaultPath::parse("/a/../.."), Err(PathError::AboveTop));
        assert!(matches!(VaultPath::parse(&format!("/{}", "x".repeat(256))), Err(PathError::Name { why: NameError::TooLong, .. })));
        assert!(matches!(VaultPath::parse("/@shared/No Body/x"), Err(PathError::Sharer { .. })));
        assert!(matches!(VaultPath::parse("a\0b"), Err(PathError::Name { .. })));
        assert_eq!(VaultPath::home().split(), Err(PathError::NoName));
        assert_eq!(parse("/@shared/r.tal").split(), Err(PathError::NotInTree));
        assert_eq!(parse("/@groups").split(), Err(PathError::NotInTree));
    }

    #[test]
    fn names_are_normalised_and_shown_harmlessly() {
        assert_eq!(parse("/e\u{301}"), parse("/\u{e9}"));
        assert_eq!(parse("/a\u{202e}b").to_string(), "/a\\u{202e}b");
    }

    #[test]
    fn labels() {
        let node = NodeId::from_random([0x5f; 16]);
        let name = NodeName::parse("results").unwrap();
        let label = |text: &str| Label { text: NodeName::parse(text).unwrap() };
        assert_eq!(label("results").matches(&name, node), Match::ByName);
        assert_eq!(label("results~5f5f5f5f").matches(&name, node), Match::Exact);
        assert_eq!(label("results~5f5f5f50").matches(&name, node), Match::No);
        // A share that is named like another's exact label only fits by name, so the exact one wins.
        let mimic = NodeName::parse("results~5f5f5f5f").unwrap();
        assert_eq!(label("results~5f5f5f5f").matches(&mimic, NodeId::from_random([1; 16])), Match::ByName);
        assert_eq!(parse("/a").split().unwrap().0, VaultPath::home());
        assert!(parse("/a").contains(&parse("/a/b")) && !parse("/a").contains(&parse("/ab")));
    }
}
