//! Renaming and moving: the same node under another entry.
//!
//! A move binds the node's keys to its new directory. What somebody else wrote under a share of the old place would not verify in the
//! new one, so the mover first signs it as their own ([`Vault::adopt`]); then one request takes the node out of one head and into the other.

use std::sync::Arc;

use ticrypt_api::Blob;
use ticrypt_api::node::{MoveRequest, RenameRequest};
use ticrypt_crypto::Digest;
use ticrypt_crypto::entry::leaf_hash;
use ticrypt_crypto::record::Record;
use ticrypt_keyring::entry::Boundary;
use ticrypt_keyring::props::EntryProps;
use ticrypt_types::{NodeId, NodeName};

use super::Vault;
use super::make::{ContentDraft, seal_entry, unsigned};
use super::path::VaultPath;
use super::progress::{Cancel, Progress};
use super::retry::Attempts;
use super::tree::{Directory, Held, Member};
use super::trust::Lineage;
use crate::error::{ClientError, Kind, Result};
use crate::state::SeenKind;

/// The code of the refusal to move a thing to where its tags would be others.
const TAGS_OF_PLACE: &str = "tags_of_place";

impl Vault {
    /// Moves or renames. A destination that is a directory takes the node under its old name; any other name must be free.
    pub async fn mv(&self, from: &VaultPath, to: &VaultPath, progress: &dyn Progress, cancel: &Cancel) -> Result<VaultPath> {
        let target = self.destination(from, to).await?;
        let (mut attempts, mut tagged) = (Attempts::default(), false);
        loop {
            match self.mv_once(from, &target).await {
                Ok(left_a_share) => {
                    if left_a_share {
                        // Whoever held the old place still knows the keys; new ones are made at once.
                        self.rekey(&target, progress, cancel).await?;
                    }
                    return Ok(target);
                }
                // Either end may be the one that needs new keys.
                // What its place gave it is set on the thing itself: a move keeps the tags.
                Err(error) if error.code() == TAGS_OF_PLACE && !tagged => {
                    tagged = true;
                    self.tag_as_placed(from, progress, cancel).await?;
                }
                Err(error) if error.is_epoch_closed() => {
                    self.roll_path(from, error.nodes()).await?;
                    attempts.again(self, error, &target).await?;
                }
                Err(error) => attempts.again(self, error, &target).await?,
            }
        }
    }

    /// Where a thing that is put at `to` will stand: below it if it is a directory.
    pub(super) async fn destination(&self, from: &VaultPath, to: &VaultPath) -> Result<VaultPath> {
        match self.find_node(to).await? {
            Some(found) if found.is_directory() => {
                let name = self.resolve(from).await?.name(self)?;
                let name = name.ok_or_else(|| ClientError::refused("is_root", "the top of a tree stays where it is"))?;
                Ok(to.child(&name))
            }
            Some(_) if from != to => Err(taken(to)),
            _ => Ok(to.clone()),
        }
    }

    /// One attempt; tells whether the node left a place that others could see into.
    async fn mv_once(&self, from: &VaultPath, to: &VaultPath) -> Result<bool> {
        let found = self.resolve(from).await?;
        let (old, member) = found.in_directory()?;
        let (new, name) = self.resolve_parent(to).await?;
        if new.held.root.owner() != old.held.root.owner() {
            return Err(ClientError::refused("other_owner", "the two places belong to different people; copy with `ticrypt cp` instead"));
        }
        if new.held.lineage.contains(found.held.id) {
            return Err(ClientError::refused("into_itself", format!("`{from}` cannot go into itself")));
        }
        if new.by_name(&name).is_some_and(|there| there.id() != member.id()) {
            return Err(taken(to));
        }
        let props = EntryProps { name: name.clone(), ..old.props(self.deployment(), member, &found.held)? };
        if new.id() == old.id() {
            self.rename_entry(old, member, &found.held, &props).await?;
            return Ok(false);
        }
        if found.held.root.is_home {
            self.adopt(&found.held, (old, member), from, &new.held.lineage).await?;
        }
        // What was adopted has a new head or a new manifest; its old directory is as it was, or is loaded again on the next attempt.
        self.move_entry(old, &new, member, &found.held, &props).await?;
        let moved = self.resolve(to).await?;
        Ok(moved.held.root.is_home && moved.in_directory()?.1.view.keys_stale)
    }

    async fn rename_entry(&self, directory: &Directory, member: &Member, held: &Held, props: &EntryProps) -> Result<()> {
        let (entry, leaf) = self.entry_under(&directory.held, held, props, member.boundary())?;
        let leaves = directory.leaves().map(|(id, old)| (id, if id == member.id() { leaf } else { old })).collect();
        let head = self.author(&held.root)?.head(directory.id(), directory.held.epoch, Some(&directory.head), leaves)?;
        let (bytes, head) = self.sign_head(head).await?;
        self.server().rename(RenameRequest { directory: directory.id(), head: bytes, entry }).await?;
        self.saw(SeenKind::Head, directory.id(), head.counter, head.record_hash())
    }

