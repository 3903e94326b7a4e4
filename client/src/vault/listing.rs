//! Looking: what is in a directory, in a tree, in the whole vault.

use std::sync::Arc;

use globset::GlobMatcher;
use serde::Serialize;
use ticrypt_crypto::Digest;
use ticrypt_types::{NodeId, NodeKind, ProjectId, Timestamp, UserName};

use super::Vault;
use super::load::{LIST_DIRECTORIES, blocking};
use super::path::{Label, Place, VaultPath};
use super::plan::Kind;
use super::put::stored_kind;
use super::resolve::Found;
use super::tree::{Current, Directory, Held, Member, moved_on};
use super::trust::{Tree, Trust};
use crate::error::{ClientError, Result};

/// One node, as people look at it.
#[derive(Clone, Debug, Serialize)]
pub struct Listed {
    pub path: String,
    pub name: String,
    pub node: NodeId,
    pub kind: ListedKind,
    /// Plaintext bytes of a file.
    pub size_bytes: Option<u64>,
    pub created_ms: Timestamp,
    pub modified_ms: Timestamp,
    /// Permission bits.
    pub mode: u16,
    pub sha256: Option<Digest>,
    /// Which version of a file is current.
    pub sequence: Option<u64>,
    /// Losers of races, kept in the history.
    pub conflicts: u32,
    /// Live shares of this very node.
    pub shares: u32,
    /// Somebody lost access above, and new keys are still to be made.
    pub keys_stale: bool,
    /// Who wrote what is current.
    pub writer: Option<UserName>,
    /// Its own tags; those of what it is in apply to it as well.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<ProjectId>,
    /// The project it is tagged with is not in the working set: a name, of a file also size and time, and nothing to be done with it.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub locked: bool,
    #[serde(skip)]
    pub vault_path: VaultPath,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ListedKind {
    Directory,
    File,
    Link,
    /// A person who shares, in the list of shares.
    Sharer,
    /// A group, in the list of groups.
    Group,
}

/// What to look for. Everything asked for must hold.
#[derive(Clone, Debug, Default)]
pub struct Query {
    pub name: Option<GlobMatcher>,
    pub kind: Option<ListedKind>,
    pub min_bytes: Option<u64>,
    pub max_bytes: Option<u64>,
    pub newer_than: Option<Timestamp>,
    pub older_than: Option<Timestamp>,
    /// Levels below the start; 0 is the start alone.
    pub max_depth: Option<usize>,
}

/// Sizes below a directory.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Usage {
    pub path: String,
    pub files: u64,
    pub directories: u64,
    pub bytes: u64,
}

/// What is in a directory: names at once, the rest of each when somebody looks at it.
#[derive(Clone, Debug)]
pub struct Contents {
    pub path: VaultPath,
    pub directory: Arc<Directory>,
}

impl Vault {
    /// What is directly at a path: the members of a directory, a file itself, or a list of shares.
    pub async fn list(&self, path: &VaultPath) -> Result<Vec<Listed>> {
        match path.place() {
            Place::Sharers => return self.list_sharers(path).await,
            Place::SharedBy(sharer) => return self.list_shares(sharer).await,
            Place::Groups => return self.list_groups().await,
            Place::Home | Place::Share { .. } | Place::Group { .. } => {}
        }
        let found = self.resolve(path).await?;
        if !found.is_directory() {
            return Ok(vec![self.stat_found(&found)?]);
        }
        let directory = self.load_found(&found, true).await?;
        self.look_at_all(&Contents { path: found.path, directory }).await
    }

    /// The names in a directory that was found.
    pub async fn contents(&self, found: &Found) -> Result<Contents> {
        Ok(Contents { path: found.path.clone(), directory: self.load_found(found, false).await? })
    }

