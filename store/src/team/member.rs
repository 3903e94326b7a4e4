//! Who is in a team, who manages it, to whom it is assigned.

use sea_orm::{EntityTrait, FromQueryResult};
use ticrypt_policy::Permit;
use ticrypt_policy::permit::{TeamAdd, TeamAssign, TeamManager, TeamOn, TeamRemove, TeamUnassign};
use ticrypt_policy::team::TeamMemberFacts;
use ticrypt_types::user::InactiveCause;
use ticrypt_types::{NotificationKind, Permissions, TeamId, Timestamp, UserId, UserName, UserState};

use crate::column::{bytes, count, id, number, time};
use crate::connect::Store;
use crate::error::StoreError;
use crate::notification::Notice;
use crate::table::insert_all;
use crate::table::team::{team_assignments, team_members, teams};
use crate::writer::Tx;

/// A member, with what a list shows of the person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TeamMember {
    pub user: UserId,
    pub name: UserName,
    pub state: UserState,
    pub manager: bool,
    pub since: Timestamp,
}

#[derive(FromQueryResult)]
struct Row {
    user_id: Vec<u8>,
    name: String,
    state: String,
    manager: bool,
    since_ms: i64,
}

impl TryFrom<Row> for TeamMember {
    type Error = StoreError;
    fn try_from(row: Row) -> Result<Self, StoreError> {
        Ok(Self {
            user: id("team_members.user_id", &row.user_id)?,
            name: row.name.parse().map_err(|_| StoreError::Corrupt("users.name"))?,
            state: UserState::from_word(&row.state).ok_or(StoreError::Corrupt("users.state"))?,
            manager: row.manager,
            since: time(row.since_ms),
        })
    }
}

#[derive(FromQueryResult)]
struct Count {
    n: i64,
}

const TEAMS_OF: &str = "SELECT COUNT(*) AS n FROM team_members WHERE user_id = $1";

fn key(team: TeamId, user: UserId) -> (Vec<u8>, Vec<u8>) {
    (team.as_bytes().to_vec(), user.as_bytes().to_vec())
}

impl Store {
    /// In the order of their names, those after `after`.
    pub async fn team_members(&self, team: TeamId, after: Option<&UserName>, limit: u64) -> Result<Vec<TeamMember>, StoreError> {
        let after = after.map_or("", UserName::as_str);
        let sql = "SELECT m.user_id, u.name, u.state, m.manager, m.since_ms FROM team_members m JOIN users u ON u.id = m.user_id \
                   WHERE m.team_id = $1 AND u.name > $2 ORDER BY u.name LIMIT $3";
        let values = vec![bytes(team.as_bytes()), after.into(), number(limit)?.into()];
        self.rows::<Row>(sql, values).await?.into_iter().map(TeamMember::try_from).collect()
    }

    /// Whether somebody manages a team, `None` for who is not in it; and until when it is assigned to them.
    pub(super) async fn team_standing(&self, team: TeamId, user: UserId) -> Result<(Option<bool>, Option<Timestamp>), StoreError> {
        let own = team_members::Entity::find_by_id(key(team, user)).one(&self.readers).await?;
        let assigned = team_assignments::Entity::find_by_id(key(team, user)).one(&self.readers).await?;
        Ok((own.map(|row| row.manager), assigned.map(|row| time(row.until_ms))))
    }

    /// What the rules about somebody in a team need. `None`: there is no such account.
    pub async fn team_member_facts(&self, team: TeamId, user: UserId, now: Timestamp) -> Result<Option<TeamMemberFacts>, StoreError> {
        // The account first: whoever joins or leaves a team meanwhile raises its revision, which makes these facts stale rather than wrong.
        let Some(account) = self.user_facts(user, now).await? else { return Ok(None) };
        let cause = self.user(user).await?.and_then(|user| user.cause);
        let (own, assigned) = self.team_standing(team, user).await?;
        let teams = self.rows::<Count>(TEAMS_OF, vec![bytes(user.as_bytes())]).await?;
        Ok(Some(TeamMemberFacts {
            account,
            cause,
            is_member: own.is_some(),
            is_manager: own == Some(true),
            teams: count("count", teams.first().map_or(0, |row| row.n))?,
            assigned,
        }))
    }

    pub async fn add_team_member(&self, permit: Permit<TeamAdd>, at: Timestamp) -> Result<(), StoreError> {
        self.write(move |tx| Box::pin(async move { tx.add_team_member(permit, at).await })).await
    }

    /// Whether that ended their access, as a deactivation does: it was the last team of somebody active.
    pub async fn remove_team_member(&self, permit: Permit<TeamRemove>, at: Timestamp) -> Result<bool, StoreError> {
        self.write(move |tx| Box::pin(async move { tx.remove_team_member(permit, at).await })).await
    }

    pub async fn set_team_manager(&self, permit: Permit<TeamManager>, manager: bool) -> Result<(), StoreError> {
        self.write(move |tx| Box::pin(async move { tx.set_team_manager(permit, manager).await })).await
    }

    pub async fn assign_team(&self, permit: Permit<TeamAssign>, until: Timestamp) -> Result<(), StoreError> {
        self.write(move |tx| Box::pin(async move { tx.assign_team(permit, until).await })).await
    }

