//! Vectors of names, derived keys and wraps.

use serde_json::{Value, json};

use super::make::{C, Files, bytes, hash, hex, id, key, rec, with};
use crate::aead::AeadKey;
use crate::derive::derive;
use crate::random::tests::Seeded;

/// Seals as the writer of a wrap would, with any additional data and any label.
pub(super) fn seal(label: &str, key: &[u8; 32], aad: &[u8], plain: &[u8]) -> Vec<u8> {
    let key = if label.is_empty() { *key } else { *derive(label, key).unwrap() };
    AeadKey::new(&key).unwrap().seal(&Seeded::new(&hex(aad)), aad, plain).unwrap()
}

pub(super) fn write(files: &mut Files) {
    names(files);
    keys(files);
    wraps(files);
    props(files);
}

fn padded(length: u8, text: &[u8], total: usize) -> Vec<u8> {
    let mut bytes = [&[length], text].concat();
    bytes.resize(total, 0);
    bytes
}

fn names(files: &mut Files) {
    let mut file = files.file("names", "Padded names (docs/formats.md §5).");
    let input = |bytes: &[u8]| json!({ "padded": hex(bytes) });
    for (name, text, total) in [
        ("a name of one byte", "a".to_owned(), 32),
        ("a name of 31 bytes", "x".repeat(31), 32),
        ("a name of 32 bytes", "x".repeat(32), 64),
        ("a name of 255 bytes", "x".repeat(255), 256),
        ("a name of three dots", "...".to_owned(), 32),
        ("a name with control and bidirectional characters", "a\u{202e}b\u{7}\n".to_owned(), 32),
        ("a name in normal form c", "\u{e9}\u{1f9ec}".to_owned(), 32),
    ] {
        file.good("padded-name", name, "§5 name", input(&padded(text.len() as u8, text.as_bytes(), total)));
    }
    let mut bad = |name: &str, rule: &str, bytes: &[u8]| file.bad("padded-name", name, rule, input(bytes));
    bad("no padded name at all", "§5 32, 64, 128 or 256 bytes", &[]);
    bad("a name padded to 33 bytes", "§5 32, 64, 128 or 256 bytes", &padded(1, b"a", 33));
    bad("a name padded to 16 bytes", "§5 32, 64, 128 or 256 bytes", &padded(1, b"a", 16));
    bad("a short name padded to 64 bytes", "§5 the smallest that fits", &padded(1, b"a", 64));
    bad("a name said to be longer than its padding", "§5 length", &padded(32, b"a", 32));
    bad("a name with something in its padding", "§5 zeros", &padded(1, b"a\0\0b", 32));
    bad("a name said to be shorter than it is", "§5 zeros", &padded(1, b"ab", 32));
    bad("an empty name", "§5 1 to 255 bytes", &padded(0, b"", 32));
    bad("the name `.`", "§5 never . or ..", &padded(1, b".", 32));
    bad("the name `..`", "§5 never . or ..", &padded(2, b"..", 32));
    bad("a name that is a path", "§5 no /", &padded(8, b"../../up", 32));
    bad("a name with a zero character", "§5 no NUL", &padded(3, b"a\0b", 32));
    bad("a name not in normal form c", "§5 NFC", &padded(3, "e\u{301}".as_bytes(), 32));
    bad("a name with a singleton that NFC replaces", "§5 NFC", &padded(3, "\u{212b}".as_bytes(), 32));
    bad("a name with marks in another order", "§5 NFC", &padded(5, "a\u{301}\u{316}".as_bytes(), 32));
    bad("a slash in an overlong form", "§5 UTF-8", &padded(2, &[0xc0, 0xaf], 32));
    bad("half of a surrogate pair", "§5 UTF-8", &padded(3, &[0xed, 0xa0, 0x80], 32));
    bad("a name cut off inside a character", "§5 UTF-8", &padded(2, &[0x61, 0xc3], 32));
    bad("a character beyond unicode", "§5 UTF-8", &padded(4, &[0xf4, 0x90, 0x80, 0x80], 32));
}

