//! Members of projects. Who is one, heads say; here is who has ceased to be before the next head says so.

use std::collections::HashMap;

use sea_orm::FromQueryResult;
use ticrypt_policy::Permit;
use ticrypt_policy::permit::MemberRemove;
use ticrypt_policy::project::member::MemberFacts;
use ticrypt_types::{MemberRole, ProjectId, Restrictions, Timestamp, UserId, UserName, UserState};

use crate::column::{bytes, count, id, number, placeholders, time};
use crate::connect::Store;
use crate::error::StoreError;
use crate::table::project::members;
use crate::writer::Tx;

/// A member, with what a list shows of the person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    pub user: UserId,
    pub name: UserName,
    pub role: MemberRole,
    pub restrictions: Restrictions,
    pub since: Timestamp,
    /// [`Timestamp::ABSENT`]: never.
    pub expires: Timestamp,
    /// As in [`Listed`].
    pub salt: [u8; 16],
    pub withdrawn: bool,
    pub revision: u64,
}

/// An entry as the newest head of the project commits to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Listed {
    pub user: UserId,
    pub role: MemberRole,
    pub restrictions: Restrictions,
    pub expires: Timestamp,
    pub salt: [u8; 16],
    /// Out since that head.
    pub withdrawn: bool,
}

/// The terms of a membership.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemberNew {
    pub role: MemberRole,
    pub restrictions: Restrictions,
    pub expires: Timestamp,
    pub salt: [u8; 16],
}

#[derive(FromQueryResult)]
struct Facts {
    id: Vec<u8>,
    state: String,
    withdrawn: Option<bool>,
    revision: Option<i64>,
    above_ms: Option<i64>,
}

/// People in one query.
const PEOPLE_PER_QUERY: usize = 500;

#[derive(FromQueryResult)]
struct Row {
    user_id: Vec<u8>,
    name: String,
    role: String,
    restrictions: i64,
    since_ms: i64,
    expires_ms: i64,
    salt: Option<Vec<u8>>,
    withdrawn: bool,
    revision: i64,
}

/// None: from before projects had heads.
fn salt(stored: Option<&[u8]>) -> Result<[u8; 16], StoreError> {
    stored.map_or(Ok([0; 16]), |salt| salt.try_into().map_err(|_| StoreError::Corrupt("members.salt")))
}

impl TryFrom<&members::Model> for Listed {
    type Error = StoreError;
    fn try_from(row: &members::Model) -> Result<Self, StoreError> {
        Ok(Self {
            user: id("members.user_id", &row.user_id)?,
            role: role(&row.role)?,
            restrictions: restrictions(row.restrictions)?,
            expires: time(row.expires_ms),
            salt: salt(row.salt.as_deref())?,
            withdrawn: row.withdrawn,
        })
    }
}

pub(super) fn role(word: &str) -> Result<MemberRole, StoreError> {
    MemberRole::from_word(word).ok_or(StoreError::Corrupt("members.role"))
}

pub(super) fn restrictions(bits: i64) -> Result<Restrictions, StoreError> {
    u8::try_from(bits).ok().and_then(Restrictions::from_bits).ok_or(StoreError::Corrupt("members.restrictions"))
}

impl TryFrom<Row> for Member {
    type Error = StoreError;
    fn try_from(row: Row) -> Result<Self, StoreError> {
        Ok(Self {
            user: id("members.user_id", &row.user_id)?,
            name: row.name.parse().map_err(|_| StoreError::Corrupt("users.name"))?,
            role: role(&row.role)?,
            restrictions: restrictions(row.restrictions)?,
            since: time(row.since_ms),
            expires: time(row.expires_ms),
            salt: salt(row.salt.as_deref())?,
            withdrawn: row.withdrawn,
            revision: count("members.revision", row.revision)?,
        })
    }
}

const MEMBERS: &str = "SELECT m.user_id, u.name, m.role, m.restrictions, m.since_ms, m.expires_ms, m.salt, m.withdrawn, m.revision \
                       FROM members m JOIN users u ON u.id = m.user_id WHERE m.project_id = $1";

