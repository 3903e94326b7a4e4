//! Records that an honest client would not make, by people who have keys of their own.

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::{hkdf, hmac};
use ticrypt_api::Blob;
use ticrypt_api::node::{DirectoryView, EntryView, NodeView};
use ticrypt_client::vault::Held;
use ticrypt_crypto::Envelope;
use ticrypt_crypto::directory::HeadPayload;
use ticrypt_crypto::entry::{Entry, entries_root};
use ticrypt_crypto::record::Record;
use ticrypt_crypto::signature::Payload;
use ticrypt_keyring::entry::{Boundary, seal};
use ticrypt_keyring::props::EntryProps;
use ticrypt_keyring::wrap::{ChildPlace, WrapContext};
use ticrypt_keyring::{ListKey, NodeKeys, SystemRandom};
use ticrypt_types::{NodeId, NodeKind, NodeName, Timestamp};

use crate::people::Person;

/// What a record says.
pub fn claimed<T: Payload>(bytes: &Blob) -> T {
    Envelope::parse(&bytes.0).unwrap().claimed().unwrap()
}

/// A record with the signature of this person, whatever it says.
pub fn signed<T: Payload>(by: &Person, record: &T) -> Blob {
    Blob(by.keys.secret().signing().sign_record(record).unwrap())
}

/// A record with some of it changed and another's signature.
pub fn resigned<T: Payload>(by: &Person, bytes: &Blob, change: impl FnOnce(&mut T)) -> Blob {
    let mut record = claimed(bytes);
    change(&mut record);
    signed(by, &record)
}

/// The text of a name as bytes, which need not be a name.
pub struct Hostile<'a> {
    pub name: &'a [u8],
    /// Of the properties, where they say another.
    pub props: &'a str,
}

/// A directory that holds entries of these names and nothing else, with a head that follows the shown one.
pub fn directory(by: &Person, held: &Held, shown: &DirectoryView, names: &[Hostile<'_>]) -> DirectoryView {
    let before: HeadPayload = claimed(&shown.head);
    let entries: Vec<EntryView> = names.iter().map(|name| entry(by, held, &shown.node, name)).collect();
    let leaves = entries.iter().map(|view| Entry::parse(&view.entry.0).unwrap()).map(|entry| (entry.child, entry.leaf()));
    let head = HeadPayload {
        counter: before.counter + 1,
        entry_count: entries.len() as u64,
        entries_root: entries_root(leaves).unwrap(),
        previous: Some(Envelope::parse(&shown.head.0).unwrap().record_hash()),
        ..before
    };
    DirectoryView { head: signed(by, &head), entries, ..shown.clone() }
}

fn entry(by: &Person, held: &Held, directory: &NodeView, hostile: &Hostile<'_>) -> EntryView {
    let random = SystemRandom::new();
    let deployment = by.session.deployment_id();
    let child = NodeId::from_random(ticrypt_client::entropy::bytes().unwrap());
    let place = ChildPlace { deployment, parent: held.id, parent_epoch: held.epoch, child, kind: NodeKind::Directory, child_epoch: 1 };
    let now = Timestamp::from_millis(1);
    let props = EntryProps { name: NodeName::parse(hostile.props).unwrap(), created: now, modified: now, mode: 0o755 };
    let keys = NodeKeys::generate(&random).unwrap();
    let mut entry = seal(&random, &held.keys, &place, &keys, &props, Boundary::Inside).unwrap();
    entry.name = seal_name(&held.keys.list, &place, hostile.name);
    entry.name_tag = tag(&held.keys.list, hostile.name);
    let node = NodeView { node: child, parent: Some(held.id), kind: NodeKind::Directory, epoch: 1, head_counter: 1, ..directory.clone() };
    EntryView { entry: Blob(entry.to_bytes()), node, current: None, tags: vec![], locked: false, own_keys: None, waiting: false }
}

/// docs/formats.md §0, `D`.
fn derive(label: &str, key: &ListKey) -> [u8; 32] {
    let info = [label.as_bytes()];
    let mut out = [0; 32];
    let prk = hkdf::Salt::new(hkdf::HKDF_SHA256, b"ticrypt/v1").extract(key.expose());
    prk.expand(&info, hkdf::HKDF_SHA256).unwrap().fill(&mut out).unwrap();
    out
}

/// docs/formats.md §5, a stored name, of bytes that the rules of names would refuse.
fn seal_name(key: &ListKey, place: &ChildPlace, name: &[u8]) -> Vec<u8> {
    let mut padded = vec![u8::try_from(name.len()).unwrap()];
    padded.extend_from_slice(name);
    padded.resize(32, 0);
    let key = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &derive("list/name", key)).unwrap());
    let nonce: [u8; 12] = ticrypt_client::entropy::bytes().unwrap();
    key.seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::from(WrapContext::name(place).aad()), &mut padded).unwrap();
    [&nonce[..], &padded].concat()
}

fn tag(key: &ListKey, name: &[u8]) -> [u8; 32] {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &derive("list/tag", key)), name).as_ref().try_into().unwrap()
}
