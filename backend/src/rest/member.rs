//! Who is in a project, and on which terms. How that changes: `roster.rs`.

use ticrypt_api::ApiError;
use ticrypt_api::Blob;
use ticrypt_api::node::PageQuery;
use ticrypt_api::project::{MemberListReply, MemberView};
use ticrypt_policy::project::member::may_withdraw;
use ticrypt_policy::project::members_in_sight;
use ticrypt_policy::{Denial, Scope};
use ticrypt_store::project::Member;
use ticrypt_types::{ProjectId, UserId};

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

    /// Out without a head: oneself, or by who administrates projects.
    pub(super) async fn withdraw_member(&self, call: &Call) -> Result<Answer, ApiError> {
        let (project, user): (ProjectId, UserId) = (call.parameter(0)?, call.parameter(1)?);
        let (actor, _) = self.actor(call.session()?, call.now).await?;
        let decided = match self.project_facts(&actor, project, call.now).await? {
            Ok(facts) => {
                let member = self.store.member_facts(project, None, &[user], call.now).await;
                let member = member.map_err(|error| store_failed(error, call.now))?.remove(&user);
                member.ok_or(Denial::NotFound).and_then(|member| may_withdraw(&actor, &facts, &member, call.now))
            }
            Err(denial) => Err(denial),
        };
        let row = event(call, &[project.to_bytes(), user.to_bytes()], &[]);
        self.change_of_reach(call, row, decided, Reaches::One(user), |permit| self.store.withdraw(permit)).await
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
        salt: Blob(member.salt.to_vec()),
        withdrawn: member.withdrawn,
    }
}
