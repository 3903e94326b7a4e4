//! Backups of a server under load come back whole; what is not whole does not.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use ticrypt_e2e::chance::Chance;
use ticrypt_e2e::load::{Book, SharedBook, Worker};
use ticrypt_e2e::person::{Person, two_people};
use ticrypt_e2e::postgres::Postgres;
use ticrypt_e2e::process::{PATIENCE, Process, await_until, pause};
use ticrypt_e2e::s3::S3;
use ticrypt_e2e::system::{Options, System};
use ticrypt_e2e::witness::Witness;
use ticrypt_e2e::{tree, verify};

const BACKUPS: usize = 2;

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// Puts files with chunks and deletes them for good, so that chunks go while they are copied.
fn churn(person: &Person, chance: &mut Chance, stop: &AtomicBool) -> usize {
    let scratch = tempfile::tempdir().unwrap();
    let mut deleted = 0;
    for number in 0.. {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        let name = format!("churn-{number}");
        let local = scratch.path().join(&name);
        std::fs::create_dir(&local).unwrap();
        (0..3).for_each(|file| std::fs::write(local.join(file.to_string()), chance.bytes(150_000)).unwrap());
        person.put(&local, "/").unwrap().success().unwrap();
        // The one before: some are there at every moment.
        if number > 0 {
            person.run(&["rm", &format!("/churn-{}", number - 1), "--forever", "--yes"]).unwrap().success().unwrap();
            deleted += 3;
        }
    }
    deleted
}

/// What a state from somewhere between two moments must look like at the first: what was removed meanwhile may be gone in it.
fn between(book: &Book, begun: u64, ended: u64) -> Book {
    let mut book = book.clone();
    for removed in book.files.values_mut().filter_map(|entry| entry.removed.as_mut()) {
        if (begun..ended).contains(&removed.begun) {
            removed.begun = 0;
        }
    }
    book
}

fn under_load(options: &Options, empty: impl Fn(usize) -> Options) {
    let mut chance = Chance::from_environment("backups");
    let mut system = System::start(options).unwrap();
    let [ann, ben] = two_people(&system).unwrap();
    let eve = Person::register(&system, "eve", "seven other words for a passphrase", None).unwrap();
    ann.activate(&eve).unwrap();
    eve.login().unwrap();
    let saved = system.workshop().join("saved");
    let (book, stop, moments) = (SharedBook::default(), AtomicBool::new(false), AtomicU64::new(0));
    let now = || moments.fetch_add(1, Ordering::SeqCst);
    let mut taken = Vec::new();
    let (mut swept, mut held) = (0, 0);
    std::thread::scope(|scope| {
        for (person, friend) in [(&ann, &ben), (&ben, &ann)] {
            let mut worker = Worker::new(person, friend.name(), book.clone(), Chance::new(chance.next()), &now);
            let stop = &stop;
            scope.spawn(move || {
                while !stop.load(Ordering::Relaxed) {
                    assert!(worker.work().unwrap(), "refused without a failure");
                }
            });
        }
        let (mut own, stopped, person) = (Chance::new(chance.next()), &stop, &eve);
        let churning = scope.spawn(move || churn(person, &mut own, stopped));
        let sweeping = scope.spawn(|| {
            let (mut swept, mut held) = (0, 0);
            while !stop.load(Ordering::Relaxed) {
                let outcome = system.operate(&["sweep", "--json"]).unwrap();
                match outcome.status.success() {
                    true => swept += outcome.json().unwrap()["orphaned_chunks"].as_u64().unwrap(),
                    false => {
                        assert!(outcome.stderr.contains("a backup is under way"), "{}", outcome.stderr);
                        held += 1;
                    }
                }
                // The load is what the others do; two programs started without a pause only starve it.
                pause(Duration::from_millis(200));
            }
            (swept, held)
        });
        pause(Duration::from_secs(1));
        for _ in 0..BACKUPS {
            let moment = now();
            let began = Instant::now();
            let told = system.operate(&["backup", "--to", text(&saved), "--json"]).unwrap().success().unwrap().json().unwrap();
            let ended = now();
            // As an operator keeps generations.
            let copy = system.workshop().join(format!("generation-{}", taken.len()));
            tree::copy(&saved, &copy).unwrap();
            println!(
                "backup {}: {} chunks, {} copied, {} removed, {} rows of the audit log, {:?}",
                taken.len(),
                told["manifest"]["chunks"]["count"],
                told["copied"]["count"],
                told["removed_chunks"],
                told["manifest"]["logs"][0]["entries"],
                began.elapsed()
            );
            taken.push((moment, ended, copy));
            pause(Duration::from_secs(1));
        }
        stop.store(true, Ordering::Relaxed);
        println!("{} chunks of files deleted for good", churning.join().unwrap());
        (swept, held) = sweeping.join().unwrap();
    });
    println!("{swept} chunks swept, {held} sweeps refused");
    let book = book.open().clone();

    // Killed while it writes a backup, again and again, and the server with it at the end; then once without.
    for number in 0..4 {
        let mut command = system.command("backup").unwrap();
        let process = Process::spawn("backup", command.arg("--to").arg(&saved), &system.workshop().join("backup.log")).unwrap();
        pause(Duration::from_millis(20 + chance.below(400)));
        process.kill().unwrap();
        if number == 2 {
            system.kill().unwrap();
        }
    }
    let moment = now();
    system.operate(&["backup", "--to", text(&saved)]).unwrap().success().unwrap();
    taken.push((moment, now(), saved));

    let (files, shares) = book.acknowledged(moment);
    println!("{files} files and {shares} shares acknowledged");
    let last = taken.len() - 1;
    for (number, (moment, ended, place)) in taken.into_iter().enumerate() {
        let mut restored = System::restored(&empty(number), &place).unwrap();
        restored.check().unwrap();
        // Asking takes long; the first and the last are asked for everything.
        if number == 0 || number == last {
            let faults = verify::faults(&mut restored, &[&ann, &ben], &between(&book, moment, ended), moment).unwrap();
            assert!(faults.is_empty(), "backup {number}: {faults:#?}");
        }
    }
}

