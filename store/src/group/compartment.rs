//! Keys of a group for what carries tags: a row for each compartment, its heads, and the newest key as it is sealed to its holders.
//!
//! Who holds one is in the group and may be active in the tags. Where somebody ceases to be, and a write says so, the key is marked as lost
//! and what is under it is closed; what ends by the clock shows when somebody asks ([`CompartmentFacts::is_closed`]).

use std::collections::{BTreeMap, BTreeSet};

use sea_orm::{EntityTrait, FromQueryResult, Value};
use ticrypt_policy::compartment::{CompartmentFacts, Holder};
use ticrypt_policy::permit::{CompartmentRenew, CompartmentSeal};
use ticrypt_policy::{Label, Permit};
use ticrypt_types::{Compartment, GroupId, NodeId, ProjectId, Timestamp, UserId, UserState};

use super::{GroupHead, GroupSeal, generation};
use crate::column::{Digest, bytes, count, digest, id, number, placeholders};
use crate::connect::Store;
use crate::error::StoreError;
use crate::table::group::{compartment_heads, compartment_seals, compartments};
use crate::table::insert_all;
use crate::writer::Tx;

const ID_BYTES: usize = 16;

/// A compartment that has a key, after its newest head.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CompartmentKey {
    pub compartment: Compartment,
    pub generation: u32,
    /// Record hash of the head that began it.
    pub head: Digest,
    pub key_lost: bool,
}

/// The next head of a compartment, with the seals of its key.
#[derive(Clone, Debug)]
pub struct CompartmentRenewed {
    pub compartment: Compartment,
    /// Its counter is the generation.
    pub head: GroupHead,
    pub previous: Option<Digest>,
    /// The group's head that the writer stood on.
    pub authority: Digest,
    pub seals: Vec<GroupSeal>,
    pub at: Timestamp,
}

impl TryFrom<compartments::Model> for CompartmentKey {
    type Error = StoreError;
    fn try_from(row: compartments::Model) -> Result<Self, StoreError> {
        Ok(Self {
            compartment: of_bytes(&row.tags)?,
            generation: generation("compartments.generation", row.generation)?,
            head: digest("compartments.head_hash", &row.head_hash)?,
            key_lost: row.key_lost,
        })
    }
}

#[derive(FromQueryResult)]
struct Account {
    id: Vec<u8>,
    state: String,
    generation: Option<i64>,
}

#[derive(FromQueryResult)]
struct Whose {
    group_id: Vec<u8>,
    tags: Vec<u8>,
}

#[derive(FromQueryResult)]
struct NodeRow {
    node_id: Vec<u8>,
}

#[derive(FromQueryResult)]
struct BegunRow {
    hash: Vec<u8>,
    tags: Vec<u8>,
    generation: Option<i64>,
}

/// What a head began.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Begun {
    pub compartment: Compartment,
    /// Whether the person asked about can open the key.
    pub has_key: bool,
}

/// The tags one after the other, as they are in order.
fn to_bytes(compartment: &Compartment) -> Vec<u8> {
    compartment.tags().iter().flat_map(|tag| tag.to_bytes()).collect()
}

fn of_bytes(tags: &[u8]) -> Result<Compartment, StoreError> {
    let corrupt = || StoreError::Corrupt("compartments.tags");
    let tags = tags.chunks(ID_BYTES).map(|tag| id::<ProjectId>("compartments.tags", tag)).collect::<Result<Vec<_>, _>>()?;
    Compartment::try_from(tags).map_err(|_| corrupt())
}

fn key(group: GroupId, compartment: &Compartment) -> Vec<Value> {
    vec![bytes(group.as_bytes()), bytes(to_bytes(compartment))]
}

impl Store {
    /// `None`: it has no key yet.
    pub async fn compartment(&self, group: GroupId, compartment: &Compartment) -> Result<Option<CompartmentKey>, StoreError> {
        let row = compartments::Entity::find_by_id((group.as_bytes().to_vec(), to_bytes(compartment))).one(&self.readers).await?;
        row.map(CompartmentKey::try_from).transpose()
    }

    /// Those of a group that have a key.
    pub async fn compartments_of(&self, group: GroupId) -> Result<Vec<CompartmentKey>, StoreError> {
        let sql = "SELECT * FROM compartments WHERE group_id = $1 ORDER BY tags";
        let rows = self.rows::<compartments::Model>(sql, vec![bytes(group.as_bytes())]).await?;
        rows.into_iter().map(CompartmentKey::try_from).collect()
    }

