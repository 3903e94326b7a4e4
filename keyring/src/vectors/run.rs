//! Runs any vector: the public kinds by the code of `ticrypt-crypto`'s tests, the secret ones here.

use ticrypt_crypto::bundle::KemPublicKey;
use ticrypt_crypto::grant::GrantPayload;
use ticrypt_crypto::group::GroupSealTerms;
use ticrypt_crypto::keyfile::KeyFileHeader;
use ticrypt_crypto::record::Record;
use ticrypt_crypto::{Digest, Signed};
use ticrypt_types::{Compartment, DeploymentId, GroupId, NodeId, NodeKind, ProjectId, UserId, VersionId};

use super::public_run::{self, Inputs, chain, equal};
use crate::group::{self, GenerationPlace, GroupSeed};
use crate::identity::KemSeed;
use crate::node::NodeKeys;
use crate::wrap::{ChildPlace, ManifestPlace, NodePlace, VersionPlace, WrapContext};
use crate::{ContentKey, Identity, ListKey, PropsKey, SigningKey, TreeKey, chunk, derive, grant, keyfile, name};

pub(super) fn run(kind: &str, v: &Inputs<'_>) -> Result<(), String> {
    if let Some(result) = public_run::run(kind, v) {
        return result;
    }
    match kind {
        "derive" => equal(&*derive::derive(v.text("label"), &v.array("key")).map_err(chain)?, &v.bytes("out")),
        "commitments" => {
            let (list, tree) = (ListKey::from_bytes(&v.array("list")), TreeKey::from_bytes(&v.array("tree")));
            equal(list.unwrap().commitment().as_bytes(), &v.bytes("list_commitment"))?;
            equal(tree.unwrap().commitment().as_bytes(), &v.bytes("tree_commitment"))
        }
        "kem-seed" => {
            let seed = KemSeed::from_bytes(&v.array("seed")).unwrap();
            equal(Digest::of(&seed.public_key().as_bytes()[..]).as_bytes(), &v.bytes("public_key_sha256"))
        }
        "name-tag" => {
            let name = ticrypt_types::NodeName::parse(v.text("node_name")).unwrap();
            equal(&ListKey::from_bytes(&v.array("key")).unwrap().name_tag(&name), &v.bytes("tag"))
        }
        "padded-name" => name::unpad(&v.bytes("padded")).map(|_| ()).map_err(chain),
        "wrap" => wrap(v),
        "chunk" => open_chunk(v),
        "grant-open" => grant_open(v),
        "group-previous" => group_previous(v),
        "group-seal-open" => group_seal_open(v),
        "group-grant-open" => group_grant_open(v),
        "key-file" => {
            let unlocked = keyfile::unlock(v.text("text"), v.text("passphrase").as_bytes()).map_err(chain)?;
            equal(unlocked.identity.signing().public_key().as_bytes(), &v.bytes("public_key"))
        }
        other => panic!("no kind {other}"),
    }
}

fn node(v: &Inputs<'_>, name: &str) -> NodeId {
    NodeId::try_from(&v.bytes(name)[..]).unwrap()
}

fn compartment(v: &Inputs<'_>) -> Compartment {
    let tags = v.list("compartment").into_iter().map(|tag| ProjectId::try_from(&tag[..]).unwrap());
    Compartment::of(tags).unwrap()
}

fn deployment(v: &Inputs<'_>) -> DeploymentId {
    DeploymentId::try_from(&v.bytes("deployment")[..]).unwrap()
}

