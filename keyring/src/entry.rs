//! Whole entries: everything a parent's directory says about a child, sealed and opened together.

use ticrypt_crypto::entry::Entry;
use ticrypt_crypto::record::Record;
use ticrypt_types::{DeploymentId, NodeName};

use crate::aead::{OpenError, SealError};
use crate::node::{ListKey, NodeKeys, TreeKey};
use crate::props::EntryProps;
use crate::random::Random;
use crate::wrap::ChildPlace;

/// Whether a child's keys are wrapped under its parent's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Boundary {
    /// Whoever holds the parent's keys holds the child's.
    Inside,
    /// The child has keys of its own, sealed in grants; only its name is the parent's.
    Own,
}

/// Seals a child's entry under its parent's keys. The properties' name is the name.
pub fn seal(
    random: &dyn Random,
    parent: &NodeKeys,
    place: &ChildPlace,
    child: &NodeKeys,
    props: &EntryProps,
    boundary: Boundary,
) -> Result<Entry, SealError> {
    let (list_wrap, tree_wrap) = match (boundary, &parent.tree, &child.tree) {
        (Boundary::Own, _, _) => (Vec::new(), Vec::new()),
        (Boundary::Inside, Some(parent_tree), Some(tree)) => {
            (parent.list.wrap_list(random, place, &child.list)?, parent_tree.wrap_tree(random, place, tree)?)
        }
        (Boundary::Inside, _, _) => return Err(SealError::Mismatch("an entry needs the tree keys of parent and child")),
    };
    let entry = Entry {
        parent: place.parent,
        parent_epoch: place.parent_epoch,
        child: place.child,
        kind: place.kind,
        child_epoch: place.child_epoch,
        name_tag: parent.list.name_tag(&props.name),
        name: parent.list.seal_name(random, place, &props.name)?,
        list_wrap,
        tree_wrap,
        props: child.list.seal_entry_props(random, &place.node(), props)?,
    };
    entry.check().map_err(SealError::Rule)?;
    Ok(entry)
}

/// The entry of a child with keys of its own under new keys of its directory: the name is sealed anew, and what is the child's stays as it
/// is, so whoever does this need not hold the child's keys.
pub fn carry(
    random: &dyn Random,
    parent: &ListKey,
    parent_epoch: u32,
    name: &NodeName,
    old: &Entry,
    deployment: DeploymentId,
) -> Result<Entry, SealError> {
    if !old.has_own_keys() {
        return Err(SealError::Mismatch("an entry with wrapped keys is made anew with them"));
    }
    let place = ChildPlace { parent_epoch, ..ChildPlace::of(deployment, old) };
    let entry = Entry { parent_epoch, name_tag: parent.name_tag(name), name: parent.seal_name(random, &place, name)?, ..old.clone() };
    entry.check().map_err(SealError::Rule)?;
    Ok(entry)
}

/// Opens the name of an entry and checks its tag.
pub fn open_name(deployment: DeploymentId, parent: &ListKey, entry: &Entry) -> Result<NodeName, OpenError> {
    let name = parent.open_name(&ChildPlace::of(deployment, entry), &entry.name)?;
    if parent.name_tag(&name) != entry.name_tag {
        return Err(OpenError::Mismatch("the tag of an entry is not of its name"));
    }
    Ok(name)
}

/// Opens the child's list key, if it is wrapped under the parent's.
pub fn open_list(deployment: DeploymentId, parent: &ListKey, entry: &Entry) -> Result<Option<ListKey>, OpenError> {
    if entry.list_wrap.is_empty() {
        return Ok(None);
    }
    parent.unwrap_list(&ChildPlace::of(deployment, entry), &entry.list_wrap).map(Some)
}

/// Opens the child's tree key, if it is wrapped under the parent's.
pub fn open_tree(deployment: DeploymentId, parent: &TreeKey, entry: &Entry) -> Result<Option<TreeKey>, OpenError> {
    if entry.tree_wrap.is_empty() {
        return Ok(None);
    }
    parent.unwrap_tree(&ChildPlace::of(deployment, entry), &entry.tree_wrap).map(Some)
}

/// Opens the child's properties with its own list key, and checks their name against the entry's where that is known.
pub fn open_props(deployment: DeploymentId, child: &ListKey, entry: &Entry, name: Option<&NodeName>) -> Result<EntryProps, OpenError> {
    let props = child.open_entry_props(&ChildPlace::of(deployment, entry).node(), &entry.props)?;
    if name.is_some_and(|name| *name != props.name) {
        return Err(OpenError::Mismatch("the properties of an entry have another name"));
    }
    Ok(props)
}