    /// Of which compartments these heads began a key, and whether a seal of that key or a later one is for this person.
    pub async fn compartments_begun(&self, heads: &[Digest], user: UserId) -> Result<BTreeMap<Digest, Begun>, StoreError> {
        let mut begun = BTreeMap::new();
        for some in heads.chunks(1_000) {
            let sql = format!(
                "SELECT h.hash, h.tags, s.generation FROM compartment_heads h LEFT JOIN compartment_seals s ON s.group_id = h.group_id \
                 AND s.tags = h.tags AND s.generation >= h.generation AND s.user_id = $1 WHERE h.hash IN ({})",
                placeholders(2, some.len())
            );
            let values = std::iter::once(bytes(user.as_bytes())).chain(some.iter().map(bytes)).collect();
            for row in self.rows::<BegunRow>(&sql, values).await? {
                let compartment = of_bytes(&row.tags)?;
                begun.insert(digest("compartment_heads.hash", &row.hash)?, Begun { compartment, has_key: row.generation.is_some() });
            }
        }
        Ok(begun)
    }

    /// In order, those that began generations after `after`.
    pub async fn compartment_heads(
        &self,
        group: GroupId,
        compartment: &Compartment,
        after: u32,
        limit: u64,
    ) -> Result<Vec<GroupHead>, StoreError> {
        let sql = "SELECT * FROM compartment_heads WHERE group_id = $1 AND tags = $2 AND generation > $3 ORDER BY generation LIMIT $4";
        let values = key(group, compartment).into_iter().chain([i64::from(after).into(), number(limit)?.into()]).collect();
        let head = |row: compartment_heads::Model| {
            Ok(GroupHead {
                counter: count("compartment_heads.generation", row.generation)?,
                hash: digest("compartment_heads.hash", &row.hash)?,
                envelope: row.envelope,
                log_index: count("compartment_heads.log_index", row.log_index)?,
                log_leaf: row.log_leaf,
            })
        };
        self.rows::<compartment_heads::Model>(sql, values).await?.into_iter().map(head).collect()
    }

    /// The newest they have, which may be of an older generation than the compartment's.
    pub async fn compartment_seal(&self, group: GroupId, compartment: &Compartment, user: UserId) -> Result<Option<GroupSeal>, StoreError> {
        let sql = "SELECT * FROM compartment_seals WHERE group_id = $1 AND tags = $2 AND user_id = $3";
        let values = key(group, compartment).into_iter().chain([bytes(user.as_bytes())]).collect();
        let seal = |row: compartment_seals::Model| {
            Ok(GroupSeal {
                member: id("compartment_seals.user_id", &row.user_id)?,
                generation: generation("compartment_seals.generation", row.generation)?,
                bundle: digest("compartment_seals.bundle_hash", &row.bundle_hash)?,
                bundle_generation: generation("compartment_seals.bundle_generation", row.bundle_generation)?,
                sealed: row.sealed,
            })
        };
        self.rows::<compartment_seals::Model>(sql, values).await?.into_iter().next().map(seal).transpose()
    }

    /// `None`: there is no such group, or one of the tags is of no project.
    pub async fn compartment_facts(&self, group: GroupId, compartment: &Compartment) -> Result<Option<CompartmentFacts>, StoreError> {
        let lines = self.lines(compartment.tags()).await?;
        if lines.len() != compartment.tags().len() {
            return Ok(None);
        }
        // Tags that could never be active together are on no path.
        let Ok(label) = Label::of(lines) else { return Ok(None) };
        let Some(group_facts) = self.group_facts(group).await? else { return Ok(None) };
        let newest = self.compartment(group, compartment).await?;
        let sql = "SELECT u.id, u.state, s.generation FROM group_members m JOIN users u ON u.id = m.user_id \
                   LEFT JOIN compartment_seals s ON s.group_id = m.group_id AND s.tags = $2 AND s.user_id = m.user_id \
                   WHERE m.group_id = $1 ORDER BY m.user_id";
        let accounts = self.rows::<Account>(sql, key(group, compartment)).await?;
        let ids = accounts.iter().map(|row| id("users.id", &row.id)).collect::<Result<Vec<UserId>, _>>()?;
        let mut standing = self.standing_of(&ids, compartment.tags()).await?;
        let generation = newest.as_ref().map_or(0, |newest| newest.generation);
        let holder = |(row, user): (Account, UserId)| Holder {
            user,
            is_active: row.state == UserState::Active.word(),
            lines: standing.remove(&user).unwrap_or_default().into_values().collect(),
            has_key: row.generation == Some(i64::from(generation)),
        };
        let holders = accounts.into_iter().zip(ids).map(holder).collect();
        let key_lost = newest.is_some_and(|newest| newest.key_lost);
        Ok(Some(CompartmentFacts { group: group_facts, compartment: compartment.clone(), label, generation, key_lost, holders }))
    }

