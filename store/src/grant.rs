//! Shares: a node's keys sealed to somebody, with the signed record that says on which terms.
//!
//! Ending a share closes its node: the closure counter rises, the node remembers the new number, and nothing is written below
//! until there are younger keys. In the same transaction, so no write slips in between.

use std::collections::BTreeSet;

use sea_orm::Value;
use ticrypt_policy::Permit;
use ticrypt_policy::grant::GrantFacts;
use ticrypt_policy::permit::{GrantCreate, GrantLeave, GrantRevoke};
use ticrypt_types::{GrantId, NodeId, Timestamp, UserId, Verbs};

use crate::column::{Digest, bytes, count, digest, digest_or_none, id, id_or_none, number, placeholders, time};
use crate::connect::Store;
use crate::error::{StoreError, Taken};
use crate::node::verbs;
use crate::notification::Notice;
use crate::table::grant::grants;
use crate::table::insert_all;
use crate::writer::Tx;

/// A grant as stored (docs/formats.md §6).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    pub id: GrantId,
    pub node: NodeId,
    pub hash: Digest,
    pub envelope: Vec<u8>,
    /// The keys, sealed to the recipient.
    pub sealed: Vec<u8>,
    pub owner: UserId,
    pub sealer: UserId,
    pub recipient: UserId,
    pub recipient_bundle: Digest,
    pub verbs: Verbs,
    pub epoch: u64,
    pub expires: Timestamp,
    pub authority: Option<Digest>,
    pub predecessor: Option<Digest>,
    pub created: Timestamp,
    pub ended: Option<Timestamp>,
    /// Who ended it; absent where it expired or new keys replaced it. The recipient without a revocation: it died with their identity.
    pub ended_by: Option<UserId>,
    pub revocation: Option<Vec<u8>>,
}

/// A grant record with what the caller took out of it.
#[derive(Clone, Debug)]
pub struct GrantNew {
    pub id: GrantId,
    pub node: NodeId,
    pub hash: Digest,
    pub envelope: Vec<u8>,
    pub sealed: Vec<u8>,
    pub owner: UserId,
    pub sealer: UserId,
    pub recipient: UserId,
    pub recipient_bundle: Digest,
    pub verbs: Verbs,
    pub epoch: u64,
    pub expires: Timestamp,
    pub authority: Option<Digest>,
    pub predecessor: Option<Digest>,
    pub created: Timestamp,
}

/// A grant to end, with the signed revocation.
#[derive(Debug)]
pub struct EndGrant {
    pub permit: Permit<GrantRevoke>,
    pub revocation: Vec<u8>,
    /// Who brings it about, whoever's right it rests on; they are not told.
    pub by: UserId,
}

impl Grant {
    pub fn facts(&self) -> GrantFacts {
        let ended = self.ended.is_some() && !self.is_dead();
        GrantFacts { grant: self.id, sealer: self.sealer, recipient: self.recipient, ended }
    }

    /// Sealed to an identity that was lost and reset, and not put away since by anybody. (Whoever leaves a share leaves a revocation.)
    pub fn is_dead(&self) -> bool {
        self.ended.is_some() && self.ended_by == Some(self.recipient) && self.revocation.is_none()
    }

    pub fn is_living(&self, now: Timestamp) -> bool {
        self.ended.is_none() && !self.expires.is_expired(now)
    }
}

impl TryFrom<grants::Model> for Grant {
    type Error = StoreError;
    fn try_from(row: grants::Model) -> Result<Self, StoreError> {
        Ok(Self {
            id: id("grants.id", &row.id)?,
            node: id("grants.node_id", &row.node_id)?,
            hash: digest("grants.hash", &row.hash)?,
            envelope: row.envelope,
            sealed: row.sealed,
            owner: id("grants.owner_id", &row.owner_id)?,
            sealer: id("grants.sealer_id", &row.sealer_id)?,
            recipient: id("grants.recipient_id", &row.recipient_id)?,
            recipient_bundle: digest("grants.recipient_bundle", &row.recipient_bundle)?,
            verbs: verbs(row.verbs)?,
            epoch: count("grants.epoch", row.epoch)?,
            expires: time(row.expires_ms),
            authority: digest_or_none("grants.authority_hash", row.authority_hash.as_ref())?,
            predecessor: digest_or_none("grants.predecessor_hash", row.predecessor_hash.as_ref())?,
            created: time(row.created_ms),
            ended: row.ended_ms.map(time),
            ended_by: id_or_none("grants.ended_by", row.ended_by.as_ref())?,
            revocation: row.revocation,
        })
    }
}

