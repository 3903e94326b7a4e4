//! Requests to join a project, as those who ask and those who answer meet them on the page.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

use ticrypt_browser_tests::{Browser, in_the_vault};
use ticrypt_e2e::person::Person;

/// Serious findings in both colours, wide and narrow; and pictures.
async fn look(browser: &Browser, name: &str) {
    for (theme, width) in [("light", 1280), ("dark", 1280), ("light", 400)] {
        browser.resize(width, 860).await.unwrap();
        browser.run(&format!("setTheme('{theme}')")).await.unwrap();
        browser.until("colours have changed", "return document.getAnimations().length === 0").await.unwrap();
        browser.picture(&format!("{name}-{theme}-{width}")).await.unwrap();
        assert_eq!(browser.axe().await.unwrap(), Vec::<String>::new(), "{name} {theme} {width}");
        let wider = browser.run("return document.documentElement.scrollWidth - innerWidth").await.unwrap();
        assert!(wider.as_i64().unwrap() <= 0, "{name} {theme} {width} is wider than the window by {wider}");
    }
    browser.resize(1280, 860).await.unwrap();
    browser.run("setTheme('light')").await.unwrap();
}

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
    look(&browser, "requests-empty").await;
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
    look(&browser, "requests").await;
    browser.with_row(&ada, "Take in").await.unwrap();
    browser.click("dialog button[value=yes]").await.unwrap();
    browser.read("Took in 1 person.").await.unwrap();
    browser.with_row(&ben, "Refuse").await.unwrap();
    browser.fill("#reason", "the study is full").await.unwrap();
    look(&browser, "request-refuse").await;
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
    look(&browser, "request-ask").await;
    browser.click("dialog button[type=submit]").await.unwrap();
    browser.read("Asked.").await.unwrap();
    let own = row_of(&browser, "let me in").await;
    browser.with_row(&own, "Withdraw").await.unwrap();
    browser.click("dialog button[value=yes]").await.unwrap();
    browser.read("Withdrew 1 request.").await.unwrap();
    browser.read("withdrawn").await.unwrap();
    browser.close().await.unwrap();
}
