//! New keys after somebody lost access (docs/formats.md §6, closing).
//!
//! ```text
//!   roll one node:   new L, T, epoch + 1
//!     ├─ its entry under its parent, and the parent's next head      (or, for the root of a tree, the owner's grant)
//!     ├─ a directory: every entry below, the trash too, and its next head
//!     ├─ a file: every version's content key, every manifest's property key
//!     └─ every remaining grant, sealed anew under unchanged terms
//! ```
//!
//! A writer rolls the nodes on the way to what is written ([`Vault::roll_path`]); `ticrypt rekey` walks a tree and rolls the rest. The server
//! remembers which nodes are still under old keys, so a walk that was interrupted goes on where it stopped.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use ticrypt_api::grant::{GrantFilter, GrantListRequest, GrantView, NewGrant};
use ticrypt_api::node::{EntryView, PageQuery, RekeyRequest};
use ticrypt_api::{Blob, Hash};
use ticrypt_crypto::Digest;
use ticrypt_crypto::entry::{Entry, leaf_hash};
use ticrypt_crypto::grant::GrantPayload;
use ticrypt_crypto::record::Record;
use ticrypt_keyring::wrap::{ManifestPlace, VersionPlace};
use ticrypt_keyring::{NodeKeys, entry as sealed_entry};
use ticrypt_types::{NodeId, NodeKind, VersionId};

use super::Vault;
use super::make::{cannot_seal, new_grant_id, seal_entry, unsigned};
use super::path::VaultPath;
use super::progress::{Cancel, Note, Outcome, Progress, Report};
use super::put::cancelled;
use super::retry::Attempts;
use super::tree::{Directory, Held, Member, sealed};
use super::trust::lie;
use crate::error::{ClientError, Kind, Result};
use crate::keys::Batch;
use crate::state::SeenKind;

const PAGE: u32 = 1_000;

/// What hangs under a node's old keys, made anew under its new ones.
#[derive(Default)]
struct Contents {
    entries: Vec<Blob>,
    /// Of the entries that are not in the trash.
    leaves: Vec<(NodeId, Digest)>,
    content_wraps: Vec<(VersionId, Blob)>,
    props_keys: Vec<(Hash, Blob)>,
}

/// Who has a share of a node.
#[derive(Debug, Default)]
pub(super) struct OnNode {
    pub living: Vec<GrantView>,
    /// Sealed to keys that their person lost; nobody opens these again.
    pub dead: Vec<GrantView>,
}

impl Vault {
    /// Gives new keys to those nodes on the way to `path` that the server names, from the top down.
    pub(super) async fn roll_path(&self, path: &VaultPath, nodes: &[NodeId]) -> Result<()> {
        let named: HashSet<NodeId> = nodes.iter().copied().collect();
        let (share, mut held) = Box::pin(self.open_place(path)).await?;
        if named.contains(&held.id) {
            self.roll_root(&held).await?;
            held = match share {
                None => self.home().await?,
                Some(_) => self.open_place(path).await?.1,
            };
        }
        for name in path.names() {
            let mut directory = self.load(&held, false).await?;
            let Some(mut member) = directory.by_name(name).cloned() else { return Ok(()) };
            if named.contains(&member.id()) {
                self.roll_member(&held, member.id()).await?;
                directory = self.load(&held, false).await?;
                let Some(rolled) = directory.by_name(name).cloned() else { return Ok(()) };
                member = rolled;
            }
            held = self.descend(&directory, &member)?;
            if held.kind == NodeKind::File {
                break;
            }
        }
        Ok(())
    }

    /// Walks a tree and gives new keys to every node that is still under old ones.
    pub async fn rekey(&self, path: &VaultPath, progress: &dyn Progress, cancel: &Cancel) -> Result<Report> {
        cancel.run_until_cancelled(self.rekey_tree(path, progress)).await.unwrap_or_else(|| Err(cancelled()))
    }

