//! Vectors of chunks and of sealed grants.

use serde_json::{Value, json};

use super::make::{C, Files, Signer, bytes, hex, id, kem_public, key, rec, with};
use super::records::grant;
use crate::derive::derive;
use crate::random::tests::Seeded;
use hpke::{Deserializable, Kem, OpModeS, Serializable, aead::AesGcm256, kdf::HkdfSha384, kem::MlKem1024P384};
use ticrypt_crypto::Digest;

pub(super) fn write(files: &mut Files) {
    forms(files);
    chunks(files);
    grants(files);
}

/// A stored chunk, sealed with any header, additional data, key and commitment.
struct Chunk {
    header: [u8; 4],
    file: [u8; 16],
    version: [u8; 16],
    number: u64,
    last: u8,
    plain: &'static [u8],
}

impl Chunk {
    fn aad(&self) -> Vec<u8> {
        [&self.header[..], &self.file, &self.version, &self.number.to_be_bytes(), &[self.last]].concat()
    }

    fn stored(&self, key: &[u8; 32], aad: &[u8], commitment: &[u8]) -> Vec<u8> {
        let sealed = super::wraps::seal("", key, aad, self.plain);
        [&self.header[..], &sealed[..12], commitment, &sealed[12..]].concat()
    }

    fn good(&self) -> Vec<u8> {
        self.stored(&chunk_key(), &self.aad(), &commitment())
    }
}

fn chunk_key() -> [u8; 32] {
    *derive("content/chunk", &key("content")).unwrap()
}

fn commitment() -> [u8; 32] {
    *derive("content/commitment", &key("content")).unwrap()
}

const PLAIN: &[u8] = b"the last chunk of a file";

fn chunk() -> Chunk {
    Chunk { header: [1, 1, 0, 1], file: id("file"), version: id("version"), number: 2, last: 1, plain: PLAIN }
}

fn forms(files: &mut Files) {
    let mut file = files.file("chunk-forms", "What a server can check of a chunk without a key (docs/formats.md §8).");
    let good = Chunk { number: 0, ..chunk() }.good();
    let input = |bytes: &[u8], number: u64, size: u64| json!({ "bytes": hex(bytes), "number": number, "size": size });
    let size = PLAIN.len() as u64;
    file.good("chunk-form", "the only chunk of a file", "§8 chunk", input(&good, 0, size));
    let empty = Chunk { number: 0, plain: b"", ..chunk() }.good();
    file.good("chunk-form", "the chunk of an empty file", "§8 an empty file is one empty last chunk", input(&empty, 0, 0));
    let mut bad = |name: &str, rule: &str, bytes: &[u8], number: u64, size: u64| {
        file.bad("chunk-form", name, rule, input(bytes, number, size));
    };
    let header = |header: [u8; 4]| [&header[..], &good[4..]].concat();
    bad("a chunk of 63 bytes", "§8 plaintext + 64 bytes", &good[..63], 0, 0);
    bad("no chunk at all", "§8 plaintext + 64 bytes", &[], 0, 0);
    bad("a chunk of format 0", "§8 header", &header([0, 1, 0, 1]), 0, size);
    bad("a chunk of format 2", "§8 header", &header([2, 1, 0, 1]), 0, size);
    bad("a chunk of suite 2", "§8 header", &header([1, 2, 0, 1]), 0, size);
    bad("a chunk whose third byte is used", "§8 0x00", &header([1, 1, 1, 1]), 0, size);
    bad("a chunk with an unused flag", "§8 flags: others zero", &header([1, 1, 0, 3]), 0, size);
    bad("the last chunk without its flag", "§8 bit 0 = last", &header([1, 1, 0, 0]), 0, size);
    bad("a last chunk one byte short of its size", "§8 length", &good, 0, size + 1);
    bad("a last chunk one byte longer than its size", "§8 length", &good, 0, size - 1);
    bad("a short chunk where a full one belongs", "§8 chunks hold 8 388 608 bytes", &good, 0, 8_388_608 + size);
    bad("a chunk beyond the last", "§8 count", &good, 1, size);
    bad("a chunk of a file larger than any", "§8 count", &good, 0, u64::MAX);
}

