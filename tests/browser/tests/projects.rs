//! Working in a project, and tags, as people meet them on the page.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

use ticrypt_browser_tests::{Browser, Desk, in_the_vault, row};
use ticrypt_e2e::person::Person;

fn project(desk: &Desk, name: &str, more: &[&str]) -> String {
    let made = desk.run(&[&["--json", "project", "create", name], more].concat()).unwrap().json().unwrap();
    made.as_str().unwrap().to_owned()
}

/// Chooses in a dialog with the projects, and takes it.
async fn choose(browser: &Browser, project: &str) {
    browser.click(&format!("dialog input[value='{project}']")).await.unwrap();
    browser.click("dialog button[type=submit]").await.unwrap();
}

/// The key of the first row, once there is one.
async fn first_key(browser: &Browser) -> String {
    browser.see("tr[data-key]").await.unwrap();
    let key = browser.run("return document.querySelector('tr[data-key]').dataset.key").await.unwrap();
    key.as_str().unwrap().to_owned()
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

#[tokio::test(flavor = "multi_thread")]
async fn a_project_is_made_and_people_come_and_go() {
    let (system, _desk, browser) = in_the_vault().await.unwrap();
    for name in ["ada", "ben"] {
        Person::register(&system, name, "another passphrase", None).unwrap();
        browser.activate(name).await.unwrap();
    }
    browser.go("/projects").await.unwrap();
    browser.read("You are in no project").await.unwrap();
    browser.picture("projects-empty").await.unwrap();
    browser.click("[data-dialog='/projects/new-dialog']").await.unwrap();
    browser.fill("#project-name", "Federal").await.unwrap();
    browser.fill("#project-tag", "US").await.unwrap();
    browser.picture("project-new").await.unwrap();
    assert_eq!(browser.axe().await.unwrap(), Vec::<String>::new());
    browser.click("dialog button[type=submit]").await.unwrap();
    browser.read("Made Federal").await.unwrap();
    let key = first_key(&browser).await;
    // It counts from the next login, and whoever is not in it yet runs nothing.
    browser.see(&row(&key, " .bg-blue-lt")).await.unwrap();
    browser.click("button[aria-label=Lock]").await.unwrap();
    browser.unlock().await.unwrap();
    browser.go("/projects").await.unwrap();
    browser.with_row(&key, "New project below").await.unwrap();
    browser.fill("#project-name", "Florida").await.unwrap();
    browser.click("dialog button[type=submit]").await.unwrap();
    browser.read("Federal/Florida").await.unwrap();
    browser.picture("projects").await.unwrap();
    assert_eq!(browser.axe().await.unwrap(), Vec::<String>::new());
    browser.with_row(&key, "Delete").await.unwrap();
    browser.click("dialog button[value=yes]").await.unwrap();
    browser.read("projects are below it").await.unwrap();

    browser.go(&format!("/projects/members?project={key}")).await.unwrap();
    browser.click("[data-dialog='/projects/members/add-dialog']").await.unwrap();
    browser.fill("#people", "ada, ben nobody").await.unwrap();
    browser.click("dialog input[value='no-download']").await.unwrap();
    browser.picture("members-add").await.unwrap();
    assert_eq!(browser.axe().await.unwrap(), Vec::<String>::new());
    browser.click("dialog button[type=submit]").await.unwrap();
    browser.read("Added 2 people").await.unwrap();
    browser.read("nobody: ").await.unwrap();
    browser.see(&row("ada", "")).await.unwrap();
    browser.with_row("ben", "Change").await.unwrap();
    // A day is typed as the machine writes days; what is sent is always the same.
    browser.run("document.querySelector('#until').value = '2099-01-31'").await.unwrap();
    browser.click("dialog button[type=submit]").await.unwrap();
    browser.read("Changed 1 member").await.unwrap();
    browser.with_row("ada", "Take out").await.unwrap();
    browser.click("dialog button[value=yes]").await.unwrap();
    browser.read("Took out 1 member").await.unwrap();
    browser.gone(&row("ada", "")).await.unwrap();
    browser.see(&row("ben", "")).await.unwrap();
    browser.picture("members").await.unwrap();
    assert_eq!(browser.axe().await.unwrap(), Vec::<String>::new());

    // Into several at once, those above first; the one below is run from the next login on as well.
    browser.click("button[aria-label=Lock]").await.unwrap();
    browser.unlock().await.unwrap();
    browser.go("/projects").await.unwrap();
    browser.see(&row(&key, "")).await.unwrap();
    let below = "return [...document.querySelectorAll('tr[data-key]')].map((row) => row.dataset.key).find((key) => key !== arguments[0])";
    let below = browser.run(&below.replace("arguments[0]", &format!("'{key}'"))).await.unwrap().as_str().unwrap().to_owned();
    browser.click(&row(&key, " .tbl-check")).await.unwrap();
    browser.with_row(&below, "Add people").await.unwrap();
    browser.read("Add people to 2 projects").await.unwrap();
    browser.fill("#people", "ada ben").await.unwrap();
    browser.picture("projects-add").await.unwrap();
    browser.click("dialog button[type=submit]").await.unwrap();
    browser.read("Added 2 memberships in 2 projects; it counts from their next login. 1 was in it already.").await.unwrap();
    // Of each by itself it is told why not, and where.
    browser.read("Federal/Florida: ben: the membership of the project above ends earlier").await.unwrap();
    browser.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_level_asks_and_people_are_certified() {
    let (system, desk, browser) = in_the_vault().await.unwrap();
    let ada = Person::register(&system, "ada", "another passphrase", None).unwrap();
    browser.activate("ada").await.unwrap();
    ada.login().unwrap();
    browser.go("/requirements").await.unwrap();
    browser.read("No requirements").await.unwrap();
    browser.click("[data-dialog='/requirements/dialog']").await.unwrap();
    browser.fill("#requirement-name", "Training").await.unwrap();
    browser.fill("#requirement-maximum", "a while").await.unwrap();
    let refused = browser.refused("dialog button[type=submit]").await.unwrap();
    assert!(refused.contains("length of time"), "{refused}");
    browser.fill("#requirement-maximum", "730d").await.unwrap();
    browser.picture("requirement-new").await.unwrap();
    assert_eq!(browser.axe().await.unwrap(), Vec::<String>::new());
    browser.click("dialog button[type=submit]").await.unwrap();
    browser.read("730d").await.unwrap();

    browser.go("/levels").await.unwrap();
    browser.click("[data-dialog='/levels/dialog']").await.unwrap();
    browser.fill("#level-name", "CUI").await.unwrap();
    browser.click("dialog input[name=requirement]").await.unwrap();
    browser.click("dialog button[type=submit]").await.unwrap();
    browser.read("Training").await.unwrap();
    browser.picture("levels").await.unwrap();
    assert_eq!(browser.axe().await.unwrap(), Vec::<String>::new());
    // What a level asks for stays.
    browser.go("/requirements").await.unwrap();
    let key = first_key(&browser).await;
    browser.with_row(&key, "Delete").await.unwrap();
    browser.click("dialog button[value=yes]").await.unwrap();
    browser.read("a level asks for this requirement").await.unwrap();

    browser.go("/certifications").await.unwrap();
    browser.click("[data-dialog='/certifications/give-dialog']").await.unwrap();
    browser.fill("#people", "ada admin").await.unwrap();
    browser.picture("certify").await.unwrap();
    browser.click("dialog button[type=submit]").await.unwrap();
    browser.read("Certified 2 people").await.unwrap();
    let key = first_key(&browser).await;
    browser.see(&row(&key, " .bg-green-lt")).await.unwrap();
    browser.picture("certifications").await.unwrap();
    assert_eq!(browser.axe().await.unwrap(), Vec::<String>::new());
    browser.with_row(&key, "End now").await.unwrap();
    browser.click("dialog button[value=yes]").await.unwrap();
    browser.read("Ended 1 certification").await.unwrap();
    browser.see(&row(&key, " .bg-red-lt")).await.unwrap();
    // The command line shows the same.
    let listed = desk.run(&["--json", "certification", "list", "--all"]).unwrap().json().unwrap();
    assert_eq!(listed.as_array().unwrap().len(), 2);
    browser.close().await.unwrap();
}