/// A wrap of any purpose; what opens is compared with `plain` as this system writes it again.
fn wrap(v: &Inputs<'_>) -> Result<(), String> {
    let (key, sealed, plain) = (v.array("key"), v.bytes("sealed"), v.bytes("plain"));
    let epoch = |name: &str| u32::try_from(v.number(name)).unwrap();
    let child = || ChildPlace {
        deployment: deployment(v),
        parent: node(v, "parent"),
        parent_epoch: epoch("parent_epoch"),
        child: node(v, "child"),
        kind: NodeKind::from_code(v.number("node_kind") as u8).unwrap(),
        child_epoch: epoch("child_epoch"),
    };
    let version = || VersionId::try_from(&v.bytes("child")[..]).unwrap();
    let manifest = || ManifestPlace {
        deployment: deployment(v),
        file: node(v, "parent"),
        epoch: epoch("parent_epoch"),
        version: version(),
        sequence: v.number("child_epoch"),
    };
    let (list, tree) = (|| ListKey::from_bytes(&key).unwrap(), || TreeKey::from_bytes(&key).unwrap());
    match v.text("purpose") {
        "name" => equal(&name::pad(&list().open_name(&child(), &sealed).map_err(chain)?), &plain),
        "list" => equal(list().unwrap_list(&child(), &sealed).map_err(chain)?.expose(), &plain),
        "tree" => equal(tree().unwrap_tree(&child(), &sealed).map_err(chain)?.expose(), &plain),
        "entry-props" => {
            let place = NodePlace {
                deployment: deployment(v),
                node: node(v, "parent"),
                kind: NodeKind::from_code(v.number("node_kind") as u8).unwrap(),
                epoch: epoch("parent_epoch"),
            };
            equal(&list().open_entry_props(&place, &sealed).map_err(chain)?.to_plaintext().unwrap(), &plain)
        }
        "content" => {
            let place =
                VersionPlace { deployment: deployment(v), file: node(v, "parent"), epoch: epoch("parent_epoch"), version: version() };
            equal(tree().unwrap_content(&place, &sealed).map_err(chain)?.expose(), &plain)
        }
        "manifest-props-key" => equal(list().unwrap_props_key(&manifest(), &sealed).map_err(chain)?.expose(), &plain),
        "manifest-props" => {
            let key = PropsKey::from_bytes(&key).unwrap();
            equal(&key.open_manifest_props(&manifest(), &sealed).map_err(chain)?.to_plaintext().unwrap(), &plain)
        }
        "aad" => equal(&WrapContext::list(&child()).aad(), &plain),
        other => panic!("no purpose {other}"),
    }
}

fn open_chunk(v: &Inputs<'_>) -> Result<(), String> {
    let version = VersionId::try_from(&v.bytes("version")[..]).unwrap();
    let opener = chunk::ChunkOpener::new(&ContentKey::from_bytes(&v.array("key")), node(v, "file"), version).unwrap();
    let mut stored = v.bytes("stored");
    let plain = opener.open_in_place(v.number("number"), v.flag("last"), &mut stored).map_err(chain)?;
    equal(plain, &v.bytes("plain"))
}

/// Whoever holds the seed of the vector as their key of its generation.
fn identity(v: &Inputs<'_>) -> Identity {
    let header = KeyFileHeader {
        deployment: deployment(v),
        user: UserId::try_from(&v.bytes("user")[..]).unwrap(),
        name: "r.tal".parse().unwrap(),
        generation: v.number("generation") as u32,
    };
    let seed = KemSeed::from_bytes(&v.array("seed")).unwrap();
    let signing = SigningKey::from_scalar(&[1; 32]).unwrap();
    Identity::from_parts(header.clone(), signing, vec![(header.generation, seed)]).unwrap()
}

fn grant_open(v: &Inputs<'_>) -> Result<(), String> {
    let payload: Signed<GrantPayload> = v.signed("envelope", "key")?;
    granted(v, &grant::open(&identity(v), &payload, &v.bytes("sealed")).map_err(chain)?)
}

fn granted(v: &Inputs<'_>, keys: &NodeKeys) -> Result<(), String> {
    equal(keys.list.expose(), &v.bytes("list"))?;
    equal(keys.tree.as_ref().map_or(&[][..], |tree| &tree.expose()[..]), &v.bytes("tree"))
}

fn group_seed(v: &Inputs<'_>, name: &str) -> GroupSeed {
    GroupSeed::from_bytes(&v.array(name)).unwrap()
}

fn group_previous(v: &Inputs<'_>) -> Result<(), String> {
    let place = GenerationPlace {
        deployment: deployment(v),
        group: GroupId::try_from(&v.bytes("group")[..]).unwrap(),
        compartment: compartment(v),
        generation: v.number("generation") as u32,
    };
    let expected = KemPublicKey::from_bytes(&v.bytes("expected")).unwrap();
    let seed = group_seed(v, "key").open_previous(&place, &v.bytes("sealed"), &expected).map_err(chain)?;
    equal(seed.kem().expose(), &v.bytes("plain"))
}

fn group_seal_open(v: &Inputs<'_>) -> Result<(), String> {
    let terms = GroupSealTerms::parse(&v.bytes("terms")).unwrap();
    let expected = KemPublicKey::from_bytes(&v.bytes("expected")).unwrap();
    let seed = group::open(&identity(v), &terms, &v.bytes("sealed"), &expected).map_err(chain)?;
    equal(seed.kem().expose(), &v.bytes("plain"))
}

fn group_grant_open(v: &Inputs<'_>) -> Result<(), String> {
    let payload: Signed<GrantPayload> = v.signed("envelope", "key")?;
    granted(v, &grant::open_with(&group_seed(v, "seed"), &payload, &v.bytes("sealed")).map_err(chain)?)
}
