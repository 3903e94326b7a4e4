//! Vectors of groups: their heads, the seeds of their generations, and what is sealed to them.

use serde_json::{Value, json};
use ticrypt_crypto::Digest;
use ticrypt_types::{Compartment, ProjectId};

use super::chunks::hpke_seal;
use super::make::{C, Files, Signer, bytes, hash, head, hex, id, idc, kem_public, key, none, rec, with};
use super::records::grant;
use super::wraps::seal;
use crate::derive::derive;

pub(super) fn write(files: &mut Files) {
    heads(files);
    successors(files);
    compartments(files);
    grants(files);
    wrapped(files);
    sealed(files);
    opened(files);
}

fn change(code: u64, person: &str, bundle: C, permissions: u64) -> C {
    C::A(vec![C::U(code), idc(person), bundle, C::U(permissions)])
}

fn remove(person: &str) -> C {
    change(2, person, none(), 0)
}

/// A head that begins a generation, the first or a later one.
fn group_head(counter: u64, previous: C, changes: Vec<C>, generation: u64, wrapped: C) -> Vec<C> {
    rec(vec![
        idc("deployment"),
        idc("group"),
        C::U(counter),
        previous,
        C::A(changes),
        C::U(generation),
        C::B(kem_public(&format!("generation {generation}"))),
        wrapped,
        idc("r.tal"),
        hash("writer bundle"),
        C::U(1_700_000_000_000),
    ])
}

fn first() -> Vec<C> {
    group_head(1, none(), vec![change(0, "r.tal", hash("r.tal"), 127), change(0, "m.ery", hash("m.ery"), 40)], 1, none())
}

/// A head without a generation of its own.
fn later(previous: C, changes: Vec<C>) -> Vec<C> {
    with(&group_head(2, previous, changes, 1, none()), 7, none())
}

fn renewing(previous: C, changes: Vec<C>) -> Vec<C> {
    group_head(2, previous, changes, 2, C::B(vec![6; 60]))
}

/// Tags in ascending order.
fn tags(names: &[&str]) -> C {
    let mut ids: Vec<[u8; 16]> = names.iter().map(|name| id(name)).collect();
    ids.sort_unstable();
    C::A(ids.into_iter().map(|id| C::B(id.to_vec())).collect())
}

fn terms() -> Vec<C> {
    rec(vec![idc("deployment"), idc("group"), tags(&[]), C::U(3), idc("m.ery"), hash("m.ery bundle"), C::U(2)])
}

pub(super) fn record_hash(record: &[C]) -> C {
    C::B(Digest::of(&bytes(record)).to_bytes().to_vec())
}

