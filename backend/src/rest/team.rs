//! Teams: listing, making, changing, deleting; who is in them and who looks after them.

use std::collections::BTreeMap;

use ticrypt_api::ApiError;
use ticrypt_api::node::PageQuery;
use ticrypt_api::team::{
    AssignmentView, TeamAbout, TeamAddRequest, TeamAssignRequest, TeamChangeRequest, TeamCreateRequest, TeamListReply, TeamManagerRequest,
    TeamMemberView, TeamMembersReply, TeamQuotaRequest, TeamRemoveReply, TeamView,
};
use ticrypt_policy::team::{
    TeamFacts, TeamMemberFacts, may_add_team_member, may_assign_sub_admin, may_change_team, may_create_team, may_delete_team,
    may_list_teams, may_remove_team_member, may_see_team, may_set_quota, may_set_team_manager, may_unassign_sub_admin,
};
use ticrypt_policy::{Actor, Denial};
use ticrypt_store::team::{TeamAbout as Stored, TeamAssignment, TeamMember, TeamSeen};
use ticrypt_types::{Quotas, TeamId, Timestamp, Title, UserId};

use super::Rest;
use super::call::{Answer, Call};
use super::change::{description, event, present};
use super::page;
use crate::refusal::{refuse, store_failed};

/// Bytes of an id, which a place in the list of teams begins with.
const ID_BYTES: usize = 16;

type Facts = Result<TeamFacts, Denial>;

impl Rest {
    /// By name: one's own teams, those in one's care, or all of them.
    pub(super) async fn list_teams(&self, call: &Call) -> Result<Answer, ApiError> {
        let query: PageQuery = call.query()?;
        let (actor, user) = self.actor(call.session()?, call.now).await?;
        let scope = may_list_teams(&actor, call.now).map_err(|denial| refuse(denial, call.now))?;
        let failed = |error| store_failed(error, call.now);
        let after = page::start(query.page.as_deref())?.map(|place| read_place(&place)).transpose()?;
        let limit = page::limit(query.limit);
        let mut rows = self.store.teams(scope, user.id, after, limit as u64 + 1).await.map_err(failed)?;
        let next = page::cut(&mut rows, limit, |seen| place(&seen.team.about.name, seen.team.id));
        let ids: Vec<TeamId> = rows.iter().map(|seen| seen.team.id).collect();
        let mut assigned = self.store.team_assignments(&ids).await.map_err(failed)?;
        let teams = rows.into_iter().map(|seen| view(seen, &mut assigned)).collect();
        Answer::of(call, &TeamListReply { teams, next })
    }

    pub(super) async fn create_team(&self, call: &Call) -> Result<Answer, ApiError> {
        let request: TeamCreateRequest = call.body()?;
        let about = stored(request.about)?;
        let (actor, user) = self.actor(call.session()?, call.now).await?;
        let decided = may_create_team(&actor, request.team, user.revision, call.now);
        let row = event(call, &[request.team.to_bytes()], &[("name", about.name.to_string())]);
        self.change(call, row, decided, |(permit, founder)| self.store.create_team(permit, founder, about, call.now)).await
    }

    pub(super) async fn change_team(&self, call: &Call) -> Result<Answer, ApiError> {
        let team: TeamId = call.parameter(0)?;
        let request: TeamChangeRequest = call.body()?;
        let about = stored(request.about)?;
        let (actor, _) = self.actor(call.session()?, call.now).await?;
        // Decided on what was read: whoever else changed it meanwhile is not overwritten.
        let decided = self
            .team_facts(&actor, team, call.now)
            .await?
            .and_then(|facts| may_change_team(&actor, &TeamFacts { revision: request.revision, ..facts }, call.now));
        let row = event(call, &[team.to_bytes()], &[("name", about.name.to_string())]);
        self.change(call, row, decided, |permit| self.store.change_team(permit, about)).await
    }

    pub(super) async fn set_quotas(&self, call: &Call) -> Result<Answer, ApiError> {
        let team: TeamId = call.parameter(0)?;
        let TeamQuotaRequest { revision, quotas } = call.body()?;
        let (actor, _) = self.actor(call.session()?, call.now).await?;
        let decided = self
            .team_facts(&actor, team, call.now)
            .await?
            .and_then(|facts| may_set_quota(&actor, &TeamFacts { revision, ..facts }, &quotas, call.now));
        let row = event(call, &[team.to_bytes()], &numbers(&quotas));
        self.change(call, row, decided, |permit| self.store.set_quotas(permit, quotas)).await
    }

