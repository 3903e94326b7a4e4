//! New keys for nodes, from the closed one down to the one to be written (docs/formats.md §6, closing).
//!
//! One step replaces one node's keys: its entry under its directory is made anew, and so is all that is wrapped under its own
//! keys, without exception: entries (of the trash too) or contents. Whoever holds a living grant gets a new seal on the same
//! terms; leaving somebody out is refused, so new keys never take access away. One call takes nodes of one directory, whose next
//! head commits to all their new entries, and does all or nothing.

use std::collections::BTreeMap;

use sea_orm::FromQueryResult;
use ticrypt_policy::Permit;
use ticrypt_policy::permit::{NodeRekey, NodeTag, Verb};
use ticrypt_types::{NodeId, NodeKind, Timestamp, VersionId};

use super::{EntryNew, HeadNew, Node};
use crate::column::{Digest, bytes, digest, id, number};
use crate::connect::Store;
use crate::error::StoreError;
use crate::grant::{Grant, GrantNew};
use crate::table::grant::grants;
use crate::writer::Tx;

/// New keys for nodes of one directory, or for a root alone.
#[derive(Debug)]
pub struct Rekey {
    /// The next head of the directory that holds the nodes; absent for a root, and when all of them are in the trash.
    pub parent_head: Option<HeadNew>,
    pub nodes: Vec<RekeyNode>,
}

/// New keys for one node.
#[derive(Debug)]
pub struct RekeyNode<V: Verb<On = NodeId> = NodeRekey> {
    pub permit: Permit<V>,
    /// The new epoch: the old one and 1.
    pub epoch: u64,
    /// The youngest closure the client knew of when it made the keys; a younger one still holds afterwards.
    pub closure_seen: u64,
    /// The node's entry with its new wraps; absent for a root.
    pub entry: Option<EntryNew>,
    pub keys: NewKeys,
    /// New seals for everybody who holds a living grant here, each naming its predecessor.
    pub grants: Vec<GrantNew>,
    pub at: Timestamp,
}

/// What was wrapped under the node's old keys, wrapped under the new ones.
#[derive(Clone, Debug)]
pub enum NewKeys {
    Directory {
        /// Over the new entries, in the new epoch.
        head: HeadNew,
        /// Every entry, those in the trash too.
        entries: Vec<EntryNew>,
    },
    File {
        /// Content wraps of every version that was not abandoned.
        contents: Vec<(VersionId, Vec<u8>)>,
        /// Property key wraps of every manifest, by its hash.
        props_keys: Vec<(Digest, Vec<u8>)>,
    },
}

/// The directory that holds what gets new keys.
struct Under {
    node: NodeId,
    epoch: u64,
}

#[derive(FromQueryResult)]
struct IdRow {
    id: Vec<u8>,
}

#[derive(FromQueryResult)]
struct HashRow {
    hash: Vec<u8>,
}

const OTHER_DIRECTORY: StoreError = StoreError::Invalid("the head is of another directory than the nodes are in; sign one for that");

impl Store {
    pub async fn rekey(&self, rekey: Rekey) -> Result<(), StoreError> {
        self.write(move |tx| Box::pin(async move { tx.rekey(rekey).await })).await
    }
}

impl Tx {
    pub async fn rekey(&self, rekey: Rekey) -> Result<(), StoreError> {
        let Rekey { parent_head, nodes: steps } = rekey;
        let rights = self.same_rights(steps.iter().map(|step| step.permit.rights())).await?;
        // Setting a head changes what is below it, so revisions are compared before the first write.
        let nodes = self.decided(steps.iter().map(|step| (step.permit.on(), step.permit.revision()))).await?;
        if steps.iter().any(|step| step.closure_seen > rights) {
            return Err(StoreError::Invalid("that closure has not happened; load the node again"));
        }
        let first = steps.first().ok_or(StoreError::Invalid("new keys for no node; name one"))?;
        let parent = nodes.get(&first.permit.on()).ok_or(StoreError::NotFound("node"))?.parent;
        let directory = self.rekeyed_under(parent, steps.len()).await?;
        if let Some(head) = &parent_head {
            if directory.as_ref().map(|directory| directory.node) != Some(head.directory) {
                return Err(OTHER_DIRECTORY);
            }
            self.set_head(head).await?;
        }
        for step in steps {
            let node = nodes.get(&step.permit.on()).ok_or(StoreError::NotFound("node"))?;
            self.rekey_node(node, step, directory.as_ref(), parent_head.is_some(), node.tagged).await?;
        }
        Ok(())
    }