fn heads(files: &mut Files) {
    let mut file = files.file("groups", "Heads of groups, how one follows another, and grants to a group (docs/formats.md §12).");
    let input = |kind: &str, record: &[C]| json!({ "type": kind, "bytes": hex(&bytes(record)) });
    let mut base = |name: &str, record: &[C], faults: Vec<(&str, &str, usize, C)>| {
        file.good("record", name, "§12 head", input("group-head", record));
        for (name, rule, index, item) in faults {
            file.bad("record", name, rule, input("group-head", &with(record, index, item)));
        }
    };
    base(
        "the first head of a group",
        &first(),
        vec![
            ("a group's head of counter 0", "§12 the first has counter 1", 3, C::U(0)),
            ("a group's first head that names one before it", "§12 previous", 4, hash("before")),
            ("a group's first head without a key", "§12 the first head begins generation 1", 7, none()),
            ("a group's first head of generation 2", "§12 the first head begins generation 1", 6, C::U(2)),
            ("a group's head of generation 0", "§12 generations count from 1", 6, C::U(0)),
            ("a group's first head with a wrapped seed", "§12 wrapped", 8, C::B(vec![6; 60])),
            ("a group's key one byte short", "§12 key bstr1665 or absent", 7, C::B(kem_public("generation 1")[1..].to_vec())),
            ("a group's key whose point is off its curve", "§2 a valid encapsulation key", 7, {
                let mut key = kem_public("generation 1");
                *key.last_mut().unwrap() ^= 1;
                C::B(key)
            }),
            ("null for a group's key", "§0 absent is the empty byte string", 7, C::Raw(vec![0xf6])),
            ("a generation of a group beyond 32 bits", "§0 generations have 32 bits", 6, C::U(1 << 32)),
        ],
    );
    let adding = later(hash("before"), vec![change(0, "x.eno", hash("x.eno"), 0)]);
    let one = |change: C| C::A(vec![change]);
    let made = |code: u64, bundle: C, permissions: u64| one(change(code, "x.eno", bundle, permissions));
    let long = |item: Vec<u8>| one(C::A(vec![C::Raw(item), idc("x.eno"), none(), C::U(0)]));
    base(
        "a head that adds somebody",
        &adding,
        vec![
            ("a later head of a group that names none before it", "§12 previous", 4, none()),
            ("a head that changes nothing", "§12 a head changes something", 5, C::A(vec![])),
            ("a head of 501 changes", "§0 at most 500 changes", 5, C::A(vec![remove("x.eno"); 501])),
            ("a head that begins generation 1 a second time", "§12 no other head begins generation 1", 7, C::B(kem_public("generation 1"))),
            ("a wrapped seed and no new generation", "§12 wrapped", 8, C::B(vec![6; 60])),
            ("a change of an unknown kind", "§12 kinds 0 to 3", 5, made(4, none(), 0)),
            ("somebody added without a key", "§12 a bundle hash when added", 5, made(0, none(), 0)),
            ("somebody added with half a hash", "§12 a bundle hash when added", 5, made(0, C::B(vec![1; 16]), 0)),
            ("somebody added with a permission that does not exist", "§12 permission bits", 5, made(0, hash("x.eno"), 128)),
            ("permissions changed with a key", "§12 a bundle hash when added, else none", 5, made(1, hash("x.eno"), 1)),
            ("permissions beyond a byte", "§12 permission bits", 5, made(1, none(), 257)),
            ("somebody removed with permissions", "§12 0 when removed", 5, made(2, none(), 1)),
            ("somebody removed with a key", "§12 a bundle hash when added, else none", 5, made(2, hash("x.eno"), 0)),
            ("somebody made the owner with permissions", "§12 0 when made the owner", 5, made(3, none(), 127)),
            ("a change of three elements", "§12 change", 5, one(C::A(vec![C::U(2), idc("x.eno"), none()]))),
            ("a change of five elements", "§12 change", 5, one(C::A(vec![C::U(2), idc("x.eno"), none(), C::U(0), C::U(0)]))),
            ("a change with its kind written long", "§0 shortest form", 5, long(vec![0x18, 2])),
            ("a kind of change that is text", "§12 change", 5, long(vec![0x61, 0x32])),
            ("a change of nobody", "§0 an id is a UUIDv4", 5, one(C::A(vec![C::U(2), C::B(vec![0; 16]), none(), C::U(0)]))),
            ("changes whose number is written long", "§0 shortest form", 5, C::Raw([&[0x98, 1][..], &remove("x.eno").encode()].concat())),
            (
                "changes of indefinite length",
                "§0 definite-length array",
                5,
                C::Raw([&[0x9f][..], &remove("x.eno").encode(), &[0xff]].concat()),
            ),
            ("changes that promise four milliards", "§0 well-formed CBOR", 5, C::Raw(head(4, u64::from(u32::MAX)))),
        ],
    );
    base(
        "a head that removes somebody and begins a generation",
        &renewing(hash("before"), vec![remove("m.ery")]),
        vec![
            ("a new generation without the seed before", "§12 wrapped", 8, none()),
            ("a wrapped seed of 59 bytes", "§12 wrapped bstr60", 8, C::B(vec![6; 59])),
            ("a wrapped seed of 61 bytes", "§12 wrapped bstr60", 8, C::B(vec![6; 61])),
            ("a removal and its seed without a key", "§12 wrapped", 7, none()),
        ],
    );
    for (name, record) in [
        ("a head that begins a generation and changes nobody", renewing(hash("before"), vec![])),
        ("a head that changes permissions", later(hash("before"), vec![change(1, "m.ery", none(), 0)])),
        ("a head that makes somebody the owner", later(hash("before"), vec![change(3, "m.ery", none(), 0)])),
        ("a head of 500 changes", later(hash("before"), vec![remove("x.eno"); 500])),
    ] {
        file.good("record", name, "§12 head", input("group-head", &record));
    }
    let terms = terms();
    file.good("record", "the terms of a seal", "§12 terms", input("group-seal", &terms));
    let tagged = with(&terms, 3, tags(&["us", "texas"]));
    file.good("record", "the terms of a seal of a compartment", "§12 terms", input("group-seal", &tagged));
    for (name, rule, index, item) in [
        ("a seal of generation 0", "§12 generations count from 1", 4, C::U(0)),
        ("a seal to no key in particular", "§12 bundle hash", 6, none()),
        ("a seal to nobody", "§0 an id is a UUIDv4", 5, none()),
        ("a seal of a compartment with a tag twice", "§12 tags in ascending order", 3, C::A(vec![idc("us"), idc("us")])),
        ("a seal of a compartment that is no list", "§12 tags", 3, none()),
    ] {
        file.bad("record", name, rule, input("group-seal", &with(&terms, index, item)));
    }
}