    async fn rekey_tree(&self, path: &VaultPath, progress: &dyn Progress) -> Result<Report> {
        let mut report = Report::default();
        let mut found = self.resolve(path).await?;
        // From the top: a node under old keys cannot be given new ones while the directory above it waits for its own.
        let mut above = Vec::new();
        let mut step = VaultPath::home();
        if let super::path::Place::Home = path.place() {
            for name in path.names() {
                above.push(step.clone());
                step = step.child(name);
            }
        }
        for place in above {
            let held = self.resolve(&place).await?;
            self.rekey_one(&held, &mut report, progress).await?;
        }
        found = self.resolve(&found.path).await?;
        self.rekey_one(&found, &mut report, progress).await?;
        let found = self.resolve(path).await?;
        let mut stack = Vec::new();
        if found.is_directory() {
            stack.push((found.path.clone(), found.held));
        }
        while let Some((at, held)) = stack.pop() {
            let mut directory = self.load(&held, false).await?;
            let stale: Vec<NodeId> = directory.sorted().iter().filter(|member| member.view.keys_stale).map(|member| member.id()).collect();
            progress.expect(stale.len() as u64, 0);
            for node in &stale {
                if let Some(member) = directory.by_id(*node) {
                    progress.begin(&at.child(&member.name).to_string());
                }
                self.roll_member(&held, *node).await?;
                count(&mut report, directory.by_id(*node));
                progress.finish(1);
            }
            if !stale.is_empty() {
                directory = self.load(&held, false).await?;
            }
            for member in directory.members().filter(|member| member.is_directory()) {
                match self.descend(&directory, member) {
                    Ok(below) => stack.push((at.child(&member.name), below)),
                    Err(error) => report.notes.push(Note {
                        path: at.child(&member.name).to_string(),
                        outcome: Outcome::Failed,
                        reason: error.to_string(),
                    }),
                }
            }
        }
        Ok(report)
    }

