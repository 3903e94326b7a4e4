//! What people are told. Written in the transaction of the change that causes it, so neither is ever without the other.
//!
//! ```text
//!   a change ─▶ Tx::notify ─▶ row with the person's next sequence ─▶ commit ─▶ Store::news_of wakes who waits for that person
//! ```
//!
//! Sequences count from 1 without gaps, since writes follow one another; of each person only the newest are kept. Whoever waits reads
//! rows: a wake-up says that there may be some, and one that is lost costs the time until somebody looks again.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};

use sea_orm::{FromQueryResult, Value};
use ticrypt_policy::Permit;
use ticrypt_policy::actor::is_given;
use ticrypt_policy::permit::NotificationRead;
use ticrypt_types::limits::NOTIFICATIONS_KEPT;
use ticrypt_types::{GrantId, GroupId, NodeId, NotificationKind, Permission, ProjectId, RequirementId, TeamId, Timestamp, UserId};
use tokio::sync::watch;

use crate::column::{bytes, count, id, id_or_none, number, placeholders, time};
use crate::connect::Store;
use crate::error::StoreError;
use crate::grant::Grant;
use crate::table::insert_all;
use crate::table::notification::notifications;
use crate::table::user::users;
use crate::user::User;
use crate::writer::Tx;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notification {
    /// Of one person, from 1 on, without gaps.
    pub sequence: u64,
    /// Absent for a word that a newer program wrote.
    pub kind: Option<NotificationKind>,
    pub grant: Option<GrantId>,
    pub node: Option<NodeId>,
    pub group: Option<GroupId>,
    pub team: Option<TeamId>,
    pub project: Option<ProjectId>,
    pub requirement: Option<RequirementId>,
    /// Of what ends soon.
    pub ends: Option<Timestamp>,
    /// The other side of a share, the administrator or member who acted, who waits, or whose membership ends.
    pub other: Option<UserId>,
    pub at: Timestamp,
}

/// How far a person has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reading {
    /// Sequence of the newest there is; 0 if there never was one.
    pub newest: u64,
    /// Sequence up to which they were read.
    pub read: u64,
    /// Those kept and not read.
    pub unread: u64,
}

/// Something somebody is to be told.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Notice {
    to: UserId,
    kind: NotificationKind,
    grant: Option<GrantId>,
    node: Option<NodeId>,
    group: Option<GroupId>,
    team: Option<TeamId>,
    project: Option<ProjectId>,
    requirement: Option<RequirementId>,
    ends: Option<Timestamp>,
    other: Option<UserId>,
    at: Timestamp,
}

impl Notice {
    /// About nothing yet.
    fn to(to: UserId, kind: NotificationKind, other: impl Into<Option<UserId>>, at: Timestamp) -> Self {
        let other = other.into();
        Self { to, kind, grant: None, node: None, group: None, team: None, project: None, requirement: None, ends: None, other, at }
    }

    pub(crate) fn about_account(to: UserId, kind: NotificationKind, other: UserId, at: Timestamp) -> Self {
        Self::to(to, kind, other, at)
    }

    pub(crate) fn about_group(to: UserId, kind: NotificationKind, group: GroupId, other: UserId, at: Timestamp) -> Self {
        Self { group: Some(group), ..Self::to(to, kind, other, at) }
    }

    pub(crate) fn about_team(to: UserId, kind: NotificationKind, team: TeamId, other: UserId, at: Timestamp) -> Self {
        Self { team: Some(team), ..Self::to(to, kind, other, at) }
    }

    /// Who asks, or nobody: whoever is answered is not told by whom.
    pub(crate) fn about_join(to: UserId, kind: NotificationKind, project: ProjectId, other: Option<UserId>, at: Timestamp) -> Self {
        Self { project: Some(project), ..Self::to(to, kind, other, at) }
    }

    /// To whoever is in the project, or to somebody who may add them again.
    pub(crate) fn membership_ending(to: UserId, project: ProjectId, whose: UserId, ends: Timestamp, at: Timestamp) -> Self {
        let other = (whose != to).then_some(whose);
        Self { project: Some(project), ends: Some(ends), ..Self::to(to, NotificationKind::MembershipEnding, other, at) }
    }

    pub(crate) fn certification_ending(to: UserId, requirement: RequirementId, ends: Timestamp, at: Timestamp) -> Self {
        Self { requirement: Some(requirement), ends: Some(ends), ..Self::to(to, NotificationKind::CertificationEnding, None, at) }
    }

    /// To both sides of a share that ends soon.
    pub(crate) fn share_ending(share: &Sharing, ends: Timestamp, at: Timestamp) -> impl Iterator<Item = Self> {
        let Sharing { grant, node, sealer, recipient } = *share;
        let to = |to, kind, other| Self { grant: Some(grant), node: Some(node), ends: Some(ends), ..Self::to(to, kind, other, at) };
        let both = [to(recipient, NotificationKind::ShareEnding, sealer), to(sealer, NotificationKind::GivenShareEnding, recipient)];
        both.into_iter().take(if recipient == sealer { 1 } else { 2 })
    }