fn successors(files: &mut Files) {
    let mut file = files.file("groups", "");
    let signer = Signer::new("writer");
    let before = first();
    let follows = |record: &[C]| {
        json!({
            "envelope": hex(&signer.envelope("group-head", &bytes(record))),
            "previous": hex(&signer.envelope("group-head", &bytes(&before))),
            "key": hex(&signer.public),
        })
    };
    let next = later(record_hash(&before), vec![change(0, "x.eno", hash("x.eno"), 0)]);
    let renewed = renewing(record_hash(&before), vec![remove("m.ery")]);
    file.good("group-successor", "a group's next head", "§12 counter + 1", follows(&next));
    file.good("group-successor", "a group's next head and generation", "§12 generation + 1", follows(&renewed));
    for (name, rule, record, index, item) in [
        ("a group's head that skips a counter", "§12 counter + 1", &next, 3, C::U(3)),
        ("a group's head that names another before it", "§12 previous", &next, 4, hash("other")),
        ("a head of another group", "§12 group id", &next, 2, idc("elsewhere")),
        ("a group's head in another deployment", "§12 deployment id", &next, 1, idc("elsewhere")),
        ("a generation that begins without a key", "§12 generation + 1 with a key, else the same", &next, 6, C::U(2)),
        ("a key that skips a generation", "§12 generation + 1 with a key, else the same", &renewed, 6, C::U(3)),
    ] {
        file.bad("group-successor", name, rule, follows(&with(record, index, item)));
    }
    let mut directory = follows(&next);
    directory["envelope"] = json!(hex(&signer.envelope("directory", &bytes(&next))));
    file.bad("group-successor", "a group's head signed as a directory's", "§1 the namespace is signed", directory);
    let mut unsigned = follows(&next);
    unsigned["envelope"] = json!(hex(&Signer::new("server").envelope("group-head", &bytes(&next))));
    file.bad("group-successor", "a group's head that the server signed", "§1 signed by a member", unsigned);
}

/// A head of the compartment of two tags.
fn compartment_head(generation: u64, previous: C, wrapped: C) -> Vec<C> {
    rec(vec![
        idc("deployment"),
        idc("group"),
        tags(&["us", "texas"]),
        C::U(generation),
        previous,
        C::B(kem_public(&format!("generation {generation}"))),
        wrapped,
        hash("newest head"),
        idc("r.tal"),
        hash("writer bundle"),
        C::U(1_700_000_000_000),
    ])
}