#[test]
fn a_backup_under_load_comes_back_whole() {
    under_load(&Options::default(), |_| Options::default());
}

#[test]
fn a_backup_under_load_comes_back_whole_on_postgresql() {
    let server = Postgres::start().unwrap();
    let on = |name: &str| Options { database: Some(server.database(name).unwrap()), ..Options::default() };
    // Every other one into the other kind of database.
    under_load(&on("first"), |number| if number % 2 == 0 { on(&format!("restored{number}")) } else { Options::default() });
}

fn put(person: &Person, system: &System, name: &str) {
    let local = system.workshop().join(name);
    std::fs::write(&local, Chance::from_environment(name).bytes(200_000)).unwrap();
    person.put(&local, "/").unwrap().success().unwrap();
}

fn files(root: &Path, part: &str) -> Vec<PathBuf> {
    let names = tree::read(root).unwrap().into_keys().filter(|path| path.contains(part));
    names.map(|path| root.join(path)).collect()
}

#[test]
fn what_is_not_whole_is_refused() {
    let system = System::start(&Options::default()).unwrap();
    let [ann, _ben] = two_people(&system).unwrap();
    put(&ann, &system, "a file");
    let saved = system.workshop().join("saved");
    system.operate(&["backup", "--to", text(&saved)]).unwrap().success().unwrap();
    let backup = |part: &str| files(&saved, part).pop().unwrap();
    type Harm = fn(&Path);
    let flip: Harm = |path| {
        let mut bytes = std::fs::read(path).unwrap();
        bytes[5_000] ^= 1;
        std::fs::write(path, bytes).unwrap();
    };
    let truncate: Harm = |path| std::fs::write(path, &std::fs::read(path).unwrap()[..10]).unwrap();
    let remove: Harm = |path| std::fs::remove_file(path).unwrap();
    let cases: [(PathBuf, Harm, &str); 5] = [
        (backup("database.sqlite"), flip, "its database is not the one recorded"),
        (backup("chunks/"), remove, "is missing"),
        (backup("log/audit/tile/entries/"), truncate, "its audit log is not the one recorded"),
        (backup("manifest.json"), remove, "has no manifest"),
        (backup("chunks/"), flip, "is not the one recorded"),
    ];
    for (path, harm, told) in cases {
        let whole = std::fs::read(&path).unwrap();
        harm(&path);
        let error = format!("{:#}", System::restored(&Options::default(), &saved).unwrap_err());
        assert!(error.contains(told) && error.contains("exit status: 1"), "{told}: {error}");
        std::fs::write(&path, whole).unwrap();
    }
    System::restored(&Options::default(), &saved).unwrap().check().unwrap();
}

