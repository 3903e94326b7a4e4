//! The server's own keys: into a backup, and out of it. Mode 0600 in directories of mode 0700, there as here.

use std::path::Path;

use super::manifest::FileRecord;
use super::{BackupError, io};
use crate::tls::{Identity, make_directory, write_private};

/// A rotation of the TLS keys replaces three files; so often they are read again until they belong together.
const ROUNDS: usize = 5;

/// Copies `keys` and, if the TLS keys are ours, `tls` from the data directory into a set. Blocks.
pub fn copy(data: &Path, set: &Path, has_tls: bool) -> Result<Vec<FileRecord>, BackupError> {
    let mut records = copy_directory(data, set, "keys")?;
    if has_tls && data.join("tls").exists() {
        let mut round = 1;
        records.extend(loop {
            let copied = copy_directory(data, set, "tls")?;
            let whole = Identity::load_or_make(&set.join("tls"), None, "ticrypt").and_then(|identity| identity.server_config());
            match whole {
                Ok(_) => break copied,
                Err(error) if round == ROUNDS => return Err(error.into()),
                Err(_) => round += 1,
            }
        });
    }
    Ok(records)
}

/// Whether the keys in a set are those recorded. Blocks.
pub fn verify(set: &Path, records: &[FileRecord]) -> Result<(), BackupError> {
    for record in records {
        read(set, record)?;
    }
    let has = |path: &str| records.iter().any(|record| record.path == path);
    if has("keys/audit.log.key") && has("keys/keys.log.key") {
        Ok(())
    } else {
        Err(BackupError::Damaged("it has no keys of the logs".to_owned()))
    }
}

/// Writes the keys of a set into the data directory. Blocks.
pub fn put(set: &Path, records: &[FileRecord], data: &Path, wants_tls: bool) -> Result<(), BackupError> {
    for record in records.iter().filter(|record| wants_tls || !record.path.starts_with("tls/")) {
        let (bytes, to) = (read(set, record)?, data.join(&record.path));
        make_directory(to.parent().unwrap_or(data))?;
        write_private(&to, &bytes)?;
    }
    Ok(())
}

fn read(set: &Path, record: &FileRecord) -> Result<Vec<u8>, BackupError> {
    let bytes = match std::fs::read(set.join(&record.path)) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Err(BackupError::Damaged(format!("{} is missing", record.path)));
        }
        read => read.map_err(io("read", &set.join(&record.path)))?,
    };
    if FileRecord::of(&record.path, &bytes) == *record {
        Ok(bytes)
    } else {
        Err(BackupError::Damaged(format!("{} is not the file recorded", record.path)))
    }
}

fn copy_directory(data: &Path, set: &Path, name: &str) -> Result<Vec<FileRecord>, BackupError> {
    let (from, to) = (data.join(name), set.join(name));
    make_directory(&to)?;
    let mut records = Vec::new();
    for entry in std::fs::read_dir(&from).map_err(io("read", &from))? {
        let path = entry.map_err(io("read", &from))?.path();
        let file = path.file_name().and_then(|file| file.to_str()).unwrap_or_default();
        // Left by a crash, or being written at this moment.
        if path.extension().is_some_and(|extension| extension == "tmp") || !path.is_file() {
            continue;
        }
        let bytes = std::fs::read(&path).map_err(io("read", &path))?;
        write_private(&to.join(file), &bytes)?;
        records.push(FileRecord::of(&format!("{name}/{file}"), &bytes));
    }
    records.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(records)
}
