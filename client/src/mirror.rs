//! The two logs as this device has seen them: checkpoints that only grow, and the hash tiles that prove it (security C17, C18).
//!
//! ```text
//!   server ──checkpoint──▶ signed by log and witnesses? ──▶ consistent with the last one? ──▶ stored
//!          ──tiles───────▶ only ever used in proofs; full ones are kept, wrong ones make a proof fail
//! ```
//!
//! A checkpoint that contradicts a stored one is kept beside it: the two convict the log.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use ticrypt_api::log::{LogName, TileQuery};
use ticrypt_crypto::Digest;
use ticrypt_log::mirror::{MirrorError, Plan};
use ticrypt_log::tile::TilePath;
use ticrypt_log::{Checkpoint, Hash, Mirror, VerifierKey, leaf_hash};
use ticrypt_types::Operation;
use tokio::sync::Mutex;

use crate::deployment::Deployment;
use crate::error::{ClientError, Kind, Result};
use crate::home::{self, Home, Lock};
use crate::transport::Transport;

const CHECKPOINT_FILE: &str = "checkpoint";
const CHECKPOINT_MAX_BYTES: usize = 128 * 1024;
/// Tiles kept in memory: 8 MiB at most.
const TILES_REMEMBERED: usize = 1_024;
const TILE_MAX_BYTES: usize = 256 * 32;
const LOCK: &str = "lock";
/// A new entry is published with the next checkpoint, and with witnesses once they have signed.
const NOT_YET_POLL: Duration = Duration::from_millis(250);
const NOT_YET_POLLS: u32 = 40;
/// Updates by several programs at once; each round loses only to one that brought the log forward.
const ROUNDS: u32 = 8;

/// Both logs.
#[derive(Debug)]
pub struct Mirrors {
    pub keys: LogMirror,
    pub audit: LogMirror,
}

impl Mirrors {
    /// Reads what is stored; asks the server nothing.
    pub fn open(home: &Home, deployment: &Deployment, transport: Transport) -> Result<Self> {
        let open = |name, key: &VerifierKey| LogMirror::open(home, deployment, name, key.clone(), transport.clone());
        Ok(Self { keys: open(LogName::Keys, deployment.key_log_key())?, audit: open(LogName::Audit, deployment.audit_log_key())? })
    }

    pub fn of(&self, name: LogName) -> &LogMirror {
        match name {
            LogName::Keys => &self.keys,
            LogName::Audit => &self.audit,
        }
    }
}

/// One log.
#[derive(Debug)]
pub struct LogMirror {
    name: LogName,
    dir: PathBuf,
    mirror: Mutex<Mirror>,
    /// Tiles this process has used, so that thousands of proofs fetch each but once. What is in them is checked by every proof.
    tiles: std::sync::Mutex<HashMap<String, Vec<u8>>>,
    log_key: VerifierKey,
    witnesses: Vec<VerifierKey>,
    quorum: usize,
    transport: Transport,
}

/// The path parameter of a log.
pub fn log_word(name: LogName) -> &'static str {
    match name {
        LogName::Audit => "audit",
        LogName::Keys => "keys",
    }
}

impl LogMirror {
    fn open(home: &Home, deployment: &Deployment, name: LogName, log_key: VerifierKey, transport: Transport) -> Result<Self> {
        let dir = home.directory(deployment.id(), &format!("logs/{}", log_word(name)))?;
        let witnesses = deployment.witnesses().to_vec();
        let quorum = deployment.quorum();
        let mirror = Mutex::new(restore(&dir, &log_key, &witnesses, quorum)?);
        Ok(Self { name, dir, mirror, tiles: std::sync::Mutex::default(), log_key, witnesses, quorum, transport })
    }

    pub fn dir(&self) -> &Path {
        &self.dir
    }

    pub fn log_key(&self) -> &VerifierKey {
        &self.log_key
    }

    pub fn witnesses(&self) -> &[VerifierKey] {
        &self.witnesses
    }

