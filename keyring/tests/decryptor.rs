//! An exported vault, made with real keys, is opened by the independent decryptor in `tools/decrypt` (docs/formats.md §10).
//!
//! The Python comes from `TICRYPT_DECRYPT_PYTHON`. Without it, `python3` is used if it can import what the decryptor needs; where it
//! cannot, these tests fail and say how to get one. `TICRYPT_SKIP_DECRYPTOR=1` leaves them out, and nothing else does.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use minicbor::Encoder;
use ticrypt_crypto::bundle::Bundle;
use ticrypt_crypto::chunk::{CHUNK_SIZE, chunk_count_for};
use ticrypt_crypto::directory::HeadPayload;
use ticrypt_crypto::entry::{Entry, entries_root};
use ticrypt_crypto::grant::{GrantPayload, RecipientKind};
use ticrypt_crypto::manifest::{ManifestPayload, chunk_root};
use ticrypt_crypto::record::Record;
use ticrypt_crypto::{Digest, Suite};
use ticrypt_keyring::chunk::{ChunkSealer, buffer_for};
use ticrypt_keyring::entry::{self, Boundary};
use ticrypt_keyring::props::{ContentKind, EntryProps, ManifestProps};
use ticrypt_keyring::wrap::{ChildPlace, ManifestPlace, VersionPlace};
use ticrypt_keyring::{ContentKey, Identity, NodeKeys, PropsKey, SystemRandom, grant, keyfile, random};
use ticrypt_types::{DeploymentId, GrantId, NodeId, NodeKind, NodeName, Timestamp, UserId, Verbs, VersionId};

const PASSPHRASE: &str = "correct horse";
const MODIFIED_MS: u64 = 1_700_000_000_123;

