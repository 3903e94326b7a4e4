//! What a backup says of itself. Its presence says that everything it names is there and durable.

use std::path::{Path, PathBuf};

use aws_lc_rs::digest;
use data_encoding::HEXLOWER;
use serde::{Deserialize, Serialize};
use ticrypt_log::SignedCheckpoint;
use ticrypt_log::checkpoint::CheckpointError;
use ticrypt_log::copy::Published;
use ticrypt_types::{DeploymentId, Timestamp};

use crate::tls::{TlsError, write_private};

pub const FILE_NAME: &str = "manifest.json";
const FORMAT: u32 = 1;
/// Key files are few and small; a manifest longer than this is none.
const MAX_BYTES: u64 = 1 << 20;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    pub format: u32,
    pub program: String,
    pub deployment: String,
    /// The moment of the database: what was acknowledged before is in the backup.
    pub taken: String,
    pub taken_ms: Timestamp,
    pub schema: u32,
    /// The directory with the database and the keys.
    pub set: String,
    pub database: FileRecord,
    /// `None` if chunks were left out.
    pub chunks: Option<ChunkCount>,
    pub logs: Vec<LogRecord>,
    /// Below this index every row of the audit log has its closing row.
    pub settled: Option<u64>,
    pub keys: Vec<FileRecord>,
}

/// A file of the set.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileRecord {
    pub path: String,
    pub bytes: u64,
    pub sha256: String,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChunkCount {
    pub count: u64,
    pub bytes: u64,
}

/// A log, or one that was never opened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LogRecord {
    pub name: String,
    pub entries: u64,
    /// The signed checkpoint over exactly these entries.
    pub checkpoint: Option<String>,
    pub witnessed: Option<String>,
}

