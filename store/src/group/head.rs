//! Heads of groups, and the rows that follow from them in the same transaction.

use std::collections::BTreeSet;

use ticrypt_policy::Permit;
use ticrypt_policy::permit::{GroupChange as ChangePermit, GroupCreate};
use ticrypt_policy::roster::Roster;
use ticrypt_types::{GroupChange, GroupId, GroupStep, NotificationKind, Timestamp, Title, UserId};

use super::GroupSeal;
use crate::column::{Digest, bytes, count, digest, number};
use crate::connect::Store;
use crate::error::{StoreError, Taken};
use crate::grant::GrantNew;
use crate::node::HeadNew;
use crate::notification::Notice;
use crate::table::group::{group_heads, groups};
use crate::table::insert_all;
use crate::writer::Tx;

/// A head as it was signed (docs/formats.md §12), with its place in the key log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupHead {
    pub counter: u64,
    pub hash: Digest,
    pub envelope: Vec<u8>,
    pub log_index: u64,
    pub log_leaf: Vec<u8>,
}

/// A head with what the caller took out of it. It applies only on top of the one before.
#[derive(Clone, Debug)]
pub struct GroupHeadNew {
    pub counter: u64,
    pub hash: Digest,
    pub previous: Option<Digest>,
    pub envelope: Vec<u8>,
    pub generation: u32,
    /// A generation begins with it.
    pub renews: bool,
    pub changes: Vec<GroupChange>,
    pub log_index: u64,
    pub log_leaf: Vec<u8>,
}

/// A group to be made, with its directory.
#[derive(Clone, Debug)]
pub struct GroupNew {
    pub name: Title,
    pub head: GroupHeadNew,
    /// What the head comes to.
    pub roster: Roster,
    pub seals: Vec<GroupSeal>,
    pub root_head: HeadNew,
    /// From the founder to the group.
    pub grant: GrantNew,
    pub at: Timestamp,
}

/// The next head.
#[derive(Clone, Debug)]
pub struct GroupChanged {
    pub head: GroupHeadNew,
    /// After the head.
    pub roster: Roster,
    /// Of the head's generation.
    pub seals: Vec<GroupSeal>,
    pub at: Timestamp,
}

impl TryFrom<group_heads::Model> for GroupHead {
    type Error = StoreError;
    fn try_from(row: group_heads::Model) -> Result<Self, StoreError> {
        Ok(Self {
            counter: count("group_heads.counter", row.counter)?,
            hash: digest("group_heads.hash", &row.hash)?,
            envelope: row.envelope,
            log_index: count("group_heads.log_index", row.log_index)?,
            log_leaf: row.log_leaf,
        })
    }
}

impl Store {
    /// In order, those after `after`.
    pub async fn group_heads(&self, group: GroupId, after: u64, limit: u64) -> Result<Vec<GroupHead>, StoreError> {
        let sql = "SELECT * FROM group_heads WHERE group_id = $1 AND counter > $2 ORDER BY counter LIMIT $3";
        let values = vec![bytes(group.as_bytes()), number(after)?.into(), number(limit)?.into()];
        self.rows::<group_heads::Model>(sql, values).await?.into_iter().map(GroupHead::try_from).collect()
    }

    pub async fn create_group(&self, permit: Permit<GroupCreate>, new: GroupNew) -> Result<(), StoreError> {
        self.write(move |tx| Box::pin(async move { tx.create_group(permit, new).await })).await
    }

    /// Who is in it, and its key. Where somebody loses access, the group's root is closed.
    pub async fn change_group(&self, permit: Permit<ChangePermit>, changed: GroupChanged) -> Result<(), StoreError> {
        self.write(move |tx| Box::pin(async move { tx.change_group(permit, changed).await })).await
    }
}

impl Tx {
    async fn create_group(&self, permit: Permit<GroupCreate>, new: GroupNew) -> Result<(), StoreError> {
        let GroupNew { name, head, roster, seals, root_head, grant, at } = new;
        let (group, founder) = (permit.on(), permit.actor());
        if (head.counter, head.previous, head.generation, roster.owner()) != (1, None, 1, founder) {
            return Err(StoreError::Invalid("a group begins with its founder's head, counter and generation 1; sign it so"));
        }
        let to_group = (grant.owner, grant.sealer, grant.recipient) == (group.as_owner(), founder, group.as_owner());
        if !to_group || grant.epoch != root_head.epoch {
            return Err(StoreError::Invalid("a group's directory is sealed by its founder to the group; seal it again"));
        }
        // An account under this id would own the group's tree, and the group the account's.
        if self.user(group.as_owner()).await?.is_some() {
            return Err(StoreError::Taken(Taken::GroupId));
        }
        let row = groups::Model {
            id: group.as_bytes().to_vec(),
            name: name.to_string(),
            owner_id: founder.as_bytes().to_vec(),
            root_id: grant.node.as_bytes().to_vec(),
            head_hash: head.hash.to_vec(),
            counter: 1,
            generation: 1,
            key_head: head.hash.to_vec(),
            key_lost: false,
            revision: 1,
            created_ms: at.to_i64(),
        };
        self.never_used([&row.id], Taken::GroupId).await?;
        insert_all::<groups::Entity, groups::ActiveModel>(&self.conn, vec![row]).await?;
        self.insert_root(group.as_owner(), root_head, grant, at).await?;
        self.take_head(group, founder, head, &roster, seals, at).await
    }

