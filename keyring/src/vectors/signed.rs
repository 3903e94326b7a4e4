//! Vectors of signatures, of chains of records, and of sets that a record commits to.

use serde_json::{Value, json};
use ticrypt_crypto::entry::Entry;
use ticrypt_crypto::record::Record;
use ticrypt_crypto::{Digest, batch, manifest::chunk_root};

use super::make::{C, File, Files, Signer, bytes, hash, hex, id, idc, none, rec, with};
use super::records::{bundle, entry, grant, head_record, manifest};

pub(super) fn write(files: &mut Files) {
    public_keys(files);
    envelopes(files);
    bundles(files);
    grants(files);
    directories(files);
    manifests(files);
}

fn public_keys(files: &mut Files) {
    let mut file = files.file("public-keys", "Public keys: SEC 1 uncompressed points of P-256 (docs/formats.md §1).");
    let good = Signer::new("a").public;
    let input = |bytes: &[u8]| json!({ "bytes": hex(bytes) });
    file.good("public-key", "a point of P-256", "§1 uncompressed points", input(&good));
    let odd = 2 + (good[64] & 1);
    let changed = |first: u8| [&[first], &good[1..]].concat();
    for (name, bytes) in [
        ("a compressed point", [&[odd], &good[1..33]].concat()),
        ("a hybrid point", changed(odd + 4)),
        ("a point of an unknown form", changed(5)),
        ("the point at infinity", vec![0]),
        ("the point at infinity padded", vec![0; 65]),
        ("an uncompressed point at zero", [vec![4], vec![0; 64]].concat()),
        ("a point without its form", good[1..].to_vec()),
        ("a point with a byte behind it", [&good[..], &[0]].concat()),
        ("a point whose y is another's", [&good[..33], &Signer::new("b").public[33..]].concat()),
        ("a point with a coordinate beyond the field", [vec![4], vec![0xff; 32], good[33..].to_vec()].concat()),
    ] {
        file.bad("public-key", name, "§1 public keys are SEC 1 uncompressed points", input(&bytes));
    }
}