    /// The last checkpoint seen on this device.
    pub async fn last(&self) -> Option<Checkpoint> {
        self.mirror.lock().await.last().map(|signed| signed.checkpoint().clone())
    }

    /// The bytes of the last checkpoint seen, with its signatures.
    pub async fn last_signed(&self) -> Option<Vec<u8>> {
        self.mirror.lock().await.to_bytes()
    }

    /// Takes the server's newest checkpoint, if it contains everything seen before.
    pub async fn update(&self) -> Result<Checkpoint> {
        let mut mirror = self.mirror.lock().await;
        for _ in 0..ROUNDS {
            // Another program may have seen more than this one.
            *mirror = restore(&self.dir, &self.log_key, &self.witnesses, self.quorum)?;
            let begun_with = mirror.to_bytes();
            let shown = self.transport.get_raw(Operation::LogCheckpoint, &[log_word(self.name)], &()).await?;
            let plan = || mirror.plan_update(&shown);
            let plan = match self.feed(plan().map_err(|e| self.lie(e, &shown))?, true).await {
                Ok(plan) => plan,
                Err(error) if error.kind() == Kind::NotFound => continue,
                Err(error) => return Err(error),
            };
            if mirror.finish(plan).is_err() {
                // A cached tile may be the wrong one; the server's own decide.
                let plan = self.feed(mirror.plan_update(&shown).map_err(|e| self.lie(e, &shown))?, false).await?;
                mirror.finish(plan).map_err(|e| self.lie(e, &shown))?;
            }
            if self.store(&mirror, begun_with.as_deref())?
                && let Some(last) = mirror.last()
            {
                return Ok(last.checkpoint().clone());
            }
        }
        Err(ClientError::unavailable("other programs keep updating the mirror of the log; try again"))
    }

    /// Checks that this leaf is entry `index` of the log; waits a little for one that was just written.
    pub async fn verify_inclusion(&self, index: u64, leaf: &[u8]) -> Result<()> {
        self.verify_inclusion_of(index, leaf_hash(leaf)).await
    }

    /// The same for a leaf of which only the hash is known.
    pub async fn verify_inclusion_of(&self, index: u64, leaf: Hash) -> Result<()> {
        for round in 0..NOT_YET_POLLS {
            if self.last().await.is_some_and(|last| index < last.size) {
                return self.check_inclusion(index, leaf).await;
            }
            if round > 0 {
                tokio::time::sleep(NOT_YET_POLL).await;
            }
            self.update().await?;
        }
        Err(ClientError::unavailable(format!(
            "entry {index} of the {} log is not in a signed checkpoint yet; try again in a minute, then tell an administrator",
            log_word(self.name)
        )))
    }

    async fn check_inclusion(&self, index: u64, leaf: Hash) -> Result<()> {
        let mut mirror = self.mirror.lock().await;
        let not_there = |e: MirrorError| {
            ClientError::untrusted(format!(
                "the {} log does not hold what the server said it holds: {e}; tell an administrator",
                log_word(self.name)
            ))
            .because(e)
        };
        let plan = self.feed(mirror.plan_inclusion(index, leaf).map_err(not_there)?, true).await?;
        if mirror.finish(plan).is_err() {
            let plan = self.feed(mirror.plan_inclusion(index, leaf).map_err(not_there)?, false).await?;
            mirror.finish(plan).map_err(not_there)?;
        }
        Ok(())
    }

    /// Compares a checkpoint somebody else saw with the one seen here. An error of kind `Untrusted` is a split view.
    pub async fn compare(&self, other: &[u8]) -> Result<()> {
        let mut mirror = self.mirror.lock().await;
        let plan = self.feed(mirror.plan_compare(other).map_err(|e| self.lie(e, other))?, false).await?;
        mirror.finish(plan).map_err(|e| self.lie(e, other))
    }

