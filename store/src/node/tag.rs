//! Tags: rows that say what a node carries, and new keys that are its own as long as there are any (security B3).

use std::collections::{BTreeMap, BTreeSet};

use sea_orm::FromQueryResult;
use ticrypt_policy::permit::NodeTag;
use ticrypt_policy::{Label, Line};
use ticrypt_types::{NodeId, ProjectId, UserId};

use super::list::after_value;
use super::{HeadNew, RekeyNode, ancestors_cte, subtree_cte};
use crate::column::{bytes, id, number, placeholders};
use crate::connect::Store;
use crate::error::StoreError;
use crate::project::line;
use crate::table::insert_all;
use crate::table::node::node_tags;
use crate::writer::Tx;

const IDS_PER_QUERY: usize = 2_000;

/// New tags for one node, with its new keys.
#[derive(Debug)]
pub struct TagNode {
    pub node: RekeyNode<NodeTag>,
    /// The next head of the directory that holds it; a root has none.
    pub parent_head: Option<HeadNew>,
    /// All it is to have; of those of one tree the lowest.
    pub tags: Label,
    /// The tags inside it when that was decided.
    pub below: Vec<Line>,
}

#[derive(FromQueryResult)]
struct TagRow {
    node_id: Vec<u8>,
    path: Vec<u8>,
}

#[derive(FromQueryResult)]
struct IdRow {
    id: Vec<u8>,
}

#[derive(FromQueryResult)]
struct PathRow {
    path: Vec<u8>,
}

impl Store {
    /// The tags of nodes themselves; nothing of those without any.
    pub async fn tags_of(&self, nodes: &[NodeId]) -> Result<BTreeMap<NodeId, Label>, StoreError> {
        let mut tags: BTreeMap<NodeId, Label> = BTreeMap::new();
        for some in nodes.chunks(IDS_PER_QUERY) {
            let sql = format!(
                "SELECT t.node_id, p.path FROM node_tags t JOIN projects p ON p.id = t.project_id WHERE t.node_id IN ({})",
                placeholders(1, some.len())
            );
            for row in self.rows::<TagRow>(&sql, some.iter().map(|node| bytes(node.as_bytes())).collect()).await? {
                let own = tags.entry(id("node_tags.node_id", &row.node_id)?).or_default();
                *own = std::mem::take(own).with(line(&row.path)?).map_err(|_| StoreError::Corrupt("node_tags"))?;
            }
        }
        Ok(tags)
    }

    /// The tags of what is inside a node, in the trash too, each once.
    pub async fn tags_below(&self, node: NodeId) -> Result<Vec<Line>, StoreError> {
        lines(self.rows(&tags_below(), vec![bytes(node.as_bytes())]).await?)
    }

    /// Who holds a living share of the node, of what is above it or of what is inside, the owner among them; of a group its members.
    pub async fn people_reaching(&self, node: NodeId) -> Result<Vec<UserId>, StoreError> {
        let sql = format!(
            "{}, {}, holders (id) AS (SELECT recipient_id FROM grants WHERE ended_ms IS NULL \
             AND (node_id IN (SELECT id FROM up) OR node_id IN (SELECT id FROM down))) \
             SELECT id FROM holders WHERE id NOT IN (SELECT id FROM groups) \
             UNION SELECT user_id FROM group_members WHERE group_id IN (SELECT id FROM holders)",
            ancestors_cte("$1"),
            subtree_cte("$1").trim_start_matches("WITH RECURSIVE ")
        );
        let rows = self.rows::<IdRow>(&sql, vec![bytes(node.as_bytes())]).await?;
        rows.iter().map(|row| id("grants.recipient_id", &row.id)).collect()
    }

