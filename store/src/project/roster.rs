//! Heads of projects, and the rows of members that follow from them in the same transaction.

use std::collections::{BTreeSet, HashMap};

use sea_orm::FromQueryResult;
use ticrypt_policy::Permit;
use ticrypt_policy::permit::MemberSet;
use ticrypt_types::{ProjectId, Timestamp, UserId};

use super::member::MemberNew;
use crate::column::{Digest, bytes, count, digest, id, number, placeholders};
use crate::connect::Store;
use crate::error::StoreError;
use crate::table::insert_all;
use crate::table::project::{members, project_heads};
use crate::writer::Tx;

/// A head as it was signed (docs/formats.md §13), with its place in the key log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProjectHead {
    pub counter: u64,
    pub hash: Digest,
    pub envelope: Vec<u8>,
    /// Of who signed it, under the head before; of the first, under its own.
    pub signer_entry: Vec<u8>,
    /// The hashes beside the way to that entry.
    pub signer_proof: Vec<Digest>,
    pub log_index: u64,
    pub log_leaf: Vec<u8>,
}

/// The next head, or the first, with what it does.
#[derive(Clone, Debug)]
pub struct RosterChanged {
    pub head: ProjectHead,
    pub previous: Option<Digest>,
    pub set: Vec<(UserId, MemberNew)>,
    pub removed: Vec<UserId>,
    pub pi: Option<UserId>,
    pub at: Timestamp,
}

#[derive(FromQueryResult)]
struct Counted {
    n: i64,
}

impl TryFrom<project_heads::Model> for ProjectHead {
    type Error = StoreError;
    fn try_from(row: project_heads::Model) -> Result<Self, StoreError> {
        Ok(Self {
            counter: count("project_heads.counter", row.counter)?,
            hash: digest("project_heads.hash", &row.hash)?,
            envelope: row.envelope,
            signer_entry: row.signer_entry,
            signer_proof: row.signer_proof.chunks(32).map(|hash| digest("project_heads.signer_proof", hash)).collect::<Result<_, _>>()?,
            log_index: count("project_heads.log_index", row.log_index)?,
            log_leaf: row.log_leaf,
        })
    }
}

impl Store {
    /// In order, those after `after`.
    pub async fn project_heads(&self, project: ProjectId, after: u64, limit: u64) -> Result<Vec<ProjectHead>, StoreError> {
        let sql = "SELECT * FROM project_heads WHERE project_id = $1 AND counter > $2 ORDER BY counter LIMIT $3";
        let values = vec![bytes(project.as_bytes()), number(after)?.into(), number(limit)?.into()];
        self.rows::<project_heads::Model>(sql, values).await?.into_iter().map(ProjectHead::try_from).collect()
    }

    /// All of it, or nothing.
    pub async fn set_members(&self, permit: Permit<MemberSet>, changed: RosterChanged) -> Result<(), StoreError> {
        self.write(move |tx| Box::pin(async move { tx.change_roster(permit, changed).await })).await
    }
}

impl Tx {
    async fn change_roster(&self, permit: Permit<MemberSet>, changed: RosterChanged) -> Result<(), StoreError> {
        let RosterChanged { head, previous, set, removed, pi, at } = changed;
        let project = permit.on();
        if head.counter != permit.revision() + 1 || previous.is_none() != (head.counter == 1) {
            return Err(StoreError::Invalid("a head is the next one after what was decided on; sign it so"));
        }
        self.still_active(set.iter().map(|(user, _)| *user).collect()).await?;
        let sql = "UPDATE projects SET counter = counter + 1, head_hash = $3, pi_id = $4, revision = revision + 1 \
                   WHERE id = $1 AND counter = $2 AND (head_hash = $5 OR (head_hash IS NULL AND $2 = 0))";
        let values = vec![
            bytes(project.as_bytes()),
            number(permit.revision())?.into(),
            bytes(head.hash),
            pi.map(|pi| pi.to_bytes().to_vec()).into(),
            bytes(previous.unwrap_or_default()),
        ];
        self.run_or_stale("roster", sql, values).await?;
        self.put_members(project, permit.actor(), &set, at).await?;
        for user in &removed {
            self.lose_compartments(*user, Some(project)).await?;
        }
        self.drop_members(project, &removed).await?;
        self.put_project_head(project, head, at).await
    }