    /// To the recipient of a new share.
    pub(crate) fn given(grant: GrantId, node: NodeId, sealer: UserId, recipient: UserId, at: Timestamp) -> Self {
        Self { grant: Some(grant), node: Some(node), ..Self::to(recipient, NotificationKind::ShareGiven, sealer, at) }
    }

    /// To both sides of a share that ended, but not to who brought it about.
    pub(crate) fn ended(grant: &Grant, by: Option<UserId>, at: Timestamp) -> impl Iterator<Item = Self> {
        let to = |to, kind, other| Self { grant: Some(grant.id), node: Some(grant.node), ..Self::to(to, kind, other, at) };
        let recipient = to(grant.recipient, NotificationKind::ShareEnded, grant.sealer);
        let sealer = to(grant.sealer, NotificationKind::GivenShareEnded, grant.recipient);
        let both = (grant.recipient != grant.sealer).then_some([recipient, sealer]);
        both.into_iter().flatten().filter(move |notice| Some(notice.to) != by)
    }
}

/// A share and its two sides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sharing {
    pub grant: GrantId,
    pub node: NodeId,
    pub sealer: UserId,
    pub recipient: UserId,
}

impl TryFrom<notifications::Model> for Notification {
    type Error = StoreError;
    fn try_from(row: notifications::Model) -> Result<Self, StoreError> {
        Ok(Self {
            sequence: count("notifications.sequence", row.sequence)?,
            kind: NotificationKind::from_word(&row.kind),
            grant: id_or_none("notifications.grant_id", row.grant_id.as_ref())?,
            node: id_or_none("notifications.node_id", row.node_id.as_ref())?,
            group: id_or_none("notifications.group_id", row.group_id.as_ref())?,
            team: id_or_none("notifications.team_id", row.team_id.as_ref())?,
            project: id_or_none("notifications.project_id", row.project_id.as_ref())?,
            requirement: id_or_none("notifications.requirement_id", row.requirement_id.as_ref())?,
            ends: row.ends_ms.map(time),
            other: id_or_none("notifications.other_id", row.other_id.as_ref())?,
            at: time(row.at_ms),
        })
    }
}

#[derive(FromQueryResult)]
struct ReadingRow {
    newest: i64,
    read: i64,
    unread: i64,
}

#[derive(FromQueryResult)]
struct Newest {
    user_id: Vec<u8>,
    newest: i64,
}

impl Store {
    /// The newest first, those before `before`.
    pub async fn notifications(&self, user: UserId, before: Option<u64>, limit: u64) -> Result<Vec<Notification>, StoreError> {
        let before = number(before.unwrap_or(i64::MAX as u64))?;
        let sql = "SELECT * FROM notifications WHERE user_id = $1 AND sequence < $2 ORDER BY sequence DESC LIMIT $3";
        let rows = self.rows::<notifications::Model>(sql, vec![bytes(user.as_bytes()), before.into(), number(limit)?.into()]).await?;
        rows.into_iter().map(Notification::try_from).collect()
    }

    /// The oldest first, those after `after`.
    pub async fn notifications_after(&self, user: UserId, after: u64, limit: u64) -> Result<Vec<Notification>, StoreError> {
        let sql = "SELECT * FROM notifications WHERE user_id = $1 AND sequence > $2 ORDER BY sequence LIMIT $3";
        let values = vec![bytes(user.as_bytes()), number(after)?.into(), number(limit)?.into()];
        self.rows::<notifications::Model>(sql, values).await?.into_iter().map(Notification::try_from).collect()
    }

    pub async fn reading(&self, user: UserId) -> Result<Reading, StoreError> {
        let read = "COALESCE((SELECT sequence FROM notification_reads WHERE user_id = $1), 0)";
        let sql = format!(
            "SELECT COALESCE((SELECT MAX(sequence) FROM notifications WHERE user_id = $1), 0) AS newest, {read} AS read, \
             (SELECT COUNT(*) FROM notifications WHERE user_id = $1 AND sequence > {read}) AS unread"
        );
        let row = self.rows::<ReadingRow>(&sql, vec![bytes(user.as_bytes())]).await?.into_iter().next();
        let row = row.ok_or(StoreError::Corrupt("notification_reads.sequence"))?;
        Ok(Reading {
            newest: count("notifications.sequence", row.newest)?,
            read: count("notification_reads.sequence", row.read)?,
            unread: count("count", row.unread)?,
        })
    }

    /// Moves the reading position on, never back and not beyond the newest.
    pub async fn read_notifications(&self, permit: Permit<NotificationRead>, up_to: u64) -> Result<(), StoreError> {
        self.write(move |tx| Box::pin(async move { tx.read_notifications(permit, up_to).await })).await
    }

    /// Changes whenever this process has told the person something; look once after it was asked for.
    pub fn news_of(&self, user: UserId) -> watch::Receiver<()> {
        self.bell.listen(user)
    }
}

