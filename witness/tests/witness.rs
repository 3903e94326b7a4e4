//! The witness in process: every status of the standard, and a log that works with it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use std::{fs, io};

use aws_lc_rs::rand::SystemRandom;
use axum::body::Body;
use axum::http::{Request, header};
use http_body_util::BodyExt;
use ticrypt_log::fs::{LogFile, LogFs, RealFs};
use ticrypt_log::witness::{WitnessAnswer, parse_witness_answer, witness_request};
use ticrypt_log::{Checkpoint, Log, NoteSigner, Options, SignatureType, SignedCheckpoint, leaf_hash};
use ticrypt_types::Secret;
use ticrypt_witness::config::{TrustedLog, read_logs};
use ticrypt_witness::key::{KeyFileError, load_or_generate};
use ticrypt_witness::{Answer, Witness, router};
use tower::ServiceExt;

const ORIGIN: &str = "log.example/audit";
const NAME: &str = "witness.example/w1";
const NOW_S: u64 = 1_700_000_000;

fn signer(name: &str, seed: u8) -> NoteSigner {
    NoteSigner::from_seed(name, SignatureType::Ed25519, Secret::new([seed; 32])).unwrap()
}

fn log_signer() -> NoteSigner {
    signer(ORIGIN, 7)
}

fn witness_on(fs: Arc<dyn LogFs>, directory: &Path) -> Witness {
    let own = load_or_generate(directory, Some(NAME), &SystemRandom::new()).unwrap();
    let trusted = vec![TrustedLog { origin: ORIGIN.into(), key: log_signer().verifier().clone() }];
    Witness::open(fs, directory, own, trusted).unwrap()
}

fn witness(directory: &Path) -> Witness {
    witness_on(Arc::new(RealFs), directory)
}

async fn log(directory: &Path, witness: &Witness) -> Log {
    let options = Options {
        checkpoint_interval: Duration::from_secs(3600),
        witnesses: vec![witness.verifier().clone()],
        quorum: 1,
        ..Options::default()
    };
    Log::open(directory, ORIGIN, log_signer(), options).unwrap().0
}

async fn grow(log: &Log, count: u64) -> SignedCheckpoint {
    let entries = (0..count).map(|number| format!("{number}").into_bytes()).collect();
    log.append_many(entries).await.unwrap();
    log.flush().await.unwrap();
    log.latest_checkpoint().unwrap()
}

fn cosignature(answer: &Answer) -> String {
    let parsed = parse_witness_answer(answer.status, Some(answer.content_type), answer.body.as_bytes());
    match parsed.unwrap() {
        WitnessAnswer::Cosigned(lines) => lines[0].to_string(),
        other => panic!("{other:?} {answer:?}"),
    }
}

#[tokio::test]
async fn a_log_gets_its_growth_cosigned() {
    let scratch = tempfile::tempdir().unwrap();
    let witness = witness(&scratch.path().join("witness"));
    let log = log(&scratch.path().join("log"), &witness).await;
    let mut old = 0;
    for count in [1, 1, 5, 300, 700] {
        let signed = grow(&log, count).await;
        let answer = witness.add_checkpoint(&log.witness_request(old, &signed).unwrap(), NOW_S);
        assert_eq!(answer.status, 200, "{answer:?}");
        old += count;
        assert_eq!(log.add_cosignature(&cosignature(&answer)).unwrap(), old);
        let witnessed = log.witnessed_checkpoint().unwrap();
        assert_eq!(witnessed.checkpoint().size, old);
        let keys = [witness.verifier().clone()];
        assert_eq!(witnessed.verify(&keys).unwrap()[0].time_s, Some(NOW_S));
    }
    // The same head again is cosigned again; the empty proof is the only one allowed.
    let signed = log.latest_checkpoint().unwrap();
    assert_eq!(witness.add_checkpoint(&witness_request(old, &[], &signed), NOW_S).status, 200);
    let padded = witness_request(old, &[leaf_hash(b"x")], &signed);
    assert_eq!(witness.add_checkpoint(&padded, NOW_S).status, 422);
}

