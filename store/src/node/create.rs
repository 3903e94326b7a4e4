//! New nodes: a person's home, and many entries at once under one signed head.

use std::collections::BTreeMap;

use ticrypt_policy::Permit;
use ticrypt_policy::permit::{HomeCreate, NodeCreate};
use ticrypt_types::{NodeId, NodeKind, Timestamp, UserId, Verbs, limits};

use super::{EntryNew, HeadNew, SEALED_TO_OWNER};
use crate::column::number;
use crate::connect::Store;
use crate::error::{StoreError, Taken};
use crate::grant::GrantNew;
use crate::table::insert_all;
use crate::table::node::nodes;
use crate::version::ContentNew;
use crate::writer::Tx;

/// The root of a person's tree: a directory without an entry, sealed to its owner.
#[derive(Clone, Debug)]
pub struct HomeNew {
    pub node: NodeId,
    pub head: HeadNew,
    /// From the owner to the owner, with all verbs.
    pub grant: GrantNew,
    pub created: Timestamp,
}

/// One new entry.
#[derive(Clone, Debug)]
pub struct NodeNew {
    pub entry: EntryNew,
    /// Of a directory: its first head, counter 1.
    pub head: Option<HeadNew>,
    /// Of a file: its first content, if it is there already.
    pub content: Option<ContentNew>,
}

/// New entries of one directory, and of new directories among them (each after its directory).
#[derive(Clone, Debug)]
pub struct CreateNodes {
    /// The directory's head with the new entries.
    pub head: HeadNew,
    pub nodes: Vec<NodeNew>,
    pub created: Timestamp,
}

impl Store {
    pub async fn create_home(&self, permit: Permit<HomeCreate>, home: HomeNew) -> Result<(), StoreError> {
        self.write(move |tx| Box::pin(async move { tx.create_home(permit, home).await })).await
    }

    pub async fn create_nodes(&self, permit: Permit<NodeCreate>, create: CreateNodes) -> Result<(), StoreError> {
        self.write(move |tx| Box::pin(async move { tx.create_nodes(permit, create).await })).await
    }
}

impl Tx {
    pub async fn create_home(&self, permit: Permit<HomeCreate>, home: HomeNew) -> Result<(), StoreError> {
        let owner = permit.on();
        let grant = &home.grant;
        let self_sealed = grant.owner == owner && grant.sealer == owner && grant.recipient == owner;
        if !self_sealed || grant.node != home.node || grant.verbs != Verbs::ALL {
            return Err(StoreError::Invalid("a home is sealed by its owner to its owner with all verbs; seal it again"));
        }
        // A reset since the decision would leave a tree that nobody opens, and that stands in the way of another.
        if self.user(owner).await?.is_some_and(|account| account.bundle != grant.recipient_bundle) {
            return Err(StoreError::Stale("identity"));
        }
        if self.has_home(owner).await? {
            return Err(StoreError::Taken(Taken::Home));
        }
        self.insert_root(owner, home.head, home.grant, home.created).await
    }

    /// A directory without an entry, whose keys are in the grant.
    pub(crate) async fn insert_root(&self, owner: UserId, head: HeadNew, grant: GrantNew, created: Timestamp) -> Result<(), StoreError> {
        first_head(&head, grant.node, grant.epoch)?;
        let row = nodes::Model {
            id: grant.node.as_bytes().to_vec(),
            parent_id: None,
            owner_id: owner.as_bytes().to_vec(),
            kind: i64::from(NodeKind::Directory.code()),
            epoch: number(head.epoch)?,
            parent_epoch: 0,
            entry: Vec::new(),
            leaf_hash: vec![0; 32],
            name_tag: vec![0; 32],
            live_tag: None,
            trashed_ms: None,
            trashed_by: None,
            created_ms: created.to_i64(),
            closure_seq: 0,
            rolled_seq: number(self.closure_seq().await?)?,
            head: Some(head.bytes),
            head_hash: Some(head.hash.to_vec()),
            head_counter: 1,
            current_sequence: 0,
            revision: 1,
            tagged: false,
        };
        self.never_used([&row.id], Taken::NodeId).await?;
        insert_all::<nodes::Entity, nodes::ActiveModel>(&self.conn, vec![row]).await?;
        self.insert_grant_rows(vec![grant]).await
    }

