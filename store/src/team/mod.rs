//! Teams: what their members may use together, who is in them, who looks after them.
//!
//! Whoever comes into a team or goes out of one has their account's revision raised, so that what leaves somebody in no team is decided on all of their teams,
//! and two who take the last two away at once do not both find that one is left.

mod member;
mod vault;

pub use member::TeamMember;
pub use vault::Charge;

use std::collections::BTreeMap;

use sea_orm::{EntityTrait, FromQueryResult, Value};
use ticrypt_policy::permit::{TeamChange, TeamCreate, TeamDelete, TeamQuota};
use ticrypt_policy::team::{Founder, TeamFacts};
use ticrypt_policy::{Permit, TeamScope};
use ticrypt_types::{Quotas, TeamId, Timestamp, Title, UserId, UserName};

use crate::column::{bytes, count, id, number, placeholders, time};
use crate::connect::Store;
use crate::error::StoreError;
use crate::table::insert_all;
use crate::table::team::{team_assignments, team_members, teams};
use crate::writer::Tx;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Team {
    pub id: TeamId,
    pub about: TeamAbout,
    pub quotas: Quotas,
    pub revision: u64,
    pub created: Timestamp,
}

/// What its managers say of a team.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TeamAbout {
    pub name: Title,
    pub description: String,
}

/// A team with what a list shows for one person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TeamSeen {
    pub team: Team,
    pub members: u64,
    /// Whether they manage it; `None` for who is not in it.
    pub manages: Option<bool>,
}

/// A sub-admin, and until when a team is assigned to them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TeamAssignment {
    pub user: UserId,
    pub name: UserName,
    /// [`Timestamp::ABSENT`]: without end.
    pub until: Timestamp,
}

fn small(column: &'static str, stored: Option<i64>) -> Result<Option<u32>, StoreError> {
    stored.map(|number| u32::try_from(number).map_err(|_| StoreError::Corrupt(column))).transpose()
}

fn large(column: &'static str, stored: Option<i64>) -> Result<Option<u64>, StoreError> {
    stored.map(|number| count(column, number)).transpose()
}

/// In the order of the columns.
fn quota_values(quotas: &Quotas) -> Result<[Option<i64>; 5], StoreError> {
    let Quotas { cores, memory_mib, devices, drive_bytes, vault_bytes } = *quotas;
    let stored = |quota: Option<u64>| quota.map(number).transpose();
    Ok([cores.map(i64::from), stored(memory_mib)?, devices.map(i64::from), stored(drive_bytes)?, stored(vault_bytes)?])
}

impl TryFrom<teams::Model> for Team {
    type Error = StoreError;
    fn try_from(row: teams::Model) -> Result<Self, StoreError> {
        Ok(Self {
            id: id("teams.id", &row.id)?,
            about: TeamAbout { name: row.name.parse().map_err(|_| StoreError::Corrupt("teams.name"))?, description: row.description },
            quotas: Quotas {
                cores: small("teams.cores", row.cores)?,
                memory_mib: large("teams.memory_mib", row.memory_mib)?,
                devices: small("teams.devices", row.devices)?,
                drive_bytes: large("teams.drive_bytes", row.drive_bytes)?,
                vault_bytes: large("teams.vault_bytes", row.vault_bytes)?,
            },
            revision: count("teams.revision", row.revision)?,
            created: time(row.created_ms),
        })
    }
}

#[derive(FromQueryResult)]
struct SeenRow {
    #[sea_orm(nested)]
    team: teams::Model,
    members: i64,
    manages: Option<bool>,
}

#[derive(FromQueryResult)]
struct AssignmentRow {
    team_id: Vec<u8>,
    user_id: Vec<u8>,
    name: String,
    until_ms: i64,
}

#[derive(FromQueryResult)]
struct Count {
    n: i64,
}

const ANY_MEMBER: &str = "SELECT COUNT(*) AS n FROM (SELECT user_id FROM team_members WHERE team_id = $1 LIMIT 1) some_member";

const ASSIGNMENTS: &str = "SELECT a.team_id, a.user_id, u.name, a.until_ms FROM team_assignments a JOIN users u ON u.id = a.user_id";

