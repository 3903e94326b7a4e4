//! How somebody stands in projects: what the rule about being active wants to know, for many projects in four queries.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use sea_orm::FromQueryResult;
use ticrypt_policy::active::{Demand, Membership, Standing, StandingLine};
use ticrypt_types::{ProjectId, Span, Timestamp, UserId};

use super::member::{restrictions, role};
use crate::column::{bytes, id, placeholders, time};
use crate::connect::Store;
use crate::error::StoreError;
use crate::table::project::members;

#[derive(FromQueryResult)]
struct Place {
    id: Vec<u8>,
    path: Vec<u8>,
    pi_id: Option<Vec<u8>>,
}

#[derive(FromQueryResult)]
struct PersonRow {
    id: Vec<u8>,
}

#[derive(FromQueryResult)]
struct Asked {
    project_id: Vec<u8>,
    requirement_id: Vec<u8>,
    level_since_ms: i64,
    level_until_ms: i64,
    since_ms: i64,
    until_ms: i64,
    certified_ms: Option<i64>,
    expires_ms: Option<i64>,
}

const ASKED: &str = "SELECT pl.project_id, lr.requirement_id, pl.since_ms AS level_since_ms, pl.until_ms AS level_until_ms, \
                     lr.since_ms, lr.until_ms, c.since_ms AS certified_ms, c.expires_ms \
                     FROM project_levels pl JOIN level_requirements lr ON lr.level_id = pl.level_id \
                     LEFT JOIN certifications c ON c.requirement_id = lr.requirement_id AND c.user_id = $1";

/// The moments both have in common.
fn both(a: Span, b: Span) -> Option<Span> {
    let until = [a.until, b.until].into_iter().filter(|until| *until != Timestamp::ABSENT).min().unwrap_or(Timestamp::ABSENT);
    let both = Span { since: a.since.max(b.since), until };
    (until == Timestamp::ABSENT || both.since < until).then_some(both)
}

fn span(since: i64, until: i64) -> Span {
    Span { since: time(since), until: time(until) }
}

impl Store {
    /// The lines to those of the projects that exist.
    pub async fn standing(&self, user: UserId, projects: &[ProjectId]) -> Result<HashMap<ProjectId, StandingLine>, StoreError> {
        let mut lines = HashMap::new();
        for place in self.places(projects.iter().copied()).await?.values() {
            lines.insert(id::<ProjectId>("projects.id", &place.id)?, super::line(&place.path)?);
        }
        let along: BTreeSet<ProjectId> = lines.values().flat_map(|line| line.projects()).copied().collect();
        let places = self.places(along.iter().copied()).await?;
        let mut memberships = self.memberships(user, &along).await?;
        let mut demands = self.demands(user, &along).await?;
        let me = user.to_bytes();
        let standing: BTreeMap<ProjectId, Standing> = along
            .into_iter()
            .map(|project| {
                let is_pi = places.get(&project).and_then(|place| place.pi_id.as_deref()) == Some(&me[..]);
                let demands = demands.remove(&project).unwrap_or_default();
                (project, Standing { project, membership: memberships.remove(&project), is_pi, demands })
            })
            .collect();
        let along = |line: ticrypt_policy::Line| line.projects().iter().filter_map(|project| standing.get(project).cloned()).collect();
        Ok(lines.into_iter().map(|(project, line)| (project, StandingLine::new(along(line)))).collect())
    }

    /// Whose membership or certification ended by the clock after `since` and up to `until`.
    pub async fn people_losing(&self, since: Timestamp, until: Timestamp) -> Result<Vec<UserId>, StoreError> {
        let sql = "SELECT user_id AS id FROM members WHERE expires_ms > $1 AND expires_ms <= $2 \
             UNION SELECT user_id FROM certifications WHERE expires_ms > $1 AND expires_ms <= $2";
        let rows = self.rows::<PersonRow>(sql, vec![since.to_i64().into(), until.to_i64().into()]).await?;
        rows.iter().map(|row| id("members.user_id", &row.id)).collect()
    }

    async fn places(&self, projects: impl Iterator<Item = ProjectId>) -> Result<BTreeMap<ProjectId, Place>, StoreError> {
        let values: Vec<_> = projects.map(|project| bytes(project.as_bytes())).collect();
        if values.is_empty() {
            return Ok(BTreeMap::new());
        }
        let sql = format!("SELECT id, path, pi_id FROM projects WHERE id IN ({})", placeholders(1, values.len()));
        self.rows::<Place>(&sql, values).await?.into_iter().map(|row| Ok((id("projects.id", &row.id)?, row))).collect()
    }

    async fn memberships(&self, user: UserId, projects: &BTreeSet<ProjectId>) -> Result<BTreeMap<ProjectId, Membership>, StoreError> {
        let mut found = BTreeMap::new();
        if projects.is_empty() {
            return Ok(found);
        }
        let sql = format!("SELECT * FROM members WHERE user_id = $1 AND project_id IN ({})", placeholders(2, projects.len()));
        for row in self.rows::<members::Model>(&sql, of_user(user, projects)).await? {
            let membership = Membership {
                span: span(row.since_ms, row.expires_ms),
                role: role(&row.role)?,
                restrictions: restrictions(row.restrictions)?,
            };
            found.insert(id("members.project_id", &row.project_id)?, membership);
        }
        Ok(found)
    }

    async fn demands(&self, user: UserId, projects: &BTreeSet<ProjectId>) -> Result<BTreeMap<ProjectId, Vec<Demand>>, StoreError> {
        let mut found: BTreeMap<ProjectId, Vec<Demand>> = BTreeMap::new();
        if projects.is_empty() {
            return Ok(found);
        }
        let sql = format!("{ASKED} WHERE pl.project_id IN ({})", placeholders(2, projects.len()));
        for row in self.rows::<Asked>(&sql, of_user(user, projects)).await? {
            let Some(in_force) = both(span(row.level_since_ms, row.level_until_ms), span(row.since_ms, row.until_ms)) else { continue };
            let certified = row.certified_ms.zip(row.expires_ms).map(|(since, until)| span(since, until));
            let requirement = id("level_requirements.requirement_id", &row.requirement_id)?;
            let demand = Demand { requirement, in_force, certified };
            found.entry(id("project_levels.project_id", &row.project_id)?).or_default().push(demand);
        }
        Ok(found)
    }
}

fn of_user(user: UserId, projects: &BTreeSet<ProjectId>) -> Vec<sea_orm::Value> {
    std::iter::once(bytes(user.as_bytes())).chain(projects.iter().map(|project| bytes(project.as_bytes()))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_two_spans_have_in_common() {
        assert_eq!(both(span(1, 0), span(5, 0)), Some(span(5, 0)));
        assert_eq!(both(span(1, 9), span(5, 0)), Some(span(5, 9)));
        assert_eq!(both(span(1, 9), span(5, 7)), Some(span(5, 7)));
        assert_eq!(both(span(1, 5), span(5, 7)), None);
    }
}
