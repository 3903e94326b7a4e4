//! A wrap opens where it was made and nowhere else.

#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use proptest::prelude::*;
use ticrypt_types::{DeploymentId, NodeId, NodeKind, Timestamp, VersionId};

use super::*;
use crate::entry::{self, Boundary};
use crate::props::{ContentKind, ManifestProps};
use crate::random::tests::{Broken, Seeded};

fn place() -> ChildPlace {
    ChildPlace {
        deployment: DeploymentId::from_random([1; 16]),
        parent: NodeId::from_random([2; 16]),
        parent_epoch: 3,
        child: NodeId::from_random([4; 16]),
        kind: NodeKind::Directory,
        child_epoch: 5,
    }
}

/// Every place that differs from [`place`] in one field.
fn other_places() -> Vec<ChildPlace> {
    let p = place();
    vec![
        ChildPlace { deployment: DeploymentId::from_random([9; 16]), ..p },
        ChildPlace { parent: NodeId::from_random([9; 16]), ..p },
        ChildPlace { parent_epoch: 4, ..p },
        ChildPlace { child: NodeId::from_random([9; 16]), ..p },
        ChildPlace { kind: NodeKind::File, ..p },
        ChildPlace { child_epoch: 6, ..p },
        ChildPlace { parent: p.child, child: p.parent, ..p },
    ]
}

fn version_place() -> VersionPlace {
    let p = place();
    VersionPlace { deployment: p.deployment, file: p.child, epoch: 5, version: VersionId::from_random([6; 16]) }
}

fn manifest_place() -> ManifestPlace {
    let p = version_place();
    ManifestPlace { deployment: p.deployment, file: p.file, epoch: p.epoch, version: p.version, sequence: 7 }
}

fn props(name: &str) -> EntryProps {
    let (created, modified) = (Timestamp::from_millis(1), Timestamp::from_millis(2));
    EntryProps { name: NodeName::normalise(name).unwrap(), created, modified, mode: 0o755 }
}

#[test]
fn wraps_of_a_child_open_in_its_place_only() {
    let random = Seeded::new("wraps");
    let (parent, child) = (NodeKeys::generate(&random).unwrap(), NodeKeys::generate(&random).unwrap());
    let (parent_tree, child_tree) = (parent.tree.as_ref().unwrap(), child.tree.as_ref().unwrap());
    let name = NodeName::parse("Übersicht.txt").unwrap();
    let sealed_name = parent.list.seal_name(&random, &place(), &name).unwrap();
    let list = parent.list.wrap_list(&random, &place(), &child.list).unwrap();
    let tree = parent_tree.wrap_tree(&random, &place(), child_tree).unwrap();
    assert_eq!((list.len(), tree.len(), sealed_name.len()), (60, 60, 60));
    assert_eq!(parent.list.open_name(&place(), &sealed_name).unwrap(), name);
    assert_eq!(parent.list.unwrap_list(&place(), &list).unwrap().expose(), child.list.expose());
    assert_eq!(parent_tree.unwrap_tree(&place(), &tree).unwrap().expose(), child_tree.expose());
    for other in other_places() {
        assert!(parent.list.unwrap_list(&other, &list).is_err(), "{other:?}");
        assert!(parent_tree.unwrap_tree(&other, &tree).is_err(), "{other:?}");
        // A name outlives new keys of the child.
        let same_name = other == ChildPlace { child_epoch: 6, ..place() };
        assert_eq!(parent.list.open_name(&other, &sealed_name).is_ok(), same_name, "{other:?}");
    }
    // One purpose's wrap is not another's, and no other key opens it.
    assert!(parent.list.unwrap_list(&place(), &sealed_name).is_err());
    assert!(child.list.unwrap_list(&place(), &list).is_err());
    assert!(child_tree.unwrap_tree(&place(), &tree).is_err());
}

#[test]
fn wraps_of_a_version_open_in_its_place_only() {
    let random = Seeded::new("versions");
    let file = NodeKeys::generate(&random).unwrap();
    let (tree, content) = (file.tree.as_ref().unwrap(), ContentKey::generate(&random).unwrap());
    let wrap = tree.wrap_content(&random, &version_place(), &content).unwrap();
    assert_eq!(tree.unwrap_content(&version_place(), &wrap).unwrap().expose(), content.expose());
    let p = version_place();
    for other in [
        VersionPlace { deployment: DeploymentId::from_random([9; 16]), ..p },
        VersionPlace { file: NodeId::from_random([9; 16]), ..p },
        VersionPlace { epoch: 6, ..p },
        VersionPlace { version: VersionId::from_random([9; 16]), ..p },
    ] {
        assert!(tree.unwrap_content(&other, &wrap).is_err(), "{other:?}");
    }

    let key = PropsKey::generate(&random).unwrap();
    let props =
        ManifestProps { kind: ContentKind::SymbolicLink, modified: Timestamp::from_millis(9), mode: 0o644, sha256: Digest::of(b"content") };
    let sealed = key.seal_manifest_props(&random, &manifest_place(), &props).unwrap();
    let wrap = file.list.wrap_props_key(&random, &manifest_place(), &key).unwrap();
    let again = file.list.unwrap_props_key(&manifest_place(), &wrap).unwrap();
    assert_eq!(again.open_manifest_props(&manifest_place(), &sealed).unwrap(), props);
    let m = manifest_place();
    for other in [
        ManifestPlace { deployment: DeploymentId::from_random([9; 16]), ..m },
        ManifestPlace { file: NodeId::from_random([9; 16]), ..m },
        ManifestPlace { version: VersionId::from_random([9; 16]), ..m },
        ManifestPlace { sequence: 8, ..m },
    ] {
        assert!(file.list.unwrap_props_key(&other, &wrap).is_err(), "{other:?}");
        assert!(key.open_manifest_props(&other, &sealed).is_err(), "{other:?}");
    }
    // New keys of the file re-wrap the key; what the manifest's writer sealed and signed stays.
    let rolled = ManifestPlace { epoch: 6, ..m };
    assert!(file.list.unwrap_props_key(&rolled, &wrap).is_err());
    assert!(key.open_manifest_props(&rolled, &sealed).is_ok());
}