const EXPIRED: &str = "SELECT * FROM grants WHERE ended_ms IS NULL AND expires_ms > 0 AND expires_ms <= $1";

/// What [`Grant::is_dead`] says, of a row that no living one to the same person stands beside.
const DEAD: &str = "ended_ms IS NOT NULL AND ended_by = recipient_id AND revocation IS NULL AND NOT EXISTS \
    (SELECT 1 FROM grants again WHERE again.node_id = grants.node_id AND again.recipient_id = grants.recipient_id AND again.ended_ms IS NULL)";

fn grants_of(rows: Vec<grants::Model>) -> Result<Vec<Grant>, StoreError> {
    rows.into_iter().map(Grant::try_from).collect()
}

/// Whom to tell of an end; of one that had ended before, dead with its recipient's lost identity, nobody.
fn ended(before: &Grant, by: UserId, at: Timestamp) -> impl Iterator<Item = Notice> {
    Notice::ended(before, Some(by), at).filter(|_| before.ended.is_none())
}

impl Store {
    pub async fn grant(&self, grant: GrantId) -> Result<Option<Grant>, StoreError> {
        let rows = self.rows("SELECT * FROM grants WHERE id = $1", vec![bytes(grant.as_bytes())]).await?;
        Ok(grants_of(rows)?.pop())
    }

    /// By record hash: what another record names as its authority or predecessor. Ended ones included.
    pub async fn grant_by_hash(&self, hash: &Digest) -> Result<Option<Grant>, StoreError> {
        let rows = self.rows("SELECT * FROM grants WHERE hash = $1", vec![bytes(hash)]).await?;
        Ok(grants_of(rows)?.pop())
    }

    /// The same for many, in no order; those that are gone are left out.
    pub async fn grants_by_hash(&self, hashes: &[Digest]) -> Result<Vec<Grant>, StoreError> {
        let mut found = Vec::with_capacity(hashes.len());
        for some in hashes.chunks(1_000) {
            let sql = format!("SELECT * FROM grants WHERE hash IN ({})", placeholders(1, some.len()));
            found.extend(grants_of(self.rows(&sql, some.iter().map(bytes).collect()).await?)?);
        }
        Ok(found)
    }

    /// Every grant given on these nodes themselves, ended ones too, oldest first. Take the nodes from the facts' path.
    pub async fn grants_on(&self, nodes: &[NodeId]) -> Result<Vec<Grant>, StoreError> {
        let mut found = Vec::new();
        for some in nodes.chunks(1_000) {
            let sql = format!("SELECT * FROM grants WHERE node_id IN ({}) ORDER BY created_ms, id", placeholders(1, some.len()));
            found.extend(grants_of(self.rows(&sql, some.iter().map(|id| bytes(id.as_bytes())).collect()).await?)?);
        }
        Ok(found)
    }

    /// Grants on these nodes themselves that are not ended, to one person, oldest first.
    pub async fn grants_to(&self, recipient: UserId, nodes: &[NodeId]) -> Result<Vec<Grant>, StoreError> {
        let mut found = Vec::new();
        for some in nodes.chunks(1_000) {
            let sql = format!(
                "SELECT * FROM grants WHERE recipient_id = $1 AND ended_ms IS NULL AND node_id IN ({}) ORDER BY created_ms, id",
                placeholders(2, some.len())
            );
            let mut values = vec![bytes(recipient.as_bytes())];
            values.extend(some.iter().map(|id| bytes(id.as_bytes())));
            found.extend(grants_of(self.rows(&sql, values).await?)?);
        }
        Ok(found)
    }

