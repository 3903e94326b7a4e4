//! Working in a project, and tags, as people meet them on the page.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

use ticrypt_browser_tests::{Browser, Desk, in_the_vault, row};

fn project(desk: &Desk, name: &str, more: &[&str]) -> String {
    let made = desk.run(&[&["--json", "project", "create", name], more].concat()).unwrap().json().unwrap();
    made["project"].as_str().unwrap().to_owned()
}

/// Chooses in a dialog with the projects, and takes it.
async fn choose(browser: &Browser, project: &str) {
    browser.click(&format!("dialog input[value='{project}']")).await.unwrap();
    browser.click("dialog button[type=submit]").await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_project_is_worked_in_and_a_folder_carries_its_tag() {
    let (_system, desk, browser) = in_the_vault().await.unwrap();
    let federal = project(&desk, "Federal", &["--tag", "US", "--colour", "#b91c1c"]);
    let florida = project(&desk, "Florida", &["--below", "Federal", "--tag", "FL", "--colour", "#d97706"]);
    project(&desk, "Texas", &["--below", "Federal", "--tag", "TX", "--colour", "#2563eb"]);
    desk.run(&["mkdir", "/oranges"]).unwrap();
    browser.go("/vault").await.unwrap();
    // Gained after the login: it is there, and says what to do.
    browser.click(".work button").await.unwrap();
    browser.read("log in again").await.unwrap();
    browser.click("dialog [data-close]").await.unwrap();
    browser.click("button[aria-label=Lock]").await.unwrap();
    browser.unlock().await.unwrap();

    browser.go("/vault").await.unwrap();
    browser.click(".work button").await.unwrap();
    browser.see(&format!("dialog input[value='{florida}']")).await.unwrap();
    browser.picture("work-dialog").await.unwrap();
    assert_eq!(browser.axe().await.unwrap(), Vec::<String>::new());
    choose(&browser, &florida).await;
    browser.read("You work in Federal/Florida.").await.unwrap();
    assert_eq!(browser.see(".work .tag").await.unwrap().text().await.unwrap(), "FL");

    browser.with_row("/oranges", "Tag").await.unwrap();
    browser.see(&format!("dialog input[value='{federal}']:not([disabled])")).await.unwrap();
    browser.picture("tag-dialog").await.unwrap();
    assert_eq!(browser.axe().await.unwrap(), Vec::<String>::new());
    choose(&browser, &florida).await;
    browser.read("Tagged.").await.unwrap();
    assert!(browser.see(&row("/oranges", " .tag")).await.unwrap().text().await.unwrap().starts_with("FL"));
    browser.picture("tagged").await.unwrap();

    // Another choice on another device: the page follows, and what is locked is a name with a question mark that leads nowhere.
    desk.run(&["work", "--none"]).unwrap();
    browser.go("/vault").await.unwrap();
    browser.read("No project").await.unwrap();
    assert!(browser.see(&row("/oranges", " .tag")).await.unwrap().text().await.unwrap().starts_with('?'));
    browser.see(&row("/oranges", " .cell-text")).await.unwrap();
    for (theme, width) in [("light", 1280), ("dark", 400)] {
        browser.resize(width, 860).await.unwrap();
        browser.run(&format!("setTheme('{theme}')")).await.unwrap();
        browser.picture(&format!("locked-{theme}-{width}")).await.unwrap();
        assert_eq!(browser.axe().await.unwrap(), Vec::<String>::new());
    }
    browser.close().await.unwrap();
}
