//! Puts the roles together, starts them and stops them again: the only place that asks which roles are on.
//!
//! ```text
//! start:  store ─▶ clock ─▶ identity ─▶ logs ─▶ unfinished rows ─▶ roles ─▶ listeners
//! stop:   listeners, streams ─▶ requests that run ─▶ file role ─▶ background ─▶ logs ─▶ store
//! ```

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use ticrypt_api::deployment::DeploymentFile;
use ticrypt_log::{Options as LogOptions, VerifierKey};
use ticrypt_store::{Options as StoreOptions, Store, StoreError};
use ticrypt_types::{Secret, Timestamp};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::audit::events::EventsFile;
use crate::audit::{AuditError, LogAudit, LogKeys, recovery, witness};
use crate::check::{LogPlace, Place};
use crate::clock::{self, Clock, ClockJump, Machine};
use crate::config::{Config, ConfigError};
use crate::deployment::{Deployment, DeploymentError};
use crate::health::{self, Health};
use crate::links::{LinkError, Vaults};
use crate::losses::Losses;
use crate::metrics::Metrics;
use crate::presence::Presence;
use crate::rest::{Parts, Rest, route};
use crate::tls::{Identity, TlsError};
use crate::{backup, deployment, links, listener, tls};

/// How often leases are looked at; a stream outlives its session by no more than this and the grace of a cut.
const LEASE: Duration = Duration::from_millis(250);
/// How long a share past its time may keep its node open; nobody is let in by it.
const EXPIRE: Duration = Duration::from_secs(1);
/// How often it is looked what ends soon, in the server's time: people are reminded days before, and it is a walk over all of it.
const REMIND_MS: u64 = 3_600_000;
const KEEP_CLOCK: Duration = Duration::from_secs(10);
const KEEP_MARK: Duration = Duration::from_secs(10);
/// How often the index over the audit log follows it without being asked.
const FOLLOW_LOG: Duration = Duration::from_secs(5);