fn chunks(files: &mut Files) {
    let mut file = files.file("chunks", "Sealed chunks (docs/formats.md §8). The content key is the test's.");
    let input = |stored: &[u8], number: u64, last: bool| -> Value {
        json!({
            "key": hex(&key("content")), "file": hex(&id("file")), "version": hex(&id("version")),
            "number": number, "last": last, "plain": hex(PLAIN), "stored": hex(stored),
        })
    };
    let good = chunk().good();
    file.good("chunk", "the last chunk of three", "§8 chunk", input(&good, 2, true));
    let mut bad = |name: &str, rule: &str, stored: &[u8]| file.bad("chunk", name, rule, input(stored, 2, true));
    bad("a chunk of another file", "§8 aad: file id", &Chunk { file: id("elsewhere"), ..chunk() }.good());
    bad("a chunk of another version", "§8 aad: version id", &Chunk { version: id("attempt"), ..chunk() }.good());
    bad("a chunk with another number", "§8 aad: number", &Chunk { number: 1, ..chunk() }.good());
    bad("a chunk whose number is little-endian", "§0 big-endian", &Chunk { number: 2 << 56, ..chunk() }.good());
    bad("a chunk sealed as not the last", "§8 aad: last", &Chunk { last: 0, ..chunk() }.good());
    bad("a chunk whose flag was added later", "§8 aad: header", &{
        let mut stored = Chunk { header: [1, 1, 0, 0], last: 0, ..chunk() }.good();
        stored[3] = 1;
        stored
    });
    bad("a chunk whose header is not bound", "§8 aad: header", &chunk().stored(&chunk_key(), &chunk().aad()[4..], &commitment()));
    bad("a chunk without additional data", "§8 aad", &chunk().stored(&chunk_key(), &[], &commitment()));
    bad(
        "a chunk under the content key itself",
        "§8 key = D(content/chunk, C)",
        &chunk().stored(&key("content"), &chunk().aad(), &commitment()),
    );
    bad(
        "a chunk of another key under this one's commitment",
        "§8 commitment",
        &chunk().stored(&key("other"), &chunk().aad(), &commitment()),
    );
    bad(
        "a chunk of another key",
        "§8 the commitment is compared first",
        &chunk().stored(&key("other"), &chunk().aad(), &key("other commitment")),
    );
    bad(
        "a good chunk with another commitment",
        "§8 the commitment is compared first",
        &chunk().stored(&chunk_key(), &chunk().aad(), &key("other commitment")),
    );
    bad("a chunk that lost its first byte of text", "§11 truncates", &[&good[..48], &good[49..]].concat());
    bad(
        "a chunk with its tag moved to the front",
        "§8 tag (16)",
        &[&good[..48], &good[good.len() - 16..], &good[48..good.len() - 16]].concat(),
    );
    bad("a chunk of all zeros", "§8 header", &[0; 88]);
    bad("an empty chunk behind a full one", "§8 count = max(1, ceil(size / 8 388 608))", &Chunk { plain: b"", ..chunk() }.good());
    file.bad("chunk", "a last chunk where more follow", "§8 bit 0 = last", input(&good, 2, false));
    let open = Chunk { header: [1, 1, 0, 0], last: 0, ..chunk() }.good();
    file.bad("chunk", "a chunk that is neither full nor last", "§8 chunks hold 8 388 608 bytes", input(&open, 2, false));
}

/// HPKE in base mode to a test seed.
pub(super) fn hpke_seal(recipient: &str, info: &[u8], aad: &[u8], plain: &[u8]) -> Vec<u8> {
    let public = <MlKem1024P384 as Kem>::PublicKey::from_bytes(&kem_public(recipient)).unwrap();
    let random = Seeded::new(&hex(&[info, plain].concat()));
    let (enc, sealed) = hpke::single_shot_seal_with_rng::<AesGcm256, HkdfSha384, MlKem1024P384>(
        &OpModeS::Base,
        &public,
        info,
        plain,
        aad,
        &mut crate::random::Lent::new(&random),
    )
    .unwrap();
    [enc.to_bytes().as_slice(), &sealed].concat()
}

