//! Teams, as who looks after one meets them on the page; and what was done to many at once.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

use ticrypt_browser_tests::{Browser, in_the_vault, row};

/// Makes a team, whose page is shown then, and gives its id.
async fn team(browser: &Browser, name: &str) -> String {
    browser.go("/teams").await.unwrap();
    browser.click("[data-dialog='/teams/new-dialog']").await.unwrap();
    browser.fill("#team-name", name).await.unwrap();
    browser.click("dialog button[type=submit]").await.unwrap();
    browser.read("Nobody is in this team").await.unwrap();
    browser.run("return new URLSearchParams(location.search).get('team')").await.unwrap().as_str().unwrap().to_owned()
}

async fn add(browser: &Browser, names: &str) {
    browser.click("[data-dialog='/teams/add-dialog']").await.unwrap();
    browser.fill("#people", names).await.unwrap();
    browser.click("dialog button[type=submit]").await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_team_is_made_filled_given_quotas_and_emptied() {
    let (system, desk, browser) = in_the_vault().await.unwrap();
    browser.enrol(&system, &["ada", "ben"]).await.unwrap();
    browser.go("/teams").await.unwrap();
    browser.read("No teams").await.unwrap();
    browser.look("teams-empty").await.unwrap();
    browser.click("[data-dialog='/teams/new-dialog']").await.unwrap();
    browser.look("team-new").await.unwrap();
    browser.click("dialog [data-close]").await.unwrap();
    let heart = team(&browser, "Heart").await;

    // Several at once, with a result for each.
    add(&browser, "ada, ben nobody").await;
    browser.read("Added 2 people").await.unwrap();
    browser.read("nobody: ").await.unwrap();
    browser.see(&row("ben", "")).await.unwrap();
    browser.read("of 100.0 GiB").await.unwrap();
    browser.look("team").await.unwrap();
    browser.with_row("ada", "Make manager").await.unwrap();
    browser.read("Made 1 manager.").await.unwrap();
    browser.see(&row("ada", " .bg-primary-lt")).await.unwrap();
    browser.with_row("ada", "Make plain member").await.unwrap();
    browser.read("Made 1 plain member.").await.unwrap();

    // What its people may use, as people write it.
    browser.go("/teams").await.unwrap();
    browser.with_row(&heart, "Quotas").await.unwrap();
    browser.fill("#quota-vault", "much").await.unwrap();
    let refused = browser.refused("dialog button[type=submit]").await.unwrap();
    assert!(refused.contains("like 100 GiB"), "{refused}");
    browser.fill("#quota-vault", "2 TiB").await.unwrap();
    browser.run("document.querySelector('#quota-cores').value = ''").await.unwrap();
    browser.look("team-quotas").await.unwrap();
    browser.click("dialog button[type=submit]").await.unwrap();
    browser.read("Changed. What is stored stays").await.unwrap();
    browser.read("2.0 TiB").await.unwrap();
    browser.look("teams").await.unwrap();
    // The command line shows the same, and what was not touched is as it was.
    let shown = desk.run(&["--json", "team", "show", "Heart"]).unwrap().json().unwrap();
    assert_eq!(shown["quotas"]["vault_bytes"].as_u64(), Some(2 << 40), "{shown}");
    assert!(shown["quotas"]["cores"].is_null() && shown["quotas"]["memory_mib"].as_u64() == Some(64 << 10), "{shown}");

    browser.with_row(&heart, "Change").await.unwrap();
    browser.fill("#team-description", "Who looks at hearts").await.unwrap();
    browser.click("dialog button[type=submit]").await.unwrap();
    browser.read("Who looks at hearts").await.unwrap();
    browser.with_row(&heart, "Delete").await.unwrap();
    browser.click("dialog button[value=yes]").await.unwrap();
    browser.read("take its members out first").await.unwrap();

    // Out of the last team is out.
    browser.go(&format!("/teams/members?team={heart}")).await.unwrap();
    browser.with_row("ada", "Take out").await.unwrap();
    browser.read("Whoever is in no other team loses access at once").await.unwrap();
    browser.click("dialog button[value=yes]").await.unwrap();
    browser.read("It was their last team").await.unwrap();
    browser.gone(&row("ada", "")).await.unwrap();
    browser.with_row("ben", "Take out").await.unwrap();
    browser.click("dialog button[value=yes]").await.unwrap();
    browser.read("Nobody is in this team").await.unwrap();
    browser.go("/teams").await.unwrap();
    browser.with_row(&heart, "Delete").await.unwrap();
    browser.click("dialog button[value=yes]").await.unwrap();
    browser.read("Deleted 1 team.").await.unwrap();
    browser.gone(&row(&heart, "")).await.unwrap();
    browser.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_team_is_assigned_to_a_sub_admin() {
    let (system, _desk, browser) = in_the_vault().await.unwrap();
    browser.enrol(&system, &["dora", "ada"]).await.unwrap();
    // Anew, with nothing selected.
    browser.go("/people").await.unwrap();
    browser.with_row("dora", "Change rank").await.unwrap();
    browser.see("dialog #rank").await.unwrap();
    browser.run("document.querySelector('dialog #rank').value = 'sub-admin'").await.unwrap();
    browser.click("dialog button[type=submit]").await.unwrap();
    browser.read("sub-admin now").await.unwrap();
    team(&browser, "Heart").await;
    browser.read("nobody").await.unwrap();
    browser.click("[data-dialog='/teams/assign-dialog']").await.unwrap();
    browser.fill("#people", "dora ada").await.unwrap();
    browser.run("document.querySelector('#until').value = '2099-01-31'").await.unwrap();
    browser.look("team-assign").await.unwrap();
    browser.click("dialog button[type=submit]").await.unwrap();
    browser.read("Assigned to 1 sub-admin.").await.unwrap();
    browser.read("only sub-admins have teams assigned to them").await.unwrap();
    browser.read("dora, until 2099-01-31").await.unwrap();
    browser.look("team-assigned").await.unwrap();
    browser.click("[data-act='/teams/unassign']").await.unwrap();
    browser.click("dialog button[value=yes]").await.unwrap();
    browser.read("Ended.").await.unwrap();
    browser.gone("[data-act='/teams/unassign']").await.unwrap();
    browser.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_failed_of_many_is_told_later_too() {
    let (system, _desk, browser) = in_the_vault().await.unwrap();
    browser.enrol(&system, &["ada", "ben"]).await.unwrap();
    browser.go("/bulk").await.unwrap();
    browser.read("No bulk actions").await.unwrap();
    browser.look("bulk-empty").await.unwrap();
    let heart = team(&browser, "Heart").await;
    // One is no list.
    add(&browser, "ada").await;
    browser.read("Added 1 person.").await.unwrap();
    add(&browser, "ada ben").await;
    browser.read("Added 1 person. 1 was in it already.").await.unwrap();
    browser.see(&row("ben", "")).await.unwrap();

    browser.go("/bulk").await.unwrap();
    browser.read("Adding people to a team").await.unwrap();
    let keys = browser.run("return [...document.querySelectorAll('tr[data-key]')].map((row) => row.dataset.key)").await.unwrap();
    let [key] = keys.as_array().unwrap().as_slice() else { panic!("{keys}") };
    let key = key.as_str().unwrap();
    browser.see(&row(key, " .bg-red-lt")).await.unwrap();
    browser.look("bulk").await.unwrap();
    browser.with_row(key, "Details").await.unwrap();
    browser.read("they are a member already").await.unwrap();
    browser.read("ada, Heart").await.unwrap();
    browser.look("bulk-details").await.unwrap();
    browser.click("dialog [data-close]").await.unwrap();

    // What was in the way is gone: it is tried again.
    browser.go(&format!("/teams/members?team={heart}")).await.unwrap();
    browser.with_row("ada", "Take out").await.unwrap();
    browser.click("dialog button[value=yes]").await.unwrap();
    browser.gone(&row("ada", "")).await.unwrap();
    browser.go("/bulk").await.unwrap();
    browser.with_row(key, "Resume with failed").await.unwrap();
    browser.read("Resumed 1 bulk action.").await.unwrap();
    browser.see(&row(key, " .bg-green-lt")).await.unwrap();
    browser.go(&format!("/teams/members?team={heart}")).await.unwrap();
    browser.see(&row("ada", "")).await.unwrap();
    browser.close().await.unwrap();
}