    async fn change_group(&self, permit: Permit<ChangePermit>, changed: GroupChanged) -> Result<(), StoreError> {
        let GroupChanged { head, roster, seals, at } = changed;
        let group = permit.on();
        let before = self.group(group).await?;
        let next = (before.revision, before.counter + 1, Some(before.head)) == (permit.revision(), head.counter, head.previous);
        if !next {
            return Err(StoreError::Stale("group"));
        }
        let renews = head.renews;
        if before.generation.checked_add(u32::from(renews)) != Some(head.generation) {
            return Err(StoreError::Invalid("a head keeps the generation or begins the next; sign it so"));
        }
        let sql = "UPDATE groups SET owner_id = $3, head_hash = $4, counter = $5, generation = $6, key_lost = $7, key_head = $8, revision = revision + 1 \
                   WHERE id = $1 AND revision = $2";
        let values = vec![
            bytes(group.as_bytes()),
            number(before.revision)?.into(),
            bytes(roster.owner().as_bytes()),
            bytes(head.hash),
            number(head.counter)?.into(),
            i64::from(head.generation).into(),
            roster.is_left().into(),
            bytes(if renews { head.hash } else { before.key_head }),
        ];
        self.run_or_stale("group", sql, values).await?;
        if renews || has(&head.changes, |step| matches!(step, GroupStep::Remove)) {
            self.close(BTreeSet::from([before.root])).await?;
        } else if has(&head.changes, |step| matches!(step, GroupStep::Permit(_))) {
            // Fewer permissions are a loss: decisions made on those before are stale.
            self.next_closure_seq().await?;
        }
        let removed = head.changes.iter().filter(|change| change.step == GroupStep::Remove).map(|change| change.user).collect();
        self.lose_compartments_of(group, &removed).await?;
        self.take_head(group, permit.actor(), head, &roster, seals, at).await
    }

    /// What every head brings with it, the first too.
    async fn take_head(
        &self,
        group: GroupId,
        writer: UserId,
        head: GroupHeadNew,
        roster: &Roster,
        seals: Vec<GroupSeal>,
        at: Timestamp,
    ) -> Result<(), StoreError> {
        let raised = head.changes.iter().filter(|change| matches!(change.step, GroupStep::Add { .. } | GroupStep::Own));
        self.still_active(raised.map(|change| change.user).collect()).await?;
        self.set_members(group, &head.changes, roster).await?;
        self.put_seals(group, head.generation, seals, at).await?;
        self.notify(notices(group, writer, &head.changes, at)).await?;
        let row = group_heads::Model {
            group_id: group.as_bytes().to_vec(),
            counter: number(head.counter)?,
            hash: head.hash.to_vec(),
            envelope: head.envelope,
            log_index: number(head.log_index)?,
            log_leaf: head.log_leaf,
            at_ms: at.to_i64(),
        };
        insert_all::<group_heads::Entity, group_heads::ActiveModel>(&self.conn, vec![row]).await
    }

    /// The rows of those whom the changes name become what the roster says of them.
    async fn set_members(&self, group: GroupId, changes: &[GroupChange], roster: &Roster) -> Result<(), StoreError> {
        let changed: BTreeSet<UserId> = changes.iter().map(|change| change.user).collect();
        for user in changed {
            let key = || vec![bytes(group.as_bytes()), bytes(user.as_bytes())];
            let Some(member) = roster.members().get(&user) else {
                for table in ["group_members", "group_seals"] {
                    self.run(&format!("DELETE FROM {table} WHERE group_id = $1 AND user_id = $2"), key()).await?;
                }
                continue;
            };
            let sql = "INSERT INTO group_members (group_id, user_id, permissions, bundle_hash) VALUES ($1, $2, $3, $4) \
                       ON CONFLICT (group_id, user_id) DO UPDATE SET permissions = excluded.permissions, bundle_hash = excluded.bundle_hash";
            let terms = [i64::from(member.permissions.bits()).into(), bytes(member.bundle)];
            self.run(sql, key().into_iter().chain(terms).collect()).await?;
        }
        Ok(())
    }
}

fn has(changes: &[GroupChange], step: impl Fn(&GroupStep) -> bool) -> bool {
    changes.iter().any(|change| step(&change.step))
}

/// To those whose place in the group changed by somebody else.
fn notices(group: GroupId, writer: UserId, changes: &[GroupChange], at: Timestamp) -> impl Iterator<Item = Notice> {
    changes.iter().filter(move |change| change.user != writer).filter_map(move |change| {
        let kind = match change.step {
            GroupStep::Add { .. } => NotificationKind::GroupJoined,
            GroupStep::Remove => NotificationKind::GroupLeft,
            GroupStep::Own => NotificationKind::GroupOwned,
            GroupStep::Permit(_) => return None,
        };
        Some(Notice::about_group(change.user, kind, group, writer, at))
    })
}
