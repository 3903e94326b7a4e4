//! Tags: what a node carries, and with it where its keys are.
//!
//! ```text
//!   tag DIR P ─▶ new keys, no longer wrapped under its directory's: sealed to oneself and to those it is shared with ─▶ one request
//!                └─ what is inside gets new keys too, since whoever holds those from above could read on in it
//! ```
//!
//! Nothing is hidden by that from those who held the keys before and copied what they opened; from then on they get nothing more.

use std::collections::BTreeSet;

use ticrypt_api::node::TagRequest;
use ticrypt_types::ProjectId;

use super::Vault;
use super::path::VaultPath;
use super::progress::{Cancel, Progress, Report};
use super::resolve::Found;
use super::retry::Attempts;
use super::roll::Ready;
use crate::error::{ClientError, Kind, Result};
use crate::state::SeenKind;

impl Vault {
    /// Gives a node these tags and no others; none takes away those it has. Tells of the new keys made for what is inside.
    pub async fn tag(&self, path: &VaultPath, tags: &[ProjectId], progress: &dyn Progress, cancel: &Cancel) -> Result<Report> {
        let mut attempts = Attempts::default();
        loop {
            match self.tag_once(path, tags).await {
                // Whoever holds keys from above must not read on in what is inside; what was a boundary before never opened to them.
                Ok(true) => return self.rekey(path, progress, cancel).await,
                Ok(false) => return Ok(Report::default()),
                Err(error) if error.kind() == Kind::Stale || error.code() == "rekey_entries" => attempts.again(self, error, path).await?,
                Err(error) if error.is_epoch_closed() => {
                    self.roll_path(path, error.nodes()).await?;
                    attempts.again(self, error, path).await?;
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Sets on a thing itself all the tags that it has by its place, so that it can leave that.
    pub(super) async fn tag_as_placed(&self, path: &VaultPath, progress: &dyn Progress, cancel: &Cancel) -> Result<()> {
        let tags = self.resolve(path).await?.tags();
        self.tag(path, &tags, progress, cancel).await.map(drop)
    }

    /// One attempt; tells whether the node has keys of its own that it did not have before.
    async fn tag_once(&self, path: &VaultPath, tags: &[ProjectId]) -> Result<bool> {
        let found = self.resolve(path).await?;
        let group = found.held.root.group.as_ref().map(|group| group.group());
        if let (Some(group), None) = (group, found.parent()) {
            self.tag_group_root(group, tags).await?;
            return Ok(true);
        }
        let (directory, member) = found.in_directory()?;
        if group.is_none() && found.held.root.owner() != self.me().user {
            return Err(ClientError::refused("no_tag", format!("only the owner of `{path}` changes its tag; ask them")));
        }
        let ready = self.ready(directory, std::slice::from_ref(member), Some(tags)).await?;
        let Ready { mut nodes, parent_head, head, below, .. } = ready;
        let node = nodes.pop().ok_or_else(|| ClientError::broken("no new keys were made for what is to be tagged"))?;
        self.server().tag(TagRequest { tags: tags.to_vec(), parent_head: Some(parent_head), node }).await?;
        self.saw(SeenKind::Head, directory.id(), head.counter, head.record_hash())?;
        for directory in &below {
            self.saw(SeenKind::Head, directory.id(), directory.head.counter, directory.head.record_hash())?;
        }
        // In a group, what is tagged inside goes under the key of another compartment.
        let becomes_own = !tags.is_empty() && !member.entry.has_own_keys();
        Ok(member.is_directory() && (becomes_own || group.is_some()))
    }
}

impl Found {
    /// Every tag on the way from the root of the tree, each once.
    pub fn tags(&self) -> Vec<ProjectId> {
        let tags: BTreeSet<ProjectId> = self.held.lineage.tags().collect();
        tags.into_iter().collect()
    }

    /// The thing's own.
    pub fn own_tags(&self) -> Vec<ProjectId> {
        self.held.lineage.own_tags().to_vec()
    }
}
