//! Projects: a tree of tags. A project never moves, so its line, root first, stands in its row once and for all.

mod member;
mod roster;
mod standing;
mod working;

pub use member::{Listed, Member, MemberNew};
pub use roster::{ProjectHead, RosterChanged};

use sea_orm::{EntityTrait, FromQueryResult, Value};
use ticrypt_policy::permit::{ProjectChange, ProjectCreate, ProjectDelete};
use ticrypt_policy::project::ProjectFacts;
use ticrypt_policy::{Line, Permit, Scope};
use ticrypt_types::{Colour, LevelId, MemberRole, ProjectId, Tag, Timestamp, Title, UserId};

use crate::column::{Digest, bytes, count, digest, id, id_or_none, number, placeholders, time};
use crate::connect::Store;
use crate::error::StoreError;
use crate::table::insert_all;
use crate::table::project::{project_levels, projects};
use crate::writer::Tx;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Project {
    pub id: ProjectId,
    pub line: Line,
    pub about: ProjectAbout,
    pub pi: Option<UserId>,
    pub revision: u64,
    pub created: Timestamp,
    /// Of the newest head of its roster; 0 before the first.
    pub counter: u64,
    pub head: Option<Digest>,
}

impl Project {
    /// `None`: right below Unlocked.
    pub fn parent(&self) -> Option<ProjectId> {
        self.line.projects().iter().rev().nth(1).copied()
    }
}

/// A project to be made.
#[derive(Clone, Debug)]
pub struct ProjectNew {
    pub parent: Option<ProjectId>,
    pub about: ProjectAbout,
    /// The first, by the founder alone.
    pub head: ProjectHead,
    pub founder: MemberNew,
    pub at: Timestamp,
}

/// What its managers say of a project.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProjectAbout {
    pub name: Title,
    pub tag: Tag,
    pub colour: Colour,
    pub description: String,
    pub level: Option<LevelId>,
}

impl TryFrom<projects::Model> for Project {
    type Error = StoreError;
    fn try_from(row: projects::Model) -> Result<Self, StoreError> {
        let corrupt = |column| move |_| StoreError::Corrupt(column);
        Ok(Self {
            id: id("projects.id", &row.id)?,
            line: line(&row.path)?,
            about: ProjectAbout {
                name: row.name.parse().map_err(corrupt("projects.name"))?,
                tag: row.tag.parse().map_err(corrupt("projects.tag"))?,
                colour: row.colour.parse().map_err(corrupt("projects.colour"))?,
                description: row.description,
                level: id_or_none("projects.level_id", row.level_id.as_ref())?,
            },
            pi: id_or_none("projects.pi_id", row.pi_id.as_ref())?,
            revision: count("projects.revision", row.revision)?,
            created: time(row.created_ms),
            counter: count("projects.counter", row.counter)?,
            head: row.head_hash.map(|hash| digest("projects.head_hash", &hash)).transpose()?,
        })
    }
}

/// The ids of a line, 16 bytes each.
pub(crate) fn line(path: &[u8]) -> Result<Line, StoreError> {
    let projects = path.chunks(16).map(|part| id("projects.path", part)).collect::<Result<Vec<_>, _>>()?;
    Line::new(projects).ok_or(StoreError::Corrupt("projects.path"))
}

#[derive(FromQueryResult)]
struct Count {
    n: i64,
}

/// What keeps a project from being deleted: projects below it, and what carries its tag.
const USERS: &str =
    "SELECT (SELECT COUNT(*) FROM projects WHERE parent_id = $1) + (SELECT COUNT(*) FROM node_tags WHERE project_id = $1) AS n";

impl Store {
    pub async fn project(&self, project: ProjectId) -> Result<Option<Project>, StoreError> {
        projects::Entity::find_by_id(project.as_bytes().to_vec()).one(&self.readers).await?.map(Project::try_from).transpose()
    }

