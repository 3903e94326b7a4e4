//! Fingerprints that people compare, and keys that were lost.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

use ticrypt_browser_tests::{Browser, Desk, in_the_vault, row};
use ticrypt_e2e::person::Person;

#[tokio::test(flavor = "multi_thread")]
async fn a_fingerprint_is_compared_and_new_keys_are_accepted() {
    let (system, desk, browser) = in_the_vault().await.unwrap();
    let ben = Person::register(&system, "ben", "another passphrase", None).unwrap();
    browser.activate("ben").await.unwrap();
    ben.login().unwrap();

    // The first share asks to compare, and a click leads there.
    let note = desk.place().join("note.txt");
    std::fs::write(&note, "a note\n").unwrap();
    browser.go("/vault").await.unwrap();
    browser.drop_files("ticrypt-table", &[&note]).await.unwrap();
    browser.see(&row("/note.txt", "")).await.unwrap();
    browser.with_row("/note.txt", "Share").await.unwrap();
    browser.fill("#people", "ben").await.unwrap();
    browser.click("dialog form[data-send='/share'] button[type=submit]").await.unwrap();
    browser.read("First contact with ben").await.unwrap();
    browser.click(".toast-warning .btn-ghost-primary").await.unwrap();
    let shown = browser.see("dialog .fingerprint").await.unwrap().text().await.unwrap();
    let told = ben.run(&["users", "fingerprint"]).unwrap().success().unwrap().stdout;
    assert_eq!(shown, told.trim());
    browser.picture("compare").await.unwrap();
    browser.click("dialog input[name=compared]").await.unwrap();
    browser.click("dialog button[type=submit]").await.unwrap();
    browser.read("pinned as compared").await.unwrap();
    browser.go("/account").await.unwrap();
    browser.see(&row("ben", " .bg-green-lt")).await.unwrap();
    assert_eq!(browser.axe().await.unwrap(), Vec::<String>::new());

    // The key file is lost: new keys, and an administrator who is given the bundle and hears the fingerprint.
    let bundle = desk.place().join("ben.bundle");
    let made = ben.run(&["--json", "key", "reset", "ben", "--bundle", bundle.to_str().unwrap()]).unwrap().success().unwrap();
    let fingerprint = made.json().unwrap()["fingerprint"].as_str().unwrap().to_owned();
    browser.go("/people").await.unwrap();
    browser.with_row("ben", "Accept new keys").await.unwrap();
    browser.choose("dialog #bundle", &bundle).await.unwrap();
    browser.fill("dialog #fingerprint", told.trim()).await.unwrap();
    let refused = browser.refused("dialog button[type=submit]").await.unwrap();
    assert!(refused.contains("accept only what the person has read to you"), "{refused}");
    browser.fill("dialog #fingerprint", &fingerprint).await.unwrap();
    browser.picture("reset").await.unwrap();
    assert_eq!(browser.axe().await.unwrap(), Vec::<String>::new());
    browser.click("dialog button[type=submit]").await.unwrap();
    browser.read("ben has new keys").await.unwrap();
    ben.login().unwrap();

    // What was pinned does not fit any more: sharing is refused until people have compared again.
    browser.go("/vault").await.unwrap();
    browser.with_row("/note.txt", "Share").await.unwrap();
    browser.fill("#people", "ben").await.unwrap();
    let refused = browser.refused("dialog form[data-send='/share'] button[type=submit]").await.unwrap();
    assert!(refused.contains("changed by a reset") && refused.contains("My account"), "{refused}");
    browser.go("/account").await.unwrap();
    browser.with_row("ben", "Compare").await.unwrap();
    browser.read("ben has new keys: an administrator accepted them").await.unwrap();
    let shown = browser.see("dialog .fingerprint").await.unwrap().text().await.unwrap();
    assert_eq!(shown, fingerprint);
    browser.click("dialog input[name=compared]").await.unwrap();
    browser.click("dialog button[type=submit]").await.unwrap();
    browser.read("pinned as compared").await.unwrap();
    browser.go("/vault").await.unwrap();
    browser.with_row("/note.txt", "Share").await.unwrap();
    browser.fill("#people", "ben").await.unwrap();
    browser.click("dialog form[data-send='/share'] button[type=submit]").await.unwrap();
    browser.read("Shared with ben").await.unwrap();
    browser.close().await.unwrap();
}

/// Without a terminal: new keys made in the page, accepted in another one.
#[tokio::test(flavor = "multi_thread")]
async fn lost_keys_are_replaced_in_the_page() {
    let (system, desk, browser) = in_the_vault().await.unwrap();
    let bens = Desk::new().await.unwrap();
    let ben = Browser::start().await.unwrap();
    ben.open(&bens.link().unwrap()).await.unwrap();
    ben.add_deployment(&system).await.unwrap();
    ben.create_account("ben", None).await.unwrap();
    ben.see("form[data-send='/unlock']").await.unwrap();
    browser.activate("ben").await.unwrap();
    ben.unlock().await.unwrap();
    ben.click("button[aria-label=Lock]").await.unwrap();

    ben.click("a[href='/?step=lost']").await.unwrap();
    ben.see("form[data-send='/lost']").await.unwrap();
    ben.fill("#passphrase", "a passphrase not lost").await.unwrap();
    ben.fill("#again", "a passphrase not lost").await.unwrap();
    ben.click("input[name=understood]").await.unwrap();
    assert_eq!(ben.axe().await.unwrap(), Vec::<String>::new());
    ben.picture("lost").await.unwrap();
    ben.click("form[data-send='/lost'] button[type=submit]").await.unwrap();
    ben.read("New keys are made").await.unwrap();
    ben.picture("lost-made").await.unwrap();
    let fingerprint = ben.see(".fingerprint").await.unwrap().text().await.unwrap();
    let tried = "form[data-send='/unlock'] input[name=passphrase]";
    ben.fill(tried, "a passphrase not lost").await.unwrap();
    let refused = ben.refused("form[data-send='/unlock'] button[type=submit]").await.unwrap();
    assert!(refused.contains("made by a reset") && refused.contains("ben.bundle"), "{refused}");

    let deployments = bens.home().join("deployments");
    let mut bundles = ticrypt_e2e::tree::read(&deployments).unwrap().into_keys().filter(|path| path.ends_with("keys/ben.bundle"));
    let bundle = deployments.join(bundles.next().unwrap());
    browser.with_row("ben", "Accept new keys").await.unwrap();
    browser.choose("dialog #bundle", &bundle).await.unwrap();
    browser.fill("dialog #fingerprint", &fingerprint).await.unwrap();
    browser.click("dialog button[type=submit]").await.unwrap();
    browser.read("ben has new keys").await.unwrap();
    ben.fill(tried, "a passphrase not lost").await.unwrap();
    ben.click("form[data-send='/unlock'] button[type=submit]").await.unwrap();
    ben.see(".shell").await.unwrap();
    drop(desk);
    for browser in [browser, ben] {
        browser.close().await.unwrap();
    }
}
