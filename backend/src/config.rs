//! The configuration file: one struct per concern, unknown keys refused, checked as a whole before anything starts.
//!
//! ```text
//! backend.toml ──parse──▶ Config ──check──▶ every fault at once, or a Config that can run
//! ```
//!
//! Everything has a default that is safe on one machine; only what opens the server to others (the listen address, open
//! registration) must be written down. Paths are relative to the data directory.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use serde::Deserialize;

/// Where the file is looked for when `--config` is not given.
pub const DEFAULT_PATH: &str = "/etc/ticrypt/backend.toml";
/// Where data is kept when `--data` is not given.
pub const DEFAULT_DATA: &str = "/var/lib/ticrypt";

/// Why a configuration cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    #[error("cannot read the configuration {path}; check the path and its permissions")]
    Read {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error("the configuration {path} is not understood; correct the line named")]
    Parse {
        path: PathBuf,
        #[source]
        source: Box<toml::de::Error>,
    },
    #[error("the configuration cannot be used: {}", .0.join("; "))]
    Faults(Vec<String>),
}

/// The whole file.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    pub server: Server,
    pub registration: Registration,
    pub store: Store,
    pub chunks: Chunks,
    pub log: Log,
    pub session: Session,
    pub clock: Clock,
    pub limits: Limits,
    pub events: Events,
    pub health: Health,
    pub roles: Roles,
}

/// Where clients find the server, and its TLS.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Server {
    pub listen: SocketAddr,
    /// What clients are told in the deployment file; `https://` and the listen address if empty.
    pub urls: Vec<String>,
    pub display_name: String,
    /// Brought along instead of made at first start: PEM files of a P-256 certificate and key.
    pub tls: Option<TlsFiles>,
    pub max_connections: usize,
    pub handshake_timeout_ms: u64,
    /// For the head of a request, and for a connection that does nothing.
    pub idle_timeout_ms: u64,
    /// How long a body may stand still.
    pub body_stall_timeout_ms: u64,
    /// How long a stop waits for requests that run.
    pub shutdown_timeout_ms: u64,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TlsFiles {
    pub certificate: PathBuf,
    pub key: PathBuf,
    /// The key kept ready, whose pin stands second in the deployment file.
    pub next_key: PathBuf,
}

/// Who may make an account. An account can do nothing until an administrator activates it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RegistrationMode {
    /// Anyone who reaches the server.
    Open,
    /// Whoever has the deployment file with its token.
    #[default]
    Token,
    /// Only by the one-time code of the first start.
    Closed,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Registration {
    pub mode: RegistrationMode,
}

/// Metadata: `sqlite://path` or `postgres://…`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Store {
    pub url: String,
    /// The name of an environment variable that holds the URL, so that a password is in no file.
    pub url_env: Option<String>,
}

/// Where chunks are.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, tag = "kind", rename_all = "lowercase")]
pub enum Chunks {
    Local {
        #[serde(default = "default_chunks_path")]
        path: PathBuf,
    },
    S3 {
        endpoint: String,
        region: String,
        bucket: String,
        /// Files with one line each.
        access_key_file: PathBuf,
        secret_key_file: PathBuf,
        /// Plain HTTP is refused unless this is said, because keys of the bucket would travel in the open.
        #[serde(default)]
        allow_http: bool,
    },
}

/// The two logs, their witnesses, and copies of events for a SIEM.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Log {
    pub checkpoint_interval_ms: u64,
    pub witnesses: Vec<Witness>,
    /// Witnesses that must have countersigned; at most as many as there are.
    pub quorum: usize,
    /// How often witnesses are asked.
    pub witness_interval_ms: u64,
    /// Events as JSON lines, appended.
    pub events_file: Option<PathBuf>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Witness {
    /// `http://host:port/prefix`; a checkpoint is public and signed, so plain HTTP is enough.
    pub url: String,
    /// Its verifier key, as C2SP signed-note writes it.
    pub key: String,
}

/// How long a login holds.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Session {
    pub absolute_ms: u64,
    pub idle_ms: u64,
}

/// How far the machine's clock is believed.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Clock {
    /// A longer way ahead at once, at start since the last time that was kept, needs the operator's `--accept-clock`.
    pub max_jump_ms: u64,
}

/// Token buckets: so many a second, and so many at once.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Requests without a bound session, by address.
    pub address_per_second: u32,
    pub address_burst: u32,
    pub person_per_second: u32,
    pub person_burst: u32,
}

