//! `backup` beside a server that runs, and `restore` of what is whole and of what is not.

use std::path::{Path, PathBuf};
use std::time::Duration;

use ticrypt_api::node::NewNode;
use ticrypt_api::role::{Audit, Event, Outcome};
use ticrypt_backend::backup::{self, BackupError, Manifest, Restored, Taken};
use ticrypt_backend::check::{CheckError, check, sweep};
use ticrypt_backend::clock::Clock;
use ticrypt_backend::config::{Chunks, Config};
use ticrypt_backend::wiring::{self, Paths, Running};
use ticrypt_store::blobs::{ChunkKey, ChunkStore};
use ticrypt_types::{NodeKind, Operation, RequestId, Timestamp, Verbs};

use crate::postgres;
use crate::records::*;
use crate::upkeep::upload;
use crate::world::World;

/// A deployment with everything in it, and its server.
struct Site {
    world: World,
    config: Config,
    running: Running,
    chunk: (ChunkKey, Vec<u8>),
    scratch: tempfile::TempDir,
}

fn config_at(url: &str) -> Config {
    let mut config = Config::default();
    config.server.listen = "127.0.0.1:0".parse().unwrap();
    config.health.enabled = false;
    config.log.checkpoint_interval_ms = 100;
    config.store.url = url.to_owned();
    // Where the world has them.
    config.chunks = Chunks::Local { path: PathBuf::from("chunks") };
    config
}

impl Site {
    async fn new(url: Option<&str>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let sqlite = format!("sqlite://{}", folder.path().join("db").display());
        let world = World::at(url.unwrap_or(&sqlite), folder).await;
        let (ada, mut home) = world.housed("ada").await;
        let bob = world.person("bob").await;
        let (_, small) = small_file(&ada, &mut home, "small", 10);
        world.create(&ada, &mut home, vec![small]).await.unwrap();
        let sub = world.mkdir(&ada, &mut home, "sub").await;
        world.share(&ada, &bob, &sub, Verbs::VIEW).await;
        let content = Content::new(100_000);
        let file = upload(&world, &ada, &home, &content).await;
        let entry = home.put(&home.entry(file, NodeKind::File, 1, "f"));
        let new = content.wire(ada.sign(&content.manifest(&ada, file, 1, None)), false);
        world.create(&ada, &mut home, vec![NewNode { entry, head: None, content: Some(new) }]).await.unwrap();
        let chunk = (ChunkKey { file, version: content.version, number: 0 }, content.chunks[0].clone());
        let config = config_at(url.unwrap_or("sqlite://db"));
        let running = wiring::start(config.clone(), world.folder.path()).await.unwrap();
        Self { world, config, running, chunk, scratch: tempfile::tempdir().unwrap() }
    }

    fn paths(&self) -> Paths {
        Paths(self.world.folder.path().to_path_buf())
    }

    fn saved(&self) -> PathBuf {
        self.scratch.path().join("saved")
    }

    async fn event(&self) {
        let event = || Event {
            operation: Operation::NodeCreate,
            request: RequestId::from_random(random()),
            actor: None,
            session: None,
            subjects: vec![],
            detail: vec![],
            at: self.running.clock.now(),
        };
        let opened = self.running.audit.open(event()).await.unwrap();
        self.running.audit.close(opened, event(), Outcome::Done).await.unwrap();
    }

    async fn take(&self, with_chunks: bool) -> Result<Taken, BackupError> {
        let source = wiring::source(&self.config, &self.paths()).await.unwrap();
        let taken = backup::take(&source, &self.saved(), with_chunks, &Clock::unmarked(), |_| {}).await;
        source.place.store.close().await.unwrap();
        taken
    }

    /// Into a directory of its own.
    async fn restore(&self, name: &str, url: &str) -> Result<(Restored, Config, Paths), BackupError> {
        let (config, paths) = (config_at(url), Paths(self.scratch.path().join(name)));
        Ok((backup::restore(&self.saved(), &config, &paths, &Clock::unmarked(), |_| {}).await?, config, paths))
    }

    async fn refused(&self, name: &str) -> String {
        let error = self.restore(name, "sqlite://db").await.unwrap_err();
        assert!(!self.scratch.path().join(name).join(backup::UNFINISHED).exists(), "{error}");
        assert!(!self.scratch.path().join(name).join("db").exists(), "{error}");
        error.to_string()
    }
}

