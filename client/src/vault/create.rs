//! Creating nodes and publishing versions, again and again until they fit what others do at the same time.

use std::collections::HashMap;
use std::sync::Arc;

use ticrypt_api::version::{PublishReply, PublishRequest};
use ticrypt_crypto::Signed;
use ticrypt_crypto::manifest::ManifestPayload;
use ticrypt_types::NodeName;

use super::Vault;
use super::load::blocking;
use super::make::{After, ContentDraft, Created, NodeDraft, new_content, unsigned};
use super::path::VaultPath;
use super::retry::Attempts;
use super::tree::{Current, Directory, Held};
use crate::error::{ClientError, Kind, Result};
use crate::state::SeenKind;
use ticrypt_keyring::SystemRandom;

impl Vault {
    /// Creates nodes in a directory. `path` leads to the directory, for when it has to be loaded again; then a name that somebody else has
    /// taken meanwhile makes the whole fail as `Taken`, with nothing written.
    pub(super) async fn create(&self, path: &VaultPath, directory: Arc<Directory>, drafts: Vec<NodeDraft>) -> Result<Created> {
        if drafts.is_empty() {
            return Ok(Created { directory, below: HashMap::new() });
        }
        let drafts = Arc::new(drafts);
        let mut directory = directory;
        let mut attempts = Attempts::default();
        loop {
            if let Some(taken) = drafts.iter().find(|draft| draft.within.is_none() && directory.by_name(&draft.props.name).is_some()) {
                return Err(taken_meanwhile(path, &taken.props.name));
            }
            match self.create_once(&directory, &drafts).await {
                Ok(created) => return Ok(created),
                Err(error) => attempts.again(self, error, path).await?,
            }
            directory = self.load_found(&self.resolve(path).await?, true).await?;
        }
    }

    /// Makes a content the current version of a file that exists. `path` leads to the file.
    pub(super) async fn publish(&self, path: &VaultPath, file: &Held, current: &Current, content: ContentDraft) -> Result<PublishReply> {
        let content = Arc::new(content);
        let (mut held, mut current) = (file.clone(), current.clone());
        let mut attempts = Attempts::default();
        loop {
            match self.publish_once(&held, &current, &content).await {
                Ok(reply) => return Ok(reply),
                Err(error) => attempts.again(self, error, path).await?,
            }
            let found = self.resolve(path).await?;
            if found.held.id != file.id {
                return Err(ClientError::new(Kind::Stale, "replaced", format!("`{path}` is another file now; try again")));
            }
            current = self.current_of(&found)?;
            held = found.held;
        }
    }

    async fn publish_once(&self, file: &Held, current: &Current, content: &Arc<ContentDraft>) -> Result<PublishReply> {
        let author = self.author(&file.root)?;
        let (held, shared, after) = (file.clone(), Arc::clone(content), After::of(current));
        let sealed =
            blocking(move || author.seal_content(&SystemRandom::new(), held.id, held.epoch, &held.keys, &shared, &after)).await??;
        let manifest = self.sign_manifests(vec![sealed.manifest.clone()]).await?.pop().ok_or_else(unsigned)?;
        let signed: Signed<ManifestPayload> = self.own(&manifest.0)?;
        let content = new_content(sealed, content, manifest);
        let reply = self.server().publish(PublishRequest { file: file.id, content }).await?;
        // Said to be current: whatever is older, or another of the same number, is a lie from here on. Somebody may have been faster to
        // follow it than we to note it.
        let seen = self.session.seen.highest(SeenKind::Sequence, file.id);
        if !reply.conflict && seen.is_none_or(|(highest, _)| highest <= signed.sequence) {
            self.saw(SeenKind::Sequence, file.id, signed.sequence, signed.record_hash())?;
        }
        Ok(reply)
    }
}

pub(super) fn taken_meanwhile(path: &VaultPath, name: &NodeName) -> ClientError {
    ClientError::new(
        Kind::Taken,
        "exists",
        format!("`{}` exists; choose another name, or --skip, --keep-both or --force", path.child(name)),
    )
}
