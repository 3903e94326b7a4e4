//! Working sets: one a person, whatever their sessions.

use ticrypt_policy::active::{ActiveSet, Standing, StandingLine};
use ticrypt_policy::permit::WorkingSet;
use ticrypt_policy::{Actor, Permit};
use ticrypt_types::{ProjectId, Timestamp, UserId};

use crate::column::{bytes, id, number};
use crate::connect::Store;
use crate::error::StoreError;
use crate::table::insert_all;
use crate::table::project::working_sets;
use crate::user::User;
use crate::writer::Tx;

impl Store {
    /// The projects somebody works in.
    pub async fn working_set(&self, user: UserId) -> Result<Vec<ProjectId>, StoreError> {
        let sql = "SELECT * FROM working_sets WHERE user_id = $1 ORDER BY project_id";
        let rows = self.rows::<working_sets::Model>(sql, vec![bytes(user.as_bytes())]).await?;
        rows.iter().map(|row| id("working_sets.project_id", &row.project_id)).collect()
    }

    /// The same as the rules want it, for a session that began at `login`. A project that is gone is dead weight.
    pub async fn active_set(&self, user: UserId, login: Timestamp) -> Result<ActiveSet, StoreError> {
        let projects = self.working_set(user).await?;
        if projects.is_empty() {
            return Ok(ActiveSet::empty(login));
        }
        let mut standing = self.standing(user, &projects).await?;
        let gone = |project| StandingLine::new(vec![Standing { project, membership: None, is_pi: false, demands: vec![] }]);
        let lines = projects.into_iter().map(|project| standing.remove(&project).unwrap_or_else(|| gone(project))).collect();
        ActiveSet::new(login, lines).ok_or(StoreError::Corrupt("working_sets.project_id"))
    }

    /// Who asks, as the rules want it: the account now, in a session of that epoch which began at `login`.
    pub async fn actor(&self, user: &User, session_epoch: u64, login: Timestamp) -> Result<Actor, StoreError> {
        Ok(Actor {
            user: user.id,
            rank: user.rank,
            state: user.state,
            disabled_until: user.disabled_until,
            epoch: user.epoch,
            session_epoch,
            permissions: user.permissions,
            // Most people never chose one, and this is asked at every request.
            active: match user.working_revision {
                0 => ActiveSet::empty(login).into(),
                _ => self.active_set(user.id, login).await?.into(),
            },
        })
    }

    pub async fn set_working_set(&self, permit: Permit<WorkingSet>, projects: Vec<ProjectId>) -> Result<(), StoreError> {
        self.write(move |tx| Box::pin(async move { tx.set_working_set(permit, projects).await })).await
    }
}

impl Tx {
    async fn set_working_set(&self, permit: Permit<WorkingSet>, projects: Vec<ProjectId>) -> Result<(), StoreError> {
        let user = permit.on();
        let sql = "UPDATE users SET working_revision = working_revision + 1 WHERE id = $1 AND working_revision = $2";
        self.run_or_stale("working set", sql, vec![bytes(user.as_bytes()), number(permit.revision())?.into()]).await?;
        self.run("DELETE FROM working_sets WHERE user_id = $1", vec![bytes(user.as_bytes())]).await?;
        let rows = projects
            .iter()
            .map(|project| working_sets::Model { user_id: user.as_bytes().to_vec(), project_id: project.as_bytes().to_vec() });
        insert_all::<working_sets::Entity, working_sets::ActiveModel>(&self.conn, rows.collect()).await
    }
}