/// Why the backend does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error("the data directory cannot be made")]
    Data(#[source] TlsError),
    #[error("the database cannot be used")]
    Store(#[from] StoreError),
    #[error("the environment variable {0} that should hold the address of the database is not set")]
    StoreAddress(String),
    #[error("the deployment has no identity")]
    Deployment(#[from] DeploymentError),
    #[error("the tls identity cannot be used")]
    Tls(#[from] TlsError),
    #[error("the logs cannot be used")]
    Audit(#[from] AuditError),
    #[error("the vault's roles cannot start")]
    Links(#[from] LinkError),
    #[error("cannot listen on {0}; is another one running?")]
    Listen(SocketAddr, #[source] std::io::Error),
    #[error("a restore into this data directory did not finish ({0} is there); empty the directory and the database, then restore again")]
    Unrestored(PathBuf),
    #[error("there is no deployment here; check --data and --config")]
    NoDeployment,
    #[error(transparent)]
    Clock(#[from] ClockJump),
    #[error("a task ended early")]
    Task,
}

/// What a start is given beside its configuration.
#[derive(Clone, Debug)]
pub struct Surroundings {
    pub machine: Arc<dyn Machine>,
    /// The operator says that the machine's clock is right, however far it has gone on.
    pub accept_clock: bool,
}

impl Default for Surroundings {
    fn default() -> Self {
        Self { machine: Arc::new(clock::System::default()), accept_clock: false }
    }
}

/// Where things are, under one data directory.
#[derive(Clone, Debug)]
pub struct Paths(pub PathBuf);

impl Paths {
    pub fn tls(&self) -> PathBuf {
        self.0.join("tls")
    }

    pub fn keys(&self) -> PathBuf {
        self.0.join("keys")
    }

    pub fn log(&self) -> PathBuf {
        self.0.join("log")
    }

    /// A path of the configuration: as it is if absolute, else under the data directory.
    pub fn resolve(&self, path: &Path) -> PathBuf {
        self.0.join(path)
    }
}

/// The address of the database, its path made absolute and its directory made.
pub fn store_url(config: &Config, paths: &Paths) -> Result<String, StartError> {
    let url = match &config.store.url_env {
        Some(name) => std::env::var(name).map_err(|_| StartError::StoreAddress(name.clone()))?,
        None => config.store.url.clone(),
    };
    let Some(path) = url.strip_prefix("sqlite://") else { return Ok(url) };
    let path = paths.resolve(Path::new(path));
    if let Some(parent) = path.parent() {
        tls::make_directory(parent).map_err(StartError::Data)?;
    }
    Ok(format!("sqlite://{}", path.display()))
}

/// Opens the store; a new database gets its schema, an older one waits for `migrate`.
pub async fn open_store(config: &Config, paths: &Paths) -> Result<Store, StartError> {
    tls::make_directory(&paths.0).map_err(StartError::Data)?;
    let unfinished = paths.0.join(backup::UNFINISHED);
    if unfinished.exists() {
        return Err(StartError::Unrestored(unfinished));
    }
    let store = Store::connect(&store_url(config, paths)?, &StoreOptions::default()).await?;
    if store.schema_version().await? == 0 {
        store.migrate().await?;
    }
    store.check_schema().await?;
    Ok(store)
}

/// The deployment file as it is now, for `run` and for the verb `deployment`.
pub async fn describe(
    config: &Config,
    paths: &Paths,
    store: &Store,
    listening: SocketAddr,
) -> Result<(Deployment, DeploymentFile, Identity, LogKeys), StartError> {
    let deployment = Deployment::load_or_make(store).await?;
    let logs = LogKeys::load_or_make(&paths.keys(), deployment.id)?;
    let identity = Identity::load_or_make(&paths.tls(), config.server.tls.as_ref(), "ticrypt")?;
    let file = deployment.file(config, config.urls(listening), &identity, &logs);
    Ok((deployment, file, identity, logs))
}

/// What the operator's verbs look at.
pub async fn place(config: &Config, paths: &Paths) -> Result<Place, StartError> {
    let store = open_store(config, paths).await?;
    let deployment = Deployment::load_or_make(&store).await?;
    let keys = LogKeys::load_or_make(&paths.keys(), deployment.id)?;
    let LogOptions { witnesses, quorum, .. } = log_options(config);
    let log = |name: &'static str, key: &VerifierKey| LogPlace {
        name,
        directory: paths.log().join(name),
        key: key.clone(),
        witnesses: witnesses.clone(),
        quorum,
    };
    let logs = vec![log("audit", keys.audit.verifier()), log("keys", keys.keys.verifier())];
    let chunks = links::chunk_store(config, paths)?;
    Ok(Place { store, chunks, logs })
}

/// What `backup` takes along; unlike the other verbs it makes no deployment where there is none.
pub async fn source(config: &Config, paths: &Paths) -> Result<backup::Source, StartError> {
    let url = store_url(config, paths)?;
    if url.strip_prefix("sqlite://").is_some_and(|file| !Path::new(file).exists()) {
        return Err(StartError::NoDeployment);
    }
    let store = open_store(config, paths).await?;
    let deployment = crate::deployment::stored_id(&store).await?;
    store.close().await?;
    let deployment = deployment.ok_or(StartError::NoDeployment)?;
    let place = place(config, paths).await?;
    let signers = LogKeys::load_or_make(&paths.keys(), deployment)?;
    let (log_options, has_tls) = (log_options(config), config.server.tls.is_none());
    Ok(backup::Source { deployment, place, paths: paths.clone(), signers, log_options, has_tls })
}

/// The settings of the logs.
pub fn log_options(config: &Config) -> LogOptions {
    LogOptions {
        checkpoint_interval: Duration::from_millis(config.log.checkpoint_interval_ms),
        witnesses: config.log.witnesses.iter().filter_map(|witness| VerifierKey::parse(&witness.key).ok()).collect(),
        quorum: config.log.quorum,
        ..LogOptions::default()
    }
}

/// A backend that runs.
#[derive(Debug)]
pub struct Running {
    pub address: SocketAddr,
    pub health_address: Option<SocketAddr>,
    pub file: DeploymentFile,
    pub file_path: PathBuf,
    pub fingerprint: String,
    /// The one-time code; only at first start.
    pub code: Option<Secret<String>>,
    /// For tests that look inside.
    pub clock: Clock,
    pub presence: Arc<Presence>,
    pub audit: Arc<LogAudit>,
    pub store: Store,
    losses: Arc<Losses>,
    rest: Arc<Rest>,
    vaults: Vaults,
    paths: Paths,
    stop_serving: CancellationToken,
    stop_background: CancellationToken,
    serving: TaskTracker,
    background: TaskTracker,
}

/// Starts every role.
pub async fn start(config: Config, data: &Path) -> Result<Running, StartError> {
    start_in(config, data, Surroundings::default()).await
}

/// The same, on a machine that may be another than this one.
pub async fn start_in(config: Config, data: &Path, surroundings: Surroundings) -> Result<Running, StartError> {
    config.check()?;
    config.roles.check()?;
    let (config, paths) = (Arc::new(config), Paths(data.to_path_buf()));
    let store = open_store(&config, &paths).await?;
    // Before anything is written under a time that cannot be right.
    let clock = start_clock(&store, &config, surroundings).await?;
    let tcp = TcpListener::bind(config.server.listen).await.map_err(|e| StartError::Listen(config.server.listen, e))?;
    let address = tcp.local_addr().map_err(|e| StartError::Listen(config.server.listen, e))?;
    let (deployment, file, identity, signers) = describe(&config, &paths, &store, address).await?;
    let (file_path, fingerprint) = deployment::write_file(&paths.0, &file)?;

    let background = TaskTracker::new();
    let stop_background = CancellationToken::new();
    let events = match &config.log.events_file {
        Some(path) => {
            let (events, task) = EventsFile::open(&paths.resolve(path)).await?;
            background.spawn(async move { task.await.unwrap_or_default() });
            Some(events)
        }
        None => None,
    };
    let (log_path, options, indexed) = (paths.log(), log_options(&config), store.clone());
    let opened = tokio::task::spawn_blocking(move || LogAudit::open(&log_path, &signers, options, events, indexed));
    let audit = Arc::new(opened.await.map_err(|_| StartError::Task)??);
    complete_rows(&audit, &store, &paths, &clock).await?;
    let interrupted = store.interrupt_bulks().await?;
    if interrupted > 0 {
        tracing::info!(count = interrupted, "bulk actions were under way when the server ended; whoever started them resumes them");
    }

    let presence = Arc::new(Presence::default());
    let metrics = Metrics::new();
    let losses = Arc::new(Losses::default());
    let epochs = Arc::clone(&presence) as _;
    let vaults = Vaults::start(&config, &paths, deployment.id, &store, crate::audit::link(&audit), epochs, Arc::clone(&losses)).await?;
    let rest = Arc::new(Rest::new(Parts {
        config: Arc::clone(&config),
        deployment: file.clone(),
        store: store.clone(),
        audit: crate::audit::link(&audit),
        vault: vaults.vault(),
        chunks: vaults.chunks(),
        presence: Arc::clone(&presence),
        losses: Arc::clone(&losses),
        clock: clock.clone(),
        metrics: Arc::clone(&metrics),
    }));

    let (serving, stop_serving) = (TaskTracker::new(), CancellationToken::new());
    let acceptor = TlsAcceptor::from(identity.server_config()?);
    let router = route::router(Arc::clone(&rest));
    serving.spawn(listener::serve(tcp, acceptor, router, config.server.clone(), stop_serving.clone()));
    let health_address = if config.health.enabled {
        let listening = config.health.listen;
        let tcp = TcpListener::bind(listening).await.map_err(|e| StartError::Listen(listening, e))?;
        let address = tcp.local_addr().map_err(|e| StartError::Listen(listening, e))?;
        let health = Health { store: store.clone(), audit: Arc::clone(&audit), presence: Arc::clone(&presence), metrics };
        background.spawn(health::serve(tcp, health, stop_background.clone()));
        Some(address)
    } else {
        None
    };
    let running = Running {
        losses,
        address,
        health_address,
        file,
        file_path,
        fingerprint,
        code: deployment.code,
        clock,
        presence,
        audit,
        store,
        rest,
        vaults,
        paths,
        stop_serving,
        stop_background,
        serving,
        background,
    };
    running.start_background(&config);
    Ok(running)
}

/// A clock that goes on from the highest time kept, which it raises at once.
pub async fn start_clock(store: &Store, config: &Config, surroundings: Surroundings) -> Result<Clock, StartError> {
    let Surroundings { machine, accept_clock } = surroundings;
    let clock = Clock::start(machine, store.clock_mark().await?, config.clock.max_jump_ms, accept_clock)?;
    clock.raise(store.advance_clock(clock.now()).await?);
    Ok(clock)
}

/// Closes what a crash left open. An account tells whether its registration was carried out; of the rest nothing is claimed.
async fn complete_rows(audit: &Arc<LogAudit>, store: &Store, paths: &Paths, clock: &Clock) -> Result<(), StartError> {
    let (log, directory) = (Arc::clone(audit), paths.log());
    let found = tokio::task::spawn_blocking(move || recovery::find(&log, &directory)).await.map_err(|_| StartError::Task)??;
    clock.raise(found.latest);
    for unfinished in &found.unfinished {
        let mut outcome = None;
        if unfinished.row.operation == ticrypt_types::Operation::UserRegister.name()
            && let Some(Ok(user)) = unfinished.row.subjects.first().map(|id| ticrypt_types::UserId::try_from(&id[..]))
        {
            outcome = Some(if store.user(user).await?.is_some() { "done" } else { "failed:interrupted" });
        }
        recovery::complete(audit, unfinished, outcome, clock.now()).await?;
    }
    if !found.unfinished.is_empty() {
        tracing::warn!(rows = found.unfinished.len(), "work was interrupted by the last stop; its rows are completed");
    }
    Ok(())
}

impl Running {
    fn start_background(&self, config: &Arc<Config>) {
        let every = |period: Duration| {
            let mut interval = tokio::time::interval(period);
            interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
            interval
        };
        let stop = self.stop_background.clone();
        let (presence, clock, idle_ms) = (Arc::clone(&self.presence), self.clock.clone(), config.session.idle_ms);
        let mut lease = every(LEASE);
        self.background.spawn(async move {
            while stop.run_until_cancelled(lease.tick()).await.is_some() {
                presence.prune(clock.now(), idle_ms);
            }
        });
        let (stop, store, clock) = (self.stop_background.clone(), self.store.clone(), self.clock.clone());
        let mut keep = every(KEEP_CLOCK);
        self.background.spawn(async move {
            while stop.run_until_cancelled(keep.tick()).await.is_some() {
                match store.advance_clock(clock.now()).await {
                    Ok(highest) => clock.raise(highest),
                    Err(error) => tracing::warn!(error = &error as &dyn std::error::Error, "the clock cannot be kept"),
                }
            }
        });
        let (stop, vaults, clock) = (self.stop_background.clone(), self.vaults.clone(), self.clock.clone());
        let (losses, store, rest) = (Arc::clone(&self.losses), self.store.clone(), Arc::clone(&self.rest));
        let mut expire = every(EXPIRE);
        self.background.spawn(async move {
            let (mut looked, mut reminded) = (clock.now(), Timestamp::ABSENT);
            while stop.run_until_cancelled(expire.tick()).await.is_some() {
                let now = clock.now();
                match store.people_losing(looked, now).await {
                    Ok(people) => {
                        losses.record(people);
                        looked = now;
                    }
                    Err(error) => tracing::warn!(error = &error as &dyn std::error::Error, "who lost a project by the clock is not known"),
                }
                if let Err(error) = vaults.expire_grants(clock.now()).await {
                    tracing::warn!(code = error.code, "shares past their time were not ended");
                }
                if now.millis_since(reminded) >= REMIND_MS {
                    match rest.remind(now).await {
                        Ok(_) => reminded = now,
                        Err(error) => tracing::warn!(code = error.code, "people were not reminded of what ends soon"),
                    }
                }
            }
        });
        let (stop, audit, directory) = (self.stop_background.clone(), Arc::clone(&self.audit), self.paths.log());
        let mut keep = every(KEEP_MARK);
        self.background.spawn(async move {
            while stop.run_until_cancelled(keep.tick()).await.is_some() {
                keep_mark(&audit, &directory).await;
            }
        });
        let (stop, audit) = (self.stop_background.clone(), Arc::clone(&self.audit));
        let mut follow = every(FOLLOW_LOG);
        self.background.spawn(async move {
            while stop.run_until_cancelled(follow.tick()).await.is_some() {
                if let Err(error) = audit.follow().await {
                    tracing::warn!(error = &error as &dyn std::error::Error, "the index of the audit log does not follow");
                }
            }
        });
        for log in [self.audit.audit_log(), self.audit.key_log()] {
            for witness in &config.log.witnesses {
                let interval = Duration::from_millis(config.log.witness_interval_ms);
                self.background.spawn(witness::run(log.clone(), witness.clone(), interval, self.stop_background.clone()));
            }
        }
    }

    /// Stops in order: nothing new comes in, what runs is finished, then the roles, the logs and the store.
    pub async fn stop(self) -> Result<(), StartError> {
        self.stop_serving.cancel();
        self.rest.end_streams();
        self.serving.close();
        self.serving.wait().await;
        self.rest.shutdown().await;
        self.vaults.shutdown().await;
        self.stop_background.cancel();
        let logs = self.audit.shutdown().await;
        keep_mark(&self.audit, &self.paths.log()).await;
        let store = self.store.clone();
        // Whatever was given out since it was last kept.
        if let Err(error) = store.advance_clock(self.clock.now()).await {
            tracing::warn!(error = &error as &dyn std::error::Error, "the clock cannot be kept");
        }
        // The events file ends with the role that feeds it.
        drop((self.rest, self.vaults, self.audit));
        self.background.close();
        self.background.wait().await;
        store.close().await?;
        Ok(logs?)
    }
}

async fn keep_mark(audit: &Arc<LogAudit>, directory: &Path) {
    let (audit, directory) = (Arc::clone(audit), directory.to_path_buf());
    let kept = tokio::task::spawn_blocking(move || recovery::keep_mark(&audit, &directory)).await;
    if !matches!(kept, Ok(Ok(()))) {
        tracing::warn!("the mark of settled rows cannot be written; the next start takes longer");
    }
}
