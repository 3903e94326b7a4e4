//! A group's newest key, sealed to its members: who has it, who waits for it, and whose having it makes it worthless.

use std::collections::{BTreeMap, BTreeSet};

use sea_orm::FromQueryResult;
use ticrypt_policy::Permit;
use ticrypt_policy::permit::GroupSeal as SealPermit;
use ticrypt_types::{GroupId, NodeId, Timestamp, UserId, UserState};

use super::{generation, people};
use crate::column::{Digest, bytes, count, digest, id, number, placeholders};
use crate::connect::Store;
use crate::error::StoreError;
use crate::table::group::group_seals;
use crate::writer::Tx;

/// The seed of a generation, sealed to a member (docs/formats.md §12).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupSeal {
    pub member: UserId,
    pub generation: u32,
    /// The identity it is sealed to.
    pub bundle: Digest,
    /// Of the member's own keys.
    pub bundle_generation: u32,
    pub sealed: Vec<u8>,
}

impl TryFrom<group_seals::Model> for GroupSeal {
    type Error = StoreError;
    fn try_from(row: group_seals::Model) -> Result<Self, StoreError> {
        Ok(Self {
            member: id("group_seals.user_id", &row.user_id)?,
            generation: generation("group_seals.generation", row.generation)?,
            bundle: digest("group_seals.bundle_hash", &row.bundle_hash)?,
            bundle_generation: generation("group_seals.bundle_generation", row.bundle_generation)?,
            sealed: row.sealed,
        })
    }
}

/// Members whose account is active and who have no seal of the newest generation; the group comes last.
pub(super) const WAITING: &str = "FROM group_members w JOIN groups own ON own.id = w.group_id JOIN users u ON u.id = w.user_id \
    WHERE u.state = 'active' AND NOT EXISTS (SELECT 1 FROM group_seals s WHERE s.group_id = w.group_id AND s.user_id = w.user_id \
    AND s.generation = own.generation) AND w.group_id =";

/// Of `groups`: the newest key is sealed to `$1`.
const HELD: &str =
    "EXISTS (SELECT 1 FROM group_seals s WHERE s.group_id = groups.id AND s.user_id = $1 AND s.generation = groups.generation)";

#[derive(FromQueryResult)]
struct Account {
    id: Vec<u8>,
    bundle_hash: Vec<u8>,
    state: String,
}

#[derive(FromQueryResult)]
struct Count {
    n: i64,
}

#[derive(FromQueryResult)]
struct RootRow {
    root_id: Vec<u8>,
}

impl Store {
    /// The newest they have, which may be of an older generation than the group's.
    pub async fn group_seal(&self, group: GroupId, user: UserId) -> Result<Option<GroupSeal>, StoreError> {
        let sql = "SELECT * FROM group_seals WHERE group_id = $1 AND user_id = $2";
        let rows = self.rows::<group_seals::Model>(sql, vec![bytes(group.as_bytes()), bytes(user.as_bytes())]).await?;
        rows.into_iter().next().map(GroupSeal::try_from).transpose()
    }

    /// Members who could open the newest key and have no seal of it, in the order of their ids.
    pub async fn group_waiting(&self, group: GroupId, limit: u64) -> Result<Vec<UserId>, StoreError> {
        let sql = format!("SELECT w.user_id AS id {WAITING} $1 ORDER BY w.user_id LIMIT $2");
        people(&self.rows(&sql, vec![bytes(group.as_bytes()), number(limit)?.into()]).await?)
    }

    /// Seals the newest key to more members; gives how many wait on.
    pub async fn seal_group(
        &self,
        permit: Permit<SealPermit>,
        generation: u32,
        seals: Vec<GroupSeal>,
        at: Timestamp,
    ) -> Result<u64, StoreError> {
        self.write(move |tx| Box::pin(async move { tx.seal_group(permit, generation, seals, at).await })).await
    }
}

impl Tx {
    async fn seal_group(
        &self,
        permit: Permit<SealPermit>,
        generation: u32,
        seals: Vec<GroupSeal>,
        at: Timestamp,
    ) -> Result<u64, StoreError> {
        let group = permit.on();
        // Not on the revision: whoever is added meanwhile changes nothing for those who are sealed to.
        if self.group(group).await?.generation != generation {
            return Err(StoreError::Stale("group"));
        }
        self.put_seals(group, generation, seals, at).await?;
        let waiting = self.row::<Count>(&format!("SELECT COUNT(*) AS n {WAITING} $1"), vec![bytes(group.as_bytes())]).await?;
        count("count", waiting.map_or(0, |row| row.n))
    }