/// Streams of events.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Events {
    /// How often something is sent when there is nothing to say.
    pub heartbeat_ms: u64,
    /// Streams one session may have open.
    pub streams_per_session: usize,
}

/// Liveness, readiness and metrics, apart from the service.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Health {
    pub enabled: bool,
    pub listen: SocketAddr,
}

/// The parts of the backend. All run in one process today.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    Rest,
    File,
    Storage,
    Audit,
}

impl Role {
    pub const ALL: [Self; 4] = [Self::Rest, Self::File, Self::Storage, Self::Audit];
}

#[derive(Clone, Debug, Deserialize)]
#[serde(transparent)]
pub struct Roles(pub Vec<Role>);

impl Default for Roles {
    fn default() -> Self {
        Self(Role::ALL.to_vec())
    }
}

impl Roles {
    /// Only all roles in one process exist until roles can be split over machines.
    pub fn check(&self) -> Result<(), ConfigError> {
        let missing: Vec<String> =
            Role::ALL.iter().filter(|role| !self.0.contains(role)).map(|role| format!("{role:?}").to_lowercase()).collect();
        if missing.is_empty() {
            return Ok(());
        }
        Err(ConfigError::Faults(vec![format!(
            "roles without {} cannot run alone: roles meet inside one process, links between machines do not exist yet; \
             leave roles out, or name all of rest, file, storage, audit",
            missing.join(", ")
        )]))
    }
}

fn default_chunks_path() -> PathBuf {
    PathBuf::from("chunks")
}

impl Default for Server {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 8443)),
            urls: Vec::new(),
            display_name: "ticrypt".to_owned(),
            tls: None,
            max_connections: 4_096,
            handshake_timeout_ms: 10_000,
            idle_timeout_ms: 120_000,
            body_stall_timeout_ms: 30_000,
            shutdown_timeout_ms: 10_000,
        }
    }
}

impl Default for Store {
    fn default() -> Self {
        Self { url: "sqlite://db/ticrypt.db".to_owned(), url_env: None }
    }
}

impl Default for Chunks {
    fn default() -> Self {
        Self::Local { path: default_chunks_path() }
    }
}

impl Default for Log {
    fn default() -> Self {
        Self { checkpoint_interval_ms: 1_000, witnesses: Vec::new(), quorum: 0, witness_interval_ms: 1_000, events_file: None }
    }
}

impl Default for Session {
    fn default() -> Self {
        Self { absolute_ms: 12 * 3_600_000, idle_ms: 3_600_000 }
    }
}

impl Default for Clock {
    fn default() -> Self {
        Self { max_jump_ms: 86_400_000 }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self { address_per_second: 100, address_burst: 500, person_per_second: 500, person_burst: 2_000 }
    }
}

impl Default for Events {
    fn default() -> Self {
        Self { heartbeat_ms: 15_000, streams_per_session: 16 }
    }
}

impl Default for Health {
    fn default() -> Self {
        Self { enabled: true, listen: SocketAddr::from(([127, 0, 0, 1], 8480)) }
    }
}

impl Config {
    /// Reads `path`, or the default file if it is there, or takes the defaults; then checks all of it.
    pub fn load(path: Option<&Path>) -> Result<Self, ConfigError> {
        let path = match path {
            Some(path) => path.to_path_buf(),
            None if Path::new(DEFAULT_PATH).exists() => PathBuf::from(DEFAULT_PATH),
            None => return Ok(Self::default()),
        };
        let text = std::fs::read_to_string(&path).map_err(|source| ConfigError::Read { path: path.clone(), source })?;
        let config: Self = toml::from_str(&text).map_err(|source| ConfigError::Parse { path, source: Box::new(source) })?;
        config.check()?;
        Ok(config)
    }