impl Store {
    pub async fn team(&self, team: TeamId) -> Result<Option<Team>, StoreError> {
        teams::Entity::find_by_id(team.as_bytes().to_vec()).one(&self.readers).await?.map(Team::try_from).transpose()
    }

    /// In the order of their names, those after `after`, as `reader` stands in them.
    pub async fn teams(
        &self,
        scope: TeamScope,
        reader: UserId,
        after: Option<(Title, TeamId)>,
        limit: u64,
    ) -> Result<Vec<TeamSeen>, StoreError> {
        let mut values: Vec<Value> = vec![bytes(reader.as_bytes()), number(limit)?.into()];
        let mut which = Vec::new();
        if let Some((name, team)) = after {
            values.extend([name.as_str().into(), bytes(team.as_bytes())]);
            which.push("(t.name > $3 OR (t.name = $3 AND t.id > $4))".to_owned());
        }
        if let TeamScope::Of { user, own, assigned } = scope {
            let next = values.len() + 1;
            values.push(bytes(user.as_bytes()));
            // A manager sees the team without the permission to see one's own.
            let plain = if own { "" } else { " AND manager" };
            let mut any = format!("t.id IN (SELECT team_id FROM team_members WHERE user_id = ${next}{plain})");
            if let Some(now) = assigned {
                values.push(now.to_i64().into());
                let at = next + 1;
                any.push_str(&format!(
                    " OR t.id IN (SELECT team_id FROM team_assignments WHERE user_id = ${next} AND (until_ms = 0 OR until_ms > ${at}))"
                ));
            }
            which.push(format!("({any})"));
        }
        let which = if which.is_empty() { String::new() } else { format!("WHERE {}", which.join(" AND ")) };
        let sql = format!(
            "SELECT t.*, (SELECT COUNT(*) FROM team_members m WHERE m.team_id = t.id) AS members, own.manager AS manages \
             FROM teams t LEFT JOIN team_members own ON own.team_id = t.id AND own.user_id = $1 {which} ORDER BY t.name, t.id LIMIT $2"
        );
        let seen = |row: SeenRow| {
            let (members, manages) = (count("count", row.members)?, row.manages);
            Ok(TeamSeen { team: Team::try_from(row.team)?, members, manages })
        };
        self.rows::<SeenRow>(&sql, values).await?.into_iter().map(seen).collect()
    }

    /// The sub-admins that these teams are assigned to, by name; those whose time has passed included.
    pub async fn team_assignments(&self, teams: &[TeamId]) -> Result<BTreeMap<TeamId, Vec<TeamAssignment>>, StoreError> {
        let mut found: BTreeMap<TeamId, Vec<TeamAssignment>> = BTreeMap::new();
        if teams.is_empty() {
            return Ok(found);
        }
        let sql = format!("{ASSIGNMENTS} WHERE a.team_id IN ({}) ORDER BY u.name", placeholders(1, teams.len()));
        for row in self.rows::<AssignmentRow>(&sql, teams.iter().map(|team| bytes(team.as_bytes())).collect()).await? {
            let assignment = TeamAssignment {
                user: id("team_assignments.user_id", &row.user_id)?,
                name: row.name.parse().map_err(|_| StoreError::Corrupt("users.name"))?,
                until: time(row.until_ms),
            };
            found.entry(id("team_assignments.team_id", &row.team_id)?).or_default().push(assignment);
        }
        Ok(found)
    }

    /// What the rules about a team need, for one actor.
    pub async fn team_facts(&self, actor: UserId, team: TeamId) -> Result<Option<TeamFacts>, StoreError> {
        let Some(found) = self.team(team).await? else { return Ok(None) };
        let (own, assigned) = self.team_standing(team, actor).await?;
        let members = self.rows::<Count>(ANY_MEMBER, vec![bytes(team.as_bytes())]).await?;
        Ok(Some(TeamFacts {
            team,
            revision: found.revision,
            is_member: own.is_some(),
            is_manager: own == Some(true),
            assigned,
            has_members: members.iter().any(|row| row.n > 0),
        }))
    }