    pub(super) async fn put_project_head(&self, project: ProjectId, head: ProjectHead, at: Timestamp) -> Result<(), StoreError> {
        let row = project_heads::Model {
            project_id: project.as_bytes().to_vec(),
            counter: number(head.counter)?,
            hash: head.hash.to_vec(),
            envelope: head.envelope,
            signer_entry: head.signer_entry,
            signer_proof: head.signer_proof.concat(),
            log_index: number(head.log_index)?,
            log_leaf: head.log_leaf,
            at_ms: at.to_i64(),
        };
        insert_all::<project_heads::Entity, project_heads::ActiveModel>(&self.conn, vec![row]).await
    }

    /// Renewing a membership that has run out or was withdrawn begins it anew; before that it goes on without a gap.
    pub(super) async fn put_members(
        &self,
        project: ProjectId,
        by: UserId,
        set: &[(UserId, MemberNew)],
        at: Timestamp,
    ) -> Result<(), StoreError> {
        let people: Vec<UserId> = set.iter().map(|(user, _)| *user).collect();
        let mut before = HashMap::with_capacity(set.len());
        for some in people.chunks(PEOPLE_PER_QUERY) {
            let sql = format!("SELECT * FROM members WHERE project_id = $1 AND user_id IN ({})", placeholders(2, some.len()));
            let values = std::iter::once(bytes(project.as_bytes())).chain(some.iter().map(|user| bytes(user.as_bytes()))).collect();
            for row in self.rows::<members::Model>(&sql, values).await? {
                before.insert(id::<UserId>("members.user_id", &row.user_id)?, row);
            }
        }
        let row = |(user, new): &(UserId, MemberNew)| {
            let before = before.get(user);
            let goes_on = before.filter(|row| !row.withdrawn && (row.expires_ms == 0 || row.expires_ms > at.to_i64()));
            members::Model {
                project_id: project.as_bytes().to_vec(),
                user_id: user.as_bytes().to_vec(),
                role: new.role.word().to_owned(),
                restrictions: i64::from(new.restrictions.bits()),
                since_ms: goes_on.map_or(at.to_i64(), |row| row.since_ms),
                expires_ms: new.expires.to_i64(),
                set_by: by.as_bytes().to_vec(),
                revision: before.map_or(0, |row| row.revision) + 1,
                salt: Some(new.salt.to_vec()),
                withdrawn: false,
            }
        };
        let rows = set.iter().map(row).collect();
        self.drop_members(project, &people).await?;
        insert_all::<members::Entity, members::ActiveModel>(&self.conn, rows).await?;
        self.grant_joins(project, &people, at).await
    }

    async fn drop_members(&self, project: ProjectId, people: &[UserId]) -> Result<(), StoreError> {
        for some in people.chunks(PEOPLE_PER_QUERY) {
            let sql = format!("DELETE FROM members WHERE project_id = $1 AND user_id IN ({})", placeholders(2, some.len()));
            let values = std::iter::once(bytes(project.as_bytes())).chain(some.iter().map(|user| bytes(user.as_bytes()))).collect();
            self.run(&sql, values).await?;
        }
        Ok(())
    }

    /// Whoever comes in was active when that was decided, and is.
    pub(crate) async fn still_active(&self, people: BTreeSet<UserId>) -> Result<(), StoreError> {
        let people: Vec<UserId> = people.into_iter().collect();
        for some in people.chunks(PEOPLE_PER_QUERY) {
            let sql = format!("SELECT COUNT(*) AS n FROM users WHERE state = 'active' AND id IN ({})", placeholders(1, some.len()));
            let active = self.row::<Counted>(&sql, some.iter().map(|user| bytes(user.as_bytes())).collect()).await?;
            if active.is_none_or(|active| usize::try_from(active.n) != Ok(some.len())) {
                return Err(StoreError::Stale("user"));
            }
        }
        Ok(())
    }
}

/// People in one query.
const PEOPLE_PER_QUERY: usize = 500;
