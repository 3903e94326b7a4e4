//! Groups: the rows that their signed heads come to, and the directory that belongs to each.
//!
//! ```text
//!   group_heads     every head, as it was signed
//!   groups          what the newest one says, and whether somebody who lost access holds its key
//!   group_members   the roster
//!   group_seals     to each member the newest they have; the seeds before it are wrapped in the heads
//!   compartments    a key besides for each set of tags that something in the group carries; with heads and seals of its own
//! ```
//!
//! In its tree a group stands where a person would: its id owns the nodes, and the root's keys are sealed to it. Whoever loses access has
//! had those keys, so its root is closed with the loss, as a node is whose share ends.

mod compartment;
mod head;
mod seal;

use std::collections::{BTreeMap, BTreeSet};

use sea_orm::{EntityTrait, FromQueryResult, Value};
use ticrypt_policy::Permit;
use ticrypt_policy::access::GroupFact;
use ticrypt_policy::group::GroupFacts;
use ticrypt_policy::permit::{GroupDelete, GroupRename};
use ticrypt_policy::roster::{Roster, RosterMember};
use ticrypt_types::{GroupId, GroupPermissions, NodeId, NotificationKind, Timestamp, Title, UserId};

use crate::column::{Digest, bytes, count, digest, id, number, placeholders, time};
use crate::connect::Store;
use crate::error::StoreError;
use crate::node::DeletedVersion;
use crate::notification::Notice;
use crate::table::group::{group_members, groups};
use crate::writer::Tx;

pub use compartment::{Begun, CompartmentKey, CompartmentRenewed};
pub use head::{GroupChanged, GroupHead, GroupHeadNew, GroupNew};
pub use seal::GroupSeal;

/// A group after its newest head.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    pub id: GroupId,
    pub name: Title,
    pub owner: UserId,
    pub root: NodeId,
    /// Record hash of the newest head.
    pub head: Digest,
    pub counter: u64,
    /// Of its key.
    pub generation: u32,
    /// Record hash of the head that began it.
    pub key_head: Digest,
    /// Somebody who lost access holds the newest key.
    pub key_lost: bool,
    /// Rises with every change of the row, heads included.
    pub revision: u64,
    pub created: Timestamp,
}

/// A group as one of its members sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnGroup {
    pub group: Group,
    pub permissions: GroupPermissions,
    pub members: u64,
    /// Members who could open the newest key and have no seal of it.
    pub waiting: u64,
    /// Whether the newest key is sealed to them.
    pub has_key: bool,
    /// Of its newest head.
    pub changed: Timestamp,
}

impl TryFrom<groups::Model> for Group {
    type Error = StoreError;
    fn try_from(row: groups::Model) -> Result<Self, StoreError> {
        Ok(Self {
            id: id("groups.id", &row.id)?,
            name: row.name.parse().map_err(|_| StoreError::Corrupt("groups.name"))?,
            owner: id("groups.owner_id", &row.owner_id)?,
            root: id("groups.root_id", &row.root_id)?,
            head: digest("groups.head_hash", &row.head_hash)?,
            counter: count("groups.counter", row.counter)?,
            generation: generation("groups.generation", row.generation)?,
            key_head: digest("groups.key_head", &row.key_head)?,
            key_lost: row.key_lost,
            revision: count("groups.revision", row.revision)?,
            created: time(row.created_ms),
        })
    }
}

#[derive(FromQueryResult)]
struct OwnRow {
    #[sea_orm(nested)]
    group: groups::Model,
    permissions: i64,
    members: i64,
    waiting: i64,
    sealed: Option<i64>,
    changed: i64,
}

impl TryFrom<OwnRow> for OwnGroup {
    type Error = StoreError;
    fn try_from(row: OwnRow) -> Result<Self, StoreError> {
        Ok(Self {
            permissions: permissions(row.permissions)?,
            members: count("count", row.members)?,
            waiting: count("count", row.waiting)?,
            has_key: row.sealed == Some(row.group.generation),
            changed: time(row.changed),
            group: Group::try_from(row.group)?,
        })
    }
}

#[derive(FromQueryResult)]
struct FactRow {
    id: Vec<u8>,
    head_hash: Vec<u8>,
    permissions: Option<i64>,
}

#[derive(FromQueryResult)]
struct PersonRow {
    id: Vec<u8>,
}

fn generation(column: &'static str, number: i64) -> Result<u32, StoreError> {
    u32::try_from(number).map_err(|_| StoreError::Corrupt(column))
}

fn permissions(bits: i64) -> Result<GroupPermissions, StoreError> {
    u8::try_from(bits).ok().and_then(GroupPermissions::from_bits).ok_or(StoreError::Corrupt("group_members.permissions"))
}

fn people(rows: &[PersonRow]) -> Result<Vec<UserId>, StoreError> {
    rows.iter().map(|row| id("group_members.user_id", &row.id)).collect()
}

impl Store {
    pub async fn group(&self, group: GroupId) -> Result<Option<Group>, StoreError> {
        groups::Entity::find_by_id(group.as_bytes().to_vec()).one(&self.readers).await?.map(Group::try_from).transpose()
    }

    /// Those somebody is in, by name.
    pub async fn groups_of(&self, user: UserId, limit: u64) -> Result<Vec<OwnGroup>, StoreError> {
        self.own_groups(user, "ORDER BY g.name, g.id LIMIT $2", number(limit)?.into()).await
    }

    /// `None`: there is no such group, or they are not in it.
    pub async fn own_group(&self, group: GroupId, user: UserId) -> Result<Option<OwnGroup>, StoreError> {
        Ok(self.own_groups(user, "AND g.id = $2", bytes(group.as_bytes())).await?.pop())
    }

