//! Requests to join a project, as those who ask and those who answer meet them on the page.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

use ticrypt_browser_tests::{Browser, in_the_vault};
use ticrypt_e2e::person::Person;

/// The key of the row in which this stands.
async fn row_of(browser: &Browser, text: &str) -> String {
    browser.read(text).await.unwrap();
    let find =
        format!("return [...document.querySelectorAll('tr[data-key]')].find((row) => row.textContent.includes('{text}')).dataset.key");
    browser.run(&find).await.unwrap().as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn who_asks_is_taken_in_or_refused() {
    let (system, desk, browser) = in_the_vault().await.unwrap();
    browser.go("/requests").await.unwrap();
    browser.read("No requests").await.unwrap();
    browser.look("requests-empty").await.unwrap();
    let made = desk.run(&["--json", "project", "create", "Federal"]).unwrap().json().unwrap();
    let federal = made.as_str().unwrap().to_owned();
    for name in ["ada", "ben"] {
        let person = Person::register(&system, name, "another passphrase", None).unwrap();
        browser.activate(name).await.unwrap();
        person.run(&["login"]).unwrap().success().unwrap();
        person.run(&["project", "join", &federal, "--message", &format!("{name} counts oranges")]).unwrap().success().unwrap();
    }
    browser.click("button[aria-label=Lock]").await.unwrap();
    browser.unlock().await.unwrap();

    browser.go("/requests").await.unwrap();
    let ada = row_of(&browser, "ada counts oranges").await;
    let ben = row_of(&browser, "ben counts oranges").await;
    browser.read("Federal").await.unwrap();
    browser.look("requests").await.unwrap();
    browser.with_row(&ada, "Take in").await.unwrap();
    browser.click("dialog button[value=yes]").await.unwrap();
    browser.read("Took in 1 person.").await.unwrap();
    browser.with_row(&ben, "Refuse").await.unwrap();
    browser.fill("#reason", "the study is full").await.unwrap();
    browser.look("request-refuse").await.unwrap();
    browser.click("dialog button[type=submit]").await.unwrap();
    browser.read("Refused 1 request.").await.unwrap();
    browser.read("No requests").await.unwrap();
    browser.go(&format!("/projects/members?project={federal}")).await.unwrap();
    browser.see("tr[data-key='ada']").await.unwrap();

    // One's own: of a project that is not there, which nobody tells.
    browser.go("/requests").await.unwrap();
    browser.click("[data-dialog='/requests/ask-dialog']").await.unwrap();
    browser.fill("#project", "0c8f6a52-9d3e-4b1f-8a67-2f1de5c0b943").await.unwrap();
    browser.fill("#message", "let me in").await.unwrap();
    browser.look("request-ask").await.unwrap();
    browser.click("dialog button[type=submit]").await.unwrap();
    browser.read("Asked.").await.unwrap();
    let own = row_of(&browser, "let me in").await;
    browser.with_row(&own, "Withdraw").await.unwrap();
    browser.click("dialog button[value=yes]").await.unwrap();
    browser.read("Withdrew 1 request.").await.unwrap();
    browser.read("withdrawn").await.unwrap();
    browser.close().await.unwrap();
}