    /// One node's new keys, which from then on are its own or its directory's to hand down.
    pub(super) async fn rekey_one(
        &self,
        node: &Node,
        step: RekeyNode<NodeTag>,
        head: Option<HeadNew>,
        is_own: bool,
    ) -> Result<(), StoreError> {
        let directory = self.rekeyed_under(node.parent, 1).await?;
        if directory.as_ref().map(|directory| directory.node) != head.as_ref().map(|head| head.directory) {
            return Err(OTHER_DIRECTORY);
        }
        if let Some(head) = &head {
            self.set_head(head).await?;
        }
        self.rekey_node(node, step, directory.as_ref(), true, is_own).await
    }

    /// The directory that holds the nodes, if its keys are newer than every closure above it; a root has none, and comes alone.
    async fn rekeyed_under(&self, parent: Option<NodeId>, steps: usize) -> Result<Option<Under>, StoreError> {
        let Some(parent) = parent else {
            return if steps == 1 { Ok(None) } else { Err(StoreError::Invalid("a root gets new keys alone; leave the others out")) };
        };
        let path = self.path(parent).await?;
        let directory = path.iter().find(|step| step.id == parent).ok_or(StoreError::NotFound("directory"))?;
        if path.iter().any(|step| step.closure_seq > directory.rolled_seq) {
            return Err(StoreError::Stale("directory"));
        }
        Ok(Some(Under { node: parent, epoch: directory.epoch }))
    }

    async fn rekey_node<V: Verb<On = NodeId>>(
        &self,
        node: &Node,
        step: RekeyNode<V>,
        directory: Option<&Under>,
        with_head: bool,
        is_own: bool,
    ) -> Result<(), StoreError> {
        if step.epoch != node.epoch + 1 {
            return Err(StoreError::Stale("node"));
        }
        self.place_rekeyed(node, &step, directory, with_head).await?;
        let sql = "UPDATE nodes SET epoch = $2, rolled_seq = $3, revision = revision + 1 WHERE id = $1";
        let rolled = step.closure_seen.max(node.rolled_seq);
        self.run_or_stale("node", sql, vec![bytes(node.id.as_bytes()), number(step.epoch)?.into(), number(rolled)?.into()]).await?;
        match (node.kind, step.keys) {
            (NodeKind::Directory, NewKeys::Directory { head, entries }) => self.replace_entries(node, step.epoch, head, entries).await?,
            (NodeKind::File, NewKeys::File { contents, props_keys }) => self.replace_contents(node, contents, props_keys).await?,
            _ => return Err(StoreError::Invalid("the new keys are for another kind of node; make them again")),
        }
        self.replace_grants(node, step.epoch, step.grants, step.at, is_own).await
    }

    /// The node's own entry, with its new wraps under its directory's keys.
    async fn place_rekeyed<V: Verb<On = NodeId>>(
        &self,
        node: &Node,
        step: &RekeyNode<V>,
        directory: Option<&Under>,
        with_head: bool,
    ) -> Result<(), StoreError> {
        if node.parent != directory.map(|directory| directory.node) {
            return Err(StoreError::Invalid("the nodes are not of one directory; ask for each directory apart"));
        }
        let Some(directory) = directory else {
            return if step.entry.is_none() { Ok(()) } else { Err(StoreError::Invalid("a root has no entry; leave it out")) };
        };
        let entry = step.entry.as_ref().ok_or(StoreError::Invalid("the entry is missing; make it with the new wraps"))?;
        let right = entry.node == node.id && entry.kind == node.kind && entry.parent == directory.node && entry.epoch == step.epoch;
        if !right || entry.parent_epoch != directory.epoch {
            return Err(StoreError::Invalid("the entry does not have the new epoch or place; make it again"));
        }
        let live = node.trashed.is_none();
        if live && !with_head {
            return Err(StoreError::Invalid("the next head of the directory is missing; sign one"));
        }
        self.set_entry(entry, live, node.closure_seq).await
    }

    async fn replace_entries(&self, node: &Node, epoch: u64, head: HeadNew, entries: Vec<EntryNew>) -> Result<(), StoreError> {
        if head.directory != node.id || head.epoch != epoch {
            return Err(StoreError::Invalid("the head is not of the new epoch; sign one over the new entries"));
        }
        self.set_head(&head).await?;
        let sql = "SELECT * FROM nodes WHERE parent_id = $1";
        let rows = self.rows::<crate::table::node::nodes::Model>(sql, vec![bytes(node.id.as_bytes())]).await?;
        let mut children = BTreeMap::new();
        for row in rows {
            let child = Node::try_from(row)?;
            children.insert(child.id, child);
        }
        for entry in entries {
            let child = children.remove(&entry.node).ok_or(StoreError::Stale("directory"))?;
            let right = entry.parent == node.id && entry.kind == child.kind && entry.parent_epoch == epoch;
            if !right || entry.epoch != child.epoch {
                return Err(StoreError::Invalid("an entry does not have the new epoch or place; make it again"));
            }
            self.set_entry(&entry, child.trashed.is_none(), child.closure_seq).await?;
        }
        if children.is_empty() { Ok(()) } else { Err(StoreError::Stale("directory")) }
    }

