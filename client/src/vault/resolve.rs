//! From a path to a node and its keys, one verified directory at a time.

use std::sync::Arc;

use ticrypt_api::node::ManifestView;
use ticrypt_types::{NodeId, NodeKind, NodeName, UserName};

use super::Vault;
use super::boundary::{LOCKED, locked};
use super::path::{Label, Match, Place, VaultPath};
use super::roots::Share;
use super::tree::{Current, Directory, Held, Member};
use super::trust::lie;
use crate::error::{ClientError, Kind, Result};

/// New keys made while a path is walked show as a stale state; so often the walk begins again.
const WALKS: usize = 6;

/// A node and how it was reached.
#[derive(Clone, Debug)]
pub struct Found {
    pub path: VaultPath,
    pub held: Held,
    /// The directories on the way, from the top, each with the entry of what comes next; nothing for the root of a tree or of a share.
    /// They were listed without what is current in their files.
    pub way: Vec<(Arc<Directory>, Arc<Member>)>,
    /// The grant it is the root of.
    pub share: Option<Arc<Share>>,
    /// Of a file; not verified yet.
    pub current: Option<ManifestView>,
}

impl Found {
    /// The root of a tree or of a share.
    pub(super) fn top(path: VaultPath, held: Held, share: Option<Arc<Share>>) -> Self {
        let current = share.as_ref().and_then(|share| share.entry.current.clone());
        Self { path, held, way: Vec::new(), share, current }
    }

    pub fn is_directory(&self) -> bool {
        self.held.kind == NodeKind::Directory
    }

    /// The directory it is in and its entry there.
    pub fn parent(&self) -> Option<&(Arc<Directory>, Arc<Member>)> {
        self.way.last()
    }

    /// The node below the root, or the reason why the root cannot be changed so.
    pub fn in_directory(&self) -> Result<&(Arc<Directory>, Arc<Member>)> {
        self.parent().ok_or_else(|| {
            ClientError::refused("is_root", format!("`{}` is the top of a tree or of a share; name something in it", self.path))
        })
    }

    /// Its name: the last of its path, or the share's.
    pub fn name(&self, vault: &Vault) -> Result<Option<NodeName>> {
        match (self.parent(), &self.share) {
            (Some((_, member)), _) => Ok(Some(member.name.clone())),
            (None, Some(share)) if !share.root().is_home => Ok(Some(vault.share_props(share, &self.held)?.name)),
            _ => Ok(None),
        }
    }
}

impl Vault {
    /// Finds what a path names.
    pub async fn resolve(&self, path: &VaultPath) -> Result<Found> {
        let mut walks = 0;
        loop {
            walks += 1;
            match self.walk(path).await {
                Err(error) if error.kind() == Kind::Stale && walks < WALKS => *self.known_home() = None,
                other => return other,
            }
        }
    }

    /// The id of what a path names, which may be locked.
    pub async fn locate(&self, path: &VaultPath) -> Result<NodeId> {
        let Ok((above, name)) = path.split() else { return Ok(self.resolve(path).await?.held.id) };
        let parent = self.resolve(&above).await?;
        if !parent.is_directory() {
            return Err(not_a_directory(&above));
        }
        let directory = self.load(&parent.held, false).await?;
        directory.by_name(name).map(|member| member.id()).ok_or_else(|| no_such(path))
    }

