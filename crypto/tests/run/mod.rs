//! Runs vectors whose kinds need no secret. `ticrypt-keyring` runs the same code on the way to its own kinds.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, dead_code)]

use std::error::Error;

use data_encoding::HEXLOWER;
use serde_json::Value;
use ticrypt_crypto::bundle::{Bundle, BundlePayload, Fingerprint};
use ticrypt_crypto::chunk::StoredChunk;
use ticrypt_crypto::compartment::CompartmentHeadPayload;
use ticrypt_crypto::directory::HeadPayload;
use ticrypt_crypto::entry::{Entry, entries_root};
use ticrypt_crypto::grant::{GrantPayload, Revocation};
use ticrypt_crypto::group::{GroupHeadPayload, GroupSealTerms};
use ticrypt_crypto::keyfile::{KeyFileHeader, KeyFileText};
use ticrypt_crypto::login::{LoginPayload, SessionBinding};
use ticrypt_crypto::manifest::ManifestPayload;
use ticrypt_crypto::project::{ProjectHeadPayload, RosterEntry};
use ticrypt_crypto::record::Record;
use ticrypt_crypto::signature::{Namespace, Payload};
use ticrypt_crypto::statement::StatementPayload;
use ticrypt_crypto::working_set::WorkingSetPayload;
use ticrypt_crypto::{Digest, Envelope, PublicKey, Signed, batch};
use ticrypt_types::{GroupId, NodeId};

/// What a vector says, with accessors that fail loudly: a vector that cannot be read is a broken vector.
pub(crate) struct Inputs<'a>(pub(crate) &'a Value);

impl Inputs<'_> {
    pub(crate) fn has(&self, name: &str) -> bool {
        self.0.get(name).is_some()
    }

    pub(crate) fn text(&self, name: &str) -> &str {
        self.0[name].as_str().unwrap_or_else(|| panic!("no text `{name}` in {}", self.0))
    }

    pub(crate) fn number(&self, name: &str) -> u64 {
        self.0[name].as_u64().unwrap_or_else(|| panic!("no number `{name}` in {}", self.0))
    }

    pub(crate) fn flag(&self, name: &str) -> bool {
        self.0[name].as_bool().unwrap_or_else(|| panic!("no flag `{name}` in {}", self.0))
    }

    pub(crate) fn bytes(&self, name: &str) -> Vec<u8> {
        HEXLOWER.decode(self.text(name).as_bytes()).unwrap()
    }

    pub(crate) fn list(&self, name: &str) -> Vec<Vec<u8>> {
        let list = self.0[name].as_array().unwrap_or_else(|| panic!("no list `{name}`"));
        list.iter().map(|item| HEXLOWER.decode(item.as_str().unwrap().as_bytes()).unwrap()).collect()
    }

    pub(crate) fn array<const N: usize>(&self, name: &str) -> [u8; N] {
        self.bytes(name).try_into().unwrap()
    }

    /// A record whose signature is part of the vector.
    pub(crate) fn signed<T: Payload>(&self, envelope: &str, key: &str) -> Result<Signed<T>, String> {
        let key = PublicKey::from_bytes(&self.bytes(key)).map_err(chain)?;
        Envelope::parse(&self.bytes(envelope)).and_then(|envelope| envelope.verify_as(&key)).map_err(chain)
    }
}