#[test]
fn chunks_come_from_a_bucket_or_stay_there() {
    let objects = tempfile::tempdir().unwrap();
    let server = S3::start(objects.path()).unwrap();
    let system = System::start(&Options::default().on_s3(&server)).unwrap();
    let [ann, _ben] = two_people(&system).unwrap();
    put(&ann, &system, "a file");
    let (with, without) = (system.workshop().join("with"), system.workshop().join("without"));
    system.operate(&["backup", "--to", text(&with)]).unwrap().success().unwrap();
    system.operate(&["backup", "--to", text(&without), "--without-chunks"]).unwrap().success().unwrap();
    assert_eq!((files(&with, "chunks/").len(), files(&without, "chunks/").len()), (1, 0));
    System::restored(&Options::default(), &with).unwrap().check().unwrap();
    System::restored(&Options::default().on_s3(&server), &without).unwrap().check().unwrap();
    let error = format!("{:#}", System::restored(&Options::default().on_s3(&server), &with).unwrap_err());
    assert!(error.contains("the chunk store is in use"), "{error}");
}

/// A witness remembers what a backup does not; the server says so, and what to do.
#[test]
fn a_rollback_behind_the_witness_is_told() {
    let mut system = System::start(&Options::default()).unwrap();
    let [ann, _ben] = two_people(&system).unwrap();
    let witness = Witness::start(&system.workshop().join("witness"), &system.deployment_file()).unwrap();
    system.configure(&witness.configuration()).unwrap();
    system.stop().unwrap();
    system.restart().unwrap();
    witness.await_countersignatures(system.data()).unwrap();
    ann.import(&system).unwrap();
    put(&ann, &system, "before");
    let saved = system.workshop().join("saved");
    system.operate(&["backup", "--to", text(&saved)]).unwrap().success().unwrap();
    put(&ann, &system, "later");
    let newest = || std::fs::read_to_string(system.data().join("log/audit/checkpoint.witnessed")).unwrap();
    let size = |note: String| note.lines().nth(1).unwrap().parse::<u64>().unwrap();
    let before = size(newest());
    put(&ann, &system, "and later");
    await_until("the witness goes on", PATIENCE, || Ok((size(newest()) > before).then_some(()))).unwrap();
    assert!(ann.run(&["ls", "/"]).unwrap().success().unwrap().stdout.contains("and later"));
    system.stop().unwrap();

    let log = system.workshop().join("newer-log");
    tree::copy(&system.data().join("log"), &log).unwrap();
    system.replace_data(|_| Ok(())).unwrap();
    system.operate(&["restore", "--from", text(&saved)]).unwrap().success().unwrap();
    system.restart().unwrap();
    let told = "it was restored from an older copy";
    await_until("the server says what is wrong", PATIENCE, || Ok(system.said().contains(told).then_some(()))).unwrap();
    // Her login was ended; with a new one or without, her device goes no further.
    let login = ann.run(&["login"]).unwrap();
    let listing = ann.run(&["ls", "/"]).unwrap();
    println!("{}\n{}", login.stderr.trim(), listing.stderr.trim());
    assert!(!listing.status.success(), "a device that saw a later state goes on: {}", listing.stdout);
    assert!(["refused", "older state"].iter().any(|word| listing.stderr.contains(word)), "{}", listing.stderr);
    system.stop().unwrap();

    // With the newer log in place of the restored one, the witness goes on.
    system.replace_data(|_| Ok(())).unwrap();
    system.operate(&["restore", "--from", text(&saved)]).unwrap().success().unwrap();
    std::fs::remove_dir_all(system.data().join("log")).unwrap();
    tree::copy(&log, &system.data().join("log")).unwrap();
    let before = size(std::fs::read_to_string(log.join("audit/checkpoint.witnessed")).unwrap());
    let earlier = system.said().matches(told).count();
    system.restart().unwrap();
    let tablet = ann.another_device(&system).unwrap();
    tablet.login().unwrap();
    let newest = || std::fs::read_to_string(system.data().join("log/audit/checkpoint.witnessed")).unwrap();
    await_until("the witness goes on", PATIENCE, || Ok((size(newest()) > before).then_some(()))).unwrap();
    assert_eq!(system.said().matches(told).count(), earlier);
    system.stop().unwrap();
    system.check().unwrap();
}