    /// Brings the tiles a plan needs.
    async fn feed(&self, mut plan: Plan, cached: bool) -> Result<Plan> {
        for path in plan.needed().collect::<Vec<_>>() {
            let (found, bytes) = self.tile(path, cached).await?;
            plan.feed(found, &bytes).map_err(|e| ClientError::untrusted("the server sent a tile of the log that is none").because(e))?;
        }
        Ok(plan)
    }

    /// A tile, or the full one in its place when the log has grown past it.
    pub(crate) async fn tile(&self, path: TilePath, cached: bool) -> Result<(TilePath, Vec<u8>)> {
        let full = path.full();
        let file = self.dir.join(full.to_string());
        if cached {
            for known in [full, path] {
                if let Some(bytes) = self.tiles().get(&known.to_string()) {
                    return Ok((known, bytes.clone()));
                }
            }
            if let Some(bytes) = home::read_bounded(&file, TILE_MAX_BYTES)? {
                self.remember(full, &bytes);
                return Ok((full, bytes));
            }
        }
        let (found, bytes) = match self.fetch_tile(path).await {
            Err(error) if error.kind() == Kind::NotFound && !path.is_full() => (full, self.fetch_tile(full).await?),
            other => (path, other?),
        };
        if found.is_full() {
            home::write_atomic(&file, &bytes)?;
        }
        self.remember(found, &bytes);
        Ok((found, bytes))
    }

    fn tiles(&self) -> std::sync::MutexGuard<'_, HashMap<String, Vec<u8>>> {
        self.tiles.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    fn remember(&self, path: TilePath, bytes: &[u8]) {
        let mut tiles = self.tiles();
        if tiles.len() >= TILES_REMEMBERED {
            tiles.clear();
        }
        tiles.insert(path.to_string(), bytes.to_vec());
    }

    async fn fetch_tile(&self, path: TilePath) -> Result<Vec<u8>> {
        self.transport.get_raw(Operation::LogTile, &[log_word(self.name)], &TileQuery { path: path.to_string() }).await
    }

    /// Stores the checkpoint unless another program stored a different one meanwhile; `false` asks for another round.
    fn store(&self, mirror: &Mirror, begun_with: Option<&[u8]>) -> Result<bool> {
        let Some(bytes) = mirror.to_bytes() else { return Ok(false) };
        if Some(bytes.as_slice()) == begun_with {
            return Ok(true);
        }
        let _lock = Lock::acquire(&self.dir, LOCK)?;
        let path = self.dir.join(CHECKPOINT_FILE);
        if home::read_bounded(&path, CHECKPOINT_MAX_BYTES)?.as_deref() != begun_with {
            return Ok(false);
        }
        home::write_atomic(&path, &bytes)?;
        Ok(true)
    }

    /// What a refused checkpoint means for the person. One that contradicts what was seen is kept as evidence.
    fn lie(&self, error: MirrorError, shown: &[u8]) -> ClientError {
        let log = log_word(self.name);
        let kept = match &error {
            MirrorError::Fork { .. } | MirrorError::Older { .. } => {
                let file = self.dir.join(format!("refused-{}", Digest::of(shown)));
                match home::write_atomic(&file, shown) {
                    Ok(()) => format!("; it is kept as {}", file.display()),
                    Err(_) => String::new(),
                }
            }
            _ => String::new(),
        };
        ClientError::untrusted(format!("the server shows a state of the {log} log that is refused: {error}{kept}; tell an administrator"))
            .because(error)
    }
}

fn restore(dir: &Path, key: &VerifierKey, witnesses: &[VerifierKey], quorum: usize) -> Result<Mirror> {
    let stored = home::read_bounded(&dir.join(CHECKPOINT_FILE), CHECKPOINT_MAX_BYTES)?;
    let Some(stored) = stored else { return Ok(Mirror::new(key.clone(), witnesses.to_vec(), quorum)) };
    Mirror::restore(key.clone(), witnesses.to_vec(), quorum, &stored).map_err(|e| {
        ClientError::untrusted(format!(
            "the stored checkpoint in {} is not signed by the log of the deployment file; if the file was replaced on purpose, remove that directory",
            dir.display()
        ))
        .because(e)
    })
}