    pub(super) async fn delete_team(&self, call: &Call) -> Result<Answer, ApiError> {
        let team: TeamId = call.parameter(0)?;
        let (actor, _) = self.actor(call.session()?, call.now).await?;
        let decided = self.team_facts(&actor, team, call.now).await?.and_then(|facts| may_delete_team(&actor, &facts, call.now));
        let row = event(call, &[team.to_bytes()], &[]);
        self.change(call, row, decided, |permit| self.store.delete_team(permit)).await
    }

    /// By name.
    pub(super) async fn list_team_members(&self, call: &Call) -> Result<Answer, ApiError> {
        let team: TeamId = call.parameter(0)?;
        let query: PageQuery = call.query()?;
        let (actor, _) = self.actor(call.session()?, call.now).await?;
        let seen = self.team_facts(&actor, team, call.now).await?.and_then(|facts| may_see_team(&actor, &facts, call.now));
        seen.map_err(|denial| refuse(denial, call.now))?;
        let after = page::start(query.page.as_deref())?.map(|place| page::name(&place)).transpose()?;
        let limit = page::limit(query.limit);
        let failed = |error| store_failed(error, call.now);
        let mut rows = self.store.team_members(team, after.as_ref(), limit as u64 + 1).await.map_err(failed)?;
        let next = page::cut(&mut rows, limit, |member| member.name.as_str().as_bytes().to_vec());
        let vault_used_bytes = self.store.vault_bytes(team).await.map_err(failed)?;
        Answer::of(call, &TeamMembersReply { members: rows.into_iter().map(member_view).collect(), vault_used_bytes, next })
    }

    pub(super) async fn add_team_member(&self, call: &Call) -> Result<Answer, ApiError> {
        let team: TeamId = call.parameter(0)?;
        let TeamAddRequest { user } = call.body()?;
        let (actor, _) = self.actor(call.session()?, call.now).await?;
        let decided = self
            .team_membership(&actor, team, user, call.now)
            .await?
            .and_then(|(facts, member)| may_add_team_member(&actor, &facts, &member, call.now));
        let row = event(call, &[team.to_bytes(), user.to_bytes()], &[]);
        self.change(call, row, decided, |permit| self.store.add_team_member(permit, call.now)).await
    }

    /// Out of the last team is out of the deployment: sessions end and transfers are cut, as with a deactivation.
    pub(super) async fn remove_team_member(&self, call: &Call) -> Result<Answer, ApiError> {
        let (team, user): (TeamId, UserId) = (call.parameter(0)?, call.parameter(1)?);
        let (actor, _) = self.actor(call.session()?, call.now).await?;
        let membership = self.team_membership(&actor, team, user, call.now).await?;
        let ends = membership.as_ref().is_ok_and(|(_, member)| member.is_ended());
        let decided = membership.and_then(|(facts, member)| may_remove_team_member(&actor, &facts, &member, call.now));
        let row = event(call, &[team.to_bytes(), user.to_bytes()], &[("last", ends.to_string())]);
        let act = |permit| async move {
            let ended = self.store.remove_team_member(permit, call.now).await?;
            if ended {
                self.presence.end_all(user);
                self.losses.record([user]);
            }
            Ok(TeamRemoveReply { ended })
        };
        self.change(call, row, decided, act).await
    }

    pub(super) async fn set_team_manager(&self, call: &Call) -> Result<Answer, ApiError> {
        let (team, user): (TeamId, UserId) = (call.parameter(0)?, call.parameter(1)?);
        let TeamManagerRequest { manager } = call.body()?;
        let (actor, _) = self.actor(call.session()?, call.now).await?;
        let decided = self
            .team_membership(&actor, team, user, call.now)
            .await?
            .and_then(|(facts, member)| may_set_team_manager(&actor, &facts, &member, manager, call.now));
        let row = event(call, &[team.to_bytes(), user.to_bytes()], &[("manager", manager.to_string())]);
        self.change(call, row, decided, |permit| self.store.set_team_manager(permit, manager)).await
    }

    pub(super) async fn assign_team(&self, call: &Call) -> Result<Answer, ApiError> {
        let team: TeamId = call.parameter(0)?;
        let TeamAssignRequest { user, until_ms } = call.body()?;
        let until = until_ms.unwrap_or(Timestamp::ABSENT);
        let (actor, _) = self.actor(call.session()?, call.now).await?;
        let decided = self
            .team_membership(&actor, team, user, call.now)
            .await?
            .and_then(|(facts, assignee)| may_assign_sub_admin(&actor, &facts, &assignee, until, call.now));
        let row = event(call, &[team.to_bytes(), user.to_bytes()], &[("until_ms", until.as_millis().to_string())]);
        self.change(call, row, decided, |permit| self.store.assign_team(permit, until)).await
    }

