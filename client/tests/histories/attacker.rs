//! Somebody with their own keys and all that the server ever stored: which contents do they open? No rule stands in their way, only keys do.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use ticrypt_crypto::Digest;
use ticrypt_crypto::grant::RecipientKind;
use ticrypt_crypto::group::GroupSealTerms;
use ticrypt_keyring::group::{self, GenerationPlace, GroupSeed};
use ticrypt_keyring::wrap::VersionPlace;
use ticrypt_keyring::{Identity, NodeKeys, entry, grant};
use ticrypt_types::{Compartment, GroupId, NodeId, VersionId};

use crate::stored::Stored;

type Seeds = HashMap<(GroupId, Compartment, u32), Arc<GroupSeed>>;

/// The contents whose keys come out.
pub fn opens(identity: &Identity, stored: &Stored) -> BTreeSet<VersionId> {
    let seeds = seeds(identity, stored);
    // By node and the number of its keys.
    let mut keys: HashMap<(NodeId, u32), NodeKeys> = HashMap::new();
    for (terms, sealed) in stored.grants.values() {
        let opened = match terms.recipient_kind {
            RecipientKind::Person => grant::open(identity, terms, sealed).ok(),
            RecipientKind::Group => seeds.values().find_map(|seed| grant::open_with(seed, terms, sealed).ok()),
        };
        if let Some(opened) = opened {
            keys.insert((terms.node, terms.epoch), opened);
        }
    }
    // Keys lead to keys until nothing is new.
    loop {
        let before = keys.len();
        for one in stored.entries.values() {
            let (above, own) = ((one.parent, one.parent_epoch), (one.child, one.child_epoch));
            let known = keys.get(&own).is_some_and(|keys| keys.tree.is_some());
            let Some(parent) = keys.get(&above).filter(|_| !known) else { continue };
            let list = entry::open_list(identity.deployment(), &parent.list, one).ok().flatten();
            let tree = parent.tree.as_ref().and_then(|tree| entry::open_tree(identity.deployment(), tree, one).ok().flatten());
            if let (Some(list), Some(tree)) = (list, tree) {
                keys.insert(own, NodeKeys { list, tree: Some(tree) });
            }
        }
        if keys.len() == before {
            break;
        }
    }
    let opened = stored.contents.iter().filter(|(version, file, wrap)| {
        let mut trees = keys.iter().filter(|((node, _), _)| node == file);
        trees.any(|((_, epoch), keys)| {
            let place = VersionPlace { deployment: identity.deployment(), file: *file, epoch: *epoch, version: *version };
            keys.tree.as_ref().is_some_and(|tree| tree.unwrap_content(&place, wrap).is_ok())
        })
    });
    opened.map(|(version, ..)| *version).collect()
}

/// The seeds of groups' keys: those sealed to them, and those that these wrap.
fn seeds(identity: &Identity, stored: &Stored) -> Seeds {
    let mut seeds = Seeds::new();
    for row in &stored.seals {
        let compartment = Compartment::try_from(row.tags.clone()).unwrap();
        let terms = GroupSealTerms {
            deployment: identity.deployment(),
            group: row.group,
            compartment: compartment.clone(),
            generation: row.generation,
            member: row.user,
            bundle: Digest::new(row.bundle),
            bundle_generation: row.bundle_generation,
        };
        let mut at = (row.group, compartment, row.generation);
        let Ok(seed) = group::open(identity, &terms, &row.sealed, &stored.generations[&at].0) else { continue };
        let mut seed = Arc::new(seed);
        while seeds.insert(at.clone(), Arc::clone(&seed)).is_none() && at.2 > 1 {
            let place = GenerationPlace { deployment: identity.deployment(), group: at.0, compartment: at.1.clone(), generation: at.2 };
            let wrapped = &stored.generations[&at].1;
            at.2 -= 1;
            seed = Arc::new(seed.open_previous(&place, wrapped, &stored.generations[&at].0).unwrap());
        }
    }
    seeds
}