#[test]
fn entries_keep_name_tag_and_properties_together() {
    let random = Seeded::new("entries");
    let (parent, child) = (NodeKeys::generate(&random).unwrap(), NodeKeys::generate(&random).unwrap());
    let deployment = place().deployment;
    let sealed = entry::seal(&random, &parent, &place(), &child, &props("a"), Boundary::Inside).unwrap();
    let name = entry::open_name(deployment, &parent.list, &sealed).unwrap();
    assert_eq!(name.as_str(), "a");
    let list = entry::open_list(deployment, &parent.list, &sealed).unwrap().unwrap();
    assert_eq!(list.commitment(), child.list.commitment());
    let tree = entry::open_tree(deployment, parent.tree.as_ref().unwrap(), &sealed).unwrap().unwrap();
    assert_eq!(tree.commitment(), child.tree.as_ref().unwrap().commitment());
    assert_eq!(entry::open_props(deployment, &list, &sealed, Some(&name)).unwrap(), props("a"));

    let other = entry::seal(&random, &parent, &place(), &child, &props("b"), Boundary::Own).unwrap();
    assert!(other.has_own_keys());
    assert!(entry::open_list(deployment, &parent.list, &other).unwrap().is_none());
    assert!(entry::open_tree(deployment, parent.tree.as_ref().unwrap(), &other).unwrap().is_none());
    let mixed = ticrypt_crypto::entry::Entry { name_tag: other.name_tag, ..sealed.clone() };
    assert!(matches!(entry::open_name(deployment, &parent.list, &mixed), Err(OpenError::Mismatch(_))));
    let mixed = ticrypt_crypto::entry::Entry { props: other.props.clone(), ..sealed.clone() };
    assert!(matches!(entry::open_props(deployment, &list, &mixed, Some(&name)), Err(OpenError::Mismatch(_))));

    let viewless = NodeKeys { list: ListKey::from_bytes(parent.list.expose()).unwrap(), tree: None };
    assert!(entry::seal(&random, &viewless, &place(), &child, &props("a"), Boundary::Inside).is_err());
}

#[test]
fn the_same_plaintext_never_gives_the_same_bytes_and_lengths_tell_little() {
    let random = Seeded::new("lengths");
    let keys = NodeKeys::generate(&random).unwrap();
    let seal = |name: &str| keys.list.seal_entry_props(&random, &place().node(), &props(name)).unwrap();
    assert_ne!(seal("a"), seal("a"));
    // The properties hold the name padded: their length must not undo the padding.
    assert_eq!(seal("a").len(), seal(&"x".repeat(31)).len());
}

#[test]
fn without_randomness_nothing_is_sealed() {
    assert!(NodeKeys::generate(&Broken).is_err());
    let keys = NodeKeys::generate(&Seeded::new("x")).unwrap();
    assert!(keys.list.seal_entry_props(&Broken, &place().node(), &props("a")).is_err());
}

#[test]
fn nothing_secret_is_printed() {
    let keys = NodeKeys::generate(&Seeded::new("print")).unwrap();
    assert_eq!(format!("{keys:?}"), "NodeKeys { list: ListKey(..), tree: Some(TreeKey(..)) }");
}

proptest! {
    #[test]
    fn any_changed_bit_of_a_wrap_is_refused(at in 0usize..60, bit in 0u8..8) {
        let random = Seeded::new("bits");
        let (parent, child) = (ListKey::generate(&random).unwrap(), ListKey::generate(&random).unwrap());
        let mut wrap = parent.wrap_list(&random, &place(), &child).unwrap();
        prop_assert!(parent.unwrap_list(&place(), &wrap).is_ok());
        wrap[at] ^= 1 << bit;
        prop_assert!(matches!(parent.unwrap_list(&place(), &wrap), Err(OpenError::NotAuthentic)));
        wrap.pop();
        prop_assert!(matches!(parent.unwrap_list(&place(), &wrap), Err(OpenError::Length)));
    }

    #[test]
    fn names_round_trip(text in "\\PC{1,60}") {
        let random = Seeded::new("names");
        let keys = ListKey::generate(&random).unwrap();
        if let Ok(name) = NodeName::normalise(&text) {
            let sealed = keys.seal_name(&random, &place(), &name).unwrap();
            prop_assert_eq!(keys.open_name(&place(), &sealed).unwrap(), name);
        }
    }
}