    pub async fn unassign_team(&self, permit: Permit<TeamUnassign>) -> Result<(), StoreError> {
        self.write(move |tx| Box::pin(async move { tx.unassign_team(permit).await })).await
    }
}

impl Tx {
    /// The account is in another set of teams than the decision saw.
    pub(super) async fn note_team(&self, user: UserId, revision: u64) -> Result<(), StoreError> {
        self.change_user(user, revision, "epoch = epoch", vec![]).await
    }

    async fn has_team(&self, team: TeamId) -> Result<(), StoreError> {
        let found = teams::Entity::find_by_id(team.as_bytes().to_vec()).one(&self.conn).await?;
        found.map(drop).ok_or(StoreError::NotFound("team"))
    }

    async fn add_team_member(&self, permit: Permit<TeamAdd>, at: Timestamp) -> Result<(), StoreError> {
        let TeamOn { team, user } = permit.on();
        self.has_team(team).await?;
        self.note_team(user, permit.revision()).await?;
        let (team_id, user_id) = key(team, user);
        let set_by = permit.actor().as_bytes().to_vec();
        let row = team_members::Model { team_id, user_id, manager: false, since_ms: at.to_i64(), set_by };
        insert_all::<team_members::Entity, team_members::ActiveModel>(&self.conn, vec![row]).await?;
        self.tell_of_team(NotificationKind::TeamJoined, permit.on(), permit.actor(), at).await
    }

    async fn remove_team_member(&self, permit: Permit<TeamRemove>, at: Timestamp) -> Result<bool, StoreError> {
        let on = permit.on();
        let sql = "DELETE FROM team_members WHERE team_id = $1 AND user_id = $2";
        self.run_or_stale("team membership", sql, vec![bytes(on.team.as_bytes()), bytes(on.user.as_bytes())]).await?;
        let left = self.row::<Count>(TEAMS_OF, vec![bytes(on.user.as_bytes())]).await?;
        let is_last = left.is_none_or(|row| row.n == 0);
        let mut revision = permit.revision();
        if is_last {
            let set = "permissions = $3, profile_id = NULL";
            self.change_user(on.user, revision, set, vec![number(Permissions::basic().bits())?.into()]).await?;
            revision += 1;
        } else {
            self.note_team(on.user, revision).await?;
        }
        // Who has no access already keeps the reason: what an administrator ended is not for a sub-admin to adopt.
        let was_active = self.user(on.user).await?.is_some_and(|user| user.state == UserState::Active);
        let ends = is_last && was_active;
        if ends {
            self.end_access(on.user, revision, InactiveCause::LeftLastTeam, None, at).await?;
        }
        self.tell_of_team(NotificationKind::TeamLeft, on, permit.actor(), at).await?;
        Ok(ends)
    }

    /// Not to who acts: they know.
    async fn tell_of_team(&self, kind: NotificationKind, on: TeamOn, by: UserId, at: Timestamp) -> Result<(), StoreError> {
        let notice = (on.user != by).then(|| Notice::about_team(on.user, kind, on.team, by, at));
        self.notify(notice).await
    }

    async fn set_team_manager(&self, permit: Permit<TeamManager>, manager: bool) -> Result<(), StoreError> {
        let TeamOn { team, user } = permit.on();
        self.note_team(user, permit.revision()).await?;
        let sql = "UPDATE team_members SET manager = $3, set_by = $4 WHERE team_id = $1 AND user_id = $2";
        let values = vec![bytes(team.as_bytes()), bytes(user.as_bytes()), manager.into(), bytes(permit.actor().as_bytes())];
        self.run_or_stale("team membership", sql, values).await
    }

    async fn assign_team(&self, permit: Permit<TeamAssign>, until: Timestamp) -> Result<(), StoreError> {
        let TeamOn { team, user } = permit.on();
        self.has_team(team).await?;
        self.note_team(user, permit.revision()).await?;
        let sql = "INSERT INTO team_assignments (team_id, user_id, until_ms, set_by) VALUES ($1, $2, $3, $4) \
                   ON CONFLICT (team_id, user_id) DO UPDATE SET until_ms = excluded.until_ms, set_by = excluded.set_by";
        let values = vec![bytes(team.as_bytes()), bytes(user.as_bytes()), until.to_i64().into(), bytes(permit.actor().as_bytes())];
        self.run(sql, values).await.map(drop)
    }

    async fn unassign_team(&self, permit: Permit<TeamUnassign>) -> Result<(), StoreError> {
        let TeamOn { team, user } = permit.on();
        self.note_team(user, permit.revision()).await?;
        let sql = "DELETE FROM team_assignments WHERE team_id = $1 AND user_id = $2";
        self.run_or_stale("assignment", sql, vec![bytes(team.as_bytes()), bytes(user.as_bytes())]).await
    }

    /// All of somebody's: they are no sub-admin any more.
    pub(crate) async fn forget_assignments(&self, user: UserId) -> Result<(), StoreError> {
        self.run("DELETE FROM team_assignments WHERE user_id = $1", vec![bytes(user.as_bytes())]).await.map(drop)
    }
}