impl Store {
    /// In the order of their names, those after `after`.
    pub async fn members(&self, project: ProjectId, after: Option<&UserName>, limit: u64) -> Result<Vec<Member>, StoreError> {
        let after = after.map_or("", UserName::as_str);
        let sql = format!("{MEMBERS} AND u.name > $2 ORDER BY u.name LIMIT $3");
        let values = vec![bytes(project.as_bytes()), after.into(), number(limit)?.into()];
        self.rows::<Row>(&sql, values).await?.into_iter().map(Member::try_from).collect()
    }

    pub async fn member(&self, project: ProjectId, user: UserId) -> Result<Option<Member>, StoreError> {
        let sql = format!("{MEMBERS} AND m.user_id = $2");
        let rows = self.rows::<Row>(&sql, vec![bytes(project.as_bytes()), bytes(user.as_bytes())]).await?;
        rows.into_iter().next().map(Member::try_from).transpose()
    }

    /// The entries that the newest head commits to.
    pub async fn listed(&self, project: ProjectId) -> Result<Vec<Listed>, StoreError> {
        let sql = "SELECT * FROM members WHERE project_id = $1 ORDER BY user_id";
        self.rows::<members::Model>(sql, vec![bytes(project.as_bytes())]).await?.iter().map(Listed::try_from).collect()
    }

    /// What the rules about memberships need; `parent` is the project above. Who has no account is left out.
    pub async fn member_facts(
        &self,
        project: ProjectId,
        parent: Option<ProjectId>,
        users: &[UserId],
        now: Timestamp,
    ) -> Result<HashMap<UserId, MemberFacts>, StoreError> {
        let mut facts = HashMap::with_capacity(users.len());
        for some in users.chunks(PEOPLE_PER_QUERY) {
            let sql = format!(
                "SELECT u.id, u.state, m.withdrawn, m.revision, p.expires_ms AS above_ms FROM users u \
                 LEFT JOIN members m ON m.project_id = $1 AND m.user_id = u.id \
                 LEFT JOIN members p ON p.project_id = $2 AND p.user_id = u.id AND p.withdrawn = FALSE \
                 WHERE u.id IN ({})",
                placeholders(3, some.len())
            );
            let above = parent.unwrap_or(project);
            let ids = [project, above].into_iter().map(|id| bytes(id.as_bytes()));
            for row in self.rows::<Facts>(&sql, ids.chain(some.iter().map(|user| bytes(user.as_bytes()))).collect()).await? {
                let user = id("users.id", &row.id)?;
                let above = match parent {
                    None => Some(Timestamp::ABSENT),
                    Some(_) => row.above_ms.map(time).filter(|expires| !expires.is_expired(now)),
                };
                let is_listed = row.revision.is_some();
                facts.insert(
                    user,
                    MemberFacts {
                        user,
                        is_active: row.state == UserState::Active.word(),
                        above,
                        is_listed,
                        is_member: is_listed && row.withdrawn == Some(false),
                        revision: row.revision.map(|revision| count("members.revision", revision)).transpose()?.unwrap_or(0),
                    },
                );
            }
        }
        Ok(facts)
    }

    /// Out at once; the entry goes with the next head.
    pub async fn withdraw(&self, permit: Permit<MemberRemove>) -> Result<(), StoreError> {
        self.write(move |tx| Box::pin(async move { tx.withdraw(permit).await })).await
    }
}

impl Tx {
    async fn withdraw(&self, permit: Permit<MemberRemove>) -> Result<(), StoreError> {
        let on = permit.on();
        let sql = "UPDATE members SET withdrawn = TRUE, revision = revision + 1 \
                   WHERE project_id = $1 AND user_id = $2 AND revision = $3 AND withdrawn = FALSE";
        let values = vec![bytes(on.project.as_bytes()), bytes(on.user.as_bytes()), number(permit.revision())?.into()];
        self.run_or_stale("membership", sql, values).await?;
        self.lose_compartments(on.user, Some(on.project)).await
    }
}
