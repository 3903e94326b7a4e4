//! Which logs a witness trusts: a TOML file, unknown keys refused.
//!
//! ```toml
//! [[log]]
//! origin = "example.org/audit"
//! key = "example.org/audit+6ab3c1d0+AU7k…"
//! ```
//!
//! An origin may stand there more than once, for a log that changes its key.

use std::path::{Path, PathBuf};
use std::{fs, io};

use serde::Deserialize;
use ticrypt_log::key::{KeyError, SignatureType};
use ticrypt_log::{VerifierKey, checkpoint};

/// Largest file read, in bytes.
const MAX_CONFIG_BYTES: u64 = 1 << 20;

/// A log and a key it may sign with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrustedLog {
    /// First line of its checkpoints.
    pub origin: String,
    /// Key of the log.
    pub key: VerifierKey,
}

/// The list of logs cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// It cannot be read.
    #[error("cannot read the list of logs {file}")]
    Read {
        /// The file.
        file: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// It is not TOML of this shape.
    #[error("list of logs {file} is malformed")]
    Malformed {
        /// The file.
        file: PathBuf,
        /// Why.
        #[source]
        source: Box<toml::de::Error>,
    },
    /// A key is not one of a log.
    #[error("key of log {origin} is not a verifier key of a log")]
    Key {
        /// The log.
        origin: String,
        /// Why.
        #[source]
        source: KeyError,
    },
    /// An origin cannot be one.
    #[error("origin {0:?} cannot be that of a log")]
    Origin(String),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    #[serde(default)]
    log: Vec<LogEntry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LogEntry {
    origin: String,
    key: String,
}

/// Reads the list of logs.
///
/// # Errors
/// [`ConfigError`].
pub fn read_logs(file: &Path) -> Result<Vec<TrustedLog>, ConfigError> {
    let failed = |source| ConfigError::Read { file: file.to_path_buf(), source };
    if fs::metadata(file).map_err(failed)?.len() > MAX_CONFIG_BYTES {
        return Err(failed(io::ErrorKind::FileTooLarge.into()));
    }
    let text = fs::read_to_string(file).map_err(failed)?;
    let config: Config =
        toml::from_str(&text).map_err(|source| ConfigError::Malformed { file: file.to_path_buf(), source: Box::new(source) })?;
    config.log.into_iter().map(trusted).collect()
}

fn trusted(entry: LogEntry) -> Result<TrustedLog, ConfigError> {
    let LogEntry { origin, key } = entry;
    if !checkpoint::valid_origin(&origin) {
        return Err(ConfigError::Origin(origin));
    }
    match VerifierKey::parse(&key) {
        Ok(key) if key.kind() == SignatureType::Ed25519 => Ok(TrustedLog { origin, key }),
        Ok(_) => Err(ConfigError::Key { origin, source: KeyError::Verifier }),
        Err(source) => Err(ConfigError::Key { origin, source }),
    }
}
