//! A real browser, driven over WebDriver as a person would use it.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail, ensure};
use data_encoding::BASE64;
use serde_json::{Value, json};
use thirtyfour::prelude::*;
use ticrypt_e2e::person::Person;
use ticrypt_e2e::process::Process;

use crate::desk::{PASSPHRASE, System};

/// How long a page may take for anything a person waits for.
const PATIENCE: Duration = Duration::from_secs(30);
const POLL: Duration = Duration::from_millis(25);
/// Where pictures of pages go, if anybody wants them.
const PICTURES: &str = "TICRYPT_PICTURES";

/// A browser with an empty profile. Dropping it ends it.
pub struct Browser {
    pub driver: WebDriver,
    _process: Process,
    _profile: tempfile::TempDir,
}

impl Browser {
    pub async fn start() -> Result<Self> {
        let profile = tempfile::Builder::new().prefix("browser").tempdir()?;
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let mut command = Command::new("chromedriver");
        command.arg(format!("--port={port}")).env("HOME", profile.path());
        let process = Process::spawn("chromedriver", &mut command, &profile.path().join("driver.log"))
            .context("chromedriver does not start; `make test` installs it")?;
        let mut capabilities = DesiredCapabilities::chrome();
        for argument in [
            "--headless=new",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--disable-extensions",
            "--disable-quic",
            "--window-size=1280,860",
        ] {
            capabilities.add_arg(argument)?;
        }
        capabilities.add_arg(&format!("--user-data-dir={}", profile.path().join("profile").display()))?;
        capabilities.set_binary(&chromium()?)?;
        let began = Instant::now();
        let driver = loop {
            match WebDriver::new(format!("http://127.0.0.1:{port}"), capabilities.clone()).await {
                Ok(driver) => break driver,
                Err(error) if began.elapsed() > PATIENCE => return Err(error.into()),
                Err(_) => pause().await,
            }
        };
        driver.set_script_timeout(PATIENCE).await?;
        Ok(Self { driver, _process: process, _profile: profile })
    }

    /// Spends a link and waits for the page behind it.
    pub async fn open(&self, link: &str) -> Result<()> {
        self.driver.goto(link).await?;
        self.see("#app h1").await?;
        Ok(())
    }

    /// Waits until something that can be seen fits a selector.
    pub async fn see(&self, selector: &str) -> Result<WebElement> {
        let began = Instant::now();
        loop {
            for element in self.driver.find_all(By::Css(selector)).await? {
                if element.is_displayed().await.unwrap_or(false) {
                    return Ok(element);
                }
            }
            if began.elapsed() > PATIENCE {
                bail!("`{selector}` is not to be seen; the page says: {}", self.text().await?);
            }
            pause().await;
        }
    }

    /// Waits until nothing fits a selector any more.
    pub async fn gone(&self, selector: &str) -> Result<()> {
        self.until(&format!("`{selector}` is gone"), &format!("return !document.querySelector({})", json!(selector))).await
    }

    /// Waits until the page has a text.
    pub async fn read(&self, text: &str) -> Result<()> {
        self.until(&format!("the page says `{text}`"), &format!("return document.body.innerText.includes({})", json!(text))).await
    }

    /// Waits until a script returns something true.
    pub async fn until(&self, what: &str, script: &str) -> Result<()> {
        let began = Instant::now();
        while self.run(script).await?.as_bool() != Some(true) {
            if began.elapsed() > PATIENCE {
                bail!("{what}: not after {PATIENCE:?}; the page says: {}", self.text().await?);
            }
            pause().await;
        }
        Ok(())
    }

    pub async fn text(&self) -> Result<String> {
        Ok(self.run("return document.body.innerText").await?.as_str().unwrap_or_default().to_owned())
    }

    /// Runs a script in the page. The page's own policy does not hold for what a driver runs, but for what that does to the page it does.
    pub async fn run(&self, script: &str) -> Result<Value> {
        Ok(self.driver.execute(script, Vec::new()).await?.json().clone())
    }

    pub async fn click(&self, selector: &str) -> Result<()> {
        let began = Instant::now();
        loop {
            let clicked = self.see(selector).await?.click().await;
            match clicked {
                Ok(()) => return Ok(()),
                // Something moved, or was drawn anew.
                Err(error) if began.elapsed() > PATIENCE => return Err(anyhow!("`{selector}`: {error}")),
                Err(_) => pause().await,
            }
        }
    }

    /// Checks a box. Where the page moves under the pointer, a click goes beside it, and is made again.
    pub async fn check(&self, selector: &str) -> Result<()> {
        let began = Instant::now();
        let script = format!("return document.querySelector({}).checked", json!(selector));
        loop {
            self.click(selector).await?;
            if self.run(&script).await? == json!(true) {
                return Ok(());
            }
            if began.elapsed() > PATIENCE {
                bail!("`{selector}` does not stay checked");
            }
            pause().await;
        }
    }

    pub async fn fill(&self, selector: &str, text: &str) -> Result<()> {
        let field = self.see(selector).await?;
        field.clear().await?;
        field.send_keys(text).await?;
        Ok(())
    }

