//! Requirements, the levels made of them, and who is certified.
//!
//! What a level asks for is kept with the time in which it was asked: a session goes on being asked for what was in force when it began.

use std::collections::{BTreeMap, BTreeSet};

use sea_orm::{EntityTrait, FromQueryResult, Value};
use ticrypt_policy::certification::{LevelFacts, Lifespan, RequirementFacts};
use ticrypt_policy::permit::{CertificationExpire, CertificationSet, LevelDelete, LevelSet, RequirementDelete, RequirementSet};
use ticrypt_policy::{Permit, Scope};
use ticrypt_types::{LevelId, ProjectId, RequirementId, Timestamp, Title, UserId, UserName};

use crate::column::{bytes, count, id, number, time};
use crate::connect::Store;
use crate::error::StoreError;
use crate::table::certification::{certifications, level_requirements, levels, requirements};
use crate::table::insert_all;
use crate::writer::Tx;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Requirement {
    pub id: RequirementId,
    pub name: Title,
    pub description: String,
    pub lifespan: Lifespan,
    pub revision: u64,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Level {
    pub id: LevelId,
    pub name: Title,
    pub description: String,
    /// What it asks for now.
    pub requirements: Vec<RequirementId>,
    pub revision: u64,
}

/// Somebody's certification, with what a list shows of the person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certification {
    pub requirement: RequirementId,
    pub user: UserId,
    pub name: UserName,
    pub since: Timestamp,
    /// [`Timestamp::ABSENT`]: never.
    pub expires: Timestamp,
    pub given_by: UserId,
    pub given: Timestamp,
}

impl TryFrom<requirements::Model> for Requirement {
    type Error = StoreError;
    fn try_from(row: requirements::Model) -> Result<Self, StoreError> {
        let optional = |column, value: Option<i64>| value.map(|ms| count(column, ms)).transpose();
        Ok(Self {
            id: id("requirements.id", &row.id)?,
            name: row.name.parse().map_err(|_| StoreError::Corrupt("requirements.name"))?,
            description: row.description,
            lifespan: Lifespan {
                must_expire: row.must_expire,
                default_ms: optional("requirements.default_ms", row.default_ms)?,
                maximum_ms: optional("requirements.maximum_ms", row.maximum_ms)?,
            },
            revision: count("requirements.revision", row.revision)?,
        })
    }
}

#[derive(FromQueryResult)]
struct CertificationRow {
    requirement_id: Vec<u8>,
    user_id: Vec<u8>,
    name: String,
    since_ms: i64,
    expires_ms: i64,
    given_by: Vec<u8>,
    given_ms: i64,
}

impl TryFrom<CertificationRow> for Certification {
    type Error = StoreError;
    fn try_from(row: CertificationRow) -> Result<Self, StoreError> {
        Ok(Self {
            requirement: id("certifications.requirement_id", &row.requirement_id)?,
            user: id("certifications.user_id", &row.user_id)?,
            name: row.name.parse().map_err(|_| StoreError::Corrupt("users.name"))?,
            since: time(row.since_ms),
            expires: time(row.expires_ms),
            given_by: id("certifications.given_by", &row.given_by)?,
            given: time(row.given_ms),
        })
    }
}

#[derive(FromQueryResult)]
struct Used {
    n: i64,
}

#[derive(FromQueryResult)]
struct ProjectRow {
    project_id: Vec<u8>,
}

impl Store {
    pub async fn requirement(&self, requirement: RequirementId) -> Result<Option<Requirement>, StoreError> {
        requirements::Entity::find_by_id(requirement.as_bytes().to_vec()).one(&self.readers).await?.map(Requirement::try_from).transpose()
    }

    /// All of them, by name.
    pub async fn requirements(&self) -> Result<Vec<Requirement>, StoreError> {
        let sql = "SELECT * FROM requirements ORDER BY name, id";
        self.rows::<requirements::Model>(sql, vec![]).await?.into_iter().map(Requirement::try_from).collect()
    }

