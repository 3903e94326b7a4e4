//! Requests to join projects: asking, withdrawing, refusing, listing. Granting one is a head of the project, which ends it (`roster.rs`).
//!
//! ```text
//!   ask, of any id ─▶ facts by that id, whether or not there is such a project ─▶ a row ─▶ told: those who may add people, nobody if there is none
//! ```

use ticrypt_api::join::{JoinAskRequest, JoinListQuery, JoinListReply, JoinRefuseRequest, JoinView};
use ticrypt_api::{ApiError, Hash};
use ticrypt_policy::Denial;
use ticrypt_policy::join::{answers, may_ask_to_join, may_list_joins, may_list_own_joins, may_refuse_join, may_withdraw_join};
use ticrypt_policy::{Actor, Scope};
use ticrypt_store::join::{Join, JoinPlace};
use ticrypt_types::{ProjectId, Timestamp, UserId, limits};

use super::Rest;
use super::call::{Answer, Call};
use super::change::{event, present};
use super::page;
use crate::refusal::{refuse, store_failed};

/// Bytes of an id; a place in the list is two of them.
const ID_BYTES: usize = 16;
/// Projects of one person that are read at once.
const PROJECTS_PER_READ: u64 = 1_000;

impl Rest {
    pub(super) async fn ask_to_join(&self, call: &Call) -> Result<Answer, ApiError> {
        let project: ProjectId = call.parameter(0)?;
        let JoinAskRequest { message } = call.body()?;
        if message.len() > limits::JOIN_MESSAGE_MAX_BYTES {
            return Err(ApiError::invalid("a message with a request has at most 500 bytes; write less"));
        }
        let (actor, user) = self.actor(call.session()?, call.now).await?;
        let failed = |error| store_failed(error, call.now);
        let facts = self.store.join_facts(project, user.id, call.now).await.map_err(failed)?;
        let decided = may_ask_to_join(&actor, &facts, call.now);
        let tell = self.store.answerers(project, call.now).await.map_err(failed)?;
        let row = event(call, &[project.to_bytes(), user.id.to_bytes()], &[]);
        self.change(call, row, decided, |permit| self.store.ask_to_join(permit, message, tell, call.now)).await
    }

    pub(super) async fn withdraw_join(&self, call: &Call) -> Result<Answer, ApiError> {
        let project: ProjectId = call.parameter(0)?;
        let (actor, user) = self.actor(call.session()?, call.now).await?;
        let facts = self.store.join_facts(project, user.id, call.now).await.map_err(|error| store_failed(error, call.now))?;
        let decided = may_withdraw_join(&actor, &facts, call.now);
        let row = event(call, &[project.to_bytes(), user.id.to_bytes()], &[]);
        self.change(call, row, decided, |permit| self.store.withdraw_join(permit, call.now)).await
    }

    pub(super) async fn refuse_join(&self, call: &Call) -> Result<Answer, ApiError> {
        let (project, asker): (ProjectId, UserId) = (call.parameter(0)?, call.parameter(1)?);
        let JoinRefuseRequest { reason } = call.body()?;
        let (actor, _) = self.actor(call.session()?, call.now).await?;
        let decided = match self.project_facts(&actor, project, call.now).await? {
            Ok(facts) => {
                let asked = self.store.join_facts(project, asker, call.now).await.map_err(|error| store_failed(error, call.now))?;
                may_refuse_join(&actor, &facts, &asked, &reason, call.now)
            }
            Err(denial) => Err(denial),
        };
        let row = event(call, &[project.to_bytes(), asker.to_bytes()], &[]);
        self.change(call, row, decided, |permit| self.store.refuse_join(permit, reason, call.now)).await
    }

    /// One's own, or those that wait for an answer which one may give.
    pub(super) async fn list_joins(&self, call: &Call) -> Result<Answer, ApiError> {
        let query: JoinListQuery = call.query()?;
        let (actor, _) = self.actor(call.session()?, call.now).await?;
        let user = may_list_own_joins(&actor, call.now).map_err(|denial| refuse(denial, call.now))?;
        let after = page::start(query.page.as_deref())?.map(|place| read_place(&place)).transpose()?;
        let limit = page::limit(query.limit);
        let failed = |error| store_failed(error, call.now);
        let mut rows = if query.own {
            self.store.joins_of(user, query.project, call.now, after, limit as u64 + 1).await.map_err(failed)?
        } else {
            let projects = self.answered(&actor, query.project, call.now).await?;
            self.store.open_joins(&projects, after, limit as u64 + 1).await.map_err(failed)?
        };
        let next = page::cut(&mut rows, limit, |join| [join.project.to_bytes(), join.user.to_bytes()].concat());
        Answer::of(call, &JoinListReply { requests: rows.into_iter().map(view).collect(), next })
    }

    /// The projects to which the actor may add people; of one that is named, or why not.
    async fn answered(&self, actor: &Actor, named: Option<ProjectId>, now: Timestamp) -> Result<Vec<ProjectId>, ApiError> {
        if let Some(project) = named {
            let allowed = self.project_facts(actor, project, now).await?.and_then(|facts| may_list_joins(actor, &facts, now));
            return allowed.map(|()| vec![project]).map_err(|denial: Denial| refuse(denial, now));
        }
        let failed = |error| store_failed(error, now);
        let (mut projects, mut after) = (Vec::new(), None);
        loop {
            let own = self.store.projects(Scope::Own(actor.user), after, PROJECTS_PER_READ).await.map_err(failed)?;
            let ids: Vec<ProjectId> = own.iter().map(|project| project.id).collect();
            let standing = self.store.standing(actor.user, &ids).await.map_err(failed)?;
            projects.extend(ids.iter().filter(|id| standing.get(id).is_some_and(|line| answers(actor, line, now))));
            match ids.last() {
                Some(last) if ids.len() as u64 == PROJECTS_PER_READ => after = Some(*last),
                _ => return Ok(projects),
            }
        }
    }
}

fn read_place(bytes: &[u8]) -> Result<JoinPlace, ApiError> {
    let (project, user) = bytes.split_at_checked(ID_BYTES).ok_or_else(page::unknown)?;
    let project = ProjectId::try_from(project).map_err(|_| page::unknown())?;
    Ok((project, UserId::try_from(user).map_err(|_| page::unknown())?))
}

fn view(join: Join) -> JoinView {
    let Join { project, user, name, bundle, state, message, reason, asked, closed } = join;
    let reason = (!reason.is_empty()).then_some(reason);
    JoinView { project, user, name, bundle: Hash(bundle), state, message, asked_ms: asked, reason, closed_ms: present(closed) }
}