    /// All there is to know of members of a directory, in the order given. What is not known yet is asked for.
    pub async fn look(&self, contents: &Contents, members: Vec<Arc<Member>>) -> Result<Vec<Listed>> {
        let open = members.iter().filter(|member| !member.is_locked());
        let files: Vec<Arc<Member>> = open.clone().filter(|member| !member.is_directory()).cloned().collect();
        let currents = self.currents(&contents.directory, &files).await?;
        self.open_members(&contents.directory, open.filter(|member| member.is_directory()).map(Arc::as_ref)).await?;
        let (trust, contents, boundaries) = (Arc::clone(&self.trust), contents.clone(), Arc::clone(&self.boundaries));
        let look = move || {
            let mut currents = currents.into_iter();
            let one = |member: &Arc<Member>| {
                let directory = &contents.directory;
                if member.is_locked() {
                    return locked(&trust, directory, member, contents.path.child(&member.name));
                }
                let (held, current) = match member.is_directory() {
                    true => (directory.descend(trust.deployment(), member, &boundaries)?, None),
                    // One for each file, in the order of the files.
                    false => currents.next().map(|(held, current)| (held, Some(current))).ok_or_else(moved_on)?,
                };
                listed(&trust, directory, member, &held, current.as_ref(), contents.path.child(&member.name))
            };
            members.iter().map(one).collect()
        };
        blocking(look).await?
    }

    async fn look_at_all(&self, contents: &Contents) -> Result<Vec<Listed>> {
        let mut members: Vec<Arc<Member>> = contents.directory.members().cloned().collect();
        members.sort_by(|a, b| a.name.as_str().cmp(b.name.as_str()));
        self.look(contents, members).await
    }

    /// One node.
    pub async fn stat(&self, path: &VaultPath) -> Result<Listed> {
        let found = self.resolve(path).await?;
        self.stat_found(&found)
    }

    /// One node that was found.
    pub fn stat_found(&self, found: &Found) -> Result<Listed> {
        if let Some((directory, member)) = found.parent() {
            let current = if member.is_directory() { None } else { Some(self.current_of(found)?) };
            return listed(&self.trust, directory, member, &found.held, current.as_ref(), found.path.clone());
        }
        let props = match &found.share {
            Some(share) if !share.root().is_home => Some(self.share_props(share, &found.held)?),
            _ => None,
        };
        let current = if found.is_directory() { None } else { Some(self.current_of(found)?) };
        let view = found.share.as_ref().map(|share| &share.entry.node);
        let times = current.as_ref().map(|current| current.props.modified).or(props.as_ref().map(|props| props.modified));
        Ok(Listed {
            path: found.path.to_string(),
            name: props.as_ref().map_or_else(|| "/".to_owned(), |props| props.name.as_str().to_owned()),
            node: found.held.id,
            kind: kind_of(found.held.kind, current.as_ref()),
            size_bytes: current.as_ref().map(|current| current.manifest.size),
            created_ms: props.as_ref().map(|props| props.created).unwrap_or_default(),
            modified_ms: times.unwrap_or_default(),
            mode: current.as_ref().map_or(0, |current| current.props.mode),
            sha256: current.as_ref().map(|current| current.props.sha256),
            sequence: current.as_ref().map(|current| current.manifest.sequence),
            conflicts: view.map_or(0, |view| view.conflicts),
            shares: view.map_or(0, |view| view.shares),
            keys_stale: view.is_some_and(|view| view.keys_stale),
            writer: current.as_ref().and_then(|current| self.writer_name(&current.manifest.writer_bundle)),
            tags: Vec::new(),
            locked: false,
            vault_path: found.path.clone(),
        })
    }

    pub(super) fn writer_name(&self, bundle: &Digest) -> Option<UserName> {
        writer_name(&self.trust, bundle)
    }

    async fn list_sharers(&self, path: &VaultPath) -> Result<Vec<Listed>> {
        let roots = self.roots().await?;
        // Whoever looks at what an unbelieved person shares is told why nothing is shown.
        let unbelieved = roots.unbelieved.into_iter().filter_map(|unbelieved| unbelieved.sharer);
        let mut names: Vec<UserName> = roots.shares.iter().map(|share| share.sharer().clone()).chain(unbelieved).collect();
        names.sort();
        names.dedup();
        let one = |name: UserName| -> Result<Listed> {
            let below = VaultPath::parse(&format!("{}/{name}", path.text())).map_err(|e| ClientError::invalid(e.to_string()))?;
            let own = self.me().user.to_bytes();
            // A person stands in the list, not a node; the id says nothing.
            let id = NodeId::try_from(own).map_err(|e| ClientError::broken(e.to_string()))?;
            let bare = nothing_of(id, NodeKind::Directory, name.to_string(), below);
            Ok(Listed { kind: ListedKind::Sharer, locked: false, ..bare })
        };
        names.into_iter().map(one).collect()
    }

