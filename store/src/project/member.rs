//! Members of projects. Renewing a membership that has run out begins it anew; before that it goes on without a gap.

use sea_orm::{EntityTrait, FromQueryResult};
use ticrypt_policy::Permit;
use ticrypt_policy::permit::{MemberOn, MemberRemove, MemberSet};
use ticrypt_policy::project::MemberFacts;
use ticrypt_types::{MemberRole, ProjectId, Restrictions, Timestamp, UserId, UserName, UserState};

use crate::column::{bytes, count, id, number, time};
use crate::connect::Store;
use crate::error::StoreError;
use crate::table::insert_all;
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
    pub revision: u64,
}

/// The terms of a membership.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemberNew {
    pub role: MemberRole,
    pub restrictions: Restrictions,
    pub expires: Timestamp,
}

#[derive(FromQueryResult)]
struct Row {
    user_id: Vec<u8>,
    name: String,
    role: String,
    restrictions: i64,
    since_ms: i64,
    expires_ms: i64,
    revision: i64,
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
            revision: count("members.revision", row.revision)?,
        })
    }
}

const MEMBERS: &str = "SELECT m.user_id, u.name, m.role, m.restrictions, m.since_ms, m.expires_ms, m.revision \
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

    /// What the rules about a membership need; `parent` is the project above. `None`: there is no such account.
    pub async fn member_facts(
        &self,
        project: ProjectId,
        parent: Option<ProjectId>,
        user: UserId,
        now: Timestamp,
    ) -> Result<Option<MemberFacts>, StoreError> {
        let Some(account) = self.user(user).await? else { return Ok(None) };
        let above = match parent {
            None => Some(Timestamp::ABSENT),
            Some(parent) => self.member(parent, user).await?.map(|member| member.expires).filter(|expires| !expires.is_expired(now)),
        };
        let member = self.member(project, user).await?;
        Ok(Some(MemberFacts {
            user,
            is_active: account.state == UserState::Active,
            above,
            is_member: member.is_some(),
            revision: member.map_or(0, |member| member.revision),
        }))
    }

    pub async fn set_member(&self, permit: Permit<MemberSet>, member: MemberNew, at: Timestamp) -> Result<(), StoreError> {
        self.write(move |tx| Box::pin(async move { tx.set_member(permit, member, at).await })).await
    }

    pub async fn remove_member(&self, permit: Permit<MemberRemove>) -> Result<(), StoreError> {
        self.write(move |tx| Box::pin(async move { tx.remove_member(permit).await })).await
    }
}

impl Tx {
    async fn set_member(&self, permit: Permit<MemberSet>, member: MemberNew, at: Timestamp) -> Result<(), StoreError> {
        let on = permit.on();
        let restrictions = i64::from(member.restrictions.bits());
        if permit.revision() == 0 {
            if self.has_member(on).await? {
                return Err(StoreError::Stale("membership"));
            }
            let row = members::Model {
                project_id: on.project.as_bytes().to_vec(),
                user_id: on.user.as_bytes().to_vec(),
                role: member.role.word().to_owned(),
                restrictions,
                since_ms: at.to_i64(),
                expires_ms: member.expires.to_i64(),
                set_by: permit.actor().to_bytes().to_vec(),
                revision: 1,
            };
            return insert_all::<members::Entity, members::ActiveModel>(&self.conn, vec![row]).await;
        }
        let sql = "UPDATE members SET role = $4, restrictions = $5, \
                   since_ms = CASE WHEN expires_ms <> 0 AND expires_ms <= $7 THEN $7 ELSE since_ms END, \
                   expires_ms = $6, set_by = $8, revision = revision + 1 WHERE project_id = $1 AND user_id = $2 AND revision = $3";
        let values = vec![
            bytes(on.project.as_bytes()),
            bytes(on.user.as_bytes()),
            number(permit.revision())?.into(),
            member.role.word().into(),
            restrictions.into(),
            member.expires.to_i64().into(),
            at.to_i64().into(),
            bytes(permit.actor().as_bytes()),
        ];
        self.run_or_stale("membership", sql, values).await
    }

    async fn has_member(&self, on: MemberOn) -> Result<bool, StoreError> {
        let key = (on.project.as_bytes().to_vec(), on.user.as_bytes().to_vec());
        Ok(members::Entity::find_by_id(key).one(&self.conn).await?.is_some())
    }

    async fn remove_member(&self, permit: Permit<MemberRemove>) -> Result<(), StoreError> {
        let on = permit.on();
        let sql = "DELETE FROM members WHERE project_id = $1 AND user_id = $2 AND revision = $3";
        let values = vec![bytes(on.project.as_bytes()), bytes(on.user.as_bytes()), number(permit.revision())?.into()];
        self.run_or_stale("membership", sql, values).await?;
        self.lose_compartments(on.user, Some(on.project)).await
    }
}
