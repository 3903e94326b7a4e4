//! What goes wrong is told where it went wrong, with what to do, and loses nothing.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

use std::io::Write;
use std::path::Path;

use ticrypt_browser_tests::{Browser, Desk, PASSPHRASE, System, in_the_vault, row};
use ticrypt_client::Home;
use ticrypt_client::account::{self, KeyPaths};
use ticrypt_client::deployment::Candidate;
use ticrypt_e2e::disk::SmallDisk;
use ticrypt_e2e::system::Options;
use ticrypt_types::Secret;

const UNLOCK: &str = "form[data-send='/unlock'] button[type=submit]";

/// A key file made for another server.
fn stray_keys(system: &System, place: &Path) -> KeyPaths {
    let home = Home::open(place.join("elsewhere")).unwrap();
    let candidate = Candidate::read(&home, std::fs::read(system.deployment_file()).unwrap()).unwrap();
    let fingerprint = candidate.deployment().fingerprint();
    let deployment = candidate.accept(&home, fingerprint).unwrap();
    let paths = KeyPaths::beside(&place.join("stray.key"));
    account::create(&deployment, "stray".parse().unwrap(), paths.clone(), &Secret::new(PASSPHRASE.to_owned())).unwrap();
    paths
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_files_are_told_where_they_were_chosen() {
    let (system, other) = (System::start(&Options::default()).unwrap(), System::start(&Options::default()).unwrap());
    let desk = Desk::new().await.unwrap();
    let browser = Browser::start().await.unwrap();
    let garbage = desk.place().join("garbage");
    std::fs::write(&garbage, "not what is asked for\n").unwrap();
    let large = desk.place().join("large");
    std::fs::File::create(&large).unwrap().set_len(200 << 20).unwrap();
    browser.open(&desk.link().unwrap()).await.unwrap();

    for (file, told) in [(&garbage, "deployment file"), (&large, "too large")] {
        browser.choose("#file", file).await.unwrap();
        let refused = browser.refused("form[data-look] button[type=submit]").await.unwrap();
        assert!(refused.contains(told), "{refused}");
        browser.driver.refresh().await.unwrap();
        browser.see("#app h1").await.unwrap();
    }
    browser.add_deployment(&system).await.unwrap();

    // A key file that is none, one without its bundle, one of another server.
    let stray = stray_keys(&other, desk.place());
    browser.go("/?step=import").await.unwrap();
    for (key, bundle, told) in [
        (&garbage, &garbage, "not a key file"),
        (&stray.key, &garbage, "not a key file"),
        (&garbage, &stray.bundle, "not a key file"),
        (&stray.key, &large, "too large"),
        (&stray.key, &stray.bundle, "of another deployment"),
    ] {
        browser.go("/?step=import").await.unwrap();
        browser.choose("#key", key).await.unwrap();
        browser.choose("#bundle", bundle).await.unwrap();
        let refused = browser.refused("form[data-send='/key-file'] button[type=submit]").await.unwrap();
        assert!(refused.contains(told), "{refused}");
    }
    let keys = desk.home().join("deployments");
    let left: Vec<_> = ticrypt_e2e::tree::read(&keys).unwrap().into_keys().filter(|path| path.contains(".key")).collect();
    assert_eq!(left, Vec::<String>::new(), "nothing of a refused file stays");

    // A name that cannot be, passphrases that differ: the form keeps what was typed.
    browser.go("/").await.unwrap();
    browser.create_account("Not A Name", None).await.unwrap();
    browser.read("not a user name").await.unwrap();
    browser.fill("#name", "admin").await.unwrap();
    browser.fill("#again", "something else").await.unwrap();
    let refused = browser.refused("form[data-send='/create'] button[type=submit]").await.unwrap();
    assert!(refused.contains("passphrases differ"), "{refused}");
    browser.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_away_or_another_is_told_and_loses_nothing() {
    let (mut system, desk, browser) = in_the_vault().await.unwrap();
    let (first, second) = (desk.place().join("first.txt"), desk.place().join("second.txt"));
    std::fs::write(&first, "one\n").unwrap();
    std::fs::write(&second, "two\n").unwrap();
    browser.drop_files("ticrypt-table", &[&first]).await.unwrap();
    browser.see(&row("/first.txt", "")).await.unwrap();

    system.stop().unwrap();
    browser.drop_files("ticrypt-table", &[&second]).await.unwrap();
    browser.read("cannot be reached").await.unwrap();
    browser.go("/vault").await.unwrap();
    browser.read("Not connected").await.unwrap();
    browser.picture("away").await.unwrap();
    assert_eq!(browser.axe().await.unwrap(), Vec::<String>::new());
    system.restart().unwrap();
    browser.click(".alone a.btn").await.unwrap();
    browser.see(&row("/first.txt", "")).await.unwrap();
    browser.drop_files("ticrypt-table", &[&second]).await.unwrap();
    browser.see(&row("/second.txt", "")).await.unwrap();

    browser.click("button[aria-label=Lock]").await.unwrap();
    browser.see("form[data-send='/unlock']").await.unwrap();
    system.stop().unwrap();
    let passphrase = "form[data-send='/unlock'] input[name=passphrase]";
    browser.fill(passphrase, PASSPHRASE).await.unwrap();
    let refused = browser.refused(UNLOCK).await.unwrap();
    assert!(refused.contains("cannot be reached") && refused.contains("try again"), "{refused}");

    // Twice renewed: neither of the keys that the deployment file pins is shown any more. To this device that is another server.
    for _ in 0..2 {
        system.operate(&["tls", "rotate"]).unwrap().success().unwrap();
    }
    system.restart().unwrap();
    browser.fill(passphrase, PASSPHRASE).await.unwrap();
    let refused = browser.refused(UNLOCK).await.unwrap();
    assert!(refused.contains("key") && refused.contains("administrator"), "{refused}");
    assert!(desk.running.app.desk.running().is_empty());
    browser.picture("another-server").await.unwrap();

    // The new deployment file, compared again, leads back to everything.
    browser.go("/deployments").await.unwrap();
    browser.choose("#file", &system.deployment_file()).await.unwrap();
    browser.click("form[data-look] button[type=submit]").await.unwrap();
    browser.read("This replaces the file").await.unwrap();
    browser.click("dialog input[name=compared]").await.unwrap();
    browser.click("dialog button[type=submit]").await.unwrap();
    browser.see("form[data-send='/unlock']").await.unwrap();
    browser.unlock().await.unwrap();
    browser.go("/vault").await.unwrap();
    browser.see(&row("/second.txt", "")).await.unwrap();
    browser.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_download_without_room_is_told_and_tried_again() {
    let (_system, desk, browser) = in_the_vault().await.unwrap();
    let Some(disk) = SmallDisk::mount(&desk.place().join("disk"), 8).unwrap() else {
        println!("mounting is not allowed here; the words for a full disk are tested in the client library");
        return;
    };
    let folder = desk.place().join("results");
    std::fs::create_dir(&folder).unwrap();
    std::fs::write(folder.join("small.txt"), "small\n").unwrap();
    let content: Vec<u8> = (0..24_000_000u32).map(|at| at.to_le_bytes()[1]).collect();
    std::fs::write(folder.join("large.bin"), &content).unwrap();
    browser.drop_files("ticrypt-table", &[&folder]).await.unwrap();
    browser.see(".tray-card[data-state=done]").await.unwrap();
    browser.save_to("/results", disk.path()).await.unwrap();
    browser.see(".tray-card[data-state=failed]").await.unwrap();
    browser.picture("no-room").await.unwrap();
    browser.go("/transfers").await.unwrap();
    browser.read("failed").await.unwrap();
    let office = desk.running.app.desk.running().pop().unwrap();
    let job = office.transfers.list().remove(0);
    drop(office);
    let told = format!("{} {:?}", job.seen().message.unwrap_or_default(), job.notes());
    assert!(told.contains("the disk is full"), "{told}");
    let key = job.seen().id.to_string();
    drop(job);

    // Room is made, and the same transfer goes on with what it has.
    disk.resize(64).unwrap();
    browser.with_row(&key, "Try again").await.unwrap();
    browser.see(&row(&key, " .bg-green-lt")).await.unwrap();
    assert!(std::fs::read(disk.path().join("results/large.bin")).unwrap() == content);
    assert_eq!(std::fs::read(disk.path().join("results/small.txt")).unwrap(), b"small\n");
    let names: Vec<String> = ticrypt_e2e::tree::read(disk.path()).unwrap().into_keys().collect();
    assert_eq!(names.len(), 2, "nothing half is left: {names:?}");
    browser.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_loop_and_a_file_that_changes_do_no_harm() {
    let (_system, desk, browser) = in_the_vault().await.unwrap();
    let folder = desk.place().join("looped");
    std::fs::create_dir_all(folder.join("inner")).unwrap();
    std::fs::write(folder.join("inner/real.txt"), "real\n").unwrap();
    std::os::unix::fs::symlink("..", folder.join("inner/loop")).unwrap();
    std::os::unix::fs::symlink("/nowhere/at/all", folder.join("dangling")).unwrap();
    browser.drop_files("ticrypt-table", &[&folder]).await.unwrap();
    browser.see(&row("/looped", "")).await.unwrap();
    browser.go("/vault?at=/looped/inner").await.unwrap();
    browser.see(&row("/looped/inner/real.txt", "")).await.unwrap();
    browser.gone(&row("/looped/inner/loop", "")).await.unwrap();

    // Changed under the browser's hand, in the middle.
    let file = desk.place().join("moving.bin");
    let mut made = std::fs::File::create(&file).unwrap();
    made.write_all(&vec![7; 100 << 20]).unwrap();
    browser.go("/vault").await.unwrap();
    browser.pause_at(20_000_000).await.unwrap();
    browser.drop_files("ticrypt-table", &[&file]).await.unwrap();
    browser.see(".tray-card[data-state=paused]").await.unwrap();
    made.write_all(b"more").unwrap();
    made.sync_all().unwrap();
    browser.click(".tray-card[data-state=paused] [data-do=resume]").await.unwrap();
    browser.see(".tray-card[data-state=failed]").await.unwrap();
    browser.go("/transfers").await.unwrap();
    browser.click("tr[data-key] .tbl-title").await.unwrap();
    browser.click(".tbl-bulk button:nth-of-type(2)").await.unwrap();
    browser.read("it changed or went away while it was read").await.unwrap();
    browser.press(thirtyfour::Key::Escape).await.unwrap();
    browser.go("/vault").await.unwrap();
    browser.see(&row("/looped", "")).await.unwrap();
    browser.gone(&row("/moving.bin", "")).await.unwrap();
    browser.drop_files("ticrypt-table", &[&file]).await.unwrap();
    browser.see(&row("/moving.bin", "")).await.unwrap();
    browser.click(&row("/moving.bin", " a")).await.unwrap();
    browser.read("104857604 bytes").await.unwrap();
    browser.close().await.unwrap();
}