    pub async fn renew_compartment(&self, permit: Permit<CompartmentRenew>, renewed: CompartmentRenewed) -> Result<(), StoreError> {
        self.write(move |tx| Box::pin(async move { tx.renew_compartment(permit, renewed).await })).await
    }

    /// Seals the newest key to more holders.
    pub async fn seal_compartment(
        &self,
        permit: Permit<CompartmentSeal>,
        compartment: Compartment,
        seals: Vec<GroupSeal>,
        at: Timestamp,
    ) -> Result<(), StoreError> {
        self.write(move |tx| Box::pin(async move { tx.seal_compartment(permit, &compartment, seals, at).await })).await
    }
}

impl Tx {
    async fn compartment(&self, group: GroupId, compartment: &Compartment) -> Result<Option<CompartmentKey>, StoreError> {
        let row = compartments::Entity::find_by_id((group.as_bytes().to_vec(), to_bytes(compartment))).one(&self.conn).await?;
        row.map(CompartmentKey::try_from).transpose()
    }

    async fn renew_compartment(&self, permit: Permit<CompartmentRenew>, renewed: CompartmentRenewed) -> Result<(), StoreError> {
        let CompartmentRenewed { compartment, head, previous, authority, seals, at } = renewed;
        let group = permit.on();
        if self.group(group).await?.head != authority {
            return Err(StoreError::Stale("group"));
        }
        let before = self.compartment(group, &compartment).await?;
        let generation = before.as_ref().map_or(0, |before| u64::from(before.generation));
        let next = (generation, previous) == (permit.revision(), before.map(|before| before.head)) && head.counter == generation + 1;
        if !next {
            return Err(StoreError::Stale("compartment"));
        }
        let sql = "INSERT INTO compartments (group_id, tags, generation, head_hash, key_lost) VALUES ($1, $2, $3, $4, FALSE) \
                   ON CONFLICT (group_id, tags) DO UPDATE SET generation = excluded.generation, head_hash = excluded.head_hash, key_lost = FALSE";
        let values = key(group, &compartment).into_iter().chain([number(head.counter)?.into(), bytes(head.hash)]).collect();
        self.run(sql, values).await?;
        let newest = u32::try_from(head.counter).map_err(|_| StoreError::Invalid("the key was renewed too often"))?;
        let row = compartment_heads::Model {
            group_id: group.as_bytes().to_vec(),
            tags: to_bytes(&compartment),
            generation: number(head.counter)?,
            hash: head.hash.to_vec(),
            envelope: head.envelope,
            log_index: number(head.log_index)?,
            log_leaf: head.log_leaf,
            at_ms: at.to_i64(),
        };
        insert_all::<compartment_heads::Entity, compartment_heads::ActiveModel>(&self.conn, vec![row]).await?;
        self.put_compartment_seals(group, &compartment, newest, seals, at).await
    }

    async fn seal_compartment(
        &self,
        permit: Permit<CompartmentSeal>,
        compartment: &Compartment,
        seals: Vec<GroupSeal>,
        at: Timestamp,
    ) -> Result<(), StoreError> {
        let newest = self.compartment(permit.on(), compartment).await?.map_or(0, |newest| newest.generation);
        if u64::from(newest) != permit.revision() {
            return Err(StoreError::Stale("compartment"));
        }
        self.put_compartment_seals(permit.on(), compartment, newest, seals, at).await
    }