    /// To members, under the identities they have now. One whose account is not active gets none, and waits once it is again.
    pub(super) async fn put_seals(&self, group: GroupId, generation: u32, seals: Vec<GroupSeal>, at: Timestamp) -> Result<(), StoreError> {
        if seals.iter().any(|seal| seal.generation != generation) {
            return Err(StoreError::Invalid("a seal is of another generation than the group's key; seal the newest"));
        }
        let accounts = self.accounts_in(group, &seals).await?;
        for seal in seals {
            let (bundle, is_active) = *accounts.get(&seal.member).ok_or(StoreError::Stale("group"))?;
            if bundle != seal.bundle {
                return Err(StoreError::Stale("identity"));
            }
            if is_active {
                self.put_seal(group, seal, at).await?;
            }
        }
        Ok(())
    }

    /// Of those sealed to who are in the group: their identity, and whether the account is active.
    pub(super) async fn accounts_in(&self, group: GroupId, seals: &[GroupSeal]) -> Result<BTreeMap<UserId, (Digest, bool)>, StoreError> {
        let mut accounts = BTreeMap::new();
        for some in seals.chunks(1_000) {
            let sql = format!(
                "SELECT u.id, u.bundle_hash, u.state FROM users u JOIN group_members m ON m.user_id = u.id \
                 WHERE m.group_id = $1 AND u.id IN ({})",
                placeholders(2, some.len())
            );
            let mut values = vec![bytes(group.as_bytes())];
            values.extend(some.iter().map(|seal| bytes(seal.member.as_bytes())));
            for row in self.rows::<Account>(&sql, values).await? {
                let account = (digest("users.bundle_hash", &row.bundle_hash)?, row.state == UserState::Active.word());
                accounts.insert(id("users.id", &row.id)?, account);
            }
        }
        Ok(accounts)
    }

    /// Whoever is first seals: the same key again to the same identity changes nothing.
    async fn put_seal(&self, group: GroupId, seal: GroupSeal, at: Timestamp) -> Result<(), StoreError> {
        let sql = "INSERT INTO group_seals (group_id, user_id, generation, bundle_hash, bundle_generation, sealed, at_ms) \
                   VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (group_id, user_id) DO UPDATE SET generation = excluded.generation, \
                   bundle_hash = excluded.bundle_hash, bundle_generation = excluded.bundle_generation, sealed = excluded.sealed, \
                   at_ms = excluded.at_ms \
                   WHERE group_seals.generation < excluded.generation OR group_seals.bundle_hash <> excluded.bundle_hash";
        let values = vec![
            bytes(group.as_bytes()),
            bytes(seal.member.as_bytes()),
            i64::from(seal.generation).into(),
            bytes(seal.bundle),
            i64::from(seal.bundle_generation).into(),
            seal.sealed.into(),
            at.to_i64().into(),
        ];
        self.run(sql, values).await.map(drop)
    }

    /// Groups whose newest key somebody holds who is not to have it: nothing is written in them until there is another.
    pub(crate) async fn lose_group_keys(&self, user: UserId) -> Result<(), StoreError> {
        let values = || vec![bytes(user.as_bytes())];
        let rows = self.rows::<RootRow>(&format!("SELECT root_id FROM groups WHERE {HELD}"), values()).await?;
        let roots = rows.iter().map(|row| id("groups.root_id", &row.root_id)).collect::<Result<BTreeSet<NodeId>, _>>()?;
        // A head that was decided on before would not know.
        self.run(&format!("UPDATE groups SET key_lost = TRUE, revision = revision + 1 WHERE {HELD}"), values()).await?;
        self.close(roots).await?;
        self.lose_compartments(user, None).await
    }

    /// The identity they were sealed to is gone.
    pub(crate) async fn forget_group_seals(&self, user: UserId) -> Result<(), StoreError> {
        self.run("DELETE FROM group_seals WHERE user_id = $1", vec![bytes(user.as_bytes())]).await?;
        self.forget_compartment_seals(user).await
    }
}
