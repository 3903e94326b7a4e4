//! From a backup to a deployment: verified first, then put in place, then checked.
//!
//! ```text
//!   empty? ─▶ verify: hashes, keys, logs, rows, chunks there ─▶ put: chunks (each hashed), logs, keys, rows last ─▶ check
//!             in DATA/restore.unfinished, removed when refused    it stays until all is in place; no server starts beside it
//! ```

use std::fmt;
use std::path::{Path, PathBuf};

use futures::TryStreamExt;
use serde::Serialize;
use ticrypt_log::copy::rebuild;
use ticrypt_store::blobs::ChunkStore;
use ticrypt_store::{Options as StoreOptions, Store};

use super::chunks::{self, ChunkFault};
use super::manifest::{FileRecord, Manifest};
use super::take::{DATABASE, utf8};
use super::{BackupError, blocking, directory, io, keys, logs};
use crate::audit::{LogKeys, recovery};
use crate::check::{self, Progress, Report};
use crate::clock::Clock;
use crate::config::Config;
use crate::wiring::{self, Paths};
use crate::{deployment, links, tls};

/// Under the data directory while a restore is under way.
pub const UNFINISHED: &str = "restore.unfinished";

/// What was restored, and whether it holds together. `--json` prints it as it is.
#[derive(Clone, Debug, Serialize)]
pub struct Restored {
    pub manifest: Manifest,
    pub report: Report,
}

impl fmt::Display for Restored {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Manifest { deployment, taken, logs, .. } = &self.manifest;
        let entries = |name: &str| logs.iter().find(|log| log.name == name).map_or(0, |log| log.entries);
        writeln!(f, "{}", self.report)?;
        write!(
            f,
            "restored deployment {deployment} as of {taken}, with {} entries of the audit log and {} of the key log\n\
             Everything after that moment is gone: files, shares and their ends, accounts and their deactivations. Everyone logs in again.\n\
             Clients and witnesses that saw a later state will refuse this one as rolled back, which is what they are for: \
             docs/operating.md, \"After a restore\", says what to do.",
            entries("audit"),
            entries("keys"),
        )
    }
}

struct Restore<'r> {
    from: &'r Path,
    manifest: Manifest,
    config: &'r Config,
    paths: &'r Paths,
    work: PathBuf,
}

/// Restores the backup in `from` into an empty data directory, database and chunk store, as the configuration names them.
pub async fn restore(
    from: &Path,
    config: &Config,
    paths: &Paths,
    clock: &Clock,
    mut tell: impl FnMut(Progress) + Send,
) -> Result<Restored, BackupError> {
    let manifest = Manifest::read(from)?;
    if manifest.schema > Store::known_schema() {
        return Err(BackupError::SchemaNewer { found: manifest.schema, known: Store::known_schema() });
    }
    let restore = Restore { from, manifest, config, paths, work: paths.0.join(UNFINISHED) };
    tls::make_directory(&paths.0)?;
    restore.refuse_what_is_in_use().await?;
    tls::make_directory(&restore.work)?;
    let rows = match restore.verify(&mut tell).await {
        Ok(rows) => rows,
        Err(error) => {
            // Nothing was put anywhere yet.
            let _ = std::fs::remove_dir_all(&restore.work);
            return Err(error);
        }
    };
    restore.put(rows, clock, &mut tell).await?;
    let place = wiring::place(config, paths).await?;
    let report = check::check(&place, false, tell).await?;
    place.store.close().await?;
    Ok(Restored { manifest: restore.manifest, report })
}