#[tokio::test]
async fn every_refusal_has_its_status() {
    let scratch = tempfile::tempdir().unwrap();
    let witness = witness(&scratch.path().join("witness"));
    let log = log(&scratch.path().join("log"), &witness).await;
    let first = grow(&log, 10).await;
    let ask = |body: &[u8]| witness.add_checkpoint(body, NOW_S);
    let good = witness_request(0, &[], &first);

    let text = String::from_utf8(good.clone()).unwrap();
    for bad in [
        String::new(),
        text.replacen("old 0", "old 00", 1),
        text.replacen("old 0", "old -1", 1),
        text.replacen("old 0", "new 0", 1),
        text.replacen("old 0\n", "old 0\nAAAA\n", 1),
        text.replacen("\n10\n", "\n010\n", 1),
        text.replacen("old 0\n\n", "old 0\n", 1),
        format!("old 0\n{}\n{}", format!("{}\n", leaf_hash(b"x")).repeat(64), first.note()),
    ] {
        assert_eq!(ask(bad.as_bytes()).status, 400, "{bad}");
    }
    assert_eq!(ask(&vec![b'a'; 300_000]).status, 400);

    let head = |origin: &str, size, root| Checkpoint { origin: origin.into(), size, root };
    let root = first.checkpoint().root;
    let unknown = head("other.example", 10, root).sign(&signer("other.example", 3)).unwrap();
    assert_eq!(ask(&witness_request(0, &[], &unknown)).status, 404);
    let forged = head(ORIGIN, 10, root).sign(&signer(ORIGIN, 8)).unwrap();
    assert_eq!(ask(&witness_request(0, &[], &forged)).status, 403);
    assert_eq!(ask(&witness_request(11, &[], &first)).status, 400, "old size above the checkpoint");

    let conflict = ask(&witness_request(3, &[], &first));
    assert_eq!((conflict.status, conflict.body.as_str()), (409, "0\n"));
    assert_eq!(conflict.content_type, "text/x.tlog.size");
    assert_eq!(ask(&witness_request(0, &[root], &first)).status, 422, "a proof from nothing is empty");
    assert_eq!(ask(&good).status, 200);
    let conflict = ask(&good);
    assert_eq!((conflict.status, conflict.body.as_str()), (409, "10\n"));

    let fork = head(ORIGIN, 10, leaf_hash(b"another history")).sign(&log_signer()).unwrap();
    assert_eq!(ask(&witness_request(10, &[], &fork)).status, 409);
    let longer_fork = head(ORIGIN, 11, leaf_hash(b"another history")).sign(&log_signer()).unwrap();
    assert_eq!(ask(&witness_request(10, &[root], &longer_fork)).status, 422);
    let second = grow(&log, 5).await;
    let mut proof = log.consistency_proof(10, 15).unwrap();
    assert_eq!(ask(&witness_request(10, &proof[1..], &second)).status, 422);
    proof[0] = leaf_hash(b"x");
    assert_eq!(ask(&witness_request(10, &proof, &second)).status, 422);
    assert_eq!(ask(&log.witness_request(10, &second).unwrap()).status, 200);
    assert_eq!(ask(&witness_request(10, &[], &first)).body, "15\n", "never back");
}

#[tokio::test]
async fn memory_survives_a_restart_and_is_not_forgotten_when_damaged() {
    let scratch = tempfile::tempdir().unwrap();
    let directory = scratch.path().join("witness");
    let first = witness(&directory);
    let key = first.verifier().clone();
    let log = log(&scratch.path().join("log"), &first).await;
    let signed = grow(&log, 10).await;
    assert_eq!(first.add_checkpoint(&witness_request(0, &[], &signed), NOW_S).status, 200);
    let own = load_or_generate(&directory, None, &SystemRandom::new()).unwrap();
    assert!(Witness::open(Arc::new(RealFs), &directory, own.clone(), vec![]).is_err(), "in use");
    drop(first);
    let again = witness(&directory);
    assert_eq!(again.verifier(), &key);
    assert_eq!(again.add_checkpoint(&witness_request(0, &[], &signed), NOW_S).body, "10\n");
    drop(again);
    let head = fs::read_dir(directory.join("heads")).unwrap().next().unwrap().unwrap().path();
    fs::write(&head, b"").unwrap();
    let trusted = vec![TrustedLog { origin: ORIGIN.into(), key: log_signer().verifier().clone() }];
    assert!(Witness::open(Arc::new(RealFs), &directory, own, trusted).is_err());
}

/// A disk on which renaming fails once told so.
struct Full;

impl LogFs for Full {
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        RealFs.read(path)
    }
    fn list(&self, directory: &Path) -> io::Result<Vec<String>> {
        RealFs.list(directory)
    }
    fn is_directory(&self, path: &Path) -> bool {
        RealFs.is_directory(path)
    }
    fn create_directory(&self, path: &Path) -> io::Result<()> {
        RealFs.create_directory(path)
    }
    fn create(&self, _: &Path) -> io::Result<Box<dyn LogFile>> {
        Err(io::ErrorKind::StorageFull.into())
    }
    fn open_at(&self, path: &Path, length: u64) -> io::Result<Box<dyn LogFile>> {
        RealFs.open_at(path, length)
    }
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        RealFs.rename(from, to)
    }
    fn remove(&self, path: &Path) -> io::Result<()> {
        RealFs.remove(path)
    }
    fn sync_directory(&self, directory: &Path) -> io::Result<()> {
        RealFs.sync_directory(directory)
    }
    fn lock(&self, path: &Path) -> io::Result<Box<dyn Send + Sync>> {
        RealFs.lock(path)
    }
}

