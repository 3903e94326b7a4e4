//! What a server must still be able to show after a failure: everything in the [`Book`], to people who ask from a device that has
//! seen nothing yet, and to the operator.

use anyhow::{Context, Result};

use crate::audit::{self, AuditLog};
use crate::load::{Book, read_back};
use crate::person::Person;
use crate::process::last_lines;
use crate::system::System;

/// Starts the backend on the data as it lies there, asks for everything, and stops it. Returns what is wrong; an error is a fault of
/// the test.
pub fn faults(system: &mut System, people: &[&Person], book: &Book, moment: u64) -> Result<Vec<String>> {
    let mut faults = Vec::new();
    if let Err(error) = system.restart_unrecorded() {
        return Ok(vec![format!("the backend does not start: {error:#}")]);
    }
    for person in people {
        if let Err(error) = ask(system, person, book, moment, &mut faults) {
            faults.push(format!("{}: {error:#}", person.name()));
        }
    }
    if let Err(error) = system.stop() {
        faults.push(format!("the backend does not stop: {error:#}"));
    }
    match system.operate(&["check", "--deep"])? {
        outcome if outcome.status.success() => {}
        outcome => faults.push(format!("check: {}{}", last_lines(&outcome.stdout, 10), last_lines(&outcome.stderr, 10))),
    }
    match AuditLog::read(system.data()) {
        Ok(log) => faults.extend(broken_receipts(system, &log, book, moment)?),
        Err(error) => faults.push(format!("the audit log: {error:#}")),
    }
    Ok(faults)
}

fn ask(system: &System, person: &Person, book: &Book, moment: u64, faults: &mut Vec<String>) -> Result<()> {
    let scratch = tempfile::tempdir()?;
    let device = person.another_device(system).context("another device")?;
    device.login()?;
    let found = read_back(&device, scratch.path())?;
    faults.extend(book.faults(person.name(), moment, &found));
    let expected: Vec<String> = book.shares_with(person.name(), moment).map(|share| share.path.clone()).collect();
    if !expected.is_empty() {
        let shown = device.shares()?;
        faults.extend(
            expected.iter().filter(|path| !shown.contains(*path)).map(|path| format!("{}: the share {path} is lost", person.name())),
        );
    }
    Ok(())
}

/// Receipts that were given by a moment and that the log does not keep.
fn broken_receipts(system: &System, log: &AuditLog, book: &Book, moment: u64) -> Result<Vec<String>> {
    let key = audit::log_key(system.data())?;
    let mut broken = Vec::new();
    for (bytes, by) in &book.receipts {
        let receipt = audit::receipt(bytes, &key)?;
        if *by <= moment && !log.keeps(&receipt) {
            broken.push(format!("the audit log has not the row {} that it gave a receipt for ({} rows)", receipt.index(), log.rows.len()));
        }
    }
    Ok(broken)
}