    /// What may tell apart who reaches what in somebody's tree and in those of the groups they own: what is tagged, and what is shared, in the order of
    /// ids, those after `after`.
    pub async fn judged_apart(&self, owner: UserId, after: Option<NodeId>, limit: u64) -> Result<Vec<NodeId>, StoreError> {
        let sql = "SELECT n.id FROM nodes n WHERE n.trashed_ms IS NULL AND n.id > $2 \
             AND (n.owner_id = $1 OR n.owner_id IN (SELECT id FROM groups WHERE owner_id = $1)) \
             AND (n.tagged OR EXISTS (SELECT 1 FROM grants g WHERE g.node_id = n.id AND g.ended_ms IS NULL)) ORDER BY n.id LIMIT $3";
        let rows = self.rows::<IdRow>(sql, vec![bytes(owner.as_bytes()), after_value(after), number(limit)?.into()]).await?;
        rows.iter().map(|row| id("nodes.id", &row.id)).collect()
    }

    /// Replaces a node's tags, and its keys with them.
    pub async fn tag(&self, tag: TagNode) -> Result<(), StoreError> {
        self.write(move |tx| Box::pin(async move { tx.tag(tag).await })).await
    }
}

impl Tx {
    pub async fn tag(&self, tag: TagNode) -> Result<(), StoreError> {
        let TagNode { mut node, parent_head, tags, below } = tag;
        let on = node.permit.on();
        let now: BTreeSet<Line> = lines(self.rows(&tags_below(), vec![bytes(on.as_bytes())]).await?)?.into_iter().collect();
        if now != below.into_iter().collect() {
            return Err(StoreError::Stale("node"));
        }
        let projects: Vec<ProjectId> = tags.lines().iter().filter_map(Line::project).collect();
        for project in &projects {
            if !self.has_project(*project).await? {
                return Err(StoreError::Stale("project"));
            }
        }
        self.check_rights(node.permit.rights()).await?;
        let before = self.decided([(on, node.permit.revision())].into_iter()).await?;
        let before = before.get(&on).ok_or(StoreError::NotFound("node"))?;
        // Whatever was decided on the tags before is stale; and whoever has keys from above reads what is inside until it has new ones.
        let closure = self.next_closure_seq().await?;
        let (is_tagged, was_tagged) = (!projects.is_empty(), before.tagged);
        node.closure_seen = closure;
        // A root's keys are its own with tags and without.
        let is_own = if before.parent.is_some() { is_tagged } else { before.tagged };
        self.rekey_one(before, node, parent_head, is_own).await?;
        self.run("DELETE FROM node_tags WHERE node_id = $1", vec![bytes(on.as_bytes())]).await?;
        let row = |project: ProjectId| node_tags::Model { node_id: on.as_bytes().to_vec(), project_id: project.as_bytes().to_vec() };
        insert_all::<node_tags::Entity, node_tags::ActiveModel>(&self.conn, projects.into_iter().map(row).collect()).await?;
        let closure_seq = if is_tagged && !was_tagged && before.parent.is_some() { closure } else { before.closure_seq };
        let sql = "UPDATE nodes SET tagged = $2, closure_seq = $3 WHERE id = $1";
        self.run_or_stale("node", sql, vec![bytes(on.as_bytes()), is_tagged.into(), number(closure_seq)?.into()]).await?;
        if self.is_group(before.owner).await? { self.close_tagged_below(on, closure).await } else { Ok(()) }
    }

    /// In a group, what is tagged below has other tags on its path now, and gets keys under those of another compartment.
    async fn close_tagged_below(&self, node: NodeId, closure: u64) -> Result<(), StoreError> {
        let sql =
            format!("{} UPDATE nodes SET closure_seq = $2 WHERE tagged AND id <> $1 AND id IN (SELECT id FROM down)", subtree_cte("$1"));
        self.run(&sql, vec![bytes(node.as_bytes()), number(closure)?.into()]).await.map(drop)
    }
}

fn tags_below() -> String {
    format!(
        "{} SELECT DISTINCT p.path FROM down JOIN node_tags t ON t.node_id = down.id JOIN projects p ON p.id = t.project_id WHERE down.id <> $1",
        subtree_cte("$1")
    )
}

fn lines(rows: Vec<PathRow>) -> Result<Vec<Line>, StoreError> {
    rows.iter().map(|row| line(&row.path)).collect()
}