    pub async fn create_nodes(&self, permit: Permit<NodeCreate>, create: CreateNodes) -> Result<(), StoreError> {
        // New keys, made under a directory whose keys are newer than every closure above it.
        let rolled = number(self.check_rights(permit.rights()).await?)?;
        let directory = self.node(permit.on()).await?;
        if directory.revision != permit.revision() {
            return Err(StoreError::Stale("directory"));
        }
        if create.head.directory != directory.id {
            return Err(StoreError::Invalid("the head is another directory's; sign one for this directory"));
        }
        self.set_head(&create.head).await?;

        // Directories that entries may be in: their epoch, and their depth below the directory.
        let mut places = BTreeMap::from([(directory.id, (directory.epoch, 0usize))]);
        let (mut rows, mut contents) = (Vec::with_capacity(create.nodes.len()), Vec::new());
        let mut deepest = 1;
        for NodeNew { entry, head, content } in create.nodes {
            let (epoch, depth) = *places
                .get(&entry.parent)
                .ok_or(StoreError::Invalid("an entry is in none of the directories; send its directory first"))?;
            if entry.parent_epoch != epoch {
                return Err(StoreError::Stale("directory"));
            }
            deepest = deepest.max(depth + 1);
            match (entry.kind, &head, &content) {
                (NodeKind::Directory, Some(head), None) => {
                    first_head(head, entry.node, entry.epoch)?;
                    places.insert(entry.node, (entry.epoch, depth + 1));
                }
                (NodeKind::File, None, _) => {}
                _ => return Err(StoreError::Invalid("a directory comes with a head, a file with neither head nor entries; send it so")),
            }
            let current_sequence = i64::from(content.is_some());
            let node = entry.node;
            rows.push(row(entry, head, directory.owner, current_sequence, rolled, create.created)?);
            contents.extend(content.map(|content| (node, content)));
        }
        if deepest > 1 && self.path(directory.id).await?.len() + deepest > limits::DEPTH_MAX {
            return Err(StoreError::Invalid("directories would be nested too deeply; choose a place nearer to the root"));
        }
        self.never_used(rows.iter().map(|row| &row.id), Taken::NodeId).await?;
        insert_all::<nodes::Entity, nodes::ActiveModel>(&self.conn, rows).await?;
        self.take_first_contents(permit.actor(), contents).await
    }

    async fn has_home(&self, owner: UserId) -> Result<bool, StoreError> {
        let sql = format!("SELECT * FROM nodes WHERE owner_id = $1 AND parent_id IS NULL AND {SEALED_TO_OWNER} LIMIT 1");
        Ok(self.row::<nodes::Model>(&sql, vec![crate::column::bytes(owner.as_bytes())]).await?.is_some())
    }
}

fn first_head(head: &HeadNew, directory: NodeId, epoch: u64) -> Result<(), StoreError> {
    if head.directory == directory && head.counter == 1 && head.previous.is_none() && head.epoch == epoch {
        Ok(())
    } else {
        Err(StoreError::Invalid("the first head of a directory has counter 1 and its epoch; sign it so"))
    }
}

fn row(
    entry: EntryNew,
    head: Option<HeadNew>,
    owner: UserId,
    current_sequence: i64,
    rolled_seq: i64,
    created: Timestamp,
) -> Result<nodes::Model, StoreError> {
    Ok(nodes::Model {
        id: entry.node.as_bytes().to_vec(),
        parent_id: Some(entry.parent.as_bytes().to_vec()),
        owner_id: owner.as_bytes().to_vec(),
        kind: i64::from(entry.kind.code()),
        epoch: number(entry.epoch)?,
        parent_epoch: number(entry.parent_epoch)?,
        entry: entry.bytes,
        leaf_hash: entry.leaf.to_vec(),
        name_tag: entry.name_tag.to_vec(),
        live_tag: Some(entry.name_tag.to_vec()),
        trashed_ms: None,
        trashed_by: None,
        created_ms: created.to_i64(),
        closure_seq: 0,
        rolled_seq,
        head_counter: i64::from(head.is_some()),
        head_hash: head.as_ref().map(|head| head.hash.to_vec()),
        head: head.map(|head| head.bytes),
        current_sequence,
        revision: 1,
        tagged: false,
    })
}
