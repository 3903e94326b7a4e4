//! The real `ticrypt-backend`, started as a process, and people who use it through the library.
#![allow(dead_code, clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod people;

use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use ticrypt_client::Session;
use ticrypt_client::vault::VaultPath;

pub use people::{People, Person};

/// A server of its own for each test.
pub struct System {
    child: Child,
    pub directory: tempfile::TempDir,
    people: People,
}

impl Drop for System {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn backend() -> PathBuf {
    if let Some(path) = std::env::var_os("TICRYPT_BACKEND") {
        return path.into();
    }
    let here = std::env::current_exe().unwrap();
    let path = here.parent().unwrap().parent().unwrap().join("ticrypt-backend");
    assert!(path.exists(), "{} is not there: run `cargo build -p ticrypt-backend` first", path.display());
    path
}

impl System {
    pub fn start() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let config = directory.path().join("backend.toml");
        let text = format!(
            "[server]\nlisten = \"127.0.0.1:{port}\"\n[registration]\nmode = \"open\"\n[log]\ncheckpoint_interval_ms = 100\n\
             [limits]\naddress_per_second = 10000\naddress_burst = 10000\nperson_per_second = 10000\nperson_burst = 10000\n[health]\nenabled = false\n"
        );
        std::fs::write(&config, text).unwrap();
        let log = std::fs::File::create(directory.path().join("log")).unwrap();
        let mut child = Command::new(backend())
            .arg("--config")
            .arg(&config)
            .arg("--data")
            .arg(directory.path().join("data"))
            .arg("run")
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .unwrap();
        let mut code = None;
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        for line in lines.by_ref() {
            let line = line.unwrap();
            if let Some(rest) = line.trim().strip_prefix("one-time code") {
                code = rest.split_whitespace().next().map(str::to_owned);
                break;
            }
        }
        let code =
            code.unwrap_or_else(|| panic!("the server did not start: {}", std::fs::read_to_string(directory.path().join("log")).unwrap()));
        // Its output is read to the end, or it would stop when the pipe is full.
        std::thread::spawn(move || lines.for_each(drop));
        let mut found = std::fs::read_dir(directory.path().join("data")).unwrap().map(|entry| entry.unwrap().path());
        let file = found.find(|path| path.extension().is_some_and(|e| e == "json")).expect("a deployment file");
        let people = People::new(std::fs::read(file).unwrap(), code);
        Self { child, directory, people }
    }

    pub fn log(&self) -> String {
        std::fs::read_to_string(self.directory.path().join("log")).unwrap()
    }

    /// Where the server keeps everything.
    pub fn data(&self) -> PathBuf {
        self.directory.path().join("data")
    }

    /// The super-admin's session, once there is somebody else.
    pub fn admin(&self) -> Arc<Session> {
        self.people.admin()
    }

    /// Somebody new, activated; the first person is the super-admin.
    pub async fn person(&mut self, name: &str) -> Person {
        self.people.enrol(name).await
    }

    /// The same, reaching the server at another address, which stands in a copy of the deployment file.
    pub async fn person_via(&mut self, name: &str, url: Option<&str>) -> Person {
        self.people.enrol_via(name, url).await
    }
}

pub fn path(text: &str) -> VaultPath {
    VaultPath::parse(text).unwrap()
}

/// Everything in a directory: relative path and content; `None` for directories.
pub fn tree(root: &Path) -> std::collections::BTreeMap<String, Option<Vec<u8>>> {
    let mut found = std::collections::BTreeMap::new();
    for entry in walkdir::WalkDir::new(root).min_depth(1) {
        let entry = entry.unwrap();
        let relative = entry.path().strip_prefix(root).unwrap().to_str().unwrap().to_owned();
        let content = if entry.file_type().is_dir() { None } else { Some(std::fs::read(entry.path()).unwrap()) };
        found.insert(relative, content);
    }
    found
}
