//! Power cuts under load: a sync precedes every acknowledgement, and none of them could be spared.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use ticrypt_e2e::chance::Chance;
use ticrypt_e2e::load::{Book, SharedBook, Worker};
use ticrypt_e2e::person::{Person, two_people};
use ticrypt_e2e::powercut::{Disk, Record, Survival};
use ticrypt_e2e::process::pause;
use ticrypt_e2e::system::{Options, System};
use ticrypt_e2e::{tree, verify};

/// How many cuts; each starts the server once.
const CUTS_VARIABLE: &str = "TICRYPT_E2E_CUTS";
const CUTS: u64 = 30;
const LOAD: Duration = Duration::from_secs(15);

/// So long without a write, the server is between two.
const QUIET: Duration = Duration::from_millis(50);

fn cuts() -> u64 {
    std::env::var(CUTS_VARIABLE).ok().and_then(|text| text.parse().ok()).unwrap_or(CUTS)
}

/// What one run under the recorder left.
struct Run {
    system: System,
    people: [Person; 2],
    book: Book,
    records: Vec<Record>,
    /// When the load began, and ended.
    from: u64,
    to: u64,
}

fn run(chance: &mut Chance) -> Run {
    let mut system = System::start(&Options { recorded: true, ..Options::default() }).unwrap();
    let people = two_people(&system).unwrap();
    let recorder = system.recorder().unwrap().clone();
    let (from, book, stop) = (recorder.length(), SharedBook::default(), AtomicBool::new(false));
    let now = || recorder.length();
    std::thread::scope(|scope| {
        for (person, friend) in [(&people[0], &people[1]), (&people[1], &people[0])] {
            let mut worker = Worker::new(person, friend.name(), book.clone(), Chance::new(chance.next()), &now);
            let stop = &stop;
            scope.spawn(move || {
                while !stop.load(Ordering::Relaxed) {
                    assert!(worker.work().unwrap(), "refused without a failure");
                }
            });
        }
        pause(LOAD);
        stop.store(true, Ordering::Relaxed);
    });
    // Killed in the middle of a write, it could leave one on the disk that is not in the recording yet.
    let mut length = 0;
    while std::mem::replace(&mut length, recorder.length()) != length {
        pause(QUIET);
    }
    system.kill().unwrap();
    let records = recorder.records().unwrap();
    let book = book.open().clone();
    Run { to: recorder.length(), system, people, book, records, from }
}

impl Run {
    fn disk(&self) -> Disk {
        self.system.recorder().unwrap().disk()
    }

    /// Everything wrong with the server after a cut.
    fn faults(&mut self, mut disk: Disk, cut: u64, survival: Survival) -> Vec<String> {
        disk.replay(&self.records, cut).unwrap();
        self.system.replace_data(|data| disk.materialise(data, survival).map(|_| ())).unwrap();
        let people: Vec<&Person> = self.people.iter().collect();
        verify::faults(&mut self.system, &people, &self.book, cut).unwrap()
    }
}

