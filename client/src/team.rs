//! Teams, who is in them and who looks after them, as the server keeps them.

use ticrypt_api::node::PageQuery;
use ticrypt_api::team::{
    TeamAbout, TeamAddRequest, TeamAssignRequest, TeamChangeRequest, TeamCreateRequest, TeamListReply, TeamManagerRequest, TeamMemberView,
    TeamMembersReply, TeamQuotaRequest, TeamRemoveReply, TeamView,
};
use ticrypt_types::name::Harmless;
use ticrypt_types::{Operation, Quotas, TeamId, Timestamp, UserId};

use crate::bulk::{self, Item, Step};
use crate::entropy;
use crate::error::{ClientError, Kind, Result};
use crate::session::Session;

const PAGE: u32 = 1_000;

/// The teams a person sees, by name.
#[derive(Clone, Debug)]
pub struct Teams(Vec<TeamView>);

impl Teams {
    pub async fn load(session: &Session) -> Result<Self> {
        let mut teams = Vec::new();
        let mut query = PageQuery { limit: Some(PAGE), page: None };
        loop {
            let mut reply: TeamListReply = session.transport.call(Operation::TeamList, &[], &query, &()).await?;
            teams.append(&mut reply.teams);
            match reply.next {
                Some(next) => query.page = Some(next),
                None => return Ok(Self(teams)),
            }
        }
    }

    pub fn all(&self) -> &[TeamView] {
        &self.0
    }

    pub fn get(&self, team: TeamId) -> Option<&TeamView> {
        self.0.iter().find(|view| view.team == team)
    }

    /// By id or by name; a name that several have is refused.
    pub fn find(&self, text: &str) -> Result<&TeamView> {
        if let Some(view) = text.parse().ok().and_then(|id| self.get(id)) {
            return Ok(view);
        }
        let found: Vec<&TeamView> = self.0.iter().filter(|view| view.about.name.as_str() == text).collect();
        match found.as_slice() {
            [one] => Ok(one),
            [] => Err(ClientError::not_found(format!("there is no team {} that you can see; run `ticrypt team list`", Harmless(text)))),
            several => {
                let ids: Vec<String> = several.iter().map(|view| view.team.to_string()).collect();
                let message = format!("several teams are called that; give the id: {}", ids.join(", "));
                Err(ClientError::new(Kind::Invalid, "ambiguous", message))
            }
        }
    }
}

/// Who is in a team, and what they hold together.
#[derive(Clone, Debug)]
pub struct Roll {
    pub members: Vec<TeamMemberView>,
    pub vault_used_bytes: u64,
}

/// Its members by name.
pub async fn members(session: &Session, team: TeamId) -> Result<Roll> {
    let mut roll = Roll { members: Vec::new(), vault_used_bytes: 0 };
    let mut query = PageQuery { limit: Some(PAGE), page: None };
    loop {
        let mut reply: TeamMembersReply = session.transport.call(Operation::TeamMembers, &[&team.to_string()], &query, &()).await?;
        roll.members.append(&mut reply.members);
        roll.vault_used_bytes = reply.vault_used_bytes;
        match reply.next {
            Some(next) => query.page = Some(next),
            None => return Ok(roll),
        }
    }
}

pub async fn create(session: &Session, about: TeamAbout) -> Result<TeamId> {
    let team = TeamId::from_random(entropy::bytes()?);
    let () = session.call(Operation::TeamCreate, &[], &TeamCreateRequest { team, about }).await?;
    Ok(team)
}

/// Changes what `view` was read as; if somebody else changed it since, this is refused.
pub async fn change(session: &Session, view: &TeamView, about: TeamAbout) -> Result<()> {
    let request = TeamChangeRequest { revision: view.revision, about };
    session.call(Operation::TeamChange, &[&view.team.to_string()], &request).await
}