    /// In the order of their ids, those after `after`. One's own are those one is a member of, expired memberships included.
    pub async fn projects(&self, scope: Scope, after: Option<ProjectId>, limit: u64) -> Result<Vec<Project>, StoreError> {
        let after = after.map_or(Vec::new(), |after| after.to_bytes().to_vec());
        let mut values: Vec<Value> = vec![after.into(), number(limit)?.into()];
        let mut sql = String::from("SELECT * FROM projects WHERE id > $1");
        if let Scope::Own(user) = scope {
            values.push(bytes(user.as_bytes()));
            sql.push_str(" AND id IN (SELECT project_id FROM members WHERE user_id = $3 AND withdrawn = FALSE)");
        }
        sql.push_str(" ORDER BY id LIMIT $2");
        self.rows::<projects::Model>(&sql, values).await?.into_iter().map(Project::try_from).collect()
    }

    /// What the rules about a project need, for one actor.
    pub async fn project_facts(&self, actor: UserId, project: ProjectId) -> Result<Option<ProjectFacts>, StoreError> {
        let Some(found) = self.project(project).await? else { return Ok(None) };
        let line = self.standing(actor, &[project]).await?.remove(&project).ok_or(StoreError::Corrupt("projects.path"))?;
        let users = self.rows::<Count>(USERS, vec![bytes(project.as_bytes())]).await?;
        let in_use = users.first().is_some_and(|row| row.n > 0);
        Ok(Some(ProjectFacts { project, revision: found.revision, counter: found.counter, line, pi: found.pi, in_use }))
    }

    /// Its creator is its first member, a manager, and its principal investigator.
    pub async fn create_project(&self, permit: Permit<ProjectCreate>, new: ProjectNew) -> Result<(), StoreError> {
        self.write(move |tx| Box::pin(async move { tx.create_project(permit, new).await })).await
    }

    pub async fn change_project(&self, permit: Permit<ProjectChange>, about: ProjectAbout, at: Timestamp) -> Result<(), StoreError> {
        self.write(move |tx| Box::pin(async move { tx.change_project(permit, about, at).await })).await
    }

    /// The lines of those of the projects that exist.
    pub async fn lines(&self, projects: &[ProjectId]) -> Result<Vec<Line>, StoreError> {
        if projects.is_empty() {
            return Ok(Vec::new());
        }
        let sql = format!("SELECT * FROM projects WHERE id IN ({})", placeholders(1, projects.len()));
        let rows = self.rows::<projects::Model>(&sql, projects.iter().map(|project| bytes(project.as_bytes())).collect()).await?;
        rows.iter().map(|row| line(&row.path)).collect()
    }

    /// Where it stands in somebody's working set it stays as dead weight.
    pub async fn delete_project(&self, permit: Permit<ProjectDelete>) -> Result<(), StoreError> {
        self.write(move |tx| Box::pin(async move { tx.delete_project(permit).await })).await
    }
}

impl Tx {
    /// Whether one of the projects is this one or below it.
    pub(crate) async fn any_within(&self, projects: &[ProjectId], above: ProjectId) -> Result<bool, StoreError> {
        let sql = format!("SELECT * FROM projects WHERE id IN ({})", placeholders(1, projects.len()));
        let rows = self.rows::<projects::Model>(&sql, projects.iter().map(|project| bytes(project.as_bytes())).collect()).await?;
        let lines = rows.iter().map(|row| line(&row.path)).collect::<Result<Vec<_>, _>>()?;
        Ok(lines.iter().any(|line| line.projects().contains(&above)))
    }

    async fn create_project(&self, permit: Permit<ProjectCreate>, new: ProjectNew) -> Result<(), StoreError> {
        let ProjectNew { parent, about, head, founder, at } = new;
        let project = permit.on();
        if head.counter != 1 || founder.role != MemberRole::Manager {
            return Err(StoreError::Invalid("a project begins with its first head, by its founder as a manager; sign it so"));
        }
        let mut path = match parent {
            None => Vec::new(),
            // Bumped, so that a deletion of the parent decided meanwhile is stale.
            Some(parent) => {
                let sql = "UPDATE projects SET revision = revision + 1 WHERE id = $1 AND revision = $2";
                self.run_or_stale("project", sql, vec![bytes(parent.as_bytes()), number(permit.revision())?.into()]).await?;
                let row = projects::Entity::find_by_id(parent.as_bytes().to_vec()).one(&self.conn).await?;
                row.ok_or(StoreError::NotFound("project"))?.path
            }
        };
        path.extend_from_slice(project.as_bytes());
        let level = about.level;
        let row = projects::Model {
            id: project.as_bytes().to_vec(),
            parent_id: parent.map(|parent| parent.to_bytes().to_vec()),
            path,
            name: about.name.to_string(),
            tag: about.tag.to_string(),
            colour: about.colour.to_string(),
            description: about.description,
            level_id: level.map(|level| level.to_bytes().to_vec()),
            pi_id: Some(permit.actor().to_bytes().to_vec()),
            revision: 1,
            created_ms: at.to_i64(),
            head_hash: Some(head.hash.to_vec()),
            counter: 1,
        };
        insert_all::<projects::Entity, projects::ActiveModel>(&self.conn, vec![row]).await?;
        if let Some(level) = level {
            self.begin_level(project, level, at).await?;
        }
        self.put_members(project, permit.actor(), &[(permit.actor(), founder)], at).await?;
        self.put_project_head(project, head, at).await
    }

