//! Bytes by hand: CBOR with any fault in it, ECDSA with fixed nonces, and the people and nodes the vectors speak of.

use std::collections::BTreeMap;

use hpke::{Kem, Serializable, kem::MlKem1024P384};
use p256::elliptic_curve::ff::PrimeField;
use p256::elliptic_curve::sec1::ToSec1Point;
use p256::{FieldBytes, ProjectivePoint, Scalar};
use serde_json::{Value, json};
use ticrypt_crypto::{Digest, batch};

use super::public_run::Inputs;
use super::run::run;

/// A CBOR item, well formed or not.
#[derive(Clone, Debug)]
pub(super) enum C {
    U(u64),
    B(Vec<u8>),
    T(String),
    A(Vec<C>),
    Raw(Vec<u8>),
}

impl C {
    pub(super) fn t(text: &str) -> Self {
        Self::T(text.to_owned())
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        match self {
            Self::U(number) => head(0, *number),
            Self::B(bytes) => [head(2, bytes.len() as u64), bytes.clone()].concat(),
            Self::T(text) => [head(3, text.len() as u64), text.as_bytes().to_vec()].concat(),
            Self::A(items) => [head(4, items.len() as u64), items.iter().flat_map(Self::encode).collect()].concat(),
            Self::Raw(bytes) => bytes.clone(),
        }
    }
}

pub(super) fn head(major: u8, number: u64) -> Vec<u8> {
    let bytes = number.to_be_bytes();
    match number {
        0..24 => vec![major << 5 | bytes[7]],
        24..0x100 => vec![major << 5 | 24, bytes[7]],
        0x100..0x1_0000 => [&[major << 5 | 25], &bytes[6..]].concat(),
        0x1_0000..0x1_0000_0000 => [&[major << 5 | 26], &bytes[4..]].concat(),
        _ => [&[major << 5 | 27], &bytes[..]].concat(),
    }
}

/// A record with its version in front.
pub(super) fn rec(items: Vec<C>) -> Vec<C> {
    [vec![C::U(1)], items].concat()
}

/// The record with the element at `index` (the version is 0) replaced.
pub(super) fn with(record: &[C], index: usize, item: C) -> Vec<C> {
    let mut record = record.to_vec();
    record[index] = item;
    record
}