async fn comes_back(site: &Site, urls: &[&str]) {
    for _ in 0..300 {
        site.event().await;
    }
    let rows = site.running.audit.audit_log().durable_size();
    let taken = site.take(true).await.unwrap();
    assert_eq!((taken.copied.count, taken.manifest.chunks.unwrap().count), (1, 1));
    assert!(taken.manifest.logs[0].entries >= rows && taken.manifest.settled.is_some());
    site.event().await;
    let again = site.take(true).await.unwrap();
    assert_eq!((again.copied.count, again.manifest.chunks.unwrap().count, again.removed_chunks), (0, 1, 0));
    assert!(again.manifest.logs[0].entries > rows && again.manifest.set != taken.manifest.set);

    for (number, url) in urls.iter().enumerate() {
        let (restored, config, paths) = site.restore(&format!("restored-{number}"), url).await.unwrap();
        assert!(restored.report.is_sound(), "{}", restored.report);
        let report = &restored.report;
        let counted = (report.people, report.directories, report.files, report.manifests, report.grants, report.chunks);
        assert_eq!(counted, (3, 2, 2, 2, 2, 1));
        let in_use = backup::restore(&site.saved(), &config, &paths, &Clock::unmarked(), |_| {}).await.unwrap_err().to_string();
        assert!(in_use.contains("is in use"), "{in_use}");

        let running = wiring::start(config.clone(), &paths.0).await.unwrap();
        assert_eq!((running.file.id, running.file.tls_pins.clone()), (site.running.file.id, site.running.file.tls_pins.clone()));
        assert!(running.code.is_none(), "it is the same deployment, not a new one");
        assert!(running.audit.audit_log().durable_size() >= again.manifest.logs[0].entries);
        let blobs = ChunkStore::local(&paths.0.join("chunks")).unwrap();
        assert_eq!(blobs.get(site.chunk.0).await.unwrap(), site.chunk.1);
        running.stop().await.unwrap();
        let place = wiring::place(&config, &paths).await.unwrap();
        assert!(check(&place, true, |_| {}).await.unwrap().is_sound());
        place.store.close().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_comes_back_on_either_database() {
    let server = postgres::Server::start();
    let [one, two, three] = ["source", "same", "other"].map(|name| server.fresh_database(name));
    comes_back(&Site::new(None).await, &["sqlite://db", &two]).await;
    comes_back(&Site::new(Some(&one)).await, &["sqlite://db", &three]).await;
}

/// A server that was killed has entries that no checkpoint covers.
#[tokio::test(flavor = "multi_thread")]
async fn a_backup_without_a_running_server_has_the_whole_log() {
    let site = Site::new(None).await;
    site.event().await;
    let rows = site.running.audit.audit_log().durable_size();
    site.running.audit.shutdown().await.unwrap();
    // As it was before its last checkpoint.
    let taken = site.take(false).await.unwrap();
    assert!(taken.manifest.logs[0].entries >= rows && taken.manifest.chunks.is_none());
    let (restored, ..) = site.restore("restored", "sqlite://db").await.unwrap();
    let codes: Vec<_> = restored.report.findings.iter().map(|finding| finding.code).collect();
    assert_eq!(codes, ["chunk_missing"], "chunks were left out, and nobody put them there");
}

#[tokio::test(flavor = "multi_thread")]
async fn chunks_stay_while_a_backup_holds_them() {
    let site = Site::new(None).await;
    let (store, blobs) = (&site.running.store, ChunkStore::local(&site.world.folder.path().join("chunks")).unwrap());
    let key = ChunkKey { version: new_version(), ..site.chunk.0 };
    blobs.put(key, vec![1, 2, 3].into()).await.unwrap();
    store.hold_chunks("a backup", site.running.clock.now()).await.unwrap();
    // The storage role is asked to delete what has no row any more; so is the sweep.
    ticrypt_api::role::Chunks::delete(&*site.world.chunks, key.file, key.version).await;
    let place = wiring::place(&site.config, &site.paths()).await.unwrap();
    let now = site.running.clock.now();
    let swept = sweep(&place, Timestamp::ABSENT, now, false, |_| {}).await;
    assert!(matches!(swept, Err(CheckError::Held)), "{swept:?}");
    assert!(blobs.size(key).await.unwrap().is_some());
    store.release_hold("a backup").await.unwrap();
    assert_eq!(sweep(&place, Timestamp::ABSENT, now, false, |_| {}).await.unwrap().orphaned_chunks, 1);
    blobs.put(key, vec![1, 2, 3].into()).await.unwrap();
    ticrypt_api::role::Chunks::delete(&*site.world.chunks, key.file, key.version).await;
    assert!(blobs.size(key).await.unwrap().is_none());
}

fn flip(path: &Path, at: usize) -> impl FnOnce() + use<> {
    let bytes = std::fs::read(path).unwrap();
    let mut flipped = bytes.clone();
    flipped[at] ^= 1;
    std::fs::write(path, flipped).unwrap();
    let path = path.to_path_buf();
    move || std::fs::write(path, bytes).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_whole_is_refused() {
    let site = Site::new(None).await;
    for _ in 0..200 {
        site.event().await;
    }
    let missing = backup::restore(site.scratch.path(), &site.config, &site.paths(), &Clock::unmarked(), |_| {}).await.unwrap_err();
    assert!(missing.to_string().contains("has no manifest"), "{missing}");
    let taken = site.take(true).await.unwrap();
    let set = site.saved().join(&taken.manifest.set);
    let entries = taken.manifest.logs[0].entries;
    let (file, version) = (site.chunk.0.file.to_string(), site.chunk.0.version.to_string());
    let chunk = site.saved().join("chunks").join(&file[..2]).join(&file[2..4]).join(&file).join(version).join("0");
    let bundle = site.saved().join("log/audit/tile/entries/000");
    assert!(bundle.exists() && entries > 256);

    for (path, at, told) in [
        (set.join("database.sqlite"), 9_000, "its database is not the one recorded"),
        (set.join("keys/audit.log.key"), 3, "keys/audit.log.key is not the file recorded"),
        (bundle.clone(), 100, "its audit log is not the one recorded"),
        (site.saved().join("manifest.json"), 1, "manifest"),
    ] {
        let undo = flip(&path, at);
        let why = site.refused("refused").await;
        assert!(why.contains(told), "{}: {why}", path.display());
        undo();
    }
    for (path, told) in [(chunk.clone(), "is missing"), (bundle, "its audit log"), (set.join("database.sqlite"), "its database is missing")]
    {
        let bytes = std::fs::read(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        let why = site.refused("refused").await;
        assert!(why.contains(told), "{}: {why}", path.display());
        std::fs::write(&path, &bytes).unwrap();
    }
    // An older checkpoint in place of the recorded one is a shorter log.
    let mut manifest: serde_json::Value = serde_json::from_slice(&std::fs::read(site.saved().join("manifest.json")).unwrap()).unwrap();
    let whole = manifest.clone();
    manifest["schema"] = 99.into();
    std::fs::write(site.saved().join("manifest.json"), manifest.to_string()).unwrap();
    let why = site.refused("refused").await;
    assert!(why.contains("use the newer program"), "{why}");
    std::fs::write(site.saved().join("manifest.json"), whole.to_string()).unwrap();

    // A chunk that is altered is found when it is put in place; no server starts on what was restored by then.
    let undo = flip(&chunk, 99);
    let why = site.restore("half", "sqlite://db").await.unwrap_err().to_string();
    assert!(why.contains("is not the one recorded"), "{why}");
    undo();
    let why = site.restore("half", "sqlite://db").await.unwrap_err().to_string();
    assert!(why.contains("did not finish"), "{why}");
    let why = wiring::start(site.config.clone(), &site.scratch.path().join("half")).await.unwrap_err().to_string();
    assert!(why.contains("did not finish"), "{why}");
    assert!(site.restore("whole", "sqlite://db").await.unwrap().0.report.is_sound());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_complete_stays_so_until_it_is_replaced() {
    let site = Site::new(None).await;
    let blobs = ChunkStore::local(&site.world.folder.path().join("chunks")).unwrap();
    // The first is interrupted by damage: no manifest, nothing to restore; then it goes on.
    blobs.delete(site.chunk.0).await.unwrap();
    let why = site.take(true).await.unwrap_err().to_string();
    assert!(why.contains("is recorded and not in the chunk store"), "{why}");
    assert!(site.refused("refused").await.contains("no manifest"));
    blobs.put(site.chunk.0, site.chunk.1.clone().into()).await.unwrap();
    tokio::time::timeout(Duration::from_secs(30), site.take(true)).await.unwrap().unwrap();
    // A later one fails half way: the earlier one is still whole.
    let before = Manifest::read(&site.saved()).unwrap();
    let undo = flip(&site.world.folder.path().join("tls/current.key.pem"), 200);
    site.take(true).await.unwrap_err();
    undo();
    let other = Site::new(None).await;
    let source = wiring::source(&other.config, &other.paths()).await.unwrap();
    let take = |to: PathBuf| {
        let source = &source;
        async move { backup::take(source, &to, true, &Clock::unmarked(), |_| {}).await.unwrap_err().to_string() }
    };
    let why = take(site.saved()).await;
    assert!(why.contains("holds a backup of deployment"), "{why}");
    let why = take(site.world.folder.path().to_path_buf()).await;
    assert!(why.contains("is neither empty nor a backup"), "{why}");
    assert_eq!(Manifest::read(&site.saved()).unwrap(), before);
    assert!(site.restore("whole", "sqlite://db").await.unwrap().0.report.is_sound());
    let nowhere = wiring::source(&site.config, &Paths(site.scratch.path().join("nowhere"))).await.unwrap_err().to_string();
    assert!(nowhere.contains("there is no deployment here"), "{nowhere}");
}