    /// Grants not ended that name this one as their authority: whoever ends it is asked about these.
    pub async fn grants_resting_on(&self, hash: &Digest) -> Result<Vec<Grant>, StoreError> {
        let sql = "SELECT * FROM grants WHERE authority_hash = $1 AND ended_ms IS NULL ORDER BY created_ms, id";
        grants_of(self.rows(sql, vec![bytes(hash)]).await?)
    }

    /// What is shared with somebody at `now` (their own roots left out), in the order of ids.
    pub async fn shared_with(&self, user: UserId, now: Timestamp, after: Option<GrantId>, limit: u64) -> Result<Vec<Grant>, StoreError> {
        self.page("recipient_id = $1 AND owner_id <> $1", user, now, after, limit).await
    }

    /// What somebody shared with others and is not over at `now`, in the order of ids. A root sealed to its group is no share.
    pub async fn shared_by(&self, user: UserId, now: Timestamp, after: Option<GrantId>, limit: u64) -> Result<Vec<Grant>, StoreError> {
        self.page("sealer_id = $1 AND recipient_id <> $1 AND recipient_id <> owner_id", user, now, after, limit).await
    }

    /// Shares that died with the recipient's identity and were neither given again nor put away: of one's own sealing, in the order of ids.
    pub async fn dead_by(&self, sealer: UserId, after: Option<GrantId>, limit: u64) -> Result<Vec<Grant>, StoreError> {
        let sql = format!("SELECT * FROM grants WHERE sealer_id = $1 AND recipient_id <> $1 AND {DEAD} AND id > $2 ORDER BY id LIMIT $3");
        let after: Value = after.map_or(Vec::new(), |id| id.as_bytes().to_vec()).into();
        grants_of(self.rows(&sql, vec![bytes(sealer.as_bytes()), after, number(limit)?.into()]).await?)
    }

    /// The same on one node, whoever sealed them.
    pub async fn dead_on(&self, node: NodeId) -> Result<Vec<Grant>, StoreError> {
        let sql = format!("SELECT * FROM grants WHERE node_id = $1 AND recipient_id <> owner_id AND {DEAD} ORDER BY id");
        grants_of(self.rows(&sql, vec![bytes(node.as_bytes())]).await?)
    }

    async fn page(&self, filter: &str, user: UserId, now: Timestamp, after: Option<GrantId>, limit: u64) -> Result<Vec<Grant>, StoreError> {
        let sql = format!(
            "SELECT * FROM grants WHERE {filter} AND ended_ms IS NULL AND (expires_ms = 0 OR expires_ms > $2) AND id > $3 ORDER BY id LIMIT $4"
        );
        let after: Value = after.map_or(Vec::new(), |id| id.as_bytes().to_vec()).into();
        grants_of(self.rows(&sql, vec![bytes(user.as_bytes()), now.to_i64().into(), after, number(limit)?.into()]).await?)
    }

    /// A new share. One that names a predecessor replaces it: the same recipient, new terms.
    pub async fn insert_grant(&self, permit: Permit<GrantCreate>, grant: GrantNew) -> Result<(), StoreError> {
        self.write(move |tx| Box::pin(async move { tx.insert_grant(permit, grant).await })).await
    }

    /// Ends shares and closes their nodes.
    pub async fn end_grants(&self, ends: Vec<EndGrant>, at: Timestamp) -> Result<(), StoreError> {
        self.write(move |tx| Box::pin(async move { tx.end_grants(ends, at).await })).await
    }

    /// The recipient gives a share back. Its node is closed all the same: they keep the keys they had.
    pub async fn leave_grant(&self, permit: Permit<GrantLeave>, revocation: Vec<u8>, at: Timestamp) -> Result<(), StoreError> {
        self.write(move |tx| Box::pin(async move { tx.leave_grant(permit, revocation, at).await })).await
    }

    /// Shares past their time that have not been ended.
    pub async fn expired(&self, now: Timestamp) -> Result<Vec<Grant>, StoreError> {
        grants_of(self.rows(EXPIRED, vec![now.to_i64().into()]).await?)
    }