fn grants(files: &mut Files) {
    let mut file = files.file("sealed-grants", "Keys sealed in grants (docs/formats.md §6). The seed is the test's.");
    let owner = Signer::new("owner");
    let info = |payload: &[u8]| Digest::of_parts(&[b"ticrypt/v1/grant\0", payload]).to_bytes();
    let keys = |list: &[u8], tree: &[u8]| bytes(&rec(vec![C::B(list.to_vec()), C::B(tree.to_vec())]));
    let both = keys(&key("list"), &key("tree"));
    let input = |record: &[C], sealed: &[u8], tree: bool| {
        json!({
            "deployment": hex(&id("deployment")), "user": hex(&id("m.ery")), "generation": 2, "seed": hex(&key("recipient")),
            "envelope": hex(&owner.envelope("grant", &bytes(record))), "key": hex(&owner.public), "sealed": hex(sealed),
            "list": hex(&key("list")), "tree": if tree { hex(&key("tree")) } else { String::new() },
        })
    };
    let view = grant("owner", "m.ery", 1, 0);
    let seal = |record: &[C], plain: &[u8]| hpke_seal("recipient", &info(&bytes(record)), &[], plain);
    let sealed = seal(&view, &both);
    file.good("grant-open", "a grant to view", "§6 sealed", input(&view, &sealed, true));
    let names = grant("owner", "m.ery", 0, 0);
    file.good(
        "grant-open",
        "a grant without view",
        "§6 without view the tree key is empty",
        input(&names, &seal(&names, &keys(&key("list"), &[])), false),
    );
    let mut bad = |name: &str, rule: &str, record: &[C], sealed: &[u8]| {
        file.bad("grant-open", name, rule, input(record, sealed, true));
    };
    bad("a tree key in a grant without view", "§6 without view the tree key is empty", &names, &seal(&names, &both));
    bad("a grant to view without a tree key", "§6 tree key", &view, &seal(&view, &keys(&key("list"), &[])));
    bad("a list key other than the one named", "§5 key commitments", &view, &seal(&view, &keys(&key("other"), &key("tree"))));
    bad("a tree key other than the one named", "§5 key commitments", &view, &seal(&view, &keys(&key("list"), &key("other"))));
    bad("list and tree key exchanged", "§5 key commitments", &view, &seal(&view, &keys(&key("tree"), &key("list"))));
    bad("keys sealed under other terms", "§6 info", &with(&view, 17, C::U(1)), &sealed);
    bad("keys sealed with the payload as info", "§6 info", &view, &hpke_seal("recipient", &bytes(&view), &[], &both));
    bad("keys sealed without info", "§6 info", &view, &hpke_seal("recipient", &[], &[], &both));
    bad(
        "keys sealed with additional data",
        "§6 HPKE additional data is empty",
        &view,
        &hpke_seal("recipient", &info(&bytes(&view)), b"x", &both),
    );
    bad("keys sealed to another seed", "§6 recipient generation", &view, &hpke_seal("other", &info(&bytes(&view)), &[], &both));
    bad("a grant to a generation not held", "§6 recipient generation", &with(&view, 15, C::U(3)), &sealed);
    let other = with(&view, 13, C::B(id("x.eno").to_vec()));
    bad("a grant to somebody else", "§6 recipient id", &other, &seal(&other, &both));
    let group = with(&view, 12, C::U(1));
    bad("a grant to a group, opened by a person", "§6 recipient kind", &group, &seal(&group, &both));
    let elsewhere = with(&view, 1, C::B(id("elsewhere").to_vec()));
    bad("a grant of another deployment", "§6 deployment id", &elsewhere, &seal(&elsewhere, &both));
    bad("an encapsulated key alone", "§6 sealed", &view, &sealed[..1665]);
    bad("sealed keys cut off", "§6 sealed", &view, &sealed[..sealed.len() - 1]);
    bad("an encapsulated key whose point is off its curve", "§0 KEM 0x0051", &view, &{
        let mut sealed = sealed.clone();
        sealed[1664] ^= 1;
        sealed
    });
    bad("an encapsulated key whose point is compressed", "§0 KEM 0x0051", &view, &{
        let mut sealed = sealed.clone();
        sealed[1568] = 2;
        sealed
    });
    bad("an ML-KEM ciphertext of another grant", "§0 KEM 0x0051", &view, &[&seal(&names, &both)[..1568], &sealed[1568..]].concat());
    // The record inside has the right length and the wrong form.
    let long_length = [&[0x83, 1, 0x59, 0, 32][..], &key("list"), &[0x58, 31], &key("tree")[..31]].concat();
    bad("sealed keys in a longer encoding than they need", "§0 core deterministic encoding", &view, &seal(&view, &long_length));
    let version_2 = [&[0x83, 2][..], &both[2..]].concat();
    bad("sealed keys of version 2", "§0 version 1", &view, &seal(&view, &version_2));
    let mut forged = input(&view, &sealed, true);
    forged["key"] = json!(hex(&Signer::new("server").public));
    file.bad("grant-open", "a grant the server signed", "§6 a chain that ends at the owner", forged);
}
