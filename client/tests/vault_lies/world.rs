//! A backend in this process behind a [`Liar`], and what every case is held to.

use std::future::Future;
use std::path::Path;
use std::sync::Arc;

use ticrypt_backend::audit::link;
use ticrypt_backend::config::{Config, RegistrationMode};
use ticrypt_backend::links::Vaults;
use ticrypt_backend::listener;
use ticrypt_backend::losses::Losses;
use ticrypt_backend::metrics::Metrics;
use ticrypt_backend::rest::{Parts, Rest, route};
use ticrypt_backend::tls::Identity;
use ticrypt_backend::wiring::{self, Paths, Running};
use ticrypt_client::vault::get::GetOptions;
use ticrypt_client::vault::plan::IfExists;
use ticrypt_client::vault::progress::{Cancel, Quiet, Report};
use ticrypt_client::vault::put::PutOptions;
use ticrypt_client::vault::{Vault, VaultPath};
use ticrypt_client::{ClientError, Kind};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

use crate::liar::{Liar, Lie};
use crate::people::{People, Person};

/// A deployment of its own for each test.
pub struct World {
    pub liar: Arc<Liar>,
    pub people: People,
    /// The backend itself; its own listener is asked nothing, but store, logs and clock are its.
    _running: Running,
    _directory: tempfile::TempDir,
}

fn config() -> Config {
    let mut config = Config::default();
    config.server.listen = "127.0.0.1:0".parse().unwrap();
    config.health.enabled = false;
    config.registration.mode = RegistrationMode::Open;
    config.log.checkpoint_interval_ms = 50;
    let limits = &mut config.limits;
    for limit in [&mut limits.address_per_second, &mut limits.address_burst, &mut limits.person_per_second, &mut limits.person_burst] {
        *limit = 10_000;
    }
    config
}

impl World {
    pub async fn start() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let (config, paths) = (config(), Paths(directory.path().to_owned()));
        let running = wiring::start(config.clone(), directory.path()).await.unwrap();
        let (audit, presence) = (link(&running.audit), Arc::clone(&running.presence));
        let losses = Arc::<Losses>::default();
        let (epochs, noted) = (presence.clone(), losses.clone());
        let vaults = Vaults::start(&config, &paths, running.file.id, &running.store, audit.clone(), epochs, noted).await.unwrap();
        let liar = Arc::new(Liar::new(vaults.vault(), vaults.chunks()));
        let rest = Arc::new(Rest::new(Parts {
            config: Arc::new(config.clone()),
            deployment: running.file.clone(),
            store: running.store.clone(),
            audit,
            vault: liar.clone(),
            chunks: liar.clone(),
            presence,
            losses,
            clock: running.clock.clone(),
            metrics: Metrics::new(),
        }));
        let tcp = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut file = running.file.clone();
        file.urls = vec![format!("https://{}", tcp.local_addr().unwrap())];
        let tls = TlsAcceptor::from(Identity::load_or_make(&paths.tls(), None, "ticrypt").unwrap().server_config().unwrap());
        tokio::spawn(listener::serve(tcp, tls, route::router(rest), config.server, CancellationToken::new()));
        let code = running.code.as_ref().expect("a first start has a code").expose().clone();
        let people = People::new(serde_json::to_vec(&file).unwrap(), code);
        Self { liar, people, _running: running, _directory: directory }
    }

    pub async fn person(&mut self, name: &str) -> Person {
        self.people.enrol(name).await
    }

    /// Each lie alone: `act` refuses it in words that contain what is said, `leaves` looks for what it may have left, and the honest answer
    /// does.
    pub async fn refuses<T, F: Future<Output = Result<T, ClientError>>>(&self, cases: &[Case], act: impl Fn() -> F, leaves: impl Fn(&str)) {
        for Case { what, lies, says } in cases {
            self.liar.tell(lies);
            let Err(error) = act().await else { panic!("{what}: believed (told {} times)", self.liar.told()) };
            assert!(self.liar.told() > 0, "{what}: never told; {error}");
            assert_eq!(error.kind(), Kind::Untrusted, "{what}: {error}");
            assert!(error.to_string().contains(says), "{what}: `{error}` does not say `{says}`");
            leaves(what);
            self.liar.be_honest();
            if let Err(error) = act().await {
                panic!("{what}: the honest answer does not do any more: {error}");
            }
        }
    }
}

/// A lie, or several that make one, and what the refusal says.
pub struct Case {
    what: &'static str,
    lies: Vec<Lie>,
    says: &'static str,
}

pub fn case(what: &'static str, lie: Lie, says: &'static str) -> Case {
    cases(what, [lie], says)
}

pub fn cases<const N: usize>(what: &'static str, lies: [Lie; N], says: &'static str) -> Case {
    Case { what, lies: lies.into(), says }
}

pub fn path(text: &str) -> VaultPath {
    VaultPath::parse(text).unwrap()
}

/// Puts a content under a path; over what is there.
pub async fn put(vault: &Vault, at: &str, content: &[u8]) {
    let place = tempfile::tempdir().unwrap();
    let source = place.path().join("source");
    std::fs::write(&source, content).unwrap();
    let options = PutOptions { if_exists: IfExists::Force, ..PutOptions::default() };
    let report = vault.put(&[source], &path(at), &options, &Quiet, &Cancel::new()).await.unwrap();
    assert_eq!((report.files, report.notes.len()), (1, 0), "{:?}", report.notes);
}

pub async fn get(vault: &Vault, at: &str, to: &Path) -> Result<Report, ClientError> {
    let options = GetOptions { if_exists: IfExists::Force, ..GetOptions::default() };
    vault.get(&[path(at)], to, &options, &Quiet, &Cancel::new()).await
}

/// What is in a directory on this machine, but for half-written downloads under their temporary names.
pub fn names(root: &Path) -> Vec<String> {
    let mut names: Vec<_> = std::fs::read_dir(root).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    names.retain(|name| !name.starts_with(".ticrypt-"));
    names.sort();
    names
}

/// Bytes that no compression and no coincidence makes equal to others.
pub fn bytes(len: usize, seed: u8) -> Vec<u8> {
    (0..len as u64).map(|i| i.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes()[0] ^ seed).collect()
}
