//! Vectors of projects: their heads, the entries of members, and proofs that an entry is under a head.

use serde_json::{Value, json};
use ticrypt_crypto::trie::Trie;
use ticrypt_crypto::{Digest, batch};

use super::groups::record_hash;
use super::make::{C, Files, Signer, bytes, hash, hex, id, idc, none, rec, with};

pub(super) fn write(files: &mut Files) {
    heads(files);
    entries(files);
    successors(files);
    proofs(files);
}

fn project_head(counter: u64, previous: C, members: u64, root: C) -> Vec<C> {
    rec(vec![
        idc("deployment"),
        idc("project"),
        idc("parent"),
        C::U(counter),
        previous,
        C::U(members),
        root,
        idc("r.tal"),
        idc("r.tal"),
        hash("writer bundle"),
        C::U(1_700_000_000_000),
    ])
}

fn entry(person: &str, role: &str) -> Vec<C> {
    rec(vec![
        idc("deployment"),
        idc("project"),
        idc(person),
        C::T(role.to_owned()),
        C::U(2),
        C::U(1_800_000_000_000),
        C::B(id(&format!("salt of {person}")).to_vec()),
    ])
}

fn heads(files: &mut Files) {
    let mut file = files.file("projects", "");
    let input = |record: &[C]| json!({ "type": "project-head", "bytes": hex(&bytes(record)) });
    let first = project_head(1, none(), 3, hash("root"));
    let later = project_head(2, hash("before"), 3, hash("root"));
    file.good("record", "the first head of a project", "§13 head", input(&first));
    file.good("record", "a later head of a project", "§13 head", input(&later));
    file.good("record", "a head of a root project", "§13 parent project id?", input(&with(&later, 3, none())));
    file.good("record", "a head without an investigator", "§13 investigator id?", input(&with(&later, 8, none())));
    file.good(
        "record",
        "a head of an empty project",
        "§13 of no members zeros",
        input(&with(&with(&later, 6, C::U(0)), 7, C::B(vec![0; 32]))),
    );
    for (name, rule, record, index, item) in [
        ("a project's head with counter 0", "§13 counters begin at 1", &first, 4, C::U(0)),
        ("a project's first head that names one before it", "§13 previous", &first, 5, hash("before")),
        ("a project's later head that names none before it", "§13 previous", &later, 5, none()),
        ("a head without members over some", "§13 of no members zeros", &later, 6, C::U(0)),
        ("a head with members over none", "§13 of no members zeros", &later, 7, C::B(vec![0; 32])),
        ("a project above itself", "§13 parent", &later, 3, idc("project")),
        ("a project's head without a writer", "§13 writer id", &later, 9, none()),
        ("a root of 31 bytes", "§13 root hash", &later, 7, C::B(vec![1; 31])),
    ] {
        file.bad("record", name, rule, input(&with(record, index, item)));
    }
}

fn entries(files: &mut Files) {
    let mut file = files.file("projects", "");
    let input = |record: &[C]| json!({ "type": "roster-entry", "bytes": hex(&bytes(record)) });
    let user = entry("m.ery", "user");
    file.good("record", "the entry of a user", "§13 entry", input(&user));
    file.good("record", "the entry of a manager who never expires", "§13 entry", input(&with(&entry("r.tal", "manager"), 6, C::U(0))));
    for (name, rule, index, item) in [
        ("an entry with an unknown role", "§13 role", 4, C::T("owner".to_owned())),
        ("an entry with an unknown restriction", "§13 restrictions", 5, C::U(16)),
        ("an entry with a short salt", "§13 salt bstr16", 7, C::B(vec![1; 15])),
        ("an entry of nobody", "§13 user id", 3, none()),
    ] {
        file.bad("record", name, rule, input(&with(&user, index, item)));
    }
}

fn successors(files: &mut Files) {
    let mut file = files.file("projects", "");
    let signer = Signer::new("writer");
    let first = project_head(1, none(), 3, hash("root"));
    let second = project_head(2, record_hash(&first), 4, hash("next root"));
    let follows = |record: &[C]| {
        json!({
            "envelope": hex(&signer.envelope("project-head", &bytes(record))),
            "previous": hex(&signer.envelope("project-head", &bytes(&first))),
            "key": hex(&signer.public),
        })
    };
    file.good("project-successor", "a project's next head", "§13 counter + 1", follows(&second));
    for (name, rule, index, item) in [
        ("a project's head that skips one", "§13 counter + 1", 4, C::U(3)),
        ("a project's head that names another before it", "§13 previous", 5, hash("other")),
        ("a project's head below another parent", "§13 the same parent", 3, idc("elsewhere")),
        ("a head of another project", "§13 project id", 2, idc("elsewhere")),
        ("a project's head in another deployment", "§13 deployment id", 1, idc("elsewhere")),
    ] {
        file.bad("project-successor", name, rule, follows(&with(&second, index, item)));
    }
    let mut of_group = follows(&second);
    of_group["envelope"] = json!(hex(&signer.envelope("group-head", &bytes(&second))));
    file.bad("project-successor", "a project's head signed as a group's", "§1 the namespace is signed", of_group);
}

fn proofs(files: &mut Files) {
    let mut file = files.file("projects", "");
    let people = ["r.tal", "m.ery", "a.da", "e.va", "b.ob"];
    let leaf = |person: &str| batch::leaf(&bytes(&entry(person, "user")));
    let leaves = people.iter().map(|person| (ticrypt_types::UserId::from_random(id(person)).to_bytes(), leaf(person)));
    let set = Trie::new(leaves).unwrap_or_else(|_| unreachable!("five people"));
    let head = project_head(1, none(), 5, C::B(set.root().to_bytes().to_vec()));
    let beside = |person: &str| set.proof(&ticrypt_types::UserId::from_random(id(person)).to_bytes()).unwrap_or_default();
    let input = |record: &[C], beside: &[Digest]| -> Value {
        json!({ "head": hex(&bytes(&head)), "entry": hex(&bytes(record)), "beside": beside.iter().map(|hash| hex(hash.as_bytes())).collect::<Vec<_>>() })
    };
    for person in people {
        file.good("roster-proof", &format!("that {person} is in a project"), "§13 proof", input(&entry(person, "user"), &beside(person)));
    }
    let (mery, way) = (entry("m.ery", "user"), beside("m.ery"));
    file.bad("roster-proof", "a user's proof for a manager", "§13 the entry's leaf", input(&entry("m.ery", "manager"), &way));
    file.bad("roster-proof", "somebody else's proof", "§13 the bits of the person's id", input(&mery, &beside("a.da")));
    file.bad("roster-proof", "a proof of who is not there", "§13 proof", input(&entry("nobody", "user"), &way));
    file.bad(
        "roster-proof",
        "a proof without its last hash",
        "§13 proof",
        input(&mery, way.split_last().map_or(&[][..], |(_, rest)| rest)),
    );
    file.bad("roster-proof", "a proof of 129 hashes", "§13 at most 128", input(&mery, &vec![Digest::ZERO; 129]));
    file.bad("roster-proof", "an entry of another project", "§13 project id", input(&with(&mery, 2, idc("elsewhere")), &way));
    let turned: Vec<Digest> = way.iter().rev().copied().collect();
    file.bad("roster-proof", "a proof from the leaf up", "§13 from the root down", input(&mery, &turned));
}