    /// Ends shares past their time, so that their nodes close. Tells which.
    pub async fn end_expired(&self, now: Timestamp) -> Result<Vec<GrantId>, StoreError> {
        self.write(move |tx| Box::pin(async move { tx.end_expired(now).await })).await
    }
}

impl Tx {
    pub async fn insert_grant(&self, permit: Permit<GrantCreate>, grant: GrantNew) -> Result<(), StoreError> {
        self.check_rights(permit.rights()).await?;
        let node = self.node(permit.on()).await?;
        if node.revision != permit.revision() || node.epoch != grant.epoch {
            return Err(StoreError::Stale("node"));
        }
        if grant.node != node.id || grant.owner != node.owner || grant.sealer != permit.actor() {
            return Err(StoreError::Invalid("the share is for another node, owner or sealer; seal it again"));
        }
        if let Some(hash) = grant.predecessor {
            let sql = "SELECT * FROM grants WHERE hash = $1 AND ended_ms IS NULL";
            let row = self.row::<grants::Model>(sql, vec![bytes(hash)]).await?.ok_or(StoreError::Stale("share"))?;
            let before = Grant::try_from(row)?;
            if before.node != grant.node || before.recipient != grant.recipient {
                return Err(StoreError::Invalid("the share before it is another one's; leave it out or name the right one"));
            }
            // Fewer verbs or less time is a loss: decisions made on the old terms are stale.
            self.next_closure_seq().await?;
            self.end_row(before.id, permit.actor(), None, grant.created).await?;
        }
        let notice = Notice::given(grant.id, grant.node, grant.sealer, grant.recipient, grant.created);
        self.insert_grant_rows(vec![grant]).await?;
        self.notify([notice]).await
    }

    pub async fn end_grants(&self, ends: Vec<EndGrant>, at: Timestamp) -> Result<(), StoreError> {
        let (mut nodes, mut notices) = (BTreeSet::new(), Vec::new());
        for EndGrant { permit, revocation, by } in ends {
            let on = permit.on();
            self.on_or_below(on.grant, on.node).await?;
            let before = self.end_row(on.grant, permit.actor(), Some(revocation), at).await?;
            nodes.insert(before.node);
            notices.extend(ended(&before, by, at));
        }
        self.notify(notices).await?;
        self.close(nodes).await
    }

    pub async fn leave_grant(&self, permit: Permit<GrantLeave>, revocation: Vec<u8>, at: Timestamp) -> Result<(), StoreError> {
        let before = self.end_row(permit.on().grant, permit.actor(), Some(revocation), at).await?;
        self.notify(ended(&before, permit.actor(), at)).await?;
        self.close(BTreeSet::from([before.node])).await
    }

    pub async fn end_expired(&self, now: Timestamp) -> Result<Vec<GrantId>, StoreError> {
        let expired = grants_of(self.rows(EXPIRED, vec![now.to_i64().into()]).await?)?;
        let sql = "UPDATE grants SET ended_ms = expires_ms WHERE ended_ms IS NULL AND expires_ms > 0 AND expires_ms <= $1";
        self.run(sql, vec![now.to_i64().into()]).await?;
        self.notify(expired.iter().flat_map(|grant| Notice::ended(grant, None, now))).await?;
        self.close(expired.iter().map(|grant| grant.node).collect()).await?;
        Ok(expired.into_iter().map(|grant| grant.id).collect())
    }

    /// Ends what is sealed to an identity that its person lost: in their name and without a revocation, which no other end looks like.
    ///
    /// Nodes of other people close, since whoever has the lost keys must not read on. The person's own tree does not: its owner cannot
    /// make new keys any more, and those it is shared with would be stopped for good.
    pub(crate) async fn end_lost(&self, user: UserId, at: Timestamp) -> Result<(), StoreError> {
        let living = "recipient_id = $1 AND ended_ms IS NULL AND (expires_ms = 0 OR expires_ms > $2)";
        let values = || vec![bytes(user.as_bytes()), at.to_i64().into()];
        let lost = grants_of(self.rows(&format!("SELECT * FROM grants WHERE {living}"), values()).await?)?;
        self.run(&format!("UPDATE grants SET ended_ms = $2, ended_by = $1 WHERE {living}"), values()).await?;
        // What was decided on the lost identity, a share to it above all, is stale even if nothing closes.
        self.next_closure_seq().await?;
        self.notify(lost.iter().flat_map(|grant| Notice::ended(grant, Some(user), at))).await?;
        self.close(lost.into_iter().filter(|grant| grant.owner != user).map(|grant| grant.node).collect()).await
    }

