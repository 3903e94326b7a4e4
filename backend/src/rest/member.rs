//! Who is in a project, and on which terms.

use ticrypt_api::ApiError;
use ticrypt_api::node::PageQuery;
use ticrypt_api::project::{MemberListReply, MemberSetRequest, MemberView};
use ticrypt_policy::project::{MemberFacts, MemberTerms, ProjectFacts, may_remove_member, may_set_member, members_in_sight};
use ticrypt_policy::{Actor, Denial, Scope};
use ticrypt_store::project::{Member, MemberNew};
use ticrypt_types::{ProjectId, Timestamp, UserId};

use super::Rest;
use super::call::{Answer, Call};
use super::change::{Reaches, event, present};
use super::page;
use crate::refusal::{refuse, store_failed};

impl Rest {
    /// By name. Whoever may not see the others sees themselves.
    pub(super) async fn list_members(&self, call: &Call) -> Result<Answer, ApiError> {
        let project: ProjectId = call.parameter(0)?;
        let query: PageQuery = call.query()?;
        let (actor, _) = self.actor(call.session()?, call.now).await?;
        let failed = |error| store_failed(error, call.now);
        let facts = self.project_facts(&actor, project, call.now).await?.map_err(|denial| refuse(denial, call.now))?;
        let limit = page::limit(query.limit);
        let mut rows = match members_in_sight(&actor, &facts, call.now).map_err(|denial| refuse(denial, call.now))? {
            Scope::All => {
                let after = page::start(query.page.as_deref())?.map(|place| page::name(&place)).transpose()?;
                self.store.members(project, after.as_ref(), limit as u64 + 1).await.map_err(failed)?
            }
            Scope::Own(user) => self.store.member(project, user).await.map_err(failed)?.into_iter().collect(),
        };
        let next = page::cut(&mut rows, limit, |member| member.name.as_str().as_bytes().to_vec());
        let members = rows.into_iter().map(|member| view(member, facts.pi)).collect();
        Answer::of(call, &MemberListReply { members, next })
    }

    pub(super) async fn set_member(&self, call: &Call) -> Result<Answer, ApiError> {
        let project: ProjectId = call.parameter(0)?;
        let request: MemberSetRequest = call.body()?;
        let (actor, _) = self.actor(call.session()?, call.now).await?;
        let MemberSetRequest { user, role, restrictions, expires_ms, update } = request;
        let expires = expires_ms.unwrap_or(Timestamp::ABSENT);
        let decided = self.membership(&actor, project, user, call.now).await?.and_then(|(facts, member)| {
            let terms = MemberTerms { role, restrictions, expires, update };
            may_set_member(&actor, &facts, &member, &terms, call.now)
        });
        let detail = [("role", role.to_string()), ("restrictions", restrictions.words().join(" "))];
        let row = event(call, &[project.to_bytes(), user.to_bytes()], &detail);
        let act = |permit| self.store.set_member(permit, MemberNew { role, restrictions, expires }, call.now);
        self.change_of_reach(call, row, decided, Reaches::One(user), act).await
    }

    pub(super) async fn remove_member(&self, call: &Call) -> Result<Answer, ApiError> {
        let (project, user): (ProjectId, UserId) = (call.parameter(0)?, call.parameter(1)?);
        let (actor, _) = self.actor(call.session()?, call.now).await?;
        let decided = self
            .membership(&actor, project, user, call.now)
            .await?
            .and_then(|(facts, member)| may_remove_member(&actor, &facts, &member, call.now));
        let row = event(call, &[project.to_bytes(), user.to_bytes()], &[]);
        self.change_of_reach(call, row, decided, Reaches::One(user), |permit| self.store.remove_member(permit)).await
    }

    /// The project as its rules want it, and somebody in it or not.
    async fn membership(
        &self,
        actor: &Actor,
        project: ProjectId,
        user: UserId,
        now: Timestamp,
    ) -> Result<Result<(ProjectFacts, MemberFacts), Denial>, ApiError> {
        let facts = match self.project_facts(actor, project, now).await? {
            Ok(facts) => facts,
            Err(denial) => return Ok(Err(denial)),
        };
        let parent = facts.line.steps().iter().rev().nth(1).map(|step| step.project);
        let member = self.store.member_facts(project, parent, user, now).await.map_err(|error| store_failed(error, now))?;
        Ok(member.map(|member| (facts, member)).ok_or(Denial::NotFound))
    }
}

fn view(member: Member, pi: Option<UserId>) -> MemberView {
    MemberView {
        user: member.user,
        name: member.name,
        role: member.role,
        restrictions: member.restrictions,
        since_ms: member.since,
        expires_ms: present(member.expires),
        is_pi: pi == Some(member.user),
    }
}