    /// All of them, by name.
    pub async fn levels(&self) -> Result<Vec<Level>, StoreError> {
        let mut asked: BTreeMap<Vec<u8>, Vec<RequirementId>> = BTreeMap::new();
        let sql = "SELECT * FROM level_requirements WHERE until_ms = 0 ORDER BY requirement_id";
        for row in self.rows::<level_requirements::Model>(sql, vec![]).await? {
            asked.entry(row.level_id).or_default().push(id("level_requirements.requirement_id", &row.requirement_id)?);
        }
        let rows = self.rows::<levels::Model>("SELECT * FROM levels ORDER BY name, id", vec![]).await?;
        rows.into_iter()
            .map(|row| {
                Ok(Level {
                    id: id("levels.id", &row.id)?,
                    name: row.name.parse().map_err(|_| StoreError::Corrupt("levels.name"))?,
                    description: row.description,
                    requirements: asked.remove(&row.id).unwrap_or_default(),
                    revision: count("levels.revision", row.revision)?,
                })
            })
            .collect()
    }

    pub async fn level_facts(&self, level: LevelId) -> Result<Option<LevelFacts>, StoreError> {
        let Some(row) = levels::Entity::find_by_id(level.as_bytes().to_vec()).one(&self.readers).await? else { return Ok(None) };
        let in_use = self.is_used("SELECT COUNT(*) AS n FROM projects WHERE level_id = $1", bytes(level.as_bytes())).await?;
        Ok(Some(LevelFacts { level, revision: count("levels.revision", row.revision)?, in_use }))
    }

    /// What the rules about a requirement need, for one actor.
    pub async fn requirement_facts(
        &self,
        actor: UserId,
        requirement: RequirementId,
        now: Timestamp,
    ) -> Result<Option<RequirementFacts>, StoreError> {
        let Some(found) = self.requirement(requirement).await? else { return Ok(None) };
        let sql = "SELECT COUNT(*) AS n FROM level_requirements WHERE requirement_id = $1 AND until_ms = 0";
        let in_use = self.is_used(sql, bytes(requirement.as_bytes())).await?;
        let manages_asking = self.manages_asking(actor, requirement, now).await?;
        Ok(Some(RequirementFacts { requirement, revision: found.revision, lifespan: found.lifespan, manages_asking, in_use }))
    }

    /// Whether somebody manages a project that asks for the requirement, itself or by an ancestor.
    async fn manages_asking(&self, actor: UserId, requirement: RequirementId, now: Timestamp) -> Result<bool, StoreError> {
        let sql = "SELECT project_id FROM members WHERE user_id = $1";
        let rows = self.rows::<ProjectRow>(sql, vec![bytes(actor.as_bytes())]).await?;
        let projects = rows.iter().map(|row| id("members.project_id", &row.project_id)).collect::<Result<Vec<ProjectId>, _>>()?;
        Ok(self.standing(actor, &projects).await?.values().any(|line| line.certifies_for(requirement, now)))
    }

    async fn is_used(&self, sql: &str, by: Value) -> Result<bool, StoreError> {
        Ok(self.rows::<Used>(sql, vec![by]).await?.first().is_some_and(|row| row.n > 0))
    }

    /// By requirement and name, those after (`requirement`, `name`).
    pub async fn certifications(
        &self,
        scope: Scope,
        after: Option<(RequirementId, UserName)>,
        limit: u64,
    ) -> Result<Vec<Certification>, StoreError> {
        let (requirement, name) =
            after.map_or((Vec::new(), String::new()), |(requirement, name)| (requirement.to_bytes().to_vec(), name.as_str().to_owned()));
        let mut values: Vec<Value> = vec![requirement.into(), name.into(), number(limit)?.into()];
        let mut sql = String::from(
            "SELECT c.requirement_id, c.user_id, u.name, c.since_ms, c.expires_ms, c.given_by, c.given_ms \
             FROM certifications c JOIN users u ON u.id = c.user_id \
             WHERE (c.requirement_id > $1 OR (c.requirement_id = $1 AND u.name > $2))",
        );
        if let Scope::Own(user) = scope {
            values.push(bytes(user.as_bytes()));
            sql.push_str(" AND c.user_id = $4");
        }
        sql.push_str(" ORDER BY c.requirement_id, u.name LIMIT $3");
        self.rows::<CertificationRow>(&sql, values).await?.into_iter().map(Certification::try_from).collect()
    }

    pub async fn certification(&self, requirement: RequirementId, user: UserId) -> Result<Option<(Timestamp, Timestamp)>, StoreError> {
        let key = (requirement.as_bytes().to_vec(), user.as_bytes().to_vec());
        let row = certifications::Entity::find_by_id(key).one(&self.readers).await?;
        Ok(row.map(|row| (time(row.since_ms), time(row.expires_ms))))
    }