fn compartments(files: &mut Files) {
    let mut file = files.file("groups", "");
    let input = |record: &[C]| json!({ "type": "compartment-head", "bytes": hex(&bytes(record)) });
    let first = compartment_head(1, none(), none());
    let second = compartment_head(2, record_hash(&first), C::B(vec![6; 60]));
    file.good("record", "the first head of a compartment", "§12 compartment head", input(&first));
    file.good("record", "the second head of a compartment", "§12 compartment head", input(&second));
    let [us, texas] = ["us", "texas"].map(idc);
    let (low, high) = if id("us") < id("texas") { (us, texas) } else { (texas, us) };
    for (name, rule, record, index, item) in [
        ("a compartment without tags", "§12 a compartment has tags", &first, 3, tags(&[])),
        ("a compartment whose tags descend", "§12 tags in ascending order", &first, 3, C::A(vec![high, low.clone()])),
        ("a compartment with a tag twice", "§12 tags in ascending order", &first, 3, C::A(vec![low.clone(), low])),
        ("a compartment of 33 tags", "§12 at most 32 tags", &first, 3, {
            let names: Vec<String> = (0..33).map(|n| format!("tag {n}")).collect();
            tags(&names.iter().map(String::as_str).collect::<Vec<_>>())
        }),
        ("a compartment's head of generation 0", "§12 generations count from 1", &first, 4, C::U(0)),
        ("a compartment's first head that names one before it", "§12 previous", &first, 5, hash("before")),
        ("a compartment's first head with a wrapped seed", "§12 wrapped", &first, 7, C::B(vec![6; 60])),
        ("a compartment's head without a key", "§12 key bstr1665", &first, 6, none()),
        ("a compartment's head on no head of the group", "§12 authority", &first, 8, none()),
        ("a compartment's second head that names none before it", "§12 previous", &second, 5, none()),
        ("a compartment's second head without the seed before", "§12 wrapped", &second, 7, none()),
        ("a wrapped seed of a compartment of 61 bytes", "§12 wrapped bstr60", &second, 7, C::B(vec![6; 61])),
    ] {
        file.bad("record", name, rule, input(&with(record, index, item)));
    }
    let signer = Signer::new("writer");
    let follows = |record: &[C]| {
        json!({
            "envelope": hex(&signer.envelope("compartment-head", &bytes(record))),
            "previous": hex(&signer.envelope("compartment-head", &bytes(&first))),
            "key": hex(&signer.public),
        })
    };
    file.good("compartment-successor", "a compartment's next head", "§12 generation + 1", follows(&second));
    for (name, rule, index, item) in [
        ("a compartment's head that skips a generation", "§12 generation + 1", 4, C::U(3)),
        ("a compartment's head that names another before it", "§12 previous", 5, hash("other")),
        ("a head of another compartment", "§12 tags", 3, tags(&["us"])),
        ("a compartment's head of another group", "§12 group id", 2, idc("elsewhere")),
        ("a compartment's head in another deployment", "§12 deployment id", 1, idc("elsewhere")),
    ] {
        file.bad("compartment-successor", name, rule, follows(&with(&second, index, item)));
    }
    let mut of_group = follows(&second);
    of_group["envelope"] = json!(hex(&signer.envelope("group-head", &bytes(&second))));
    file.bad("compartment-successor", "a compartment's head signed as a group's", "§1 the namespace is signed", of_group);
}

/// A member's grant of the group's directory to its generation 2.
fn group_grant() -> Vec<C> {
    let record = with(&with(&grant("group", "group", 7, 0), 10, idc("r.tal")), 12, C::U(1));
    with(&with(&record, 14, hash("beginning head")), 19, hash("newest head"))
}

fn grants(files: &mut Files) {
    let mut file = files.file("groups", "");
    let member = Signer::new("member");
    let input = |record: &[C]| {
        json!({
            "envelope": hex(&member.envelope("grant", &bytes(record))), "key": hex(&member.public),
            "group": hex(&id("group")), "generation": 2, "head": Digest::of(b"beginning head"),
        })
    };
    let good = group_grant();
    file.good("group-grant", "a grant of a group's directory", "§6 a grant to a group", input(&good));
    for (name, rule, index, item) in [
        ("a group's directory granted to a person", "§6 recipient kind 1", 12, C::U(0)),
        ("a group's directory granted to another group", "§6 owner and recipient are the group", 13, idc("elsewhere")),
        ("a member's directory granted to a group", "§6 owner and recipient are the group", 9, idc("m.ery")),
        ("a grant to the generation before", "§6 recipient generation", 15, C::U(1)),
        ("a grant to a generation to come", "§6 recipient generation", 15, C::U(3)),
        ("a grant to a generation that another head began", "§6 recipient bundle", 14, hash("newest head")),
        ("a grant to a group with share", "§6 verbs 7", 16, C::U(15)),
        ("a grant to a group without edit", "§6 verbs 7", 16, C::U(3)),
        ("a grant to a group that expires", "§6 it expires never", 17, C::U(1_800_000_000_000)),
        ("a grant to a group that rests on nothing", "§6 authority", 19, none()),
    ] {
        file.bad("group-grant", name, rule, input(&with(&good, index, item)));
    }
}

fn generation(number: u64) -> [u8; 32] {
    key(&format!("generation {number}"))
}