    async fn rekey_one(&self, found: &super::Found, report: &mut Report, progress: &dyn Progress) -> Result<()> {
        match &found.parent {
            Some((directory, member)) if member.view.keys_stale => {
                progress.begin(&found.path.to_string());
                self.roll_member(&directory.held, member.id()).await?;
                count(report, Some(member));
            }
            None if found.held.root.is_home => {
                let directory = self.load(&found.held, false).await?;
                if directory.view.keys_stale {
                    progress.begin("/");
                    self.roll_root(&found.held).await?;
                    report.directories += 1;
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// New keys for a child, until the change fits what others do at the same time.
    pub(super) async fn roll_member(&self, parent: &Held, node: NodeId) -> Result<()> {
        let mut attempts = Attempts::default();
        loop {
            let directory = self.load(parent, false).await?;
            let Some(member) = directory.by_id(node) else { return Ok(()) };
            match self.roll_once(&directory, member).await {
                Ok(()) => return Ok(()),
                // Others above are named by whoever called; here only races are run again.
                Err(error) if error.kind() == Kind::Stale => attempts.again(self, error, &VaultPath::home()).await?,
                Err(error) => return Err(error),
            }
        }
    }

    async fn roll_once(&self, directory: &Directory, member: &Arc<Member>) -> Result<()> {
        let held = self.descend(directory, member)?;
        held.tree_key()?;
        let props = directory.props(self.deployment(), member, &held)?;
        let next = self.next_keys(&held)?;
        let contents = self.contents_anew(&held, &next).await?;
        let entry = seal_entry(&self.random, self.deployment(), &directory.held, (held.id, held.kind, next.epoch), &next.keys, &props)?;
        let entry = entry.to_bytes();
        let author = self.author(&held.root);
        let leaves = directory.leaves().map(|(id, leaf)| (id, if id == held.id { leaf_hash(&entry) } else { leaf })).collect();
        let parent_head = author.head(directory.id(), directory.held.epoch, Some(&directory.head), leaves)?;
        let mut heads = vec![parent_head];
        if held.kind == NodeKind::Directory {
            let before = self.load(&held, false).await?;
            heads.push(author.head(held.id, next.epoch, Some(&before.head), contents.leaves.clone())?);
        }
        let signed = self.sign_heads(heads).await?;
        let grants = self.reseal(&held, &next, &[]).await?;
        let mut blobs = signed.iter().map(|(bytes, _)| bytes.clone());
        let request = RekeyRequest {
            node: held.id,
            epoch: next.epoch,
            entry: Some(Blob(entry)),
            parent_head: Some(blobs.next().ok_or_else(unsigned)?),
            entries: contents.entries,
            head: blobs.next(),
            content_wraps: contents.content_wraps,
            props_keys: contents.props_keys,
            grants,
        };
        self.server().rekey(request).await?;
        for (_, head) in signed {
            self.saw(SeenKind::Head, head.directory, head.counter, head.record_hash())?;
        }
        Ok(())
    }

    /// New keys for the root of one's own tree; another's root is theirs to roll.
    async fn roll_root(&self, held: &Held) -> Result<()> {
        if !held.root.is_home {
            return Err(ClientError::refused(
                "epoch_closed",
                "somebody lost access to what is shared with you here, and only who holds the directory above can make its new keys: ask its owner to run `ticrypt rekey`",
            ));
        }
        let mut attempts = Attempts::default();
        loop {
            match self.roll_root_once().await {
                Err(error) if error.kind() == Kind::Stale => attempts.again(self, error, &VaultPath::home()).await?,
                other => return other,
            }
        }
    }

    async fn roll_root_once(&self) -> Result<()> {
        let held = self.home().await?;
        let before = self.load(&held, false).await?;
        let next = self.next_keys(&held)?;
        let contents = self.contents_anew(&held, &next).await?;
        let head = self.author(&held.root).head(held.id, next.epoch, Some(&before.head), contents.leaves.clone())?;
        let (bytes, head) = self.sign_head(head).await?;
        let own = Arc::clone(&held.root.grant);
        let own_bytes = self.trust.envelope(&own.record_hash()).ok_or_else(|| lie("one's own grant is not at hand"))?;
        let grants = self.reseal(&held, &next, &[Blob(own_bytes)]).await?;
        let request = RekeyRequest {
            node: held.id,
            epoch: next.epoch,
            entry: None,
            parent_head: None,
            entries: contents.entries,
            head: Some(bytes),
            content_wraps: Vec::new(),
            props_keys: Vec::new(),
            grants,
        };
        self.server().rekey(request).await?;
        self.saw(SeenKind::Head, held.id, head.counter, head.record_hash())
    }

    fn next_keys(&self, held: &Held) -> Result<Held> {
        let keys = Arc::new(NodeKeys::generate(&self.random).map_err(cannot_seal)?);
        let epoch = held.epoch.checked_add(1).ok_or_else(|| ClientError::broken("the node has had too many keys"))?;
        Ok(Held { epoch, keys, ..held.clone() })
    }

    async fn contents_anew(&self, held: &Held, next: &Held) -> Result<Contents> {
        match held.kind {
            NodeKind::Directory => self.entries_anew(held, next).await,
            NodeKind::File => self.versions_anew(held, next).await,
        }
    }

    async fn entries_anew(&self, held: &Held, next: &Held) -> Result<Contents> {
        let directory = self.load(held, false).await?;
        let mut contents = Contents::default();
        for member in directory.members() {
            let entry = self.entry_anew(held, next, &member.entry)?;
            contents.leaves.push((member.id(), leaf_hash(&entry.0)));
            contents.entries.push(entry);
        }
        for view in self.trashed_in(held).await? {
            let entry = Entry::parse(&view.entry.0).map_err(|e| lie("an entry in the trash cannot be read").because(e))?;
            contents.entries.push(self.entry_anew(held, next, &entry)?);
        }
        Ok(contents)
    }

    /// The same child with the same keys, under its directory's new ones.
    fn entry_anew(&self, held: &Held, next: &Held, entry: &Entry) -> Result<Blob> {
        let deployment = self.deployment();
        let keys = child_keys(deployment, &held.keys, entry)?;
        let name = sealed_entry::open_name(deployment, &held.keys.list, entry).map_err(|e| sealed("a name", e))?;
        let props = sealed_entry::open_props(deployment, &keys.list, entry, Some(&name)).map_err(|e| sealed("properties", e))?;
        let child = (entry.child, entry.kind, entry.child_epoch);
        Ok(Blob(seal_entry(&self.random, deployment, next, child, &keys, &props)?.to_bytes()))
    }

    async fn versions_anew(&self, held: &Held, next: &Held) -> Result<Contents> {
        let (old, new) = (held.tree_key()?, next.tree_key()?);
        let reply = self.server().versions(held.id).await?;
        self.admit_records(&reply.grants, [], reply.manifests.iter().map(|view| &view.manifest)).await?;
        let mut contents = Contents::default();
        for stored in &reply.contents {
            let at = |epoch| VersionPlace { deployment: self.deployment(), file: held.id, epoch, version: stored.version };
            let key = old.unwrap_content(&at(held.epoch), &stored.content_wrap.0).map_err(|e| sealed("a content key", e))?;
            let wrap = new.wrap_content(&self.random, &at(next.epoch), &key).map_err(cannot_seal)?;
            contents.content_wraps.push((stored.version, Blob(wrap)));
        }
        for view in &reply.manifests {
            let manifest = self.trust.manifest(&view.manifest, super::trust::Tree { is_whole: false, ..held.tree() })?;
            let at = |epoch| ManifestPlace {
                deployment: self.deployment(),
                file: held.id,
                epoch,
                version: manifest.version,
                sequence: manifest.sequence,
            };
            let key = held.keys.list.unwrap_props_key(&at(held.epoch), &view.props_key.0);
            let key = key.map_err(|e| sealed("the key of a file's properties", e))?;
            let wrap = next.keys.list.wrap_props_key(&self.random, &at(next.epoch), &key).map_err(cannot_seal)?;
            contents.props_keys.push((Hash(manifest.record_hash().to_bytes()), Blob(wrap)));
        }
        Ok(contents)
    }

    /// What is in the trash of one directory.
    pub(super) async fn trashed_in(&self, directory: &Held) -> Result<Vec<EntryView>> {
        let mut page = None;
        let mut found = Vec::new();
        loop {
            let reply = self.server().trash_list(PageQuery { limit: Some(PAGE), page }).await?;
            found.extend(reply.entries.into_iter().filter(|view| view.node.parent == Some(directory.id)));
            page = reply.next;
            if page.is_none() {
                return Ok(found);
            }
        }
    }

    /// Every grant on a node, other than its owner's own.
    pub(super) async fn grants_on(&self, node: NodeId) -> Result<OnNode> {
        let mut page = None;
        let mut found = OnNode::default();
        loop {
            let request = GrantListRequest { filter: GrantFilter::OnNode, node: Some(node), limit: PAGE, page };
            let reply = self.server().grants(request).await?;
            found.living.extend(reply.grants);
            found.dead.extend(reply.dead);
            page = reply.next;
            if page.is_none() {
                return Ok(found);
            }
        }
    }

    /// Seals a node's new keys to everybody who remains, each under the terms they have.
    async fn reseal(&self, held: &Held, next: &Held, own: &[Blob]) -> Result<Vec<NewGrant>> {
        let mut old: HashMap<Digest, (Blob, Option<ticrypt_types::UserName>)> = HashMap::new();
        for view in self.grants_on(held.id).await?.living {
            let hash = self.grant_of(&view.grant).await?.record_hash();
            old.insert(hash, (view.grant, Some(view.recipient_name)));
        }
        for bytes in own {
            old.entry(self.grant_of(bytes).await?.record_hash()).or_insert((bytes.clone(), None));
        }
        let tree = next.tree_key()?;
        let now = crate::clock::now();
        let (mut terms, mut bundles) = (Vec::with_capacity(old.len()), Vec::with_capacity(old.len()));
        for (hash, (bytes, name)) in old {
            let before = self.grant_of(&bytes).await?;
            if before.node != held.id {
                return Err(lie("the server shows a grant of another node"));
            }
            let bundle = match name {
                _ if before.recipient == self.me().user => Arc::new(self.me().bundle.clone()),
                Some(name) => {
                    let person = self.session.users.lookup(&name).await?;
                    if person.user != before.recipient {
                        return Err(lie("the server shows another person for a grant than the one it was made for"));
                    }
                    person.bundle
                }
                None => return Err(lie("the server shows a grant without its holder")),
            };
            let renewed = GrantPayload {
                grant: new_grant_id(&self.random)?,
                epoch: next.epoch,
                list_commitment: next.keys.list.commitment(),
                tree_commitment: tree.commitment(),
                sealer: self.me().user,
                sealer_bundle: self.me().hash(),
                recipient_bundle: bundle.hash(),
                recipient_generation: bundle.payload().generation,
                predecessor: Some(hash),
                authority: held.root.authority(),
                issued: now,
                ..(**before).clone()
            };
            terms.push(self.with_key_log(renewed).await);
            bundles.push(bundle);
        }
        self.seal_grants(next, terms, bundles).await
    }

    /// Seals and signs grants of one node.
    pub(super) async fn seal_grants(
        &self,
        held: &Held,
        terms: Vec<GrantPayload>,
        bundles: Vec<Arc<ticrypt_crypto::bundle::Bundle>>,
    ) -> Result<Vec<NewGrant>> {
        if terms.is_empty() {
            return Ok(Vec::new());
        }
        let (keys, jobs) = (Arc::clone(&held.keys), terms.clone());
        let sealing = super::load::blocking(move || {
            let random = ticrypt_keyring::SystemRandom::new();
            let seal = |(terms, bundle): (&GrantPayload, &Arc<_>)| ticrypt_keyring::grant::seal(&random, bundle, terms, &keys);
            jobs.iter().zip(&bundles).map(seal).collect::<Result<Vec<_>, _>>()
        });
        let sealed = sealing.await?.map_err(cannot_seal)?;
        let envelopes = self.session.keys.sign(Batch::Grants(terms)).await?;
        Ok(envelopes.into_iter().zip(sealed).map(|(grant, sealed)| NewGrant { grant: Blob(grant), sealed: Blob(sealed) }).collect())
    }

    /// A grant, its signature verified.
    pub(super) async fn grant_of(&self, bytes: &Blob) -> Result<Arc<ticrypt_crypto::Signed<GrantPayload>>> {
        self.admit_records(std::slice::from_ref(bytes), [], []).await?;
        self.trust.admit_grant(bytes)
    }
}

/// A child's keys by its entry.
pub(super) fn child_keys(deployment: ticrypt_types::DeploymentId, parent: &NodeKeys, entry: &Entry) -> Result<NodeKeys> {
    let list = sealed_entry::open_list(deployment, &parent.list, entry).map_err(|e| sealed("a list key", e))?;
    let list = list.ok_or_else(|| ClientError::refused("own_keys", "this has keys of its own, and none were given to you"))?;
    let tree = match &parent.tree {
        Some(tree) => sealed_entry::open_tree(deployment, tree, entry).map_err(|e| sealed("a tree key", e))?,
        None => None,
    };
    Ok(NodeKeys { list, tree })
}

fn count(report: &mut Report, member: Option<&Arc<Member>>) {
    match member {
        Some(member) if member.is_directory() => report.directories += 1,
        _ => report.files += 1,
    }
}