    /// With the quotas of a new team.
    pub async fn create_team(
        &self,
        permit: Permit<TeamCreate>,
        founder: Founder,
        about: TeamAbout,
        at: Timestamp,
    ) -> Result<(), StoreError> {
        self.write(move |tx| Box::pin(async move { tx.create_team(permit, founder, about, at).await })).await
    }

    pub async fn change_team(&self, permit: Permit<TeamChange>, about: TeamAbout) -> Result<(), StoreError> {
        self.write(move |tx| Box::pin(async move { tx.change_team(permit, about).await })).await
    }

    pub async fn set_quotas(&self, permit: Permit<TeamQuota>, quotas: Quotas) -> Result<(), StoreError> {
        self.write(move |tx| Box::pin(async move { tx.set_quotas(permit, quotas).await })).await
    }

    pub async fn delete_team(&self, permit: Permit<TeamDelete>) -> Result<(), StoreError> {
        self.write(move |tx| Box::pin(async move { tx.delete_team(permit).await })).await
    }
}

impl Tx {
    async fn create_team(&self, permit: Permit<TeamCreate>, founder: Founder, about: TeamAbout, at: Timestamp) -> Result<(), StoreError> {
        let (team, maker) = (permit.on(), permit.actor());
        let [cores, memory_mib, devices, drive_bytes, vault_bytes] = quota_values(&Quotas::NEW_TEAM)?;
        let row = teams::Model {
            id: team.as_bytes().to_vec(),
            name: about.name.to_string(),
            description: about.description,
            cores,
            memory_mib,
            devices,
            drive_bytes,
            vault_bytes,
            revision: 1,
            created_ms: at.to_i64(),
        };
        insert_all::<teams::Entity, teams::ActiveModel>(&self.conn, vec![row]).await?;
        let (team_id, user_id) = (team.as_bytes().to_vec(), maker.as_bytes().to_vec());
        match founder {
            Founder::Outside => Ok(()),
            Founder::Assigned => {
                let row = team_assignments::Model { team_id, user_id: user_id.clone(), until_ms: 0, set_by: user_id };
                insert_all::<team_assignments::Entity, team_assignments::ActiveModel>(&self.conn, vec![row]).await
            }
            Founder::Manager => {
                self.note_team(maker, permit.revision()).await?;
                let row = team_members::Model { team_id, user_id: user_id.clone(), manager: true, since_ms: at.to_i64(), set_by: user_id };
                insert_all::<team_members::Entity, team_members::ActiveModel>(&self.conn, vec![row]).await
            }
        }
    }

    async fn change_team(&self, permit: Permit<TeamChange>, about: TeamAbout) -> Result<(), StoreError> {
        let sql = "UPDATE teams SET name = $3, description = $4, revision = revision + 1 WHERE id = $1 AND revision = $2";
        let values =
            vec![bytes(permit.on().as_bytes()), number(permit.revision())?.into(), about.name.as_str().into(), about.description.into()];
        self.run_or_stale("team", sql, values).await
    }

    async fn set_quotas(&self, permit: Permit<TeamQuota>, quotas: Quotas) -> Result<(), StoreError> {
        let sql = "UPDATE teams SET cores = $3, memory_mib = $4, devices = $5, drive_bytes = $6, vault_bytes = $7, revision = revision + 1 \
                   WHERE id = $1 AND revision = $2";
        let mut values: Vec<Value> = vec![bytes(permit.on().as_bytes()), number(permit.revision())?.into()];
        values.extend(quota_values(&quotas)?.map(Value::from));
        self.run_or_stale("team", sql, values).await
    }

    async fn delete_team(&self, permit: Permit<TeamDelete>) -> Result<(), StoreError> {
        let team = bytes(permit.on().as_bytes());
        if self.row::<Count>(ANY_MEMBER, vec![team.clone()]).await?.is_some_and(|row| row.n > 0) {
            return Err(StoreError::Stale("team"));
        }
        let sql = "DELETE FROM teams WHERE id = $1 AND revision = $2";
        self.run_or_stale("team", sql, vec![team.clone(), number(permit.revision())?.into()]).await?;
        self.run("DELETE FROM team_assignments WHERE team_id = $1", vec![team]).await.map(drop)
    }
}
