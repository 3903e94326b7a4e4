//! The keys are gone when nobody is there: on demand, after idle time, after the machine slept, and when the command line says so.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

use std::time::Duration;

use ticrypt_browser_tests::{Browser, Desk, System, row};
use ticrypt_e2e::person::Person;
use ticrypt_e2e::system::Options;

#[tokio::test(flavor = "multi_thread")]
async fn it_locks_on_demand_when_idle_and_after_sleep() {
    let system = System::start(&Options::default()).unwrap();
    let desk = Desk::with_idle(Duration::from_secs(600)).await.unwrap();
    let browser = Browser::start().await.unwrap();
    browser.first_administrator(&system, &desk.link().unwrap()).await.unwrap();
    let app = &desk.running.app;
    let is_open = || !app.desk.running().is_empty();

    assert!(is_open());
    browser.click("button[aria-label=Lock]").await.unwrap();
    browser.see("form[data-send='/unlock']").await.unwrap();
    assert!(!is_open());
    browser.unlock().await.unwrap();

    desk.clock.pass(Duration::from_secs(590));
    browser.go("/vault").await.unwrap();
    browser.see("ticrypt-table").await.unwrap();
    desk.clock.pass(Duration::from_secs(590));
    browser.see("ticrypt-table").await.unwrap();
    assert!(is_open());
    desk.clock.pass(Duration::from_secs(20));
    browser.see("form[data-send='/unlock']").await.unwrap();
    browser.read("nobody was here").await.unwrap();
    assert!(!is_open());
    browser.unlock().await.unwrap();

    desk.clock.sleep(Duration::from_secs(30));
    browser.see("form[data-send='/unlock']").await.unwrap();
    browser.read("was asleep").await.unwrap();
    assert!(!is_open());
    browser.unlock().await.unwrap();

    // Who knows the address and not the passphrase sees the lock, whatever they ask for.
    let office = app.desk.running().pop().unwrap();
    assert_eq!(std::sync::Arc::strong_count(&office), 2, "nothing else holds what is unlocked");
    drop(office);
    browser.click("button[aria-label=Lock]").await.unwrap();
    browser.see("form[data-send='/unlock']").await.unwrap();
    for page in ["/people", "/audit", "/account", "/vault/details?at=/x"] {
        browser.go(page).await.unwrap();
        browser.see("form[data-send='/unlock']").await.unwrap();
    }
    browser.close().await.unwrap();
}

/// What happens elsewhere draws lists anew, and is nobody being here.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_page_fetches_by_itself_keeps_nothing_open() {
    let system = System::start(&Options::default()).unwrap();
    let desk = Desk::with_idle(Duration::from_secs(600)).await.unwrap();
    let browser = Browser::start().await.unwrap();
    browser.first_administrator(&system, &desk.link().unwrap()).await.unwrap();
    browser.go("/people").await.unwrap();
    browser.see(&row("admin", "")).await.unwrap();
    desk.clock.pass(Duration::from_secs(590));
    let _ben = Person::register(&system, "ben", "another passphrase", None).unwrap();
    browser.see(&row("ben", "")).await.unwrap();
    assert!(!desk.running.app.desk.running().is_empty());
    desk.clock.pass(Duration::from_secs(20));
    browser.read("nobody was here").await.unwrap();
    assert!(desk.running.app.desk.running().is_empty());
    browser.close().await.unwrap();
}