    async fn replace_contents(
        &self,
        node: &Node,
        contents: Vec<(VersionId, Vec<u8>)>,
        props_keys: Vec<(Digest, Vec<u8>)>,
    ) -> Result<(), StoreError> {
        let file = || bytes(node.id.as_bytes());
        let rows = self.rows::<IdRow>("SELECT id FROM versions WHERE file_id = $1 AND state <> 'abandoned'", vec![file()]).await?;
        let mut versions =
            rows.iter().map(|row| id("versions.id", &row.id)).collect::<Result<std::collections::BTreeSet<VersionId>, _>>()?;
        for (version, wrap) in contents {
            if !versions.remove(&version) {
                return Err(StoreError::Stale("list of versions"));
            }
            let sql = "UPDATE versions SET content_wrap = $2 WHERE id = $1";
            self.run(sql, vec![bytes(version.as_bytes()), wrap.into()]).await?;
        }
        let rows = self.rows::<HashRow>("SELECT hash FROM manifests WHERE file_id = $1", vec![file()]).await?;
        let mut manifests =
            rows.iter().map(|row| digest("manifests.hash", &row.hash)).collect::<Result<std::collections::BTreeSet<_>, _>>()?;
        for (hash, wrap) in props_keys {
            if !manifests.remove(&hash) {
                return Err(StoreError::Stale("list of versions"));
            }
            let sql = "UPDATE manifests SET props_key = $3 WHERE file_id = $1 AND hash = $2";
            self.run(sql, vec![file(), bytes(hash), wrap.into()]).await?;
        }
        if versions.is_empty() && manifests.is_empty() { Ok(()) } else { Err(StoreError::Stale("list of versions")) }
    }

    /// `is_own`: the new keys are the node's own. Then its owner holds a seal of them as well, and where they were not before, a first one.
    async fn replace_grants(&self, node: &Node, epoch: u64, new: Vec<GrantNew>, at: Timestamp, is_own: bool) -> Result<(), StoreError> {
        let sql = "SELECT * FROM grants WHERE node_id = $1 AND ended_ms IS NULL";
        let mut standing = BTreeMap::new();
        for row in self.rows::<grants::Model>(sql, vec![bytes(node.id.as_bytes())]).await? {
            let grant = Grant::try_from(row)?;
            if !grant.expires.is_expired(at) {
                standing.insert(grant.hash, grant);
            }
        }
        let (begins, ends) = (is_own && !node.tagged, node.tagged && !is_own);
        let mut firsts = usize::from(begins);
        let in_group = self.is_group(node.owner).await?;
        if ends {
            standing.retain(|_, grant| grant.recipient != node.owner);
        }
        for grant in &new {
            if grant.predecessor.is_none() && grant.recipient == node.owner && firsts > 0 {
                firsts -= 1;
                let by_owner = grant.sealer == node.owner || in_group;
                if (grant.node, grant.owner, grant.epoch) != (node.id, node.owner, epoch) || !by_owner {
                    return Err(StoreError::Invalid("an owner seals their own keys to themselves; seal them so"));
                }
                continue;
            }
            let before = grant.predecessor.and_then(|hash| standing.remove(&hash)).ok_or(StoreError::Stale("list of shares"))?;
            let same = grant.verbs == before.verbs && grant.expires == before.expires && grant.recipient == before.recipient;
            if !same || grant.node != node.id || grant.owner != before.owner || grant.epoch != epoch {
                return Err(StoreError::Invalid("a new seal keeps recipient, verbs and expiry of the one before; seal it so"));
            }
        }
        if !standing.is_empty() || firsts > 0 {
            return Err(StoreError::Stale("list of shares"));
        }
        // Seals of older keys end here, those past their time too; nobody loses anything by it.
        let sql = "UPDATE grants SET ended_ms = $2 WHERE node_id = $1 AND ended_ms IS NULL";
        self.run(sql, vec![bytes(node.id.as_bytes()), at.to_i64().into()]).await?;
        self.insert_grant_rows(new).await
    }
}

impl NewKeys {
    /// The node's kind these are for.
    pub fn kind(&self) -> NodeKind {
        match self {
            Self::Directory { .. } => NodeKind::Directory,
            Self::File { .. } => NodeKind::File,
        }
    }
}

impl<V: Verb<On = NodeId>> RekeyNode<V> {
    pub fn node(&self) -> NodeId {
        self.permit.on()
    }
}
