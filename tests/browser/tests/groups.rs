//! Groups, as two people meet them on the page: made, filled by one and read by the other, and over for who is removed.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

use serde_json::json;
use thirtyfour::Key;
use ticrypt_browser_tests::{Browser, Desk, System, in_the_vault, row};
use ticrypt_connect::transfer::{Direction, State};
use ticrypt_e2e::person::Person;
use ticrypt_e2e::process::{PATIENCE, await_until};

/// Somebody with a machine and a browser of their own, active and in their vault.
async fn newcomer(system: &System, admin: &Browser, name: &str) -> (Desk, Browser) {
    let desk = Desk::new().await.unwrap();
    let browser = Browser::start().await.unwrap();
    browser.open(&desk.link().unwrap()).await.unwrap();
    browser.add_deployment(system).await.unwrap();
    browser.create_account(name, None).await.unwrap();
    browser.see("form[data-send='/unlock']").await.unwrap();
    admin.activate(name).await.unwrap();
    browser.unlock().await.unwrap();
    (desk, browser)
}

/// The key of the row that says this.
async fn key_of(browser: &Browser, text: &str) -> String {
    let script = format!(
        "return [...document.querySelectorAll('tr[data-key]')].find((row) => row.querySelector('.tbl-name').innerText.includes({}))?.dataset.key ?? null",
        json!(text)
    );
    browser.until(&format!("a row says {text}"), &format!("return (() => {{ {script} }})() !== null")).await.unwrap();
    browser.run(&script).await.unwrap().as_str().unwrap().to_owned()
}