    pub(super) async fn unassign_team(&self, call: &Call) -> Result<Answer, ApiError> {
        let (team, user): (TeamId, UserId) = (call.parameter(0)?, call.parameter(1)?);
        let (actor, _) = self.actor(call.session()?, call.now).await?;
        let decided = self
            .team_membership(&actor, team, user, call.now)
            .await?
            .and_then(|(facts, assignee)| may_unassign_sub_admin(&actor, &facts, &assignee, call.now));
        let row = event(call, &[team.to_bytes(), user.to_bytes()], &[]);
        self.change(call, row, decided, |permit| self.store.unassign_team(permit)).await
    }

    /// What the rules need of a team; one that does not exist is refused like one that is hidden.
    async fn team_facts(&self, actor: &Actor, team: TeamId, now: Timestamp) -> Result<Facts, ApiError> {
        let facts = self.store.team_facts(actor.user, team).await.map_err(|error| store_failed(error, now))?;
        Ok(facts.ok_or(Denial::NotFound))
    }

    /// The team as its rules want it, and somebody in it or not.
    async fn team_membership(
        &self,
        actor: &Actor,
        team: TeamId,
        user: UserId,
        now: Timestamp,
    ) -> Result<Result<(TeamFacts, TeamMemberFacts), Denial>, ApiError> {
        let facts = match self.team_facts(actor, team, now).await? {
            Ok(facts) => facts,
            Err(denial) => return Ok(Err(denial)),
        };
        let member = self.store.team_member_facts(team, user, now).await.map_err(|error| store_failed(error, now))?;
        Ok(member.map(|member| (facts, member)).ok_or(Denial::NotFound))
    }
}

fn stored(about: TeamAbout) -> Result<Stored, ApiError> {
    let TeamAbout { name, description: text } = about;
    Ok(Stored { name, description: description(text)? })
}

/// For a row of the log: each quota, by name.
fn numbers(quotas: &Quotas) -> [(&'static str, String); 5] {
    let Quotas { cores, memory_mib, devices, drive_bytes, vault_bytes } = *quotas;
    let written = |quota: Option<u64>| quota.map_or_else(|| "unlimited".to_owned(), |quota| quota.to_string());
    [
        ("cores", written(cores.map(u64::from))),
        ("memory_mib", written(memory_mib)),
        ("devices", written(devices.map(u64::from))),
        ("drive_bytes", written(drive_bytes)),
        ("vault_bytes", written(vault_bytes)),
    ]
}

/// Names of teams are not unique, so a place in the list is an id and a name.
fn place(name: &Title, team: TeamId) -> Vec<u8> {
    [team.as_bytes().as_slice(), name.as_str().as_bytes()].concat()
}

fn read_place(bytes: &[u8]) -> Result<(Title, TeamId), ApiError> {
    let (id, name) = bytes.split_at_checked(ID_BYTES).ok_or_else(page::unknown)?;
    let name = std::str::from_utf8(name).ok().and_then(|name| name.parse().ok()).ok_or_else(page::unknown)?;
    Ok((name, TeamId::try_from(id).map_err(|_| page::unknown())?))
}

fn view(seen: TeamSeen, assigned: &mut BTreeMap<TeamId, Vec<TeamAssignment>>) -> TeamView {
    let TeamSeen { team, members, manages } = seen;
    let Stored { name, description } = team.about;
    let assignment = |one: TeamAssignment| AssignmentView { user: one.user, name: one.name, until_ms: present(one.until) };
    TeamView {
        team: team.id,
        about: TeamAbout { name, description },
        quotas: team.quotas,
        members,
        assigned: assigned.remove(&team.id).unwrap_or_default().into_iter().map(assignment).collect(),
        revision: team.revision,
        created_ms: team.created,
        manages,
    }
}

fn member_view(member: TeamMember) -> TeamMemberView {
    let TeamMember { user, name, state, manager, since } = member;
    TeamMemberView { user, name, state, manager, since_ms: since }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use ticrypt_log::event::audit::MAX_DETAILS;

    #[test]
    fn a_place_in_the_list_leads_back_and_nothing_else_is_one() {
        let (name, team) = ("Heart study".parse::<Title>().unwrap(), TeamId::from_random([7; 16]));
        assert_eq!(read_place(&place(&name, team)).unwrap(), (name, team));
        for unknown in [&b""[..], &[7; 15], &[7; 16], &[0xff; 20]] {
            assert!(read_place(unknown).is_err(), "{unknown:?}");
        }
        assert!(numbers(&Quotas::default()).len() <= MAX_DETAILS);
    }
}
