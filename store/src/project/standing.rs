//! How somebody stands in projects: what the rule about being active wants to know, for many people and projects in five queries.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use sea_orm::FromQueryResult;
use ticrypt_policy::active::{Demand, Membership, Standing, StandingLine};
use ticrypt_types::{ProjectId, RequirementId, Span, Timestamp, UserId};

use super::member::{restrictions, role};
use crate::column::{bytes, id, placeholders, time};
use crate::connect::Store;
use crate::error::StoreError;
use crate::table::certification::certifications;
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
}

/// What a project asks for, and while it does.
struct Asking {
    requirement: RequirementId,
    in_force: Span,
}

/// Of everybody asked about: memberships by project, certifications by requirement.
#[derive(Default)]
struct Own {
    memberships: HashMap<ProjectId, Membership>,
    certified: HashMap<RequirementId, Span>,
}

/// How somebody stands in each project.
pub type StandingLines = HashMap<ProjectId, StandingLine>;

/// People in one query.
const PEOPLE_PER_QUERY: usize = 1_000;

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
    pub async fn standing(&self, user: UserId, projects: &[ProjectId]) -> Result<StandingLines, StoreError> {
        Ok(self.standing_of(&[user], projects).await?.remove(&user).unwrap_or_default())
    }

    /// The same of many people, everybody of whom is in the answer.
    pub async fn standing_of(&self, users: &[UserId], projects: &[ProjectId]) -> Result<HashMap<UserId, StandingLines>, StoreError> {
        let mut lines = HashMap::new();
        for place in self.places(projects.iter().copied()).await?.values() {
            lines.insert(id::<ProjectId>("projects.id", &place.id)?, super::line(&place.path)?);
        }
        let along: BTreeSet<ProjectId> = lines.values().flat_map(|line| line.projects()).copied().collect();
        if along.is_empty() {
            return Ok(users.iter().map(|user| (*user, StandingLines::new())).collect());
        }
        let places = self.places(along.iter().copied()).await?;
        let asking = self.asking(&along).await?;
        let mut standing = HashMap::with_capacity(users.len());
        for some in users.chunks(PEOPLE_PER_QUERY) {
            let mut own = self.own(some, &along, &asking).await?;
            for user in some {
                let own = own.remove(user).unwrap_or_default();
                let me = user.to_bytes();
                let one = |project: &ProjectId| {
                    let is_pi = places.get(project).and_then(|place| place.pi_id.as_deref()) == Some(&me[..]);
                    let asked = asking.get(project).into_iter().flatten();
                    let demands = asked.map(|Asking { requirement, in_force }| Demand {
                        requirement: *requirement,
                        in_force: *in_force,
                        certified: own.certified.get(requirement).copied(),
                    });
                    Standing { project: *project, membership: own.memberships.get(project).copied(), is_pi, demands: demands.collect() }
                };
                let line = |line: &ticrypt_policy::Line| StandingLine::new(line.projects().iter().map(one).collect());
                standing.insert(*user, lines.iter().map(|(project, along)| (*project, line(along))).collect());
            }
        }
        Ok(standing)
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

    /// What each project asks for by its levels.
    async fn asking(&self, projects: &BTreeSet<ProjectId>) -> Result<HashMap<ProjectId, Vec<Asking>>, StoreError> {
        let sql = format!(
            "SELECT pl.project_id, lr.requirement_id, pl.since_ms AS level_since_ms, pl.until_ms AS level_until_ms, lr.since_ms, lr.until_ms \
             FROM project_levels pl JOIN level_requirements lr ON lr.level_id = pl.level_id WHERE pl.project_id IN ({})",
            placeholders(1, projects.len())
        );
        let mut asking: HashMap<ProjectId, Vec<Asking>> = HashMap::new();
        for row in self.rows::<Asked>(&sql, ids(projects).collect()).await? {
            let Some(in_force) = both(span(row.level_since_ms, row.level_until_ms), span(row.since_ms, row.until_ms)) else { continue };
            let requirement = id("level_requirements.requirement_id", &row.requirement_id)?;
            asking.entry(id("project_levels.project_id", &row.project_id)?).or_default().push(Asking { requirement, in_force });
        }
        Ok(asking)
    }

    /// What these people have of it.
    async fn own(
        &self,
        users: &[UserId],
        projects: &BTreeSet<ProjectId>,
        asking: &HashMap<ProjectId, Vec<Asking>>,
    ) -> Result<HashMap<UserId, Own>, StoreError> {
        let mut found: HashMap<UserId, Own> = HashMap::with_capacity(users.len());
        let people = || users.iter().map(|user| bytes(user.as_bytes()));
        let among = |column: &str, count: usize| {
            format!("user_id IN ({}) AND {column} IN ({})", placeholders(1, users.len()), placeholders(users.len() + 1, count))
        };
        let sql = format!("SELECT * FROM members WHERE withdrawn = FALSE AND {}", among("project_id", projects.len()));
        for row in self.rows::<members::Model>(&sql, people().chain(ids(projects)).collect()).await? {
            let membership = Membership {
                span: span(row.since_ms, row.expires_ms),
                role: role(&row.role)?,
                restrictions: restrictions(row.restrictions)?,
            };
            let own = found.entry(id("members.user_id", &row.user_id)?).or_default();
            own.memberships.insert(id("members.project_id", &row.project_id)?, membership);
        }
        let asked: BTreeSet<RequirementId> = asking.values().flatten().map(|asking| asking.requirement).collect();
        if asked.is_empty() {
            return Ok(found);
        }
        let sql = format!("SELECT * FROM certifications WHERE {}", among("requirement_id", asked.len()));
        let asked = asked.iter().map(|requirement| bytes(requirement.as_bytes()));
        for row in self.rows::<certifications::Model>(&sql, people().chain(asked).collect()).await? {
            let own = found.entry(id("certifications.user_id", &row.user_id)?).or_default();
            own.certified.insert(id("certifications.requirement_id", &row.requirement_id)?, span(row.since_ms, row.expires_ms));
        }
        Ok(found)
    }
}

fn ids(projects: &BTreeSet<ProjectId>) -> impl Iterator<Item = sea_orm::Value> {
    projects.iter().map(|project| bytes(project.as_bytes()))
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