/// Why a manifest cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ManifestError {
    #[error("{0} has no manifest: it is no backup, or the backup was interrupted; run `ticrypt-backend backup` again, or use another")]
    Missing(PathBuf),
    #[error("the manifest {0} cannot be read")]
    Read(PathBuf, #[source] std::io::Error),
    #[error("the manifest {0} is damaged; use another backup")]
    Parse(PathBuf, #[source] serde_json::Error),
    #[error("the backup is of format {0}, this program knows up to {FORMAT}; use the newer program")]
    Newer(u64),
    #[error("the manifest {0} is damaged: {1}; use another backup")]
    Invalid(PathBuf, &'static str),
    #[error("the manifest cannot be encoded")]
    Encode(#[source] serde_json::Error),
    #[error("the manifest cannot be written")]
    Write(#[source] TlsError),
}

#[derive(Deserialize)]
struct Format {
    format: u64,
}

impl Manifest {
    pub fn new(deployment: DeploymentId, taken: Timestamp, schema: u32, set: String, database: FileRecord) -> Self {
        Self {
            format: FORMAT,
            program: env!("CARGO_PKG_VERSION").to_owned(),
            deployment: deployment.to_string(),
            taken: taken.to_string(),
            taken_ms: taken,
            schema,
            set,
            database,
            chunks: None,
            logs: Vec::new(),
            settled: None,
            keys: Vec::new(),
        }
    }

    /// The manifest of a backup.
    pub fn read(directory: &Path) -> Result<Self, ManifestError> {
        let path = directory.join(FILE_NAME);
        let read = || -> std::io::Result<Vec<u8>> {
            if std::fs::metadata(&path)?.len() > MAX_BYTES {
                return Err(std::io::ErrorKind::FileTooLarge.into());
            }
            std::fs::read(&path)
        };
        let bytes = read().map_err(|source| match source.kind() {
            std::io::ErrorKind::NotFound => ManifestError::Missing(directory.to_path_buf()),
            _ => ManifestError::Read(path.clone(), source),
        })?;
        // Of a later format only the number can be expected to be where it is.
        let Format { format } = serde_json::from_slice(&bytes).map_err(|source| ManifestError::Parse(path.clone(), source))?;
        if format > u64::from(FORMAT) {
            return Err(ManifestError::Newer(format));
        }
        let manifest: Self = serde_json::from_slice(&bytes).map_err(|source| ManifestError::Parse(path.clone(), source))?;
        match manifest.fault() {
            Some(fault) => Err(ManifestError::Invalid(path, fault)),
            None => Ok(manifest),
        }
    }

    /// Puts the manifest in place of an earlier one, so that either is there.
    pub fn write(&self, directory: &Path) -> Result<(), ManifestError> {
        let mut bytes = serde_json::to_vec_pretty(self).map_err(ManifestError::Encode)?;
        bytes.push(b'\n');
        write_private(&directory.join(FILE_NAME), &bytes).map_err(ManifestError::Write)
    }

    /// Paths must stay inside the set, whoever wrote the manifest.
    fn fault(&self) -> Option<&'static str> {
        let plain = |name: &str| {
            !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b)) && !name.starts_with('.')
        };
        let key = |file: &FileRecord| matches!(file.path.split_once('/'), Some(("keys" | "tls", name)) if plain(name));
        if self.format == 0 {
            return Some("there is no format 0");
        }
        if !plain(&self.set) || !plain(&self.database.path) || !self.keys.iter().all(key) {
            return Some("it names a file outside the backup");
        }
        if !self.logs.iter().all(|log| matches!(log.name.as_str(), "audit" | "keys")) {
            return Some("it names a log that does not exist");
        }
        None
    }
}

impl LogRecord {
    pub fn new(name: &str, state: Option<&Published>) -> Self {
        let text = |signed: &SignedCheckpoint| signed.note().to_string();
        Self {
            name: name.to_owned(),
            entries: state.map_or(0, |state| state.checkpoint.checkpoint().size),
            checkpoint: state.map(|state| text(&state.checkpoint)),
            witnessed: state.and_then(|state| state.witnessed.as_ref()).map(text),
        }
    }

    /// The state recorded; nothing is verified.
    pub fn state(&self) -> Result<Option<Published>, CheckpointError> {
        let parse = |text: &String| SignedCheckpoint::parse(text.as_bytes());
        let Some(checkpoint) = self.checkpoint.as_ref().map(parse).transpose()? else { return Ok(None) };
        Ok(Some(Published { checkpoint, witnessed: self.witnessed.as_ref().map(parse).transpose()? }))
    }
}

impl FileRecord {
    pub fn of(path: &str, bytes: &[u8]) -> Self {
        let sha256 = HEXLOWER.encode(digest::digest(&digest::SHA256, bytes).as_ref());
        Self { path: path.to_owned(), bytes: bytes.len() as u64, sha256 }
    }

    /// Hashes a file that may be large. Blocks.
    pub fn of_file(path: &str, file: &Path) -> std::io::Result<Self> {
        let (mut file, mut context, mut bytes) = (std::fs::File::open(file)?, digest::Context::new(&digest::SHA256), 0);
        let mut buffer = vec![0; 1 << 20];
        loop {
            let read = std::io::Read::read(&mut file, &mut buffer)?;
            if read == 0 {
                break;
            }
            context.update(buffer.get(..read).unwrap_or_default());
            bytes += read as u64;
        }
        Ok(Self { path: path.to_owned(), bytes, sha256: HEXLOWER.encode(context.finish().as_ref()) })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn manifest() -> Manifest {
        let deployment = DeploymentId::from_random([7; 16]);
        let mut manifest = Manifest::new(deployment, Timestamp::from_millis(1), 3, "set-1".into(), FileRecord::of("database.sqlite", b"x"));
        manifest.keys.push(FileRecord::of("tls/current.key.pem", b"key"));
        manifest
    }

    #[test]
    fn only_what_this_program_wrote_is_read() {
        let dir = tempfile::tempdir().unwrap();
        assert!(Manifest::read(dir.path()).unwrap_err().to_string().contains("interrupted"));
        manifest().write(dir.path()).unwrap();
        assert_eq!(Manifest::read(dir.path()).unwrap(), manifest());
        let told = |change: &dyn Fn(&mut Manifest)| {
            let mut changed = manifest();
            change(&mut changed);
            changed.write(dir.path()).unwrap();
            Manifest::read(dir.path()).unwrap_err().to_string()
        };
        assert!(told(&|m| m.format = 2).contains("newer program"));
        assert!(told(&|m| m.set = "../elsewhere".into()).contains("outside"));
        assert!(told(&|m| m.set = "..".into()).contains("outside"));
        assert!(told(&|m| m.database.path = "/etc/passwd".into()).contains("outside"));
        for path in ["tls/../x", "other/x", "keys/", "keys/a/b"] {
            assert!(told(&|m| m.keys.push(FileRecord::of(path, b""))).contains("outside"), "{path}");
        }
        std::fs::write(dir.path().join(FILE_NAME), "{\"format\": 1").unwrap();
        assert!(Manifest::read(dir.path()).unwrap_err().to_string().contains("damaged"));
    }

    #[test]
    fn files_are_hashed_alike_in_memory_and_on_disk() {
        let dir = tempfile::tempdir().unwrap();
        let bytes = vec![7; 3_000_000];
        std::fs::write(dir.path().join("f"), &bytes).unwrap();
        assert_eq!(FileRecord::of_file("f", &dir.path().join("f")).unwrap(), FileRecord::of("f", &bytes));
    }
}
