//! Loading directories: asked for in batches, put together from pages, verified, and held against what was seen before.

use std::collections::HashMap;
use std::sync::Arc;

use futures::stream::{self, StreamExt, TryStreamExt};
use ticrypt_api::Blob;
use ticrypt_api::node::{DirectoryView, EntryView, ListItem, ListRequest, ManifestView, StatRequest};
use ticrypt_types::NodeId;
use tokio::task::{JoinError, JoinHandle};

use super::Vault;
use super::tree::{Current, Directory, Held, Member, OpenedPage, moved_on, verify_current, verify_past};
use super::trust::lie;
use crate::error::{ClientError, Result};
use crate::state::{SeenKind, Sight};

/// Entries of one reply, with what is current in each file, and without.
const LIST_LIMIT: u32 = 1_000;
const NAMES_LIMIT: u32 = 4_000;
/// Files that are looked at in one request, and such requests at once: while one is answered, another is verified.
const LOOK_FILES: usize = 1_000;
const LOOKS: usize = 2;
/// Directories of one request.
pub(super) const LIST_DIRECTORIES: usize = 256;
/// How often a listing is begun again because somebody writes to the directory meanwhile.
const RESTARTS: usize = 8;

/// A page being opened on another thread.
type Opening = JoinHandle<Result<OpenedPage>>;

impl Vault {
    /// Loads one directory.
    pub async fn load(&self, held: &Held, manifests: bool) -> Result<Arc<Directory>> {
        self.load_all(vec![held.clone()], manifests).await?.pop().ok_or_else(|| lie("the server sent no listing"))
    }

    /// Loads directories, in the order asked.
    pub async fn load_all(&self, wanted: Vec<Held>, manifests: bool) -> Result<Vec<Arc<Directory>>> {
        let mut loaded = Vec::with_capacity(wanted.len());
        for some in wanted.chunks(LIST_DIRECTORIES) {
            loaded.extend(self.load_batch(some, manifests).await?);
        }
        Ok(loaded)
    }

    async fn load_batch(&self, wanted: &[Held], manifests: bool) -> Result<Vec<Arc<Directory>>> {
        // What was seen before asking: the answer may not be older than this. What our own other tasks see meanwhile does not count.
        let before: HashMap<NodeId, u64> =
            wanted.iter().filter_map(|held| Some((held.id, self.session.seen.highest(SeenKind::Head, held.id)?.0))).collect();
        let mut done = Vec::with_capacity(wanted.len());
        let mut restarts = 0;
        while let Some(rest) = wanted.get(done.len()..).filter(|rest| !rest.is_empty()) {
            match self.pages(rest, manifests).await {
                Ok(found) if found.is_empty() => return Err(lie("the server sent no listing")),
                Ok(found) => {
                    for (held, pages) in rest.iter().zip(found) {
                        match self.verify_listing(held.clone(), pages, before.get(&held.id).copied()).await {
                            Ok(directory) => done.push(directory),
                            // Another task of ours has seen or made a newer state since this was asked for.
                            Err(error) if error.kind() == crate::Kind::Stale && restarts < RESTARTS => {
                                restarts += 1;
                                break;
                            }
                            Err(error) => return Err(error),
                        }
                    }
                }
                Err(error) if error.kind() == crate::Kind::Stale && restarts < RESTARTS => restarts += 1,
                Err(error) => return Err(error),
            }
        }
        Ok(done)
    }