/// The seed of generation 2, wrapped under that of generation 3.
fn wrapped(files: &mut Files) {
    let mut file =
        files.file("group-keys", "Seeds of a group's generations, wrapped and sealed (docs/formats.md §12). The seeds are the test's.");
    let derived = hex(&*derive("group/previous", &key("derive")).unwrap());
    let input = json!({ "label": "group/previous", "key": hex(&key("derive")), "out": derived });
    file.good("derive", "the key derived for group/previous", "§12 D(\"group/previous\", seed)", input);
    let context = |names: &[&str]| rec(vec![C::U(1), C::t("group-previous"), idc("deployment"), idc("group"), tags(names), C::U(3)]);
    let wrap = |label: &str, context: &[C], plain: &[u8]| seal(label, &generation(3), &bytes(context), plain);
    let input_of = |names: &[&str], sealed: &[u8]| {
        let tags: Vec<String> = Compartment::of(names.iter().map(|name| ProjectId::from_random(id(name))))
            .unwrap()
            .tags()
            .iter()
            .map(|tag| hex(tag.as_bytes()))
            .collect();
        json!({
            "key": hex(&generation(3)), "deployment": hex(&id("deployment")), "group": hex(&id("group")), "compartment": tags, "generation": 3,
            "sealed": hex(sealed), "plain": hex(&generation(2)), "expected": hex(&kem_public("generation 2")),
        })
    };
    let input = |sealed: &[u8]| input_of(&[], sealed);
    let both = ["us", "texas"];
    let of_both = wrap("group/previous", &context(&both), &generation(2));
    file.good("group-previous", "the seed of a compartment's generation before", "§12 wrapped", input_of(&both, &of_both));
    file.bad("group-previous", "a wrapped seed of another compartment", "§12 aad", input_of(&["us"], &of_both));
    file.bad("group-previous", "a wrapped seed of a compartment in place of the group's", "§12 aad", input(&of_both));
    let context = context(&[]);
    let sealed = wrap("group/previous", &context, &generation(2));
    file.good("group-previous", "the seed of the generation before", "§12 wrapped", input(&sealed));
    let mut bad = |name: &str, rule: &str, sealed: &[u8]| file.bad("group-previous", name, rule, input(sealed));
    for (name, index, item) in [
        ("a wrapped seed of another suite", 1, C::U(2)),
        ("a wrapped seed for another purpose", 2, C::t("list")),
        ("a wrapped seed of another deployment", 3, idc("elsewhere")),
        ("a wrapped seed of another group", 4, idc("elsewhere")),
        ("a seed wrapped for the generation after", 6, C::U(4)),
        ("a seed wrapped for its own generation", 6, C::U(2)),
    ] {
        bad(name, "§12 aad", &wrap("group/previous", &with(&context, index, item), &generation(2)));
    }
    bad("a seed wrapped under the seed itself", "§12 derived key", &wrap("", &context, &generation(2)));
    bad("a seed wrapped as a key of the tree", "§12 derived key", &wrap("tree/wrap", &context, &generation(2)));
    bad("a seed of a head one was not shown", "§12 the public key of the head before", &wrap("group/previous", &context, &generation(1)));
    bad("a generation that wraps its own seed", "§12 the public key of the head before", &wrap("group/previous", &context, &generation(3)));
    bad("a wrapped seed of 31 bytes of seed", "§12 wrapped bstr60", &wrap("group/previous", &context, &[7; 31]));
    bad("a wrapped seed without its nonce", "§0 AEAD", &sealed[12..]);
    bad("a wrapped seed that is empty", "§12 wrapped bstr60", &[]);
}