/// What is in a directory: names and nodes.
enum Content {
    Directory(Vec<(&'static str, Content)>),
    File(Vec<u8>),
    Link(&'static str),
}

use Content::{Directory, File, Link};

struct Person {
    identity: Identity,
    bundle: Bundle,
}

/// Where what is exported lies, and everything needed to write it.
struct Export {
    random: SystemRandom,
    dir: tempfile::TempDir,
    items: Vec<Vec<u8>>,
    deployment: DeploymentId,
}

fn at(ms: u64) -> Timestamp {
    Timestamp::from_millis(ms)
}

impl Export {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        Self { random: SystemRandom::new(), dir, items: Vec::new(), deployment: DeploymentId::from_random([7; 16]) }
    }

    fn bytes(&self) -> [u8; 16] {
        random::public(&self.random).unwrap()
    }

    fn path(&self) -> PathBuf {
        self.dir.path().join("export")
    }

    fn item(&mut self, write: impl FnOnce(&mut Encoder<&mut Vec<u8>>)) {
        let mut bytes = Vec::new();
        write(&mut Encoder::new(&mut bytes));
        self.items.push(bytes);
    }

    fn person(&mut self, name: &str) -> Person {
        let user = UserId::from_random(self.bytes());
        let first = Identity::generate(&self.random, self.deployment, user, name.parse().unwrap()).unwrap();
        let first_bundle = first.bundle(at(1)).unwrap();
        // Everybody has rotated once, so that chains of bundles and retired seeds are met.
        let (identity, bundle) = first.rotate(&self.random, &first_bundle, false, at(2)).unwrap();
        for bundle in [&first_bundle, &bundle] {
            self.item(|e| {
                e.array(2).unwrap().str("bundle").unwrap().bytes(bundle.as_bytes()).unwrap();
            });
        }
        Person { identity, bundle }
    }

    fn grant(&mut self, owner: &Person, recipient: &Person, node: NodeId, kind: NodeKind, keys: &NodeKeys, verbs: Verbs) {
        let payload = GrantPayload {
            deployment: self.deployment,
            suite: Suite::CURRENT,
            grant: GrantId::from_random(self.bytes()),
            node,
            kind,
            epoch: 1,
            list_commitment: keys.list.commitment(),
            tree_commitment: keys.tree.as_ref().unwrap().commitment(),
            owner: owner.identity.user(),
            sealer: owner.identity.user(),
            sealer_bundle: owner.bundle.hash(),
            recipient_kind: RecipientKind::Person,
            recipient: recipient.identity.user(),
            recipient_bundle: recipient.bundle.hash(),
            recipient_generation: recipient.identity.generation(),
            verbs,
            expires: Timestamp::ABSENT,
            predecessor: None,
            authority: None,
            key_log_size: 0,
            key_log_root: None,
            issued: at(3),
        };
        let sealed = grant::issue(&self.random, owner.identity.signing(), &recipient.bundle, &payload, keys).unwrap();
        self.item(|e| {
            e.array(3).unwrap().str("grant").unwrap().bytes(&sealed.envelope).unwrap().bytes(&sealed.sealed).unwrap();
        });
    }

    /// Writes a directory and all below; returns its entries' bytes for tests that drop one.
    fn directory(&mut self, writer: &Person, node: NodeId, keys: &NodeKeys, children: &[(&str, Content)]) {
        let mut entries: Vec<Entry> = Vec::new();
        for (name, content) in children {
            let (child, child_keys) = (NodeId::from_random(self.bytes()), NodeKeys::generate(&self.random).unwrap());
            let kind = if matches!(content, Directory(_)) { NodeKind::Directory } else { NodeKind::File };
            let place = ChildPlace { deployment: self.deployment, parent: node, parent_epoch: 1, child, kind, child_epoch: 1 };
            let name = NodeName::normalise(name).unwrap();
            let mode = if kind == NodeKind::Directory { 0o750 } else { 0 };
            let props = EntryProps { name, created: at(1), modified: at(MODIFIED_MS), mode };
            entries.push(entry::seal(&self.random, keys, &place, &child_keys, &props, Boundary::Inside).unwrap());
            match content {
                Directory(below) => self.directory(writer, child, &child_keys, below),
                File(bytes) => self.file(writer, child, &child_keys, bytes, ContentKind::Regular),
                Link(target) => self.file(writer, child, &child_keys, target.as_bytes(), ContentKind::SymbolicLink),
            }
        }
        let head = HeadPayload {
            deployment: self.deployment,
            directory: node,
            counter: 1,
            epoch: 1,
            entry_count: entries.len() as u64,
            entries_root: entries_root(entries.iter().map(|entry| (entry.child, entry.leaf()))).unwrap(),
            previous: None,
            writer: writer.identity.user(),
            writer_bundle: writer.bundle.hash(),
            authority: None,
            at: at(4),
        };
        head.verify_entries(&entries).unwrap();
        let envelope = writer.identity.signing().sign_record(&head).unwrap();
        self.item(|e| {
            e.array(4).unwrap().str("directory").unwrap().bytes(node.as_bytes()).unwrap().bytes(&envelope).unwrap();
            e.array(entries.len() as u64).unwrap();
            for entry in &entries {
                e.bytes(&entry.to_bytes()).unwrap();
            }
        });
    }

    fn file(&mut self, writer: &Person, file: NodeId, keys: &NodeKeys, plaintext: &[u8], kind: ContentKind) {
        let version = VersionId::from_random(self.bytes());
        let content = ContentKey::generate(&self.random).unwrap();
        let sealer = ChunkSealer::new(&content, file, version).unwrap();
        let folder = self.path().join("chunks").join(file.to_string()).join(version.to_string());
        std::fs::create_dir_all(&folder).unwrap();
        let count = chunk_count_for(plaintext.len() as u64);
        let mut hashes = Vec::new();
        for number in 0..count {
            let start = (number * CHUNK_SIZE) as usize;
            let piece = &plaintext[start..plaintext.len().min(start + CHUNK_SIZE as usize)];
            let mut buffer = buffer_for(piece);
            sealer.seal_in_place(&self.random, number, number + 1 == count, &mut buffer).unwrap();
            hashes.push(Digest::of(&buffer));
            std::fs::write(folder.join(number.to_string()), buffer).unwrap();
        }
        let place = ManifestPlace { deployment: self.deployment, file, epoch: 1, version, sequence: 1 };
        let props_key = PropsKey::generate(&self.random).unwrap();
        let props = ManifestProps { kind, modified: at(MODIFIED_MS), mode: 0o640, sha256: Digest::of(plaintext) };
        let manifest = ManifestPayload {
            deployment: self.deployment,
            file,
            sequence: 1,
            predecessor: None,
            version,
            size: plaintext.len() as u64,
            chunk_count: count,
            chunk_root: chunk_root(&hashes),
            key_commitment: sealer.commitment(),
            props: props_key.seal_manifest_props(&self.random, &place, &props).unwrap(),
            writer: writer.identity.user(),
            writer_bundle: writer.bundle.hash(),
            authority: None,
            at: at(5),
        };
        // Signed in a batch, as an upload of many files is.
        let other = ManifestPayload { at: at(6), ..manifest.clone() };
        let envelope = writer.identity.signing().sign_records(&[other, manifest]).unwrap().remove(1);
        let props_wrap = keys.list.wrap_props_key(&self.random, &place, &props_key).unwrap();
        let place = VersionPlace { deployment: self.deployment, file, epoch: 1, version };
        let wrap = keys.tree.as_ref().unwrap().wrap_content(&self.random, &place, &content).unwrap();
        self.item(|e| {
            e.array(4).unwrap().str("file").unwrap().bytes(file.as_bytes()).unwrap();
            e.array(1).unwrap().array(2).unwrap().bytes(&envelope).unwrap().bytes(&props_wrap).unwrap();
            e.array(1).unwrap().array(3).unwrap().bytes(version.as_bytes()).unwrap().bytes(&wrap).unwrap();
            e.array(hashes.len() as u64).unwrap();
            for hash in &hashes {
                e.bytes(hash.as_bytes()).unwrap();
            }
        });
    }

    /// Writes `vault.cbor` and the key file of `person`.
    fn finish(&self, person: &Person) {
        std::fs::create_dir_all(self.path()).unwrap();
        std::fs::write(self.path().join("vault.cbor"), self.items.concat()).unwrap();
        let text = keyfile::write(&person.identity, PASSPHRASE.as_bytes(), keyfile::DEFAULT_ROUNDS, &self.random).unwrap();
        std::fs::write(self.dir.path().join("key.pem"), text).unwrap();
        std::fs::write(self.dir.path().join("passphrase"), format!("{PASSPHRASE}\n")).unwrap();
    }

    /// Runs the decryptor into `out`.
    fn decrypt(&self, python: &str, out: &str) -> Output {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tools/decrypt/ticrypt_decrypt.py");
        Command::new(python)
            .arg("-B")
            .arg(script)
            .args([self.path(), self.dir.path().join("key.pem"), self.dir.path().join(out)])
            .arg("--passphrase-file")
            .arg(self.dir.path().join("passphrase"))
            .arg("--links")
            .output()
            .unwrap()
    }
}

/// A vault of one person, with a directory and a file that another shares with them.
fn vault() -> (Export, Person) {
    let mut export = Export::new();
    let (me, friend) = (export.person("r.tal"), export.person("m.ery"));
    let pattern = |len: usize| (0..len).map(|i| (i / 257 + i) as u8).collect::<Vec<_>>();

    let (root, keys) = (NodeId::from_random(export.bytes()), NodeKeys::generate(&export.random).unwrap());
    export.grant(&me, &me, root, NodeKind::Directory, &keys, Verbs::ALL);
    let tree = [
        ("empty", File(vec![])),
        ("one byte", File(vec![42])),
        ("three chunks", File(pattern(2 * CHUNK_SIZE as usize + 12_345))),
        ("exactly one chunk", File(pattern(CHUNK_SIZE as usize))),
        ("link", Link("one byte")),
        (
            "Größe \u{1f9ec}",
            Directory(vec![
                ("e\u{301}t\u{e9}.txt", File(b"normal form c".to_vec())),
                ("a\u{202e}b\u{7}", File(b"control characters".to_vec())),
                ("deeper", Directory(vec![("still", Directory(vec![("x".repeat(255).leak(), File(b"long".to_vec()))]))])),
                ("nothing here", Directory(vec![])),
            ]),
        ),
    ];
    export.directory(&me, root, &keys, &tree);

    // A node the friend shares: its parent is not in the export, so its name comes from its own properties.
    let (shared, keys) = (NodeId::from_random(export.bytes()), NodeKeys::generate(&export.random).unwrap());
    export.grant(&friend, &me, shared, NodeKind::Directory, &keys, Verbs::VIEW);
    let place = ticrypt_keyring::wrap::NodePlace { deployment: export.deployment, node: shared, kind: NodeKind::Directory, epoch: 1 };
    let name = NodeName::parse("from m.ery").unwrap();
    let props = EntryProps { name, created: at(1), modified: at(MODIFIED_MS), mode: 0o700 };
    let props = keys.list.seal_entry_props(&export.random, &place, &props).unwrap();
    export.item(|e| {
        e.array(3).unwrap().str("props").unwrap().bytes(shared.as_bytes()).unwrap().bytes(&props).unwrap();
    });
    export.directory(&friend, shared, &keys, &[("data.csv", File(b"a,b\n1,2\n".to_vec()))]);
    export.finish(&me);
    (export, me)
}

/// All files below a directory: path to content, or to `-> target`.
fn files(root: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut open = vec![root.to_owned()];
    while let Some(dir) = open.pop() {
        for item in std::fs::read_dir(&dir).unwrap() {
            let path = item.unwrap().path();
            let name = path.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
            let kind = path.symlink_metadata().unwrap().file_type();
            if kind.is_symlink() {
                found.insert(name, format!("-> {}", path.read_link().unwrap().display()).into_bytes());
            } else if kind.is_dir() {
                found.insert(format!("{name}/"), vec![]);
                open.push(path);
            } else {
                found.insert(name, std::fs::read(&path).unwrap());
            }
        }
    }
    found
}

fn python() -> Option<String> {
    if std::env::var_os("TICRYPT_SKIP_DECRYPTOR").is_some_and(|value| value == "1") {
        eprintln!("left out: TICRYPT_SKIP_DECRYPTOR is 1");
        return None;
    }
    if let Ok(python) = std::env::var("TICRYPT_DECRYPT_PYTHON") {
        return Some(python);
    }
    let import = "import cryptography.hazmat.primitives.hpke as h; h.KEM.MLKEM1024_P384";
    let found = Command::new("python3").args(["-c", import]).output().is_ok_and(|output| output.status.success());
    assert!(
        found,
        "no python3 that can import what tools/decrypt/requirements.txt names: make one with `python3 -m venv target/venv && \
         target/venv/bin/pip install -r tools/decrypt/requirements.txt`, then set TICRYPT_DECRYPT_PYTHON to its bin/python; \
         or leave these tests out with TICRYPT_SKIP_DECRYPTOR=1"
    );
    Some("python3".to_owned())
}

fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

#[test]
fn the_independent_decryptor_restores_everything() {
    let Some(python) = python() else { return };
    let (export, me) = vault();
    let output = export.decrypt(&python, "out");
    assert!(output.status.success(), "{}", text(&output));
    let out = files(&export.dir.path().join("out"));
    let long = format!("Größe \u{1f9ec}/deeper/still/{}", "x".repeat(255));
    let pattern = |len: usize| (0..len).map(|i| (i / 257 + i) as u8).collect::<Vec<_>>();
    let expected: BTreeMap<String, Vec<u8>> = [
        ("empty", vec![]),
        ("one byte", vec![42]),
        ("three chunks", pattern(2 * CHUNK_SIZE as usize + 12_345)),
        ("exactly one chunk", pattern(CHUNK_SIZE as usize)),
        ("link", b"-> one byte".to_vec()),
        ("Größe \u{1f9ec}/", vec![]),
        ("Größe \u{1f9ec}/\u{e9}t\u{e9}.txt", b"normal form c".to_vec()),
        ("Größe \u{1f9ec}/a\u{202e}b\u{7}", b"control characters".to_vec()),
        ("Größe \u{1f9ec}/deeper/", vec![]),
        ("Größe \u{1f9ec}/deeper/still/", vec![]),
        ("Größe \u{1f9ec}/nothing here/", vec![]),
        (long.as_str(), b"long".to_vec()),
        ("from m.ery/", vec![]),
        ("from m.ery/data.csv", b"a,b\n1,2\n".to_vec()),
    ]
    .map(|(name, content)| (name.to_owned(), content))
    .into();
    assert!(out == expected, "{:?}", out.keys());
    // The friend's key was believed without comparing, and is shown for comparing; one's own is not.
    let said = text(&output);
    assert!(said.contains("m.ery") && !said.contains(&me.bundle.fingerprint().to_string()), "{said}");

    // A second run overwrites nothing.
    std::fs::write(export.dir.path().join("out/one byte"), b"mine").unwrap();
    let again = export.decrypt(&python, "out");
    assert_eq!(again.status.code(), Some(2), "{}", text(&again));
    assert_eq!(std::fs::read(export.dir.path().join("out/one byte")).unwrap(), b"mine");
}

#[test]
fn the_independent_decryptor_refuses_what_was_altered() {
    let Some(python) = python() else { return };
    let (export, _) = vault();
    let good = std::fs::read(export.path().join("vault.cbor")).unwrap();

    // One bit of one chunk: that file is refused and removed, the others are written.
    let chunks = files(&export.path().join("chunks"));
    let (name, big) = chunks.iter().find(|(_, content)| content.len() == 12_345 + 64).unwrap();
    let path = export.path().join("chunks").join(name);
    let mut altered = big.clone();
    altered[1000] ^= 1;
    std::fs::write(&path, &altered).unwrap();
    let output = export.decrypt(&python, "altered");
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output).contains("three chunks: chunk 2 is not the one that was signed"), "{}", text(&output));
    let out = files(&export.dir.path().join("altered"));
    assert!(!out.contains_key("three chunks") && out.contains_key("exactly one chunk"));
    std::fs::write(&path, big).unwrap();