    async fn list_shares(&self, sharer: &UserName) -> Result<Vec<Listed>> {
        let shares = self.shares_by(sharer).await?;
        let mut listed = Vec::with_capacity(shares.len());
        for (share, held, name) in &shares {
            let twice = shares.iter().filter(|(_, _, other)| other == name).count() > 1;
            let label = if twice { Label::exact(name, held.id) } else { name.as_str().to_owned() };
            let path = VaultPath::of_share(sharer, &label).map_err(|e| ClientError::invalid(e.to_string()))?;
            let found = Found::top(path, held.clone(), Some(Arc::clone(share)));
            listed.push(Listed { name: label, ..self.stat_found(&found)? });
        }
        for (share, name) in self.locked_by(sharer).await? {
            let path = VaultPath::of_share(sharer, &name).map_err(|e| ClientError::invalid(e.to_string()))?;
            listed.push(nothing_of(share.root().grant.node, share.root().grant.kind, name, path));
        }
        Ok(listed)
    }

    /// Walks a tree and hands over what it finds, directory by directory, each before what is in it; `false` does not enter a directory.
    pub async fn walk_tree(
        &self,
        path: &VaultPath,
        max_depth: Option<usize>,
        mut take: impl FnMut(usize, &Listed) -> Result<bool>,
    ) -> Result<()> {
        let found = self.resolve(path).await?;
        let start = self.stat_found(&found)?;
        if !take(0, &start)? || !found.is_directory() {
            return Ok(());
        }
        let mut stack = vec![(1, found.path.clone(), found.held)];
        while !stack.is_empty() {
            let from = stack.len().saturating_sub(LIST_DIRECTORIES);
            let some = stack.split_off(from);
            let held = some.iter().map(|(_, _, held)| held.clone()).collect();
            let loaded = self.load_all(held, true).await?;
            for (directory, (depth, path, _)) in loaded.iter().zip(some) {
                if max_depth.is_some_and(|max| depth > max) {
                    continue;
                }
                let contents = Contents { path, directory: Arc::clone(directory) };
                for listed in self.look_at_all(&contents).await? {
                    let enter = take(depth, &listed)?;
                    if enter
                        && listed.kind == ListedKind::Directory
                        && !listed.locked
                        && let Some(member) = directory.by_id(listed.node)
                    {
                        stack.push((depth + 1, listed.vault_path.clone(), self.descend(directory, member).await?));
                    }
                }
            }
        }
        Ok(())
    }

    /// Everything below a path that fits a query, by path.
    pub async fn find(&self, path: &VaultPath, query: &Query) -> Result<Vec<Listed>> {
        let mut found = Vec::new();
        self.walk_tree(path, query.max_depth, |_, listed| {
            if query.matches(listed) {
                found.push(listed.clone());
            }
            Ok(true)
        })
        .await?;
        found.sort_by(|a, b| a.vault_path.cmp(&b.vault_path));
        Ok(found)
    }

    /// Sizes below a path: of each directory down to `depth`, the path itself last.
    pub async fn usage(&self, path: &VaultPath, depth: usize) -> Result<Vec<Usage>> {
        let mut below: std::collections::BTreeMap<VaultPath, Usage> = std::collections::BTreeMap::new();
        let top = self.resolve(path).await?.path;
        self.walk_tree(path, None, |level, listed| {
            let mut at = Some(listed.vault_path.clone());
            let mut level = level;
            while let Some(place) = at {
                let is_directory = listed.kind == ListedKind::Directory;
                if level <= depth && (level == 0 || is_directory || place != listed.vault_path) {
                    let usage = below.entry(place.clone()).or_default();
                    usage.files += u64::from(!is_directory);
                    usage.directories += u64::from(is_directory && place != listed.vault_path);
                    usage.bytes += listed.size_bytes.unwrap_or(0);
                }
                at = if place == top { None } else { place.split().ok().map(|(above, _)| above) };
                level = level.saturating_sub(1);
            }
            Ok(true)
        })
        .await?;
        let mut usages: Vec<Usage> = below.into_iter().map(|(path, usage)| Usage { path: path.to_string(), ..usage }).collect();
        usages.reverse();
        Ok(usages)
    }
}