    /// All pages of the first directories that fit: whole ones only.
    async fn pages(&self, wanted: &[Held], manifests: bool) -> Result<Vec<Vec<Opening>>> {
        let limit = if manifests { LIST_LIMIT } else { NAMES_LIMIT };
        let items = wanted.iter().map(|held| ListItem { directory: held.id, page: None }).collect();
        let reply = self.server().list(ListRequest { items, limit, manifests }).await?;
        self.admit(&reply.grants, &reply.directories).await?;
        let mut found: Vec<Vec<Opening>> = Vec::new();
        for (held, view) in wanted.iter().zip(reply.directories) {
            if view.node.node != held.id {
                return Err(lie("the server sent the listing of another directory"));
            }
            let mut next = view.next.clone();
            let mut pages = vec![self.open_page(held, view)];
            while let Some(page) = next {
                let items = vec![ListItem { directory: held.id, page: Some(page) }];
                let reply = self.server().list(ListRequest { items, limit, manifests }).await?;
                self.admit(&reply.grants, &reply.directories).await?;
                let [view]: [DirectoryView; 1] =
                    reply.directories.try_into().map_err(|_| lie("the server sent another page than was asked for"))?;
                if view.node.node != held.id || view.entries.is_empty() {
                    return Err(lie("the server sent another page than was asked for"));
                }
                next = view.next.clone();
                pages.push(self.open_page(held, view));
            }
            found.push(pages);
        }
        Ok(found)
    }

    /// Begins to read a page, while others are asked for.
    fn open_page(&self, held: &Held, page: DirectoryView) -> Opening {
        let (held, deployment) = (held.clone(), self.deployment());
        tokio::task::spawn_blocking(move || OpenedPage::open(deployment, &held, page))
    }

    async fn verify_listing(&self, held: Held, openings: Vec<Opening>, before: Option<u64>) -> Result<Arc<Directory>> {
        let trust = Arc::clone(&self.trust);
        let mut pages = Vec::with_capacity(openings.len());
        for opening in openings {
            pages.push(opening.await.map_err(ended_early)??);
        }
        let directory = blocking(move || Directory::verify(&trust, held, pages)).await??;
        let counter = directory.head.counter;
        if before.is_some_and(|before| counter < before) {
            // Says so in the words of the memory itself.
            self.saw(SeenKind::Head, directory.id(), counter, directory.head.record_hash())?;
        }
        match self.session.seen.highest(SeenKind::Head, directory.id()) {
            Some((highest, _)) if counter < highest => return Err(moved_on()),
            _ => self.saw(SeenKind::Head, directory.id(), counter, directory.head.record_hash())?,
        }
        Ok(Arc::new(directory))
    }

    pub(super) fn saw(&self, kind: SeenKind, id: NodeId, counter: u64, hash: ticrypt_crypto::Digest) -> Result<()> {
        self.session.seen.check_and_raise(kind, id, counter, hash)
    }

    /// Takes the grants and the writers' bundles that a reply's records rest on.
    async fn admit(&self, grants: &[Blob], directories: &[DirectoryView]) -> Result<()> {
        let manifests = directories.iter().flat_map(|d| &d.entries).filter_map(|entry| entry.current.as_ref());
        self.admit_records(grants, directories.iter().map(|d| &d.head), manifests.map(|view| &view.manifest)).await
    }