    /// Nothing is written there and below until there are younger keys.
    pub(crate) async fn close(&self, nodes: BTreeSet<NodeId>) -> Result<(), StoreError> {
        if nodes.is_empty() {
            return Ok(());
        }
        let closure = number(self.next_closure_seq().await?)?;
        let nodes: Vec<_> = nodes.into_iter().collect();
        for some in nodes.chunks(1_000) {
            let sql = format!("UPDATE nodes SET closure_seq = $1 WHERE id IN ({})", placeholders(2, some.len()));
            let mut values: Vec<Value> = vec![closure.into()];
            values.extend(some.iter().map(|id| bytes(id.as_bytes())));
            self.run(&sql, values).await?;
        }
        Ok(())
    }

    /// The decision was about this node: the grant is on it.
    async fn on_or_below(&self, grant: GrantId, node: NodeId) -> Result<(), StoreError> {
        let sql = "SELECT * FROM grants WHERE id = $1 AND node_id = $2";
        let row = self.row::<grants::Model>(sql, vec![bytes(grant.as_bytes()), bytes(node.as_bytes())]).await?;
        row.map(drop).ok_or(StoreError::NotFound("share"))
    }

    /// Ends one grant; gives it as it was.
    async fn end_row(&self, grant: GrantId, by: UserId, revocation: Option<Vec<u8>>, at: Timestamp) -> Result<Grant, StoreError> {
        let row = self.row::<grants::Model>("SELECT * FROM grants WHERE id = $1", vec![bytes(grant.as_bytes())]).await?;
        let before = Grant::try_from(row.ok_or(StoreError::Stale("share"))?)?;
        // What died at a reset is put away by whoever says so first.
        let sql = "UPDATE grants SET ended_ms = $2, ended_by = $3, revocation = $4 \
                   WHERE id = $1 AND (ended_ms IS NULL OR (ended_by = recipient_id AND revocation IS NULL))";
        let values = vec![bytes(grant.as_bytes()), at.to_i64().into(), bytes(by.as_bytes()), revocation.into()];
        self.run_or_stale("share", sql, values).await?;
        Ok(before)
    }

    pub(crate) async fn insert_grant_rows(&self, grants: Vec<GrantNew>) -> Result<(), StoreError> {
        let mut rows = Vec::with_capacity(grants.len());
        for grant in grants {
            rows.push(grants::Model {
                id: grant.id.as_bytes().to_vec(),
                node_id: grant.node.as_bytes().to_vec(),
                hash: grant.hash.to_vec(),
                envelope: grant.envelope,
                sealed: grant.sealed,
                owner_id: grant.owner.as_bytes().to_vec(),
                sealer_id: grant.sealer.as_bytes().to_vec(),
                recipient_id: grant.recipient.as_bytes().to_vec(),
                recipient_bundle: grant.recipient_bundle.to_vec(),
                verbs: i64::from(grant.verbs.bits()),
                epoch: number(grant.epoch)?,
                expires_ms: grant.expires.to_i64(),
                authority_hash: grant.authority.map(|hash| hash.to_vec()),
                predecessor_hash: grant.predecessor.map(|hash| hash.to_vec()),
                created_ms: grant.created.to_i64(),
                ended_ms: None,
                ended_by: None,
                revocation: None,
            });
        }
        self.never_used(rows.iter().map(|row| &row.id), Taken::GrantId).await?;
        insert_all::<grants::Entity, grants::ActiveModel>(&self.conn, rows).await
    }
}