    async fn own_groups(&self, user: UserId, which: &str, value: Value) -> Result<Vec<OwnGroup>, StoreError> {
        let waiting = seal::WAITING;
        let sql = format!(
            "SELECT g.*, m.permissions, s.generation AS sealed, (SELECT COUNT(*) FROM group_members o WHERE o.group_id = g.id) AS members, \
             (SELECT COUNT(*) {waiting} g.id) AS waiting, \
             (SELECT at_ms FROM group_heads h WHERE h.group_id = g.id AND h.counter = g.counter) AS changed \
             FROM group_members m JOIN groups g ON g.id = m.group_id \
             LEFT JOIN group_seals s ON s.group_id = m.group_id AND s.user_id = m.user_id WHERE m.user_id = $1 {which}"
        );
        self.rows::<OwnRow>(&sql, vec![bytes(user.as_bytes()), value]).await?.into_iter().map(OwnGroup::try_from).collect()
    }

    /// What the rules about a group need.
    pub async fn group_facts(&self, group: GroupId) -> Result<Option<GroupFacts>, StoreError> {
        // The row first: a head that comes meanwhile makes these facts stale rather than wrong.
        let Some(found) = self.group(group).await? else { return Ok(None) };
        let sql = "SELECT * FROM group_members WHERE group_id = $1";
        let mut members = BTreeMap::new();
        for row in self.rows::<group_members::Model>(sql, vec![bytes(group.as_bytes())]).await? {
            let bundle = digest("group_members.bundle_hash", &row.bundle_hash)?;
            let member = RosterMember { permissions: permissions(row.permissions)?, bundle };
            members.insert(id("group_members.user_id", &row.user_id)?, member);
        }
        let label = self.tags_of(&[found.root]).await?.remove(&found.root).unwrap_or_default();
        let roster = Roster::of(found.owner, members, found.key_lost);
        Ok(Some(GroupFacts { group, revision: found.revision, label, roster }))
    }

    /// Those of the owners that are groups, as somebody stands in them.
    pub(crate) async fn groups_among(&self, actor: UserId, owners: &BTreeSet<UserId>) -> Result<BTreeMap<UserId, GroupFact>, StoreError> {
        if owners.is_empty() {
            return Ok(BTreeMap::new());
        }
        let sql = format!(
            "SELECT g.id, g.head_hash, m.permissions FROM groups g \
             LEFT JOIN group_members m ON m.group_id = g.id AND m.user_id = $1 WHERE g.id IN ({})",
            placeholders(2, owners.len())
        );
        let mut values = vec![bytes(actor.as_bytes())];
        values.extend(owners.iter().map(|owner| bytes(owner.as_bytes())));
        let fact = |row: FactRow| {
            let (group, head) = (id::<GroupId>("groups.id", &row.id)?, digest("groups.head_hash", &row.head_hash)?);
            let permissions = row.permissions.map(permissions).transpose()?;
            Ok((group.as_owner(), GroupFact { group, permissions, head }))
        };
        self.rows::<FactRow>(&sql, values).await?.into_iter().map(fact).collect()
    }

    pub async fn rename_group(&self, permit: Permit<GroupRename>, name: Title) -> Result<(), StoreError> {
        self.write(move |tx| Box::pin(async move { tx.rename_group(permit, name).await })).await
    }

    /// With all that is in it.
    pub async fn delete_group(&self, permit: Permit<GroupDelete>, at: Timestamp) -> Result<Vec<DeletedVersion>, StoreError> {
        self.write(move |tx| Box::pin(async move { tx.delete_group(permit, at).await })).await
    }
}

impl Tx {
    async fn group(&self, group: GroupId) -> Result<Group, StoreError> {
        let row = groups::Entity::find_by_id(group.as_bytes().to_vec()).one(&self.conn).await?;
        row.map(Group::try_from).ok_or(StoreError::NotFound("group"))?
    }

    /// Whether a group has this id, under which an account would own the group's tree.
    pub(crate) async fn is_group(&self, owner: UserId) -> Result<bool, StoreError> {
        Ok(groups::Entity::find_by_id(owner.as_bytes().to_vec()).one(&self.conn).await?.is_some())
    }

    async fn rename_group(&self, permit: Permit<GroupRename>, name: Title) -> Result<(), StoreError> {
        let sql = "UPDATE groups SET name = $3, revision = revision + 1 WHERE id = $1 AND revision = $2";
        let values = vec![bytes(permit.on().as_bytes()), number(permit.revision())?.into(), name.as_str().into()];
        self.run_or_stale("group", sql, values).await
    }

    async fn delete_group(&self, permit: Permit<GroupDelete>, at: Timestamp) -> Result<Vec<DeletedVersion>, StoreError> {
        let group = permit.on();
        let root = self.group(group).await?.root;
        let sql = "DELETE FROM groups WHERE id = $1 AND revision = $2";
        self.run_or_stale("group", sql, vec![bytes(group.as_bytes()), number(permit.revision())?.into()]).await?;
        let sql = "SELECT user_id AS id FROM group_members WHERE group_id = $1 AND user_id <> $2";
        let others = people(&self.rows(sql, vec![bytes(group.as_bytes()), bytes(permit.actor().as_bytes())]).await?)?;
        let left = |to| Notice::about_group(to, NotificationKind::GroupLeft, group, permit.actor(), at);
        self.notify(others.into_iter().map(left)).await?;
        for sql in [
            "DELETE FROM group_heads WHERE group_id = $1",
            "DELETE FROM group_members WHERE group_id = $1",
            "DELETE FROM group_seals WHERE group_id = $1",
            "INSERT INTO retired (id) VALUES ($1)",
        ] {
            self.run(sql, vec![bytes(group.as_bytes())]).await?;
        }
        self.delete_compartments(group).await?;
        self.delete_below(&[root]).await
    }
}
