//! Every page as people with and without eyes and mice meet it: axe, keyboard alone, narrow and wide, light and dark, many rows.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

use serde_json::json;
use thirtyfour::Key;
use ticrypt_browser_tests::{Browser, Desk, System, in_the_vault, row};
use ticrypt_e2e::system::Options;

const PAGES: [&str; 25] = [
    "/vault",
    "/vault/details?at=/notes.txt",
    "/vault/access?at=/notes.txt",
    "/vault/access/person?at=/notes.txt&person=admin",
    "/shared",
    "/sharing",
    "/reach",
    "/reach?person=admin",
    "/groups",
    "/trash",
    "/transfers",
    "/projects",
    "/teams",
    "/certifications",
    "/ending",
    "/requests",
    "/requirements",
    "/levels",
    "/people",
    "/profiles",
    "/sessions",
    "/bulk",
    "/audit",
    "/account",
    "/deployments",
];

#[tokio::test(flavor = "multi_thread")]
async fn no_page_has_serious_findings_light_or_dark_wide_or_narrow() {
    let system = System::start(&Options::default()).unwrap();
    let desk = Desk::new().await.unwrap();
    let browser = Browser::start().await.unwrap();
    let mut findings = Vec::new();
    let mut look = async |name: &str| {
        for problem in browser.axe().await.unwrap() {
            findings.push(format!("{name}: {problem}"));
        }
    };
    browser.open(&desk.link().unwrap()).await.unwrap();
    look("welcome").await;
    browser.add_deployment(&system).await.unwrap();
    look("create").await;
    browser.create_account("admin", Some(&system.code().unwrap())).await.unwrap();
    browser.see(".shell").await.unwrap();
    let notes = desk.place().join("notes.txt");
    std::fs::write(&notes, "a note\n").unwrap();
    browser.go("/vault").await.unwrap();
    browser.drop_files("ticrypt-table", &[&notes]).await.unwrap();
    browser.see(&row("/notes.txt", "")).await.unwrap();
    for (theme, width, height) in [("light", 1280, 860), ("dark", 1280, 860), ("light", 400, 800), ("dark", 1920, 1080)] {
        browser.resize(width, height).await.unwrap();
        browser.run(&format!("setTheme('{theme}')")).await.unwrap();
        for page in PAGES {
            browser.go(page).await.unwrap();
            browser
                .until("rows are there", "const t = document.querySelector('ticrypt-table'); return !t || t.known === true")
                .await
                .unwrap();
            let name = format!("{}-{theme}-{width}", page.trim_start_matches('/').replace(['/', '?', '&', '=', '.'], "-"));
            look(&name).await;
            browser.picture(&name).await.unwrap();
            let wider = browser.run("return document.documentElement.scrollWidth - innerWidth").await.unwrap();
            assert!(wider.as_i64().unwrap() <= 0, "{name} is wider than the window by {wider}");
        }
        browser.go("/vault").await.unwrap();
        browser.with_row("/notes.txt", "Share").await.unwrap();
        browser.see("#people").await.unwrap();
        look(&format!("share-{theme}-{width}")).await;
        browser.picture(&format!("share-{theme}-{width}")).await.unwrap();
        browser.press(Key::Escape).await.unwrap();
    }
    assert!(findings.is_empty(), "{}", findings.join("\n"));
    browser.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn all_of_it_goes_without_a_mouse() {
    let (_system, desk, browser) = in_the_vault().await.unwrap();
    let place = desk.place().join("keys");
    std::fs::create_dir(&place).unwrap();
    let files: Vec<_> = (0..5).map(|number| place.join(format!("f{number}.txt"))).collect();
    for file in &files {
        std::fs::write(file, "x").unwrap();
    }
    let paths: Vec<&std::path::Path> = files.iter().map(|file| file.as_path()).collect();
    browser.drop_files("ticrypt-table", &paths).await.unwrap();
    browser.see(&row("/f4.txt", "")).await.unwrap();

    // Search, down into the list, select a range, trash, undo.
    browser.run("document.activeElement.blur()").await.unwrap();
    browser.press("/").await.unwrap();
    browser.until("the search has the focus", "return document.activeElement.classList.contains('tbl-search')").await.unwrap();
    browser.press("f").await.unwrap();
    browser.press(Key::Down).await.unwrap();
    browser.until("a row has the focus", "return document.activeElement.dataset.key === '/f0.txt'").await.unwrap();
    browser.press(" ").await.unwrap();
    browser
        .driver
        .action_chain()
        .key_down(Key::Shift)
        .send_keys(Key::Down)
        .send_keys(Key::Down)
        .key_up(Key::Shift)
        .perform()
        .await
        .unwrap();
    browser.read("3 selected").await.unwrap();
    browser.press(Key::Delete).await.unwrap();
    browser.read("Moved 3 items to the trash").await.unwrap();
    browser.gone(&row("/f1.txt", "")).await.unwrap();
    browser.run("document.querySelector('#toasts .btn-ghost-primary').focus()").await.unwrap();
    browser.press(Key::Enter).await.unwrap();
    browser.see(&row("/f1.txt", "")).await.unwrap();

    // Rename by F2, open by Enter, to another place by g and a letter.
    browser.run("document.querySelector('tr[data-key=\"/f1.txt\"]').focus()").await.unwrap();
    browser.press(Key::Escape).await.unwrap();
    browser.press(Key::F2).await.unwrap();
    browser.see("#new-name").await.unwrap();
    browser.press("other.txt").await.unwrap();
    browser.press(Key::Enter).await.unwrap();
    browser.run("const s = document.querySelector('.tbl-search'); s.value = ''; s.dispatchEvent(new Event('input'))").await.unwrap();
    browser.see(&row("/other.txt", "")).await.unwrap();
    browser.run("document.querySelector('tr[data-key=\"/other.txt\"]').focus()").await.unwrap();
    browser.press(Key::Enter).await.unwrap();
    browser.read("Who has access").await.unwrap();
    browser.press("gv").await.unwrap();
    browser.see("ticrypt-table").await.unwrap();
    browser.press("?").await.unwrap();
    browser.read("Search this list").await.unwrap();
    browser.press(Key::Escape).await.unwrap();
    browser.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_are_dragged_into_a_folder_and_the_move_is_taken_back() {
    let (_system, desk, browser) = in_the_vault().await.unwrap();
    let place = desk.place().join("drag");
    std::fs::create_dir_all(place.join("into")).unwrap();
    let mut paths = vec![place.join("into")];
    for name in ["a.txt", "b.txt", "c.txt"] {
        std::fs::write(place.join(name), name).unwrap();
        paths.push(place.join(name));
    }
    let paths: Vec<&std::path::Path> = paths.iter().map(|path| path.as_path()).collect();
    browser.drop_files("ticrypt-table", &paths).await.unwrap();
    browser.see(&row("/c.txt", "")).await.unwrap();
    browser.click(&row("/a.txt", " .tbl-check")).await.unwrap();
    browser.click(&row("/b.txt", " .tbl-check")).await.unwrap();
    let (from, to) = (browser.see(&row("/b.txt", " .tbl-modified")).await.unwrap(), browser.see(&row("/into", "")).await.unwrap());
    browser
        .driver
        .action_chain()
        .click_and_hold_element(&from)
        .move_to_element_center(&to)
        .move_by_offset(4, 2)
        .release()
        .perform()
        .await
        .unwrap();
    browser.read("Moved 2 items to /into").await.unwrap();
    browser.gone(&row("/b.txt", "")).await.unwrap();
    browser.see(&row("/c.txt", "")).await.unwrap();
    browser.click("#toasts .btn-ghost-primary").await.unwrap();
    browser.see(&row("/a.txt", "")).await.unwrap();
    browser.see(&row("/b.txt", "")).await.unwrap();
    // A folder does not go into itself, and says so.
    let moved = "ticrypt.act('/vault/move', new URLSearchParams({ key: '/into', to: '/into' }))";
    browser.run(moved).await.unwrap();
    browser.read("cannot go into itself").await.unwrap();
    browser.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_rows_scroll_sort_and_select() {
    let (_system, desk, browser) = in_the_vault().await.unwrap();
    let folder = desk.place().join("many");
    std::fs::create_dir(&folder).unwrap();
    for number in 0..10_000 {
        std::fs::write(folder.join(format!("{number:05}.dat")), vec![b'x'; number % 7]).unwrap();
    }
    let office = desk.running.app.desk.running().pop().unwrap();
    let options = ticrypt_client::vault::put::PutOptions::default();
    let progress = ticrypt_client::vault::progress::Quiet;
    let cancel = ticrypt_client::vault::progress::Cancel::new();
    office.vault.put(&[folder], &"/".parse().unwrap(), &options, &progress, &cancel).await.unwrap();
    drop(office);

    browser.go("/vault?at=/many").await.unwrap();
    browser.read("10,000 items").await.unwrap();
    let drawn = browser.run("return document.querySelectorAll('tr[data-key]').length").await.unwrap();
    assert!(drawn.as_u64().unwrap() <= 300, "{drawn} rows are in the page at once");
    browser.run("document.querySelector('.tbl-scroll').scrollTop = 1e9").await.unwrap();
    browser.see(&row("/many/09999.dat", "")).await.unwrap();
    browser.run("document.querySelector('.tbl-scroll').scrollTop = 5000 * 44").await.unwrap();
    browser.see(&row("/many/05000.dat", "")).await.unwrap();
    browser.click("th.tbl-name .tbl-sort").await.unwrap();
    browser.see(&row("/many/09999.dat", "")).await.unwrap();
    let address = browser.driver.current_url().await.unwrap();
    assert!(address.query().unwrap().contains("sort=-name"), "{address}");
    browser.fill(".tbl-search", "0000").await.unwrap();
    browser.read("10 items").await.unwrap();
    browser.driver.refresh().await.unwrap();
    browser.read("10 items").await.unwrap();
    browser.fill(".tbl-search", "9").await.unwrap();
    browser.read("items").await.unwrap();
    browser.until("only those with a nine", "return /^[0-9,]+ items$/.test(document.querySelector('.tbl-count').textContent) && document.querySelector('ticrypt-table').total === 3439").await.unwrap();
    // All that match, but one; and out as a file.
    browser.click(".tbl-every").await.unwrap();
    browser.read("3,439 selected").await.unwrap();
    browser.click(&row("/many/09999.dat", " .tbl-check")).await.unwrap();
    browser.read("3,438 selected").await.unwrap();
    let exported = browser.driver.execute_async(
        "const done = arguments[0]; const table = document.querySelector('ticrypt-table'); const fields = table.chosen(); fields.set('format', 'csv'); fields.set('cols', 'name,size'); \
         ticrypt.ask('POST', '/export', fields).then((r) => r.json()).then(({ file }) => fetch(file)).then((r) => r.text()).then(done, (e) => done(String(e)))",
        Vec::new(),
    ).await.unwrap();
    let exported = exported.json().as_str().unwrap().to_owned();
    let lines: Vec<&str> = exported.lines().collect();
    assert_eq!((lines.len(), lines[0]), (3_439, "Name,Size"));
    assert!(!exported.contains("09999.dat") && exported.contains("09998.dat"));
    // Eight tabs, one stream.
    let here = browser.driver.current_url().await.unwrap();
    for _ in 0..7 {
        let tab = browser.driver.new_tab().await.unwrap();
        browser.driver.switch_to_window(tab).await.unwrap();
        browser.driver.goto(here.as_str()).await.unwrap();
        browser.see("ticrypt-table").await.unwrap();
    }
    assert_eq!(desk.running.app.hub.listeners(), 1);
    assert_eq!(browser.run("return document.querySelectorAll('.is-disconnected').length").await.unwrap(), json!(0));
    browser.close().await.unwrap();
}
