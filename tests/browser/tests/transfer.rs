//! Files in and out: a folder of a thousand, a large one with flat memory, an interruption and what comes after it.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

use std::fs::File;
use std::path::Path;
use std::time::Duration;

use serde_json::json;
use ticrypt_browser_tests::{Desk, in_the_vault, row};
use ticrypt_connect::transfer::{Direction, State};
use ticrypt_e2e::memory::resident_mib;
use ticrypt_e2e::process::{PATIENCE, await_until, pause};

const MIB: u64 = 1024 * 1024;

/// Waits for the end of the download that was begun last.
fn downloaded(desk: &Desk) {
    await_until("the download is done", PATIENCE, || {
        let office = desk.running.app.desk.running().pop();
        let seen = office.and_then(|office| office.transfers.list().first().map(|job| job.seen()));
        Ok(seen.filter(|seen| seen.direction == Direction::Download && seen.state == State::Done))
    })
    .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_of_a_thousand_files_is_dropped_and_comes_back() {
    let (_system, desk, browser) = in_the_vault().await.unwrap();
    let folder = desk.place().join("thousand");
    for number in 0..1_000 {
        let place = folder.join(format!("part {}", number / 100));
        std::fs::create_dir_all(&place).unwrap();
        std::fs::write(place.join(format!("file {number:04}.txt")), format!("content {number}")).unwrap();
    }
    std::fs::create_dir(folder.join("empty")).unwrap();
    browser.drop_files("ticrypt-table", &[&folder]).await.unwrap();
    browser.see(".tray-card[data-state=done]").await.unwrap();
    browser.go("/vault?at=/thousand").await.unwrap();
    browser.read("11 items").await.unwrap();
    browser.go("/vault?at=/thousand/part%209").await.unwrap();
    browser.read("100 items").await.unwrap();

    // Once more: the same is there already, and nothing is asked or written twice.
    browser.go("/vault").await.unwrap();
    browser.drop_files("ticrypt-table", &[&folder]).await.unwrap();
    browser.see(".tray-card[data-state=done]").await.unwrap();
    let copy = desk.place().join("copy");
    std::fs::create_dir(&copy).unwrap();
    browser.save_to("/thousand", &copy).await.unwrap();
    downloaded(&desk);
    for number in [0, 499, 999] {
        let file = copy.join(format!("thousand/part {}/file {number:04}.txt", number / 100));
        assert_eq!(std::fs::read_to_string(file).unwrap(), format!("content {number}"));
    }
    assert!(copy.join("thousand/empty").is_dir());
    browser.close().await.unwrap();
}

/// A file that is large and quickly made; every MiB of it is another.
fn large(path: &Path, mib: u64) {
    use std::io::{Seek, SeekFrom, Write};
    let mut file = File::create(path).unwrap();
    for at in 0..mib {
        file.seek(SeekFrom::Start(at * MIB)).unwrap();
        file.write_all(&at.to_be_bytes()).unwrap();
    }
    file.set_len(mib * MIB).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn two_gibibytes_go_in_with_flat_memory() {
    let (_system, desk, browser) = in_the_vault().await.unwrap();
    let file = desk.place().join("large.bin");
    large(&file, 2_048);
    let before = resident_mib(std::process::id()).unwrap();
    browser.drop_files("ticrypt-table", &[&file]).await.unwrap();
    browser.see(".tray-card[data-state=running]").await.unwrap();
    let mut most = 0u64;
    for _ in 0..2_400 {
        most = most.max(resident_mib(std::process::id()).unwrap());
        if browser.run("return document.querySelector('.tray-card')?.dataset.state ?? 'done'").await.unwrap() == json!("done") {
            break;
        }
        tokio::task::yield_now().await;
        pause(Duration::from_millis(50));
    }
    browser.see(&row("/large.bin", "")).await.unwrap();
    assert!(most.saturating_sub(before) < 150, "{most} MiB at most, {before} before");
    browser.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_interrupted_upload_goes_on_when_the_file_is_dropped_again() {
    let (system, desk, browser) = in_the_vault().await.unwrap();
    let file = desk.place().join("long.bin");
    large(&file, 192);
    // Paused in the middle, then the page is loaded anew: what was picked is forgotten.
    browser.pause_at(60_000_000).await.unwrap();
    browser.drop_files("ticrypt-table", &[&file]).await.unwrap();
    browser.see(".tray-card[data-state=paused]").await.unwrap();
    let sent = desk.running.app.desk.running()[0].transfers.list()[0].seen().bytes;
    assert!((60_000_000..192 * MIB).contains(&sent), "{sent}");
    browser.run("window.addEventListener('beforeunload', (e) => e.stopImmediatePropagation(), true)").await.unwrap();
    browser.driver.refresh().await.ok();
    browser.driver.accept_alert().await.ok();
    browser.see("ticrypt-table").await.unwrap();
    // A backend that was away meanwhile is the same.
    browser.drop_files("ticrypt-table", &[&file]).await.unwrap();
    browser.see(&row("/long.bin", "")).await.unwrap();
    browser.click(&row("/long.bin", " a")).await.unwrap();
    browser.read("192.0 MiB").await.unwrap();
    // What was sent was not sent again: the journal knew it.
    let stored = ticrypt_e2e::tree::bytes_below(&system.data().join("chunks")).unwrap();
    assert!(stored < 192 * MIB + 9 * MIB, "{stored} bytes are stored");
    let copy = desk.place().join("copy");
    std::fs::create_dir(&copy).unwrap();
    browser.go("/vault").await.unwrap();
    // On the way out as well: paused in the middle, nothing under its name yet, and then the whole.
    browser.pause_at(60_000_000).await.unwrap();
    browser.save_to("/long.bin", &copy).await.unwrap();
    browser.see(".tray-card[data-state=paused]").await.unwrap();
    let seen = desk.running.app.desk.running()[0].transfers.list()[0].seen();
    assert_eq!(seen.direction, Direction::Download);
    assert!((60_000_000..192 * MIB).contains(&seen.bytes), "{}", seen.bytes);
    assert!(!copy.join("long.bin").exists());
    browser.click(".tray-card[data-state=paused] [data-do=resume]").await.unwrap();
    downloaded(&desk);
    assert!(std::fs::read(&file).unwrap() == std::fs::read(copy.join("long.bin")).unwrap());
    browser.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_lies_on_the_disk_is_read_by_the_program_itself() {
    let (_system, desk, browser) = in_the_vault().await.unwrap();
    let folder = desk.place().join("archive");
    std::fs::create_dir_all(folder.join("notes")).unwrap();
    std::fs::write(folder.join("notes/first.txt"), "first\n").unwrap();
    large(&folder.join("large.bin"), 128);
    browser.pause_at(20_000_000).await.unwrap();
    browser.click("[data-dialog='/vault/put-dialog']").await.unwrap();
    browser.see("dialog .picker button").await.unwrap();
    browser.picture("from-disk").await.unwrap();
    assert_eq!(browser.axe().await.unwrap(), Vec::<String>::new());
    browser.fill("#source", "/no/such/thing").await.unwrap();
    let refused = browser.refused("dialog button[type=submit]").await.unwrap();
    assert!(refused.contains("there is no file or folder /no/such/thing"), "{refused}");
    browser.fill("#source", folder.to_str().unwrap()).await.unwrap();
    browser.click("dialog button[type=submit]").await.unwrap();
    browser.see(".tray-card[data-state=paused]").await.unwrap();
    let seen = desk.running.app.desk.running()[0].transfers.list()[0].seen();
    assert_eq!((seen.direction, seen.title.as_str(), seen.total_bytes), (Direction::Upload, "archive", 128 * MIB + 6));
    assert!((20_000_000..128 * MIB).contains(&seen.bytes), "{}", seen.bytes);

    // The page is left, and it goes on all the same.
    browser.go("/transfers").await.unwrap();
    browser.with_row(&seen.id.to_string(), "Resume").await.unwrap();
    browser.see(&row(&seen.id.to_string(), " .bg-green-lt")).await.unwrap();
    let copy = desk.place().join("copy");
    std::fs::create_dir(&copy).unwrap();
    browser.go("/vault").await.unwrap();
    browser.save_to("/archive", &copy).await.unwrap();
    downloaded(&desk);
    assert_eq!(std::fs::read_to_string(copy.join("archive/notes/first.txt")).unwrap(), "first\n");
    assert!(std::fs::read(folder.join("large.bin")).unwrap() == std::fs::read(copy.join("archive/large.bin")).unwrap());
    browser.close().await.unwrap();
}
