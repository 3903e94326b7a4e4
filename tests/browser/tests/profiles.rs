//! Profiles, as who gives permissions meets them on the page.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

use ticrypt_browser_tests::{Browser, in_the_vault, row};

/// The one profile there is.
async fn key(browser: &Browser) -> String {
    browser.go("/profiles").await.unwrap();
    browser.see("tr[data-key]").await.unwrap();
    let keys = browser.run("return [...document.querySelectorAll('tr[data-key]')].map((row) => row.dataset.key)").await.unwrap();
    let [key] = keys.as_array().unwrap().as_slice() else { panic!("{keys}") };
    key.as_str().unwrap().to_owned()
}

/// Waits until the list says this of somebody's profile.
async fn has(browser: &Browser, name: &str, profile: &str) {
    browser.go("/people").await.unwrap();
    let cell = row(name, " .tbl-profile");
    browser.see(&cell).await.unwrap();
    let script = format!("return document.querySelector({}).textContent.trim() === '{profile}'", serde_json::json!(cell));
    browser.until(&format!("{name} has `{profile}`"), &script).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_profile_is_made_applied_changed_and_deleted() {
    let (system, desk, browser) = in_the_vault().await.unwrap();
    browser.enrol(&system, &["ada", "ben"]).await.unwrap();
    browser.go("/profiles").await.unwrap();
    browser.read("No profiles").await.unwrap();
    browser.look("profiles-empty").await.unwrap();
    browser.click("[data-dialog='/profiles/dialog']").await.unwrap();
    browser.fill("#profile-name", "Researcher").await.unwrap();
    browser.click("dialog input[value='project.create']").await.unwrap();
    browser.look("profile-new").await.unwrap();
    browser.click("dialog button[type=submit]").await.unwrap();
    browser.read("Made.").await.unwrap();
    let researcher = key(&browser).await;

    // To one, on the page of people; and then what they have is not just the profile any more.
    browser.go("/people").await.unwrap();
    browser.with_row("ada", "Apply a profile").await.unwrap();
    browser.see("dialog #profile").await.unwrap();
    browser.look("people-profile").await.unwrap();
    browser.click("dialog button[type=submit]").await.unwrap();
    browser.read("Applied to 1 person.").await.unwrap();
    has(&browser, "ada", "Researcher").await;
    browser.with_row("ada", "Permissions").await.unwrap();
    browser.see("dialog input[value='project.create']:checked").await.unwrap();
    browser.click("dialog input[value='team.create']").await.unwrap();
    browser.look("people-permissions").await.unwrap();
    browser.click("dialog button[type=submit]").await.unwrap();
    browser.read("The permissions of ada are changed.").await.unwrap();
    has(&browser, "ada", "Researcher, changed").await;
    browser.look("people-profiles").await.unwrap();
    let listed = desk.run(&["--json", "users", "list"]).unwrap().success().unwrap().json().unwrap();
    let ada = listed.as_array().unwrap().iter().find(|view| view["name"] == "ada").unwrap();
    for (word, held) in [("project.create", true), ("team.create", true), ("vault.create", true), ("user.activate", false)] {
        assert_eq!(ada["permissions"].as_array().unwrap().iter().any(|one| one == word), held, "{word}: {ada}");
    }

    // To several, on the page of profiles.
    key(&browser).await;
    browser.with_row(&researcher, "Apply to people").await.unwrap();
    browser.fill("dialog #people", "ada, ben nobody").await.unwrap();
    browser.look("profile-apply").await.unwrap();
    browser.click("dialog button[type=submit]").await.unwrap();
    browser.read("Applied to 2 people.").await.unwrap();
    browser.read("nobody: ").await.unwrap();
    has(&browser, "ada", "Researcher").await;
    has(&browser, "ben", "Researcher").await;

    key(&browser).await;
    browser.with_row(&researcher, "Change").await.unwrap();
    browser.fill("#profile-description", "Who makes projects").await.unwrap();
    browser.click("dialog input[value='project.view']").await.unwrap();
    browser.click("dialog button[type=submit]").await.unwrap();
    browser.read("keeps what they have until it is applied again").await.unwrap();
    browser.read("Who makes projects").await.unwrap();
    browser.look("profiles").await.unwrap();
    has(&browser, "ben", "Researcher, changed").await;

    key(&browser).await;
    browser.with_row(&researcher, "Delete").await.unwrap();
    browser.click("dialog button[value=yes]").await.unwrap();
    browser.read("Deleted 1 profile.").await.unwrap();
    browser.gone(&row(&researcher, "")).await.unwrap();
    browser.close().await.unwrap();
}