#[test]
fn what_was_acknowledged_survives_a_power_cut_and_no_sync_could_be_spared() {
    let mut chance = Chance::from_environment("power cuts");
    let mut run = run(&mut chance);
    let (files, shares) = run.book.acknowledged(run.to);
    println!(
        "{files} files and {shares} shares acknowledged, {} receipts, {} operations recorded",
        run.book.receipts.len(),
        run.records.len()
    );
    assert!(files > 20 && shares > 0, "{files} {shares}");

    // Nothing the backend did escaped the recorder: all of it replayed is what lies on the disk.
    let again = tempfile::tempdir().unwrap();
    let mut whole = run.disk();
    whole.replay(&run.records, u64::MAX).unwrap();
    whole.materialise(again.path(), Survival::Everything).unwrap();
    let besides_memory = |root| tree::read(root).unwrap().into_iter().filter(|(path, _)| !path.ends_with("-shm")).collect::<Vec<_>>();
    assert!(besides_memory(again.path()) == besides_memory(run.system.data()), "the recording is not complete");

    let began = Instant::now();
    for number in 0..cuts() {
        // Right after an acknowledgement is when a missing sync shows; anywhere else is when half things show.
        let anywhere = run.from + chance.below(run.to - run.from);
        let told: Vec<u64> = run.book.receipts.values().copied().filter(|at| *at > run.from).collect();
        let cut = if number % 2 == 0 { anywhere } else { told[chance.below(told.len() as u64) as usize] };
        let survival = if number % 3 == 2 { Survival::Chance(chance.next()) } else { Survival::Strict };
        let faults = run.faults(run.disk(), cut, survival);
        assert!(faults.is_empty(), "cut {number} at {cut} of {}, {survival:?}: {faults:#?}", run.to);
    }
    println!("{} power cuts, nothing lost, {:.1} s each", cuts(), began.elapsed().as_secs_f64() / cuts() as f64);

    type Distrust = fn(&str) -> bool;
    let distrusts: [(&str, Distrust); 4] = [
        ("chunk files", |path| path.starts_with("chunks/") && !path.ends_with('/')),
        ("chunk directories", |path| path.starts_with("chunks/") && path.ends_with('/')),
        ("the audit journal", |path| path.starts_with("log/audit/") && path.contains("journal")),
        ("the database", |path| path.starts_with("db/") && !path.ends_with('/')),
    ];
    for (what, distrust) in distrusts {
        // Only while the load ran: a server that never synced its keys would not even start.
        let from = run.from;
        let ignore = move |at, path: &str| at >= from && distrust(path);
        let mut untouched = run.disk().distrusting(ignore);
        untouched.replay(&run.records, u64::MAX).unwrap();
        let (_, ignored) = untouched.syncs();
        assert!(ignored > 0, "no sync of {what} was recorded");
        let cut = run.book.receipts.values().copied().max().unwrap();
        let faults = run.faults(run.disk().distrusting(ignore), cut, Survival::Strict);
        println!(
            "without its {ignored} syncs of {what}: {} faults, such as: {}",
            faults.len(),
            faults.first().map_or("none", String::as_str)
        );
        assert!(!faults.is_empty(), "syncing {what} makes no difference");
    }
}

/// The first start makes keys, a database and two logs that must fit together.
#[test]
fn a_first_start_can_be_cut_anywhere() {
    let mut chance = Chance::from_environment("first start");
    let mut system = System::start(&Options { recorded: true, ..Options::default() }).unwrap();
    let recorder = system.recorder().unwrap().clone();
    let ready = recorder.length();
    let code = system.code().unwrap();
    system.kill().unwrap();
    let records = recorder.records().unwrap();
    let cut_at = |system: &mut System, cut: u64, survival: Survival| {
        let mut disk = recorder.disk();
        disk.replay(&records, cut).unwrap();
        system.replace_data(|data| disk.materialise(data, survival).map(|_| ())).unwrap();
        system.restart_unrecorded().map(|_| ()).map_err(|error| format!("cut at {cut} of {ready}, {survival:?}: {error:#}"))
    };
    let mut faults = Vec::new();
    for number in 0..cuts() {
        let survival = if number % 2 == 1 { Survival::Chance(chance.next()) } else { Survival::Strict };
        match cut_at(&mut system, chance.below(ready), survival) {
            Ok(()) => {
                system.stop().unwrap();
                system.check().unwrap();
            }
            Err(fault) => faults.push(fault),
        }
    }
    // The code was printed, so it must work.
    match cut_at(&mut system, ready, Survival::Strict) {
        Ok(()) => drop(Person::register(&system, "ann", "a passphrase of several words", Some(&code)).unwrap()),
        Err(fault) => faults.push(fault),
    }
    assert!(faults.is_empty(), "{} of {} first starts cannot be repeated: {faults:#?}", faults.len(), cuts() + 1);
}
