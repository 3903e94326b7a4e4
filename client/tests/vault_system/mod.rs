//! The real `ticrypt-backend`, started as a process, and people who use it through the library.
#![allow(dead_code, clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use ticrypt_client::account::{self, Registration};
use ticrypt_client::deployment::Candidate;
use ticrypt_client::keys::Unlocked;
use ticrypt_client::transport::Options;
use ticrypt_client::users::StateChange;
use ticrypt_client::vault::{Vault, VaultPath};
use ticrypt_client::{Deployment, Home, Keys, Session, Transport};
use ticrypt_crypto::Digest;
use ticrypt_crypto::bundle::Fingerprint;
use ticrypt_crypto::statement::Action;
use ticrypt_keyring::{Identity, SystemRandom};
use ticrypt_types::{Timestamp, UserId};

/// A server of its own for each test.
pub struct System {
    child: Child,
    pub directory: tempfile::TempDir,
    code: String,
    admin: Option<Arc<Session>>,
}

impl Drop for System {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A person with a home on this machine and an open session.
pub struct Person {
    pub home: tempfile::TempDir,
    pub session: Arc<Session>,
    pub vault: Vault,
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
        Self { child, directory, code, admin: None }
    }

    pub fn deployment_bytes(&self) -> Vec<u8> {
        let data = self.directory.path().join("data");
        let mut found = std::fs::read_dir(&data).unwrap().map(|entry| entry.unwrap().path());
        let file = found.find(|path| path.extension().is_some_and(|e| e == "json")).expect("a deployment file");
        std::fs::read(file).unwrap()
    }

    pub fn log(&self) -> String {
        std::fs::read_to_string(self.directory.path().join("log")).unwrap()
    }

    /// Where the server keeps everything.
    pub fn data(&self) -> PathBuf {
        self.directory.path().join("data")
    }

    /// Somebody new, activated; the first person is the super-admin.
    pub async fn person(&mut self, name: &str) -> Person {
        self.person_via(name, None).await
    }

    /// The same, reaching the server at another address, which stands in a copy of the deployment file.
    pub async fn person_via(&mut self, name: &str, url: Option<&str>) -> Person {
        if self.admin.is_none() && name != "root" {
            let root = Box::pin(self.person_via("root", None)).await;
            // The home must outlive the session.
            std::mem::forget(root.home);
            self.admin = Some(root.session);
        }
        let dir = tempfile::tempdir().unwrap();
        let home = Home::open(dir.path().join("home")).unwrap();
        let deployment = import(&home, &self.deployment_bytes(), url);
        let transport = Transport::new(&deployment, Options::default()).unwrap();
        let user = UserId::from_random(ticrypt_keyring::random::public(&SystemRandom::new()).unwrap());
        let identity = Identity::generate(&SystemRandom::new(), deployment.id(), user, name.parse().unwrap()).unwrap();
        let bundle = identity.bundle(Timestamp::from_millis(1_700_000_000_000)).unwrap();
        let keys: Arc<dyn Keys> = Arc::new(Unlocked::new(identity, bundle).unwrap());
        let code = (name == "root").then(|| self.code.clone());
        account::register(&transport, &deployment, &*keys, Registration { token: None, code }).await.unwrap();
        if let Some(admin) = &self.admin {
            let view = admin.users.find(&name.parse().unwrap()).await.unwrap();
            let compared = Fingerprint(Digest::new(view.fingerprint.0));
            let change = StateChange { view, action: Action::Activate, reason: String::new(), new_bundle: None };
            admin.users.change_state(&*admin.keys, change, Some(compared)).await.unwrap();
        }
        let session = login(&home, &deployment, &transport, keys).await;
        Person { home: dir, vault: Vault::new(Arc::clone(&session)), session }
    }
}

async fn login(home: &Home, deployment: &Deployment, transport: &Transport, keys: Arc<dyn Keys>) -> Arc<Session> {
    let logged_in = account::login(home, transport, deployment, Arc::clone(&keys), "test").await.unwrap();
    Arc::new(Session::assemble(home.clone(), deployment.clone(), logged_in.transport, keys).unwrap())
}

fn import(home: &Home, bytes: &[u8], url: Option<&str>) -> Deployment {
    let mut bytes = bytes.to_vec();
    if let Some(url) = url {
        let mut file: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
        file["urls"] = serde_json::json!([url]);
        bytes = serde_json::to_vec(&file).unwrap();
    }
    let candidate = Candidate::read(home, bytes).unwrap();
    let fingerprint = candidate.deployment().fingerprint();
    candidate.accept(home, fingerprint).unwrap()
}

impl Person {
    /// A second view with nothing remembered but what is on the disk.
    pub fn fresh_view(&self) -> Vault {
        Vault::new(Arc::clone(&self.session))
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
