//! Vectors of single records: one encoding, one form for each element, the rules within a record.

use serde_json::{Value, json};

use super::make::{C, Files, Signer, bytes, hash, head, hex, id, idc, kem_public, none, rec, with};

/// A person's bundle payload of some generation.
pub(super) fn bundle(person: &str, generation: u64, reason: u64, predecessor: C) -> Vec<C> {
    rec(vec![
        idc("deployment"),
        idc(person),
        C::t(person),
        C::U(generation),
        C::U(1),
        C::B(Signer::new(&format!("{person} {generation}")).public),
        C::B(kem_public(&format!("{person} {generation}"))),
        predecessor,
        C::U(reason),
        C::U(1_700_000_000_000),
    ])
}

pub(super) fn statement(action: u64, argument: &str) -> Vec<C> {
    rec(vec![
        idc("deployment"),
        idc("r.tal"),
        hash("bundle"),
        C::U(action),
        C::t(argument),
        C::t("asked for by letter"),
        idc("m.ery"),
        hash("issuer"),
        C::U(1_700_000_000_000),
    ])
}

fn login() -> Vec<C> {
    let session = C::B(Signer::new("session").public);
    let at = C::U(1_700_000_000_000);
    rec(vec![idc("deployment"), idc("r.tal"), hash("bundle"), hash("challenge"), session, hash("channel"), at])
}

/// A grant of a directory by its owner.
pub(super) fn grant(owner: &str, recipient: &str, verbs: u64, expires: u64) -> Vec<C> {
    use ticrypt_crypto::Digest;
    let commitment =
        |word: &str, key: [u8; 32]| C::B(Digest::of_parts(&[b"ticrypt/v1/", word.as_bytes(), b"-key\0", &key]).to_bytes().to_vec());
    rec(vec![
        idc("deployment"),
        C::U(1),
        idc("grant"),
        idc("node"),
        C::U(0),
        C::U(3),
        commitment("list", super::make::key("list")),
        commitment("tree", super::make::key("tree")),
        idc(owner),
        idc(owner),
        hash("sealer bundle"),
        C::U(0),
        idc(recipient),
        hash("recipient bundle"),
        C::U(2),
        C::U(verbs),
        C::U(expires),
        none(),
        none(),
        C::U(7),
        hash("key log"),
        C::U(1_700_000_000_000),
    ])
}

pub(super) fn entry(child: &str) -> Vec<C> {
    rec(vec![
        idc("directory"),
        C::U(3),
        idc(child),
        C::U(1),
        C::U(1),
        hash(&format!("tag {child}")),
        C::B(vec![1; 60]),
        C::B(vec![2; 60]),
        C::B(vec![3; 60]),
        C::B(vec![4; 70]),
    ])
}

pub(super) fn head_record(counter: u64, previous: C, count: u64, root: C) -> Vec<C> {
    let (writer, at) = (hash("writer bundle"), C::U(1_700_000_000_000));
    rec(vec![idc("deployment"), idc("directory"), C::U(counter), C::U(3), C::U(count), root, previous, idc("r.tal"), writer, none(), at])
}

pub(super) fn manifest(sequence: u64, predecessor: C, size: u64, count: u64, root: C) -> Vec<C> {
    rec(vec![
        idc("deployment"),
        idc("file"),
        C::U(sequence),
        predecessor,
        idc("version"),
        C::U(size),
        C::U(count),
        root,
        hash("commitment"),
        C::B(vec![5; 80]),
        idc("r.tal"),
        hash("writer bundle"),
        none(),
        C::U(1_700_000_000_000),
    ])
}

/// Ids one after the other, each a byte string.
fn bytes_of(ids: &[[u8; 16]]) -> Vec<u8> {
    ids.iter().flat_map(|id| [&head(2, 16)[..], id].concat()).collect()
}

fn input(kind: &str, record: &[C]) -> Value {
    json!({ "type": kind, "bytes": hex(&bytes(record)) })
}

pub(super) fn write(files: &mut Files) {
    encoding(files);
    rules(files);
}