/// An error with its causes, in one line.
pub(crate) fn chain(error: impl Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

pub(crate) fn equal(found: &[u8], expected: &[u8]) -> Result<(), String> {
    if found == expected { Ok(()) } else { Err("another value".to_owned()) }
}

/// Runs one vector; `None` for a kind that needs a secret.
pub(crate) fn run(kind: &str, v: &Inputs<'_>) -> Option<Result<(), String>> {
    Some(match kind {
        "record" => record(v),
        "public-key" => PublicKey::from_bytes(&v.bytes("bytes")).map(|_| ()).map_err(chain),
        "envelope" => envelope(v),
        "bundle" => bundle(v),
        "fingerprint" => match v.text("text").parse::<Fingerprint>() {
            Ok(fingerprint) => equal(fingerprint.0.as_bytes(), &v.bytes("hash"))
                .and_then(|()| equal(fingerprint.to_string().as_bytes(), v.text("text").as_bytes())),
            Err(error) => Err(chain(error)),
        },
        "merkle-root" => {
            let leaves: Vec<_> = v.list("leaves").iter().map(|leaf| Digest::from_slice(leaf).unwrap()).collect();
            equal(batch::root(&leaves).as_bytes(), &v.bytes("root"))
        }
        "entries-root" => {
            let ids = v.list("ids").into_iter().map(|id| NodeId::try_from(&id[..]).unwrap());
            let leaves = v.list("leaves").into_iter().map(|leaf| Digest::from_slice(&leaf).unwrap());
            entries_root(ids.zip(leaves)).map_err(chain).and_then(|root| equal(root.as_bytes(), &v.bytes("root")))
        }
        "grant-terms" => grant_terms(v),
        "grant-reseal" => grant_reseal(v),
        "group-grant" => group_grant(v),
        "listing" => listing(v),
        "head-successor" => v.signed::<HeadPayload>("envelope", "key").and_then(|new| {
            let old = v.signed::<HeadPayload>("previous", "key")?;
            new.verify_successor(&old).map_err(chain)
        }),
        "group-successor" => v.signed::<GroupHeadPayload>("envelope", "key").and_then(|new| {
            let old = v.signed::<GroupHeadPayload>("previous", "key")?;
            new.verify_successor(&old).map_err(chain)
        }),
        "compartment-successor" => v.signed::<CompartmentHeadPayload>("envelope", "key").and_then(|new| {
            let old = v.signed::<CompartmentHeadPayload>("previous", "key")?;
            new.verify_successor(&old).map_err(chain)
        }),
        "project-successor" => v.signed::<ProjectHeadPayload>("envelope", "key").and_then(|new| {
            let old = v.signed::<ProjectHeadPayload>("previous", "key")?;
            new.verify_successor(&old).map_err(chain)
        }),
        "roster-proof" => {
            let beside: Vec<_> = v.list("beside").iter().map(|hash| Digest::from_slice(hash).unwrap()).collect();
            let head = ProjectHeadPayload::parse(&v.bytes("head")).map_err(chain);
            head.and_then(|head| {
                let entry = RosterEntry::parse(&v.bytes("entry")).map_err(chain)?;
                head.verify_entry(&entry, &beside).map_err(chain)
            })
        }
        "manifest-successor" => v.signed::<ManifestPayload>("envelope", "key").and_then(|new| {
            let old = v.signed::<ManifestPayload>("previous", "key")?;
            new.verify_successor(&old).map_err(chain)
        }),
        "manifest-chunks" => ManifestPayload::parse(&v.bytes("manifest")).map_err(chain).and_then(|manifest| {
            let hashes: Vec<_> = v.list("hashes").iter().map(|hash| Digest::from_slice(hash).unwrap()).collect();
            manifest.verify_chunks(&hashes).map_err(chain)
        }),
        "chunk-form" => {
            StoredChunk::parse(&v.bytes("bytes")).and_then(|chunk| chunk.check(v.number("number"), v.number("size"))).map_err(chain)
        }
        "key-file-text" => KeyFileText::parse(v.text("text")).map(|_| ()).map_err(chain),
        _ => return None,
    })
}

fn record(v: &Inputs<'_>) -> Result<(), String> {
    fn parse<T: Record>(bytes: &[u8]) -> Result<(), String> {
        let record = T::parse(bytes).map_err(chain)?;
        equal(&record.to_bytes(), bytes)
    }
    let bytes = &v.bytes("bytes")[..];
    match v.text("type") {
        "bundle" => parse::<BundlePayload>(bytes),
        "statement" => parse::<StatementPayload>(bytes),
        "login" => parse::<LoginPayload>(bytes),
        "session-binding" => parse::<SessionBinding>(bytes),
        "working-set" => parse::<WorkingSetPayload>(bytes),
        "grant" => parse::<GrantPayload>(bytes),
        "revocation" => parse::<Revocation>(bytes),
        "entry" => parse::<Entry>(bytes),
        "directory" => parse::<HeadPayload>(bytes),
        "manifest" => parse::<ManifestPayload>(bytes),
        "group-head" => parse::<GroupHeadPayload>(bytes),
        "compartment-head" => parse::<CompartmentHeadPayload>(bytes),
        "project-head" => parse::<ProjectHeadPayload>(bytes),
        "roster-entry" => parse::<RosterEntry>(bytes),
        "group-seal" => parse::<GroupSealTerms>(bytes),
        "key-file-header" => parse::<KeyFileHeader>(bytes),
        other => panic!("no record type {other}"),
    }
}

fn envelope(v: &Inputs<'_>) -> Result<(), String> {
    let namespace = Namespace::ALL.into_iter().find(|n| n.word() == v.text("namespace")).unwrap();
    let key = PublicKey::from_bytes(&v.bytes("key")).unwrap();
    let bytes = v.bytes("bytes");
    let envelope = Envelope::parse(&bytes).map_err(chain)?;
    let verified = envelope.verify(namespace, &key).map_err(chain)?;
    equal(verified.payload(), &v.bytes("payload"))
}

fn bundle(v: &Inputs<'_>) -> Result<(), String> {
    let bundle = Bundle::parse_and_verify(&v.bytes("bytes")).map_err(chain)?;
    if v.has("previous") {
        let previous = Bundle::parse_and_verify(&v.bytes("previous")).map_err(chain)?;
        bundle.verify_successor(&previous).map_err(chain)?;
    }
    Ok(())
}

fn grant_terms(v: &Inputs<'_>) -> Result<(), String> {
    let grant = v.signed::<GrantPayload>("envelope", "key")?;
    let authority = v.signed::<GrantPayload>("authority", "authority_key")?;
    grant.verify_terms_within(&authority).map_err(chain)
}

fn grant_reseal(v: &Inputs<'_>) -> Result<(), String> {
    let grant = v.signed::<GrantPayload>("envelope", "key")?;
    let predecessor = v.signed::<GrantPayload>("predecessor", "predecessor_key")?;
    let authority = if v.has("authority") { Some(v.signed::<GrantPayload>("authority", "authority_key")?) } else { None };
    grant.verify_reseal_by(&predecessor, authority.as_ref()).map_err(chain)
}

fn group_grant(v: &Inputs<'_>) -> Result<(), String> {
    let grant = v.signed::<GrantPayload>("envelope", "key")?;
    let group = GroupId::try_from(&v.bytes("group")[..]).unwrap();
    let head = Digest::from_slice(&v.bytes("head")).unwrap();
    grant.verify_of_group(group, v.number("generation") as u32, &head).map_err(chain)
}

fn listing(v: &Inputs<'_>) -> Result<(), String> {
    let head = HeadPayload::parse(&v.bytes("head")).map_err(chain)?;
    let entries: Vec<_> = v.list("entries").iter().map(|entry| Entry::parse(entry)).collect::<Result<_, _>>().map_err(chain)?;
    head.verify_entries(&entries).map_err(chain)
}
