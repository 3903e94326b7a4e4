//! Making a version current: compare-and-set on the sequence of the file's signed manifests (docs/formats.md §8).
//!
//! ```text
//!   sequence = current + 1  ─▶ names the current one as predecessor ─▶ current
//!   sequence ≤ current      ─▶ names one that was current once      ─▶ kept as a conflict: somebody was first
//! ```

use ticrypt_api::node::NewContent;
use ticrypt_api::role::{Caller, Reply};
use ticrypt_api::version::{PublishReply, PublishRequest};
use ticrypt_api::{ApiError, Blob, Hash};
use ticrypt_crypto::manifest::ManifestPayload;
use ticrypt_crypto::{Digest, Envelope, Signed};
use ticrypt_policy::Permit;
use ticrypt_policy::permit::VersionPublish;
use ticrypt_policy::version::may_publish;
use ticrypt_store::version::{ContentNew, ContentSource, ManifestNew, Published, VersionState};
use ticrypt_types::{NodeId, Operation};

use super::FileRole;
use super::audited::{Plan, event, with};
use super::error::FileError;
use super::fit;
use super::place::decided;
use super::quota::stored_bytes;
use super::records::Reader;

/// How far a file's history is searched.
const HISTORY_MAX: u64 = 10_000;

type Planned = Plan<(Permit<VersionPublish>, ContentNew), PublishReply>;

impl FileRole {
    pub(super) async fn version_publish(&self, caller: &Caller, request: PublishRequest) -> Result<Reply<PublishReply>, ApiError> {
        let file = request.file;
        let row = with(event(caller, Operation::VersionPublish, [file]), "version", request.content.version);
        let plan = self.plan_publish(caller, request).await;
        let store = self.store.clone();
        self.change(row, plan, move |(permit, content): (Permit<VersionPublish>, ContentNew)| async move {
            let sequence = content.manifest.sequence;
            match store.publish(permit, content).await? {
                Published::Current => Ok(PublishReply { sequence, conflict: false }),
                Published::Conflict => {
                    let now = store.node(file).await?.map_or(sequence, |node| node.current_sequence);
                    Ok(PublishReply { sequence: now, conflict: true })
                }
            }
        })
        .await
    }

    async fn plan_publish(&self, caller: &Caller, request: PublishRequest) -> Result<Planned, FileError> {
        let PublishRequest { file, content } = request;
        let who = self.who(caller).await?;
        let facts = self.facts_of(&who.actor, file).await?;
        let permit = decided(may_publish(&who.actor, &facts, caller.now), &facts.path)?;
        let manifest = Reader::new(self.deployment, &who.signer, caller.now).manifest(&content.manifest)?;
        fit::manifest(&manifest, file, &content)?;
        fit::authority(&facts, &who.actor, manifest.authority, caller.now)?;
        let node = self.store.node(file).await?.ok_or(FileError::Stale)?;
        if let Some((stored, _)) = self.store.manifest(file, &manifest.record_hash().to_bytes()).await? {
            return Ok(Plan::Again(PublishReply { sequence: node.current_sequence, conflict: stored.conflict }));
        }
        self.follows(file, node.current_sequence, &manifest).await?;
        let older = self.content_fits(caller, file, &manifest, &content).await?;
        if content.chunk.is_some() {
            self.charge(facts.owner, stored_bytes(manifest.size, 1), caller.now).await?;
        }
        Ok(Plan::Do((permit, content_new(&manifest, content, older))))
    }

    /// The predecessor is the current manifest, or one that was.
    async fn follows(&self, file: NodeId, current: u64, manifest: &Signed<ManifestPayload>) -> Result<(), FileError> {
        if manifest.sequence > current + 1 || (manifest.sequence == 1 && current > 0) {
            return Err(FileError::unfit("manifest_sequence", "the manifest's sequence does not follow the file's; load the file again"));
        }
        let Some(predecessor) = manifest.predecessor else { return Ok(()) };
        let before = self.store.manifest(file, &predecessor.to_bytes()).await?;
        if before.is_some_and(|(before, _)| !before.conflict && before.sequence + 1 == manifest.sequence) {
            Ok(())
        } else {
            Err(FileError::unfit(
                "manifest_predecessor",
                "the manifest names another one as the one before than there was; load the file again",
            ))
        }
    }

    /// The content is what the manifest was signed over. Tells whether it is an older version of the file.
    async fn content_fits(
        &self,
        caller: &Caller,
        file: NodeId,
        manifest: &Signed<ManifestPayload>,
        content: &NewContent,
    ) -> Result<bool, FileError> {
        if let Some(Blob(chunk)) = &content.chunk {
            fit::small_chunk(manifest, chunk)?;
            return Ok(false);
        }
        let stored = self.store.upload(content.version).await?;
        let Some(older) = stored.filter(|upload| upload.version.state == VersionState::Stored && upload.version.file == file) else {
            self.upload_fits(caller, file, None, manifest, &content.chunk_hashes).await?;
            return Ok(false);
        };
        let chunks = self.store.chunks(content.version, 0, older.version.chunk_count).await?;
        let same = chunks.iter().map(|chunk| chunk.hash).eq(content.chunk_hashes.iter().map(|Hash(hash)| *hash));
        if !same || older.version.size != manifest.size {
            return Err(FileError::unfit("manifest_chunks", "the manifest was signed over other chunks than the version has"));
        }
        if self.commitment_of(file, &older.version.id).await? != Some(manifest.key_commitment) {
            return Err(FileError::unfit("manifest_commitment", "the manifest names another key than the version's chunks are under"));
        }
        Ok(true)
    }

    /// The key commitment of a version, from a manifest that names it.
    async fn commitment_of(&self, file: NodeId, version: &ticrypt_types::VersionId) -> Result<Option<Digest>, FileError> {
        let history = self.store.versions(file, None, HISTORY_MAX).await?;
        let Some((manifest, _)) = history.into_iter().find(|(_, stored)| stored.id == *version) else { return Ok(None) };
        let manifest = Envelope::parse(&manifest.envelope).and_then(|envelope| envelope.claimed::<ManifestPayload>());
        manifest.map(|manifest| Some(manifest.key_commitment)).map_err(|_| FileError::Corrupt("a stored manifest cannot be read"))
    }
}

/// A content as the store takes it. What was uploaded keeps the wrap it was begun with, or that new keys have given it since.
pub(super) fn content_new(manifest: &Signed<ManifestPayload>, content: NewContent, older: bool) -> ContentNew {
    let source = match content.chunk {
        Some(Blob(bytes)) => {
            ContentSource::Small { content_wrap: content.content_wrap.0, size: manifest.size, hash: Digest::of(&bytes).to_bytes(), bytes }
        }
        None if older => ContentSource::Older,
        None => ContentSource::Uploaded,
    };
    let manifest = ManifestNew {
        sequence: manifest.sequence,
        predecessor: manifest.predecessor.map(Digest::to_bytes),
        hash: manifest.record_hash().to_bytes(),
        envelope: content.manifest.0,
        props_key: content.props_key.0,
        at: manifest.at,
    };
    ContentNew { version: content.version, source, manifest }
}