fn envelopes(files: &mut Files) {
    let mut file = files.file("envelopes", "Signatures, alone and in batches (docs/formats.md §1).");
    let (signer, other) = (Signer::new("a"), Signer::new("b"));
    let payload = b"any payload".to_vec();
    let input = |record: &[C], namespace: &str, key: &Signer, payload: &[u8]| json!({ "bytes": hex(&bytes(record)), "namespace": namespace, "key": hex(&key.public), "payload": hex(payload) });
    let one = signer.envelope_record("grant", &payload);
    file.good("envelope", "a signed record", "§1 envelope", input(&one, "grant", &signer, &payload));
    let mut fault = |name: &str, rule: &str, index: usize, item: C| {
        file.bad("envelope", name, rule, input(&with(&one, index, item), "grant", &signer, &payload));
    };
    let signature = signer.ecdsa(&Signer::message("grant", 1, &batch::leaf(&payload)));
    let order = [&[0xff; 4][..], &[0; 4], &[0xff; 8], &order_low()].concat();
    fault("an envelope of suite 0", "§0 suite 1", 1, C::U(0));
    fault("an envelope of suite 2", "§0 suite 1", 1, C::U(2));
    fault("another payload than was signed", "§1 leaf H(0x00 ‖ payload)", 2, C::B(b"other payload".to_vec()));
    fault("the payload as text", "§1 payload bstr", 2, C::t("any payload"));
    fault("an index that equals the count", "§1 index < count", 3, C::U(1));
    fault("a batch of none", "§1 index < count", 4, C::U(0));
    fault("a batch of two without a path", "§1 the path has exactly its length", 4, C::U(2));
    fault("a path where none belongs", "§1 the path has exactly its length", 5, C::A(vec![hash("x")]));
    fault("a path longer than any batch has", "§1 count ≤ 2^20", 5, C::A(vec![hash("x"); 21]));
    fault("a path of shorter hashes", "§1 path of hashes", 5, C::A(vec![C::B(vec![1; 31])]));
    fault("a path that is no array", "§1 path", 5, none());
    fault("a signature of 63 bytes", "§1 signature bstr64", 6, C::B(signature[..63].to_vec()));
    fault(
        "a signature in DER",
        "§1 r ‖ s, 32 bytes each",
        6,
        C::B([&[0x30, 0x44, 2, 0x20][..], &signature[..32], &[2, 0x20], &signature[32..]].concat()),
    );
    fault("a signature of zeros", "§1 ECDSA: r and s are not 0", 6, C::B(vec![0; 64]));
    fault("a signature whose s is 0", "§1 ECDSA: r and s are not 0", 6, C::B([&signature[..32], &[0; 32]].concat()));
    fault("a signature whose r is the order", "§1 ECDSA: r and s are below the order", 6, C::B([&order[..], &signature[32..]].concat()));
    fault("s in front of r", "§1 r ‖ s", 6, C::B([&signature[32..], &signature[..32]].concat()));
    let mut signed = |name: &str, rule: &str, message: Vec<u8>| {
        file.bad("envelope", name, rule, input(&with(&one, 6, C::B(signer.ecdsa(&message))), "grant", &signer, &payload));
    };
    let leaf = batch::leaf(&payload);
    signed("the payload signed directly", "§1 message", payload.clone());
    signed("the root signed without a namespace", "§1 message", leaf.as_bytes().to_vec());
    signed(
        "a message of another system",
        "§1 message begins with ticrypt/v1",
        [b"ticrypt/v2\0grant\0", &[0, 0, 0, 1][..], leaf.as_bytes()].concat(),
    );
    signed("a message without its zero bytes", "§1 message", [b"ticrypt/v1grant", &[0, 0, 0, 1][..], leaf.as_bytes()].concat());
    signed("the root signed without the count", "§1 message", [b"ticrypt/v1\0grant\0", &leaf.as_bytes()[..]].concat());
    signed("the count as eight bytes", "§1 message", [b"ticrypt/v1\0grant\0", &1_u64.to_be_bytes()[..], leaf.as_bytes()].concat());
    signed("a leaf without its prefix", "§1 leaf H(0x00 ‖ payload)", Signer::message("grant", 1, &Digest::of(&payload)));
    for (namespace, as_) in [
        ("statement", "grant"),
        ("revocation", "grant"),
        ("directory", "manifest"),
        ("bundle", "bundle-rotation"),
        ("login", "session-binding"),
    ] {
        let name = format!("a {namespace} taken for a {as_}");
        let record = signer.envelope_record(namespace, &payload);
        file.bad("envelope", &name, "§1 the namespace is signed", input(&record, as_, &signer, &payload));
    }
    file.bad(
        "envelope",
        "somebody else's signature",
        "§1 signed by",
        input(&other.envelope_record("grant", &payload), "grant", &signer, &payload),
    );

    let payloads: Vec<_> = (0..5_u8).map(|i| vec![i; 3]).collect();
    for index in [0, 3, 4] {
        let name = format!("record {index} of a batch of 5");
        file.good(
            "envelope",
            &name,
            "§1 RFC 6962 path",
            input(&signer.batch("manifest", &payloads, index), "manifest", &signer, &payloads[index]),
        );
    }
    let third = signer.batch("manifest", &payloads, 2);
    let C::A(path) = third[5].clone() else { unreachable!() };
    let mut fault = |name: &str, rule: &str, index: usize, item: C| {
        file.bad("envelope", name, rule, input(&with(&third, index, item), "manifest", &signer, &payloads[2]));
    };
    fault("a record in its neighbour's place", "§1 leaf and index", 3, C::U(3));
    fault("a record of another batch", "§1 root recomputed", 2, C::B(vec![9; 3]));
    fault("a path upside down", "§1 path", 5, C::A(path.iter().rev().cloned().collect()));
    fault("a path cut off", "§1 the path has exactly its length", 5, C::A(path[..2].to_vec()));
    fault("a path with one step more", "§1 the path has exactly its length", 5, C::A([&path[..], &[hash("x")]].concat()));
    fault("a batch of more than 2^20", "§1 count ≤ 2^20", 4, C::U((1 << 20) + 1));
    fault("a batch whose count asks for a longer path", "§1 the path has exactly its length", 4, C::U(9));
    // Six and seven leaves have paths of one length to the first four, and the path of seven leads there with a count of six.
    let seven: Vec<_> = (0..7_u8).map(|i| vec![i; 3]).collect();
    let record = with(&signer.batch("manifest", &seven, 0), 4, C::U(6));
    file.bad("envelope", "another count with the same path", "§1 the count is signed", input(&record, "manifest", &signer, &seven[0]));
    // An inner node passed off as a record: its hash lacks the leaf's prefix.
    let tree = batch::Tree::new(payloads[..2].iter().map(|p| batch::leaf(p)).collect());
    let inner = [&[1][..], batch::leaf(&payloads[0]).as_bytes(), batch::leaf(&payloads[1]).as_bytes()].concat();
    let signature = signer.ecdsa(&Signer::message("manifest", 2, &tree.root()));
    let record = rec(vec![C::U(1), C::B(inner[1..].to_vec()), C::U(0), C::U(1), C::A(vec![]), C::B(signature)]);
    file.bad(
        "envelope",
        "an inner node taken for a record",
        "§1 leaves and nodes have different prefixes",
        input(&record, "manifest", &signer, &inner),
    );
    let leaves: Vec<_> = payloads.iter().map(|p| hex(batch::leaf(p).as_bytes())).collect();
    let root = batch::Tree::new(payloads.iter().map(|p| batch::leaf(p)).collect()).root();
    file.good("merkle-root", "the root of five leaves", "§1 RFC 6962", json!({ "leaves": leaves, "root": root }));
    let duplicated = [&leaves[..], &leaves[4..]].concat();
    file.bad("merkle-root", "the last leaf doubled gives another root", "§1 RFC 6962", json!({ "leaves": duplicated, "root": root }));
}