impl Restore<'_> {
    async fn refuse_what_is_in_use(&self) -> Result<(), BackupError> {
        if self.work.exists() {
            return Err(BackupError::Unfinished(self.work.clone()));
        }
        let used = |path: &Path| std::fs::read_dir(path).is_ok_and(|mut entries| entries.next().is_some());
        let mut places = vec![self.paths.keys(), self.paths.log()];
        places.extend(self.config.server.tls.is_none().then(|| self.paths.tls()));
        if let Some(path) = places.into_iter().find(|path| used(path)) {
            return Err(BackupError::NotEmpty(path.display().to_string()));
        }
        let url = wiring::store_url(self.config, self.paths)?;
        match url.strip_prefix("sqlite://") {
            Some(file) if Path::new(file).exists() => return Err(BackupError::NotEmpty(file.to_owned())),
            Some(_) => {}
            None => {
                let store = Store::connect(&url, &StoreOptions::default()).await?;
                let empty = store.is_empty().await;
                store.close().await?;
                if !empty? {
                    return Err(BackupError::NotEmpty("the database".to_owned()));
                }
            }
        }
        // Chunks that were left out are where they always were.
        if self.manifest.chunks.is_some() && self.chunk_store()?.list().try_next().await?.is_some() {
            return Err(BackupError::NotEmpty("the chunk store".to_owned()));
        }
        Ok(())
    }

    fn chunk_store(&self) -> Result<ChunkStore, BackupError> {
        Ok(links::chunk_store(self.config, self.paths).map_err(wiring::StartError::from)?)
    }

    fn set(&self) -> PathBuf {
        self.from.join(&self.manifest.set)
    }

    /// Everything that can be known without writing elsewhere. Gives the rows, brought up to this program's schema.
    async fn verify(&self, tell: &mut (impl FnMut(Progress) + Send)) -> Result<Store, BackupError> {
        let (manifest, set, from, work) = (self.manifest.clone(), self.set(), self.from.to_path_buf(), self.work.clone());
        blocking(move || verify_files(&manifest, &set, &from, &work)).await?;
        let url = format!("sqlite://{}", utf8(&self.work.join(DATABASE))?);
        let rows = Store::connect(&url, &StoreOptions::default()).await?;
        let looked = self.look(&rows, tell).await;
        if looked.is_err() {
            rows.close().await?;
        }
        looked.map(|()| rows)
    }

    async fn look(&self, rows: &Store, tell: &mut (impl FnMut(Progress) + Send)) -> Result<(), BackupError> {
        rows.migrate().await?;
        if deployment::stored_id(rows).await.map_err(wiring::StartError::from)?.map(|id| id.to_string())
            != Some(self.manifest.deployment.clone())
        {
            return Err(BackupError::Damaged("its database is of another deployment".to_owned()));
        }
        if self.manifest.chunks.is_some() {
            chunks::look(rows, &ChunkStore::local(&self.from.join(chunks::FOLDER))?, tell).await.map_err(damaged)?;
        }
        Ok(())
    }

    async fn put(&self, rows: Store, clock: &Clock, tell: &mut (impl FnMut(Progress) + Send)) -> Result<(), BackupError> {
        if self.manifest.chunks.is_some() {
            chunks::copy(&rows, &ChunkStore::local(&self.from.join(chunks::FOLDER))?, &self.chunk_store()?, tell).await.map_err(damaged)?;
        }
        let (manifest, set, from, paths) = (self.manifest.clone(), self.set(), self.from.to_path_buf(), self.paths.clone());
        let wants_tls = self.config.server.tls.is_none();
        blocking(move || put_files(&manifest, &set, &from, &paths, wants_tls)).await?;
        let now = rows.advance_clock(clock.now()).await?;
        rows.settle_restored(now).await?;
        // Last, so that nothing looks like a deployment before all of it is there.
        let url = wiring::store_url(self.config, self.paths)?;
        match url.strip_prefix("sqlite://") {
            Some(file) => {
                rows.close().await?;
                let (from, to) = (self.work.join(DATABASE), PathBuf::from(file));
                blocking(move || move_file(&from, &to)).await?;
            }
            None => {
                let store = Store::connect(&url, &StoreOptions::default()).await?;
                store.migrate().await?;
                store.fill_from(&rows).await?;
                store.close().await?;
                rows.close().await?;
            }
        }
        std::fs::remove_dir_all(&self.work).map_err(io("remove", &self.work))?;
        directory::sync(&self.paths.0)
    }
}

/// Copies the database to where it is worked on, and verifies all that is not a chunk. Blocks.
fn verify_files(manifest: &Manifest, set: &Path, from: &Path, work: &Path) -> Result<(), BackupError> {
    let (database, copy) = (set.join(&manifest.database.path), work.join(DATABASE));
    if !database.exists() {
        return Err(BackupError::Damaged("its database is missing".to_owned()));
    }
    std::fs::copy(&database, &copy).map_err(io("copy", &database))?;
    let found = FileRecord::of_file(&manifest.database.path, &copy).map_err(io("read", &copy))?;
    if found != manifest.database {
        return Err(BackupError::Damaged("its database is not the one recorded".to_owned()));
    }
    keys::verify(set, &manifest.keys)?;
    let deployment = manifest.deployment.parse().map_err(|_| BackupError::Damaged("its deployment has no id".to_owned()))?;
    let signers = LogKeys::load_or_make(&set.join("keys"), deployment)?;
    for log in &manifest.logs {
        let state = log.state().map_err(|_| BackupError::Damaged(format!("the checkpoint of its {} log cannot be read", log.name)))?;
        let Some(state) = state else { continue };
        let key = if log.name == "audit" { signers.audit.verifier() } else { signers.keys.verifier() };
        let failed = |source| BackupError::DamagedLog { log: log.name.clone(), source };
        logs::verify(&from.join("log").join(&log.name), key, &state).map_err(failed)?;
    }
    Ok(())
}

/// Logs and keys. Blocks.
fn put_files(manifest: &Manifest, set: &Path, from: &Path, paths: &Paths, wants_tls: bool) -> Result<(), BackupError> {
    tls::make_directory(&paths.log())?;
    for (log, name) in manifest.logs.iter().filter_map(|log| Some((log, ["audit", "keys"].into_iter().find(|name| log.name == *name)?))) {
        if let Ok(Some(state)) = log.state() {
            let failed = |source| BackupError::Log { log: name, source };
            rebuild(&from.join("log").join(name), &state, &paths.log().join(name)).map_err(failed)?;
        }
    }
    if let Some(settled) = manifest.settled {
        recovery::write_mark(&paths.log(), settled).map_err(io("write the mark in", &paths.log()))?;
    }
    keys::put(set, &manifest.keys, &paths.0, wants_tls)
}

/// Moves a file to where it may be another file system, durably. Blocks.
fn move_file(from: &Path, to: &Path) -> Result<(), BackupError> {
    if std::fs::rename(from, to).is_err() {
        let temporary = to.with_extension("restoring");
        std::fs::copy(from, &temporary).map_err(io("copy", from))?;
        std::fs::File::open(&temporary).and_then(|file| file.sync_all()).map_err(io("sync", &temporary))?;
        std::fs::rename(&temporary, to).map_err(io("rename", &temporary))?;
    }
    std::fs::File::open(to).and_then(|file| file.sync_all()).map_err(io("sync", to))?;
    directory::sync(to.parent().unwrap_or(Path::new(".")))
}

fn damaged(fault: ChunkFault) -> BackupError {
    match fault {
        ChunkFault::Store(error) => error.into(),
        ChunkFault::Blobs(error) => error.into(),
        ChunkFault::Task => BackupError::Task,
        fault => BackupError::Damaged(fault.to_string()),
    }
}