/// The one encoding, on whichever record shows the fault best.
fn encoding(files: &mut Files) {
    let mut file = files.file("encoding", "The one deterministic encoding of records (docs/formats.md §0).");
    let base = login();
    let good = bytes(&base);
    file.good("record", "a login", "§4 login", input("login", &base));
    let mut raw = |name: &str, rule: &str, bytes: Vec<u8>| {
        file.bad("record", name, rule, json!({ "type": "login", "bytes": hex(&bytes) }));
    };
    raw("nothing at all", "§0 a record is one array", vec![]);
    raw("a record cut off in its last element", "§0 a record is one array", good[..good.len() - 1].to_vec());
    raw("a byte after the record", "§0 refuses trailing bytes", [&good[..], &[0]].concat());
    raw("a second record after the record", "§0 refuses trailing bytes", [&good[..], &good[..]].concat());
    raw("a record of 513 bytes", "§0 refuses anything above the bound", vec![0; 513]);
    raw("a map instead of an array", "§0 a record is an array", [&head(5, 4), &good[1..]].concat());
    raw("an array of indefinite length", "§0 definite-length array", [&[0x9f], &good[1..], &[0xff]].concat());
    raw("an array whose length is written long", "§0 shortest form", [&[0x98, 8], &good[1..]].concat());
    raw("a record inside a tag", "§0 core deterministic encoding", [&[0xd8, 0x37], &good[..]].concat());
    let mut element = |name: &str, rule: &str, index: usize, item: C| {
        file.bad("record", name, rule, input("login", &with(&base, index, item)));
    };
    element("version 0", "§0 element 0 is the version 1", 0, C::U(0));
    element("version 2, from the future", "§0 element 0 is the version 1", 0, C::U(2));
    element("a version of text", "§0 element 0 is the version 1", 0, C::t("1"));
    element("a version written long", "§0 shortest form", 0, C::Raw(vec![0x18, 1]));
    element("an id of 15 bytes", "§0 an id has 16 bytes", 1, C::B(vec![0x44; 15]));
    element("an id of all zeros", "§0 an id is a UUIDv4", 1, C::B(vec![0; 16]));
    let mut version_1 = id("deployment");
    version_1[6] = version_1[6] & 0x0f | 0x10;
    element("an id that tells a time, UUIDv1", "§0 an id is a UUIDv4", 1, C::B(version_1.to_vec()));
    let mut variant = id("deployment");
    variant[8] |= 0x40;
    element("an id of another variant", "§0 an id is a UUIDv4", 2, C::B(variant.to_vec()));
    element("an id as hyphenated text", "§0 an id is a byte string", 2, C::t("00000000-0000-4000-8000-000000000000"));
    element(
        "a byte string of indefinite length",
        "§0 core deterministic encoding",
        4,
        C::Raw([&[0x5f, 0x58, 32][..], &[7; 32], &[0xff]].concat()),
    );
    element("a byte string whose length is written long", "§0 shortest form", 4, C::Raw([&[0x59, 0, 32][..], &[7; 32]].concat()));
    element("a hash of 31 bytes", "§0 a hash has 32 bytes", 3, C::B(vec![7; 31]));
    element("a hash that is absent where it may not be", "§0 a hash has 32 bytes", 3, none());
    element("null for a hash", "§0 absent is the empty byte string", 3, C::Raw(vec![0xf6]));
    element("a time as a floating-point number", "§0 times are unsigned integers", 7, C::Raw(vec![0xfb, 0x42, 0x78, 0, 0, 0, 0, 0, 0]));
    element("a time before 1970", "§0 times are unsigned integers", 7, C::Raw(vec![0x20]));
    element("a time as a big integer", "§0 times are unsigned integers", 7, C::Raw([&[0xc2, 0x48][..], &[1; 8]].concat()));
    element("a time in four bytes more than it needs", "§0 shortest form", 7, C::Raw([&[0x1b][..], &5_u64.to_be_bytes()].concat()));
    element("a reserved additional information", "§0 well-formed CBOR", 7, C::Raw(vec![0x1c]));
    let mut longer = base.clone();
    longer.push(C::U(0));
    file.bad("record", "an element too many", "§0 no element is optional", input("login", &longer));
    file.bad("record", "an element too few", "§0 no element is optional", input("login", &base[..7]));
    let mut swapped = base.clone();
    swapped.swap(5, 6);
    file.bad("record", "two elements in each other's place", "§0 elements are positional", input("login", &swapped));
}