impl Query {
    pub fn matches(&self, listed: &Listed) -> bool {
        let size = listed.size_bytes.unwrap_or(0);
        self.name.as_ref().is_none_or(|name| name.is_match(&listed.name))
            && self.kind.is_none_or(|kind| kind == listed.kind)
            && self.min_bytes.is_none_or(|min| listed.size_bytes.is_some() && size >= min)
            && self.max_bytes.is_none_or(|max| listed.size_bytes.is_some() && size <= max)
            && self.newer_than.is_none_or(|time| listed.modified_ms > time)
            && self.older_than.is_none_or(|time| listed.modified_ms != Timestamp::ABSENT && listed.modified_ms < time)
    }
}

fn listed(
    trust: &Trust,
    directory: &Directory,
    member: &Member,
    held: &Held,
    current: Option<&Current>,
    path: VaultPath,
) -> Result<Listed> {
    let props = directory.props(trust.deployment(), member, held)?;
    Ok(Listed {
        path: path.to_string(),
        name: member.name.as_str().to_owned(),
        node: member.id(),
        kind: kind_of(member.kind(), current),
        size_bytes: current.map(|current| current.manifest.size),
        created_ms: props.created,
        modified_ms: current.map_or(props.modified, |current| current.props.modified),
        mode: current.map_or(props.mode, |current| current.props.mode),
        sha256: current.map(|current| current.props.sha256),
        sequence: current.map(|current| current.manifest.sequence),
        conflicts: member.view.conflicts,
        shares: member.view.shares,
        keys_stale: member.view.keys_stale,
        writer: current.and_then(|current| writer_name(trust, &current.manifest.writer_bundle)),
        tags: member.tags.clone(),
        locked: false,
        vault_path: path,
    })
}

/// A name; of a file also its size, which its writer signed.
fn locked(trust: &Trust, directory: &Directory, member: &Member, path: VaultPath) -> Result<Listed> {
    let tree = Tree { owner: directory.held.root.owner(), lineage: &directory.held.lineage.below(member.id()), is_whole: false };
    let manifest = member.current.as_ref().map(|view| trust.manifest(&view.manifest, tree)).transpose()?;
    let size_bytes = manifest.map(|manifest| manifest.size);
    let name = member.name.as_str().to_owned();
    Ok(Listed { size_bytes, created_ms: member.view.created_ms, ..nothing_of(member.id(), member.kind(), name, path) })
}

/// What is listed of something whose keys are not at hand.
pub(super) fn nothing_of(node: NodeId, kind: NodeKind, name: String, path: VaultPath) -> Listed {
    Listed {
        path: path.to_string(),
        name,
        node,
        kind: kind_of(kind, None),
        size_bytes: None,
        created_ms: Timestamp::ABSENT,
        modified_ms: Timestamp::ABSENT,
        mode: 0,
        sha256: None,
        sequence: None,
        conflicts: 0,
        shares: 0,
        keys_stale: false,
        writer: None,
        tags: Vec::new(),
        locked: true,
        vault_path: path,
    }
}

fn writer_name(trust: &Trust, bundle: &Digest) -> Option<UserName> {
    trust.bundle(bundle).map(|bundle| bundle.payload().name.clone())
}

fn kind_of(kind: NodeKind, current: Option<&Current>) -> ListedKind {
    match (kind, current.map(stored_kind)) {
        (NodeKind::Directory, _) => ListedKind::Directory,
        (NodeKind::File, Some(Kind::Link)) => ListedKind::Link,
        (NodeKind::File, _) => ListedKind::File,
    }
}