/// The same for what its members may use together.
pub async fn set_quotas(session: &Session, view: &TeamView, quotas: Quotas) -> Result<()> {
    let request = TeamQuotaRequest { revision: view.revision, quotas };
    session.call(Operation::TeamQuota, &[&view.team.to_string()], &request).await
}

pub async fn delete(session: &Session, team: TeamId) -> Result<()> {
    session.call(Operation::TeamDelete, &[&team.to_string()], &()).await
}

pub async fn add(session: &Session, team: TeamId, user: UserId) -> Result<()> {
    session.call(Operation::TeamAdd, &[&team.to_string()], &TeamAddRequest { user }).await
}

/// Adds each of several people. Gives what came of each, in order.
pub async fn add_all(session: &Session, team: TeamId, users: &[UserId], step: Step<'_>) -> Result<Vec<Result<()>>> {
    let item = |user: &UserId| Item { parameters: vec![team.to_string()], request: TeamAddRequest { user: *user } };
    bulk::run(session, Operation::TeamAdd, &users.iter().map(item).collect::<Vec<_>>(), step).await
}

/// Whether that ended their access: it was the last team of somebody active.
pub async fn remove(session: &Session, team: TeamId, user: UserId) -> Result<bool> {
    let reply: TeamRemoveReply = session.call(Operation::TeamRemove, &[&team.to_string(), &user.to_string()], &()).await?;
    Ok(reply.ended)
}

/// Takes each of several people out. Gives what came of each, in order; whose access that ended is not told.
pub async fn remove_all(session: &Session, team: TeamId, users: &[UserId], step: Step<'_>) -> Result<Vec<Result<()>>> {
    let item = |user: &UserId| Item { parameters: vec![team.to_string(), user.to_string()], request: () };
    bulk::run(session, Operation::TeamRemove, &users.iter().map(item).collect::<Vec<_>>(), step).await
}

pub async fn set_manager(session: &Session, team: TeamId, user: UserId, manager: bool) -> Result<()> {
    session.call(Operation::TeamManager, &[&team.to_string(), &user.to_string()], &TeamManagerRequest { manager }).await
}

/// The same for each of several members. Gives what came of each, in order.
pub async fn set_managers(session: &Session, team: TeamId, users: &[UserId], manager: bool, step: Step<'_>) -> Result<Vec<Result<()>>> {
    let request = TeamManagerRequest { manager };
    let item = |user: &UserId| Item { parameters: vec![team.to_string(), user.to_string()], request: request.clone() };
    bulk::run(session, Operation::TeamManager, &users.iter().map(item).collect::<Vec<_>>(), step).await
}

/// Puts a team in the care of a sub-admin; `None`: without end.
pub async fn assign(session: &Session, team: TeamId, user: UserId, until_ms: Option<Timestamp>) -> Result<()> {
    session.call(Operation::TeamAssign, &[&team.to_string()], &TeamAssignRequest { user, until_ms }).await
}

pub async fn unassign(session: &Session, team: TeamId, user: UserId) -> Result<()> {
    session.call(Operation::TeamUnassign, &[&team.to_string(), &user.to_string()], &()).await
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_name_or_an_id_leads_to_one_team() {
        let view = |n: u8, name: &str| TeamView {
            team: TeamId::from_random([n; 16]),
            about: TeamAbout { name: name.parse().unwrap(), description: String::new() },
            quotas: Quotas::NEW_TEAM,
            members: 0,
            assigned: vec![],
            revision: 1,
            created_ms: Timestamp::ABSENT,
            manages: None,
        };
        let teams = Teams(vec![view(1, "Heart"), view(2, "Lung"), view(3, "Lung")]);
        assert_eq!(teams.find("Heart").unwrap().team, TeamId::from_random([1; 16]));
        assert_eq!(teams.find(&TeamId::from_random([3; 16]).to_string()).unwrap().about.name.as_str(), "Lung");
        assert_eq!(teams.find("Lung").unwrap_err().code(), "ambiguous");
        assert_eq!(teams.find("Liver").unwrap_err().kind(), Kind::NotFound);
    }
}