/// The lower half of P-256's order.
fn order_low() -> Vec<u8> {
    0xbce6_faad_a717_9e84_f3b9_cac2_fc63_2551_u128.to_be_bytes().to_vec()
}

/// Both envelopes of a bundle.
fn signed_bundle(payload: &[u8], signer: &Signer, rotation: Option<Vec<u8>>) -> Vec<u8> {
    bytes(&rec(vec![C::B(signer.envelope("bundle", payload)), C::B(rotation.unwrap_or_default())]))
}

fn bundles(files: &mut Files) {
    let mut file = files.file("bundles", "Identity bundles and how one follows another (docs/formats.md §2).");
    let (zero, one) = (Signer::new("r.tal 0"), Signer::new("r.tal 1"));
    let first_payload = bytes(&bundle("r.tal", 0, 0, none()));
    let first = signed_bundle(&first_payload, &zero, None);
    let first_hash = C::B(Digest::of(&first_payload).to_bytes().to_vec());
    let second = bundle("r.tal", 1, 1, first_hash.clone());
    let payload = bytes(&second);
    let rotation = |payload: &[u8]| Some(zero.envelope("bundle-rotation", payload));
    let input = |bytes: &[u8]| json!({ "bytes": hex(bytes) });
    let follows = |bytes: &[u8]| json!({ "bytes": hex(bytes), "previous": hex(&first) });
    file.good("bundle", "a first bundle", "§2 bundle", input(&first));
    file.good("bundle", "a rotation", "§2 reason 1", follows(&signed_bundle(&payload, &one, rotation(&payload))));
    let compromised = bytes(&with(&second, 9, C::U(2)));
    file.good(
        "bundle",
        "a rotation after a compromise",
        "§2 reason 2",
        follows(&signed_bundle(&compromised, &one, rotation(&compromised))),
    );
    let reset = bytes(&with(&second, 9, C::U(3)));
    file.good("bundle", "a reset", "§2 reason 3", follows(&signed_bundle(&reset, &one, None)));
    let text = "ba78 16bf 8f01 cfea 4141 40de 5dae 2223 b003 61a3 9617 7a9c b410 ff61 f200 15ad";
    file.good("fingerprint", "a fingerprint", "§2 16 groups of four", json!({ "hash": Digest::of(b"abc"), "text": text }));
    file.bad(
        "fingerprint",
        "a fingerprint in capital letters",
        "§2 lower-case",
        json!({ "hash": Digest::of(b"abc"), "text": text.to_uppercase() }),
    );
    file.bad(
        "fingerprint",
        "a fingerprint that is cut off",
        "§2 16 groups of four",
        json!({ "hash": Digest::of(b"abc"), "text": &text[..74] }),
    );

    file.bad(
        "bundle",
        "a bundle signed by another key",
        "§1 signed by the identity in it",
        input(&signed_bundle(&first_payload, &one, None)),
    );
    let statement = bytes(&rec(vec![C::B(zero.envelope("statement", &first_payload)), none()]));
    file.bad("bundle", "a bundle signed as a statement", "§1 namespace bundle", input(&statement));
    file.bad(
        "bundle",
        "a first bundle with a rotation's signature",
        "§2 otherwise it is empty",
        input(&signed_bundle(&first_payload, &zero, rotation(&first_payload))),
    );
    file.bad(
        "bundle",
        "a reset with a rotation's signature",
        "§2 otherwise it is empty",
        input(&signed_bundle(&reset, &one, rotation(&reset))),
    );
    file.bad(
        "bundle",
        "a rotation without the old key's signature",
        "§2 reasons 1 and 2 carry a second envelope",
        input(&signed_bundle(&payload, &one, None)),
    );
    file.bad(
        "bundle",
        "a rotation signed twice by the new key",
        "§2 by the predecessor's signing key",
        follows(&signed_bundle(&payload, &one, Some(one.envelope("bundle-rotation", &payload)))),
    );
    file.bad(
        "bundle",
        "a rotation whose second envelope is a bundle's",
        "§2 namespace bundle-rotation",
        follows(&signed_bundle(&payload, &one, Some(zero.envelope("bundle", &payload)))),
    );
    file.bad(
        "bundle",
        "two envelopes over different payloads",
        "§2 over the same payload",
        follows(&signed_bundle(&payload, &one, rotation(&compromised))),
    );
    file.bad(
        "bundle",
        "a second envelope that is no envelope",
        "§2 rotation envelope",
        follows(&signed_bundle(&payload, &one, Some(vec![0x80]))),
    );
    for (name, rule, index, item) in [
        ("a rotation of another person", "§2 user id", 2, idc("m.ery")),
        ("a rotation in another deployment", "§2 deployment id", 1, idc("elsewhere")),
        ("a rotation under another name", "§2 user name", 3, C::t("m.ery")),
        ("a rotation that skips a generation", "§2 generation", 4, C::U(2)),
        ("a rotation that names another predecessor", "§2 names the record hash of the one before", 8, hash("other")),
    ] {
        let payload = bytes(&with(&second, index, item));
        file.bad("bundle", name, rule, follows(&signed_bundle(&payload, &one, rotation(&payload))));
    }
    let three = json!({ "bytes": hex(&bytes(&rec(vec![C::B(vec![]), C::B(vec![]), C::B(vec![])]))) });
    file.bad("bundle", "a bundle of three envelopes", "§2 bundle", three);
}

