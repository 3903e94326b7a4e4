//! Requests to join projects (docs/decisions/0023). Each is a row for a person and the id of a project, which need not exist: whoever asks learns nothing of that, neither
//! now nor when the project is deleted. A head that takes somebody in ends their request in the same transaction; who is not active is left out of what waits for an
//! answer until they are again.

use sea_orm::{EntityTrait, FromQueryResult, Value};
use ticrypt_policy::join::{JoinFacts, answers};
use ticrypt_policy::permit::{JoinAsk, JoinRefuse, JoinWithdraw};
use ticrypt_policy::{Actor, Permit};
use ticrypt_types::limits::JOIN_KEPT_MS;
use ticrypt_types::{JoinState, NotificationKind, ProjectId, Timestamp, UserId, UserName};

use crate::column::{Digest, bytes, count, digest, id, number, placeholders, time};
use crate::connect::Store;
use crate::error::StoreError;
use crate::notification::Notice;
use crate::table::join::joins;
use crate::table::user::users;
use crate::user::User;
use crate::writer::Tx;

/// A request, with what a list shows of who asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Join {
    pub project: ProjectId,
    pub user: UserId,
    pub name: UserName,
    /// Record hash of their current identity bundle.
    pub bundle: Digest,
    pub state: JoinState,
    pub message: String,
    /// Empty unless it was refused.
    pub reason: String,
    pub asked: Timestamp,
    /// [`Timestamp::ABSENT`]: open.
    pub closed: Timestamp,
}

/// The place in a list of requests.
pub type JoinPlace = (ProjectId, UserId);

#[derive(FromQueryResult)]
struct Row {
    #[sea_orm(nested)]
    join: joins::Model,
    name: String,
    bundle_hash: Vec<u8>,
}

#[derive(FromQueryResult)]
struct Counts {
    of_person: i64,
    of_project: i64,
    memberships: i64,
}

#[derive(FromQueryResult)]
struct Asker {
    user_id: Vec<u8>,
}

#[derive(FromQueryResult)]
struct Count {
    n: i64,
}

/// People in one query.
const PEOPLE_PER_QUERY: usize = 500;

/// What was closed up to this moment is forgotten.
fn forgotten(now: Timestamp) -> Value {
    Timestamp::from_millis(now.as_millis().saturating_sub(JOIN_KEPT_MS)).to_i64().into()
}

fn state(word: &str) -> Result<JoinState, StoreError> {
    JoinState::from_word(word).ok_or(StoreError::Corrupt("joins.state"))
}

impl TryFrom<Row> for Join {
    type Error = StoreError;
    fn try_from(row: Row) -> Result<Self, StoreError> {
        let Row { join, name, bundle_hash } = row;
        Ok(Self {
            project: id("joins.project_id", &join.project_id)?,
            user: id("joins.user_id", &join.user_id)?,
            name: name.parse().map_err(|_| StoreError::Corrupt("users.name"))?,
            bundle: digest("users.bundle_hash", &bundle_hash)?,
            state: state(&join.state)?,
            message: join.message,
            reason: join.reason,
            asked: time(join.asked_ms),
            closed: time(join.closed_ms),
        })
    }
}

impl Store {
    /// What the rules about a request need; there is something to know of every id.
    pub async fn join_facts(&self, project: ProjectId, user: UserId, now: Timestamp) -> Result<JoinFacts, StoreError> {
        let key = (project.as_bytes().to_vec(), user.as_bytes().to_vec());
        let last = joins::Entity::find_by_id(key).one(&self.readers).await?;
        let sql = "SELECT (SELECT COUNT(*) FROM joins WHERE user_id = $2 AND project_id <> $1 AND (state = 'open' OR closed_ms > $3)) AS of_person, \
                   (SELECT COUNT(*) FROM joins WHERE project_id = $1 AND user_id <> $2 AND state = 'open') AS of_project, \
                   (SELECT COUNT(*) FROM members WHERE project_id = $1 AND user_id = $2 AND withdrawn = FALSE \
                   AND (expires_ms = 0 OR expires_ms > $4)) AS memberships";
        let values = vec![bytes(project.as_bytes()), bytes(user.as_bytes()), forgotten(now), now.to_i64().into()];
        let counts = self.rows::<Counts>(sql, values).await?.into_iter().next().ok_or(StoreError::Corrupt("count"))?;
        Ok(JoinFacts {
            project,
            user,
            last: last.as_ref().map(|row| Ok::<_, StoreError>((state(&row.state)?, time(row.asked_ms)))).transpose()?,
            revision: last.map(|row| count("joins.revision", row.revision)).transpose()?.unwrap_or(0),
            is_member: counts.memberships > 0,
            of_person: count("count", counts.of_person)?,
            of_project: count("count", counts.of_project)?,
        })
    }