    async fn move_entry(&self, old: &Directory, new: &Directory, member: &Member, held: &Held, props: &EntryProps) -> Result<()> {
        let (entry, leaf) = self.entry_under(&new.held, held, props, member.boundary())?;
        let without = old.leaves().filter(|(id, _)| *id != member.id()).collect();
        let with = new.leaves().chain([(member.id(), leaf)]).collect();
        let heads = vec![
            self.author(&old.held.root)?.head(old.id(), old.held.epoch, Some(&old.head), without)?,
            self.author(&new.held.root)?.head(new.id(), new.held.epoch, Some(&new.head), with)?,
        ];
        let [(from_bytes, from_head), (to_bytes, to_head)]: [_; 2] = self.sign_heads(heads).await?.try_into().map_err(|_| unsigned())?;
        let request = MoveRequest { from: old.id(), from_head: from_bytes, to: new.id(), to_head: to_bytes, entry };
        self.server().move_node(request).await?;
        for head in [from_head, to_head] {
            self.saw(SeenKind::Head, head.directory, head.counter, head.record_hash())?;
        }
        Ok(())
    }

    /// A node's entry under a directory, with the keys it has.
    pub(super) fn entry_under(&self, directory: &Held, held: &Held, props: &EntryProps, boundary: Boundary) -> Result<(Blob, Digest)> {
        let child = (held.id, held.kind, held.epoch);
        let bytes = seal_entry(&self.random, self.deployment(), directory, child, &held.keys, props, boundary)?.to_bytes();
        let leaf = leaf_hash(&bytes);
        Ok((Blob(bytes), leaf))
    }

    /// Signs as one's own what others wrote under shares that do not cover the new place: files by a manifest of the same version,
    /// directories by new keys and a new head.
    async fn adopt(&self, held: &Held, place: (&Arc<Directory>, &Arc<Member>), path: &VaultPath, into: &Lineage) -> Result<()> {
        let foreign = |authority: Option<Digest>, below: &Lineage| {
            authority.and_then(|hash| self.trust.grant(&hash)).is_some_and(|grant| {
                // A share of the moved node itself, or of something below it, moves along.
                let inside = below.ids().take_while(|id| *id != held.id).chain([held.id]).any(|id| id == grant.node);
                !inside && !into.contains(grant.node)
            })
        };
        let (parent, member) = place;
        let mut changed = false;
        let mut stack: Vec<(Held, NodeId, VaultPath, Held)> = Vec::new();
        if member.is_directory() {
            stack.push((parent.held.clone(), member.id(), path.clone(), held.clone()));
        } else {
            changed |= self.adopt_file(parent, member, path, &foreign).await?;
        }
        while let Some((above, node, at, mut held)) = stack.pop() {
            let mut directory = self.load(&held, true).await?;
            if foreign(directory.head.authority, &held.lineage) {
                let parent = self.load(&above, false).await?;
                let parent = self.roll_members(parent, &[node]).await?.directory;
                changed = true;
                let member = parent.by_id(node).ok_or_else(super::tree::moved_on)?;
                held = self.descend(&parent, member).await?;
                directory = self.load(&held, true).await?;
            }
            // What is locked has keys of its own: nobody above wrote in it, and it goes along as it is.
            for member in directory.members().filter(|member| !member.is_locked()) {
                let path = at.child(&member.name);
                if member.is_directory() {
                    stack.push((held.clone(), member.id(), path, self.descend(&directory, member).await?));
                } else {
                    changed |= self.adopt_file(&directory, member, &path, &foreign).await?;
                }
            }
        }
        // The directories moved on by our own hand; the next attempt starts from what they are now.
        if changed { Err(super::tree::moved_on()) } else { Ok(()) }
    }

    async fn adopt_file(
        &self,
        directory: &Arc<Directory>,
        member: &Arc<Member>,
        path: &VaultPath,
        foreign: &(dyn Fn(Option<Digest>, &Lineage) -> bool + Sync),
    ) -> Result<bool> {
        let mut found = self.currents(directory, std::slice::from_ref(member)).await?;
        let (held, current) = found.pop().ok_or_else(super::tree::moved_on)?;
        if !foreign(current.manifest.authority, &held.lineage) {
            return Ok(false);
        }
        let content = self.same_content(&held, &current).await?;
        self.publish(path, &held, &current, content).await?;
        Ok(true)
    }

    /// A stored version as a draft, to be named by another manifest.
    pub(super) async fn same_content(&self, held: &Held, version: &super::Current) -> Result<ContentDraft> {
        let history = self.history_of(held.id).await?;
        let stored = history.contents.iter().find(|stored| stored.version == version.manifest.version);
        let stored = stored.ok_or_else(|| super::trust::lie("the server withholds a version it has shown"))?;
        let place = ticrypt_keyring::wrap::VersionPlace {
            deployment: self.deployment(),
            file: held.id,
            epoch: held.epoch,
            version: version.manifest.version,
        };
        let key = held.tree_key()?.unwrap_content(&place, &stored.content_wrap.0);
        let key = key.map_err(|e| super::tree::sealed("a content key", e))?;
        let wanted = super::open::Wanted { file: held.clone(), manifest: Some(version.manifest.record_hash()), keep: false };
        let content = self.open_one(wanted).await?;
        Ok(ContentDraft {
            version: version.manifest.version,
            key,
            size: version.manifest.size,
            chunk_hashes: content.hashes().to_vec(),
            chunk: None,
            props: version.props.clone(),
        })
    }
}

pub(super) fn taken(path: &VaultPath) -> ClientError {
    ClientError::new(Kind::Taken, "exists", format!("`{path}` exists; choose another name"))
}

/// A name for something that comes back where its own is taken.
pub(super) fn free_name(directory: &Directory, name: &NodeName) -> Result<NodeName> {
    let free = super::naming::beside(name.as_str(), |candidate| directory.has_name(candidate));
    NodeName::normalise(&free).map_err(|e| ClientError::invalid(e.to_string()))
}