/// One permission of a member in the list.
fn check(key: &str, permission: &str, state: &str) -> String {
    row(key, &format!(" [data-column='{permission}']{state}"))
}

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
async fn a_group_is_made_filled_read_and_over_for_who_is_removed() {
    let (system, desk, admin) = in_the_vault().await.unwrap();
    let (bens, ben) = newcomer(&system, &admin, "ben").await;

    // Nothing yet: the page says what a group is, and offers to make one.
    admin.go("/groups").await.unwrap();
    admin.read("You are in no group").await.unwrap();
    admin.look("groups-empty").await.unwrap();
    admin.click("[data-dialog='/groups/new-dialog']").await.unwrap();
    admin.fill("#group-name", "Genomics").await.unwrap();
    admin.fill("#people", "ben nobody").await.unwrap();
    admin.look("group-new").await.unwrap();
    let refused = admin.refused("dialog button[type=submit]").await.unwrap();
    assert!(refused.starts_with("Nobody: ") || refused.starts_with("nobody: "), "{refused}");
    admin.fill("#people", "").await.unwrap();
    admin.click("dialog button[type=submit]").await.unwrap();
    admin.read("Made Genomics.").await.unwrap();
    admin.read("You made the group").await.unwrap();

    // Several at once, with a result for each.
    admin.click("[data-dialog='/groups/add-dialog']").await.unwrap();
    admin.fill("#people", "ben, nobody").await.unwrap();
    admin.look("group-add").await.unwrap();
    admin.click("dialog button[type=submit]").await.unwrap();
    admin.read("Added ben.").await.unwrap();
    admin.read("nobody: ").await.unwrap();
    let bens_key = key_of(&admin, "ben").await;
    let mine = key_of(&admin, "admin").await;
    admin.picture("group-added").await.unwrap();

    // He is told, and what he is told leads there. What is not his to change says why.
    ben.click("[data-dialog='/notices']").await.unwrap();
    ben.read("added you to the group “Genomics”").await.unwrap();
    ben.click("dialog .timeline-row a[href^='/groups/group']").await.unwrap();
    ben.see(&row(&bens_key, "")).await.unwrap();
    ben.see(&check(&bens_key, "add-members", "[aria-disabled=true]")).await.unwrap();
    ben.click(&check(&mine, "remove-entries", "")).await.unwrap();
    ben.read("change-permissions").await.unwrap();
    ben.see(&check(&mine, "remove-entries", ":checked")).await.unwrap();
    assert_eq!(ben.driver.find_all(thirtyfour::By::Css("[data-dialog='/groups/add-dialog']")).await.unwrap().len(), 0);
    ben.look("group-user").await.unwrap();

    // A permission by a click, and another by keys alone.
    for _ in 0..3 {
        admin.run("document.querySelector('.toast-card .btn-close')?.click()").await.unwrap();
    }
    admin.click(&check(&bens_key, "add-members", "")).await.unwrap();
    admin.read("ben may now: add people, add files, make folders").await.unwrap();
    admin.see(&row(&bens_key, " .bg-primary-lt")).await.unwrap();
    admin.run(&format!("document.querySelector(\"tr[data-key='{mine}']\").focus()")).await.unwrap();
    admin.press(Key::Down).await.unwrap();
    for _ in 0..4 {
        admin.press(Key::Tab).await.unwrap();
    }
    let focused = "return document.activeElement.getAttribute('aria-label')";
    assert_eq!(admin.run(focused).await.unwrap(), json!("ben may add files"));
    admin.press(Key::Right).await.unwrap();
    admin.press(" ").await.unwrap();
    admin.read("ben may now: add people, add files, remove files, make folders").await.unwrap();
    admin.see(&check(&bens_key, "remove-entries", ":checked")).await.unwrap();
    assert_eq!(admin.run(focused).await.unwrap(), json!("ben may remove files"));
    admin.see(&check(&mine, "add-members", "[aria-disabled=true]")).await.unwrap();
    admin.look("group").await.unwrap();
    // Both at once, by a form.
    admin.with_row(&bens_key, "Permissions").await.unwrap();
    admin.see("dialog input[value='remove-entries']:checked").await.unwrap();
    admin.look("group-permissions").await.unwrap();
    admin.click("dialog [data-check*='add-members']").await.unwrap();
    admin.click("dialog button[type=submit]").await.unwrap();
    admin.see(&check(&bens_key, "change-permissions", ":checked")).await.unwrap();

    // Into the group by the one,
    admin.click("a[href^='/vault?at=%2F%40groups']").await.unwrap();
    admin.read("all members of the group read them").await.unwrap();
    let reads = desk.place().join("reads.csv");
    std::fs::write(&reads, "a,b\n1,2\n").unwrap();
    admin.drop_files("ticrypt-table", &[&reads]).await.unwrap();
    admin.see(&row("/@groups/Genomics/reads.csv", "")).await.unwrap();
    admin.click("[data-dialog='/vault/folder-dialog']").await.unwrap();
    admin.fill("#new-name", "runs").await.unwrap();
    admin.click("dialog button[type=submit]").await.unwrap();
    admin.see(&row("/@groups/Genomics/runs", "")).await.unwrap();
    admin.click(&row("/@groups/Genomics/reads.csv", " .tbl-check")).await.unwrap();
    admin.see(".tbl-bulk button").await.unwrap();
    let offered = admin.see(".tbl-bulk").await.unwrap().text().await.unwrap();
    assert!(["Rename", "Move to trash", "Tag"].into_iter().all(|action| offered.contains(action)), "{offered}");
    assert!(!offered.contains("Share"), "{offered}");
    admin.look("group-folder").await.unwrap();

    // and out of it by the other.
    ben.go("/groups").await.unwrap();
    let group = key_of(&ben, "Genomics").await;
    ben.with_row(&group, "Open folder").await.unwrap();
    ben.see(&row("/@groups/Genomics/reads.csv", "")).await.unwrap();
    let copy = bens.place().join("copy");
    std::fs::create_dir(&copy).unwrap();
    ben.save_to("/@groups/Genomics/reads.csv", &copy).await.unwrap();
    downloaded(&bens);
    assert_eq!(std::fs::read_to_string(copy.join("reads.csv")).unwrap(), "a,b\n1,2\n");

    // He renames, throws away and takes back; the group has a trash of its own.
    ben.go("/vault?at=/@groups/Genomics").await.unwrap();
    ben.with_row("/@groups/Genomics/reads.csv", "Rename").await.unwrap();
    ben.fill("#new-name", "counts.csv").await.unwrap();
    ben.click("dialog button[type=submit]").await.unwrap();
    ben.see(&row("/@groups/Genomics/counts.csv", "")).await.unwrap();
    ben.with_row("/@groups/Genomics/counts.csv", "Move to trash").await.unwrap();
    ben.read("Moved 1 item to the trash.").await.unwrap();
    ben.click(".toast-card .btn-ghost-primary").await.unwrap();
    ben.read("Restored").await.unwrap();
    ben.see(&row("/@groups/Genomics/counts.csv", "")).await.unwrap();
    ben.with_row("/@groups/Genomics/runs", "Move to trash").await.unwrap();
    ben.gone(&row("/@groups/Genomics/runs", "")).await.unwrap();
    ben.click("a[href^='/trash?at=']").await.unwrap();
    let trashed = key_of(&ben, "runs").await;
    ben.look("group-trash").await.unwrap();
    ben.with_row(&trashed, "Restore").await.unwrap();
    ben.gone(&row(&trashed, "")).await.unwrap();
    ben.go("/vault/details?at=/@groups/Genomics/counts.csv").await.unwrap();
    ben.read("The members of the group, and nobody else.").await.unwrap();
    ben.picture("group-file").await.unwrap();
    assert_eq!(ben.axe().await.unwrap(), Vec::<String>::new());

    // Out: at once, and everywhere.
    admin.go(&format!("/groups/group?group={group}")).await.unwrap();
    admin.with_row(&bens_key, "Remove").await.unwrap();
    admin.click("dialog button[value=yes]").await.unwrap();
    admin.read("Removed ben; the group has a new key.").await.unwrap();
    admin.gone(&row(&bens_key, "")).await.unwrap();
    admin.read("You removed ben and made generation 2 of the key").await.unwrap();
    admin.look("group-removed").await.unwrap();
    ben.go(&format!("/groups/group?group={group}")).await.unwrap();
    ben.read("You are not in this group").await.unwrap();
    ben.look("group-gone").await.unwrap();
    ben.go("/groups").await.unwrap();
    ben.read("You are in no group").await.unwrap();

    // The end of it says what is lost.
    admin.go("/groups").await.unwrap();
    admin.look("groups").await.unwrap();
    admin.with_row(&group, "Delete").await.unwrap();
    admin.read("In the folder: 1 file, 1 folder, 8 B. Nobody else is in it.").await.unwrap();
    admin.look("group-delete").await.unwrap();
    admin.click("dialog button[type=submit]").await.unwrap();
    admin.read("Deleted 1 group.").await.unwrap();
    admin.read("You are in no group").await.unwrap();
    for browser in [admin, ben] {
        browser.close().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_is_renamed_handed_over_and_left() {
    let (system, desk, admin) = in_the_vault().await.unwrap();
    let ben = Person::register(&system, "ben", "another passphrase", None).unwrap();
    admin.activate("ben").await.unwrap();
    ben.login().unwrap();
    desk.run(&["group", "create", "Imaging", "ben", "--read-only"]).unwrap();
    let group = desk.run(&["--json", "group", "list"]).unwrap().json().unwrap()[0]["group"].as_str().unwrap().to_owned();

    admin.go("/groups").await.unwrap();
    admin.with_row(&group, "Rename").await.unwrap();
    admin.fill("#new-name", "Imaging, 2nd floor").await.unwrap();
    admin.click("dialog button[type=submit]").await.unwrap();
    admin.read("Renamed Imaging to Imaging, 2nd floor.").await.unwrap();
    admin.click(&row(&group, " a")).await.unwrap();
    // Who reads only gets no more than that.
    let bens_key = key_of(&admin, "ben").await;
    admin.see(&check(&bens_key, "add-entries", ":not(:checked)")).await.unwrap();
    admin.click("[popovertarget='group-menu']").await.unwrap();
    admin.picture("group-menu").await.unwrap();
    assert_eq!(admin.axe().await.unwrap(), Vec::<String>::new());
    admin.click("#group-menu [data-dialog='/groups/own-dialog']").await.unwrap();
    admin.fill("#person", "nobody").await.unwrap();
    let refused = admin.refused("dialog button[type=submit]").await.unwrap();
    assert!(refused.contains("is no member of this group"), "{refused}");
    admin.fill("#person", "ben").await.unwrap();
    admin.picture("group-own").await.unwrap();
    assert_eq!(admin.axe().await.unwrap(), Vec::<String>::new());
    admin.click("dialog button[type=submit]").await.unwrap();
    admin.read("ben owns the group now.").await.unwrap();
    admin.read("You made ben the owner").await.unwrap();
    // One is asked before one takes away from oneself what one could not give back.
    let mine = key_of(&admin, "admin").await;
    admin.click(&check(&mine, "change-permissions", "")).await.unwrap();
    admin.read("cannot give it back").await.unwrap();
    admin.click("dialog button[value=no]").await.unwrap();
    admin.see(&check(&mine, "change-permissions", ":checked:not([aria-busy])")).await.unwrap();
    admin.click("[popovertarget='group-menu']").await.unwrap();
    admin.click("#group-menu [data-act='/groups/leave']").await.unwrap();
    admin.click("dialog button[value=yes]").await.unwrap();
    admin.read("You are in no group").await.unwrap();

    // Somebody left with the key: the group says so to who is in it. What a command line does is in the page as well.
    let shown = ben.run(&["--json", "group", "list"]).unwrap().success().unwrap().json().unwrap();
    assert_eq!((shown[0]["members"].as_u64(), shown[0]["closed"].as_bool()), (Some(1), Some(true)));
    admin.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn who_waits_for_the_key_gets_it_by_a_button() {
    let (system, desk, admin) = in_the_vault().await.unwrap();
    for name in ["ben", "cem"] {
        Person::register(&system, name, "another passphrase", None).unwrap();
        admin.activate(name).await.unwrap();
    }
    desk.run(&["group", "create", "Imaging", "ben", "cem"]).unwrap();
    // Whoever is inactive gets no seal of the key that is made meanwhile.
    desk.run(&["users", "deactivate", "ben", "--reason", "on leave"]).unwrap();
    admin.go("/groups").await.unwrap();
    let group = key_of(&admin, "Imaging").await;
    admin.click(&row(&group, " a")).await.unwrap();
    let cem = key_of(&admin, "cem").await;
    // Somebody who lost access holds the key: the page says so, and makes another on demand.
    admin.read("Somebody who lost access holds the present key").await.unwrap();
    admin.look("group-closed").await.unwrap();
    admin.with_row(&cem, "Remove").await.unwrap();
    admin.click("dialog button[value=yes]").await.unwrap();
    admin.read("Removed cem; the group has a new key.").await.unwrap();
    admin.activate("ben").await.unwrap();
    admin.go("/groups").await.unwrap();
    admin.read("1 member waits").await.unwrap();
    admin.click(&row(&group, " a")).await.unwrap();
    admin.read("ben waits for the group's key.").await.unwrap();
    let ben = key_of(&admin, "ben").await;
    admin.see(&row(&ben, " .bg-yellow-lt")).await.unwrap();
    admin.look("group-waiting").await.unwrap();
    admin.click("[data-act='/groups/seal']").await.unwrap();
    admin.read("Sealed the key to 1 member.").await.unwrap();
    admin.see(&row(&ben, " .bg-green-lt")).await.unwrap();
    admin.read("2 of 2 members").await.unwrap();
    admin.close().await.unwrap();
}