fn keys(files: &mut Files) {
    let mut file = files.file("keys", "Derived keys, tags and commitments (docs/formats.md §0 and §5).");
    for label in [
        "list/name",
        "list/tag",
        "list/wrap",
        "list/props",
        "tree/wrap",
        "tree/content",
        "content/chunk",
        "content/commitment",
        "content/props",
        "keyfile/seeds",
    ] {
        let out = hex(&*derive(label, &key("derive")).unwrap());
        let input = json!({ "label": label, "key": hex(&key("derive")), "out": out });
        file.good("derive", &format!("the key derived for {label}"), "§0 D(label, key)", input);
    }
    let other = hex(&*derive("list/wrap", &key("derive")).unwrap());
    let input = json!({ "label": "tree/wrap", "key": hex(&key("derive")), "out": other });
    file.bad("derive", "one label's key for another's", "§0 D(label, key)", input);
    let list = crate::ListKey::from_bytes(&key("list")).unwrap();
    let tree = crate::TreeKey::from_bytes(&key("tree")).unwrap();
    let input = |list_commitment, tree_commitment| {
        json!({
            "list": hex(&key("list")), "tree": hex(&key("tree")),
            "list_commitment": list_commitment, "tree_commitment": tree_commitment,
        })
    };
    file.good("commitments", "key commitments", "§5 key commitments", input(list.commitment(), tree.commitment()));
    file.bad("commitments", "key commitments exchanged", "§5 key commitments", input(tree.commitment(), list.commitment()));
    let name = ticrypt_types::NodeName::parse("notes.txt").unwrap();
    let tag = |name: &str, tag: &[u8]| json!({ "key": hex(&key("list")), "node_name": name, "tag": hex(tag) });
    file.good("name-tag", "a name tag", "§5 name tag", tag("notes.txt", &list.name_tag(&name)));
    file.bad("name-tag", "a name tag in other letters", "§5 case-sensitive", tag("Notes.txt", &list.name_tag(&name)));
    let seed = crate::identity::KemSeed::from_bytes(&key("seed")).unwrap();
    let public = ticrypt_crypto::Digest::of(&seed.public_key().as_bytes()[..]);
    let input = json!({ "seed": hex(&key("seed")), "public_key_sha256": public });
    file.good("kem-seed", "the public key of a seed", "§2 the encapsulation key of the suite's KEM", input);
}

/// One wrap: where it was made, and what it holds.
struct Wrap {
    purpose: &'static str,
    label: &'static str,
    parent: [u8; 16],
    child: [u8; 16],
    kind: u64,
    parent_epoch: u64,
    child_epoch: u64,
    plain: Vec<u8>,
}

impl Wrap {
    fn context(&self) -> Vec<C> {
        // Names and properties do not depend on the child's epoch, manifest properties not on the file's.
        let child_epoch = if matches!(self.purpose, "name" | "entry-props" | "content") { 0 } else { self.child_epoch };
        let parent_epoch = if self.purpose == "manifest-props" { 0 } else { self.parent_epoch };
        rec(vec![
            C::U(1),
            C::t(self.purpose),
            C::B(id("deployment").to_vec()),
            C::B(self.parent.to_vec()),
            C::B(self.child.to_vec()),
            C::U(self.kind),
            C::U(parent_epoch),
            C::U(child_epoch),
        ])
    }

    fn input(&self, sealed: &[u8]) -> Value {
        json!({
            "purpose": self.purpose, "key": hex(&key("wrapping")), "deployment": hex(&id("deployment")),
            "parent": hex(&self.parent), "child": hex(&self.child), "node_kind": self.kind,
            "parent_epoch": self.parent_epoch, "child_epoch": self.child_epoch,
            "plain": hex(&self.plain), "sealed": hex(sealed),
        })
    }

    fn sealed(&self, context: &[C]) -> Vec<u8> {
        seal(self.label, &key("wrapping"), &bytes(context), &self.plain)
    }
}

fn all() -> Vec<Wrap> {
    let props = bytes(&rec(vec![C::B(padded(1, b"a", 32)), C::U(1), C::U(2), C::U(0o755)]));
    let version = bytes(&rec(vec![C::U(0), C::U(2), C::U(0o644), hash("content")]));
    let wrap = |purpose, label, plain| {
        let (parent, child) = (id("parent"), id("child"));
        Wrap { purpose, label, parent, child, kind: 0, parent_epoch: 3, child_epoch: 5, plain }
    };
    let wrapped = || key("wrapped").to_vec();
    vec![
        wrap("name", "list/name", padded(1, b"a", 32)),
        wrap("list", "list/wrap", wrapped()),
        wrap("tree", "tree/wrap", wrapped()),
        Wrap { child: id("parent"), ..wrap("entry-props", "list/props", props) },
        Wrap { kind: 2, ..wrap("content", "tree/content", wrapped()) },
        Wrap { kind: 2, ..wrap("manifest-props-key", "list/props", wrapped()) },
        Wrap { kind: 2, ..wrap("manifest-props", "content/props", version) },
    ]
}