    /// Whether they may hold the key was decided by the caller; that they are in the group and whose key it is, is looked at again.
    async fn put_compartment_seals(
        &self,
        group: GroupId,
        compartment: &Compartment,
        newest: u32,
        seals: Vec<GroupSeal>,
        at: Timestamp,
    ) -> Result<(), StoreError> {
        if seals.iter().any(|seal| seal.generation != newest) {
            return Err(StoreError::Invalid("a seal is of another generation than the compartment's key; seal the newest"));
        }
        let accounts = self.accounts_in(group, &seals).await?;
        for seal in seals {
            match accounts.get(&seal.member) {
                Some((bundle, true)) if *bundle == seal.bundle => {}
                Some((_, true)) => return Err(StoreError::Stale("identity")),
                _ => return Err(StoreError::Stale("group")),
            }
            let sql = "INSERT INTO compartment_seals (group_id, tags, user_id, generation, bundle_hash, bundle_generation, sealed, at_ms) \
                       VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (group_id, tags, user_id) DO UPDATE SET \
                       generation = excluded.generation, bundle_hash = excluded.bundle_hash, \
                       bundle_generation = excluded.bundle_generation, sealed = excluded.sealed, at_ms = excluded.at_ms \
                       WHERE compartment_seals.generation < excluded.generation OR compartment_seals.bundle_hash <> excluded.bundle_hash";
            let terms: [Value; 6] = [
                bytes(seal.member.as_bytes()),
                i64::from(seal.generation).into(),
                bytes(seal.bundle),
                i64::from(seal.bundle_generation).into(),
                seal.sealed.into(),
                at.to_i64().into(),
            ];
            self.run(sql, key(group, compartment).into_iter().chain(terms).collect()).await?;
        }
        Ok(())
    }

    /// The keys of all compartments that somebody holds, or of those below a project: nothing is written under them until there are others.
    pub(crate) async fn lose_compartments(&self, user: UserId, within: Option<ProjectId>) -> Result<(), StoreError> {
        let sql = "SELECT c.group_id, c.tags FROM compartments c JOIN compartment_seals s ON s.group_id = c.group_id AND s.tags = c.tags \
                   AND s.generation = c.generation WHERE s.user_id = $1";
        let mut lost = Vec::new();
        for row in self.rows::<Whose>(sql, vec![bytes(user.as_bytes())]).await? {
            let (group, compartment) = (id::<GroupId>("compartments.group_id", &row.group_id)?, of_bytes(&row.tags)?);
            let concerns = match within {
                None => true,
                Some(project) => self.any_within(compartment.tags(), project).await?,
            };
            if concerns {
                lost.push((group, compartment));
            }
        }
        self.lose(lost).await
    }

    /// The same of one group, whose roster names them no more.
    pub(super) async fn lose_compartments_of(&self, group: GroupId, removed: &BTreeSet<UserId>) -> Result<(), StoreError> {
        for user in removed {
            let sql = "SELECT c.group_id, c.tags FROM compartments c JOIN compartment_seals s ON s.group_id = c.group_id AND s.tags = c.tags \
                       AND s.generation = c.generation WHERE s.user_id = $1 AND c.group_id = $2";
            let whose = || vec![bytes(user.as_bytes()), bytes(group.as_bytes())];
            let rows = self.rows::<Whose>(sql, whose()).await?;
            let lost = rows.iter().map(|row| Ok((group, of_bytes(&row.tags)?))).collect::<Result<Vec<_>, StoreError>>()?;
            self.lose(lost).await?;
            self.run("DELETE FROM compartment_seals WHERE user_id = $1 AND group_id = $2", whose()).await?;
        }
        Ok(())
    }

    async fn lose(&self, lost: Vec<(GroupId, Compartment)>) -> Result<(), StoreError> {
        let mut closed = BTreeSet::new();
        for (group, compartment) in lost {
            self.run("UPDATE compartments SET key_lost = TRUE WHERE group_id = $1 AND tags = $2", key(group, &compartment)).await?;
            let sql = "SELECT g.node_id FROM grants g JOIN compartment_heads h ON h.hash = g.recipient_bundle \
                       WHERE g.ended_ms IS NULL AND h.group_id = $1 AND h.tags = $2";
            for row in self.rows::<NodeRow>(sql, key(group, &compartment)).await? {
                closed.insert(id::<NodeId>("grants.node_id", &row.node_id)?);
            }
        }
        self.close(closed).await
    }

    /// The identity they were sealed to is gone.
    pub(super) async fn forget_compartment_seals(&self, user: UserId) -> Result<(), StoreError> {
        self.run("DELETE FROM compartment_seals WHERE user_id = $1", vec![bytes(user.as_bytes())]).await.map(drop)
    }

    pub(super) async fn delete_compartments(&self, group: GroupId) -> Result<(), StoreError> {
        for table in ["compartments", "compartment_heads", "compartment_seals"] {
            self.run(&format!("DELETE FROM {table} WHERE group_id = $1"), vec![bytes(group.as_bytes())]).await?;
        }
        Ok(())
    }
}