/// What each record asks of its own elements.
fn rules(files: &mut Files) {
    let mut file = files.file("records", "The rules within each record (docs/formats.md §2 to §9).");
    let mut base = |kind: &str, name: &str, rule: &str, record: &[C], faults: Vec<(&str, &str, usize, C)>| {
        file.good("record", name, rule, input(kind, record));
        for (name, rule, index, item) in faults {
            file.bad("record", name, rule, input(kind, &with(record, index, item)));
        }
    };
    base(
        "bundle",
        "a first bundle's payload",
        "§2 payload",
        &bundle("r.tal", 0, 0, none()),
        vec![
            ("a bundle of generation 0 with a predecessor", "§2 generation 0 has no predecessor", 8, hash("before")),
            ("a bundle of generation 1 without a predecessor", "§2 a later generation names the one before", 4, C::U(1)),
            ("a rotation as the first bundle", "§2 reason 0 is the first", 9, C::U(1)),
            ("a bundle for an unknown reason", "§2 reason is 0 to 3", 9, C::U(4)),
            ("a bundle of an unknown suite", "§0 suite 1", 5, C::U(2)),
            ("a user name with a capital letter", "§2 user name", 3, C::t("R.tal")),
            ("a user name of one character", "§2 user name has 2 to 64 characters", 3, C::t("r")),
            ("a user name of 65 characters", "§2 user name has 2 to 64 characters", 3, C::T("a".repeat(65))),
            ("a user name that begins with a dot", "§2 user name begins with a letter or digit", 3, C::t(".rtal")),
            ("a user name with a letter that looks like another", "§2 user name", 3, C::t("r.t\u{430}l")),
            ("a user name as bytes", "§2 user name is text", 3, C::B(b"r.tal".to_vec())),
            ("a signing key of P-384", "§2 the signing key has 65 bytes", 6, C::B(vec![4; 97])),
            ("a kem key one byte short", "§2 the kem key has 1665 bytes", 7, C::B(kem_public("r.tal 0")[1..].to_vec())),
            ("a kem key with a coefficient that is not reduced", "§2 a valid encapsulation key, FIPS 203 §7.2", 7, {
                let mut key = kem_public("r.tal 0");
                key[..3].copy_from_slice(&[0x01, 0x0d, 0x00]); // 0xd01 = 3329
                C::B(key)
            }),
            ("a kem key whose point is off its curve", "§2 a valid encapsulation key", 7, {
                let mut key = kem_public("r.tal 0");
                *key.last_mut().unwrap() ^= 1;
                C::B(key)
            }),
            ("a kem key whose point is compressed and padded", "§2 a valid encapsulation key", 7, {
                let mut key = kem_public("r.tal 0");
                key[1568] = 2;
                C::B(key)
            }),
        ],
    );
    let mut later = bundle("r.tal", 1, 0, hash("before"));
    file.bad("record", "a first bundle of generation 1", "§2 reason 0 is the first", input("bundle", &later));
    later = with(&later, 9, C::U(3));
    file.good("record", "a reset's payload", "§2 reason 3", input("bundle", &later));
    file.bad("record", "a generation beyond 32 bits", "§2 generation", input("bundle", &with(&later, 4, C::U(1 << 32))));

    for (action, argument) in [(1, ""), (2, ""), (3, "1700000000000"), (3, "0"), (4, "sub-admin"), (5, "")] {
        let name = format!("a statement of action {action} with the argument `{argument}`");
        file.good("record", &name, "§3 action", input("statement", &statement(action, argument)));
    }
    for (name, rule, action, argument) in [
        ("a statement of an unknown action", "§3 action is 0 to 5", 6, ""),
        ("a date with a leading zero", "§3 decimal milliseconds", 3, "01700000000000"),
        ("a date with a plus sign", "§3 decimal milliseconds", 3, "+1700000000000"),
        ("a date below zero", "§3 decimal milliseconds", 3, "-1"),
        ("a date that is no number", "§3 decimal milliseconds", 3, "tomorrow"),
        ("a date that is missing", "§3 decimal milliseconds", 3, ""),
        ("a role nobody has", "§3 role", 4, "owner"),
        ("a role in capital letters", "§3 role", 4, "Admin"),
        ("an argument to an activation", "§3 only actions 3 and 4 have an argument", 1, "now"),
        ("the first super-admin made by somebody else", "§3 bootstrap: issuer = user", 0, ""),
    ] {
        file.bad("record", name, rule, input("statement", &statement(action, argument)));
    }
    let bootstrap = with(&with(&statement(0, ""), 7, idc("r.tal")), 8, hash("bundle"));
    file.good("record", "the first super-admin", "§3 bootstrap", input("statement", &bootstrap));
    let other = with(&bootstrap, 8, hash("other"));
    file.bad("record", "the first super-admin under another bundle", "§3 bootstrap: issuer = user", input("statement", &other));
    let reason = with(&statement(1, ""), 6, C::T("x".repeat(501)));
    file.bad("record", "a reason of 501 bytes", "§3 reason ≤ 500 bytes", input("statement", &reason));

    let mut base = |kind: &str, name: &str, rule: &str, record: &[C], faults: Vec<(&str, &str, usize, C)>| {
        file.good("record", name, rule, input(kind, record));
        for (name, rule, index, item) in faults {
            file.bad("record", name, rule, input(kind, &with(record, index, item)));
        }
    };
    let mut binding = rec(vec![idc("deployment"), idc("session"), hash("channel")]);
    base(
        "session-binding",
        "a session binding",
        "§4 session-binding",
        &binding,
        vec![
            ("a channel of 33 bytes", "§4 channel bstr32", 3, C::B(vec![1; 33])),
            ("a channel as text", "§4 channel bstr32", 3, C::T("x".repeat(32))),
        ],
    );
    binding.clear();
    base(
        "login",
        "a login once more",
        "§4 login",
        &login(),
        vec![
            ("a challenge of 16 bytes", "§4 challenge bstr32", 4, C::B(vec![1; 16])),
            ("a session key off the curve", "§4 session key is a point", 5, {
                let mut key = Signer::new("session").public;
                key[64] ^= 1;
                C::B(key)
            }),
        ],
    );
    let projects = |names: &[&str]| {
        let mut ids: Vec<[u8; 16]> = names.iter().map(|name| id(name)).collect();
        ids.sort_unstable();
        ids
    };
    let list = |ids: &[[u8; 16]]| C::Raw([head(4, ids.len() as u64), bytes_of(ids)].concat());
    let two = projects(&["federal", "care"]);
    let nine = projects(&["a", "b", "c", "d", "e", "f", "g", "h", "i"]);
    let asked =
        rec(vec![idc("deployment"), idc("r.tal"), hash("bundle"), idc("session"), hash("challenge"), list(&two), C::U(1_700_000_000_000)]);
    base(
        "working-set",
        "a working set of two projects",
        "§4 working-set",
        &asked,
        vec![
            ("projects out of order", "§4 ascending, none twice", 6, list(&[two[1], two[0]])),
            ("a project twice", "§4 ascending, none twice", 6, list(&[two[0], two[0]])),
            ("nine projects", "§4 at most 8 projects", 6, list(&nine)),
            ("a list that is longer than it says", "§0 elements are positional", 6, C::Raw([&head(4, 1)[..], &bytes_of(&two)].concat())),
            ("a list of indefinite length", "§0 definite-length array", 6, C::Raw([&[0x9f][..], &bytes_of(&two), &[0xff]].concat())),
            ("a list that promises four milliards", "§0 well-formed CBOR", 6, C::Raw(head(4, u64::from(u32::MAX)))),
        ],
    );
    file.good("record", "a working set of no project", "§4 working-set", input("working-set", &with(&asked, 6, list(&[]))));
    let mut base = |kind: &str, name: &str, rule: &str, record: &[C], faults: Vec<(&str, &str, usize, C)>| {
        file.good("record", name, rule, input(kind, record));
        for (name, rule, index, item) in faults {
            file.bad("record", name, rule, input(kind, &with(record, index, item)));
        }
    };
    base(
        "grant",
        "a grant by the owner",
        "§6 payload",
        &grant("r.tal", "m.ery", 3, 0),
        vec![
            ("download without view", "§6 bits 2, 4 and 8 need bit 1", 16, C::U(2)),
            ("share without view", "§6 bits 2, 4 and 8 need bit 1", 16, C::U(8)),
            ("a verb that does not exist", "§6 verbs are bits 1, 2, 4, 8", 16, C::U(17)),
            ("verbs beyond a byte", "§6 verbs are bits 1, 2, 4, 8", 16, C::U(257)),
            ("a grant of epoch 0", "§5 epochs count from 1", 6, C::U(0)),
            ("a grant of a version", "§5 a node is a directory or a file", 5, C::U(2)),
            ("a grant to neither a person nor a group", "§6 recipient kind 0 or 1", 12, C::U(2)),
            ("a grant of a suite below every minimum", "§0 suite 1", 2, C::U(0)),
            ("a grant by somebody else without an authority", "§6 absent when the sealer is the owner", 10, idc("x.eno")),
            ("a grant by the owner with an authority", "§6 absent when the sealer is the owner", 19, hash("authority")),
            ("a key log of size 0 with a root", "§6 key log", 20, C::U(0)),
            ("a key log without a root", "§6 key log", 21, none()),
            ("a predecessor of 20 bytes", "§0 hash? has 32 bytes or none", 18, C::B(vec![1; 20])),
            ("a commitment that is absent", "§6 list commitment hash", 7, none()),
        ],
    );
    let revocation =
        vec![idc("deployment"), idc("grant"), hash("grant"), idc("node"), idc("r.tal"), hash("issuer"), C::U(1_700_000_000_000)];
    base(
        "revocation",
        "a revocation",
        "§6 revocation",
        &rec(revocation),
        vec![("a revocation of no grant in particular", "§6 grant hash", 3, none())],
    );
    base(
        "entry",
        "an entry",
        "§5 entry",
        &entry("child"),
        vec![
            ("a directory as its own child", "§5 a child is below its parent", 3, idc("directory")),
            ("an entry of a parent's epoch 0", "§5 epochs count from 1", 2, C::U(0)),
            ("an entry of a child's epoch 0", "§5 epochs count from 1", 5, C::U(0)),
            ("an entry that is a version", "§5 a node is a directory or a file", 4, C::U(2)),
            ("a name tag of 16 bytes", "§5 name tag bstr32", 6, C::B(vec![1; 16])),
            ("a stored name that was not padded", "§5 the stored name has one of four lengths", 7, C::B(vec![1; 61])),
            ("a stored name that is empty", "§5 the stored name has one of four lengths", 7, none()),
            ("a list wrap of 59 bytes", "§5 a wrap has 60 bytes", 8, C::B(vec![2; 59])),
            ("a list wrap without a tree wrap", "§5 both wraps or none", 9, none()),
            ("a tree wrap without a list wrap", "§5 both wraps or none", 8, none()),
            ("entry properties that are absent", "§5 entry properties", 10, none()),
            ("entry properties far longer than any", "§5 entry properties", 10, C::B(vec![4; 513])),
        ],
    );
    let boundary = with(&with(&entry("child"), 8, none()), 9, none());
    file.good("record", "an entry with keys of its own", "§5 under a tag boundary", input("entry", &boundary));

    let mut base = |kind: &str, name: &str, rule: &str, record: &[C], faults: Vec<(&str, &str, usize, C)>| {
        file.good("record", name, rule, input(kind, record));
        for (name, rule, index, item) in faults {
            file.bad("record", name, rule, input(kind, &with(record, index, item)));
        }
    };
    base(
        "directory",
        "a later head",
        "§7 payload",
        &head_record(2, hash("previous"), 1, hash("root")),
        vec![
            ("a head of counter 0", "§7 the first has counter 1", 3, C::U(0)),
            ("a first head that names one before it", "§7 previous", 3, C::U(1)),
            ("a later head that names none before it", "§7 previous", 7, none()),
            ("a head of epoch 0", "§5 epochs count from 1", 4, C::U(0)),
            ("no entries with the root of some", "§7 root of the empty set is 32 zero bytes", 5, C::U(0)),
            ("some entries with the root of none", "§7 root of the empty set is 32 zero bytes", 6, C::B(vec![0; 32])),
            ("a root of 33 bytes", "§7 entries root hash", 6, C::B(vec![1; 33])),
        ],
    );
    base(
        "manifest",
        "a first manifest",
        "§8 payload",
        &manifest(1, none(), 8_388_609, 2, hash("root")),
        vec![
            ("a manifest of sequence 0", "§8 sequence 1, 2, …", 3, C::U(0)),
            ("a first manifest that names one before it", "§8 predecessor", 4, hash("before")),
            ("a second manifest that names none before it", "§8 predecessor", 3, C::U(2)),
            ("one chunk too few for the size", "§8 count = max(1, ceil(size / 8 388 608))", 7, C::U(1)),
            ("one chunk too many for the size", "§8 count = max(1, ceil(size / 8 388 608))", 7, C::U(3)),
            ("a size beyond any count of chunks", "§8 count", 6, C::U(u64::MAX)),
            ("manifest properties shorter than their tag", "§8 props", 10, C::B(vec![5; 28])),
            ("a key commitment of 16 bytes", "§8 key commitment hash", 9, C::B(vec![1; 16])),
        ],
    );
    file.good(
        "record",
        "the manifest of an empty file",
        "§8 an empty file is one chunk",
        input("manifest", &manifest(1, none(), 0, 1, hash("root"))),
    );
    file.bad(
        "record",
        "an empty file of no chunk",
        "§8 an empty file is one chunk",
        input("manifest", &manifest(1, none(), 0, 0, hash("root"))),
    );
    let header = rec(vec![idc("deployment"), idc("r.tal"), C::t("r.tal"), C::U(3)]);
    file.good("record", "the header of a key file", "§9 header", input("key-file-header", &header));
}