    pub async fn set_requirement(&self, permit: Permit<RequirementSet>, requirement: Requirement) -> Result<(), StoreError> {
        self.write(move |tx| Box::pin(async move { tx.set_requirement(permit, requirement).await })).await
    }

    /// With the certifications for it.
    pub async fn delete_requirement(&self, permit: Permit<RequirementDelete>) -> Result<(), StoreError> {
        self.write(move |tx| Box::pin(async move { tx.delete_requirement(permit).await })).await
    }

    pub async fn set_level(&self, permit: Permit<LevelSet>, level: Level, at: Timestamp) -> Result<(), StoreError> {
        self.write(move |tx| Box::pin(async move { tx.set_level(permit, level, at).await })).await
    }

    pub async fn delete_level(&self, permit: Permit<LevelDelete>, at: Timestamp) -> Result<(), StoreError> {
        self.write(move |tx| Box::pin(async move { tx.delete_level(permit, at).await })).await
    }

    /// Gives a certification, or renews one: before its end it goes on without a gap.
    pub async fn certify(&self, permit: Permit<CertificationSet>, expires: Timestamp, at: Timestamp) -> Result<(), StoreError> {
        self.write(move |tx| Box::pin(async move { tx.certify(permit, expires, at).await })).await
    }

    pub async fn expire_certification(&self, permit: Permit<CertificationExpire>, at: Timestamp) -> Result<(), StoreError> {
        self.write(move |tx| Box::pin(async move { tx.expire_certification(permit, at).await })).await
    }
}

impl Tx {
    pub(crate) async fn has_level(&self, level: LevelId) -> Result<bool, StoreError> {
        Ok(levels::Entity::find_by_id(level.as_bytes().to_vec()).one(&self.conn).await?.is_some())
    }

    async fn set_requirement(&self, permit: Permit<RequirementSet>, requirement: Requirement) -> Result<(), StoreError> {
        let optional = |value: Option<u64>| value.map(number).transpose();
        let (default_ms, maximum_ms) = (optional(requirement.lifespan.default_ms)?, optional(requirement.lifespan.maximum_ms)?);
        if permit.revision() == 0 {
            let row = requirements::Model {
                id: permit.on().as_bytes().to_vec(),
                name: requirement.name.to_string(),
                description: requirement.description,
                must_expire: requirement.lifespan.must_expire,
                default_ms,
                maximum_ms,
                revision: 1,
            };
            return insert_all::<requirements::Entity, requirements::ActiveModel>(&self.conn, vec![row]).await;
        }
        let sql = "UPDATE requirements SET name = $3, description = $4, must_expire = $5, default_ms = $6, maximum_ms = $7, \
                   revision = revision + 1 WHERE id = $1 AND revision = $2";
        let values = vec![
            bytes(permit.on().as_bytes()),
            number(permit.revision())?.into(),
            requirement.name.as_str().into(),
            requirement.description.into(),
            requirement.lifespan.must_expire.into(),
            default_ms.into(),
            maximum_ms.into(),
        ];
        self.run_or_stale("requirement", sql, values).await
    }

    async fn delete_requirement(&self, permit: Permit<RequirementDelete>) -> Result<(), StoreError> {
        let requirement = bytes(permit.on().as_bytes());
        // A level that began to ask for it meanwhile has raised the revision.
        let sql = "DELETE FROM requirements WHERE id = $1 AND revision = $2";
        self.run_or_stale("requirement", sql, vec![requirement.clone(), number(permit.revision())?.into()]).await?;
        self.run("DELETE FROM certifications WHERE requirement_id = $1", vec![requirement]).await.map(drop)
    }

    async fn set_level(&self, permit: Permit<LevelSet>, level: Level, at: Timestamp) -> Result<(), StoreError> {
        let id_bytes = bytes(permit.on().as_bytes());
        if permit.revision() == 0 {
            let row = levels::Model {
                id: permit.on().as_bytes().to_vec(),
                name: level.name.to_string(),
                description: level.description,
                revision: 1,
            };
            insert_all::<levels::Entity, levels::ActiveModel>(&self.conn, vec![row]).await?;
        } else {
            let sql = "UPDATE levels SET name = $3, description = $4, revision = revision + 1 WHERE id = $1 AND revision = $2";
            let values = vec![id_bytes.clone(), number(permit.revision())?.into(), level.name.as_str().into(), level.description.into()];
            self.run_or_stale("level", sql, values).await?;
        }
        let sql = "SELECT * FROM level_requirements WHERE level_id = $1 AND until_ms = 0";
        let asked = self.rows::<level_requirements::Model>(sql, vec![id_bytes.clone()]).await?;
        let wanted: BTreeSet<RequirementId> = level.requirements.into_iter().collect();
        let mut kept = BTreeSet::new();
        for row in asked {
            let requirement: RequirementId = id("level_requirements.requirement_id", &row.requirement_id)?;
            if wanted.contains(&requirement) {
                kept.insert(requirement);
                continue;
            }
            let ended = "UPDATE level_requirements SET until_ms = $3 WHERE level_id = $1 AND requirement_id = $2 AND until_ms = 0";
            self.run(ended, vec![id_bytes.clone(), bytes(requirement.as_bytes()), at.to_i64().into()]).await?;
        }
        for requirement in wanted.difference(&kept) {
            self.ask_for(permit.on(), *requirement, at).await?;
        }
        Ok(())
    }