pub(super) fn bytes(record: &[C]) -> Vec<u8> {
    C::A(record.to_vec()).encode()
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

pub(super) fn hash(text: &str) -> C {
    C::B(Digest::of(text.as_bytes()).to_bytes().to_vec())
}

pub(super) fn none() -> C {
    C::B(vec![])
}

/// A UUIDv4 made of a name.
pub(super) fn id(name: &str) -> [u8; 16] {
    let mut id: [u8; 16] = Digest::of(name.as_bytes()).as_bytes()[..16].try_into().unwrap();
    (id[6], id[8]) = (id[6] & 0x0f | 0x40, id[8] & 0x3f | 0x80);
    id
}

pub(super) fn idc(name: &str) -> C {
    C::B(id(name).to_vec())
}

/// A key, or a nonce, made of a name.
pub(super) fn key(name: &str) -> [u8; 32] {
    Digest::of(format!("key {name}").as_bytes()).to_bytes()
}

fn scalar(bytes: &[u8]) -> Scalar {
    Scalar::from_repr(FieldBytes::try_from(bytes).unwrap()).unwrap()
}

fn point(scalar: Scalar) -> Vec<u8> {
    (ProjectivePoint::GENERATOR * scalar).to_affine().to_sec1_point(false).as_bytes().to_vec()
}

/// A signer whose nonce is a hash of key and message, so that it signs the same each time.
pub(super) struct Signer {
    pub(super) secret: [u8; 32],
    pub(super) public: Vec<u8>,
}

impl Signer {
    pub(super) fn new(name: &str) -> Self {
        let secret = key(&format!("signer {name}"));
        Self { secret, public: point(scalar(&secret)) }
    }

    pub(super) fn ecdsa(&self, message: &[u8]) -> Vec<u8> {
        let nonce = scalar(Digest::of_parts(&[b"nonce", &self.secret, message]).as_bytes());
        let r = scalar(&point(nonce)[1..33]);
        let s = nonce.invert().unwrap() * (scalar(Digest::of(message).as_bytes()) + r * scalar(&self.secret));
        [r.to_repr().to_vec(), s.to_repr().to_vec()].concat()
    }

    /// `"ticrypt/v1" 0 namespace 0 count root`.
    pub(super) fn message(namespace: &str, count: u32, root: &Digest) -> Vec<u8> {
        [b"ticrypt/v1\0", namespace.as_bytes(), b"\0", &count.to_be_bytes(), root.as_bytes()].concat()
    }

    /// An envelope of one record.
    pub(super) fn envelope(&self, namespace: &str, payload: &[u8]) -> Vec<u8> {
        bytes(&self.envelope_record(namespace, payload))
    }

    pub(super) fn envelope_record(&self, namespace: &str, payload: &[u8]) -> Vec<C> {
        let signature = self.ecdsa(&Self::message(namespace, 1, &batch::leaf(payload)));
        rec(vec![C::U(1), C::B(payload.to_vec()), C::U(0), C::U(1), C::A(vec![]), C::B(signature)])
    }

    /// The envelope of one record of a batch.
    pub(super) fn batch(&self, namespace: &str, payloads: &[Vec<u8>], index: usize) -> Vec<C> {
        let tree = batch::Tree::new(payloads.iter().map(|payload| batch::leaf(payload)).collect());
        let path = tree.path(index).unwrap().iter().map(|hash| C::B(hash.to_bytes().to_vec())).collect();
        let signature = self.ecdsa(&Self::message(namespace, payloads.len() as u32, &tree.root()));
        let (payload, count) = (payloads[index].clone(), payloads.len() as u64);
        rec(vec![C::U(1), C::B(payload), C::U(index as u64), C::U(count), C::A(path), C::B(signature)])
    }
}

/// A seed's public key.
pub(super) fn kem_public(name: &str) -> Vec<u8> {
    let private = <<MlKem1024P384 as Kem>::PrivateKey as hpke::Deserializable>::from_bytes(&key(name)).unwrap();
    MlKem1024P384::sk_to_pk(&private).to_bytes().to_vec()
}

/// The files being written.
#[derive(Default)]
pub(super) struct Files(BTreeMap<String, (String, Vec<Value>)>);

impl Files {
    pub(super) fn file<'a>(&'a mut self, name: &str, about: &str) -> File<'a> {
        File(&mut self.0.entry(format!("{name}.json")).or_insert((about.to_owned(), Vec::new())).1)
    }

    /// How many vectors are accepted and refused.
    pub(super) fn counts(&self) -> (usize, usize) {
        let all = || self.0.values().flat_map(|(_, vectors)| vectors);
        let accepted = all().filter(|vector| vector["accept"] == true).count();
        (accepted, all().count() - accepted)
    }

    pub(super) fn texts(self) -> impl Iterator<Item = (String, String)> {
        self.0.into_iter().map(|(name, (about, vectors))| {
            let mut all = json!({ "about": about, "vectors": vectors });
            // Whether a map keeps the order of its making depends on who else is built.
            all.sort_all_objects();
            (name, format!("{}\n", serde_json::to_string_pretty(&all).unwrap()))
        })
    }
}

/// One file; each vector is run as it is written, so that none says what is not so.
pub(super) struct File<'a>(&'a mut Vec<Value>);

impl File<'_> {
    pub(super) fn good(&mut self, kind: &str, name: &str, rule: &str, inputs: Value) {
        self.add(kind, name, rule, inputs, true);
    }

    pub(super) fn bad(&mut self, kind: &str, name: &str, rule: &str, inputs: Value) {
        self.add(kind, name, rule, inputs, false);
    }

    fn add(&mut self, kind: &str, name: &str, rule: &str, mut inputs: Value, accept: bool) {
        let result = run(kind, &Inputs(&inputs));
        assert_eq!(result.is_ok(), accept, "{name}: {result:?}");
        let fields = inputs.as_object_mut().unwrap();
        for (field, value) in [("kind", kind), ("name", name), ("rule", rule)] {
            assert!(fields.insert(field.to_owned(), json!(value)).is_none(), "{name} uses the field {field}");
        }
        fields.insert("accept".to_owned(), json!(accept));
        if let Err(why) = result {
            fields.insert("refused_with".to_owned(), json!(why));
        }
        self.0.push(inputs);
    }
}
