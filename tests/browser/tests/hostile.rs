//! Whoever should get nothing: other pages, other names for this machine, other users, and what files and their names hold.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

use std::os::unix::fs::PermissionsExt;

use serde_json::json;
use ticrypt_browser_tests::{Browser, Desk, ask, in_the_vault, packages, row};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

/// Host, cookie and token of an opened page, as an attacker would like to have them.
struct Opened {
    host: String,
    cookie: String,
    token: String,
}

async fn open(desk: &Desk) -> Opened {
    let link = desk.link().unwrap();
    let (place, key) = link.strip_prefix("http://").unwrap().split_once("/open#").unwrap();
    let address = desk.running.address;
    let body = format!("key={key}");
    let (host, origin) = (format!("host: {place}"), format!("origin: http://{place}"));
    let spend = [host.as_str(), &origin, "content-type: application/x-www-form-urlencoded"];
    let reply = ask(address, "POST", "/open", &spend, &body).await.unwrap();
    assert_eq!(reply.status, 200, "{}", reply.body);
    assert!(reply.head.contains("httponly; samesite=strict"), "{}", reply.head);
    let head = ask(address, "POST", "/open", &spend, &body).await.unwrap();
    assert_eq!(head.status, 403, "a link is good once");
    let cookie = reply.head.lines().find_map(|line| line.strip_prefix("set-cookie: ")).unwrap();
    // Header names were made lower case for the test; the value of the cookie must not be.
    assert!(cookie.starts_with("ticrypt-"));
    let token = serde_json::from_str::<serde_json::Value>(&reply.body).unwrap()["token"].as_str().unwrap().to_owned();
    Opened { host: place.to_owned(), cookie: reply.cookie.unwrap(), token }
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_without_all_that_is_needed_get_nothing() {
    let desk = Desk::new().await.unwrap();
    let address = desk.running.address;
    let Opened { host, cookie, token } = open(&desk).await;
    let line = |name: &str, value: &str| format!("{name}: {value}");
    let (right_host, right_cookie, right_token) = (line("host", &host), line("cookie", &cookie), line("x-ticrypt-token", &token));
    let origin = line("origin", &format!("http://{host}"));
    let get = async |path: &str, lines: &[&str]| ask(address, "GET", path, lines, "").await.unwrap();

    // With all of it there is an answer: the test can fail.
    let all = [right_host.as_str(), &right_cookie, &right_token, "hx-request: true"];
    let page = get("/vault", &all).await;
    assert_eq!(page.status, 200, "{}", page.body);
    assert!(page.body.contains("Welcome"));
    for header in [
        "content-security-policy: default-src 'none'; script-src 'self'; style-src 'self'",
        "cache-control: no-store",
        "x-content-type-options: nosniff",
        "referrer-policy: no-referrer",
        "x-frame-options: deny",
        "cross-origin-resource-policy: same-origin",
    ] {
        assert!(page.head.contains(header), "{header} is missing in {}", page.head);
    }

    // A name that was made to point here, by whoever has even the cookie and the token.
    for other in ["evil.example", "localhost", "127.0.0.1", &host.replace(".localhost", ".evil.example")] {
        let host = line("host", &format!("{other}:{}", address.port()));
        for path in ["/vault", "/", "/open", "/assets/app.js", "/rows?sheet=x", "/events", "/file/x"] {
            let reply = get(path, &[&host, &right_cookie, &right_token, "hx-request: true"]).await;
            assert_eq!(reply.status, 403, "{other}{path}");
            assert!(!reply.body.contains("Welcome"));
        }
    }
    // Another page of the same browser: it has the cookie at best.
    for path in ["/rows?sheet=x", "/events", "/local?at=/"] {
        assert_eq!(get(path, &[&right_host, &right_cookie]).await.status, 403, "{path}");
        assert_eq!(get(path, &[&right_host, &right_token]).await.status, 403, "{path}");
    }
    // The cookie alone shows an empty frame.
    let frame = get("/vault", &[&right_host, &right_cookie]).await;
    assert_eq!(frame.status, 200);
    assert!(!frame.body.contains("Welcome") && frame.body.contains("<div id=\"app\"></div>"));
    assert_eq!(get("/vault", &[&right_host]).await.status, 403);
    // A change needs to come from our own page.
    for wrong in ["null", "http://evil.example", &format!("https://{host}")] {
        let lines = [right_host.as_str(), &right_cookie, &right_token, &line("origin", wrong)];
        assert_eq!(ask(address, "POST", "/lock", &lines, "").await.unwrap().status, 403, "{wrong}");
    }
    assert_eq!(ask(address, "POST", "/lock", &[&right_host, &right_cookie, &right_token], "").await.unwrap().status, 403);
    let crossing = [right_host.as_str(), &right_cookie, &right_token, &origin, "sec-fetch-site: cross-site"];
    assert_eq!(ask(address, "POST", "/lock", &crossing, "").await.unwrap().status, 403);
    assert_eq!(ask(address, "POST", "/lock", &[&right_host, &right_cookie, &right_token, &origin], "").await.unwrap().status, 200);

    // Another user of this machine finds the port, and nothing else.
    let file = desk.running.launch_file();
    for path in [&file, file.parent().unwrap(), desk.home().as_path()] {
        assert_eq!(std::fs::metadata(path).unwrap().permissions().mode() & 0o077, 0, "{}", path.display());
    }
    let socket = file.parent().unwrap().join("connect.sock");
    assert_eq!(std::fs::metadata(socket).unwrap().permissions().mode() & 0o077, 0);
}

/// A page of somebody else, served from this machine under another origin.
async fn evil_page(script: String) -> (String, tokio::task::JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://127.0.0.1:{}/", listener.local_addr().unwrap().port());
    let task = tokio::spawn(async move {
        loop {
            let Ok((mut stream, _)) = listener.accept().await else { return };
            let page = format!("<!doctype html><title>evil</title><body><script>{script}</script>");
            let reply =
                format!("HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{page}", page.len());
            let mut buffer = [0; 4096];
            let _ = stream.read(&mut buffer).await;
            let _ = stream.write_all(reply.as_bytes()).await;
        }
    });
    (url, task)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hostile_page_in_the_same_browser_gets_nothing() {
    let (_system, desk, browser) = in_the_vault().await.unwrap();
    let ours = browser.driver.current_url().await.unwrap();
    let ours = ours.join("/").unwrap().to_string();
    let script = format!(
        "window.got = []; const at = {at};
         const tries = [
           fetch(at + 'vault', {{ credentials: 'include' }}).then((r) => r.text()),
           fetch(at + 'vault', {{ credentials: 'include', headers: {{ 'hx-request': 'true' }} }}).then((r) => r.text()),
           fetch(at + 'lock', {{ method: 'POST', credentials: 'include', mode: 'no-cors', body: new URLSearchParams() }}).then((r) => r.text()),
           new Promise((ok, no) => {{ const s = document.createElement('script'); s.src = at + 'assets/app.js'; s.onload = () => ok('script'); s.onerror = no; document.body.append(s); }}),
           new Promise((ok, no) => {{ const i = document.createElement('img'); i.src = at + 'assets/mark.svg'; i.onload = () => ok('image'); i.onerror = no; document.body.append(i); }}),
           new Promise((ok, no) => {{ const f = document.createElement('iframe'); f.src = at + 'vault'; f.onload = () => {{ try {{ f.contentDocument.body ? ok('frame') : no(); }} catch (e) {{ no(e); }} }}; document.body.append(f); setTimeout(no, 3000); }}),
         ];
         Promise.allSettled(tries).then((all) => {{ for (const one of all) if (one.status === 'fulfilled' && one.value) got.push(String(one.value).slice(0, 80)); window.done = true; }});",
        at = json!(ours)
    );
    let (url, task) = evil_page(script).await;
    browser.driver.goto(&url).await.unwrap();
    browser.until("all was tried", "return window.done === true").await.unwrap();
    assert_eq!(browser.run("return window.got").await.unwrap(), json!([]));
    assert!(!desk.running.app.desk.running().is_empty(), "a foreign form locked the vault");
    // It can lead the browser to us, and has then lost it: what is shown is not the page, for the cookie was not sent.
    browser.driver.goto(&url).await.unwrap();
    browser.run(&format!("location.href = {}", json!(format!("{ours}vault")))).await.unwrap();
    browser.read("opens with the link").await.unwrap();
    task.abort();
    browser.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_files_hold_and_how_they_are_called_does_nothing() {
    let (_system, desk, browser) = in_the_vault().await.unwrap();
    let place = desk.place().join("hostile");
    std::fs::create_dir(&place).unwrap();
    let names = [
        "<img src=x onerror=pwned=1>",
        "\"><script>pwned=1<",
        "' onclick='pwned=1",
        "javascript:pwned=1",
        "{{7*7}}",
        "a\u{202e}gpj.exe",
        "tab\tand\nline",
        "& &amp; &lt;",
        "%3Cscript%3E",
        "=cmd|'!A0",
    ];
    for name in names {
        std::fs::write(place.join(name), name).unwrap();
    }
    let script = "<script>top.pwned=1; parent.postMessage('pwned', '*'); fetch('/x')</script>";
    std::fs::write(place.join("page.html"), format!("<!doctype html>{script}")).unwrap();
    std::fs::write(place.join("picture.svg"), format!("<svg xmlns='http://www.w3.org/2000/svg' onload='top.pwned=1'>{script}</svg>"))
        .unwrap();
    std::fs::write(place.join("image.png"), format!("\u{89}PNG{script}")).unwrap();
    std::fs::write(place.join("report.pdf"), "%PDF-1.4\n1 0 obj<</Type/Catalog/OpenAction<</S/JavaScript/JS(app.alert\\(1\\))>>>>endobj\n")
        .unwrap();
    browser.run("window.addEventListener('message', () => { window.pwned = 2; })").await.unwrap();
    browser.drop_files("ticrypt-table", &[&place]).await.unwrap();
    browser.see(".tray-card[data-state=done]").await.unwrap();
    browser.go("/vault?at=/hostile").await.unwrap();
    browser.see(&row("/hostile/page.html", "")).await.unwrap();
    let rows = browser.run("return document.querySelectorAll('tr[data-key]').length").await.unwrap();
    assert_eq!(rows, json!(names.len() + 4));
    let text = browser.text().await.unwrap();
    for shown in ["<img src=x onerror=pwned=1>", "\"><script>pwned=1<", "{{7*7}}", "& &amp; &lt;", "\\u{202e}", "\\u{a}"] {
        assert!(text.contains(shown), "{shown} is not shown as it is: {text}");
    }
    browser.picture("hostile-names").await.unwrap();
    for name in ["<img src=x onerror=pwned=1>", "page.html", "picture.svg", "image.png", "report.pdf"] {
        let key = format!("/hostile/{name}");
        let selector = row(&key, " a");
        browser.click(&selector).await.unwrap();
        browser.see("ticrypt-preview iframe, ticrypt-preview p").await.unwrap();
        browser.read("History").await.unwrap();
        assert_eq!(browser.run("return window.pwned ?? null").await.unwrap(), json!(null), "{name}");
        if name == "page.html" {
            browser.driver.enter_frame(0).await.unwrap();
            let inside = browser.run("return [document.contentType, document.body.innerText, self.origin]").await.unwrap();
            assert_eq!(inside[0], json!("text/plain"));
            assert!(inside[1].as_str().unwrap().contains("<script>"));
            assert_eq!(inside[2], json!("null"), "the frame has an origin of its own");
            browser.driver.enter_default_frame().await.unwrap();
        }
        browser.picture(&format!("preview-{}", name.rsplit('.').next().unwrap_or("x").len())).await.unwrap();
        browser.go("/vault?at=/hostile").await.unwrap();
    }
    // A good one is seen, in the browser's own viewer, on an origin where nothing else lives.
    std::fs::write(place.join("red.pdf"), red_pdf()).unwrap();
    assert!(browser.painted([230, 20, 30]).await.unwrap() < 0.001);
    browser.drop_files("ticrypt-table", &[&place.join("red.pdf")]).await.unwrap();
    browser.click(&row("/hostile/red.pdf", " a")).await.unwrap();
    browser.see("ticrypt-preview iframe").await.unwrap();
    let mut red = 0.0;
    for _ in 0..200 {
        red = browser.painted([230, 20, 30]).await.unwrap();
        if red > 0.02 {
            break;
        }
    }
    browser.picture("preview-red-pdf").await.unwrap();
    assert!(red > 0.02, "{red} of the page is red");
    // Markup that holds a script is not taken, wherever it comes from.
    for markup in [
        "<img src=x onerror=pwned=1>",
        "<script>pwned=1</script>",
        "<iframe srcdoc='x'></iframe>",
        "<a href='javascript:pwned=1'>x</a>",
        "<form action='https://evil.example/'>",
        "<p style='color:red'>x</p>",
        "<svg><use href='https://evil.example/#x'/></svg>",
    ] {
        let taken = browser
            .run(&format!(
                "try {{ document.querySelector('#toasts').innerHTML = {}; return 'taken' }} catch (e) {{ return 'refused' }}",
                json!(markup)
            ))
            .await
            .unwrap();
        assert_eq!(taken, json!("refused"), "{markup}");
    }
    let taken = browser
        .run("document.querySelector('#toasts').innerHTML = '<p class=\"x\">fine</p>'; return document.querySelector('#toasts').innerText")
        .await
        .unwrap();
    assert_eq!(taken, json!("fine"));
    // From a timer, for what a driver runs itself may do more than the page.
    let codes = [
        "eval('1')",
        "new Function('return 1')()",
        "document.body.append(Object.assign(document.createElement('script'), { src: 'https://evil.example/x.js' }))",
    ];
    for code in codes {
        let script = format!(
            "window.ran = null; setTimeout(() => {{ try {{ {code}; window.ran = 'ran' }} catch (e) {{ window.ran = 'refused' }} }})"
        );
        browser.run(&script).await.unwrap();
        browser.until("it was tried", "return window.ran !== null").await.unwrap();
        assert_eq!(browser.run("return window.ran").await.unwrap(), json!("refused"), "{code}");
    }
    // Not one request of any kind went anywhere else.
    let elsewhere = browser
        .run("return performance.getEntriesByType('resource').map((e) => e.name).filter((n) => !n.startsWith(location.origin))")
        .await
        .unwrap();
    let elsewhere: Vec<&str> =
        elsewhere.as_array().unwrap().iter().filter_map(|one| one.as_str()).filter(|one| !one.contains(".localhost:")).collect();
    assert_eq!(elsewhere, Vec::<&str>::new());
    browser.close().await.unwrap();
}

/// One page, painted red.
fn red_pdf() -> String {
    let paint = "0.902 0.078 0.118 rg 0 0 300 300 re f";
    let parts = [
        "<< /Type /Catalog /Pages 2 0 R >>".to_owned(),
        "<< /Type /Pages /Kids [3 0 R] /Count 1 >>".to_owned(),
        "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 300 300] /Contents 4 0 R /Resources << >> >>".to_owned(),
        format!("<< /Length {} >>\nstream\n{paint}\nendstream", paint.len()),
    ];
    let mut text = "%PDF-1.4\n".to_owned();
    let mut table = format!("xref\n0 {}\n0000000000 65535 f \n", parts.len() + 1);
    for (part, number) in parts.iter().zip(1..) {
        table.push_str(&format!("{:010} 00000 n \n", text.len()));
        text.push_str(&format!("{number} 0 obj\n{part}\nendobj\n"));
    }
    let start = text.len();
    format!("{text}{table}trailer\n<< /Size {} /Root 1 0 R >>\nstartxref\n{start}\n%%EOF\n", parts.len() + 1)
}

/// The widget of later terminals lives under the policy: its style sheets are made by script, and scripts may.
#[tokio::test(flavor = "multi_thread")]
async fn a_terminal_lives_under_the_policy() {
    let desk = Desk::new().await.unwrap();
    let browser = Browser::start().await.unwrap();
    browser.open(&desk.link().unwrap()).await.unwrap();
    let xterm = std::fs::read_to_string(packages().join("xterm/lib/xterm.js")).unwrap();
    browser.run(&format!("{xterm}; window.Terminal = window.Terminal || globalThis.Terminal || exports?.Terminal;")).await.unwrap();
    let script = "
        window.violations = [];
        document.addEventListener('securitypolicyviolation', (event) => violations.push(event.violatedDirective));
        // <style> elements made by the widget are refused by the policy, even empty ones; the same rules as constructed sheets are not.
        const make = document.createElement.bind(document);
        document.createElement = (tag, ...rest) => {
          if (tag !== 'style') return make(tag, ...rest);
          const sheet = new CSSStyleSheet();
          document.adoptedStyleSheets = [...document.adoptedStyleSheets, sheet];
          const element = make('i');
          Object.defineProperty(element, 'textContent', { set: (text) => sheet.replaceSync(text), get: () => '' });
          return element;
        };
        const box = make('div');
        document.body.append(box);
        const terminal = new Terminal({ cols: 40, rows: 4 });
        terminal.open(box);
        window.typed = '';
        terminal.onData((data) => { window.typed += data; });
        terminal.write('\\x1b[31mred\\x1b[0m plain');
        window.terminal = terminal;
        terminal.focus();";
    browser.run(script).await.unwrap();
    browser
        .until("the terminal shows a line", "return document.querySelector('.xterm-rows')?.innerText.includes('red plain')")
        .await
        .unwrap();
    browser.press("ls").await.unwrap();
    browser.until("typing arrives", "return window.typed === 'ls'").await.unwrap();
    let red = browser.run("return getComputedStyle(document.querySelector('.xterm-rows .xterm-fg-1')).color").await.unwrap();
    assert_eq!(red, json!("rgb(204, 0, 0)"), "the colour comes from a sheet of the widget's");
    assert_eq!(browser.run("return window.violations").await.unwrap(), json!([]));
    browser.close().await.unwrap();
}