impl Tx {
    pub async fn read_notifications(&self, permit: Permit<NotificationRead>, up_to: u64) -> Result<(), StoreError> {
        let user = permit.on();
        let newest = self.newest(&[user]).await?.remove(&user).unwrap_or(0);
        let sql = "INSERT INTO notification_reads (user_id, sequence) VALUES ($1, $2) ON CONFLICT (user_id) \
                   DO UPDATE SET sequence = excluded.sequence WHERE notification_reads.sequence < excluded.sequence";
        self.run(sql, vec![bytes(user.as_bytes()), number(up_to.min(newest))?.into()]).await.map(drop)
    }

    /// Tells people, each with their next sequence; of each only the newest are kept.
    pub(crate) async fn notify(&self, notices: impl IntoIterator<Item = Notice>) -> Result<(), StoreError> {
        let notices: Vec<Notice> = notices.into_iter().collect();
        let people: Vec<UserId> = notices.iter().map(|notice| notice.to).collect::<BTreeSet<_>>().into_iter().collect();
        let mut newest = self.newest(&people).await?;
        let mut rows = Vec::with_capacity(notices.len());
        for notice in notices {
            let sequence = newest.entry(notice.to).or_insert(0);
            *sequence += 1;
            rows.push(notifications::Model {
                user_id: notice.to.as_bytes().to_vec(),
                sequence: number(*sequence)?,
                kind: notice.kind.word().to_owned(),
                grant_id: notice.grant.map(|grant| grant.as_bytes().to_vec()),
                node_id: notice.node.map(|node| node.as_bytes().to_vec()),
                group_id: notice.group.map(|group| group.as_bytes().to_vec()),
                team_id: notice.team.map(|team| team.as_bytes().to_vec()),
                project_id: notice.project.map(|project| project.as_bytes().to_vec()),
                requirement_id: notice.requirement.map(|requirement| requirement.as_bytes().to_vec()),
                ends_ms: notice.ends.map(Timestamp::to_i64),
                other_id: notice.other.map(|other| other.as_bytes().to_vec()),
                at_ms: notice.at.to_i64(),
            });
        }
        insert_all::<notifications::Entity, notifications::ActiveModel>(&self.conn, rows).await?;
        for (user, newest) in newest {
            if let Some(last) = newest.checked_sub(NOTIFICATIONS_KEPT).filter(|last| *last > 0) {
                let sql = "DELETE FROM notifications WHERE user_id = $1 AND sequence <= $2";
                self.run(sql, vec![bytes(user.as_bytes()), number(last)?.into()]).await?;
            }
        }
        self.told.lock().unwrap_or_else(PoisonError::into_inner).extend(people);
        Ok(())
    }

    /// Those who may activate who has just registered; a sub-admin may when somebody has put them into a team.
    pub(crate) async fn who_activates(&self) -> Result<Vec<UserId>, StoreError> {
        let sql = "SELECT * FROM users WHERE rank IN ('admin', 'super-admin') AND state = 'active'";
        let administrators = self.rows::<users::Model>(sql, vec![]).await?.into_iter().map(User::try_from);
        let may = |user: &Result<User, StoreError>| {
            user.as_ref().map_or(true, |user| is_given(user.rank, user.permissions, Permission::UserActivate))
        };
        administrators.filter(may).map(|user| user.map(|user| user.id)).collect()
    }

    async fn newest(&self, people: &[UserId]) -> Result<BTreeMap<UserId, u64>, StoreError> {
        let mut newest = BTreeMap::new();
        for some in people.chunks(1_000) {
            let sql = format!(
                "SELECT user_id, MAX(sequence) AS newest FROM notifications WHERE user_id IN ({}) GROUP BY user_id",
                placeholders(1, some.len())
            );
            let values: Vec<Value> = some.iter().map(|user| bytes(user.as_bytes())).collect();
            for row in self.rows::<Newest>(&sql, values).await? {
                newest.insert(id("notifications.user_id", &row.user_id)?, count("notifications.sequence", row.newest)?);
            }
        }
        Ok(newest)
    }
}

/// Wakes those in this process who wait for somebody's news.
#[derive(Debug, Default)]
pub(crate) struct Bell {
    waiting: Mutex<HashMap<UserId, watch::Sender<()>>>,
}

impl Bell {
    fn listen(&self, user: UserId) -> watch::Receiver<()> {
        let mut waiting = self.lock();
        // Those for whom nobody waits any more.
        waiting.retain(|_, sender| sender.receiver_count() > 0);
        waiting.entry(user).or_insert_with(|| watch::channel(()).0).subscribe()
    }

    /// After the commit.
    pub(crate) fn ring(&self, people: &BTreeSet<UserId>) {
        let waiting = self.lock();
        for sender in people.iter().filter_map(|user| waiting.get(user)) {
            sender.send_replace(());
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<UserId, watch::Sender<()>>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