fn grants(files: &mut Files) {
    let mut file = files.file("grants", "Grants that rest on grants, and grants that replace grants (docs/formats.md §6).");
    let (owner, holder) = (Signer::new("owner"), Signer::new("holder"));
    let record_hash = |record: &[C]| C::B(Digest::of(&bytes(record)).to_bytes().to_vec());
    let expires = 1_800_000_000_000;
    let authority = grant("owner", "holder", 9, expires);
    let sub = |verbs: u64, expires: u64, authority: &[C]| {
        let record = with(&grant("owner", "third", verbs, expires), 10, idc("holder"));
        with(&record, 19, record_hash(authority))
    };
    let terms = |record: &[C], authority: &[C]| {
        json!({
            "envelope": hex(&holder.envelope("grant", &bytes(record))), "key": hex(&holder.public),
            "authority": hex(&owner.envelope("grant", &bytes(authority))), "authority_key": hex(&owner.public),
        })
    };
    let good = sub(1, expires, &authority);
    file.good("grant-terms", "sharing on within one's own terms", "§6 authority", terms(&good, &authority));
    let viewless = sub(0, expires - 1, &authority);
    file.good("grant-terms", "sharing on less than one has", "§6 authority", terms(&viewless, &authority));
    let mut bad = |name: &str, rule: &str, record: &[C], authority: &[C]| file.bad("grant-terms", name, rule, terms(record, authority));
    bad("sharing on a verb one does not have", "§6 verbs must not exceed it", &sub(3, expires, &authority), &authority);
    bad("sharing on for longer than one has", "§6 expiry must not exceed it", &sub(1, expires + 1, &authority), &authority);
    bad("sharing on for ever what ends", "§6 expiry must not exceed it", &sub(1, 0, &authority), &authority);
    let may_not = grant("owner", "holder", 7, expires);
    bad("sharing on without share", "§6 it must carry share", &sub(1, expires, &may_not), &may_not);
    bad("an authority that is another grant", "§6 authority is the record hash", &with(&good, 19, hash("other")), &authority);
    let theirs = grant("owner", "x.eno", 9, expires);
    bad("an authority that was made for somebody else", "§6 the grant under which the sealer shares", &sub(1, expires, &theirs), &theirs);
    let group = with(&authority, 12, C::U(1));
    bad("an authority that was made for a group", "§6 the grant under which the sealer shares", &sub(1, expires, &group), &group);
    bad("an authority of another owner's tree", "§6 a chain that ends at the owner", &with(&good, 9, idc("x.eno")), &authority);
    bad("an authority of another deployment", "§6 deployment id", &with(&good, 1, idc("elsewhere")), &authority);
    let mut unsigned = terms(&good, &authority);
    unsigned["authority_key"] = json!(hex(&holder.public));
    file.bad("grant-terms", "an authority one signed oneself", "§6 a chain that ends at the owner", unsigned);

    let old = grant("owner", "third", 3, expires);
    let editor = grant("owner", "holder", 5, expires);
    let reseal = |authority: &[C]| {
        let record = with(&grant("owner", "third", 3, expires), 10, idc("holder"));
        with(&with(&with(&record, 6, C::U(4)), 18, record_hash(&old)), 19, record_hash(authority))
    };
    let inputs = |record: &[C], authority: &[C]| {
        let mut inputs = terms(record, authority);
        inputs["predecessor"] = json!(hex(&owner.envelope("grant", &bytes(&old))));
        inputs["predecessor_key"] = json!(hex(&owner.public));
        inputs
    };
    let good = reseal(&editor);
    file.good("grant-reseal", "new keys under old terms", "§6 a re-seal by another holder with edit", inputs(&good, &editor));
    let mut bad = |name: &str, rule: &str, record: &[C]| file.bad("grant-reseal", name, rule, inputs(record, &editor));
    bad("new keys and one verb more", "§6 verbs equal its predecessor's", &with(&good, 16, C::U(7)));
    bad("new keys and one verb less", "§6 verbs equal its predecessor's", &with(&good, 16, C::U(1)));
    bad("new keys and no end", "§6 expiry equals its predecessor's", &with(&good, 17, C::U(0)));
    bad("new keys for somebody else", "§6 recipient equals its predecessor's", &with(&good, 13, idc("x.eno")));
    bad("new keys for a group of the same id", "§6 recipient equals its predecessor's", &with(&good, 12, C::U(1)));
    bad("new keys of another node", "§6 predecessor", &with(&good, 4, idc("elsewhere")));
    bad("keys of an epoch before", "§6 a new epoch", &with(&good, 6, C::U(2)));
    bad("new keys for a retired generation", "§6 predecessor", &with(&good, 15, C::U(1)));
    bad("new keys that name another predecessor", "§6 predecessor", &with(&good, 18, hash("other")));
    bad("new keys that name no predecessor", "§6 predecessor", &with(&good, 18, none()));
    let reader = grant("owner", "holder", 3, expires);
    file.bad("grant-reseal", "new keys by a reader", "§6 another holder with edit", inputs(&reseal(&reader), &reader));
}