    /// Chooses a file of this machine.
    pub async fn choose(&self, selector: &str, file: &Path) -> Result<()> {
        let (began, field) = (Instant::now(), By::Css(selector));
        // It need not be seen.
        let field = loop {
            match self.driver.find(field.clone()).await {
                Ok(field) => break field,
                Err(error) if began.elapsed() > PATIENCE => return Err(error.into()),
                Err(_) => pause().await,
            }
        };
        Ok(field.send_keys(file.to_str().context("a path that is not UTF-8")?).await?)
    }

    /// Sends the form with this button, and returns what it says is wrong.
    pub async fn refused(&self, button: &str) -> Result<String> {
        self.click(button).await?;
        Ok(self.see(".form-error").await?.text().await?)
    }

    /// The share of the picture's points that have nearly this colour.
    pub async fn painted(&self, colour: [u8; 3]) -> Result<f64> {
        let script = format!(
            "const done = arguments[0]; const bytes = Uint8Array.from(atob('{}'), (c) => c.charCodeAt(0)); const [r, g, b] = {}; \
             createImageBitmap(new Blob([bytes], {{ type: 'image/png' }})).then((image) => {{ \
               const canvas = new OffscreenCanvas(image.width, image.height); const pen = canvas.getContext('2d'); pen.drawImage(image, 0, 0); \
               const points = pen.getImageData(0, 0, image.width, image.height).data; let count = 0; \
               for (let at = 0; at < points.length; at += 4) count += Math.abs(points[at] - r) + Math.abs(points[at + 1] - g) + Math.abs(points[at + 2] - b) < 30; \
               done(count / (points.length / 4)); }}, () => done(-1));",
            BASE64.encode(&self.driver.screenshot_as_png().await?),
            json!(colour),
        );
        let share = self.driver.execute_async(script, Vec::new()).await?.json().as_f64();
        share.filter(|share| *share >= 0.0).context("the picture cannot be looked at")
    }

    /// Presses keys wherever the page's focus is.
    pub async fn press(&self, keys: impl Into<TypingData> + Send) -> Result<()> {
        let keys: TypingData = keys.into();
        self.driver.action_chain().send_keys(keys).perform().await?;
        Ok(())
    }

    /// Goes to a place of the page as by its address.
    pub async fn go(&self, path: &str) -> Result<()> {
        let here = self.driver.current_url().await?;
        self.driver.goto(here.join(path)?.as_str()).await?;
        self.see("#app h1, #app .crumbs").await?;
        Ok(())
    }

    /// Drops files and folders of this machine on the page, as from a file manager.
    pub async fn drop_files(&self, selector: &str, paths: &[&Path]) -> Result<()> {
        let place = self.see(selector).await?.rect().await?;
        let (x, y) = (place.x + place.width / 2.0, place.y + place.height / 2.0);
        let files: Vec<&str> = paths.iter().filter_map(|path| path.to_str()).collect();
        let tools = self.driver.cdp();
        for kind in ["dragEnter", "dragOver", "drop"] {
            let event = json!({ "type": kind, "x": x, "y": y, "data": { "items": [], "files": files, "dragOperationsMask": 1 } });
            tools.send_raw("Input.dispatchDragEvent", event).await?;
        }
        Ok(())
    }

    /// A picture of the page, if anybody wants one.
    pub async fn picture(&self, name: &str) -> Result<()> {
        let Some(folder) = std::env::var_os(PICTURES) else { return Ok(()) };
        let folder = PathBuf::from(folder);
        std::fs::create_dir_all(&folder)?;
        std::fs::write(folder.join(format!("{name}.png")), self.driver.screenshot_as_png().await?)?;
        Ok(())
    }

    /// What axe finds wrong, serious or worse; empty if nothing.
    pub async fn axe(&self) -> Result<Vec<String>> {
        let axe = std::fs::read_to_string(packages().join("axe-core/axe.min.js"))?;
        self.run(&axe).await?;
        let script = "const done = arguments[arguments.length - 1]; axe.run(document, { resultTypes: ['violations'] }).then((found) => \
                      done(found.violations.filter((one) => ['serious', 'critical'].includes(one.impact)).flatMap((one) => \
                      one.nodes.map((node) => `${one.id}: ${node.html} (${node.any.map((any) => any.message).join('; ')})`))), \
                      (error) => done([String(error)]));";
        let found = self.driver.execute_async(script, Vec::new()).await?.json().clone();
        let found = found.as_array().context("axe said nothing")?.iter();
        Ok(found.filter_map(|one| one.as_str().map(str::to_owned)).collect())
    }

    /// The page in both colours, wide and narrow: pictures of it, and an error for what is wrong with it.
    pub async fn look(&self, name: &str) -> Result<()> {
        for (theme, width) in [("light", 1280), ("dark", 1280), ("light", 400)] {
            self.resize(width, 860).await?;
            self.run(&format!("setTheme('{theme}')")).await?;
            self.until("colours have changed", "return document.getAnimations().length === 0").await?;
            self.picture(&format!("{name}-{theme}-{width}")).await?;
            let mut findings = self.axe().await?;
            let wider = self.run("return document.documentElement.scrollWidth - innerWidth").await?.as_i64();
            findings.extend(wider.filter(|wider| *wider > 0).map(|wider| format!("wider than the window by {wider}")));
            ensure!(findings.is_empty(), "{name}, {theme}, {width}: {findings:?}");
        }
        self.resize(1280, 860).await?;
        self.run("setTheme('light')").await.map(drop)
    }