    // A missing entry: nothing of that directory is written.
    let mut items = export.items.clone();
    let directory = items.iter_mut().rfind(|item| item[1..].starts_with(b"\x69directory") && item.len() > 1000).unwrap();
    let mut reader = minicbor::Decoder::new(directory);
    reader.array().unwrap();
    for _ in 0..3 {
        reader.skip().unwrap();
    }
    let (head, count) = (reader.position(), reader.array().unwrap().unwrap());
    let first = reader.position();
    reader.skip().unwrap();
    let mut shorter = directory[..head].to_vec();
    Encoder::new(&mut shorter).array(count - 1).unwrap();
    shorter.extend_from_slice(&directory[reader.position()..]);
    assert!(first < reader.position());
    *directory = shorter;
    std::fs::write(export.path().join("vault.cbor"), items.concat()).unwrap();
    let output = export.decrypt(&python, "missing");
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output).contains("more or fewer entries than were signed"), "{}", text(&output));

    // Cut off, and of a changed type.
    for (name, bytes) in [("cut", &good[..good.len() - 1]), ("type", &[&[0xf6], &good[..]].concat())] {
        std::fs::write(export.path().join("vault.cbor"), bytes).unwrap();
        let output = export.decrypt(&python, name);
        assert_eq!(output.status.code(), Some(2), "{}", text(&output));
        assert!(!export.dir.path().join(name).exists());
    }

    // The wrong passphrase.
    std::fs::write(export.path().join("vault.cbor"), &good).unwrap();
    std::fs::write(export.dir.path().join("passphrase"), "wrong").unwrap();
    let output = export.decrypt(&python, "wrong");
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output).contains("wrong passphrase"), "{}", text(&output));
}

#[test]
fn the_independent_decryptor_agrees_with_the_vectors() {
    let Some(python) = python() else { return };
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let output =
        Command::new(python).arg("-B").args([root.join("tools/decrypt/check_vectors.py"), root.join("crypto/vectors")]).output().unwrap();
    assert!(output.status.success(), "{}", text(&output));
}