    /// Somebody's own: those open, and those closed not long ago.
    pub async fn joins_of(
        &self,
        user: UserId,
        project: Option<ProjectId>,
        now: Timestamp,
        after: Option<JoinPlace>,
        limit: u64,
    ) -> Result<Vec<Join>, StoreError> {
        let mut values = vec![bytes(user.as_bytes()), forgotten(now)];
        let mut filter = String::from("j.user_id = $1 AND (j.state = 'open' OR j.closed_ms > $2)");
        if let Some(project) = project {
            values.push(bytes(project.as_bytes()));
            filter.push_str(" AND j.project_id = $3");
        }
        self.joins(&filter, values, after, limit).await
    }

    /// What waits for an answer in these projects, of people who can be added now.
    pub async fn open_joins(&self, projects: &[ProjectId], after: Option<JoinPlace>, limit: u64) -> Result<Vec<Join>, StoreError> {
        if projects.is_empty() {
            return Ok(Vec::new());
        }
        let filter = format!("j.state = 'open' AND u.state = 'active' AND j.project_id IN ({})", placeholders(1, projects.len()));
        self.joins(&filter, projects.iter().map(|project| bytes(project.as_bytes())).collect(), after, limit).await
    }

    async fn joins(&self, filter: &str, mut values: Vec<Value>, after: Option<JoinPlace>, limit: u64) -> Result<Vec<Join>, StoreError> {
        let next = values.len() + 1;
        let (project, user) =
            after.map_or((Vec::new(), Vec::new()), |(project, user)| (project.to_bytes().to_vec(), user.to_bytes().to_vec()));
        values.extend([project.into(), user.into(), number(limit)?.into()]);
        let (p, u, l) = (next, next + 1, next + 2);
        let sql = format!(
            "SELECT j.*, u.name, u.bundle_hash FROM joins j JOIN users u ON u.id = j.user_id \
             WHERE {filter} AND (j.project_id > ${p} OR (j.project_id = ${p} AND j.user_id > ${u})) ORDER BY j.project_id, j.user_id LIMIT ${l}"
        );
        self.rows::<Row>(&sql, values).await?.into_iter().map(Join::try_from).collect()
    }

    /// Those who may add people to a project now; nobody, if there is no such project.
    pub async fn answerers(&self, project: ProjectId, now: Timestamp) -> Result<Vec<UserId>, StoreError> {
        let sql = "SELECT u.* FROM members m JOIN users u ON u.id = m.user_id JOIN projects p ON p.id = m.project_id \
                   WHERE m.project_id = $1 AND m.withdrawn = FALSE AND (m.role = 'manager' OR p.pi_id = m.user_id) ORDER BY u.id";
        let found = self.rows::<users::Model>(sql, vec![bytes(project.as_bytes())]).await?;
        let people = found.into_iter().map(User::try_from).collect::<Result<Vec<_>, _>>()?;
        let ids: Vec<UserId> = people.iter().map(|user| user.id).collect();
        let standing = self.standing_of(&ids, &[project]).await?;
        let answers = |user: &User| {
            let actor = Actor {
                user: user.id,
                rank: user.rank,
                state: user.state,
                disabled_until: user.disabled_until,
                epoch: user.epoch,
                // Whoever has a session that counts would be let through.
                session_epoch: user.epoch,
                permissions: user.permissions,
                active: std::sync::Arc::default(),
            };
            standing.get(&user.id).and_then(|lines| lines.get(&project)).is_some_and(|line| answers(&actor, line, now))
        };
        Ok(people.iter().filter(|user| answers(user)).map(|user| user.id).collect())
    }

    /// `tell`: those who may answer.
    pub async fn ask_to_join(&self, permit: Permit<JoinAsk>, message: String, tell: Vec<UserId>, at: Timestamp) -> Result<(), StoreError> {
        self.write(move |tx| Box::pin(async move { tx.ask_to_join(permit, message, tell, at).await })).await
    }

    /// What was written with it goes.
    pub async fn withdraw_join(&self, permit: Permit<JoinWithdraw>, at: Timestamp) -> Result<(), StoreError> {
        self.write(move |tx| Box::pin(async move { tx.withdraw_join(permit, at).await })).await
    }