fn directories(files: &mut Files) {
    let mut file = files.file("directories", "Directory heads and the entries they commit to (docs/formats.md §7).");
    let entries: Vec<_> = ["a", "b", "c", "d"].map(entry).to_vec();
    let leaf = |record: &[C]| Entry::parse(&bytes(record)).unwrap();
    let root_of = |entries: &[Vec<C>]| {
        let leaves = entries.iter().map(|record| leaf(record)).map(|entry| (entry.child, entry.leaf()));
        C::B(ticrypt_crypto::entry::entries_root(leaves).unwrap().to_bytes().to_vec())
    };
    let head = head_record(2, hash("previous"), 4, root_of(&entries));
    let input = |head: &[C], entries: &[Vec<C>]| {
        let entries: Vec<_> = entries.iter().map(|entry| hex(&bytes(entry))).collect();
        json!({ "head": hex(&bytes(head)), "entries": entries })
    };
    file.good("listing", "a whole listing", "§7 entries root", input(&head, &entries));
    let reordered: Vec<_> = entries.iter().rev().cloned().collect();
    file.good("listing", "a listing in another order", "§7 the order does not matter", input(&head, &reordered));
    let empty = head_record(1, none(), 0, C::B(vec![0; 32]));
    file.good("listing", "an empty directory", "§7 root of the empty set", input(&empty, &[]));
    let mut bad = |name: &str, rule: &str, entries: &[Vec<C>]| file.bad("listing", name, rule, input(&head, entries));
    bad("a listing that lacks an entry", "§11 an entry missing", &entries[..3]);
    bad("a listing with one entry more", "§11 an entry added", &[&entries[..], &[entry("e")]].concat());
    bad("a listing with one entry exchanged", "§11 an entry altered", &[&entries[..3], &[entry("e")]].concat());
    bad("a listing with one wrap altered", "§11 an entry altered", &[&entries[..3], &[with(&entries[3], 8, C::B(vec![9; 60]))]].concat());
    bad("a listing with two names exchanged", "§11 an entry altered", &{
        let mut entries = entries.clone();
        let (one, two) = (entries[0][6].clone(), entries[1][6].clone());
        (entries[0][6], entries[1][6]) = (two, one);
        entries
    });
    bad("a listing with an entry twice", "§7 keyed by the child id", &[&entries[..3], &entries[..1]].concat());
    bad(
        "a listing with an entry of another directory",
        "§11 moved to another directory",
        &[&entries[..3], &[with(&entries[3], 1, idc("elsewhere"))]].concat(),
    );
    bad("a listing with an entry of the epoch before", "§5 parent epoch", &[&entries[..3], &[with(&entries[3], 2, C::U(2))]].concat());
    bad("an empty listing of a full directory", "§11 an entry missing", &[]);
    let lying = with(&head, 5, C::U(5));
    file.bad("listing", "a head that counts one entry more", "§7 entry count", input(&lying, &entries));

    let ids = |ids: &[[u8; 16]], root: &str| -> Value {
        let leaves: Vec<_> = (0..ids.len()).map(|i| Digest::of(&[i as u8])).collect();
        json!({ "ids": ids.iter().map(|id| hex(id)).collect::<Vec<_>>(), "leaves": leaves, "root": root })
    };
    let mut neighbour = id("a");
    neighbour[15] ^= 1;
    let mut root = batch::node(&Digest::of(&[0]), &Digest::of(&[1]));
    if id("a")[15] & 1 == 1 {
        root = batch::node(&Digest::of(&[1]), &Digest::of(&[0]));
    }
    for depth in (0..127).rev() {
        let bit = id("a")[depth / 8] >> (7 - depth % 8) & 1;
        root = if bit == 0 { batch::node(&root, &Digest::ZERO) } else { batch::node(&Digest::ZERO, &root) };
    }
    file.good("entries-root", "two ids that differ in their last bit", "§7 root(S, d)", ids(&[id("a"), neighbour], &root.to_string()));
    let pair = batch::node(&Digest::of(&[0]), &Digest::of(&[1]));
    file.bad("entries-root", "a root that skips the bits two ids share", "§7 root(S, d)", ids(&[id("a"), neighbour], &pair.to_string()));
    file.bad("entries-root", "the same id twice", "§7 keyed by the child id", ids(&[id("a"), id("a")], &pair.to_string()));

    let signer = Signer::new("writer");
    let previous = head_record(2, hash("before"), 4, root_of(&entries));
    let previous_hash = C::B(Digest::of(&bytes(&previous)).to_bytes().to_vec());
    let next = head_record(3, previous_hash, 3, root_of(&entries[..3]));
    let follows = |record: &[C]| {
        json!({
            "envelope": hex(&signer.envelope("directory", &bytes(record))),
            "previous": hex(&signer.envelope("directory", &bytes(&previous))),
            "key": hex(&signer.public),
        })
    };
    file.good("head-successor", "the next head", "§7 counter + 1", follows(&next));
    for (name, rule, index, item) in [
        ("a head that skips a counter", "§7 counter + 1", 3, C::U(4)),
        ("another head with the same counter", "§7 another head with the same counter", 3, C::U(2)),
        ("a head that names another before it", "§7 previous", 7, hash("other")),
        ("a head of another directory", "§7 directory id", 2, idc("elsewhere")),
        ("a head of an older epoch", "§6 closing: epoch + 1", 4, C::U(2)),
    ] {
        file.bad("head-successor", name, rule, follows(&with(&next, index, item)));
    }
}