    /// The same for what other replies carry.
    pub(super) async fn admit_records<'a>(
        &self,
        grants: &'a [Blob],
        heads: impl IntoIterator<Item = &'a Blob>,
        manifests: impl IntoIterator<Item = &'a Blob>,
    ) -> Result<()> {
        let (heads, manifests): (Vec<&Blob>, Vec<&Blob>) = (heads.into_iter().collect(), manifests.into_iter().collect());
        for hash in self.trust.missing(grants, heads.iter().copied(), manifests.iter().copied())? {
            let bundle = self.session.users.bundle(&hash).await?;
            self.trust.admit_bundle(bundle);
        }
        for grant in grants {
            self.trust.admit_grant(grant)?;
        }
        for group in self.trust.groups_behind(heads, manifests)? {
            self.trust.admit_group(self.groups.load(group).await?.chain);
        }
        Ok(())
    }

    /// What is current in a file, verified and not older than seen before. `view` comes from a listing whose writers were admitted.
    pub fn current(&self, file: &Held, view: &ManifestView) -> Result<Current> {
        let current = self.verify_version(file, view)?;
        self.saw(SeenKind::Sequence, file.id, current.manifest.sequence, current.manifest.record_hash())?;
        Ok(current)
    }

    /// The same for what is or was current: no memory is asked.
    pub(super) fn verify_version(&self, file: &Held, view: &ManifestView) -> Result<Current> {
        verify_current(&self.trust, self.deployment(), file, view)
    }

    /// The same for what was current when the file perhaps stood elsewhere: its writer's share need not cover the place it has now.
    pub(super) fn verify_past(&self, file: &Held, view: &ManifestView) -> Result<Current> {
        verify_past(&self.trust, self.deployment(), file, view)
    }

    /// What is current in files of one directory, in the order given; asked for where it did not come with the listing. One note to the
    /// memory instead of thousands.
    pub async fn currents(&self, directory: &Arc<Directory>, files: &[Arc<Member>]) -> Result<Vec<(Held, Current)>> {
        let batches: Vec<Vec<Arc<Member>>> = files.chunks(LOOK_FILES).map(<[_]>::to_vec).collect();
        let found = stream::iter(batches).map(|some| self.currents_of_some(directory, some)).buffered(LOOKS);
        let found: Vec<Vec<(Held, Current)>> = found.try_collect().await?;
        Ok(found.into_iter().flatten().collect())
    }

    async fn currents_of_some(&self, directory: &Arc<Directory>, files: Vec<Arc<Member>>) -> Result<Vec<(Held, Current)>> {
        let views = self.manifests(&files).await?;
        self.open_members(directory, files.iter().map(Arc::as_ref)).await?;
        let boundaries = Arc::clone(&self.boundaries);
        let (trust, deployment, directory) = (Arc::clone(&self.trust), self.deployment(), Arc::clone(directory));
        let verified = blocking(move || {
            let verified = files.iter().zip(&views).map(|(member, view)| {
                let held = directory.descend(deployment, member, &boundaries)?;
                let current = verify_current(&trust, deployment, &held, view)?;
                Ok((held, current))
            });
            verified.collect::<Result<Vec<_>>>()
        });
        let found = verified.await??;
        let sight = |(held, current): &(Held, Current)| Sight {
            kind: SeenKind::Sequence,
            id: held.id,
            counter: current.manifest.sequence,
            hash: current.manifest.record_hash(),
        };
        self.session.seen.check_and_raise_all(&found.iter().map(sight).collect::<Vec<_>>())?;
        Ok(found)
    }

    /// Manifests of files of a listed directory, whose writers are admitted; not verified yet.
    pub(super) async fn manifests(&self, files: &[Arc<Member>]) -> Result<Vec<ManifestView>> {
        let missing: Vec<NodeId> = files.iter().filter(|member| member.current.is_none()).map(|member| member.id()).collect();
        let mut asked: HashMap<NodeId, EntryView> = HashMap::new();
        if !missing.is_empty() {
            let reply = self.server().stat(StatRequest { nodes: missing }).await?;
            self.admit_records(&reply.grants, [], reply.nodes.iter().filter_map(|view| Some(&view.current.as_ref()?.manifest))).await?;
            asked.extend(reply.nodes.into_iter().map(|view| (view.node.node, view)));
        }
        let manifest = |member: &Arc<Member>| {
            if let Some(view) = &member.current {
                return Ok(view.clone());
            }
            match asked.remove(&member.id()) {
                Some(view) if view.entry.0 == member.bytes => {
                    view.current.ok_or_else(|| lie("the server withholds what is current in a file"))
                }
                // It is gone, or its entry is another by now.
                _ => Err(moved_on()),
            }
        };
        files.iter().map(manifest).collect()
    }
}

/// Runs work that keeps a core busy, or a disk, away from the network's threads.
pub(super) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(ended_early)
}

fn ended_early(error: JoinError) -> ClientError {
    ClientError::broken("a task of this program ended early; try again").because(error)
}