#[tokio::test]
async fn what_cannot_be_stored_is_not_cosigned() {
    let scratch = tempfile::tempdir().unwrap();
    let witness = witness_on(Arc::new(Full), &scratch.path().join("witness"));
    let log = log(&scratch.path().join("log"), &witness).await;
    let signed = grow(&log, 10).await;
    let answer = witness.add_checkpoint(&witness_request(0, &[], &signed), NOW_S);
    assert_eq!(answer.status, 500);
    assert!(!answer.body.contains('\u{2014}'));
    assert_eq!(witness.add_checkpoint(&witness_request(10, &[], &signed), NOW_S).body, "0\n");
}

#[tokio::test]
async fn it_speaks_http() {
    let scratch = tempfile::tempdir().unwrap();
    let witness = Arc::new(witness(&scratch.path().join("witness")));
    let log = log(&scratch.path().join("log"), &witness).await;
    let signed = grow(&log, 10).await;
    let app = router(Arc::clone(&witness), || NOW_S);
    let post = |body: Vec<u8>| {
        let request = Request::post("/add-checkpoint").body(Body::from(body)).unwrap();
        let app = app.clone();
        async move {
            let response = app.oneshot(request).await.unwrap();
            let status = response.status().as_u16();
            let kind = response.headers().get(header::CONTENT_TYPE).map(|kind| kind.to_str().unwrap().to_owned());
            let body = response.into_body().collect().await.unwrap().to_bytes();
            (status, kind, body)
        }
    };
    let (status, kind, body) = post(witness_request(0, &[], &signed)).await;
    let parsed = parse_witness_answer(status, kind.as_deref(), &body).unwrap();
    let WitnessAnswer::Cosigned(lines) = parsed else { panic!("{parsed:?}") };
    log.add_cosignature(&lines[0].to_string()).unwrap();
    let (status, kind, body) = post(witness_request(0, &[], &signed)).await;
    let parsed = parse_witness_answer(status, kind.as_deref(), &body).unwrap();
    assert_eq!(parsed, WitnessAnswer::KnownSize(10));
    assert_eq!(post(vec![b'a'; 1 << 20]).await.0, 413);
    let request = Request::get("/add-checkpoint").body(Body::empty()).unwrap();
    assert_eq!(app.clone().oneshot(request).await.unwrap().status().as_u16(), 405);
}

/// Requests at the same time: exactly one of two forks wins.
#[tokio::test]
async fn of_two_forks_at_once_one_is_cosigned() {
    for round in 0..20 {
        let scratch = tempfile::tempdir().unwrap();
        let witness = witness(&scratch.path().join("witness"));
        let fork = |text: &[u8]| {
            let head = Checkpoint { origin: ORIGIN.into(), size: 1, root: leaf_hash(text) };
            witness_request(0, &[], &head.sign(&log_signer()).unwrap())
        };
        let (one, other) = (fork(b"one"), fork(b"other"));
        let statuses = std::thread::scope(|scope| {
            let running = [&one, &other].map(|body| scope.spawn(|| witness.add_checkpoint(body, NOW_S).status));
            running.map(|thread| thread.join().unwrap())
        });
        assert_eq!(statuses.iter().filter(|status| **status == 200).count(), 1, "{round}: {statuses:?}");
    }
}

#[test]
fn the_key_is_made_once_and_private() {
    let scratch = tempfile::tempdir().unwrap();
    let make = |name| load_or_generate(scratch.path(), name, &SystemRandom::new());
    assert!(matches!(make(None), Err(KeyFileError::NoName)));
    let first = make(Some(NAME)).unwrap();
    let file = scratch.path().join("key");
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(make(None).unwrap().verifier(), first.verifier());
    assert!(matches!(make(Some("another.example")), Err(KeyFileError::Name { .. })));
    fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
    assert!(matches!(make(None), Err(KeyFileError::Mode(_))));
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    fs::write(&file, b"not a key").unwrap();
    assert!(matches!(make(Some(NAME)), Err(KeyFileError::Key { .. })));
    fs::write(&file, log_signer().secret_text().expose()).unwrap();
    assert!(matches!(make(None), Err(KeyFileError::Key { .. })), "a log's key is no witness's");
}

#[test]
fn the_list_of_logs_is_read_strictly() {
    let scratch = tempfile::tempdir().unwrap();
    let file = scratch.path().join("logs.toml");
    let read = |text: String| {
        fs::write(&file, text).unwrap();
        read_logs(&file)
    };
    let key = log_signer().verifier().to_string();
    let one = format!("[[log]]\norigin = \"{ORIGIN}\"\nkey = \"{key}\"\n");
    assert_eq!(read(one.clone()).unwrap()[0].key, *log_signer().verifier());
    assert_eq!(read(one.repeat(2)).unwrap().len(), 2);
    assert!(read(format!("{one}extra = 1\n")).is_err());
    assert!(read(format!("{one}[other]\n")).is_err());
    assert!(read(one.replace("AU", "AV")).is_err() || !key.contains("AU"));
    assert!(read(one.replace(ORIGIN, "a b")).is_err());
    assert!(read_logs(&scratch.path().join("none.toml")).is_err());
}