fn manifests(files: &mut Files) {
    let mut file: File<'_> = files.file("manifests", "Manifests and the chunks they commit to (docs/formats.md §8).");
    let chunks: Vec<_> = (0..3_u8).map(|i| Digest::of(&[i])).collect();
    let record = manifest(1, none(), 3 * 8_388_608, 3, C::B(chunk_root(&chunks).to_bytes().to_vec()));
    let input = |hashes: &[Digest]| json!({ "manifest": hex(&bytes(&record)), "hashes": hashes });
    file.good("manifest-chunks", "the chunks of a version", "§8 chunk root", input(&chunks));
    let mut bad = |name: &str, hashes: &[Digest]| file.bad("manifest-chunks", name, "§11 chunk root in the signed manifest", input(hashes));
    bad("two chunks swapped", &[chunks[1], chunks[0], chunks[2]]);
    bad("a chunk dropped", &chunks[..2]);
    bad("a chunk added", &[&chunks[..], &chunks[..1]].concat());
    bad("a chunk repeated in another's place", &[chunks[0], chunks[0], chunks[2]]);
    bad("a chunk of another upload attempt", &[chunks[0], Digest::of(b"attempt 2"), chunks[2]]);
    let bare = with(&record, 8, C::B(batch::root(&chunks).to_bytes().to_vec()));
    let input = json!({ "manifest": hex(&bytes(&bare)), "hashes": chunks });
    file.bad("manifest-chunks", "a root over chunk hashes without the leaf prefix", "§8 leaves H(0x00 ‖ chunk hash)", input);

    let signer = Signer::new("writer");
    let previous_hash = C::B(Digest::of(&bytes(&record)).to_bytes().to_vec());
    let next = manifest(2, previous_hash, 1, 1, hash("root"));
    let follows = |next: &[C]| {
        json!({
            "envelope": hex(&signer.envelope("manifest", &bytes(next))),
            "previous": hex(&signer.envelope("manifest", &bytes(&record))),
            "key": hex(&signer.public),
        })
    };
    file.good("manifest-successor", "the next manifest", "§8 sequence", follows(&next));
    for (name, rule, index, item) in [
        ("a manifest that skips a sequence", "§8 sequence", 3, C::U(3)),
        ("a manifest that names another predecessor", "§8 predecessor", 4, hash("other")),
        ("a manifest of another file", "§8 file id", 2, idc("elsewhere")),
        ("a manifest in another deployment", "§8 deployment id", 1, idc("elsewhere")),
    ] {
        file.bad("manifest-successor", name, rule, follows(&with(&next, index, item)));
    }
}