/// The seed of generation 3, sealed to a member.
fn sealed(files: &mut Files) {
    let mut file = files.file("group-keys", "");
    let info = |terms: &[C]| Digest::of_parts(&[b"ticrypt/v1/group-seal\0", &bytes(terms)]).to_bytes();
    let input = |terms: &[C], sealed: &[u8]| {
        json!({
            "deployment": hex(&id("deployment")), "user": hex(&id("m.ery")), "generation": 2, "seed": hex(&key("recipient")),
            "terms": hex(&bytes(terms)), "sealed": hex(sealed),
            "plain": hex(&generation(3)), "expected": hex(&kem_public("generation 3")),
        })
    };
    let terms = terms();
    let plain = |seed: &[u8]| bytes(&rec(vec![C::B(seed.to_vec())]));
    let seal = |terms: &[C], plain: &[u8]| hpke_seal("recipient", &info(terms), &[], plain);
    let sealed = seal(&terms, &plain(&generation(3)));
    file.good("group-seal-open", "a seed sealed to a member", "§12 sealed", input(&terms, &sealed));
    let mut bad = |name: &str, rule: &str, terms: &[C], sealed: &[u8]| file.bad("group-seal-open", name, rule, input(terms, sealed));
    for (name, rule, index, item) in [
        ("a seal of another group", "§12 info", 2, idc("elsewhere")),
        ("a seal of another generation", "§12 info", 4, C::U(2)),
        ("a seal of a compartment", "§12 info", 3, tags(&["us"])),
        ("a seal to another key of the same generation", "§12 info", 6, hash("other bundle")),
    ] {
        bad(name, rule, &with(&terms, index, item), &sealed);
    }
    for (name, rule, index, item) in [
        ("a seal of another deployment", "§12 deployment id", 1, idc("elsewhere")),
        ("a seal to another member", "§12 member id", 5, idc("x.eno")),
        ("a seal to keys that are not held", "§12 bundle generation", 7, C::U(3)),
    ] {
        let other = with(&terms, index, item);
        bad(name, rule, &other, &seal(&other, &plain(&generation(3))));
    }
    let grant = Digest::of_parts(&[b"ticrypt/v1/grant\0", &bytes(&terms)]).to_bytes();
    bad("a seed sealed with a grant's info", "§12 info", &terms, &hpke_seal("recipient", &grant, &[], &plain(&generation(3))));
    bad("a seed sealed with its terms as info", "§12 info", &terms, &hpke_seal("recipient", &bytes(&terms), &[], &plain(&generation(3))));
    bad("a seed sealed to somebody else", "§12 sealed", &terms, &hpke_seal("other", &info(&terms), &[], &plain(&generation(3))));
    bad("a seed sealed with additional data", "§6 HPKE additional data is empty", &terms, &{
        hpke_seal("recipient", &info(&terms), b"x", &plain(&generation(3)))
    });
    let server = seal(&terms, &plain(&key("server")));
    bad("a seed that the server made up", "§12 the public key of the head", &terms, &server);
    bad("the seed of another generation", "§12 the public key of the head", &terms, &seal(&terms, &plain(&generation(2))));
    bad("a sealed seed of 31 bytes", "§12 seed bstr32", &terms, &seal(&terms, &plain(&[7; 31])));
    bad("a sealed seed with a byte behind it", "§0 refuses trailing bytes", &terms, &seal(&terms, &[&plain(&[7; 31])[..], &[0]].concat()));
    let long_length = [&[0x82, 1, 0x59, 0, 31][..], &generation(3)[..31]].concat();
    bad("a sealed seed in a longer encoding than it needs", "§0 shortest form", &terms, &seal(&terms, &long_length));
    let version_2 = [&[0x82, 2][..], &plain(&generation(3))[2..]].concat();
    bad("a sealed seed of version 2", "§0 version 1", &terms, &seal(&terms, &version_2));
    bad("a sealed seed cut off", "§12 sealed", &terms, &sealed[..sealed.len() - 1]);
    bad("a sealed seed that is an encapsulated key alone", "§12 sealed", &terms, &sealed[..1665]);
}

/// The keys of a directory, sealed to a generation.
fn opened(files: &mut Files) {
    let mut file = files.file("group-keys", "");
    let member = Signer::new("member");
    let input = |record: &[C], sealed: &[u8]| -> Value {
        json!({
            "seed": hex(&generation(2)), "envelope": hex(&member.envelope("grant", &bytes(record))), "key": hex(&member.public),
            "sealed": hex(sealed), "list": hex(&key("list")), "tree": hex(&key("tree")),
        })
    };
    let info = |record: &[C]| Digest::of_parts(&[b"ticrypt/v1/grant\0", &bytes(record)]).to_bytes();
    let keys = |list: &str, tree: &str| bytes(&rec(vec![C::B(key(list).to_vec()), C::B(key(tree).to_vec())]));
    let good = group_grant();
    let seal = |record: &[C], plain: &[u8]| hpke_seal("generation 2", &info(record), &[], plain);
    let sealed = seal(&good, &keys("list", "tree"));
    file.good("group-grant-open", "the keys of a group's directory", "§6 sealed", input(&good, &sealed));
    let mut bad = |name: &str, rule: &str, record: &[C], sealed: &[u8]| file.bad("group-grant-open", name, rule, input(record, sealed));
    let later = hpke_seal("generation 3", &info(&good), &[], &keys("list", "tree"));
    bad("a directory's keys sealed to the generation after", "§6 recipient generation", &good, &later);
    bad("a directory's keys sealed under another head", "§6 info", &with(&good, 19, hash("other head")), &sealed);
    bad("a directory's keys sealed to another group", "§6 info", &with(&good, 13, idc("elsewhere")), &sealed);
    bad("another directory's keys", "§5 key commitments", &good, &seal(&good, &keys("other", "tree")));
    let person = with(&good, 12, C::U(0));
    bad("a grant to a person, opened with a group's seed", "§6 recipient kind", &person, &seal(&person, &keys("list", "tree")));
    let mut forged = input(&good, &sealed);
    forged["key"] = json!(hex(&Signer::new("server").public));
    file.bad("group-grant-open", "a grant to a group that the server signed", "§6 authority", forged);
}