    pub async fn resize(&self, width: u32, height: u32) -> Result<()> {
        let tools = self.driver.cdp();
        let metrics = json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": false });
        tools.send_raw("Emulation.setDeviceMetricsOverride", metrics).await?;
        Ok(())
    }

    // What a person does.

    /// Takes in a deployment file after comparing its fingerprint.
    pub async fn add_deployment(&self, system: &System) -> Result<()> {
        self.choose("#file", &system.deployment_file()).await?;
        self.click("form[data-look] button[type=submit]").await?;
        self.see("dialog .fingerprint").await?;
        self.click("dialog input[name=compared]").await?;
        self.click("dialog button[type=submit]").await?;
        self.see("#name").await?;
        Ok(())
    }

    /// Fills in the form for a new account.
    pub async fn create_account(&self, name: &str, code: Option<&str>) -> Result<()> {
        self.fill("#name", name).await?;
        self.fill("#passphrase", PASSPHRASE).await?;
        self.fill("#again", PASSPHRASE).await?;
        if let Some(code) = code {
            self.click("form[data-send='/create'] summary").await?;
            self.fill("#code", code).await?;
        }
        self.check("input[name=understood]").await?;
        self.click("form[data-send='/create'] button[type=submit]").await
    }

    pub async fn unlock(&self) -> Result<()> {
        self.fill("form[data-send='/unlock'] input[name=passphrase]", PASSPHRASE).await?;
        self.click("form[data-send='/unlock'] button[type=submit]").await?;
        self.see(".shell").await?;
        Ok(())
    }

    /// A system's first administrator, from a link of their own into the vault.
    pub async fn first_administrator(&self, system: &System, link: &str) -> Result<()> {
        self.open(link).await?;
        self.add_deployment(system).await?;
        self.create_account("admin", Some(&system.code()?)).await?;
        self.see(".shell").await?;
        self.go("/vault").await?;
        self.see("ticrypt-table").await?;
        Ok(())
    }

    /// Selects a row and does one of the things that can be done with it.
    pub async fn with_row(&self, key: &str, action: &str) -> Result<()> {
        self.click(&row(key, " .tbl-check")).await?;
        let button = format!("//div[contains(@class, 'tbl-bulk')]//button[contains(., '{action}')]");
        let began = Instant::now();
        loop {
            if let Ok(button) = self.driver.find(By::XPath(&button)).await
                && button.click().await.is_ok()
            {
                return Ok(());
            }
            if began.elapsed() > PATIENCE {
                bail!("`{action}` is not offered for {key}: {}", self.text().await?);
            }
            pause().await;
        }
    }

    /// Makes an account active, after comparing its fingerprint.
    pub async fn activate(&self, name: &str) -> Result<()> {
        self.go("/people").await?;
        self.with_row(name, "Activate").await?;
        self.click("dialog input[name=compared]").await?;
        self.click("dialog button[type=submit]").await?;
        self.read(&format!("{name} is active")).await
    }

    /// People with devices of their own, registered and activated; an administrator's page.
    pub async fn enrol(&self, system: &System, names: &[&str]) -> Result<Vec<Person>> {
        let mut people = Vec::with_capacity(names.len());
        for name in names {
            people.push(Person::register(system, name, "another passphrase", None)?);
            self.activate(name).await?;
        }
        Ok(people)
    }

    /// Has what a row stands for written into a folder of this machine.
    pub async fn save_to(&self, key: &str, folder: &Path) -> Result<()> {
        self.with_row(key, "Save to").await?;
        self.fill("#folder", folder.to_str().context("a path that is not UTF-8")?).await?;
        self.click("dialog button[type=submit]").await
    }

    /// Pauses the next transfer of which so many bytes have gone, once.
    pub async fn pause_at(&self, bytes: u64) -> Result<()> {
        let script = format!(
            "const pause = ({{ detail }}) => {{ \
               if (detail.bytes < {bytes} || detail.state !== 'running') return; \
               document.removeEventListener('transfer-state', pause); \
               document.querySelector('[data-do=pause]').click(); }}; \
             document.addEventListener('transfer-state', pause);"
        );
        self.run(&script).await?;
        Ok(())
    }

    /// Ends it.
    pub async fn close(self) -> Result<()> {
        Ok(self.driver.quit().await?)
    }
}

/// A row of the table by its key.
pub fn row(key: &str, rest: &str) -> String {
    format!("tr[data-key={}]{rest}", json!(key))
}

/// The packages that `tools/web.sh` fetched.
pub fn packages() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../connect/packages")
}

fn chromium() -> Result<String> {
    let found =
        ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"].into_iter().find(|path| Path::new(path).exists());
    found.map(str::to_owned).context("there is no Chromium; `make test` installs it")
}

async fn pause() {
    tokio::time::sleep(POLL).await;
}