    /// The same; `None` if there is nothing under that path.
    pub async fn find_node(&self, path: &VaultPath) -> Result<Option<Found>> {
        match self.resolve(path).await {
            Ok(found) => Ok(Some(found)),
            Err(error) if error.code() == NO_SUCH => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn walk(&self, path: &VaultPath) -> Result<Found> {
        let known = if path.names().is_empty() { None } else { self.known_home().clone() };
        let (share, held) = match (path.place(), known) {
            (Place::Home, Some(held)) => (None, held),
            _ => self.open_place(path).await?,
        };
        let top = path.top();
        let mut found = Found::top(top, held, share);
        for name in path.names() {
            if !found.is_directory() {
                return Err(not_a_directory(&found.path));
            }
            let directory = self.load(&found.held, false).await?;
            found.path = found.path.child(name);
            let member = Arc::clone(directory.by_name(name).ok_or_else(|| no_such(&found.path))?);
            found.held = self.descend(&directory, &member).await.map_err(|error| named(error, &found.path))?;
            found.way.push((directory, member));
            (found.share, found.current) = (None, None);
        }
        if let (Some((_, member)), false) = (found.parent(), found.is_directory()) {
            found.current = self.manifests(std::slice::from_ref(member)).await?.pop();
        }
        Ok(found)
    }

    /// Opens what a path begins at.
    pub(super) async fn open_place(&self, path: &VaultPath) -> Result<(Option<Arc<Share>>, Held)> {
        match path.place() {
            Place::Home => Ok((None, self.home().await?)),
            Place::Sharers | Place::SharedBy(_) | Place::Groups => {
                Err(ClientError::invalid(format!("`{path}` is a list, not a place in a tree; name one of what `ticrypt ls {path}` shows")))
            }
            Place::Group { label } => Ok((None, Box::pin(self.open_group(label)).await?)),
            Place::Share { sharer, label } => {
                let (share, held) = self.find_share(sharer, label).await?;
                Ok((Some(share), held))
            }
        }
    }

    /// What one person shares with this one, each with its name.
    pub async fn shares_by(&self, sharer: &UserName) -> Result<Vec<(Arc<Share>, Held, NodeName)>> {
        let roots = self.roots().await?;
        if let Some(unbelieved) = roots.unbelieved.into_iter().find(|unbelieved| unbelieved.sharer.as_ref() == Some(sharer)) {
            return Err(unbelieved.why);
        }
        let shares: Vec<_> = roots.shares.into_iter().filter(|share| share.sharer() == sharer && !share.is_locked()).collect();
        let held = self.open_shares(&shares).await?;
        let mut named = Vec::with_capacity(shares.len());
        for (share, held) in shares.into_iter().zip(held) {
            let name = self.share_props(&share, &held)?.name;
            named.push((share, held, name));
        }
        named.sort_by(|a, b| (&a.2, a.1.id).cmp(&(&b.2, b.1.id)));
        Ok(named)
    }

    /// What one person shares and the server keeps the keys of back, each with a word in the place of its name.
    pub(super) async fn locked_by(&self, sharer: &UserName) -> Result<Vec<(Arc<Share>, String)>> {
        let name = NodeName::parse(NAMELESS).map_err(|e| ClientError::broken("a fixed name is no name").because(e))?;
        let locked = self.roots().await?.shares.into_iter().filter(|share| share.sharer() == sharer && share.is_locked());
        Ok(locked.map(|share| (Arc::clone(&share), Label::exact(&name, share.root().grant.node))).collect())
    }

    async fn find_share(&self, sharer: &UserName, label: &Label) -> Result<(Arc<Share>, Held)> {
        let mut by_name = Vec::new();
        for (share, held, name) in self.shares_by(sharer).await? {
            match label.matches(&name, held.id) {
                Match::Exact => return Ok((share, held)),
                Match::ByName => by_name.push((share, held, name)),
                Match::No => {}
            }
        }
        let hidden = if by_name.is_empty() { self.locked_by(sharer).await? } else { Vec::new() };
        if hidden.iter().any(|(_, name)| name == label.as_str()) {
            return Err(locked());
        }
        if !hidden.is_empty() {
            return Err(ClientError::refused(
                LOCKED,
                format!(
                    "`/@shared/{sharer}/{}` is not among what {sharer} shares with you; some of it is locked, and its names cannot be read \
                     before its project is in your working set (`ticrypt work`)",
                    ticrypt_types::name::Harmless(label.as_str())
                ),
            ));
        }
        let several: Vec<String> = by_name.iter().map(|(_, held, name)| Label::exact(name, held.id)).collect();
        match (by_name.pop(), by_name.is_empty()) {
            (Some((share, held, _)), true) => Ok((share, held)),
            (Some(_), false) => Err(ClientError::invalid(format!(
                "{sharer} shares several things of this name; say which: {}",
                ticrypt_types::name::Harmless(&several.join(", "))
            ))),
            (None, _) => Err(no_such_text(&format!("/@shared/{sharer}/{}", ticrypt_types::name::Harmless(label.as_str())))),
        }
    }

    /// The directory a new thing goes into, loaded, and the thing's name.
    pub(super) async fn resolve_parent(&self, path: &VaultPath) -> Result<(Arc<Directory>, NodeName)> {
        let (above, name) = path.split().map_err(|e| ClientError::invalid(e.to_string()))?;
        let found = self.resolve(&above).await?;
        Ok((self.load_found(&found, true).await?, name.clone()))
    }

    /// Loads a directory that was found.
    pub async fn load_found(&self, found: &Found, manifests: bool) -> Result<Arc<Directory>> {
        if !found.is_directory() {
            return Err(not_a_directory(&found.path));
        }
        self.load(&found.held, manifests).await
    }

    /// What is current in a file that was found.
    pub fn current_of(&self, found: &Found) -> Result<Current> {
        match &found.current {
            Some(view) => self.current(&found.held, view),
            None if found.is_directory() => Err(ClientError::refused("not_a_file", format!("`{}` is a directory", found.path))),
            None => Err(lie("the server withholds what is current in a file")),
        }
    }
}

/// A locked thing is told by its path.
fn named(error: ClientError, path: &VaultPath) -> ClientError {
    if error.code() == LOCKED { ClientError::refused(LOCKED, format!("`{path}`: {}", error.message())) } else { error }
}

/// What a locked share is called: its name is under keys that nobody has at hand.
const NAMELESS: &str = "locked";
const NO_SUCH: &str = "no_such_path";

fn no_such(path: &VaultPath) -> ClientError {
    no_such_text(&path.to_string())
}

fn no_such_text(path: &str) -> ClientError {
    ClientError::new(Kind::NotFound, NO_SUCH, format!("`{path}` is not in the vault; check the path with `ticrypt ls`"))
}

pub(super) fn not_a_directory(path: &VaultPath) -> ClientError {
    ClientError::refused("not_a_directory", format!("`{path}` is a file, not a directory"))
}