fn wraps(files: &mut Files) {
    let mut file = files.file("wraps", "Wraps open where they were made and nowhere else (docs/formats.md §5).");
    let all = all();
    for wrap in &all {
        let (context, purpose) = (wrap.context(), wrap.purpose);
        file.good("wrap", &format!("a wrap for {purpose}"), "§5 wrap", wrap.input(&wrap.sealed(&context)));
        let mut moved = |what: &str, index: usize, item: C| {
            let name = format!("a wrap for {purpose} of {what}");
            file.bad("wrap", &name, "§5 aad", wrap.input(&wrap.sealed(&with(&context, index, item))));
        };
        moved("another deployment", 3, C::B(id("elsewhere").to_vec()));
        moved("another parent", 4, C::B(id("elsewhere").to_vec()));
        moved("another child", 5, C::B(id("elsewhere").to_vec()));
        moved("another kind", 6, C::U(1));
        moved("another epoch of the parent", 7, C::U(9));
        moved("another epoch or sequence of the child", 8, C::U(9));
    }
    let [_, list, tree, _, content, ..] = &all[..] else { unreachable!() };
    let context = list.context();
    let mut bad = |name: &str, rule: &str, wrap: &Wrap, sealed: &[u8]| file.bad("wrap", name, rule, wrap.input(sealed));
    let relabelled = seal("list/wrap", &key("wrapping"), &bytes(&with(&context, 2, C::t("tree"))), &list.plain);
    bad("a wrap for tree among the list wraps", "§5 purpose", list, &relabelled);
    bad(
        "a tree wrap under the list's derived key",
        "§5 tree/wrap",
        tree,
        &seal("list/wrap", &key("wrapping"), &bytes(&tree.context()), &tree.plain),
    );
    bad("a wrap under the key itself", "§5 derived key", list, &seal("", &key("wrapping"), &bytes(&context), &list.plain));
    bad("a wrap without additional data", "§5 aad", list, &seal("list/wrap", &key("wrapping"), &[], &list.plain));
    bad("a wrap of another suite", "§5 aad: suite", list, &list.sealed(&with(&context, 1, C::U(2))));
    bad("a wrap of 31 bytes of key", "§5 a wrap has 60 bytes", list, &seal("list/wrap", &key("wrapping"), &bytes(&context), &[7; 31]));
    bad("a wrap that is empty", "§5 a wrap has 60 bytes", content, &[]);
    bad("a wrap without its nonce", "§0 AEAD", list, &list.sealed(&context)[12..]);
    let sealed = list.sealed(&context);
    bad("a wrap with its tag in front", "§0 AEAD", list, &[&sealed[..12], &sealed[44..], &sealed[12..44]].concat());
    bad("a wrap with a tag cut to 12 bytes", "§0 tag (16)", list, &sealed[..56]);
}

fn props(files: &mut Files) {
    let mut file = files.file("properties", "What is inside encrypted properties (docs/formats.md §5 and §8).");
    let all = all();
    let [_, _, _, entry, _, _, manifest] = &all[..] else { unreachable!() };
    let base = |wrap: &Wrap| {
        let name = || C::B(padded(1, b"a", 32));
        if wrap.purpose == "entry-props" {
            rec(vec![name(), C::U(1), C::U(2), C::U(0o755)])
        } else {
            rec(vec![C::U(0), C::U(2), C::U(0o644), hash("content")])
        }
    };
    let mut bad = |name: &str, rule: &str, wrap: &Wrap, plain: Vec<u8>| {
        let sealed = seal(wrap.label, &key("wrapping"), &bytes(&wrap.context()), &plain);
        file.bad("wrap", name, rule, wrap.input(&sealed));
    };
    let (e, m) = (base(entry), base(manifest));
    bad("entry properties with a set-user-id bit", "§5 mode", entry, bytes(&with(&e, 4, C::U(0o4755))));
    bad("entry properties with a name as text", "§5 padded name bstr", entry, bytes(&with(&e, 1, C::t("a"))));
    bad("entry properties with a name that is not padded", "§5 padded name", entry, bytes(&with(&e, 1, C::B(b"\x01a".to_vec()))));
    bad("entry properties with the name `..`", "§5 never . or ..", entry, bytes(&with(&e, 1, C::B(padded(2, b"..", 32)))));
    bad("entry properties with something behind them", "§0 refuses trailing bytes", entry, [bytes(&e), vec![0]].concat());
    bad("entry properties without a mode", "§0 no element is optional", entry, bytes(&e[..4]));
    bad("entry properties of version 2", "§0 version 1", entry, bytes(&with(&e, 0, C::U(2))));
    bad("manifest properties of a device", "§8 type 0 or 1", manifest, bytes(&with(&m, 1, C::U(2))));
    bad("manifest properties with a sticky bit", "§8 mode: permission bits", manifest, bytes(&with(&m, 3, C::U(0o1644))));
    bad("manifest properties with a SHA-1", "§8 sha256 bstr32", manifest, bytes(&with(&m, 4, C::B(vec![1; 20]))));
    bad("manifest properties with a long integer", "§0 shortest form", manifest, bytes(&with(&m, 2, C::Raw(vec![0x18, 2]))));
    bad("manifest properties that are empty", "§8 props", manifest, vec![]);
}