    async fn ask_for(&self, level: LevelId, requirement: RequirementId, at: Timestamp) -> Result<(), StoreError> {
        // Bumped, so that a deletion of the requirement decided meanwhile is stale.
        let sql = "UPDATE requirements SET revision = revision + 1 WHERE id = $1";
        if self.run(sql, vec![bytes(requirement.as_bytes())]).await? == 0 {
            return Err(StoreError::NotFound("requirement"));
        }
        let again = "UPDATE level_requirements SET until_ms = 0 WHERE level_id = $1 AND requirement_id = $2 AND since_ms = $3";
        let values = vec![bytes(level.as_bytes()), bytes(requirement.as_bytes()), at.to_i64().into()];
        if self.run(again, values).await? > 0 {
            return Ok(());
        }
        let row = level_requirements::Model {
            level_id: level.as_bytes().to_vec(),
            requirement_id: requirement.as_bytes().to_vec(),
            since_ms: at.to_i64(),
            until_ms: 0,
        };
        insert_all::<level_requirements::Entity, level_requirements::ActiveModel>(&self.conn, vec![row]).await
    }

    async fn delete_level(&self, permit: Permit<LevelDelete>, at: Timestamp) -> Result<(), StoreError> {
        let level = bytes(permit.on().as_bytes());
        let used = "SELECT COUNT(*) AS n FROM projects WHERE level_id = $1";
        if self.row::<Used>(used, vec![level.clone()]).await?.is_some_and(|row| row.n > 0) {
            return Err(StoreError::Stale("level"));
        }
        let sql = "DELETE FROM levels WHERE id = $1 AND revision = $2";
        self.run_or_stale("level", sql, vec![level.clone(), number(permit.revision())?.into()]).await?;
        // Kept with its end: sessions that began while a project had the level are still asked.
        let ended = "UPDATE level_requirements SET until_ms = $2 WHERE level_id = $1 AND until_ms = 0";
        self.run(ended, vec![level, at.to_i64().into()]).await.map(drop)
    }

    async fn certify(&self, permit: Permit<CertificationSet>, expires: Timestamp, at: Timestamp) -> Result<(), StoreError> {
        let on = permit.on();
        let sql = "INSERT INTO certifications (requirement_id, user_id, since_ms, expires_ms, given_by, given_ms) \
                   VALUES ($1, $2, $4, $3, $5, $4) ON CONFLICT (requirement_id, user_id) DO UPDATE SET \
                   since_ms = CASE WHEN certifications.expires_ms <> 0 AND certifications.expires_ms <= excluded.given_ms \
                   THEN excluded.given_ms ELSE certifications.since_ms END, \
                   expires_ms = excluded.expires_ms, given_by = excluded.given_by, given_ms = excluded.given_ms";
        let values = vec![
            bytes(on.requirement.as_bytes()),
            bytes(on.user.as_bytes()),
            expires.to_i64().into(),
            at.to_i64().into(),
            bytes(permit.actor().as_bytes()),
        ];
        self.run(sql, values).await.map(drop)
    }

    async fn expire_certification(&self, permit: Permit<CertificationExpire>, at: Timestamp) -> Result<(), StoreError> {
        let on = permit.on();
        let sql = "UPDATE certifications SET expires_ms = $3 WHERE requirement_id = $1 AND user_id = $2 \
                   AND (expires_ms = 0 OR expires_ms > $3)";
        let values = vec![bytes(on.requirement.as_bytes()), bytes(on.user.as_bytes()), at.to_i64().into()];
        self.run_or_stale("certification", sql, values).await
    }
}