    async fn change_project(&self, permit: Permit<ProjectChange>, about: ProjectAbout, at: Timestamp) -> Result<(), StoreError> {
        let project = permit.on();
        let before = projects::Entity::find_by_id(project.as_bytes().to_vec()).one(&self.conn).await?;
        let before = Project::try_from(before.ok_or(StoreError::NotFound("project"))?)?;
        let sql = "UPDATE projects SET name = $3, tag = $4, colour = $5, description = $6, level_id = $7, \
                   revision = revision + 1 WHERE id = $1 AND revision = $2";
        let values = vec![
            bytes(project.as_bytes()),
            number(permit.revision())?.into(),
            about.name.as_str().into(),
            about.tag.as_str().into(),
            about.colour.as_str().into(),
            about.description.into(),
            about.level.map(|level| level.to_bytes().to_vec()).into(),
        ];
        self.run_or_stale("project", sql, values).await?;
        if before.about.level == about.level {
            return Ok(());
        }
        let ended = "UPDATE project_levels SET until_ms = $2 WHERE project_id = $1 AND until_ms = 0";
        self.run(ended, vec![bytes(project.as_bytes()), at.to_i64().into()]).await?;
        match about.level {
            Some(level) => self.begin_level(project, level, at).await,
            None => Ok(()),
        }
    }

    /// What was asked for before is kept: a session that began under it goes on being asked.
    async fn begin_level(&self, project: ProjectId, level: LevelId, at: Timestamp) -> Result<(), StoreError> {
        if !self.has_level(level).await? {
            return Err(StoreError::NotFound("level"));
        }
        // Taken away and given back in one millisecond is as if it had never gone.
        let again = "UPDATE project_levels SET until_ms = 0 WHERE project_id = $1 AND level_id = $2 AND since_ms = $3";
        let values = vec![bytes(project.as_bytes()), bytes(level.as_bytes()), at.to_i64().into()];
        if self.run(again, values).await? > 0 {
            return Ok(());
        }
        let row = project_levels::Model {
            project_id: project.as_bytes().to_vec(),
            level_id: level.as_bytes().to_vec(),
            since_ms: at.to_i64(),
            until_ms: 0,
        };
        insert_all::<project_levels::Entity, project_levels::ActiveModel>(&self.conn, vec![row]).await
    }

    pub(crate) async fn has_project(&self, project: ProjectId) -> Result<bool, StoreError> {
        Ok(projects::Entity::find_by_id(project.as_bytes().to_vec()).one(&self.conn).await?.is_some())
    }

    async fn delete_project(&self, permit: Permit<ProjectDelete>) -> Result<(), StoreError> {
        let project = permit.on();
        if self.row::<Count>(USERS, vec![bytes(project.as_bytes())]).await?.is_some_and(|row| row.n > 0) {
            return Err(StoreError::Stale("project"));
        }
        let sql = "DELETE FROM projects WHERE id = $1 AND revision = $2";
        self.run_or_stale("project", sql, vec![bytes(project.as_bytes()), number(permit.revision())?.into()]).await?;
        for table in ["members", "project_heads", "project_levels"] {
            self.run(&format!("DELETE FROM {table} WHERE project_id = $1"), vec![bytes(project.as_bytes())]).await?;
        }
        Ok(())
    }
}
