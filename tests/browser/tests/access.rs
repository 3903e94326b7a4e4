//! Who can open a thing, what somebody reaches, and what ends soon, as an owner asks on the page.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

use ticrypt_browser_tests::{Browser, Desk, System, in_the_vault, row};

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

async fn again(browser: &Browser) {
    browser.click("button[aria-label=Lock]").await.unwrap();
    browser.unlock().await.unwrap();
}

/// A project that asks for a training, and a folder with its tag in which the administrator works.
async fn study(desk: &Desk, browser: &Browser) {
    desk.run(&["requirement", "create", "Training", "--default", "365d"]).unwrap();
    desk.run(&["level", "create", "CUI", "--require", "Training"]).unwrap();
    desk.run(&["project", "create", "Federal", "--level", "CUI"]).unwrap();
    desk.run(&["certification", "give", "Training", "admin"]).unwrap();
    desk.run(&["mkdir", "/study"]).unwrap();
    again(browser).await;
    desk.run(&["work", "Federal"]).unwrap();
    desk.run(&["tag", "/study", "Federal"]).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_owner_is_told_who_opens_a_thing_and_who_would_not() {
    let (system, desk, browser) = in_the_vault().await.unwrap();
    browser.enrol(&system, &["ada", "ben"]).await.unwrap();
    study(&desk, &browser).await;
    desk.run(&["share", "/study", "ada"]).unwrap();

    // Everybody who has a key: by a row of the vault.
    browser.go("/vault").await.unwrap();
    browser.with_row("/study", "Who can open it").await.unwrap();
    browser.read("Everybody who has a key to it").await.unwrap();
    browser.see(&row("admin", " .bg-green-lt")).await.unwrap();
    browser.see(&row("ada", " .bg-red-lt")).await.unwrap();
    browser.gone(&row("ben", "")).await.unwrap();
    browser.read("no member of that project").await.unwrap();
    browser.look("access").await.unwrap();

    // One person, with every reason: a name leads there, and so does the form, for somebody without a key too.
    browser.click(&row("ada", " .cell-name a")).await.unwrap();
    browser.read("ada does not read it, whatever they do themselves").await.unwrap();
    browser.read("by a share").await.unwrap();
    browser.read("Federal: you are no member of that project").await.unwrap();
    browser.look("access-person").await.unwrap();
    browser.click(".crumbs a[href^='/vault/access?']").await.unwrap();
    browser.fill("#person", "nobody").await.unwrap();
    let ask = "form[data-send='/vault/access/ask'] button[type=submit]";
    let refused = browser.refused(ask).await.unwrap();
    assert!(!refused.is_empty());
    browser.look("access-refused").await.unwrap();
    browser.fill("#person", "ben").await.unwrap();
    browser.click(ask).await.unwrap();
    browser.read("neither theirs nor shared with them").await.unwrap();

    // What is missing has the name that people know, not an id.
    desk.run(&["project", "add", "Federal", "ada"]).unwrap();
    browser.go("/vault/access?at=/study").await.unwrap();
    browser.read("requirement Training").await.unwrap();
    desk.run(&["certification", "give", "Training", "ada"]).unwrap();
    browser.go("/vault/access?at=/study").await.unwrap();
    browser.see(&row("ada", " .bg-yellow-lt")).await.unwrap();

    // What would be lost.
    browser.run("document.querySelector('#lost').selectedIndex = 1").await.unwrap();
    browser.click("form[data-send='/vault/access/suppose'] button[type=submit]").await.unwrap();
    browser.read("had lost the certification Training").await.unwrap();
    browser.see(&row("ada", "")).await.unwrap();
    browser.see(&row("admin", "")).await.unwrap();
    browser.look("what-if").await.unwrap();
    browser.click(".crumbs a[href^='/vault/access?']").await.unwrap();
    let suppose = "form[data-send='/vault/access/suppose'] button[type=submit]";
    browser.fill("#whom", "Not A Name").await.unwrap();
    assert!(browser.refused(suppose).await.unwrap().contains("not a user name"));
    browser.fill("#whom", "ben").await.unwrap();
    browser.click(suppose).await.unwrap();
    browser.read("As if ben had lost membership of Federal").await.unwrap();
    browser.read("Nobody loses anything here").await.unwrap();
    browser.look("what-if-empty").await.unwrap();

    // What carries no tag depends on keys alone.
    desk.run(&["work", "--none"]).unwrap();
    desk.run(&["mkdir", "/plain"]).unwrap();
    browser.go("/vault?at=/plain").await.unwrap();
    browser.click("a[aria-label='Who can open this folder']").await.unwrap();
    browser.read("It carries no tag").await.unwrap();
    browser.see(&row("admin", " .bg-green-lt")).await.unwrap();
    // Locked to its owner as well, who may ask all the same.
    browser.go("/vault/access?at=/study").await.unwrap();
    browser.see(&row("admin", " .bg-yellow-lt")).await.unwrap();
    browser.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn who_does_not_own_it_is_told_about_themselves() {
    let (system, desk, admin) = in_the_vault().await.unwrap();
    let (_adas, ada) = newcomer(&system, &admin, "ada").await;
    desk.run(&["mkdir", "/plain"]).unwrap();
    desk.run(&["share", "/plain", "ada", "--no-download"]).unwrap();
    ada.go("/shared").await.unwrap();
    ada.click("tr[data-key] .cell-name a").await.unwrap();
    ada.click("a[aria-label='Who can open this folder']").await.unwrap();
    ada.read("for its owner to see").await.unwrap();
    ada.read("ada reads it").await.unwrap();
    ada.read("the share does not let you download").await.unwrap();
    ada.gone("form[data-send='/vault/access/ask']").await.unwrap();
    ada.look("access-not-owner").await.unwrap();
    ada.close().await.unwrap();
    admin.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_somebody_reaches_is_listed_from_where_they_are() {
    let (system, desk, browser) = in_the_vault().await.unwrap();
    browser.enrol(&system, &["ada", "ben"]).await.unwrap();
    for folder in ["/plain", "/other"] {
        desk.run(&["mkdir", folder]).unwrap();
        desk.run(&["share", folder, "ada"]).unwrap();
    }
    browser.go("/people").await.unwrap();
    browser.with_row("ada", "What they reach").await.unwrap();
    browser.read("What ada reaches").await.unwrap();
    browser.see(&row("/plain", " .bg-green-lt")).await.unwrap();
    browser.see(&row("/other", "")).await.unwrap();
    browser.read("that is all your device can see").await.unwrap();
    browser.look("reach").await.unwrap();
    browser.click(&row("/plain", " .cell-name a")).await.unwrap();
    browser.read("ada reads it").await.unwrap();
    browser.click("a.btn[href='/reach?person=ada']").await.unwrap();
    browser.see(&row("/other", "")).await.unwrap();

    browser.go("/sharing").await.unwrap();
    browser.with_row("ada/plain", "What they reach").await.unwrap();
    browser.see(&row("/other", "")).await.unwrap();

    browser.go("/sharing").await.unwrap();
    browser.click("a.btn[href='/reach']").await.unwrap();
    browser.read("What somebody reaches").await.unwrap();
    browser.look("reach-ask").await.unwrap();
    let show = "form[data-send='/reach/ask'] button[type=submit]";
    browser.fill("#person", "nobody").await.unwrap();
    assert!(!browser.refused(show).await.unwrap().is_empty());
    browser.fill("#person", "ben").await.unwrap();
    browser.click(show).await.unwrap();
    browser.read("Nothing of yours").await.unwrap();
    browser.look("reach-empty").await.unwrap();
    browser.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_ends_soon_is_seen_in_time() {
    let (system, desk, browser) = in_the_vault().await.unwrap();
    browser.enrol(&system, &["ada", "ben"]).await.unwrap();
    browser.go("/ending").await.unwrap();
    browser.read("Nothing ends in this time").await.unwrap();
    browser.look("ending-empty").await.unwrap();

    desk.run(&["requirement", "create", "Training", "--default", "365d"]).unwrap();
    desk.run(&["certification", "give", "Training", "ada", "--expires", "20d"]).unwrap();
    desk.run(&["mkdir", "/plain"]).unwrap();
    desk.run(&["share", "/plain", "ada", "--expires", "5d"]).unwrap();
    desk.run(&["project", "create", "Federal"]).unwrap();
    again(&browser).await;
    desk.run(&["project", "add", "Federal", "ben", "--expires", "60d"]).unwrap();

    // A page of projects leads there; of the next thirty days unless more is asked for.
    browser.go("/projects").await.unwrap();
    browser.click("a.btn[href='/ending']").await.unwrap();
    browser.read("2 ends").await.unwrap();
    browser.read("/plain").await.unwrap();
    browser.read("Training").await.unwrap();
    browser.see("tr[data-key^='share ada'] .bg-red-lt").await.unwrap();
    browser.see("tr[data-key^='certification ada'] .bg-yellow-lt").await.unwrap();
    browser.gone("tr[data-key^='membership ben']").await.unwrap();
    browser.click("a[href='/ending?within=90']").await.unwrap();
    browser.read("3 ends").await.unwrap();
    browser.see("a[href='/ending?within=90'][aria-current=page]").await.unwrap();
    browser.look("ending").await.unwrap();
    browser.click("a[href='/ending?within=7']").await.unwrap();
    browser.read("1 end").await.unwrap();
    browser.gone("tr[data-key^='certification ada']").await.unwrap();

    // Each leads to where it is renewed.
    browser.click("a[href='/ending?within=90']").await.unwrap();
    browser.click("tr[data-key^='membership ben'] .cell-name a").await.unwrap();
    browser.see(&row("ben", "")).await.unwrap();
    browser.with_row("ben", "What they reach").await.unwrap();
    browser.read("Nothing of yours").await.unwrap();
    browser.go("/ending").await.unwrap();
    browser.click("tr[data-key^='share ada'] .cell-name a").await.unwrap();
    browser.read("Who has access").await.unwrap();
    browser.click("a.btn[href^='/vault/access?']").await.unwrap();
    browser.read("Everybody who has a key to it").await.unwrap();
    // The command line says the same.
    let listed = desk.run(&["--json", "access", "ending", "--within", "90d"]).unwrap().json().unwrap();
    assert_eq!(listed.as_array().unwrap().len(), 3, "{listed}");
    browser.close().await.unwrap();
}
