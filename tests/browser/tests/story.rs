//! Two people who have never seen a terminal: from the link to a shared file and back, through pages alone.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

use ticrypt_browser_tests::{Browser, Desk, System, row};
use ticrypt_e2e::system::Options;

#[tokio::test(flavor = "multi_thread")]
async fn two_people_share_a_folder() {
    let system = System::start(&Options::default()).unwrap();
    let (admins, pis) = (Desk::new().await.unwrap(), Desk::new().await.unwrap());
    let (admin, pi) = (Browser::start().await.unwrap(), Browser::start().await.unwrap());
    admin.first_administrator(&system, &admins.link().unwrap()).await.unwrap();

    // A PI asks for an account and waits.
    pi.open(&pis.link().unwrap()).await.unwrap();
    pi.picture("using-01-welcome").await.unwrap();
    pi.add_deployment(&system).await.unwrap();
    pi.picture("using-02-create").await.unwrap();
    pi.create_account("pi", None).await.unwrap();
    pi.see("form[data-send='/unlock']").await.unwrap();
    pi.fill("form[data-send='/unlock'] input[name=passphrase]", "not the passphrase").await.unwrap();
    pi.click("form[data-send='/unlock'] button[type=submit]").await.unwrap();
    pi.read("passphrase").await.unwrap();
    pi.fill("form[data-send='/unlock'] input[name=passphrase]", ticrypt_browser_tests::PASSPHRASE).await.unwrap();
    pi.click("form[data-send='/unlock'] button[type=submit]").await.unwrap();
    pi.read("waits for an administrator").await.unwrap();
    pi.picture("using-03-waiting").await.unwrap();
    let shown = pi.run("return document.querySelector('.fingerprint').textContent").await.unwrap();

    // The administrator is told, compares and activates.
    admin.read("Somebody registered and waits").await.unwrap();
    admin.see(".unread").await.unwrap();
    admin.click("[data-dialog='/notices']").await.unwrap();
    admin.click("dialog a[href^='/people']").await.unwrap();
    admin.with_row("pi", "Activate").await.unwrap();
    admin.see("dialog .fingerprint").await.unwrap();
    admin.picture("using-04-activate").await.unwrap();
    let compared = admin.run("return document.querySelector('dialog .fingerprint').textContent").await.unwrap();
    assert_eq!(shown, compared);
    admin.click("dialog input[name=compared]").await.unwrap();
    admin.click("dialog button[type=submit]").await.unwrap();
    admin.read("pi is active").await.unwrap();

    // A folder goes in, and is shared.
    pi.unlock().await.unwrap();
    pi.go("/vault").await.unwrap();
    let folder = pis.place().join("measurements");
    std::fs::create_dir_all(folder.join("raw")).unwrap();
    std::fs::write(folder.join("readme.txt"), "three runs\n").unwrap();
    std::fs::write(folder.join("raw/run 1.csv"), vec![b'7'; 300_000]).unwrap();
    pi.drop_files("ticrypt-table", &[&folder]).await.unwrap();
    pi.see(&row("/measurements", "")).await.unwrap();
    pi.see(".tray-card[data-state=done]").await.unwrap();
    pi.picture("using-05-vault").await.unwrap();
    pi.with_row("/measurements", "Share").await.unwrap();
    pi.fill("#people", "admin").await.unwrap();
    pi.picture("using-06-share").await.unwrap();
    pi.click("dialog form[data-send='/share'] button[type=submit]").await.unwrap();
    pi.read("Shared with admin").await.unwrap();
    pi.read("First contact with admin").await.unwrap();
    pi.go("/sharing").await.unwrap();
    pi.see(&row("admin/measurements", "")).await.unwrap();
    pi.picture("using-07-sharing").await.unwrap();

    // The colleague is told, and takes a copy to their own machine.
    admin.read("shares something with you").await.unwrap();
    admin.go("/shared").await.unwrap();
    admin.click("tr[data-key] a").await.unwrap();
    admin.read("readme.txt").await.unwrap();
    admin.picture("using-08-shared").await.unwrap();
    let copy = admins.place().join("copy");
    std::fs::create_dir(&copy).unwrap();
    admin.click("tr[data-key] .tbl-check").await.unwrap();
    admin.click(".tbl-every").await.unwrap();
    admin.run("[...document.querySelectorAll('.tbl-bulk button')].find((b) => b.textContent.includes('Save to')).click()").await.unwrap();
    admin.fill("#folder", copy.to_str().unwrap()).await.unwrap();
    admin.click("dialog button[type=submit]").await.unwrap();
    admin.see(".tray-card[data-state=done]").await.unwrap();
    assert_eq!(std::fs::read(copy.join("readme.txt")).unwrap(), b"three runs\n");
    assert_eq!(std::fs::read(copy.join("raw/run 1.csv")).unwrap(), vec![b'7'; 300_000]);

    // The share ends, and with it the way in.
    pi.with_row("admin/measurements", "End").await.unwrap();
    pi.click("dialog button[value=yes]").await.unwrap();
    pi.read("You share nothing").await.unwrap();
    admin.go("/shared").await.unwrap();
    admin.read("Nobody shares anything with you yet").await.unwrap();

    // All of it is in the audit log, which verifies.
    admin.go("/audit").await.unwrap();
    admin.read("grant.create").await.unwrap();
    admin.picture("using-09-audit").await.unwrap();
    admin.click("[data-dialog='/audit/verify']").await.unwrap();
    admin.read("The logs are sound").await.unwrap();
    for browser in [admin, pi] {
        browser.close().await.unwrap();
    }
}