    /// Every fault, so that one run of `check-config` is enough.
    pub fn check(&self) -> Result<(), ConfigError> {
        let mut faults = Vec::new();
        let mut fault = |bad: bool, text: &str| {
            if bad {
                faults.push(text.to_owned());
            }
        };
        let https = |url: &String| url.starts_with("https://") && url.len() > "https://".len() && !url.ends_with('/');
        fault(!self.server.urls.iter().all(https), "server.urls are https://host:port without a slash at the end");
        fault(self.server.display_name.is_empty() || self.server.display_name.len() > 200, "server.display_name has 1 to 200 bytes");
        fault(self.server.max_connections == 0, "server.max_connections is at least 1");
        let times = [
            self.server.handshake_timeout_ms,
            self.server.idle_timeout_ms,
            self.server.body_stall_timeout_ms,
            self.log.checkpoint_interval_ms,
            self.log.witness_interval_ms,
            self.events.heartbeat_ms,
        ];
        fault(times.iter().any(|ms| !(1..=86_400_000).contains(ms)), "times are between 1 ms and a day");
        let sessions = self.session;
        fault(
            sessions.idle_ms == 0 || sessions.absolute_ms < sessions.idle_ms,
            "session.idle_ms is above 0 and at most session.absolute_ms",
        );
        fault(self.clock.max_jump_ms < 60_000, "clock.max_jump_ms is at least a minute");
        let limits = self.limits;
        let rates = [limits.address_per_second, limits.address_burst, limits.person_per_second, limits.person_burst];
        fault(rates.contains(&0), "limits are at least 1");
        fault(self.events.streams_per_session == 0, "events.streams_per_session is at least 1");
        fault(
            self.store.url_env.is_none() && !self.store.url.starts_with("sqlite://") && !self.store.url.starts_with("postgres://"),
            "store.url begins with sqlite:// or postgres://",
        );
        if let Chunks::S3 { endpoint, allow_http, .. } = &self.chunks {
            fault(!endpoint.starts_with("https://") && !allow_http, "chunks.endpoint is https://, or chunks.allow_http says otherwise");
        }
        fault(self.log.quorum > self.log.witnesses.len(), "log.quorum is at most the number of witnesses");
        for witness in &self.log.witnesses {
            fault(!witness.url.starts_with("http://"), "log.witnesses.url begins with http://");
            fault(ticrypt_log::VerifierKey::parse(&witness.key).is_err(), "log.witnesses.key is a verifier key (name+hash+base64)");
        }
        if let Err(ConfigError::Faults(roles)) = self.roles.check() {
            faults.extend(roles);
        }
        if faults.is_empty() { Ok(()) } else { Err(ConfigError::Faults(faults)) }
    }

    /// What clients are told.
    pub fn urls(&self, listening: SocketAddr) -> Vec<String> {
        if self.server.urls.is_empty() { vec![format!("https://{listening}")] } else { self.server.urls.clone() }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn parse(text: &str) -> Result<Config, String> {
        let config: Config = toml::from_str(text).map_err(|e| e.to_string())?;
        config.check().map_err(|e| e.to_string())?;
        Ok(config)
    }

    #[test]
    fn an_empty_file_is_the_default_and_needs_a_token_to_register() {
        let config = parse("").unwrap();
        assert_eq!(config.registration.mode, RegistrationMode::Token);
        assert!(config.server.listen.ip().is_loopback() && config.health.listen.ip().is_loopback());
        assert_eq!(config.roles.0, Role::ALL);
    }

    #[test]
    fn unknown_keys_and_bad_values_are_refused() {
        for (text, part) in [
            ("[server]\nlistne = \"127.0.0.1:1\"", "listne"),
            ("[nonsense]", "nonsense"),
            ("[registration]\nmode = \"maybe\"", "maybe"),
            ("[server]\nurls = [\"http://x\"]", "server.urls"),
            ("[session]\nidle_ms = 0", "session.idle_ms"),
            ("[clock]\nmax_jump_ms = 59999", "clock.max_jump_ms"),
            ("[log]\nquorum = 1", "log.quorum"),
            ("[store]\nurl = \"mysql://x\"", "store.url"),
            ("[limits]\nperson_burst = 0", "limits"),
            ("[events]\nstreams_per_session = 0", "events.streams_per_session"),
            ("[events]\nheartbeat_ms = 0", "times"),
            (
                "[chunks]\nkind = \"s3\"\nendpoint = \"http://a\"\nregion = \"r\"\nbucket = \"b\"\naccess_key_file = \"a\"\nsecret_key_file = \"s\"",
                "allow_http",
            ),
            ("roles = [\"rest\"]", "file, storage, audit"),
        ] {
            let why = parse(text).unwrap_err();
            assert!(why.contains(part), "{text}: {why}");
        }
    }

    #[test]
    fn the_example_shows_the_defaults() {
        let example = parse(include_str!("../backend.example.toml")).unwrap();
        assert_eq!(format!("{example:?}"), format!("{:?}", Config::default()));
    }

    #[test]
    fn all_faults_at_once() {
        let why = parse("[session]\nidle_ms = 0\n[limits]\nperson_burst = 0").unwrap_err();
        assert!(why.contains("session.idle_ms") && why.contains("limits are"), "{why}");
    }
}
