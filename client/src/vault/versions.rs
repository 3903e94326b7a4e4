//! The history of a file: every version that was current, and those that lost a race.

use std::collections::{HashMap, HashSet};

use serde::Serialize;
use ticrypt_api::version::{FileVersions, VersionListRequest};
use ticrypt_crypto::Digest;
use ticrypt_types::limits::BATCH_MAX_NODES;
use ticrypt_types::{NodeId, Timestamp, UserName, VersionId};

use super::Vault;
use super::open::{Content, Wanted};
use super::path::VaultPath;
use super::tree::{Current, Held};
use super::trust::lie;
use crate::error::{ClientError, Result};

/// One manifest of a file.
#[derive(Clone, Debug, Serialize)]
pub struct Version {
    pub sequence: u64,
    /// The record hash of its manifest, by which it is named.
    pub manifest: Digest,
    pub version: VersionId,
    pub size_bytes: u64,
    pub sha256: Digest,
    pub modified_ms: Timestamp,
    pub written_ms: Timestamp,
    pub writer: Option<UserName>,
    /// Lost a race: kept, never current.
    pub conflict: bool,
    pub is_current: bool,
    #[serde(skip)]
    found: Current,
}

impl Vault {
    /// What is stored of files' histories, in the order asked; whoever wrote it is admitted, the manifests are not verified yet.
    pub(super) async fn histories(&self, files: &[NodeId]) -> Result<Vec<FileVersions>> {
        let mut read: Vec<FileVersions> = Vec::with_capacity(files.len());
        while let Some(rest) = files.get(read.len()..).filter(|rest| !rest.is_empty()) {
            let some: Vec<NodeId> = rest.iter().take(BATCH_MAX_NODES).copied().collect();
            let reply = self.server().versions(VersionListRequest { files: some.clone() }).await?;
            let right = reply.files.len() <= some.len() && reply.files.iter().zip(&some).all(|(history, file)| history.file == *file);
            if reply.files.is_empty() || !right {
                return Err(lie("the server sent the history of another file than was asked for"));
            }
            let manifests = reply.files.iter().flat_map(|history| &history.manifests).map(|view| &view.manifest);
            self.admit_records(&reply.grants, [], manifests).await?;
            read.extend(reply.files);
        }
        Ok(read)
    }

    pub(super) async fn history_of(&self, file: NodeId) -> Result<FileVersions> {
        self.histories(&[file]).await?.pop().ok_or_else(|| lie("the server withholds a file's history"))
    }

    /// All versions of a file, newest first.
    pub async fn versions(&self, path: &VaultPath) -> Result<(Held, Vec<Version>)> {
        let found = self.resolve(path).await?;
        let newest = self.current_of(&found)?;
        let held = found.held;
        let history = self.history_of(held.id).await?;
        let mut versions = Vec::with_capacity(history.manifests.len());
        for view in &history.manifests {
            // History was written where the file stood then; its place now says nothing about its writers' rights.
            let current = self.verify_past(&held, view)?;
            let manifest = &current.manifest;
            versions.push(Version {
                sequence: manifest.sequence,
                manifest: manifest.record_hash(),
                version: manifest.version,
                size_bytes: manifest.size,
                sha256: current.props.sha256,
                modified_ms: current.props.modified,
                written_ms: manifest.at,
                writer: self.writer_name(&manifest.writer_bundle),
                conflict: view.conflict,
                is_current: manifest.record_hash() == newest.manifest.record_hash(),
                found: current,
            });
        }
        let line = line_of(&versions, &newest)?;
        for version in versions.iter_mut().filter(|version| version.sequence <= newest.manifest.sequence) {
            version.conflict = !line.contains(&version.manifest);
        }
        Ok((held, versions))
    }

    /// Finds one by its sequence, or by the beginning of its manifest's hash; a loser of a race only by its hash.
    pub fn pick<'a>(&self, versions: &'a [Version], which: &str) -> Result<&'a Version> {
        let wanted = which.trim().to_lowercase();
        let by_number = wanted.parse::<u64>().ok();
        let fits = |version: &&Version| match by_number {
            Some(number) if wanted.len() < 8 => version.sequence == number && !version.conflict,
            _ => wanted.len() >= 8 && version.manifest.to_string().starts_with(&wanted),
        };
        let mut found = versions.iter().filter(fits);
        match (found.next(), found.next()) {
            (Some(version), None) => Ok(version),
            (None, _) => Err(ClientError::not_found(format!("there is no version `{which}`; see `ticrypt versions list`"))),
            (Some(_), Some(_)) => Err(ClientError::invalid(format!("several versions begin with `{which}`; give more digits"))),
        }
    }

    /// Opens a version for reading.
    pub async fn open_version(&self, file: &Held, version: &Version) -> Result<Content> {
        self.open_one(Wanted { file: file.clone(), manifest: Some(version.manifest), keep: true }).await
    }

    /// Makes an old version current again: a new manifest that names it. Nothing is copied.
    pub async fn restore_version(&self, path: &VaultPath, which: &str) -> Result<u64> {
        let (held, versions) = self.versions(path).await?;
        let chosen = self.pick(&versions, which)?;
        if chosen.is_current {
            return Ok(chosen.sequence);
        }
        let content = self.same_content(&held, &chosen.found).await?;
        let newest = versions.iter().find(|version| version.is_current).map(|version| version.found.clone());
        let newest = newest.ok_or_else(|| lie("the current version is missing in the file's history"))?;
        let reply = self.publish(path, &held, &newest, content).await?;
        if reply.conflict {
            return Err(ClientError::new(
                crate::Kind::Stale,
                "conflict",
                "somebody else wrote a version at the same time; look at `ticrypt versions list`, then restore again if it is still wanted",
            ));
        }
        Ok(reply.sequence)
    }
}

/// The manifests that were current one after another, from the present one back to the first, as each names the one before it. What is not
/// among them lost a race; of those the server can withhold one, of these none.
fn line_of(versions: &[Version], newest: &Current) -> Result<HashSet<Digest>> {
    let known: HashMap<Digest, &Current> = versions.iter().map(|version| (version.manifest, &version.found)).collect();
    let mut line = HashSet::new();
    let mut step = newest.manifest.record_hash();
    let mut sequence = newest.manifest.sequence;
    loop {
        // What was there a moment ago must be in its own history.
        let found = known.get(&step).ok_or_else(|| match line.is_empty() {
            true => lie("the current version is missing in the file's history"),
            false => lie("the server withholds a version from the file's history"),
        })?;
        if found.manifest.sequence != sequence {
            return Err(lie("the versions in a file's history do not follow one another"));
        }
        line.insert(step);
        match found.manifest.predecessor {
            Some(before) => (step, sequence) = (before, sequence.saturating_sub(1)),
            None => return Ok(line),
        }
    }
}
