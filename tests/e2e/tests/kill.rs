//! Killed at random, hundreds of times, under load.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use ticrypt_e2e::chance::Chance;
use ticrypt_e2e::load::{SharedBook, Worker};
use ticrypt_e2e::person::{Person, two_people};
use ticrypt_e2e::process::pause;
use ticrypt_e2e::system::{Options, System};
use ticrypt_e2e::verify;

/// How often the backend is killed.
const KILLS_VARIABLE: &str = "TICRYPT_E2E_KILLS";
const KILLS: u64 = 200;
/// The longest life.
const LIFE_MS: u64 = 600;

#[test]
fn what_was_acknowledged_survives_being_killed() {
    let kills = std::env::var(KILLS_VARIABLE).ok().and_then(|text| text.parse().ok()).unwrap_or(KILLS);
    let mut chance = Chance::from_environment("kills");
    let mut system = System::start(&Options::default()).unwrap();
    let people = two_people(&system).unwrap();
    let (book, stop, moments) = (SharedBook::default(), AtomicBool::new(false), AtomicU64::new(0));
    let now = || moments.fetch_add(1, Ordering::SeqCst);
    let (began, mut waited, refused) = (Instant::now(), Duration::ZERO, AtomicU64::new(0));
    std::thread::scope(|scope| {
        let workers = [(&people[0], &people[1]), (&people[1], &people[0])].map(|(person, friend)| {
            let mut worker = Worker::new(person, friend.name(), book.clone(), Chance::new(chance.next()), &now);
            let (stop, refused) = (&stop, &refused);
            scope.spawn(move || {
                while !stop.load(Ordering::Relaxed) {
                    if !worker.work().unwrap() {
                        refused.fetch_add(1, Ordering::Relaxed);
                    }
                }
            })
        });
        for kill in 0..kills {
            pause(Duration::from_millis(chance.below(LIFE_MS)));
            system.kill().unwrap();
            waited += system.restart().unwrap_or_else(|error| panic!("after kill {kill}: {error:#}"));
            assert!(workers.iter().all(|worker| !worker.is_finished()), "a worker ended");
        }
        stop.store(true, Ordering::Relaxed);
    });
    system.kill().unwrap();
    let book = book.open().clone();
    let (files, shares) = book.acknowledged(u64::MAX);
    let refused = refused.load(Ordering::Relaxed);
    println!(
        "{kills} kills in {:.0} s, ready again after {:.0} ms; {files} of {} files and {shares} shares acknowledged, {refused} commands failed, {} receipts",
        began.elapsed().as_secs_f64(),
        waited.as_secs_f64() * 1000.0 / kills as f64,
        book.files.len(),
        book.receipts.len()
    );
    assert!(files > 20 && refused > 0, "{files} {refused}");
    let people: Vec<&Person> = people.iter().collect();
    let faults = verify::faults(&mut system, &people, &book, u64::MAX).unwrap();
    assert!(faults.is_empty(), "{faults:#?}");
}