    pub async fn refuse_join(&self, permit: Permit<JoinRefuse>, reason: String, at: Timestamp) -> Result<(), StoreError> {
        self.write(move |tx| Box::pin(async move { tx.refuse_join(permit, reason, at).await })).await
    }
}

impl Tx {
    async fn ask_to_join(&self, permit: Permit<JoinAsk>, message: String, tell: Vec<UserId>, at: Timestamp) -> Result<(), StoreError> {
        let on = permit.on();
        let key = || vec![bytes(on.project.as_bytes()), bytes(on.user.as_bytes())];
        // Somebody may have taken them in since that was decided.
        let sql = "SELECT COUNT(*) AS n FROM members WHERE project_id = $1 AND user_id = $2 AND withdrawn = FALSE \
                   AND (expires_ms = 0 OR expires_ms > $3)";
        let is_member = self.row::<Count>(sql, [key(), vec![at.to_i64().into()]].concat()).await?.is_some_and(|row| row.n > 0);
        if is_member {
            return Err(StoreError::Stale("membership"));
        }
        let sql = if permit.revision() == 0 {
            "INSERT INTO joins (project_id, user_id, state, message, reason, asked_ms, closed_ms, revision) \
             VALUES ($1, $2, 'open', $3, '', $4, 0, $5 + 1) ON CONFLICT (project_id, user_id) DO NOTHING"
        } else {
            "UPDATE joins SET state = 'open', message = $3, reason = '', asked_ms = $4, closed_ms = 0, revision = revision + 1 \
             WHERE project_id = $1 AND user_id = $2 AND revision = $5 AND state <> 'open'"
        };
        let values = vec![message.into(), at.to_i64().into(), number(permit.revision())?.into()];
        self.run_or_stale("request", sql, [key(), values].concat()).await?;
        let sql = "DELETE FROM joins WHERE user_id = $1 AND state <> 'open' AND closed_ms <= $2";
        self.run(sql, vec![bytes(on.user.as_bytes()), forgotten(at)]).await?;
        self.notify(tell.into_iter().map(|to| Notice::about_join(to, NotificationKind::JoinAsked, on.project, Some(on.user), at))).await
    }

    async fn withdraw_join(&self, permit: Permit<JoinWithdraw>, at: Timestamp) -> Result<(), StoreError> {
        let on = permit.on();
        let sql = "UPDATE joins SET state = 'withdrawn', message = '', closed_ms = $4, revision = revision + 1 \
                   WHERE project_id = $1 AND user_id = $2 AND revision = $3 AND state = 'open'";
        let values = vec![bytes(on.project.as_bytes()), bytes(on.user.as_bytes()), number(permit.revision())?.into(), at.to_i64().into()];
        self.run_or_stale("request", sql, values).await
    }

    async fn refuse_join(&self, permit: Permit<JoinRefuse>, reason: String, at: Timestamp) -> Result<(), StoreError> {
        let on = permit.on();
        let sql = "UPDATE joins SET state = 'refused', reason = $5, closed_ms = $4, revision = revision + 1 \
                   WHERE project_id = $1 AND user_id = $2 AND revision = $3 AND state = 'open'";
        let values = vec![
            bytes(on.project.as_bytes()),
            bytes(on.user.as_bytes()),
            number(permit.revision())?.into(),
            at.to_i64().into(),
            reason.into(),
        ];
        self.run_or_stale("request", sql, values).await?;
        self.notify([Notice::about_join(on.user, NotificationKind::JoinRefused, on.project, None, at)]).await
    }

    /// Ends the requests of people who came into the project.
    pub(crate) async fn grant_joins(&self, project: ProjectId, people: &[UserId], at: Timestamp) -> Result<(), StoreError> {
        for some in people.chunks(PEOPLE_PER_QUERY) {
            let among = format!("project_id = $1 AND user_id IN ({})", placeholders(2, some.len()));
            let values = || std::iter::once(bytes(project.as_bytes())).chain(some.iter().map(|user| bytes(user.as_bytes()))).collect();
            let open = self.rows::<Asker>(&format!("SELECT user_id FROM joins WHERE {among} AND state = 'open'"), values()).await?;
            self.run(&format!("DELETE FROM joins WHERE {among}"), values()).await?;
            let askers = open.iter().map(|row| id("joins.user_id", &row.user_id)).collect::<Result<Vec<UserId>, _>>()?;
            let granted = |to| Notice::about_join(to, NotificationKind::JoinGranted, project, None, at);
            self.notify(askers.into_iter().map(granted)).await?;
        }
        Ok(())
    }
}
